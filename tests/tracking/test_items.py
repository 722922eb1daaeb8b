import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.tracking import (
    Alias,
    Artifact,
    Metric,
    RegisteredDefinition,
    metric_items,
    params_item,
    tag_items,
)
from leadml.tracking._items import item_from_dict, item_to_dict

TEXT = st.text(max_size=30)
ITEMS = st.one_of(
    st.builds(params_item, st.dictionaries(TEXT, TEXT, max_size=4)),
    st.builds(Metric, name=TEXT, value=st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(Artifact, name=st.just("evidence/a.json"), content=st.one_of(TEXT, st.binary(max_size=20))),
    st.builds(
        RegisteredDefinition,
        name=TEXT,
        version=TEXT,
        sha256=TEXT,
        text=TEXT,
        columns=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
        alias=st.none() | TEXT,
        keep_alias=st.booleans(),
    ),
    st.builds(
        Alias, name=TEXT, sha256=TEXT, alias=TEXT, tags=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)
    ),
)


@given(ITEMS)
def test_an_item_survives_the_way_through_json(item):
    assert item_from_dict(json.loads(json.dumps(item_to_dict(item)))) == item


def test_metrics_are_the_finite_numbers_only():
    values = {"auc": 0.8, "nan": float("nan"), "inf": float("inf"), "none": None, "text": "0.5", "yes": True}
    assert metric_items(values, prefix="m.") == (Metric(name="m.auc", value=0.8),)


def test_params_join_lists_and_cut_long_text():
    item = params_item({"features": ("a", "b"), "none": None, "long": "x" * 7_000, "odd?key": 1})
    values = dict(item.values)
    assert values["features"] == "a, b"
    assert values["none"] == ""
    assert len(values["long"]) == 6_000
    assert values["long"].endswith("…")
    assert values["odd_key"] == "1"


def test_tags_leave_out_what_is_not_known():
    assert [tag.name for tag in tag_items({"a": 1, "b": None})] == ["a"]


@pytest.mark.parametrize("name", ["model.pkl", "leads.parquet", "model.joblib", "bundle.skops", "noending"])
def test_models_and_tables_of_leads_cannot_be_artifacts(name):
    with pytest.raises(ValueError, match="tables of leads and pickled objects are not tracked"):
        Artifact(name=name, content="")


@pytest.mark.parametrize("name", ["/etc/a.json", "../a.json", "a/../../b.json", "a\\b.json", ""])
def test_artifact_names_stay_inside_the_run(name):
    with pytest.raises(ValueError, match="expected a relative path"):
        Artifact(name=name, content="")


def test_an_artifact_does_not_print_its_content():
    assert "secret" not in repr(Artifact(name="a.txt", content="secret"))

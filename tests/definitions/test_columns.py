"""Columns of every kind of frame read into the same values."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import (
    assign_classes,
    criterion_mask,
    explain_classes,
    parse_criterion,
    parse_definition,
)
from leadml.definitions._evaluate import BLOCK
from leadml.errors import DefinitionError, LeadsError

TEXT = """\
name: t
version: 1
attributes:
  n: {type: integer, unit: people}
  o: {type: ordinal, levels: [low, mid, high]}
  c: {type: category}
  b: {type: boolean}
  d: {type: date}
  seen: {type: date}
  age: {type: integer, unit: days, age_of: d, anchor: seen}
  today: {type: integer, unit: days, age_of: d, anchor: as_of}
classes:
  - name: hot
    at_least: 2
    of: [n >= 2, o >= mid, {all_of: [c = x, strong interest]}, b]
  - name: cold
    otherwise: true
handoff: [hot]
"""
DEFINITION = parse_definition(TEXT)


def mask(text, column, **kwargs):
    criterion = parse_criterion(text, attributes=DEFINITION.typed_attributes())
    return criterion_mask(criterion, pd.DataFrame(column), definition=DEFINITION, **kwargs).tolist()


@pytest.mark.parametrize(
    "column",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype=np.int8),
        np.array([1, 2, 3], dtype=np.float32),
        pd.array([1, 2, 3], dtype="Int64"),
        pd.array([1, 2, 3], dtype="Float64"),
        pd.array([1, 2, 3], dtype="int64[pyarrow]"),
        pd.Series([Decimal(1), Decimal(2), Decimal(3)], dtype=object),
        pd.Categorical([1, 2, 3]),
    ],
)
def test_numbers_of_every_dtype_are_numbers(column):
    assert mask("n >= 2", {"n": column}) == [False, True, True]


@pytest.mark.parametrize(
    "column",
    [
        [None, 2.0, np.nan],
        pd.array([None, 2, None], dtype="Int64"),
        pd.array([None, 2, None], dtype="double[pyarrow]"),
        pd.Series([None, 2, np.nan], dtype=object),
        pd.Categorical([None, 2, None]),
    ],
)
def test_missing_numbers_of_every_dtype_are_missing(column):
    assert mask("n is missing", {"n": column}) == [True, False, True]
    assert mask("n not in [3, 4]", {"n": column}) == [False, True, False]


@pytest.mark.parametrize(
    "column",
    [
        ["low", "mid", None, "other"],
        pd.Series(["low", "mid", None, "other"], dtype=object),
        pd.Series(["low", "mid", None, "other"], dtype="string"),
        pd.Series(["low", "mid", None, "other"], dtype="string[pyarrow]"),
        pd.Categorical(["low", "mid", None, "other"]),
        pd.Categorical(["low", "mid", None, "other"], categories=["mid", "other", "low"], ordered=True),
    ],
)
def test_texts_of_every_dtype_are_levels(column):
    assert mask("o >= mid", {"o": column}) == [False, True, False, False]
    assert mask("o is missing", {"o": column}) == [False, False, True, True]
    assert mask("c != mid", {"c": column}) == [True, False, False, True]
    assert mask("c in [low, other] or missing", {"c": column}) == [True, False, True, True]


@pytest.mark.parametrize(
    "column",
    [
        pd.array([True, False, None], dtype="boolean"),
        pd.array([True, False, None], dtype="bool[pyarrow]"),
        pd.Series([True, False, None], dtype=object),
        [1.0, 0.0, np.nan],
        pd.array([1, 0, None], dtype="Int64"),
    ],
)
def test_booleans_of_every_dtype_are_yes_no_or_missing(column):
    assert mask("b", {"b": column}) == [True, False, False]
    assert mask("not b", {"b": column}) == [False, True, False]
    assert mask("b is missing", {"b": column}) == [False, False, True]


@pytest.mark.parametrize(
    "column",
    [
        pd.to_datetime(["2026-01-01 23:59", "2026-01-02 00:00", None]),
        pd.to_datetime(["2026-01-01 23:59", "2026-01-02 00:00", None]).tz_localize("Asia/Tokyo"),
        pd.Series([date(2026, 1, 1), date(2026, 1, 2), None], dtype=object),
        pd.Series([pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02"), pd.NaT], dtype=object),
        pd.array(["2026-01-01", "2026-01-02", None], dtype="timestamp[us][pyarrow]"),
    ],
)
def test_days_of_every_dtype_are_days(column):
    assert mask("d >= 2026-01-02", {"d": column}) == [False, True, False]
    assert mask("d between 2026-01-01 and 2026-01-01", {"d": column}) == [True, False, False]
    assert mask("d != 2026-01-01 or missing", {"d": column}) == [False, True, True]


def test_ages_are_whole_days_to_their_anchor():
    days = {
        "d": pd.to_datetime(["2026-01-01 23:00", "2026-01-31 00:00", None, "2026-01-01 00:00"]),
        "seen": pd.to_datetime(["2026-01-31 01:00", "2026-01-30 00:00", "2026-01-30 00:00", None]),
    }
    assert mask("age = 30", days) == [True, False, False, False]
    assert mask("age = -1", days) == [False, True, False, False]
    assert mask("age is missing", days) == [False, False, True, True]
    assert mask("today <= 1", days, as_of=date(2026, 2, 1)) == [False, True, False, False]
    with pytest.raises(
        LeadsError, match="'today' is an age at the day of assignment; expected `as_of`, got none"
    ):
        mask("today <= 1", days)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("n >= 2", {"n": ["1", "2"]}),
        ("n >= 2", {"n": pd.Series(["1", 2], dtype=object)}),
        ("o >= mid", {"o": [1, 2]}),
        ("c = x", {"c": [1.5, 2]}),
        ("b", {"b": ["yes", "no"]}),
        ("b", {"b": [1, 2]}),
        ("d >= 2026-01-01", {"d": ["2026-01-01", "2026-01-02"]}),
        ("d >= 2026-01-01", {"d": pd.Series(["2026-01-01", None], dtype=object)}),
        ("d >= 2026-01-01", {"d": [1, 2]}),
    ],
)
def test_values_of_another_type_are_refused(text, column):
    with pytest.raises(LeadsError, match="expected values of type"):
        mask(text, column)


def test_a_column_that_stands_there_twice_is_refused():
    leads = pd.DataFrame([[1, 2]], columns=["n", "n"])
    with pytest.raises(LeadsError, match=r"expected one column 'n' .* got 2"):
        mask("n >= 2", leads)


def test_an_attribute_of_another_definition_is_refused():
    other = parse_definition(TEXT.replace("  n: {", "  m: {").replace("n >= 2", "m >= 2"))
    criterion = parse_criterion("m >= 2", attributes=other.typed_attributes())
    with pytest.raises(DefinitionError, match="attribute 'm' is not declared"):
        criterion_mask(criterion, pd.DataFrame({"m": [1]}), definition=DEFINITION)


def test_many_levels_in_many_runs_are_looked_up():
    levels = [f"l{number}" for number in range(300)]
    wanted = levels[::20]
    assert mask(f"c in [{', '.join(wanted)}]", {"c": levels}) == [level in wanted for level in levels]


def test_blocks_give_what_the_whole_gives():
    n_leads = BLOCK + 1000
    rng = np.random.default_rng(0)
    leads = pd.DataFrame(
        {
            "n": rng.integers(0, 4, n_leads),
            "o": rng.choice(["low", "mid", "high"], n_leads),
            "c": rng.choice(["x", "y"], n_leads),
            "b": rng.random(n_leads) < 0.5,
        }
    )
    met = (leads["n"] >= 2).astype(int) + leads["o"].isin(["mid", "high"]) + leads["b"]
    assert (assign_classes(DEFINITION, leads) == np.where(met >= 2, "hot", "cold")).all()


def test_reasons_of_an_at_least_rule_say_how_many_are_met():
    leads = pd.DataFrame({"n": [1, 3], "o": ["low", "mid"], "c": ["x", "x"], "b": pd.array([None, True])})
    reasons = explain_classes(DEFINITION, leads)
    assert reasons[0] == (
        "meets 0 of 4, needs 2: fails n >= 2; fails o >= mid; fails strong interest (not measurable); and 1 more"
    )
    assert reasons[1] == "meets n >= 2; meets o >= mid; meets c = x; and 1 more"


def test_a_first_class_for_everybody_needs_no_reason():
    definition = parse_definition("name: t\nversion: 1\nclasses: [{name: all, otherwise: true}]\n")
    assert explain_classes(definition, pd.DataFrame({"x": [1]})).tolist() == ["every lead is in this class"]


def test_nested_at_least_groups_are_named_in_reasons():
    definition = parse_definition(
        TEXT.replace("at_least: 2\n    of:", "all_of:").replace(
            "{all_of: [c = x,", "{at_least: 2, of: [c = x,"
        )
    )
    leads = pd.DataFrame({"n": [3], "o": ["mid"], "c": ["x"], "b": [True]})
    assert explain_classes(definition, leads)[0] == "fails at least 2 of (c = x, strong interest)"

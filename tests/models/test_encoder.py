"""The encoder: every kind of column, missing, new and rare levels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from leadml.errors import LeadsError
from leadml.metrics import log_losses
from leadml.models import LeadEncoder
from leadml.models._candidates import list_candidates
from leadml.models._features import Feature

# The array API is off in this process, so scikit-learn skips its check with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:Skipping check:sklearn.exceptions.SkipTestWarning")


@parametrize_with_checks([LeadEncoder(), LeadEncoder(max_groups=8)])
def test_encoder_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_every_dtype_of_a_column_gives_the_same_codes():
    values = [1, 2, None, 4]
    columns = [
        pd.Series(values, dtype="float64"),
        pd.Series(values, dtype="Int64"),
        pd.Series(["1", "2", None, "4"], dtype="object"),
        pd.Series(["1", "2", None, "4"], dtype="str"),
    ]
    for column in columns:
        frame = pd.DataFrame({"x": column})
        out = LeadEncoder(kinds={"x": "number"}).fit_transform(frame)
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out[:, 0], [1, 2, np.nan, 4])


def test_booleans_with_missing_values_keep_three_states():
    for column in (
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([True, False, None], dtype="object"),
        pd.Series(["yes", "no", None], dtype="str"),
        pd.Series([1.0, 0.0, np.nan]),
    ):
        out = LeadEncoder(kinds={"b": "boolean"}).fit_transform(pd.DataFrame({"b": column}))
        np.testing.assert_array_equal(out[:, 0], [1, 0, np.nan])


def test_ordinals_are_coded_by_their_order_and_unknown_levels_are_missing():
    encoder = LeadEncoder(kinds={"o": "ordinal"}, levels={"o": ["low", "mid", "high"]})
    encoder.fit(pd.DataFrame({"o": ["high", "low"]}))
    out = encoder.transform(pd.DataFrame({"o": pd.Categorical(["mid", "huge", None, "high"])}))
    np.testing.assert_array_equal(out[:, 0], [1, np.nan, np.nan, 2])


def test_rare_and_new_levels_share_the_code_for_other():
    frame = pd.DataFrame({"c": ["a"] * 60 + ["b"] * 40 + ["rare"]})
    y = np.r_[np.zeros(60), np.ones(40), 1]
    encoder = LeadEncoder(kinds={"c": "category"}).fit(frame, y)
    assert encoder.levels_ == [["a", "b"]]
    out = encoder.transform(pd.DataFrame({"c": ["a", "b", "rare", "never seen", None]}))
    np.testing.assert_array_equal(out[:, 0], [0, 1, 2, 2, np.nan])


def test_new_levels_are_missing_where_no_level_was_rare():
    encoder = LeadEncoder(kinds={"c": "category"}).fit(pd.DataFrame({"c": ["a", "b"] * 50}))
    assert np.isnan(encoder.transform(pd.DataFrame({"c": ["z"]}))).all()


def test_codes_do_not_depend_on_the_order_of_rows_or_categories():
    rng = np.random.default_rng(0)
    values = rng.choice(list("abcd"), 200)
    y = (values == "c").astype(float)
    first = LeadEncoder().fit(pd.DataFrame({"c": pd.Categorical(values)}), y)
    order = rng.permutation(200)
    second = LeadEncoder().fit(
        pd.DataFrame({"c": pd.Categorical(values[order], categories=list("dcba"))}), y[order]
    )
    assert first.levels_ == second.levels_
    assert first.levels_[0][-1] == "c"


def test_infinite_and_huge_numbers_stay_inside_float32():
    out = LeadEncoder().fit_transform(pd.DataFrame({"x": [np.inf, -np.inf, 1e300, -1e300]}))
    assert np.isnan(out[:2, 0]).all()
    assert np.isfinite(out[2:, 0]).all()


def test_text_where_numbers_belong_is_refused_without_showing_it():
    encoder = LeadEncoder(kinds={"x": "number"}).fit(pd.DataFrame({"x": [1.0, 2.0]}))
    with pytest.raises(LeadsError, match="attribute x: expected numbers, got text in 1 rows") as caught:
        encoder.transform(pd.DataFrame({"x": ["Jane Doe", "3"]}))
    assert "Jane" not in str(caught.value)


def test_columns_keep_their_names():
    encoder = LeadEncoder().fit(pd.DataFrame({"x": [1.0], "flag": [True], "text": ["a"]}))
    assert encoder.get_feature_names_out().tolist() == ["x", "flag", "text"]
    assert encoder.kinds_ == ["number", "boolean", "category"]
    assert LeadEncoder().fit(np.zeros((3, 2))).get_feature_names_out().tolist() == ["x0", "x1"]
    assert LeadEncoder().fit(pd.DataFrame({"x": pd.Series([1, None], dtype=object)})).kinds_ == ["number"]


def test_a_column_that_was_empty_in_training_says_nothing_later():
    frame = pd.DataFrame({"x": [np.nan, np.inf], "y": [1.0, 2.0]})
    encoder = LeadEncoder(kinds={"x": "number", "y": "number"}).fit(frame)
    assert encoder.empty_ == [True, False]
    assert encoder.transform(pd.DataFrame({"x": [5.0, np.nan], "y": [1.0, np.nan]}))[:, 0].tolist() == [0, 0]


def grouped(values, max_groups):
    frame = pd.DataFrame({"x": np.asarray(values, dtype=float)})
    encoder = LeadEncoder(kinds={"x": "number"}, max_groups=max_groups).fit(frame)
    return encoder, encoder.transform(frame)[:, 0]


def test_few_different_numbers_each_have_a_group():
    encoder, codes = grouped([5, 1, 3, 1, np.nan], 4)
    assert encoder.cuts_[0].tolist() == [2.0, 4.0]
    assert codes[:4].tolist() == [2, 0, 1, 0]
    assert np.isnan(codes[4])


def test_a_frequent_amount_has_a_group_of_its_own():
    rng = np.random.default_rng(0)
    spread = rng.uniform(0, 1000, 800)
    _, codes = grouped([*spread, *[500.0] * 200], 16)
    assert (codes == codes[-1]).sum() == 200
    others, sizes = np.unique(codes[:800], return_counts=True)
    assert len(others) <= 15
    assert sizes.max() < 3 * 800 / 14


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from([1.0, 2.0, 5.0])), min_size=1),
    st.integers(2, 12),
)
def test_groups_keep_the_order_of_the_numbers_and_are_not_too_many(values, max_groups):
    _, codes = grouped([np.nan if value is None else value for value in values], max_groups)
    known = [(value, code) for value, code in zip(values, codes.tolist(), strict=True) if value is not None]
    if not known:
        assert (codes == 0).all()  # a column without any value says nothing of anybody
        return
    assert all(np.isnan(code) for value, code in zip(values, codes, strict=True) if value is None)
    assert len({code for _, code in known}) <= max_groups
    ordered = sorted(known)
    assert [code for _, code in ordered] == sorted(code for _, code in known)


def test_leads_whose_amount_is_a_suggested_one_are_told_apart():
    """Half of the amounts are one of ten that a form suggests; those never win, their neighbours do."""
    rng = np.random.default_rng(0)
    amount = np.exp(rng.normal(8, 1, 20_000))
    suggested = np.quantile(amount, np.linspace(0.1, 0.9, 10))
    chosen = rng.random(20_000) < 0.5
    amount[chosen] = rng.choice(suggested, chosen.sum())
    won = (rng.random(20_000) < np.where(chosen, 0.05, 0.3)).astype(int)
    frame = pd.DataFrame({"amount": amount})
    feature = Feature(name="amount", kind="number")
    loss = {}
    for name in ("boosting", "logistic"):
        listed = list_candidates((feature,), random_state=0, n_leads=10_000)
        (candidate,) = [each for each in listed if each.name == name]
        pipeline = candidate.fit(frame[:10_000], won[:10_000])
        predicted = pipeline.predict_proba(frame[10_000:])[:, 1]
        loss[name] = log_losses(won[10_000:], predicted).mean()
    truth = log_losses(won[10_000:], np.where(chosen, 0.05, 0.3)[10_000:]).mean()
    assert loss["boosting"] < truth + 0.2 * (loss["logistic"] - truth)

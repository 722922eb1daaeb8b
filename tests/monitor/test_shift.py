"""Shift of the leads: known answers for each comparison."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from leadml.monitor._shift import _homogeneity, compare_attributes, compare_together, compare_volume


def halves(n):
    before = np.arange(2 * n) < n
    return before, ~before


def test_numbers_are_compared_by_kolmogorov_smirnov_and_psi_stands_beside_its_level_without_drift():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=4000), "day": pd.Timestamp("2025-01-01")})
    before, now = halves(2000)
    table = compare_attributes(frame, ("size", "day"), before, now).set_index("attribute")
    found = ks_2samp(frame["size"][before], frame["size"][now], method="asymp")
    assert table.loc["size", "p_value"] == pytest.approx(found.pvalue)
    assert table.loc["size", "distance"] == pytest.approx(found.statistic)
    assert table.loc["size", "psi_no_drift"] == pytest.approx(9 / 1000)
    assert table.loc["size", "psi"] < 0.03
    assert table.loc["day", "test"] == ""


def test_too_few_known_values_are_not_compared():
    frame = pd.DataFrame(
        {"size": np.r_[np.arange(10.0), np.full(190, np.nan)], "source": ["a"] * 5 + [None] * 195}
    )
    before, now = halves(100)
    table = compare_attributes(frame, ("size", "source"), before, now)
    assert table["p_value"].isna().all()
    assert table["p_missing"].notna().all()


def test_one_level_only_cannot_differ():
    frame = pd.DataFrame({"source": ["web"] * 400})
    row = compare_attributes(frame, ("source",), *halves(200)).iloc[0]
    assert row["p_value"] == row["psi_p_value"] == 1
    assert row["distance"] == row["psi"] == 0


@given(
    st.lists(st.integers(0, 6), min_size=60, max_size=200),
    st.lists(st.integers(0, 6), min_size=60, max_size=200),
)
def test_homogeneity_is_symmetric_and_zero_for_the_same_leads(first, second):
    a, b = np.array(first), np.array(second)
    assert _homogeneity(a, b) == pytest.approx(_homogeneity(b, a))
    distance, p_value = _homogeneity(a, b)
    assert 0 <= distance <= 1
    assert 0 <= p_value <= 1
    assert _homogeneity(a, a) == pytest.approx((0, 1))


def test_volume_without_variation_is_equal_or_different_for_certain():
    same = compare_volume(np.full(20, 7), n_before=10, n_now=10)
    assert np.isnan(same["p_value"])
    other = compare_volume(np.r_[np.full(10, 7), np.full(10, 9)], n_before=10, n_now=10)
    assert other == {"before": 7.0, "now": 9.0, "p_value": 0.0}
    assert np.isnan(compare_volume(np.full(6, 7), n_before=3, n_now=3)["p_value"])


def test_nothing_to_look_at_cannot_be_told_apart():
    frame = pd.DataFrame({"day": pd.Timestamp("2025-01-01"), "size": np.full(600, np.nan)})
    found = compare_together(frame, ("day", "size"), *halves(300), random_state=0)
    assert np.isnan(found.p_value)


@pytest.mark.slow
def test_the_test_of_all_attributes_keeps_its_level():
    rng = np.random.default_rng(2)
    before, now = halves(400)
    p_values = [
        compare_together(
            pd.DataFrame(rng.normal(size=(800, 4)), columns=list("abcd")),
            tuple("abcd"),
            before,
            now,
            random_state=seed,
        ).p_value
        for seed in range(400)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.083  # three standard errors above the nominal .05

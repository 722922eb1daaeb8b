"""Intervals of rates: known answers, exact coverage, weighted counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from leadml.metrics import clopper_pearson, kish_counts, mover_interval, wilson_interval

counts = st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_clopper_pearson_equals_scipy(count):
    k, n = count
    low, high = clopper_pearson(k, n, confidence_level=0.9)
    if n == 0:
        assert (float(low), float(high)) == (0.0, 1.0)
    else:
        known = binomtest(k, n).proportion_ci(confidence_level=0.9, method="exact")
        assert (float(low), float(high)) == pytest.approx((known.low, known.high), abs=1e-9)


@given(counts)
def test_wilson_equals_scipy(count):
    k, n = count
    low, high = wilson_interval(k, n)
    if n:
        known = binomtest(k, n).proportion_ci(method="wilson")
        assert (float(low), float(high)) == pytest.approx((known.low, known.high), abs=1e-9)
    else:
        assert (float(low), float(high)) == (0.0, 1.0)


def test_clopper_pearson_covers_at_its_level_for_every_rate():
    k = np.arange(41)
    low, high = clopper_pearson(k, 40, confidence_level=0.95)
    for rate in np.linspace(0.01, 0.99, 33):
        assert binom.pmf(k, 40, rate)[(low <= rate) & (rate <= high)].sum() >= 0.95


def test_one_sided_bounds_leave_the_other_side_open():
    low, high = clopper_pearson([3, 3], [10, 10], alternative="greater")
    assert (high == 1).all()
    assert (low > clopper_pearson(3, 10)[0]).all()
    low, high = wilson_interval(3, 10, alternative="less")
    assert float(low) == 0
    assert float(high) < float(wilson_interval(3, 10)[1])


@pytest.mark.parametrize("interval", [clopper_pearson, wilson_interval])
def test_impossible_counts_and_levels_are_refused(interval):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        interval(5, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(1, 3, confidence_level=95)
    with pytest.raises(ValueError, match="two-sided, greater or less"):
        interval(1, 3, alternative="both")


def test_equal_weights_leave_the_counts_as_they_are():
    assert kish_counts(np.full(8, 0.25), [1, 1, 0, 0, 0, 0, 0, 0]) == pytest.approx((2.0, 8.0))
    assert kish_counts([], []) == (0.0, 0.0)
    assert kish_counts([0.0], [1]) == (0.0, 0.0)


@given(st.lists(st.tuples(st.floats(0.05, 20), st.integers(0, 1)), min_size=1, max_size=30))
def test_unequal_weights_never_count_for_more_than_the_leads(pairs):
    weights, labels = np.array(pairs).T
    k, n = kish_counts(weights, labels)
    assert 0 <= k <= n + 1e-9
    assert n <= len(pairs) + 1e-9
    assert k / n == pytest.approx(float((weights * labels).sum() / weights.sum()))


def test_kish_counts_refuse_negative_weights():
    with pytest.raises(ValueError, match="finite weight"):
        kish_counts([-1.0], [1])


def test_one_stratum_gained_is_the_exact_binomial_bound():
    estimate, low, _ = mover_interval(
        [12], [100], sign=[1], scale=[100.0], break_even=[0.05], alternative="greater", confidence_level=0.95
    )
    bound = binomtest(12, 100, alternative="greater").proportion_ci(0.95, method="exact").low
    assert float(estimate) == pytest.approx(7.0)
    assert float(low) == pytest.approx(100 * (bound - 0.05))


def test_gained_and_lost_mirror_each_other():
    up = mover_interval([4, 9], [50, 80], sign=[1, -1], scale=[50.0, 80.0], break_even=0.1)
    down = mover_interval([4, 9], [50, 80], sign=[-1, 1], scale=[50.0, 80.0], break_even=0.1)
    assert [float(value) for value in up] == pytest.approx(
        [-float(down[0]), -float(down[2]), -float(down[1])]
    )


def test_a_stratum_without_leads_adds_nothing():
    alone = mover_interval([4], [50], sign=[1], scale=[50.0], break_even=[0.1])
    beside = mover_interval([4, 0], [50, 0], sign=[1, -1], scale=[50.0, 0.0], break_even=[0.1, 0.2])
    assert np.allclose(alone, beside)
    nothing = mover_interval([0], [0], sign=[1], scale=[0.0], offset=-3.0)
    assert [float(value) for value in nothing] == [-3.0, -3.0, -3.0]


def test_many_tables_at_once_equal_one_by_one():
    k = np.array([[1, 2], [3, 9]])
    n = np.array([[20, 30], [25, 40]])
    settings = {"sign": [1, -1], "break_even": [0.05, 0.1]}
    both = mover_interval(k, n, scale=n, alternative="less", **settings)
    for row in range(2):
        single = mover_interval(k[row], n[row], scale=n[row], alternative="less", **settings)
        assert [float(part[row]) for part in both] == [float(part) for part in single]


def test_impossible_signs_and_scales_are_refused():
    with pytest.raises(ValueError, match=r"\+1 \(gained\) or -1 \(lost\)"):
        mover_interval([1], [2], sign=[0], scale=[1.0])
    with pytest.raises(ValueError, match="not negative"):
        mover_interval([1], [2], sign=[1], scale=[-1.0])

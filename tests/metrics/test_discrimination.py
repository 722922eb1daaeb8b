"""Discrimination: areas, precision and losses against known answers and their invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from leadml.metrics import (
    average_precision,
    brier_score,
    log_loss,
    mean_difference,
    roc_auc_interval,
)


@st.composite
def labelled_scores(draw):
    n = draw(st.integers(4, 60))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda v: 0 < sum(v) < len(v)))
    p = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    return np.array(y, dtype=float), np.array(p) / 20


def _delong_by_hand(y, p):
    """Placement values written out pair by pair (DeLong, DeLong, Clarke-Pearson 1988)."""
    pos, neg = p[y == 1], p[y == 0]
    kernel = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    v10, v01 = kernel.mean(axis=1), kernel.mean(axis=0)
    return kernel.mean(), v10.var(ddof=1) / pos.size + v01.var(ddof=1) / neg.size


def test_delong_interval_equals_the_placement_values_written_out():
    rng = np.random.default_rng(0)
    y = (rng.random(300) < 0.3).astype(float)
    p = np.round(rng.random(300) * 0.5 + 0.2 * y, 2)
    auc, variance = _delong_by_hand(y, p)
    half = 1.959963984540054 * np.sqrt(variance)
    assert roc_auc_interval(y, p) == pytest.approx((auc, auc - half, auc + half))
    assert auc == pytest.approx(roc_auc_score(y, p))


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_area_equals_scikit_learn_and_lies_in_its_interval(case):
    y, p = case
    auc, low, high = roc_auc_interval(y, p)
    assert auc == pytest.approx(roc_auc_score(y, p))
    assert 0 <= low <= auc <= high <= 1


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_turning_the_score_round_mirrors_the_interval(case):
    y, p = case
    auc, low, high = roc_auc_interval(y, p)
    assert roc_auc_interval(y, -p) == pytest.approx((1 - auc, 1 - high, 1 - low), abs=1e-9)


def test_perfect_separation_of_few_leads_is_no_proof():
    auc, low, high = roc_auc_interval([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.8])
    assert (auc, high) == (1.0, 1.0)
    assert 0.4 < low < 0.75
    assert roc_auc_interval([0] * 200 + [1] * 200, np.arange(400))[1] > 0.97


def test_one_lead_of_a_class_gives_a_wide_interval():
    auc, low, high = roc_auc_interval([0] * 30 + [1], [*np.linspace(0, 1, 30), 0.9])
    assert auc == pytest.approx(0.9)
    assert low < 0.5 < high


@pytest.mark.parametrize("y", [[], [1, 1], [0, 0, 0]])
def test_area_is_missing_without_both_classes(y):
    assert np.isnan(roc_auc_interval(y, np.linspace(0, 1, len(y)))).all()


def test_equal_scores_give_one_half():
    assert roc_auc_interval([0, 1, 0, 1], [0.3] * 4)[0] == 0.5


@pytest.mark.slow
def test_delong_interval_covers_at_its_level():
    rng = np.random.default_rng(1)
    truth = 0.7602499389  # Phi(1 / sqrt 2)
    inside = 0
    for _ in range(1000):
        y = np.repeat([0.0, 1.0], [150, 50])
        _, low, high = roc_auc_interval(y, rng.normal(size=200) + y)
        inside += low <= truth <= high
    assert 0.93 <= inside / 1000 <= 0.97


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_average_precision_and_brier_equal_scikit_learn(case):
    y, p = case
    assert average_precision(y, p) == pytest.approx(average_precision_score(y, p))
    assert brier_score(y, p) == pytest.approx(brier_score_loss(y, p))


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_log_loss_equals_scikit_learn(case):
    y, p = case
    inner = 0.05 + 0.9 * p
    assert log_loss(y, inner) == pytest.approx(sklearn_log_loss(y, inner, labels=[0, 1]))


def test_integer_weights_count_like_copies():
    y, p, w = np.array([0, 1, 1, 0.0]), np.array([0.2, 0.9, 0.4, 0.4]), np.array([3, 1, 2, 1])
    for metric in (average_precision, brier_score, log_loss):
        assert metric(y, p, w) == pytest.approx(metric(np.repeat(y, w), np.repeat(p, w)))


def test_certainty_that_fails_costs_much_but_not_infinity():
    assert log_loss([1, 0], [0.0, 1.0]) == pytest.approx(20.72, abs=0.01)


def test_no_leads_give_missing_metrics():
    for metric in (average_precision, brier_score, log_loss):
        assert np.isnan(metric([], []))


def test_mean_difference_is_positive_when_the_second_is_better():
    difference, low, high, error = mean_difference([1.0, 2.0, 3.0], [0.0, 1.0, 2.5])
    assert difference == pytest.approx(2.5 / 3)
    assert error == pytest.approx(np.std([1, 1, 0.5], ddof=1) / np.sqrt(3))
    assert low < difference < high
    assert np.isnan(mean_difference([1.0], [0.0])).all()


@pytest.mark.parametrize(
    ("y", "p", "match"),
    [
        ([0, 1], [0.1], "one length"),
        ([0, 2], [0.1, 0.2], "0 and 1 only"),
        ([0, np.nan], [0.1, 0.2], "0 and 1 only"),
        ([0, 1], [0.1, np.nan], "finite"),
        ([0, 1], [0.1, 1.2], "from 0 to 1"),
    ],
)
def test_bad_labels_and_probabilities_are_refused(y, p, match):
    with pytest.raises(ValueError, match=match):
        log_loss(y, p)


def test_bad_weights_and_levels_are_refused():
    with pytest.raises(ValueError, match="not negative"):
        log_loss([0, 1], [0.1, 0.2], [1, -1])
    with pytest.raises(ValueError, match="confidence_level"):
        roc_auc_interval([0, 1], [0.1, 0.2], 1.0)

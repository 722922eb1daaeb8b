"""Calibrators: each repairs what it is for, and the rule by number of wins picks it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from leadml.metrics import expit, log_loss
from leadml.models import choose_calibration, fit_calibration
from leadml.models._calibration import _pool_between, _venn_abers

METHODS = ["intercept", "platt", "beta", "spline", "venn_abers", "isotonic"]


def _overconfident(n, seed=0, *, factor=1.7, shift=0.0, base=-2.2):
    rng = np.random.default_rng(seed)
    logit = base + rng.normal(size=n)
    y = (rng.random(n) < expit(logit)).astype(float)
    return y, expit(base + factor * (logit - base) + shift), expit(logit)


@pytest.mark.parametrize("method", METHODS)
def test_calibration_brings_extreme_scores_nearer_to_the_truth(method):
    y, p, _ = _overconfident(20_000, shift=0.5)
    later, p_later, truth = _overconfident(20_000, seed=1, shift=0.5)
    fitted = fit_calibration(y, p, method=method)
    excess = log_loss(later, fitted.calibrate(p_later)) - log_loss(later, truth)
    before = log_loss(later, p_later) - log_loss(later, truth)
    assert excess < (0.8 if method == "intercept" else 0.15) * before


@given(st.sampled_from(METHODS), st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_calibration_never_turns_the_order_round(method, seed):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.01, 0.99, 80)
    y = (rng.random(80) < 1 - p).astype(float)
    out = fit_calibration(y, p, method=method).calibrate(np.linspace(0, 1, 51))
    assert (np.diff(out) >= -1e-9).all()
    assert ((out >= 0) & (out <= 1)).all()


def test_none_changes_nothing():
    p = np.array([0.0, 0.3, 1.0])
    assert np.array_equal(fit_calibration([0, 1, 1], p, method="none").calibrate(p), p)


def test_intercept_puts_the_average_right():
    y, p, _ = _overconfident(3000, factor=1.0, shift=1.0)
    fitted = fit_calibration(y, p, method="intercept")
    assert fitted.calibrate(p).mean() == pytest.approx(y.mean(), abs=1e-6)


@pytest.mark.parametrize(("n", "method"), [(40, "none"), (400, "intercept"), (700, "platt"), (3000, "beta")])
def test_the_rule_goes_by_the_number_of_wins(n, method):
    y, p, _ = _overconfident(n, shift=2.0)
    fitted = choose_calibration(y, p)
    assert fitted.method == method
    assert fitted.reason


def test_many_wins_choose_by_cross_validation():
    y, p, _ = _overconfident(8000, shift=1.0)
    fitted = choose_calibration(y, p)
    assert fitted.method == "platt"
    assert "best of 5" in fitted.reason


def test_calibrated_scores_are_left_alone():
    changed = 0
    for seed in range(40):
        y, _, truth = _overconfident(3000, seed)
        changed += choose_calibration(y, truth).method != "none"
    assert changed <= 6


def test_a_score_that_orders_the_slice_wrongly_becomes_flat():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.6, 2000)
    y = (rng.random(2000) < 0.65 - p).astype(float)
    fitted = choose_calibration(y, p)
    assert np.ptp(fitted.calibrate(p)) == 0
    assert fitted.calibrate(p)[0] == pytest.approx(y.mean(), abs=1e-6)


def test_few_distinct_scores_still_give_a_curve():
    y = np.array([0, 1] * 30)
    for method in METHODS:
        assert np.isfinite(fit_calibration(y, np.full(60, 0.2), method=method).calibrate([0.2, 0.5])).all()


def _rolling(n, *, slope, levels, seed=0):
    """Give predictions of models of different age: each stretch has its own level and one common slope."""
    rng = np.random.default_rng(seed)
    stretch = np.repeat(np.arange(len(levels)), n)
    logit = -1.5 + rng.normal(size=stretch.size)
    truth = expit(-1.5 + slope * (logit + 1.5) + np.asarray(levels)[stretch])
    return (rng.random(stretch.size) < truth).astype(float), expit(logit), stretch


def test_levels_that_differ_between_stretches_ask_for_no_calibration():
    changed = 0
    for seed in range(30):
        y, p, stretch = _rolling(800, slope=1.0, levels=(0.0, 0.8, 1.6), seed=seed)
        changed += choose_calibration(y, p, stretches=stretch).method != "none"
        assert choose_calibration(y, p).method != "none"
    assert changed <= 4


def test_the_shape_is_calibrated_and_the_level_kept():
    y, p, stretch = _rolling(800, slope=0.5, levels=(0.0, 0.8, 1.6))
    fitted = choose_calibration(y, p, stretches=stretch)
    assert fitted.method != "none"
    spread = np.ptp(np.log(fitted.calibrate([0.1, 0.4]) / (1 - fitted.calibrate([0.1, 0.4]))))
    assert spread == pytest.approx(0.5 * np.ptp(np.log([0.1 / 0.9, 0.4 / 0.6])), rel=0.25)


def test_a_correction_that_the_latest_stretch_refutes_is_not_made():
    y, p, stretch = _rolling(1500, slope=0.4, levels=(0.0, 0.0, 0.0))
    late_y, late_p, _ = _rolling(1500, slope=1.6, levels=(0.0,), seed=1)
    y, p, stretch = np.r_[y, late_y], np.r_[p, late_p], np.r_[stretch, np.full(1500, 3)]
    fitted = choose_calibration(y, p, stretches=stretch)
    assert fitted.method == "none"
    assert "made it worse" in fitted.reason


def test_with_stretches_few_wins_change_nothing():
    y, p, stretch = _rolling(60, slope=0.0, levels=(0.0, 0.0, 0.0))
    fitted = choose_calibration(y, p, stretches=stretch)
    assert fitted.method == "none"


# What R 4.2.2 says of these; coef(glm(y ~ ..., family = binomial)) and fitted() of the 1st, 12th and 24th lead.
P = [0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
P += [0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98]
Y = [0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("method", "coef", "fitted"),
    [
        # glm(y ~ 1, offset = qlogis(p))
        ("intercept", (1, 1, -0.1327402533), (0.01755750099, 0.46686357764, 0.97722559124)),
        # glm(y ~ qlogis(p))
        (
            "platt",
            (0.37446325699, 0.37446325699, -0.05389892622),
            (0.1807547084, 0.4865285296, 0.8027299539),
        ),
        # glm(y ~ log(p) + I(-log(1 - p)))
        ("beta", (0.41133444057, 0.34182597914, 0.01696605716), (0.1700492971, 0.4921972493, 0.7934564030)),
    ],
)
def test_calibrations_with_coefficients_are_those_of_glm(method, coef, fitted):
    found = fit_calibration(Y, P, method=method)
    assert found.coef == pytest.approx(coef, abs=2e-4)  # a ridge of 0.001 keeps separated slices finite
    assert found.calibrate(P)[[0, 11, 23]] == pytest.approx(fitted, abs=1e-4)


def test_venn_abers_is_that_of_the_package_of_its_authors():
    # venn-abers 1.5.4 from PyPI: VennAbers().fit(p_cal, y), predict_proba of these scores, rounded to six digits
    p = [
        0.05,
        0.1,
        0.1,
        0.2,
        0.2,
        0.3,
        0.3,
        0.4,
        0.5,
        0.5,
        0.6,
        0.6,
        0.7,
        0.8,
        0.8,
        0.9,
        0.15,
        0.35,
        0.55,
        0.75,
    ]
    y = [0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1]
    found = fit_calibration(y, p, method="venn_abers").calibrate([0.05, 0.25, 0.3, 0.5, 0.62, 0.9, 0.97])
    assert found == pytest.approx([0.285714, 0.428571, 0.428571, 0.487805, 0.583333, 0.75, 0.75], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([5, 40, 1_000]))
def test_venn_abers_is_two_isotonic_fits_at_each_point_and_pooling_first_changes_nothing(seed, n_scores):
    rng = np.random.default_rng(seed)
    score = np.unique(rng.normal(size=n_scores))
    n = rng.integers(1, 4, score.size).astype(float)
    wins = rng.binomial(n.astype(int), expit(score)).astype(float)
    points = np.unique([*rng.choice(score, 3), *rng.normal(size=4), -5.0, 5.0])
    found = _venn_abers(points, *_pool_between(points, score, wins, n))
    assert found == pytest.approx(_venn_abers(points, score, wins, n), abs=1e-12)
    x, y = np.repeat(score, 2), np.tile([1.0, 0.0], score.size)
    weight = np.column_stack([wins, n - wins]).ravel()
    for point, value in zip(points, found, strict=True):
        low, high = (
            IsotonicRegression().fit([*x, point], [*y, label], [*weight, 1.0]).predict([point])[0]
            for label in (0.0, 1.0)
        )
        assert value == pytest.approx(high / (1 - low + high), abs=1e-9)


def test_a_correction_within_one_standard_error_of_none_is_not_made():
    rng = np.random.default_rng(5)
    logit = rng.normal(-1, 1, 4_000)
    y = (rng.random(4_000) < expit(logit)).astype(float)
    tried = [choose_calibration(y, expit(-1 + slope * (logit + 1))) for slope in np.linspace(1.06, 1.14, 9)]
    asked = [found for found in tried if "need no change" not in found.reason]
    assert any(found.method == "none" for found in asked)
    assert all("within one standard error" in found.reason for found in asked if found.method == "none")

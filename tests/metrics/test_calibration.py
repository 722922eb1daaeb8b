"""Calibration: line, CORP curve and decomposition against known answers and their invariants."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from leadml.metrics import brier_score, calibration_line, expit, fit_logistic, log_loss, reliability_curve

mpl.use("Agg")


@st.composite
def forecasts(draw):
    n = draw(st.integers(2, 50))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    p = draw(st.lists(st.integers(1, 19), min_size=n, max_size=n))
    return np.array(y, dtype=float), np.array(p) / 20


def test_line_equals_an_unpenalised_logistic_regression_on_the_logit():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.6, 2000)
    logit = np.log(p / (1 - p))
    y = (rng.random(2000) < expit(0.3 + 0.6 * logit)).astype(float)
    line = calibration_line(y, p)
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(logit[:, None], y)
    assert line.slope == pytest.approx(peer.coef_[0, 0], abs=1e-4)
    assert line.slope_low < 0.6 < line.slope_high
    assert line.p_value < 1e-6


def test_intercept_of_a_constant_forecast_is_the_difference_of_the_logits():
    line = calibration_line([1] * 30 + [0] * 70, [0.5] * 100)
    assert line.intercept == pytest.approx(np.log(0.3 / 0.7))
    # standard error of a logit: 1 / sqrt(n p (1 - p))
    assert line.intercept_high - line.intercept == pytest.approx(
        1.959964 / np.sqrt(100 * 0.3 * 0.7), rel=1e-5
    )
    assert np.isnan(line.slope)
    assert line.p_value < 0.001


def test_true_probabilities_are_called_calibrated_at_the_level_of_the_test():
    rng = np.random.default_rng(3)
    refused = covered = 0
    for _ in range(300):
        p = expit(rng.normal(-1.5, 1, 500))
        line = calibration_line((rng.random(500) < p).astype(float), p)
        refused += line.p_value < 0.05
        covered += line.slope_low <= 1 <= line.slope_high
    assert refused <= 27
    assert covered >= 273


def test_too_extreme_probabilities_have_a_slope_below_one():
    rng = np.random.default_rng(4)
    logit = rng.normal(-1, 1, 5000)
    y = (rng.random(5000) < expit(logit)).astype(float)
    line = calibration_line(y, expit(2 * logit))
    assert line.slope == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("y", [[], [1, 1, 1], [0, 0, 0]])
def test_line_is_missing_without_both_classes(y):
    line = calibration_line(y, np.linspace(0.2, 0.8, len(y)))
    assert np.isnan([line.slope, line.intercept]).all()
    assert line.p_value == 1.0


def test_separated_leads_have_no_slope_but_an_intercept():
    line = calibration_line([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert np.isnan(line.slope)
    assert np.isfinite(line.intercept)
    assert list(line.to_frame().columns)[:3] == ["slope", "slope_low", "slope_high"]


def test_corp_curve_pools_adjacent_violators_by_hand():
    curve = reliability_curve([0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5], n_resamples=0)
    assert curve.rate.tolist() == [0, 0.5, 0.5, 1, 1]
    # Brier .211 = MCB + constant .24 - ... : (.01 + .64 + .09 + .36 + .25) / 5 = .27
    assert curve.score == pytest.approx(0.27)
    assert curve.uncertainty == pytest.approx(0.24)
    assert curve.miscalibration == pytest.approx(0.27 - 0.1)
    assert curve.discrimination == pytest.approx(0.24 - 0.1)


@given(forecasts(), st.sampled_from(["brier", "log_loss"]))
@settings(max_examples=60, deadline=None)
def test_the_parts_add_up_and_are_not_negative(case, name):
    y, p = case
    curve = reliability_curve(y, p, score=name, n_resamples=0)
    whole = brier_score(y, p) if name == "brier" else log_loss(y, p)
    assert curve.score == pytest.approx(whole)
    assert curve.miscalibration - curve.discrimination + curve.uncertainty == pytest.approx(whole)
    assert min(curve.miscalibration, curve.discrimination, curve.uncertainty) >= -1e-7
    assert (np.diff(curve.rate) >= -1e-12).all()
    assert curve.n.sum() == y.size


def test_recalibrated_forecast_has_no_miscalibration():
    rng = np.random.default_rng(5)
    p = rng.random(400)
    y = (rng.random(400) < p**2).astype(float)
    curve = reliability_curve(y, p, n_resamples=0)
    better = reliability_curve(y, np.interp(p, curve.probability, curve.rate), n_resamples=0)
    assert better.miscalibration == pytest.approx(0, abs=1e-12)
    assert better.discrimination == pytest.approx(curve.discrimination)


def test_band_holds_a_perfect_forecast_and_not_a_bad_one():
    rng = np.random.default_rng(6)
    p = np.round(rng.random(2000), 2)
    good = reliability_curve((rng.random(2000) < p).astype(float), p)
    inside = (good.ci_low <= good.rate) & (good.rate <= good.ci_high)
    assert np.average(inside, weights=good.n) > 0.85
    assert good.miscalibration < 2 * good.miscalibration_null
    bad = reliability_curve((rng.random(2000) < p / 2).astype(float), p)
    assert bad.miscalibration > 5 * bad.miscalibration_null


def test_band_of_many_forecasts_is_computed_in_groups():
    rng = np.random.default_rng(7)
    p = rng.random(6000)
    curve = reliability_curve((rng.random(6000) < p).astype(float), p, n_resamples=20)
    assert curve.ci_low.shape == curve.rate.shape == (6000,)
    assert (curve.ci_low <= curve.ci_high).all()


def test_same_leads_in_another_order_give_the_same_curve():
    rng = np.random.default_rng(8)
    p = np.round(rng.random(300), 2)
    y = (rng.random(300) < p).astype(float)
    order = rng.permutation(300)
    first, second = reliability_curve(y, p), reliability_curve(y[order], p[order])
    assert first.to_frame().equals(second.to_frame())


def test_curve_without_leads_is_empty_and_still_shows_itself():
    curve = reliability_curve([], [])
    assert curve.to_frame().empty
    assert "0 leads" in repr(curve)
    assert "<table" in curve._repr_html_()


def test_curve_is_drawn_on_axes_that_are_given():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert reliability_curve([0, 1, 1, 0], [0.2, 0.7, 0.6, 0.4], n_resamples=5).plot(ax) is ax
    plt.close("all")


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="'brier' or 'log_loss'"):
        reliability_curve([0, 1], [0.1, 0.9], score="auc")
    with pytest.raises(ValueError, match="from 0 to 1"):
        calibration_line([0, 1], [0.1, 1.9])


def test_newton_survives_a_column_of_zeros_and_a_ridge():
    X = np.column_stack([np.ones(6), np.zeros(6), np.arange(6.0)])
    y = np.array([0, 0, 1, 0, 1, 1.0])
    coef, information, loss = fit_logistic(X, y, penalty=np.array([0, 1.0, 0]))
    assert coef[1] == pytest.approx(0)
    assert np.isfinite(information).all()
    assert 0 < loss < 6 * np.log(2)
    wide = np.column_stack([X, np.eye(6)[:, :5], np.zeros((6, 3))])
    assert np.isfinite(fit_logistic(wide, y, penalty=np.full(11, 0.1) * 0 + 1e-6)[0]).all()

"""Figures that R gives for the same numbers, written down with the call that gave them.

R 4.2.2 with rms 6.5-0 (`val.prob`), pROC 1.18.0 and psych 2.2.9; the input stands here, so that anyone can ask again.
"""

import numpy as np
import pytest

from leadml.metrics import (
    brier_score,
    calibration_line,
    clopper_pearson,
    cohen_kappa,
    compare_segments,
    holm,
    reliability_curve,
    roc_auc_interval,
    wilson_interval,
)

# p <- c(0.05,0.1, ...); y <- c(0,0,1, ...)
P = [0.05, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.8, 0.8, 0.9, 0.15, 0.35, 0.55, 0.75]
Y = [0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1]


def test_calibration_slope_and_its_range_are_those_of_glm():
    # f <- glm(y ~ qlogis(p), family = binomial); coef(f); confint.default(f); rms::val.prob(p, y): Slope
    line = calibration_line(Y, P)
    assert line.slope == pytest.approx(0.487206970479, abs=1e-8)
    assert (line.slope_low, line.slope_high) == pytest.approx((-0.241819055514, 1.21623299647), abs=1e-6)


def test_calibration_in_the_large_is_that_of_glm_with_an_offset():
    # g <- glm(y ~ 1, offset = qlogis(p), family = binomial); coef(g); confint.default(g)
    line = calibration_line(Y, P)
    assert line.intercept == pytest.approx(0.318105834286, abs=1e-8)
    assert (line.intercept_low, line.intercept_high) == pytest.approx(
        (-0.711984207818, 1.34819587639), abs=1e-8
    )


def test_joint_test_of_slope_and_intercept_is_that_of_val_prob():
    # rms::val.prob(p, y): U:Chi-sq 1.994026420486335, U:p 0.368979862263242
    assert calibration_line(Y, P).p_value == pytest.approx(0.368979862263242, abs=1e-9)


def test_brier_score_and_its_corp_parts_are_those_of_isoreg():
    # r <- isoreg(...)$yf on the forecasts in order, equal ones pooled first; Brier also in rms::val.prob
    curve = reliability_curve(Y, P, n_resamples=0)
    steps = [0.0, *[0.375] * 5, *[0.5] * 4, *[0.75] * 3, 1.0]
    assert curve.rate.tolist() == pytest.approx(steps, abs=1e-12)
    assert brier_score(Y, P) == pytest.approx(0.242625, abs=1e-12)
    parts = (curve.miscalibration, curve.discrimination, curve.uncertainty)
    assert parts == pytest.approx((0.036375, 0.04375, 0.25), abs=1e-12)


def test_delong_interval_is_that_of_proc():
    # r <- pROC::roc(y, p); auc(r); ci.auc(r); val.prob: C (ROC) 0.665
    found = roc_auc_interval(Y, P)
    assert found == pytest.approx((0.665, 0.415323529173, 0.914676470827), abs=1e-9)


@pytest.mark.parametrize(
    ("k", "n", "exact", "score"),
    [
        (0, 10, (0.0, 0.308497107819), (0.0, 0.277532799863)),
        (1, 10, (0.00252857854446, 0.44501611702820), (0.0178762130951, 0.4041500267952)),
        (7, 20, (0.153909204785, 0.592188534533), (0.181191824101, 0.567145723315)),
        (20, 20, (0.831566529017, 1.0), (0.838874841947, 1.0)),
    ],
)
def test_ranges_of_a_rate_are_those_of_binom_test_and_prop_test(k, n, exact, score):
    # binom.test(k, n)$conf.int; prop.test(k, n, correct = FALSE)$conf.int
    assert [float(end) for end in clopper_pearson(k, n)] == pytest.approx(exact, abs=1e-9)
    assert [float(end) for end in wilson_interval(k, n)] == pytest.approx(score, abs=1e-9)


def test_three_in_a_thousand_has_the_exact_range_of_binom_test():
    # binom.test(3, 1000)$conf.int
    found = [float(end) for end in clopper_pearson(3, 1000)]
    assert found == pytest.approx([6.19099931650e-04, 8.74202323848e-03], abs=1e-11)


def test_holms_adjustment_is_that_of_p_adjust():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert list(holm([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_offsets_of_segments_are_those_of_glm_in_each():
    # for (k in c("a","b","c")) glm(y ~ 1, offset = qlogis(p), family = binomial, subset = s == k)
    p = [0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
    p += [0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98]
    y = [0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1]
    found = compare_segments(y, p, np.tile(["a", "b", "c"], 8))
    assert found.offset.tolist() == pytest.approx([-0.7083906194, -0.1442483842, 0.4399775789], abs=1e-8)
    assert found.ci_low.tolist() == pytest.approx([-2.551327285, -1.950574456, -1.374962078], abs=1e-6)
    assert found.ci_high.tolist() == pytest.approx([1.134546046, 1.662077688, 2.254917236], abs=1e-6)


def test_kappa_of_a_two_by_two_table_is_that_of_psych():
    # psych::cohen.kappa(matrix(c(20, 5, 10, 15), 2, byrow = TRUE)): estimate 0.4; its range rests on another variance
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert cohen_kappa(pairs).value == pytest.approx(0.4)

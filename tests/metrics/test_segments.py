"""Segments and levels: shrinkage pays, spread is told from chance, and EM is only a what-if."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from leadml.metrics import compare_segments, compute_logit, estimate_prevalence, estimate_spread, expit


def test_shrunk_offsets_are_nearer_to_the_truth_than_none_or_all_of_each_segment():
    rng = np.random.default_rng(0)
    errors = {"none": 0.0, "own": 0.0, "shrunk": 0.0}
    for _ in range(10):
        sizes = np.geomspace(30, 3000, 20).astype(int)
        truth = rng.normal(0, 0.4, 20)
        names = np.repeat([f"s{i:02d}" for i in range(20)], sizes)
        p = expit(rng.normal(-2.2, 0.7, sizes.sum()))
        real = expit(compute_logit(p) + np.repeat(truth, sizes))
        y = (rng.random(p.size) < real).astype(float)
        found = compare_segments(y, p, names)
        own = expit(compute_logit(p) + np.repeat(found.offset, sizes))
        for key, guess in (("none", p), ("own", own), ("shrunk", found.calibrate(p, names))):
            by_segment = np.bincount(np.repeat(np.arange(20), sizes), weights=(guess - real) ** 2) / sizes
            errors[key] += by_segment.mean()
    assert errors["shrunk"] < 0.75 * errors["own"]
    assert errors["shrunk"] < 0.6 * errors["none"]


def test_segments_that_differ_by_chance_only_are_not_told_apart():
    rng = np.random.default_rng(1)
    fired = 0
    for _ in range(200):
        p = expit(rng.normal(-1, 1, 1000))
        found = compare_segments((rng.random(1000) < p).astype(float), p, rng.integers(0, 8, 1000))
        fired += found.spread.p_value < 0.05
    assert fired <= 20


def test_offset_of_one_segment_is_the_difference_of_the_logits():
    found = compare_segments(
        [1] * 20 + [0] * 80 + [1] * 50 + [0] * 50, [0.5] * 200, ["a"] * 100 + ["b"] * 100
    )
    assert found.offset.tolist() == pytest.approx([np.log(0.25), 0.0])
    assert found.ci_high[0] - found.offset[0] == pytest.approx(1.959964 / np.sqrt(100 * 0.16), rel=1e-4)
    assert found.n_positive.tolist() == [20, 50]


def test_segments_without_a_win_and_missing_names_are_kept():
    found = compare_segments([0, 0, 0, 1], [0.3] * 4, [None, None, "x", "x"])
    assert found.segment == ("missing", "x")
    assert np.isfinite(found.offset).all()
    assert found.calibrate([0.5], ["unheard of"])[0] == pytest.approx(expit(np.array([found.spread.mean]))[0])
    assert found.calibrate([], []).size == 0
    assert compare_segments([], [], []).to_frame().empty


def test_spread_by_hand():
    # Q = 200, tau² = (200 - 2) / (300 - 30000/300) = .99
    spread = estimate_spread([-1.0, 0.0, 1.0], [0.1, 0.1, 0.1])
    assert spread.chi_square == pytest.approx(200)
    assert spread.sd == pytest.approx(np.sqrt(0.99))
    assert spread.median_odds_ratio == pytest.approx(np.exp(0.6744898 * np.sqrt(2 * 0.99)))
    assert estimate_spread([0.0, 0.0], [1.0, 1.0]).median_odds_ratio == 1.0
    assert estimate_spread([0.3], [1.0]).p_value == 1.0
    assert estimate_spread([], []).n_groups == 0
    assert list(spread.to_frame()["n_groups"]) == [3]


def test_em_finds_a_pure_label_shift_and_is_fooled_by_better_leads():
    rng = np.random.default_rng(2)
    y = rng.random(40_000) < 0.05
    x = rng.normal(size=y.size) + 1.5 * y
    logit = 1.5 * x - 1.125 + np.log(0.1 / 0.9)  # a model trained where one in ten was positive
    assert estimate_prevalence(expit(logit), 0.1)[0] == pytest.approx(0.05, abs=0.01)
    better = expit(rng.normal(-0.5, 1, 5000))  # same probability given the attributes, better leads
    prevalence, adjusted = estimate_prevalence(better, 0.1)
    assert prevalence > better.mean() + 0.1
    assert adjusted.mean() == pytest.approx(prevalence, abs=1e-6)
    assert np.isnan(estimate_prevalence([], 0.1)[0])
    assert estimate_prevalence(np.full(50, 0.1), 0.1)[0] == 0.1  # nothing speaks for another share
    assert [estimate_prevalence(np.full(50, p), 0.1)[0] for p in (0.05, 0.2)] == [0.0, 1.0]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="positive errors"):
        estimate_spread([0.1, 0.2], [0.1, 0.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimate_prevalence([0.1], 1.0)
    with pytest.raises(ValueError, match="expected 2 names"):
        compare_segments([0, 1], [0.1, 0.2], ["a"])


def test_results_show_themselves():
    found = compare_segments([0, 1, 1, 0], [0.3] * 4, ["a", "a", "b", "b"])
    assert "2 segments" in repr(found)
    assert "<table" in found._repr_html_()
    assert found.plot() is not None
    plt.close("all")

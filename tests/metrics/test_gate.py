"""The gate: its enumerated error, p-values, several tests at once, sequential evidence."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from leadml.metrics import (
    compute_gate_size,
    holm,
    learn_then_test,
    mover_interval,
    mover_p_value,
    sequential_evidence,
)


@pytest.mark.parametrize(
    ("sign", "leads", "published"),
    [
        (1, (30, 100, 300), (0.016, 0.028, 0.049)),
        (-1, (30, 60, 100, 300), (0.000, 0.046, 0.037, 0.034)),
    ],
)
def test_enumerated_sizes_equal_the_published_ones(sign, leads, published):
    sizes = [compute_gate_size([n], [0.05], sign=[sign], break_even=[0.05]) for n in leads]
    assert np.round(sizes, 3) == pytest.approx(published)


def test_size_of_a_swap_equals_the_published_one():
    assert compute_gate_size([60, 200], [0.05, 0.05], sign=[1, -1], break_even=0.05) == pytest.approx(
        0.039, abs=0.0006
    )


def test_gate_opens_wrongly_at_most_at_its_level_on_a_fixed_grid():
    worst = 0.0
    for rate, gained, lost in itertools.product((0.02, 0.05, 0.1, 0.2), (0, 30, 90), (0, 40, 120)):
        if gained + lost:
            used = [(n, sign) for n, sign in ((gained, 1), (lost, -1)) if n]
            leads, signs = zip(*used, strict=True)
            size = compute_gate_size(leads, [rate] * len(leads), sign=signs, break_even=rate)
            worst = max(worst, size)
    assert 0 < worst <= 0.05


def test_gate_with_two_prices_keeps_its_level():
    for signs in itertools.product((1, -1), repeat=2):
        size = compute_gate_size(
            [40, 60], [0.1, 0.025], sign=signs, value=[1.0, 4.0], break_even=[0.1, 0.025], error_rate=0.05
        )
        assert size <= 0.05


counts = st.integers(1, 150).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.floats(0.01, 0.5), st.sampled_from([1, -1]))
def test_p_value_of_one_stratum_is_the_binomial_one(count, rate, sign):
    k, n = count
    p = mover_p_value([k], [n], sign=[sign], scale=[float(n)], break_even=[rate])
    known = binomtest(k, n, rate, alternative="greater" if sign > 0 else "less").pvalue
    assert p == pytest.approx(max(known, 1e-12), rel=1e-6)


@given(counts, counts, st.floats(0.02, 0.3))
def test_p_value_is_where_the_lower_bound_reaches_zero(gained, lost, rate):
    table = {
        "sign": [1, -1],
        "scale": [float(gained[1]), float(lost[1])],
        "break_even": [rate, rate],
    }
    k, n = [gained[0], lost[0]], [gained[1], lost[1]]
    p = mover_p_value(k, n, **table)
    if 1e-11 < p < 0.5:
        opens = mover_interval(k, n, **table, confidence_level=1 - p * 1.001, alternative="greater")[1]
        stays = mover_interval(k, n, **table, confidence_level=1 - p * 0.999, alternative="greater")[1]
        assert float(opens) > 0 >= float(stays) - 1e-9
    assert 1e-12 <= p <= 1


def test_p_value_is_one_without_a_gain_and_tiny_with_a_sure_one():
    table = {"sign": [1, -1], "scale": [100.0, 100.0], "break_even": [0.5, 0.5]}
    assert mover_p_value([0, 100], [100, 100], **table) == 1.0
    assert mover_p_value([100, 0], [100, 100], **table) <= 1e-11
    assert mover_p_value([400, 0], [400, 400], **(table | {"scale": [400.0, 400.0]})) == 1e-12
    assert mover_p_value([0], [0], sign=[1], scale=[0.0]) == 1.0


@pytest.mark.parametrize(
    ("rate", "k", "sign", "expected"),
    [(0.0, 3, 1, 1.0), (1.0, 10, 1, 1.0), (1.0, 3, -1, 1e-12), (1.0, 10, -1, 1.0)],
)
def test_p_value_at_impossible_break_even_rates(rate, k, sign, expected):
    assert mover_p_value([k], [10], sign=[sign], scale=[10.0], break_even=[rate]) == expected


def test_duplicated_leads_would_change_a_p_value():
    table = {"sign": [1], "scale": [1.0], "break_even": [0.05]}
    assert mover_p_value([24], [200], **table) < mover_p_value([12], [100], **table)


def test_holm_of_a_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_never_exceeds_bonferroni(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values) - 1e-12).all()
    assert (adjusted <= np.minimum(np.array(p_values) * len(p_values), 1) + 1e-12).all()


def test_walk_from_strict_to_loose_stops_at_the_first_unproven_step():
    assert learn_then_test([95, 180, 250], [100, 200, 400], floor=0.8) == 1
    assert learn_then_test([50, 300], [100, 300], floor=0.8) == -1
    assert learn_then_test([0], [0], floor=0.8) == -1


def test_sequential_evidence_rarely_reaches_its_limit_when_nothing_is_there():
    rng = np.random.default_rng(0)
    reached = [
        sequential_evidence(rng.random(300) < 0.1, break_even=0.1, direction=side).max() >= 20
        for side in ("above", "below")
        for _ in range(400)
    ]
    assert np.mean(reached) <= 0.05


def test_sequential_evidence_finds_a_real_difference():
    rng = np.random.default_rng(1)
    assert sequential_evidence(rng.random(400) < 0.2, break_even=0.1)[-1] >= 20
    assert sequential_evidence(rng.random(400) < 0.01, break_even=0.1, direction="below")[-1] >= 20


def test_sequential_evidence_with_unequal_probabilities_keeps_its_level():
    rng = np.random.default_rng(2)
    reached = []
    for _ in range(300):
        probability = rng.choice([0.1, 0.5], 200)
        reached.append(
            sequential_evidence(rng.random(200) < 0.1, break_even=0.1, probability=probability).max() >= 20
        )
    assert np.mean(reached) <= 0.05


def test_sequential_evidence_refuses_impossible_input():
    assert sequential_evidence([], break_even=0.1).size == 0
    with pytest.raises(ValueError, match="break_even"):
        sequential_evidence([1], break_even=0)
    with pytest.raises(ValueError, match="probability"):
        sequential_evidence([1], break_even=0.1, probability=0)

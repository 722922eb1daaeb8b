"""Exact power: the published tables, the smallest detectable rate, the size of an exploration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.metrics import compute_gate_size, compute_power, exploration_size, smallest_detectable


@given(st.integers(1, 120), st.floats(0.02, 0.4), st.floats(0.01, 0.9), st.sampled_from(["gained", "lost"]))
def test_power_is_how_often_the_gate_opens(n, break_even, rate, direction):
    opens = compute_gate_size([n], [rate], sign=[1 if direction == "gained" else -1], break_even=[break_even])
    assert compute_power(n, rate, break_even=break_even, direction=direction) == pytest.approx(
        opens, abs=1e-9
    )


@pytest.mark.parametrize(
    ("break_even", "n", "gained", "lost"),
    [
        (0.02, 100, 3.9, None),
        (0.02, 400, 2.3, 0.19),
        (0.05, 100, 2.7, 0.04),
        (0.05, 800, 1.5, 0.56),
        (0.10, 200, 1.7, 0.41),
        (0.10, 1600, 1.2, 0.78),
    ],
)
def test_smallest_detectable_rates_equal_the_published_ones(break_even, n, gained, lost):
    found = smallest_detectable(n, break_even=break_even, error_rate=0.0167)
    assert found / break_even == pytest.approx(gained, abs=0.06)
    found = smallest_detectable(n, break_even=break_even, error_rate=0.0167, direction="lost")
    if lost is None:
        assert found is None
    else:
        assert found / break_even == pytest.approx(lost, abs=0.011)


@pytest.mark.parametrize(
    ("break_even", "multiple", "n80", "n90"),
    [
        (0.02, 3, 131, 194),
        (0.05, 2, 169, 233),
        (0.05, 3, 52, 77),
        (0.10, 1.5, 270, 368),
        (0.10, 2, 78, 109),
        (0.10, 3, 25, 33),
        (0.20, 2, 35, 47),
    ],
)
def test_exploration_sizes_equal_the_published_ones(break_even, multiple, n80, n90):
    rate = break_even * multiple
    assert exploration_size(break_even, rate) == n80
    assert exploration_size(break_even, rate, power=0.9) == n90


def test_a_tightening_of_few_leads_can_never_be_shown():
    assert smallest_detectable(79, break_even=0.05, error_rate=0.05 / 3, direction="lost") is None
    assert smallest_detectable(0, break_even=0.05) is None


def test_sizes_that_no_number_of_leads_reaches_are_none():
    assert exploration_size(0.05, 0.05) is None
    assert exploration_size(0.0, 0.05) is None
    assert exploration_size(0.05, 0.0501, max_leads=50_000) is None
    assert smallest_detectable(100, break_even=0.0) is None


def test_a_small_difference_needs_many_leads_and_is_found_in_blocks():
    n = exploration_size(0.02, 0.021)
    assert n > 100_000
    assert compute_power(n, 0.021, break_even=0.02) >= 0.8


def test_loss_below_break_even_has_a_size_too():
    n = exploration_size(0.1, 0.04)
    assert compute_power(n, 0.04, break_even=0.1, direction="lost") >= 0.8
    assert compute_power(n - 1, 0.04, break_even=0.1, direction="lost") < 0.8


def test_power_without_leads_is_zero():
    assert compute_power(0, 0.5, break_even=0.1) == 0

"""The best cuts of several criteria at once are the best of all combinations."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.propose._grid import find_best_cuts


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), n=st.integers(0, 60), seed=st.integers(0, 999)
)
def test_the_grid_equals_brute_force(sizes, n, seed):
    rng = np.random.default_rng(seed)
    ranks = [rng.integers(0, size + 1, n) for size in sizes]
    worth = rng.integers(-5, 6, n)

    def value(cuts):
        met = np.logical_and.reduce([rank <= cut for rank, cut in zip(ranks, cuts, strict=True)])
        return int(worth[met].sum())

    best = max(itertools.product(*map(range, sizes)), key=value)
    assert find_best_cuts(ranks, sizes, worth) == (value(best), best)


@pytest.mark.parametrize("n_criteria", [3, 4, 5])
def test_a_planted_corner_is_found(n_criteria):
    rng = np.random.default_rng(0)
    ranks = [rng.integers(0, 12, 3000) for _ in range(n_criteria)]
    planted = (7, 3, 9, 5, 6)[:n_criteria]
    inside = np.logical_and.reduce([rank <= cut for rank, cut in zip(ranks, planted, strict=True)])
    worth = np.where(inside, 5, -2_000)
    assert find_best_cuts(ranks, [12] * n_criteria, worth)[0] >= 5 * int(inside.sum())


def test_the_order_of_the_leads_does_not_matter():
    rng = np.random.default_rng(1)
    ranks, worth = [rng.integers(0, 6, 400) for _ in range(4)], rng.integers(-90, 100, 400)
    order = rng.permutation(400)
    assert find_best_cuts(ranks, [6] * 4, worth) == find_best_cuts(
        [rank[order] for rank in ranks], [6] * 4, worth[order]
    )

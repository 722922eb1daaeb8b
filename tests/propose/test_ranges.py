"""Order statistics of leads in parts are those of all leads together."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.propose._ranges import count_levels, find_ranges, find_ranked, range_of

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.integers(-30, 30).map(float),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.5, -1.5]),
)


def gather_from(parts, ask):
    return [ask(part) for part in parts]


def read(part):
    return {"x": part, "half": part / 2}


@given(st.lists(numbers, max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_ranges_of_parts_are_those_of_the_whole(values, cuts):
    values = np.array(values, np.float64)
    parts = np.split(values, sorted(min(cut, len(values)) for cut in cuts))
    found = find_ranges(partial(gather_from, parts), read)
    assert found["x"] == range_of(values)
    assert found["half"] == range_of(values / 2)


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_ranked_values_are_those_of_a_sort(dtype):
    rng = np.random.default_rng(0)
    values = (
        rng.normal(0, 1e9, 3001) if dtype == np.float64 else rng.integers(-(2**62), 2**62, 3001)
    ).astype(dtype)
    parts = np.array_split(values, 7)
    ranks = (0, 1, 1500, 2999, 3000)
    found = find_ranked(partial(gather_from, parts), lambda part: {"x": part}, {"x": ranks})
    assert found["x"] == tuple(np.sort(values)[list(ranks)].tolist())


def test_levels_of_parts_add_up():
    parts = [{"industry": {"software": 2}}, {"industry": {"software": 1, "public": 4}}]
    found = count_levels(partial(gather_from, parts), lambda part: part)
    assert found == {"industry": {"software": 3, "public": 4}}

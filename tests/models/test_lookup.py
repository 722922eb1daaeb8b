"""A look-up of leading bits finds the step that a search finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leadml.models._lookup import _table, find_steps, iterate_blocks


def search(cuts, x):
    return np.where(np.isnan(x), 0, np.searchsorted(cuts, x, side="right") + 1)


def look_up(cuts, x):
    return np.concatenate([find_steps(columns, 0, cuts) for _, columns in iterate_blocks(x[:, None])] or [[]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
@settings(deadline=None)  # a table of 65,536 keys is made for each example
def test_the_step_is_that_of_a_search(data, dtype):
    numbers = st.floats(-1e300, 1e300) | st.integers(-5, 300).map(float) | st.floats(0.99, 1.01)
    cuts = np.unique(data.draw(arrays(np.float64, st.integers(0, 12), elements=numbers)))
    near = [
        np.nextafter(cuts, -np.inf),
        np.nextafter(cuts, np.inf),
        np.clip(cuts, -3e38, 3e38).astype(np.float32),
    ]
    x = np.concatenate(
        [data.draw(arrays(np.float64, 20, elements=numbers)), [np.nan, 0.0, -0.0], cuts, *near]
    )
    if dtype is np.float32:
        x = np.clip(x, -3e38, 3e38).astype(np.float32)
    assert look_up(cuts, x).tolist() == search(cuts, x.astype(np.float64)).tolist()


def test_many_cuts_in_one_place_are_searched():
    cuts = np.linspace(1.0, 1.001, 50)
    x = np.linspace(0.9995, 1.0015, 10_001)
    assert _table(cuts.tobytes())[2] > 4
    assert (look_up(cuts, x) == search(cuts, x)).all()


def test_blocks_hold_each_row_once():
    X = np.arange(60_000, dtype=np.float32).reshape(20_000, 3)
    parts = [columns[0].T for _, columns in iterate_blocks(X)]
    assert len(parts) > 1
    assert (np.concatenate(parts) == X).all()
    assert list(iterate_blocks(X[:0])) == []

"""Between which cut points numbers lie, by a look-up of their leading bits instead of a search."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Columns", "find_steps", "iterate_blocks"]

_BLOCK_ROWS = 8_192  # a block of columns stays in the processor's cache
_N_KEYS = 1 << 16
_MAX_ROUNDS = 4

Columns = tuple["NDArray[np.float64]", "NDArray[np.uint16]"]
"""Numbers of a block, one row per column, and the leading 16 bits of each in single precision."""


def iterate_blocks(X: NDArray[np.floating]) -> Iterator[tuple[slice, Columns]]:
    """Divide a matrix into blocks of rows that are turned round, with the key of each number.

    Parameters
    ----------
    X : ndarray of shape (n_leads, n_columns)
        Codes and numbers, missing as nan.

    Yields
    ------
    rows : slice
        Of the block.
    columns : tuple of ndarray
        What `find_steps` takes.
    """
    for start in range(0, X.shape[0], _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        values = np.ascontiguousarray(X[rows].T, dtype=np.float64)
        with np.errstate(over="ignore"):
            bits = values.astype(np.float32).view(np.uint32)
        yield rows, (values, (bits >> 16).astype(np.uint16))


def find_steps(columns: Columns, j: int, cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the cut points that are not above each number of one column.

    Parameters
    ----------
    columns : tuple of ndarray
        From `iterate_blocks`.
    j : int
        The column.
    cuts : ndarray of shape (n_cuts,)
        Ascending.

    Returns
    -------
    ndarray of int of shape (n_leads,)
        0 for a missing number, else one more than the count: ``searchsorted(cuts, x, side="right") + 1``.
    """
    x = columns[0][j]
    first, following, n_rounds = _table(np.asarray(cuts, dtype=np.float64).tobytes())
    if n_rounds > _MAX_ROUNDS:
        return np.where(np.isnan(x), 0, np.searchsorted(cuts, x, side="right") + 1)
    steps: NDArray[np.int64] = first.take(columns[1][j]).astype(np.int64)
    for _ in range(n_rounds):
        steps += x >= following.take(steps)
    return steps


@lru_cache(maxsize=256)
def _table(cuts: bytes) -> tuple[NDArray[np.uint16], NDArray[np.float64], int]:
    """Give the lowest step of each key, the cut point above each step, and how many may lie in one key."""
    points = np.frombuffer(cuts, dtype=np.float64)
    bits = np.arange(_N_KEYS, dtype=np.uint32) << 16
    with np.errstate(all="ignore"):
        ends = bits.view(np.float32), (bits | 0xFFFF).view(np.float32)
        # One number further on each side: a double may have been rounded into the key.
        low = np.nextafter(np.fmin(*ends), np.float32(-np.inf)).astype(np.float64)
        high = np.nextafter(np.fmax(*ends), np.float32(np.inf)).astype(np.float64)
    first = np.searchsorted(points, low, side="right") + 1
    last = np.searchsorted(points, high, side="right") + 1
    first[np.isnan(low)] = last[np.isnan(low)] = 0  # keys of nothing but missing numbers
    return first.astype(np.uint16), np.concatenate([[np.nan], points, [np.inf]]), int((last - first).max())

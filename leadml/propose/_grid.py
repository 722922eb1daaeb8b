"""All thresholds of a class at once: the best cuts that there are, exactly, for a handful of criteria.

More than two changes are never proposed. What is left on the table by that can be said, though: hundreds of
millions of definitions are one running sum over a grid that is never held as a whole.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["find_best_cuts"]

_INNER = 3  # criteria whose grid is held at once: 50 steps each are a megabyte


def find_best_cuts(
    ranks: Sequence[NDArray[np.integer]], sizes: Sequence[int], worth: NDArray[np.integer]
) -> tuple[int, tuple[int, ...]]:
    """Find the cuts at which the leads that meet all criteria are worth most, among all combinations.

    Parameters
    ----------
    ranks : sequence of ndarray of int of shape (n_leads,)
        Per criterion, the strictest cut that each lead meets, 0 the strictest of all: a lead meets cut c if
        its rank is at most c.
    sizes : sequence of int
        Per criterion, the number of cuts. A lead with a higher rank meets none.
    worth : ndarray of int of shape (n_leads,)
        Of handing over each lead, in whole units; their sums must stay below 2**53.

    Returns
    -------
    tuple of (worth, cuts)
        Of equally good cuts the strictest, criterion by criterion.

    Examples
    --------
    >>> import numpy as np
    >>> size, pace = np.array([0, 1, 2, 0]), np.array([0, 0, 1, 1])
    >>> find_best_cuts([size, pace], [3, 2], np.array([5, 4, -9, -3]))
    (9, (1, 0))
    """
    met = np.logical_and.reduce([rank < size for rank, size in zip(ranks, sizes, strict=True)])
    codes = [rank[met].astype(np.int64) for rank in ranks]
    split = max(len(sizes) - _INNER, 0)
    outer, inner = tuple(sizes[:split]), tuple(sizes[split:])
    place = np.ravel_multi_index(codes[split:], inner)
    slabs = _histograms(codes[:split], outer, place, int(np.prod(inner)), worth[met])
    best, cuts = -np.inf, (0,) * len(sizes)
    for position, slab in _running_sums(slabs, outer, inner):
        most = float(slab.max())
        if most > best:
            best = most
            cuts = (*position, *(int(cut) for cut in np.unravel_index(int(slab.argmax()), inner)))
    return int(best), cuts


def _histograms(
    codes: Sequence[NDArray[np.int64]],
    outer: tuple[int, ...],
    place: NDArray[np.int64],
    n_inner: int,
    worth: NDArray[np.integer],
) -> Iterator[Floats]:
    """Yield the worth per inner place for each outer position, in order."""
    head = np.ravel_multi_index(codes, outer) if outer else np.zeros(len(place), np.int64)
    order = np.argsort(head, kind="stable")
    ends = np.searchsorted(head[order], np.arange(int(np.prod(outer, dtype=np.int64)) + 1))
    place, value = place[order], worth[order].astype(np.float64)
    for start, end in pairwise(ends):
        found = np.bincount(place[start:end], weights=value[start:end], minlength=n_inner)
        yield found.astype(np.float64)  # whole numbers where there is no lead


def _running_sums(
    slabs: Iterator[Floats], outer: tuple[int, ...], inner: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Floats]]:
    """Yield the sum over all places up to each outer position and, inside, up to each inner one.

    `above[axis]` holds, per position of the axes behind it, the sum so far along that axis.
    """
    above: list[dict[tuple[int, ...], Floats]] = [{} for _ in outer]
    found = np.empty(inner)
    for position, slab in zip(product(*(range(size) for size in outer)), slabs, strict=True):
        summed = slab
        for axis in reversed(range(len(outer))):
            behind = position[axis + 1 :]
            if position[axis] == 0:
                above[axis][behind] = summed.copy()
            else:
                above[axis][behind] += summed
            summed = above[axis][behind]
        np.cumsum(summed.reshape(inner), axis=-1, out=found)
        for axis in range(len(inner) - 1):  # plane by plane: numpy's cumsum is slow across memory
            planes = np.moveaxis(found, axis, 0)
            for place in range(1, len(planes)):
                planes[place] += planes[place - 1]
        yield position, found

"""Integer counts over the bins of a few dials, and who is handed over under each of their alternatives.

Nothing here depends on the number of leads. Counts are integers and sums of integers below 2**53 are exact,
so the result is the same whatever the order of the leads, the threads, the size of the blocks or who counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadml.propose._rules import moebius

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Counts = NDArray[np.float64]

__all__ = ["Cells", "Job", "JointCounts", "make_cells"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """What is counted of each lead.

    Attributes
    ----------
    index : ndarray of int of shape (n_leads,)
        ``3 * stratum + label`` for evidence; the last cell for leads that only count as volume.
    n_strata : int
    """

    index: NDArray[np.int32]
    n_strata: int

    @property
    def n(self) -> int:
        """Number of cells."""
        return 3 * self.n_strata + 1

    def leads(self, counts: Counts) -> Counts:
        """Return all leads of counts whose last axis runs over the cells."""
        return np.asarray(counts.sum(-1))

    def evidence(self, counts: Counts) -> Counts:
        """Return accounts (labelled or not)."""
        return np.asarray(counts[..., :-1].sum(-1))

    def labelled(self, counts: Counts) -> Counts:
        """Return labelled accounts per stratum."""
        parts = counts[..., :-1].reshape(*counts.shape[:-1], self.n_strata, 3)
        return np.asarray(parts[..., 1] + parts[..., 2])

    def yes(self, counts: Counts) -> Counts:
        """Return won (accepted) accounts per stratum."""
        return np.asarray(counts[..., :-1].reshape(*counts.shape[:-1], self.n_strata, 3)[..., 2])


def make_cells(
    labels: NDArray[np.int8], strata: NDArray[np.int16], evidence: NDArray[np.bool_], n_strata: int
) -> Cells:
    """Number the cells of all leads."""
    index = 3 * strata.astype(np.int32) + labels
    return Cells(index=np.where(evidence, index, 3 * n_strata).astype(np.int32), n_strata=n_strata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One table of counts that is wanted.

    Attributes
    ----------
    variant : int
        Which variant of the groups, -1 for the written one.
    dials : tuple of int
        Ascending; none for a variant alone.
    only : tuple of int
        Per dial, the one alternative that is looked at, or 0 for all of them.
    """

    variant: int = -1
    dials: tuple[int, ...] = ()
    only: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointCounts:
    """Leads per (truth table, handed over today or not, bin of each dial, cell).

    A lead counts only if some alternative can move it.

    Attributes
    ----------
    tables : tuple of int
        Truth tables of the dials that the other criteria leave (`Patterns.truth`), ascending.
    counts : ndarray of int64 of shape (n_tables, 2, n_bins_1, …, n_cells)
    passes : tuple of ndarray of uint8 of shape (n_alternatives, n_bins)
        Per dial, one bit for each criterion that it turns.
    n_bits : tuple of int
        Per dial, how many criteria it turns.
    """

    tables: tuple[int, ...]
    counts: NDArray[np.int64]
    passes: tuple[NDArray[np.uint8], ...]
    n_bits: tuple[int, ...]

    def moved(self) -> tuple[Counts, Counts]:
        """Count leads gained and lost under every combination of alternatives.

        Returns
        -------
        tuple of ndarray of shape (n_alternatives_1, …, n_cells)
        """
        stays = self._handed_over(1)
        here = self.counts[:, 1].sum(axis=tuple(range(len(self.passes) + 1))).astype(np.float64)
        return self._handed_over(0), here - stays

    def _handed_over(self, side: int) -> Counts:
        """Count the leads of one side that are handed over: a sum over "all of these criteria are met"."""
        k = len(self.passes)
        n_free = sum(self.n_bits)
        shape = (*(len(table) for table in self.passes), self.counts.shape[-1])
        found = np.zeros(shape)
        part = self.counts[:, side]
        if not part.any():
            return found
        terms = np.array([moebius(table, n_free) for table in self.tables], np.int64).reshape(-1, 1 << n_free)
        for subset in range(1 << n_free):
            weights = terms[:, subset]
            if not weights.any():
                continue
            wanted = self._split(subset)
            inside = [axis for axis in range(k) if wanted[axis]]
            summed = part.sum(axis=tuple(1 + axis for axis in range(k) if axis not in inside))
            weighted = np.tensordot(weights, summed, 1)
            met = _all_met(
                weighted,
                [(self.passes[axis] & wanted[axis] == wanted[axis]).astype(np.float64) for axis in inside],
            )
            found += met.reshape(*(shape[axis] if axis in inside else 1 for axis in range(k)), -1)
        return found

    def _split(self, subset: int) -> list[int]:
        """Split a subset of the free criteria into the bits of each dial."""
        found = []
        for n in self.n_bits:
            found.append(subset & ((1 << n) - 1))
            subset >>= n
        return found

    def after(self, turns: Sequence[int]) -> NDArray[np.bool_]:
        """Return which (table, bins) are handed over under one combination of alternatives."""
        k, below = len(self.passes), 0
        state = np.zeros((1,) * (k + 1), np.int64)
        for axis, (table, turn) in enumerate(zip(self.passes, turns, strict=True)):
            shape = (*(1,) * (axis + 1), -1, *(1,) * (k - axis - 1))
            state = state + (table[turn].astype(np.int64) << below).reshape(shape)
            below += self.n_bits[axis]
        tables = np.array(self.tables, np.int64).reshape(-1, *(1,) * k)
        return np.asarray((tables >> state & 1).astype(bool))


def _all_met(counts: NDArray[np.int64], passes: list[Counts]) -> Counts:
    """Count the leads that meet every dial under each combination; cells without a lead are skipped."""
    n_cells = counts.shape[-1]
    used = np.flatnonzero(counts.any(axis=tuple(range(counts.ndim - 1))))
    found = np.zeros((*(len(table) for table in passes), n_cells))
    for cell in used:
        part = counts[..., cell].astype(np.float64)
        for axis, table in enumerate(passes):
            part = np.moveaxis(np.tensordot(table, part, (1, axis)), 0, axis)
        found[..., cell] = part
    return found

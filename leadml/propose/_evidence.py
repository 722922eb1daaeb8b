"""Evidence counts: leads reduced to integers per bin, and every single change and pair read off them.

One pass over the leads for each pair of dials; after it, nothing depends on the number of leads. Counts are
integers and sums of integers below 2**53 are exact, so the result is the same whatever the order of the
leads, the threads or the size of the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from leadml.propose._board import Edit
from leadml.propose._rules import AND, EVERYBODY, LEFT, OR, RIGHT, evaluate_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from leadml.definitions import Group
    from leadml.propose._board import Board, ClassBoard

    Counts = NDArray[np.float64]

__all__ = ["Cells", "PairCounts", "SearchResult", "count_pair", "extend_edits", "make_cells", "search_edits"]

_BLOCK = 1 << 20
_N_KINDS = 6
_N_SIDES = 4


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairCounts:
    """Leads per (kind, side, bin of the first dial, bin of the second, cell).

    Sides: 0 outside and gained on entering the class, 1 inside and lost on leaving it; 2, 3 the reverse
    for a class that keeps leads from being handed over.
    """

    counts: NDArray[np.int64]
    first: NDArray[np.bool_]
    second: NDArray[np.bool_]

    def moved(self) -> tuple[Counts, Counts]:
        """Count leads gained and lost under every combination of alternatives.

        Returns
        -------
        tuple of ndarray of shape (n_first, n_second, n_cells)
        """
        a, b = self.first.astype(np.float64), self.second.astype(np.float64)
        passed = [self._passed(side, a, b) for side in range(_N_SIDES)]
        total = self.counts.sum(axis=(0, 2, 3)).astype(np.float64)
        gained = passed[0] + (total[3] - passed[3])
        lost = passed[2] + (total[1] - passed[1])
        return gained, lost

    def _passed(self, side: int, a: Counts, b: Counts) -> Counts:
        cells = self.counts.shape[-1]
        shape = (len(a), len(b), cells)
        if not self.counts[:, side].any():
            return np.zeros(shape)
        part = self.counts[:, side]
        found = np.zeros(shape)
        if part[AND].any():
            found += _joint(part[AND], a, b)
        if part[OR].any():
            found += part[OR].sum((0, 1)) - _joint(part[OR], 1 - a, 1 - b)
        found += (a @ part[LEFT].sum(1))[:, None, :]
        found += (b @ part[RIGHT].sum(0))[None, :, :]
        found += part[EVERYBODY].sum((0, 1))
        return found

    def both(self, first: int, second: int) -> NDArray[np.bool_]:
        """Return whether leads of each (kind, bin, bin) pass under one combination."""
        a, b = self.first[first][:, None], self.second[second][None, :]
        shape = (a.shape[0], b.shape[1])
        return np.stack(
            [
                np.zeros(shape, bool),
                a & b,
                np.broadcast_to(a, shape),
                np.broadcast_to(b, shape),
                a | b,
                np.ones(shape, bool),
            ]
        )


def _joint(part: NDArray[np.int64], a: Counts, b: Counts) -> Counts:
    """Count the leads that pass both, per cell: one matrix product each, cells without a lead skipped."""
    found = np.zeros((len(a), len(b), part.shape[2]))
    for cell in np.flatnonzero(part.any((0, 1))):
        found[:, :, cell] = a @ part[:, :, cell].astype(np.float64) @ b.T
    return found


def count_pair(
    board: ClassBoard, rule: Group, first: int, second: int | None, rows: NDArray[np.intp], cells: Cells
) -> PairCounts:
    """Count the leads of one pair of dials (or of one dial, `second` None) under a rule.

    Parameters
    ----------
    board : ClassBoard
    rule : Group
        The written rule, or one with another at-least number.
    first, second : int
        Dials.
    rows : ndarray of int
        The leads that count.
    cells : Cells

    Returns
    -------
    PairCounts
    """
    left = board.dials[first]
    right = None if second is None else board.dials[second]
    kinds = board.patterns.kinds(rule, left.address, None if right is None else right.address)
    inside = board.patterns.values(board.rule)
    n_left, n_right = left.passes.shape[1], 1 if right is None else right.passes.shape[1]
    shape = (_N_KINDS, _N_SIDES, n_left, n_right, cells.n)
    size = int(np.prod(shape))
    counts = np.zeros(size, np.int64)
    head = kinds.astype(np.int64) * _N_SIDES + inside
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        index = head[board.patterns.index[block]] + 2 * (board.effect[block] < 0)
        index = index * n_left + left.codes[block]
        index = index * n_right + (0 if right is None else right.codes[block])
        index = index * cells.n + cells.index[block]
        counts += np.bincount(index, minlength=size)
    return PairCounts(
        counts=counts.reshape(shape),
        first=left.passes,
        second=np.ones((1, 1), bool) if right is None else right.passes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """Every change that was looked at, with its counts.

    Attributes
    ----------
    edits : tuple of Edit
    gained, lost : ndarray of shape (n_edits, n_cells)
    cells : Cells
    tables : dict of (board, variant, first dial, second dial) to PairCounts
    """

    edits: tuple[Edit, ...]
    gained: Counts
    lost: Counts
    cells: Cells
    tables: dict[tuple[int, int, int, int | None], PairCounts]


def search_edits(
    board: Board,
    rows: NDArray[np.bool_],
    cells: Cells,
    *,
    max_changes: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> SearchResult:
    """Count every single change and, from `max_changes` 2 on, every pair within a class, exactly.

    Parameters
    ----------
    board : Board
    rows : ndarray of bool of shape (n_leads,)
        The leads to search on.
    cells : Cells
    max_changes : int
    progress : callable, optional
        Called with (step, done, total).

    Returns
    -------
    SearchResult
        Edits in a fixed order.
    """
    jobs = [
        (number, job)
        for number, class_board in enumerate(board.classes)
        if bool((class_board.effect != 0).any())
        for job in _jobs(class_board, max_changes)
    ]
    edits: list[Edit] = []
    gained: list[Counts] = []
    lost: list[Counts] = []
    tables: dict[tuple[int, int, int, int | None], PairCounts] = {}
    for done, (number, (variant, first, second)) in enumerate(jobs):
        if progress is not None:
            progress("counting the evidence", done, len(jobs))
        class_board = board.classes[number]
        places = np.flatnonzero(rows & (class_board.effect != 0))
        rule = class_board.rule if variant < 0 else class_board.variants[variant][1]
        table = count_pair(class_board, rule, first, second, places, cells)
        tables[number, variant, first, second] = table
        up, down = table.moved()
        for s, t in _combinations(class_board, variant, first, second):
            turns = tuple(
                (dial, turn) for dial, turn in ((first, s), (second, t)) if dial is not None and turn
            )
            edit = Edit(board=number, turns=turns, variant=variant)
            if edit.n_changes > min(max_changes, 2):
                continue
            edits.append(edit)
            gained.append(up[s, t])
            lost.append(down[s, t])
    empty = np.zeros((0, cells.n))
    return SearchResult(
        edits=tuple(edits),
        gained=np.array(gained) if gained else empty,
        lost=np.array(lost) if lost else empty,
        cells=cells,
        tables=tables,
    )


def _jobs(board: ClassBoard, max_changes: int) -> Iterator[tuple[int, int, int | None]]:
    turnable = [number for number, dial in enumerate(board.dials) if dial.alternatives]
    for dial in turnable:
        yield -1, dial, None
    for variant in range(len(board.variants)):
        yield variant, (turnable[0] if turnable else 0), None
    if max_changes >= 2:
        for variant in range(len(board.variants)):
            for dial in turnable[1:]:
                yield variant, dial, None
        for first, second in combinations(turnable, 2):
            yield -1, first, second


def _combinations(
    board: ClassBoard, variant: int, first: int, second: int | None
) -> Iterator[tuple[int, int]]:
    n_first = len(board.dials[first].alternatives)
    if second is not None:
        for s in range(1, n_first + 1):
            for t in range(1, len(board.dials[second].alternatives) + 1):
                yield s, t
    elif variant < 0:
        for s in range(1, n_first + 1):
            yield s, 0
    else:
        turnable = [number for number, dial in enumerate(board.dials) if dial.alternatives]
        if not turnable or first == turnable[0]:
            yield 0, 0
        for s in range(1, n_first + 1):
            yield s, 0


def extend_edits(
    board: Board, found: SearchResult, rows: NDArray[np.bool_], parents: Iterable[Edit]
) -> SearchResult:
    """Add every third change to each of some pairs, counted exactly.

    All triples of a definition with eight criteria would be millions; those that extend none of the best
    pairs are not looked at.

    Parameters
    ----------
    board : Board
    found : SearchResult
        Of singles and pairs.
    rows : ndarray of bool of shape (n_leads,)
        The leads to search on.
    parents : iterable of Edit
        Pairs of dials.

    Returns
    -------
    SearchResult
        `found` and the triples behind it, each once.
    """
    known = set(found.edits)
    edits: list[Edit] = []
    gained: list[Counts] = []
    lost: list[Counts] = []
    for parent in parents:
        class_board = board.classes[parent.board]
        places = np.flatnonzero(rows & (class_board.effect != 0))
        taken = {dial for dial, _ in parent.turns}
        for third, dial in enumerate(class_board.dials):
            if third in taken or not dial.alternatives:
                continue
            up, down = _count_third(class_board, parent, third, places, found.cells).moved()
            for number in range(1, len(dial.alternatives) + 1):
                edit = Edit(board=parent.board, turns=tuple(sorted((*parent.turns, (third, number)))))
                if edit not in known:
                    known.add(edit)
                    edits.append(edit)
                    gained.append(up[number, 0])
                    lost.append(down[number, 0])
    if not edits:
        return found
    return SearchResult(
        edits=(*found.edits, *edits),
        gained=np.vstack([found.gained, gained]),
        lost=np.vstack([found.lost, lost]),
        cells=found.cells,
        tables=found.tables,
    )


def _count_third(
    board: ClassBoard, parent: Edit, third: int, rows: NDArray[np.intp], cells: Cells
) -> PairCounts:
    """Count the leads per bin of a third dial when two others are already turned."""
    dial = board.dials[third]
    turned = dict(parent.turns)
    bits = {
        other.address: other.passes[turned.get(number, 0)][other.codes[rows]]
        for number, other in enumerate(board.dials)
    }
    nobody = np.zeros(len(rows), bool)
    without = evaluate_rule(board.rule, bits | {dial.address: nobody})
    with_it = evaluate_rule(board.rule, bits | {dial.address: ~nobody})
    kind = np.where(without, EVERYBODY, np.where(with_it, LEFT, 0)).astype(np.int64)
    inside = board.patterns.values(board.rule)[board.patterns.index[rows]]
    n_bins = dial.passes.shape[1]
    index = kind * _N_SIDES + inside + 2 * (board.effect[rows] < 0)
    index = (index * n_bins + dial.codes[rows]) * cells.n + cells.index[rows]
    shape = (_N_KINDS, _N_SIDES, n_bins, 1, cells.n)
    counts = np.bincount(index, minlength=int(np.prod(shape))).reshape(shape)
    return PairCounts(counts=counts, first=dial.passes, second=np.ones((1, 1), bool))

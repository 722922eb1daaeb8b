"""Evidence counts: one pass over the leads for each pair of dials, every change read off the counts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from leadml.propose._board import Edit
from leadml.propose._joint import Cells, Job, JointCounts, make_cells
from leadml.propose._rules import MOST_FREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from leadml.propose._board import Board

    Counts = NDArray[np.float64]
    Count = Callable[[tuple[Job, ...]], Iterable[JointCounts]]

__all__ = ["Cells", "SearchResult", "count_joint", "extend_edits", "make_cells", "search_edits"]

_BLOCK = 1 << 20
MOST_TRIPLES = 50_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """Every change that was looked at, with its counts.

    Attributes
    ----------
    edits : tuple of Edit
    gained, lost : ndarray of shape (n_edits, n_cells)
    cells : Cells
    tables : dict of Job to JointCounts
    """

    edits: tuple[Edit, ...]
    gained: Counts
    lost: Counts
    cells: Cells
    tables: dict[Job, JointCounts]


def count_joint(board: Board, job: Job, rows: NDArray[np.intp], cells: Cells) -> JointCounts:
    """Count the leads of one job.

    Parameters
    ----------
    board : Board
    job : Job
    rows : ndarray of int
        The leads that count.
    cells : Cells

    Returns
    -------
    JointCounts
    """
    dials = [board.dials[number] for number in job.dials]
    passes = tuple(view_passes(board, job))
    free = [address for dial in dials for address in dial.criteria]
    truth = board.patterns.truth(board.handoff_of(job.variant), free)
    handed = board.patterns.values(board.handoff)
    # A lead that every combination treats as today can not move.
    moves = truth != np.where(handed, (1 << (1 << len(free))) - 1, 0)
    tables: NDArray[np.int64] = np.unique(truth[moves])
    head = np.where(moves, 2 * np.searchsorted(tables, truth) + handed, -1).astype(np.int32)
    shape = (len(tables), 2, *(table.shape[1] for table in passes), cells.n)
    counts = np.zeros(int(np.prod(shape)), np.int64)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        heads = head[board.patterns.index[block]]
        places = np.flatnonzero(heads >= 0)
        block, index = block[places], heads[places].astype(np.int64)
        for dial, turn, table in zip(dials, job.only, passes, strict=True):
            bins = dial.passes[turn][dial.codes[block]] if turn else dial.codes[block]
            index *= table.shape[1]
            index += bins
        index *= cells.n
        index += cells.index[block]
        counts += np.bincount(index, minlength=len(counts))
    return strip(board, job, tables.tolist(), counts.reshape(shape))


def view_passes(board: Board, job: Job) -> Iterator[NDArray[np.uint8]]:
    """Yield what passes of each dial of a job; of one alternative, what its bins are: fails, passes."""
    for number, turn in zip(job.dials, job.only, strict=True):
        dial = board.dials[number]
        yield np.arange(1 << len(dial.criteria), dtype=np.uint8)[None] if turn else dial.passes


def strip(board: Board, job: Job, tables: Sequence[int], counts: NDArray[np.int64]) -> JointCounts:
    """Leave out the truth tables that no lead has."""
    used = np.flatnonzero(counts.any(axis=tuple(range(1, counts.ndim)))).tolist()
    return JointCounts(
        tables=tuple(tables[place] for place in used),
        counts=counts[used],
        passes=tuple(view_passes(board, job)),
        n_bits=tuple(len(board.dials[number].criteria) for number in job.dials),
    )


def search_edits(
    board: Board,
    rows: NDArray[np.bool_],
    cells: Cells,
    *,
    max_changes: int,
    count: Count | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> SearchResult:
    """Count every single change, from `max_changes` 2 on every pair, and triples if they are few, exactly.

    Parameters
    ----------
    board : Board
    rows : ndarray of bool of shape (n_leads,)
        The leads to search on.
    cells : Cells
    max_changes : int
    count : callable, optional
        Counts all jobs at once; by default each is counted here.
    progress : callable, optional
        Called with (step, done, total).

    Returns
    -------
    SearchResult
        Edits in a fixed order.
    """
    jobs = tuple(_find_jobs(board, max_changes))
    found = _Found(board=board, cells=cells)
    answers = _count(board, jobs, rows, cells) if count is None or not jobs else count(jobs)
    for done, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
        if progress is not None:
            progress("counting the evidence", done, len(jobs))
        found.add(job, answer)
    return found.result()


def _count(board: Board, jobs: Iterable[Job], rows: NDArray[np.bool_], cells: Cells) -> Iterator[JointCounts]:
    places = np.flatnonzero(rows)
    return (count_joint(board, job, places, cells) for job in jobs)


def count_triples(board: Board) -> int:
    """Count the triples of dials of a board."""
    sizes = [len(board.dials[number].alternatives) for number in board.turnable]
    return sum(a * b * c for a, b, c in combinations(sizes, 3))


def _find_jobs(board: Board, max_changes: int) -> Iterator[Job]:
    turnable = board.turnable
    for dial in turnable:
        yield Job(dials=(dial,), only=(0,))
    for dial in board.segmented:
        yield Job(dials=(dial,), only=(0,))
    for variant, entry in enumerate(board.variants):
        if len(entry.changes) <= max_changes:
            yield Job(variant=variant)
    for size in range(1, max_changes):
        if size == 2 and count_triples(board) > MOST_TRIPLES:
            return
        for variant, entry in enumerate(board.variants):
            if len(entry.changes) + size <= max_changes:
                for dials in _combine(board, size):
                    yield Job(variant=variant, dials=dials, only=(0,) * size)
        for dials in _combine(board, size + 1):
            yield Job(dials=dials, only=(0,) * (size + 1))


def _combine(board: Board, size: int) -> Iterator[tuple[int, ...]]:
    """Yield the dials that can be turned together, `size` at a time."""
    return (dials for dials in combinations(board.turnable, size) if _together(board, dials))


def _together(board: Board, dials: Sequence[int]) -> bool:
    return board.apart(dials) and sum(len(board.dials[number].criteria) for number in dials) <= MOST_FREE


class _Found:
    """Edits with their counts, collected job by job."""

    def __init__(self, *, board: Board, cells: Cells, known: Iterable[Edit] = ()) -> None:
        self.board, self.cells = board, cells
        self.edits: list[Edit] = []
        self.known = set(known)
        self.gained: list[Counts] = []
        self.lost: list[Counts] = []
        self.tables: dict[Job, JointCounts] = {}

    def add(self, job: Job, counts: JointCounts) -> None:
        """Read every combination in which all dials of the job are turned off the counts."""
        self.tables[job] = counts
        gained, lost = counts.moved()
        kept = list(_read_edits(self.board, job))
        if self.known:  # only triples behind given pairs can be met twice
            kept = [(spot, edit) for spot, edit in kept if edit not in self.known]
            self.known.update(edit for _, edit in kept)
        self.edits += [edit for _, edit in kept]
        spots = np.array([spot for spot, _ in kept], np.intp).reshape(len(kept), len(job.dials))
        self.gained.append(gained[tuple(spots.T)].reshape(len(kept), self.cells.n))
        self.lost.append(lost[tuple(spots.T)].reshape(len(kept), self.cells.n))

    def result(self) -> SearchResult:
        empty = [np.zeros((0, self.cells.n))]
        return SearchResult(
            edits=tuple(self.edits),
            gained=np.vstack(self.gained or empty),
            lost=np.vstack(self.lost or empty),
            cells=self.cells,
            tables=self.tables,
        )


def _read_edits(board: Board, job: Job) -> Iterator[tuple[tuple[int, ...], Edit]]:
    """Yield the place in the counts and the edit of every combination that turns all dials of a job.

    Those that would leave a group without enough criteria are left out.
    """
    n_changes = len(job.dials) + (len(board.variants[job.variant].changes) if job.variant >= 0 else 0)
    # A threshold that differs in a segment is as much to agree to as two changes.
    n_changes += sum(bool(board.dials[dial].segment) for dial in job.dials)
    turns = [
        [
            (dial, number)
            for number in ([turn] if turn else range(1, len(board.dials[dial].alternatives) + 1))
            if job.variant < 0 or board.fits(job.variant, dial, number)
        ]
        for dial, turn in zip(job.dials, job.only, strict=True)
    ]
    spots = [
        [0 if turn else number for _, number in listed] for turn, listed in zip(job.only, turns, strict=True)
    ]
    dropped = {
        (dial, number) for listed in turns for dial, number in listed if board.dials[dial].drops(number)
    }
    for spot, chosen in zip(product(*spots), product(*turns), strict=True):
        edit = Edit(turns=chosen, variant=job.variant, n_changes=n_changes)
        if len(dropped) < 2 or dropped.isdisjoint(chosen) or board.leaves_enough(edit):
            yield spot, edit


def extend_edits(
    board: Board,
    found: SearchResult,
    rows: NDArray[np.bool_],
    parents: Iterable[Edit],
    *,
    count: Count | None = None,
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
    count : callable, optional
        As in `search_edits`.

    Returns
    -------
    SearchResult
        `found` and the triples behind it, each once.
    """
    jobs = []
    for parent in parents:
        for third in board.turnable:
            turned = dict(parent.turns)
            if third not in turned and _together(board, (*turned, third)):
                turned[third] = 0
                dials = tuple(sorted(turned))
                jobs.append(
                    Job(variant=parent.variant, dials=dials, only=tuple(turned[dial] for dial in dials))
                )
    more = _Found(board=board, cells=found.cells, known=found.edits)
    wanted = tuple(jobs)
    answers = _count(board, wanted, rows, found.cells) if count is None or not wanted else count(wanted)
    for job, answer in zip(wanted, answers, strict=True):
        more.add(job, answer)
    added = more.result()
    if not added.edits:
        return found
    return SearchResult(
        edits=(*found.edits, *added.edits),
        gained=np.vstack([found.gained, added.gained]),
        lost=np.vstack([found.lost, added.lost]),
        cells=found.cells,
        tables=found.tables,
    )

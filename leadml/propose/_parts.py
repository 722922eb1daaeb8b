"""Leads in parts, wherever they are: the same review, and no more than counts in one place.

An engine holds the parts and runs a function on each of them (`LeadParts`). Everything that a review fixes is
found from the answers; a function that needs more than the leads of its part is handed it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
import pandas as pd

from leadml.errors import LeadsError
from leadml.leads import (
    LeadTable,
    SplitPoint,
    compute_targets,
    count_lags,
    curve_from_counts,
    find_leaks,
    last_mature_start,
    sort_findings,
    split_at,
    split_by_quarters,
    target_windows,
    window_from_curve,
)
from leadml.propose._bins import read_numbers
from leadml.propose._board import build_board
from leadml.propose._evidence import count_joint, make_cells
from leadml.propose._goal import resolve_target
from leadml.propose._leads import (
    account_keys,
    find_bounds,
    find_times,
    matured_since,
    read_labels,
    repeated_accounts,
    windows_within,
)
from leadml.propose._ranges import Summary, count_levels, count_texts, find_ranges, find_ranked
from leadml.propose._review import (
    Review,
    find_stakes,
    find_strata,
    is_gained_trusted,
    usable_goal,
    with_stakes,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import AuditFinding
    from leadml.propose._goal import Goal
    from leadml.propose._joint import Job
    from leadml.propose._leads import Times

    Counts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    Target = Literal["accepted", "won"]

__all__ = ["LeadPart", "LeadParts", "open_parts"]

T = TypeVar("T")
_BUCKETS = 64  # accounts are settled so many at a time
_NO_ROWS = np.zeros(0, np.intp)
_LABELS = ("verdict", "outcome", "decided", "closed", "created", "handed_over")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeadPart:
    """Some of the leads.

    Attributes
    ----------
    table : LeadTable
        Its rows are numbered from 0.
    dropped : tuple of ndarray of int
        Rows for which another lead of their account stands: in the windows of the review, and with all
        matured leads since the confirmation window began.
    """

    table: LeadTable
    dropped: tuple[NDArray[np.intp], NDArray[np.intp]] = (_NO_ROWS, _NO_ROWS)


class LeadParts(Protocol):
    """An engine that holds leads in parts. What it is handed are functions of one part."""

    @property
    def empty(self) -> LeadTable:
        """Return a table without leads: the contract, the day of the export, how many rows were read."""
        ...

    def with_contract(self, contract: Any, /) -> LeadParts:
        """Return the same leads under a contract whose windows are settled."""
        ...

    def gather(self, ask: Callable[[LeadPart], T], /) -> list[T]:
        """Return the answers of all parts, in the order of the leads."""
        ...

    def count(self, ask: Callable[[LeadPart], Counts], /) -> Counts:
        """Add up answers of job, key and number, by job and key."""
        ...

    def regroup(
        self,
        emit: Callable[[LeadPart], Mapping[str, Any]],
        settle: Callable[[str, list[tuple[int, Any]]], Any],
        /,
    ) -> list[Any]:
        """Bring what the parts emit under one key together, in the order of the parts; return the answers."""
        ...

    def drop(
        self,
        emit: Callable[[LeadPart], Mapping[str, Any]],
        settle: Callable[[str, list[tuple[int, Any]]], Mapping[int, Any]],
        /,
    ) -> LeadParts:
        """Do the same and hand the answers, rows by the number of the part, back to the parts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Divided:
    """The parts of a review (`Review.parts`)."""

    leads: LeadParts
    summary: Summary = field(default_factory=Summary)

    def gather(self, review: Review, ask: Callable[[Review], T]) -> list[T]:
        return self.leads.gather(partial(_ask_part, replace(review, parts=None), self.summary, ask))

    def count(self, review: Review, jobs: tuple[Job, ...]) -> Counts:
        return self.leads.count(partial(_ask_part, replace(review, parts=None), self.summary, _Jobs(jobs)))

    def find_leaks(self) -> tuple[AuditFinding, ...]:
        found = self.leads.regroup(_emit_columns, partial(_find_leaks, self.leads.empty))
        return sort_findings([finding for findings in found for finding in findings])


def _ask_part(review: Review, summary: Summary, ask: Callable[[Review], T], part: LeadPart) -> T:
    return ask(_view(review, summary, part))


def _view(review: Review, summary: Summary, part: LeadPart) -> Review:
    """Return a review of all leads as one of a part."""
    table, targets = part.table, compute_targets(part.table)
    windows = windows_within(targets, review.times, target=review.target)
    board = build_board(
        review.definition, table.frame, sample=summary, as_of=table.as_of, segments=review.segments
    )
    evidence = windows.discover | windows.confirm
    later = matured_since(targets, review.times, review.target)
    later_evidence = later.copy()
    evidence[part.dropped[0]], later_evidence[part.dropped[1]] = False, False
    return replace(
        review,
        table=table,
        targets=targets,
        windows=windows,
        board=board,
        evidence=evidence,
        later_evidence=later_evidence,
        strata=find_strata(review.definition, table, review.stakes),
        labels=read_labels(
            table, targets, target=review.target, rows=windows.discover, handed_over=board.handed_over
        ),
    )


@dataclass(frozen=True, slots=True)
class _Jobs:
    """Counts the evidence of a part, every group of leads that occurs."""

    jobs: tuple[Job, ...]

    def __call__(self, review: Review) -> Counts:
        cells = make_cells(review.labels, review.strata, review.evidence, review.n_strata)
        rows = np.flatnonzero(review.windows.discover)
        found = [_sparse(number, review, job, rows, cells) for number, job in enumerate(self.jobs)]
        job, key, n = (np.concatenate([part[place] for part in found]) for place in range(3))
        return job, key, n


def _sparse(number: int, review: Review, job: Job, rows: NDArray[np.intp], cells: Any) -> Counts:
    counts = count_joint(review.board, job, rows, cells)
    inner = int(np.prod(counts.counts.shape[1:]))
    flat = counts.counts.ravel()
    spots = np.flatnonzero(flat)
    table, place = np.divmod(spots, inner)
    key = np.array(counts.tables, np.int64)[table] * inner + place
    return np.full(len(spots), number), key.astype(np.int64), flat[spots].astype(np.int64)


# -- opening a review --------------------------------------------------------------------------------------


def open_parts(
    definition: Definition,
    leads: LeadParts,
    *,
    goal: Goal,
    confirm_from: dt.date | None,
    min_change: int,
    error_rate: float,
    segments: Sequence[str] = (),
) -> Review:
    """Fix everything that does not need a confirmation label, as `open_review` does.

    Parameters
    ----------
    definition : Definition
    leads : LeadParts
    goal : Goal
    confirm_from : date or None
        First day of the confirmation window; by default the last two matured quarters.
    min_change, error_rate, segments
        As in `propose_changes`.

    Returns
    -------
    Review
        Without a lead; it asks the parts.

    Raises
    ------
    LeadsError
        If the leads have no dates.
    """
    if compute_targets(leads.empty)["t0"].dtype.kind != "M":
        raise LeadsError(
            f"{leads.empty.contract.source}: leads without a date of creation or handoff can only be split "
            "in time on one machine. Use the engine local."
        )
    leads = leads.with_contract(_settled_windows(leads))
    notices: list[str] = []
    known = np.any(leads.gather(_find_known), axis=0)
    wanted, goal = goal, usable_goal(goal, won=bool(known[0]), accepted=bool(known[1]), notices=notices)
    target = resolve_target(goal)
    point = _find_point(leads, target, confirm_from if goal is wanted else None)
    bounds, periods = _find_split(leads, target, point)
    times = find_times(partial(_gather_targets, leads), bounds, target=target)
    summary = _summarise(definition, leads, times, target)
    review = _first_view(
        definition,
        leads,
        summary,
        times,
        target=target,
        goal=goal,
        periods=periods,
        min_change=min_change,
        segments=tuple(segments),
    )
    review = replace(review, error_rate=error_rate)
    if leads.empty.role("account") is not None:
        emit = partial(_ask_part, replace(review, parts=None), summary, _emit_accounts)
        leads = leads.drop(emit, _settle_accounts)
        review = replace(review, parts=_Divided(leads=leads, summary=summary))
    stakes = find_stakes(review, notices)
    trusted = is_gained_trusted(review, notices)
    return with_stakes(replace(review, stakes=stakes), stakes, trusted=trusted, notices=notices)


def _first_view(
    definition: Definition,
    leads: LeadParts,
    summary: Summary,
    times: Times,
    *,
    target: Target,
    goal: Goal,
    periods: tuple[tuple[str, ...], tuple[str, ...]],
    min_change: int,
    segments: tuple[str, ...],
) -> Review:
    """Return the review as one of no lead, that asks the parts."""
    table = leads.empty
    targets = compute_targets(table)
    nobody = np.zeros(len(targets), bool)
    return Review(
        definition=definition,
        table=table,
        targets=targets,
        goal=goal,
        periods=periods,
        target=target,
        times=times,
        windows=windows_within(targets, times, target=target),
        board=build_board(definition, table.frame, sample=summary, as_of=table.as_of, segments=segments),
        segments=segments,
        evidence=nobody,
        later_evidence=nobody,
        strata=np.zeros(len(targets), np.int16),
        labels=np.zeros(len(targets), np.int8),
        weights=None,
        min_change=min_change,
        error_rate=0.05,
        parts=_Divided(leads=leads, summary=summary),
    )


def _gather_targets(leads: LeadParts, ask: Callable[[pd.DataFrame], T]) -> list[T]:
    return leads.gather(partial(_ask_targets, ask))


def _ask_targets(ask: Callable[[pd.DataFrame], T], part: LeadPart) -> T:
    return ask(compute_targets(part.table))


def _find_known(part: LeadPart) -> tuple[bool, bool]:
    targets = compute_targets(part.table)
    return bool(targets["won"].notna().any()), bool(targets["accepted"].notna().any())


def _settled_windows(leads: LeadParts) -> Any:
    """Return the contract with the windows that it leaves to the data."""
    contract = leads.empty.contract
    return replace(
        contract,
        windows_verdict=contract.windows_verdict or _find_window(leads, "accepted"),
        windows_outcome=contract.windows_outcome or _find_window(leads, "won"),
    )


def _find_window(leads: LeadParts, target: Target) -> int | None:
    lags: Counter[float] = Counter()
    ages: Counter[float] = Counter()
    for part in leads.gather(partial(_count_lags, target)):
        lags.update(part[0])
        ages.update(part[1])
    return window_from_curve(curve_from_counts(lags, ages))


def _count_lags(target: Target, part: LeadPart) -> tuple[Counter[float], Counter[float]]:
    return count_lags(part.table, target=target)


def _find_point(leads: LeadParts, target: Target, confirm_from: dt.date | None) -> SplitPoint | None:
    """Find where the confirmation window begins, as `leadml.leads.split_periods` does."""
    if confirm_from is not None:
        return SplitPoint(since=pd.Timestamp(confirm_from))
    found = leads.gather(partial(_count_quarters, target))
    n = sum(part[1] for part in found)
    last_t0 = last_mature_start(target_windows(leads.empty)[target], leads.empty.as_of)
    point = split_by_quarters(set().union(*(part[0] for part in found)), last_t0)
    if point is not None or not n:
        return point
    place = 0.6 * (n - 1)
    ranks = (int(place), min(int(place) + 1, n - 1))
    around = find_ranked(leads.gather, partial(_usable_starts, target), {"t0": ranks})["t0"]
    starts = pd.Series(np.array(around, "datetime64[us]"))
    since: Any = starts.quantile(place - int(place))
    return SplitPoint(since=since, included=False)


def _usable(target: Target, part: LeadPart) -> pd.Series[Any]:
    targets = compute_targets(part.table)
    split = split_at(targets, None, target=target)
    return pd.Series(targets["t0"].to_numpy())[split.discover]


def _count_quarters(target: Target, part: LeadPart) -> tuple[set[pd.Period], int]:
    start = _usable(target, part)
    return set(start.dt.to_period("Q").unique()), len(start)


def _usable_starts(target: Target, part: LeadPart) -> dict[str, NDArray[np.int64]]:
    return {"t0": _usable(target, part).to_numpy().astype("datetime64[us]").astype(np.int64)}


def _find_split(
    leads: LeadParts, target: Target, point: SplitPoint | None
) -> tuple[tuple[Any, Any], tuple[tuple[str, ...], tuple[str, ...]]]:
    parts = leads.gather(partial(_split_part, target, point))
    known = [part[0] for part in parts if part[0][0] is not None]
    bounds = (min(first for first, _ in known), max(last for _, last in known)) if known else (None, None)
    discover, confirm = (tuple(sorted(set().union(*(part[side] for part in parts)))) for side in (1, 2))
    return bounds, (discover, confirm)


def _split_part(
    target: Target, point: SplitPoint | None, part: LeadPart
) -> tuple[tuple[Any, Any], tuple[str, ...], tuple[str, ...]]:
    targets = compute_targets(part.table)
    split = split_at(targets, point, target=target)
    return find_bounds(targets, split), split.discover_periods, split.confirm_periods


def _summarise(definition: Definition, leads: LeadParts, times: Times, target: Target) -> Summary:
    """Find where the numbers of the older quarters lie and which texts are frequent there."""
    given = set(leads.empty.frame.columns)
    scores = [score.name for score in definition.points]
    listed = [attribute for attribute in definition.typed_attributes().values() if attribute.age_of is None]
    numbers = tuple(
        each.name
        for each in listed
        if each.is_numeric and not each.steps and (each.name in given or each.name in scores)
    )
    texts = tuple(
        each.name for each in listed if each.type == "category" and not each.levels and each.name in given
    )
    read = partial(_read_numbers, definition, times, target, numbers)
    levels = partial(_read_texts, times, target, texts)
    return Summary(
        ranges=find_ranges(leads.gather, read) if numbers else {},
        levels=count_levels(leads.gather, levels) if texts else {},
    )


def _read_numbers(
    definition: Definition, times: Times, target: Target, names: Sequence[str], part: LeadPart
) -> dict[str, NDArray[np.float64]]:
    rows = windows_within(compute_targets(part.table), times, target=target).discover
    attributes = definition.typed_attributes()
    frame, as_of = part.table.frame, part.table.as_of
    return {name: read_numbers(definition, attributes[name], frame, as_of)[rows] for name in names}


def _read_texts(
    times: Times, target: Target, names: Sequence[str], part: LeadPart
) -> dict[str, Mapping[str, int]]:
    rows = windows_within(compute_targets(part.table), times, target=target).discover
    return {name: count_texts(part.table.frame, name, rows) for name in names}


# -- accounts and columns, each brought together -----------------------------------------------------------


def _emit_accounts(review: Review) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """List the leads with an account, in either pair of windows, in buckets of accounts."""
    later = matured_since(review.targets, review.times, review.target)
    both = [
        account_keys(review.table, review.targets, windows, review.board.handed_over)
        for windows in (review.windows, replace(review.windows, confirm=later))
    ]
    found: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
    now, since = (keys if keys is not None else pd.DataFrame({"account": []}) for keys in both)
    buckets = [
        np.array([zlib.crc32(text.encode()) % _BUCKETS for text in keys["account"]], np.intp)
        for keys in (now, since)
    ]
    for bucket in range(_BUCKETS):
        mine = now[buckets[0] == bucket], since[buckets[1] == bucket]
        if len(mine[0]) or len(mine[1]):
            found[str(bucket)] = mine
    return found


def _settle_accounts(
    _bucket: str, listed: list[tuple[int, tuple[pd.DataFrame, pd.DataFrame]]]
) -> dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Say of each part for which of its leads another lead of the account stands."""
    dropped: list[list[NDArray[np.intp]]] = []
    for side in (0, 1):
        frames = [frames[side] for _, frames in listed]
        repeated = repeated_accounts(pd.concat(frames))
        ends = np.cumsum([len(frame) for frame in frames])[:-1]
        dropped.append(
            [
                frame.index.to_numpy()[rows].astype(np.intp)
                for frame, rows in zip(frames, np.split(repeated, ends), strict=True)
            ]
        )
    return {number: (dropped[0][place], dropped[1][place]) for place, (number, _) in enumerate(listed)}


def _emit_columns(part: LeadPart) -> dict[str, pd.DataFrame]:
    """Return each attribute with the verdicts, outcomes and dates."""
    return {name: part.table.frame[names] for name, names in _columns(part.table)}


def _columns(table: LeadTable) -> Iterator[tuple[str, list[str]]]:
    kept = [column.name for column in table.contract.columns if column.role in _LABELS]
    for column in table.contract.columns:
        if column.role == "attribute":
            yield column.name, [column.name, *kept]


def _find_leaks(
    empty: LeadTable, name: str, listed: list[tuple[int, pd.DataFrame]]
) -> tuple[AuditFinding, ...]:
    """Look at one attribute of all leads."""
    frames = [frame for _, frame in listed]
    columns = {each: _join([frame[each] for frame in frames]) for each in frames[0].columns}
    frame = pd.DataFrame(columns)
    contract = replace(
        empty.contract, columns=tuple(each for each in empty.contract.columns if each.name in columns)
    )
    table = replace(empty, frame=frame, contract=contract)
    return tuple(each for each in find_leaks(table, compute_targets(table)) if each.column == name)


def _join(parts: list[pd.Series[Any]]) -> pd.Series[Any]:
    if not all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
        return pd.concat(parts, ignore_index=True)
    levels = parts[0].cat.categories
    if not all(part.cat.categories.equals(levels) for part in parts):  # undeclared: those of each part
        levels = pd.Index(sorted(set().union(*(part.cat.categories for part in parts))))
    return pd.concat([part.cat.set_categories(levels) for part in parts], ignore_index=True)

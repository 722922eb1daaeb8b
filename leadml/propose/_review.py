"""One review before its registration: the definition on the leads, windows, prices and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from leadml import __version__
from leadml._render import format_rate
from leadml.definitions import criterion_mask
from leadml.leads import find_leaks, split_periods
from leadml.propose._board import Board, build_board
from leadml.propose._censor import compute_censoring
from leadml.propose._goal import Goal, Stakes, resolve_target, shadow_stakes, signed_stakes, weighted_stakes
from leadml.propose._judge import NOBODY, Tally
from leadml.propose._leads import (
    Times,
    Windows,
    find_bounds,
    find_times,
    match_explored,
    matured_since,
    read_labels,
    select_evidence,
    span_of,
    windows_within,
)
from leadml.propose._ranges import count_levels, count_texts, find_ranges
from leadml.propose._registration import Registration

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import AuditFinding, LeadTable, TimeSplit
    from leadml.propose._joint import Job
    from leadml.propose._ranges import NumberRange

    Counts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    Bits = NDArray[np.bool_]

__all__ = ["FEWEST_WINS", "Parts", "Review", "make_registration", "open_review"]

FEWEST_WINS = 5  # in each window: fewer, and the outcome is not recorded rather than bad
_ALL_WORKED = 0.99
_FEW_OUTSIDE = 0.2

ConfirmWith = Literal["matured", "weighted"]
T = TypeVar("T")


class Parts(Protocol):
    """Leads in parts, wherever they are: each part is asked there, and only its answer comes back."""

    def gather(self, review: Review, ask: Callable[[Review], T], /) -> list[T]:
        """Return what `ask` says of each part, in the order of the leads."""
        ...

    def count(self, review: Review, jobs: tuple[Job, ...], /) -> Counts:
        """Return number of the job, key and number of leads of every group (`CountRequest.read`)."""
        ...

    def find_leaks(self) -> tuple[AuditFinding, ...]:
        """Find what `leadml.leads.find_leaks` finds in all leads."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Review:
    """Everything that is fixed before a confirmation label is read.

    Attributes
    ----------
    definition, table, targets, goal
        As given; of a review of leads in parts, the part at hand.
    periods : tuple of (discover, confirm)
        Names of the periods of either window.
    target : {"accepted", "won"}
        The label that decides.
    windows : Windows
    board : Board
    evidence : ndarray of bool of shape (n_leads,)
        Leads that count (one per account and window; of an exploration band the picked ones).
    later_evidence : ndarray of bool of shape (n_leads,)
        The same for the confirmation window and the matured leads after it.
    stakes : Stakes or None
        None where nothing can be judged; `notices` say why.
    strata : ndarray of int16 of shape (n_leads,)
        Price stratum, times probability of being picked.
    labels : ndarray of int8
        Labels of the older quarters only.
    weights : ndarray of float or None
        For leads of the confirmation window that are weighted for censoring.
    times : Times
        Of all leads.
    handed : Tally
        Labels of the leads handed over in the older quarters.
    parts : Parts or None
        Where all leads are, if only some are at hand; all counts of the review are then of those.
    gained_trusted : bool
        Whether a label of a lead outside the definition may be taken at its word.
    few_wins : bool
        Whether so few leads handed over are recorded as won that none of them may be called bad: only what
        takes no lead away can be judged, by the outcomes of the leads that it adds.
    segments : tuple of str
        Attributes by which thresholds may differ.
    """

    definition: Definition
    table: LeadTable
    targets: pd.DataFrame
    goal: Goal
    periods: tuple[tuple[str, ...], tuple[str, ...]]
    target: Literal["accepted", "won"]
    times: Times
    windows: Windows
    board: Board
    evidence: Bits
    later_evidence: Bits
    strata: NDArray[np.int16]
    labels: NDArray[np.int8]
    weights: NDArray[np.float64] | None
    min_change: int
    error_rate: float
    segments: tuple[str, ...] = ()
    stakes: Stakes | None = None
    gained_trusted: bool = True
    few_wins: bool = False
    n_handed: int = 0
    handed: Tally = NOBODY
    max_leads: float | None = None
    notices: tuple[str, ...] = ()
    parts: Parts | None = None

    def gather(self, ask: Callable[[Review], T]) -> list[T]:
        """Ask every part of the leads the same; leads that are all at hand are one part."""
        return [ask(self)] if self.parts is None else self.parts.gather(self, ask)

    def find_ranges(self, names: Sequence[str]) -> dict[str, NumberRange]:
        """Find where the values of some attributes lie in the confirmation window."""
        return find_ranges(self.gather, partial(_read_numbers, tuple(names)))

    def find_levels(self, names: Sequence[str]) -> dict[str, Counter[str]]:
        """Count the texts of some attributes in the confirmation window."""
        return count_levels(self.gather, partial(_read_levels, tuple(names)))

    def find_leaks(self) -> tuple[AuditFinding, ...]:
        """Find the attributes that tell a label better than anything known at the handoff can."""
        if self.parts is not None:
            return self.parts.find_leaks()
        return find_leaks(self.table, self.targets)

    @property
    def n_strata(self) -> int:
        """Number of strata."""
        return 1 if self.stakes is None else self.stakes.n_strata


def _read_numbers(names: tuple[str, ...], review: Review) -> dict[str, NDArray[np.float64]]:
    frame = review.table.frame.loc[review.windows.confirm, list(names)]
    return {name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in names}


def _read_levels(names: tuple[str, ...], review: Review) -> dict[str, Mapping[str, int]]:
    return {name: count_texts(review.table.frame, name, review.windows.confirm) for name in names}


def open_review(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    goal: Goal,
    split: TimeSplit,
    min_change: int,
    error_rate: float,
    explored: pd.DataFrame | None,
    confirm_with: ConfirmWith,
    segments: Sequence[str] = (),
) -> Review:
    """Fix everything that does not need a confirmation label."""
    notices: list[str] = []
    wanted, known = goal, (targets["won"].notna().any(), targets["accepted"].notna().any())
    goal = usable_goal(goal, won=bool(known[0]), accepted=bool(known[1]), notices=notices)
    if goal is not wanted:
        split = split_periods(table, targets, target="accepted")
    target = resolve_target(goal)
    times = find_times(lambda ask: [ask(targets)], find_bounds(targets, split), target=target)
    windows = windows_within(targets, times, target=target)
    weights = None
    if confirm_with == "weighted" and target == "won":
        windows, weights, words = compute_censoring(table, targets, windows)
        notices += [words] if words else []
    times = replace(times, confirm=span_of(targets["t0"][windows.confirm])) if weights is not None else times
    board = build_board(
        definition, table.frame, sample=windows.discover, as_of=table.as_of, segments=segments
    )
    evidence = select_evidence(table, targets, windows, board.handed_over)
    later = matured_since(targets, times, target)
    later_evidence = select_evidence(table, targets, replace(windows, confirm=later), board.handed_over)
    labels = read_labels(table, targets, target=target, rows=windows.discover, handed_over=board.handed_over)
    review = Review(
        definition=definition,
        table=table,
        targets=targets,
        goal=goal,
        periods=(split.discover_periods, split.confirm_periods),
        target=target,
        times=times,
        windows=windows,
        board=board,
        evidence=evidence,
        later_evidence=later_evidence & later,
        strata=np.zeros(len(labels), np.int16),
        labels=labels,
        weights=weights,
        min_change=min_change,
        error_rate=error_rate,
        segments=tuple(segments),
    )
    stakes = find_stakes(review, notices)
    strata = find_strata(definition, table, stakes)
    trusted = is_gained_trusted(review, notices)
    if explored is not None and stakes is not None:
        probability, picked, n_unknown = match_explored(explored, table)
        if n_unknown:
            notices.append(f"{n_unknown:,} of the {len(explored):,} explored leads are not among the leads.")
        band = ~np.isnan(probability) & ~board.handed_over
        evidence &= ~band | picked
        review = replace(review, later_evidence=review.later_evidence & (~band | picked))
        strata, stakes = weighted_stakes(stakes, strata, np.where(band, probability, 1.0))
        trusted = True
    if weights is not None:
        evidence &= ~windows.confirm | (weights > 0)
    return with_stakes(
        replace(review, evidence=evidence, strata=strata), stakes, trusted=trusted, notices=notices
    )


def with_stakes(review: Review, stakes: Stakes | None, *, trusted: bool, notices: list[str]) -> Review:
    """Add what is at stake to a review, and what follows from it and from who was won so far."""
    target = review.target
    counts = np.sum(review.gather(_count_wins), axis=0)
    n_handed, n_known, wins, outside = (int(n) for n in counts)
    if stakes is not None and wins < FEWEST_WINS:
        looser = stakes.signed and trusted and wins > 0 and outside >= FEWEST_WINS
        word = "accepted" if target == "accepted" else "won"
        notices.append(
            f"{_say_wins(wins, word)}: too few to tell a bad definition from an unrecorded outcome. "
            + ("Only what takes no lead away can be proposed." if looser else "Nothing can be proposed.")
        )
        stakes = stakes if looser else None
    return replace(
        review,
        stakes=stakes,
        strata=review.strata if stakes is not None else np.zeros_like(review.strata),
        gained_trusted=trusted,
        few_wins=wins < FEWEST_WINS,
        n_handed=n_handed,
        handed=Tally(n=n_known, k=wins),
        max_leads=_max_leads(review.goal, stakes, review.windows, n_handed, notices),
        notices=tuple(notices),
    )


def _say_wins(wins: int, word: str) -> str:
    if wins == 1:
        return f"Only one lead handed over in the older quarters is recorded as {word}"
    how_many = f"Only {wins} leads" if wins else "No lead"
    return f"{how_many} handed over in the older quarters {'are' if wins else 'is'} recorded as {word}"


def _count_wins(review: Review) -> NDArray[np.int64]:
    """Count leads handed over in the older quarters, those with a label, won; and those won of the others."""
    inside = review.board.handed_over & review.windows.discover
    outside = ~review.board.handed_over & review.windows.discover
    known = inside & review.evidence & (review.labels > 0)
    won = review.evidence & (review.labels == 2)
    return np.array([inside.sum(), known.sum(), (inside & won).sum(), (outside & won).sum()])


def usable_goal(goal: Goal, *, won: bool, accepted: bool, notices: list[str]) -> Goal:
    """Judge by acceptance where no outcome was ever recorded and the goal is the value of won deals."""
    if goal.maximise != "net_value" or won or not accepted:
        return goal
    notices.append("The leads have no outcome: accepted leads at no more leads than today are maximised.")
    return replace(goal, maximise="accepted")


def find_stakes(review: Review, notices: list[str]) -> Stakes | None:
    """Find what a win is worth and what a lead costs: signed, or by the rate of who is handed over today."""
    goal, target = review.goal, review.target
    if goal.maximise == "net_value":
        signed = signed_stakes(review.definition.prices)
        if signed is not None:
            return signed
        notices.append(
            "The definition signs no price of a won deal and of working a lead: won deals at no more leads "
            "than today are maximised instead. Add `prices` to the definition."
        )
    _, known, won, _ = np.sum(review.gather(_count_wins), axis=0).tolist()
    rate = won / known if known else None
    stakes = shadow_stakes(target, rate=rate, minimum=goal.minimum_acceptance)
    if stakes is None:
        notices.append(
            f"No lead handed over in the older quarters says whether it was {target}: nothing can be judged."
            if rate is None
            else f"Every lead handed over in the older quarters has the same label ({format_rate(rate)} "
            f"{target}): nothing can be judged."
        )
    return stakes


def find_strata(definition: Definition, table: LeadTable, stakes: Stakes | None) -> NDArray[np.int16]:
    """Return the price stratum of every lead: the first `by` criterion that it meets, else the last."""
    n = len(table.frame)
    if stakes is None or not stakes.signed:
        return np.zeros(n, np.int16)
    strata = np.full(n, stakes.n_strata - 1, np.int16)
    for number, (criterion, _) in reversed(list(enumerate(definition.prices.won_by))):
        met = criterion_mask(criterion, table.frame, definition=definition, as_of=table.as_of)
        strata[met] = number
    return strata


def is_gained_trusted(review: Review, notices: list[str]) -> bool:
    """Tell a file of all leads from one that holds only what somebody chose to work.

    Where practically every lead was worked and hardly any lies outside the definition, those few were picked
    by people, and the ones that nobody picked are not in the file at all.
    """
    n, n_outside, n_worked = np.sum(review.gather(_count_worked), axis=0).tolist()
    outside, worked = (n_outside / n, n_worked / n) if n else (0.0, 0.0)
    if worked < _ALL_WORKED or not 0 < outside < _FEW_OUTSIDE:
        return True
    notices.append(
        f"Every lead was worked and only {format_rate(outside)} lie outside the definition: the file seems "
        "to hold only leads that somebody picked, so nothing looser can be proposed from it."
    )
    return False


def _count_worked(review: Review) -> NDArray[np.int64]:
    rows = review.windows.discover | review.windows.confirm
    worked = review.targets["worked"].to_numpy(bool)
    return np.array([rows.sum(), (rows & ~review.board.handed_over).sum(), (rows & worked).sum()])


def _max_leads(
    goal: Goal, stakes: Stakes | None, windows: Windows, n_handed: int, notices: list[str]
) -> float | None:
    """Return the most leads that may be handed over in a time as long as the older quarters."""
    if goal.capacity is not None:
        if windows.discover_months:
            return goal.capacity * windows.discover_months
        notices.append("The leads have no dates, so a capacity a month cannot be kept to; it is ignored.")
    if stakes is None or stakes.signed or goal.minimum_acceptance is not None:
        return None
    return float(n_handed)


def make_registration(
    review: Review,
    candidates: Sequence[dict[str, str]],
    *,
    max_changes: int,
    max_candidates: int,
    n_searched: int,
) -> Registration:
    """Write down what is fixed before a confirmation label is read."""
    times = review.times
    return Registration(
        definition=review.definition.name,
        version=review.definition.version,
        definition_sha256=review.definition.sha256,
        data_sha256=review.table.manifest.data_sha256,
        code_version=f"leadml {__version__}",
        goal=review.goal.to_dict(),
        stakes={} if review.stakes is None else review.stakes.to_dict(),
        error_rate=review.error_rate,
        max_changes=max_changes,
        max_candidates=max_candidates,
        min_change=review.min_change,
        segments=review.segments,
        discover_periods=review.periods[0],
        confirm_periods=review.periods[1],
        **_days(times, times.discover, "discover"),
        **_days(times, times.confirm, "confirm"),
        n_discover=times.n_discover,
        n_confirm=times.n_confirm,
        n_searched=n_searched,
        candidates=tuple(candidates),
    )


def _days(times: Times, span: tuple[Any, Any, int], name: str) -> dict[str, str | None]:
    first, last, n = span
    dated = times.dated and n > 0
    return {
        f"{name}_from": first.date().isoformat() if dated else None,
        f"{name}_to": last.date().isoformat() if dated else None,
    }

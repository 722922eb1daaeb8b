"""One review: the definition on the leads, windows, prices and labels, before and after the registration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from leadml import __version__
from leadml._render import format_rate
from leadml.definitions import criterion_mask
from leadml.leads import find_leaks, split_periods
from leadml.propose._board import Board, build_board
from leadml.propose._censor import compute_censoring
from leadml.propose._goal import Goal, Stakes, resolve_target, shadow_stakes, signed_stakes, weighted_stakes
from leadml.propose._judge import Moved, count_moved
from leadml.propose._leads import (
    Windows,
    find_windows,
    match_explored,
    read_early_wins,
    read_labels,
    select_evidence,
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
    from leadml.propose._ranges import NumberRange

    Bits = NDArray[np.bool_]
    Places = NDArray[np.intp]

__all__ = [
    "Confirmation",
    "Review",
    "count_confirmed",
    "count_recent",
    "make_registration",
    "open_review",
    "read_confirmation",
]

FEWEST_WINS = 5  # in each window: fewer, and the outcome is not recorded rather than bad
_ALL_WORKED = 0.99
_FEW_OUTSIDE = 0.2
_FEWEST_RECENT = 0.2  # of the confirmation window, for a period to be its newest part

ConfirmWith = Literal["matured", "weighted"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Review:
    """Everything that is fixed before a confirmation label is read.

    Attributes
    ----------
    definition, table, targets, goal, split
        As given.
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
    split: TimeSplit
    target: Literal["accepted", "won"]
    windows: Windows
    board: Board
    evidence: Bits
    later_evidence: Bits
    stakes: Stakes | None
    strata: NDArray[np.int16]
    labels: NDArray[np.int8]
    weights: NDArray[np.float64] | None
    gained_trusted: bool
    few_wins: bool
    n_handed: int
    max_leads: float | None
    min_change: int
    error_rate: float
    segments: tuple[str, ...]
    notices: tuple[str, ...]

    def gather(self, ask: Callable[[Review], T]) -> list[T]:
        """Ask every part of the leads the same; here all of them are one part."""
        return [ask(self)]

    def find_ranges(self, names: Sequence[str]) -> dict[str, NumberRange]:
        """Find where the values of some attributes lie in the confirmation window."""
        return find_ranges(self.gather, partial(_read_numbers, tuple(names)))

    def find_levels(self, names: Sequence[str]) -> dict[str, Counter[str]]:
        """Count the texts of some attributes in the confirmation window."""
        return count_levels(self.gather, partial(_read_levels, tuple(names)))

    def find_leaks(self) -> tuple[AuditFinding, ...]:
        """Find the attributes that tell a label better than anything known at the handoff can."""
        return find_leaks(self.table, self.targets)

    @property
    def n_strata(self) -> int:
        """Number of strata."""
        return 1 if self.stakes is None else self.stakes.n_strata


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confirmation:
    """The labels of the confirmation window and of what came after it; read after the registration.

    Attributes
    ----------
    labels : ndarray of int8
        The label that decides.
    other : ndarray of int8
        The other one of accepted and won.
    accepted : ndarray of int8
        Acceptance of the confirmation window and of newer leads.
    early : ndarray of int8 or None
        Won within three months, confirmation window and newer leads.
    newest : ndarray of bool
        Leads after the confirmation window.
    recent : tuple of ndarray of bool
        The newest part: the last period of the confirmation window, and the matured leads after it; then
        the newer half of that and its newest third (of quarters: the last month).
    recent_labels : ndarray of int8
        The label that decides, of all matured leads of the confirmation window and after it.
    enough : bool
        Whether enough wins are recorded at all.
    """

    labels: NDArray[np.int8]
    other: NDArray[np.int8]
    accepted: NDArray[np.int8]
    early: NDArray[np.int8] | None
    newest: Bits
    recent: tuple[Bits, ...]
    recent_labels: NDArray[np.int8]
    enough: bool

    def gather(self, review: Review, ask: Callable[[Review, Confirmation], T]) -> list[T]:
        """Ask every part of the leads the same."""
        return [ask(review, self)]


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
    goal, split = _usable_goal(goal, split, table, targets, notices)
    target = resolve_target(goal)
    windows = find_windows(targets, split, target=target)
    weights = None
    if confirm_with == "weighted" and target == "won":
        windows, weights, words = compute_censoring(table, targets, windows)
        notices += [words] if words else []
    board = build_board(
        definition, table.frame, sample=windows.discover, as_of=table.as_of, segments=segments
    )
    evidence = select_evidence(table, targets, windows, board.handed_over)
    later = _matured_since(targets, windows, target)
    later_evidence = select_evidence(table, targets, replace(windows, confirm=later), board.handed_over)
    labels = read_labels(table, targets, target=target, rows=windows.discover, handed_over=board.handed_over)
    stakes = _stakes(definition, goal, target, board, evidence, labels, notices)
    strata = _strata(definition, table, stakes)
    trusted = _gained_trusted(targets, windows, board.handed_over, notices)
    if explored is not None and stakes is not None:
        probability, picked, n_unknown = match_explored(explored, table)
        if n_unknown:
            notices.append(f"{n_unknown:,} of the {len(explored):,} explored leads are not among the leads.")
        band = ~np.isnan(probability) & ~board.handed_over
        evidence &= ~band | picked
        later_evidence &= ~band | picked
        strata, stakes = weighted_stakes(stakes, strata, np.where(band, probability, 1.0))
        trusted = True
    if weights is not None:
        evidence &= ~windows.confirm | (weights > 0)
    inside = board.handed_over & windows.discover
    wins = int((inside & evidence & (labels == 2)).sum())
    if stakes is not None and wins < FEWEST_WINS:
        outside = int((~board.handed_over & windows.discover & evidence & (labels == 2)).sum())
        looser = stakes.signed and trusted and wins > 0 and outside >= FEWEST_WINS
        word = "accepted" if target == "accepted" else "won"
        notices.append(
            f"{_say_wins(wins, word)}: too few to tell a bad definition from an unrecorded outcome. "
            + ("Only what takes no lead away can be proposed." if looser else "Nothing can be proposed.")
        )
        stakes = stakes if looser else None
    return Review(
        definition=definition,
        table=table,
        targets=targets,
        goal=goal,
        split=split,
        target=target,
        windows=windows,
        board=board,
        evidence=evidence,
        later_evidence=later_evidence & later,
        stakes=stakes,
        strata=strata if stakes is not None else np.zeros(len(labels), np.int16),
        labels=labels,
        weights=weights,
        gained_trusted=trusted,
        few_wins=wins < FEWEST_WINS,
        n_handed=int(inside.sum()),
        max_leads=_max_leads(goal, stakes, windows, int(inside.sum()), notices),
        min_change=min_change,
        error_rate=error_rate,
        segments=tuple(segments),
        notices=tuple(notices),
    )


def _say_wins(wins: int, word: str) -> str:
    if wins == 1:
        return f"Only one lead handed over in the older quarters is recorded as {word}"
    how_many = f"Only {wins} leads" if wins else "No lead"
    return f"{how_many} handed over in the older quarters {'are' if wins else 'is'} recorded as {word}"


def _usable_goal(
    goal: Goal, split: TimeSplit, table: LeadTable, targets: pd.DataFrame, notices: list[str]
) -> tuple[Goal, TimeSplit]:
    """Judge by acceptance where no outcome was ever recorded and the goal is the value of won deals."""
    nobody_won = not targets["won"].notna().any()
    if goal.maximise != "net_value" or not nobody_won or not targets["accepted"].notna().any():
        return goal, split
    notices.append("The leads have no outcome: accepted leads at no more leads than today are maximised.")
    return replace(goal, maximise="accepted"), split_periods(table, targets, target="accepted")


def _stakes(
    definition: Definition,
    goal: Goal,
    target: Literal["accepted", "won"],
    board: Board,
    evidence: Bits,
    labels: NDArray[np.int8],
    notices: list[str],
) -> Stakes | None:
    if goal.maximise == "net_value":
        signed = signed_stakes(definition.prices)
        if signed is not None:
            return signed
        notices.append(
            "The definition signs no price of a won deal and of working a lead: won deals at no more leads "
            "than today are maximised instead. Add `prices` to the definition."
        )
    known = board.handed_over & evidence & (labels > 0)
    rate = float((labels[known] == 2).mean()) if known.any() else None
    stakes = shadow_stakes(target, rate=rate, minimum=goal.minimum_acceptance)
    if stakes is None:
        notices.append(
            f"No lead handed over in the older quarters says whether it was {target}: nothing can be judged."
            if rate is None
            else f"Every lead handed over in the older quarters has the same label ({format_rate(rate)} "
            f"{target}): nothing can be judged."
        )
    return stakes


def _strata(definition: Definition, table: LeadTable, stakes: Stakes | None) -> NDArray[np.int16]:
    """Return the price stratum of every lead: the first `by` criterion that it meets, else the last."""
    n = len(table.frame)
    if stakes is None or not stakes.signed:
        return np.zeros(n, np.int16)
    strata = np.full(n, stakes.n_strata - 1, np.int16)
    for number, (criterion, _) in reversed(list(enumerate(definition.prices.won_by))):
        met = criterion_mask(criterion, table.frame, definition=definition, as_of=table.as_of)
        strata[met] = number
    return strata


def _gained_trusted(targets: pd.DataFrame, windows: Windows, handed_over: Bits, notices: list[str]) -> bool:
    """Tell a file of all leads from one that holds only what somebody chose to work.

    Where practically every lead was worked and hardly any lies outside the definition, those few were picked
    by people, and the ones that nobody picked are not in the file at all.
    """
    rows = windows.discover | windows.confirm
    outside = float((~handed_over[rows]).mean()) if rows.any() else 0.0
    worked = float(targets["worked"].to_numpy(bool)[rows].mean()) if rows.any() else 0.0
    if worked < _ALL_WORKED or not 0 < outside < _FEW_OUTSIDE:
        return True
    notices.append(
        f"Every lead was worked and only {format_rate(outside)} lie outside the definition: the file seems "
        "to hold only leads that somebody picked, so nothing looser can be proposed from it."
    )
    return False


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


# -- after the registration --------------------------------------------------------------------------------


def read_confirmation(review: Review) -> Confirmation:
    """Read the labels of the confirmation window. Only ever called after the registration."""
    newest = _newest(review)
    later = review.windows.confirm | newest

    def read(target: Literal["accepted", "won"], rows: Bits) -> NDArray[np.int8]:
        return read_labels(
            review.table,
            review.targets,
            target=target,
            rows=rows,
            handed_over=review.board.handed_over,
            require="known" if review.weights is not None and target == "won" else "mature",
        )

    labels = read(review.target, review.windows.confirm)
    matured = _matured_since(review.targets, review.windows, review.target)
    inside = review.board.handed_over & review.evidence & review.windows.confirm
    return Confirmation(
        labels=labels,
        other=read("won" if review.target == "accepted" else "accepted", review.windows.confirm),
        accepted=read("accepted", later),
        early=read_early_wins(review.table, review.targets, later & review.targets["worked"].to_numpy(bool)),
        newest=newest,
        recent=_newest_parts(review, matured & _recent(review)),
        recent_labels=read_labels(
            review.table,
            review.targets,
            target=review.target,
            rows=matured,
            handed_over=review.board.handed_over,
        ),
        enough=int((inside & (labels == 2)).sum()) >= FEWEST_WINS,
    )


def _newest(review: Review) -> Bits:
    start = review.targets["t0"]
    if not review.windows.confirm.any():
        return np.zeros(len(start), bool)
    return np.asarray((start > start[review.windows.confirm].max()).to_numpy())


def _matured_since(targets: pd.DataFrame, windows: Windows, target: Literal["accepted", "won"]) -> Bits:
    """Return the matured leads from the start of the confirmation window on."""
    start = targets["t0"]
    if not windows.confirm.any():
        return np.zeros(len(start), bool)
    since = (start >= start[windows.confirm].min()).to_numpy()
    return np.asarray(since & targets[f"{target}_mature"].to_numpy(bool))


def _recent(review: Review) -> Bits:
    """Return the leads of the last confirmation period and later; of a lone period, its newer half."""
    start, inside = review.targets["t0"], review.windows.confirm
    if not inside.any():
        return np.zeros(len(start), bool)
    periods = review.split.confirm_periods
    last = inside & (review.targets["period"] == periods[-1]).to_numpy() if periods else inside
    if not _FEWEST_RECENT <= last.sum() / inside.sum() <= 1 - _FEWEST_RECENT:
        middle = start[inside].sort_values().iloc[int(inside.sum()) // 2]
        return np.asarray((start >= middle).to_numpy())
    return np.asarray((start >= start[last].min()).to_numpy())


def _newest_parts(review: Review, recent: Bits) -> tuple[Bits, ...]:
    """Return the newest part, its newer half and its newest third."""
    if not recent.any():
        return (recent,)
    start = review.targets["t0"]
    ordered = start[recent].sort_values()
    cuts = [ordered.iloc[len(ordered) * (share - 1) // share] for share in (2, 3)]
    return recent, *(recent & (start >= cut).to_numpy() for cut in cuts)


def count_confirmed(review: Review, labels: NDArray[np.int8], gained: Places, lost: Places) -> Moved:
    """Count the leads that a change moves in the confirmation window."""
    return count_moved(
        gained,
        lost,
        labels=labels,
        strata=review.strata,
        evidence=review.evidence,
        n_strata=review.n_strata,
        weights=review.weights,
    )


def count_recent(
    review: Review, confirmed: Confirmation, gained: Places, lost: Places
) -> list[tuple[Moved, Moved]]:
    """Count the leads that a change moves in the earlier part of the confirmation window and in the newest.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    gained, lost : ndarray of int
        Leads of the confirmation window and later.

    Returns
    -------
    list of tuple of Moved
        For each newest part the matured leads of the time before it, and of it.
    """
    since = review.later_evidence

    def count(rows: Bits) -> Moved:
        return count_moved(
            gained[rows[gained]],
            lost[rows[lost]],
            labels=confirmed.recent_labels,
            strata=review.strata,
            evidence=since,
            n_strata=review.n_strata,
        )

    return [(count(since & ~recent), count(recent)) for recent in confirmed.recent]


def make_registration(
    review: Review,
    candidates: Sequence[dict[str, str]],
    *,
    max_changes: int,
    max_candidates: int,
    n_searched: int,
) -> Registration:
    """Write down what is fixed before a confirmation label is read."""
    windows = review.windows
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
        discover_periods=review.split.discover_periods,
        confirm_periods=review.split.confirm_periods,
        **_days(review, windows.discover, "discover"),
        **_days(review, windows.confirm, "confirm"),
        n_discover=int(windows.discover.sum()),
        n_confirm=int(windows.confirm.sum()),
        n_searched=n_searched,
        candidates=tuple(candidates),
    )


def _days(review: Review, rows: NDArray[np.bool_], name: str) -> dict[str, str | None]:
    start = review.targets["t0"][rows]
    dated = start.dtype.kind == "M" and len(start) > 0
    first = start.min().date().isoformat() if dated else None
    last = start.max().date().isoformat() if dated else None
    return {f"{name}_from": first, f"{name}_to": last}

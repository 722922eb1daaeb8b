"""Find on the older quarters, register, confirm on the newest, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadml import __version__
from leadml._render import format_count, format_rate
from leadml.definitions import apply_changes, criterion_mask
from leadml.errors import DefinitionError, ExperimentError
from leadml.metrics import holm
from leadml.propose._board import Board, Edit, build_board
from leadml.propose._evidence import SearchResult, make_cells, search_edits
from leadml.propose._explore import plan_explorations
from leadml.propose._goal import Goal, Stakes, resolve_target, shadow_stakes, signed_stakes
from leadml.propose._judge import NOTHING_KNOWN, Moved, Range, count_moved, judge_moved, range_of_labels
from leadml.propose._keep import explain_kept
from leadml.propose._leads import Windows, find_windows, read_labels, select_evidence
from leadml.propose._pick import KNOWN_SHARE, KNOWN_SHARE_LOST, Ranking, pick_candidates, rank_edits
from leadml.propose._registration import Registration
from leadml.propose._result import Exploration, JudgedChange, ProposalSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit

    Bits = NDArray[np.bool_]
    Progress = Callable[[str, int, int], None]

__all__ = ["propose_changes"]

_FEWEST_WINS = 5  # in each window: fewer, and the outcome is not recorded rather than bad


def propose_changes(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    goal: Goal,
    split: TimeSplit,
    max_changes: int = 2,
    max_candidates: int = 3,
    error_rate: float = 0.05,
    min_change: int = 20,
    register: Callable[[Registration], None],
    progress: Progress | None = None,
) -> ProposalSet:
    """Propose at most one small change of a written definition, or say why none.

    All single changes and pairs are searched exactly on the older quarters; at most `max_candidates` are
    registered; only then are the labels of the newest matured quarters read, and each candidate must show
    a gain there (exact gate, Holm). The chance of proposing anything harmful is at most `error_rate`.

    Parameters
    ----------
    definition : Definition
        The written definition, as loaded.
    table : LeadTable
        The leads.
    targets : DataFrame
        From `leadml.leads.compute_targets`.
    goal : Goal
        What is maximised. `net_value` needs the definition's prices; without them won deals are maximised.
    split : TimeSplit
        From `leadml.leads.split_periods` for the target of the goal.
    max_changes : {1, 2}, default=2
        Most changes in one proposal.
    max_candidates : int, default=3
    error_rate : float, default=0.05
    min_change : int, default=20
        Fewest labelled accounts that must change on the older quarters.
    register : callable
        Called once with the `Registration` before any confirmation label is read.
    progress : callable, optional
        Called with (step, done, total).

    Returns
    -------
    ProposalSet

    Raises
    ------
    ExperimentError
        If a number is out of range.
    LeadsError, DefinitionError
        If the definition does not fit the leads.

    References
    ----------
    METHODS.md, section 1.6. Cho et al., "CSPI-MT", KDD 2025; Holm (1979); Zou and Donner (2008).
    """
    _check(max_changes, max_candidates, error_rate, min_change)
    review = _open_review(definition, table, targets, goal, split, min_change, error_rate)
    found, ranking = _search(review, max_changes, progress)
    picked = _pick(review, found, ranking, max_candidates)
    registration = _registration(
        review, found, picked, max_changes=max_changes, max_candidates=max_candidates, split=split
    )
    register(registration)
    # From here on, and not before, the labels of the confirmation window are read.
    confirmed = _read_confirmation(review)
    tested = _confirm(review, confirmed, found, picked, max_candidates=max_candidates)
    promising = _promise(review, confirmed, found, ranking, tested)
    proposals = tuple(change for change in tested if change.status == "proposed")
    changed = frozenset(change.address for judged in proposals for change in judged.changes)
    explore, notes = _plan(review, found, ranking, tested, promising)
    kept = explain_kept(
        definition,
        review.board,
        found,
        ranking,
        review.stakes,
        changed=changed,
        count=lambda edit: _count(review, confirmed, edit),
        months=review.windows.confirm_months,
        min_change=min_change,
        notes=notes,
    )
    return ProposalSet(
        definition=definition,
        goal=goal,
        stakes=review.stakes,
        per="month" if review.windows.confirm_months else "confirmation period",
        proposals=proposals,
        promising=promising,
        kept=kept,
        explore=tuple(plan for plan in explore if plan.criterion not in changed),
        tested=tested,
        n_searched=len(found.edits),
        registration=registration,
        notices=(*review.notices, *_closing_notices(review, confirmed, proposals)),
    )


def _check(max_changes: int, max_candidates: int, error_rate: float, min_change: int) -> None:
    wrong = []
    if max_changes not in {1, 2}:
        wrong.append(f"max_changes: expected 1 or 2, got {max_changes!r}.")
    if not 1 <= max_candidates <= 20:
        wrong.append(f"max_candidates: expected 1 to 20, got {max_candidates!r}.")
    if not 0 < error_rate < 0.5:
        wrong.append(f"error_rate: expected a number above 0 and below 0.5, got {error_rate!r}.")
    if min_change < 1:
        wrong.append(f"min_change: expected at least 1, got {min_change!r}.")
    if wrong:
        raise ExperimentError(*wrong)


# -- what is known before the search -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Review:
    definition: Definition
    table: LeadTable
    targets: pd.DataFrame
    goal: Goal
    target: Literal["accepted", "won"]
    windows: Windows
    board: Board
    evidence: Bits
    stakes: Stakes | None
    strata: NDArray[np.int16]
    labels: NDArray[np.int8]
    n_handed: int
    max_leads: float | None
    min_change: int
    error_rate: float
    notices: tuple[str, ...]

    @property
    def n_strata(self) -> int:
        return 1 if self.stakes is None else self.stakes.n_strata


def _open_review(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    goal: Goal,
    split: TimeSplit,
    min_change: int,
    error_rate: float,
) -> _Review:
    target = resolve_target(goal)
    windows = find_windows(targets, split, target=target)
    board = build_board(definition, table.frame, sample=windows.discover)
    evidence = select_evidence(table, targets, windows, board.handed_over)
    labels = read_labels(table, targets, target=target, rows=windows.discover, handed_over=board.handed_over)
    notices: list[str] = []
    stakes = _stakes(definition, goal, target, board, evidence, labels, notices)
    strata = _strata(definition, table, stakes)
    inside = board.handed_over & windows.discover
    wins = int((inside & evidence & (labels == 2)).sum())
    if stakes is not None and wins < _FEWEST_WINS:
        word = "accepted" if target == "accepted" else "won"
        notices.append(
            f"Only {wins} leads handed over in the older quarters are recorded as {word}: too few to tell a "
            "bad definition from an unrecorded outcome. Nothing can be proposed."
        )
        stakes = None
    return _Review(
        definition=definition,
        table=table,
        targets=targets,
        goal=goal,
        target=target,
        windows=windows,
        board=board,
        evidence=evidence,
        stakes=stakes,
        strata=strata if stakes is not None else np.zeros(len(labels), np.int16),
        labels=labels,
        n_handed=int(inside.sum()),
        max_leads=_max_leads(goal, stakes, windows, int(inside.sum()), notices),
        min_change=min_change,
        error_rate=error_rate,
        notices=tuple(notices),
    )


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
        strata[criterion_mask(criterion, table.frame, definition=definition)] = number
    return strata


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


def _search(review: _Review, max_changes: int, progress: Progress | None) -> tuple[SearchResult, Ranking]:
    cells = make_cells(review.labels, review.strata, review.evidence, review.n_strata)
    found = search_edits(
        review.board, review.windows.discover, cells, max_changes=max_changes, progress=progress
    )
    n_discover, n_confirm = int(review.windows.discover.sum()), int(review.windows.confirm.sum())
    ranking = rank_edits(
        found,
        review.stakes or _WORTHLESS,
        n_handed=review.n_handed,
        n_leads=n_discover,
        max_leads=review.max_leads,
        min_change=review.min_change,
        confirm_ratio=n_confirm / max(n_discover, 1),
        error_rate=review.error_rate,
    )
    if review.stakes is None:
        ranking = replace(ranking, eligible=np.zeros_like(ranking.eligible))
    return found, ranking


_WORTHLESS = Stakes(
    target="won",
    value=np.ones(1),
    cost_gained=np.ones(1),
    cost_lost=np.ones(1),
    unit="leads",
    signed=False,
    names=("all leads",),
    words="",
)


def _pick(review: _Review, found: SearchResult, ranking: Ranking, max_candidates: int) -> tuple[int, ...]:
    if review.stakes is None or not review.windows.confirm.any():
        return ()

    def writable(edit: Edit) -> bool:
        # A moved number or level can always be written; leaving a line out may leave a group empty.
        changes = review.board.classes[edit.board].changes(edit)
        return all(change.kind != "dropped" for change in changes) or _revise(review, edit) is not None

    return pick_candidates(
        review.board,
        found,
        ranking,
        review.stakes,
        rows=review.windows.discover,
        labels=review.labels,
        strata=review.strata,
        evidence=review.evidence,
        max_candidates=max_candidates,
        writable=writable,
    )


def _revise(review: _Review, edit: Edit) -> Definition | None:
    """Write an edit into the author's file; None if it cannot be written without changing anything else."""
    try:
        return apply_changes(review.definition, review.board.classes[edit.board].changes(edit))
    except DefinitionError:
        return None


def _registration(
    review: _Review,
    found: SearchResult,
    picked: tuple[int, ...],
    *,
    max_changes: int,
    max_candidates: int,
    split: TimeSplit,
) -> Registration:
    candidates = []
    for position in picked:
        changes = review.board.classes[found.edits[position].board].changes(found.edits[position])
        candidates.append(
            {
                "criterion": " + ".join(change.address for change in changes),
                "kind": " + ".join(change.kind for change in changes),
                "written": " + ".join(change.written for change in changes),
                "proposed": " + ".join(change.proposed or "(dropped)" for change in changes),
            }
        )
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
        discover_periods=split.discover_periods,
        confirm_periods=split.confirm_periods,
        **_days(review, windows.discover, "discover"),
        **_days(review, windows.confirm, "confirm"),
        n_discover=int(windows.discover.sum()),
        n_confirm=int(windows.confirm.sum()),
        n_searched=len(found.edits),
        candidates=tuple(candidates),
    )


def _days(review: _Review, rows: Bits, name: str) -> dict[str, str | None]:
    start = review.targets["t0"][rows]
    dated = start.dtype.kind == "M" and len(start) > 0
    first = start.min().date().isoformat() if dated else None
    last = start.max().date().isoformat() if dated else None
    return {f"{name}_from": first, f"{name}_to": last}


# -- after the registration --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Confirmation:
    labels: NDArray[np.int8]
    other: NDArray[np.int8]
    enough: bool


def _read_confirmation(review: _Review) -> _Confirmation:
    def read(target: Literal["accepted", "won"]) -> NDArray[np.int8]:
        return read_labels(
            review.table,
            review.targets,
            target=target,
            rows=review.windows.confirm,
            handed_over=review.board.handed_over,
        )

    labels = read(review.target)
    inside = review.board.handed_over & review.evidence & review.windows.confirm
    return _Confirmation(
        labels=labels,
        other=read("won" if review.target == "accepted" else "accepted"),
        enough=int((inside & (labels == 2)).sum()) >= _FEWEST_WINS,
    )


def _count(review: _Review, confirmed: _Confirmation, edit: Edit, *, other: bool = False) -> Moved:
    gained, lost = review.board.moved(edit, review.windows.confirm)
    return count_moved(
        gained,
        lost,
        labels=confirmed.other if other else confirmed.labels,
        strata=review.strata,
        evidence=review.evidence,
        n_strata=review.n_strata,
    )


def _confirm(
    review: _Review,
    confirmed: _Confirmation,
    found: SearchResult,
    picked: Sequence[int],
    *,
    max_candidates: int,
) -> tuple[JudgedChange, ...]:
    if review.stakes is None or not picked:
        return ()
    # Places that were not used are tests that failed: one candidate is no easier to pass than three.
    per_test = review.error_rate / max_candidates
    judged = [
        _judge(review, confirmed, found.edits[position], error_rate=per_test, status="not shown")
        for position in picked
    ]
    unused = [1.0] * (max_candidates - len(judged))
    adjusted = holm([change.p_value for change in judged] + unused)[: len(judged)]
    tested: list[JudgedChange] = []
    chosen = False
    for position, change, p_adjusted in zip(picked, judged, adjusted, strict=True):
        refusal = _refusal(review, confirmed, change, float(p_adjusted))
        status: Literal["proposed", "also passed", "not shown"] = "not shown"
        if not refusal:
            status = "also passed" if chosen else "proposed"
            chosen = True
        tested.append(
            replace(
                change,
                p_adjusted=float(p_adjusted),
                status=status,
                reason=refusal or _passed(change, status),
                revised=None if refusal else _revise(review, found.edits[position]),
            )
        )
    return tuple(tested)


def _judge(
    review: _Review,
    confirmed: _Confirmation,
    edit: Edit,
    *,
    error_rate: float,
    status: Literal["not shown", "promising"],
) -> JudgedChange:
    stakes = review.stakes or _WORTHLESS
    moved = _count(review, confirmed, edit)
    other = _count(review, confirmed, edit, other=True)
    months = review.windows.confirm_months
    scale = 1 / months if months else 1.0
    verdict = judge_moved(moved, stakes, error_rate=error_rate)
    ranges = {
        review.target: range_of_labels(moved, error_rate=error_rate).scaled(scale),
        "won" if review.target == "accepted" else "accepted": _other_range(other, moved, error_rate).scaled(
            scale
        ),
    }
    return JudgedChange(
        status=status,
        changes=review.board.classes[edit.board].changes(edit),
        grade=_grade(moved),
        n_changed=moved.leads,
        n_gained=int(moved.n_gained.sum()),
        wins_gained=int(moved.k_gained.sum()),
        n_lost=int(moved.n_lost.sum()),
        wins_lost=int(moved.k_lost.sum()),
        gained_per_month=moved.leads_gained / months if months else None,
        lost_per_month=moved.leads_lost / months if months else None,
        value=verdict.value.scaled(scale),
        won=ranges["won"],
        accepted=ranges["accepted"],
        p_value=verdict.p_value,
        p_adjusted=verdict.p_value,
        detectable=None if verdict.detectable is None else verdict.detectable * scale,
        confidence_level=1 - 2 * error_rate,
        tipping_point=_tipping_point(moved, stakes),
        reason="",
    )


def _other_range(other: Moved, moved: Moved, error_rate: float) -> Range:
    """Estimate the label that the goal is not judged by; unknown unless most of the leads have it."""
    if other.n < 0.8 * moved.n or other.n == 0:
        return NOTHING_KNOWN
    return range_of_labels(other, error_rate=error_rate)


def _grade(moved: Moved) -> Literal["A", "B", "C"]:
    known, gained = float(moved.n_gained.sum()), float(moved.accounts_gained)
    if known >= KNOWN_SHARE * gained:
        lost = float(moved.accounts_lost)
        return "A" if float(moved.n_lost.sum()) >= KNOWN_SHARE_LOST * lost else "B"
    return "B" if known > 0 else "C"


def _tipping_point(moved: Moved, stakes: Stakes) -> float | None:
    """Return the rate below which the unpicked leads would spoil a grade B change."""
    known, gained = float(moved.n_gained.sum()), float(moved.accounts_gained)
    if gained <= 0 or known <= 0 or known >= KNOWN_SHARE * gained:
        return None
    value = float((moved.n_gained * stakes.value).sum())
    rate = float((moved.n_gained * stakes.cost_gained).sum()) / value if value > 0 else 0.0
    picked = known / gained
    return max(0.0, (rate - picked * float(moved.k_gained.sum()) / known) / (1 - picked))


def _refusal(review: _Review, confirmed: _Confirmation, change: JudgedChange, p_adjusted: float) -> str:
    """Say why a registered change is not proposed; empty if it is."""
    if not confirmed.enough:
        return "too few wins are recorded in the newest matured leads to confirm anything"
    if change.grade != "A":
        return "the newest matured leads have no label for all leads that it moves"
    if p_adjusted > review.error_rate:
        return (
            f"not confirmed on the newest matured leads (p = {change.p_value:.2g}, "
            f"{p_adjusted:.2g} after {'Holm' if p_adjusted > change.p_value else 'the test'})"
        )
    if change.value.low is None or change.value.low <= 0:
        # Holm may pass a later test at a laxer level than its printed bound; the bound is the headline.
        return "its lower bound is not above zero"
    return ""


def _passed(change: JudgedChange, status: str) -> str:
    if status == "also passed":
        return "also confirmed, but another change promised more on the older quarters; review it next time"
    return (
        f"confirmed on the newest matured leads (p = {change.p_value:.2g}). Estimates that just pass are "
        "typically 1.2 to 2.6 times too high: plan with the lower bound"
    )


def _promise(
    review: _Review,
    confirmed: _Confirmation,
    found: SearchResult,
    ranking: Ranking,
    tested: Sequence[JudgedChange],
) -> tuple[JudgedChange, ...]:
    """Return grade B changes that look good on both windows: people picked the leads, so never proposed."""
    if review.stakes is None or not confirmed.enough:
        return ()
    tried = {change.criterion for change in tested}
    promising: list[JudgedChange] = []
    touched: set[str] = set()
    wanted = ranking.allowed & (ranking.grade == "B") & (ranking.gain > 0)
    wanted &= ranking.n_changed >= review.min_change
    for position in sorted(
        np.flatnonzero(wanted), key=lambda place: (-round(float(ranking.score[place]), 9), place)
    ):
        edit = found.edits[position]
        addresses = set(review.board.classes[edit.board].addresses(edit))
        if edit.n_changes != 1 or addresses & touched:
            continue
        touched |= addresses
        change = _judge(review, confirmed, edit, error_rate=review.error_rate, status="promising")
        if change.p_value > review.error_rate or change.criterion in tried:
            continue
        promising.append(replace(change, grade="B", reason=_promise_words(change)))
        if len(promising) == 3:
            break
    return tuple(promising)


def _promise_words(change: JudgedChange) -> str:
    if change.tipping_point is None:
        return "most of the leads that it takes away have no label; it is not proposed"
    return (
        f"only leads that somebody picked have labels here; it fails if the others win less often than "
        f"{format_rate(change.tipping_point)}. Not proposed: hand over a random sample"
    )


def _plan(
    review: _Review,
    found: SearchResult,
    ranking: Ranking,
    tested: Sequence[JudgedChange],
    promising: Sequence[JudgedChange],
) -> tuple[tuple[Exploration, ...], dict[str, str]]:
    notes: dict[str, str] = {}
    if review.stakes is None:
        return (), notes
    known = review.board.handed_over & review.evidence & (review.labels > 0)
    explore, refused = plan_explorations(
        review.board,
        found,
        ranking,
        review.stakes,
        months=review.windows.discover_months,
        min_change=review.min_change,
        overall=(float((review.labels[known] == 2).sum()), float(known.sum())),
    )
    for plan in explore:
        notes[plan.criterion] = (
            f"looser (`{plan.to}`) has no verdicts: {format_count(plan.n)} leads at random would tell"
        )
    notes |= refused
    notes |= {
        change.address: f"`{judged.proposed}`: {judged.reason}"
        for judged in (*tested, *promising)
        if judged.status != "proposed"
        for change in judged.changes
    }
    return explore, notes


def _closing_notices(
    review: _Review, confirmed: _Confirmation, proposals: Sequence[JudgedChange]
) -> tuple[str, ...]:
    notices = []
    if not review.windows.confirm.any():
        notices.append("No matured leads with labels are left to confirm on: nothing can be proposed.")
    elif review.stakes is not None and not confirmed.enough:
        notices.append("Too few wins are recorded in the newest matured leads to confirm anything.")
    if proposals:
        notices.append(
            "Assumed: accounts decide independently, the next quarter is like the last two, and handing over "
            "more or fewer leads does not change how well the others are worked."
        )
    return tuple(notices)

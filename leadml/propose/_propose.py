"""Find on the older quarters, register, confirm on the newest, report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadml._render import format_count
from leadml.errors import ExperimentError
from leadml.propose._capacity import fits_capacity, price_capacity
from leadml.propose._confirm import confirm_candidates, count_edits, find_promising
from leadml.propose._confirmation import Confirmation, read_confirmation
from leadml.propose._count import CountRequest, count_locally
from leadml.propose._evidence import SearchResult, extend_edits, make_cells, search_edits
from leadml.propose._explore import plan_explorations
from leadml.propose._goal import Goal, Stakes
from leadml.propose._keep import explain_kept
from leadml.propose._parts import open_parts
from leadml.propose._pick import Ranking, pick_candidates, rank_edits
from leadml.propose._result import Exploration, JudgedChange, ProposalSet, name_change
from leadml.propose._review import (
    ConfirmWith,
    Review,
    make_registration,
    open_review,
)
from leadml.propose._trade import make_trade_off
from leadml.propose._words import say_leads

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._board import Edit
    from leadml.propose._count import EvidenceCounter
    from leadml.propose._joint import Job, JointCounts
    from leadml.propose._judge import Moved
    from leadml.propose._parts import LeadParts
    from leadml.propose._registration import Registration

    Progress = Callable[[str, int, int], None]

__all__ = ["propose_changes", "propose_from_parts"]

_PARENTS = 20  # pairs that a third change is tried on

_NO_STAKES = Stakes(
    target="won",
    value=np.ones(1),
    cost_gained=np.ones(1),
    cost_lost=np.ones(1),
    unit="leads",
    signed=False,
    names=("all leads",),
    words="",
)


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
    explored: pd.DataFrame | None = None,
    confirm_with: ConfirmWith = "matured",
    segments: Sequence[str] = (),
    count: EvidenceCounter = count_locally,
    progress: Progress | None = None,
) -> ProposalSet:
    """Propose at most one small change of a written definition, or say why none.

    All single changes and pairs are searched exactly on the older quarters; at most `max_candidates` are
    registered; only then are the labels of the newest matured quarters read, and each candidate must show
    a gain there (exact gate, Holm) and break no guardrail. The chance of proposing anything harmful is at
    most `error_rate`.

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
    max_changes : {1, 2, 3}, default=2
        Most changes in one proposal. Singles and pairs are searched exactly, triples as well if they are few
        (50,000); if they are more, every third change is tried on the twenty best pairs.
    max_candidates : int, default=3
    error_rate : float, default=0.05
        Of this review; `split_error_rate` gives it from a rate a year.
    min_change : int, default=20
        Fewest labelled accounts that must change on the older quarters.
    register : callable
        Called once with the `Registration` before any confirmation label is read.
    explored : DataFrame, optional
        What came back from an exploration: ``lead_id``, ``probability``, ``picked``
        (`sample_exploration`). Then looser changes may be judged where leads were picked at random.
    confirm_with : {"matured", "weighted"}, default="matured"
        "weighted" also uses young leads of the newest quarters, weighted for what has not happened yet.
    segments : sequence of str, optional
        Attributes (a category, an ordinal, a boolean) by which a threshold may differ: every move of one is
        then also looked at for the leads of one level, and for all but those. It may be proposed only if the
        move is shown to be worth more per lead there than elsewhere. More candidates compete for the same
        places, so ask only where there is a reason.
    count : callable, optional
        Who counts the evidence of the older quarters: `count_in_duckdb`, an engine of one's own; by default
        this process. All find the same integers.
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
    review = open_review(
        definition,
        table,
        targets,
        goal=goal,
        split=split,
        min_change=min_change,
        error_rate=error_rate,
        explored=explored,
        confirm_with=confirm_with,
        segments=segments,
    )
    return _find_and_confirm(
        review,
        max_changes=max_changes,
        max_candidates=max_candidates,
        register=register,
        count=count,
        progress=progress,
    )


def propose_from_parts(
    definition: Definition,
    leads: LeadParts,
    *,
    goal: Goal,
    confirm_from: dt.date | None = None,
    max_changes: int = 2,
    max_candidates: int = 3,
    error_rate: float = 0.05,
    min_change: int = 20,
    register: Callable[[Registration], None],
    segments: Sequence[str] = (),
    progress: Progress | None = None,
) -> ProposalSet:
    """Propose what `propose_changes` proposes, of leads that no process holds as a whole.

    Parameters
    ----------
    definition : Definition
        The written definition, as loaded.
    leads : LeadParts
        Leads in parts, wherever they are (`leadml.scoring.SparkLeads`).
    goal : Goal
    confirm_from : date, optional
        First day of the confirmation window; by default the last two matured quarters.
    max_changes, max_candidates, error_rate, min_change, register, segments, progress
        As in `propose_changes`.

    Returns
    -------
    ProposalSet
        The same, byte for byte.

    Raises
    ------
    ExperimentError
        If a number is out of range.
    LeadsError, DefinitionError
        If the definition does not fit the leads, or they have no dates.
    """
    _check(max_changes, max_candidates, error_rate, min_change)
    review = open_parts(
        definition,
        leads,
        goal=goal,
        confirm_from=confirm_from,
        min_change=min_change,
        error_rate=error_rate,
        segments=segments,
    )
    return _find_and_confirm(
        review,
        max_changes=max_changes,
        max_candidates=max_candidates,
        register=register,
        count=count_locally,
        progress=progress,
    )


def _find_and_confirm(
    review: Review,
    *,
    max_changes: int,
    max_candidates: int,
    register: Callable[[Registration], None],
    count: EvidenceCounter,
    progress: Progress | None,
) -> ProposalSet:
    found, ranking = _search(review, max_changes, count, progress)
    picked = _pick(review, found, ranking, max_candidates)
    registration = _registration(
        review, found, picked, max_changes=max_changes, max_candidates=max_candidates
    )
    register(registration)
    # From here on, and not before, the labels of the confirmation window are read.
    confirmed = read_confirmation(review)
    tested = confirm_candidates(review, confirmed, found, picked, max_candidates=max_candidates)
    promising = find_promising(review, confirmed, found, ranking, tested)
    proposals = tuple(change for change in tested if change.status == "proposed")
    changed = frozenset(change.address for judged in proposals for change in judged.changes)
    explore, notes, unplanned = _plan(review, found, ranking)

    def count_again(edits: Sequence[Edit]) -> list[Moved]:
        return [counts.moved for counts in count_edits(review, confirmed, edits)]

    kept = explain_kept(
        review.definition,
        review.board,
        found,
        ranking,
        review.stakes,
        changed=changed,
        count=count_again,
        months=review.windows.confirm_months,
        min_change=review.min_change,
        hopeless=_hopeless(review),
        judged=[change for change in (*tested, *promising) if change.status != "proposed"],
        notes=notes,
    )
    return ProposalSet(
        definition=review.definition,
        goal=review.goal,
        stakes=review.stakes,
        per="month" if review.windows.confirm_months else "confirmation period",
        proposals=proposals,
        promising=promising,
        kept=kept,
        explore=tuple(plan for plan in explore if plan.criterion not in changed),
        tested=tested,
        n_searched=len(found.edits),
        registration=registration,
        shadow_price=price_capacity(review, found, ranking),
        trade_off=make_trade_off(review, found) if review.n_handed else None,
        notices=(*review.notices, *_closing_notices(review, confirmed, proposals, unplanned)),
    )


def _check(max_changes: int, max_candidates: int, error_rate: float, min_change: int) -> None:
    wrong = []
    if max_changes not in {1, 2, 3}:
        wrong.append(f"max_changes: expected 1, 2 or 3, got {max_changes!r}.")
    if not 1 <= max_candidates <= 20:
        wrong.append(f"max_candidates: expected 1 to 20, got {max_candidates!r}.")
    if not 0 < error_rate < 0.5:
        wrong.append(f"error_rate: expected a number above 0 and below 0.5, got {error_rate!r}.")
    if min_change < 1:
        wrong.append(f"min_change: expected at least 1, got {min_change!r}.")
    if wrong:
        raise ExperimentError(*wrong)


def _search(
    review: Review, max_changes: int, counter: EvidenceCounter, progress: Progress | None
) -> tuple[SearchResult, Ranking]:
    cells = make_cells(review.labels, review.strata, review.evidence, review.n_strata)
    rows = review.windows.discover

    def ask(jobs: tuple[Job, ...]) -> Iterable[JointCounts]:
        request = CountRequest(
            definition=review.definition,
            board=review.board,
            leads=review.table.frame,
            rows=rows,
            cells=cells,
            jobs=jobs,
            as_of=review.table.as_of,
        )
        return counter(request) if review.parts is None else request.read(*review.parts.count(review, jobs))

    found = search_edits(review.board, rows, cells, max_changes=max_changes, count=ask, progress=progress)
    ranking = _rank(review, found)
    if max_changes > 2:
        best = sorted(np.flatnonzero(ranking.eligible).tolist(), key=lambda place: -ranking.score[place])
        pairs = [found.edits[place] for place in best if len(found.edits[place].turns) == 2]
        found = extend_edits(review.board, found, rows, pairs[:_PARENTS], count=ask)
        ranking = _rank(review, found)
    return found, ranking


def _rank(review: Review, found: SearchResult) -> Ranking:
    n_discover, n_confirm = review.times.n_discover, review.times.n_confirm
    ranking = rank_edits(
        found,
        review.stakes or _NO_STAKES,
        n_handed=review.n_handed,
        n_leads=n_discover,
        max_leads=review.max_leads,
        min_change=review.min_change,
        confirm_ratio=n_confirm / max(n_discover, 1),
        error_rate=review.error_rate,
        best_grade_of_gained="A" if review.gained_trusted else "B",
    )
    if review.stakes is None:
        return replace(ranking, eligible=np.zeros_like(ranking.eligible))
    if review.few_wins:
        return replace(ranking, eligible=ranking.eligible & (found.cells.leads(found.lost) == 0))
    return ranking


def _pick(review: Review, found: SearchResult, ranking: Ranking, max_candidates: int) -> tuple[int, ...]:
    if review.stakes is None or not review.times.n_confirm:
        return ()

    def writable(edit: Edit) -> bool:
        return review.board.leaves_enough(edit) and _keeps_capacity(review, edit)

    return pick_candidates(
        review.board,
        found,
        ranking,
        review.stakes,
        max_candidates=max_candidates,
        writable=writable,
        spread_on_leads=lambda best, other: _spread(review, review.stakes or _NO_STAKES, best, other),
    )


def _keeps_capacity(review: Review, edit: Edit) -> bool:
    """Whether a signed capacity also holds in the confirmation window; no label says so."""
    if review.goal.capacity is None:
        return True
    return fits_capacity(review, *np.sum(review.gather(partial(_count_moved, edit)), axis=0))


def _count_moved(edit: Edit, review: Review) -> NDArray[np.int64]:
    """Count all leads that an edit moves in the confirmation window: gained, lost."""
    gained, lost = review.board.moved(edit, review.windows.confirm)
    return np.array([len(gained), len(lost)], np.int64)


def _spread(review: Review, stakes: Stakes, best: Edit, other: Edit) -> float:
    """Return the standard error of the paired loss between two edits, from the leads on which they differ."""
    counts = np.sum(review.gather(partial(_count_differing, best, other)), axis=0)
    squares = np.zeros_like(counts, np.float64)
    for side, cost in enumerate((stakes.cost_gained, stakes.cost_lost)):
        squares[side] = np.column_stack([cost**2, (stakes.value - cost) ** 2])
    return float(np.sqrt((counts * squares).sum()))


def _count_differing(best: Edit, other: Edit, review: Review) -> NDArray[np.int64]:
    """Count the labelled leads on which two edits differ: handed over today or not, stratum, label."""
    used = review.windows.discover & review.evidence & (review.labels > 0)
    after = []
    for edit in (best, other):
        gained, lost = review.board.moved(edit, used)
        handed = review.board.handed_over.copy()
        handed[gained], handed[lost] = True, False
        after.append(handed)
    rows = np.flatnonzero(used & (after[0] != after[1]))
    counts = np.zeros((2, review.n_strata, 2), np.int64)
    place = review.board.handed_over[rows].astype(np.intp), review.strata[rows], review.labels[rows] - 1
    np.add.at(counts, place, 1)
    return counts


def _registration(
    review: Review, found: SearchResult, picked: tuple[int, ...], *, max_changes: int, max_candidates: int
) -> Registration:
    candidates = []
    for position in picked:
        changes = review.board.changes(found.edits[position])
        candidates.append(
            {
                "criterion": " + ".join(name_change(change) for change in changes),
                "kind": " + ".join(change.kind for change in changes),
                "written": " + ".join(change.written or "(nothing)" for change in changes),
                "proposed": " + ".join(change.proposed or "(dropped)" for change in changes),
            }
        )
    return make_registration(
        review,
        candidates,
        max_changes=max_changes,
        max_candidates=max_candidates,
        n_searched=len(found.edits),
    )


def _plan(
    review: Review, found: SearchResult, ranking: Ranking
) -> tuple[tuple[Exploration, ...], dict[str, str], int]:
    """Plan explorations, collect what is to be said of criteria that stay, count the plans left out."""
    if review.stakes is None:
        return (), {}, 0
    explore: tuple[Exploration, ...] = ()
    refused: dict[str, str] = {}
    more = 0
    if not review.few_wins:  # else the leads just inside say nothing of those outside
        explore, refused, more = plan_explorations(
            review.board,
            found,
            ranking,
            review.stakes,
            months=review.windows.discover_months,
            min_change=review.min_change,
            overall=(float(review.handed.k), float(review.handed.n)),
        )
    notes = {
        plan.criterion: f"looser (`{plan.to}`) has "
        f"{'verdicts only of leads that somebody picked' if plan.n_known else 'no verdicts'}: "
        f"{say_leads(plan.n)} at random would tell"
        for plan in explore
    }
    return explore, notes | refused, more


def _hopeless(review: Review) -> str:
    """Say why nothing can be said of any criterion; empty where something can."""
    if review.stakes is not None and not review.few_wins:
        return ""
    word = "accepted" if review.target == "accepted" else "won"
    if not review.n_handed:
        return "the definition hands over no lead of the older quarters"
    if not review.handed.n:
        return f"of no lead handed over in the older quarters it is known whether it was {word}"
    if review.few_wins:
        return f"too few leads handed over are recorded as {word} to say what changing it would bring"
    return f"all leads handed over in the older quarters were {word}: nothing tells good from bad"


def _closing_notices(
    review: Review, confirmed: Confirmation, proposals: Sequence[JudgedChange], unplanned: int
) -> tuple[str, ...]:
    notices = []
    if not review.times.n_confirm:
        notices.append("No matured leads with labels are left to confirm on: nothing can be proposed.")
    elif review.stakes is not None and not confirmed.enough:
        notices.append(
            "Too few wins are recorded in the newest matured leads to confirm anything that takes leads away."
        )
    if unplanned:
        bands = "band" if unplanned == 1 else "bands"
        notices.append(f"{format_count(unplanned)} more {bands} could be explored; the best are listed.")
    if proposals:
        notices.append(
            "Assumed: accounts decide independently, the next quarter is like the last two, and handing over "
            "more or fewer leads does not change how well the others are worked."
        )
    return tuple(notices)

"""Confirmation: the registered changes on the newest matured leads, with their guardrails."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadml._render import format_rate
from leadml.definitions import apply_changes
from leadml.errors import DefinitionError
from leadml.metrics import holm
from leadml.propose._booked import check_booked
from leadml.propose._counted import EARLY_ACCEPTANCE, EARLY_WIN, ChangeCounts, add_counts, count_change
from leadml.propose._explain import explain_change
from leadml.propose._guard import (
    Guardrail,
    check_acceptance,
    check_freshness,
    check_newest,
    check_segments,
)
from leadml.propose._judge import NOTHING_KNOWN, Moved, Range, judge_moved, range_of_labels
from leadml.propose._late import check_late_wins
from leadml.propose._moment import check_moment
from leadml.propose._pick import KNOWN_SHARE, KNOWN_SHARE_LOST, Ranking
from leadml.propose._result import JudgedChange
from leadml.propose._segments import SEGMENTS_DIFFER, compare_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadml.definitions import Change, Definition
    from leadml.propose._board import Edit
    from leadml.propose._confirmation import Confirmation
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Stakes
    from leadml.propose._review import Review

__all__ = [
    "add_late_checks",
    "complete_change",
    "confirm_candidates",
    "count_edits",
    "find_promising",
    "judge_change",
    "revise",
    "say_refusal",
]

_MOST_PROMISING = 3
_NEXT = "also confirmed, but another change promised more on the older quarters; review it next time"
_PART = "also confirmed, but a part of it was worth no less on the newest matured leads: fewer changes do"


def revise(definition: Definition, changes: Sequence[Change]) -> Definition | None:
    """Write changes into the author's file; None if that cannot be done without changing anything else."""
    try:
        return apply_changes(definition, changes)
    except DefinitionError:
        return None


def confirm_candidates(
    review: Review,
    confirmed: Confirmation,
    found: SearchResult,
    picked: Sequence[int],
    *,
    max_candidates: int,
) -> tuple[JudgedChange, ...]:
    """Put each registered change through the gate, Holm and the guardrails; propose the best that passes.

    The best is the one that promised most on the older quarters. A change that is a part of it goes before
    it if both pass and the rest adds nothing on the newest matured leads (their estimates): fewer changes
    then do as much. That the rest adds something need not be *shown* by itself: the guarantee is about the
    change against today and covers both, and a test of a difference between two good changes would mostly
    fail for want of leads and give the gain away. Whichever is taken of those that pass, Holm covers it.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    found : SearchResult
    picked : sequence of int
        The registered ones, best first.
    max_candidates : int
        Places that were not used are tests that failed: one candidate is no easier to pass than three.

    Returns
    -------
    tuple of JudgedChange
        One per registered change, in the order of the registration.
    """
    if review.stakes is None or not picked:
        return ()
    edits = [found.edits[position] for position in picked]
    judged = [
        judge_change(
            review,
            review.board.changes(edit),
            counts,
            error_rate=review.error_rate / max_candidates,
        )
        for edit, counts in zip(edits, count_edits(review, confirmed, edits), strict=True)
    ]
    unused = [1.0] * (max_candidates - len(judged))
    adjusted = holm([change.p_value for change in judged] + unused)[: len(judged)]
    tested: list[JudgedChange] = []
    for change, p_adjusted in zip(judged, adjusted, strict=True):
        weighed = replace(change, p_adjusted=float(p_adjusted))
        refusal = say_refusal(review, confirmed, weighed)
        if not refusal:
            weighed = add_late_checks(review, confirmed, weighed)
            refusal = say_refusal(review, confirmed, weighed)
        tested.append(replace(weighed, status="not shown" if refusal else "also passed", reason=refusal))
    return tuple(_propose_best(review, confirmed, tested))


def _propose_best(
    review: Review, confirmed: Confirmation, tested: Sequence[JudgedChange]
) -> Iterator[JudgedChange]:
    """Say of those that passed which one is proposed, and of the others why they are not."""
    passed = [change for change in tested if change.status == "also passed"]
    best = passed[0] if passed else None
    parts = [change for change in passed if best is not None and _adds_nothing(best, change)]
    chosen = parts[0] if parts else best
    for change in tested:
        if change is chosen:
            shown = replace(change, status="proposed", reason=_passed(change))
            yield complete_change(review, confirmed, shown)
        elif change.status == "also passed":
            yield replace(change, reason=_PART if change is best else _NEXT)
        else:
            yield change


def _adds_nothing(whole: JudgedChange, part: JudgedChange) -> bool:
    """Whether a change is a part of another and no worse on the newest matured leads."""
    return _asked(part) < _asked(whole) and (part.value.value or 0.0) >= (whole.value.value or 0.0)


def _asked(change: JudgedChange) -> set[str]:
    """Return the criteria that change, and beside each whether it is for a segment only."""
    segments = {f"{item.address} in a segment" for item in change.changes if item.kind == "segment"}
    return {item.address for item in change.changes} | segments


def add_late_checks(review: Review, confirmed: Confirmation, change: JudgedChange) -> JudgedChange:
    """Add the guardrails that look at the whole file, where there is a doubt.

    That a change rests on what is known at the handoff, that won deals are booked, and that it gains with
    deals won after the window. They read much, so they are asked last: only of a change that would be
    proposed.
    """
    revised = revise(review.definition, change.changes)
    if revised is None:
        return change
    error_rate = (1 - change.confidence_level) / 2
    late = (
        check_moment(review, revised),
        check_booked(review, confirmed, revised),
        check_late_wins(review, confirmed, revised, error_rate=error_rate),
    )
    found = tuple(guardrail for guardrail in late if guardrail is not None)
    return replace(change, guardrails=(*change.guardrails, *found))


def complete_change(review: Review, confirmed: Confirmation, change: JudgedChange) -> JudgedChange:
    """Add the new version and the explanation in plain words to a change that is shown."""
    revised = revise(review.definition, change.changes)
    explanation = explain_change(review, confirmed, change.changes, revised)
    return replace(change, revised=revised, explanation=explanation)


def count_edits(review: Review, confirmed: Confirmation, edits: Sequence[Edit]) -> list[ChangeCounts]:
    """Count what each of some edits moves."""
    if not edits:
        return []
    parts = confirmed.gather(review, partial(_count_edits, tuple(edits)))
    return [add_counts(same) for same in zip(*parts, strict=True)]


def _count_edits(
    edits: tuple[Edit, ...], review: Review, confirmed: Confirmation
) -> tuple[ChangeCounts, ...]:
    later = review.windows.confirm | confirmed.newest
    return tuple(
        count_change(
            review,
            confirmed,
            *review.board.moved(edit, later),
            elsewhere=review.board.moved_elsewhere(edit, review.windows.confirm),
        )
        for edit in edits
    )


def judge_change(
    review: Review,
    changes: tuple[Change, ...],
    counts: ChangeCounts,
    *,
    error_rate: float,
) -> JudgedChange:
    """Judge one change by the leads it moves in the confirmation window (and, for freshness, since).

    Parameters
    ----------
    review : Review
        With stakes.
    changes : tuple of Change
    counts : ChangeCounts
        What it moves.
    error_rate : float
        One-sided error of each bound.

    Returns
    -------
    JudgedChange
        With status "not shown": whether it is more is for the caller to say.
    """
    stakes = _stakes(review)
    moved, other = counts.moved, counts.other
    months = review.windows.confirm_months
    scale = 1 / months if months else 1.0
    verdict = judge_moved(moved, stakes, error_rate=error_rate)
    main = range_of_labels(moved, error_rate=error_rate, stands_for=stakes.stands_for).scaled(scale)
    side = _other_range(other, moved, stakes, error_rate).scaled(scale)
    grade = _grade(moved, review.gained_trusted)
    if grade == "A" and not _survives_missing(review, counts, verdict.value.low or 0.0):
        grade = "B"
    p_value, guardrails = verdict.p_value, _guardrails(review, counts)
    if counts.elsewhere is not None:
        differs, p_differs = compare_segments(moved, counts.elsewhere, stakes, error_rate=error_rate)
        p_value, guardrails = max(p_value, p_differs), (*guardrails, differs)
    return JudgedChange(
        status="not shown",
        changes=changes,
        grade=grade,
        n_changed=moved.leads,
        n_gained=round(float(moved.n_gained.sum())),
        wins_gained=round(float(moved.k_gained.sum())),
        n_lost=round(float(moved.n_lost.sum())),
        wins_lost=round(float(moved.k_lost.sum())),
        gained_per_month=moved.leads_gained / months if months else None,
        lost_per_month=moved.leads_lost / months if months else None,
        value=(verdict.value if moved.n or not moved.leads else NOTHING_KNOWN).scaled(scale),
        won=main if review.target == "won" else side,
        accepted=main if review.target == "accepted" else side,
        p_value=p_value,
        p_adjusted=p_value,
        detectable=None if verdict.detectable is None else verdict.detectable * scale,
        confidence_level=1 - 2 * error_rate,
        tipping_point=_tipping_point(moved, stakes),
        reason="",
        guardrails=guardrails,
    )


def _stakes(review: Review) -> Stakes:
    if review.stakes is None:
        raise ValueError("a review without stakes judges nothing.")
    return review.stakes


def _guardrails(review: Review, counts: ChangeCounts) -> tuple[Guardrail, ...]:
    found = [
        check_segments(counts.moved, _stakes(review), error_rate=review.error_rate),
        check_newest(counts.recent, _stakes(review), error_rate=review.error_rate),
    ]
    if review.target == "won":
        found.append(
            check_acceptance(
                counts.accepted,
                counts.accepted_gained,
                counts.accepted_lost,
                minimum=review.goal.minimum_acceptance,
                error_rate=review.error_rate,
            )
        )
    # A better or worse verdict of the newest leads concerns a goal of won deals only through the deals.
    what = EARLY_ACCEPTANCE if review.target == "accepted" else EARLY_WIN
    if (what, "gained") in counts.early:
        found.append(check_freshness(counts.early[what, "gained"], counts.early[what, "lost"], what=what))
    return tuple(guardrail for guardrail in found if guardrail is not None)


def _other_range(other: Moved, moved: Moved, stakes: Stakes, error_rate: float) -> Range:
    """Estimate the label that the goal is not judged by; unknown unless most of the leads have it."""
    if other.n < 0.8 * moved.n or other.n == 0:
        return NOTHING_KNOWN
    return range_of_labels(other, error_rate=error_rate, stands_for=stakes.stands_for)


def _grade(moved: Moved, gained_trusted: bool) -> Literal["A", "B", "C"]:  # noqa: FBT001
    known, gained = float(moved.size_gained.sum()), float(moved.accounts_gained)
    if moved.weighted:
        known = gained if known > 0 else 0.0
    if gained and not gained_trusted:
        return "B" if known > 0 else "C"
    if known < KNOWN_SHARE * gained:
        return "B" if known > 0 else "C"
    lost = float(moved.accounts_lost)
    return "A" if moved.weighted or float(moved.n_lost.sum()) >= KNOWN_SHARE_LOST * lost else "B"


def _survives_missing(review: Review, counts: ChangeCounts, low: float) -> bool:
    """Whether the bound stays above zero if lost leads without a label are twice as good as those that stay.

    Who gets a label need not be chance: good leads that nobody got round to judge make a band look bad.
    """
    moved, stays = counts.moved, counts.stays
    known, accounts = moved.n_lost, float(moved.accounts_lost)
    missing = accounts - float(known.sum())
    if moved.weighted or missing <= (1 - KNOWN_SHARE) * accounts:
        return True
    stakes = _stakes(review)
    rates = [stays.k / stays.n if stays.n else 1.0]
    rates += [float(moved.k_lost.sum() / known.sum())] if known.any() else []
    worth = np.average(
        stakes.value * min(1.0, 2 * max(rates)) - stakes.cost_lost, weights=known if known.any() else None
    )
    return low - missing * float(worth) > 0


def _tipping_point(moved: Moved, stakes: Stakes) -> float | None:
    """Return the rate below which the unpicked leads would spoil a grade B change."""
    known, gained = float(moved.n_gained.sum()), float(moved.accounts_gained)
    if gained <= 0 or known <= 0 or known >= KNOWN_SHARE * gained:
        return None
    value = float((moved.n_gained * stakes.value).sum())
    rate = float((moved.n_gained * stakes.cost_gained).sum()) / value if value > 0 else 0.0
    picked = known / gained
    return max(0.0, (rate - picked * float(moved.k_gained.sum()) / known) / (1 - picked))


def say_refusal(review: Review, confirmed: Confirmation, change: JudgedChange) -> str:
    """Say why a change is not proposed; empty if it is."""
    takes_away = change.n_lost > 0 or (change.lost_per_month or 0) > 0
    if takes_away and (review.few_wins or not confirmed.enough):
        return "too few wins are recorded in the newest matured leads to confirm anything"
    if change.grade != "A":
        return "the newest matured leads have no label for all leads that it moves"
    apart = [condition for condition in change.guardrails if condition.name == SEGMENTS_DIFFER]
    if any(not condition.kept for condition in apart):
        return f"segments may not differ on this evidence: {apart[0].words}"
    if change.p_adjusted > review.error_rate:
        if change.value.value is not None and change.value.value <= 0:
            return "not confirmed: on the newest matured leads it brings nothing"
        return (
            "not confirmed on the newest matured leads: a change that brings nothing would look this good in "
            f"{format_rate(change.p_adjusted)} of such tests"
        )
    if change.value.low is None or change.value.low <= 0:
        # Holm may pass a later test at a laxer level than its printed bound; the bound is the headline.
        return "its lower bound is not above zero"
    broken = [guardrail.words for guardrail in change.guardrails if not guardrail.kept]
    return f"confirmed, but held back: {'; '.join(broken)}" if broken else ""


def _passed(change: JudgedChange) -> str:
    return (
        f"confirmed on the newest matured leads (p = {change.p_value:.2g}). Estimates that just pass are "
        "typically 1.2 to 2.6 times too high: plan with the lower bound"
    )


def find_promising(
    review: Review,
    confirmed: Confirmation,
    found: SearchResult,
    ranking: Ranking,
    tested: Sequence[JudgedChange],
) -> tuple[JudgedChange, ...]:
    """Return grade B changes that look good on both windows: people picked the leads, so never proposed."""
    if review.stakes is None or review.few_wins or not confirmed.enough:
        return ()
    tried = {change.criterion for change in tested}
    touched: set[str] = set()
    edits: list[Edit] = []
    wanted = ranking.allowed & (ranking.grade == "B") & (ranking.gain > 0)
    wanted &= ranking.n_changed >= review.min_change
    places = [int(place) for place in np.flatnonzero(wanted)]
    for position in sorted(places, key=lambda place: (-round(float(ranking.score[place]), 9), place)):
        edit = found.edits[position]
        addresses = set(review.board.addresses(edit))
        if edit.n_changes == 1 and not addresses & touched:
            touched |= addresses
            edits.append(edit)
    promising: list[JudgedChange] = []
    for edit, counts in zip(edits, count_edits(review, confirmed, edits), strict=True):
        changes = review.board.changes(edit)
        change = judge_change(review, changes, counts, error_rate=review.error_rate)
        if change.p_value > review.error_rate or change.criterion in tried:
            continue
        shown = replace(change, status="promising", grade="B", reason=_promise_words(change))
        promising.append(complete_change(review, confirmed, shown))
        if len(promising) == _MOST_PROMISING:
            break
    return tuple(promising)


def _promise_words(change: JudgedChange) -> str:
    if change.tipping_point == 0:
        return (
            "only leads that somebody picked have labels here; they would pay for the others too, but "
            "whether those win nobody knows. Not proposed: hand over a random sample"
        )
    if change.tipping_point is not None:
        return (
            "only leads that somebody picked have labels here; it fails if the others win less often than "
            f"{format_rate(change.tipping_point)}. Not proposed: hand over a random sample"
        )
    if change.n_gained:
        return (
            "the leads outside the definition were picked by people. Not proposed: hand over a random sample"
        )
    return "most of the leads that it takes away have no label; it is not proposed"

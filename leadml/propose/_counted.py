"""What one change moves, in counts: all that its judgement and its guardrails need, and no lead.

Counts of parts of the leads add up to the counts of all of them, wherever the parts were counted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from leadml.propose._confirmation import count_confirmed, count_recent
from leadml.propose._judge import YES, Moved, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.propose._confirmation import Confirmation
    from leadml.propose._review import Review

    Bits = NDArray[np.bool_]
    Places = NDArray[np.intp]

__all__ = ["ChangeCounts", "Tally", "add_counts", "add_moved", "count_change", "tally"]

EARLY_ACCEPTANCE, EARLY_WIN = "acceptance", "won within three months"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChangeCounts:
    """The leads that one change moves in the confirmation window and since.

    Attributes
    ----------
    moved, other : Moved
        In the confirmation window, by the label that decides and by the other one.
    recent : tuple of (Moved, Moved)
        Before and in each newest part that is looked at.
    stays, accepted : Tally
        Leads that are handed over before and after: by the label that decides, by acceptance.
    accepted_gained, accepted_lost : Tally
        Acceptance of the leads moved, one per account.
    early : mapping of (label, "gained" or "lost") to (before, since)
        Labels that are known early, of the confirmation window and of newer leads.
    elsewhere : Moved or None
        Of a move in one segment: what it would move among all other leads, in the confirmation window.
    """

    moved: Moved
    other: Moved
    recent: tuple[tuple[Moved, Moved], ...]
    stays: Tally
    accepted: Tally
    accepted_gained: Tally
    accepted_lost: Tally
    early: Mapping[tuple[str, str], tuple[Tally, Tally]]
    elsewhere: Moved | None = None


def count_change(
    review: Review,
    confirmed: Confirmation,
    gained: Places,
    lost: Places,
    *,
    elsewhere: tuple[Places, Places] | None = None,
) -> ChangeCounts:
    """Count what a change moves.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    gained, lost : ndarray of int
        Leads moved, in the confirmation window and later.
    elsewhere : tuple of ndarray of int, optional
        Of a move in one segment: what it would gain and lose among all others, in the confirmation window.

    Returns
    -------
    ChangeCounts
    """
    inside = review.windows.confirm
    now_gained, now_lost = gained[inside[gained]], lost[inside[lost]]
    evidence = inside & review.evidence
    stays = review.board.handed_over & evidence
    stays[now_lost] = False
    accepted = np.where(evidence, confirmed.accepted, 0).astype(np.int8)
    early = {EARLY_ACCEPTANCE: confirmed.accepted}
    if confirmed.early is not None:
        early[EARLY_WIN] = confirmed.early
    return ChangeCounts(
        moved=count_confirmed(review, confirmed.labels, now_gained, now_lost),
        other=count_confirmed(review, confirmed.other, now_gained, now_lost),
        recent=tuple(count_recent(review, confirmed, gained, lost)),
        stays=tally(confirmed.labels, np.flatnonzero(stays)),
        accepted=tally(accepted, np.flatnonzero(stays)),
        accepted_gained=tally(accepted, now_gained),
        accepted_lost=tally(accepted, now_lost),
        early={
            (what, side): (
                tally(labels, rows[inside[rows]]),
                tally(labels, rows[confirmed.newest[rows]]),
            )
            for what, labels in early.items()
            for side, rows in (("gained", gained), ("lost", lost))
        },
        elsewhere=None if elsewhere is None else count_confirmed(review, confirmed.labels, *elsewhere),
    )


def tally(labels: NDArray[np.int8], rows: Places) -> Tally:
    """Count the labels of some leads."""
    known = labels[rows]
    return Tally(n=int((known > 0).sum()), k=int((known == YES).sum()))


def add_counts(parts: Sequence[ChangeCounts]) -> ChangeCounts:
    """Add the counts of parts of the leads."""
    first, *others = parts
    for part in others:
        first = ChangeCounts(
            moved=add_moved(first.moved, part.moved),
            other=add_moved(first.other, part.other),
            recent=tuple(
                (add_moved(before, other_before), add_moved(since, other_since))
                for (before, since), (other_before, other_since) in zip(
                    first.recent, part.recent, strict=True
                )
            ),
            stays=first.stays + part.stays,
            accepted=first.accepted + part.accepted,
            accepted_gained=first.accepted_gained + part.accepted_gained,
            accepted_lost=first.accepted_lost + part.accepted_lost,
            early={
                key: (before + part.early[key][0], since + part.early[key][1])
                for key, (before, since) in first.early.items()
            },
            elsewhere=None
            if first.elsewhere is None or part.elsewhere is None
            else add_moved(first.elsewhere, part.elsewhere),
        )
    return first


def add_moved(one: Moved, other: Moved) -> Moved:
    """Add what a change moves in two parts of the leads."""
    if one.weighted or other.weighted:
        raise ValueError("effective counts of weighted leads do not add up: weigh all leads at once.")
    return Moved(
        **{
            each.name: getattr(one, each.name) + getattr(other, each.name)
            for each in fields(Moved)
            if each.name != "weighted"
        }
    )

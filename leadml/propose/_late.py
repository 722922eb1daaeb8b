"""Won deals that close after the window: slow kinds of leads look as if they did not buy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from leadml.propose._confirmation import count_confirmed
from leadml.propose._counted import add_moved
from leadml.propose._guard import Guardrail
from leadml.propose._judge import NO, Moved, judge_moved
from leadml.propose._leads import compare_handoff
from leadml.propose._words import say_leads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.propose._confirmation import Confirmation
    from leadml.propose._review import Review

    Counts = NDArray[np.int64]

__all__ = ["check_late_wins"]


def check_late_wins(
    review: Review, confirmed: Confirmation, revised: Definition, *, error_rate: float
) -> Guardrail | None:
    """Check that a change still gains when deals count that were won after the window.

    A window that is too short for a kind of lead makes it look worse than it is, and taking it away would
    look like a gain. What was won later by the day of the export is known, so it is counted.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    revised : Definition
        The changed definition.
    error_rate : float
        Of the gate that the change passed.

    Returns
    -------
    Guardrail or None
        None where none of the leads taken away was won later.
    """
    if review.target != "won" or review.stakes is None or review.weights is not None:
        return None
    parts = confirmed.gather(review, partial(_count_late, revised))
    moved = reduce(add_moved, (part[0] for part in parts))
    gained, lost = np.sum([part[1] for part in parts], axis=0)
    if not lost.sum() or not moved.n:
        return None
    counted = replace(moved, k_gained=moved.k_gained + gained, k_lost=moved.k_lost + lost)
    low = judge_moved(counted, review.stakes, error_rate=error_rate).value.low
    kept = low is not None and low > 0
    words = f"{say_leads(int(lost.sum()))} that it takes away were won after the window of won deals: " + (
        "it gains with them too" if kept else "with them it gains nothing. Make that window longer"
    )
    return Guardrail(name="late wins", kept=kept, words=words)


def _count_late(revised: Definition, review: Review, confirmed: Confirmation) -> tuple[Moved, Counts]:
    """Count what a change moves in the confirmation window, and what of it was won after the window."""
    outcome, inside = review.table.role("outcome"), review.windows.confirm
    gained, lost = (side[inside[side]] for side in compare_handoff(review, revised))
    won = np.zeros(len(inside), bool) if outcome is None else (outcome == "won").to_numpy()
    late = won & review.evidence & (confirmed.labels == NO)
    counts = [
        np.bincount(review.strata[side[late[side]]], minlength=review.n_strata) for side in (gained, lost)
    ]
    return count_confirmed(review, confirmed.labels, gained, lost), np.array(counts, np.int64)

"""What must not get worse beside the goal: acceptance, signed price segments, a market that moved on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import fisher_exact

from leadml._render import format_rate
from leadml.metrics import mover_interval
from leadml.propose._judge import Moved, Range, judge_moved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadml.propose._counted import Tally
    from leadml.propose._goal import Stakes

__all__ = ["Guardrail", "check_acceptance", "check_freshness", "check_newest", "check_segments"]

ACCEPTANCE_MARGIN = 0.05
_FRESHNESS_ERROR = 0.05
_FEW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One condition beside the goal.

    Attributes
    ----------
    name : str
    kept : bool
        Whether it holds; a proposal needs all of them.
    words : str
        The condition with its numbers.
    """

    name: str
    kept: bool
    words: str


def check_acceptance(
    stays: Tally, gained: Tally, lost: Tally, *, minimum: float | None, error_rate: float
) -> Guardrail | None:
    """Check that Sales accepts no smaller share of what it gets.

    The share among the leads handed over after the change is compared with the share before (MOVER over
    the leads that stay, come and go): a fall of more than five points that is not chance holds the change
    back. With an agreed minimum the share after the change must reach it, or be no lower than before.

    Parameters
    ----------
    stays, gained, lost : Tally
        Acceptance of the leads of the window that are handed over before and after, only after, only before.
    minimum : float or None
    error_rate : float

    Returns
    -------
    Guardrail or None
        None where hardly anything has a verdict.
    """
    before, after = stays + lost, stays + gained
    if before.n < _FEW or after.n < _FEW:
        return None
    change = _acceptance_change((stays, gained, lost), before.n, after.n, error_rate)
    was, will = before.k / before.n, after.k / after.n
    words = (
        f"acceptance of what is handed over {format_rate(was)} today, {format_rate(will)} after the change"
    )
    kept = (change.value or 0.0) > -ACCEPTANCE_MARGIN or (change.high or 0.0) >= 0
    if minimum is not None:
        kept &= will >= min(minimum, was)
        words += f" (agreed: {format_rate(minimum)})"
    return Guardrail(name="acceptance", kept=bool(kept), words=words)


def _acceptance_change(
    parts: tuple[Tally, Tally, Tally], before: int, after: int, error_rate: float
) -> Range:
    n_stay, n_gain, n_loss = (part.n for part in parts)
    # share after - share before = p_stay (n/after - n/before) + p_gain n/after - p_loss n/before
    weight = n_stay / after - n_stay / before
    estimate, low, high = mover_interval(
        [part.k for part in parts],
        [part.n for part in parts],
        sign=[1.0 if weight >= 0 else -1.0, 1.0, -1.0],
        scale=[abs(weight), n_gain / after, n_loss / before],
        confidence_level=1 - 2 * error_rate,
    )
    return Range(low=float(low), value=float(estimate), high=float(high))


def check_segments(moved: Moved, stakes: Stakes, *, error_rate: float) -> Guardrail | None:
    """Check that no price segment is shown to lose.

    Returns
    -------
    Guardrail or None
        None with a single segment.
    """
    if stakes.n_strata < 2:
        return None
    losing = []
    for number, name in enumerate(stakes.names):
        k = np.array([moved.k_gained[number], moved.k_lost[number]])
        n = np.array([moved.n_gained[number], moved.n_lost[number]])
        size = np.array([moved.size_gained[number], moved.size_lost[number]])
        value = stakes.value[number]
        if n.sum() == 0 or value <= 0:
            continue
        rates = [stakes.break_even("gained")[number], stakes.break_even("lost")[number]]
        _, _, high = mover_interval(
            k,
            n,
            sign=[1, -1],
            scale=size * value,
            break_even=rates,
            confidence_level=1 - 2 * error_rate / stakes.n_strata,
        )
        if float(high) < 0:
            losing.append(name)
    words = "no price segment is shown to lose" if not losing else f"loses for sure in: {', '.join(losing)}"
    return Guardrail(name="segments", kept=not losing, words=words)


def check_freshness(gained: tuple[Tally, Tally], lost: tuple[Tally, Tally], *, what: str) -> Guardrail | None:
    """Check that the leads that change still behave as they did in the confirmation window.

    A label that is known early (acceptance, won within three months) is compared between the confirmation
    window and the newest leads by Fisher's exact test, one-sided in the direction that would hurt: leads
    lost that became better, leads gained that became worse.

    Parameters
    ----------
    gained, lost : tuple of Tally
        The early label of the leads that the change moves: in the confirmation window, and of newer leads.
    what : str
        The label in words.

    Returns
    -------
    Guardrail or None
        None where too few newest leads have the label.
    """
    found = []
    sides: tuple[tuple[tuple[Tally, Tally], Literal["less", "greater"], str], ...] = (
        (gained, "less", "gained"),
        (lost, "greater", "lost"),
    )
    for (old, new), hurts, side in sides:
        if new.n < _FEW or old.n < _FEW:
            continue
        table = np.array([[new.k, new.n - new.k], [old.k, old.n - old.k]])
        p_value = float(fisher_exact(table, alternative=hurts).pvalue)
        found.append((p_value, side, old.k / old.n, new.k / new.n))
    if not found:
        return None
    p_value, side, was, now = min(found)
    kept = p_value > _FRESHNESS_ERROR / len(found)
    words = f"{what} of the leads {side}: {format_rate(was)} then, {format_rate(now)} among the newest"
    return Guardrail(
        name="freshness", kept=kept, words=words if kept else f"{words}: the market has moved on"
    )


def check_newest(
    parts: Iterable[tuple[Moved, Moved]], stakes: Stakes, *, error_rate: float
) -> Guardrail | None:
    """Check that a change that gains over the whole window has not stopped to gain at its end.

    Two quarters pooled show a gain that the first of them may have earned alone. The change is held back if
    its newest part, judged alone, loses for sure, or if it gains nothing and the leads that change are worse
    there than before (Fisher's exact test, one-sided in the direction that hurts). The error of the test is
    split over the parts that have enough labels.

    Parameters
    ----------
    parts : iterable of (earlier, newest)
        What the change moves before and in each newest part that is looked at.
    stakes : Stakes
    error_rate : float

    Returns
    -------
    Guardrail or None
        None where no newest part has enough labels.
    """
    usable = [(earlier, newest) for earlier, newest in parts if newest.n >= _FEW]
    for earlier, newest in usable:
        value = judge_moved(newest, stakes, error_rate=error_rate / len(usable)).value
        loses = (value.high or 0.0) < 0
        worse = _is_worse(earlier, newest, error_rate=_FRESHNESS_ERROR / len(usable))
        if loses or ((value.value or 0.0) <= 0 and worse):
            found = "lose for sure" if loses else "gain nothing and are worse than the earlier ones"
            words = f"the newest {newest.n} of the leads that change, judged alone, {found}"
            return Guardrail(name="newest", kept=False, words=f"{words}: the market has moved on")
    if not usable:
        return None
    most = max(newest.n for _, newest in usable)
    words = f"the newest {most} of the leads that change, judged alone, do not contradict the earlier ones"
    return Guardrail(name="newest", kept=True, words=words)


def _is_worse(earlier: Moved, newest: Moved, *, error_rate: float) -> bool:
    p_values = []
    sides: tuple[tuple[str, Literal["less", "greater"]], ...] = (("gained", "less"), ("lost", "greater"))
    for side, hurts in sides:
        table = [
            [round(float(k)), round(float(n - k))]
            for part in (newest, earlier)
            for k, n in ((getattr(part, f"k_{side}").sum(), getattr(part, f"n_{side}").sum()),)
        ]
        if sum(table[0]) and sum(table[1]):
            p_values.append(float(fisher_exact(np.array(table), alternative=hurts).pvalue))
    return bool(p_values) and min(p_values) <= error_rate / len(p_values)

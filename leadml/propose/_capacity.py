"""What a place for one more lead is worth, where Sales can work only so many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml._render import format_count, format_money

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Goal, Stakes
    from leadml.propose._pick import Ranking
    from leadml.propose._review import Review

    Floats = NDArray[np.float64]

__all__ = ["ShadowPrice", "find_shadow_price", "fits_capacity", "price_capacity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrice:
    """What one more lead a month would be worth, on the older quarters.

    Attributes
    ----------
    capacity : float
        Leads a month that Sales can work; without one, as many as today.
    leads_per_month : float
        Handed over by the written definition.
    value : float or None
        Of one more lead; 0 where Sales has places left; None where nobody can say, because the leads that
        would fill it have no label.
    unit : str
        What the value is counted in.
    words : str
    """

    capacity: float
    leads_per_month: float
    value: float | None
    unit: str
    words: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "capacity": float(f"{self.capacity:.10g}"),
            "leads_per_month": float(f"{self.leads_per_month:.10g}"),
            "value": None if self.value is None else float(f"{self.value:.10g}"),
            "unit": self.unit,
            "words": self.words,
        }


def find_shadow_price(volume: Floats, gain: Floats, capacity: float) -> float | None:
    """Find the price of a lead's place at which the best definition just keeps to the capacity.

    Whoever maximises ``gain - price * volume`` hands over fewer leads the higher the price. The price sought
    is where that falls to the capacity: the slope there of the upper hull of gain over volume.

    Parameters
    ----------
    volume, gain : ndarray of shape (n_definitions,)
        Leads that each definition hands over, and what they bring.
    capacity : float

    Returns
    -------
    float or None
        0 where the best definition of all keeps to the capacity; None where none does.

    References
    ----------
    METHODS.md, section 1.1. Everett, "Generalized Lagrange Multiplier Method", Operations Research (1963).

    Examples
    --------
    A hundred leads bring 50, two hundred 70: at 150 places one more brings 0.2.

    >>> find_shadow_price(np.array([100.0, 200.0]), np.array([50.0, 70.0]), 150.0)
    0.2
    """
    fits = volume <= capacity
    if not fits.any():
        return None
    within = _best(gain, volume, np.flatnonzero(fits))
    beyond = _best(gain, volume, np.arange(len(gain)))
    while not fits[beyond]:
        price = float((gain[beyond] - gain[within]) / (volume[beyond] - volume[within]))
        worth = gain - price * volume
        best = int(worth.argmax())
        if worth[best] <= worth[within] + 1e-12 * float(np.abs(gain).max() + 1):
            return price
        if fits[best]:
            within = best
        else:
            beyond = best
    return 0.0


def _best(gain: Floats, volume: Floats, places: NDArray[np.intp]) -> int:
    """Return the place with the most gain, of equals the one with the fewest leads."""
    return int(places[np.lexsort((volume[places], -gain[places]))[0]])


def price_capacity(review: Review, found: SearchResult, ranking: Ranking) -> ShadowPrice | None:
    """Price a lead's place on the older quarters; None where no number of leads is to be kept to.

    Of all changes that were looked at, those count whose leads have labels; where no price is signed, what
    they bring is won (accepted) leads.
    """
    stakes, months = review.stakes, review.windows.discover_months
    if review.max_leads is None or stakes is None or months is None:
        return None
    cells = found.cells
    gain = ranking.gain
    if not stakes.signed:
        gain = (cells.yes(found.gained) - cells.yes(found.lost)).sum(-1)
    volume = review.n_handed + cells.leads(found.gained) - cells.leads(found.lost)
    usable = (ranking.grade == "A") & (ranking.n_changed >= review.min_change) & (volume > 0)
    volume = np.append(volume[usable], float(review.n_handed))
    value = find_shadow_price(volume, np.append(gain[usable], 0.0), review.max_leads)
    if value == 0 and not (volume > review.max_leads).any():
        value = None  # nobody knows what more leads would bring
    capacity, now = review.max_leads / months, review.n_handed / months
    return ShadowPrice(
        capacity=capacity,
        leads_per_month=now,
        value=value,
        unit=stakes.unit,
        words=f"{_say_places(review.goal, capacity, now)} {_say_value(value, stakes)}",
    )


def _say_places(goal: Goal, capacity: float, now: float) -> str:
    if goal.capacity is None:
        return f"Counted at no more than today's {format_count(now)} leads a month."
    return (
        f"Sales can work {format_count(capacity)} leads a month; the definition hands over "
        f"{format_count(now)} today."
    )


def _say_value(value: float | None, stakes: Stakes) -> str:
    if value is None:
        return "What one more lead a month would bring, nobody can say: no lead outside has a label."
    if value == 0:
        return "One more lead a month would bring nothing: the best definition needs no more places."
    amount = format_money(value, currency=stakes.unit) if stakes.signed else f"{value:.2f} {stakes.unit}"
    return f"One more lead a month would bring about {amount}, at best (older quarters, not confirmed)."


def fits_capacity(review: Review, leads_gained: float, leads_lost: float) -> bool:
    """Whether a change hands over no more leads than Sales can work, in the confirmation window."""
    if review.max_leads is None:
        return True
    now, n_confirm, n_discover = np.sum(review.gather(_count_volume), axis=0)
    then = now + leads_gained - leads_lost
    months = review.windows.confirm_months
    if review.goal.capacity is not None and months is not None:
        most = review.goal.capacity * months
    else:
        most = review.max_leads * n_confirm / max(n_discover, 1)
    return bool(then <= most or then <= now)


def _count_volume(review: Review) -> NDArray[np.int64]:
    confirm, discover = review.windows.confirm, review.windows.discover
    return np.array([(review.board.handed_over & confirm).sum(), confirm.sum(), discover.sum()], np.int64)

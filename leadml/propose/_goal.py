"""What a change is judged by: the signed price list, or a shadow price when nothing is signed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leadml.errors import ExperimentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Prices

__all__ = [
    "Goal",
    "Maximise",
    "Stakes",
    "resolve_target",
    "shadow_stakes",
    "signed_stakes",
    "weighted_stakes",
]

Maximise = Literal["net_value", "accepted", "won"]
LabelName = Literal["accepted", "won"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a better definition gets more of.

    Parameters
    ----------
    maximise : {"net_value", "accepted", "won"}, default="net_value"
        Value of won deals minus the cost of working leads (by the signed price list), accepted leads or
        won deals at no more leads than today.
    capacity : float or None
        Leads a month that Sales can work; None: as many as the written definition hands over, where the
        goal is a number of leads or deals.
    minimum_acceptance : float or None
        Share of handed-over leads that Sales wants to accept, between 0 and 1.

    Raises
    ------
    ExperimentError
        If a number is out of range.
    """

    maximise: Maximise = "net_value"
    capacity: float | None = None
    minimum_acceptance: float | None = None

    def __post_init__(self) -> None:
        wrong = []
        if self.maximise not in get_args(Maximise):
            wrong.append(f"goal: maximise: expected net_value, accepted or won; got {self.maximise!r}.")
        if self.capacity is not None and not 0 < self.capacity < float("inf"):
            wrong.append(f"goal: capacity: expected leads a month above 0, got {self.capacity!r}.")
        if self.minimum_acceptance is not None and not 0 < self.minimum_acceptance < 1:
            wrong.append(
                "goal: minimum_acceptance: expected a share between 0 and 1, "
                f"got {self.minimum_acceptance!r}."
            )
        if wrong:
            raise ExperimentError(*wrong)

    def to_dict(self) -> dict[str, Any]:
        """Return the goal as plain values."""
        return {
            "maximise": self.maximise,
            "capacity": self.capacity,
            "minimum_acceptance": self.minimum_acceptance,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stakes:
    """What a win is worth and what working a lead costs, per price stratum.

    Attributes
    ----------
    target : {"accepted", "won"}
        The label that counts as a win.
    value : ndarray of shape (n_strata,)
        Worth of a win.
    cost_gained, cost_lost : ndarray of shape (n_strata,)
        Cost of working a lead that a change adds, and what is saved by one that it takes away. They are
        equal where prices are signed. Without prices a lead that is added must be as good as the average
        lead of today and one that is taken away less than half as good.
    unit : str
        What the value is counted in ("EUR", "won deals").
    signed : bool
        Whether the numbers are the company's own.
    names : tuple of str
        The strata in words.
    words : str
        The break-even in one sentence.
    weight : ndarray of shape (n_strata,) or None
        Leads that one lead of the stratum stands for; None for one each.
    """

    target: LabelName
    value: NDArray[np.float64]
    cost_gained: NDArray[np.float64]
    cost_lost: NDArray[np.float64]
    unit: str
    signed: bool
    names: tuple[str, ...]
    words: str
    weight: NDArray[np.float64] | None = None

    @property
    def n_strata(self) -> int:
        """How many price strata there are."""
        return len(self.value)

    @property
    def stands_for(self) -> NDArray[np.float64]:
        """Leads that one lead of each stratum stands for."""
        return np.ones(self.n_strata) if self.weight is None else self.weight

    def break_even(self, side: Literal["gained", "lost"]) -> NDArray[np.float64]:
        """Return the win rate at which a lead pays, per stratum (infinite where a win is worth nothing)."""
        cost = self.cost_gained if side == "gained" else self.cost_lost
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.value > 0, cost / np.where(self.value > 0, self.value, 1.0), np.inf)

    def to_dict(self) -> dict[str, Any]:
        """Return the price list as plain values."""
        return {
            "target": self.target,
            "unit": self.unit,
            "signed": self.signed,
            "strata": list(self.names),
            "value": [float(x) for x in self.value],
            "cost_gained": [float(x) for x in self.cost_gained],
            "cost_lost": [float(x) for x in self.cost_lost],
        }


def resolve_target(goal: Goal) -> LabelName:
    """Return the label that a goal is judged by: "accepted" or "won"."""
    return "accepted" if goal.maximise == "accepted" else "won"


def signed_stakes(prices: Prices) -> Stakes | None:
    """Read the signed price list; None unless both the worth of a win and the cost of a lead are signed."""
    if prices.worked_lead is None or prices.won_default is None:
        return None
    unit = prices.currency or "money"
    listed = [price for _, price in prices.won_by] + [prices.won_default]
    names = [criterion.text for criterion, _ in prices.won_by] + ["all other leads"]
    value = np.array([float(price) for price in listed])
    cost = np.full(len(listed), float(prices.worked_lead))
    if (value < 0).any() or (cost < 0).any() or not (value > 0).any():
        return None
    return Stakes(
        target="won",
        value=value,
        cost_gained=cost,
        cost_lost=cost,
        unit=unit,
        signed=True,
        names=tuple(names),
        words=f"a worked lead costs {float(prices.worked_lead):,.0f} {unit}, "
        f"a won deal is worth {float(prices.won_default):,.0f} {unit}"
        + (" or its listed price" if prices.won_by else "")
        + " (signed price list)",
    )


def shadow_stakes(target: LabelName, *, rate: float | None, minimum: float | None) -> Stakes | None:
    """Price a rep's time where no price is signed.

    Parameters
    ----------
    target : {"accepted", "won"}
    rate : float or None
        Share of the leads handed over today (older quarters) that were accepted or won.
    minimum : float or None
        Agreed minimum acceptance; the break-even of an acceptance goal where it is given.

    Returns
    -------
    Stakes or None
        None without any label.
    """
    word = "accepted leads" if target == "accepted" else "won deals"
    if minimum is not None and target == "accepted":
        gained = lost = minimum
        words = f"a lead must be accepted with at least {minimum:.0%}, as agreed"
    elif rate is not None and 0 < rate < 1:
        gained, lost = rate, rate / 2
        words = (
            f"no price is signed: an added lead must be as good as today's average ({rate:.1%} {word}), "
            "a lead that is taken away less than half as good, at no more leads than today"
        )
    else:
        return None
    return Stakes(
        target=target,
        value=np.ones(1),
        cost_gained=np.array([gained]),
        cost_lost=np.array([lost]),
        unit=word,
        signed=False,
        names=("all leads",),
        words=words,
    )


def weighted_stakes(
    stakes: Stakes, strata: NDArray[np.int16], probability: NDArray[np.float64]
) -> tuple[NDArray[np.int16], Stakes]:
    """Split the price strata by the logged probability with which leads were picked.

    A lead that was picked with probability e stands for 1/e leads, so its worth and its cost count 1/e
    times; the break-even rate stays.

    Parameters
    ----------
    stakes : Stakes
    strata : ndarray of int16 of shape (n_leads,)
    probability : ndarray of shape (n_leads,)
        1 for leads that were not sampled.

    Returns
    -------
    tuple of (strata, Stakes)
    """
    levels = np.unique(np.round(np.append(probability, 1.0), 9))[::-1]
    level = len(levels) - 1 - np.searchsorted(levels[::-1], np.round(probability, 9))
    weight = np.repeat(1 / levels, stakes.n_strata)
    names = stakes.names + tuple(
        f"{name}, picked with {share:.1%}" for share in levels[1:] for name in stakes.names
    )
    widened = replace(
        stakes,
        value=np.tile(stakes.value, len(levels)) * weight,
        cost_gained=np.tile(stakes.cost_gained, len(levels)) * weight,
        cost_lost=np.tile(stakes.cost_lost, len(levels)) * weight,
        names=names,
        weight=weight,
    )
    return (strata + level * stakes.n_strata).astype(np.int16), widened

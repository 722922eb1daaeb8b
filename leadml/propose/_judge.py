"""Judging a change on the newest quarters: counts, the gate, intervals, what could have been found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from leadml.metrics import (
    exploration_size,
    kish_counts,
    mover_interval,
    mover_p_value,
    smallest_detectable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.propose._goal import Stakes

    Floats = NDArray[np.float64]

__all__ = ["Moved", "Range", "Verdict", "count_moved", "judge_moved", "leads_needed", "range_of_labels"]

NO, YES = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An estimate with its interval; None where nothing is known."""

    low: float | None
    value: float | None
    high: float | None

    def scaled(self, factor: float) -> Range:
        """Return it in another unit."""
        return Range(
            **{
                name: None if getattr(self, name) is None else float(getattr(self, name)) * factor
                for name in ("low", "value", "high")
            }
        )


NOTHING_KNOWN = Range(low=None, value=None, high=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Leads with a label, and those among them that were accepted or won."""

    n: int
    k: int

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(n=self.n + other.n, k=self.k + other.k)


NOBODY = Tally(n=0, k=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """The leads that one change moves in a window, counted per price stratum.

    Attributes
    ----------
    leads_gained, leads_lost : int
        All leads, contacts of one account counted one by one.
    accounts_gained, accounts_lost : int
        Accounts, labelled or not.
    n_gained, k_gained, n_lost, k_lost : ndarray of shape (n_strata,)
        Labelled accounts, and the won (accepted) ones (effective counts where leads are weighted).
    size_gained, size_lost : ndarray of shape (n_strata,)
        Accounts that the labelled ones speak for: their number, or the sum of their weights.
    weighted : bool
        Whether young leads are weighted for what has not happened yet.
    """

    leads_gained: int
    leads_lost: int
    accounts_gained: int
    accounts_lost: int
    n_gained: Floats
    k_gained: Floats
    n_lost: Floats
    k_lost: Floats
    size_gained: Floats
    size_lost: Floats
    weighted: bool = False

    @property
    def n(self) -> int:
        """Labelled accounts that change."""
        return int(self.n_gained.sum() + self.n_lost.sum())

    @property
    def leads(self) -> int:
        """Leads that change."""
        return self.leads_gained + self.leads_lost


def count_moved(
    gained: NDArray[np.intp],
    lost: NDArray[np.intp],
    *,
    labels: NDArray[np.int8],
    strata: NDArray[np.int16],
    evidence: NDArray[np.bool_],
    n_strata: int,
    weights: Floats | None = None,
) -> Moved:
    """Count the leads gained and lost by a change; with weights, as Kish's effective counts."""

    def counted(places: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        chosen = places[evidence[places] & (labels[places] > 0)]
        yes = chosen[labels[chosen] == YES]
        if weights is None:
            n = np.bincount(strata[chosen], minlength=n_strata).astype(np.float64)
            return n, np.bincount(strata[yes], minlength=n_strata).astype(np.float64), n
        found = np.zeros((3, n_strata))
        for stratum in np.unique(strata[chosen]):
            own = np.sort(chosen[strata[chosen] == stratum])
            found[1, stratum], found[0, stratum] = kish_counts(weights[own], labels[own] == YES)
            found[2, stratum] = weights[own].sum()
        return found[0], found[1], found[2]

    (n_gained, k_gained, size_gained), (n_lost, k_lost, size_lost) = counted(gained), counted(lost)

    return Moved(
        leads_gained=len(gained),
        leads_lost=len(lost),
        accounts_gained=int(evidence[gained].sum()),
        accounts_lost=int(evidence[lost].sum()),
        n_gained=n_gained,
        k_gained=k_gained,
        n_lost=n_lost,
        k_lost=k_lost,
        size_gained=size_gained,
        size_lost=size_lost,
        weighted=weights is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says of one change.

    Attributes
    ----------
    value : Range
        Change in value over the window, its bounds one-sided at the error rate that was asked for.
    p_value : float
        Of "the change gains nothing".
    detectable : float or None
        Smallest true change in value over the window that would have been shown with 80 % power.
    """

    value: Range
    p_value: float
    detectable: float | None


def judge_moved(moved: Moved, stakes: Stakes, *, error_rate: float) -> Verdict:
    """Put one change through the gate.

    Parameters
    ----------
    moved : Moved
    stakes : Stakes
    error_rate : float
        One-sided error of each bound (the review's rate over the number of registered changes).

    Returns
    -------
    Verdict
    """
    table = _strata(moved, stakes)
    k, n = table.pop("k"), table.pop("n")
    # Leads whose win is worth nothing by the price list only cost: a known amount, no uncertainty.
    worthless = stakes.value <= 0
    offset = float((stakes.cost_lost * moved.size_lost)[worthless].sum())
    offset -= float((stakes.cost_gained * moved.size_gained)[worthless].sum())
    estimate, low, high = mover_interval(
        k, n, **table, offset=offset, confidence_level=1 - 2 * error_rate, alternative="two-sided"
    )
    p_value = mover_p_value(k, n, **table, offset=offset) if moved.n else 1.0
    return Verdict(
        value=Range(low=float(low), value=float(estimate), high=float(high)),
        p_value=p_value,
        detectable=_detectable(moved, stakes, error_rate),
    )


def _strata(moved: Moved, stakes: Stakes) -> dict[str, Floats]:
    n = np.concatenate([moved.n_gained, moved.n_lost])
    value = np.concatenate([stakes.value, stakes.value])
    break_even = np.concatenate([stakes.break_even("gained"), stakes.break_even("lost")])
    return {
        "k": np.concatenate([moved.k_gained, moved.k_lost]),
        "n": n,
        "sign": np.repeat([1.0, -1.0], stakes.n_strata),
        "scale": np.concatenate([moved.size_gained, moved.size_lost]) * value,
        "break_even": np.where(np.isfinite(break_even), break_even, 0.0),
    }


def _detectable(moved: Moved, stakes: Stakes, error_rate: float) -> float | None:
    """Return the smallest change in value found with 80 % power: exact for one side and one price."""
    sides = [
        (n, value, rate, side)
        for n_side, side in ((moved.n_gained, "gained"), (moved.n_lost, "lost"))
        for n, value, rate in zip(n_side, stakes.value, stakes.break_even(side), strict=True)  # type: ignore[arg-type]
        if n > 0 and value > 0 and 0 < rate < 1
    ]
    if not sides:
        return None
    if len(sides) == 1:
        n, value, rate, side = sides[0]
        found = smallest_detectable(int(n), break_even=float(rate), error_rate=error_rate, direction=side)  # type: ignore[arg-type]
        return None if found is None else float(abs(found - rate) * n * value)
    spread = float(np.sqrt(sum(value**2 * n * rate * (1 - rate) for n, value, rate, _ in sides)))
    return float(norm.isf(error_rate) + norm.isf(0.2)) * spread


def range_of_labels(moved: Moved, *, error_rate: float, stands_for: Floats | None = None) -> Range:
    """Estimate the change in the number of won (accepted) leads over the window.

    Leads gained or lost without a label are not in it.
    """
    if moved.n == 0:
        return Range(low=0.0, value=0.0, high=0.0) if moved.leads == 0 else NOTHING_KNOWN
    weight = np.ones(len(moved.n_gained)) if stands_for is None else stands_for
    # Pooled over price strata where leads count alike: shorter than the sum of the strata.
    levels, group = np.unique(weight, return_inverse=True)

    def pooled(counts: Floats) -> Floats:
        return np.asarray(np.bincount(group, weights=counts, minlength=len(levels)), np.float64)

    estimate, low, high = mover_interval(
        np.concatenate([pooled(moved.k_gained), pooled(moved.k_lost)]),
        np.concatenate([pooled(moved.n_gained), pooled(moved.n_lost)]),
        sign=np.repeat([1.0, -1.0], len(levels)),
        scale=np.concatenate([pooled(moved.size_gained) * levels, pooled(moved.size_lost) * levels]),
        confidence_level=1 - 2 * error_rate,
    )
    return Range(low=float(low), value=float(estimate), high=float(high))


def leads_needed(moved: Moved, stakes: Stakes, *, error_rate: float) -> int | None:
    """Return how many changed leads would decide, if they go on as they went; None beyond a million."""
    n = moved.n_gained + moved.n_lost
    if n.sum() == 0:
        return None
    side = "gained" if moved.n_gained.sum() >= moved.n_lost.sum() else "lost"
    counts, wins = (moved.n_gained, moved.k_gained) if side == "gained" else (moved.n_lost, moved.k_lost)
    rate = stakes.break_even(side)  # type: ignore[arg-type]
    usable = np.isfinite(rate) & (counts > 0)
    if not usable.any():
        return None
    target = float(np.average(rate[usable], weights=counts[usable]))
    observed = float((wins[usable].sum() + target) / (counts[usable].sum() + 1))
    return exploration_size(target, observed, error_rate=error_rate) if 0 < target < 1 else None

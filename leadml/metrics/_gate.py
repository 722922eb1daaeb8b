"""The gate of a proposal: exact p-values of a gain, several at once, enumerated error rates."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import binom

from leadml.metrics._intervals import mover_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["compute_gate_size", "holm", "learn_then_test", "mover_p_value", "sequential_evidence"]

_SMALLEST = 1e-12


def mover_p_value(
    k: ArrayLike,
    n: ArrayLike,
    *,
    sign: ArrayLike,
    scale: ArrayLike,
    break_even: ArrayLike = 0.0,
    offset: float = 0.0,
) -> float:
    """Compute the p-value of "the change gains nothing": the error rate at which its lower bound reaches 0.

    Parameters
    ----------
    k, n, sign, scale, break_even, offset : array-like of shape (n_strata,)
        As in `mover_interval`.

    Returns
    -------
    float
        Between 1e-12 and 1. With one stratum it is the p-value of the exact binomial test; 1 if the
        estimate is not above 0 with several.

    References
    ----------
    METHODS.md, section 1.4. Enumerated error at a nominal .05: at most .049.

    Examples
    --------
    >>> round(mover_p_value([12], [100], sign=[1], scale=[100.0], break_even=[0.05]), 5)
    0.00427
    """
    yes, leads, g, a, r = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, np.float64)) for value in (k, n, sign, scale, break_even))
    )
    used = (leads > 0) & (a > 0)
    if used.sum() == 1 and offset == 0:
        return _binomial_p_value(
            float(yes[used][0]), float(leads[used][0]), float(r[used][0]), g[used][0] > 0
        )

    def lower(error_rate: float) -> float:
        found = mover_interval(
            yes,
            leads,
            sign=g,
            scale=a,
            break_even=r,
            offset=offset,
            confidence_level=1 - error_rate,
            alternative="greater",
        )
        return float(found[1])

    if lower(0.5) <= 0:
        return 1.0
    if lower(_SMALLEST) > 0:
        return _SMALLEST
    low, high = np.log(_SMALLEST), np.log(0.5)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if lower(float(np.exp(middle))) > 0 else (middle, high)
    return float(np.exp(high))


def _binomial_p_value(k: float, n: float, rate: float, gained: bool) -> float:  # noqa: FBT001 - a side, not a switch
    """Tail of the binomial, continued to fractional counts by the incomplete beta function."""
    from scipy.special import betainc

    if rate <= 0:
        return 1.0
    if rate >= 1:
        return 1.0 if gained or k >= n else _SMALLEST
    if gained:
        tail = 1.0 if k <= 0 else float(betainc(k, n - k + 1, rate))
    else:
        tail = 1.0 if k >= n else float(betainc(n - k, k + 1, 1 - rate))
    return min(max(tail, _SMALLEST), 1.0)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values by Holm's step-down: reject where the adjusted value is at most the error rate.

    Then the chance of even one wrong rejection is at most the error rate, whatever the dependence.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)

    Returns
    -------
    ndarray of shape (n_tests,)
        Adjusted p-values in the order given.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def compute_gate_size(
    n: ArrayLike,
    rate: ArrayLike,
    *,
    sign: ArrayLike,
    value: ArrayLike = 1.0,
    break_even: ArrayLike,
    error_rate: float = 0.05,
) -> float:
    """Enumerate how often the gate opens: its error rate under a null, its power otherwise.

    Parameters
    ----------
    n : array-like of int of shape (n_strata,)
        Leads of each stratum; the product of (n + 1) is enumerated.
    rate : array-like of shape (n_strata,)
        True win rates.
    sign : array-like of shape (n_strata,)
        +1 gained, -1 lost.
    value : array-like of shape (n_strata,), default=1
        Value of a win in each stratum.
    break_even : array-like of shape (n_strata,)
    error_rate : float, default=0.05

    Returns
    -------
    float
        Probability that the lower bound at `error_rate` is above 0.

    Examples
    --------
    >>> round(compute_gate_size([100], [0.05], sign=[-1], break_even=[0.05]), 3)
    0.037
    """
    leads = np.atleast_1d(np.asarray(n, np.int64))
    p, g, v, r = (
        np.broadcast_to(np.asarray(x, np.float64), leads.shape) for x in (rate, sign, value, break_even)
    )
    counts = [np.arange(m + 1) for m in leads]
    grid = np.array(list(itertools.product(*counts)), np.float64)
    chance = np.ones(len(grid))
    for stratum, (m, q) in enumerate(zip(leads, p, strict=True)):
        chance *= binom.pmf(counts[stratum], m, q)[grid[:, stratum].astype(np.int64)]
    _, low, _ = mover_interval(
        grid,
        leads,
        sign=g,
        scale=leads * v,
        break_even=r,
        confidence_level=1 - error_rate,
        alternative="greater",
    )
    return float(chance[low > 0].sum())


def learn_then_test(k: ArrayLike, n: ArrayLike, *, floor: float, error_rate: float = 0.05) -> int:
    """Walk a fixed list from strict to loose definitions and stop at the first that is not proven.

    Each step tests "the rate is at most the floor" by the exact binomial test at the whole error rate; the
    fixed order makes that honest for the whole walk.

    Parameters
    ----------
    k, n : array-like of shape (n_definitions,)
        Accepted (or won) and labelled leads that pass each definition, strictest first. The order must have
        been fixed without these labels.
    floor : float
        The rate that must be exceeded, between 0 and 1.
    error_rate : float, default=0.05

    Returns
    -------
    int
        Index of the loosest definition proven to be above the floor; -1 if not even the first is.

    References
    ----------
    Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test", Annals of Applied Statistics (2025).

    Examples
    --------
    >>> learn_then_test([95, 180, 250], [100, 200, 400], floor=0.8)
    1
    """
    last = -1
    for index, (yes, leads) in enumerate(
        zip(np.asarray(k, np.float64), np.asarray(n, np.float64), strict=True)
    ):
        if leads <= 0 or _binomial_p_value(float(yes), float(leads), floor, gained=True) > error_rate:
            break
        last = index
    return last


def sequential_evidence(
    y: ArrayLike,
    *,
    break_even: float,
    direction: Literal["above", "below"] = "above",
    probability: ArrayLike = 1.0,
    n_bets: int = 8,
) -> NDArray[np.float64]:
    """Bet against "the rate is not above (below) break-even", lead by lead (an e-process).

    The evidence may be looked at after every lead: the chance that it ever reaches 1/error_rate when
    nothing is there is at most the error rate.

    Parameters
    ----------
    y : array-like of shape (n_leads,)
        1 won, 0 not, in the order in which the leads were handed over.
    break_even : float
        Between 0 and 1.
    direction : {"above", "below"}, default="above"
    probability : array-like of shape (n_leads,), default=1
        Logged probability with which each lead was picked; unequal ones are weighted by their inverse,
        relative to the smallest.
    n_bets : int, default=8
        Sizes of the bet that are mixed, geometric.

    Returns
    -------
    ndarray of shape (n_leads,)
        Evidence after each lead.

    References
    ----------
    Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B (2023);
    Ville's inequality. METHODS.md, section 1.9.

    Examples
    --------
    >>> bool(sequential_evidence([1] * 12, break_even=0.1)[-1] > 20)
    True
    """
    if not 0 < break_even < 1:
        raise ValueError(f"break_even: expected a number between 0 and 1, got {break_even!r}.")
    label = np.asarray(y, np.float64)
    picked = np.broadcast_to(np.asarray(probability, np.float64), label.shape)
    if label.size and not ((picked > 0) & (picked <= 1)).all():
        raise ValueError("probability: expected numbers above 0 and at most 1.")
    if not label.size:
        return np.empty(0)
    weight = picked.min() / picked
    payoff = weight * ((label - break_even) if direction == "above" else (break_even - label))
    worst = break_even if direction == "above" else 1 - break_even
    bets = np.geomspace(0.01, 0.9, n_bets) / worst
    wealth = np.cumsum(np.log1p(np.outer(payoff, bets)), axis=0)
    return np.asarray(np.exp(wealth).mean(axis=1))

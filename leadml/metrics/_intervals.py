"""Intervals of rates and of sums of rates (Clopper-Pearson, Wilson, MOVER); effective counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import betaincinv
from scipy.stats import norm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Alternative", "clopper_pearson", "kish_counts", "mover_interval", "wilson_interval"]

Alternative = Literal["two-sided", "greater", "less"]


def clopper_pearson(
    k: ArrayLike, n: ArrayLike, *, confidence_level: float = 0.95, alternative: Alternative = "two-sided"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the exact (Clopper-Pearson) interval of a rate.

    It covers the true rate at least at its level whatever the rate and however few the leads. Counts may
    be fractions (effective counts of weighted leads, see `kish_counts`).

    Parameters
    ----------
    k : array-like
        Leads with a yes, 0 <= k <= n.
    n : array-like
        Leads. Where n is 0 the interval is 0 to 1.
    confidence_level : float, default=0.95
        Between 0 and 1.
    alternative : {"two-sided", "greater", "less"}, default="two-sided"
        "greater" gives the one-sided lower bound (upper bound 1), "less" the upper one (lower bound 0).

    Returns
    -------
    tuple of ndarray
        Lower and upper bounds, of the broadcast shape of `k` and `n`.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934).

    Examples
    --------
    >>> low, high = clopper_pearson(0, 10)
    >>> round(float(high), 4)
    0.3085
    """
    yes, leads, tail = _checked(k, n, confidence_level, alternative)
    low = np.zeros(leads.shape)
    high = np.ones(leads.shape)
    if alternative != "less":
        inside = (yes > 0) & (leads > 0)
        low[inside] = betaincinv(yes[inside], leads[inside] - yes[inside] + 1, tail)
    if alternative != "greater":
        inside = (yes < leads) & (leads > 0)
        high[inside] = betaincinv(yes[inside] + 1, leads[inside] - yes[inside], 1 - tail)
    return low, high


def wilson_interval(
    k: ArrayLike, n: ArrayLike, *, confidence_level: float = 0.95, alternative: Alternative = "two-sided"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute Wilson's score interval of a rate: shorter than Clopper-Pearson, right on average only.

    For what is shown, not for what is decided: its one-sided error in METHODS.md's grid reached .066 at a
    nominal .05. Parameters and return value as in `clopper_pearson`.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    Examples
    --------
    >>> low, high = wilson_interval(5, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.2366, 0.7634)
    """
    yes, leads, tail = _checked(k, n, confidence_level, alternative)
    z = float(norm.ppf(1 - tail))
    known = leads > 0
    safe = np.where(known, leads, 1.0)
    rate = np.where(known, yes / safe, 0.5)
    centre = (rate + z * z / (2 * safe)) / (1 + z * z / safe)
    half = z / (1 + z * z / safe) * np.sqrt(rate * (1 - rate) / safe + z * z / (4 * safe * safe))
    low = np.where(known & (yes > 0) & (alternative != "less"), np.clip(centre - half, 0, 1), 0.0)
    high = np.where(known & (yes < leads) & (alternative != "greater"), np.clip(centre + half, 0, 1), 1.0)
    return low, high


def _checked(
    k: ArrayLike, n: ArrayLike, confidence_level: float, alternative: Alternative
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level: expected a number between 0 and 1, got {confidence_level!r}.")
    if alternative not in {"two-sided", "greater", "less"}:
        raise ValueError(f"alternative: expected two-sided, greater or less; got {alternative!r}.")
    yes, leads = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(n, np.float64))
    if not (
        np.isfinite(leads).all() and np.isfinite(yes).all() and (yes >= 0).all() and (yes <= leads).all()
    ):
        raise ValueError("k, n: expected finite counts with 0 <= k <= n.")
    tail = 1 - confidence_level
    return yes, leads, tail / 2 if alternative == "two-sided" else tail


def kish_counts(weights: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Turn weighted leads into the counts that an exact interval needs (Kish's effective sample size).

    The weighted rate p = sum(w y) / sum(w) is kept, the number of leads becomes (sum w)^2 / sum(w^2).

    Parameters
    ----------
    weights : array-like of shape (n_leads,)
        Weights, not negative; leads of weight 0 do not count.
    y : array-like of shape (n_leads,)
        1 for a yes, 0 for a no.

    Returns
    -------
    tuple of float
        Effective yes count and effective number of leads (0, 0 without leads).

    References
    ----------
    Kish, "Survey Sampling", 1965. Measured one-sided error with Clopper-Pearson at a nominal .05 on leads
    weighted for censoring: at most .041 in 84 settings (METHODS.md, section 3).

    Examples
    --------
    >>> kish_counts([1, 1, 1, 1], [1, 0, 0, 0])
    (1.0, 4.0)
    """
    w = np.asarray(weights, np.float64)
    label = np.asarray(y, np.float64)
    if w.shape != label.shape or (w < 0).any() or not np.isfinite(w).all():
        raise ValueError("weights, y: expected one finite weight that is not negative per label.")
    total = float(w.sum())
    if total <= 0:
        return 0.0, 0.0
    effective = total * total / float((w * w).sum())
    # Rounding must not let the yes count exceed the leads.
    return min(effective * float((w * label).sum()) / total, effective), effective


def mover_interval(
    k: ArrayLike,
    n: ArrayLike,
    *,
    sign: ArrayLike,
    scale: ArrayLike,
    break_even: ArrayLike = 0.0,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    offset: ArrayLike = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Estimate a sum of gained minus lost rates over strata, with its MOVER-Clopper-Pearson interval.

    The quantity is ``offset + sum over strata of sign * scale * (rate - break_even)``. In a changed
    definition a stratum is a price segment of the gained (sign +1) or lost (sign -1) leads, its scale is
    the number of leads times the value of a win, its break-even rate the cost of working a lead over that
    value. With one stratum the bound is that of the exact binomial test.

    Parameters
    ----------
    k, n : array-like of shape (..., n_strata)
        Wins and leads; the last axis runs over the strata. A stratum without leads adds nothing.
    sign : array-like of shape (n_strata,)
        +1 for gained, -1 for lost.
    scale : array-like of shape (..., n_strata)
        What a rate of one would be worth, not negative.
    break_even : array-like of shape (..., n_strata), default=0
        Rate at which a lead is worth its work.
    confidence_level : float, default=0.95
    alternative : {"two-sided", "greater", "less"}, default="two-sided"
        "greater": one-sided lower bound, the upper one is infinite; "less": the reverse.
    offset : array-like, default=0
        A known amount (the work of leads whose win is worth nothing).

    Returns
    -------
    tuple of ndarray
        Estimate, lower and upper bound, each of shape (...).

    References
    ----------
    Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27
    (2008); Newcombe, "Interval estimation for the difference between independent proportions", Statistics
    in Medicine 17 (1998). Largest enumerated one-sided error at a nominal .05: .049 (METHODS.md, 1.4).

    Examples
    --------
    >>> estimate, low, high = mover_interval([12], [100], sign=[1], scale=[100.0], break_even=[0.05])
    >>> round(float(estimate), 1), round(float(low), 2), round(float(high), 2)
    (7.0, 1.36, 15.02)
    """
    yes, leads = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(n, np.float64))
    g = np.asarray(sign, np.float64)
    if not np.isin(g, (-1.0, 1.0)).all():
        raise ValueError("sign: expected +1 (gained) or -1 (lost).")
    a = np.where(leads > 0, np.asarray(scale, np.float64), 0.0)
    if (a < 0).any():
        raise ValueError("scale: expected numbers that are not negative.")
    # Both sides of each stratum at the one-sided level: a lower bound needs upper bounds of the lost leads.
    one_sided = 0.5 + confidence_level / 2 if alternative == "two-sided" else confidence_level
    low, high = _one_sided(yes, leads, one_sided)
    rate = yes / np.where(leads > 0, leads, 1.0)
    estimate = np.asarray(offset, np.float64) + np.sum(
        g * a * (rate - np.asarray(break_even, np.float64)), -1
    )
    lower, upper = np.full(estimate.shape, -np.inf), np.full(estimate.shape, np.inf)
    if alternative != "less":
        lower = estimate - _norm(a * np.where(g > 0, rate - low, high - rate))
    if alternative != "greater":
        upper = estimate + _norm(a * np.where(g > 0, high - rate, rate - low))
    return estimate, lower, upper


def _one_sided(
    yes: NDArray[np.float64], leads: NDArray[np.float64], confidence_level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, _ = clopper_pearson(yes, leads, confidence_level=confidence_level, alternative="greater")
    _, high = clopper_pearson(yes, leads, confidence_level=confidence_level, alternative="less")
    return low, high


def _norm(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.sum(parts * parts, -1)))

"""Evidence about a rate that may be looked at every week: closed-form e-values and the range they leave.

One mixture of likelihood ratios per side, a Beta(1/2, 1/2) cut off at the rate in question. It depends on the
leads only through how many there are and how many said yes, so the order inside a week does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import betainc, betaln, xlog1py, xlogy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["fall_evidence", "rate_evidence", "rate_range"]

_PRIOR = 0.5
_STEPS = 60
_STARTS = 13


def rate_evidence(
    k: ArrayLike, n: ArrayLike, *, rate: ArrayLike, direction: Literal["above", "below"]
) -> NDArray[np.float64]:
    """Weigh the evidence that a rate lies above (below) a number, at as many looks as wanted.

    If the rate is not above (below) it, the chance that the evidence ever reaches 1/error_rate is at most the
    error rate, however often it is looked at. The leads need not be alike: it is enough that none has, given
    those before it, a chance above (below) `rate`.

    Parameters
    ----------
    k, n : array-like
        Leads that said yes, and leads, at each look; cumulative.
    rate : array-like
        The number in question, between 0 and 1.
    direction : {"above", "below"}
        What the evidence is for.

    Returns
    -------
    ndarray
        E-values; 1 without leads.

    References
    ----------
    .. [1] Robbins (1970), "Statistical methods related to the law of the iterated logarithm", Annals of
       Mathematical Statistics 41, 1397-1409 (mixtures of likelihood ratios).
    .. [2] Ville (1939), "Étude critique de la notion de collectif" (the inequality).

    Examples
    --------
    >>> bool(rate_evidence(20, 100, rate=0.5, direction="below") > 1000)
    True
    >>> bool(rate_evidence(20, 100, rate=0.5, direction="above") < 1)
    True
    """
    if direction not in {"above", "below"}:
        raise ValueError(f"direction: expected above or below, got {direction!r}.")
    yes, leads, limit = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (k, n, rate)))
    if not ((yes >= 0) & (yes <= leads) & np.isfinite(leads)).all():
        raise ValueError("k, n: expected finite counts with 0 <= k <= n.")
    if not ((limit >= 0) & (limit <= 1)).all():
        raise ValueError("rate: expected numbers from 0 to 1.")
    if direction == "above":
        yes, limit = leads - yes, 1 - limit
    no = leads - yes
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mixed = betaln(_PRIOR + yes, _PRIOR + no) + np.log(betainc(_PRIOR + yes, _PRIOR + no, limit))
        prior = betaln(_PRIOR, _PRIOR) + np.log(betainc(_PRIOR, _PRIOR, limit))
        log_evidence = mixed - prior - xlogy(yes, limit) - xlog1py(no, -limit)
        evidence = np.exp(log_evidence)
    # Nothing lies below 0, so nothing can speak for it.
    return np.asarray(np.where((limit <= 0) | (leads == 0), 1.0, evidence))


def fall_evidence(k: ArrayLike, n: ArrayLike, *, rate: float, every: int = 4) -> NDArray[np.float64]:
    """Weigh the evidence that a rate is, or at some look became, lower than a number.

    Leads from before a fall would hide it. So half of the stake is put on all leads, the other half in equal
    parts on the leads from the `every`-th look on, from the next `every`-th on, and so on. A mean of e-values
    that start at 1 is one; only the largest so far is kept.

    Parameters
    ----------
    k, n : array-like of shape (n_looks,)
        Leads that said yes, and leads, at each look; cumulative.
    rate : float
        The number in question, between 0 and 1.
    every : int, default 4
        Looks between two starts.

    Returns
    -------
    ndarray of shape (n_looks,)
        Largest evidence up to each look.

    References
    ----------
    .. [1] Shin, Ramdas, Rinaldo (2024), "E-detectors", New England Journal of Statistics in Data Science 2
       (mixing over the start of a change).

    Examples
    --------
    >>> bool(fall_evidence([40, 80, 82, 84], [50, 100, 150, 200], rate=0.4, every=2)[-1] > 1000)
    True
    """
    yes, leads = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    # The stakes do not depend on how many looks have come: 1/2, then 1/2 shared by the first 13 starts.
    evidence = 0.5 * rate_evidence(yes, leads, rate=rate, direction="below")
    starts = [every * (place + 1) for place in range(_STARTS)]
    for start in starts:
        later = np.ones(yes.shape)
        if start < yes.size:
            later[start:] = rate_evidence(
                yes[start:] - yes[start - 1], leads[start:] - leads[start - 1], rate=rate, direction="below"
            )
        evidence += 0.5 / _STARTS * later
    return np.maximum.accumulate(evidence)


def rate_range(
    k: ArrayLike, n: ArrayLike, *, error_rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the range of a rate that is right at all looks together (a confidence sequence).

    Parameters
    ----------
    k, n : array-like
        Leads that said yes, and leads, at each look; cumulative.
    error_rate : float
        Chance of each side to be wrong at even one look.

    Returns
    -------
    tuple of ndarray
        Lower and upper ends; 0 and 1 without leads.

    Examples
    --------
    >>> low, high = rate_range(50, 200, error_rate=0.025)
    >>> round(float(low), 3), round(float(high), 3)
    (0.153, 0.361)
    """
    if not 0 < error_rate < 1:
        raise ValueError(f"error_rate: expected a number between 0 and 1, got {error_rate!r}.")
    yes, leads = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    # The upper end is one minus the lower end of the opposite.
    low, high = _lower_end(np.stack([yes, leads - yes]), leads, 1 / error_rate)
    return low, 1 - high


def _lower_end(yes: NDArray[np.float64], leads: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Find by bisection the largest rate that the evidence says is exceeded."""
    low = np.zeros(yes.shape)
    high = np.divide(yes, leads, out=np.zeros(yes.shape), where=leads > 0)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        exceeded = rate_evidence(yes, leads, rate=middle, direction="above") >= limit
        low, high = np.where(exceeded, middle, low), np.where(exceeded, high, middle)
    return low

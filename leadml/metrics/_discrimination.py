"""How well scores separate and how much they say: ROC AUC, average precision, log loss, Brier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm, rankdata

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["average_precision", "brier_score", "log_loss", "mean_difference", "roc_auc_interval"]

# Probabilities are kept this far from 0 and 1 in logarithms; a claim of certainty that fails costs 20.7.
_EPS = 1e-9


def check_labels(
    y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Check labels, probabilities and weights and give them as float arrays of one length."""
    y = np.asarray(y_true, dtype=np.float64).ravel()
    p = np.asarray(y_prob, dtype=np.float64).ravel()
    w = np.ones_like(y) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64).ravel()
    if not y.size == p.size == w.size:
        raise ValueError(
            f"y_true, y_prob, sample_weight: expected one length, got {y.size}, {p.size}, {w.size}."
        )
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("y_true: expected 0 and 1 only. Leave pending and open leads out first.")
    if not np.isfinite(p).all():
        raise ValueError("y_prob: expected finite numbers.")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("sample_weight: expected finite numbers that are not negative.")
    return y, p, w


def check_probabilities(p: NDArray[np.float64]) -> None:
    """Refuse numbers that are not probabilities."""
    if p.size and (p.min() < 0 or p.max() > 1):
        raise ValueError(f"y_prob: expected numbers from 0 to 1, got {p.min():.4g} to {p.max():.4g}.")


def check_level(confidence_level: float) -> float:
    """Give the two-sided normal quantile of a confidence level."""
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level: expected a number between 0 and 1, got {confidence_level!r}.")
    return float(norm.ppf(0.5 + confidence_level / 2))


def roc_auc_interval(
    y_true: ArrayLike, y_prob: ArrayLike, confidence_level: float = 0.95
) -> tuple[float, float, float]:
    """Estimate the area under the ROC curve with its DeLong interval.

    The area is the chance that a random positive scores above a random negative, ties counting one half.
    Where every positive stands above every negative (or below) DeLong's variance is zero, which says
    nothing about few leads; there the score interval with the Hanley-McNeil variance is used instead.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Any score; only its order matters.
    confidence_level : float, default 0.95
        Between 0 and 1.

    Returns
    -------
    auc, low, high : float
        All in [0, 1]; all missing (nan) if there is only one class.

    References
    ----------
    .. [1] DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44, 837-845.
    .. [2] Sun, Xu (2014), IEEE Signal Processing Letters 21, 1389-1393 (midranks).
    .. [3] Newcombe (2006), Statistics in Medicine 25, 559-573, method 5 (the degenerate case).

    Examples
    --------
    >>> auc, low, high = roc_auc_interval([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7])
    >>> round(auc, 3), round(low, 3), high
    (0.889, 0.581, 1.0)
    """
    y, score, _ = check_labels(y_true, y_prob)
    z = check_level(confidence_level)
    positive, negative = score[y == 1], score[y == 0]
    m, n = positive.size, negative.size
    if m == 0 or n == 0:
        return float("nan"), float("nan"), float("nan")
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n
    below = 1 - (ranks[m:] - rankdata(negative)) / m
    auc = float(above.mean())
    variance = (above.var(ddof=1) / m if m > 1 else 0.0) + (below.var(ddof=1) / n if n > 1 else 0.0)
    if m == 1 or n == 1 or (variance <= 0 and auc in (0.0, 1.0)):
        low, high = _score_interval(auc, m, n, z)
    else:
        half = z * float(np.sqrt(variance))
        low, high = auc - half, auc + half
    return auc, max(0.0, low), min(1.0, high)


def _score_interval(auc: float, m: int, n: int, z: float) -> tuple[float, float]:
    """Areas from which `auc` is not further than z standard errors (Newcombe's method 5)."""
    extra = (m + n) / 2 - 1

    def inside(area: float) -> bool:
        shape = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + extra * shape) / (m * n)
        return abs(area - auc) <= z * float(np.sqrt(variance)) or area == auc

    ends = []
    for outside in (0.0, 1.0):
        good, bad = auc, outside
        if inside(bad):
            good = bad
        for _ in range(60):
            middle = (good + bad) / 2
            good, bad = (middle, bad) if inside(middle) else (good, middle)
        ends.append(good)
    return ends[0], ends[1]


def average_precision(y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Compute the average precision: precision at each positive's score, averaged over the positives.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Any score; leads with equal scores are handed over together.
    sample_weight : array-like of shape (n_leads,), optional
        Not negative.

    Returns
    -------
    float
        In [0, 1]; a score that says nothing gets about the base rate. Missing (nan) without positives.

    References
    ----------
    .. [1] scikit-learn, ``average_precision_score`` (same sum, no interpolation).

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    y, score, w = check_labels(y_true, y_prob, sample_weight)
    total = float((w * y).sum())
    if total == 0:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    score, hits, weight = score[order], (w * y)[order], w[order]
    last = np.append(np.flatnonzero(np.diff(score)), score.size - 1)
    wins, n = np.cumsum(hits)[last], np.cumsum(weight)[last]
    precision = np.divide(wins, n, out=np.zeros_like(wins), where=n > 0)
    return float((np.diff(wins, prepend=0.0) * precision).sum() / total)


def log_loss(y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Compute the mean of ``-log`` of the probability given to what happened (natural logarithm).

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Probability of 1, in [0, 1]; kept 1e-9 away from both ends.
    sample_weight : array-like of shape (n_leads,), optional
        Not negative.

    Returns
    -------
    float
        Lower is better; missing (nan) without leads.

    References
    ----------
    .. [1] Good (1952), "Rational decisions", Journal of the Royal Statistical Society B 14, 107-114.

    Examples
    --------
    >>> round(log_loss([0, 1], [0.25, 0.75]), 6)
    0.287682
    """
    return _mean(*_log_losses(y_true, y_prob, sample_weight))


def brier_score(y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Compute the mean squared difference between probability and what happened.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Probability of 1, in [0, 1].
    sample_weight : array-like of shape (n_leads,), optional
        Not negative.

    Returns
    -------
    float
        Lower is better; missing (nan) without leads.

    References
    ----------
    .. [1] Brier (1950), Monthly Weather Review 78, 1-3 (one term, so in [0, 1]).

    Examples
    --------
    >>> brier_score([0, 1], [0.25, 0.75])
    0.0625
    """
    y, p, w = check_labels(y_true, y_prob, sample_weight)
    check_probabilities(p)
    return _mean((p - y) ** 2, w)


def mean_difference(
    first: ArrayLike,
    second: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, float, float, float]:
    """Compare two losses lead by lead: mean of ``first - second`` with its normal interval.

    Parameters
    ----------
    first, second : array-like of shape (n_leads,)
        The loss of each lead under two predictors.
    sample_weight : array-like of shape (n_leads,), optional
        Not negative.
    confidence_level : float, default 0.95
        Between 0 and 1.

    Returns
    -------
    difference, low, high, standard_error : float
        Positive when the second predictor is better; missing (nan) below two leads.

    References
    ----------
    .. [1] Diebold, Mariano (1995), Journal of Business & Economic Statistics 13, 253-263 (without lags).
    """
    gap = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    w = np.ones_like(gap) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    z = check_level(confidence_level)
    total = float(w.sum())
    if gap.size < 2 or total == 0:
        return float("nan"), float("nan"), float("nan"), float("nan")
    mean = float((w * gap).sum() / total)
    error = float(np.sqrt((w**2 * (gap - mean) ** 2).sum()) / total) * float(
        np.sqrt(gap.size / (gap.size - 1))
    )
    return mean, mean - z * error, mean + z * error, error


def log_losses(y: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the loss of each lead."""
    clipped = np.clip(p, _EPS, 1 - _EPS)
    return np.asarray(-np.where(y == 1, np.log(clipped), np.log1p(-clipped)))


def _log_losses(
    y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, p, w = check_labels(y_true, y_prob, sample_weight)
    check_probabilities(p)
    return log_losses(y, p), w


def _mean(values: NDArray[np.float64], weight: NDArray[Any]) -> float:
    total = float(weight.sum())
    return float((values * weight).sum() / total) if total > 0 else float("nan")

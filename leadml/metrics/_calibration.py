"""Whether probabilities can be believed: slope and intercept, the CORP curve and its decomposition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import isotonic_regression
from scipy.stats import chi2

from leadml._render import render_card, render_frame
from leadml.metrics._discrimination import check_labels, check_level, check_probabilities, log_losses

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CalibrationLine", "ReliabilityCurve", "calibration_line", "reliability_curve"]

_EPS = 1e-9
_MAX_CURVE_POINTS = 4_000
_WIDE = 8  # columns from which the information is computed rarely and in single precision
_BLOCK = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLine:
    """Calibration on the logit scale: what must be done to the probabilities to make them right.

    Attributes
    ----------
    slope, slope_low, slope_high : float
        Slope of the logistic regression of what happened on the logit of the probability; 1 is right,
        below 1 the probabilities are too extreme. Missing (nan) if all probabilities are equal or the
        leads are separated.
    intercept, intercept_low, intercept_high : float
        Calibration in the large: intercept of the same regression with the slope fixed at 1; 0 is right,
        below 0 the probabilities are too high on average.
    p_value : float
        Likelihood-ratio test of slope 1 and intercept 0 together (2 degrees of freedom; 1 if the slope
        is missing).
    n, n_positive : int
        Leads, and leads with outcome 1.
    observed, expected : float
        Share that happened, mean probability.
    """

    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    intercept_low: float
    intercept_high: float
    p_value: float
    n: int
    n_positive: int
    observed: float
    expected: float

    def to_frame(self) -> pd.DataFrame:
        """Give the line as a frame of one row, one column per attribute."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(self, name) for name in self.__slots__}])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReliabilityCurve:
    """CORP reliability curve: the isotonic rate at each forecast, its band, and the score taken apart.

    ``score = miscalibration - discrimination + uncertainty``.

    Attributes
    ----------
    probability, rate, ci_low, ci_high : ndarray of shape (n_points,)
        Forecast, isotonic (PAV) rate, and the range in which that rate would lie for a perfectly
        calibrated forecast (a consistency band).
    n : ndarray of shape (n_points,)
        Leads at each forecast.
    score_name : {"brier", "log_loss"}
        What is taken apart.
    score, miscalibration, discrimination, uncertainty : float
        The score and its parts (MCB, DSC, UNC).
    miscalibration_null : float
        The miscalibration that a perfect forecast of the same leads stays under in 95 of 100 cases.
    """

    probability: NDArray[np.float64] = field(repr=False)
    rate: NDArray[np.float64] = field(repr=False)
    ci_low: NDArray[np.float64] = field(repr=False)
    ci_high: NDArray[np.float64] = field(repr=False)
    n: NDArray[np.int64] = field(repr=False)
    score_name: Literal["brier", "log_loss"]
    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    miscalibration_null: float

    def to_frame(self) -> pd.DataFrame:
        """Give one row per forecast: probability, n, rate, ci_low, ci_high."""
        import pandas as pd

        return pd.DataFrame(
            {
                "probability": self.probability,
                "n": self.n,
                "rate": self.rate,
                "ci_low": self.ci_low,
                "ci_high": self.ci_high,
            }
        )

    def __repr__(self) -> str:
        return (
            f"ReliabilityCurve: {int(self.n.sum()):,} leads, {self.score_name} {self.score:.4f} = "
            f"miscalibration {self.miscalibration:.4f} - discrimination {self.discrimination:.4f} + "
            f"uncertainty {self.uncertainty:.4f}\n"
            f"a perfect forecast would stay under a miscalibration of {self.miscalibration_null:.4f}"
        )

    def _repr_html_(self) -> str:
        return str(render_card("Reliability curve", [repr(self), render_frame(self.to_frame(), max_rows=20)]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve with its band and the diagonal."""
        from leadml._plotting import plot_reliability

        frame = self.to_frame().rename(columns={"probability": "predicted", "rate": "observed"})
        return plot_reliability(frame, ax=ax)


def compute_logit(p: ArrayLike) -> NDArray[np.float64]:
    """Compute ``log(p / (1 - p))`` with p kept 1e-9 away from 0 and 1."""
    clipped = np.clip(np.asarray(p, dtype=np.float64), _EPS, 1 - _EPS)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def expit(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ``1 / (1 + exp(-z))`` without overflow."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1 / (1 + small), small / (1 + small)))


def fit_logistic(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    offset: NDArray[np.float64] | None = None,
    sample_weight: NDArray[np.float64] | None = None,
    penalty: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Fit a logistic regression by Newton's method with halved steps.

    Parameters
    ----------
    X : ndarray of shape (n_leads, n_columns)
        Design without an automatic intercept.
    y : ndarray of shape (n_leads,)
        0 or 1.
    offset, sample_weight : ndarray of shape (n_leads,), optional
        Known part of the linear predictor; weights.
    penalty : ndarray of shape (n_columns,) or (n_columns, n_columns), optional
        Ridge: half of ``coef @ P @ coef`` is added to the negative log likelihood.

    Returns
    -------
    coef : ndarray of shape (n_columns,)
    information : ndarray of shape (n_columns, n_columns)
        Penalised information; its inverse is the covariance. From eight columns on only nearly so.
    loss : float
        Negative log likelihood without the penalty.
    """
    k = X.shape[1]
    base = np.zeros(y.size) if offset is None else offset
    weight = np.ones(y.size) if sample_weight is None else sample_weight
    P = np.zeros((k, k)) if penalty is None else (np.diag(penalty) if penalty.ndim == 1 else penalty)
    coef = np.zeros(k)

    def objective(candidate: NDArray[np.float64]) -> tuple[float, float]:
        eta = X @ candidate + base
        loss = float((weight * (np.logaddexp(0, eta) - y * eta)).sum())
        return loss + 0.5 * float(candidate @ P @ candidate), loss

    value, loss = objective(coef)
    information = np.eye(k)
    change = np.inf
    steps = X if k < _WIDE else X.astype(np.float32)  # only the length of the steps depends on it
    for _ in range(80):
        p = expit(X @ coef + base)
        gradient = X.T @ (weight * (p - y)) + P @ coef
        if change > 1e-2 or k < _WIDE:  # near the end the old information will do, and it is what costs
            information = _information(steps, weight * p * (1 - p)) + P
        step = _solve(information, gradient)
        scale = 1.0
        while scale > 1e-6:
            trial, trial_loss = objective(coef - scale * step)
            if trial <= value + 1e-12 * abs(value):
                break
            scale /= 2
        coef = coef - scale * step
        change = float(np.max(np.abs(scale * step), initial=0.0))
        stuck = trial == value and scale < 1
        value, loss = trial, trial_loss
        if change < 1e-10 or stuck:
            break
    if k < _WIDE:
        p = expit(X @ coef + base)
        information = _information(X, weight * p * (1 - p)) + P
    return coef, information, loss


def _information(X: NDArray[Any], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    root = np.sqrt(weight).astype(X.dtype)[:, None]
    total = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, X.shape[0], _BLOCK):  # blocks that stay in the processor's cache
        block = X[start : start + _BLOCK] * root[start : start + _BLOCK]
        total += block.T @ block
    return total


def _solve(information: NDArray[np.float64], gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve for the step; without a unique one take the shortest."""
    try:
        return np.asarray(cho_solve(cho_factor(information), gradient))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(information, gradient, rcond=None)[0])


def calibration_line(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    confidence_level: float = 0.95,
) -> CalibrationLine:
    """Estimate calibration slope and intercept with intervals, and test them together.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Probability of 1, in [0, 1]; kept 1e-9 away from both ends.
    confidence_level : float, default 0.95
        Of the Wald intervals.

    Returns
    -------
    CalibrationLine
        With missing numbers (nan) where the leads do not determine them: no leads, one class, equal
        probabilities (slope), complete separation (slope).

    References
    ----------
    .. [1] Cox (1958), Biometrika 45, 562-565 (slope, intercept and their joint test).
    .. [2] Van Calster et al. (2019), BMC Medicine 17, 230 (what to report).

    Examples
    --------
    >>> line = calibration_line([0, 1, 0, 1], [0.4, 0.4, 0.6, 0.6])
    >>> round(line.slope, 6), round(line.intercept, 6)
    (0.0, 0.0)
    """
    y, p, _ = check_labels(y_true, y_prob)
    check_probabilities(p)
    z = check_level(confidence_level)
    n, positive = int(y.size), int(y.sum())
    observed = float(y.mean()) if n else float("nan")
    expected = float(p.mean()) if n else float("nan")
    slope = low = high = intercept = intercept_low = intercept_high = float("nan")
    p_value = 1.0
    if 0 < positive < n:
        logit = compute_logit(p)
        start = float(np.logaddexp(0, np.where(y == 1, -logit, logit)).sum())
        alpha, information, loss = fit_logistic(np.ones((n, 1)), y, offset=logit)
        half = z / float(np.sqrt(information[0, 0]))
        intercept, intercept_low, intercept_high = float(alpha[0]), alpha[0] - half, alpha[0] + half
        degrees = 1
        if np.ptp(logit) > 1e-9 and not _separated(y, logit):
            centre = float(logit.mean())
            coef, information, loss = fit_logistic(np.column_stack([np.ones(n), logit - centre]), y)
            half = z * float(np.sqrt(np.linalg.pinv(information)[1, 1]))
            slope, low, high = float(coef[1]), float(coef[1] - half), float(coef[1] + half)
            degrees = 2
        p_value = float(chi2.sf(max(0.0, 2 * (start - loss)), degrees))
    return CalibrationLine(
        slope=slope,
        slope_low=low,
        slope_high=high,
        intercept=intercept,
        intercept_low=float(intercept_low),
        intercept_high=float(intercept_high),
        p_value=p_value,
        n=n,
        n_positive=positive,
        observed=observed,
        expected=expected,
    )


def _separated(y: NDArray[np.float64], score: NDArray[np.float64]) -> bool:
    yes, no = score[y == 1], score[y == 0]
    return bool(yes.min() >= no.max() or yes.max() <= no.min())


def reliability_curve(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    score: Literal["brier", "log_loss"] = "brier",
    confidence_level: float = 0.95,
    n_resamples: int = 200,
    random_state: int = 0,
) -> ReliabilityCurve:
    """Estimate the CORP reliability curve and take the score apart.

    The rate at each forecast is the isotonic regression (pool adjacent violators) of what happened on the
    forecast, so there are no bins to choose. The band is resampled from the forecasts themselves: it shows
    what a perfect forecast of these leads would look like.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Probability of 1, in [0, 1].
    score : {"brier", "log_loss"}, default "brier"
        What is taken apart.
    confidence_level : float, default 0.95
        Of the band, forecast by forecast.
    n_resamples : int, default 200
        Resamples of the band; 0 gives a band of missing numbers.
    random_state : int, default 0
        Seed of the resamples.

    Returns
    -------
    ReliabilityCurve
        One point per distinct forecast (above 4,000 of them: per 4,000 groups of equal size for the band).

    References
    ----------
    .. [1] Dimitriadis, Gneiting, Jordan (2021), PNAS 118 (8) e2016191118.

    Examples
    --------
    >>> curve = reliability_curve([0, 1, 0, 1], [0.2, 0.2, 0.8, 0.8], n_resamples=0)
    >>> curve.rate.tolist(), round(curve.miscalibration, 3), curve.discrimination
    ([0.5, 0.5], 0.09, 0.0)
    """
    y, p, _ = check_labels(y_true, y_prob)
    check_probabilities(p)
    check_level(confidence_level)
    if score not in ("brier", "log_loss"):
        raise ValueError(f"score: expected 'brier' or 'log_loss', got {score!r}.")
    if not y.size:
        empty = np.zeros(0)
        nan = float("nan")
        return ReliabilityCurve(
            probability=empty,
            rate=empty,
            ci_low=empty,
            ci_high=empty,
            n=np.zeros(0, dtype=np.int64),
            score_name=score,
            score=nan,
            miscalibration=nan,
            discrimination=nan,
            uncertainty=nan,
            miscalibration_null=nan,
        )
    forecast, where, counts = np.unique(p, return_inverse=True, return_counts=True)
    n = counts.astype(np.int64)
    wins = np.bincount(where, weights=y, minlength=forecast.size).astype(np.float64)
    rate = _pav(wins, n)
    constant = np.full_like(rate, y.mean())
    total = _score(score, forecast, wins, n)
    best = _score(score, rate, wins, n)
    uncertainty = _score(score, constant, wins, n)
    low, high, null = _null_band(
        forecast, n, score, confidence_level=confidence_level, n_resamples=n_resamples, seed=random_state
    )
    return ReliabilityCurve(
        probability=forecast,
        rate=rate,
        ci_low=low,
        ci_high=high,
        n=n,
        score_name=score,
        score=total,
        miscalibration=total - best,
        discrimination=uncertainty - best,
        uncertainty=uncertainty,
        miscalibration_null=null,
    )


def _pav(wins: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(isotonic_regression(wins / n, weights=n.astype(np.float64)).x, dtype=np.float64)


def _score(
    name: str, forecast: NDArray[np.float64], wins: NDArray[np.float64], n: NDArray[np.int64]
) -> float:
    if name == "brier":
        losses = wins * (1 - forecast) ** 2 + (n - wins) * forecast**2
    else:
        yes, no = np.ones_like(forecast), np.zeros_like(forecast)
        losses = wins * log_losses(yes, forecast) + (n - wins) * log_losses(no, forecast)
    return float(losses.sum() / n.sum())


def _null_band(
    forecast: NDArray[np.float64],
    n: NDArray[np.int64],
    score: str,
    *,
    confidence_level: float,
    n_resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Resample what a perfect forecast would show: the range of its rates and of its miscalibration."""
    if n_resamples <= 0:
        missing = np.full(forecast.size, np.nan)
        return missing, missing, float("nan")
    points, counts = forecast, n
    if forecast.size > _MAX_CURVE_POINTS:
        group = (np.cumsum(n) - n) * _MAX_CURVE_POINTS // n.sum()
        group = np.unique(group, return_inverse=True)[1]
        counts = np.bincount(group, weights=n).astype(np.int64)
        points = np.bincount(group, weights=n * forecast) / counts
    rng = np.random.default_rng(seed)
    rates = np.empty((n_resamples, points.size))
    gaps = np.empty(n_resamples)
    for i in range(n_resamples):
        wins = rng.binomial(counts, points).astype(np.float64)
        rates[i] = _pav(wins, counts)
        gaps[i] = _score(score, points, wins, counts) - _score(score, rates[i], wins, counts)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(rates, [tail, 1 - tail], axis=0)
    if points.size < forecast.size:
        low, high = np.interp(forecast, points, low), np.interp(forecast, points, high)
    return low, high, float(np.quantile(gaps, 0.95))

"""Recalibration of probabilities, from one number to a curve, by how many wins there are to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import norm

from leadml.metrics import (
    calibration_line,
    compare_segments,
    compute_logit,
    expit,
    fit_logistic,
    log_losses,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from leadml.metrics import CalibrationLine

__all__ = ["Calibration", "choose_calibration", "fit_calibration"]

Method = Literal["none", "intercept", "platt", "beta", "spline", "venn_abers", "isotonic"]

_DECIMALS = 9
_GRID_POINTS = 201
_ERROR_RATE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A monotone map from a model's probability to a believable one.

    Attributes
    ----------
    method : {"none", "intercept", "platt", "beta", "spline", "venn_abers", "isotonic"}
        How it was fitted.
    coef : tuple of float
        ``(a, b, c)`` of ``logit = a log(p) - b log(1 - p) + c``: none (1, 1, 0), intercept (1, 1, c),
        Platt on the logit (a, a, c), beta (a, b, c). Empty for a curve.
    grid, values : tuple of float
        Of a curve: logits and the calibrated logits there, interpolated linearly, flat outside.
    n, n_positive : int
        Leads it was fitted on.
    reason : str
        Why this method.
    """

    method: Method
    coef: tuple[float, ...] = ()
    grid: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    n: int = 0
    n_positive: int = 0
    reason: str = ""

    def calibrate(self, p: ArrayLike) -> NDArray[np.float64]:
        """Give the calibrated probabilities.

        Parameters
        ----------
        p : array-like of shape (n_leads,)
            Probabilities of the model.

        Returns
        -------
        ndarray of shape (n_leads,)
        """
        raw = np.asarray(p, dtype=np.float64)
        if self.method == "none":
            return raw
        if self.grid:
            return expit(np.interp(compute_logit(raw), self.grid, self.values))
        a, b, c = self.coef
        clipped = np.clip(raw, 1e-9, 1 - 1e-9)
        return expit(a * np.log(clipped) - b * np.log1p(-clipped) + c)


def choose_calibration(
    y_true: ArrayLike, y_prob: ArrayLike, *, stretches: ArrayLike | None = None
) -> Calibration:
    """Choose and fit a calibration, or none if the probabilities do not ask for one.

    Slope and intercept are tested first; if they do not differ from 1 and 0 (two-sided 5 %) nothing is
    changed. Then by the number of the rarer outcome: below 50 the intercept only, below 100 Platt on the
    logit, up to 500 beta, above that the simplest within one standard error of the best cross-validated log
    loss among none, Platt, beta, spline and Venn-ABERS, above 10,000 isotonic too.

    With `stretches` the probabilities come from models of different age, each judged on the stretch after
    it, and the model to be calibrated has since been fitted on all of them. Its level is then right as far as
    these leads can tell, and only the shape is calibrated: each stretch is put right on average first, and
    the calibration, fitted without the latest stretch, has to make the log loss of that stretch better.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1, from leads later than those the model was fitted on, in order of time.
    y_prob : array-like of shape (n_leads,)
        The model's probabilities.
    stretches : array-like of int of shape (n_leads,), optional
        Number of the stretch of time of each lead, ascending.

    Returns
    -------
    Calibration

    References
    ----------
    .. [1] Platt (1999); Kull, Silva Filho, Flach (2017), AISTATS (beta); Vovk, Petej (2014), UAI
       (Venn-ABERS); Zadrozny, Elkan (2002), KDD (isotonic).
    """
    y = np.asarray(y_true, dtype=np.float64)
    p = np.asarray(y_prob, dtype=np.float64)
    number = None if stretches is None else np.asarray(stretches)
    if number is not None and y.size:
        found = compare_segments(y, p, number)
        offset = dict(zip(found.segment, found.offset.tolist(), strict=True))
        p = expit(compute_logit(p) + np.asarray([offset[str(name)] for name in number]))
    line = calibration_line(y, p)
    facts: dict[str, Any] = {"method": "none", "n": line.n, "n_positive": line.n_positive}
    rare = min(line.n_positive, line.n - line.n_positive)
    if rare < 10:
        return Calibration(reason="fewer than 10 leads of one class in the calibration slice", **facts)
    p_value = line.p_value if number is None else slope_test(line)
    if p_value >= _ERROR_RATE:
        told = f"slope {line.slope:.2f} and intercept {line.intercept:+.2f} need"
        return Calibration(reason=f"{told} no change (p = {p_value:.2g})", **facts)
    why = f"slope {line.slope:.2f}, intercept {line.intercept:+.2f} (p = {p_value:.1g})"
    method, how = _method(y, p, rare=rare, slope=line.slope)
    if method == "none":
        return Calibration(reason=f"{why}; {how}", **facts)
    if number is not None:
        if method == "intercept":
            return Calibration(reason=f"{why}; {how}, too few for more than the level", **facts)
        worse = _worse_in_time(y, p, method, earlier=number < number.max())
        if worse:
            return Calibration(reason=f"{why}; {worse}", **facts)
    return fit_calibration(y, p, method=method, reason=f"{why}; {how}")


def slope_test(line: CalibrationLine) -> float:
    """Two-sided normal p-value of a slope of 1 from its 95 % interval."""
    if np.isnan(line.slope):
        return 1.0
    error = (line.slope_high - line.slope_low) / (2 * 1.959963984540054)
    return float(2 * norm.sf(abs(line.slope - 1) / error))


def _worse_in_time(
    y: NDArray[np.float64], p: NDArray[np.float64], method: Method, *, earlier: NDArray[np.bool_]
) -> str:
    """Say why a calibration learnt on the earlier stretches does not help the latest; "" if it does."""
    if not 0 < y[earlier].sum() < earlier.sum():
        return ""
    fitted = fit_calibration(y[earlier], p[earlier], method=method)
    after = float(log_losses(y[~earlier], fitted.calibrate(p[~earlier])).mean())
    before = float(log_losses(y[~earlier], p[~earlier]).mean())
    if after < before:
        return ""
    return (
        f"but {method} learnt before the latest stretch made it worse ({after:.4f} instead of {before:.4f})"
    )


def _method(y: NDArray[np.float64], p: NDArray[np.float64], *, rare: int, slope: float) -> tuple[Method, str]:
    """Choose the method by the number of the rarer outcome."""
    found = f"{rare} of the rarer class"
    if rare < 50 or np.isnan(slope):
        return "intercept", found
    if slope <= 0:
        return "platt", "the score did not order the slice"
    if rare <= 500:
        return ("platt" if rare < 100 else "beta"), found
    methods: list[Method] = ["none", "platt", "beta", "spline", "venn_abers"]
    if rare > 10_000:
        methods.append("isotonic")
    method = _cross_validate(y, p, methods)
    if method == "none":
        return method, "but changing nothing is within one standard error of the best by cross-validation"
    return method, f"best of {len(methods)} by cross-validation"


def _cross_validate(y: NDArray[np.float64], p: NDArray[np.float64], methods: list[Method]) -> Method:
    fold = np.arange(y.size) % 5
    losses = np.empty((len(methods), y.size))
    for k in range(5):
        held = fold == k
        for i, method in enumerate(methods):
            fitted = fit_calibration(y[~held], p[~held], method=method)
            losses[i, held] = log_losses(y[held], fitted.calibrate(p[held]))
    best = int(np.argmin(losses.mean(axis=1)))
    for i, method in enumerate(methods):
        gap = losses[i] - losses[best]
        if gap.mean() <= gap.std(ddof=1) / np.sqrt(y.size) or i == best:
            return method
    return methods[best]


def fit_calibration(y_true: ArrayLike, y_prob: ArrayLike, *, method: Method, reason: str = "") -> Calibration:
    """Fit one calibration.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        The model's probabilities.
    method : {"none", "intercept", "platt", "beta", "spline", "venn_abers", "isotonic"}
        See `Calibration`.
    reason : str
        Kept with the result.

    Returns
    -------
    Calibration
        Monotone: a fit that would turn the order round becomes flat.
    """
    y = np.asarray(y_true, dtype=np.float64)
    p = np.clip(np.asarray(y_prob, dtype=np.float64), 1e-9, 1 - 1e-9)
    facts: dict[str, Any] = {"method": method, "n": int(y.size), "n_positive": int(y.sum()), "reason": reason}
    if method in ("intercept", "platt", "beta"):
        return Calibration(coef=_fit_line(y, p, method), **facts)
    if method == "none":
        return Calibration(**facts)
    grid, values = _fit_curve(y, compute_logit(p), method)
    return Calibration(
        grid=tuple(np.round(grid, _DECIMALS).tolist()),
        values=tuple(np.round(values, _DECIMALS).tolist()),
        **facts,
    )


def _fit_line(y: NDArray[np.float64], p: NDArray[np.float64], method: str) -> tuple[float, ...]:
    logit = compute_logit(p)
    one = np.ones(y.size)
    weak = np.asarray([1e-9, 1e-3, 1e-3])  # keeps separated slices finite
    a = b = 1.0
    if method == "intercept":
        c = float(fit_logistic(one[:, None], y, offset=logit, penalty=weak[:1])[0][0])
        return _rounded(a, b, c)
    if method == "beta":
        coef = fit_logistic(np.column_stack([one, np.log(p), -np.log1p(-p)]), y, penalty=weak)[0]
        if coef[1] >= 0 and coef[2] >= 0:
            return _rounded(coef[1], coef[2], coef[0])
    coef = fit_logistic(np.column_stack([one, logit]), y, penalty=weak[:2])[0]
    if coef[1] < 0:
        return _rounded(0.0, 0.0, float(compute_logit(y.mean())))
    return _rounded(coef[1], coef[1], coef[0])


def _rounded(*numbers: float) -> tuple[float, ...]:
    return tuple(round(float(number), _DECIMALS) for number in numbers)


def _fit_curve(
    y: NDArray[np.float64], logit: NDArray[np.float64], method: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = np.unique(np.quantile(logit, np.linspace(0, 1, _GRID_POINTS)))
    if method == "spline":
        knots = np.quantile(logit, [0.1, 0.35, 0.65, 0.9])
        design = _natural_spline(logit, knots)
        penalty = np.asarray([1e-9, 1e-3, *([1.0] * (design.shape[1] - 2))])
        coef = fit_logistic(design, y, penalty=penalty)[0]
        values = isotonic_regression(_natural_spline(points, knots) @ coef).x
        return points, np.asarray(values)
    order = np.argsort(logit, kind="stable")
    score, where, counts = np.unique(logit[order], return_inverse=True, return_counts=True)
    n = counts.astype(np.float64)
    wins = np.bincount(where, weights=y[order], minlength=score.size).astype(np.float64)
    if method == "isotonic":
        block = np.unique(isotonic_regression(wins / n, weights=n).x, return_inverse=True)[1]
        sizes = np.bincount(block, weights=n)
        # One lead more at the base rate per step keeps the ends away from certainty.
        rates = (np.bincount(block, weights=wins) + y.mean()) / (sizes + 1)
        rate = isotonic_regression(rates, weights=sizes).x[block]
        return points, np.interp(points, score, compute_logit(rate))
    score, wins, n = _pool_between(points, score, wins, n)
    return points, compute_logit(_venn_abers(points, score, wins, n))


def _natural_spline(x: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural cubic spline basis (Hastie, Tibshirani, Friedman, section 5.2.1)."""
    knots = np.unique(knots)
    columns = [np.ones(x.size), x]
    if knots.size >= 3:
        span = knots[-1] - knots[0]

        def part(k: int) -> NDArray[np.float64]:
            cubes = np.maximum(0, x - knots[k]) ** 3 - np.maximum(0, x - knots[-1]) ** 3
            return np.asarray(cubes / (knots[-1] - knots[k]))

        last = part(knots.size - 2)
        columns.extend((part(k) - last) / span for k in range(knots.size - 2))
    return np.column_stack(columns)


def _pool_between(
    points: NDArray[np.float64], score: NDArray[np.float64], wins: NDArray[np.float64], n: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pool adjacent violators between two points; whatever is added at a point, they would be pooled."""
    place = np.searchsorted(points, score)
    at_point = points[np.minimum(place, points.size - 1)] == score
    starts = np.flatnonzero(np.diff(2 * place + at_point, prepend=-1))
    first = np.zeros(score.size, dtype=bool)
    for start, end in zip(starts, [*starts[1:], score.size], strict=True):
        first[
            start + isotonic_regression(wins[start:end] / n[start:end], weights=n[start:end]).blocks[:-1]
        ] = True
    begin = np.flatnonzero(first)
    return score[begin], np.add.reduceat(wins, begin), np.add.reduceat(n, begin)


def _venn_abers(
    points: NDArray[np.float64], score: NDArray[np.float64], wins: NDArray[np.float64], n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Merge the two isotonic rates with the query added as a loss and as a win (inductive Venn-ABERS)."""
    out = np.empty(points.size)
    for i, point in enumerate(points):
        at = int(np.searchsorted(score, point))
        fresh = at == score.size or score[at] != point
        sizes = np.insert(n, at, 0.0) if fresh else n
        hits = np.insert(wins, at, 0.0) if fresh else wins
        sizes = sizes.copy()
        sizes[at] += 1
        low = isotonic_regression(hits / sizes, weights=sizes).x[at]
        hits = hits.copy()
        hits[at] += 1
        high = isotonic_regression(hits / sizes, weights=sizes).x[at]
        out[i] = high / (1 - low + high)
    return np.maximum.accumulate(out)

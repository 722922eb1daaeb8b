"""Calibration by segment with shrunk offsets, spread between groups, and the level of a whole population."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from leadml._render import render_card, render_frame
from leadml.metrics._calibration import compute_logit, expit, fit_logistic
from leadml.metrics._discrimination import check_labels, check_level, check_probabilities

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SegmentCalibration",
    "Spread",
    "compare_segments",
    "estimate_prevalence",
    "estimate_spread",
]

# A segment without a win (or without a loss) gets this much doubt about its offset instead of infinity.
_WIDE_SD = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How much groups differ beyond chance.

    Attributes
    ----------
    n_groups : int
        Groups with an estimate.
    mean : float
        Their precision-weighted mean.
    sd : float
        Standard deviation between the groups' true values (0 if chance explains the differences).
    chi_square, p_value : float
        Test of no difference with ``n_groups - 1`` degrees of freedom.
    median_odds_ratio : float
        For effects on the logit scale: the median factor between the odds of two random groups, the higher
        over the lower; 1 if they do not differ.
    """

    n_groups: int
    mean: float
    sd: float
    chi_square: float
    p_value: float
    median_odds_ratio: float

    def to_frame(self) -> pd.DataFrame:
        """Give one row, one column per attribute."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(self, name) for name in self.__slots__}])


def estimate_spread(effects: ArrayLike, standard_errors: ArrayLike) -> Spread:
    """Estimate how much groups differ beyond the chance in each one's estimate.

    Parameters
    ----------
    effects : array-like of shape (n_groups,)
        Estimates, for the odds ratio on the logit scale.
    standard_errors : array-like of shape (n_groups,)
        Positive.

    Returns
    -------
    Spread

    References
    ----------
    .. [1] Paule, Mandel (1982), Journal of Research of the National Bureau of Standards 87, 377-385.
    .. [2] Larsen, Merlo (2005), American Journal of Epidemiology 161, 81-88 (median odds ratio,
       ``exp(0.6745 sqrt(2) sd)``).

    Examples
    --------
    >>> spread = estimate_spread([-1.0, 0.0, 1.0], [0.1, 0.1, 0.1])
    >>> round(spread.sd, 3), round(spread.median_odds_ratio, 2)
    (0.995, 2.58)
    """
    b = np.asarray(effects, dtype=np.float64)
    se = np.asarray(standard_errors, dtype=np.float64)
    if b.shape != se.shape or not (np.isfinite(b).all() and np.isfinite(se).all() and (se > 0).all()):
        raise ValueError("effects, standard_errors: expected as many positive errors as finite effects.")
    if b.size < 2:
        mean = float(b[0]) if b.size else 0.0
        return Spread(n_groups=b.size, mean=mean, sd=0.0, chi_square=0.0, p_value=1.0, median_odds_ratio=1.0)
    w = 1 / se**2
    fixed = float((w * b).sum() / w.sum())
    q = float((w * (b - fixed) ** 2).sum())
    sd = float(np.sqrt(_between(b, se)))
    w = 1 / (se**2 + sd**2)
    return Spread(
        n_groups=int(b.size),
        mean=float((w * b).sum() / w.sum()),
        sd=sd,
        chi_square=q,
        p_value=float(chi2.sf(q, b.size - 1)),
        median_odds_ratio=float(np.exp(0.6744897501960817 * np.sqrt(2) * sd)),
    )


def _between(b: NDArray[np.float64], se: NDArray[np.float64]) -> float:
    """Variance between groups at which the weighted squares are what chance gives (Paule, Mandel)."""

    def surplus(variance: float) -> float:
        w = 1 / (se**2 + variance)
        mean = (w * b).sum() / w.sum()
        return float((w * (b - mean) ** 2).sum()) - (b.size - 1)

    if surplus(0.0) <= 0:
        return 0.0
    return float(brentq(surplus, 0.0, float(np.ptp(b) ** 2 + 1), xtol=1e-12))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentCalibration:
    """Expected against observed by segment, with the offset each segment's logit needs.

    Attributes
    ----------
    segment : tuple of str
        Names, in alphabetical order.
    n, n_positive : ndarray of int of shape (n_segments,)
    expected, observed : ndarray of float of shape (n_segments,)
        Mean probability and share that happened.
    offset, ci_low, ci_high : ndarray of float of shape (n_segments,)
        What has to be added to the logits of the segment, with its interval.
    shrunk_offset : ndarray of float of shape (n_segments,)
        The same, drawn to the common mean the more the less the segment knows (empirical Bayes).
    spread : Spread
        How much the segments differ beyond chance.
    """

    segment: tuple[str, ...]
    n: NDArray[np.int64] = field(repr=False)
    n_positive: NDArray[np.int64] = field(repr=False)
    expected: NDArray[np.float64] = field(repr=False)
    observed: NDArray[np.float64] = field(repr=False)
    offset: NDArray[np.float64] = field(repr=False)
    ci_low: NDArray[np.float64] = field(repr=False)
    ci_high: NDArray[np.float64] = field(repr=False)
    shrunk_offset: NDArray[np.float64] = field(repr=False)
    spread: Spread

    def calibrate(self, y_prob: ArrayLike, segments: ArrayLike) -> NDArray[np.float64]:
        """Shift probabilities by the shrunk offset of their segment.

        Parameters
        ----------
        y_prob : array-like of shape (n_leads,)
            Probabilities.
        segments : array-like of shape (n_leads,)
            Names; a segment that is not known gets the common mean.

        Returns
        -------
        ndarray of shape (n_leads,)
        """
        known = dict(zip(self.segment, self.shrunk_offset.tolist(), strict=True))
        shift = np.asarray([known.get(str(name), self.spread.mean) for name in np.asarray(segments)])
        return expit(compute_logit(y_prob) + shift) if shift.size else np.zeros(0)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per segment, one column per attribute (without the spread)."""
        import pandas as pd

        names = [name for name in self.__slots__ if name != "spread"]
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def __repr__(self) -> str:
        s = self.spread
        return (
            f"SegmentCalibration: {len(self.segment)} segments, {int(self.n.sum()):,} leads; their levels "
            f"differ with p = {s.p_value:.2g}, standard deviation {s.sd:.2f} on the logit"
        )

    def _repr_html_(self) -> str:
        return str(render_card(repr(self), [render_frame(self.to_frame())]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the offset of each segment with its interval and, beside it, the shrunk one."""
        from leadml._plotting import plot_bars

        frame = self.to_frame().rename(columns={"segment": "label", "offset": "value"})
        return plot_bars(frame[["label", "value", "ci_low", "ci_high"]], ax, xlabel="offset of the logit")


def compare_segments(
    y_true: ArrayLike, y_prob: ArrayLike, segments: ArrayLike, *, confidence_level: float = 0.95
) -> SegmentCalibration:
    """Compare expected with observed by segment and estimate each segment's offset, shrunk.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Probability of 1.
    segments : array-like of shape (n_leads,)
        Name of each lead's segment or quarter; missing (None, nan) is a segment of its own, "missing".
    confidence_level : float, default 0.95
        Of the Wald intervals.

    Returns
    -------
    SegmentCalibration

    References
    ----------
    .. [1] Morris (1983), Journal of the American Statistical Association 78, 47-55 (empirical Bayes:
       ``mean + (offset - mean) sd² / (sd² + se²)``).

    Examples
    --------
    >>> found = compare_segments([0, 1, 0, 0], [0.5] * 4, ["a", "a", "b", "b"])
    >>> found.to_frame()[["segment", "n", "expected", "observed"]].values.tolist()
    [['a', 2, 0.5, 0.5], ['b', 2, 0.5, 0.0]]
    """
    y, p, _ = check_labels(y_true, y_prob)
    check_probabilities(p)
    z = check_level(confidence_level)
    names = np.asarray(["missing" if _is_missing(name) else str(name) for name in np.asarray(segments)])
    if names.size != y.size:
        raise ValueError(f"segments: expected {y.size} names, got {names.size}.")
    found = sorted(set(names.tolist()))
    logit = compute_logit(p)
    rows = []
    for name in found:
        inside = names == name
        rows.append(_offset(y[inside], logit[inside], p[inside]))
    table = np.asarray(rows, dtype=np.float64).reshape(len(found), 6)
    n, wins, expected, observed, offset, error = table.T
    spread = estimate_spread(offset, error)
    weight = spread.sd**2 / (spread.sd**2 + error**2)
    return SegmentCalibration(
        segment=tuple(found),
        n=n.astype(np.int64),
        n_positive=wins.astype(np.int64),
        expected=expected,
        observed=observed,
        offset=offset,
        ci_low=offset - z * error,
        ci_high=offset + z * error,
        shrunk_offset=spread.mean + (offset - spread.mean) * weight,
        spread=spread,
    )


def _is_missing(name: object) -> bool:
    return name is None or name != name or type(name).__name__ in ("NAType", "NaTType")  # noqa: PLR0124 - nan


def _offset(
    y: NDArray[np.float64], logit: NDArray[np.float64], p: NDArray[np.float64]
) -> tuple[float, float, float, float, float, float]:
    wins = float(y.sum())
    penalty = np.asarray([1 / _WIDE_SD**2 if wins in (0.0, float(y.size)) else 0.0])
    coef, information, _ = fit_logistic(np.ones((y.size, 1)), y, offset=logit, penalty=penalty)
    error = 1 / float(np.sqrt(information[0, 0]))
    return float(y.size), wins, float(p.mean()), wins / y.size, float(coef[0]), error


def estimate_prevalence(y_prob: ArrayLike, base_rate: float) -> tuple[float, NDArray[np.float64]]:
    """Estimate the share of positives without labels, and the probabilities that would follow.

    Only for display: it is right if nothing but the share of positives has changed, and badly wrong if the
    leads have become better or worse in their attributes. Recalibrate on matured labels instead.

    Parameters
    ----------
    y_prob : array-like of shape (n_leads,)
        Probabilities of a model trained at `base_rate`, without labels.
    base_rate : float
        Share of positives in training, between 0 and 1.

    Returns
    -------
    prevalence : float
    y_prob : ndarray of shape (n_leads,)

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker (2002), Neural Computation 14, 21-41.
    """
    p = np.asarray(y_prob, dtype=np.float64)
    check_probabilities(p)
    if not 0 < base_rate < 1:
        raise ValueError(f"base_rate: expected a number between 0 and 1, got {base_rate!r}.")
    if not p.size:
        return float("nan"), p
    prevalence = _most_likely_share(p / base_rate, (1 - p) / (1 - base_rate), base_rate)
    yes = p * (prevalence / base_rate)
    no = (1 - p) * ((1 - prevalence) / (1 - base_rate))
    adjusted = np.divide(yes, yes + no, out=np.zeros_like(p), where=yes + no > 0)
    return prevalence, adjusted


def _most_likely_share(yes: NDArray[np.float64], no: NDArray[np.float64], start: float) -> float:
    """Find where the concave likelihood of a mixture is largest: the limit of the EM algorithm of [1]."""

    def slope(share: float) -> float:
        return float(((yes - no) / (share * yes + (1 - share) * no)).mean())

    low, high = 1e-12, 1 - 1e-12
    if abs(slope(start)) < low:
        return start
    if slope(low) <= 0:
        return 0.0
    if slope(high) >= 0:
        return 1.0
    return float(brentq(slope, low, high, xtol=low))

"""Whether the level of the later leads has moved, and what recalibrating it on matured labels does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from leadml._render import format_rate, render_card, render_frame
from leadml.metrics import calibration_line, compute_logit, estimate_prevalence, expit, log_loss

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["LevelShift", "compare_levels"]

_ERROR_RATE = 0.01
_MIN_PER_CLASS = 20
_MAX_SAMPLE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelShift:
    """The level of a model on later leads, as it was trained and recalibrated on matured labels.

    Attributes
    ----------
    n, expected, observed : int, float, float
        Later labelled leads, mean probability, share that happened.
    offset, ci_low, ci_high, p_value : float
        What the logits would need to be right on average (calibration in the large) and its test.
    shifted : bool
        The level moved (p < 0.01, at least 20 leads of each class) and recalibrating on the first half of the
        later leads made the second half better. Then new leads are scored with `offset`.
    n_first, n_second : int
        Leads of the two halves, in order of time.
    log_loss_trained, log_loss_recalibrated : float
        On the second half: as trained, and with the offset learnt on the first half.
    prevalence_unsupervised : float
        What EM without labels believes the share to be. Shown as a what-if, never used.
    """

    n: int
    expected: float
    observed: float
    offset: float
    ci_low: float
    ci_high: float
    p_value: float
    shifted: bool
    n_first: int
    n_second: int
    log_loss_trained: float
    log_loss_recalibrated: float
    prevalence_unsupervised: float

    def to_frame(self) -> pd.DataFrame:
        """Give one row, one column per attribute."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(self, name) for name in self.__slots__}])

    def __repr__(self) -> str:
        if not self.n:
            return "level not known: no later leads"
        told = f"{format_rate(self.expected)} expected, {format_rate(self.observed)} came"
        if not self.shifted:
            return f"level kept: {told} among {self.n:,} later leads (p = {self.p_value:.2g})"
        return (
            f"level moved: {told} among {self.n:,} later leads (p = {self.p_value:.1g}); recalibrated on the "
            f"first half of them the log loss of the second is {self.log_loss_recalibrated:.4f} instead of "
            f"{self.log_loss_trained:.4f}. New leads are scored with the recalibrated level."
        )

    def _repr_html_(self) -> str:
        return str(render_card(repr(self), [render_frame(self.to_frame())]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the log loss of the second half both ways: as trained, and recalibrated on the first half."""
        import pandas as pd

        from leadml._plotting import plot_bars

        bars = {"as trained": self.log_loss_trained, "recalibrated": self.log_loss_recalibrated}
        frame = pd.DataFrame({"label": list(bars), "value": list(bars.values())})
        return plot_bars(frame, ax, xlabel="log loss of the newest leads")


def compare_levels(
    y_true: NDArray[np.float64], y_prob: NDArray[np.float64], *, base_rate: float
) -> LevelShift:
    """Compare the level of later leads with the model's, and judge a recalibrated intercept.

    Parameters
    ----------
    y_true : ndarray of shape (n_leads,)
        0 or 1, matured labels only, in order of time.
    y_prob : ndarray of shape (n_leads,)
        What the model said.
    base_rate : float
        Share of positives in training.

    Returns
    -------
    LevelShift

    References
    ----------
    .. [1] Janssen et al. (2008), Journal of Clinical Epidemiology 61, 76-86 (recalibration in the large).
    """
    line = calibration_line(y_true, y_prob)
    half = y_true.size // 2
    first, second = slice(0, half), slice(half, y_true.size)
    offset = calibration_line(y_true[first], y_prob[first]).intercept
    moved = expit(compute_logit(y_prob[second]) + (0.0 if np.isnan(offset) else offset))
    trained, recalibrated = log_loss(y_true[second], y_prob[second]), log_loss(y_true[second], moved)
    sample = y_prob[:: max(1, y_prob.size // _MAX_SAMPLE)]
    rare = min(line.n_positive, line.n - line.n_positive)
    return LevelShift(
        n=line.n,
        expected=line.expected,
        observed=line.observed,
        offset=round(line.intercept, 9),
        ci_low=round(line.intercept_low, 9),
        ci_high=round(line.intercept_high, 9),
        p_value=_intercept_test(line.intercept, line.intercept_low, line.intercept_high),
        shifted=bool(
            rare >= _MIN_PER_CLASS
            and recalibrated < trained
            and _intercept_test(line.intercept, line.intercept_low, line.intercept_high) < _ERROR_RATE
        ),
        n_first=half,
        n_second=line.n - half,
        log_loss_trained=round(trained, 10),
        log_loss_recalibrated=round(recalibrated, 10),
        prevalence_unsupervised=round(estimate_prevalence(sample, base_rate)[0], 10),
    )


def _intercept_test(estimate: float, low: float, high: float) -> float:
    """Two-sided normal p-value of an intercept of 0 from its 95 % interval."""
    if np.isnan(estimate) or high <= low:
        return 1.0
    return float(2 * norm.sf(abs(estimate) / ((high - low) / (2 * 1.959963984540054))))

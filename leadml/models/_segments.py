"""Whether a model's probabilities hold in each quarter and segment of the later leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._render import format_count, render_card, render_frame
from leadml.metrics import (
    brier_score,
    calibration_line,
    compare_segments,
    log_loss,
    reliability_curve,
    wilson_interval,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from leadml.definitions import Definition
    from leadml.metrics import ReliabilityCurve, SegmentCalibration, Spread
    from leadml.models._model import TrainedModel

__all__ = ["CalibrationParts", "compare_calibration", "find_segments", "judge_parts"]

_MAX_LEVELS = 8
_MAX_SEGMENTS = 3
_MIN_LEADS = 20  # a smaller part is not shown
_N_RESAMPLES = 100
_COLUMNS = (
    *("by", "level", "n", "n_positive", "expected", "observed", "observed_low", "observed_high"),
    *("intercept", "intercept_low", "intercept_high", "intercept_shrunk"),
    *("slope", "slope_low", "slope_high", "p_value"),
    *("log_loss", "brier", "miscalibration", "miscalibration_null"),
)


def find_segments(definition: Definition | None, frame: pd.DataFrame) -> tuple[str, ...]:
    """Find the segments that a definition speaks of.

    Parameters
    ----------
    definition : Definition or None
        Declares the attributes.
    frame : DataFrame
        The leads.

    Returns
    -------
    tuple of str
        Up to three categories with two to eight levels among the leads, in the order of the file.
    """
    attributes = () if definition is None else definition.attributes
    names = [attribute.name for attribute in attributes if attribute.type == "category"]
    few = [name for name in names if name in frame.columns and 2 <= frame[name].nunique() <= _MAX_LEVELS]
    return tuple(few[:_MAX_SEGMENTS])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationParts:
    """Whether a model's probabilities hold in each quarter and in each segment of the leads it was judged on.

    Attributes
    ----------
    target : str
        What the model predicts.
    frame : DataFrame
        One row per quarter (``by`` is "period") and per level of a segment (``by`` is its attribute) of at
        least 20 leads: ``by``, ``level``, ``n``, ``n_positive``; ``expected`` (mean probability) and
        ``observed`` with its 95 % range (Wilson); ``intercept`` (what the logits would need to be right on
        average; 0 is right) and ``slope`` (1 is right), each with its 95 % range, and ``p_value`` of both
        being right; ``intercept_shrunk`` (drawn to the common mean the more the less the part knows);
        ``log_loss``, ``brier``, the Brier score's ``miscalibration`` and ``miscalibration_null`` (what a
        perfect model of as many leads stays under in 95 of 100 cases).
    spreads : mapping of str to Spread
        By ``by``: whether the levels differ beyond chance.
    curves : mapping of (str, str) to ReliabilityCurve
        By ``by`` and ``level``: the CORP reliability curve with its band.
    """

    target: str
    frame: pd.DataFrame = field(repr=False)
    spreads: Mapping[str, Spread] = field(repr=False)
    curves: Mapping[tuple[str, str], ReliabilityCurve] = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per quarter and per level of a segment; see `frame`."""
        return self.frame.copy()

    def plot(self, ax: Axes | None = None, *, by: str = "period") -> Axes:
        """Draw what came, with its range, beside what was expected: over the quarters, or by segment."""
        from leadml._plotting import plot_ranges, plot_series

        part = self.frame[self.frame["by"] == by]
        came = part.assign(
            group="came", value=part["observed"], ci_low=part["observed_low"], ci_high=part["observed_high"]
        )
        told = part.assign(
            group="expected", value=part["expected"], ci_low=part["expected"], ci_high=part["expected"]
        )
        both = pd.concat([came, told])
        if by == "period":
            return plot_series(both.rename(columns={"level": "period"}), ax, ylabel=self.target)
        return plot_ranges(both.rename(columns={"level": "label"}), ax, xlabel=f"{self.target} by {by}")

    def __repr__(self) -> str:
        lines = [f"calibration of {self.target}, part by part: {len(self.frame)} parts"]
        for by, spread in self.spreads.items():
            n = int((self.frame["by"] == by).sum())
            differ = "differ" if spread.p_value < 0.05 else "do not differ"
            lines.append(
                f"  by {by}: the levels of {format_count(n)} parts {differ} beyond chance "
                f"(p = {spread.p_value:.2g})"
            )
        return "\n".join(lines[:10])

    def _repr_html_(self) -> str:
        title, *notes = repr(self).splitlines()
        return str(render_card(title, [render_frame(self.frame)], notes=notes))


def judge_parts(
    y_true: ArrayLike, y_prob: ArrayLike, parts: Mapping[str, pd.Series], *, target: str
) -> CalibrationParts:
    """Judge probabilities in each quarter and segment.

    Parameters
    ----------
    y_true : array-like of shape (n_leads,)
        0 or 1.
    y_prob : array-like of shape (n_leads,)
        Probability of 1.
    parts : mapping of str to Series of shape (n_leads,)
        "period" and the segments: the level of each lead; leads without one are left out.
    target : str
        What is predicted.

    Returns
    -------
    CalibrationParts
    """
    y, p = np.asarray(y_true, dtype=np.float64), np.asarray(y_prob, dtype=np.float64)
    rows: list[dict[str, Any]] = []
    spreads: dict[str, Spread] = {}
    curves: dict[tuple[str, str], ReliabilityCurve] = {}
    for by, series in parts.items():
        known = series.notna().to_numpy(dtype=bool)
        names = np.asarray([str(name) for name in series[known]], dtype=object)
        levels, n = np.unique(names, return_counts=True)
        shown = [str(level) for level, size in zip(levels, n, strict=True) if size >= _MIN_LEADS]
        if not shown:
            continue
        own = np.isin(names, shown)
        offsets = compare_segments(y[known][own], p[known][own], names[own])
        spreads[by] = offsets.spread
        shrunk = dict(zip(offsets.segment, offsets.shrunk_offset.tolist(), strict=True))
        for level in shown:
            inside = known.copy()
            inside[known] = names == level
            curves[by, level] = reliability_curve(y[inside], p[inside], n_resamples=_N_RESAMPLES)
            rows.append(
                {"by": by, "level": level, "intercept_shrunk": shrunk[level]}
                | _judge(y[inside], p[inside], curves[by, level])
            )
    frame = pd.DataFrame(rows, columns=list(_COLUMNS)).round(10)
    return CalibrationParts(target=target, frame=frame, spreads=spreads, curves=curves)


def _judge(y: NDArray[np.float64], p: NDArray[np.float64], curve: ReliabilityCurve) -> dict[str, float]:
    line = calibration_line(y, p)
    low, high = wilson_interval(line.n_positive, line.n)
    return {
        "n": line.n,
        "n_positive": line.n_positive,
        "expected": line.expected,
        "observed": line.observed,
        "observed_low": float(low),
        "observed_high": float(high),
        "intercept": line.intercept,
        "intercept_low": line.intercept_low,
        "intercept_high": line.intercept_high,
        "slope": line.slope,
        "slope_low": line.slope_low,
        "slope_high": line.slope_high,
        "p_value": line.p_value,
        "log_loss": log_loss(y, p),
        "brier": brier_score(y, p),
        "miscalibration": curve.miscalibration,
        "miscalibration_null": curve.miscalibration_null,
    }


def compare_calibration(model: TrainedModel, segments: pd.Series) -> SegmentCalibration:
    """Compare expected with observed in each segment, or quarter, of the leads a model was judged on.

    Parameters
    ----------
    model : TrainedModel
        Its later leads and their probabilities as judged.
    segments : Series
        Name of each lead's segment by the index of the lead table, for example ``targets["period"]`` or
        ``table.frame["country"]``; leads on which the model was not judged are left out.

    Returns
    -------
    SegmentCalibration

    Raises
    ------
    ValueError
        If a lead that the model was judged on has no row in `segments`.
    """
    rows = model.holdout.index
    absent = rows.difference(segments.index)
    if len(absent):
        raise ValueError(
            f"segments: expected a row for each of the {len(rows):,} later leads, "
            f"{len(absent):,} are missing."
        )
    names = segments.loc[rows].astype("object").to_numpy()
    return compare_segments(model.holdout["y_true"], model.holdout["y_prob"], names)

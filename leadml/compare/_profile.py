"""The marginal profile: how leads that pass everything else do, along one attribute."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from leadml._plotting import plot_profile
from leadml._render import (
    format_count,
    format_rate,
    format_rate_range,
    format_value,
    render_card,
    render_frame,
)
from leadml.compare._rates import TARGETS, Labels, Target
from leadml.definitions import Attribute, compute_points
from leadml.metrics import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.compare._cells import Cells
    from leadml.definitions import Criterion, Definition

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["MarginalProfile", "compute_band", "compute_profiles"]

MIN_LEADS = 20
_DIRECTIONS: dict[str, Literal["rising", "falling"]] = {
    ">=": "rising",
    ">": "rising",
    "<=": "falling",
    "<": "falling",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginalProfile:
    """The rate of leads that pass everything else, bin by bin of one attribute.

    This is the picture of a threshold: leads belong on the side where the rate is above break-even.

    Attributes
    ----------
    criterion, attribute, target : str
        What is looked at, by which label.
    direction : {"rising", "falling"}
        Which way the criterion says that leads get better; the smooth rate follows it.
    break_even : float
        Rate from which a lead is worth handing over.
    written : float
        The written threshold (the number of the level for ordinals).
    bins : DataFrame
        ``label``, ``low``, ``high``, ``inside`` (meets the criterion as written), ``n_leads``, ``n``
        (labelled), ``rate``, ``ci_low``, ``ci_high`` (exact, 95 %), ``smooth`` (isotonic).
    crossing : str
        Label of the first bin, in the direction of the criterion, whose smooth rate reaches break-even;
        empty if none does.
    """

    criterion: str
    attribute: str
    target: str
    direction: Literal["rising", "falling"]
    break_even: float
    written: float
    bins: pd.DataFrame = field(repr=False)
    crossing: str

    def to_frame(self) -> pd.DataFrame:
        """Return one row per bin."""
        return self.bins.copy()

    def plot(self, ax: Axes | None = None, *, proposed: float | None = None) -> Axes:
        """Plot the profile with break-even, the written and, if given, the proposed threshold."""
        marks = [("written", self._place(self.written))]
        if proposed is not None:
            marks.append(("proposed", self._place(proposed)))
        places = np.arange(len(self.bins), dtype=float)
        drawn = self.bins.assign(low=places - 0.5, high=places + 0.5)
        ax = plot_profile(drawn, ax, xlabel=self.attribute, break_even=self.break_even, marks=marks)
        many = len(places) > 5
        ax.set_xticks(
            places, list(self.bins["label"]), rotation=30 if many else 0, ha="right" if many else "center"
        )
        return ax

    def _place(self, threshold: float) -> float:
        """Return where a threshold lies between evenly spaced bins."""
        low, high = self.bins["low"].to_numpy(dtype=float), self.bins["high"].to_numpy(dtype=float)
        position = int(np.searchsorted(high, threshold, side="left"))
        if position >= len(high):
            return len(high) - 0.5
        width = high[position] - low[position]
        part = (
            (threshold - low[position]) / width if np.isfinite(width) else float(threshold == high[position])
        )
        return position - 0.5 + float(np.clip(part, 0.0, 1.0))

    def __repr__(self) -> str:
        lines = [f"{self.criterion}: {self.target} of leads that pass everything else, by {self.attribute}"]
        rows: list[Any] = list(self.bins.itertuples(index=False))
        lines += [
            f"  {row.label}: {format_rate(row.rate)} ({format_rate_range(row.ci_low, row.ci_high)}, n = "
            f"{format_count(row.n)})"
            for row in rows[:7]
        ]
        lines.append(f"break-even {format_rate(self.break_even)}, reached from {self.crossing or 'nowhere'}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(render_card(repr(self).splitlines()[0], [render_frame(self.bins)]))


def compute_profiles(
    definition: Definition,
    frame: pd.DataFrame,
    *,
    cells: Cells,
    labels: Mapping[Target, Labels],
    break_even: Mapping[Target, float],
) -> tuple[MarginalProfile, ...]:
    """Compute the profile of every threshold of the handoff, on both targets.

    Parameters
    ----------
    definition : Definition
        The written definition.
    frame : DataFrame
        The leads.
    cells : Cells
        The leads by the criteria they meet.
    labels : mapping of target to Labels
        Settled labels.
    break_even : mapping of target to float
        Rate from which a lead is worth handing over.

    Returns
    -------
    tuple of MarginalProfile
        Of numbers and ordinals with one threshold, where at least 20 labelled leads pass everything else.
    """
    handoff = {c.address for k in definition.classes if definition.handed_over(k.name) for c in k.criteria()}
    attributes = definition.typed_attributes()
    points = compute_points(definition, frame) if definition.points else None
    profiles = []
    for criterion in definition.criteria():
        if criterion.address not in handoff or criterion.operator not in _DIRECTIONS:
            continue
        name = criterion.attribute or ""
        attribute = attributes[name]
        source = points if points is not None and name in points.columns else frame
        # An age that is worked out from a date has no column; its picture would need the day of each lead.
        if attribute.type not in {"number", "integer", "ordinal"} or name not in source.columns:
            continue
        values, labels_of_bins = _numbers(source[name], attribute)
        rest = cells.pivotal(criterion.address)[cells.cell] & ~np.isnan(values)
        scale = _Scale.of(criterion, attribute, values[rest], labels_of_bins)
        profiles += [
            _profile(criterion, target, scale, values, rest, labels[target], break_even[target])
            for target in TARGETS
            if np.count_nonzero(rest & labels[target].known) >= MIN_LEADS
        ]
    return tuple(profiles)


def _numbers(series: pd.Series[Any], attribute: Attribute) -> tuple[Floats, tuple[str, ...]]:
    """Return the values as numbers; an ordinal's levels become their positions."""
    if attribute.type == "ordinal":
        place = {level: float(position) for position, level in enumerate(attribute.levels)}
        return np.asarray(series.astype(object).map(place), dtype=np.float64), attribute.levels
    return np.asarray(series.to_numpy(dtype=float, na_value=nan), dtype=np.float64), ()


@dataclass(frozen=True, slots=True)
class _Scale:
    """Bins of an attribute: closed below and open above where the criterion asks for at least."""

    edges: Floats
    names: tuple[str, ...]
    threshold: float
    right: bool

    @classmethod
    def of(cls, criterion: Criterion, attribute: Attribute, values: Floats, levels: Sequence[str]) -> _Scale:
        right = criterion.operator in {"<=", ">"}
        written = criterion.values[0]  # noqa: PD011 - no frame
        if levels:
            place = float(list(levels).index(str(written)))
            edges = np.arange(-0.5, len(levels) + 0.5)
            shift = {">=": -0.5, "<=": 0.5, ">": 0.5, "<": -0.5}[str(criterion.operator)]
            return cls(edges, tuple(levels), place + shift, right)
        threshold = float(written)
        cuts = np.array([float(step) for step in attribute.steps] or _quantiles(values))
        cuts = np.unique(np.append(cuts, threshold))
        edges = np.concatenate([[-inf], cuts, [inf]])
        names = tuple(_interval(low, high, right) for low, high in pairwise(edges))
        return cls(edges, names, threshold, right)

    def place(self, values: Floats) -> NDArray[np.int64]:
        return np.searchsorted(self.edges[1:-1], values, side="left" if self.right else "right")


def _quantiles(values: Floats) -> Floats:
    if not len(values):
        return np.array([])
    return np.unique(np.round(np.quantile(values, np.linspace(0, 1, 9)[1:-1]), 6))


def _interval(low: float, high: float, right: bool) -> str:  # noqa: FBT001 - which end belongs to it
    if low == -inf:
        return f"{'≤' if right else '<'} {format_value(high)}"
    if high == inf:
        return f"{'>' if right else '≥'} {format_value(low)}"
    return f"{format_value(low)}–{format_value(high)}"


def _profile(
    criterion: Criterion,
    target: Target,
    scale: _Scale,
    values: Floats,
    rest: Mask,
    labels: Labels,
    break_even: float,
) -> MarginalProfile:
    direction = _DIRECTIONS[str(criterion.operator)]
    place = scale.place(np.where(rest, values, 0.0))
    size = len(scale.names)
    leads = np.bincount(place[rest], minlength=size)
    n = np.bincount(place[rest & labels.known], minlength=size)
    k = np.bincount(place[rest & labels.positive], minlength=size)
    low, high = clopper_pearson(k, n)
    rate = np.divide(k, n, out=np.full(size, nan), where=n > 0)
    middle_low, middle_high = scale.edges[:-1], scale.edges[1:]
    inside = middle_low >= scale.threshold if direction == "rising" else middle_high <= scale.threshold
    bins = pd.DataFrame(
        {
            "label": scale.names,
            "low": middle_low,
            "high": middle_high,
            "inside": inside,
            "n_leads": leads,
            "n": n,
            "rate": rate,
            "ci_low": np.where(n > 0, low, nan),
            "ci_high": np.where(n > 0, high, nan),
            "smooth": _smooth(k, n, rising=direction == "rising"),
        }
    )
    bins = bins[bins["n_leads"] > 0].reset_index(drop=True)
    ordered = bins if direction == "rising" else bins.iloc[::-1]
    reached = ordered[ordered["smooth"] >= break_even]
    return MarginalProfile(
        criterion=criterion.address,
        attribute=str(criterion.attribute),
        target=target,
        direction=direction,
        break_even=break_even,
        written=scale.threshold,
        bins=bins,
        crossing=str(reached["label"].iloc[0]) if len(reached) else "",
    )


def _smooth(k: NDArray[np.int64], n: NDArray[np.int64], *, rising: bool) -> Floats:
    """Pool adjacent bins until the rates only rise (or only fall)."""
    smooth = np.full(len(n), nan)
    known = n > 0
    if known.any():
        fitted = isotonic_regression(k[known] / n[known], weights=n[known].astype(float), increasing=rising)
        smooth[known] = fitted.x
    return smooth


def compute_band(
    profile: MarginalProfile, *, inside: bool, confidence_level: float
) -> tuple[str, int, float, float, float]:
    """Return label, n, rate and exact range of the labelled bin nearest to the threshold on one side."""
    side = profile.bins[(profile.bins["inside"] == inside) & (profile.bins["n"] > 0)]
    if side.empty:
        return "", 0, nan, nan, nan
    nearest_last = inside == (profile.direction == "falling")
    row = side.iloc[-1 if nearest_last else 0]
    n, rate = int(row["n"]), float(row["rate"])
    low, high = clopper_pearson(round(rate * n), n, confidence_level=confidence_level)
    return str(row["label"]), n, rate, float(low), float(high)

"""The dials of a what-if: attributes in bins, and what can be turned at each criterion."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._render import format_value
from leadml.definitions import Criterion, compute_points, evaluate_criteria, parse_criterion
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Definition
    from leadml.review._parts import Run

    Ints = NDArray[np.int64]

__all__ = [
    "Axis",
    "Choice",
    "Dial",
    "bins_at",
    "find_segment",
    "name_edge",
    "proposed_changes",
    "proposed_choices",
    "reduce_leads",
]

MAX_LEVELS = 12
MAX_SEGMENTS = 8
Edge = tuple[float, int]
"""A place on an axis of numbers: just below a value (0) or just above it (1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One attribute in bins; the last bin holds the leads without a value."""

    name: str
    unit: str
    edges: tuple[Edge, ...]
    labels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of bins, the one for missing values included."""
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """What can be turned at one criterion.

    Attributes
    ----------
    address, text : str
        The criterion.
    axis : int
        Which axis it tests.
    kind : {"threshold", "range", "levels", "fixed"}
        What the reader can do.
    places : tuple of int
        Positions of edges among which a threshold (or the lower end of a range) may move.
    upper_places : tuple of int
        The same for the upper end of a range.
    at, upper_at : int
        Written position in `places` and `upper_places`.
    proposed : int
        Proposed position; -1 if there is none.
    rising : bool
        Whether bins above the threshold meet it.
    bins : tuple of int
        Bins that meet it as written.
    missing : bool
        Whether leads without a value meet it.
    proposed_bins : tuple of int or None
        Bins that meet it as proposed.
    dropped : bool
        Whether the proposal strikes it out.
    sign : str
        The comparison as people write it.
    """

    address: str
    text: str
    axis: int
    kind: Literal["threshold", "range", "levels", "fixed"]
    places: tuple[int, ...] = ()
    upper_places: tuple[int, ...] = ()
    at: int = 0
    upper_at: int = 0
    proposed: int = -1
    rising: bool = True
    bins: tuple[int, ...]
    missing: bool
    proposed_bins: tuple[int, ...] | None = None
    dropped: bool = False
    sign: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where the dial of one criterion stands.

    Parameters
    ----------
    bins : tuple of int
        Bins that meet the criterion.
    used : bool, default True
        False strikes the criterion out.
    """

    bins: tuple[int, ...]
    used: bool = True


def proposed_choices(dials: Iterable[Dial]) -> tuple[Choice, ...]:
    """Return the dials as proposed."""
    return tuple(
        Choice(bins=d.bins if d.proposed_bins is None else d.proposed_bins, used=not d.dropped) for d in dials
    )


_TURNABLE = frozenset({"threshold", "level_added", "level_removed", "dropped"})


def proposed_changes(run: Run) -> dict[str, str | None]:
    """Return the proposed text of each criterion that a proposal touches; None where it is dropped."""
    if run.proposals is None:
        return {}
    changes: dict[str, str | None] = {}
    for entry in run.proposals.to_dict()["proposals"][:1]:
        addresses, proposed, kinds = (
            str(entry.get(key) or "").split(" + ") for key in ("criterion", "proposed", "kind")
        )
        if not set(kinds) <= _TURNABLE:
            return {}  # a criterion that is added has no dial yet
        for address, text, kind in zip(addresses, proposed, kinds, strict=False):
            changes[address] = None if kind == "dropped" else text
    return changes


def reduce_leads(
    run: Run, criteria: Sequence[Criterion], changes: Mapping[str, str | None], steps: int
) -> tuple[tuple[Axis, ...], tuple[Dial, ...], pd.DataFrame]:
    """Put the leads into the bins of the attributes that the criteria test."""
    definition, frame = run.definition, run.table.frame
    attributes = definition.typed_attributes()
    points = compute_points(definition, frame) if definition.points else None
    proposals = {address: _parse(text, attributes) for address, text in changes.items() if text is not None}
    names = list(dict.fromkeys(_axis_name(definition, frame, criterion) for criterion in criteria))
    names += [name for name in find_segment(definition, frame) if name not in names]
    met = evaluate_criteria(definition, frame)
    axes: list[Axis] = []
    columns: dict[str, Ints] = {}
    for number, name in enumerate(names):
        if name not in attributes:
            axes.append(_yes_or_no())
            columns[f"b{number}"] = met[name].to_numpy(dtype=np.int64)
            continue
        own = [c for c in criteria if c.attribute == name]
        own += [c for c in proposals.values() if c is not None and c.attribute == name]
        series = points[name] if points is not None and name in points.columns else frame[name]
        axis, columns[f"b{number}"] = _axis(attributes[name], series, own, steps)
        axes.append(axis)
    dials = tuple(
        _dial(c, names.index(_axis_name(definition, frame, c)), axes, proposals, changes) for c in criteria
    )
    return tuple(axes), dials, pd.DataFrame(columns)


def _yes_or_no() -> Axis:
    return Axis(name="", unit="", edges=(), labels=("does not meet it", "meets it", "not known"))


def _axis_name(definition: Definition, frame: pd.DataFrame, criterion: Criterion) -> str:
    """Return the attribute of a criterion, or its address where only "met or not" can be counted."""
    name = str(criterion.attribute)
    countable = name in frame.columns or name in {score.name for score in definition.points}
    return name if countable and definition.attribute(name).type != "date" else criterion.address


def _parse(text: str, attributes: Mapping[str, Attribute]) -> Criterion | None:
    try:
        return parse_criterion(text, attributes=attributes)
    except DefinitionError:
        return None


def find_segment(definition: Definition, frame: pd.DataFrame) -> list[str]:
    """Name the category by which figures are shown part by part, if there is one."""
    names = [attribute.name for attribute in definition.attributes if attribute.type == "category"]
    return [n for n in names if n in frame.columns and 2 <= frame[n].nunique() <= MAX_SEGMENTS][:1]


def _axis(
    attribute: Attribute, series: pd.Series[Any], own: Sequence[Criterion], steps: int
) -> tuple[Axis, Ints]:
    unit = attribute.unit or ""
    if attribute.type in {"number", "integer"}:
        values = series.to_numpy(dtype=float, na_value=np.nan)
        edges = _edges(attribute, own, values, steps)
        bins = np.zeros(len(values), dtype=np.int64)
        for value, above in edges:
            bins += values > value if above else values >= value
        bins[np.isnan(values)] = len(edges) + 1
        labels = (*_interval_names(edges), "not known")
        return Axis(name=attribute.name, unit=unit, edges=edges, labels=labels), bins
    codes, distinct = pd.factorize(series)  # each distinct value is looked at once
    texts = [_level(value, attribute) for value in distinct]
    frequent = [
        texts[i] for i in np.argsort(-np.bincount(codes[codes >= 0], minlength=len(texts)), kind="stable")
    ]
    levels = _levels(attribute, frequent, own)
    place = {level: position for position, level in enumerate(levels)}
    found = np.array([*(place.get(text, len(levels)) for text in texts), len(levels) + 1], dtype=np.int64)
    bins = found[codes]
    labels = (*levels, "other", "not known")
    return Axis(name=attribute.name, unit=unit, edges=(), labels=labels), bins


def _level(value: object, attribute: Attribute) -> str:
    if attribute.type == "boolean":
        return "yes" if bool(value) else "no"
    return format_value(value) if attribute.type == "date" else str(value)


def _levels(attribute: Attribute, frequent: Sequence[str], own: Sequence[Criterion]) -> tuple[str, ...]:
    if attribute.type == "boolean":
        return ("no", "yes")
    if attribute.levels and len(attribute.levels) <= MAX_LEVELS:
        return attribute.levels
    named = [str(value) for criterion in own for value in criterion.values]  # noqa: PD011 - no frame
    return tuple(dict.fromkeys([*named, *frequent]))[: max(MAX_LEVELS, len(set(named)))]


def _edges(
    attribute: Attribute, own: Sequence[Criterion], values: NDArray[np.float64], steps: int
) -> tuple[Edge, ...]:
    known = values[~np.isnan(values)]
    usual = [float(step) for step in attribute.steps]
    if not usual and len(known):
        usual = sorted({float(f"{q:.2g}") for q in np.quantile(known, np.linspace(0.05, 0.95, steps))})
    if len(usual) > steps:
        usual = [usual[i] for i in np.unique(np.linspace(0, len(usual) - 1, steps).round().astype(int))]
    edges: set[Edge] = set()
    for criterion in own:
        for side, value in _sides(criterion):
            edges |= {(step, side) for step in usual} | {(value, side)}
    return tuple(sorted(edges))


def _sides(criterion: Criterion) -> list[tuple[int, float]]:
    """Return each number of a criterion with the side on which its edge lies."""
    numbers = [float(value) for value in criterion.values]  # noqa: PD011 - no frame
    if criterion.operator in {">=", "<"}:
        return [(0, numbers[0])]
    if criterion.operator in {"<=", ">"}:
        return [(1, numbers[0])]
    if criterion.operator == "between":
        return [(0, numbers[0]), (1, numbers[1])]
    return [(side, number) for number in numbers for side in (0, 1)]


def name_edge(edge: Edge) -> str:
    """Name a place on an axis of numbers."""
    return f"{edge[0]:,.10g}"


def _interval_names(edges: Sequence[Edge]) -> tuple[str, ...]:
    names = [name_edge(edge) for edge in edges]
    if not names:
        return ("any",)
    between = [f"{low} to {high}" for low, high in pairwise(names)]
    return (f"under {names[0]}", *between, f"from {names[-1]}")


def _dial(
    criterion: Criterion,
    number: int,
    axes: Sequence[Axis],
    proposals: Mapping[str, Criterion | None],
    changes: Mapping[str, str | None],
) -> Dial:
    axis = axes[number]
    dropped = changes.get(criterion.address, "") is None
    if not axis.name:
        return Dial(
            address=criterion.address,
            text=criterion.text,
            axis=number,
            kind="fixed",
            bins=(1,),
            missing=False,
            dropped=dropped,
        )
    later = proposals.get(criterion.address)
    common: dict[str, Any] = {
        "address": criterion.address,
        "text": criterion.text,
        "axis": number,
        "bins": _meeting(criterion, axis),
        "missing": criterion.or_missing,
        "proposed_bins": None if later is None else _meeting(later, axis),
        "dropped": dropped,
        "sign": {">=": "≥", "<=": "≤"}.get(str(criterion.operator), str(criterion.operator)),
    }
    sides = _sides(criterion) if axis.edges else []
    if criterion.operator in {">=", "<", "<=", ">"} and sides:
        places = tuple(i for i, edge in enumerate(axis.edges) if edge[1] == sides[0][0])
        at = places.index(axis.edges.index((sides[0][1], sides[0][0])))
        proposed = -1
        if later is not None and later.operator == criterion.operator:
            proposed = places.index(axis.edges.index((_sides(later)[0][1], sides[0][0])))
        rising = criterion.operator in {">=", ">"}
        return Dial(**common, kind="threshold", places=places, at=at, proposed=proposed, rising=rising)
    if criterion.operator == "between" and sides:
        lower, upper = (tuple(i for i, e in enumerate(axis.edges) if e[1] == side) for side in (0, 1))
        at, upper_at = (
            places.index(axis.edges.index((value, side)))
            for places, (side, value) in zip((lower, upper), sides, strict=True)
        )
        return Dial(**common, kind="range", places=lower, upper_places=upper, at=at, upper_at=upper_at)
    return Dial(**common, kind="fixed" if axis.edges or criterion.operator in _KNOWN else "levels")


_KNOWN = frozenset({"is known", "is missing"})


def _meeting(criterion: Criterion, axis: Axis) -> tuple[int, ...]:
    """Return the bins that meet a criterion."""
    missing = axis.size - 1
    known = range(missing)
    operator = criterion.operator
    if operator == "is known":
        return tuple(known)
    if operator == "is missing":
        return (missing,)
    if axis.edges:
        met = [bin_ for bin_ in known if _meets_number(criterion, axis, bin_)]
    else:
        met = [bin_ for bin_ in known if _meets_level(criterion, axis, bin_)]
    return (*met, missing) if criterion.or_missing else tuple(met)


def _meets_number(criterion: Criterion, axis: Axis, bin_: int) -> bool:
    numbers = [float(value) for value in criterion.values]  # noqa: PD011 - no frame
    place = {edge: position for position, edge in enumerate(axis.edges)}
    if criterion.operator in {">=", ">"}:
        return bin_ > place[numbers[0], int(criterion.operator == ">")]
    if criterion.operator in {"<=", "<"}:
        return bin_ <= place[numbers[0], int(criterion.operator == "<=")]
    if criterion.operator == "between":
        return place[numbers[0], 0] < bin_ <= place[numbers[1], 1]
    inside = any(place[number, 0] < bin_ <= place[number, 1] for number in numbers)
    return inside if criterion.operator in {"=", "in"} else not inside


def _meets_level(criterion: Criterion, axis: Axis, bin_: int) -> bool:
    level = axis.labels[bin_]
    other = bin_ == axis.size - 2
    if criterion.operator in {"is true", "is false"}:
        return not other and level == ("yes" if criterion.operator == "is true" else "no")
    named = ["yes" if v is True else "no" if v is False else str(v) for v in criterion.values]  # noqa: PD011
    if criterion.operator in {"=", "in"}:
        return not other and level in named
    if criterion.operator in {"!=", "not in"}:
        return other or level not in named
    if other or named[0] not in axis.labels:
        return False
    place = axis.labels.index(named[0])
    if criterion.operator == "between":
        return place <= bin_ <= axis.labels.index(named[1])
    compared = {">=": bin_ >= place, ">": bin_ > place, "<=": bin_ <= place, "<": bin_ < place}
    return compared[str(criterion.operator)]


def bins_at(dial: Dial, axis: Axis, position: int, upper: int | None) -> tuple[int, ...]:
    """Return the bins that meet a threshold at a position."""
    missing = axis.size - 1
    edge = dial.places[position]
    if dial.kind == "range":
        top = dial.upper_places[dial.upper_at if upper is None else upper]
        met = [bin_ for bin_ in range(missing) if edge < bin_ <= top]
    elif dial.rising:
        met = [bin_ for bin_ in range(missing) if bin_ > edge]
    else:
        met = [bin_ for bin_ in range(missing) if bin_ <= edge]
    return (*met, missing) if dial.missing else tuple(met)

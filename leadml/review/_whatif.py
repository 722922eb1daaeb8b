"""What if a threshold moved: counts of groups of leads that a page can add up at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._render import (
    format_count,
    format_money,
    format_value,
    render_template,
)
from leadml.definitions import (
    Criterion,
    compute_points,
    compute_won_prices,
    evaluate_criteria,
    parse_criterion,
)
from leadml.errors import DefinitionError
from leadml.review._figures import (
    ENOUGH_KNOWN,
    SMALLEST_GROUP,
    compute_value,
    count_figure,
    say_few,
    wilson_range,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Definition, Group
    from leadml.review._parts import Run

    Ints = NDArray[np.int64]

__all__ = ["Choice", "Outlook", "WhatIf", "build_what_if"]

MAX_CELLS = 20_000
MAX_CUTS = 12
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a definition would do, in numbers and as the page writes them.

    Expected numbers (``accepted_count``, ``won_count``, ``value``) take the leads without an answer to be
    like those with one; they are empty where most have none. ``missed`` are won deals among the other leads.
    """

    n_handed_over: int
    n_accepted_known: int
    n_accepted: int
    n_won_known: int
    n_won: int
    n_missed: int
    leads: str
    accepted: str
    won: str
    accepted_count: str
    won_count: str
    missed: str
    missed_share: str
    value: str
    segments: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIf:
    """Counts of groups of leads by the bins of the definition's attributes.

    Attributes
    ----------
    axes : tuple of Axis
        The attributes.
    dials : tuple of Dial
        One per measurable criterion that bears on the handoff.
    classes : tuple of dict
        The rules, with criteria as positions in `dials`.
    cells : DataFrame
        One row per group of at least five leads: its bin on each axis, ``n``, and the leads with a settled
        verdict (``accepted_known``, ``accepted``) and outcome (``won_known``, ``won``, ``worth``).
    months : float or None
        Time that the leads cover.
    cost : float or None
        Of working a lead.
    price : float or None
        Worth of a win where none was won.
    currency : str or None
    capacity : float or None
        Leads a month that Sales can work.
    segment : int
        Axis shown part by part; -1 for none.
    n_left_out : int
        Leads in groups too small to be shown.
    """

    axes: tuple[Axis, ...]
    dials: tuple[Dial, ...]
    classes: tuple[dict[str, Any], ...] = field(repr=False)
    cells: pd.DataFrame = field(repr=False)
    months: float | None
    cost: float | None
    price: float | None
    currency: str | None
    capacity: float | None
    segment: int
    n_left_out: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per group of leads."""
        return self.cells.copy()

    def written(self) -> tuple[Choice, ...]:
        """Return the dials as written."""
        return tuple(Choice(bins=dial.bins) for dial in self.dials)

    def proposed(self) -> tuple[Choice, ...]:
        """Return the dials as proposed."""
        return _as_proposed(self.dials)

    def turn(self, address: str, position: int, *, upper: int | None = None) -> tuple[Choice, ...]:
        """Return the written dials with one threshold moved to a position among its places."""
        choices = list(self.written())
        for number, dial in enumerate(self.dials):
            if dial.address == address:
                choices[number] = Choice(bins=_bins_at(dial, self.axes[dial.axis], position, upper))
        return tuple(choices)

    def evaluate(self, choices: Sequence[Choice]) -> Outlook:
        """Add up the groups of leads that would go to Sales.

        Parameters
        ----------
        choices : sequence of Choice
            One per dial.

        Returns
        -------
        Outlook
        """
        handed = _handed_over(self.classes, self.cells, self.dials, choices)
        return _look_out(self, handed)

    def _repr_html_(self) -> str:
        return str(self.render_widget())

    def render_widget(self) -> Markup:
        """Return the what-if as a frame for a notebook: a page of its own that asks nobody for anything."""
        from markupsafe import Markup

        style = "width:100%;height:46rem;border:1px solid #8884"
        frame = Markup('<iframe title="What if" style="{}" sandbox="allow-scripts" srcdoc="{}"></iframe>')
        return frame.format(style, self.to_page())

    def to_page(self) -> str:
        """Return the what-if as a page of its own, which asks nobody for anything."""
        page = render_template(
            "leadml.review",
            "whatif_page.html",
            what_if=self.to_payload(),
            script=read_script(),
            hash=hash_script(),
        )
        return str(page)

    def to_payload(self) -> dict[str, Any]:
        """Return what the page needs, as plain values."""
        columns = [f"b{number}" for number in range(len(self.axes))]
        counts = ["n", "accepted_known", "accepted", "won_known", "won", "worth"]
        return {
            "axes": [{"name": a.name, "unit": a.unit, "labels": list(a.labels)} for a in self.axes],
            "dials": [
                {
                    "address": d.address,
                    "text": d.text,
                    "axis": d.axis,
                    "kind": d.kind,
                    "places": list(d.places),
                    "names": [_edge_name(self.axes[d.axis].edges[p]) for p in d.places],
                    "upperPlaces": list(d.upper_places),
                    "upperNames": [_edge_name(self.axes[d.axis].edges[p]) for p in d.upper_places],
                    "at": d.at,
                    "upperAt": d.upper_at,
                    "proposed": d.proposed,
                    "rising": d.rising,
                    "bins": list(d.bins),
                    "missing": d.missing,
                    "proposedBins": None if d.proposed_bins is None else list(d.proposed_bins),
                    "dropped": d.dropped,
                    "sign": d.sign,
                }
                for d in self.dials
            ],
            "classes": list(self.classes),
            "cells": {name: self.cells[name].tolist() for name in (*columns, *counts)},
            "months": self.months,
            "cost": self.cost,
            "price": self.price,
            "currency": self.currency,
            "capacity": self.capacity,
            "segment": self.segment,
            "turned": any(d.proposed_bins is not None or d.dropped for d in self.dials),
            "smallest": SMALLEST_GROUP,
        }


def _as_proposed(dials: Iterable[Dial]) -> tuple[Choice, ...]:
    return tuple(
        Choice(bins=d.bins if d.proposed_bins is None else d.proposed_bins, used=not d.dropped) for d in dials
    )


# ---- building ------------------------------------------------------------------------------------


def build_what_if(run: Run) -> WhatIf | None:
    """Count the leads of a run by the bins of its definition's attributes.

    Groups of under five leads are joined with their neighbours, never across what the written and the
    proposed definition do, so both stay exact; with other settings a joined group goes where its largest
    part goes.

    Parameters
    ----------
    run : Run
        A run that compared the definition with the leads.

    Returns
    -------
    WhatIf or None
        None if there is nothing to turn.
    """
    if run.comparison is None or not len(run.table.frame):
        return None
    definition = run.definition
    changes = _changes(run)
    handing = [i for i, c in enumerate(definition.classes) if definition.handed_over(c.name)]
    before = definition.classes[: max(handing, default=-1) + 1]
    criteria = [c for lead_class in before for c in lead_class.criteria() if c.measurable]
    if not criteria:
        return None
    steps = MAX_CUTS
    while True:
        axes, dials, table = _reduce(run, criteria, changes, steps)
        rows = len(table.drop_duplicates())
        if rows <= MAX_CELLS or steps <= 2:
            break
        steps -= 2
    classes = _classes(definition, dials)
    cells, left_out = _count(run, axes, dials, classes, table)
    names = [axis.name for axis in axes]
    segment = next((names.index(name) for name in _segment(definition, run.table.frame) if name in names), -1)
    prices = definition.prices
    goal = getattr(run.experiment, "goal", None)
    return WhatIf(
        axes=axes,
        dials=dials,
        classes=classes,
        cells=cells,
        months=run.comparison.months,
        cost=None if prices.worked_lead is None else float(prices.worked_lead),
        price=None if prices.won_default is None else float(prices.won_default),
        currency=prices.currency,
        capacity=getattr(goal, "capacity", None),
        segment=segment,
        n_left_out=left_out,
    )


_TURNABLE = frozenset({"threshold", "level_added", "level_removed", "dropped"})


def _changes(run: Run) -> dict[str, str | None]:
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


def _reduce(
    run: Run, criteria: Sequence[Criterion], changes: Mapping[str, str | None], steps: int
) -> tuple[tuple[Axis, ...], tuple[Dial, ...], pd.DataFrame]:
    definition, frame = run.definition, run.table.frame
    attributes = definition.typed_attributes()
    points = compute_points(definition, frame) if definition.points else None
    proposals = {address: _parse(text, attributes) for address, text in changes.items() if text is not None}
    names = list(dict.fromkeys(_axis_name(definition, frame, criterion) for criterion in criteria))
    names += [name for name in _segment(definition, frame) if name not in names]
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


def _segment(definition: Definition, frame: pd.DataFrame) -> list[str]:
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


def _edge_name(edge: Edge) -> str:
    return f"{edge[0]:,.10g}"


def _interval_names(edges: Sequence[Edge]) -> tuple[str, ...]:
    names = [_edge_name(edge) for edge in edges]
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


def _bins_at(dial: Dial, axis: Axis, position: int, upper: int | None) -> tuple[int, ...]:
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


# ---- counting ------------------------------------------------------------------------------------


def _classes(definition: Definition, dials: Sequence[Dial]) -> tuple[dict[str, Any], ...]:
    place = {dial.address: number for number, dial in enumerate(dials)}

    def node(group: Group) -> dict[str, Any]:
        members = [
            ({"dial": place.get(member.address, -1)} if isinstance(member, Criterion) else node(member))
            for member in group.members
        ]
        return {"kind": group.kind, "k": group.k, "members": members}

    classes: list[dict[str, Any]] = []
    for lead_class in definition.classes:
        rule = None if lead_class.rule is None else node(lead_class.rule)
        handed = definition.handed_over(lead_class.name)
        classes.append({"name": lead_class.name, "handed": handed, "rule": rule})
        if all(not definition.handed_over(c.name) for c in definition.classes[len(classes) :]):
            break
    return tuple(classes)


def _handed_over(
    classes: Iterable[Mapping[str, Any]],
    cells: pd.DataFrame,
    dials: Sequence[Dial],
    choices: Sequence[Choice],
) -> NDArray[np.bool_]:
    n = len(cells)
    met: list[NDArray[np.bool_] | None] = []
    for dial, choice in zip(dials, choices, strict=True):
        bins = np.isin(cells[f"b{dial.axis}"].to_numpy(), choice.bins)
        met.append(bins if choice.used else None)

    def passes(node: Mapping[str, Any]) -> NDArray[np.bool_] | None:
        masks = []
        for member in node["members"]:
            if "dial" in member:
                mask = met[member["dial"]] if member["dial"] >= 0 else np.zeros(n, dtype=np.bool_)
            else:
                mask = passes(member)
            if mask is not None:
                masks.append(mask)
        if not masks:
            return None
        needed = {"all_of": len(masks), "any_of": 1}.get(node["kind"], min(node["k"], len(masks)))
        return np.asarray(np.sum(masks, axis=0) >= needed, dtype=np.bool_)

    free, handed = np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for entry in classes:
        taken = None if entry["rule"] is None else passes(entry["rule"])
        here = free if taken is None else free & taken
        if entry["handed"]:
            handed |= here
        free = free & ~here
    return handed


_COUNTS = ("n", "accepted_known", "accepted", "won_known", "won", "worth")


def _count(
    run: Run,
    axes: Sequence[Axis],
    dials: Sequence[Dial],
    classes: Sequence[Mapping[str, Any]],
    table: pd.DataFrame,
) -> tuple[pd.DataFrame, int]:
    table = table.assign(n=1)
    for target in ("accepted", "won"):
        value = run.targets[target].to_numpy(dtype=float, na_value=np.nan)
        known = ~np.isnan(value) & run.targets[f"{target}_mature"].to_numpy(dtype=bool)
        table[f"{target}_known"] = known.astype(np.int64)
        table[target] = (known & (value == 1)).astype(np.int64)
    table["worth"] = 0.0
    if run.definition.prices.won_default is not None:
        prices = np.asarray(compute_won_prices(run.definition, run.table.frame), dtype=np.float64)
        table["worth"] = np.where(table["won"] == 1, prices, 0.0)
    keys = [f"b{number}" for number in range(len(axes))]
    cells = table.groupby(keys, sort=True, as_index=False)[list(_COUNTS)].sum()
    plain = tuple(Choice(bins=dial.bins) for dial in dials)
    later = _as_proposed(dials)
    block = 2 * _handed_over(classes, cells, dials, plain) + _handed_over(classes, cells, dials, later)
    return _join_small(cells, block.astype(np.int64), keys)


def _join_small(cells: pd.DataFrame, block: Ints, keys: list[str]) -> tuple[pd.DataFrame, int]:
    """Join cells of under five leads with their neighbours in the same block."""
    order = np.lexsort([*(cells[key].to_numpy() for key in reversed(keys)), block])
    n = cells["n"].to_numpy()
    groups: list[list[int]] = []
    sizes: list[int] = []
    for row in order:
        same = bool(groups) and block[groups[-1][0]] == block[row]
        if same and (sizes[-1] < SMALLEST_GROUP or n[row] < SMALLEST_GROUP):
            groups[-1].append(int(row))
            sizes[-1] += int(n[row])
        else:
            groups.append([int(row)])
            sizes.append(int(n[row]))
    label = np.empty(len(cells), dtype=np.int64)
    for number, rows in enumerate(groups):
        label[rows] = number
    joined = cells.groupby(label)[list(_COUNTS)].sum()
    largest = [rows[int(np.argmax(n[rows]))] for rows in groups]
    places = cells.loc[largest, keys].reset_index(drop=True)
    joined = pd.concat([places, joined.reset_index(drop=True)], axis=1)
    big = joined["n"] >= SMALLEST_GROUP
    return joined[big].reset_index(drop=True), int(joined.loc[~big, "n"].sum())


# ---- looking out ---------------------------------------------------------------------------------


def _say_rate(k: int, n: int) -> str:
    return "nobody knows" if n == 0 else count_figure(k, n).line


def _say_expected(k: int, known: int, n: int, months: float | None) -> str:
    """Say how many of `n` leads would be accepted or won, if those without an answer are like the rest."""
    if known < SMALLEST_GROUP or known < ENOUGH_KNOWN * n:
        return ""
    scale = months or 1.0
    best, low, high = (format_count(n * rate / scale) for rate in (k / known, *wilson_range(k, known)))
    return f"about {best} ({low} to {high}){' a month' if months else ''}"


def _look_out(what_if: WhatIf, handed: NDArray[np.bool_]) -> Outlook:
    cells = what_if.cells
    total = {name: float(cells.loc[handed, name].sum()) for name in _COUNTS}
    n, known, won = int(total["n"]), int(total["won_known"]), int(total["won"])
    missed, others = int(cells["won"].sum()) - won, int(cells["won_known"].sum()) - known
    scale = what_if.months or 1.0
    return Outlook(
        n_handed_over=n,
        n_accepted_known=int(total["accepted_known"]),
        n_accepted=int(total["accepted"]),
        n_won_known=known,
        n_won=won,
        n_missed=missed,
        leads=format_count(n / scale) if n == 0 or n >= SMALLEST_GROUP else "too few",
        accepted=_say_rate(int(total["accepted"]), int(total["accepted_known"])),
        won=_say_rate(won, known),
        accepted_count=_say_expected(int(total["accepted"]), int(total["accepted_known"]), n, what_if.months),
        won_count=_say_expected(won, known, n, what_if.months),
        missed=say_few(missed) if others >= SMALLEST_GROUP else "nobody knows",
        missed_share=_say_missed(missed, others),
        value=_say_value(what_if, n, known, won, total["worth"]),
        segments=_segments(what_if, handed),
    )


def _say_missed(missed: int, others: int) -> str:
    """Say the share won of the other leads with an answer; nothing where it would tell of a small group."""
    hidden = others < SMALLEST_GROUP or 0 < missed < SMALLEST_GROUP
    return "" if hidden else _say_rate(missed, others)


def _say_value(what_if: WhatIf, n: int, known: int, won: int, worth: float) -> str:
    if what_if.cost is None or what_if.price is None:
        return "no price is signed"
    found = compute_value(n, known, won, worth=worth, price=what_if.price, cost=what_if.cost)
    if found is None:
        return "nobody knows: too few of these leads have an answer"
    scale = what_if.months or 1.0
    best, low, high = (format_money(end / scale, currency=what_if.currency) for end in found)
    return f"{best} ({low} to {high})"


def _segments(what_if: WhatIf, handed: NDArray[np.bool_]) -> tuple[tuple[str, str, str, str], ...]:
    if what_if.segment < 0:
        return ()
    cells = what_if.cells
    rows = []
    place = cells[f"b{what_if.segment}"].to_numpy()
    for number, label in enumerate(what_if.axes[what_if.segment].labels):
        part = cells[handed & (place == number)]
        n = int(part["n"].sum())
        if not (place == number).any():
            continue
        rows.append(
            (
                label,
                say_few(n),
                _say_rate(int(part["accepted"].sum()), int(part["accepted_known"].sum())),
                _say_rate(int(part["won"].sum()), int(part["won_known"].sum())),
            )
        )
    return tuple(rows)


# ---- the page ------------------------------------------------------------------------------------


def read_script() -> Markup:
    """Return the script of the page."""
    from importlib.resources import files

    from markupsafe import Markup

    # A file of this package, written by us.
    return Markup((files("leadml.review") / "templates" / "whatif.js").read_text(encoding="utf-8"))  # noqa: S704


def hash_script() -> str:
    """Return the script's hash as a content security policy names it."""
    import base64
    import hashlib

    digest = hashlib.sha256(str(read_script()).encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"

"""The alternatives of each criterion: thresholds on round steps, levels in and out, dropped.

A dial holds a criterion, its alternatives and a table that says which bin of its attribute's values passes
which alternative. A lead is then no more than one bin number per dial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.definitions import (
    Change,
    Criterion,
    compute_points,
    criterion_mask,
    format_criterion,
    points_scale,
)
from leadml.propose._rules import count_deciding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from numpy.typing import NDArray

    from leadml.definitions import Attribute, ChangeKind, Definition, Group, PointRule, PointScore

__all__ = [
    "Alternative",
    "Bins",
    "Dial",
    "build_added_dials",
    "build_dials",
    "make_steps",
    "rate_roundness",
    "say_points",
]

Operator = Literal["<", "<=", ">", ">=", "not in", "is true", "is false"]

_ORDERED = frozenset({"<", "<=", ">", ">="})
_MAX_RULES = 6
_MOVED_RATHER = 2  # where another threshold does as well as other points, it is simpler
_ROUND_POINTS = ("1", "1.5", "2", "2.5", "3", "4", "5")
_AT_LEAST_AT_MOST: tuple[Operator, Operator] = (">=", "<=")
_MAX_STEPS = 40
_MAX_LEVELS = 60
_TABLE_SIZE = 100_000
_FEW_VALUES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One other way to write a criterion.

    Attributes
    ----------
    kind : str
        As in `leadml.definitions.Change`.
    proposed : str or None
        The criterion in the definition's words; None where it is dropped.
    roundness : int
        0 for the roundest numbers and declared steps, more for less round ones.
    distance : int
        Steps away from what is written.
    address, written : str
        Of a rule of points that would count differently, and what it counts today.
    """

    kind: ChangeKind
    proposed: str | None
    roundness: int = 0
    distance: int = 1
    address: str = ""
    written: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """How a lead's bin follows from its attributes; the same in Python and in SQL.

    Attributes
    ----------
    attribute : str
        Whose value is cut: bin 2i + 1 at edge i, even numbers between and beyond, the last one where the
        value is missing.
    edges : tuple of float
        Ascending.
    levels : tuple of str
        Texts stand for their place among the levels, another text for -1 (`others` "apart") or for a
        missing value ("missing").
    scale : int
        Points are multiplied by it and rounded before they are cut, which makes them whole.
    rules : tuple of Criterion
        One bit each is appended to the bin: whether the criterion is met.
    """

    attribute: str = ""
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    others: Literal["apart", "missing"] = "apart"
    scale: int = 1
    rules: tuple[Criterion, ...] = ()

    @property
    def n(self) -> int:
        """Number of bins."""
        cut = 2 * len(self.edges) + 2 if self.attribute else 1
        return cut << len(self.rules)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dial:
    """A criterion that may be turned.

    Attributes
    ----------
    address : str
        Of the criterion.
    written : str
        The criterion in the definition's words.
    alternatives : tuple of Alternative
    passes : ndarray of bool of shape (1 + n_alternatives, n_bins)
        Row 0 is the written criterion.
    codes : ndarray of shape (n_leads,)
        The bin of every lead.
    bins : Bins
        How finer bins follow from a lead's attributes.
    merge : ndarray of shape (bins.n,)
        The bin that holds each of the finer ones.
    fixed : str
        Why there is no alternative, if there is none.
    group : str
        Of a criterion that is not written yet: the group it would be added to.
    stands_in : tuple of (str, int)
        Address of the group of a written criterion, and how many members that group can do without.
    """

    address: str
    written: str
    alternatives: tuple[Alternative, ...]
    passes: NDArray[np.bool_]
    codes: NDArray[np.uint16]
    bins: Bins = field(default_factory=Bins)
    merge: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(1, np.uint16))
    fixed: str = ""
    group: str = ""
    stands_in: tuple[str, int] = ("", 0)

    def change(self, number: int) -> Change:
        """Return alternative `number` (1 is the first) as a change of the definition."""
        chosen = self.alternatives[number - 1]
        if self.group:
            return Change(address=self.group, kind="added", written="", proposed=chosen.proposed)
        return Change(
            address=chosen.address or self.address,
            kind=chosen.kind,
            written=chosen.written or self.written,
            proposed=chosen.proposed,
        )

    def drops(self, number: int) -> bool:
        """Whether alternative `number` drops the criterion."""
        return self.alternatives[number - 1].kind == "dropped"

    def bits(self, number: int = 0) -> NDArray[np.bool_]:
        """Return which leads pass the written criterion (0) or an alternative."""
        return np.asarray(self.passes[number][self.codes])


def build_dials(
    definition: Definition,
    rule: Group,
    leads: pd.DataFrame,
    *,
    sample: NDArray[np.bool_],
    as_of: date | None = None,
) -> tuple[Dial, ...]:
    """Build the dials of one class.

    Parameters
    ----------
    definition : Definition
    rule : Group
        The class's rule.
    leads : DataFrame of shape (n_leads, …)
    sample : ndarray of bool of shape (n_leads,)
        The leads whose quantiles bound the steps (the older quarters).
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    tuple of Dial
        One per criterion, in the order of the file. Prose is met by nobody and has no alternative.
    """
    return tuple(
        _build_dial(definition, criterion, group, leads, sample, as_of) for criterion, group in _walk(rule)
    )


def build_added_dials(
    definition: Definition,
    rule: Group,
    leads: pd.DataFrame,
    *,
    sample: NDArray[np.bool_],
) -> tuple[Dial, ...]:
    """Build a dial for each attribute that is declared but that the class does not use.

    Only an all-of rule can ask for one thing more: a boolean or its opposite, a number from or up to a step,
    a level of an ordinal or more, any level of a category but one. What is known only after the handoff is
    left out.

    Returns
    -------
    tuple of Dial
        Written: everybody passes.
    """
    if rule.kind != "all_of":
        return ()
    used = {criterion.attribute for criterion, _ in _walk(rule)}
    return tuple(
        dial
        for attribute in definition.attributes
        if attribute.name not in used and attribute.known_at != "after" and attribute.name in leads.columns
        for dial in (_added_dial(attribute, definition, rule, leads, sample),)
        if dial is not None
    )


def _added_dial(
    attribute: Attribute, definition: Definition, rule: Group, leads: pd.DataFrame, sample: NDArray[np.bool_]
) -> Dial | None:
    name = attribute.name
    tests: list[tuple[Operator, tuple[Decimal | str, ...]]] = []
    if attribute.is_numeric and attribute.age_of is None:
        values = _numbers(definition, attribute, leads, None)
        steps = attribute.steps or make_steps(values[sample], integer=attribute.type == "integer")
        tests = [(operator, (step,)) for operator in _AT_LEAST_AT_MOST for step in steps]
    elif attribute.type == "ordinal":
        tests = [(">=", (level,)) for level in attribute.levels[1:]]
    elif attribute.type == "category":
        attribute = replace(attribute, levels=_frequent(attribute, leads, sample))
        tests = [("not in", (level,)) for level in attribute.levels]
    elif attribute.type == "boolean":
        tests = [("is true", ()), ("is false", ())]
    if not tests:
        return None
    address = f"{rule.address}.{name}"
    criteria = [
        replace(criterion, text=format_criterion(criterion))
        for criterion in (
            Criterion(address=address, attribute=name, operator=operator, values=wanted, text="")
            for operator, wanted in tests
        )
    ]
    raw, table, bins = _tabulate(criteria, attribute, definition, leads, None)
    codes, table, merge = _merge_bins(raw, np.vstack([np.ones(table.shape[1], bool), table]))
    alternatives = tuple(
        Alternative(kind="added", proposed=criterion.text, roundness=_rate(attribute, criterion))
        for criterion in criteria
    )
    return Dial(
        address=address,
        written="",
        alternatives=alternatives,
        passes=table,
        codes=codes,
        bins=bins,
        merge=merge,
        group=rule.address,
    )


def _rate(attribute: Attribute, criterion: Criterion) -> int:
    step = criterion.values[0] if criterion.values else None  # noqa: PD011
    return 0 if attribute.steps or not isinstance(step, Decimal) else rate_roundness(step)


def _walk(group: Group) -> Iterator[tuple[Criterion, Group]]:
    """Yield each criterion with the group it stands in."""
    for member in group.members:
        if isinstance(member, Criterion):
            yield member, group
        else:
            yield from _walk(member)


def _spare(group: Group) -> int:
    """Return how many members a group can do without."""
    return len(group.members) - (1 if group.kind == "all_of" else max(group.k, 1))


def _build_dial(
    definition: Definition,
    criterion: Criterion,
    group: Group,
    leads: pd.DataFrame,
    sample: NDArray[np.bool_],
    as_of: date | None,
) -> Dial:
    words = format_criterion(criterion)
    if not criterion.measurable or criterion.attribute is None:
        return Dial(
            address=criterion.address,
            written=words,
            alternatives=(),
            passes=np.zeros((1, 1), bool),
            codes=np.zeros(len(leads), np.uint16),
            fixed="it is not measurable: nobody can say which leads meet it",
        )
    attribute = definition.attribute(criterion.attribute)
    score = next((score for score in definition.points if score.name == attribute.name), None)
    moved: list[tuple[Criterion, Alternative]] = []
    if criterion.operator in _ORDERED or criterion.operator == "between":
        if attribute.is_numeric and attribute.age_of is None:
            values = _numbers(definition, attribute, leads, as_of)
            moved = list(_moved_numbers(criterion, attribute, values[sample]))
        elif attribute.type == "ordinal":
            moved = list(_moved_levels(criterion, attribute))
    elif criterion.operator in {"in", "not in", "=", "!="} and attribute.type in {"category", "ordinal"}:
        written = tuple(str(value) for value in criterion.values)  # noqa: PD011
        levels = tuple(dict.fromkeys([*_frequent(attribute, leads, sample), *written]))
        moved = list(_moved_sets(criterion, levels))
        attribute = replace(attribute, type="category", levels=levels)
    alternatives = [alternative for _, alternative in moved]
    if not moved:
        raw = criterion_mask(criterion, leads, definition=definition, as_of=as_of).astype(np.uint16)
        table, bins = np.array([[False, True]]), Bins(rules=(criterion,))
    elif score is not None:
        weighed = _weighed_rules(definition, criterion, score)
        raw, table, bins = _tabulate_points(
            [criterion, *(item for item, _ in moved)], score, weighed, definition, leads, as_of
        )
        alternatives += [alternative for _, _, alternative in weighed]
    else:
        raw, table, bins = _tabulate(
            [criterion, *(item for item, _ in moved)], attribute, definition, leads, as_of
        )
    if _spare(group) > 0:
        # In an all-of group a dropped member is as if always met; elsewhere as if never met.
        table = np.vstack([table, np.full(table.shape[1], group.kind == "all_of")])
        alternatives.append(Alternative(kind="dropped", proposed=None, distance=_MAX_STEPS))
    codes, table, merge = _merge_bins(raw, table)
    return Dial(
        address=criterion.address,
        written=words,
        alternatives=tuple(alternatives),
        passes=table,
        codes=codes,
        bins=bins,
        merge=merge,
        fixed="" if alternatives else "it has no other step and its group needs it",
        stands_in=(group.address, _spare(group)),
    )


def _merge_bins(
    raw: NDArray[np.uint16], table: NDArray[np.bool_]
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], NDArray[np.uint16]]:
    """Join the bins that no alternative tells apart."""
    kept, inverse = np.unique(table, axis=1, return_inverse=True)
    merge = inverse.ravel().astype(np.uint16)
    return merge[raw], np.ascontiguousarray(kept), merge


# -- values ------------------------------------------------------------------------------------------------


def _numbers(
    definition: Definition, attribute: Attribute, leads: pd.DataFrame, as_of: date | None
) -> NDArray[np.float64]:
    if any(score.name == attribute.name for score in definition.points):
        return compute_points(definition, leads, as_of=as_of)[attribute.name].to_numpy(np.float64)
    return leads[attribute.name].to_numpy(dtype=np.float64, na_value=np.nan)


def _values(
    bins: Bins, attribute: Attribute, definition: Definition, leads: pd.DataFrame, as_of: date | None
) -> NDArray[np.float64]:
    """Return what is cut: numbers, or the places of texts among the levels."""
    if not bins.levels:
        return _numbers(definition, attribute, leads, as_of)
    column = leads[attribute.name]
    if attribute.type == "boolean":
        return np.asarray(column.astype("boolean").to_numpy(dtype=np.float64, na_value=np.nan), np.float64)
    places = _positions(bins.levels, column)
    return np.where((places < 0) & (bins.others == "missing"), np.nan, places)


def _positions(levels: tuple[str, ...], column: pd.Series[Any]) -> NDArray[np.float64]:
    """Return the place of each text among the levels; -1 for another text, NaN for a missing one."""
    ranks = {level: float(position) for position, level in enumerate(levels)}
    coded = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    places = [ranks.get(str(text), -1.0) for text in coded.cat.categories]
    return np.array([*places, np.nan])[coded.cat.codes.to_numpy()]


def _frequent(attribute: Attribute, leads: pd.DataFrame, sample: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the declared levels, else the frequent ones of the older quarters."""
    if attribute.levels:
        return attribute.levels
    counts = leads[attribute.name][sample].dropna().astype(str).value_counts()
    frequent = counts[counts >= max(20, 0.005 * counts.sum())]
    return tuple(sorted(frequent.index, key=lambda level: (-int(frequent[level]), level))[:_MAX_LEVELS])


def _tabulate(
    criteria: list[Criterion],
    attribute: Attribute,
    definition: Definition,
    leads: pd.DataFrame,
    as_of: date | None,
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], Bins]:
    """Cut an attribute's values at everything the criteria mention: at, between and beyond; missing last."""
    ranks = {level: position for position, level in enumerate(attribute.levels)}
    if attribute.type == "boolean":
        ranks = {"False": 0, "True": 1}
    cuts = {_as_number(value, ranks) for criterion in criteria for value in criterion.values}  # noqa: PD011
    edges = tuple(sorted(cuts)) if attribute.type != "boolean" else (0.0, 1.0)
    bins = Bins(
        attribute=attribute.name,
        edges=edges,
        levels=() if attribute.is_numeric else tuple(ranks),
        others="missing" if attribute.type == "ordinal" else "apart",
    )
    raw = _cut(_values(bins, attribute, definition, leads, as_of), np.array(edges))
    samples = _samples(edges)
    table = np.array([[*_meets(criterion, samples, ranks), criterion.or_missing] for criterion in criteria])
    return raw, table, bins


def _samples(edges: tuple[float, ...]) -> NDArray[np.float64]:
    """Return one value for each bin but the last: below the first edge, at it, between and so on."""
    at = np.array(edges)
    samples = np.empty(2 * len(at) + 1)
    samples[1::2] = at
    samples[0], samples[-1] = at[0] - 1, at[-1] + 1
    samples[2:-1:2] = (at[:-1] + at[1:]) / 2
    return samples


# -- points ------------------------------------------------------------------------------------------------


def _weighed_rules(
    definition: Definition, criterion: Criterion, score: PointScore
) -> list[tuple[int, Decimal, Alternative]]:
    """Return the other points that each rule of a score might earn: rule, points, in words.

    Only where nothing but this criterion uses the score, so that no other class changes with it. Points that
    fade stay as they are.
    """
    deciding = definition.classes[: count_deciding(definition)]
    others = [other for lead_class in deciding for other in lead_class.criteria()]
    others += [price for price, _ in definition.prices.won_by]
    if any(other.attribute == score.name and other.address != criterion.address for other in others):
        return []
    steady = [number for number, rule in enumerate(score.rules) if rule.fades_over is None]
    return [
        (
            number,
            points,
            Alternative(
                kind="points",
                proposed=say_points(score.rules[number], points),
                roundness=_MOVED_RATHER + rate_roundness(points),
                distance=distance,
                address=score.rules[number].when.address,
                written=say_points(score.rules[number], score.rules[number].points),
            ),
        )
        for number in steady[:_MAX_RULES]
        for distance, points in _round_points(score.rules[number].points)
    ]


def say_points(rule: PointRule, points: Decimal) -> str:
    """Say what a rule earns, as a change of it is written."""
    return f"{points.normalize():f} points for {format_criterion(rule.when)}"


def _round_points(points: Decimal) -> list[tuple[int, Decimal]]:
    """Return round numbers of the same sign, at most four times as large or small, with their distance."""
    size = abs(points)
    if not size:
        return []
    power = size.adjusted()
    found = sorted(
        number
        for exponent in range(power - 1, power + 2)
        for digits in _ROUND_POINTS
        for number in (Decimal(digits).scaleb(exponent),)
        if size / 4 <= number <= size * 4 and number != size
        if number == number.to_integral_value() or size != size.to_integral_value()
    )
    below, above = [x for x in found if x < size][::-1], [x for x in found if x > size]
    sign = 1 if points > 0 else -1
    return [(place, sign * x) for side in (below, above) for place, x in enumerate(side, 1)]


def _tabulate_points(
    criteria: list[Criterion],
    score: PointScore,
    weighed: list[tuple[int, Decimal, Alternative]],
    definition: Definition,
    leads: pd.DataFrame,
    as_of: date | None,
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], Bins]:
    """Cut a score, in whole numbers, at everything that other thresholds and other points can tell apart."""
    written, scale = criteria[0], points_scale(score)
    moved = sorted({number for number, _, _ in weighed})
    rules = tuple(score.rules[number].when for number in moved)
    steps = [
        (moved.index(number), int((to - score.rules[number].points) * scale)) for number, to, _ in weighed
    ]
    edges = {
        whole
        for criterion in criteria
        for value in criterion.values  # noqa: PD011
        for whole in _around(Decimal(str(value)) * scale)
    }
    edges |= {
        whole - step
        for value in written.values  # noqa: PD011
        for whole in _around(Decimal(str(value)) * scale)
        for _, step in steps
    }
    bins = Bins(attribute=score.name, edges=tuple(map(float, sorted(edges))), scale=scale, rules=rules)
    total = np.rint(compute_points(definition, leads, as_of=as_of)[score.name].to_numpy(np.float64) * scale)
    raw = _cut(total, np.array(bins.edges)).astype(np.uint32)
    for rule in rules:
        raw = 2 * raw + criterion_mask(rule, leads, definition=definition, as_of=as_of)
    samples = np.append(_samples(bins.edges), np.nan)
    cut, met = np.divmod(np.arange(bins.n), 1 << len(rules))
    table = [_meets(criterion, samples[cut] / scale, {}) for criterion in criteria]
    for place, step in steps:
        earned = met >> (len(rules) - 1 - place) & 1
        table.append(_meets(written, (samples[cut] + step * earned) / scale, {}))
    return raw.astype(np.uint16), np.array(table), bins


def _around(number: Decimal) -> tuple[int, int]:
    return math.floor(number), math.ceil(number)


# -- bins --------------------------------------------------------------------------------------------------


def _cut(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Number the bins: 2i + 1 at edge i, even numbers between and beyond, the last for missing values."""
    missing = np.isnan(values)
    last = 2 * len(edges) + 1
    if values.size > _TABLE_SIZE and not missing.all():
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if high - low < _TABLE_SIZE:
            whole = np.where(missing, low, values)
            offset = (whole - low).astype(np.int32)
            if low.is_integer() and bool((offset + low == whole).all()):
                # Few whole numbers: look each up instead of searching for it.
                table = _cut(np.arange(low, high + 1), edges)
                return np.where(missing, np.uint16(last), table[offset])
    found = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    return np.where(missing, last, found).astype(np.uint16)


def _as_number(value: Decimal | str | bool, ranks: dict[str, int]) -> float:  # noqa: FBT001
    # A level nobody declared stands beside all others (-1 is "another text").
    return float(ranks.get(value, -2)) if isinstance(value, str) else float(value)


def _meets(criterion: Criterion, x: NDArray[np.float64], ranks: dict[str, int]) -> NDArray[np.bool_]:
    values = [_as_number(value, ranks) for value in criterion.values]  # noqa: PD011
    tests: dict[str, Callable[[], NDArray[np.bool_]]] = {
        "<": lambda: x < values[0],
        "<=": lambda: x <= values[0],
        ">": lambda: x > values[0],
        ">=": lambda: x >= values[0],
        "between": lambda: (x >= values[0]) & (x <= values[1]),
        "=": lambda: x == values[0],
        "!=": lambda: x != values[0],
        "in": lambda: np.isin(x, values),
        "not in": lambda: ~np.isin(x, values),
        "is true": lambda: x == 1,
        "is false": lambda: x == 0,
    }
    return np.asarray(tests[str(criterion.operator)]())


# -- alternatives ------------------------------------------------------------------------------------------


def _moved_numbers(
    criterion: Criterion, attribute: Attribute, values: NDArray[np.float64]
) -> Iterator[tuple[Criterion, Alternative]]:
    declared = bool(attribute.steps)
    known = values[~np.isnan(values)]
    whole = attribute.type == "integer" or (known.size > 0 and bool((known == np.round(known)).all()))
    steps = attribute.steps if declared else make_steps(known, integer=whole)
    steps = tuple(step for step in steps if attribute.lowest is None or step >= attribute.lowest)
    for place, old in enumerate(criterion.values):
        if not isinstance(old, Decimal):
            continue
        for step in steps:
            if step == old:
                continue
            numbers = tuple(step if at == place else value for at, value in enumerate(criterion.values))
            if len(numbers) == 2 and not numbers[0] < numbers[1]:  # type: ignore[operator]
                continue
            between = sum(min(old, step) < other < max(old, step) for other in steps)
            yield _turned(
                criterion,
                numbers,
                "threshold",
                roundness=0 if declared else rate_roundness(step),
                distance=1 + between,
            )


def _moved_levels(criterion: Criterion, attribute: Attribute) -> Iterator[tuple[Criterion, Alternative]]:
    ranks = {level: position for position, level in enumerate(attribute.levels)}
    for place, old in enumerate(criterion.values):
        for level in attribute.levels:
            texts = tuple(level if at == place else str(value) for at, value in enumerate(criterion.values))
            if level == old or str(old) not in ranks:
                continue
            if len(texts) == 2 and not ranks[texts[0]] <= ranks[texts[1]]:
                continue
            if criterion.operator == "<" and ranks[level] == 0:
                continue
            if criterion.operator == ">" and ranks[level] == len(ranks) - 1:
                continue
            yield _turned(
                criterion, texts, "threshold", roundness=0, distance=abs(ranks[level] - ranks[str(old)])
            )


def _moved_sets(criterion: Criterion, levels: tuple[str, ...]) -> Iterator[tuple[Criterion, Alternative]]:
    written = tuple(str(value) for value in criterion.values)  # noqa: PD011
    operator: Literal["in", "not in"] = "not in" if criterion.operator in {"not in", "!="} else "in"
    as_set = replace(criterion, operator=operator)
    for level in levels:
        if level not in written:
            yield _turned(as_set, (*written, level), "level_added", roundness=0, distance=1)
        elif len(written) > 1:
            rest = tuple(item for item in written if item != level)
            yield _turned(as_set, rest, "level_removed", roundness=0, distance=1)


def _turned(
    criterion: Criterion,
    values: tuple[Decimal | str | bool, ...],
    kind: Literal["threshold", "level_added", "level_removed"],
    *,
    roundness: int,
    distance: int,
) -> tuple[Criterion, Alternative]:
    turned = replace(criterion, values=values)
    turned = replace(turned, text=format_criterion(turned))
    return turned, Alternative(kind=kind, proposed=turned.text, roundness=roundness, distance=distance)


# -- round numbers -----------------------------------------------------------------------------------------


def make_steps(values: NDArray[np.float64], *, integer: bool = False) -> tuple[Decimal, ...]:
    """Make the round numbers among which a threshold may move, inside the 2 to 98 % quantiles.

    Parameters
    ----------
    values : ndarray
        Known values of the attribute.
    integer : bool, default=False
        Whether only whole numbers make sense.

    Returns
    -------
    tuple of Decimal
        Ascending: all values if they are few whole numbers, else 1-2-5 numbers of every size joined with
        an even 1-2-5 grid; at most 40.

    Examples
    --------
    >>> [int(step) for step in make_steps(np.array([3.0, 1200.0] * 50))]
    [5, 10, 20, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200]
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return ()
    low, high = (float(x) for x in np.quantile(known, [0.02, 0.98], method="inverted_cdf"))
    if integer:
        own = np.unique(known[(known >= low) & (known <= high)])
        if len(own) <= _FEW_VALUES:
            return tuple(Decimal(int(number)) for number in own) if len(own) > 1 else ()
    if high <= low:
        return ()
    found = set(_even(low, high)) | set(_sizes(low, high))
    if integer:
        found = {step for step in found if step == step.to_integral_value()}
    roundest = sorted(found, key=lambda step: (rate_roundness(step), step))[:_MAX_STEPS]
    return tuple(sorted(roundest))


def _even(low: float, high: float) -> Iterator[Decimal]:
    rough = (high - low) / 12
    size = Decimal(10) ** int(np.floor(np.log10(rough)))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= Decimal(repr(rough)))
    first = math.ceil(Decimal(repr(low)) / step)
    last = math.floor(Decimal(repr(high)) / step)
    for number in range(first, last + 1):
        yield (number * step).normalize() + 0


def _sizes(low: float, high: float) -> Iterator[Decimal]:
    """Yield the 1-2-5 numbers of every power of ten inside, over at most six powers."""
    if low <= 0 <= high:
        yield Decimal(0)
    largest = max(abs(low), abs(high))
    top = int(np.floor(np.log10(largest)))
    for power in range(top - 5, top + 1):
        for factor in (1, 2, 5):
            for sign in (1, -1):
                number = sign * factor * Decimal(10) ** power
                if low <= number <= high:
                    yield number.normalize() + 0


def rate_roundness(step: Decimal) -> int:
    """Rate how round a number is: 0 for 1-2-5 numbers, 1 for other single digits, more for more digits."""
    digits = step.normalize().as_tuple().digits
    if not any(digits) or digits in {(1,), (2,), (5,)}:
        return 0
    if len(digits) == 1:
        return 1
    if digits in {(1, 2), (1, 5), (2, 5), (7, 5)}:
        return 1
    return 2 if len(digits) == 2 and digits[-1] == 5 else len(digits) + 1

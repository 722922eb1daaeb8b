"""A definition applied to leads: criteria, points and classes of every row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from leadml.definitions._columns import Codes, Columns, open_columns
from leadml.definitions._definition import Criterion, Definition, Group, points_scale, said, walk_criteria
from leadml.definitions._grammar import format_criterion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from leadml.definitions._definition import Attribute, PointScore, Value

    Mask = NDArray[np.bool_]
    Numeric = NDArray[np.float64]

__all__ = [
    "assign_classes",
    "compute_points",
    "compute_won_prices",
    "criterion_mask",
    "evaluate_criteria",
    "explain_classes",
]

BLOCK = 32_768
"""Leads evaluated at a time: what is in between fits the processor's cache."""
_TERNARY_DIGITS = 20  # so many, and as many more on top of numbers of rows, fit 64 bits


def evaluate_criteria(
    definition: Definition, leads: pd.DataFrame, *, as_of: date | None = None
) -> pd.DataFrame:
    """Evaluate every criterion of the classes on every lead.

    Parameters
    ----------
    definition : Definition
        Prose is left out; a misspelt criterion is an error.
    leads : DataFrame of shape (n_leads, n_columns)
        One column per attribute that the definition uses.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    DataFrame
        One boolean column per measurable criterion, named by its address. A missing value meets a
        criterion only if the criterion says ``or missing``.

    Raises
    ------
    LeadsError
        If an attribute is no column of the leads or has values of another type.
    DefinitionError
        If a criterion cannot be read.
    """
    columns = open_columns(definition, leads, criteria=definition.criteria(), as_of=as_of)
    tests = _Tests(columns)
    criteria = [criterion for criterion in definition.criteria() if criterion.measurable]
    return pd.DataFrame({item.address: tests.mask(item) for item in criteria}, index=leads.index, dtype=bool)


def assign_classes(definition: Definition, leads: pd.DataFrame, *, as_of: date | None = None) -> pd.Series:
    """Give every lead the first class whose rule it meets.

    Parameters
    ----------
    definition : Definition
        Prose criteria are met by nobody.
    leads : DataFrame of shape (n_leads, n_columns)
        One column per attribute that the definition uses.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    Series
        Named ``lead_class``, categorical with the classes in the order of the file, on the leads' index;
        missing where no class takes the lead.

    Raises
    ------
    LeadsError
        If an attribute is no column of the leads or has values of another type.
    DefinitionError
        If a criterion cannot be read.
    """
    columns = open_columns(definition, leads, criteria=definition.criteria(), as_of=as_of)
    codes = class_codes(definition, columns)
    names = [lead_class.name for lead_class in definition.classes]
    classes = pd.Categorical.from_codes(codes, categories=names, ordered=True)  # type: ignore[call-overload]
    return pd.Series(classes, index=leads.index, name="lead_class")


def class_codes(definition: Definition, columns: Columns) -> NDArray[np.int16]:
    """Number the class of every lead, block by block; -1 where no class takes it."""
    n_leads = len(columns.leads)
    kind = np.int8 if len(definition.classes) < 127 else np.int16
    codes: NDArray[np.int16] = np.full(n_leads, -1, dtype=kind)
    for start in range(0, n_leads, BLOCK):
        block = slice(start, min(start + BLOCK, n_leads))
        tests = _Tests(columns, block)
        part = codes[block]
        for position in range(len(definition.classes) - 1, -1, -1):
            rule = definition.classes[position].rule
            if rule is None:
                part[:] = position
            else:  # position where met, else as it was: several times faster than a masked copy
                part += (position - part) * tests.rule(rule)
    return codes


def compute_points(definition: Definition, leads: pd.DataFrame, *, as_of: date | None = None) -> pd.DataFrame:
    """Compute the hand-written scores of every lead.

    Returns
    -------
    DataFrame
        One number column per score of the definition, on the leads' index. Sums of decimal points are
        exact: a lead with 0.1 + 0.7 points meets ``>= 0.8``.
    """
    columns = open_columns(definition, leads, criteria=(), scores=definition.points, as_of=as_of)
    tests = _Tests(columns)
    found = {score.name: tests.points(score) for score in definition.points}
    return pd.DataFrame(found, index=leads.index, dtype="float64")


def compute_won_prices(
    definition: Definition, leads: pd.DataFrame, *, as_of: date | None = None
) -> pd.Series:
    """Return what a win of each lead is worth by the signed price list.

    Returns
    -------
    Series
        Named ``won_price``: the price of the first ``by`` criterion that the lead meets, else the default;
        missing where there is neither.
    """
    prices = definition.prices
    criteria = [criterion for criterion, _ in prices.won_by]
    tests = _Tests(open_columns(definition, leads, criteria=criteria, as_of=as_of))
    default = np.nan if prices.won_default is None else float(prices.won_default)
    values = np.full(len(leads), default, dtype=np.float64)
    for criterion, price in reversed(prices.won_by):
        values[tests.mask(criterion)] = float(price)
    return pd.Series(values, index=leads.index, name="won_price")


def criterion_mask(
    criterion: Criterion, leads: pd.DataFrame, *, definition: Definition, as_of: date | None = None
) -> Mask:
    """Evaluate one criterion, of the definition or proposed, on every lead.

    Returns
    -------
    ndarray of bool of shape (n_leads,)
        All False for prose.
    """
    columns = open_columns(definition, leads, criteria=(criterion,), as_of=as_of)
    return _Tests(columns).mask(criterion).copy()


def explain_classes(
    definition: Definition, leads: pd.DataFrame, *, max_reasons: int = 3, as_of: date | None = None
) -> pd.Series:
    """Say in the definition's own words why each lead is, or is not, in the first class.

    Parameters
    ----------
    definition : Definition
        Its first class is explained.
    leads : DataFrame of shape (n_leads, n_columns)
        One column per attribute that the definition uses.
    max_reasons : int
        At most so many criteria are named for each lead.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    Series of str
        Named ``reasons``: ``meets employees >= 50; meets …`` for a lead of the first class, otherwise
        ``fails employees >= 50; …``; ``(missing)`` stands where the lead has no value.
    """
    rule = definition.classes[0].rule
    if rule is None:
        return pd.Series("every lead is in this class", index=leads.index, name="reasons", dtype=object)
    criteria = list(walk_criteria(rule))
    tests = _Tests(open_columns(definition, leads, criteria=criteria, as_of=as_of))
    states = np.empty((len(leads), len(criteria) + 1), dtype=np.int8)
    states[:, 0] = tests.rule(rule)
    for position, criterion in enumerate(criteria, 1):
        states[:, position] = np.where(tests.mask(criterion), 2, np.where(tests.missing(criterion), 1, 0))
    first, inverse = _patterns(states)
    texts = [_reason(rule, criteria, pattern, max_reasons) for pattern in states[first]]
    found = np.array(texts, dtype=object)[inverse] if texts else np.empty(0, dtype=object)
    return pd.Series(found, index=leads.index, name="reasons", dtype=object)


# -- tests -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tests:
    """The criteria on one block of leads, each evaluated once."""

    columns: Columns
    block: slice = field(default_factory=lambda: slice(None))
    masks: dict[tuple[object, ...], Mask] = field(default_factory=dict)
    sums: dict[str, Numeric] = field(default_factory=dict)

    def rule(self, rule: Criterion | Group) -> Mask:
        """Evaluate a criterion or a group."""
        if isinstance(rule, Criterion):
            return self.mask(rule)
        met = self.rule(rule.members[0])
        if rule.kind == "at_least":
            total = met.astype(np.int16)
            for member in rule.members[1:]:
                total += self.rule(member)
            return total >= rule.k
        for member in rule.members[1:]:
            met = met & self.rule(member) if rule.kind == "all_of" else met | self.rule(member)
        return met

    def mask(self, criterion: Criterion) -> Mask:
        """Evaluate a criterion; prose is met by nobody."""
        if not criterion.measurable:
            return np.zeros(len(self.columns.leads[self.block]), dtype=bool)
        key = said(criterion)
        if key not in self.masks:
            self.masks[key] = self._evaluate(criterion, self.columns.attributes[criterion.attribute or ""])
        return self.masks[key]

    def missing(self, criterion: Criterion) -> Mask:
        """Say which leads have no value for a criterion."""
        if not criterion.measurable or criterion.attribute in self._scores():
            return np.zeros(len(self.columns.leads[self.block]), dtype=bool)
        column = self.columns.get(criterion.attribute or "")
        if isinstance(column, Codes):
            return column.data[self.block] < 0
        return np.isnan(column.data[self.block])

    def points(self, score: PointScore) -> Numeric:
        """Sum in whole numbers of ``1 / scale``, so that decimals and fading points add up exactly."""
        if score.name not in self.sums:
            scale = points_scale(score)
            total = np.zeros(len(self.columns.leads[self.block]), dtype=np.int64)
            for rule in score.rules:
                earned = self.mask(rule.when)
                full = int(rule.points * scale)
                if rule.fades_over is None:
                    total += np.where(earned, full, 0)
                    continue
                span = int(rule.fades_over)
                age = self._numbers(cast("str", rule.age))
                days = np.floor(np.where(np.isnan(age), span, age)).clip(0, span).astype(np.int64)
                total += np.where(earned, full // span * (span - days), 0)
            self.sums[score.name] = total / float(scale)
        return self.sums[score.name]

    def _scores(self) -> dict[str, PointScore]:
        return {score.name: score for score in self.columns.definition.points}

    def _numbers(self, name: str) -> Numeric:
        scores = self._scores()
        if name in scores:
            return self.points(scores[name])
        return cast("Numeric", self.columns.get(name).data[self.block])

    def _evaluate(self, criterion: Criterion, attribute: Attribute) -> Mask:
        if attribute.is_numeric or attribute.type == "date":
            return _test_numbers(criterion, self._numbers(attribute.name))
        column = cast("Codes", self.columns.get(attribute.name))
        inside = self.columns.codes(criterion, column)
        return _test_codes(column.data[self.block], inside, n_codes=len(column.levels))


def _test_codes(codes: NDArray[np.integer[Any]], inside: list[int], *, n_codes: int) -> Mask:
    """Say which codes are in a list: by its runs, which is faster than looking every code up."""
    runs: list[list[int]] = []
    for code in inside:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    if len(runs) > 4:
        table = np.zeros(n_codes + 1, dtype=bool)
        table[inside] = True
        return cast("Mask", table[codes])
    met = np.zeros(len(codes), dtype=bool)
    for low, high in runs:
        if low == high:
            met |= codes == low
        elif low == -1:
            met |= codes <= high
        else:
            met |= codes >= low if high == n_codes - 1 else (codes >= low) & (codes <= high)
    return met


def _test_numbers(criterion: Criterion, values: Numeric) -> Mask:
    """Compare doubles; NaN, which is missing, is on neither side of any threshold."""
    operator = criterion.operator
    bounds = [_double(value) for value in criterion.values]  # noqa: PD011 - a criterion is no frame
    if operator == "is missing":
        return np.isnan(values)
    if operator == "is known":
        met = ~np.isnan(values)
    elif operator in {"in", "=", "not in", "!="}:
        met = np.zeros(len(values), dtype=bool)
        for bound in bounds:
            met |= values == bound
        if operator in {"not in", "!="}:
            met = ~(met | np.isnan(values))
    elif operator == "between":
        met = (values >= bounds[0]) & (values <= bounds[1])
    else:
        tests = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
        met = tests[operator or ""](values, bounds[0])
    return met | np.isnan(values) if criterion.or_missing else met


def _double(value: Value) -> float:
    if isinstance(value, Decimal):
        return float(value)
    return float(date.fromisoformat(str(value)).toordinal() - date(1970, 1, 1).toordinal())


def _patterns(states: NDArray[np.int8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return a row of each pattern, and the pattern of each row."""
    codes = np.zeros(len(states), dtype=np.int64)
    for number, column in enumerate(states.T, 1):
        codes = 3 * codes + column
        if number % _TERNARY_DIGITS == 0:
            codes = pd.factorize(codes)[0]
    inverse, uniques = pd.factorize(codes)
    first = np.empty(len(uniques), dtype=np.intp)
    first[inverse[::-1]] = np.arange(len(states))[::-1]
    return first, inverse


# -- rules to words ----------------------------------------------------------------------------------------


def _reason(rule: Group, criteria: Iterable[Criterion], pattern: NDArray[np.int8], max_reasons: int) -> str:
    states = {criterion.address: int(state) for criterion, state in zip(criteria, pattern[1:], strict=True)}
    if pattern[0]:
        met = [format_criterion(item) for item in walk_criteria(rule) if states[item.address] == 2]
        return _cut([f"meets {words}" for words in met], max_reasons)
    failed = _failures(rule, states)
    if rule.kind == "at_least":
        n_met = sum(_passes(member, states) for member in rule.members)
        return f"meets {n_met} of {len(rule.members)}, needs {rule.k}: {_cut(failed, max_reasons)}"
    return _cut(failed, max_reasons)


def _cut(parts: list[str], max_reasons: int) -> str:
    more = len(parts) - max_reasons
    return "; ".join(parts[:max_reasons]) + (f"; and {more} more" if more > 0 else "")


def _failures(group: Group, states: dict[str, int]) -> list[str]:
    found: list[str] = []
    for member in group.members:
        if _passes(member, states):
            continue
        if isinstance(member, Criterion):
            note = " (missing)" if states[member.address] == 1 else ""
            note = note if member.measurable else " (not measurable)"
            found.append(f"fails {format_criterion(member)}{note}")
        elif member.kind == "all_of":
            found.extend(_failures(member, states))
        else:
            found.append(f"fails {_group_words(member)}")
    return found


def _group_words(group: Group) -> str:
    heads = {"all_of": "all of", "any_of": "any of", "at_least": f"at least {group.k} of"}
    words = [
        format_criterion(member) if isinstance(member, Criterion) else _group_words(member)
        for member in group.members
    ]
    return f"{heads[group.kind]} ({', '.join(words)})"


def _passes(member: Criterion | Group, states: dict[str, int]) -> bool:
    if isinstance(member, Criterion):
        return states[member.address] == 2
    return sum(_passes(inner, states) for inner in member.members) >= member.k

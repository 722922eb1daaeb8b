"""A definition applied to leads: criteria, points and classes of every row."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from leadml.definitions._definition import Criterion, Definition, Group, points_scale, walk_criteria
from leadml.definitions._grammar import format_criterion
from leadml.errors import DefinitionError, LeadsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from numpy.typing import NDArray

    from leadml.definitions._definition import Attribute, Fault, PointScore

    Mask = NDArray[np.bool_]

__all__ = [
    "assign_classes",
    "compute_points",
    "compute_won_prices",
    "criterion_mask",
    "evaluate_criteria",
    "explain_classes",
]


@dataclass(frozen=True, slots=True)
class _Values:
    """One attribute of every lead: comparable values and which of them are missing."""

    data: NDArray[Any]
    missing: Mask


@dataclass(slots=True)
class _Columns:
    """The columns of one frame, each converted once."""

    definition: Definition
    leads: pd.DataFrame
    as_of: date | None
    attributes: dict[str, Attribute] = field(init=False)
    read: dict[str, _Values] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attributes = self.definition.typed_attributes()

    def get(self, name: str) -> _Values:
        """Return the values of an attribute or of a points score."""
        if name not in self.read:
            scores = {score.name: score for score in self.definition.points}
            if name in scores:
                self.read[name] = _Values(
                    _sum_points(scores[name], self), np.zeros(len(self.leads), dtype=bool)
                )
            else:
                self.read[name] = _read_column(self.attributes[name], self)
        return self.read[name]


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
    criteria = [criterion for criterion in definition.criteria() if criterion.measurable]
    columns = _open(definition, leads, as_of, definition.criteria())
    masks = {criterion.address: _test(criterion, columns) for criterion in criteria}
    return pd.DataFrame(masks, index=leads.index, dtype=bool)


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
    columns = _open(definition, leads, as_of, definition.criteria())
    cache: dict[str, Mask] = {}
    codes = np.full(len(leads), -1, dtype=np.int16)
    for position, lead_class in enumerate(definition.classes):
        free = codes < 0
        met = free if lead_class.rule is None else free & _meet(lead_class.rule, columns, cache)
        codes[met] = position
    names = [lead_class.name for lead_class in definition.classes]
    classes = pd.Categorical.from_codes(codes, categories=names, ordered=True)  # type: ignore[call-overload]
    return pd.Series(classes, index=leads.index, name="lead_class")


def compute_points(definition: Definition, leads: pd.DataFrame, *, as_of: date | None = None) -> pd.DataFrame:
    """Compute the hand-written scores of every lead.

    Returns
    -------
    DataFrame
        One number column per score of the definition, on the leads' index. Sums of decimal points are
        exact: a lead with 0.1 + 0.7 points meets ``>= 0.8``.
    """
    columns = _open(definition, leads, as_of, (), scores=definition.points)
    found = {score.name: columns.get(score.name).data for score in definition.points}
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
    columns = _open(definition, leads, as_of, [criterion for criterion, _ in prices.won_by])
    default = np.nan if prices.won_default is None else float(prices.won_default)
    values = np.full(len(leads), default, dtype=np.float64)
    for criterion, price in reversed(prices.won_by):
        if criterion.measurable:
            values[_test(criterion, columns)] = float(price)
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
    columns = _open(definition, leads, as_of, (criterion,))
    return _test(criterion, columns)


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
    columns = _open(definition, leads, as_of, walk_criteria(rule))
    cache: dict[str, Mask] = {}
    met = _meet(rule, columns, cache)
    criteria = list(walk_criteria(rule))
    states = np.empty((len(leads), len(criteria)), dtype=np.int8)
    for position, criterion in enumerate(criteria):
        passed = cache[criterion.address]
        unknown = _missing(criterion, columns)
        states[:, position] = np.where(passed, 2, np.where(unknown, 1, 0))
    patterns, inverse = np.unique(np.column_stack([met.astype(np.int8), states]), axis=0, return_inverse=True)
    texts = np.array([_reason(rule, criteria, pattern, max_reasons) for pattern in patterns], dtype=object)
    found = texts[inverse.ravel()] if len(texts) else np.empty(0, dtype=object)
    return pd.Series(found, index=leads.index, name="reasons", dtype=object)


# -- rules to words ----------------------------------------------------------------------------------------


def _reason(rule: Group, criteria: list[Criterion], pattern: NDArray[np.int8], max_reasons: int) -> str:
    states = {criterion.address: int(state) for criterion, state in zip(criteria, pattern[1:], strict=True)}
    if pattern[0]:
        met = [format_criterion(item) for item in criteria if states[item.address] == 2]
        return _cut([f"meets {words}" for words in met], max_reasons)
    failed = _failures(rule, states)
    if rule.kind == "at_least":
        n_met = sum(_passes(member, states) for member in rule.members)
        lead_in = f"meets {n_met} of {len(rule.members)}, needs {rule.k}: "
        return lead_in + _cut(failed, max_reasons)
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


# -- columns -----------------------------------------------------------------------------------------------


def _open(
    definition: Definition,
    leads: pd.DataFrame,
    as_of: date | None,
    criteria: Iterable[Criterion],
    *,
    scores: tuple[PointScore, ...] = (),
) -> _Columns:
    """Convert every column that is needed, saying everything that is wrong with them at once."""
    columns = _Columns(definition, leads, as_of)
    known = {score.name: score for score in definition.points}
    wanted = list(criteria)
    used = {criterion.attribute for criterion in wanted if criterion.measurable}
    used_scores = {name: score for name, score in known.items() if name in used or score in scores}
    for score in used_scores.values():
        wanted += [rule.when for rule in score.rules]
        used |= {rule.when.attribute for rule in score.rules if rule.when.measurable}
        used |= {rule.age for rule in score.rules if rule.age is not None}
    broken = [criterion for criterion in wanted if criterion.fault is not None]
    if broken:
        raise DefinitionError(*(_broken(definition, item) for item in broken))
    names = sorted(name for name in used if name is not None and name not in known)
    strange = [name for name in names if name not in columns.attributes]
    if strange:
        raise DefinitionError(
            *(
                f"{definition.source}: attribute {name!r} is not declared in this definition."
                for name in strange
            )
        )
    for name in names:
        columns.get(name)
    if columns.wrong:
        raise LeadsError(*columns.wrong)
    return columns


def _broken(definition: Definition, criterion: Criterion) -> str:
    fault = cast("Fault", criterion.fault)
    where = f"{definition.source}:{criterion.line}:{criterion.column}"
    return f"{where}: {criterion.text!r}: {fault.message} {fault.fix}"


def _read_column(attribute: Attribute, columns: _Columns) -> _Values:
    if attribute.age_of is not None:
        return _read_age(attribute, columns)
    leads = columns.leads
    nothing = _Values(np.full(len(leads), np.nan), np.ones(len(leads), dtype=bool))
    if attribute.name not in leads.columns:
        known = ", ".join(sorted(map(str, leads.columns))[:5])
        columns.wrong.append(
            f"leads: expected a column {attribute.name!r} ({attribute.type} of {columns.definition.source}), "
            f"got none; the columns are {known}, …. Add it to the contract or to the file of leads."
        )
        return nothing
    n_columns = int((leads.columns == attribute.name).sum())
    if n_columns > 1:
        columns.wrong.append(f"leads: expected one column {attribute.name!r}, got {n_columns}.")
        return nothing
    column = leads[attribute.name]
    readers = {
        "boolean": _read_booleans,
        "date": _read_days,
        "ordinal": _read_ordinals,
        "category": _read_texts,
    }
    try:
        return readers.get(attribute.type, _read_numbers)(attribute, column)
    except (TypeError, ValueError):
        columns.wrong.append(
            f"leads: column {attribute.name!r}: expected values of type {attribute.type}, "
            f"got {column.dtype}. Declare its type in the contract."
        )
        return nothing


def _read_numbers(_: Attribute, column: pd.Series) -> _Values:
    if not (pd.api.types.is_numeric_dtype(column.dtype) or column.isna().all()):
        if column.dtype != object:
            raise TypeError
        found = {type(value) for value in column.dropna()}
        if any(issubclass(kind, str | bytes | bool) for kind in found):
            raise TypeError
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return _Values(values, np.isnan(values))


def _read_booleans(_: Attribute, column: pd.Series) -> _Values:
    missing = column.isna().to_numpy(dtype=bool)
    if not pd.api.types.is_bool_dtype(column.dtype):
        known = set(column[~missing].unique().tolist())
        if any(isinstance(value, str) for value in known) or not known <= {0, 1}:
            raise TypeError
    values = column.where(~missing, False).to_numpy(dtype=bool)  # noqa: FBT003 - pandas' own signature
    return _Values(values, missing)


def _read_days(_: Attribute, column: pd.Series) -> _Values:
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        if not (column.isna().all() or column.dtype == object):
            raise TypeError
        if any(isinstance(value, str | int | float) for value in column.dropna()):
            raise TypeError
        column = pd.to_datetime(column)
    if getattr(column.dt, "tz", None) is not None:
        column = column.dt.tz_localize(None)
    values = column.to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
    return _Values(values, np.isnat(values))


def _read_texts(_: Attribute, column: pd.Series) -> _Values:
    if pd.api.types.is_numeric_dtype(column.dtype) and not column.isna().all():
        raise TypeError
    missing = column.isna().to_numpy(dtype=bool)
    return _Values(column.to_numpy(dtype=object), missing)


def _read_ordinals(attribute: Attribute, column: pd.Series) -> _Values:
    texts = _read_texts(attribute, column)
    codes = pd.Index(attribute.levels).get_indexer(pd.Index(texts.data, dtype=object))
    codes = np.where(texts.missing, -1, codes)
    return _Values(codes, codes < 0)


def _read_age(attribute: Attribute, columns: _Columns) -> _Values:
    start = columns.get(cast("str", attribute.age_of))
    anchor = attribute.anchor
    if anchor is not None and anchor in columns.attributes:
        end = columns.get(anchor)
    elif columns.as_of is None:
        columns.wrong.append(
            f"leads: {attribute.name!r} is an age at the day of assignment; expected `as_of`, got none."
        )
        return _Values(np.full(len(columns.leads), np.nan), np.ones(len(columns.leads), dtype=bool))
    else:
        day = np.full(len(columns.leads), np.datetime64(columns.as_of, "D"))
        end = _Values(day, np.zeros(len(columns.leads), dtype=bool))
    missing = start.missing | end.missing
    if missing.all():
        return _Values(np.full(len(columns.leads), np.nan), missing)
    values = (end.data - start.data).astype("float64")
    return _Values(np.where(missing, np.nan, values), missing)


# -- tests -------------------------------------------------------------------------------------------------


def _meet(member: Criterion | Group, columns: _Columns, cache: dict[str, Mask]) -> Mask:
    if isinstance(member, Criterion):
        if member.address not in cache:
            cache[member.address] = _test(member, columns)
        return cache[member.address]
    masks = [_meet(inner, columns, cache) for inner in member.members]
    if member.kind == "all_of":
        return cast("Mask", np.logical_and.reduce(masks))
    if member.kind == "any_of":
        return cast("Mask", np.logical_or.reduce(masks))
    return cast("Mask", np.sum(masks, axis=0, dtype=np.int32) >= member.k)


def _missing(criterion: Criterion, columns: _Columns) -> Mask:
    if not criterion.measurable:
        return np.zeros(len(columns.leads), dtype=bool)
    return columns.get(cast("str", criterion.attribute)).missing


def _test(criterion: Criterion, columns: _Columns) -> Mask:
    if not criterion.measurable:
        return np.zeros(len(columns.leads), dtype=bool)
    name = cast("str", criterion.attribute)
    column = columns.get(name)
    met = _compare(criterion, columns.attributes[name], column.data, column.missing)
    if criterion.operator == "is missing":
        return column.missing.copy()
    met = met & ~column.missing
    return met | column.missing if criterion.or_missing else met


def _compare(criterion: Criterion, attribute: Attribute, values: NDArray[Any], missing: Mask) -> Mask:
    operator = criterion.operator
    if operator in {"is known", "is missing"}:
        return ~missing
    if operator in {"is true", "is false"}:
        return cast("Mask", values.astype(bool) == (operator == "is true"))
    bounds = [_operand(value, attribute) for value in criterion.values]  # noqa: PD011
    if missing.all() and values.dtype != object:
        return np.zeros(len(values), dtype=bool)
    if operator in {"in", "=", "not in", "!="}:
        found = np.zeros(len(values), dtype=bool)
        for bound in bounds:
            found |= cast("Mask", np.asarray(values == bound, dtype=bool))
        return found if operator in {"in", "="} else ~found
    if operator == "between":
        return cast("Mask", (values >= bounds[0]) & (values <= bounds[1]))
    tests = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    return cast("Mask", tests[operator or ""](values, bounds[0]))


def _operand(value: object, attribute: Attribute) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if attribute.type == "date":
        return np.datetime64(cast("str", value), "D")
    if attribute.type == "ordinal":
        return attribute.levels.index(value) if value in attribute.levels else -2
    return value


# -- points ------------------------------------------------------------------------------------------------


def _sum_points(score: PointScore, columns: _Columns) -> NDArray[np.float64]:
    """Sum in whole numbers of ``1 / scale``, so that decimals and fading points add up exactly."""
    scale = points_scale(score)
    total = np.zeros(len(columns.leads), dtype=np.int64)
    for rule in score.rules:
        earned = _test(rule.when, columns)
        full = int(rule.points * scale)
        if rule.fades_over is None:
            total += np.where(earned, full, 0)
            continue
        age = columns.get(cast("str", rule.age))
        span = int(rule.fades_over)
        days = np.floor(np.where(age.missing, span, age.data)).clip(0, span).astype(np.int64)
        total += np.where(earned, full // span * (span - days), 0)
    return total / float(scale)

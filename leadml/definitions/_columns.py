"""The columns of a frame of leads as plain arrays, each converted once.

A number, a day and an age become doubles in which NaN is missing; a boolean and a text become small whole
numbers that index a list of levels, -1 being missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from leadml.definitions._definition import said
from leadml.definitions._space import meets
from leadml.errors import DefinitionError, LeadsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from numpy.typing import NDArray

    from leadml.definitions._definition import Attribute, Criterion, Definition, Fault, PointScore

__all__ = ["Codes", "Columns", "Numbers", "open_columns"]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers, days since 1970 or ages in days; NaN is missing."""

    data: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Codes:
    """Positions in a list of levels; -1 is missing."""

    data: NDArray[np.integer[Any]]
    levels: tuple[str | bool, ...]


_Reader = Callable[["Attribute", pd.Series], Numbers | Codes]


@dataclass(slots=True)
class Columns:
    """The converted columns of one frame, the codes that meet each criterion, and what is wrong."""

    definition: Definition
    leads: pd.DataFrame
    as_of: date | None
    attributes: dict[str, Attribute]
    read: dict[str, Numbers | Codes] = field(default_factory=dict)
    inside: dict[tuple[object, ...], list[int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def get(self, name: str) -> Numbers | Codes:
        """Return an attribute's column."""
        if name not in self.read:
            attribute = self.attributes[name]
            self.read[name] = (
                _read_column(attribute, self) if attribute.age_of is None else _read_age(attribute, self)
            )
        return self.read[name]

    def codes(self, criterion: Criterion, column: Codes) -> list[int]:
        """Return the codes that meet a criterion, -1 first."""
        key = said(criterion)
        if key not in self.inside:
            attribute = self.attributes[criterion.attribute or ""]
            levels = enumerate(column.levels)
            met = [number for number, level in levels if meets(criterion, level, attribute)]
            self.inside[key] = [-1, *met] if meets(criterion, None, attribute) else met
        return self.inside[key]


def open_columns(
    definition: Definition,
    leads: pd.DataFrame,
    *,
    criteria: Iterable[Criterion],
    scores: Iterable[PointScore] = (),
    as_of: date | None = None,
) -> Columns:
    """Convert every column that some criteria and scores need.

    Raises
    ------
    DefinitionError
        If one of the criteria cannot be read.
    LeadsError
        If a column is missing or holds values of another type; with all findings at once.
    """
    columns = Columns(definition, leads, as_of, definition.typed_attributes())
    known = {score.name: score for score in definition.points}
    wanted = list(criteria)
    used = {criterion.attribute for criterion in wanted if criterion.measurable}
    for score in {*scores, *(score for name, score in known.items() if name in used)}:
        wanted += [rule.when for rule in score.rules]
        used |= {rule.when.attribute for rule in score.rules if rule.when.measurable}
        used |= {rule.age for rule in score.rules if rule.age is not None}
    broken = [criterion for criterion in wanted if criterion.fault is not None]
    if broken:
        raise DefinitionError(*dict.fromkeys(_broken(definition, item) for item in broken))
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
        raise LeadsError(*dict.fromkeys(columns.wrong))
    return columns


def _broken(definition: Definition, criterion: Criterion) -> str:
    fault = cast("Fault", criterion.fault)
    where = f"{definition.source}:{criterion.line}:{criterion.column}"
    return f"{where}: {criterion.text!r}: {fault.message} {fault.fix}"


def _read_column(attribute: Attribute, columns: Columns) -> Numbers | Codes:
    leads, name = columns.leads, attribute.name
    n_columns = int((leads.columns == name).sum())
    if n_columns != 1:
        known = ", ".join(sorted(map(str, leads.columns))[:5])
        columns.wrong.append(
            f"leads: expected one column {name!r} ({attribute.type} of {columns.definition.source}), "
            f"got {n_columns or 'none'}; the columns are {known}, …. Add it to the contract or to the file."
        )
        return _nothing(attribute, len(leads))
    readers: dict[str, _Reader] = {
        "boolean": _read_booleans,
        "date": _read_days,
        "ordinal": _read_texts,
        "category": _read_texts,
    }
    try:
        return readers.get(attribute.type, _read_numbers)(attribute, leads[name])
    except (TypeError, ValueError, OverflowError):
        columns.wrong.append(
            f"leads: column {name!r}: expected values of type {attribute.type}, "
            f"got {leads[name].dtype}. Declare its type in the contract."
        )
        return _nothing(attribute, len(leads))


def _nothing(attribute: Attribute, n_leads: int) -> Numbers | Codes:
    if attribute.is_numeric or attribute.type == "date":
        return Numbers(np.full(n_leads, np.nan))
    return Codes(np.full(n_leads, -1, dtype=np.int8), attribute.levels)


def _read_numbers(_: Attribute, column: pd.Series) -> Numbers:
    if column.dtype == np.float64:
        return Numbers(column.to_numpy())
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = _read_numbers(_, pd.Series(column.cat.categories)).data
        return Numbers(np.append(levels, np.nan)[column.cat.codes.to_numpy()])
    if not (pd.api.types.is_numeric_dtype(column.dtype) or column.isna().all()):
        kinds = {type(value) for value in column.dropna()} if column.dtype == object else {str}
        if any(issubclass(kind, str | bytes | bool | np.bool_) for kind in kinds):
            raise TypeError
    return Numbers(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _read_booleans(_: Attribute, column: pd.Series) -> Codes:
    missing = column.isna().to_numpy(dtype=bool)
    if not pd.api.types.is_bool_dtype(column.dtype):
        known = set(column[~missing].unique().tolist())
        if any(isinstance(value, str) for value in known) or not known <= {0, 1}:
            raise TypeError
    codes = np.asarray(column.astype("boolean").to_numpy(dtype=np.int8, na_value=-1), dtype=np.int8)
    return Codes(codes, (False, True))


def _read_days(_: Attribute, column: pd.Series) -> Numbers:
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        if not (column.isna().all() or column.dtype == object):
            raise TypeError
        if any(isinstance(value, str | int | float) for value in column.dropna()):
            raise TypeError
        column = pd.to_datetime(column)
    if getattr(column.dt, "tz", None) is not None:
        column = column.dt.tz_localize(None)
    days = column.to_numpy().astype("datetime64[D]")
    return Numbers(np.where(np.isnat(days), np.nan, days.astype(np.int64).astype(np.float64)))


def _read_texts(attribute: Attribute, column: pd.Series) -> Codes:
    if pd.api.types.is_numeric_dtype(column.dtype) and not column.isna().all():
        raise TypeError
    if isinstance(column.dtype, pd.CategoricalDtype):
        found = [str(level) for level in column.cat.categories]
        codes = column.cat.codes.to_numpy()
    else:
        raw, levels = pd.factorize(column)
        found = [str(level) for level in levels]
        codes = _small(raw, len(found))
    if attribute.type == "category":
        return Codes(codes, tuple(found))
    rank = {level: position for position, level in enumerate(attribute.levels)}
    table = np.array([*(rank.get(level, -1) for level in found), -1], dtype=np.int16)
    return Codes(table[codes], attribute.levels)


def _small(codes: NDArray[np.int64], n_levels: int) -> NDArray[np.integer[Any]]:
    kind = np.int8 if n_levels < 127 else np.int16 if n_levels < 32_767 else np.int32
    return codes.astype(kind)


def _read_age(attribute: Attribute, columns: Columns) -> Numbers:
    start = cast("Numbers", columns.get(cast("str", attribute.age_of)))
    anchor = attribute.anchor
    if anchor is not None and anchor in columns.attributes:
        return Numbers(cast("Numbers", columns.get(anchor)).data - start.data)
    if columns.as_of is None:
        columns.wrong.append(
            f"leads: {attribute.name!r} is an age at the day of assignment; expected `as_of`, got none."
        )
        return start
    return Numbers(float(np.datetime64(columns.as_of, "D").astype(np.int64)) - start.data)

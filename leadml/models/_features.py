"""Which attributes a model may see, and how they are taken from a frame of leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.definitions import find_directions
from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import Contract

__all__ = ["Feature", "choose_features", "compute_features"]

Kind = Literal["number", "boolean", "ordinal", "category", "age"]

_KINDS: dict[str, Kind] = {
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "ordinal": "ordinal",
    "category": "category",
    "date": "age",
}
_MAX_LEVELS = 50
_MAX_UNIQUE_SHARE = 0.2
_COMMON = 20
_MIN_COMMON_SHARE = 0.7
_MIN_LEVELS_OF_TEXT = 15  # below this many distinct values a category is no free text, however few the leads


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One attribute as a model sees it.

    Attributes
    ----------
    name : str
        Column of the leads.
    kind : {"number", "boolean", "ordinal", "category", "age"}
        "age" is a date, taken as days before the handoff.
    levels : tuple of str
        Of an ordinal, lowest first.
    direction : {-1, 0, 1}
        Whether the definition says that more is better (1), worse (-1) or neither (0).
    long : bool
        A category with more than 50 levels: it has to prove itself against the models without it.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    direction: int = 0
    long: bool = False


def choose_features(
    frame: pd.DataFrame,
    *,
    contract: Contract,
    definition: Definition | None,
    rows: NDArray[np.bool_],
    late: Mapping[str, str] | None = None,
) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """Choose the attributes that a model may see.

    Attributes of the contract that are known at the handoff; never ids, reps, reasons, personal columns or
    free text. Only values in `rows`, never a label, decide about free text, constants and empty columns.

    Parameters
    ----------
    frame : DataFrame
        All leads, in contract columns.
    contract : Contract
        Declares role, type and ``known_at`` of each column.
    definition : Definition or None
        May say too that an attribute is known only after the handoff, or give the order of its levels.
    rows : ndarray of bool of shape (n_leads,)
        The training part.
    late : mapping of str to str, optional
        Attributes that the training part shows to be written after the outcome, and how.

    Returns
    -------
    features : tuple of Feature
        In the order of the contract.
    notices : tuple of str
        One sentence per attribute that was left out.
    """
    directions = find_directions(definition)
    declared = (
        {} if definition is None else {attribute.name: attribute for attribute in definition.attributes}
    )
    features: list[Feature] = []
    notices: list[str] = []
    for column in contract.columns:
        if column.role != "attribute" or column.name not in frame.columns:
            continue
        attribute = declared.get(column.name)
        if column.known_at == "after" or (attribute is not None and attribute.known_at == "after"):
            notices.append(f"{column.name}: known only after the handoff, not a feature.")
            continue
        if late and column.name in late:
            notices.append(f"{column.name}: not a feature: {late[column.name]}")
            continue
        kind = _KINDS.get(column.type)
        levels = tuple(column.levels) if column.type == "ordinal" else ()
        if attribute is not None and attribute.type == "ordinal" and column.type in ("category", "ordinal"):
            kind, levels = "ordinal", levels or tuple(attribute.levels)
        if kind is None:
            notices.append(f"{column.name}: {column.type} is not a feature.")
            continue
        values = frame.loc[rows, column.name]
        reason = _unusable(values, kind=kind, declared=bool(column.levels))
        if reason:
            notices.append(f"{column.name}: {reason}.")
            continue
        if kind == "ordinal" and not levels:
            levels = _levels_of(values)
        features.append(
            Feature(
                name=column.name,
                kind=kind,
                levels=levels,
                direction=directions.get(column.name, 0),
                long=kind == "category" and int(values.nunique()) > _MAX_LEVELS,
            )
        )
    return tuple(features), tuple(notices)


def _unusable(values: pd.Series, *, kind: str, declared: bool) -> str:
    n, distinct = int(values.notna().sum()), int(values.nunique())
    if n == 0:
        return "empty in the training part, not a feature"
    if distinct == 1 and n == len(values):
        return "constant in the training part, not a feature"
    if kind == "category" and not declared and distinct >= _MIN_LEVELS_OF_TEXT:
        if distinct > _MAX_LEVELS:
            count = values.value_counts()
            share = float(count[count >= _COMMON].sum()) / n
            if share >= _MIN_COMMON_SHARE:
                return ""  # a long list, but most leads have one of its common levels; the rest is "other"
            return (
                f"{distinct:,} distinct values, only {share:.0%} of the leads have one that {_COMMON} leads "
                "share: free text is not a feature"
            )
        if distinct > _MAX_UNIQUE_SHARE * n:
            return f"{distinct:,} distinct values in {n:,} leads: free text is not a feature"
    return ""


def _levels_of(values: pd.Series) -> tuple[str, ...]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return tuple(str(level) for level in values.cat.categories)
    return tuple(sorted({str(value) for value in values.dropna()}))


def compute_features(
    frame: pd.DataFrame, features: Sequence[Feature], *, clock: Sequence[str] = ()
) -> pd.DataFrame:
    """Take the features from a frame of leads; dates become days before the handoff.

    Parameters
    ----------
    frame : DataFrame
        Leads in contract columns; more columns are ignored, their order does not matter.
    features : sequence of Feature
        What the model was trained on.
    clock : sequence of str
        Columns that date a lead, the first that is filled counts (handed over, else created).

    Returns
    -------
    DataFrame
        One column per feature, the index of `frame`.

    Raises
    ------
    LeadsError
        If an attribute is missing from the frame, or a date is none.
    """
    absent = [feature.name for feature in features if feature.name not in frame.columns]
    if absent:
        names = ", ".join(sorted(absent)[:5]) + (", …" if len(absent) > 5 else "")
        raise LeadsError(
            f"leads: {len(absent)} attributes of the model are missing: {names}. Map them in the contract."
        )
    columns: dict[str, Any] = {}
    for feature in features:
        values = frame[feature.name]
        columns[feature.name] = _age(values, frame, clock) if feature.kind == "age" else values
    return pd.DataFrame(columns, index=frame.index)


def _age(values: pd.Series, frame: pd.DataFrame, clock: Sequence[str]) -> pd.Series:
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        if values.notna().any():
            raise LeadsError(f"attribute {values.name}: expected dates, got {values.dtype}.")
        return pd.Series(np.nan, index=values.index)
    start: pd.Series | None = None
    for name in clock:
        if name in frame.columns and pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
            start = frame[name] if start is None else start.fillna(frame[name])
    if start is None:
        return pd.Series(np.nan, index=values.index)
    return (_naive(start) - _naive(values)).dt.total_seconds() / 86_400


def _naive(values: pd.Series) -> pd.Series:
    return values if values.dt.tz is None else values.dt.tz_convert("UTC").dt.tz_localize(None)

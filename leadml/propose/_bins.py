"""Bins of an attribute's values: a lead is no more than one whole number per dial, in Python as in SQL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.definitions import compute_points

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from decimal import Decimal

    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Criterion, Definition

__all__ = ["Bins", "Cut", "cut_values", "find_met", "merge_bins", "read_numbers", "sample_bins", "tabulate"]

_TABLE_SIZE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How the values of an attribute are cut.

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
    """

    attribute: str
    edges: tuple[float, ...]
    levels: tuple[str, ...] = ()
    others: Literal["apart", "missing"] = "apart"
    scale: int = 1

    @property
    def n(self) -> int:
        """Number of bins."""
        return 2 * len(self.edges) + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """How a lead's bin follows from its attributes; the same in Python and in SQL.

    Attributes
    ----------
    cuts : tuple of Cut
        The place in the first one counts most.
    rules : tuple of Criterion
        One bit each is appended to the bin: whether the criterion is met.
    """

    cuts: tuple[Cut, ...] = ()
    rules: tuple[Criterion, ...] = ()

    @property
    def n(self) -> int:
        """Number of bins."""
        return math.prod(cut.n for cut in self.cuts) << len(self.rules)


def merge_bins(
    raw: NDArray[np.integer], table: NDArray[np.uint8]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint16]]:
    """Join the bins that no alternative tells apart."""
    kept, inverse = np.unique(table, axis=1, return_inverse=True)
    merge = inverse.ravel().astype(np.uint16)
    return merge[raw], np.ascontiguousarray(kept), merge


def read_numbers(
    definition: Definition, attribute: Attribute, leads: pd.DataFrame, as_of: date | None
) -> NDArray[np.float64]:
    """Return the values of a number or of a score."""
    if any(score.name == attribute.name for score in definition.points):
        return compute_points(definition, leads, as_of=as_of)[attribute.name].to_numpy(np.float64)
    return leads[attribute.name].to_numpy(dtype=np.float64, na_value=np.nan)


def _values(
    cut: Cut, attribute: Attribute, definition: Definition, leads: pd.DataFrame, as_of: date | None
) -> NDArray[np.float64]:
    """Return what is cut: numbers, or the places of texts among the levels."""
    if not cut.levels:
        return read_numbers(definition, attribute, leads, as_of)
    column = leads[attribute.name]
    if attribute.type == "boolean":
        return np.asarray(column.astype("boolean").to_numpy(dtype=np.float64, na_value=np.nan), np.float64)
    places = _positions(cut.levels, column)
    return np.where((places < 0) & (cut.others == "missing"), np.nan, places)


def _positions(levels: tuple[str, ...], column: pd.Series[Any]) -> NDArray[np.float64]:
    """Return the place of each text among the levels; -1 for another text, NaN for a missing one."""
    ranks = {level: float(position) for position, level in enumerate(levels)}
    coded = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    places = [ranks.get(str(text), -1.0) for text in coded.cat.categories]
    return np.array([*places, np.nan])[coded.cat.codes.to_numpy()]


def tabulate(
    criteria: list[Criterion],
    attribute: Attribute,
    definition: Definition,
    leads: pd.DataFrame,
    as_of: date | None,
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], Cut]:
    """Cut an attribute's values at everything the criteria mention: at, between and beyond; missing last.

    Returns
    -------
    tuple
        The bin of every lead, which bins meet each criterion, and the cut.
    """
    ranks = {level: position for position, level in enumerate(attribute.levels)}
    if attribute.type == "boolean":
        ranks = {"False": 0, "True": 1}
    edges = {_as_number(value, ranks) for criterion in criteria for value in criterion.values}  # noqa: PD011
    cut = Cut(
        attribute=attribute.name,
        edges=tuple(sorted(edges)) if attribute.type != "boolean" else (0.0, 1.0),
        levels=() if attribute.is_numeric else tuple(ranks),
        others="missing" if attribute.type == "ordinal" else "apart",
    )
    raw = cut_values(_values(cut, attribute, definition, leads, as_of), np.array(cut.edges))
    samples = sample_bins(cut.edges)
    table = np.array([[*find_met(criterion, samples, ranks), criterion.or_missing] for criterion in criteria])
    return raw, table, cut


def sample_bins(edges: tuple[float, ...]) -> NDArray[np.float64]:
    """Return one value for each bin but the last: below the first edge, at it, between and so on."""
    at = np.array(edges)
    samples = np.empty(2 * len(at) + 1)
    samples[1::2] = at
    samples[0], samples[-1] = at[0] - 1, at[-1] + 1
    samples[2:-1:2] = (at[:-1] + at[1:]) / 2
    return samples


def cut_values(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.uint16]:
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
                table = cut_values(np.arange(low, high + 1), edges)
                return np.where(missing, np.uint16(last), table[offset])
    found = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    return np.where(missing, last, found).astype(np.uint16)


def _as_number(value: Decimal | str | bool, ranks: dict[str, int]) -> float:  # noqa: FBT001
    # A level nobody declared stands beside all others (-1 is "another text").
    return float(ranks.get(value, -2)) if isinstance(value, str) else float(value)


def find_met(criterion: Criterion, x: NDArray[np.float64], ranks: dict[str, int]) -> NDArray[np.bool_]:
    """Return which numbers meet a criterion; texts are their places."""
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

"""Every criterion that may stand behind a word: round thresholds, levels, short lists of levels."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from math import floor, log10, nan
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from leadml.definitions import Criterion, format_criterion, parse_criterion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from leadml.definitions import Attribute

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["FEWEST", "Candidate", "build_candidates"]

FEWEST = 10
"""Leads on either side of the word, in either part, below which nothing is tried."""
_MAX_CUTS = 40
_MAX_LISTED = 4
"""Levels that one criterion may list: a longer list is not said but enumerated."""
_NATURAL = {
    "months": "1 2 3 6 9 12 18 24 36 48 60",
    "weeks": "1 2 3 4 6 8 12 16 26 52",
    "days": "1 2 3 5 7 10 14 21 30 45 60 90 120 180 270 365 730",
    "hours": "1 2 4 6 8 12 24 36 48 72 96 168",
    "seconds": "5 10 15 30 60 90 120 180 240 300 600 900 1200 1800 3600",
    "minutes": "1 2 3 5 10 15 20 30 45 60 90 120 240",
}
"""Round numbers of time."""
_MANTISSAS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0)
_ROUNDEST = {1.0: 0, 5.0: 1, 2.0: 1}


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One criterion that may be used, with the leads that meet it."""

    attribute: str
    text: str
    mask: Mask
    cost: int  # the lower, the rounder


def build_candidates(
    usable: Iterable[Attribute], frame: pd.DataFrame, searched: NDArray[np.int64], answers: Floats
) -> list[Candidate]:
    """Return every criterion that says yes for some of the searched leads and no for others."""
    tests: list[Candidate] = []
    seen: set[bytes] = set()
    for attribute in usable:
        series = frame[attribute.name]
        missing = series.isna().to_numpy(dtype=bool)
        made = list(_make(attribute, series, searched, answers))
        made.sort(key=lambda one: one[2])
        for criterion, mask, cost in made:
            versions = [(criterion, mask & ~missing, cost)]
            if missing[searched].sum() >= FEWEST:
                versions.append((_or_missing(criterion), mask | missing, cost + 1))
            for one, meets, price in versions:
                part = meets[searched]
                mark = np.packbits(part).tobytes()
                if FEWEST <= part.sum() <= len(part) - FEWEST and mark not in seen:
                    seen.add(mark)
                    text = format_criterion(one)
                    parse_criterion(text, attributes={attribute.name: attribute})
                    tests.append(Candidate(attribute.name, text, meets, price))
        n_missing = int(missing[searched].sum())
        if FEWEST <= n_missing <= len(searched) - FEWEST:
            tests.append(Candidate(attribute.name, f"{attribute.name} is known", ~missing, 3))
            tests.append(Candidate(attribute.name, f"{attribute.name} is missing", missing, 3))
    return tests


def _criterion(attribute: Attribute, operator: str, *values: Decimal | str) -> Criterion:
    return Criterion(
        address=attribute.name,
        attribute=attribute.name,
        operator=cast("Any", operator),
        values=values,
        text="",
    )


def _or_missing(criterion: Criterion) -> Criterion:
    return Criterion(
        address=criterion.address,
        attribute=criterion.attribute,
        operator=criterion.operator,
        values=criterion.values,
        or_missing=True,
        text="",
    )


def _make(
    attribute: Attribute, series: pd.Series[Any], searched: NDArray[np.int64], answers: Floats
) -> Iterator[tuple[Criterion, Mask, int]]:
    if attribute.is_numeric:
        yield from _make_thresholds(attribute, series, searched)
    elif attribute.type == "boolean":
        yes = series.astype("boolean").fillna(value=False).to_numpy(dtype=bool)
        yield _criterion(attribute, "is true"), yes, 0
        yield _criterion(attribute, "is false"), ~yes, 0
    elif attribute.type == "ordinal":
        place = {level: number for number, level in enumerate(attribute.levels)}
        ranks = series.astype(object).map(place).to_numpy(dtype=float, na_value=nan)
        for number, level in enumerate(attribute.levels):
            yield _criterion(attribute, ">=", level), ranks >= number, 0
            yield _criterion(attribute, "<=", level), ranks <= number, 0
            yield _criterion(attribute, "=", level), ranks == number, 1
    else:
        yield from _make_level_sets(attribute, series, searched, answers)


def _make_thresholds(
    attribute: Attribute, series: pd.Series[Any], searched: NDArray[np.int64]
) -> Iterator[tuple[Criterion, Mask, int]]:
    numbers = series.to_numpy(dtype=float, na_value=nan)
    cuts = _cuts(attribute, numbers[searched])
    for cut, cost in cuts:
        yield _criterion(attribute, ">=", cut), numbers >= float(cut), cost
        yield _criterion(attribute, "<=", cut), numbers <= float(cut), cost
    for (low, first), (high, second) in combinations(cuts, 2):
        inside = (numbers >= float(low)) & (numbers <= float(high))
        yield _criterion(attribute, "between", low, high), inside, first + second + 2


def _cuts(attribute: Attribute, numbers: Floats) -> list[tuple[Decimal, int]]:
    """Return the round numbers at which a threshold may stand, each with how odd it is."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return []
    if attribute.steps:
        return [(step, 0) for step in attribute.steps]
    low, high = np.quantile(known, [0.02, 0.98])
    natural = _NATURAL.get((attribute.unit or "").strip().lower())
    cuts: dict[Decimal, int] = {}
    if natural is not None:
        cuts = {Decimal(text): 0 for text in natural.split()}
    else:
        for sign in (-1, 1):
            top = max(sign * high, sign * low)
            if top > 0:
                least = max(min(abs(low), abs(high)) if low * high > 0 else top / 1000, top / 1e6)
                for power in range(floor(log10(least)), floor(log10(top)) + 1):
                    cuts |= {
                        (sign * Decimal(str(mantissa)).scaleb(power)).normalize(): _ROUNDEST.get(mantissa, 2)
                        for mantissa in _MANTISSAS
                    }
        if low <= 0 <= high:
            cuts[Decimal(0)] = 0
    if attribute.type == "integer":
        cuts = {cut: cost for cut, cost in cuts.items() if cut == cut.to_integral_value()}
    inside = sorted((cut + 0, cost) for cut, cost in cuts.items() if low <= float(cut) <= high)
    while len(inside) > _MAX_CUTS:
        odd = max(cost for _, cost in inside)
        fewer = [pair for pair in inside if pair[1] < odd] or inside[::2]
        inside = fewer
    return inside


def _make_level_sets(
    attribute: Attribute, series: pd.Series[Any], searched: NDArray[np.int64], answers: Floats
) -> Iterator[tuple[Criterion, Mask, int]]:
    """Return single levels, and the sets of those levels that people call by the word most often."""
    texts = np.array([None if pd.isna(value) else str(value) for value in series], dtype=object)
    part = pd.DataFrame({"level": texts[searched], "yes": np.nanmean(answers[searched], axis=1)}).dropna()
    rates = part.groupby("level")["yes"].agg(["size", "mean"])
    rates = rates[rates["size"] >= FEWEST / 2].sort_values("mean", ascending=False, kind="stable")
    levels = [str(level) for level in rates.index]
    for level in levels:
        yield _criterion(attribute, "=", level), np.asarray(texts == level, dtype=np.bool_), 0
        yield _criterion(attribute, "!=", level), np.asarray(texts != level, dtype=np.bool_), 1
    for size in range(2, min(len(levels) - 1, _MAX_LISTED) + 1):
        inside = np.isin(texts.astype(str), levels[:size])
        yield _criterion(attribute, "in", *sorted(levels[:size])), inside, size
        last = np.isin(texts.astype(str), levels[-size:])
        yield _criterion(attribute, "not in", *sorted(levels[-size:])), ~last, size + 1

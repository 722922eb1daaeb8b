"""Values that are a kind of lead of their own: having no value, or standing beyond a switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._audit_leaks import labelled
from leadml.leads._audit_values import looks_missing
from leadml.leads._finding import AuditFinding, share, show_level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from leadml.leads._contract import Column
    from leadml.leads._table import LeadTable

__all__ = ["audit_kinds"]

_LEAST = 50
_LEAST_WORDS = 20
_N_BINS = 40
_KIND_SHARE = 0.03
_STEP_SHARE = 0.9
_STEP_RISE = 0.3
_RATIO = 1.75


def audit_kinds(
    table: LeadTable, targets: pd.DataFrame, *, told: Collection[str] = (), explained: Collection[str] = ()
) -> Iterator[AuditFinding]:
    """Yield attributes whose missing values, or whose two halves, are different kinds of leads.

    That the columns `told` tell by their missing values is said already; the columns `explained` follow the
    calendar, so that a step in them is a change over time.
    """
    for column in table.contract.columns:
        if column.role != "attribute" or column.name not in table.frame.columns or column.known_at == "after":
            continue
        values = table.frame[column.name]
        for finder, skip in ((_no_value, told), (_step, explained)):
            if column.name in skip:
                continue
            for target, known, y in labelled(targets):
                found = finder(column, values[known], y, target)
                if found is not None:
                    yield found
                    break
        yield from _two_ways(column, values)


def _no_value(
    column: Column, values: pd.Series[Any], y: NDArray[np.float64], target: str
) -> AuditFinding | None:
    """Tell a column whose leads without a value (blank or a word for it) have another rate than the rest."""
    parts = _empty_parts(column, values)
    empty = np.logical_or.reduce([rows for _, rows in parts]) if parts else np.zeros(len(y), dtype=bool)
    n, rest = int(empty.sum()), int((~empty).sum())
    if min(n, rest) < _LEAST:
        return None
    rate, other, pooled = float(y[empty].mean()), float(y[~empty].mean()), float(y.mean())
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / rest))
    low, high = sorted((rate, other))
    if high - low < 5 * error or high < _RATIO * low:
        return None
    shown = {word: (int(rows.sum()), float(y[rows].mean())) for word, rows in parts}
    words = ", ".join(
        f"{share(each)} where it is {word} ({count:,})" for word, (count, each) in shown.items()
    )
    return AuditFinding(
        code="missing_is_a_kind",
        severity="warning" if rate > other else "note",
        column=column.name,
        message=f"{target} is {words}, {share(other)} where it says something: having no value goes with the"
        " outcome. Keep it as a kind of its own; do not fill it in or leave these leads out.",
        evidence={
            "target": target,
            "rate_missing": round(rate, 4),
            "rate_filled": round(other, 4),
            "missing": n,
            "kinds": {word: {"n": count, "rate": round(each, 4)} for word, (count, each) in shown.items()},
        },
    )


def _empty_parts(column: Column, values: pd.Series[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the ways in which the column says nothing, and where."""
    parts = []
    blank = values.isna().to_numpy()
    if blank.any():
        parts.append(("blank", blank))
    if isinstance(values.dtype, pd.CategoricalDtype):
        for level, count in values.value_counts().items():
            if count >= _LEAST_WORDS and looks_missing(str(level)) and level not in column.levels:
                parts.append((repr(show_level(level, int(count))), (values == level).to_numpy(dtype=bool)))
    return parts


def _two_ways(column: Column, values: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield a note if a column is blank for some leads and says a word for "no value" for others."""
    parts = _empty_parts(column, values)
    if len(parts) < 2 or parts[0][0] != "blank" or parts[0][1].sum() < _LEAST_WORDS:
        return
    counts = {word: int(rows.sum()) for word, rows in parts}
    words = ", ".join(f"{word} in {count:,} leads" for word, count in counts.items())
    yield AuditFinding(
        code="missing_in_two_ways",
        severity="note",
        column=column.name,
        message=f"it is {words}: two kinds of having no value, or a word such as None or NA that an earlier"
        " reading took for one. Ask what a blank means.",
        evidence={"kinds": counts},
    )


def _step(column: Column, values: pd.Series[Any], y: NDArray[np.float64], target: str) -> AuditFinding | None:
    """Tell a number whose rate is a switch: flat, then far higher or lower from one value on."""
    if column.type not in {"number", "integer"}:
        return None
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    numbers, y = numbers[known], y[known]
    if len(numbers) and (numbers == numbers.min()).mean() >= _KIND_SHARE:  # it may be a kind of its own
        y, numbers = y[numbers > numbers.min()], numbers[numbers > numbers.min()]
    if len(numbers) < 10 * _LEAST:
        return None
    edges = np.unique(np.quantile(numbers, np.linspace(0.0, 1.0, _N_BINS + 1)))[1:-1]
    if len(edges) < 7:
        return None
    place = np.searchsorted(edges, numbers, side="right")
    size = np.bincount(place, minlength=len(edges) + 1).astype(np.float64)
    positive = np.bincount(place, weights=y, minlength=len(edges) + 1).astype(np.float64)
    found = _best_step(size, positive)
    if found is None:
        return None
    cut, explained = found
    below, above = numbers < edges[cut], numbers >= edges[cut]
    flank = len(numbers) // 10
    order = np.argsort(numbers, kind="stable")
    middle = int(below.sum())
    near = float(y[order[max(middle - flank, 0) : middle]].mean())
    far = float(y[order[middle : middle + flank]].mean())
    if abs(far - near) < _STEP_RISE:
        return None
    return AuditFinding(
        code="rate_jump",
        severity="warning",
        column=column.name,
        message=f"{target} is {share(near)} just below {edges[cut]:g} and {share(far)} from there on, and"
        " hardly changes on either side: a switch, not a scale. Something else begins there, or it goes on"
        " counting after the outcome; find out when it is written.",
        evidence={
            "target": target,
            "from": float(edges[cut]),
            "rate_below": round(float(y[below].mean()), 4),
            "rate_above": round(float(y[above].mean()), 4),
            "just_below": round(near, 4),
            "just_above": round(far, 4),
            "explained": round(explained, 3),
        },
    )


def _best_step(size: NDArray[np.float64], positive: NDArray[np.float64]) -> tuple[int, float] | None:
    """Return after which bin the best single step lies, and which share of the spread it explains."""
    n, base = size.sum(), positive.sum() / size.sum()
    spread = float((size * (positive / np.maximum(size, 1) - base) ** 2).sum())
    left, wins = np.cumsum(size)[:-1], np.cumsum(positive)[:-1]
    right = n - left
    between = left * (wins / left - base) ** 2 + right * ((positive.sum() - wins) / right - base) ** 2
    between[(left < 0.1 * n) | (right < 0.1 * n)] = 0.0
    cut = int(np.argmax(between))
    if spread <= 0 or between[cut] < _STEP_SHARE * spread:
        return None
    return cut, float(between[cut] / spread)

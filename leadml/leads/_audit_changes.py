"""Attributes that changed in the middle of the export: filled from some day on, renamed, in another unit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._finding import AuditFinding, share, show_level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from leadml.leads._contract import Column
    from leadml.leads._table import LeadTable

__all__ = ["audit_changes"]

_LEAST = 50
_LEAST_EXPECTED = 20.0  # leads that a level should have had after its last one (before its first one)
_LEAST_SHARE = 0.1
_LEAST_RATIO = 5.0
_ALIKE = 0.15  # how far the area under the curve may be from one half within a part


def audit_changes(
    table: LeadTable, targets: pd.DataFrame, *, explained: Collection[str] = ()
) -> Iterator[AuditFinding]:
    """Yield attributes that mean something else before and after some day.

    The columns `explained` follow the calendar: that they change is said already. Without dates leads stand
    in the order of some number, perhaps sorted by region; values that end there are then no change.
    """
    start = targets["t0"]
    known = start.notna().to_numpy()
    if known.sum() < 10 * _LEAST:
        return
    order = np.argsort(start[known].to_numpy(), kind="stable")
    moments = start[known].to_numpy()[order]
    dated = moments.dtype.kind == "M"
    for column in table.contract.columns:
        if column.role != "attribute" or column.name not in table.frame.columns:
            continue
        values = table.frame[column.name][known].iloc[order]
        yield from _filling(column, values)
        if not dated or column.known_at == "after" or column.name in explained:
            continue
        if isinstance(values.dtype, pd.CategoricalDtype):
            yield from _levels(column, values, moments)
        elif column.type in {"number", "integer"}:
            yield from _unit(column, values, moments)


def _filling(column: Column, values: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield an attribute that began or ceased to be filled at some time."""
    parts = [float(part.mean()) for part in np.array_split(values.notna().to_numpy(), 10)]
    jump = max(abs(after - before) for before, after in itertools.pairwise(parts))
    if abs(parts[0] - parts[-1]) < 0.5 or jump < 0.3:
        return
    yield AuditFinding(
        code="schema_change",
        severity="warning",
        column=column.name,
        message=f"is filled in {share(parts[0])} of the oldest tenth and {share(parts[-1])} of the newest:"
        " the form or the field changed. A model takes that for a property of the lead.",
        evidence={"filled": [round(part, 4) for part in parts]},
    )


def _levels(column: Column, values: pd.Series[Any], moments: NDArray[np.generic]) -> Iterator[AuditFinding]:
    """Yield a category in which some values end where others begin, with about the same share."""
    codes = values.cat.codes.to_numpy()[values.notna().to_numpy()]
    moments = moments[values.notna().to_numpy()]
    n = len(codes)
    if n < 10 * _LEAST:
        return
    levels, size = np.unique(codes, return_counts=True)
    levels, size = levels[size >= _LEAST], size[size >= _LEAST]
    first = np.array([int(np.argmax(codes == level)) for level in levels])
    last = np.array([n - 1 - int(np.argmax(codes[::-1] == level)) for level in levels])
    rate = size / np.maximum(last - first + 1, 1)
    ended = (rate * (n - 1 - last) >= _LEAST_EXPECTED) & (rate * first < _LEAST_EXPECTED)
    begun = (rate * first >= _LEAST_EXPECTED) & (rate * (n - 1 - last) < _LEAST_EXPECTED)
    if not ended.any() or not begun.any():
        return
    # The last lead of a level lies about 1 / rate leads before its end, the first one as far after its begin.
    cut = int(last[ended][np.argmax(size[ended])])
    slack = 10.0 / rate
    gone, come = ended & (np.abs(last - cut) <= slack), begun & (np.abs(first - cut) <= slack)
    before, after = (
        min(float(size[rows].sum() / leads), 1.0) for rows, leads in ((gone, cut + 1), (come, n - 1 - cut))
    )
    if min(before, after) < _LEAST_SHARE or not 0.5 <= before / after <= 2.0:
        return
    day = _day(moments[cut])
    names = {
        side: [str(values.cat.categories[code]) for code in levels[rows]]
        for side, rows in (("gone", gone), ("come", come))
    }
    counts = dict(zip((str(values.cat.categories[code]) for code in levels), size.tolist(), strict=True))
    shown = {
        side: ", ".join(repr(show_level(each, counts[each])) for each in found[:3])
        + (", …" if len(found) > 3 else "")
        for side, found in names.items()
    }
    yield AuditFinding(
        code="levels_replaced",
        severity="warning",
        column=column.name,
        message=f"{shown['gone']} ({share(before)} of the leads until then) end about {day}, where"
        f" {shown['come']} ({share(after)} from then on) begin: renamed, or another system. Declare which is"
        " which; as they are, a criterion on either looks at one side only.",
        evidence={
            "about": day,
            "ended": len(names["gone"]),
            "begun": len(names["come"]),
            "share_before": round(before, 4),
            "share_after": round(after, 4),
        },
    )


def _unit(column: Column, values: pd.Series[Any], moments: NDArray[np.generic]) -> Iterator[AuditFinding]:
    """Yield a number that is multiplied by one factor from some day on, its shape unchanged."""
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = numbers > 0
    logs, moments = np.log10(numbers[known]), moments[known]
    if len(logs) < 10 * _LEAST or len(np.unique(logs)) < 5:
        return
    cut = _sharpest(logs)
    before, after = logs[:cut], logs[cut:]
    shift = float(np.median(after) - np.median(before))
    spread = [float(np.subtract(*np.quantile(part, [0.9, 0.1]))) for part in (before, after)]
    if (
        min(len(before), len(after)) < 2 * _LEAST
        or abs(shift) < np.log10(_LEAST_RATIO)
        or not 0.67 <= (spread[0] + 0.1) / (spread[1] + 0.1) <= 1.5
        or not all(_steady(part) for part in (before, after))
    ):
        return
    factor = 10.0 ** abs(shift)
    yield AuditFinding(
        code="unit_change",
        severity="warning",
        column=column.name,
        message=f"its values are about {factor:,.0f} times {'larger' if shift > 0 else 'smaller'} from"
        f" {_day(moments[cut])} on, spread as before: another unit or system. Bring both to one unit.",
        evidence={
            "from": _day(moments[cut]),
            "factor": round(10.0**shift, 6),
            "median_before": round(float(10.0 ** np.median(before)), 6),
            "median_after": round(float(10.0 ** np.median(after)), 6),
        },
    )


def _sharpest(logs: NDArray[np.float64]) -> int:
    """Return where the mean changes most: the split with the largest sum of squares between its sides."""
    n = len(logs)
    total = np.cumsum(np.clip(logs, *np.quantile(logs, [0.01, 0.99])))
    left = np.arange(1, n)
    between = (total[:-1] - total[-1] * left / n) ** 2 / (left * (n - left))
    return int(np.argmax(between)) + 1


def _steady(part: NDArray[np.float64]) -> bool:
    """Say whether the first and the second half of a part are spread alike."""
    from scipy.stats import mannwhitneyu

    first, second = np.array_split(part, 2)
    area = float(mannwhitneyu(first, second).statistic) / (len(first) * len(second))
    return abs(area - 0.5) <= _ALIKE


def _day(moment: np.generic) -> str:
    return str(moment)[:10]

"""Time: censored cohorts, truncated outcomes, batches, dates in disguise, drift, dates out of order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.leads._clock import naive, start_of
from leadml.leads._finding import AuditFinding, share, show_level
from leadml.leads._lags import SHORTEST_WINDOW, compute_lag_curve
from leadml.leads._rates import cell_codes, column_auc
from leadml.leads._targets import target_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from leadml.leads._table import LeadTable

__all__ = ["audit_time"]

_LEAST = 50
_TIMED: tuple[tuple[Literal["accepted", "won"], str, str], ...] = (
    ("accepted", "verdict", "verdicts"),
    ("won", "outcome", "won deals"),
)


def audit_time(table: LeadTable, targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield findings about when things happened."""
    start = start_of(table)
    dated = start.dtype.kind == "M"
    yield from _special_values(table, targets)
    yield from _date_proxies(table, start)
    yield from _drift(targets)
    if not dated:
        return
    yield from _windows(table, targets)
    yield from _censoring(table, targets, start)
    yield from _truncation(table, start)
    yield from _batches(table, targets, start)
    yield from _order(table)


def _windows(table: LeadTable, targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield how long each target takes, what its window holds of that, and how many leads are too young."""
    for target, role, what in _TIMED:
        curve, days = compute_lag_curve(table, target=target), target_windows(table)[target]
        if days is None or not len(curve):
            continue
        declared = getattr(table.contract, f"windows_{role}")
        inside = (
            float(curve.loc[curve["days"] <= days, "share"].max()) if curve["days"].iloc[0] <= days else 0.0
        )
        median, most = (
            int(curve["days"].iloc[np.searchsorted(curve["share"], at - 1e-9)]) for at in (0.5, 0.9)
        )
        young = int((~targets[f"{target}_mature"] & targets["worked"]).sum())
        source = "the 90 % point" if days > SHORTEST_WINDOW else "never shorter"
        source = "the contract" if declared else source
        tail = " Many come later and count as not " + target + "." if inside < 0.75 else ""
        yield AuditFinding(
            code="maturity_window",
            severity="warning" if inside < 0.5 else "note",
            column=_name(table, role),
            message=f"half of the {what} come within {median} days, 90 % within {most} (lag curve, corrected"
            f" for young leads); the window of {days} days ({source}) holds {share(inside)}."
            f" {young:,} leads are younger: not judged.{tail}",
            evidence={
                "target": target,
                "window_days": days,
                "from": "contract" if declared else "data",
                "inside": round(inside, 4),
                "lag_50_days": median,
                "lag_90_days": most,
                "n_events": int(curve["n_events"].sum()),
                "too_young": young,
            },
        )


def _censoring(table: LeadTable, targets: pd.DataFrame, start: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield a warning if the newest cohorts are mostly without a label yet."""
    verdict = table.role("verdict")
    for role, rest in (("verdict", "pending"), ("outcome", "open")):
        labels = table.role(role)
        if labels is None:
            continue
        worked = targets["worked"].to_numpy() if role == "outcome" else np.ones(len(labels), dtype=bool)
        if role == "verdict" and table.role("handed_over") is not None:
            worked = targets["worked"].to_numpy()
        if role == "outcome" and verdict is not None:  # what Sales rejected waits for no deal
            worked = worked & (verdict != "rejected").to_numpy()
        rows = worked & start.notna().to_numpy()
        waiting = (labels == rest).to_numpy()[rows]
        quarter = start[rows].dt.to_period("Q").astype(str).to_numpy(dtype=object)
        names, place = (
            np.unique(quarter, return_inverse=True) if len(quarter) else (np.array([]), np.array([]))
        )
        if len(names) < 3:
            continue
        size = np.bincount(place)
        rate = np.bincount(place, weights=waiting) / size
        enough = size >= 20
        if enough.sum() < 3:
            continue
        first, last = float(rate[enough][:2].mean()), float(rate[enough][-1])
        if last - first < 0.15:
            continue
        target = "accepted" if role == "verdict" else "won"
        yield AuditFinding(
            code="censored_cohorts",
            severity="warning",
            column=_name(table, role),
            message=f"{share(first)} of the oldest cohorts are still {rest}, {share(last)} of the newest"
            f" ({names[enough][-1]}): the newest have had no time. Judge only matured leads.",
            evidence={
                "by_period": {
                    str(name): round(float(value), 4) for name, value in zip(names, rate, strict=True)
                },
                "window_days": target_windows(table)[target],
                **_lags(table, role, start),
            },
        )


def _lags(table: LeadTable, role: str, start: pd.Series[Any]) -> dict[str, float]:
    ended = table.role("decided" if role == "verdict" else "closed")
    labels = table.role(role)
    if ended is None or labels is None:
        return {}
    happened = (
        labels.isin(["accepted", "won"]).to_numpy() & ended.notna().to_numpy() & start.notna().to_numpy()
    )
    if not happened.any():
        return {}
    lag = (naive(ended) - start).dt.days.to_numpy(dtype=np.float64)[happened]
    low, high, most = (float(np.quantile(lag, at)) for at in (0.5, 0.9, 1.0))
    return {"lag_median_days": low, "lag_90_days": high, "lag_max_days": most}


def _truncation(table: LeadTable, start: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield a warning if no result is recorded before a date though leads were there to have one."""
    for role, label, value in (("closed", "outcome", "won"), ("decided", "verdict", "accepted")):
        ended, labels = table.role(role), table.role(label)
        if ended is None or labels is None:
            continue
        rows = ((labels == value) & ended.notna() & start.notna()).to_numpy()
        if rows.sum() < 20:
            continue
        days = naive(ended)[rows].sort_values()
        first = days.iloc[min(2, len(days) - 1)]  # two early typing errors do not hide a gap
        begin = start.min()
        lag = (naive(ended)[rows] - start[rows]).dt.days.clip(lower=0).to_numpy(dtype=np.float64)
        usual = float(np.median(lag))
        exposed = ((start < first - pd.Timedelta(days=usual)) & start.notna()).to_numpy()
        after = (start >= first).to_numpy()
        if exposed.sum() < _LEAST or after.sum() < _LEAST:
            continue
        # Wins within the usual lag, per lead that begins after the first record: what the earlier leads
        # would have shown before that day.
        quick = rows.copy()
        quick[rows] = lag <= usual
        expected = float(exposed.sum() * quick[after].mean())
        if expected < 10 or (first - begin).days < 30:
            continue
        yield AuditFinding(
            code="left_truncation",
            severity="warning",
            column=_name(table, role),
            message=f"nothing is recorded as {value} before {days.iloc[0].date()}, though"
            f" {int(exposed.sum()):,}"
            f" leads began long enough before (about {expected:.0f} would be expected): recording began late."
            " Leave those cohorts out of every rate.",
            evidence={
                "first_recorded": str(days.iloc[0].date()),
                "first_lead": str(begin.date()),
                "exposed": int(exposed.sum()),
                "expected": round(expected, 1),
            },
        )


def _batches(table: LeadTable, targets: pd.DataFrame, start: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield levels that entered in one batch, and whether the column tells anything without it."""
    known = start.notna().to_numpy()
    if known.sum() < 4 * _LEAST:
        return
    day = start[known].to_numpy(dtype="datetime64[D]").astype(np.int64)
    span = int(day.max() - day.min()) + 1
    if span < 120:
        return
    width = max(7, min(31, span // 12))
    for column in table.contract.columns:
        values = table.frame[column.name] if column.name in table.frame.columns else None
        if column.role != "attribute" or values is None or not isinstance(values.dtype, pd.CategoricalDtype):
            continue
        inside = values[known]
        sizes = inside.value_counts()
        for level, count in sizes.items():
            if count < max(_LEAST, 0.02 * len(day)):
                break
            mine = (inside == level).to_numpy()
            begin, packed = _densest(day[mine], width)
            window = (day >= begin) & (day < begin + width)
            others = float(window[~mine].mean()) if (~mine).any() else 1.0
            if packed < 0.9 or others > 0.5:
                continue
            first = np.datetime64(int(begin), "D")
            last = np.datetime64(int(day[mine & window].max()), "D")
            evidence: dict[str, Any] = {
                "level": show_level(level, int(count)),
                "n": int(count),
                "share_in_batch": round(packed, 4),
                "from": str(first),
                "to": str(last),
                **_signal_without(values, targets, level),
            }
            tail = ""
            if "auc" in evidence:
                tail = f" The column tells {evidence['target']} with AUC {evidence['auc']:.2f}, without it"
                tail += f" {evidence['auc_without']:.2f}."
            yield AuditFinding(
                code="batch_upload",
                severity="warning",
                column=column.name,
                message=f"{show_level(level, int(count))!r}: {share(packed)} of its {int(count):,} leads came"
                f" between {first} and {last}: one batch, not a kind of lead.{tail}",
                evidence=evidence,
            )


def _densest(days: NDArray[np.int64], width: int) -> tuple[int, float]:
    """Return the first day of the `width` days that hold most of `days`, and their share."""
    ordered = np.sort(days)
    ends = np.searchsorted(ordered, ordered + width, side="left")
    held = ends - np.arange(len(ordered))
    best = int(np.argmax(held))
    return int(ordered[best]), float(held[best] / len(ordered))


def _signal_without(values: pd.Series[Any], targets: pd.DataFrame, level: object) -> dict[str, Any]:
    for target in ("won", "accepted"):
        y = targets[target].to_numpy(dtype=np.float64)
        known = ~np.isnan(y)
        rest = known & (values != level).to_numpy()
        if min(y[known].sum(), (1 - y[known]).sum(), y[rest].sum(), (1 - y[rest]).sum()) < 20:
            continue
        codes = cell_codes(values)
        mine = known & ~rest
        return {
            "target": target,
            "auc": round(column_auc(codes[known], y[known]), 3),
            "auc_without": round(column_auc(codes[rest], y[rest]), 3),
            "rate_batch": round(float(y[mine].mean()), 4) if mine.any() else None,
            "rate_rest": round(float(y[rest].mean()), 4),
        }
    return {}


def _date_proxies(table: LeadTable, start: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield attributes that hardly change between neighbours in time: a date in disguise."""
    known = start.notna().to_numpy()
    if known.sum() < 4 * _LEAST:
        return
    order = np.argsort(start[known].to_numpy(), kind="stable")
    moment = pd.factorize(start[known].to_numpy()[order])[0]
    for column in table.contract.columns:
        if column.role != "attribute" or column.name not in table.frame.columns:
            continue
        values = table.frame[column.name][known]
        codes, distinct = pd.factorize(values, use_na_sentinel=False)
        if len(distinct) < 4:
            continue
        codes = codes[order]
        shares = np.bincount(codes) / len(codes)
        chance = float((shares**2).sum())
        same = float((codes[1:] == codes[:-1]).mean())
        monotone = _monotone(values, order, moment)
        if not (same >= 0.9 and chance <= 0.5) and monotone < 0.98:
            continue
        told = f"neighbours in time share its value {share(same)} of the time, by chance {share(chance)}"
        if monotone >= 0.98:
            told = f"it goes with time: rank correlation {monotone:.2f}"
        yield AuditFinding(
            code="date_proxy",
            severity="warning",
            column=column.name,
            message=f"follows the calendar ({told}): it stands for the date, and what it seems to explain is"
            " a change over time.",
            evidence={
                "same_as_neighbour": round(same, 4),
                "by_chance": round(chance, 4),
                "rank_correlation": round(monotone, 3),
            },
        )


def _monotone(values: pd.Series[Any], order: NDArray[np.int64], moment: NDArray[np.int64]) -> float:
    """Return the absolute rank correlation of a number or date with time (0 for words)."""
    if values.dtype.kind == "M":
        numbers = values.to_numpy(dtype="datetime64[s]").astype(np.int64).astype(float)
        numbers[values.isna().to_numpy()] = np.nan
    elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        return 0.0
    pair = pd.DataFrame({"value": numbers[order], "moment": moment}).dropna()
    if len(pair) < _LEAST or pair["value"].nunique() < 4:
        return 0.0
    ranked = pair.rank()
    return abs(float(ranked["value"].corr(ranked["moment"])))


def _drift(targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield a warning if a target's rate moved far between the oldest and newest matured parts."""
    for target in ("won", "accepted"):
        y = targets[target].to_numpy(dtype=np.float64)
        start = targets["t0"]
        known = ~np.isnan(y) & targets[f"{target}_mature"].to_numpy(dtype=bool) & start.notna().to_numpy()
        if known.sum() < 10 * _LEAST:
            continue
        ordered = y[known][np.argsort(start[known].to_numpy(), kind="stable")]
        parts = list(np.array_split(ordered, 5))
        rates = np.array([part.mean() for part in parts])
        pooled = float(ordered.mean())
        error = np.sqrt(pooled * (1 - pooled) * 2 / len(parts[0]))
        high, low = max(rates[0], rates[-1]), min(rates[0], rates[-1])
        if high < 1.5 * max(low, 1e-9) or high - low < 5 * error:
            continue
        yield AuditFinding(
            code="target_drift",
            severity="warning",
            column=None,
            message=f"the {target} rate moved from {share(rates[0])} in the oldest fifth to"
            f" {share(rates[-1])} in"
            " the newest: a model of the past predicts another level. Confirm out of time.",
            evidence={"target": target, "rates": [round(float(rate), 4) for rate in rates]},
        )


def _special_values(table: LeadTable, targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield numbers whose lowest value behaves unlike its neighbours: it is a kind, not an amount."""
    for column in table.contract.columns:
        if (
            column.role != "attribute"
            or column.type not in {"number", "integer"}
            or column.known_at == "after"
        ):
            continue
        numbers = table.frame[column.name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        for target in ("won", "accepted"):
            y = targets[target].to_numpy(dtype=np.float64)
            known = ~np.isnan(y) & ~np.isnan(numbers)
            found = _special(numbers[known], y[known])
            if found is None:
                continue
            yield AuditFinding(
                code="special_value",
                severity="warning",
                column=column.name,
                message=f"{target} is {share(found['rate'])} at {found['value']:g} ({int(found['n']):,}"
                f" leads) but {share(found['rate_next'])} just above and rises from there:"
                f" {found['value']:g} is another kind of lead. Treat it apart (declare it missing).",
                evidence={"target": target, **found},
            )
            break


def _special(numbers: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float] | None:
    if len(numbers) < 10 * _LEAST:
        return None
    value = float(numbers.min())
    mine = numbers == value
    rest, label = numbers[~mine], y[~mine]
    if mine.mean() < 0.03 or mine.sum() < _LEAST or len(rest) < 5 * _LEAST:
        return None
    edges = np.quantile(rest, [0.2, 0.8])
    near, far = label[rest <= edges[0]], label[rest >= edges[1]]
    if len(near) < _LEAST or len(far) < _LEAST:
        return None
    rate, next_rate, far_rate = float(y[mine].mean()), float(near.mean()), float(far.mean())
    pooled = float(y.mean())
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / mine.sum() + 1 / len(near))))
    against = (rate - next_rate) * (far_rate - next_rate) > 0 and abs(far_rate - next_rate) > 4 * error
    if not against or abs(rate - next_rate) < 5 * error:
        return None
    return {
        "value": value,
        "n": float(mine.sum()),
        "rate": round(rate, 4),
        "rate_next": round(next_rate, 4),
        "rate_far": round(far_rate, 4),
    }


def _order(table: LeadTable) -> Iterator[AuditFinding]:
    """Yield dates that come before what they follow from."""
    roles = ("created", "handed_over", "decided", "closed")
    series = {role: table.role(role) for role in roles}
    dates = {
        role: naive(values).dt.normalize()
        for role, values in series.items()
        if values is not None and (values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype))
    }
    names = [role for role in roles if role in dates]
    for place, earlier in enumerate(names):
        for later in names[place + 1 :]:
            # A day and an instant of another zone may differ by one day though they are in order.
            slack = pd.Timedelta(days=int(_zoned(table, earlier) != _zoned(table, later)))
            wrong = (dates[later] + slack < dates[earlier]).to_numpy()
            if wrong.any():
                yield AuditFinding(
                    code="dates_out_of_order",
                    severity="warning",
                    column=_name(table, later),
                    message=f"{int(wrong.sum()):,} {'lead has' if wrong.sum() == 1 else 'leads have'} it"
                    f" before {_name(table, earlier)!r}.",
                    evidence={
                        "n": int(wrong.sum()),
                        "before": _name(table, earlier),
                        "lines": _lines(table, wrong),
                    },
                )
    for role, values in dates.items():
        future = (values > pd.Timestamp(table.as_of)).to_numpy()
        if role == "closed" and table.role("outcome") is not None:
            future = future & (table.role("outcome") != "open").to_numpy()  # type: ignore[union-attr]
        if future.any():
            yield AuditFinding(
                code="date_in_future",
                severity="warning",
                column=_name(table, role),
                message=f"{int(future.sum()):,} leads have it after the day of the export ({table.as_of}).",
                evidence={
                    "n": int(future.sum()),
                    "as_of": str(table.as_of),
                    "lines": _lines(table, future),
                },
            )


def _zoned(table: LeadTable, role: str) -> bool:
    column = table.contract.column_by_role(role)
    return column is not None and column.zoned


def _lines(table: LeadTable, rows: NDArray[np.bool_]) -> list[int]:
    """Return where the first of these leads stand in their file."""
    return [] if table.lines is None else [int(line) for line in table.lines[rows][:50]]


def _name(table: LeadTable, role: str) -> str:
    column = table.contract.column_by_role(role)
    return column.name if column is not None else role

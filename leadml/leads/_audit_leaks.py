"""Attributes that know the answer: too good alone, filled only afterwards, copies of the target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._audit_answers import (
    find_outcome_durations,
    find_outcome_words,
    find_target_rate,
    find_target_score,
)
from leadml.leads._finding import AuditFinding, share
from leadml.leads._rates import cell_codes, cells_of, column_auc, rank_auc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from leadml.leads._contract import Column
    from leadml.leads._table import LeadTable

__all__ = ["audit_leaks", "labelled"]

LEAK_AUC = 0.90
MISSING_AUC = 0.60
_LEAST_LABELS = 20
_PURE = 0.98
_TAIL = 0.05
_OFTEN_FILLED, _RARELY_FILLED = 0.2, 0.02
_SUSPICIONS = frozenset({"leakage_suspected", "values_jump"})
_DURATION = re.compile(r"\b(days|hours|minutes|duration|elapsed)\b(?!\s+since)", re.IGNORECASE)
_EVENTS = (
    "answered approached attended bounced called clicked conversation converted dialed modified opened"
    " received"
    " replied resubscribed ringing sent submitted subscribed unsubscribed viewed visited"
)
_EVENT_WORDS = frozenset(_EVENTS.split())


def labelled(targets: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.float64]]]:
    """Yield each target that has both classes: its name, who has a label, and the labels."""
    for name in ("won", "accepted"):
        if name not in targets:
            continue
        values = targets[name].to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        y = values[known]
        if min(y.sum(), len(y) - y.sum()) >= _LEAST_LABELS:
            yield name, known, y


def audit_leaks(
    table: LeadTable, targets: pd.DataFrame, *, explained: Collection[str] = ()
) -> Iterator[AuditFinding]:
    """Yield findings about attributes that tell a label better than anything known at handoff can.

    For the columns `explained` (they follow the calendar) an unusual rate is no sign of a leak.
    """
    attributes = [column for column in table.contract.columns if column.role == "attribute"]
    for column in attributes:
        values = table.frame[column.name]
        found: dict[str, AuditFinding] = {}
        for target, known, y in labelled(targets):
            happened = _happened(table, target)
            filled = _filled_only(values, happened) if column.known_at != "after" else None
            if filled is not None:
                finding = _filled_finding(column, filled, happened, target)
                found.setdefault(finding.code, finding)
                continue
            for finding in _leaks(column, values[known], y, target):
                if column.name not in explained or finding.code not in _SUSPICIONS:
                    found.setdefault(finding.code, finding)
        yield from found.values()
        yield from _event_state(column, values)
        if not found and "worked" in targets.columns:
            yield from _filled_by_sales(column, values, targets["worked"].to_numpy(dtype=bool))
    yield from find_outcome_durations(table, attributes)
    tracked = any(each.history is not None for each in table.contract.tables)
    undeclared = [column.name for column in attributes if column.known_at is None and not tracked]
    if undeclared:
        shown = ", ".join(undeclared[:5]) + (", …" if len(undeclared) > 5 else "")
        yield AuditFinding(
            code="known_at_undeclared",
            severity="warning",
            column=None,
            message=f"of {len(undeclared)} attributes nobody says when they are known ({shown});"
            " an export holds their latest values. Declare `known_at: capture`, `handoff` or `after`.",
            evidence={"columns": undeclared},
        )


def _leaks(
    column: Column, values: pd.Series[Any], y: NDArray[np.float64], target: str
) -> Iterator[AuditFinding]:
    codes = cell_codes(values)
    auc = column_auc(codes, y)
    base = float(y.mean())
    evidence: dict[str, Any] = {"target": target, "auc": round(auc, 3), "n": len(y), "rate": round(base, 4)}
    if column.known_at == "after":
        yield AuditFinding(
            code="known_after",
            severity="note",
            column=column.name,
            message=f"declared as known only after the handoff (alone it tells {target} with AUC {auc:.2f});"
            " it is never a feature.",
            evidence=evidence,
        )
        return
    if auc >= LEAK_AUC:
        yield AuditFinding(
            code="leakage_single_column",
            severity="error",
            column=column.name,
            message=f"tells {target} alone (AUC {auc:.2f}): too good for something known at handoff."
            " Declare `known_at: after` or leave it out.",
            evidence=evidence,
        )
    elif find_target_rate(values, y):
        yield AuditFinding(
            code="target_rate_column",
            severity="error",
            column=column.name,
            message=f"each of its values is the {target} rate of the leads that carry it:"
            " it was computed from the answers. Leave it out.",
            evidence=evidence,
        )
    elif (fit := find_target_score(values, y)) is not None:
        yield AuditFinding(
            code="target_score",
            severity="warning",
            column=column.name,
            message=f"is in every range of its values the {target} rate itself: a rate or a score made from"
            " these answers. Unless it was there before the handoff, leave it out.",
            evidence={**evidence, **fit},
        )
    elif (ends := _pure_ends(codes, y)) is not None:
        yield AuditFinding(
            code="leakage_suspected",
            severity="warning",
            column=column.name,
            message=f"{target} is {share(ends['low_rate'])} at one end and {share(ends['high_rate'])} at the"
            f" other (AUC {auc:.2f}): it looks measured after the outcome. Find out when it is written.",
            evidence={**evidence, **ends},
        )
    elif (
        auc >= 0.6
        and _DURATION.search(column.source.replace("_", " "))
        and column.type in {"number", "integer"}
    ):
        yield AuditFinding(
            code="duration_column",
            severity="warning",
            column=column.name,
            message=f"is a duration and tells {target} (AUC {auc:.2f}): a duration is complete only when"
            " something has ended. If that is the deal, declare `known_at: after`.",
            evidence=evidence,
        )
    elif (words := find_outcome_words(values, y)) is not None:
        yield AuditFinding(
            code="outcome_in_text",
            severity="warning",
            column=column.name,
            message=f"its texts hold {words['words']:.0f} words with which {target} is"
            f" {share(words['rate'])}, in {share(words['covered'])} of the texts: they are notes on how it"
            " went. Leave it out.",
            evidence={**evidence, **words},
        )
    yield from _jumps(column, values, y, evidence)
    yield from _missingness(column, values, y, evidence)


def _happened(table: LeadTable, target: str) -> NDArray[np.float64]:
    """Return which leads are won (accepted) at all, however late: what a late entry goes with."""
    labels = table.role("outcome" if target == "won" else "verdict")
    if labels is None:
        return np.zeros(len(table.frame))
    return (labels == ("won" if target == "won" else "accepted")).to_numpy().astype(np.float64)


def _filled_finding(
    column: Column, filled: dict[str, float], happened: NDArray[np.float64], target: str
) -> AuditFinding:
    return AuditFinding(
        code="filled_after_outcome",
        severity="error",
        column=column.name,
        message=f"is filled for {share(filled['filled_positive'])} of the {target} leads and"
        f" {share(filled['filled_negative'])} of the others: it is written after the outcome."
        " Declare `known_at: after` or leave it out.",
        evidence={"target": target, "n": len(happened), "rate": round(float(happened.mean()), 4), **filled},
    )


def _jumps(
    column: Column, values: pd.Series[Any], y: NDArray[np.float64], evidence: dict[str, Any]
) -> Iterator[AuditFinding]:
    """Yield a warning if many single values of a number behave unlike their neighbours on both sides."""
    if column.type not in {"number", "integer"}:
        return
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    distinct, place = np.unique(numbers[known], return_inverse=True)
    if known.sum() < 500 or len(distinct) < 20:
        return
    size = np.bincount(place).astype(np.float64)
    positive = np.bincount(place, weights=y[known])
    before = np.concatenate([[0.0], np.cumsum(size)]), np.concatenate([[0.0], np.cumsum(positive)])
    jumping: list[int] = []
    for middle in np.flatnonzero(size[1:-1] >= max(50.0, 0.002 * known.sum())) + 1:
        n_near, k_near = _neighbours(before, int(middle), float(size[middle]))
        pooled = (positive[middle] + k_near) / (size[middle] + n_near)
        error = np.sqrt(pooled * (1 - pooled) * (1 / size[middle] + 1 / max(n_near, 1.0)))
        rate, near = positive[middle] / size[middle], k_near / max(n_near, 1.0)
        if error > 0 and abs(rate - near) > 5 * error and max(rate, near) > 1.5 * min(rate, near):
            jumping.append(int(middle))
    covered = float(size[jumping].sum() / known.sum())
    if len(jumping) < 5 or covered < 0.1:
        return
    worst = max(jumping, key=lambda each: size[each])
    yield AuditFinding(
        code="values_jump",
        severity="warning",
        column=column.name,
        message=f"{len(jumping)} single values ({share(covered)} of the leads) have a"
        f" {evidence['target']} rate"
        f" unlike their neighbours', e.g. {share(positive[worst] / size[worst])} at {distinct[worst]:g}:"
        " it is"
        " rounded or written by who knows the outcome. Find out when it is written.",
        evidence={**evidence, "values": len(jumping), "share": round(covered, 4)},
    )


def _neighbours(
    before: tuple[NDArray[np.float64], NDArray[np.float64]], middle: int, wanted: float
) -> tuple[float, float]:
    """Return leads and positives of the values around one value, about `wanted` leads on each side."""
    size, positive = before
    low = min(int(np.searchsorted(size, size[middle] - wanted, side="right")) - 1, middle - 1)
    high = max(int(np.searchsorted(size, size[middle + 1] + wanted, side="left")), middle + 2)
    low, high = max(low, 0), min(high, len(size) - 1)
    n = size[middle] - size[low] + size[high] - size[middle + 1]
    k = positive[middle] - positive[low] + positive[high] - positive[middle + 1]
    return float(n), float(k)


def _filled_only(values: pd.Series[Any], y: NDArray[np.float64]) -> dict[str, float] | None:
    """Return the fill rates if being filled is (nearly) the label itself."""
    filled = values.notna().to_numpy()
    n_filled, n_empty = int(filled.sum()), int((~filled).sum())
    if min(n_filled, n_empty) < _LEAST_LABELS:
        return None
    inside, outside, base = float(y[filled].mean()), float(y[~filled].mean()), float(y.mean())
    one_class = (inside >= _PURE and outside <= 0.9) or (
        inside <= 1 - _PURE and base >= 0.1 and outside >= 0.1
    )
    if not one_class or abs(inside - base) < 0.05:
        return None
    positive = filled[y == 1].mean()
    return {
        "filled_positive": round(float(positive), 4),
        "filled_negative": round(float(filled[y == 0].mean()), 4),
    }


def _filled_by_sales(
    column: Column, values: pd.Series[Any], worked: NDArray[np.bool_]
) -> Iterator[AuditFinding]:
    """Yield a warning for an attribute that hardly any lead has that Sales did not work."""
    n_worked, n_rest = int(worked.sum()), int((~worked).sum())
    if column.known_at in {"handoff", "after"} or min(n_worked, n_rest) < 5 * _LEAST_LABELS:
        return
    filled = values.notna().to_numpy()
    with_sales, without = float(filled[worked].mean()), float(filled[~worked].mean())
    if with_sales < _OFTEN_FILLED or without > _RARELY_FILLED:
        return
    yield AuditFinding(
        code="filled_by_sales",
        severity="warning",
        column=column.name,
        message=f"is filled for {share(with_sales)} of the leads that Sales worked and {share(without)} of"
        " the others: it is written at the handoff or later. Declare `known_at: handoff` or `after`.",
        evidence={
            "filled_worked": round(with_sales, 4),
            "filled_others": round(without, 4),
            "worked": n_worked,
            "others": n_rest,
        },
    )


def _missingness(
    column: Column, values: pd.Series[Any], y: NDArray[np.float64], evidence: dict[str, Any]
) -> Iterator[AuditFinding]:
    missing = values.isna().to_numpy()
    if min(missing.sum(), (~missing).sum()) < _LEAST_LABELS:
        return
    auc = rank_auc(y, missing.astype(float))
    strength = max(auc, 1 - auc)
    empty, filled = float(y[missing].mean()), float(y[~missing].mean())
    pooled = float(y.mean())
    error = np.sqrt(pooled * (1 - pooled) * (1 / missing.sum() + 1 / (~missing).sum()))
    ratio = max(empty, filled) / max(min(empty, filled), 1e-9)
    if abs(empty - filled) < 5 * error or (strength < MISSING_AUC and ratio < 2.0):
        return
    target = evidence["target"]
    yield AuditFinding(
        code="missingness_gives_outcome_away",
        severity="warning",
        column=column.name,
        message=f"{target} is {share(empty)} where it is missing and {share(filled)} where it is filled:"
        " it may be filled in while the lead is worked.",
        evidence={
            **evidence,
            "rate_missing": round(empty, 4),
            "rate_filled": round(filled, 4),
            "missing": int(missing.sum()),
            "auc_missing": round(strength, 3),
        },
    )


def _pure_ends(codes: NDArray[np.int64], y: NDArray[np.float64]) -> dict[str, float] | None:
    """Return both ends if one is nearly never and the other far more often than usual positive."""
    base = float(y.mean())
    if len(y) * base * _TAIL < 10:
        return None
    cells = cells_of(codes, y)
    if len(cells.size) > 60:
        return None
    low, low_share = cells.extreme(least=_TAIL, end="low")
    high, high_share = cells.extreme(least=_TAIL, end="high")
    if low > 0.08 * base or high < min(3.0 * base, 0.9) or max(low_share, high_share) > 0.6:
        return None
    return {
        "low_rate": round(low, 4),
        "low_share": round(low_share, 3),
        "high_rate": round(high, 4),
        "high_share": round(high_share, 3),
    }


def _event_state(column: Column, values: pd.Series[Any]) -> Iterator[AuditFinding]:
    """Yield a warning for a category whose values are events: the latest one changes after the handoff."""
    if column.known_at == "after" or not isinstance(values.dtype, pd.CategoricalDtype):
        return
    sizes = values.value_counts()
    words = [set(str(level).lower().replace("_", " ").split()) & _EVENT_WORDS for level in sizes.index]
    hits = [bool(found) for found in words]
    covered = float(sizes[hits].sum() / max(sizes.sum(), 1))
    distinct = set().union(*words) if words else set()
    if sum(hits) < 3 or len(distinct) < 3 or covered < 0.3:
        return
    yield AuditFinding(
        code="event_state",
        severity="warning",
        column=column.name,
        message=f"its values are events ({', '.join(sorted(distinct)[:4])}): the latest one keeps changing"
        " after the handoff. Use its value at the handoff, or declare `known_at: after`.",
        evidence={"levels": sum(hits), "share": round(covered, 3)},
    )

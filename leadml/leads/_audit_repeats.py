"""Leads that repeat another one, told apart from leads that merely look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._finding import AuditFinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from leadml.leads._table import LeadTable

__all__ = ["audit_repeats"]

_LEAST_LEADS, _LEAST_COLUMNS = 20, 3
_LEAST_REPEATS, _LEAST_SHARE = 5, 0.002
_MOST_DISTINCT = 0.9  # beyond it a column numbers the leads: a copy has another number
_LEAST_RATIO, _P_VALUE = 2.0, 0.001


def audit_repeats(table: LeadTable) -> Iterator[AuditFinding]:
    """Yield a warning if leads repeat others where nobody looks alike.

    Two leads that agree in every column are one lead twice, or two that look alike. Look-alikes come where
    leads are dense, so that others differ in one column only; a copy may lie anywhere. Repeats without any
    such neighbour are therefore counted and held against what chance makes there. How many partners a lead
    without neighbours should have follows from the number of leads with exactly one (Robbins 1956), times
    the number of twins per neighbour where leads are densest. Nothing is assumed about how columns depend on
    each other.
    """
    attributes = [column.name for column in table.contract.columns if column.role == "attribute"]
    owners = [column.name for column in table.contract.columns if column.role in {"account", "rep"}]
    for names in (attributes, [*attributes, *owners]):
        finding = _find_repeats(table, names)
        if finding is not None:
            yield finding
            return


def _find_repeats(table: LeadTable, names: list[str]) -> AuditFinding | None:
    codes = _distinct_codes(table.frame[names])
    n = len(table.frame)
    if len(codes) < _LEAST_COLUMNS or n < _LEAST_LEADS:
        return None
    parts = _hashed(list(codes.values()))
    whole = np.bitwise_xor.reduce(parts)
    group, size = _groups(whole)
    twins = size[group] - 1
    repeated = int((size - 1).sum())
    least = max(_LEAST_REPEATS, _LEAST_SHARE * n)
    if repeated < least:
        return None
    near = np.zeros(n, dtype=np.int64)
    for part in parts:
        place, held = _groups(whole ^ part)
        near += held[place] - size[group]
    alone = near == 0
    n_alone = int((twins[alone] > 0).sum() - len(np.unique(group[alone & (twins > 0)])))
    expected = _chance_repeats(twins, near)
    from scipy.stats import poisson

    if n_alone < max(least, _LEAST_RATIO * expected) or float(poisson.sf(n_alone - 1, expected)) >= _P_VALUE:
        return None
    chance = f"about {expected:,.0f}" if expected >= 1 else "less than one"
    labels = [table.role(role) for role in ("verdict", "outcome")]
    answers = pd.DataFrame(
        {"key": group} | {str(at): each for at, each in enumerate(labels) if each is not None}
    )
    return AuditFinding(
        code="duplicate_leads",
        severity="warning",
        column=None,
        message=f"{repeated:,} leads repeat another one in all {len(codes)} columns that tell leads apart,"
        f" {n_alone:,} of them where no lead differs in one column only; chance would make {chance} such."
        " On both sides of a split they make a model look better.",
        evidence={
            "columns": list(codes),
            "n": repeated,
            "n_same_label": int(answers.duplicated().sum()),
            "share": round(repeated / n, 4),
            "n_alone": n_alone,
            "expected_alone": round(expected, 2),
        },
    )


def _distinct_codes(frame: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Return each column as codes, without constants, copies of another one, and numbers of records."""
    kept: dict[bytes, tuple[str, NDArray[np.int64]]] = {}
    for name in frame.columns:
        codes, distinct = pd.factorize(frame[name], use_na_sentinel=False)
        if 1 < len(distinct) <= _MOST_DISTINCT * len(frame):
            kept.setdefault(codes.tobytes(), (name, codes.astype(np.int64)))
    return dict(kept.values())


def _hashed(codes: list[NDArray[np.int64]]) -> list[NDArray[np.uint64]]:
    """Give each value of each attribute 64 bits, so that a lead's are the exclusive or of its values'."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 2**64, int(each.max()) + 1, dtype=np.uint64)[each] for each in codes]


def _groups(keys: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return in which group of equal keys each lead is, and the groups' sizes."""
    place, _ = pd.factorize(keys)
    return place, np.bincount(place).astype(np.int64)


def _chance_repeats(twins: NDArray[np.int64], near: NDArray[np.int64]) -> float:
    """Return how many repeats chance makes among the leads without a neighbour.

    A lead with mean partners `m` has a chance neighbour count with mean `m / rate`; Robbins' estimate of the
    mean count of those that have none is (leads with one) / (leads with none). Pairs are seen from both ends.
    """
    values = np.sort(near)[::-1]
    total = np.cumsum(values)
    dense = near >= max(1, int(values[np.searchsorted(total, total[-1] / 2)]))
    rate = float(twins[dense].sum() / near[dense].sum()) if dense.any() else 0.0
    return float((near == 1).sum()) * rate / 2

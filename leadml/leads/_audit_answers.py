"""Attributes made from the answers: the time until them, their rate, notes about them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._clock import naive, start_of
from leadml.leads._finding import AuditFinding, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from leadml.leads._contract import Column
    from leadml.leads._table import LeadTable

__all__ = ["find_outcome_durations", "find_outcome_words", "find_target_rate", "find_target_score"]

_LEAST_LABELS = 20
_SAME_ORDER = 0.8
_CHANCE = 1e-6
_LEAST_SCORED, _N_BINS, _FITS, _SURELY = 500, 20, 0.01, 1e-12
_TEXTS_FROM = 20
_MOST_USUAL, _LEAST_COVERED = 0.7, 0.05
_WORD = re.compile(r"[^\W\d_]{2,}")


def find_outcome_durations(table: LeadTable, attributes: list[Column]) -> Iterator[AuditFinding]:
    """Yield numbers that are the days from the lead's start to its verdict or its close."""
    start = start_of(table)
    if start.dtype.kind != "M":
        return
    begins = {"start": start}
    created = table.role("created")
    if created is not None:
        begins["created"] = naive(created)
    for role in ("closed", "decided"):
        ended = table.role(role)
        if ended is None:
            continue
        for column in attributes:
            if column.type not in {"number", "integer"}:
                continue
            numbers = table.frame[column.name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
            for begin in begins.values():
                days = (naive(ended) - begin).dt.total_seconds().to_numpy(dtype=np.float64) / 86_400.0
                known = ~np.isnan(days) & ~np.isnan(numbers)
                if known.sum() < _LEAST_LABELS or np.unique(numbers[known]).size < 5:
                    continue
                finding = _duration_finding(column, days[known], numbers[known], role)
                if finding is not None:
                    yield finding
                    break


def _duration_finding(
    column: Column, days: NDArray[np.float64], numbers: NDArray[np.float64], role: str
) -> AuditFinding | None:
    near = float((np.abs(days - numbers) <= 1.0).mean())
    evidence: dict[str, Any] = {"n": len(days), "share": round(near, 4), "until": role}
    if near >= 0.9:
        return AuditFinding(
            code="outcome_duration",
            severity="error",
            column=column.name,
            message=f"is the number of days until the lead was {role} ({share(near)} of the leads): nobody"
            " knows it before. Declare `known_at: after` or leave it out.",
            evidence=evidence,
        )
    ranks = pd.DataFrame({"days": days, "numbers": numbers}).rank()
    alike = float(ranks["days"].corr(ranks["numbers"]))
    if len(days) < 5 * _LEAST_LABELS or not alike >= _SAME_ORDER:
        return None
    return AuditFinding(
        code="outcome_duration",
        severity="warning",
        column=column.name,
        message=f"goes with the days until the lead was {role} (rank correlation {alike:.2f}): it looks"
        " measured afterwards. If so, declare `known_at: after`.",
        evidence={**evidence, "rank_correlation": round(alike, 3)},
    )


def find_target_rate(values: pd.Series[Any], y: NDArray[np.float64]) -> bool:
    """Say whether a number equals the label's rate, or its percentage, among the leads that carry it."""
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return False
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    if known.mean() < 0.5 or numbers[known].min() < 0 or numbers[known].max() > 100:
        return False
    codes, distinct = pd.factorize(numbers[known])
    if len(distinct) < 3 or len(distinct) > known.sum() / 10:
        return False
    size = np.bincount(codes)
    rate = np.bincount(codes, weights=y[known]) / size
    tolerance = 0.25 * np.sqrt(rate * (1 - rate) / size) + 1e-6
    if distinct.max() > 1:
        if not _differ(size, rate):  # any percentages near the base rate would be near all rates
            return False
        distinct, tolerance = distinct / 100, tolerance + (0.005 if (distinct % 1 == 0).all() else 0.0)
    return bool(size[np.abs(rate - distinct) <= tolerance].sum() >= 0.9 * size.sum())


def find_target_score(values: pd.Series[Any], y: NDArray[np.float64]) -> dict[str, float] | None:
    """Return the fit of a number that is, in every range of its values, the label's rate there."""
    if not pd.api.types.is_float_dtype(values.dtype):
        return None
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    chance, label = numbers[known], y[known]
    if known.mean() < 0.5 or len(chance) < _LEAST_SCORED or chance.min() < 0 or chance.max() > 100:
        return None
    chance = chance / 100 if chance.max() > 1 else chance
    place = np.searchsorted(np.unique(np.quantile(chance, np.linspace(0, 1, _N_BINS + 1)))[1:-1], chance)
    size, won = np.bincount(place).clip(1), np.bincount(place, weights=label)
    expected = np.bincount(place, weights=chance)
    spread = np.maximum(np.bincount(place, weights=chance * (1 - chance)), 1e-9)
    from scipy.stats import chi2

    fit = float(chi2.sf(((won - expected) ** 2 / spread).sum(), len(size)))
    if len(size) < 5 or fit < _FITS or not _differ(size, won / size, p_value=_SURELY):
        return None
    return {"p_calibrated": round(fit, 4)}


def _differ(size: NDArray[np.int64], rate: NDArray[np.float64], *, p_value: float = _CHANCE) -> bool:
    """Say whether rates of groups differ far more than by chance."""
    from scipy.stats import chi2

    pooled = float((size * rate).sum() / size.sum())
    if pooled in {0.0, 1.0}:
        return False
    statistic = float((size * (rate - pooled) ** 2).sum() / (pooled * (1 - pooled)))
    return bool(chi2.sf(statistic, len(size) - 1) < p_value)


def find_outcome_words(values: pd.Series[Any], y: NDArray[np.float64]) -> dict[str, float] | None:
    """Return how much words tell that stand (nearly) only in the texts of one outcome."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return None
    codes = values.cat.codes.to_numpy()
    sizes = np.bincount(codes[codes >= 0], minlength=len(values.cat.categories))
    positive = np.bincount(codes[codes >= 0], weights=y[codes >= 0], minlength=len(sizes))
    base = float(y.mean())
    if (sizes > 0).sum() <= _TEXTS_FROM or not 0.0 < base < 1.0:
        return None
    places = [set(_WORD.findall(str(text).casefold())) for text in values.cat.categories]
    total: Counter[str] = Counter()
    won: Counter[str] = Counter()
    for words, n, k in zip(places, sizes, positive, strict=True):
        for word in words:
            total[word] += int(n)
            won[word] += int(k)
    best: dict[str, float] | None = None
    for label, usual in ((1.0, base), (0.0, 1.0 - base)):
        telling = {
            word
            for word, n in total.items()
            if (won[word] if label else n - won[word]) >= 0.95 * n and n * np.log(usual) < np.log(_CHANCE)
        }
        mine = np.array([bool(words & telling) for words in places])
        covered = float(sizes[mine].sum() / max(sizes.sum(), 1))
        if (
            usual <= _MOST_USUAL
            and covered >= _LEAST_COVERED
            and covered > (best or {"covered": 0.0})["covered"]
        ):
            rate = float(positive[mine].sum() / sizes[mine].sum())
            best = {"words": float(len(telling)), "rate": round(rate, 4), "covered": round(covered, 4)}
    return best

"""How well one column alone tells a label, without training on what it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Cells", "cell_codes", "cells_of", "column_auc", "rank_auc"]

_N_FOLDS = 5
_PRIOR = 5.0
_LARGEST = 1e300
_N_BINS = 40


def rank_auc(y: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Return the chance that a positive outranks a negative (ties count half); NaN with one class only."""
    n_positive = float(y.sum())
    n_negative = len(y) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    ranks = pd.Series(score).rank().to_numpy()
    return float((ranks[y == 1].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def cell_codes(values: pd.Series[Any]) -> NDArray[np.int64]:
    """Cut a column into cells: levels, or up to 40 quantile bins of a number; missing is one more cell."""
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        known = values.notna().to_numpy()
        numbers = np.where(
            known, values.to_numpy(dtype="datetime64[s]").astype(np.int64).astype(float), np.nan
        )
    elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        codes, _ = pd.factorize(values, use_na_sentinel=False)
        return np.asarray(codes, dtype=np.int64)
    known = ~np.isnan(numbers)
    if not known.any():
        return np.zeros(len(values), dtype=np.int64)
    numbers = np.clip(numbers, -_LARGEST, _LARGEST)  # quantiles are means of neighbours: infinity has none
    distinct = np.unique(numbers[known])
    edges = distinct
    if len(distinct) > _N_BINS:
        edges = np.unique(np.quantile(numbers[known], np.linspace(0.0, 1.0, _N_BINS + 1)))
    codes = np.searchsorted(edges, numbers, side="right")
    codes[~known] = len(edges) + 1
    return np.asarray(codes, dtype=np.int64)


def column_auc(codes: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    """Return the cross-fitted AUC of predicting `y` by the rate of the row's cell in the other folds."""
    n = len(y)
    fold = (np.arange(n, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32)) * _N_FOLDS >> np.uint64(
        32
    )
    width = int(codes.max()) + 1 if n else 1
    score = np.zeros(n)
    base = float(y.mean()) if n else 0.0
    for number in range(_N_FOLDS):
        test = fold == number
        size = np.bincount(codes[~test], minlength=width)
        wins = np.bincount(codes[~test], weights=y[~test], minlength=width)
        score[test] = ((wins + base * _PRIOR) / (size + _PRIOR))[codes[test]]
    return rank_auc(y, score)


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts per cell of one column."""

    size: NDArray[np.float64]
    positive: NDArray[np.float64]

    def extreme(self, *, least: float, end: str) -> tuple[float, float]:
        """Return rate and share of leads of the purest cells that together hold the share `least`."""
        rate = self.positive / np.maximum(self.size, 1)
        order = np.argsort(rate if end == "low" else -rate, kind="stable")
        total = self.size.sum()
        reached = int(np.searchsorted(np.cumsum(self.size[order]), least * total))
        chosen = order[: reached + 1]
        n = self.size[chosen].sum()
        return float(self.positive[chosen].sum() / max(n, 1.0)), float(n / max(total, 1.0))


def cells_of(codes: NDArray[np.int64], y: NDArray[np.float64]) -> Cells:
    """Count leads and positives per cell."""
    size = np.bincount(codes).astype(np.float64)
    return Cells(size, np.bincount(codes, weights=y).astype(np.float64))

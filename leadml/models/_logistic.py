"""Additive logistic regression: one curve per number, one term per level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from leadml.metrics import fit_logistic
from leadml.models._log_odds import LogOddsClassifier
from leadml.models._lookup import find_steps, iterate_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray


__all__ = ["SplineLogisticClassifier"]

_MAX_SMOOTH_COLUMNS = 80  # above this many numbers each gets a line instead of a curve
_SPIKE_SHARE = 0.1
_DECIMALS = 9
_GROUP_PENALTY = 0.02


class SplineLogisticClassifier(LogOddsClassifier):
    """Additive logistic regression on codes and numbers with missing as its own information.

    A number enters through its mid-rank in the training leads as a line with bends (piecewise linear, flat
    outside the seen range); its commonest value gets a term of its own if a tenth of the leads has it
    (many zeros); a code gets one term per level; missing gets a term. All terms are shrunk by a ridge
    penalty. The fitted function of each column is kept as a small table, so that scoring is look-up and
    interpolation, bit by bit the same for any number of threads or chunk of rows.

    Parameters
    ----------
    kinds : sequence of {"number", "boolean", "ordinal", "category"}, optional
        Kind of each column; without it all are numbers.
    penalty : float, default 3.0
        Ridge penalty of each (standardised) term; positive.
    n_bends : int, default 3
        Bends of each curve.
    max_rows : int, default 100_000
        Above this, evenly spaced rows are fitted.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    intercept_ : float
    grids_, values_ : list of ndarray
        Points (codes or numbers) of each column's function and its log-odds there.
    spikes_, spike_values_ : list of float
        The commonest value of a column and what is added there (nan and 0 without one).
    missing_ : list of float
        Log-odds of a missing value in each column.

    References
    ----------
    .. [1] Hastie, Tibshirani (1990), Generalized Additive Models.
    .. [2] le Cessie, van Houwelingen (1992), Applied Statistics 41, 191-201 (ridge for logistic regression).
    """

    def __init__(
        self,
        *,
        kinds: Sequence[str] | None = None,
        penalty: float = 3.0,
        n_bends: int = 3,
        max_rows: int = 100_000,
    ) -> None:
        self.kinds = kinds
        self.penalty = penalty
        self.n_bends = n_bends
        self.max_rows = max_rows

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> SplineLogisticClassifier:
        """Fit the curves.

        Parameters
        ----------
        X : array-like of shape (n_leads, n_columns)
            Codes and numbers, missing as nan.
        y : array-like of shape (n_leads,)
            Two classes.
        sample_weight : array-like of shape (n_leads,), optional
            Not negative.
        groups : array-like of int of shape (n_leads,), optional
            Who decided on each lead: nearly unpenalised fixed effects that are fitted beside the columns and
            then left out, so that predictions are made for the average group.

        Returns
        -------
        SplineLogisticClassifier
            Itself.
        """
        X, y, target = self._check_two_classes(X, y)
        if self.penalty <= 0:
            raise ValueError(f"penalty: expected a positive number, got {self.penalty!r}.")
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        member = np.zeros((X.shape[0], 0)) if groups is None else _one_hot(np.asarray(groups))
        if X.shape[0] > self.max_rows:
            rows = np.linspace(0, X.shape[0] - 1, self.max_rows).astype(np.int64)
            X, target, weight, member = X[rows], target[rows], weight[rows], member[rows]
        kinds = ["number"] * X.shape[1] if self.kinds is None else list(self.kinds)
        smooth = kinds.count("number") <= _MAX_SMOOTH_COLUMNS
        terms = [_Term(X[:, j], weight, kinds[j], self.n_bends if smooth else 0) for j in range(X.shape[1])]
        width = 1 + sum(term.width for term in terms)
        design = np.empty((X.shape[0], width + member.shape[1]))
        design[:, 0] = 1.0
        design[:, width:] = member
        start = 1
        for j, term in enumerate(terms):
            term.fill(X[:, j], design[:, start : start + term.width])
            start += term.width
        centre = (weight @ design) / max(weight.sum(), 1e-300)
        centre[0] = 0.0
        design -= centre
        penalty = np.full(design.shape[1], float(self.penalty))
        own = design.shape[1] - member.shape[1]
        penalty[own:] = _GROUP_PENALTY
        penalty[0] = 1e-9
        with threadpool_limits(limits=1):
            coef, _, _ = fit_logistic(design, target, sample_weight=weight, penalty=penalty)
        self._collect(terms, np.round(coef[:own], _DECIMALS), centre[:own])
        return self

    def _collect(self, terms: list[_Term], coef: NDArray[np.float64], centre: NDArray[np.float64]) -> None:
        """Keep each column's function as a table instead of its coefficients."""
        self.grids_: list[NDArray[np.float64]] = []
        self.values_: list[NDArray[np.float64]] = []
        self.spikes_: list[float] = []
        self.spike_values_: list[float] = []
        self.missing_: list[float] = []
        self.intercept_ = float(np.round(coef[0] - coef @ centre, _DECIMALS))
        start = 1
        for term in terms:
            part = coef[start : start + term.width]
            start += term.width
            self.grids_.append(term.grid)
            self.values_.append(np.round(term.curve @ part[: term.curve.shape[1]], _DECIMALS))
            self.spikes_.append(term.spike)
            self.spike_values_.append(float(part[term.curve.shape[1]]) if not np.isnan(term.spike) else 0.0)
            self.missing_.append(float(part[-1]) if term.has_missing else 0.0)

    def contributions(self, X: Any) -> NDArray[np.float64]:
        """Give each column's part of the log-odds.

        Parameters
        ----------
        X : array-like of shape (n_leads, n_columns)
            Codes and numbers, missing as nan.

        Returns
        -------
        ndarray of shape (n_leads, n_columns)
            The log-odds are its row sums plus ``intercept_``.
        """
        X = self._check_leads(X)
        out = np.empty(X.shape)
        for rows, j, part in self._parts(X):
            out[rows, j] = part
        return out

    def _parts(self, X: NDArray[np.floating]) -> Iterator[tuple[slice, int, NDArray[np.float64]]]:
        """Yield each column's part of the log-odds, block by block."""
        curves = self._curves()
        for rows, columns in iterate_blocks(X):
            filled = np.nan_to_num(columns[0], posinf=np.inf, neginf=-np.inf)
            for j, (start, slope, level) in enumerate(curves):
                step = find_steps(columns, j, self.grids_[j])
                part = level.take(step)
                if self.grids_[j].size > 1:
                    part += (filled[j] - start.take(step)) * slope.take(step)
                if not np.isnan(self.spikes_[j]):
                    part += self.spike_values_[j] * (columns[0][j] == self.spikes_[j])
                yield rows, j, part

    def _curves(self) -> list[tuple[NDArray[np.float64], ...]]:
        """Give each column's line per step: missing, flat below, between each two points, flat above."""
        curves: list[tuple[NDArray[np.float64], ...]] = []
        for grid, values, missing in zip(self.grids_, self.values_, self.missing_, strict=True):
            ends = values[[0, -1]] if values.size else np.zeros(2)
            level = np.concatenate([[missing], ends[:1], values[:-1], ends[1:]])
            start, slope = np.zeros(level.size), np.zeros(level.size)
            if grid.size > 1:
                start[2:-1], slope[2:-1] = grid[:-1], np.diff(values) / np.diff(grid)
            curves.append((start, slope, level))
        return curves

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the log-odds of the second class.

        Parameters
        ----------
        X : array-like of shape (n_leads, n_columns)
            Codes and numbers, missing as nan.

        Returns
        -------
        ndarray of shape (n_leads,)
        """
        X = self._check_leads(X)
        total = np.full(X.shape[0], self.intercept_)
        for rows, _, part in self._parts(X):
            total[rows] += part
        return total


class _Term:
    """The columns of the design that one column of X makes, and the points that describe their sum."""

    def __init__(self, x: NDArray[np.float64], weight: NDArray[np.float64], kind: str, n_bends: int) -> None:
        used = ~np.isnan(x) & (weight > 0)
        self.has_missing = bool((np.isnan(x) & (weight > 0)).any())
        self.spike = float("nan")
        values, where = np.unique(x[used], return_inverse=True)
        mass = np.bincount(where, weights=weight[used], minlength=values.size)
        if kind == "number" and values.size > 6:
            share = mass / mass.sum()
            if share.max() >= _SPIKE_SHARE:
                self.spike = float(values[np.argmax(share)])
            middle = np.cumsum(share) - share / 2
            self.grid = _quantile_grid(values, np.cumsum(share))
            rank = np.interp(self.grid, values, middle)
            bends = np.arange(1, n_bends + 1) / (n_bends + 1)
            self.curve = np.column_stack(
                [np.sqrt(12) * (rank - 0.5), *(np.sqrt(12) * np.maximum(0, rank - bend) for bend in bends)]
            )
        else:
            self.grid = values
            self.curve = np.eye(values.size)
            if kind in ("number", "ordinal") and values.size > 1:
                line = np.linspace(-1.0, 1.0, values.size)
                self.curve = np.column_stack([line, self.curve])
        self.width = self.curve.shape[1] + (not np.isnan(self.spike)) + self.has_missing

    def fill(self, x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """Fill the columns for leads."""
        missing = np.isnan(x)
        size = self.curve.shape[1]
        if self.grid.size > 1:
            place = np.clip(np.searchsorted(self.grid, x, side="right") - 1, 0, self.grid.size - 2)
            step = (np.where(missing, 0.0, x) - self.grid[place]) / np.diff(self.grid)[place]
            step = np.clip(step, 0.0, 1.0)[:, None]
            out[:, :size] = self.curve[place] * (1 - step) + self.curve[place + 1] * step
        elif size:
            out[:, :size] = self.curve
        out[missing, :size] = 0.0
        if not np.isnan(self.spike):
            out[:, size] = x == self.spike
        if self.has_missing:
            out[:, -1] = missing


def _one_hot(groups: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(groups[:, None] == np.unique(groups)[None, :], dtype=np.float64)


def _quantile_grid(values: NDArray[np.float64], cumulated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give up to 22 values at even ranks, both ends included."""
    levels = np.linspace(0, 1, 21)
    picked = np.minimum(np.searchsorted(cumulated, levels - 1e-12), values.size - 1)
    return np.unique(np.concatenate([values[:1], values[picked], values[-1:]]))

"""The explainable boosting machine, fitted by interpret (extra ``ebm``) and kept as plain look-up tables."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from leadml.models._log_odds import LogOddsClassifier
from leadml.models._lookup import find_steps, iterate_blocks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from leadml.models._lookup import Columns

__all__ = ["EbmClassifier"]

_DECIMALS = 9


class EbmClassifier(LogOddsClassifier):
    """Explainable boosting machine: boosted step functions of one number each, and of a few pairs.

    Fitting needs the extra ``ebm`` (interpret-core); scoring needs numpy only, because the fitted terms are
    kept as tables.

    Parameters
    ----------
    interactions : int, default 5
        Pairs.
    max_bins : int, default 64
        Steps of each number.
    outer_bags : int, default 4
        Models that are averaged.
    random_state : int, default 0
        Seed.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    intercept_ : float
    terms_ : list of list of int
        Columns of each term, one or two.
    cuts_ : list of list of ndarray
        Cut points of each term, by column.
    tables_ : list of ndarray
        Log-odds of each term by bin; bin 0 is missing.

    References
    ----------
    .. [1] Nori et al. (2019), arXiv 1909.09223 (InterpretML); Lou et al. (2013), KDD (GA2M).
    """

    def __init__(
        self, *, interactions: int = 5, max_bins: int = 64, outer_bags: int = 4, random_state: int = 0
    ) -> None:
        self.interactions = interactions
        self.max_bins = max_bins
        self.outer_bags = outer_bags
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> EbmClassifier:
        """Fit with interpret and keep the tables.

        Parameters
        ----------
        X : array-like of shape (n_leads, n_columns)
            Codes and numbers, missing as nan.
        y : array-like of shape (n_leads,)
            Two classes.
        sample_weight : array-like of shape (n_leads,), optional
            Not negative.

        Returns
        -------
        EbmClassifier
            Itself.

        Raises
        ------
        ImportError
            If interpret-core is not installed.
        """
        X, y, target = self._check_two_classes(X, y)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        if weight is not None and np.unique(np.asarray(y)[weight > 0]).size < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        try:
            from interpret.glassbox import ExplainableBoostingClassifier
        except ImportError as error:
            raise ImportError("The explainable boosting machine needs: pip install leadml[ebm]") from error
        booster = ExplainableBoostingClassifier(
            feature_types=["continuous"] * X.shape[1],
            interactions=self.interactions if X.shape[1] > 1 else 0,
            max_bins=self.max_bins,
            max_interaction_bins=16,
            outer_bags=self.outer_bags,
            random_state=self.random_state,
            n_jobs=1,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # interpret warns that its own plots leave missing values out
            booster.fit(X, target.astype(np.int64), sample_weight=weight)
        self.intercept_ = round(float(np.ravel(booster.intercept_)[-1]), _DECIMALS)
        self.terms_ = [[int(column) for column in columns] for columns in booster.term_features_]
        self.cuts_ = []
        self.tables_ = [
            np.round(np.asarray(table, dtype=np.float64), _DECIMALS) for table in booster.term_scores_
        ]
        for columns in self.terms_:
            levels = [booster.bins_[column] for column in columns]
            depth = len(columns) - 1
            self.cuts_.append(
                [np.asarray(bins[min(depth, len(bins) - 1)], dtype=np.float64) for bins in levels]
            )
        return self

    def contributions(self, X: Any) -> NDArray[np.float64]:
        """Give each column's part of the log-odds; a pair is shared half and half.

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
        out = np.zeros(X.shape)
        for rows, block in iterate_blocks(X):
            for number, columns in enumerate(self.terms_):
                values = self._term(block, number) / len(columns)
                for column in columns:
                    out[rows, column] += values
        return out

    def _term(self, block: Columns, number: int) -> NDArray[np.float64]:
        steps = [
            find_steps(block, column, cuts)
            for column, cuts in zip(self.terms_[number], self.cuts_[number], strict=True)
        ]
        return np.asarray(self.tables_[number][tuple(steps)])

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
        for rows, block in iterate_blocks(X):
            for number in range(len(self.terms_)):
                total[rows] += self._term(block, number)
        return total

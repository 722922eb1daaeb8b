"""Predictors that a model has to beat: the constant, the definition, naive Bayes, hand-written points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.definitions import assign_classes, compute_points
from leadml.errors import DefinitionError, LeadsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Definition

__all__ = ["predict_constant", "predict_definition", "predict_naive_bayes", "predict_points"]

_PRIOR = 5.0


def predict_constant(y: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Predict the base rate of the training leads for everybody.

    Parameters
    ----------
    y : ndarray of shape (n_train,)
        Labels of the training leads.
    n : int
        Leads to predict.

    Returns
    -------
    ndarray of shape (n,)
    """
    return np.full(n, float(y.mean()) if y.size else np.nan)


def predict_definition(
    frame: pd.DataFrame,
    definition: Definition,
    *,
    y: NDArray[np.float64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> tuple[NDArray[np.float64], str]:
    """Predict the written definition's own rates: the smoothed training rate of each lead's class.

    Parameters
    ----------
    frame : DataFrame
        Leads in contract columns.
    definition : Definition
        Assigns the classes.
    y : ndarray of shape (n_train,)
        Labels of `train`.
    train, test : ndarray of int
        Positions in `frame`.

    Returns
    -------
    y_prob : ndarray of shape (n_test,)
        ``(wins + 5 base) / (n + 5)`` of the class; missing (nan) if the definition cannot be applied.
    notice : str
        Why not, or "".
    """
    try:
        classes = assign_classes(definition, frame)
    except (DefinitionError, LeadsError) as error:
        return np.full(test.size, np.nan), f"the definition cannot be applied: {error.findings[0]}"
    return _rates(classes.astype("object").to_numpy(), y, train, test), ""


def _rates(
    groups: NDArray[np.object_], y: NDArray[np.float64], train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.float64]:
    codes, _ = pd.factorize(groups)
    codes = np.where(codes < 0, codes.max(initial=0) + 1, codes)
    size = int(codes.max(initial=0)) + 1
    n = np.bincount(codes[train], minlength=size)
    wins = np.bincount(codes[train], weights=y, minlength=size)
    base = float(y.mean()) if y.size else 0.5
    return np.asarray(((wins + _PRIOR * base) / (n + _PRIOR))[codes[test]])


def predict_points(
    frame: pd.DataFrame,
    definition: Definition,
    *,
    y: NDArray[np.float64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Predict from each hand-written points score: the smoothed training rate of its tenth.

    Parameters
    ----------
    frame : DataFrame
        Leads in contract columns.
    definition : Definition
        Holds the points.
    y : ndarray of shape (n_train,)
        Labels of `train`.
    train, test : ndarray of int
        Positions in `frame`.

    Returns
    -------
    dict of str to ndarray of shape (n_test,)
        One predictor per points score that can be computed.
    """
    if not definition.points:
        return {}
    try:
        points = compute_points(definition, frame)
    except (DefinitionError, LeadsError):
        return {}
    found = {}
    for name in points.columns:
        values = points[name].to_numpy(dtype=np.float64, na_value=np.nan)
        known = values[train][~np.isnan(values[train])]
        if not known.size:
            continue
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 11)[1:-1], method="inverted_cdf"))
        tenth = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
        found[f"points: {name}"] = _rates(tenth.astype(object), y, train, test)
    return found


def predict_naive_bayes(
    codes: NDArray[np.float32], y: NDArray[np.float64], *, train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Predict as a CRM's predictive score does: naive Bayes on binned attributes, missing as a bin.

    Parameters
    ----------
    codes : ndarray of shape (n_leads, n_attributes)
        Encoded attributes.
    y : ndarray of shape (n_train,)
        Labels of `train`.
    train, test : ndarray of int
        Positions in `codes`.

    Returns
    -------
    ndarray of shape (n_test,)

    References
    ----------
    .. [1] Odoo, ``crm_lead`` predictive lead scoring (naive Bayes on tag, source, country, …; the same sum
       of log frequencies, here with numbers cut at the training tenths).
    """
    yes, no = float(y.sum()), float(y.size - y.sum())
    if not (yes and no):
        return predict_constant(y, test.size)
    odds = np.full(test.size, np.log(yes / no))
    for j in range(codes.shape[1]):
        column = codes[:, j].astype(np.float64)
        known = column[train][~np.isnan(column[train])]
        edges = np.unique(known)
        if edges.size > 12:
            edges = np.unique(np.quantile(known, np.linspace(0, 1, 11)[1:], method="inverted_cdf"))
        bins = np.where(np.isnan(column), edges.size + 1, np.searchsorted(edges, column, side="left"))
        size = edges.size + 2
        wins = np.bincount(bins[train], weights=y, minlength=size)
        n = np.bincount(bins[train], minlength=size)
        ratio = np.log((wins + yes / (yes + no)) / (yes + 1)) - np.log(
            (n - wins + no / (yes + no)) / (no + 1)
        )
        odds += ratio[bins[test]]
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))

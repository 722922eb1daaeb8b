"""The definition against a model that may choose equally many leads."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.compare._rates import TARGETS, Rate, compute_difference, compute_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.models import TrainedModel

    Mask = NDArray[np.bool_]

__all__ = ["compare_at_equal_volume"]

_COLUMNS = (
    *("target", "n", "volume", "n_both"),
    *("rate_definition", "ci_low_definition", "ci_high_definition"),
    *("rate_model", "ci_low_model", "ci_high_model"),
    *("difference", "ci_low", "ci_high"),
)


def compare_at_equal_volume(
    handed_over: Mask, models: Mapping[str, TrainedModel], *, index: pd.Index[Any]
) -> pd.DataFrame:
    """Let the definition and each model choose equally many of the leads the model was judged on.

    Parameters
    ----------
    handed_over : ndarray of bool, shape (n_leads,)
        What the definition hands over.
    models : mapping of target to TrainedModel
        Each with its holdout: later leads that it was not trained on.
    index : Index
        Row labels of the leads.

    Returns
    -------
    DataFrame
        One row per model: ``target``, ``n`` (labelled later leads), ``volume`` (how many of them the
        definition hands over), ``n_both`` (chosen by both), the rate among the chosen of each with its
        range, and ``difference`` (model minus definition) with ``ci_low`` and ``ci_high``. Leads with equal
        probability are chosen among in a fixed random order.
    """
    chosen_by_definition = pd.Series(handed_over, index=index)
    rows = []
    for target in TARGETS:
        if target in models:
            holdout = models[target].holdout
            definition = chosen_by_definition.loc[holdout.index].to_numpy(dtype=bool)
            y_true = holdout["y_true"].to_numpy(dtype=float) == 1.0
            rows.append(
                {"target": target} | _compare(definition, holdout["y_prob"].to_numpy(dtype=float), y_true)
            )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _compare(definition: Mask, y_prob: NDArray[np.float64], y_true: Mask) -> dict[str, Any]:
    volume = int(np.count_nonzero(definition))
    shuffled = np.random.default_rng(0).permutation(len(y_prob))
    order = shuffled[np.argsort(-y_prob[shuffled], kind="stable")]
    model = np.zeros(len(y_prob), dtype=np.bool_)
    model[order[:volume]] = True
    rates = {"definition": _rate(definition, y_true), "model": _rate(model, y_true)}
    row: dict[str, Any] = {
        "n": len(y_true),
        "volume": volume,
        "n_both": int(np.count_nonzero(model & definition)),
    }
    for side, rate in rates.items():
        row |= {f"rate_{side}": rate.rate, f"ci_low_{side}": rate.ci_low, f"ci_high_{side}": rate.ci_high}
    # What both choose cancels; the rest are two separate groups of the same size.
    only = _rate(model & ~definition, y_true), _rate(definition & ~model, y_true)
    if volume == 0:
        return row | {"difference": nan, "ci_low": nan, "ci_high": nan}
    if only[0].n == 0:
        return row | {"difference": 0.0, "ci_low": 0.0, "ci_high": 0.0}
    share = only[0].n / volume
    difference, low, high = compute_difference(*only)
    return row | {"difference": share * difference, "ci_low": share * low, "ci_high": share * high}


def _rate(mask: Mask, y_true: Mask) -> Rate:
    return compute_rate(int(np.count_nonzero(mask & y_true)), int(np.count_nonzero(mask)))

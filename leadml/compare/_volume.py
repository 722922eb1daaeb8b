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

__all__ = ["compare_at_equal_precision", "compare_at_equal_volume"]

PER = 1_000.0
_RANKS = 400
_COLUMNS = (
    *("target", "n", "volume", "n_both"),
    *("rate_definition", "ci_low_definition", "ci_high_definition"),
    *("rate_model", "ci_low_model", "ci_high_model"),
    *("difference", "ci_low", "ci_high"),
    *("wins_left", "wins_left_low", "wins_left_high"),
)
_PRECISION_COLUMNS = (
    *("target", "n", "rate", "volume_definition", "volume_model"),
    *("volume_model_low", "volume_model_high"),
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
        range, ``difference`` (model minus definition) with ``ci_low`` and ``ci_high``, and ``wins_left``,
        the wins that the definition leaves on the table per 1,000 leads handed over. Leads with equal
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


def compare_at_equal_precision(
    handed_over: Mask,
    models: Mapping[str, TrainedModel],
    *,
    index: pd.Index[Any],
    n_resamples: int,
    random_state: int,
) -> pd.DataFrame:
    """Say how many leads each model could hand over at the rate that the definition reaches.

    Parameters
    ----------
    handed_over : ndarray of bool, shape (n_leads,)
        What the definition hands over.
    models : mapping of target to TrainedModel
        Each with its holdout.
    index : Index
        Row labels of the leads.
    n_resamples : int
        Resamples of the later leads for the range (90 %).
    random_state : int
        Seed of the resamples.

    Returns
    -------
    DataFrame
        One row per model: ``target``, ``n``, ``rate`` (the definition's), ``volume_definition``,
        ``volume_model`` with ``volume_model_low`` and ``volume_model_high``.
    """
    chosen = pd.Series(handed_over, index=index)
    rows = []
    for target in TARGETS:
        if target not in models:
            continue
        holdout = models[target].holdout
        definition = chosen.loc[holdout.index].to_numpy(dtype=bool)
        y_true = holdout["y_true"].to_numpy(dtype=float)
        order = _order(holdout["y_prob"].to_numpy(dtype=float))
        volume = int(np.count_nonzero(definition))
        row: dict[str, Any] = {"target": target, "n": len(y_true), "volume_definition": volume}
        if volume:
            row["rate"] = float(y_true[definition].mean())
            row["volume_model"] = _reach(np.ones(len(y_true)), y_true[order], row["rate"])
            low, high = _resample_reach(
                y_true[order], definition[order], n_resamples=n_resamples, random_state=random_state
            )
            row |= {"volume_model_low": low, "volume_model_high": high}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(_PRECISION_COLUMNS))


def _reach(leads: NDArray[np.float64], wins: NDArray[np.float64], rate: float) -> float:
    """Return the largest number of leads, best first, whose rate is still `rate`."""
    total = np.cumsum(leads)
    enough = np.flatnonzero((np.cumsum(wins) >= rate * total - 1e-9) & (total > 0))
    return float(total[enough[-1]]) if len(enough) else 0.0


def _resample_reach(
    y_true: NDArray[np.float64], definition: Mask, *, n_resamples: int, random_state: int
) -> tuple[float, float]:
    """Resample counts of leads by rank, choice and answer, so that the work does not grow with the leads."""
    n = len(y_true)
    size = min(n, _RANKS)
    rank = np.arange(n) * size // n
    group = rank * 4 + definition.astype(np.int64) * 2 + y_true.astype(np.int64)
    counts = np.bincount(group, minlength=4 * size) / n
    drawn = np.random.default_rng(random_state).multinomial(n, counts, size=n_resamples)
    drawn = drawn.reshape(n_resamples, size, 2, 2).astype(np.float64)
    leads, wins = drawn.sum(axis=(2, 3)), drawn[..., 1].sum(axis=2)
    chosen, won = drawn[:, :, 1].sum(axis=(1, 2)), drawn[:, :, 1, 1].sum(axis=1)
    found = [_reach(leads[i], wins[i], won[i] / chosen[i]) for i in range(n_resamples) if chosen[i] > 0]
    low, high = np.quantile(found, [0.05, 0.95]) if found else (nan, nan)
    return float(low), float(high)


def _order(y_prob: NDArray[np.float64]) -> NDArray[np.int64]:
    shuffled = np.random.default_rng(0).permutation(len(y_prob))
    return np.asarray(shuffled[np.argsort(-y_prob[shuffled], kind="stable")])


def _compare(definition: Mask, y_prob: NDArray[np.float64], y_true: Mask) -> dict[str, Any]:
    volume = int(np.count_nonzero(definition))
    model = np.zeros(len(y_prob), dtype=np.bool_)
    model[_order(y_prob)[:volume]] = True
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
        found = (nan, nan, nan)
    elif only[0].n == 0:
        found = (0.0, 0.0, 0.0)
    else:
        share = only[0].n / volume
        difference, low, high = compute_difference(*only)
        found = (share * difference, share * low, share * high)
    row |= dict(zip(("difference", "ci_low", "ci_high"), found, strict=True))
    return row | {
        name: PER * value
        for name, value in zip(("wins_left", "wins_left_low", "wins_left_high"), found, strict=True)
    }


def _rate(mask: Mask, y_true: Mask) -> Rate:
    return compute_rate(int(np.count_nonzero(mask & y_true)), int(np.count_nonzero(mask)))

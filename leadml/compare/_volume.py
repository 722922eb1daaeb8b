"""The definition against a model that may choose equally many leads."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._render import format_count, format_rate
from leadml.compare._rates import TARGETS, Rate, compute_difference, compute_rate
from leadml.metrics import mover_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.models import TrainedModel

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Worth", "compare_at_equal_precision", "compare_at_equal_volume"]

PER = 1_000.0
_RANKS = 400
_COLUMNS = (
    *("target", "n", "volume", "n_both"),
    *("rate_definition", "ci_low_definition", "ci_high_definition"),
    *("rate_model", "ci_low_model", "ci_high_model"),
    *("difference", "ci_low", "ci_high"),
    *("wins_left", "wins_left_low", "wins_left_high"),
    *("value_left", "value_left_low", "value_left_high", "reading"),
)
_PRECISION_COLUMNS = (
    *("target", "n", "rate", "volume_definition", "volume_model"),
    *("volume_model_low", "volume_model_high"),
    *("value_left", "value_left_low", "value_left_high", "reading"),
)
_THINGS = {"accepted": "accepted leads", "won": "won deals"}
_NOBODY_KNOWS = (
    "Only leads that the definition hands over have an answer, so nobody can say whether the model would "
    "choose better ones."
)
_AMONG = "among the {n} newest leads with an answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a win of each lead is worth by the signed price list, and what working a lead costs."""

    won: Floats
    worked_lead: float


def compare_at_equal_volume(
    handed_over: Mask,
    models: Mapping[str, TrainedModel],
    *,
    index: pd.Index[Any],
    worth: Worth | None = None,
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
    worth : Worth, optional
        Signed prices.

    Returns
    -------
    DataFrame
        One row per model: ``target``, ``n`` (labelled later leads), ``volume`` (how many of them the
        definition hands over), ``n_both`` (chosen by both), the rate among the chosen of each with its
        range, ``difference`` (model minus definition) with ``ci_low`` and ``ci_high``, ``wins_left``, the
        wins that the definition leaves on the table per 1,000 leads handed over, ``value_left``, what these
        are worth by the signed prices (missing without prices, and for acceptance), each with its 95 %
        range, and a ``reading``. Where no labelled lead lies outside the handoff there was nothing to
        choose, and what is left is missing. Leads with equal probability are chosen among in a fixed random
        order.

    References
    ----------
    G. Y. Zou and A. Donner (2008), Statistics in Medicine 27 (range of the value: MOVER over the prices).
    """
    chosen_by_definition = pd.Series(handed_over, index=index)
    rows = []
    for target in TARGETS:
        if target in models:
            holdout = models[target].holdout
            definition = chosen_by_definition.loc[holdout.index].to_numpy(dtype=bool)
            y_true = holdout["y_true"].to_numpy(dtype=float) == 1.0
            y_prob = holdout["y_prob"].to_numpy(dtype=float)
            row = {"target": target} | _compare(definition, y_prob, y_true)
            if worth is not None and target == "won" and 0 < row["volume"] < row["n"]:
                prices = worth.won[index.get_indexer(holdout.index)]
                row |= _value_left(definition, _choose(y_prob, row["volume"]), y_true, prices)
            rows.append(row | {"reading": _read_volume(row)})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def compare_at_equal_precision(
    handed_over: Mask,
    models: Mapping[str, TrainedModel],
    *,
    index: pd.Index[Any],
    n_resamples: int,
    random_state: int,
    worth: Worth | None = None,
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
    worth : Worth, optional
        Signed prices.

    Returns
    -------
    DataFrame
        One row per model: ``target``, ``n``, ``rate`` (the definition's), ``volume_definition``,
        ``volume_model`` with ``volume_model_low`` and ``volume_model_high``, ``value_left`` (what the further
        leads are worth by the signed prices at the definition's rate and average price, less their work,
        per 1,000 leads handed over) with its 90 % range, and a ``reading``. Where no labelled lead lies
        outside the handoff the model's volume is missing.
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
        if 0 < volume < len(y_true):
            row["volume_model"] = _reach(np.ones(len(y_true)), y_true[order], row["rate"])
            reached = _resample_reach(
                y_true[order], definition[order], n_resamples=n_resamples, random_state=random_state
            )
            ends = np.quantile(reached[:, 0], [0.05, 0.95]) if len(reached) else (nan, nan)
            row |= {"volume_model_low": float(ends[0]), "volume_model_high": float(ends[1])}
            if worth is not None and target == "won" and len(reached):
                price = float(np.nanmean(worth.won[index.get_indexer(holdout.index)][definition]))
                own = np.array([[row["volume_model"], volume, row["rate"]]])
                low, high = np.quantile(_worth_of(reached, price, worth.worked_lead), [0.05, 0.95])
                row["value_left"] = float(_worth_of(own, price, worth.worked_lead)[0])
                row |= {"value_left_low": float(low), "value_left_high": float(high)}
        rows.append(row | {"reading": _read_precision(row)})
    return pd.DataFrame(rows, columns=list(_PRECISION_COLUMNS))


def _worth_of(reached: Floats, price: float, worked_lead: float) -> Floats:
    """Value the leads beyond the definition's volume at its rate, per 1,000 leads it hands over."""
    model, own, rate = reached.T
    return np.asarray(PER * (model - own) / own * (rate * price - worked_lead), dtype=np.float64)


def _read_precision(row: Mapping[str, Any]) -> str:
    volume = row["volume_definition"]
    if not volume:
        return "The definition hands none of the newest leads over."
    if volume == row["n"]:
        return _NOBODY_KNOWS
    low, high = row["volume_model_low"], row["volume_model_high"]
    span = f"{format_count(low)} to {format_count(high)}" if isfinite(low) else "range not known"
    return (
        f"At the definition's rate of {format_rate(row['rate'])} the model could hand over "
        f"{format_count(row['volume_model'])} ({span}) leads instead of {format_count(volume)}, "
        f"{_AMONG.format(n=format_count(row['n']))}."
    )


def _reach(leads: NDArray[np.float64], wins: NDArray[np.float64], rate: float) -> float:
    """Return the largest number of leads, best first, whose rate is still `rate`."""
    total = np.cumsum(leads)
    enough = np.flatnonzero((np.cumsum(wins) >= rate * total - 1e-9) & (total > 0))
    return float(total[enough[-1]]) if len(enough) else 0.0


def _resample_reach(
    y_true: NDArray[np.float64], definition: Mask, *, n_resamples: int, random_state: int
) -> Floats:
    """Resample counts of leads by rank, choice and answer, so that the work does not grow with the leads.

    One row per resample: how many leads the model reaches, how many the definition hands over, its rate.
    """
    n = len(y_true)
    size = min(n, _RANKS)
    rank = np.arange(n) * size // n
    group = rank * 4 + definition.astype(np.int64) * 2 + y_true.astype(np.int64)
    counts = np.bincount(group, minlength=4 * size) / n
    drawn = np.random.default_rng(random_state).multinomial(n, counts, size=n_resamples)
    drawn = drawn.reshape(n_resamples, size, 2, 2).astype(np.float64)
    leads, wins = drawn.sum(axis=(2, 3)), drawn[..., 1].sum(axis=2)
    chosen, won = drawn[:, :, 1].sum(axis=(1, 2)), drawn[:, :, 1, 1].sum(axis=1)
    found = [
        (_reach(leads[i], wins[i], won[i] / chosen[i]), chosen[i], won[i] / chosen[i])
        for i in range(n_resamples)
        if chosen[i] > 0
    ]
    return np.array(found, dtype=np.float64).reshape(len(found), 3)


def _order(y_prob: NDArray[np.float64]) -> NDArray[np.int64]:
    shuffled = np.random.default_rng(0).permutation(len(y_prob))
    return np.asarray(shuffled[np.argsort(-y_prob[shuffled], kind="stable")])


def _choose(y_prob: Floats, volume: int) -> Mask:
    chosen = np.zeros(len(y_prob), dtype=np.bool_)
    chosen[_order(y_prob)[:volume]] = True
    return chosen


def _value_left(definition: Mask, model: Mask, y_true: Mask, prices: Floats) -> dict[str, float]:
    """Value the wins that only the model's choice has, less those that only the definition's has."""
    levels = np.unique(prices[~np.isnan(prices)])
    masks = [(model & ~definition, 1.0), (definition & ~model, -1.0)]
    strata = [(mask & (prices == level), sign, level) for mask, sign in masks for level in levels]
    n = np.array([np.count_nonzero(mask) for mask, _, _ in strata], dtype=np.float64)
    wins = np.array([np.count_nonzero(mask & y_true) for mask, _, _ in strata], dtype=np.float64)
    scale = n * np.array([level for _, _, level in strata])
    found = mover_interval(wins, n, sign=[sign for _, sign, _ in strata], scale=scale)
    names = ("value_left", "value_left_low", "value_left_high")
    per = PER / np.count_nonzero(definition)
    return {name: per * float(part) for name, part in zip(names, found, strict=True)}


def _read_volume(row: Mapping[str, Any]) -> str:
    if not row["volume"]:
        return "The definition hands none of the newest leads over."
    if row["volume"] == row["n"]:
        return _NOBODY_KNOWS
    told = (
        f"Choosing {format_count(row['volume'])} {_AMONG.format(n=format_count(row['n']))}, the model's are "
        f"{format_rate(row['rate_model'])} and the definition's {format_rate(row['rate_definition'])} yes"
    )
    low, high = row["wins_left_low"], row["wins_left_high"]
    left = f"{row['wins_left']:.0f} {_THINGS[row['target']]} per 1,000 leads handed over"
    left += f" ({low:.0f} to {high:.0f})"
    if low > 0:
        return f"{told}: the definition leaves {left} on the table."
    if high < 0:
        return f"{told}: the model would choose worse, {left}."
    return f"{told}; that either chooses better is not shown, {left}."


def _compare(definition: Mask, y_prob: NDArray[np.float64], y_true: Mask) -> dict[str, Any]:
    volume = int(np.count_nonzero(definition))
    model = _choose(y_prob, volume)
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
    if volume == len(y_true):
        found = (nan, nan, nan)
    return row | {
        name: PER * value
        for name, value in zip(("wins_left", "wins_left_low", "wins_left_high"), found, strict=True)
    }


def _rate(mask: Mask, y_true: Mask) -> Rate:
    return compute_rate(int(np.count_nonzero(mask & y_true)), int(np.count_nonzero(mask)))

"""What may raise the alarm, in words: one family of signals after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml._render import format_count, format_points, format_rate
from leadml.metrics import holm
from leadml.monitor._promise import WORDS, KeptPromise
from leadml.monitor._report import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from leadml.leads import LeadTable
    from leadml.monitor._labels import Calibrated
    from leadml.monitor._plan import Plan
    from leadml.monitor._report import Status
    from leadml.monitor._shift import Together

__all__ = [
    "attribute_signals",
    "calibration_signals",
    "handling_signals",
    "promise_signals",
    "together_signal",
    "volume_signals",
]


def _judge(p_value: float, level: float) -> Status:
    if math.isnan(p_value):
        return "too early"
    return "alarm" if p_value <= level else "quiet"


def _number(p_value: float) -> float | None:
    return None if math.isnan(p_value) else p_value


def promise_signals(kept: tuple[KeptPromise, ...], table: LeadTable, plan: Plan) -> list[Signal]:
    signals = []
    for item in kept:
        early = item.verdict == "too early"
        signals.append(
            Signal(
                family="promise",
                name=WORDS[item.target],
                status="alarm" if item.verdict == "promise broken" else "too early" if early else "quiet",
                p_value=min(1.0, 1 / item.evidence) if item.evidence > 0 else 1.0,
                level=item.error_rate,
                words=item.words,
            )
        )
    told = {item.target for item in kept}
    for target, role in (("accepted", "verdict"), ("won", "outcome")):
        if target not in told and table.contract.column_by_role(role) is not None:
            signals.append(
                Signal(
                    family="promise",
                    name=WORDS[target],
                    status="too early",
                    p_value=None,
                    level=plan.levels["promise"] / len(WORDS),
                    words="nothing was promised, and there are too few matured leads before",
                )
            )
    return signals


def calibration_signals(calibrated: Mapping[str, Calibrated], plan: Plan) -> list[Signal]:
    signals = []
    for target, item in calibrated.items():
        level = plan.levels["calibration"] / max(len(calibrated), 1) / plan.looks_with(target)
        signals.append(
            Signal(
                family="calibration",
                name=WORDS[target],
                status=_judge(item.p_value, level),
                p_value=_number(item.p_value),
                level=level,
                words=item.words,
            )
        )
    return signals


def attribute_signals(attributes: pd.DataFrame, plan: Plan) -> list[Signal]:
    level = plan.level("attributes")
    signals = []
    for row in attributes.to_dict("records"):
        words = [f"{row['test'] or 'values'}: distance {row['distance']:.2f}"]
        if row["test"] == "":
            words = ["not compared"]
        missing = row["missing_now"] - row["missing_before"]
        if not math.isnan(missing):
            words.append(f"missing {format_points(missing)}")
        if row["n_new_levels"]:
            noun = "new level" if row["n_new_levels"] == 1 else "new levels"
            words.append(f"{row['n_new_levels']} {noun} on {row['leads_in_new_levels']:,} leads")
        signals.append(
            Signal(
                family="attributes",
                name=str(row["attribute"]),
                status=_judge(row["p_adjusted"], level),
                p_value=_number(row["p_adjusted"]),
                level=level,
                words=", ".join(words),
            )
        )
    return signals


def together_signal(together: Together, plan: Plan) -> Signal:
    level = plan.level("together")
    told = (
        "too few leads to compare"
        if math.isnan(together.p_value)
        else (
            f"a model tells the newest leads from those before with an AUC of {together.auc:.2f} "
            f"({together.auc_low:.2f} to {together.auc_high:.2f}; 0.5 is not at all)"
        )
    )
    return Signal(
        family="together",
        name="all attributes at once",
        status=_judge(together.p_value, level),
        p_value=_number(together.p_value),
        level=level,
        words=told,
    )


def volume_signals(volume: dict[str, float], mix: float, mixed: pd.DataFrame, plan: Plan) -> list[Signal]:
    level = plan.level("volume and mix")
    tested = np.array([volume["p_value"], mix])
    known = ~np.isnan(tested)
    adjusted = np.full(2, np.nan)
    adjusted[known] = holm(tested[known])
    told = f"{format_count(volume['now'])} leads a week, before {format_count(volume['before'])}"
    return [
        Signal(
            family="volume and mix",
            name=name,
            status=_judge(float(value), level),
            p_value=_number(float(value)),
            level=level,
            words=words,
        )
        for name, value, words in (
            ("leads a week", adjusted[0], f"{told}; a season looks the same as a change"),
            ("shares of the classes", adjusted[1], _most_moved(mixed)),
        )
        if plan.dated or name != "leads a week"
    ]


def _most_moved(mixed: pd.DataFrame) -> str:
    """Name the class whose share of the leads has moved most."""
    known = mixed[mixed["moved"].notna()]
    if known.empty:
        return "not compared"
    most = known.iloc[int(known["moved"].abs().to_numpy().argmax())]
    return (
        f"{most['lead_class']} is {format_rate(most['share_now'])} of the leads, "
        f"before {format_rate(most['share_before'])}; no class has moved more"
    )


def handling_signals(handling: list[dict[str, Any]], plan: Plan) -> list[Signal]:
    level = plan.level("handling")
    tested = np.array([row["p_value"] for row in handling], dtype=np.float64)
    known = ~np.isnan(tested)
    adjusted = np.full(tested.size, np.nan)
    if known.any():
        adjusted[known] = holm(tested[known])
    return [
        Signal(
            family="handling",
            name=str(row["what"]),
            status=_judge(float(value), level),
            p_value=_number(float(value)),
            level=level,
            words=str(row["words"]),
        )
        for row, value in zip(handling, adjusted, strict=True)
    ]

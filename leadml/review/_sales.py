"""What Sales did with the leads, and what became of those that came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml._render import format_count
from leadml.errors import LeadsError
from leadml.leads import find_recycled
from leadml.review._figures import SMALLEST_GROUP, TARGET_WORDS, count_figure, say_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.review._parts import Run

__all__ = ["describe_followup", "describe_recycled"]

_NO_ACCOUNT = "Nobody can follow leads that come back: these do not say which account they belong to."
_NO_DATES = "Nobody can follow leads that come back: these have no dates."


def describe_followup(run: Run) -> tuple[str, ...]:
    """Say how fast Sales answered and what it left without an answer."""
    verdict = run.table.role("verdict")
    if verdict is None:
        return ()
    return (*_waiting(run, (verdict == "pending").to_numpy(dtype=bool)), *_response(run))


def _waiting(run: Run, pending: NDArray[np.bool_]) -> list[str]:
    """Say how many leads have no verdict though there was time, in all and in the two newest periods."""
    mature = run.targets["accepted_mature"].to_numpy(dtype=bool)
    due = mature & run.targets["worked"].to_numpy(dtype=bool)
    n, waiting = int(due.sum()), int((due & pending).sum())
    if not n >= SMALLEST_GROUP:
        return []
    if not waiting:
        return [f"Every one of the {format_count(n)} leads that went to Sales long enough ago has a verdict."]
    if waiting < SMALLEST_GROUP:
        return [f"Under {SMALLEST_GROUP} of {format_count(n)} leads that went to Sales have no verdict."]
    whole = count_figure(waiting, n).line
    left = (
        f"{format_count(waiting)} leads that went to Sales have no verdict, although there was time: {whole}."
    )
    periods = run.targets["period"].astype(str).to_numpy()
    said = []
    for name in sorted(set(periods[due]))[-2:][::-1]:
        figure = count_figure(
            int((due & pending & (periods == name)).sum()), int((due & (periods == name)).sum())
        )
        if figure.shown:
            said.append(f"{name} {figure.line}")
    return [left, f"Of those from {', of those from '.join(said)}."] if len(said) > 1 else [left]


def _response(run: Run) -> list[str]:
    """Say how long a verdict took."""
    decided, begin = run.table.role("decided"), run.targets["t0"]
    if decided is None or begin.dtype.kind != "M" or decided.dtype.kind != "M":
        return []
    naive = decided.dt.tz_localize(None) if decided.dt.tz is not None else decided
    days = np.sort(np.maximum((naive - begin).dt.days.dropna().to_numpy(dtype=np.float64), 0.0))
    if len(days) < SMALLEST_GROUP:
        return []
    half, most = (say_quantile(days, share) for share in (0.5, 0.9))
    n = f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{format_count(len(days))}"
    return [f"Half of the verdicts came within {half} days, nine of ten within {most} days, {n}."]


def describe_recycled(run: Run) -> tuple[str, ...]:
    """Say how many leads came back after a rejection or a loss, and what became of them then."""
    try:
        found = find_recycled(run.table)
    except LeadsError:
        return (_NO_ACCOUNT if run.table.role("account") is None else _NO_DATES,)
    n, total = len(found), len(run.table.frame)
    if n < SMALLEST_GROUP:
        several = "none" if n == 0 else f"under {SMALLEST_GROUP}"
        return (
            f"Of {format_count(total)} leads {several} came from an account that had been rejected or lost.",
        )
    days = np.sort(found["days_between"].to_numpy(dtype=np.float64))
    who = f"{format_count(n)} leads, {count_figure(n, total).line}, came from an account whose earlier lead"
    lines = [f"{who} had been rejected or lost; half of them within {say_quantile(days, 0.5)} days."]
    ids = run.table.role("id")
    back = np.zeros(total, dtype=bool) if ids is None else ids.isin(found["lead_id"]).to_numpy(dtype=bool)
    for target, words in TARGET_WORDS.items():
        value = pd.to_numeric(run.targets[target]).to_numpy(dtype=np.float64)
        known = ~np.isnan(value) & run.targets[f"{target}_mature"].to_numpy(dtype=bool)
        again, first = (
            count_figure(int((known & side & (value == 1)).sum()), int((known & side).sum()))
            for side in (back, ~back)
        )
        if again.shown and first.shown:
            lines.append(
                f"Of those that came back {again.line} are {words}, of all other leads {first.line}."
            )
        else:
            lines.append(f"How many of those that came back are {words}, nobody knows ({again.text}).")
    return tuple(lines)

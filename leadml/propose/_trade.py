"""What other goals would choose: fewer leads and better ones, or more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._plotting import plot_curve
from leadml._render import render_card, render_frame
from leadml.propose._floor import (
    changes_at,
    count_totals,
    find_front,
    find_usable,
    say_definition,
    search_older,
)
from leadml.propose._pick import sum_gains
from leadml.propose._review import open_review

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Goal
    from leadml.propose._review import Review

    Floats = NDArray[np.float64]

__all__ = ["TradeOff", "compute_trade_off", "make_trade_off"]

_MAX_STEPS = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TradeOff:
    """What could be had of one thing for how much of another, on the older quarters (best case, unconfirmed).

    Attributes
    ----------
    points : DataFrame
        ``proposed``, ``leads`` (handed over), ``rate``, ``won`` (or accepted), ``value`` (against the written
        definition), ``best_for``, the definitions that no other beats in both leads and rate, and those that
        a goal would choose: most ``value``, most ``won`` at no more leads than today (or than Sales can
        work), most ``leads`` at no worse a rate than today's (or, of accepted
        leads, than agreed).
    target : {"accepted", "won"}
        Whose rate it is.
    unit : str
        Of the value.
    per : {"month", "older quarters"}
    """

    points: pd.DataFrame
    target: Literal["accepted", "won"]
    unit: str
    per: str

    def to_frame(self) -> pd.DataFrame:
        """Return the points."""
        return self.points.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        rows = self.points.to_dict(orient="records")
        return {
            "target": self.target,
            "unit": self.unit,
            "per": self.per,
            "points": [
                {
                    str(name): float(f"{value:.10g}") if isinstance(value, float) else value
                    for name, value in row.items()
                }
                for row in rows
            ],
        }

    def __repr__(self) -> str:
        return f"TradeOff: {len(self.points)} definitions that no other beats in both leads and rate"

    def _repr_html_(self) -> str:
        note = "On the older quarters: chosen after the fact, so better than what will come."
        return str(render_card("Trade-off", [render_frame(self.points)], notes=[note]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot rate against leads handed over."""
        frame = self.points.rename(columns={"leads": "x", "rate": "y"})
        return plot_curve(frame, ax, xlabel=f"leads handed over, {self.per}", ylabel=f"share {self.target}")


def compute_trade_off(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    goal: Goal,
    split: TimeSplit,
    max_changes: int = 2,
) -> TradeOff:
    """Show what each goal would choose: fewer and better, or more leads.

    Only the older quarters are read, and only changes whose leads have labels. It is a picture for the
    talk about goals, not evidence for a change.

    Parameters
    ----------
    definition, table, targets, goal, split, max_changes
        As in `propose_changes`.

    Returns
    -------
    TradeOff
    """
    review = open_review(
        definition,
        table,
        targets,
        goal=goal,
        split=split,
        min_change=1,
        error_rate=0.05,
        explored=None,
        confirm_with="matured",
    )
    return make_trade_off(review, search_older(review, max_changes))


def make_trade_off(review: Review, found: SearchResult) -> TradeOff:
    """Read the trade-off off a search of the older quarters (`compute_trade_off`)."""
    volume, n, k = count_totals(review, found)
    rate = np.where(n > 0, k / np.maximum(n, 1), 0.0)
    usable = find_usable(review, found, n)
    value = _value(review, found)
    written = len(volume) - 1
    most = volume[written] if review.max_leads is None else max(review.max_leads, 0.0)
    agreed = review.goal.minimum_acceptance if review.target == "accepted" else None
    least = rate[written] if agreed is None else agreed
    best = {
        "value": _best(value, usable),
        "won": _best(k, usable & (volume <= most)),
        "leads": _best(volume, usable & (rate >= least)),
    }
    if review.stakes is None or not review.stakes.signed:
        del best["value"]
    front = find_front(volume, rate, usable)
    front = front[:: max(1, len(front) // _MAX_STEPS)]
    shown = sorted({*front, *best.values(), written}, key=lambda spot: (volume[spot], spot))
    months = review.windows.discover_months or 1.0
    return TradeOff(
        points=pd.DataFrame(
            {
                "proposed": [
                    say_definition(changes_at(review, found, spot if spot < written else -1))
                    for spot in shown
                ],
                "leads": volume[shown] / months,
                "rate": rate[shown],
                "won": k[shown] / months,
                "value": value[shown] / months,
                "best_for": [
                    ", ".join(name for name, spot in best.items() if spot == each) for each in shown
                ],
            }
        ),
        target=review.target,
        unit="" if review.stakes is None else review.stakes.unit,
        per="month" if review.windows.discover_months else "older quarters",
    )


def _value(review: Review, found: SearchResult) -> Floats:
    """Return the change in value of each edit; the last entry is as written."""
    if review.stakes is None:
        return np.zeros(len(found.edits) + 1)
    return np.append(sum_gains(found, review.stakes), 0.0)


def _best(score: Floats, allowed: NDArray[np.bool_]) -> int:
    """Return the allowed place with the highest score; the written definition (last) if nothing beats it."""
    if not allowed.any():
        return len(score) - 1
    reachable = np.where(allowed, score, -np.inf)
    return len(score) - 1 - int(reachable[::-1].argmax())

"""The next quarter: did the adopted change do what was promised? And the error of a year of reviews."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._render import format_change, format_count, render_card
from leadml.errors import ExperimentError
from leadml.propose._judge import Range, count_moved, judge_moved
from leadml.propose._leads import compare_handoff, read_labels, select_evidence
from leadml.propose._review import open_review

if TYPE_CHECKING:
    from datetime import date

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._goal import Goal

__all__ = ["AdoptionAudit", "audit_adopted", "split_error_rate"]

_FEW = 20


def split_error_rate(error_rate_per_year: float, *, reviews_per_year: int = 4, looks: int = 1) -> float:
    """Share a year's error rate among its reviews, and among the planned looks at one candidate.

    Parameters
    ----------
    error_rate_per_year : float
        Chance of even one wrong proposal in a year.
    reviews_per_year : int, default=4
    looks : int, default=1
        Planned looks at the same watched candidate; unplanned ones need the e-process.

    Returns
    -------
    float
        What each review (look) may use as its `error_rate`.

    References
    ----------
    METHODS.md, section 1.9: with the rate split, measured error over eight looks .016 to .026 at a nominal
    .05; without, .09 to .14.

    Examples
    --------
    >>> split_error_rate(0.05)
    0.0125
    """
    if not 0 < error_rate_per_year < 1 or reviews_per_year < 1 or looks < 1:
        raise ExperimentError(
            "error rate a year: expected a rate between 0 and 1, at least one review and one look; "
            f"got {error_rate_per_year!r}, {reviews_per_year!r}, {looks!r}."
        )
    return error_rate_per_year / (reviews_per_year * looks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdoptionAudit:
    """What an adopted change did, on leads that came after it.

    Attributes
    ----------
    verdict : {"promise kept", "promise broken", "too early", "cannot be measured"}
    promised, realised : Range
        Change in value a month (over the period, without dates).
    n_changed, n_known : int
        Fresh leads that the change moved, and those with a label.
    reason : str
    """

    verdict: Literal["promise kept", "promise broken", "too early", "cannot be measured"]
    promised: Range
    realised: Range
    n_changed: int
    n_known: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "verdict": self.verdict,
            "promised_low": self.promised.low,
            "promised": self.promised.value,
            "promised_high": self.promised.high,
            "realised_low": self.realised.low,
            "realised": self.realised.value,
            "realised_high": self.realised.high,
            "n_changed": self.n_changed,
            "n_known": self.n_known,
            "reason": self.reason,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        return pd.DataFrame([self.to_dict()])

    def __repr__(self) -> str:
        return f"{self.verdict}: {self.reason}"

    def _repr_html_(self) -> str:
        return str(render_card("Adopted change", [repr(self)]))


def audit_adopted(
    before: Definition,
    after: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    goal: Goal,
    split: TimeSplit,
    promised: Range,
    since: date,
    error_rate: float = 0.05,
) -> AdoptionAudit:
    """Compare what an adopted change did on fresh leads with what was promised.

    Parameters
    ----------
    before, after : Definition
        The version that was in force, and the one that was adopted.
    table, targets, goal, split
        As in `propose_changes`.
    promised : Range
        The `value` of the proposal, a month.
    since : date
        First day on which the adopted version was in force.
    error_rate : float, default=0.05

    Returns
    -------
    AdoptionAudit
        "promise kept" if the realised range reaches the promised lower bound, "promise broken" if it lies
        below. Leads that are no longer handed over have no labels unless some are handed over at random;
        without them the audit says that it cannot measure.
    """
    review = open_review(
        before,
        table,
        targets,
        goal=goal,
        split=split,
        min_change=1,
        error_rate=error_rate,
        explored=None,
        confirm_with="matured",
    )
    start = targets["t0"]
    mature = targets[f"{review.target}_mature"].to_numpy(bool)
    fresh = np.asarray((start >= pd.Timestamp(since)).to_numpy()) & mature
    gained, lost = compare_handoff(review, after)
    gained, lost = gained[fresh[gained]], lost[fresh[lost]]
    n_changed = len(gained) + len(lost)
    nothing = Range(low=None, value=None, high=None)
    if review.stakes is None or n_changed < _FEW:
        reason = f"only {format_count(n_changed)} matured leads since then would have been treated otherwise"
        return AdoptionAudit(
            verdict="too early",
            promised=promised,
            realised=nothing,
            n_changed=n_changed,
            n_known=0,
            reason=reason,
        )
    # After the change it is the new version that says who was worked.
    labels = read_labels(
        table, targets, target=review.target, rows=fresh, handed_over=np.zeros(len(fresh), bool)
    )
    windows = replace(review.windows, discover=np.zeros(len(fresh), bool), confirm=fresh)
    moved = count_moved(
        gained,
        lost,
        labels=labels,
        strata=review.strata,
        evidence=select_evidence(table, targets, windows, review.board.handed_over),
        n_strata=review.n_strata,
    )
    known = moved.n
    if known < 0.5 * n_changed:
        return AdoptionAudit(
            verdict="cannot be measured",
            promised=promised,
            realised=nothing,
            n_changed=n_changed,
            n_known=known,
            reason=f"{format_count(n_changed)} leads are treated otherwise, {format_count(known)} have a "
            "label: hand over a few at random to see what became of the others",
        )
    days = (start[fresh].max().normalize() - start[fresh].min().normalize()).days + 1
    realised = judge_moved(moved, review.stakes, error_rate=error_rate).value.scaled(365.25 / 12 / days)
    broken = realised.high is not None and promised.low is not None and realised.high < promised.low
    span = f"{format_change(realised.low)} to {format_change(realised.high)}"
    words = f"{span} {review.stakes.unit} a month on {known:,} fresh leads"
    return AdoptionAudit(
        verdict="promise broken" if broken else "promise kept",
        promised=promised,
        realised=realised,
        n_changed=n_changed,
        n_known=known,
        reason=f"{words}; at least {format_change(promised.low)} was promised"
        if promised.low is not None
        else words,
    )

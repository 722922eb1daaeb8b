"""The leads as the engine sees them: two windows of time, one row per account, labels on demand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.definitions import assign_classes
from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._ranges import Gather
    from leadml.propose._review import Review

    Bits = NDArray[np.bool_]
    Places = NDArray[np.intp]

__all__ = [
    "UNKNOWN",
    "Times",
    "Windows",
    "account_keys",
    "compare_handoff",
    "find_bounds",
    "find_times",
    "find_windows",
    "join_spans",
    "match_explored",
    "matured_since",
    "read_early_wins",
    "read_labels",
    "repeated_accounts",
    "select_evidence",
    "span_of",
    "windows_within",
]

UNKNOWN, NO, YES = 0, 1, 2
_DAYS_A_MONTH = 365.25 / 12
_EARLY_DAYS = 91
_MAX_PROBABILITIES = 5
_MOST_UNKNOWN = 0.05  # of the ids of an exploration


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Which leads are searched and which confirm.

    Attributes
    ----------
    discover, confirm : ndarray of bool of shape (n_leads,)
        Matured leads of either window, labelled or not.
    discover_months, confirm_months : float or None
        Length of the windows; None where the leads have no dates.
    """

    discover: Bits
    confirm: Bits
    discover_months: float | None
    confirm_months: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When the leads of either window began, first and last (None for none), and how many they are.

    Attributes
    ----------
    since, until : Timestamp, float or None
        First and last start of a lead with a label to confirm with; none, and nothing can be confirmed.
    discover, confirm : tuple of (first, last, n)
        All leads of either window.
    dated : bool
        Whether starts are instants.
    """

    since: Any
    until: Any
    discover: tuple[Any, Any, int]
    confirm: tuple[Any, Any, int]
    dated: bool

    @property
    def n_discover(self) -> int:
        """Leads of the older quarters."""
        return self.discover[2]

    @property
    def n_confirm(self) -> int:
        """Leads of the confirmation window."""
        return self.confirm[2]


def find_times(gather: Gather, bounds: tuple[Any, Any], *, target: Literal["accepted", "won"]) -> Times:
    """Find when the leads of either window began.

    Parameters
    ----------
    gather : Gather
        Asks parts of the leads by their targets.
    bounds : tuple
        First and last start of a lead with a label to confirm with, None for none.
    target : {"accepted", "won"}
    """
    parts = gather(partial(_time_part, bounds, target))
    return Times(
        since=bounds[0],
        until=bounds[1],
        discover=join_spans([part[0] for part in parts]),
        confirm=join_spans([part[1] for part in parts]),
        dated=parts[0][2],
    )


def _time_part(
    bounds: tuple[Any, Any], target: Literal["accepted", "won"], targets: pd.DataFrame
) -> tuple[tuple[Any, Any, int], tuple[Any, Any, int], bool]:
    start = pd.Series(targets["t0"].to_numpy())
    discover, confirm = _window_rows(targets, bounds, target)
    return span_of(start[discover]), span_of(start[confirm]), start.dtype.kind == "M"


def span_of(start: pd.Series[Any]) -> tuple[Any, Any, int]:
    """Return first, last and number."""
    return (start.min(), start.max(), len(start)) if len(start) else (None, None, 0)


def join_spans(spans: Sequence[tuple[Any, Any, int]]) -> tuple[Any, Any, int]:
    """Return first, last and number of all parts together."""
    known = [span for span in spans if span[2]]
    if not known:
        return None, None, 0
    return min(span[0] for span in known), max(span[1] for span in known), sum(span[2] for span in known)


def _window_rows(
    targets: pd.DataFrame, bounds: tuple[Any, Any], target: Literal["accepted", "won"]
) -> tuple[Bits, Bits]:
    start = pd.Series(targets["t0"].to_numpy())
    mature = targets[f"{target}_mature"].to_numpy(bool) & start.notna().to_numpy()
    first, last = bounds
    if first is None:
        return mature, np.zeros(len(start), bool)
    discover = mature & (start < first).to_numpy()
    confirm = mature & ((start >= first) & (start <= last)).to_numpy()
    return discover, confirm


def find_bounds(targets: pd.DataFrame, split: TimeSplit) -> tuple[Any, Any]:
    """Return the first and last start of a lead to confirm with."""
    first, last, _ = span_of(pd.Series(targets["t0"].to_numpy())[split.confirm])
    return first, last


def find_windows(targets: pd.DataFrame, split: TimeSplit, *, target: Literal["accepted", "won"]) -> Windows:
    """Widen a split of labelled leads to all matured leads of the same time.

    A split holds the leads whose label is known; how many leads a change moves, and how many of those have
    no label, is counted on all of them.
    """
    times = find_times(lambda ask: [ask(targets)], find_bounds(targets, split), target=target)
    return windows_within(targets, times, target=target)


def windows_within(targets: pd.DataFrame, times: Times, *, target: Literal["accepted", "won"]) -> Windows:
    """Return which leads at hand are in either window."""
    discover, confirm = _window_rows(targets, (times.since, times.until), target)
    return Windows(
        discover=discover,
        confirm=confirm,
        discover_months=_months(times.discover) if times.dated else None,
        confirm_months=_months(times.confirm) if times.dated else None,
    )


def _months(span: tuple[Any, Any, int]) -> float | None:
    first, last, n = span
    if not n:
        return None
    days = (last.normalize() - first.normalize()).days + 1
    return float(days) / _DAYS_A_MONTH


def matured_since(targets: pd.DataFrame, times: Times, target: Literal["accepted", "won"]) -> Bits:
    """Return the matured leads from the start of the confirmation window on."""
    start = targets["t0"]
    if not times.n_confirm:
        return np.zeros(len(start), bool)
    since = (start >= times.confirm[0]).to_numpy()
    return np.asarray(since & targets[f"{target}_mature"].to_numpy(bool))


def select_evidence(table: LeadTable, targets: pd.DataFrame, windows: Windows, handed_over: Bits) -> Bits:
    """Pick one row per account: five contacts of one company are one piece of evidence.

    An account that comes back in the confirmation window counts there only: what was found on its outcome
    must not be confirmed by the same outcome. The pick looks at no label: a lead that the written definition
    hands over before one that it does not, then the earliest, then the smallest id. Leads without an
    account count for themselves.
    """
    used = windows.discover | windows.confirm
    keys = account_keys(table, targets, windows, handed_over)
    evidence = used.copy()
    if keys is not None:
        evidence[keys.index[repeated_accounts(keys)]] = False
    return evidence


def account_keys(
    table: LeadTable, targets: pd.DataFrame, windows: Windows, handed_over: Bits
) -> pd.DataFrame | None:
    """Return of every lead with an account what decides which one of the account counts; None without any."""
    account = table.role("account")
    used = windows.discover | windows.confirm
    if account is None:
        return None
    keys = pd.DataFrame(
        {
            "account": account.astype("string").to_numpy(dtype=object),
            "confirm": windows.confirm,
            "other": ~handed_over,
            "t0": targets["t0"].to_numpy(),
            "id": _ids(table),
        }
    )
    return keys[used & keys["account"].notna().to_numpy()]


def repeated_accounts(keys: pd.DataFrame) -> Bits:
    """Return which leads another one of their account stands for, all leads of an account being there."""
    order = keys.reset_index(drop=True).sort_values(
        ["account", "confirm", "other", "t0", "id"], kind="stable"
    )
    repeated = np.zeros(len(keys), bool)
    repeated[order.index[order.duplicated(["account", "confirm"]).to_numpy()]] = True
    confirm = keys["confirm"].to_numpy(bool)
    back = keys["account"].isin(keys.loc[confirm, "account"]).to_numpy(bool) & ~confirm
    return np.asarray(repeated | back)


def _ids(table: LeadTable) -> NDArray[np.object_]:
    ids = table.role("id")
    if ids is None:
        return np.arange(len(table.frame)).astype(object)
    return ids.astype("string").fillna("").to_numpy(dtype=object)


def read_labels(
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    target: Literal["accepted", "won"],
    rows: Bits,
    handed_over: Bits,
    require: Literal["mature", "known"] = "mature",
) -> NDArray[np.int8]:
    """Read the labels of some leads: UNKNOWN, NO or YES; every other lead is UNKNOWN.

    A deal that is still open after the window counts as not won where the definition hands the lead over.
    Where it does not, nobody may ever have worked the lead: it needs a closed deal, a verdict or the date
    of a handoff to be a label. Young leads are left out, whatever is known of them, unless `require` is
    "known" (they are weighted then).
    """
    values = targets[target].to_numpy(np.float64)
    known = rows & ~np.isnan(values)
    if require == "mature":
        known &= targets[f"{target}_mature"].to_numpy(bool)
    if target == "won":
        known &= handed_over | _touched(table)
    labels = np.zeros(len(values), np.int8)
    labels[known] = np.where(values[known] > 0, YES, NO)
    return labels


def _touched(table: LeadTable) -> Bits:
    found = np.zeros(len(table.frame), bool)
    for role, settled in (("verdict", ["accepted", "rejected"]), ("outcome", ["won", "lost"])):
        column = table.role(role)
        if column is not None:
            found |= column.isin(settled).to_numpy()
    handed = table.role("handed_over")
    return found if handed is None else found | handed.notna().to_numpy()


def read_early_wins(table: LeadTable, targets: pd.DataFrame, rows: Bits) -> NDArray[np.int8] | None:
    """Read who was won within three months; None where deals have no dates."""
    outcome, closed = table.role("outcome"), table.role("closed")
    start = pd.Series(targets["t0"].to_numpy())
    if outcome is None or closed is None or start.dtype.kind != "M":
        return None
    naive = closed.dt.tz_localize(None) if closed.dt.tz is not None else closed
    lag = (pd.Series(naive.to_numpy()) - start).dt.total_seconds().to_numpy() / 86_400.0
    old_enough = targets["age_days"].to_numpy(np.float64) >= _EARLY_DAYS
    early = (outcome == "won").to_numpy() & (lag <= _EARLY_DAYS + 1)
    labels = np.zeros(len(start), np.int8)
    known = rows & old_enough
    labels[known] = np.where(early[known], YES, NO)
    return labels


def match_explored(explored: pd.DataFrame, table: LeadTable) -> tuple[NDArray[np.float64], Bits, int]:
    """Find the leads of an exploration: chance to be picked (NaN for others), who was, how many lack.

    Raises
    ------
    LeadsError
        If a column is missing, a probability is impossible, an id occurs twice, there are more than five
        different probabilities, or more than 5 % of the ids are not among the leads: who of a random sample
        is left out is no chance any more.
    """
    ids = table.role("id")
    missing = [name for name in ("lead_id", "probability", "picked") if name not in explored.columns]
    if missing or ids is None:
        raise LeadsError(
            f"explored leads: expected columns lead_id, probability, picked; missing: {', '.join(missing)}."
            if missing
            else "explored leads: the contract declares no column with role id to find them by."
        )
    chance = pd.to_numeric(explored["probability"], errors="coerce").to_numpy(np.float64)
    keys = explored["lead_id"].astype("string")
    wrong = []
    if not ((chance > 0) & (chance <= 1)).all():
        wrong.append("explored leads: expected probabilities above 0 and at most 1.")
    if keys.duplicated().any():
        wrong.append(f"explored leads: {int(keys.duplicated().sum())} ids occur more than once.")
    if len(np.unique(np.round(chance, 9))) > _MAX_PROBABILITIES:
        wrong.append(f"explored leads: expected at most {_MAX_PROBABILITIES} different probabilities.")
    if wrong:
        raise LeadsError(*wrong)
    picked = explored["picked"].astype("string").str.lower().isin(["1", "1.0", "true", "yes"]).to_numpy(bool)
    place = pd.Series(np.arange(len(keys)), index=keys).reindex(ids.astype("string")).to_numpy(np.float64)
    found = ~np.isnan(place)
    n_unknown = len(keys) - len(np.unique(place[found]))
    if n_unknown > _MOST_UNKNOWN * len(keys):
        many = "none" if n_unknown == len(keys) else f"{n_unknown:,} of {len(keys):,}"
        raise LeadsError(
            f"explored leads: {many} of the ids {'is' if many == 'none' else 'are not'} among the leads, at "
            f"most {_MOST_UNKNOWN:.0%} may be missing. Name the file of this export, and an export that "
            "reaches back to when they were picked."
        )
    probability = np.full(len(ids), np.nan)
    was_picked = np.zeros(len(ids), bool)
    probability[found] = chance[place[found].astype(int)]
    was_picked[found] = picked[place[found].astype(int)]
    return probability, was_picked, n_unknown


def compare_handoff(review: Review, revised: Definition) -> tuple[Places, Places]:
    """Return the leads that another definition hands over and the written one does not, and the reverse."""
    classes = assign_classes(revised, review.table.frame, as_of=review.table.as_of)
    then = classes.isin(revised.handoff).to_numpy()
    now = review.board.handed_over
    return np.flatnonzero(then & ~now), np.flatnonzero(now & ~then)

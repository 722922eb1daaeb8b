"""The leads as the engine sees them: two windows of time, one row per account, labels on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from leadml.definitions import assign_classes
from leadml.errors import LeadsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._review import Review

    Bits = NDArray[np.bool_]
    Places = NDArray[np.intp]

__all__ = [
    "UNKNOWN",
    "Windows",
    "compare_handoff",
    "find_windows",
    "match_explored",
    "read_early_wins",
    "read_labels",
    "select_evidence",
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


def find_windows(targets: pd.DataFrame, split: TimeSplit, *, target: Literal["accepted", "won"]) -> Windows:
    """Widen a split of labelled leads to all matured leads of the same time.

    A split holds the leads whose label is known; how many leads a change moves, and how many of those have
    no label, is counted on all of them.
    """
    start = pd.Series(targets["t0"].to_numpy())
    mature = targets[f"{target}_mature"].to_numpy(bool) & start.notna().to_numpy()
    dated = start.dtype.kind == "M"
    if not split.confirm.any():
        return Windows(
            discover=mature,
            confirm=np.zeros(len(start), bool),
            discover_months=_months(start, mature) if dated else None,
            confirm_months=None,
        )
    first, last = start[split.confirm].min(), start[split.confirm].max()
    discover = mature & (start < first).to_numpy()
    confirm = mature & ((start >= first) & (start <= last)).to_numpy()
    return Windows(
        discover=discover,
        confirm=confirm,
        discover_months=_months(start, discover) if dated else None,
        confirm_months=_months(start, confirm) if dated else None,
    )


def _months(start: pd.Series[pd.Timestamp], rows: Bits) -> float | None:
    if not rows.any():
        return None
    days = (start[rows].max().normalize() - start[rows].min().normalize()).days + 1
    return float(days) / _DAYS_A_MONTH


def select_evidence(table: LeadTable, targets: pd.DataFrame, windows: Windows, handed_over: Bits) -> Bits:
    """Pick one row per account: five contacts of one company are one piece of evidence.

    An account that comes back in the confirmation window counts there only: what was found on its outcome
    must not be confirmed by the same outcome. The pick looks at no label: a lead that the written definition
    hands over before one that it does not, then the earliest, then the smallest id. Leads without an
    account count for themselves.
    """
    account = table.role("account")
    used = windows.discover | windows.confirm
    if account is None:
        return used
    keys = pd.DataFrame(
        {
            "account": account.astype("string").to_numpy(dtype=object),
            "confirm": windows.confirm,
            "other": ~handed_over,
            "t0": targets["t0"].to_numpy(),
            "id": _ids(table),
        }
    )
    keys = keys[used & keys["account"].notna().to_numpy()]
    keys = keys.sort_values(["account", "confirm", "other", "t0", "id"], kind="stable")
    repeated = keys.index[keys.duplicated(["account", "confirm"]).to_numpy()]
    evidence = used.copy()
    evidence[repeated] = False
    back = keys["account"].isin(keys.loc[keys["confirm"], "account"]) & ~keys["confirm"]
    evidence[keys.index[back.to_numpy()]] = False
    return evidence


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

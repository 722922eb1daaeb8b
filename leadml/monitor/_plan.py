"""When is looked, at which leads, and how much error each look may spend.

Everything that is tested is a function of the last planned look, not of the day on which the command happens
to run: a run on each day of a week gives the same answer seven times, and spends error once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.errors import LeadsError
from leadml.leads import target_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable

    Bits = NDArray[np.bool_]

__all__ = ["SHARES", "Plan", "Schedule", "make_plan"]

SHARES = {
    "promise": 0.35,
    "calibration": 0.25,
    "attributes": 0.15,
    "together": 0.10,
    "volume and mix": 0.10,
    "handling": 0.05,
}
"""How the error of a year is shared among the families of signals; those that cannot be there give theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often is looked, and at how many of the newest leads.

    Parameters
    ----------
    n_looks : int, default 52
        Planned looks between two reviews; the error rate is spent over them.
    days_between_looks : int, default 7
    window_days : int, default 91
        Newest leads in which a shift of the attributes is looked for.
    """

    n_looks: int = 52
    days_between_looks: int = 7
    window_days: int = 91

    def __post_init__(self) -> None:
        for name in ("n_looks", "days_between_looks", "window_days"):
            if getattr(self, name) < 1:
                raise LeadsError(f"{name}: expected at least 1, got {getattr(self, name)!r}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """One look: which leads are compared with which, and the error it may spend.

    Attributes
    ----------
    schedule : Schedule
    since : date or None
        First day of the leads that are watched; None without dates.
    as_of : date
    look : int
        Number of the last planned look that has come; 0 if none has.
    look_on : date or None
        Its day: later leads wait for the next look.
    baseline, fresh, window : ndarray of bool of shape (n_leads,)
        Leads before, since, and the newest of these.
    age_days : ndarray of float of shape (n_leads,)
        On the day of the look; infinite without dates.
    start : Series
        When each lead begins to count.
    account : ndarray of int of shape (n_leads,)
        Number of its account, -1 without one.
    ids : Series
        Tells leads of one day apart, so that the order of the rows says nothing.
    windows : dict of str to (int or None)
        Days until a label is mature.
    levels : dict of str to float
        Error rate of each family of signals, over all its looks.
    """

    schedule: Schedule
    since: date | None
    as_of: date
    look: int
    look_on: date | None
    baseline: Bits = field(repr=False)
    fresh: Bits = field(repr=False)
    window: Bits = field(repr=False)
    age_days: NDArray[np.float64] = field(repr=False)
    start: pd.Series = field(repr=False)
    account: NDArray[np.int64] = field(repr=False)
    ids: pd.Series = field(repr=False)
    windows: dict[str, int | None]
    levels: dict[str, float]

    @property
    def dated(self) -> bool:
        """Whether the leads have dates."""
        return self.look_on is not None

    def once(self, rows: Bits) -> Bits:
        """Keep the earliest lead of each account: five contacts of one company are one piece of evidence."""
        if not (self.account >= 0).any():
            return rows
        places = self.in_order(rows & (self.account >= 0))
        _, first = np.unique(self.account[places], return_index=True)
        kept = rows & (self.account < 0)
        kept[places[first]] = True
        return kept

    def in_order(self, rows: Bits) -> NDArray[np.int64]:
        """Give the places of some leads in order of time and id."""
        places = np.flatnonzero(rows)
        frame = pd.DataFrame({"start": self.start.to_numpy()[places], "id": self.ids.to_numpy()[places]})
        return np.asarray(places[frame.sort_values(["start", "id"], kind="stable").index.to_numpy()])

    def mature(self, target: str) -> Bits:
        """Say which leads were old enough on the day of the look."""
        return np.asarray(self.age_days >= (self.windows[target] or 0))

    def mature_at_start(self, target: str) -> Bits:
        """Say which leads of the baseline were old enough on its last day: their labels move no more."""
        if self.since is None:
            return self.baseline
        first = pd.Timestamp(self.since) - pd.Timedelta(days=self.windows[target] or 0)
        return self.baseline & (self.start < first).to_numpy(dtype=bool)

    def days_since(self, rows: Bits) -> NDArray[np.int64]:
        """Count the days from the first day of the champion, below 0 before it."""
        elapsed = self.start[rows] - pd.Timestamp(self.since or self.as_of)
        return np.asarray(elapsed.dt.days, dtype=np.int64)

    def looks_with(self, target: str) -> int:
        """Count the planned looks at which a watched lead can have a mature label."""
        if not self.dated:
            return self.schedule.n_looks
        blind = (self.windows[target] or 0) // self.schedule.days_between_looks
        return max(1, self.schedule.n_looks - blind)

    def level(self, family: str) -> float:
        """Give what one look may spend on a family."""
        return self.levels[family] / self.schedule.n_looks


def make_plan(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    since: date | None,
    baseline_from: date | None,
    as_of: date | None,
    schedule: Schedule,
    levels: dict[str, float],
) -> tuple[Plan, list[str]]:
    """Plan the look that `as_of` falls into.

    Returns
    -------
    tuple of (Plan, list of str)
        The plan, and what a reader must know about it.
    """
    today = as_of or table.as_of
    if today > table.as_of:
        raise LeadsError(
            f"as_of: {today} is later than the leads ({table.as_of}); their labels are not known yet. "
            "Read a newer export."
        )
    start = pd.Series(targets["t0"].to_numpy())
    if start.dtype.kind != "M":
        return _plan_without_dates(table, start, since, today, schedule, levels)
    days = start.dt.normalize()
    first, notes = _first_day(definition, days, since, today, schedule)
    length = schedule.days_between_looks
    look = max(0, ((today - first).days + 1) // length)
    look_on = first + timedelta(days=look * length)
    earliest = pd.Timestamp(baseline_from) if baseline_from else pd.Timestamp.min
    baseline = ((days < pd.Timestamp(first)) & (days >= earliest)).to_numpy(dtype=bool)
    fresh = ((days >= pd.Timestamp(first)) & (days < pd.Timestamp(look_on))).to_numpy(dtype=bool)
    newest = pd.Timestamp(look_on) - pd.Timedelta(days=schedule.window_days)
    if first > today:
        notes.append(f"The champion begins on {first}, after the leads end ({today}): nothing to watch yet.")
    if look > schedule.n_looks:
        notes.append(
            f"This is look {look} of {schedule.n_looks} planned ones: the error rate holds for any "
            f"{schedule.n_looks} looks. A review is due."
        )
    account, ids = _accounts(table)
    age = (pd.Timestamp(look_on) - pd.Timedelta(days=1) - days).dt.days.to_numpy(dtype=np.float64)
    return Plan(
        schedule=schedule,
        since=first,
        as_of=today,
        look=look,
        look_on=look_on,
        baseline=baseline,
        fresh=fresh,
        window=fresh & (days >= newest).to_numpy(dtype=bool),
        age_days=np.nan_to_num(age, nan=-1.0),
        start=days,
        account=account,
        ids=ids,
        windows=target_windows(table),
        levels=levels,
    ), notes


def _first_day(
    definition: Definition, days: pd.Series, since: date | None, today: date, schedule: Schedule
) -> tuple[date, list[str]]:
    if since is not None:
        return since, []
    written = definition.effective_from
    if written is not None and written <= today and bool((days < pd.Timestamp(written)).any()):
        return written, []
    return today - timedelta(days=schedule.window_days - 1), [
        (
            "No first day of the champion is known (the definition has no effective_from with "
            "leads before it): "
            f"the newest {schedule.window_days} days are compared with all before. The ranges of "
            "the rates are "
            "right for one look only; give the day of the sign-off to look every week."
        )
    ]


def _plan_without_dates(
    table: LeadTable,
    start: pd.Series,
    since: date | None,
    today: date,
    schedule: Schedule,
    levels: dict[str, float],
) -> tuple[Plan, list[str]]:
    if since is not None:
        raise LeadsError("since: these leads have no dates, only a running number. Leave it out.")
    n = len(start)
    newer = start.rank(method="first").to_numpy(dtype=np.float64) > 0.6 * n
    known = start.notna().to_numpy(dtype=bool)
    account, ids = _accounts(table)
    return Plan(
        schedule=schedule,
        since=None,
        as_of=today,
        look=1,
        look_on=None,
        baseline=~newer & known,
        fresh=newer & known,
        window=newer & known,
        age_days=np.full(n, np.inf),
        start=start,
        account=account,
        ids=ids,
        windows=target_windows(table),
        levels=levels,
    ), ["The leads have no dates: the newest two fifths are compared with the others, as one look."]


def _accounts(table: LeadTable) -> tuple[NDArray[np.int64], pd.Series]:
    """Number the accounts (-1: none) and name the leads."""
    account, ids = table.role("account"), table.role("id")
    names = pd.Series(np.arange(len(table.frame))) if ids is None else ids.astype("string").fillna("")
    if account is None:
        return np.full(len(table.frame), -1, dtype=np.int64), names
    codes, _ = pd.factorize(account.astype("string"))
    return np.asarray(codes, dtype=np.int64), names

"""How long results take, corrected for leads that have not had the time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.errors import LeadsError
from leadml.leads._clock import naive, start_of

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from leadml.leads._table import LeadTable

__all__ = [
    "SHORTEST_WINDOW",
    "compute_lag_curve",
    "count_lags",
    "curve_from_counts",
    "window_from_curve",
]

_EVENTS = {
    "accepted": ("decided", "verdict", ("accepted", "rejected")),
    "won": ("closed", "outcome", ("won",)),
}
_LEAST_AT_RISK = 50
SHORTEST_WINDOW = 30


def compute_lag_curve(
    table: LeadTable, *, target: Literal["accepted", "won"], as_of: dt.date | None = None
) -> pd.DataFrame:
    """Compute how many days after the handoff verdicts are given or deals are won.

    Young leads can only show short lags, so a plain quantile of the observed lags is too short. Each event is
    weighted with the share of leads that are old enough to have shown it (all censoring is by the day of the
    export, so that share is known exactly); for one event per lead this is the Aalen–Johansen estimate of the
    cumulative incidence, and the Kaplan–Meier estimate where nothing competes.

    Parameters
    ----------
    table : LeadTable
        The leads.
    target : {"accepted", "won"}
        Verdicts (accepted or rejected), or won deals.
    as_of : date, optional
        The day to which ages are counted, by default the table's.

    Returns
    -------
    DataFrame
        One row per day on which something happened: ``days``, ``n_at_risk`` (leads at least that old),
        ``n_events``, ``rate`` (cumulative incidence among all leads), ``share`` (of all that happen within
        the longest follow-up of at least 50 leads). Empty where dates are not known.

    References
    ----------
    .. [1] Kaplan & Meier (1958), JASA 53: 457-481.
    .. [2] Aalen & Johansen (1978), Scandinavian Journal of Statistics 5: 141-150.

    Examples
    --------
    >>> from leadml.leads import generate_leads
    >>> table, _ = generate_leads(4000, random_state=0)
    >>> curve = compute_lag_curve(table, target="won")
    >>> bool(curve["share"].iloc[-1] == 1.0)
    True
    """
    return curve_from_counts(*count_lags(table, target=target, as_of=as_of))


def count_lags(
    table: LeadTable, *, target: Literal["accepted", "won"], as_of: dt.date | None = None
) -> tuple[Counter[float], Counter[float]]:
    """Count the events per day of lag and the leads per day of age, from which `compute_lag_curve` follows.

    Counts of parts of the leads add up. Both are empty where dates are not known.
    """
    if target not in _EVENTS:
        raise LeadsError(f"target: expected 'accepted' or 'won', got {target!r}.")
    role, label, values = _EVENTS[target]
    ended, labels, start = table.role(role), table.role(label), start_of(table)
    if ended is None or labels is None or start.dtype.kind != "M":
        return Counter(), Counter()
    handed = table.role("handed_over")
    rows = (handed if handed is not None else start).notna().to_numpy()
    age = (pd.Timestamp(as_of or table.as_of) - start.dt.normalize()).dt.days.to_numpy(dtype=np.float64)[rows]
    lag = (naive(ended).dt.normalize() - start.dt.normalize()).dt.days.to_numpy(dtype=np.float64)[rows]
    happened = labels.isin(values).to_numpy()[rows] & ~np.isnan(lag)
    return _count(np.maximum(lag[happened], 0.0)), _count(age)


def _count(days: NDArray[np.float64]) -> Counter[float]:
    found, sizes = np.unique(days, return_counts=True)
    return Counter(dict(zip(found.tolist(), sizes.tolist(), strict=True)))


def curve_from_counts(lags: Counter[float], ages: Counter[float]) -> pd.DataFrame:
    """Compute the curve of `compute_lag_curve` from the counts of `count_lags`."""
    empty = pd.DataFrame(
        {"days": [], "n_at_risk": [], "n_events": [], "rate": [], "share": []}, dtype=np.float64
    )
    n = sum(ages.values())
    days, old = np.array(sorted(lags), np.float64), np.array(sorted(ages), np.float64)
    events = np.array([lags[day] for day in days.tolist()], np.int64)
    younger = np.concatenate([[0], np.cumsum([ages[day] for day in old.tolist()])]).astype(np.int64)
    at_risk = n - younger[np.searchsorted(old, days, side="left")]
    followed = at_risk >= min(_LEAST_AT_RISK, max(n // 4, 1))
    if not followed.any():
        return empty
    days, events, at_risk = days[followed], events[followed], at_risk[followed]
    rate = np.cumsum(events / at_risk)
    return pd.DataFrame(
        {
            "days": days,
            "n_at_risk": at_risk.astype(np.float64),
            "n_events": events.astype(np.float64),
            "rate": rate,
            "share": rate / rate[-1],
        }
    )


def window_from_curve(curve: Any, *, share: float = 0.9) -> int | None:
    """Return the day by which `share` of what happens has happened, at least 30; None without events."""
    if not len(curve):
        return None
    place = int(np.searchsorted(curve["share"].to_numpy(), share - 1e-9))
    return max(SHORTEST_WINDOW, int(np.ceil(curve["days"].iloc[place])))

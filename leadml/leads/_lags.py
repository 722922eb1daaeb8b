"""How long results take, corrected for leads that have not had the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.errors import LeadsError
from leadml.leads._clock import naive, start_of

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from leadml.leads._table import LeadTable

__all__ = ["SHORTEST_WINDOW", "compute_lag_curve", "window_from_curve"]

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
    if target not in _EVENTS:
        raise LeadsError(f"target: expected 'accepted' or 'won', got {target!r}.")
    role, label, values = _EVENTS[target]
    ended, labels, start = table.role(role), table.role(label), start_of(table)
    empty = pd.DataFrame(
        {"days": [], "n_at_risk": [], "n_events": [], "rate": [], "share": []}, dtype=np.float64
    )
    if ended is None or labels is None or start.dtype.kind != "M":
        return empty
    handed = table.role("handed_over")
    rows = (handed if handed is not None else start).notna().to_numpy()
    age = (pd.Timestamp(as_of or table.as_of) - start.dt.normalize()).dt.days.to_numpy(dtype=np.float64)[rows]
    lag = (naive(ended).dt.normalize() - start.dt.normalize()).dt.days.to_numpy(dtype=np.float64)[rows]
    happened = labels.isin(values).to_numpy()[rows] & ~np.isnan(lag)
    return _curve(np.maximum(lag[happened], 0.0), np.sort(age), empty)


def _curve(lag: NDArray[np.float64], ages: NDArray[np.float64], empty: pd.DataFrame) -> pd.DataFrame:
    n = len(ages)
    days, events = np.unique(lag, return_counts=True)
    at_risk = n - np.searchsorted(ages, days, side="left")
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

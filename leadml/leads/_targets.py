"""Targets with maturity: accepted, and won within a window; open and young is unknown, never lost."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from leadml.errors import LeadsError
from leadml.leads._clock import naive, start_of
from leadml.leads._lags import compute_lag_curve, window_from_curve

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from leadml.leads._table import LeadTable

__all__ = [
    "SplitPoint",
    "TimeSplit",
    "compute_targets",
    "last_mature_start",
    "split_at",
    "split_by_quarters",
    "split_periods",
    "target_windows",
]

Target = Literal["accepted", "won"]
_N_BLOCKS = 5


def compute_targets(table: LeadTable, *, as_of: dt.date | None = None) -> pd.DataFrame:
    """Compute what each lead teaches: accepted, won within the window, and how mature that is.

    Parameters
    ----------
    table : LeadTable
        The leads.
    as_of : date, optional
        The day to which ages are counted, by default the table's.

    Returns
    -------
    DataFrame
        Indexed as `table.frame`. ``t0`` (the handoff, else creation; a running number where the contract
        has no dates), ``age_days`` (NaN without dates), ``worked``, ``accepted`` (1, 0, NaN while pending),
        ``accepted_mature``, ``won`` (1 if won within the window; 0 if lost, won later, or still open after
        the window; NaN if not worked or still open inside it), ``won_mature``, ``amount``, ``period``
        (``2026Q1``, or ``block 1`` without dates), ``weight``.

    References
    ----------
    .. [1] Vock et al. (2016), "Adapting machine learning techniques to censored time-to-event health record
       data", J. Biomedical Informatics 61: a label exists only for who could be followed for the window.
    """
    as_of = as_of or table.as_of
    windows = target_windows(table)
    n = len(table.frame)
    t0 = start_of(table)
    dated = t0.dtype.kind == "M"
    age = _age_days(t0, as_of) if dated else pd.Series(np.full(n, np.nan))
    worked = _worked(table)
    accepted = _accepted(table)
    won = _won(table, t0, age.to_numpy(), worked, windows["won"])
    weight, amount = _numbers(table, "weight"), _numbers(table, "amount")
    return pd.DataFrame(
        {
            "t0": t0.to_numpy(),
            "age_days": age.to_numpy(),
            "worked": worked,
            "accepted": accepted,
            "accepted_mature": _mature(age.to_numpy(), windows["accepted"], dated=dated),
            "won": won,
            "won_mature": _mature(age.to_numpy(), windows["won"], dated=dated),
            "amount": amount,
            "period": _periods(t0),
            "weight": np.where(np.isnan(weight), 1.0, weight),
        },
        index=table.frame.index,
    )


def target_windows(table: LeadTable) -> dict[str, int | None]:
    """Return the maturity window of each target in days, ``{"accepted": …, "won": …}``.

    A window that the contract leaves to the data is the 90 % point of `compute_lag_curve`, at least 30 days;
    None where no date tells a lag.
    """
    contract = table.contract
    return {
        "accepted": contract.windows_verdict
        or window_from_curve(compute_lag_curve(table, target="accepted")),
        "won": contract.windows_outcome or window_from_curve(compute_lag_curve(table, target="won")),
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeSplit:
    """Older leads to find with, newer matured leads to confirm with.

    Parameters
    ----------
    discover, confirm : ndarray of bool of shape (n_leads,)
        Matured leads with a label on either side; younger leads are in neither.
    confirm_from, confirm_to : date or None
        First and last day of the confirmation part; None without dates.
    discover_periods, confirm_periods : tuple of str
        The periods on each side.
    """

    discover: NDArray[np.bool_] = field(repr=False)
    confirm: NDArray[np.bool_] = field(repr=False)
    confirm_from: dt.date | None
    confirm_to: dt.date | None
    discover_periods: tuple[str, ...]
    confirm_periods: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per part: ``part``, ``n``, ``periods``."""
        return pd.DataFrame(
            {
                "part": ["discover", "confirm"],
                "n": [int(self.discover.sum()), int(self.confirm.sum())],
                "periods": [", ".join(self.discover_periods), ", ".join(self.confirm_periods)],
            }
        )

    def __repr__(self) -> str:
        return (
            f"TimeSplit: find on {int(self.discover.sum()):,} leads ({_span(self.discover_periods)}),"
            f" confirm on {int(self.confirm.sum()):,} ({_span(self.confirm_periods)})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def split_periods(
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    target: Target,
    confirm_from: dt.date | None = None,
    n_confirm: int = 2,
) -> TimeSplit:
    """Split the matured leads in time, by their ages alone; outcomes are never looked at.

    Parameters
    ----------
    table : LeadTable
        The leads.
    targets : DataFrame
        From `compute_targets`.
    target : {"accepted", "won"}
        Whose maturity counts.
    confirm_from : date, optional
        First day of the confirmation part; by default it is the last `n_confirm` calendar quarters that are
        matured as a whole. With fewer than three such quarters it is the newest 40 % of the matured leads.
        Without dates (a running number) it is the last two of five equal blocks.
    n_confirm : int
        Number of quarters.

    Returns
    -------
    TimeSplit

    Raises
    ------
    LeadsError
        If the target is unknown or `confirm_from` is given for leads without dates.
    """
    if target not in {"accepted", "won"}:
        raise LeadsError(f"target: expected 'accepted' or 'won', got {target!r}.")
    start, usable = _usable(targets, target)
    if start.dtype.kind != "M":
        if confirm_from is not None:
            raise LeadsError("confirm_from: these leads have no dates, only a running number. Leave it out.")
        last = {f"block {_N_BLOCKS - offset}" for offset in range(n_confirm)}
        periods = targets["period"].to_numpy(dtype=object)
        return _parts(usable, np.isin(periods, sorted(last)), start, periods)
    if confirm_from is not None:
        return split_at(targets, SplitPoint(since=pd.Timestamp(confirm_from)), target=target)
    last_t0 = last_mature_start(target_windows(table)[target], _as_of(targets, table))
    point = split_by_quarters(start[usable].dt.to_period("Q").unique(), last_t0, n_confirm=n_confirm)
    if point is None and usable.any():
        point = SplitPoint(since=cast("pd.Timestamp", start[usable].quantile(0.6)), included=False)
    return split_at(targets, point, target=target)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPoint:
    """Where leads to confirm with begin and end.

    Parameters
    ----------
    since, until : Timestamp or None
        The first and last instant of the confirmation part; younger leads are left out.
    included : bool, default=True
        Whether `since` itself belongs to it.
    """

    since: pd.Timestamp
    until: pd.Timestamp | None = None
    included: bool = True


def split_by_quarters(
    quarters: Iterable[pd.Period], last_t0: pd.Timestamp, *, n_confirm: int = 2
) -> SplitPoint | None:
    """Return where the last whole matured quarters begin and end; None with fewer than three such quarters.

    Parameters
    ----------
    quarters : iterable of Period
        In which there are matured leads with a label.
    last_t0 : Timestamp
        From `last_mature_start`.
    n_confirm : int, default=2

    Returns
    -------
    SplitPoint or None
    """
    matured = [quarter for quarter in sorted(quarters) if quarter.end_time.normalize() <= last_t0]
    if len(matured) < 3:
        return None
    return SplitPoint(since=matured[-n_confirm].start_time, until=matured[-1].end_time)


def last_mature_start(window: int | None, as_of: dt.date) -> pd.Timestamp:
    """Return the youngest start of a lead that is matured."""
    return pd.Timestamp(as_of) - pd.Timedelta(days=window or 0)


def split_at(targets: pd.DataFrame, point: SplitPoint | None, *, target: Target) -> TimeSplit:
    """Split dated leads, or a part of them, at a given point; without one nothing is left to confirm on.

    Parameters
    ----------
    targets : DataFrame
        From `compute_targets`.
    point : SplitPoint or None
    target : {"accepted", "won"}

    Returns
    -------
    TimeSplit
    """
    start, usable = _usable(targets, target)
    periods = targets["period"].to_numpy(dtype=object)
    if point is None:
        return _parts(usable, np.zeros(len(start), bool), start, periods)
    if point.until is not None:
        usable &= (start <= point.until).to_numpy()
    newer = start >= point.since if point.included else start > point.since
    return _parts(usable, newer.to_numpy(), start, periods)


def _usable(targets: pd.DataFrame, target: Target) -> tuple[pd.Series[Any], NDArray[np.bool_]]:
    """Return the start of each lead, and who is matured with a label."""
    start = pd.Series(targets["t0"].to_numpy())
    usable = targets[target].notna().to_numpy() & targets[f"{target}_mature"].to_numpy(dtype=bool)
    return start, usable & start.notna().to_numpy()


def _as_of(targets: pd.DataFrame, table: LeadTable) -> dt.date:
    """Return the day to which the ages of `targets` were counted."""
    known = targets["age_days"].notna().to_numpy()
    if not known.any():
        return table.as_of
    row = int(np.flatnonzero(known)[0])
    start = pd.Timestamp(targets["t0"].iloc[row]).normalize()
    return (start + pd.Timedelta(days=float(targets["age_days"].iloc[row]))).date()


def _parts(
    usable: NDArray[np.bool_], newer: NDArray[np.bool_], start: pd.Series[Any], periods: NDArray[np.object_]
) -> TimeSplit:
    confirm, discover = usable & newer, usable & ~newer
    dated = start.dtype.kind == "M" and bool(confirm.any())
    return TimeSplit(
        discover=discover,
        confirm=confirm,
        confirm_from=start[confirm].min().date() if dated else None,
        confirm_to=start[confirm].max().date() if dated else None,
        discover_periods=tuple(sorted({str(period) for period in periods[discover]})),
        confirm_periods=tuple(sorted({str(period) for period in periods[confirm]})),
    )


def _span(periods: tuple[str, ...]) -> str:
    if not periods:
        return "none"
    return periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"


def _age_days(start: pd.Series[Any], as_of: dt.date) -> pd.Series[Any]:
    days: pd.Series[Any] = (pd.Timestamp(as_of) - start.dt.normalize()).dt.days.astype("float64")
    return days.clip(lower=0.0)


def _worked(table: LeadTable) -> NDArray[np.bool_]:
    handed, verdict, outcome = table.role("handed_over"), table.role("verdict"), table.role("outcome")
    if handed is not None:
        return handed.notna().to_numpy()
    if verdict is None:
        return np.ones(len(table.frame), dtype=bool)
    worked = verdict.isin(["accepted", "rejected"]).to_numpy()
    if outcome is not None:
        worked = worked | outcome.isin(["won", "lost"]).to_numpy()
    return worked


def _accepted(table: LeadTable) -> NDArray[np.float64]:
    verdict = table.role("verdict")
    if verdict is None:
        return np.full(len(table.frame), np.nan)
    return np.asarray(
        np.select([verdict == "accepted", verdict == "rejected"], [1.0, 0.0], default=np.nan),
        dtype=np.float64,
    )


def _won(
    table: LeadTable,
    start: pd.Series[Any],
    age: NDArray[np.float64],
    worked: NDArray[np.bool_],
    window: int | None,
) -> NDArray[np.float64]:
    outcome, closed = table.role("outcome"), table.role("closed")
    n = len(table.frame)
    if outcome is None:
        return np.full(n, np.nan)
    won, lost = (outcome == "won").to_numpy(), (outcome == "lost").to_numpy()
    late = np.zeros(n, dtype=bool)
    if closed is not None and window is not None and start.dtype.kind == "M":
        lag = (naive(closed).dt.normalize() - start.dt.normalize()).dt.days.to_numpy(dtype=np.float64)
        late = won & (lag > window)
    overdue = ~won & ~lost & (age >= window) if window is not None else np.zeros(n, dtype=bool)
    values = np.select([won & ~late, lost | late | overdue], [1.0, 0.0], default=np.nan)
    return np.asarray(np.where(worked, values, np.nan), dtype=np.float64)


def _mature(age: NDArray[np.float64], window: int | None, *, dated: bool) -> NDArray[np.bool_]:
    if not dated or window is None:
        return np.ones(len(age), dtype=bool)
    return np.asarray(age >= window)


def _numbers(table: LeadTable, role: str) -> NDArray[np.float64]:
    values = table.role(role)
    if values is None:
        return np.full(len(table.frame), np.nan)
    return np.asarray(values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _periods(start: pd.Series[Any]) -> NDArray[np.object_]:
    if start.dtype.kind == "M":
        return np.where(start.isna(), "unknown", start.dt.to_period("Q").astype(str).to_numpy(dtype=object))
    n = max(len(start), 1)
    block = (start.rank(method="first").fillna(1).to_numpy() - 1) * _N_BLOCKS // n
    return np.array([f"block {int(number) + 1}" for number in block], dtype=object)

"""What Marketing hands over and what Sales does with it: cohorts, delays, unworked leads."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from leadml.errors import LeadsError
from leadml.leads._clock import naive, start_of
from leadml.leads._targets import compute_targets

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from leadml.leads._table import LeadTable

__all__ = ["FunnelReport", "compute_funnel", "find_recycled", "summarise_reasons"]

SMALLEST_GROUP = 20
_DATED = 0.9
_STAGES = dict.fromkeys(
    ("procedural", "clerical", "definitional", "already_ours", "opt_out"), "before contact"
)
_STAGES |= dict.fromkeys(("after_contact", "contactability"), "after contact")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FunnelReport:
    """The funnel of each cohort or group, and how fast Sales was.

    Parameters
    ----------
    by : str
        ``period`` or the column that groups the leads.
    frame : DataFrame
        See `compute_funnel`.
    hidden : int
        Groups under 20 leads, which are not shown.
    limit_days : int
        The agreed limit for a first verdict.
    """

    by: str
    frame: pd.DataFrame = field(repr=False)
    hidden: int
    limit_days: int

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the funnel."""
        return self.frame.copy()

    def __repr__(self) -> str:
        lines = [f"FunnelReport by {self.by}: {len(self.frame)} groups, {self.hidden} too small to show"]
        lines += [
            f"  {row['group']}: {row['captured']:,} captured, {row['handed_over']:,} handed over,"
            f" {row['accepted']:,} accepted, {row['won']:,} won"
            for row in self.frame.head(8).to_dict("records")
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False, border=0, float_format="{:.3f}".format) + (
            f"<p>{html.escape(repr(self).splitlines()[0])}</p>"
        )


def compute_funnel(
    table: LeadTable, *, by: str = "period", limit_days: int = 2, as_of: dt.date | None = None
) -> FunnelReport:
    """Follow the leads from capture to handoff, verdict and deal, group by group.

    Rates count only leads that are old enough to have an answer, so a young cohort is not made to look bad;
    how many are too young is said. Reps are shown as ``rep 1``, ``rep 2``, … in order of their number of
    leads, and groups under 20 leads are hidden.

    Parameters
    ----------
    table : LeadTable
        The leads.
    by : str
        ``period`` (calendar quarter of the handoff, else of the capture), ``rep``, or a category, ordinal or
        boolean column of the table.
    limit_days : int
        Days within which a lead that was handed over should have a verdict.
    as_of : date, optional
        The day to which ages are counted, by default the table's.

    Returns
    -------
    FunnelReport
        One row per group: ``group``, ``captured``, ``handed_over``, ``decided`` (accepted or rejected),
        ``accepted``, ``won``; of the matured handed-over leads ``accepted_rate`` (of those with a verdict)
        and ``won_rate`` with ``…_low`` and ``…_high`` (95 %, Clopper–Pearson) and ``…_n``; ``too_young``
        (handed over, outcome not matured); ``days_to_verdict`` and ``days_to_won`` (medians of those that
        happened); ``in_time`` (share with a verdict within the limit, of the leads older than it; NaN where
        under 90 % of the verdicts have a date); ``unworked`` (handed over, older than the limit, still
        without verdict). Where no handoff is dated, every captured lead waits for an answer; without a
        verdict column both are NaN.

    Raises
    ------
    LeadsError
        If there is no such column or it holds numbers or free text.

    References
    ----------
    .. [1] Clopper & Pearson (1934), Biometrika 26: 404-413.
    """
    targets = compute_targets(table, as_of=as_of)
    groups = _groups(table, targets, by)
    start = start_of(table)
    verdict, decided = table.role("verdict"), table.role("decided")
    outcome, closed = table.role("outcome"), table.role("closed")
    n = len(table.frame)
    none = np.zeros(n, dtype=bool)
    facts = pd.DataFrame(
        {
            "group": groups,
            "handed": targets["worked"].to_numpy(dtype=bool),
            "accepted": (verdict == "accepted").to_numpy() if verdict is not None else none,
            "rejected": (verdict == "rejected").to_numpy() if verdict is not None else none,
            "won": (outcome == "won").to_numpy() if outcome is not None else none,
            "accepted_label": targets["accepted"].to_numpy(),
            "accepted_old": targets["accepted_mature"].to_numpy(dtype=bool),
            "won_label": targets["won"].to_numpy(),
            "won_old": targets["won_mature"].to_numpy(dtype=bool),
            "waits": _waits(table, targets),
            "age": targets["age_days"].to_numpy(),
            "to_verdict": _days(decided, start, n),
            "to_won": np.where(
                (outcome == "won").to_numpy() if outcome is not None else none,
                _days(closed, start, n),
                np.nan,
            ),
        }
    )
    rows, hidden = [], 0
    for name, part in facts.dropna(subset=["group"]).groupby("group", observed=True, sort=True):
        if len(part) < SMALLEST_GROUP:
            hidden += 1
            continue
        rows.append({"group": str(name), **_row(part, limit_days)})
    columns = ["group", *_row(facts.head(0), limit_days)]
    frame = pd.DataFrame(rows, columns=columns)
    if verdict is None:
        frame = frame.assign(unworked=np.nan, in_time=np.nan)
    return FunnelReport(by=by, frame=frame, hidden=hidden, limit_days=limit_days)


def _groups(table: LeadTable, targets: pd.DataFrame, by: str) -> Any:
    if by == "period":
        return targets["period"].to_numpy(dtype=object)
    if by == "rep":
        reps = table.role("rep")
        if reps is None:
            raise LeadsError("by: these leads have no column with role rep.")
        order = reps.value_counts().index
        width = len(str(len(order)))
        names = {rep: f"rep {place:0{width}d}" for place, rep in enumerate(order, 1)}
        return reps.map(names).to_numpy(dtype=object)
    column = table.contract.column(by)
    if column is None or by not in table.frame.columns:
        known = ", ".join(["period", "rep", *table.contract.attributes()][:6])
        raise LeadsError(f"by: expected one of {known}, …; got {by!r}.")
    if column.type not in {"category", "ordinal", "boolean"} or column.role in {"verdict", "outcome"}:
        raise LeadsError(f"by: {by!r} is {column.type}; expected a category, an ordinal or a boolean.")
    values = table.frame[by]
    return values.astype(object).where(values.notna(), "(missing)").astype(str).to_numpy(dtype=object)


def _waits(table: LeadTable, targets: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the leads that Sales is to answer: handed over, or all where no handoff is dated."""
    if table.role("handed_over") is None:
        return np.ones(len(targets), dtype=bool)
    return targets["worked"].to_numpy(dtype=bool)


def _days(ended: pd.Series[Any] | None, start: pd.Series[Any], n: int) -> Any:
    if ended is None or start.dtype.kind != "M":
        return np.full(n, np.nan)
    return (naive(ended).dt.normalize() - start.dt.normalize()).dt.days.to_numpy(dtype=np.float64)


def _row(part: pd.DataFrame, limit_days: int) -> dict[str, Any]:
    handed = part[part["handed"]]
    decided = handed["accepted"] | handed["rejected"]
    due = part[part["waits"] & (part["age"] >= limit_days)]
    late = ~(due["accepted"] | due["rejected"])
    row: dict[str, Any] = {
        "captured": len(part),
        "handed_over": len(handed),
        "decided": int(decided.sum()),
        "accepted": int(handed["accepted"].sum()),
        "won": int(handed["won"].sum()),
    }
    for name in ("accepted", "won"):
        labels = handed.loc[handed[f"{name}_old"], f"{name}_label"].dropna()
        low, high = _interval(int(labels.sum()), len(labels))
        row |= {
            f"{name}_n": len(labels),
            f"{name}_rate": float(labels.mean()) if len(labels) else np.nan,
            f"{name}_low": low,
            f"{name}_high": high,
        }
    row |= {
        "too_young": int((~handed["won_old"]).sum()),
        "days_to_verdict": float(handed["to_verdict"].dropna().median()),
        "days_to_won": float(handed["to_won"].dropna().median()),
        "in_time": _in_time(due[~late], len(due), limit_days),
        "unworked": int(late.sum()),
    }
    return row


def _in_time(answered: pd.DataFrame, n_due: int, limit_days: int) -> float:
    """Return the share answered within the limit; nobody knows it where answers are not dated."""
    dated = answered["to_verdict"].dropna()
    if len(dated) < max(1.0, _DATED * len(answered)):
        return float("nan")
    return float((dated <= limit_days).sum()) / (n_due - len(answered) + len(dated))


def _interval(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % Clopper–Pearson interval of a rate."""
    if n == 0:
        return float("nan"), float("nan")
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return low, high


def find_recycled(table: LeadTable) -> pd.DataFrame:
    """Find leads of a buying unit that had been rejected or lost before, and what became of them.

    Parameters
    ----------
    table : LeadTable
        With a column of role `account` and dates.

    Returns
    -------
    DataFrame
        One row per recycled lead: ``lead_id``, ``earlier_lead_id`` (the lead of the same account that was
        rejected or lost last, before this one began; where that day is not known, the day on which it began
        counts), ``days_between`` (the starts of both), ``verdict`` and ``outcome`` of the recycled lead
        (where the leads have them).

    Raises
    ------
    LeadsError
        If the leads have no account or no dates.
    """
    account, start = table.role("account"), start_of(table)
    ids = table.role("id")
    if account is None or ids is None or start.dtype.kind != "M":
        raise LeadsError(
            "recycled leads are found by a column of role account and dates; these leads lack one."
        )
    verdict, outcome = table.role("verdict"), table.role("outcome")
    found = _returns(account, start, _ended_at(table, start))
    frame = pd.DataFrame(
        {
            "lead_id": ids.loc[found["lead"]].to_numpy(dtype=object),
            "earlier_lead_id": ids.loc[found["earlier"]].to_numpy(dtype=object),
            "days_between": found["days_between"].to_numpy(dtype=np.float64),
        }
    )
    for name, series in (("verdict", verdict), ("outcome", outcome)):
        if series is not None:
            frame[name] = series.loc[found["lead"]].to_numpy(dtype=object)
    return frame


def _ended_at(table: LeadTable, start: pd.Series[Any]) -> pd.Series[Any]:
    """Return when each lead was rejected or lost: the day that says so, else the day on which it began."""
    ended = pd.Series(pd.NaT, index=start.index, dtype=start.dtype)
    for role, label, day in (("verdict", "rejected", "decided"), ("outcome", "lost", "closed")):
        labels, days = table.role(role), table.role(day)
        if labels is not None:
            known = naive(days).astype(start.dtype) if days is not None else ended
            at = known.fillna(start).where(known.isna() | (known >= start), start)
            ended = ended.fillna(at.where((labels == label).to_numpy()))
    return ended


def _returns(account: pd.Series[Any], start: pd.Series[Any], ended: pd.Series[Any]) -> pd.DataFrame:
    """Pair each lead with the one of its account that ended last before it began."""
    facts = pd.DataFrame(
        {
            "account": pd.factorize(account)[0],
            "start": start.to_numpy(),
            "lead": np.arange(len(account)),
            "ended": ended.to_numpy(),
        }
    )
    facts = facts[(facts["account"] >= 0).to_numpy() & start.notna().to_numpy()]
    facts = facts.sort_values(["account", "start"], kind="stable")
    bad = facts[facts["ended"].notna()].rename(columns={"lead": "earlier", "start": "earlier_start"})
    bad = bad.rename(columns={"ended": "start"})
    found = pd.merge_asof(
        facts.drop(columns="ended").sort_values("start", kind="stable"),
        bad.sort_values("start", kind="stable"),
        on="start",
        by="account",
        allow_exact_matches=False,
    ).dropna(subset=["earlier"])
    order = account.iloc[found["lead"]].astype(str).to_numpy(dtype=object)
    found = found.assign(name=order).sort_values(["name", "start"], kind="stable")
    return pd.DataFrame(
        {
            "lead": found["lead"].to_numpy(dtype=np.int64),
            "earlier": found["earlier"].to_numpy(dtype=np.int64),
            "days_between": (found["start"] - found["earlier_start"]).dt.days.to_numpy(dtype=np.float64),
        }
    )


def summarise_reasons(table: LeadTable) -> pd.DataFrame:
    """Count why leads were rejected, and which of it speaks against the definition.

    Only a definitional reason (the lead should never have been handed over by the criteria) counts against
    the definition. Procedural, clerical and contact reasons are shown apart: changing a threshold does not
    change them.

    Parameters
    ----------
    table : LeadTable
        With a reason column whose contract declares `families`.

    Returns
    -------
    DataFrame
        One row per family: ``family``, ``n``, ``share`` (of the rejected leads), ``counts_against`` (the
        definition), ``stage`` (``before contact``, ``after contact`` or ``not known``). Rejected leads
        without a reason are the family ``none given``.

    Raises
    ------
    LeadsError
        If the contract has no reason with families, or no verdict.
    """
    column = table.contract.column_by_role("reason")
    verdict = table.role("verdict")
    name = f"{column.name}_family" if column is not None else ""
    if name not in table.frame.columns or verdict is None:
        raise LeadsError("these leads have no verdict with a reason whose contract declares `families`.")
    rejected = table.frame.loc[(verdict == "rejected").to_numpy(), name].astype(object)
    sizes = rejected.where(rejected.notna(), "none given").value_counts()
    return pd.DataFrame(
        {
            "family": sizes.index.astype(str),
            "n": sizes.to_numpy(dtype=np.int64),
            "share": sizes.to_numpy(dtype=np.float64) / max(len(rejected), 1),
            "counts_against": [family == "definitional" for family in sizes.index],
            "stage": [_STAGES.get(str(family), "not known") for family in sizes.index],
        }
    )

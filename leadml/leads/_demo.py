"""Synthetic leads: clean in memory for tests, and as the ugly export that real systems write."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._files import write_text
from leadml.errors import LeadsError
from leadml.leads._cells import level_series, text_series
from leadml.leads._contract_file import parse_contract
from leadml.leads._read import family_series
from leadml.leads._table import LeadTable, Manifest
from leadml.leads._world import BUDGETS, INDUSTRIES, REASONS, SOURCES, TITLES, SyntheticWorld, draw_leads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.leads._contract import Contract

__all__ = [
    "DEMO_CONTRACT",
    "DEMO_DEFINITION",
    "SyntheticLeads",
    "SyntheticTruth",
    "generate_leads",
    "render_demo_definition",
    "write_synthetic_leads",
]

DEMO_CONTRACT: str = resources.files("leadml.leads").joinpath("demo_contract.yaml").read_text("utf-8")
DEMO_DEFINITION: str = resources.files("leadml.leads").joinpath("demo_definition.yaml").read_text("utf-8")

_FIRST = ("Ana", "Ben", "Chloe", "Dev", "Eva", "Femi", "Gus", "Hana")
_LAST = ("Okafor", "Lindqvist", "Mehta", "Novak", "O'Brien", "Sato", "Weiß", "Zhou")
_COMPANIES = ("Harbor &amp; Sons", "Acme, Inc.", "Blue Fox", "Northwind", 'The "Best" Shop')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticTruth:
    """What is true about synthetic leads, row by row.

    Parameters
    ----------
    world : SyntheticWorld
        The market.
    frame : DataFrame
        Indexed as the leads: ``win_probability`` if worked, ``would_win`` (known even for leads that were
        never handed over), ``would_accept``, ``meets_written``, ``meets_true``, ``explored``, ``picked``.
    strictness : ndarray of shape (n_reps,)
        Each rep's strictness on the logit scale.
    """

    world: SyntheticWorld
    frame: pd.DataFrame = field(repr=False)
    strictness: NDArray[np.float64] = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the row-level truth."""
        return self.frame.copy()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticLeads:
    """Files of a synthetic export.

    Parameters
    ----------
    paths : tuple of Path
        The CSV files.
    contract_path, definition_path : Path
        The contract that reads them and the written definition.
    truth : SyntheticTruth
        Indexed by the order of the undamaged leads.
    traps : DataFrame
        ``table``, ``line``, ``rule``: each damaged row that was planted.
    """

    paths: tuple[Path, ...]
    contract_path: Path
    definition_path: Path
    truth: SyntheticTruth
    traps: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the planted traps."""
        return self.traps.copy()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def generate_leads(
    n_leads: int = 12_000, *, random_state: int = 0, world: SyntheticWorld | None = None
) -> tuple[LeadTable, SyntheticTruth]:
    """Draw synthetic leads with a known truth, as a clean table in memory.

    Parameters
    ----------
    n_leads : int
        Number of leads.
    random_state : int
        Seed; equal seeds give equal leads.
    world : SyntheticWorld, optional
        The market; by default the one of `leadml demo`.

    Returns
    -------
    (LeadTable, SyntheticTruth)

    Examples
    --------
    >>> table, truth = generate_leads(500, random_state=1)
    >>> len(table), table.as_of.isoformat()
    (500, '2026-03-31')
    """
    world = world or SyntheticWorld()
    _check_size(n_leads)
    drawn = draw_leads(world, n_leads, np.random.default_rng(random_state))
    contract = _demo_contract()
    table = LeadTable(
        frame=_frame(world, drawn, contract),
        contract=contract,
        manifest=Manifest(
            read=n_leads, kept=n_leads, quarantined=0, duplicates=0, data_sha256=f"{random_state:064x}"
        ),
        quarantine=pd.DataFrame(columns=["table", "line", "column", "rule", "shape"]),
        as_of=world.as_of,
    )
    return table, _truth(world, drawn)


def render_demo_definition(world: SyntheticWorld) -> str:
    """Return the demo's written definition with the thresholds and prices of `world`."""
    edits = (
        ("purchase_timeframe <= 6 ", f"purchase_timeframe <= {world.written_timeframe:g} "),
        ("budget_status >= exploring\n", f"budget_status >= {world.written_budget}\n"),
        ("employees >= 10 ", f"employees >= {world.written_employees} "),
        ("default: 12000", f"default: {world.win_value:.0f}"),
        ("employees >= 500: 40000", f"employees >= 500: {world.win_value_large:.0f}"),
        ("worked_lead: 600", f"worked_lead: {world.cost:.0f}"),
    )
    text = DEMO_DEFINITION
    for old, new in edits:
        text = text.replace(old, new)
    return text


def write_synthetic_leads(
    folder: Path | str,
    *,
    n_leads: int = 12_000,
    random_state: int = 0,
    world: SyntheticWorld | None = None,
) -> SyntheticLeads:
    """Write a synthetic export as a real system would, with its traps, and the contract that reads it.

    The files hold personal columns, two date formats in one column, ``Select`` for an unanswered list,
    ``$1,200.00``, HTML entities, a queue among the owners, identical and conflicting repeats, and a few
    damaged rows; `SyntheticLeads.traps` names the line of each.

    Parameters
    ----------
    folder : path-like
        Where ``leads.csv``, ``deals.csv``, ``contract.yaml`` and ``definition.yaml`` are written.
    n_leads, random_state, world
        As in `generate_leads`.

    Returns
    -------
    SyntheticLeads
    """
    world = world or SyntheticWorld()
    _check_size(n_leads)
    folder = Path(folder)
    rng = np.random.default_rng(random_state)
    drawn = draw_leads(world, n_leads, rng)
    lead_lines = _lead_lines(world, drawn, rng)
    damaged, traps = _damage(lead_lines, rng)
    deals = _deal_lines(world, drawn)
    write_text(folder / "leads.csv", "".join(f"{line}\r\n" for line in damaged))
    write_text(folder / "deals.csv", "".join(f"{line}\r\n" for line in deals))
    write_text(folder / "contract.yaml", DEMO_CONTRACT)
    write_text(folder / "definition.yaml", render_demo_definition(world))
    return SyntheticLeads(
        paths=(folder / "leads.csv", folder / "deals.csv"),
        contract_path=folder / "contract.yaml",
        definition_path=folder / "definition.yaml",
        truth=_truth(world, drawn),
        traps=pd.DataFrame(traps, columns=["table", "line", "rule"]),
    )


def _check_size(n_leads: int) -> None:
    if n_leads < 1:
        raise LeadsError(f"n_leads: expected at least 1, got {n_leads}.")


@lru_cache(maxsize=1)
def _demo_contract() -> Contract:
    return parse_contract(DEMO_CONTRACT, source="demo_contract.yaml")


def _truth(world: SyntheticWorld, drawn: dict[str, NDArray[Any]]) -> SyntheticTruth:
    names = (
        "win_probability",
        "would_win",
        "would_accept",
        "meets_written",
        "meets_true",
        "explored",
        "picked",
    )
    return SyntheticTruth(
        world=world,
        frame=pd.DataFrame({name: drawn[name] for name in names}),
        strictness=drawn["strictness"],
    )


def _ids(n: int) -> list[str]:
    return [f"L{number:06d}" for number in range(1, n + 1)]


def _frame(world: SyntheticWorld, drawn: dict[str, NDArray[Any]], contract: Contract) -> pd.DataFrame:
    n = len(drawn["created_day"])
    start = np.datetime64(world.start, "us")

    def days(name: str) -> pd.Series[Any]:
        values = drawn[name]
        known = ~np.isnan(values)
        instants = np.full(n, np.datetime64("NaT", "us"))
        instants[known] = start + values[known].astype("timedelta64[D]")
        return pd.Series(instants)

    def levels(
        name: str, names: tuple[str, ...], *, order: Literal["none", "declared"] = "none"
    ) -> pd.Series[Any]:
        return level_series(np.nan_to_num(drawn[name].astype(np.float64), nan=-1), names, order=order)

    whole = drawn["employees"]
    rejected = drawn["verdict"] == 1
    reasons = text_series(np.where(rejected, np.array(REASONS, dtype=object)[drawn["reason"]], None))
    worked = ~np.isnan(drawn["handed_day"])
    reps = np.array([f"rep-{number + 1:02d}" for number in range(world.n_reps)], dtype=object)
    reason_column = contract.column("reason")
    data = {
        "lead_id": text_series(_ids(n)),
        "created_on": days("created_day"),
        "handed_on": days("handed_day"),
        "purchase_timeframe": pd.Series(drawn["purchase_timeframe"]),
        "budget_status": levels("budget_status", BUDGETS, order="declared"),
        "title_level": levels("title_level", TITLES, order="declared"),
        "industry": levels("industry", INDUSTRIES),
        "employees": pd.Series(
            pd.arrays.IntegerArray(np.nan_to_num(whole).astype(np.int64), np.isnan(whole))
        ),
        "page_views_30d": pd.Series(drawn["page_views_30d"]).astype("Int64"),
        "asked_for_demo": pd.Series(drawn["asked_for_demo"]).astype("boolean"),
        "lead_source": levels("lead_source", SOURCES),
        "verdict": levels("verdict", ("accepted", "rejected", "pending")),
        "decided_on": days("decided_day"),
        "reason": reasons,
        "reason_family": family_series(reason_column, reasons) if reason_column is not None else None,
        "rep": text_series(np.where(worked, reps[drawn["rep"]], None)),
        "outcome": levels("outcome", ("won", "lost", "open")),
        "closed_on": days("closed_day"),
        "amount": pd.Series(drawn["amount"]),
    }
    return pd.DataFrame(data)


_LEAD_HEADER = (
    "Lead Id",
    "Contact",
    "Email",
    "Company",
    "Created",
    "Handed Over",
    "Months To Decision",
    "Budget",
    "Title Level",
    "Industry",
    "Employees",
    "Page Views",
    "Demo Asked",
    "Source",
    "Owner",
    "Sales Verdict",
    "Verdict Date",
    "Reject Reason",
    "Deal Id",
)


def _lead_lines(world: SyntheticWorld, drawn: dict[str, NDArray[Any]], rng: np.random.Generator) -> list[str]:
    n = len(drawn["created_day"])
    people = rng.integers(0, 8, (n, 2))
    companies = rng.integers(0, len(_COMPANIES), n)
    second_format = rng.random(n) < 0.15
    unanswered = rng.random(n) < 0.03
    rows: list[list[str]] = [list(_LEAD_HEADER)]
    for row, lead_id in enumerate(_ids(n)):
        first, last = _FIRST[people[row, 0]], _LAST[people[row, 1]]
        handed = not np.isnan(drawn["handed_day"][row])
        verdict = int(drawn["verdict"][row])
        title = drawn["title_level"][row]
        employees = drawn["employees"][row]
        rows.append(
            [
                lead_id,
                f"{first} {last}",
                f"{first.lower()}.{row}@example.com",
                _COMPANIES[companies[row]],
                _day(world, drawn["created_day"][row]),
                _day(world, drawn["handed_day"][row]),
                _number(drawn["purchase_timeframe"][row], missing="unknown"),
                BUDGETS[drawn["budget_status"][row]],
                "N/A" if np.isnan(title) else TITLES[int(title)],
                INDUSTRIES[drawn["industry"][row]],
                "-" if np.isnan(employees) else f"{int(employees):,}",
                str(drawn["page_views_30d"][row]),
                "Yes" if drawn["asked_for_demo"][row] else "No",
                "Select" if unanswered[row] else SOURCES[drawn["lead_source"][row]],
                f"rep-{drawn['rep'][row] + 1:02d}" if handed else "Queue: Nurture",
                ("Accepted", "Rejected", "Working" if handed else "New")[verdict],
                _day(world, drawn["decided_day"][row], american=bool(second_format[row])),
                REASONS[drawn["reason"][row]] if verdict == 1 else "",
                f"D{row + 1:06d}" if drawn["has_deal"][row] else "",
            ]
        )
    return _csv_lines(rows)


def _deal_lines(world: SyntheticWorld, drawn: dict[str, NDArray[Any]]) -> list[str]:
    rows = [["Deal Id", "Stage", "Closed", "Amount"]]
    for row in np.flatnonzero(drawn["has_deal"]).tolist():
        outcome = int(drawn["outcome"][row])
        rows.append(
            [
                f"D{row + 1:06d}",
                ("Closed Won", "Closed Lost", "Proposal")[outcome],
                _day(world, drawn["closed_day"][row]),
                f"${drawn['amount'][row]:,.2f} ",
            ]
        )
    return _csv_lines(rows)


def _csv_lines(rows: list[list[str]]) -> list[str]:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().removesuffix("\n").split("\n")


def _day(world: SyntheticWorld, day: float, *, american: bool = False) -> str:
    if np.isnan(day):
        return ""
    date = world.start + dt.timedelta(days=int(day))
    return f"{date.month}/{date.day}/{date.year} 0:00" if american else date.isoformat()


def _number(value: float, *, missing: str) -> str:
    return missing if np.isnan(value) else f"{value:g}"


def _damage(lines: list[str], rng: np.random.Generator) -> tuple[list[str], list[tuple[str, int, str]]]:
    """Insert damaged copies of rows: every original row stays, each insertion is noted with its line."""
    n = len(lines) - 1
    if n < 40:
        return lines, []
    kinds = ("field_count", "quote", "integer", "date_format", "conflicting_id", "duplicate", "missing_id")
    places = np.sort(rng.choice(np.arange(20, n), size=len(kinds) * 2, replace=False))
    out: list[str] = []
    traps: list[tuple[str, int, str]] = []
    planned = dict(zip(places.tolist(), kinds * 2, strict=True))
    for position, line in enumerate(lines):
        out.append(line)
        if position not in planned:
            continue
        kind = planned[position]
        damaged = _damaged_copy(line, kind, position)
        out.append(damaged)
        traps.append(("leads", len(out), kind))
    return out, traps


def _damaged_copy(line: str, kind: str, position: int) -> str:
    cells = next(csv.reader([line]))
    fresh = f"X{position:06d}"
    if kind == "duplicate":
        return line
    if kind == "field_count":
        return ",".join([fresh, *cells[4:10]])
    if kind == "quote":
        return f'{fresh},"Nobody' + "," * (len(cells) - 2)
    if kind == "conflicting_id":
        cells[_LEAD_HEADER.index("Page Views")] = "777"
    else:
        cells[0] = "" if kind == "missing_id" else fresh
    if kind == "integer":
        cells[_LEAD_HEADER.index("Employees")] = "about 50"
    if kind == "date_format":
        cells[_LEAD_HEADER.index("Created")] = "31.01.2025"
    return _csv_lines([cells])[0]

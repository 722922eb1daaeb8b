"""Worlds of known truth for the studies of the proposals: who wins is drawn from a rule that nobody is shown.

Four criteria, all of them asked for. Leads that meet the *true* rule win with 10 %, the others with 2 %; a
lead pays from 5 %. The written definition is the true rule or differs from it. Everything goes through the
public functions of leadml.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.definitions import apply_changes, assign_classes, parse_definition
from leadml.leads import LeadTable, Manifest, compute_targets, parse_contract, split_periods
from leadml.metrics import clopper_pearson
from leadml.propose import Goal, propose_changes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.propose import JudgedChange, ProposalSet

VALUE, COST = 20.0, 1.0
BREAK_EVEN = COST / VALUE
INSIDE, OUTSIDE = 0.10, 0.02
N_QUARTERS = 5

_CONTRACT = """
name: study
tables: {leads: {path: leads.csv, format: csv}}
columns:
  lead_id: {from: leads.lead_id, role: id}
  created_on: {from: leads.created_on, role: created, type: date, format: "%Y-%m-%d"}
  handed_on: {from: leads.handed_on, role: handed_over, type: date, format: "%Y-%m-%d"}
  employees: {from: leads.employees, role: attribute, type: integer}
  months: {from: leads.months, role: attribute, type: integer}
  title: {from: leads.title, role: attribute, type: ordinal, levels: [staff, manager, director, vp, c_level]}
  engagement: {from: leads.engagement, role: attribute, type: integer}
  outcome: {from: leads.outcome, role: outcome, won: [won], lost: [lost], open: [open]}
  closed_on: {from: leads.closed_on, role: closed, type: date, format: "%Y-%m-%d"}
windows: {verdict: 30 days, outcome: 90 days}
"""
CONTRACT = parse_contract(_CONTRACT, source="study", folder=Path())


def _widen(column: str) -> Any:
    text = _CONTRACT.replace("  created_on:", f"  {column}\n  created_on:", 1)
    return parse_contract(text, source="study", folder=Path())


ACCOUNT_CONTRACT = _widen("account: {from: leads.account, role: account}")
VERDICT_CONTRACT = _widen(
    "verdict: {from: leads.verdict, role: verdict, accepted: [accepted], rejected: [rejected], "
    "pending: [pending]}"
)
SEGMENT_CONTRACT = _widen("industry: {from: leads.industry, role: attribute, type: category}")

TRUTH = {"employees": 50, "months": 12, "title": "manager", "engagement": 10}
LEVELS = ("staff", "manager", "director", "vp", "c_level")


def write_definition(**written: Any) -> Any:
    """Write the definition with other thresholds than the true ones."""
    rule = TRUTH | written
    return parse_definition(
        f"""
name: study
version: 1
owners: {{marketing: A, sales: B}}
attributes:
  employees: {{type: integer, unit: people, steps: [10, 20, 50, 100, 200, 300, 500, 1000]}}
  months: {{type: integer, unit: months, steps: [1, 2, 3, 6, 9, 12, 18]}}
  title: {{type: ordinal, levels: [staff, manager, director, vp, c_level]}}
  engagement: {{type: integer, unit: points, steps: [0, 5, 10, 20, 30, 50, 70]}}
classes:
  - name: hot
    all_of:
      - employees >= {rule["employees"]}
      - months <= {rule["months"]}
      - title >= {rule["title"]}
      - engagement >= {rule["engagement"]}
  - name: cold
    otherwise: true
handoff: [hot]
prices: {{won: {VALUE:g}, worked_lead: {COST:g}, currency: EUR}}
"""
    )


WORLDS: dict[str, dict[str, Any]] = {
    "WORTHLESS": {},
    "WORTHLESS TWO": {"employees": 300, "months": 3},
    "OPT": {},
    "HANDED": {},
    "STRICT": {"employees": 300},
    "TWO": {"employees": 300, "months": 3},
    "LOOSE": {"title": "staff", "engagement": 5},
}
"""Where the written definition differs from the true one.

WORTHLESS and WORTHLESS TWO: every lead is worth exactly its work, so each of the edits is worth nothing
(least favourable), as the true definition and as TWO's, which hands over 2 % of the leads. OPT: the written
definition is the true one. HANDED: the same, but only leads that it handed over have a label. STRICT: 300
employees instead of 50. TWO: two thresholds wrong. LOOSE: two criteria too lax.
"""
WORTHLESS = frozenset({"WORTHLESS", "WORTHLESS TWO"})
NOTHING_TO_FIND = WORTHLESS | {"OPT", "HANDED"}


@dataclass(frozen=True)
class Study:
    """One simulated company."""

    definition: Any
    table: LeadTable
    targets: pd.DataFrame
    rate: NDArray[np.float64]

    def propose(self, **settings: Any) -> ProposalSet:
        """Run a review."""
        settings.setdefault("register", lambda _record: None)
        goal: Goal = settings.pop("goal", Goal())
        return propose_changes(
            self.definition,
            self.table,
            self.targets,
            goal=goal,
            split=split_periods(
                self.table, self.targets, target="accepted" if goal.maximise == "accepted" else "won"
            ),
            **settings,
        )

    def true_change(self, change: JudgedChange, rows: NDArray[np.bool_] | None = None) -> float:
        """Compute the true gain of a change, per 1,000 leads (of some rows)."""
        return self.gain(change.revised or apply_changes(self.definition, list(change.changes)), rows)

    def gain(self, revised: Any, rows: NDArray[np.bool_] | None = None) -> float:
        """Compute the true gain of another definition, per 1,000 leads (of some rows)."""
        frame = self.table.frame
        step = handed_over(revised, frame).astype(float) - handed_over(self.definition, frame)
        worth = step * (VALUE * self.rate - COST)
        used = np.ones(len(frame), bool) if rows is None else rows
        return float(1000 * worth[used].sum() / max(used.sum(), 1))

    def confirmation(self) -> NDArray[np.bool_]:
        """Return the leads of the confirmation window."""
        split = split_periods(self.table, self.targets, target="won")
        start = self.targets["t0"]
        used = start[split.confirm]
        return np.asarray(((start >= used.min()) & (start <= used.max())).to_numpy())


def handed_over(definition: Any, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return who a definition hands over."""
    return np.asarray(assign_classes(definition, frame).isin(definition.handoff).to_numpy())


def draw_leads(n: int, rng: np.random.Generator, quarters: int = N_QUARTERS) -> pd.DataFrame:
    """Draw leads with four attributes over some quarters."""
    return pd.DataFrame(
        {
            "lead_id": np.arange(n).astype(str),
            "created_on": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(rng.integers(0, int(91.31 * quarters), n), unit="D"),
            "employees": pd.array(np.round(np.exp(rng.normal(5.0, 1.3, n))).astype(int) + 1, dtype="Int64"),
            "months": pd.array(rng.integers(1, 19, n), dtype="Int64"),
            "title": pd.Categorical(rng.choice(LEVELS, n, p=[0.3, 0.3, 0.2, 0.1, 0.1]), LEVELS, ordered=True),
            "engagement": pd.array(np.round(rng.gamma(2.0, 15.0, n)).astype(int), dtype="Int64"),
        }
    )


def true_rate(frame: pd.DataFrame, world: str = "OPT") -> NDArray[np.float64]:
    """Return the chance of each lead to win."""
    if world in WORTHLESS:
        return np.full(len(frame), BREAK_EVEN)
    return np.where(handed_over(write_definition(), frame), INSIDE, OUTSIDE)


def draw_study(world: str, n: int, seed: int) -> Study:
    """Draw a company of a world: its leads, what became of them, its written definition."""
    rng = np.random.default_rng(seed)
    frame = draw_leads(n, rng)
    definition = write_definition(**WORLDS[world])
    worked = handed_over(definition, frame) if world == "HANDED" else None
    return make_study(definition, frame, true_rate(frame, world), rng, worked=worked)


def make_study(
    definition: Any,
    frame: pd.DataFrame,
    rate: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    worked: NDArray[np.bool_] | None = None,
    lag_days: float = 30.0,
    as_of: dt.date = dt.date(2025, 7, 20),
    accounts: bool = False,
    verdicts: bool = False,
    segments: bool = False,
) -> Study:
    """Draw outcomes and give them as a company would record them."""
    n = len(frame)
    worked = np.ones(n, bool) if worked is None else worked
    won = rng.random(n) < rate
    closed = frame["created_on"] + pd.to_timedelta(
        np.minimum(rng.exponential(lag_days, n), 89).astype(int), unit="D"
    )
    known = worked & (closed <= pd.Timestamp(as_of)).to_numpy()
    frame = frame.assign(
        handed_on=frame["created_on"].where(worked),
        outcome=pd.Categorical(
            np.where(known, np.where(won, "won", "lost"), "open"), ["won", "lost", "open"]
        ),
        closed_on=closed.where(known),
    )
    table = LeadTable(
        frame=frame,
        contract=ACCOUNT_CONTRACT
        if accounts
        else VERDICT_CONTRACT
        if verdicts
        else SEGMENT_CONTRACT
        if segments
        else CONTRACT,
        manifest=Manifest(read=n, kept=n, quarantined=0, duplicates=0),
        quarantine=pd.DataFrame(columns=["table", "line", "column", "rule", "shape"]),
        as_of=as_of,
    )
    return Study(definition=definition, table=table, targets=compute_targets(table), rate=rate)


def upper_bound(k: int, n: int) -> str:
    """Return the exact 95 % upper bound of a rate that was seen k times in n."""
    return f"{float(clopper_pearson(k, n, confidence_level=0.95, alternative='less')[1]):.3f}"


def new_parser(text: str | None) -> argparse.ArgumentParser:
    """Make a parser that shows the script's text as its help."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def print_table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    print()

"""Small worlds with a known truth: attributes, who was handed over, what came of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.leads import LeadTable, Manifest, compute_targets, parse_contract, split_periods
from leadml.propose import Goal, propose_changes

CONTRACT = """
name: world
tables: {leads: {path: leads.csv, format: csv}}
columns:
  lead_id: {from: leads.lead_id, role: id}
  account: {from: leads.account, role: account}
  created_on: {from: leads.created_on, role: created, type: date, format: "%Y-%m-%d"}
  handed_on: {from: leads.handed_on, role: handed_over, type: date, format: "%Y-%m-%d"}
  employees: {from: leads.employees, role: attribute, type: integer}
  months: {from: leads.months, role: attribute, type: integer}
  budget: {from: leads.budget, role: attribute, type: ordinal, levels: [none, exploring, requested, approved]}
  industry: {from: leads.industry, role: attribute, type: category}
  verdict: {from: leads.verdict, role: verdict, accepted: [accepted], rejected: [rejected], pending: [""]}
  outcome: {from: leads.outcome, role: outcome, won: [won], lost: [lost], open: [""]}
windows: {verdict: 30 days, outcome: 90 days}
"""

DEFINITION = """
name: world
version: 2026.1
owners: {marketing: A, sales: B}
attributes:
  employees: {type: integer, unit: people, steps: [10, 20, 50, 100, 200, 500, 1000]}
  months: {type: integer, unit: months, steps: [2, 3, 6, 9, 12, 18]}
  budget: {type: ordinal, levels: [none, exploring, requested, approved]}
  industry: {type: category, levels: [software, manufacturing, public]}
classes:
  - name: hot
    all_of:
      - employees >= 50  # agreed in spring
      - months <= 12
  - name: cold
    otherwise: true
handoff: [hot]
prices: {won: {default: 10000}, worked_lead: 1000, currency: EUR}
"""


@dataclass
class World:
    """Leads with everything needed to propose."""

    definition: object
    table: LeadTable
    targets: pd.DataFrame

    def propose(self, goal=None, target="won", **settings):
        split = settings.pop("split", None) or split_periods(self.table, self.targets, target=target)
        settings.setdefault("register", lambda _registration: None)
        return propose_changes(
            self.definition, self.table, self.targets, goal=goal or Goal(), split=split, **settings
        )


def draw_attributes(n, rng, quarters=6):
    """Draw attributes and dates of n leads over some quarters from 2024 on."""
    return pd.DataFrame(
        {
            "lead_id": [f"L{number:07d}" for number in range(n)],
            "account": [f"A{number:07d}" for number in range(n)],
            "created_on": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(rng.integers(0, int(91.3 * quarters), n), unit="D"),
            "employees": np.round(np.exp(rng.normal(4.6, 1.4, n))).astype("int64") + 1,
            "months": rng.integers(1, 25, n),
            "budget": rng.choice(["none", "exploring", "requested", "approved"], n),
            "industry": rng.choice(["software", "manufacturing", "public"], n),
        }
    )


def make_table(frame, *, contract=CONTRACT, as_of=dt.date(2026, 1, 1)):
    """Type a frame as a reader would."""
    parsed = parse_contract(contract, source="contract", folder=Path())
    frame = frame.copy()
    for column in parsed.columns:
        if column.name not in frame:
            continue
        if column.type == "ordinal":
            frame[column.name] = pd.Categorical(
                frame[column.name], categories=list(column.levels), ordered=True
            )
        elif column.type == "category" or column.role in {"verdict", "outcome"}:
            frame[column.name] = pd.Categorical(frame[column.name])
        elif column.type == "integer":
            frame[column.name] = frame[column.name].astype("Int64")
    return LeadTable(
        frame=frame,
        contract=parsed,
        manifest=Manifest(
            read=len(frame), kept=len(frame), quarantined=0, duplicates=0, data_sha256="0" * 64
        ),
        quarantine=pd.DataFrame(columns=["table", "line", "column", "rule", "shape"]),
        as_of=as_of,
    )


def make_world(
    frame, win_rate, rng, *, worked=None, definition=DEFINITION, contract=CONTRACT, accept_rate=None
):
    """Give leads their labels: worked ones are won with their rate, others have neither verdict nor outcome."""
    parsed = parse_definition(definition)
    n = len(frame)
    worked = np.ones(n, bool) if worked is None else worked
    won = rng.random(n) < win_rate
    accepted = rng.random(n) < (0.7 if accept_rate is None else accept_rate)
    frame = frame.assign(
        handed_on=frame["created_on"].where(worked),
        verdict=np.where(worked, np.where(accepted | won, "accepted", "rejected"), "pending"),
        outcome=np.where(worked, np.where(won, "won", "lost"), "open"),
    )
    table = make_table(frame, contract=contract)
    return World(definition=parsed, table=table, targets=compute_targets(table))


SMALL_HEAD = """
name: small
version: 1
attributes:
  size: {type: integer, unit: people, steps: [2, 4, 6]}
  pace: {type: number, unit: months}
  level: {type: ordinal, levels: [low, middle, high]}
  kind: {type: category, levels: [a, b, c]}
  asked: {type: boolean}
points:
  interest:
    - {when: asked, points: 2}
    - {when: size >= 4, points: 1.5}
    - {when: kind = c, points: -1}
  effort:
    - {when: pace <= 2, points: 10}
    - {when: level = high, points: 5}
classes:
"""
SMALL_RULES = {
    "all": "  - name: hot\n    all_of: [size >= 4, pace < 3, level >= middle, 'kind in [a, b]']\n",
    "any": "  - name: hot\n    any_of: [size >= 4, pace <= 2 or missing, level = high, asked]\n",
    "nested": (
        "  - name: hot\n    all_of:\n      - size > 2\n      - any_of: [level >= middle, 'kind not in [c]']\n"
        "      - at_least: 1\n        of: [pace between 1 and 3, asked]\n"
    ),
    "two classes": (
        "  - name: hot\n    all_of: [size >= 4, asked]\n"
        "  - name: warm\n    at_least: 2\n    of: [size >= 2, pace <= 3, level >= middle]\n"
    ),
    "points": (
        "  - name: hot\n    all_of: [interest >= 3, level >= middle]\n"
        "  - name: warm\n    any_of: [interest >= 2, kind = a]\n"
    ),
    "points twice": (
        "  - name: hot\n    all_of: [interest >= 3.5, size >= 2]\n"
        "  - name: warm\n    any_of: [pace <= 3, kind = a]\n"
    ),
    "points thrice": (
        "  - name: hot\n    all_of:\n      - level >= middle\n      - any_of: [interest between 1 and 2, asked]\n"
        "      - any_of: [interest < 3, effort >= 10]\n"
        "  - name: warm\n    any_of: [interest >= 3.5, kind = a]\n"
    ),
    "kept back": (
        "  - name: competitor\n    all_of: [kind = c, size >= 4]\n"
        "  - name: hot\n    all_of: [size >= 2, pace <= 3]\n"
    ),
}
SMALL_TAIL = "  - name: cold\n    otherwise: true\nhandoff: [{handoff}]\n"


def parse_small(rule):
    """Parse a small definition."""
    handoff = "hot, warm" if rule in {"two classes", "points twice", "points thrice"} else "hot"
    return parse_definition(SMALL_HEAD + SMALL_RULES[rule] + SMALL_TAIL.format(handoff=handoff))


def draw_small(seed, n):
    """Draw leads for it."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": pd.array(rng.integers(0, 8, n), dtype="Int64"),
            "pace": rng.integers(0, 10, n) / 2.0,
            "level": pd.Categorical(
                rng.choice(["low", "middle", "high"], n), ["low", "middle", "high"], ordered=True
            ),
            "kind": pd.Categorical(rng.choice(["a", "b", "c", "d"], n)),
            "asked": pd.array(rng.random(n) < 0.5, dtype="boolean"),
        }
    )
    for name in frame.columns:
        frame.loc[rng.random(n) < 0.1, name] = pd.NA
    return frame


@pytest.fixture(name="worlds", scope="session")
def worlds_fixture():
    """Hand the tests the makers of worlds."""

    class Worlds:
        CONTRACT = CONTRACT
        DEFINITION = DEFINITION
        World = World
        parse_small = staticmethod(parse_small)
        draw_small = staticmethod(draw_small)
        draw_attributes = staticmethod(draw_attributes)
        make_table = staticmethod(make_table)
        make_world = staticmethod(make_world)

    return Worlds

"""A small market with a known truth, shared by the tests of features, training and bundle."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.leads import parse_contract
from leadml.metrics import expit

CONTRACT = """
name: small
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date, format: "%Y-%m-%d"}
  employees: {from: leads.Employees, role: attribute, type: integer, known_at: capture}
  budget: {from: leads.Budget, role: attribute, type: ordinal, levels: [none, some, approved]}
  source: {from: leads.Source, role: attribute, type: category}
  demo: {from: leads.Demo, role: attribute, type: boolean}
  founded_on: {from: leads.Founded, role: attribute, type: date, format: "%Y-%m-%d"}
  call_notes: {from: leads.Notes, role: attribute, type: category}
  next_step: {from: leads.Next, role: attribute, type: category, known_at: after}
  rep: {from: leads.Rep, role: rep}
  verdict: {from: leads.Verdict, role: verdict, accepted: ["yes"], rejected: ["no"]}
  outcome: {from: leads.Outcome, role: outcome, won: [won], lost: [lost]}
"""

DEFINITION = """
name: small
version: 2026.1
owners: {marketing: Head of Demand, sales: Head of Sales}
meaning: Leads that marketing hands to sales.
attributes:
  employees: {type: integer, unit: people, dimension: size}
  budget: {type: ordinal, levels: [none, some, approved], dimension: budget}
  demo: {type: boolean, dimension: interest}
points:
  interest:
    - {when: demo, points: 40}
    - {when: employees >= 100, points: 10}
classes:
  - name: hot
    meaning: Large enough and with budget.
    all_of: [employees >= 50, budget >= some]
  - {name: cold, meaning: The rest., otherwise: true}
handoff: [hot]
"""


def build_world(n=1500, seed=0, *, strength=1.0):
    """Give (table, targets, split, definition) of a market where size and budget matter."""
    rng = np.random.default_rng(seed)
    employees = np.maximum(1, np.round(np.exp(rng.normal(4, 1.2, n))))
    budget = rng.integers(0, 3, n)
    source = rng.choice(["web", "event", "list"], n, p=[0.6, 0.3, 0.1])
    demo = rng.random(n) < 0.3
    created = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 540, n)), unit="D")
    eta = -1.5 + strength * (0.6 * (np.log(employees) - 4) + 0.7 * (budget - 1) + 0.8 * demo)
    won = rng.random(n) < expit(eta)
    frame = pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "created_on": pd.Series(created).astype("datetime64[us]"),
            "employees": pd.Series(employees).where(rng.random(n) > 0.1).astype("Int64"),
            "budget": pd.Categorical.from_codes(budget, ["none", "some", "approved"], ordered=True),
            "source": pd.Categorical(source),
            "demo": pd.Series(demo).astype("boolean").mask(pd.Series(rng.random(n) < 0.2)),
            "founded_on": pd.Series(created - pd.to_timedelta(rng.integers(100, 9000, n), unit="D")).astype(
                "datetime64[us]"
            ),
            "call_notes": pd.Series([f"spoke to number {i}" for i in range(n)], dtype="str"),
            "next_step": pd.Categorical(np.where(won, "contract", "none")),
            "rep": rng.choice(["r1", "r2"], n),
        }
    )
    targets = pd.DataFrame(
        {
            "t0": frame["created_on"],
            "accepted": won.astype(float),
            "accepted_mature": True,
            "won": won.astype(float),
            "won_mature": True,
        }
    )
    cut = int(n * 0.65)
    split = SimpleNamespace(discover=np.arange(n) < cut, confirm=np.arange(n) >= cut)
    table = SimpleNamespace(frame=frame, contract=parse_contract(CONTRACT))
    return table, targets, split, parse_definition(DEFINITION)


@pytest.fixture(scope="session")
def make_world():
    """Give the function that builds a market."""
    return build_world


@pytest.fixture(scope="session")
def trained():
    """Give a model of won deals and the market it learnt from."""
    from leadml.models import train_model

    table, targets, split, definition = build_world()
    model = train_model(table, targets, target="won", definition=definition, split=split)
    return model, table, definition

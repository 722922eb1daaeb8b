"""A run with every part filled, shaped like the ones the loop makes."""

from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.compare import compare_definition
from leadml.definitions import parse_definition
from leadml.explain import Attribution
from leadml.leads import Column, Contract

DEFINITION = """\
name: inbound-lead
version: 2026.3
effective_from: 2026-07-01
review_by: 2026-12-31
owners: {marketing: Director of Demand Generation, sales: VP Sales}
meaning: Which inbound leads Marketing hands to Sales.
attributes:
  purchase_timeframe: {type: number, unit: months, dimension: timing, known_at: capture}
  budget_status: {type: ordinal, levels: [none, exploring, requested, approved], dimension: budget}
  title_level: {type: ordinal, levels: [staff, manager, director, vp, c_level], dimension: authority}
  industry: {type: category, levels: [software, manufacturing, public], dimension: industry}
  employees: {type: integer, unit: people, dimension: size, steps: [10, 20, 50, 100, 200, 500, 1000]}
classes:
  - name: hot
    meaning: Decides within six months and has asked for budget.
    all_of:
      - purchase_timeframe <= 6
      - budget_status >= requested
      - employees >= 50
      - strong interest
  - name: warm
    meaning: Decides within a year.
    all_of: [purchase_timeframe <= 6, budget_status >= requested, employees >= 50]
  - name: medium
    at_least: 2
    of: [purchase_timeframe <= 12 or missing, title_level >= director, "industry in [software, manufacturing]"]
  - name: cold
    otherwise: true
handoff: [hot, warm]
prices: {won: {default: 12000}, worked_lead: 150, currency: EUR}
"""


@dataclass
class SampleRun:
    experiment: object
    definition: object
    table: object
    audit: object
    targets: object
    comparison: object
    proposals: object
    models: dict = field(default_factory=dict)
    attributions: dict = field(default_factory=dict)
    ratings: object = None


def attribute(name, values):
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return Column(
        name=name, table="leads", source=name, role="attribute", type="number" if numeric else "category"
    )


def sample_leads(n_leads=4000, seed=0):
    rng = np.random.default_rng(seed)
    budget = ["none", "exploring", "requested", "approved"]
    frame = pd.DataFrame(
        {
            "purchase_timeframe": rng.integers(1, 24, n_leads).astype(float),
            "budget_status": pd.Categorical(
                rng.choice(budget, n_leads, p=[0.3, 0.3, 0.3, 0.1]), categories=budget, ordered=True
            ),
            "title_level": pd.Categorical(
                rng.choice(["staff", "manager", "director", "vp", "c_level"], n_leads),
                categories=["staff", "manager", "director", "vp", "c_level"],
                ordered=True,
            ),
            "industry": pd.Categorical(rng.choice(["software", "manufacturing", "public"], n_leads)),
            "employees": pd.array(np.exp(rng.normal(4.4, 1.4, n_leads)).astype(int), dtype="Int64"),
        }
    )
    frame.loc[rng.random(n_leads) < 0.08, "purchase_timeframe"] = np.nan
    frame.loc[rng.random(n_leads) < 0.2, "employees"] = pd.NA
    size = np.log(frame["employees"].astype(float).fillna(20) + 1) - 4
    logit = -1.6 + 0.6 * (budget_codes := frame["budget_status"].cat.codes.to_numpy()) + 0.25 * size
    logit -= 0.06 * frame["purchase_timeframe"].fillna(12)
    accepted = (rng.random(n_leads) < 1 / (1 + np.exp(-logit))).astype(float)
    won = np.where(rng.random(n_leads) < 0.05 + 0.07 * (budget_codes >= 2) * (size > -1), 1.0, 0.0) * accepted
    t0 = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 540, n_leads)), unit="D")
    age = (pd.Timestamp("2026-09-30") - pd.Series(t0)).dt.days.to_numpy(dtype=float)
    worked = rng.random(n_leads) < np.where(
        (budget_codes >= 2) & (frame["purchase_timeframe"] <= 6), 1.0, 0.25
    )
    targets = pd.DataFrame(
        {
            "t0": t0,
            "age_days": age,
            "worked": worked,
            "accepted": np.where(worked, accepted, np.nan),
            "accepted_mature": age >= 30,
            "won": np.where(worked & (age >= 180), won, np.nan),
            "won_mature": age >= 180,
            "amount": np.nan,
            "period": pd.PeriodIndex(t0, freq="Q").astype(str),
            "weight": 1.0,
        }
    )
    return frame, targets


def sample_table(frame, targets):
    verdict = pd.Series(
        np.select([targets["accepted"] == 1, targets["accepted"] == 0], ["accepted", "rejected"], "pending")
    )
    return SimpleNamespace(
        frame=frame,
        role={
            "verdict": verdict,
            "reason": pd.Series(np.where(verdict == "rejected", "No budget", None), dtype=object),
            "decided": targets["t0"] + pd.Timedelta(days=9) if targets["t0"].dtype.kind == "M" else None,
        }.get,
        contract=Contract(
            name="small",
            tables=(),
            columns=tuple(attribute(name, frame[name]) for name in frame.columns),
        ),
        as_of=date(2026, 9, 30),
        manifest=SimpleNamespace(
            read=4120,
            kept=4000,
            quarantined=96,
            duplicates=24,
            notices=("outcome: 'On hold' (12 rows) is not declared and read as open.",),
            data_sha256="ab" * 32,
        ),
        quarantine=pd.DataFrame(
            {
                "table": "leads",
                "line": range(96),
                "column": ["created_on"] * 60 + ["employees"] * 33 + ["lead_id"] * 3,
                "rule": ["date_format"] * 60 + ["not_a_number"] * 33 + ["missing_id"] * 3,
                "shape": "aa",
            }
        ),
    )


def sample_attribution(frame):
    """A model that makes more of budget than of size, and passes 1.25 % at about 60 people."""
    budget = frame["budget_status"].cat.codes.to_numpy(dtype=float)
    size = frame["employees"].astype(float).fillna(20).to_numpy()
    values = (
        np.column_stack([0.5 * (budget - budget.mean()), 0.2 * np.log((size + 1) / 60)])
        if len(frame)
        else np.zeros((0, 2))
    )
    return Attribution(
        target="won",
        values=values,
        base=-4.0,
        attributes=("budget_status", "employees"),
        rows=frame.index,
        method="tree",
        additivity_error=0.0,
        probability=np.where(size >= 60, 0.02, 0.005),
    )


PROPOSALS = {
    "proposals": [
        {
            "criterion": "warm.employees",
            "kind": "threshold",
            "written": "employees >= 50",
            "proposed": "employees >= 20",
            "grade": "A",
            "n_changed": 212,
            "gained_per_month": 14.2,
            "lost_per_month": 0.0,
            "value_low": 2310.0,
            "value": 6820.0,
            "value_high": 11900.0,
            "won_low": 0.4,
            "won": 0.9,
            "won_high": 1.4,
            "accepted_low": 2.2,
            "accepted": 4.9,
            "accepted_high": 7.5,
            "reason": "Shown on both newest quarters.",
        }
    ],
    "promising": [
        {
            "criterion": "warm.purchase_timeframe",
            "kind": "threshold",
            "written": "purchase_timeframe <= 6",
            "proposed": "purchase_timeframe <= 9",
            "grade": "B",
            "n_changed": 88,
            "gained_per_month": 5.1,
            "lost_per_month": 0.0,
            "value_low": None,
            "value": None,
            "value_high": None,
            "won_low": None,
            "won": None,
            "won_high": None,
            "tipping_point": 0.012,
            "reason": "Only leads that reps picked have an answer.",
        }
    ],
    "kept": [
        {
            "criterion": "warm.budget_status",
            "reason": "Tightening to approved would lose more than it saves.",
            "n_changed": 310,
            "detectable": 1850.0,
        }
    ],
    "explore": [
        {
            "criterion": "warm.budget_status",
            "from": "budget_status >= requested",
            "to": "budget_status >= exploring",
            "n": 220,
            "weeks": 9,
            "cost": 33000,
        }
    ],
    "tested": [],
    "n_searched": 412,
    "per": "month",
    "stakes": {"unit": "EUR"},
    "windows": {"discover": ["2025Q1", "2025Q2"], "confirm": ["2025Q3", "2025Q4"]},
    "notices": [],
}


def build_run(
    *,
    proposals=PROPOSALS,
    definition=DEFINITION,
    n_leads=4000,
    question="Should hot ask for smaller companies?",
    change=None,
):
    written = parse_definition(definition, source="inbound-lead.yaml")
    frame, targets = sample_leads(n_leads)
    if change is not None:
        targets = change(frame, targets)
    table = sample_table(frame, targets)
    rng = np.random.default_rng(1)
    newer = np.arange(len(targets)) >= len(targets) * 5 // 9  # the leads stand in order of time
    later = targets.index[newer & targets["won"].notna()]
    holdout = pd.DataFrame(
        {"y_true": targets.loc[later, "won"], "y_prob": rng.random(len(later))}, index=later
    )
    metrics = {"auc": 0.71, "auc_low": 0.66, "auc_high": 0.76, "n_train": 1800, "n_test": len(later)}
    model = SimpleNamespace(
        target="won",
        notices=(),
        holdout=holdout,
        evaluation=SimpleNamespace(metrics=metrics, verdict="predicts won deals", predictive=True),
    )
    return SampleRun(
        experiment=SimpleNamespace(question=question),
        definition=written,
        table=table,
        audit=SimpleNamespace(
            findings=(
                SimpleNamespace(
                    code="a", severity="warning", column="industry", message="industry: one day brought 40 %."
                ),
            )
        ),
        targets=targets,
        comparison=compare_definition(written, table, targets, models={"won": model}),
        proposals=SimpleNamespace(to_dict=lambda: proposals),
        models={"won": model},
        attributions={"won": sample_attribution(frame)},
    )


@pytest.fixture(scope="session")
def run():
    return build_run()


@pytest.fixture(scope="session")
def make_run():
    return build_run

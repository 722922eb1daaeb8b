"""A threshold that differs by segment, from the command line to the version in force."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from leadml.__main__ import main
from leadml.definitions import load_definition

pytestmark = pytest.mark.slow

CONTRACT = """
name: apart
tables: {leads: {path: leads.csv, format: csv}}
columns:
  lead_id: {from: leads.lead_id, role: id}
  created_on: {from: leads.created_on, role: created, type: date, format: "%Y-%m-%d"}
  handed_on: {from: leads.created_on, role: handed_over, type: date, format: "%Y-%m-%d"}
  employees: {from: leads.employees, role: attribute, type: integer}
  industry: {from: leads.industry, role: attribute, type: category}
  verdict: {from: leads.verdict, role: verdict, accepted: ["1"], rejected: ["0"]}
  outcome: {from: leads.outcome, role: outcome, won: [won], lost: [lost]}
windows: {verdict: 30 days, outcome: 90 days}
"""
DEFINITION = """
name: apart
version: 2026.1
owners: {marketing: Director of Demand Generation, sales: VP Sales}
attributes:
  employees: {type: integer, unit: people, known_at: capture, steps: [10, 20, 50, 100, 200]}
  industry: {type: category, levels: [software, manufacturing, public], known_at: capture}
classes:
  - name: hot
    meaning: Big enough.
    any_of: [employees >= 50]  # agreed in spring
  - name: cold
    otherwise: true
handoff: [hot]
prices: {won: 10000, worked_lead: 1000, currency: EUR}
"""
SOFTWARE = "employees >= 20 where industry in [software], else employees >= 50"


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("apart")
    rng = np.random.default_rng(3)
    n = 4000
    employees = np.round(np.exp(rng.normal(4.0, 1.2, n))).astype(int) + 1
    industry = rng.choice(["software", "manufacturing", "public"], n)
    good = (employees >= 50) | ((employees >= 20) & (industry == "software"))
    won = rng.random(n) < np.where(good, 0.25, 0.02)
    days = pd.to_timedelta(rng.integers(0, 540, n), unit="D")
    pd.DataFrame(
        {
            "lead_id": [f"L{number}" for number in range(n)],
            "created_on": (pd.Timestamp("2024-01-01") + days).strftime("%Y-%m-%d"),
            "employees": employees,
            "industry": industry,
            "verdict": np.where(won | (rng.random(n) < 0.6), "1", "0"),
            "outcome": np.where(won, "won", "lost"),
        }
    ).to_csv(folder / "leads.csv", index=False)
    (folder / "contract.yaml").write_text(CONTRACT)
    (folder / "definition.yaml").write_text(DEFINITION)
    (folder / "question.yaml").write_text(
        "question: May software be smaller?\ndefinition: definition.yaml\ncontract: contract.yaml\n"
        "as_of: 2026-01-01\ntargets: [won]\nproposals: {segments: [industry]}\n"
    )
    return folder


@pytest.fixture(name="run")
def run_fixture(capsys, monkeypatch):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["leadml", *map(str, words)])
        return main(), capsys.readouterr().out

    return call


def test_an_exception_goes_from_the_question_to_the_version_in_force(run, monkeypatch, folder):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    assert run("run", folder / "question.yaml", "--output", folder / "found")[0] == 0
    found = json.loads((folder / "found" / "proposals.json").read_text())
    (proposal,) = found["proposals"]
    assert (proposal["kind"], proposal["proposed"]) == ("segment", SOFTWARE)
    page = (folder / "found" / "packet.html").read_text()
    assert "20 where industry in [software], else employees" in page
    words = ("sign", folder / "found" / "proposal-1.json", "--definition", folder / "definition.yaml")
    for side, who in (("marketing", "Director of Demand Generation"), ("sales", "VP Sales")):
        assert run(*words, "--decision", "accept", "--side", side, "--by", who)[0] == 0
    (written,) = folder.glob("*2026.2*.yaml")
    assert load_definition(written).version == "2026.2"
    assert 'any_of: [any_of: [{all_of: ["industry in [software]", employees >= 20]}, employees >= 50]]' in (
        written.read_text()
    )


def test_the_option_asks_the_same_as_the_file(run, folder):
    words = (
        "propose",
        folder / "definition.yaml",
        "--contract",
        folder / "contract.yaml",
        "--as-of",
        "2026-01-01",
    )
    code, out = run(*words, "--segment", "industry", "--json")
    assert code == 0
    assert [change["proposed"] for change in json.loads(out)["proposals"]] == [SOFTWARE]
    assert run(*words, "--segment", "employees")[0] == 65

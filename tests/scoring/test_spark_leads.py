"""Proposals of leads on Spark are those of one machine, damaged and repeated rows included."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from leadml.__main__ import main
from leadml.errors import LeadsError, QuarantineError
from leadml.experiment import Experiment, analyse_experiment, propose_on_spark
from leadml.leads import read_leads
from leadml.propose import Goal
from leadml.scoring import leads_on_spark

pytestmark = [
    pytest.mark.slow,
    # pyspark 4.3 warns on pandas 3; drop this when it supports it.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

ON_ONE_MACHINE = ("models", "criteria", "classes")


@pytest.fixture
def small_blocks(monkeypatch):
    """Many parts in a small file: what a worker does not see of this changes nothing."""
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 20_000)


def proposals_of(result):
    return json.dumps({name: value for name, value in result.to_dict().items() if name not in ON_ONE_MACHINE})


def propose_both(experiment, session, *, part_bytes):
    records = []
    local = analyse_experiment(experiment, register=records.append)
    spark = propose_on_spark(experiment, register=records.append, spark=session, part_bytes=part_bytes)
    assert records[0].to_dict() == records[1].to_dict()
    return local, spark


def test_damaged_and_repeated_rows_of_many_accounts_give_the_same_proposals(
    session, world, tmp_path, small_blocks
):
    contract = world.contract_path.read_text().replace(
        "  verdict: {from", "  account: {from: leads.Page Views, role: account}\n  verdict: {from"
    )
    for name in ("leads.csv", "deals.csv"):
        (tmp_path / name).write_bytes((world.folder / name).read_bytes())
    (tmp_path / "contract.yaml").write_text(contract)
    experiment = Experiment(
        question="", definition=world.definition_path, contract=tmp_path / "contract.yaml", goal=Goal()
    )
    local, spark = propose_both(experiment, session, part_bytes=100_000)
    assert proposals_of(local) == proposals_of(spark)
    assert spark.table.manifest == local.table.manifest
    assert spark.table.manifest.quarantined > 0
    assert spark.table.manifest.duplicates > 0
    pd.testing.assert_frame_equal(spark.table.quarantine, local.table.quarantine)
    assert len(spark.table) == 0


def test_a_change_is_confirmed_and_explained_in_parts_of_parquet(session, tmp_path):
    """Six months instead of twelve pay: the whole way to a proposal, attribute by attribute audited."""
    rng = np.random.default_rng(0)
    n = 4_000
    months = rng.integers(1, 25, n)
    won = rng.random(n) < np.where(months <= 6, 0.3, 0.02)
    created = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 547, n), unit="D")
    frame = pd.DataFrame(
        {
            "id": [f"L{number}" for number in range(n)],
            "created": created,
            "months": months,
            "source": rng.choice(["web", "fair", "call"], n),
            "verdict": np.where(won | (rng.random(n) < 0.6), "yes", "no"),
            "outcome": np.where(won, "won", "lost"),
        }
    )
    frame.to_parquet(tmp_path / "leads.parquet", row_group_size=700)
    (tmp_path / "contract.yaml").write_text(
        """
name: small
tables: {leads: {path: leads.parquet, format: parquet}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.created, role: created, type: date, format: "%Y-%m-%d"}
  months: {from: leads.months, role: attribute, type: integer}
  source: {from: leads.source, role: attribute, type: category}
  verdict: {from: leads.verdict, role: verdict, accepted: ["yes"], rejected: ["no"]}
  outcome: {from: leads.outcome, role: outcome, won: [won], lost: [lost]}
windows: {verdict: 30 days, outcome: 90 days}
"""
    )
    (tmp_path / "definition.yaml").write_text(
        """
name: small
version: 1
owners: {marketing: A, sales: B}
attributes:
  months: {type: integer, unit: months}
  source: {type: category}
classes: [{name: hot, all_of: [months <= 12]}, {name: cold, otherwise: true}]
handoff: [hot]
prices: {won: {default: 10000}, worked_lead: 1000, currency: EUR}
"""
    )
    experiment = Experiment(
        question="", definition=tmp_path / "definition.yaml", contract=tmp_path / "contract.yaml"
    )
    local, spark = propose_both(experiment, session, part_bytes=30_000)
    assert proposals_of(local) == proposals_of(spark)
    (proposal,) = spark.proposals.proposals
    assert proposal.explanation.profiles


def test_errors_are_those_of_one_machine(session, world, tmp_path):
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    frame.assign(Employees="many").to_csv(tmp_path / "damaged.csv", index=False)
    frame.drop(columns="Employees").to_csv(tmp_path / "missing.csv", index=False)
    for name, error in (("damaged", QuarantineError), ("missing", LeadsError)):
        path = tmp_path / f"{name}.csv"
        with pytest.raises(error) as local:
            read_leads(world.contract, leads=path)
        with pytest.raises(error) as spark, leads_on_spark(world.contract, leads=path, spark=session):
            pass
        assert spark.value.findings == local.value.findings


def test_the_command_gives_the_same_proposals_on_spark(session, world, tmp_path, capsys, monkeypatch):
    words = ["leadml", "propose", str(world.definition_path), "--contract", str(world.contract_path)]
    said = []
    for engine in ("local", "spark"):
        monkeypatch.setattr(sys, "argv", [*words, "--json", "--engine", engine])
        code = main()
        found = json.loads(capsys.readouterr().out)
        said.append((code, {name: found[name] for name in found if name not in ON_ONE_MACHINE}))
    assert said[0] == said[1]
    assert said[1][1]["kept"]
    monkeypatch.setattr(sys, "argv", [*words, "--engine", "spark", "--output", str(tmp_path / "found")])
    assert main() == said[0][0]
    assert "NOT PROPOSED" in capsys.readouterr().out
    assert json.loads((tmp_path / "found" / "proposals.json").read_text())["kept"] == said[1][1]["kept"]

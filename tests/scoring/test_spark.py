"""Scoring on a real local Spark gives the bytes of the local path, damaged and repeated rows included."""

import importlib.util
import json
import os
import shutil
import sys

import pandas as pd
import pytest

from leadml.__main__ import main
from leadml.errors import BundleError, DefinitionError, LeadsError, QuarantineError
from leadml.leads import compute_targets, read_leads, split_periods
from leadml.propose import Goal, count_locally, parse_what_if, propose_changes, sample_exploration
from leadml.scoring import count_on_spark, score_leads

pytestmark = [
    pytest.mark.slow,
    # pyspark 4.3 warns on pandas 3; drop this when it supports it.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def session(request):
    missing = [
        name
        for name, here in (
            ("pyspark (extra spark)", importlib.util.find_spec("pyspark") is not None),
            ("Java", shutil.which("java") is not None),
        )
        if not here
    ]
    if missing and os.environ.get("LEADML_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{missing[0]} is required here (LEADML_REQUIRE_SERVERS=1)")
    if missing:
        pytest.skip(f"{missing[0]} is not on this machine")
    from leadml.scoring._spark import spark_session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADML_SPARK_MASTER", "local[2]")
        patch.delenv("SPARK_HOME", raising=False)
        with spark_session() as found:
            found.sparkContext.setLogLevel("ERROR")
            yield found


@pytest.fixture
def small_blocks(monkeypatch):
    """Many parts in a small file: what a worker does not see of this changes nothing."""
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 20_000)


def score(world, output, **changes):
    given = {"definition": world.definition, "bundle": world.bundle_path, "output": output, **changes}
    return score_leads(world.contract, **given)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("n_parts", [1, 5])
def test_spark_gives_the_same_bytes_as_the_local_path(
    session, world, tmp_path, suffix, n_parts, small_blocks
):
    local = score(world, tmp_path / f"local{suffix}", quarantine=tmp_path / "local_q.csv")
    spark = score(
        world,
        tmp_path / f"spark{suffix}",
        engine="spark",
        n_parts=n_parts,
        quarantine=tmp_path / "spark_q.csv",
    )
    assert local.quarantined > 0
    assert local.duplicates > 0
    assert (tmp_path / f"local{suffix}").read_bytes() == (tmp_path / f"spark{suffix}").read_bytes()
    assert (tmp_path / "local_q.csv").read_bytes() == (tmp_path / "spark_q.csv").read_bytes()
    first, second = local.to_dict(), spark.to_dict()
    del first["output"], second["output"]
    assert first == second


def test_spark_reads_parquet_by_rows(session, world, tmp_path):
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    path = tmp_path / "leads.parquet"
    frame.to_parquet(path, row_group_size=400)
    local = score(world, tmp_path / "a.csv", leads=path)
    spark = score(world, tmp_path / "b.csv", leads=path, engine="spark", n_parts=4)
    assert local.output_sha256 == spark.output_sha256


def test_errors_and_exit_codes_are_those_of_the_local_path(session, world, tmp_path):
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    drifted = frame.assign(Employees=frame["Employees"].where(frame["Employees"] == "", "9000000"))
    drifted.to_csv(tmp_path / "drifted.csv", index=False)
    frame.assign(Employees="many").to_csv(tmp_path / "damaged.csv", index=False)
    for name, error in (("drifted", LeadsError), ("damaged", QuarantineError)):
        with pytest.raises(error) as local:
            score(world, tmp_path / "s.csv", leads=tmp_path / f"{name}.csv")
        with pytest.raises(error) as spark:
            score(world, tmp_path / "s.csv", leads=tmp_path / f"{name}.csv", engine="spark", n_parts=3)
        assert spark.value.findings == local.value.findings
    assert not (tmp_path / "s.csv").exists()
    with pytest.raises(BundleError, match="SHA-256"):
        score(world, tmp_path / "s.csv", engine="spark", digest="0" * 64)


def test_a_definition_that_the_leads_cannot_serve_is_refused_before_spark_is_asked(session, world, tmp_path):
    from leadml.definitions import parse_definition

    text = world.definition.text.replace("employees: {type", "headcount: {type").replace(
        "employees", "headcount"
    )
    definition = parse_definition(text)
    with pytest.raises((LeadsError, DefinitionError), match="headcount"):
        score(world, tmp_path / "s.csv", definition=definition, engine="spark")


def test_a_bundle_in_memory_cannot_travel(world, tmp_path):
    with pytest.raises(ValueError, match="give its path"):
        score(world, tmp_path / "s.csv", bundle=world.bundle, engine="spark")


def test_spark_sql_gives_the_probabilities_of_the_file_path(session, world, tmp_path):
    from leadml.leads import read_leads
    from leadml.scoring import compile_score_sql

    frame = read_leads(world.contract).frame
    path = tmp_path / "leads.parquet"
    frame.astype({name: object for name in frame if str(frame[name].dtype) == "category"}).to_parquet(
        path, coerce_timestamps="us"
    )
    session.read.parquet(str(path)).createOrReplaceTempView("leads")
    query = compile_score_sql(world.definition, world.bundle, dialect="spark", columns=["lead_id"])
    found = {row["lead_id"]: row for row in session.sql(query).collect()}
    expected = world.bundle.predict(frame)
    assert len(found) == len(frame) > 1_400
    for name in expected:
        scores = pd.Series([found[lead][name] for lead in frame["lead_id"]], index=frame.index)
        assert (scores - expected[name]).abs().max() <= 1e-9


def sample_of_a_looser_definition(world, table):
    change = parse_what_if(world.definition, "hot.employees=1")
    sample = sample_exploration(world.definition, table, changes=[change], share=0.5, salt="1")
    assert 0 < sample.picked.sum() < len(sample)
    return sample


@pytest.mark.parametrize(("max_changes", "explores"), [(1, False), (2, True)])
def test_spark_counts_give_the_same_proposals_byte_for_byte(session, world, max_changes, explores):
    table = read_leads(world.contract)
    targets = compute_targets(table)
    explored = sample_of_a_looser_definition(world, table) if explores else None
    answers = []
    for counter in (count_locally, count_on_spark):
        records = []
        found = propose_changes(
            world.definition,
            table,
            targets,
            goal=Goal(maximise="won"),
            split=split_periods(table, targets, target="won"),
            max_changes=max_changes,
            register=records.append,
            explored=explored,
            count=counter,
        )
        answers.append(json.dumps([found.to_dict(), records[0].to_dict()]))
    assert answers[0] == answers[1]
    assert json.loads(answers[0])[1]["n_searched"] > 20


def test_spark_counts_a_table_that_this_process_never_holds(session, world, tmp_path):
    """The leads lie in Parquet parts; only counts come back."""
    table = read_leads(world.contract)
    asked = []

    def keep(request):
        asked.append(request)
        return count_locally(request)

    targets = compute_targets(table)
    split = split_periods(table, targets, target="accepted")
    propose_changes(
        world.definition,
        table,
        targets,
        goal=Goal(maximise="accepted"),
        split=split,
        register=lambda _record: None,
        count=keep,
    )
    (request,) = asked
    frame = request.to_frame()
    for number in range(3):
        frame[number::3].to_parquet(tmp_path / f"part{number}.parquet")
    session.read.parquet(str(tmp_path)).createOrReplaceTempView("crm_leads")
    there = count_on_spark(request, spark=session, table="crm_leads")
    for one, other in zip(there, count_locally(request), strict=True):
        assert one.tables == other.tables
        assert (one.counts == other.counts).all()


def test_the_command_gives_the_same_bytes_on_spark(session, world, capsys, monkeypatch):
    words = [
        "leadml",
        "propose",
        str(world.definition_path),
        "--contract",
        str(world.contract_path),
        "--json",
    ]
    said = []
    for engine in ("local", "spark"):
        monkeypatch.setattr(sys, "argv", [*words, "--engine", engine])
        code = main()
        said.append((code, capsys.readouterr().out))
    assert said[0] == said[1]
    assert json.loads(said[1][1])["kept"]

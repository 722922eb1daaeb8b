"""Scoring on a real local Spark gives the bytes of the local path, damaged and repeated rows included."""

import pandas as pd
import pytest

from leadml.errors import BundleError, DefinitionError, LeadsError, QuarantineError
from leadml.scoring import score_leads

pytestmark = [
    pytest.mark.slow,
    # pyspark 4.3 warns on pandas 3; drop this when it supports it.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


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

import hashlib

import pandas as pd
import pytest

from leadml.errors import LockedError, OutputError, QuarantineError
from leadml.scoring import SCORE_COLUMNS, score_leads
from leadml.scoring._database import DatabaseWriter


@pytest.fixture
def address(tmp_path):
    return f"sqlite:///{tmp_path / 'crm.db'}#scores"


def rows(address):
    from sqlalchemy import create_engine

    url, _, table = address.partition("#")
    engine = create_engine(url)
    frame = pd.read_sql(f"select * from {table} order by lead_id", engine)
    engine.dispose()
    return frame


def score(world, output, **changes):
    return score_leads(
        world.contract,
        **{"definition": world.definition, "bundle": world.bundle, "output": output, **changes},
    )


def test_a_table_holds_what_the_file_holds(world, tmp_path, address):
    manifest = score(world, address)
    file = score(world, tmp_path / "s.csv")
    frame = pd.read_csv(tmp_path / "s.csv", dtype={"definition_version": str}).sort_values("lead_id")
    found = rows(address)
    assert list(found.columns) == list(SCORE_COLUMNS)
    pd.testing.assert_frame_equal(found, frame.reset_index(drop=True), check_dtype=False)
    assert manifest.output_sha256 == file.output_sha256
    assert manifest.output.endswith("#scores")


def test_scoring_again_replaces_the_rows(world, address):
    score(world, address)
    score(world, address)
    assert rows(address)["lead_id"].is_unique


def test_a_refused_job_leaves_the_old_rows(world, tmp_path, address):
    score(world, address)
    before = rows(address)
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    frame.loc[5:, "Employees"] = "many"
    frame.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(QuarantineError, match="nothing is published"):
        score(world, address, leads=tmp_path / "bad.csv")
    pd.testing.assert_frame_equal(rows(address), before)


def test_leads_and_scores_may_both_lie_in_a_database(world, tmp_path, address):
    from sqlalchemy import create_engine

    score(world, tmp_path / "s.csv")
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    engine = create_engine(address.partition("#")[0])
    frame[frame["Lead Id"].str.fullmatch(r"L\d+")].to_sql("leads", engine, index=False)
    engine.dispose()
    manifest = score(world, address, leads=address.replace("#scores", "#leads"))
    file = pd.read_csv(tmp_path / "s.csv").set_index("lead_id")
    found = rows(address).set_index("lead_id")
    assert manifest.scored == len(found) > 1_400
    assert (found["reasons"] == file["reasons"].reindex(found.index)).all()
    assert manifest.data_sha256 == ""


def test_a_second_job_on_the_same_database_is_told_to_wait(world, address, monkeypatch):
    from sqlalchemy import create_engine

    score(world, address)
    engine = create_engine(address.partition("#")[0], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        url = address.replace("#", "?timeout=0.1#")
        with pytest.raises(LockedError, match="Try again"):
            score(world, url)
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


def test_an_address_that_cannot_be_written_is_named_without_its_password(world):
    with pytest.raises(OutputError, match=r"me:\*\*\*@127") as caught:
        score(world, "postgresql+psycopg://me:secret@127.0.0.1:9/x#scores")
    assert "secret" not in str(caught.value)
    with pytest.raises(OutputError, match="ends in `#table`"):
        score(world, "sqlite:///x.db")


def test_the_digest_of_no_rows_is_that_of_the_header(tmp_path, address):
    with DatabaseWriter(address, columns=SCORE_COLUMNS) as writer:
        pass
    assert writer.digest == hashlib.sha256((",".join(SCORE_COLUMNS) + "\n").encode()).hexdigest()
    assert rows(address).empty


@pytest.fixture
def server_address(postgres):
    from sqlalchemy import create_engine, text

    yield f"{postgres}#leadml.scores"
    engine = create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text("drop schema if exists leadml cascade"))
    engine.dispose()


@pytest.fixture
def schema(postgres):
    from sqlalchemy import create_engine, text

    engine = create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text("create schema if not exists leadml"))
    yield engine
    engine.dispose()


@pytest.mark.slow
def test_a_postgresql_server_gives_the_leads_and_takes_the_scores(world, tmp_path, server_address, schema):
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    frame[frame["Lead Id"].str.fullmatch(r"L\d+")].drop_duplicates("Lead Id").to_sql(
        "leads", schema, schema="leadml", index=False
    )
    leads = server_address.replace("scores", "leads")
    first = score(world, server_address, leads=leads)
    again = score(world, server_address, leads=leads, batch_rows=100)
    file = score(world, tmp_path / "s.csv", leads=leads)
    assert first.output_sha256 == again.output_sha256 == file.output_sha256
    found = pd.read_sql('select * from leadml.scores order by lead_id collate "C"', schema)
    assert len(found) == first.scored > 1_400
    expected = pd.read_csv(tmp_path / "s.csv", dtype={"definition_version": str}).sort_values("lead_id")
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_dtype=False)


@pytest.mark.slow
def test_readers_of_a_postgresql_table_see_whole_results_only(world, server_address, schema):
    score(world, server_address)
    seen = set()

    def look(read, total):
        seen.add(int(pd.read_sql("select count(*) as n from leadml.scores", schema)["n"][0]))

    with pytest.raises(LockedError, match="another job writes this table"):

        def second(read, total):
            look(read, total)
            score(world, server_address)

        score(world, server_address, progress=second)
    score(world, server_address, progress=look)
    assert len(seen) == 1

"""Whoever counts the evidence finds the same integers."""

import json
from dataclasses import replace

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.definitions import parse_definition
from leadml.errors import DefinitionError
from leadml.propose import CountRequest, count_in_duckdb, count_locally
from leadml.propose._board import build_board
from leadml.propose._evidence import _find_jobs, search_edits
from leadml.propose._joint import Job, make_cells

RULES = ("all", "any", "nested", "two classes", "points", "points twice", "points thrice", "kept back")


def request(worlds, rule, seed, n):
    definition, frame = worlds.parse_small(rule), worlds.draw_small(seed, n)
    rng = np.random.default_rng(seed)
    board = build_board(definition, frame, sample=np.ones(n, bool))
    cells = make_cells(
        rng.integers(0, 3, n).astype(np.int8), rng.integers(0, 2, n).astype(np.int16), rng.random(n) < 0.8, 2
    )
    jobs = list(_find_jobs(board, 2))
    turnable = board.turnable
    jobs.append(Job(dials=turnable[:3], only=(1, len(board.dials[turnable[1]].alternatives), 0)[:3]))
    return CountRequest(
        definition=definition,
        board=board,
        leads=frame,
        rows=rng.random(n) < 0.9,
        cells=cells,
        jobs=tuple(jobs),
    )


def assert_same(found, expected):
    expected = list(expected)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.tables == other.tables
        assert one.counts.dtype == other.counts.dtype == np.int64
        assert (one.counts == other.counts).all()


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
def test_duckdb_counts_the_same_integers(worlds, rule, seed, n):
    asked = request(worlds, rule, seed, n)
    assert_same(count_in_duckdb(asked), count_locally(asked))


def test_duckdb_counts_a_parquet_file(worlds, tmp_path):
    asked = request(worlds, "points", 4, 500)
    path = tmp_path / "leads.parquet"
    asked.to_frame().to_parquet(path)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW crm AS SELECT * FROM read_parquet('{path}')")
        found = count_in_duckdb(asked, connection=connection, table="crm")
    assert_same(found, count_locally(asked))
    assert sum(int(table.counts.sum()) for table in found) > 0


def test_a_lead_with_a_null_cell_does_not_count(worlds):
    asked = request(worlds, "all", 2, 200)
    whole = replace(asked, rows=np.ones(200, bool))
    frame = whole.to_frame()
    frame["evidence_cell"] = frame["evidence_cell"].astype("Int64").where(asked.rows)
    with duckdb.connect() as connection:
        connection.register("crm", frame)
        assert_same(count_in_duckdb(asked, connection=connection, table="crm"), count_locally(asked))


def test_a_query_is_one_pass_with_grouping_sets(worlds):
    query = request(worlds, "nested", 1, 50).to_sql()
    assert query.count("GROUPING SETS") == 1
    assert query.count('FROM "leads"') == 1


def test_a_table_is_a_name_and_no_query(worlds):
    with pytest.raises(DefinitionError, match="expected a name"):
        count_in_duckdb(request(worlds, "all", 1, 50), table="(SELECT 1)")


AWKWARD = """
name: awkward
version: 1
attributes:
  share: {type: number, steps: [0.1, 0.3, 0.7]}
  kind: {type: category, levels: ["it's", 'say "hi"', "a,b"]}
  born: {type: date}
  age: {type: integer, age_of: born, anchor: as_of}
classes:
  - name: hot
    all_of:
      - share >= 0.3 or missing
      - kind not in ["it's"]
      - age <= 30
      - strong interest
  - name: warm
    at_least: 1
    of: [share < 0.7, kind is missing]
  - name: cold
    otherwise: true
handoff: [hot, warm]
"""


def test_fractions_quotes_ages_and_prose_count_the_same():
    import datetime as dt

    import pandas as pd

    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "share": rng.choice([0.1, 0.1 + 0.2, 0.3, 0.7, np.nan, -0.0], n),
            "kind": pd.Categorical(rng.choice(["it's", 'say "hi"', "a,b", "other"], n)),
            "born": pd.Timestamp("2026-01-01") - pd.to_timedelta(rng.integers(0, 60, n), unit="D"),
        }
    )
    frame.loc[::9, "kind"] = np.nan
    frame.loc[::11, "born"] = pd.NaT
    definition, day = parse_definition(AWKWARD), dt.date(2026, 1, 1)
    board = build_board(definition, frame, sample=np.ones(n, bool), as_of=day)
    cells = make_cells(np.ones(n, np.int8), np.zeros(n, np.int16), np.ones(n, bool), 1)
    asked = CountRequest(
        definition=definition,
        board=board,
        leads=frame,
        rows=np.ones(n, bool),
        cells=cells,
        jobs=tuple(_find_jobs(board, 2)),
        as_of=day,
    )
    assert_same(count_in_duckdb(asked), count_locally(asked))


def test_the_search_reads_the_same_changes_off_either_count(worlds):
    asked = request(worlds, "two classes", 3, 300)
    results = [
        search_edits(
            asked.board,
            asked.rows,
            asked.cells,
            max_changes=2,
            count=lambda jobs, counter=counter: counter(replace(asked, jobs=jobs)),
        )
        for counter in (count_locally, count_in_duckdb)
    ]
    assert results[0].edits == results[1].edits
    assert (results[0].gained == results[1].gained).all()
    assert (results[0].lost == results[1].lost).all()


def test_the_same_proposal_byte_for_byte(worlds):
    rng = np.random.default_rng(3)
    frame = worlds.draw_attributes(2000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, np.where(frame.months <= 6, 0.2, 0.03), rng, worked=hot)
    answers = set()
    for counter in (count_locally, count_in_duckdb):
        records = []
        result = world.propose(register=records.append, count=counter, max_changes=3)
        answers.add(json.dumps([result.to_dict(), records[0].to_dict()]))
    assert len(answers) == 1
    assert "months <= 6" in answers.pop()


@pytest.mark.parametrize("handoff", ["[]", "[hot, cold]"])
def test_nothing_is_asked_of_an_engine_where_no_class_decides(worlds, handoff):
    rng = np.random.default_rng(0)
    frame = worlds.draw_attributes(300, rng)
    definition = worlds.DEFINITION.replace("handoff: [hot]", f"handoff: {handoff}")
    world = worlds.make_world(frame, np.full(300, 0.1), rng, definition=definition)
    result = world.propose(count=count_in_duckdb, max_changes=3)
    assert (result.n_searched, result.proposals) == (0, ())
    assert len(result.kept) == 2

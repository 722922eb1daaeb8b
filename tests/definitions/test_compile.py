"""Definitions compiled to SQL give every lead the class that Python gives it."""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadml.definitions import (
    DIALECTS,
    assign_classes,
    compile_sql,
    compute_points,
    load_definition,
    parse_definition,
)
from leadml.errors import DefinitionError, LeadmlError

pytest.importorskip("sqlglot", reason="sqlglot is not installed (extra `sql`)")
EXAMPLES = sorted((Path(__file__).parents[2] / "experiments" / "definitions").glob("*.yaml"))
NAMES = "n x o c b d idle"
CHECKED = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
SQL_TYPES = {
    "n": "BIGINT",
    "x": "DOUBLE PRECISION",
    "o": "TEXT",
    "c": "TEXT",
    "b": "BOOLEAN",
    "age": "BIGINT",
    "d": "TIMESTAMP",
    "e": "TIMESTAMP",
    "lead_id": "BIGINT",
}
N_LEADS = 300


def as_rows(leads):
    """Return plain rows in which a null is None and a NaN stays NaN."""
    rows = []
    for row in leads[list(SQL_TYPES)].itertuples(index=False):
        values = []
        for name, value in zip(SQL_TYPES, row, strict=True):
            if name == "x":
                values.append(float(value))
            elif pd.isna(value):
                values.append(None)
            elif name == "b":
                values.append(bool(value))
            elif name in {"n", "age", "lead_id"}:
                values.append(int(value))
            else:
                values.append(value.to_pydatetime() if name in {"d", "e"} else value)
        rows.append(values)
    return rows


def check(definition, leads, run, dialect):
    """Compare the classes and the points of every lead with those of Python, bit by bit."""
    scores = [score.name for score in definition.points]
    found = run(compile_sql(definition, dialect=dialect, columns=["lead_id"], as_of=date(2026, 2, 1)))
    found = sorted(found, key=lambda row: row[0])
    expected = assign_classes(definition, leads, as_of=date(2026, 2, 1))
    assert [row[-1] for row in found] == [None if pd.isna(name) else name for name in expected]
    points = compute_points(definition, leads, as_of=date(2026, 2, 1))
    for number, score in enumerate(scores, 1):
        assert [float(row[number]) for row in found] == points[score].tolist()


@pytest.fixture(scope="session")
def leads(random_leads):
    return random_leads(N_LEADS, seed=0)


@pytest.fixture(scope="session")
def duckdb_run(leads, needed_module):
    duckdb = needed_module("duckdb", "sql")
    connection = duckdb.connect()
    columns = ", ".join(f"{name} {kind}" for name, kind in SQL_TYPES.items())
    connection.execute(f"CREATE TABLE leads ({columns})")
    marks = ", ".join("?" * len(SQL_TYPES))
    connection.executemany(f"INSERT INTO leads VALUES ({marks})", as_rows(leads))
    yield lambda query: connection.execute(query).fetchall()
    connection.close()


@given(data=st.data())
@settings(CHECKED, max_examples=60)
def test_duckdb_gives_every_lead_the_same_class(generated_definitions, leads, duckdb_run, data):
    check(parse_definition(data.draw(generated_definitions(NAMES))), leads, duckdb_run, "duckdb")


@pytest.mark.slow
@given(data=st.data())
@settings(CHECKED, max_examples=800)
def test_duckdb_gives_every_lead_the_same_class_over_many_definitions(
    generated_definitions, leads, duckdb_run, data
):
    check(parse_definition(data.draw(generated_definitions(NAMES))), leads, duckdb_run, "duckdb")


@pytest.fixture(scope="session")
def postgres_run(postgres, leads):
    columns = ", ".join(f"{name} {kind}" for name, kind in SQL_TYPES.items())
    postgres.execute(f"CREATE TABLE leads ({columns})")
    marks = ", ".join(["%s"] * len(SQL_TYPES))
    with postgres.cursor() as cursor:
        cursor.executemany(f"INSERT INTO leads VALUES ({marks})", as_rows(leads))
    return lambda query: postgres.execute(query).fetchall()


@pytest.mark.slow
@given(data=st.data())
@settings(CHECKED, max_examples=800)
def test_postgres_gives_every_lead_the_same_class(generated_definitions, leads, postgres_run, data):
    check(parse_definition(data.draw(generated_definitions(NAMES))), leads, postgres_run, "postgres")


@pytest.fixture(scope="session")
def spark_run(leads, needed_module):
    SparkSession = needed_module("pyspark.sql", "spark").SparkSession
    kinds = {"DOUBLE PRECISION": "DOUBLE", "TEXT": "STRING"}
    schema = ", ".join(f"{name} {kinds.get(kind, kind)}" for name, kind in SQL_TYPES.items())
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    session.createDataFrame([tuple(row) for row in as_rows(leads)], schema).createOrReplaceTempView("leads")
    yield lambda query: [tuple(row) for row in session.sql(query).collect()]
    session.stop()


@pytest.mark.slow
@given(data=st.data())
@settings(CHECKED, max_examples=60)
def test_spark_gives_every_lead_the_same_class(generated_definitions, leads, spark_run, data):
    check(parse_definition(data.draw(generated_definitions(NAMES))), leads, spark_run, "spark")


BOUNDARY = """\
name: boundary
version: 1
attributes: {x: {type: number, unit: months}, y: {type: number, unit: months}}
classes:
  - {name: hot, all_of: [x >= 0.1]}
  - {name: medium, any_of: [x > 0.07, y between 2.675 and 1000000000.5]}
  - {name: cold, any_of: [y <= 0.3]}
"""


def test_thresholds_mean_the_same_at_the_last_bit(needed_module):
    duckdb = needed_module("duckdb", "sql")
    definition = parse_definition(BOUNDARY)
    edges = [0.1, 0.07, 2.675, 1000000000.5, 0.3]
    values = [np.nextafter(edge, side) for edge in edges for side in (-np.inf, np.inf)] + edges
    leads = pd.DataFrame({"x": [*values, *[np.nan] * len(values)], "y": [*[np.nan] * len(values), *values]})
    leads["lead_id"] = range(len(leads))
    with duckdb.connect() as connection:
        connection.register("leads", leads)
        found = connection.execute(compile_sql(definition, columns=["lead_id"]) + " ORDER BY 1").fetchall()
    expected = assign_classes(definition, leads)
    assert [row[1] for row in found] == [None if pd.isna(name) else name for name in expected]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_compiles_to_every_dialect(path, dialect):
    import sqlglot

    definition = load_definition(path)
    query = compile_sql(definition, dialect=dialect, table="crm.leads")
    assert sqlglot.parse_one(query, dialect=dialect) is not None
    assert query.splitlines()[0] == f"-- {definition.name} {definition.version}, sha256 {definition.sha256}"
    assert "lead_class" in query


def test_names_are_quoted_where_the_dialect_asks_for_it():
    definition = parse_definition(BOUNDARY)
    assert '"x"' in compile_sql(definition, dialect="postgres")
    assert "`x`" in compile_sql(definition, dialect="bigquery")
    assert '"' not in compile_sql(definition, dialect="snowflake")
    assert "IS_NAN" in compile_sql(definition, dialect="bigquery")


def test_a_class_name_cannot_leave_its_literal_or_the_comment():
    text = BOUNDARY.replace("name: boundary", 'name: "a\\nSELECT 1; --"').replace(
        "name: hot", 'name: "h\'); DROP--"'
    )
    query = compile_sql(parse_definition(text))
    assert query.splitlines()[0].startswith("-- a SELECT 1; -- 1, sha256")
    assert "'h''); DROP--'" in query


def test_a_definition_that_takes_everybody_first_needs_no_case():
    query = compile_sql(parse_definition("name: a\nversion: 1\nclasses: [{name: all, otherwise: true}]\n"))
    assert "CASE" not in query
    assert "'all' AS \"lead_class\"" in query


def test_an_age_until_today_uses_the_day_of_the_query():
    text = (
        "name: a\nversion: 1\nattributes: {d: {type: date}, age: {type: integer, unit: days, age_of: d}}\n"
        "classes: [{name: new, all_of: [age <= 30]}]\n"
    )
    assert "CURRENT_DATE" in compile_sql(parse_definition(text))
    assert "2026-03-01" in compile_sql(parse_definition(text), as_of=date(2026, 3, 1))


def test_an_unknown_dialect_is_refused():
    with pytest.raises(
        DefinitionError, match=r"expected one of duckdb, .* got 'postgresq'. Did you mean 'postgres'"
    ):
        compile_sql(parse_definition(BOUNDARY), dialect="postgresq")


def test_a_broken_criterion_is_refused():
    with pytest.raises(DefinitionError, match=r":5:.*unknown attribute 'z'"):
        compile_sql(parse_definition(BOUNDARY.replace("x >= 0.1", "z >= 0.1")))


def test_prose_compiles_to_false():
    assert "FALSE" in compile_sql(parse_definition(BOUNDARY.replace("x >= 0.1", "strong interest")))


def test_without_sqlglot_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "leadml.definitions._sql", raising=False)
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(LeadmlError, match=r"pip install leadml\[sql\]"):
        compile_sql(parse_definition(BOUNDARY))


def test_snowflake_quotes_what_it_would_not_read_as_a_name():
    text = BOUNDARY.replace("{x:", "{order:").replace("x >", "order >")
    query = compile_sql(parse_definition(text), dialect="snowflake", columns=["lead_id", "my id", 'a"; b'])
    assert 'CAST("ORDER" AS DOUBLE)' in query
    assert '\n  lead_id,\n  "my id",\n  "a""; b",\n' in query


def test_names_that_are_words_of_sql_run(needed_module):
    duckdb = needed_module("duckdb", "sql")
    text = (
        BOUNDARY.replace("{x:", "{order:")
        .replace("x >", "order >")
        .replace(" y:", " select:")
        .replace("[y", "[select")
        .replace(", y", ", select")
    )
    definition = parse_definition(text)
    leads = pd.DataFrame({"order": [0.2, 0.0], "select": [1.0, 0.1]})
    with duckdb.connect() as connection:
        connection.register("from", leads)
        found = connection.execute(compile_sql(definition, table='"from"')).fetchall()
    assert [row[-1] for row in found] == assign_classes(definition, leads).tolist() == ["hot", "cold"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "table", ["", "x'y", "leads; DROP TABLE x", "leads--", "(SELECT 1)", "leads l", "a..b"]
)
def test_only_the_name_of_a_table_is_taken(table, dialect):
    with pytest.raises(DefinitionError, match=r"table: expected a name such as leads or crm\.leads"):
        compile_sql(parse_definition(BOUNDARY), dialect=dialect, table=table)


def test_an_empty_column_is_refused():
    with pytest.raises(DefinitionError, match="columns: expected names"):
        compile_sql(parse_definition(BOUNDARY), columns=[""])

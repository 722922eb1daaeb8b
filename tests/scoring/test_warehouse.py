"""The score as SQL gives every lead the probability of the file path, in real engines."""

import dataclasses
from functools import partial

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from leadml.definitions import assign_classes, parse_definition
from leadml.errors import BundleError, DefinitionError
from leadml.models import (
    Bundle,
    BundledModel,
    Calibration,
    EbmClassifier,
    Feature,
    LeadEncoder,
    SplineLogisticClassifier,
    fit_calibration,
    make_scorecards,
)
from leadml.scoring import compile_score_sql

DEFINITION = parse_definition(
    "name: x\nversion: 1\nattributes:\n"
    "  employees: {type: integer, unit: people}\n  source: {type: category, levels: [web, fair]}\n"
    "points: {fit: [{when: employees >= 50, points: 10}]}\n"
    "classes: [{name: hot, all_of: [fit >= 10, source = web]}, {name: cold, otherwise: true}]\n"
)
FEATURES = (
    Feature(name="employees", kind="number"),
    Feature(name="revenue", kind="number"),
    Feature(name="few", kind="number"),
    Feature(name="demo", kind="boolean"),
    Feature(name="budget", kind="ordinal", levels=("none", "it's \\ asked", "approved")),
    Feature(name="source", kind="category"),
    Feature(name="founded_on", kind="age"),
    Feature(name="unused", kind="category"),
)
SQL_TYPES = {
    "lead_id": "BIGINT",
    "employees": "BIGINT",
    "revenue": "DOUBLE PRECISION",
    "few": "REAL",
    "demo": "BOOLEAN",
    "budget": "TEXT",
    "source": "TEXT",
    "founded_on": "TIMESTAMP",
    "unused": "TEXT",
    "handed_over_on": "TIMESTAMP",
    "created_on": "TIMESTAMP",
}
METHODS = ("none", "intercept", "platt", "beta", "spline", "venn_abers", "isotonic")


def make_leads(n, seed, *, hostile=()):
    """Leads with nulls everywhere; hostile ones also at and beside the model's points, and far outside."""
    rng = np.random.default_rng(seed)
    days = pd.to_datetime("2026-01-01") - pd.to_timedelta(rng.gamma(2, 900, n), unit="D")
    frame = pd.DataFrame(
        {
            "lead_id": np.arange(n),
            "employees": pd.array(rng.integers(0, 3000, n), dtype="Int64"),
            "revenue": np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(10, 2, n).round(2)),
            "few": rng.integers(0, 5, n) / 4,
            "demo": pd.array(rng.random(n) < 0.4, dtype="boolean"),
            "budget": rng.choice(["none", "it's \\ asked", "approved"], n),
            "source": rng.choice(
                ["web", "fair", "o'ld", "rare one", "rare two"], n, p=[0.5, 0.3, 0.18, 0.01, 0.01]
            ),
            "founded_on": days.floor("us"),
            "unused": "x",
            "handed_over_on": pd.Timestamp("2026-02-03 04:05:06"),
            "created_on": pd.Timestamp("2026-02-01"),
        }
    )
    if len(hostile):
        frame["revenue"] = rng.choice(
            [*hostile, np.inf, -np.inf, 1e308, -1e308, 1e-300, -1e-46, 1e-40, -0.0, 16777217.0], n
        )
        frame["employees"] = pd.array(rng.choice([-1, 0, 49, 50, 16777217, 2**62], n), dtype="Int64")
        frame["budget"] = rng.choice(["none", "approved", "Approved", "unknown", ""], n)
        frame["source"] = rng.choice(["web", "fair", "never seen", "", "Web"], n)
        frame["unused"] = rng.choice(["x", "y"], n)
    for name in frame.columns.drop(["lead_id", "created_on"]):
        frame.loc[rng.random(n) < 0.15, name] = None
    return frame.astype(
        {"founded_on": "datetime64[us]", "handed_over_on": "datetime64[us]", "created_on": "datetime64[us]"}
    )


def fit(classifier, frame, y):
    kinds = {f.name: "number" if f.kind == "age" else f.kind for f in FEATURES}
    encoder = LeadEncoder(kinds=kinds, levels={"budget": list(FEATURES[4].levels)}, ignore=("unused",))
    from leadml.models import compute_features

    X = compute_features(frame, FEATURES, clock=("handed_over_on", "created_on"))
    return Pipeline([("encode", encoder), ("model", classifier)]).fit(X, y)


def model_of(pipeline, *, method="none", target="won", offset=0.0):
    rng = np.random.default_rng(5)
    p = rng.beta(1, 4, 3_000)
    calibrator = fit_calibration(rng.random(p.size) < p**1.4, p, method=method)
    return BundledModel(
        target=target,
        candidate=type(pipeline["model"]).__name__,
        features=FEATURES,
        clock=("handed_over_on", "created_on"),
        pipeline=pipeline,
        calibrator=calibrator,
        offset=offset,
        metrics={},
        verdict="",
    )


@pytest.fixture(scope="module")
def pipelines():
    frame = make_leads(1_500, 0)
    y = (
        np.random.default_rng(1).random(1_500) < np.where(frame["demo"].fillna(value=False), 0.5, 0.15)
    ).astype(int)
    kinds = ["number" if f.kind == "age" else f.kind for f in FEATURES]
    constant = SplineLogisticClassifier(kinds=["number"] * 8, penalty=1e12)
    return {
        "logistic": fit(SplineLogisticClassifier(kinds=kinds), frame, y),
        "lines": fit(SplineLogisticClassifier(kinds=kinds, n_bends=0, penalty=30.0), frame, y),
        "ebm": fit(EbmClassifier(interactions=3, max_bins=32, outer_bags=1), frame, y),
        "constant": fit(constant, frame, y),
        "boosting": fit(HistGradientBoostingClassifier(max_iter=3), frame, y),
    }


def points_of(pipeline):
    model = pipeline["model"]
    grids = model.grids_ if hasattr(model, "grids_") else [cuts for term in model.cuts_ for cuts in term]
    points = np.concatenate([np.ravel(grid) for grid in grids if len(grid)])
    near = [np.nextafter(points.astype(np.float32), np.float32(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([points, *near]).astype(float)


def as_rows(frame):
    """Plain rows in which a null is None and a NaN of a number stays NaN."""
    columns = [
        [float(value) for value in frame[name]]
        if name in {"revenue", "few"}
        else frame[name].astype(object).where(frame[name].notna(), None).tolist()
        for name in SQL_TYPES
    ]
    return list(zip(*columns, strict=True))


def duckdb_run(frame, query):
    import pyarrow as pa

    kept = frame.assign(budget=frame["budget"].astype(object), source=frame["source"].astype(object))
    table = pa.Table.from_pandas(kept, preserve_index=False)
    for name in ("revenue", "few"):  # with NaN instead of nulls
        column = pa.array(frame[name].to_numpy(dtype=float))
        table = table.set_column(table.column_names.index(name), name, column)
    with duckdb.connect() as connection:
        connection.register("given", table)
        columns = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in SQL_TYPES.items())
        connection.execute(f"CREATE TABLE leads AS SELECT {columns} FROM given")
        found = connection.execute(query)
        return pd.DataFrame(found.fetchall(), columns=[entry[0] for entry in found.description])


def check(bundle, frame, run, dialect):
    """The probabilities agree to 1e-9 on every lead, the classes to the letter."""
    found = run(frame, compile_score_sql(DEFINITION, bundle, dialect=dialect, columns=["lead_id"]))
    found = found.sort_values("lead_id").reset_index(drop=True)
    assert found.columns.tolist() == [
        "lead_id",
        "fit",
        "lead_class",
        "probability_accepted",
        "probability_won",
    ]
    assert found["lead_class"].tolist() == assign_classes(DEFINITION, frame).tolist()
    expected = bundle.predict(frame)
    for name in expected:
        if expected[name].isna().all():
            assert found[name].isna().all()
        else:
            assert np.abs(found[name].astype(float) - expected[name]).max() <= 1e-9, name


def frames(pipeline):
    return make_leads(300, 7), make_leads(300, 8, hostile=points_of(pipeline))


def bundle_of(*models):
    return Bundle(digest="ab" * 32, models={model.target: model for model in models})


@pytest.mark.parametrize(
    "method",
    [
        name if name in {"none", "beta", "spline"} else pytest.param(name, marks=pytest.mark.slow)
        for name in METHODS
    ],
)
def test_every_calibration_gives_the_same_probability_in_duckdb(pipelines, method):
    bundle = bundle_of(model_of(pipelines["logistic"], method=method, offset=-0.4))
    for frame in frames(pipelines["logistic"]):
        check(bundle, frame, duckdb_run, "duckdb")


@pytest.mark.parametrize("name", ["lines", "ebm", "constant"])
def test_every_additive_model_gives_the_same_probability_in_duckdb(pipelines, name):
    bundle = bundle_of(
        model_of(pipelines[name]), model_of(pipelines["logistic"], method="beta", target="accepted")
    )
    for frame in frames(pipelines[name]):
        check(bundle, frame, duckdb_run, "duckdb")


def test_no_leads_and_no_models_are_no_special_case(pipelines):
    check(bundle_of(model_of(pipelines["logistic"])), make_leads(300, 7)[:0], duckdb_run, "duckdb")
    check(bundle_of(), make_leads(20, 7), duckdb_run, "duckdb")


def test_log_odds_far_out_end_at_zero_and_one_without_an_overflow(pipelines):
    for intercept in (-5_000.0, 5_000.0):
        (card,) = make_scorecards(bundle_of(model_of(pipelines["constant"])), targets=["won"])
        query = compile_card(dataclasses.replace(card, intercept=intercept))
        found = duckdb_run(make_leads(5, 7), query)["probability_won"]
        assert found.tolist() == pytest.approx([float(intercept > 0)] * 5, abs=1e-12)


def compile_card(card, dialect="duckdb"):
    from leadml.definitions import compile_sql

    return compile_sql(DEFINITION, dialect=dialect, columns=["lead_id"], scores=[card])


def test_single_precision_is_kept_where_sql_has_no_such_type():
    """Snowflake and BigQuery have doubles only: their rounding, run in DuckDB."""
    from sqlglot import exp

    from leadml.definitions._sql import Compiler
    from leadml.definitions._sql_score import _ScoreWriter

    writer = _ScoreWriter(Compiler(DEFINITION, "snowflake", None))
    text = writer.rounded(exp.column("x")).sql(dialect="duckdb")
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.normal(size=5_000) * 10.0 ** rng.integers(-30, 30, 5_000), [0.0, 0.1, 3e38, -3e38, 1e7]]
    )
    with duckdb.connect() as connection:
        connection.register("t", pd.DataFrame({"x": x}))
        found = connection.execute(f"SELECT {text} AS y FROM t").df()["y"]
    assert (found.to_numpy() == x.astype(np.float32).astype(float)).all()


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "spark", "postgres"])
def test_every_dialect_reads_back_what_is_written(pipelines, dialect):
    import sqlglot

    bundle = bundle_of(model_of(pipelines["constant"], method="platt"))
    query = compile_score_sql(DEFINITION, bundle, dialect=dialect, columns=["lead_id"], table="crm.leads")
    assert sqlglot.parse_one(query, dialect=dialect) is not None
    assert f"-- model bundle, sha256 {'ab' * 32}" in query.splitlines()[1]


def test_numbers_have_an_exponent_so_that_no_engine_reads_decimals(pipelines):
    import re

    query = compile_score_sql(DEFINITION, bundle_of(model_of(pipelines["logistic"])), columns=["lead_id"])
    assert not re.search(r"(?<![\w.])\d+\.\d+(?![\dE])", query)


def test_a_boosted_model_is_refused_and_the_error_says_which_can(pipelines):
    both = bundle_of(model_of(pipelines["boosting"]), model_of(pipelines["logistic"], target="accepted"))
    compile_ = partial(compile_score_sql, DEFINITION, columns=["lead_id"])
    with pytest.raises(
        BundleError, match=r"model of won deals is .* logistic models and .* Ask for accepted only"
    ):
        compile_(both)
    assert "probability_accepted" in compile_(both, targets=["accepted"])
    with pytest.raises(BundleError, match="Score this bundle with `leadml score`"):
        compile_(bundle_of(model_of(pipelines["boosting"])))
    with pytest.raises(ValueError, match="expected accepted or won, got 'lost'"):
        compile_(both, targets=["lost"])


def test_without_a_column_nobody_could_tell_the_leads_apart(pipelines):
    with pytest.raises(DefinitionError, match="such as the lead's id"):
        compile_score_sql(DEFINITION, bundle_of(model_of(pipelines["logistic"])), columns=[])


def test_a_bundle_on_disk_is_checked_first(world):
    query = compile_score_sql(world.definition_path, world.bundle_path, columns=["lead_id"])
    assert world.bundle.digest in query
    with pytest.raises(BundleError, match="SHA-256"):
        compile_score_sql(world.definition_path, world.bundle_path, columns=["lead_id"], digest="0" * 64)


def test_no_calibration_is_a_calibration_of_ones():
    assert Calibration(method="none").calibrate([0.25]).tolist() == [0.25]


@pytest.fixture(scope="module")
def postgres_run(postgres):
    from sqlalchemy import create_engine, text

    engine = create_engine(postgres)

    def run(frame, query):
        with engine.begin() as connection:
            columns = ", ".join(f"{name} {kind}" for name, kind in SQL_TYPES.items())
            connection.execute(text(f"CREATE TEMPORARY TABLE leads ({columns}) ON COMMIT DROP"))
            marks = ", ".join(["%s"] * len(SQL_TYPES))
            connection.exec_driver_sql(f"INSERT INTO leads VALUES ({marks})", as_rows(frame))
            found = connection.exec_driver_sql(query.replace("%", "%%"))
            return pd.DataFrame(found.fetchall(), columns=list(found.keys()))

    yield run
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_calibration_gives_the_same_probability_in_postgresql(pipelines, postgres_run, method):
    bundle = bundle_of(model_of(pipelines["logistic"], method=method, offset=-0.4))
    for frame in frames(pipelines["logistic"]):
        check(bundle, frame, postgres_run, "postgres")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lines", "ebm", "constant"])
def test_every_additive_model_gives_the_same_probability_in_postgresql(pipelines, postgres_run, name):
    bundle = bundle_of(
        model_of(pipelines[name]), model_of(pipelines["logistic"], method="beta", target="accepted")
    )
    for frame in frames(pipelines[name]):
        check(bundle, frame, postgres_run, "postgres")

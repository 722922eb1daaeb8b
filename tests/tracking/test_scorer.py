"""The registered scorer gives what a scoring job gives, in Python and on Spark."""

import importlib.util
import os
import shutil

import pandas as pd
import pytest

from leadml.definitions import load_definition
from leadml.leads import compute_targets, load_contract, read_leads, split_periods, write_synthetic_leads
from leadml.models import load_bundle, train_model, write_bundle
from leadml.scoring import score_frame
from leadml.tracking import RegisteredScorer, scorer_items
from leadml.tracking._items import item_from_dict, item_to_dict
from leadml.tracking._model import SCORED_COLUMNS, save_model
from leadml.tracking._sender import QUIET

pytestmark = [
    # MLflow's advice on type hints and input examples (lead rows!) comes on import and on saving a model.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Add type hints to the `predict` method:UserWarning"),
    # MLflow 3.17 uses a loader option that SQLAlchemy 2.1 deprecates; drop this when MLflow no longer does.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    files = write_synthetic_leads(folder, n_leads=900, random_state=1)
    contract, definition = load_contract(files.contract_path), load_definition(files.definition_path)
    table = read_leads(contract)
    targets = compute_targets(table)
    split = split_periods(table, targets, target="won")
    model = train_model(table, targets, target="won", definition=definition, split=split)
    write_bundle({"won": model}, folder / "b.leadml-bundle", definition=definition, contract=contract)
    data = (folder / "b.leadml-bundle").read_bytes()
    items = scorer_items(data, definition=definition, contract=contract)
    (item,) = [item for item in items if isinstance(item, RegisteredScorer)]
    expected = score_frame(
        table.frame,
        definition=definition,
        bundle=load_bundle(folder / "b.leadml-bundle"),
        id_column="lead_id",
    )
    return item, table.frame, expected.drop(columns="lead_id")


@pytest.fixture
def model_path(world, tmp_path, monkeypatch):
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    save_model(world[0], tmp_path / "model")
    return tmp_path / "model"


def plain(frame):
    """Leads as a service gets them: double, text, boolean."""
    columns = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column.dtype):
            columns[name] = column.astype(object).where(column.notna(), None)
        elif pd.api.types.is_numeric_dtype(column.dtype):
            columns[name] = column.astype("float64")
        else:
            columns[name] = column
    return pd.DataFrame(columns)


def test_the_scorer_is_found_again_after_json_and_names_its_bundle(world):
    item, _, _ = world
    assert item_from_dict(item_to_dict(item)) == item
    assert item.name == "inbound-lead-scorer"
    assert dict(item.tags)["bundle.sha256"] == item.digest
    assert ("employees", "number") in item.columns
    assert ("created_on", "date") in item.columns


def test_the_model_scores_as_a_job_does_and_holds_no_pickle(world, model_path):
    import mlflow.pyfunc

    item, frame, expected = world
    assert sorted(path.name for path in model_path.rglob("*") if path.is_file()) == [
        "MLmodel",
        "conda.yaml",
        "definition.yaml",
        "model.py",
        "models.leadml-bundle",
        "python_env.yaml",
        "requirements.txt",
        "scorer.json",
    ]
    model = mlflow.pyfunc.load_model(str(model_path))
    leads = plain(frame[[name for name, _ in item.columns]])
    found = model.predict(leads)
    assert list(found.columns) == [name for name, _ in SCORED_COLUMNS]
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_dtype=False)


def test_a_changed_bundle_is_refused_on_loading(world, model_path):
    import mlflow.pyfunc

    from leadml.errors import BundleError

    (bundle,) = model_path.rglob("*.leadml-bundle")
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(bytes(data))
    with pytest.raises(BundleError, match="SHA-256"):
        mlflow.pyfunc.load_model(str(model_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_spark_serves_the_scorer_as_a_function(world, model_path, monkeypatch):
    for name, here in (("pyspark", importlib.util.find_spec("pyspark")), ("Java", shutil.which("java"))):
        if here is None and os.environ.get("LEADML_REQUIRE_SERVERS") == "1":
            pytest.fail(f"{name} is required here (LEADML_REQUIRE_SERVERS=1)")
        if here is None:
            pytest.skip(f"{name} is not on this machine")
    import mlflow.pyfunc
    from pyspark.sql.functions import struct

    from leadml.scoring._spark import spark_session

    item, frame, expected = world
    monkeypatch.setenv("LEADML_SPARK_MASTER", "local[1]")
    leads = plain(frame[[name for name, _ in item.columns]]).head(200)
    with spark_session() as spark:
        spark.sparkContext.setLogLevel("ERROR")
        rows = [
            tuple(
                None
                if pd.isna(value)
                else (value.to_pydatetime() if hasattr(value, "to_pydatetime") else value)
                for value in row
            )
            for row in leads.itertuples(index=False)
        ]
        kinds = {"number": "double", "text": "string", "boolean": "boolean", "date": "timestamp"}
        schema = ", ".join(f"{name} {kinds[kind]}" for name, kind in item.columns)
        table = spark.createDataFrame(rows, schema).coalesce(1)
        result = ", ".join(f"{name} {kind}" for name, kind in SCORED_COLUMNS)
        score = mlflow.pyfunc.spark_udf(spark, str(model_path), result_type=result, env_manager="local")
        found = [
            row["scores"].asDict()
            for row in table.select(score(struct(*table.columns)).alias("scores")).collect()
        ]
    found = pd.DataFrame(found).astype({"probability_accepted": float})
    pd.testing.assert_frame_equal(found, expected.head(200).reset_index(drop=True), check_dtype=False)

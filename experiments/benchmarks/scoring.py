"""Throughput and peak memory of scoring, Parquet in and Parquet out, beside its peers in the same run.

Run from the project's root: ``python experiments/benchmarks/scoring.py [n ...] [--job NAME ...]``. Each job
is a process of its own on one thread, because peak memory belongs to a process. Peers: a scikit-learn
pipeline on a pandas frame, the same pipeline as an MLflow pyfunc, ONNX Runtime on the encoded matrix (``pip
install onnxruntime skl2onnx``), and the score as SQL in DuckDB. The leads have 30 attributes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
pa.set_cpu_count(1)

N_TRAIN = 100_000
BATCH = 50_000
DEFINITION = """\
name: benchmark
version: 1
owners: {marketing: a, sales: b}
meaning: For timing only.
attributes:
  c02: {type: number, unit: points}
  c00: {type: category, levels: [level 0, level 1, level 2, level 3, level 4, level 5, level 6, level 7]}
  c01: {type: boolean}
classes:
  - {name: hot, all_of: [c02 >= 0.5, "c00 in [level 5, level 6, level 7]"]}
  - {name: medium, any_of: [c01, c02 >= 1]}
  - {name: cold, otherwise: true}
handoff: [hot]
"""


# -- what is scored ----------------------------------------------------------------------------------------


def prepare(folder: Path, sizes: list[int]) -> None:
    """Write the leads, the contract, the definition, two bundles and the peers' models."""
    from models import build_world

    from leadml.definitions import load_definition
    from leadml.models import TrainedModel, list_candidates, train_model, write_bundle

    table, targets, split = build_world(N_TRAIN)
    (folder / "definition.yaml").write_text(DEFINITION)
    lines = [
        f"  {column.name}: {{from: leads.{column.name}, role: attribute, type: {column.type}}}"
        for column in table.contract.columns
        if column.role == "attribute"
    ]
    (folder / "contract.yaml").write_text(
        "name: benchmark\ntables: {leads: {path: leads.parquet, format: parquet}}\ncolumns:\n"
        "  lead_id: {from: leads.lead_id, role: id}\n"
        '  created_on: {from: leads.created_on, role: created, type: date, format: "%Y-%m-%d"}\n'
        + "\n".join(lines)
        + "\n"
    )
    model = train_model(table, targets, target="won", definition=None, split=split)
    assert isinstance(model, TrainedModel), model.reason
    early = table.frame[split.discover]
    y = targets["won"].to_numpy()[split.discover]
    for candidate in list_candidates(model.features, random_state=0):
        if candidate.name in {"logistic", "boosting"}:
            fitted = candidate.fit(early[[feature.name for feature in model.features]], y)
            write_bundle(
                {"won": dataclasses.replace(model, pipeline=fitted, candidate=candidate.name)},
                folder / f"{candidate.name}.leadml-bundle",
                definition=load_definition(folder / "definition.yaml"),
                contract=None,
            )
    fit_peers(folder, early[[feature.name for feature in model.features]], y)
    for n in sizes:
        write_leads(folder / f"leads{n}.parquet", n)


def write_leads(path: Path, n: int) -> None:
    from models import build_world

    part = build_world(min(n, 500_000), random_state=1)[0].frame
    writer = None
    for first in range(0, n, len(part)):
        some = part[: min(len(part), n - first)].assign(created_on="2025-01-01")
        some.insert(0, "lead_id", [f"L{number:09d}" for number in range(first, first + len(some))])
        rows = pa.Table.from_pandas(some, preserve_index=False)
        for j, name in enumerate(rows.column_names):
            if pa.types.is_dictionary(rows[name].type):
                rows = rows.set_column(j, name, rows[name].cast(pa.string()))
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_table(rows, row_group_size=BATCH)
    assert writer is not None
    writer.close()


def fit_peers(folder: Path, X: pd.DataFrame, y: np.ndarray) -> None:
    """Fit and save the peers' pipelines, as one would without leadml."""
    import joblib
    import mlflow.sklearn
    from sklearn.compose import ColumnTransformer, make_column_selector
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    X = plain(X)
    numbers = make_column_selector(dtype_include="number")
    words = make_column_selector(dtype_exclude="number")
    logistic = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
                ("words", OneHotEncoder(handle_unknown="ignore"), words),
            ]
        ),
        LogisticRegression(max_iter=200),
    )
    boosting = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", "passthrough", numbers),
                ("words", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words),
            ]
        ),
        HistGradientBoostingClassifier(
            learning_rate=0.08, max_iter=80, max_leaf_nodes=8, early_stopping=False, random_state=0
        ),
    )
    for name, pipeline in (("logistic", logistic), ("boosting", boosting)):
        pipeline.fit(X, y)
        joblib.dump(pipeline, folder / f"{name}.joblib")
    mlflow.sklearn.save_model(
        boosting,
        str(folder / "pyfunc"),
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
        pip_requirements=["scikit-learn"],
    )


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Booleans and categories as scikit-learn's encoders take them."""
    kinds = {
        name: "float64" if str(frame[name].dtype) in {"bool", "boolean"} else "object"
        for name in frame
        if not pd.api.types.is_float_dtype(frame[name].dtype)
    }
    return frame.astype(kinds)


# -- jobs: leads in, scores out ----------------------------------------------------------------------------


def score_with_leadml(folder: Path, leads: Path, output: Path, name: str) -> int:
    from leadml.scoring import score_leads

    manifest = score_leads(
        folder / "contract.yaml",
        definition=folder / "definition.yaml",
        bundle=folder / f"{name}.leadml-bundle",
        leads=leads,
        output=output,
    )
    return manifest.scored


def score_with_pandas(folder: Path, leads: Path, output: Path, name: str) -> int:
    import joblib

    pipeline = joblib.load(folder / f"{name}.joblib")
    frame = pd.read_parquet(leads)
    X = plain(frame.drop(columns=["lead_id", "created_on"]))
    scores = pd.DataFrame({"lead_id": frame["lead_id"], "probability": pipeline.predict_proba(X)[:, 1]})
    scores.to_parquet(output)
    return len(scores)


def score_with_pyfunc(folder: Path, leads: Path, output: Path) -> int:
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(folder / "pyfunc"))
    frame = pd.read_parquet(leads)
    p = model.predict(plain(frame.drop(columns=["lead_id", "created_on"])))[:, 1]
    pd.DataFrame({"lead_id": frame["lead_id"], "probability": p}).to_parquet(output)
    return len(frame)


def score_with_onnx(folder: Path, leads: Path, output: Path) -> int:
    import onnxruntime
    from skl2onnx import to_onnx
    from skl2onnx.common._container import ModelComponentContainer

    from leadml.models import load_bundle

    add_node = ModelComponentContainer.add_node

    def add_whole_numbers(self, *words, **attributes):  # skl2onnx 1.20 writes booleans, onnx takes integers
        for name, value in attributes.items():
            if isinstance(value, list) and value and isinstance(value[0], bool | np.bool_ | np.integer):
                attributes[name] = [int(each) for each in value]
        return add_node(self, *words, **attributes)

    ModelComponentContainer.add_node = add_whole_numbers
    model = load_bundle(folder / "boosting.leadml-bundle").models["won"]
    encoder, booster = model.pipeline["encode"], model.pipeline["model"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = to_onnx(
        booster, np.zeros((1, len(model.features)), np.float32), options={"zipmap": False}
    ).SerializeToString()
    ModelComponentContainer.add_node = add_node
    session = onnxruntime.InferenceSession(graph, options)
    name, n = session.get_inputs()[0].name, 0
    with pq.ParquetWriter(output, pa.schema([("lead_id", pa.string()), ("probability", pa.float32())])) as to:
        for batch in pq.ParquetFile(leads, pre_buffer=False).iter_batches(BATCH):
            frame = batch.to_pandas()
            p = session.run(None, {name: encoder.transform(frame[[f.name for f in model.features]])})[1]
            to.write_table(pa.table([batch["lead_id"], p[:, 1]], schema=to.schema))
            n += len(frame)
    return n


def score_with_duckdb(folder: Path, leads: Path, output: Path) -> int:
    import duckdb

    from leadml.scoring import compile_score_sql

    query = compile_score_sql(
        folder / "definition.yaml", folder / "logistic.leadml-bundle", columns=["lead_id"], targets=["won"]
    )
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute(f"CREATE VIEW leads AS SELECT * FROM '{leads}'")
        return int(connection.execute(f"COPY ({query}) TO '{output}' (FORMAT parquet)").fetchone()[0])


def read_and_bare(folder: Path, leads: Path, _output: Path, name: str) -> int:
    """Read every attribute in batches; then the bare model on the encoded matrix, which is not counted."""
    from leadml.models import load_bundle

    model = load_bundle(folder / f"{name}.leadml-bundle").models["won"]
    encoder, classifier = model.pipeline["encode"], model.pipeline["model"]
    n = 0
    for batch in pq.ParquetFile(leads, pre_buffer=False).iter_batches(BATCH):
        frame = batch.to_pandas()
        spared = time.process_time(), time.perf_counter()
        X = encoder.transform(frame[[feature.name for feature in model.features]])
        SPARED[0] += time.process_time() - spared[0]
        SPARED[1] += time.perf_counter() - spared[1]
        classifier.predict_proba(X)
        n += len(frame)
    return n


SPARED = [0.0, 0.0]
JOBS = {
    "leadml, logistic": lambda f, i, o: score_with_leadml(f, i, o, "logistic"),
    "leadml, boosting": lambda f, i, o: score_with_leadml(f, i, o, "boosting"),
    "read + bare logistic": lambda f, i, o: read_and_bare(f, i, o, "logistic"),
    "read + bare boosting": lambda f, i, o: read_and_bare(f, i, o, "boosting"),
    "scikit-learn on pandas, logistic": lambda f, i, o: score_with_pandas(f, i, o, "logistic"),
    "scikit-learn on pandas, boosting": lambda f, i, o: score_with_pandas(f, i, o, "boosting"),
    "MLflow pyfunc, boosting": score_with_pyfunc,
    "ONNX Runtime, boosting": score_with_onnx,
    "DuckDB SQL, logistic": score_with_duckdb,
}


def run_job(name: str, folder: Path, n: int) -> None:
    """Run one job in this process and print what it took."""
    leads, output = folder / f"leads{n}.parquet", folder / "scores.parquet"
    small = folder / "leads1000.parquet"
    JOBS[name](folder, small, output)  # imports, and what is built once
    SPARED[:] = [0.0, 0.0]
    cpu, wall = time.process_time(), time.perf_counter()
    scored = JOBS[name](folder, leads, output)
    cpu, wall = time.process_time() - cpu - SPARED[0], time.perf_counter() - wall - SPARED[1]
    assert scored == n, (scored, n)
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak is not None
    print(json.dumps({"job": name, "rows": n, "cpu": cpu, "wall": wall, "mb": int(peak[1]) / 1024}))


def main() -> None:
    """Prepare, run each job in a process of its own, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000_000])
    parser.add_argument("--repeats", type=int, default=1, help="the median of so many runs")
    parser.add_argument("--job", action="append", choices=list(JOBS), help="only these")
    parser.add_argument("--folder", type=Path, help="where what is prepared stays, for the next run")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        run_job(given.job[0], given.folder, given.sizes[0])
        return
    with tempfile.TemporaryDirectory() as other:
        folder = given.folder or Path(other)
        folder.mkdir(exist_ok=True)
        wanted = [n for n in (1_000, *given.sizes) if not (folder / f"leads{n}.parquet").exists()]
        if not (folder / "pyfunc").exists():
            prepare(folder, wanted)
        else:
            for n in wanted:
                write_leads(folder / f"leads{n}.parquet", n)
        print("| rows | job | CPU s | wall s | rows per CPU s | peak MB |")
        print("|---|---|---|---|---|---|")
        for n in given.sizes:
            for name in given.job or JOBS:
                command = [
                    sys.executable,
                    __file__,
                    str(n),
                    "--job",
                    name,
                    "--folder",
                    str(folder),
                    "--inside",
                ]
                runs = []
                for _ in range(given.repeats):
                    done = subprocess.run(command, capture_output=True, text=True, check=False)
                    if done.returncode:
                        break
                    runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
                if done.returncode:
                    print(f"| {n:,} | {name} | failed: {done.stderr.strip().splitlines()[-1][:80]} | | | |")
                    continue
                row = {key: statistics.median(run[key] for run in runs) for key in ("cpu", "wall", "mb")}
                speed = f"{n / row['cpu']:,.0f}"
                print(
                    f"| {n:,} | {name} | {row['cpu']:.1f} | {row['wall']:.1f} | {speed} | {row['mb']:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

"""The one door to pyspark: the local reader and scorer on parts of a file side by side, with the same bytes.

Spark plans and carries, leadml reads: each task opens its part of the file with leadml's own reader, so a
damaged row is quarantined as on one machine. Results come back in the order of the file, a few parts at a
time, and are written by the one writer. The bundle travels as its file and is checked by its digest there.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml import errors
from leadml.leads import (
    find_repeated_rows,
    hash_lead_ids,
    open_chunk,
    plan_chunks,
    settle_repeated_rows,
)
from leadml.models import load_bundle
from leadml.scoring._drift import DriftWatch
from leadml.scoring._frame import ScoredPart, score_stream

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from leadml.definitions import Definition
    from leadml.leads import Contract, LeadChunk, LeadPlan
    from leadml.models import Bundle

__all__ = ["map_chunks", "plan_spark", "score_on_spark", "settle_repeats", "spark_session"]

CHUNK_BYTES = 1 << 25
WAVES = 2
SCORED_SCHEMA = "meta string, scores binary"
REPEATED_SCHEMA = "line long, id string, record string"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What every task needs, as plain values."""

    contract: Contract
    definition: Definition
    bundle: bytes = field(repr=False)
    digest: str
    as_of: dt.date | None
    chunks: tuple[LeadChunk, ...]
    fates: dict[int, str]
    batch_rows: int


def plan_spark(contract: Contract, *, leads: Path | str | None, n_parts: int | None) -> LeadPlan:
    """Divide the leads into parts of about 32 MB, or into `n_parts`.

    Parameters
    ----------
    contract : Contract
        From `load_contract`.
    leads : path-like, optional
        A file in place of the contract's first table; all workers must see it under this path.
    n_parts : int, optional
        How many parts are wanted.

    Returns
    -------
    LeadPlan
    """
    whole = plan_chunks(contract, leads=leads, n_chunks=1)
    size = Path(whole.chunks[0].path).stat().st_size
    wanted = n_parts if n_parts is not None else max(size // CHUNK_BYTES, 1)
    return whole if wanted == 1 else plan_chunks(contract, leads=leads, n_chunks=wanted)


def score_on_spark(
    spark: Any,
    plan: LeadPlan,
    *,
    definition: Definition,
    bundle: Bundle,
    bundle_path: Path,
    as_of: dt.date | None,
    batch_rows: int,
) -> Iterator[ScoredPart]:
    """Score the parts of a plan on Spark, in the order of the file.

    Parameters
    ----------
    spark : SparkSession
        From `spark_session`.
    plan : LeadPlan
        From `plan_spark`.
    definition : Definition
        The definition version that is applied.
    bundle : Bundle
        The models, as loaded here.
    bundle_path : Path
        Their file.
    as_of : date or None
        The day on which ages in the definition end.
    batch_rows : int
        Rows held in memory, about.

    Yields
    ------
    ScoredPart
        The same as from `score_stream` on the whole file.
    """
    with open_chunk(plan.contract, plan.chunks[0]) as stream:  # what cannot be scored at all is said here
        next(score_stream(stream, definition=definition, bundle=bundle, as_of=as_of))
    task = _Task(
        contract=plan.contract,
        definition=definition,
        bundle=bundle_path.read_bytes(),
        digest=bundle.digest,
        as_of=as_of,
        chunks=plan.chunks,
        fates=settle_repeats(spark, plan),
        batch_rows=batch_rows,
    )
    wave = max(int(spark.sparkContext.defaultParallelism), 1) * WAVES
    for first in range(0, len(plan.chunks), wave):
        last = min(first + wave, len(plan.chunks))
        for row in _map(
            spark, first, last, functools.partial(_score_chunk, task), "meta string, scores binary"
        ):
            yield _unpack(json.loads(row["meta"]), row["scores"], bundle)


@contextmanager
def spark_session(spark: Any = None) -> Iterator[Any]:
    """Yield a session: the one given, the active one, or a local one that ends with the block.

    Raises
    ------
    LeadsError
        If pyspark (extra ``spark``) or Java is not installed.
    """
    try:
        from pyspark.errors import PySparkException, PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise errors.LeadsError("engine spark: pyspark is not installed. Install leadml[spark].") from error
    found = spark or SparkSession.getActiveSession()
    if found is not None:
        yield found
        return
    builder = SparkSession.builder.appName("leadml")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not started by spark-submit
        paths = [str(Path(entry or ".").absolute()) for entry in sys.path]
        builder = (
            builder.master(os.environ.get("LEADML_SPARK_MASTER", "local[*]"))
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.pyspark.python", sys.executable)
            .config("spark.pyspark.driver.python", sys.executable)
            .config("spark.executorEnv.PYTHONPATH", os.pathsep.join(paths))
        )
    try:
        found = builder.getOrCreate()
    except (PySparkException, PySparkRuntimeError, OSError) as error:
        raise errors.LeadsError(
            f"engine spark: no Spark session could be started ({type(error).__name__}). Is Java 17 installed?"
        ) from error
    try:
        yield found
    finally:
        found.stop()


def settle_repeats(spark: Any, plan: LeadPlan) -> dict[int, str]:
    """Find the ids that occur more than once, and what becomes of their rows."""
    n = len(plan.chunks)
    hashes = map_chunks(spark, 0, n, functools.partial(_hash_chunk, plan), "hash long")
    repeated = sorted(row["hash"] for row in hashes.groupBy("hash").count().where("count > 1").collect())
    if not repeated:
        return {}
    rows = _map(
        spark,
        0,
        n,
        functools.partial(_repeated_in_chunk, plan, repeated),
        "line long, id string, record string",
    )
    return settle_repeated_rows([(row["line"], row["id"], (row["record"],)) for row in rows])


def _map(spark: Any, first: int, last: int, run: Callable[[int], Any], schema: str) -> list[Any]:
    rows: list[Any] = map_chunks(spark, first, last, run, schema).collect()
    return rows


def map_chunks(spark: Any, first: int, last: int, run: Callable[[int], Any], schema: str) -> Any:
    """Run a function of the part's number, one part per task, in order."""
    numbers = spark.range(first, last, 1, last - first)
    return numbers.mapInArrow(functools.partial(_run_parts, run), schema)


def _run_parts(run: Callable[[int], Iterator[Any]], batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        for number in batch.column("id").to_pylist():
            yield from run(number)


# -- inside a task -------------------------------------------------------------------------------------------


def _hash_chunk(plan: LeadPlan, number: int) -> Iterator[Any]:
    import pyarrow as pa

    hashes = hash_lead_ids(plan.contract, plan.chunks[number])
    yield pa.record_batch([pa.array(hashes.view(np.int64))], names=["hash"])


def _repeated_in_chunk(plan: LeadPlan, repeated: list[int], number: int) -> Iterator[Any]:
    import pyarrow as pa

    hashes = np.array(repeated, dtype=np.int64).view(np.uint64)
    rows = find_repeated_rows(plan.contract, plan.chunks[number], hashes, roles=plan.roles)
    columns = [
        pa.array([line for line, _, _ in rows], pa.int64()),
        pa.array([text for _, text, _ in rows], pa.string()),
        pa.array([_digest(record) for _, _, record in rows], pa.string()),
    ]
    yield pa.record_batch(columns, names=["line", "id", "record"])


def _digest(record: tuple[object, ...]) -> str:
    """Return what is the same for equal records and says nothing of them."""
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _score_chunk(task: _Task, number: int) -> Iterator[Any]:
    import pyarrow as pa

    def pack(meta: dict[str, Any], scores: bytes) -> Any:
        columns = [pa.array([json.dumps(meta)]), pa.array([scores], pa.binary())]
        return pa.record_batch(columns, names=["meta", "scores"])

    try:
        bundle = _bundle(task.bundle, task.digest)
        with open_chunk(
            task.contract, task.chunks[number], fates=task.fates, batch_rows=task.batch_rows
        ) as stream:
            for part in score_stream(stream, definition=task.definition, bundle=bundle, as_of=task.as_of):
                meta = {
                    "read": part.read,
                    "duplicates": part.duplicates,
                    "rejects": part.rejects,
                    "drift": part.drift.to_dict(),
                }
                yield pack(meta, _to_arrow(part.scores))
    except errors.LeadmlError as error:
        yield pack({"error": type(error).__name__, "findings": list(error.findings)}, b"")


@functools.lru_cache(maxsize=1)
def _bundle(data: bytes, digest: str) -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "models.leadml-bundle")
        path.write_bytes(data)
        return load_bundle(path, digest=digest)


def _to_arrow(scores: Any) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(scores, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _unpack(meta: dict[str, Any], scores: bytes, bundle: Bundle) -> ScoredPart:
    import pyarrow as pa

    if "error" in meta:
        raise getattr(errors, meta["error"])(*meta["findings"])
    return ScoredPart(
        scores=pa.ipc.open_stream(scores).read_all().to_pandas(),
        read=meta["read"],
        duplicates=meta["duplicates"],
        rejects=tuple((line, column, rule, shape) for line, column, rule, shape in meta["rejects"]),
        drift=DriftWatch.from_dict(bundle.profile, meta["drift"]),
    )

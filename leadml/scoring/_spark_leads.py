"""Leads on Spark, in parts that no process holds together: read once, kept on the workers' disks.

Each task reads its part of the file with leadml's own reader, so that a damaged row is quarantined as on one
machine. A question is a function of one part that travels to the parts; what comes back are its answers.
"""

from __future__ import annotations

import functools
import itertools
import pickle  # what travels within one Spark application, as Spark's own functions do
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from leadml import errors
from leadml.leads import plan_chunks, read_loop, settle_tallies
from leadml.propose import LeadPart
from leadml.scoring._spark import CHUNK_BYTES, map_chunks, settle_repeats, spark_session

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from leadml.leads import Contract, LeadPlan, LeadTable

    Counts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

__all__ = ["SparkLeads", "leads_on_spark"]

T = TypeVar("T")
_PARTS_A_CHUNK = 1_000_000  # more than one chunk is read in
_READ = "number long, tally binary, data binary"
_ANSWERS = "number long, answer binary"
_EMITTED = "key string, number long, data binary"
_DROPPED = "number long, dropped binary"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparkLeads:
    """Leads in parts on Spark (`leadml.propose.LeadParts`).

    Attributes
    ----------
    frame : pyspark.sql.DataFrame
        ``number`` of the part, ``data``, ``dropped``.
    empty : LeadTable
        The leads without a row.
    """

    frame: Any
    empty: LeadTable

    def with_contract(self, contract: Contract) -> SparkLeads:
        """Return the same leads under a contract whose windows are settled."""
        return replace(self, empty=replace(self.empty, contract=contract))

    def gather(self, ask: Callable[[LeadPart], T]) -> list[T]:
        """Return the answers of all parts, in the order of the leads."""
        run = functools.partial(_answer, ask, self.empty)
        rows = self.frame.mapInArrow(run, _ANSWERS).collect()
        return [_unpack(row["answer"]) for row in sorted(rows, key=lambda row: row["number"])]

    def count(self, ask: Callable[[LeadPart], Counts]) -> Counts:
        """Add up answers of job, key and number on the workers."""
        run = functools.partial(_count, ask, self.empty)
        counted = self.frame.mapInArrow(run, "job long, key long, n long")
        found = counted.groupBy("job", "key").sum("n").withColumnRenamed("sum(n)", "n").toArrow()
        job, key, n = (found.column(name).to_numpy().astype(np.int64) for name in ("job", "key", "n"))
        return job, key, n

    def regroup(
        self,
        emit: Callable[[LeadPart], Mapping[str, Any]],
        settle: Callable[[str, list[tuple[int, Any]]], Any],
    ) -> list[Any]:
        """Settle what the parts emit under one key, each key in one task; return the answers by key."""
        run = functools.partial(_settle_answers, settle)
        rows = self._emitted(emit).mapInArrow(run, "key string, answer binary").collect()
        return [_unpack(row["answer"]) for row in sorted(rows, key=lambda row: row["key"])]

    def drop(
        self,
        emit: Callable[[LeadPart], Mapping[str, Any]],
        settle: Callable[[str, list[tuple[int, Any]]], Mapping[int, Any]],
    ) -> SparkLeads:
        """Hand what is settled back to the parts, without this process."""
        from pyspark.sql import functions as sql

        rows = self._emitted(emit).mapInArrow(functools.partial(_settle_rows, settle), _DROPPED)
        listed = rows.groupBy("number").agg(sql.collect_list("dropped").alias("dropped"))
        n_parts = max(self.frame.rdd.getNumPartitions(), 1)
        joined = self.frame.select("number", "data").join(listed, "number", "left")
        return replace(self, frame=_keep(joined.repartition(n_parts, "number")))

    def _emitted(self, emit: Callable[[LeadPart], Mapping[str, Any]]) -> Any:
        """Bring what is emitted under one key together in one task, in the order of the parts."""
        emitted = self.frame.mapInArrow(functools.partial(_emit, emit, self.empty), _EMITTED)
        return emitted.repartition("key").sortWithinPartitions("key", "number")


def _keep(frame: Any) -> Any:
    from pyspark import StorageLevel

    return frame.persist(StorageLevel.DISK_ONLY)


@contextmanager
def leads_on_spark(
    contract: Contract,
    *,
    leads: Path | str | None = None,
    as_of: dt.date | None = None,
    spark: Any = None,
    part_bytes: int = CHUNK_BYTES,
) -> Iterator[SparkLeads]:
    """Read leads on Spark: verdicts, outcomes and joined tables as `leadml.leads.read_leads` does.

    This process reads the file of leads to find where its parts begin and never holds more than a block of
    it. Joined tables lie on the disk of every worker.

    Parameters
    ----------
    contract : Contract
        From `load_contract`.
    leads : path-like, optional
        A file in place of the contract's first table; all workers must see it under this path.
    as_of : date, optional
        The day of the export; by default the latest day on which something is known to have happened.
    spark : SparkSession, optional
        By default the active one, else a local one that ends with the block.
    part_bytes : int
        How much of the file a task reads.

    Yields
    ------
    SparkLeads

    Raises
    ------
    LeadsError, QuarantineError, InputMissingError
        As `leadml.leads.read_leads`; if the leads are not in a file; if pyspark or Java is not installed.
    """
    place = Path(leads) if leads is not None else contract.folder / (contract.tables[0].path or "")
    n_chunks = max(place.stat().st_size // part_bytes, 1) if place.is_file() else 1
    plan = plan_chunks(contract, leads=leads, n_chunks=n_chunks, columns="all")
    with spark_session(spark) as session:
        run = functools.partial(_read_chunk, plan, settle_repeats(session, plan))
        frame = _keep(map_chunks(session, 0, len(plan.chunks), run, _READ))
        try:
            rows = sorted(frame.select("number", "tally").collect(), key=lambda row: row["number"])
            first = frame.where("number = 0").select("data").collect()
            empty = settle_tallies(
                contract,
                plan,
                (_unpack(row["tally"]) for row in rows),
                leads=leads,
                as_of=as_of,
                empty=_load(first[0]["data"]),
            )
            yield SparkLeads(
                frame=frame.selectExpr("number", "data", "cast(null as array<binary>) as dropped"),
                empty=empty,
            )
        finally:
            frame.unpersist()


def _load(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 - written by a task of this application


def _pack(make: Callable[[], Any]) -> bytes:
    """Pack an answer, or the error that leadml says in its place."""
    try:
        return pickle.dumps(("", make()))
    except errors.LeadmlError as error:
        return pickle.dumps((type(error).__name__, error.findings))


def _unpack(data: bytes) -> Any:
    name, answer = _load(data)
    if name:
        raise getattr(errors, name)(*answer)
    return answer


# -- inside a task -------------------------------------------------------------------------------------------


def _read_chunk(plan: LeadPlan, fates: dict[int, str], number: int) -> Iterator[Any]:
    """Read a chunk of the file; its parts are numbered in the order of the leads, the first has no row."""
    first = number * _PARTS_A_CHUNK
    try:
        for place, (frame, tally) in enumerate(read_loop(plan, number, fates)):
            if number and not place:
                continue
            yield _batch(
                number=[first + place],
                tally=[pickle.dumps(("", tally))],
                data=[pickle.dumps(frame)],
            )
    except errors.LeadmlError as error:
        told = pickle.dumps((type(error).__name__, error.findings))
        yield _batch(number=[first], tally=[told], data=[b""])


def _batch(**columns: list[Any]) -> Any:
    import pyarrow as pa

    kinds = {"number": pa.int64(), "key": pa.string(), "job": pa.int64(), "n": pa.int64()}
    arrays = [pa.array(values, kinds.get(name, pa.binary())) for name, values in columns.items()]
    return pa.record_batch(arrays, names=list(columns))


def _parts(empty: LeadTable, batches: Iterator[Any]) -> Iterator[tuple[int, LeadPart]]:
    for batch in batches:
        for row in range(batch.num_rows):
            number = batch.column("number")[row].as_py()
            frame = _load(batch.column("data")[row].as_py())
            if number and not len(frame):
                continue
            part = LeadPart(table=replace(empty, frame=frame))
            listed = batch.column("dropped")[row].as_py() or ()
            rows = [_load(found) for found in listed]
            if rows:
                now, since = (np.concatenate([found[side] for found in rows]) for side in (0, 1))
                part = replace(part, dropped=(now, since))
            yield number, part


def _answer(ask: Callable[[LeadPart], Any], empty: LeadTable, batches: Iterator[Any]) -> Iterator[Any]:
    for number, part in _parts(empty, batches):
        yield _batch(number=[number], answer=[_pack(functools.partial(ask, part))])


def _count(ask: Callable[[LeadPart], Counts], empty: LeadTable, batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    for _, part in _parts(empty, batches):
        yield pa.record_batch([pa.array(each, pa.int64()) for each in ask(part)], names=["job", "key", "n"])


def _emit(
    emit: Callable[[LeadPart], Mapping[str, Any]], empty: LeadTable, batches: Iterator[Any]
) -> Iterator[Any]:
    for number, part in _parts(empty, batches):
        for key, value in emit(part).items():
            yield _batch(key=[key], number=[number], data=[pickle.dumps(value)])


def _grouped(batches: Iterator[Any]) -> Iterator[tuple[str, list[tuple[int, Any]]]]:
    rows = (
        (batch.column("key")[row].as_py(), batch.column("number")[row].as_py(), batch.column("data")[row])
        for batch in batches
        for row in range(batch.num_rows)
    )
    for key, listed in itertools.groupby(rows, key=lambda row: str(row[0])):
        yield key, [(number, _load(data.as_py())) for _, number, data in listed]


def _settle_answers(
    settle: Callable[[str, list[tuple[int, Any]]], Any], batches: Iterator[Any]
) -> Iterator[Any]:
    for key, listed in _grouped(batches):
        yield _batch(key=[key], answer=[_pack(functools.partial(settle, key, listed))])


def _settle_rows(
    settle: Callable[[str, list[tuple[int, Any]]], Mapping[int, Any]], batches: Iterator[Any]
) -> Iterator[Any]:
    for key, listed in _grouped(batches):
        found = settle(key, listed)
        yield _batch(number=list(found), dropped=[pickle.dumps(rows) for rows in found.values()])

"""From an export of any size to a clean file, in memory that does not depend on its length."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml._files import compute_sha256, replaced_file
from leadml.errors import OutputError, QuarantineError
from leadml.leads._batches import open_leads
from leadml.leads._export import plain_texts, write_quarantine
from leadml.leads._loop import count_days
from leadml.leads._read import (
    day_of_export,
    quarantine_frame,
    refuse_over_limit,
    unlisted_notices,
)
from leadml.leads._table import Manifest, quarantine_entries

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    import pandas as pd

    from leadml.leads._batches import LeadBatch
    from leadml.leads._contract import Column, Contract

__all__ = ["IngestReport", "ingest_leads"]

_KINDS = {"number": "float64", "sequence": "float64", "integer": "int64", "boolean": "bool_"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IngestReport:
    """What became of the rows of an export.

    Parameters
    ----------
    manifest : Manifest
        Counts that reconcile, and notices.
    quarantine : DataFrame
        ``table``, ``line``, ``column``, ``rule``, ``shape`` of every quarantined row.
    as_of : date
        The day of the export.
    output : Path
        The file that was written.
    """

    manifest: Manifest
    quarantine: pd.DataFrame = field(repr=False)
    as_of: dt.date
    output: Path

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the list of quarantined rows."""
        return self.quarantine.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return counts and quarantine in the shape of ``leadml ingest --json``."""
        return {**self.manifest.to_dict(), "quarantine": quarantine_entries(self.quarantine)}

    def __repr__(self) -> str:
        counts = self.manifest
        head = (
            f"read {counts.read:,} = kept {counts.kept:,} + quarantined {counts.quarantined:,}"
            f" + duplicates {counts.duplicates:,}"
        )
        return "\n".join([head, *(f"  note: {notice}" for notice in counts.notices[:8])])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def ingest_leads(
    contract: Contract,
    *,
    output: Path | str,
    quarantine: Path | str | None = None,
    leads: Path | str | None = None,
    as_of: dt.date | None = None,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Read an export through its contract and write the kept leads, whole or not at all.

    The same leads, counts and quarantine as `read_leads`, but only a few thousand rows of the leads table
    are in memory at a time; joined tables and changes lie in a temporary file.

    Parameters
    ----------
    contract : Contract
        From `load_contract`.
    output : path-like
        ``.parquet`` (types are kept) or ``.csv``.
    quarantine : path-like, optional
        ``.csv`` or ``.parquet`` for the masked list of quarantined rows; written also if there are too many.
    leads : path-like, optional
        A file in place of the first table's, or ``<database URL>#<table>``.
    as_of : date, optional
        The day of the export.
    progress : callable, optional
        Told the number of rows after each batch.

    Returns
    -------
    IngestReport

    Raises
    ------
    QuarantineError
        If more rows are damaged than the contract allows; `output` is then left as it was.
    LeadsError, InputMissingError, OutputError
        As `read_leads`, and if `output` cannot be written.
    """
    target = Path(output)
    if target.suffix not in {".csv", ".parquet"}:
        raise OutputError(
            f"{target}: leads are written as .csv or .parquet, not as {target.suffix or 'nothing'!r}."
        )
    tally = _Tally()
    try:
        with (
            replaced_file(target) as temporary,
            open_leads(contract, leads=leads, columns="all") as stream,
        ):
            write = _write_csv if target.suffix == ".csv" else _write_parquet
            contract = stream.contract
            write(temporary, contract, tally.watch(contract, iter(stream), progress))
            refuse_over_limit(contract, stream.table.name, tally.rejects, tally.read)
    except QuarantineError as error:
        if quarantine is not None and error.quarantine is not None:
            write_quarantine(error.quarantine, quarantine)
        raise
    listed = quarantine_frame([(stream.table.name, tally.rejects), *stream.other_rejects()])
    day, note = (as_of, None) if as_of is not None else day_of_export(dict(tally.days))
    notices = [
        *stream.notices(),
        *unlisted_notices(contract, stream.all_unlisted()),
        *stream.fit.notices(),
        *([note] if note else []),
    ]
    report = IngestReport(
        manifest=Manifest(
            read=tally.read,
            kept=tally.kept,
            quarantined=len(tally.rejects),
            duplicates=tally.duplicates,
            notices=tuple(notices),
            data_sha256=_digest(contract, leads),
            other_tables=stream.other_counts(),
        ),
        quarantine=listed,
        as_of=day,
        output=target,
    )
    if quarantine is not None:
        write_quarantine(listed, quarantine)
    return report


@dataclass(slots=True)
class _Tally:
    """Counts over all batches."""

    read: int = 0
    kept: int = 0
    duplicates: int = 0
    rejects: list[Any] = field(default_factory=list)
    days: Counter[int] = field(default_factory=Counter)

    def watch(
        self, contract: Contract, batches: Iterator[LeadBatch], progress: Callable[[int], None] | None
    ) -> Iterator[pd.DataFrame]:
        for batch in batches:
            self.read += batch.read
            self.kept += len(batch.frame)
            self.duplicates += batch.duplicates
            self.rejects += batch.rejects
            self.days.update(count_days(contract, batch.frame))
            if progress is not None:
                progress(self.read)
            yield batch.frame


def _digest(contract: Contract, leads: Path | str | None) -> str:
    lines = []
    for place, table in enumerate(contract.tables):
        path = Path(leads) if leads is not None and place == 0 else contract.folder / (table.path or "")
        lines.append(f"{table.name} {compute_sha256(path) if path.is_file() else 'not a file'}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _write_csv(path: Path, contract: Contract, frames: Iterator[pd.DataFrame]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        header = True
        for frame in frames:
            plain_texts(frame, contract).to_csv(stream, index=False, header=header, lineterminator="\n")
            header = False
        if header:
            stream.write(",".join(column.name for column in _columns(contract)) + "\n")


def _write_parquet(path: Path, contract: Contract, frames: Iterator[pd.DataFrame]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = next(frames)  # has no rows, but every column with its type
    schema = pa.schema([field for column in _columns(contract) for field in _fields(pa, column)])
    plain = {name: "str" for name in first if first[name].dtype == "category"}
    naive = {str(name): _storable(first[name]) for name in first if name not in plain}
    described = pa.Schema.from_pandas(first.astype(plain).assign(**naive), preserve_index=False)
    schema = schema.with_metadata(described.metadata)
    with pq.ParquetWriter(path, schema) as writer:
        for frame in frames:
            columns = [
                pa.array(_storable(frame[name]), from_pandas=True).cast(schema.field(name).type)
                for name in schema.names
            ]
            writer.write_table(pa.table(columns, schema=schema))


def _columns(contract: Contract) -> list[Column]:
    return [column for column in contract.columns if column.role != "personal"]


def _fields(pa: Any, column: Column) -> list[Any]:
    if column.type in _KINDS:
        kind = getattr(pa, _KINDS[column.type])()
    elif column.type == "date":
        kind = pa.timestamp("us", tz="UTC" if column.zoned else None)
    else:
        kind = pa.string()
    fields = [pa.field(column.name, kind)]
    return [*fields, pa.field(f"{column.name}_family", pa.string())] if column.families else fields


def _storable(series: pd.Series[Any]) -> Any:
    if series.dtype == "category":
        return series.astype(object).where(series.notna(), None)
    return series.dt.tz_convert(None) if getattr(series.dtype, "tz", None) is not None else series

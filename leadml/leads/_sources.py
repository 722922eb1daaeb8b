"""One table of an export as texts with line numbers."""

from __future__ import annotations

import gzip
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml._yaml import suggest
from leadml.errors import InputMissingError, LeadsError
from leadml.leads._csv import CsvReader, Reject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from leadml.leads._contract import Table

__all__ = ["RawTable", "read_table"]

LINE = "#line"  # `from: leads.#line`: the line itself names a lead in an export without ids
ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S.%f",)
ISO_ZONE_FORMATS = ("%Y-%m-%dT%H:%M:%S.%f%z",)


@dataclass(slots=True)
class RawTable:
    """The texts of the wanted columns, one entry per readable row.

    Attributes
    ----------
    columns : dict of str to ndarray of object
        Texts, None where a typed source has no value.
    formats : dict of str to tuple of str
        Date formats of columns that were typed in the source, instead of the declared ones.
    lines : ndarray of int
        Where each row begins: physical line of a CSV, row number of a Parquet file (1 = first).
    rejects : list of Reject
        Rows that could not be read at all.
    absent : tuple of str
        Wanted columns that the table does not have (only those that may be absent).
    """

    columns: dict[str, np.ndarray[Any, np.dtype[np.object_]]]
    lines: np.ndarray[Any, np.dtype[np.int64]]
    rejects: list[Reject] = field(default_factory=list)
    formats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    absent: tuple[str, ...] = ()

    @property
    def n_read(self) -> int:
        """Rows read, damaged ones included."""
        return len(self.lines) + len(self.rejects)


def read_table(table: Table, path: Path, *, wanted: Sequence[str], optional: Sequence[str] = ()) -> RawTable:
    """Read the wanted columns of one table as texts.

    Parameters
    ----------
    table : Table
        Declares format and dialect.
    path : Path
        The file.
    wanted : sequence of str
        Columns that are used.
    optional : sequence of str
        Those of them that may be absent.

    Returns
    -------
    RawTable

    Raises
    ------
    InputMissingError
        If the file cannot be opened.
    LeadsError
        If the file as a whole is not what the contract says: header, encoding, a column that is not there.
    """
    named = [name for name in dict.fromkeys(wanted) if name != LINE]
    try:
        if table.format == "parquet":
            raw = _read_parquet(table, path, named, frozenset(optional))
        else:
            with _opened(path) as stream:
                raw = _read_csv(table, path, stream, named, frozenset(optional))
    except OSError as error:
        if isinstance(error, InputMissingError):
            raise
        reason = (error.strerror or type(error).__name__).lower()
        raise InputMissingError(f"{path}: cannot read table {table.name!r}: {reason}.") from error
    if LINE in wanted:
        raw.columns[LINE] = np.array([str(line) for line in raw.lines.tolist()], dtype=object)
    return raw


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as stream:
        if stream.read(2) == b"\x1f\x8b":
            with gzip.open(path, "rb") as plain:
                yield plain  # type: ignore[misc]
        else:
            stream.seek(0)
            yield stream


def _read_csv(
    table: Table, path: Path, stream: BinaryIO, wanted: list[str], optional: frozenset[str]
) -> RawTable:
    try:
        reader = CsvReader(stream, delimiter=table.delimiter, quote=table.quote, encoding=table.encoding)
        positions, absent = _positions(table, path, reader.header, wanted, optional)
        columns: list[list[str]] = [[] for _ in positions]
        lines: list[int] = []
        rejects: list[Reject] = []
        for block in reader.blocks(list(positions.values())):
            lines.extend(block.lines)
            rejects.extend(block.rejects)
            for whole, part in zip(columns, block.columns, strict=True):
                whole.extend(part)
    except ValueError as error:
        if isinstance(error, LeadsError):
            raise
        raise LeadsError(f"{path}: table {table.name!r}: {error}") from error
    _refuse_unreadable(table, path, len(lines), rejects)
    notices = []
    if reader.blank_lines:
        notices.append(f"{table.name}: {reader.blank_lines} empty lines at the end were left out.")
    return RawTable(
        columns={
            name: np.array(values, dtype=object) for name, values in zip(positions, columns, strict=True)
        },
        lines=np.array(lines, dtype=np.int64),
        rejects=rejects,
        notices=notices,
        absent=absent,
    )


def _positions(
    table: Table, path: Path, header: Sequence[str], wanted: list[str], optional: frozenset[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Find each wanted column; refuse what is not there or there twice."""
    findings: list[str] = []
    positions: dict[str, int] = {}
    absent: list[str] = []
    for name in wanted:
        places = [position for position, text in enumerate(header) if text == name.strip()]
        if len(places) == 1:
            positions[name] = places[0]
        elif places:
            findings.append(f"{path}: table {table.name!r}: column {name!r} stands in the header twice.")
        elif name in optional:
            absent.append(name)
        else:
            findings.append(
                f"{path}: table {table.name!r}: no column {name!r} in the header.{suggest(name, header)}"
            )
    if findings:
        if len(header) == 1:
            findings.append(
                f"{path}: table {table.name!r}: the header is one single column with delimiter"
                f" {table.delimiter!r}. Declare the file's own `delimiter`."
            )
        raise LeadsError(*findings)
    return positions, tuple(absent)


def _refuse_unreadable(table: Table, path: Path, n_kept: int, rejects: list[Reject]) -> None:
    """Refuse a file whose rows mostly break one rule: then the declaration is wrong, not the rows."""
    if not rejects or len(rejects) <= n_kept:
        return
    by_rule: dict[str, int] = {}
    for reject in rejects:
        by_rule[reject.rule] = by_rule.get(reject.rule, 0) + 1
    rule, count = max(by_rule.items(), key=lambda item: (item[1], item[0]))
    if rule == "encoding":
        raise LeadsError(
            f"{path}: table {table.name!r}: {count:,} rows are not {table.encoding}."
            " Declare the file's own `encoding`."
        )


def _read_parquet(table: Table, path: Path, wanted: list[str], optional: frozenset[str]) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            positions, absent = _positions(table, path, header, wanted, optional)
            data = file.read(columns=list(positions))
    except pa.ArrowException as error:
        raise LeadsError(f"{path}: table {table.name!r}: not a readable Parquet file.") from error
    columns = {}
    formats: dict[str, tuple[str, ...]] = {}
    for name in positions:
        columns[name], form = _texts(data.column(name))
        if form:
            formats[name] = form
    return RawTable(
        columns=columns,
        lines=np.arange(1, data.num_rows + 1, dtype=np.int64),
        formats=formats,
        absent=absent,
    )


def _texts(column: Any) -> tuple[np.ndarray[Any, np.dtype[np.object_]], tuple[str, ...]]:
    """Write typed values as texts that read back to exactly the same values."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    form: tuple[str, ...] = ()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        target = pa.timestamp("us", tz="UTC" if zoned else None)
        values = [_iso(value) for value in column.cast(target, safe=False).to_pylist()]
        form = ISO_ZONE_FORMATS if zoned else ISO_FORMATS
    elif pa.types.is_floating(kind):
        values = _float_texts(column.to_pylist())
    elif pa.types.is_boolean(kind):
        values = [None if value is None else ("true" if value else "false") for value in column.to_pylist()]
    else:
        values = [None if value is None else str(value) for value in column.to_pylist()]
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts, form


def _iso(value: Any) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%f%z").zfill(26)


def _float_texts(values: list[float | None]) -> list[str | None]:
    known = [value for value in values if value is not None and not math.isnan(value)]
    whole = all(value.is_integer() and abs(value) < 2**53 for value in known)
    return [
        None if value is None or math.isnan(value) else (str(int(value)) if whole else repr(value))
        for value in values
    ]

"""One table of an export in blocks of rows, wherever it lies: memory does not depend on its length."""

from __future__ import annotations

import gzip
import os
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from leadml.errors import InputMissingError, LeadmlError, LeadsError, OutputError
from leadml.leads._addresses import mask_url
from leadml.leads._csv import CsvReader
from leadml.leads._raw import find_positions, first_block, join_blocks, typed_table
from leadml.leads._store import named_if_full

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from leadml.leads._chunks import LeadChunk
    from leadml.leads._contract import Table
    from leadml.leads._csv import CsvBlock
    from leadml.leads._raw import RawTable

__all__ = ["BATCH_ROWS", "UNREADABLE", "FileSource", "Source", "downloaded", "duckdb_table", "opened"]

BATCH_ROWS = 50_000
_LIST_BYTES = 3  # per row: then Parquet holds a text as a number in a list
UNREADABLE = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OPEN_FILES = Path("/proc/self/fd")


class Source(Protocol):
    """A table that can be read more than once, in blocks."""

    @property
    def path(self) -> Path | None:
        """Return the file, None for a database table."""
        ...

    def header(self) -> list[str]:
        """Return the column names; none where reading will say what is wrong."""
        ...

    def blocks(self, wanted: Sequence[str], optional: Sequence[str]) -> Generator[RawTable]:
        """Yield the wanted columns as texts, at least one block."""
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file; of the main table it may be a part.

    Parameters
    ----------
    table : Table
        Declares format and dialect.
    path : Path
        The file.
    batch_rows : int
        Rows of a block, about, where the format leaves the choice.
    chunk : LeadChunk, optional
        The part that is read.
    shown : str
        What messages call it, if not by its path.
    """

    table: Table
    path: Path
    batch_rows: int = BATCH_ROWS
    chunk: LeadChunk | None = None
    shown: str = ""

    @property
    def _where(self) -> str:
        return f"{self.shown or self.path}: table {self.table.name!r}"

    def blocks(self, wanted: Sequence[str], optional: Sequence[str]) -> Generator[RawTable]:
        """Yield the wanted columns as texts, at least one block."""
        read = {"parquet": self._parquet, "excel": self._excel, "duckdb": self._duckdb}
        try:
            self._refuse_other_kinds()
            yield from read.get(self.table.format, self._csv)(list(wanted), frozenset(optional))
        except UNREADABLE as error:
            raise LeadsError(f"{self._where}: the compressed file is damaged.") from error
        except OSError as error:
            if isinstance(error, InputMissingError):
                raise
            if error.errno is None:
                raise LeadsError(f"{self._where}: the file is damaged.") from error
            raise self._missing(error) from error

    def header(self) -> list[str]:
        """Return the column names; none where reading will say what is wrong."""
        import pyarrow as pa

        try:
            return self._header()
        except LeadmlError:
            raise
        except (OSError, ValueError, pa.ArrowException, *UNREADABLE):
            return []

    def _header(self) -> list[str]:
        if self.table.format == "excel":
            from leadml.leads._workbook import sheet_header

            return sheet_header(self.table, self.path, where=self._where)
        if self.table.format == "duckdb":
            with duckdb_table(self.table, self.path, self._where) as rows:
                return [str(name) for name in rows.columns]
        if self.table.format == "parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(self.path) as file:
                return list(file.schema_arrow.names)
        with opened(self.path) as stream:
            return list(self._reader(stream).header)

    def _refuse_other_kinds(self) -> None:
        """Refuse a folder and what Excel writes but no library here reads, whatever the ending says."""
        with self.path.open("rb") as stream:
            start = stream.read(len(_OLD_OFFICE))
        if start == _OLD_OFFICE:
            raise LeadsError(
                f"{self._where}: an Excel file of the old kind (.xls) or with a password."
                " Save it as .xlsx without a password, or as CSV."
            )

    def _missing(self, error: OSError) -> InputMissingError:
        reason = os.strerror(error.errno or 0).lower()
        return InputMissingError(
            f"{self.shown or self.path}: cannot read table {self.table.name!r}: {reason}."
        )

    def _positions(
        self, header: Sequence[str], wanted: list[str], optional: frozenset[str]
    ) -> tuple[dict[str, int], tuple[str, ...]]:
        return find_positions(self.table, self.shown or self.path, header, wanted, optional)

    def _reader(self, stream: BinaryIO) -> CsvReader:
        table = self.table
        return CsvReader(stream, delimiter=table.delimiter, quote=table.quote, encoding=table.encoding)

    def _csv(self, wanted: list[str], optional: frozenset[str]) -> Iterator[RawTable]:
        n_kept = 0
        rejected: dict[str, int] = {}
        with self._opened() as stream:
            offset = 0 if self.chunk is None else self.chunk.offset
            try:
                reader = self._reader(stream)
                if self.chunk is not None:
                    reader.resume(self.chunk.shapes)
                positions, absent = self._positions(reader.header, wanted, optional)
                yield first_block(positions, absent, reader.header)
                for blocks in self._gathered(reader.blocks(list(positions.values()))):
                    raw = join_blocks(positions, blocks)
                    raw.lines += offset
                    raw.rejects = [reject._replace(line=reject.line + offset) for reject in raw.rejects]
                    raw.absent = absent
                    n_kept += len(raw.lines)
                    for reject in raw.rejects:
                        rejected[reject.rule] = rejected.get(reject.rule, 0) + 1
                    yield raw
            except ValueError as error:
                if isinstance(error, LeadsError):
                    raise
                raise LeadsError(f"{self._where}: {error}") from error
        if self.chunk is not None:
            return
        self._refuse_unreadable(n_kept, rejected)
        if reader.blank_lines:
            last = first_block(positions, absent)
            last.notices.append(
                f"{self.table.name}: {reader.blank_lines} empty lines at the end were left out."
            )
            yield last

    def _gathered(self, blocks: Iterator[CsvBlock]) -> Iterator[list[CsvBlock]]:
        """Put blocks together until they have enough rows."""
        waiting: list[CsvBlock] = []
        n_rows = 0
        for block in blocks:
            waiting.append(block)
            n_rows += len(block.lines)
            if n_rows >= self.batch_rows:
                yield waiting
                waiting, n_rows = [], 0
        if waiting:
            yield waiting

    def _refuse_unreadable(self, n_kept: int, rejected: dict[str, int]) -> None:
        """Refuse a file whose rows mostly are in another encoding: the declaration is wrong, not the rows."""
        if sum(rejected.values()) <= n_kept:
            return
        rule, count = max(rejected.items(), key=lambda item: (item[1], item[0]))
        if rule == "encoding":
            raise LeadsError(
                f"{self._where}: {count:,} rows are not {self.table.encoding}."
                " Declare the file's own `encoding`."
            )

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if self.chunk is None or self.chunk.stop < 0:
            return opened(self.path, self.shown)
        from leadml.leads._chunks import opened_part

        return opened_part(self.path, self.chunk)

    def _parquet(self, wanted: list[str], optional: frozenset[str]) -> Iterator[RawTable]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # pre_buffer would hold every row group that was read until the last one.
            with pq.ParquetFile(self.path, read_dictionary=_short_lists(self.path), pre_buffer=False) as file:
                positions, absent = self._positions(file.schema_arrow.names, wanted, optional)
                yield first_block(positions, absent)
                start, stop = (0, -1) if self.chunk is None else (self.chunk.start, self.chunk.stop)
                where = f"{self._where}: "
                groups, first = _row_groups(file.metadata, start, stop)
                for batch in file.iter_batches(
                    batch_size=self.batch_rows, columns=list(positions), row_groups=groups
                ):
                    low, high = max(start - first, 0), batch.num_rows
                    if stop >= 0:
                        high = min(stop - first, high)
                    row, first = first + low + 1, first + batch.num_rows
                    batch = batch.slice(low, max(high - low, 0))  # noqa: PLW2901 - one batch in memory
                    if batch.num_rows:
                        yield typed_table(batch, list(positions), first=row, where=where, absent=absent)
                    del batch  # before the next one is read
                    pa.default_memory_pool().release_unused()
        except pa.ArrowException as error:
            raise LeadsError(f"{self._where}: not a readable Parquet file.") from error

    def _excel(self, wanted: list[str], optional: frozenset[str]) -> Iterator[RawTable]:
        from leadml.leads._workbook import read_sheet

        absent: list[str] = []

        def find(header: list[str]) -> dict[str, int]:
            positions, missing = self._positions(header, wanted, optional)
            absent.extend(missing)
            return positions

        for block in read_sheet(self.table, self.path, find, where=self._where, batch_rows=self.batch_rows):
            block.absent = tuple(absent)
            yield block

    def _duckdb(self, wanted: list[str], optional: frozenset[str]) -> Iterator[RawTable]:
        with duckdb_table(self.table, self.path, self._where) as rows:
            positions, absent = self._positions(rows.columns, wanted, optional)
            yield first_block(positions, absent)
            chosen = rows.project(", ".join(_quoted(rows.columns[place]) for place in positions.values()))
            first, where = 1, f"{self._where}: "
            name = (
                "to_arrow_reader" if hasattr(chosen, "to_arrow_reader") else "fetch_record_batch"
            )  # duckdb 1
            for batch in getattr(chosen, name)(self.batch_rows):
                named = batch.rename_columns(list(positions))
                yield typed_table(named, list(positions), first=first, where=where, absent=absent)
                first += batch.num_rows


def _short_lists(path: Path) -> list[str]:
    """Return the columns of texts of which the file holds a list and a short number per row."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema
        sizes = dict.fromkeys((schema.column(place).path for place in range(metadata.num_columns)), 0)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for place in range(group.num_columns):
                sizes[group.column(place).path_in_schema] += group.column(place).total_uncompressed_size
        return [
            schema.column(place).path
            for place in range(metadata.num_columns)
            if schema.column(place).physical_type == "BYTE_ARRAY"
            and str(schema.column(place).logical_type) == "String"
            and sizes[schema.column(place).path] <= _LIST_BYTES * metadata.num_rows
        ]


def _row_groups(metadata: Any, start: int, stop: int) -> tuple[list[int], int]:
    """Return the row groups that hold rows from `start` to `stop` (-1: the end), and their first row."""
    chosen: list[int] = []
    first = row = 0
    for number in range(metadata.num_row_groups):
        n_rows = metadata.row_group(number).num_rows
        if row + n_rows > start and (stop < 0 or row < stop):
            if not chosen:
                first = row
            chosen.append(number)
        row += n_rows
    return chosen, first


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def duckdb_table(table: Table, path: Path, where: str) -> Iterator[Any]:
    """Open a table of a DuckDB file, never to be written."""
    try:
        import duckdb
    except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
        raise LeadsError(f"{where}: reading DuckDB needs `pip install leadml[sql]`.") from error
    if not path.exists():
        raise InputMissingError(
            f"{where.partition(': table')[0]}: cannot read table {table.name!r}: no such file or directory."
        )
    name = table.sheet or table.name
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            known = [row[0] for row in connection.sql("SHOW TABLES").fetchall()]
            if name.casefold() not in {word.casefold() for word in known}:
                raise LeadsError(
                    f"{where}: the database has no such table {name!r}; there are {', '.join(known[:5])}."
                    " Name one with `sheet`."
                )
            yield connection.sql(f"SELECT * FROM {_quoted(name)}")
    except duckdb.Error as error:
        raise LeadsError(f"{where}: the DuckDB file cannot be read.") from error


@contextmanager
def opened(path: Path, shown: str = "") -> Iterator[BinaryIO]:
    """Open a file for reading; gzip and a zip of one file are unpacked on the way."""
    with path.open("rb") as stream:
        start = stream.read(4)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(path, "rb") as plain:
                yield plain  # type: ignore[misc]
        elif start == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
                if len(names) != 1:
                    raise LeadsError(f"{shown or path}: the archive holds {len(names)} files; expected one.")
                if archive.getinfo(names[0]).flag_bits & 1:
                    raise LeadsError(f"{shown or path}: the archive is encrypted; unpack it first.")
                with archive.open(names[0]) as member:
                    yield member  # type: ignore[misc]
        else:
            stream.seek(0)
            yield stream


def _reason(error: Exception, url: str) -> str:
    """Say why nothing came from a URL, without what the answer may repeat of it."""
    kind = url.partition("://")[0]
    if isinstance(error, FileNotFoundError):
        return "there is no such file, or nothing answers"
    if isinstance(error, ImportError):
        return f"the package that fsspec needs for {kind}:// is not installed"
    if isinstance(error, ValueError):
        return f"{kind}:// is no kind of URL that fsspec knows, or the URL is not whole"
    return type(error).__name__


@contextmanager
def downloaded(table: Table, url: str) -> Iterator[Path]:
    """Copy what lies at a URL to a file of our own that nobody else can read and that no kill leaves behind.

    Where the system shows open files under a path, the file has no other name and is gone with the process.
    """
    try:
        import fsspec  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise InputMissingError(
            f"{mask_url(url)}: reading a URL needs `pip install fsspec` and its package for this protocol."
        ) from error
    with tempfile.TemporaryDirectory(prefix="leadml-") as folder:
        target = Path(folder) / "leads"
        with target.open("w+b") as file:
            path = _OPEN_FILES / str(file.fileno())
            if path.exists():
                target.unlink()
            else:  # pragma: no cover - not on Linux
                path = target
            try:
                with fsspec.open(url, "rb") as source:
                    for part in iter(lambda: source.read(1 << 20), b""):
                        with named_if_full():
                            file.write(part)
            except OutputError:
                raise
            except (OSError, ValueError, ImportError) as error:
                reason = _reason(error, url)
                raise InputMissingError(
                    f"{mask_url(url)}: cannot read table {table.name!r}: {reason}."
                ) from None
            with named_if_full():
                file.flush()
            yield path

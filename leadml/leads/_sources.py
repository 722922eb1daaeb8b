"""One table of an export as texts with line numbers."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml._yaml import suggest
from leadml.errors import InputMissingError, LeadsError
from leadml.leads._addresses import expand_environment, is_address, is_database
from leadml.leads._csv import CsvReader, Reject
from leadml.leads._texts import ISO_FORMATS, Texts, join_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from leadml.leads._contract import Contract, Table
    from leadml.leads._csv import CsvBlock

__all__ = ["RawTable", "read_header", "read_table", "resolve_place"]

LINE = "#line"  # `from: leads.#line`: the line itself names a lead in an export without ids
UNREADABLE = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError)


@dataclass(slots=True)
class RawTable:
    """The texts of the wanted columns, one entry per readable row.

    Attributes
    ----------
    columns : dict of str to Texts or ndarray of object
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

    columns: dict[str, Any]
    lines: np.ndarray[Any, np.dtype[np.int64]]
    rejects: list[Reject] = field(default_factory=list)
    formats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    nameless: tuple[int, ...] = ()

    @property
    def n_read(self) -> int:
        """Rows read, damaged ones included."""
        return len(self.lines) + len(self.rejects)


def resolve_place(contract: Contract, table: Table, leads: Path | str | None = None) -> Path | str:
    """Return where a table lies: a path, a URL, or a database address ``<URL>#<table>``.

    ``env:NAME#table`` takes the database URL from an environment variable, so that no password stands in a
    contract.

    Raises
    ------
    LeadsError
        If the contract leaves the place open and none is given.
    """
    if leads is not None and table is contract.tables[0]:
        if not is_address(leads):
            return Path(leads)
        return expand_environment(str(leads), where=f"--leads for table {table.name!r}")
    if table.path is None:
        raise LeadsError(
            f"{contract.source}: table {table.name!r} has no path. Name the file with `--leads`."
        )
    if table.path.startswith("env:"):
        return expand_environment(table.path, where=f"{contract.source}: table {table.name!r}")
    if "://" not in table.path:
        return contract.folder / table.path
    if table.path.startswith("sqlite:///") and not table.path.startswith("sqlite:////"):
        return f"sqlite:///{(contract.folder / table.path.removeprefix('sqlite:///')).resolve()}"
    return table.path


def read_table(
    table: Table, place: Path | str, *, wanted: Sequence[str], optional: Sequence[str] = ()
) -> RawTable:
    """Read the wanted columns of one table as texts.

    Parameters
    ----------
    table : Table
        Declares format and dialect.
    place : Path or str
        A file, a URL (needs fsspec), or ``<database URL>#<table>`` (needs SQLAlchemy).
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
    if is_database(place):
        raw = _read_database(table, str(place), named, frozenset(optional))
    elif isinstance(place, str) and "://" in place:
        with _downloaded(table, place) as path:
            raw = _read_file(table, path, named, frozenset(optional))
    else:
        raw = _read_file(table, Path(place), named, frozenset(optional))
    if LINE in wanted:
        raw.columns[LINE] = np.array([str(line) for line in raw.lines.tolist()], dtype=object)
    return raw


def read_header(table: Table, place: Path | str) -> list[str]:
    """Return the column names of a table without reading its rows."""
    if is_database(place):
        from leadml.leads._database import open_database_table

        with open_database_table(str(place), order_by="", batch_rows=1) as source:
            return [str(column.name) for column in source.table.columns]
    if isinstance(place, str) and "://" in place:
        with _downloaded(table, place) as path:
            return _file_header(table, path)
    return _file_header(table, Path(place))


def _file_header(table: Table, path: Path) -> list[str]:
    found: list[str] = []
    if table.format == "csv":
        try:
            with _opened(path) as stream:
                reader = CsvReader(
                    stream, delimiter=table.delimiter, quote=table.quote, encoding=table.encoding
                )
                return list(reader.header)
        except (OSError, ValueError, *UNREADABLE):
            return []  # reading it will say what is wrong

    def find(header: list[str]) -> dict[str, int]:
        found.extend(header)
        return {}

    if table.format == "excel":
        from leadml.leads._workbook import read_sheet

        read_sheet(table, path, find)
    elif table.format == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        with suppress(pa.ArrowException, OSError), pq.ParquetFile(path) as file:
            found.extend(file.schema_arrow.names)
    elif table.format == "duckdb":
        found.extend(_duckdb_table(table, path).column_names)
    return found


def _read_file(table: Table, path: Path, wanted: list[str], optional: frozenset[str]) -> RawTable:
    try:
        if table.format == "parquet":
            return _read_parquet(table, path, wanted, optional)
        if table.format == "excel":
            return _read_excel(table, path, wanted, optional)
        if table.format == "duckdb":
            return _read_duckdb(table, path, wanted, optional)
        with _opened(path) as stream:
            return _read_csv(table, path, stream, wanted, optional)
    except UNREADABLE as error:
        raise LeadsError(f"{path}: table {table.name!r}: the compressed file is damaged.") from error
    except OSError as error:
        if isinstance(error, InputMissingError):
            raise
        if error.errno is None:
            raise LeadsError(f"{path}: table {table.name!r}: the file is damaged.") from error
        reason = (error.strerror or type(error).__name__).lower()
        raise InputMissingError(f"{path}: cannot read table {table.name!r}: {reason}.") from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
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
                    raise LeadsError(f"{path}: the archive holds {len(names)} files; expected one.")
                if archive.getinfo(names[0]).flag_bits & 1:
                    raise LeadsError(f"{path}: the archive is encrypted; unpack it first.")
                with archive.open(names[0]) as member:
                    yield member  # type: ignore[misc]
        else:
            stream.seek(0)
            yield stream


@contextmanager
def _downloaded(table: Table, url: str) -> Iterator[Path]:
    """Copy what lies at a URL to a file of our own that nobody else can read, and remove it after use."""
    try:
        import fsspec  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise InputMissingError(
            f"{url}: reading a URL needs `pip install fsspec` and its package for this protocol."
        ) from error
    with tempfile.TemporaryDirectory(prefix="leadml-") as folder:
        path = Path(folder) / "leads"
        try:
            with fsspec.open(url, "rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (OSError, ValueError, ImportError) as error:
            raise InputMissingError(
                f"{url}: cannot read table {table.name!r}: {type(error).__name__}."
            ) from None
        yield path


def _read_excel(table: Table, path: Path, wanted: list[str], optional: frozenset[str]) -> RawTable:
    from leadml.leads._workbook import read_sheet

    absent: list[str] = []
    nameless: list[int] = []

    def find(header: list[str]) -> dict[str, int]:
        positions, missing = _positions(table, path, header, wanted, optional)
        absent.extend(missing)
        nameless.extend(_nameless(header))
        return positions

    columns, lines, rejects = read_sheet(table, path, find)
    formats: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ISO_FORMATS)
    return RawTable(columns, lines, rejects, formats=formats, absent=tuple(absent), nameless=tuple(nameless))


def _read_duckdb(table: Table, path: Path, wanted: list[str], optional: frozenset[str]) -> RawTable:
    return _from_arrow(table, path, _duckdb_table(table, path), wanted, optional)


def _duckdb_table(table: Table, path: Path) -> Any:
    try:
        import duckdb
    except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
        raise LeadsError(f"{path}: reading DuckDB needs `pip install leadml[sql]`.") from error
    if not path.exists():
        raise InputMissingError(f"{path}: cannot read table {table.name!r}: no such file or directory.")
    quoted = '"' + (table.sheet or table.name).replace('"', '""') + '"'
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.sql(f"SELECT * FROM {quoted}").to_arrow_table()
    except duckdb.Error as error:
        raise LeadsError(
            f"{path}: table {table.name!r}: the database cannot be read or has no such table."
        ) from error


def _read_database(table: Table, address: str, wanted: list[str], optional: frozenset[str]) -> RawTable:
    from leadml.leads._database import open_database_table

    order = table.join[2] if table.join is not None else wanted[0]
    with open_database_table(address, order_by=order, batch_rows=50_000) as source:
        blocks = list(source.blocks(wanted, sorted(optional)))
    if not blocks:
        return RawTable({name: np.empty(0, dtype=object) for name in wanted}, np.empty(0, dtype=np.int64))
    columns = {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    lines = np.concatenate([block.lines for block in blocks])
    return RawTable(columns, lines, formats=blocks[0].formats, absent=blocks[0].absent)


def _read_csv(
    table: Table, path: Path, stream: BinaryIO, wanted: list[str], optional: frozenset[str]
) -> RawTable:
    try:
        reader = CsvReader(stream, delimiter=table.delimiter, quote=table.quote, encoding=table.encoding)
        positions, absent = _positions(table, path, reader.header, wanted, optional)
        raw = join_blocks(positions, list(reader.blocks(list(positions.values()))))
    except ValueError as error:
        if isinstance(error, LeadsError):
            raise
        raise LeadsError(f"{path}: table {table.name!r}: {error}") from error
    _refuse_unreadable(table, path, len(raw.lines), raw.rejects)
    if reader.blank_lines:
        raw.notices.append(f"{table.name}: {reader.blank_lines} empty lines at the end were left out.")
    raw.absent, raw.nameless = absent, tuple(_nameless(reader.header))
    return raw


def join_blocks(names: Iterable[str], blocks: Sequence[CsvBlock]) -> RawTable:
    """Return the blocks of a CSV file as one table."""
    columns = {
        name: join_texts([block.columns[place] for block in blocks]) for place, name in enumerate(names)
    }
    lines = [np.empty(0, dtype=np.int64), *(np.asarray(block.lines, dtype=np.int64) for block in blocks)]
    rejects = [reject for block in blocks for reject in block.rejects]
    return RawTable(columns, np.concatenate(lines), rejects)


def _nameless(header: Sequence[str]) -> list[int]:
    """Return which columns of a header have no name, counted from one."""
    return [place for place, text in enumerate(header, 1) if not text]


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
            positions, _ = _positions(table, path, file.schema_arrow.names, wanted, optional)
            data = file.read(columns=list(positions))
    except pa.ArrowException as error:
        raise LeadsError(f"{path}: table {table.name!r}: not a readable Parquet file.") from error
    return _from_arrow(table, path, data, wanted, optional)


def _from_arrow(table: Table, path: Path, data: Any, wanted: list[str], optional: frozenset[str]) -> RawTable:
    positions, absent = _positions(table, path, data.column_names, wanted, optional)
    return typed_table(data, list(positions), where=f"{path}: table {table.name!r}: ", absent=absent)


def typed_table(
    data: Any, names: Sequence[str], *, where: str = "", first: int = 1, absent: tuple[str, ...] = ()
) -> RawTable:
    """Return typed values (an Arrow batch or table) as the texts that read back to the same values."""
    columns = {name: Texts(data.column(name), where=f"{where}column {name!r}") for name in names}
    return RawTable(
        columns=dict(columns),
        lines=np.arange(first, first + data.num_rows, dtype=np.int64),
        formats={name: texts.formats for name, texts in columns.items() if texts.formats},
        absent=absent,
    )

"""Read new leads in batches, for scoring: memory does not depend on the number of rows.

Only what a score can depend on is read: the id, the attributes and the dates of the lead. Two passes over the
main table: the first remembers on disk which ids occur more than once, the second reads the rows and settles
those few exactly as `read_leads` does.
"""

from __future__ import annotations

import dataclasses
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd

from leadml.errors import InputMissingError, LeadsError
from leadml.leads._addresses import is_database
from leadml.leads._cells import empty_series
from leadml.leads._contract import ROLES, extra_sources
from leadml.leads._csv import CsvReader, Reject
from leadml.leads._history import change_notices, read_changes
from leadml.leads._presets import needs_header, settle_names
from leadml.leads._read import (
    JoinFit,
    _assemble,
    _drop_repeated_keys,
    _join,
    _read_typed,
    _refuse_over_limit,
    _typed_values,
    _TypedTable,
    change_counts,
    mark_rows,
    refuse_over_limit,
    set_back,
    table_counts,
)
from leadml.leads._sources import (
    LINE,
    UNREADABLE,
    RawTable,
    _downloaded,
    _opened,
    _positions,
    join_blocks,
    read_header,
    read_table,
    resolve_place,
    typed_table,
)
from leadml.leads._texts import Texts

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from leadml.leads._chunks import LeadChunk
    from leadml.leads._contract import Column, Contract, Table
    from leadml.leads._csv import CsvBlock
    from leadml.leads._history import Changes
    from leadml.leads._table import TableCount

__all__ = ["LeadBatch", "LeadStream", "open_leads"]

BATCH_ROWS = 50_000
PARTITIONS = 64
SPOOL_BYTES = 1 << 18
_LIST_BYTES = 3  # per row: then Parquet holds a text as a number in a list
SCORED_ROLES = frozenset({"id", "attribute", "created", "handed_over"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeadBatch:
    """Some rows of the leads table: read = kept + quarantined + duplicates.

    Parameters
    ----------
    frame : DataFrame
        The kept leads, columns and types as in the contract.
    read, duplicates : int
        Rows of the batch, and those that repeat an earlier row word for word.
    rejects : tuple of Reject
        Quarantined rows with line, column, rule and masked shape, in the order of the file.
    """

    frame: pd.DataFrame = field(repr=False)
    read: int
    duplicates: int
    rejects: tuple[Reject, ...] = field(repr=False)


class _Source(Protocol):
    """A main table that can be read twice, in blocks."""

    @property
    def path(self) -> Path | None:
        """Return the file, None for a database table."""
        ...

    def blocks(self, wanted: Sequence[str], optional: Sequence[str]) -> Generator[RawTable]:
        """Yield the wanted columns as texts."""
        ...


@dataclass(slots=True)
class LeadStream:
    """Leads that are read while they are iterated over, once.

    Parameters
    ----------
    contract : Contract
        Only the columns that are read.
    table : Table
        The main table.
    paths : dict of str to Path
        The files that are read, by table.
    n_rows : int
        Rows of the main table, as the first pass counted them; 0 if there was none.
    unlisted : dict of str to dict of str to int
        Words that the contract does not declare, as far as rows were read.
    fit : JoinFit
        What does not fit between the tables, as far as rows were read.
    """

    contract: Contract
    table: Table
    paths: dict[str, Path]
    _source: _Source
    _others: dict[str, _TypedTable]
    _repeated: NDArray[np.uint64]
    n_rows: int = 0
    _first: dict[str, tuple[object, ...]] = field(default_factory=dict)
    _optional_roles: frozenset[str] = frozenset()
    _left_out: list[str] = field(default_factory=list)
    unlisted: dict[str, dict[str, int]] = field(default_factory=dict)
    fit: JoinFit = field(default_factory=JoinFit)
    _fates: dict[int, str] | None = None
    _found: list[tuple[int, str, tuple[object, ...]]] | None = None
    _changes: tuple[Changes, ...] = ()
    _set_back: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def watch_repeats(
        self, repeated: NDArray[np.uint64], found: list[tuple[int, str, tuple[object, ...]]]
    ) -> None:
        """Collect line, id and record of each row with one of these ids, instead of settling them."""
        self._repeated, self._found = repeated, found

    def other_counts(self) -> tuple[TableCount, ...]:
        """Count the rows of the other tables, which are held whole."""
        return (*table_counts(list(self._others.values())), *change_counts(self._changes))

    def other_rejects(self) -> list[tuple[str, list[Reject]]]:
        """Return the quarantined rows of the other tables."""
        joined = [
            (read.table.name, [*read.raw.rejects, *read.broken.values()]) for read in self._others.values()
        ]
        return [*joined, *((each.table, each.rejects) for each in self._changes)]

    def notices(self) -> list[str]:
        """Return what is worth knowing about the other tables; all of it when every row was read."""
        joined = [note for read in self._others.values() for note in (*read.raw.notices, *read.notices)]
        changed = [
            note
            for each in self._changes
            for note in change_notices(each, self._set_back.get(each.table, {}))
        ]
        return [*self._left_out, *joined, *changed]

    def __iter__(self) -> Iterator[LeadBatch]:
        wanted, optional = _wanted(self.contract, self.table, self._optional_roles)
        empty = {name: np.empty(0, dtype=object) for name in wanted}
        yield self._batch(RawTable(empty, np.empty(0, dtype=np.int64)))  # so that no rows have columns too
        for raw in self._source.blocks([name for name in wanted if name != LINE], optional):
            if LINE in wanted:
                raw.columns[LINE] = np.array([str(line) for line in raw.lines.tolist()], dtype=object)
            yield self._batch(raw)

    def _batch(self, raw: RawTable) -> LeadBatch:
        read = _TypedTable(self.table, raw, {}, np.ones(len(raw.lines), dtype=bool))
        mark_rows(read)
        for column in self.contract.columns:
            if column.table == self.table.name:
                absent = column.source in raw.absent
                read.typed[column.name] = (
                    empty_series(column, len(raw.lines)) if absent else _typed_values(column, read)
                )
        for name, words in read.unlisted.items():
            seen = self.unlisted.setdefault(name, {})
            for word, count in words.items():
                seen[word] = seen.get(word, 0) + count
        duplicates = read.n_duplicates + self._settle_repeats(read)
        kept = np.flatnonzero(read.keep)
        reads = {self.table.name: read, **self._others}
        places = _join(self.contract, reads, kept, self.fit)
        frame = _assemble(self.contract, reads, places, len(kept), self.fit)
        for each in self._changes:
            frame, counts = set_back(self.contract, each, frame)
            total = self._set_back.setdefault(each.table, {})
            for name, (n_set, n_bad) in counts.items():
                before = total.get(name, (0, 0))
                total[name] = (before[0] + n_set, before[1] + n_bad)
        rejects = sorted([*raw.rejects, *read.broken.values()], key=lambda reject: reject.line)
        return LeadBatch(frame=frame, read=raw.n_read, duplicates=duplicates, rejects=tuple(rejects))

    def _settle_repeats(self, read: _TypedTable) -> int:
        column = _id_column(self.contract)
        texts = read.raw.columns[column.source]
        missing = read.typed[column.name].isna().to_numpy()
        for row in np.flatnonzero(missing & read.keep).tolist():
            read.break_row(row, column.name, "missing_id", texts[row])
        duplicates = 0
        for row in np.flatnonzero(np.isin(read.raw.lines, list(self._fates or ())) & read.keep).tolist():
            if (self._fates or {})[int(read.raw.lines[row])] == "duplicate":
                read.keep[row] = False
                duplicates += 1
            else:
                read.break_row(row, column.name, "conflicting_id", texts[row])
        if not len(self._repeated):
            return duplicates
        for row in np.flatnonzero(np.isin(_hash_texts(texts), self._repeated) & read.keep).tolist():
            record = tuple(values[row] for values in read.raw.columns.values())
            if self._found is not None:
                self._found.append((int(read.raw.lines[row]), texts[row].strip(), record))
                continue
            first = self._first.setdefault(texts[row].strip(), record)
            if first is record:
                continue
            if first == record:
                read.keep[row] = False
                duplicates += 1
            else:
                read.break_row(row, column.name, "conflicting_id", texts[row])
        return duplicates


@contextmanager
def open_leads(
    contract: Contract,
    *,
    leads: Path | str | None = None,
    batch_rows: int = BATCH_ROWS,
    columns: Literal["scored", "all"] = "scored",
) -> Iterator[LeadStream]:
    """Open new leads for reading in batches.

    Parameters
    ----------
    contract : Contract
        From `load_contract`.
    leads : path-like or str, optional
        In place of the first table's path: a CSV or Parquet file, or ``<database URL>#<table>``.
    batch_rows : int
        Rows held in memory, about.
    columns : {"scored", "all"}
        ``"scored"``: only the id, the attributes and the dates of creation and handoff, and only the other
        tables with an attribute. ``"all"``: everything but personal columns.

    Yields
    ------
    LeadStream
        To be iterated over once; its first batch has no rows. What it gives in all does not depend on
        `batch_rows`.

    Raises
    ------
    InputMissingError
        If a table is not there.
    LeadsError
        If a table as a whole is not what the contract says, or changes while it is read.
    QuarantineError
        If too many rows of a joined table are damaged.
    """
    roles = SCORED_ROLES if columns == "scored" else frozenset(ROLES) - {"personal"}
    optional = frozenset({"handed_over"} if columns == "scored" else ())
    contract, left_out = _settled(contract, leads)
    used, table = _used_part(contract, roles)
    others = {other.name: _read_other(used, other) for other in used.tables[1:] if other.history is None}
    changes = read_changes_of(used, need="all" if columns == "all" else "present")
    with _open_source(used, table, leads, batch_rows) as source:
        wanted, absent = _wanted(used, table, optional)
        with closing(source.blocks([name for name in wanted if name != LINE], absent)) as blocks:
            next(blocks, None)  # a header that does not fit is refused at once
        id_source = _id_column(used).source
        nothing = np.empty(0, dtype=np.uint64)
        repeated, n_rows = _repeated_ids(source, id_source) if id_source != LINE else (nothing, 0)
        paths = {
            other.name: used.folder / (other.path or "")
            for other in used.tables[1:]
            if other.name in others or other.name in {each.table for each in changes}
        }
        if source.path is not None:
            paths = {table.name: source.path, **paths}
        yield LeadStream(
            used,
            table,
            paths,
            source,
            others,
            repeated,
            n_rows=n_rows,
            _optional_roles=optional,
            _left_out=left_out,
            _changes=changes,
        )


def _settled(contract: Contract, leads: Path | str | None) -> tuple[Contract, list[str]]:
    if not needs_header(contract):
        return contract, []
    headers = {
        table.name: read_header(table, resolve_place(contract, table, leads)) for table in contract.tables
    }
    return settle_names(contract, headers)


def _used_part(contract: Contract, roles: frozenset[str]) -> tuple[Contract, Table]:
    columns = tuple(column for column in contract.columns if column.role in roles)
    main = contract.tables[0]
    needed = {column.table for column in columns}
    for table in reversed(contract.tables[1:]):
        if table.name in needed and table.join is not None:
            needed.add(table.join[0])
    tables = tuple(
        table
        for table in contract.tables
        if table is main or table.name in needed or table.history is not None
    )
    return dataclasses.replace(contract, columns=columns, tables=tables), main


def _id_column(contract: Contract) -> Column:
    return next(column for column in contract.columns if column.role == "id")


def _read_other(contract: Contract, table: Table) -> _TypedTable:
    read = _read_typed(contract, table, resolve_place(contract, table), lenient=False)
    _drop_repeated_keys(read)
    _refuse_over_limit(contract, read, {table.name: read})
    return read


def read_changes_of(contract: Contract, *, need: Literal["all", "present"]) -> tuple[Changes, ...]:
    """Read the tables of changes; for scoring, those that are there."""
    found = []
    for table in contract.tables:
        if table.history is None:
            continue
        place = resolve_place(contract, table)
        if need == "present" and not isinstance(place, str) and not place.exists():
            continue
        changes = read_changes(contract, table, place)
        refuse_over_limit(contract, changes.table, changes.rejects, changes.n_read)
        found.append(changes)
    return tuple(found)


def _wanted(contract: Contract, table: Table, optional_roles: frozenset[str]) -> tuple[list[str], list[str]]:
    columns = [column for column in contract.columns if column.table == table.name]
    keys = [
        other.join[1] for other in contract.tables if other.join is not None and other.join[0] == table.name
    ]
    optional = [column.source for column in columns if column.role in optional_roles]
    sources = [column.source for column in columns]
    return [*dict.fromkeys([*sources, *keys, *extra_sources(contract, table)])], optional


# -- sources -----------------------------------------------------------------------------------------------


@contextmanager
def _open_source(
    contract: Contract, table: Table, leads: Path | str | None, batch_rows: int
) -> Iterator[_Source]:
    place = resolve_place(contract, table, leads)
    if is_database(place):
        address = str(place)
        from leadml.leads._database import open_database_table

        with open_database_table(
            address, order_by=_id_column(contract).source, batch_rows=batch_rows
        ) as source:
            yield source
        return
    if isinstance(place, str):
        with _downloaded(table, place) as path:
            yield _FileSource(table, path, batch_rows)
        return
    path = place
    table = with_format_of(table, path, leads)
    before = _identity(table, path)
    yield _FileSource(table, path, batch_rows)
    if _identity(table, path) != before:
        raise LeadsError(f"{path}: the file changed while it was read; nothing is published. Try again.")


def with_format_of(table: Table, path: Path, leads: Path | str | None) -> Table:
    """Return a table with the format of the file that was named in place of its own."""
    return with_format(table, path.suffix.removeprefix(".")) if leads is not None else table


def with_format(table: Table, name: str) -> Table:
    """Return a table with another of the formats that can be told by a file's ending."""
    return dataclasses.replace(table, format=name) if name in {"csv", "parquet"} else table


def _identity(table: Table, path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputMissingError(f"{path}: cannot read table {table.name!r}: {reason}.") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _FileSource:
    table: Table
    path: Path
    batch_rows: int
    chunk: LeadChunk | None = None

    def blocks(self, wanted: Sequence[str], optional: Sequence[str]) -> Generator[RawTable]:
        """Yield the wanted columns as texts."""
        if self.table.format not in {"csv", "parquet"}:
            yield read_table(self.table, self.path, wanted=wanted, optional=optional)
            return
        read = self._parquet if self.table.format == "parquet" else self._csv
        try:
            yield from read(list(wanted), frozenset(optional))
        except UNREADABLE as error:
            raise LeadsError(
                f"{self.path}: table {self.table.name!r}: the compressed file is damaged."
            ) from error
        except OSError as error:
            if isinstance(error, InputMissingError):
                raise
            if error.errno is None:
                raise LeadsError(f"{self.path}: table {self.table.name!r}: the file is damaged.") from error
            reason = (error.strerror or type(error).__name__).lower()
            raise InputMissingError(
                f"{self.path}: cannot read table {self.table.name!r}: {reason}."
            ) from error

    def _csv(self, wanted: list[str], optional: frozenset[str]) -> Iterator[RawTable]:
        table = self.table
        with self._opened() as stream:
            offset = 0 if self.chunk is None else self.chunk.offset
            try:
                reader = CsvReader(
                    stream, delimiter=table.delimiter, quote=table.quote, encoding=table.encoding
                )
                if self.chunk is not None:
                    reader.resume(self.chunk.shapes)
                positions, absent = _positions(table, self.path, reader.header, wanted, optional)
                for blocks in self._gathered(reader.blocks(list(positions.values()))):
                    raw = join_blocks(positions, blocks)
                    raw.lines += offset
                    raw.rejects = [reject._replace(line=reject.line + offset) for reject in raw.rejects]
                    raw.absent = absent
                    yield raw
            except ValueError as error:
                if isinstance(error, LeadsError):
                    raise
                raise LeadsError(f"{self.path}: table {table.name!r}: {error}") from error

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

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if self.chunk is None or self.chunk.stop < 0:
            return _opened(self.path)
        from leadml.leads._chunks import opened_part

        return opened_part(self.path, self.chunk)

    def _parquet(self, wanted: list[str], optional: frozenset[str]) -> Iterator[RawTable]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path, read_dictionary=_short_lists(self.path)) as file:
                positions, absent = _positions(
                    self.table, self.path, file.schema_arrow.names, wanted, optional
                )
                start, stop = (0, -1) if self.chunk is None else (self.chunk.start, self.chunk.stop)
                groups, first = _row_groups(file.metadata, start, stop)
                for batch in file.iter_batches(
                    batch_size=self.batch_rows, columns=list(positions), row_groups=groups
                ):
                    low, high = max(start - first, 0), batch.num_rows
                    if stop >= 0:
                        high = min(stop - first, high)
                    if low < high:
                        part = batch.slice(low, high - low)
                        yield typed_table(part, list(positions), first=first + low + 1, absent=absent)
                    first += batch.num_rows
        except pa.ArrowException as error:
            raise LeadsError(
                f"{self.path}: table {self.table.name!r}: not a readable Parquet file."
            ) from error


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


# -- ids that occur more than once -------------------------------------------------------------------------


def _repeated_ids(source: _Source, name: str) -> tuple[NDArray[np.uint64], int]:
    """Return the hashes of ids that occur more than once, and the number of rows.

    The hashes are sorted on disk, one part at a time.
    """
    n_rows = 0
    with ExitStack() as stack:
        files = [
            stack.enter_context(tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))
            for _ in range(PARTITIONS)
        ]
        for raw in source.blocks([name], []):
            n_rows += raw.n_read
            hashes = _hash_texts(raw.columns[name])
            parts = (hashes >> np.uint64(58)).astype(np.int64)
            order = np.argsort(parts, kind="stable")
            ends = np.searchsorted(parts[order], np.arange(PARTITIONS + 1))
            for part, file in enumerate(files):
                if ends[part] < ends[part + 1]:
                    file.write(hashes[order[ends[part] : ends[part + 1]]].tobytes())
        found = []
        for file in files:
            file.seek(0)
            hashes = np.sort(np.frombuffer(file.read(), dtype=np.uint64))
            found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
        return np.concatenate(found), n_rows


def _hash_texts(texts: Any) -> NDArray[np.uint64]:
    known = (texts if isinstance(texts, Texts) else Texts(texts)).stripped()
    return np.asarray(pd.util.hash_array(known, categorize=False), dtype=np.uint64)

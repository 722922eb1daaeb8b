"""Read new leads in batches, for scoring: memory does not depend on the number of rows.

Only what a score can depend on is read: the id, the attributes and the dates of the lead. Two passes over the
main table: the first remembers on disk which ids occur more than once, the second reads the rows and settles
those few exactly as `read_leads` does.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

import numpy as np

from leadml.errors import InputMissingError, LeadsError
from leadml.leads._blocks import BATCH_ROWS
from leadml.leads._contract import ROLES
from leadml.leads._history import change_notices, read_changes
from leadml.leads._joined import JoinedTable, join_stored, read_joined
from leadml.leads._merged import hash_merged_ids, with_merged_hashes
from leadml.leads._presets import needs_header, settle_names
from leadml.leads._raw import RawTable
from leadml.leads._read import (
    JoinFit,
    TypedTable,
    assemble,
    change_counts,
    refuse_over_limit,
    set_back,
    typed_rows,
    wanted_sources,
)
from leadml.leads._sources import (
    LINE,
    open_source,
    read_blocks,
    read_header,
    resolve_place,
    with_leads,
)
from leadml.leads._store import named_if_full, open_store
from leadml.leads._table import TableCount
from leadml.leads._texts import hash_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.leads._blocks import Source
    from leadml.leads._contract import Column, Contract, Table
    from leadml.leads._csv import Reject
    from leadml.leads._history import Changes
    from leadml.leads._store import Store

__all__ = ["LeadBatch", "LeadStream", "open_leads"]

PARTITIONS = 64
SPOOL_BYTES = 1 << 18
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
    _source: Source
    _others: dict[str, JoinedTable]
    _repeated: NDArray[np.uint64]
    n_rows: int = 0
    _first: dict[str, tuple[object, ...]] = field(default_factory=dict)
    _optional_roles: frozenset[str] = frozenset()
    _left_out: list[str] = field(default_factory=list)
    _notices: list[str] = field(default_factory=list)
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
        """Count the rows of the other tables."""
        joined = (
            TableCount(
                table=name,
                read=other.n_read,
                kept=int(other.keep.sum()),
                quarantined=len(other.rejects),
                duplicates=other.n_duplicates,
            )
            for name, other in self._others.items()
        )
        return (*joined, *change_counts(self._changes))

    def other_rejects(self) -> list[tuple[str, list[Reject]]]:
        """Return the quarantined rows of the other tables."""
        joined = [(name, other.rejects) for name, other in self._others.items()]
        return [*joined, *((each.table, each.rejects) for each in self._changes)]

    def all_unlisted(self) -> dict[str, dict[str, int]]:
        """Return the words that the contract does not declare, of all tables."""
        return self.unlisted | {
            name: words for other in self._others.values() for name, words in other.unlisted.items()
        }

    def notices(self) -> list[str]:
        """Return what is worth knowing about the other tables; all of it when every row was read."""
        joined = [note for other in self._others.values() for note in other.notices]
        changed = [
            note
            for each in self._changes
            for note in change_notices(each, self._set_back.get(each.table, {}))
        ]
        return [*self._left_out, *self._notices, *joined, *changed]

    def __iter__(self) -> Iterator[LeadBatch]:
        wanted, optional = _wanted(self.contract, self.table, self._optional_roles)
        yield self._batch(RawTable.empty(wanted))  # so that no rows have columns too
        for raw in read_blocks(self._source, wanted, optional):
            self._notices += raw.notices
            if raw.n_read:
                batch = self._batch(raw)
                del raw  # what is not needed any more is let go before the next rows are read
                yield batch
                del batch

    def _batch(self, raw: RawTable) -> LeadBatch:
        read = typed_rows(self.contract, self.table, raw)
        for name, words in read.unlisted.items():
            seen = self.unlisted.setdefault(name, {})
            for word, count in words.items():
                seen[word] = seen.get(word, 0) + count
        duplicates = read.n_duplicates + self._settle_repeats(read)
        kept = np.flatnonzero(read.keep)
        reads, places = join_stored(self.contract, read, kept, self._others, self.fit)
        frame = assemble(self.contract, reads, places, len(kept), self.fit)
        for each in self._changes:
            frame, counts = set_back(self.contract, each, frame)
            total = self._set_back.setdefault(each.table, {})
            for name, (n_set, n_bad) in counts.items():
                before = total.get(name, (0, 0))
                total[name] = (before[0] + n_set, before[1] + n_bad)
        rejects = sorted([*raw.rejects, *read.broken.values()], key=lambda reject: reject.line)
        return LeadBatch(frame=frame, read=raw.n_read, duplicates=duplicates, rejects=tuple(rejects))

    def _settle_repeats(self, read: TypedTable) -> int:
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
        for row in np.flatnonzero(np.isin(hash_texts(texts), self._repeated) & read.keep).tolist():
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
    contract, left_out = _settled(with_leads(contract, leads), leads)
    used, table = _used_part(contract, roles)
    with closing(open_store()) as store, _open_main(used, table, leads, batch_rows) as source:
        others, changes = read_others(used, store=store, changes="all" if columns == "all" else "present")
        wanted, absent = _wanted(used, table, optional)
        with closing(source.blocks([name for name in wanted if name != LINE], absent)) as blocks:
            for _ in itertools.islice(blocks, 2):  # the header, then the first rows: refused at once if wrong
                pass
        id_source = _id_column(used).source
        repeated, n_rows = np.empty(0, dtype=np.uint64), 0
        if id_source != LINE:
            repeated, n_rows, merged = _repeated_ids(source, id_source, table.merged_ids)
            table = with_merged_hashes(table, merged)
            used = dataclasses.replace(used, tables=(table, *used.tables[1:]))
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


def read_others(
    contract: Contract, *, store: Store, changes: Literal["all", "present"]
) -> tuple[dict[str, JoinedTable], tuple[Changes, ...]]:
    """Read the joined tables and the tables of changes (all, or those that are there) into a store."""
    joined, found = {}, []
    for table in contract.tables[1:]:
        place = resolve_place(contract, table)
        if table.history is None:
            joined[table.name] = read_joined(contract, table, place, store=store)
        elif changes == "all" or isinstance(place, str) or place.exists():
            each = read_changes(contract, table, place, store=store)
            refuse_over_limit(contract, each.table, each.rejects, each.n_read)
            found.append(each)
    return joined, tuple(found)


def _wanted(contract: Contract, table: Table, optional_roles: frozenset[str]) -> tuple[list[str], list[str]]:
    columns = [column for column in contract.columns if column.table == table.name]
    optional = [column.source for column in columns if column.role in optional_roles]
    return wanted_sources(contract, table), optional


@contextmanager
def _open_main(
    contract: Contract, table: Table, leads: Path | str | None, batch_rows: int
) -> Iterator[Source]:
    """Open the main table, which is read twice and must not change meanwhile."""
    place = resolve_place(contract, table, leads)
    before = None
    if not isinstance(place, str):
        before = _identity(table, place)
    order = _id_column(contract).source
    with open_source(table, place, order_by=order, batch_rows=batch_rows) as source:
        yield source
    if not isinstance(place, str) and _identity(table, place) != before:
        raise LeadsError(f"{place}: the file changed while it was read; nothing is published. Try again.")


def _identity(table: Table, path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputMissingError(f"{path}: cannot read table {table.name!r}: {reason}.") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


# -- ids that occur more than once -------------------------------------------------------------------------


def _repeated_ids(
    source: Source, name: str, lists: str | None
) -> tuple[NDArray[np.uint64], int, list[NDArray[np.uint64]]]:
    """Return the hashes of ids that occur more than once, the number of rows, and the ids in their lists.

    The hashes are sorted on disk, one part at a time.
    """
    n_rows = 0
    merged = []
    with ExitStack() as stack:
        files = [
            stack.enter_context(tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))
            for _ in range(PARTITIONS)
        ]
        for raw in source.blocks(list(dict.fromkeys([name, lists or name])), []):
            n_rows += raw.n_read
            if lists is not None:
                merged.append(hash_merged_ids(raw.columns[name], raw.columns[lists]))
            with named_if_full():
                _spread(hash_texts(raw.columns[name]), files)
        found = []
        for file in files:
            file.seek(0)
            hashes = np.sort(np.frombuffer(file.read(), dtype=np.uint64))
            found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
        return np.concatenate(found), n_rows, merged


def _spread(hashes: NDArray[np.uint64], files: Sequence[IO[bytes]]) -> None:
    parts = (hashes >> np.uint64(58)).astype(np.int64)
    order = np.argsort(parts, kind="stable")
    ends = np.searchsorted(parts[order], np.arange(PARTITIONS + 1))
    for part, file in enumerate(files):
        if ends[part] < ends[part + 1]:
            file.write(hashes[order[ends[part] : ends[part + 1]]].tobytes())

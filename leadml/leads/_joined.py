"""Joined tables of any length: read once into a store, then looked up for the leads of each batch."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml.leads._csv import Reject, mask
from leadml.leads._raw import RawTable
from leadml.leads._read import (
    conditional_texts,
    key_texts,
    last_stages,
    refuse_over_limit,
    typed_rows,
    wanted_sources,
)
from leadml.leads._sources import open_source, read_blocks
from leadml.leads._store import STORED_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from leadml.leads._contract import Column, Contract, Table
    from leadml.leads._read import JoinFit, TypedTable
    from leadml.leads._store import Store

__all__ = ["JoinedTable", "join_stored", "read_joined"]


@dataclass(slots=True, kw_only=True, eq=False)
class JoinedTable:
    """A joined table in a store, by the hash of the key that leads point to.

    Attributes
    ----------
    table : Table
        Declares it.
    store : Store
        Where its kept rows lie.
    columns : tuple of Column
        What is read of it.
    keys : tuple of str
        Its columns that point to rows of further tables; only their hashes are stored.
    keep : ndarray of bool
        By number of the stored row; False for one that repeats or contradicts an earlier one.
    n_read, n_duplicates : int
        Rows of the table, and those that do not count.
    rejects : list of Reject
        Quarantined rows.
    notices : list of str
        What is worth knowing.
    unlisted : dict of str to dict of str to int
        Words that the contract does not declare.
    formats : dict of str to tuple of str
        Date formats of columns that were typed in the source.
    words : dict of str to dict of str to int
        For each column of reps their names, which are never stored, with the numbers that are.
    """

    table: Table
    store: Store
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    keep: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    n_read: int = 0
    n_duplicates: int = 0
    rejects: list[Reject] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    unlisted: dict[str, dict[str, int]] = field(default_factory=dict)
    formats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its column that leads point to."""
        return self.table.join[2] if self.table.join is not None else ""

    @property
    def fields(self) -> list[str]:
        """The columns of the store: hashes of keys, then texts."""
        return [f"k{n}" for n in range(len(self.keys))] + [f"c{n}" for n in range(len(self.columns))]


def read_joined(contract: Contract, table: Table, place: Path | str, *, store: Store) -> JoinedTable:
    """Read a joined table into a store; refuse it if too many of its rows are damaged."""
    own = [column for column in contract.columns if column.table == table.name and column.role != "personal"]
    keys = {other.join[1] for other in contract.tables if other.join and other.join[0] == table.name}
    joined = JoinedTable(table=table, store=store, columns=tuple(own), keys=tuple(sorted(keys)))
    fields = ", ".join(joined.fields)
    listed = f", {fields}" if fields else ""
    fixed = "key BLOB, place INTEGER PRIMARY KEY, record BLOB, line INT, shape TEXT, at INT, stage BLOB"
    store.run(f"CREATE TABLE unsorted ({fixed}{listed})")
    marks = ", ".join("?" * (7 + len(joined.fields)))
    with open_source(table, place, order_by=joined.key, batch_rows=STORED_ROWS) as source:
        for raw in read_blocks(source, wanted_sources(contract, table)):
            rows = _entries(contract, joined, raw)
            store.run_many(f"INSERT INTO unsorted VALUES ({marks})", rows)
    if table.latest is not None:
        _keep_last_stages(joined)
    name = _named(table)
    store.run(f"CREATE TABLE {name} (key BLOB PRIMARY KEY, place INT, record BLOB{listed}) WITHOUT ROWID")
    store.run(
        f"INSERT OR IGNORE INTO {name} SELECT key, place, record{listed} FROM unsorted ORDER BY key, place"
    )
    _settle_repeats(joined)
    store.run("DROP TABLE unsorted")
    refuse_over_limit(contract, table.name, joined.rejects, joined.n_read)
    return joined


def _named(table: Table) -> str:
    return f'"joined {table.name}"'


def _entries(contract: Contract, joined: JoinedTable, raw: RawTable) -> Iterator[tuple[object, ...]]:
    """Yield what is stored of the sound rows of a block that leads can point to."""
    read = typed_rows(contract, joined.table, raw)
    joined.n_read += raw.n_read
    joined.n_duplicates += read.n_duplicates
    joined.rejects += [*raw.rejects, *read.broken.values()]
    joined.notices += raw.notices
    joined.formats |= raw.formats
    for name, words in read.unlisted.items():
        seen = joined.unlisted.setdefault(name, {})
        for word, count in words.items():
            seen[word] = seen.get(word, 0) + count
    rows = np.flatnonzero(read.keep)
    first = len(joined.keep)
    joined.keep = np.append(joined.keep, np.ones(len(rows), dtype=bool))
    store = joined.store
    texts = key_texts(read, joined.key)[rows]
    records = zip(*(values[rows] for values in raw.columns.values()), strict=True)
    stored = [store.hash_texts(key_texts(read, name)[rows]) for name in joined.keys]
    stored += [_stored_texts(joined, column, read)[rows].tolist() for column in joined.columns]
    latest, moments = joined.table.latest, read.moments
    fixed = (
        store.hash_texts(texts),
        range(first, first + len(rows)),
        (store.hash_record(repr(record)) for record in records),
        raw.lines[rows].tolist(),
        (mask(text or "") for text in texts),
        itertools.repeat(0) if moments is None else moments[rows].tolist(),
        itertools.repeat(None) if latest is None else store.hash_texts(raw.columns[latest.of][rows]),
    )
    return (row for row in zip(*fixed, *stored, strict=False) if row[0] is not None)


def _stored_texts(joined: JoinedTable, column: Column, read: TypedTable) -> Any:
    """Return the texts that count of a column; of reps only a number."""
    if column.source in read.raw.absent:
        return np.full(len(read.raw.lines), None, dtype=object)
    texts = conditional_texts(column, read)
    if column.role != "rep":
        return texts
    words = joined.words.setdefault(column.name, {})
    return np.array([None if text is None else words.setdefault(text, len(words)) for text in texts], object)


def _keep_last_stages(joined: JoinedTable) -> None:
    """Keep for each key the row with which its last stage began."""
    rows = joined.store.scan("SELECT key, stage, place FROM unsorted ORDER BY key, at, place")
    others = np.zeros(len(joined.keep), dtype=bool)
    for _, group in itertools.groupby(rows, key=itemgetter(0)):
        changes = list(group)
        others[[place for _, _, place in changes]] = True
        others[last_stages(changes)] = False
    places = np.flatnonzero(others)
    joined.keep[places] = False
    joined.n_duplicates += len(places)
    joined.store.run_many("DELETE FROM unsorted WHERE place = ?", ((int(place),) for place in places))


def _settle_repeats(joined: JoinedTable) -> None:
    """Drop rows that repeat the first with their key word for word; quarantine those that contradict it."""
    store, name = joined.store, _named(joined.table)
    counts = f"SELECT (SELECT count(*) FROM unsorted) - (SELECT count(*) FROM {name})"
    if store.run(counts) == [(0,)]:
        return
    for place, line, shape, is_same in store.run(
        f"SELECT later.place, line, shape, later.record = first.record FROM unsorted AS later"
        f" JOIN {name} AS first USING (key) WHERE later.place > first.place ORDER BY later.place"
    ):
        joined.keep[place] = False
        if is_same:
            joined.n_duplicates += 1
        else:
            joined.rejects.append(Reject(line, joined.key, "conflicting_key", shape))


def join_stored(
    contract: Contract,
    main: TypedTable,
    kept: NDArray[np.int64],
    joined: dict[str, JoinedTable],
    fit: JoinFit,
) -> tuple[dict[str, TypedTable], dict[str, NDArray[np.int64]]]:
    """Look up the rows that belong to the kept leads of a batch; count what does not fit.

    Returns
    -------
    (dict of str to TypedTable, dict of str to ndarray)
        The tables as far as a lead of the batch points to them, and for each table the row of each lead
        (-1: none).
    """
    reads, places = {main.table.name: main}, {main.table.name: kept}
    hashes: dict[str, dict[str, list[bytes | None]]] = {}
    for table in contract.tables[1:]:
        right = joined.get(table.name)
        if right is None or table.join is None or table.join[0] not in reads:
            places[table.name] = np.full(len(kept), -1)
            continue
        left, column, _ = table.join
        if left == main.table.name:
            wanted = right.store.hash_texts(key_texts(main, column)[kept])
        else:
            known = hashes[left][column]
            wanted = [known[place] if place >= 0 else None for place in places[left].tolist()]
        found = _found_rows(right, wanted)
        where = {row[0]: number for number, row in enumerate(found)}
        place = np.array([where.get(key, -1) for key in wanted], dtype=np.int64)
        numbers = np.array([row[1] for row in found], dtype=np.int64)
        n_lost = sum(1 for key, row in zip(wanted, place, strict=True) if key is not None and row < 0)
        fit.add(table.name, right.keep, numbers, n_lost)
        reads[table.name] = _read_back(contract, right, found)
        hashes[table.name] = {name: [row[2 + n] for row in found] for n, name in enumerate(right.keys)}
        places[table.name] = place
    return reads, places


def _found_rows(joined: JoinedTable, wanted: Sequence[bytes | None]) -> list[Any]:
    fields = ", ".join(["key", "place", *joined.fields])
    statement = f"SELECT {fields} FROM {_named(joined.table)} WHERE key = ?"
    keys = sorted({key for key in wanted if key is not None})
    return [row for key in keys for row in joined.store.run(statement, (key,))]


def _read_back(contract: Contract, joined: JoinedTable, found: Sequence[Any]) -> TypedTable:
    """Type the rows that were found; what a column says under conditions is settled already."""
    first = 2 + len(joined.keys)
    raw = RawTable.empty(column.name for column in joined.columns)
    raw.lines = np.arange(len(found), dtype=np.int64)
    plain = []
    for number, column in enumerate(joined.columns):
        words = list(joined.words.get(column.name, ()))
        texts = [row[first + number] for row in found]
        if column.role == "rep":
            texts = [None if text is None else words[text] for text in texts]
        raw.columns[column.name] = np.array(texts, dtype=object)
        if column.source in joined.formats:
            raw.formats[column.name] = joined.formats[column.source]
        plain.append(dataclasses.replace(column, source=column.name, only_if=(), queues=()))
    bare = dataclasses.replace(joined.table, marks=(), latest=None)
    return typed_rows(dataclasses.replace(contract, columns=tuple(plain)), bare, raw)

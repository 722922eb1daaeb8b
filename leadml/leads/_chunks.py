"""A leads file in parts that many readers read side by side, with the same leads as one reader.

A part of a CSV file begins where the one reader begins a block with nothing left over, and is read in the
blocks of the one reader, starting from what that had learnt so far. To know these places the file is split
into records once, without typing a value. A Parquet file is divided by its rows.
"""

from __future__ import annotations

import io
import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np

from leadml.errors import LeadsError
from leadml.leads import _batches
from leadml.leads._addresses import is_database
from leadml.leads._blocks import BATCH_ROWS, FileSource
from leadml.leads._contract import ROLES
from leadml.leads._csv import CsvReader
from leadml.leads._sources import LINE, resolve_place, with_format
from leadml.leads._store import open_store
from leadml.leads._texts import hash_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from leadml.leads._batches import LeadStream
    from leadml.leads._contract import Contract, Table
    from leadml.leads._csv import Reject
    from leadml.leads._history import Changes
    from leadml.leads._joined import JoinedTable
    from leadml.leads._table import TableCount

__all__ = [
    "LeadChunk",
    "LeadPlan",
    "find_repeated_rows",
    "hash_lead_ids",
    "open_chunk",
    "plan_chunks",
    "settle_repeated_rows",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadChunk:
    """One part of the main table.

    Parameters
    ----------
    path : str
        The file.
    format : str
        As in the contract.
    start, stop : int
        Bytes of a CSV file or rows of a Parquet file; `stop` -1 is the whole file.
    offset : int
        What has to be added to a line number counted from the part's own header.
    shapes : frozenset of str
        What the reader had learnt about first fields when it came here.
    """

    path: str
    format: str
    start: int = 0
    stop: int = -1
    offset: int = 0
    shapes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadPlan:
    """How a leads file is read in parts.

    Parameters
    ----------
    contract : Contract
        The part of the contract that is read, its names settled by the file's header.
    paths : tuple of (str, Path)
        The files that are read, by table.
    chunks : tuple of LeadChunk
        In the order of the file.
    notices : tuple of str
        What is worth knowing.
    roles : frozenset of str
        Of the columns that are read.
    other_counts, other_rejects, other_words
        Of the other tables: counts, quarantined rows, words that are not declared.
    """

    contract: Contract
    paths: tuple[tuple[str, Path], ...]
    chunks: tuple[LeadChunk, ...]
    notices: tuple[str, ...] = ()
    roles: frozenset[str] = _batches.SCORED_ROLES
    other_counts: tuple[TableCount, ...] = ()
    other_rejects: tuple[tuple[str, list[Reject]], ...] = ()
    other_words: Mapping[str, dict[str, int]] = field(default_factory=dict)


def plan_chunks(
    contract: Contract,
    *,
    leads: Path | str | None = None,
    n_chunks: int,
    columns: Literal["scored", "all"] = "scored",
) -> LeadPlan:
    """Divide the main table into parts of about equal size.

    Parameters
    ----------
    contract : Contract
        From `load_contract`.
    leads : path-like, optional
        A file in place of the first table's. Every reader must see it under this path.
    n_chunks : int
        How many parts are wanted; a file that cannot be divided is one.
    columns : {"scored", "all"}
        As in `open_leads`.

    Returns
    -------
    LeadPlan
        Its contract is the one to open the parts with.

    Raises
    ------
    LeadsError
        If the leads are not in a file, or the file is not what the contract says.
    InputMissingError
        If it is not there.
    """
    place = resolve_place(contract, contract.tables[0], leads)
    if is_database(place) or isinstance(place, str):
        raise LeadsError(f"{contract.source}: only a file can be read in parts; export the table first.")
    # Refuses a file whose header does not fit.
    with _batches.open_leads(contract, leads=leads, columns=columns) as stream:
        table = stream.table
        return LeadPlan(
            contract=stream.contract,
            paths=tuple(stream.paths.items()),
            chunks=_divide(LeadChunk(path=str(place), format=table.format), table, n_chunks),
            notices=tuple(stream.notices()),
            roles=_batches.SCORED_ROLES if columns == "scored" else frozenset(ROLES) - {"personal"},
            other_counts=stream.other_counts(),
            other_rejects=tuple(stream.other_rejects()),
            other_words=stream.all_unlisted(),
        )


def _divide(whole: LeadChunk, table: Table, n_chunks: int) -> tuple[LeadChunk, ...]:
    if n_chunks > 1 and table.format == "parquet":
        return _parquet_chunks(whole, n_chunks)
    if n_chunks > 1 and table.format == "csv" and _is_plain(table, Path(whole.path)):
        return _csv_chunks(whole, table, n_chunks)
    return (whole,)


@contextmanager
def open_chunk(
    contract: Contract,
    chunk: LeadChunk,
    *,
    fates: dict[int, str] | None = None,
    batch_rows: int = BATCH_ROWS,
    roles: frozenset[str] = _batches.SCORED_ROLES,
) -> Iterator[LeadStream]:
    """Open one part of the main table.

    Parameters
    ----------
    contract : Contract
        Of the `LeadPlan`.
    chunk : LeadChunk
        One of the `LeadPlan`.
    fates : dict of int to str, optional
        From `settle_repeated_rows`: lines with a repeated id that are ``duplicate`` or ``conflict``.
    batch_rows : int
        Rows held in memory, about.
    roles : frozenset of str
        Of the `LeadPlan`.

    Yields
    ------
    LeadStream
        As from `open_leads`.
    """
    optional = frozenset({"handed_over"} if roles == _batches.SCORED_ROLES else ())
    used, table = _batches._used_part(contract, roles)  # noqa: SLF001 - one reader in two files
    source = _source(table, chunk, batch_rows)
    joined, changes = _others(used, os.getpid())
    nothing = np.empty(0, dtype=np.uint64)
    yield _batches.LeadStream(
        used,
        table,
        {table.name: Path(chunk.path)},
        source,
        joined,
        nothing,
        _optional_roles=optional,
        _fates=fates or {},
        _changes=changes,
    )


def hash_lead_ids(contract: Contract, chunk: LeadChunk) -> NDArray[np.uint64]:
    """Return one number per readable row of a part: equal ids have equal numbers."""
    column = _batches._id_column(contract)  # noqa: SLF001
    if column.source == LINE:
        return np.empty(0, dtype=np.uint64)
    source = _source(contract.tables[0], chunk, BATCH_ROWS)
    parts = [hash_texts(raw.columns[column.source]) for raw in source.blocks([column.source], [])]
    return np.concatenate([np.empty(0, dtype=np.uint64), *parts])


def find_repeated_rows(
    contract: Contract,
    chunk: LeadChunk,
    repeated: NDArray[np.uint64],
    *,
    roles: frozenset[str] = _batches.SCORED_ROLES,
) -> list[tuple[int, str, tuple[object, ...]]]:
    """Return line, id and record of each sound row whose id has one of these numbers."""
    found: list[tuple[int, str, tuple[object, ...]]] = []
    with open_chunk(contract, chunk, roles=roles) as stream:
        stream.watch_repeats(repeated, found)
        for _ in stream:
            pass
    return found


def settle_repeated_rows(rows: list[tuple[int, str, tuple[object, ...]]]) -> dict[int, str]:
    """Say which rows repeat an earlier one word for word, and which contradict it."""
    first: dict[str, tuple[object, ...]] = {}
    fates: dict[int, str] = {}
    for line, text, record in sorted(rows, key=lambda row: row[0]):
        known = first.setdefault(text, record)
        if known is not record:
            fates[line] = "duplicate" if known == record else "conflict"
    return fates


def _source(table: Table, chunk: LeadChunk, batch_rows: int) -> FileSource:
    table = with_format(table, chunk.format)
    return FileSource(table, Path(chunk.path), batch_rows, chunk)


@lru_cache(maxsize=2)
def _others(contract: Contract, process: int) -> tuple[dict[str, JoinedTable], tuple[Changes, ...]]:
    """Read the other tables once per process, whatever the number of parts: a store is of one process."""
    del process
    return _batches.read_others(contract, store=open_store(), changes="present")


# -- parts of a file -----------------------------------------------------------------------------------------


def _is_plain(table: Table, path: Path) -> bool:
    wide = table.encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32", "utf16", "utf32"))
    with path.open("rb") as stream:
        head = stream.read(4)
    return not wide and head[:2] not in {b"\x1f\x8b", b"PK"}


def _parquet_chunks(whole: LeadChunk, n_chunks: int) -> tuple[LeadChunk, ...]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(whole.path) as file:
        n_rows = file.metadata.num_rows
    ends = np.linspace(0, n_rows, min(n_chunks, max(n_rows, 1)) + 1).astype(int).tolist()
    return tuple(
        LeadChunk(path=whole.path, format=whole.format, start=start, stop=stop)
        for start, stop in itertools.pairwise(ends)
    )


def _csv_chunks(whole: LeadChunk, table: Table, n_chunks: int) -> tuple[LeadChunk, ...]:
    """Divide a CSV file where the one reader begins a new block with nothing left over from the last."""
    with Path(whole.path).open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = len(file.readline())
        file.seek(0)
        stream = _Counted(file)
        reader = CsvReader(
            stream,  # type: ignore[arg-type]
            delimiter=table.delimiter,
            quote=table.quote,
            encoding=table.encoding,
        )
        starts = [(header, 0, frozenset[str]())]
        for _ in reader.blocks([]):
            state = reader.state()
            start = None if state is None else stream.n_read - state.n_waiting
            if start is None or state is None or start <= header:
                continue
            if start >= header + (size - header) * len(starts) / n_chunks and start < size:
                starts.append((start, state.line - 2, state.shapes))
    stops = [start for start, _, _ in starts[1:]] + [size]
    return tuple(
        LeadChunk(path=whole.path, format=whole.format, start=start, stop=stop, offset=offset, shapes=shapes)
        for (start, offset, shapes), stop in zip(starts, stops, strict=True)
    )


class _Counted:
    """A stream that knows how much of it was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.n_read = 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        data = self._stream.read(size)
        self.n_read += len(data)
        return data


class _Part:
    """The header and one part of a file as one stream, read in the blocks of the one reader."""

    def __init__(self, stream: BinaryIO, start: int, stop: int) -> None:
        self._stream = stream
        self._header = stream.readline()
        self._place, self._stop = start, stop
        stream.seek(start)

    def read(self, size: int) -> bytes:
        """Read up to the next multiple of `size`, as a reader of the whole file does."""
        if self._header:
            header, self._header = self._header, b""
            return header
        data = self._stream.read(min((self._place // size + 1) * size, self._stop) - self._place)
        self._place += len(data)
        return data


@contextmanager
def opened_part(path: Path, chunk: LeadChunk) -> Iterator[BinaryIO]:
    """Open the header and one part of a CSV file as one stream."""
    with path.open("rb") as stream:
        yield _Part(stream, chunk.start, chunk.stop)  # type: ignore[misc]

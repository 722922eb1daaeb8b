"""The rows of one table of an export as texts with line numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml._yaml import suggest
from leadml.errors import LeadsError
from leadml.leads._texts import Texts, join_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from leadml.leads._contract import Table
    from leadml.leads._csv import CsvBlock, Reject

__all__ = ["RawTable", "find_positions", "first_block", "join_blocks", "join_tables", "typed_table"]


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
    nameless : tuple of int
        Columns without a name, counted from one.
    """

    columns: dict[str, Any]
    lines: np.ndarray[Any, np.dtype[np.int64]]
    rejects: list[Reject] = field(default_factory=list)
    formats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    nameless: tuple[int, ...] = ()

    @classmethod
    def empty(cls, names: Iterable[str]) -> RawTable:
        """Return no rows of these columns."""
        return cls({name: np.empty(0, dtype=object) for name in names}, np.empty(0, dtype=np.int64))

    @property
    def n_read(self) -> int:
        """Rows read, damaged ones included."""
        return len(self.lines) + len(self.rejects)


def find_positions(
    table: Table, path: Path | str, header: Sequence[str], wanted: list[str], optional: frozenset[str]
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
        if len(header) == 1 and table.format == "excel":
            findings.append(
                f"{path}: table {table.name!r}: row 1 has one cell; expected the column names there."
                " Delete the rows above them."
            )
        elif len(header) == 1:
            findings.append(
                f"{path}: table {table.name!r}: the header is one single column with delimiter"
                f" {table.delimiter!r}. Declare the file's own `delimiter`, or delete the lines above the"
                " column names."
            )
        raise LeadsError(*findings)
    return positions, tuple(absent)


def first_block(
    positions: Iterable[str], absent: tuple[str, ...] = (), header: Sequence[str] = ()
) -> RawTable:
    """Return what is known of a table before its first row."""
    raw = RawTable.empty(positions)
    raw.absent = absent
    raw.nameless = tuple(place for place, text in enumerate(header, 1) if not text)
    return raw


def join_blocks(names: Iterable[str], blocks: Sequence[CsvBlock]) -> RawTable:
    """Return the blocks of a CSV file as one table."""
    columns = {
        name: join_texts([block.columns[place] for block in blocks]) for place, name in enumerate(names)
    }
    lines = [np.empty(0, dtype=np.int64), *(np.asarray(block.lines, dtype=np.int64) for block in blocks)]
    rejects = [reject for block in blocks for reject in block.rejects]
    return RawTable(columns, np.concatenate(lines), rejects)


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


def join_tables(parts: Sequence[RawTable]) -> RawTable:
    """Return the blocks of a table as one; the first of them has no rows."""
    first, *rest = parts
    return RawTable(
        columns={name: join_texts([part.columns[name] for part in rest]) for name in first.columns},
        lines=np.concatenate([part.lines for part in parts]),
        rejects=[reject for part in parts for reject in part.rejects],
        formats={name: form for part in parts for name, form in part.formats.items()},
        notices=[notice for part in parts for notice in part.notices],
        absent=first.absent,
        nameless=first.nameless,
    )

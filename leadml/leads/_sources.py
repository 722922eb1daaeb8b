"""Where the tables of an export lie, and one of them read as a whole."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadml.errors import LeadsError
from leadml.leads._addresses import expand_environment, is_address, is_database, mask_url
from leadml.leads._blocks import BATCH_ROWS, FileSource, downloaded
from leadml.leads._raw import RawTable, join_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadml.leads._blocks import Source
    from leadml.leads._contract import Contract, Table

__all__ = [
    "LINE",
    "RawTable",
    "open_source",
    "read_blocks",
    "read_header",
    "read_table",
    "resolve_place",
    "with_format",
    "with_leads",
]

LINE = "#line"  # `from: leads.#line`: the line itself names a lead in an export without ids


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


@contextmanager
def open_source(
    table: Table, place: Path | str, *, order_by: str, batch_rows: int = BATCH_ROWS
) -> Iterator[Source]:
    """Open one table for reading in blocks.

    Parameters
    ----------
    table : Table
        Declares format and dialect.
    place : Path or str
        A file, a URL (needs fsspec), or ``<database URL>#<table>`` (needs SQLAlchemy).
    order_by : str
        Column that decides the order of the rows of a database.
    batch_rows : int
        Rows of a block, about.
    """
    if is_database(place):
        from leadml.leads._database import open_database_table

        with open_database_table(str(place), order_by=order_by, batch_rows=batch_rows) as source:
            yield source
    elif isinstance(place, str) and "://" in place:
        with downloaded(table, place) as path:
            yield FileSource(table, path, batch_rows, shown=mask_url(place))
    else:
        yield FileSource(table, Path(place), batch_rows)


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
    named = [name for name in wanted if name != LINE]
    order = table.join[2] if table.join is not None else next(iter(named), "")
    with open_source(table, place, order_by=order) as source:
        return join_tables(list(read_blocks(source, wanted, optional)))


def read_blocks(source: Source, wanted: Sequence[str], optional: Sequence[str] = ()) -> Iterator[RawTable]:
    """Yield the wanted columns in blocks, each once; the line of a row can be one of them."""
    named = [name for name in dict.fromkeys(wanted) if name != LINE]
    for raw in source.blocks(named, list(optional)):
        if LINE in wanted:
            raw.columns[LINE] = np.array([str(line) for line in raw.lines.tolist()], dtype=object)
        yield raw
        del raw  # before the next rows are read


def with_leads(contract: Contract, leads: Path | str | None) -> Contract:
    """Return a contract whose first table has the format of the file that is named in place of its own."""
    if leads is None or is_address(leads):
        return contract
    first = with_format(contract.tables[0], Path(leads).suffix.removeprefix("."))
    return dataclasses.replace(contract, tables=(first, *contract.tables[1:]))


def with_format(table: Table, name: str) -> Table:
    """Return a table with another of the formats that can be told by a file's ending."""
    return dataclasses.replace(table, format=name) if name in {"csv", "parquet"} else table


def read_header(table: Table, place: Path | str) -> list[str]:
    """Return the column names of a table without reading its rows."""
    with open_source(table, place, order_by="", batch_rows=1) as source:
        return source.header()

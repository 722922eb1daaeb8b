"""Which table a file or address holds, before anybody has declared it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from leadml.errors import InputMissingError, LeadsError
from leadml.leads._addresses import is_database, mask_address
from leadml.leads._contract import Table
from leadml.leads._sources import read_header, read_table

__all__ = ["find_table"]

_DELIMITERS = (",", ";", "\t", "|")
_SQLITE = {".sqlite", ".sqlite3", ".db"}
_DUCKDB = {".duckdb", ".ddb"}


def find_table(address: Path | str) -> tuple[Table, Path | str]:
    """Return a file's table as a contract would declare it, and the place to read it from.

    Parameters
    ----------
    address : path-like
        A file; ``FILE#PART`` names a sheet or a table. Or ``<database URL>#<table>``.

    Raises
    ------
    InputMissingError
        If there is no such file or table.
    LeadsError
        If the file holds no table, or several and none is named.
    """
    text = str(address)
    if is_database(text):
        return Table(name="leads", path=mask_address(text), format="sql"), text
    path, part = Path(text), None
    if not path.exists() and "#" in text:
        file, _, part = text.rpartition("#")
        path = Path(file)
    if not path.is_file():
        raise InputMissingError(f"{path}: cannot read this file: no such file.")
    ending = path.suffix.lower()
    if ending in {".parquet", ".pq"}:
        return Table(name="leads", path=path.name, format="parquet"), path
    if ending in {".xlsx", ".xlsm"}:
        sheet = _one_of(path, _sheets(path), part, "sheet")
        return Table(name="leads", path=path.name, format="excel", sheet=sheet), path
    if ending in _DUCKDB:
        sheet = _one_of(path, _duckdb_tables(path), part, "table")
        return Table(name="leads", path=path.name, format="duckdb", sheet=sheet), path
    if ending in _SQLITE:
        url = f"sqlite:///{path}"
        place = f"{url}#{_one_of(path, _sqlite_tables(path), part, 'table')}"
        return Table(name="leads", path=place, format="sql"), place
    return _dialect(path), path


def _one_of(path: Path, names: list[str], part: str | None, what: str) -> str:
    chosen = part if part is not None else names[0] if len(names) == 1 else None
    if chosen in names:
        return str(chosen)
    shown = ", ".join(names[:8]) or "none"
    example = f" Name one: {path}#{names[0]}." if names else ""
    asked = f"no {what} {part!r}" if part is not None else f"{len(names)} {what}s"
    raise LeadsError(f"{path}: {asked}; it holds {shown}.{example}")


def _sheets(path: Path) -> list[str]:
    from leadml.leads._workbook import sheet_names

    return sheet_names(path)


def _duckdb_tables(path: Path) -> list[str]:
    try:
        import duckdb
    except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
        raise LeadsError(f"{path}: reading DuckDB needs `pip install leadml[sql]`.") from error
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return [
                str(name) for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
            ]
    except duckdb.Error as error:
        raise LeadsError(f"{path}: not a readable DuckDB file.") from error


def _sqlite_tables(path: Path) -> list[str]:
    import sqlite3
    from contextlib import closing

    query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return [str(name) for (name,) in connection.execute(query)]
    except sqlite3.Error as error:
        raise LeadsError(f"{path}: not a readable SQLite file.") from error


def _dialect(path: Path) -> Table:
    best: tuple[int, Table] | None = None
    for encoding in ("utf-8", "utf-16", "cp1252"):
        for delimiter in _DELIMITERS:
            table = Table(name="leads", path=path.name, delimiter=delimiter, encoding=encoding)
            width = len(read_header(table, path))
            if width > (best[0] if best else 0):
                best = (width, table)
        if best is not None:
            return _decodable(best[1], path)
    raise LeadsError(f"{path}: cannot be read as a table; name its format in a contract.")


def _decodable(table: Table, path: Path) -> Table:
    """Fall back to cp1252 where rows of the file are not UTF-8."""
    try:
        raw = read_table(table, path, wanted=[])
    except LeadsError:
        return dataclasses.replace(table, encoding="cp1252")
    wrong = sum(reject.rule == "encoding" for reject in raw.rejects)
    return dataclasses.replace(table, encoding="cp1252") if wrong > 5 else table

"""A sheet of an Excel workbook as a source of leads."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml.errors import LeadsError
from leadml.leads._csv import Reject, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leadml.leads._contract import Table

__all__ = ["read_sheet", "sheet_names"]


def read_sheet(
    table: Table, path: Path, find: Callable[[list[str]], dict[str, int]]
) -> tuple[dict[str, Any], Any, list[Reject]]:
    """Read the wanted columns of one sheet as texts, with the sheet's row numbers as lines.

    A cell holds what the workbook stores, not what it shows: a date is a date whatever its format, an error
    (``#VALUE!``) is the text of the error, a formula is its stored result.

    Parameters
    ----------
    table : Table
        Names the sheet; may be left open if there is only one.
    path : Path
        The ``.xlsx`` file.
    find : callable
        Finds each wanted column in the header.

    Returns
    -------
    (columns, lines, rejects)
    """
    book = _opened(path, f"table {table.name!r}: ")
    try:
        sheet = book[_sheet_name(table, path, book.sheetnames)]
        sheet.reset_dimensions()  # many exporters write a wrong size
        return _rows(table, path, sheet.iter_rows(values_only=True), find)
    finally:
        book.close()


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets."""
    book = _opened(path)
    try:
        return [str(name) for name in book.sheetnames]
    finally:
        book.close()


def _opened(path: Path, what: str = "") -> Any:
    try:
        import openpyxl  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
        raise LeadsError(f"{path}: reading Excel needs `pip install leadml[excel]`.") from error
    from zipfile import BadZipFile

    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise LeadsError(f"{path}: {what}not a readable Excel workbook.") from error


def _sheet_name(table: Table, path: Path, names: list[str]) -> str:
    if table.sheet is not None:
        if table.sheet in names:
            return table.sheet
        raise LeadsError(
            f"{path}: table {table.name!r}: no sheet {table.sheet!r}; there are {', '.join(names[:5])}."
        )
    if len(names) == 1:
        return names[0]
    raise LeadsError(
        f"{path}: table {table.name!r}: {len(names)} sheets ({', '.join(names[:5])}); name one with `sheet`."
    )


def _rows(
    table: Table, path: Path, rows: Iterator[Any], find: Callable[[list[str]], dict[str, int]]
) -> tuple[dict[str, Any], Any, list[Reject]]:
    header = [str(_text(cell) or "").strip() for cell in next(rows, ())]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise LeadsError(
            f"{path}: table {table.name!r}: row 1 of the sheet is empty; expected the column names there."
        )
    positions = find(header)
    columns: dict[str, list[str | None]] = {name: [] for name in positions}
    lines: list[int] = []
    rejects: list[Reject] = []
    blank: list[int] = []
    for number, cells in enumerate(rows, 2):
        texts = [_text(cell) for cell in cells]
        if not any(texts):
            blank.append(number)
            continue
        rejects += [Reject(line, None, "blank_line", "") for line in blank]
        blank.clear()
        texts += [None] * (len(header) - len(texts))
        rule = "field_count" if any(texts[len(header) :]) else _repeated(texts, header)
        if rule:
            rejects.append(Reject(number, None, rule, mask(",".join(text or "" for text in texts))))
            continue
        lines.append(number)
        for name, position in positions.items():
            columns[name].append(texts[position])
    arrays = {}
    for name, values in columns.items():
        arrays[name] = np.empty(len(values), dtype=object)
        arrays[name][:] = values
    return arrays, np.array(lines, dtype=np.int64), rejects


def _repeated(texts: list[str | None], header: list[str]) -> str | None:
    same = [(text or "").strip() for text in texts[: len(header)]] == header
    return "repeated_header" if same else None


def _text(cell: Any) -> str | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.strftime("%Y-%m-%dT%H:%M:%S.%f")
    if isinstance(cell, dt.date):
        return cell.strftime("%Y-%m-%dT00:00:00.000000")
    return str(cell)

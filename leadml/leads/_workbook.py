"""A sheet of an Excel workbook as a source of leads."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml.errors import LeadsError
from leadml.leads._csv import Reject, mask
from leadml.leads._raw import RawTable, first_block
from leadml.leads._texts import ISO_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leadml.leads._contract import Table

__all__ = ["read_sheet", "sheet_header", "sheet_names"]


def read_sheet(
    table: Table,
    path: Path,
    find: Callable[[list[str]], dict[str, int]],
    *,
    where: str,
    batch_rows: int,
) -> Iterator[RawTable]:
    """Yield the wanted columns of one sheet as texts, with the sheet's row numbers as lines.

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
    where : str
        File and table, for messages.
    batch_rows : int
        Rows of a block.
    """
    with _opened(path, where) as book:
        sheet = book[_sheet_name(table, where, book.sheetnames)]
        sheet.reset_dimensions()  # many exporters write a wrong size
        rows = sheet.iter_rows(values_only=True)
        header = _header(rows, where)
        positions = find(header)
        yield first_block(positions, header=header)
        yield from _blocks(enumerate(rows, 2), header, positions, batch_rows)


def sheet_header(table: Table, path: Path, *, where: str) -> list[str]:
    """Return the column names of one sheet."""
    with _opened(path, where) as book:
        sheet = book[_sheet_name(table, where, book.sheetnames)]
        sheet.reset_dimensions()
        return _header(sheet.iter_rows(values_only=True), where)


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets."""
    with _opened(path, str(path)) as book:
        return [str(name) for name in book.sheetnames]


@contextmanager
def _opened(path: Path, where: str) -> Iterator[Any]:
    try:
        import openpyxl  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
        raise LeadsError(f"{where}: reading Excel needs `pip install leadml[excel]`.") from error
    from zipfile import BadZipFile

    with path.open("rb") as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except (BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
            raise LeadsError(f"{where}: not a readable Excel workbook.") from error
        try:
            yield book
        finally:
            book.close()


def _sheet_name(table: Table, where: str, names: list[str]) -> str:
    if table.sheet is not None:
        if table.sheet in names:
            return table.sheet
        raise LeadsError(f"{where}: no sheet {table.sheet!r}; there are {', '.join(names[:5])}.")
    if len(names) == 1:
        return names[0]
    raise LeadsError(f"{where}: {len(names)} sheets ({', '.join(names[:5])}); name one with `sheet`.")


def _header(rows: Iterator[Any], where: str) -> list[str]:
    header = [str(_text(cell) or "").strip() for cell in next(rows, ())]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise LeadsError(f"{where}: row 1 of the sheet is empty; expected the column names there.")
    return header


def _blocks(
    rows: Iterator[tuple[int, Any]], header: list[str], positions: dict[str, int], batch_rows: int
) -> Iterator[RawTable]:
    blank: list[int] = []
    for part in iter(lambda: list(itertools.islice(rows, batch_rows)), []):
        kept: list[list[str | None]] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        for number, cells in part:
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
            kept.append(texts)
        block = RawTable.empty(positions)
        for name, position in positions.items():
            block.columns[name] = np.array([texts[position] for texts in kept], dtype=object)
        block.lines, block.rejects = np.array(lines, dtype=np.int64), rejects
        block.formats = dict.fromkeys(positions, ISO_FORMATS)
        yield block


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

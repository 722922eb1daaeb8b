"""The filled rating sheets, read back as people and spreadsheets leave them."""

from __future__ import annotations

import codecs
import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import pandas as pd

from leadml._files import read_bytes
from leadml._render import format_count, render_card, render_frame
from leadml._yaml import suggest
from leadml.compare._rating_sheets import CLASS, CRITERION_WORDS
from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Ratings", "read_ratings"]

_ID = "sheet_id"
_ROWS_ABOVE = 10
"""The titles stand in one of this many first rows: people put a headline above, Excel a ``sep=;``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ratings:
    """What people said of the leads they judged.

    Attributes
    ----------
    definition, version, definition_sha256 : str
        The definition whose classes were judged.
    classes, handoff : tuple of str
        Its classes, and those that go to Sales.
    criteria : tuple of (address, text)
        The criteria that were judged one by one.
    sides : tuple of str
        Who was asked.
    leads : DataFrame
        ``lead_id``, ``stratum``, ``weight`` of every lead that was drawn.
    answers : DataFrame
        ``lead_id``, ``side``, ``question`` ("class" or a criterion's address), ``answer``; one row per answer
        that was given.
    """

    definition: str
    version: str
    definition_sha256: str
    classes: tuple[str, ...]
    handoff: tuple[str, ...]
    criteria: tuple[tuple[str, str], ...]
    sides: tuple[str, ...]
    leads: pd.DataFrame = field(repr=False)
    answers: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per answer: lead_id, side, question, answer."""
        return self.answers.copy()

    def matrix(self, question: str = CLASS) -> pd.DataFrame:
        """Return the answers to one question: a row per drawn lead, a column per side, None if not given."""
        part = self.answers[self.answers["question"] == question]
        wide = part.pivot_table(index="lead_id", columns="side", values="answer", aggfunc="first")
        wide = wide.reindex(index=self.leads["lead_id"], columns=list(self.sides)).astype(object)
        return wide.where(wide.notna(), None)

    def __repr__(self) -> str:
        given = self.answers[self.answers["question"] == CLASS].groupby("side").size()
        lines = [f"{self.definition} {self.version}: {format_count(len(self.leads))} leads drawn"]
        lines += [f"  {side}: {format_count(int(given.get(side, 0)))} classed" for side in self.sides[:8]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        counts = self.answers.groupby(["question", "side", "answer"], as_index=False, sort=True).size()
        return str(render_card(repr(self).splitlines()[0], [render_frame(counts)]))


def read_ratings(sheets: Iterable[Path | str], *, key: Path | str) -> Ratings:
    """Read the filled sheets back.

    Parameters
    ----------
    sheets : iterable of path-like
        The sheets, ``.csv`` or ``.xlsx``, in any order; a side may come in several files, one of which may
        be the sheet that was left empty. An empty cell means: not judged.
    key : path-like
        The key file that `write_rating_sheets` wrote.

    Returns
    -------
    Ratings

    Raises
    ------
    LeadsError
        If a sheet does not fit the key or holds other words than it offers, with every mistake at once.
    InputMissingError
        If a file is not there.
    """
    document = _read_key(Path(key))
    leads = pd.DataFrame(document["leads"], columns=["side", "sheet_id", "lead_id", "stratum", "weight"])
    reader = _SheetReader(
        known={row.sheet_id: (row.side, row.lead_id) for row in leads.itertuples(index=False)},  # type: ignore[misc]
        words={CLASS: tuple(document["classes"])}
        | {address: CRITERION_WORDS for address, _ in document["criteria"]},
    )
    for path in map(Path, sheets):
        reader.read(path)
    if reader.findings:
        raise LeadsError(*reader.findings)
    answers = pd.DataFrame(
        [(lead, side, question, word) for (side, lead, question), (word, _) in reader.answers.items()],
        columns=["lead_id", "side", "question", "answer"],
    )
    return Ratings(
        definition=document["definition"],
        version=document["version"],
        definition_sha256=document["definition_sha256"],
        classes=tuple(document["classes"]),
        handoff=tuple(document["handoff"]),
        criteria=tuple((address, text) for address, text in document["criteria"]),
        sides=tuple(document["sides"]),
        leads=leads.drop_duplicates("lead_id")[["lead_id", "stratum", "weight"]].reset_index(drop=True),
        answers=answers,
    )


_KEY_TEXTS = ("definition", "version", "definition_sha256")
_KEY_LISTS = ("classes", "handoff", "criteria", "sides", "leads")


def _read_key(path: Path) -> dict[str, Any]:
    fault = LeadsError(f"{path}: not the key of rating sheets. Give the file that was written with them.")
    try:
        document = json.loads(read_bytes(path, what="key of rating sheets").decode("utf-8-sig"))
    except ValueError as error:
        raise fault from error
    rows = {"side", "sheet_id", "lead_id", "stratum", "weight"}
    fits = (
        isinstance(document, dict)
        and all(isinstance(document.get(name), str) for name in _KEY_TEXTS)
        and all(isinstance(document.get(name), list) for name in _KEY_LISTS)
        and all(isinstance(row, dict) and set(row) == rows for row in document["leads"])
        and all(isinstance(pair, list) and len(pair) == 2 for pair in document["criteria"])
    )
    if not fits:
        raise fault
    return dict(document)


@dataclass(slots=True)
class _SheetReader:
    """Collects the answers and the mistakes of all sheets."""

    known: dict[str, tuple[str, str]]
    words: dict[str, tuple[str, ...]]
    answers: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def read(self, path: Path) -> None:
        rows = _open_sheet(path)
        top = _find_titles(rows)
        if top is None:
            self.findings.append(f"{path}: expected a .csv or .xlsx sheet with a column {_ID}.")
            return
        header = _titles(rows[top])
        places: dict[str, int] = {}
        for question in self.words:
            found = [i for i, title in enumerate(header) if title.startswith(f"{question}:".casefold())]
            if len(found) == 1:
                places[question] = found[0]
            else:
                self.findings.append(
                    f"{path}: expected one column that begins with {question + ':'!r}, "
                    f"got {len(found) or 'none'}. "
                    "Keep the titles as they were sent."
                )
        first = header.index(_ID)
        seen: dict[str, int] = {}
        for number, cells in enumerate(rows[top + 1 :], start=top + 2):
            row = cells + [""] * (len(header) - len(cells))
            if not any(cell.strip() for cell in row):
                continue
            sheet_id = row[first].strip()
            if sheet_id not in self.known:
                self.findings.append(
                    f"{path}: row {number}, column 'sheet_id': {sheet_id[:40]!r} is not in this key."
                    f"{suggest(sheet_id, self.known) if sheet_id else ''}"
                )
                continue
            if sheet_id in seen:
                self.findings.append(
                    f"{path}: row {number}, column 'sheet_id': {sheet_id!r} "
                    f"stands in row {seen[sheet_id]} already."
                )
                continue
            seen[sheet_id] = number
            for question, place in places.items():
                self.take(sheet_id, question, row[place], f"{path}: row {number}, column {question!r}")

    def take(self, sheet_id: str, question: str, text: str, where: str) -> None:
        said = " ".join(text.split()).removeprefix("'")
        if not said:
            return
        words = {word.casefold(): word for word in self.words[question]}
        if said.casefold() not in words:
            self.findings.append(
                f"{where}: expected one of {', '.join(words.values())}, got {said[:40]!r}."
                f"{suggest(said.casefold(), words.values())}"
            )
            return
        word = words[said.casefold()]
        side, lead = self.known[sheet_id]
        earlier, place = self.answers.setdefault((side, lead, question), (word, where))
        if earlier != word:
            self.findings.append(f"{where}: {word!r}, but {earlier!r} in {place}. Give one of the two files.")


def _titles(row: list[str]) -> list[str]:
    return [" ".join(cell.split()).casefold() for cell in row]


def _find_titles(rows: list[list[str]]) -> int | None:
    """Find the row of the titles; None if this is no sheet of ours."""
    return next((place for place, row in enumerate(rows[:_ROWS_ABOVE]) if _ID in _titles(row)), None)


def _open_sheet(path: Path) -> list[list[str]]:
    """Return the rows of a sheet as texts; none if it cannot be read."""
    content = read_bytes(path, what="rating sheet")
    return _workbook_rows(content) if path.suffix.lower() == ".xlsx" else _csv_rows(content)


def _csv_rows(content: bytes) -> list[list[str]]:
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Spreadsheets of many countries save with semicolons or tabs, and in an encoding of Windows.
        for delimiter in ",;\t":
            try:
                rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
            except csv.Error:
                continue
            if _find_titles(rows) is not None:
                return rows
    return []


def _workbook_rows(content: bytes) -> list[list[str]]:
    try:
        from openpyxl import load_workbook  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
        raise LeadsError(
            "Reading .xlsx needs `pip install leadml[excel]`; or save the sheet as CSV."
        ) from error
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, OSError):
        return []
    try:
        sheet = book["leads"] if "leads" in book.sheetnames else book.worksheets[0]
        return [
            ["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)
        ]
    finally:
        book.close()

"""Blind rating sheets: draw leads, write one spreadsheet per side."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._files import replaced_file, write_text
from leadml._render import clean_text, format_count, render_card, render_frame
from leadml._yaml import suggest
from leadml.definitions import assign_classes
from leadml.errors import DefinitionError, LeadsError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadml.definitions import Attribute, Definition
    from leadml.leads import LeadTable

__all__ = [
    "CANNOT_SAY",
    "CLASS",
    "CRITERION_WORDS",
    "RatingSample",
    "is_free_text",
    "safe_cell",
    "sample_ratings",
    "say",
    "write_rating_sheets",
]

CLASS = "class"
CANNOT_SAY = "cannot say"
CRITERION_WORDS = ("yes", "no", CANNOT_SAY)
_NOT_IN_A_CLASS = "in no class"
_SIDE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
_LIVE = re.compile(r"[=@\t\r]|[+-](?![0-9.,]+$)")
_MAX_LEVELS, _MAX_UNIQUE = 50, 0.2
"""A category with more distinct values than this is free text and may name somebody."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatingSample:
    """Leads drawn for people to judge blind, and the key that says which lead is which.

    Attributes
    ----------
    definition, version, definition_sha256 : str
        The definition whose classes are judged.
    classes, handoff : tuple of str
        Its classes, and those that go to Sales.
    meanings : tuple of str
        What each class means, as written.
    criteria : tuple of (address, text)
        The criteria that are judged one by one.
    sides : tuple of str
        Who gets a sheet.
    sheets : dict of str to DataFrame
        What each side sees: ``sheet_id`` and the attributes. No verdict, outcome, rep, date of handling,
        personal column or id, and no class; each in its own order under its own numbers.
    key : DataFrame
        ``side``, ``sheet_id``, ``lead_id``, ``stratum`` (class by the written definition), ``weight`` (leads
        that one drawn lead stands for). Keep it from those who judge.
    notes : tuple of str
        What was left out and why.
    """

    definition: str
    version: str
    definition_sha256: str
    classes: tuple[str, ...]
    handoff: tuple[str, ...]
    meanings: tuple[str, ...] = field(repr=False)
    criteria: tuple[tuple[str, str], ...]
    sides: tuple[str, ...]
    sheets: dict[str, pd.DataFrame] = field(repr=False)
    key: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the key: one row per side and lead."""
        return self.key.copy()

    def __repr__(self) -> str:
        n = self.key["lead_id"].nunique()
        asked = f"class and {len(self.criteria)} criteria" if self.criteria else "class"
        lines = [
            f"{self.definition} {self.version}: {format_count(n)} leads to judge: {', '.join(self.sides)}",
            f"  asked for each: {asked}",
        ]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes[:6]])

    def _repr_html_(self) -> str:
        strata = self.key[self.key["side"] == self.sides[0]].groupby("stratum", as_index=False, sort=True)
        table = strata.agg(n=("lead_id", "size"), weight=("weight", "first"))
        return str(render_card(repr(self).splitlines()[0], [render_frame(table)], notes=self.notes))


def sample_ratings(
    definition: Definition,
    table: LeadTable,
    *,
    n: int = 120,
    sides: Sequence[str] = ("marketing", "sales"),
    criteria: Literal["none", "prose", "all"] | Sequence[str] = "none",
    random_state: int = 0,
) -> RatingSample:
    """Draw the same leads for every side to judge blind.

    Equally many leads are drawn from each class of the written definition (all of a class that has fewer),
    because agreement about a class that hardly occurs says nothing. Every side gets all of them, in an order
    and under numbers of its own.

    Parameters
    ----------
    definition : Definition
        Its classes are the words to choose from; its attributes are what is shown.
    table : LeadTable
        The leads. Shown are columns of role `attribute` that are known before the handoff; never personal
        columns, ids, accounts, reps, verdicts or outcomes, nor a category that is free text.
    n : int, default=120
        Leads to draw; below 100 that both sides judge, agreement is hardly known.
    sides : sequence of str, default=("marketing", "sales")
        One sheet each; any two names or more (several people of a side: ``("marketing", "rep-a", "rep-b")``).
    criteria : {"none", "prose", "all"} or sequence of str, default="none"
        Which criteria are judged one by one as well: those that nobody can measure, all, or these addresses.
    random_state : int, default=0
        Seed of the draw and of the orders.

    Returns
    -------
    RatingSample

    Raises
    ------
    DefinitionError
        If a criterion is asked for that the definition does not have.
    LeadsError
        If there are no leads, or none of the attributes can be shown.
    ValueError
        If `n` or a side's name cannot be.
    """
    names = _checked_sides(sides)
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}.")
    asked = _asked(definition, criteria)
    shown, notes = _shown(definition, table)
    ids = table.role("id")
    frame = table.frame
    judged = frame[shown].notna().any(axis=1).to_numpy()
    if ids is None or not judged.any():
        raise LeadsError("leads: expected at least one lead with an id and an attribute to show, got none.")
    if (~judged).any():
        notes.append(f"{format_count(int((~judged).sum()))} leads without any attribute are not drawn.")
    strata = _strata(definition, frame)
    rng = np.random.default_rng(random_state)
    drawn, weights = _draw(strata, judged, n, rng)
    if len(drawn) < n:
        notes.append(f"Only {format_count(len(drawn))} leads can be judged; all of them are drawn.")
    stamp = f"{definition.sha256}{table.manifest.data_sha256}{random_state} {n} {names} {asked}"
    token = sha256(stamp.encode()).hexdigest()[:6]
    sheets, keys = {}, []
    for side in names:
        order = rng.permutation(len(drawn))
        rows = drawn[order]
        sheet_ids = [f"{side}-{token}-{number:04d}" for number in range(1, len(rows) + 1)]
        sheet = frame.iloc[rows][shown].reset_index(drop=True)
        sheet.insert(0, "sheet_id", sheet_ids)
        sheets[side] = sheet
        keys.append(
            pd.DataFrame(
                {
                    "side": side,
                    "sheet_id": sheet_ids,
                    "lead_id": ids.iloc[rows].astype(str).to_numpy(),
                    "stratum": strata[rows],
                    "weight": weights[order],
                }
            )
        )
    headers = {name: _header(definition.attribute(name)) for name in shown}
    return RatingSample(
        definition=definition.name,
        version=definition.version,
        definition_sha256=definition.sha256,
        classes=tuple(item.name for item in definition.classes),
        handoff=definition.handoff,
        meanings=tuple(item.meaning for item in definition.classes),
        criteria=asked,
        sides=names,
        sheets={side: sheet.rename(columns=headers) for side, sheet in sheets.items()},
        key=pd.concat(keys, ignore_index=True),
        notes=tuple(notes),
    )


def _checked_sides(sides: Sequence[str]) -> tuple[str, ...]:
    names = (sides,) if isinstance(sides, str) else tuple(sides)
    wrong = [name for name in names if _SIDE.fullmatch(name) is None]
    if wrong:
        raise ValueError(
            f"sides: expected names of letters, digits, - and _, got {', '.join(map(repr, wrong[:5]))}."
        )
    if len(names) < 2 or len({name.lower() for name in names}) < len(names):
        raise ValueError(f"sides: expected at least two different names, got {', '.join(names) or 'none'}.")
    return names


def _asked(definition: Definition, criteria: str | Sequence[str]) -> tuple[tuple[str, str], ...]:
    known = {criterion.address: criterion for criterion in definition.criteria()}
    if isinstance(criteria, str):
        if criteria not in {"none", "prose", "all"}:
            raise ValueError(f"criteria: expected none, prose, all or a list of addresses, got {criteria!r}.")
        wanted = [
            a for a, c in known.items() if criteria == "all" or (criteria == "prose" and not c.measurable)
        ]
    else:
        wanted = list(dict.fromkeys(criteria))
        strange = [address for address in wanted if address not in known]
        if strange:
            raise DefinitionError(
                *(
                    f"{definition.source}: no criterion at {address!r}.{suggest(address, known)}"
                    for address in strange
                )
            )
    return tuple((address, known[address].text.strip()) for address in wanted)


def _shown(definition: Definition, table: LeadTable) -> tuple[list[str], list[str]]:
    """Return the attributes that may be shown, and why others are not."""
    allowed = table.contract.attributes()
    shown: list[str] = []
    notes: list[str] = []
    for attribute in definition.attributes:
        column = table.contract.column(attribute.name)
        if attribute.name not in allowed or attribute.name not in table.frame.columns or column is None:
            notes.append(f"{attribute.name} is not an attribute of the leads.")
        elif "after" in {attribute.known_at, column.known_at}:
            notes.append(f"{attribute.name} is known only after the handoff.")
        elif (
            attribute.type == "category"
            and not attribute.levels
            and is_free_text(table.frame[attribute.name])
        ):
            notes.append(f"{attribute.name} has too many different values to be shown: it may name somebody.")
        else:
            shown.append(attribute.name)
    if not shown:
        raise LeadsError(
            f"{definition.source}: none of its attributes can be shown to those who judge.", *notes
        )
    return shown, [f"not shown: {note}" for note in notes]


def is_free_text(values: pd.Series[Any]) -> bool:
    """Whether a category has so many different values that it may name people or companies."""
    known, distinct = int(values.notna().sum()), int(values.nunique())
    return distinct > _MAX_LEVELS or (distinct > 10 and distinct > _MAX_UNIQUE * known)


def _strata(definition: Definition, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.object_]]:
    classes = assign_classes(definition, frame).astype(object)
    return classes.where(classes.notna(), _NOT_IN_A_CLASS).to_numpy(dtype=object)


def _draw(
    strata: np.ndarray[Any, Any], judged: np.ndarray[Any, Any], n: int, rng: np.random.Generator
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Draw equally from each stratum; what a small one lacks goes to the others."""
    pools = {name: np.flatnonzero((strata == name) & judged) for name in sorted(set(strata[judged]))}
    taken: dict[str, int] = {}
    left = n
    for place, name in enumerate(sorted(pools, key=lambda name: (len(pools[name]), name))):
        share = -(-left // (len(pools) - place))
        taken[name] = min(len(pools[name]), share)
        left -= taken[name]
    rows = [rng.choice(pool, size=taken[name], replace=False) for name, pool in pools.items()]
    weights = [np.full(taken[name], len(pool) / taken[name]) for name, pool in pools.items() if taken[name]]
    return np.concatenate(rows), np.concatenate(weights)


def _header(attribute: Attribute) -> str:
    return f"{attribute.name} ({attribute.unit})" if attribute.unit else attribute.name


# ---- writing -------------------------------------------------------------------------------------


def write_rating_sheets(sample: RatingSample, folder: Path | str, *, key: Path | str) -> tuple[Path, ...]:
    """Write one sheet per side as CSV, and as a workbook with drop-downs where openpyxl is installed.

    No cell can become a formula. The key goes elsewhere: whoever judges must not have it.

    Parameters
    ----------
    sample : RatingSample
        From `sample_ratings`.
    folder : path-like
        Gets ``<side>.csv`` and ``<side>.xlsx``; fill either.
    key : path-like
        The key file (JSON), which must not lie in `folder`. `read_ratings` needs it.

    Returns
    -------
    tuple of Path
        The sheets.

    Raises
    ------
    OutputError
        If the key would lie beside the sheets, or a file cannot be written.
    """
    folder, key = Path(folder), Path(key)
    inside = folder.resolve()
    if inside == key.resolve().parent or inside in key.resolve().parents:
        raise OutputError(f"{key}: the key must not lie with the sheets. Name a place outside {folder}.")
    write_text(key, json.dumps(_key_document(sample), indent=1, ensure_ascii=False) + "\n")
    written = []
    for side in sample.sides:
        rows = list(_rows(sample, side))
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
        path = folder / f"{side}.csv"
        write_text(path, "\ufeff" + text.getvalue())  # the mark tells spreadsheets that it is UTF-8
        written.append(path)
        if importlib.util.find_spec("openpyxl") is not None:
            path = folder / f"{side}.xlsx"
            _write_workbook(sample, rows, path)
            written.append(path)
    return tuple(written)


def _key_document(sample: RatingSample) -> dict[str, Any]:
    return {
        "definition": sample.definition,
        "version": sample.version,
        "definition_sha256": sample.definition_sha256,
        "classes": list(sample.classes),
        "handoff": list(sample.handoff),
        "criteria": [list(pair) for pair in sample.criteria],
        "sides": list(sample.sides),
        "leads": sample.key.to_dict("records"),
    }


def _questions(sample: RatingSample) -> list[tuple[str, tuple[str, ...]]]:
    """Return the header and the words of each column to fill in."""
    asked = [(f"{CLASS}: {' | '.join(sample.classes)}", sample.classes)]
    return asked + [
        (f"{address}: {text}? {' | '.join(CRITERION_WORDS)}", CRITERION_WORDS)
        for address, text in sample.criteria
    ]


def _rows(sample: RatingSample, side: str) -> Iterator[list[str]]:
    sheet = sample.sheets[side]
    questions = _questions(sample)
    yield [*map(str, sheet.columns), *(header for header, _ in questions), "comment"]
    for row in sheet.itertuples(index=False):
        yield [*map(say, row), *("" for _ in questions), ""]


def say(value: Any) -> str:
    """Return a value as one reads it in a cell; nothing for a missing one."""
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return np.format_float_positional(value, trim="-")
    if isinstance(value, pd.Timestamp):
        return value.isoformat().removesuffix("T00:00:00")
    return clean_text(str(value)).replace("\n", " ")


def safe_cell(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run."""
    return f"'{text}" if _LIVE.match(text) is not None else text


def _write_workbook(sample: RatingSample, rows: list[list[str]], path: Path) -> None:
    from openpyxl import Workbook  # type: ignore[import-untyped,unused-ignore]
    from openpyxl.styles import Alignment, Font, PatternFill  # type: ignore[import-untyped,unused-ignore]
    from openpyxl.utils import get_column_letter  # type: ignore[import-untyped,unused-ignore]
    from openpyxl.worksheet.datavalidation import (  # type: ignore[import-untyped,unused-ignore]
        DataValidation,
    )

    book = Workbook()
    sheet, words = book.active, book.create_sheet("words")
    sheet.title = "leads"
    for number, row in enumerate(rows, start=1):
        for position, text in enumerate(row, start=1):
            _put(sheet, number, position, text)
    questions = _questions(sample)
    first = len(rows[0]) - len(questions)
    for place, (_, allowed) in enumerate(questions):
        # The words stand in a sheet of their own: a list in the rule ends at 255 letters, splits at commas.
        letter = get_column_letter(place + 1)
        for number, word in enumerate((rows[0][first + place - 1], *allowed), start=1):
            _put(words, number, place + 1, word)
        choice = DataValidation(
            type="list", formula1=f"words!${letter}$2:${letter}${len(allowed) + 1}", allow_blank=True
        )
        choice.error, choice.errorTitle = "Choose one of the words.", "Not one of the words"
        column = get_column_letter(first + place)
        if len(rows) > 1:
            choice.add(f"{column}2:{column}{len(rows)}")
        sheet.add_data_validation(choice)
        for number in range(1, len(rows) + 1):
            sheet.cell(number, first + place).fill = PatternFill("solid", fgColor="FFF4CC")
    _put(words, 12, len(questions) + 2, "What the classes mean")
    for number, (name, meaning) in enumerate(zip(sample.classes, sample.meanings, strict=True), start=13):
        _put(words, number, len(questions) + 2, f"{name}: {meaning}")
    for position, title in enumerate(rows[0], start=1):
        head = sheet.cell(1, position)
        head.font, head.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
        sheet.column_dimensions[get_column_letter(position)].width = max(12, min(34, len(title)))
    sheet.freeze_panes = "B2"
    with replaced_file(path) as temporary:
        book.save(temporary)


def _put(sheet: Any, row: int, column: int, text: str) -> None:
    """Write a text as a text, whatever it begins with."""
    if text:
        cell = sheet.cell(row, column)
        cell.value = text
        cell.data_type = "s"
        cell.quotePrefix = _LIVE.match(text) is not None

"""A first contract for a file that nobody has described yet: everything in it is to be confirmed."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from leadml.errors import InputMissingError, LeadsError
from leadml.leads._contract import ROLES, Table
from leadml.leads._places import find_table
from leadml.leads._propose_roles import choose_roles
from leadml.leads._propose_values import Guess, as_yaml_list, free_name, guess_column
from leadml.leads._sources import read_header, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from leadml.leads._sources import RawTable

__all__ = ["ContractProposal", "propose_contract"]

_SAMPLE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContractProposal:
    """A contract to begin with, and what has to be confirmed in it.

    Parameters
    ----------
    text : str
        The contract as YAML; doubtful lines carry a comment.
    findings : tuple of (str, str)
        Column and what to confirm. Nothing of it is applied silently.
    """

    text: str = field(repr=False)
    findings: tuple[tuple[str, str], ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finding: ``column``, ``confirm``."""
        return pd.DataFrame(list(self.findings), columns=["column", "confirm"])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def propose_contract(path: Path | str, *, name: str | None = None) -> ContractProposal:
    """Look at an export and write a first contract for it.

    Types, date formats and number notations are what at least 98 % of the values fit; two formats that both
    fit are both said. Words such as ``Select`` or ``999`` that may mean "no value" are listed to confirm, not
    declared. Columns that look personal get ``role: personal`` and are not looked at further. Verdict and
    outcome are only proposed where the words say so; leadml cannot know which column Sales fills.

    Parameters
    ----------
    path : path-like
        CSV (also gzip, or a zip of one file), Parquet, Excel, DuckDB or SQLite; ``FILE#PART`` names a sheet
        or table of several. Or ``<database URL>#<table>``.
    name : str, optional
        The contract's name, by default the file's.

    Returns
    -------
    ContractProposal
    """
    table, place = find_table(path)
    header = read_header(table, place)
    if not any(header):
        raise LeadsError(f"{place}: no header was found; expected a table with column names.")
    unique = [column for column in dict.fromkeys(header) if column and header.count(column) == 1]
    raw, nested = _read_flat(table, place, unique)
    guesses: list[Guess] = []
    taken: set[str] = set()
    for source in unique:
        if source in nested:
            guesses.append(Guess("", source, "", confirm=["holds several values per lead; left out."]))
            continue
        texts = raw.columns[source][:: max(1, len(raw.lines) // _SAMPLE)]
        guess = guess_column(source, texts, typed=raw.formats.get(source, ()))
        guess.name = free_name(source, taken)
        guesses.append(guess)
    filled = {
        source: [text for text in raw.columns[source] if text is not None and str(text).strip()]
        for source in raw.columns
    }
    choose_roles(guesses, filled, len(raw.lines), taken)
    confirm = [(guess.source, text) for guess in guesses for text in guess.confirm]
    if not any(guess.role == "created" for guess in guesses):
        confirm.append(("", "no column says when each lead came in (`role: created`)."))
    if not any(guess.role in {"verdict", "outcome"} for guess in guesses):
        confirm.append(("", "no column is taken as what became of the leads (`role: verdict`, `outcome`)."))
    if len(unique) < len(header):
        confirm.append(("", "some columns have the same name or none; they cannot be used."))
    if raw.rejects:
        confirm.append(("", f"{len(raw.rejects):,} rows are damaged; `leadml ingest` lists them."))
    if table.path != str(place) and "://" in str(place):
        confirm.append(
            ("", "keep a password out of the contract: `path: env:NAME#table` takes the address from NAME.")
        )
    return ContractProposal(text=_write(table, guesses, name), findings=tuple(confirm))


def _read_flat(table: Table, place: Path | str, names: list[str]) -> tuple[RawTable, list[str]]:
    """Read what holds one value per lead; return also the columns that do not."""
    try:
        return read_table(table, place, wanted=names), []
    except (LeadsError, InputMissingError):  # a database cannot put every type in order
        if table.format not in {"parquet", "duckdb", "sql"}:
            raise
    flat = []
    for name in names:
        try:
            read_table(table, place, wanted=[name])
        except (LeadsError, InputMissingError):
            continue
        flat.append(name)
    return read_table(table, place, wanted=flat or names), [name for name in names if name not in flat]


def _stem(path: str) -> str:
    return path.rpartition("#")[2] if "://" in path else re.sub(r"(\.\w{1,8})+$", "", path)


def _write(table: Table, guesses: list[Guess], name: str | None) -> str:
    path = table.path or ""
    more = f", format: {table.format}"
    more += f", sheet: {as_yaml_list([table.sheet])[1:-1]}" if table.sheet is not None else ""
    if table.format == "csv":
        delimiter = {"\t": "tab"}.get(table.delimiter, f'"{table.delimiter}"')
        more += f", delimiter: {delimiter}, encoding: {table.encoding}"
    lines = [
        "# Proposed from the file's own values. Check every line, and say which column Sales fills:",
        "#   verdict: {from: leads.…, role: verdict, accepted: […], rejected: […]}",
        f"# Roles: {', '.join(ROLES)}.",
        f"name: {re.sub(r'[^a-z0-9]+', '-', (name or _stem(path)).lower()).strip('-') or 'leads'}",
        "tables:",
        f"  leads: {{path: {as_yaml_list([path])[1:-1]}{more}}}",
        "columns:",
    ]
    for guess in guesses:
        place = as_yaml_list([f"leads.{guess.source}"])[1:-1]
        parts = [f"from: {place}", f"role: {guess.role}"]
        parts += [f"type: {guess.type}"] if guess.type else []
        entry = f"  {guess.name}: {{{', '.join([*parts, *guess.more])}}}"
        comment = f"   # {' '.join(guess.confirm)}" if guess.confirm else ""
        if not guess.role:
            lines.append(f"  # {guess.source}: {' '.join(guess.confirm)}")
        else:
            lines.append(entry + comment)
    return "\n".join([*lines, "windows: from data", ""])

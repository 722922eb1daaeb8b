"""What damaged rows do to readers of CSV: leadml, DuckDB with its reject tables, pandas.

Usage: python experiments/benchmarks/damaged_csv.py [--seeds 10] [--verbose]

Every file is one generated export with one damage at a place drawn by its seed, in LF or CRLF. Every reader
is told the dialect, the columns and their types. A file counts as

silent
    a value came out that no undamaged row holds, or a row is gone that no message names;
alone
    every undamaged row is there exactly and the damage is named with its line (a blank line need not be);
wrong line
    the same, but the named line of the file is another one;
loses more
    nothing is wrong, but undamaged rows went with the damage (they are named);
refused
    the reader read nothing and said why.

The last kind (ten times as many files) puts or takes one byte of the structure anywhere: quote, delimiter,
line end, NUL, a byte that is no UTF-8. Where that gives a row that is well-formed and fits all types, which
nobody can see, another is drawn.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import re
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pandas as pd

from leadml.errors import LeadmlError
from leadml.leads import ingest_leads, parse_contract

if TYPE_CHECKING:
    from collections.abc import Callable

Row = tuple[str, ...]
NAMES = ("Id", "Created", "Company", "City", "Employees", "Revenue", "Demo", "Note", "Source")
HEADER = ",".join(NAMES)
N_ROWS = 120
MUTATED = "one byte anywhere"
CONTRACT = """
name: generated
tables: {leads: {path: leads.csv, format: csv, delimiter: ",", encoding: utf-8}}
columns:
  Id: {from: leads.Id, role: id}
  Created: {from: leads.Created, role: created, type: date, format: "%Y-%m-%d"}
  Company: {from: leads.Company, role: attribute, type: category}
  City: {from: leads.City, role: attribute, type: category}
  Employees: {from: leads.Employees, role: attribute, type: integer}
  Revenue: {from: leads.Revenue, role: attribute, type: number}
  Demo: {from: leads.Demo, role: attribute, type: boolean}
  Note: {from: leads.Note, role: attribute, type: category}
  Source: {from: leads.Source, role: attribute, type: category}
quarantine_limit: 90%
"""
DUCKDB_TYPES = {
    **dict.fromkeys(NAMES, "VARCHAR"),
    "Created": "DATE",
    "Employees": "BIGINT",
    "Revenue": "DOUBLE",
    "Demo": "BOOLEAN",
}
PANDAS_TYPES = {
    name: {"BIGINT": "Int64", "DOUBLE": "float64", "BOOLEAN": "boolean"}.get(kind, "str")
    for name, kind in DUCKDB_TYPES.items()
    if kind != "DATE"
}


class Answer(NamedTuple):
    """Rows as plain texts, and the lines that the reader named."""

    rows: list[Row]
    named: frozenset[int]


class File(NamedTuple):
    """A damaged export: its bytes, the undamaged rows by their line, the lines of the damage."""

    data: bytes
    clean: dict[int, Row]
    damaged: frozenset[int]


# -- the export and its damages ----------------------------------------------------------------------------


def make_row(number: int, **changed: str) -> str:
    """Write one row as it stands in the file."""
    texts = {
        "Id": f"00{number:05d}",
        "Created": f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}",
        "Company": f'"Acme {number}, Inc"',
        "City": ["NA", "None", "null", "Köln", "O'Hara"][number % 5],
        "Employees": str(number * 3) if number % 7 else "",
        "Revenue": ["1200.5", "300", "", "-4000"][number % 4],
        "Demo": ["true", "false", ""][number % 3],
        "Note": ["", '"line1\nline2"', '"say ""hi"""', "plain"][number % 4],
        "Source": ["Web", "Partner", "List"][number % 3],
    }
    return ",".join((texts | changed).values())


def plain_row(text: str) -> Row | None:
    """Read one row strictly; None if it is not one row whose values fit their types."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    if len(rows) != 1 or len(rows[0]) != len(NAMES) or "\0" in text or '"' in re.sub(_QUOTED, "", text):
        return None
    try:
        return tuple(plain(name, value) for name, value in zip(NAMES, rows[0], strict=True))
    except ValueError:
        return None


_QUOTED = re.compile(r'(?:(?<=,)|^)"(?:[^"]|"")*"(?=,|$)')


def plain(name: str, value: object) -> str:
    """Write a value that came from any reader in one way; raise ValueError if it does not fit its type."""
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    text = str(value).replace("\r\n", "\n")
    kind = DUCKDB_TYPES[name]
    if not text or kind == "VARCHAR":
        return text
    if kind == "DATE":
        return dt.date.fromisoformat(text.removesuffix(" 00:00:00")).isoformat()
    if kind == "BOOLEAN":
        if text.lower() not in {"true", "false"}:
            raise ValueError("neither true nor false")
        return text.lower()
    return repr(float(text))


def damage(number: int, rng: np.random.Generator) -> dict[str, list[str | bytes]]:
    """Give the lines that stand in the place of row `number`, per kind of damage."""
    row, cells = make_row(number), make_row(number, Company="Acme", Note="plain").split(",")
    other = make_row(number + 4)
    commas = [spot.start() for spot in re.finditer(",", row) if row[: spot.start()].count('"') % 2 == 0]
    cut = commas[int(rng.integers(0, len(commas) - 1))]  # not in the last value: it would only be shorter
    return {
        "nothing": [],
        "a field too few": [row.rpartition(",")[0]],
        "a field too many": [row + ",x"],
        "a delimiter at the end": [row + ","],
        "an unquoted delimiter": [make_row(number, Company="Acme, Inc")],
        "cells shifted right": [",".join(["", *cells[:-1]])],
        "cells shifted left": [",".join([*cells[1:], ""])],
        "cells shifted in the middle": [",".join([*cells[:3], "", *cells[3:-1]])],
        "a quote that is not closed": [make_row(number, Company='"Acme')],
        "a quote that is not opened": [make_row(number, Company='Acme"')],
        "a quote inside a value": [make_row(number, Company='Ac"me')],
        "a quote not doubled": [make_row(number, Company='"Acme "big" Inc"')],
        "a quote escaped by a backslash": [make_row(number, Company='"Ac\\"me"')],
        "text after a closing quote": [make_row(number, Company='"Acme" Inc')],
        "a line break outside quotes": [row[:cut].replace("\n", " "), row[cut:].replace("\n", " ")],
        "a carriage return outside quotes": [make_row(number, City="Kö\rln")],
        "NUL in a value": [make_row(number, City="Kö\0ln")],
        "NULs for a row": ["\0" * 60],
        "a row in another encoding": [make_row(number, City="Köln").encode("latin-1")],
        "a row in UTF-16": [make_row(number, Note="x").encode("utf-16-le")],
        "a byte order mark inside": ["\ufeff" + row],
        "the header again": [HEADER],
        "a second table": ["Region,Total", "EMEA,5", "APAC,6"],
        "a second table as wide": ["R,S,T,U,V,W,X,Y,Z", "a,1,b,c,2,3,true,d,e"],
        "a comment": ["# exported by somebody"],
        "a blank line": [""],
        "delimiters only": ["," * (len(NAMES) - 1)],
        "two rows in one": [row + other],
        "a date in another format": [make_row(number, Created="05/06/2024")],
        "30 February": [make_row(number, Created="2024-02-30")],
        "a number in another format": [make_row(number, Revenue='"1.234,56"')],
        "a number in words": [make_row(number, Employees="about 40")],
        "half a person": [make_row(number, Employees="3.5")],
        "NaN and infinity": [make_row(number, Revenue=["NaN", "inf", "1e309"][number % 3])],
        MUTATED: [_mutated(row.encode(), rng)],
    }


def _mutated(row: bytes, rng: np.random.Generator) -> bytes:
    while True:
        place = int(rng.integers(0, len(row)))
        if rng.random() < 0.4:
            if row[place : place + 1] not in {b'"', b","}:
                continue
            made = row[:place] + row[place + 1 :]
        else:
            more = [b'"', b",", b"\n", b"\r", b"\0", b"\xff"][int(rng.integers(0, 6))]
            made = row[:place] + more + row[place:]
        text = made.decode(errors="replace")
        if b"\xff" not in made and any(map(plain_row, (text, *text.split("\n")))):
            continue
        return made


KINDS = tuple(damage(1, np.random.default_rng(0)))


def make_file(kind: str, seed: int) -> File:
    """Build the export of one seed with its damage in the place of one row."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    end = b"\r\n" if seed % 2 else b"\n"
    place = int(rng.integers(1, N_ROWS))
    lines, clean, damaged, number = [HEADER.encode()], {}, set(), 2
    for row in range(N_ROWS):
        if row == place:
            for piece in damage(N_ROWS + row, rng)[kind]:
                data = piece if isinstance(piece, bytes) else piece.encode()
                damaged.update(range(number, number + data.count(b"\n") + 1))
                number += data.count(b"\n") + 1
                lines.append(data)
        text = make_row(row)
        values = plain_row(text)
        if values is None:
            raise AssertionError(f"the generator wrote a damaged row {row}.")
        clean[number] = values
        number += text.count("\n") + 1
        lines.append(text.encode().replace(b"\n", end))
    return File(end.join(lines) + end, clean, frozenset(damaged))


# -- the readers -------------------------------------------------------------------------------------------


def _rows(values: list[list[object]]) -> list[Row]:
    """Write rows plainly; a value that fits no type stays as it came."""
    made = []
    for row in values:
        texts = []
        for name, value in zip(NAMES, row, strict=True):
            try:
                texts.append(plain(name, value))
            except ValueError:
                texts.append(f"not a {name}: {value}")
        made.append(tuple(texts))
    return made


def read_leadml(path: Path) -> Answer:
    """Ingest by the contract."""
    out = path.parent / "out.parquet"
    report = ingest_leads(parse_contract(CONTRACT, folder=path.parent), output=out)
    frame = pd.read_parquet(out)
    columns = [frame[name].astype(object).tolist() for name in NAMES]
    named = frozenset(int(entry["line"]) for entry in report.to_dict()["quarantine"])
    return Answer(_rows([list(row) for row in zip(*columns, strict=True)]), named)


def read_duckdb(path: Path) -> Answer:
    """Read with the declared dialect, strictly, and list the reject tables."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT * FROM read_csv($path, columns = {DUCKDB_TYPES}, auto_detect = false, header = true, "
            "delim = ',', quote = '\"', escape = '\"', dateformat = '%Y-%m-%d', strict_mode = true, "
            "store_rejects = true)",
            {"path": str(path)},
        ).fetchall()
        lines = connection.execute("SELECT line FROM reject_errors").fetchall()
    return Answer(_rows([list(row) for row in rows]), frozenset(line for (line,) in lines))


def read_pandas(path: Path) -> Answer:
    """Read with declared types; bad lines are named in warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = pd.read_csv(
            path,
            dtype=PANDAS_TYPES,
            parse_dates=["Created"],
            date_format="%Y-%m-%d",
            keep_default_na=False,
            na_values={name: [""] for name in NAMES},
            encoding="utf-8",
            on_bad_lines="warn",
            index_col=False,
        )
    named = {int(line) for each in caught for line in re.findall(r"line (\d+)", str(each.message))}
    columns = [frame[name].astype(object).tolist() for name in NAMES]
    return Answer(_rows([list(row) for row in zip(*columns, strict=True)]), frozenset(named))


READERS: dict[str, Callable[[Path], Answer]] = {
    "leadml": read_leadml,
    "DuckDB, reject tables": read_duckdb,
    "pandas, types declared": read_pandas,
}
REFUSALS = (LeadmlError, duckdb.Error, ValueError, TypeError)  # what pandas raises are the last two


def judge(answer: Answer, file: File, *, harmless: bool) -> str:
    """Compare what came out with the undamaged rows."""
    came, clean = Counter(answer.rows), Counter(file.clean.values())
    if came - clean:
        return "silent"
    n_lost = (clean - came).total()
    if len(answer.named) < n_lost + (not harmless):
        return "silent"
    if n_lost:
        return "loses more"
    return "alone" if harmless or answer.named & file.damaged else "wrong line"


OUTCOMES = ("silent", "alone", "wrong line", "loses more", "refused")
HARMLESS = {"nothing", "a blank line"}


def main() -> None:
    """Run every kind and seed, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--verbose", action="store_true", help="name the files that are silently wrong")
    options = parser.parse_args()
    counts: dict[tuple[str, str], Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        for kind in KINDS:
            for seed in range(options.seeds * (10 if kind == MUTATED else 1)):
                file = make_file(kind, seed)
                path.write_bytes(file.data)
                for name, read in READERS.items():
                    try:
                        outcome = judge(read(path), file, harmless=kind in HARMLESS)
                    except REFUSALS:
                        outcome = "refused"
                    counts.setdefault((name, kind), Counter())[outcome] += 1
                    if options.verbose and name == "leadml" and outcome != "alone":
                        print(f"{kind}, seed {seed}: {outcome}")
    print(f"{sum(counts['leadml', kind].total() for kind in KINDS)} files\n")
    print(f"| reader | {' | '.join(OUTCOMES)} |\n|---|{'---|' * len(OUTCOMES)}")
    for name in READERS:
        total = sum((counts[name, kind] for kind in KINDS), Counter[str]())
        print(f"| {name} | {' | '.join(str(total[each]) for each in OUTCOMES)} |")
    print(f"\nEach cell: {' / '.join(OUTCOMES)}\n\n| damage | {' | '.join(READERS)} |")
    print(f"|---|{'---|' * len(READERS)}")
    for kind in KINDS:
        cells = [" / ".join(str(counts[name, kind][each]) for each in OUTCOMES) for name in READERS]
        print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

"""A first contract for a file that nobody has described yet: everything in it is to be confirmed."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from leadml.errors import LeadsError
from leadml.leads._audit_values import looks_missing
from leadml.leads._contract import ROLES, Table
from leadml.leads._csv import mask
from leadml.leads._dates import parse_date
from leadml.leads._finding import show_level
from leadml.leads._sources import read_header, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ContractProposal", "propose_contract"]

_DELIMITERS = (",", ";", "\t", "|")
_DATES = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y%m%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
)
_NOTATIONS = ((".", ""), (".", ","), (",", "."), (",", " "), (",", ""), (".", " "), (".", "'"))
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[\d\s().-]{8,}")
_PERSONAL_WORDS = re.compile(
    r"(e-?mail|phone|mobile|fax|first.?name|last.?name|surname|full.?name|street|birth|salutation|password|ssn|passport)",
    re.IGNORECASE,
)
_BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"0", "1"}, {"y", "n"}, {"t", "f"})
_WON, _LOST = {"won", "closed won", "1", "true", "yes"}, {"lost", "closed lost", "loss"}
_ENOUGH = 0.98
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


@dataclass(slots=True)
class _Guess:
    name: str
    source: str
    role: str
    type: str = ""
    more: list[str] = field(default_factory=list)
    confirm: list[str] = field(default_factory=list)


def propose_contract(path: Path | str, *, name: str | None = None) -> ContractProposal:
    """Look at an export and write a first contract for it.

    Types, date formats and number notations are what at least 98 % of the values fit; two formats that both
    fit are both said. Words such as ``Select`` or ``999`` that may mean "no value" are listed to confirm, not
    declared. Columns that look personal get ``role: personal`` and are not looked at further. Verdict and
    outcome are only proposed where the words say so; leadml cannot know which column Sales fills.

    Parameters
    ----------
    path : path-like
        CSV (also gzip, or a zip of one file), Parquet or Excel.
    name : str, optional
        The contract's name, by default the file's.

    Returns
    -------
    ContractProposal
    """
    place = Path(path)
    table = _dialect(place)
    header = read_header(table, place)
    if not any(header):
        raise LeadsError(f"{place}: no header was found; expected a table with column names.")
    unique = [column for column in dict.fromkeys(header) if column and header.count(column) == 1]
    raw = read_table(table, place, wanted=unique)
    guesses: list[_Guess] = []
    taken: set[str] = set()
    for source in unique:
        texts = raw.columns[source][:: max(1, len(raw.lines) // _SAMPLE)]
        guess = _guess(source, texts, typed=source in raw.formats)
        guess.name = _free_name(source, taken)
        guesses.append(guess)
    _choose_roles(guesses, raw.columns, len(raw.lines))
    confirm = [(guess.source, text) for guess in guesses for text in guess.confirm]
    if len(unique) < len(header):
        confirm.append(("", "some columns have the same name or none; they cannot be used."))
    if raw.rejects:
        confirm.append(("", f"{len(raw.rejects):,} rows are damaged; `leadml ingest` lists them."))
    return ContractProposal(text=_write(table, place, guesses, name), findings=tuple(confirm))


def _dialect(path: Path) -> Table:
    ending = path.suffix.lower()
    if ending in {".parquet", ".pq"}:
        return Table(name="leads", path=path.name, format="parquet")
    if ending in {".xlsx", ".xlsm"}:
        return Table(name="leads", path=path.name, format="excel")
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
    import dataclasses

    try:
        raw = read_table(table, path, wanted=[])
    except LeadsError:
        return dataclasses.replace(table, encoding="cp1252")
    wrong = sum(reject.rule == "encoding" for reject in raw.rejects)
    return dataclasses.replace(table, encoding="cp1252") if wrong > 5 else table


def _free_name(source: str, taken: set[str]) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", source)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "column"
    name = f"c_{name}" if name[0].isdigit() else name
    while name in taken:
        name += "_2"
    taken.add(name)
    return name


def _guess(source: str, texts: Any, *, typed: bool) -> _Guess:
    known = [str(text).strip() for text in texts if text is not None and str(text).strip()]
    guess = _Guess("", source, "attribute")
    if not known:
        guess.role = ""
        guess.confirm.append("is empty; left out.")
        return guess
    if _is_personal(source, known):
        guess.role = "personal"
        guess.confirm.append("looks personal; it is never read.")
        return guess
    counts = pd.Series(known).value_counts()
    markers = [str(word) for word in counts.index if looks_missing(str(word))]
    rest = [text for text in known if text not in set(markers)] or known
    if typed or _fits_date(guess, rest):
        guess.type = "date"
    elif {text.casefold() for text in rest} in _BOOLEANS:
        guess.type = "category" if markers else "boolean"
    elif not _fits_number(guess, rest):
        _fits_words(guess, counts, len(known))
    if guess.type in {"number", "integer"}:
        markers += _sentinels(rest)
    if markers:
        shown = ", ".join(show_level(word, int(counts.get(word, 9))) for word in markers[:6])
        guess.confirm.append(f"{shown}: no value? Then declare `missing`.")
    return guess


def _is_personal(source: str, known: list[str]) -> bool:
    if {text.casefold() for text in known} in _BOOLEANS:
        return False
    if _PERSONAL_WORDS.search(source):
        return True
    sample = known[:500]
    emails = sum(_EMAIL.fullmatch(text) is not None for text in sample)
    phones = sum(
        _PHONE.fullmatch(text) is not None and sum(map(str.isdigit, text)) >= 9 and not text.isdigit()
        for text in sample
    )
    return max(emails, phones) >= 0.5 * len(sample)


def _fits_date(guess: _Guess, known: list[str]) -> bool:
    rows = known[:: max(1, len(known) // 2_000)]
    sample = list(dict.fromkeys(rows))[:500]
    if sum(sum(map(str.isdigit, text)) >= 3 for text in sample) < 0.5 * len(sample):
        return False
    shares = {}
    for form in _DATES:
        if form == "%Y%m%d" and not all(len(text) == 8 for text in sample[:50]):
            continue
        hits = sum(not isinstance(parse_date(text, (form,)), str) for text in sample)
        if hits:
            shares[form] = hits / len(sample)
    whole = [form for form, part in shares.items() if part == 1.0]
    if whole:
        guess.more.append(f'format: "{whole[0]}"')
        if len(whole) > 1:
            guess.confirm.append(f"{' and '.join(whole)} fit all dates: which is meant?")
        return True
    chosen, left = _cover(rows, list(shares))
    if not chosen or len(left) > (1 - _ENOUGH) * len(rows):
        return False
    guess.more.append("format: [" + ", ".join(f'"{form}"' for form in chosen) + "]")
    if len(chosen) > 1:
        guess.confirm.append(f"has {len(chosen)} date formats in one column.")
    if left:
        guess.confirm.append(f"{len(left)} values are no such dates.")
    return True


def _cover(sample: list[str], forms: list[str]) -> tuple[list[str], list[str]]:
    """Choose formats one after the other, each for the most of what is left; return also what none fits."""
    chosen: list[str] = []
    left = sample
    while left:
        rest = {form: [text for text in left if isinstance(parse_date(text, (form,)), str)] for form in forms}
        best = min(forms, key=lambda form: len(rest[form]), default=None)
        if best is None or len(rest[best]) == len(left):
            break
        chosen.append(best)
        left = rest[best]
    return chosen, left


def _fits_number(guess: _Guess, known: list[str]) -> bool:
    from leadml.leads._cells import type_column
    from leadml.leads._contract import Column

    sample = known[:: max(1, len(known) // 2_000)]
    symbol = next((_CURRENCIES[char] for char in _CURRENCIES if any(char in text for text in sample)), None)
    if any(re.fullmatch(r"0\d+", text) for text in sample):
        return False  # leading zeros: an identifier
    for decimal, thousands in _NOTATIONS:
        column = Column(
            name="x",
            table="leads",
            source="x",
            role="attribute",
            type="number",
            decimal=decimal,
            thousands=thousands,
            currency=symbol,
        )
        typed = type_column(column, sample)
        if len(typed.bad) > (1 - _ENOUGH) * len(sample):
            continue
        values = typed.series.dropna()
        guess.type = "integer" if bool((values == values.round()).all()) else "number"
        guess.more += [f'decimal: "{decimal}"'] if decimal != "." else []
        guess.more += [f'thousands: "{thousands}"'] if thousands else []
        guess.more += [f"currency: {symbol}"] if symbol else []
        if typed.bad:
            shapes = sorted({mask(sample[row]) for row in typed.bad})[:3]
            guess.confirm.append(f"{len(typed.bad)} values are no numbers ({', '.join(shapes)}).")
        return True
    return False


def _sentinels(known: list[str]) -> list[str]:
    counts = pd.Series(known).value_counts()
    least = max(3, 0.01 * len(known))
    return [word for word in ("999", "9999", "-1", "99999") if counts.get(word, 0) >= least]


def _fits_words(guess: _Guess, counts: pd.Series[Any], n: int) -> None:
    guess.type = "category"
    if len(counts) > max(200, 0.5 * n):
        guess.role = ""
        guess.confirm.append(f"{len(counts):,} different texts in {n:,} rows: free text or names; left out.")
    elif len(counts) > 50:
        guess.confirm.append(f"{len(counts)} different values: too many for a criterion as they are.")


def _choose_roles(guesses: list[_Guess], columns: dict[str, Any], n: int) -> None:
    """Give the roles that values and names make likely: id, created, outcome."""

    def filled(guess: _Guess) -> Any:
        return [text for text in columns[guess.source] if text is not None and str(text).strip()]

    unique = [guess for guess in guesses if guess.role != "personal" and len(set(filled(guess))) == n > 0]
    named = [guess for guess in unique if re.search(r"(^|[\s_])id$|^id($|[\s_])|[a-z]Id$|ID$", guess.source)]
    chosen = (named or [guess for guess in unique if guess.type in {"category", "integer"}])[:1]
    for guess in chosen:
        guess.role, guess.type, guess.more, guess.confirm = "id", "", [], []
    if not chosen:
        line = _Guess("lead_id", "#line", "id", confirm=["no column names each lead; its line does."])
        guesses.insert(0, line)
    for guess in guesses:
        if (
            guess.type == "date"
            and len(filled(guess)) == n
            and re.search(r"creat|date|contact", guess.source, re.IGNORECASE)
        ):
            guess.role = "created"
            guess.confirm.append("taken as the day the lead came in.")
            break
    for guess in guesses:
        words = (
            {str(text).strip() for text in filled(guess)} if guess.type in {"category", "boolean"} else set()
        )
        plain = {word.casefold(): word for word in words}
        won, lost = (
            [plain[word] for word in plain if word in _WON],
            [plain[word] for word in plain if word in _LOST],
        )
        if 2 <= len(words) <= 12 and won and lost:
            guess.role, guess.type = "outcome", ""
            guess.more = [f"won: {_list(won)}", f"lost: {_list(lost)}"]
            guess.confirm.append("taken as the outcome.")
            break


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"


def _write(table: Table, path: Path, guesses: list[_Guess], name: str | None) -> str:
    more = f", format: {table.format}"
    if table.format == "csv":
        delimiter = {"\t": "tab"}.get(table.delimiter, f'"{table.delimiter}"')
        more += f", delimiter: {delimiter}, encoding: {table.encoding}"
    lines = [
        "# Proposed from the file's own values. Check every line, and say which column Sales fills:",
        "#   verdict: {from: leads.…, role: verdict, accepted: […], rejected: […]}",
        f"# Roles: {', '.join(ROLES)}.",
        f"name: {re.sub(r'[^a-z0-9]+', '-', (name or path.stem).lower()).strip('-') or 'leads'}",
        "tables:",
        f"  leads: {{path: {_list([path.name])[1:-1]}{more}}}",
        "columns:",
    ]
    for guess in guesses:
        place = _list([f"leads.{guess.source}"])[1:-1]
        parts = [f"from: {place}", f"role: {guess.role}"]
        parts += [f"type: {guess.type}"] if guess.type else []
        entry = f"  {guess.name}: {{{', '.join([*parts, *guess.more])}}}"
        comment = f"   # {' '.join(guess.confirm)}" if guess.confirm else ""
        if not guess.role:
            lines.append(f"  # {guess.source}: {' '.join(guess.confirm)}")
        else:
            lines.append(entry + comment)
    return "\n".join([*lines, "windows: from data", ""])

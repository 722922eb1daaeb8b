"""A first contract for a file that nobody has described yet: everything in it is to be confirmed."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from leadml.errors import LeadsError
from leadml.leads._audit_values import looks_missing
from leadml.leads._contract import ROLES, Table
from leadml.leads._csv import mask
from leadml.leads._dates import parse_date
from leadml.leads._places import find_table
from leadml.leads._sources import read_header, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leadml.leads._sources import RawTable

__all__ = ["ContractProposal", "propose_contract"]

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
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PERSONAL_WORDS = re.compile(
    r"(e-?mail|phone|mobile|fax|first.?name|last.?name|surname|full.?name|lead.?name|contact.?name|^name$|street"
    r"|address|birth|gender|salutation|password|ssn|passport|national.?id|linked.?in)",
    re.IGNORECASE,
)
_BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"0", "1"}, {"y", "n"}, {"t", "f"})
_WON, _LOST = {"won", "closed won", "1", "true", "yes"}, {"lost", "closed lost", "loss"}
_IDENTIFIER = re.compile(r"(^|_)(f?ids?|guid|uuid)$")
_REP = re.compile(
    r"(^|_)(owner|seller|sales_?rep|sdr|sr|salesperson|assigned_(to|user))(_employee)?(_f?id|_name)?$"
)
_ACCOUNT = re.compile(r"^(property_)?(company|account|organi[sz]ation)(_name|_account)?$")
_AFTERWARDS = re.compile(r"(^|_)(conver|clos|won|lost|decid|decision)")
_OTHER_DAYS = re.compile(r"(^|_)(modif|updat|sync|system|last|recent|hired|expected|start|end|due)")
_CAPTURES = (
    re.compile("creat"),
    re.compile("first_contact|captur|submit|inquir|enter"),
    re.compile("date|contact"),
)
_VERDICT = re.compile(r"(^|_)(accepted|(un|dis)?qualified|converted|rejected)$")
_REASON = re.compile(r"(^|_)(reason|reasons)(_|$)")
_ENOUGH = 0.98
_OFTEN_ZERO = 0.5
_MAX_WORDS = 12
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
    guesses: list[_Guess] = []
    taken: set[str] = set()
    for source in unique:
        if source in nested:
            guesses.append(_Guess("", source, "", confirm=["holds several values per lead; left out."]))
            continue
        texts = raw.columns[source][:: max(1, len(raw.lines) // _SAMPLE)]
        guess = _guess(source, texts, typed=raw.formats.get(source, ()))
        guess.name = _free_name(source, taken)
        guesses.append(guess)
    filled = {
        source: [text for text in raw.columns[source] if text is not None and str(text).strip()]
        for source in raw.columns
    }
    _choose_roles(guesses, filled, len(raw.lines), taken)
    confirm = [(guess.source, text) for guess in guesses for text in guess.confirm]
    if not any(guess.role == "created" for guess in guesses):
        confirm.append(("", "no column says when each lead came in (`role: created`)."))
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
    except LeadsError:
        if table.format not in {"parquet", "duckdb"}:
            raise
    flat = []
    for name in names:
        try:
            read_table(table, place, wanted=[name])
        except LeadsError:
            continue
        flat.append(name)
    return read_table(table, place, wanted=flat), [name for name in names if name not in flat]


def _plain_name(source: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", source)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "column"


def _free_name(source: str, taken: set[str]) -> str:
    name = _plain_name(source)
    name = f"c_{name}" if name[0].isdigit() else name
    while name in taken:
        name += "_2"
    taken.add(name)
    return name


def _guess(source: str, texts: Any, *, typed: Sequence[str]) -> _Guess:
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
    if _are_typed_dates(rest, typed) or _fits_date(guess, rest):
        guess.type = "date"
    elif _is_boolean(rest):
        guess.type = "category" if markers else "boolean"
    elif _IDENTIFIER.search(_plain_name(source)) or not _fits_number(guess, rest):
        _fits_words(guess, counts, len(known))
    if guess.type in {"number", "integer"}:
        markers += _sentinels(rest)
        zeros = sum(int(counts.get(word, 0)) for word in ("0", "0.0")) / len(known)
        if zeros >= _OFTEN_ZERO and len(counts) > _MAX_WORDS:
            guess.confirm.append(f"0 in {100 * zeros:.0f} % of the rows: none, or no value?")
    if markers:
        guess.confirm.append(f"{', '.join(markers[:6])}: no value? Then declare `missing`.")
    if len(counts) == 1 and guess.role:
        guess.confirm.append("has one value only.")
    return guess


def _are_typed_dates(known: list[str], formats: Sequence[str]) -> bool:
    return bool(formats) and not any(
        isinstance(parse_date(text, tuple(formats)), str) for text in known[:: max(1, len(known) // 500)]
    )


def _is_boolean(known: list[str]) -> bool:
    words = {text.casefold() for text in known}
    return words in _BOOLEANS or (
        len(words) == 1 and not words <= {"0", "1"} and any(words < pair for pair in _BOOLEANS)
    )


def _is_personal(source: str, known: list[str]) -> bool:
    if _is_boolean(known):
        return False
    if _PERSONAL_WORDS.search(source):
        return True
    sample = known[:500]
    emails = sum(_EMAIL.fullmatch(text) is not None for text in sample)
    phones = sum(
        _PHONE.fullmatch(text) is not None
        and sum(map(str.isdigit, text)) >= 9
        and not _PLAIN_NUMBER.fullmatch(text)
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


def _choose_roles(guesses: list[_Guess], filled: dict[str, list[Any]], n: int, taken: set[str]) -> None:
    """Give the roles that values and names make likely; say which others there may be."""
    attributes = [guess for guess in guesses if guess.role == "attribute"]
    _choose_id(guesses, filled, n, taken)
    _choose_created(attributes, filled, n)
    _choose_outcome(attributes, filled)
    _choose_first(attributes, filled, _REP, "rep", "taken as who worked the lead.")
    _choose_first(attributes, filled, _ACCOUNT, "account", "taken as the lead's company.")
    for guess in attributes:
        if guess.role == "attribute":
            _hint(guess, filled[guess.source], n)


def _choose_id(guesses: list[_Guess], filled: dict[str, list[Any]], n: int, taken: set[str]) -> None:
    unique = [
        guess
        for guess in guesses
        if guess.role != "personal" and guess.source in filled and len(set(filled[guess.source])) == n > 0
    ]
    named = [guess for guess in unique if _IDENTIFIER.search(_plain_name(guess.source))]
    rest = [guess for guess in unique if guess.type in {"category", "integer"}]
    chosen = min(named, key=_rank_of_id, default=rest[0] if rest else None)
    if chosen is not None:
        chosen.role, chosen.type, chosen.more, chosen.confirm = "id", "", [], []
        return
    line = _Guess(
        _free_name("lead_id", taken), "#line", "id", confirm=["no column names each lead; its line does."]
    )
    guesses.insert(0, line)


def _rank_of_id(guess: _Guess) -> int:
    name = _plain_name(guess.source)
    if name in {"id", "record_id", "lead_id", "hs_object_id", "leadid"}:
        return 0
    return (
        1
        if not re.search(r"(owner|_by_|account|contact|converted|campaign|master|user|session)", name)
        else 2
    )


def _choose_created(attributes: list[_Guess], filled: dict[str, list[Any]], n: int) -> None:
    """Take the day on which each lead came in: always there, and not the day of something later."""
    whole = [
        (guess, _plain_name(guess.source))
        for guess in attributes
        if guess.type == "date" and len(filled[guess.source]) == n
    ]
    fit = [each for each in whole if not _AFTERWARDS.search(each[1]) and not _OTHER_DAYS.search(each[1])]
    for words in _CAPTURES:
        for guess, name in fit:
            if words.search(name):
                guess.role = "created"
                guess.confirm.append("taken as the day the lead came in.")
                return


def _choose_outcome(attributes: list[_Guess], filled: dict[str, list[Any]]) -> None:
    for guess in attributes:
        if guess.role != "attribute" or guess.type not in {"category", "boolean"}:
            continue
        plain = {str(text).strip().casefold(): str(text).strip() for text in filled[guess.source]}
        won, lost = ([plain[word] for word in plain if word in words] for words in (_WON, _LOST))
        if 2 <= len(plain) <= _MAX_WORDS and won and lost:
            guess.role, guess.type = "outcome", ""
            guess.more = [f"won: {_list(won)}", f"lost: {_list(lost)}"]
            guess.confirm = ["taken as the outcome."]
            return


def _choose_first(
    attributes: list[_Guess], filled: dict[str, list[Any]], names: re.Pattern[str], role: str, why: str
) -> None:
    for guess in attributes:
        values = filled[guess.source]
        if (
            guess.role == "attribute"
            and guess.type in {"category", "integer"}
            and names.search(_plain_name(guess.source))
            and 1 < len(set(values)) < len(values)
        ):
            guess.role, guess.type, guess.more, guess.confirm = role, "", [], [why]
            return


def _hint(guess: _Guess, values: list[Any], n: int) -> None:
    """Say what a column may be instead of an attribute."""
    name = _plain_name(guess.source)
    n_words = len(set(values))
    if guess.type == "date" and _AFTERWARDS.search(name):
        guess.confirm.append(
            "may be the day of the verdict or of the deal's end (`role: decided` or `closed`)."
        )
    elif guess.type == "integer" and n_words == n > _MAX_WORDS:
        guess.confirm.append("differs in every row: the number of a record is no attribute.")
    elif _REASON.search(name):
        guess.confirm.append("may be Sales' reason (`role: reason`).")
    elif _VERDICT.search(name) and n_words <= _MAX_WORDS:
        guess.confirm.append("may be the verdict (`role: verdict`); an attribute it is not.")
    elif re.search(r"(^|_)won$", name) and n_words <= _MAX_WORDS:
        guess.confirm.append("may be the outcome (`role: outcome`); an attribute it is not.")


def _stem(path: str) -> str:
    return path.rpartition("#")[2] if "://" in path else re.sub(r"(\.\w{1,8})+$", "", path)


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"


def _write(table: Table, guesses: list[_Guess], name: str | None) -> str:
    path = table.path or ""
    more = f", format: {table.format}"
    more += f", sheet: {_list([table.sheet])[1:-1]}" if table.sheet is not None else ""
    if table.format == "csv":
        delimiter = {"\t": "tab"}.get(table.delimiter, f'"{table.delimiter}"')
        more += f", delimiter: {delimiter}, encoding: {table.encoding}"
    lines = [
        "# Proposed from the file's own values. Check every line, and say which column Sales fills:",
        "#   verdict: {from: leads.…, role: verdict, accepted: […], rejected: […]}",
        f"# Roles: {', '.join(ROLES)}.",
        f"name: {re.sub(r'[^a-z0-9]+', '-', (name or _stem(path)).lower()).strip('-') or 'leads'}",
        "tables:",
        f"  leads: {{path: {_list([path])[1:-1]}{more}}}",
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

"""From the texts of one column to typed values, each distinct text read once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.leads._dates import parse_date, to_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from leadml.leads._contract import Column

__all__ = ["TypedColumn", "empty_series", "level_series", "text_series", "type_column"]

_TRUE = frozenset({"true", "yes", "1", "t", "y", "1.0"})
_FALSE = frozenset({"false", "no", "0", "f", "n", "0.0"})
_SYMBOLS = {
    "USD": ("$", "US$"),
    "EUR": ("€",),
    "GBP": ("£",),
    "JPY": ("¥", "￥"),
    "INR": ("₹",),
    "CHF": ("Fr.", "SFr."),
}
_PERCENT = frozenset({"%", "percent", "per cent", "percentage", "pct"})
_EXACT = 2**63 - 1
Bad = str


@dataclass(slots=True)
class TypedColumn:
    """One typed column and what went wrong in it.

    Attributes
    ----------
    series : Series
        Typed as the contract says; a broken cell is missing here.
    bad : dict of int to str
        Positions of broken cells with the rule each breaks.
    unlisted : dict of str to int
        Words of a verdict or outcome that the contract does not name, with counts.
    """

    series: pd.Series[Any]
    bad: dict[int, str]
    unlisted: dict[str, int]


def empty_series(column: Column, n: int) -> pd.Series[Any]:
    """Return `n` missing values of the column's type."""
    return type_column(column, [""] * n).series


def type_column(column: Column, texts: Any) -> TypedColumn:
    """Read the texts of one column as the contract declares them.

    Parameters
    ----------
    column : Column
        The declaration.
    texts : sequence of str or None
        One per row; None is missing.

    Returns
    -------
    TypedColumn
    """
    codes, uniques = pd.factorize(np.asarray(texts, dtype=object), use_na_sentinel=True)
    read = _checked(column, _reader(column))
    is_missing = _missing_test(column)
    plain = _plain_numbers(column, uniques)
    parsed: list[object] = []
    rules: dict[int, str] = {}
    unlisted_codes: dict[int, str] = {}
    for position, raw in enumerate(uniques):
        if plain is not None and plain[position] is not None:
            parsed.append(plain[position])
            continue
        text = str(raw)
        if is_missing(text):
            parsed.append(None)
            continue
        value = read(text)
        if isinstance(value, _Broken):
            rules[position] = value.rule
            parsed.append(None)
        elif isinstance(value, _Unlisted):
            unlisted_codes[position] = text.strip()
            parsed.append(value.meaning)
        else:
            parsed.append(value)
    bad = (
        {int(row): rules[int(codes[row])] for row in np.flatnonzero(np.isin(codes, list(rules)))}
        if rules
        else {}
    )
    counts = (
        np.bincount(codes[codes >= 0], minlength=len(uniques)) if unlisted_codes else np.zeros(0, dtype=int)
    )
    unlisted = {word: int(counts[position]) for position, word in unlisted_codes.items()}
    return TypedColumn(_series(column, codes, parsed), bad, unlisted)


@dataclass(frozen=True, slots=True)
class _Broken:
    rule: str


@dataclass(frozen=True, slots=True)
class _Unlisted:
    meaning: str | None


def _checked(column: Column, read: Callable[[str], object]) -> Callable[[str], object]:
    """Refuse an identifier that a spreadsheet has rounded: several leads would share it."""
    if column.role not in {"id", "account"}:
        return read
    return lambda text: _Broken("id_rounded") if _ROUNDED.fullmatch(text.strip()) else read(text)


def _missing_words(column: Column) -> set[str]:
    return {word.strip() for word in column.missing} | {""}


def _missing_numbers(column: Column) -> set[Decimal]:
    values = (_number(word, column) for word in _missing_words(column))
    return {value for value in values if isinstance(value, Decimal)}


def _plain_numbers(column: Column, texts: Any) -> list[float | None] | None:
    """Read many numbers such as 12 or -3.25 at once; None for every text that has to be looked at."""
    if column.type != "number" or column.role in {"verdict", "outcome", "id", "account"}:
        return None
    if len(texts) < _MANY or column.decimal != "." or column.thousands == ".":
        return None
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        words = pa.array(texts, pa.large_string())
    except (pa.ArrowException, ValueError):  # not all are texts that can be written as UTF-8
        return None
    known = pc.if_else(pc.match_substring_regex(words, _PLAIN_NUMBER), words, None)
    values = pc.cast(known, pa.float64())
    markers = pa.array([float(value) for value in _missing_numbers(column)], pa.float64())
    found: list[float | None] = pc.if_else(pc.is_in(values, markers), None, values).to_pylist()
    return found


def _missing_test(column: Column) -> Callable[[str], bool]:
    words = _missing_words(column)
    if column.type not in {"number", "integer"}:
        return lambda text: text.strip() in words
    numbers = _missing_numbers(column)

    def is_missing(text: str) -> bool:
        if text.strip() in words:
            return True
        return bool(numbers) and _number(text.strip(), column) in numbers

    return is_missing


def _reader(column: Column) -> Callable[[str], object]:
    if column.role in {"verdict", "outcome"}:
        return _label_reader(column)
    if column.type in {"number", "integer", "sequence"}:
        whole = column.type == "integer"
        return lambda text: _typed_number(text.strip(), column, whole=whole)
    if column.type == "boolean":
        return _boolean_reader(column)
    if column.type == "date":
        formats, zone = column.format, column.zone

        def read_date(text: str) -> object:
            value = parse_date(text.strip(), formats)
            if isinstance(value, datetime) and zone is not None:
                value = to_utc(value, zone)
            return _Broken(value) if isinstance(value, str) else value

        return read_date
    if column.type in {"category", "ordinal"} and column.levels:
        levels = {level.strip(): level for level in column.levels}
        return lambda text: levels.get(text.strip(), _Broken("level"))
    return lambda text: text


def _label_reader(column: Column) -> Callable[[str], object]:
    meaning = {word.strip(): value for word, value in column.meaning_of().items()}
    rest = "pending" if column.role == "verdict" else "open"

    def read(text: str) -> object:
        value = meaning.get(text.strip(), meaning.get("*"))
        if value is not None:
            return value
        return _Broken("value") if column.otherwise == "quarantine" else _Unlisted(rest)

    return read


def _boolean_reader(column: Column) -> Callable[[str], object]:
    true = {word.strip() for word in column.true}
    false = {word.strip() for word in column.false}
    if not true and not false:
        return lambda text: (
            True
            if text.strip().lower() in _TRUE
            else False
            if text.strip().lower() in _FALSE
            else _Broken("boolean")
        )
    return lambda text: (
        True if text.strip() in true else False if text.strip() in false else _Broken("boolean")
    )


def _typed_number(text: str, column: Column, *, whole: bool) -> object:
    if len(text) <= 15 and text.isascii() and text.isdigit():
        return int(text) if whole else float(text)
    if not whole and column.decimal == "." and _PLAIN.fullmatch(text):
        return float(text)
    value = _number(text, column)
    if isinstance(value, Bad):
        return _Broken("integer" if whole and value == "number" else value)
    if not whole:
        return float(value)
    if value != value.to_integral_value():
        return _Broken("integer")
    return int(value) if abs(value) <= _EXACT else _Broken("range")


def _number(text: str, column: Column) -> Decimal | Bad:
    """Read one number in the declared notation, or return the rule that it breaks."""
    negative = False
    if column.thousands == " ":
        text = text.replace("\u00a0", " ").replace("\u202f", " ")
    if column.currency is not None and text.startswith("(") and text.endswith(")"):
        negative, text = True, text[1:-1].strip()
    text, signed = _without_sign(text)
    text = _without_currency(text, column)
    if not signed and not negative:
        text, signed = _without_sign(text)
    negative ^= signed == "-"
    if text.endswith("%") and (column.unit or "").strip().lower() in _PERCENT:
        text = text[:-1].rstrip()
    factor = Decimal(1)
    for suffix, multiplier in column.suffixes:
        if text.endswith(suffix):
            text, factor = text[: -len(suffix)].rstrip(), multiplier
            break
    match = _number_pattern(column.decimal, column.thousands).fullmatch(text)
    if match is None:
        return "number"
    plain = match["whole"].replace(column.thousands, "") if column.thousands else match["whole"]
    value = Decimal(f"{plain or '0'}.{match['part'] or '0'}E{match['power'] or '0'}") * factor
    if not value.is_finite() or abs(value.adjusted()) > 300:
        return "range"
    return -value if negative else value


_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")  # what a spreadsheet makes of a long number
_PLAIN_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,20})?$"
_MANY = 100  # from here on reading them at once is quicker
_PLAIN = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,20}")
_PATTERNS: dict[tuple[str, str], re.Pattern[str]] = {}


def _number_pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    key = (decimal, thousands)
    if key not in _PATTERNS:
        groups = rf"[0-9]{{1,3}}(?:{re.escape(thousands)}[0-9]{{3}})+|" if thousands else ""
        d = re.escape(decimal)
        _PATTERNS[key] = re.compile(
            rf"(?=[0-9]|{d}[0-9])(?P<whole>{groups}[0-9]*)(?:{d}(?P<part>[0-9]*))?(?:[eE](?P<power>[+-]?[0-9]{{1,3}}))?"
        )
    return _PATTERNS[key]


def _without_sign(text: str) -> tuple[str, str]:
    if text[:1] in {"-", "+"}:
        return text[1:].lstrip(), text[0]
    if text[:1] == "\u2212":
        return text[1:].lstrip(), "-"
    return text, ""


def _without_currency(text: str, column: Column) -> str:
    if column.currency is None:
        return text
    code = column.currency
    for symbol in sorted((code, *_SYMBOLS.get(code.upper(), ())), key=len, reverse=True):
        if text.startswith(symbol):
            return text[len(symbol) :].lstrip()
        if text.endswith(symbol):
            return text[: -len(symbol)].rstrip()
    return text


def _series(column: Column, codes: NDArray[np.int64], parsed: list[object]) -> pd.Series[Any]:
    """Spread the distinct values over the rows with the column's dtype."""
    n = len(codes)
    kind = column.type
    if column.role in {"verdict", "outcome"}:
        names = ["accepted", "rejected", "pending"] if column.role == "verdict" else ["won", "lost", "open"]
        numbers = np.array([names.index(str(value)) if value is not None else 2 for value in [*parsed, None]])
        return level_series(numbers[codes], names)
    if kind in {"number", "sequence"}:
        table = np.array([np.nan if value is None else value for value in [*parsed, None]], dtype=np.float64)
        return pd.Series(table[codes] if n else np.zeros(0))
    if kind == "integer":
        known = np.array([value is not None for value in [*parsed, None]], dtype=bool)
        whole = np.array([0 if value is None else value for value in [*parsed, None]], dtype=np.int64)
        return pd.Series(pd.arrays.IntegerArray(whole[codes], ~known[codes]))
    if kind == "boolean":
        known = np.array([value is not None for value in [*parsed, None]], dtype=bool)
        truth = np.array([value is True for value in [*parsed, None]], dtype=bool)
        return pd.Series(pd.arrays.BooleanArray(truth[codes], ~known[codes]))
    if kind == "date":
        return _dates(column, codes, parsed)
    if kind in {"category", "ordinal"}:
        levels = list(column.levels) or sorted({str(value) for value in parsed if value is not None})
        place = {level: position for position, level in enumerate(levels)}
        numbers = np.array(
            [-1 if value is None else place[str(value)] for value in [*parsed, None]], dtype=np.int64
        )
        return level_series(numbers[codes], levels, order="declared" if kind == "ordinal" else "none")
    table = np.array([*parsed, None], dtype=object)
    return text_series(table[codes])


def level_series(
    codes: Any, levels: Sequence[str], *, order: Literal["none", "declared"] = "none"
) -> pd.Series[Any]:
    """Return categories from their positions in `levels` (-1: missing)."""
    whole: Any = np.asarray(codes, dtype=np.int64)
    names: Any = list(levels)
    return pd.Series(pd.Categorical.from_codes(whole, categories=names, ordered=order == "declared"))


def text_series(values: Any) -> pd.Series[Any]:
    """Return texts as pandas text (`str` since pandas 3, else objects)."""
    series = pd.Series(np.asarray(values, dtype=object), dtype=object)
    return series.astype("str") if int(pd.__version__.split(".")[0]) >= 3 else series


def _dates(column: Column, codes: NDArray[np.int64], parsed: list[object]) -> pd.Series[Any]:
    instants = np.array(
        [
            np.datetime64(value.replace(tzinfo=None), "us")
            if isinstance(value, datetime)
            else np.datetime64("NaT")
            for value in [*parsed, None]
        ],
        dtype="datetime64[us]",
    )
    series = pd.Series(instants[codes])
    return series.dt.tz_localize("UTC") if column.zoned else series

"""From the texts of one column to typed values, each distinct text read once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.leads._dates import has_zone, parse_date, to_utc
from leadml.leads._shapes import parse_dates
from leadml.leads._texts import Texts, find_loose_ends, string_bytes

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
    cells = texts if isinstance(texts, Texts) else Texts(texts)
    at_once = _read_at_once(column, cells)
    if at_once is None:
        return _read_distinct(column, cells)
    series, odd = at_once
    rows = np.flatnonzero(odd)
    if not len(rows):
        return TypedColumn(series, {}, {})
    rest = _read_distinct(column, cells.take(rows))
    series.iloc[rows] = rest.series.array
    return TypedColumn(series, {int(rows[row]): rule for row, rule in rest.bad.items()}, rest.unlisted)


def _read_distinct(column: Column, cells: Texts) -> TypedColumn:
    """Read each distinct text once."""
    codes, uniques = cells.factorize()
    read = _checked(column, _reader(column))
    is_missing = _missing_test(column)
    parsed: list[object] = []
    rules: dict[int, str] = {}
    unlisted_codes: dict[int, str] = {}
    for position, raw in enumerate(uniques):
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
    unlisted: dict[str, int] = {}
    for position, word in unlisted_codes.items():
        unlisted[word] = unlisted.get(word, 0) + int(counts[position])
    return TypedColumn(_series(column, codes, parsed), bad, unlisted)


# -- whole columns at once -----------------------------------------------------------------------------------


def _read_at_once(column: Column, cells: Texts) -> tuple[pd.Series[Any], NDArray[np.bool_]] | None:
    """Read the plain cells of a column together; say which are not plain, or None if the kind is no such one.

    A plain cell is one of which no rule can make anything else: what the distinct texts would give.
    """
    if column.role in {"verdict", "outcome"} or column.type in _DISTINCT_KINDS or cells.arrow is None:
        return None
    if column.type in {"number", "integer"} and column.role not in {"id", "account"}:
        return _numbers_at_once(column, cells)
    if column.type == "date":
        return _dates_at_once(column, cells)
    if column.type in {"number", "integer"} or not cells.is_text:
        return None
    return _texts_at_once(column, cells)


def _numbers_at_once(column: Column, cells: Texts) -> tuple[pd.Series[Any], NDArray[np.bool_]] | None:
    import pyarrow as pa

    ends = [suffix[-1:] for suffix, _ in column.suffixes]
    if column.decimal == column.thousands or any(end in "0123456789.,-" for end in ends):
        return None
    markers = [float(value) for value in _missing_numbers(column)]
    whole = column.type == "integer"
    kind = cells.arrow.type
    if cells.is_text:
        read = _plain_numbers(cells.arrow, whole=whole, decimal=column.decimal)
        if read is None:
            return None
        values, odd = read
    elif column.decimal == "." and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        values, odd = cells.arrow, np.zeros(len(cells), dtype=bool)
    else:
        return None
    missing = values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    if whole and numbers.dtype.kind == "f":
        odd |= ~missing & ~((np.trunc(numbers) == numbers) & (np.abs(numbers) < 2**53))
        numbers = np.where(missing | odd, 0, numbers).astype(np.int64)
    if markers:
        odd |= np.isin(numbers, markers) & ~missing
    if whole:
        return pd.Series(pd.arrays.IntegerArray(numbers.astype(np.int64), missing | odd)), odd
    floats = np.where(missing, np.nan, numbers)
    size = np.abs(floats)
    odd |= (size >= _LARGE) | ((size < 1 / _LARGE) & (size > 0))
    return pd.Series(floats), odd


def _plain_numbers(texts: Any, *, whole: bool, decimal: str) -> tuple[Any, NDArray[np.bool_]] | None:
    """Read digits with a sign and a decimal mark; say which texts are more than that."""
    import pyarrow as pa
    import pyarrow.compute as pc

    offsets, data = string_bytes(texts)
    lengths = np.diff(offsets)
    plain = _INTEGER_BYTES if whole else _NUMBER_BYTES.get(decimal)
    if plain is None:
        return None
    odd = lengths > (_DIGITS if whole else 2 * _DIGITS)
    strange = np.flatnonzero(~plain[data])
    if len(strange):
        odd[np.searchsorted(offsets, strange, side="right") - 1] = True
    filled = np.flatnonzero(lengths)
    odd[filled] |= ~_DIGIT_BYTES[data[offsets[1:][filled] - 1]]
    odd &= texts.is_valid().to_numpy(zero_copy_only=False)
    words = pc.if_else(pa.array(odd | (lengths == 0)), None, texts)
    if decimal != "." and not whole:
        words = pc.replace_substring(words, decimal, ".")
    target = pa.int64() if whole else pa.float64()
    try:
        return words.cast(target), odd
    except pa.ArrowInvalid:  # such as 1-2
        known = pc.match_substring_regex(words, _PLAIN_INTEGER if whole else _PLAIN_NUMBER)
        odd |= (~known.to_numpy(zero_copy_only=False).astype(bool)) & words.is_valid().to_numpy(
            zero_copy_only=False
        )
        return pc.if_else(known, words, None).cast(target), odd


def _dates_at_once(column: Column, cells: Texts) -> tuple[pd.Series[Any], NDArray[np.bool_]] | None:
    import pyarrow as pa

    words = _missing_words(column)
    if not cells.is_text:
        own, others = column.format[: len(cells.formats)], column.format[len(cells.formats) :]
        if (
            not cells.formats
            or own != cells.formats
            or column.zone is not None
            or any("T" in word for word in (*others, *words))
        ):
            return None  # read as texts
        instants = cells.arrow.cast(pa.int64()).fill_null(_NO_TIME).to_numpy()
        return _instants(column, instants), np.zeros(len(cells), dtype=bool)
    encoded = cells.arrow.dictionary_encode()
    texts, codes = encoded.dictionary, encoded.indices.fill_null(-1).to_numpy()
    parsed, known = parse_dates(texts, column.format)
    if column.zone is not None and not all(has_zone(form) for form in column.format):
        return None
    known &= ~np.isin(texts.to_numpy(zero_copy_only=False).astype(object), list(words))
    empty = np.array([text == "" for text in texts.to_pylist()], dtype=bool)
    instants = np.append(np.where(known, parsed, _NO_TIME), _NO_TIME)[codes]
    return _instants(column, instants), np.append(~known & ~empty, False)[codes]


def _texts_at_once(column: Column, cells: Texts) -> tuple[pd.Series[Any], NDArray[np.bool_]]:
    """Keep texts as they are; odd is what has spaces around it, or may be a rounded number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    odd = find_loose_ends(cells.arrow)
    if column.role in {"id", "account"}:
        offsets, data = string_bytes(cells.arrow)
        plus = np.flatnonzero(data == ord("+"))
        odd[np.searchsorted(offsets, plus, side="right") - 1] = True
    odd &= cells.arrow.is_valid().to_numpy(zero_copy_only=False)
    words = pa.array(sorted(_missing_words(column)), pa.large_string())
    plain = pc.if_else(pc.or_(pc.is_in(cells.arrow, words), pa.array(odd)), None, cells.arrow)
    return arrow_series(plain), odd


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


def _bytes_of(plain: bytes) -> NDArray[np.bool_]:
    found = np.zeros(256, dtype=bool)
    found[list(plain)] = True
    return found


_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")  # what a spreadsheet makes of a long number
_PLAIN_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,20})?$"
_PLAIN_INTEGER = r"^-?[0-9]{1,14}$"
_DISTINCT_KINDS = frozenset({"sequence", "boolean", "category", "ordinal"})
_DIGITS = 15  # so many are exact in any notation
_LARGE = 1e299
_NO_TIME = np.iinfo(np.int64).min
_PLAIN = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,20}")
_INTEGER_BYTES, _DIGIT_BYTES = _bytes_of(b"0123456789-"), _bytes_of(b"0123456789")
_NUMBER_BYTES = {mark: _bytes_of(b"0123456789-" + mark.encode()) for mark in ".,"}
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


def arrow_series(texts: Any) -> pd.Series[Any]:
    """Return an Arrow array of texts as `text_series` does."""
    if int(pd.__version__.split(".")[0]) < 3:
        return pd.Series(texts.to_numpy(zero_copy_only=False), dtype=object)
    return pd.Series(pd.StringDtype(na_value=np.nan).__from_arrow__(texts))  # type: ignore[attr-defined]


def _dates(column: Column, codes: NDArray[np.int64], parsed: list[object]) -> pd.Series[Any]:
    instants = np.array(
        [
            np.datetime64(value.replace(tzinfo=None), "us").astype(np.int64)
            if isinstance(value, datetime)
            else _NO_TIME
            for value in [*parsed, None]
        ],
        dtype=np.int64,
    )
    return _instants(column, instants[codes])


def _instants(column: Column, instants: NDArray[np.int64]) -> pd.Series[Any]:
    series = pd.Series(instants.view("datetime64[us]"))
    return series.dt.tz_localize("UTC").copy() if column.zoned else series  # a copy may be changed

"""What the values of one column say it is: a type, its notation, words for "no value", something personal."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._audit_values import find_sentinels, looks_missing
from leadml.leads._cells import type_column
from leadml.leads._contract import Column
from leadml.leads._csv import mask
from leadml.leads._dates import parse_date

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["IDENTIFIER", "MAX_WORDS", "Guess", "as_yaml_list", "free_name", "guess_column", "plain_name"]

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
_SUFFIXES = {
    "k": Decimal(1_000),
    "K": Decimal(1_000),
    "m": Decimal(1_000_000),
    "M": Decimal(1_000_000),
    "B": Decimal(1_000_000_000),
}
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[\d\s().-]{8,}")
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PERSONAL_WORDS = re.compile(
    r"(e-?mail|phone|mobile|fax|first.?name|last.?name|surname|full.?name|lead.?name|contact.?name|^name$|street"
    r"|address|birth|gender|salutation|password|ssn|passport|national.?id|linked.?in"
    r"|telefon|handy|vorname|nachname|ansprechpartner|anrede|straße|strasse|anschrift|adresse|geburt"
    r"|courriel|téléphone|telephone|prénom|prenom|correo|teléfono|apellido|direcci[oó]n)",
    re.IGNORECASE,
)
_BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"0", "1"}, {"y", "n"}, {"t", "f"})
IDENTIFIER = re.compile(r"(^|_)(f?ids?|guid|uuid)$")
_ENOUGH = 0.98
_OFTEN_ZERO = 0.5
_FEW_WORDS, _RARELY = 3, 0.5  # of a column whose other values are numbers or dates
MAX_WORDS = 12


@dataclass(slots=True)
class Guess:
    name: str
    source: str
    role: str
    type: str = ""
    more: list[str] = field(default_factory=list)
    confirm: list[str] = field(default_factory=list)


def guess_column(source: str, texts: Any, *, typed: Sequence[str]) -> Guess:
    known = [str(text).strip() for text in texts if text is not None and str(text).strip()]
    guess = Guess("", source, "attribute")
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
    markers += _words_among_digits(counts, set(markers))
    rest = [text for text in known if text not in set(markers)] or known
    if _are_typed_dates(rest, typed) or _fits_date(guess, rest):
        guess.type = "date"
    elif _is_boolean(rest):
        guess.type = "category" if markers else "boolean"
    elif IDENTIFIER.search(plain_name(source)) or not _fits_number(guess, rest):
        markers = [word for word in markers if looks_missing(word)]
        _fits_words(guess, counts, len(known))
    if guess.type in {"number", "integer"}:
        markers += _sentinels(guess, rest)
        zeros = sum(int(counts.get(word, 0)) for word in ("0", "0.0")) / len(known)
        if zeros >= _OFTEN_ZERO and len(counts) > MAX_WORDS:
            guess.confirm.append(f"0 in {100 * zeros:.0f} % of the rows: none, or no value?")
    if markers:
        guess.confirm.append(f"{', '.join(markers[:6])}: no value? Then declare `missing`.")
    if len(counts) == 1 and guess.role:
        guess.confirm.append("has one value only.")
    return guess


def _words_among_digits(counts: pd.Series[Any], markers: set[str]) -> list[str]:
    """Find the few words, in any language, that are written again and again where others have digits."""
    words = [str(word) for word in counts.index if not re.search(r"\d", str(word))]
    words = [word for word in words if word not in markers]
    n = int(counts.sum())
    few = 0 < len(words) <= _FEW_WORDS and int(counts[words].sum()) <= _RARELY * n
    return words if few and int(counts[words].min()) >= max(3, 0.001 * n) else []


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


def _fits_date(guess: Guess, known: list[str]) -> bool:
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


def _fits_number(guess: Guess, known: list[str]) -> bool:
    sample = known[:: max(1, len(known) // 2_000)]
    if any(re.fullmatch(r"0\d+", text) for text in sample):
        return False  # leading zeros: an identifier
    column = _number_column(sample)
    if column is None:
        return False
    typed = type_column(column, sample)
    values = typed.series.dropna()
    guess.type = "integer" if bool((values == values.round()).all()) else "number"
    guess.more += [f'decimal: "{column.decimal}"'] if column.decimal != "." else []
    guess.more += [f'thousands: "{column.thousands}"'] if column.thousands else []
    guess.more += [f"currency: {column.currency}"] if column.currency else []
    guess.more += ['unit: "%"'] if column.unit else []
    if column.suffixes:
        pairs = ", ".join(f"{suffix}: {factor}" for suffix, factor in column.suffixes)
        guess.more.append(f"suffixes: {{{pairs}}}")
        guess.confirm.append(f"read with {pairs}.")
    if typed.bad:
        shapes = sorted({mask(sample[row]) for row in typed.bad})[:3]
        guess.confirm.append(f"{len(typed.bad)} values are no numbers ({', '.join(shapes)}).")
    return True


def _number_column(sample: list[str]) -> Column | None:
    """Return the notation in which practically all are numbers, the plainest first; None if there is none."""
    symbol = next((_CURRENCIES[char] for char in _CURRENCIES if any(char in text for text in sample)), None)
    ends = {text[-1:] for text in sample if re.search(r"\d\s*[A-Za-z]$", text)}
    suffixes = tuple((end, _SUFFIXES[end]) for end in sorted(ends) if end in _SUFFIXES)
    percent = any(text.endswith("%") for text in sample)
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
            unit="%" if percent else None,
            suffixes=suffixes,
        )
        if len(type_column(column, sample).bad) <= (1 - _ENOUGH) * len(sample):
            return column
    return None


def _sentinels(guess: Guess, known: list[str]) -> list[str]:
    """Find the numbers that are written where there is no value: ``999``, ``-1``."""
    sample = [text for text in known if _PLAIN_NUMBER.fullmatch(text)] if not guess.more else []
    return [f"{value:g}" for value, _ in find_sentinels(np.array(sample, np.float64))] if sample else []


def _fits_words(guess: Guess, counts: pd.Series[Any], n: int) -> None:
    guess.type = "category"
    if len(counts) > max(200, 0.5 * n):
        guess.role = ""
        guess.confirm.append(f"{len(counts):,} different texts in {n:,} rows: free text or names; left out.")
    elif len(counts) > 50:
        guess.confirm.append(f"{len(counts)} different values: too many for a criterion as they are.")


def plain_name(source: str) -> str:
    letters = unicodedata.normalize("NFKD", source.replace("ß", "ss"))
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", letters)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "column"


def free_name(source: str, taken: set[str]) -> str:
    name = plain_name(source)
    name = f"c_{name}" if name[0].isdigit() else name
    while name in taken:
        name += "_2"
    taken.add(name)
    return name


def as_yaml_list(words: Sequence[str]) -> str:
    """Write words as a quoted YAML list."""
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"

"""The grammar of a criterion: one line of text to a typed test, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from leadml._yaml import suggest
from leadml.definitions._definition import Attribute, Criterion, Fault, FaultKind, Operator, Value, slug
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "IDENTIFIER",
    "MAX_NAME",
    "RESERVED",
    "cut_text",
    "format_criterion",
    "format_value",
    "parse_criterion",
    "read_number",
    "suggest_near",
]

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = frozenset({"and", "or", "not", "in", "is", "between", "missing", "known", "true", "false"})
MAX_NAME = 63
"""PostgreSQL cuts longer names off without a word."""
MAX_DIGITS = 15
"""Decimals of up to 15 digits come back unchanged from a float: a threshold means the same everywhere."""

_NAME = r"(?P<name>[^\W\d]\w*)"
_OR_MISSING = re.compile(r"(?<!\s)\s+or\s+missing\Z", re.IGNORECASE)  # (?<!\s): spaces are read once
_PLAIN = re.compile(rf"(?P<no>not\s+)?{_NAME}", re.IGNORECASE)
_IS = re.compile(rf"{_NAME}\s+is\s+(?P<what>known|missing|true|false)", re.IGNORECASE)
_BETWEEN = re.compile(rf"{_NAME}\s+between\s+(?P<low>\S.*?)(?<!\s)\s+and\s+(?P<high>\S.*)", re.IGNORECASE)
_IN = re.compile(rf"{_NAME}\s+(?P<no>not\s+)?in\s*\[(?P<items>.*)\]", re.IGNORECASE | re.DOTALL)
_COMPARE = re.compile(rf"{_NAME}\s*(?P<operator><=|>=|!=|<>|==|=<|=>|≤|≥|≠|<|>|=)\s*(?P<value>.*)", re.DOTALL)
_SYMBOL = re.compile(r"<|>|=|≤|≥|≠")
_MISSPELT = {"==": "=", "=<": "<=", "=>": ">=", "≤": "<=", "≥": ">=", "≠": "!=", "<>": "!="}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")
_ORDERED = frozenset({"<", "<=", ">", ">=", "between"})

_NO_ATTRIBUTE = Fault(
    kind="syntax",
    message="expected `attribute operator value`.",
    fix="Write one test of one attribute, for example `employees >= 50`.",
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one text was read as, before it has an address."""

    attribute: str | None = None
    operator: Operator | None = None
    values: tuple[Value, ...] = ()
    fault: Fault | None = None


def parse_criterion(text: str, *, attributes: Mapping[str, Attribute]) -> Criterion:
    """Read one criterion.

    Parameters
    ----------
    text : str
        For example ``employees between 50 and 500 or missing``.
    attributes : mapping of name to Attribute
        What a criterion may use; see `Definition.typed_attributes`.

    Returns
    -------
    Criterion
        Without a class in its address; prose comes back as not measurable.

    Raises
    ------
    DefinitionError
        If the text is meant as a criterion but cannot be read as one.

    Examples
    --------
    >>> size = Attribute(name="employees", type="integer", unit="people")
    >>> parse_criterion("employees >= 50", attributes={"employees": size}).values
    (Decimal('50'),)
    """
    criterion = read_criterion(text, attributes=attributes)
    if criterion.fault is not None:
        raise DefinitionError(
            f"criterion {cut_text(text)!r}: {criterion.fault.message} {criterion.fault.fix}"
        )
    return criterion


def read_criterion(
    text: str, *, attributes: Mapping[str, Attribute], line: int = 0, column: int = 0
) -> Criterion:
    """Read one criterion; one that is broken carries its `fault` instead of raising."""
    body = text.strip()
    match = _OR_MISSING.search(body)
    reading = _read(body[: match.start()] if match else body, attributes)
    return Criterion(
        address=reading.attribute or slug(text),
        attribute=reading.attribute,
        operator=reading.operator,
        values=reading.values,
        or_missing=match is not None and reading.attribute is not None,
        text=text,
        line=line,
        column=column,
        fault=reading.fault,
    )


def _read(body: str, attributes: Mapping[str, Attribute]) -> _Reading:
    if (match := _IS.fullmatch(body)) is not None:
        return _read_is(match["name"], match["what"].lower(), attributes)
    if (match := _IN.fullmatch(body)) is not None:
        operator: Operator = "not in" if match["no"] else "in"
        return _read_test(match["name"], operator, _split(match["items"]), attributes)
    if (match := _BETWEEN.fullmatch(body)) is not None:
        texts = [match["low"], match["high"]]
        meant = match["name"] in attributes or _looks_like_values(texts)
        return _read_test(match["name"], "between", texts, attributes) if meant else _Reading()
    if (match := _COMPARE.fullmatch(body)) is not None:
        return _read_comparison(match["name"], match["operator"], match["value"], attributes)
    if (match := _PLAIN.fullmatch(body)) is not None:
        return _read_plain(match["name"], "is false" if match["no"] else "is true", attributes)
    return _Reading(fault=_NO_ATTRIBUTE) if _SYMBOL.search(body) else _Reading()


def _read_comparison(name: str, symbol: str, value: str, attributes: Mapping[str, Attribute]) -> _Reading:
    if symbol not in _MISSPELT:
        return _read_test(name, cast("Operator", symbol), [value], attributes)
    fix = f"Write `{name} {_MISSPELT[symbol]} {cut_text(value)}`."
    return _broken(name, "syntax", f"{symbol!r} is not an operator here.", fix)


def _looks_like_values(texts: list[str]) -> bool:
    return all(_NUMBER.match(text) for text in texts)


def _read_is(name: str, what: str, attributes: Mapping[str, Attribute]) -> _Reading:
    if name not in attributes:
        return _unknown(name, attributes)
    if what in {"known", "missing"}:
        return _Reading(name, cast("Operator", f"is {what}"))
    return _read_plain(name, "is true" if what == "true" else "is false", attributes)


def _read_plain(name: str, operator: Operator, attributes: Mapping[str, Attribute]) -> _Reading:
    attribute = attributes.get(name)
    if attribute is None:
        return _unknown(name, attributes) if "_" in name or suggest_near(name, attributes) else _Reading()
    if attribute.type == "boolean":
        return _Reading(name, operator)
    example = _example(attribute)
    return _broken(
        name,
        "bad_operator",
        f"{name!r} is of type {attribute.type}; only a boolean stands alone.",
        f"Write a test, for example `{example}`.",
    )


def _read_test(
    name: str, operator: Operator, texts: list[str], attributes: Mapping[str, Attribute]
) -> _Reading:
    attribute = attributes.get(name)
    if attribute is None:
        return _unknown(name, attributes)
    if attribute.type == "boolean":
        return _read_boolean(name, operator, texts)
    if attribute.type == "category" and operator in _ORDERED:
        fix = "Use `=`, `!=`, `in` or `not in`, or make it an ordinal with ordered levels."
        return _broken(name, "bad_operator", f"{name!r} is a category and has no order.", fix)
    if not texts or not all(text.strip() for text in texts):
        fix = f"Write, for example, `{_example(attribute)}`."
        return _broken(name, "syntax", f"nothing stands after {operator!r}.", fix)
    values: list[Value] = []
    for text in texts:
        value = _read_value(text.strip(), attribute, operator)
        if isinstance(value, Fault):
            return _Reading(name, operator, (), value)
        values.append(value)
    return _Reading(name, operator, tuple(values))


def _read_boolean(name: str, operator: Operator, texts: list[str]) -> _Reading:
    words = {"true": True, "yes": True, "false": False, "no": False}
    word = words.get(_unquote(texts[0].strip()).lower()) if len(texts) == 1 else None
    if operator in {"=", "!="} and word is not None:
        return _Reading(name, "is true" if word == (operator == "=") else "is false")
    return _broken(name, "bad_operator", f"{name!r} is a boolean.", f"Write `{name}` or `not {name}`.")


def _read_value(text: str, attribute: Attribute, operator: Operator) -> Value | Fault:
    if attribute.is_numeric:
        return _read_threshold(text, attribute)
    word = _unquote(text)
    if attribute.type == "date":
        return _read_day(word)
    if (
        word == text
        and (_SYMBOL.search(text) or re.search(r"\s(and|or)\s", text))
        and word not in attribute.levels
    ):
        return Fault(
            kind="syntax",
            message=f"one criterion tests one attribute; {cut_text(text)!r} is more than a level.",
            fix="Put each test on its own line under `all_of` or `any_of`, or quote the level.",
        )
    if attribute.type == "ordinal" and operator in _ORDERED and word not in attribute.levels:
        return Fault(
            kind="unknown_level",
            message=f"{cut_text(word)!r} is not a level of {attribute.name!r}."
            + suggest_near(word, attribute.levels),
            fix=f"Use one of {cut_text(', '.join(attribute.levels))}.",
        )
    return word


def _read_threshold(text: str, attribute: Attribute) -> Decimal | Fault:
    match = re.fullmatch(rf"({_NUMBER.pattern})(?:\s+(\S.*))?", text)
    if match is None:
        return Fault(
            kind="bad_value",
            message=f"expected a number for {attribute.name!r}, got {text[:60]!r}.",
            fix=_number_hint(text, attribute),
        )
    number = read_number(match[1])
    if number is None:
        return Fault(
            kind="bad_value",
            message=f"a number of {len(match[1])} characters is too long.",
            fix=f"Write at most {MAX_DIGITS} digits.",
        )
    unit = match[2]
    if unit is None or _same_unit(unit, attribute.unit):
        return number
    if re.search(r"\b(and|or)\b", unit):
        message = f"one criterion tests one attribute; {cut_text(text)!r} is more than a number."
        return Fault(
            kind="syntax", message=message, fix="Put each test on its own line under `all_of` or `any_of`."
        )
    declared = f"is in {attribute.unit}" if attribute.unit else "has no unit"
    return Fault(
        kind="bad_value",
        message=f"{attribute.name!r} {declared}, not in {cut_text(unit)!r}.",
        fix=f"Write the number in {attribute.unit}."
        if attribute.unit
        else "Declare the unit of the attribute.",
    )


def _number_hint(text: str, attribute: Attribute) -> str:
    digits = text.replace(",", "").replace("_", "").replace(" ", "").strip("$€£%+")
    if _NUMBER.fullmatch(digits) and len(digits) <= MAX_DIGITS:
        return f"Write {digits}."
    if (match := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)[kK]", digits)) is not None:
        return f"Write {format_value(Decimal(match[1]) * 1000)}."
    return f"Write a plain decimal number, for example `{_example(attribute)}`."


def read_number(text: str) -> Decimal | None:
    """Return the decimal a text writes, or None if it is not a plain number of at most 15 digits."""
    if _NUMBER.fullmatch(text) is None or sum(char.isdigit() for char in text) > MAX_DIGITS:
        return None
    return Decimal(text)


def cut_text(text: str, length: int = 200) -> str:
    """Cut a text to what a message can carry."""
    return text if len(text) <= length else f"{text[:length]}…"


def suggest_near(text: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, comparing closely only with the few names that look most alike."""
    names = list(known)
    if len(text) > MAX_NAME:
        return ""
    if len(names) > 30:
        names.sort(key=lambda name: abs(len(name) - len(text)) - 2 * _n_same(name, text))
    return suggest(text, names[:30])


def _n_same(left: str, right: str) -> int:
    """Count the letters that two texts begin with alike."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(left), len(right)))


def _same_unit(written: str, declared: str | None) -> bool:
    if declared is None:
        return False
    return written.strip().lower().rstrip("s") == declared.strip().lower().rstrip("s")


def _read_day(text: str) -> str | Fault:
    try:
        return date.fromisoformat(text).isoformat() if len(text) == 10 else _bad_day(text)
    except ValueError:
        return _bad_day(text)


def _bad_day(text: str) -> Fault:
    return Fault(
        kind="bad_value",
        message=f"expected a day, got {text[:60]!r}.",
        fix="Write it as YYYY-MM-DD, for example 2026-07-01.",
    )


def _split(items: str) -> list[str]:
    """Split at commas that stand outside quotes."""
    parts = re.findall(r"""\s*('(?:[^']|'')*'|"[^"]*"|[^,'"][^,]*|)\s*(?:,|\Z)""", items)
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    return [part.strip() for part in parts]


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        inner = text[1:-1]
        return inner.replace("''", "'") if text[0] == "'" else inner
    return text


def _unknown(name: str, attributes: Mapping[str, Attribute]) -> _Reading:
    hint = suggest_near(name, attributes)
    name = cut_text(name)
    known = ", ".join(sorted(attributes)[:5])
    fix = f"Declare {name!r} under `attributes`" + (f", or use one of {known}." if known else ".")
    return _broken(name, "unknown_attribute", f"unknown attribute {name!r}.{hint}", fix)


def _broken(name: str, kind: FaultKind, message: str, fix: str) -> _Reading:
    return _Reading(attribute=name, fault=Fault(kind=kind, message=message, fix=fix))


def _example(attribute: Attribute) -> str:
    if attribute.is_numeric:
        return f"{attribute.name} >= {format_value(attribute.steps[0]) if attribute.steps else 10}"
    if attribute.type == "date":
        return f"{attribute.name} >= 2026-07-01"
    if attribute.levels:
        sign = ">=" if attribute.type == "ordinal" else "="
        return f"{attribute.name} {sign} {_quoted(attribute.levels[-1])}"
    return f"{attribute.name} is known"


def format_value(value: Value) -> str:
    """Write a value as the grammar reads it: plain decimals without exponent, levels quoted if needed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _quoted(level: str) -> str:
    plain = re.fullmatch(r"[^\W_][\w &/().+-]*", level) is not None and level == level.strip()
    if plain and not re.search(r"\s(and|or)\s", level):
        return level
    return '"' + level + '"' if '"' not in level else "'" + level.replace("'", "''") + "'"


def format_criterion(criterion: Criterion) -> str:
    """Write a criterion in the canonical words of a definition.

    Parameters
    ----------
    criterion : Criterion
        Prose and broken criteria come back as they were written.

    Returns
    -------
    str
        A text that `parse_criterion` reads as the same test.
    """
    if not criterion.measurable:
        return criterion.text.strip()
    name, operator = criterion.attribute, criterion.operator
    values = [format_value(value) for value in criterion.values]
    if operator == "is true":
        words = f"{name}"
    elif operator == "is false":
        words = f"not {name}"
    elif operator in {"is known", "is missing"}:
        words = f"{name} {operator}"
    elif operator == "between":
        words = f"{name} between {values[0]} and {values[1]}"
    elif operator in {"in", "not in"}:
        words = f"{name} {operator} [{', '.join(values)}]"
    else:
        words = f"{name} {operator} {values[0]}"
    return f"{words} or missing" if criterion.or_missing else words

"""Declared date formats, read strictly.

`datetime.strptime` reads ``2021105`` with ``%Y%m%d`` as 5 October and lets ``%d`` take a day from the hour;
here adjacent directives have fixed widths, and what does not match exactly is not a date.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

__all__ = ["check_format", "has_zone", "is_zone", "parse_date", "parse_microseconds", "to_utc"]

_WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3}
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_ZONE = r"(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d)"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of times without a zone
_MICROSECOND = timedelta(microseconds=1)
_FARTHEST_OFFSET = timedelta(hours=14)
_SHORTHANDS = {"%T": "%H:%M:%S", "%D": "%m/%d/%y", "%F": "%Y-%m-%d", "%R": "%H:%M", "%e": "%d"}


def check_format(text: str) -> str | None:
    """Return what is wrong with a declared date format, or None."""
    try:
        pattern, names = _compile(text)
    except ValueError as error:
        return str(error)
    del pattern
    if not ({"Y", "y"} & set(names)):
        return "it has no year (%Y). Write it in strptime's words, e.g. %Y-%m-%d."
    if "j" not in names and not ({"m", "b", "B"} & set(names) and "d" in names):
        return "it has no month or no day (%m, %d)."
    return None


def has_zone(text: str) -> bool:
    """Say whether a declared format carries a time zone."""
    return "z" in _compile(text)[1]


def is_zone(name: str) -> bool:
    """Say whether `name` is a time zone such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def to_utc(value: datetime, zone: str) -> datetime | str:
    """Read a local time of a declared zone as UTC, or return the rule that it breaks.

    ``date_zone``: there is no such local time (clocks went forward) or there are two (they went back).
    """
    if value.tzinfo is not None:
        return value
    place = ZoneInfo(zone)
    try:
        first = value.replace(tzinfo=place).astimezone(UTC)
        second = value.replace(tzinfo=place, fold=1).astimezone(UTC)
    except OverflowError:
        return "date_value"
    return first if first == second else "date_zone"


@lru_cache(maxsize=256)
def _compile(text: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    for short, long in _SHORTHANDS.items():
        text = text.replace(short, long)
    words = re.findall(r"%-?.|[^%]+|%", text, flags=re.DOTALL)
    names: list[str] = []
    parts: list[str] = []
    for position, word in enumerate(words):
        if not word.startswith("%"):
            parts.append(r"\s+".join(re.escape(piece) for piece in word.split(" ")))
            continue
        name = word.lstrip("%").lstrip("-")
        if name == "%" or word == "%%":
            parts.append("%")
            continue
        touching = (position > 0 and words[position - 1].startswith("%")) or (
            position + 1 < len(words) and words[position + 1].startswith("%")
        )
        if name == "Z":
            name = "z"
        if name in names:
            raise ValueError(f"%{name} stands in it twice.")
        parts.append(_piece(name, touching=touching))
        names.append(name)
    return re.compile("".join(parts), flags=re.IGNORECASE | re.ASCII), tuple(names)


def _piece(name: str, *, touching: bool) -> str:
    if name in _WIDTHS:
        width = _WIDTHS[name]
        loose = not touching and name not in {"Y", "y", "j"}
        return rf"(?P<{name}>\d{{{1 if loose else width},{width}}})"
    pieces = {
        "b": "(?P<b>" + "|".join(month[:3] for month in _MONTHS) + ")",
        "B": "(?P<B>" + "|".join(_MONTHS) + ")",
        "p": r"(?P<p>am|pm)",
        "f": r"(?P<f>\d{1,9})",
        "z": _ZONE,
        "a": r"(?P<a>mon|tue|wed|thu|fri|sat|sun)",
        "A": r"(?P<A>monday|tuesday|wednesday|thursday|friday|saturday|sunday)",
    }
    if name not in pieces:
        raise ValueError(f"unknown directive %{name}.")
    return pieces[name]


def parse_date(text: str, formats: tuple[str, ...]) -> datetime | str:
    """Read one date, or return the rule that it breaks.

    Parameters
    ----------
    text : str
        The cell, without surrounding spaces.
    formats : tuple of str
        Declared alternatives.

    Returns
    -------
    datetime or str
        Zone-aware (UTC) if the format that matched has a zone; else naive. The rule ``date_ambiguous`` if
        two alternatives match with different instants, ``date_format`` if none matches, ``date_value`` if
        one matches but there is no such day.
    """
    found: set[datetime] = set()
    matched = False
    for form in formats:
        pattern, _ = _compile(form)
        match = pattern.fullmatch(text)
        if match is None:
            continue
        matched = True
        value = _assemble(match.groupdict())
        if value is not None:
            found.add(value)
    if len(found) == 1:
        return found.pop()
    if found:
        return "date_ambiguous"
    return "date_value" if matched else "date_format"


def parse_microseconds(text: str, formats: tuple[str, ...]) -> int | str:
    """Read one date as microseconds since 1970 (in UTC if it has a zone), or return the rule that it breaks.

    Examples
    --------
    >>> parse_microseconds("1970-01-02", ("%Y-%m-%d",))
    86400000000
    """
    moment = parse_date(text, formats)
    return moment if isinstance(moment, str) else (moment.replace(tzinfo=None) - _EPOCH) // _MICROSECOND


def _assemble(parts: dict[str, str | None]) -> datetime | None:
    given = {name: value for name, value in parts.items() if value is not None}
    try:
        year = _year(given)
        hour = _hour(given)
        micro = int(given["f"][:6].ljust(6, "0")) if "f" in given else 0
        clock = (hour, int(given.get("M", 0)), int(given.get("S", 0)), micro)
        if "j" in given:
            number = int(given["j"])
            if number == 0:
                return None
            value = datetime(year, 1, 1, *clock) + timedelta(days=number - 1)  # noqa: DTZ001
            if value.year != year:
                return None
        else:
            value = datetime(year, _month(given), int(given["d"]), *clock)  # noqa: DTZ001
    except ValueError:
        return None
    zone = given.get("z")
    return value if zone is None else _instant(value, zone)


def _year(given: dict[str, str]) -> int:
    if "Y" in given:
        return int(given["Y"])
    short = int(given["y"])
    return short + (2000 if short < 69 else 1900)


def _month(given: dict[str, str]) -> int:
    if "m" in given:
        return int(given["m"])
    name = (given.get("b") or given["B"]).lower()
    return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(name))


def _hour(given: dict[str, str]) -> int:
    if "I" not in given:
        return int(given.get("H", 0))
    hour = int(given["I"])
    if not 1 <= hour <= 12:
        raise ValueError
    afternoon = given.get("p", "am").lower() == "pm"
    return hour % 12 + (12 if afternoon else 0)


def _instant(value: datetime, zone: str) -> datetime | None:
    """Read a local time with its offset as UTC; None if nowhere on earth has such an offset."""
    if zone.upper() in {"Z", "UTC", "GMT"}:
        return value.replace(tzinfo=UTC)
    digits = zone[1:].replace(":", "")
    minutes = int(digits[2:])
    offset = timedelta(hours=int(digits[:2]), minutes=minutes)
    if minutes > 59 or offset > _FARTHEST_OFFSET:
        return None
    try:
        return value.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset)).astimezone(UTC)
    except OverflowError:
        return None

"""Many dates read at once: texts that differ in their digits only are matched together."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml.leads._dates import _FARTHEST_OFFSET, _compile, _month, has_zone
from leadml.leads._texts import string_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["parse_dates"]

_ZERO, _NINE = ord("0"), ord("9")
_MAX_SHAPES = 64
_FIRST_SECOND = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def parse_dates(texts: Any, formats: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read many dates at once, as `parse_date` reads each.

    Texts that differ in their digits only have the same shape. Which formats match, and where, depends on
    the shape alone, for no format names a digit: so each is matched once per shape.

    Parameters
    ----------
    texts : Array of large_string
        The cells; a missing one is not read.
    formats : tuple of str
        Declared alternatives.

    Returns
    -------
    instants : ndarray of int of shape (n_texts,)
        Microseconds since 1970, UTC if the format has a zone.
    known : ndarray of bool of shape (n_texts,)
        Which are read. The others break a rule, or are of too rare a shape.
    """
    import pyarrow as pa

    n = len(texts)
    instants, known = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    if any(re.search(r"[0-9]", form) for form in formats):
        return instants, known
    offsets, data = string_bytes(texts)
    shapes = pa.LargeStringArray.from_buffers(
        n, pa.py_buffer(offsets), pa.py_buffer(np.where((data >= _ZERO) & (data <= _NINE), _ZERO, data))
    ).dictionary_encode()
    codes = shapes.indices.to_numpy()
    missing = texts.is_null().to_numpy(zero_copy_only=False)
    for code, shape in enumerate(shapes.dictionary.to_pylist()[:_MAX_SHAPES]):
        if not shape or shape != shape.strip() or not shape.isascii():
            continue
        rows = np.flatnonzero((codes == code) & ~missing)
        digits = data[offsets[rows][:, None] + np.arange(len(shape))].T.astype(np.int64) - _ZERO
        instants[rows], known[rows] = _parse_shape(shape, digits, formats)
    return instants, known


def _parse_shape(
    shape: str, digits: NDArray[np.int64], formats: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read texts of one shape, given one row of digits per character."""
    n = digits.shape[1]
    instants, known, clash = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    zoned = set()
    for form in formats:
        match = _compile(form)[0].fullmatch(shape)
        if match is None:
            continue
        zoned.add(has_zone(form))
        found, valid = _assemble_all(match, digits)
        clash |= known & valid & (instants != found)
        instants = np.where(valid, found, instants)
        known |= valid
    return instants, known & ~clash if len(zoned) == 1 else np.zeros(n, dtype=bool)


def _assemble_all(
    match: re.Match[str], digits: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Assemble the parts of many dates as `_assemble` does those of one."""
    given = {name: value for name, value in match.groupdict().items() if value is not None}

    def number(name: str, default: int = 0, width: int | None = None) -> NDArray[np.int64]:
        value = np.full(digits.shape[1], 0 if name in given else default, dtype=np.int64)
        if name in given:
            start, stop = match.span(name)
            for place in range(start, stop if width is None else min(stop, start + width)):
                value = 10 * value + digits[place]
        return value

    year = number("Y")
    if "Y" not in given:
        short = number("y")
        year = short + np.where(short < 69, 2000, 1900)
    hour = number("H")
    valid = (year >= 1) & (hour <= 23)
    if "I" in given:
        twelve = number("I")
        valid &= (twelve >= 1) & (twelve <= 12)
        hour = twelve % 12 + (12 if given.get("p", "am").lower() == "pm" else 0)
    minute, second = number("M"), number("S")
    valid &= (minute <= 59) & (second <= 59)
    micro = number("f", width=6) * 10 ** max(0, 6 - len(given.get("f", "")))
    first = (year - 1970).astype("datetime64[Y]")
    if "j" in given:
        days = first.astype("datetime64[D]") + (number("j") - 1)
        valid &= days.astype("datetime64[Y]") == first
    else:
        months = first.astype("datetime64[M]") + (number("m") if "m" in given else _month(given)) - 1
        days = months.astype("datetime64[D]") + (number("d") - 1)
        valid &= (days.astype("datetime64[M]") == months) & (months.astype("datetime64[Y]") == first)
    instants = ((days.astype(np.int64) * 24 + hour) * 60 + minute) * 60 + second
    zone = given.get("z", "Z")
    if zone.upper() not in {"Z", "UTC", "GMT"}:
        start = match.start("z") + 1
        later = start + 2 + (":" in zone)
        hours = 10 * digits[start] + digits[start + 1]
        minutes = 10 * digits[later] + digits[later + 1]
        valid &= (minutes <= 59) & (60 * hours + minutes <= _FARTHEST_OFFSET.total_seconds() // 60)
        instants = instants - (60 * hours + minutes) * (-60 if zone[0] == "-" else 60)
        valid &= (instants >= _FIRST_SECOND) & (instants <= _LAST_SECOND)
    return instants * 1_000_000 + micro, valid

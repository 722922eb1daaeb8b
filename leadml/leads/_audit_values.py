"""Values that are not what they seem: markers of missing, variants, entities, constants, copies."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._finding import AuditFinding, share, show_level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadml.leads._contract import Column
    from leadml.leads._table import LeadTable

__all__ = ["audit_values", "find_sentinels", "is_garbled", "looks_missing"]

_NO_VALUE = (
    "select selectone pleaseselect na none null nil nan unknown unk undefined unspecified notspecified"
    " notavailable notapplicable notprovided notgiven missing blank empty tbd todo value ref div0 noanswer"
    " noresponse nodata noinfo keineangabe unbekannt inconnu desconocido dontknow notset notknown x xx xxx"
    " nonexistent"
)
_MARKERS = frozenset(_NO_VALUE.split())
_HASH_ERRORS = frozenset({"#value!", "#ref!", "#div/0!", "#name?", "#num!", "#n/a", "#null!"})
_PLACEHOLDER = re.compile(
    r"\b(example|sample|dummy|placeholder|lorem|test|asdf+|qwerty|contact us|your (title|company))\b",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(#\d+|#x[0-9a-fA-F]+|[a-zA-Z]{2,8});")
_SENTINELS = frozenset(
    {-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, 9999999.0}
)


def looks_missing(text: str) -> bool:
    """Say whether a word is commonly written where there is no value.

    Examples
    --------
    >>> [looks_missing(word) for word in ("Select", "N/A", "#VALUE!", "Web")]
    [True, True, True, False]
    """
    stripped = text.strip().lower()
    if stripped in _HASH_ERRORS or (stripped != "" and re.fullmatch(r"[-–—.?_*\s]+", stripped)):
        return True
    return re.sub(r"[^a-z0-9]", "", stripped) in _MARKERS


def is_garbled(text: str) -> bool:
    """Say whether a text lost letters to a wrong encoding: UTF-8 read as cp1252, or replaced ones.

    Examples
    --------
    >>> [is_garbled(text) for text in ("Müller", "MÃ¼ller", "M\ufffdller")]
    [False, True, True]
    """
    if text.isascii():
        return False
    if "\ufffd" in text:
        return True
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def audit_values(table: LeadTable) -> Iterator[AuditFinding]:
    """Yield findings about single columns' values and about columns that repeat each other."""
    attributes = [column for column in table.contract.columns if column.role == "attribute"]
    for column in attributes:
        values = table.frame[column.name]
        if len(values) and len(values.drop_duplicates()) == 1:
            yield AuditFinding(
                code="constant_column",
                severity="note",
                column=column.name,
                message="has one and the same value in every lead; it can tell nothing.",
                evidence={"n": len(values), "missing": bool(values.isna().all())},
            )
        elif isinstance(values.dtype, pd.CategoricalDtype):
            yield from _texts(column, values)
        elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            yield from _numbers(column, values)
    yield from _copies(table, attributes)


def _texts(column: Column, values: pd.Series[Any]) -> Iterator[AuditFinding]:
    sizes = values.value_counts()
    sizes = sizes[sizes > 0]
    counts = {str(level): int(count) for level, count in sizes.items()}
    n = len(values)
    yield from _markers(column, counts, n)
    entities = {level: count for level, count in counts.items() if _ENTITY.search(level)}
    if entities:
        yield AuditFinding(
            code="html_entities",
            severity="note",
            column=column.name,
            message=f"{sum(entities.values()):,} leads carry HTML entities ({_levels(entities)}):"
            " two spellings of one value.",
            evidence={"n": sum(entities.values()), "levels": len(entities)},
        )
    garbled = {level: count for level, count in counts.items() if is_garbled(level)}
    if garbled:
        yield AuditFinding(
            code="garbled_text",
            severity="warning" if sum(garbled.values()) >= 0.001 * n else "note",
            column=column.name,
            message=f"{sum(garbled.values()):,} leads carry text that lost letters to a wrong encoding"
            f" ({_levels(garbled)}): export again as UTF-8.",
            evidence={"n": sum(garbled.values()), "levels": len(garbled)},
        )
    variants = _variants(counts)
    if variants:
        shown = "; ".join(
            " = ".join(show_level(each, counts[each]) for each in group) for group in variants[:3]
        )
        yield AuditFinding(
            code="level_variants",
            severity="warning",
            column=column.name,
            message=f"{len(variants)} values are spelled in several ways ({shown}): they count as different.",
            evidence={
                "groups": len(variants),
                "n": sum(counts[each] for group in variants for each in group[1:]),
            },
        )
    yield from _wrong_kind(column, counts, n)


def _markers(column: Column, counts: dict[str, int], n: int) -> Iterator[AuditFinding]:
    markers = {
        level: count for level, count in counts.items() if looks_missing(level) and level not in column.levels
    }
    placeholders = {
        level: count for level, count in counts.items() if level not in markers and _PLACEHOLDER.search(level)
    }
    for code, found, what in (
        ("missing_marker", markers, "no value"),
        ("placeholder_value", placeholders, "a placeholder"),
    ):
        if found:
            total = sum(found.values())
            yield AuditFinding(
                code=code,
                severity="warning" if total >= 0.001 * n else "note",
                column=column.name,
                message=f"{total:,} leads say {_levels(found)}: probably {what}. If so, declare it in"
                " `missing`.",
                evidence={
                    "n": total,
                    "share": round(total / n, 4),
                    "values": sorted(show_level(each, found[each]) for each in found)[:10],
                },
            )


def _levels(counts: dict[str, int]) -> str:
    top = sorted(counts, key=lambda level: (-counts[level], level))[:3]
    shown = ", ".join(repr(show_level(level, counts[level])) for level in top)
    return shown + (", …" if len(counts) > 3 else "")


def _variants(counts: dict[str, int]) -> list[list[str]]:
    """Group levels that differ only in case, punctuation, spaces or HTML entities."""
    groups: dict[str, list[str]] = {}
    for level in sorted(counts, key=lambda level: (-counts[level], level)):
        plain = html.unescape(level).casefold().replace("&", "and")
        key = "".join(char for char in plain if char.isalnum())
        if key:
            groups.setdefault(key, []).append(level)
    found = [group for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: -sum(counts[each] for each in group))


def _wrong_kind(column: Column, counts: dict[str, int], n: int) -> Iterator[AuditFinding]:
    known = sum(counts.values())
    if column.type != "category" or known < 20:
        return
    numeric = sum(count for level, count in counts.items() if re.fullmatch(r"-?[\d.,]*\d", level.strip()))
    if len(counts) > 12 and numeric >= 0.95 * known:
        yield AuditFinding(
            code="number_as_text",
            severity="warning",
            column=column.name,
            message=f"{share(numeric / known)} of its values are numbers, read as words: their order is"
            " lost.",
            evidence={"n": numeric, "distinct": len(counts)},
        )
    elif len(counts) > 0.9 * known:
        yield AuditFinding(
            code="identifier_as_attribute",
            severity="warning",
            column=column.name,
            message=f"nearly every lead has its own value ({len(counts):,} in {known:,}): a name or an"
            " identifier, not an attribute.",
            evidence={"distinct": len(counts), "n": n},
        )


def _numbers(column: Column, values: pd.Series[Any]) -> Iterator[AuditFinding]:
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) < 20:
        return
    yield from _sentinels(column, numbers)
    whole = numbers[numbers == np.floor(numbers)]
    dates = (whole > 19000101) & (whole < 21001231) & (whole // 100 % 100 <= 12) & (whole % 100 <= 31)
    if len(whole) == len(numbers) and dates.mean() > 0.95:
        yield AuditFinding(
            code="date_as_number",
            severity="warning",
            column=column.name,
            message="its numbers are dates (year, month, day run together). Read it as `type: date` with"
            ' format "%Y%m%d".',
            evidence={"n": int(dates.sum())},
        )
    zero = float((numbers == 0).mean())
    rest = numbers[numbers != 0]
    if zero >= 0.2 and len(rest) >= 5 and rest.min() > 0 and np.quantile(rest, 0.05) >= 50:
        yield AuditFinding(
            code="zero_may_mean_missing",
            severity="warning",
            column=column.name,
            message=f"{share(zero)} are 0 and the others begin at about {np.quantile(rest, 0.05):g}:"
            " 0 probably means that"
            ' nothing was entered. If so, declare `missing: ["0"]`.',
            evidence={"zero": round(zero, 4), "others_from": float(np.quantile(rest, 0.05))},
        )


def find_sentinels(numbers: np.ndarray[Any, Any]) -> list[tuple[float, int]]:
    """Find the numbers that stand for "no value": known ones (999, -1), often, far from all others.

    Parameters
    ----------
    numbers : ndarray of float of shape (n_leads,)
        Without nan.

    Returns
    -------
    list of (float, int)
        The number and how often it is there.
    """
    distinct, counts = np.unique(numbers, return_counts=True)
    found = []
    for place in dict.fromkeys((0, len(distinct) - 1)):
        value = float(distinct[place])
        others = np.delete(distinct, place)
        if value not in _SENTINELS or len(others) < 2 or counts[place] < max(3, 0.002 * len(numbers)):
            continue
        far = (
            value < 0 <= others.min()
            if place == 0
            else value > 3 * np.quantile(np.repeat(distinct[:-1], counts[:-1]), 0.99)
        )
        if far:
            found.append((value, int(counts[place])))
    return found


def _sentinels(column: Column, numbers: np.ndarray[Any, Any]) -> Iterator[AuditFinding]:
    for value, n in find_sentinels(numbers):
        yield AuditFinding(
            code="missing_marker",
            severity="warning",
            column=column.name,
            message=f"{n:,} leads say {value:g}, far from all other values: probably no"
            f' value. If so, declare `missing: ["{value:g}"]`.',
            evidence={"n": n, "share": round(n / len(numbers), 4), "values": [f"{value:g}"]},
        )


def _copies(table: LeadTable, attributes: list[Column]) -> Iterator[AuditFinding]:
    """Yield columns that say the same as an earlier one, word for word or value for value."""
    seen: dict[int, list[str]] = {}
    frame = table.frame
    for column in attributes:
        codes, distinct = pd.factorize(frame[column.name], use_na_sentinel=True)
        if len(distinct) < 2:
            continue
        key = hash(codes.tobytes())
        for earlier in seen.get(key, []):
            yield AuditFinding(
                code="duplicate_column",
                severity="warning",
                column=column.name,
                message=f"says the same as {earlier!r} in every lead. Keep one.",
                evidence={"same_as": earlier, "distinct": len(distinct)},
            )
            break
        seen.setdefault(key, []).append(column.name)

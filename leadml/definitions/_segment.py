"""A threshold that differs in one segment: in words, and as criteria of the grammar."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from leadml.definitions._definition import Criterion, Group
from leadml.definitions._grammar import format_criterion, read_criterion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from leadml.definitions._definition import Attribute, Operator

__all__ = ["other_leads", "read_segmented", "say_segmented", "write_segmented"]

_OPPOSITE: dict[str, Operator] = {
    "in": "not in",
    "not in": "in",
    "is true": "is false",
    "is false": "is true",
}
_NEEDS_QUOTES = re.compile(r"[\[\]{},:#'\"]")


def other_leads(segment: Criterion) -> Criterion:
    """Return the criterion that exactly the leads outside a segment meet, missing values included.

    Parameters
    ----------
    segment : Criterion
        ``in``, ``not in``, a boolean or its opposite.
    """
    turned = replace(
        segment, operator=_OPPOSITE[str(segment.operator)], or_missing=not segment.or_missing, text=""
    )
    return replace(turned, text=format_criterion(turned))


def say_segmented(inside: Criterion, segment: Criterion, outside: Criterion) -> str:
    """Say which criterion holds in a segment, and which for all other leads."""
    words = (format_criterion(criterion) for criterion in (inside, segment, outside))
    return "{} where {}, else {}".format(*words)


def read_segmented(text: str, attributes: Mapping[str, Attribute]) -> Group | None:
    """Read the words of `say_segmented` as a group.

    Parameters
    ----------
    text : str
        ``employees >= 20 where industry in [software], else employees >= 50``.
    attributes : mapping of str to Attribute
        Points included.

    Returns
    -------
    Group or None
        Any of: the stricter criterion, or the easier one together with the segment in which it holds. None if
        the text does not say two thresholds of one attribute and a segment.
    """
    for parts in _split(text):
        inside, segment, outside = (read_criterion(part, attributes=attributes) for part in parts)
        same = (inside.attribute, inside.operator) == (outside.attribute, outside.operator)
        if not (inside.measurable and segment.measurable and outside.measurable and same):
            continue
        if segment.operator not in _OPPOSITE or inside.operator not in {"<", "<=", ">", ">="}:
            continue
        easier, stricter, where = inside, outside, segment
        if not _is_easier(inside, outside, attributes[str(inside.attribute)]):
            easier, stricter, where = outside, inside, other_leads(segment)
        both = Group(kind="all_of", k=2, members=(where, easier), address="", line=0)
        return Group(kind="any_of", k=1, members=(both, stricter), address="", line=0)
    return None


def _split(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield every way to cut a text in three: a level may contain the words between them."""
    for where in re.finditer(" where ", text):
        for other in re.finditer(", else ", text[where.end() :]):
            middle = text[where.end() :][: other.start()]
            yield text[: where.start()], middle, text[where.end() :][other.end() :]


def _is_easier(one: Criterion, other: Criterion, attribute: Attribute) -> bool:
    first, second = (
        value if isinstance(value, Decimal) else Decimal(attribute.levels.index(str(value)))
        for value in (one.values[0], other.values[0])
    )
    return first < second if one.operator in {">", ">="} else first > second


def write_segmented(group: Group) -> Iterator[str]:
    """Yield the group of `read_segmented` as YAML, for an item of a block list and of a flow list."""
    both, stricter = group.members
    first, second = both.members if isinstance(both, Group) else ()
    inner = f"[{{all_of: [{_item(first)}, {_item(second)}]}}, {_item(stricter)}]"
    yield f"any_of: {inner}"
    yield f"{{any_of: {inner}}}"


def _item(member: Criterion | Group) -> str:
    words = format_criterion(member) if isinstance(member, Criterion) else ""
    if not _NEEDS_QUOTES.search(words):
        return words
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'

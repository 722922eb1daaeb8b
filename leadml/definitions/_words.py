"""Leads and rules in words."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from leadml.definitions._grammar import format_value
from leadml.definitions._space import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leadml.definitions._definition import Attribute, Value

__all__ = ["describe_lead", "join_words"]


def join_words(words: Iterable[str], *, last: str = "and") -> str:
    """Join words as a sentence does: ``a, b and c``."""
    found = list(words)
    return f" {last} ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def describe_lead(lead: Mapping[str, Value | None], attributes: Mapping[str, Attribute]) -> str:
    """Say which lead is meant, by the attributes that matter."""
    known = [_describe(attributes[name], value) for name, value in lead.items() if value is not None]
    unknown = [name for name, value in lead.items() if value is None]
    parts = [f"with {join_words(known)}"] if known else []
    parts += [f"without {join_words(unknown, last='or')}"] if unknown else []
    return f"a lead {' and '.join(parts)}" if parts else "any lead"


def _describe(attribute: Attribute, value: Value) -> str:
    if isinstance(value, bool):
        return f"{attribute.name} {'yes' if value else 'no'}"
    if value == OTHER:
        return f"another {attribute.name} than those named"
    if isinstance(value, Decimal) and attribute.unit:
        return f"{attribute.name} {format_value(value)} ({attribute.unit})"
    return f"{attribute.name} {format_value(value)}"

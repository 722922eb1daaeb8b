"""Leads and rules in words."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from leadml.definitions._definition import Criterion
from leadml.definitions._grammar import format_value
from leadml.definitions._space import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leadml.definitions._definition import Attribute, Group, Value

__all__ = ["describe_criterion", "describe_group", "describe_lead", "describe_rule", "join_words", "label"]


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


def label(name: str) -> str:
    """Return a name as people say it."""
    return name.replace("_", " ")


_NUMBER_WORDS = {
    "<": "less than {0}",
    "<=": "at most {0}",
    ">": "more than {0}",
    ">=": "at least {0}",
    "=": "exactly {0}",
    "!=": "other than {0}",
    "between": "from {0} to {1}",
}
_LEVEL_WORDS = {
    "<": "lower than {0}",
    "<=": "{0} or lower",
    ">": "higher than {0}",
    ">=": "{0} or higher",
    "=": "{0}",
    "!=": "anything but {0}",
    "between": "from {0} to {1}",
}
_DAY_WORDS = {
    "<": "before {0}",
    "<=": "{0} or earlier",
    ">": "after {0}",
    ">=": "{0} or later",
    "=": "on {0}",
    "!=": "not on {0}",
    "between": "from {0} to {1}",
}


def describe_criterion(criterion: Criterion, attribute: Attribute | None) -> str:
    """Say a criterion as it is said on the wall: ``purchase timeframe: at most 6 months``."""
    if attribute is None or not criterion.measurable:
        return f"{criterion.text.strip()} (not measurable: met by nobody)"
    name, operator = label(attribute.name), criterion.operator
    if operator in {"is true", "is false"}:
        words = f"{name}: {'yes' if operator == 'is true' else 'no'}"
    elif operator in {"is known", "is missing"}:
        words = f"{name}: {'known' if operator == 'is known' else 'not known'}"
    else:
        words = f"{name}: {_test_words(criterion, attribute)}"
    return f"{words}, or not known" if criterion.or_missing else words


def _test_words(criterion: Criterion, attribute: Attribute) -> str:
    operator = criterion.operator or ""
    said = [_plain(value) for value in criterion.values]
    unit = f" {attribute.unit}" if attribute.unit and attribute.is_numeric else ""
    if operator == "in":
        return join_words(said, last="or") + unit
    if operator == "not in":
        return f"anything but {join_words(said, last='or')}{unit}"
    words = (
        _NUMBER_WORDS if attribute.is_numeric else _DAY_WORDS if attribute.type == "date" else _LEVEL_WORDS
    )
    return words[operator].format(*said) + unit


def _plain(value: Value) -> str:
    if not isinstance(value, Decimal):
        return str(value)
    text = format_value(value)
    whole, _, rest = text.partition(".")
    grouped = f"{int(whole):,}" if whole.lstrip("-").isdigit() and whole != "-0" else whole
    return f"{grouped}.{rest}" if rest else grouped


def describe_rule(rule: Criterion | Group, attributes: Mapping[str, Attribute]) -> str:
    """Say a criterion or a group in one line."""
    if isinstance(rule, Criterion):
        return describe_criterion(rule, attributes.get(rule.attribute or ""))
    inner = "; ".join(describe_rule(member, attributes) for member in rule.members)
    return f"{describe_group(rule)} ({inner})"


def describe_group(group: Group) -> str:
    """Say how many of its members a group asks for."""
    heads = {"all_of": "all of these", "any_of": "one of these", "at_least": f"at least {group.k} of these"}
    return heads[group.kind]

"""What a definition says of an attribute: of which more is better, and which levels are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadml.definitions._definition import Criterion, Definition

__all__ = ["find_directions", "find_wanted_levels"]

_SIGNS = {">": 1, ">=": 1, "<": -1, "<=": -1, "is true": 1, "is false": -1}
_NO_SIGN = frozenset({"is known", "is missing"})


def find_directions(definition: Definition | None) -> dict[str, int]:
    """Read from a definition of which attributes more is better, and of which worse.

    Parameters
    ----------
    definition : Definition or None
        Its criteria say it: ``budget_status >= requested`` in a class means that more budget never hurts. So
        do its points: ``page_views >= 5`` that earns points, or ``months > 12`` that loses some, unless the
        score itself counts against a lead. A class that keeps leads back from those that are handed over
        says the opposite of what it asks for.

    Returns
    -------
    dict of str to int
        1 or -1 per attribute that has a direction. An attribute with bounds on both sides, or used both
        ways, has none.
    """
    found: dict[str, set[int]] = {}
    for criterion, sign in _opinions(definition):
        if criterion.attribute is None or criterion.operator in _NO_SIGN:
            continue
        direction = sign * _SIGNS.get(criterion.operator or "", 0)
        found.setdefault(criterion.attribute, set()).update({direction} if direction else {1, -1})
    return {name: signs.pop() for name, signs in found.items() if len(signs) == 1}


def find_wanted_levels(definition: Definition) -> dict[str, frozenset[str]]:
    """Read from a definition which levels of its categories speak for a lead.

    Returns
    -------
    dict of str to frozenset of str
        Per attribute the levels that some criterion, or some rule of points, asks for.
    """
    found: dict[str, frozenset[str]] = {}
    for criterion, sign in _opinions(definition):
        asks = {"in": 1, "=": 1, "not in": -1, "!=": -1}.get(criterion.operator or "", 0)
        if criterion.attribute is not None and asks * sign > 0:
            levels = frozenset(str(value) for value in criterion.values)
            found[criterion.attribute] = found.get(criterion.attribute, frozenset()) | levels
    return found


def _opinions(definition: Definition | None) -> Iterator[tuple[Criterion, int]]:
    """Yield every criterion of the classes and the points: 1 if it speaks for a lead, -1 if against it.

    Of a score that the classes use both ways, both.
    """
    if definition is None:
        return
    scores = {score.name: set[int]() for score in definition.points}
    handed = [lead_class.name in definition.handoff for lead_class in definition.classes]
    for number, lead_class in enumerate(definition.classes):
        sign = -1 if not handed[number] and any(handed[number + 1 :]) else 1
        for criterion in lead_class.criteria():
            yield criterion, sign
            if criterion.attribute in scores:
                scores[criterion.attribute].add(sign * _SIGNS.get(criterion.operator or "", 1))
    for score in definition.points:
        for sign in sorted(scores[score.name]) or [1]:
            for rule in score.rules:
                if rule.points:
                    yield rule.when, sign if rule.points > 0 else -sign

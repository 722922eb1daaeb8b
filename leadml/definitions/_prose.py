"""Prose criteria: which words are subjective, and what could be measured instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leadml.definitions._grammar import format_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadml.definitions._definition import Attribute

__all__ = ["SUBJECTIVE", "mark_subjective", "suggest_objective"]

SUBJECTIVE = frozenset(
    """active adequate appropriate approximately attractive bad big bigger clear close cold considerable
    convincing critical decent early easy eager engaged enough enthusiastic excellent fairly fast few fit
    foreseeable frequent frequently friendly generally good great hard healthy high highly hot ideal
    imminent important influential interest interested interesting keen key large larger late lately likely
    little long lots low lukewarm major many maybe meaningful mid might minor moderate most motivated much
    near nearly nice normal often ok okay perfect poor possible possibly potential potentially powerful
    pretty probable probably promising proper quality quick quickly rare rather real realistic really
    reasonable reasonably recent recently regular relevant right roughly senior serious seriously several
    short shortly significant slow small smaller some somewhat soon sooner strategic strong strongly
    sufficient sufficiently suitable sure tiny typical unlikely unsure urgent urgently usually valuable
    very vague warm weak willing worth worthwhile""".split()  # noqa: SIM905 - a list of 140 strings is no easier to read
)

_TOPICS = {
    "timing": "decide decision soon timeframe timeline urgent urgently ready near foreseeable future quick "
    "quickly shortly imminent when buying time horizon month months quarter year",
    "budget": "budget money afford fund funds funded funding financial price spend cost costs",
    "authority": "senior authority authorised authorized decider maker makers contact power influence "
    "influential executive title position level boss manager stakeholder champion sponsor",
    "size": "large big small size company enterprise huge mid employees headcount staff revenue account",
    "industry": "industry sector vertical market segment field branch",
    "need": "need needs project use case requirement requirements goal goals",
    "pain": "pain problem problems challenge challenges trouble issue issues",
    "systems": "system systems stack software crm erp platform tool tools technology integration",
    "interest": "interest interested engaged engagement active touch curious keen enthusiastic attention "
    "visits visited motivated warm hot worth promising",
}


def mark_subjective(text: str) -> tuple[str, ...]:
    """Return the subjective words of a text in order, each once."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return tuple(dict.fromkeys(word for word in words if word in SUBJECTIVE))


def suggest_objective(text: str, attributes: Iterable[Attribute]) -> str:
    """Return a measurable criterion that may be meant, from the attributes at hand, or an empty text."""
    words = set(re.findall(r"[^\W\d_]+", text.lower()))
    best: tuple[int, int, str] | None = None
    for position, attribute in enumerate(attributes):
        topic = set(_TOPICS.get(attribute.dimension or "", "").split())
        own = {part for part in attribute.name.lower().split("_") if len(part) > 2}
        score = 3 * len(words & own) + 2 * len(words & topic) + 2 * ((attribute.dimension or "-") in words)
        if score and (best is None or score > best[0]):
            best = (score, position, _objective(attribute))
    return best[2] if best is not None else ""


def _objective(attribute: Attribute) -> str:
    name = attribute.name
    if attribute.type == "boolean":
        return name
    if attribute.is_numeric:
        middle = attribute.steps[len(attribute.steps) // 2] if attribute.steps else None
        number = (
            format_value(middle) if middle is not None else "6" if attribute.dimension == "timing" else "10"
        )
        return f"{name} {'<=' if attribute.dimension == 'timing' else '>='} {number}"
    if attribute.type == "ordinal":
        return f"{name} >= {format_value(attribute.levels[len(attribute.levels) // 2])}"
    if attribute.type == "date":
        return f"{name} is known"
    levels = [format_value(level) for level in attribute.levels[:2]]
    return f"{name} in [{', '.join(levels)}]" if levels else f"{name} is known"

"""The other ways to write a criterion: thresholds on round steps, ordinal levels, levels in and out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from leadml.definitions import format_criterion
from leadml.propose._bins import read_numbers
from leadml.propose._ranges import count_texts, range_within
from leadml.propose._steps import rate_roundness, steps_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import pandas as pd

    from leadml.definitions import Attribute, ChangeKind, Criterion, Definition
    from leadml.propose._ranges import Sample

__all__ = ["Alternative", "find_levels", "find_moves"]

_ORDERED = frozenset({"<", "<=", ">", ">="})
_MAX_LEVELS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One other way to write a criterion.

    Attributes
    ----------
    kind : str
        As in `leadml.definitions.Change`.
    proposed : str or None
        The criterion in the definition's words; None where it is dropped.
    roundness : int
        0 for the roundest numbers and declared steps, more for less round ones.
    distance : int
        Steps away from what is written.
    segment : str
        Where the threshold would differ, in the definition's words.
    everywhere : int
        Then, the alternative of the criterion's own dial that makes the same move for all leads.
    """

    kind: ChangeKind
    proposed: str | None
    roundness: int = 0
    distance: int = 1
    segment: str = ""
    everywhere: int = 0


def find_levels(attribute: Attribute, leads: pd.DataFrame, sample: Sample) -> tuple[str, ...]:
    """Return the declared levels, else the frequent ones of the older quarters."""
    if attribute.levels:
        return attribute.levels
    counts = count_texts(leads, attribute.name, sample)
    least = max(20, 0.005 * sum(counts.values()))
    frequent = [level for level, n in counts.items() if n >= least]
    return tuple(sorted(frequent, key=lambda level: (-counts[level], level))[:_MAX_LEVELS])


def find_moves(
    definition: Definition,
    criterion: Criterion,
    leads: pd.DataFrame,
    *,
    sample: Sample,
    as_of: date | None,
) -> tuple[list[tuple[Criterion, Alternative]], Attribute]:
    """Find the steps that a criterion may be moved by.

    Returns
    -------
    tuple
        The moved criteria, each as an alternative, and the attribute by whose levels they are to be read:
        of a set, all levels that are declared, frequent or written.
    """
    attribute = definition.attribute(criterion.attribute or "")
    if criterion.operator in _ORDERED or criterion.operator == "between":
        if attribute.is_numeric and attribute.age_of is None:
            steps = attribute.steps
            if not steps:
                values = read_numbers(definition, attribute, leads, as_of)
                found = range_within(values, attribute.name, sample)
                steps = steps_within(found, integer=attribute.type == "integer" or found.whole)
            return list(_moved_numbers(criterion, attribute, steps)), attribute
        if attribute.type == "ordinal":
            return list(_moved_levels(criterion, attribute)), attribute
    elif criterion.operator in {"in", "not in", "=", "!="} and attribute.type in {"category", "ordinal"}:
        written = tuple(str(value) for value in criterion.values)  # noqa: PD011
        levels = tuple(dict.fromkeys([*find_levels(attribute, leads, sample), *written]))
        as_set = replace(attribute, type="category", levels=levels)
        return list(_moved_sets(criterion, levels)), as_set
    return [], attribute


def _moved_numbers(
    criterion: Criterion, attribute: Attribute, steps: tuple[Decimal, ...]
) -> Iterator[tuple[Criterion, Alternative]]:
    declared = bool(attribute.steps)
    steps = tuple(step for step in steps if attribute.lowest is None or step >= attribute.lowest)
    for place, old in enumerate(criterion.values):
        if not isinstance(old, Decimal):
            continue
        for step in steps:
            if step == old:
                continue
            numbers = tuple(step if at == place else value for at, value in enumerate(criterion.values))
            if len(numbers) == 2 and not numbers[0] < numbers[1]:  # type: ignore[operator]
                continue
            between = sum(min(old, step) < other < max(old, step) for other in steps)
            yield _turned(
                criterion,
                numbers,
                "threshold",
                roundness=0 if declared else rate_roundness(step),
                distance=1 + between,
            )


def _moved_levels(criterion: Criterion, attribute: Attribute) -> Iterator[tuple[Criterion, Alternative]]:
    ranks = {level: position for position, level in enumerate(attribute.levels)}
    for place, old in enumerate(criterion.values):
        for level in attribute.levels:
            texts = tuple(level if at == place else str(value) for at, value in enumerate(criterion.values))
            if level == old or str(old) not in ranks:
                continue
            if len(texts) == 2 and not ranks[texts[0]] <= ranks[texts[1]]:
                continue
            if criterion.operator == "<" and ranks[level] == 0:
                continue
            if criterion.operator == ">" and ranks[level] == len(ranks) - 1:
                continue
            yield _turned(
                criterion, texts, "threshold", roundness=0, distance=abs(ranks[level] - ranks[str(old)])
            )


def _moved_sets(criterion: Criterion, levels: tuple[str, ...]) -> Iterator[tuple[Criterion, Alternative]]:
    written = tuple(str(value) for value in criterion.values)  # noqa: PD011
    operator: Literal["in", "not in"] = "not in" if criterion.operator in {"not in", "!="} else "in"
    as_set = replace(criterion, operator=operator)
    for level in levels:
        if level not in written:
            yield _turned(as_set, (*written, level), "level_added", roundness=0, distance=1)
        elif len(written) > 1:
            rest = tuple(item for item in written if item != level)
            yield _turned(as_set, rest, "level_removed", roundness=0, distance=1)


def _turned(
    criterion: Criterion,
    values: tuple[Decimal | str | bool, ...],
    kind: Literal["threshold", "level_added", "level_removed"],
    *,
    roundness: int,
    distance: int,
) -> tuple[Criterion, Alternative]:
    turned = replace(criterion, values=values)
    turned = replace(turned, text=format_criterion(turned))
    return turned, Alternative(kind=kind, proposed=turned.text, roundness=roundness, distance=distance)

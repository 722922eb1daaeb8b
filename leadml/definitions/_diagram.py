"""Formulas over criteria, each kept once: the nodes of a decision diagram.

A node is a leaf (a criterion or its opposite) or "at least `k` of these nodes". Equal nodes have equal
numbers, so what was found out about one is never found out again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "FALSE",
    "MAX_WORK",
    "NO",
    "TRUE",
    "YES",
    "Diagram",
    "Formula",
    "TooLargeError",
    "conjunction",
    "negation",
]

MAX_WORK = 1_000_000
"""How many parts of nodes are looked at for all questions about one definition: about a second."""


class TooLargeError(Exception):
    """The question was not answered within the budget."""


@dataclass(frozen=True, slots=True)
class Formula:
    """At least `k` of the parts; a leaf has a criterion's number instead; `negated` turns it around."""

    k: int = 0
    parts: tuple[Formula, ...] = ()
    leaf: int = -1
    negated: bool = False


TRUE = Formula()
FALSE = Formula(k=1)
YES, NO = 0, 1
"""The nodes of what is always and of what is never true."""


def conjunction(*parts: Formula) -> Formula:
    """All of the parts."""
    return Formula(k=len(parts), parts=parts)


def negation(part: Formula) -> Formula:
    """Not the part."""
    return Formula(k=1, parts=(part,), negated=True)


@dataclass(slots=True)
class Diagram:
    """All nodes of one space."""

    nodes: list[tuple[int, tuple[int, ...]]] = field(default_factory=lambda: [(0, ()), (1, ())])
    support: list[frozenset[int]] = field(default_factory=lambda: [frozenset(), frozenset()])
    numbers: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    rests: dict[tuple[int, object], int] = field(default_factory=dict)
    work: int = 0

    def spend(self, parts: int) -> None:
        """Count work, and stop once there was too much of it."""
        self.work += parts
        if self.work > MAX_WORK:
            raise TooLargeError

    def add(self, formula: Formula) -> int:
        """Return the node of a formula."""
        return self._add(formula, turned=False)

    def _add(self, formula: Formula, *, turned: bool) -> int:
        turned = turned != formula.negated
        if formula.leaf >= 0:
            return self._number((-1, (formula.leaf, int(turned))), frozenset({formula.leaf}))
        parts = [self._add(part, turned=turned) for part in formula.parts]
        # Not "at least k of n" is "at least n - k + 1 of the opposites".
        return self.group(len(parts) - formula.k + 1 if turned else formula.k, parts)

    def _number(self, node: tuple[int, tuple[int, ...]], support: frozenset[int]) -> int:
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
            self.support.append(support)
        return self.numbers[node]

    def group(self, k: int, parts: Iterable[int]) -> int:
        """Return the node of "at least `k` of the parts"."""
        rest: list[int] = []
        for part in parts:
            self.spend(1)
            if part == YES:
                k -= 1
            elif part != NO:
                rest.append(part)
        if k <= 0 or k > len(rest):
            return YES if k <= 0 else NO
        if k in {1, len(rest)} and len(rest) > 1:
            rest = self._flat(rest, every=k == len(rest))
            if not rest:
                return NO if k > 1 else YES
            k = len(rest) if k > 1 else 1
        if len(rest) == 1:
            return rest[0]
        rest.sort()
        node = (k, tuple(rest))
        if node in self.numbers:
            return self.numbers[node]
        self.spend(sum(len(self.support[part]) for part in rest))
        return self._number(node, frozenset().union(*(self.support[part] for part in rest)))

    def _flat(self, parts: list[int], *, every: bool) -> list[int]:
        """Merge an all-of with the all-of inside it; empty if a criterion stands beside its opposite."""
        found: set[int] = set()
        for part in parts:
            k, inner = self.nodes[part]
            same = k == len(inner) if every else k == 1
            found.update(inner if k > 0 and len(inner) > 1 and same else (part,))
        for part in found:
            k, leaf = self.nodes[part]
            if k == -1 and self.numbers.get((-1, (leaf[0], 1 - leaf[1]))) in found:
                return []
        return list(found)

    def rest(self, node: int, key: object, truths: Mapping[int, bool]) -> int:
        """Return what is left of a node once some leaves are known; `key` stands for those leaves."""
        if self.support[node].isdisjoint(truths):
            return node
        found = self.rests.get((node, key))
        if found is None:
            k, parts = self.nodes[node]
            if k == -1:
                leaf, turned = parts
                found = YES if truths[leaf] != bool(turned) else NO
            else:
                found = self.group(k, [self.rest(part, key, truths) for part in parts])
            self.rests[node, key] = found
        return found

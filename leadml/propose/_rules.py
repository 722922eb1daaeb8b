"""A class's rule over pass bits: which leads an edit can move at all, and how.

Any nesting of all-of, any-of and at-least-k is monotone in its criteria. With two criteria a, b free and the
others fixed it is therefore one of six things: nobody, a and b, a, b, a or b, everybody. A lead matters to
an edit of a and b only through which of the six its other criteria leave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import Change, Criterion, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Bits = NDArray[np.bool_]

__all__ = ["AND", "LEFT", "OR", "RIGHT", "Patterns", "count_changes", "evaluate_rule", "find_patterns"]

NOBODY, AND, LEFT, RIGHT, OR, EVERYBODY = range(6)
# Index: value with neither, with b, with a, with both, as a binary number.
_KIND = np.full(16, NOBODY, np.int8)
_KIND[[0b0001, 0b0011, 0b0101, 0b0111, 0b1111]] = (AND, LEFT, RIGHT, OR, EVERYBODY)


def evaluate_rule(rule: Group, bits: Mapping[str, Bits]) -> Bits:
    """Evaluate a rule on pass bits of its criteria, addressed as in the definition."""
    met = [
        bits[member.address] if isinstance(member, Criterion) else evaluate_rule(member, bits)
        for member in rule.members
    ]
    if rule.kind == "all_of":
        return np.asarray(np.logical_and.reduce(met))
    if rule.k == 1:
        return np.asarray(np.logical_or.reduce(met))
    return np.asarray(np.sum(met, axis=0, dtype=np.int16) >= rule.k)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """The different rows of pass bits that occur, and which one each lead has.

    Attributes
    ----------
    addresses : tuple of str
        Of the criteria.
    rows : ndarray of bool of shape (n_patterns, n_criteria)
    index : ndarray of int of shape (n_leads,)
    always : tuple of str
        Of criteria that everybody meets: those that are not written yet.
    """

    addresses: tuple[str, ...]
    rows: Bits
    index: NDArray[np.int32]
    always: tuple[str, ...] = ()

    def values(self, rule: Group, forced: Mapping[str, bool] | None = None) -> Bits:
        """Evaluate a rule on every pattern, some criteria forced."""
        bits = {
            address: np.full(len(self.rows), forced[address])
            if forced and address in forced
            else self.rows[:, place]
            for place, address in enumerate(self.addresses)
        }
        for address in self.always:
            bits[address] = np.full(len(self.rows), forced.get(address, True) if forced else True)
        return evaluate_rule(rule, bits)

    def kinds(self, rule: Group, left: str, right: str | None) -> NDArray[np.int8]:
        """Return which of the six things is left of the rule, per pattern, with `left` and `right` free."""
        states = np.zeros(len(self.rows), np.int8)
        for number, (a, b) in enumerate(((False, False), (False, True), (True, False), (True, True))):
            forced = {left: a} if right is None else {left: a, right: b}
            states |= self.values(rule, forced).astype(np.int8) << (3 - number)
        return _KIND[states]


def find_patterns(bits: Mapping[str, Bits], n_leads: int, *, always: tuple[str, ...] = ()) -> Patterns:
    """Reduce pass bits to the patterns that occur; `always` names criteria that everybody meets."""
    addresses = tuple(bits)
    mask = np.zeros(n_leads, np.int64)
    for place, address in enumerate(addresses):
        mask |= bits[address].astype(np.int64) << place
    if len(addresses) <= 12:
        present = np.arange(1 << len(addresses))
        index = mask.astype(np.int32)
    else:
        present, inverse = np.unique(mask, return_inverse=True)
        index = inverse.astype(np.int32)
    rows = (present[:, None] >> np.arange(len(addresses))) & 1
    return Patterns(addresses=addresses, rows=rows.astype(bool), index=index, always=always)


def count_changes(rule: Group) -> Iterator[tuple[Change, Group]]:
    """Yield every other number of an at-least group of the rule, with the rule that then holds."""
    for group in _groups(rule):
        if group.kind != "at_least":
            continue
        for k in range(1, len(group.members) + 1):
            if k != group.k:
                change = Change(address=group.address, kind="at_least", written=str(group.k), proposed=str(k))
                yield change, _with_k(rule, group.address, k)


def _groups(group: Group) -> Iterator[Group]:
    yield group
    for member in group.members:
        if isinstance(member, Group):
            yield from _groups(member)


def _with_k(group: Group, address: str, k: int) -> Group:
    members = tuple(
        _with_k(member, address, k) if isinstance(member, Group) else member for member in group.members
    )
    return replace(group, members=members, k=k if group.address == address else group.k)

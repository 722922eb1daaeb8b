"""Who is handed over, as a function of pass bits: what is left of it when a few criteria are free.

The classes of a definition, read from the top, say for every row of pass bits whether a lead is handed over.
With k criteria free and all others fixed this is one of at most 2**2**k functions, a truth table. A lead
matters to a change of the free criteria only through the table that its other criteria leave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import Change, Criterion, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Definition

    Bits = NDArray[np.bool_]

__all__ = [
    "MOST_FREE",
    "Handoff",
    "Patterns",
    "count_deciding",
    "evaluate_rule",
    "find_group_changes",
    "find_patterns",
    "moebius",
    "read_handoff",
    "say_group",
]

MOST_FREE = 5  # criteria that are free at once: their truth tables are whole numbers of 32 bits
_CHUNK = 12  # criteria whose bits are numbered at once
_DENSE = 1 << 20  # up to here rows of bits are looked up, beyond they are sorted


def evaluate_rule(rule: Group, bits: Mapping[str, Bits]) -> Bits:
    """Evaluate a rule on pass bits of its criteria, addressed as in the definition."""
    met = [
        bits[member.address] if isinstance(member, Criterion) else evaluate_rule(member, bits)
        for member in rule.members
    ]
    if rule.k == len(met):
        return np.asarray(np.logical_and.reduce(met))
    if rule.k == 1:
        return np.asarray(np.logical_or.reduce(met))
    return np.asarray(np.sum(met, axis=0, dtype=np.int16) >= rule.k)


def count_deciding(definition: Definition) -> int:
    """Count the classes, from the top, that decide who is handed over: below them all leads fare alike."""
    fates = []
    for lead_class in definition.classes:
        fates.append(definition.handed_over(lead_class.name))
        if lead_class.rule is None:
            break
    else:
        fates.append(False)
    while len(fates) > 1 and fates[-2] == fates[-1]:
        fates.pop()
    return len(fates) - 1


def read_handoff(definition: Definition, rules: Sequence[Group]) -> Handoff:
    """Return who is handed over, with these rules for the classes that decide."""
    names = [lead_class.name for lead_class in definition.classes]
    handed = [definition.handed_over(name) for name in names]
    rest = handed[len(rules)] if len(rules) < len(names) else False
    return Handoff(rules=tuple(zip(rules, handed, strict=False)), rest=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """The classes that decide who is handed over, from the top, and what becomes of all other leads.

    Attributes
    ----------
    rules : tuple of (Group, bool)
        Each class's rule and whether its leads are handed over.
    rest : bool
        Whether leads that none of them takes are handed over.
    """

    rules: tuple[tuple[Group, bool], ...]
    rest: bool

    def evaluate(self, bits: Mapping[str, Bits], n: int) -> Bits:
        """Return which of `n` rows of pass bits are handed over."""
        found = np.full(n, self.rest)
        for rule, handed in reversed(self.rules):
            found = np.where(evaluate_rule(rule, bits), handed, found)
        return found

    def with_rule(self, number: int, rule: Group) -> Handoff:
        """Return it with another rule of one class."""
        rules = list(self.rules)
        rules[number] = (rule, rules[number][1])
        return replace(self, rules=tuple(rules))


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

    def values(self, handoff: Handoff, forced: Mapping[str, bool] | None = None) -> Bits:
        """Return which patterns are handed over, some criteria forced."""
        n = len(self.rows)
        bits = {address: self.rows[:, place] for place, address in enumerate(self.addresses)}
        bits |= {address: np.ones(n, bool) for address in self.always}
        bits |= {address: np.full(n, value) for address, value in (forced or {}).items()}
        return handoff.evaluate(bits, n)

    def truth(self, handoff: Handoff, free: Sequence[str]) -> NDArray[np.int64]:
        """Return the truth table of every pattern with the `free` criteria (at most `MOST_FREE`) open.

        Bit x of a table says whether the lead is handed over when criterion i is met iff bit i of x is set.
        """
        found = np.zeros(len(self.rows), np.int64)
        for x in range(1 << len(free)):
            forced = {address: bool(x >> place & 1) for place, address in enumerate(free)}
            found |= self.values(handoff, forced).astype(np.int64) << x
        return found


def moebius(table: int, k: int) -> tuple[int, ...]:
    """Write a truth table of k criteria as a sum of "all of these are met": one whole number per subset.

    Examples
    --------
    "a or b" is a + b - (a and b):

    >>> moebius(0b1110, 2)
    (0, 1, 1, -1)
    """
    found = [table >> x & 1 for x in range(1 << k)]
    for place in range(k):
        for x in range(1 << k):
            if x >> place & 1:
                found[x] -= found[x ^ (1 << place)]
    return tuple(found)


def find_patterns(bits: Mapping[str, Bits], n_leads: int, *, always: tuple[str, ...] = ()) -> Patterns:
    """Reduce pass bits to the patterns that occur; `always` names criteria that everybody meets."""
    addresses = tuple(bits)
    rows = np.zeros((1, 0), bool)
    index = np.zeros(n_leads, np.int32)
    for start in range(0, len(addresses), _CHUNK):
        part = addresses[start : start + _CHUNK]
        mask = index.astype(np.int64) << len(part)
        for place, address in enumerate(part):
            mask |= bits[address].astype(np.int64) << place
        present, index = _number(mask, len(rows) << len(part))
        added = (present[:, None] >> np.arange(len(part))) & 1
        rows = np.hstack([rows[present >> len(part)], added.astype(bool)])
    return Patterns(addresses=addresses, rows=rows, index=index, always=always)


def _number(values: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the numbers that occur, ascending, and the place of each value among them."""
    if size > _DENSE:
        present, inverse = np.unique(values, return_inverse=True)
        return present, inverse.astype(np.int32)
    present = np.flatnonzero(np.bincount(values, minlength=size))
    places = np.zeros(size, np.int32)
    places[present] = np.arange(len(present))
    return present, places[values]


def find_group_changes(rule: Group) -> Iterator[tuple[Change, Group]]:
    """Yield every other number of criteria that a group may ask for, with the rule that then holds.

    "All of" and "any of" are such numbers as well: a group of four may ask for one, two, three or all.
    """
    for group in _groups(rule):
        n = len(group.members)
        for k in range(1, n + 1):
            if k == group.k:
                continue
            if group.kind == "at_least":
                change = Change(address=group.address, kind="at_least", written=str(group.k), proposed=str(k))
            else:
                change = Change(
                    address=group.address,
                    kind="group",
                    written=say_group(group.k, n),
                    proposed=say_group(k, n),
                )
            yield change, _with_k(rule, group.address, k)


def say_group(k: int, n: int) -> str:
    """Say how many of its n criteria a group asks for, as a change of it is written."""
    return f"all of {n}" if k == n else f"any of {n}" if k == 1 else f"at least {k} of {n}"


def _groups(group: Group) -> Iterator[Group]:
    yield group
    for member in group.members:
        if isinstance(member, Group):
            yield from _groups(member)


def _with_k(group: Group, address: str, k: int) -> Group:
    members = tuple(
        _with_k(member, address, k) if isinstance(member, Group) else member for member in group.members
    )
    if group.address != address:
        return replace(group, members=members)
    return replace(group, kind="at_least", members=members, k=k)

"""Which few criteria together agree best with people: at least k of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.compare._objectify_criteria import Candidate

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Rule", "choose", "evaluate", "search_all"]

_BEAM = 150
_WEIGHTS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""How much more a yes weighs in the search where it is rare: from balanced to raw agreement."""


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """At least k of some tests, by their numbers."""

    members: tuple[int, ...]
    k: int


def evaluate(rule: Rule, tests: list[Candidate]) -> Mask:
    met = np.sum([tests[member].mask for member in rule.members], axis=0)
    return np.asarray(met >= rule.k, dtype=np.bool_)


def search_all(
    tests: list[Candidate], answers: Floats, searched: NDArray[np.int64], max_criteria: int
) -> list[Rule]:
    """Return the rule of each size with the highest kappa among those that are best for some weight of a yes.

    Kappa is no sum over leads, so it cannot be searched itself; what maximises it maximises such a sum.
    """
    found = [
        rule
        for rare in _WEIGHTS
        for rule in _search(tests, _gains(answers, rare=rare), searched, max_criteria)
    ]
    best: dict[int, tuple[float, Rule]] = {}
    for rule in found:
        value = _kappas(evaluate(rule, tests)[searched], answers)[0]
        size = len(rule.members)
        if size not in best or value > best[size][0]:
            best[size] = (value, rule)
    return [best[size][1] for size in sorted(best)]


def _search(
    tests: list[Candidate], gains: Floats, searched: NDArray[np.int64], max_criteria: int
) -> list[Rule]:
    """Return the best rule of each size: of all tests, all pairs, and every third beside the best pairs."""
    masks = np.array([test.mask[searched] for test in tests], dtype=np.float64)
    names = np.array([test.attribute for test in tests])
    costs = np.array([test.cost for test in tests], dtype=np.float64) * 1e-9
    weighted = masks * gains
    single = weighted.sum(axis=1)
    best = [Rule((int(np.argmax(single - costs)),), 1)]
    other = names[:, np.newaxis] != names[np.newaxis, :]
    if max_criteria == 1 or not other.any():
        return best
    both = weighted @ masks.T
    either = single[:, np.newaxis] + single[np.newaxis, :] - both
    price = costs[:, np.newaxis] + costs[np.newaxis, :]
    values = {2: np.where(other, both - price, -inf), 1: np.where(other, either - price, -inf)}
    k, (i, j) = max(
        ((k, np.unravel_index(np.argmax(value), value.shape)) for k, value in values.items()),
        key=lambda found: values[found[0]][found[1]],
    )
    best.append(Rule((min(int(i), int(j)), max(int(i), int(j))), k))
    if max_criteria == 3 and len(set(names)) > 2:
        pairs = _best_pairs(values)
        best.append(_best_triple(pairs, masks, weighted, names, costs, single, both))
    return best


def _best_pairs(values: Mapping[int, Floats]) -> NDArray[np.int64]:
    """Return the pairs that lead in one of the two ways of taking them together."""
    found: set[tuple[int, int]] = set()
    for value in values.values():
        upper = np.triu(np.where(np.isfinite(value), value, -np.finfo(float).max), 1)
        upper[np.tril_indices(len(upper))] = -np.finfo(float).max
        order = np.argsort(-upper, axis=None, kind="stable")[:_BEAM]
        found |= {
            (int(i), int(j)) for i, j in zip(*np.unravel_index(order, upper.shape), strict=True) if i < j
        }
    return np.array(sorted(found), dtype=np.int64)


def _best_triple(
    pairs: NDArray[np.int64],
    masks: Floats,
    weighted: Floats,
    names: NDArray[Any],
    costs: Floats,
    single: Floats,
    both: Floats,
) -> Rule:
    left, right = pairs[:, 0], pairs[:, 1]
    three = (weighted[left] * masks[right]) @ masks.T
    two = both[left, right][:, np.newaxis] + both[left] + both[right]
    one = (single[left] + single[right])[:, np.newaxis] + single[np.newaxis, :]
    price = (costs[left] + costs[right])[:, np.newaxis] + costs[np.newaxis, :]
    new = (names[left] != names[right])[:, np.newaxis] & (names[left][:, np.newaxis] != names[np.newaxis, :])
    new &= names[right][:, np.newaxis] != names[np.newaxis, :]
    values = {3: three, 2: two - 2 * three, 1: one - two + three}
    found: list[tuple[float, int, int, int]] = []
    for k, value in values.items():
        worth = np.where(new, value - price, -inf)
        place, third = np.unravel_index(np.argmax(worth), worth.shape)
        found.append((float(worth[place, third]), k, int(place), int(third)))
    _, k, row, member = max(found)
    return Rule(tuple(sorted((int(left[row]), int(right[row]), member))), k)


def choose(best: list[Rule], tests: list[Candidate], answers: Floats, searched: NDArray[np.int64]) -> Rule:
    """Take the fewest criteria, then the roundest values, within one standard error of the highest kappa."""
    kappas = {rule: _kappas(evaluate(rule, tests)[searched], answers) for rule in best}
    top = max(kappas.values(), key=lambda kappa: kappa[0])
    chosen = next(rule for rule in best if _is_as_good(top, kappas[rule]))
    for position, member in enumerate(chosen.members):
        now = tests[member]
        rounder = sorted(
            (test.cost, number)
            for number, test in enumerate(tests)
            if test.attribute == now.attribute and test.cost < now.cost
        )
        for _, number in rounder:
            members = (*chosen.members[:position], number, *chosen.members[position + 1 :])
            instead = Rule(members, chosen.k)
            if _is_as_good(top, _kappas(evaluate(instead, tests)[searched], answers)):
                chosen = instead
                break
    return chosen


def _kappas(says: Mask, answers: Floats) -> tuple[float, Floats]:
    """Return kappa of a rule with all judgements, and without each lead in turn."""
    yes, no = (answers == 1).sum(axis=1), (answers == 0).sum(axis=1)
    cells = np.stack([yes * says, no * says, yes * ~says, no * ~says]).astype(np.float64)
    whole = cells.sum(axis=1)

    def kappa(caught: Any, extra: Any, missed: Any, left: Any) -> Any:
        chance = (caught + extra) * (extra + left) + (missed + left) * (caught + missed)
        total = caught + extra + missed + left
        return 1 - (extra + missed) * total / np.maximum(chance, 1e-12)

    return float(kappa(*whole)), np.asarray(kappa(*(whole[:, np.newaxis] - cells)), dtype=np.float64)


def _is_as_good(top: tuple[float, Floats], other: tuple[float, Floats]) -> bool:
    """Whether the difference of two kappas on the same leads is within its (jackknife) standard error."""
    lost = top[1] - other[1]
    error = np.sqrt((len(lost) - 1) / len(lost) * ((lost - lost.mean()) ** 2).sum())
    return bool(top[0] - other[0] <= error)


def _gains(answers: Floats, *, rare: float) -> Floats:
    """Return what it is worth to call each lead by the word.

    With `rare` 1 each yes weighs as much more than a no as there are fewer of them (balanced agreement), with
    0 as much (raw agreement).
    """
    yes, no = (answers == 1).sum(axis=1), (answers == 0).sum(axis=1)
    gains: Floats = yes / yes.sum() ** rare - no / no.sum() ** rare
    gains /= max(yes.sum(), no.sum()) ** (1 - rare)
    return gains

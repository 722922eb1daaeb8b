"""The typed space of a definition, searched exactly.

Every attribute is cut into the cells between which no criterion can tell values apart: each threshold, the
gaps between thresholds, each level, true and false, and *missing*. A question ("which lead is both hot and
medium?") is a formula over the criteria. Attributes are decided one after the other; the formula left over
is simplified and remembered, so that equal remainders are searched once (an ordered decision diagram). The
answer is exact: a lead, or the proof that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from leadml.definitions._definition import Criterion, Definition, Group, points_scale, said
from leadml.definitions._diagram import FALSE, MAX_WORK, NO, TRUE, YES, Diagram, Formula, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from leadml.definitions._definition import Attribute, PointScore, Value

__all__ = [
    "OTHER",
    "Space",
    "TooLargeError",
    "classify",
    "make_space",
    "meets",
    "meets_rule",
]

OTHER = "\N{HORIZONTAL ELLIPSIS}"
"""Stands for every level of an open category that no criterion names."""

MAX_STATES = 10_000
MAX_ALL_STATES = 30_000
"""What is searched at most for one question and for all questions about a definition: a few seconds."""
MAX_LEAVES = 400
_SOME_DAY = date(2026, 1, 1)

Cell = Decimal | str | bool | None
Lead = dict[str, Cell]


# -- one criterion on one value ----------------------------------------------------------------------------


def meets(criterion: Criterion, value: Cell, attribute: Attribute) -> bool:
    """Evaluate a criterion on one value; None is missing."""
    if not criterion.measurable:
        return False
    if attribute.type == "ordinal" and value not in attribute.levels:
        value = None
    if value is None:
        return criterion.or_missing or criterion.operator == "is missing"
    operator = criterion.operator
    if operator in {"is known", "is missing"}:
        return operator == "is known"
    if operator in {"is true", "is false"}:
        return value is (operator == "is true")
    if operator in {"=", "in", "!=", "not in"}:
        return (value in criterion.values) == (operator in {"=", "in"})
    return _compares(operator or "", _rank(value, attribute), [_rank(v, attribute) for v in criterion.values])


def _rank(value: Value, attribute: Attribute) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if attribute.type == "date":
        return Decimal(date.fromisoformat(str(value)).toordinal())
    return Decimal(attribute.levels.index(str(value)))


def _compares(operator: str, value: Decimal, bounds: Sequence[Decimal]) -> bool:
    if operator == "between":
        return bounds[0] <= value <= bounds[1]
    tests = {
        "<": value < bounds[0],
        "<=": value <= bounds[0],
        ">": value > bounds[0],
        ">=": value >= bounds[0],
    }
    return tests[operator]


def meets_rule(rule: Criterion | Group | None, lead: Mapping[str, Cell], definition: Definition) -> bool:
    """Evaluate a rule on one lead; an attribute that the lead does not have is missing."""
    if rule is None:
        return True
    if isinstance(rule, Group):
        return sum(meets_rule(member, lead, definition) for member in rule.members) >= rule.k
    if not rule.measurable:
        return False
    name = cast("str", rule.attribute)
    for score in definition.points:
        if score.name == name:
            total = _total(score, lead, definition)
            return _settled(rule, total, total) is True
    return meets(rule, lead.get(name), definition.attribute(name))


def _total(score: PointScore, lead: Mapping[str, Cell], definition: Definition) -> Fraction:
    total = Fraction(0)
    for rule in score.rules:
        if not meets_rule(rule.when, lead, definition):
            continue
        left = Fraction(1)
        if rule.fades_over is not None:
            age = lead.get(rule.age or "")
            span = int(rule.fades_over)
            left = (
                Fraction(max(0, span - max(0, int(age))), span) if isinstance(age, Decimal) else Fraction(0)
            )
        total += Fraction(rule.points) * left
    return total


def classify(definition: Definition, lead: Mapping[str, Cell]) -> str | None:
    """Return the class of one lead, or None where no class takes it."""
    for lead_class in definition.classes:
        if meets_rule(lead_class.rule, lead, definition):
            return lead_class.name
    return None


# -- cells -------------------------------------------------------------------------------------------------


def _cells(attribute: Attribute, criteria: Sequence[Criterion], cuts: Sequence[Decimal]) -> Iterator[Cell]:
    """Yield one value of every cell, missing last."""
    mentioned = [value for criterion in criteria for value in criterion.values]
    if attribute.type == "boolean":
        yield True
        yield False
    elif attribute.type == "date":
        days = sorted({date.fromisoformat(str(value)) for value in mentioned})
        numbers = [Decimal(day.toordinal()) for day in days or [_SOME_DAY]]
        for number in _samples(numbers, None, None, whole=True, near=True):
            if 1 <= number <= date.max.toordinal():
                yield date.fromordinal(int(number)).isoformat()
    elif attribute.is_numeric:
        numbers = sorted({cast("Decimal", value) for value in mentioned} | set(cuts))
        whole = attribute.type == "integer"
        yield from _samples(numbers, attribute.lowest, attribute.maximum, whole=whole)
    elif attribute.levels:
        yield from attribute.levels
    else:
        yield from sorted({str(value) for value in mentioned})
        yield OTHER
    yield None


def _samples(
    cuts: Sequence[Decimal], low: Decimal | None, high: Decimal | None, *, whole: bool, near: bool = False
) -> Iterator[Decimal]:
    """Yield a round number from every cell that the cuts and the ends of the range leave."""
    inside = [cut for cut in cuts if (low is None or cut >= low) and (high is None or cut <= high)]
    ends = sorted({*inside, *(end for end in (low, high) if end is not None)})
    if not ends:
        yield Decimal(1)
        return
    bounds = [None, *ends, None]
    for left, right in pairwise(bounds):
        if left is not None and (not whole or left == left.to_integral_value()):
            yield left
        outside = (left is None and low is not None) or (right is None and high is not None)
        if not outside and (sample := _between(left, right, whole=whole, near=near)) is not None:
            yield sample


def _between(left: Decimal | None, right: Decimal | None, *, whole: bool, near: bool) -> Decimal | None:
    """Return the roundest number strictly between two bounds, or None if no whole one lies there."""
    if left is None:
        bound = cast("Decimal", right)
        left = bound - (1 if near else max(abs(bound), Decimal(1)))
        left -= Decimal(1)
    if right is None:
        right = left + (2 if near else max(abs(left), Decimal(1)) + 1)
    exponent = (right - left).adjusted() + 1
    floor = 0 if whole else exponent - 40
    while exponent >= floor:
        step = Decimal(1).scaleb(exponent)
        middle = ((left + right) / 2 / step).to_integral_value() * step
        for candidate in (middle, (left / step).to_integral_value("ROUND_FLOOR") * step + step):
            if left < candidate < right:
                return Decimal(format(candidate, "f"))
        exponent -= 1
    return None


# -- points ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of a score: which cells earn, how much, and how much is left in each cell of the age."""

    attribute: str
    inside: frozenset[int]
    full: int
    age: str | None = None
    left: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Score:
    """A points score in whole numbers of ``1 / scale``."""

    scale: int
    rules: tuple[_Rule, ...]


@dataclass(frozen=True, slots=True)
class _Sum:
    """The points collected so far, the rules still open, and the cells those have seen."""

    total: int
    open: tuple[int, ...]
    seen: tuple[tuple[str, int], ...] = ()

    def settle(self, score: _Score) -> _Sum:
        """Close the rules that can never earn."""
        never = {number for number in self.open if not score.rules[number].inside}
        return _Sum(self.total, tuple(number for number in self.open if number not in never), self.seen)

    def decide(self, score: _Score, name: str, cell: int) -> _Sum:
        """Return the sum once an attribute has been decided."""
        if not any(name in {score.rules[number].attribute, score.rules[number].age} for number in self.open):
            return self
        seen = {**dict(self.seen), name: cell}
        total, still = self.total, []
        for number in self.open:
            points = _earned(score.rules[number], seen)
            if points is None:
                still.append(number)
            else:
                total += points
        wanted = {
            attribute
            for number in still
            for attribute in (score.rules[number].attribute, score.rules[number].age)
        }
        kept = tuple(sorted((key, value) for key, value in seen.items() if key in wanted))
        return _Sum(total, tuple(still), kept)

    def reach(self, score: _Score) -> tuple[Fraction, Fraction]:
        """Return the lowest and the highest score that is still possible."""
        low = high = self.total
        for number in self.open:
            low += min(0, score.rules[number].full)
            high += max(0, score.rules[number].full)
        return Fraction(low, score.scale), Fraction(high, score.scale)


def _earned(rule: _Rule, seen: dict[str, int]) -> int | None:
    """Return what a rule earns, or None while that is not known."""
    if rule.attribute in seen and seen[rule.attribute] not in rule.inside:
        return 0
    if rule.age is None:
        return rule.full if rule.attribute in seen else None
    if rule.age not in seen:
        return None
    left = rule.left[seen[rule.age]]
    return left if left == 0 or rule.attribute in seen else None


def _settled(criterion: Criterion, low: Fraction, high: Fraction) -> bool | None:
    """Say whether every score from `low` to `high` meets a criterion, or none does; None if neither."""
    if criterion.operator in {"is known", "is missing"}:
        return criterion.operator == "is known"
    values = [Fraction(cast("Decimal", value)) for value in criterion.values]
    bound = values[0]
    if criterion.operator in {"=", "in", "!=", "not in"}:
        inside = [value for value in values if low <= value <= high]
        if inside and low != high:
            return None
        return bool(inside) == (criterion.operator in {"=", "in"})
    if criterion.operator == "between":
        if bound <= low and high <= values[1]:
            return True
        return False if high < bound or low > values[1] or bound > values[1] else None
    tests = {
        ">=": (low >= bound, high >= bound),
        ">": (low > bound, high > bound),
        "<=": (high <= bound, low <= bound),
        "<": (high < bound, low < bound),
    }
    surely, maybe = tests[criterion.operator or ""]
    return True if surely else (None if maybe else False)


# -- the space ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Space:
    """The cells of every attribute, and the criteria as sets of cells.

    A leaf is a criterion by number: the name of its attribute with the cells that meet it or, for a points
    score, with the criterion itself.
    """

    attributes: dict[str, Attribute]
    cells: dict[str, tuple[Cell, ...]] = field(default_factory=dict)
    leaves: list[tuple[str, frozenset[int] | Criterion]] = field(default_factory=list)
    scores: dict[str, _Score] = field(default_factory=dict)
    numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    diagram: Diagram = field(default_factory=Diagram)
    failed: set[tuple[object, ...]] = field(default_factory=set)
    truths: dict[tuple[str, int], dict[int, bool]] = field(default_factory=dict)
    n_states: int = 0
    n_all: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether no further question can be answered."""
        return self.n_all > MAX_ALL_STATES or self.diagram.work > MAX_WORK

    def formula(
        self,
        rule: Criterion | Group | None,
        *,
        prose: Formula = FALSE,
        instead: Mapping[str, Formula] | None = None,
    ) -> Formula:
        """Turn a rule into a formula.

        Parameters
        ----------
        rule : Criterion, Group or None
            None, the rule of a class that takes all others, is met by everybody.
        prose : Formula
            What stands for a criterion that cannot be measured.
        instead : mapping of address to Formula
            What stands for single criteria.
        """
        if rule is None:
            return TRUE
        if isinstance(rule, Criterion):
            if instead is not None and rule.address in instead:
                return instead[rule.address]
            return Formula(k=1, leaf=self._leaf(rule)) if rule.measurable else prose
        parts = tuple(self.formula(member, prose=prose, instead=instead) for member in rule.members)
        return Formula(k=rule.k, parts=parts)

    def _leaf(self, criterion: Criterion) -> int:
        key = said(criterion)
        if key not in self.numbers:
            name = cast("str", criterion.attribute)
            self.numbers[key] = len(self.leaves)
            self.leaves.append((name, criterion if name in self.scores else self.inside(criterion)))
        return self.numbers[key]

    def inside(self, criterion: Criterion) -> frozenset[int]:
        """Return the cells of its attribute that meet a criterion."""
        name = cast("str", criterion.attribute)
        cells = enumerate(self.cells[name])
        return frozenset(number for number, cell in cells if meets(criterion, cell, self.attributes[name]))

    def find(self, formula: Formula) -> Lead | None:
        """Return a lead that meets the formula, naming only attributes that matter, or None.

        Raises
        ------
        TooLargeError
            If the answer needs more than `MAX_STATES` states, or all answers more than `MAX_ALL_STATES`
            states or `MAX_WORK` parts of formulas.
        """
        if self.exhausted:
            raise TooLargeError
        self.n_states = 0
        node = self.diagram.add(formula)
        sums = {
            name: _Sum(0, tuple(range(len(score.rules)))).settle(score) for name, score in self.scores.items()
        }
        if len(self.diagram.support[node]) > MAX_LEAVES:
            raise TooLargeError
        path = self._search(self._settle(node, sums), sums)
        if path is None:
            return None
        found = self._shortened(node, dict(path), sums)
        return {name: self.cells[name][found[name]] for name in self.cells if name in found}

    def _shortened(self, node: int, found: dict[str, int], sums: dict[str, _Sum]) -> dict[str, int]:
        """Leave out what does not matter: without it the formula still holds."""
        for name in reversed(list(found)):
            rest = {key: cell for key, cell in found.items() if key != name}
            left, moved = node, sums
            for key, cell in rest.items():
                left, moved = self._decide(left, moved, key, cell)
            if self._settle(left, moved) == YES:
                found = rest
        return found

    def _search(self, node: int, sums: dict[str, _Sum]) -> list[tuple[str, int]] | None:
        if node in {YES, NO}:
            return [] if node == YES else None
        needed = {self.leaves[leaf][0] for leaf in self.diagram.support[node]}
        sums = {name: total for name, total in sums.items() if name in needed}
        key = (node, tuple(sums.items()))
        if key in self.failed:
            return None
        self.n_states += 1
        self.n_all += 1
        if self.n_states > MAX_STATES or self.n_all > MAX_ALL_STATES:
            raise TooLargeError
        name = self._next(needed, sums)
        seen = set()
        for cell in range(len(self.cells[name])):
            rest, moved = self._decide(node, sums, name, cell)
            state = (rest, tuple(moved.items()))
            if rest == NO or state in seen:
                continue
            seen.add(state)
            path = self._search(rest, moved)
            if path is not None:
                return [(name, cell), *path]
        self.failed.add(key)
        return None

    def _decide(self, node: int, sums: dict[str, _Sum], name: str, cell: int) -> tuple[int, dict[str, _Sum]]:
        """Give an attribute a value: what is left of the formula, and the points so far."""
        moved = {score: total.decide(self.scores[score], name, cell) for score, total in sums.items()}
        self.diagram.spend(1 + sum(len(total.open) for total in sums.values()))
        known = self.truths.get((name, cell))
        if known is None or len(known) < sum(leaf[0] == name for leaf in self.leaves):
            known = {
                number: cell in inside
                for number, (attribute, inside) in enumerate(self.leaves)
                if attribute == name and not isinstance(inside, Criterion)
            }
            self.truths[name, cell] = known
        return self._settle(self.diagram.rest(node, (name, cell), known), moved), moved

    def _settle(self, node: int, sums: dict[str, _Sum]) -> int:
        """Answer the criteria on points that are settled by the points so far."""
        if not sums:
            return node
        for leaf in sorted(self.diagram.support[node]):
            attribute, criterion = self.leaves[leaf]
            if isinstance(criterion, Criterion):
                low, high = sums[attribute].reach(self.scores[attribute])
                truth = _settled(criterion, low, high)
                if truth is not None:
                    node = self.diagram.rest(node, (leaf, truth), {leaf: truth})
        return node

    def _next(self, needed: set[str], sums: dict[str, _Sum]) -> str:
        """Return the attribute to decide next; those of a score come first, they settle most."""
        for name, total in sums.items():
            seen = {attribute for attribute, _ in total.seen}
            for number in total.open:
                rule = self.scores[name].rules[number]
                if rule.attribute not in seen:
                    return rule.attribute
                if rule.age is not None and rule.age not in seen:
                    return rule.age
        return next(name for name in self.cells if name in needed)


def make_space(definition: Definition) -> Space:
    """Cut the attributes of a definition into cells."""
    attributes = definition.typed_attributes()
    scores = {score.name for score in definition.points}
    criteria = list(definition.criteria()) + [criterion for criterion, _ in definition.prices.won_by]
    criteria += [rule.when for score in definition.points for rule in score.rules]
    measured: dict[str, list[Criterion]] = {name: [] for name in attributes if name not in scores}
    for criterion in criteria:
        if criterion.measurable and criterion.attribute in measured:
            measured[criterion.attribute].append(criterion)
    cuts: dict[str, set[Decimal]] = {}
    for score in definition.points:
        for rule in score.rules:
            if rule.fades_over is not None and rule.age is not None:
                days = range(int(rule.fades_over) + 1)
                cuts.setdefault(rule.age, set()).update(Decimal(day) for day in days)
    space = Space(attributes=attributes)
    for name, tests in measured.items():
        space.cells[name] = _merged(
            tuple(_cells(attributes[name], tests, sorted(cuts.get(name, ())))),
            tests,
            attributes[name],
            keep=name in cuts,
        )
    for score in definition.points:
        space.scores[score.name] = _make_score(space, score)
    return space


def _merged(
    cells: tuple[Cell, ...], criteria: Sequence[Criterion], attribute: Attribute, *, keep: bool
) -> tuple[Cell, ...]:
    """Keep one of the cells that no criterion tells apart; missing stays a cell of its own."""
    if keep:
        return cells
    alike: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        alike.setdefault((cell is None, *(meets(item, cell, attribute) for item in criteria)), []).append(
            cell
        )
    return tuple(same[len(same) // 2] for same in alike.values())


def _make_score(space: Space, score: PointScore) -> _Score:
    scale = points_scale(score)
    rules = []
    for rule in score.rules:
        if not rule.when.measurable:
            continue
        full = int(rule.points * scale)
        left: tuple[int, ...] = ()
        if rule.fades_over is not None and rule.age is not None:
            span = int(rule.fades_over)
            ages = space.cells[rule.age]
            left = tuple(0 if age is None else _left(full, span, cast("Decimal", age)) for age in ages)
        name = cast("str", rule.when.attribute)
        rules.append(_Rule(name, space.inside(rule.when), full, rule.age, left))
    return _Score(scale, tuple(rules))


def _left(full: int, span: int, age: Decimal) -> int:
    return full * max(0, span - max(0, int(age))) // span

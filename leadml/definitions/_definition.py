"""The written definition as a value: attributes, criteria, groups, classes, points and prices."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from math import lcm
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = [
    "DIMENSIONS",
    "Attribute",
    "AttributeType",
    "Criterion",
    "Definition",
    "Fault",
    "FaultKind",
    "Group",
    "GroupKind",
    "LeadClass",
    "Operator",
    "PointRule",
    "PointScore",
    "Prices",
    "Value",
    "every_criterion",
    "points_scale",
    "said",
    "used_attributes",
    "walk_criteria",
]

AttributeType = Literal["number", "integer", "ordinal", "category", "boolean", "date"]
Operator = Literal[
    "<",
    "<=",
    ">",
    ">=",
    "=",
    "!=",
    "between",
    "in",
    "not in",
    "is known",
    "is missing",
    "is true",
    "is false",
]
GroupKind = Literal["all_of", "any_of", "at_least"]
FaultKind = Literal["unknown_attribute", "unknown_level", "bad_value", "bad_operator", "syntax"]
KnownAt = Literal["capture", "handoff", "after"]
Value = Decimal | str | bool

DIMENSIONS = ("interest", "authority", "budget", "need", "timing", "industry", "size", "pain", "systems")
"""The checklist of what a definition should cover."""

_COUNTED = frozenset(
    """people persons employees users seats views visits visitors pages clicks opens downloads sessions
    events calls mails emails meetings requests times items count counts points
    milliseconds seconds minutes hours days weeks months quarters years ms s min h d""".split()  # noqa: SIM905
)
"""Units of counts and durations: a value below zero cannot occur."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One thing that is known about a lead.

    Parameters
    ----------
    name : str
        As used in criteria and as the column of the leads.
    type : {"number", "integer", "ordinal", "category", "boolean", "date"}
        What its values are. Ordinals and categories are texts; ordinals are ordered by `levels`.
    unit : str or None
        What a number counts or measures ("months", "people").
    levels : tuple of str
        The allowed texts; ascending for an ordinal.
    dimension : str or None
        What it covers of the checklist (`DIMENSIONS`).
    known_at : {"capture", "handoff", "after"} or None
        When the value exists. What is known only after the handoff cannot decide about the handoff.
    asked : str or None
        The question of the form that fills it.
    steps : tuple of Decimal
        The round numbers among which a threshold may move, ascending.
    minimum, maximum : Decimal or None
        The declared range of a number (``range: [0, 100]``).
    age_of : str or None
        Name of a date attribute: this attribute is the whole days from that day to `anchor`.
    anchor : str or None
        The date attribute at which an age or a window ends, or "as_of" for the day of assignment.
    window : str or None
        The span that a count covers, as written ("30 days").
    line : int
        Line of the file, 0 if there is none.
    """

    name: str
    type: AttributeType
    unit: str | None = None
    levels: tuple[str, ...] = ()
    dimension: str | None = None
    known_at: KnownAt | None = None
    asked: str | None = None
    steps: tuple[Decimal, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    age_of: str | None = None
    anchor: str | None = None
    window: str | None = None
    line: int = 0

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in {"number", "integer"}

    @property
    def lowest(self) -> Decimal | None:
        """The lowest possible number: declared, or zero for counts and durations."""
        if self.minimum is not None or self.age_of is not None or not self.is_numeric:
            return self.minimum
        return Decimal(0) if (self.unit or "").strip().lower() in _COUNTED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a text that is meant as a criterion cannot be evaluated."""

    kind: FaultKind
    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One test of one attribute, or a sentence of prose that nobody can measure.

    Parameters
    ----------
    address : str
        ``class.attribute``; a second use of the attribute in the class ends in ``#2``.
    attribute : str or None
        None for prose.
    operator : str or None
        None for prose and for a text that cannot be read.
    values : tuple of Decimal, str or bool
        What the operator compares with: numbers, levels, or days as ``YYYY-MM-DD``.
    or_missing : bool
        Whether a lead without a value meets the criterion.
    text : str
        As written.
    line, column : int
        Where it stands in the file, from 1.
    fault : Fault or None
        Why it cannot be evaluated, if it was meant as a criterion.
    """

    address: str
    attribute: str | None
    operator: Operator | None
    values: tuple[Value, ...] = ()
    or_missing: bool = False
    text: str
    line: int = 0
    column: int = 0
    fault: Fault | None = None

    @property
    def measurable(self) -> bool:
        """Whether two people evaluating it must get the same answer."""
        return self.attribute is not None and self.fault is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Criteria and groups of which at least `k` must be met."""

    kind: GroupKind
    k: int
    members: tuple[Criterion | Group, ...]
    address: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadClass:
    """A class of leads; `rule` None takes every lead that no earlier class took."""

    name: str
    meaning: str
    rule: Group | None
    line: int = 0

    def criteria(self) -> tuple[Criterion, ...]:
        """Return its criteria in the order of the file."""
        return () if self.rule is None else tuple(walk_criteria(self.rule))


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRule:
    """Points for meeting a criterion, fading linearly to zero over `fades_over` days of age if given.

    A lead gets ``points * max(0, 1 - age / fades_over)`` with the age in the attribute `age`; a negative
    age counts as zero and a missing age earns nothing.
    """

    when: Criterion
    points: Decimal
    fades_over: Decimal | None = None
    age: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PointScore:
    """A hand-written score: the sum of the points of its rules, a number attribute of every lead."""

    name: str
    rules: tuple[PointRule, ...]
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The signed price list: what a won deal is worth and what working a lead costs.

    `won_by` is read from the top: the first criterion that a lead meets gives its price, else the default.
    """

    won_default: Decimal | None = None
    won_by: tuple[tuple[Criterion, Decimal], ...] = ()
    worked_lead: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A written definition of which leads Marketing hands to Sales.

    Parameters
    ----------
    name, version : str
        What it is called and which version this is.
    effective_from, review_by : date or None
        From when it holds and when it must be looked at again.
    owners : tuple of (side, who)
        Who signs for Marketing and for Sales.
    meaning : str
        One sentence of what it is for.
    attributes : tuple of Attribute
        In the order of the file.
    points : tuple of PointScore
        Hand-written scores; each is a number attribute too.
    classes : tuple of LeadClass
        A lead is in the first class whose rule it meets.
    handoff : tuple of str
        The classes that go to Sales.
    prices : Prices
        The signed price list.
    source : str
        Name of the file.
    text : str
        The file's text, as its author wrote it.
    sha256 : str
        Digest of the text.
    """

    name: str
    version: str
    effective_from: date | None = None
    review_by: date | None = None
    owners: tuple[tuple[str, str], ...] = ()
    meaning: str = ""
    attributes: tuple[Attribute, ...] = ()
    points: tuple[PointScore, ...] = ()
    classes: tuple[LeadClass, ...]
    handoff: tuple[str, ...] = ()
    prices: Prices = field(default_factory=Prices)
    source: str = "<text>"
    text: str = field(default="", repr=False)
    sha256: str = ""

    def typed_attributes(self) -> dict[str, Attribute]:
        """Return every attribute a criterion may use: the declared ones and the points."""
        scores = {
            score.name: Attribute(
                name=score.name,
                type="number",
                unit="points",
                minimum=None,
                age_of=None,
                known_at=self._known_at(score),
                line=score.line,
            )
            for score in self.points
        }
        return {attribute.name: attribute for attribute in self.attributes} | scores

    def _known_at(self, score: PointScore) -> KnownAt | None:
        names = {rule.when.attribute for rule in score.rules}
        moments = {attribute.known_at for attribute in self.attributes if attribute.name in names}
        return next((moment for moment in ("after", "handoff", "capture") if moment in moments), None)

    def attribute(self, name: str) -> Attribute:
        """Return a declared attribute or a points score by its name."""
        return self.typed_attributes()[name]

    def criteria(self) -> tuple[Criterion, ...]:
        """Return every criterion of the classes in the order of the file."""
        return tuple(criterion for lead_class in self.classes for criterion in lead_class.criteria())

    def criterion(self, address: str) -> Criterion:
        """Return the criterion at an address."""
        for criterion in self.criteria():
            if criterion.address == address:
                return criterion
        raise KeyError(address)

    def lead_class(self, name: str) -> LeadClass:
        """Return a class by its name."""
        for lead_class in self.classes:
            if lead_class.name == name:
                return lead_class
        raise KeyError(name)

    def handed_over(self, name: str) -> bool:
        """Whether leads of this class go to Sales."""
        return name in self.handoff

    def __repr__(self) -> str:
        from leadml.definitions._card import describe_definition

        return describe_definition(self)

    def _repr_html_(self) -> str:
        from leadml.definitions._card import render_definition

        return render_definition(self)


def walk_criteria(group: Group) -> Iterator[Criterion]:
    """Yield the criteria of a group and of the groups in it, in the order of the file."""
    for member in group.members:
        if isinstance(member, Criterion):
            yield member
        else:
            yield from walk_criteria(member)


def every_criterion(definition: Definition) -> Iterator[Criterion]:
    """Yield the criteria of points, classes and prices."""
    for score in definition.points:
        for rule in score.rules:
            yield rule.when
    yield from definition.criteria()
    for criterion, _ in definition.prices.won_by:
        yield criterion


def used_attributes(definition: Definition) -> set[str]:
    """Return the attributes on which a class, a points score or a price depends.

    Parameters
    ----------
    definition : Definition

    Returns
    -------
    set of str
        Names as declared, and of the points scores; an age brings the date it is counted from.
    """
    names = {criterion.attribute for criterion in every_criterion(definition) if criterion.attribute}
    names |= {rule.age for score in definition.points for rule in score.rules if rule.age}
    for attribute in definition.attributes:
        if attribute.name in names:
            names |= {name for name in (attribute.age_of, attribute.anchor) if name}
    return names


def said(criterion: Criterion) -> tuple[object, ...]:
    """Return what a criterion says, without where it says it; prose says its text."""
    if not criterion.measurable:
        return (criterion.text,)
    return (criterion.attribute, criterion.operator, criterion.values, criterion.or_missing)


def points_scale(score: PointScore) -> int:
    """Return the whole number by which all points of a score, faded by whole days, become whole."""
    exponents = [cast("int", rule.points.normalize().as_tuple().exponent) for rule in score.rules]
    spans = [int(rule.fades_over) for rule in score.rules if rule.fades_over is not None]
    return int(10 ** max(0, *(-exponent for exponent in exponents), 0)) * lcm(1, *spans)


def slug(text: str) -> str:
    """Return the words of a text joined by underscores, for the address of a prose criterion."""
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")[:60] or "criterion"

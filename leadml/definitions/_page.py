"""What the page on the wall says: a definition as plain parts, for HTML, Markdown and notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadml.definitions._definition import Criterion, Definition, Group
from leadml.definitions._grammar import format_criterion, format_value
from leadml.definitions._words import describe_criterion, describe_group, join_words, label

if TYPE_CHECKING:
    from leadml.definitions._definition import Attribute, PointRule

__all__ = ["ClassPart", "FieldPart", "Line", "Page", "make_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a class: a criterion or the head of a group, indented by its depth."""

    depth: int
    words: str
    written: str = ""
    head: bool = False
    measurable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPart:
    """One class."""

    name: str
    meaning: str
    handed_over: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPart:
    """One thing that must be known of a lead."""

    name: str
    question: str
    answer: str
    known: str
    needed_for: str
    thresholds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the page says, in its order."""

    name: str
    version: str
    meaning: str
    head: tuple[tuple[str, str], ...]
    classes: tuple[ClassPart, ...]
    scores: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    asked: tuple[FieldPart, ...]
    collected: tuple[FieldPart, ...]
    prices: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]
    previous: str
    sha256: str


def make_page(definition: Definition, *, changes: tuple[str, ...] = (), previous: str = "") -> Page:
    """Say a definition in plain parts."""
    attributes = definition.typed_attributes()
    fields = [_field(definition, item) for item in definition.attributes]
    needed = [item for item in fields if item is not None]
    return Page(
        name=label(definition.name.replace("-", " ")),
        version=definition.version,
        meaning=definition.meaning,
        head=tuple(_head(definition)),
        classes=tuple(
            ClassPart(
                name=item.name,
                meaning=item.meaning,
                handed_over=definition.handed_over(item.name),
                lines=tuple(_lines(item.rule, attributes)),
            )
            for item in definition.classes
        ),
        scores=tuple(
            (label(score.name), tuple(_points(rule, attributes) for rule in score.rules))
            for score in definition.points
        ),
        asked=tuple(item for item in needed if item.question),
        collected=tuple(item for item in needed if not item.question),
        prices=tuple(_prices(definition)),
        changes=changes,
        previous=previous,
        sha256=definition.sha256,
    )


def _head(definition: Definition) -> list[tuple[str, str]]:
    owners = [(f"Owner, {side}", who or "nobody yet") for side, who in definition.owners]
    return [
        ("In force from", str(definition.effective_from or "not set")),
        ("Next review", str(definition.review_by or "not set")),
        *(owners or [("Owner", "nobody yet")]),
        ("Goes to Sales", join_words(definition.handoff) or "nothing"),
    ]


def _lines(rule: Group | None, attributes: dict[str, Attribute], depth: int = 0) -> list[Line]:
    if rule is None:
        return [Line(depth=0, words="Everybody else.")]
    found = [Line(depth=depth, words=f"{describe_group(rule)}:", head=True)]
    for member in rule.members:
        if isinstance(member, Group):
            found += _lines(member, attributes, depth + 1)
        else:
            found.append(_line(member, attributes, depth + 1))
    return found


def _line(criterion: Criterion, attributes: dict[str, Attribute], depth: int) -> Line:
    return Line(
        depth=depth,
        words=describe_criterion(criterion, attributes.get(criterion.attribute or "")),
        written=format_criterion(criterion) if criterion.measurable else "",
        measurable=criterion.measurable,
    )


def _points(rule: PointRule, attributes: dict[str, Attribute]) -> tuple[str, str]:
    words = describe_criterion(rule.when, attributes.get(rule.when.attribute or ""))
    points = f"{'+' if rule.points > 0 else ''}{format_value(rule.points)}"
    if rule.fades_over is not None:
        words = (
            f"{words}; fades to nothing over {format_value(rule.fades_over)} days of {label(rule.age or '')}"
        )
    return words, points


def _field(definition: Definition, attribute: Attribute) -> FieldPart | None:
    """Say what is needed to evaluate the criteria of one attribute; None if nothing needs it."""
    places: list[str] = []
    tests: list[str] = []
    for item in definition.classes:
        for criterion in item.criteria():
            if criterion.attribute == attribute.name:
                places.append(item.name)
                tests.append(f"{item.name}: {format_criterion(criterion)}")
    name = attribute.name
    places += [
        f"{label(score.name)} points"
        for score in definition.points
        if any(name in {rule.when.attribute, rule.age} for rule in score.rules)
    ]
    if any(criterion.attribute == name for criterion, _ in definition.prices.won_by):
        places.append("the value of a win")
    places += [label(other.name) for other in definition.attributes if name in {other.age_of, other.anchor}]
    if not places:
        return None
    moments = {
        "capture": "when the lead comes in",
        "handoff": "at the handoff",
        "after": "only after the handoff",
    }
    return FieldPart(
        name=label(attribute.name),
        question=attribute.asked or "",
        answer=_answer(attribute),
        known=moments.get(attribute.known_at or "", "not said"),
        needed_for=join_words(dict.fromkeys(places)),
        thresholds="; ".join(tests),
    )


def _answer(attribute: Attribute) -> str:
    if attribute.age_of is not None:
        until = label(attribute.anchor or "the day of the question").replace(
            "as of", "the day of the question"
        )
        return f"days from {label(attribute.age_of)} to {until}"
    if attribute.levels:
        return ("lowest first: " if attribute.type == "ordinal" else "") + ", ".join(attribute.levels)
    if attribute.type == "boolean":
        return "yes or no"
    kinds = {"number": "a number", "integer": "a whole number", "date": "a day"}
    words = kinds.get(attribute.type, "a text from the list of your system")
    words = f"{words} of {attribute.unit}" if attribute.unit else words
    if attribute.window:
        words = f"{words} within {attribute.window} before {label(attribute.anchor or 'an unnamed day')}"
    return words


def _prices(definition: Definition) -> list[tuple[str, str]]:
    prices = definition.prices
    currency = f" {prices.currency}" if prices.currency else ""
    attributes = definition.typed_attributes()
    found = []
    for criterion, price in prices.won_by:
        words = describe_criterion(criterion, attributes.get(criterion.attribute or ""))
        found.append((f"A win with {words}", f"{price:,f}{currency}"))
    if prices.won_default is not None:
        found.append(("Any other win" if prices.won_by else "A win", f"{prices.won_default:,f}{currency}"))
    if prices.worked_lead is not None:
        found.append(("Working a lead", f"{prices.worked_lead:,f}{currency}"))
    return found

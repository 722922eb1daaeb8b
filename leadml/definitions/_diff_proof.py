"""Two definitions in one typed space: which leads a class gains and loses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from leadml.definitions._definition import Criterion, Definition, Group, said
from leadml.definitions._diagram import conjunction, negation
from leadml.definitions._space import Space, TooLargeError, make_space
from leadml.definitions._words import describe_lead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadml.definitions._definition import Attribute, PointScore
    from leadml.definitions._diagram import Formula

__all__ = ["ClassChange", "DiffEntry", "Effect", "Proof"]

Effect = Literal["looser", "stricter", "moved", "same", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffEntry:
    """One change.

    Parameters
    ----------
    kind : str
        ``threshold``, ``criterion_added``, ``criterion_dropped``, ``group``, ``class``, ``attribute``,
        ``points``, ``price``, ``handoff``, ``owner``, ``head``.
    place : str
        The address, class, attribute or key that changed.
    written, proposed : str or None
        What the old and the new definition say.
    words : str
        The change as a sentence.
    effect : {"looser", "stricter", "moved", "same", "unknown"}
        For a criterion: whether more or fewer leads meet it.
    line : int
        Line in the new file, or in the old one for what is gone.
    """

    kind: str
    place: str
    written: str | None
    proposed: str | None
    words: str
    effect: Effect = "unknown"
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """Which leads a class gains and loses: a witness in words, None if it is proved that there is none."""

    name: str
    effect: Effect
    gained: str | None
    lost: str | None

    @property
    def words(self) -> str:
        """The change as a sentence."""
        if self.effect == "same":
            return f"{self.name} holds the same leads."
        if self.effect == "unknown":
            return f"{self.name} cannot be compared: its attributes changed."
        gained = f"gains, for example, {self.gained}" if self.gained else "gains no lead"
        lost = f"loses, for example, {self.lost}" if self.lost else "loses no lead"
        return f"{self.name} is {self.effect}: it {gained}, and {lost}."


@dataclass(slots=True)
class Proof:
    """Both definitions in one space; the new one's points and classes are renamed where they differ."""

    old: Definition
    new: Definition
    space: Space | None
    attributes: Mapping[str, Attribute]
    renamed: Mapping[str, str]

    @classmethod
    def make(cls, old: Definition, new: Definition) -> Proof:
        """Put two definitions into one space, if their attributes allow it."""
        shared = {item.name: item for item in old.attributes}
        clash = any(
            item.name in shared and _meaning(shared[item.name]) != _meaning(item) for item in new.attributes
        )
        names = {item.name for item in (*old.attributes, *new.attributes)}
        clash = clash or any(score.name in names for score in (*old.points, *new.points))
        known = {score.name: _score_shape(score) for score in old.points}
        renamed = {
            score.name: f"{score.name} (new)"
            for score in new.points
            if score.name in known and known[score.name] != _score_shape(score)
        }
        if clash:
            return cls(old, new, None, {}, {})
        fresh = [
            replace(score, name=renamed.get(score.name, score.name))
            for score in new.points
            if score.name in renamed or score.name not in known
        ]
        moved = [
            replace(item, name=f"{item.name} (new)", rule=_rename(item.rule, renamed)) for item in new.classes
        ]
        merged = replace(
            old,
            attributes=(*old.attributes, *(item for item in new.attributes if item.name not in shared)),
            points=(*old.points, *fresh),
            classes=(*old.classes, *moved),
        )
        return cls(old, new, make_space(merged), merged.typed_attributes(), renamed)

    def membership(self, definition: Definition, name: str, renamed: Mapping[str, str]) -> Formula | None:
        """Return which leads are in a class, None if there is no such class."""
        if self.space is None:
            return None
        earlier: list[Formula] = []
        for item in definition.classes:
            own = self.space.formula(_rename(item.rule, renamed))
            if item.name == name:
                return conjunction(own, *(negation(other) for other in earlier))
            earlier.append(own)
        return None

    def compare(self, name: str) -> ClassChange:
        """Find a lead that a class gains and one that it loses."""
        if self.space is None:
            return ClassChange(name=name, effect="unknown", gained=None, lost=None)
        before = self.membership(self.old, name, {})
        after = self.membership(self.new, name, self.renamed)
        try:
            gained = self.witness(after, before)
            lost = self.witness(before, after)
        except TooLargeError:
            return ClassChange(name=name, effect="unknown", gained=None, lost=None)
        return ClassChange(
            name=name, effect=_effect(gained is not None, lost is not None), gained=gained, lost=lost
        )

    def witness(self, inside: Formula | None, outside: Formula | None) -> str | None:
        """Return a lead in words that is in one and not in the other."""
        if self.space is None or inside is None:
            return None
        parts = (inside,) if outside is None else (inside, negation(outside))
        lead = self.space.find(conjunction(*parts))
        return None if lead is None else describe_lead(lead, self.attributes)

    def effect(self, before: Criterion, after: Criterion) -> Effect:
        """Say whether more or fewer leads meet the new criterion."""
        if self.space is None or not (before.measurable and after.measurable):
            return "unknown"
        left = self.space.formula(before)
        right = self.space.formula(_rename_criterion(after, self.renamed))
        try:
            gained = self.space.find(conjunction(right, negation(left))) is not None
            lost = self.space.find(conjunction(left, negation(right))) is not None
        except TooLargeError:
            return "unknown"
        return _effect(gained, lost)


def _effect(gained: bool, lost: bool) -> Effect:  # noqa: FBT001 - two answers, not options
    if gained and lost:
        return "moved"
    return "looser" if gained else "stricter" if lost else "same"


def _meaning(attribute: Attribute) -> tuple[object, ...]:
    return (
        attribute.type,
        attribute.unit,
        attribute.levels,
        attribute.lowest,
        attribute.maximum,
        attribute.age_of,
        attribute.anchor,
    )


def _score_shape(score: PointScore) -> tuple[object, ...]:
    return tuple((said(rule.when), rule.points, rule.fades_over, rule.age) for rule in score.rules)


def _rename_criterion(criterion: Criterion, renamed: Mapping[str, str]) -> Criterion:
    name = criterion.attribute
    return replace(criterion, attribute=renamed[name]) if name is not None and name in renamed else criterion


def _rename(rule: Group | None, renamed: Mapping[str, str]) -> Group | None:
    return None if rule is None else _rename_group(rule, renamed)


def _rename_group(group: Group, renamed: Mapping[str, str]) -> Group:
    members = tuple(
        _rename_criterion(member, renamed)
        if isinstance(member, Criterion)
        else _rename_group(member, renamed)
        for member in group.members
    )
    return replace(group, members=members)

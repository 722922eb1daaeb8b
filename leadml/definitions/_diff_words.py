"""The changes between two definitions as sentences, criterion by criterion."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from leadml.definitions._definition import Criterion, Definition, Group, said
from leadml.definitions._diff_proof import DiffEntry
from leadml.definitions._grammar import format_criterion, format_value
from leadml.definitions._words import describe_group, describe_rule, join_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadml.definitions._definition import Attribute, PointScore, Prices
    from leadml.definitions._diff_proof import Effect, Proof

__all__ = ["describe_changes"]


def describe_changes(old: Definition, new: Definition, proof: Proof) -> Iterator[DiffEntry]:
    """Yield every change, from the head of the file to its prices."""
    yield from _diff_head(old, new)
    yield from _diff_attributes(old, new)
    yield from _diff_points(old.points, new.points)
    yield from _diff_classes(old, new, proof)
    yield from _diff_prices(old.prices, new.prices)


def _entry(
    kind: str,
    place: str,
    written: object,
    proposed: object,
    words: str,
    *,
    effect: Effect = "unknown",
    line: int = 0,
) -> DiffEntry:
    return DiffEntry(
        kind=kind,
        place=place,
        written=None if written is None else str(written),
        proposed=None if proposed is None else str(proposed),
        words=words,
        effect=effect,
        line=line,
    )


def _moved(kind: str, place: str, old: object, new: object, *, quote: str = "") -> Iterator[DiffEntry]:
    """Say that a plain value changed, came or went."""
    if old == new:
        return
    was, now = (f"{quote}{value}{quote}" for value in (old, new))
    if old in {None, ""}:
        words = f"{place} is now {now}."
    elif new in {None, ""}:
        words = f"{place} is no longer given; it was {was}."
    else:
        words = f"{place} is now {now} instead of {was}."
    yield _entry(kind, place, old, new, words)


def _diff_head(old: Definition, new: Definition) -> Iterator[DiffEntry]:
    for key in ("name", "version", "effective_from", "review_by", "meaning"):
        quote = '"' if key == "meaning" else ""
        yield from _moved("head", key, getattr(old, key), getattr(new, key), quote=quote)
    before, after = dict(old.owners), dict(new.owners)
    for side in dict.fromkeys([*before, *after]):
        yield from _moved("owner", f"the owner for {side}", before.get(side), after.get(side))
    if old.handoff != new.handoff:
        now, was = (join_words(names) or "nothing" for names in (new.handoff, old.handoff))
        words = f"{now} {'goes' if len(new.handoff) < 2 else 'go'} to Sales instead of {was}."
        yield _entry("handoff", "handoff", was, now, words)


def _diff_attributes(old: Definition, new: Definition) -> Iterator[DiffEntry]:
    before = {item.name: item for item in old.attributes}
    after = {item.name: item for item in new.attributes}
    for name, attribute in after.items():
        if name not in before:
            words = f"{name} is a new attribute ({_about(attribute)})."
            yield _entry("attribute", name, None, _about(attribute), words, line=attribute.line)
            continue
        was = before[name]
        for field in fields(attribute):
            if field.name in {"name", "line"}:
                continue
            left, right = getattr(was, field.name), getattr(attribute, field.name)
            if left != right:
                place, quote = f"{name}.{field.name}", '"' if field.name == "asked" else ""
                for entry in _moved("attribute", place, _listed(left), _listed(right), quote=quote):
                    yield replace(entry, line=attribute.line)
    for name, attribute in before.items():
        if name not in after:
            yield _entry("attribute", name, _about(attribute), None, f"{name} is gone.", line=attribute.line)


def _about(attribute: Attribute) -> str:
    return f"{attribute.type}, {attribute.unit}" if attribute.unit else attribute.type


def _listed(value: object) -> str | None:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return None if value is None else str(value)


def _diff_points(old: Sequence[PointScore], new: Sequence[PointScore]) -> Iterator[DiffEntry]:
    before, after = ({score.name: score for score in scores} for scores in (old, new))
    for name, score in after.items():
        if name not in before:
            yield _entry("points", name, None, name, f"{name} is a new points score.", line=score.line)
            continue
        left = {said(rule.when): rule for rule in before[name].rules}
        right = {said(rule.when): rule for rule in score.rules}
        for key, rule in right.items():
            words = format_criterion(rule.when)
            was = left.get(key)
            now = _points(rule.points, rule.fades_over)
            if was is None:
                yield _entry(
                    "points", name, None, now, f"{name} now gives {now} for {words}.", line=rule.line
                )
            elif (was.points, was.fades_over, was.age) != (rule.points, rule.fades_over, rule.age):
                said_before = _points(was.points, was.fades_over)
                sentence = f"{name} gives {now} instead of {said_before} for {words}."
                yield _entry("points", name, said_before, now, sentence, line=rule.line)
        for key, rule in left.items():
            if key not in right:
                gone = f"{name} no longer gives {_points(rule.points, rule.fades_over)}"
                sentence = f"{gone} for {format_criterion(rule.when)}."
                yield _entry("points", name, str(rule.points), None, sentence, line=rule.line)
    for name, score in before.items():
        if name not in after:
            yield _entry("points", name, name, None, f"The points score {name} is gone.", line=score.line)


def _points(points: object, fades_over: object) -> str:
    return f"{points} points" + (f" fading over {fades_over} days" if fades_over is not None else "")


def _diff_classes(old: Definition, new: Definition, proof: Proof) -> Iterator[DiffEntry]:
    before = {item.name: item for item in old.classes}
    after = {item.name: item for item in new.classes}
    attributes = {**old.typed_attributes(), **new.typed_attributes()}
    order = [name for name in before if name in after], [name for name in after if name in before]
    if order[0] != order[1]:
        words = (
            f"The classes are asked in the order {join_words(order[1])} instead of {join_words(order[0])}."
        )
        yield _entry("class", "classes", ", ".join(order[0]), ", ".join(order[1]), words)
    for name, lead_class in after.items():
        rule = lead_class.rule
        if name not in before:
            rules = "everybody else" if rule is None else describe_rule(rule, attributes)
            yield _entry("class", name, None, rules, f"{name} is a new class: {rules}.", line=lead_class.line)
            continue
        was = before[name]
        yield from _moved("class", f"the meaning of {name}", was.meaning, lead_class.meaning, quote='"')
        if (was.rule is None) != (rule is None):
            now = "everybody else" if rule is None else describe_rule(rule, attributes)
            left = "everybody else" if was.rule is None else describe_rule(was.rule, attributes)
            yield _entry(
                "class", name, left, now, f"{name} now holds {now} instead of {left}.", line=lead_class.line
            )
        elif was.rule is not None and rule is not None:
            yield from _diff_groups(name, was.rule, rule, proof)
    for name, lead_class in before.items():
        if name not in after:
            yield _entry("class", name, name, None, f"The class {name} is gone.", line=lead_class.line)


def _diff_groups(name: str, old: Group, new: Group, proof: Proof) -> Iterator[DiffEntry]:
    if (old.kind, old.k if old.kind == "at_least" else 0) != (
        new.kind,
        new.k if new.kind == "at_least" else 0,
    ):
        left, right = describe_group(old), describe_group(new)
        words = f"{name} now asks for {right} instead of {left}."
        yield _entry("group", new.address, left, right, words, line=new.line)
    pairs, dropped, added = _matched(
        [item for item in old.members if isinstance(item, Criterion)],
        [item for item in new.members if isinstance(item, Criterion)],
    )
    for was, now in pairs:
        if said(was) != said(now):
            yield _changed_criterion(name, was, now, proof)
    for item in dropped:
        words = f"{name} no longer asks for {format_criterion(item)}."
        yield _entry("criterion_dropped", item.address, format_criterion(item), None, words, line=item.line)
    for item in added:
        words = f"{name} now also asks for {format_criterion(item)}."
        yield _entry("criterion_added", item.address, None, format_criterion(item), words, line=item.line)
    left_groups = [item for item in old.members if isinstance(item, Group)]
    right_groups = [item for item in new.members if isinstance(item, Group)]
    for was_group, now_group in zip(left_groups, right_groups, strict=False):
        yield from _diff_groups(name, was_group, now_group, proof)
    attributes = {**proof.old.typed_attributes(), **proof.new.typed_attributes()}
    for group in left_groups[len(right_groups) :]:
        said_group = describe_rule(group, attributes)
        words = f"{name} no longer asks for {said_group}."
        yield _entry("group", group.address, said_group, None, words, line=group.line)
    for group in right_groups[len(left_groups) :]:
        said_group = describe_rule(group, attributes)
        words = f"{name} now also asks for {said_group}."
        yield _entry("group", group.address, None, said_group, words, line=group.line)


def _matched(
    old: list[Criterion], new: list[Criterion]
) -> tuple[list[tuple[Criterion, Criterion]], list[Criterion], list[Criterion]]:
    """Pair the criteria of two lists: equal ones first, then by attribute and operator, then by attribute."""
    pairs = []
    left, right = list(old), list(new)
    for key in (said, lambda item: (item.attribute, item.operator), lambda item: (item.attribute,)):
        for was in list(left):
            for now in list(right):
                if key(was) == key(now) and (key is said or was.attribute is not None):
                    pairs.append((was, now))
                    left.remove(was)
                    right.remove(now)
                    break
    return pairs, left, right


def _changed_criterion(name: str, was: Criterion, now: Criterion, proof: Proof) -> DiffEntry:
    effect = proof.effect(was, now)
    attribute = proof.new.typed_attributes().get(now.attribute or "")
    unit = f" {attribute.unit}" if attribute is not None and attribute.unit else ""
    tail = f" ({effect})" if effect in {"looser", "stricter", "moved"} else ""
    same = (was.operator, was.or_missing) == (now.operator, now.or_missing)
    if (
        same
        and now.operator not in {"in", "not in"}
        and now.measurable
        and was.measurable
        and len(now.values) == len(was.values) == 1
    ):
        (value,), (before,) = now.values, was.values
        value, before = format_value(value), format_value(before)
        said_now = f"{now.attribute} {now.operator} {value}"
        words = f"{name} now asks for {said_now} instead of {before}{unit}{tail}."
    else:
        words = f"{name} now asks for {format_criterion(now)} instead of {format_criterion(was)}{tail}."
    return _entry(
        "threshold",
        now.address,
        format_criterion(was),
        format_criterion(now),
        words,
        effect=effect,
        line=now.line,
    )


def _diff_prices(old: Prices, new: Prices) -> Iterator[DiffEntry]:
    yield from _moved("price", "the value of a win", old.won_default, new.won_default)
    yield from _moved("price", "the cost of working a lead", old.worked_lead, new.worked_lead)
    yield from _moved("price", "the currency", old.currency, new.currency)
    before, after = (
        {format_criterion(item): price for item, price in prices.won_by} for prices in (old, new)
    )
    for words in dict.fromkeys([*before, *after]):
        yield from _moved("price", f"the value of a win with {words}", before.get(words), after.get(words))

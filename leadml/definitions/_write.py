"""Changes written back into the author's own file: only the asked characters move."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from leadml._yaml import MappingNode, Node, ScalarNode, SequenceNode
from leadml.definitions._definition import (
    Criterion,
    Definition,
    Group,
    LeadClass,
    PointRule,
    PointScore,
    said,
)
from leadml.definitions._grammar import format_criterion, format_value, read_criterion
from leadml.definitions._read import Place, read_places
from leadml.definitions._segment import read_segmented, write_segmented
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from leadml.definitions._definition import GroupKind

__all__ = ["Change", "ChangeKind", "apply_changes", "next_version"]

ChangeKind = Literal[
    "threshold", "level_added", "level_removed", "dropped", "added", "at_least", "group", "points", "segment"
]
_MOVES_ADDRESSES = frozenset({"dropped", "added", "group", "segment"})
_OF_GROUPS = frozenset({"added", "at_least", "group"})
_GROUP_WORDS = re.compile(r"(?:(?P<all>all)|(?P<any>any)|at least (?P<k>[0-9]{1,4})) of [0-9]{1,4}")
_POINTS_WORDS = re.compile(r"(?P<points>-?[0-9]+(?:\.[0-9]+)?) points for (?P<when>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a written definition.

    Parameters
    ----------
    address : str
        The criterion that changes; for ``added``, ``at_least`` and ``group`` the group, for example ``hot``
        or ``hot.any_of``; for ``points`` the rule, for example ``engagement.page_views``.
    kind : {"threshold", "level_added", "level_removed", "dropped", "added", "at_least", "group", "points", \
            "segment"}
        What happens; ``segment``: the threshold differs in one segment.
    written : str
        What the definition says today: the criterion, the number of an ``at_least``, ``all of 4`` for a
        group, ``10 points for page_views >= 5`` for a rule of points; empty for ``added``.
    proposed : str or None
        What it will say, such as ``at least 3 of 4``, or ``employees >= 20 where industry in [software], else
        employees >= 50`` for a ``segment``; None for ``dropped``.
    """

    address: str
    kind: ChangeKind
    written: str
    proposed: str | None = None


def next_version(version: str) -> str:
    """Return the version after this one: its last number plus one.

    Examples
    --------
    >>> next_version("2026.3")
    '2026.4'
    """
    match = re.fullmatch(r"(?s)(.*?)(\d{1,12})(\D*)", version)
    if match is None:
        raise DefinitionError(f"version {version!r}: expected a number in it to count up, got none.")
    return f"{match[1]}{str(int(match[2]) + 1).zfill(len(match[2]))}{match[3]}"


def apply_changes(
    definition: Definition,
    changes: Sequence[Change],
    *,
    version: str | None = None,
    effective_from: date | None = None,
) -> Definition:
    """Write changes into the definition's own text and read it again.

    Comments, order, quoting and layout of everything else stay as they are. The new text is parsed and
    compared with what was asked; a file in which anything else would change is not returned.

    Parameters
    ----------
    definition : Definition
        As loaded: its `text` is edited.
    changes : sequence of Change
        All addresses are those of `definition`.
    version : str or None
        The new version; by default the next one (`next_version`).
    effective_from : date or None
        From when the new version holds; by default the line stays.

    Returns
    -------
    Definition
        The new version; write its `text` to a file.

    Raises
    ------
    DefinitionError
        If an address is unknown or named twice, a proposed text is not a criterion, or the change cannot
        be made without changing something else.
    """
    current = definition
    _check_asked(definition, changes)
    steady = [change for change in changes if change.kind not in _MOVES_ADDRESSES]
    places = read_places(definition.text, source=definition.source)[1]
    moving = [change for change in changes if change.kind in _MOVES_ADDRESSES]
    moving.sort(key=lambda change: _position(places[change.address], change), reverse=True)
    label = version or next_version(definition.version)
    for change in (*steady, *moving):
        current = _apply(current, change, label)
    current = _set_key(current, "version", label)
    if effective_from is not None:
        current = _set_key(current, "effective_from", effective_from.isoformat())
    return current


def _check_asked(definition: Definition, changes: Sequence[Change]) -> None:
    places = read_places(definition.text, source=definition.source)[1]
    findings = []
    seen: set[str] = set()
    for change in changes:
        where = f"{definition.source}: change of {change.address!r}"
        place = places.get(change.address)
        is_points = place is not None and place.k is not None and place.items is None
        if place is None or change.address.startswith("@") or is_points != (change.kind == "points"):
            findings.append(f"{where}: expected an address of this definition, got none of that name.")
        elif change.kind in _OF_GROUPS and place.items is None:
            findings.append(f"{where}: {change.kind!r} needs the address of a group, this is a criterion.")
        elif change.kind not in {*_OF_GROUPS, "dropped"} and not isinstance(place.node, ScalarNode):
            findings.append(f"{where}: {change.kind!r} needs the address of a criterion, this is a group.")
        elif change.kind != "dropped" and change.proposed is None:
            findings.append(f"{where}: expected the proposed text, got nothing.")
        if change.kind != "added" and change.address in seen:
            findings.append(f"{where}: asked for twice.")
        if change.kind != "added":
            seen.add(change.address)
    if findings:
        raise DefinitionError(*findings)


def _position(place: Place, change: Change) -> int:
    return place.items.end if change.kind == "added" and place.items is not None else place.node.start


# -- one change --------------------------------------------------------------------------------------------


def _apply(definition: Definition, change: Change, version: str) -> Definition:
    expected = _shape(_changed(definition, change))
    place = read_places(definition.text, source=definition.source)[1][change.address]
    for text in _candidates(definition, place, change, version):
        try:
            written = read_places(text, source=definition.source)[0]
        except DefinitionError:
            continue
        if _shape(written) == expected:
            return written
    raise DefinitionError(
        f"{definition.source}:{place.node.line}:{place.node.column}: change of {change.address!r} "
        f"to {change.proposed!r} cannot be written without changing something else. Edit the file by hand."
    )


def _changed(definition: Definition, change: Change) -> Definition:
    """Make the change on the value, to know what the new file must say."""
    classes = tuple(
        replace(lead_class, rule=_changed_group(lead_class.rule, change, definition))
        if lead_class.rule is not None
        else lead_class
        for lead_class in definition.classes
    )
    points = tuple(_changed_points(score, change, definition) for score in definition.points)
    return replace(definition, classes=classes, points=points)


def _changed_points(score: PointScore, change: Change, definition: Definition) -> PointScore:
    if change.kind != "points":
        return score
    rules = tuple(
        _proposed_rule(rule, change, definition) if rule.when.address == change.address else rule
        for rule in score.rules
    )
    return replace(score, rules=rules)


def _changed_group(group: Group, change: Change, definition: Definition) -> Group:
    members: list[Criterion | Group] = []
    for member in group.members:
        if member.address == change.address and change.kind == "dropped":
            continue
        if isinstance(member, Group):
            members.append(_changed_group(member, change, definition))
        elif member.address == change.address and change.kind == "segment":
            members.append(_segmented(change, definition))
        elif member.address == change.address:
            members.append(_proposed(change, definition))
        else:
            members.append(member)
    k = group.k
    if group.address == change.address and change.kind == "added":
        members.append(_proposed(change, definition))
    if group.address == change.address and change.kind == "at_least":
        k = _proposed_k(change, definition)
    if group.address == change.address and change.kind == "group":
        return _asking(replace(group, members=tuple(members)), change, definition)
    if not members:
        raise DefinitionError(
            f"{definition.source}: dropping {change.address!r} leaves {group.address!r} without a criterion."
        )
    if group.kind == "all_of":
        k = len(members)
    if k > len(members) and (k, len(members)) != (group.k, len(group.members)):
        raise DefinitionError(
            f"{definition.source}: {group.address!r} would ask for {k} of {len(members)}; "
            "nobody could meet it."
        )
    return replace(group, members=tuple(members), k=k)


def _proposed(change: Change, definition: Definition, *, words: str | None = None) -> Criterion:
    text = words or change.proposed or ""
    criterion = read_criterion(text, attributes=definition.typed_attributes())
    if not criterion.measurable:
        reason = f" {criterion.fault.message}" if criterion.fault is not None else ""
        raise DefinitionError(
            f"{definition.source}: change of {change.address!r}: expected a criterion, "
            f"got {change.proposed!r}.{reason}"
        )
    return criterion


def _segmented(change: Change, definition: Definition) -> Group:
    group = read_segmented(change.proposed or "", definition.typed_attributes())
    if group is None:
        raise DefinitionError(
            f"{definition.source}: change of {change.address!r}: expected `employees >= 20 where industry in "
            f"[software], else employees >= 50` or the like, got {change.proposed!r}."
        )
    return group


def _proposed_k(change: Change, definition: Definition) -> int:
    digits = (change.proposed or "").removeprefix("at_least:").strip()
    if digits.isascii() and digits.isdigit() and int(digits) >= 1:
        return int(digits)
    raise DefinitionError(
        f"{definition.source}: change of {change.address!r}: expected a whole number, "
        f"got {change.proposed!r}."
    )


def _asking(group: Group, change: Change, definition: Definition) -> Group:
    """Return a group that asks for all, any or a number of its members."""
    match = _GROUP_WORDS.fullmatch(change.proposed or "")
    n = len(group.members)
    k = 0 if match is None else n if match["all"] else 1 if match["any"] else int(match["k"])
    if match is None or not 1 <= k <= n:
        raise DefinitionError(
            f"{definition.source}: change of {change.address!r}: expected `all of {n}`, `any of {n}` or "
            f"`at least k of {n}`, got {change.proposed!r}."
        )
    kind: GroupKind = "at_least"
    if group.kind != "at_least" and not match["k"]:
        kind = "all_of" if match["all"] else "any_of"
    return replace(group, kind=kind, k=k)


def _proposed_rule(rule: PointRule, change: Change, definition: Definition) -> PointRule:
    """Return a rule that gives other points, or its points for another criterion."""
    match = _POINTS_WORDS.fullmatch(change.proposed or "")
    if match is None:
        raise DefinitionError(
            f"{definition.source}: change of {change.address!r}: expected `20 points for …`, "
            f"got {change.proposed!r}."
        )
    when = _proposed(change, definition, words=match["when"])
    return replace(rule, points=Decimal(match["points"]), when=when)


def _candidates(definition: Definition, place: Place, change: Change, version: str) -> Iterator[str]:
    """Yield new texts, the smallest edit first."""
    text = definition.text
    if change.kind == "at_least" and place.k is not None:
        yield from _rewritten(text, place.k, str(_proposed_k(change, definition)))
    elif change.kind == "group" and isinstance(place.node, MappingNode):
        yield from _regrouped(definition, place.node, place.k, change)
    elif change.kind == "points":
        yield from _regiven(definition, place, change)
    elif change.kind == "dropped":
        yield from _without(text, place, version)
    elif change.kind == "added" and place.items is not None:
        for words in _styles(change.proposed or ""):
            yield _with(text, place.items, words)
    elif change.kind == "segment":
        for words in write_segmented(_segmented(change, definition)):
            yield text[: place.node.start] + words + text[_tight_end(place.node, text) :]
    elif isinstance(place.node, ScalarNode):
        old, new = definition.criterion(change.address), _proposed(change, definition)
        yield from _renumbered(text, place.node, old, new)
        yield from _rewritten(text, place.node, change.proposed or "")


def _regiven(definition: Definition, place: Place, change: Change) -> Iterator[str]:
    """Rewrite the points of a rule, or its criterion."""
    old = next(
        rule for score in definition.points for rule in score.rules if rule.when.address == change.address
    )
    new = _proposed_rule(old, change, definition)
    if said(new.when) == said(old.when) and place.k is not None:
        yield from _rewritten(definition.text, place.k, format_value(new.points))
    elif new.points == old.points and isinstance(place.node, ScalarNode):
        yield from _renumbered(definition.text, place.node, old.when, new.when)
        yield from _rewritten(definition.text, place.node, format_criterion(new.when))


def _regrouped(
    definition: Definition, node: MappingNode, number: ScalarNode | None, change: Change
) -> Iterator[str]:
    """Rename the key of a group's list, with the number that it asks for before it."""
    text = definition.text
    match = _GROUP_WORDS.fullmatch(change.proposed or "")
    key = next((key for key, _ in node.items if key.text in {"all_of", "any_of"}), None)
    if match is None:
        return
    if key is None:
        n = (change.proposed or "").rpartition(" ")[2]
        k = n if match["all"] else "1" if match["any"] else match["k"]
        yield from _rewritten(text, number, k) if number is not None else ()
        return
    if not match["k"]:
        yield text[: key.start] + ("all_of" if match["all"] else "any_of") + text[key.end :]
        return
    if _is_flow(node, text):
        yield text[: key.start] + f"at_least: {match['k']}, of" + text[key.end :]
        return
    margin = " " * len(_dash(text, key))
    words = f"at_least: {match['k']}{_newline(text)}{margin}of"
    yield text[: key.start] + words + text[key.end :]
    end = _tight_end(node, text)
    yield text[: key.start] + f"{{at_least: {match['k']}, of" + text[key.end : end] + "}" + text[end:]


def _renumbered(text: str, node: ScalarNode, old: Criterion, new: Criterion) -> Iterator[str]:
    """Change only the digits of a threshold; unit, spacing and quotes stay."""
    same = (old.attribute, old.operator, old.or_missing) == (new.attribute, new.operator, new.or_missing)
    if not same or len(old.values) != len(new.values):
        return
    source = text[node.start : node.end]
    moved = [(was, now) for was, now in zip(old.values, new.values, strict=True) if was != now]
    if len(moved) != 1:
        return
    was, now = (re.escape(format_value(moved[0][0])), format_value(moved[0][1]))
    for match in re.finditer(rf"(?<![\w.+-]){was}(?:\.0+)?(?![\w.])", source):
        patched = source[: match.start()] + now + source[match.end() :]
        yield text[: node.start] + patched + text[node.end :]


def _styles(words: str, quote: str = "") -> list[str]:
    """Return a text as a YAML scalar: in the author's quotes, plain, or quoted."""
    double = '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
    single = "'" + words.replace("'", "''") + "'"
    ranked = {"'": [single, double], '"': [double, single]}.get(quote, [words, double, single])
    return ranked if '"' not in words or quote == '"' else sorted(ranked, key=lambda style: style == double)


def _rewritten(text: str, node: ScalarNode, words: str) -> Iterator[str]:
    source = text[node.start : node.end]
    tail = source[len(source.rstrip()) :] if source[:1] in {"|", ">"} else ""
    for style in _styles(words, source[:1] if source[:1] in {"'", '"'} else ""):
        yield text[: node.start] + style + tail + text[node.end :]


# -- lists -------------------------------------------------------------------------------------------------


def _is_flow(node: Node, text: str) -> bool:
    return text[node.start : node.start + 1] in {"[", "{"}


def _tight_end(node: Node, text: str) -> int:
    """Return where the node's last character stands; block nodes of YAML end only at the next token."""
    if isinstance(node, ScalarNode):
        return node.start + len(text[node.start : node.end].rstrip())
    if _is_flow(node, text) or not node.items:
        return node.end
    last = node.items[-1]
    return _tight_end(last[1] if isinstance(last, tuple) else last, text)


def _line_end(text: str, position: int) -> int:
    """Return the index behind the line's text, before its line end."""
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if end > 0 and text[end - 1] == "\r" and end <= len(text) - 1 else end


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _with(text: str, items: SequenceNode, words: str) -> str:
    """Append an item to a list as its author would."""
    end = _tight_end(items.items[-1], text)
    if _is_flow(items, text):
        return text[:end] + f", {words}" + text[end:]
    place = _line_end(text, end)
    prefix = _dash(text, items.items[-1])
    return text[:place] + _newline(text) + prefix + words + text[place:]


def _dash(text: str, node: Node) -> str:
    line = text.rfind("\n", 0, node.start) + 1
    return text[line : node.start]


def _without(text: str, place: Place, version: str) -> Iterator[str]:
    parent, node = place.parent, place.node
    if parent is None:
        return
    if _is_flow(parent, text):
        yield _without_flow(text, parent, node)
    else:
        yield _without_line(text, node, version)


def _without_flow(text: str, parent: SequenceNode, node: Node) -> str:
    """Remove an item and the comma behind it (before it, for the last); comments stay."""
    position = next(index for index, item in enumerate(parent.items) if item.start == node.start)
    start, end = node.start, _tight_end(node, text)
    if position + 1 < len(parent.items):
        comma = _comma(text, end, parent.items[position + 1].start)
        end = comma + 1
        while text[end : end + 1] in {" ", "\t"}:
            end += 1
    else:
        comma = _comma(text, _tight_end(parent.items[position - 1], text), start)
        between = text[comma + 1 : start]
        if "#" not in between:
            start = comma
        else:
            return text[:comma] + text[comma + 1 : start] + text[end:]
    before, after = text[:start], text[end:]
    blank = re.search(r"\n[ \t]*\Z", before)
    if blank is not None and re.match(r"[ \t]*\r?\n", after):
        return before[: blank.start()] + after.lstrip(" \t").removeprefix("\r")
    return before + after


def _comma(text: str, start: int, end: int) -> int:
    """Return where the comma between two items stands; commas in comments do not count."""
    position = start
    while position < end:
        if text[position] == "#":
            position = text.find("\n", position)
        if text[position] == ",":
            return position
        position += 1
    return end


def _without_line(text: str, node: Node, version: str) -> str:
    """Remove the lines of an item; comments on them stay as lines of their own."""
    start = text.rfind("\n", 0, node.start) + 1
    end = _line_end(text, _tight_end(node, text))
    indent = re.match(r"[ \t]*", text[start:])
    margin = indent[0] if indent is not None else ""
    comments = list(_comments(text, node, start, end))
    behind = text.find("\n", end)
    behind = len(text) if behind < 0 else behind + 1
    kept = ""
    if comments:
        newline = _newline(text)
        words = text[node.start : _tight_end(node, text)] if isinstance(node, ScalarNode) else "a group"
        first = f"# dropped in {version}: {' '.join(words.split())}"
        lines = (
            [f"{first}  {comments[0]}", *comments[1:]] if isinstance(node, ScalarNode) else [first, *comments]
        )
        kept = "".join(f"{margin}{line}{newline}" for line in lines)
    return text[:start] + kept + text[behind:]


def _comments(text: str, node: Node, start: int, end: int) -> Iterator[str]:
    """Yield the comments between two places that are not part of a scalar."""
    inside = [(leaf.start, leaf.end) for leaf in _leaves(node)]
    position = start
    for line in text[start:end].split("\n"):
        for match in re.finditer(r"(?:^|(?<=\s))#", line):
            at = position + match.start()
            if not any(low <= at < high for low, high in inside):
                yield line[match.start() :].rstrip()
                break
        position += len(line) + 1


def _leaves(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _leaves(item)
    elif isinstance(node, MappingNode):
        for key, value in node.items:
            yield key
            yield from _leaves(value)


def _set_key(definition: Definition, key: Literal["version", "effective_from"], words: str) -> Definition:
    """Write a top-level scalar; a missing `effective_from` is added below the version."""
    text = definition.text
    places = read_places(text, source=definition.source)[1]
    place = places.get(f"@{key}")
    if place is not None and isinstance(place.node, ScalarNode):
        texts = list(_rewritten(text, place.node, words))
    else:
        version = places["@version"].node
        at = _line_end(text, version.end)
        texts = [text[:at] + f"{_newline(text)}{key}: {words}" + text[at:]]
    for candidate in texts:
        try:
            written = read_places(candidate, source=definition.source)[0]
        except DefinitionError:
            continue
        found = written.version if key == "version" else str(written.effective_from)
        if found == words and _shape(written) == _shape(definition):
            return written
    raise DefinitionError(f"{definition.source}: {key} {words!r} cannot be written. Edit the file by hand.")


# -- what a definition says, without where it says it -------------------------------------------------------

_Shape = tuple[object, ...]


def _shape(definition: Definition) -> _Shape:
    return (
        definition.name,
        definition.review_by,
        definition.owners,
        definition.meaning,
        tuple(replace(attribute, line=0) for attribute in definition.attributes),
        tuple(
            (score.name, tuple((said(r.when), r.points, r.fades_over, r.age) for r in score.rules))
            for score in definition.points
        ),
        tuple(_class_shape(lead_class) for lead_class in definition.classes),
        definition.handoff,
        definition.prices.won_default,
        tuple((said(criterion), price) for criterion, price in definition.prices.won_by),
        definition.prices.worked_lead,
        definition.prices.currency,
    )


def _class_shape(lead_class: LeadClass) -> _Shape:
    rule = None if lead_class.rule is None else _group_shape(lead_class.rule)
    return (lead_class.name, lead_class.meaning, rule)


def _group_shape(group: Group) -> _Shape:
    members = (
        said(member) if isinstance(member, Criterion) else _group_shape(member) for member in group.members
    )
    return (group.kind, group.k, *members)

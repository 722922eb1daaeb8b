"""Definition files: YAML to a `Definition`, with every mistake said at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from leadml._yaml import MappingNode, Node, Problems, ScalarNode, SequenceNode, parse_yaml, read_yaml, suggest
from leadml.definitions._definition import (
    Attribute,
    AttributeType,
    Criterion,
    Definition,
    Group,
    GroupKind,
    LeadClass,
    PointRule,
    PointScore,
    Prices,
    points_scale,
)
from leadml.definitions._grammar import (
    IDENTIFIER,
    MAX_NAME,
    RESERVED,
    read_criterion,
    read_number,
    suggest_near,
)
from leadml.definitions._lookalikes import find_lookalikes, find_mixed_words
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal
    from pathlib import Path

    from leadml.definitions._definition import KnownAt

__all__ = ["Place", "load_definition", "parse_definition", "read_places"]

_TYPES = ("number", "integer", "ordinal", "category", "boolean", "date")
_TOP = (
    "name",
    "version",
    "effective_from",
    "review_by",
    "owners",
    "meaning",
    "attributes",
    "points",
    "classes",
    "handoff",
    "prices",
)
_ATTRIBUTE = (
    "type",
    "unit",
    "levels",
    "dimension",
    "known_at",
    "asked",
    "steps",
    "range",
    "age_of",
    "anchor",
    "window",
)
MAX_EXACT = 2**53
"""Up to here every whole number is a float."""
MAX_FADE_DAYS = 3650
"""Ten years: fading points are proved day by day."""
MAX_KEYS = 4_000
MAX_ATTRIBUTES = 500
MAX_CLASSES = 100
MAX_LEVELS = 1_000
MAX_CRITERIA = 500
"""More than anybody can read; without a limit a hostile file keeps the linter busy for hours."""
RESULT = "lead_class"
"""The column that holds the class: no attribute or score can have this name."""
_GROUPS = ("all_of", "any_of", "at_least", "of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a criterion or a group stands: its node, the list that holds it, the list that it is.

    `k` is the number that belongs to it: of an at-least group, or the points of a rule.
    """

    node: Node
    parent: SequenceNode | None = None
    items: SequenceNode | None = None
    k: ScalarNode | None = None


@dataclass(slots=True)
class _Reader:
    """What is known while one file is read."""

    problems: Problems
    attributes: dict[str, Attribute] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    n_criteria: int = 0

    def address(self, scope: str, name: str) -> str:
        """Return ``scope.name``, with ``#2`` for the second of that name."""
        plain = f"{scope}.{name}"
        self.used[plain] += 1
        return plain if self.used[plain] == 1 else f"{plain}#{self.used[plain]}"


def load_definition(path: Path | str) -> Definition:
    """Load a definition file.

    Parameters
    ----------
    path : path-like
        A YAML file in the format of a definition.

    Returns
    -------
    Definition
        Prose and misspelt criteria are kept and marked as not measurable; `lint_definition` reports them.

    Raises
    ------
    DefinitionError
        If the file is not a definition; with every finding, each with file, line and column.
    InputMissingError
        If there is no such file.
    """
    with _hints():
        top, text = read_yaml(path, what="definition", error=DefinitionError)
    return _read(top, text, str(path))[0]


def parse_definition(text: str, *, source: str = "<text>") -> Definition:
    """Read a definition from its text; see `load_definition`."""
    return read_places(text, source=source)[0]


def read_places(text: str, *, source: str) -> tuple[Definition, dict[str, Place]]:
    """Read a definition and where each of its addresses stands in the text."""
    with _hints():
        top = parse_yaml(text, source=source, what="definition", error=DefinitionError)
    return _read(top, text, source)


@contextmanager
def _hints() -> Iterator[None]:
    """Add the cure for the commonest slip: ``in [..]`` inside a list in brackets."""
    try:
        yield
    except DefinitionError as error:
        if "expected ',' or" not in str(error):
            raise
        cure = 'Inside brackets, put a criterion with brackets in quotes: ["industry in [software]", …].'
        raise DefinitionError(*(f"{finding} {cure}" for finding in error.findings)) from error


def _read(top: MappingNode, text: str, source: str) -> tuple[Definition, dict[str, Place]]:
    problems = Problems(source=source, error=DefinitionError)
    reader = _Reader(problems)
    _refuse_huge(problems, top)
    problems.keys(top, "definition", _TOP, required=("name", "version", "classes"))
    for scalar, word in find_mixed_words(top):
        problems.add(scalar, f"{word!r} mixes letters of two scripts that look alike. Type it again.")
    attributes = _read_attributes(reader, top.get("attributes"))
    reader.attributes = {attribute.name: attribute for attribute in attributes}
    points = _read_points(reader, top.get("points"))
    for score in points:
        reader.attributes[score.name] = Attribute(
            name=score.name, type="number", unit="points", line=score.line
        )
    classes = _read_classes(reader, top.get("classes"))
    handoff = _read_handoff(reader, top.get("handoff"), tuple(item.name for item in classes))
    prices = _read_prices(reader, top.get("prices"))
    for key in ("name", "version", "effective_from"):
        node = top.get(key)
        if node is not None:
            reader.places[f"@{key}"] = Place(node=node)
    name, version = (_filled(reader, top.get(key), key) for key in ("name", "version"))
    definition = Definition(
        name=name,
        version=version,
        effective_from=_read_date(reader, top.get("effective_from"), "effective_from"),
        review_by=_read_date(reader, top.get("review_by"), "review_by"),
        owners=_read_owners(reader, top.get("owners")),
        meaning=problems.text(top.get("meaning"), "meaning") or "",
        attributes=attributes,
        points=points,
        classes=classes,
        handoff=handoff,
        prices=prices,
        source=source,
        text=text,
        sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
    )
    problems.raise_if_any()
    return definition, reader.places


def _refuse_huge(problems: Problems, top: MappingNode) -> None:
    """Refuse at once what nobody wrote by hand."""
    keys, open_nodes = 0, cast("list[Node]", [top])
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, MappingNode):
            keys += len(node.items)
            open_nodes.extend(value for _, value in node.items)
        elif isinstance(node, SequenceNode):
            open_nodes.extend(node.items)
    counted = [("keys", keys, MAX_KEYS), ("attributes", _size(top.get("attributes")), MAX_ATTRIBUTES)]
    counted.append(("classes", _size(top.get("classes")), MAX_CLASSES))
    for what, count, most in counted:
        if count > most:
            problems.add(top, f"{count:,} {what}; a definition has at most {most:,}.")
    problems.raise_if_any()


def _size(node: Node | None) -> int:
    return 0 if node is None or isinstance(node, ScalarNode) else len(node.items)


def _filled(reader: _Reader, node: Node | None, what: str) -> str:
    text = reader.problems.text(node, what)
    if text is not None and not text.strip():
        reader.problems.add(node, f"{what}: expected text, got nothing.")
    return (text or "").strip()


def _read_date(reader: _Reader, node: Node | None, what: str) -> date | None:
    text = reader.problems.text(node, what)
    if text is None:
        return None
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    reader.problems.add(node, f"{what}: expected a day as YYYY-MM-DD, got {text[:40]!r}.")
    return None


def _read_owners(reader: _Reader, node: Node | None) -> tuple[tuple[str, str], ...]:
    mapping = reader.problems.mapping(node, "owners")
    if mapping is None:
        return ()
    found = []
    for key, value in mapping.items:
        who = reader.problems.text(value, f"owners.{key.text}")
        if who is not None:
            found.append((key.text, who.strip()))
    return tuple(found)


def _decimal(reader: _Reader, node: Node | None, what: str) -> Decimal | None:
    text = reader.problems.text(node, what)
    if text is None:
        return None
    number = read_number(text.strip())
    if number is None:
        reader.problems.add(
            node, f"{what}: expected a plain decimal number of at most 15 digits, got {text[:40]!r}."
        )
    return number


# -- attributes --------------------------------------------------------------------------------------------


def _read_attributes(reader: _Reader, node: Node | None) -> tuple[Attribute, ...]:
    mapping = reader.problems.mapping(node, "attributes")
    if mapping is None:
        return ()
    found = [_read_attribute(reader, key, value) for key, value in mapping.items]
    attributes = tuple(item for item in found if item is not None)
    _refuse_twins(reader, mapping)
    dates = {item.name for item in attributes if item.type == "date"}
    for item, (key, _) in zip(found, mapping.items, strict=True):
        if item is None:
            continue
        for what, name in (("age_of", item.age_of), ("anchor", item.anchor)):
            if (
                name is None
                or name in dates
                or (what == "anchor" and name in {"as_of", "capture", "handoff"})
            ):
                continue
            reader.problems.add(
                key,
                f"attributes.{item.name}.{what}: expected the name of a date attribute, got {name!r}."
                + suggest_near(name, dates),
            )
    return attributes


def _refuse_twins(reader: _Reader, *mappings: MappingNode | None) -> None:
    """Refuse names that differ only in case: to SQL they are one column."""
    seen: dict[str, str] = {}
    for key in (key for mapping in mappings if mapping is not None for key, _ in mapping.items):
        other = seen.setdefault(key.text.lower(), key.text)
        if other != key.text:
            message = f"{other!r} and {key.text!r} differ only in capital letters. Rename one."
            reader.problems.add(key, message)


def _check_name(reader: _Reader, key: ScalarNode, what: str) -> bool:
    name = key.text
    if IDENTIFIER.fullmatch(name) is None:
        reader.problems.add(
            key, f"{what}: a name is made of plain letters (a-z), digits and `_`, got {name[:60]!r}."
        )
    elif len(name) > MAX_NAME:
        reader.problems.add(
            key, f"{what[:60]}…: a name has at most {MAX_NAME} characters, got {len(name):,}."
        )
    elif name.lower() == RESULT:
        reader.problems.add(key, f"{what}: {RESULT!r} is what leadml calls the result. Choose another name.")
    elif name.lower() in RESERVED:
        reader.problems.add(key, f"{what}: {name!r} is a word of the criterion grammar. Choose another name.")
    else:
        return True
    return False


def _read_attribute(reader: _Reader, key: ScalarNode, node: Node) -> Attribute | None:
    problems, what = reader.problems, f"attributes.{key.text}"
    named = _check_name(reader, key, what)
    mapping = problems.mapping(node, what)
    if mapping is None:
        return None
    problems.keys(mapping, what, _ATTRIBUTE, required=("type",))
    kind = cast("AttributeType | None", problems.choice(mapping.get("type"), f"{what}.type", _TYPES))
    if kind is None or not named:
        return None
    levels = tuple(level.strip() for level in problems.texts(mapping.get("levels"), f"{what}.levels"))
    _check_levels(reader, mapping, what, kind, levels)
    low, high = _read_range(reader, mapping.get("range"), f"{what}.range")
    numeric = kind in {"number", "integer"}
    for name in ("steps", "range", "age_of"):
        if mapping.get(name) is not None and not numeric:
            problems.add(mapping.get(name), f"{what}.{name}: only a number or an integer has {name}.")
    known_at = problems.choice(mapping.get("known_at"), f"{what}.known_at", ("capture", "handoff", "after"))
    return Attribute(
        name=key.text,
        type=kind,
        unit=problems.text(mapping.get("unit"), f"{what}.unit"),
        levels=levels,
        dimension=problems.text(mapping.get("dimension"), f"{what}.dimension"),
        known_at=cast("KnownAt | None", known_at),
        asked=problems.text(mapping.get("asked"), f"{what}.asked"),
        steps=_read_steps(reader, mapping.get("steps"), f"{what}.steps"),
        minimum=low,
        maximum=high,
        age_of=problems.text(mapping.get("age_of"), f"{what}.age_of"),
        anchor=problems.text(mapping.get("anchor"), f"{what}.anchor"),
        window=problems.text(mapping.get("window"), f"{what}.window"),
        line=key.line,
    )


def _check_levels(
    reader: _Reader, mapping: MappingNode, what: str, kind: AttributeType, levels: tuple[str, ...]
) -> None:
    node = mapping.get("levels")
    if kind == "ordinal" and len(levels) < 2:
        reader.problems.add(node or mapping, f"{what}: an ordinal needs at least two `levels`, lowest first.")
    if node is not None and kind not in {"ordinal", "category"}:
        reader.problems.add(node, f"{what}.levels: only an ordinal or a category has levels, not a {kind}.")
    if len(levels) > MAX_LEVELS:
        reader.problems.add(
            node, f"{what}.levels: {len(levels):,} levels; at most {MAX_LEVELS:,} are allowed."
        )
        return
    for level, count in Counter(levels).items():
        if count > 1 or not level:
            reader.problems.add(
                node, f"{what}.levels: level {level!r} is empty or stands there {count} times."
            )
    for first, second in find_lookalikes(levels):
        reader.problems.add(node, f"{what}.levels: {first!r} and {second!r} look the same. Keep one.")


def _read_range(reader: _Reader, node: Node | None, what: str) -> tuple[Decimal | None, Decimal | None]:
    items = reader.problems.sequence(node, what)
    if items is None:
        return None, None
    numbers = [_decimal(reader, item, what) for item in items]
    if len(numbers) != 2:
        reader.problems.add(items, f"{what}: expected [lowest, highest], got {len(numbers)} numbers.")
        return None, None
    low, high = numbers
    if low is not None and high is not None and low > high:
        reader.problems.add(items, f"{what}: the lowest value is above the highest.")
    return low, high


def _read_steps(reader: _Reader, node: Node | None, what: str) -> tuple[Decimal, ...]:
    items = reader.problems.sequence(node, what)
    numbers = [_decimal(reader, item, what) for item in items or ()]
    steps = tuple(number for number in numbers if number is not None)
    if any(left >= right for left, right in pairwise(steps)):
        reader.problems.add(node, f"{what}: expected ascending numbers.")
    return steps


# -- points ------------------------------------------------------------------------------------------------


def _read_points(reader: _Reader, node: Node | None) -> tuple[PointScore, ...]:
    mapping = reader.problems.mapping(node, "points")
    _refuse_twins(reader, mapping)
    scores = []
    for key, value in mapping.items if mapping is not None else ():
        what = f"points.{key.text}"
        if not _check_name(reader, key, what):
            continue
        if key.text.lower() in {name.lower() for name in reader.attributes}:
            reader.problems.add(key, f"{what}: an attribute has this name already. Choose another.")
        rules = reader.problems.sequence(value, what)
        if rules is not None and not rules.items:
            reader.problems.add(value, f"{what}: expected at least one rule `{{when: …, points: …}}`.")
        read = [_read_point_rule(reader, rule, key.text) for rule in rules or ()]
        score = PointScore(
            name=key.text, rules=tuple(rule for rule in read if rule is not None), line=key.line
        )
        if sum(abs(rule.points) for rule in score.rules) * points_scale(score) > MAX_EXACT:
            problems = f"{what}: too many digits to add the points up exactly."
            reader.problems.add(key, f"{problems} Use fewer decimals or equal `fades_over`.")
        scores.append(score)
    return tuple(scores)


def _read_point_rule(reader: _Reader, node: Node, score: str) -> PointRule | None:
    what = f"points.{score}"
    mapping = reader.problems.mapping(node, what)
    if mapping is None:
        return None
    reader.problems.keys(mapping, what, ("when", "points", "fades_over", "age"), required=("when", "points"))
    when = reader.problems.scalar(mapping.get("when"), f"{what}.when")
    points = _decimal(reader, mapping.get("points"), f"{what}.points")
    over, age = _read_fading(reader, mapping, what)
    if when is None or points is None:
        return None
    criterion = _read_criterion(reader, when, score)
    number = mapping.get("points")
    reader.places[criterion.address] = Place(node=when, k=number if isinstance(number, ScalarNode) else None)
    return PointRule(when=criterion, points=points, fades_over=over, age=age, line=mapping.line)


def _read_fading(reader: _Reader, mapping: MappingNode, what: str) -> tuple[Decimal | None, str | None]:
    over_node, age_node = mapping.get("fades_over"), mapping.get("age")
    over = _decimal(reader, over_node, f"{what}.fades_over")
    age = reader.problems.text(age_node, f"{what}.age")
    if (over_node is None) != (age_node is None):
        reader.problems.add(mapping, f"{what}: `fades_over` and `age` belong together.")
    if over is not None and (over != over.to_integral_value() or not 1 <= over <= MAX_FADE_DAYS):
        reader.problems.add(
            over_node, f"{what}.fades_over: expected whole days from 1 to {MAX_FADE_DAYS}, got {over}."
        )
        return None, None
    ages = [name for name, attribute in reader.attributes.items() if attribute.type == "integer"]
    if age is not None and age not in ages:
        reader.problems.add(
            age_node,
            f"{what}.age: expected the name of an integer attribute, got {age!r}.{suggest_near(age, ages)}",
        )
        return None, None
    return over, age


def _read_criterion(reader: _Reader, node: ScalarNode, scope: str) -> Criterion:
    if not node.text.strip():
        reader.problems.add(node, f"{scope}: expected a criterion, got an empty text.")
    reader.n_criteria += 1
    if reader.n_criteria > MAX_CRITERIA:
        reader.problems.add(node, f"more than {MAX_CRITERIA} criteria; a definition has at most so many.")
        reader.problems.raise_if_any()
    criterion = read_criterion(node.text, attributes=reader.attributes, line=node.line, column=node.column)
    address = reader.address(scope, criterion.address)
    return replace(criterion, address=address)


# -- classes -----------------------------------------------------------------------------------------------


def _read_classes(reader: _Reader, node: Node | None) -> tuple[LeadClass, ...]:
    problems = reader.problems
    items = problems.sequence(node, "classes")
    if items is not None and not items.items:
        problems.add(node, "classes: expected at least one class.")
    classes: list[LeadClass] = []
    for position, item in enumerate(items or ()):
        mapping = problems.mapping(item, f"classes[{position}]")
        if mapping is None:
            continue
        problems.keys(
            mapping, f"classes[{position}]", ("name", "meaning", *_GROUPS, "otherwise"), required=("name",)
        )
        name = _filled(reader, mapping.get("name"), f"classes[{position}].name")
        if any(name == other.name for other in classes):
            problems.add(mapping, f"classes[{position}]: a class {name!r} stands above already.")
        classes.append(
            LeadClass(
                name=name,
                meaning=(problems.text(mapping.get("meaning"), f"classes.{name}.meaning") or "").strip(),
                rule=_read_rule(reader, mapping, name),
                line=mapping.line,
            )
        )
    for first, second in find_lookalikes(item.name for item in classes):
        problems.add(node, f"classes: the names {first!r} and {second!r} look the same. Rename one.")
    return tuple(classes)


def _read_rule(reader: _Reader, mapping: MappingNode, name: str) -> Group | None:
    otherwise = mapping.get("otherwise")
    if otherwise is None:
        return _read_group(reader, mapping, name, address=name)
    if reader.problems.choice(otherwise, f"classes.{name}.otherwise", ("true", "True", "TRUE")) is not None:
        for key in _GROUPS:
            if mapping.get(key) is not None:
                reader.problems.add(otherwise, f"classes.{name}: `otherwise` and `{key}` exclude each other.")
    return None


def _read_group(
    reader: _Reader, mapping: MappingNode, scope: str, *, address: str, parent: SequenceNode | None = None
) -> Group | None:
    problems = reader.problems
    kinds = [key for key in ("all_of", "any_of", "at_least") if mapping.get(key) is not None]
    if mapping.get("of") is not None and "at_least" not in kinds:
        problems.add(mapping, f"{address}: `of` needs `at_least: k` beside it.")
        return None
    if len(kinds) != 1:
        got = " and ".join(kinds) if kinds else "none"
        problems.add(
            mapping,
            f"{address}: expected one of `all_of`, `any_of`, `at_least` + `of`, or `otherwise`; got {got}.",
        )
        return None
    kind = cast("GroupKind", kinds[0])
    node = mapping.get("of" if kind == "at_least" else kind)
    if node is None:
        problems.add(mapping, f"{address}: `at_least` needs `of: […]` beside it.")
        return None
    items = problems.sequence(node, address)
    if items is None:
        return None
    if not items.items:
        problems.add(items, f"{address}: expected at least one criterion.")
    members = tuple(
        member for item in items if (member := _read_member(reader, item, scope, items)) is not None
    )
    k = {"all_of": len(members), "any_of": 1}.get(kind) or _read_k(reader, mapping, address)
    number = mapping.get("at_least")
    reader.places[address] = Place(
        node=mapping, parent=parent, items=items, k=number if isinstance(number, ScalarNode) else None
    )
    return Group(kind=kind, k=k, members=members, address=address, line=mapping.line)


def _read_k(reader: _Reader, mapping: MappingNode, address: str) -> int:
    node = mapping.get("at_least")
    text = reader.problems.text(node, f"{address}.at_least") or ""
    if text.isascii() and text.isdigit() and len(text) <= 4 and int(text) >= 1:
        return int(text)
    reader.problems.add(node, f"{address}.at_least: expected a whole number from 1, got {text[:40]!r}.")
    return 1


def _read_member(reader: _Reader, node: Node, scope: str, parent: SequenceNode) -> Criterion | Group | None:
    if isinstance(node, ScalarNode):
        criterion = _read_criterion(reader, node, scope)
        reader.places[criterion.address] = Place(node=node, parent=parent)
        return criterion
    if isinstance(node, SequenceNode):
        reader.problems.add(
            node, f"{scope}: expected a criterion or a group, got a list. Write `in [..]` criteria in quotes."
        )
        return None
    known = [key for key in node.keys() if key in _GROUPS]  # noqa: SIM118 - a node is no dict
    for key, _ in node.items:
        if key.text not in _GROUPS:
            hint = suggest(key.text, _GROUPS) or " Put a criterion that contains a colon in quotes."
            reader.problems.add(key, f"{scope}: unknown key {key.text[:60]!r}.{hint}")
    if not known:
        return None
    address = reader.address(scope, next(key for key in known if key != "of" or known == ["of"]))
    return _read_group(reader, node, scope, address=address, parent=parent)


def _read_handoff(reader: _Reader, node: Node | None, classes: tuple[str, ...]) -> tuple[str, ...]:
    names = reader.problems.texts(node, "handoff")
    for name in names:
        if name not in classes:
            known = ", ".join(classes)
            reader.problems.add(
                node,
                f"handoff: expected one of the classes {known}; got {name!r}.{suggest_near(name, classes)}",
            )
    return tuple(name for name in classes if name in names)


def _read_prices(reader: _Reader, node: Node | None) -> Prices:
    problems = reader.problems
    mapping = problems.mapping(node, "prices")
    if mapping is None:
        return Prices()
    problems.keys(mapping, "prices", ("won", "worked_lead", "currency"))
    won = mapping.get("won")
    default: Decimal | None = None
    by: list[tuple[Criterion, Decimal]] = []
    if isinstance(won, ScalarNode):
        default = _decimal(reader, won, "prices.won")
    elif (table := problems.mapping(won, "prices.won")) is not None:
        problems.keys(table, "prices.won", ("default", "by"))
        default = _decimal(reader, table.get("default"), "prices.won.default")
        segments = problems.mapping(table.get("by"), "prices.won.by")
        for key, value in segments.items if segments is not None else ():
            price = _decimal(reader, value, f"prices.won.by.{key.text}")
            criterion = _read_criterion(reader, key, "prices")
            if price is not None:
                by.append((criterion, price))
    return Prices(
        won_default=default,
        won_by=tuple(by),
        worked_lead=_decimal(reader, mapping.get("worked_lead"), "prices.worked_lead"),
        currency=problems.text(mapping.get("currency"), "prices.currency"),
    )

"""The columns of a contract file: where each comes from, its role and type, and which words mean what."""

from __future__ import annotations

import difflib
import re
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from leadml._yaml import MappingNode, Node, Problems, ScalarNode, suggest
from leadml.leads._contract import FAMILIES, KNOWN_AT, ROLES, TYPES, Column, Table
from leadml.leads._dates import check_format, has_zone, is_zone

__all__ = ["NAME", "read_columns", "read_conditions", "read_date_formats"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FAMILY_NAMES = {
    "after_contact": "after_contact",
    "qualification_outcome_after_contact": "after_contact",
    "qualification": "after_contact",
    "optout": "opt_out",
    "other_text": "other",
}
_DEFAULT_TYPES = {
    "created": "date",
    "handed_over": "date",
    "decided": "date",
    "closed": "date",
    "amount": "number",
    "weight": "number",
    "verdict": "category",
    "outcome": "category",
}
_ROLE_TYPES = {
    "created": ("date", "sequence"),
    "handed_over": ("date",),
    "decided": ("date",),
    "closed": ("date",),
    "amount": ("number", "integer"),
    "weight": ("number", "integer"),
    "attribute": ("number", "integer", "ordinal", "category", "boolean", "date"),
}
_VERDICTS = ("accepted", "rejected", "pending")
_OUTCOMES = ("won", "lost", "open")
_COLUMN_KEYS = (
    "from",
    "role",
    "type",
    "format",
    "missing",
    "levels",
    "accepted",
    "rejected",
    "pending",
    "won",
    "lost",
    "open",
    "otherwise",
    "families",
    "decimal",
    "thousands",
    "currency",
    "suffixes",
    "true",
    "false",
    "zone",
    "only_if",
    "rejected_only_if",
    "lost_only_if",
    "queues",
    "optional",
    "known_at",
    "unit",
    "dimension",
    "meaning",
)
_ONLY_FOR_ROLE = {
    "accepted": ("verdict",),
    "rejected": ("verdict",),
    "pending": ("verdict",),
    "won": ("outcome",),
    "lost": ("outcome",),
    "open": ("outcome",),
    "otherwise": ("verdict", "outcome"),
    "rejected_only_if": ("verdict",),
    "lost_only_if": ("outcome",),
    "queues": ("rep",),
    "families": ("reason",),
}
_ONLY_FOR_TYPE = {
    "format": ("date",),
    "zone": ("date",),
    "levels": ("ordinal", "category"),
    "decimal": ("number", "integer"),
    "thousands": ("number", "integer"),
    "currency": ("number", "integer"),
    "suffixes": ("number", "integer"),
    "true": ("boolean",),
    "false": ("boolean",),
}
_Value = TypeVar("_Value", str, None)


def read_columns(node: Node | None, tables: tuple[Table, ...], problems: Problems) -> tuple[Column, ...]:
    found = problems.mapping(node, "columns")
    columns = []
    for key, entry in found.items if found is not None else ():
        if not NAME.fullmatch(key.text):
            problems.add(
                key, f"columns.{key.text}: a column's name has only letters, digits and _, got {key.text!r}."
            )
        body = problems.mapping(entry, f"columns.{key.text}")
        if body is not None:
            columns.append(_column(key, body, tables, problems))
    return tuple(column for column in columns if column is not None)


def _column(
    key: ScalarNode, body: MappingNode, tables: tuple[Table, ...], problems: Problems
) -> Column | None:
    what = f"columns.{key.text}"
    before = len(problems.found)
    problems.keys(body, what, _COLUMN_KEYS, ("from", "role"))
    role = problems.choice(body.get("role"), f"{what}.role", ROLES)
    place = _from(body.get("from"), what, tables, problems)
    if role is None or place is None or role not in ROLES:
        return None
    kind = _type(body, what, role, problems)
    _check_keys_fit(body, what, role, kind, problems)
    values = _values(body, what, role, problems)
    column = Column(
        name=key.text,
        table=place[0],
        source=place[1],
        role=role,
        type=kind,
        format=read_date_formats(
            body.get("format"), what, kind, problems, zone=problems.text(body.get("zone"), f"{what}.zone")
        ),
        missing=problems.texts(body.get("missing"), f"{what}.missing"),
        levels=_distinct(body.get("levels"), f"{what}.levels", problems),
        values=values,
        otherwise=_otherwise(body.get("otherwise"), what, role, values, problems),
        families=_families(body.get("families"), what, problems),
        decimal=_separator(body.get("decimal"), f"{what}.decimal", problems, default="."),
        thousands=_separator(body.get("thousands"), f"{what}.thousands", problems, default=""),
        currency=problems.text(body.get("currency"), f"{what}.currency"),
        suffixes=_suffixes(body.get("suffixes"), what, problems),
        true=_distinct(body.get("true"), f"{what}.true", problems),
        false=_distinct(body.get("false"), f"{what}.false", problems),
        only_if=(
            *read_conditions(None, body.get("only_if"), f"{what}.only_if", problems),
            *read_conditions("rejected", body.get("rejected_only_if"), f"{what}.rejected_only_if", problems),
            *read_conditions("lost", body.get("lost_only_if"), f"{what}.lost_only_if", problems),
        ),
        queues=problems.texts(body.get("queues"), f"{what}.queues"),
        optional=problems.choice(body.get("optional"), f"{what}.optional", ("true", "false")) == "true",
        zone=_zone(body.get("zone"), what, problems),
        known_at=problems.choice(body.get("known_at"), f"{what}.known_at", KNOWN_AT),
        unit=problems.text(body.get("unit"), f"{what}.unit"),
        dimension=problems.text(body.get("dimension"), f"{what}.dimension"),
        line=key.line,
    )
    if column.decimal == column.thousands:
        problems.add(body, f"{what}: decimal and thousands are both {column.decimal!r}.")
    if kind == "ordinal" and not column.levels and len(problems.found) == before:
        problems.add(body, f"{what}: an ordinal needs `levels`, lowest first.")
    return column


def _from(
    node: Node | None, what: str, tables: tuple[Table, ...], problems: Problems
) -> tuple[str, str] | None:
    text = problems.text(node, f"{what}.from")
    if text is None or not tables:
        return None
    names = [table.name for table in tables]
    table, dot, source = text.partition(".")
    if dot and source and table in names:
        return table, source
    if not dot and len(tables) == 1 and text:
        return names[0], text
    problems.add(
        node,
        f"{what}.from: expected `table.Column` with a table of this contract"
        f" ({', '.join(names)}), got {text!r}.{suggest(table, names)}",
    )
    return None


def _type(body: MappingNode, what: str, role: str, problems: Problems) -> str:
    kind = problems.choice(body.get("type"), f"{what}.type", (*TYPES, "datetime"))
    if kind == "datetime":
        kind = "date"
    if kind is None:
        if role == "attribute" and body.get("type") is None:
            problems.add(body, f"{what}: an attribute needs a `type` ({', '.join(_ROLE_TYPES[role])}).")
        return _DEFAULT_TYPES.get(role, "text")
    allowed = _ROLE_TYPES.get(role)
    if allowed is not None and kind in TYPES and kind not in allowed:
        problems.add(
            body.get("type"), f"{what}.type: role {role} is one of {', '.join(allowed)}; got {kind!r}."
        )
    if role in {"verdict", "outcome"}:
        return "category"
    if role in {"id", "account", "rep", "reason", "personal"}:
        return "text"
    return kind


def _check_keys_fit(body: MappingNode, what: str, role: str, kind: str, problems: Problems) -> None:
    for key, _ in body.items:
        roles = _ONLY_FOR_ROLE.get(key.text)
        if roles is not None and role not in roles:
            problems.add(key, f"{what}: {key.text!r} is for role {' or '.join(roles)}, this is {role}.")
        kinds = _ONLY_FOR_TYPE.get(key.text)
        if kinds is not None and kind not in kinds and role not in {"id", "account", "rep", "personal"}:
            problems.add(key, f"{what}: {key.text!r} is for type {' or '.join(kinds)}, this is {kind}.")


def _values(
    body: MappingNode, what: str, role: str, problems: Problems
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if role not in {"verdict", "outcome"}:
        return ()
    names = _VERDICTS if role == "verdict" else _OUTCOMES
    values = []
    owner: dict[str, str] = {}
    for name in names:
        node = body.get(name)
        words = problems.texts(node, f"{what}.{name}")
        for word in words:
            if word in owner:
                problems.add(node, f"{what}.{name}: {word!r} already means {owner[word]}.")
            owner[word] = name
        values.append((name, words))
    if body.get(names[0]) is None and body.get(names[1]) is None:
        problems.add(body, f"{what}: say which words mean {names[0]} and which {names[1]}.")
    return tuple(values)


def _otherwise(
    node: Node | None,
    what: str,
    role: str,
    values: tuple[tuple[str, tuple[str, ...]], ...],
    problems: Problems,
) -> str | None:
    if role not in {"verdict", "outcome"}:
        return None
    rest = "pending" if role == "verdict" else "open"
    chosen = problems.choice(node, f"{what}.otherwise", (rest, "quarantine"))
    if chosen is None and dict(values).get(rest):
        return "quarantine"
    return chosen


def _families(node: Node | None, what: str, problems: Problems) -> tuple[tuple[str, tuple[str, ...]], ...]:
    body = problems.mapping(node, f"{what}.families")
    families: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for key, entry in body.items if body is not None else ():
        family = re.sub(r"[^a-z0-9]+", "_", key.text.lower()).strip("_")
        family = _FAMILY_NAMES.get(family, family)
        close = difflib.get_close_matches(family, FAMILIES, n=1, cutoff=0.8)
        if family not in FAMILIES and close:
            problems.add(key, f"{what}.families: unknown family {key.text!r}. Did you mean {close[0]!r}?")
        words = problems.texts(entry, f"{what}.families.{key.text}")
        for word in words:
            if word in owner:
                problems.add(entry, f"{what}.families: {word!r} stands in {owner[word]} and in {family}.")
            owner[word] = family
        families[family] = (*families.get(family, ()), *words)
    return tuple(families.items())


def _distinct(node: Node | None, what: str, problems: Problems) -> tuple[str, ...]:
    words = problems.texts(node, what)
    for word in sorted({word for word in words if words.count(word) > 1}):
        problems.add(node, f"{what}: {word!r} stands here twice.")
    return words


def _separator(node: Node | None, what: str, problems: Problems, *, default: str) -> str:
    text = problems.text(node, what)
    if text is None:
        return default
    text = {"space": " ", "none": "", "apostrophe": "'"}.get(text, text)
    if len(text) > 1 or text.isalnum() or text in {"-", "+"}:
        problems.add(node, f"{what}: expected one separator, got {text!r}.")
        return default
    return text


def _suffixes(node: Node | None, what: str, problems: Problems) -> tuple[tuple[str, Decimal], ...]:
    body = problems.mapping(node, f"{what}.suffixes")
    suffixes = []
    for key, entry in body.items if body is not None else ():
        text = problems.text(entry, f"{what}.suffixes.{key.text}")
        try:
            factor = Decimal(text or "")
        except InvalidOperation:
            problems.add(entry, f"{what}.suffixes.{key.text}: expected a number, got {text!r}.")
            continue
        suffixes.append((key.text, factor))
    return tuple(suffixes)


def read_date_formats(
    node: Node | None, what: str, kind: str, problems: Problems, *, zone: str | None = None
) -> tuple[str, ...]:
    if kind != "date":
        return ()
    before = len(problems.found)
    formats = _distinct(node, f"{what}.format", problems) or ("%Y-%m-%d",)
    for text in formats:
        wrong = check_format(text)
        if wrong:
            problems.add(node, f"{what}.format: {text!r}: {wrong}")
    if zone is not None or len(problems.found) > before:
        return formats
    if len({has_zone(text) for text in formats}) > 1:
        problems.add(
            node,
            f"{what}.format: some alternatives have a time zone and some have none; say the `zone` of these.",
        )
    return formats


def read_conditions(
    value: _Value, node: Node | None, what: str, problems: Problems
) -> tuple[tuple[_Value, str, tuple[str, ...]], ...]:
    body = problems.mapping(node, what)
    return tuple(
        (value, key.text, problems.texts(entry, f"{what}.{key.text}"))
        for key, entry in (body.items if body is not None else ())
    )


def _zone(node: Node | None, what: str, problems: Problems) -> str | None:
    text = problems.text(node, f"{what}.zone")
    if text is not None and not is_zone(text):
        problems.add(node, f"{what}.zone: unknown time zone {text!r}. Write it like Europe/Berlin.")
    return text

"""Contracts for common systems that a file extends, and columns that go by several names."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources
from typing import TYPE_CHECKING

from leadml._yaml import MappingNode, Node, Problems, ScalarNode, parse_yaml
from leadml.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadml.leads._contract import Column, Contract, History, Latest, Table

__all__ = ["PRESETS", "merge_preset", "needs_header", "plain_name", "read_preset", "settle_names"]

PRESETS = ("dynamics", "hubspot", "marketo", "odoo", "pardot", "salesforce")
_MERGED_BY_KEY = ("tables", "columns")


def read_preset(name: str) -> str:
    """Return the text of a shipped contract (`PRESETS`)."""
    return resources.files("leadml.leads").joinpath("presets", f"{name}.yaml").read_text("utf-8")


def merge_preset(top: MappingNode, problems: Problems) -> MappingNode:
    """Return the contract with what it extends filled in.

    A table's keys are added to the preset's; a column replaces the preset's of the same name; ``drop`` takes
    columns out. Tables of the preset other than the first that are given no path are left out. Where the
    preset joins a table in several ways, the first whose other table is there counts. A preset's column that
    ``replaces`` another one does so if its table is there, but not where the file has the other one itself.
    """
    node = top.get("extends")
    name = problems.choice(node, "extends", PRESETS)
    if node is None or name not in PRESETS:
        return top
    base = parse_yaml(read_preset(name), source=f"{name} preset", what="contract", error=ContractError)
    own = {key.text: (key, value) for key, value in top.items}
    merged: list[tuple[ScalarNode, Node]] = []
    for key, value in base.items:
        mine = own.pop(key.text, None)
        if mine is None:
            merged.append((key, value))
        elif (
            key.text in _MERGED_BY_KEY and isinstance(mine[1], MappingNode) and isinstance(value, MappingNode)
        ):
            merged.append((mine[0], _merge(value, mine[1], deep=key.text == "tables")))
        else:
            merged.append(mine)
    whole = dataclasses.replace(top, items=(*merged, *own.values()))
    columns = top.get("columns")
    named = {key.text for key, _ in columns.items} if isinstance(columns, MappingNode) else set[str]()
    return _without(whole, problems, named)


def _merge(base: MappingNode, own: MappingNode, *, deep: bool) -> MappingNode:
    items: dict[str, tuple[ScalarNode, Node]] = {key.text: (key, value) for key, value in base.items}
    for key, value in own.items:
        old = items.get(key.text)
        if deep and old is not None and isinstance(old[1], MappingNode) and isinstance(value, MappingNode):
            items[key.text] = (key, _merge(old[1], value, deep=False))
        else:
            items[key.text] = (key, value)
    return dataclasses.replace(own, items=tuple(items.values()))


def _without(top: MappingNode, problems: Problems, own: set[str]) -> MappingNode:
    """Leave out dropped columns, tables without a path, columns of those tables, and replaced columns."""
    tables, columns = top.get("tables"), top.get("columns")
    if not isinstance(tables, MappingNode) or not isinstance(columns, MappingNode):
        return top
    dropped = problems.texts(top.get("drop"), "drop")
    for word in dropped:
        if columns.get(word) is None:
            problems.add(top.get("drop"), f"drop: the preset has no column {word!r}.")
    kept = [
        (key, value)
        for place, (key, value) in enumerate(tables.items)
        if place == 0 or (isinstance(value, MappingNode) and value.get("path") is not None)
    ]
    gone = {key.text for key, _ in tables.items} - {key.text for key, _ in kept}
    kept = [(key, _with_one_join(value, gone)) for key, value in kept]
    left = [
        (key, value)
        for key, value in columns.items
        if key.text not in dropped and _table_of(value) not in gone
    ]
    left = _with_replacements(left, own)
    changed = {
        "tables": dataclasses.replace(tables, items=tuple(kept)),
        "columns": dataclasses.replace(columns, items=tuple(left)),
    }
    return dataclasses.replace(
        top, items=tuple((key, changed.get(key.text, value)) for key, value in top.items)
    )


def _with_replacements(
    columns: list[tuple[ScalarNode, Node]], own: set[str]
) -> list[tuple[ScalarNode, Node]]:
    """Let a column that says so take the place of another one."""
    instead: dict[str, tuple[ScalarNode, Node]] = {}
    plain = []
    for key, value in columns:
        other = value.get("replaces") if isinstance(value, MappingNode) else None
        if not isinstance(value, MappingNode) or not isinstance(other, ScalarNode):
            plain.append((key, value))
        elif other.text not in own:
            items = tuple(item for item in value.items if item[0].text != "replaces")
            instead.setdefault(other.text, (key, dataclasses.replace(value, items=items)))
    return [
        (dataclasses.replace(instead[key.text][0], text=key.text), instead[key.text][1])
        if key.text in instead
        else (key, value)
        for key, value in plain
    ]


def _with_one_join(table: Node, gone: set[str]) -> Node:
    """Keep the first way to join a table that needs no table that is left out."""
    join = table.get("join") if isinstance(table, MappingNode) else None
    if not isinstance(table, MappingNode) or not isinstance(join, MappingNode):
        return table
    ways = [way for way in join.items if way[0].text.partition(".")[0] not in gone]
    one = dataclasses.replace(join, items=tuple(ways[:1]))
    items = tuple((key, one if value is join else value) for key, value in table.items)
    return dataclasses.replace(table, items=items)


def _table_of(node: Node) -> str:
    place = node.get("from") if isinstance(node, MappingNode) else None
    return place.text.partition(".")[0] if isinstance(place, ScalarNode) else ""


# -- names in the header -----------------------------------------------------------------------------------


def needs_header(contract: Contract) -> bool:
    """Say whether the header decides what is read."""
    names = [
        name for column in contract.columns for name in (column.source, *(each[1] for each in column.only_if))
    ]
    names += [name for table in contract.tables for name in (table.join or ())[1:]]
    names += [name for table in contract.tables if table.history for name in _history_names(table.history)]
    names += [name for table in contract.tables if table.latest for name in _latest_names(table.latest)]
    marked = any(table.marks or table.merged_ids is not None for table in contract.tables)
    return marked or any("|" in name for name in names) or any(column.optional for column in contract.columns)


def settle_names(contract: Contract, headers: Mapping[str, Sequence[str]]) -> tuple[Contract, list[str]]:
    """Choose, for each column that goes by several names, the one that the header has.

    Names are separated by ``|``; for them case, spaces, underscores and a leading ``property_`` do not
    matter.
    Optional columns that no name fits are left out and named in a notice.

    Parameters
    ----------
    contract : Contract
        As declared.
    headers : Mapping of str to sequence of str
        The header of each table that is there.

    Returns
    -------
    (Contract, list of str)
    """
    tables = tuple(_settled_table(table, headers) for table in contract.tables)
    columns, absent = [], []
    for column in contract.columns:
        header = headers.get(column.table)
        if header is None:
            columns.append(column)
            continue
        source = _settled(column.source, header)
        conditions = tuple(
            (value, _settled(name, header) or name.partition("|")[0], words)
            for value, name, words in column.only_if
        )
        lacking = [name for _, name, _ in conditions if name not in header]
        if column.optional and (source is None or lacking):
            absent.append(column.name)
            continue
        columns.append(_renamed(column, source, conditions))
    settled = dataclasses.replace(contract, tables=tables, columns=tuple(columns))
    notices = [f"not in this export, left out: {', '.join(absent)}."] if absent else []
    return settled, notices


def _renamed(
    column: Column, source: str | None, conditions: tuple[tuple[str | None, str, tuple[str, ...]], ...]
) -> Column:
    return dataclasses.replace(
        column,
        source=source or column.source.partition("|")[0],
        only_if=conditions,
        aliases=tuple(column.source.split("|")) if "|" in column.source else column.aliases,
    )


def _history_names(history: History) -> tuple[str, str, str, str]:
    return history.lead, history.field, history.value, history.at


def _latest_names(latest: Latest) -> list[str]:
    return [latest.at, latest.of, *(name for _, name, _ in latest.only_if)]


def _settled_latest(latest: Latest | None, header: Sequence[str]) -> Latest | None:
    if latest is None:
        return None
    at, of, *names = (_settled(name, header) or name.partition("|")[0] for name in _latest_names(latest))
    only_if = tuple((None, name, words) for name, (_, _, words) in zip(names, latest.only_if, strict=True))
    return dataclasses.replace(latest, at=at, of=of, only_if=only_if)


def _settled_table(table: Table, headers: Mapping[str, Sequence[str]]) -> Table:
    header = headers.get(table.name)
    if header is None:
        return table
    join = table.join
    if join is not None:
        left = _settled(join[1], headers.get(join[0], ())) or join[1].partition("|")[0]
        join = (join[0], left, _settled(join[2], header) or join[2].partition("|")[0])
    marks = tuple(
        (rule, found, words)
        for rule, name, words in table.marks
        if (found := _settled(name, header)) is not None
    )
    merged_ids = None if table.merged_ids is None else _settled(table.merged_ids, header)
    history = table.history
    if history is not None:
        lead, field, value, at = (
            _settled(name, header) or name.partition("|")[0] for name in _history_names(history)
        )
        history = dataclasses.replace(history, lead=lead, field=field, value=value, at=at)
    latest = _settled_latest(table.latest, header)
    return dataclasses.replace(
        table, join=join, marks=marks, merged_ids=merged_ids, history=history, latest=latest
    )


def _settled(source: str, header: Sequence[str]) -> str | None:
    if source in header:
        return source
    if "|" not in source:
        return source if source == "#line" else None
    plain: dict[str, str] = {}
    for name in header:
        plain.setdefault(plain_name(name), name)
    for name in source.split("|"):
        if name in header:
            return name
        if plain_name(name) in plain:
            return plain[plain_name(name)]
    return None


def plain_name(name: str) -> str:
    """Return a column's name without what differs between exports of one system.

    Examples
    --------
    >>> plain_name("property_hs_lead_status"), plain_name("HS Lead Status")
    ('hsleadstatus', 'hsleadstatus')
    """
    return re.sub(r"[^a-z0-9]", "", name.casefold()).removeprefix("property")

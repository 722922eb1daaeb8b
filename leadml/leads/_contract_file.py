"""Read a contract file: its text, all findings at once, becomes a contract."""

from __future__ import annotations

import hashlib
from pathlib import Path

from leadml._yaml import MappingNode, Node, Problems, ScalarNode, parse_yaml, read_yaml
from leadml.errors import ContractError
from leadml.leads._contract import Column, Contract, Table
from leadml.leads._contract_columns import read_columns
from leadml.leads._contract_tables import check_joins, read_tables
from leadml.leads._presets import merge_preset

__all__ = ["load_contract", "parse_contract"]

_REPEATABLE_ROLES = frozenset({"attribute", "personal"})
_TOP_KEYS = ("name", "meaning", "extends", "drop", "tables", "columns", "windows", "quarantine_limit")
_DAYS = {"day": 1.0, "days": 1.0, "week": 7.0, "weeks": 7.0, "month": 30.4375, "months": 30.4375}


def load_contract(path: Path | str) -> Contract:
    """Read a leads contract.

    Parameters
    ----------
    path : path-like
        The YAML file; table paths in it are relative to its folder.

    Returns
    -------
    Contract

    Raises
    ------
    ContractError
        With every finding of the file.
    InputMissingError
        If there is no such file.
    """
    top, text = read_yaml(path, what="contract", error=ContractError)
    return _read_contract(top, text, source=str(path), folder=Path(path).parent)


def parse_contract(text: str, *, source: str = "<text>", folder: Path | str = ".") -> Contract:
    """Read a leads contract from its text.

    Parameters
    ----------
    text : str
        YAML.
    source : str
        Name for messages.
    folder : path-like
        What table paths are relative to.

    Returns
    -------
    Contract

    Raises
    ------
    ContractError
        With every finding of the text.

    Examples
    --------
    >>> contract = parse_contract('''
    ... name: tiny
    ... tables: {leads: {path: leads.csv}}
    ... columns:
    ...   lead_id: {from: leads.Id, role: id}
    ...   employees: {from: leads.Employees, role: attribute, type: integer}
    ... ''')
    >>> contract.attributes()
    {'employees': 'integer'}
    """
    top = parse_yaml(text, source=source, what="contract", error=ContractError)
    return _read_contract(top, text, source=source, folder=Path(folder))


def _read_contract(top: MappingNode, text: str, *, source: str, folder: Path) -> Contract:
    problems = Problems(source=source, error=ContractError)
    top = merge_preset(top, problems)
    problems.keys(top, "contract", _TOP_KEYS, ("name", "tables", "columns"))
    name = problems.text(top.get("name"), "name") or ""
    tables = read_tables(top.get("tables"), problems)
    columns = read_columns(top.get("columns"), tables, problems)
    check_joins(tables, top.get("tables"), problems)
    _check_roles(columns, top.get("columns"), problems)
    _check_merged_ids(tables, columns, top.get("tables"), problems)
    verdict, outcome = _windows(top.get("windows"), problems)
    limit = _limit(top.get("quarantine_limit"), problems)
    problems.raise_if_any()
    return Contract(
        name=name,
        tables=tables,
        columns=columns,
        windows_verdict=verdict,
        windows_outcome=outcome,
        quarantine_limit=limit,
        folder=folder,
        source=source,
        sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
    )


def _check_roles(columns: tuple[Column, ...], node: Node | None, problems: Problems) -> None:
    by_role: dict[str, list[str]] = {}
    for column in columns:
        by_role.setdefault(column.role, []).append(column.name)
    if "id" not in by_role and isinstance(node, MappingNode) and not problems.found:
        problems.add(node, "columns: no column has `role: id`; every lead needs one.")
    for role, names in by_role.items():
        if role not in _REPEATABLE_ROLES and len(names) > 1:
            problems.add(node, f"columns: {', '.join(names)} all have role {role}; only one may.")


def _check_merged_ids(
    tables: tuple[Table, ...], columns: tuple[Column, ...], node: Node | None, problems: Problems
) -> None:
    for table in tables[:1]:
        own = [column for column in columns if column.role == "id" and column.table == table.name]
        if table.merged_ids is not None and not any(column.source != "#line" for column in own):
            problems.add(node, f"tables.{table.name}.merged_ids: the leads have no ids to find in the lists.")


def _windows(node: Node | None, problems: Problems) -> tuple[int | None, int | None]:
    if node is None or (isinstance(node, ScalarNode) and node.text.strip() == "from data"):
        return None, None
    body = problems.mapping(node, "windows")
    if body is None:
        return None, None
    problems.keys(body, "windows", ("verdict", "outcome"))
    verdict = _days(body.get("verdict"), "windows.verdict", problems)
    return verdict, _days(body.get("outcome"), "windows.outcome", problems)


def _days(node: Node | None, what: str, problems: Problems) -> int | None:
    text = problems.text(node, what)
    if text is None or text.strip() == "from data":
        return None
    number, _, unit = text.strip().partition(" ")
    factor = _DAYS.get(unit.strip() or "days")
    if not number.isascii() or not number.isdigit() or factor is None or int(number) == 0:
        problems.add(node, f"{what}: expected `30 days`, `6 months` or `from data`, got {text!r}.")
        return None
    return round(int(number) * factor)


def _limit(node: Node | None, problems: Problems) -> float:
    text = problems.text(node, "quarantine_limit")
    if text is None:
        return 0.05
    number, percent, _ = text.strip().partition("%")
    try:
        limit = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        limit = -1.0
    if not 0.0 <= limit <= 1.0:
        problems.add(node, f"quarantine_limit: expected a share such as 0.05 or 5%, got {text!r}.")
        return 0.05
    return limit

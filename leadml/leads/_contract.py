"""The leads contract: how one company's export becomes the closed loop."""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

from leadml._yaml import MappingNode, Node, Problems, ScalarNode, parse_yaml, read_yaml, suggest
from leadml.errors import ContractError
from leadml.leads._dates import check_format, has_zone, is_zone
from leadml.leads._presets import merge_preset

__all__ = ["FAMILIES", "Column", "Contract", "Table", "load_contract", "parse_contract"]

ROLES = (
    "id",
    "account",
    "created",
    "handed_over",
    "attribute",
    "verdict",
    "decided",
    "reason",
    "rep",
    "outcome",
    "closed",
    "amount",
    "personal",
    "weight",
)
REPEATABLE_ROLES = frozenset({"attribute", "personal"})
TYPES = ("number", "integer", "ordinal", "category", "boolean", "date", "text", "sequence")
FORMATS = ("csv", "parquet", "excel", "duckdb", "sql")
_ENDINGS = {
    "parquet": "parquet",
    "pq": "parquet",
    "xlsx": "excel",
    "xlsm": "excel",
    "duckdb": "duckdb",
    "ddb": "duckdb",
}
KNOWN_AT = ("capture", "handoff", "after")
FAMILIES = (
    "procedural",
    "clerical",
    "definitional",
    "already_ours",
    "after_contact",
    "contactability",
    "opt_out",
    "other",
)
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
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_TOP_KEYS = ("name", "meaning", "extends", "drop", "tables", "columns", "windows", "quarantine_limit")
_TABLE_KEYS = (
    "path",
    "format",
    "delimiter",
    "encoding",
    "quote",
    "sheet",
    "join",
    "history",
    "deleted",
    "merged",
)
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
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DAYS = {"day": 1.0, "days": 1.0, "week": 7.0, "weeks": 7.0, "month": 30.4375, "months": 30.4375}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where a table of changes says what changed, of which lead, and when.

    `value` holds what was there before, or with `is_new` what came in its place: a log of new values.
    """

    lead: str
    field: str
    value: str
    at: str
    format: tuple[str, ...] = ()
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the export.

    Parameters
    ----------
    name : str
        How the contract calls it.
    path : str or None
        Where it lies, relative to the contract's folder; None when only ``--leads`` gives it. A URL, or
        ``<database URL>#<table>``, is taken as it stands.
    format : str
        ``csv``, ``parquet``, ``excel``, ``duckdb`` or ``sql``; by default what the path's ending says.
    delimiter, quote, encoding : str
        The declared dialect of a CSV file; an empty `quote` means that quotes have no meaning.
    sheet : str or None
        Sheet of a workbook, table of a DuckDB file.
    marks : tuple of (str, str, tuple of str)
        ``deleted`` or ``merged``, the column that says so, and its words for it. A deleted record is
        quarantined, a merged one counts as a duplicate.
    join : tuple of (str, str, str) or None
        ``(left table, left column, column of this table)``.
    history : History or None
        Set for a table of changes, from which attributes are taken as they were at the handoff.
    line : int
        Line of the contract.
    """

    name: str
    path: str | None
    format: str = "csv"
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    sheet: str | None = None
    marks: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    join: tuple[str, str, str] | None = None
    history: History | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column that is used: where it comes from and what it is.

    Parameters
    ----------
    name : str
        leadml's name.
    table, source : str
        The table and its column.
    role : str
        What it is for (`id`, `attribute`, `verdict`, …).
    type : str
        ``number``, ``integer``, ``ordinal``, ``category``, ``boolean``, ``date``, ``text`` or ``sequence``.
    format : tuple of str
        Declared alternatives of a date.
    missing : tuple of str
        Words that mean "no value"; the empty text always does.
    levels : tuple of str
        Allowed levels, in order for an ordinal.
    values : tuple of (str, tuple of str)
        For a verdict ``accepted``, ``rejected``, ``pending`` and for an outcome ``won``, ``lost``, ``open``,
        each with the export's words for it.
    only_if : tuple of (str or None, str, tuple of str)
        A value counts only where another column of the table has one of these words; with a verdict or
        outcome in front, only that one depends on it.
    queues : tuple of str
        Owners that are queues, not people (``00G*``).
    optional : bool
        Whether the export may lack the column.
    zone : str or None
        Time zone of the times that have none of their own; they are read as UTC.
    otherwise : str or None
        What an unlisted word of a verdict or outcome means: ``pending``, ``open`` or ``quarantine``.
    families : tuple of (str, tuple of str)
        Families of reasons with the export's words.
    aliases : tuple of str
        All names that the contract lists for it, once one is chosen as `source`.
    """

    name: str
    table: str
    source: str
    role: str
    type: str
    format: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    otherwise: str | None = None
    families: tuple[tuple[str, tuple[str, ...]], ...] = ()
    decimal: str = "."
    thousands: str = ""
    currency: str | None = None
    suffixes: tuple[tuple[str, Decimal], ...] = ()
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    zone: str | None = None
    only_if: tuple[tuple[str | None, str, tuple[str, ...]], ...] = ()
    queues: tuple[str, ...] = ()
    optional: bool = False
    known_at: str | None = None
    unit: str | None = None
    dimension: str | None = None
    line: int = 0
    aliases: tuple[str, ...] = ()

    @property
    def zoned(self) -> bool:
        """Whether its dates are instants (UTC), not local days."""
        return self.zone is not None or any(has_zone(form) for form in self.format)

    def meaning_of(self) -> dict[str, str]:
        """Return each declared word of a verdict or outcome with what it means."""
        return {word: value for value, words in self.values for word in words}

    def family_of(self) -> dict[str, str]:
        """Return each declared reason with its family."""
        return {word: family for family, words in self.families for word in words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A leads contract as a value; read one with `load_contract`.

    Parameters
    ----------
    name : str
        The contract's name.
    tables : tuple of Table
        The first one holds one row per lead.
    columns : tuple of Column
        In the order of the file.
    windows_verdict, windows_outcome : int or None
        Days until a verdict or an outcome is mature; None means "from data".
    quarantine_limit : float
        Largest share of a table's rows that may be quarantined.
    folder : Path
        Paths of tables are relative to it.
    source : str
        The file's name.
    sha256 : str
        Digest of the file's text.
    """

    name: str
    tables: tuple[Table, ...]
    columns: tuple[Column, ...]
    windows_verdict: int | None = None
    windows_outcome: int | None = None
    quarantine_limit: float = 0.05
    folder: Path = field(default_factory=Path)
    source: str = "<text>"
    sha256: str = ""

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def column_by_role(self, role: str) -> Column | None:
        """Return the (first) column with this role, or None."""
        return next((column for column in self.columns if column.role == role), None)

    def attributes(self) -> dict[str, str]:
        """Return the names of the attribute columns with their types."""
        return {column.name: column.type for column in self.columns if column.role == "attribute"}

    def table(self, name: str) -> Table | None:
        """Return the table called `name`, or None."""
        return next((table for table in self.tables if table.name == name), None)


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
    tables = _tables(top.get("tables"), problems)
    columns = _columns(top.get("columns"), tables, problems)
    _check_joins(tables, top.get("tables"), problems)
    _check_roles(columns, top.get("columns"), problems)
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


def _tables(node: Node | None, problems: Problems) -> tuple[Table, ...]:
    found = problems.mapping(node, "tables")
    if found is not None and not found.items:
        problems.add(found, "tables: expected at least one table.")
    tables: list[Table] = []
    for key, entry in found.items if found is not None else ():
        what = f"tables.{key.text}"
        if not _NAME.fullmatch(key.text):
            problems.add(key, f"{what}: a table's name has only letters, digits and _, got {key.text!r}.")
        body = problems.mapping(entry, what)
        if body is not None:
            tables.append(_table(key, body, problems, first=not tables))
    return tuple(tables)


def _table(key: ScalarNode, body: MappingNode, problems: Problems, *, first: bool) -> Table:
    what = f"tables.{key.text}"
    problems.keys(body, what, _TABLE_KEYS, () if first else ("path",))
    path = problems.text(body.get("path"), f"{what}.path")
    if path is not None and not path.strip():
        problems.add(body.get("path"), f"{what}.path: expected a file name, got nothing.")
    form = problems.choice(body.get("format"), f"{what}.format", FORMATS)
    if form is None:
        address = (path or "").startswith("env:") or ("://" in (path or "") and "#" in (path or ""))
        form = "sql" if address else _ENDINGS.get((path or "").lower().rpartition(".")[2], "csv")
    delimiter = _character(body.get("delimiter"), f"{what}.delimiter", problems, default=",")
    quote = problems.text(body.get("quote"), f"{what}.quote")
    if quote is None:
        quote = '"'
    elif quote in {"none", ""}:
        quote = ""
    elif len(quote) != 1:
        problems.add(body.get("quote"), f"{what}.quote: expected one character or none, got {quote!r}.")
        quote = '"'
    if quote == delimiter:
        problems.add(body, f"{what}: delimiter and quote are both {quote!r}.")
    return Table(
        name=key.text,
        path=path,
        format=form,
        delimiter=delimiter,
        quote=quote,
        encoding=_encoding(body.get("encoding"), what, problems),
        sheet=problems.text(body.get("sheet"), f"{what}.sheet"),
        marks=(
            *_conditions("deleted", body.get("deleted"), f"{what}.deleted", problems),
            *_conditions("merged", body.get("merged"), f"{what}.merged", problems),
        ),
        join=_join(body.get("join"), key.text, problems, first=first or body.get("history") is not None),
        history=_history(body.get("history"), f"{what}.history", problems),
        line=key.line,
    )


def _history(node: Node | None, what: str, problems: Problems) -> History | None:
    body = problems.mapping(node, what)
    if body is None:
        return None
    is_new = body.get("new") is not None
    word = "new" if is_new else "old"
    required = ("lead", "field", word, "at")
    problems.keys(body, what, (*required, "format"), required)
    names = [problems.text(body.get(key), f"{what}.{key}") or "" for key in required]
    formats = _date_formats(body.get("format"), what, "date", problems)
    lead, field, value, at = names
    return History(lead=lead, field=field, value=value, at=at, format=formats, is_new=is_new)


def _encoding(node: Node | None, what: str, problems: Problems) -> str:
    text = problems.text(node, f"{what}.encoding")
    if text is None:
        return "utf-8"
    try:
        "x".encode(text)
    except (LookupError, ValueError):
        problems.add(node, f"{what}.encoding: unknown encoding {text!r}. Use utf-8, cp1252 or utf-16.")
        return "utf-8"
    return text


def _character(node: Node | None, what: str, problems: Problems, *, default: str) -> str:
    text = problems.text(node, what)
    if text is None:
        return default
    text = _DELIMITERS.get(text, text)
    if len(text) != 1 or text in "\r\n":
        problems.add(node, f"{what}: expected one character (or tab), got {text!r}.")
        return default
    return text


def _join(node: Node | None, table: str, problems: Problems, *, first: bool) -> tuple[str, str, str] | None:
    what = f"tables.{table}.join"
    body = problems.mapping(node, what)
    if body is None:
        if not first and node is None:
            problems.add(None, f"{what}: is missing. Say `join: {{leads.Column: Column}}`.")
        return None
    if first:
        problems.add(node, f"{what}: the first table holds the leads; the others are joined to it.")
        return None
    if len(body.items) != 1:
        problems.add(node, f"{what}: expected one `table.Column: Column`, got {len(body.items)}.")
        return None
    left, right_node = body.items[0]
    right = problems.text(right_node, what)
    left_table, dot, left_column = left.text.partition(".")
    if not dot or not left_column or right is None:
        problems.add(left, f"{what}: expected `table.Column: Column`, got {left.text!r}.")
        return None
    return left_table, left_column, right.removeprefix(f"{table}.")


def _check_joins(tables: tuple[Table, ...], node: Node | None, problems: Problems) -> None:
    seen: list[str] = []
    for table in tables:
        if table.join is not None and table.join[0] not in seen:
            names = [other.name for other in tables]
            entry = node.get(table.name) if isinstance(node, MappingNode) else None
            problems.add(
                entry,
                f"tables.{table.name}.join: {table.join[0]!r} is not a table above this one."
                f"{suggest(table.join[0], [name for name in names if name != table.name])}",
            )
        seen.append(table.name)


def _columns(node: Node | None, tables: tuple[Table, ...], problems: Problems) -> tuple[Column, ...]:
    found = problems.mapping(node, "columns")
    columns = []
    for key, entry in found.items if found is not None else ():
        if not _NAME.fullmatch(key.text):
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
        format=_date_formats(
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
            *_conditions(None, body.get("only_if"), f"{what}.only_if", problems),
            *_conditions("rejected", body.get("rejected_only_if"), f"{what}.rejected_only_if", problems),
            *_conditions("lost", body.get("lost_only_if"), f"{what}.lost_only_if", problems),
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


def _date_formats(
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


def _conditions(
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


def _check_roles(columns: tuple[Column, ...], node: Node | None, problems: Problems) -> None:
    by_role: dict[str, list[str]] = {}
    for column in columns:
        by_role.setdefault(column.role, []).append(column.name)
    if "id" not in by_role and isinstance(node, MappingNode) and not problems.found:
        problems.add(node, "columns: no column has `role: id`; every lead needs one.")
    for role, names in by_role.items():
        if role not in REPEATABLE_ROLES and len(names) > 1:
            problems.add(node, f"columns: {', '.join(names)} all have role {role}; only one may.")


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


def extra_sources(contract: Contract, table: Table) -> list[str]:
    """Return the columns of a table that are read only for what they say about others."""
    conditions = [
        name
        for column in contract.columns
        if column.table == table.name and column.role != "personal"
        for _, name, _ in column.only_if
    ]
    return [*(name for _, name, _ in table.marks), *conditions]

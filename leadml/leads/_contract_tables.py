"""The tables of a contract file: where each lies, its dialect, how it is joined, and its history."""

from __future__ import annotations

from leadml._yaml import MappingNode, Node, Problems, ScalarNode, suggest
from leadml.leads._contract import FORMATS, History, Latest, Table
from leadml.leads._contract_columns import NAME, read_conditions, read_date_formats

__all__ = ["check_joins", "read_tables"]

_ENDINGS = {
    "parquet": "parquet",
    "pq": "parquet",
    "xlsx": "excel",
    "xlsm": "excel",
    "duckdb": "duckdb",
    "ddb": "duckdb",
}
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_TABLE_KEYS = (
    "path",
    "format",
    "delimiter",
    "encoding",
    "quote",
    "sheet",
    "join",
    "history",
    "latest",
    "deleted",
    "merged",
    "merged_ids",
)


def read_tables(node: Node | None, problems: Problems) -> tuple[Table, ...]:
    found = problems.mapping(node, "tables")
    if found is not None and not found.items:
        problems.add(found, "tables: expected at least one table.")
    tables: list[Table] = []
    for key, entry in found.items if found is not None else ():
        what = f"tables.{key.text}"
        if not NAME.fullmatch(key.text):
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
            *read_conditions("deleted", body.get("deleted"), f"{what}.deleted", problems),
            *read_conditions("merged", body.get("merged"), f"{what}.merged", problems),
        ),
        merged_ids=_merged_ids(body.get("merged_ids"), f"{what}.merged_ids", problems, first=first),
        join=_join(body.get("join"), key.text, problems, first=first or body.get("history") is not None),
        history=_history(body.get("history"), f"{what}.history", problems),
        latest=_latest(body.get("latest"), f"{what}.latest", problems, joined=body.get("join") is not None),
        line=key.line,
    )


def _merged_ids(node: Node | None, what: str, problems: Problems, *, first: bool) -> str | None:
    if node is not None and not first:
        problems.add(node, f"{what}: is for the first table, which holds the leads.")
    return problems.text(node, what)


def _history(node: Node | None, what: str, problems: Problems) -> History | None:
    body = problems.mapping(node, what)
    if body is None:
        return None
    is_new = body.get("new") is not None
    word = "new" if is_new else "old"
    required = ("lead", "field", word, "at")
    problems.keys(body, what, (*required, "format"), required)
    names = [problems.text(body.get(key), f"{what}.{key}") or "" for key in required]
    formats = read_date_formats(body.get("format"), what, "date", problems)
    lead, field, value, at = names
    return History(lead=lead, field=field, value=value, at=at, format=formats, is_new=is_new)


def _latest(node: Node | None, what: str, problems: Problems, *, joined: bool) -> Latest | None:
    body = problems.mapping(node, what)
    if body is None:
        return None
    if not joined:
        problems.add(node, f"{what}: is for a joined table; this one has no `join`.")
    problems.keys(body, what, ("at", "of", "format", "only_if"), ("at", "of"))
    return Latest(
        at=problems.text(body.get("at"), f"{what}.at") or "",
        of=problems.text(body.get("of"), f"{what}.of") or "",
        format=read_date_formats(body.get("format"), what, "date", problems, zone="UTC"),
        only_if=read_conditions(None, body.get("only_if"), f"{what}.only_if", problems),
    )


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


def check_joins(tables: tuple[Table, ...], node: Node | None, problems: Problems) -> None:
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

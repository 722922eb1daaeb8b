"""A definition as one SELECT, with the same answer for every lead as in Python.

Numbers are compared as doubles with the decimal as written, a NaN counts as missing, ordinals become lists of
levels, points are added as whole numbers. Nothing is optimised: each line of the definition stays one line
of SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from leadml._yaml import suggest
from leadml.errors import DefinitionError, LeadmlError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from leadml.definitions._definition import Criterion, Definition
    from leadml.definitions._scorecard import Scorecard
    from leadml.definitions._sql import Compiler

__all__ = ["DIALECTS", "Dialect", "compile_parts", "compile_sql"]

Dialect = Literal["duckdb", "postgres", "snowflake", "bigquery", "spark"]
DIALECTS: tuple[Dialect, ...] = ("duckdb", "postgres", "snowflake", "bigquery", "spark")
"""The SQL dialects that a definition compiles to."""


def compile_sql(
    definition: Definition,
    *,
    dialect: Dialect = "duckdb",
    table: str = "leads",
    columns: Sequence[str] = (),
    as_of: date | None = None,
    scores: Sequence[Scorecard | str] = (),
) -> str:
    """Compile a definition to a ``SELECT`` that gives every lead its class.

    Parameters
    ----------
    definition : Definition
        Prose criteria are met by nobody.
    dialect : {"duckdb", "postgres", "snowflake", "bigquery", "spark"}
        Whose SQL.
    table : str
        The table of leads, with one column per attribute: numbers, booleans, texts, and days as dates or
        timestamps without a zone. May have a schema and a database: ``crm.leads``; no other SQL passes.
    columns : sequence of str
        The columns to return before the points and the class; by default all.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``; by default the day on which the query runs.
    scores : sequence of Scorecard or str
        Probabilities that are returned as well (see `leadml.scoring.compile_score_sql`); of a name alone the
        column is null. `columns` must then name what is returned before them.

    Returns
    -------
    str
        The query: the columns, one column per points score, ``lead_class``, which is null where no class
        takes the lead, and one column per score. The same answer as `assign_classes` for every lead, nulls
        and thresholds included.

    Raises
    ------
    DefinitionError
        If a criterion cannot be read, the dialect is not known, or the table is not a name.
    LeadmlError
        If sqlglot is not installed.

    Examples
    --------
    >>> from leadml.definitions import parse_definition
    >>> text = '''
    ... name: size
    ... version: 1
    ... attributes: {employees: {type: integer, unit: people}}
    ... classes: [{name: hot, all_of: [employees >= 50]}, {name: cold, otherwise: true}]
    ... handoff: [hot]'''
    >>> print(compile_sql(parse_definition(text), columns=["lead_id"]))
    ... # doctest: +NORMALIZE_WHITESPACE +ELLIPSIS
    -- size 1, sha256 ...
    SELECT
      "lead_id",
      CASE
        WHEN NULLIF(CAST("employees" AS DOUBLE), CAST('NaN' AS DOUBLE)) >= 50
        THEN 'hot'
        ELSE 'cold'
      END AS "lead_class"
    FROM "leads"
    """
    if not all(columns):
        raise DefinitionError("columns: expected names of columns, got an empty one.")
    if scores and not columns:
        raise DefinitionError(
            "columns: expected the columns to return beside the score, such as the lead's id, got none."
        )
    query = _compiler(definition, dialect, as_of).query(table, columns, scores)
    title = " ".join(f"{definition.name} {definition.version}, sha256 {definition.sha256}".split())
    return f"-- {title}\n{query}"


def compile_parts(
    definition: Definition,
    *,
    values: Mapping[str, str],
    tests: Mapping[str, Criterion],
    columns: Sequence[str] = (),
    dialect: Dialect = "duckdb",
    table: str = "leads",
    as_of: date | None = None,
) -> str:
    """Compile single values and criteria to one ``SELECT``, for a query around it.

    Parameters
    ----------
    definition : Definition
    values : mapping of name to attribute
        What is read: numbers as doubles (null for NaN), booleans, everything else as text; a score as well.
    tests : mapping of name to Criterion
        1 where a lead meets the criterion, else 0.
    columns : sequence of str
        Other columns of the table to pass on.
    dialect, table, as_of
        As in `compile_sql`.

    Returns
    -------
    str

    Raises
    ------
    DefinitionError, LeadmlError
        As in `compile_sql`.
    """
    return _compiler(definition, dialect, as_of).parts(table, columns, values, tests)


def _compiler(definition: Definition, dialect: Dialect, as_of: date | None) -> Compiler:
    if dialect not in DIALECTS:
        known = ", ".join(DIALECTS)
        hint = suggest(str(dialect), DIALECTS)
        raise DefinitionError(f"dialect: expected one of {known}; got {dialect!r}.{hint}")
    _refuse_broken(definition)
    try:
        from leadml.definitions._sql import Compiler
    except ImportError as error:
        message = "compiling to SQL needs sqlglot, which is not installed."
        raise LeadmlError(f"{message} Install it with `pip install leadml[sql]`.") from error
    return Compiler(definition, dialect, as_of)


def _refuse_broken(definition: Definition) -> None:
    criteria = list(definition.criteria())
    criteria += [rule.when for score in definition.points for rule in score.rules]
    broken = [item for item in criteria if item.fault is not None]
    if broken:
        raise DefinitionError(
            *(
                f"{definition.source}:{item.line}:{item.column}: {item.text!r}: {item.fault.message}"
                for item in broken
                if item.fault is not None
            )
        )

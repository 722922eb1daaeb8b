"""The class and the score of every lead as one SELECT, where the models allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml.definitions import Definition, compile_sql, load_definition
from leadml.models import Bundle, load_bundle, make_scorecards

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from leadml.definitions import Dialect

__all__ = ["compile_score_sql"]


def compile_score_sql(
    definition: Definition | Path | str,
    bundle: Bundle | Path | str,
    *,
    columns: Sequence[str],
    dialect: Dialect = "duckdb",
    table: str = "leads",
    as_of: dt.date | None = None,
    targets: Sequence[str] = (),
    digest: str | None = None,
) -> str:
    """Compile a definition and the additive models of a bundle to a ``SELECT``.

    Parameters
    ----------
    definition : Definition or path-like
        Gives the class.
    bundle : Bundle or path-like
        Gives the probabilities: logistic models and explainable boosting machines, with their calibration.
    columns : sequence of str
        The columns to return before the points, the class and the probabilities, such as the lead's id.
    dialect : {"duckdb", "postgres", "snowflake", "bigquery", "spark"}
        Whose SQL.
    table : str
        The table of leads: one column per attribute of the definition and of the models, typed as the
        contract says, days and times without a zone. Where a model uses a date, also the columns that date
        a lead.
    as_of : date, optional
        The day at which ages in the definition end; by default the day on which the query runs.
    targets : sequence of {"accepted", "won"}
        Whose probabilities are wanted; by default all.
    digest : str, optional
        The SHA-256 that the bundle must have; default: the one beside it.

    Returns
    -------
    str
        The query: the columns, points, ``lead_class``, ``probability_accepted`` and ``probability_won``
        (null where the bundle has no model). The same as in a score file, the probability to 1e-9.

    Raises
    ------
    BundleError
        If the bundle is refused, or a model that is wanted is not additive.
    DefinitionError
        If a criterion cannot be read, or no column is named.
    LeadmlError
        If sqlglot is not installed.
    """
    models = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, digest=digest)
    query = compile_sql(
        definition if isinstance(definition, Definition) else load_definition(definition),
        dialect=dialect,
        table=table,
        columns=columns,
        as_of=as_of,
        scores=make_scorecards(models, targets=targets),
    )
    title, _, rest = query.partition("\n")
    return f"{title}\n-- model bundle, sha256 {models.digest}\n{rest}"

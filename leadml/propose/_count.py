"""Who counts the evidence: this process, or an engine that is handed one query.

A `CountRequest` says which tables of counts are wanted; every engine answers with the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from leadml.errors import LeadmlError
from leadml.propose._count_sql import CELL, write_keys
from leadml.propose._evidence import count_joint, strip, view_passes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Definition, Dialect
    from leadml.propose._board import Board
    from leadml.propose._joint import Cells, Job, JointCounts

__all__ = ["CountRequest", "EvidenceCounter", "count_in_duckdb", "count_locally"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountRequest:
    """Tables of counts that are wanted.

    Attributes
    ----------
    definition : Definition
    board : Board
    leads : DataFrame of shape (n_leads, …)
    rows : ndarray of bool of shape (n_leads,)
        The leads that count.
    cells : Cells
        What is counted of each lead.
    jobs : tuple of Job
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.
    """

    definition: Definition
    board: Board
    leads: pd.DataFrame
    rows: NDArray[np.bool_]
    cells: Cells
    jobs: tuple[Job, ...]
    as_of: date | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return what a query reads: the leads that count, the definition's attributes, the cell."""
        names = [attribute.name for attribute in self.definition.attributes]
        kept = [name for name in names if name in self.leads.columns]
        frame = self.leads.loc[self.rows, kept].reset_index(drop=True)
        return frame.assign(**{CELL: self.cells.index[self.rows]})

    def to_sql(self, *, dialect: Dialect = "duckdb", table: str = "leads") -> str:
        """Write one query over a table with the definition's attributes and the cell.

        Returns
        -------
        str
            One ``GROUPING SETS`` over one key per table of counts.
        """
        names = [f"k{number}" for number in range(len(self.jobs))]
        keys = write_keys(
            self.definition,
            self.board,
            self.jobs,
            self.cells.n,
            dialect=dialect,
            table=table,
            as_of=self.as_of,
        )
        sets = ", ".join(f"({name})" for name in names)
        chosen = ", ".join([*names, "COUNT(*) AS n"])
        return f"SELECT {chosen}\nFROM ({keys}) AS keyed\nGROUP BY GROUPING SETS ({sets})"

    def read(
        self, job: NDArray[np.int64], key: NDArray[np.int64], n: NDArray[np.int64]
    ) -> tuple[JointCounts, ...]:
        """Read tables of counts from what a query found: number of the job, key and count of each group."""
        found = []
        for number, wanted in enumerate(self.jobs):
            mine = job == number
            found.append(self._read(wanted, key[mine], n[mine]))
        return tuple(found)

    def _read(self, job: Job, key: NDArray[np.int64], n: NDArray[np.int64]) -> JointCounts:
        passes = tuple(view_passes(self.board, job))
        inner = (2, *(table.shape[1] for table in passes), self.cells.n)
        table, place = np.divmod(key, int(np.prod(inner)))
        tables, position = np.unique(table, return_inverse=True)
        counts = np.zeros((len(tables), int(np.prod(inner))), np.int64)
        np.add.at(counts, (position, place), n)
        return strip(self.board, job, tables.tolist(), counts.reshape(len(tables), *inner))


class EvidenceCounter(Protocol):
    """Counts what is asked for; every engine finds the same integers."""

    def __call__(self, request: CountRequest, /) -> Iterable[JointCounts]:
        """Return one table of counts per job, in their order."""
        ...


def count_locally(request: CountRequest) -> Iterator[JointCounts]:
    """Count in this process, one table after the other."""
    places = np.flatnonzero(request.rows)
    return (count_joint(request.board, job, places, request.cells) for job in request.jobs)


def count_in_duckdb(
    request: CountRequest, *, connection: Any = None, table: str | None = None
) -> tuple[JointCounts, ...]:
    """Count in DuckDB, all tables in one pass.

    Parameters
    ----------
    request : CountRequest
    connection : duckdb.DuckDBPyConnection, optional
        Where the leads are; by default a new one in memory.
    table : str, optional
        A table or view with the definition's attributes and the column ``evidence_cell``, over a Parquet
        file for example; by default the request's own leads.

    Raises
    ------
    LeadmlError
        If duckdb or sqlglot is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise LeadmlError("counting in DuckDB: duckdb is not installed. Install leadml[sql].") from error
    found = connection or duckdb.connect()
    try:
        if table is None:
            found.register("leadml_evidence", request.to_frame())
        answer = found.execute(request.to_sql(table=table or "leadml_evidence")).fetchnumpy()
    finally:
        if connection is None:
            found.close()
    parts = []
    for number in range(len(request.jobs)):
        column = np.ma.masked_array(answer[f"k{number}"])
        known = ~np.ma.getmaskarray(column)
        key = np.asarray(column.data)[known].astype(np.int64)
        parts.append((np.full(len(key), number), key, answer["n"][known].astype(np.int64)))
    job, key, n = (np.concatenate([part[place] for part in parts]) for place in range(3))
    return request.read(job, key, n)

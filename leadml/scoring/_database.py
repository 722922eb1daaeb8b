"""Scores into a database table: all rows are replaced in one transaction."""

from __future__ import annotations

import hashlib
import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from leadml.errors import LockedError, OutputError
from leadml.leads import mask_address
from leadml.scoring._write import DIGITS, PROBABILITIES, csv_text

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import pandas as pd

__all__ = ["DatabaseWriter"]

INSERT_ROWS = 5_000


class DatabaseWriter:
    """Replaces the rows of a table; readers see the old ones until all new ones are there.

    Parameters
    ----------
    address : str
        ``<database URL>#<table>`` or ``…#<schema>.<table>``. The table is made if it is not there.
    columns : tuple of str
        Names of the columns, in order; lead_id is the primary key.

    Attributes
    ----------
    shown : str
        The address without a password.
    digest : str
        SHA-256 of the CSV file with the same rows.
    """

    def __init__(self, address: str, *, columns: tuple[str, ...]) -> None:
        self.shown = mask_address(address)
        url, _, name = address.partition("#")
        schema, _, table = name.rpartition(".")
        if not table:
            raise OutputError(
                f"{self.shown}: expected a database address that ends in `#table`, got no table."
            )
        self._url, self._schema, self._table = url, schema or None, table
        self._columns = columns
        self._hash = hashlib.sha256((",".join(columns) + "\n").encode())
        self._stack = ExitStack()
        self._connection: Any = None
        self._target: Any = None

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the CSV file with the rows so far."""
        return self._hash.hexdigest()

    def write(self, scores: pd.DataFrame) -> None:
        """Insert scores."""
        self._hash.update(csv_text(scores, self._columns))
        columns = [
            [None if math.isnan(value) else round(value, DIGITS) for value in scores[name].tolist()]
            if name in PROBABILITIES
            else scores[name].tolist()
            for name in self._columns
        ]
        rows = [dict(zip(self._columns, row, strict=True)) for row in zip(*columns, strict=True)]
        for first in range(0, len(rows), INSERT_ROWS):
            self._run(lambda part=rows[first : first + INSERT_ROWS]: self._insert(part))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._stack.close)
            self._run(self._begin)
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._run(lambda: self._end("COMMIT" if kind is None else "ROLLBACK"))

    def _begin(self) -> None:
        from sqlalchemy import Column, Float, MetaData, String, Table, create_engine, delete, pool

        engine = create_engine(self._url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
        self._stack.callback(engine.dispose)
        self._connection = self._stack.enter_context(engine.connect())
        self._connection.exec_driver_sql("BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN")
        if engine.dialect.name == "postgresql":
            key = int.from_bytes(hashlib.sha256(f"leadml {self._schema}.{self._table}".encode()).digest()[:7])
            if not self._connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({key})").scalar():
                raise LockedError(
                    f"{self.shown}: another job writes this table. Try again when it has ended."
                )
        kinds = [
            Column(
                name,
                Float(53) if name in PROBABILITIES else String(),
                primary_key=name == "lead_id",
                nullable=name in PROBABILITIES,
            )
            for name in self._columns
        ]
        self._target = Table(self._table, MetaData(), *kinds, schema=self._schema)
        self._target.create(self._connection, checkfirst=True)
        self._connection.execute(delete(self._target))

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        self._connection.execute(self._target.insert(), rows)

    def _end(self, how: str) -> None:
        if self._connection is not None:
            self._connection.exec_driver_sql(how)

    def _run(self, action: Any) -> None:
        from sqlalchemy.exc import OperationalError, SQLAlchemyError

        try:
            action()
        except (SQLAlchemyError, ImportError) as error:
            if isinstance(error, OperationalError) and "locked" in str(error.orig):
                raise LockedError(
                    f"{self.shown}: another job holds this database. Try again when it has ended."
                ) from None
            raise OutputError(f"{self.shown}: cannot write this table ({type(error).__name__}).") from None

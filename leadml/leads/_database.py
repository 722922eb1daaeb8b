"""A database table as a source of leads: read in order of the id, in one transaction, never written."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml.errors import InputMissingError
from leadml.leads._addresses import mask_address, split_address
from leadml.leads._contract import Table
from leadml.leads._raw import find_positions, first_block, typed_table

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from sqlalchemy import Connection

    from leadml.leads._raw import RawTable

__all__ = ["open_database_table"]


@contextmanager
def open_database_table(address: str, *, order_by: str, batch_rows: int) -> Iterator[_DatabaseSource]:
    """Open a table for reading, repeatably: rows that others add meanwhile are not seen.

    Parameters
    ----------
    address : str
        ``<database URL>#<table>``.
    order_by : str
        Column that decides the order of the rows.
    batch_rows : int
        Rows held in memory.

    Raises
    ------
    InputMissingError
        If the database cannot be reached or has no such table.
    """
    from sqlalchemy import MetaData, create_engine, pool
    from sqlalchemy import Table as DatabaseTable
    from sqlalchemy.exc import NoSuchModuleError, NoSuchTableError, OperationalError, SQLAlchemyError

    url, schema, name = split_address(address)
    shown = mask_address(address)
    _refuse_missing_file(url, shown)
    try:
        engine = create_engine(url, poolclass=pool.NullPool)
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            table = DatabaseTable(name, MetaData(), schema=schema, autoload_with=connection)
            yield _DatabaseSource(connection, table, shown, order_by, batch_rows)
    except NoSuchTableError as error:
        raise InputMissingError(f"{shown}: the database has no such table.") from error
    except (NoSuchModuleError, ImportError):
        kind, _, rest = url.partition("://")
        fix = "Install the package that SQLAlchemy's documentation names for it."
        if kind == "duckdb":
            fix = f"A DuckDB file is named by its path: `{{path: {rest.lstrip('/')}, sheet: {name}}}`."
        raise InputMissingError(f"{shown}: the driver for {kind}:// is not installed. {fix}") from None
    except OperationalError:
        raise InputMissingError(
            f"{shown}: the database cannot be reached, or refuses this login or this table."
        ) from None
    except SQLAlchemyError as error:
        raise InputMissingError(f"{shown}: cannot read this table ({type(error).__name__}).") from None


def _refuse_missing_file(url: str, shown: str) -> None:
    """Refuse a SQLite file that is not there: connecting would make one."""
    kind, _, rest = url.partition(":///")
    path = rest.partition("?")[0]
    is_named = kind.startswith("sqlite") and path and not path.startswith((":memory:", "file:"))
    if is_named and not Path(path).exists():
        raise InputMissingError(f"{shown}: no such file or directory.")


@dataclass(frozen=True, slots=True)
class _DatabaseSource:
    connection: Connection
    table: Any
    shown: str
    order_by: str
    batch_rows: int
    path: None = None

    def header(self) -> list[str]:
        """Return the column names."""
        return [str(column.name) for column in self.table.columns]

    def blocks(self, wanted: Sequence[str], optional: Sequence[str]) -> Generator[RawTable]:
        """Yield the wanted columns as texts, in the order of the id, at least one block."""
        import pyarrow as pa
        from sqlalchemy import select

        header = self.header()
        as_table = Table(name=self.table.name, path=None)
        positions, absent = find_positions(as_table, self.shown, header, list(wanted), frozenset(optional))
        yield first_block(positions, absent)
        names = list(positions)
        chosen = [self.table.columns[header[positions[name]]] for name in names]
        query = select(*chosen).order_by(self.table.columns[self.order_by.strip()])
        options = {"stream_results": True, "yield_per": self.batch_rows}
        first = 1
        with self.connection.execute(query, execution_options=options) as result:
            for rows in result.partitions():
                columns = [_arrow(list(values)) for values in zip(*rows, strict=True)]
                block = pa.table(columns, names=names)
                yield typed_table(block, names, first=first, where=f"{self.shown}: ", absent=absent)
                first += len(rows)


def _arrow(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else str(value) for value in values])

"""Score files: fixed number formats, cells that no spreadsheet runs, the same bytes for the same scores."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Protocol

from leadml.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

__all__ = ["DIGITS", "ScoreWriter", "open_writer", "safe_cell", "safe_cells"]

DIGITS = 6
PROBABILITIES = ("probability_accepted", "probability_won")
ROW_GROUP = 100_000
_SPECIAL = re.compile(r'[,"\r\n]')
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_FORMULA = re.compile(r"[\s\x00-\x1f\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212|%]|[\t\r\n]")


class ScoreWriter(Protocol):
    """Takes scores batch by batch."""

    def write(self, scores: pd.DataFrame) -> None:
        """Append scores."""
        ...

    def __enter__(self) -> ScoreWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_writer(path: Path, *, suffix: str, columns: Iterable[str]) -> ScoreWriter:
    """Return the writer for a kind of file.

    Parameters
    ----------
    path : Path
        Where it writes.
    suffix : str
        ``.csv`` or ``.parquet``.
    columns : iterable of str
        Names of the columns, in order.

    Raises
    ------
    OutputError
        For any other kind.
    """
    if suffix == ".csv":
        return _CsvWriter(path, tuple(columns))
    if suffix == ".parquet":
        return _ParquetWriter(path, tuple(columns))
    raise OutputError(f"{path.name}: expected a score file ending in .csv or .parquet, got {suffix!r}.")


def safe_cell(text: str) -> str:
    """Return a text that a spreadsheet shows and never runs: what looks like a formula gets an apostrophe.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell("-5"), safe_cell("00Q5")
    ("'=1+1", '-5', '00Q5')
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def safe_cells(values: Iterable[object]) -> list[str]:
    """Return texts as safe cells of a CSV file, quoted where they must be; a missing value is empty."""
    known: dict[object, str] = {}
    cells = []
    for value in values:
        cell = known.get(value)
        if cell is None:
            missing = value is None or (isinstance(value, float) and math.isnan(value))
            cell = "" if missing else _quoted(safe_cell(str(value)))
            if len(known) < ROW_GROUP:
                known[value] = cell
        cells.append(cell)
    return cells


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def probability_cells(values: Iterable[float]) -> list[str]:
    """Return probabilities with a fixed number of digits; a missing one is empty."""
    return ["" if math.isnan(value) else f"{value:.{DIGITS}f}" for value in values]


class _CsvWriter:
    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._stream = path.open("w", encoding="utf-8", newline="")
        self._stream.write(",".join(columns) + "\n")

    def write(self, scores: pd.DataFrame) -> None:
        cells = [
            (probability_cells if name in PROBABILITIES else safe_cells)(scores[name].tolist())
            for name in self._columns
        ]
        self._stream.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))

    def __enter__(self) -> ScoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


class _ParquetWriter:
    """Row groups of a fixed size, whatever the batches: their borders are part of the file's bytes."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema(
            [(name, pa.float64() if name in PROBABILITIES else pa.string()) for name in columns]
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting = self._schema.empty_table()
        self._from_arrays = pa.table
        self._concat = pa.concat_tables

    def write(self, scores: pd.DataFrame) -> None:
        columns = {
            name: scores[name].round(DIGITS).tolist()
            if name in PROBABILITIES
            else scores[name].astype(object).where(scores[name].notna(), None).tolist()
            for name in self._schema.names
        }
        for name in PROBABILITIES:
            columns[name] = [None if math.isnan(value) else value for value in columns[name]]
        table = self._from_arrays(columns, schema=self._schema)
        self._waiting = self._concat([self._waiting, table])
        while len(self._waiting) >= ROW_GROUP:
            self._flush(ROW_GROUP)

    def _flush(self, n_rows: int) -> None:
        self._writer.write_table(self._waiting.slice(0, n_rows).combine_chunks(), row_group_size=ROW_GROUP)
        self._waiting = self._waiting.slice(n_rows)

    def __enter__(self) -> ScoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and len(self._waiting):
            self._flush(len(self._waiting))
        self._writer.close()

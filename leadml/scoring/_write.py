"""Score files: fixed number formats, cells that no spreadsheet runs, the same bytes for the same scores."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from leadml.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["DIGITS", "QuarantineWriter", "ScoreWriter", "csv_text", "open_writer", "safe_cell", "safe_cells"]

DIGITS = 6
PROBABILITIES = ("probability_accepted", "probability_won")
QUARANTINE_COLUMNS = ("table", "line", "column", "rule", "shape")
ROW_GROUP = 50_000
SHOWN_REJECTS = 10_000
_TIE = 1e-4  # far above what a product is off by
_PLAIN = r'^[0-9A-Za-z][^,"\r\n]*$'
_SPECIAL = re.compile(r'[,"\r\n]')
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_FORMULA = re.compile(r"[\s\x00-\x1f\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212|%]|[\t\r\n]")


class ScoreWriter(Protocol):
    """Takes scores batch by batch."""

    def write(self, scores: pd.DataFrame) -> None:
        """Append scores."""
        ...

    def __enter__(self) -> Self: ...

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


def csv_text(scores: pd.DataFrame, columns: Iterable[str]) -> bytes:
    """Return scores as the lines of a CSV file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(scores):
        return b""
    cells = [
        _probability_cells(scores[name].to_numpy(dtype=np.float64))
        if name in PROBABILITIES
        else _text_cells(scores[name])
        for name in columns
    ]
    rows = pc.binary_join_element_wise(*cells, pa.scalar(",", pa.large_string()))
    return ("\n".join(rows.to_pylist()) + "\n").encode()


def _text_cells(values: pd.Series[Any]) -> Any:
    """Return texts as `safe_cells` does: each distinct text that is not plain is looked at once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array(values, pa.large_string(), from_pandas=True)
    if isinstance(found, pa.ChunkedArray):  # what pandas put together
        found = pa.concat_arrays(found.chunks)
    known = found.fill_null("").dictionary_encode()
    texts = known.dictionary
    odd = pc.invert(pc.match_substring_regex(texts, _PLAIN))
    safe = pa.array(safe_cells(texts.filter(odd).to_pylist()), pa.large_string())
    return pc.replace_with_mask(texts, odd, safe).take(known.indices)


def _probability_cells(values: NDArray[np.float64]) -> Any:
    """Return probabilities with a fixed number of digits, rounded as Python does; a missing one is empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scaled = values * 10**DIGITS
    odd = ~((values >= 0) & (values <= 1) & (np.abs(scaled % 1 - 0.5) > _TIE))  # a tie needs every digit
    whole = np.rint(np.where(odd, 0, scaled)).astype(np.int64)
    digits = np.empty((len(values), DIGITS + 2), dtype=np.uint8)
    for place in range(DIGITS + 1, 1, -1):
        whole, digits[:, place] = np.divmod(whole, 10)
    digits[:, 1], digits[:, 0] = ord("."), whole
    digits[:, 2:] += ord("0")
    digits[:, 0] += ord("0")
    ends = np.arange(len(values) + 1, dtype=np.int64) * (DIGITS + 2)
    cells = pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(digits))
    exact = ["" if math.isnan(value) else f"{value:.{DIGITS}f}" for value in values[odd].tolist()]
    return pc.replace_with_mask(cells, pa.array(odd), pa.array(exact, pa.large_string()))


class QuarantineWriter:
    """Lists damaged rows as they come and counts their rules.

    Parameters
    ----------
    path : Path or None
        The list (CSV); None counts only.
    """

    def __init__(self, path: Path | None) -> None:
        self._stream = None if path is None else path.open("w", encoding="utf-8", newline="")
        self._shown: list[tuple[object, ...]] = []
        self._counts: dict[tuple[str, str | None], int] = {}
        self._lines: dict[tuple[str, str | None], int] = {}
        if self._stream is not None:
            self._stream.write(",".join(QUARANTINE_COLUMNS) + "\n")

    def write(self, table: str, rejects: Iterable[tuple[int, str | None, str, str]]) -> None:
        """Add rows: line, column, rule, masked shape."""
        for line, column, rule, shape in rejects:
            self._counts[rule, column] = self._counts.get((rule, column), 0) + 1
            self._lines.setdefault((rule, column), line)
            if len(self._shown) < SHOWN_REJECTS:
                self._shown.append((table, line, column, rule, shape))
            if self._stream is not None:
                self._stream.write(",".join(safe_cells((table, line, column, rule, shape))) + "\n")

    def findings(self) -> list[str]:
        """Return one sentence per broken rule, the commonest five."""
        common = sorted(self._counts, key=lambda key: (-self._counts[key], key[0], key[1] or ""))[:5]
        return [
            f"{self._counts[key]:,} rows break rule {key[0]}{f' in column {key[1]}' if key[1] else ''}, "
            f"first in line {self._lines[key]}."
            for key in common
        ]

    def to_frame(self) -> pd.DataFrame:
        """Return the first rows: table, line, column, rule, shape."""
        import pandas as pd

        frame = pd.DataFrame(self._shown, columns=QUARANTINE_COLUMNS)
        return frame.assign(column=frame["column"].astype(object).where(frame["column"].notna(), None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()


class _CsvWriter:
    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._stream = path.open("wb")
        self._stream.write((",".join(columns) + "\n").encode())

    def write(self, scores: pd.DataFrame) -> None:
        self._stream.write(csv_text(scores, self._columns))

    def __enter__(self) -> Self:
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
        self._array, self._from_arrays = pa.array, pa.table
        self._concat = pa.concat_tables

    def write(self, scores: pd.DataFrame) -> None:
        columns = [
            self._array(
                scores[field.name].round(DIGITS) if field.name in PROBABILITIES else scores[field.name],
                field.type,
                from_pandas=True,
            )
            for field in self._schema
        ]
        table = self._from_arrays(columns, schema=self._schema)
        self._waiting = self._concat([self._waiting, table])
        while len(self._waiting) >= ROW_GROUP:
            self._flush(ROW_GROUP)

    def _flush(self, n_rows: int) -> None:
        self._writer.write_table(self._waiting.slice(0, n_rows).combine_chunks(), row_group_size=ROW_GROUP)
        self._waiting = self._waiting.slice(n_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and len(self._waiting):
            self._flush(len(self._waiting))
        self._writer.close()

"""Kept leads and quarantine as files, whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._files import replaced_file
from leadml.errors import OutputError

if TYPE_CHECKING:
    from leadml.leads._contract import Column, Contract
    from leadml.leads._table import LeadTable

__all__ = ["plain_texts", "write_leads", "write_quarantine"]

_LIVE = re.compile(r"[=@\t\r]|[+-](?![0-9.,]+$)")


def write_leads(table: LeadTable, path: Path | str) -> None:
    """Write the kept leads as CSV or Parquet, by the path's ending.

    Columns are named and typed as in the contract; personal columns are not among them.

    Parameters
    ----------
    table : LeadTable
        From `read_leads`.
    path : path-like
        ``.csv`` or ``.parquet``.

    Raises
    ------
    OutputError
        If the ending is another one or the file cannot be written; an old file is then left whole.
    """
    _write(table.frame, Path(path), what="leads", contract=table.contract)


def write_quarantine(quarantine: pd.DataFrame, path: Path | str) -> None:
    """Write the list of quarantined rows (table, line, column, rule, masked shape) as CSV or Parquet."""
    _write(quarantine, Path(path), what="quarantine")


def plain_texts(frame: pd.DataFrame, contract: Contract | None = None) -> pd.DataFrame:
    """Return a frame as a CSV may hold it: dates alike in every row, and no text that a spreadsheet runs.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return and is no number gets an
    apostrophe in front, as spreadsheets themselves write it.
    """
    plain = {}
    for name, series in frame.items():
        column = contract.column(str(name)) if contract is not None else None
        if series.dtype.kind == "M" or isinstance(series.dtype, pd.DatetimeTZDtype):
            plain[name] = _date_texts(series, column)
        elif not pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
            texts = series.astype(object)
            live = [isinstance(text, str) and _LIVE.match(text) is not None for text in texts]
            plain[name] = texts.mask(np.array(live, dtype=bool), "'" + texts.astype(str))
        else:
            plain[name] = series
    return pd.DataFrame(plain, index=frame.index, columns=frame.columns)


def _date_texts(series: pd.Series[Any], column: Column | None) -> pd.Series[Any]:
    """Write days as days and moments as moments, whatever the other rows hold."""
    known = series.dropna()
    with_time = bool((known != known.dt.normalize()).any())
    if column is not None:
        with_time |= column.zoned or any(re.search("%[HITR]", form) for form in column.format)
    form = "%Y-%m-%d %H:%M:%S" if with_time else "%Y-%m-%d"
    texts: pd.Series[Any] = series.dt.strftime(form + (".%f" if (known.dt.microsecond != 0).any() else ""))
    return texts


def _write(frame: pd.DataFrame, path: Path, *, what: str, contract: Contract | None = None) -> None:
    if path.suffix not in {".csv", ".parquet"}:
        raise OutputError(
            f"{path}: the {what} are written as .csv or .parquet, not as {path.suffix or 'nothing'!r}."
        )
    with replaced_file(path) as temporary:
        if path.suffix == ".csv":
            plain_texts(frame, contract).to_csv(temporary, index=False, lineterminator="\n")
        else:
            frame.to_parquet(temporary, index=False)

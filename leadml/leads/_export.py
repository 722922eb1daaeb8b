"""Kept leads and quarantine as files, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leadml._files import replaced_file
from leadml.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

    from leadml.leads._table import LeadTable

__all__ = ["write_leads", "write_quarantine"]


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
    _write(table.frame, Path(path), what="leads")


def write_quarantine(quarantine: pd.DataFrame, path: Path | str) -> None:
    """Write the list of quarantined rows (table, line, column, rule, masked shape) as CSV or Parquet."""
    _write(quarantine, Path(path), what="quarantine")


def _write(frame: pd.DataFrame, path: Path, *, what: str) -> None:
    if path.suffix not in {".csv", ".parquet"}:
        raise OutputError(
            f"{path}: the {what} are written as .csv or .parquet, not as {path.suffix or 'nothing'!r}."
        )
    with replaced_file(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
        else:
            frame.to_parquet(temporary, index=False)

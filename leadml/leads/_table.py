"""The closed loop as a table: the leads, where they came from, and what was left out."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import datetime as dt

    import numpy as np
    from numpy.typing import NDArray

    from leadml.leads._contract import Contract

__all__ = ["LeadTable", "Manifest", "TableCount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCount:
    """Rows of one joined table: read, kept, quarantined, duplicates."""

    table: str
    read: int
    kept: int
    quarantined: int
    duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """How the rows of the leads table reconcile: read = kept + quarantined + duplicates.

    Parameters
    ----------
    read, kept, quarantined, duplicates : int
        Rows of the leads table.
    notices : tuple of str
        What a reader should know though no row breaks the contract.
    data_sha256 : str
        Digest of the files that were read.
    other_tables : tuple of TableCount
        The same counts for each joined table.
    nameless : tuple of (str, int)
        Table and place (from 1) of each column whose header is empty.
    """

    read: int
    kept: int
    quarantined: int
    duplicates: int
    notices: tuple[str, ...] = ()
    data_sha256: str = ""
    other_tables: tuple[TableCount, ...] = ()
    nameless: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as ``{"rows": {"read", "kept", "quarantined", "duplicates"}}``."""
        return {
            "rows": {
                "read": self.read,
                "kept": self.kept,
                "quarantined": self.quarantined,
                "duplicates": self.duplicates,
            }
        }


def quarantine_entries(quarantine: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the quarantined rows in the shape of ``leadml ingest --json``."""
    columns = (quarantine[name].tolist() for name in ("table", "line", "column", "rule"))
    return [
        {"table": table, "line": int(line), "column": column, "rule": rule}
        for table, line, column, rule in zip(*columns, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeadTable:
    """The leads of one export, typed as their contract says.

    Parameters
    ----------
    frame : DataFrame
        One row per lead in file order, columns named as in the contract; personal columns are never here.
    contract : Contract
        What declared it.
    manifest : Manifest
        Row counts and notices.
    quarantine : DataFrame
        One row per quarantined row: ``table``, ``line``, ``column``, ``rule``, ``shape`` (masked).
    as_of : date
        The day on which the export tells the state of the leads.
    lines : ndarray of int of shape (n_leads,) or None
        Where each lead stands in its file.
    """

    frame: pd.DataFrame = field(repr=False)
    contract: Contract = field(repr=False)
    manifest: Manifest
    quarantine: pd.DataFrame = field(repr=False)
    as_of: dt.date
    lines: NDArray[np.int64] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.frame)

    def role(self, name: str) -> pd.Series[Any] | None:
        """Return the column with this role (``"verdict"``, ``"amount"``, …), or None."""
        column = self.contract.column_by_role(name)
        if column is None or column.name not in self.frame.columns:
            return None
        return self.frame[column.name]

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the leads."""
        return self.frame.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return counts and quarantine in the shape of ``leadml ingest --json``."""
        return {**self.manifest.to_dict(), "quarantine": quarantine_entries(self.quarantine)}

    def describe(self) -> pd.DataFrame:
        """Return one row per column: ``column``, ``role``, ``type``, ``filled`` (share), ``distinct``."""
        rows = []
        for name in self.frame.columns:
            column = self.contract.column(name)
            series = self.frame[name]
            rows.append(
                {
                    "column": name,
                    "role": column.role if column is not None else "reason",
                    "type": column.type if column is not None else "category",
                    "filled": float(series.notna().mean()) if len(series) else 0.0,
                    "distinct": int(series.nunique()),
                }
            )
        return pd.DataFrame(rows, columns=["column", "role", "type", "filled", "distinct"])

    def __repr__(self) -> str:
        counts = self.manifest
        lines = [
            f"LeadTable {self.contract.name!r}: {counts.kept:,} leads{self._when()}",
            (
                f"  read {counts.read:,} = kept {counts.kept:,} + quarantined {counts.quarantined:,}"
                f" + duplicates {counts.duplicates:,}"
            ),
        ]
        for role, words in (("verdict", "accepted rejected pending"), ("outcome", "won lost open")):
            series = self.role(role)
            if series is not None:
                sizes = series.value_counts()
                shown = ", ".join(f"{int(sizes.get(word, 0)):,} {word}" for word in words.split())
                lines.append(f"  {role}: {shown}")
        lines += [f"  note: {notice}" for notice in self.manifest.notices[:4]]
        return "\n".join(lines)

    def _when(self) -> str:
        dated = any(
            (column := self.contract.column_by_role(role)) is not None and column.type == "date"
            for role in ("created", "handed_over", "decided", "closed")
        )
        return f" as of {self.as_of}" if dated else ""

    def _repr_html_(self) -> str:
        head = html.escape(repr(self))
        table = self.describe().to_html(index=False, border=0, float_format="{:.3f}".format)
        return f"<pre>{head}</pre>{table}"

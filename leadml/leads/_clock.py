"""When a lead begins to count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from leadml.leads._contract import Contract
    from leadml.leads._table import LeadTable

__all__ = ["naive", "start_of", "start_of_frame"]


def naive(values: pd.Series[Any]) -> pd.Series[Any]:
    naive: pd.Series[Any] = values.dt.tz_localize(None) if values.dt.tz is not None else values
    return naive


def start_of(table: LeadTable) -> pd.Series[Any]:
    """Return when each lead begins to count: handed over, else created, else its place in the file."""
    return start_of_frame(table.contract, table.frame)


def start_of_frame(contract: Contract, frame: pd.DataFrame) -> pd.Series[Any]:
    """Return the same from a frame and its contract."""
    named = {role: contract.column_by_role(role) for role in ("created", "handed_over")}
    created, handed = (
        frame[column.name] if column is not None and column.name in frame.columns else None
        for column in named.values()
    )
    if handed is not None and created is not None and created.dtype.kind != "f":
        return naive(handed).fillna(naive(created))
    if created is not None:
        return created if created.dtype.kind == "f" else naive(created)
    if handed is not None:
        return naive(handed)
    return pd.Series(np.arange(len(frame), dtype=np.float64))

"""Attributes as they were at the handoff, from a table of changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._cells import type_column
from leadml.leads._dates import parse_date
from leadml.leads._sources import ISO_FORMATS, ISO_ZONE_FORMATS, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from leadml.leads._contract import Contract, Table

__all__ = ["values_at_handoff"]


@dataclass(frozen=True, slots=True)
class _Change:
    """The first change of one field of one lead after its handoff."""

    at: pd.Timestamp
    old: str | None


def values_at_handoff(
    contract: Contract,
    table: Table,
    place: Path | str,
    *,
    frame: pd.DataFrame,
    start: pd.Series[Any],
) -> tuple[pd.DataFrame, list[str]]:
    """Return the leads with each attribute as it was at the handoff.

    An export holds the latest values. The value at the handoff is the old value of the first change after it;
    without such a change it is the latest value.

    Parameters
    ----------
    contract : Contract
        Its first table's columns are what the changes are about.
    table : Table
        With `Table.history`: the columns that hold the lead, the field, the old value and the time.
    place : Path or str
        Where the table of changes lies.
    frame : DataFrame
        The leads as they are now.
    start : Series
        The handoff (else creation) of each lead.

    Returns
    -------
    (DataFrame, list of str)
        A new frame, and notices: how many values were set back, and changes that could not be read.
    """
    changes, notices = _first_changes(contract, table, place, frame, start)
    set_back = frame.copy()
    for column in contract.columns:
        found = changes.get(column.name)
        if not found:
            continue
        rows = np.array(sorted(found), dtype=np.int64)
        typed = type_column(column, [found[row].old for row in rows.tolist()])
        series = set_back[column.name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            known = [level for level in typed.series.cat.categories if level not in series.cat.categories]
            series = series.cat.add_categories(known)
            values: Any = typed.series.astype(object).to_numpy()
        else:
            values = typed.series.array
        series = series.copy()
        series.iloc[rows] = values
        set_back[column.name] = series
        notices.append(f"{column.name}: {len(rows):,} leads had another value at the handoff; it is used.")
        if typed.bad:
            notices.append(
                f"{column.name}: {len(typed.bad):,} old values break the contract; taken as missing."
            )
    return set_back, notices


def _first_changes(
    contract: Contract, table: Table, place: Path | str, frame: pd.DataFrame, start: pd.Series[Any]
) -> tuple[dict[str, dict[int, _Change]], list[str]]:
    history = table.history
    ids = contract.column_by_role("id")
    if history is None or ids is None:
        return {}, []
    raw = read_table(table, place, wanted=[history.lead, history.field, history.old, history.at])
    formats = raw.formats.get(history.at, ()) or (*history.format, *ISO_FORMATS, *ISO_ZONE_FORMATS)
    by_source = {
        column.source: column
        for column in contract.columns
        if column.role == "attribute" and column.table == contract.tables[0].name
    }
    row_of = {str(lead): row for row, lead in enumerate(frame[ids.name])}
    begin = start.to_numpy(dtype="datetime64[us]")
    found: dict[str, dict[int, _Change]] = {}
    n_unread = 0
    columns = (raw.columns[name] for name in (history.lead, history.field, history.old, history.at))
    for lead, field, old, at in zip(*columns, strict=True):
        column, row = by_source.get(str(field)), row_of.get(str(lead))
        if column is None or row is None:
            continue
        moment = parse_date(str(at).strip(), formats)
        if isinstance(moment, str):
            n_unread += 1
            continue
        stamp = pd.Timestamp(moment.replace(tzinfo=None))
        if np.isnat(begin[row]) or stamp <= _end_of_handoff(begin[row]):
            continue
        before = found.setdefault(column.name, {}).get(row)
        if before is None or stamp < before.at:
            found[column.name][row] = _Change(stamp, None if old is None else str(old))
    lost = n_unread + len(raw.rejects)
    return found, [f"{table.name}: {lost:,} changes could not be read."] if lost else []


def _end_of_handoff(begin: Any) -> pd.Timestamp:
    """Return the moment of a handoff; of a day only, its end: what changed on that day came with it."""
    moment = pd.Timestamp(begin)
    return moment + pd.Timedelta(days=1) if moment == moment.normalize() else moment

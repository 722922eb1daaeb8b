"""Attributes as they were at the handoff, from a table of changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._cells import type_column
from leadml.leads._csv import Reject, mask
from leadml.leads._dates import parse_date
from leadml.leads._presets import plain_name
from leadml.leads._sources import read_table
from leadml.leads._texts import ISO_FORMATS, ISO_ZONE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadml.leads._contract import Contract, Table

__all__ = ["Changes", "change_notices", "read_changes", "values_at_handoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a table of changes says.

    Attributes
    ----------
    table : str
        Its name.
    by_lead : dict of str to list of (str, Timestamp, str or None)
        For each lead the attribute that changed, when, and its value before.
    n_read : int
        Rows of the table.
    rejects : list of Reject
        Rows that could not be read: damaged, or without a time in the declared format.
    """

    table: str
    by_lead: dict[str, list[tuple[str, pd.Timestamp, str | None]]]
    n_read: int
    rejects: list[Reject]


def read_changes(contract: Contract, table: Table, place: Path | str) -> Changes:
    """Read a table of changes, as far as it is about attributes of the first table."""
    history = table.history
    if history is None:  # pragma: no cover - only called for tables of changes
        return Changes(table=table.name, by_lead={}, n_read=0, rejects=[])
    wanted = [history.lead, history.field, history.value, history.at]
    raw = read_table(table, place, wanted=wanted)
    formats = raw.formats.get(history.at, ()) or (*history.format, *ISO_FORMATS, *ISO_ZONE_FORMATS)
    name_of = _name_of(contract)
    by_lead: dict[str, list[tuple[str, pd.Timestamp, str | None]]] = {}
    rejects = list(raw.rejects)
    columns = (raw.columns[name] for name in wanted)
    for line, lead, field, value, at in zip(raw.lines.tolist(), *columns, strict=True):
        name = name_of(str(field))
        if name is None:
            continue
        moment = parse_date(str(at).strip(), formats)
        if isinstance(moment, str):
            rejects.append(Reject(line, history.at, moment, "" if at is None else mask(str(at))))
            continue
        change = (name, pd.Timestamp(moment.replace(tzinfo=None)), None if value is None else str(value))
        by_lead.setdefault(str(lead), []).append(change)
    if history.is_new:
        by_lead = {lead: _values_before(entries) for lead, entries in by_lead.items()}
    return Changes(table=table.name, by_lead=by_lead, n_read=raw.n_read, rejects=rejects)


def _name_of(contract: Contract) -> Callable[[str], str | None]:
    """Find the attribute that a log calls by its column's name, or by another one that the contract lists."""
    columns = [
        column
        for column in contract.columns
        if column.role == "attribute" and column.table == contract.tables[0].name
    ]
    by_source = {column.source: column.name for column in columns}
    by_alias = {plain_name(alias): column.name for column in columns for alias in column.aliases}
    return lambda field: by_source.get(field) or by_alias.get(plain_name(field))


def _values_before(
    entries: list[tuple[str, pd.Timestamp, str | None]],
) -> list[tuple[str, pd.Timestamp, str | None]]:
    """Turn a log of new values of one lead into what each replaced; before the first there was none."""
    before: dict[str, str | None] = {}
    turned = []
    for name, moment, value in sorted(entries, key=lambda entry: entry[1]):
        turned.append((name, moment, before.get(name)))
        before[name] = value
    return turned


def values_at_handoff(
    contract: Contract, changes: Changes, *, frame: pd.DataFrame, start: pd.Series[Any]
) -> tuple[pd.DataFrame, dict[str, tuple[int, int]]]:
    """Return the leads with each attribute as it was at the handoff.

    An export holds the latest values. The value at the handoff is the old value of the first change after it;
    without such a change it is the latest value.

    Parameters
    ----------
    contract : Contract
        Its first table's columns are what the changes are about.
    changes : Changes
        From `read_changes`.
    frame : DataFrame
        The leads as they are now.
    start : Series
        The handoff (else creation) of each lead.

    Returns
    -------
    (DataFrame, dict of str to (int, int))
        A new frame; for each attribute how many values were set back, and how many of them break the contract
        (they are missing now).
    """
    first = _first_changes(contract, changes, frame, start)
    set_back = frame.copy()
    counts: dict[str, tuple[int, int]] = {}
    for column in contract.columns:
        found = first.get(column.name)
        if not found:
            continue
        rows = np.array(sorted(found), dtype=np.int64)
        typed = type_column(column, [found[row][1] for row in rows.tolist()])
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
        counts[column.name] = (len(rows), len(typed.bad))
    return set_back, counts


def change_notices(changes: Changes, counts: dict[str, tuple[int, int]]) -> list[str]:
    """Say how many values were set back, and what could not be read."""
    notices = []
    if changes.rejects:
        notices.append(f"{changes.table}: {len(changes.rejects):,} changes could not be read.")
    for name, (n_set, n_bad) in counts.items():
        notices.append(f"{name}: {n_set:,} leads had another value at the handoff; it is used.")
        if n_bad:
            notices.append(f"{name}: {n_bad:,} old values break the contract; taken as missing.")
    return notices


def _first_changes(
    contract: Contract, changes: Changes, frame: pd.DataFrame, start: pd.Series[Any]
) -> dict[str, dict[int, tuple[pd.Timestamp, str | None]]]:
    """Return for each attribute and row the first change after the handoff: when, and the value before."""
    ids = contract.column_by_role("id")
    if ids is None:  # pragma: no cover - a contract without one is refused
        return {}
    begin = start.to_numpy(dtype="datetime64[us]")
    found: dict[str, dict[int, tuple[pd.Timestamp, str | None]]] = {}
    for row, lead in enumerate(frame[ids.name]):
        for name, moment, old in changes.by_lead.get(str(lead), ()):
            if np.isnat(begin[row]) or moment <= _end_of_handoff(begin[row]):
                continue
            before = found.setdefault(name, {}).get(row)
            if before is None or moment < before[0]:
                found[name][row] = (moment, old)
    return found


def _end_of_handoff(begin: Any) -> pd.Timestamp:
    """Return the moment of a handoff; of a day or second only, its end: what changed in it came with it."""
    moment = pd.Timestamp(begin)
    if moment == moment.normalize():
        return moment + pd.Timedelta(days=1)
    return moment if moment.microsecond else moment + pd.Timedelta(microseconds=999_999)

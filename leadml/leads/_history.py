"""Attributes as they were at the handoff, from a table of changes of any length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.leads._cells import type_column
from leadml.leads._csv import Reject, mask
from leadml.leads._dates import parse_microseconds
from leadml.leads._presets import plain_name
from leadml.leads._sources import open_source, read_blocks
from leadml.leads._store import STORED_ROWS
from leadml.leads._texts import ISO_FORMATS, ISO_ZONE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from leadml.leads._contract import Column, Contract, Table
    from leadml.leads._raw import RawTable
    from leadml.leads._store import Store

__all__ = ["Changes", "change_notices", "read_changes", "values_at_handoff"]

_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a table of changes says; the changes themselves lie in a store, in order of lead and time.

    Attributes
    ----------
    table : str
        Its name, here and in the store.
    store : Store
        Where the changes lie.
    names : tuple of str
        The attributes that a change is about, by number.
    is_new : bool
        Whether a change tells the value that came, not the one that went.
    n_read : int
        Rows of the table.
    n_tracked : int
        Changes of attributes.
    rejects : list of Reject
        Rows that could not be read: damaged, or without a time in the declared format.
    met : dict of str to int
        Leads that were ``asked`` for so far, and how many of them were ``found`` (at most one is looked for).
    """

    table: str
    store: Store
    names: tuple[str, ...]
    is_new: bool
    n_read: int
    n_tracked: int
    rejects: list[Reject]
    met: dict[str, int] = field(default_factory=lambda: {"asked": 0, "found": 0})


def read_changes(contract: Contract, table: Table, place: Path | str, *, store: Store) -> Changes:
    """Read a table of changes, as far as it is about attributes of the first table."""
    history = table.history
    if history is None:  # pragma: no cover - only called for tables of changes
        raise ValueError(table.name)
    names = tuple(column.name for column in _tracked(contract))
    rejects: list[Reject] = []
    n_read = 0
    store.run(
        "CREATE TABLE unsorted (lead BLOB, at INT, attribute INT, place INTEGER PRIMARY KEY, value TEXT)"
    )
    number_of = _number_of(contract)
    with open_source(table, place, order_by=history.lead, batch_rows=STORED_ROWS) as source:
        for raw in read_blocks(source, [history.lead, history.field, history.value, history.at]):
            n_read += raw.n_read
            rejects += raw.rejects
            store.run_many(
                "INSERT INTO unsorted (lead, at, attribute, value) VALUES (?, ?, ?, ?)",
                _entries(table, raw, number_of, rejects, store),
            )
    store.run(
        f"CREATE TABLE {_named(table.name)} (lead BLOB, at INT, attribute INT, place INT, value TEXT,"
        " PRIMARY KEY (lead, at, attribute, place)) WITHOUT ROWID"
    )
    store.run(
        f"INSERT INTO {_named(table.name)} SELECT lead, at, attribute, place, value FROM unsorted"
        " ORDER BY lead, at, attribute, place"
    )
    [(n_tracked,)] = store.run("SELECT count(*) FROM unsorted")
    store.run("DROP TABLE unsorted")
    return Changes(
        table=table.name,
        store=store,
        names=names,
        is_new=history.is_new,
        n_read=n_read,
        n_tracked=n_tracked,
        rejects=rejects,
    )


def _named(table: str) -> str:
    return f'"changes {table}"'


def _entries(
    table: Table,
    raw: RawTable,
    number_of: Callable[[str], int | None],
    rejects: list[Reject],
    store: Store,
) -> Iterator[tuple[bytes, int, int, str | None]]:
    """Yield lead, time, attribute and value of each change of an attribute; reject those without a time."""
    history = table.history
    if history is None:  # pragma: no cover - only called for tables of changes
        return
    typed = raw.formats.get(history.at, (*ISO_FORMATS, *ISO_ZONE_FORMATS))
    formats = (*typed, *history.format)  # a sheet has dates and texts in one column
    moments: dict[str, int | str] = {}
    numbers = {name: number_of(str(name)) for name in set(raw.columns[history.field])}
    columns = (raw.columns[name] for name in (history.lead, history.field, history.value, history.at))
    for line, lead, name, value, at in zip(raw.lines.tolist(), *columns, strict=True):
        number = numbers[name]
        if number is None:
            continue
        text = str(at).strip()
        moment = moments.get(text)
        if moment is None:
            moment = moments[text] = parse_microseconds(text, formats)
        if isinstance(moment, str):
            rejects.append(Reject(line, history.at, moment, "" if at is None else mask(str(at))))
        elif lead is not None:
            yield store.hash_record(lead), moment, number, value


def _tracked(contract: Contract) -> list[Column]:
    main = contract.tables[0].name
    return [column for column in contract.columns if column.role == "attribute" and column.table == main]


def _number_of(contract: Contract) -> Callable[[str], int | None]:
    """Find the attribute that a log calls by its column's name, or by another one that the contract lists."""
    columns = _tracked(contract)
    by_source = {column.source: number for number, column in enumerate(columns)}
    by_alias = {
        plain_name(alias): number for number, column in enumerate(columns) for alias in column.aliases
    }
    return lambda field: by_source.get(field, by_alias.get(plain_name(field)))


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
        typed = type_column(column, [found[row] for row in rows.tolist()])
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
    if changes.n_read > len(changes.rejects) and not changes.n_tracked:
        notices.append(
            f"{changes.table}: no change is about an attribute of the leads. Compare what it calls the fields"
            " with the columns' names."
        )
    elif changes.n_tracked and changes.met["asked"] and not changes.met["found"]:
        notices.append(
            f"{changes.table}: no lead has a change in it: its ids are of other leads or written otherwise."
        )
    for name, (n_set, n_bad) in counts.items():
        notices.append(f"{name}: {n_set:,} leads had another value at the handoff; it is used.")
        if n_bad:
            notices.append(f"{name}: {n_bad:,} old values break the contract; taken as missing.")
    return notices


def _first_changes(
    contract: Contract, changes: Changes, frame: pd.DataFrame, start: pd.Series[Any]
) -> dict[str, dict[int, str | None]]:
    """Return for each attribute and row the value before the first change after the handoff."""
    ids = contract.column_by_role("id")
    if ids is None:  # pragma: no cover - a contract without one is refused
        return {}
    handoff = _ends_of_handoff(start.to_numpy(dtype="datetime64[us]"))
    known = ~np.isnat(handoff)
    any_change = f"SELECT 1 FROM {_named(changes.table)} WHERE lead = ? LIMIT 1"
    find = _before_by_new_values if changes.is_new else _before_by_old_values
    found: dict[str, dict[int, str | None]] = {}
    moments = handoff.astype(np.int64).tolist()
    for row, lead in enumerate(frame[ids.name].tolist()):
        key = changes.store.hash_record(str(lead))
        changes.met["asked"] += 1
        if not changes.met["found"]:
            changes.met["found"] = len(changes.store.run(any_change, (key,)))
        if known[row]:
            before = find(changes, key, moments[row])
            for number, value in before.items():
                found.setdefault(changes.names[number], {})[row] = value
    return found


def _before_by_old_values(changes: Changes, lead: bytes, handoff: int) -> dict[int, str | None]:
    rows = changes.store.run(
        f"SELECT attribute, value FROM {_named(changes.table)}"
        " WHERE lead = ? AND at > ? ORDER BY at, attribute, place",
        (lead, handoff),
    )
    return dict(reversed(rows))


def _before_by_new_values(changes: Changes, lead: bytes, handoff: int) -> dict[int, str | None]:
    rows = changes.store.run(
        f"SELECT attribute, value, at > ? FROM {_named(changes.table)}"
        " WHERE lead = ? ORDER BY at, attribute, place",
        (handoff, lead),
    )
    known: dict[int, str | None] = {}
    found: dict[int, str | None] = {}
    for number, value, is_after in rows:
        if is_after:
            found.setdefault(number, known.get(number))
        else:
            known[number] = value
    return found


def _ends_of_handoff(begin: Any) -> Any:
    """Return the moment of each handoff; of a day or second its end: what changed in it came with it."""
    moment = begin.astype(np.int64)
    ends = np.where(moment % 1_000_000 == 0, moment + 999_999, moment)
    ends = np.where(moment % _DAY == 0, moment + _DAY, ends)
    return np.where(np.isnat(begin), begin, ends.astype("datetime64[us]"))

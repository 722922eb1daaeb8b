"""Leads that the system merged into another one, whose row lists their ids."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from leadml.leads._texts import hash_texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from leadml.leads._contract import Table
    from leadml.leads._read import TypedTable

__all__ = ["hash_merged_ids", "mark_merged_ids", "with_merged_hashes"]

_ENTRY = re.compile(r"([^\s:;]+)(?::\d+)?")


def hash_merged_ids(ids: Any, lists: Any) -> NDArray[np.uint64]:
    """Return the hashes of the ids that stand in the list of another lead.

    Parameters
    ----------
    ids : sequence of str or None
        Of the leads.
    lists : sequence of str or None
        Per lead what was merged into it, ``id:timestamp;id:timestamp``; the timestamps may be missing. A
        list that cannot be read counts for nothing; `mark_merged_ids` quarantines its row.
    """
    found = [
        other
        for own, text in zip(ids, lists, strict=True)
        if text
        for other in _listed(text) or ()
        if own is None or other != own.strip()
    ]
    return hash_texts(found)


def with_merged_hashes(table: Table, parts: Iterable[NDArray[np.uint64]]) -> Table:
    """Return the table with what `hash_merged_ids` found in all its rows."""
    hashes = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *parts]))
    return dataclasses.replace(table, merged_hashes=hashes.tobytes())


def mark_merged_ids(read: TypedTable, ids: Any, lists: Any) -> None:
    """Take out the leads that stand in another lead's list; quarantine those whose list cannot be read."""
    known = np.frombuffer(read.table.merged_hashes, dtype=np.uint64)
    if len(known):
        hashes = hash_texts(ids)
        places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        gone = (known[places] == hashes) & read.keep
        read.keep[gone] = False
        read.n_duplicates += int(gone.sum())
    for row, text in enumerate(lists):
        if text and read.keep[row] and _listed(text) is None:
            read.break_row(row, read.table.merged_ids, "merged_ids", text)


def _listed(text: str) -> list[str] | None:
    """Return the ids of a list; None if it is none."""
    entries = [entry.strip() for entry in text.split(";")]
    found = [_ENTRY.fullmatch(entry) for entry in entries if entry]
    return None if None in found else [match[1] for match in found if match is not None]

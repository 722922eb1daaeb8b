"""The closed loop in parts: each part of the leads with its counts, and what follows from all counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leadml.leads._chunks import open_chunk
from leadml.leads._read import (
    JoinFit,
    day_of_export,
    digest_inputs,
    find_places,
    known_instants,
    quarantine_frame,
    refuse_over_limit,
    unlisted_notices,
)
from leadml.leads._table import LeadTable, Manifest

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pandas as pd

    from leadml.leads._batches import LeadStream
    from leadml.leads._chunks import LeadPlan
    from leadml.leads._contract import Contract
    from leadml.leads._csv import Reject

__all__ = ["PartTally", "count_days", "read_loop", "settle_tallies"]


@dataclass(slots=True, kw_only=True)
class PartTally:
    """What became of the rows of a part; tallies of all parts say what `read_leads` says.

    Parameters
    ----------
    read, kept, duplicates : int
    rejects : list of Reject
    days : Counter of int
        Dates on which something is known to have happened, per day.
    unlisted, reasons : dict of str to Counter
        Words of verdicts and outcomes that are not declared, reasons of no family.
    lost : Counter of str
        Leads that point to a row of a joined table that is not there.
    used : dict of str to (int, bytes)
        Rows of each joined table and, one bit each, which belong to a lead (or are not kept).
    """

    read: int = 0
    kept: int = 0
    duplicates: int = 0
    rejects: list[Reject] = field(default_factory=list)
    days: Counter[int] = field(default_factory=Counter)
    unlisted: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    used: dict[str, tuple[int, bytes]] = field(default_factory=dict)


def count_days(contract: Contract, frame: pd.DataFrame) -> Counter[int]:
    """Count the dates on which something is known to have happened, per day."""
    counts: Counter[int] = Counter()
    for series in known_instants(contract, frame):
        days, sizes = np.unique(series.to_numpy(dtype="datetime64[D]").astype(np.int64), return_counts=True)
        counts.update(dict(zip(days.tolist(), sizes.tolist(), strict=True)))
    return counts


def read_loop(plan: LeadPlan, number: int, fates: dict[int, str]) -> Iterator[tuple[pd.DataFrame, PartTally]]:
    """Read a part of the leads with verdicts and outcomes, a few thousand rows at a time.

    Parameters
    ----------
    plan : LeadPlan
        From `plan_chunks`, of all columns.
    number : int
        Of the part.
    fates : dict of int to str
        From `settle_repeated_rows`.

    Yields
    ------
    tuple of (DataFrame, PartTally)
        The first frame has no rows; no frame names a rep.
    """
    with open_chunk(plan.contract, plan.chunks[number], fates=fates, roles=plan.roles) as stream:
        reps = [column.name for column in stream.contract.columns if column.role == "rep"]
        for batch in stream:
            yield (
                batch.frame.drop(columns=reps),
                PartTally(
                    read=batch.read,
                    kept=len(batch.frame),
                    duplicates=batch.duplicates,
                    rejects=list(batch.rejects),
                    days=count_days(stream.contract, batch.frame),
                ),
            )
        yield batch.frame.drop(columns=reps).iloc[:0], _last_tally(stream)


def _last_tally(stream: LeadStream) -> PartTally:
    return PartTally(
        unlisted={name: Counter(words) for name, words in stream.unlisted.items()},
        reasons={name: Counter(words) for name, words in stream.fit.reasons.items()},
        lost=Counter(stream.fit.lost),
        used={name: (len(used), np.packbits(used).tobytes()) for name, used in stream.fit.used.items()},
    )


def settle_tallies(
    contract: Contract,
    plan: LeadPlan,
    tallies: Iterable[PartTally],
    *,
    leads: Path | str | None,
    as_of: dt.date | None,
    empty: pd.DataFrame,
) -> LeadTable:
    """Say of all parts what `read_leads` says of the leads.

    Parameters
    ----------
    contract : Contract
        As loaded.
    plan : LeadPlan
    tallies : iterable of PartTally
        Of all parts, in the order of the file.
    leads : path-like or None
        A file in place of the first table's.
    as_of : date or None
        The day of the export; by default the latest day on which something is known to have happened.
    empty : DataFrame
        A frame of a part without its rows.

    Returns
    -------
    LeadTable
        Without a lead.

    Raises
    ------
    QuarantineError
        If more rows are damaged than the contract allows.
    """
    total, fit = PartTally(), JoinFit()
    for tally in tallies:
        total.read += tally.read
        total.kept += tally.kept
        total.duplicates += tally.duplicates
        total.rejects += tally.rejects
        total.days.update(tally.days)
        for name, words in tally.unlisted.items():
            total.unlisted.setdefault(name, Counter()).update(words)
        for name, words in tally.reasons.items():
            fit.reasons[name] = dict(Counter(fit.reasons.get(name, {})) + words)
        for name, n in tally.lost.items():
            fit.lost[name] = fit.lost.get(name, 0) + n
        for name, (n, bits) in tally.used.items():
            used = np.unpackbits(np.frombuffer(bits, np.uint8), count=n).astype(bool)
            fit.used[name] = fit.used.get(name, np.zeros(n, bool)) | used
    table = contract.tables[0].name
    refuse_over_limit(contract, table, total.rejects, total.read)
    day, note = (as_of, None) if as_of is not None else day_of_export(dict(total.days))
    notices = [
        *plan.notices,
        *unlisted_notices(plan.contract, {**total.unlisted, **plan.other_words}),
        *fit.notices(),
        *([note] if note else []),
    ]
    return LeadTable(
        frame=empty,
        contract=plan.contract,
        manifest=Manifest(
            read=total.read,
            kept=total.kept,
            quarantined=len(total.rejects),
            duplicates=total.duplicates,
            notices=tuple(notices),
            data_sha256=digest_inputs(find_places(contract, leads), {}),
            other_tables=plan.other_counts,
        ),
        quarantine=quarantine_frame([(table, total.rejects), *plan.other_rejects]),
        as_of=day,
    )

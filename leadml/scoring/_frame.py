"""Leads in, scores out: what every engine does with a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import assign_classes, explain_classes
from leadml.scoring._drift import DriftWatch

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import pandas as pd

    from leadml.definitions import Definition
    from leadml.leads import LeadStream
    from leadml.models import Bundle

__all__ = ["SCORE_COLUMNS", "ScoredPart", "score_frame", "score_stream"]

SCORE_COLUMNS = (
    "lead_id",
    "lead_class",
    "probability_accepted",
    "probability_won",
    "reasons",
    "definition_version",
    "bundle",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredPart:
    """Scores of some leads, and how their rows reconcile: read = scored + rejected + duplicates.

    Parameters
    ----------
    scores : DataFrame
        The columns of a score file.
    read, duplicates : int
        Rows read, and those that repeat an earlier one.
    rejects : tuple of (int, str or None, str, str)
        Quarantined rows: line, column, rule, masked shape.
    drift : DriftWatch
        What was counted against the profile of the bundle.
    """

    scores: pd.DataFrame = field(repr=False)
    read: int
    duplicates: int
    rejects: tuple[tuple[int, str | None, str, str], ...] = field(repr=False)
    drift: DriftWatch = field(repr=False)


def score_frame(
    frame: pd.DataFrame,
    *,
    definition: Definition,
    bundle: Bundle,
    id_column: str,
    as_of: dt.date | None = None,
) -> pd.DataFrame:
    """Score leads in memory.

    Parameters
    ----------
    frame : DataFrame of shape (n_leads, …)
        Leads with the columns and types of their contract.
    definition : Definition
        The definition version that is applied.
    bundle : Bundle
        The models.
    id_column : str
        The column that names the lead.
    as_of : date, optional
        The day on which ages in the definition end.

    Returns
    -------
    DataFrame
        The columns of a score file (`SCORE_COLUMNS`), the index of `frame`.
    """
    import pandas as pd

    probabilities = bundle.predict(frame)
    return pd.DataFrame(
        {
            "lead_id": frame[id_column].astype(str),
            "lead_class": assign_classes(definition, frame, as_of=as_of).astype(str),
            "probability_accepted": probabilities["probability_accepted"],
            "probability_won": probabilities["probability_won"],
            "reasons": explain_classes(definition, frame, as_of=as_of),
            "definition_version": definition.version,
            "bundle": bundle.digest,
        },
        index=frame.index,
    )


def score_stream(
    stream: LeadStream, *, definition: Definition, bundle: Bundle, as_of: dt.date | None
) -> Iterator[ScoredPart]:
    """Score leads batch by batch; the first part has no rows, so that a missing column is said at once.

    Parameters
    ----------
    stream : LeadStream
        From `open_leads` or `open_chunk`.
    definition : Definition
        The definition version that is applied.
    bundle : Bundle
        The models and the profile of the leads at training.
    as_of : date or None
        The day on which ages in the definition end.

    Yields
    ------
    ScoredPart
    """
    id_column = next(column.name for column in stream.contract.columns if column.role == "id")
    for batch in stream:
        drift = DriftWatch(bundle.profile)
        scores = score_frame(
            batch.frame, definition=definition, bundle=bundle, id_column=id_column, as_of=as_of
        )
        flags = drift.flag(batch.frame).to_numpy()
        flagged = np.flatnonzero(flags != "")
        if len(flagged):
            reasons = scores["reasons"].to_numpy(dtype=object).copy()
            reasons[flagged] += "; " + flags[flagged]
            scores["reasons"] = reasons
        yield ScoredPart(
            scores=scores,
            read=batch.read,
            duplicates=batch.duplicates,
            rejects=batch.rejects,
            drift=drift,
        )
        del batch, scores, flags  # before the next leads are read

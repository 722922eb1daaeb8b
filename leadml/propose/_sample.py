"""An exploration carried out: who is picked, and when enough has come back."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._files import read_bytes, write_text
from leadml._render import format_rate, render_card
from leadml.definitions import apply_changes, assign_classes
from leadml.errors import ExperimentError, LeadsError
from leadml.metrics import clopper_pearson, sequential_evidence
from leadml.propose._leads import match_explored, read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leadml.definitions import Change, Definition
    from leadml.leads import LeadTable

__all__ = [
    "ExplorationProgress",
    "follow_exploration",
    "read_exploration",
    "sample_exploration",
    "write_exploration",
]

_COLUMNS = ("lead_id", "probability", "picked")
_LIVE = ("=", "+", "-", "@", "\t", "\r", "\n")


def sample_exploration(
    definition: Definition, table: LeadTable, *, changes: Sequence[Change], share: float, salt: str
) -> pd.DataFrame:
    """Pick leads of a band at random, reproducibly, and log with which probability.

    A lead is picked if a hash of the salt and its id, read as a number between 0 and 1, is below the share:
    the same lead gets the same answer wherever and whenever it is asked.

    Parameters
    ----------
    definition : Definition
        The written definition.
    table : LeadTable
        The leads; the band is those that the changed definition hands over and the written one does not.
    changes : sequence of Change
        The looser definition that is explored.
    share : float
        Above 0, at most 1.
    salt : str
        Any text, kept with the sample; another salt picks others.

    Returns
    -------
    DataFrame
        ``lead_id``, ``probability``, ``picked`` of every lead of the band, by id. Keep it whole: the leads
        that were not picked are needed too (`propose_changes` with `explored`).

    Raises
    ------
    ExperimentError
        If the share is out of range.
    LeadsError
        If the contract names no id.
    """
    if not 0 < share <= 1:
        raise ExperimentError(f"share: expected a number above 0 and at most 1, got {share!r}.")
    ids = table.role("id")
    if ids is None:
        raise LeadsError("exploration: the contract declares no column with role id to pick leads by.")
    revised = apply_changes(definition, list(changes))
    then = _handed_over(revised, table)
    band = then & ~_handed_over(definition, table) & ids.notna().to_numpy()
    names = sorted(set(ids[band].astype(str)))
    picked = [_uniform(salt, name) < share for name in names]
    return pd.DataFrame({"lead_id": names, "probability": float(share), "picked": picked})


def _handed_over(definition: Definition, table: LeadTable) -> np.ndarray[Any, np.dtype[np.bool_]]:
    classes = assign_classes(definition, table.frame, as_of=table.as_of)
    return np.asarray(classes.isin(definition.handoff).to_numpy())


def _uniform(salt: str, lead_id: str) -> float:
    digest = hashlib.sha256(f"{salt}\x1f{lead_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def write_exploration(sample: pd.DataFrame, path: Path | str) -> None:
    """Write a sample as CSV: the leads to hand over, and those of the band that were not picked.

    No id can become a formula of a spreadsheet: one that could gets an apostrophe, which
    `read_exploration` takes away again.

    Parameters
    ----------
    sample : DataFrame
        From `sample_exploration`.
    path : path-like
        Written whole or not at all.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for lead_id, probability, picked in sample[list(_COLUMNS)].itertuples(index=False):
        cell = f"'{lead_id}" if str(lead_id).startswith((*_LIVE, "'")) else lead_id
        rows.writerow((cell, repr(float(probability)), "yes" if picked else "no"))
    write_text(path, text.getvalue())


def read_exploration(path: Path | str) -> pd.DataFrame:
    """Read the leads of an exploration back.

    Parameters
    ----------
    path : path-like
        From `write_exploration`.

    Returns
    -------
    DataFrame
        ``lead_id``, ``probability``, ``picked``.

    Raises
    ------
    LeadsError
        If it is no such file; with the lines that are wrong.
    InputMissingError
        If it is not there.
    """
    try:
        text = read_bytes(path, what="explored leads").decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LeadsError(f"{path}: expected a CSV file in UTF-8, from `leadml explore sample`.") from error
    if not lines or tuple(lines[0]) != _COLUMNS:
        raise LeadsError(f"{path}: expected the columns {', '.join(_COLUMNS)} in the first line.")
    wrong = [
        f"{path}:{number}: expected an id, a probability above 0 and at most 1, and yes or no."
        for number, cells in enumerate(lines[1:], start=2)
        if len(cells) != len(_COLUMNS) or not cells[0] or not _is_share(cells[1]) or cells[2] not in _PICKED
    ]
    if wrong:
        raise LeadsError(*wrong)
    return pd.DataFrame(
        {
            "lead_id": pd.Series([cells[0].removeprefix("'") for cells in lines[1:]], dtype="string"),
            "probability": [float(cells[1]) for cells in lines[1:]],
            "picked": [_PICKED[cells[2]] for cells in lines[1:]],
        }
    )


_PICKED = {"yes": True, "no": False}


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplorationProgress:
    """How far an exploration has come; it may be looked at every day.

    Attributes
    ----------
    n_picked, n_known, n_won : int
        Leads picked, with a label, and won (accepted).
    n_unknown : int
        Leads of the file, picked or not, that are not among the leads.
    rate, ci_low, ci_high : float or None
        Win rate of the picked leads with its exact 90 % interval (for one planned look, not for stopping).
    evidence_above, evidence_below : float
        Betting evidence that the rate is above, below break-even; from 20 on it may be stopped (error .05).
    verdict : {"stop: it pays", "stop: it does not pay", "go on"}
    break_even : float
    """

    n_picked: int
    n_known: int
    n_won: int
    n_unknown: int
    rate: float | None
    ci_low: float | None
    ci_high: float | None
    evidence_above: float
    evidence_below: float
    verdict: Literal["stop: it pays", "stop: it does not pay", "go on"]
    break_even: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        return pd.DataFrame([self.to_dict()])

    def __repr__(self) -> str:
        return (
            f"{self.verdict}: {self.n_won} of {self.n_known} ({self.n_picked} picked), "
            f"break-even {format_rate(self.break_even)}"
            + (f"; {self.n_unknown:,} ids of the file are not among the leads" if self.n_unknown else "")
        )

    def _repr_html_(self) -> str:
        return str(render_card("Exploration", [repr(self)]))


def follow_exploration(
    explored: pd.DataFrame,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    target: Literal["accepted", "won"],
    break_even: float,
    error_rate: float = 0.05,
) -> ExplorationProgress:
    """Look at an exploration: stop early, on either side, or go on.

    Evidence is an e-process: it may be looked at after every lead without raising the error rate.

    Parameters
    ----------
    explored : DataFrame
        From `sample_exploration`.
    table : LeadTable
    targets : DataFrame
        From `leadml.leads.compute_targets`.
    target : {"accepted", "won"}
    break_even : float
        From the plan.
    error_rate : float, default=0.05

    Returns
    -------
    ExplorationProgress

    References
    ----------
    METHODS.md, section 1.9; Waudby-Smith and Ramdas (2023).
    """
    probability, picked, n_unknown = match_explored(explored, table)
    labels = read_labels(table, targets, target=target, rows=picked, handed_over=np.ones(len(picked), bool))
    known = np.flatnonzero(labels > 0)
    ids = table.role("id")
    order = pd.DataFrame({"t0": targets["t0"].to_numpy()[known], "id": ids.astype(str).to_numpy()[known]})  # type: ignore[union-attr]
    known = known[order.sort_values(["t0", "id"]).index.to_numpy()]
    y, chance = labels[known] == 2, probability[known]
    above = sequential_evidence(y, break_even=break_even, probability=chance)
    below = sequential_evidence(y, break_even=break_even, probability=chance, direction="below")
    highest = [float(found.max()) if len(found) else 1.0 for found in (above, below)]
    limit = 2 / error_rate  # either side may stop it
    verdict: Literal["stop: it pays", "stop: it does not pay", "go on"] = "go on"
    if max(highest) >= limit:
        verdict = "stop: it pays" if highest[0] >= highest[1] else "stop: it does not pay"
    k, n = int(y.sum()), len(y)
    low, high = clopper_pearson(k, n, confidence_level=0.9) if n else (None, None)
    return ExplorationProgress(
        n_picked=int(picked.sum()),
        n_known=n,
        n_won=k,
        n_unknown=n_unknown,
        rate=k / n if n else None,
        ci_low=None if low is None else float(low),
        ci_high=None if high is None else float(high),
        evidence_above=highest[0],
        evidence_below=highest[1],
        verdict=verdict,
        break_even=break_even,
    )

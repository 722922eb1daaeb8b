"""Between two reviews: pick leads to explore, see what came back, audit what was adopted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from leadml._files import read_bytes
from leadml.definitions import load_definition
from leadml.errors import ExperimentError
from leadml.experiment._run import read_experiment_leads, split_leads
from leadml.leads import compute_targets
from leadml.propose import (
    Goal,
    Range,
    audit_adopted,
    follow_exploration,
    parse_what_if,
    read_exploration,
    sample_exploration,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import pandas as pd

    from leadml.experiment._file import Experiment
    from leadml.propose import AdoptionAudit, ExplorationProgress

__all__ = ["audit_experiment", "follow_experiment", "read_promised", "sample_experiment"]


def sample_experiment(
    experiment: Experiment, changes: Sequence[str], *, share: float, salt: str
) -> pd.DataFrame:
    """Pick leads of a looser band at random: who is to be handed over, and with which probability.

    Parameters
    ----------
    experiment : Experiment
        The definition and the leads.
    changes : sequence of str
        The looser definition, such as ``hot.employees=20``.
    share : float
        Above 0, at most 1; the plan of `leadml propose` says which.
    salt : str
        Any text; the same salt picks the same leads again.

    Returns
    -------
    DataFrame
        See `leadml.propose.sample_exploration`.
    """
    definition = load_definition(experiment.definition)
    asked = [parse_what_if(definition, text) for text in changes]
    table = read_experiment_leads(experiment)
    return sample_exploration(definition, table, changes=asked, share=share, salt=salt)


def follow_experiment(
    experiment: Experiment, explored: Path | str, *, break_even: float
) -> ExplorationProgress:
    """Look at an exploration that runs: stop early, on either side, or go on.

    Parameters
    ----------
    experiment : Experiment
        The definition, the newest leads, the goal and the error rate.
    explored : path-like
        The file of the sample.
    break_even : float
        Rate from which the leads pay; the plan of `leadml propose` says it.

    Returns
    -------
    ExplorationProgress
    """
    if not 0 < break_even < 1:
        raise ExperimentError(f"break-even: expected a rate between 0 and 1, got {break_even!r}.")
    sample = read_exploration(explored)
    table = read_experiment_leads(experiment)
    return follow_exploration(
        sample,
        table,
        compute_targets(table),
        target="accepted" if experiment.goal.maximise == "accepted" else "won",
        break_even=break_even,
        error_rate=experiment.error_rate,
    )


def audit_experiment(
    experiment: Experiment, adopted: Path | str, *, proposals: Path | str, since: date
) -> AdoptionAudit:
    """Hold what an adopted change did on fresh leads against what its proposal promised.

    Parameters
    ----------
    experiment : Experiment
        The definition that was in force before, and the newest leads.
    adopted : path-like
        The version that was adopted.
    proposals : path-like
        ``proposals.json`` of the review, with the promised change in value.
    since : date
        First day on which the adopted version was in force.

    Returns
    -------
    AdoptionAudit
    """
    promised, _ = read_promised(proposals)
    before, after = load_definition(experiment.definition), load_definition(adopted)
    table = read_experiment_leads(experiment)
    targets = compute_targets(table)
    return audit_adopted(
        before,
        after,
        table,
        targets,
        goal=experiment.goal,
        split=split_leads(experiment, table, targets),
        promised=promised,
        since=since,
        error_rate=experiment.error_rate,
    )


def read_promised(path: Path | str) -> tuple[Range, Goal]:
    """Read the change in value that a review promised a month, and the goal that it was judged by."""
    try:
        document = json.loads(read_bytes(path, what="proposals"))
        proposals = document["proposals"]
        values = [proposals[0][name] for name in ("value_low", "value", "value_high")] if proposals else []
        per = document.get("per", "month")
        low, value, high = (float(found) for found in values)
        goal = Goal(**document.get("goal", {}))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ExperimentError(
            f"{path}: expected a proposal with its change in value. Name the proposals.json of the run or of "
            "`leadml propose --output` that proposed it."
        ) from error
    if per != "month":
        raise ExperimentError(f"{path}: expected a change in value a month, got one a {per!r}.")
    return Range(low=low, value=value, high=high), goal

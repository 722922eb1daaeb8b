"""What one run of the loop found."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leadml.errors import LeadsError
from leadml.models import UntrainedModel
from leadml.review import summarise_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from leadml.compare import DefinitionComparison, RatingComparison
    from leadml.definitions import Definition
    from leadml.experiment._file import Experiment
    from leadml.explain import Attribution
    from leadml.leads import AuditReport, LeadTable
    from leadml.models import TrainedModel
    from leadml.propose import ProposalSet
    from leadml.tracking import TrackingReport

__all__ = ["ExperimentResult"]

_MODEL_METRICS = (
    "auc",
    "auc_low",
    "auc_high",
    "log_loss",
    "log_loss_constant",
    "brier",
    "calibration_slope",
    "calibration_intercept",
    "n_train",
    "n_test",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExperimentResult:
    """One run of the loop: what was read, learned, compared and proposed.

    Attributes
    ----------
    experiment : Experiment
        The question.
    definition : Definition
        The written definition.
    table : LeadTable
        The leads as read, with their manifest and quarantine.
    audit : AuditReport
        What would make a conclusion from these leads wrong.
    models : mapping of target to TrainedModel or UntrainedModel
        One per target that the leads can say something about.
    attributions : mapping of target to Attribution
        What each model uses; not causes.
    targets : DataFrame of shape (n_leads, …)
        Acceptance, won deals and maturity of each lead (`leadml.leads.compute_targets`).
    comparison : DefinitionComparison or None
        The definition against the leads, criterion by criterion.
    proposals : ProposalSet or None
        What is proposed, promising, kept and to be explored.
    ratings : RatingComparison or None
        What both sides made of the same leads, judged blind, if the experiment names their sheets.
    files : mapping of str to Path
        What was written, by purpose; empty if nothing was.
    tracking : TrackingReport or None
        What MLflow has of the run.
    """

    experiment: Experiment
    definition: Definition
    table: LeadTable = field(repr=False)
    audit: AuditReport = field(repr=False)
    targets: pd.DataFrame = field(repr=False)
    models: Mapping[str, TrainedModel | UntrainedModel] = field(default_factory=dict, repr=False)
    attributions: Mapping[str, Attribution] = field(default_factory=dict, repr=False)
    comparison: DefinitionComparison | None = field(default=None, repr=False)
    proposals: ProposalSet | None = field(default=None, repr=False)
    ratings: RatingComparison | None = field(default=None, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict, repr=False)
    tracking: TrackingReport | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of `leadml run` and `leadml propose` (keys: see ARCHITECTURE)."""
        found: dict[str, Any] = {
            "definition": self.definition.name,
            "version": self.definition.version,
            "as_of": str(self.table.as_of),
            "rows": self.table.manifest.to_dict()["rows"],
            "models": {target: _model_json(model) for target, model in self.models.items()},
        }
        if self.comparison is not None:
            found["criteria"] = _records(self.comparison.to_frame())
            found["classes"] = _records(self.comparison.classes)
        if self.proposals is not None:
            found |= self.proposals.to_dict()
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return one row per criterion and target (`leadml.compare.DefinitionComparison.to_frame`)."""
        if self.comparison is None:
            raise LeadsError("this run stopped before the comparison; run it until 'comparison'.")
        return self.comparison.to_frame()

    def __str__(self) -> str:
        return summarise_run(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(summarise_run(self))}</pre>"


def _model_json(model: TrainedModel | UntrainedModel) -> dict[str, Any]:
    """Return a model's figures; where there is no model, the reason and no figure."""
    if isinstance(model, UntrainedModel):
        figures: dict[str, float | None] = dict.fromkeys(_MODEL_METRICS)
        figures |= {"n_train": model.n_train, "n_test": model.n_test}
        return {**figures, "verdict": model.reason}
    metrics = model.evaluation.metrics
    figures = {
        name: _plain(metrics[name]) for name in (*_MODEL_METRICS, *sorted(set(metrics) - {*_MODEL_METRICS}))
    }
    return {**figures, "candidate": model.candidate, "verdict": model.evaluation.verdict}


def _plain(value: float) -> float | None:
    """Return a number for JSON: whole numbers whole, what is not determined as null."""
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) >= 2 else float(value)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=10))
    return records

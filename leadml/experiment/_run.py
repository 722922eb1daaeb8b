"""The loop in memory, step by step: read, audit, learn, compare, propose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from leadml.compare import compare_definition, compare_ratings, read_ratings
from leadml.definitions import load_definition
from leadml.experiment._result import ExperimentResult
from leadml.explain import explain_model
from leadml.leads import AuditReport, audit_leads, compute_targets, load_contract, read_leads, split_periods
from leadml.models import TrainedModel, train_model
from leadml.propose import (
    count_in_duckdb,
    count_locally,
    find_widest_definition,
    judge_what_if,
    parse_what_if,
    propose_changes,
    propose_from_parts,
)
from leadml.scoring import leads_on_spark
from leadml.tracking import disable_autologging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from leadml.definitions import Definition
    from leadml.experiment._file import Experiment, Target
    from leadml.explain import Attribution
    from leadml.leads import LeadTable, TimeSplit
    from leadml.models import UntrainedModel
    from leadml.propose import EvidenceCounter, ProposalSet, Registration, WhatIf, WidestDefinition

__all__ = [
    "Engine",
    "Progress",
    "Stage",
    "analyse_experiment",
    "ask_experiment",
    "propose_on_spark",
    "read_experiment_leads",
    "split_leads",
    "widen_experiment",
]

Stage = Literal["models", "comparison", "proposals"]
Engine = Literal["local", "duckdb"]
_COUNTERS: Mapping[Engine, EvidenceCounter] = {"local": count_locally, "duckdb": count_in_duckdb}


class Progress(Protocol):
    """Told before each step of a run."""

    def __call__(self, step: str, done: int, total: int, /) -> None:
        """Note that `step` begins after `done` of `total`."""
        ...


@dataclass(slots=True)
class _Steps:
    """Counts the steps of a run for whoever watches."""

    total: int
    report: Progress | None
    done: int = 0

    def begin(self, name: str) -> None:
        if self.report is not None:
            self.report(name, self.done, self.total)
        self.done += 1


def analyse_experiment(
    experiment: Experiment,
    *,
    until: Stage = "proposals",
    engine: Engine = "local",
    register: Callable[[Registration], None] | None = None,
    explored: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> ExperimentResult:
    """Run the loop in memory: nothing is written, nothing leaves the process.

    Parameters
    ----------
    experiment : Experiment
        The question, the definition and the leads.
    until : {"models", "comparison", "proposals"}, default="proposals"
        How much is wanted: models; the comparison as well; the proposals as well. Proposals come first, so
        that candidates are registered before anything else reads a label of the confirmation leads.
    engine : {"local", "duckdb"}, default="local"
        Who counts the evidence of the search; the proposals are the same, byte for byte.
    register : callable, optional
        Called with the `Registration` before any confirmation label is read.
    explored : DataFrame, optional
        What came back from an exploration (`leadml.propose.read_exploration`).
    progress : callable, optional
        Called with (step, done, total) before each step.

    Returns
    -------
    ExperimentResult
        Stages that were not asked for are None.

    Raises
    ------
    DefinitionError, ContractError, LeadsError, InputMissingError
        If an input is refused; with everything that is wrong in it.
    """
    steps = _Steps(total=4 + 2 * len(experiment.targets), report=progress)
    steps.begin("reading the definition and the leads")
    definition = load_definition(experiment.definition)
    key = experiment.ratings_key
    judged = None if key is None else read_ratings(experiment.ratings, key=key)
    table = read_experiment_leads(experiment)
    targets = compute_targets(table)
    proposals = None
    if until == "proposals":
        # First of all, so that nothing else has read a confirmation label when the candidates are registered.
        steps.begin("searching and confirming changes")
        proposals = _propose(
            experiment,
            definition,
            table,
            targets,
            count=_COUNTERS[engine],
            register=register,
            explored=explored,
        )
    steps.begin("auditing the leads")
    result = ExperimentResult(
        experiment=experiment,
        definition=definition,
        table=table,
        targets=targets,
        proposals=proposals,
        audit=audit_leads(table),
    )
    with disable_autologging():
        models, attributions = _learn(experiment, definition, table, targets, steps)
    result = replace(result, models=models, attributions=attributions)
    if until == "models":
        return result
    steps.begin("holding the definition against the leads")
    trained = {target: model for target, model in models.items() if isinstance(model, TrainedModel)}
    comparison = compare_definition(definition, table, targets, models=trained)
    ratings = None if judged is None else compare_ratings(judged, definition, table)
    return replace(result, comparison=comparison, ratings=ratings)


def propose_on_spark(
    experiment: Experiment,
    *,
    register: Callable[[Registration], None] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ExperimentResult:
    """Propose changes of leads on Spark; no process holds them all.

    Parameters
    ----------
    experiment : Experiment
        The question, the definition and the leads.
    register : callable, optional
        Called with the `Registration` before any confirmation label is read.
    progress : callable, optional
        Called with (step, done, total) before each step.
    **options
        For `leadml.scoring.leads_on_spark`: `spark`, `part_bytes`.

    Returns
    -------
    ExperimentResult
        The proposals of `analyse_experiment`, byte for byte, and the counts of rows; no lead, no model, no
        comparison and no audit: those read the leads on one machine.

    Raises
    ------
    DefinitionError, ContractError, LeadsError, InputMissingError
        If an input is refused; with everything that is wrong in it.
    """
    steps = _Steps(total=2, report=progress)
    steps.begin("reading the definition and the leads")
    definition, contract = load_definition(experiment.definition), load_contract(experiment.contract)
    with leads_on_spark(contract, leads=experiment.leads, as_of=experiment.as_of, **options) as leads:
        steps.begin("searching and confirming changes")
        proposals = propose_from_parts(
            definition,
            leads,
            goal=experiment.goal,
            confirm_from=experiment.confirm_from,
            max_changes=experiment.max_changes,
            max_candidates=experiment.max_candidates,
            error_rate=experiment.error_rate,
            register=register or (lambda _registration: None),
            segments=experiment.segments,
        )
        table = leads.empty
    return ExperimentResult(
        experiment=experiment,
        definition=definition,
        table=table,
        targets=compute_targets(table),
        proposals=proposals,
        audit=AuditReport(findings=(), n_leads=table.manifest.kept, n_columns=len(table.frame.columns)),
    )


def _propose(
    experiment: Experiment,
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    count: EvidenceCounter,
    register: Callable[[Registration], None] | None,
    explored: pd.DataFrame | None,
) -> ProposalSet:
    return propose_changes(
        definition,
        table,
        targets,
        goal=experiment.goal,
        split=split_leads(experiment, table, targets),
        max_changes=experiment.max_changes,
        max_candidates=experiment.max_candidates,
        error_rate=experiment.error_rate,
        segments=experiment.segments,
        count=count,
        register=register or (lambda _registration: None),
        explored=explored,
    )


def ask_experiment(
    experiment: Experiment, changes: Sequence[str], *, explored: pd.DataFrame | None = None
) -> WhatIf:
    """Judge a change that a person brings, by the standard of a proposal.

    Parameters
    ----------
    experiment : Experiment
        The question, the definition and the leads.
    changes : sequence of str
        What is asked about, made together: ``hot.employees=80`` (`leadml.propose.parse_what_if`).
    explored : DataFrame, optional
        What came back from an exploration (`leadml.propose.read_exploration`).

    Returns
    -------
    WhatIf

    Raises
    ------
    DefinitionError, ContractError, LeadsError, InputMissingError
        If an input or a change cannot be read.
    """
    definition = load_definition(experiment.definition)
    asked = tuple(parse_what_if(definition, text) for text in changes)
    table = read_experiment_leads(experiment)
    targets = compute_targets(table)
    return judge_what_if(
        definition,
        table,
        targets,
        changes=asked,
        goal=experiment.goal,
        split=split_leads(experiment, table, targets),
        error_rate=experiment.error_rate,
        explored=explored,
    )


def widen_experiment(experiment: Experiment) -> WidestDefinition:
    """Find the definition that hands over most leads while the agreed acceptance is proven.

    Parameters
    ----------
    experiment : Experiment
        Its goal names a minimum acceptance.

    Returns
    -------
    WidestDefinition

    Raises
    ------
    DefinitionError, ContractError, ExperimentError, LeadsError, InputMissingError
        If an input is refused, or the goal names no minimum.
    """
    definition = load_definition(experiment.definition)
    table = read_experiment_leads(experiment)
    targets = compute_targets(table)
    return find_widest_definition(
        definition,
        table,
        targets,
        goal=experiment.goal,
        split=split_leads(experiment, table, targets),
        max_changes=experiment.max_changes,
        error_rate=experiment.error_rate,
        register=lambda _registration: None,
    )


def read_experiment_leads(experiment: Experiment) -> LeadTable:
    """Read the leads that an experiment names."""
    return read_leads(load_contract(experiment.contract), leads=experiment.leads, as_of=experiment.as_of)


def split_leads(experiment: Experiment, table: LeadTable, targets: pd.DataFrame) -> TimeSplit:
    """Split the leads in time for the target that the goal is judged by."""
    target: Target = "accepted" if experiment.goal.maximise == "accepted" else "won"
    return split_periods(table, targets, target=target, confirm_from=experiment.confirm_from)


def _learn(
    experiment: Experiment, definition: Definition, table: LeadTable, targets: pd.DataFrame, steps: _Steps
) -> tuple[Mapping[str, TrainedModel | UntrainedModel], Mapping[str, Attribution]]:
    models: dict[str, TrainedModel | UntrainedModel] = {}
    attributions: dict[str, Attribution] = {}
    for target in experiment.targets:
        steps.begin(f"learning what predicts {_WORDS[target]}")
        split = split_periods(table, targets, target=target, confirm_from=experiment.confirm_from)
        model = train_model(
            table,
            targets,
            target=target,
            definition=definition,
            split=split,
            random_state=experiment.random_state,
            extras=experiment.also_try,
        )
        models[target] = model
        if isinstance(model, TrainedModel):
            steps.begin(f"explaining what predicts {_WORDS[target]}")
            attributions[target] = explain_model(model, table.frame, random_state=experiment.random_state)
    return models, attributions


_WORDS: dict[Target, str] = {"accepted": "acceptance", "won": "won deals"}

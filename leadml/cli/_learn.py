"""Commands that learn from the closed loop: train, compare, propose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from leadml.cli._output import (
    AsOf,
    ContractFile,
    ContractOption,
    DefinitionFile,
    DefinitionOption,
    Json,
    Leads,
    RandomState,
    UsageError,
    as_day,
    finish,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    import pandas as pd

    from leadml.experiment import Experiment, ExperimentResult, Stage

__all__ = ["add_commands"]

Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Also write what was found into this folder.")
]
Maximise = Annotated[
    str | None,
    typer.Option(
        "--maximise",
        metavar="GOAL",
        help="net_value, accepted, won or leads (as many as --minimum-acceptance allows) "
        "[default: net_value].",
    ),
]


Engine = Literal["local", "duckdb", "spark"]
Extra = Literal["ebm"]
ExploredOption = Annotated[
    Path | None,
    typer.Option("--explored", metavar="FILE", help="Leads picked at random (`leadml explore sample`)."),
]
WhatIfOption = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        metavar="CHANGE",
        help="Judge this change instead, such as hot.employees=80; repeat it for changes made together.",
    ),
]


def _experiment(definition: Path, contract: Path, **options: Any) -> Experiment:
    from leadml.experiment import Experiment

    given = {name: value for name, value in options.items() if value is not None}
    return Experiment(question="", definition=definition, contract=contract, **given)


def _analyse(
    experiment: Experiment,
    until: Stage,
    *,
    engine: Literal["local", "duckdb"] = "local",
    explored: pd.DataFrame | None = None,
) -> ExperimentResult:
    from leadml.experiment import analyse_experiment

    with progress_bar() as report:
        return analyse_experiment(experiment, until=until, engine=engine, explored=explored, progress=report)


def train(
    contract: ContractFile,
    definition: DefinitionOption,
    output: Annotated[Path, typer.Option("--output", metavar="BUNDLE", help="Where the model bundle goes.")],
    leads: Leads = None,
    also: Annotated[
        Extra | None,
        typer.Option("--also", help="One more candidate: the explainable boosting machine (slow)."),
    ] = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Train models of acceptance and won deals.

    On the earlier leads; judged on the later ones, beside a constant and the definition itself.
    """
    from leadml.experiment import write_models

    experiment = _experiment(
        definition,
        contract,
        leads=leads,
        as_of=as_day(as_of),
        random_state=random_state,
        also_try=() if also is None else (also,),
    )
    result = _analyse(experiment, "models")
    digest = write_models(result, output)
    if json:
        print_json({**result.to_dict(), "bundle": {"path": str(output), "sha256": digest}})
    else:
        for model in result.models.values():
            print(model)
            for notice in model.notices:
                print(f"  note: {notice}")
        print(f"model bundle: {output} (sha256 {digest})")
    finish(rows=result.table.manifest)


def compare(
    definition: DefinitionFile,
    contract: ContractOption,
    leads: Leads = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Hold the definition against the leads.

    Criterion by criterion, on acceptance and on won deals, with ranges.
    """
    experiment = _experiment(
        definition, contract, leads=leads, as_of=as_day(as_of), random_state=random_state
    )
    result = _analyse(experiment, "comparison")
    if json:
        print_json(result.to_dict())
    else:
        print(result)
    finish(rows=result.table.manifest)


def propose(
    definition: DefinitionFile,
    contract: ContractOption,
    leads: Leads = None,
    maximise: Maximise = None,
    capacity: Annotated[
        float | None, typer.Option("--capacity", metavar="N", help="Leads a month that Sales can work.")
    ] = None,
    minimum_acceptance: Annotated[
        float | None, typer.Option("--minimum-acceptance", metavar="SHARE", help="Agreed share, such as 0.6.")
    ] = None,
    error_rate: Annotated[
        float | None,
        typer.Option(
            "--error-rate",
            metavar="RATE",
            min=1e-6,
            max=0.5,
            help="Chance of any false proposal [default: 0.05].",
        ),
    ] = None,
    error_rate_per_year: Annotated[
        float | None,
        typer.Option(
            "--error-rate-per-year",
            metavar="RATE",
            min=1e-6,
            max=0.5,
            help="The same for a year of reviews, shared among them.",
        ),
    ] = None,
    reviews_per_year: Annotated[
        int | None, typer.Option("--reviews-per-year", metavar="N", min=1, help="[default: 4.]")
    ] = None,
    looks: Annotated[
        int | None,
        typer.Option("--looks", metavar="N", min=1, help="Planned looks at one watched change [default: 1]."),
    ] = None,
    max_changes: Annotated[int, typer.Option("--max-changes", min=1, max=3, help="Changes at once.")] = 2,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            metavar="ATTRIBUTE",
            help="Let a threshold differ by this attribute, if the difference is confirmed; repeatable.",
        ),
    ] = None,
    confirm_from: Annotated[
        str | None,
        typer.Option("--confirm-from", metavar="DATE", help="[default: the last two matured quarters.]"),
    ] = None,
    what_if: WhatIfOption = None,
    explored: ExploredOption = None,
    engine: Annotated[
        Engine,
        typer.Option(
            "--engine",
            help="local; duckdb (extra `sql`) counts there; spark (extra `spark`) reads and counts in parts,"
            " for leads beyond one machine: proposals alone, no models.",
        ),
    ] = "local",
    output: Output = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Propose threshold changes, with evidence.

    Few and small, found on older leads and confirmed on newer ones; what is kept, and why.
    """
    from leadml.experiment import write_proposals
    from leadml.propose import Goal, read_exploration

    experiment = _experiment(
        definition,
        contract,
        leads=leads,
        as_of=as_day(as_of),
        random_state=random_state,
        goal=Goal(
            maximise=cast("Any", "accepted" if maximise == "leads" else maximise or "net_value"),
            capacity=capacity,
            minimum_acceptance=minimum_acceptance,
        ),
        error_rate=_share_error_rate(error_rate, error_rate_per_year, reviews_per_year, looks),
        max_changes=max_changes,
        segments=tuple(segment or ()),
        confirm_from=as_day(confirm_from, option="--confirm-from"),
    )
    sample = None if explored is None else read_exploration(explored)
    if maximise == "leads" and not what_if:
        _widen(experiment, output=output, json=json)
        return
    if what_if:
        _answer(experiment, what_if, explored=sample, json=json)
        return
    if engine == "spark":
        result = _propose_on_spark(experiment, explored=sample)
    else:
        result = _analyse(experiment, "proposals", engine=engine, explored=sample)
    if output is not None:
        write_proposals(result, output)
    if json:
        print_json(result.to_dict())
    else:
        print(result)
    finish(rows=result.table.manifest)


def _share_error_rate(
    rate: float | None, yearly: float | None, reviews: int | None, looks: int | None
) -> float | None:
    """Return the error rate of the review, if one is asked for: its own or its share of a year's."""
    from leadml.propose import split_error_rate

    if yearly is None:
        if reviews is not None or looks is not None:
            raise UsageError("--reviews-per-year, --looks: expected --error-rate-per-year beside them.")
        return rate
    if rate is not None:
        raise UsageError("--error-rate, --error-rate-per-year: expected one of them, got both.")
    return split_error_rate(yearly, reviews_per_year=reviews or 4, looks=looks or 1)


def _propose_on_spark(experiment: Experiment, *, explored: pd.DataFrame | None) -> ExperimentResult:
    from leadml.errors import ExperimentError
    from leadml.experiment import propose_on_spark

    if explored is not None:
        raise ExperimentError("--explored: explored leads are matched on one machine. Use --engine local.")
    with progress_bar() as report:
        return propose_on_spark(experiment, progress=report)


def _answer(experiment: Experiment, changes: list[str], *, explored: pd.DataFrame | None, json: bool) -> None:
    """Judge a change that somebody brings to the table, by the standard of a proposal."""
    from leadml.experiment import ask_experiment

    answer = ask_experiment(experiment, changes, explored=explored)
    if json:
        print_json(answer.to_dict())
    else:
        print(answer)


def _widen(experiment: Experiment, *, output: Path | None, json: bool) -> None:
    """Hand over as many leads as the agreed acceptance allows."""
    from leadml.experiment import widen_experiment, write_widest

    found = widen_experiment(experiment)
    if output is not None:
        write_widest(found, output)
    if json:
        print_json(found.to_dict())
    else:
        print("\n".join([repr(found), *found.notices]))


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    for command in (train, compare, propose):
        app.command()(command)

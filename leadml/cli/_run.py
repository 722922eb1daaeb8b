"""Commands that run the whole loop: demo, run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadml.cli._output import (
    AsOf,
    Json,
    Leads,
    RandomState,
    Ratings,
    RatingsKey,
    finish,
    load_asked,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from leadml.experiment import ExperimentResult

__all__ = ["add_commands"]


def demo(
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Where the leads and the results go.")
    ] = Path("leadml-demo"),
    n_leads: Annotated[
        int, typer.Option("--n-leads", min=200, max=1_000_000, help="Leads to generate.")
    ] = 12_000,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Run the whole loop on generated leads.

    A fictional company, seeded; no server, no network, none of your data. What is true about its leads, and
    other markets: `leadml.leads.SyntheticWorld`.
    """
    from leadml.experiment import load_experiment, run_experiment, write_demo

    with progress_bar() as report:
        report("generating leads", 0, 1)
        experiment = load_experiment(write_demo(output, n_leads=n_leads, random_state=random_state))
        result = run_experiment(experiment, output=output, progress=report)
    if json:
        print_json(result.to_dict())
        return
    print(result)
    print(_next_commands(result, output))


def run(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="The experiment file (YAML).")],
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the results go.")],
    ratings: Ratings = None,
    key: RatingsKey = None,
    leads: Leads = None,
    as_of: AsOf = None,
    random_state: Annotated[
        int | None, typer.Option("--random-state", metavar="N", min=0, help="Seed [default: the file's].")
    ] = None,
    json: Json = False,
) -> None:
    """Run one experiment file end to end.

    Definition, leads, audit, models, comparison, proposals, packet, tracking, scores.
    """
    from leadml.experiment import run_experiment

    asked = load_asked(
        experiment, leads=leads, as_of=as_of, ratings=ratings, key=key, random_state=random_state
    )
    with progress_bar() as report:
        result = run_experiment(asked, output=output, progress=report)
    if json:
        print_json(result.to_dict())
    else:
        print(result)
        print(_next_commands(result, output))
    finish(rows=result.table.manifest)


def _next_commands(result: ExperimentResult, output: Path) -> str:
    contract = result.experiment.contract
    definition = result.experiment.definition
    lines = ["", "Next:", f"  open the packet          {result.files['packet']}"]
    if result.tracking is not None:
        lines.append(f"  open the MLflow UI       mlflow ui --backend-store-uri {result.tracking.uri}")
        if result.tracking.waiting:
            lines.append(f"  (tracking: {result.tracking!r})")
    if "bundle" in result.files:
        lines.append(
            f"  score a file of your own leadml score {contract} --definition {definition} "
            f"--bundle {result.files['bundle']} --leads YOUR_EXPORT.csv --output {output / 'your-scores.csv'}"
        )
    return "\n".join(lines)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(demo)
    app.command()(run)

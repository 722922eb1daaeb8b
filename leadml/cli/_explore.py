"""Commands between two reviews: explore sample, explore read, adopted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from leadml.cli._output import (
    AsOf,
    ContractOption,
    DefinitionFile,
    Json,
    Leads,
    as_day,
    finish,
    print_json,
)

__all__ = ["add_commands"]

Goals = Annotated[
    Literal["net_value", "accepted", "won"],
    typer.Option("--maximise", metavar="GOAL", help="net_value, accepted or won."),
]
ErrorRate = Annotated[
    float, typer.Option("--error-rate", min=1e-6, max=0.5, help="Chance of a wrong answer.")
]


def sample(
    definition: DefinitionFile,
    contract: ContractOption,
    change: Annotated[
        list[str],
        typer.Option("--change", metavar="CHANGE", help="The looser criterion, such as hot.employees=20."),
    ],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Gets the ids (.csv).")],
    share: Annotated[
        float, typer.Option("--share", min=1e-6, max=1.0, help="Share of the band to hand over.")
    ] = 0.2,
    salt: Annotated[
        str, typer.Option("--salt", metavar="TEXT", help="Another text picks other leads.")
    ] = "1",
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Pick leads that a looser criterion would add, at random, for Sales to work.

    The file also keeps the leads that were not picked, and with which chance: keep it whole. Run it again on
    a newer export with the same salt: every lead gets the same answer.
    """
    from leadml.experiment import Experiment, sample_experiment
    from leadml.propose import write_exploration

    experiment = Experiment(
        question="", definition=definition, contract=contract, leads=leads, as_of=as_day(as_of)
    )
    drawn = sample_experiment(experiment, change, share=share, salt=salt)
    write_exploration(drawn, output)
    n_picked = int(drawn["picked"].sum())
    if json:
        print_json({"n_band": len(drawn), "n_picked": n_picked, "share": share, "file": str(output)})
    else:
        print(f"{n_picked:,} of {len(drawn):,} leads picked (share {share:g}): {output}")


def read(
    definition: DefinitionFile,
    explored: Annotated[Path, typer.Argument(metavar="FILE", help="From `leadml explore sample`.")],
    contract: ContractOption,
    break_even: Annotated[
        float, typer.Option("--break-even", metavar="RATE", help="From which the leads pay: in the plan.")
    ],
    maximise: Goals = "net_value",
    error_rate: ErrorRate = 0.05,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """See what came back from the leads that were picked: stop, or go on.

    It may be looked at every day without raising the chance of a wrong answer.
    `leadml propose --explored FILE` then says what follows for the definition.
    """
    from leadml.experiment import Experiment, follow_experiment
    from leadml.propose import Goal

    experiment = Experiment(
        question="",
        definition=definition,
        contract=contract,
        leads=leads,
        as_of=as_day(as_of),
        goal=Goal(maximise=maximise),
        error_rate=error_rate,
    )
    seen = follow_experiment(experiment, explored, break_even=break_even)
    if json:
        print_json(seen.to_dict())
    else:
        print(seen)


def adopted(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The definition in force before (YAML).")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The version that was adopted (YAML).")],
    contract: ContractOption,
    proposals: Annotated[
        Path, typer.Option("--proposals", metavar="FILE", help="proposals.json of the review.")
    ],
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="First day in force (YYYY-MM-DD).")],
    maximise: Goals = "net_value",
    error_rate: ErrorRate = 0.05,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Hold what an adopted change did on fresh leads against what was promised.

    Exit code 1 if the promise is broken.
    """
    from datetime import date

    from leadml.experiment import Experiment, audit_experiment
    from leadml.propose import Goal

    experiment = Experiment(
        question="",
        definition=before,
        contract=contract,
        leads=leads,
        as_of=as_day(as_of),
        goal=Goal(maximise=maximise),
        error_rate=error_rate,
    )
    day = as_day(since, option="--since") or date.min
    found = audit_experiment(experiment, after, proposals=proposals, since=day)
    if json:
        print_json(found.to_dict())
    else:
        print(found)
    finish(found=int(found.verdict == "promise broken"))


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    explore = typer.Typer(
        no_args_is_help=True, help="Hand over a few leads at random where nobody knows what becomes of them."
    )
    explore.command()(sample)
    explore.command()(read)
    app.add_typer(explore, name="explore")
    app.command()(adopted)

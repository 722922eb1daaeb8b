"""Commands for the scheduler: score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadml.cli._output import AsOf, ContractFile, Json, Leads, RandomState, as_day, finish, print_json

__all__ = ["add_commands"]


def score(
    contract: ContractFile,
    definition: Annotated[
        Path, typer.Option("--definition", metavar="DEFINITION", help="The written definition (YAML).")
    ],
    bundle: Annotated[Path, typer.Option("--bundle", metavar="BUNDLE", help="The model bundle.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where scores go (.csv or .parquet).")
    ],
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="FILE", help="Where damaged rows are listed, masked (.csv)."),
    ] = None,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
    _random_state: RandomState = 0,
) -> None:
    """Score leads in a batch: class, probabilities, reasons in the definition's words.

    The output is whole or untouched; the same input gives the same bytes.
    """
    from leadml.scoring import score_leads

    manifest = score_leads(
        contract,
        definition=definition,
        bundle=bundle,
        output=output,
        leads=leads,
        as_of=as_day(as_of),
        quarantine=quarantine,
    )
    if json:
        print_json(manifest.to_dict())
    else:
        print(manifest)
    finish(quarantined=manifest.quarantined)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(score)

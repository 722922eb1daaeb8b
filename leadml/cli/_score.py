"""Commands for the scheduler: score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from leadml.cli._output import (
    AsOf,
    ContractFile,
    Json,
    RandomState,
    as_day,
    finish,
    print_json,
    row_counter,
)

__all__ = ["add_commands"]


def score(
    contract: ContractFile,
    definition: Annotated[
        Path, typer.Option("--definition", metavar="DEFINITION", help="The written definition (YAML).")
    ],
    bundle: Annotated[Path, typer.Option("--bundle", metavar="BUNDLE", help="The model bundle.")],
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Where scores go (.csv or .parquet).")
    ],
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="FILE", help="Where damaged rows are listed, masked (.csv)."),
    ] = None,
    leads: Annotated[
        str | None,
        typer.Option("--leads", metavar="FILE", help="An export that replaces the contract's first table."),
    ] = None,
    as_of: AsOf = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="SHA256", help="The bundle's digest [default: the one beside it]."),
    ] = None,
    drift: Annotated[
        Literal["refuse", "flag"],
        typer.Option("--drift", help="Leads unlike those at training: refuse them, or score and flag them."),
    ] = "refuse",
    engine: Annotated[
        Literal["local", "spark"], typer.Option("--engine", help="local, or spark (extra `spark`).")
    ] = "local",
    crm: Annotated[
        Literal["salesforce", "hubspot", "dynamics"] | None,
        typer.Option("--crm", help="Also write OUTPUT as this CRM imports it, beside it."),
    ] = None,
    json: Json = False,
    _random_state: RandomState = 0,
) -> None:
    """Score leads in a batch.

    Class, probabilities, reasons in the definition's words.
    The output is whole or untouched; the same input gives the same bytes. FILE may also be a database
    table, as URL#TABLE. Without a terminal --json prints one line for the log.
    """
    from leadml.scoring import score_leads

    with row_counter("scoring") as progress:
        manifest = score_leads(
            contract,
            definition=definition,
            bundle=bundle,
            output=output,
            leads=leads,
            as_of=as_day(as_of),
            quarantine=quarantine,
            digest=digest,
            drift=drift,
            engine=engine,
            progress=progress,
        )
    if crm is not None:
        _write_for_crm(Path(output), crm=crm, definition=definition)
    if json:
        print_json(manifest.to_dict())
    else:
        print(manifest)
    finish(quarantined=manifest.quarantined)


def _write_for_crm(
    scores: Path, *, crm: Literal["salesforce", "hubspot", "dynamics"], definition: Path
) -> None:
    from leadml.definitions import load_definition
    from leadml.scoring import write_crm_file

    target = scores.with_name(f"{scores.stem}-{crm}.csv")
    write_crm_file(scores, crm=crm, output=target, definition=load_definition(definition))


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(score)

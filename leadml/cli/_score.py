"""Commands for the scheduler: score, monitor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from leadml.cli._output import (
    AsOf,
    ContractFile,
    DefinitionOption,
    Json,
    Leads,
    RandomState,
    as_day,
    finish,
    print_json,
    print_line,
    progress_bar,
)

__all__ = ["add_commands"]


def score(
    contract: ContractFile,
    definition: DefinitionOption,
    bundle: Annotated[Path, typer.Option("--bundle", metavar="BUNDLE", help="The model bundle.")],
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Where scores go (.csv or .parquet).")
    ],
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="FILE", help="Where damaged rows are listed, masked (.csv)."),
    ] = None,
    leads: Leads = None,
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
    table, as URL#TABLE. On a terminal a summary is printed; elsewhere, or with --json, one line of JSON.
    """
    from leadml.scoring import score_leads

    with progress_bar() as report:
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
            progress=lambda read, total: report(f"scoring, {read:,} rows", read, total),
        )
    if crm is not None:
        _write_for_crm(Path(output), crm=crm, definition=definition)
    if json or not sys.stdout.isatty():
        print_line(manifest.to_dict())
    else:
        print(manifest)
    finish(rows=manifest)


def _write_for_crm(
    scores: Path, *, crm: Literal["salesforce", "hubspot", "dynamics"], definition: Path
) -> None:
    from leadml.definitions import load_definition
    from leadml.scoring import write_crm_file

    target = scores.with_name(f"{scores.stem}-{crm}.csv")
    write_crm_file(scores, crm=crm, output=target, definition=load_definition(definition))


def monitor(
    contract: ContractFile,
    definition: Annotated[
        Path, typer.Option("--definition", metavar="DEFINITION", help="The definition in force (YAML).")
    ],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="BUNDLE", help="Its models; without, only the leads.")
    ] = None,
    promise: Annotated[
        Path | None,
        typer.Option(
            "--promise",
            metavar="FILE",
            help="promise.json of the run whose proposal was signed; its proposals.json is read beside it.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="DATE",
            help="Its first day [default: when both had signed it, else its effective_from].",
        ),
    ] = None,
    error_rate: Annotated[
        float, typer.Option("--error-rate", min=1e-6, max=0.5, help="Chance of a false alarm in a year.")
    ] = 0.05,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Also write the look as a page (.html).")
    ] = None,
    track: Annotated[
        Path | None,
        typer.Option("--track", metavar="DIR", help="Also keep the look in MLflow, from this output folder."),
    ] = None,
    leads: Leads = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Watch a definition between two reviews.

    Promise, calibration, shift of the leads and their handling, as one decision; weekly looks do not add
    false alarms. Nothing is retrained. Exit code 1 on an alarm, 3 if damaged rows were put aside.
    """
    from leadml.experiment import record_look, watch_definition
    from leadml.monitor import write_monitor_page

    report = watch_definition(
        definition,
        contract,
        leads=leads,
        bundle=bundle,
        promise=promise,
        since=as_day(since, option="--since"),
        as_of=as_day(as_of),
        error_rate=error_rate,
        random_state=random_state,
    )
    if output is not None:
        write_monitor_page(report, output)
    tracked = None if track is None else record_look(report, folder=track, definition=definition)
    if tracked is not None and (tracked.waiting or tracked.refused or tracked.lost):
        print(tracked, file=sys.stderr)
    if json:
        print_json(report.to_dict())
    else:
        print(report)
        for notice in report.notices:
            print(f"note: {notice}")
    finish(found=report.alarm, rows=report.manifest)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(score)
    app.command()(monitor)

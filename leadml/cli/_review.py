"""Commands of the quarterly review: review, sign, verify, rollback, flush."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leadml.cli._output import AsOf, Json, Leads, as_day, finish, print_json, progress_bar

if TYPE_CHECKING:
    from leadml.review import SignOff

__all__ = ["add_commands"]

Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; shown at the next review.")]
By = Annotated[str, typer.Option("--by", metavar="WHO", help="Role or name of who decides.")]


def review(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="The experiment file (YAML).")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Where the page goes (.html).")],
    leads: Leads = None,
    as_of: AsOf = None,
) -> None:
    """Write the packet for the review.

    One page that both sides read; `leadml run` writes it too. Nothing is tracked here and there is nothing
    to sign; for that use `leadml run`.
    """
    from dataclasses import replace

    from leadml.experiment import analyse_experiment, load_experiment
    from leadml.review import history_file, load_history, write_packet

    loaded = load_experiment(experiment)
    asked = replace(loaded, leads=leads or loaded.leads, as_of=as_day(as_of) or loaded.as_of)
    with progress_bar() as report:
        result = analyse_experiment(asked, progress=report)
    name = result.definition.name
    history = load_history(asked.definition.parent / history_file(name), name=name)
    write_packet(result, output, history=history)
    print(f"packet: {output}")
    finish(rows=result.table.manifest)


def sign(
    proposal: Annotated[
        Path, typer.Argument(metavar="PROPOSAL", help="proposal-1.json of a run, its packet beside it.")
    ],
    definition: Annotated[
        Path, typer.Option("--definition", metavar="DEFINITION", help="The definition in force (YAML).")
    ],
    side: Annotated[str, typer.Option("--side", metavar="SIDE", help="marketing or sales.")],
    by: By,
    decision: Annotated[
        Literal["accept", "reject", "defer"], typer.Option("--decision", help="accept, reject or defer.")
    ],
    because: Because = "",
    json: Json = False,
) -> None:
    """Sign a proposal for one side.

    When both have accepted it, the new version is written.
    A signature holds for these bytes of the proposal, the definition and the packet: any edit voids it.
    """
    from leadml.review import sign_proposal

    signed = sign_proposal(proposal, definition, side=side, by=by, decision=decision, because=because)
    _record(signed, proposal.parent)
    if json:
        print_json(signed.to_dict())
    else:
        print(signed)


def rollback(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="<name>.history.json of a definition.")],
    by: By,
    because: Because,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="[default: the version before.]")
    ] = None,
    json: Json = False,
) -> None:
    """Put an earlier definition back in force."""
    from leadml.review import rollback as roll_back

    done = roll_back(history, by=by, because=because, to=to)
    _record(done, history.parent)
    if json:
        print_json(done.to_dict())
    else:
        print(done)


def _record(signed: SignOff, folder: Path) -> None:
    """Mirror it in MLflow where a store is known: the run's own, or the one of MLFLOW_TRACKING_URI."""
    import os

    if not os.environ.get("MLFLOW_TRACKING_URI") and not (folder / "mlflow.db").exists():
        return
    from leadml.experiment import record_sign_off

    report = record_sign_off(signed, folder=folder)
    if report.waiting or report.lost:
        print(f"note: {report!r}", file=sys.stderr)


def verify(
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="<name>.history.json, the definition files beside it.")
    ],
    json: Json = False,
) -> None:
    """Check that nothing that was signed has been altered.

    Exit code 1 if something has.
    """
    from leadml.review import verify_signatures

    found = verify_signatures(history)
    if json:
        document = {"name": found.name, "version_in_force": found.version_in_force}
        print_json({**document, "entries": found.n_entries, "findings": list(found.findings)})
    else:
        print(found)
    finish(found=len(found.findings))


def flush(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The output folder of earlier runs.")],
    json: Json = False,
) -> None:
    """Send to MLflow what earlier runs could not.

    The store is the one of MLFLOW_TRACKING_URI, else the folder's own. Exit code 75 if something still waits.
    """
    from leadml.errors import InputMissingError, LockedError
    from leadml.tracking import flush_spool

    if not folder.is_dir():
        raise InputMissingError(f"{folder}: no such folder. Name the output folder of an earlier run.")
    report = flush_spool(folder)
    if json:
        counts = {"sent": report.sent, "waiting": report.waiting, "refused": report.refused}
        print_json({"uri": report.uri, **counts})
    else:
        print(report)
    if report.waiting:
        raise LockedError(f"{folder}: {report.waiting} messages still wait. Try again when the store is up.")


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    for command in (review, sign, verify, rollback, flush):
        app.command()(command)

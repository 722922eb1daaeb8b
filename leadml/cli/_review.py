"""Commands of the quarterly review: review, sign, verify, rollback, history, flush."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leadml.cli._output import (
    AsOf,
    Json,
    Leads,
    RandomState,
    Ratings,
    RatingsKey,
    UsageError,
    as_day,
    finish,
    load_asked,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadml.review import Entry, Replay, SignOff, Version

__all__ = ["add_commands"]

Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; shown at the next review.")]
By = Annotated[str, typer.Option("--by", metavar="WHO", help="Role or name of who decides.")]


def review(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="The experiment file (YAML).")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Where the page goes (.html).")],
    ratings: Ratings = None,
    key: RatingsKey = None,
    notebook: Annotated[
        bool,
        typer.Option("--notebook", help="Also write the review as an executed notebook beside the page."),
    ] = False,
    leads: Leads = None,
    as_of: AsOf = None,
) -> None:
    """Write the packet for the review.

    One page that both sides read; `leadml run` writes it too. Nothing is tracked here and there is nothing
    to sign; for that use `leadml run`. With --notebook the loop runs once more, in a notebook that can be
    looked into and run again (extra `notebook`).
    """
    from leadml.experiment import analyse_experiment, write_review_notebook
    from leadml.review import history_file, load_history, write_packet

    asked = load_asked(experiment, leads=leads, as_of=as_of, ratings=ratings, key=key)
    with progress_bar() as report:
        result = analyse_experiment(asked, progress=report)
    name = result.definition.name
    history = load_history(asked.definition.parent / history_file(name), name=name)
    write_packet(result, output, history=history)
    print(f"packet: {output}")
    if notebook:
        place = output.with_suffix(".ipynb")
        with progress_bar() as report:
            report("executing the notebook", 0, 1)
            write_review_notebook(experiment, place, leads=leads, as_of=as_day(as_of))
        print(f"notebook: {place}")
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


def history(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A definition's name, its file, or its <name>.history.json."),
    ],
    contract: Annotated[
        Path | None,
        typer.Option("--contract", metavar="CONTRACT", help="Also replay every version on these leads."),
    ] = None,
    definitions: Annotated[
        Path, typer.Option("--definitions", metavar="DIR", help="Where the definition's files lie.")
    ] = Path(),
    leads: Leads = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Show every version a definition has had.

    What it was, who signed, which proposal it came from, what was refused. With --contract each version is
    applied to the same leads, and each change of volume is split into arrivals, mix, data quality and
    definition.
    """
    from leadml.review import find_history, list_versions, load_history

    if leads is not None and contract is None:
        raise UsageError("--leads: name the contract that reads them as well, with --contract.")
    path = find_history(name, folder=definitions)
    versions = list_versions(path)
    refused = load_history(path, name=versions[-1].name).refused()
    replay = (
        None
        if contract is None
        else _replay(versions, contract, leads=leads, as_of=as_of, random_state=random_state)
    )
    if json:
        document: dict[str, object] = {
            "name": versions[-1].name,
            "versions": [version.to_dict() for version in versions],
            "refused": [entry.to_dict() for entry in refused],
        }
        print_json(document | ({} if replay is None else replay.to_dict()))
        return
    print("\n".join([versions[-1].name, *_version_lines(versions), *_refused_lines(refused)]))
    if replay is not None:
        print("\n".join(["", *replay.report()]))


def _replay(
    versions: Sequence[Version], contract: Path, *, leads: str | None, as_of: str | None, random_state: int
) -> Replay:
    from leadml.leads import compute_targets, load_contract, read_leads
    from leadml.review import replay_versions

    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    return replay_versions(versions, table, compute_targets(table), random_state=random_state)


def _version_lines(versions: Sequence[Version]) -> list[str]:
    lines = []
    for version in versions:
        until = "in force" if version.in_force else f"until {version.until_on or 'an unknown day'}"
        held = f"from {version.from_on or 'an unknown day'}, {until}"
        if version.decision == "draft":
            held = "a draft, never in force"
        elif version.decision == "written":
            held += ", not signed"
        lines.append(f"  {version.version}  {held}")
        if version.decision == "rolled back":
            lines.append(f"      rolled back to: {version.because}")
        if version.sentence:
            lines.append(f"      {version.sentence}")
        lines += [f"      signed for {e.side} by {e.by} on {e.at[:10]}" for e in version.signatures]
        if version.subject:
            tag = f"tags.`proposal.subject` = '{version.subject}'"
            lines.append(f"      proposed by the MLflow run with {tag}")
        if version.definition is None:
            lines.append("      its file is missing or altered; restore it from git")
    return lines


def _refused_lines(refused: Sequence[Entry]) -> list[str]:
    lines = [
        f"  {entry.sentence}: {entry.side} ({entry.by}) decided to {entry.decision} on {entry.at[:10]}: "
        f"{entry.because}"
        for entry in refused
    ]
    return ["refused or put off:", *lines] if lines else []


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
    for command in (review, sign, verify, rollback, history, flush):
        app.command()(command)

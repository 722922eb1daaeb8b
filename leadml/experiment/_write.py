"""A run with its results on disk and in MLflow."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leadml._files import read_bytes, write_text
from leadml.definitions import load_definition, parse_definition
from leadml.errors import LeadsError
from leadml.experiment._run import analyse_experiment
from leadml.leads import write_quarantine
from leadml.models import TrainedModel, write_bundle
from leadml.monitor import make_promise
from leadml.review import (
    build_packet,
    history_file,
    load_dossier,
    load_history,
    summarise_run,
    write_dossiers,
)
from leadml.scoring import score_leads
from leadml.tracking import (
    Artifact,
    challenger_items,
    close_tracking,
    comparison_items,
    data_items,
    definition_items,
    find_git_commit,
    log_items,
    model_items,
    note_items,
    open_tracking,
    packet_items,
    params_item,
    proposal_items,
    registration_items,
    score_items,
    scorer_items,
    sign_off_items,
    tag_items,
    tracked_run,
    version_items,
    wait_until_stored,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leadml.definitions import Definition
    from leadml.experiment._file import Experiment
    from leadml.experiment._result import ExperimentResult
    from leadml.experiment._run import Progress
    from leadml.propose import Registration, WidestDefinition
    from leadml.review import Dossier, History, SignOff
    from leadml.tracking import Item, Tracking, TrackingReport

__all__ = ["record_sign_off", "run_experiment", "write_models", "write_proposals", "write_widest"]

BUNDLE = "model.leadml-bundle"


def run_experiment(
    experiment: Experiment, *, output: Path | str, progress: Progress | None = None
) -> ExperimentResult:
    """Run the loop end to end: read, audit, learn, compare, propose, write, track, score.

    Written into `output`: ``packet.html`` (the page for the review), ``result.json``, ``proposals.json`` and
    ``.md``, ``registration.json`` (what was registered before confirmation), each proposed definition,
    ``model.leadml-bundle`` with its digest, ``scores.csv``, ``quarantine.csv``, and, unless
    ``MLFLOW_TRACKING_URI`` names another store, ``mlflow.db``. Tracking that is down costs at most its
    patience, never a result: what was not sent waits in ``tracking-spool``.

    Parameters
    ----------
    experiment : Experiment
        From `load_experiment`.
    output : path-like
        Folder for the results; files of an earlier run are replaced one by one, each whole.
    progress : callable, optional
        Called with (step, done, total) before each step.

    Returns
    -------
    ExperimentResult
        With `files` and `tracking` filled.

    Raises
    ------
    DefinitionError, ContractError, LeadsError, InputMissingError
        If an input is refused; nothing is written then.
    OutputError
        If a result cannot be written.
    """
    folder = Path(output)
    definition = load_definition(experiment.definition)
    tracking = open_tracking(experiment_name=_experiment_name(definition.name), folder=folder)
    try:
        with tracked_run(
            tracking, _first_items(experiment), name=_run_name(experiment, definition), kind="experiment"
        ) as run:
            result = _run(experiment, folder, tracking=tracking, run=run, progress=progress)
    finally:
        report = close_tracking(tracking)
    return replace(result, tracking=report)


def _run(
    experiment: Experiment, folder: Path, *, tracking: Tracking, run: str, progress: Progress | None
) -> ExperimentResult:
    def register(registration: Registration) -> None:
        items = registration_items(registration.to_dict())
        _write_artifacts(items, folder)
        with tracked_run(tracking, items, name="registration", kind="registration", parent=run):
            pass
        wait_until_stored(tracking)

    result = analyse_experiment(experiment, register=register, progress=progress)
    if progress is not None:
        progress("writing the packet, the bundle and the scores", 1, 1)
    files = _write_results(result, folder)
    _track(result, tracking=tracking, run=run, files=files)
    if "scores" in files:
        with tracked_run(
            tracking, score_items(_score(result, files)), name="scores", kind="score", parent=run
        ):
            pass
    return replace(result, files=files)


def _write_results(result: ExperimentResult, folder: Path) -> dict[str, Path]:
    files = {"packet": folder / "packet.html", "result": folder / "result.json"}
    files |= write_proposals(result, folder)
    write_text(files["packet"], build_packet(result, history=_history(result)))
    write_text(
        files["result"], json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
    for number, path in enumerate(write_dossiers(result, folder, packet=files["packet"]), 1):
        files[f"proposal-{number}"] = path
    files["quarantine"] = folder / "quarantine.csv"
    write_quarantine(result.table.quarantine, files["quarantine"])
    files["bundle"] = folder / BUNDLE
    write_models(result, files["bundle"])
    files["scores"] = folder / "scores.csv"
    return files


def _history(result: ExperimentResult) -> History:
    """Return what was signed before, beside the definition; empty at the first review."""
    name = result.definition.name
    return load_history(result.experiment.definition.parent / history_file(name), name=name)


def record_sign_off(signed: SignOff, *, folder: Path | str, uri: str | None = None) -> TrackingReport:
    """Mirror a sign-off or a roll-back in MLflow: signatures as tags, ``champion`` where it belongs now.

    The history file is the authority; MLflow mirrors it. ``champion`` moves only with a version that is in
    force, and the version that it leaves is kept as ``previous``.

    Parameters
    ----------
    signed : SignOff
        From `leadml.review.sign_proposal` or `leadml.review.rollback`.
    folder : path-like
        The output folder of the run, whose store is used unless the environment names another.
    uri : str, optional
        The store, as in `leadml.tracking.open_tracking`.

    Returns
    -------
    TrackingReport
    """
    tracking = open_tracking(uri, experiment_name=_experiment_name(signed.name), folder=folder)
    tags = signed.to_tags()
    items: list[Item] = list(tag_items({"status": signed.status, "version": signed.version, **tags}))
    if signed.definition is not None:
        items += sign_off_items(load_definition(signed.definition), tags=tags, sentences=_decisions(signed))
    with tracked_run(tracking, items, name=f"{signed.status} {signed.version}", kind="review"):
        pass
    return close_tracking(tracking)


def _decisions(signed: SignOff) -> list[str]:
    if signed.status == "rolled back":
        return ["put back in force by a roll-back"]
    sentences = dict.fromkeys(entry.sentence for entry in signed.signatures if entry.sentence)
    decisions = [
        f"{entry.side}: {entry.by} decided to {entry.decision} on {entry.at[:10]}"
        + (f" ({entry.because})" if entry.because else "")
        for entry in signed.signatures
    ]
    return [*sentences, *decisions]


def write_models(result: ExperimentResult, path: Path | str) -> str:
    """Write the models of a run as one bundle and return its SHA-256.

    Parameters
    ----------
    result : ExperimentResult
        Any stage.
    path : path-like
        The bundle; the digest goes beside it.
    """
    return write_bundle(
        result.models,
        path,
        definition=result.definition,
        contract=result.table.contract,
        random_state=result.experiment.random_state,
    )


def write_proposals(result: ExperimentResult, folder: Path | str) -> dict[str, Path]:
    """Write what is proposed and what is not, and each proposed definition as a file of its own.

    Parameters
    ----------
    result : ExperimentResult
        A run that reached its proposals.
    folder : path-like
        ``proposals.json``, ``proposals.md``, ``<name>-<version>.yaml`` and ``promise.json`` (what the
        monitor will hold the proposal to; not of leads on Spark) go here.

    Returns
    -------
    dict of str to Path
        What was written.

    Raises
    ------
    LeadsError
        If the run stopped before its proposals.
    OutputError
        If a file cannot be written.
    """
    if result.proposals is None:
        raise LeadsError("this run stopped before its proposals; run it until 'proposals'.")
    place = Path(folder)
    files = _write_artifacts(proposal_items(result.proposals.to_dict()), place)
    for proposal in result.proposals.proposals:
        if proposal.revised is not None:
            if len(result.table):  # on Spark there is no lead here to make a promise from
                promise = make_promise(proposal, result.table, result.targets)
                files["promise"] = place / "promise.json"
                write_text(files["promise"], json.dumps(promise.to_dict(), indent=2) + "\n")
            files["definition"] = _write_definition(proposal.revised, place)
    return files


def write_widest(found: WidestDefinition, folder: Path | str) -> dict[str, Path]:
    """Write how far a definition may be opened, and the definition that is proven, if it is another.

    Parameters
    ----------
    found : WidestDefinition
    folder : path-like
        ``widest.json`` and ``<name>-<version>.yaml`` go here.

    Returns
    -------
    dict of str to Path
        What was written.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    place = Path(folder)
    files = {"widest": place / "widest.json"}
    write_text(files["widest"], json.dumps(found.to_dict(), indent=2) + "\n")
    if found.changes and found.revised is not None:
        files["definition"] = _write_definition(found.revised, place)
    return files


def _write_definition(definition: Definition, folder: Path) -> Path:
    path = folder / f"{_file_name(definition.name)}-{_file_name(definition.version)}.yaml"
    write_text(path, definition.text)
    return path


def _write_artifacts(items: Iterable[Item], folder: Path) -> dict[str, Path]:
    files = {}
    for item in items:
        if isinstance(item, Artifact) and isinstance(item.content, str):
            files[item.name] = folder / item.name
            write_text(folder / item.name, item.content)
    return files


def _track(result: ExperimentResult, *, tracking: Tracking, run: str, files: Mapping[str, Path]) -> None:
    table, proposals = result.table, result.proposals
    log_items(tracking, data_items(table.manifest, as_of=table.as_of), run=run)
    for target, model in result.models.items():
        name = f"model {target}"
        items = (
            model_items(model) if isinstance(model, TrainedModel) else tag_items({"verdict": model.reason})
        )
        with tracked_run(tracking, items, name=name, kind="model", parent=run):
            pass
    with tracked_run(
        tracking, definition_items(result.definition), name="definition", kind="definition", parent=run
    ):
        pass
    if result.comparison is not None:
        log_items(tracking, comparison_items(result.comparison), run=run)
    if proposals is not None:
        said = list(proposal_items(proposals.to_dict()))
        if "proposal-1" in files:
            said += _challenger(result, load_dossier(files["proposal-1"]))
        with tracked_run(tracking, said, name="proposal", kind="proposal", parent=run):
            pass
    page = files["packet"].read_text("utf-8")
    log_items(tracking, (*packet_items(page), *note_items(_headline(files), summarise_run(result))), run=run)
    scorer = scorer_items(
        read_bytes(files["bundle"], what="bundle"), definition=result.definition, contract=table.contract
    )
    with tracked_run(tracking, scorer, name="scorer", kind="model", parent=run):
        pass


def _headline(files: Mapping[str, Path]) -> str:
    if "proposal-1" not in files:
        return "No change is proposed: keep the definition as it is written."
    return f"Proposed: {load_dossier(files['proposal-1']).sentence}."


def _challenger(result: ExperimentResult, dossier: Dossier) -> tuple[Item, ...]:
    """Return the first proposal as the challenger, under the digest that both sides sign."""
    changed = parse_definition(
        dossier.proposed_text, source=f"{dossier.name}-{dossier.proposed_version}.yaml"
    )
    return challenger_items(
        changed, written=result.definition, sentence=dossier.sentence, subject=dossier.subject
    )


def _score(result: ExperimentResult, files: dict[str, Path]) -> dict[str, object]:
    experiment = result.experiment
    manifest = score_leads(
        experiment.contract,
        definition=experiment.definition,
        bundle=files["bundle"],
        output=files["scores"],
        leads=experiment.leads,
        as_of=experiment.as_of,
    )
    return manifest.to_dict()


def _first_items(experiment: Experiment) -> tuple[Item, ...]:
    goal = experiment.goal.to_dict()
    asked = {
        "question": experiment.question,
        "targets": ", ".join(experiment.targets),
        **{f"goal.{name}": value for name, value in goal.items()},
        "max_changes": experiment.max_changes,
        "max_candidates": experiment.max_candidates,
        "error_rate": experiment.error_rate,
        "segments": ", ".join(experiment.segments),
        "confirm_from": experiment.confirm_from,
        "also_try": ", ".join(experiment.also_try),
    }
    items: list[Item] = [params_item(asked)]
    items += version_items(random_state=experiment.random_state, git_commit=find_git_commit(Path.cwd()))
    source = Path(experiment.source)
    if source.is_file():
        items.append(
            Artifact(name="experiment.yaml", content=read_bytes(source, what="experiment").decode("utf-8"))
        )
    return tuple(items)


def _experiment_name(name: str) -> str:
    """Return the one MLflow experiment in which runs, sign-offs and looks of a definition lie."""
    return f"leadml/{_file_name(name)}"


def _run_name(experiment: Experiment, definition: Definition) -> str:
    stem = _file_name(Path(experiment.source).stem) or "experiment"
    return f"{definition.name} {definition.version}, {stem}"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")

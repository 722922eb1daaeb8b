"""The one door to MLflow: sends the messages of a spool with an explicit client.

It runs in a process of its own (``python -m leadml.tracking._sender SPOOL``, the store's address in
``MLFLOW_TRACKING_URI``), told what to do by lines on its standard input. A store that hangs can therefore be
left behind at any moment, an active run or autolog of the user's process cannot reach it, and the process
that trains models never imports MLflow.

Exactly once: a run, or a version of a registered model, carries the key of its message as a tag and is looked
for before it is made. If an attempt to make one ended in doubt (a time-out that the server may still act
on), the key is looked up again during later sendings and what was made twice is deleted.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml._files import locked_file
from leadml.errors import LockedError, OutputError
from leadml.tracking._items import (
    Alias,
    Artifact,
    Metric,
    Params,
    RegisteredDefinition,
    RegisteredScorer,
    Tag,
)
from leadml.tracking._model import save_model
from leadml.tracking._spool import Message, destination_of, list_messages, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Telemetry is read when mlflow is imported; a lock file of the user's project is none of MLflow's business.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
}
RegisteredModel = RegisteredDefinition | RegisteredScorer
_ABOUT = {
    "definition": (
        "A lead definition: which leads Marketing hands to Sales. One version here is one version of the "
        "written file. **champion** is in force, **challenger** is proposed, **previous** is what "
        "`leadml rollback` returns to. The history file beside the definition is the authority; this is its "
        "mirror."
    ),
    "scorer": "A lead definition with its models: leads in; class, probabilities and reasons out.",
}

__all__ = ["Drained", "Store", "disable_autologging", "drain_spool", "main"]

RUN_KEY = "leadml.run"
VERSION_KEY = "leadml.sha256"
DOUBT_SECONDS = 900
COOL_DOWN_SECONDS = 5.0
STORE_LOCK_SECONDS = 120
_REFUSALS = frozenset({"INVALID_PARAMETER_VALUE"})


@contextmanager
def disable_autologging() -> Iterator[None]:
    """Keep MLflow's autolog out of the block, even if the user has switched it on.

    Autolog would store the training rows' column values, the model as a pickle and whatever else its
    version logs. If MLflow was never imported in this process, there is nothing to switch off and nothing
    is imported. Blocks may be nested.
    """
    if "mlflow" not in sys.modules:
        yield
        return
    from mlflow.utils import autologging_utils

    if autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED:  # noqa: SLF001 - MLflow's own switch does not nest
        yield
        return
    with autologging_utils.disable_autologging():
        yield


@dataclass(slots=True)
class Drained:
    """What came of one sending.

    Parameters
    ----------
    sent : int
        Messages that the store has now.
    left : int
        Messages for this store that still wait.
    refused : int
        Messages that the store will never take; they lie in the spool's folder ``refused``.
    reason : str or None
        Why messages are left, without their content.
    runs : dict
        Key of a run to its run id.
    experiment_id : str or None
        Where the last message went.
    notices : list of str
        What the user should know about the store.
    """

    sent: int = 0
    left: int = 0
    refused: int = 0
    reason: str | None = None
    runs: dict[str, str] = field(default_factory=dict)
    experiment_id: str | None = None
    notices: list[str] = field(default_factory=list)


def drain_spool(spool: Path, *, uri: str, store: Store | None = None) -> Drained:
    """Send the messages that wait for this store, oldest first, and stop at the first that cannot be sent.

    Parameters
    ----------
    spool : Path
        Folder of messages.
    uri : str
        The store's address.
    store : Store, optional
        The connection of an earlier call.

    Returns
    -------
    Drained
        Counts, and the reason if something is left.
    """
    result = Drained()
    try:
        with locked_file(spool / ".lock", wait=1.0):
            _drain(spool, store or Store(uri=uri, spool=spool), result)
    except (LockedError, OutputError) as error:
        result.reason = "another job is sending" if isinstance(error, LockedError) else "spool not writable"
    result.left = len(list_messages(spool, destination_of(uri)))
    return result


def _drain(spool: Path, store: Store, result: Drained) -> None:
    try:
        _with_retry(store.connect, attempts=store.attempts)
        store.settle_doubts()
        for path in list_messages(spool, destination_of(store.uri)):
            _send_file(path, store, result)
    except Exception as error:  # noqa: BLE001 - the edge of the batch: whatever fails stays in the spool
        result.reason = _describe(error)
    result.runs.update(store.runs)
    result.notices.extend(store.notices)


def _send_file(path: Path, store: Store, result: Drained) -> None:
    try:
        message = read_message(path)
        result.experiment_id = _with_retry(partial(store.send, message), attempts=store.attempts)
    except Exception as error:
        if not _is_refused(error):
            raise
        folder = path.parent / "refused"
        folder.mkdir(exist_ok=True)
        path.replace(folder / path.name)
        result.refused += 1
    else:
        path.unlink()
        result.sent += 1


def _with_retry(action: Callable[[], Any], *, attempts: int) -> Any:
    for _ in range(attempts - 1):
        try:
            return action()
        except Exception as error:
            if _is_refused(error) or isinstance(error, ImportError):
                raise
            time.sleep(1.0)
    return action()


def _is_refused(error: Exception) -> bool:
    code = getattr(error, "error_code", None)
    return code in _REFUSALS or (isinstance(error, (ValueError, KeyError, TypeError)) and code is None)


def _describe(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"MLflow cannot be imported ({type(error).__name__})"
    return f"the store cannot be reached or is busy ({type(error).__name__})"


@dataclass(slots=True)
class Store:
    """A connection to one tracking store.

    Parameters
    ----------
    uri : str
        The store's address.
    spool : Path
        Where doubts about unconfirmed attempts are noted.
    """

    uri: str
    spool: Path
    client: Any = None
    runs: dict[str, str] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @property
    def attempts(self) -> int:
        """Say how often to try: a server once more, a SQLite file that others are writing for longer."""
        return 2 if sqlite_path(self.uri) is None else 8

    def connect(self) -> None:
        """Make the client; a new SQLite store is created by one process while the others wait."""
        if self.client is not None:
            return
        os.environ.update(QUIET)
        from mlflow import MlflowClient

        path = sqlite_path(self.uri)
        if path is None:
            client = MlflowClient(self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked_file(path.with_name(f".{path.name}.lock"), wait=STORE_LOCK_SECONDS):
                before = _schema_revision(path)
                client = MlflowClient(self.uri, registry_uri=self.uri)
                client.search_experiments(max_results=1)
                if before is not None and before != _schema_revision(path):
                    self.notices.append(
                        f"{path.name}: written by an older MLflow and upgraded by this one; "
                        "the older one cannot open it any more."
                    )
        self.client = client

    def send(self, message: Message) -> str:
        """Send one message and return the id of its experiment. Sending it again changes nothing."""
        experiment = self._experiment(message.experiment, message.artifacts)
        run = self._run(experiment, message)
        self._log_batch(run, message)
        self._log_artifacts(run, [item for item in message.items if isinstance(item, Artifact)])
        for item in message.items:
            if isinstance(item, (RegisteredDefinition, RegisteredScorer)):
                self._register(run, item)
            elif isinstance(item, Alias):
                self._move_alias(item)
        if message.status != "started":
            status = "FINISHED" if message.status == "completed" else "FAILED"
            self.client.set_terminated(run, status, end_time=message.at_ms)
        return experiment

    def settle_doubts(self) -> None:
        """Look again for what was made twice because an attempt ended in doubt."""
        for path in self._doubts().glob("*.json"):
            note = json.loads(path.read_text(encoding="utf-8"))
            if time.time() - path.stat().st_mtime > DOUBT_SECONDS:
                path.unlink()
            elif note["kept"] is not None and note["what"] == "run":
                self._drop_runs(note["experiment"], note["key"], kept=note["kept"])
            elif note["kept"] is not None:
                self._drop_versions(note["name"], note["key"], kept=note["kept"])

    # -- experiments and runs ----------------------------------------------------------------------------

    def _experiment(self, name: str, artifacts: str | None) -> str:
        from mlflow.exceptions import MlflowException

        if name not in self.experiments:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                try:
                    self.experiments[name] = self.client.create_experiment(name, artifact_location=artifacts)
                except MlflowException as error:  # another process was faster
                    found = self.client.get_experiment_by_name(name)
                    if found is None:
                        raise error from None
            if found is not None:
                if found.lifecycle_stage != "active":
                    self.client.restore_experiment(found.experiment_id)
                self.experiments[name] = found.experiment_id
        return self.experiments[name]

    def _run(self, experiment: str, message: Message) -> str:
        if message.run not in self.runs:
            self.runs[message.run] = self._once(
                {"what": "run", "experiment": experiment, "key": message.run},
                find=lambda: self._find_runs(experiment, message.run),
                create=lambda: self._create_run(experiment, message),
                drop=lambda kept: self._drop_runs(experiment, message.run, kept=kept),
            )
        return self.runs[message.run]

    def _find_runs(self, experiment: str, key: str) -> list[str]:
        found = self.client.search_runs([experiment], f"tags.`{RUN_KEY}` = '{key}'", max_results=50)
        return sorted(run.info.run_id for run in found)

    def _create_run(self, experiment: str, message: Message) -> str:
        tags = {RUN_KEY: message.run, "kind": message.kind, "status": "started"}
        if message.parent is not None:
            parents = [self.runs[message.parent]] if message.parent in self.runs else None
            for parent in parents or self._find_runs(experiment, message.parent)[:1]:
                tags["mlflow.parentRunId"] = parent
        run = self.client.create_run(experiment, start_time=message.at_ms, tags=tags, run_name=message.name)
        return str(run.info.run_id)

    def _drop_runs(self, experiment: str, key: str, *, kept: str) -> None:
        for run in self._find_runs(experiment, key):
            if run != kept:
                self.client.delete_run(run)

    def _log_batch(self, run: str, message: Message) -> None:
        from mlflow import entities

        pairs = [pair for item in message.items if isinstance(item, Params) for pair in item.values]
        params = [entities.Param(name, value) for name, value in dict(pairs).items()]
        metrics = [
            entities.Metric(item.name, item.value, message.at_ms, 0)
            for item in message.items
            if isinstance(item, Metric)
        ]
        tags = [entities.RunTag(item.name, item.value) for item in message.items if isinstance(item, Tag)]
        tags.append(entities.RunTag("status", message.status))
        while params or metrics or tags:  # a batch holds at most 100 parameters, 100 tags, 1,000 of all
            self.client.log_batch(run, metrics=metrics[:800], params=params[:100], tags=tags[:100])
            metrics, params, tags = metrics[800:], params[100:], tags[100:]

    def _log_artifacts(self, run: str, artifacts: Sequence[Artifact]) -> None:
        if not artifacts:
            return
        with tempfile.TemporaryDirectory() as folder:
            for artifact in artifacts:
                path = Path(folder, artifact.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                content = artifact.content
                path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
            self.client.log_artifacts(run, folder)

    # -- registered definitions --------------------------------------------------------------------------

    def _register(self, run: str, item: RegisteredModel) -> None:
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(item.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            model = self.client.create_registered_model(
                item.name, tags={"leadml": _kind(item)}, description=_ABOUT[_kind(item)]
            )
        version = self._once(
            {"what": "version", "name": item.name, "key": item.sha256},
            find=lambda: self._find_versions(item.name, item.sha256),
            create=lambda: self._create_version(run, item),
            drop=lambda kept: self._drop_versions(item.name, item.sha256, kept=kept),
        )
        for name, value in item.tags:
            self.client.set_model_version_tag(item.name, version, name, value)
        if item.alias is not None and not (item.keep_alias and item.alias in model.aliases):
            self.client.set_registered_model_alias(item.name, item.alias, version)

    def _find_versions(self, name: str, sha256: str) -> list[str]:
        found = self.client.search_model_versions(
            f"name = '{name}' and tags.`{VERSION_KEY}` = '{sha256}'", max_results=100
        )
        return sorted((str(version.version) for version in found), key=int)

    def _create_version(self, run: str, item: RegisteredModel) -> str:
        with tempfile.TemporaryDirectory() as folder:
            save_model(item, Path(folder, "model"))
            self.client.log_artifacts(run, str(Path(folder, "model")), artifact_path=_kind(item))
        source = f"{self.client.get_run(run).info.artifact_uri}/{_kind(item)}"
        tags = {VERSION_KEY: item.sha256, "definition.version": item.version}
        words = item.description or f"{item.name} {item.version}"
        made = self.client.create_model_version(item.name, source, run_id=run, tags=tags, description=words)
        return str(made.version)

    def _drop_versions(self, name: str, sha256: str, *, kept: str) -> None:
        for version in self._find_versions(name, sha256):
            if version != kept:
                self.client.delete_model_version(name, version)

    def _move_alias(self, item: Alias) -> None:
        versions = self._find_versions(item.name, item.sha256)
        if not versions:
            raise ValueError(f"registered model {item.name!r}: no version has this text.")
        aliases = self.client.get_registered_model(item.name).aliases
        before = aliases.get(item.alias)
        if item.dropped is not None and str(aliases.get(item.dropped)) == versions[0]:
            self.client.delete_registered_model_alias(item.name, item.dropped)
        for name, value in item.tags:
            self.client.set_model_version_tag(item.name, versions[0], name, value)
        if item.description:
            self.client.update_model_version(item.name, versions[0], description=item.description)
        if before is not None and str(before) == versions[0]:
            return
        if before is not None and item.previous is not None:
            self.client.set_registered_model_alias(item.name, item.previous, str(before))
        self.client.set_registered_model_alias(item.name, item.alias, versions[0])

    # -- exactly once ------------------------------------------------------------------------------------

    def _doubts(self) -> Path:
        folder = self.spool / "doubts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _once(
        self,
        note: dict[str, str],
        *,
        find: Callable[[], list[str]],
        create: Callable[[], str],
        drop: Callable[[str], None],
    ) -> str:
        path = self._doubts() / f"{destination_of(json.dumps(note, sort_keys=True))}.json"
        doubtful = path.exists()
        found = find()
        if found:
            kept = found[0]
        else:
            path.write_text(json.dumps({**note, "kept": None}), encoding="utf-8")
            kept = create()
        if doubtful:
            path.write_text(json.dumps({**note, "kept": kept}), encoding="utf-8")
            drop(kept)
        else:
            path.unlink(missing_ok=True)
        return kept


def _kind(item: RegisteredModel) -> str:
    return "definition" if isinstance(item, RegisteredDefinition) else "scorer"


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address, None for any other store."""
    match = re.match(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)", uri)
    return Path(match["path"]) if match else None


def _schema_revision(path: Path) -> str | None:
    import sqlite3

    if not path.exists():
        return None
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(path, timeout=30)
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        finally:
            connection.close()
        return None if row is None else str(row[0])
    return None


def main() -> None:
    """Send the spool for every line on standard input, and answer each with one line of JSON.

    The line ``now`` always tries; after a failure the line ``soon`` is answered without trying for a while.
    """
    spool, uri = Path(sys.argv[1]), os.environ["MLFLOW_TRACKING_URI"]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # MLflow prints to standard output
    store = Store(uri=uri, spool=spool)
    failed_at, drained = -COOL_DOWN_SECONDS, Drained()
    for line in sys.stdin:
        if line.strip() == "now" or time.monotonic() - failed_at >= COOL_DOWN_SECONDS:
            drained = drain_spool(spool, uri=uri, store=store)
            store.notices.clear()
            failed_at = time.monotonic() if drained.reason else -COOL_DOWN_SECONDS
        else:
            drained = Drained(reason=drained.reason, left=drained.left)
        print(json.dumps(asdict(drained)), file=answers, flush=True)


if __name__ == "__main__":
    main()

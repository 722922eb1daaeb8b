"""Tracking as the rest of leadml sees it: open, say what happened, close. It never fails nor waits long."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from leadml.errors import OutputError
from leadml.tracking._sender import QUIET, Drained, sqlite_path
from leadml.tracking._spool import Message, RunStatus, destination_of, list_messages, write_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from leadml.tracking._items import Item

__all__ = [
    "RunKind",
    "Tracking",
    "TrackingReport",
    "close_tracking",
    "end_run",
    "find_git_commit",
    "flush_spool",
    "log_items",
    "open_tracking",
    "start_run",
    "tracked_run",
    "wait_until_stored",
]

RunKind = Literal[
    "experiment", "model", "definition", "proposal", "registration", "review", "score", "monitor", "study"
]
PATIENCE_SECONDS = 12.0
PATIENCE_SECONDS_LOCAL = 120.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracking:
    """Where a job's tracking goes.

    Parameters
    ----------
    uri : str
        The store, with a password masked.
    experiment_name : str
        MLflow experiment.
    spool : Path
        Folder where messages wait until the store has them.
    """

    uri: str
    experiment_name: str
    spool: Path
    artifacts: str | None = field(repr=False)
    destination: str = field(repr=False)
    sender: _Sender = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackingReport:
    """What the store has after a job.

    Parameters
    ----------
    uri : str
        The store, with a password masked.
    sent, waiting, refused, lost : int
        Messages that the store confirmed; that wait in the spool for `flush_spool`; that the store will
        never take; that could not even be spooled.
    reason : str or None
        Why messages wait.
    run_ids : dict
        Key of a run to MLflow's run id.
    experiment_id : str or None
        MLflow's id of the experiment.
    seconds : float
        How long the job waited for tracking.
    notices : tuple of str
        What the user should know about the store.
    """

    uri: str
    sent: int
    waiting: int
    refused: int
    lost: int
    reason: str | None
    run_ids: dict[str, str] = field(repr=False)
    experiment_id: str | None
    seconds: float
    notices: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per run that the store has: run, run_id."""
        import pandas as pd

        return pd.DataFrame({"run": list(self.run_ids), "run_id": list(self.run_ids.values())}, dtype="str")

    def __repr__(self) -> str:
        lines = [f"Tracked in {self.uri}: {self.sent} messages sent, {self.waiting} waiting"]
        if self.reason is not None and self.waiting:
            lines.append(f"Waiting because {self.reason}; they are sent with the next job or by flush_spool.")
        if self.refused or self.lost:
            lines.append(f"{self.refused} refused by the store, {self.lost} lost (spool not writable)")
        return "\n".join([*lines, *self.notices[:5]])

    def _repr_html_(self) -> str:
        import html

        return "<p>" + "<br>".join(html.escape(line) for line in repr(self).splitlines()) + "</p>"


def open_tracking(
    uri: str | None = None,
    *,
    experiment_name: str = "leadml",
    folder: Path | str,
    patience: float | None = None,
) -> Tracking:
    """Open a tracking store without waiting for it.

    Messages are written to ``<folder>/tracking-spool`` and sent by a process of their own while the job goes
    on; what an earlier job left in the spool is sent first.

    Parameters
    ----------
    uri : str, optional
        The store. Default: the environment's ``MLFLOW_TRACKING_URI``, else SQLite in `folder`
        (``sqlite:///<folder>/mlflow.db``, artifacts in ``<folder>/mlartifacts``).
    experiment_name : str
        MLflow experiment, made if it is not there.
    folder : path-like
        The job's output folder.
    patience : float, optional
        Seconds that the job may wait for the store in all: 12 for a server, 120 for local SQLite, whose
        first use creates the store.

    Returns
    -------
    Tracking
        To be closed by `close_tracking`.
    """
    place = Path(folder).absolute()
    address = _address(uri, place)
    local = sqlite_path(address)
    spool = place / "tracking-spool"
    with suppress(OSError):
        spool.mkdir(parents=True, exist_ok=True)
    artifacts = None if re.match(r"https?:|databricks", address) else (place / "mlartifacts").as_uri()
    if patience is None:
        patience = PATIENCE_SECONDS if local is None else PATIENCE_SECONDS_LOCAL
    sender = _Sender(spool=spool, uri=address, patience=patience)
    sender.ask()
    return Tracking(
        uri=mask_password(address),
        experiment_name=experiment_name,
        spool=spool,
        artifacts=artifacts,
        destination=destination_of(address),
        sender=sender,
    )


def start_run(
    tracking: Tracking,
    items: Iterable[Item] = (),
    *,
    name: str,
    kind: RunKind,
    parent: str | None = None,
) -> str:
    """Start a run and return its key, with which items are added, nested runs are started and it is ended.

    Parameters
    ----------
    tracking : Tracking
        From `open_tracking`.
    items : iterable of Item
        First things to log.
    name : str
        Shown in the MLflow UI.
    kind : RunKind
        Searchable as the tag ``kind``.
    parent : str, optional
        Key of the run it is nested in.

    Returns
    -------
    str
        The run's key (a tag in MLflow, known before MLflow has answered).
    """
    run = uuid.uuid4().hex
    tracking.sender.runs[run] = {"name": name, "kind": kind, "parent": parent}
    _say(tracking, items, run=run, status="started")
    return run


def log_items(tracking: Tracking, items: Iterable[Item], *, run: str) -> None:
    """Add items to a started run."""
    _say(tracking, items, run=run, status="started")


def end_run(
    tracking: Tracking,
    items: Iterable[Item] = (),
    *,
    run: str,
    status: RunStatus = "completed",
) -> None:
    """Add last items to a run and end it."""
    _say(tracking, items, run=run, status=status)


@contextmanager
def tracked_run(
    tracking: Tracking,
    items: Iterable[Item] = (),
    *,
    name: str,
    kind: RunKind,
    parent: str | None = None,
) -> Iterator[str]:
    """Start a run for a block and end it: completed, or failed if the block raises.

    Nothing of the error is logged; a message may quote what must not leave the machine.
    """
    run = start_run(tracking, items, name=name, kind=kind, parent=parent)
    try:
        yield run
    except BaseException:
        end_run(tracking, run=run, status="failed")
        raise
    end_run(tracking, run=run)


def wait_until_stored(tracking: Tracking) -> bool:
    """Wait until the store has everything said so far; return False if it waits in the spool instead."""
    answer = tracking.sender.wait()
    return answer is not None and answer.left == 0 and not tracking.sender.lost


def close_tracking(tracking: Tracking) -> TrackingReport:
    """Send what is left within the remaining patience and report.

    Returns
    -------
    TrackingReport
        What the store has and what waits.
    """
    sender = tracking.sender
    answer = sender.wait()
    sender.stop()
    return TrackingReport(
        uri=tracking.uri,
        sent=sender.sent,
        waiting=len(list_messages(tracking.spool, tracking.destination)),
        refused=sender.refused,
        lost=sender.lost,
        reason=sender.reason if answer is None else answer.reason,
        run_ids=dict(sender.run_ids),
        experiment_id=sender.experiment_id,
        seconds=sender.waited,
        notices=tuple(dict.fromkeys(sender.notices)),
    )


def flush_spool(
    folder: Path | str, *, uri: str | None = None, patience: float = PATIENCE_SECONDS_LOCAL
) -> TrackingReport:
    """Send what earlier jobs left in the spool of an output folder.

    Parameters
    ----------
    folder : path-like
        The jobs' output folder, as given to `open_tracking`.
    uri : str, optional
        As in `open_tracking`; messages for another store stay where they are.
    patience : float
        Seconds to try.

    Returns
    -------
    TrackingReport
        What was sent and what still waits.
    """
    return close_tracking(open_tracking(uri, folder=folder, patience=patience))


def find_git_commit(folder: Path | str) -> str | None:
    """Return the commit that a folder's git checkout stands on, None if there is none (or no git)."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command, no shell
            [git, "-C", str(folder), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            check=False,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def mask_password(uri: str) -> str:
    """Return an address that may be shown."""
    return re.sub(r"(?<=://)([^/@]*?):[^/@]*@", r"\1:***@", uri)


def _address(uri: str | None, folder: Path) -> str:
    address = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
    path = sqlite_path(address)
    if path is not None and not path.is_absolute():
        address = address.replace(str(path), str(path.absolute()), 1)
    return address


def _say(tracking: Tracking, items: Iterable[Item], *, run: str, status: RunStatus) -> None:
    about = tracking.sender.runs[run]
    message = Message(
        destination=tracking.destination,
        experiment=tracking.experiment_name,
        artifacts=tracking.artifacts,
        run=run,
        name=about["name"],
        kind=about["kind"],
        parent=about["parent"],
        at_ms=time.time_ns() // 1_000_000,
        status=status,
        items=tuple(items),
    )
    try:
        write_message(tracking.spool, message)
    except (OSError, OutputError):
        tracking.sender.lost += 1
        return
    tracking.sender.ask()


class _Sender:
    """The sending process: asked by a line, answers by a line, left behind when patience is used up."""

    def __init__(self, *, spool: Path, uri: str, patience: float) -> None:
        self.patience = patience
        self._spool = spool
        self.waited = 0.0
        self.asked = 0
        self.answered = 0
        self.sent = 0
        self.refused = 0
        self.lost = 0
        self.reason: str | None = None
        self.experiment_id: str | None = None
        self.notices: list[str] = []
        self.run_ids: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._process = _start_process(spool, uri)
        if self._process is not None:
            self._reader = threading.Thread(
                target=_read_lines, args=(self._process.stdout, self._answers), daemon=True
            )
            self._reader.start()

    def ask(self, urgency: Literal["soon", "now"] = "soon") -> None:
        """Ask for a sending, without waiting."""
        if self._process is None or self._process.stdin is None:
            return
        with suppress(OSError, ValueError):
            self._process.stdin.write(f"{urgency}\n")
            self._process.stdin.flush()
            self.asked += 1

    def wait(self) -> Drained | None:
        """Wait for the answer to everything asked; None if there is none within the patience."""
        last: Drained | None = None
        self.ask("now")
        began = time.monotonic()
        try:
            while self.answered < self.asked:
                left = self.patience - self.waited - (time.monotonic() - began)
                line = self._answers.get(timeout=max(left, 0.0)) if left > 0 else None
                if line is None:
                    self.reason = self.reason or "the store is slow or does not answer"
                    return None
                last = Drained(**json.loads(line))
                self._note(last)
        except queue.Empty:
            self.reason = self.reason or "the store is slow or does not answer"
            return None
        finally:
            self.waited += time.monotonic() - began
        return last

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is None:
            return
        with suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if self.answered < self.asked:
            self._process.kill()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=2)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        for folder in (self._spool / "doubts", self._spool):
            with suppress(OSError):  # kept while something is in it
                folder.rmdir()

    def _note(self, answer: Drained) -> None:
        self.answered += 1
        self.sent += answer.sent
        self.refused += answer.refused
        self.reason = answer.reason
        self.experiment_id = answer.experiment_id or self.experiment_id
        self.notices.extend(answer.notices)
        self.run_ids.update(answer.runs)


def _start_process(spool: Path, uri: str) -> subprocess.Popen[str] | None:
    paths = [str(Path(entry or ".").absolute()) for entry in sys.path]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "MLFLOW_TRACKING_URI": uri,
        **QUIET,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTRY_URI"):
        environment.pop(name, None)
    try:
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-P", "-m", "leadml.tracking._sender", str(spool)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            start_new_session=True,
        )
    except OSError:
        return None


def _read_lines(stream: IO[str] | None, lines: queue.Queue[str | None]) -> None:
    with suppress(OSError, ValueError):
        for line in stream or ():
            lines.put(line)
    lines.put(None)

"""The spool: what is to be tracked, one file per message, until the store has it.

A message says which run it belongs to and what to add. It is written (and synced) before anything is sent
and removed after the store has confirmed, so a server that is down, slow or restarted loses nothing, and
sending a message twice changes nothing: every message carries the key of its run.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from leadml._files import replaced_file
from leadml.tracking._items import Item, item_from_dict, item_to_dict

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Message", "RunStatus", "destination_of", "list_messages", "read_message", "write_message"]

RunStatus = Literal["started", "completed", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to add to one run.

    Parameters
    ----------
    destination : str
        Digest of the store's address, which may hold a password and is therefore not written down.
    experiment : str
        Experiment name.
    artifacts : str or None
        Folder of the experiment's artifacts, None for the store's own choice.
    run, name, kind : str
        Key, display name and kind of the run.
    parent : str or None
        Key of the run it is nested in.
    at_ms : int
        When it was said, milliseconds since 1970 (UTC).
    status : {"started", "completed", "failed"}
        State of the run after this message.
    items : tuple of Item
        What to add.
    """

    destination: str
    experiment: str
    artifacts: str | None
    run: str
    name: str
    kind: str
    parent: str | None
    at_ms: int
    status: RunStatus
    items: tuple[Item, ...] = field(repr=False)


def destination_of(uri: str) -> str:
    """Return the digest under which messages for a store are kept."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]


def write_message(spool: Path, message: Message) -> Path:
    """Write a message under a name that sorts by time."""
    data = {name: getattr(message, name) for name in Message.__slots__ if name != "items"}
    data["items"] = [item_to_dict(item) for item in message.items]
    path = spool / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
    return path


def list_messages(spool: Path, destination: str) -> list[Path]:
    """Return the messages that wait for a store, oldest first, and any file that is no message."""
    wanted = f'{{"destination": "{destination}"'
    found = []
    for path in sorted(spool.glob("[0-9]*.json")):
        with suppress(OSError), path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(64)
            if head.startswith(wanted) or not head.startswith('{"destination": "'):
                found.append(path)
    return found


def read_message(path: Path) -> Message:
    """Read a message back."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Message(**{**data, "items": tuple(item_from_dict(item) for item in data["items"])})

"""The definition's history file: who decided what, in a chain that shows any alteration."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from leadml._files import compute_sha256, read_bytes, write_text
from leadml.errors import InputMissingError
from leadml.review._dossier import SignatureError, compute_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Entry",
    "History",
    "Verification",
    "append_entry",
    "definition_file",
    "history_file",
    "load_history",
    "verify_signatures",
]

Kind = Literal["signed", "adopted", "rolled back"]
_FIELDS = (
    *("kind", "at", "version", "definition_sha256", "replaces", "replaces_sha256", "subject", "sentence"),
    *("side", "by", "decision", "because"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the history.

    Attributes
    ----------
    kind : {"signed", "adopted", "rolled back"}
        What happened.
    at : str
        When (UTC).
    version, definition_sha256 : str
        The definition version it is about, and the digest of its file.
    replaces, replaces_sha256 : str
        The version in force before, and the digest of its file.
    subject : str
        Digest of all that was signed; empty for a roll-back.
    sentence : str
        The change in words.
    side, by, decision, because : str
        Who decided what and why; for an adoption `by` names all signers.
    previous, sha256 : str
        Digest of the entry before, and of this one.
    """

    kind: Kind
    at: str
    version: str
    definition_sha256: str
    replaces: str
    replaces_sha256: str
    subject: str
    sentence: str
    side: str
    by: str
    decision: str
    because: str
    previous: str
    sha256: str

    def to_dict(self) -> dict[str, str]:
        """Return the entry as it stands in the file."""
        return {name: getattr(self, name) for name in (*_FIELDS, "previous", "sha256")}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that was decided about one definition, oldest first."""

    name: str
    entries: tuple[Entry, ...] = ()

    @property
    def version_in_force(self) -> str | None:
        """Return the version that was last adopted or rolled back to; None if none ever was."""
        decided = [entry for entry in self.entries if entry.kind != "signed"]
        return decided[-1].version if decided else None

    def signatures(self, subject: str) -> dict[str, Entry]:
        """Return the last signature of each side under one subject."""
        signed = [entry for entry in self.entries if entry.kind == "signed" and entry.subject == subject]
        return {entry.side: entry for entry in signed}

    def sha256_of(self, version: str) -> str:
        """Return the digest that a version had when it was in force; empty if it never was."""
        for entry in reversed(self.entries):
            if entry.kind != "signed" and entry.version == version:
                return entry.definition_sha256
            if entry.kind == "adopted" and entry.replaces == version:
                return entry.replaces_sha256
        return ""

    def refused(self) -> tuple[Entry, ...]:
        """Return the last word of each side on proposals that were rejected or deferred."""
        last = {(entry.subject, entry.side): entry for entry in self.entries if entry.kind == "signed"}
        return tuple(entry for entry in last.values() if entry.decision != "accept")


def load_history(path: Path | str, *, name: str = "") -> History:
    """Read a history file; one that is not there is an empty history.

    Parameters
    ----------
    path : path-like
        ``<name>.history.json`` beside the definition.
    name : str, default ""
        The definition, for a history that does not exist yet.

    Returns
    -------
    History

    Raises
    ------
    SignatureError
        If the file cannot be read as a history, or an entry was altered, removed or put in.
    """
    try:
        raw = read_bytes(path, what="history")
    except InputMissingError:
        if Path(path).exists():
            raise
        return History(name=name)
    try:
        document = json.loads(raw)
        entries = tuple(Entry(**entry) for entry in document["entries"])
        history = History(name=str(document["name"]), entries=entries)
    except (ValueError, TypeError, KeyError) as error:
        raise SignatureError(f"{path}: not a history as `leadml sign` writes it.") from error
    findings = []
    previous = ""
    for number, entry in enumerate(entries, 1):
        if entry.previous != previous or entry.sha256 != _digest(entry.to_dict()):
            findings.append(
                f"{path}: entry {number} was altered, removed or put in. Restore the file from git."
            )
            break
        previous = entry.sha256
    if findings:
        raise SignatureError(*findings)
    return history


def _digest(entry: Mapping[str, str]) -> str:
    return compute_digest({name: entry[name] for name in (*_FIELDS, "previous")})


def append_entry(history: History, path: Path | str, **fields: str) -> History:
    """Write a history with one more entry, whole or not at all, and return it."""
    previous = history.entries[-1].sha256 if history.entries else ""
    values: dict[str, Any] = dict.fromkeys(_FIELDS, "") | fields | {"previous": previous}
    entry = Entry(**values, sha256=_digest(values))
    longer = History(name=history.name, entries=(*history.entries, entry))
    document = {"name": longer.name, "entries": [line.to_dict() for line in longer.entries]}
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether what lies in the folder is what was signed.

    Attributes
    ----------
    name : str
        The definition.
    version_in_force : str or None
        The version that was last adopted or rolled back to.
    n_entries : int
        Entries of the history.
    findings : tuple of str
        What does not verify; empty if everything does.
    """

    name: str
    version_in_force: str | None
    n_entries: int
    findings: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether everything verifies."""
        return not self.findings

    def __repr__(self) -> str:
        head = f"{self.name}: {self.version_in_force or 'nothing signed yet'}, {self.n_entries} entries"
        return "\n".join([head, *(self.findings[:8] or ("everything verifies",))])


def verify_signatures(history: Path | str) -> Verification:
    """Verify a history and the definition files that it names.

    Parameters
    ----------
    history : path-like
        ``<name>.history.json``; the definition files lie beside it.

    Returns
    -------
    Verification
        Findings are the alterations; nothing is raised for them.

    Raises
    ------
    InputMissingError
        If there is no history.
    """
    path = Path(history)
    read_bytes(path, what="history")
    try:
        found = load_history(path)
    except SignatureError as error:
        return Verification(name=path.name, version_in_force=None, n_entries=0, findings=error.findings)
    findings = []
    for entry in found.entries:
        if entry.kind != "adopted":
            continue
        file = path.parent / definition_file(found.name, entry.version)
        if not file.exists():
            findings.append(f"{file}: this signed version is missing. Restore it from git.")
        elif hashlib.sha256(read_bytes(file, what="definition")).hexdigest() != entry.definition_sha256:
            findings.append(f"{file}: altered since both sides signed it. Restore it from git.")
        if not _lies_in(path.parent, entry.replaces_sha256):
            findings.append(
                f"{path.parent}: {entry.replaces}, which {entry.version} replaced, is missing or altered, so "
                "nobody can go back to it. Restore it from git."
            )
        signed = found.signatures(entry.subject)
        if any(line.decision != "accept" for line in signed.values()) or len(signed) < 2:
            findings.append(f"{path}: {entry.version} was adopted without both sides' signatures.")
    return Verification(
        name=found.name,
        version_in_force=found.version_in_force,
        n_entries=len(found.entries),
        findings=tuple(findings),
    )


def _lies_in(folder: Path, sha256: str) -> bool:
    return any(compute_sha256(file) == sha256 for file in sorted(folder.glob("*.y*ml")))


def definition_file(name: str, version: str) -> str:
    """Return the file name of a definition version; nothing in it can leave the folder."""
    return f"{_safe(f'{name}-{version}')}.yaml"


def history_file(name: str) -> str:
    """Return the file name of a definition's history."""
    return f"{_safe(name)}.history.json"


def _safe(text: str) -> str:
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in text).lstrip(".")

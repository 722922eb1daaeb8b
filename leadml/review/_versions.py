"""Every version that a definition has had: when it held, who signed it, where its file is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml.definitions import load_definition
from leadml.errors import InputMissingError, LeadmlError
from leadml.review._history import history_file, load_history

if TYPE_CHECKING:
    from leadml.definitions import Definition
    from leadml.review._history import Entry, History

__all__ = ["Version", "find_history", "list_versions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a definition over the days in which it held; a roll-back makes it appear again.

    Attributes
    ----------
    name, version, sha256 : str
        What it is called, and the digest of its text.
    file : Path or None
        Where the text lies; None if the file is missing or altered.
    definition : Definition or None
        The text as a value; None as above.
    from_on, until_on : date or None
        First day in force and first day no longer; None where it is not known or has not come.
    in_force : bool
        Whether it holds now.
    decision : {"adopted", "rolled back", "written", "draft"}
        How it came into force; ``written``: by its own date, before the first signature; ``draft``: it lies
        there and takes effect on no day of its own.
    sentence : str
        The signed change in words.
    subject : str
        Digest of what was signed; the MLflow run that proposed it has it as the tag ``proposal.subject``.
    because : str
        Why it was rolled back to.
    signatures : tuple of Entry
        Who signed.
    """

    name: str
    version: str
    sha256: str
    file: Path | None = None
    definition: Definition | None = field(default=None, repr=False)
    from_on: date | None = None
    until_on: date | None = None
    in_force: bool = False
    decision: str = "written"
    sentence: str = ""
    subject: str = ""
    because: str = ""
    signatures: tuple[Entry, ...] = ()

    def signed_by(self) -> str:
        """Say who signed: side, role and day."""
        return "; ".join(f"{entry.side}: {entry.by}, {entry.at[:10]}" for entry in self.signatures)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data without the text."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "file": None if self.file is None else self.file.name,
            "from": None if self.from_on is None else self.from_on.isoformat(),
            "until": None if self.until_on is None else self.until_on.isoformat(),
            "in_force": self.in_force,
            "decision": self.decision,
            "sentence": self.sentence,
            "subject": self.subject,
            "because": self.because,
            "signatures": [entry.to_dict() for entry in self.signatures],
        }


def find_history(name: Path | str, *, folder: Path | str = ".") -> Path:
    """Find the history of a definition from its name, its file or the history itself.

    Parameters
    ----------
    name : path-like
        ``inbound-lead``, ``inbound-lead-2026.3.yaml`` or ``inbound-lead.history.json``.
    folder : path-like, default "."
        Where a plain name is looked for.

    Returns
    -------
    Path
        The history file; it need not be there yet.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return path.parent / history_file(load_definition(path).name)
    return path if path.suffix == ".json" else Path(folder) / history_file(str(name))


def list_versions(history: Path | str) -> tuple[Version, ...]:
    """List the versions of a definition in the order in which they held.

    Before anything was signed, the order is that of the definition files' own ``effective_from``; a file with
    the same day as the one before it is a draft.

    Parameters
    ----------
    history : path-like
        ``<name>.history.json``; the definition files lie beside it.

    Returns
    -------
    tuple of Version

    Raises
    ------
    SignatureError
        If the history was altered.
    InputMissingError
        If there is neither a history nor a definition of that name.
    """
    path = Path(history)
    files = _definitions(path)
    found = load_history(path, name=files[0].name if files else "")
    decided = [entry for entry in found.entries if entry.kind != "signed"]
    versions = _signed_versions(found, decided, files) if decided else _written_versions(files)
    if not versions:
        raise InputMissingError(
            f"{path}: neither this history nor a definition of that name lies in {path.parent}."
        )
    held = [version for version in versions if version.decision != "draft"]
    ended = [replace(version, until_on=following.from_on) for version, following in pairwise(held)]
    drafts = [version for version in versions if version.decision == "draft"]
    return (*ended, replace(held[-1], in_force=True), *drafts)


def _definitions(history: Path) -> list[Definition]:
    """Read the definitions beside a history that bear its name; other files are none of its business."""
    found = []
    for file in sorted({*history.parent.glob("*.yaml"), *history.parent.glob("*.yml")}):
        try:
            definition = load_definition(file)
        except LeadmlError:
            continue
        if history_file(definition.name) == history.name:
            found.append(definition)
    return found


def _written_versions(files: list[Definition]) -> list[Version]:
    ordered = sorted(files, key=lambda d: (d.effective_from or date.min, d.version))
    versions = [_version(d.name, d.version, d.sha256, files, from_on=d.effective_from) for d in ordered]
    days: set[date | None] = set()
    for number, version in enumerate(versions):
        if version.from_on in days:
            versions[number] = replace(version, decision="draft", until_on=version.from_on)
        days.add(version.from_on)
    return versions


def _signed_versions(history: History, decided: list[Entry], files: list[Definition]) -> list[Version]:
    first = decided[0]
    versions = [_version(history.name, first.replaces, first.replaces_sha256, files)]
    written = versions[0].definition
    versions[0] = replace(versions[0], from_on=None if written is None else written.effective_from)
    for entry in decided:
        held = date.fromisoformat(entry.at[:10])
        adopted = entry.kind == "adopted"
        made = _version(history.name, entry.version, entry.definition_sha256, files)
        planned = None if made.definition is None else made.definition.effective_from
        versions.append(
            replace(
                made,
                from_on=max(held, planned) if adopted and planned is not None else held,
                decision=entry.kind,
                sentence=entry.sentence,
                subject=entry.subject,
                because=entry.because,
                signatures=tuple(history.signatures(entry.subject).values()) if adopted else (),
            )
        )
    return versions


def _version(
    name: str, version: str, sha256: str, files: list[Definition], *, from_on: date | None = None
) -> Version:
    definition = next((file for file in files if file.sha256 == sha256), None)
    return Version(
        name=name,
        version=version,
        sha256=sha256,
        file=None if definition is None else Path(definition.source),
        definition=definition,
        from_on=from_on,
    )

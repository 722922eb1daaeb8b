"""Signing a proposal: both sides, the same bytes, nobody for both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from leadml._files import compute_sha256, locked_file, read_bytes, write_text
from leadml.definitions import load_definition, parse_definition
from leadml.review._dossier import SignatureError, load_dossier
from leadml.review._history import History, append_entry, definition_file, history_file, load_history

if TYPE_CHECKING:
    from leadml.review._dossier import Dossier
    from leadml.review._history import Entry

__all__ = ["Decision", "SignOff", "rollback", "sign_proposal"]

Decision = Literal["accept", "reject", "defer"]
Status = Literal["waiting", "adopted", "rejected", "deferred", "rolled back"]
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """Where a definition stands after a signature or a roll-back.

    Attributes
    ----------
    status : {"waiting", "adopted", "rejected", "deferred", "rolled back"}
        `waiting`: a side has not signed yet.
    name, version : str
        The definition and the version that the decision is about.
    version_in_force : str
        The version that holds now.
    waiting_for : tuple of str
        Sides that have not signed.
    history : Path
        The history file.
    definition : Path or None
        The new version's file once it is adopted; the older one's after a roll-back.
    signatures : tuple of Entry
        The signatures under this proposal.
    """

    status: Status
    name: str
    version: str
    version_in_force: str
    waiting_for: tuple[str, ...]
    history: Path
    definition: Path | None
    signatures: tuple[Entry, ...]

    def to_tags(self) -> dict[str, str]:
        """Return the signatures as tags: ``signoff.<side>.by``, ``.decision``, ``.at``, ``.sha256``."""
        return {
            f"signoff.{entry.side}.{key}": value
            for entry in self.signatures
            for key, value in (
                ("by", entry.by),
                ("decision", entry.decision),
                ("at", entry.at),
                ("sha256", entry.sha256),
            )
        }

    def to_dict(self) -> dict[str, object]:
        """Return plain data: status, name, version, version_in_force, waiting_for, history, definition."""
        return {
            "status": self.status,
            "name": self.name,
            "version": self.version,
            "version_in_force": self.version_in_force,
            "waiting_for": list(self.waiting_for),
            "history": str(self.history),
            "definition": None if self.definition is None else str(self.definition),
        }

    def __repr__(self) -> str:
        words = {
            "waiting": f"waits for {' and '.join(self.waiting_for)}",
            "adopted": "is adopted: both sides signed",
            "rejected": "is rejected",
            "deferred": "is deferred to the next review",
            "rolled back": "holds again",
        }
        lines = [f"{self.name} {self.version} {words[self.status]}; {self.version_in_force} is in force."]
        lines += [
            f"  {entry.side}: {entry.by} decided to {entry.decision} on {entry.at}"
            for entry in self.signatures
        ]
        return "\n".join(lines)


def sign_proposal(
    proposal: Path | str,
    definition: Path | str,
    *,
    side: str,
    by: str,
    decision: Decision,
    because: str = "",
    at: datetime | None = None,
) -> SignOff:
    """Sign a proposal for one side; when both sides have accepted it, write the new version.

    A signature is given to the hash of the proposal, the definition it changes, the leads and the packet:
    if any of them is edited, the review has to be run and signed again.

    Parameters
    ----------
    proposal : path-like
        ``proposal-1.json`` of a run, with the packet beside it.
    definition : path-like
        The definition as it is in force; its history (``<name>.history.json``) and the new version lie
        beside it.
    side : str
        One of the definition's owners, normally ``marketing`` or ``sales``.
    by : str
        The role or name of who signs; not the same for both sides.
    decision : {"accept", "reject", "defer"}
        What this side decides.
    because : str, default ""
        The reason; needed unless the proposal is accepted, and shown at the next review.
    at : datetime, optional
        When, with its time zone; by default now.

    Returns
    -------
    SignOff

    Raises
    ------
    SignatureError
        If something was altered, the proposal is not for the version in force, or this signature is not
        one that this side can give.
    LockedError
        If somebody else is signing at this moment.
    """
    dossier = load_dossier(proposal)
    path = Path(definition)
    _check_signature(dossier, side=side, by=by, decision=decision, because=because)
    history_path = path.parent / history_file(dossier.name)
    with locked_file(history_path.with_suffix(".lock"), wait=_PATIENCE):
        history = load_history(history_path, name=dossier.name)
        _check_definition(dossier, path, history)
        _check_other_side(history, dossier, side=side, by=by)
        _check_adoptable(dossier, path.parent)
        history = append_entry(
            history,
            history_path,
            kind="signed",
            at=_instant(at),
            version=dossier.proposed_version,
            definition_sha256=dossier.proposed_sha256,
            replaces=dossier.written_version,
            replaces_sha256=dossier.written_sha256,
            subject=dossier.subject,
            sentence=dossier.sentence,
            side=side,
            by=by.strip(),
            decision=decision,
            because=because.strip(),
        )
        signed = history.signatures(dossier.subject)
        accepted = set(dossier.sides) == {s for s, entry in signed.items() if entry.decision == "accept"}
        adopted = _adopt(dossier, history, history_path, at=at) if accepted else None
    return SignOff(
        status=_status(dossier, signed),
        name=dossier.name,
        version=dossier.proposed_version,
        version_in_force=dossier.proposed_version if accepted else dossier.written_version,
        waiting_for=tuple(s for s in dossier.sides if s not in signed),
        history=history_path,
        definition=adopted,
        signatures=tuple(signed.values()),
    )


def rollback(
    history: Path | str, *, by: str, because: str, to: str | None = None, at: datetime | None = None
) -> SignOff:
    """Put an earlier version of a definition back in force.

    Both sides have signed that version before, so one signature with a reason is enough.

    Parameters
    ----------
    history : path-like
        ``<name>.history.json``.
    by, because : str
        Who decides it and why.
    to : str, optional
        The version; by default the one before the version in force.
    at : datetime, optional
        When, with its time zone; by default now.

    Returns
    -------
    SignOff

    Raises
    ------
    SignatureError
        If there is nothing to go back to, or the older file is no longer what it was.
    """
    path = Path(history)
    if not by.strip() or not because.strip():
        raise SignatureError("rollback: `by` and `because` are needed: who decides it, and why.")
    read_bytes(path, what="history")
    with locked_file(path.with_suffix(".lock"), wait=_PATIENCE):
        found = load_history(path)
        adopted = [entry for entry in found.entries if entry.kind == "adopted"]
        current = found.version_in_force
        before = next((entry.replaces for entry in reversed(adopted) if entry.version == current), None)
        target = to or before
        if target is None or target == current:
            raise SignatureError(f"{path}: there is no earlier version to go back to.")
        expected = found.sha256_of(target)
        if not expected:
            raise SignatureError(f"{path}: version {target!r} was never in force.")
        file = _find_version(path.parent, found.name, target, expected)
        found = append_entry(
            found,
            path,
            kind="rolled back",
            at=_instant(at),
            version=target,
            definition_sha256=expected,
            replaces=current or "",
            replaces_sha256=found.sha256_of(current or ""),
            by=by.strip(),
            because=because.strip(),
        )
    return SignOff(
        status="rolled back",
        name=found.name,
        version=target,
        version_in_force=target,
        waiting_for=(),
        history=path,
        definition=file,
        signatures=(),
    )


# ---- checks --------------------------------------------------------------------------------------


def _check_signature(dossier: Dossier, *, side: str, by: str, decision: str, because: str) -> None:
    findings = []
    if side not in dossier.sides:
        findings.append(f"side: expected one of {', '.join(dossier.sides)}; got {side!r}.")
    if not by.strip():
        findings.append("by: the role or name of who signs is needed.")
    if decision not in get_args(Decision):
        findings.append(f"decision: expected accept, reject or defer; got {decision!r}.")
    elif decision != "accept" and not because.strip():
        findings.append(f"because: a reason is needed to {decision}; the next review shows it.")
    if findings:
        raise SignatureError(*findings)


def _check_definition(dossier: Dossier, path: Path, history: History) -> None:
    written = load_definition(path)
    if (written.name, written.version) != (dossier.name, dossier.written_version):
        raise SignatureError(
            f"{path}: this is {written.name} {written.version}; the proposal changes {dossier.name} "
            f"{dossier.written_version}."
        )
    if written.sha256 != dossier.written_sha256:
        raise SignatureError(f"{path}: edited since the proposal was made. Run the review again.")
    current = history.version_in_force
    if current is not None and current != dossier.written_version:
        raise SignatureError(
            f"{dossier.name}: {current} is in force; the proposal changes {dossier.written_version}. "
            "Run the review again."
        )


def _check_adoptable(dossier: Dossier, folder: Path) -> None:
    """Refuse a signature that could not be followed by an adoption."""
    file = folder / definition_file(dossier.name, dossier.proposed_version)
    revised = parse_definition(dossier.proposed_text, source=str(file))
    if (revised.name, revised.version) != (dossier.name, dossier.proposed_version):
        raise SignatureError(f"{file}: the proposed text is {revised.name} {revised.version}.")
    if file.exists() and read_bytes(file, what="definition") != dossier.proposed_text.encode("utf-8"):
        raise SignatureError(f"{file}: another file with this name exists. Move it away and sign again.")


def _check_other_side(history: History, dossier: Dossier, *, side: str, by: str) -> None:
    for other, entry in history.signatures(dossier.subject).items():
        if other != side and _same(entry.by, by):
            raise SignatureError(
                f"by: {entry.by!r} has signed for {other} already; nobody signs for both sides."
            )


def _same(first: str, second: str) -> bool:
    return " ".join(first.casefold().split()) == " ".join(second.casefold().split())


def _status(dossier: Dossier, signed: dict[str, Entry]) -> Status:
    decisions = {entry.decision for entry in signed.values()}
    if "reject" in decisions:
        return "rejected"
    if "defer" in decisions:
        return "deferred"
    return "adopted" if set(signed) == set(dossier.sides) else "waiting"


# ---- what follows --------------------------------------------------------------------------------


def _adopt(dossier: Dossier, history: History, history_path: Path, *, at: datetime | None) -> Path:
    file = history_path.parent / definition_file(dossier.name, dossier.proposed_version)
    write_text(file, dossier.proposed_text)
    append_entry(
        history,
        history_path,
        kind="adopted",
        at=_instant(at),
        version=dossier.proposed_version,
        definition_sha256=dossier.proposed_sha256,
        replaces=dossier.written_version,
        replaces_sha256=dossier.written_sha256,
        subject=dossier.subject,
        sentence=dossier.sentence,
        by=" and ".join(entry.by for entry in history.signatures(dossier.subject).values()),
        decision="accept",
    )
    return file


def _find_version(folder: Path, name: str, version: str, sha256: str) -> Path:
    """Find the file of a version by its digest, under its usual name first."""
    usual = folder / definition_file(name, version)
    for file in (usual, *sorted(folder.glob("*.yaml"))):
        if file.exists() and compute_sha256(file) == sha256:
            return file
    what = "altered since it was in force" if usual.exists() else "missing"
    raise SignatureError(f"{usual}: this version is {what}. Restore it from git.")


def _instant(at: datetime | None) -> str:
    moment = at or datetime.now(UTC)
    if moment.tzinfo is None:
        raise SignatureError("at: expected a time with its time zone.")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

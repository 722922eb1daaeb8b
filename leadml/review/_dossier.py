"""What both sides sign: one proposal with the hashes of everything it rests on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml._files import read_bytes, write_text
from leadml.errors import LeadmlError
from leadml.review._changes import describe_change

if TYPE_CHECKING:
    from leadml.review._parts import Run

__all__ = ["Dossier", "SignatureError", "compute_digest", "load_dossier", "write_dossiers"]

_SIDES = ("marketing", "sales")


class SignatureError(LeadmlError, ValueError):
    """A signature cannot be given, or what was signed is no longer what lies there."""

    exit_code = 65


def compute_digest(document: object) -> str:
    """Compute the SHA-256 of a document in one fixed spelling of JSON."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """One proposal as it is signed.

    Attributes
    ----------
    name : str
        The definition.
    number : int
        Which proposal of the review, from 1.
    sentence : str
        The change in words.
    written_version, written_sha256 : str
        The definition that it would replace.
    proposed_version, proposed_sha256, proposed_text : str
        The definition that it would become.
    data_sha256 : str
        The leads that it was found and confirmed on.
    packet_file, packet_sha256 : str
        The page that both sides read, beside this file.
    sides : tuple of str
        Who must sign.
    subject : str
        SHA-256 of all of this: what a signature is given to.
    """

    name: str
    number: int
    sentence: str
    written_version: str
    written_sha256: str
    proposed_version: str
    proposed_sha256: str
    proposed_text: str = field(repr=False)
    data_sha256: str
    packet_file: str
    packet_sha256: str
    sides: tuple[str, ...]
    subject: str

    def to_dict(self) -> dict[str, Any]:
        """Return the document that is written to the file."""
        return {**_content(self), "subject": self.subject}


def _content(dossier: Dossier) -> dict[str, Any]:
    names = [name for name in Dossier.__dataclass_fields__ if name != "subject"]
    return {name: getattr(dossier, name) for name in names} | {"sides": list(dossier.sides)}


def _make(values: dict[str, Any]) -> Dossier:
    draft = Dossier(**values, subject="")
    return Dossier(**values, subject=compute_digest(_content(draft)))


def write_dossiers(run: Run, folder: Path | str, *, packet: Path | str) -> tuple[Path, ...]:
    """Write one file to sign per proposal of a run.

    Parameters
    ----------
    run : Run
        A run that reached its proposals.
    folder : path-like
        Where ``proposal-1.json`` and so on go; the packet must lie there too.
    packet : path-like
        The packet that both sides read, already written.

    Returns
    -------
    tuple of Path
        Empty if nothing is proposed.

    Raises
    ------
    OutputError
        If a file cannot be written.
    InputMissingError
        If the packet is not there.
    """
    if run.proposals is None:
        return ()
    page = hashlib.sha256(read_bytes(packet, what="packet")).hexdigest()
    sides = tuple(side for side, _ in run.definition.owners) or _SIDES
    paths = []
    for number, proposal in enumerate(run.proposals.proposals, 1):
        if proposal.revised is None:
            continue
        text = proposal.revised.text
        dossier = _make(
            {
                "name": run.definition.name,
                "number": number,
                "sentence": describe_change(proposal.to_dict()),
                "written_version": run.definition.version,
                "written_sha256": run.definition.sha256,
                "proposed_version": proposal.revised.version,
                "proposed_sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
                "proposed_text": text,
                "data_sha256": run.table.manifest.data_sha256,
                "packet_file": Path(packet).name,
                "packet_sha256": page,
                "sides": sides,
            }
        )
        path = Path(folder) / f"proposal-{number}.json"
        write_text(path, json.dumps(dossier.to_dict(), indent=2, ensure_ascii=False) + "\n")
        paths.append(path)
    return tuple(paths)


def load_dossier(path: Path | str) -> Dossier:
    """Read a proposal file and check that it and the packet beside it are as they were written.

    Parameters
    ----------
    path : path-like
        ``proposal-1.json`` of a run.

    Returns
    -------
    Dossier

    Raises
    ------
    SignatureError
        If the file is no proposal, or it or the packet was altered.
    InputMissingError
        If a file is not there.
    """
    raw = read_bytes(path, what="proposal")
    try:
        document = json.loads(raw)
        subject = document.pop("subject")
        document["sides"] = tuple(document["sides"])
        dossier = _make(document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SignatureError(
            f"{path}: not a proposal as `leadml run` writes it. Run the review again."
        ) from error
    findings = []
    if subject != dossier.subject:
        findings.append(f"{path}: altered since it was written. Run the review again.")
    if (
        hashlib.sha256(dossier.proposed_text.encode("utf-8", "replace")).hexdigest()
        != dossier.proposed_sha256
    ):
        findings.append(f"{path}: the proposed definition is not the one that was found.")
    packet = Path(path).parent / Path(dossier.packet_file).name
    if hashlib.sha256(read_bytes(packet, what="packet")).hexdigest() != dossier.packet_sha256:
        findings.append(f"{packet}: not the page that belongs to {Path(path).name}. Run the review again.")
    if findings:
        raise SignatureError(*findings)
    return dossier

"""What both sides read before they decide, and how they sign: packet, summary, sign-off and history."""

from leadml.review._dossier import Dossier, SignatureError, load_dossier, write_dossiers
from leadml.review._history import (
    Entry,
    History,
    Verification,
    history_file,
    load_history,
    verify_signatures,
)
from leadml.review._lead import LeadExplanation, explain_lead
from leadml.review._nearest import describe_nearest
from leadml.review._packet import build_packet, write_packet
from leadml.review._parts import Run
from leadml.review._replay import Replay, replay_versions
from leadml.review._sign import SignOff, rollback, sign_proposal
from leadml.review._summary import summarise_run
from leadml.review._versions import Version, find_history, list_versions
from leadml.review._whatif import Choice, Outlook, WhatIf, build_what_if

__all__ = [
    "Choice",
    "Dossier",
    "Entry",
    "History",
    "LeadExplanation",
    "Outlook",
    "Replay",
    "Run",
    "SignOff",
    "SignatureError",
    "Verification",
    "Version",
    "WhatIf",
    "build_packet",
    "build_what_if",
    "describe_nearest",
    "explain_lead",
    "find_history",
    "history_file",
    "list_versions",
    "load_dossier",
    "load_history",
    "replay_versions",
    "rollback",
    "sign_proposal",
    "summarise_run",
    "verify_signatures",
    "write_dossiers",
    "write_packet",
]

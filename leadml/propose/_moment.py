"""Attributes that may have been written after the handoff: what gains by them alone is not proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import used_attributes
from leadml.leads import audit_leads
from leadml.propose._guard import Guardrail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import AuditFinding
    from leadml.propose._review import Review

    Places = NDArray[np.intp]

__all__ = ["check_moment"]

# Traces of when a value was written. That it predicts very well is none: good criteria do.
_WRITTEN_LATE = frozenset(
    {
        "duration_column",
        "event_state",
        "filled_after_outcome",
        "leakage_single_column",
        "outcome_duration",
        "target_rate_column",
    }
)
_FILLED_BY_OUTCOME = "missingness_gives_outcome_away"
_MORE_OFTEN = 0.05


def check_moment(
    review: Review, definitions: Iterable[Definition], gained: Places, lost: Places
) -> Guardrail | None:
    """Check that a change does not live on values that were written after the handoff.

    The audit sees in the values when they were written. An attribute that reps fill in while they work a lead
    makes the leads look good that have it, and with them every change, of whatever criterion, that brings
    such leads in or takes away those without it; a change the other way round is only harder to show. Other
    traces (filled only after the outcome, a duration until it, a rate computed from it) hold back whatever
    tests the attribute. A warning of the audit holds nothing back where the definition or the contract says
    when the attribute is known (`known_at`), for then somebody has looked; an error always does.

    Parameters
    ----------
    review : Review
    definitions : iterable of Definition
        The written definition and the changed one.
    gained, lost : ndarray of int
        Leads that the change moves.

    Returns
    -------
    Guardrail or None
        None where no attribute is suspected.
    """
    used = frozenset[str]().union(*(used_attributes(definition) for definition in definitions))
    said = {each.name for each in review.definition.attributes if each.known_at is not None}
    said |= {each.name for each in review.table.contract.columns if each.known_at is not None}
    held: dict[str, str] = {}
    trusted: dict[str, str] = {}
    for finding in audit_leads(review.table).findings:
        late = finding.code in _WRITTEN_LATE and finding.column in used
        filled = finding.code == _FILLED_BY_OUTCOME and _lives_on_it(review, finding, gained, lost)
        if finding.column is not None and (late or filled):
            excused = finding.severity != "error" and finding.column in said
            (trusted if excused else held).setdefault(finding.column, finding.message)
    if held:
        words = (
            f"it rests on what may be written only after the handoff. {_list(held)} If it is known at the "
            "handoff, declare `known_at`; otherwise take its value at the handoff from a history table"
        )
    elif trusted:
        words = f"declared as known at the handoff, though the leads look otherwise. {_list(trusted)}"
    else:
        return None
    return Guardrail(name="known at the handoff", kept=not held, words=words)


def _lives_on_it(review: Review, finding: AuditFinding, gained: Places, lost: Places) -> bool:
    """Whether a change brings in leads that are filled in more often than others, or takes the rest away."""
    filled = review.table.frame[finding.column].notna().to_numpy().astype(np.float64)
    if finding.evidence["rate_filled"] < finding.evidence["rate_missing"]:
        filled = 1.0 - filled
    usual = float(filled.mean())
    brings = len(gained) > 0 and float(filled[gained].mean()) > usual + _MORE_OFTEN
    takes = len(lost) > 0 and float(filled[lost].mean()) < usual - _MORE_OFTEN
    return brings or takes


def _list(found: Mapping[str, str]) -> str:
    return "; ".join(f"`{name}`: {message}" for name, message in sorted(found.items()))

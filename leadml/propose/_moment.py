"""Attributes that may have been written after the handoff: what gains by them alone is not proposed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import used_attributes
from leadml.propose._guard import Guardrail
from leadml.propose._leads import compare_handoff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import AuditFinding
    from leadml.propose._review import Review

    Counts = NDArray[np.int64]

__all__ = ["check_moment"]

# Traces of when a value was written. That it predicts very well is none: good criteria do.
_WRITTEN_LATE = frozenset(
    {
        "duration_column",
        "event_state",
        "filled_after_outcome",
        "filled_by_sales",
        "leakage_single_column",
        "outcome_duration",
        "outcome_in_text",
        "target_rate_column",
        "target_score",
    }
)
_FILLED_BY_OUTCOME = "missingness_gives_outcome_away"
_MORE_OFTEN = 0.05


def check_moment(review: Review, revised: Definition) -> Guardrail | None:
    """Check that a change does not live on values that were written after the handoff.

    The audit sees in the values when they were written. An attribute that reps fill in while they work a lead
    makes the leads look good that have it, and with them every change, of whatever criterion, that brings
    such leads in or takes away those without it; a change the other way round is only harder to show. Other
    traces (filled only by Sales or after the outcome, a duration until it, a rate or a score computed from
    it, words on how it went) hold back whatever tests the attribute. A warning of the audit holds nothing
    back where the definition or the contract says when the attribute is known (`known_at`), for then somebody
    has looked; an error always does.

    Parameters
    ----------
    review : Review
    revised : Definition
        The changed definition.

    Returns
    -------
    Guardrail or None
        None where no attribute is suspected.
    """
    used = used_attributes(review.definition) | used_attributes(revised)
    said = {each.name for each in review.definition.attributes if each.known_at is not None}
    said |= {each.name for each in review.table.contract.columns if each.known_at is not None}
    held: dict[str, str] = {}
    trusted: dict[str, str] = {}
    findings = review.find_leaks()
    names = tuple(sorted({str(each.column) for each in findings if each.code == _FILLED_BY_OUTCOME}))
    counts = np.sum(review.gather(partial(_count_filled, revised, names)), axis=0)
    shares = dict(zip(names, counts, strict=True))
    for finding in findings:
        late = finding.code in _WRITTEN_LATE and finding.column in used
        filled = finding.code == _FILLED_BY_OUTCOME and _lives_on_it(finding, shares[str(finding.column)])
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


def _count_filled(revised: Definition, names: tuple[str, ...], review: Review) -> Counts:
    """Count, for each column, the leads that are filled in and all of them: of all, of those gained, lost."""
    gained, lost = compare_handoff(review, revised) if names else (slice(0), slice(0))
    counts = np.zeros((len(names), 3, 2), np.int64)
    for place, name in enumerate(names):
        filled = review.table.frame[name].notna().to_numpy()
        counts[place] = [(rows.sum(), len(rows)) for rows in (filled, filled[gained], filled[lost])]
    return counts


def _lives_on_it(finding: AuditFinding, counts: Counts) -> bool:
    """Whether a change brings in leads that are filled in more often than others, or takes the rest away."""
    filled, n = counts.T
    if finding.evidence["rate_filled"] < finding.evidence["rate_missing"]:
        filled = n - filled
    usual, brought, taken = (float(k) / size if size else 0.0 for k, size in zip(filled, n, strict=True))
    brings = n[1] > 0 and brought > usual + _MORE_OFTEN
    takes = n[2] > 0 and taken < usual - _MORE_OFTEN
    return bool(brings or takes)


def _list(found: Mapping[str, str]) -> str:
    return "; ".join(f"`{name}`: {message}" for name, message in sorted(found.items()))

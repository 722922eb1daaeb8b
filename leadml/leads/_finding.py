"""What an audit says: findings and the report that holds them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AuditFinding", "AuditReport", "Severity", "share", "show_level"]

Severity = Literal["error", "warning", "note"]
_ORDER = {"error": 0, "warning": 1, "note": 2}
_SHOWN_FROM = 5
_PRIVATE = re.compile(r"@|\d{6,}|https?:")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One thing about the leads that would mislead a reader or a model.

    Parameters
    ----------
    code : str
        Stable name of the check.
    severity : {"error", "warning", "note"}
        An error makes results wrong; a warning may; a note is worth knowing.
    column : str or None
        The contract's column, None for the leads as a whole.
    message : str
        What was found and what to do.
    evidence : Mapping of str
        The numbers behind it.
    """

    code: str
    severity: Severity
    column: str | None
    message: str
    evidence: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the finding in the shape of ``leadml audit --json``."""
        return {
            "code": self.code,
            "severity": self.severity,
            "column": self.column,
            "message": self.message,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AuditReport:
    """Everything an audit found, errors first.

    Parameters
    ----------
    findings : tuple of AuditFinding
        Sorted by severity, column and code.
    n_leads, n_columns : int
        Size of what was audited.
    """

    findings: tuple[AuditFinding, ...] = field(repr=False)
    n_leads: int
    n_columns: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finding: ``code``, ``severity``, ``column``, ``message``, ``evidence``."""
        rows = [finding.to_dict() for finding in self.findings]
        return pd.DataFrame(rows, columns=["code", "severity", "column", "message", "evidence"])

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"findings": [...]}``, the shape of ``leadml audit --json``."""
        return {"findings": [finding.to_dict() for finding in self.findings]}

    def columns(self, code: str) -> tuple[str, ...]:
        """Return the columns in which `code` was found."""
        return tuple(finding.column for finding in self.findings if finding.code == code and finding.column)

    def __repr__(self) -> str:
        counts = [sum(finding.severity == severity for finding in self.findings) for severity in _ORDER]
        lines = [
            (
                f"AuditReport: {self.n_leads:,} leads, {self.n_columns} columns:"
                f" {counts[0]} errors, {counts[1]} warnings, {counts[2]} notes"
            )
        ]
        for finding in self.findings[:8]:
            place = f" [{finding.column}]" if finding.column else ""
            lines.append(f"  {finding.severity}{place} {finding.code}: {finding.message}"[:160])
        if len(self.findings) > 8:
            lines.append(f"  … and {len(self.findings) - 8} more; see .to_frame()")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        frame = self.to_frame().drop(columns="evidence")
        return f"<pre>{html.escape(repr(self).splitlines()[0])}</pre>{frame.to_html(index=False, border=0)}"


def sort_findings(findings: list[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Order findings by severity, column and code."""
    return tuple(
        sorted(findings, key=lambda each: (_ORDER[each.severity], each.column or "", each.code, each.message))
    )


def show_level(level: object, count: int) -> str:
    """Return a level as a message may show it; rare or private-looking ones only as their shape."""
    from leadml.leads._csv import mask

    text = str(level)
    return text if count >= _SHOWN_FROM and not _PRIVATE.search(text) and len(text) <= 60 else mask(text)


def share(value: float) -> str:
    """Write a share as a percentage."""
    return f"{100.0 * value:.1f} %"

"""What the linter found: findings and their table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadml.definitions._rules import RULES

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    import pandas as pd

    from leadml.definitions._rules import Severity

__all__ = ["Finding", "LintReport"]

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of the linter.

    Parameters
    ----------
    code : str
        The rule, see `describe_rules`.
    severity : {"error", "warning", "note"}
        How bad it is.
    line : int
        Line of the definition file; 0 if it is about the file as a whole.
    criterion : str or None
        Address of the criterion, or the name of the class or attribute.
    message : str
        What is wrong.
    fix : str
        What to do about it.
    witness : str or None
        A lead that shows it, in words.
    lead : tuple of (attribute, value)
        The same lead as values; None stands for missing, attributes that do not matter are left out.
    """

    code: str
    severity: Severity
    line: int
    criterion: str | None
    message: str
    fix: str
    witness: str | None = None
    lead: tuple[tuple[str, Decimal | str | bool | None], ...] = ()

    @property
    def why(self) -> str:
        """Why this matters: the explanation of the rule."""
        return RULES[self.code].why


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LintReport:
    """Everything the linter found in one definition, in the order of the file.

    Parameters
    ----------
    name, version, source : str
        Which definition.
    as_of : date
        The day it was looked at.
    findings : tuple of Finding
        In the order of the file.
    """

    name: str
    version: str
    source: str
    as_of: date
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Count the findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, list[dict[str, str | int | None]]]:
        """Return the findings as plain data: code, severity, line, criterion, message, fix, witness."""
        return {
            "findings": [
                {
                    "code": finding.code,
                    "severity": finding.severity,
                    "line": finding.line,
                    "criterion": finding.criterion,
                    "message": finding.message,
                    "fix": finding.fix,
                    "witness": finding.witness,
                }
                for finding in self.findings
            ]
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finding: code, severity, line, criterion, message, fix, witness."""
        import pandas as pd

        names = ["code", "severity", "line", "criterion", "message", "fix", "witness"]
        return pd.DataFrame(self.to_dict()["findings"], columns=names)

    def _headline(self) -> str:
        counts = [
            (self.count("error"), "error"),
            (self.count("warning"), "warning"),
            (self.count("note"), "note"),
        ]
        said = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts if number)
        return f"{self.name} {self.version}: {said or 'nothing found'}"

    def __repr__(self) -> str:
        worst = sorted(self.findings, key=lambda finding: (_ORDER[finding.severity], finding.line))
        lines = [f"  line {item.line}: {item.severity} {item.code}: {item.message}" for item in worst[:8]]
        if len(worst) > 8:
            lines.append(f"  … and {len(worst) - 8} more")
        return "\n".join([self._headline(), *lines])

    def _repr_html_(self) -> str:
        from leadml._render import render_card, render_frame

        return str(render_card(self._headline(), [render_frame(self.to_frame())]))

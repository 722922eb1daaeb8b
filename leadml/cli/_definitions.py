"""Commands about the written definition: lint."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadml.cli._output import AsOf, DefinitionFile, Json, as_day, finish, print_json

if TYPE_CHECKING:
    from leadml.definitions import LintReport

__all__ = ["add_commands"]


def lint(
    definition: DefinitionFile,
    contract: Annotated[
        Path | None,
        typer.Option(
            "--contract", metavar="CONTRACT", help="Check the attributes against these leads' columns."
        ),
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Check that two people cannot read the definition two ways.

    Exit code 1 if there is an error or a warning, 65 if the file cannot be read at all.
    """
    from leadml.definitions import lint_definition, load_definition

    attributes = None
    if contract is not None:
        from leadml.leads import load_contract

        attributes = load_contract(contract).attributes()
    day = as_day(as_of) or datetime.now().astimezone().date()
    report = lint_definition(load_definition(definition), contract_attributes=attributes, as_of=day)
    if json:
        print_json(report.to_dict())
    else:
        print(_describe(report, definition))
    finish(found=sum(finding.severity != "note" for finding in report.findings))


def _describe(report: LintReport, path: Path) -> str:
    lines = []
    for finding in report.findings:
        lines.append(f"{path}:{finding.line}: {finding.severity} {finding.code}: {finding.message}")
        if finding.fix:
            lines.append(f"    fix: {finding.fix}")
        if finding.witness:
            lines.append(f"    for example: {finding.witness}")
    counts = {kind: sum(f.severity == kind for f in report.findings) for kind in ("error", "warning", "note")}
    said = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count)
    lines.append(f"{path}: {said or 'nothing found'}")
    return "\n".join(lines)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(lint)

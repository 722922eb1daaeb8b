"""Commands about the leads: ingest, audit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadml.cli._output import AsOf, ContractFile, Json, Leads, RandomState, as_day, finish, print_json

if TYPE_CHECKING:
    from leadml.leads import AuditReport, LeadTable

__all__ = ["add_commands"]


def ingest(
    contract: ContractFile,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where the kept leads go (.csv or .parquet).")
    ],
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="FILE", help="Where damaged rows are listed, masked (.csv)."),
    ] = None,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
    _random_state: RandomState = 0,
) -> None:
    """Read an export by its contract: typed columns out, damaged rows in quarantine, every row counted.

    Exit code 3 if rows are in quarantine, 4 if too many are (then nothing is written but the quarantine).
    """
    from leadml.errors import QuarantineError
    from leadml.leads import load_contract, read_leads, write_leads, write_quarantine

    try:
        table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    except QuarantineError as error:
        if quarantine is not None and error.quarantine is not None:
            write_quarantine(error.quarantine, quarantine)
            error.add_note(f"The damaged rows are listed in {quarantine}.")
        raise
    write_leads(table, output)
    if quarantine is not None:
        write_quarantine(table.quarantine, quarantine)
    if json:
        print_json(table.to_dict())
    else:
        print(_describe(table))
        print(f"kept leads: {output}")
    finish(quarantined=table.manifest.quarantined)


def _describe(table: LeadTable) -> str:
    rows = table.manifest
    lines = [f"{rows.read:,} rows read = {rows.kept:,} kept + {rows.quarantined:,} quarantined"]
    lines[0] += f" + {rows.duplicates:,} duplicates"
    broken = Counter((row["table"], row["column"], row["rule"]) for row in table.to_dict()["quarantine"])
    for (name, column, rule), count in sorted(broken.items(), key=str):
        lines.append(
            f"  quarantined: {count:,} in {name}" + (f", column {column}" if column else "") + f": {rule}"
        )
    lines += [f"  note: {notice}" for notice in rows.notices]
    return "\n".join(lines)


def audit(
    contract: ContractFile,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
    _random_state: RandomState = 0,
) -> None:
    """Look for what would make a conclusion from these leads wrong: leaks, censoring, batches.

    Exit code 1 if there is an error or a warning.
    """
    from leadml.leads import audit_leads, load_contract, read_leads

    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    report = audit_leads(table)
    if json:
        print_json(report.to_dict())
    else:
        print(_describe(table))
        print(_describe_audit(report))
    serious = sum(finding.severity != "note" for finding in report.findings)
    finish(found=serious, quarantined=table.manifest.quarantined)


def _describe_audit(report: AuditReport) -> str:
    lines = []
    for finding in report.findings:
        place = f" ({finding.column})" if finding.column else ""
        lines.append(f"{finding.severity} {finding.code}{place}: {finding.message}")
    return "\n".join(lines or ["nothing found"])


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(ingest)
    app.command()(audit)

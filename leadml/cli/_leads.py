"""Commands about the leads: ingest, audit, funnel."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadml.cli._output import (
    AsOf,
    ContractFile,
    Json,
    Leads,
    RandomState,
    UsageError,
    as_day,
    finish,
    print_json,
    row_counter,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from leadml.leads import AuditReport, FunnelReport, IngestReport, LeadTable

__all__ = ["add_commands"]


def ingest(
    contract: Annotated[
        Path | None,
        typer.Argument(metavar="[CONTRACT]", help="The leads contract (YAML).", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where the kept leads go (.csv or .parquet)."),
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="FILE", help="Where damaged rows are listed, masked (.csv)."),
    ] = None,
    leads: Leads = None,
    propose: Annotated[
        str | None,
        typer.Option(
            "--propose",
            metavar="EXPORT",
            help="Write a first contract for this export (FILE, FILE#SHEET, URL#TABLE) instead.",
        ),
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
    _random_state: RandomState = 0,
) -> None:
    """Read an export by its contract.

    Typed columns out, damaged rows in quarantine, every row counted.

    Exit code 3 if rows are in quarantine, 4 if too many are (then nothing is written but the quarantine).
    With --propose EXPORT no contract is needed: a first one is printed (or written to --output), and exit
    code 1 says that it has places to confirm.
    """
    if propose is not None:
        _propose_contract(propose, output, json=json)
        return
    if contract is None or output is None:
        raise UsageError("ingest: expected CONTRACT and --output FILE, or --propose EXPORT.")
    from leadml.errors import QuarantineError
    from leadml.leads import ingest_leads, load_contract

    try:
        with row_counter("reading") as progress:
            report = ingest_leads(
                load_contract(contract),
                output=output,
                quarantine=quarantine,
                leads=leads,
                as_of=as_day(as_of),
                progress=progress,
            )
    except QuarantineError as error:
        if quarantine is not None:
            error.add_note(f"The damaged rows are listed in {quarantine}.")
        raise
    if json:
        print_json(report.to_dict())
    else:
        print(_describe(report))
        print(f"kept leads: {output}")
    finish(rows=report.manifest)


def _propose_contract(export: str, output: Path | None, *, json: bool) -> None:
    from leadml._files import write_text
    from leadml.leads import propose_contract

    found = propose_contract(export)
    if output is not None:
        write_text(output, found.text)
    if json:
        findings = [{"column": column, "confirm": words} for column, words in found.findings]
        print_json({"contract": found.text, "findings": findings})
    elif output is None:
        print(found.text, end="")
    else:
        print(f"a first contract: {output}")
        print("\n".join(f"  confirm {column}: {words}" for column, words in found.findings))
    finish(found=len(found.findings))


def funnel(
    contract: ContractFile,
    by: Annotated[
        str, typer.Option("--by", metavar="COLUMN", help="period, rep, or a column of the leads.")
    ] = "period",
    limit_days: Annotated[
        int, typer.Option("--limit-days", min=1, help="Days within which a lead should have an answer.")
    ] = 2,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Follow the leads from capture to deal.

    Captured, handed over, answered by Sales, won, and how long each took; why leads were rejected, and what
    became of those that came back.

    Only leads old enough to have an answer count in a rate; reps are numbered, groups under 20 are hidden.
    """
    from leadml.errors import LeadsError
    from leadml.leads import compute_funnel, find_recycled, load_contract, read_leads, summarise_reasons

    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    report = compute_funnel(table, by=by, limit_days=limit_days)
    more: dict[str, pd.DataFrame | None] = {"reasons": None, "recycled": None}
    for name, compute in (("reasons", summarise_reasons), ("recycled", find_recycled)):
        with suppress(LeadsError):  # leads without reasons, accounts or dates have no such part
            more[name] = compute(table)
    reasons, recycled = more["reasons"], more["recycled"]
    if json:
        document = {"funnel": _records(report.to_frame())}
        if reasons is not None:
            document["reasons"] = _records(reasons)
        if recycled is not None:
            document["recycled"] = _records(_fates(recycled))
        print_json(document)
    else:
        print("\n".join(_describe_funnel(report)))
        print("\n".join(_describe_sides(reasons, recycled)), end="")
    finish(rows=table.manifest)


def _records(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _describe_funnel(report: FunnelReport) -> list[str]:
    """Write the funnel as a table of one line per group, with ranges and how fast Sales was."""
    limit = f"in {report.limit_days} d"
    head = ("", "captured", "handed", "accepted of matured", "won of matured", "verdict", limit)
    rows = [(*head, "unworked", "won after", "too young")]
    rows += [
        (
            str(row["group"]),
            f"{row['captured']:,}",
            f"{row['handed_over']:,}",
            _rate(row, "accepted"),
            _rate(row, "won"),
            _days(row["days_to_verdict"]),
            "–" if math.isnan(row["in_time"]) else f"{row['in_time']:.0%}",
            "–" if math.isnan(row["unworked"]) else f"{row['unworked']:,.0f}",
            _days(row["days_to_won"]),
            f"{row['too_young']:,}",
        )
        for row in report.frame.to_dict("records")
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head) + 3)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]
    last = "Ranges: 95 %. verdict, won after: median days from the handoff, else from the capture."
    last += f" unworked: {report.limit_days} days old or more, no verdict."
    if (
        len(report.frame)
        and report.frame["in_time"].isna().all()
        and not report.frame["unworked"].isna().all()
    ):
        last += f" in {report.limit_days} d: not known, too few verdicts have a date."
    if report.hidden:
        last += f" {report.hidden} groups under 20 leads are not shown."
    return [f"funnel by {report.by}", *lines, last]


def _rate(row: dict[Hashable, Any], name: str) -> str:
    n = row[f"{name}_n"]
    if not n:
        return "–"
    rate, low, high = (100 * row[f"{name}_{each}"] for each in ("rate", "low", "high"))
    return f"{rate:.1f} % ({low:.1f}–{high:.1f}) of {n:,}"


def _days(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f} d"


def _fates(recycled: pd.DataFrame) -> pd.DataFrame:
    """Count what became of the leads that came back: one row per verdict and outcome."""
    names = [name for name in ("verdict", "outcome") if name in recycled.columns]
    return recycled.groupby(names).size().rename("n").reset_index() if names else recycled.head(0)


def _describe_sides(reasons: pd.DataFrame | None, recycled: pd.DataFrame | None) -> list[str]:
    lines = []
    if reasons is not None and reasons["n"].sum():
        shown = reasons[reasons["n"] >= 20]
        parts = [
            f"{family} {share:.0%}" + (" (counts against the definition)" if counts else "")
            for family, share, counts in zip(
                shown["family"], shown["share"], shown["counts_against"], strict=True
            )
        ]
        parts += [f"{int(reasons['n'].sum() - shown['n'].sum())} other"] if len(shown) < len(reasons) else []
        lines.append("rejected for: " + ", ".join(parts))
    if recycled is not None:
        text = f"recycled: {len(recycled):,} leads of accounts that had been rejected or lost before"
        if len(recycled) >= 20:
            fates = [
                f"{count:,} {fate}"
                for name in ("verdict", "outcome")
                if name in recycled.columns
                for fate, count in recycled[name].value_counts().items()
                if count
            ]
            text += f" (later: {', '.join(fates)})"
        lines.append(text)
    return [*lines, ""] if lines else []


def _describe(table: LeadTable | IngestReport) -> str:
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
    """Look for what makes the leads misleading.

    Leaks, censoring, batches, contradictions: whatever would make a conclusion from them wrong.

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
    finish(found=serious, rows=table.manifest)


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
    app.command()(funnel)

"""Commands about the written definition: lint, diff, document, compile."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from leadml.cli._output import AsOf, DefinitionFile, Json, Leads, UsageError, as_day, finish, print_json

if TYPE_CHECKING:
    from leadml.definitions import Definition, LeadsDiff, LintReport

__all__ = ["add_commands"]


def lint(
    definition: DefinitionFile,
    contract: Annotated[
        Path | None,
        typer.Option(
            "--contract", metavar="CONTRACT", help="Check the attributes against these leads' columns."
        ),
    ] = None,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Check that nobody can read the definition two ways.

    With --contract its attributes are checked against the columns, with --leads FILE against the leads too.
    Exit code 1 if there is an error or a warning, 65 if the file cannot be read at all.
    """
    from leadml.definitions import lint_definition, load_definition

    written = load_definition(definition)
    day = as_day(as_of) or datetime.now().astimezone().date()
    looked_at = _columns_and_leads(contract, leads, as_of=as_of)
    report = lint_definition(written, as_of=day, **looked_at)
    if json:
        print_json(report.to_dict())
    else:
        print(_describe(report, definition))
    finish(found=sum(finding.severity != "note" for finding in report.findings))


def _columns_and_leads(contract: Path | None, leads: str | None, *, as_of: str | None) -> dict[str, Any]:
    """Return what a definition can be checked against: the contract's columns, and the leads if named."""
    if contract is None:
        if leads is not None:
            raise UsageError("--leads: name the contract that reads them as well, with --contract.")
        return {}
    from leadml.leads import compute_targets, load_contract, read_leads

    columns = load_contract(contract)
    if leads is None:
        return {"contract_attributes": columns.attributes()}
    table = read_leads(columns, leads=leads, as_of=as_day(as_of))
    targets = compute_targets(table)
    return {
        "contract_attributes": columns.attributes(),
        "leads": table.frame,
        "accepted": targets["accepted"],
        "won": targets["won"],
    }


def _describe(report: LintReport, path: Path) -> str:
    lines = []
    for finding in report.findings:
        lines.append(f"{path}:{finding.line}: {finding.severity} {finding.code}: {finding.message}")
        if finding.fix:
            lines.append(f"    fix: {finding.fix}")
        if finding.witness and finding.witness[1:] not in finding.message:
            lines.append(f"    for example: {finding.witness}")
    counts = {kind: sum(f.severity == kind for f in report.findings) for kind in ("error", "warning", "note")}
    said = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count)
    lines.append(f"{path}: {said or 'nothing found'}")
    return "\n".join(lines)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A definition (YAML).", show_default=False)],
    new: Annotated[
        Path, typer.Argument(metavar="NEW", help="Its next version, or another team's.", show_default=False)
    ],
    contract: Annotated[
        Path | None,
        typer.Option("--contract", metavar="CONTRACT", help="Also count the leads that change class."),
    ] = None,
    leads: Leads = None,
    segment: Annotated[
        str | None, typer.Option("--segment", metavar="COLUMN", help="Count them by this column as well.")
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Say what differs between two definitions.

    In words, proved over all leads that can be, and on the leads of --contract.

    Exit code 1 if any lead can change its class.
    """
    from leadml.definitions import diff_definitions, load_definition

    before, after = load_definition(old), load_definition(new)
    found = diff_definitions(before, after)
    document = found.to_dict()
    lines = [f"{found.old} → {found.new}", *(f"  {entry.words}" for entry in found.entries)]
    lines += [f"  {item.words}" for item in found.classes if item.effect != "same"]
    if not found.entries:
        lines.append("  nothing differs")
    if contract is not None:
        on_leads = _diff_on_leads(before, after, contract, leads=leads, segment=segment, as_of=as_of)
        document["leads"] = on_leads.to_dict()
        lines += ["", repr(on_leads), "", _transitions(on_leads), "", *_examples(on_leads)]
    if json:
        print_json(document)
    else:
        print("\n".join(lines))
    finish(found=found.changes_leads)


def _diff_on_leads(
    old: Definition,
    new: Definition,
    contract: Path,
    *,
    leads: str | None,
    segment: str | None,
    as_of: str | None,
) -> LeadsDiff:
    from leadml.definitions import diff_on_leads
    from leadml.leads import compute_targets, load_contract, read_leads

    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    if segment is not None and segment not in table.frame.columns:
        raise UsageError(f"--segment: expected one of {', '.join(table.frame.columns)}; got {segment!r}.")
    targets = compute_targets(table)
    return diff_on_leads(
        old,
        new,
        table.frame,
        accepted=targets["accepted"],
        won=targets["won"],
        segment=segment,
        interval=_interval,
        as_of=table.as_of,
    )


def _interval(k: int, n: int) -> tuple[float, float]:
    from leadml.metrics import clopper_pearson

    low, high = clopper_pearson(k, n)
    return float(low), float(high)


def _transitions(on_leads: LeadsDiff) -> str:
    from leadml._render import format_count, format_rate, text_table

    rows = []
    for row in on_leads.to_frame().to_dict("records"):
        if row["old_class"] != row["new_class"]:
            rates = [
                f"{format_rate(row[f'rate_{target}'])} of {format_count(row[f'n_{target}'])}"
                if row[f"n_{target}"]
                else "not known"
                for target in ("accepted", "won")
            ]
            count = format_count(row["n"])
            rows.append([row["segment"], row["old_class"], row["new_class"], count, *rates])
    return text_table(["leads", "from", "to", "n", "accepted", "won"], rows, align="lllrrr", width=100)


def _examples(on_leads: LeadsDiff) -> list[str]:
    """Say some of the leads that change hands, in the words of the attributes; no id, no person."""
    rows = on_leads.examples.astype("str").to_dict("records")
    lines = [f"  {row['old_class']} → {row['new_class']}: {row['lead']}" for row in rows]
    return ["for example:", *lines] if lines else []


def document(
    definition: DefinitionFile,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", metavar="DEFINITION", help="Also say what changed since then."),
    ] = None,
    style: Annotated[
        Literal["html", "markdown"] | None,
        typer.Option(
            "--format", help="html or markdown [default: by the ending of --output, else markdown]."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there instead of printing it.")
    ] = None,
) -> None:
    """Write the page that the team pins to the wall.

    Classes, thresholds, owners and the questions a form must ask, in plain words.
    """
    from leadml._files import write_text
    from leadml.definitions import document_definition, load_definition

    chosen = style or ("html" if output is not None and output.suffix in {".html", ".htm"} else "markdown")
    page = document_definition(
        load_definition(definition),
        previous=None if previous is None else load_definition(previous),
        format=chosen,
    )
    if output is None:
        print(page, end="")
        return
    write_text(output, page)
    print(f"{definition} in plain words: {output}")


def compile_(
    definition: DefinitionFile,
    dialect: Annotated[
        Literal["duckdb", "postgres", "snowflake", "bigquery", "spark"],
        typer.Option("--dialect", help="Whose SQL."),
    ] = "duckdb",
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="The table of leads.")] = "leads",
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="Return this column; repeat it [default: all]."),
    ] = None,
    as_of: AsOf = None,
    with_score: Annotated[
        bool,
        typer.Option("--with-score", help="Give the probabilities too, from additive models of --bundle."),
    ] = False,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="BUNDLE", help="The model bundle.")
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="SHA256", help="The bundle's digest [default: the one beside it]."),
    ] = None,
    target: Annotated[
        Literal["accepted", "won"] | None,
        typer.Option("--target", help="This probability only [default: both]."),
    ] = None,
) -> None:
    """Print the definition as SQL.

    A SELECT that gives every lead in the warehouse the class that it has here; with --with-score, --bundle
    and --column ID its probabilities too, where the models are logistic or explainable boosting machines.
    """
    from leadml.definitions import compile_sql, load_definition

    written = load_definition(definition)
    if not with_score:
        if bundle is not None or target is not None or digest is not None:
            raise UsageError("--bundle, --digest, --target: say --with-score as well.")
        query = compile_sql(written, dialect=dialect, table=table, columns=column or (), as_of=as_day(as_of))
        print(query)
        return
    if bundle is None or not column:
        raise UsageError(
            "--with-score: name the model bundle with --bundle, and with --column the lead's id."
        )
    from leadml.scoring import compile_score_sql

    query = compile_score_sql(
        written,
        bundle,
        columns=column,
        dialect=dialect,
        table=table,
        as_of=as_day(as_of),
        targets=() if target is None else (target,),
        digest=digest,
    )
    print(query)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(lint)
    app.command()(diff)
    app.command()(document)
    app.command(name="compile")(compile_)

"""The audit of the closed loop: what would mislead a model or a reader, found from the data alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.leads._audit_changes import audit_changes
from leadml.leads._audit_kinds import audit_kinds
from leadml.leads._audit_labels import audit_labels
from leadml.leads._audit_leaks import audit_leaks
from leadml.leads._audit_repeats import audit_repeats
from leadml.leads._audit_time import audit_time
from leadml.leads._audit_values import audit_values
from leadml.leads._finding import AuditFinding, AuditReport, sort_findings
from leadml.leads._table import LeadTable, Manifest
from leadml.leads._targets import compute_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["AuditFinding", "AuditReport", "audit_leads", "find_late_columns", "find_leaks"]

_TELLS_BY_MISSING = frozenset({"missingness_gives_outcome_away", "filled_after_outcome"})


def audit_leads(table: LeadTable, *, as_of: dt.date | None = None) -> AuditReport:
    """Look for what would mislead: leaks, censoring, batches, markers of missing, contradicting labels.

    No column name is built in; every finding rests on values, dates and labels and carries its numbers.

    Parameters
    ----------
    table : LeadTable
        The leads.
    as_of : date, optional
        The day to which ages are counted, by default the table's.

    Returns
    -------
    AuditReport

    Examples
    --------
    >>> from leadml.leads import generate_leads
    >>> table, _ = generate_leads(2000, random_state=0)
    >>> audit_leads(table).columns("leakage_single_column")
    ()
    """
    targets = compute_targets(table, as_of=as_of)
    findings = [_nameless(name, place) for name, place in table.manifest.nameless]
    if table.role("verdict") is None and table.role("outcome") is None:
        findings.append(_unlabelled())
    findings += audit_time(table, targets)
    proxies = {finding.column for finding in findings if finding.code == "date_proxy" and finding.column}
    findings += audit_changes(table, targets, explained=proxies)
    findings += audit_leaks(table, targets, explained=proxies)
    told = {each.column for each in findings if each.code in _TELLS_BY_MISSING and each.column}
    findings += audit_kinds(table, targets, told=told, explained=proxies)
    findings += audit_values(table)
    findings += audit_repeats(table)
    findings += audit_labels(table, targets)
    return AuditReport(
        findings=sort_findings(findings), n_leads=len(table.frame), n_columns=len(table.frame.columns)
    )


def find_leaks(table: LeadTable, targets: pd.DataFrame) -> tuple[AuditFinding, ...]:
    """Find the attributes that tell a label better than anything known at the handoff can.

    This part of `audit_leads` looks at one attribute at a time: of a table with some of the attributes it
    finds what it finds there of all of them. An attribute that only follows the calendar is not excused.

    Parameters
    ----------
    table : LeadTable
        The leads.
    targets : DataFrame
        From `compute_targets`.

    Returns
    -------
    tuple of AuditFinding
        Sorted as in an `AuditReport`.
    """
    return sort_findings(list(audit_leaks(table, targets)))


def find_late_columns(
    table: LeadTable, targets: pd.DataFrame, *, rows: NDArray[np.bool_] | None = None
) -> dict[str, str]:
    """Find the attributes that can only have been written after the outcome (errors of `find_leaks`).

    Parameters
    ----------
    table : LeadTable
        The leads.
    targets : DataFrame
        From `compute_targets`.
    rows : ndarray of bool of shape (n_leads,), optional
        The leads to look at, by default all.

    Returns
    -------
    dict of str to str
        Attribute: what gives it away.
    """
    seen = np.ones(len(targets), bool) if rows is None else rows
    there = tuple(column for column in table.contract.columns if column.name in table.frame.columns)
    part = LeadTable(
        frame=table.frame[seen],
        contract=replace(table.contract, columns=there),
        manifest=Manifest(read=int(seen.sum()), kept=int(seen.sum()), quarantined=0, duplicates=0),
        quarantine=pd.DataFrame(),
        as_of=dt.date.max,
    )
    return {
        finding.column: finding.message
        for finding in find_leaks(part, targets[seen])
        if finding.severity == "error" and finding.column is not None
    }


def _unlabelled() -> AuditFinding:
    return AuditFinding(
        code="no_labels",
        severity="warning",
        column=None,
        message="no column has role `verdict` or `outcome`: what needs to know what became of the leads"
        " (leaks, missing values that tell it, batches, young leads, reps) was not looked for.",
        evidence={},
    )


def _nameless(table: str, place: int) -> AuditFinding:
    return AuditFinding(
        code="nameless_column",
        severity="note",
        column=None,
        message=f"column {place} of {table} has no name and cannot be used: a separator too many in every"
        " line, or a name that was lost. Look at the file.",
        evidence={"table": table, "place": place},
    )

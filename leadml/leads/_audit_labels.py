"""Labels that depend on who gave them, or contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.leads._finding import AuditFinding, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadml.leads._table import LeadTable

__all__ = ["audit_labels"]

_LEAST_GROUP = 20


def audit_labels(table: LeadTable, targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield findings about verdicts and outcomes themselves."""
    yield from _contradictions(table)
    yield from _reps(table, targets)
    yield from _one_sided(table)


def _contradictions(table: LeadTable) -> Iterator[AuditFinding]:
    verdict, reason = table.role("verdict"), table.role("reason")
    column = table.contract.column_by_role("reason")
    if reason is None or column is None:
        return
    given = reason.notna().to_numpy()
    for role, positive in (("verdict", "accepted"), ("outcome", "won")):
        labels = table.role(role)
        if labels is None:
            continue
        mine = (labels == positive).to_numpy()
        both = int((mine & given).sum())
        if both:
            yield AuditFinding(
                code="verdict_contradicts_reason",
                severity="warning",
                column=column.name,
                message=f"{both:,} of {int(mine.sum()):,} {positive} leads carry a reason why they were"
                " rejected: the reason is older than the verdict, or one of the two is wrong.",
                evidence={"n": both, "of": int(mine.sum()), "label": positive},
            )
    if verdict is None:
        return
    rejected = (verdict == "rejected").to_numpy()
    silent = int((rejected & ~given).sum())
    if rejected.sum() >= _LEAST_GROUP and silent >= 0.2 * rejected.sum():
        yield AuditFinding(
            code="rejected_without_reason",
            severity="note",
            column=column.name,
            message=f"{silent:,} of {int(rejected.sum()):,} rejected leads carry no reason.",
            evidence={"n": silent, "of": int(rejected.sum())},
        )


def _reps(table: LeadTable, targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield a warning if verdicts depend on the rep far more than chance allows."""
    rep = table.role("rep")
    column = table.contract.column_by_role("rep")
    if rep is None or column is None:
        return
    for target in ("accepted", "won"):
        y = targets[target].to_numpy(dtype=np.float64)
        known = ~np.isnan(y) & rep.notna().to_numpy()
        codes, names = pd.factorize(rep[known])
        size = np.bincount(codes, minlength=len(names)).astype(float)
        positive = np.bincount(codes, weights=y[known], minlength=len(names))
        large = size >= _LEAST_GROUP
        if large.sum() < 2:
            continue
        n, k = size[large], positive[large]
        pooled = k.sum() / n.sum()
        if pooled in {0.0, 1.0}:
            continue
        chi2 = float(((k - n * pooled) ** 2 / (n * pooled * (1 - pooled))).sum())
        freedom = int(large.sum()) - 1
        cramer = float(np.sqrt(chi2 / n.sum()))
        from scipy.stats import chi2 as distribution

        p_value = float(distribution.sf(chi2, freedom))
        if p_value >= 0.001 or cramer < 0.05:
            continue
        rates = k / n
        yield AuditFinding(
            code="rep_dependent_labels",
            severity="warning",
            column=column.name,
            message=f"between reps the {target} rate goes from {share(rates.min())} to {share(rates.max())}"
            f" (Cramér's V {cramer:.2f}, p {p_value:.1g}): part of the label is who gave it.",
            evidence={
                "target": target,
                "cramers_v": round(cramer, 4),
                "chi2": round(chi2, 2),
                "p_value": p_value,
                "reps": int(large.sum()),
            },
        )


def _one_sided(table: LeadTable) -> Iterator[AuditFinding]:
    """Yield a note if only successes are recorded."""
    for role, good, bad, rest in (
        ("verdict", "accepted", "rejected", "pending"),
        ("outcome", "won", "lost", "open"),
    ):
        labels = table.role(role)
        column = table.contract.column_by_role(role)
        if labels is None or column is None:
            continue
        if (labels == good).any() and not (labels == bad).any() and (labels == rest).any():
            yield AuditFinding(
                code="only_successes_recorded",
                severity="warning",
                column=column.name,
                message=f"{good} is recorded, {bad} never: an old {rest} lead cannot be told from a {bad}"
                " one."
                " Only leads older than the window may count as not " + good + ".",
                evidence={good: int((labels == good).sum()), rest: int((labels == rest).sum())},
            )

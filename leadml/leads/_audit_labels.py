"""Labels that depend on who gave them, or contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.leads._finding import AuditFinding, share
from leadml.metrics import krippendorff_alpha

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadml.leads._table import LeadTable

__all__ = ["audit_labels"]

_LEAST_GROUP = 20
_STRONG = 0.2  # Cramér's V from which reps' reasons are worth talking about
_MOST_RATERS = 10
_RELIABLE = 0.667  # below it Krippendorff (2004) draws not even tentative conclusions


def audit_labels(table: LeadTable, targets: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield findings about verdicts and outcomes themselves."""
    yield from _contradictions(table)
    yield from _reps(table, targets)
    yield from _reasons_of_reps(table)
    yield from _overlap(table)
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


def _reasons_of_reps(table: LeadTable) -> Iterator[AuditFinding]:
    """Yield a warning if reps use the reasons so differently that a word says who chose it."""
    rep, reason = table.role("rep"), table.role("reason")
    column = table.contract.column_by_role("reason")
    if rep is None or reason is None or column is None:
        return
    both = (rep.notna() & reason.notna()).to_numpy()
    used = pd.crosstab(pd.factorize(rep[both])[0], pd.factorize(reason[both])[0]).to_numpy(dtype=np.float64)
    used = used[used.sum(axis=1) >= _LEAST_GROUP]
    used = used[:, used.sum(axis=0) >= _LEAST_GROUP]
    if min(used.shape) < 2:
        return
    from scipy.stats import chi2_contingency

    found = chi2_contingency(used)
    cramer = float(np.sqrt(found.statistic / used.sum() / (min(used.shape) - 1)))
    if found.pvalue >= 0.001 or cramer < _STRONG:
        return
    yield AuditFinding(
        code="rep_dependent_reasons",
        severity="warning",
        column=column.name,
        message=f"reps use its {used.shape[1]} frequent words differently (Cramér's V {cramer:.2f}, p"
        f" {found.pvalue:.1g}, {used.shape[0]} reps): agree on what each word means before counting them.",
        evidence={
            "cramers_v": round(cramer, 4),
            "p_value": float(found.pvalue),
            "reps": int(used.shape[0]),
            "words": int(used.shape[1]),
            "n": int(used.sum()),
        },
    )


def _overlap(table: LeadTable) -> Iterator[AuditFinding]:
    """Yield how far reps agree where several of them judged leads of one account (Krippendorff's alpha)."""
    rep, account, verdict = table.role("rep"), table.role("account"), table.role("verdict")
    column = table.contract.column_by_role("verdict")
    if rep is None or account is None or verdict is None or column is None:
        return
    judged = pd.DataFrame({"account": account, "rep": rep, "accepted": verdict == "accepted"})
    judged = judged[verdict.isin(["accepted", "rejected"])].dropna()
    # One judgement for each rep and account: the first; its place among those of the account is its column.
    judged = judged.drop_duplicates(["account", "rep"])
    judged["place"] = judged.groupby("account", observed=True).cumcount()
    ratings = judged[judged["place"] < _MOST_RATERS].pivot_table(
        index="account", columns="place", values="accepted", observed=True, aggfunc="first"
    )
    ratings = ratings[ratings.notna().sum(axis=1) >= 2].astype("Float64")
    if len(ratings) < _LEAST_GROUP:
        return
    alpha = krippendorff_alpha(ratings.to_numpy(dtype=np.float64, na_value=np.nan))
    if np.isnan(alpha.value):
        return
    split = int((ratings.max(axis=1) != ratings.min(axis=1)).sum())
    doubtful = bool(alpha.ci_high < _RELIABLE)
    yield AuditFinding(
        code="reps_judge_one_account_differently" if doubtful else "reps_judge_one_account_alike",
        severity="warning" if doubtful else "note",
        column=column.name,
        message=f"of {len(ratings):,} accounts judged by two or more reps {split:,} got both verdicts"
        f" (Krippendorff's alpha {alpha.value:.2f}, {alpha.ci_low:.2f} to {alpha.ci_high:.2f}; 1 is full"
        " agreement, 0 is chance): "
        + ("a lead's verdict is partly whose turn it was." if doubtful else "they agree."),
        evidence={
            "alpha": round(alpha.value, 4),
            "alpha_low": round(alpha.ci_low, 4),
            "alpha_high": round(alpha.ci_high, 4),
            "accounts": len(ratings),
            "split": split,
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

"""Attributes that matter and that no criterion uses."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, mannwhitneyu

from leadml._render import format_rate, format_rate_range, format_value
from leadml.compare._rates import TARGETS, Labels, Rate, Target, compute_rate
from leadml.leads import find_late_columns
from leadml.metrics import holm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable

    Mask = NDArray[np.bool_]

__all__ = ["find_unused"]

MIN_LABELLED = 100
MAX_LEVELS = 50
ERROR_RATE = 0.05

_COLUMNS = ("attribute", "target", "n", "strength", "p_value", "p_adjusted", "matters", "reading")


def find_unused(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    handed_over: Mask,
    labels: Mapping[Target, Labels],
) -> pd.DataFrame:
    """Test every attribute that no criterion uses, among the leads that the definition hands over.

    Only handed-over leads are looked at, so that what is found is not what the definition already does.
    What becomes known only after the handoff, or can only have been written after the outcome, is left out.

    Parameters
    ----------
    definition : Definition
        The written definition.
    table : LeadTable
        The leads and their contract.
    targets : DataFrame
        From `leadml.leads.compute_targets`.
    handed_over : ndarray of bool, shape (n_leads,)
        What the definition hands over.
    labels : mapping of target to Labels
        Settled labels.

    Returns
    -------
    DataFrame
        One row per attribute and target: ``n`` labelled, ``strength`` (0 to 1: Cramér's V of levels, or
        twice the distance of the AUC from one half), ``p_value`` (chi-squared or Mann-Whitney),
        ``p_adjusted`` (Holm, per target), ``matters`` (adjusted p at most .05) and a sentence.
    """
    rows: list[dict[str, Any]] = []
    late = find_late_columns(table, targets)
    names = [name for name in _candidates(definition, table) if name not in late]
    for target in TARGETS:
        known = labels[target].known & handed_over
        yes = labels[target].positive
        found = [
            {"attribute": name, "target": target} | tested
            for name in names
            if (tested := _test(table.frame[name], known, yes)) is not None
        ]
        adjusted = holm([row["p_value"] for row in found])
        for row, p_value in zip(found, adjusted, strict=True):
            rows.append(row | {"p_adjusted": float(p_value), "matters": bool(p_value <= ERROR_RATE)})
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.sort_values(["target", "p_adjusted", "attribute"], ignore_index=True)


def _candidates(definition: Definition, table: LeadTable) -> list[str]:
    used = {criterion.attribute for criterion in definition.criteria()}
    used |= {rule.when.attribute for score in definition.points for rule in score.rules}
    declared = definition.typed_attributes()
    names = []
    for column in table.contract.columns:
        late = column.known_at == "after" or (
            column.name in declared and declared[column.name].known_at == "after"
        )
        if column.role == "attribute" and column.name not in used and not late:
            names.append(column.name)
    return [name for name in names if name in table.frame.columns]


def _test(series: pd.Series[Any], known: Mask, yes: Mask) -> dict[str, Any] | None:
    known = known & series.notna().to_numpy(dtype=bool)
    n, wins = int(np.count_nonzero(known)), int(np.count_nonzero(known & yes))
    if n < MIN_LABELLED or wins in {0, n}:
        return None
    values = series[known]
    label = yes[known]
    if values.dtype.kind == "M":
        return None
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return _test_levels(values.astype(object).map(str), label, n)
    return _test_numbers(values.to_numpy(dtype=float), label, n)


def _test_levels(values: pd.Series[Any], label: Mask, n: int) -> dict[str, Any] | None:
    counts = pd.crosstab(values.to_numpy(dtype=object), label)
    if not 2 <= len(counts) <= MAX_LEVELS:
        return None
    found = chi2_contingency(counts.to_numpy(), correction=False)
    wins, sizes = counts[True], counts.sum(axis=1)
    big = sizes >= min(max(30, 0.01 * n), sizes.nlargest(2).iloc[-1])  # at least the two largest levels
    rates = (wins / sizes)[big].sort_values(kind="stable")
    ends = [
        (str(name), compute_rate(int(wins[name]), int(sizes[name])))
        for name in (rates.index[-1], rates.index[0])
    ]
    reading = "; ".join(f"{name}: {_say(rate)}" for name, rate in ends)
    return {
        "n": n,
        "strength": sqrt(float(found.statistic) / n),
        "p_value": float(found.pvalue),
        "reading": reading,
    }


def _test_numbers(values: NDArray[np.float64], label: Mask, n: int) -> dict[str, Any] | None:
    if np.ptp(values) == 0:
        return None
    found = mannwhitneyu(values[label], values[~label])
    area = float(found.statistic) / (np.count_nonzero(label) * np.count_nonzero(~label))
    middle = float(np.median(values))
    upper = values > middle if (values > middle).any() else values >= middle
    rates = [
        compute_rate(int(np.count_nonzero(label & side)), int(np.count_nonzero(side)))
        for side in (upper, ~upper)
    ]
    reading = f"above {format_value(middle)}: {_say(rates[0])}; else {_say(rates[1])}"
    return {"n": n, "strength": abs(2 * area - 1), "p_value": float(found.pvalue), "reading": reading}


def _say(rate: Rate) -> str:
    """Say a rate with its range and its number of leads."""
    shown = (
        f"{format_rate_range(rate.ci_low, rate.ci_high)}, n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{rate.n:,}"
    )
    return f"{format_rate(rate.rate)} ({shown})"

"""Where Marketing and Sales see it differently: criteria, reasons, and who judges."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from leadml._render import format_count, format_rate
from leadml.errors import LeadsError
from leadml.leads import summarise_reasons
from leadml.metrics import compute_logit, expit
from leadml.review._figures import SMALLEST_GROUP, count_figure, make_figure, rows_of
from leadml.review._words import say_rule, say_rule_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadml.compare import DefinitionComparison, RatingComparison
    from leadml.definitions import Definition
    from leadml.review._parts import Run

__all__ = [
    "describe_disagreement",
    "describe_quadrant",
    "describe_raters",
    "describe_reasons",
    "describe_reps",
    "quadrant_points",
]

_MOST = 5
_DISAGREE = frozenset(
    {
        "Sales likes it but it closes less",
        "it closes but Sales likes it less",
        "Sales likes it; that it closes is not shown",
        "it closes; that Sales likes it is not shown",
    }
)


def describe_disagreement(
    definition: Definition, comparison: DefinitionComparison | None
) -> tuple[tuple[str, str], ...]:
    """Name the criteria that one side likes and the deals do not bear out, or the reverse."""
    if comparison is None:
        return ()
    split = comparison.verdicts[comparison.verdicts["quadrant"].isin(_DISAGREE)]
    lines = {(say_rule_at(definition, row.criterion), str(row.quadrant)) for row in rows_of(split)}
    return tuple(sorted(lines))


def quadrant_points(comparison: DefinitionComparison | None) -> list[tuple[str, float, float]]:
    """Return each criterion with how much more its leads are accepted, and how much more they close."""
    if comparison is None:
        return []
    frame = comparison.criteria
    enough = (frame["n_inside"] >= SMALLEST_GROUP) & (frame["n_outside"] >= SMALLEST_GROUP)
    sides = frame[enough].pivot_table(index="written", columns="target", values="difference", sort=False)
    if not {"accepted", "won"} <= set(sides.columns) or len(sides.dropna()) < 2:
        return []
    both = sides.dropna()
    return list(
        zip(both.index.map(str), both["accepted"].astype(float), both["won"].astype(float), strict=True)
    )


def describe_quadrant(comparison: DefinitionComparison | None) -> str:
    """Read the picture of the criteria in one sentence."""
    points = quadrant_points(comparison)
    if not points:
        return ""
    split = sum((accepted > 0) != (won > 0) for _, accepted, won in points)
    counted = f"Of {format_count(len(points))} criteria that can be held against both,"
    if not split:
        return f"{counted} none parts Sales from the deals."
    verb = "parts" if split == 1 else "part"
    return f"{counted} {format_count(split)} {verb} Sales from the deals: upper left or lower right."


def describe_reasons(run: Run) -> tuple[tuple[str, str], ...]:
    """Count the reasons that Sales gave for rejecting leads."""
    reason, verdict = run.table.role("reason"), run.table.role("verdict")
    if reason is None or verdict is None:
        return ()
    rejected = reason[(verdict == "rejected") & reason.notna()].map(str)
    counts = rejected.value_counts()
    counts = counts[counts >= SMALLEST_GROUP].head(_MOST)
    lines = [
        (str(name), f"{format_count(n)}: {count_figure(int(n), len(rejected)).line}")
        for name, n in counts.items()
    ]
    with_families = _against(run)
    return (*lines, *(() if with_families is None else (with_families,)))


def _against(run: Run) -> tuple[str, str] | None:
    """Say how many rejections speak against the definition itself."""
    try:
        families = summarise_reasons(run.table)
    except LeadsError:
        return None
    total = int(families["n"].sum())
    against = int(families.loc[families["counts_against"], "n"].sum())
    if total < SMALLEST_GROUP or 0 < against < SMALLEST_GROUP:
        return None
    return "All reasons that speak against the definition itself", count_figure(against, total).line


def describe_reps(run: Run) -> tuple[str, ...]:
    """Say how much acceptance depends on who decides; nobody is ranked."""
    effects = getattr(run.models.get("accepted"), "reps", None)
    if effects is None:
        return ()
    if not effects.matters:
        return (f"The {format_count(effects.n_reps)} reps do not differ in strictness beyond chance.",)
    # Offsets on the logit scale around the average rep: two of three reps lie within one spread of it.
    known = run.targets["accepted"].to_numpy(dtype=float, na_value=np.nan)
    rate = float(np.nanmean(known)) if np.isfinite(known).any() else 0.5
    spread = effects.spread.sd * np.asarray([-1.0, 1.0])
    low, high = (float(end) for end in expit(compute_logit(rate) + spread))
    told = f"Who gets a lead matters: of leads alike, of which {format_rate(rate)} are accepted on average,"
    counts = f"{format_count(effects.n_reps)} reps, {format_count(effects.n)} leads"
    return (
        f"{told} two of three reps accept between {format_rate(low)} and {format_rate(high)} ({counts}).",
    )


def describe_raters(ratings: RatingComparison | None) -> tuple[str, ...]:
    """Say what both sides made of the same leads, judged blind; no lead is named."""
    if ratings is None or ratings.n_leads < SMALLEST_GROUP:
        return ()
    whole = rows_of(ratings.agreement)[0]
    who = " and ".join(side.capitalize() for side in ratings.sides)
    alike = make_figure(int(whole.n), whole.raw, whole.raw_low, whole.raw_high)
    told = f"{who} judged the same {format_count(ratings.n_leads)} leads without seeing each other's answers"
    lines = [f"{told}: {alike.line} are in the same class for all."]
    sides = [
        f"{str(row.side).capitalize()} would hand over "
        + make_figure(int(row.n), row.rate, row.ci_low, row.ci_high).line
        for row in rows_of(ratings.by_side)
        if isfinite(row.rate)
    ]
    if sides:
        lines.append(f"{'; '.join(sides)}.")
    return (*lines, *_most_split(ratings), *_least_clear(ratings))


def _most_split(ratings: RatingComparison) -> Iterator[str]:
    """Name the band of an attribute in which the sides part most often."""
    bands = ratings.split_bands
    bands = bands[(bands["n"] >= SMALLEST_GROUP) & (bands["n_split"] >= SMALLEST_GROUP)]
    for row in rows_of(bands.sort_values("rate", ascending=False, kind="stable").head(1)):
        split = make_figure(int(row.n), row.rate, row.ci_low, row.ci_high)
        yield f"They part most often where {row.attribute} is {row.band}: {split.line} of these leads."


def _least_clear(ratings: RatingComparison) -> Iterator[str]:
    """Name the criterion whose words the sides read most differently."""
    part = ratings.agreement.iloc[1:]
    part = part[(part["n"] >= SMALLEST_GROUP) & part["raw"].notna()]
    part = part[~part["question"].astype(str).str.startswith("class")]
    for row in rows_of(part.sort_values("raw", kind="stable").head(1)):
        alike = make_figure(int(row.n), row.raw, row.raw_low, row.raw_high)
        words = say_rule(str(row.written or row.question))
        yield f"They read “{words}” least alike: the same answer for {alike.line} of the leads."

"""Each criterion: what it lets through, what both sides made of that, and the verdict."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any

from leadml._render import format_count, format_points, format_rate
from leadml.definitions import parse_criterion
from leadml.errors import DefinitionError
from leadml.review._figures import SMALLEST_GROUP, TARGET_TITLES, TARGET_WORDS, read_figure, rows_of
from leadml.review._parts import Bar, CriterionLine
from leadml.review._words import say_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadml.compare import DefinitionComparison
    from leadml.definitions import Attribute, Criterion, Definition

__all__ = ["describe_criteria"]


def describe_criteria(
    definition: Definition, comparison: DefinitionComparison | None, found: Mapping[str, Any]
) -> tuple[CriterionLine, ...]:
    """Say of each criterion what it lets through, what became of it, and whether to keep it."""
    if comparison is None:
        return ()
    adjusted = {row.criterion: _say_adjusted(row) for row in rows_of(comparison.adjusted)}
    top = {
        target: max(
            (
                read_figure(row, side).high
                for row in rows_of(comparison.criteria, target=target)
                for side in _SIDES
            ),
            key=lambda high: high if isfinite(high) else 0.0,
            default=1.0,
        )
        for target in TARGET_WORDS
    }
    return tuple(
        _criterion(
            definition,
            criterion,
            rows_of(comparison.criteria, criterion=criterion.address),
            judged=rows_of(comparison.verdicts, criterion=criterion.address)[0],
            top=top,
            found=found,
            adjusted=adjusted.get(criterion.address, ""),
        )
        for criterion in definition.criteria()
    )


_SIDES = {"_inside": "meets it", "_outside": "does not"}


def _criterion(
    definition: Definition,
    criterion: Criterion,
    rows: Sequence[Any],
    *,
    judged: Any,
    top: Mapping[str, float],
    found: Mapping[str, Any],
    adjusted: str,
) -> CriterionLine:
    verdict, reason = _judge(criterion, judged, found)
    rates, bars = [], []
    for row in rows if criterion.measurable else ():
        pair = [read_figure(row, side) for side in _SIDES]
        rates.append((TARGET_TITLES[row.target], pair[0], pair[1]))
        scale = top[row.target] if isfinite(top[row.target]) and top[row.target] > 0 else 1.0
        drawn = tuple(
            Bar(value=100 * f.value / scale, low=100 * f.low / scale, high=100 * f.high / scale, kind=kind)
            for f, kind in zip(pair, ("in", "out"), strict=True)
            if pair[0].shown and pair[1].shown
        )
        bars.append((TARGET_TITLES[row.target], drawn))
    return CriterionLine(
        written=say_rule(criterion.text),
        lead_class=rows[0].lead_class,
        to_sales=definition.handed_over(rows[0].lead_class),
        verdict=verdict,
        reason=reason,
        filled=format_rate(rows[0].fill_rate),
        passing=format_rate(rows[0].share_passing),
        rates=tuple(rates),
        bars=tuple(bars),
        dropped=_dropped(rows) if criterion.measurable else "",
        adjusted=adjusted,
    )


def _judge(criterion: Criterion, judged: Any, found: Mapping[str, Any]) -> tuple[str, str]:
    """Say the verdict: what is proposed, else to keep it, with where the leads point."""
    for entry in found.get("proposals", ()):
        if criterion.address in str(entry.get("criterion")).split(" + "):
            return _direction(
                criterion, entry, found["attributes"]
            ), f"A change is proposed above. {judged.rule}"
    for entry in found.get("promising", ()):
        if criterion.address in str(entry.get("criterion")).split(" + "):
            return "watch", "A change looks promising but is not shown yet."
    remarks = []
    if judged.through:
        remarks.append(f"It matters only through “{say_rule(_text_of(found, judged.through))}”.")
    if judged.stable is False:
        remarks.append("It does not separate leads in the same way in every period.")
    # Where a search was made, only what it confirmed is a call for change.
    verdict = str(judged.verdict)
    if verdict in {"tighten", "loosen", "drop"} and found:
        remarks.insert(
            0, f"All settled leads together point to “{verdict}”, but the newest do not confirm it."
        )
        verdict = "keep"
    return verdict, " ".join([judged.rule, *remarks])


def _text_of(found: Mapping[str, Any], address: str) -> str:
    return str(found.get("texts", {}).get(address, address))


def _direction(criterion: Criterion, entry: Mapping[str, Any], attributes: Mapping[str, Attribute]) -> str:
    """Say which way a proposal moves one criterion: by its own rule, else by the leads that it moves."""
    addresses, proposed, kinds = (
        str(entry.get(key) or "").split(" + ") for key in ("criterion", "proposed", "kind")
    )
    own = addresses.index(criterion.address)
    if own < len(kinds) and kinds[own] == "dropped":
        return "drop"
    with suppress(DefinitionError, IndexError, TypeError, ValueError):
        later = parse_criterion(proposed[own], attributes=attributes)
        if later.operator == criterion.operator and later.operator in {">=", ">", "<=", "<"}:
            levels = attributes[str(criterion.attribute)].levels
            old, new = (
                levels.index(str(c.values[0])) if levels else float(c.values[0]) for c in (criterion, later)
            )
            if old != new:
                return "loosen" if (new < old) == (later.operator in {">=", ">"}) else "tighten"
    gained, lost = (float(entry.get(key) or 0.0) for key in ("gained_per_month", "lost_per_month"))
    if gained and lost:
        return "change"
    return "loosen" if gained else "tighten"


def _dropped(rows: Sequence[Any]) -> str:
    row = rows[0]
    if row.drop_leads == 0:
        return "Without it nothing would change: other criteria stop the same leads."
    if row.drop_leads < SMALLEST_GROUP:
        return f"Without it under {SMALLEST_GROUP} leads would change class."
    changed = f"Without it {format_count(row.drop_leads)} leads would change class"
    effects = [
        f"{TARGET_WORDS[r.target]} {format_points(r.drop_gain)}"
        for r in rows
        if r.drop_n >= SMALLEST_GROUP and isfinite(r.drop_gain)
    ]
    if effects:
        return f"{changed}; the class would change by: {', '.join(effects)}."
    return f"{changed}; nobody knows what these would bring."


def _say_adjusted(row: Any) -> str:
    """Say how much more of its leads are accepted, over all leads and among leads of the same rep."""
    (all_leads, all_range), (same_rep, own_range) = (
        (
            format_points(getattr(row, name)),
            f"{format_points(getattr(row, f'{name}_low'))} to {format_points(getattr(row, f'{name}_high'))}",
        )
        for name in ("difference", "difference_adjusted")
    )
    _, colon, meaning = str(row.reading).partition(": ")
    said = (
        f"Accepted, leads that meet it less the others: {all_leads} ({all_range}); among leads of the same "
        f"rep {same_rep} ({own_range})"
    )
    return f"{said}: {meaning}" if colon else f"{said}."

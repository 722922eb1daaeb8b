"""A result as a text for people and as a schema for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadml._render import format_change, format_count
from leadml.propose._words import say_changes, say_leads

if TYPE_CHECKING:
    from leadml.propose._result import JudgedChange, ProposalSet

__all__ = ["format_proposals", "proposal_schema"]


def format_proposals(result: ProposalSet) -> str:
    """Write a result as Markdown: what is proposed first, what is not and why after it.

    Parameters
    ----------
    result : ProposalSet

    Returns
    -------
    str
        Markdown that holds no lead: groups under five are left out.
    """
    name = f"{result.definition.name} {result.definition.version}"
    lines = [f"# Proposed changes of {name}", ""]
    if not result.proposals:
        lines += ["Nothing is proposed.", ""]
    for change in result.proposals:
        lines += _change_lines(result, change)
    if result.promising:
        lines += ["## Promising, not proposed", ""]
        lines += [f"- {say_changes(change.changes)}: {change.reason}" for change in result.promising]
        lines.append("")
    if result.kept:
        lines += ["## Kept", "", *(f"- {kept.reason}" for kept in result.kept), ""]
    if result.explore:
        lines += ["## To be explored", "", *(f"- {plan.reason}" for plan in result.explore), ""]
    lines += ["## Everything that was tested", ""]
    lines += [
        f"- {say_changes(change.changes)} ({change.status}): {change.reason}" for change in result.tested
    ] or ["- nothing"]
    lines += ["", f"{say_leads(result.n_searched, 'change')} looked at on the older quarters."]
    lines += [] if result.shadow_price is None else ["", result.shadow_price.words]
    lines += ["", *(f"> {notice}" for notice in result.notices)] if result.notices else []
    return "\n".join(lines).rstrip() + "\n"


def _change_lines(result: ProposalSet, change: JudgedChange) -> list[str]:
    unit = "" if result.stakes is None else f" {result.stakes.unit}"
    per = f"a {result.per}" if result.per == "month" else "in the confirmation period"
    value = change.value
    estimate = f"estimate {format_change(value.value)} (up to {format_change(value.high)})"
    lines = [
        f"## {say_changes(change.changes)}",
        "",
        f"**At least {format_change(value.low)}{unit} {per}**, {estimate}. {change.reason}.",
        "",
    ]
    if change.gained_per_month is not None:
        lines.append(
            f"- {say_leads(change.gained_per_month)} a month more, "
            f"{format_count(change.lost_per_month)} fewer"
        )
    for word, found in (("won deals", change.won), ("accepted leads", change.accepted)):
        if found.low is not None:
            lines.append(f"- {word}: {format_change(found.low)} to {format_change(found.high)} {per}")
    lines += [f"- {guardrail.words}" for guardrail in change.guardrails]
    if change.explanation is not None:
        told = change.explanation
        lines += [f"- {line}" for line in told.frequencies]
        lines += [f"- who moves: {line}" for line in (*told.segments, *told.profiles)]
        lines += [f"- wrong if {line}" for line in told.caveats]
    return [*lines, ""]


def proposal_schema() -> dict[str, Any]:
    """Return the JSON schema of `ProposalSet.to_dict`.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12. Keys may be added, never taken away or given another meaning.
    """
    number = {"type": ["number", "null"]}
    text = {"type": "string"}
    whole = {"type": "integer"}
    numbers = (
        "gained_per_month lost_per_month value_low value value_high won_low won won_high "
        "accepted_low accepted accepted_high p_value p_adjusted detectable confidence_level tipping_point"
    )
    change = _object(
        dict.fromkeys("criterion kind written proposed status reason".split(), text)  # noqa: SIM905
        | {"grade": {"enum": ["A", "B", "C"]}}
        | dict.fromkeys("n_changed n_gained wins_gained n_lost wins_lost".split(), whole)  # noqa: SIM905
        | dict.fromkeys(numbers.split(), number)
        | {"guardrails": {"type": "array"}, "explanation": {"type": ["object", "null"]}}
    )
    kept = _object(
        {
            "criterion": text,
            "written": text,
            "reason": text,
            "n_changed": {"type": "integer"},
            "detectable": number,
        }
    )
    plan = _object(
        {
            "criterion": text,
            "from": text,
            "to": text,
            "n": {"type": "integer"},
            "weeks": {"type": ["integer", "null"]},
            "cost": number,
            "share": number,
            "leads_per_month": number,
            "break_even": number,
            "assumed_rate": number,
            "reason": text,
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_object(
            {
                "proposals": {"type": "array", "maxItems": 1, "items": change},
                "promising": {"type": "array", "items": change},
                "kept": {"type": "array", "items": kept},
                "explore": {"type": "array", "items": plan},
                "tested": {"type": "array", "items": change},
                "n_searched": {"type": "integer"},
                "per": {"enum": ["month", "confirmation period"]},
                "goal": {"type": "object"},
                "stakes": {"type": ["object", "null"]},
                "windows": {"type": "object"},
                "shadow_price": {"type": ["object", "null"]},
                "trade_off": {"type": ["object", "null"]},
                "notices": {"type": "array", "items": text},
            }
        ),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}

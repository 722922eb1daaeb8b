"""Proposed, promising and refused changes in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from leadml._render import format_count, format_money, format_rate
from leadml.review._figures import say_few
from leadml.review._parts import Change
from leadml.review._words import say_plainly, say_rule, say_rule_at, say_rules_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from leadml.definitions import Definition
    from leadml.review._parts import Run

__all__ = [
    "Units",
    "describe_cautions",
    "describe_change",
    "describe_explore",
    "describe_goals",
    "describe_kept",
    "describe_verdict",
    "put_in_words",
    "read_units",
]

_SPACE = "\N{NO-BREAK SPACE}"
_OF_NO_CRITERION = frozenset({"added", "group", "at_least", "points"})


def describe_verdict(run: Run, proposals: Sequence[Change], promising: Sequence[Change]) -> str:
    if run.proposals is None:
        return ""
    if len(proposals) == 1:
        return f"One change is proposed: {proposals[0].sentence}."
    if proposals:
        return f"{len(proposals)} changes are proposed."
    if promising:
        return "No change is proposed. Something looks promising, but the leads do not show it yet."
    return "No change is proposed: keep the definition as it is."


def describe_cautions(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what a place for one more lead would bring, and what limits all that is said."""
    place = found.get("shadow_price")
    words = [] if place is None else [str(place["words"])]
    return tuple(say_plainly(note) for note in (*words, *found.get("notices", ())))


@dataclass(frozen=True, slots=True)
class Units:
    """What changes are counted in: money or deals, per month or per period."""

    currency: str | None
    unit: str | None
    per: str

    def value(self, amount: float | None) -> str:
        if self.unit is not None and self.unit != self.currency:
            return f"{format_count(amount)}{_SPACE}{self.unit}"
        return format_money(amount, currency=self.currency)

    def deals(self, amount: float | None) -> str:
        return f"{_number(amount)} won deals"

    def leads(self, amount: float | None) -> str:
        return f"{_number(amount)} accepted leads"


def read_units(definition: Definition, found: Mapping[str, Any]) -> Units:
    stakes = found.get("stakes") or {}
    return Units(definition.prices.currency, stakes.get("unit"), str(found.get("per") or "month"))


def _number(value: float | None) -> str:
    if value is None or not isfinite(value):
        return format_count(None)
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if abs(value) < 1 and value else format_count(value)


def put_in_words(entry: Mapping[str, Any], units: Units) -> Change:
    gains = {
        "Value": _gain(entry, "value", units.value, units.per),
        "Won deals": _gain(entry, "won", units.deals, units.per),
        "Accepted leads": _gain(entry, "accepted", units.leads, units.per),
    }
    headline = next((text for text in gains.values() if text), "")
    plain = {
        "Value": gains["Value"],
        "Won deals": _gain(entry, "won", _number, units.per),
        "Accepted leads": _gain(entry, "accepted", _number, units.per),
    }
    if not gains["Value"] and headline:
        plain["Won deals" if gains["Won deals"] else "Accepted leads"] = ""  # it is the headline
    details = [
        ("Leads that change", say_few(int(entry.get("n_changed") or 0))),
        (f"More leads to Sales, per {units.per}", format_count(entry.get("gained_per_month"))),
        (f"Fewer leads to Sales, per {units.per}", format_count(entry.get("lost_per_month"))),
        *plain.items(),
        ("Why", _reword(str(entry.get("reason") or ""))),
        *_explain(entry.get("explanation") or {}),
    ]
    if _given(entry, "tipping_point") and entry["tipping_point"] > 0:
        rate = format_rate(entry["tipping_point"])
        details.append(("Fails if", f"the leads nobody picked win less often than {rate}"))
    return Change(
        sentence=describe_change(entry),
        headline=headline,
        grade=str(entry.get("grade") or ""),
        details=tuple((name, text) for name, text in details if text not in {"–", "", headline}),
    )


def _explain(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say of a hundred leads what became of them, which leads move, and what could make it wrong."""
    for name, key in (
        ("What became of them", "frequencies"),
        ("Who moves", "segments"),
        ("Wrong if", "caveats"),
    ):
        yield name, "; ".join(say_rules_in(line) for line in told.get(key) or ())
    yield "Typical leads", "; ".join(told.get("profiles") or ())


def describe_change(entry: Mapping[str, Any]) -> str:
    """Say a change in one line: the class, the new rule, the old one."""
    addresses, written, proposed, kinds = (
        str(entry.get(key) or "").split(" + ") for key in ("criterion", "written", "proposed", "kind")
    )
    said = []
    for number, address in enumerate(addresses):
        where = address.partition(".")[0]
        old, new, kind = (
            say_rule(parts[number]) if number < len(parts) else "" for parts in (written, proposed, kinds)
        )
        if kind == "dropped" or new in {"", "(dropped)"}:
            said.append(f"{where}: drop “{old}”")
        elif kind == "added" or not old:
            said.append(f"{where}: also ask for “{new}”")
        elif kind in {"group", "at_least"}:
            said.append(f"{where}: ask for {new} criteria instead of {old}")
        else:
            said.append(f"{where}: “{new}” instead of “{old}”")
    return "; ".join(said)


def _reword(reason: str) -> str:
    """Take a reason out of the place it was written for: it stands beside its rule here."""
    reason = re.sub(r"^keep `[^`]*`: ", "", reason)
    reason = re.sub(r" \(p = [^)]*\)", "", reason)
    reason = re.sub(r"\.? Estimates that just pass .*", ".", reason)
    reason = reason[:1].upper() + reason[1:]
    return say_rules_in(reason)


def _given(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key)
    return value is not None and isfinite(value)


def _gain(entry: Mapping[str, Any], key: str, form: Callable[[float | None], str], per: str) -> str:
    """Say a gain with its lower end first."""
    if not _given(entry, f"{key}_low"):
        return ""
    low, value, high = (entry.get(name) for name in (f"{key}_low", key, f"{key}_high"))
    ends = f"best guess {form(value)}" + (f", at most {form(high)}" if _given(entry, f"{key}_high") else "")
    if low is not None and low < 0:
        return f"Between {form(low)} and {form(high)} a {per} (best guess {form(value)})"
    return f"At least {form(low)} more a {per} ({ends})"


def describe_kept(
    definition: Definition, found: Mapping[str, Any], units: Units
) -> tuple[tuple[str, str, str], ...]:
    lines = []
    for entry in found.get("kept", ()):
        details = []
        if _given(entry, "detectable"):
            details.append(
                f"a gain under {units.value(entry['detectable'])} a {units.per} would not have shown"
            )
        reason = _reword(str(entry.get("reason") or ""))
        lines.append((say_rule_at(definition, entry.get("criterion")), reason, "; ".join(details)))
    lines += [
        (describe_change(entry), _reword(str(entry["reason"])), "")
        for entry in found.get("tested", ())
        if entry["status"] != "proposed" and set(entry["kind"].split(" + ")) <= _OF_NO_CRITERION
    ]
    # Criteria that stay for the same reason share a line.
    shared: dict[tuple[str, str], list[str]] = {}
    for written, reason, detail in lines:
        rules = shared.setdefault((reason, detail), [])
        if written not in rules:
            rules.append(written)
    return tuple((" · ".join(rules), reason, detail) for (reason, detail), rules in shared.items())


def describe_goals(found: Mapping[str, Any], units: Units) -> tuple[str, ...]:
    """Say what each goal would choose on the older leads, beside the definition as it is."""
    trade = found.get("trade_off")
    if trade is None or trade["per"] != "month":
        return ()
    points, goal = trade["points"], found.get("goal") or {}
    now = next(point for point in points if point["proposed"] == "as written")
    places = "Sales can work" if goal.get("capacity") else "today"
    agreed = goal.get("minimum_acceptance") if trade["target"] == "accepted" else None
    share = "no smaller a share" if agreed is None else f"at least {format_rate(agreed)}"
    words = {
        "value": "Most value",
        "won": f"Most {trade['target']} at no more leads than {places}",
        "leads": f"Most leads with {share} {trade['target']}",
    }
    lines = [f"As it is: {_say_point(now, trade['target'])}"]
    for key, name in words.items():
        for point in points:
            if key in point["best_for"].split(", "):
                rule = "as it is"
                if point is not now:
                    value = f", {units.value(point['value'])} more a month" if key == "value" else ""
                    rule = f"“{say_rule(point['proposed'])}”: {_say_point(point, trade['target'])}{value}"
                lines.append(f"{name}: {rule}")
    return tuple(lines) if any(not line.endswith("as it is") for line in lines[1:]) else ()


def _say_point(point: Mapping[str, Any], target: str) -> str:
    share = f"{format_rate(point['rate'])} {target}"
    return f"{format_count(point['leads'])} leads a month, {share} ({_number(point['won'])} a month)"


def describe_explore(found: Mapping[str, Any], units: Units) -> tuple[tuple[str, str, str, str], ...]:
    lines = []
    for entry in found.get("explore", ()):
        weeks = "–"
        if _given(entry, "weeks"):
            weeks = f"{format_count(entry['weeks'])} week{'' if entry['weeks'] == 1 else 's'}"
        rule = (
            f"“{say_rule(str(entry.get('to') or ''))}” instead of “{say_rule(str(entry.get('from') or ''))}”"
        )
        cost = format_money(entry.get("cost"), currency=units.currency)
        lines.append((rule, format_count(entry.get("n")), weeks, cost))
    return tuple(lines)

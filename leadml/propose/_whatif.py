"""A change that a person brings to the table, judged by the same standard as a proposal."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from leadml._render import render_card, text_block
from leadml.definitions import Change, Criterion, Group, apply_changes, format_criterion, parse_criterion
from leadml.errors import DefinitionError
from leadml.propose._capacity import fits_capacity
from leadml.propose._confirm import add_late_checks, complete_change, judge_change, say_refusal
from leadml.propose._confirmation import read_confirmation
from leadml.propose._counted import count_change
from leadml.propose._leads import compare_handoff
from leadml.propose._points import say_points
from leadml.propose._review import open_review
from leadml.propose._rules import say_group
from leadml.propose._words import say_amount, say_changes, say_leads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from leadml.definitions import Definition, PointRule
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._goal import Goal, Stakes
    from leadml.propose._result import JudgedChange

_WIDTH = 100
Answer = Literal["supported", "not supported", "cannot be said"]

__all__ = ["WhatIf", "judge_what_if", "parse_what_if"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIf:
    """What the newest matured leads say of a change that somebody asked about.

    Attributes
    ----------
    answer : {"supported", "not supported", "cannot be said"}
        "supported" only if the gate opens and every guardrail holds; "cannot be said" where leads that
        would be added have no labels, or nothing can be judged.
    change : JudgedChange or None
        With bounds one-sided at the error rate; None where nothing can be judged.
    reason : str
    stakes : Stakes or None
    per : {"month", "confirmation period"}
    notices : tuple of str
    """

    answer: Answer
    change: JudgedChange | None
    reason: str
    stakes: Stakes | None
    per: Literal["month", "confirmation period"]
    notices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "answer": self.answer,
            "reason": self.reason,
            "per": self.per,
            "change": None if self.change is None else self.change.to_dict(),
            "notices": list(self.notices),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row: the change with its numbers."""
        import pandas as pd

        return pd.DataFrame([] if self.change is None else [self.change.to_dict()])

    def __repr__(self) -> str:
        lines = [text_block(f"{self.answer}: {self.reason.rstrip('.')}.", width=_WIDTH)]
        if self.change is not None and self.change.value.low is not None and self.stakes is not None:
            value = self.change.value
            low, best = (say_amount(end, self.stakes) for end in (value.low, value.value))
            words = f"{say_changes(self.change.changes)}: at least {low} {self.stakes.unit} a {self.per}"
            lines.append(text_block(f"{words}, best guess {best}", indent="  ", width=_WIDTH))
        lines += [text_block(notice, width=_WIDTH) for notice in self.notices if notice not in self.reason]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(render_card(f"What if: {self.answer}", [self.reason], notes=self.notices))


def parse_what_if(definition: Definition, text: str) -> Change:
    """Read a change as a person types it.

    Parameters
    ----------
    definition : Definition
    text : str
        ``hot.employees=80`` (another value), ``hot.industry=[software, public]`` (another list),
        ``hot.employees=employees between 50 and 500`` (a criterion), ``hot.employees=dropped``, ``medium=2``
        (so many of a group's criteria), ``engagement.page_views=20`` (other points of a rule) or
        ``engagement.page_views=page_views >= 10`` (the same points for something else).

    Returns
    -------
    Change

    Raises
    ------
    DefinitionError
        If the address is unknown or the text cannot be read.

    Examples
    --------
    >>> from leadml.definitions import parse_definition
    >>> written = parse_definition('''
    ... name: d
    ... version: 1
    ... attributes: {employees: {type: integer, unit: people}}
    ... classes: [{name: hot, all_of: [employees >= 50]}, {name: cold, otherwise: true}]
    ... handoff: [hot]
    ... ''')
    >>> parse_what_if(written, "hot.employees=80").proposed
    'employees >= 80'
    """
    address, sign, wanted = (part.strip() for part in text.partition("="))
    criteria = {criterion.address: criterion for criterion in definition.criteria()}
    groups = {group.address: group for group in _groups(definition)}
    if not sign or not wanted:
        raise DefinitionError(f"what if {text!r}: expected `address=value`, for example hot.employees=80.")
    rules = {rule.when.address: rule for score in definition.points for rule in score.rules}
    if address in groups and wanted.isdigit():
        return _asking(groups[address], int(wanted))
    if address in rules:
        return _giving(definition, rules[address], wanted, text)
    if address in groups and address not in criteria:
        return Change(
            address=address, kind="added", written="", proposed=_criterion(definition, wanted, text)
        )
    if address not in criteria:
        known = ", ".join(sorted(criteria)[:5])
        raise DefinitionError(f"what if {text!r}: {address!r} is no address of this definition ({known}, …).")
    old = criteria[address]
    written = format_criterion(old)
    if wanted.lower() in {"dropped", "drop", "none"}:
        return Change(address=address, kind="dropped", written=written, proposed=None)
    name = old.attribute or ""
    if re.match(rf"(not\s+)?{re.escape(name)}\b", wanted) and name:
        proposed = wanted
    else:
        proposed = _with_value(old, wanted, text)
    return Change(
        address=address,
        kind="threshold",
        written=written,
        proposed=_criterion(definition, proposed, text),
    )


def _asking(group: Group, k: int) -> Change:
    if group.kind == "at_least":
        return Change(address=group.address, kind="at_least", written=str(group.k), proposed=str(k))
    n = len(group.members)
    return Change(
        address=group.address, kind="group", written=say_group(group.k, n), proposed=say_group(k, n)
    )


def _giving(definition: Definition, rule: PointRule, wanted: str, text: str) -> Change:
    """Read other points of a rule, or another criterion that it gives its points for."""
    if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", wanted) is not None:
        proposed = say_points(rule, points=Decimal(wanted))
    else:
        name = rule.when.attribute or ""
        words = wanted if re.match(rf"(not\s+)?{re.escape(name)}\b", wanted) else ""
        if not name or not words:
            raise DefinitionError(
                f"what if {text!r}: expected points, such as 20, or a criterion on {name}, got {wanted!r}."
            )
        proposed = say_points(rule, when=_parse(definition, words, text))
    return Change(address=rule.when.address, kind="points", written=say_points(rule), proposed=proposed)


def _with_value(old: Criterion, wanted: str, text: str) -> str:
    ending = " or missing" if old.or_missing else ""
    if wanted.startswith("["):
        operator = "not in" if old.operator in {"not in", "!="} else "in"
        return f"{old.attribute} {operator} {wanted}{ending}"
    if old.operator in {"<", "<=", ">", ">=", "=", "!="}:
        return f"{old.attribute} {old.operator} {wanted}{ending}"
    raise DefinitionError(
        f"what if {text!r}: `{format_criterion(old)}` has no single value. Write the whole criterion."
    )


def _criterion(definition: Definition, words: str, text: str) -> str:
    return format_criterion(_parse(definition, words, text))


def _parse(definition: Definition, words: str, text: str) -> Criterion:
    criterion = parse_criterion(words, attributes=definition.typed_attributes())
    if not criterion.measurable:
        raise DefinitionError(f"what if {text!r}: expected a criterion, got {words!r}.")
    return criterion


def _groups(definition: Definition) -> Iterator[Group]:
    def walk(group: Group) -> Iterator[Group]:
        yield group
        for member in group.members:
            if isinstance(member, Group):
                yield from walk(member)

    for lead_class in definition.classes:
        if lead_class.rule is not None:
            yield from walk(lead_class.rule)


def judge_what_if(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    changes: Sequence[Change],
    goal: Goal,
    split: TimeSplit,
    error_rate: float = 0.05,
    min_change: int = 20,
    explored: pd.DataFrame | None = None,
) -> WhatIf:
    """Judge a change that a person brings, by the standard of a proposal.

    The change was not searched for in the confirmation window, so it is one test at the full error rate.
    Trying many until one is supported makes that rate untrue; the answer says so.

    Parameters
    ----------
    definition, table, targets, goal, split, explored
        As in `propose_changes`.
    changes : sequence of Change
        What is asked about (`parse_what_if`), made together.
    error_rate : float, default=0.05
    min_change : int, default=20
        Fewest labelled accounts that must change in the confirmation window.

    Returns
    -------
    WhatIf

    Raises
    ------
    DefinitionError
        If the change cannot be written.
    """
    revised = apply_changes(definition, list(changes))
    review = open_review(
        definition,
        table,
        targets,
        goal=goal,
        split=split,
        min_change=min_change,
        error_rate=error_rate,
        explored=explored,
        confirm_with="matured",
    )
    per: Literal["month", "confirmation period"]
    per = "month" if review.windows.confirm_months else "confirmation period"
    if review.stakes is None or not review.windows.confirm.any():
        reason = (review.notices or ("no matured lead has a label",))[-1]
        return WhatIf(
            answer="cannot be said",
            change=None,
            reason=reason,
            stakes=review.stakes,
            per=per,
            notices=review.notices,
        )
    confirmed = read_confirmation(review)
    gained, lost = compare_handoff(review, revised)
    later = review.windows.confirm | confirmed.newest
    counts = count_change(review, confirmed, gained[later[gained]], lost[later[lost]])
    judged = judge_change(review, tuple(changes), counts, error_rate=error_rate)
    moved = counts.moved
    refusal = say_refusal(review, confirmed, judged)
    if not refusal:
        judged = add_late_checks(review, confirmed, judged)
        refusal = say_refusal(review, confirmed, judged)
    answer: Literal["supported", "not supported", "cannot be said"] = (
        "not supported" if refusal else "supported"
    )
    if moved.leads == 0:
        answer, refusal = "not supported", "it moves no lead of the newest matured quarters"
    elif judged.grade != "A":
        answer = "cannot be said"
    elif not refusal and moved.n < min_change:
        answer, refusal = "not supported", f"it moves only {say_leads(moved.n)} with a label"
    elif not refusal and not fits_capacity(review, moved.leads_gained, moved.leads_lost):
        answer, refusal = "not supported", "it hands over more leads than Sales can work"
    words = refusal or "confirmed on the newest matured leads"
    judged = complete_change(review, confirmed, replace(judged, reason=words))
    return WhatIf(
        answer=answer,
        change=judged,
        reason=words,
        stakes=review.stakes,
        per=per,
        notices=(*review.notices, "One question, one test: asked often enough, chance says yes."),
    )

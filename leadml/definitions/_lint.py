"""The linter: whether two people can read a definition two ways."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from leadml._yaml import parse_yaml, suggest
from leadml.definitions._definition import (
    DIMENSIONS,
    Criterion,
    Definition,
    Group,
    every_criterion,
    used_attributes,
    walk_criteria,
)
from leadml.definitions._diagram import FALSE, TRUE, Formula, conjunction, negation
from leadml.definitions._grammar import cut_text, format_criterion, format_value, suggest_near
from leadml.definitions._prose import SUBJECTIVE, mark_subjective, suggest_objective
from leadml.definitions._report import Finding, LintReport
from leadml.definitions._rules import RULES
from leadml.definitions._space import Space, TooLargeError, classify, make_space
from leadml.definitions._words import describe_lead, join_words
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    import pandas as pd
    from numpy.typing import ArrayLike

    from leadml.definitions._definition import Attribute, LeadClass, Value

__all__ = ["lint_definition"]

_SIDES = ("marketing", "sales")
_NOBODY = frozenset({"", "-", "?", "tbd", "tba", "n/a", "na", "none", "nobody", "todo", "open"})
_UNITS = {"budget": "EUR", "size": "people", "interest": "views"}
_WINDOW = re.compile(r"(?:^|_)(?:last_?)?\d+_?(?:d|days?|w|weeks?|m|months?)(?:_|$)")
_SAME = {
    "number": {"number", "integer"},
    "integer": {"number", "integer"},
    "ordinal": {"ordinal", "category", "text"},
    "category": {"ordinal", "category", "text"},
    "boolean": {"boolean"},
    "date": {"date", "datetime"},
}


@dataclass(slots=True)
class _Linter:
    """One definition under the linter."""

    definition: Definition
    space: Space
    lines: dict[str, int]
    findings: list[Finding] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        fix: str,
        *,
        line: int = 0,
        criterion: str | None = None,
        lead: Mapping[str, Value | None] | None = None,
    ) -> None:
        """Note a finding."""
        words = None if lead is None else describe_lead(lead, self.definition.typed_attributes())
        self.findings.append(
            Finding(
                code=code,
                severity=RULES[code].severity,
                line=line,
                criterion=criterion,
                message=message,
                fix=fix,
                witness=words,
                lead=tuple((lead or {}).items()),
            )
        )

    def at(self, code: str, item: Criterion | Group, message: str, fix: str) -> None:
        """Note a finding at a criterion or a group."""
        self.add(code, message, fix, line=item.line, criterion=item.address)

    def find(self, formula: Formula, question: str, line: int) -> dict[str, Value | None] | None:
        """Search the space; a search that is too large is reported and counts as nothing found."""
        return self._search(formula, question, line)[0]

    def never(self, formula: Formula, question: str, line: int) -> bool:
        """Whether it is proved that no lead meets the formula."""
        return self._search(formula, question, line) == (None, True)

    def _search(
        self, formula: Formula, question: str, line: int
    ) -> tuple[dict[str, Value | None] | None, bool]:
        """Return a lead or None, and whether the answer is certain."""
        try:
            return self.space.find(formula), True
        except TooLargeError:
            if not any(item.code == "LD306" for item in self.findings):
                self.add(
                    "LD306",
                    f"Not proved: {question or 'which criteria are needed'}, and perhaps more. "
                    "The search was stopped.",
                    "Split the definition, or use fewer criteria in a group and fewer rules in a score.",
                    line=line,
                )
            return None, False


def lint_definition(
    definition: Definition,
    *,
    contract_attributes: Mapping[str, str] | None = None,
    leads: pd.DataFrame | None = None,
    accepted: ArrayLike | None = None,
    won: ArrayLike | None = None,
    as_of: date,
) -> LintReport:
    """Check that two people cannot read a definition two ways.

    Overlaps, gaps, unreachable classes, impossible and redundant criteria are proved over the typed space of
    the attributes, or shown by a lead. Where an attribute is the age of another one, the two are taken as
    independent.

    Parameters
    ----------
    definition : Definition
        As loaded.
    contract_attributes : mapping of name to type, optional
        The columns that the leads bring.
    leads : DataFrame, optional
        Leads to look at: fill rates, levels, which criteria separate, and how many leads are in each class.
    accepted, won : array-like of shape (n_leads,), optional
        1 yes, 0 no, NaN not known yet; to see attributes that are filled in after the outcome.
    as_of : date
        The day on which the review date is judged and ages end.

    Returns
    -------
    LintReport
        Findings in the order of the file, each with a stable code, a severity, a line and a fix.
    """
    linter = _Linter(definition, make_space(definition), _key_lines(definition))
    _lint_words(linter)
    _lint_attributes(linter)
    _lint_values(linter)
    _lint_groups(linter)
    _lint_redundant(linter)
    _lint_reach(linter)
    _lint_overlaps(linter)
    _lint_gaps(linter)
    _lint_moments(linter)
    _lint_missing(linter)
    _lint_owners(linter, as_of)
    _lint_dimensions(linter)
    if contract_attributes is not None:
        _lint_contract(linter, contract_attributes)
    found = linter.findings
    if leads is not None:
        from leadml.definitions._lint_leads import lint_on_leads

        found = found + lint_on_leads(definition, leads, as_of=as_of, accepted=accepted, won=won)
    findings = sorted(found, key=lambda item: (item.line, item.code))
    return LintReport(
        name=definition.name,
        version=definition.version,
        source=definition.source,
        as_of=as_of,
        findings=tuple(dict.fromkeys(findings)),
    )


def _key_lines(definition: Definition) -> dict[str, int]:
    """Return the line of every top-level key."""
    if not definition.text:
        return {}
    top = parse_yaml(definition.text, source=definition.source, what="definition", error=DefinitionError)
    return {key.text: key.line for key, _ in top.items}


# -- words -------------------------------------------------------------------------------------------------


def _lint_words(linter: _Linter) -> None:
    attributes = linter.definition.typed_attributes()
    for criterion in every_criterion(linter.definition):
        if criterion.fault is not None:
            codes = {"unknown_attribute": "LD102", "unknown_level": "LD103"}
            code = codes.get(criterion.fault.kind, "LD104")
            message = f"`{cut_text(criterion.text)}`: {criterion.fault.message}"
            linter.at(code, criterion, message, criterion.fault.fix)
        elif criterion.attribute is None:
            _add_prose(linter, criterion)
        else:
            attribute = attributes[criterion.attribute]
            levels = criterion.values  # noqa: PD011 - a criterion is no frame
            strange = [value for value in levels if _is_strange(value, attribute)]
            known = cut_text(", ".join(attribute.levels))
            for value in strange[:5]:
                level = cut_text(str(value))
                hint = suggest_near(level, attribute.levels) if len(linter.findings) < 50 else ""
                linter.at(
                    "LD103",
                    criterion,
                    f"`{cut_text(criterion.text)}`: {level!r} is not a level of {attribute.name!r}.{hint}",
                    f"Use one of {known}, or add {level!r} to the levels.",
                )


def _is_strange(value: Value, attribute: Attribute) -> bool:
    return isinstance(value, str) and bool(attribute.levels) and value not in attribute.levels


def _add_prose(linter: _Linter, criterion: Criterion) -> None:
    marked = mark_subjective(criterion.text)
    words = f" Subjective: {join_words(f'*{word}*' for word in marked)}." if marked else ""
    objective = suggest_objective(criterion.text, linter.definition.attributes)
    fix = (
        f"Write what can be measured, for example `{objective}`."
        if objective
        else "Declare an attribute that measures it and test that, for example `purchase_timeframe <= 6`."
    )
    linter.at(
        "LD101", criterion, f"`{cut_text(criterion.text)}` is prose and cannot be measured.{words}", fix
    )


# -- attributes --------------------------------------------------------------------------------------------


def _lint_attributes(linter: _Linter) -> None:
    used = used_attributes(linter.definition)
    for attribute in linter.definition.attributes:
        place: dict[str, Any] = {"line": attribute.line, "criterion": attribute.name}
        name = attribute.name
        if name not in used:
            fix = "Use it in a criterion, or delete it if nobody else needs it."
            linter.add("LD107", f"{name!r} is declared but nothing depends on it.", fix, **place)
            continue
        if attribute.is_numeric and not (attribute.unit or "").strip():
            unit = _UNITS.get(attribute.dimension or "", "months")
            fix = f"Add a unit, for example `{name}: {{type: {attribute.type}, unit: {unit}}}`."
            linter.add("LD105", f"{name!r} is a number without a unit.", fix, **place)
        if (attribute.window or attribute.age_of) and not attribute.anchor:
            what = (
                f"the window of {attribute.window}" if attribute.window else f"the age of {attribute.age_of}"
            )
            fix = "Add `anchor:` with capture, handoff or a date attribute; then everybody counts to one day."
            linter.add("LD106", f"{name!r}: {what} ends at no named day.", fix, **place)
        elif _WINDOW.search(name) and not attribute.window and not attribute.age_of:
            fix = "Add `window: 30 days` and `anchor: capture`."
            linter.add("LD108", f"{name!r} names a window but not the day at which it ends.", fix, **place)
        words = [level.lower() for level in attribute.levels]
        if len(words) > 1 and all(word in SUBJECTIVE or word in {"none", "medium"} for word in words):
            fix = "Replace the levels by answers that can be checked, such as numbers or events."
            message = f"The levels of {name!r} ({', '.join(attribute.levels)}) are judgements."
            linter.add("LD109", message, fix, **place)


# -- single criteria ---------------------------------------------------------------------------------------


def _lint_values(linter: _Linter) -> None:
    attributes = linter.definition.typed_attributes()
    strange = {item.criterion for item in linter.findings if item.code == "LD103"}
    for criterion in every_criterion(linter.definition):
        if not criterion.measurable or criterion.address in strange:
            continue
        attribute = attributes[criterion.attribute or ""]
        formula = linter.space.formula(criterion)
        if _is_impossible(linter, criterion, formula):
            fix = _range_fix(linter, criterion, attribute)
            linter.at("LD201", criterion, f"`{format_criterion(criterion)}` can never be true.", fix)
        elif _is_certain(linter, criterion, formula):
            what = "for every lead" if criterion.or_missing else "for every lead that has a value"
            linter.at(
                "LD202",
                criterion,
                f"`{format_criterion(criterion)}` is true {what}.",
                f"Write `{attribute.name} is known` if that is meant, or drop it.",
            )


def _is_impossible(linter: _Linter, criterion: Criterion, formula: Formula) -> bool:
    if criterion.attribute in linter.space.scores:
        return linter.never(formula, f"whether {criterion.text!r} can be true", criterion.line)
    cells = linter.space.cells[criterion.attribute or ""]
    inside = linter.space.inside(criterion)
    return criterion.operator != "is missing" and not any(cells[number] is not None for number in inside)


def _is_certain(linter: _Linter, criterion: Criterion, formula: Formula) -> bool:
    if criterion.operator == "is known":
        return criterion.or_missing
    if criterion.operator == "is missing":
        return False
    if criterion.attribute in linter.space.scores:
        return linter.never(negation(formula), f"whether {criterion.text!r} can be false", criterion.line)
    cells = linter.space.cells[criterion.attribute or ""]
    inside = linter.space.inside(criterion)
    return all(number in inside for number, cell in enumerate(cells) if cell is not None)


def _range_fix(linter: _Linter, criterion: Criterion, attribute: Attribute) -> str:
    if criterion.operator == "between" and len(criterion.values) == 2:
        low, high = criterion.values  # noqa: PD011 - a criterion is no frame
        turned = f"{attribute.name} between {format_value(high)} and {format_value(low)}"
        return f"Write the smaller value first: `{turned}`."
    if attribute.name in linter.space.scores:
        score = linter.space.scores[attribute.name]
        low_sum = sum(min(0, rule.full) for rule in score.rules) / score.scale
        high_sum = sum(max(0, rule.full) for rule in score.rules) / score.scale
        return f"The points of {attribute.name!r} lie between {low_sum:g} and {high_sum:g} at most."
    if attribute.is_numeric:
        ends = [
            format_value(end) if end is not None else "any" for end in (attribute.lowest, attribute.maximum)
        ]
        kind = "whole numbers" if attribute.type == "integer" else "numbers"
        return f"Its values are {kind} from {ends[0]} to {ends[1]}. Change the threshold or the `range`."
    return f"Its levels are {', '.join(attribute.levels)}." if attribute.levels else "Change the criterion."


# -- groups ------------------------------------------------------------------------------------------------


def _groups(rule: Group) -> Iterator[Group]:
    yield rule
    for member in rule.members:
        if isinstance(member, Group):
            yield from _groups(member)


def _lint_groups(linter: _Linter) -> None:
    impossible = {item.criterion for item in linter.findings if item.code in {"LD103", "LD201"}}
    for lead_class in linter.definition.classes:
        for group in _groups(lead_class.rule) if lead_class.rule is not None else ():
            if group.k > len(group.members):
                linter.at(
                    "LD204",
                    group,
                    f"{group.address!r} asks for {group.k} of {len(group.members)} criteria.",
                    f"Ask for at most {len(group.members)}.",
                )
            elif not any(item.address in impossible for item in walk_criteria(group)):
                _lint_contradiction(linter, group)


def _lint_contradiction(linter: _Linter, group: Group) -> None:
    formula = linter.space.formula(group, prose=TRUE)
    if not linter.never(formula, f"whether {group.address!r} can be met", group.line):
        return
    inner = [member for member in group.members if isinstance(member, Group)]
    if any(linter.never(linter.space.formula(item, prose=TRUE), "", item.line) for item in inner):
        return
    for left, right in combinations(walk_criteria(group), 2):
        both = conjunction(*(linter.space.formula(item, prose=TRUE) for item in (left, right)))
        if (
            group.kind == "all_of"
            and {left, right} <= set(group.members)
            and linter.never(both, "", right.line)
        ):
            message = f"`{format_criterion(left)}` and `{format_criterion(right)}` contradict each other."
            linter.at("LD204", right, message, f"Change one of them; nobody can meet {group.address!r}.")
            return
    linter.at(
        "LD204",
        group,
        f"No lead can meet {group.address!r}: its criteria contradict each other.",
        "Change one of them.",
    )


def _lint_redundant(linter: _Linter) -> None:
    told = {item.criterion for item in linter.findings if item.code in {"LD103", "LD201", "LD202", "LD204"}}
    for lead_class in linter.definition.classes:
        rule = lead_class.rule
        criteria = lead_class.criteria()
        if rule is None or not all(item.measurable for item in criteria) or len(criteria) < 2:
            continue
        space, line = linter.space, lead_class.line
        if linter.never(space.formula(rule), f"whether {lead_class.name!r} can be met", line):
            continue
        dropped: dict[str, Formula] = {}
        for criterion in reversed(criteria):
            if criterion.address in told or space.exhausted:
                continue
            found = _redundant(linter, rule, criterion, dropped)
            if found is not None:
                dropped[criterion.address] = found
                _add_redundant(linter, lead_class, criterion, found)


def _redundant(
    linter: _Linter, rule: Group, criterion: Criterion, dropped: dict[str, Formula]
) -> Formula | None:
    """Return what can stand for a criterion without moving a lead, or None."""
    space = linter.space
    today = space.formula(rule, instead=dropped)
    question = f"whether {criterion.text!r} is redundant"
    met = space.formula(rule, instead={**dropped, criterion.address: TRUE})
    if linter.never(conjunction(met, negation(today)), question, criterion.line):
        return TRUE
    failed = space.formula(rule, instead={**dropped, criterion.address: FALSE})
    if linter.never(conjunction(today, negation(failed)), question, criterion.line):
        return FALSE
    return None


def _add_redundant(linter: _Linter, lead_class: LeadClass, criterion: Criterion, found: Formula) -> None:
    because = ""
    for other in lead_class.criteria():
        if other.address == criterion.address:
            continue
        left, right = (other, criterion) if found == TRUE else (criterion, other)
        pair = conjunction(linter.space.formula(left), negation(linter.space.formula(right)))
        if linter.never(pair, "", criterion.line):
            same = format_criterion(left) == format_criterion(right)
            because = f": `{format_criterion(left)}` implies `{format_criterion(right)}`"
            because = f": it stands in line {other.line} too" if same else because
            break
    linter.at(
        "LD203",
        criterion,
        f"`{format_criterion(criterion)}` decides nothing in {lead_class.name!r}{because}.",
        "Drop it, or change its threshold if something else was meant.",
    )


# -- classes -----------------------------------------------------------------------------------------------


def _first_five(names: Iterable[str]) -> list[str]:
    found = list(names)
    return found if len(found) <= 5 else [*found[:5], f"{len(found) - 5} more"]


def _lint_reach(linter: _Linter) -> None:
    space = linter.space
    earlier: list[LeadClass] = []
    for lead_class in linter.definition.classes:
        own = space.formula(lead_class.rule, prose=TRUE)
        place: dict[str, Any] = {"line": lead_class.line, "criterion": lead_class.name}
        question = f"whether a lead can be {lead_class.name!r}"
        if linter.never(own, question, lead_class.line):
            fix = "Change its criteria; together nobody can meet them."
            linter.add("LD301", f"No lead can be {lead_class.name!r}: nobody meets its rule.", fix, **place)
        elif linter.never(
            conjunction(own, *(negation(space.formula(item.rule)) for item in earlier)),
            question,
            lead_class.line,
        ):
            takers = join_words(_first_five(repr(item.name) for item in earlier))
            fix = "Put it before them, narrow them, or delete it."
            linter.add(
                "LD301", f"No lead can be {lead_class.name!r}: {takers} take every lead first.", fix, **place
            )
        earlier.append(lead_class)


def _lint_overlaps(linter: _Linter) -> None:
    space = linter.space
    ruled = [item for item in linter.definition.classes if item.rule is not None]
    for number, second in enumerate(ruled):
        for first in ruled[:number]:
            if space.exhausted:
                return
            left, right = space.formula(first.rule), space.formula(second.rule)
            question = f"whether a lead can be both {first.name!r} and {second.name!r}"
            others = [negation(space.formula(item.rule)) for item in ruled if item not in {first, second}]
            lead = linter.find(conjunction(left, right, *others), question, second.line)
            if lead is None:
                lead = linter.find(conjunction(left, right), question, second.line)
            if lead is None:
                continue
            _add_overlap(linter, first, second, lead)


def _add_overlap(
    linter: _Linter, first: LeadClass, second: LeadClass, lead: Mapping[str, Value | None]
) -> None:
    space, definition = linter.space, linter.definition
    left, right = space.formula(first.rule), space.formula(second.rule)
    ladder = linter.never(conjunction(left, negation(right)), "", second.line)
    words = describe_lead(lead, definition.typed_attributes())
    how = f" Every {first.name!r} lead is both." if ladder else ""
    place: dict[str, Any] = {"line": second.line, "criterion": second.name, "lead": lead}
    if definition.handed_over(second.name) and not definition.handed_over(first.name):
        message = f"{words} meets {second.name!r}, which goes to Sales, but is {first.name!r} first."
        fix = f"Put {second.name!r} before {first.name!r}, or exclude such leads in its rule."
        linter.add("LD304", message[0].upper() + message[1:], fix, **place)
        return
    message = f"{words} is both {first.name!r} and {second.name!r}; the first class wins.{how}"
    fix = f"Nothing if the order is meant; otherwise exclude {first.name!r} in the rule of {second.name!r}."
    linter.add("LD302", message[0].upper() + message[1:], fix, **place)


def _lint_gaps(linter: _Linter) -> None:
    definition, space = linter.definition, linter.space
    line = linter.lines.get("classes", 0)
    if any(item.rule is None for item in definition.classes):
        return
    outside = [negation(space.formula(item.rule, prose=TRUE)) for item in definition.classes]
    lead = linter.find(conjunction(*outside), "whether a lead can be in no class", line)
    if lead is not None:
        words = describe_lead(lead, definition.typed_attributes())
        linter.add(
            "LD303",
            f"{words[0].upper()}{words[1:]} is in no class.",
            "Add a last class with `otherwise: true`.",
            line=line,
            lead=lead,
        )


# -- moments and missing values ----------------------------------------------------------------------------


def _lint_moments(linter: _Linter) -> None:
    definition = linter.definition
    attributes = definition.typed_attributes()
    handed = [number for number, item in enumerate(definition.classes) if definition.handed_over(item.name)]
    deciding = definition.classes[: handed[-1] + 1] if handed else definition.classes
    asked = [criterion for lead_class in deciding for criterion in lead_class.criteria()]
    tested = {criterion.attribute for criterion in asked}
    asked += [rule.when for score in definition.points if score.name in tested for rule in score.rules]
    for criterion in asked:
        late = [name for name in _bases(linter, criterion) if attributes[name].known_at == "after"]
        if late:
            linter.at(
                "LD401",
                criterion,
                f"`{cut_text(criterion.text)}`: {late[0]!r} is known only after the handoff.",
                "Use something that Marketing knows before, or correct `known_at`.",
            )
    used = used_attributes(definition)
    silent = [
        item
        for item in definition.attributes
        if item.name in used and item.known_at is None and item.age_of is None
    ]
    if silent:
        names = join_words(repr(item.name) for item in silent)
        linter.add(
            "LD404",
            f"When {names} {'is' if len(silent) == 1 else 'are'} known is not said.",
            "Add `known_at: capture`, `handoff` or `after`.",
            line=silent[0].line,
            criterion=silent[0].name,
        )


def _bases(linter: _Linter, criterion: Criterion) -> list[str]:
    """Return the attribute of a criterion and, if it is an age, the days that it is counted from."""
    attribute = linter.definition.typed_attributes().get(criterion.attribute or "")
    if attribute is None:
        return []
    ends = [name for name in (attribute.age_of, attribute.anchor) if name]
    known = {item.name for item in linter.definition.attributes}
    return [name for name in (attribute.name, *ends) if name in known]


def _lint_missing(linter: _Linter) -> None:
    definition = linter.definition
    name = classify(definition, {})
    if name is not None and definition.handed_over(name):
        lead_class = definition.lead_class(name)
        linter.add(
            "LD403",
            f"A lead about which nothing is known is {name!r} and goes to Sales.",
            "Ask for at least one value, for example with `is known`.",
            line=lead_class.line,
            criterion=name,
            lead={
                item.name: None for item in definition.attributes if item.name in used_attributes(definition)
            },
        )
    for lead_class in definition.classes:
        if lead_class.rule is not None and definition.handed_over(lead_class.name):
            _lint_unasked(linter, lead_class, lead_class.rule)


def _lint_unasked(linter: _Linter, lead_class: LeadClass, rule: Group) -> None:
    """Name the attributes whose absence alone keeps a lead out and that nobody asks for."""
    space = linter.space
    attributes = linter.definition.typed_attributes()
    impossible = {item.criterion for item in linter.findings if item.code in {"LD103", "LD201"}}
    unasked: list[str] = []
    witness: dict[str, Value | None] | None = None
    for name in dict.fromkeys(item.attribute for item in lead_class.criteria() if item.measurable):
        attribute = attributes[name or ""]
        if attribute.asked or attribute.name in space.scores:
            continue
        tests = [item for item in lead_class.criteria() if item.attribute == name]
        if any(item.address in impossible for item in tests):  # no answer would help
            continue
        unknown = space.formula(
            Criterion(address="", attribute=name, operator="is missing", text=f"{name} is missing")
        )
        met = space.formula(rule, instead={item.address: TRUE for item in tests})
        formula = conjunction(unknown, met, negation(space.formula(rule)))
        lead = linter.find(formula, f"whether a missing {name!r} decides", lead_class.line)
        if lead is not None:
            unasked.append(attribute.name)
            witness = witness or lead
    if unasked:
        linter.add(
            "LD402",
            f"Without {join_words(unasked, last='or')} a lead that meets everything else is not "
            f"{lead_class.name!r}, and no question of a form is named that asks for it.",
            "Add `asked:` with the question, or write `or missing`.",
            line=lead_class.line,
            criterion=lead_class.name,
            lead=witness,
        )


# -- the paper around it -----------------------------------------------------------------------------------


def _lint_owners(linter: _Linter, as_of: date) -> None:
    definition = linter.definition
    owners = {side.strip().lower(): who for side, who in definition.owners}
    line = linter.lines.get("owners", 1)
    for side in _SIDES:
        if owners.get(side, "").strip().lower() in _NOBODY:
            fix = f"Add `{side}: <role>` under `owners`; a role outlives a person."
            linter.add("LD501", f"Nobody owns this definition for {side.capitalize()}.", fix, line=line)
    line = linter.lines.get("review_by", 1)
    review, start = definition.review_by, definition.effective_from
    if review is None:
        linter.add("LD503", "No day is set for the next review.", "Add `review_by: YYYY-MM-DD`.", line=line)
    elif review < as_of:
        days = (as_of - review).days
        message = f"The review was due on {review}, {days} {'day' if days == 1 else 'days'} ago."
        linter.add("LD502", message, "Review the definition and set the next `review_by`.", line=line)
    if review is not None and start is not None and review < start:
        fix = "Set `review_by` after `effective_from`."
        linter.add(
            "LD506",
            f"The review ({review}) lies before the definition takes effect ({start}).",
            fix,
            line=line,
        )
    if not definition.handoff:
        linter.add(
            "LD305",
            "No class goes to Sales.",
            f"Add `handoff: [{definition.classes[0].name}]`.",
            line=linter.lines.get("handoff", 1),
        )


def _lint_dimensions(linter: _Linter) -> None:
    used = used_attributes(linter.definition)
    covered = set()
    for attribute in linter.definition.attributes:
        if attribute.dimension is None:
            continue
        if attribute.dimension not in DIMENSIONS:
            linter.add(
                "LD505",
                f"{attribute.name!r}: unknown dimension {attribute.dimension!r}."
                + suggest(attribute.dimension, DIMENSIONS),
                f"Use one of {', '.join(DIMENSIONS)}.",
                line=attribute.line,
                criterion=attribute.name,
            )
        elif attribute.name in used:
            covered.add(attribute.dimension)
    bare = [dimension for dimension in DIMENSIONS if dimension not in covered]
    if bare:
        linter.add(
            "LD504",
            f"No criterion covers {join_words(bare, last='or')}.",
            "Add a criterion or agree that it does not matter; say with `dimension:` what covers it.",
            line=linter.lines.get("attributes", 0),
        )


def _lint_contract(linter: _Linter, columns: Mapping[str, str]) -> None:
    used = used_attributes(linter.definition)
    for attribute in linter.definition.attributes:
        if attribute.name not in used or attribute.age_of is not None:
            continue
        kind = columns.get(attribute.name)
        if kind is None:
            linter.add(
                "LD601",
                f"{attribute.name!r} is no column of the leads.{suggest_near(attribute.name, columns)}",
                "Add it to the contract, or use an attribute that the leads have.",
                line=attribute.line,
                criterion=attribute.name,
            )
        elif kind not in _SAME[attribute.type]:
            linter.add(
                "LD602",
                f"{attribute.name!r} is of type {attribute.type} here and {kind} in the contract.",
                "Make both the same.",
                line=attribute.line,
                criterion=attribute.name,
            )

"""The linter's rules: every code that it can report, with what it means and why it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["RULES", "Rule", "Severity", "describe_rules"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the linter.

    Parameters
    ----------
    code : str
        Stable: a code never changes its meaning and is never used again.
    severity : {"error", "warning", "note"}
        An error makes the definition unusable or wrong; a warning should be settled; a note is worth knowing.
    name : str
        A few words.
    why : str
        Why it matters.
    needs : {"definition", "contract", "leads"}
        What must be given for the rule to look.
    """

    code: str
    severity: Severity
    name: str
    why: str
    needs: Literal["definition", "contract", "leads"] = "definition"


def _rule(
    code: str,
    severity: Severity,
    name: str,
    why: str,
    *,
    needs: Literal["definition", "contract", "leads"] = "definition",
) -> Rule:
    return Rule(code=code, severity=severity, name=name, why=why, needs=needs)


_ALL = (
    _rule(
        "LD101",
        "error",
        "prose criterion",
        "Two people read prose two ways, so it is met by nobody; only a test of an attribute can be learnt.",
    ),
    _rule(
        "LD102",
        "error",
        "unknown attribute",
        "The criterion tests something that the definition does not declare.",
    ),
    _rule(
        "LD103",
        "error",
        "level not in the list",
        "No lead can have a level that its attribute does not list, so the test silently fails.",
    ),
    _rule(
        "LD104",
        "error",
        "criterion cannot be read",
        "It looks like a test but its operator or its value does not fit the attribute.",
    ),
    _rule("LD105", "warning", "number without a unit", "Six what? Days, weeks or months decide differently."),
    _rule(
        "LD106",
        "warning",
        "window or age without an anchor",
        "The last 30 days before what? Without an anchor the class of a lead changes from day to day.",
    ),
    _rule(
        "LD107",
        "note",
        "attribute never used",
        "It is asked for and maintained, but no class, points score or price depends on it.",
    ),
    _rule(
        "LD108",
        "note",
        "window in the name only",
        "The name says over how many days is counted; nothing says until when.",
    ),
    _rule(
        "LD109",
        "note",
        "levels that are judgements",
        "Levels such as high or low are chosen by feeling; two people choose two ways.",
    ),
    _rule("LD201", "error", "impossible criterion", "No value of the attribute can meet it."),
    _rule(
        "LD202",
        "warning",
        "criterion that is always true",
        "Every value meets it; it tests only that there is a value, or nothing at all.",
    ),
    _rule(
        "LD203",
        "warning",
        "redundant criterion",
        "The class holds the same leads without it, so it costs a question and decides nothing.",
    ),
    _rule(
        "LD204",
        "error",
        "group that nobody can meet",
        "Its criteria contradict each other, or more are asked for than there are.",
    ),
    _rule(
        "LD301",
        "error",
        "unreachable class",
        "No lead can ever be in it: its rule contradicts itself, or earlier classes take everybody.",
    ),
    _rule(
        "LD302",
        "note",
        "overlapping classes",
        "A lead meets both rules; only the order of the classes decides. Read as a sentence, it is both.",
    ),
    _rule(
        "LD303", "warning", "leads in no class", "There are leads that no class takes; nobody works on them."
    ),
    _rule(
        "LD304",
        "warning",
        "earlier class withholds a lead from Sales",
        "A lead meets a class that goes to Sales, but an earlier class that does not go there takes it.",
    ),
    _rule(
        "LD305",
        "error",
        "no class goes to Sales",
        "Without `handoff` nothing is handed over, and no threshold has a value.",
    ),
    _rule(
        "LD306",
        "note",
        "too large to prove",
        "The rules are so entangled that the search was stopped; this question stays open.",
    ),
    _rule(
        "LD401",
        "error",
        "known only after the handoff",
        "A criterion of the handoff cannot use what only Sales finds out afterwards.",
    ),
    _rule(
        "LD402",
        "note",
        "a missing answer decides",
        "A lead that meets everything else is kept from Sales only because nobody asked.",
    ),
    _rule(
        "LD403",
        "warning",
        "a lead about which nothing is known goes to Sales",
        "With every value missing the rules still hand it over.",
    ),
    _rule(
        "LD404",
        "note",
        "moment of knowledge not said",
        "Without `known_at` nobody can check that a criterion is known when it is needed.",
    ),
    _rule("LD501", "warning", "missing owner", "A definition that nobody signs for binds nobody."),
    _rule("LD502", "warning", "review overdue", "The day on which it was to be looked at again has passed."),
    _rule("LD503", "warning", "no review date", "Definitions age; without a day nobody looks again."),
    _rule(
        "LD504",
        "note",
        "dimension that no criterion covers",
        "The checklist: interest, authority, budget, need, timing, industry, size, pain, systems.",
    ),
    _rule(
        "LD505", "note", "unknown dimension", "The checklist does not know this word, so it does not count."
    ),
    _rule(
        "LD506", "warning", "review before it begins", "The review day lies before the day it takes effect."
    ),
    _rule(
        "LD601",
        "error",
        "attribute is no column of the leads",
        "The contract brings no such column, so the definition cannot be applied.",
        needs="contract",
    ),
    _rule(
        "LD602",
        "error",
        "attribute of another type than its column",
        "Comparing a text with a number means something else in every tool.",
        needs="contract",
    ),
    _rule(
        "LD611",
        "warning",
        "rarely known",
        "Fewer than half of the leads have a value; the criterion judges the form, not the lead.",
        needs="leads",
    ),
    _rule(
        "LD612",
        "warning",
        "criterion that separates nobody",
        "All leads, or none, meet it, so it decides nothing.",
        needs="leads",
    ),
    _rule(
        "LD613",
        "warning",
        "levels that the definition does not know",
        "The leads have values that nobody thought of when the definition was written.",
        needs="leads",
    ),
    _rule(
        "LD614",
        "warning",
        "picklist default posing as a judgement",
        "A value that the form fills in by itself says nothing about the lead.",
        needs="leads",
    ),
    _rule(
        "LD615", "note", "leads in each class", "How the leads at hand fall into the classes.", needs="leads"
    ),
    _rule("LD616", "warning", "class with no lead or every lead", "It sorts nothing.", needs="leads"),
    _rule(
        "LD617",
        "warning",
        "perhaps filled in after the handoff",
        "It is known far more often for one outcome, so it may be a trace of the outcome, not its cause.",
        needs="leads",
    ),
    _rule(
        "LD618",
        "warning",
        "level that no lead has",
        "A criterion names a level that does not occur in the leads; often it is spelt differently there.",
        needs="leads",
    ),
)

RULES = {rule.code: rule for rule in _ALL}
"""Every rule by its code."""


def describe_rules() -> tuple[Rule, ...]:
    """Return every rule of the linter in the order of its code.

    Returns
    -------
    tuple of Rule
        With code, severity, name, why it matters, and what the rule needs to look.

    Examples
    --------
    >>> describe_rules()[0].code
    'LD101'
    """
    return _ALL

"""The written definition as a value: read, write, lint, assign, compile to SQL, compare, document.

A definition file is YAML without anchors, aliases, tags or duplicate keys; every scalar is text that the
schema types. Its keys:

``name``, ``version``
    Required, like ``classes``.
``effective_from``, ``review_by``, ``owners``, ``meaning``
    Days as YYYY-MM-DD; ``owners: {marketing: …, sales: …}``.
``attributes``
    By name: ``type`` (number, integer, ordinal, category, boolean, date), ``unit``, ``levels`` (lowest first
    for an ordinal), ``range: [lowest, highest]``, ``steps``, ``dimension``, ``known_at`` (capture, handoff,
    after), ``asked`` (the question of the form), ``window: 30 days`` with its ``anchor``. An age is an
    integer with ``age_of`` (a date attribute) and ``anchor`` (another one, or ``as_of``): the whole days
    between the two.
``points``
    By name of the score, rules ``{when: criterion, points: number}``; negative points count down, and
    ``fades_over: days`` with ``age: attribute`` lets them fade linearly to zero.
``classes``
    In order, each with ``name``, ``meaning`` and one of ``all_of``, ``any_of``, ``at_least`` + ``of`` or
    ``otherwise: true``; groups nest.
``handoff``, ``prices``
    The classes that go to Sales; ``prices: {won: {default: …, by: {criterion: …}}, worked_lead, currency}``.

A criterion is ``attribute`` or ``not attribute`` (boolean), a comparison (``< <= > >= = !=``), ``between a
and b`` (inclusive), ``in [..]``, ``not in [..]``, ``is known`` or ``is missing``; ``or missing`` at its end
lets a lead without a value pass, which no criterion does otherwise.

Reading and linting load neither numpy nor pandas; the functions on leads are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadml.definitions._compile import DIALECTS, Dialect, compile_parts, compile_sql
from leadml.definitions._definition import (
    DIMENSIONS,
    Attribute,
    Criterion,
    Definition,
    Fault,
    Group,
    LeadClass,
    PointRule,
    PointScore,
    Prices,
    points_scale,
    used_attributes,
    walk_criteria,
)
from leadml.definitions._diff import DefinitionDiff, diff_definitions
from leadml.definitions._diff_proof import ClassChange, DiffEntry
from leadml.definitions._directions import find_directions, find_wanted_levels
from leadml.definitions._document import document_definition
from leadml.definitions._grammar import format_criterion, parse_criterion
from leadml.definitions._lint import lint_definition
from leadml.definitions._page import ClassPart, make_page
from leadml.definitions._read import load_definition, parse_definition
from leadml.definitions._report import Finding, LintReport
from leadml.definitions._rules import Rule, describe_rules
from leadml.definitions._scorecard import Scorecard, ScoreCurve, ScoreInput, ScoreTable
from leadml.definitions._segment import other_leads, say_segmented
from leadml.definitions._words import describe_criterion
from leadml.definitions._write import Change, ChangeKind, apply_changes, next_version

if TYPE_CHECKING:
    from leadml.definitions._diff_leads import LeadsDiff, diff_on_leads
    from leadml.definitions._evaluate import (
        assign_classes,
        compute_points,
        compute_won_prices,
        criterion_mask,
        evaluate_criteria,
        explain_classes,
    )

_LAZY = {
    "LeadsDiff": "_diff_leads",
    "diff_on_leads": "_diff_leads",
    "assign_classes": "_evaluate",
    "compute_points": "_evaluate",
    "compute_won_prices": "_evaluate",
    "criterion_mask": "_evaluate",
    "evaluate_criteria": "_evaluate",
    "explain_classes": "_evaluate",
}

__all__ = [
    "DIALECTS",
    "DIMENSIONS",
    "Attribute",
    "Change",
    "ChangeKind",
    "ClassChange",
    "ClassPart",
    "Criterion",
    "Definition",
    "DefinitionDiff",
    "Dialect",
    "DiffEntry",
    "Fault",
    "Finding",
    "Group",
    "LeadClass",
    "LeadsDiff",
    "LintReport",
    "PointRule",
    "PointScore",
    "Prices",
    "Rule",
    "ScoreCurve",
    "ScoreInput",
    "ScoreTable",
    "Scorecard",
    "apply_changes",
    "assign_classes",
    "compile_parts",
    "compile_sql",
    "compute_points",
    "compute_won_prices",
    "criterion_mask",
    "describe_criterion",
    "describe_rules",
    "diff_definitions",
    "diff_on_leads",
    "document_definition",
    "evaluate_criteria",
    "explain_classes",
    "find_directions",
    "find_wanted_levels",
    "format_criterion",
    "lint_definition",
    "load_definition",
    "make_page",
    "next_version",
    "other_leads",
    "parse_criterion",
    "parse_definition",
    "points_scale",
    "say_segmented",
    "used_attributes",
    "walk_criteria",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

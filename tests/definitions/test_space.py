"""Proofs over the typed space against brute force over generated definitions."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadml.definitions import assign_classes, evaluate_criteria, lint_definition, parse_definition
from leadml.definitions._definition import Group
from leadml.definitions._diagram import TRUE, conjunction, negation
from leadml.definitions._space import classify, make_space, meets_rule


def group_mask(rule, met):
    if not isinstance(rule, Group):
        return met[rule.address].to_numpy()
    return sum(group_mask(member, met).astype(int) for member in rule.members) >= rule.k


def as_lead(row):
    lead = {}
    for name, value in row.items():
        if pd.isna(value):
            lead[name] = None
        elif isinstance(value, bool | np.bool_):
            lead[name] = bool(value)
        else:
            lead[name] = value if isinstance(value, str) else Decimal(str(value))
    return lead


CHECKED = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def check_definition(text, leads_grid):
    definition = parse_definition(text)
    frame = leads_grid(definition)
    met = evaluate_criteria(definition, frame)
    masks = [
        np.ones(len(frame), bool) if item.rule is None else group_mask(item.rule, met)
        for item in definition.classes
    ]
    space = make_space(definition)
    rules = [item.rule for item in definition.classes]
    formulas = [space.formula(rule) for rule in rules]
    for number, formula in enumerate(formulas):
        expected = masks[number] & ~np.logical_or.reduce([np.zeros(len(frame), bool), *masks[:number]])
        lead = space.find(conjunction(formula, *(negation(other) for other in formulas[:number])))
        assert (lead is not None) == expected.any()
        if lead is not None:
            assert classify(definition, lead) == definition.classes[number].name
    for second in range(len(formulas)):
        for first in range(second):
            lead = space.find(conjunction(formulas[first], formulas[second]))
            assert (lead is not None) == (masks[first] & masks[second]).any()
            if lead is not None:
                assert meets_rule(rules[first], lead, definition)
                assert meets_rule(rules[second], lead, definition)
    lead = space.find(conjunction(*(negation(formula) for formula in formulas)))
    assert (lead is not None) == (~np.logical_or.reduce(masks)).any()
    if lead is not None:
        assert classify(definition, lead) is None
    for item in definition.classes:
        for criterion in item.criteria():
            today = group_mask(item.rule, met)
            changed = group_mask(item.rule, met.assign(**{criterion.address: True}))
            formula = conjunction(
                space.formula(item.rule, instead={criterion.address: TRUE}),
                negation(space.formula(item.rule)),
            )
            assert (space.find(formula) is not None) == (changed & ~today).any()
    return definition, frame, masks


@given(data=st.data())
@settings(CHECKED, max_examples=80)
def test_proofs_equal_brute_force(generated_definitions, leads_grid, data):
    check_definition(data.draw(generated_definitions()), leads_grid)


@pytest.mark.slow
@given(data=st.data())
@settings(CHECKED, max_examples=2500)
def test_proofs_equal_brute_force_over_thousands_of_definitions(generated_definitions, leads_grid, data):
    check_definition(data.draw(generated_definitions()), leads_grid)


@given(data=st.data())
@settings(CHECKED, max_examples=30)
def test_the_plain_reading_of_one_lead_equals_the_frame(generated_definitions, leads_grid, data):
    definition = parse_definition(data.draw(generated_definitions()))
    frame = leads_grid(definition).sample(frac=1, random_state=0).head(40)
    assigned = assign_classes(definition, frame)
    for (_, row), name in zip(frame.iterrows(), assigned, strict=True):
        assert classify(definition, as_lead(row)) == (None if pd.isna(name) else name)


@given(data=st.data())
@settings(CHECKED, max_examples=30)
def test_what_the_linter_reports_about_classes_is_true(generated_definitions, leads_grid, data):
    definition, frame, masks = check_definition(data.draw(generated_definitions()), leads_grid)
    report = lint_definition(definition, as_of=date(2026, 1, 1))
    names = [item.name for item in definition.classes]
    codes = {(finding.code, finding.criterion) for finding in report.findings}
    taken = np.zeros(len(frame), bool)
    for name, mask in zip(names, masks, strict=True):
        assert (("LD301", name) in codes) == (not (mask & ~taken).any())
        taken |= mask
    assert any(code == "LD303" for code, _ in codes) == (not taken.all())


def test_a_definition_with_many_attributes_is_still_proved_quickly():
    names = [f"a{number}" for number in range(16)]
    attributes = "\n".join(f"  {name}: {{type: integer, unit: people}}" for name in names)
    tests = ", ".join(f"{name} >= {10 + number}" for number, name in enumerate(names))
    text = (
        f"name: t\nversion: 1\nattributes:\n{attributes}\nclasses:\n"
        f"  - {{name: hot, at_least: 9, of: [{tests}]}}\n  - {{name: medium, at_least: 5, of: [{tests}]}}\n"
        f"  - {{name: cold, at_least: 9, of: [{tests}]}}\n"
    )
    report = lint_definition(parse_definition(text), as_of=date(2026, 1, 1))
    assert [item.criterion for item in report.findings if item.code == "LD301"] == ["cold"]
    assert not [item for item in report.findings if item.code == "LD306"]


def test_a_score_out_of_reach_is_impossible():
    text = (
        "name: t\nversion: 1\nattributes: {a: {type: boolean}, b: {type: integer, unit: views}}\n"
        "points: {score: [{when: a, points: 40}, {when: b >= 5, points: 10}, {when: b < 5, points: 10}]}\n"
        "classes: [{name: hot, all_of: [score >= 60]}, {name: warm, all_of: [score >= 50]}, {name: c, otherwise: true}]\n"
    )
    report = lint_definition(parse_definition(text), as_of=date(2026, 1, 1))
    assert ("LD201", "hot.score") in {(item.code, item.criterion) for item in report.findings}
    assert ("LD301", "warm") not in {(item.code, item.criterion) for item in report.findings}

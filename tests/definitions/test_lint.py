"""The linter."""

import re
import time
from datetime import date
from pathlib import Path

import pytest

from leadml.definitions import describe_rules, lint_definition, load_definition, parse_definition
from leadml.definitions._space import classify, meets_rule

EXAMPLES = Path(__file__).parents[2] / "experiments" / "definitions"
TODAY = date(2026, 9, 1)

TEXT = """\
name: inbound-lead
version: 2026.3
effective_from: 2026-07-01
review_by: 2026-12-31
owners: {marketing: Director of Demand Generation, sales: VP Sales}
attributes:
  months: {type: number, unit: months, dimension: timing, known_at: capture, asked: When will you decide?}
  budget: {type: ordinal, levels: [none, exploring, requested], dimension: budget, known_at: handoff, asked: Budget?}
  title: {type: ordinal, levels: [staff, manager, director], dimension: authority, known_at: capture, asked: Title?}
  industry: {type: category, levels: [software, public], dimension: industry, known_at: capture, asked: Industry?}
  employees: {type: integer, unit: people, dimension: size, known_at: capture, asked: How many?, range: [1, 1000000]}
  demo: {type: boolean, dimension: interest, known_at: capture, asked: A demo?}
classes:
  - name: hot
    all_of:
      - months <= 6
      - budget >= requested
      - title >= director
      - industry = software
      - employees >= 100
      - demo
  - name: cold
    otherwise: true
handoff: [hot]
"""


def lint(text, **kwargs):
    return lint_definition(parse_definition(text), as_of=TODAY, **kwargs).findings


def found(text, code, **kwargs):
    return [item for item in lint(text, **kwargs) if item.code == code]


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_an_objective_definition_has_neither_errors_nor_warnings():
    assert {item.code for item in lint(TEXT)} == {"LD504"}


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "criterion", "message", "fix"),
    [
        (
            "months <= 6",
            "deciding soon",
            "LD101",
            "deciding",
            "hot.deciding_soon",
            r"\*soon\*",
            "months <= 6",
        ),
        (
            "months <= 6",
            "montsh <= 6",
            "LD102",
            "montsh",
            "hot.montsh",
            "Did you mean 'months'",
            "Declare 'montsh'",
        ),
        (
            "title >= director",
            "title >= vp",
            "LD103",
            "title >= vp",
            "hot.title",
            "'vp' is not a level",
            "staff, man",
        ),
        (
            "industry = software",
            "industry = sofware",
            "LD103",
            "sofware",
            "hot.industry",
            "mean 'software'",
            "levels",
        ),
        ("months <= 6", "months <= six", "LD104", "six", "hot.months", "expected a number", "plain decimal"),
        ("unit: months, ", "", "LD105", "  months:", "months", "without a unit", "unit: months"),
        (
            "unit: months,",
            "unit: months, window: 30 days,",
            "LD106",
            "  months:",
            "months",
            "no named day",
            "anchor",
        ),
        (
            "  demo:",
            "  spare: {type: boolean}\n  demo:",
            "LD107",
            "spare",
            "spare",
            "nothing depends",
            "delete",
        ),
        ("demo", "demo_30d", "LD108", "  demo_30d:", "demo_30d", "names a window", "window: 30 days"),
        (
            "[none, exploring, requested]",
            "[low, high]",
            "LD109",
            "  budget:",
            "budget",
            "are judgements",
            "events",
        ),
        (
            "months <= 6",
            "months between 9 and 3",
            "LD201",
            "between",
            "hot.months",
            "never",
            "between 3 and 9",
        ),
        ("months <= 6", "months < 0", "LD201", "months <", "hot.months", "never be true", "from 0 to any"),
        (
            "employees >= 100",
            "employees < 1",
            "LD201",
            "employees <",
            "hot.employees",
            "never",
            "from 1 to 1000000",
        ),
        (
            "employees >= 100",
            "employees > 1000000",
            "LD201",
            "employees >",
            "hot.employees",
            "never",
            "range",
        ),
        (
            "title >= director",
            "title > director",
            "LD201",
            "title >",
            "hot.title",
            "never",
            "levels are staff",
        ),
        (
            "employees >= 100",
            "employees >= 1",
            "LD202",
            "employees >=",
            "hot.employees",
            "has a value",
            "is known",
        ),
        (
            "demo\n",
            "demo is known or missing\n",
            "LD202",
            "or missing",
            "hot.demo",
            "for every lead.",
            "drop",
        ),
        ("- demo\n", "- months <= 9\n", "LD203", "<= 9", "hot.months#2", "`months <= 6` implies", "Drop it"),
        ("- demo\n", "- months >= 9\n", "LD204", ">= 9", "hot.months#2", "contradict each other", "nobody"),
        ("all_of:", "at_least: 7\n    of:", "LD204", "name: hot", "hot", "7 of 6", "at most 6"),
        ("- demo\n", "- months >= 9\n", "LD301", "name: hot", "hot", "nobody meets its rule", "Change"),
        (
            "    otherwise: true",
            "    any_of: [demo]",
            "LD303",
            "classes:",
            None,
            "is in no class",
            "otherwise",
        ),
        ("handoff: [hot]\n", "", "LD305", "name: inbound", None, "No class goes to Sales", "handoff: [hot]"),
        (
            "timing, known_at: capture",
            "timing, known_at: after",
            "LD401",
            "months <=",
            "hot.months",
            "after",
            "before",
        ),
        (", asked: When will you decide?", "", "LD402", "name: hot", "hot", "Without months", "asked:"),
        (
            "timing, known_at: capture",
            "timing",
            "LD404",
            "  months:",
            "months",
            "is not said",
            "known_at: capture",
        ),
        ("sales: VP Sales", "sales: TBD", "LD501", "owners", None, "Nobody owns .* Sales", "sales: <role>"),
        ("review_by: 2026-12-31", "review_by: 2026-08-31", "LD502", "review_by", None, "1 day ago", "next"),
        ("review_by: 2026-12-31\n", "", "LD503", "name: inbound", None, "No day is set", "review_by"),
        (
            "dimension: timing",
            "dimension: timming",
            "LD505",
            "  months:",
            "months",
            "Did you mean 'timing'",
            "timing",
        ),
        ("2026-07-01", "2027-07-01", "LD506", "review_by", None, "before the definition", "after"),
    ],
)
def test_each_rule_finds_its_case_with_line_and_fix(old, new, code, line, criterion, message, fix):
    text = TEXT.replace(old, new)
    assert text != TEXT
    findings = found(text, code)
    assert findings, [item.code for item in lint(text)]
    finding = findings[0]
    assert finding.line == line_of(text, line)
    assert finding.criterion == criterion
    assert re.search(message, finding.message), finding.message
    assert fix in finding.fix, finding.fix


def test_the_subjective_twin_is_refused_line_by_line():
    definition = load_definition(EXAMPLES / "timeframe-subjective-2026.1.yaml")
    report = lint_definition(definition, as_of=TODAY)
    refused = {item.line: item for item in report.findings if item.code == "LD101"}
    assert set(refused) == {criterion.line for criterion in definition.criteria()}
    assert all(item.severity == "error" and item.fix for item in refused.values())
    assert "`purchase_timeframe <= 6`" in refused[25].fix


@pytest.mark.parametrize(
    "name", ["timeframe-2026.1", "bant-2026.1", "marketstar-2022.1", "xeducation-2026.1", "recency-2026.1"]
)
def test_the_objective_examples_have_neither_errors_nor_warnings(name):
    report = lint_definition(load_definition(EXAMPLES / f"{name}.yaml"), as_of=TODAY)
    assert [item for item in report.findings if item.severity != "note"] == []


def test_an_overlap_is_shown_by_a_lead_that_is_in_both():
    text = TEXT.replace(
        "  - name: cold\n    otherwise: true\n",
        "  - name: medium\n    any_of: [title >= manager, employees between 50 and 500]\n"
        "  - name: cold\n    any_of: [months is missing, months > 12]\n  - name: rest\n    otherwise: true\n",
    )
    definition = parse_definition(text)
    overlaps = [item for item in lint(text) if item.code == "LD302"]
    assert [item.criterion for item in overlaps] == ["medium", "cold"]
    lead = dict(overlaps[1].lead)
    assert meets_rule(definition.lead_class("medium").rule, lead, definition)
    assert meets_rule(definition.lead_class("cold").rule, lead, definition)
    assert "is both 'medium' and 'cold'" in overlaps[1].message
    assert overlaps[1].witness.startswith("a lead with ")


def test_a_class_that_earlier_ones_take_whole_is_unreachable():
    text = TEXT.replace("    otherwise: true\n", "    otherwise: true\n  - name: late\n    all_of: [demo]\n")
    (finding,) = found(text, "LD301")
    assert (finding.criterion, finding.line) == ("late", line_of(text, "name: late"))
    assert "'hot' and 'cold' take every lead first" in finding.message


def test_an_earlier_class_that_withholds_a_lead_from_sales_is_reported():
    text = TEXT.replace("handoff: [hot]", "handoff: [cold]").replace(
        "    otherwise: true\n", "    any_of: [demo]\n"
    )
    (finding,) = found(text, "LD304")
    assert classify(parse_definition(text), dict(finding.lead)) == "hot"


def test_a_lead_about_which_nothing_is_known_must_not_go_to_sales():
    text = TEXT.replace("    all_of:\n", "    any_of:\n").replace("demo\n", "demo or missing\n")
    (finding,) = found(text, "LD403")
    assert finding.criterion == "hot"
    assert "without months" in finding.witness


def test_of_two_equal_criteria_only_the_later_is_redundant():
    text = TEXT.replace("- demo\n", "- demo\n      - demo\n")
    assert [item.criterion for item in found(text, "LD203")] == ["hot.demo#2"]


def test_what_no_single_question_of_a_class_needs_is_not_called_redundant():
    text = TEXT.replace("all_of:", "at_least: 3\n    of:")
    assert found(text, "LD203") == []


def test_prose_does_not_make_other_rules_lie():
    text = TEXT.replace("months <= 6", "strong interest").replace(
        "    otherwise: true\n", "    any_of: [weak case]\n"
    )
    assert {item.code for item in lint(text)} <= {"LD101", "LD107", "LD504"}


def test_columns_of_a_contract_are_compared_with_the_attributes():
    columns = {
        "months": "number",
        "budget": "category",
        "title": "ordinal",
        "industry": "number",
        "employes": "integer",
    }
    findings = {item.criterion: item for item in lint(TEXT, contract_attributes=columns) if item.code > "LD6"}
    assert {name: item.code for name, item in findings.items()} == {
        "industry": "LD602",
        "employees": "LD601",
        "demo": "LD601",
    }
    assert "Did you mean 'employes'" in findings["employees"].message


def test_a_report_is_plain_data_a_table_and_a_card():
    report = lint_definition(parse_definition(TEXT.replace("months <= 6", "<b>soon</b> really")), as_of=TODAY)
    assert list(report.to_dict()["findings"][0]) == [
        "code", "severity", "line", "criterion", "message", "fix", "witness",
    ]  # fmt: skip
    assert list(report.to_frame().columns) == list(report.to_dict()["findings"][0])
    assert len(report.to_frame()) == len(report.findings)
    assert repr(report).startswith("inbound-lead 2026.3: 1 error")
    assert len(repr(report).splitlines()) <= 10
    html = report._repr_html_()
    assert "<b>soon" not in html
    assert "&lt;b&gt;soon" in html
    assert report.findings[0].why


def test_a_clean_report_is_a_table_without_rows():
    columns = ["need", "industry", "pain", "systems"]
    more = "".join(
        f"  {name}_x: {{type: boolean, dimension: {name}, known_at: capture, asked: X?}}\n"
        for name in columns
    )
    tests = "".join(f"      - {name}_x\n" for name in columns)
    text = TEXT.replace("classes:\n", f"{more}classes:\n").replace("      - demo\n", f"      - demo\n{tests}")
    report = lint_definition(parse_definition(text), as_of=TODAY)
    assert report.findings == ()
    assert len(report.to_frame()) == 0
    assert repr(report) == "inbound-lead 2026.3: nothing found"


def test_every_rule_is_described_once_and_can_be_reported():
    rules = describe_rules()
    codes = [rule.code for rule in rules]
    assert codes == sorted(set(codes))
    assert all(rule.name and rule.why.endswith((".", "?")) for rule in rules)


def test_a_search_that_is_too_large_says_so_once_and_claims_nothing(monkeypatch):
    monkeypatch.setattr("leadml.definitions._space.MAX_STATES", 0)
    text = TEXT.replace("    otherwise: true\n", "    any_of: [demo, months > 9]\n")
    findings = lint(text)
    assert [item.code for item in findings if item.code == "LD306"] == ["LD306"]
    assert not {item.code for item in findings} & {"LD203", "LD204", "LD301", "LD302", "LD303"}


def test_all_questions_together_are_bounded(monkeypatch):
    monkeypatch.setattr("leadml.definitions._space.MAX_ALL_STATES", 5)
    assert "LD306" in {
        item.code for item in lint(TEXT.replace("    otherwise: true\n", "    any_of: [demo]\n"))
    }


@pytest.mark.parametrize(
    ("words", "objective"),
    [
        ("large company", "employees >= 10"),
        ("right industry", "industry in [software, public]"),
        ("senior contact", "title >= manager"),
        ("created recently", "created_on is known"),
        ("good region", "region is known"),
        ("asked for a demo", "demo"),
        ("fits us", ""),
    ],
)
def test_prose_gets_an_objective_form_from_the_attributes_at_hand(words, objective):
    more = "  created_on: {type: date}\n  region: {type: category}\n"
    text = TEXT.replace("months <= 6", words).replace("classes:\n", f"{more}classes:\n")
    (finding,) = found(text, "LD101")
    assert (f"`{objective}`" in finding.fix) == bool(objective)
    assert ("Declare an attribute" in finding.fix) == (not objective)


def test_a_group_whose_criteria_contradict_each_other_only_together_is_reported():
    text = TEXT.replace(
        "      - demo\n", "      - at_least: 2\n        of: [months > 8, months < 0.5, not demo and]\n"
    )
    text = text.replace("not demo and", "title <= staff").replace("title >= director", "title >= staff")
    codes = {(item.code, item.criterion) for item in lint(text)}
    assert ("LD301", "hot") not in codes
    worse = text.replace("months < 0.5", "months > 9")
    assert ("LD204", "hot") in {
        (item.code, item.criterion) for item in lint(worse.replace("title <= staff", "months > 7"))
    }


def test_what_is_known_after_the_handoff_is_found_behind_points_and_ages():
    text = """\
name: t
version: 1
attributes:
  visit_on: {type: date, known_at: after}
  age: {type: integer, unit: days, age_of: visit_on, anchor: as_of}
  demo: {type: boolean, known_at: after}
points:
  score: [{when: demo, points: 3}]
classes:
  - {name: hot, all_of: [score >= 3, age <= 10]}
handoff: [hot]
"""
    findings = found(text, "LD401")
    assert [(item.line, item.criterion) for item in findings] == [(8, "score.demo"), (10, "hot.age")]
    assert "'visit_on' is known only after" in findings[1].message


@pytest.mark.parametrize(("k", "count"), [(200, 400), (20, 40)])
def test_a_definition_that_is_too_entangled_is_left_after_seconds(k, count):
    text = "name: t\nversion: 1\nattributes:\n"
    text += "".join(f"  b{i}: {{type: boolean}}\n" for i in range(count)) + "classes:\n"
    for number in range(480 // count):
        of = ", ".join(f"{'not ' if i * number % 3 == 1 else ''}b{i}" for i in range(count))
        text += f"  - {{name: k{number}, at_least: {k}, of: [{of}]}}\n"
    start = time.process_time()
    codes = {item.code for item in lint(text + "handoff: [k0]\n")}
    assert time.process_time() - start < 6
    assert "LD306" in codes


def test_an_impossible_criterion_is_not_blamed_on_a_missing_answer():
    text = TEXT.replace("employees >= 100", "employees > 1000000").replace(
        ", asked: When will you decide?", ""
    )
    assert found(text, "LD201")
    assert not any("employees" in item.message for item in found(text, "LD402"))


def test_a_criterion_that_stands_there_twice_is_said_so():
    text = TEXT.replace("- demo\n", "- months <= 6\n", 1)
    line = line_of(text, "months <= 6")
    assert f"it stands in line {line} too" in found(text, "LD203")[0].message

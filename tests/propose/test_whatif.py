"""A change that a person brings, judged by the same standard."""

import numpy as np
import pytest

from leadml.definitions import parse_definition
from leadml.errors import DefinitionError
from leadml.leads import split_periods
from leadml.propose import Goal, judge_what_if, parse_what_if


@pytest.fixture(name="world")
def world_fixture(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    return worlds.make_world(frame, np.where(frame.months <= 6, 0.2, 0.03), rng, worked=hot)


def ask(world, *texts, goal=None):
    return judge_what_if(
        world.definition,
        world.table,
        world.targets,
        changes=[parse_what_if(world.definition, text) for text in texts],
        goal=goal or Goal(),
        split=split_periods(world.table, world.targets, target="won"),
    )


def test_a_good_change_is_supported_with_the_numbers_of_a_proposal(world):
    asked = ask(world, "hot.months=6")
    proposed = world.propose(max_candidates=1).proposals[0]
    assert asked.answer == "supported"
    assert asked.change.p_value == proposed.p_value
    assert asked.change.value == proposed.value
    assert asked.change.revised.text == proposed.revised.text
    assert "supported" in repr(asked)
    assert asked.to_dict()["change"]["proposed"] == "months <= 6"
    assert len(asked.to_frame()) == 1
    assert "supported" in asked._repr_html_()


def test_a_worse_change_is_not_supported(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng)
    asked = ask(worlds.make_world(frame, np.full(3000, 0.4), rng), "hot.employees=200")
    assert asked.answer == "not supported"
    assert asked.reason == "not confirmed: on the newest matured leads it brings nothing"


def test_an_answer_is_read_on_a_terminal(world):
    lines = repr(ask(world, "hot.months=6", "hot.employees=200")).split("\n")
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    assert (
        "`months <= 6` instead of `months <= 12` and `employees >= 200` instead of `employees >= 50`" in text
    )
    assert text.endswith("One question, one test: asked often enough, chance says yes.")


def test_a_looser_change_without_labels_cannot_be_said(world):
    asked = ask(world, "hot.months=18")
    assert asked.answer == "cannot be said"
    assert asked.change.grade == "C"
    assert (asked.change.value.low, asked.change.value.value) == (None, None)  # unknown, not nothing
    assert "+0" not in repr(asked)


def test_two_changes_are_judged_together(world):
    asked = ask(world, "hot.months=6", "hot.employees=20")
    assert asked.change.criterion == "hot.months + hot.employees"
    assert asked.answer == "cannot be said"


def test_a_change_that_moves_nobody_is_not_supported(world):
    frame = world.table.frame
    frame["months"] = frame["months"].where(frame["months"] <= 12, 24)
    assert ask(world, "hot.months=13").reason == "it moves no lead of the newest matured quarters"


def test_without_labels_nothing_can_be_said(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(300, rng)
    world = worlds.make_world(frame, np.full(300, 0.2), rng, worked=np.zeros(300, bool))
    asked = ask(world, "hot.months=6")
    assert (asked.answer, asked.change) == ("cannot be said", None)
    assert ".." not in repr(asked)
    assert len(asked.to_frame()) == 0


def test_more_leads_than_sales_can_work_are_not_supported(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng)
    world = worlds.make_world(frame, np.full(4000, 0.4), rng)
    assert ask(world, "hot.months=18").answer == "supported"
    asked = ask(world, "hot.months=18", goal=Goal(capacity=1.0))
    assert asked.reason == "it hands over more leads than Sales can work"


def test_a_group_that_asks_for_fewer_is_judged(world):
    asked = ask(world, "hot=1")
    assert asked.answer == "cannot be said"
    assert "`hot` asks for `any of 2` instead of `all of 2`" in asked.change.explanation.sentence
    assert "    any_of:\n" in asked.change.revised.text


NESTED = """
name: d
version: 1
attributes:
  employees: {type: integer, unit: people}
  industry: {type: category, levels: [software, public]}
points:
  interest:
    - {when: industry = public, points: 2.5}
classes:
  - name: hot
    all_of: [employees between 50 and 500, 'industry in [software]']
  - name: medium
    at_least: 1
    of: [employees >= 10 or missing, industry != public]
  - name: cold
    otherwise: true
handoff: [hot]
"""


@pytest.mark.parametrize(
    ("text", "kind", "proposed"),
    [
        ("hot.employees=employees between 80 and 500", "threshold", "employees between 80 and 500"),
        ("hot.industry=[software, public]", "threshold", "industry in [software, public]"),
        ("hot.industry=dropped", "dropped", None),
        ("medium.employees = 20", "threshold", "employees >= 20 or missing"),
        ("medium.industry=software", "threshold", "industry != software"),
        ("medium=2", "at_least", "2"),
        ("hot=1", "group", "any of 2"),
        ("interest.industry=10", "points", "10 points for industry = public"),
        ("interest.industry=industry != software", "points", "2.5 points for industry != software"),
        ("hot=employees is known", "added", "employees is known"),
    ],
)
def test_changes_are_read_as_people_type_them(text, kind, proposed):
    change = parse_what_if(parse_definition(NESTED), text)
    assert (change.kind, change.proposed) == (kind, proposed)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("hot.employees", "expected `address=value`"),
        ("hot.size=3", "no address of this definition"),
        ("hot.employees=80", "no single value"),
        ("hot.industry=[nowhere", "criterion|level|expected"),
        ("medium.employees=many", "number"),
        ("interest.industry=many", "expected points, such as 20, or a criterion on industry, got 'many'"),
        ("interest.industry=industry or so", "expected a criterion, got 'industry or so'"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(text, match):
    with pytest.raises(DefinitionError, match=match):
        parse_what_if(parse_definition(NESTED), text)

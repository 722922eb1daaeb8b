"""What a definition says of its attributes: more is better, worse, or neither; which levels it wants."""

import pytest

from leadml.definitions import find_directions, find_wanted_levels, parse_definition

TEXT = """
name: d
version: 1
attributes:
  views: {{type: integer, unit: views}}
  months: {{type: integer, unit: months}}
  kind: {{type: category, levels: [a, b, c]}}
  demo: {{type: boolean}}
points:
  score:
    - {{when: views >= 5, points: 10}}
    - {{when: not demo, points: -5}}
    - {{when: months > 12, points: -10}}
    - {{when: kind = a, points: 1}}
classes:
  - {first}
  - name: second
    all_of: [{second}]
  - name: cold
    otherwise: true
handoff: [{handoff}]
"""
HOT = "{name: hot, all_of: ['kind in [b]', months <= 6]}"


def read(second="score >= 10", first=HOT, handoff="hot, second"):
    return parse_definition(TEXT.format(first=first, second=second, handoff=handoff))


def test_criteria_and_points_say_of_what_more_is_better():
    definition = read()
    assert find_directions(definition) == {"months": -1, "score": 1, "views": 1, "demo": 1}
    assert find_wanted_levels(definition) == {"kind": frozenset("ab")}
    assert find_directions(None) == {}


def test_points_that_nothing_asks_for_still_speak_for_a_lead():
    assert find_directions(read("demo"))["views"] == 1


@pytest.mark.parametrize("second", ["score <= 10", "score < 3"])
def test_a_score_that_counts_against_a_lead_turns_its_points_round(second):
    found = find_directions(read(second))
    assert (found["views"], found["demo"]) == (-1, -1)
    assert "months" not in found  # the first class wants few of them, the score many


@pytest.mark.parametrize("second", ["views <= 9, score >= 10", "views between 1 and 9, score >= 10"])
def test_used_both_ways_is_no_direction(second):
    assert "views" not in find_directions(read(second))


def test_known_or_not_is_no_direction():
    assert find_directions(read("views is known"))["views"] == 1


def test_a_class_that_keeps_leads_back_says_the_opposite():
    first = "{name: competitor, all_of: [kind = c, months > 2]}"
    definition = read(first=first, handoff="second")
    assert find_directions(definition)["months"] == -1
    assert find_wanted_levels(definition) == {"kind": frozenset("a")}
    below = read("score >= 10, months >= 1", first=HOT, handoff="hot")
    assert "months" not in find_directions(below)  # not handed over, but better than cold

"""Steps and dials: round numbers, bins at the threshold itself, every kind of alternative."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.definitions import criterion_mask, parse_criterion, parse_definition
from leadml.propose import make_steps
from leadml.propose._bins import cut_values
from leadml.propose._dials import build_added_dials, build_dials, build_point_dials
from leadml.propose._steps import rate_roundness

HEAD = """
name: d
version: 1
attributes:
  size: {type: number, unit: people}
  seen: {type: integer, unit: views}
  level: {type: ordinal, levels: [low, middle, high]}
  kind: {type: category, levels: [a, b, c]}
  free: {type: category}
  asked: {type: boolean}
  since: {type: date}
  judged: {type: integer, unit: points, known_at: after}
points:
  score:
    - {when: size >= 3, points: 10}
    - {when: asked, points: 5}
classes:
  - name: hot
    all_of: [RULE]
  - name: cold
    otherwise: true
handoff: [hot]
"""


def leads(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": np.round(rng.gamma(2, 50, n), 1),
            "seen": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "level": pd.Categorical(
                rng.choice(["low", "middle", "high"], n), ["low", "middle", "high"], ordered=True
            ),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "free": rng.choice(["x", "y", "rare"], n, p=[0.6, 0.39, 0.01]),
            "asked": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "since": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "judged": rng.integers(0, 9, n),
        }
    )


def dial_of(rule, frame=None):
    definition = parse_definition(HEAD.replace("RULE", f"{rule}, size > -5"))
    frame = leads() if frame is None else frame
    group = definition.classes[0].rule
    return definition, frame, build_dials(definition, group, frame, sample=np.ones(len(frame), bool))[0]


@pytest.mark.parametrize(
    ("rule", "proposed"),
    [
        ("size >= 50", "size >= 100"),
        ("size < 50 or missing", "size < 20 or missing"),
        ("seen > 3", "seen > 7"),
        ("seen between 2 and 6", "seen between 2 and 5"),
        ("seen between 2 and 6", "seen between 3 and 6"),
        ("level >= middle", "level >= high"),
        ("level between low and middle", "level between low and high"),
        ("'kind in [a, b]'", "kind in [a]"),
        ("'kind in [a, b]'", "kind in [a, b, c]"),
        ("kind = a", "kind in [a, b]"),
        ("kind != a", "kind not in [a, b]"),
        ("'kind not in [a, b]'", "kind not in [b]"),
        ("'free in [x]'", "free in [x, y]"),
        ("score >= 10", "score >= 15"),
        ("asked", None),
        ("size is known", None),
        ("since >= 2025-06-01", None),
    ],
)
def test_each_kind_of_criterion_has_its_alternatives(rule, proposed):
    _, _, dial = dial_of(rule)
    assert proposed in [alternative.proposed for alternative in dial.alternatives]


@pytest.mark.parametrize(
    "rule",
    [
        "size >= 50",
        "size < 50 or missing",
        "seen between 2 and 6",
        "level <= middle or missing",
        "'kind in [a, b]'",
        "'kind not in [a] or missing'",
        "'free in [x]'",
    ],
)
def test_alternatives_pass_exactly_what_their_text_says(rule):
    frame = leads()
    for name in ("size", "seen", "level", "kind", "free"):
        frame.loc[np.random.default_rng(1).random(len(frame)) < 0.1, name] = pd.NA
    definition, frame, dial = dial_of(rule, frame)
    for number, alternative in enumerate(dial.alternatives, 1):
        if alternative.proposed is None:
            assert dial.bits(number).all()
            continue
        criterion = parse_criterion(alternative.proposed, attributes=definition.typed_attributes())
        assert (dial.bits(number) == criterion_mask(criterion, frame, definition=definition)).all()
        assert dial.change(number).written == dial.written


def test_alternatives_to_add_pass_exactly_what_their_text_says():
    definition = parse_definition(HEAD.replace("RULE", "asked"))
    frame = leads()
    frame.loc[::7, "size"] = np.nan
    found = build_added_dials(definition, definition.classes[0].rule, frame, sample=np.ones(len(frame), bool))
    assert [dial.address for dial in found] == ["hot.size", "hot.seen", "hot.level", "hot.kind", "hot.free"]
    for dial in found:
        assert dial.bits().all()
        for number, alternative in enumerate(dial.alternatives, 1):
            criterion = parse_criterion(alternative.proposed, attributes=definition.typed_attributes())
            assert (dial.bits(number) == criterion_mask(criterion, frame, definition=definition)).all()
            assert dial.change(number).kind == "added"
            assert dial.change(number).address == "hot"


DIRECTED = """
name: d
version: 1
attributes:
  views: {type: integer, unit: views, steps: [1, 5]}
  away: {type: integer, unit: days, steps: [7, 30]}
  level: {type: ordinal, levels: [low, middle, high]}
  kind: {type: category, levels: [a, b, c]}
  demo: {type: boolean}
  student: {type: boolean}
  silent: {type: integer, unit: views, steps: [2]}
points:
  interest:
    - {when: views >= 5, points: 10}
    - {when: away > 30, points: -10}
    - {when: demo, points: 40}
    - {when: student, points: -5}
    - {when: level = low, points: 1}
    - {when: kind = a, points: 3}
classes:
  - name: hot
    all_of: [interest >= 40]
  - name: cold
    otherwise: true
handoff: [hot]
"""


def test_nothing_is_added_against_what_the_definition_says():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "views": pd.array(rng.integers(0, 9, 99), dtype="Int64"),
            "away": pd.array(rng.integers(0, 60, 99), dtype="Int64"),
            "level": pd.Categorical(
                rng.choice(["low", "middle", "high"], 99), ["low", "middle", "high"], ordered=True
            ),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], 99)),
            "demo": pd.array(rng.random(99) < 0.5, dtype="boolean"),
            "student": pd.array(rng.random(99) < 0.5, dtype="boolean"),
            "silent": pd.array(rng.integers(0, 9, 99), dtype="Int64"),
        }
    )
    definition = parse_definition(DIRECTED)
    everyone = np.ones(99, bool)
    found = build_added_dials(definition, definition.classes[0].rule, frame, sample=everyone)
    assert [alternative.proposed for dial in found for alternative in dial.alternatives] == [
        "views >= 1",
        "views >= 5",
        "away <= 7",
        "away <= 30",
        "level >= middle",
        "level >= high",
        "kind not in [b]",
        "kind not in [c]",
        "demo",
        "not student",
        "silent >= 2",
        "silent <= 2",
    ]


def test_rules_of_points_have_other_points_and_other_thresholds():
    definition = parse_definition(HEAD.replace("RULE", "score >= 10, score < 20"))
    found = build_point_dials(definition, leads(), sample=np.ones(400, bool))
    assert [dial.address for dial in found] == ["score.size", "score.asked"]
    assert [dial.written for dial in found] == ["10 points for size >= 3", "5 points for asked"]
    proposed = [alternative.proposed for alternative in found[0].alternatives]
    assert {"20 points for size >= 3", "10 points for size >= 100"} <= set(proposed)
    assert found[0].criteria == ("hot.score", "hot.score#2")
    twice = HEAD.replace("RULE", "score >= 10") + "prices: {won: {default: 2, by: {score >= 10: 3}}}\n"
    assert build_point_dials(parse_definition(twice), leads(), sample=np.ones(400, bool)) == ()


def test_only_an_all_of_rule_can_ask_for_more():
    text = HEAD.replace("all_of: [RULE]", "any_of: [asked, size > 3]")
    definition = parse_definition(text)
    assert build_added_dials(definition, definition.classes[0].rule, leads(), sample=np.ones(400, bool)) == ()


def test_declared_steps_are_the_only_ones():
    text = HEAD.replace("{type: number, unit: people}", "{type: number, unit: people, steps: [30, 60, 90]}")
    definition = parse_definition(text.replace("RULE", "size >= 50, asked"))
    dial = build_dials(definition, definition.classes[0].rule, leads(), sample=np.ones(400, bool))[0]
    texts = [alternative.proposed for alternative in dial.alternatives]
    assert texts == ["size >= 30", "size >= 60", "size >= 90", None]
    assert {alternative.roundness for alternative in dial.alternatives} == {0}


def test_a_criterion_that_its_group_needs_cannot_be_dropped():
    definition = parse_definition(HEAD.replace("RULE", "size >= 50"))
    dial = build_dials(definition, definition.classes[0].rule, leads(), sample=np.ones(400, bool))[0]
    assert "dropped" not in {alternative.kind for alternative in dial.alternatives}


def test_few_whole_numbers_are_all_steps():
    assert make_steps(np.arange(1, 13, dtype=float).repeat(50), integer=True) == tuple(
        map(Decimal, range(1, 13))
    )


def test_steps_lie_inside_the_quantiles_and_are_round():
    values = np.exp(np.random.default_rng(0).normal(5, 1.5, 5000))
    steps = make_steps(values)
    low, high = np.quantile(values, [0.02, 0.98])
    assert all(low <= step <= high for step in steps)
    assert {Decimal(50), Decimal(100), Decimal(1000)} <= set(steps)
    assert len(steps) <= 40


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_nothing_to_step_over(values):
    assert make_steps(np.array(values)) == ()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.booleans())
def test_steps_are_sorted_and_unique(values, integer):
    steps = make_steps(np.round(values) if integer else np.array(values), integer=integer)
    assert list(steps) == sorted(set(steps))


@pytest.mark.parametrize(
    ("step", "roundness"),
    [("50", 0), ("0.2", 0), ("0", 0), ("30", 1), ("1500", 1), ("35", 2), ("37", 3), ("1.25", 4)],
)
def test_roundness_follows_what_people_write(step, roundness):
    assert rate_roundness(Decimal(step)) == roundness


def test_looking_up_equals_searching(monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.integers(-20, 60, 500).astype(float)
    values[::9] = np.nan
    edges = np.array([-3.0, 0.0, 0.5, 17.0])
    searched = cut_values(values, edges)
    monkeypatch.setattr("leadml.propose._bins._TABLE_SIZE", 100)
    assert (cut_values(values, edges) == searched).all()

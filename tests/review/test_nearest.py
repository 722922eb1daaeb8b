"""The nearest way into a class, in the definition's own words."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.definitions import assign_classes, parse_definition
from leadml.review import describe_nearest

HEAD = """\
name: d
version: 1.1
attributes:
  months: {type: number, unit: months}
  size: {type: integer, unit: people}
  asked: {type: boolean}
classes:
"""
TAIL = "- {name: cold, otherwise: true}\nhandoff: [hot]\n"
ALL = f"{HEAD}- {{name: hot, all_of: [months <= 6, size >= 50, asked]}}\n{TAIL}"
NESTED = f"{HEAD}- {{name: out, all_of: [size < 2]}}\n- name: hot\n  all_of: [months <= 6, {{any_of: [size >= 50, asked]}}]\n{TAIL}"
TWO = f"{HEAD}- name: hot\n  at_least: 2\n  of: [months <= 6, size >= 50, asked]\n{TAIL}"


def leads(*rows):
    frame = pd.DataFrame(rows, columns=["months", "size", "asked"], index=range(10, 10 + len(rows)))
    return frame.astype({"months": "float64", "size": "Int64", "asked": "boolean"})


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        (ALL, (3, 90, True), "is hot"),
        (ALL, (12, 90, True), "would be hot if months were at most 6 months"),
        (
            ALL,
            (None, 10, True),
            "would be hot if months were at most 6 months and size were at least 50 people",
        ),
        (NESTED, (3, 10, False), "would be hot if size were at least 50 people"),
        (
            NESTED,
            (12, 10, None),
            "would be hot if months were at most 6 months and size were at least 50 people",
        ),
        (NESTED, (3, 1, False), "is out, which comes before hot"),
        (TWO, (12, 10, True), "would be hot if months were at most 6 months"),
        (
            TWO,
            (12, 10, False),
            "would be hot if months were at most 6 months and size were at least 50 people",
        ),
        (
            ALL.replace("asked]", "nice people]"),
            (3, 90, True),
            "cannot be hot: a criterion of it cannot be measured",
        ),
    ],
)
def test_fewest_criteria_are_named(text, row, words):
    found = describe_nearest(parse_definition(text), leads(row))
    assert list(found) == [words]
    assert list(found.index) == [10]


def test_a_class_that_takes_the_rest_needs_nothing():
    found = describe_nearest(parse_definition(ALL), leads((3, 90, True), (12, 1, False)), lead_class="cold")
    assert list(found) == ["is hot, which comes before cold", "is cold"]
    with pytest.raises(KeyError, match="warm"):
        describe_nearest(parse_definition(ALL), leads((3, 90, True)), lead_class="warm")


def test_no_leads_give_no_words():
    assert len(describe_nearest(parse_definition(ALL), leads())) == 0


rows = st.tuples(
    st.sampled_from([None, 3.0, 12.0]),
    st.sampled_from([None, 1, 10, 90]),
    st.sampled_from([None, True, False]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, min_size=1, max_size=20), st.sampled_from([ALL, NESTED, TWO]))
def test_a_lead_changed_as_described_is_in_the_class(entries, text):
    definition = parse_definition(text)
    frame = leads(*entries)
    found = describe_nearest(definition, frame)
    repaired = frame.copy()
    values = {
        "months were at most 6 months": ("months", 3.0),
        "size were at least 50 people": ("size", 90),
        "asked were yes": ("asked", True),
    }
    for label, words in found.items():
        if words.startswith("would be hot if "):
            for rule in words.removeprefix("would be hot if ").split(" and "):
                column, value = values[rule]
                repaired.loc[label, column] = value
    for label, name in assign_classes(definition, repaired).items():
        assert name == ("out" if found[label].startswith("is out") else "hot")

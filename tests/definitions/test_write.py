"""Changes written back into the author's file."""

import difflib
from datetime import date

import pytest

from leadml.definitions import Change, apply_changes, next_version, parse_definition
from leadml.errors import DefinitionError

TEXT = """\
# head
name: inbound   # the name
version: "2026.3"   # counted up at each change
meaning: 'Which leads.'
attributes:
  # how big
  employees: {type: integer, unit: people, steps: [10, 50, 100]}   # from the form
  months: {type: number, unit: months}
  title: {type: ordinal, levels: [staff, manager, director]}
  industry: {type: category}
  demo: {type: boolean}
classes:
  # first
  - name: hot    # goes to sales
    all_of:
      # size
      - employees >= 50      # agreed in March
      - 'months <= 6.0 months'   # quoted once
      - "industry in [software, 'Retail, Food']"  # quoted twice
      - any_of: [title >= manager, demo,   # flow
                 months <= 1]
      # end of hot
  - name: medium
    at_least: 2   # of three
    of:
      - employees >= 10
      - demo
      - employees <= 5000

  # last
  - name: cold
    otherwise: true
handoff: [hot]
"""


def diff(old, new):
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def apply(*changes, text=TEXT, **kwargs):
    return apply_changes(parse_definition(text), changes, **kwargs)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            Change(
                address="hot.employees",
                kind="threshold",
                written="employees >= 50",
                proposed="employees >= 100",
            ),
            [
                "-      - employees >= 50      # agreed in March",
                "+      - employees >= 100      # agreed in March",
            ],
        ),
        (
            Change(address="hot.months", kind="threshold", written="", proposed="months <= 9"),
            [
                "-      - 'months <= 6.0 months'   # quoted once",
                "+      - 'months <= 9 months'   # quoted once",
            ],
        ),
        (
            Change(address="hot.months#2", kind="threshold", written="", proposed="months <= 2"),
            ["-                 months <= 1]", "+                 months <= 2]"],
        ),
        (
            Change(
                address="hot.industry", kind="level_removed", written="", proposed="industry in [software]"
            ),
            [
                "-      - \"industry in [software, 'Retail, Food']\"  # quoted twice",
                '+      - "industry in [software]"  # quoted twice',
            ],
        ),
        (
            Change(address="hot.title", kind="threshold", written="", proposed="title >= director"),
            [
                "-      - any_of: [title >= manager, demo,   # flow",
                "+      - any_of: [title >= director, demo,   # flow",
            ],
        ),
        (
            Change(
                address="hot.title", kind="level_added", written="", proposed="title in [manager, director]"
            ),
            [
                "-      - any_of: [title >= manager, demo,   # flow",
                '+      - any_of: ["title in [manager, director]", demo,   # flow',
            ],
        ),
        (
            Change(address="medium", kind="at_least", written="2", proposed="3"),
            ["-    at_least: 2   # of three", "+    at_least: 3   # of three"],
        ),
        (
            Change(address="hot.employees", kind="dropped", written="employees >= 50"),
            [
                "-      - employees >= 50      # agreed in March",
                "+      # dropped in 2026.4: employees >= 50  # agreed in March",
            ],
        ),
        (Change(address="medium.demo", kind="dropped", written="demo"), ["-      - demo"]),
        (
            Change(address="hot.title", kind="dropped", written=""),
            ["-      - any_of: [title >= manager, demo,   # flow", "+      - any_of: [demo,   # flow"],
        ),
        (
            Change(address="hot.months#2", kind="dropped", written=""),
            [
                "-      - any_of: [title >= manager, demo,   # flow",
                "-                 months <= 1]",
                "+      - any_of: [title >= manager, demo   # flow",
                "+                 ]",
            ],
        ),
        (
            Change(address="hot", kind="added", written="", proposed="title is known"),
            ["+      - title is known"],
        ),
        (
            Change(address="hot.any_of", kind="added", written="", proposed="industry in [a, b]"),
            ["-                 months <= 1]", '+                 months <= 1, "industry in [a, b]"]'],
        ),
        (
            Change(address="medium", kind="added", written="", proposed="title >= manager"),
            ["+      - title >= manager"],
        ),
    ],
)
def test_only_the_asked_characters_move(change, expected):
    new = apply(change)
    version = [
        '-version: "2026.3"   # counted up at each change',
        '+version: "2026.4"   # counted up at each change',
    ]
    assert sorted(diff(TEXT, new.text)) == sorted([*version, *expected])
    assert new.version == "2026.4"
    assert parse_definition(new.text).sha256 == new.sha256


def test_the_whole_item_of_a_group_can_go_and_its_comments_stay():
    new = apply(Change(address="hot.any_of", kind="dropped", written=""))
    assert "# flow" in new.text
    assert "hot.any_of" not in {group.address for group in new.classes[0].rule.members}


def test_several_changes_are_made_together_by_the_old_addresses():
    new = apply(
        Change(address="medium.employees", kind="dropped", written=""),
        Change(address="medium.employees#2", kind="threshold", written="", proposed="employees <= 2000"),
        Change(address="hot.months", kind="dropped", written=""),
        Change(address="hot.months#2", kind="threshold", written="", proposed="months <= 3"),
        Change(address="hot", kind="added", written="", proposed="months <= 24"),
    )
    assert [criterion.text for criterion in new.criteria()] == [
        "employees >= 50",
        "industry in [software, 'Retail, Food']",
        "title >= manager",
        "demo",
        "months <= 3",
        "months <= 24",
        "demo",
        "employees <= 2000",
    ]
    assert new.text.count("#") >= TEXT.count("#")


def test_windows_line_ends_stay():
    text = TEXT.replace("\n", "\r\n")
    changes = (
        Change(address="hot.employees", kind="dropped", written=""),
        Change(address="medium", kind="added", written="", proposed="title is known"),
    )
    new = apply(*changes, text=text, effective_from=date(2027, 1, 1))
    assert new.text.replace("\r\n", "").count("\n") == 0
    assert new.effective_from == date(2027, 1, 1)


def test_the_effective_date_is_replaced_or_added_below_the_version():
    change = Change(address="hot.employees", kind="threshold", written="", proposed="employees >= 100")
    new = apply(change, version="2027.1", effective_from=date(2027, 1, 1))
    assert 'version: "2027.1"   # counted up at each change\neffective_from: 2027-01-01\n' in new.text
    again = apply_changes(new, [], effective_from=date(2028, 1, 1))
    assert (again.version, again.effective_from) == ("2027.2", date(2028, 1, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([Change(address="hot.emploees", kind="dropped", written="")], "expected an address"),
        (
            [Change(address="hot", kind="threshold", written="", proposed="demo")],
            "needs the address of a criterion",
        ),
        (
            [Change(address="hot.employees", kind="added", written="", proposed="demo")],
            "needs the address of a group",
        ),
        ([Change(address="hot.employees", kind="threshold", written="")], "expected the proposed text"),
        (
            [Change(address="hot.employees", kind="threshold", written="", proposed="employees >= many")],
            "expected a number",
        ),
        (
            [Change(address="hot.employees", kind="threshold", written="", proposed="big")],
            "expected a criterion",
        ),
        ([Change(address="hot.employees", kind="dropped", written="")] * 2, "asked for twice"),
        ([Change(address="medium", kind="at_least", written="", proposed="4")], "nobody could meet it"),
        ([Change(address="medium", kind="at_least", written="", proposed="none")], "expected a whole number"),
        (
            [Change(address=f"medium.{name}", kind="dropped", written="") for name in ("employees", "demo")],
            "nobody",
        ),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(changes, message):
    with pytest.raises(DefinitionError, match=message):
        apply(*changes)


def test_a_group_keeps_at_least_one_criterion():
    text = TEXT.replace("[title >= manager, demo,   # flow\n                 months <= 1]", "[demo]")
    with pytest.raises(DefinitionError, match="without a criterion"):
        apply(Change(address="hot.demo", kind="dropped", written=""), text=text)


@pytest.mark.parametrize(
    ("version", "following"),
    [("2026.3", "2026.4"), ("2026.9", "2026.10"), ("v7", "v8"), ("1.09-rc", "1.10-rc")],
)
def test_the_last_number_of_a_version_counts_up(version, following):
    assert next_version(version) == following


def test_a_version_without_a_number_is_refused():
    with pytest.raises(DefinitionError, match="expected a number"):
        next_version("draft")

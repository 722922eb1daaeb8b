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


COMMENTED = """\
# a
name: t   # b
# c
version: 2026.1 # d
attributes: # e
  n: {type: integer, unit: people} # f
  # g
  m: {type: number, unit: months} # h
  o: {type: ordinal, levels: [a, b, c]} # i
classes: # j
  # k
  - name: hot # l
    # m
    all_of: # n
      # o
      - n >= 10 # p
      # q
      - any_of: # r
          # s
          - m <= 6 # t
          - "o >= b" # u # not the end

          # v
          - 'o in [a, c]' # w
      # x
      - at_least: 2 # y
        of: [ # z
          n <= 100, # aa
          m >= 1 , # bb
          n != 50 # cc
        ] # dd
  # ee
  - name: cold # ff
    otherwise: true # gg
# hh
handoff: [hot] # ii
# jj
"""
THRESHOLDS = {
    "hot.n": "n >= 20",
    "hot.m": "m <= 9",
    "hot.o": "o >= c",
    "hot.o#2": "o in [b]",
    "hot.n#2": "n <= 200",
    "hot.m#2": "m >= 2",
    "hot.n#3": "n != 60",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("address", THRESHOLDS)
@pytest.mark.parametrize("kind", ["threshold", "dropped"])
def test_no_comment_is_lost_in_a_file_full_of_comments(newline, address, kind):
    text = COMMENTED.replace("\n", newline)
    proposed = THRESHOLDS[address] if kind == "threshold" else None
    new = apply(Change(address=address, kind=kind, written="", proposed=proposed), text=text)
    for number, line in enumerate(text.splitlines()):
        comment = line[line.index("#") :] if "#" in line else ""
        assert comment in new.text, (number, comment)
    if kind == "threshold":
        moved = [line for line in diff(text, new.text) if line.startswith("+")]
        assert len(moved) == 2
        assert new.criterion(address).values == parse_definition(new.text).criterion(address).values
    else:
        assert len(new.criteria()) == len(parse_definition(text).criteria()) - 1


@pytest.mark.parametrize(
    ("address", "text"), [("hot", "m <= 24"), ("hot.any_of", "n >= 500"), ("hot.at_least", "o = b")]
)
def test_an_added_criterion_stands_at_the_end_of_its_group(address, text):
    new = apply(Change(address=address, kind="added", written="", proposed=text), text=COMMENTED)
    assert text in [criterion.text for criterion in new.criteria()]
    assert [line for line in diff(COMMENTED, new.text) if line.startswith("-")][1:] in (
        [],
        ["-          n != 50 # cc"],
    )


def test_groups_with_comments_can_go_and_their_comments_stay():
    new = apply(Change(address="hot.any_of", kind="dropped", written=""), text=COMMENTED)
    for comment in "rstuvw":
        assert f"# {comment}" in new.text
    again = apply_changes(new, [Change(address="hot.at_least", kind="dropped", written="")])
    for comment in ("# y", "# z", "# aa", "# bb", "# cc", "# dd"):
        assert comment in again.text


def test_a_text_in_a_block_scalar_is_replaced_whole():
    text = "name: t\nversion: '1'\nattributes: {n: {type: integer, unit: people}}\nclasses:\n  - name: hot\n    all_of:\n      - >-\n        n >=\n        10\n      - n <= 90\n"
    new = apply(Change(address="hot.n", kind="threshold", written="", proposed="n >= 20"), text=text)
    assert [criterion.text for criterion in new.criteria()] == ["n >= 20", "n <= 90"]
    assert new.version == "2"


def test_a_level_with_quotes_is_written_so_that_it_is_read_again():
    text = "name: t\nversion: 1\nattributes: {c: {type: category}}\nclasses: [{name: hot, all_of: [c = a, c is known]}]\n"
    proposed = 'c in ["it\'s, or", a]'
    new = apply(Change(address="hot.c", kind="level_added", written="", proposed=proposed), text=text)
    assert new.criterion("hot.c").values == ("it's, or", "a")


def test_what_cannot_be_written_is_said_with_its_place(monkeypatch):
    monkeypatch.setattr("leadml.definitions._write._candidates", lambda *_: iter(["name: [", COMMENTED]))
    with pytest.raises(DefinitionError, match=r":16:9: change of 'hot.n' to 'n >= 20' cannot be written"):
        apply(Change(address="hot.n", kind="threshold", written="", proposed="n >= 20"), text=COMMENTED)


def test_a_version_that_cannot_be_written_is_refused():
    with pytest.raises(DefinitionError, match=r"version '.*' cannot be written"):
        apply_changes(parse_definition(COMMENTED), [], version="\u200b")


GROUPS = """\
name: groups
version: 1
attributes:
  a: {type: boolean}
  b: {type: boolean}
  c: {type: boolean}
  n: {type: integer, unit: views}
points:
  interest:
    - {when: a, points: 10}   # a click
    - when: n >= 5
      points: 2.5             # a visit
classes:
  - name: hot
    all_of:  # all of them
      - a
      - b
      - any_of: [c, n > 2]  # either
      - all_of:
          - n < 100
          - interest >= 10
  - {name: warm, any_of: [a, b, {all_of: [c, n > 7]}]}
  - name: cold
    otherwise: true
handoff: [hot, warm]
"""


@pytest.mark.parametrize(
    ("address", "proposed", "old", "new"),
    [
        ("hot", "at least 3 of 4", "    all_of:  # all", "    at_least: 3\n    of:  # all"),
        ("hot", "any of 4", "    all_of:  # all", "    any_of:  # all"),
        ("hot.any_of", "all of 2", "- any_of: [c, n > 2]  # either", "- all_of: [c, n > 2]  # either"),
        ("hot.all_of", "at least 1 of 2", "- all_of:\n", "- at_least: 1\n        of:\n"),
        ("warm", "at least 2 of 3", "{name: warm, any_of: [", "{name: warm, at_least: 2, of: ["),
        ("warm.all_of", "any of 2", "{all_of: [c,", "{any_of: [c,"),
        ("warm.all_of", "at least 1 of 2", "{all_of: [c,", "{at_least: 1, of: [c,"),
    ],
)
def test_a_group_may_ask_for_another_number(address, proposed, old, new):
    change = Change(address=address, kind="group", written="", proposed=proposed)
    revised = apply(change, text=GROUPS)
    assert revised.text == GROUPS.replace(old, new).replace("version: 1", "version: 2")


def test_a_group_that_asks_for_a_number_may_ask_for_all():
    text = GROUPS.replace("any_of: [c, n > 2]", "{at_least: 1, of: [c, n > 2]}")
    change = Change(address="hot.at_least", kind="group", written="", proposed="all of 2")
    assert "{at_least: 2, of: [c, n > 2]}" in apply(change, text=text).text


def test_a_group_changes_together_with_its_criteria():
    revised = apply(
        Change(address="hot", kind="group", written="", proposed="at least 2 of 4"),
        Change(address="hot.n", kind="threshold", written="", proposed="n > 9"),
        Change(address="hot.n#2", kind="dropped", written=""),
        Change(address="warm", kind="added", written="", proposed="n is known"),
        text=GROUPS,
    )
    assert "at_least: 2\n    of:  # all of them" in revised.text
    assert [criterion.text for criterion in revised.criteria()][2:5] == ["c", "n > 9", "interest >= 10"]
    assert revised.text.count("#") == GROUPS.count("#")


@pytest.mark.parametrize(
    ("address", "proposed", "old", "new"),
    [
        ("interest.a", "20 points for a", "points: 10}", "points: 20}"),
        ("interest.n", "5 points for n >= 5", "points: 2.5 ", "points: 5 "),
        ("interest.n", "-1.5 points for n >= 5", "points: 2.5 ", "points: -1.5 "),
        ("interest.n", "2.5 points for n >= 10", "when: n >= 5", "when: n >= 10"),
        ("interest.n", "2.5 points for n < 5 or missing", "when: n >= 5", "when: n < 5 or missing"),
        ("interest.a", "10 points for not a", "{when: a,", "{when: not a,"),
    ],
)
def test_rules_of_points_give_other_points_or_ask_for_something_else(address, proposed, old, new):
    change = Change(address=address, kind="points", written="", proposed=proposed)
    revised = apply(change, text=GROUPS)
    assert revised.text == GROUPS.replace(old, new).replace("version: 1", "version: 2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(address="hot", kind="group", written="", proposed="at least 5 of 4"), "at least k of 4"),
        (Change(address="hot", kind="group", written="", proposed="most"), "expected `all of 4`"),
        (
            Change(address="hot.a", kind="group", written="", proposed="any of 1"),
            "needs the address of a group",
        ),
        (
            Change(address="hot.a", kind="points", written="", proposed="2 points for a"),
            "expected an address",
        ),
        (Change(address="interest.a", kind="threshold", written="", proposed="b"), "expected an address"),
        (Change(address="interest.a", kind="points", written="", proposed="many"), "expected `20 points"),
        (Change(address="interest.n", kind="points", written="", proposed="2 points for n >= 9"), "by hand"),
        (
            Change(address="interest.n", kind="points", written="", proposed="2.5 points for lots"),
            "expected a criterion, got '2.5 points for lots'",
        ),
    ],
)
def test_a_group_or_points_change_that_cannot_be_is_refused(change, message):
    with pytest.raises(DefinitionError, match=message):
        apply(change, text=GROUPS)

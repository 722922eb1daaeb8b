"""What is said of changes and amounts: whole sentences, no leftovers of the file."""

import pytest

from leadml.definitions import Change, parse_definition
from leadml.propose._goal import shadow_stakes, signed_stakes
from leadml.propose._words import (
    name_texts,
    say_amount,
    say_changes,
    say_leads,
    say_leads_needed,
    say_sentence,
)

MOVED = Change(address="hot.size", kind="threshold", written="size >= 50", proposed="size >= 20")
DROPPED = Change(address="hot.asked", kind="dropped", written="asked")
ADDED = Change(address="hot", kind="added", written="", proposed="not student")
GROUP = Change(address="hot", kind="group", written="all of 3", proposed="at least 2 of 3")
FEWER = Change(address="warm.at_least", kind="at_least", written="3", proposed="2")
POINTS = Change(
    address="score.views",
    kind="points",
    written="10 points for views >= 5",
    proposed="10 points for views >= 9",
)


@pytest.mark.parametrize(
    ("changes", "named", "sentence"),
    [
        (
            [MOVED],
            "`size >= 20` instead of `size >= 50`",
            "`hot` asks for `size >= 20` instead of `size >= 50`.",
        ),
        (
            [DROPPED, DROPPED],
            "dropping `asked` and dropping `asked`",
            "`hot` no longer asks for `asked`; `hot` no longer asks for `asked`.",
        ),
        ([ADDED], "asking also for `not student` in `hot`", "`hot` also asks for `not student`."),
        (
            [GROUP],
            "asking for at least 2 of 3 in `hot`",
            "`hot` asks for `at least 2 of 3` instead of `all of 3`.",
        ),
        (
            [FEWER],
            "asking for at least 2 in `warm.at_least`",
            "`warm` asks for at least 2 instead of 3.",
        ),
        (
            [POINTS],
            "`10 points for views >= 9` instead of `10 points for views >= 5`",
            "`score` gives 10 points for views >= 9 instead of 10 points for views >= 5.",
        ),
    ],
)
def test_changes_are_named(changes, named, sentence):
    assert say_changes(changes) == named
    assert say_sentence(changes) == sentence


def test_each_side_of_a_change_can_stand_alone():
    assert name_texts(GROUP) == ("all of 3 in `hot`", "at least 2 of 3 in `hot`")
    assert name_texts(FEWER) == ("at least 3 in `warm.at_least`", "at least 2 in `warm.at_least`")
    assert name_texts(ADDED) == ("nothing more in `hot`", "also not student")
    assert name_texts(DROPPED) == ("asked", "(dropped)")


def test_counts_agree_with_their_words():
    assert [say_leads(n) for n in (0, 1, 2, 1234)] == ["0 leads", "1 lead", "2 leads", "1,234 leads"]
    assert say_leads(1, "change") == "1 change"
    assert say_leads_needed(560, 114) == "about 560 needed to decide"
    assert say_leads_needed(553_351, 198) == "so close to break-even that no number of leads will decide"


def test_amounts_have_three_digits():
    prices = parse_definition(
        "{name: d, version: 1, attributes: {}, classes: [{name: hot, otherwise: true}], handoff: [hot], "
        "prices: {won: {default: 10}, worked_lead: 1, currency: EUR}}"
    ).prices
    money, deals = signed_stakes(prices), shadow_stakes("won", rate=0.2, minimum=None)
    assert [say_amount(value, money) for value in (66449.7, -25006.9, 0.0)] == [
        "+66,400",
        "\u221225,000",
        "0",
    ]
    assert say_amount(1.72, deals) == "+1.7"
    assert say_amount(None, money) == "\u2013"

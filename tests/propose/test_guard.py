"""Conditions beside the goal, and what is told of a change."""

import numpy as np
import pytest

from leadml.definitions import parse_definition
from leadml.leads import compute_targets
from leadml.propose._counted import Tally
from leadml.propose._goal import signed_stakes
from leadml.propose._guard import check_acceptance, check_freshness, check_newest, check_segments
from leadml.propose._judge import Moved


def test_acceptance_that_falls_by_more_than_chance_holds_a_change_back():
    stays, nobody = Tally(n=200, k=180), Tally(n=0, k=0)
    worse = check_acceptance(stays, Tally(n=100, k=10), nobody, minimum=None, error_rate=0.05)
    assert not worse.kept
    assert "90" in worse.words
    better = check_acceptance(Tally(n=180, k=180), nobody, Tally(n=20, k=0), minimum=None, error_rate=0.05)
    assert better.kept


def test_agreed_minimum_must_be_reached_or_not_be_missed_further():
    def check(minimum):
        gained, lost = Tally(n=50, k=28), Tally(n=0, k=0)
        return check_acceptance(Tally(n=100, k=60), gained, lost, minimum=minimum, error_rate=0.05)

    assert check(None).kept
    assert not check(0.6).kept
    assert check(0.3).kept


def test_without_verdicts_acceptance_is_no_condition():
    nobody = Tally(n=0, k=0)
    assert check_acceptance(nobody, nobody, nobody, minimum=0.9, error_rate=0.05) is None


def stakes_of(prices):
    text = f"""
name: d
version: 1
attributes: {{size: {{type: integer, unit: people}}}}
classes: [{{name: hot, all_of: [size >= 1]}}, {{name: cold, otherwise: true}}]
handoff: [hot]
prices: {prices}
"""
    return signed_stakes(parse_definition(text).prices)


def moved(n_gained, k_gained):
    zero = np.zeros(len(n_gained))
    n, k = np.array(n_gained, float), np.array(k_gained, float)
    return Moved(
        leads_gained=int(n.sum()),
        leads_lost=0,
        accounts_gained=int(n.sum()),
        accounts_lost=0,
        n_gained=n,
        k_gained=k,
        n_lost=zero,
        k_lost=zero,
        size_gained=n,
        size_lost=zero,
    )


def test_a_price_segment_that_loses_for_sure_holds_a_change_back():
    stakes = stakes_of("{won: {default: 10, by: {size >= 500: 100}}, worked_lead: 1}")
    assert not check_segments(moved([400, 400], [100, 0]), stakes, error_rate=0.05).kept
    assert check_segments(moved([400, 400], [100, 50]), stakes, error_rate=0.05).kept
    assert check_segments(moved([40, 0], [5, 0]), stakes, error_rate=0.05).kept
    assert check_segments(moved([40], [5]), stakes_of("{won: 10, worked_lead: 1}"), error_rate=0.05) is None


def test_newest_part_that_turned_holds_a_change_back_and_a_steady_one_does_not():
    stakes = stakes_of("{won: 20, worked_lead: 1}")  # pays from 5 %
    good, poor, bad = moved([100], [15]), moved([60], [2]), moved([200], [1])

    def check(*parts):
        return check_newest(parts, stakes, error_rate=0.05)

    assert check((good, good)).kept
    assert check((moved([40], [3]), poor)).kept  # no gain, but no worse than chance either
    turned = check((good, poor))
    assert not turned.kept
    assert "gain nothing and are worse" in turned.words
    assert "lose for sure" in check((bad, bad)).words
    assert not check((good, good), (good, poor)).kept
    assert check((good, moved([19], [0]))) is None
    # Three looks share the error of one (p = .016 alone); a part without enough labels is no look.
    close, few = (moved([100], [15]), moved([45], [1])), (good, moved([19], [0]))
    assert not check(close).kept
    assert not check(close, few, few).kept
    assert check(close, (good, good), (good, good), (good, good)).kept


@pytest.mark.parametrize("prices", ["{worked_lead: 1}", "{won: 10}", "{won: 0, worked_lead: 1}"])
def test_half_a_price_list_is_none(prices):
    assert stakes_of(prices) is None


def test_newest_leads_that_turned_hold_a_change_back():
    turned, nobody = (Tally(n=100, k=5), Tally(n=100, k=40)), (Tally(n=0, k=0), Tally(n=0, k=0))
    lost = check_freshness(nobody, turned, what="won")
    assert not lost.kept
    assert "moved on" in lost.words
    assert check_freshness(turned, nobody, what="won").kept
    few = (Tally(n=30, k=5), Tally(n=0, k=0))
    assert check_freshness(few, nobody, what="won") is None


def test_a_market_that_turns_after_confirmation_is_noticed(worlds):
    """Late leads were worthless until the end of the confirmation window and are accepted ever since."""
    rng = np.random.default_rng(0)
    frame = worlds.draw_attributes(6000, rng, quarters=7)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    turned = frame.created_on >= "2025-07-01"
    accept = np.where(frame.months <= 6, 0.7, np.where(turned, 0.7, 0.15))
    world = worlds.make_world(frame, np.zeros(6000), rng, worked=hot, accept_rate=accept)
    world.table = worlds.make_table(world.table.frame, as_of=np.datetime64("2025-09-20").astype(object))
    world.targets = compute_targets(world.table)
    from leadml.propose import Goal

    result = world.propose(Goal(maximise="accepted", minimum_acceptance=0.4), target="accepted")
    assert result.proposals == ()
    assert any("moved on" in change.reason for change in result.tested)


def test_explanation_speaks_of_a_hundred_leads_and_of_no_single_one(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, np.where(frame.months <= 6, 0.2, 0.03), rng, worked=hot)
    (change,) = world.propose().proposals
    told = change.explanation
    assert told.sentence == "`hot` asks for `months <= 6` instead of `months <= 12`."
    assert any("of 100 leads no longer handed over" in line and "won" in line for line in told.frequencies)
    assert 1 <= len(told.profiles) <= 5
    assert all(int(line.rsplit("(", 1)[1].split()[0].replace(",", "")) >= 5 for line in told.profiles)
    assert "months 6 to 9" in " ".join(told.profiles)
    assert told.caveats
    assert change.to_dict()["explanation"]["sentence"] == told.sentence


def test_a_file_of_picked_leads_only_supports_nothing_looser(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(6000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    kept = hot | (rng.random(6000) < 0.06)
    frame = frame[kept].reset_index(drop=True)
    world = worlds.make_world(frame, np.full(len(frame), 0.4), rng)
    result = world.propose()
    assert result.proposals == ()
    assert any("only leads that somebody picked" in notice for notice in result.notices)


def test_net_value_without_outcomes_is_judged_by_acceptance(worlds):
    contract = "\n".join(line for line in worlds.CONTRACT.split("\n") if "role: outcome" not in line)
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    accept = np.where(frame.months <= 6, 0.9, 0.1)
    world = worlds.make_world(frame, np.zeros(3000), rng, worked=hot, accept_rate=accept, contract=contract)
    result = world.propose(target="won")
    assert result.goal.maximise == "accepted"
    assert "no outcome" in result.notices[0]
    assert result.proposals[0].proposed == "months <= 6"

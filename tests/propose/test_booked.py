"""Won deals of one kind of lead that never reach the file: they must not make these leads look bad."""

import numpy as np
import pytest

from leadml.leads import compute_targets

KINDS = {
    "an industry": lambda frame: frame.industry == "public",
    "a size": lambda frame: frame.employees.between(50, 99),
    "a size that no step cuts": lambda frame: frame.employees.between(55, 85),
    "small ones of an industry": lambda frame: (frame.industry == "public") & (frame.employees < 200),
}


def unbooked_world(worlds, seed, kind, *, rate=0.25, becomes="open", n=3000):
    """Everybody who is handed over wins alike, but the won deals of one kind stand as `becomes`."""
    rng = np.random.default_rng(seed)
    frame = worlds.draw_attributes(n, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, np.where(hot, rate, 0.02), rng)
    leads = world.table.frame
    hidden = KINDS[kind](frame).to_numpy() & (leads.outcome == "won").to_numpy()
    outcome = np.where(hidden, becomes, leads.outcome.astype(str))
    table = worlds.make_table(leads.assign(outcome=outcome))
    return worlds.World(definition=world.definition, table=table, targets=compute_targets(table))


@pytest.mark.parametrize("becomes", ["open", "lost"])
@pytest.mark.parametrize("kind", ["an industry", "a size"])
def test_leads_whose_won_deals_are_not_booked_are_not_taken_away(worlds, kind, becomes):
    result = unbooked_world(worlds, 1, kind, becomes=becomes).propose()
    assert result.proposals == ()
    assert "won deals are not booked" in result.tested[0].reason
    assert "recorded as won" in result.tested[0].reason


def test_leads_that_are_left_open_more_often_count_as_won(worlds):
    world = unbooked_world(worlds, 2, "a size that no step cuts", rate=0.13, n=6000)
    (tested, *_) = world.propose().tested
    assert tested.proposed == "employees >= 100"
    assert "left open, more than of others" in tested.reason


def test_leads_that_never_win_and_that_sales_takes_less_often_are_taken_away(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng)
    public = (frame.industry == "public").to_numpy()
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    rate, accept = np.where(hot, 0.25, 0.02) * ~public, np.where(public, 0.3, 0.8)
    (proposal,) = worlds.make_world(frame, rate, rng, accept_rate=accept).propose().proposals
    assert "industry not in [public]" in proposal.proposed


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rate"), list(zip(KINDS, (0.13, 0.25, 0.13, 0.13), strict=True)))
def test_unbooked_deals_are_behind_at_most_five_percent_of_reviews(worlds, kind, rate):
    """Break-even is 10 %: the definition is right for all kinds, whatever the file says."""
    proposed = [bool(unbooked_world(worlds, seed, kind, rate=rate).propose().proposals) for seed in range(20)]
    assert sum(proposed) <= 1

"""Where Sales can work only so many leads: what is proposed fits, and a place has a price."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.definitions import assign_classes
from leadml.propose import Goal, find_shadow_price


def dual(volume, gain, capacity):
    """Try every price at which two definitions are equally good; the least of the best is sought."""
    prices = [0.0]
    for i in range(len(gain)):
        prices += [
            (gain[i] - gain[j]) / (volume[i] - volume[j])
            for j in range(len(gain))
            if volume[i] != volume[j] and (gain[i] - gain[j]) / (volume[i] - volume[j]) > 0
        ]
    best = [float(np.max(gain - price * (volume - capacity))) for price in prices]
    return best, prices


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(-40, 40)), min_size=1, max_size=12), st.integers(0, 70)
)
def test_price_is_the_least_bound_of_what_the_capacity_allows(points, capacity):
    volume, gain = np.array(points, float).T
    found = find_shadow_price(volume, gain, capacity)
    if not (volume <= capacity).any():
        assert found is None
        return
    bounds, _ = dual(volume, gain, capacity)
    mine = float(np.max(gain - found * (volume - capacity)))
    assert found >= 0
    assert mine == pytest.approx(min(bounds), abs=1e-9)
    # At the price, nobody does better than one definition inside and, if it is above 0, one beyond.
    worth = gain - found * volume
    assert worth[volume <= capacity].max() == pytest.approx(worth.max(), abs=1e-9)
    if found > 0:
        assert worth[volume > capacity].max() == pytest.approx(worth.max(), abs=1e-9)


@pytest.fixture(name="too_strict", scope="module")
def too_strict_fixture(worlds):
    """Build a world in which leads from 20 people on are worth 2,000 each, and 50 are asked for."""
    rng = np.random.default_rng(3)
    frame = worlds.draw_attributes(9000, rng)
    rate = np.where((frame["employees"] >= 20) & (frame["months"] <= 12), 0.3, 0.02)
    return worlds.make_world(frame, rate, rng)


def volumes(world, definition):
    """Return leads a month handed over in either window."""
    handed = assign_classes(definition, world.table.frame).isin(definition.handoff).to_numpy()
    created = world.table.frame["created_on"]
    return handed.sum() / ((created.max() - created.min()).days + 1) * 365.25 / 12


def test_what_is_proposed_fits_and_a_place_is_worth_what_a_lead_brings(too_strict):
    free = too_strict.propose()
    assert free.shadow_price is None
    assert free.proposals[0].proposed == "employees >= 20"
    now, then = volumes(too_strict, too_strict.definition), volumes(too_strict, free.proposals[0].revised)
    assert then > now * 1.2
    roomy = too_strict.propose(Goal(capacity=then * 1.2))
    assert roomy.proposals[0].proposed == "employees >= 20"
    assert roomy.shadow_price.value == 0
    assert "would bring nothing" in roomy.shadow_price.words
    tight = too_strict.propose(Goal(capacity=(now + then) / 2))
    for change in tight.tested:
        assert now + change.gained_per_month - change.lost_per_month <= (now + then) / 2 * 1.05
    assert 1500 < tight.shadow_price.value < 2500
    assert tight.shadow_price.unit == "EUR"
    assert "One more lead a month would bring about EUR" in tight.shadow_price.words
    assert tight.to_dict()["shadow_price"]["words"] == tight.shadow_price.words


def test_a_capacity_below_today_is_priced_by_what_goes(too_strict):
    now = volumes(too_strict, too_strict.definition)
    found = too_strict.propose(Goal(capacity=now * 0.8)).shadow_price
    assert found.leads_per_month == pytest.approx(now, rel=0.05)
    assert found.value > 1000


def test_without_prices_a_place_is_counted_in_deals(worlds, too_strict):
    text = worlds.DEFINITION.replace("prices: {won: {default: 10000}, worked_lead: 1000, currency: EUR}", "")
    frame = too_strict.table.frame
    rng = np.random.default_rng(3)
    rate = np.where((frame["employees"] >= 20) & (frame["months"] <= 12), 0.3, 0.02)
    unsigned = worlds.make_world(frame, rate.astype(float), rng, definition=text)
    found = unsigned.propose(Goal(maximise="won")).shadow_price
    assert found.unit == "won deals"
    assert 0.2 < found.value < 0.4
    assert found.words.startswith("Counted at no more than today's")


def test_nobody_knows_the_worth_of_a_place_that_only_unknown_leads_could_fill(worlds):
    rng = np.random.default_rng(5)
    frame = worlds.draw_attributes(6000, rng)
    inside = ((frame["employees"] >= 50) & (frame["months"] <= 12)).to_numpy()
    world = worlds.make_world(frame, np.where(inside, 0.3, 0.02), rng, worked=inside)
    found = world.propose(Goal(capacity=10_000)).shadow_price
    assert found.value is None
    assert "nobody can say" in found.words

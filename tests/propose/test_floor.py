"""The widest definition at an agreed minimum rate."""

import numpy as np
import pytest

from leadml.definitions import assign_classes
from leadml.errors import ExperimentError
from leadml.leads import split_periods
from leadml.propose import Goal, find_widest_definition


def graded(worlds, seed=1, n=5000, **settings):
    """The share accepted falls from .95 at one month to .35 at twenty-four."""
    rng = np.random.default_rng(seed)
    frame = worlds.draw_attributes(n, rng)
    accept = np.clip(0.975 - 0.026 * frame.months, 0, 1).to_numpy()
    return worlds.make_world(frame, np.zeros(n), rng, accept_rate=accept, **settings), accept


def widest(world, goal, records=None, **settings):
    return find_widest_definition(
        world.definition,
        world.table,
        world.targets,
        goal=goal,
        split=split_periods(world.table, world.targets, target="accepted"),
        register=(records if records is not None else []).append,
        **settings,
    )


def test_widest_definition_keeps_the_agreed_minimum(worlds):
    world, _ = graded(worlds)
    records = []
    found = widest(world, Goal(maximise="accepted", minimum_acceptance=0.8), records)
    assert found.proven
    assert found.ci_low > 0.8
    assert len(records) == 1
    assert len(records[0].candidates) == len(found.steps)
    assert found.steps["proven"].iloc[0]
    assert not found.steps["proven"].iloc[-1]
    assert found.revised.version == "2026.2"
    now = ((world.table.frame.employees >= 50) & (world.table.frame.months <= 12)).sum() / 18
    assert found.leads_per_month > now
    lines = repr(found).split("\n")
    assert lines[0].startswith("Most leads with 80\N{NO-BREAK SPACE}% accepted, proven on the newest leads: ")
    assert len(lines) <= 10
    assert max(map(len, lines[1:])) <= 100
    assert found.to_dict()["steps"][0]["proven"]
    assert "Widest" in found._repr_html_()
    assert found.to_dict()["proven"]
    assert len(found.to_frame()) == len(found.steps)


def test_a_floor_that_nobody_reaches_is_not_proven(worlds):
    world, _ = graded(worlds, n=1500)
    found = widest(world, Goal(maximise="accepted", minimum_acceptance=0.99))
    assert (found.proven, found.revised) == (False, None)
    assert repr(found).startswith(
        "No definition is proven to reach 99\N{NO-BREAK SPACE}% accepted on the newest leads"
    )


def test_a_floor_is_needed(worlds):
    world, _ = graded(worlds, n=100)
    with pytest.raises(ExperimentError, match="minimum_acceptance is missing"):
        widest(world, Goal(maximise="accepted"))


@pytest.mark.slow
def test_the_floor_is_violated_in_at_most_five_percent_of_reviews(worlds):
    violated = 0
    for seed in range(60):
        world, accept = graded(worlds, seed=seed, n=2500)
        found = widest(world, Goal(maximise="accepted", minimum_acceptance=0.7))
        if not found.proven:
            continue
        inside = assign_classes(found.revised, world.table.frame).isin(["hot"]).to_numpy()
        start = world.table.frame.created_on
        confirm = ((start >= "2025-01-01") & (start < "2025-10-01")).to_numpy()
        violated += accept[inside & confirm].mean() < 0.7
    assert violated <= 3

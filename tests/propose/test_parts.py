"""Leads in parts, of which only counts come back, give the proposals of leads that are all at hand."""

import itertools
import pickle
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from leadml.errors import LeadsError
from leadml.leads import split_periods, target_windows
from leadml.propose import Goal, LeadPart, propose_changes, propose_from_parts


class PartsHere:
    """Parts in this process; what passes between them and the caller is pickled, as between machines."""

    def __init__(self, table, cuts, dropped=None):
        self.table, self.cuts, self.dropped = table, cuts, dropped or {}

    @property
    def empty(self):
        return replace(self.table, frame=self.table.frame.iloc[:0])

    def with_contract(self, contract):
        return PartsHere(replace(self.table, contract=contract), self.cuts, self.dropped)

    def parts(self):
        ends = [0, *self.cuts, len(self.table.frame)]
        for number, (start, stop) in enumerate(itertools.pairwise(ends)):
            frame = self.table.frame.iloc[start:stop].reset_index(drop=True)
            part = LeadPart(table=replace(self.table, frame=frame))
            rows = self.dropped.get(number)
            yield part if rows is None else replace(part, dropped=rows)

    def gather(self, ask):
        ask = pickle.loads(pickle.dumps(ask))
        return [pickle.loads(pickle.dumps(ask(part))) for part in self.parts()]

    def count(self, ask):
        total = defaultdict(int)
        for found in self.gather(ask):
            for job, key, n in zip(*(each.tolist() for each in found), strict=True):
                total[job, key] += n
        rows = np.array([(job, key, n) for (job, key), n in total.items()], np.int64).reshape(-1, 3)
        return rows[:, 0], rows[:, 1], rows[:, 2]

    def regroup(self, emit, settle):
        groups = defaultdict(list)
        for number, found in enumerate(self.gather(emit)):
            for key, value in found.items():
                groups[key].append((number, value))
        return [settle(key, listed) for key, listed in groups.items()]

    def drop(self, emit, settle):
        rows = defaultdict(list)
        for found in self.regroup(emit, settle):
            for number, pair in found.items():
                rows[number].append(pair)
        dropped = {
            number: tuple(np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
            for number, pairs in rows.items()
        }
        return PartsHere(self.table, self.cuts, dropped)


def both(world, *, goal, cuts, **settings):
    target = "accepted" if goal.maximise == "accepted" else "won"
    records = []
    local = propose_changes(
        world.definition,
        world.table,
        world.targets,
        goal=goal,
        split=split_periods(world.table, world.targets, target=target),
        register=records.append,
        **settings,
    )
    divided = propose_from_parts(
        world.definition,
        PartsHere(world.table, cuts),
        goal=goal,
        register=records.append,
        **settings,
    )
    return [
        [found.to_dict(), record.to_dict()] for found, record in zip((local, divided), records, strict=True)
    ]


def make(worlds, seed=0, n=4000, *, quarters=6, accounts=0, worked="all", **texts):
    rng = np.random.default_rng(seed)
    frame = worlds.draw_attributes(n, rng, quarters=quarters)
    if accounts:
        frame["account"] = [f"A{number}" for number in rng.integers(0, accounts, n)]
    good = (frame.months <= 6).to_numpy()
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    picked = hot | (good & (rng.random(n) < 0.3)) if worked == "some" else None
    return worlds.make_world(frame, np.where(good, 0.3, 0.02), rng, worked=picked, **texts)


CUTS = (7, 1500, 1500)


@pytest.mark.parametrize(
    ("goal", "max_changes"),
    [
        (Goal(maximise="net_value"), 2),
        (Goal(maximise="won"), 1),
        (Goal(maximise="won", capacity=60), 1),
        (Goal(maximise="accepted", minimum_acceptance=0.4), 1),
    ],
)
def test_parts_give_the_same_proposals_byte_for_byte(worlds, goal, max_changes):
    local, divided = both(make(worlds), goal=goal, cuts=CUTS, max_changes=max_changes)
    assert local == divided
    assert goal.maximise != "net_value" or local[0]["proposals"]


def test_one_lead_counts_for_an_account_whose_leads_lie_in_many_parts(worlds):
    world = make(worlds, accounts=900)
    local, divided = both(world, goal=Goal(), cuts=CUTS, max_changes=1)
    assert local == divided
    alone, _ = both(make(worlds), goal=Goal(), cuts=CUTS, max_changes=1)
    assert alone[0]["tested"] != local[0]["tested"]


def test_steps_and_levels_that_nobody_declared_are_found_over_all_parts(worlds):
    text = worlds.DEFINITION.replace(", steps: [10, 20, 50, 100, 200, 500, 1000]", "")
    text = text.replace(", steps: [2, 3, 6, 9, 12, 18]", "")
    text = text.replace(
        "industry: {type: category, levels: [software, manufacturing, public]}", "industry: {type: category}"
    )
    local, divided = both(make(worlds, definition=text), goal=Goal(), cuts=CUTS, max_changes=1)
    assert local == divided
    assert local[1]["n_searched"] > 40
    assert local[0]["proposals"]


def test_what_reps_fill_in_later_is_found_over_all_parts(worlds):
    text = worlds.DEFINITION.replace("      - months <= 12", "      - months <= 12\n      - budget >= none")
    world = make(worlds, definition=text)
    won = (world.table.frame["outcome"] == "won").to_numpy()
    empty = np.random.default_rng(1).random(len(won)) < np.where(won, 0.05, 0.4)
    world.table.frame.loc[empty, "budget"] = None
    local, divided = both(world, goal=Goal(), cuts=CUTS, max_changes=1)
    assert local == divided
    assert any("written only after the handoff" in change["reason"] for change in local[0]["tested"])


@pytest.mark.parametrize(("quarters", "worked"), [(2, "all"), (6, "some")])
def test_short_histories_and_leads_that_nobody_worked(worlds, quarters, worked):
    world = make(worlds, quarters=quarters, worked=worked)
    local, divided = both(world, goal=Goal(), cuts=CUTS, max_changes=1)
    assert local == divided
    assert local[1]["n_confirm"] > 0


def test_a_threshold_that_differs_by_segment_is_found_over_all_parts(worlds):
    local, divided = both(make(worlds), goal=Goal(), cuts=CUTS, max_changes=1, segments=("industry",))
    assert local == divided
    assert local[1]["segments"]


def test_windows_that_the_data_decide_are_decided_over_all_parts(worlds):
    contract = worlds.CONTRACT.replace("windows: {verdict: 30 days, outcome: 90 days}", "windows: from data")
    contract = contract.replace(
        "windows: from data",
        "windows: {verdict: from data, outcome: from data}",
    ).replace(
        "  outcome: {from",
        '  closed_on: {from: leads.closed_on, role: closed, type: date, format: "%Y-%m-%d"}\n  outcome: {from',
    )
    rng = np.random.default_rng(5)
    frame = worlds.draw_attributes(4000, rng)
    frame["closed_on"] = frame["created_on"] + pd.to_timedelta(rng.integers(1, 120, 4000), unit="D")
    rate = np.where(frame.months <= 6, 0.3, 0.02)
    world = worlds.make_world(frame, rate, rng, contract=contract)
    local, divided = both(world, goal=Goal(), cuts=CUTS, max_changes=1)
    assert local == divided
    assert target_windows(world.table)["won"] > 90


def test_leads_without_an_outcome_are_judged_by_acceptance_in_parts_too(worlds):
    contract = "\n".join(line for line in worlds.CONTRACT.split("\n") if "role: outcome" not in line)
    local, divided = both(make(worlds, contract=contract), goal=Goal(), cuts=CUTS, max_changes=1)
    assert local == divided
    assert divided[0]["goal"]["maximise"] == "accepted"


def test_leads_without_dates_are_refused(worlds):
    contract = "\n".join(line for line in worlds.CONTRACT.split("\n") if "type: date" not in line)
    world = make(worlds, contract=contract)
    with pytest.raises(LeadsError, match="engine local"):
        propose_from_parts(
            world.definition, PartsHere(world.table, CUTS), goal=Goal(), register=lambda _record: None
        )

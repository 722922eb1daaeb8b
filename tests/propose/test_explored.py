"""Exploration: who is picked, what came back, when to stop; young leads; the audit of what was adopted."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import Change, apply_changes, parse_definition
from leadml.errors import ExperimentError, LeadsError
from leadml.leads import compute_targets, split_periods
from leadml.metrics import kish_counts, mover_p_value
from leadml.propose import (
    Goal,
    Range,
    audit_adopted,
    censoring_weights,
    count_in_duckdb,
    follow_exploration,
    parse_what_if,
    read_exploration,
    sample_exploration,
    split_error_rate,
    write_exploration,
)

LOOSER = Change(
    address="hot.employees", kind="threshold", written="employees >= 50", proposed="employees >= 20"
)


def explored_world(worlds, rate_outside, *, seed=1, share=0.3, n=8000):
    """Leads of 20 to 49 people are handed over with a known probability, all other small ones never."""
    rng = np.random.default_rng(seed)
    frame = worlds.draw_attributes(n, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    rate = np.where(frame.employees >= 50, 0.25, rate_outside)
    blind = worlds.make_world(frame, rate, rng, worked=hot)
    sample = sample_exploration(blind.definition, blind.table, changes=[LOOSER], share=share, salt="q3")
    picked = frame.lead_id.isin(sample.lead_id[sample.picked]).to_numpy()
    world = worlds.make_world(frame, rate, np.random.default_rng(seed + 1), worked=hot | picked)
    return world, sample


def test_sample_is_reproducible_and_has_its_share(worlds):
    world, sample = explored_world(worlds, 0.2)
    again = sample_exploration(world.definition, world.table, changes=[LOOSER], share=0.3, salt="q3")
    assert sample.equals(again)
    assert 0.25 < sample.picked.mean() < 0.35
    frame = world.table.frame.set_index("lead_id").loc[sample.lead_id]
    assert ((frame.employees >= 20) & (frame.employees < 50) & (frame.months <= 12)).all()
    other = sample_exploration(world.definition, world.table, changes=[LOOSER], share=0.3, salt="q4")
    assert (other.picked != sample.picked).any()
    more = sample_exploration(world.definition, world.table, changes=[LOOSER], share=0.6, salt="q3")
    assert (more.picked | ~sample.picked).all()


def test_random_sample_lets_a_looser_threshold_be_proposed(worlds):
    world, sample = explored_world(worlds, 0.25)
    assert world.propose().proposals == ()
    result = world.propose(explored=sample)
    (proposal,) = result.proposals
    assert proposal.proposed == "employees >= 20"
    assert proposal.grade == "A"
    confirm = (world.table.frame.created_on >= "2025-01-01") & (world.table.frame.created_on < "2025-07-01")
    band = world.table.frame.lead_id.isin(sample.lead_id) & confirm
    truth = band.sum() * (0.25 * 10_000 - 1000) / proposal_months(world)
    assert proposal.value.low < truth < proposal.value.high
    assert proposal.gained_per_month == pytest.approx(band.sum() / proposal_months(world))
    assert proposal.n_gained == (band & world.table.frame.lead_id.isin(sample.lead_id[sample.picked])).sum()


def proposal_months(world):
    start = world.table.frame.created_on
    confirm = start[(start >= "2025-01-01") & (start < "2025-07-01")]
    return ((confirm.max() - confirm.min()).days + 1) / (365.25 / 12)


@pytest.mark.slow
def test_random_sample_of_worthless_leads_is_hardly_ever_proposed(worlds):
    proposed = 0
    for seed in range(60):
        world, sample = explored_world(worlds, 0.1, seed=seed, n=3000)
        proposed += any(change.gained_per_month for change in world.propose(explored=sample).proposals)
    assert proposed <= 3


def test_exploration_can_be_followed_and_stopped_on_either_side(worlds):
    for rate, verdict in ((0.35, "stop: it pays"), (0.0, "stop: it does not pay"), (0.1, "go on")):
        world, sample = explored_world(worlds, rate)
        seen = follow_exploration(sample, world.table, world.targets, target="won", break_even=0.1)
        assert seen.verdict == verdict
        assert seen.n_known == seen.n_picked == sample.picked.sum()
        assert seen.ci_low <= seen.rate <= seen.ci_high
        assert verdict in repr(seen)
        assert len(seen.to_frame()) == 1
        assert "Exploration" in seen._repr_html_()


def test_exploration_without_labels_goes_on(worlds):
    world, sample = explored_world(worlds, 0.2)
    nobody = sample.assign(picked=False)
    seen = follow_exploration(nobody, world.table, world.targets, target="won", break_even=0.1)
    assert (seen.verdict, seen.n_known, seen.rate) == ("go on", 0, None)


def test_wrong_samples_are_refused(worlds):
    world, sample = explored_world(worlds, 0.2, n=600)
    with pytest.raises(ExperimentError, match="share"):
        sample_exploration(world.definition, world.table, changes=[LOOSER], share=0, salt="")
    with pytest.raises(LeadsError, match="missing: picked"):
        world.propose(explored=sample.drop(columns="picked"))
    twice = pd.concat([sample, sample])
    with pytest.raises(LeadsError, match="occur more than once"):
        world.propose(explored=twice)
    with pytest.raises(LeadsError, match="probabilities above 0"):
        world.propose(explored=sample.assign(probability=0.0))
    many = sample.assign(probability=np.linspace(0.1, 0.9, len(sample)))
    with pytest.raises(LeadsError, match="at most 5 different"):
        world.propose(explored=many)


def test_error_rate_of_a_year_is_shared():
    assert split_error_rate(0.05) == 0.0125
    assert split_error_rate(0.08, reviews_per_year=2, looks=4) == 0.01
    with pytest.raises(ExperimentError, match="error rate a year"):
        split_error_rate(0.05, reviews_per_year=0)


# -- young leads -------------------------------------------------------------------------------------------


def test_weights_are_one_without_censoring_and_keep_the_total():
    age = np.full(50, 400.0)
    closed = np.where(np.arange(50) % 2, 20.0, np.nan)
    assert censoring_weights(age, closed, horizon=90.0).tolist() == [1.0] * 50
    assert censoring_weights(np.zeros(0), np.zeros(0), horizon=90.0).size == 0


def test_weighted_rate_is_unbiased_where_the_naive_label_is_not():
    rng = np.random.default_rng(0)
    age = rng.uniform(0, 360, 40_000)
    wins = rng.random(40_000) < 0.3
    lag = rng.exponential(60, 40_000)
    closed = np.where(wins & (lag <= age), lag, np.nan)
    weights = censoring_weights(age, closed, horizon=180.0)
    won = wins & (lag <= np.minimum(age, 180))
    truth = 0.3 * (1 - np.exp(-180 / 60))
    assert (weights * won).sum() / weights.sum() == pytest.approx(truth, abs=0.01)
    assert won.mean() < 0.9 * truth


MONTH = 30.44


def draw_young(rng, n, rate, close_months):
    """Twelve months of leads: ages, days until they closed so far (NaN: open), and those won so far."""
    age = rng.uniform(0, 12, n) * MONTH
    wins = rng.random(n) < rate
    lag = rng.exponential(close_months, n) * MONTH
    closes = wins | (rng.random(n) >= 0.3)
    closed = np.where(closes & (lag <= age), lag, np.nan)
    return age, closed, wins & ~np.isnan(closed)


def test_open_as_lost_turns_a_decision_round_that_weights_get_right():
    """Large companies win more often, and slowly: the naive label mostly says the opposite."""
    naive = weighted = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rates = []
        for rate, close_months in ((0.08, 2.0), (0.11, 6.0)):
            age, closed, won = draw_young(rng, 10_000, rate, close_months)
            won &= closed <= 10 * MONTH
            weights = censoring_weights(age, closed, horizon=10 * MONTH)
            rates.append((won.mean(), (weights * won).sum() / weights.sum()))
        (small, small_weighted), (large, large_weighted) = rates
        naive += large > small
        weighted += large_weighted > small_weighted
    assert naive <= 8
    assert weighted >= 34


@pytest.mark.parametrize("sign", [1, -1])
def test_weighted_gate_opens_on_worthless_young_leads_at_most_at_its_level(sign):
    opened, horizon = 0, 6 * MONTH
    rate = 0.05 / (1 - np.exp(-6 / 3.0))  # won within six months: .05, the break-even
    for seed in range(400):
        age, closed, won = draw_young(np.random.default_rng(seed), 400, rate, 3.0)
        weights = censoring_weights(age, closed, horizon=horizon)
        k, n = kish_counts(weights, won & (closed <= horizon))
        p_value = mover_p_value([k], [n], sign=[sign], scale=[weights.sum()], break_even=[0.05])
        opened += p_value <= 0.05
    assert 0 < opened <= 20


DATED = """  closed_on: {from: leads.closed_on, role: closed, type: date, format: "%Y-%m-%d"}
windows: {verdict: 30 days, outcome: 180 days}
"""


def young_world(worlds, seed, late_rate, early_rate=0.25):
    rng = np.random.default_rng(seed)
    n = 3000
    frame = worlds.draw_attributes(n, rng, quarters=8)
    lag = rng.exponential(50, n).astype(int)
    rate = np.where(frame.months <= 6, early_rate, late_rate)
    won = rng.random(n) < rate
    closed = frame.created_on + pd.to_timedelta(lag, unit="D")
    known = (won | (rng.random(n) < 0.6)) & (closed <= pd.Timestamp("2026-01-01"))
    frame = frame.assign(
        closed_on=closed.where(known),
        handed_on=frame.created_on,
        verdict="accepted",
        outcome=np.where(known, np.where(won, "won", "lost"), "open"),
    )
    contract = worlds.CONTRACT.replace("windows: {verdict: 30 days, outcome: 90 days}\n", DATED)
    table = worlds.make_table(frame, contract=contract)
    return worlds.World(
        definition=parse_definition(worlds.DEFINITION), table=table, targets=compute_targets(table)
    )


def test_young_leads_add_evidence(worlds):
    world = young_world(worlds, 1, 0.02)
    matured, weighted = world.propose(), world.propose(confirm_with="weighted")
    assert matured.proposals == ()  # too few matured leads: p = .02 before Holm
    assert "months <= 6" in weighted.proposals[0].proposed
    assert weighted.registration.n_confirm > matured.registration.n_confirm
    assert weighted.tested[0].n_lost > matured.tested[0].n_lost


@pytest.mark.slow
def test_young_leads_that_are_worth_exactly_their_work_are_left_alone(worlds):
    # Won within 180 days: .1028 * (1 - exp(-180 / 50)) = .1, the break-even, for every lead.
    proposed = 0
    for seed in range(60):
        world = young_world(worlds, seed, 0.1028, 0.1028)
        result = world.propose(confirm_with="weighted")
        proposed += bool(result.proposals)
    assert proposed <= 3


def test_young_leads_without_closing_days_are_left_out(worlds):
    rng = np.random.default_rng(1)
    world = worlds.make_world(worlds.draw_attributes(1500, rng), np.full(1500, 0.2), rng)
    result = world.propose(confirm_with="weighted")
    assert any("cannot be weighted" in notice for notice in result.notices)


# -- the audit of what was adopted -------------------------------------------------------------------------


def audit(world, text, since, promised):
    after = apply_changes(world.definition, [parse_what_if(world.definition, text)])
    return audit_adopted(
        world.definition,
        after,
        world.table,
        world.targets,
        goal=Goal(),
        split=split_periods(world.table, world.targets, target="won"),
        promised=promised,
        since=since,
    )


def test_promise_is_held_against_fresh_leads(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng)
    world = worlds.make_world(frame, np.full(4000, 0.3), rng)
    modest, bold = Range(low=1000.0, value=2000.0, high=9e9), Range(low=9e9, value=9.5e9, high=9.9e9)
    since = dt.date(2025, 4, 1)
    kept = audit(world, "hot.employees=20", since, modest)
    assert kept.verdict == "promise kept"
    assert kept.realised.low < kept.realised.value < kept.realised.high
    broken = audit(world, "hot.employees=20", since, bold)
    assert broken.verdict == "promise broken"
    assert broken.reason.endswith("at least +9,000,000,000 was promised")
    assert "e+" not in kept.reason + broken.reason
    assert audit(world, "hot.employees=20", dt.date(2025, 6, 28), modest).verdict == "too early"
    assert len(kept.to_frame()) == 1
    assert "kept" in repr(kept)
    assert "Adopted" in kept._repr_html_()


def test_leads_no_longer_handed_over_cannot_be_measured(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng)
    late = (frame.created_on >= "2025-04-01") & (frame.months > 6)
    hot = (frame.employees >= 50) & (frame.months <= 12) & ~late
    world = worlds.make_world(frame, np.full(4000, 0.3), rng, worked=hot.to_numpy())
    found = audit(world, "hot.months=6", dt.date(2025, 4, 1), Range(low=1.0, value=2.0, high=3.0))
    assert found.verdict == "cannot be measured"


# -- the file that is handed over --------------------------------------------------------------------------


@pytest.mark.parametrize("lead_id", ["00Q5", "=1+1", "'=1", "a,b", 'say "x"', "-5", "007"])
def test_an_exploration_file_reads_back_as_it_was_and_holds_no_formula(tmp_path, lead_id):
    sample = pd.DataFrame({"lead_id": ["x", lead_id], "probability": 0.1, "picked": [True, False]})
    write_exploration(sample, tmp_path / "ids.csv")
    back = read_exploration(tmp_path / "ids.csv")
    assert back["lead_id"].tolist() == ["x", lead_id]
    assert back["picked"].tolist() == [True, False]
    assert back["probability"].tolist() == [0.1, 0.1]
    assert not (tmp_path / "ids.csv").read_text().splitlines()[2].startswith(("=", "+", "-", "@"))


def test_a_damaged_exploration_file_is_refused_with_its_lines_and_without_ids(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("lead_id,probability,picked\nsecret,2,yes\nsecret,0.5,maybe\nok,0.5,no\nsecret,0.5\n")
    with pytest.raises(LeadsError, match=r":2: expected an id") as caught:
        read_exploration(path)
    assert len(caught.value.findings) == 3
    assert "secret" not in str(caught.value)
    path.write_text("id,share\n")
    with pytest.raises(LeadsError, match="expected the columns lead_id, probability, picked"):
        read_exploration(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LeadsError, match="UTF-8"):
        read_exploration(path)


def test_an_exploration_of_other_leads_is_refused(worlds):
    world, sample = explored_world(worlds, 0.2, n=600)
    with pytest.raises(LeadsError, match="none of the ids is among the leads"):
        world.propose(explored=sample.assign(lead_id=[f"Z{n}" for n in range(len(sample))]))


def test_explored_leads_that_are_missing_are_counted_and_too_many_refused(worlds):
    world, sample = explored_world(worlds, 0.2, n=3000)
    ids = sample.lead_id.to_list()
    few = sample.assign(lead_id=["Z1", "Z2", *ids[2:]])
    notice = f"2 of the {len(ids):,} explored leads are not among the leads."
    assert notice in world.propose(explored=few).notices
    seen = follow_exploration(few, world.table, world.targets, target="won", break_even=0.1)
    assert seen.n_unknown == seen.to_dict()["n_unknown"] == 2
    assert "2 ids of the file are not among the leads" in repr(seen)
    many = sample.assign(lead_id=[f"Z{n}" if n % 10 == 0 else lead for n, lead in enumerate(ids)])
    missing = -(-len(ids) // 10)
    with pytest.raises(LeadsError, match=rf"{missing} of {len(ids)} of the ids are not .* at most 5%"):
        world.propose(explored=many)
    with pytest.raises(LeadsError, match="at most 5%"):
        follow_exploration(many, world.table, world.targets, target="won", break_even=0.1)


def test_an_exploration_counted_in_duckdb_is_the_same_proposal(worlds):
    world, sample = explored_world(worlds, 0.25)
    there = world.propose(explored=sample, count=count_in_duckdb)
    assert there.proposals
    assert there.to_dict() == world.propose(explored=sample).to_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "stop", "proposed"), [(0.25, "it pays", True), (0.01, "it does not pay", False)]
)
def test_an_exploration_goes_from_the_plan_to_the_answer(worlds, tmp_path, rate, stop, proposed):
    """The plan of one review, its file, the look at what came back and the next review, with a known truth."""
    rng = np.random.default_rng(11)
    frame = worlds.draw_attributes(6000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    truth = np.where(frame.employees >= 50, 0.25, rate)
    first = worlds.make_world(frame, truth, rng, worked=hot)
    plans = {plan.criterion: plan for plan in first.propose().explore}
    plan = plans["hot.employees"]
    assert plan.cost == pytest.approx(plan.n * 1000)
    assert "which comes back from 10" in plan.reason
    assert plan.weeks == pytest.approx(plan.n / (plan.share * plan.leads_per_month / 4.348), abs=1)
    change = parse_what_if(first.definition, f"hot.employees={plan.to.split()[-1]}")
    write_exploration(
        sample_exploration(first.definition, first.table, changes=[change], share=0.3, salt="q3"),
        tmp_path / "ids.csv",
    )
    sample = read_exploration(tmp_path / "ids.csv")
    picked = frame.lead_id.isin(sample.lead_id[sample.picked]).to_numpy()
    later = worlds.make_world(frame, truth, np.random.default_rng(12), worked=hot | picked)
    seen = follow_exploration(sample, later.table, later.targets, target="won", break_even=plan.break_even)
    assert seen.verdict == f"stop: {stop}"
    assert seen.n_known > plan.n
    answer = later.propose(explored=sample)
    assert bool(answer.proposals) == proposed
    if proposed:
        assert answer.proposals[0].criterion == "hot.employees"

"""What may be proposed: refusals, order of reading, prices, accounts, odd leads."""

import json

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.errors import ExperimentError, LeadsError
from leadml.leads import compute_targets, split_periods
from leadml.propose import Goal, _explore


def planted(worlds, seed=1, n=3000, *, selected=True):
    """Leads of more than six months hardly ever win, but the definition takes them up to twelve."""
    rng = np.random.default_rng(seed)
    frame = worlds.draw_attributes(n, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    rate = np.where(frame.months <= 6, 0.2, 0.03)
    return worlds.make_world(frame, rate, rng, worked=hot if selected else None)


def test_planted_threshold_is_proposed_with_its_evidence(worlds):
    world = planted(worlds)
    result = world.propose()
    (proposal,) = result.proposals
    assert (proposal.criterion, proposal.written, proposal.proposed) == (
        "hot.months",
        "months <= 12",
        "months <= 6",
    )
    assert (proposal.kind, proposal.grade, proposal.status) == ("threshold", "A", "proposed")
    assert 0 < proposal.value.low < proposal.value.value < proposal.value.high
    assert proposal.gained_per_month == 0
    assert proposal.n_changed == pytest.approx(proposal.lost_per_month * 6, rel=0.02)
    assert proposal.won.high <= 0
    assert proposal.revised.version == "2026.2"
    assert "# agreed in spring" in proposal.revised.text
    assert "months <= 6" in proposal.revised.text
    assert [kept.criterion for kept in result.kept] == ["hot.employees"]


def test_json_has_the_agreed_shape(worlds):
    plain = planted(worlds).propose().to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert {"proposals", "promising", "kept", "explore"} <= set(plain)
    assert {
        "criterion",
        "kind",
        "written",
        "proposed",
        "grade",
        "n_changed",
        "gained_per_month",
        "lost_per_month",
        "value_low",
        "value",
        "value_high",
        "won_low",
        "won",
        "won_high",
    } <= set(plain["proposals"][0])
    assert {"criterion", "reason", "n_changed", "detectable"} <= set(plain["kept"][0])
    assert {"criterion", "from", "to", "n", "weeks", "cost"} <= set(plain["explore"][0])


def test_looser_threshold_without_labels_is_refused_with_a_plan(worlds):
    rng = np.random.default_rng(3)
    frame = worlds.draw_attributes(4000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, np.where(frame.months <= 12, 0.3, 0.01), rng, worked=hot)
    result = world.propose()
    assert result.proposals == ()
    assert result.promising == ()
    plan = next(plan for plan in result.explore if plan.criterion == "hot.employees")
    assert (plan.written, plan.to) == ("employees >= 50", "employees >= 20")
    assert plan.n > 20
    assert plan.weeks >= 1
    assert plan.cost == plan.n * 1000
    kept = {entry.criterion: entry.reason for entry in result.kept}
    assert "no verdicts" in kept["hot.employees"]


def test_outcomes_recorded_as_open_for_leads_nobody_worked_are_no_labels(worlds):
    contract = "\n".join(
        line
        for line in worlds.CONTRACT.split("\n")
        if "handed_on" not in line and "role: verdict" not in line
    )
    rng = np.random.default_rng(4)
    frame = worlds.draw_attributes(4000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, np.full(4000, 0.15), rng, worked=hot, contract=contract)
    result = world.propose()
    assert result.proposals == ()
    assert {plan.criterion for plan in result.explore} == {"hot.employees", "hot.months"}


def test_leads_that_somebody_picked_are_promising_at_most(worlds):
    rng = np.random.default_rng(5)
    frame = worlds.draw_attributes(6000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    picked = hot | (rng.random(6000) < 0.3)
    world = worlds.make_world(frame, np.full(6000, 0.4), rng, worked=picked)
    result = world.propose()
    assert result.proposals == ()
    assert result.promising
    for change in result.promising:
        assert change.grade == "B"
        assert 0 <= change.tipping_point < 0.1
        assert "picked" in change.reason
    assert all(plan.n_known > 50 and "somebody picked" in plan.reason for plan in result.explore)
    assert any("verdicts only of leads that somebody picked" in each.reason for each in result.kept)
    assert not any("no verdicts" in each.reason for each in result.kept)


def test_shuffled_confirmation_labels_do_not_change_the_registration(worlds):
    world = planted(worlds)
    split = split_periods(world.table, world.targets, target="won")
    records, order = [], []
    world.propose(split=split, register=records.append)
    rng = np.random.default_rng(9)
    for name in ("won", "accepted"):
        values = world.targets[name].to_numpy().copy()
        values[split.confirm] = rng.permutation(values[split.confirm])
        world.targets[name] = values
    result = world.propose(
        split=split, register=lambda record: (records.append(record), order.append("written"))
    )
    assert records[0].to_dict() == records[1].to_dict()
    assert records[0].candidates[0]["proposed"] == "months <= 6"
    assert order == ["written"]
    assert result.registration == records[1]


def test_confirmation_labels_are_read_only_after_the_registration(worlds):
    world = planted(worlds)
    split = split_periods(world.table, world.targets, target="won")
    truth = world.targets[["won", "accepted"]].copy()
    # Until the record is written the labels are poison; `register` puts the true ones in place.
    world.targets.loc[split.confirm, ["won", "accepted"]] = 1.0 - truth.loc[split.confirm]

    def register(_record):
        world.targets[["won", "accepted"]] = truth

    healed = world.propose(split=split, register=register)
    honest = planted(worlds).propose()
    assert healed.to_dict() == honest.to_dict()


def test_a_failing_register_stops_everything(worlds):
    def register(_record):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        planted(worlds).propose(register=register)


def test_contacts_of_one_account_do_not_change_p_values(worlds):
    single = planted(worlds)
    frame = single.table.frame
    copies = pd.concat([frame, frame.assign(lead_id="X" + frame.lead_id)], ignore_index=True)
    table = worlds.make_table(copies)
    doubled = worlds.World(definition=single.definition, table=table, targets=compute_targets(table))
    one, two = single.propose(), doubled.propose()
    assert [change.p_value for change in one.tested] == [change.p_value for change in two.tested]
    assert [change.value for change in one.tested] == [change.value for change in two.tested]
    assert two.proposals[0].n_changed == 2 * one.proposals[0].n_changed
    assert two.proposals[0].n_lost == one.proposals[0].n_lost


def test_without_prices_a_lead_taken_away_must_be_less_than_half_as_good(worlds):
    definition = "\n".join(line for line in worlds.DEFINITION.split("\n") if not line.startswith("prices"))
    world = planted(worlds, n=4000)
    world.definition = parse_definition(definition)
    result = world.propose()
    assert "signs no price" in result.notices[0]
    assert result.stakes.unit == "won deals"
    assert result.stakes.cost_lost[0] == result.stakes.cost_gained[0] / 2
    assert result.proposals[0].proposed == "months <= 6"
    assert result.proposals[0].gained_per_month == 0


def test_minimum_acceptance_is_the_break_even_of_accepted_leads(worlds):
    rng = np.random.default_rng(2)
    frame = worlds.draw_attributes(4000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    accept = np.where(frame.months <= 6, 0.9, 0.3)
    world = worlds.make_world(frame, np.zeros(4000), rng, worked=hot, accept_rate=accept)
    goal = Goal(maximise="accepted", minimum_acceptance=0.6)
    result = world.propose(goal, target="accepted")
    assert result.stakes.break_even("lost")[0] == 0.6
    assert result.proposals[0].proposed == "months <= 6"
    assert result.proposals[0].accepted.high < 0
    high = Goal(maximise="accepted", minimum_acceptance=0.2)
    assert world.propose(high, target="accepted").proposals == ()


def test_price_strata_change_what_is_worth_working(worlds):
    definition = worlds.DEFINITION.replace(
        "{default: 10000}", "{default: 10000, by: {industry = public: 100000}}"
    )
    rng = np.random.default_rng(6)
    frame = worlds.draw_attributes(4000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    rate = np.where(frame.months <= 6, 0.2, 0.04)
    world = worlds.make_world(frame, rate, rng, worked=hot, definition=definition)
    result = world.propose()
    assert result.stakes.names == ("industry = public", "all other leads")
    # At 100,000 a public deal pays from 1 %, so late leads are worth working on average.
    assert result.proposals == ()


def test_capacity_keeps_out_changes_that_hand_over_more(worlds):
    rng = np.random.default_rng(7)
    frame = worlds.draw_attributes(4000, rng)
    world = worlds.make_world(frame, np.where(frame.months <= 12, 0.3, 0.01), rng)
    free = world.propose()
    assert free.proposals[0].gained_per_month > 0
    now = float(((frame.employees >= 50) & (frame.months <= 12)).sum()) / 18
    kept = world.propose(Goal(capacity=now))
    assert all(change.gained_per_month <= change.lost_per_month for change in kept.proposals)


def test_explorations_that_are_not_listed_are_counted(worlds, monkeypatch):
    rng = np.random.default_rng(3)
    frame = worlds.draw_attributes(2000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, np.full(2000, 0.25), rng, worked=hot)
    every = world.propose()
    assert len(every.explore) == 2
    assert not any("more band" in notice for notice in every.notices)
    monkeypatch.setattr(_explore, "_MAX_PLANS", 1)
    result = world.propose()
    assert result.explore == every.explore[:1]
    assert "1 more band could be explored; the best are listed." in result.notices


def test_nothing_is_proposed_when_only_few_wins_are_recorded(worlds):
    rng = np.random.default_rng(8)
    frame = worlds.draw_attributes(3000, rng)
    world = worlds.make_world(frame, np.zeros(3000), rng)
    result = world.propose()
    assert result.proposals == result.tested == ()
    assert result.notices[0].startswith(
        "No lead handed over in the older quarters is recorded as won: too few"
    )
    why = "too few leads handed over are recorded as won to say what changing it would bring"
    assert [kept.reason for kept in result.kept] == [
        f"keep `employees >= 50`: {why}",
        f"keep `months <= 12`: {why}",
    ]


@pytest.mark.parametrize(
    ("wins", "notice"),
    [
        (1, "Only one lead handed over in the older quarters is recorded as won: too few"),
        (4, "Only 4 leads handed over in the older quarters are recorded as won: too few"),
    ],
)
def test_few_wins_are_counted_in_whole_sentences(worlds, wins, notice):
    rng = np.random.default_rng(8)
    frame = worlds.draw_attributes(3000, rng).sort_values("created_on", ignore_index=True)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    world = worlds.make_world(frame, (hot & (np.cumsum(hot) <= wins)).astype(float), rng)
    result = world.propose()
    assert result.proposals == ()
    assert result.notices[0].startswith(notice)
    assert {kept.reason.split(": ")[1][:8] for kept in result.kept} == {"too few "}


def test_nobody_handed_over_is_said(worlds):
    rng = np.random.default_rng(8)
    frame = worlds.draw_attributes(500, rng)
    frame["employees"] = 10
    result = worlds.make_world(frame, np.full(500, 0.2), rng).propose()
    assert "the definition hands over no lead of the older quarters" in result.kept[0].reason


def test_outcomes_that_stop_being_recorded_propose_nothing(worlds):
    world = planted(worlds, n=3000)
    split = split_periods(world.table, world.targets, target="won")
    world.targets.loc[split.confirm, "won"] = 0.0
    result = world.propose(split=split)
    assert result.proposals == ()
    assert "too few wins are recorded" in result.tested[0].reason


@pytest.mark.parametrize("n", [0, 1, 5, 60])
def test_few_leads_propose_nothing_and_explain_every_criterion(worlds, n):
    rng = np.random.default_rng(1)
    world = worlds.make_world(worlds.draw_attributes(n, rng), np.full(n, 0.2), rng)
    records = []
    result = world.propose(register=records.append)
    assert len(records) == 1
    assert result.proposals == ()
    assert [kept.criterion for kept in result.kept] == ["hot.employees", "hot.months"]
    assert repr(result)
    json.dumps(result.to_dict(), allow_nan=False)


def test_one_quarter_only_still_finds_and_confirms_in_order_of_time(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng, quarters=1)
    rate = np.where(frame.months <= 6, 0.25, 0.01)
    result = worlds.make_world(frame, rate, rng).propose()
    assert result.registration.discover_to < result.registration.confirm_from
    assert "months <= 6" in result.proposals[0].proposed


@pytest.mark.parametrize("label", ["verdict", "outcome"])
def test_all_pending_or_all_open_proposes_nothing(worlds, label):
    rng = np.random.default_rng(1)
    world = worlds.make_world(
        worlds.draw_attributes(500, rng), np.full(500, 0.2), rng, worked=np.zeros(500, bool)
    )
    goal = Goal(maximise="accepted") if label == "verdict" else Goal()
    result = world.propose(goal, target="accepted" if label == "verdict" else "won")
    assert result.proposals == result.tested == result.promising == ()
    assert result.notices
    assert len(result.kept) == 2


def test_every_lead_accepted_proposes_nothing(worlds):
    rng = np.random.default_rng(1)
    world = worlds.make_world(
        worlds.draw_attributes(800, rng), np.full(800, 0.2), rng, accept_rate=np.ones(800)
    )
    result = world.propose(Goal(maximise="accepted"), target="accepted")
    assert result.proposals == ()
    assert "same label" in result.notices[0]


def test_a_class_without_members_is_no_problem(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(800, rng).assign(employees=3)
    result = worlds.make_world(frame, np.full(800, 0.2), rng).propose()
    assert result.proposals == ()
    assert len(result.kept) == 2


def test_prose_is_kept_as_not_measurable(worlds):
    definition = worlds.DEFINITION.replace(
        "      - months <= 12\n", "      - months <= 12\n      - strong interest\n"
    )
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(400, rng)
    result = worlds.make_world(frame, np.full(400, 0.2), rng, definition=definition).propose()
    reasons = {kept.written: kept.reason for kept in result.kept}
    assert "not measurable" in reasons["strong interest"]


def test_a_class_that_is_not_handed_over_has_nothing_to_change(worlds):
    definition = worlds.DEFINITION.replace(
        "  - name: cold\n", "  - name: medium\n    all_of: [months <= 18]\n  - name: cold\n"
    )
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(900, rng)
    result = worlds.make_world(frame, np.full(900, 0.2), rng, definition=definition).propose()
    reasons = {kept.criterion: kept.reason for kept in result.kept}
    assert "does not change who is handed over" in reasons["medium.months"]


def test_missing_values_are_a_level_of_their_own(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng)
    frame["months"] = frame["months"].astype("Int64").mask(rng.random(4000) < 0.3)
    rate = np.where(frame.months.fillna(99) <= 6, 0.25, 0.02)
    asked_for = worlds.DEFINITION.replace(
        "months: {type: integer,", "months: {type: integer, known_at: capture,"
    )
    result = worlds.make_world(frame, rate, rng, definition=asked_for).propose()
    assert "months <= 6" in result.proposals[0].proposed


def test_row_order_does_not_change_a_byte(worlds):
    world = planted(worlds)
    order = np.random.default_rng(0).permutation(len(world.table.frame))
    table = worlds.make_table(world.table.frame.iloc[order].reset_index(drop=True))
    shuffled = worlds.World(definition=world.definition, table=table, targets=compute_targets(table))
    assert json.dumps(world.propose().to_dict()) == json.dumps(shuffled.propose().to_dict())


def test_wrong_settings_are_refused_together(worlds):
    with pytest.raises(
        ExperimentError, match=r"max_changes.*\n.*max_candidates.*\n.*error_rate.*\n.*min_change"
    ):
        planted(worlds, n=50).propose(max_changes=7, max_candidates=0, error_rate=2, min_change=0)
    with pytest.raises(ExperimentError, match=r"maximise.*\n.*capacity.*\n.*minimum_acceptance"):
        Goal(maximise="f1", capacity=-1, minimum_acceptance=90)


def test_result_shows_itself(worlds):
    result = planted(worlds).propose()
    assert "1 change proposed" in repr(result)
    assert len(repr(result).split("\n")) <= 10
    html = result._repr_html_()
    assert "months &lt;= 6" in html
    assert "<script" not in html
    assert result.to_frame()["proposed"].tolist() == ["months <= 6"]
    assert list(result.to_frame().columns)[:3] == ["status", "criterion", "kind"]
    assert result.plot() is not None


def test_a_definition_that_does_not_fit_the_leads_is_refused(worlds):
    definition = worlds.DEFINITION.replace(
        "  industry: {type: category", "  turnover: {type: number}\n  industry: {type: category"
    ).replace("- months <= 12", "- turnover >= 5")
    rng = np.random.default_rng(1)
    world = worlds.make_world(worlds.draw_attributes(50, rng), np.full(50, 0.2), rng, definition=definition)
    with pytest.raises(LeadsError, match="'turnover'"):
        world.propose()


@pytest.mark.parametrize("handoff", ["handoff: []", "handoff: [cold]", "handoff: [hot, cold]"])
def test_any_handoff_is_served(worlds, handoff):
    definition = worlds.DEFINITION.replace("handoff: [hot]", handoff)
    rng = np.random.default_rng(1)
    world = worlds.make_world(worlds.draw_attributes(900, rng), np.full(900, 0.1), rng, definition=definition)
    result = world.propose()
    assert result.proposals == ()
    assert len(result.kept) == 2


def test_leads_in_order_without_dates_are_counted_over_the_period(worlds):
    contract = worlds.CONTRACT.replace(
        'role: created, type: date, format: "%Y-%m-%d"', "role: created, type: sequence"
    )
    contract = "\n".join(line for line in contract.split("\n") if "handed_on" not in line)
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng).assign(created_on=np.arange(3000.0))
    rate = np.where(frame.months <= 6, 0.25, 0.02)
    result = worlds.make_world(frame, rate, rng, contract=contract).propose()
    (proposal,) = result.proposals
    assert "months <= 6" in proposal.proposed
    assert (proposal.gained_per_month, result.per) == (None, "confirmation period")
    assert result.registration.confirm_from is None
    json.dumps(result.to_dict(), allow_nan=False)


def test_looser_than_a_band_that_loses_is_not_even_explored(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(6000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    rate = np.where(frame.employees < 100, 0.01, 0.3)
    result = worlds.make_world(frame, rate, rng, worked=hot).propose()
    assert "hot.employees" not in {plan.criterion for plan in result.explore}
    assert "employees >= 100" in result.proposals[0].proposed


def test_points_are_a_criterion_like_any_other(worlds):
    definition = worlds.DEFINITION.replace(
        "classes:\n",
        "points:\n  score:\n    - {when: months <= 6, points: 30}\n    - {when: employees >= 50, points: 20}\nclasses:\n",
    ).replace("      - employees >= 50  # agreed in spring\n      - months <= 12", "      - score >= 20")
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng)
    rate = np.where(frame.months <= 6, 0.25, 0.02)
    result = worlds.make_world(frame, rate, rng, definition=definition).propose()
    assert result.proposals[0].proposed == "score >= 30"


def test_three_wrong_thresholds_are_found_together(worlds):
    definition = worlds.DEFINITION.replace(
        "      - months <= 12\n", "      - months <= 12\n      - budget >= exploring\n"
    )
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(12_000, rng)
    good = (frame.months <= 6) & (frame.employees >= 200) & frame.budget.isin(["requested", "approved"])
    hot = (frame.employees >= 50) & (frame.months <= 12) & (frame.budget != "none")
    world = worlds.make_world(
        frame, np.where(good, 0.4, 0.02), rng, worked=hot.to_numpy(), definition=definition
    )
    (proposal,) = world.propose(max_changes=3).proposals
    assert sorted(proposal.proposed.split(" + ")) == [
        "budget >= requested",
        "employees >= 200",
        "months <= 6",
    ]
    assert len(world.propose(max_changes=2).proposals[0].changes) == 2
    simple = planted(worlds, n=4000).propose(max_changes=3).proposals[0]
    assert simple.proposed == "months <= 6"


def test_an_account_that_comes_back_in_the_confirmation_window_counts_there_only(worlds):
    from leadml.propose._leads import find_windows, select_evidence

    world = planted(worlds)
    world.table.frame.loc[:, "account"] = [f"A{row % 500}" for row in range(len(world.table.frame))]
    split = split_periods(world.table, world.targets, target="won")
    windows = find_windows(world.targets, split, target="won")
    nobody = np.zeros(len(world.targets), bool)
    evidence = select_evidence(world.table, world.targets, windows, nobody)
    account = world.table.frame["account"]
    assert account[evidence].is_unique
    assert set(account[evidence & windows.confirm]) == set(account[windows.confirm])
    assert evidence[windows.discover].any()


@pytest.mark.parametrize("settings", [{"max_changes": 1}, {"max_changes": 2}, {"max_changes": 3}])
@pytest.mark.parametrize("priced", [True, False])
def test_search_over_added_criteria_pairs_and_triples_reads_no_later_label(worlds, settings, priced):
    """Steps from quantiles, criteria to be added and a break-even from the labels: all from older quarters."""
    text = worlds.DEFINITION.replace(", steps: [10, 20, 50, 100, 200, 500, 1000]", "")
    if not priced:
        text = "\n".join(line for line in text.split("\n") if not line.startswith("prices"))
    rng = np.random.default_rng(11)
    frame = worlds.draw_attributes(4000, rng)
    rate = np.where((frame.months <= 6) & (frame.budget >= "n"), 0.25, 0.05)
    world = worlds.make_world(frame, rate, rng, definition=text)
    split = split_periods(world.table, world.targets, target="won")
    records = []
    world.propose(split=split, register=records.append, **settings)
    late = world.targets["t0"] >= world.targets.loc[split.confirm, "t0"].min()
    world.targets.loc[late, ["won", "accepted"]] = 1 - world.targets.loc[late, ["won", "accepted"]]
    ended = world.table.frame["outcome"].copy()
    flipped = ended.map({"won": "lost", "lost": "won"}).astype(ended.dtype)
    world.table.frame.loc[late, "outcome"] = flipped[late]
    world.propose(split=split, register=records.append, **settings)
    assert records[0].candidates
    assert records[0].to_dict() == records[1].to_dict()


@pytest.mark.parametrize(
    ("late_rate", "good_left", "bad_left", "wanted"), [(0.65, 0.5, 0, 0), (0.3, 0.2, 0.2, 1)]
)
def test_good_leads_that_nobody_judged_do_not_make_a_band_look_bad(
    worlds, late_rate, good_left, bad_left, wanted
):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(6000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    accept = np.where(frame.months <= 6, 0.7, late_rate)
    world = worlds.make_world(frame, np.zeros(6000), rng, worked=hot, accept_rate=accept)
    verdict = world.table.frame["verdict"].astype(object)
    left = np.where(verdict == "accepted", good_left, bad_left)
    verdict[hot & (frame.months > 6).to_numpy() & (rng.random(6000) < left)] = "pending"
    table = worlds.make_table(world.table.frame.assign(verdict=pd.Categorical(verdict)))
    world = worlds.World(definition=world.definition, table=table, targets=compute_targets(table))
    result = world.propose(Goal(maximise="accepted", minimum_acceptance=0.6), target="accepted")
    assert len(result.proposals) == wanted
    assert result.tested[0].p_value < 0.05
    assert result.tested[0].grade == ("A" if wanted else "B")


def test_a_group_that_asks_for_too_much_is_found_and_written(worlds):
    definition = worlds.DEFINITION.replace(
        "      - months <= 12\n", "      - months <= 12\n      - budget >= requested\n"
    )
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(4000, rng)
    met = (frame.employees >= 50).astype(int) + (frame.months <= 12)
    met += frame.budget.isin(["requested", "approved"])
    world = worlds.make_world(frame, np.where(met >= 2, 0.3, 0.02), rng, definition=definition)
    (proposal,) = world.propose().proposals
    assert (proposal.criterion, proposal.kind) == ("hot", "group")
    assert (proposal.written, proposal.proposed) == ("all of 3", "at least 2 of 3")
    assert "    at_least: 2\n    of:\n      - employees >= 50  # agreed in spring\n" in proposal.revised.text
    assert "`hot` asks for `at least 2 of 3` instead of `all of 3`" in proposal.explanation.sentence


def test_points_that_weigh_too_little_are_found_and_written(worlds):
    definition = worlds.DEFINITION.replace(
        "classes:\n",
        "points:\n  score:\n    - {when: months <= 6, points: 30}\n    - {when: employees >= 50, points: 20}\n"
        "    - {when: budget >= requested, points: 20}  # money\nclasses:\n",
    ).replace("      - employees >= 50  # agreed in spring\n      - months <= 12", "      - score >= 40")
    rng = np.random.default_rng(2)
    frame = worlds.draw_attributes(4000, rng)
    score = 30 * (frame.months <= 6) + 20 * (frame.employees >= 50)
    score += 50 * frame.budget.isin(["requested", "approved"])
    world = worlds.make_world(frame, np.where(score >= 40, 0.3, 0.02), rng, definition=definition)
    (proposal,) = world.propose().proposals
    assert (proposal.criterion, proposal.kind) == ("score.budget", "points")
    assert proposal.proposed == "50 points for budget >= requested"
    assert "{when: budget >= requested, points: 50}  # money" in proposal.revised.text
    assert "`score` gives 50 points for budget >= requested instead of 20" in proposal.explanation.sentence


def test_an_unused_boolean_may_be_asked_for(worlds):
    contract = worlds.CONTRACT.replace(
        "  verdict:", "  demo: {from: leads.demo, role: attribute, type: boolean}\n  verdict:"
    )
    definition = worlds.DEFINITION.replace("  industry:", "  demo: {type: boolean}\n  industry:")
    rng = np.random.default_rng(4)
    frame = worlds.draw_attributes(3000, rng)
    frame["demo"] = np.asarray(rng.random(3000) < 0.5)
    good = frame.demo & (frame.employees >= 50) & (frame.months <= 12)
    world = worlds.make_world(frame, np.where(good, 0.3, 0.02), rng, definition=definition, contract=contract)
    (proposal,) = world.propose(max_changes=1).proposals
    assert (proposal.criterion, proposal.kind, proposal.proposed) == ("hot.demo", "added", "demo")
    assert "      - demo\n" in proposal.revised.text


def test_two_classes_may_change_together(worlds):
    warm = "  - name: warm\n    all_of: [months <= 6, budget >= requested]\n"
    definition = worlds.DEFINITION.replace("      - months <= 12\n", f"      - months <= 12\n{warm}")
    definition = definition.replace("handoff: [hot]", "handoff: [hot, warm]")
    rng = np.random.default_rng(5)
    frame = worlds.draw_attributes(8000, rng)
    money = frame.budget.isin(["requested", "approved"])
    good = ((frame.employees >= 200) & (frame.months <= 12)) | ((frame.months <= 3) & money)
    world = worlds.make_world(frame, np.where(good, 0.4, 0.02), rng, definition=definition)
    (proposal,) = world.propose().proposals
    assert {change.address.partition(".")[0] for change in proposal.changes} == {"hot", "warm"}
    assert proposal.proposed == "employees >= 200 + months <= 3"

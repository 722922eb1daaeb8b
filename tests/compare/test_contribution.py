"""Credit is Shapley's, exactly; what is missed without a criterion has the range that proposals are judged by."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.compare._cells import build_cells
from leadml.compare._contribution import (
    Pays,
    compute_contributions,
    compute_credit,
    compute_leave_one_out,
    find_pays,
)
from leadml.compare._rates import Labels
from leadml.compare._verdict import find_through
from leadml.definitions import parse_definition
from leadml.metrics import mover_interval

NAMES = ("a", "b", "c", "d")


def definition(rule, *, handoff="[hot]", prices="", extra=""):
    attributes = "\n".join(f"  {name}: {{type: boolean}}" for name in NAMES)
    return parse_definition(
        f"name: d\nversion: 1.1\nowners: {{marketing: M, sales: S}}\nattributes:\n{attributes}\n"
        f"classes:\n{extra}- name: hot\n{rule}\n- {{name: cold, otherwise: true}}\nhandoff: {handoff}\n{prices}"
    )


ALL = definition("  all_of: [a, b, c]")
RULES = {
    "all": ALL,
    "any": definition("  any_of: [a, b, c]"),
    "two of three": definition("  at_least: 2\n  of: [a, b, c]"),
    "nested": definition("  all_of: [a, {any_of: [b, c]}, d]"),
    "two classes": definition(
        "  all_of: [a, b]", handoff="[hot, warm]", extra="- {name: warm, all_of: [c, d]}\n"
    ),
    "after another": definition("  all_of: [a, b]", extra="- {name: out, all_of: [not c]}\n"),
}


def cells_of(rule, met):
    met = {c.address: np.asarray(met[c.attribute]) ^ (c.operator == "is false") for c in rule.criteria()}
    return build_cells(rule, met, n_leads=len(next(iter(met.values()))))


def random_leads(seed, n=60):
    rng = np.random.default_rng(seed)
    return {name: rng.random(n) < 0.6 for name in NAMES}, rng


def settled(known, positive):
    known = np.asarray(known, dtype=bool)
    return Labels(known=known, positive=known & np.asarray(positive, dtype=bool))


def brute_force(cells, players):
    credit = np.zeros((len(players), cells.n_cells))
    orders = list(permutations(range(len(players))))
    for order in orders:
        out = set(players)
        before = cells.handed_over(without=frozenset(out)).astype(float)
        for position in order:
            out.discard(players[position])
            after = cells.handed_over(without=frozenset(out)).astype(float)
            credit[position] += (after - before) / len(orders)
            before = after
    return credit


@pytest.mark.parametrize("name", RULES)
def test_credit_equals_the_average_over_all_orders(name):
    met, _ = random_leads(0)
    cells = cells_of(RULES[name], met)
    handoff = set(RULES[name].handoff)
    players = tuple(a for a in cells.addresses if a.partition(".")[0] in handoff)
    np.testing.assert_allclose(compute_credit(cells, players), brute_force(cells, players), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(RULES)), st.integers(0, 1000))
def test_credit_sums_to_everything_minus_nothing(name, seed):
    met, _ = random_leads(seed, n=30)
    cells = cells_of(RULES[name], met)
    handoff = set(RULES[name].handoff)
    players = tuple(a for a in cells.addresses if a.partition(".")[0] in handoff)
    whole = cells.handed_over().astype(float) - cells.handed_over(without=frozenset(players))
    np.testing.assert_allclose(compute_credit(cells, players).sum(axis=0), whole, atol=1e-12)


def test_too_many_criteria_of_a_nested_definition_are_not_counted():
    many = "\n".join(f"  x{i}: {{type: boolean}}" for i in range(13))
    rule = ", ".join(f"x{i}" for i in range(13))
    text = f"name: d\nversion: 1.1\nattributes:\n{many}\nclasses:\n- {{name: hot, any_of: [{rule}]}}\n- {{name: cold, otherwise: true}}\nhandoff: [hot]\n"
    wide = parse_definition(text)
    cells = build_cells(wide, {c.address: np.ones(3, bool) for c in wide.criteria()}, n_leads=3)
    assert compute_credit(cells, cells.addresses) is None


def test_prose_that_stops_everybody_leaves_no_credit():
    rule = definition("  all_of: [a, b, nice people]")
    met, _ = random_leads(0)
    cells = cells_of_measurable(rule, met)
    assert not compute_credit(cells, cells.addresses).any()


def cells_of_measurable(rule, met):
    masks = {c.address: met[c.attribute] for c in rule.criteria() if c.measurable}
    return build_cells(rule, masks, n_leads=len(met["a"]))


def contributions(rule, met, labels, pays=0.3):
    both = {"accepted": labels, "won": labels}
    rate = Pays(credit=pays, gained=pays, lost=pays)
    return compute_contributions(
        cells_of(rule, met), both, {"accepted": rate, "won": rate}, n_resamples=400, random_state=0
    ).set_index(["criterion", "target"])


def test_a_duplicate_shares_credit_and_is_missed_by_nobody():
    met, rng = random_leads(1, n=2000)
    met["b"] = met["a"]
    won = rng.random(2000) < np.where(met["a"] & met["c"], 0.5, 0.1)
    found = contributions(ALL, met, settled(np.ones(2000), won)).xs("won", level="target")
    assert found.loc["hot.a", "shapley"] == pytest.approx(found.loc["hot.b", "shapley"])
    assert found.loc["hot.a", "shapley_low"] > 0
    assert found.loc["hot.a", "sole_leads"] == 0
    assert found.loc["hot.a", "leave_one_out"] == 0
    assert found.loc["hot.a", "redundancy"] == 1
    assert 0 < found.loc["hot.c", "redundancy"] < 1
    assert found.loc["hot.c", "lift"] == pytest.approx(5, rel=0.3)


def test_a_filter_that_chooses_blindly_is_worth_less_than_nothing():
    met, rng = random_leads(2, n=4000)
    won = rng.random(4000) < np.where(met["a"], 0.6, 0.05)
    found = contributions(definition("  all_of: [a, d]"), met, settled(np.ones(4000), won)).xs(
        "won", level="target"
    )
    assert found.loc["hot.a", "shapley_low"] > 0
    assert found.loc["hot.d", "shapley_high"] < 0
    assert found.loc["hot.d", "leave_one_out_high"] < 0


def test_leave_one_out_is_the_range_of_the_change_that_drops_it():
    met, rng = random_leads(3, n=500)
    cells = cells_of(ALL, met)
    won = rng.random(500) < 0.3
    n, k = cells.labelled(settled(np.ones(500), won))
    gained = ~met["a"] & met["b"] & met["c"]
    expected = mover_interval(
        [won[gained].sum()], [gained.sum()], sign=[-1], scale=[float(gained.sum())], break_even=0.2
    )
    found = compute_leave_one_out(cells, "hot.a", n, k, rate=0.2)
    np.testing.assert_allclose(found, [1000 * float(x) / 500 for x in expected])


def test_without_answers_outside_nothing_is_identified():
    met, rng = random_leads(4, n=1000)
    inside = met["a"] & met["b"] & met["c"]
    found = contributions(ALL, met, settled(inside, rng.random(1000) < 0.3))
    assert not found["measurable"].any()
    assert found[["shapley", "leave_one_out", "lift"]].isna().all(axis=None)


def test_no_labels_and_no_leads_give_empty_figures():
    met, _ = random_leads(5)
    found = contributions(ALL, met, settled(np.zeros(60), np.zeros(60)), pays=np.nan)
    assert (found["n"] == 0).all()
    assert found["shapley"].isna().all()
    nobody = contributions(ALL, {name: np.zeros(0, bool) for name in NAMES}, settled([], []), pays=np.nan)
    assert (nobody["sole_leads"] == 0).all()


def test_signed_prices_say_what_pays_and_else_todays_average_does():
    handed = np.array([True, True, False, False])
    labels = {target: settled([1, 1, 1, 1], [1, 0, 0, 0]) for target in ("accepted", "won")}
    unsigned = find_pays(ALL, labels, handed)
    assert unsigned["won"] == Pays(credit=0.25, gained=0.5, lost=0.25)
    priced = definition(
        "  all_of: [a]", prices="prices: {won: {default: 1000}, worked_lead: 50, currency: EUR}\n"
    )
    found = find_pays(priced, labels, handed)
    assert found["won"] == Pays(credit=0.05, gained=0.05, lost=0.05)
    assert found["accepted"] == unsigned["accepted"]


def test_more_criteria_than_bits_still_make_cells():
    attributes = "\n".join(f"  x{i}: {{type: boolean}}" for i in range(64))
    rule = ", ".join(f"x{i}" for i in range(64))
    wide = parse_definition(
        f"name: d\nversion: 1.1\nattributes:\n{attributes}\nclasses:\n- {{name: hot, all_of: [{rule}]}}\n- {{name: cold, otherwise: true}}\nhandoff: [hot]\n"
    )
    rng = np.random.default_rng(0)
    met = {c.address: rng.random(20) < 0.99 for c in wide.criteria()}
    cells = build_cells(wide, met, n_leads=20)
    assert list(cells.handed_over()[cells.cell]) == list(np.all(list(met.values()), axis=0))


def test_a_criterion_that_matters_only_through_another_names_it():
    rng = np.random.default_rng(6)
    n = 6000
    a = rng.random(n) < 0.5
    met = {"a": a, "b": rng.random(n) < np.where(a, 0.9, 0.1), "c": rng.random(n) < 0.5, "d": a}
    won = rng.random(n) < np.where(a, 0.4, 0.1)
    cells = cells_of(ALL, met)
    labels = settled(np.ones(n), won)
    assert find_through(cells, labels, "hot.b") == "hot.a"
    assert find_through(cells, labels, "hot.a") == ""
    assert find_through(cells, labels, "hot.c") == ""


def test_frame_has_the_same_columns_whatever_the_leads():
    met, rng = random_leads(7)
    frames = [
        contributions(rule, met, settled(np.ones(60), rng.random(60) < 0.5)).reset_index()
        for rule in RULES.values()
    ]
    assert len({tuple(frame.columns) for frame in frames}) == 1
    assert isinstance(frames[0], pd.DataFrame)


@pytest.mark.slow
def test_range_of_the_credit_covers_the_truth_at_its_level():
    truth_met, rng = random_leads(8, n=400_000)
    p = np.where(truth_met["a"] & truth_met["b"], 0.3, 0.08)
    won = rng.random(len(p)) < p
    truth = contributions(ALL, truth_met, settled(np.ones(len(p)), won), pays=0.1).xs("won", level="target")[
        "shapley"
    ]
    hits = []
    for seed in range(100):
        met, rng = random_leads(1000 + seed, n=2000)
        won = rng.random(2000) < np.where(met["a"] & met["b"], 0.3, 0.08)
        found = contributions(ALL, met, settled(np.ones(2000), won), pays=0.1).xs("won", level="target")
        hits.append((found["shapley_low"] <= truth) & (truth <= found["shapley_high"]))
    assert 0.84 <= np.mean(hits) <= 0.96

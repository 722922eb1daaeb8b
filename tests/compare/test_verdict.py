"""Every verdict follows from one rule that is said with it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.compare import compare_definition
from leadml.compare._stability import compute_homogeneity, compute_stability
from leadml.compare._unused import _test_levels
from leadml.compare._verdict import name_quadrant
from leadml.definitions import parse_definition
from leadml.leads import Column, Contract

TEXT = """\
name: d
version: 2026.1
owners: {marketing: M, sales: S}
attributes:
  size: {type: integer, unit: people, steps: [10, 20, 50, 100]}
  budget: {type: ordinal, levels: [none, exploring, approved]}
  months: {type: number, unit: months}
  region: {type: category, levels: [north, south]}
  late: {type: number, known_at: after}
classes:
- {name: hot, all_of: [size >= 50, budget >= exploring]}
- {name: warm, all_of: [months < 6]}
- {name: cold, otherwise: true}
handoff: [hot]
prices: {won: {default: 1000}, worked_lead: 100, currency: EUR}
"""


def attribute(name, values):
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    kind = "number" if numeric else "category"
    return Column(name=name, table="leads", source=name, role="attribute", type=kind)


def world(rate, *, n=6000, seed=0, answered=None, text=TEXT):
    """Leads whose chance to be won is `rate(size, budget)`."""
    rng = np.random.default_rng(seed)
    size = rng.choice([5, 15, 30, 70, 200], n)
    budget = rng.choice(["none", "exploring", "approved"], n)
    frame = pd.DataFrame(
        {
            "size": pd.array(size, dtype="Int64"),
            "budget": budget,
            "months": rng.choice([3.0, 12.0], n),
            "region": rng.choice(["north", "south"], n),
            "late": rng.random(n),
            "note": rng.random(n),
        }
    )
    won = (rng.random(n) < rate(size, budget)).astype(float)
    handed = (size >= 50) & (budget != "none")
    known = np.ones(n, bool) if answered is None else answered(size, handed)
    targets = pd.DataFrame(
        {
            "t0": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(n) * 365 // n, unit="D"),
            "accepted": np.where(known, won, np.nan),
            "accepted_mature": True,
            "won": np.where(known, won, np.nan),
            "won_mature": True,
        }
    )
    targets["period"] = targets["t0"].dt.to_period("Q").astype(str)
    columns = tuple(attribute(name, frame[name]) for name in frame.columns)
    table = SimpleNamespace(
        frame=frame, contract=Contract(name="small", tables=(), columns=columns), role=lambda _: None
    )
    return compare_definition(parse_definition(text), table, targets, models={}, n_resamples=50)


def verdict(comparison, criterion):
    row = comparison.verdicts.set_index("criterion").loc[criterion]
    return row["verdict"], row["rule"]


def honest(size, budget):
    return np.where((size >= 50) & (budget != "none"), 0.3, 0.03)


def test_a_criterion_whose_stopped_leads_do_not_pay_is_kept():
    found = world(honest)
    assert verdict(found, "hot.size")[0] == "keep"
    assert "do not pay" in verdict(found, "hot.size")[1]
    assert verdict(found, "hot.budget")[0] == "keep"


def test_leads_just_inside_that_do_not_pay_call_for_tightening():
    found = world(lambda size, budget: np.where((size >= 100) & (budget != "none"), 0.4, 0.02))
    assert verdict(found, "hot.size")[0] == "tighten"
    assert "Leads at 50–100 do not pay" in verdict(found, "hot.size")[1]


def test_leads_just_outside_that_would_pay_call_for_loosening():
    found = world(lambda size, budget: np.where((size >= 20) & (budget != "none"), 0.4, 0.0))
    assert verdict(found, "hot.size")[0] == "loosen"
    assert "Leads at 20–50 would pay" in verdict(found, "hot.size")[1]


def test_a_criterion_that_stops_good_leads_everywhere_is_to_be_dropped():
    found = world(lambda size, budget: np.where(budget != "none", 0.3, 0.02) + 0 * size)
    assert verdict(found, "hot.size")[0] == "drop"


def test_without_answers_outside_only_the_inside_can_speak():
    found = world(honest, answered=lambda size, handed: handed)
    assert verdict(found, "hot.size") == (
        "keep",
        "Leads just inside (50–100) pay; the leads it stops have no answers.",
    )
    found = world(lambda size, budget: 0.1 + 0 * size, answered=lambda size, handed: handed & (size < 80))
    assert verdict(found, "hot.size")[0] == "not enough data"


def test_few_answers_are_not_enough():
    found = world(honest, n=60)
    assert verdict(found, "hot.size")[0] == "not enough data"
    assert "50 are needed" in verdict(found, "hot.size")[1]


def test_a_worth_near_nothing_is_not_enough_data():
    found = world(lambda size, budget: 0.1 + 0 * size, n=3000)
    assert verdict(found, "hot.size") == (
        "not enough data",
        "Its worth cannot be told from nothing with the leads there are.",
    )


def test_criteria_between_classes_that_stay_with_marketing_are_kept():
    assert verdict(world(honest), "warm.months") == (
        "keep",
        "It only decides between classes that do not go to Sales.",
    )


def test_prose_is_to_be_rewritten():
    found = world(honest, text=TEXT.replace("months < 6", "nice people"))
    assert found.verdicts.set_index("criterion").loc[:, "verdict"].tolist()[-1] == "rewrite"


def test_a_criterion_that_others_make_idle_is_kept_without_harm():
    found = world(honest, text=TEXT.replace("size >= 50, budget", "size >= 50, size >= 20, budget"))
    assert verdict(found, "hot.size#2") == (
        "keep",
        "Other criteria stop the same leads; without it nothing would change.",
    )


@pytest.mark.parametrize(
    ("accepted", "won", "words"),
    [
        ((0.1, 0.2), (0.1, 0.2), "Sales likes it and it closes"),
        ((0.1, 0.2), (-0.2, -0.1), "Sales likes it but it closes less"),
        ((-0.2, -0.1), (0.1, 0.2), "it closes but Sales likes it less"),
        ((0.1, 0.2), (-0.1, 0.1), "Sales likes it; that it closes is not shown"),
        ((-0.1, 0.1), (-0.1, 0.1), "no difference is shown"),
        ((np.nan, np.nan), (0.1, 0.2), "only one side's answers are known"),
        ((np.nan, np.nan), (np.nan, np.nan), "not known: there are no answers to compare"),
    ],
)
def test_quadrant_names_what_both_sides_think(accepted, won, words):
    part = pd.DataFrame(
        {"difference_low": [accepted[0], won[0]], "difference_high": [accepted[1], won[1]]},
        index=["accepted", "won"],
    )
    assert name_quadrant(part) == words


def test_profile_shows_the_step_where_it_is_and_crosses_break_even_there():
    found = world(lambda size, budget: np.where((size >= 20) & (budget != "none"), 0.4, 0.02))
    profile = next(p for p in found.profiles if p.criterion == "hot.size" and p.target == "won")
    assert list(profile.bins["label"]) == ["< 10", "10–20", "20–50", "50–100", "≥ 100"]
    assert profile.crossing == "20–50"
    assert profile.break_even == 0.1
    assert list(profile.bins["inside"]) == [False, False, False, True, True]
    assert (np.diff(profile.bins["smooth"]) >= -1e-12).all()
    assert "reached from 20–50" in repr(profile)
    assert "20–50" in profile._repr_html_()
    from matplotlib.figure import Figure

    ax = profile.plot(Figure().add_subplot(), proposed=20.0)
    upright = [line.get_xdata()[0] for line in ax.get_lines() if line.get_label() in {"written", "proposed"}]
    assert upright == [2.5, 1.5]
    ax = profile.plot(Figure().add_subplot(), proposed=500.0)
    assert max(line.get_xdata()[0] for line in ax.get_lines() if line.get_label() == "proposed") == 3.5
    ax = profile.plot(Figure().add_subplot(), proposed=10.0)
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_label() == "proposed"] == [0.5]
    assert len(profile.to_frame()) == 5


def test_profile_of_an_ordinal_has_its_levels_and_falls_for_at_most():
    text = TEXT.replace("months < 6", "months < 6").replace("budget >= exploring", "budget <= exploring")
    found = world(lambda size, budget: np.where(budget == "approved", 0.02, 0.3) + 0 * size, text=text)
    profile = next(p for p in found.profiles if p.criterion == "hot.budget" and p.target == "won")
    assert list(profile.bins["label"]) == ["none", "exploring", "approved"]
    assert list(profile.bins["inside"]) == [True, True, False]
    assert profile.crossing == "exploring"
    assert (np.diff(profile.bins["smooth"]) <= 1e-12).all()


def test_profile_without_steps_takes_its_bins_from_the_leads():
    found = world(
        honest, text=TEXT.replace(", steps: [10, 20, 50, 100]", "").replace("size >= 50", "size < 80")
    )
    profile = next(p for p in found.profiles if p.criterion == "hot.size")
    assert "< 80" not in list(profile.bins["label"])
    assert 80.0 in set(profile.bins["high"])


def test_unused_attribute_that_matters_is_found_and_one_known_too_late_is_not():
    def rate(size, budget):
        return honest(size, budget)

    rng = np.random.default_rng(0)
    n = 4000
    frame = pd.DataFrame(
        {
            "size": pd.array(rng.choice([5, 70], n), dtype="Int64"),
            "budget": rng.choice(["none", "approved"], n),
            "months": 3.0,
            "region": rng.choice(["north", "south"], n),
            "late": rng.random(n),
            "visits": rng.poisson(3, n).astype(float),
            "day": pd.Timestamp("2026-01-01"),
            "same": 1.0,
            "wide": [f"v{i}" for i in range(n)],
            "flag": pd.array(rng.random(n) < 0.5, dtype="boolean"),
        }
    )
    p = 0.1 + 0.3 * (frame["region"] == "south") + 0.05 * (frame["visits"] > 3)
    won = (rng.random(n) < p).astype(float)
    targets = pd.DataFrame(
        {
            "t0": pd.Timestamp("2026-01-01"),
            "accepted": np.nan,
            "accepted_mature": True,
            "won": won,
            "won_mature": True,
            "period": "2026Q1",
        },
        index=range(n),
    )
    columns = tuple(attribute(name, frame[name]) for name in frame.columns)
    table = SimpleNamespace(
        frame=frame, contract=Contract(name="small", tables=(), columns=columns), role=lambda _: None
    )
    found = compare_definition(
        parse_definition(TEXT), table, targets, models={}, n_resamples=20
    ).unused.set_index("attribute")
    assert set(found.index) == {"region", "visits", "flag"}
    assert found.loc["region", "matters"]
    assert found.loc["region", "reading"].startswith("south: ")
    assert not found.loc["flag", "matters"]
    assert found.loc["visits", "reading"].startswith("above 3: ")
    assert rate(np.array([5]), np.array(["none"])) == 0.03


def test_levels_that_are_all_small_are_still_read():
    rng = np.random.default_rng(0)
    y = rng.random(160) < np.repeat([0.9, 0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 20)
    found = _test_levels(pd.Series(np.repeat(list("abcdefgh"), 20)), y, 160)
    assert found["reading"].startswith("a: ")
    assert "; b: " in found["reading"]


def test_differences_that_change_from_period_to_period_are_told_from_chance():
    def rows(rates):
        return pd.DataFrame(
            [{"n_inside": 400, "rate_inside": a, "n_outside": 400, "rate_outside": b} for a, b in rates]
        )

    assert compute_homogeneity(rows([(0.3, 0.1)] * 4)) > 0.9
    assert compute_homogeneity(rows([(0.3, 0.1), (0.1, 0.3)])) < 1e-6
    assert np.isnan(compute_homogeneity(rows([(0.3, 0.1)])))


def test_stability_leaves_out_levels_with_too_few_answers():
    n = 100
    inside = np.arange(n) % 2 == 0
    known = np.ones(n, bool)
    labels = {t: SimpleNamespace(rate=lambda mask: _rate(mask & known)) for t in ("accepted", "won")}
    part = np.array(["big"] * 90 + ["small"] * 8 + [None] * 2, dtype=object)
    found = compute_stability({"hot.x": inside}, {"segment": part}, labels)
    assert set(found["level"]) == {"big"}


def _rate(mask):
    from leadml.compare._rates import compute_rate

    return compute_rate(0, int(mask.sum()))


@pytest.mark.slow
def test_when_nothing_is_to_change_verdicts_rarely_call_for_change():
    calls = 0
    for seed in range(60):
        found = world(
            lambda size, budget: np.where((size >= 50) & (budget != "none"), 0.13, 0.07), seed=seed, n=3000
        )
        calls += bool(set(found.verdicts["verdict"]) & {"tighten", "loosen", "drop"})
    assert calls <= 6

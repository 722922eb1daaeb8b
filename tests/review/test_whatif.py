"""The what-if adds up groups of leads and never holds a smaller one."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml._render import format_count
from leadml.compare import compare_definition
from leadml.definitions import assign_classes, parse_definition
from leadml.leads import Column, Contract
from leadml.metrics import wilson_interval
from leadml.review import build_packet, build_what_if
from leadml.review._cells import join_small
from leadml.review._figures import wilson_range
from leadml.review._whatif import Choice

HEAD = """\
name: d
version: 2026.1
owners: {marketing: M, sales: S}
attributes:
  months: {type: number, unit: months}
  size: {type: integer, unit: people, steps: [10, 20, 50, 100]}
  budget: {type: ordinal, levels: [none, exploring, approved]}
  region: {type: category, levels: [north, south]}
  free: {type: category}
  asked: {type: boolean}
  day: {type: date}
points:
  score: [{when: asked, points: 10}, {when: size >= 50, points: 5}]
"""
TAIL = "- {name: cold, otherwise: true}\nhandoff: [hot]\nprices: {won: {default: 1000, by: {size >= 100: 5000}}, worked_lead: 50, currency: EUR}\n"
RULES = [
    "all_of: [months <= 6, size >= 20]",
    "all_of: [months < 6 or missing, size > 20, asked]",
    "any_of: [months between 3 and 6, budget >= exploring, not asked]",
    "at_least: 2\n  of: [size <= 50, budget < approved, 'region in [north]', 'free not in [a, b]']",
    "all_of: [{any_of: [size is known, asked is missing]}, months != 3]",
    "all_of: [budget between exploring and approved, size = 50, 'free in [a, zz]']",
    "all_of: [score >= 10, region != north, budget <= exploring, budget > none]",
    "all_of: [day >= 2026-01-05, size >= 20]",
    "all_of: [size between 20 and 50, size < 100, months > 3]",
]


def definition(rule, *, before=""):
    return parse_definition(f"{HEAD}classes:\n{before}- name: hot\n  {rule}\n{TAIL}")


def sample(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "months": rng.choice([1.0, 3.0, 5.0, 6.0, 9.0, np.nan], n),
            "size": pd.array(rng.choice([5, 10, 20, 30, 50, 200], n), dtype="Int64"),
            "budget": rng.choice(["none", "exploring", "approved"], n),
            "region": rng.choice(["north", "south"], n),
            "free": rng.choice(["a", "b", "c"], n),
            "asked": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 9, n), unit="D"),
        }
    )
    frame.loc[rng.random(n) < 0.1, "size"] = pd.NA
    frame.loc[rng.random(n) < 0.1, "asked"] = pd.NA
    frame.loc[rng.random(n) < 0.1, "budget"] = None
    won = (rng.random(n) < 0.2).astype(float)
    targets = pd.DataFrame(
        {
            "t0": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(n) * 300 // n, unit="D"),
            "accepted": np.where(rng.random(n) < 0.8, won, np.nan),
            "accepted_mature": True,
            "won": won,
            "won_mature": rng.random(n) < 0.9,
            "worked": True,
        }
    )
    targets["period"] = targets["t0"].dt.to_period("Q").astype(str)
    return frame, targets


def make_run(rule, *, n=3000, seed=0, entry=None, before="", goal=None):
    written, (frame, targets) = definition(rule, before=before), sample(n, seed)
    columns = tuple(
        Column(
            name=name,
            table="leads",
            source=name,
            role="attribute",
            type="number" if kind.kind in "if" else "category",
        )
        for name, kind in frame.dtypes.items()
    )
    table = SimpleNamespace(
        frame=frame, contract=Contract(name="small", tables=(), columns=columns), role=lambda _: None
    )
    found = {"proposals": [entry] if entry else [], "promising": [], "kept": [], "explore": []}
    return SimpleNamespace(
        experiment=SimpleNamespace(question="", goal=goal),
        definition=written,
        table=table,
        targets=targets,
        comparison=compare_definition(written, table, targets, models={}, n_resamples=10),
        proposals=SimpleNamespace(to_dict=lambda: found),
    )


def handed_over(run, rule, *, before=""):
    return (assign_classes(definition(rule, before=before), run.table.frame) == "hot").to_numpy()


@pytest.mark.parametrize("rule", RULES)
def test_as_written_it_hands_over_what_the_definition_does(rule):
    run = make_run(rule)
    what_if = build_what_if(run)
    found = what_if.evaluate(what_if.written())
    handed = handed_over(run, rule)
    left_out = what_if.n_left_out
    assert handed.sum() - left_out <= found.n_handed_over <= handed.sum()
    if not left_out:
        known = handed & run.targets["won_mature"].to_numpy()
        assert found.n_won_known == known.sum()
        assert found.n_won == run.targets.loc[known, "won"].sum()
        assert found.n_accepted_known == run.targets.loc[handed, "accepted"].notna().sum()


@pytest.mark.parametrize("rule", RULES)
def test_no_group_is_smaller_than_five_and_all_leads_are_counted(rule):
    run = make_run(rule)
    what_if = build_what_if(run)
    assert (what_if.to_frame()["n"] >= 5).all()
    assert what_if.cells["n"].sum() + what_if.n_left_out == 3000
    assert what_if.n_left_out < 20


@pytest.mark.parametrize(
    ("rule", "entry", "proposed"),
    [
        (RULES[0], ("hot.size", "threshold", "size >= 50"), "all_of: [months <= 6, size >= 50]"),
        (RULES[0], ("hot.size", "threshold", "size >= 37"), "all_of: [months <= 6, size >= 37]"),
        (RULES[0], ("hot.size", "dropped", "(dropped)"), "all_of: [months <= 6]"),
        (
            RULES[3],
            ("hot.region", "level_added", "region in [north, south]"),
            RULES[3].replace("[north]", "[north, south]"),
        ),
        (
            RULES[0],
            ("hot.size + hot.months", "threshold + threshold", "size >= 10 + months <= 3"),
            "all_of: [months <= 3, size >= 10]",
        ),
    ],
)
def test_as_proposed_it_hands_over_what_the_new_version_would(rule, entry, proposed):
    address, kind, text = entry
    run = make_run(rule, entry={"criterion": address, "kind": kind, "proposed": text, "written": "x"})
    what_if = build_what_if(run)
    assert what_if.n_left_out == 0
    assert what_if.evaluate(what_if.proposed()).n_handed_over == handed_over(run, proposed).sum()


def test_a_proposal_that_adds_a_criterion_is_not_shown_as_if_it_could_be_turned():
    entry = {
        "criterion": "hot.size + hot.free",
        "kind": "threshold + added",
        "written": "size >= 20 + ",
        "proposed": "size >= 50 + free in [a]",
    }
    what_if = build_what_if(make_run(RULES[0], entry=entry))
    assert what_if.proposed() == what_if.written()
    assert not what_if.to_payload()["turned"]
    assert "“As written” is exact" in what_if.render_widget()


def test_a_turned_threshold_is_exact_where_no_group_had_to_be_joined():
    rule = RULES[0]
    run = make_run(rule, n=20_000)
    what_if = build_what_if(run)
    dial = next(d for d in what_if.dials if d.address == "hot.size")
    axis = what_if.axes[dial.axis]
    for position, place in enumerate(dial.places):
        value = axis.edges[place][0]
        expected = handed_over(run, rule.replace("size >= 20", f"size >= {value:g}")).sum()
        assert what_if.evaluate(what_if.turn("hot.size", position)).n_handed_over == expected


def test_a_turned_range_moves_both_ends():
    run = make_run(RULES[8], n=20_000)
    what_if = build_what_if(run)
    dial = next(d for d in what_if.dials if d.kind == "range")
    edges = what_if.axes[dial.axis].edges
    low = [edges[p][0] for p in dial.places].index(10)
    high = [edges[p][0] for p in dial.upper_places].index(20)
    found = what_if.evaluate(what_if.turn(dial.address, low, upper=high)).n_handed_over
    assert found == handed_over(run, RULES[8].replace("between 20 and 50", "between 10 and 20")).sum()


def test_a_struck_out_criterion_no_longer_asks():
    run = make_run(RULES[0])
    what_if = build_what_if(run)
    choices = [
        Choice(bins=c.bins, used=d.address != "hot.size")
        for c, d in zip(what_if.written(), what_if.dials, strict=True)
    ]
    assert what_if.evaluate(choices).n_handed_over == pytest.approx(
        handed_over(run, "all_of: [months <= 6]").sum(), abs=what_if.n_left_out
    )


def test_an_earlier_class_keeps_its_leads():
    before = "- {name: out, all_of: ['region in [north]']}\n"
    run = make_run(RULES[0], before=before)
    what_if = build_what_if(run)
    assert (
        what_if.evaluate(what_if.written()).n_handed_over == handed_over(run, RULES[0], before=before).sum()
    )


def test_prose_is_met_by_nobody():
    run = make_run("any_of: [size >= 20, nice people]")
    what_if = build_what_if(run)
    assert len(what_if.dials) == 1
    assert what_if.evaluate(what_if.written()).n_handed_over == handed_over(run, "all_of: [size >= 20]").sum()


def test_value_is_wins_times_their_prices_minus_work():
    run = make_run(RULES[0])
    what_if = build_what_if(run)
    found = what_if.evaluate(what_if.written())
    handed = handed_over(run, RULES[0])
    known = handed & run.targets["won_mature"].to_numpy()
    won = known & (run.targets["won"] == 1).to_numpy()
    price = np.where(run.table.frame["size"].fillna(0) >= 100, 5000.0, 1000.0)[won].mean()
    value = handed.sum() * (won.sum() / known.sum() * price - 50) / what_if.months
    digits = re.sub(r"[^0-9]", "", found.value.split("(")[0])
    assert abs(float(digits) / value - 1) < 0.01
    assert found.value.startswith("EUR")


def test_without_answers_nobody_knows():
    run = make_run(RULES[0])
    run.targets = run.targets.assign(won=np.nan, accepted=np.nan)
    what_if = build_what_if(run)
    found = what_if.evaluate(what_if.written())
    assert found.won == found.accepted == "nobody knows"
    assert found.value.startswith("nobody knows")


def test_expected_numbers_are_shares_of_all_that_go_to_sales():
    run = make_run(RULES[0])
    what_if = build_what_if(run)
    found = what_if.evaluate(what_if.written())
    rate = found.n_accepted / found.n_accepted_known
    low, high = wilson_range(found.n_accepted, found.n_accepted_known)
    ends = [format_count(found.n_handed_over * r / what_if.months) for r in (rate, low, high)]
    assert found.accepted_count == f"about {ends[0]} ({ends[1]} to {ends[2]}) a month"


def test_wins_that_nobody_can_know_are_not_said_to_be_none():
    run = make_run(RULES[0])
    run.targets = run.targets.assign(won=run.targets["won"].where(handed_over(run, RULES[0])))
    what_if = build_what_if(run)
    found = what_if.evaluate(what_if.written())
    assert (found.missed, found.missed_share) == ("nobody knows", "")
    nothing = what_if.evaluate([Choice(bins=()) for _ in what_if.dials])
    assert nothing.missed == format_count(found.n_won)
    assert nothing.missed_share.endswith(f"{found.n_won_known:,})")


def test_without_prices_there_is_no_value():
    run = make_run(RULES[0])
    run.definition = parse_definition(re.sub(r"prices:.*\n", "", run.definition.text))
    what_if = build_what_if(run)
    assert what_if.evaluate(what_if.written()).value == "no price is signed"


def test_nothing_handed_over_is_said_as_nothing():
    run = make_run(RULES[0])
    what_if = build_what_if(run)
    found = what_if.evaluate([Choice(bins=()) for _ in what_if.dials])
    assert (found.n_handed_over, found.leads, found.won) == (0, "0", "nobody knows")


def test_segments_add_up():
    run = make_run(RULES[0])
    what_if = build_what_if(run)
    found = what_if.evaluate(what_if.written())
    assert [row[0] for row in found.segments] == ["north", "south"]
    assert sum(int(row[1].replace(",", "")) for row in found.segments) == found.n_handed_over


def test_no_criteria_and_no_leads_give_no_what_if():
    run = make_run("all_of: [nice people]")
    assert build_what_if(run) is None
    run = make_run(RULES[0], n=0)
    assert build_what_if(run) is None
    run.comparison = None
    assert build_what_if(run) is None


def test_many_attributes_get_coarser_steps_rather_than_a_large_page(monkeypatch):
    import leadml.review._whatif as module

    run = make_run(RULES[0].replace("[", "[score >= 5, "), n=4000)
    run.definition = parse_definition(run.definition.text.replace(", steps: [10, 20, 50, 100]", ""))
    run.table.frame["months"] = np.random.default_rng(0).random(4000) * 20
    fine = build_what_if(run)
    monkeypatch.setattr(module, "MAX_CELLS", 150)
    coarse = build_what_if(run)
    assert len(coarse.cells) < len(fine.cells)
    assert coarse.evaluate(coarse.written()).n_handed_over == fine.evaluate(fine.written()).n_handed_over


def test_ranges_are_those_of_the_rest_of_the_page():
    for k, n in ((0, 7), (3, 10), (10, 10), (45, 1000)):
        np.testing.assert_allclose(wilson_range(k, n), [float(x) for x in wilson_interval(k, n)], atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 1)), min_size=1, max_size=40))
def test_joining_never_crosses_a_block_and_loses_only_small_blocks(rows):
    counts = [n for n, _ in rows]
    block = np.array([b for _, b in rows])
    cells = pd.DataFrame({"b0": range(len(rows)), "n": counts})
    for name in ("accepted_known", "accepted", "won_known", "won", "worth"):
        cells[name] = 0
    joined, left_out = join_small(cells, block, ["b0"])
    assert joined["n"].sum() + left_out == sum(counts)
    assert (joined["n"] >= 5).all()
    for value in (0, 1):
        whole = sum(n for n, b in rows if b == value)
        kept = joined.loc[block[joined["b0"].to_numpy()] == value, "n"].sum()
        assert kept == (whole if whole >= 5 else 0) or whole - kept < 5


def test_widget_is_one_frame_that_asks_nobody_for_anything():
    what_if = build_what_if(make_run(RULES[0]))
    widget = what_if._repr_html_()
    assert widget.startswith("<iframe")
    assert widget.count("<") == 2
    assert 'sandbox="allow-scripts"' in widget
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", widget)


def test_packet_names_its_script_by_hash_and_runs_no_other(run):
    import base64
    import hashlib

    page = build_packet(run)
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert page.count("<script") == 2


def test_hostile_levels_do_not_leave_the_data_block():
    run = make_run(RULES[3])
    run.table.frame["free"] = run.table.frame["free"].replace({"c": "</script><b>", "a": "<!--<script>"})
    page = build_what_if(run).render_widget()
    assert "&lt;/script&gt;&lt;b&gt;" not in page
    assert "\\u003c/script\\u003e\\u003cb\\u003e" in page

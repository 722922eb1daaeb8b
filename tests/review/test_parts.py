"""What each part of the packet says, against counts by hand."""

import dataclasses
import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import assign_classes, compute_won_prices
from leadml.leads import LeadTable, Manifest, compute_targets, parse_contract
from leadml.metrics import wilson_interval
from leadml.review._build import build_parts
from leadml.review._figures import compute_value, count_figure, make_figure, say_quantile
from leadml.review._learned import describe_crossings, find_dependences
from leadml.review._sales import describe_followup, describe_recycled
from leadml.review._sides import describe_raters, describe_reps
from leadml.review._today import describe_tiles, describe_trend
from leadml.review._words import say_plainly


@pytest.fixture(scope="module")
def parts(run):
    return build_parts(run)


def plain(lines):
    return " ".join(lines).replace("\xa0", " ")


def change(run, **values):
    return SimpleNamespace(**(vars(run) | values))


# ---- figures -------------------------------------------------------------------------------------


def test_a_figure_has_its_range_and_its_n():
    low, high = (float(end) for end in wilson_interval(30, 200))
    figure = count_figure(30, 200)
    assert (figure.low, figure.high) == pytest.approx((low, high))
    assert figure.line.replace("\xa0", " ") == "15 % (11–21 %, n = 200)"
    assert count_figure(2, 4).line == "too few"
    assert count_figure(0, 0).line == "no answer yet"
    assert make_figure(5, 0.4, 0.1, 0.8).shown


def test_value_is_wins_at_their_prices_less_the_work():
    best, low, high = compute_value(100, 80, 20, worth=40_000.0, price=500.0, cost=100.0)
    assert best == 100 * (20 / 80 * 2000 - 100)
    assert low < best < high
    assert compute_value(100, 80, 0, worth=0.0, price=500.0, cost=100.0)[0] == -10_000
    assert compute_value(100, 49, 20, worth=40_000.0, price=500.0, cost=100.0) is None
    assert compute_value(100, 80, 20, worth=40_000.0, price=None, cost=100.0) is None


def test_range_of_a_quantile_covers_it():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        days = np.sort(rng.exponential(40.0, 60))
        low, high = say_quantile(days, 0.5).split("(")[1].rstrip(")").split("–")
        inside += float(low) - 0.5 <= 40.0 * np.log(2) <= float(high) + 0.5
    assert inside / 400 >= 0.95
    assert say_quantile(np.arange(1.0, 101.0), 0.9) == "90 (84–96)"
    assert say_quantile(np.asarray([3.0] * 5), 0.5) == "3 (3–3)"


# ---- this quarter and the one before -------------------------------------------------------------


def test_tiles_set_the_newest_quarter_beside_the_one_before(run, parts):
    volume, accepted, won, value = parts.tiles
    handed = assign_classes(run.definition, run.table.frame).isin(run.definition.handoff).to_numpy()
    newest, before = sorted(run.targets["period"].unique())[:-3:-1]
    n = int((handed & (run.targets["period"] == newest)).sum())
    assert (volume.title, volume.text) == (f"Leads to Sales, {newest}", f"{n:,}")
    assert volume.before.startswith(
        f"{before}: {int((handed & (run.targets['period'] == before)).sum())} of "
    )
    assert accepted.title == f"Accepted by Sales, {newest}"
    settled = won.title.removeprefix("Won, ")
    assert settled < newest, "deals take longer than verdicts"
    known = (
        handed & (run.targets["period"] == settled) & run.targets["won"].notna() & run.targets["won_mature"]
    )
    assert won.small.replace("\xa0", " ").endswith(f"n = {int(known.sum())}")
    assert won.before < won.title.removeprefix("Won, ")
    wins = known & (run.targets["won"] == 1)
    prices = np.asarray(compute_won_prices(run.definition, run.table.frame), dtype=float)
    all_handed = int((handed & (run.targets["period"] == settled)).sum())
    best = all_handed * (wins.sum() / known.sum() * prices[wins].mean() - 150)
    digits = float("".join(c for c in value.text if c.isdigit()))
    assert value.title == f"Value of the leads, {settled}"
    assert digits == pytest.approx(abs(best), rel=0.006)


def test_without_prices_and_periods_there_is_no_value_and_no_tile(parts):
    assert describe_tiles(()) == ()
    lines = list(parts.periods)
    bare = [
        SimpleNamespace(**{n: getattr(line, n) for n in line.__slots__} | {"value": ""}) for line in lines
    ]
    assert [tile.title.split(",")[0] for tile in describe_tiles(bare)] == [
        "Leads to Sales",
        "Accepted by Sales",
        "Won",
    ]


def test_trend_says_when_it_may_be_chance():
    def line(name, k, n):
        return SimpleNamespace(name=name, accepted=count_figure(k, n), won=count_figure(0, 0))

    words = describe_trend([line("2026Q1", 52, 100), line("2025Q4", 50, 100)])
    assert (
        words.replace("\xa0", " ")
        == "The share accepted went from 50 % in 2025Q4 to 52 % in 2026Q1, which may be chance."
    )
    assert "chance" not in describe_trend([line("2026Q1", 90, 100), line("2025Q4", 50, 100)])
    assert describe_trend([line("2026Q1", 90, 100)]) == ""


def test_leads_never_handed_over_get_their_bounds(run, parts):
    row = run.comparison.selection.set_index("target").loc["won"]
    assert row["reading"] in parts.hidden
    assert "and where in between is unknown" in row["reading"]
    nothing = run.comparison.selection.assign(n_rest_labelled=3)
    hidden = dataclasses.replace(run.comparison, selection=nothing)
    assert build_parts(change(run, comparison=hidden)).hidden == ()


# ---- both sides ----------------------------------------------------------------------------------


def test_reasons_have_their_share_with_range(run, parts):
    rejected = int((run.table.role("verdict") == "rejected").sum())
    assert parts.reasons == (("No budget", f"{rejected:,}: {count_figure(rejected, rejected).line}"),)


@pytest.mark.parametrize("matters", [True, False])
def test_reps_are_one_sentence_and_nobody_is_ranked(run, matters):
    effects = SimpleNamespace(matters=matters, n_reps=12, n=900, spread=SimpleNamespace(sd=1.0))
    found = plain(describe_reps(change(run, models={"accepted": SimpleNamespace(reps=effects)})))
    if not matters:
        assert found == "The 12 reps do not differ in strictness beyond chance."
        return
    rate = float(np.nanmean(run.targets["accepted"]))
    odds = rate / (1 - rate)
    low, high = (100 * odds * e / (1 + odds * e) for e in (np.exp(-1), np.exp(1)))
    assert f"two of three reps accept between {low:.0f} % and {high:.0f} % (12 reps, 900 leads)." in found
    assert describe_reps(run) == ()


def test_raters_are_told_without_a_lead():
    ratings = SimpleNamespace(
        sides=("marketing", "sales"),
        n_leads=120,
        agreement=pd.DataFrame(
            {
                "question": ["class", "class: hot", "hot.prose"],
                "written": ["", "", "strong interest"],
                "n": [120, 120, 118],
                "raw": [0.7, 0.8, 0.55],
                "raw_low": [0.61, 0.72, 0.46],
                "raw_high": [0.78, 0.86, 0.64],
            }
        ),
        by_side=pd.DataFrame(
            {
                "side": ["marketing", "sales"],
                "n": [120, 3],
                "rate": [0.5, 0.3],
                "ci_low": [0.4, 0.1],
                "ci_high": [0.6, 0.9],
            }
        ),
        split_bands=pd.DataFrame(
            {
                "attribute": ["employees", "employees"],
                "band": ["10 to 50", "50 to 100"],
                "n": [40, 4],
                "n_split": [20, 4],
                "rate": [0.5, 1.0],
                "ci_low": [0.35, 0.4],
                "ci_high": [0.65, 1.0],
            }
        ),
    )
    assert plain(describe_raters(ratings)) == (
        "Marketing and Sales judged the same 120 leads without seeing each other's answers: 70 % (61–78 %, n = 120) "
        "are in the same class for all. Marketing would hand over 50 % (40–60 %, n = 120); Sales would hand over too "
        "few. They part most often where employees is 10 to 50: 50 % (35–65 %, n = 40) of these leads. They read "
        "“strong interest” least alike: the same answer for 55 % (46–64 %, n = 118) of the leads."
    )
    assert describe_raters(None) == ()
    assert describe_raters(SimpleNamespace(n_leads=4)) == ()


# ---- what Sales did, and who came back -----------------------------------------------------------

CONTRACT = """\
name: back
tables: {leads: {path: leads.csv, format: csv, delimiter: ",", encoding: utf-8}}
columns:
  lead_id: {from: leads.id, role: id}
  account: {from: leads.account, role: account}
  created_on: {from: leads.created, role: created, type: date, format: "%Y-%m-%d"}
  verdict: {from: leads.verdict, role: verdict, accepted: [accepted], rejected: [rejected], pending: [pending]}
  decided_on: {from: leads.decided, role: decided, type: date, format: "%Y-%m-%d"}
windows: {verdict: 30 days, outcome: 90 days}
"""


def lead_run(n=40, *, back=10, verdicts=None):
    """Leads 0 to n begin in January; the first `back` accounts, rejected then, come back 100 days later."""
    begin = [pd.Timestamp("2026-01-05")] * n + [pd.Timestamp("2026-04-15")] * back
    first = ["rejected"] * back + ["accepted"] * (n - back)
    again = ["accepted"] * (back // 2) + ["rejected"] * (back - back // 2)
    frame = pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n + back)],
            "account": [f"A{i}" for i in range(n)] + [f"A{i}" for i in range(back)],
            "created_on": begin,
            "verdict": pd.Categorical(verdicts or first + again),
            "decided_on": [day + pd.Timedelta(days=3) for day in begin],
        }
    )
    table = LeadTable(
        frame=frame,
        contract=parse_contract(CONTRACT, source="contract", folder=Path()),
        manifest=Manifest(read=n + back, kept=n + back, quarantined=0, duplicates=0),
        quarantine=pd.DataFrame(),
        as_of=dt.date(2026, 10, 1),
    )
    return SimpleNamespace(table=table, targets=compute_targets(table))


def test_leads_that_came_back_are_followed():
    words = plain(describe_recycled(lead_run()))
    assert words == (
        "10 leads, 20 % (11–33 %, n = 50), came from an account whose earlier lead had been rejected or lost; half "
        "of them within 100 (100–100) days. Of those that came back 50 % (24–76 %, n = 10) are accepted by Sales, "
        "of all other leads 75 % (60–86 %, n = 40). How many of those that came back are won, nobody knows (no "
        "answer yet)."
    )
    assert "under 5 came from an account" in plain(describe_recycled(lead_run(back=3)))
    assert "none came from an account" in plain(describe_recycled(lead_run(back=0)))


def test_without_accounts_nobody_can_follow_them(run):
    words = "Nobody can follow leads that come back: these do not say which account they belong to."
    assert describe_recycled(run) == (words,)
    table = SimpleNamespace(**(vars(run.table) | {"role": {"account": pd.Series(["a"])}.get}))
    assert "have no dates" in plain(describe_recycled(change(run, table=table)))


def test_answers_and_waiting_leads_are_counted_quarter_by_quarter():
    assert plain(describe_followup(lead_run())) == (
        "Every one of the 50 leads that went to Sales long enough ago has a verdict. Half of the verdicts came within 3 (3–3) "
        "days, nine of ten within 3 (3–3) days, n = 50."
    )


def test_waiting_leads_have_a_share_in_all_and_by_quarter():
    run = lead_run(n=40, back=10, verdicts=["pending"] * 12 + ["accepted"] * 38)
    run.targets["worked"] = True
    words = plain(describe_followup(run))
    assert words.startswith(
        "12 leads that went to Sales have no verdict, although there was time: 24 % (14–37 %, n = 50). Of those from "
        "2026Q2 0 % (0–28 %, n = 10), of those from 2026Q1 30 % (18–45 %, n = 40)."
    )
    few = lead_run(n=40, back=10, verdicts=["pending"] * 3 + ["accepted"] * 47)
    few.targets["worked"] = True
    assert "Under 5 of 50 leads" in plain(describe_followup(few))


# ---- what the model knows ------------------------------------------------------------------------


def test_the_model_passes_the_goal_beside_the_written_threshold(run):
    found = {each.attribute: each for each in find_dependences(run)}
    assert found["employees"].goal == pytest.approx(150 / 12000)
    assert len(found["employees"].crossings) == 1
    words = plain(describe_crossings(tuple(found.values())))
    assert (
        "By “employees” the model of won deals passes the 1.2 % that is wanted from about 60; the definition says"
        in words
    )
    assert "“employees ≥ 50”" in words


def test_what_the_model_looks_at_names_what_no_criterion_asks_for(run, parts):
    assert dict(parts.uses)["won deals"].startswith(
        "Of all that it looks at, most weight lies on “budget_status” "
    )
    other = dataclasses.replace(run.attributions["won"], attributes=("region", "employees"))
    uses = dict(build_parts(change(run, attributions={"won": other})).uses)
    assert "no criterion asks for “region” (over 4,000 leads)." in uses["won deals"].replace("\xa0", " ")


def test_quarters_hold_the_model_to_its_word(run):
    frame = pd.DataFrame(
        {
            "by": ["period", "period", "industry"],
            "level": ["2025Q3", "2025Q4", "software"],
            "n": [100, 200, 50],
            "n_positive": [10, 50, 5],
            "expected": [0.11, 0.1, 0.1],
            "observed_low": [0.05, 0.19, 0.0],
            "observed_high": [0.18, 0.31, 1.0],
        }
    )
    model = SimpleNamespace(**(vars(run.models["won"]) | {"parts": SimpleNamespace(frame=frame)}))
    (table,) = build_parts(change(run, models={"won": model})).kept_word
    assert [row.name for row in table.rows] == ["2025Q3", "2025Q4"]
    assert table.rows[1].came.line == count_figure(50, 200).line
    assert "outside the range of what came in 2025Q4; by chance" in table.reading


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("The batch is one. The column tells accepted with AUC 0.47, without it 0.44.", "The batch is one."),
        ("levels differ (Cramér's V 0.19, p 9e-09): who gave it.", "levels differ: who gave it."),
        ("two of (three) stay.", "two of (three) stay."),
        ("AUC 0.5", "Something for the analyst: it stands in the audit (leadml audit)."),
    ],
)
def test_what_only_a_statistician_reads_is_left_out(message, words):
    assert say_plainly(message) == words

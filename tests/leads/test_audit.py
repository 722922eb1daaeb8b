import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from leadml.leads import SyntheticWorld, audit_leads, generate_leads, parse_contract, read_leads
from leadml.leads._audit_values import looks_missing
from leadml.leads._finding import show_level
from leadml.leads._rates import cell_codes, column_auc, rank_auc

LEAKS = {
    "leakage_single_column",
    "filled_after_outcome",
    "leakage_suspected",
    "duration_column",
    "event_state",
    "target_rate_column",
    "target_score",
    "outcome_duration",
    "values_jump",
    "missingness_gives_outcome_away",
    "date_proxy",
    "special_value",
    "rate_jump",
    "missing_is_a_kind",
}
OTHER_TRAPS = {
    "batch_upload",
    "filled_by_sales",
    "levels_replaced",
    "outcome_in_text",
    "unit_change",
    "duplicate_column",
    "duplicate_leads",
    "identifier_as_attribute",
    "left_truncation",
    "missing_marker",
    "placeholder_value",
    "schema_change",
    "zero_may_mean_missing",
}
N = 3000


@pytest.fixture
def audited(tmp_path):
    """Audit a table of a won/lost label and the given columns."""

    def run(columns, *, kinds, won=None, more="", dates=None):
        rng = np.random.default_rng(0)
        n = len(next(iter(columns.values())))
        won = rng.random(n) < 0.3 if won is None else won
        data = {"id": np.arange(n), "won": np.where(won, "yes", "no"), **columns}
        if dates is not None:
            data["day"] = dates
        pd.DataFrame(data).to_csv(tmp_path / "leads.csv", index=False)
        lines = [
            f"  {name}: {{from: leads.{name}, role: attribute, type: {kind}}}" for name, kind in kinds.items()
        ]
        if dates is not None:
            lines.append("  day: {from: leads.day, role: created, type: date}")
        text = (
            "name: x\ntables: {leads: {path: leads.csv}}\ncolumns:\n  id: {from: leads.id, role: id}\n"
            '  won: {from: leads.won, role: outcome, won: ["yes"], lost: ["no"]}\n'
            + "\n".join(lines)
            + "\n"
            + more
        )
        return audit_leads(read_leads(parse_contract(text, folder=tmp_path)))

    return run


def codes(report, column=None):
    return {finding.code for finding in report.findings if column is None or finding.column == column}


def labels(seed=0, n=N, rate=0.3):
    return np.random.default_rng(seed).random(n) < rate


def test_honest_columns_are_left_alone():
    for seed in range(4):
        for world in (
            SyntheticWorld(),
            SyntheticWorld.already_optimal(),
            SyntheticWorld(drift=0.0, n_reps=3),
        ):
            table, _ = generate_leads(8000, random_state=seed, world=world)
            report = audit_leads(table)
            attributes = set(table.contract.attributes())
            assert not {finding.code for finding in report.findings if finding.column in attributes} & LEAKS
            assert codes(report) <= {
                "censored_cohorts",
                "rep_dependent_labels",
                "target_drift",
                "maturity_window",
            }


@pytest.mark.slow
def test_forty_honest_markets_have_no_leak():
    told = []
    worlds = (SyntheticWorld(), SyntheticWorld(drift=0.05, win_rate=0.3, missing_share=0.2))
    for seed in range(100, 140):
        table, _ = generate_leads(3000, random_state=seed, world=worlds[seed % 2])
        told += [
            (seed, each.code, each.column)
            for each in audit_leads(table).findings
            if each.code in LEAKS | OTHER_TRAPS
        ]
    assert told == []


def test_a_column_that_tells_the_label_is_a_leak(audited):
    won, rng = labels(), np.random.default_rng(1)
    stage = np.where(rng.random(N) < 0.04, "c", np.where(won, "a", "b"))
    report = audited(
        {"stage": stage, "noise": rng.random(N).round(3)},
        kinds={"stage": "category", "noise": "number"},
        won=won,
    )
    assert report.columns("leakage_single_column") == ("stage",)
    found = report.findings[0]
    assert found.severity == "error"
    assert found.evidence["auc"] > 0.9
    assert codes(report, "noise") == set()


def test_a_column_filled_only_for_winners_is_a_leak(audited):
    won, rng = labels(), np.random.default_rng(1)
    size = np.where(won & (rng.random(N) < 0.1), rng.integers(1, 9, N).astype(str), "")
    report = audited({"contract_size": size}, kinds={"contract_size": "integer"}, won=won)
    assert report.columns("filled_after_outcome") == ("contract_size",)


def test_missingness_that_goes_with_the_label_is_told(audited):
    won, rng = labels(), np.random.default_rng(1)
    there = rng.random(N) < np.where(won, 0.8, 0.4)
    words = np.where(there, rng.choice(["x", "y", "z"], N), "")
    report = audited({"job": words}, kinds={"job": "category"}, won=won)
    evidence = next(
        each for each in report.findings if each.code == "missingness_gives_outcome_away"
    ).evidence
    assert evidence["rate_filled"] > 1.5 * evidence["rate_missing"]


def test_no_value_that_goes_with_the_outcome_is_a_kind_in_all_its_spellings(audited):
    won, rng = labels(n=4000), np.random.default_rng(2)
    origin = rng.choice(["web", "fair", "phone"], 4000)
    empty = rng.random(4000) < np.where(won, 0.3, 0.12)
    origin = np.where(empty, rng.choice(["", "unknown"], 4000), origin)
    report = audited({"origin": origin, "other": rng.choice(["a", "b", ""], 4000)},
                     kinds={"origin": "category", "other": "category"}, won=won)  # fmt: skip
    found = {finding.code: finding for finding in report.findings if finding.column == "origin"}
    assert found["missing_is_a_kind"].severity == "warning"
    kinds = found["missing_is_a_kind"].evidence["kinds"]
    assert set(kinds) == {"blank", "'unknown'"}
    for word, rows in (("blank", origin == ""), ("'unknown'", origin == "unknown")):
        assert kinds[word]["n"] == rows.sum()
        assert kinds[word]["rate"] == pytest.approx(won[rows].mean(), abs=1e-4)
    assert found["missing_in_two_ways"].evidence["kinds"]["blank"] == (origin == "").sum()
    assert not codes(report, "other") & {"missing_is_a_kind", "missing_in_two_ways"}


def test_a_number_that_is_a_switch_is_told_and_a_slope_is_not(audited):
    rng = np.random.default_rng(3)
    seconds = rng.integers(1, 2000, 6000)
    switch = rng.random(6000) < np.where(seconds >= 600, 0.65, 0.17)
    report = audited({"s": seconds}, kinds={"s": "integer"}, won=switch)
    (jump,) = [each for each in report.findings if each.code == "rate_jump"]
    assert jump.evidence["from"] == pytest.approx(600, abs=60)
    assert (jump.evidence["just_below"], jump.evidence["just_above"]) == pytest.approx((0.17, 0.65), abs=0.05)
    slope = rng.random(6000) < 0.1 + 0.7 * seconds / 2000
    threshold = rng.random(6000) < np.where(seconds >= 600, 0.2, 0.05)
    for won in (slope, threshold, rng.random(6000) < 0.4):
        assert "rate_jump" not in codes(audited({"s": seconds}, kinds={"s": "integer"}, won=won))
    kind = np.where(rng.random(6000) < 0.3, 0, seconds)
    report = audited(
        {"s": kind}, kinds={"s": "integer"}, won=np.where(kind == 0, rng.random(6000) < 0.4, switch)
    )
    assert "rate_jump" in codes(report)


def test_the_window_is_told_with_the_lags_behind_it():
    world = SyntheticWorld(close_days=90.0, n_months=15, drift=0.0)
    table, _ = generate_leads(60_000, random_state=1, world=world)
    report = audit_leads(table)
    told = {
        each.evidence["target"]: each.evidence for each in report.findings if each.code == "maturity_window"
    }
    # A gamma(2) lag with mean 90 days: half within 75.5 days, 90 % within 175; 59 % within 90 days.
    assert told["won"]["lag_50_days"] == pytest.approx(75.5, abs=6)
    assert told["won"]["lag_90_days"] == pytest.approx(175, abs=12)
    assert told["won"]["inside"] == pytest.approx(0.594, abs=0.03)
    assert (told["won"]["from"], told["won"]["window_days"]) == ("contract", 90)
    own = dataclasses.replace(table, contract=dataclasses.replace(table.contract, windows_outcome=None))
    told = {
        each.evidence["target"]: each.evidence
        for each in audit_leads(own).findings
        if each.code == "maturity_window"
    }
    assert told["won"]["from"] == "data"
    assert told["won"]["window_days"] == told["won"]["lag_90_days"]
    assert told["won"]["inside"] >= 0.9


def test_random_missingness_is_not_told(audited):
    words = np.where(np.random.default_rng(1).random(N) < 0.4, "", "x")
    assert "missingness_gives_outcome_away" not in codes(audited({"job": words}, kinds={"job": "category"}))


def test_a_rate_computed_from_the_answers_is_a_leak(audited):
    won, rng = labels(), np.random.default_rng(1)
    source = rng.integers(0, 6, N)
    rate = pd.Series(won).groupby(source).transform("mean").to_numpy()
    report = audited({"source_rate": rate}, kinds={"source_rate": "number"}, won=won)
    assert report.columns("target_rate_column") == ("source_rate",)


def test_a_rate_computed_from_the_answers_is_a_leak_as_a_percentage_too(audited):
    rng = np.random.default_rng(1)
    source = rng.integers(0, 12, N)
    won = rng.random(N) < 0.05 + 0.04 * source
    percent = (100 * pd.Series(won).groupby(source).transform("mean")).round().astype(int).to_numpy()
    honest = {"discount": rng.integers(10, 40, N), "number": source + 1, "score": rng.integers(0, 101, N)}
    kinds = dict.fromkeys(["percent", *honest], "integer")
    report = audited({"percent": percent, **honest}, kinds=kinds, won=won)
    assert report.columns("target_rate_column") == ("percent",)


@pytest.mark.parametrize("known_at", [None, "capture", "handoff"])
def test_what_only_sales_fills_in_is_told(known_at):
    table, _ = generate_leads(4000, random_state=0)
    rng = np.random.default_rng(0)
    worked = table.frame["handed_on"].notna().to_numpy()
    mark = pd.Series(np.where(worked & (rng.random(4000) < 0.5), rng.choice(["hot", "cold"], 4000), None))
    source = table.contract.column("lead_source")
    column = dataclasses.replace(source, name="mark", known_at=known_at)
    table = dataclasses.replace(
        table,
        frame=table.frame.assign(mark=mark.astype("category")),
        contract=dataclasses.replace(table.contract, columns=(*table.contract.columns, column)),
    )
    told = audit_leads(table).columns("filled_by_sales")
    assert told == (() if known_at == "handoff" else ("mark",))


def test_a_rate_from_the_answers_is_told_with_noise_too(audited):
    rng = np.random.default_rng(1)
    source = rng.integers(0, 40, N)
    won = rng.random(N) < 0.02 + 0.01 * source
    rate = pd.Series(won).groupby(source).transform("mean").to_numpy() + rng.normal(0, 0.01, N)
    columns = {
        "noisy": rate.clip(0, 1).round(4),
        "percent": (100 * rate).clip(0, 100).round(2),
        "half": (rate / 2).clip(0, 1).round(4),
        "order": (source / 40 + rng.normal(0, 0.01, N)).clip(0, 1).round(4),
        "any": rng.random(N).round(4),
    }
    report = audited(columns, kinds=dict.fromkeys(columns, "number"), won=won)
    assert set(report.columns("target_score")) == {"noisy", "percent"}


def test_notes_on_how_it_went_are_a_leak_and_other_texts_are_not(audited):
    won, rng = labels(), np.random.default_rng(1)
    honest = [f"{rng.choice(['called', 'mailed'])} {n % 60} {rng.choice(['web', 'fair'])}" for n in range(N)]
    told = np.where(won & (rng.random(N) < 0.5), "; order received", "")
    columns = {"honest": honest, "notes": [f"{text}{end}" for text, end in zip(honest, told, strict=True)]}
    report = audited(columns, kinds=dict.fromkeys(columns, "category"), won=won)
    assert report.columns("outcome_in_text") == ("notes",)
    found = next(each for each in report.findings if each.code == "outcome_in_text")
    assert (found.evidence["words"], found.evidence["rate"]) == (2, 1)
    assert "order" not in found.message  # a note may name somebody


def test_a_duration_that_ends_with_the_deal_is_a_leak(tmp_path):
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 200, 400), unit="D")
    lag = rng.integers(1, 90, 400)
    frame = pd.DataFrame({"id": range(400), "day": start.strftime("%Y-%m-%d"), "lag": lag})
    frame["closed"] = (start + pd.to_timedelta(lag, unit="D")).strftime("%Y-%m-%d")
    frame["won"] = np.where(rng.random(400) < 0.5, "yes", "no")
    frame.to_csv(tmp_path / "leads.csv", index=False)
    text = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  day: {from: leads.day, role: created, type: date}
  won: {from: leads.won, role: outcome, won: ["yes"], lost: ["no"]}
  closed: {from: leads.closed, role: closed, type: date}
  lag: {from: leads.lag, role: attribute, type: integer}
windows: {outcome: 100 days}
"""
    report = audit_leads(read_leads(parse_contract(text, folder=tmp_path)))
    assert report.columns("outcome_duration") == ("lag",)
    assert report.findings[0].severity == "error"
    frame["lag"] = (lag * rng.uniform(0.6, 1.4, 400)).astype(int) + 3  # measured by somebody else
    frame.to_csv(tmp_path / "leads.csv", index=False)
    report = audit_leads(read_leads(parse_contract(text, folder=tmp_path)))
    (found,) = [each for each in report.findings if each.code == "outcome_duration"]
    assert (found.severity, found.evidence["rank_correlation"] > 0.8) == ("warning", True)
    frame["lag"] = np.maximum(1, lag // 2 + rng.integers(0, 90, 400))
    frame.to_csv(tmp_path / "leads.csv", index=False)
    report = audit_leads(read_leads(parse_contract(text, folder=tmp_path)))
    assert report.columns("outcome_duration") == ()


def test_single_values_unlike_their_neighbours_are_told(audited):
    rng = np.random.default_rng(0)
    days = rng.integers(0, 100, 20_000)
    batch = np.isin(days, [16, 33, 44, 62, 71, 85]) | (rng.random(20_000) < 0.0)
    days = np.where(rng.random(20_000) < 0.3, rng.choice([16, 33, 44, 62, 71, 85], 20_000), days)
    batch = np.isin(days, [16, 33, 44, 62, 71, 85])
    won = rng.random(20_000) < np.where(batch, 0.04, 0.35)
    report = audited({"age": days}, kinds={"age": "integer"}, won=won)
    assert "values_jump" in codes(report, "age")
    assert codes(audited({"age": days}, kinds={"age": "integer"}, won=labels(3, 20_000)), "age") == set()


def test_a_value_that_is_a_kind_and_not_an_amount_is_told(audited):
    rng = np.random.default_rng(0)
    seconds = np.where(rng.random(N) < 0.25, 0, rng.integers(1, 2000, N))
    won = rng.random(N) < np.where(seconds == 0, 0.42, 0.1 + 0.5 * seconds / 2000)
    report = audited({"seconds": seconds}, kinds={"seconds": "integer"}, won=won)
    assert report.columns("special_value") == ("seconds",)
    smooth = rng.random(N) < 0.1 + 0.5 * seconds / 2000
    assert (
        audited({"seconds": seconds}, kinds={"seconds": "integer"}, won=smooth).columns("special_value") == ()
    )


def test_a_disguised_date_is_told(audited):
    n = N
    index = np.repeat(np.random.default_rng(0).normal(5, 1, 12).round(2), n // 12)
    report = audited(
        {"rate": index, "number": np.arange(n) + 20.0}, kinds={"rate": "number", "number": "number"}
    )
    assert set(report.columns("date_proxy")) == {"rate", "number"}


def test_a_batch_and_what_it_carries_are_told(audited):
    rng = np.random.default_rng(0)
    day = rng.integers(0, 600, N)
    source = rng.choice(["web", "fair"], N)
    bought = np.arange(N) % 5 == 0
    day[bought], source[bought] = rng.integers(3, 6, bought.sum()), "list"
    won = rng.random(N) < np.where(bought, 0.01, 0.3)
    dates = (pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d")
    report = audited({"source": source}, kinds={"source": "category"}, won=won, dates=dates)
    finding = next(each for each in report.findings if each.code == "batch_upload")
    assert finding.evidence["level"] == "list"
    assert finding.evidence["auc"] > 0.6 > finding.evidence["auc_without"] + 0.05


@pytest.mark.filterwarnings("error")
def test_a_batch_in_which_nothing_is_decided_yet_has_no_rate(audited):
    rng = np.random.default_rng(0)
    day = rng.integers(0, 600, N)
    source = rng.choice(["web", "fair"], N)
    bought = np.arange(N) % 5 == 0
    day[bought], source[bought] = rng.integers(597, 600, bought.sum()), "list"
    won = np.where(bought, "", np.where(rng.random(N) < 0.3, "yes", "no"))
    dates = (pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d")
    report = audited({"source": source, "won": won}, kinds={"source": "category"}, dates=dates)
    finding = next(each for each in report.findings if each.code == "batch_upload")
    assert finding.evidence["rate_batch"] is None
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_form_that_changed_is_told(audited):
    day = np.sort(np.random.default_rng(0).integers(0, 600, N))
    dates = (pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d")
    budget = np.where(day > 300, "asked", "")
    assert audited({"budget": budget}, kinds={"budget": "category"}, dates=dates).columns(
        "schema_change"
    ) == ("budget",)


def test_values_renamed_in_the_middle_are_told(audited):
    rng = np.random.default_rng(0)
    day = np.sort(rng.integers(0, 600, N))
    dates = (pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d")
    source, late = rng.choice(["web", "fair", "phone"], N, p=[0.5, 0.3, 0.2]), day > 300
    columns = {
        "renamed": np.where(late & (source == "fair"), "event", source),
        "system": np.where(late, source, np.char.upper(source)),
        "stopped": np.where(late & (source == "fair"), "web", source),
        "new": np.where(late & (source == "web") & (rng.random(N) < 0.5), "chat", source),
        "same": source,
    }
    report = audited(columns, kinds=dict.fromkeys(columns, "category"), dates=dates)
    found = {each.column: each.evidence for each in report.findings if each.code == "levels_replaced"}
    assert set(found) == {"renamed", "system"}
    assert (found["renamed"]["ended"], found["renamed"]["begun"]) == (1, 1)
    assert (found["system"]["ended"], found["system"]["begun"]) == (3, 3)
    for evidence in found.values():
        assert abs(pd.Timestamp(evidence["about"]) - pd.Timestamp("2021-10-28")) < pd.Timedelta(days=5)


@pytest.mark.parametrize("factor", [1000, 30, 1 / 12])
def test_another_unit_from_some_day_on_is_told(audited, factor):
    rng = np.random.default_rng(0)
    day = np.sort(rng.integers(0, 600, N))
    dates = (pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d")
    amount = np.exp(rng.normal(3, 0.8, N))
    columns = {
        "changed": np.where(day > 400, amount * factor, amount).round(3),
        "grown": (amount * np.exp(day / 200)).round(3),
        "larger": np.where(day > 400, amount * 2, amount).round(3),
        "wider": np.where(day > 400, amount * np.exp(rng.normal(2, 3, N)), amount).round(3),
        "same": np.where(rng.random(N) < 0.4, 0, amount).round(3),
    }
    report = audited(columns, kinds=dict.fromkeys(columns, "number"), dates=dates)
    (found,) = [each for each in report.findings if each.code == "unit_change"]
    assert found.column == "changed"
    assert found.evidence["factor"] == pytest.approx(factor, rel=0.15)
    assert abs(pd.Timestamp(found.evidence["from"]) - pd.Timestamp("2022-02-06")) < pd.Timedelta(days=3)


@pytest.mark.slow
def test_growth_campaigns_and_seasons_are_no_change_of_meaning(audited):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([800, 3000, 8000]))
        day = np.sort(rng.integers(0, 500, n))
        source = rng.choice(["web", "fair", "list"], n)
        amount = np.exp(rng.normal(12, 2, n)).round(-3)
        columns = {
            "started": np.where((day > 300) & (rng.random(n) < 0.2), "webinar", source),
            "stopped": np.where((day > 200) & (source == "list"), "web", source),
            "growing": (np.exp(rng.normal(4, 1, n) + day / 900)).round(),
            "counts": np.where(rng.random(n) < 0.5, 0, rng.poisson(3, n)),
            "amount": np.where(rng.random(n) < 0.3, "", amount.astype(str)),
            "text": [f"{rng.choice(['intro', 'demo', 'price'])} {number % 37}" for number in range(n)],
            "score": rng.integers(0, 101, n),
        }
        kinds = dict.fromkeys(columns, "category") | dict.fromkeys(["growing", "amount"], "number")
        kinds |= dict.fromkeys(["counts", "score"], "integer")
        dates = (pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d")
        won = rng.random(n) < 0.05 + 0.2 * (source == "fair")
        report = audited(columns, kinds=kinds, won=won, dates=dates)
        assert codes(report) & (LEAKS | OTHER_TRAPS) == set(), seed


def test_results_that_begin_late_are_told(tmp_path):
    rng = np.random.default_rng(0)
    day = rng.integers(0, 500, 4000)
    won = (rng.random(4000) < 0.15) & (day > 180)
    start = pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")
    close = start + pd.to_timedelta(rng.integers(1, 40, 4000), unit="D")
    frame = pd.DataFrame(
        {"id": range(4000), "day": start.strftime("%Y-%m-%d"), "won": np.where(won, "yes", "no")}
    )
    frame["closed"] = np.where(won, close.strftime("%Y-%m-%d"), "")
    frame.loc[frame.index[won][0], "closed"] = "2020-12-01"
    text = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  day: {from: leads.day, role: created, type: date}
  won: {from: leads.won, role: outcome, won: ["yes"], lost: ["no"]}
  closed: {from: leads.closed, role: closed, type: date}
windows: {outcome: 100 days}
"""
    frame.to_csv(tmp_path / "leads.csv", index=False)
    report = audit_leads(read_leads(parse_contract(text, folder=tmp_path)))
    assert "left_truncation" in codes(report)
    order = next(each for each in report.findings if each.code == "dates_out_of_order")
    assert order.evidence["n"] == 1
    assert order.evidence["lines"] == [2 + int(frame.index[won][0])]


ZONES = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  created: {from: leads.created, role: created, type: date, format: "%Y-%m-%dT%H:%M:%S%z"}
  verdict: {from: leads.verdict, role: verdict, accepted: [a], rejected: [r]}
  decided: {from: leads.decided, role: decided, type: date}
  outcome: {from: leads.outcome, role: outcome, won: [w], lost: [l]}
windows: {outcome: 30 days}
"""


def test_a_local_day_beside_an_instant_is_not_out_of_order(tmp_path):
    rows = [f"{n},2024-03-05T03:10:00+00:00,a,2024-03-04,w" for n in range(40)]  # 4 March in California
    rows += ["40,2024-03-05T03:10:00+00:00,a,2024-03-03,w"]
    (tmp_path / "leads.csv").write_text("\n".join(["id,created,verdict,decided,outcome", *rows, ""]))
    report = audit_leads(read_leads(parse_contract(ZONES, folder=tmp_path)))
    (found,) = [each for each in report.findings if each.code == "dates_out_of_order"]
    assert found.evidence["n"] == 1


def test_what_sales_rejected_waits_for_no_deal(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["id,created,verdict,decided,outcome"]
    for n in range(2000):
        created = pd.Timestamp("2024-01-01") + pd.Timedelta(days=n // 5)
        rejected = rng.random() < (0.3 if n < 1000 else 0.8)  # no deal, but nothing that is still to come
        label = "r,2024-01-05," if rejected else "a,2024-01-05,w" if rng.random() < 0.4 else "a,2024-01-05,l"
        rows.append(f"{n},{created:%Y-%m-%dT08:00:00+00:00},{label}")
    (tmp_path / "leads.csv").write_text("\n".join([*rows, ""]))
    assert "censored_cohorts" not in codes(audit_leads(read_leads(parse_contract(ZONES, folder=tmp_path))))


def test_what_is_written_for_no_value_is_told(audited):
    rng = np.random.default_rng(0)
    columns = {
        "city": rng.choice(["Berlin", "Select", "#VALUE!"], N),
        "title": rng.choice(["CEO", "Example-Job-title"], N),
        "last": np.where(rng.random(N) < 0.6, 999, rng.integers(1, 20, N)),
        "revenue": np.where(rng.random(N) < 0.6, 0, rng.integers(1000, 90_000, N)),
        "owner": rng.choice(["owner", "Owner", "A &amp; B"], N),
        "same": ["x"] * N,
        "town": rng.choice(["Köln", "KÃ¶ln"], N),
        "copy": rng.choice(["Berlin", "Paris"], N),
        "number": rng.integers(0, 400, N),
        "when": np.repeat([20210105, 20210207, 20211231], N // 3),
        "who": [f"x{n}" for n in range(N)],
    }
    columns["copy2"] = np.where(columns["copy"] == "Berlin", "B", "P")
    kinds = dict.fromkeys(columns, "category") | {"last": "integer", "revenue": "integer", "when": "integer"}
    report = audited(columns, kinds=kinds)
    assert set(report.columns("missing_marker")) == {"city", "last"}
    assert report.columns("placeholder_value") == ("title",)
    assert report.columns("zero_may_mean_missing") == ("revenue",)
    assert report.columns("level_variants") == ("owner",)
    assert report.columns("html_entities") == ("owner",)
    assert report.columns("constant_column") == ("same",)
    assert report.columns("garbled_text") == ("town",)
    assert report.columns("duplicate_column") == ("copy2",)
    assert report.columns("number_as_text") == ("number",)
    assert report.columns("date_as_number") == ("when",)
    assert report.columns("identifier_as_attribute") == ("who",)


def test_repeated_leads_are_told_only_beyond_chance(audited):
    rng = np.random.default_rng(0)
    columns = {f"a{n}": rng.integers(0, 9, 600) for n in range(10)}
    for values in columns.values():
        values[500:] = values[:100]
    report = audited(columns, kinds=dict.fromkeys(columns, "integer"))
    found = next(each for each in report.findings if each.code == "duplicate_leads").evidence
    assert (found["n"], found["n_alone"], found["expected_alone"]) == (100, 100, 0)
    numbered = columns | {"number": np.arange(600) + 1000}
    report = audited(numbered, kinds=dict.fromkeys(numbered, "integer"))
    found = next(each for each in report.findings if each.code == "duplicate_leads").evidence
    assert (found["n"], found["columns"]) == (100, list(columns))  # a copy has a number of its own
    few = {"a": rng.integers(0, 3, 600), "b": rng.integers(0, 3, 600), "c": rng.integers(0, 3, 600)}
    assert "duplicate_leads" not in codes(audited(few, kinds=dict.fromkeys(few, "integer")))


def kinds_of_leads(rng, n):
    """Draw leads of a few kinds, nearly alike within a kind: by independent columns none would be alike."""
    kind = rng.choice(6, n, p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05])
    columns = {}
    for number in range(14):
        usual = rng.integers(0, 6, 6)[kind]
        columns[f"a{number}"] = np.where(rng.random(n) < 0.15, rng.integers(0, 6, n), usual)
    seconds = np.where(kind < 3, 0, rng.integers(1, 400, n))
    return columns | {"seconds": seconds, "pages": np.where(seconds == 0, 0, rng.poisson(2, n) + 1)}


def test_leads_that_look_alike_are_no_repeats(audited):
    rng = np.random.default_rng(0)
    columns = kinds_of_leads(rng, N)
    assert pd.DataFrame(columns).duplicated().sum() > 200
    kinds = dict.fromkeys(columns, "integer")
    assert "duplicate_leads" not in codes(audited(columns, kinds=kinds))
    twice = rng.choice(N, 150, replace=False)
    longer = {name: np.concatenate([values, values[twice]]) for name, values in columns.items()}
    report = audited(longer, kinds=kinds)
    found = next(each for each in report.findings if each.code == "duplicate_leads").evidence
    assert 40 < found["n_alone"] <= 150
    assert found["n_alone"] > 2 * found["expected_alone"]


def test_a_column_without_a_name_is_told(tmp_path):
    lines = ["id,won,,", *(f"{n},{'yes' if n % 3 else 'no'},x," for n in range(30))]
    (tmp_path / "leads.csv").write_text("\n".join(lines) + "\n")
    text = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  won: {from: leads.won, role: outcome, won: ["yes"], lost: ["no"]}
"""
    report = audit_leads(read_leads(parse_contract(text, folder=tmp_path)))
    told = [each for each in report.findings if each.code == "nameless_column"]
    assert [each.evidence["place"] for each in told] == [3, 4]
    assert {each.severity for each in told} == {"note"}


def test_labels_that_depend_on_the_rep_or_contradict_reasons_are_told(tmp_path):
    rng = np.random.default_rng(0)
    rep = rng.choice(["Ann", "Bob", "Cy"], 900)
    accepted = rng.random(900) < np.where(rep == "Ann", 0.9, 0.4)
    reason = np.where(~accepted & (rng.random(900) < 0.5), "Too small", "")
    reason[np.flatnonzero(accepted)[:7]] = "Too small"
    pd.DataFrame({"id": range(900), "v": np.where(accepted, "a", "r"), "rep": rep, "reason": reason}).to_csv(
        tmp_path / "leads.csv", index=False
    )
    text = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  verdict: {from: leads.v, role: verdict, accepted: [a], rejected: [r]}
  rep: {from: leads.rep, role: rep}
  reason: {from: leads.reason, role: reason}
"""
    report = audit_leads(read_leads(parse_contract(text, folder=tmp_path)))
    assert codes(report) >= {"rep_dependent_labels", "verdict_contradicts_reason", "rejected_without_reason"}
    shown = report.to_frame().to_csv()
    assert "Ann" not in shown
    only = text.replace("rejected: [r]", "rejected: [x]")
    again = audit_leads(read_leads(parse_contract(only, folder=tmp_path)))
    assert "only_successes_recorded" in codes(again)


JUDGED = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  account: {from: leads.account, role: account}
  verdict: {from: leads.v, role: verdict, accepted: [a], rejected: [r]}
  rep: {from: leads.rep, role: rep}
  reason: {from: leads.reason, role: reason}
"""


def judge(folder, accepted, rep, account, reason=""):
    n = len(accepted)
    verdict = np.where(accepted, "a", "r")
    frame = pd.DataFrame({"id": range(n), "account": account, "v": verdict, "rep": rep, "reason": reason})
    frame.to_csv(folder / "leads.csv", index=False)
    return audit_leads(read_leads(parse_contract(JUDGED, folder=folder))).to_frame().set_index("code")


def test_reps_who_judge_one_account_by_chance_are_told_with_alpha(tmp_path):
    rng = np.random.default_rng(0)
    account = np.repeat([f"A{number}" for number in range(300)], 2)
    rep = np.tile(["Ann", "Bob"], 300)
    found = judge(tmp_path, rng.random(600) < 0.5, rep, account)
    row = found.loc["reps_judge_one_account_differently"]
    assert row["severity"] == "warning"
    assert row["evidence"]["accounts"] == 300
    assert row["evidence"]["alpha_low"] < 0 < row["evidence"]["alpha_high"]
    assert "Ann" not in found.to_csv()


def test_reps_who_agree_on_accounts_are_noted(tmp_path):
    rng = np.random.default_rng(0)
    account = np.repeat([f"A{number}" for number in range(300)], 2)
    alike = np.repeat(rng.random(300) < 0.5, 2)
    alike[:10] = ~alike[:10]  # the first five accounts, both leads each
    alike[20] = ~alike[20]
    row = judge(tmp_path, alike, np.tile(["Ann", "Bob"], 300), account).loc["reps_judge_one_account_alike"]
    assert row["severity"] == "note"
    assert row["evidence"]["split"] == 1
    assert row["evidence"]["alpha"] == pytest.approx(1 - (1 / 300) / 0.5, abs=0.01)


def test_one_rep_twice_on_an_account_is_no_overlap(tmp_path):
    rng = np.random.default_rng(0)
    account = np.repeat([f"A{number}" for number in range(300)], 2)
    found = judge(tmp_path, rng.random(600) < 0.5, np.repeat(["Ann", "Bob"] * 150, 2), account)
    assert not {"reps_judge_one_account_differently", "reps_judge_one_account_alike"} & set(found.index)


def test_reasons_that_depend_on_the_rep_are_told(tmp_path):
    rng = np.random.default_rng(0)
    rep = rng.choice(["Ann", "Bob", "Cy"], 900)
    words = np.array(["Too small", "Wrong industry"])
    accepted = np.zeros(900, bool)
    accepted[::3] = True
    account = np.arange(900)
    by_rep = np.where(rng.random(900) < np.where(rep == "Ann", 0.8, 0.3), words[0], words[1])
    found = judge(tmp_path, accepted, rep, account, np.where(accepted, "", by_rep))
    assert found.loc["rep_dependent_reasons", "evidence"]["words"] == 2
    by_chance = np.where(accepted, "", rng.choice(words, 900))
    assert "rep_dependent_reasons" not in judge(tmp_path, accepted, rep, account, by_chance).index


def test_a_report_can_be_shown_and_written():
    table, _ = generate_leads(6000, random_state=0)
    report = audit_leads(table)
    frame = report.to_frame()
    assert list(frame.columns) == ["code", "severity", "column", "message", "evidence"]
    assert list(report.to_dict()["findings"][0]) == ["code", "severity", "column", "message", "evidence"]
    assert len(repr(report).splitlines()) <= 10
    assert "AuditReport: 6,000 leads" in repr(report)
    assert "<table" in report._repr_html_()
    assert report.columns("nothing") == ()


def test_declared_knowledge_is_noted_not_accused(audited):
    won = labels()
    stage = np.where(won, "a", "b")
    kinds = {"stage": "category, known_at: after"}
    report = audited({"stage": stage}, kinds=kinds, won=won)
    assert codes(report, "stage") == {"known_after"}


def test_leads_without_labels_are_told(tmp_path):
    (tmp_path / "leads.csv").write_text("id,x\n" + "".join(f"{n},{n % 3}\n" for n in range(90)))
    text = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  id: {from: leads.id, role: id}
  x: {from: leads.x, role: attribute, type: integer, known_at: capture}
"""
    assert codes(audit_leads(read_leads(parse_contract(text, folder=tmp_path)))) == {"no_labels"}


def test_an_empty_table_has_no_findings(audited):
    report = audited({"x": np.array([], dtype=object)}, kinds={"x": "category"})
    assert codes(report) == {"known_at_undeclared"}


def test_one_class_gives_no_leak(audited):
    report = audited({"x": np.arange(300)}, kinds={"x": "integer"}, won=np.ones(300, dtype=bool))
    assert not codes(report) & {"leakage_single_column", "filled_after_outcome"}


def test_levels_are_shown_only_when_they_cannot_be_a_person():
    assert show_level("Web", 5) == "Web"
    assert show_level("Ann Lee", 1) == "aaa aaa"
    assert show_level("a@b.co", 50) == "a@a.aa"
    assert show_level("0049 1234567", 50) == "9999 9999999"


def test_words_for_no_value():
    assert all(looks_missing(word) for word in ("N/A", "-", "none", "[Not Provided]", "??", "#N/A", "TBD"))
    assert not any(looks_missing(word) for word in ("Nantes", "Other", "0", "Web", "Naomi"))


def test_areas_under_the_curve_by_hand():
    y = np.array([0.0, 0.0, 1.0, 1.0])
    assert rank_auc(y, np.array([1.0, 2.0, 2.0, 3.0])) == 0.875
    assert np.isnan(rank_auc(np.ones(3), np.arange(3.0)))
    rng = np.random.default_rng(0)
    noise = column_auc(
        cell_codes(pd.Series(rng.integers(0, 500, 4000).astype(str))), labels(1, 4000).astype(float)
    )
    assert abs(noise - 0.5) < 0.03
    dates = pd.Series(pd.date_range("2021-01-01", periods=100)).where(lambda day: day.dt.day > 3)
    assert len(np.unique(cell_codes(dates))) > 30
    assert set(cell_codes(pd.Series([np.nan, np.nan]))) == {0}

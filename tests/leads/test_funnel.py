import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.errors import LeadsError
from leadml.leads import (
    SyntheticWorld,
    compute_funnel,
    compute_lag_curve,
    find_recycled,
    generate_leads,
    parse_contract,
    read_leads,
    summarise_reasons,
    target_windows,
)
from leadml.leads._lags import window_from_curve

CONTRACT = """
name: tiny
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.created, role: created, type: date}
  kind: {from: leads.kind, role: attribute, type: category}
  size: {from: leads.size, role: attribute, type: integer}
  verdict: {from: leads.verdict, role: verdict, accepted: [a], rejected: [r]}
  decided_on: {from: leads.decided, role: decided, type: date}
  reason: {from: leads.reason, role: reason, families: {definitional: [Too small], contactability: [No answer]}}
  rep: {from: leads.rep, role: rep}
windows: {verdict: 10 days, outcome: 30 days}
"""


RECYCLED = """
name: x
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.created, role: created, type: date}
  company: {from: leads.account, role: account}
  verdict: {from: leads.verdict, role: verdict, accepted: [a], rejected: [r]}
"""


@pytest.fixture
def tiny(tmp_path):
    rows = ["id,created,kind,size,verdict,decided,reason,rep"]
    rows += [f"w{n},2021-01-01,web,5,a,2021-01-0{1 + n % 3},,Ann" for n in range(20)]
    rows += [
        f"r{n},2021-01-01,web,5,r,2021-01-09,{'Too small' if n < 6 else 'No answer'},Bob" for n in range(10)
    ]
    rows += [f"x{n},2021-01-01,web,5,r,2021-01-09,,Bob" for n in range(4)]
    rows += [f"o{n},2021-01-01,list,,,,,Bob" for n in range(25)]
    rows += [f"s{n},2021-01-01,fair,,a,2021-01-02,,Cleo" for n in range(3)]
    (tmp_path / "leads.csv").write_text("\n".join([*rows, ""]))
    return read_leads(parse_contract(CONTRACT, folder=tmp_path))


def test_a_funnel_counts_by_hand(tiny):
    report = compute_funnel(tiny, by="kind", limit_days=2)
    frame = report.to_frame().set_index("group")
    assert list(frame.index) == ["list", "web"]
    assert report.hidden == 1
    web = frame.loc["web"]
    assert web[["captured", "handed_over", "decided", "accepted"]].tolist() == [34, 34, 34, 20]
    assert web["days_to_verdict"] == 2
    assert web["in_time"] == pytest.approx(20 / 34)
    assert web["unworked"] == 0
    assert web["won"] == 0
    assert frame.loc["list", "handed_over"] == 0
    assert frame.loc["list", "unworked"] == 25  # no handoff is dated: every captured lead waits
    assert "1 too small to show" in repr(report)
    assert "<table" in report._repr_html_()


def test_reps_are_shown_without_their_names(tiny):
    report = compute_funnel(tiny, by="rep")
    assert report.frame["group"].tolist() == ["rep 1", "rep 2"]
    assert "Ann" not in repr(report) + report._repr_html_()


def test_rates_leave_out_what_is_too_young():
    table, _ = generate_leads(12_000, random_state=0)
    frame = compute_funnel(table).frame.set_index("group")
    assert np.isnan(frame.loc["2026Q1", "won_rate"])
    assert frame.loc["2026Q1", "too_young"] > 500
    for row in frame.loc[["2025Q1", "2025Q2"]].itertuples():
        assert row.won_low < row.won_rate < row.won_high
        assert row.accepted_low < row.accepted_rate < row.accepted_high
    assert (frame["captured"] >= frame["handed_over"]).all()
    assert frame["unworked"].loc["2026Q1"] > 0


def test_groups_must_be_groups(tiny):
    with pytest.raises(LeadsError, match="'size' is integer"):
        compute_funnel(tiny, by="size")
    with pytest.raises(LeadsError, match="expected one of period, rep, kind"):
        compute_funnel(tiny, by="nothing")
    with pytest.raises(LeadsError, match="expected a category"):
        compute_funnel(tiny, by="verdict")


def test_without_reps_there_is_no_table_of_reps(tmp_path):
    (tmp_path / "leads.csv").write_text("id\n1\n")
    contract = "name: x\ntables: {leads: {path: leads.csv}}\ncolumns: {id: {from: leads.id, role: id}}\n"
    table = read_leads(parse_contract(contract, folder=tmp_path))
    with pytest.raises(LeadsError, match="no column with role rep"):
        compute_funnel(table, by="rep")
    assert compute_funnel(table).frame.empty
    with pytest.raises(LeadsError, match="no verdict with a reason"):
        summarise_reasons(table)


def test_nobody_knows_the_response_time_where_answers_have_no_date(tiny):
    undated = tiny.frame.assign(
        decided_on=tiny.frame["decided_on"].where(tiny.frame["verdict"] != "rejected")
    )
    frame = compute_funnel(dataclasses.replace(tiny, frame=undated), by="kind").frame.set_index("group")
    assert np.isnan(frame.loc["web", "in_time"])
    assert frame.loc["web", "unworked"] == 0


def test_without_verdicts_nobody_is_called_unworked(tiny):
    names = [each for each in tiny.contract.columns if each.role != "verdict"]
    contract = dataclasses.replace(tiny.contract, columns=tuple(names))
    table = dataclasses.replace(tiny, contract=contract, frame=tiny.frame.drop(columns="verdict"))
    frame = compute_funnel(table, by="kind").frame
    assert frame["unworked"].isna().all()
    assert frame["in_time"].isna().all()
    assert frame["captured"].tolist() == [25, 34]


def test_only_definitional_reasons_count_against_the_definition(tiny):
    reasons = summarise_reasons(tiny).set_index("family")
    assert reasons["n"].to_dict() == {"definitional": 6, "contactability": 4, "none given": 4}
    assert reasons["share"].sum() == pytest.approx(1)
    assert reasons.index[reasons["counts_against"]].tolist() == ["definitional"]
    assert reasons.loc["definitional", "stage"] == "before contact"
    assert reasons.loc["contactability", "stage"] == "after contact"
    assert reasons.loc["none given", "stage"] == "not known"


def test_the_lag_curve_is_not_fooled_by_young_leads():
    world = SyntheticWorld(close_days=90.0, n_months=12, drift=0.0)
    table, _ = generate_leads(60_000, random_state=1, world=world)
    curve = compute_lag_curve(table, target="won")
    assert curve["share"].is_monotonic_increasing
    assert curve["rate"].iloc[-1] < 0.2
    frame = table.frame[table.frame["outcome"] == "won"]
    lags = (frame["closed_on"] - frame["handed_on"]).dt.days
    naive = float(np.quantile(lags, 0.9))
    # The true 90 % point of a gamma(2) lag with mean 90 days is 175 days.
    assert abs(window_from_curve(curve) - 175) < 12
    assert naive < 165


def test_the_lag_curve_of_a_whole_cohort_is_the_share_closed(tmp_path):
    rows = ["id,created,kind,size,verdict,decided,reason,rep"]
    rows += [f"{n},2020-01-01,web,5,a,2020-01-{1 + n:02d},,A" for n in range(20)]
    rows += ["99,2021-01-01,web,5,,,,A"]
    (tmp_path / "leads.csv").write_text("\n".join([*rows, ""]))
    table = read_leads(parse_contract(CONTRACT, folder=tmp_path))
    curve = compute_lag_curve(table, target="accepted")
    assert curve["days"].tolist() == list(range(20))
    np.testing.assert_allclose(curve["share"], np.arange(1, 21) / 20, atol=0.005)


def test_without_dates_there_is_no_curve(tmp_path):
    (tmp_path / "leads.csv").write_text("id\n1\n")
    contract = "name: x\ntables: {leads: {path: leads.csv}}\ncolumns: {id: {from: leads.id, role: id}}\n"
    table = read_leads(parse_contract(contract, folder=tmp_path))
    assert compute_lag_curve(table, target="won").empty
    assert target_windows(table) == {"accepted": None, "won": None}
    with pytest.raises(LeadsError, match="expected 'accepted' or 'won'"):
        compute_lag_curve(table, target="lost")


def test_recycled_leads_are_followed(tmp_path):
    rows = [
        "id,created,account,verdict",
        "1,2021-01-01,A,r",
        "2,2021-03-01,A,a",
        "3,2021-01-01,B,a",
        "4,2021-02-01,B,r",
        "5,2021-01-05,C,r",
        "6,2021-01-05,C,r",
        "7,2021-01-25,C,",
        "8,2021-01-25,,r",
    ]
    (tmp_path / "leads.csv").write_text("\n".join([*rows, ""]))
    found = find_recycled(read_leads(parse_contract(RECYCLED, folder=tmp_path)))
    assert found[["lead_id", "earlier_lead_id"]].to_numpy().tolist() == [["2", "1"], ["7", "6"]]
    assert found["days_between"].tolist() == [59, 20]
    assert found["verdict"].tolist() == ["accepted", "pending"]
    without = RECYCLED.replace("  company: {from: leads.account, role: account}\n", "")
    with pytest.raises(LeadsError, match="role account and dates"):
        find_recycled(read_leads(parse_contract(without, folder=tmp_path)))


def test_a_lead_whose_account_was_still_being_worked_is_not_recycled(tmp_path):
    rows = [
        "id,created,account,verdict,decided,outcome,closed",
        "1,2021-01-01,A,r,2021-03-01,,",
        "2,2021-02-01,A,r,2021-02-10,,",  # the first was not yet rejected
        "3,2021-02-20,A,a,2021-02-21,,",  # the second was, the first was not
        "4,2021-03-20,A,a,2021-03-21,,",  # the first was rejected last
        "5,2021-01-01,B,a,2021-01-02,l,2021-06-01",
        "6,2021-05-01,B,a,2021-05-02,,",
        "7,2021-07-01,B,a,2021-07-02,,",
        "8,2021-01-01,C,r,,,",  # nobody knows when
        "9,2021-01-02,C,a,2021-01-03,,",
    ]
    (tmp_path / "leads.csv").write_text("\n".join([*rows, ""]))
    text = (
        RECYCLED
        + """  decided: {from: leads.decided, role: decided, type: date}
  outcome: {from: leads.outcome, role: outcome, won: [w], lost: [l]}
  closed: {from: leads.closed, role: closed, type: date}
"""
    )
    found = find_recycled(read_leads(parse_contract(text, folder=tmp_path)))
    pairs = dict(zip(found["lead_id"], found["earlier_lead_id"], strict=True))
    assert pairs == {"3": "2", "4": "1", "7": "5", "9": "8"}
    assert found.set_index("lead_id").loc["4", "days_between"] == 78


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B", None]), st.integers(0, 6), st.sampled_from("ar")), max_size=14
    )
)
def test_a_recycled_lead_is_paired_with_the_latest_that_had_ended_before_it(leads):
    table, _ = generate_leads(10)
    starts = [pd.Timestamp("2024-01-01") + pd.Timedelta(days=day) for _, day, _ in leads]
    verdicts = [{"a": "accepted", "r": "rejected"}[verdict] for _, _, verdict in leads]
    frame = pd.DataFrame(
        {
            "lead_id": pd.Series([str(place) for place in range(len(leads))], dtype=object),
            "created_on": pd.Series(starts, dtype="datetime64[ns]"),
            "company": pd.Series([account for account, _, _ in leads], dtype=object),
            "verdict": pd.Series(verdicts, dtype=object),
        }
    )
    contract = parse_contract(RECYCLED)
    found = find_recycled(dataclasses.replace(table, frame=frame, contract=contract))
    expected = {}
    for place, (account, day, _) in enumerate(leads):
        before = [
            (other_day, other)
            for other, (other_account, other_day, verdict) in enumerate(leads)
            if account is not None and other_account == account and other_day < day and verdict == "r"
        ]
        if before:
            earlier_day, earlier = max(before)
            expected[str(place)] = (str(earlier), day - earlier_day)
    assert {
        lead: (earlier, days)
        for lead, earlier, days in zip(
            found["lead_id"], found["earlier_lead_id"], found["days_between"], strict=True
        )
    } == expected

import datetime as dt

import numpy as np
import pytest

from leadml.errors import LeadsError
from leadml.leads import (
    SyntheticWorld,
    compute_targets,
    generate_leads,
    parse_contract,
    read_leads,
    split_periods,
    target_windows,
)

HEADER = "id,created,handed,verdict,decided,outcome,closed,amount,w"
CONTRACT = """
name: tiny
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.created, role: created, type: date}
  handed_on: {from: leads.handed, role: handed_over, type: date}
  verdict: {from: leads.verdict, role: verdict, accepted: [a], rejected: [r]}
  decided_on: {from: leads.decided, role: decided, type: date}
  outcome: {from: leads.outcome, role: outcome, won: [w], lost: [l]}
  closed_on: {from: leads.closed, role: closed, type: date}
  amount: {from: leads.amount, role: amount, type: number}
  weight: {from: leads.w, role: weight, type: number}
windows: {verdict: 10 days, outcome: 90 days}
"""
AS_OF = dt.date(2021, 12, 31)


def tiny(tmp_path, *rows, contract=CONTRACT):
    (tmp_path / "leads.csv").write_text("\n".join([HEADER, *rows, ""]))
    return read_leads(parse_contract(contract, folder=tmp_path), as_of=AS_OF)


def one(tmp_path, row, contract=CONTRACT):
    return compute_targets(tiny(tmp_path, row, contract=contract)).iloc[0]


@pytest.mark.parametrize(
    ("row", "accepted", "won"),
    [
        ("1,2021-01-01,2021-01-02,a,2021-01-05,w,2021-02-01,5,", 1.0, 1.0),
        ("1,2021-01-01,2021-01-02,r,2021-01-05,,,,", 0.0, 0.0),  # worked, never won, old: not won
        ("1,2021-01-01,2021-01-02,a,2021-01-05,l,2021-02-01,,", 1.0, 0.0),
        ("1,2021-01-01,2021-01-02,a,2021-01-05,w,2021-04-02,,", 1.0, 1.0),  # day 90 is inside
        ("1,2021-01-01,2021-01-02,a,2021-01-05,w,2021-04-03,,", 1.0, 0.0),  # day 91 is too late
        ("1,2021-01-01,2021-01-02,a,2021-01-05,w,,,", 1.0, 1.0),  # day unknown
        ("1,2021-12-01,2021-12-02,a,2021-12-05,,,,", 1.0, np.nan),  # open and young: unknown
        ("1,2021-12-01,2021-12-02,a,2021-12-05,l,2021-12-20,,", 1.0, 0.0),
        ("1,2021-01-01,2021-01-02,,,,,,", np.nan, 0.0),
        ("1,2021-01-01,,,,,,,", np.nan, np.nan),  # never handed over: nothing is known
    ],
)
def test_a_label_is_known_only_when_it_can_be(tmp_path, row, accepted, won):
    target = one(tmp_path, row)
    np.testing.assert_equal([target["accepted"], target["won"]], [accepted, won])


def test_ages_count_from_the_handoff_and_else_from_creation(tmp_path):
    table = tiny(tmp_path, "1,2021-12-01,2021-12-21,,,,,,", "2,2021-12-01,,,,,,,2.5", "3,,,,,,,,")
    targets = compute_targets(table)
    np.testing.assert_equal(targets["age_days"].tolist(), [10.0, 30.0, np.nan])
    assert targets["worked"].tolist() == [True, False, False]
    assert targets["accepted_mature"].tolist() == [True, True, False]
    assert targets["won_mature"].tolist() == [False, False, False]
    assert targets["weight"].tolist() == [1.0, 2.5, 1.0]
    assert targets["period"].tolist() == ["2021Q4", "2021Q4", "unknown"]
    later = compute_targets(table, as_of=dt.date(2022, 12, 31))
    assert later["won_mature"].tolist() == [True, True, False]
    np.testing.assert_equal(later["won"].tolist(), [0.0, np.nan, np.nan])


def test_without_verdicts_every_lead_was_worked(tmp_path):
    lines = [line for line in CONTRACT.splitlines() if "verdict:" not in line or "windows" in line]
    contract = "\n".join(line for line in lines if "handed" not in line and "decided" not in line)
    targets = compute_targets(tiny(tmp_path, "1,2021-01-01,,,,w,2021-01-09,,", contract=contract))
    assert targets["worked"].tolist() == [True]
    assert targets["won"].tolist() == [1.0]
    assert targets["accepted"].isna().all()


def test_with_verdicts_but_no_handoff_a_decided_lead_was_worked(tmp_path):
    contract = "\n".join(line for line in CONTRACT.splitlines() if "handed" not in line)
    table = tiny(
        tmp_path, "1,2021-01-01,,a,,,,,", "2,2021-01-01,,,,,,,", "3,2021-01-01,,,,l,,,", contract=contract
    )
    assert compute_targets(table)["worked"].tolist() == [True, False, True]


def test_a_running_number_gives_order_but_no_age(tmp_path):
    contract = """
name: order
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.id, role: id}
  number: {from: leads.amount, role: created, type: sequence}
  outcome: {from: leads.outcome, role: outcome, won: [w], lost: [l]}
"""
    rows = [f"{n},,,,,{'w' if n % 3 == 0 else 'l'},,{1000 - n}," for n in range(100)]
    table = tiny(tmp_path, *rows, contract=contract)
    targets = compute_targets(table)
    assert targets["age_days"].isna().all()
    assert targets["won_mature"].all()
    assert targets["period"].value_counts().to_dict() == {f"block {n}": 20 for n in range(1, 6)}
    assert targets["period"].iloc[0] == "block 5"  # the first row has the highest number
    split = split_periods(table, targets, target="won")
    assert (split.discover.sum(), split.confirm.sum()) == (60, 40)
    assert split.confirm_periods == ("block 4", "block 5")
    assert split.confirm_from is None
    with pytest.raises(LeadsError, match="no dates, only a running number"):
        split_periods(table, targets, target="won", confirm_from=AS_OF)


def test_without_any_order_the_place_in_the_file_is_the_order(tmp_path):
    contract = """
name: order
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.id, role: id}
  outcome: {from: leads.outcome, role: outcome, won: [w], lost: [l]}
"""
    table = tiny(tmp_path, *(f"{n},,,,,w,,," for n in range(10)), contract=contract)
    assert compute_targets(table)["period"].tolist()[::2] == [f"block {n}" for n in range(1, 6)]


def test_windows_left_to_the_data_follow_the_lags(tmp_path):
    contract = CONTRACT.replace("windows: {verdict: 10 days, outcome: 90 days}", "windows: from data")
    rows = [
        f"{n},2020-0{1 + n % 9}-01,2020-0{1 + n % 9}-01,a,2020-0{1 + n % 9}-05,w,2020-0{1 + n % 9}-2{n % 9},,"
        for n in range(100)
    ]
    windows = target_windows(tiny(tmp_path, *rows, contract=contract))
    assert windows == {"accepted": 30, "won": 30}  # never shorter than a month
    far = [f"{n},2020-01-01,2020-01-01,a,2020-01-05,w,2020-{5 + n % 6:02d}-01,," for n in range(100)]
    assert target_windows(tiny(tmp_path, *far, contract=contract))["won"] >= 240


def test_the_last_two_matured_quarters_confirm():
    table, _ = generate_leads(4000, random_state=1)
    targets = compute_targets(table)
    split = split_periods(table, targets, target="won")
    assert split.confirm_periods == ("2025Q3", "2025Q4")
    assert split.discover_periods == ("2025Q1", "2025Q2")
    assert not (split.discover & split.confirm).any()
    assert split.confirm_from >= dt.date(2025, 7, 1)
    assert split.confirm_to <= dt.date(2025, 12, 31)
    used = split.discover | split.confirm
    assert targets.loc[used, "won"].notna().all()
    assert targets.loc[used, "won_mature"].all()
    frame = split.to_frame()
    assert frame["n"].tolist() == [split.discover.sum(), split.confirm.sum()]
    assert "2025Q3 to 2025Q4" in repr(split)
    assert "TimeSplit" in split._repr_html_()
    one_quarter = split_periods(table, targets, target="won", n_confirm=1)
    assert one_quarter.confirm_periods == ("2025Q4",)


def test_the_split_does_not_look_at_outcomes():
    table, _ = generate_leads(3000, random_state=2)
    targets = compute_targets(table)
    split = split_periods(table, targets, target="won")
    shuffled = targets.copy()
    known = shuffled["won"].notna()
    shuffled.loc[known, "won"] = np.random.default_rng(0).permutation(shuffled.loc[known, "won"])
    again = split_periods(table, shuffled, target="won")
    assert (split.confirm == again.confirm).all()
    assert (split.discover == again.discover).all()


def test_a_given_day_begins_the_confirmation():
    table, _ = generate_leads(3000, random_state=2)
    targets = compute_targets(table)
    split = split_periods(table, targets, target="accepted", confirm_from=dt.date(2025, 6, 15))
    assert split.confirm_from >= dt.date(2025, 6, 15)
    assert targets.loc[split.discover, "t0"].max() < np.datetime64("2025-06-15")


def test_with_few_matured_quarters_the_newest_two_fifths_confirm():
    table, _ = generate_leads(3000, random_state=2, world=SyntheticWorld(n_months=8))
    targets = compute_targets(table)
    split = split_periods(table, targets, target="won")
    share = split.confirm.sum() / (split.confirm.sum() + split.discover.sum())
    assert 0.35 < share < 0.45
    assert targets.loc[split.discover, "t0"].max() <= targets.loc[split.confirm, "t0"].min()


def test_an_unknown_target_is_refused():
    table, _ = generate_leads(100, random_state=2)
    with pytest.raises(LeadsError, match="expected 'accepted' or 'won'"):
        split_periods(table, compute_targets(table), target="lost")


def test_no_leads_and_all_open_leads_give_empty_parts(tmp_path):
    table = tiny(tmp_path)
    targets = compute_targets(table)
    assert len(targets) == 0
    assert split_periods(table, targets, target="won").confirm.sum() == 0
    young = tiny(tmp_path, "1,2021-12-30,2021-12-30,,,,,,")
    split = split_periods(young, compute_targets(young), target="won")
    assert (split.discover.sum(), split.confirm.sum()) == (0, 0)
    assert "none" in repr(split)

import time

import numpy as np
import pandas as pd
import pytest

from leadml.errors import LeadsError
from leadml.leads import (
    DEMO_CONTRACT,
    DEMO_DEFINITION,
    SyntheticWorld,
    compute_targets,
    generate_leads,
    load_contract,
    parse_contract,
    read_leads,
    render_demo_definition,
    write_synthetic_leads,
)


def test_equal_seeds_give_equal_leads():
    first, _ = generate_leads(800, random_state=3)
    again, _ = generate_leads(800, random_state=3)
    other, _ = generate_leads(800, random_state=4)
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert not first.frame.equals(other.frame)


def test_ten_thousand_leads_are_quick():
    generate_leads(10, random_state=0)
    begin = time.process_time()
    generate_leads(10_000, random_state=0)
    assert time.process_time() - begin < 0.6


def test_the_export_reads_back_to_the_clean_leads_and_every_trap_is_found(tmp_path):
    export = write_synthetic_leads(tmp_path, n_leads=3000, random_state=5)
    table = read_leads(load_contract(export.contract_path))
    counts = table.manifest
    assert counts.read == counts.kept + counts.quarantined + counts.duplicates == 3014
    found = set(table.quarantine[["table", "line", "rule"]].itertuples(index=False, name=None))
    planted = set(export.traps.loc[export.traps["rule"] != "duplicate"].itertuples(index=False, name=None))
    assert found == planted
    assert counts.duplicates == 2
    clean, _ = generate_leads(3000, random_state=5)
    for name in table.frame.columns:
        if name in {"lead_source", "rep", "amount"}:  # unanswered lists, queues, random stream
            continue
        np.testing.assert_array_equal(table.frame[name].isna(), clean.frame[name].isna(), err_msg=name)
        got, wanted = table.frame[name].dropna(), clean.frame[name].dropna()
        assert (got.astype(str) == wanted.astype(str)).all(), name
    np.testing.assert_allclose(table.frame["amount"], clean.frame["amount"])
    assert table.frame["lead_source"].isna().any()
    assert len(export.to_frame()) == 14
    assert "traps" not in repr(export)
    assert export._repr_html_().startswith("<pre>")


def test_a_tiny_export_has_no_room_for_traps(tmp_path):
    export = write_synthetic_leads(tmp_path, n_leads=10, random_state=5)
    assert len(read_leads(load_contract(export.contract_path))) == 10
    assert export.traps.empty


def test_the_planted_truth_holds_in_the_drawn_leads():
    table, truth = generate_leads(60_000, random_state=6)
    frame = truth.to_frame()
    world = truth.world
    outside = frame.loc[~frame["meets_true"], "win_probability"]
    assert outside.max() <= world.win_rate_outside * 1.2
    assert frame.loc[frame["meets_true"], "win_probability"].min() > world.break_even
    drawn = frame["would_win"].mean()
    assert abs(drawn - frame["win_probability"].mean()) < 0.003
    targets = compute_targets(table)
    worked = targets["worked"].to_numpy()
    assert (worked == frame["meets_written"].to_numpy())[targets["age_days"] > 2].all()
    small = worked & (table.frame["employees"] < 50).fillna(False).to_numpy(dtype=bool)
    large = worked & (table.frame["employees"] >= 50).fillna(False).to_numpy(dtype=bool)
    won = targets["won"].to_numpy()
    assert np.nanmean(won[small]) < 0.01
    assert np.nanmean(won[large]) > 2 * world.break_even
    assert table.manifest.read == 60_000


def test_reps_differ_and_old_leads_lose_their_pending_verdicts():
    table, truth = generate_leads(20_000, random_state=7)
    targets = compute_targets(table)
    rates = targets["accepted"].groupby(table.frame["rep"].to_numpy()).mean()
    assert rates.max() - rates.min() > 0.1
    assert np.corrcoef(truth.strictness, rates.sort_index())[0, 1] < -0.8
    pending = targets["accepted"].isna() & targets["worked"]
    assert pending[targets["age_days"] > 60].mean() == 0
    assert pending[(targets["age_days"] < 5) & targets["worked"]].mean() > 0.2


def test_lags_open_deals_and_reasons_are_as_the_world_says():
    world = SyntheticWorld(n_months=36, drift=0.0, close_days=40.0)
    table, truth = generate_leads(40_000, random_state=0, world=world)
    frame = table.frame
    old = (frame["handed_on"] < pd.Timestamp("2027-06-01")).to_numpy()
    answered = (frame["decided_on"] - frame["handed_on"]).dt.days[old]
    assert answered.mean() == pytest.approx(5, abs=0.2)
    assert answered.max() <= 45
    closed = (frame["closed_on"] - frame["handed_on"]).dt.days
    assert closed[old & (frame["outcome"] == "won")].mean() == pytest.approx(
        41, abs=2
    )  # not before the verdict
    assert closed[old & (frame["outcome"] == "lost")].mean() == pytest.approx(1.2 * 40, abs=2)
    lost = old & (frame["verdict"] == "accepted").to_numpy() & ~truth.frame["would_win"].to_numpy()
    assert (frame["outcome"][lost] == "open").mean() == pytest.approx(world.open_share, abs=0.03)
    small = (frame["verdict"] == "rejected") & (frame["employees"] < world.true_employees).fillna(False)
    assert (frame["reason"][small] == "Company too small").mean() == pytest.approx(0.6, abs=0.04)
    missing = frame[["purchase_timeframe", "title_level", "employees"]].isna().mean()
    assert missing.to_numpy() == pytest.approx([world.missing_share] * 3, abs=0.01)


def test_a_world_can_be_already_optimal():
    _, truth = generate_leads(5000, random_state=8, world=SyntheticWorld.already_optimal())
    assert (truth.frame["meets_written"] == truth.frame["meets_true"]).all()


def test_exploration_and_overrides_hand_over_leads_outside_the_definition():
    world = SyntheticWorld(exploration_share=0.1, override_share=0.05)
    table, truth = generate_leads(20_000, random_state=9, world=world)
    frame = truth.frame
    outside = ~frame["meets_written"]
    assert abs(frame.loc[outside, "explored"].mean() - 0.1) < 0.01
    assert frame.loc[outside, "picked"].mean() > 0.02
    handed = table.frame["handed_on"].notna()
    old = compute_targets(table)["age_days"] > 2
    assert (handed == (frame["meets_written"] | frame["explored"] | frame["picked"]))[old].all()


def test_the_definition_of_a_world_says_its_thresholds():
    text = render_demo_definition(SyntheticWorld(written_employees=100, cost=300.0))
    assert "employees >= 100 " in text
    assert "worked_lead: 300" in text
    assert "purchase_timeframe <= 6 " in text
    assert render_demo_definition(SyntheticWorld()) == DEMO_DEFINITION


def test_the_demo_contract_describes_the_generated_leads():
    contract = parse_contract(DEMO_CONTRACT)
    table, _ = generate_leads(50, random_state=0)
    names = [column.name for column in contract.columns if column.role != "personal"]
    assert [name for name in table.frame.columns if name != "reason_family"] == names


def test_no_leads_cannot_be_drawn():
    with pytest.raises(LeadsError, match="expected at least 1"):
        generate_leads(0, random_state=0)


def test_a_world_ends_on_the_last_day_of_its_months():
    assert SyntheticWorld(n_months=1).as_of.isoformat() == "2025-01-31"
    assert SyntheticWorld(n_months=12).as_of.isoformat() == "2025-12-31"

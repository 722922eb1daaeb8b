"""What the real sets are known to say, out of time and without leaks."""

import runpy

import pytest

from leadml.definitions import load_definition
from leadml.leads import compute_targets, load_contract, read_leads, split_periods
from leadml.models import train_model


def _train(root, contract, definition, target):
    table = read_leads(load_contract(root / "experiments" / "contracts" / f"{contract}.yaml"))
    targets = compute_targets(table)
    split = split_periods(table, targets, target=target)
    written = load_definition(root / "experiments" / "definitions" / f"{definition}.yaml")
    return train_model(table, targets, target=target, definition=written, split=split)


def _needs(shared_data, root, name):
    if not (shared_data / name).is_dir() or shared_data != root.parent / "shared" / "data":
        pytest.skip(f"the {name} set does not lie where its contract says")


@pytest.mark.parametrize("contract", ["marketstar", "marketstar-sdr"])
def test_nothing_predicts_acceptance_at_marketstar(root, shared_data, contract):
    _needs(shared_data, root, "marketstar")
    model = _train(root, contract, "marketstar-2022.1", "accepted")
    metrics = model.evaluation.metrics
    assert model.evaluation.verdict == "nothing here predicts acceptance"
    assert metrics["auc_low"] <= 0.5
    assert metrics["auc"] < 0.56


def test_honest_attributes_of_xeducation_reach_the_quoted_level(root, shared_data):
    _needs(shared_data, root, "xeducation")
    model = _train(root, "xeducation", "xeducation-2026.1", "won")
    metrics = model.evaluation.metrics
    assert metrics["auc"] == pytest.approx(0.83, abs=0.02)
    assert metrics["log_loss"] < 0.49
    assert metrics["calibration_slope"] == pytest.approx(1, abs=0.12)
    names = {feature.name for feature in model.features}
    assert not names & {"tags", "lead_quality", "lead_profile", "last_activity", "last_notable_activity"}
    assert "site_seconds" in names


@pytest.mark.slow
def test_the_moved_level_of_the_bank_is_noticed_and_recalibrated(root, shared_data, tmp_path, monkeypatch):
    if not (shared_data / "bank_marketing").is_dir():
        pytest.skip("the bank_marketing set is not there")
    monkeypatch.setenv("LEADML_SHARED_DATA", str(shared_data))
    script = runpy.run_path(str(root / "experiments" / "benchmarks" / "real_data.py"))
    bank = next(real for real in script["SETS"] if real.contract == "bank-marketing")
    contract = load_contract(root / "experiments" / "contracts" / "bank-marketing.yaml")
    table = read_leads(contract, leads=script["prepare"](bank, tmp_path))
    targets = compute_targets(table)
    split = split_periods(table, targets, target="won", n_confirm=1)
    model = train_model(table, targets, target="won", definition=None, split=split)
    assert model.level.expected < 0.15
    assert model.level.observed == pytest.approx(0.308, abs=0.001)
    assert model.level.shifted
    assert model.level.log_loss_recalibrated < model.level.log_loss_trained - 0.1
    later = table.frame.loc[model.holdout.index]
    assert model.predict_proba(later).mean() == pytest.approx(0.308, abs=0.01)
    assert model.predict_proba(later, level="trained").mean() == pytest.approx(
        model.level.expected, abs=0.001
    )

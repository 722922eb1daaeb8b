"""The loop on real leads; skipped where the data sets are absent."""

from dataclasses import replace

import pytest

from leadml.experiment import analyse_experiment, load_experiment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def analyse(root, shared_data):
    """Run an experiment of the project, its export taken from where the data sets are."""
    found = {}

    def run(name, export):
        if name not in found:
            experiment = load_experiment(root / "experiments" / f"{name}.yaml")
            found[name] = analyse_experiment(replace(experiment, leads=shared_data / export))
        return found[name]

    return run


def test_account_managers_acceptance_is_unexplained_and_nothing_is_proposed(analyse):
    result = analyse("2026q3-marketstar", "marketstar/Leads.csv")
    metrics = result.models["accepted"].evaluation.metrics
    assert metrics["auc_low"] <= 0.5 <= metrics["auc_high"]
    assert result.models["accepted"].evaluation.verdict == "nothing here predicts acceptance"
    assert result.proposals.proposals == ()
    rows = result.table.manifest
    assert rows.read == 43_033 == rows.kept + rows.quarantined + rows.duplicates
    verdicts = result.table.role("verdict").value_counts()
    assert (verdicts["accepted"], verdicts["rejected"]) == (697, 364)


def test_sales_development_reps_qualify_by_lead_source_which_is_one_purchased_batch(analyse):
    result = analyse("2026q3-marketstar-sdr", "marketstar/Leads.csv")
    assert result.proposals.proposals == ()
    mature = result.targets["accepted_mature"]
    source = result.table.frame.loc[mature, "lead_source"]
    rate = result.targets.loc[mature, "accepted"].groupby(source, observed=True).mean()
    quoted = {"Web Registration": 0.048, "Trade Shows and Events": 0.024, "Purchased List": 0.007}
    assert rate.to_dict() == pytest.approx(quoted, abs=0.0025)
    batch = [finding for finding in result.audit.findings if finding.column == "lead_source"]
    assert any("one batch" in finding.message for finding in batch)
    rows = result.comparison.to_frame().set_index(["criterion", "target"])
    by_source = rows.loc[("hot.lead_source", "accepted")]
    for other in ("hot.employees", "hot.title"):
        separation = (
            rows.loc[(other, "accepted"), "rate_inside"] - rows.loc[(other, "accepted"), "rate_outside"]
        )
        assert separation < (by_source["rate_inside"] - by_source["rate_outside"]) / 2


def test_time_on_site_is_found_near_600_seconds_without_the_leaky_columns(analyse):
    result = analyse("2026q3-xeducation", "xeducation/Leads.csv")
    model = result.models["won"]
    features = {feature.name for feature in model.features}
    assert "site_seconds" in features
    assert not features & {
        "tags",
        "lead_quality",
        "lead_profile",
        "last_activity",
        "last_notable_activity",
        "occupation",
    }
    assert model.evaluation.metrics["auc"] == pytest.approx(0.83, abs=0.02)
    assert model.evaluation.metrics["log_loss"] < 0.52
    (proposal,) = result.proposals.proposals
    assert proposal.written == "site_seconds >= 1000 or missing"
    assert proposal.proposed in {
        "site_seconds >= 500 or missing",
        "site_seconds >= 600 or missing",
        "site_seconds >= 700 or missing",
    }
    assert proposal.value.low > 0
    assert result.table.frame["site_seconds"].min() > 0

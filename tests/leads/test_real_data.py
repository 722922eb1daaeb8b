"""The shipped contracts on the real files: row counts and the facts known about them."""

import pytest

from leadml.leads import compute_targets, load_contract, read_leads, split_periods


@pytest.fixture(scope="module")
def shipped(root, shared_data):
    if not (root.parent / "shared" / "data").is_dir():
        pytest.skip("the shipped contracts read ../shared/data, which is not there")
    folder = root / "experiments" / "contracts"
    return lambda name: read_leads(load_contract(folder / f"{name}.yaml"))


def test_the_account_managers_loop(shipped):
    table = shipped("marketstar")
    counts = table.manifest
    assert (counts.read, counts.kept, counts.quarantined, counts.duplicates) == (43_033, 43_033, 0, 0)
    assert counts.other_tables[0].kept == 1_061
    assert table.role("verdict").value_counts().to_dict() == {
        "pending": 41_972,
        "accepted": 697,
        "rejected": 364,
    }
    assert table.role("decided").notna().sum() == 1_061
    targets = compute_targets(table)
    assert targets["worked"].sum() == 1_061
    split = split_periods(table, targets, target="accepted")
    assert split.confirm_periods == ("2022Q1", "2022Q2")


def test_the_sdrs_loop(shipped):
    table = shipped("marketstar-sdr")
    verdict = table.role("verdict")
    assert verdict.value_counts().to_dict() == {"rejected": 29_673, "pending": 12_299, "accepted": 1_061}
    source = table.frame["lead_source"]
    touched = (verdict != "pending").groupby(source, observed=True).sum()
    qualified = (verdict == "accepted").groupby(source, observed=True).sum()
    rate = (qualified / touched).round(3).to_dict()
    assert rate == {"Purchased List": 0.007, "Trade Shows and Events": 0.025, "Web Registration": 0.052}
    batch = table.frame.loc[source == "Purchased List", "created_on"]
    assert set(batch.dt.strftime("%Y-%m")) == {"2021-01"}
    assert table.frame.loc[(verdict == "accepted").to_numpy(), "reason"].notna().sum() == 484
    notice = next(each for each in table.manifest.notices if each.startswith("verdict"))
    assert "New (10,466)" in notice


def test_the_online_school(shipped):
    table = shipped("xeducation")
    assert len(table) == 9_240
    assert table.role("outcome").value_counts()["won"] == 3_561
    seconds = table.frame["site_seconds"]
    assert seconds.isna().sum() == 2_193
    assert seconds.min() > 0
    assert "as of" not in repr(table)
    after = [column.name for column in table.contract.columns if column.known_at == "after"]
    assert set(after) >= {"tags", "lead_quality", "lead_profile", "last_activity", "last_notable_activity"}

import hashlib
import shutil

import pandas as pd
import pytest

from leadml._files import locked_file
from leadml.definitions import assign_classes, explain_classes, parse_definition
from leadml.errors import (
    BundleError,
    InputMissingError,
    LeadsError,
    LockedError,
    OutputError,
    QuarantineError,
)
from leadml.leads import read_leads
from leadml.models import Bundle
from leadml.scoring import SCORE_COLUMNS, score_frame, score_leads

AFTER_HANDOFF = ("Handed Over", "Sales Verdict", "Verdict Date", "Reject Reason", "Owner", "Deal Id", "Email")


def raw(world):
    return pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")


def write_leads(frame, path):
    frame.to_csv(path, index=False)
    return path


def score(world, output, **changes):
    return score_leads(
        world.contract,
        **{"definition": world.definition, "bundle": world.bundle, "output": output, **changes},
    )


@pytest.fixture
def new_leads(world, tmp_path):
    """Leads as they come in: nothing that happens after the handoff, no deals beside them."""
    frame = raw(world)
    frame = frame[frame["Lead Id"].str.fullmatch(r"L\d+")].drop_duplicates("Lead Id")
    return write_leads(frame.drop(columns=list(AFTER_HANDOFF)), tmp_path / "new.csv")


def test_scores_are_what_the_definition_and_the_bundle_say(world, tmp_path):
    manifest = score(world, tmp_path / "scores.csv", quarantine=tmp_path / "quarantine.csv")
    found = pd.read_csv(tmp_path / "scores.csv", dtype={"definition_version": str})
    table = read_leads(world.contract)
    assert list(found.columns) == list(SCORE_COLUMNS)
    assert found["lead_id"].tolist() == table.frame["lead_id"].tolist()
    assert found["lead_class"].tolist() == assign_classes(world.definition, table.frame).tolist()
    assert found["reasons"].tolist() == explain_classes(world.definition, table.frame).tolist()
    expected = world.bundle.predict(table.frame)
    for name in expected:
        assert (found[name] - expected[name]).abs().max() <= 5.1e-7
    assert set(found["definition_version"]) == {world.definition.version}
    assert set(found["bundle"]) == {world.bundle.digest}
    assert manifest.read == manifest.scored + manifest.quarantined + manifest.duplicates
    assert manifest.quarantined == len(pd.read_csv(tmp_path / "quarantine.csv"))
    assert manifest.output_sha256 == hashlib.sha256((tmp_path / "scores.csv").read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quarantine.csv", "scores.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_same_leads_give_the_same_bytes_from_paths_or_values(world, tmp_path, suffix):
    first = score(world, tmp_path / f"a{suffix}")
    second = score_leads(
        world.contract_path,
        definition=world.definition_path,
        bundle=world.bundle_path,
        output=tmp_path / f"b{suffix}",
        digest=world.bundle.digest,
    )
    assert first.output_sha256 == second.output_sha256


def test_new_leads_need_neither_verdicts_nor_deals(world, tmp_path, new_leads):
    manifest = score(world, tmp_path / "scores.csv", leads=new_leads)
    everything = score(world, tmp_path / "all.csv")
    new = pd.read_csv(tmp_path / "scores.csv").set_index("lead_id")
    old = pd.read_csv(tmp_path / "all.csv").set_index("lead_id")
    both = new.index.intersection(old.index)
    assert manifest.scored >= len(both) > 1_400
    pd.testing.assert_frame_equal(new.loc[both], old.loc[both])
    assert everything.scored == len(old)


def test_a_missing_attribute_is_refused_and_the_old_file_stays(world, tmp_path):
    output = tmp_path / "scores.csv"
    output.write_text("old")
    path = write_leads(raw(world).drop(columns="Employees"), tmp_path / "new.csv")
    with pytest.raises(LeadsError, match="no column 'Employees'"):
        score(world, output, leads=path)
    assert output.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new.csv", "scores.csv"]


def test_no_leads_give_an_empty_file(world, tmp_path, new_leads):
    manifest = score(
        world, tmp_path / "s.csv", leads=write_leads(pd.read_csv(new_leads)[:0], tmp_path / "n.csv")
    )
    assert (manifest.read, manifest.scored) == (0, 0)
    assert (tmp_path / "s.csv").read_text() == ",".join(SCORE_COLUMNS) + "\n"
    assert manifest.to_frame()["rate"].isna().all()


def test_one_lead_scores_as_it_does_among_others(world, tmp_path, new_leads):
    frame = pd.read_csv(new_leads, dtype=str, keep_default_na=False)
    score(world, tmp_path / "all.csv", leads=new_leads)
    expected = (tmp_path / "all.csv").read_text().splitlines()[1]
    score(world, tmp_path / "one.csv", leads=write_leads(frame[:1], tmp_path / "one_lead.csv"))
    assert (tmp_path / "one.csv").read_text().splitlines()[1] == expected


def test_the_order_of_columns_does_not_matter(world, tmp_path, new_leads):
    frame = pd.read_csv(new_leads, dtype=str, keep_default_na=False)
    first = score(world, tmp_path / "a.csv", leads=new_leads)
    turned = write_leads(frame[frame.columns[::-1]], tmp_path / "turned.csv")
    assert score(world, tmp_path / "b.csv", leads=turned).output_sha256 == first.output_sha256


def test_too_many_damaged_rows_publish_nothing(world, tmp_path, new_leads):
    frame = pd.read_csv(new_leads, dtype=str, keep_default_na=False)
    frame.loc[:200, "Employees"] = "many"
    with pytest.raises(QuarantineError, match="nothing is published"):
        score(world, tmp_path / "s.csv", leads=write_leads(frame, tmp_path / "bad.csv"))
    assert not (tmp_path / "s.csv").exists()


def test_a_second_job_on_the_same_output_is_told_to_wait(world, tmp_path):
    with locked_file(tmp_path / ".s.csv.lock"), pytest.raises(LockedError, match="another job"):
        score(world, tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()


def test_a_target_without_a_model_is_an_empty_column_and_a_notice(world, tmp_path):
    bundle = Bundle(
        digest=world.bundle.digest,
        models={"won": world.bundle.models["won"]},
        untrained={"accepted": "no verdicts"},
    )
    manifest = score(world, tmp_path / "s.csv", bundle=bundle)
    assert pd.read_csv(tmp_path / "s.csv")["probability_accepted"].isna().all()
    assert "no probability of accepted: no verdicts" in manifest.notices


def test_another_definition_or_contract_than_at_training_is_noticed(world, tmp_path):
    other = parse_definition(world.definition.text.replace("version: 2025.1", "version: 2025.2"))
    manifest = score(world, tmp_path / "s.csv", definition=other)
    assert "trained beside inbound-lead 2025.1" in " ".join(manifest.notices)
    assert manifest.definition_version == "2025.2"


def test_a_bundle_with_another_digest_is_refused(world, tmp_path):
    with pytest.raises(BundleError, match="SHA-256"):
        score(world, tmp_path / "s.csv", bundle=world.bundle_path, digest="0" * 64)


def test_a_file_that_is_not_there_is_named(world, tmp_path):
    with pytest.raises(InputMissingError, match=r"nowhere.csv"):
        score(world, tmp_path / "s.csv", leads=tmp_path / "nowhere.csv")


def test_an_output_that_cannot_be_is_refused_before_reading(world, tmp_path):
    with pytest.raises(OutputError, match="expected a score file"):
        score(world, tmp_path / "s.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write here"):
        score(world, tmp_path / "file" / "s.csv")


def test_a_manifest_reads_in_ten_lines_and_as_json(world, tmp_path):
    manifest = score(world, tmp_path / "s.csv")
    assert len(repr(manifest).splitlines()) <= 10
    assert "inbound-lead 2025.1" in manifest._repr_html_()
    data = manifest.to_dict()
    assert data["rows"]["read"] == manifest.read
    assert sum(data["classes"].values()) == manifest.scored
    assert manifest.to_frame()["n"].sum() == manifest.scored


def test_a_frame_is_scored_without_files(world):
    frame = read_leads(world.contract).frame
    found = score_frame(frame, definition=world.definition, bundle=world.bundle, id_column="lead_id")
    assert list(found.columns) == list(SCORE_COLUMNS)
    assert found.index.equals(frame.index)


def test_personal_columns_are_in_no_file(world, tmp_path):
    frame = raw(world)
    frame["Email"] = "canary.person@example.com"
    path = write_leads(frame, tmp_path / "new.csv")
    shutil.copy(world.folder / "deals.csv", tmp_path / "deals.csv")
    score(world, tmp_path / "s.csv", leads=path, quarantine=tmp_path / "q.csv")
    for name in ("s.csv", "q.csv"):
        assert b"canary" not in (tmp_path / name).read_bytes()


def test_rows_that_do_not_reconcile_are_not_published(world, tmp_path, monkeypatch):
    from leadml.scoring import _score

    monkeypatch.setattr(_score._Job, "count", lambda self, part: setattr(self, "read", self.read + part.read))
    with pytest.raises(LeadsError, match="rows do not reconcile"):
        score(world, tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_job_in_a_thread_leaves_signals_alone(world, tmp_path):
    import signal
    import threading

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=score, args=(world, tmp_path / "s.csv"))
    thread.start()
    thread.join()
    assert (tmp_path / "s.csv").exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_was_written_but_cannot_be_read_back_is_not_published(world, tmp_path, monkeypatch):
    from leadml.scoring import _score

    def lost(path):
        raise InputMissingError("gone")

    monkeypatch.setattr(_score, "_digest_of_inputs", lambda paths: "")
    monkeypatch.setattr(_score, "compute_sha256", lost)
    with pytest.raises(OutputError, match="cannot be read back"):
        score(world, tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_definition_with_an_age_needs_its_day(world, tmp_path):
    import datetime as dt

    text = world.definition.text.replace(
        "  asked_for_demo:",
        "  created_on: {type: date, known_at: capture}\n"
        "  lead_age: {type: integer, age_of: created_on, anchor: as_of, known_at: capture}\n  asked_for_demo:",
    ).replace("      - employees >= 10 ", "      - lead_age <= 400 ")
    definition = parse_definition(text)
    with pytest.raises(LeadsError, match="expected `as_of`, got none"):
        score(world, tmp_path / "s.csv", definition=definition)
    manifest = score(world, tmp_path / "s.csv", definition=definition, as_of=dt.date(2026, 3, 31))
    assert manifest.as_of == dt.date(2026, 3, 31)
    assert "lead_age <= 400" in (tmp_path / "s.csv").read_text()

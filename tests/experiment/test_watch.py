"""From which day a definition is watched; what a look leaves in the registry: words, no lead."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pandas as pd
import pytest

from leadml.definitions import Change, apply_changes, load_definition
from leadml.experiment import Experiment, audit_experiment, watch_definition
from leadml.experiment._watch import _since
from leadml.leads import write_synthetic_leads
from leadml.monitor import build_monitor_page
from leadml.propose import Goal
from leadml.review import SignatureError, sign_proposal, write_dossiers


@pytest.fixture
def signed(tmp_path):
    """A contract, and a version of the definition that both sides signed in the middle of its leads."""
    found = write_synthetic_leads(tmp_path, n_leads=600)
    definition = load_definition(found.definition_path)
    change = Change(
        address="hot.employees", kind="threshold", written="employees >= 10", proposed="employees >= 50"
    )
    proposal = SimpleNamespace(revised=apply_changes(definition, [change]), to_dict=dict)
    run = SimpleNamespace(
        definition=definition,
        table=SimpleNamespace(manifest=SimpleNamespace(data_sha256="ab" * 32)),
        proposals=SimpleNamespace(proposals=(proposal,)),
    )
    packet = tmp_path / "packet.html"
    packet.write_text("<p>one change</p>", encoding="utf-8")
    (dossier,) = write_dossiers(run, tmp_path, packet=packet)
    for side, day in (("marketing", 14), ("sales", 15)):
        done = sign_proposal(
            dossier,
            found.definition_path,
            side=side,
            by=f"Head of {side}",
            decision="accept",
            at=datetime(2026, 1, day, tzinfo=UTC),
        )
    return SimpleNamespace(
        contract=found.contract_path,
        before=found.definition_path,
        version=done.definition,
        history=done.history,
    )


def test_a_signed_version_is_watched_from_its_last_signature_on(signed):
    written = load_definition(signed.version)
    assert written.effective_from < date(2025, 6, 1)
    assert watch_definition(signed.version, signed.contract).since == date(2026, 1, 15)
    given = watch_definition(signed.version, signed.contract, since=date(2025, 12, 1))
    assert given.since == date(2025, 12, 1)


def test_the_change_that_was_promised_is_audited_as_adopted_does(signed):
    folder = signed.version.parent
    promise, proposals = folder / "promise.json", folder / "proposals.json"
    promise.write_text('{"version": "", "rates": [{"target": "accepted", "low": 0.1}]}', encoding="utf-8")
    assert watch_definition(signed.version, signed.contract, promise=promise).adopted is None
    proposals.write_text(
        '{"per": "month", "goal": {"maximise": "accepted"}, '
        '"proposals": [{"value_low": 1, "value": 2, "value_high": 3}]}',
        encoding="utf-8",
    )
    since = date(2025, 6, 1)
    report = watch_definition(signed.version, signed.contract, promise=promise, since=since)
    experiment = Experiment(
        question="", definition=signed.before, contract=signed.contract, goal=Goal(maximise="accepted")
    )
    audited = audit_experiment(experiment, signed.version, proposals=proposals, since=since)
    assert report.adopted.to_dict() == audited.to_dict() == report.to_dict()["adopted"]
    assert report.adopted.n_changed > 20
    assert f"change in value, {audited.verdict}" in repr(report)
    assert f"no alarm: {audited.verdict}" in build_monitor_page(report)
    assert watch_definition(signed.version, signed.contract).adopted is None


def test_a_version_of_an_altered_history_is_not_watched(signed):
    text = signed.history.read_text(encoding="utf-8")
    signed.history.write_text(text.replace("2026-01-15", "2026-03-15"), encoding="utf-8")
    with pytest.raises(SignatureError, match="altered"):
        watch_definition(signed.version, signed.contract)


def test_a_look_says_how_the_version_does():
    promises = pd.DataFrame(
        {
            "target": ["accepted", "won"],
            "verdict": ["kept", "too early"],
            "n": [200, 0],
            "rate": [0.75, float("nan")],
            "ci_low": [0.7, 0.0],
            "ci_high": [0.8, 1.0],
        }
    )
    report = SimpleNamespace(
        as_of=date(2026, 3, 31),
        n_since=1_085,
        alarms=(SimpleNamespace(name="leads a week"),),
        promises=promises,
    )
    assert _since(report) == {
        "since.as_of": "2026-03-31",
        "since.leads": "1,085",
        "since.alarms": "leads a week",
        "since.accepted": "75 % (70–80 %, n = 200): kept",
        "since.won": "not known yet",
    }
    report.alarms = ()
    assert _since(report)["since.alarms"] == "none"

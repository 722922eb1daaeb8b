"""Both sides sign the same bytes; nobody signs for both; what was altered no longer verifies."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from leadml.definitions import Change, apply_changes, load_definition, parse_definition
from leadml.errors import InputMissingError, LockedError
from leadml.review import (
    SignatureError,
    build_packet,
    find_history,
    list_versions,
    load_dossier,
    load_history,
    rollback,
    sign_proposal,
    verify_signatures,
    write_dossiers,
)

HISTORY = "inbound-lead.history.json"
WHEN = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)


class _Proposal(SimpleNamespace):
    def to_dict(self):
        return {
            "criterion": "warm.employees",
            "kind": "threshold",
            "written": self.written,
            "proposed": self.proposed,
        }


@pytest.fixture
def desk(run, tmp_path):
    """A definition in force and a review folder with one proposal and its packet."""
    definitions, review = tmp_path / "definitions", tmp_path / "review"
    definitions.mkdir()
    written = definitions / "inbound-lead-2026.3.yaml"
    written.write_text(run.definition.text, encoding="utf-8")
    propose(review, written)
    return SimpleNamespace(definition=written, review=review, proposal=review / "proposal-1.json")


def propose(review, written, *, old="employees >= 50", new="employees >= 20", version=None):
    definition = load_definition(written)
    change = Change(address="warm.employees", kind="threshold", written=old, proposed=new)
    revised = apply_changes(definition, [change], version=version)
    review.mkdir(exist_ok=True)
    (review / "packet.html").write_text(f"<p>{new}</p>", encoding="utf-8")
    source = SimpleNamespace(
        definition=definition,
        table=SimpleNamespace(manifest=SimpleNamespace(data_sha256="ab" * 32)),
        proposals=SimpleNamespace(
            proposals=(
                _Proposal(revised=revised, written=old, proposed=new),
                _Proposal(revised=None, written=old, proposed=new),
            )
        ),
    )
    return write_dossiers(source, review, packet=review / "packet.html")


def sign(desk, side="marketing", by="Director of Demand Generation", decision="accept", because="", at=WHEN):
    return sign_proposal(
        desk.proposal, desk.definition, side=side, by=by, decision=decision, because=because, at=at
    )


def sales(desk, **options):
    return sign(desk, **({"side": "sales", "by": "VP Sales"} | options))


def test_new_version_is_written_only_when_both_sides_have_accepted(desk):
    first = sign(desk)
    assert first.status == "waiting"
    assert first.waiting_for == ("sales",)
    assert first.definition is None
    assert first.version_in_force == "2026.3"
    assert "waits for sales" in repr(first)
    second = sales(desk)
    assert second.status == "adopted"
    assert second.definition.name == "inbound-lead-2026.4.yaml"
    revised = load_definition(second.definition)
    assert revised.version == "2026.4"
    assert any(c.text == "employees >= 20" for c in revised.criteria())
    assert "both sides signed" in repr(second)
    assert verify_signatures(second.history).valid
    assert load_history(second.history).version_in_force == "2026.4"
    assert [entry.kind for entry in load_history(second.history).entries] == ["signed", "signed", "adopted"]
    assert second.to_tags()["signoff.sales.by"] == "VP Sales"
    assert second.to_tags()["signoff.marketing.at"] == "2026-10-01T09:30:00Z"


def test_nobody_signs_for_both_sides(desk):
    sign(desk, by="Jo Smith")
    with pytest.raises(SignatureError, match="nobody signs for both sides"):
        sales(desk, by="  jo   SMITH ")


def test_a_side_can_change_its_mind_until_the_other_has_signed(desk):
    assert sign(desk, decision="reject", because="too early").status == "rejected"
    assert sign(desk).status == "waiting"
    assert sales(desk).status == "adopted"
    with pytest.raises(SignatureError, match=r"2026\.4 is in force"):
        sign(desk, decision="reject", because="too late")


@pytest.mark.parametrize(("decision", "status"), [("reject", "rejected"), ("defer", "deferred")])
def test_a_refusal_needs_a_reason_and_keeps_it_for_the_next_review(desk, run, decision, status):
    with pytest.raises(SignatureError, match="a reason is needed"):
        sign(desk, decision=decision)
    sign(desk)
    found = sales(desk, decision=decision, because="No <b>room</b> this quarter.")
    assert found.status == status
    assert not (desk.definition.parent / "inbound-lead-2026.4.yaml").exists()
    refused = load_history(found.history).refused()
    assert [(entry.side, entry.because) for entry in refused] == [("sales", "No <b>room</b> this quarter.")]
    page = build_packet(run, history=load_history(found.history))
    assert "What was not agreed before" in page
    assert f"Sales decided to {decision} on 2026-10-01: No &lt;b&gt;room&lt;/b&gt; this quarter." in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": "finance"}, "side: expected one of marketing, sales"),
        ({"by": "  "}, "by: the role or name"),
        ({"decision": "perhaps"}, "decision: expected accept, reject or defer"),
        ({"at": datetime(2026, 1, 1)}, "with its time zone"),  # noqa: DTZ001 - that is the error
    ],
)
def test_an_incomplete_signature_is_refused(desk, options, message):
    with pytest.raises(SignatureError, match=message):
        sign(desk, **options)


def test_an_edited_packet_cannot_be_signed(desk):
    sign(desk)
    (desk.review / "packet.html").write_text("<p>rosier</p>", encoding="utf-8")
    with pytest.raises(SignatureError, match="not the page that belongs to"):
        sales(desk)


@pytest.mark.parametrize(
    "key", ["sentence", "proposed_text", "data_sha256", "packet_sha256", "sides", "subject"]
)
def test_an_edited_proposal_cannot_be_signed(desk, key):
    document = json.loads(desk.proposal.read_text("utf-8"))
    document[key] = ["marketing"] if key == "sides" else document[key] + "x"
    desk.proposal.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SignatureError, match=r"altered since it was written"):
        sign(desk)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"subject": 1, "sides": []}', "null", "\x00", '{"subject": "x"']
)
def test_a_file_that_is_no_proposal_is_refused(desk, text):
    desk.proposal.write_text(text, encoding="utf-8")
    with pytest.raises(SignatureError, match="not a proposal"):
        load_dossier(desk.proposal)


def test_an_edited_definition_resets_the_review(desk):
    sign(desk)
    desk.definition.write_text(desk.definition.read_text("utf-8") + "# a note\n", encoding="utf-8")
    with pytest.raises(SignatureError, match="edited since the proposal was made"):
        sales(desk)


def test_another_definition_is_not_signed_by_mistake(desk):
    text = desk.definition.read_text("utf-8").replace("version: 2026.3", "version: 2026.2")
    other = desk.definition.with_name("older.yaml")
    other.write_text(text, encoding="utf-8")
    with pytest.raises(SignatureError, match=r"this is inbound-lead 2026\.2"):
        sign_proposal(desk.proposal, other, side="sales", by="VP Sales", decision="accept", at=WHEN)


def test_signatures_of_one_proposal_do_not_count_for_another(desk):
    sign(desk)
    propose(desk.review, desk.definition, new="employees >= 10")
    assert sales(desk).status == "waiting"
    assert sign(desk).status == "adopted"


def test_a_file_in_the_way_is_not_overwritten(desk):
    (desk.definition.parent / "inbound-lead-2026.4.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(SignatureError, match="another file with this name exists"):
        sign(desk)
    assert not list(desk.definition.parent.glob("*.json"))


def test_an_altered_version_no_longer_verifies(desk):
    sign(desk)
    done = sales(desk)
    text = done.definition.read_text("utf-8")
    done.definition.write_text(text.replace("employees >= 20", "employees >= 21"), encoding="utf-8")
    found = verify_signatures(done.history)
    assert not found.valid
    assert "altered since both sides signed it" in repr(found)
    done.definition.unlink()
    assert "missing" in verify_signatures(done.history).findings[0]


def test_the_version_that_was_replaced_no_longer_verifies_once_altered(desk):
    sign(desk)
    sales(desk)
    history = desk.definition.parent / HISTORY
    assert verify_signatures(history).valid
    desk.definition.write_text(desk.definition.read_text("utf-8") + "# more\n", encoding="utf-8")
    (finding,) = verify_signatures(history).findings
    assert "2026.3, which 2026.4 replaced, is missing or altered" in finding


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("key", ["by", "decision", "because", "at", "version", "previous", "sha256", "kind"])
def test_any_altered_entry_no_longer_verifies(desk, number, key):
    sign(desk)
    history = sales(desk).history
    document = json.loads(history.read_text("utf-8"))
    document["entries"][number][key] += "x"
    history.write_text(json.dumps(document), encoding="utf-8")
    assert "was altered, removed or put in" in verify_signatures(history).findings[0]
    with pytest.raises(SignatureError, match="was altered"):
        load_history(history)


def test_a_removed_entry_no_longer_verifies(desk):
    sign(desk)
    history = sales(desk).history
    document = json.loads(history.read_text("utf-8"))
    del document["entries"][0]
    history.write_text(json.dumps(document), encoding="utf-8")
    assert not verify_signatures(history).valid
    history.write_text("{}", encoding="utf-8")
    assert "not a history" in verify_signatures(history).findings[0]


def test_an_adoption_without_signatures_does_not_verify(desk):
    from leadml.review._history import History, append_entry

    path = desk.definition.parent / "inbound-lead.history.json"
    append_entry(History(name="inbound-lead"), path, kind="adopted", version="2026.3", subject="s")
    found = verify_signatures(path)
    assert any("without both sides' signatures" in finding for finding in found.findings)


def test_rollback_puts_the_older_version_back_and_keeps_the_newer_one(desk):
    sign(desk)
    done = sales(desk)
    back = rollback(done.history, by="VP Sales", because="Volume halved.", at=WHEN)
    assert (back.status, back.version_in_force) == ("rolled back", "2026.3")
    assert back.definition == desk.definition
    assert "holds again" in repr(back)
    assert done.definition.exists()
    assert load_history(done.history).version_in_force == "2026.3"
    assert verify_signatures(done.history).valid
    again = rollback(done.history, by="VP Sales", because="It was the season.", to="2026.4", at=WHEN)
    assert again.version_in_force == "2026.4"


def test_rollback_refuses_what_was_never_in_force_or_is_altered(desk):
    sign(desk)
    history = sales(desk).history
    with pytest.raises(SignatureError, match="who decides it, and why"):
        rollback(history, by="", because="x")
    with pytest.raises(SignatureError, match="never in force"):
        rollback(history, by="a", because="b", to="1999.1")
    with pytest.raises(SignatureError, match="no earlier version"):
        rollback(history, by="a", because="b", to="2026.4")
    desk.definition.write_text("altered", encoding="utf-8")
    with pytest.raises(SignatureError, match="altered since it was in force"):
        rollback(history, by="a", because="b")
    desk.definition.unlink()
    with pytest.raises(SignatureError, match="missing"):
        rollback(history, by="a", because="b")
    with pytest.raises(InputMissingError, match="history"):
        rollback(desk.review / "no.json", by="a", because="b")


def test_rollback_of_nothing_is_refused(desk):
    history = sign(desk).history
    with pytest.raises(SignatureError, match="no earlier version"):
        rollback(history, by="a", because="b")


def test_two_who_sign_at_once_do_not_lose_a_signature(desk, monkeypatch):
    import leadml.review._sign as module
    from leadml._files import locked_file

    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    with locked_file(desk.definition.parent / "inbound-lead.history.lock"), pytest.raises(LockedError):
        sign(desk)
    assert sign(desk).status == "waiting"


def test_a_crash_between_signature_and_adoption_is_healed_by_signing_again(desk, monkeypatch):
    import leadml.review._sign as module

    sign(desk)
    monkeypatch.setattr(module, "_adopt", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        sales(desk)
    monkeypatch.undo()
    assert load_history(desk.definition.parent / "inbound-lead.history.json").version_in_force is None
    assert sales(desk).status == "adopted"


def test_names_cannot_leave_the_folder():
    from leadml.review._history import definition_file, history_file

    assert definition_file("../../etc/passwd", "1") == "_.._etc_passwd-1.yaml"
    assert history_file("a/b") == "a_b.history.json"


def test_no_proposals_give_nothing_to_sign(run, tmp_path):
    assert write_dossiers(SimpleNamespace(proposals=None), tmp_path, packet=tmp_path / "p.html") == ()
    assert load_history(tmp_path / "x.history.json", name="x").entries == ()
    assert parse_definition(run.definition.text).name == "inbound-lead"
    assert Path(tmp_path).exists()


def test_a_history_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / "x.history.json").mkdir()
    with pytest.raises(InputMissingError, match="cannot read this history"):
        load_history(tmp_path / "x.history.json")


# ---- versions ------------------------------------------------------------------------------------


def test_signed_versions_come_with_their_days_and_their_signers(desk):
    sign(desk)
    adopted = sales(desk)
    history = desk.definition.parent / HISTORY
    old, new = list_versions(history)
    assert (old.version, old.decision, old.from_on, old.until_on) == (
        "2026.3", "written", date(2026, 7, 1), date(2026, 10, 1),
    )  # fmt: skip
    assert (new.version, new.decision, new.from_on, new.in_force) == (
        adopted.version, "adopted", date(2026, 10, 1), True,
    )  # fmt: skip
    assert new.file == adopted.definition
    assert (
        new.signed_by() == "marketing: Director of Demand Generation, 2026-10-01; sales: VP Sales, 2026-10-01"
    )
    assert "employees" in new.sentence
    assert len(new.subject) == 64
    assert not old.in_force
    rollback(history, by="VP Sales", because="too few", at=datetime(2026, 11, 1, tzinfo=UTC))
    *_, again = list_versions(history)
    assert (again.version, again.decision, again.because) == ("2026.3", "rolled back", "too few")
    assert (again.from_on, again.until_on, again.in_force) == (date(2026, 11, 1), None, True)


def test_a_version_never_begins_before_the_day_it_says(desk):
    text = desk.definition.read_text("utf-8").replace("2026-07-01", "2026-12-01")
    desk.definition.write_text(text, encoding="utf-8")
    propose(desk.review, desk.definition)
    sign(desk)
    sales(desk)
    assert list_versions(desk.definition.parent / HISTORY)[-1].from_on == date(2026, 12, 1)


def test_an_altered_file_is_a_version_without_its_text(desk):
    sign(desk)
    adopted = sales(desk)
    adopted.definition.write_text(adopted.definition.read_text("utf-8") + "# more\n", encoding="utf-8")
    *_, new = list_versions(desk.definition.parent / HISTORY)
    assert (new.file, new.definition) == (None, None)


def test_an_altered_history_lists_nothing(desk):
    sign(desk)
    history = desk.definition.parent / HISTORY
    history.write_text(history.read_text("utf-8").replace("Director", "Intern"), encoding="utf-8")
    with pytest.raises(SignatureError, match="entry 1 was altered"):
        list_versions(history)


def test_unsigned_files_are_ordered_by_their_own_day_and_drafts_never_held(run, tmp_path):
    text = run.definition.text
    for name, version, day in [("b", "2026.4", "2026-10-01"), ("a", "2026.3", "2026-07-01"),
                               ("c", "2026.5", "2026-10-01")]:  # fmt: skip
        changed = text.replace("2026.3", version).replace("2026-07-01", day)
        (tmp_path / f"{name}.yaml").write_text(changed, encoding="utf-8")
    (tmp_path / "contract.yaml").write_text("name: other\n", encoding="utf-8")
    first, second, draft = list_versions(tmp_path / HISTORY)
    assert (first.version, first.until_on, first.in_force) == ("2026.3", date(2026, 10, 1), False)
    assert (second.version, second.until_on, second.in_force) == ("2026.4", None, True)
    assert (draft.version, draft.decision, draft.in_force) == ("2026.5", "draft", False)
    assert load_history(tmp_path / HISTORY).entries == ()


def test_a_history_is_found_by_name_by_file_and_by_itself(desk):
    folder = desk.definition.parent
    assert find_history("inbound-lead", folder=folder) == folder / HISTORY
    assert find_history(desk.definition) == folder / HISTORY
    assert find_history(folder / HISTORY) == folder / HISTORY
    assert load_definition(desk.definition).name == "inbound-lead"


def test_a_name_without_history_and_definition_is_missing(tmp_path):
    with pytest.raises(InputMissingError, match="neither this history nor a definition"):
        list_versions(tmp_path / HISTORY)

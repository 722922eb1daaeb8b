"""What may be written only after the handoff holds every change back that rests on it."""

import numpy as np
import pytest

from leadml.leads import AuditFinding

from .conftest import CONTRACT, DEFINITION, draw_attributes, make_world

WRITTEN = DEFINITION.replace("- employees >= 50  # agreed in spring", "- employees >= 200")


def declare(known_at):
    return WRITTEN.replace("budget: {type: ordinal,", f"budget: {{type: ordinal, known_at: {known_at},")


def asks_for_budget(definition):
    return definition.replace("- months <= 12", "- months <= 12\n      - budget >= none")


def make_leads(definition, seed=0, *, share_lost=0.4, share_won=0.05, pays_from=20):
    """Leads from a size on pay; a rep fills in the budget of those that will be won."""
    rng = np.random.default_rng(seed)
    frame = draw_attributes(6000, rng)
    rate = np.where((frame["employees"] >= pays_from) & (frame["months"] <= 12), 0.2, 0.02)
    world = make_world(frame, rate, rng, definition=definition, contract=CONTRACT)
    won = (world.table.frame["outcome"] == "won").to_numpy()
    empty = rng.random(len(frame)) < np.where(won, share_won, share_lost)
    world.table.frame.loc[empty, "budget"] = None
    return world


def test_a_gain_is_proposed_where_nothing_is_suspected():
    (proposal,) = make_leads(asks_for_budget(WRITTEN), share_lost=0.1, share_won=0.1).propose().proposals
    assert "known at the handoff" not in {each.name for each in proposal.guardrails}


def test_a_criterion_that_reps_fill_in_for_winners_holds_every_change_back():
    found = make_leads(asks_for_budget(WRITTEN)).propose()
    assert found.proposals == ()
    held = [change for change in found.tested if "written only after the handoff" in change.reason]
    assert held
    (guardrail,) = [each for each in held[0].guardrails if each.name == "known at the handoff"]
    assert not guardrail.kept
    assert "`budget`: won is" in guardrail.words


def test_a_stricter_threshold_that_the_fault_only_makes_harder_to_show_is_proposed():
    lax = asks_for_budget(DEFINITION.replace("- employees >= 50  # agreed in spring", "- employees >= 2"))
    proposals = make_leads(lax, pays_from=100).propose(max_changes=1).proposals
    assert [change.proposed for change in proposals] == ["employees >= 100"]


def test_an_attribute_that_the_definition_does_not_use_holds_nothing_back():
    proposals = make_leads(WRITTEN).propose(max_changes=1).proposals
    assert [change.proposed for change in proposals] == ["employees >= 20"]


@pytest.mark.parametrize("code", ["filled_by_sales", "outcome_in_text", "target_rate_column", "target_score"])
def test_every_trace_of_a_late_entry_holds_back_what_tests_it(code, monkeypatch):
    finding = AuditFinding(code=code, severity="warning", column="budget", message="says so.", evidence={})
    monkeypatch.setattr("leadml.propose._review.find_leaks", lambda *_: (finding,))
    world = make_leads(asks_for_budget(WRITTEN), share_lost=0.1, share_won=0.1)
    found = world.propose(max_changes=1)
    assert found.proposals == ()
    assert any("`budget`: says so." in change.reason for change in found.tested)
    (proposal,) = make_leads(WRITTEN).propose(max_changes=1).proposals
    assert proposal.proposed == "employees >= 20"


@pytest.mark.parametrize("known_at", ["capture", "handoff"])
def test_somebody_who_says_when_it_is_known_is_believed_and_reminded(known_at):
    (proposal,) = make_leads(asks_for_budget(declare(known_at))).propose().proposals
    (guardrail,) = [each for each in proposal.guardrails if each.name == "known at the handoff"]
    assert guardrail.kept
    assert "declared as known at the handoff, though" in guardrail.words


def test_an_error_of_the_audit_is_not_excused_by_a_declaration():
    found = make_leads(asks_for_budget(declare("capture")), share_lost=0.999, share_won=0.001).propose()
    assert found.proposals == ()
    assert any("written only after the handoff" in change.reason for change in found.tested)

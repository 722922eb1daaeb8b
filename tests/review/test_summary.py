"""The summary on a terminal says the same things in 100 columns."""

from types import SimpleNamespace

import pytest

from leadml.review import summarise_run
from leadml.review._build import build_parts


@pytest.fixture(scope="module")
def text(run):
    return summarise_run(run)


def test_no_line_is_longer_than_the_terminal(text):
    assert max(map(len, text.splitlines())) <= 100
    assert "\xa0" not in text
    assert "\x1b" not in text


def test_order_is_today_proposed_not_proposed_data(text):
    titles = [
        "TODAY",
        "PROPOSED",
        "PROMISING",
        "NOT PROPOSED, AND WHY",
        "NOBODY CAN KNOW YET",
        "WHAT CAN BE PREDICTED",
    ]
    places = [text.index(title) for title in [*titles, "DATA\n"]]
    assert places == sorted(places)


def test_lower_bound_is_the_first_figure_of_a_proposal(text):
    proposed = text[text.index("PROPOSED") :]
    assert proposed.index("At least EUR 2,310 more a month") < proposed.index("Leads that change: 212")


def point(proposed, *, best_for="", **numbers):
    return {"proposed": proposed, "best_for": best_for, **numbers}


def test_what_limits_a_proposal_and_what_else_was_tested_is_said(run):
    found = run.proposals.to_dict()
    told = {
        "frequencies": ["of 100 leads added: 14 won (9 to 20)"],
        "segments": ["industry public: 40 % of the leads that move, 20 % of all"],
        "profiles": ["industry public, employees 20 to 50 (31 of 212)"],
        "caveats": ["the next quarter differs"],
    }
    refused = {
        "criterion": "warm.asked_for_demo + warm",
        "kind": "added + group",
        "written": "(nothing) + all of 3",
        "proposed": "asked_for_demo + at least 2 of 3",
        "status": "not shown",
        "reason": "not confirmed on the newest matured leads: chance",
    }
    found = found | {
        "proposals": [found["proposals"][0] | {"explanation": told}],
        "tested": [found["proposals"][0] | {"status": "proposed"}, refused],
        "notices": ["Only 4 leads are recorded as won."],
        "shadow_price": {"words": "One more lead a month would bring about EUR 340, at best."},
        "goal": {"capacity": None, "minimum_acceptance": 0.6},
        "trade_off": {
            "target": "won",
            "per": "month",
            "points": [
                point("employees >= 200", leads=40.0, rate=0.3, won=12.0, value=-900.0),
                point("as written", leads=54.0, rate=0.26, won=14.0, value=0.0, best_for="won"),
                point(
                    "employees >= 20",
                    leads=96.0,
                    rate=0.25,
                    won=24.0,
                    value=55_700.0,
                    best_for="value, leads",
                ),
            ],
        },
    }
    part = SimpleNamespace(**(vars(run) | {"proposals": SimpleNamespace(to_dict=lambda: found)}))
    text = " ".join(summarise_run(part).split())
    for sentence in (
        "One change is proposed: - warm: “employees ≥ 20” instead of “employees ≥ 50”",
        "What became of them: of 100 leads added: 14 won (9 to 20)",
        "Who moves: industry public: 40 % of the leads that move, 20 % of all",
        "One more lead a month would bring about EUR 340, at best. Only 4 leads are recorded as won.",
        "- As it is: 54 leads a month, 26 % won (14 a month)",
        "- Most value: “employees ≥ 20”: 96 leads a month, 25 % won (24 a month), EUR 55,700 more a month",
        "- Most won at no more leads than today: as it is",
        "- Most leads with no smaller a share won: “employees ≥ 20”: 96 leads a month",
        "- warm: also ask for “asked_for_demo”; warm: ask for at least 2 of 3 criteria instead of all of 3: Not",
    ):
        assert sentence in text, sentence
    for name, words in (("Typical leads", told["profiles"][0]), ("Wrong if", told["caveats"][0])):
        assert (name, words) in build_parts(part).proposals[0].details
        assert words not in text


def test_every_criterion_has_its_verdict(run, text):
    for line in ("strong interest", "employees ≥ 50", "title_level ≥ director"):
        assert line in text
    assert text.count("rewrite") == 1


def test_audit_notes_are_left_to_the_packet(run):
    findings = [
        SimpleNamespace(column=None, severity=s, message=f"{s} found") for s in ("note", "warning", "error")
    ]
    text = summarise_run(SimpleNamespace(**(vars(run) | {"audit": SimpleNamespace(findings=findings)})))
    assert "warning found" in text
    assert "error found" in text
    assert "note found" not in text


def test_a_run_that_only_trained_says_what_can_be_predicted(run):
    part = SimpleNamespace(**(vars(run) | {"comparison": None, "proposals": None}))
    text = summarise_run(part)
    assert "TODAY" not in text
    assert "PROPOSED" not in text
    assert "area under the curve 0.71" in text


def test_a_model_that_could_not_be_trained_gives_its_reason(run):
    models = {"accepted": SimpleNamespace(notices=(), reason="Only one verdict: nothing to learn from.")}
    text = summarise_run(
        SimpleNamespace(**(vars(run) | {"models": models, "experiment": SimpleNamespace(question="")}))
    )
    assert "accepted by Sales: no model; Only one verdict: nothing to learn from." in text


def test_a_model_that_predicts_nothing_is_said_to_predict_nothing(run):
    blind = SimpleNamespace(
        notices=("industry: constant in the training part, not a feature.",),
        evaluation=SimpleNamespace(
            metrics=run.models["won"].evaluation.metrics,
            verdict="nothing here predicts acceptance",
            predictive=False,
        ),
    )
    text = summarise_run(SimpleNamespace(**(vars(run) | {"models": {"accepted": blind}})))
    assert "Nothing that is known about a lead predicts what Sales accepts." in text
    assert "nothing here predicts acceptance" in text

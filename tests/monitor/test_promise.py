"""What was promised, and whether it is kept."""

import dataclasses
import datetime as dt
import json

import pytest

from leadml.errors import ExperimentError, InputMissingError
from leadml.metrics import clopper_pearson
from leadml.monitor import Promise, RatePromise, load_promise, make_promise, monitor_definition, parse_promise
from leadml.propose import JudgedChange, Range

NOTHING = Range(low=None, value=None, high=None)


def judged(revised):
    return JudgedChange(
        status="proposed",
        changes=(),
        grade="A",
        n_changed=0,
        n_gained=0,
        wins_gained=0,
        n_lost=0,
        wins_lost=0,
        gained_per_month=None,
        lost_per_month=None,
        value=NOTHING,
        won=NOTHING,
        accepted=NOTHING,
        p_value=0.01,
        p_adjusted=0.01,
        detectable=None,
        confidence_level=0.9,
        reason="",
        revised=revised,
    )


def promised(low, *, version="2025.1", target="accepted"):
    return Promise(version=version, rates=(RatePromise(target=target, low=low),))


def verdict(report):
    return report.promises.iloc[0]["verdict"]


def test_a_promise_is_kept_broken_or_too_early(champion, calm, calm_targets, since):
    day = dt.date(2025, 12, 28)

    def judge(low, as_of=day):
        return monitor_definition(
            champion, calm, calm_targets, promise=promised(low), since=since, as_of=as_of
        )

    kept = judge(0.6)
    assert verdict(kept) == "promise kept"
    row = kept.promises.iloc[0]
    assert row["ci_low"] > 0.6
    assert row["broken_on_look"] is None
    broken = judge(0.95)
    assert verdict(broken) == "promise broken"
    assert broken.alarm
    assert broken.promises.iloc[0]["evidence"] >= 1 / broken.promises.iloc[0]["error_rate"]
    assert verdict(judge(0.8, dt.date(2025, 3, 1))) == "too early"
    # Once broken it stays broken until both sides have met.
    look = broken.promises.iloc[0]["broken_on_look"]
    at = judge(0.95, since + dt.timedelta(days=7 * int(look) - 1))
    before = judge(0.95, since + dt.timedelta(days=7 * int(look) - 8))
    assert verdict(at) == "promise broken"
    assert verdict(before) == "too early"


def test_the_promise_of_a_definition_is_the_exact_lower_bound_of_its_rate(
    champion, calm, calm_targets, since
):
    promise = make_promise(champion, calm, calm_targets, before=since, error_rate=0.1)
    assert {rate.target for rate in promise.rates} == {"accepted", "won"}
    for rate in promise.rates:
        low, _ = clopper_pearson(
            round(rate.value * rate.n), rate.n, confidence_level=0.9, alternative="greater"
        )
        assert rate.low == pytest.approx(float(low))
        assert rate.low < rate.value
    assert "acceptance at least" in repr(promise)
    assert "<table" in promise._repr_html_()
    assert list(promise.to_frame().columns) == ["target", "low", "value", "n"]


def test_a_proposal_promises_what_its_definition_does(champion, calm, calm_targets, since):
    whole = make_promise(champion, calm, calm_targets)
    assert make_promise(judged(champion), calm, calm_targets) == whole
    report = monitor_definition(
        champion, calm, calm_targets, promise=judged(champion), since=since, as_of=dt.date(2025, 12, 28)
    )
    default = monitor_definition(champion, calm, calm_targets, since=since, as_of=dt.date(2025, 12, 28))
    assert report.promise == default.promise
    with pytest.raises(ExperimentError, match="carries no revised definition"):
        make_promise(judged(None), calm, calm_targets)


def test_too_few_labels_promise_nothing(champion, calm, calm_targets):
    few = dataclasses.replace(calm, frame=calm.frame.head(30))
    assert make_promise(champion, few, calm_targets.head(30)).rates == ()
    assert "nothing" in repr(Promise(version="1", rates=()))


def test_a_promise_for_another_version_is_pointed_out(champion, calm, calm_targets, since):
    report = monitor_definition(
        champion, calm, calm_targets, promise=promised(0.5, version="2024.9"), since=since
    )
    assert any("2024.9" in notice for notice in report.notices)


def test_a_promise_survives_its_file(champion, calm, calm_targets, tmp_path):
    promise = make_promise(champion, calm, calm_targets)
    path = tmp_path / "promise.json"
    path.write_text(json.dumps(promise.to_dict()))
    assert load_promise(path) == promise


def test_everything_wrong_with_a_promise_is_said_at_once():
    rates = [
        {"target": "sold", "low": 0.1},
        {"target": "won", "low": 1.2},
        {"target": "accepted", "low": 0.5, "n": -1},
        {"target": "won", "low": 0.1},
        {"target": "won", "low": 0.1, "value": 0.2},
        "won",
    ]
    with pytest.raises(ExperimentError, match="expected a target") as caught:
        parse_promise({"version": "1", "rates": rates}, source="p.json")
    assert len(caught.value.findings) == 5
    with pytest.raises(ExperimentError, match="expected a list under 'rates'"):
        parse_promise({"version": "1"})


def test_a_file_that_is_no_promise_is_refused(tmp_path):
    path = tmp_path / "promise.json"
    with pytest.raises(InputMissingError, match="promise"):
        load_promise(path)
    path.write_text("{")
    with pytest.raises(ExperimentError, match="not JSON"):
        load_promise(path)
    path.write_text("[]")
    with pytest.raises(ExperimentError, match="expected an object, got list"):
        load_promise(path)

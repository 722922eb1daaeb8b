"""One decision between two reviews."""

import dataclasses
import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.errors import LeadsError
from leadml.leads import DEMO_CONTRACT, compute_targets, parse_contract
from leadml.models import UntrainedModel, load_bundle, write_bundle
from leadml.monitor import MonitorReport, Schedule, build_monitor_page, monitor_definition, write_monitor_page

LATE = dt.date(2025, 12, 28)


def change(table, edit, *, first="2025-04-07"):
    """Give the table with the leads since a day changed, and its targets."""
    rows = (table.frame["created_on"] >= first).to_numpy()
    frame = edit(table.frame.copy(), rows, np.random.default_rng(0))
    changed = dataclasses.replace(table, frame=frame.reset_index(drop=True))
    return changed, compute_targets(changed)


def keep(table, rows):
    part = dataclasses.replace(table, frame=table.frame[rows].reset_index(drop=True))
    return part, compute_targets(part)


def statuses(report):
    return {(signal.family, signal.name): signal.status for signal in report.signals}


@pytest.fixture(scope="module")
def quiet(champion, calm, calm_targets, models, since):
    return monitor_definition(champion, calm, calm_targets, models=models, since=since, as_of=LATE)


def test_a_market_that_does_not_change_raises_no_alarm(quiet):
    assert not quiet.alarm
    assert quiet.look == 51
    assert quiet.headline.startswith("No alarm: ")
    assert quiet.n_before > 5000
    assert quiet.n_newest < quiet.n_since


def test_the_levels_of_all_signals_over_all_looks_add_up_to_the_error_rate(quiet):
    total = 0.0
    families = {signal.family for signal in quiet.signals}
    assert len(families) == 6
    for family in families:
        levels = {signal.name: signal.level for signal in quiet.signals if signal.family == family}
        if family == "promise":
            # The promise was taken from the leads before: half of its error is in the promised bound.
            total += 2 * sum(levels.values())
        elif family == "calibration":
            total += levels["acceptance"] * (52 - 30 // 7) + levels["won deals"] * (52 - 90 // 7)
        else:
            total += 52 * max(levels.values())
    assert total == pytest.approx(0.05)


def test_every_day_of_a_week_gives_the_same_look(champion, calm, calm_targets, since, models):
    first, last = (
        monitor_definition(champion, calm, calm_targets, models=models, since=since, as_of=day)
        for day in (dt.date(2025, 6, 1), dt.date(2025, 6, 7))
    )
    assert first.look_on == last.look_on == dt.date(2025, 6, 2)
    assert {**first.to_dict(), "as_of": ""} == {**last.to_dict(), "as_of": ""}


def test_looking_back_gives_what_was_seen_then(champion, calm, calm_targets, since):
    early = monitor_definition(champion, calm, calm_targets, since=since, as_of=dt.date(2025, 7, 6))
    part, targets = keep(calm, (calm_targets["t0"] < "2025-07-07").to_numpy())
    then = monitor_definition(champion, part, targets, since=since, as_of=dt.date(2025, 7, 6))
    assert early.to_dict() == then.to_dict()


def fewer_wins(frame, rows, rng):
    frame.loc[rows & (frame["outcome"] == "won").to_numpy() & (rng.random(len(frame)) < 0.85), "outcome"] = (
        "lost"
    )
    return frame


def fewer_accepted(frame, rows, rng):
    gone = rows & (frame["verdict"] == "accepted").to_numpy() & (rng.random(len(frame)) < 0.3)
    frame.loc[gone, "verdict"] = "rejected"
    return frame


def larger(frame, rows, rng):
    sizes = np.round(frame["employees"].to_numpy(dtype=float, na_value=np.nan) * 1.5)
    frame["employees"] = frame["employees"].where(~rows, pd.Series(sizes).astype("Int64"))
    return frame


def no_titles(frame, rows, rng):
    frame.loc[rows & (rng.random(len(frame)) < 0.2), "title_level"] = np.nan
    return frame


def new_source(frame, rows, rng):
    source = frame["lead_source"].cat.add_categories(["Webinar"])
    return frame.assign(lead_source=source.where(~(rows & (rng.random(len(frame)) < 0.06)), "Webinar"))


def correlated(frame, rows, rng):
    size = np.nan_to_num(frame["employees"].to_numpy(dtype=float, na_value=np.nan)[rows], nan=60)
    views = np.sort(frame["page_views_30d"].to_numpy(dtype=int)[rows])
    frame.loc[rows, "page_views_30d"] = views[np.argsort(np.argsort(size))]
    return frame


def half_the_leads(frame, rows, rng):
    return frame[~(rows & (rng.random(len(frame)) < 0.5))]


def slower(frame, rows, rng):
    days = pd.to_timedelta(np.where(rows, 6, 0), unit="D")
    return frame.assign(decided_on=frame["decided_on"] + days)


def other_reps(frame, rows, rng):
    strict = rows & frame["rep"].isin(["rep-01", "rep-02", "rep-03", "rep-04"]).to_numpy()
    gone = strict & (frame["verdict"] == "accepted").to_numpy() & (rng.random(len(frame)) < 0.7)
    frame.loc[gone, "verdict"] = "rejected"
    return frame


@pytest.mark.parametrize(
    ("edit", "family", "name"),
    [
        (fewer_wins, "promise", "won deals"),
        (fewer_accepted, "promise", "acceptance"),
        (fewer_accepted, "calibration", "acceptance"),
        (larger, "attributes", "employees"),
        (no_titles, "attributes", "title_level"),
        (new_source, "attributes", "lead_source"),
        (correlated, "together", "all attributes at once"),
        (half_the_leads, "volume and mix", "leads a week"),
        (slower, "handling", "days to the verdict"),
        (other_reps, "handling", "reps"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_planted_drift_raises_the_alarm_where_it_is(champion, calm, models, since, edit, family, name):
    table, targets = change(calm, edit)
    used = models if family == "calibration" else None
    report = monitor_definition(champion, table, targets, models=used, since=since, as_of=LATE)
    assert statuses(report)[family, name] == "alarm"
    assert report.alarm
    assert family in report.headline
    assert name in report.headline


def test_only_the_correlation_changes_and_no_single_attribute_says_so(champion, calm, since):
    table, targets = change(calm, correlated)
    found = statuses(monitor_definition(champion, table, targets, since=since, as_of=LATE))
    assert "alarm" not in {status for (family, _), status in found.items() if family == "attributes"}


def test_the_class_that_moved_most_is_named(champion, calm, since):
    table, targets = change(
        calm,
        lambda frame, rows, _: frame.assign(purchase_timeframe=frame["purchase_timeframe"].where(~rows, 3)),
    )
    report = monitor_definition(champion, table, targets, since=since, as_of=LATE)
    (signal,) = (one for one in report.alarms if one.name == "shares of the classes")
    hot = report.classes.set_index("lead_class").loc["hot"]
    assert hot["moved"] > 0.1
    told = f"hot is {hot['share_now']:.0%} of the leads, before {hot['share_before']:.0%}"
    assert signal.words.replace("\N{NO-BREAK SPACE}", "").startswith(told)


def test_a_new_level_is_named_only_if_many_leads_share_it(champion, calm, since):
    table, targets = change(calm, new_source)
    row = monitor_definition(champion, table, targets, since=since, as_of=LATE).attributes
    row = row.set_index("attribute").loc["lead_source"]
    assert row["n_new_levels"] == 1
    assert row["leads_in_new_levels"] >= 20
    assert row["new_levels"] == "Webinar"

    def few(frame, rows, rng):
        chosen = np.flatnonzero(rows)[-103:-100]
        source = frame["lead_source"].cat.add_categories(["jane.doe@example.com"])
        source.iloc[chosen] = "jane.doe@example.com"
        return frame.assign(lead_source=source)

    table, targets = change(calm, few, first="2025-11-01")
    report = monitor_definition(champion, table, targets, since=since, as_of=dt.date(2026, 3, 29))
    assert report.attributes.set_index("attribute").loc["lead_source", "n_new_levels"] == 1
    assert "jane" not in json.dumps(report.to_dict()) + build_monitor_page(report)


def test_level_is_shown_as_trained_and_corrected_and_nothing_is_retrained(champion, calm, models, since):
    table, targets = change(calm, fewer_accepted, first="2025-01-06")
    before = models["accepted"].offset
    report = monitor_definition(champion, table, targets, models=models, since=since, as_of=LATE)
    row = report.calibration.set_index("target").loc["accepted"]
    assert row["observed"] < row["expected"] - 0.1
    assert row["offset"] < -0.5
    assert row["offset_low"] < row["offset"] < row["offset_high"]
    waiting = report.expected.set_index("target").loc["accepted"]
    assert waiting["kind"] == "expected, not observed"
    assert waiting["expected_recalibrated"] < waiting["expected"] - 0.1
    assert models["accepted"].offset == before


def test_a_bundle_says_what_its_models_say(champion, calm, calm_targets, models, since, quiet, tmp_path):
    path = tmp_path / "m.leadml-bundle"
    digest = write_bundle(models, path, definition=champion, contract=calm.contract, random_state=0)
    bundle = load_bundle(path, digest=digest)
    report = monitor_definition(champion, calm, calm_targets, models=bundle, since=since, as_of=LATE)
    assert report.bundle == digest
    pd.testing.assert_frame_equal(report.calibration, quiet.calibration, rtol=1e-6)
    shifted = dataclasses.replace(bundle.models["won"], offset=0.7)
    bundle = dataclasses.replace(bundle, models={"won": shifted})
    report = monitor_definition(champion, calm, calm_targets, models=bundle, since=since, as_of=LATE)
    row = report.calibration.iloc[0]
    assert row["expected"] > row["expected_as_trained"]


def test_models_of_watched_leads_are_pointed_out(champion, calm, calm_targets, models):
    report = monitor_definition(
        champion, calm, calm_targets, models=models, since=dt.date(2024, 10, 1), as_of=dt.date(2025, 3, 1)
    )
    assert any("trained or judged on leads that are watched" in notice for notice in report.notices)


def test_untrained_models_are_left_out(champion, calm, calm_targets, since):
    models = {"won": UntrainedModel(target="won", reason="cannot train: no wins")}
    report = monitor_definition(champion, calm, calm_targets, models=models, since=since)
    assert report.calibration.empty
    assert report.expected.empty


def test_without_models_their_share_goes_to_the_others(champion, calm, calm_targets, since, quiet):
    report = monitor_definition(champion, calm, calm_targets, since=since, as_of=LATE)
    level = {signal.family: signal.level for signal in report.signals}
    assert "calibration" not in level
    assert level["together"] == pytest.approx(0.05 * 0.10 / 0.75 / 52)


# ---- the result ----------------------------------------------------------------------------------


def test_the_report_is_a_result(quiet):
    frame = quiet.to_frame()
    assert list(frame.columns) == ["family", "signal", "status", "p_value", "level", "words"]
    assert len(frame) == len(quiet.signals)
    assert len(repr(quiet).splitlines()) <= 10
    assert "<table" in quiet._repr_html_()
    assert "<script" not in quiet._repr_html_()
    assert len(quiet.plot().patches) >= len(quiet.criteria)
    metrics = quiet.to_metrics()
    assert metrics["alarm"] == 0
    assert all(np.isfinite(list(metrics.values())))


def test_what_was_promised_is_read_before_what_is_quiet(quiet):
    families = [signal.family for signal in quiet.ranked if signal.status != "alarm"]
    assert families[:2] == ["promise", "promise"]
    assert sorted(map(repr, quiet.ranked)) == sorted(map(repr, quiet.signals))


def test_damaged_rows_are_said_to_be_unwatched(champion, calm, calm_targets, since):
    manifest = dataclasses.replace(calm.manifest, quarantined=14)
    table = dataclasses.replace(calm, manifest=manifest)
    report = monitor_definition(champion, table, calm_targets, since=since)
    assert "14 damaged rows of the export were put aside; they are not watched." in report.notices


def test_a_champion_that_begins_after_the_leads_is_not_watched_yet(champion, calm, calm_targets):
    report = monitor_definition(champion, calm, calm_targets, since=dt.date(2030, 1, 1))
    assert report.look == 0
    assert any("nothing to watch yet" in notice for notice in report.notices)


def test_the_report_is_plain_json(quiet):
    document = json.loads(json.dumps(quiet.to_dict(), allow_nan=False))
    assert document["alarm"] is False
    rows = document["rows"]
    assert [rows[name] for name in ("before", "since", "newest")] == [
        quiet.n_before,
        quiet.n_since,
        quiet.n_newest,
    ]
    assert rows["read"] == rows["kept"] + rows["quarantined"] + rows["duplicates"]
    assert {row["target"] for row in document["promises"]} == {"accepted", "won"}


def test_the_page_needs_nothing_from_outside_and_is_the_same_each_time(quiet, tmp_path):
    page = build_monitor_page(quiet)
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page == build_monitor_page(quiet)
    write_monitor_page(quiet, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_never_scrolls_sideways(browser, quiet, tmp_path, width):
    long = dataclasses.replace(quiet, bundle="ab" * 32, notices=("c" * 200,))
    write_monitor_page(long, tmp_path / "page.html")
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_hostile_names_stay_text(champion, calm, since):
    text = champion.text.replace("name: inbound-lead", "name: <img src=x onerror=alert(1)>")
    hostile = parse_definition(text)
    report = monitor_definition(hostile, calm, compute_targets(calm), since=since, as_of=LATE)
    assert "<img" not in build_monitor_page(report)
    assert "<img" not in report._repr_html_()


# ---- edges ---------------------------------------------------------------------------------------


def test_no_leads_at_all_is_too_early(champion, calm):
    table, targets = keep(calm, np.zeros(len(calm), dtype=bool))
    report = monitor_definition(champion, table, targets)
    assert not report.alarm
    assert set(statuses(report).values()) == {"too early"}
    assert "too early for all" in report.headline
    assert "No alarm" in build_monitor_page(report)
    assert len(report.plot().patches) >= 0
    json.dumps(report.to_dict(), allow_nan=False)


def test_no_leads_before_cannot_be_compared(champion, calm, calm_targets, models):
    report = monitor_definition(
        champion, calm, calm_targets, models=models, since=dt.date(2024, 1, 1), as_of=LATE
    )
    assert report.n_before == 0
    found = statuses(report)
    assert found["promise", "won deals"] == found["together", "all attributes at once"] == "too early"
    assert any("too few to take their rates" in notice for notice in report.notices)
    assert any("is due" in notice for notice in report.notices)


def test_before_the_first_look_nothing_is_judged(champion, calm, calm_targets, since, models):
    report = monitor_definition(
        champion, calm, calm_targets, models=models, since=since, as_of=since + dt.timedelta(days=3)
    )
    assert report.look == 0
    assert set(statuses(report).values()) == {"too early"}


def test_labels_of_one_kind_only_and_no_labels_are_too_early_to_calibrate(champion, calm, models, since):
    def all_lost(frame, rows, rng):
        return frame.assign(outcome=frame["outcome"].where(~rows | (frame["outcome"] == "open"), "lost"))

    table, targets = change(calm, all_lost, first="2025-01-01")
    report = monitor_definition(champion, table, targets, models=models, since=since, as_of=LATE)
    found = statuses(report)
    assert found["calibration", "won deals"] == "too early"
    assert found["promise", "won deals"] == "alarm"

    def all_open(frame, rows, rng):
        frame.loc[rows, "verdict"] = "pending"
        return frame.assign(outcome=frame["outcome"].where(~rows, "open"))

    table, targets = change(calm, all_open, first="2025-01-01")
    report = monitor_definition(champion, table, targets, models=models, since=since, as_of=LATE)
    assert statuses(report)["promise", "acceptance"] == "too early"
    assert statuses(report)["handling", "reps"] == "too early"


def test_no_rep_no_verdict_no_outcome_leaves_the_shift_of_the_leads(champion, calm):
    dropped = ("rep:", "verdict:", "decided_on:", "outcome:", "closed_on:", "amount:", "handed_on:")
    lines = DEMO_CONTRACT.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("reason:"))
    end = next(i for i, line in enumerate(lines) if line.strip().startswith("rep:"))
    lines = [
        line for i, line in enumerate(lines) if not start <= i < end and not line.strip().startswith(dropped)
    ]
    lines = [line for line in lines if not line.startswith("windows:")]
    contract = parse_contract("\n".join(lines), source="bare.yaml")
    names = [column.name for column in contract.columns if column.name in calm.frame.columns]
    table = dataclasses.replace(calm, frame=calm.frame[names], contract=contract)
    report = monitor_definition(champion, table, compute_targets(table), since=dt.date(2025, 1, 6))
    assert {signal.family for signal in report.signals} == {"attributes", "together", "volume and mix"}
    assert not report.alarm


def test_leads_without_dates_are_compared_as_one_look(champion, calm):
    text = DEMO_CONTRACT.replace(
        'role: created, type: date, format: "%Y-%m-%d"', "role: created, type: sequence"
    ).replace(
        'role: handed_over, type: date, format: "%Y-%m-%d"',
        'role: attribute, type: date, format: "%Y-%m-%d", known_at: after',
    )
    contract = parse_contract(text, source="sequence.yaml")
    frame = calm.frame.assign(created_on=np.arange(len(calm), dtype=float))
    table = dataclasses.replace(calm, frame=frame, contract=contract)
    report = monitor_definition(
        champion, dataclasses.replace(table, as_of=dt.date(1970, 1, 1)), compute_targets(table)
    )
    assert report.as_of is None
    assert "1970-01-01" not in build_monitor_page(report) + repr(report) + str(report.to_dict())
    report = monitor_definition(champion, table, compute_targets(table))
    assert isinstance(report, MonitorReport)
    assert (report.since, report.as_of) == (None, calm.as_of)
    assert report.weeks.empty
    assert report.to_dict()["look_on"] is None
    assert ("volume and mix", "leads a week") not in statuses(report)
    assert not report.alarm
    with pytest.raises(LeadsError, match="no dates, only a running number"):
        monitor_definition(champion, table, compute_targets(table), since=dt.date(2025, 1, 1))


def test_without_a_first_day_the_newest_leads_are_watched_and_peeking_is_not_promised(
    champion, calm, calm_targets
):
    text = champion.text.replace("effective_from: 2025-01-01", "effective_from: 2023-01-01")
    report = monitor_definition(parse_definition(text), calm, calm_targets)
    assert report.since == calm.as_of - dt.timedelta(days=90)
    assert any("right for one look only" in notice for notice in report.notices)
    written = monitor_definition(champion, calm, calm_targets)
    assert written.since == champion.effective_from


def test_what_does_not_fit_is_refused(champion, calm, calm_targets):
    with pytest.raises(LeadsError, match="later than the leads"):
        monitor_definition(champion, calm, calm_targets, as_of=dt.date(2030, 1, 1))
    with pytest.raises(LeadsError, match="error_rate: expected a number between 0 and 1, got 2"):
        monitor_definition(champion, calm, calm_targets, error_rate=2)
    with pytest.raises(LeadsError, match="one row for each of the 12,000 leads, got 5"):
        monitor_definition(champion, calm, calm_targets.head())
    with pytest.raises(LeadsError, match="n_looks: expected at least 1, got 0"):
        Schedule(n_looks=0)


def test_five_contacts_of_one_company_are_one_piece_of_evidence(champion, calm, since):
    contract = parse_contract(
        DEMO_CONTRACT.replace(
            "email: {from: leads.Email, role: personal}", "company: {from: leads.Company, role: account}"
        ),
        source="accounts.yaml",
    )
    single = calm.frame.assign(company=[f"A{number}" for number in range(len(calm))])
    copies = [single.assign(lead_id=single["lead_id"] + f"-{copy}") for copy in range(5)]
    once = dataclasses.replace(calm, frame=single, contract=contract)
    five = dataclasses.replace(calm, frame=pd.concat(copies, ignore_index=True), contract=contract)
    a, b = (
        monitor_definition(champion, table, compute_targets(table), since=since, as_of=LATE)
        for table in (once, five)
    )
    assert b.n_since == 5 * a.n_since
    pd.testing.assert_frame_equal(a.promises, b.promises)
    pd.testing.assert_frame_equal(
        a.attributes.drop(columns="attribute"), b.attributes.drop(columns="attribute")
    )
    assert np.allclose(a.handling["p_value"], b.handling["p_value"])

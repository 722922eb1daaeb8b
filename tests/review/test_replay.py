"""Every version on the same leads; what moved the volume, with a known truth."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.definitions import parse_definition
from leadml.errors import LeadsError
from leadml.review import Version, replay_versions
from leadml.review._replay import PARTS, _decompose, _volume

TEXT = """\
name: inbound-lead
version: {version}
effective_from: {day}
owners: {{marketing: A, sales: B}}
meaning: m
attributes:
  employees: {{type: integer, unit: people}}
  budget: {{type: ordinal, levels: [none, some, much]}}
points:
  interest:
    - {{when: employees >= 5000, points: 1}}
classes:
  - name: hot
    all_of: [employees >= {least}, budget >= some]
  - name: cold
    otherwise: true
handoff: [hot]
"""
CHANGE = date(2026, 1, 1)


def version(name, least, from_on=None, until_on=None, **more):
    definition = parse_definition(TEXT.format(version=name, day="2025-07-01", least=least))
    return Version(
        name="inbound-lead",
        version=name,
        sha256=definition.sha256,
        definition=definition,
        from_on=from_on,
        until_on=until_on,
        **more,
    )


OLD = version("1", 50, from_on=date(2025, 7, 1), until_on=CHANGE)
NEW = version("2", 100, from_on=CHANGE, in_force=True)


def world(before, after, *, n_before=1_000, n_after=1_000):
    """Leads of two half-years of equal length: (employees, budget) taken in turn from two lists."""
    days = pd.date_range("2025-07-04", "2025-12-31", periods=n_before).normalize()
    later = pd.date_range("2026-01-01", "2026-06-30", periods=n_after).normalize()
    rows = [before[i % len(before)] for i in range(n_before)] + [
        after[i % len(after)] for i in range(n_after)
    ]
    frame = pd.DataFrame(rows, columns=["employees", "budget"])
    frame["employees"] = frame["employees"].astype("float64")
    t0 = pd.Series([*days, *later])
    n = len(frame)
    targets = pd.DataFrame(
        {
            "t0": t0,
            "accepted": np.where(frame["employees"] >= 100, 1.0, 0.0),
            "accepted_mature": True,
            "won": np.full(n, np.nan),
            "won_mature": True,
        }
    )
    return SimpleNamespace(frame=frame, as_of=date(2026, 6, 30)), targets


def split(table, targets, old=OLD, new=NEW):
    (row,) = replay_versions([old, new], table, targets).splits.to_dict("records")
    assert row["problem"] == ""
    return row


SAME = [(200, "some"), (60, "some"), (10, "some"), (200, "none")]


def test_versions_are_counted_on_the_same_leads():
    table, targets = world(SAME, SAME)
    found = replay_versions([OLD, NEW], table, targets).versions
    assert found["n_replayed"].tolist() == [1_000, 500]
    assert found["share_replayed"].tolist() == [0.5, 0.25]
    assert found["n_since"].tolist() == [500, 250]
    assert found["rate_accepted_replayed"].tolist() == [0.5, 1.0]
    assert (found["ci_low_accepted_replayed"] < found["rate_accepted_replayed"]).all()


def test_an_open_deal_is_missing_not_lost():
    table, targets = world(SAME, SAME)
    found = replay_versions([OLD, NEW], table, targets).versions
    assert found["n_won_replayed"].tolist() == [0, 0]
    assert found["rate_won_replayed"].isna().all()
    targets["accepted_mature"] = False
    assert replay_versions([OLD], table, targets).versions["n_accepted_replayed"].tolist() == [0]


def test_another_rule_on_the_same_kind_of_leads_is_the_definition():
    row = split(*world(SAME, SAME))
    months = 181 / (365.25 / 12)
    assert row["per_month_after"] == pytest.approx(250 / months)
    assert row["definition_per_month"] == pytest.approx(-250 / months, rel=0.01)
    for part in ("mix", "data_quality"):
        assert row[f"{part}_per_month"] == pytest.approx(0, abs=0.1)
    assert row["definition_ci_high"] < 0


def test_twice_the_leads_are_arrivals():
    row = split(*world(SAME, SAME, n_after=2_000), new=replace(NEW, definition=OLD.definition))
    assert row["arrivals_per_month"] == pytest.approx(row["change_per_month"])
    assert row["arrivals_ci_low"] > 0
    for part in ("mix", "data_quality", "definition"):
        assert row[f"{part}_per_month"] == pytest.approx(0, abs=0.01)


def test_larger_companies_are_mix():
    larger = [(200, "some"), (60, "some"), (60, "some"), (200, "none")]
    row = split(*world(SAME, larger), new=replace(NEW, definition=OLD.definition))
    assert row["mix_per_month"] == pytest.approx(250 / (181 / (365.25 / 12)), rel=0.01)
    assert row["mix_ci_low"] > 0
    assert row["data_quality_per_month"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("broken", [(None, "some"), (200, None), (200, "Some ")])
def test_values_that_are_missing_or_not_in_the_list_are_data_quality(broken):
    worse = [SAME[0], SAME[1], SAME[2], SAME[3], *[broken] * 4]
    row = split(*world(SAME, worse), new=replace(NEW, definition=OLD.definition))
    assert row["data_quality_per_month"] == pytest.approx(-250 / (181 / (365.25 / 12)), rel=0.01)
    assert row["data_quality_ci_high"] < 0
    assert row["mix_per_month"] == pytest.approx(0, abs=0.01)


def test_a_version_that_the_leads_cannot_answer_is_said_and_the_others_are_replayed():
    table, targets = world(SAME, SAME)
    text = TEXT.format(version="3", day="2025-07-01", least=1).replace("employees", "staff")
    strange = replace(NEW, version="3", definition=parse_definition(text))
    gone = replace(NEW, version="4", definition=None)
    found = replay_versions([OLD, strange, gone], table, targets)
    assert found.versions["n_replayed"].tolist()[0] == 1_000
    assert "staff" in found.versions["problem"].tolist()[1]
    assert found.versions["problem"].tolist()[2] == "its file is missing or altered"
    assert all("cannot be split" in line for line in found.sentences())
    assert "staff" in "\n".join(found.report())
    with pytest.raises(LeadsError, match="no change of volume could be split"):
        found.plot()


def test_days_without_leads_and_leads_without_days_are_not_split():
    table, targets = world(SAME, SAME)
    late = replace(NEW, from_on=date(2026, 6, 30))
    (row,) = replay_versions([OLD, late], table, targets).splits.to_dict("records")
    assert row["problem"].startswith("fewer than 20 leads with a date arrived while 2 held")
    targets["t0"] = np.arange(len(targets), dtype=float)
    found = replay_versions([OLD, NEW], table, targets)
    assert "fewer than 20" in found.splits["problem"][0]
    assert found.versions["n_replayed"].tolist() == [1_000, 500]


def test_no_leads_and_no_versions_are_refused():
    table, targets = world(SAME, SAME)
    with pytest.raises(LeadsError, match="no versions or no leads"):
        replay_versions([], table, targets)
    table.frame = table.frame.iloc[:0]
    with pytest.raises(LeadsError, match="no versions or no leads"):
        replay_versions([OLD], table, targets.iloc[:0])


def test_rates_of_few_leads_are_hidden():
    rows = [(10, "some")] * 499 + [(200, "some")]
    found = replay_versions([OLD], *world(rows, rows))
    assert found.versions["n_accepted_replayed"].tolist() == [4]
    assert found.versions["rate_accepted_replayed"].isna().all()
    assert "hidden (under 5 leads)" in repr(found)


def test_a_replay_is_shown_without_script_and_plotted():
    found = replay_versions([OLD, NEW], *world(SAME, SAME))
    assert repr(found).startswith("inbound-lead: 2 versions on the same leads")
    assert len(repr(found).splitlines()) <= 10
    assert "<script" not in found._repr_html_()
    assert [text.get_text() for text in found.plot().get_yticklabels()][-1] == "definition"
    assert found.to_frame() is not found.versions
    assert found.to_dict()["splits"][0]["version_after"] == "2"
    assert found.to_dict()["replayed"][0]["rate_won_replayed"] is None


counts_of = st.lists(st.integers(0, 50), min_size=24, max_size=24)


@settings(max_examples=60, deadline=None)
@given(counts_of)
def test_the_parts_add_up_to_the_change(numbers):
    counts = np.array(numbers).reshape(1, 2, 3, 2, 2)
    months = np.array([3.0, 4.0])
    change, *parts = _decompose(counts, months)[0]
    volume = _volume(counts, months)[0]
    assert change == pytest.approx(sum(parts), abs=1e-9)
    assert volume[0, 0, 0, 0] == pytest.approx(counts[0, 0, :, 1].sum() / 3)
    assert volume[1, 1, 1, 1] == pytest.approx(counts[0, 1, :, :, 1].sum() / 4)


def test_ranges_cover_the_planted_parts():
    rng = np.random.default_rng(0)
    months = np.array([6.0, 6.0])
    truth = np.array(
        [[[[400, 30], [60, 180]], [[90, 0], [10, 0]]], [[[380, 20], [90, 200]], [[150, 0], [30, 0]]]]
    ).astype(float)
    planted = _decompose(truth[None], months)[0]
    n_worlds, covered = 200, np.zeros(1 + len(PARTS))
    for _ in range(n_worlds):
        counts = rng.poisson(truth)
        drawn = rng.poisson(counts, size=(300, *counts.shape))
        low, high = np.quantile(_decompose(drawn, months), [0.025, 0.975], axis=0)
        covered += (low <= planted) & (planted <= high)
    assert (covered / n_worlds >= 0.90).all(), covered / n_worlds

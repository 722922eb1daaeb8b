"""The linter's look at the leads."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import lint_definition, parse_definition
from leadml.errors import LeadsError

TODAY = date(2026, 9, 1)
TEXT = """\
name: inbound
version: 2026.3
attributes:
  months: {type: number, unit: months}
  title: {type: ordinal, levels: [staff, manager, director]}
  industry: {type: category, levels: [software, public]}
  source: {type: category}
  demo: {type: boolean}
  visited_on: {type: date}
  idle: {type: integer, unit: days, age_of: visited_on, anchor: as_of}
classes:
  - name: hot
    any_of:
      - months <= 6
      - title >= manager
      - industry = software
      - source in [web, trade show]
      - demo
      - idle <= 30
  - name: cold
    otherwise: true
handoff: [hot]
"""


def make_leads(n_leads=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "months": rng.integers(1, 24, n_leads).astype(float),
            "title": rng.choice(["staff", "manager", "director"], n_leads),
            "industry": rng.choice(["software", "public"], n_leads),
            "source": rng.choice(["web", "trade show", "list"], n_leads),
            "demo": rng.random(n_leads) < 0.1,
            "visited_on": pd.Timestamp("2026-09-01")
            - pd.to_timedelta(rng.integers(0, 90, n_leads), unit="D"),
        }
    )


def look(leads, text=TEXT, **kwargs):
    report = lint_definition(parse_definition(text), leads=leads, as_of=TODAY, **kwargs)
    return [item for item in report.findings if item.code.startswith("LD6")]


def codes(findings):
    return {(item.code, item.criterion) for item in findings}


def test_ordinary_leads_only_get_the_share_of_each_class():
    (finding,) = look(make_leads())
    assert (finding.code, finding.severity) == ("LD615", "note")
    assert finding.message.startswith("Of 200 leads: hot ")
    assert "cold " in finding.message


def test_an_attribute_that_is_rarely_known_is_reported_with_its_share():
    leads = make_leads()
    leads.loc[20:, "months"] = np.nan
    (finding,) = [item for item in look(leads) if item.code == "LD611"]
    assert (finding.criterion, finding.line) == ("months", 4)
    assert "known for 10 % of 200 leads" in finding.message


@pytest.mark.parametrize(("value", "words"), [(3.0, "every lead meets it"), (99.0, "no lead meets it")])
def test_a_criterion_that_separates_nobody_is_reported(value, words):
    findings = look(make_leads().assign(months=value))
    (finding,) = [item for item in findings if item.code == "LD612"]
    assert finding.criterion == "hot.months"
    assert words in finding.message


def test_levels_that_the_definition_does_not_know_are_counted_and_rare_ones_not_shown():
    leads = make_leads()
    leads.loc[:9, "title"] = "Director"
    leads.loc[10, "title"] = "Head of Jane Doe"
    leads.loc[:19, "industry"] = "retail"
    findings = {item.criterion: item for item in look(leads) if item.code == "LD613"}
    assert "11 leads have a level that is not in the list and counts as missing" in findings["title"].message
    assert "'Director' (10, perhaps 'director') and 1 more level" in findings["title"].message
    assert "Jane" not in findings["title"].message
    assert "'retail' (20)" in findings["industry"].message


def test_a_default_of_a_picklist_is_reported():
    leads = make_leads()
    leads.loc[:9, "source"] = "Select"
    leads.loc[:179, "title"] = "manager"
    findings = {item.criterion: item for item in look(leads) if item.code == "LD614"}
    assert "10 leads (5.0 %) have 'Select', which nobody chose" in findings["source"].message
    assert "missing: [Select]" in findings["source"].fix
    assert "have 'manager'; perhaps it is only the default" in findings["title"].message


def test_a_class_without_leads_is_reported():
    findings = look(make_leads(), TEXT.replace("any_of:", "all_of:").replace("months <= 6", "months <= 0"))
    assert ("LD616", "hot") in codes(findings)
    assert "No lead is 'hot'." in [item.message for item in findings]


def test_an_attribute_that_is_known_mostly_for_one_outcome_is_reported():
    leads = make_leads(400)
    won = np.r_[np.ones(150), np.zeros(200), np.full(50, np.nan)]
    leads["months"] = np.where(won == 1, 3.0, np.where(np.arange(400) % 2, 12.0, np.nan))
    (finding,) = [item for item in look(leads, won=won) if item.code == "LD617"]
    assert finding.criterion == "months"
    assert "100 % of the won leads and 50 % of the others" in finding.message
    assert "LD617" not in {item.code for item in look(make_leads(400), won=won, accepted=won)}


def test_a_level_that_no_lead_has_is_reported_with_its_neighbour():
    findings = look(make_leads().replace({"source": {"trade show": "Trade Show"}}))
    (finding,) = [item for item in findings if item.code == "LD618"]
    assert "no lead has 'trade show'" in finding.message


def test_missing_columns_and_wrong_types_are_findings_not_failures():
    leads = make_leads().drop(columns=["source", "visited_on"]).assign(months="soon")
    findings = look(leads)
    assert codes(findings) == {("LD601", "source"), ("LD601", "idle"), ("LD602", "months")}
    assert all(item.severity == "error" for item in findings)


def test_no_leads_are_no_findings():
    assert look(make_leads().iloc[:0]) == []


def test_labels_that_do_not_fit_the_leads_are_refused():
    with pytest.raises(LeadsError, match=r"one label per lead \(200\), got 1"):
        look(make_leads(), won=[1])


def test_a_look_changes_nothing_in_the_leads():
    leads = make_leads()
    before = leads.copy(deep=True)
    look(leads)
    pd.testing.assert_frame_equal(leads, before)

"""Definitions applied to leads."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import (
    assign_classes,
    compute_points,
    compute_won_prices,
    criterion_mask,
    evaluate_criteria,
    explain_classes,
    parse_criterion,
    parse_definition,
)
from leadml.errors import DefinitionError, LeadsError

TEXT = """\
name: inbound-lead
version: 2026.3
owners: {marketing: Director of Demand Generation, sales: VP Sales}
attributes:
  purchase_timeframe: {type: number, unit: months}
  budget_status: {type: ordinal, levels: [none, exploring, requested, approved]}
  title_level: {type: ordinal, levels: [staff, manager, director, vp, c_level]}
  industry: {type: category, levels: [software, manufacturing, public]}
  employees: {type: integer, unit: people}
  page_views_30d: {type: integer, unit: views}
  asked_for_demo: {type: boolean}
  created_on: {type: date}
points:
  engagement:
    - {when: page_views_30d >= 5, points: 10}
    - {when: asked_for_demo, points: 40}
classes:
  - name: hot
    all_of:
      - purchase_timeframe <= 6
      - budget_status >= requested
      - any_of: [title_level >= director, engagement >= 50]
  - name: medium
    at_least: 2
    of: [purchase_timeframe <= 12 or missing, employees between 50 and 500, "industry in [software, manufacturing]"]
  - name: cold
    otherwise: true
handoff: [hot]
prices: {won: {default: 12000, by: {employees >= 500: 40000}}, worked_lead: 150, currency: EUR}
"""


@pytest.fixture
def definition():
    return parse_definition(TEXT)


@pytest.fixture
def leads():
    return pd.DataFrame(
        {
            "purchase_timeframe": [6, 7, np.nan, 12.0],
            "budget_status": ["approved", "requested", None, "unheard of"],
            "title_level": ["vp", "staff", "manager", None],
            "industry": ["software", "public", None, "software"],
            "employees": pd.array([50, 500, None, 3], dtype="Int64"),
            "page_views_30d": [5, 5, 0, np.nan],
            "asked_for_demo": pd.array([True, False, None, True], dtype="boolean"),
        },
        index=[11, 12, 13, 14],
    )


def mask(definition, leads, text):
    criterion = parse_criterion(text, attributes=definition.typed_attributes())
    return criterion_mask(criterion, leads, definition=definition).tolist()


def test_a_lead_is_in_the_first_class_whose_rule_it_meets(definition, leads):
    classes = assign_classes(definition, leads)
    assert classes.tolist() == ["hot", "medium", "cold", "medium"]
    assert classes.index.tolist() == [11, 12, 13, 14]
    assert classes.cat.categories.tolist() == ["hot", "medium", "cold"]


def test_the_columns_of_evaluated_criteria_are_their_addresses(definition, leads):
    met = evaluate_criteria(definition, leads)
    assert tuple(met.columns) == tuple(criterion.address for criterion in definition.criteria())
    assert met.dtypes.unique().tolist() == [np.dtype(bool)]
    assert met["medium.purchase_timeframe"].tolist() == [True, True, True, True]


def test_points_are_summed_and_a_missing_value_earns_none(definition, leads):
    assert compute_points(definition, leads)["engagement"].tolist() == [50, 10, 0, 40]


def test_the_price_of_a_win_follows_the_first_criterion_met(definition, leads):
    assert compute_won_prices(definition, leads).tolist() == [12000, 40000, 12000, 12000]


def test_reasons_are_in_the_words_of_the_definition(definition, leads):
    reasons = explain_classes(definition, leads)
    assert reasons[11].startswith("meets purchase_timeframe <= 6; meets budget_status >= requested")
    assert (
        "fails purchase_timeframe <= 6; fails any of (title_level >= director, engagement >= 50)"
        in reasons[12]
    )
    assert "fails purchase_timeframe <= 6 (missing)" in reasons[13]
    assert explain_classes(definition, leads, max_reasons=1)[13].endswith("; and 2 more")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("purchase_timeframe <= 6", [True, False, False, False]),
        ("purchase_timeframe < 6", [False, False, False, False]),
        ("purchase_timeframe <= 6 or missing", [True, False, True, False]),
        ("purchase_timeframe != 6", [False, True, False, True]),
        ("purchase_timeframe is missing", [False, False, True, False]),
        ("purchase_timeframe is known", [True, True, False, True]),
        ("purchase_timeframe between 6 and 7", [True, True, False, False]),
        ("purchase_timeframe not in [6, 12]", [False, True, False, False]),
        ("employees > 50", [False, True, False, False]),
        ("budget_status < approved", [False, True, False, False]),
        ("budget_status is missing", [False, False, True, True]),
        ("budget_status not in [approved]", [False, True, False, False]),
        ("industry = public", [False, True, False, False]),
        ("industry != public", [True, False, False, True]),
        ("not asked_for_demo", [False, True, False, False]),
        ("asked_for_demo or missing", [True, False, True, True]),
        ("not asked_for_demo or missing", [False, True, True, False]),
        ("engagement = 10", [False, True, False, False]),
    ],
)
def test_every_operator_and_missing_values(definition, leads, text, expected):
    assert mask(definition, leads, text) == expected


def test_a_threshold_is_met_exactly_at_its_decimal():
    text = (
        "name: a\nversion: 1\nattributes: {x: {type: number}, a: {type: boolean}, b: {type: boolean}}\n"
        "points: {score: [{when: a, points: 0.1}, {when: b, points: 0.7}]}\n"
        "classes: [{name: hot, all_of: [x >= 0.3, score >= 0.8]}, {name: cold, otherwise: true}]\nhandoff: [hot]\n"
    )
    leads = pd.DataFrame({"x": [0.3, 0.29999999999999993], "a": [True, True], "b": [True, True]})
    assert assign_classes(parse_definition(text), leads).tolist() == ["hot", "cold"]


def test_prose_is_met_by_nobody(leads):
    text = TEXT.replace("- purchase_timeframe <= 6\n", "- strong interest\n")
    classes = assign_classes(parse_definition(text), leads)
    assert "hot" not in classes.tolist()


def test_a_misspelt_criterion_is_refused_rather_than_met_by_nobody(leads):
    definition = parse_definition(TEXT.replace("- purchase_timeframe <= 6\n", "- purchase_timefrme <= 6\n"))
    with pytest.raises(
        DefinitionError, match=r":20:9: .*unknown attribute .*Did you mean 'purchase_timeframe'"
    ):
        assign_classes(definition, leads)


def test_everything_wrong_with_the_columns_is_said_at_once(definition, leads):
    wrong = leads.drop(columns="industry").assign(purchase_timeframe="soon")
    with pytest.raises(LeadsError, match="'industry'") as caught:
        assign_classes(definition, wrong)
    assert len(caught.value.findings) == 2


def test_no_rows_give_no_classes(definition, leads):
    assert assign_classes(definition, leads.iloc[:0]).tolist() == []
    assert explain_classes(definition, leads.iloc[:0]).tolist() == []
    assert len(evaluate_criteria(definition, leads.iloc[:0])) == 0


def test_a_lead_without_any_value_meets_only_what_says_or_missing(definition, leads):
    empty = leads.assign(**{name: pd.Series([None] * 4, index=leads.index, dtype=object) for name in leads})
    assert assign_classes(definition, empty).tolist() == ["cold"] * 4


def test_days_compare_by_calendar_day(definition):
    leads = pd.DataFrame({"created_on": pd.to_datetime(["2026-03-31 14:00", "2026-04-01 00:00", None])})
    assert mask(definition, leads, "created_on <= 2026-03-31") == [True, False, False]
    assert mask(definition, leads, "created_on between 2026-04-01 and 2026-04-02") == [False, True, False]
    zoned = leads.assign(created_on=leads["created_on"].dt.tz_localize("America/New_York"))
    assert mask(definition, zoned, "created_on <= 2026-03-31") == [True, False, False]


def test_ordered_categories_compare_by_the_levels_of_the_definition(definition, leads):
    column = pd.Categorical(leads["title_level"], categories=["vp", "staff", "manager"], ordered=True)
    assert mask(definition, leads.assign(title_level=column), "title_level >= manager") == [
        True,
        False,
        True,
        False,
    ]


def test_a_threshold_keeps_its_decimal(definition):
    assert definition.criterion("hot.purchase_timeframe").values == (Decimal(6),)  # noqa: PD011

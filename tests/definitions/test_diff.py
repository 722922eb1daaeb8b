"""Two definitions: what changed in words, which leads move, and on data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadml.definitions import assign_classes, diff_definitions, diff_on_leads, parse_definition
from leadml.definitions._diff_leads import cohen_kappa
from leadml.errors import LeadsError

OLD = """\
name: inbound
version: 2026.3
review_by: 2026-12-31
owners: {marketing: Demand Generation, sales: VP Sales}
attributes:
  months: {type: number, unit: months}
  title: {type: ordinal, levels: [staff, manager, director]}
  industry: {type: category}
  demo: {type: boolean}
  views: {type: integer, unit: views}
  created_on: {type: date}
points:
  engagement:
    - {when: views >= 5, points: 10}
    - {when: demo, points: 40}
classes:
  - name: hot
    meaning: Soon.
    all_of:
      - months <= 6
      - title >= manager
      - any_of: [engagement >= 50, "industry in [software]"]
  - name: cold
    otherwise: true
handoff: [hot]
prices: {won: {default: 12000, by: {views >= 50: 20000}}, worked_lead: 150, currency: EUR}
"""
CHECKED = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def diff(*changes):
    text = OLD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return diff_definitions(parse_definition(OLD), parse_definition(text))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("months <= 6", "months <= 9", "hot now asks for months <= 9 instead of 6 months (looser)."),
        ("months <= 6", "months <= 3", "hot now asks for months <= 3 instead of 6 months (stricter)."),
        (
            "months <= 6",
            "months <= 6 or missing",
            "for months <= 6 or missing instead of months <= 6 (looser).",
        ),
        (
            "title >= manager",
            "title = manager",
            "for title = manager instead of title >= manager (stricter).",
        ),
        (
            "in [software]",
            "in [retail]",
            "for industry in [retail] instead of industry in [software] (moved).",
        ),
        ("      - title >= manager\n", "", "hot no longer asks for title >= manager."),
        (
            "      - title >= manager\n",
            "      - title >= manager\n      - demo\n",
            "hot now also asks for demo.",
        ),
        ("any_of: [engagement >= 50", "all_of: [engagement >= 50", "all of these instead of one of these."),
        (
            '      - any_of: [engagement >= 50, "industry in [software]"]\n',
            "",
            "hot no longer asks for one of these (",
        ),
        ("name: cold", "name: chilly", "chilly is a new class: everybody else."),
        ("name: cold", "name: chilly", "The class cold is gone."),
        (
            "    otherwise: true",
            "    any_of: [demo]",
            "cold now holds one of these (demo: yes) instead of everybody",
        ),
        ("meaning: Soon.", "meaning: Now.", 'the meaning of hot is now "Now." instead of "Soon.".'),
        ("handoff: [hot]", "handoff: [hot, cold]", "hot and cold go to Sales instead of hot."),
        ("points: 10}", "points: 20}", "engagement gives 20 points instead of 10 points for views >= 5."),
        ("    - {when: demo, points: 40}\n", "", "engagement no longer gives 40 points for demo."),
        ("when: views >= 5", "when: views >= 9", "engagement now gives 10 points for views >= 9."),
        ("worked_lead: 150", "worked_lead: 200", "the cost of working a lead is now 200 instead of 150."),
        ("20000", "30000", "the value of a win with views >= 50 is now 30000 instead of 20000."),
        (", currency: EUR", "", "the currency is no longer given; it was EUR."),
        ("VP Sales", "CRO", "the owner for sales is now CRO instead of VP Sales."),
        ("version: 2026.3", "version: 2026.4", "version is now 2026.4 instead of 2026.3."),
        ("2026-12-31", "2027-06-30", "review_by is now 2027-06-30 instead of 2026-12-31."),
        ("unit: months", "unit: weeks", "months.unit is now weeks instead of months."),
        (
            "  views: {type: integer, unit: views}",
            "  views: {type: integer, unit: views, asked: How many?}",
            "How many?",
        ),
        ("  demo: {", "  region: {type: category}\n  demo: {", "region is a new attribute (category)."),
        ("  created_on: {type: date}\n", "", "created_on is gone."),
    ],
)
def test_each_change_is_one_sentence(old, new, words):
    sentences = [entry.words for entry in diff((old, new)).entries]
    assert any(words in sentence for sentence in sentences), sentences


def test_equal_definitions_have_no_difference():
    found = diff()
    assert found.entries == ()
    assert not found.changes_leads
    assert [change.words for change in found.classes] == [
        "hot holds the same leads.",
        "cold holds the same leads.",
    ]
    assert list(found.to_frame().columns) == [
        "kind",
        "place",
        "written",
        "proposed",
        "words",
        "effect",
        "line",
    ]


def test_a_class_that_became_looser_gains_leads_and_loses_none():
    found = diff(("months <= 6", "months <= 9"))
    hot, cold = found.classes
    assert (hot.effect, cold.effect) == ("looser", "stricter")
    assert hot.gained.startswith("a lead with months 9")
    assert hot.lost is None
    assert "looser" in repr(found)


def test_different_words_for_the_same_leads_change_no_lead():
    found = diff(("title >= manager", "title in [manager, director]"))
    assert len(found.entries) == 1
    assert found.entries[0].effect == "same"
    assert not found.changes_leads


def test_the_order_of_the_classes_is_a_change():
    text = OLD.replace("    otherwise: true", "    any_of: [demo]")
    head, rest = text.split("  - name: hot")
    hot, rest = rest.split("  - name: cold")
    cold, tail = rest.split("handoff")
    turned = f"{head}  - name: cold{cold}  - name: hot{hot}handoff{tail}"
    found = diff_definitions(parse_definition(text), parse_definition(turned))
    assert [entry.words for entry in found.entries] == [
        "The classes are asked in the order cold and hot instead of hot and cold."
    ]
    assert {item.name: item.effect for item in found.classes} == {"cold": "looser", "hot": "stricter"}


def test_attributes_that_changed_their_meaning_are_not_compared():
    found = diff(("unit: months", "unit: weeks"))
    assert {item.effect for item in found.classes} == {"unknown"}
    assert "cannot be compared" in found.classes[0].words


def test_a_difference_is_plain_data_and_a_card():
    found = diff(("meaning: Soon.", "meaning: <b>Now</b>"), ("months <= 6", "months <= 9"))
    assert set(found.to_dict()) == {"old", "new", "changes", "classes"}
    assert "<b>Now" not in found._repr_html_()
    assert len(repr(found).splitlines()) <= 10


@given(data=st.data())
@settings(CHECKED, max_examples=25)
def test_gained_and_lost_leads_equal_brute_force(generated_definitions, leads_grid, data):
    old, new = (parse_definition(data.draw(generated_definitions())) for _ in range(2))
    grids = [leads_grid(definition) for definition in (old, new)]
    if len(grids[0]) * len(grids[1]) > 50_000:
        return
    shared = [name for name in grids[0] if name in grids[1]]
    left, right = (frame.assign(_key=0) for frame in grids)
    grid = left.merge(right.drop(columns=shared), on="_key") if len(shared) < len(right.columns) - 1 else left
    grid = grid.drop(columns="_key")
    for name in ("n", "x", "o", "c", "b", "age"):
        if name in grid and grid[name].dtype == object:
            grid[name] = grid[name].astype("category") if name in "oc" else grid[name]
    before, after = (assign_classes(item, grid).astype(object) for item in (old, new))
    for change in diff_definitions(old, new).classes:
        was, now = before == change.name, after == change.name
        assert (change.gained is not None) == bool((now & ~was).any())
        assert (change.lost is not None) == bool((was & ~now).any())


# -- on data -------------------------------------------------------------------------------------------------


def make_leads():
    return pd.DataFrame(
        {
            "months": [3, 8, 8, 12, 3, np.nan],
            "title": ["director", "manager", "staff", "director", "manager", "manager"],
            "industry": ["software", "software", "software", "software", "Jane Doe", "software"],
            "demo": [True, False, False, True, True, True],
            "views": [10, 0, 0, 0, 0, 10],
            "created_on": pd.to_datetime(["2026-01-01"] * 6),
            "region": ["EU", "EU", "US", "US", None, "EU"],
        }
    )


def test_leads_that_change_class_are_counted_with_their_rates():
    old, new = parse_definition(OLD), parse_definition(OLD.replace("months <= 6", "months <= 9"))
    accepted = [1, 1, 0, np.nan, 0, 1]
    found = diff_on_leads(
        old,
        new,
        make_leads(),
        accepted=accepted,
        segment="region",
        interval=lambda k, n: (k / n - 0.1, k / n + 0.1),
    )
    assert (found.n_leads, found.n_changed, found.n_gained, found.n_lost) == (6, 1, 1, 0)
    moved = found.transitions.query("segment == 'all' and old_class == 'cold' and new_class == 'hot'").iloc[0]
    assert (moved["n"], moved["n_accepted"], moved["rate_accepted"]) == (1, 1, 1.0)
    assert (moved["ci_low_accepted"], moved["n_won"]) == (0.9, 0)
    assert set(found.transitions["segment"]) == {"all", "region EU", "region US", "region missing"}
    assert found.matrix().loc["cold", "hot"] == 1
    assert found.causes["criterion"].tolist() == ["hot.months", "hot.months"]
    assert found.causes["n"].tolist() == [1, 1]
    assert (
        found.examples["lead"]
        .tolist()[0]
        .startswith("a lead with months 8 (months), title manager, industry")
    )
    assert "1 of 6 leads change class" in repr(found)
    assert set(found.to_dict()) >= {"kappa", "transitions", "causes", "examples"}
    assert "<table" in found._repr_html_()


def test_texts_that_no_definition_names_stay_unnamed_in_examples():
    old, new = parse_definition(OLD), parse_definition(OLD.replace("engagement >= 50", "engagement >= 40"))
    found = diff_on_leads(old, new, make_leads())
    assert found.n_gained == 1
    assert "Jane" not in found.examples["lead"][0]
    assert "another industry than those named" in found.examples["lead"][0]


def test_transitions_add_up_to_all_leads():
    old, new = parse_definition(OLD), parse_definition(OLD.replace("title >= manager", "title >= director"))
    frame = diff_on_leads(old, new, make_leads()).to_frame()
    assert frame["n"].sum() == 6
    assert frame["share"].sum() == pytest.approx(1)


def test_no_leads_are_no_difference():
    found = diff_on_leads(parse_definition(OLD), parse_definition(OLD), make_leads().iloc[:0])
    assert (found.n_leads, found.n_changed) == (0, 0)
    assert np.isnan(found.kappa)
    assert "kappa not defined" in repr(found)
    assert found.to_dict()["kappa"] is None


def test_kappa_and_its_interval_equal_a_published_example():
    # Fleiss, Cohen & Everitt (1969), table 1: kappa .429, standard error .0538 at n = 200 (unweighted).
    table = np.array([[106, 10, 4], [22, 28, 10], [2, 12, 6]])
    agreement, kappa, low, high = cohen_kappa(table)
    assert agreement == pytest.approx(0.70)
    assert kappa == pytest.approx(0.429, abs=5e-4)
    assert (high - low) / 2 / 1.959964 == pytest.approx(0.0538, abs=2e-4)


def test_the_interval_of_kappa_covers_the_truth():
    rng = np.random.default_rng(0)
    truth = np.array([[0.5, 0.1], [0.15, 0.25]])
    _, kappa, _, _ = cohen_kappa((truth * 10**9).astype(np.int64))
    inside = 0
    for _ in range(400):
        counts = rng.multinomial(300, truth.ravel()).reshape(2, 2)
        _, _, low, high = cohen_kappa(counts)
        inside += low <= kappa <= high
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"segment": "land"}, "expected a column 'land'"), ({"won": [1]}, "one label per lead")],
)
def test_what_does_not_fit_the_leads_is_refused(kwargs, message):
    definition = parse_definition(OLD)
    with pytest.raises(LeadsError, match=message):
        diff_on_leads(definition, definition, make_leads(), **kwargs)


def test_a_comparison_that_is_too_large_claims_nothing(monkeypatch):
    monkeypatch.setattr("leadml.definitions._space.MAX_STATES", 0)
    found = diff(("months <= 6", "months <= 9"))
    assert {item.effect for item in found.classes} == {"unknown"}
    assert found.entries[0].effect == "unknown"


def test_a_new_class_gains_all_its_leads_and_a_gone_one_loses_them():
    found = diff(("name: cold", "name: chilly"))
    changes = {item.name: item for item in found.classes}
    assert (changes["chilly"].effect, changes["cold"].effect) == ("looser", "stricter")
    assert changes["cold"].gained is None


def test_examples_name_days_and_numbers_of_every_kind():
    text = OLD.replace("months <= 6", "created_on >= 2026-01-01").replace("title >= manager", "views >= 0")
    leads = make_leads().assign(views=[10, np.inf, np.nan, 1.5, 0, 10])
    new = parse_definition(text.replace("2026-01-01", "2027-01-01"))
    found = diff_on_leads(parse_definition(text), new, leads, n_examples=3)
    assert found.n_lost == 4
    assert "created_on 2026-01-01" in found.examples["lead"][0]

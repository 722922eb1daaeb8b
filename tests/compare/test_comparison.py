"""The comparison counts what it says it counts, by hand and whatever the leads."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.compare import compare_definition
from leadml.compare._structure import place_leads
from leadml.definitions import assign_classes, evaluate_criteria, parse_definition
from leadml.errors import LeadmlError
from leadml.leads import Column, Contract

HEAD = """\
name: d
version: 2026.1
owners: {marketing: M, sales: S}
attributes:
  months: {type: number, unit: months}
  size: {type: integer, unit: people}
  asked: {type: boolean}
"""
ALL = (
    HEAD
    + "classes:\n- {name: hot, all_of: [months <= 6, size >= 50]}\n- {name: cold, otherwise: true}\nhandoff: [hot]\n"
)
ANY = ALL.replace("all_of", "any_of")
TWO = HEAD + (
    "classes:\n- {name: out, all_of: [size < 2]}\n- name: hot\n  at_least: 2\n  of: [months <= 6, size >= 50, asked]\n"
    "- {name: warm, all_of: [{any_of: [months <= 12 or missing, asked]}, nice people]}\n- {name: cold, otherwise: true}\n"
    "handoff: [hot, warm]\n"
)


def attribute(name, values):
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    kind = "number" if numeric else "category"
    return Column(name=name, table="leads", source=name, role="attribute", type=kind)


def leads(months, size, asked=None):
    asked = [False] * len(months) if asked is None else asked
    return pd.DataFrame(
        {
            "months": pd.array(months, dtype="float64"),
            "size": pd.array(size, dtype="Int64"),
            "asked": pd.array(asked, dtype="boolean"),
        }
    )


def labels(accepted, won=None, *, mature=None, t0=None):
    n = len(accepted)
    mature = [True] * n if mature is None else mature
    return pd.DataFrame(
        {
            "t0": pd.date_range("2026-01-01", periods=n, freq="D") if t0 is None else t0,
            "accepted": pd.array(accepted, dtype="float64"),
            "accepted_mature": mature,
            "won": pd.array([np.nan] * n if won is None else won, dtype="float64"),
            "won_mature": mature,
            "period": ["2026Q1"] * n,
        }
    )


def make_table(frame, account=None):
    columns = tuple(attribute(name, frame[name]) for name in frame.columns)
    return SimpleNamespace(
        frame=frame,
        contract=Contract(name="small", tables=(), columns=columns),
        role={"account": account}.get,
    )


def compare(text, frame, targets, models=None):
    table = make_table(frame)
    return compare_definition(parse_definition(text), table, targets, models=models or {}, n_resamples=50)


def row(comparison, criterion, target="accepted"):
    frame = comparison.to_frame()
    return frame[(frame["criterion"] == criterion) & (frame["target"] == target)].iloc[0]


# four leads meet both, two only the first, two only the second, two none
MONTHS = [3, 3, 3, 3, 3, 3, 12, 12, 12, np.nan]
SIZE = [90, 90, 90, 90, 10, 10, 90, 90, 10, None]
ACCEPTED = [1, 1, 1, 0, 1, 0, np.nan, 0, np.nan, np.nan]


def test_rates_inside_and_outside_are_counted_over_labelled_leads():
    found = row(compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED)), "hot.months")
    assert (found["leads_inside"], found["n_inside"], found["rate_inside"]) == (6, 6, pytest.approx(4 / 6))
    assert (found["leads_outside"], found["n_outside"], found["rate_outside"]) == (4, 1, 0.0)
    assert found["fill_rate"] == pytest.approx(0.9)
    assert found["share_passing"] == pytest.approx(0.6)
    assert found["ci_low_inside"] < found["rate_inside"] < found["ci_high_inside"]
    assert found["difference"] == pytest.approx(4 / 6)
    assert found["difference_low"] < found["difference"] < found["difference_high"]


def test_striking_out_a_criterion_lets_in_the_leads_it_alone_stops():
    found = row(compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED)), "hot.size")
    assert (found["drop_leads"], found["drop_n"], found["drop_rate"]) == (2, 2, 0.5)
    assert found["drop_gain"] == pytest.approx(4 / 6 - 3 / 4)
    assert found["drop_gain_low"] < found["drop_gain"] < found["drop_gain_high"]


def test_striking_out_an_alternative_removes_the_leads_it_alone_lets_in():
    found = row(compare(ANY, leads(MONTHS, SIZE), labels(ACCEPTED)), "hot.size")
    assert (found["drop_leads"], found["drop_n"], found["drop_rate"]) == (2, 1, 0.0)
    assert found["drop_gain"] == pytest.approx(4 / 6 - 4 / 7)
    assert found["drop_gain_low"] < found["drop_gain"] < found["drop_gain_high"]


def test_nothing_is_said_of_leads_without_a_label():
    comparison = compare(ALL, leads(MONTHS, SIZE), labels([np.nan] * 10))
    found = row(comparison, "hot.size")
    assert found["n_inside"] == found["drop_n"] == 0
    assert found["drop_leads"] == 2
    assert np.isnan(found["rate_inside"])
    assert np.isnan(found["drop_gain"])
    assert any("No lead has a settled verdict" in note for note in comparison.notes)


def test_unsettled_labels_are_not_counted():
    mature = [True] * 5 + [False] * 5
    found = row(compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED, mature=mature)), "hot.months")
    assert found["n_inside"] == 5
    assert found["n_outside"] == 0


def test_both_targets_stand_side_by_side():
    comparison = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED, won=[1, 0, 0, 0] + [np.nan] * 6))
    assert row(comparison, "hot.months", "won")["rate_inside"] == 0.25
    assert len(comparison.to_frame()) == 4
    assert list(comparison.to_frame()["target"]) == ["accepted", "won"] * 2


def test_prose_is_met_by_nobody_and_has_no_figures():
    comparison = compare(TWO, leads(MONTHS, SIZE), labels(ACCEPTED))
    found = comparison.to_frame()
    prose = found[~found["measurable"].astype(bool)]
    assert list(prose["written"].unique()) == ["nice people"]
    assert prose["rate_inside"].isna().all()
    assert any("nice people" in note for note in comparison.notes)
    warm = comparison.classes[comparison.classes["lead_class"] == "warm"]
    assert (warm["n_leads"] == 0).all()


def test_classes_and_periods_add_up_to_all_leads():
    targets = labels(ACCEPTED)
    targets["period"] = ["2025Q4"] * 4 + ["2026Q1"] * 6
    comparison = compare(ALL, leads(MONTHS, SIZE), targets)
    for target in ("accepted", "won"):
        classes = comparison.classes[comparison.classes["target"] == target]
        assert classes["n_leads"].sum() == 10
        assert classes["share"].sum() == pytest.approx(1)
        handoff = comparison.handoff[comparison.handoff["target"] == target].set_index("period")
        assert list(handoff.index) == ["all", "2025Q4", "2026Q1"]
        for column in ("n_leads", "n_handed_over", "n", "n_rest"):
            assert handoff[column].iloc[1:].sum() == handoff.loc["all", column]
    assert comparison.handoff.iloc[0]["n_handed_over"] == 4


def test_leads_of_an_order_without_dates_have_no_months():
    targets = labels(ACCEPTED, t0=np.arange(10.0))
    assert compare(ALL, leads(MONTHS, SIZE), targets).months is None
    assert compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED)).months == pytest.approx(9 / 30.44, abs=0.01)


def test_loosening_that_no_label_covers_is_noted():
    accepted = [1, 1, 1, 0] + [np.nan] * 6
    notes = compare(ALL, leads(MONTHS, SIZE), labels(accepted)).notes
    assert any(
        "Of 6 leads that the definition does not hand over, none has a settled verdict" in note
        for note in notes
    )


def model_for(y_true, y_prob, index):
    return SimpleNamespace(holdout=pd.DataFrame({"y_true": y_true, "y_prob": y_prob}, index=index))


def test_the_rate_of_those_not_handed_over_is_bounded_and_not_filled_in():
    # handed over: the first four; of the other six, three are labelled and one of these is accepted
    found = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED)).handoff.iloc[0]
    assert (found["n_rest"], found["rate_rest"]) == (3, pytest.approx(1 / 3))
    assert (found["bound_low_rest"], found["bound_high_rest"]) == (pytest.approx(1 / 6), pytest.approx(4 / 6))
    young = labels(ACCEPTED, mature=[True] * 8 + [False] * 2)
    found = compare(ALL, leads(MONTHS, SIZE), young).handoff.iloc[0]
    assert (found["bound_low_rest"], found["bound_high_rest"]) == (pytest.approx(1 / 4), pytest.approx(2 / 4))


@pytest.mark.parametrize(
    ("accepted", "n_labelled", "words"),
    [
        (ACCEPTED, 3, "Of 6 leads that were not handed over 3 have a settled verdict, 33 % of these"),
        ([1, 1, 1, 0] + [np.nan] * 6, 0, "unknown, and no model can tell"),
        ([1, 1, 1, 0, 0, 0, 0, 0, 0, 1], 6, "have a settled verdict: 17 % of them are accepted."),
    ],
)
def test_what_was_never_handed_over_stays_unknown_and_is_said(accepted, n_labelled, words):
    found = compare(ALL, leads(MONTHS, SIZE), labels(accepted)).selection.iloc[0]
    assert (found["n_rest"], found["n_rest_labelled"]) == (6, n_labelled)
    assert found["overlap"] == pytest.approx(n_labelled / 6)
    assert words in found["reading"].replace("\xa0", " ")
    if n_labelled == 0:
        assert (found["bound_low"], found["bound_high"]) == (0.0, 1.0)


def test_nothing_is_hidden_where_every_lead_is_handed_over():
    found = compare(ALL, leads([1, 1], [90, 90]), labels([1, 0])).selection.iloc[0]
    assert "Every lead that is old enough is handed over" in found["reading"]
    assert np.isnan(found["overlap"])


def test_definition_and_model_choose_equally_many_of_the_later_leads():
    frame, targets = leads(MONTHS, SIZE), labels(ACCEPTED)
    model = model_for([0.0, 1.0, 1.0, 0.0], [0.1, 0.9, 0.8, 0.2], [3, 4, 5, 6])
    found = compare(ALL, frame, targets, {"accepted": model}).at_equal_volume.iloc[0]
    assert (found["n"], found["volume"], found["n_both"]) == (4, 1, 0)
    assert (found["rate_definition"], found["rate_model"], found["difference"]) == (0.0, 1.0, 1.0)
    assert found["ci_low"] < 1.0


def test_a_model_that_chooses_the_same_leads_differs_by_nothing():
    model = model_for([0.0, 1.0], [0.9, 0.1], [3, 4])
    found = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED), {"won": model}).at_equal_volume.iloc[0]
    assert (found["target"], found["difference"], found["ci_low"], found["ci_high"]) == ("won", 0.0, 0.0, 0.0)


def test_where_only_the_handoff_has_answers_nothing_is_said_to_be_left_on_the_table():
    model = model_for([0.0, 1.0], [0.9, 0.1], [0, 1])
    comparison = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED), {"accepted": model})
    volume, precision = comparison.at_equal_volume.iloc[0], comparison.at_equal_precision.iloc[0]
    assert np.isnan([volume["wins_left"], volume["wins_left_low"], precision["volume_model"]]).all()
    assert "nobody can say" in volume["reading"]
    assert "nobody can say" in precision["reading"]


PRICED = ALL + "prices: {won: {default: 1000, by: {size >= 90: 5000}}, worked_lead: 100, currency: EUR}\n"


def test_value_left_on_the_table_is_that_of_the_wins_only_one_side_chooses():
    # 200 newest leads; the definition takes the first half (one win in ten), the model the second (five in ten)
    size = [90] * 100 + [20] * 100
    won = [1, *[0] * 9] * 10 + [1, 0] * 50
    model = model_for([float(y) for y in won], [0.1] * 100 + [0.9] * 100, list(range(200)))
    frame = leads([3] * 200, size)
    comparison = compare(PRICED, frame, labels([np.nan] * 200, won), {"won": model})
    found = comparison.at_equal_volume.iloc[0]
    assert found["wins_left"] == pytest.approx(400)
    # 50 wins of 1,000 each against 10 wins of 5,000 each: worth the same
    assert found["value_left"] == pytest.approx(0)
    assert found["value_left_low"] < 0 < found["value_left_high"]
    assert "the definition leaves 400 won deals per 1,000" in found["reading"]
    precision = comparison.at_equal_precision.iloc[0]
    assert precision["volume_model"] == 200
    # 100 leads more at one win in ten, worth 5,000 each, work 100 each: 100 x 400, per 100 handed over
    assert precision["value_left"] == pytest.approx(400_000)
    assert 0 < precision["value_left_low"] < precision["value_left_high"]
    assert "instead of 100" in precision["reading"]


def test_value_left_needs_prices_and_won_deals():
    model = model_for([0.0, 1.0, 1.0, 0.0], [0.1, 0.9, 0.8, 0.2], [3, 4, 5, 6])
    both = {"accepted": model, "won": model}
    found = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED, ACCEPTED), both).at_equal_volume
    assert found["value_left"].isna().all()
    found = compare(PRICED, leads(MONTHS, SIZE), labels(ACCEPTED, ACCEPTED), both).at_equal_volume
    assert found.set_index("target")["value_left"].notna().to_dict() == {"accepted": False, "won": True}


def test_nothing_handed_over_leaves_nothing_to_compare():
    model = model_for([0.0, 1.0], [0.9, 0.1], [8, 9])
    found = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED), {"won": model}).at_equal_volume.iloc[0]
    assert found["volume"] == 0
    assert np.isnan(found["difference"])


def test_no_leads_give_a_whole_but_empty_comparison():
    comparison = compare(ALL, leads([], []), labels([]))
    assert comparison.n_leads == 0
    assert comparison.months is None
    assert len(comparison.to_frame()) == 4
    assert "on 0 leads" in repr(comparison)


def test_missing_attribute_is_named():
    with pytest.raises(LeadmlError, match="size"):
        compare(ALL, leads(MONTHS, SIZE).drop(columns="size"), labels(ACCEPTED))


def test_result_is_readable_and_plots():
    comparison = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED))
    assert len(repr(comparison).splitlines()) <= 10
    assert "d 2026.1 on 10 leads" in repr(comparison)
    html = comparison._repr_html_()
    assert "months &lt;= 6" in html
    assert "<script" not in html
    from matplotlib.figure import Figure

    ax = comparison.plot(Figure().add_subplot())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["months <= 6", "size >= 50"]
    frame = comparison.to_frame()
    with pytest.raises(ValueError, match="what: expected 'rates', 'worth' or 'quadrant', got 'all'"):
        comparison.plot(what="all")
    frame["target"] = "x"
    assert set(comparison.to_frame()["target"]) == {"accepted", "won"}


def test_worth_and_quadrant_are_drawn_for_each_criterion():
    from matplotlib.figure import Figure

    accepted = [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    comparison = compare(ALL, leads(MONTHS * 20, SIZE * 20), labels(accepted * 20, accepted * 20))
    ax = comparison.plot(Figure().add_subplot(), what="worth")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["months <= 6", "size >= 50"]
    shares, missed = (line.get_xdata().tolist() for line in ax.lines)
    won = comparison.contributions.query("target == 'won'")
    assert shares == pytest.approx(won["shapley"].tolist())
    assert missed == pytest.approx(won["leave_one_out"].tolist())
    ax = comparison.plot(Figure().add_subplot(), what="quadrant")
    assert {text.get_text() for text in ax.texts} == {"months <= 6", "size >= 50"}
    assert len(compare(ALL, leads([], []), labels([])).plot(Figure().add_subplot(), what="worth").lines) == 2


lead_rows = st.lists(
    st.tuples(
        st.sampled_from([None, 1.0, 6.0, 7.0, 13.0]), st.sampled_from([None, 1, 49, 50]), st.booleans()
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(lead_rows, st.sampled_from([ALL, ANY, TWO]))
def test_without_striking_anything_out_classes_are_those_of_the_definition(rows, text):
    months, size, asked = zip(*rows, strict=True) if rows else ((), (), ())
    definition, frame = parse_definition(text), leads(list(months), list(size), list(asked))
    met = {
        str(name): column.to_numpy(dtype=bool)
        for name, column in evaluate_criteria(definition, frame).items()
    }
    placed = place_leads(definition, met, n_leads=len(frame))
    assert list(placed) == list(assign_classes(definition, frame).cat.codes)


@settings(max_examples=40, deadline=None)
@given(
    lead_rows,
    st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=30, max_size=30),
    st.sampled_from([ALL, ANY, TWO]),
)
def test_inside_and_outside_add_up_and_ranges_hold_their_rates(rows, accepted, text):
    months, size, asked = zip(*rows, strict=True) if rows else ((), (), ())
    frame = leads(list(months), list(size), list(asked))
    found = compare(text, frame, labels(accepted[: len(frame)])).to_frame()
    found = found[found["measurable"].astype(bool)]
    assert (found["leads_inside"] + found["leads_outside"] == len(frame)).all()
    for side in ("inside", "outside"):
        part = found[found[f"n_{side}"] > 0]
        assert (part[f"ci_low_{side}"] <= part[f"rate_{side}"] + 1e-12).all()
        assert (part[f"rate_{side}"] <= part[f"ci_high_{side}"] + 1e-12).all()
    part = found[found["drop_gain_low"].notna()]
    assert (part["drop_gain_low"] <= part["drop_gain"] + 1e-12).all()
    assert (part["drop_gain"] <= part["drop_gain_high"] + 1e-12).all()


def test_several_leads_per_account_are_said_to_narrow_the_ranges():
    table = make_table(leads(MONTHS, SIZE), pd.Series(["a"] * 5 + ["b"] * 5))
    found = compare_definition(parse_definition(ALL), table, labels(ACCEPTED), models={}, n_resamples=50)
    assert any("5.0 leads per account" in note for note in found.notes)
    table = make_table(leads(MONTHS, SIZE), pd.Series(range(10)))
    found = compare_definition(parse_definition(ALL), table, labels(ACCEPTED), models={}, n_resamples=50)
    assert not any("per account" in note for note in found.notes)


def test_model_reaches_the_definitions_rate_with_more_leads():
    rng = np.random.default_rng(0)
    n = 400
    good = rng.random(n)
    won = (rng.random(n) < good).astype(float)
    frame = leads(np.where(rng.random(n) < 0.4, 3.0, 12.0), [90] * n)
    model = model_for(won, good, range(n))
    comparison = compare(ALL, frame, labels([np.nan] * n, won=won), {"won": model})
    found = comparison.at_equal_precision.iloc[0]
    assert found["rate"] == pytest.approx(won[frame["months"] <= 6].mean())
    assert found["volume_model"] > found["volume_definition"]
    assert found["volume_model_low"] <= found["volume_model"] <= found["volume_model_high"]
    volume = comparison.at_equal_volume.iloc[0]
    assert volume["wins_left"] == pytest.approx(1000 * volume["difference"])
    assert volume["wins_left_low"] > 0


def test_a_definition_that_hands_nothing_over_has_no_rate_to_reach():
    model = model_for([0.0, 1.0], [0.9, 0.1], [8, 9])
    found = compare(ALL, leads(MONTHS, SIZE), labels(ACCEPTED), {"won": model}).at_equal_precision.iloc[0]
    assert found["volume_definition"] == 0
    assert np.isnan(found["rate"])


def test_levels_are_counted_one_by_one():
    asked = [True] * 6 + [False] * 8 + [None] * 5 + [True]
    accepted = [1.0] * 3 + [0.0] * 3 + [0.0] * 7 + [np.nan] + [1.0] * 5 + [np.nan]
    comparison = compare(TWO, leads([3.0] * 20, [60] * 20, asked), labels(accepted))
    found = comparison.levels[comparison.levels["target"] == "accepted"].set_index("level")
    assert list(found.index) == ["False", "True", "(missing)"]
    assert set(found["attribute"]) == {"asked"}
    assert list(found["n_leads"]) == [8, 7, 5]
    assert list(found["n"]) == [7, 6, 5]
    assert list(found["rate"]) == [0.0, 0.5, 1.0]
    assert ((found["ci_low"] <= found["rate"]) & (found["rate"] <= found["ci_high"])).all()


def test_levels_of_fewer_than_five_leads_are_not_shown():
    comparison = compare(TWO, leads([3.0] * 9, [60] * 9, [True] * 5 + [False] * 4), labels([1.0] * 9))
    assert set(comparison.levels["level"]) == {"True"}

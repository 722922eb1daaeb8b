"""Dependence, interactions and stability of attributions."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from leadml.definitions import parse_definition
from leadml.explain import explain_dependence, explain_interactions, explain_model, explain_stability
from leadml.metrics import expit
from leadml.models import Calibration, Feature, list_candidates

FEATURES = (
    Feature(name="employees", kind="number"),
    Feature(name="budget", kind="ordinal", levels=("none", "some", "approved")),
    Feature(name="noise", kind="number"),
)
DEFINITION = parse_definition("""
name: small
version: 2026.1
owners: {marketing: Head of Demand, sales: Head of Sales}
meaning: Leads for sales.
attributes:
  employees: {type: integer, unit: people, dimension: size}
  budget: {type: ordinal, levels: [none, some, approved], dimension: budget}
classes:
  - {name: hot, meaning: Large with budget., all_of: [employees >= 50, budget >= some]}
  - {name: cold, meaning: The rest., otherwise: true}
handoff: [hot]
""")


def _fitted(kind, n=1500):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "employees": np.where(rng.random(n) < 0.1, np.nan, np.round(rng.uniform(1, 100, n))),
            "budget": pd.Categorical.from_codes(
                rng.integers(0, 3, n), ["none", "some", "approved"], ordered=True
            ),
            "noise": rng.normal(size=n),
        }
    )
    large = frame["employees"].fillna(0) >= 50
    rich = frame["budget"] == "approved"
    y = (rng.random(n) < expit((-2 + 1.0 * large + 0.5 * rich + 2.0 * (large & rich)).to_numpy())).astype(
        float
    )
    candidate = next(c for c in list_candidates(FEATURES, random_state=0) if c.name == kind)
    pipeline = candidate.fit(frame, y)
    model = SimpleNamespace(
        pipeline=pipeline,
        features=FEATURES,
        clock=(),
        target="won",
        candidate=kind,
        calibrator=Calibration(method="none"),
        offset=0.0,
    )
    return model, frame, y


def test_dependence_rises_where_the_threshold_was_planted():
    model, frame, _ = _fitted("boosting")
    attribution = explain_model(model, frame)
    found = explain_dependence(attribution, frame, "employees", definition=DEFINITION)
    table = found.to_frame()
    numbers = table[table["low"].notna()]
    assert (
        numbers.loc[numbers["high"] < 48, "mean_shap"].max()
        < numbers.loc[numbers["low"] > 52, "mean_shap"].min()
    )
    assert found.thresholds == (("employees >= 50", 50.0),)
    assert table["label"].iloc[-1] == "missing"
    assert table["n"].sum() == len(frame)
    assert table["n"].min() >= 5
    assert "not a cause" in repr(found)
    assert "<table" in found._repr_html_()
    assert found.plot() is not None
    plt.close("all")


def test_levels_stand_in_their_order_with_the_threshold_at_its_level():
    model, frame, _ = _fitted("logistic")
    found = explain_dependence(explain_model(model, frame), frame, "budget", definition=DEFINITION)
    assert found.to_frame()["label"].tolist() == ["none", "some", "approved"]
    assert found.thresholds == (("budget >= some", 1.0),)
    assert found.plot() is not None
    plt.close("all")


def test_the_model_passes_the_goal_where_the_threshold_was_planted():
    model, frame, _ = _fitted("boosting")
    attribution = explain_model(model, frame)
    known = frame["employees"].notna()
    large = known & (frame["employees"] >= 50)
    between = (attribution.probability[large].mean() + attribution.probability[known & ~large].mean()) / 2
    found = explain_dependence(attribution, frame, "employees", definition=DEFINITION, goal=between)
    assert len(found.crossings) == 1
    assert abs(found.crossings[0] - 50) < 6
    assert "the model passes" in repr(found)
    legend = [text.get_text().replace("\xa0", " ") for text in found.plot().get_legend().get_texts()]
    assert legend[0] == "employees >= 50"
    assert legend[1].startswith("model passes ")
    plt.close("all")


def test_a_goal_that_is_never_passed_has_no_crossing_and_levels_cross_between_places():
    model, frame, _ = _fitted("logistic")
    attribution = explain_model(model, frame)
    never = explain_dependence(attribution, frame, "employees", goal=0.999)
    assert (never.goal, never.crossings) == (0.999, ())
    assert "nowhere" in repr(never)
    table = explain_dependence(attribution, frame, "budget").to_frame()
    goal = table["probability"].iloc[1:].mean()
    levels = explain_dependence(attribution, frame, "budget", goal=goal)
    assert levels.crossings == (1.5,)
    assert explain_dependence(attribution, frame, "budget").crossings == ()


def test_an_attribute_the_model_does_not_use_is_refused():
    model, frame, _ = _fitted("logistic")
    with pytest.raises(ValueError, match="does not use 'revenue'"):
        explain_dependence(explain_model(model, frame), frame, "revenue")


def test_the_planted_pair_is_the_strongest_interaction():
    model, frame, _ = _fitted("boosting")
    found = explain_interactions(model, frame)
    assert found.loc[0, ["first", "second"]].tolist() == ["employees", "budget"]
    assert found.loc[0, "mean_abs_interaction"] > 2 * found.loc[1, "mean_abs_interaction"]
    assert len(found) == 3


def test_an_additive_model_has_no_interactions():
    model, frame, _ = _fitted("logistic")
    assert (explain_interactions(model, frame)["mean_abs_interaction"] == 0).all()


def test_stability_reports_ranks_over_trainings():
    model, frame, y = _fitted("boosting")
    targets = pd.DataFrame({"won": y, "won_mature": True})
    split = SimpleNamespace(discover=np.ones(len(y), dtype=bool))
    table = SimpleNamespace(frame=frame)
    found = explain_stability(model, table, targets, split=split, n_repeats=3, max_rows=300)
    again = explain_stability(model, table, targets, split=split, n_repeats=3, max_rows=300)
    assert found.to_frame().equals(again.to_frame())
    assert found.to_frame()["attribute"].tolist()[-1] == "noise"
    assert found.rank_correlation > 0.4
    assert (found.frame["lowest"] <= found.frame["highest"]).all()
    assert "rank correlation" in repr(found)
    assert "<table" in found._repr_html_()
    bars = found.plot(Figure().add_subplot()).patches
    assert [bar.get_width() for bar in bars] == found.frame["mean_abs_shap"].tolist()
    with pytest.raises(ValueError, match="at least 2"):
        explain_stability(model, table, targets, split=split, n_repeats=1)

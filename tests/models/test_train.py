"""Training: what is learnt, what is refused, what does not depend on the order of the file."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.errors import LeadsError
from leadml.models import (
    TrainedModel,
    UntrainedModel,
    choose_features,
    compute_features,
    train_model,
)


def test_planted_signal_is_found_and_beats_the_constant_and_the_definition(trained):
    model, _, _ = trained
    metrics = model.evaluation.metrics
    assert model.evaluation.verdict == "predicts won deals"
    assert model.evaluation.predictive
    assert metrics["auc_low"] > 0.5
    assert metrics["log_loss"] < metrics["log_loss_definition"] < metrics["log_loss_constant"]
    assert metrics["n_test"] == len(model.holdout) == 525
    assert metrics["calibration_slope_low"] < 1 < metrics["calibration_slope_high"]


def test_features_are_known_at_the_handoff_and_never_ids_reps_or_free_text(trained):
    model, _, _ = trained
    assert [feature.name for feature in model.features] == [
        "employees",
        "budget",
        "source",
        "demo",
        "founded_on",
    ]
    assert {feature.name: feature.kind for feature in model.features}["founded_on"] == "age"
    assert any("call_notes" in notice and "free text" in notice for notice in model.notices)
    assert any("next_step: known only after" in notice for notice in model.notices)


def test_baselines_stand_beside_the_model(trained):
    model, _, _ = trained
    frame = model.to_frame()
    assert frame["predictor"].tolist() == [
        "model",
        "constant",
        "definition",
        "points: interest",
        "naive Bayes",
    ]
    assert frame.loc[1, "auc"] == 0.5
    assert model.choice["chosen"].sum() == 1


def test_holdout_holds_what_the_model_says(trained):
    model, table, _ = trained
    p = model.predict_proba(table.frame.loc[model.holdout.index], level="trained")
    np.testing.assert_array_equal(p, model.holdout["y_prob"])
    assert model.holdout["y_prob_definition"].nunique() == 2


def test_noise_is_called_noise(make_world):
    table, targets, split, definition = make_world(strength=0.0)
    model = train_model(table, targets, target="accepted", definition=definition, split=split)
    assert model.evaluation.verdict == "nothing here predicts acceptance"
    assert not model.evaluation.predictive


def test_a_level_that_moved_is_named(make_world):
    table, targets, split, definition = make_world(3000)
    rng = np.random.default_rng(0)
    lost = split.confirm & (rng.random(3000) < 0.97)
    targets = targets.assign(won=targets["won"].mask(lost, 0.0))
    model = train_model(table, targets, target="won", definition=definition, split=split)
    if model.evaluation.metrics["auc_low"] > 0.5:
        assert "its level is off" in model.evaluation.reason
    assert model.evaluation.verdict == "nothing here predicts won deals"


def test_same_leads_in_another_order_give_the_same_model(make_world, trained):
    model, table, _ = trained
    _, targets, split, definition = make_world()
    order = np.random.default_rng(5).permutation(len(table.frame))
    shuffled = SimpleNamespace(frame=table.frame.iloc[order].reset_index(drop=True), contract=table.contract)
    other = train_model(
        shuffled,
        targets.iloc[order].reset_index(drop=True),
        target="won",
        definition=definition,
        split=SimpleNamespace(discover=split.discover[order], confirm=split.confirm[order]),
    )
    assert other.evaluation.metrics == model.evaluation.metrics
    assert np.array_equal(other.predict_proba(table.frame), model.predict_proba(table.frame))
    pd.testing.assert_frame_equal(other.choice, model.choice)


def test_open_and_immature_leads_are_left_out_never_lost(make_world):
    table, targets, split, definition = make_world(600)
    hidden = np.arange(600) % 3 == 0
    targets = targets.assign(won=targets["won"].mask(hidden))
    model = train_model(table, targets, target="won", definition=definition, split=split)
    assert model.evaluation.metrics["n_train"] == (~hidden & split.discover).sum()
    assert not set(model.holdout.index) & set(np.flatnonzero(hidden))
    young = targets.assign(won_mature=~hidden & (np.arange(600) % 2 == 0))
    model = train_model(table, young, target="won", definition=definition, split=split)
    assert set(model.holdout.index) <= set(np.flatnonzero(young["won_mature"]))


def test_labels_of_the_later_part_never_reach_the_model(make_world, trained):
    model, table, definition = trained
    _, targets, split, _ = make_world()
    rng = np.random.default_rng(1)
    poisoned = targets["won"].to_numpy().copy()
    poisoned[split.confirm] = rng.permutation(poisoned[split.confirm])
    other = train_model(table, targets.assign(won=poisoned), target="won", definition=definition, split=split)
    assert np.array_equal(other.predict_proba(table.frame), model.predict_proba(table.frame))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.assign(won=np.nan), "no earlier lead has a mature outcome"),
        (lambda t: t.assign(won_mature=False), "no earlier lead has a mature outcome"),
        (lambda t: t.assign(won=1.0), "cannot train: 0 lost leads"),
        (lambda t: t.assign(won=0.0), "cannot train: 0 won leads"),
    ],
)
def test_too_few_labels_give_a_reason_instead_of_a_model(make_world, change, match):
    table, targets, split, definition = make_world(300)
    model = train_model(table, change(targets), target="won", definition=definition, split=split)
    assert isinstance(model, UntrainedModel)
    assert match in model.reason
    assert model.reason.startswith("cannot train:")
    assert match in repr(model)
    assert match in model._repr_html_()
    assert model.to_frame().loc[0, "target"] == "won"


def test_no_rows_and_no_filled_attribute_give_a_reason(make_world):
    table, targets, split, definition = make_world(300)
    none = SimpleNamespace(discover=split.discover[:0], confirm=split.confirm[:0])
    empty = SimpleNamespace(frame=table.frame.iloc[:0], contract=table.contract)
    model = train_model(empty, targets.iloc[:0], target="won", definition=definition, split=none)
    assert isinstance(model, UntrainedModel)
    blank = table.frame.copy()
    for name in ("employees", "budget", "source", "demo", "founded_on", "call_notes"):
        blank[name] = blank[name].iloc[:0].reindex(blank.index)
    model = train_model(
        SimpleNamespace(frame=blank, contract=table.contract),
        targets,
        target="won",
        definition=definition,
        split=split,
    )
    assert model.reason == "cannot train: no attribute is known at the handoff and varies."
    assert any("empty in the training part" in notice for notice in model.notices)


def test_without_later_leads_the_model_cannot_be_judged(make_world):
    table, targets, split, _ = make_world(300)
    nobody = SimpleNamespace(discover=split.discover, confirm=np.zeros(300, dtype=bool))
    model = train_model(table, targets, target="won", definition=None, split=nobody)
    assert isinstance(model, TrainedModel)
    assert model.evaluation.verdict == "cannot be judged"
    assert model.holdout.empty
    assert "cannot be judged" in repr(model)
    assert "nan" not in repr(model)
    assert "ROC AUC nan" not in model._repr_html_()


def test_few_leads_take_the_simplest_candidate(make_world):
    table, targets, split, definition = make_world(40, seed=3)
    targets = targets.assign(won=np.tile([0.0, 1.0], 20))
    model = train_model(table, targets, target="won", definition=definition, split=split)
    assert isinstance(model, TrainedModel)
    assert np.isfinite(model.predict_proba(table.frame)).all()


def test_a_definition_that_cannot_be_applied_is_a_notice(make_world):
    table, targets, split, definition = make_world(300)
    smaller = SimpleNamespace(frame=table.frame.drop(columns="budget"), contract=table.contract)
    model = train_model(smaller, targets, target="won", definition=definition, split=split)
    assert any("definition cannot be applied" in notice for notice in model.notices)
    assert np.isnan(model.evaluation.metrics["log_loss_definition"])


def test_new_levels_missing_values_and_other_columns_are_scored(trained):
    model, table, _ = trained
    frame = table.frame.head(5).copy()
    frame["source"] = pd.Series(["space", None, "web", "event", "list"], dtype="str")
    frame["employees"] = pd.Series([1e9, None, 3, 4, 5], dtype="float64")
    frame["unrelated"] = 1
    p = model.predict_proba(frame[frame.columns[::-1]])
    assert ((p > 0) & (p < 1)).all()
    assert model.predict_proba(frame.iloc[:0]).shape == (0,)


def test_missing_or_retyped_attributes_are_refused(trained):
    model, table, _ = trained
    with pytest.raises(LeadsError, match="2 attributes of the model are missing: budget, employees"):
        model.predict_proba(table.frame.drop(columns=["employees", "budget"]))
    with pytest.raises(LeadsError, match="founded_on: expected dates"):
        model.predict_proba(table.frame.assign(founded_on="2020"))
    with pytest.raises(ValueError, match="'accepted' or 'won'"):
        train_model(table, pd.DataFrame(), target="lost", definition=None, split=None)


def test_ages_follow_the_date_of_the_lead(trained):
    model, table, _ = trained
    ages = compute_features(table.frame, model.features, clock=("created_on",))["founded_on"]
    assert ages.between(100, 9000).all()
    assert compute_features(table.frame, model.features)["founded_on"].isna().all()
    blank = table.frame.assign(founded_on=np.nan)
    assert compute_features(blank, model.features, clock=("created_on",))["founded_on"].isna().all()
    zoned = table.frame.assign(created_on=table.frame["created_on"].dt.tz_localize("UTC"))
    assert compute_features(zoned, model.features, clock=("created_on",))["founded_on"].equals(ages)


def test_constant_columns_and_many_levels_are_left_out(make_world):
    table, _, split, _ = make_world(400)
    frame = table.frame.assign(source="web", call_notes=[f"level {i % 30}" for i in range(400)])
    features, notices = choose_features(frame, contract=table.contract, definition=None, rows=split.discover)
    names = [feature.name for feature in features]
    assert "source" not in names
    assert "call_notes" in names
    assert any("source: constant" in notice for notice in notices)


def test_progress_is_told_before_each_fit(make_world):
    table, targets, split, definition = make_world(300)
    steps = []
    train_model(
        table,
        targets,
        target="won",
        definition=definition,
        split=split,
        progress=lambda *step: steps.append(step),
    )
    assert steps[0] == ("won: logistic, strongly shrunk", 0, 13)
    assert len(steps) == 13


def test_results_show_themselves(trained):
    import matplotlib.pyplot as plt

    model, _, _ = trained
    assert "ROC AUC" in repr(model)
    assert len(repr(model).splitlines()) <= 10
    assert "<table" in model._repr_html_()
    assert "<table" in model.evaluation._repr_html_()
    assert {"metric", "value"} == set(model.evaluation.to_frame().columns)
    assert model.plot() is not None
    ax = model.evaluation.plot()
    drawn = [text.get_text() for text in ax.get_yticklabels()]
    assert drawn == model.evaluation.baselines["predictor"].tolist()
    ax = model.level.plot()
    heights = [bar.get_width() for bar in ax.patches]
    assert heights == [model.level.log_loss_trained, model.level.log_loss_recalibrated]
    plt.close("all")


def test_a_long_list_has_to_prove_itself(make_world):
    table, targets, split, definition = make_world(3000)
    rng = np.random.default_rng(0)
    page = rng.integers(0, 60, 3000)
    noise = table.frame.assign(source=pd.Series([f"page {i}" for i in page], dtype="str"))
    model = train_model(
        SimpleNamespace(frame=noise, contract=table.contract),
        targets,
        target="won",
        definition=definition,
        split=split,
    )
    assert "source" not in [feature.name for feature in model.features]
    assert "source: a long list that does not help on later leads." in model.notices
    assert "long lists" not in model.candidate
    won = (rng.random(3000) < np.where(page % 4 == 0, 0.8, 0.1)).astype(float)
    model = train_model(
        SimpleNamespace(frame=noise, contract=table.contract),
        targets.assign(won=won),
        target="won",
        definition=definition,
        split=split,
    )
    assert "long lists" in model.candidate
    assert model.evaluation.metrics["auc_low"] > 0.75


def test_a_long_list_alone_still_gives_a_model(make_world):
    table, targets, split, _ = make_world(2000)
    page = np.random.default_rng(0).integers(0, 60, 2000)
    frame = table.frame[["lead_id", "created_on"]].assign(source=[f"page {i}" for i in page])
    model = train_model(
        SimpleNamespace(frame=frame, contract=table.contract),
        targets,
        target="won",
        definition=None,
        split=split,
    )
    assert [feature.name for feature in model.features] == ["source"]
    assert not model.evaluation.predictive


def test_weights_that_are_not_used_are_named(make_world):
    table, targets, split, definition = make_world(300)
    weighted = targets.assign(weight=np.where(np.arange(300) % 2, 1.0, 3.0))
    model = train_model(table, weighted, target="won", definition=definition, split=split)
    assert any("weights of the leads are not used" in notice for notice in model.notices)


OTHER = """
name: other
version: 2026.1
owners: {marketing: Head of Demand, sales: Head of Sales}
meaning: Leads that marketing hands to sales.
attributes:
  employees: {type: integer, unit: people, dimension: size}
  budget: {type: ordinal, levels: [none, some, approved], dimension: budget}
  source: {type: ordinal, levels: [list, event, web], dimension: interest}
  demo: {type: boolean, dimension: interest, known_at: after}
classes:
  - name: hot
    meaning: Of the right size and not too rich.
    any_of: [employees between 50 and 500, budget >= some, demo]
  - name: warm
    meaning: Poor.
    all_of: [budget <= some, decides soon]
  - {name: cold, meaning: The rest., otherwise: true}
handoff: [hot]
"""


def test_a_definition_gives_orders_directions_and_leaks(make_world):
    from leadml.definitions import parse_definition

    table, _, split, _ = make_world(400)
    definition = parse_definition(OTHER)
    features, notices = choose_features(
        table.frame, contract=table.contract, definition=definition, rows=split.discover
    )
    found = {feature.name: feature for feature in features}
    assert "demo: known only after the handoff, not a feature." in notices
    assert found["source"].kind == "ordinal"
    assert found["source"].levels == ("list", "event", "web")
    # Bounds on both sides and uses both ways leave no direction.
    assert found["employees"].direction == found["budget"].direction == 0


def test_many_leads_try_a_larger_booster_where_the_small_one_leads(make_world):
    table, targets, split, _ = make_world(24_000)
    rng = np.random.default_rng(0)
    size = table.frame["employees"].astype("float64").fillna(0).to_numpy()
    founded = table.frame["founded_on"].dt.day_of_year.to_numpy()
    won = (rng.random(24_000) < np.where((size > 50) ^ (founded > 180), 0.7, 0.1)).astype(float)
    frame = table.frame.assign(employees=size, budget=pd.NA, source=pd.NA)
    frame["demo"] = pd.Series(founded > 180).astype("boolean")
    model = train_model(
        SimpleNamespace(frame=frame, contract=table.contract),
        targets.assign(won=won),
        target="won",
        definition=None,
        split=split,
    )
    table = model.choice.set_index("candidate")
    assert np.isfinite(table.loc["boosting, larger", "log_loss"])
    assert model.candidate.startswith("boosting")


def test_wins_only_at_the_end_leave_nothing_to_divide(make_world):
    table, targets, split, definition = make_world(300)
    late = (np.arange(300) >= 180) & (np.arange(300) % 5 == 0)
    model = train_model(
        table, targets.assign(won=late.astype(float)), target="won", definition=definition, split=split
    )
    if isinstance(model, TrainedModel):
        assert model.candidate == "logistic, strongly shrunk"
    else:
        assert "won leads among" in model.reason


def test_what_only_the_outcome_can_have_written_is_no_feature(make_world):
    table, targets, split, definition = make_world()
    won = targets["won"].to_numpy(dtype=float, na_value=np.nan)
    table.frame["employees"] = np.where(won == 1, 900.0, 10.0)
    model = train_model(table, targets, target="won", definition=definition, split=split)
    assert "employees" not in [feature.name for feature in model.features]
    (notice,) = (notice for notice in model.notices if notice.startswith("employees"))
    assert "too good for something known at handoff" in notice
    table.frame.loc[split.discover, "employees"] = 10.0  # a trace of the later leads is not looked at
    table.frame.loc[split.discover, "employees"] += np.arange(int(split.discover.sum())) % 7
    model = train_model(table, targets, target="won", definition=definition, split=split)
    assert "employees" in [feature.name for feature in model.features]

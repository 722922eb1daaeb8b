"""Whether probabilities hold in each quarter and segment is read off the leads a model was judged on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.metrics import expit
from leadml.models import compare_calibration, evaluate_predictions, train_model


def judged(y_prob, y_true, index):
    holdout = pd.DataFrame({"y_true": y_true, "y_prob": y_prob, "y_prob_definition": np.nan}, index=index)
    return SimpleNamespace(holdout=holdout)


def test_the_segment_whose_level_is_off_is_found():
    rng = np.random.default_rng(0)
    n = 6_000
    segment = pd.Series(rng.choice(["north", "south"], n), index=np.arange(n) + 10)
    z = rng.normal(-1, 1, n)
    y = (rng.random(n) < expit(z + 0.8 * (segment == "south").to_numpy())).astype(float)
    found = compare_calibration(judged(expit(z), y, segment.index), segment).to_frame().set_index("segment")
    assert found.loc["north", "ci_low"] < 0 < found.loc["north", "ci_high"]
    assert found.loc["south", "ci_low"] < 0.8 < found.loc["south", "ci_high"]
    assert found.loc["south", "observed"] > found.loc["south", "expected"]


def test_segments_are_matched_by_lead_and_not_by_place():
    names = pd.Series(["b", "a", "unused"], index=[7, 3, 1])
    found = compare_calibration(judged([0.2, 0.9], [0.0, 1.0], [3, 7]), names).to_frame()
    assert found["segment"].tolist() == ["a", "b"]
    assert found["expected"].tolist() == [0.2, 0.9]


def test_a_lead_without_a_row_is_refused():
    with pytest.raises(ValueError, match="2 later leads, 1 are missing"):
        compare_calibration(judged([0.2, 0.9], [0.0, 1.0], [3, 7]), pd.Series(["a"], index=[3]))


def test_quarters_of_a_trained_model_add_up(make_world):
    table, targets, split, definition = make_world()
    model = train_model(table, targets, target="won", definition=definition, split=split)
    quarter = table.frame["created_on"].dt.to_period("Q").astype(str)
    found = compare_calibration(model, quarter)
    assert found.n.sum() == len(model.holdout)
    assert set(found.segment) == set(quarter[model.holdout.index])
    m = model.evaluation.metrics
    assert m["log_loss_low"] < m["log_loss"] < m["log_loss_high"]
    assert m["brier_low"] < m["brier"] < m["brier_high"]


def test_a_flat_model_has_no_slope_and_says_so():
    y = np.tile([0.0, 1.0], 50)
    flat = {"model": np.full(100, 0.5), "constant": np.full(100, 0.5)}
    found = repr(evaluate_predictions(y, flat, target="won", y_train=y))
    assert "calibration slope not determined, intercept" in found

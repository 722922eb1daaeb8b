"""Whether probabilities hold in each quarter and segment is read off the leads a model was judged on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.metrics import expit
from leadml.models import compare_calibration, evaluate_predictions, train_model
from leadml.models._segments import judge_parts


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


def two_quarters(n=4_000, seed=0):
    """Probabilities that are right in the first quarter and too low by 0.7 on the logit in the second."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1, n)
    quarter = pd.Series(np.where(np.arange(n) < n // 2, "2026Q1", "2026Q2"))
    y = (rng.random(n) < expit(z + 0.7 * (quarter == "2026Q2").to_numpy())).astype(float)
    return y, expit(z), quarter


def test_the_quarter_whose_level_moved_is_named_with_its_curve():
    y, p, quarter = two_quarters()
    found = judge_parts(y, p, {"period": quarter}, target="won")
    first, second = found.to_frame().to_dict("records")
    assert first["intercept_low"] < 0 < first["intercept_high"]
    assert second["intercept_low"] < 0.7 < second["intercept_high"]
    assert first["slope_low"] < 1 < first["slope_high"]
    assert second["p_value"] < 1e-6 < first["p_value"]
    assert second["miscalibration"] > 3 * second["miscalibration_null"]
    assert first["miscalibration"] < 1.2 * first["miscalibration_null"]
    assert abs(second["intercept_shrunk"]) < abs(second["intercept"])
    assert found.curves["period", "2026Q2"].n.sum() == len(y) // 2
    assert "by period: the levels of 2 parts differ beyond chance" in repr(found)


def test_parts_are_the_whole_and_their_losses_average_to_it():
    y, p, quarter = two_quarters(1_001)
    frame = judge_parts(y, p, {"period": quarter}, target="won").to_frame()
    assert frame["n"].sum() == len(y)
    assert np.average(frame["brier"], weights=frame["n"]) == pytest.approx(((p - y) ** 2).mean())
    assert np.average(frame["observed"], weights=frame["n"]) == pytest.approx(y.mean())


def test_small_parts_and_leads_without_one_are_left_out():
    y, p, quarter = two_quarters(200)
    quarter[:5] = None
    quarter[100:190] = None
    frame = judge_parts(y, p, {"period": quarter}, target="won").to_frame()
    assert frame["level"].tolist() == ["2026Q1"]
    assert frame["n"].tolist() == [95]
    empty = judge_parts([], [], {"period": pd.Series([], dtype="str")}, target="won")
    assert len(empty.to_frame()) == 0
    assert list(empty.to_frame()) == list(frame)


def test_a_part_of_one_class_has_no_slope():
    frame = judge_parts(np.zeros(30), np.full(30, 0.1), {"s": pd.Series(["a"] * 30)}, target="won").to_frame()
    assert np.isnan(frame["slope"][0])
    assert frame["observed_high"][0] < 0.2


def test_parts_of_a_trained_model_are_drawn(make_world):
    from matplotlib.figure import Figure

    table, targets, split, definition = make_world()
    targets = targets.assign(period=table.frame["created_on"].dt.to_period("Q").astype(str))
    model = train_model(table, targets, target="won", definition=definition, split=split)
    frame = model.parts.to_frame()
    assert frame.loc[frame["by"] == "period", "n"].sum() == len(model.holdout)
    ax = model.parts.plot(Figure().add_subplot())
    quarters = frame.loc[frame["by"] == "period", "level"].tolist()
    assert [text.get_text() for text in ax.get_xticklabels()] == quarters
    assert "<script" not in model.parts._repr_html_()

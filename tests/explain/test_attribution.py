"""Attributions: they add up, find what was planted and say that they are no cause."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from leadml.explain import NOT_A_CAUSE, explain_model
from leadml.metrics import expit
from leadml.models import Calibration, Feature
from leadml.models._candidates import list_candidates

FEATURES = (
    Feature(name="employees", kind="number"),
    Feature(name="source", kind="category"),
    Feature(name="noise", kind="number"),
)


def _fitted(kind, n=1200):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "employees": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "source": rng.choice(["web", "list"], n),
            "noise": rng.normal(size=n),
        }
    )
    eta = 1.5 * frame["employees"].fillna(0.5) + 0.7 * (frame["source"] == "web") - 1
    y = (rng.random(n) < expit(eta.to_numpy())).astype(float)
    candidate = next(c for c in list_candidates(FEATURES, random_state=0) if c.name == kind)
    pipeline = candidate.build().fit(frame, y)
    model = SimpleNamespace(
        pipeline=pipeline,
        features=FEATURES,
        clock=(),
        target="won",
        calibrator=Calibration(method="none"),
        offset=0.0,
    )
    return model, frame


@pytest.mark.parametrize(("kind", "method"), [("boosting", "tree"), ("logistic", "additive")])
def test_values_add_up_and_the_planted_attribute_leads(kind, method):
    model, frame = _fitted(kind)
    result = explain_model(model, frame)
    assert result.method == method
    assert result.additivity_error < 1e-9
    assert result.to_frame()["attribute"].tolist()[0] == "employees"
    assert result.to_frame()["share"].sum() == pytest.approx(1)
    log_odds = model.pipeline["model"].decision_function(model.pipeline["encode"].transform(frame))
    np.testing.assert_allclose(np.sum(result.values, axis=1) + result.base, log_odds, atol=1e-9)


def test_the_models_own_probability_stands_beside_the_values():
    model, frame = _fitted("boosting")
    result = explain_model(model, frame)
    np.testing.assert_allclose(result.probability, model.pipeline.predict_proba(frame)[:, 1], atol=1e-9)
    model.offset = 1.0
    assert (explain_model(model, frame).probability > result.probability).all()


def test_a_sample_is_drawn_by_its_seed():
    model, frame = _fitted("boosting")
    first = explain_model(model, frame, max_rows=100, random_state=1)
    again = explain_model(model, frame, max_rows=100, random_state=1)
    other = explain_model(model, frame, max_rows=100, random_state=2)
    assert first.rows.equals(again.rows)
    assert not first.rows.equals(other.rows)
    assert len(first.values) == 100
    assert first.to_frame()["attribute"].tolist() == other.to_frame()["attribute"].tolist()


def test_no_rows_give_zeros():
    model, frame = _fitted("boosting")
    result = explain_model(model, frame.iloc[:0])
    assert result.to_frame()["mean_abs_shap"].tolist() == [0, 0, 0]


def test_values_that_do_not_add_up_are_refused():
    model, frame = _fitted("logistic")
    broken = model.pipeline["model"]
    broken.decision_function = lambda codes: np.full(len(codes), 7.0)
    with pytest.raises(ValueError, match="miss the model's log-odds"):
        explain_model(model, frame)


def test_results_say_what_they_are_not():
    model, frame = _fitted("logistic", 300)
    result = explain_model(model, frame)
    assert NOT_A_CAUSE in repr(result)
    assert "not a cause" in result._repr_html_()
    assert result.plot() is not None
    plt.close("all")

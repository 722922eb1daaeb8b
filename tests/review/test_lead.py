"""One lead explained to the person who works it."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.errors import LeadsError
from leadml.metrics import expit
from leadml.models import Calibration, Feature, list_candidates
from leadml.review import explain_lead

DEFINITION = parse_definition("""\
name: d
version: 1.1
attributes:
  months: {type: number, unit: months}
  size: {type: integer, unit: people}
classes:
- {name: hot, all_of: [months <= 6, size >= 50]}
- {name: cold, otherwise: true}
handoff: [hot]
""")
FEATURES = (Feature(name="months", kind="number"), Feature(name="size", kind="number"))


@pytest.fixture(scope="module")
def leads():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"months": rng.uniform(1, 24, 600), "size": rng.integers(1, 200, 600).astype(float)})
    frame.insert(0, "lead_id", [f"L{i}" for i in range(600)])
    frame.loc[7, ["months", "size"]] = [12.0, 190.0]
    return frame


@pytest.fixture(scope="module", params=["logistic", "boosting"])
def model(request, leads):
    rng = np.random.default_rng(1)
    y = (rng.random(600) < expit((leads["size"] / 40 - 3).to_numpy())).astype(float)
    candidate = next(c for c in list_candidates(FEATURES, random_state=0) if c.name == request.param)
    return SimpleNamespace(
        pipeline=candidate.fit(leads[["months", "size"]], y),
        features=FEATURES,
        clock=(),
        target="won",
        calibrator=Calibration(method="none"),
        offset=0.0,
    )


def test_a_lead_gets_its_reasons_its_way_in_and_weights_that_add_up(leads, model):
    found = explain_lead(DEFINITION, leads, "L7", id_column="lead_id", models={"won": model})
    assert (found.lead_class, found.reasons) == ("cold", "fails months <= 6")
    assert found.nearest == "would be hot if months were at most 6 months"
    row = leads.loc[[7], ["months", "size"]]
    assert found.probabilities["won"] == pytest.approx(model.pipeline.predict_proba(row)[0, 1])
    weights = found.to_frame()
    assert list(weights["attribute"]) == ["size", "months"]
    assert weights["shap"].iloc[0] > 0
    np.testing.assert_allclose(np.exp(weights["shap"].astype(float)), weights["odds_factor"].astype(float))
    alone = explain_lead(DEFINITION, leads.iloc[::-1], "L7", id_column="lead_id", models={"won": model})
    assert alone.probabilities == found.probabilities


def test_what_is_said_holds_no_value_of_the_lead_and_warns_of_causes(leads, model):
    found = explain_lead(DEFINITION, leads, "L7", id_column="lead_id", models={"won": model})
    said = repr(found) + str(found.to_dict()["reasons"])
    assert "190" not in said
    assert "raised by size (×" in said
    assert "not a cause" in said
    assert len(repr(found).splitlines()) <= 10
    assert "<table" in found._repr_html_()
    assert found.plot() is not None
    plt.close("all")


def test_without_models_only_the_definition_speaks(leads):
    found = explain_lead(DEFINITION, leads, "L7", id_column="lead_id")
    assert found.to_frame().empty
    assert list(found.to_frame().columns) == ["target", "attribute", "shap", "odds_factor"]
    assert repr(found).splitlines()[0] == "L7: cold (d 1.1)"
    assert "cause" not in repr(found)


def test_a_lead_that_is_not_there_or_there_twice_is_refused(leads):
    with pytest.raises(LeadsError, match="expected one lead with this id, found 0"):
        explain_lead(DEFINITION, leads, "nobody", id_column="lead_id")
    with pytest.raises(LeadsError, match="found 2"):
        explain_lead(DEFINITION, pd.concat([leads, leads]), "L7", id_column="lead_id")

"""The explainable boosting machine: the tables say what interpret says."""

import importlib.util
import sys

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from leadml.errors import LeadmlError
from leadml.models import EbmClassifier, load_bundle, train_model, write_bundle

needs_interpret = pytest.mark.skipif(
    importlib.util.find_spec("interpret") is None, reason="interpret-core is not installed (extra ebm)"
)


def _sample(n=800):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=n), rng.integers(0, 4, n), rng.normal(size=n)])
    X[::7, 0] = np.nan
    y = (np.nan_to_num(X[:, 0]) + X[:, 1] * X[:, 2] + rng.normal(size=n) > 0).astype(int)
    return X, y


@needs_interpret
def test_tables_score_as_interpret_does(monkeypatch):
    from interpret.glassbox import ExplainableBoostingClassifier

    fitted = []

    class Spy(ExplainableBoostingClassifier):
        def fit(self, *args, **kwargs):
            fitted.append(super().fit(*args, **kwargs))
            return fitted[0]

    monkeypatch.setattr("interpret.glassbox.ExplainableBoostingClassifier", Spy)
    X, y = _sample()
    model = EbmClassifier(interactions=2, outer_bags=2).fit(X, y, sample_weight=np.ones(800))
    np.testing.assert_allclose(model.predict_proba(X), fitted[0].predict_proba(X), atol=1e-7)
    np.testing.assert_allclose(
        model.contributions(X).sum(axis=1) + model.intercept_, model.decision_function(X), atol=1e-12
    )
    assert model.score(X, y) > 0.8
    assert any(len(columns) == 2 for columns in model.terms_)


@pytest.mark.slow
@needs_interpret
@pytest.mark.filterwarnings("ignore:Skipping check:sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [EbmClassifier(interactions=0, outer_bags=1)],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "interpret draws its validation leads by position"
    },
)
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


@needs_interpret
@pytest.mark.slow
def test_it_is_a_candidate_that_is_bundled_and_explained(make_world, tmp_path):
    from leadml.explain import explain_model

    table, targets, split, definition = make_world(400)
    model = train_model(table, targets, target="won", definition=definition, split=split, extras=["ebm"])
    assert "explainable boosting machine" in model.choice["candidate"].tolist()
    pipeline = next(c for c in _candidates(model.features) if c.name == "explainable boosting machine").fit(
        *_features(table, targets, model)
    )
    import dataclasses

    swapped = dataclasses.replace(model, pipeline=pipeline)
    path = tmp_path / "b.leadml-bundle"
    write_bundle({"won": swapped}, path, definition=definition, contract=table.contract)
    scores = load_bundle(path).predict(table.frame)["probability_won"]
    np.testing.assert_array_equal(scores, swapped.predict_proba(table.frame))
    assert explain_model(swapped, table.frame).method == "additive"


def _candidates(features):
    from leadml.models._candidates import list_candidates

    return list_candidates(features, random_state=0, extras=["ebm"])


def _features(table, targets, model):
    from leadml.models import compute_features

    return compute_features(table.frame, model.features, clock=model.clock), targets["won"].to_numpy()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "interpret", None)
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    with pytest.raises(ImportError, match=r"pip install leadml\[ebm\]"):
        EbmClassifier().fit(*_sample(50))


def test_training_with_it_says_so_before_the_work_begins(make_world, monkeypatch):
    table, targets, split, definition = make_world(300)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LeadmlError, match=r"pip install leadml\[ebm\]"):
        train_model(table, targets, target="won", definition=definition, split=split, extras=("ebm",))


def test_bad_input_is_refused():
    X, _ = _sample(50)
    with pytest.raises(ValueError, match="one class"):
        EbmClassifier().fit(X, np.zeros(50))
    with pytest.raises(ValueError, match="multiclass"):
        EbmClassifier().fit(X, np.arange(50) % 3)


def test_unknown_extras_are_refused(make_world):
    table, targets, split, definition = make_world(300)
    with pytest.raises(ValueError, match="expected 'ebm'"):
        train_model(table, targets, target="won", definition=definition, split=split, extras=["xgb"])

"""The additive logistic regression: a scikit-learn classifier with curves, spikes and missing terms."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from leadml.metrics import expit, log_loss
from leadml.models import SplineLogisticClassifier

# The array API is off in this process, so scikit-learn skips its check with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:Skipping check:sklearn.exceptions.SkipTestWarning")


@parametrize_with_checks([SplineLogisticClassifier()])
def test_classifier_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def _sample(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    eta = np.where(x < 0, -1.0, -1.0 + 1.5 * x)
    y = (rng.random(n) < expit(eta)).astype(int)
    return x[:, None], y, eta


def test_a_bend_is_found():
    X, y, eta = _sample()
    model = SplineLogisticClassifier().fit(X, y)
    assert log_loss(y, model.predict_proba(X)[:, 1]) < log_loss(y, expit(eta)) + 0.005


def test_many_zeros_are_a_value_of_their_own():
    rng = np.random.default_rng(1)
    x = np.where(rng.random(4000) < 0.4, 0.0, rng.uniform(1, 100, 4000))
    y = (rng.random(4000) < np.where(x == 0, 0.6, 0.1 + x / 250)).astype(int)
    model = SplineLogisticClassifier().fit(x[:, None], y)
    zero, small, large = model.predict_proba(np.array([[0.0], [2.0], [99.0]]))[:, 1]
    assert zero == pytest.approx(0.6, abs=0.05)
    assert small < 0.2
    assert large == pytest.approx(0.5, abs=0.08)


def test_missing_is_information():
    rng = np.random.default_rng(2)
    x = rng.normal(size=3000)
    missing = rng.random(3000) < 0.3
    y = (rng.random(3000) < np.where(missing, 0.7, 0.2)).astype(int)
    model = SplineLogisticClassifier().fit(np.where(missing, np.nan, x)[:, None], y)
    assert model.predict_proba([[np.nan]])[0, 1] == pytest.approx(0.7, abs=0.03)


def test_terms_add_up_to_the_log_odds():
    X, y, _ = _sample(500)
    X = np.column_stack([X, np.arange(500) % 3, np.where(np.arange(500) % 7, np.arange(500.0), np.nan)])
    model = SplineLogisticClassifier(kinds=("number", "category", "number")).fit(X, y)
    np.testing.assert_allclose(
        model.contributions(X).sum(axis=1) + model.intercept_, model.decision_function(X), atol=1e-12
    )


def test_outside_the_seen_range_the_curve_is_flat():
    X, y, _ = _sample()
    p = SplineLogisticClassifier().fit(X, y).predict_proba([[50.0], [5e5], [X.max()]])[:, 1]
    assert p[0] == p[1] == p[2]


def test_scores_do_not_depend_on_the_chunks():
    X, y, _ = _sample(1001)
    model = SplineLogisticClassifier().fit(X, y)
    whole = model.predict_proba(X)
    parts = np.concatenate([model.predict_proba(X[i : i + 97]) for i in range(0, 1001, 97)])
    assert np.array_equal(whole, parts)


def test_constant_and_empty_columns_do_no_harm():
    X, y, _ = _sample(800)
    junk = np.column_stack([X, np.ones(800), np.full(800, np.nan)])
    model = SplineLogisticClassifier().fit(junk, y)
    assert np.isfinite(model.predict_proba(junk)).all()
    assert np.isfinite(model.predict_proba(np.full((1, 3), np.nan))).all()


def test_three_hundred_columns_get_lines_instead_of_curves():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(600, 300))
    y = (X[:, 0] + rng.normal(size=600) > 0).astype(int)
    model = SplineLogisticClassifier(penalty=30.0).fit(X, y)
    assert model.score(X, y) > 0.7


def test_many_rows_are_thinned_evenly():
    X, y, _ = _sample(3000)
    model = SplineLogisticClassifier(max_rows=500).fit(X, y)
    assert np.isfinite(model.intercept_)


@pytest.mark.parametrize(
    ("params", "y", "match"),
    [({"penalty": 0.0}, [0, 1, 0, 1], "positive number"), ({}, [0, 0, 0, 0], "one class")],
)
def test_bad_arguments_are_refused(params, y, match):
    with pytest.raises(ValueError, match=match):
        SplineLogisticClassifier(**params).fit(np.arange(4.0)[:, None], y)

"""The level of later leads: a move is noticed, repaired on matured labels and shown both ways."""

from types import SimpleNamespace

import numpy as np
import pytest

from leadml.metrics import compute_logit, expit, log_loss
from leadml.models import compare_levels, load_bundle, train_model, write_bundle


def _later(n, shift, seed=0):
    rng = np.random.default_rng(seed)
    p = expit(rng.normal(-2, 1, n))
    return (rng.random(n) < expit(compute_logit(p) + shift)).astype(float), p


def test_a_moved_level_is_noticed_and_repaired():
    y, p = _later(2000, 1.2)
    level = compare_levels(y, p, base_rate=0.15)
    assert level.shifted
    assert level.ci_low < 1.2 < level.ci_high
    assert level.log_loss_recalibrated < level.log_loss_trained
    assert "level moved" in repr(level)
    assert level.to_frame().loc[0, "n_first"] == 1000


def test_a_level_that_stands_is_left_alone():
    moved = sum(compare_levels(*_later(800, 0.0, seed), base_rate=0.15).shifted for seed in range(100))
    assert moved <= 4


def test_without_later_leads_the_level_is_not_known():
    assert repr(compare_levels(np.zeros(0), np.zeros(0), base_rate=0.3)) == "level not known: no later leads"


def test_few_labels_change_nothing():
    level = compare_levels(*_later(60, 1.0), base_rate=0.15)
    assert not level.shifted
    assert "level kept" in repr(level)
    assert "<table" in level._repr_html_()


@pytest.mark.parametrize("y", [[], [1.0, 1.0], [0.0]])
def test_one_class_or_no_leads_change_nothing(y):
    y = np.asarray(y)
    assert not compare_levels(y, np.full(y.size, 0.3), base_rate=0.3).shifted


def test_new_leads_are_scored_at_the_moved_level_and_the_judged_ones_are_not(make_world, tmp_path):
    table, targets, split, definition = make_world(3000)
    rng = np.random.default_rng(1)
    won = targets["won"].to_numpy().copy()
    won[split.confirm] = np.maximum(won[split.confirm], rng.random(split.confirm.sum()) < 0.35)
    model = train_model(table, targets.assign(won=won), target="won", definition=definition, split=split)
    assert model.level.shifted
    later = table.frame[split.confirm]
    trained, current = model.predict_proba(later, level="trained"), model.predict_proba(later)
    np.testing.assert_array_equal(trained, model.holdout["y_prob"])
    assert current.mean() == pytest.approx(won[split.confirm].mean(), abs=0.001)
    assert log_loss(won[split.confirm], current) < log_loss(won[split.confirm], trained)
    path = tmp_path / "b.leadml-bundle"
    write_bundle({"won": model}, path, definition=definition, contract=table.contract)
    scores = load_bundle(path).predict(later)["probability_won"]
    np.testing.assert_array_equal(scores, current)


def test_a_level_is_never_taken_from_leads_without_labels(make_world):
    table, targets, split, definition = make_world(600)
    nobody = SimpleNamespace(discover=split.discover, confirm=np.zeros(600, dtype=bool))
    model = train_model(table, targets, target="won", definition=definition, split=nobody)
    assert model.offset == 0.0

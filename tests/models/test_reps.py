"""Reps: strictness is one number, attributes are freed of it, nobody is ranked."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from leadml.metrics import expit
from leadml.models import Feature, train_model
from leadml.models._candidates import list_candidates
from leadml.models._reps import code_reps, estimate_rep_effects

FEATURES = (Feature(name="size", kind="number"),)


def _market(seed, *, n=4000, n_reps=12, sd=0.8, confounded=True):
    """Strict reps serve small accounts; the true coefficient of size is 0.5."""
    rng = np.random.default_rng(seed)
    leniency = np.sort(rng.normal(0, sd, n_reps))
    rep = rng.integers(0, n_reps, n)
    size = rng.normal(size=n) + (1.2 * (rep / (n_reps - 1) - 0.5) * 2 if confounded else 0)
    y = (rng.random(n) < expit(-0.5 + 0.5 * size + leniency[rep])).astype(float)
    return pd.DataFrame({"size": size}), y, pd.Series([f"r{i:02d}" for i in rep])


def _slope(pipeline):
    low, high = pipeline.predict_proba(pd.DataFrame({"size": [-1.0, 1.0]}))[:, 1]
    return (np.log(high / (1 - high)) - np.log(low / (1 - low))) / 2


def test_fixed_effects_free_an_attribute_of_who_decides():
    plain, adjusted = [], []
    for seed in range(6):
        X, y, reps = _market(seed)
        groups = code_reps(reps, np.arange(len(y)))
        candidate = list_candidates(FEATURES, random_state=0)[1]
        plain.append(_slope(candidate.fit(X, y)))
        adjusted.append(_slope(candidate.fit(X, y, groups)))
    assert np.mean(plain) > 0.75
    assert np.mean(adjusted) == pytest.approx(0.5, abs=0.08)


def test_median_odds_ratio_is_near_the_truth():
    found = []
    for seed in range(8):
        X, y, reps = _market(seed, n_reps=40, n=8000)
        groups = code_reps(reps, np.arange(len(y)))
        effects = estimate_rep_effects(list_candidates(FEATURES, random_state=0)[1], X, y, groups=groups)
        assert effects.matters
        found.append(effects.spread.median_odds_ratio)
    assert np.mean(found) == pytest.approx(np.exp(0.6745 * np.sqrt(2) * 0.8), rel=0.15)


def test_identical_reps_are_not_told_apart():
    fired = 0
    for seed in range(60):
        X, y, reps = _market(seed, n=1500, n_reps=25, sd=0.0, confounded=False)
        groups = code_reps(reps, np.arange(len(y)))
        effects = estimate_rep_effects(list_candidates(FEATURES, random_state=0)[1], X, y, groups=groups)
        fired += effects.matters
    assert fired <= 8


def test_reps_with_few_leads_are_not_named():
    reps = pd.Series(["a"] * 30 + ["b"] * 30 + ["c"] * 2 + [None] * 3)
    assert np.unique(code_reps(reps, np.arange(65))).tolist() == [0, 1, 2]
    assert code_reps(pd.Series(["a"] * 30), np.arange(30)) is None
    assert code_reps(pd.Series([f"r{i // 10}" for i in range(200)]), np.arange(200)) is None


def test_acceptance_is_adjusted_and_won_deals_are_not(make_world):
    table, targets, split, definition = make_world(2000)
    rng = np.random.default_rng(0)
    lenient = (table.frame["rep"] == "r1").to_numpy()
    accepted = np.where(lenient, rng.random(2000) < 0.8, targets["accepted"].to_numpy()).astype(float)
    targets = targets.assign(accepted=accepted)
    model = train_model(table, targets, target="accepted", definition=definition, split=split)
    assert model.reps.matters
    assert model.candidate.startswith("logistic")
    assert "median odds ratio of 2 reps" in repr(model)
    assert "r1" not in repr(model) + model._repr_html_() + model.reps._repr_html_()
    assert model.reps.to_frame()["attribute"].tolist() == [feature.name for feature in model.features]
    drawn = model.reps.plot(Figure().add_subplot())
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["over all leads", "within reps"]
    assert train_model(table, targets, target="won", definition=definition, split=split).reps is None


def test_equal_reps_leave_all_candidates_in_the_race(make_world):
    table, targets, split, definition = make_world(1000, seed=4)
    model = train_model(table, targets, target="accepted", definition=definition, split=split)
    assert not model.reps.matters
    assert len(model.choice) == 4
    assert "do not differ" in repr(model.reps)

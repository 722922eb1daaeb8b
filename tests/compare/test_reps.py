"""Acceptance inside and outside a criterion, compared within the same rep."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.compare._rates import Labels
from leadml.compare._reps import code_reps, compute_adjusted, describe_adjusted


def labels(y):
    y = np.asarray(y, dtype=float)
    return Labels(known=~np.isnan(y), positive=y == 1)


def test_reps_are_numbered_and_no_rep_is_minus_one():
    table = SimpleNamespace(role={"rep": pd.Series(["b", None, "a", "b"])}.get)
    assert code_reps(table).tolist() == [0, -1, 1, 0]


@pytest.mark.parametrize("reps", [None, pd.Series(["a", "a"]), pd.Series([None, None], dtype=object)])
def test_one_rep_or_none_adjusts_nothing(reps):
    assert code_reps(SimpleNamespace(role={"rep": reps}.get)) is None
    assert np.isnan(compute_adjusted(np.array([True, False]), labels([1, 0]), None)).all()


def test_mantel_and_haenszels_difference_by_hand():
    # rep 0: 2 of 4 inside, 1 of 4 outside; rep 1: 1 of 2 inside, 0 of 2 outside
    inside = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0], dtype=bool)
    y = [1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    reps = np.array([0] * 8 + [1] * 4)
    difference, low, high = compute_adjusted(inside, labels(y), reps)
    assert difference == pytest.approx((2 * 0.25 + 1 * 0.5) / 3)
    spread = (2 * 2 * 64 + 1 * 3 * 64) / (16 * 64) + (1 * 1 * 8 + 0) / (4 * 16)
    assert high - difference == pytest.approx(1.959964 * np.sqrt(spread) / 3, rel=1e-5)
    assert low == pytest.approx(2 * difference - high)


def test_a_strict_rep_who_serves_those_inside_is_not_held_against_the_criterion():
    rng = np.random.default_rng(0)
    n = 20_000
    reps = rng.integers(0, 2, n)
    inside = rng.random(n) < np.where(reps == 0, 0.9, 0.1)  # the strict rep gets those inside
    y = (rng.random(n) < 0.3 + 0.1 * inside + 0.4 * (reps == 1)).astype(float)
    raw = y[inside].mean() - y[~inside].mean()
    adjusted, low, high = compute_adjusted(inside, labels(y), reps)
    assert raw < -0.1
    assert low < 0.1 < high
    assert adjusted == pytest.approx(0.1, abs=0.03)


def test_reps_whose_leads_are_all_on_one_side_say_nothing():
    inside = np.array([True, True, False, False])
    reps = np.array([0, 0, 1, -1])
    assert np.isnan(compute_adjusted(inside, labels([1, 0, 1, 0]), reps)).all()
    assert np.isnan(compute_adjusted(inside, labels([np.nan] * 4), np.array([0, 0, 0, 0]))).all()


@pytest.mark.parametrize(
    ("crude", "own", "words"),
    [
        ((0.2, 0.1, 0.3), (0.0, -0.1, 0.1), "is not shown apart from who decides"),
        ((0.0, -0.1, 0.1), (0.2, 0.1, 0.3), "who decides hid it"),
        ((0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), "who decides turned it round"),
        ((0.2, 0.1, 0.3), (0.1, 0.05, 0.15), "+10.0 points among leads of the same rep."),
    ],
)
def test_what_the_reps_change_is_said_in_a_sentence(crude, own, words):
    names = ("difference", "difference_low", "difference_high")
    names += ("difference_adjusted", "difference_adjusted_low", "difference_adjusted_high")
    common = {"criterion": "hot.size", "written": "size >= 50"}
    row = common | dict(zip(names, (*crude, *own), strict=True)) | {"target": "accepted"}
    won = row | {"target": "won"} | dict.fromkeys(names[3:], np.nan)
    found = describe_adjusted(pd.DataFrame([row, won]))
    assert len(found) == 1
    assert words in found["reading"][0].replace("\xa0", " ")
    assert len(describe_adjusted(pd.DataFrame([won]))) == 0

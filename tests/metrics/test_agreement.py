import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.metrics import (
    clopper_pearson,
    cohen_kappa,
    gwet_ac1,
    krippendorff_alpha,
    raw_agreement,
    rule_agreement,
)

N = None
# Krippendorff (2011), example C: twelve units, four observers, missing data.
KRIPPENDORFF = [
    [1, 1, N, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [N, 5, 5, 5],
    [N, N, 1, 1],
    [N, N, 3, N],
]
ALL = (raw_agreement, cohen_kappa, gwet_ac1, krippendorff_alpha)


def two_by_two(yes_yes, yes_no, no_yes, no_no):
    pairs = [
        (("yes", "yes"), yes_yes),
        (("yes", "no"), yes_no),
        (("no", "yes"), no_yes),
        (("no", "no"), no_no),
    ]
    return [pair for pair, n in pairs for _ in range(n)]


@pytest.mark.parametrize(("metric", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_four_observers_is_the_published_one(metric, value):
    found = krippendorff_alpha(KRIPPENDORFF, metric=metric)
    assert found.value == pytest.approx(value, abs=5e-4)
    assert found.n == 11
    assert found.ci_low < found.value < found.ci_high <= 1


def test_alpha_of_two_observers_is_the_published_one():
    # Krippendorff (2011), example A (binary) and B (nominal).
    first = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    second = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff_alpha(list(zip(first, second, strict=True))).value == pytest.approx(0.095, abs=5e-4)
    pairs = list(zip("aabbdcccedda", "babbbccceddd", strict=True))
    assert krippendorff_alpha(pairs).value == pytest.approx(0.692, abs=5e-4)


def test_coefficients_with_missing_ratings_are_gwets():
    # Gwet (2014), and the R package irrCAC on the same data.
    assert raw_agreement(KRIPPENDORFF).value == pytest.approx(0.8181818)
    assert cohen_kappa(KRIPPENDORFF).value == pytest.approx(0.76282, abs=1e-5)
    assert gwet_ac1(KRIPPENDORFF).value == pytest.approx(0.77544, abs=1e-5)


def test_kappa_of_two_raters_is_cohens():
    found = cohen_kappa(two_by_two(20, 5, 10, 15))
    assert found.value == pytest.approx(0.4)
    assert found.n == 50


def test_the_paradox_of_kappa_is_shown_by_ac1():
    # Gwet (2008): nearly everybody says yes; raw agreement .944, kappa below zero, AC1 .94.
    ratings = two_by_two(118, 5, 2, 0)
    assert raw_agreement(ratings).value == pytest.approx(0.944)
    assert cohen_kappa(ratings).value == pytest.approx(-0.0234, abs=1e-4)
    assert gwet_ac1(ratings).value == pytest.approx(0.9408, abs=1e-4)


def test_raw_agreement_of_two_raters_has_the_exact_interval():
    found = raw_agreement(two_by_two(30, 4, 6, 10))
    low, high = clopper_pearson(40, 50)
    assert (found.ci_low, found.ci_high) == (pytest.approx(float(low)), pytest.approx(float(high)))


@pytest.mark.parametrize("coefficient", ALL)
def test_full_agreement_is_one_but_not_certain(coefficient):
    found = coefficient([["hot", "hot"], ["cold", "cold"]] * 15)
    assert found.value == 1
    assert 0.6 < found.ci_low < 1
    assert found.ci_high == 1


@pytest.mark.parametrize("coefficient", [cohen_kappa, krippendorff_alpha])
def test_one_word_for_everything_leaves_nothing_to_agree_about(coefficient):
    assert math.isnan(coefficient([["hot", "hot"]] * 10, categories=("cold", "hot")).value)


@pytest.mark.parametrize("coefficient", ALL)
@pytest.mark.parametrize("ratings", [np.empty((0, 2)), [["hot", None], [None, "cold"]], [["hot"], ["cold"]]])
def test_nothing_judged_twice_is_not_defined(coefficient, ratings):
    found = coefficient(ratings)
    assert math.isnan(found.value)
    assert found.n == 0


def test_two_leads_have_a_value_but_no_interval():
    found = cohen_kappa([["a", "a"], ["a", "b"], ["b", None]])
    assert found.n == 2
    assert math.isnan(found.ci_low)


@pytest.mark.parametrize("coefficient", ALL)
def test_ratings_must_be_a_table(coefficient):
    with pytest.raises(ValueError, match="one row per lead"):
        coefficient(["hot", "cold"])
    with pytest.raises(ValueError, match="confidence_level"):
        coefficient([["hot", "cold"]] * 4, confidence_level=1)


def test_unknown_words_metrics_and_texts_as_numbers_are_refused():
    with pytest.raises(ValueError, match="not among the categories: 'warm'"):
        cohen_kappa([["hot", "warm"]], categories=("hot", "cold"))
    with pytest.raises(ValueError, match="metric: expected nominal"):
        krippendorff_alpha([[1, 1]], metric="ratio")
    with pytest.raises(ValueError, match="needs numbers"):
        krippendorff_alpha([["hot", "cold"]], metric="interval")


def test_a_word_that_was_offered_but_not_used_counts_for_ac1_only():
    ratings = two_by_two(20, 5, 10, 15)
    words = ("yes", "no", "cannot say")
    assert gwet_ac1(ratings, categories=words).value > gwet_ac1(ratings).value
    assert cohen_kappa(ratings, categories=words).value == pytest.approx(0.4)


def test_a_frame_shows_one_row():
    frame = cohen_kappa(two_by_two(20, 5, 10, 15)).to_frame()
    assert list(frame.columns) == ["coefficient", "value", "ci_low", "ci_high", "n"]
    assert len(frame) == 1


words = st.sampled_from(["hot", "medium", "cold", None])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_coefficients_do_not_depend_on_order_or_names(ratings, random):
    renamed = {"hot": "x", "medium": "b", "cold": "k", None: None}
    shuffled = [tuple(renamed[word] for word in row) for row in ratings]
    random.shuffle(shuffled)
    places = [0, 1, 2]
    random.shuffle(places)
    shuffled = [tuple(row[place] for place in places) for row in shuffled]
    for coefficient in ALL:
        before, after = coefficient(ratings), coefficient(shuffled)
        assert before.value == pytest.approx(after.value, nan_ok=True)
        assert before.ci_low == pytest.approx(after.ci_low, nan_ok=True)
        assert math.isnan(before.value) or before.value <= 1
        assert math.isnan(before.ci_low) or before.ci_low <= before.value + 1e-9 <= before.ci_high + 2e-9


def test_a_rule_is_held_against_every_judgement():
    balanced, kappa = rule_agreement(
        [True] * 20 + [False] * 20, [[1, 1]] * 15 + [[0, 1]] * 5 + [[0, np.nan]] * 20
    )
    assert balanced.value == pytest.approx((35 / 35 + 20 / 25) / 2)
    # 35 yes-yes, 5 yes-no, 0 no-yes, 20 no-no
    chance = (40 * 35 + 20 * 25) / 60**2
    assert kappa.value == pytest.approx((55 / 60 - chance) / (1 - chance))
    assert balanced.n == kappa.n == 40
    assert kappa.ci_low < kappa.value < kappa.ci_high < 1


def test_a_rule_on_single_judgements_is_cohens_kappa():
    rng = np.random.default_rng(0)
    said = rng.random(80) < 0.4
    rated = (said ^ (rng.random(80) < 0.2)).astype(float)
    _, kappa = rule_agreement(said, rated[:, np.newaxis])
    other = cohen_kappa(np.column_stack([said.astype(float), rated]))
    assert kappa.value == pytest.approx(other.value)
    assert kappa.ci_low == pytest.approx(other.ci_low)


def test_a_rule_that_is_always_right_is_not_certain():
    balanced, kappa = rule_agreement([True] * 30 + [False] * 30, [[1]] * 30 + [[0]] * 30)
    assert balanced.value == kappa.value == 1
    assert 0.5 < kappa.ci_low < 1
    assert 0.5 < balanced.ci_low < 1


def test_a_rule_without_judgements_is_not_defined():
    for ratings, rule in (
        ([[np.nan]] * 3, [True] * 3),
        (np.empty((0, 1)), []),
        ([[1], [1], [1]], [True] * 3),
    ):
        balanced, kappa = rule_agreement(rule, ratings)
        assert math.isnan(balanced.value)
        assert math.isnan(kappa.value)


def test_a_rule_and_ratings_must_fit():
    with pytest.raises(ValueError, match="one answer of the rule per row"):
        rule_agreement([True], [[1], [0]])
    with pytest.raises(ValueError, match="1 for yes, 0 for no"):
        rule_agreement([True], [[2]])


@pytest.mark.slow
@pytest.mark.parametrize(("n", "prevalence"), [(50, 0.5), (100, 0.5), (100, 0.9), (200, 0.9)])
@pytest.mark.parametrize("coefficient", [cohen_kappa, gwet_ac1, krippendorff_alpha])
def test_intervals_cover_at_their_level(n, prevalence, coefficient):
    rng = np.random.default_rng(1)

    def draw(size):
        return ((rng.random(size) < prevalence)[:, np.newaxis] ^ (rng.random((size, 2)) < 0.12)).astype(int)

    truth = coefficient(draw(200_000), categories=(0, 1)).value
    found = [coefficient(draw(n), categories=(0, 1)) for _ in range(800)]
    assert np.mean([one.ci_low <= truth <= one.ci_high for one in found]) > 0.925

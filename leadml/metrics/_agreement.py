"""Agreement of people about the same leads: raw, kappa, AC1 and alpha, for any number of raters."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.stats import t as student

from leadml.metrics._discrimination import check_level
from leadml.metrics._intervals import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Agreement",
    "cohen_kappa",
    "gwet_ac1",
    "krippendorff_alpha",
    "raw_agreement",
    "rule_agreement",
]

Metric = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One coefficient of agreement with its interval.

    Attributes
    ----------
    coefficient : str
        ``"raw"``, ``"kappa"``, ``"ac1"``, ``"alpha"`` or ``"balanced"``.
    value : float
        One is full agreement; for kappa, AC1 and alpha zero is what chance gives. NaN where it is not
        defined: no lead was judged twice, or (kappa, alpha) everybody used one word for everything.
    ci_low, ci_high : float
        Its interval; NaN if it has no value or too few leads for one.
    n : int
        Leads that were judged at least twice (``"balanced"``: at least once).
    """

    coefficient: str
    value: float
    ci_low: float
    ci_high: float
    n: int

    def to_frame(self) -> pd.DataFrame:
        """Give one row, one column per attribute."""
        import pandas as pd

        return pd.DataFrame([{name: getattr(self, name) for name in self.__slots__}])


def raw_agreement(ratings: ArrayLike, *, confidence_level: float = 0.95) -> Agreement:
    """Estimate the share of pairs of judgements of one lead that are alike.

    Parameters
    ----------
    ratings : array-like of shape (n_leads, n_raters)
        Words or numbers; None or NaN where a rater did not judge a lead. Leads with fewer than two
        judgements are left out; each other lead counts once however many judged it.
    confidence_level : float, default=0.95
        The interval is the exact one of a rate for two raters, and at least as wide as needed for more.

    Returns
    -------
    Agreement

    Examples
    --------
    >>> raw_agreement([["hot", "hot"], ["hot", "cold"], ["cold", None]]).value
    0.5
    """
    check_level(confidence_level)
    counts = _Counts.of(ratings, None)
    n = int(counts.twice.sum())
    if not n:
        return Agreement(coefficient="raw", value=nan, ci_low=nan, ci_high=nan, n=0)
    alike = float(counts.alike().sum())
    low, high = clopper_pearson(alike, n, confidence_level=confidence_level)
    return Agreement(coefficient="raw", value=alike / n, ci_low=float(low), ci_high=float(high), n=n)


def cohen_kappa(
    ratings: ArrayLike, *, categories: Sequence[Hashable] | None = None, confidence_level: float = 0.95
) -> Agreement:
    """Estimate Cohen's kappa, for more than two raters in Conger's form.

    Chance agreement comes from each rater's own habits, so raters who use the words differently often are
    not held to agree by chance. Where one word is rare or common the coefficient is low even if people
    hardly ever differ: read it beside raw agreement and AC1.

    Parameters
    ----------
    ratings : array-like of shape (n_leads, n_raters)
        As in `raw_agreement`. With missing values, Gwet's form: agreement from the leads judged twice, the
        habits of each rater from all of his leads.
    categories : sequence, optional
        The words that could be used; by default those that were.
    confidence_level : float, default=0.95
        Interval on the scale of log(observed over expected disagreement) with the standard error of the
        jackknife over leads; if nobody ever differs, the exact interval of raw agreement carried over.

    Returns
    -------
    Agreement

    References
    ----------
    .. [1] Cohen (1960), A coefficient of agreement for nominal scales, Educational and Psychological
       Measurement 20, 37-46.
    .. [2] Conger (1980), Integration and generalization of kappas for multiple raters, Psychological
       Bulletin 88, 322-328.
    .. [3] Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition, section 2 (missing ratings).

    Examples
    --------
    >>> both, neither = [["yes", "yes"]] * 20, [["no", "no"]] * 15
    >>> kappa = cohen_kappa(both + neither + [["yes", "no"]] * 5 + [["no", "yes"]] * 10)
    >>> round(kappa.value, 2), kappa.n
    (0.4, 50)
    """
    counts = _Counts.of(ratings, categories)
    by_rater = counts.by_rater
    n_raters = by_rater.shape[1]

    def expected(left_out: Floats) -> Floats:
        totals = by_rater.sum(axis=0) - left_out
        judged = totals.sum(axis=-1, keepdims=True)
        shares = np.divide(totals, judged, out=np.zeros_like(totals), where=judged > 0)
        active = np.maximum((judged[..., 0] > 0).sum(axis=-1), 2)[..., np.newaxis]
        total, squares = shares.sum(axis=-2), (shares**2).sum(axis=-2)
        # The mean over pairs of raters of the product of their shares, summed over the words.
        pairs: Floats = ((total**2 - squares) / (active * (active - 1))).sum(axis=-1)
        return pairs

    if n_raters < 2:
        return _nothing("kappa")
    return _corrected("kappa", counts, expected, by_rater, confidence_level)


def gwet_ac1(
    ratings: ArrayLike, *, categories: Sequence[Hashable] | None = None, confidence_level: float = 0.95
) -> Agreement:
    """Estimate Gwet's AC1, which does not collapse where one word is rare.

    Parameters
    ----------
    ratings, categories, confidence_level
        As in `cohen_kappa`. Name the `categories` where a word that was offered was not used.

    Returns
    -------
    Agreement

    References
    ----------
    Gwet (2008), Computing inter-rater reliability and its variance in the presence of high agreement,
    British Journal of Mathematical and Statistical Psychology 61, 29-48.

    Examples
    --------
    >>> ac1 = gwet_ac1([["yes", "yes"]] * 118 + [["yes", "no"]] * 5 + [["no", "yes"]] * 2)
    >>> round(ac1.value, 3)
    0.941
    """
    counts = _Counts.of(ratings, categories)
    judged = counts.by_word.sum(axis=1)
    some = judged > 0
    shares = np.zeros_like(counts.by_word)
    shares[some] = counts.by_word[some] / judged[some, np.newaxis]
    n_words = shares.shape[1]

    def expected(left_out: Floats) -> Floats:
        totals = shares.sum(axis=0) - left_out
        n = np.maximum(totals.sum(axis=-1, keepdims=True), 1)
        means = totals / n
        chance: Floats = (means * (1 - means)).sum(axis=-1) / max(n_words - 1, 1)
        return chance

    return _corrected("ac1", counts, expected, shares, confidence_level)


def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    metric: Metric = "nominal",
    categories: Sequence[Hashable] | None = None,
    confidence_level: float = 0.95,
) -> Agreement:
    """Estimate Krippendorff's alpha: any number of raters, missing values, ordered words.

    Parameters
    ----------
    ratings : array-like of shape (n_leads, n_raters)
        As in `raw_agreement`; leads that were judged once say nothing and are left out.
    metric : {"nominal", "ordinal", "interval"}, default="nominal"
        How far two words lie apart: all alike, by their ranks, or by their distance as numbers.
    categories : sequence, optional
        The words in their order; by default those that were used, in the order of sorting.
    confidence_level : float, default=0.95
        As in `cohen_kappa`.

    Returns
    -------
    Agreement

    References
    ----------
    Krippendorff (2004), Content Analysis, 2nd edition, chapter 11; Krippendorff (2011), Computing
    Krippendorff's alpha-reliability.

    Examples
    --------
    >>> round(krippendorff_alpha([[0, 1]] * 2 + [[0, 0]] * 6 + [[1, 1]] * 2, metric="interval").value, 3)
    0.548
    """
    if metric not in {"nominal", "ordinal", "interval"}:
        raise ValueError(f"metric: expected nominal, ordinal or interval, got {metric!r}.")
    counts = _Counts.of(ratings, categories)
    words = counts.by_word[counts.twice]
    n = len(words)
    if not n:
        return _nothing("alpha")
    judged = words.sum(axis=1)
    pairs = words[:, :, np.newaxis] * words[:, np.newaxis, :]
    diagonal = np.arange(words.shape[1])
    pairs[:, diagonal, diagonal] -= words
    pairs /= (judged - 1)[:, np.newaxis, np.newaxis]
    numbers = np.arange(len(counts.words), dtype=np.float64)
    if metric == "interval":
        try:
            numbers = np.array([float(word) for word in counts.words])
        except (TypeError, ValueError) as error:
            raise ValueError("ratings: metric 'interval' needs numbers.") from error

    def ratio(totals: Floats) -> Floats:
        sizes = totals.sum(axis=-1)
        total = sizes.sum(axis=-1)
        far = _distances(metric, sizes, numbers)
        observed = (totals * far).sum(axis=(-2, -1))
        chance = (sizes[..., :, np.newaxis] * sizes[..., np.newaxis, :] * far).sum(axis=(-2, -1))
        found: Floats = np.divide(
            observed * (total - 1), chance, out=np.full(np.shape(observed), nan), where=chance > 0
        )
        return found

    whole = pairs.sum(axis=0)
    value = ratio(whole)
    low, high = _interval(float(value), ratio(whole - pairs), n=n, confidence_level=confidence_level)
    if value == 0:
        # Nobody ever differs: as many disagreements as n leads could still hide, of the expected distance.
        sizes = whole.sum(axis=-1) / whole.sum()
        low = 1 - _hidden(n, confidence_level) / float(1 - (sizes**2).sum())
    return Agreement(coefficient="alpha", value=1 - float(value), ci_low=low, ci_high=high, n=n)


def rule_agreement(
    rule: ArrayLike, ratings: ArrayLike, *, confidence_level: float = 0.95
) -> tuple[Agreement, Agreement]:
    """Estimate how well a rule says yes and no where people do.

    Every judgement of every rater is held against the rule; a lead and all its judgements are one unit of
    the interval.

    Parameters
    ----------
    rule : array-like of bool of shape (n_leads,)
        What the rule says.
    ratings : array-like of float of shape (n_leads, n_raters)
        One for yes, zero for no, NaN where a rater did not judge.
    confidence_level : float, default=0.95
        As in `cohen_kappa`.

    Returns
    -------
    (balanced, kappa) : tuple of Agreement
        Balanced agreement, the mean of the shares of yes and of no that the rule repeats (one half is
        chance); and Cohen's kappa of the rule with the judgements.

    References
    ----------
    Cohen (1960), as in `cohen_kappa`; Brodersen et al. (2010), The balanced accuracy and its posterior
    distribution, ICPR.

    Examples
    --------
    >>> balanced, kappa = rule_agreement([True, True, False, False], [[1], [0], [0], [0]])
    >>> round(balanced.value, 3), round(kappa.value, 3)
    (0.833, 0.5)
    """
    says = np.asarray(rule, dtype=bool)
    answers = np.asarray(ratings, dtype=np.float64)
    if answers.ndim != 2 or says.shape != answers.shape[:1]:
        raise ValueError("rule, ratings: expected one answer of the rule per row of the ratings.")
    if not np.isin(answers[~np.isnan(answers)], (0.0, 1.0)).all():
        raise ValueError("ratings: expected 1 for yes, 0 for no, NaN for none.")
    yes, no = (answers == 1).sum(axis=1), (answers == 0).sum(axis=1)
    judged = yes + no > 0
    cells = np.stack([yes * says, no * says, yes * ~says, no * ~says], axis=1)[judged].astype(np.float64)
    n = len(cells)
    whole = cells.sum(axis=0)

    def one_minus_balanced(totals: Floats) -> Floats:
        caught, extra, missed, left = (totals[..., i] for i in range(4))
        return (_share(missed, caught + missed) + _share(extra, extra + left)) / 2

    def one_minus_kappa(totals: Floats) -> Floats:
        caught, extra, missed, left = (totals[..., i] for i in range(4))
        total = totals.sum(axis=-1)
        chance = (caught + extra) * (extra + left) + (missed + left) * (caught + missed)
        return _share((extra + missed) * total, chance)

    found = []
    for name, statistic in (("balanced", one_minus_balanced), ("kappa", one_minus_kappa)):
        value = float(statistic(whole)) if n else nan
        low, high = _interval(value, statistic(whole - cells), n=n, confidence_level=confidence_level)
        if value == 0:
            rare = min(int((yes[judged] > 0).sum()), int((no[judged] > 0).sum()))
            low = 1 - _hidden(rare, confidence_level) / (2 if name == "balanced" else 1)
        found.append(Agreement(coefficient=name, value=1 - value, ci_low=low, ci_high=high, n=n))
    return found[0], found[1]


# ---- what the coefficients share -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Counts:
    """Who used which word for which lead."""

    words: tuple[Any, ...]
    by_rater: Floats  # (n_leads, n_raters, n_words), one where the rater used the word
    by_word: Floats  # (n_leads, n_words)
    twice: NDArray[np.bool_]

    @classmethod
    def of(cls, ratings: ArrayLike, categories: Sequence[Hashable] | None) -> _Counts:
        table = np.asarray(ratings, dtype=object)
        if table.ndim != 2:
            raise ValueError(
                f"ratings: expected one row per lead and one column per rater, got {table.ndim} axes."
            )
        given = np.array([[not _is_missing(word) for word in row] for row in table], dtype=bool)
        given = given.reshape(table.shape)
        used = set(table[given].tolist())
        words = tuple(categories) if categories is not None else tuple(sorted(used, key=_sort_key))
        if strange := used - set(words):
            first = ", ".join(sorted(map(repr, strange))[:5])
            raise ValueError(f"ratings: not among the categories: {first}.")
        place = {word: position for position, word in enumerate(words)}
        by_rater = np.zeros((*table.shape, len(words)))
        leads, raters = np.nonzero(given)
        by_rater[leads, raters, [place[word] for word in table[given].tolist()]] = 1
        by_word = by_rater.sum(axis=1)
        return cls(words, by_rater, by_word, by_word.sum(axis=1) >= 2)

    def alike(self) -> Floats:
        """Share of alike pairs of each lead that was judged at least twice."""
        words = self.by_word[self.twice]
        judged = words.sum(axis=1)
        found: Floats = (words * (words - 1)).sum(axis=1) / (judged * (judged - 1))
        return found


def _sort_key(word: Any) -> tuple[str, Any]:
    return (
        ("", float(word)) if isinstance(word, int | float | np.number) else (type(word).__name__, str(word))
    )


def _is_missing(word: Any) -> bool:
    return word is None or type(word).__name__ in {"NAType", "NaTType"} or word != word  # noqa: PLR0124 - NaN


def _nothing(coefficient: str) -> Agreement:
    return Agreement(coefficient=coefficient, value=nan, ci_low=nan, ci_high=nan, n=0)


def _corrected(
    coefficient: str, counts: _Counts, expected: Any, units: Floats, confidence_level: float
) -> Agreement:
    """Agreement beyond chance with the jackknife over all leads; `expected` leaves out what it is given."""
    check_level(confidence_level)
    n = int(counts.twice.sum())
    if not n:
        return _nothing(coefficient)
    differs = np.zeros(len(units))
    differs[counts.twice] = 1 - counts.alike()
    total = float(differs.sum())

    observed = total / n
    beyond = 1 - float(expected(np.zeros(units.shape[1:])))
    if beyond <= 1e-12:
        return Agreement(coefficient=coefficient, value=nan, ci_low=nan, ci_high=nan, n=n)
    ratio = observed / beyond
    without = (total - differs) / np.maximum(n - counts.twice, 1)
    chances = 1 - expected(units)
    ratios = np.divide(without, chances, out=np.full(len(without), nan), where=chances > 1e-12)
    low, high = _interval(ratio, ratios, n=n, confidence_level=confidence_level)
    if observed == 0:
        low = 1 - _hidden(n, confidence_level) / beyond
    return Agreement(coefficient=coefficient, value=1 - ratio, ci_low=low, ci_high=high, n=n)


def _hidden(n: int, confidence_level: float) -> float:
    """Share of disagreement that n leads without one do not exclude."""
    return float(clopper_pearson(0, n, confidence_level=confidence_level)[1]) if n else inf


def _interval(value: float, without: Floats, *, n: int, confidence_level: float) -> tuple[float, float]:
    """Interval of one minus a ratio from the ratio and its values without each lead."""
    check_level(confidence_level)
    if value == 0:
        return nan, 1.0
    usable = without[np.isfinite(without)]
    # A lead without which the ratio is not defined carries it alone: no interval of this kind.
    if n < 3 or not np.isfinite(value) or len(usable) < len(without):
        return nan, nan
    size = len(usable)
    error = float(np.sqrt((size - 1) / size * ((usable - usable.mean()) ** 2).sum()))
    factor = float(np.exp(min(student.ppf(0.5 + confidence_level / 2, n - 1) * error / value, 700.0)))
    return 1 - value * factor, 1 - value / factor


def _distances(metric: str, sizes: Floats, numbers: Floats) -> Floats:
    """Squared distance of each pair of words, from how often each is used."""
    if metric != "ordinal":
        apart = numbers[:, np.newaxis] - numbers[np.newaxis, :]
        return (apart != 0).astype(np.float64) if metric == "nominal" else apart**2
    middle = np.cumsum(sizes, axis=-1) - sizes / 2
    far: Floats = (middle[..., :, np.newaxis] - middle[..., np.newaxis, :]) ** 2
    return far


def _share(part: Floats, whole: Floats) -> Floats:
    part, whole = np.asarray(part), np.asarray(whole)
    found: Floats = np.divide(part, whole, out=np.full(whole.shape, nan), where=whole > 0)
    return found

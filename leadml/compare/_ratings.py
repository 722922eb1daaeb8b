"""Rater against rater: what people agree about, where they part, and who is stricter."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, inf, log, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, chi2

from leadml._plotting import plot_ranges
from leadml._render import format_count, format_rate, format_rate_range, render_card, render_frame
from leadml.compare._rating_sheets import CANNOT_SAY, CLASS, is_free_text, say
from leadml.definitions import assign_classes
from leadml.errors import LeadsError
from leadml.metrics import (
    clopper_pearson,
    cohen_kappa,
    estimate_spread,
    gwet_ac1,
    krippendorff_alpha,
    raw_agreement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.compare._rating_answers import Ratings
    from leadml.definitions import Attribute, Definition
    from leadml.leads import LeadTable

    Floats = NDArray[np.float64]

__all__ = ["RatingComparison", "Strictness", "compare_ratings"]

ENOUGH = 100
"""Below this many leads judged twice, the interval of kappa is about half of its scale."""

_COEFFICIENTS = ("raw", "kappa", "ac1", "alpha")
_AGREEMENT_COLUMNS = (
    *("question", "written", "n", "n_answers", "n_cannot_say", "prevalence"),
    *(f"{name}{end}" for name in _COEFFICIENTS for end in ("", "_low", "_high")),
)
_SPLIT_COLUMNS = ("lead_id", "question", "answers", "lead")
_BAND_COLUMNS = ("attribute", "band", "n", "n_split", "rate", "ci_low", "ci_high")
_SIDE_COLUMNS = (
    *("side", "n", "n_handed_over", "rate", "ci_low", "ci_high", "effect"),
    *("n_written", "raw_written", "kappa_written", "kappa_written_low", "kappa_written_high"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """How much those who judge differ in how readily they hand a lead to Sales.

    Attributes
    ----------
    odds_ratio : float
        The same lead has this many times the odds of being handed over if the more lenient of two judges it.
        For more than two it is the median over pairs of such judges. One: nobody is stricter.
    ci_low, ci_high : float
        Its exact interval for two; NaN for more.
    p_value : float
        Of no difference: exact (McNemar) for two, Cochran's Q for more.
    strictest : str
        Who hands over the fewest of the same leads; empty if nothing is known.
    """

    odds_ratio: float
    ci_low: float
    ci_high: float
    p_value: float
    strictest: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatingComparison:
    """What the sides agree about when each judges the same leads without seeing the other.

    Attributes
    ----------
    definition, version : str
        Whose words were used.
    sides : tuple of str
        Who judged.
    n_leads : int
        Leads that at least two sides classed.
    agreement : DataFrame
        One row per question; see `to_frame`.
    splits : DataFrame
        One row per lead and question that they part on: ``lead_id``, ``question``, ``answers``, ``lead`` (in
        the words of the attributes).
    split_bands : DataFrame
        Share of leads classed differently by band of each attribute: ``attribute``, ``band``, ``n``,
        ``n_split``, ``rate``, ``ci_low``, ``ci_high``.
    by_side : DataFrame
        One row per side: ``side``, ``n``, ``n_handed_over``, ``rate`` with interval, ``effect`` (readiness to
        hand over on the log-odds scale, mean zero, from the same leads), and its agreement with the written
        definition: ``n_written``, ``raw_written``, ``kappa_written`` with interval.
    strictness : Strictness
        The difference between the sides as one number.
    notes : tuple of str
        What a reader must know before using a figure.
    """

    definition: str
    version: str
    sides: tuple[str, ...]
    n_leads: int
    agreement: pd.DataFrame = field(repr=False)
    splits: pd.DataFrame = field(repr=False)
    split_bands: pd.DataFrame = field(repr=False)
    by_side: pd.DataFrame = field(repr=False)
    strictness: Strictness
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the agreement: one row per question.

        Returns
        -------
        DataFrame
            ``question`` ("class" for all classes at once, "class: hot" for one class against the rest, or the
            address of a criterion), ``written``, ``n`` (leads that two or more answered), ``n_answers``,
            ``n_cannot_say``, ``prevalence`` (share of answers with this class, or yes; for "class" the share
            of the commonest), and ``raw``, ``kappa``, ``ac1``, ``alpha``, each with ``_low`` and ``_high``.
        """
        return self.agreement.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; what is not defined is None."""
        return {
            "definition": self.definition,
            "version": self.version,
            "sides": list(self.sides),
            "n_leads": self.n_leads,
            "agreement": _records(self.agreement),
            "splits": _records(self.splits),
            "split_bands": _records(self.split_bands),
            "by_side": _records(self.by_side),
            "strictness": {
                name: _plain(getattr(self.strictness, name)) for name in Strictness.__dataclass_fields__
            },
            "notes": list(self.notes),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot kappa and AC1 of every question with their intervals."""
        rows = [
            pd.DataFrame(
                {
                    "label": self.agreement["question"],
                    "group": group,
                    "value": self.agreement[name],
                    "ci_low": self.agreement[f"{name}_low"],
                    "ci_high": self.agreement[f"{name}_high"],
                }
            )
            for group, name in (("kappa", "kappa"), ("AC1", "ac1"))
        ]
        return plot_ranges(pd.concat(rows), ax, xlabel="agreement beyond chance")

    def __repr__(self) -> str:
        who = " and ".join(self.sides)
        lines = [
            f"{self.definition} {self.version}: {who} on {format_count(self.n_leads)} leads judged by both"
        ]
        whole: Any = next(self.agreement.head(1).itertuples(index=False))
        if self.n_leads:
            lines.append(
                f"  class: the same for {format_rate(whole.raw)} "
                f"({format_rate_range(whole.raw_low, whole.raw_high)}); kappa {_figure(whole, 'kappa')}, "
                f"AC1 {_figure(whole, 'ac1')}, alpha {_figure(whole, 'alpha')}"
            )
        worst = self.agreement.iloc[1:].dropna(subset=["kappa"]).sort_values("kappa", kind="stable")
        lines += [
            f"  least agreed: {row.question}: kappa {_figure(row, 'kappa')}, n = {row.n:,}"
            for row in worst.head(2).itertuples(index=False)
        ]
        if self.strictness.strictest:
            lines.append(
                f"  strictest: {self.strictness.strictest}; the same lead has "
                f"{self.strictness.odds_ratio:.1f} × the odds with the more lenient"
            )
        return "\n".join(lines + [f"  note: {note}" for note in self.notes[:4]])

    def _repr_html_(self) -> str:
        frames = (self.agreement, self.by_side, self.splits)
        return str(
            render_card(
                repr(self).splitlines()[0], [render_frame(frame) for frame in frames], notes=self.notes
            )
        )


def _figure(row: Any, name: str) -> str:
    value, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
    if np.isnan(value):
        return "not defined"
    return f"{value:.2f}" if np.isnan(low) else f"{value:.2f} ({low:.2f} to {high:.2f})"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]  # type: ignore[misc]


def compare_ratings(
    ratings: Ratings, definition: Definition, table: LeadTable, *, confidence_level: float = 0.95
) -> RatingComparison:
    """Hold those who judged the same leads against each other.

    Low agreement about a class or criterion says that the words do not settle what is meant: no threshold
    can be right for both sides. `objectify` looks for criteria that say it objectively.

    Parameters
    ----------
    ratings : Ratings
        From `read_ratings`.
    definition : Definition
        The definition that was judged.
    table : LeadTable
        The leads that were drawn from, for their attributes.
    confidence_level : float, default=0.95
        Of every interval. They speak of leads drawn as these were (equally from each written class), judged
        by these people.

    Returns
    -------
    RatingComparison

    Raises
    ------
    LeadsError
        If a lead that was judged is not in the table, or the definition has other classes.

    References
    ----------
    Cohen (1960); Gwet (2008); Krippendorff (2004) for the coefficients (see `leadml.metrics`). Rasch (1960),
    Bradley and Terry (1952): the effects of those who judge from the leads on which two of them differ.
    Cochran (1950), Biometrika 37, 256-266, and McNemar (1947): the tests of no difference.
    """
    if tuple(item.name for item in definition.classes) != ratings.classes:
        raise LeadsError(
            f"{definition.source}: expected the classes that were judged ({', '.join(ratings.classes)}), "
            f"got {', '.join(item.name for item in definition.classes)}. Give the definition of the sheets."
        )
    frame = find_leads(ratings, table)
    classed = ratings.matrix(CLASS)
    notes = []
    if definition.sha256 != ratings.definition_sha256:
        notes.append(f"The sheets were drawn from another text of {ratings.definition} {ratings.version}.")
    rows = list(_agreement_rows(ratings, confidence_level))
    n_leads = int((classed.notna().sum(axis=1) >= 2).sum())
    if not n_leads:
        notes.insert(0, "no lead was classed by two or more: nothing can be said of how far the sides agree.")
    elif n_leads < ENOUGH:
        notes.insert(
            0,
            f"only {format_count(n_leads)} leads were classed by two or more; "
            f"below {ENOUGH} the intervals are too wide to settle anything.",
        )
    heard = set(ratings.answers["side"])
    notes += [
        f"no answer of {side} came back: its sheet is missing or was left empty."
        for side in ratings.sides
        if side not in heard
    ]
    handed, strictness = _compare_strictness(ratings, classed, confidence_level)
    written = assign_classes(definition, frame).astype(object)
    written = written.where(written.notna(), None)
    if written.isna().all():
        notes.append("The written definition puts none of these leads in a class: nothing to compare with.")
    return RatingComparison(
        definition=ratings.definition,
        version=ratings.version,
        sides=ratings.sides,
        n_leads=n_leads,
        agreement=pd.DataFrame(rows, columns=list(_AGREEMENT_COLUMNS)),
        splits=_list_splits(ratings, definition, frame),
        split_bands=_list_bands(classed, definition, frame, confidence_level),
        by_side=_list_sides(handed, classed, written.to_numpy(dtype=object), ratings, confidence_level),
        strictness=strictness,
        notes=tuple(notes),
    )


def find_leads(ratings: Ratings, table: LeadTable) -> pd.DataFrame:
    """Return the rows of the leads that were drawn, in the order of `ratings.leads`."""
    ids = table.role("id")
    place = {} if ids is None else {str(lead): row for row, lead in enumerate(ids)}
    gone = [lead for lead in ratings.leads["lead_id"] if lead not in place]
    if gone:
        raise LeadsError(
            f"leads: {len(gone):,} of {len(ratings.leads):,} leads that were drawn are not in this table, "
            f"such as {', '.join(sorted(gone)[:3])}. Give the export that the sheets were drawn from."
        )
    return table.frame.iloc[[place[lead] for lead in ratings.leads["lead_id"]]].reset_index(drop=True)


def _agreement_rows(ratings: Ratings, confidence_level: float) -> Iterator[dict[str, Any]]:
    classed = ratings.matrix(CLASS).to_numpy(dtype=object)
    given = _given(classed)
    shares = [float(np.mean(given == name)) if len(given) else nan for name in ratings.classes]
    yield _describe(CLASS, "", classed, ratings.classes, max(shares), confidence_level)
    for name, share in zip(ratings.classes, shares, strict=True):
        one = _where(classed, name)
        yield _describe(f"{CLASS}: {name}", "", one, ("no", "yes"), share, confidence_level)
    for address, text in ratings.criteria:
        answers = ratings.matrix(address).to_numpy(dtype=object, copy=True)
        unsure = int((answers == CANNOT_SAY).sum())
        answers[answers == CANNOT_SAY] = None
        given = _given(answers)
        share = float(np.mean(given == "yes")) if len(given) else nan
        row = _describe(address, text, answers, ("no", "yes"), share, confidence_level)
        yield row | {"n_cannot_say": unsure}


def _given(answers: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = answers[_is_given(answers)]
    return found


def _is_given(answers: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(pd.notna(answers), dtype=np.bool_)


def _where(classed: NDArray[Any], name: str) -> NDArray[Any]:
    """Return yes, no, or None where nothing was said."""
    said = np.full(classed.shape, None, dtype=object)
    said[classed == name] = "yes"
    said[_is_given(classed) & (classed != name)] = "no"
    return said


def _describe(
    question: str,
    written: str,
    answers: NDArray[Any],
    words: tuple[str, ...],
    prevalence: float,
    confidence_level: float,
) -> dict[str, Any]:
    found = [raw_agreement(answers, confidence_level=confidence_level)]
    found += [
        coefficient(answers, categories=words, confidence_level=confidence_level)
        for coefficient in (cohen_kappa, gwet_ac1, krippendorff_alpha)
    ]
    row: dict[str, Any] = {
        "question": question,
        "written": written,
        "n": found[0].n,
        "n_answers": len(_given(answers)),
        "n_cannot_say": 0,
        "prevalence": prevalence,
    }
    for one in found:
        row |= {one.coefficient: one.value}
        row |= {f"{one.coefficient}_low": one.ci_low, f"{one.coefficient}_high": one.ci_high}
    return row


# ---- where they part -----------------------------------------------------------------------------


def _parts(answers: pd.DataFrame) -> NDArray[np.bool_]:
    return answers.nunique(axis=1).to_numpy() > 1


def _list_splits(ratings: Ratings, definition: Definition, frame: pd.DataFrame) -> pd.DataFrame:
    words = _lead_words(definition, frame)
    rows = []
    for question in (CLASS, *(address for address, _ in ratings.criteria)):
        answers = ratings.matrix(question)
        answers = answers.where(answers != CANNOT_SAY, None)
        for row in np.flatnonzero(_parts(answers)):
            given = answers.iloc[row].dropna()
            said = ", ".join(f"{side}: {word}" for side, word in given.items())
            rows.append((answers.index[int(row)], question, said, words[row]))
    return pd.DataFrame(rows, columns=list(_SPLIT_COLUMNS))


def _shown(definition: Definition, frame: pd.DataFrame) -> list[Attribute]:
    return [
        attribute
        for attribute in definition.attributes
        if attribute.name in frame.columns
        and attribute.known_at != "after"
        and not (
            attribute.type == "category"
            and not attribute.levels
            and frame[attribute.name].nunique() > 10
            and is_free_text(frame[attribute.name])
        )
    ]


def _lead_words(definition: Definition, frame: pd.DataFrame) -> list[str]:
    parts = [
        [
            f"{one.name} {said}{_unit(one)}" if (said := say(value)) else f"{one.name} not known"
            for value in values
        ]
        for one in _shown(definition, frame)
        for values in [frame[one.name]]
    ]
    return ["; ".join(words) for words in zip(*parts, strict=True)] if parts else [""] * len(frame)


def _unit(attribute: Attribute) -> str:
    return f" {attribute.unit}" if attribute.unit else ""


def _list_bands(
    classed: pd.DataFrame, definition: Definition, frame: pd.DataFrame, confidence_level: float
) -> pd.DataFrame:
    judged = (classed.notna().sum(axis=1) >= 2).to_numpy()
    split = _parts(classed)
    rows = []
    for attribute in _shown(definition, frame):
        for name, inside in _bands(attribute, frame[attribute.name]):
            n, k = int((inside & judged).sum()), int((inside & judged & split).sum())
            if n:
                low, high = clopper_pearson(k, n, confidence_level=confidence_level)
                rows.append((attribute.name, name, n, k, k / n, float(low), float(high)))
    return pd.DataFrame(rows, columns=list(_BAND_COLUMNS))


def _bands(attribute: Attribute, values: pd.Series[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    missing = values.isna().to_numpy(dtype=bool)
    if attribute.is_numeric:
        numbers = values.to_numpy(dtype=float, na_value=nan)
        inner = [float(step) for step in attribute.steps] or list(_quartiles(numbers[~missing]))
        edges = [-inf, *inner, inf]
        for low, high in pairwise(edges):
            yield _band_name(low, high), (numbers >= low) & (numbers < high)
    elif attribute.type != "date":
        texts = np.array([say(value) for value in values], dtype=object)
        for level in attribute.levels or tuple(sorted(set(texts[~missing]))):
            yield level, np.asarray(texts == level, dtype=np.bool_) & ~missing
    yield "not known", missing


def _band_name(low: float, high: float) -> str:
    if low == -inf:
        return "known" if high == inf else f"below {high:g}"
    return f"{low:g} or more" if high == inf else f"{low:g} to below {high:g}"


def _quartiles(numbers: Floats) -> Floats:
    if len(numbers) == 0:
        return numbers
    return np.unique([float(f"{cut:.2g}") for cut in np.quantile(numbers, [0.25, 0.5, 0.75])])


# ---- who is stricter -----------------------------------------------------------------------------


def _compare_strictness(
    ratings: Ratings, classed: pd.DataFrame, confidence_level: float
) -> tuple[pd.DataFrame, Strictness]:
    """Compare how readily each side hands the same leads over; return each one's yes and no too."""
    handed = classed.isin(ratings.handoff).astype(float).where(classed.notna())
    yes = handed.to_numpy(dtype=np.float64)
    # lead × i × j: i hands over, j does not.
    differ = (yes[:, :, np.newaxis] == 1) & (yes[:, np.newaxis, :] == 0)
    known = ~np.isnan(yes)
    together = (known[:, :, np.newaxis] & known[:, np.newaxis, :]).any(axis=0)
    np.fill_diagonal(together, val=False)
    active = np.flatnonzero(together.any(axis=0))
    if len(active) < 2:
        return handed, Strictness(odds_ratio=nan, ci_low=nan, ci_high=nan, p_value=nan, strictest="")
    counts = differ.sum(axis=0).astype(np.float64)[np.ix_(active, active)]
    met = together[np.ix_(active, active)]
    effects = _fit_effects(counts, met)
    everyone = np.full(len(ratings.sides), nan)
    everyone[active] = effects
    handed.attrs["effects"] = everyone.tolist()
    strictest = ratings.sides[int(active[np.argmin(effects)])] if np.ptp(effects) > 1e-9 else ""
    if len(active) == 2:
        more, less = sorted((int(counts[0, 1]), int(counts[1, 0])), reverse=True)
        low, high = (
            float(end) for end in clopper_pearson(more, more + less, confidence_level=confidence_level)
        )
        return handed, Strictness(
            odds_ratio=exp(abs(float(effects[0] - effects[1]))),
            ci_low=_odds(low) if more + less else nan,
            ci_high=_odds(high) if more + less else nan,
            p_value=float(binomtest(more, more + less).pvalue) if more + less else 1.0,
            strictest=strictest,
        )
    left_out = differ[:, active][:, :, active]
    without = np.array([_fit_effects(counts - one, met) for one in left_out if one.any()])
    spread = estimate_spread(effects, _jackknife_errors(without, effects))
    judged_by_all = yes[:, active][known[:, active].all(axis=1)]
    return handed, Strictness(
        odds_ratio=spread.median_odds_ratio,
        ci_low=nan,
        ci_high=nan,
        p_value=_cochran_p_value(judged_by_all),
        strictest=strictest,
    )


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else inf


def _jackknife_errors(without: Floats, effects: Floats) -> Floats:
    """Standard errors over leads; a lead on which nobody differs leaves every effect as it is."""
    if len(without) == 0:
        return np.full(len(effects), log(3.0))
    errors: Floats = np.sqrt(((without - effects) ** 2).sum(axis=0))
    return np.maximum(errors, 1e-3)


def _cochran_p_value(yes: Floats) -> float:
    """Test that all hand over the same share of the leads that all of them judged (Cochran's Q)."""
    n_sides = yes.shape[1]
    by_lead, by_side = yes.sum(axis=1), yes.sum(axis=0)
    differing = float((by_lead * (n_sides - by_lead)).sum())
    if differing == 0:
        return 1.0
    q = n_sides * (n_sides - 1) * float(((by_side - by_side.mean()) ** 2).sum()) / differing
    return float(chi2.sf(q, n_sides - 1))


def _fit_effects(counts: Floats, met: NDArray[np.bool_]) -> Floats:
    """Fit Bradley-Terry effects, mean zero, with half a lead added to either side of each pair."""
    wins = counts + 0.5 * met
    pairs = wins + wins.T
    effects = np.zeros(len(counts))
    for _ in range(50):
        chance = 1 / (1 + np.exp(effects[np.newaxis, :] - effects[:, np.newaxis]))
        slope = (wins - pairs * chance).sum(axis=1)
        curve = pairs * chance * (1 - chance)
        step = np.linalg.pinv(np.diag(curve.sum(axis=1)) - curve) @ slope
        effects = effects + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    centred: Floats = effects - effects.mean()
    return centred


def _list_sides(
    handed: pd.DataFrame,
    classed: pd.DataFrame,
    written: NDArray[Any],
    ratings: Ratings,
    confidence_level: float,
) -> pd.DataFrame:
    effects = handed.attrs.get("effects", [nan] * len(ratings.sides))
    rows = []
    for side, effect in zip(ratings.sides, effects, strict=True):
        said = handed[side].dropna()
        n, k = len(said), int(said.sum())
        low, high = clopper_pearson(k, n, confidence_level=confidence_level)
        pair = np.column_stack([classed[side].to_numpy(dtype=object), written])
        raw = raw_agreement(pair, confidence_level=confidence_level)
        kappa = cohen_kappa(pair, categories=ratings.classes, confidence_level=confidence_level)
        row = (side, n, k, k / n if n else nan, float(low), float(high), effect)
        rows.append((*row, raw.n, raw.value, kappa.value, kappa.ci_low, kappa.ci_high))
    return pd.DataFrame(rows, columns=list(_SIDE_COLUMNS))

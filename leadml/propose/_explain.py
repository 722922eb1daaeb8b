"""A change in plain words: before and after, of a hundred leads, who moves, what could make it wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._render import format_count, format_rate
from leadml.metrics import clopper_pearson
from leadml.propose._counted import Tally, tally
from leadml.propose._leads import compare_handoff
from leadml.propose._steps import steps_within
from leadml.propose._words import say_sentence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Change, Definition
    from leadml.propose._confirmation import Confirmation
    from leadml.propose._review import Review

    Places = NDArray[np.intp]

__all__ = ["Bands", "Explanation", "explain_change", "find_bands"]

_HIDDEN_BELOW = 5  # groups smaller than this are never shown
_MOST_PROFILES = 5
_MOST_SEGMENTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A change explained without statistics.

    Attributes
    ----------
    sentence : str
        Before and after.
    frequencies : tuple of str
        Of a hundred leads that move: how many were accepted and won.
    segments : tuple of str
        Kinds of leads that move more than their share.
    profiles : tuple of str
        Typical leads that move, in attribute terms; at least five leads each, never a real one.
    caveats : tuple of str
        What could make it wrong.
    """

    sentence: str
    frequencies: tuple[str, ...]
    segments: tuple[str, ...]
    profiles: tuple[str, ...]
    caveats: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "sentence": self.sentence,
            "frequencies": list(self.frequencies),
            "segments": list(self.segments),
            "profiles": list(self.profiles),
            "caveats": list(self.caveats),
        }


def explain_change(
    review: Review, confirmed: Confirmation, changes: tuple[Change, ...], revised: Definition | None
) -> Explanation:
    """Explain a change by the leads that it moves in the confirmation window.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    changes : tuple of Change
    revised : Definition or None
        The definition with the changes.

    Returns
    -------
    Explanation
    """
    bands = find_bands(review)
    told = _add_told(confirmed.gather(review, partial(_count_told, bands, revised)))
    steady = _steady(told)
    patterns: Counter[tuple[int, ...]] = Counter()
    for part in review.gather(partial(_count_patterns, bands, revised, steady)):
        patterns.update(part)
    return Explanation(
        sentence=say_sentence(changes),
        frequencies=tuple(
            line
            for side, word in (("gained", "added"), ("lost", "no longer handed over"))
            for line in _frequencies(told, side, word)
        ),
        segments=_segments(bands, told),
        profiles=_profiles({name: bands[name] for name in steady}, patterns, told.n_moved),
        caveats=_caveats(review, told),
    )


# -- counted on the leads ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """A few words for the values of an attribute: bands of numbers, levels, known or not.

    Attributes
    ----------
    attribute : Attribute
    words : tuple of str
        The last one for a missing value.
    steps : tuple of float
        Where bands of numbers begin.
    levels : tuple of str
    """

    attribute: Attribute
    words: tuple[str, ...]
    steps: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()

    def code(self, column: pd.Series[Any]) -> NDArray[np.int64]:
        """Return the place of each value's words."""
        if self.attribute.type == "boolean":
            codes = column.astype("boolean").fillna(value=False).to_numpy(bool).astype(np.int64)
        elif self.attribute.is_numeric:
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            codes = np.searchsorted(np.array(self.steps), values, side="right")
        else:
            places = {level: place for place, level in enumerate(self.levels)}
            coded = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
            # A level that no lead of the window has counts as missing.
            last = len(self.words) - 1
            table = np.array(
                [*(places.get(str(level), last) for level in coded.cat.categories), last], np.int64
            )
            codes = table[coded.cat.codes.to_numpy()]
        return np.where(column.isna().to_numpy(), len(self.words) - 1, codes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """Leads of the confirmation window and of those that move, counted.

    Attributes
    ----------
    n_leads, n_gained, n_lost : int
    tallies : mapping of ("gained" or "lost", "accepted" or "won") to Tally
    usual, moved : mapping of attribute to ndarray of int
        All leads of the window, and those that move, per band.
    weighted : bool
    """

    n_leads: int
    n_gained: int
    n_lost: int
    tallies: dict[tuple[str, str], Tally]
    usual: dict[str, NDArray[np.int64]]
    moved: dict[str, NDArray[np.int64]]
    weighted: bool

    @property
    def n_moved(self) -> int:
        return self.n_gained + self.n_lost


def find_bands(review: Review) -> dict[str, Bands]:
    """Cut each attribute of the definition into a few bands, by the leads of the confirmation window."""
    wanted = tuple(
        attribute
        for attribute in review.definition.attributes
        if attribute.name in review.table.frame.columns
        and attribute.type != "date"
        and attribute.age_of is None
    )
    ranges = review.find_ranges([each.name for each in wanted if each.is_numeric and not each.steps])
    texts = [each.name for each in wanted if not each.is_numeric and each.type != "boolean"]
    levels = review.find_levels(texts)
    found = {}
    for attribute in wanted:
        name = attribute.name
        missing = f"{name} not known"
        if attribute.type == "boolean":
            found[name] = Bands(attribute=attribute, words=(f"not {name}", name, missing))
        elif attribute.is_numeric:
            steps = attribute.steps or steps_within(ranges[name], integer=False)[::4]
            shown = [f"{step.normalize():f}" for step in steps]
            words = [f"{name} below {shown[0]}" if shown else name]
            words += [f"{name} {low} to {high}" for low, high in pairwise(shown)]
            words += [f"{name} from {shown[-1]}"] if shown else []
            found[name] = Bands(
                attribute=attribute, words=(*words, missing), steps=tuple(float(step) for step in steps)
            )
        else:
            own = tuple(sorted(levels[name]))
            words = [f"{name} {level}" for level in own]
            found[name] = Bands(attribute=attribute, words=(*words, missing), levels=own)
    return found


def _moved_within(review: Review, revised: Definition | None) -> tuple[Places, Places]:
    if revised is None:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    inside = review.windows.confirm
    gained, lost = compare_handoff(review, revised)
    return gained[inside[gained]], lost[inside[lost]]


def _count_told(
    bands: dict[str, Bands], revised: Definition | None, review: Review, confirmed: Confirmation
) -> _Told:
    gained, lost = _moved_within(review, revised)
    labels = {
        review.target: confirmed.labels,
        "won" if review.target == "accepted" else "accepted": confirmed.other,
    }
    window = np.flatnonzero(review.windows.confirm)
    place = np.searchsorted(window, np.concatenate([gained, lost]))
    usual, moved = {}, {}
    for name, band in bands.items():
        codes = band.code(review.table.frame[name].iloc[window])
        usual[name] = np.bincount(codes, minlength=len(band.words))
        moved[name] = np.bincount(codes[place], minlength=len(band.words))
    return _Told(
        n_leads=len(window),
        n_gained=len(gained),
        n_lost=len(lost),
        tallies={
            (side, name): tally(labels[name], rows[review.evidence[rows]])
            for side, rows in (("gained", gained), ("lost", lost))
            for name in ("accepted", "won")
        },
        usual=usual,
        moved=moved,
        weighted=review.weights is not None,
    )


def _add_told(parts: list[_Told]) -> _Told:
    first, *others = parts
    for part in others:
        first = _Told(
            n_leads=first.n_leads + part.n_leads,
            n_gained=first.n_gained + part.n_gained,
            n_lost=first.n_lost + part.n_lost,
            tallies={key: found + part.tallies[key] for key, found in first.tallies.items()},
            usual={name: counts + part.usual[name] for name, counts in first.usual.items()},
            moved={name: counts + part.moved[name] for name, counts in first.moved.items()},
            weighted=first.weighted,
        )
    return first


def _count_patterns(
    bands: dict[str, Bands], revised: Definition | None, steady: tuple[str, ...], review: Review
) -> Counter[tuple[int, ...]]:
    """Count the combinations of bands of some attributes among the leads that move."""
    rows = np.concatenate(_moved_within(review, revised))
    if not steady or not len(rows):
        return Counter()
    codes = [bands[name].code(review.table.frame[name].iloc[rows]) for name in steady]
    patterns, counts = np.unique(np.column_stack(codes), axis=0, return_counts=True)
    return Counter({tuple(row): n for row, n in zip(patterns.tolist(), counts.tolist(), strict=True)})


# -- in words ----------------------------------------------------------------------------------------------


def _frequencies(told: _Told, side: str, word: str) -> list[str]:
    if not (told.n_gained if side == "gained" else told.n_lost):
        return []
    parts = []
    for name in ("accepted", "won"):
        found = told.tallies[side, name]
        if found.n < _HIDDEN_BELOW or told.weighted:
            continue
        low, high = (100 * float(end) for end in clopper_pearson(found.k, found.n, confidence_level=0.9))
        parts.append(f"{100 * found.k / found.n:.0f} {name} ({low:.0f} to {high:.0f})")
    if not parts:
        return [f"of the leads {word} too few have a verdict or an outcome to say"]
    return [f"of 100 leads {word}: {', '.join(parts)}"]


def _segments(bands: dict[str, Bands], told: _Told) -> tuple[str, ...]:
    """Name the kinds of leads that move more than their share of all leads of the window."""
    if told.n_moved < 20:
        return ()
    found = []
    for name, band in bands.items():
        moved, usual = told.moved[name], told.usual[name] / told.n_leads
        for place in np.flatnonzero((moved >= _HIDDEN_BELOW) & (moved >= 0.2 * told.n_moved)).tolist():
            share = moved[place] / told.n_moved
            if share > 1.2 * usual[place]:
                text = f"{band.words[place]}: {format_rate(share)} of the leads that move"
                found.append((share - usual[place], f"{text}, {format_rate(usual[place])} of all"))
    found.sort(key=lambda entry: (-round(entry[0], 9), entry[1]))
    return tuple(words for _, words in found[:_MOST_SEGMENTS])


def _steady(told: _Told) -> tuple[str, ...]:
    """Return the attributes in which the leads that move differ most from all leads (total variation)."""
    if told.n_moved < _HIDDEN_BELOW:
        return ()
    unlike = {
        name: float(np.abs(told.moved[name] / told.n_moved - usual / told.n_leads).sum() / 2)
        for name, usual in told.usual.items()
    }
    ranked = sorted(unlike, key=lambda name: (-round(unlike[name], 9), name))
    return tuple([name for name in ranked[:3] if unlike[name] >= 0.1] or ranked[:1])


def _profiles(steady: dict[str, Bands], patterns: Counter[tuple[int, ...]], n_moved: int) -> tuple[str, ...]:
    """Name the most frequent combinations of bands."""
    ranked = sorted(
        (-n, ", ".join(band.words[code] for band, code in zip(steady.values(), row, strict=True)))
        for row, n in patterns.items()
        if n >= _HIDDEN_BELOW
    )
    return tuple(
        f"{words} ({format_count(-n)} of {format_count(n_moved)})" for n, words in ranked[:_MOST_PROFILES]
    )


def _caveats(review: Review, told: _Told) -> tuple[str, ...]:
    found = [
        "the next quarter differs from the one it was confirmed on",
        "reps with more or less to do work the other leads differently",
    ]
    if review.stakes is not None and review.stakes.signed:
        found.append("the signed prices are wrong: they decide where a lead begins to pay")
    else:
        found.append("a rep's hour is worth more or less than assumed: no price is signed")
    if told.n_gained:
        found.append("the leads added were worked more eagerly than they will be")
    if told.n_lost:
        found.append("deals of the leads taken away close later than the window")
    if review.table.role("account") is None:
        found.append("several leads of one company count several times: the contract names no account")
    return tuple(found)

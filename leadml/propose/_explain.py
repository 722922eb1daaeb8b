"""A change in plain words: before and after, of a hundred leads, who moves, what could make it wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._render import format_count, format_rate
from leadml.metrics import clopper_pearson
from leadml.propose._steps import make_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Change
    from leadml.propose._review import Confirmation, Review

    Places = NDArray[np.intp]

__all__ = ["Explanation", "explain_change"]

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
    review: Review, confirmed: Confirmation, changes: tuple[Change, ...], gained: Places, lost: Places
) -> Explanation:
    """Explain a change by the leads that it moves in the confirmation window.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    changes : tuple of Change
    gained, lost : ndarray of int
        Leads of the confirmation window.

    Returns
    -------
    Explanation
    """
    window = np.flatnonzero(review.windows.confirm)
    coarse = _coarsen(review, window)
    moved = np.searchsorted(window, np.concatenate([gained, lost]))
    return Explanation(
        sentence=_sentence(changes),
        frequencies=tuple(
            line
            for rows, word in ((gained, "added"), (lost, "no longer handed over"))
            for line in _frequencies(review, confirmed, rows, word)
        ),
        segments=_segments(coarse, moved),
        profiles=_profiles(coarse, moved),
        caveats=_caveats(review, gained, lost),
    )


def _sentence(changes: tuple[Change, ...]) -> str:
    parts = []
    for change in changes:
        name = change.address.split(".")[0]
        if change.kind == "added":
            parts.append(f"`{name}` also asks for `{change.proposed}`")
        elif change.proposed is None:
            parts.append(f"`{name}` no longer asks for `{change.written}`")
        elif change.kind == "at_least":
            parts.append(f"`{name}` asks for at least {change.proposed} instead of {change.written}")
        elif change.kind == "points":
            parts.append(f"`{name}` gives {change.proposed} instead of {change.written}")
        else:
            parts.append(f"`{name}` asks for `{change.proposed}` instead of `{change.written}`")
    return "; ".join(parts) + "."


def _frequencies(review: Review, confirmed: Confirmation, rows: Places, word: str) -> list[str]:
    if not len(rows):
        return []
    lines = []
    labels = {
        review.target: confirmed.labels,
        "won" if review.target == "accepted" else "accepted": confirmed.other,
    }
    for name in ("accepted", "won"):
        known = rows[(labels[name][rows] > 0) & review.evidence[rows]]
        if len(known) < _HIDDEN_BELOW or review.weights is not None:
            continue
        k, n = int((labels[name][known] == 2).sum()), len(known)
        low, high = (100 * float(end) for end in clopper_pearson(k, n, confidence_level=0.9))
        lines.append(f"of 100 leads {word}, {100 * k / n:.0f} were {name} ({low:.0f} to {high:.0f})")
    return lines or [f"of the leads {word} too few have a verdict or an outcome to say"]


def _coarsen(review: Review, rows: Places) -> dict[str, pd.Categorical]:
    """Turn the definition's attributes into a few words each: bands of numbers, levels, known or not."""
    frame = review.table.frame
    return {
        attribute.name: _bands(attribute, frame[attribute.name].iloc[rows])
        for attribute in review.definition.attributes
        if attribute.name in frame.columns and attribute.type != "date" and attribute.age_of is None
    }


def _bands(attribute: Attribute, column: pd.Series[Any]) -> pd.Categorical:
    name = attribute.name
    missing = column.isna().to_numpy()
    if attribute.type == "boolean":
        words = [f"not {name}", name]
        codes = column.astype("boolean").fillna(value=False).to_numpy(bool).astype(np.int64)
    elif attribute.is_numeric:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        steps = attribute.steps or make_steps(values)[::4]
        texts = [f"{step.normalize():f}" for step in steps]
        words = [f"{name} below {texts[0]}" if texts else name]
        words += [f"{name} {low} to {high}" for low, high in pairwise(texts)]
        words += [f"{name} from {texts[-1]}"] if texts else []
        codes = np.searchsorted(np.array([float(step) for step in steps]), values, side="right")
    else:
        coded = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
        words = [f"{name} {level}" for level in coded.cat.categories]
        codes = coded.cat.codes.to_numpy().astype(np.int64)
    words.append(f"{name} not known")
    return pd.Categorical.from_codes(np.where(missing, len(words) - 1, codes), words)  # type: ignore[call-overload, no-any-return]


def _segments(coarse: dict[str, pd.Categorical], rows: Places) -> tuple[str, ...]:
    """Name the kinds of leads that move more than their share of all leads of the window."""
    if len(rows) < 20:
        return ()
    found = []
    for words in coarse.values():
        n = len(words.categories)
        moved = np.bincount(words.codes[rows], minlength=n)
        usual = np.bincount(words.codes, minlength=n) / len(words)
        for place in np.flatnonzero((moved >= _HIDDEN_BELOW) & (moved >= 0.2 * len(rows))).tolist():
            share = moved[place] / len(rows)
            if share > 1.2 * usual[place]:
                text = f"{words.categories[place]}: {format_rate(share)} of the leads that move"
                found.append((share - usual[place], f"{text}, {format_rate(usual[place])} of all"))
    found.sort(key=lambda entry: (-round(entry[0], 9), entry[1]))
    return tuple(words for _, words in found[:_MOST_SEGMENTS])


def _difference(words: pd.Categorical, rows: Places) -> float:
    """Return how far the leads that move differ from all leads in an attribute (total variation)."""
    n = len(words.categories)
    moved = np.bincount(words.codes[rows], minlength=n) / len(rows)
    usual = np.bincount(words.codes, minlength=n) / len(words)
    return float(np.abs(moved - usual).sum() / 2)


def _profiles(coarse: dict[str, pd.Categorical], rows: Places) -> tuple[str, ...]:
    """Name the most frequent combinations of the attributes in which the leads that move differ most."""
    if len(rows) < _HIDDEN_BELOW or not coarse:
        return ()
    unlike = {name: _difference(words, rows) for name, words in coarse.items()}
    ranked_names = sorted(coarse, key=lambda name: (-round(unlike[name], 9), name))
    steady = [name for name in ranked_names[:3] if unlike[name] >= 0.1] or ranked_names[:1]
    patterns, counts = np.unique(
        np.column_stack([coarse[name].codes[rows] for name in steady]), axis=0, return_counts=True
    )
    ranked = sorted(
        (
            -int(n),
            ", ".join(coarse[name].categories[int(code)] for name, code in zip(steady, row, strict=True)),
        )
        for n, row in zip(counts, patterns, strict=True)
        if n >= _HIDDEN_BELOW
    )
    return tuple(
        f"{words} ({format_count(-n)} of {format_count(len(rows))})" for n, words in ranked[:_MOST_PROFILES]
    )


def _caveats(review: Review, gained: Places, lost: Places) -> tuple[str, ...]:
    found = [
        "the next quarter differs from the one it was confirmed on",
        "reps with more or less to do work the other leads differently",
    ]
    if review.stakes is not None and review.stakes.signed:
        found.append("the signed prices are wrong: they decide where a lead begins to pay")
    else:
        found.append("a rep's hour is worth more or less than assumed: no price is signed")
    if len(gained):
        found.append("the leads added were worked more eagerly than they will be")
    if len(lost):
        found.append("deals of the leads taken away close later than the window")
    if review.table.role("account") is None:
        found.append("several leads of one company count several times: the contract names no account")
    return tuple(found)

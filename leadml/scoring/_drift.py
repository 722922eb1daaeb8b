"""Leads that do not look like those at training: a row says so in its reasons, a whole file is refused.

A renamed or retyped column is refused by the reader. What is left are columns that read well and mean
something else: another unit, two columns swapped, a column gone empty, levels under new names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.models import compare_profile, count_bins, find_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.models import ColumnProfile

__all__ = ["DriftWatch"]

MIN_LEADS = 50
"""Fewer leads say nothing about a file as a whole."""
FAR, NOTABLE = 0.5, 0.2
"""Distance (see `compare_profile`) at which a file is refused, and from which it is noted."""
OUTSIDE, OUTSIDE_NOTABLE = 0.2, 0.02
"""Share of values beyond the ends, or in levels, that training did not know."""
ALWAYS_FILLED = 0.001
SETTLED_LEVELS = 0.05
"""A row's level is worth a word if at training at most this share was in rare levels."""


@dataclass(slots=True)
class _Column:
    profile: ColumnProfile
    counts: NDArray[np.int64]
    rows: int = 0
    missing: int = 0
    outside: int = 0


@dataclass(slots=True)
class DriftWatch:
    """Holds leads against the profile of a bundle, batch by batch.

    Parameters
    ----------
    profiles : sequence of ColumnProfile
        From the bundle.
    """

    profiles: Sequence[ColumnProfile]
    _columns: dict[str, _Column] = field(default_factory=dict)

    def flag(self, frame: pd.DataFrame) -> pd.Series[str]:
        """Count a batch and say per lead what training did not know.

        Parameters
        ----------
        frame : DataFrame of shape (n_leads, …)
            Leads in contract columns.

        Returns
        -------
        Series of str
            ``check employees: beyond all values at training``, several joined by ``; ``, mostly empty.
        """
        words = np.full(len(frame), "", dtype=object)
        for profile in self.profiles:
            if profile.name not in frame.columns:
                continue
            values = frame[profile.name]
            column = self._columns.setdefault(
                profile.name, _Column(profile, np.zeros(len(profile.shares), dtype=np.int64))
            )
            missing = values.isna().to_numpy(dtype=bool)
            beyond, counts, said = _compare(profile, values, missing)
            column.rows += len(values)
            column.missing += int(missing.sum())
            column.outside += int(beyond.sum())
            if profile.shares:
                column.counts += counts
            if said:
                _say(words, beyond, f"check {profile.name}: {said}")
            if profile.missing <= ALWAYS_FILLED and profile.n >= MIN_LEADS:
                _say(words, missing, f"check {profile.name}: empty, at training it was filled")
        return pd.Series(words, index=frame.index, dtype=object)

    def add(self, other: DriftWatch) -> None:
        """Add what another watch with the same profiles has counted."""
        for name, part in other._columns.items():
            mine = self._columns.setdefault(
                name, _Column(part.profile, np.zeros(len(part.counts), dtype=np.int64))
            )
            mine.counts = mine.counts + part.counts
            mine.rows += part.rows
            mine.missing += part.missing
            mine.outside += part.outside

    def to_dict(self) -> dict[str, list[int]]:
        """Return the counts as JSON-ready data."""
        return {
            name: [column.rows, column.missing, column.outside, *column.counts.tolist()]
            for name, column in self._columns.items()
        }

    @classmethod
    def from_dict(cls, profiles: Sequence[ColumnProfile], data: Mapping[str, Sequence[int]]) -> DriftWatch:
        """Rebuild a watch; the inverse of `to_dict`."""
        watch = cls(profiles)
        for profile in profiles:
            if profile.name in data:
                rows, missing, outside, *counts = data[profile.name]
                watch._columns[profile.name] = _Column(
                    profile, np.array(counts, dtype=np.int64), rows, missing, outside
                )
        return watch

    def findings(self) -> tuple[list[str], list[str]]:
        """Say what is wrong with the leads as a whole.

        Returns
        -------
        tuple of (list of str, list of str)
            Reasons to refuse them, and things to note.
        """
        refused: list[str] = []
        noted: list[str] = []
        for column in self._columns.values():
            _judge(column, refused, noted)
        return refused, noted


def _compare(
    profile: ColumnProfile, values: pd.Series[Any], missing: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], str]:
    """Say which values training did not know, how many are in each bin, and in words what is new."""
    if profile.kind == "number":
        counts = count_bins(profile, values)
        if not pd.api.types.is_numeric_dtype(values.dtype):
            return ~missing, counts, "no number, at training it was one"
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return (numbers < profile.low) | (numbers > profile.high), counts, "beyond all values at training"
    if profile.kind == "level":
        bins = find_levels(profile, values)
        counts = np.bincount(bins[~missing], minlength=len(profile.shares))
        if profile.levels:
            said = "a level that is rare or was not there at training" if _settled(profile) else ""
            return bins == len(profile.levels), counts, said
    else:
        counts = count_bins(profile, values)
    return np.zeros(len(values), dtype=bool), counts, ""


def _settled(profile: ColumnProfile) -> bool:
    return bool(profile.shares) and profile.shares[-1] <= SETTLED_LEVELS


def _say(words: NDArray[np.object_], rows: NDArray[np.bool_], text: str) -> None:
    if rows.any():
        before = words[rows]
        words[rows] = np.where(before == "", text, before + "; " + text)


def _judge(column: _Column, refused: list[str], noted: list[str]) -> None:
    profile = column.profile
    if column.rows < MIN_LEADS or profile.n < MIN_LEADS:
        return
    share = column.missing / column.rows
    if share - profile.missing >= FAR:
        refused.append(
            f"{profile.name}: {share:.0%} of the leads have no value, at training {profile.missing:.0%}."
        )
        return
    if share - profile.missing >= NOTABLE:
        noted.append(
            f"{profile.name}: {share:.0%} of the leads have no value, at training {profile.missing:.0%}."
        )
    known = column.rows - column.missing
    if known < MIN_LEADS or not profile.shares:
        return
    expected = profile.shares[-1] if profile.kind == "level" else 0.0
    outside = column.outside / known - expected
    distance = compare_profile(profile, column.counts)
    if outside >= OUTSIDE:
        what = "levels" if profile.kind == "level" else "values"
        refused.append(
            f"{profile.name}: {column.outside / known:.0%} of its {what} were not there at training. "
            "Another unit, other names, or another column?"
        )
    elif distance >= FAR:
        refused.append(
            f"{profile.name}: its values are distributed otherwise than at training "
            f"(distance {distance:.2f} of 1). Another unit or another column?"
        )
    elif outside >= OUTSIDE_NOTABLE or distance >= NOTABLE:
        noted.append(
            f"{profile.name}: differs from training (distance {distance:.2f} of 1, "
            f"{max(outside, 0):.0%} new values)."
        )

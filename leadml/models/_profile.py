"""What the attributes looked like at training: enough to notice later leads that come from another world.

A profile holds shares of all leads in a few bins and no value of a single lead: cut points are quantiles of
four digits, the ends are rounded outwards to two, a level stands here only if at least 20 leads share it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml.models._encoder import factorize_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from leadml.leads import Contract

__all__ = ["ColumnProfile", "compare_profile", "count_bins", "find_levels", "profile_leads"]

QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MIN_LEADS = 20
ProfileKind = Literal["number", "level", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One attribute over all leads at training.

    Parameters
    ----------
    name : str
        The attribute.
    kind : {"number", "level", "other"}
        Numbers have `cuts`; categories, ordinals and booleans have `levels`; of a date only `missing` is
        kept.
    n : int
        Number of leads.
    missing : float
        Share without a value.
    cuts : tuple of float
        Ascending; bin i holds values above cut i - 1 and up to cut i.
    low, high : float
        The ends of what was seen, rounded outwards.
    levels : tuple of str
        Levels that at least 20 leads share; one more bin holds the rest.
    shares : tuple of float
        Share of the known values in each bin.
    """

    name: str
    kind: ProfileKind
    n: int
    missing: float
    cuts: tuple[float, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    levels: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()


def profile_leads(frame: pd.DataFrame, contract: Contract) -> tuple[ColumnProfile, ...]:
    """Describe the attributes of leads.

    Parameters
    ----------
    frame : DataFrame of shape (n_leads, …)
        Leads in contract columns.
    contract : Contract
        Says which columns are attributes.

    Returns
    -------
    tuple of ColumnProfile
        One per attribute, in the order of the contract; nothing without leads.
    """
    names = [column.name for column in contract.columns if column.role == "attribute"]
    return tuple(_profile(frame[name]) for name in names if name in frame.columns and len(frame))


def count_bins(profile: ColumnProfile, values: pd.Series) -> NDArray[Any]:
    """Count the known values of a column in the bins of its profile.

    Parameters
    ----------
    profile : ColumnProfile
        The attribute at training.
    values : Series
        The attribute of other leads.

    Returns
    -------
    ndarray of int
        One count per bin, as in `ColumnProfile.shares`.
    """
    if profile.kind == "number":
        known = _numbers(values)
        above = [int(np.count_nonzero(known > cut)) for cut in profile.cuts]
        return -np.diff([int(np.count_nonzero(~np.isnan(known))), *above, 0])
    if profile.kind == "level":
        bins = find_levels(profile, values)
        return np.bincount(bins[bins >= 0], minlength=len(profile.shares))
    return np.zeros(0, dtype=np.int64)


def find_levels(profile: ColumnProfile, values: pd.Series) -> NDArray[Any]:
    """Give the bin of each value of a column with levels.

    Parameters
    ----------
    profile : ColumnProfile
        The attribute at training.
    values : Series
        The attribute of other leads.

    Returns
    -------
    ndarray of int of shape (n_leads,)
        Position in `ColumnProfile.levels`, their number for any other level, -1 for a missing value.
    """
    codes, texts = factorize_texts(values)
    place = pd.Index(profile.levels, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    return np.append(np.where(place < 0, len(profile.levels), place), -1)[codes]


def compare_profile(profile: ColumnProfile, counts: NDArray[np.int64]) -> float:
    """Measure how far other leads are from the profile.

    Parameters
    ----------
    profile : ColumnProfile
        The attribute at training.
    counts : ndarray of int
        From `count_bins`.

    Returns
    -------
    float
        Between 0 and 1: for numbers the largest difference of the cumulative shares (Kolmogorov–Smirnov over
        the bins), for levels half the sum of the absolute differences (total variation).
    """
    if not counts.sum():
        return 0.0
    difference = counts / counts.sum() - np.asarray(profile.shares)
    if profile.kind == "number":
        return float(np.abs(np.cumsum(difference)).max())
    return float(np.abs(difference).sum() / 2)


def _profile(values: pd.Series) -> ColumnProfile:
    n, missing = len(values), float(values.isna().mean())
    name = str(values.name)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return ColumnProfile(name=name, kind="other", n=n, missing=missing)
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return _number_profile(name, values, n, missing)
    codes, texts = factorize_texts(values)
    common: dict[str, int] = {}
    for text, size in zip(texts, np.bincount(codes[codes >= 0], minlength=len(texts)), strict=True):
        common[text] = common.get(text, 0) + int(size)
    levels = tuple(sorted(text for text, size in common.items() if size >= MIN_LEADS))
    empty = ColumnProfile(
        name=name,
        kind="level",
        n=n,
        missing=missing,
        levels=levels,
        shares=(0.0,) * (len(levels) + 1),
    )
    return _with_shares(empty, values)


def _number_profile(name: str, values: pd.Series, n: int, missing: float) -> ColumnProfile:
    known = _numbers(values)
    known = known[np.isfinite(known)]
    if not known.size:
        return ColumnProfile(name=name, kind="other", n=n, missing=missing)
    points = np.quantile(known, QUANTILES, method="inverted_cdf")
    cuts = tuple(sorted({float(f"{point:.4g}") for point in points.tolist()}))
    empty = ColumnProfile(
        name=name,
        kind="number",
        n=n,
        missing=missing,
        cuts=cuts,
        low=_outwards(float(known.min()), math.floor),
        high=_outwards(float(known.max()), math.ceil),
        shares=(0.0,) * (len(cuts) + 1),
    )
    return _with_shares(empty, values)


def _with_shares(profile: ColumnProfile, values: pd.Series) -> ColumnProfile:
    counts = count_bins(profile, values)
    total = max(int(counts.sum()), 1)
    return dataclasses.replace(profile, shares=tuple(round(int(count) / total, 6) for count in counts))


def _outwards(value: float, towards: Callable[[float], int]) -> float:
    """Round to two digits, away from what was seen."""
    if abs(value) < 1e-300:  # too small to be divided by
        return 1e-300 * towards(value)
    scale = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{towards(value / scale) * scale:.12g}")


def _numbers(values: pd.Series) -> NDArray[Any]:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return np.full(len(values), np.nan)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)

"""What the steps of an attribute follow from: order statistics and levels, also of leads in many parts.

The exact k-th smallest value of numbers in parts is found 16 bits at a time: four counts, no sorting and no
copy of the values in one place.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.float64] | NDArray[np.int64]
    Read = Callable[..., Mapping[str, Any]]

__all__ = [
    "Gather",
    "NumberRange",
    "Sample",
    "Summary",
    "count_levels",
    "count_texts",
    "find_ranges",
    "find_ranked",
    "range_of",
    "range_within",
]

FEW_VALUES = 25
_OUTER = (0.02, 0.98)
_DIGIT = 16
_SIGN = 1 << 63


class Gather(Protocol):
    """Asks every part of the leads the same and returns the answers in their order."""

    def __call__(self, ask: Callable[..., Any], /) -> list[Any]:
        """Return what `ask` says of each part."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRange:
    """Where the values of a number lie.

    Attributes
    ----------
    n : int
        Known finite values.
    low, high : float
        Their 2 and 98 % points (a value that occurs); NaN without values.
    whole : bool
        Whether all are whole numbers.
    few : tuple of float
        The different values from `low` to `high`, ascending, if there are at most 25.
    """

    n: int
    low: float
    high: float
    whole: bool
    few: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is known of all leads where only a part of them is at hand.

    Attributes
    ----------
    ranges : mapping of attribute or score to NumberRange
    levels : mapping of attribute to mapping of text to int
        Leads with each text.
    """

    ranges: Mapping[str, NumberRange] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


Sample: TypeAlias = "NDArray[np.bool_] | Summary"


def range_of(values: Floats) -> NumberRange:
    """Return the range of values that are all at hand."""
    known = values[np.isfinite(values)]
    if not known.size:
        return NumberRange(n=0, low=np.nan, high=np.nan, whole=False, few=())
    low, high = (float(x) for x in np.quantile(known, _OUTER, method="inverted_cdf"))
    return NumberRange(n=known.size, low=low, high=high, whole=_whole(known), few=_few(known, low, high))


def _whole(known: Floats) -> bool:
    return bool((known == np.round(known)).all())


def _few(known: Floats, low: float, high: float) -> tuple[float, ...]:
    own = np.unique(known[(known >= low) & (known <= high)])
    return tuple(own.tolist()) if len(own) <= FEW_VALUES else ()


def range_within(values: Floats, name: str, sample: Sample) -> NumberRange:
    """Return the range of an attribute's values in a sample, from the values of all leads at hand."""
    return sample.ranges[name] if isinstance(sample, Summary) else range_of(values[sample])


def count_texts(leads: pd.DataFrame, name: str, sample: Sample) -> Mapping[str, int]:
    """Count the leads of a sample with each text."""
    if isinstance(sample, Summary):
        return sample.levels[name]
    counts = leads[name][sample].dropna().astype(str).value_counts()
    return {str(text): int(n) for text, n in counts.items()}


def find_ranges(gather: Gather, read: Read) -> dict[str, NumberRange]:
    """Find the ranges of numbers that lie in parts.

    Parameters
    ----------
    gather : Gather
    read : callable
        Returns the values of a part by name, the same names of every part.

    Returns
    -------
    dict of str to NumberRange
        The same as `range_of` all values together.
    """
    sizes = gather(partial(_size, read))
    if len(sizes) == 1:
        return {name: range_of(values) for part in gather(read) for name, values in part.items()}
    n = {name: sum(part[name][0] for part in sizes) for name in sizes[0]}
    whole = {name: all(part[name][1] for part in sizes) for name in n}
    wanted = {name: tuple(_rank(size, share) for share in _OUTER) for name, size in n.items() if size}
    outer = find_ranked(gather, read, wanted)
    listed = gather(partial(_list_few, read, outer))
    found = {}
    for name, size in n.items():
        low, high = outer.get(name, (np.nan, np.nan))
        values = {value for part in listed for value in part.get(name, ())}
        few = () if len(values) > FEW_VALUES else tuple(sorted(values))
        found[name] = NumberRange(n=size, low=low, high=high, whole=whole[name] and size > 0, few=few)
    return found


def _size(read: Read, *part: Any) -> dict[str, tuple[int, bool]]:
    known = {name: values[np.isfinite(values)] for name, values in read(*part).items()}
    return {name: (len(values), _whole(values)) for name, values in known.items()}


def _list_few(read: Read, outer: Mapping[str, tuple[float, ...]], *part: Any) -> dict[str, list[float]]:
    """List the different values of a part between two numbers, at most one more than are a few."""
    found = {}
    for name, values in read(*part).items():
        if name in outer:
            low, high = outer[name]
            found[name] = np.unique(values[(values >= low) & (values <= high)])[: FEW_VALUES + 1].tolist()
    return found


def _rank(n: int, share: float) -> int:
    """Return which of n sorted values is the quantile that numpy calls ``inverted_cdf``."""
    index = n * share - 1
    return max(0, int(np.ceil(index)))


def find_ranked(
    gather: Gather, read: Read, ranks: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[float, ...]]:
    """Find the k-th smallest of numbers that lie in parts, exactly.

    Parameters
    ----------
    gather : Gather
    read : callable
        Returns the values of a part by name, as float64 or int64; those that are not finite do not count.
    ranks : mapping of name to tuple of int
        Which are wanted, 0 the smallest.

    Returns
    -------
    dict of name to tuple of float
    """
    prefixes = {(name, rank): (0, rank) for name, wanted in ranks.items() for rank in wanted}
    if not prefixes:
        return {}
    for shift in range(64 - _DIGIT, -1, -_DIGIT):
        asked = tuple(sorted({(name, prefix) for (name, _), (prefix, _) in prefixes.items()}))
        counts: dict[tuple[str, int], NDArray[np.int64]] = {
            key: np.zeros(1 << _DIGIT, np.int64) for key in asked
        }
        for part in gather(partial(_count_digits, read, asked, shift)):
            for key, (digits, sizes) in zip(asked, part, strict=True):
                counts[key][digits] += sizes
        for key, (prefix, rank) in prefixes.items():
            reached = np.cumsum(counts[key[0], prefix])
            digit = int(np.searchsorted(reached, rank, side="right"))
            below = int(reached[digit - 1]) if digit else 0
            prefixes[key] = (prefix << _DIGIT | digit, rank - below)
    whole = gather(partial(_is_whole, read))[0]
    return {
        name: tuple(_from_bits(prefixes[name, rank][0], whole=whole[name]) for rank in wanted)
        for name, wanted in ranks.items()
    }


def _count_digits(
    read: Read, asked: tuple[tuple[str, int], ...], shift: int, *part: Any
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Count the next digit of the values that begin with a prefix."""
    values = read(*part)
    bits = {name: _to_bits(values[name][np.isfinite(values[name])]) for name, _ in asked}
    found = []
    for name, prefix in asked:
        ahead = bits[name] >> np.uint64(shift)
        mine = ahead if shift == 64 - _DIGIT else ahead[ahead >> np.uint64(_DIGIT) == np.uint64(prefix)]
        sizes = np.bincount((mine & np.uint64((1 << _DIGIT) - 1)).astype(np.int64))
        digits = np.flatnonzero(sizes)
        found.append((digits, sizes[digits]))
    return found


def _is_whole(read: Read, *part: Any) -> dict[str, bool]:
    return {name: values.dtype.kind == "i" for name, values in read(*part).items()}


def _to_bits(values: Numbers) -> NDArray[np.uint64]:
    """Return numbers without a sign in the order of the values."""
    if values.dtype.kind == "i":
        return values.view(np.uint64) ^ np.uint64(_SIGN)
    bits = (values + 0.0).view(np.uint64)  # -0.0 is 0.0
    return np.where(bits >= _SIGN, ~bits, bits | np.uint64(_SIGN))


def _from_bits(bits: int, *, whole: bool) -> float:
    plain = bits ^ _SIGN if whole or bits >= _SIGN else ~bits & 2 * _SIGN - 1
    number: float = np.array([plain], np.uint64).view(np.int64 if whole else np.float64).tolist()[0]
    return number


def count_levels(
    gather: Gather, read: Callable[..., Mapping[str, Mapping[str, int]]]
) -> dict[str, Counter[str]]:
    """Add up how many leads have each text, by attribute; `read` returns it of a part."""
    found: dict[str, Counter[str]] = {}
    for part in gather(read):
        for name, counts in part.items():
            found.setdefault(name, Counter()).update(counts)
    return found

"""Rates of labelled leads with their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadml.metrics import wilson_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

__all__ = ["TARGETS", "Labels", "Rate", "Target", "compute_difference", "compute_rate", "read_labels"]

Target = Literal["accepted", "won"]
TARGETS: tuple[Target, ...] = ("accepted", "won")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of `n` labelled leads with its 95 % range; all NaN when there are none."""

    n: int
    k: int
    rate: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Which leads have a settled label of a target, and what it is."""

    known: Mask
    positive: Mask

    def rate(self, mask: Mask) -> Rate:
        """Return the rate among the labelled leads of `mask`.

        The range is Wilson's score interval.

        References
        ----------
        E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
        """
        n = int(np.count_nonzero(mask & self.known))
        k = int(np.count_nonzero(mask & self.positive))
        return compute_rate(k, n)


def compute_rate(k: int, n: int) -> Rate:
    """Return ``k / n`` with its 95 % range."""
    if n == 0:
        return Rate(n=0, k=0, rate=nan, ci_low=nan, ci_high=nan)
    low, high = wilson_interval(k, n)
    return Rate(n=n, k=k, rate=k / n, ci_low=float(low), ci_high=float(high))


def read_labels(targets: pd.DataFrame) -> dict[Target, Labels]:
    """Return the settled labels of both targets.

    A lead counts once its verdict or outcome is old enough to be settled; early wins count later, together
    with the losses of their age, so that the rates are not flattered.
    """
    labels: dict[Target, Labels] = {}
    for target in TARGETS:
        value = targets[target].to_numpy(dtype=float, na_value=nan)
        known = ~np.isnan(value) & targets[f"{target}_mature"].to_numpy(dtype=bool)
        labels[target] = Labels(known=known, positive=known & (value == 1.0))
    return labels


def compute_difference(first: Rate, second: Rate) -> tuple[float, float, float]:
    """Return ``first - second`` of two separate groups of leads with its 95 % range.

    The range joins the two separate ones by the square-and-add rule.

    References
    ----------
    R. G. Newcombe (1998), "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17, method 10; G. Y. Zou and A. Donner (2008), "Construction of confidence limits
    about effect measures", Statistics in Medicine 27.
    """
    difference = first.rate - second.rate
    low = difference - sqrt((first.rate - first.ci_low) ** 2 + (second.ci_high - second.rate) ** 2)
    high = difference + sqrt((first.ci_high - first.rate) ** 2 + (second.rate - second.ci_low) ** 2)
    return difference, low, high

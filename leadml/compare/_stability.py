"""Whether a criterion separates leads the same way in every period and segment."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from leadml.compare._rates import TARGETS, Labels, Target, compute_difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

__all__ = ["compute_homogeneity", "compute_stability"]

MIN_SIDE = 20

_COLUMNS = (
    *("criterion", "target", "by", "level"),
    *("n_inside", "rate_inside", "n_outside", "rate_outside"),
    *("difference", "difference_low", "difference_high"),
)


def compute_stability(
    met: Mapping[str, Mask], parts: Mapping[str, NDArray[np.object_]], labels: Mapping[Target, Labels]
) -> pd.DataFrame:
    """Compute inside minus outside for each criterion in each period and segment.

    Parameters
    ----------
    met : mapping of address to array of bool, shape (n_leads,)
        Which leads meet each criterion.
    parts : mapping of name to array of object, shape (n_leads,)
        ``period`` and the segments, missing as None.
    labels : mapping of target to Labels
        Settled labels.

    Returns
    -------
    DataFrame
        One row per criterion, target and level with at least 20 labelled leads on either side.
    """
    rows: list[dict[str, Any]] = []
    for name, values in parts.items():
        levels = sorted({str(value) for value in values if value is not None})
        masks = {level: values == level for level in levels}
        for address, inside in met.items():
            for target in TARGETS:
                for level, mask in masks.items():
                    pair = [labels[target].rate(mask & side) for side in (inside, ~inside)]
                    if min(rate.n for rate in pair) < MIN_SIDE:
                        continue
                    difference, low, high = compute_difference(*pair)
                    rows.append(
                        {
                            "criterion": address,
                            "target": target,
                            "by": name,
                            "level": level,
                            "n_inside": pair[0].n,
                            "rate_inside": pair[0].rate,
                            "n_outside": pair[1].n,
                            "rate_outside": pair[1].rate,
                            "difference": difference,
                            "difference_low": low,
                            "difference_high": high,
                        }
                    )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def compute_homogeneity(rows: pd.DataFrame) -> float:
    """Return the p-value of "the difference is the same in every row"; NaN with fewer than two rows.

    Variances are those of Agresti and Caffo's adjusted rates, so that a rate of zero has one.

    References
    ----------
    W. G. Cochran (1954), "The combination of estimates from different experiments", Biometrics 10;
    A. Agresti and B. Caffo (2000), The American Statistician 54.
    """
    if len(rows) < 2:
        return nan
    rates, variances = [], []
    for side in ("inside", "outside"):
        n = rows[f"n_{side}"].to_numpy(dtype=float)
        p = (rows[f"rate_{side}"].to_numpy(dtype=float) * n + 1) / (n + 2)
        rates.append(p)
        variances.append(p * (1 - p) / (n + 2))
    difference = rates[0] - rates[1]
    weight = 1 / (variances[0] + variances[1])
    mean = float(np.sum(weight * difference) / np.sum(weight))
    return float(chi2.sf(np.sum(weight * (difference - mean) ** 2), len(rows) - 1))

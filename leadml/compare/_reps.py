"""What a criterion does to acceptance when leads of one rep are compared with leads of the same rep."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from leadml._render import format_points

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from leadml.compare._rates import Labels
    from leadml.leads import LeadTable

    Mask = NDArray[np.bool_]

__all__ = ["code_reps", "compute_adjusted", "describe_adjusted"]

_Z = 1.959963984540054


def code_reps(table: LeadTable) -> NDArray[np.int64] | None:
    """Number the reps of the leads, -1 without one; None if fewer than two reps are known.

    Parameters
    ----------
    table : LeadTable
        The leads and their contract.

    Returns
    -------
    ndarray of int of shape (n_leads,) or None
    """
    reps: pd.Series | None = table.role("rep")
    if reps is None or reps.nunique() < 2:
        return None
    names = reps.astype("object").where(reps.notna(), None)
    number = {name: place for place, name in enumerate(dict.fromkeys(names.dropna()))}
    return np.asarray([number.get(name, -1) for name in names], dtype=np.int64)


def compute_adjusted(
    inside: Mask, labels: Labels, reps: NDArray[np.int64] | None
) -> tuple[float, float, float]:
    """Return the rate inside minus outside, compared within reps, with its 95 % range.

    Parameters
    ----------
    inside : ndarray of bool of shape (n_leads,)
        Leads that meet the criterion.
    labels : Labels
        Settled labels.
    reps : ndarray of int of shape (n_leads,) or None
        From `code_reps`.

    Returns
    -------
    difference, low, high : float
        Missing (nan) without reps, or if no rep has labelled leads on both sides.

    References
    ----------
    S. Greenland, J. M. Robins (1985), "Estimation of a common effect parameter from sparse follow-up data",
    Biometrics 41, 55-68 (Mantel-Haenszel risk difference and its variance).
    """
    if reps is None:
        return nan, nan, nan
    used = labels.known & (reps >= 0)
    size = int(reps.max(initial=-1)) + 1

    def count(mask: Mask) -> NDArray[np.float64]:
        return np.bincount(reps[mask], minlength=size).astype(np.float64)

    n1, n0 = count(used & inside), count(used & ~inside)
    both = (n1 > 0) & (n0 > 0)
    if not both.any():
        return nan, nan, nan
    yes = used & labels.positive
    a, b = count(yes & inside)[both], count(yes & ~inside)[both]
    n1, n0 = n1[both], n0[both]
    n = n1 + n0
    weight = float((n1 * n0 / n).sum())
    difference = float(((a * n0 - b * n1) / n).sum()) / weight
    spread = (a * (n1 - a) * n0**3 + b * (n0 - b) * n1**3) / (n1 * n0 * n**2)
    half = _Z * sqrt(float(spread.sum())) / weight
    return difference, max(difference - half, -1.0), min(difference + half, 1.0)


_SHOWN = tuple(
    f"{name}{end}" for name in ("difference", "difference_adjusted") for end in ("", "_low", "_high")
)


def describe_adjusted(criteria: pd.DataFrame) -> pd.DataFrame:
    """Say of each criterion what comparing leads of the same rep changes.

    Parameters
    ----------
    criteria : DataFrame
        The comparison's rows per criterion and target.

    Returns
    -------
    DataFrame
        One row per criterion that could be compared within reps: ``criterion``, ``written``, ``difference``
        and ``difference_adjusted`` with their ranges, ``reading``.
    """
    rows = criteria[(criteria["target"] == "accepted") & criteria["difference_adjusted"].notna()]
    found = rows[["criterion", "written", *_SHOWN]].astype(dict.fromkeys(_SHOWN, float))
    found = found.reset_index(drop=True)
    found["reading"] = [
        _read(*(float(row[name]) for name in _SHOWN)) for row in found[list(_SHOWN)].to_dict("records")
    ]
    return found


def _read(crude: float, low: float, high: float, own: float, own_low: float, own_high: float) -> str:
    told = f"{format_points(crude)} over all leads, {format_points(own)} among leads of the same rep"
    shown, stays = low > 0 or high < 0, own_low > 0 or own_high < 0
    if shown and not stays:
        return f"{told}: what it seems to do is not shown apart from who decides."
    if stays and not shown:
        return f"{told}: who decides hid it."
    if shown and stays and (own > 0) != (crude > 0):
        return f"{told}: who decides turned it round."
    return f"{told}."

"""Figures as a review writes them: a number with its range and the number of leads behind it."""

from __future__ import annotations

from math import ceil, nan, sqrt
from typing import TYPE_CHECKING, Any

from scipy.stats import binom

from leadml._render import format_count, format_rate, format_rate_range
from leadml.review._parts import Figure

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "ENOUGH_KNOWN",
    "SMALLEST_GROUP",
    "TARGET_TITLES",
    "TARGET_WORDS",
    "compute_value",
    "count_figure",
    "make_figure",
    "read_figure",
    "rows_of",
    "say_few",
    "say_quantile",
    "wilson_range",
]

SMALLEST_GROUP = 5
"""Smaller groups are not shown: a figure on four leads is a figure on four people."""

ENOUGH_KNOWN = 0.5
"""Where fewer of the leads have an answer, what they are worth is not said."""

TARGET_WORDS = {"accepted": "accepted by Sales", "won": "won"}
TARGET_TITLES = {"accepted": "Accepted by Sales", "won": "Won"}
Z = 1.959963984540054


def wilson_range(k: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % range of a rate, in the same order of operations as the page's script."""
    p, zz = k / n, Z * Z
    middle = (p + zz / (2 * n)) / (1 + zz / n)
    half = Z / (1 + zz / n) * sqrt(p * (1 - p) / n + zz / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def count_figure(k: int, n: int) -> Figure:
    """Return ``k`` of ``n`` leads as a figure."""
    low, high = wilson_range(k, n) if n else (nan, nan)
    return make_figure(n, k / n if n else nan, low, high)


def read_figure(row: Any, suffix: str = "") -> Figure:
    """Read ``n``, ``rate``, ``ci_low`` and ``ci_high`` of a row as a figure."""
    rate, low, high = (float(getattr(row, f"{name}{suffix}")) for name in ("rate", "ci_low", "ci_high"))
    return make_figure(int(getattr(row, f"n{suffix}")), rate, low, high)


def make_figure(n: int, rate: float, low: float, high: float) -> Figure:
    """Put a rate, its range and its number of leads into words; small groups are not shown."""
    if n < SMALLEST_GROUP:
        text = "no answer yet" if n == 0 else "too few"
        return Figure(text=text, range="–", n=say_few(n), value=nan, low=nan, high=nan, shown=False)
    return Figure(
        text=format_rate(rate),
        range=format_rate_range(low, high),
        n=format_count(n),
        value=rate,
        low=low,
        high=high,
        shown=True,
    )


def compute_value(
    n: int, known: int, won: int, *, worth: float, price: float | None, cost: float | None
) -> tuple[float, float, float] | None:
    """Return what leads are worth, best guess and range: wins at their prices less the work.

    Parameters
    ----------
    n, known, won : int
        Leads that are worked, those of them with a settled outcome, and those that were won.
    worth : float
        What the won ones brought.
    price : float or None
        Of a win, where none was won.
    cost : float or None
        Of working a lead.

    Returns
    -------
    (float, float, float) or None
        None without prices, or where too few of the leads have an outcome.
    """
    if cost is None or price is None or known < SMALLEST_GROUP or known < ENOUGH_KNOWN * n:
        return None
    each = worth / won if won else price
    low, high = wilson_range(won, known)
    best, least, most = (n * (rate * each - cost) for rate in (won / known, low, high))
    return best, least, most


def say_few(n: int) -> str:
    """Say a number of leads; a small one is hidden."""
    return "0" if n == 0 else f"under {SMALLEST_GROUP}" if n < SMALLEST_GROUP else format_count(n)


def say_quantile(ordered: NDArray[np.float64], share: float) -> str:
    """Say a quantile of ascending numbers with its 95 % range from the order statistics.

    References
    ----------
    W. J. Conover (1999), "Practical Nonparametric Statistics", 3rd edition, section 3.2.
    """
    n = len(ordered)
    low, high = (int(binom.ppf(tail, n, share)) for tail in (0.025, 0.975))
    ends = [float(ordered[min(max(place, 1), n) - 1]) for place in (low, high + 1)]
    middle = float(ordered[max(ceil(share * n), 1) - 1])
    return f"{format_count(middle)} ({format_count(ends[0])}–{format_count(ends[1])})"


def rows_of(frame: pd.DataFrame, **equal: object) -> list[Any]:
    """Return the rows with these values, as named tuples."""
    part = frame
    for column, value in equal.items():
        part = part[part[column] == value]
    return list(part.itertuples(index=False))

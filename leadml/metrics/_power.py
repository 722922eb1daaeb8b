"""What a number of leads can show: exact power, smallest detectable rate, leads needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import betaincinv
from scipy.stats import binom, norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compute_power", "exploration_size", "smallest_detectable"]

Direction = Literal["gained", "lost"]
MAX_LEADS = 1_000_000


def compute_power(
    n: int, rate: float, *, break_even: float, error_rate: float = 0.05, direction: Direction = "gained"
) -> float:
    """Compute the exact power of the one-sided binomial test of a rate against break-even.

    Parameters
    ----------
    n : int
        Leads that change.
    rate : float
        True win rate of them.
    break_even : float
        Rate at which a lead is worth its work.
    error_rate : float, default=0.05
    direction : {"gained", "lost"}, default="gained"
        Leads gained pay if their rate is above break-even, leads lost if it is below.

    Returns
    -------
    float
        Chance that the gate opens.

    Examples
    --------
    >>> round(compute_power(169, 0.10, break_even=0.05), 2)
    0.81
    """
    return float(_powers(np.array([n]), rate, break_even, error_rate, direction)[0])


def _powers(
    n: NDArray[np.int64], rate: float, break_even: float, error_rate: float, direction: Direction
) -> NDArray[np.float64]:
    if direction == "gained":
        return np.asarray(np.where(n > 0, binom.sf(binom.isf(error_rate, n, break_even), n, rate), 0.0))
    allowed = binom.ppf(error_rate, n, break_even)
    allowed = np.where(binom.cdf(allowed, n, break_even) > error_rate, allowed - 1, allowed)
    return np.asarray(np.where((n > 0) & (allowed >= 0), binom.cdf(allowed, n, rate), 0.0))


def smallest_detectable(
    n: int,
    *,
    break_even: float,
    error_rate: float = 0.05,
    power: float = 0.8,
    direction: Direction = "gained",
) -> float | None:
    """Find the rate nearest to break-even that `n` changed leads would show with the given power.

    Parameters
    ----------
    n, break_even, error_rate, direction
        As in `compute_power`.
    power : float, default=0.8

    Returns
    -------
    float or None
        The win rate the changed leads must have (above break-even for gained, below it for lost leads);
        None if no rate would do, as for few lost leads: no win among them may still be chance.

    Examples
    --------
    >>> round(smallest_detectable(400, break_even=0.05, error_rate=0.05 / 3) / 0.05, 1)
    1.8
    >>> smallest_detectable(60, break_even=0.05, error_rate=0.05 / 3, direction="lost") is None
    True
    """
    if not 0 < break_even < 1 or n <= 0:
        return None
    # Power is a tail of the binomial at the critical count, so the rate is a quantile of the beta.
    if direction == "gained":
        critical = int(binom.isf(error_rate, n, break_even))
        return float(betaincinv(critical + 1, n - critical, power)) if critical < n else None
    critical = int(binom.ppf(error_rate, n, break_even))
    critical -= int(binom.cdf(critical, n, break_even) > error_rate)
    return float(betaincinv(critical + 1, n - critical, 1 - power)) if critical >= 0 else None


def exploration_size(
    break_even: float,
    rate: float,
    *,
    error_rate: float = 0.05,
    power: float = 0.8,
    max_leads: int = MAX_LEADS,
) -> int | None:
    """Find how many leads decide whether a rate differs from break-even, by the exact binomial test.

    Parameters
    ----------
    break_even : float
        Rate at which a lead is worth its work, between 0 and 1.
    rate : float
        Assumed true rate; above break-even "worth working" is to be shown, below it "not worth working".
    error_rate : float, default=0.05
    power : float, default=0.8
    max_leads : int, default=1,000,000

    Returns
    -------
    int or None
        The smallest number of leads that reaches the power; None if more than `max_leads` are needed.

    Examples
    --------
    >>> exploration_size(0.05, 0.10), exploration_size(0.05, 0.10, power=0.9)
    (169, 233)
    """
    if not 0 < break_even < 1 or not 0 <= rate <= 1 or rate == break_even:
        return None
    direction: Direction = "gained" if rate > break_even else "lost"

    def enough(n: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(_powers(n, rate, break_even, error_rate, direction) >= power)

    # Power is a saw-tooth in n around its normal approximation: walk up from below that, block by block.
    spread = norm.isf(error_rate) * np.sqrt(break_even * (1 - break_even))
    spread += norm.isf(1 - power) * np.sqrt(rate * (1 - rate))
    typical = float((spread / (rate - break_even)) ** 2)
    if typical > 2 * max_leads:
        return None
    start = max(1, int(0.7 * typical) - 100)
    while start <= max_leads:
        size = 256 + start // 32
        sizes = np.arange(start, min(start + size, max_leads + 1))[:: 1 + size // 512]
        found = enough(sizes)
        if found.any():
            return int(sizes[int(np.argmax(found))])
        start += size
    return None

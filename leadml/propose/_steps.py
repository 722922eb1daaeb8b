"""Round numbers: the steps among which a threshold may move, and how round a number is."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from leadml.propose._ranges import range_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from leadml.propose._ranges import NumberRange

__all__ = ["MAX_STEPS", "make_steps", "rate_roundness", "round_points", "steps_within"]

MAX_STEPS = 40
_ROUND_POINTS = ("1", "1.5", "2", "2.5", "3", "4", "5")


def make_steps(values: NDArray[np.float64], *, integer: bool = False) -> tuple[Decimal, ...]:
    """Make the round numbers among which a threshold may move, inside the 2 to 98 % quantiles.

    Parameters
    ----------
    values : ndarray
        Known values of the attribute.
    integer : bool, default=False
        Whether only whole numbers make sense.

    Returns
    -------
    tuple of Decimal
        Ascending: all values if they are few whole numbers, else 1-2-5 numbers of every size joined with
        an even 1-2-5 grid; at most 40.

    Examples
    --------
    >>> [int(step) for step in make_steps(np.array([3.0, 1200.0] * 50))]
    [5, 10, 20, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200]
    """
    return steps_within(range_of(values), integer=integer)


def steps_within(values: NumberRange, *, integer: bool) -> tuple[Decimal, ...]:
    """Make the same from the range of the values."""
    low, high = values.low, values.high
    if not values.n:
        return ()
    if integer and values.few:
        return tuple(Decimal(int(number)) for number in values.few) if len(values.few) > 1 else ()
    if high <= low:
        return ()
    found = set(_even(low, high)) | set(_sizes(low, high))
    if integer:
        found = {step for step in found if step == step.to_integral_value()}
    roundest = sorted(found, key=lambda step: (rate_roundness(step), step))[:MAX_STEPS]
    return tuple(sorted(roundest))


def _even(low: float, high: float) -> Iterator[Decimal]:
    rough = (high - low) / 12
    size = Decimal(10) ** int(np.floor(np.log10(rough)))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= Decimal(repr(rough)))
    first = math.ceil(Decimal(repr(low)) / step)
    last = math.floor(Decimal(repr(high)) / step)
    for number in range(first, last + 1):
        yield (number * step).normalize() + 0


def _sizes(low: float, high: float) -> Iterator[Decimal]:
    """Yield the 1-2-5 numbers of every power of ten inside, over at most six powers."""
    if low <= 0 <= high:
        yield Decimal(0)
    largest = max(abs(low), abs(high))
    top = int(np.floor(np.log10(largest)))
    for power in range(top - 5, top + 1):
        for factor in (1, 2, 5):
            for sign in (1, -1):
                number = sign * factor * Decimal(10) ** power
                if low <= number <= high:
                    yield number.normalize() + 0


def rate_roundness(step: Decimal) -> int:
    """Rate how round a number is: 0 for 1-2-5 numbers, 1 for other single digits, more for more digits."""
    digits = step.normalize().as_tuple().digits
    if not any(digits) or digits in {(1,), (2,), (5,)}:
        return 0
    if len(digits) == 1:
        return 1
    if digits in {(1, 2), (1, 5), (2, 5), (7, 5)}:
        return 1
    return 2 if len(digits) == 2 and digits[-1] == 5 else len(digits) + 1


def round_points(points: Decimal) -> list[tuple[int, Decimal]]:
    """Return other round points of the same sign, at most four times as large or small, and how far off."""
    size = abs(points)
    if not size:
        return []
    power = size.adjusted()
    found = sorted(
        number
        for exponent in range(power - 1, power + 2)
        for digits in _ROUND_POINTS
        for number in (Decimal(digits).scaleb(exponent),)
        if size / 4 <= number <= size * 4 and number != size
        if number == number.to_integral_value() or size != size.to_integral_value()
    )
    below, above = [x for x in found if x < size][::-1], [x for x in found if x > size]
    sign = 1 if points > 0 else -1
    return [(place, sign * x) for side in (below, above) for place, x in enumerate(side, 1)]

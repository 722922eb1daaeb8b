"""An additive score as plain numbers: what SQL needs to know of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ScoreCurve", "ScoreInput", "ScoreTable", "Scorecard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreInput:
    """One attribute as one number, missing where it has none.

    Parameters
    ----------
    name : str
        The attribute.
    kind : {"number", "boolean", "level", "age", "constant"}
        A number itself, rounded to single precision; 1 and 0; the position of a level in `levels`; the days
        from a date to the handoff; or 0 for every lead.
    levels : tuple of str
        Of a level.
    other : float or None
        The number of a level that is not listed; None: it counts as missing.
    clock : tuple of str
        Of an age: the columns that date the lead, the first that is filled counts.
    """

    name: str
    kind: Literal["number", "boolean", "level", "age", "constant"]
    levels: tuple[str, ...] = field(default=(), repr=False)
    other: float | None = None
    clock: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCurve:
    """A part of the log-odds that follows straight lines between points, flat outside.

    Parameters
    ----------
    input : int
        Position among the inputs of the score.
    grid, values : tuple of float
        The points, ascending, and the log-odds there; none: 0.
    spike, spike_value : float or None, float
        A value at which more is added, and how much.
    missing : float
        Log-odds of a missing value.
    """

    input: int
    grid: tuple[float, ...] = field(repr=False)
    values: tuple[float, ...] = field(repr=False)
    spike: float | None = None
    spike_value: float = 0.0
    missing: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """A part of the log-odds that is looked up by the steps of one input, or of two.

    Parameters
    ----------
    inputs : tuple of int
        Positions among the inputs of the score, one or two.
    cuts : tuple of tuple of float
        Of each input: where the next step begins, ascending.
    values : tuple of tuple of float
        One row per step of the first input, one column per step of the second (one column without it); the
        first row and the first column are for missing.
    """

    inputs: tuple[int, ...]
    cuts: tuple[tuple[float, ...], ...] = field(repr=False)
    values: tuple[tuple[float, ...], ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """A probability as the sum of parts of the log-odds, calibrated.

    Parameters
    ----------
    name : str
        The column it fills.
    intercept : float
        Log-odds without any part.
    inputs : tuple of ScoreInput
        What is known about a lead, as numbers.
    terms : tuple of ScoreCurve or ScoreTable
        The parts, in the order in which they are added.
    coef : tuple of float
        ``(a, b, c)`` of the calibration ``a log(p) - b log(1 - p) + c``; empty: none.
    grid, values : tuple of float
        Calibration by a curve: log-odds and the calibrated log-odds there; empty: none.
    offset : float
        Added to the calibrated log-odds.
    """

    name: str
    intercept: float
    inputs: tuple[ScoreInput, ...] = ()
    terms: tuple[ScoreCurve | ScoreTable, ...] = ()
    coef: tuple[float, ...] = ()
    grid: tuple[float, ...] = field(default=(), repr=False)
    values: tuple[float, ...] = field(default=(), repr=False)
    offset: float = 0.0

"""Scores of points: their thresholds, and what each of their rules could give instead."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import compute_points, criterion_mask, format_criterion, points_scale
from leadml.propose._bins import Bins, Cut, cut_values, find_met, sample_bins, tabulate
from leadml.propose._moves import Alternative
from leadml.propose._rules import count_deciding
from leadml.propose._steps import rate_roundness, round_points

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Criterion, Definition, PointRule, PointScore

__all__ = ["find_rule_moves", "find_users", "say_points", "tabulate_rule", "tabulate_score"]

_MOVED_RATHER = 2  # where another threshold does as well as another rule of points, it is simpler


def say_points(rule: PointRule, *, points: Decimal | None = None, when: Criterion | None = None) -> str:
    """Say what a rule gives, as a change of it is written."""
    number = rule.points if points is None else points
    return f"{number.normalize():f} points for {format_criterion(when or rule.when)}"


def find_users(definition: Definition, score: PointScore) -> tuple[Criterion, ...]:
    """Find the criteria that decide who is handed over and ask for a score; none if prices go by it too."""
    if any(criterion.attribute == score.name for criterion, _ in definition.prices.won_by):
        return ()
    return tuple(
        criterion
        for lead_class in definition.classes[: count_deciding(definition)]
        for criterion in lead_class.criteria()
        if criterion.attribute == score.name and criterion.values  # noqa: PD011
    )


def tabulate_score(
    criteria: list[Criterion],
    score: PointScore,
    definition: Definition,
    leads: pd.DataFrame,
    as_of: date | None,
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], Cut]:
    """Cut a score, in whole numbers, at everything that the criteria mention (as `tabulate` does)."""
    scale = points_scale(score)
    edges = {whole for criterion in criteria for whole in _marks(criterion, scale)}
    cut = Cut(attribute=score.name, edges=tuple(map(float, sorted(edges))), scale=scale)
    raw = cut_values(_total(score, definition, leads, as_of), np.array(cut.edges))
    samples = np.append(sample_bins(cut.edges), np.nan) / scale
    return raw, np.array([find_met(criterion, samples, {}) for criterion in criteria]), cut


def _total(
    score: PointScore, definition: Definition, leads: pd.DataFrame, as_of: date | None
) -> NDArray[np.float64]:
    found = compute_points(definition, leads, as_of=as_of)[score.name].to_numpy(np.float64)
    return np.asarray(np.rint(found * points_scale(score)))


def _marks(criterion: Criterion, scale: int) -> set[int]:
    """Return the whole numbers at or around which a score begins or ceases to meet a criterion."""
    numbers = [Decimal(str(value)) * scale for value in criterion.values]  # noqa: PD011
    return {whole for number in numbers for whole in (math.floor(number), math.ceil(number))}


def find_rule_moves(
    rule: PointRule, moved: list[tuple[Criterion, Alternative]]
) -> list[tuple[Decimal, Criterion, Alternative]]:
    """Return what a rule could give instead: other round points, or the same for a moved criterion.

    Parameters
    ----------
    rule : PointRule
    moved : list
        From `find_moves` of its criterion.

    Returns
    -------
    list of tuple
        Points, criterion, and both as an alternative.
    """
    found = [
        (
            points,
            rule.when,
            Alternative(
                kind="points",
                proposed=say_points(rule, points=points),
                roundness=_MOVED_RATHER + rate_roundness(points),
                distance=distance,
            ),
        )
        for distance, points in round_points(rule.points)
    ]
    return found + [
        (
            rule.points,
            when,
            replace(
                alternative,
                kind="points",
                proposed=say_points(rule, when=when),
                roundness=_MOVED_RATHER + alternative.roundness,
            ),
        )
        for when, alternative in moved
    ]


def tabulate_rule(
    rule: PointRule,
    moves: list[tuple[Decimal, Criterion, Alternative]],
    score: PointScore,
    users: tuple[Criterion, ...],
    attribute: Attribute,
    definition: Definition,
    leads: pd.DataFrame,
    as_of: date | None,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], Bins]:
    """Cut a score and the attribute of one of its rules at everything that the rule's moves can tell apart.

    Returns
    -------
    tuple
        The bin of every lead; per move (first as written) and bin, one bit for each criterion that asks for
        the score: whether it is met; and the bins.
    """
    scale = points_scale(score)
    listed = [(rule.points, rule.when), *((points, when) for points, when, _ in moves)]
    steps = {0} | {int(points * scale) for points, _ in listed}
    marks = {whole for user in users for whole in _marks(user, scale)}
    # Met as written or not, and met after the move or not: the score goes down by one step and up by another.
    was = {0, int(rule.points * scale)}
    edges = sorted({mark + old - new for mark in marks for old in was for new in steps})
    cut = Cut(attribute=score.name, edges=tuple(map(float, edges)), scale=scale)
    total = cut_values(_total(score, definition, leads, as_of), np.array(cut.edges)).astype(np.int64)
    whens = list(dict.fromkeys(when for _, when in listed))
    if len(whens) > 1:
        own, met, own_cut = tabulate(whens, attribute, definition, leads, as_of)
        bins = Bins(cuts=(cut, own_cut))
    else:
        own = criterion_mask(rule.when, leads, definition=definition, as_of=as_of).astype(np.uint16)
        met, bins = np.array([[False, True]]), Bins(cuts=(cut,), rules=(rule.when,))
    raw = total * met.shape[1] + own
    of_score, of_rule = np.divmod(np.arange(bins.n), met.shape[1])
    rest = np.append(sample_bins(cut.edges), np.nan)[of_score]
    rest -= int(rule.points * scale) * met[0][of_rule]
    table = np.zeros((len(listed), bins.n), np.uint8)
    for row, (points, when) in enumerate(listed):
        after = rest + int(points * scale) * met[whens.index(when)][of_rule]
        for bit, user in enumerate(users):
            table[row] |= find_met(user, after / scale, {}).astype(np.uint8) << bit
    return raw, table, bins

"""What each criterion is worth: its share of the definition's value, and what is missed without it."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.compare._rates import TARGETS, Labels, Target, compute_rate
from leadml.definitions import Group
from leadml.metrics import mover_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.compare._cells import Cells
    from leadml.definitions import Definition

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

__all__ = ["Pays", "compute_contributions", "compute_credit", "compute_leave_one_out", "find_pays"]

MAX_PLAYERS = 12
"""With more criteria in a nested definition the exact credit would need too many definitions."""

MIN_OUTSIDE = 50
MIN_COVERED = 0.5
PER = 1_000.0

_COLUMNS = (
    *("criterion", "target", "measurable", "n", "break_even"),
    *("shapley", "shapley_low", "shapley_high"),
    *("leave_one_out", "leave_one_out_low", "leave_one_out_high"),
    *("sole_leads", "sole_share", "redundancy"),
    *("n_pivotal_inside", "n_pivotal_outside", "lift"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pays:
    """The rates from which a lead pays.

    Attributes
    ----------
    credit : float
        For the credit of a criterion: one that chooses blindly is worth nothing where no price is signed.
    gained, lost : float
        For a lead that would be added, and for one that would be taken away. Where prices are signed all
        three are the cost of working a lead over the worth of a win. Where they are not, an added lead must
        be as good as the average one handed over today, and one taken away less than half as good.
    """

    credit: float
    gained: float
    lost: float


def find_pays(
    definition: Definition, labels: Mapping[Target, Labels], handed_over: Mask
) -> dict[Target, Pays]:
    """Return the rates from which a lead pays, per target."""
    found: dict[Target, Pays] = {}
    everyone = np.ones(len(handed_over), dtype=np.bool_)
    for target in TARGETS:
        today = labels[target].rate(handed_over).rate
        found[target] = Pays(credit=labels[target].rate(everyone).rate, gained=today, lost=today / 2)
    prices = definition.prices
    if prices.worked_lead is not None and prices.won_default:
        rate = float(prices.worked_lead) / float(prices.won_default)
        found["won"] = Pays(credit=rate, gained=rate, lost=rate)
    return found


def compute_contributions(
    cells: Cells,
    labels: Mapping[Target, Labels],
    pays: Mapping[Target, Pays],
    *,
    n_resamples: int,
    random_state: int,
) -> pd.DataFrame:
    """Compute what each criterion of the handoff adds.

    The value of a definition is its wins minus break-even times its leads. The credit of a criterion is its
    exact Shapley value over all ways to strike out others, per 1,000 labelled leads; what the definition
    would miss without it alone is `leave_one_out`. Duplicates share credit and miss nothing alone; a filter
    that throws away good leads is worth less than nothing.

    Parameters
    ----------
    cells : Cells
        The leads by the criteria they meet.
    labels : mapping of target to Labels
        Settled labels.
    pays : mapping of target to Pays
        From `find_pays`.
    n_resamples : int
        Multinomial resamples of the cells for the range of the credit (90 %).
    random_state : int
        Seed of the resamples.

    Returns
    -------
    DataFrame
        One row per criterion of a class that goes to Sales and target. Credit needs labels of leads that are
        not handed over: where fewer than half of these have one, `measurable` is False and it is missing.

    References
    ----------
    L. S. Shapley (1953), "A value for n-person games"; B. Williamson and J. Feng (2020), "Efficient
    nonparametric statistical inference on population feature importance using Shapley values", ICML.
    """
    players = _players(cells)
    handed = cells.handed_over()
    credit = compute_credit(cells, players)
    rows: list[dict[str, Any]] = []
    for target in TARGETS:
        n, k = cells.labelled(labels[target])
        rate = pays[target].credit
        covered = _is_covered(cells, handed, labels[target])
        low, high = (
            _resample(credit, n, k, rate, n_resamples=n_resamples, random_state=random_state)
            if covered and credit is not None
            else (np.full(len(players), nan),) * 2
        )
        for position, address in enumerate(players):
            row: dict[str, Any] = {
                "criterion": address,
                "target": target,
                "measurable": bool(covered and credit is not None),
                "n": int(n.sum()),
                "break_even": rate,
                "shapley": nan,
                "shapley_low": low[position],
                "shapley_high": high[position],
            }
            if covered and credit is not None:
                row["shapley"] = PER * float(credit[position] @ (k - rate * n)) / max(int(n.sum()), 1)
            rows.append(row | _leave_out(cells, address, handed, n, k, rate=rate))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _players(cells: Cells) -> tuple[str, ...]:
    """Return the measurable criteria of the classes that go to Sales."""
    handoff = [c for c in cells.definition.classes if cells.definition.handed_over(c.name)]
    inside = {criterion.address for lead_class in handoff for criterion in lead_class.criteria()}
    return tuple(address for address in cells.addresses if address in inside)


def _is_covered(cells: Cells, handed: Mask, labels: Labels) -> bool:
    outside = ~handed[cells.cell]
    leads = int(np.count_nonzero(outside))
    known = int(np.count_nonzero(outside & labels.known))
    return leads > 0 and known >= MIN_OUTSIDE and known >= MIN_COVERED * leads


def compute_credit(cells: Cells, players: tuple[str, ...]) -> Floats | None:
    """Compute each criterion's exact share in handing over one lead of each cell.

    The Shapley value is linear in the leads, so the credit of a criterion is a sum of shares per cell. Where
    every criterion must be met, a lead that is stopped owes it in equal parts to the criteria it fails.
    Otherwise all ways to strike out criteria are counted.

    Parameters
    ----------
    cells : Cells
        The leads by the criteria they meet.
    players : tuple of str
        Addresses that share the credit; all others stay.

    Returns
    -------
    ndarray of shape (n_players, n_cells) or None
        None if there are too many criteria to count.
    """
    columns = [cells.addresses.index(address) for address in players]
    if _is_flat(cells.definition):
        failed = ~cells.met[:, columns]
        # What is met by nobody stops everybody, whatever else is struck out: there is no credit to share.
        prose = len(players) < len(cells.definition.classes[0].criteria())
        owed = np.maximum(failed.sum(axis=1), 1)
        share: Floats = np.where(failed, -1.0 / owed[:, None], 0.0).T
        return np.zeros_like(share) if prose else share
    count = len(players)
    if count > MAX_PLAYERS:
        return None
    taken = np.zeros((1 << count, cells.n_cells))
    for kept in range(1 << count):
        out = frozenset(players[i] for i in range(count) if not kept >> i & 1)
        taken[kept] = cells.handed_over(without=out)
    credit = np.zeros((count, cells.n_cells))
    for kept in range(1 << count):
        size = kept.bit_count()
        for i in range(count):
            if not kept >> i & 1:
                weight = 1.0 / (count * comb(count - 1, size))
                credit[i] += weight * (taken[kept | 1 << i] - taken[kept])
    return credit


def _is_flat(definition: Definition) -> bool:
    """Say whether the first class alone goes to Sales and asks for all of a plain list."""
    first = definition.classes[0]
    rule = first.rule
    return (
        tuple(definition.handoff) == (first.name,)
        and rule is not None
        and rule.kind == "all_of"
        and not any(isinstance(member, Group) for member in rule.members)
    )


def _resample(
    credit: Floats,
    n: NDArray[np.int64],
    k: NDArray[np.int64],
    rate: float,
    *,
    n_resamples: int,
    random_state: int,
) -> tuple[Floats, Floats]:
    """Resample the counts of the cells; no lead is touched."""
    total = int(n.sum())
    counts = np.concatenate([k, n - k]).astype(np.float64)
    drawn = np.random.default_rng(random_state).multinomial(total, counts / total, size=n_resamples)
    worth = np.concatenate([credit * (1 - rate), credit * -rate], axis=1)
    found = PER * drawn @ worth.T / total
    low, high = np.quantile(found, [0.05, 0.95], axis=0)
    return low, high


def _leave_out(
    cells: Cells,
    address: str,
    handed: Mask,
    n: NDArray[np.int64],
    k: NDArray[np.int64],
    *,
    rate: float,
) -> dict[str, Any]:
    """Say what striking out one criterion would change, with the exact range of that change."""
    column = cells.addresses.index(address)
    without = cells.handed_over(without=frozenset({address}))
    gained, lost = without & ~handed, handed & ~without
    leads = cells.count(np.ones(len(cells.cell), dtype=np.bool_))
    sole = int(leads[gained].sum() + leads[lost].sum())
    side = ~cells.met[:, column] if gained.any() or not lost.any() else cells.met[:, column]
    stopped = int(leads[side].sum())
    row: dict[str, Any] = {
        "sole_leads": sole,
        "sole_share": sole / max(int(leads.sum()), 1),
        "redundancy": 1 - sole / stopped if stopped else nan,
    }
    row |= dict(
        zip(
            ("leave_one_out", "leave_one_out_low", "leave_one_out_high"),
            compute_leave_one_out(cells, address, n, k, rate=rate),
            strict=True,
        )
    )
    pivotal = cells.pivotal(address)
    inside, outside = pivotal & cells.met[:, column], pivotal & ~cells.met[:, column]
    pair = [compute_rate(int(k[mask].sum()), int(n[mask].sum())) for mask in (inside, outside)]
    row |= {"n_pivotal_inside": pair[0].n, "n_pivotal_outside": pair[1].n}
    row["lift"] = pair[0].rate / pair[1].rate if pair[1].n and pair[1].rate > 0 else nan
    return row


def compute_leave_one_out(
    cells: Cells,
    address: str,
    n: NDArray[np.int64],
    k: NDArray[np.int64],
    *,
    rate: float,
    confidence_level: float = 0.95,
) -> tuple[float, float, float]:
    """Compute what the definition would miss without one criterion, per 1,000 labelled leads.

    Striking it out is a change like any other, so the range is the one that proposals are judged by
    (MOVER-Clopper-Pearson).

    Parameters
    ----------
    cells : Cells
        The leads by the criteria they meet.
    address : str
        The criterion.
    n, k : ndarray of int, shape (n_cells,)
        Labelled leads and those with a yes.
    rate : float
        Break-even.
    confidence_level : float, default 0.95
        Two-sided level of the range.

    Returns
    -------
    tuple of float
        Estimate, lower and upper end; missing if leads would change and none of them has a label.
    """
    handed, without = cells.handed_over(), cells.handed_over(without=frozenset({address}))
    gained, lost = without & ~handed, handed & ~without
    sizes = np.array([n[gained].sum(), n[lost].sum()], dtype=np.float64)
    wins = np.array([k[gained].sum(), k[lost].sum()], dtype=np.float64)
    total = int(n.sum())
    changing = np.bincount(cells.cell, minlength=cells.n_cells)[gained | lost].sum()
    if not total or (changing and not sizes.any()) or np.isnan(rate):
        return nan, nan, nan
    found = mover_interval(
        wins, sizes, sign=[-1.0, 1.0], scale=sizes, break_even=rate, confidence_level=confidence_level
    )
    value, low, high = (PER * float(part) / total for part in found)
    return value, low, high

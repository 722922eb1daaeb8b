"""Where a looser definition has no labels: which band to hand over at random, how many leads, how long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from leadml._render import format_money, format_rate
from leadml.metrics import clopper_pearson, exploration_size
from leadml.propose._result import Exploration
from leadml.propose._words import say_leads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leadml.propose._board import Board
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Stakes
    from leadml.propose._pick import Ranking

__all__ = ["find_unlabelled", "plan_explorations"]

_SHARES = (0.1, 0.2, 0.5, 1.0)
_QUARTER = 13.0
_WEEKS_A_MONTH = 365.25 / 12 / 7
_MAX_PLANS = 5


def find_unlabelled(
    board: Board, found: SearchResult, ranking: Ranking, *, min_change: int
) -> dict[str, int]:
    """Return, per criterion, the nearest looser step whose leads have no labels: position in `found`."""
    nearest: dict[str, int] = {}
    gained = found.cells.evidence(found.gained)
    lost = found.cells.evidence(found.lost)
    for position, edit in enumerate(found.edits):
        if edit.n_changes != 1 or edit.variant >= 0 or ranking.grade[position] == "A":
            continue
        if gained[position] < min_change or lost[position] > 0:
            continue
        address = board.addresses(edit)[0]
        best = nearest.get(address)
        if best is None or _nearness(board.distance(edit), gained[position]) < _nearness(
            board.distance(found.edits[best]), gained[best]
        ):
            nearest[address] = position
    return nearest


def _nearness(distance: int, gained: float) -> tuple[int, float]:
    return distance, -gained


def plan_explorations(
    board: Board,
    found: SearchResult,
    ranking: Ranking,
    stakes: Stakes,
    *,
    months: float | None,
    min_change: int,
    overall: tuple[float, float],
) -> tuple[tuple[Exploration, ...], dict[str, str], int]:
    """Plan a random sample for each criterion whose looser side nobody has ever worked.

    Parameters
    ----------
    board, found, ranking, stakes
    months : float or None
        Length of the older quarters.
    min_change : int
    overall : tuple of float
        Won (accepted) and labelled leads handed over today, for a criterion without a stricter step.

    Returns
    -------
    tuple
        Plans, the most promising band first; per criterion, why exploring it would not pay; and how many
        plans more there are beyond the five that are given.
    """
    plans: list[tuple[float, Exploration]] = []
    refused: dict[str, str] = {}
    for address, position in find_unlabelled(board, found, ranking, min_change=min_change).items():
        edit = found.edits[position]
        change = board.changes(edit)[0]
        break_even = _break_even(stakes, found.gained[position])
        if not 0 < break_even < 1:
            continue
        k, n = _margin(board, found, address, overall)
        ceiling = float(clopper_pearson(k, n, confidence_level=0.95, alternative="less")[1])
        if n >= min_change and ceiling < break_even:
            refused[address] = (
                f"of the leads just inside it {format_rate(k / n)} are {stakes.target} (at most "
                f"{format_rate(ceiling)}), below the {format_rate(break_even)} that pays: looser cannot pay "
                "unless worse leads do better"
            )
            continue
        marginal = (k + 2 * break_even) / (n + 2)
        assumed = min(max(marginal, 1.5 * break_even), 3 * break_even, (1 + break_even) / 2)
        size = exploration_size(break_even, assumed)
        if size is None:
            continue
        known = int(found.cells.labelled(found.gained[position]).sum())
        volume = float(found.cells.leads(found.gained[position]))
        monthly = volume / months if months else None
        share, weeks = _pace(size, monthly)
        cost = float(stakes.cost_gained.mean()) * size if stakes.signed else None
        plan = Exploration(
            criterion=address,
            written=change.written,
            to=change.proposed or "(dropped)",
            n=size,
            share=share,
            leads_per_month=monthly,
            weeks=weeks,
            cost=cost,
            break_even=break_even,
            assumed_rate=assumed,
            n_known=known,
            reason=_reason(
                change.written,
                change.proposed,
                known,
                size,
                share,
                weeks,
                cost,
                stakes.unit,
                break_even,
                stakes.target,
            ),
        )
        plans.append((-marginal / break_even, plan))
    plans.sort(key=lambda entry: (round(entry[0], 9), entry[1].criterion))
    return tuple(plan for _, plan in plans[:_MAX_PLANS]), refused, max(0, len(plans) - _MAX_PLANS)


def _break_even(stakes: Stakes, counts: NDArray[np.float64]) -> float:
    """Return the rate that pays, averaged over the price strata of the leads gained."""
    parts = counts[:-1].reshape(stakes.n_strata, 3).sum(1)
    value = float((parts * stakes.value).sum())
    return float((parts * stakes.cost_gained).sum()) / value if value > 0 else 0.0


def _margin(
    board: Board, found: SearchResult, address: str, overall: tuple[float, float]
) -> tuple[float, float]:
    """Count won and labelled leads just inside a criterion: those its nearest stricter step would lose."""
    best: tuple[int, int] | None = None
    for position, edit in enumerate(found.edits):
        if edit.n_changes != 1 or edit.variant >= 0 or board.addresses(edit)[0] != address:
            continue
        n = float(found.cells.labelled(found.lost[position]).sum())
        if n >= 20 and found.cells.evidence(found.gained[position]) == 0:
            key = (board.distance(edit), position)
            best = key if best is None or key < best else best
    if best is None:
        return overall
    lost = found.lost[best[1]]
    return float(found.cells.yes(lost).sum()), float(found.cells.labelled(lost).sum())


def _pace(size: int, monthly: float | None) -> tuple[float, int | None]:
    if not monthly:
        return 1.0, None
    weekly = monthly / _WEEKS_A_MONTH
    share = next((share for share in _SHARES if size / (share * weekly) <= _QUARTER), 1.0)
    return share, max(1, math.ceil(size / (share * weekly)))


def _reason(
    written: str,
    proposed: str | None,
    known: int,
    size: int,
    share: float,
    weeks: int | None,
    cost: float | None,
    unit: str,
    break_even: float,
    word: str,
) -> str:
    band = f"`{proposed}` instead of `{written}`" if proposed else f"leads that meet all but `{written}`"
    why = "only leads that somebody picked have verdicts there" if known else "no verdicts there"
    text = f"{band}: {why}, so nobody can know. Hand over {say_leads(size)}, picked at random"
    if weeks is not None:
        text += f" ({format_rate(share)} of those that come, about {weeks} week{'s' if weeks != 1 else ''})"
    if cost is not None:
        text += f". Working them costs {format_money(cost, currency=unit)}, which comes back"
        return f"{text} from {format_rate(break_even)} {word} on."
    return f"{text}; they pay from {format_rate(break_even)} {word} on."

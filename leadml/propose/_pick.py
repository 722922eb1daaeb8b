"""Ranking on the older quarters: expected gain times the chance to pass, few and round changes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from leadml.propose._board import Board, Edit
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Stakes

    Floats = NDArray[np.float64]
    Bits = NDArray[np.bool_]

__all__ = ["Ranking", "pick_candidates", "rank_edits"]

KNOWN_SHARE = 0.95  # of the leads gained: "practically all have a label"
KNOWN_SHARE_LOST = 0.5
MIN_VERDICTS = 50  # grade B
MIN_OVERLAP = 0.02
_HOPELESS = 0.05  # of the best score: would only cost the others their error rate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """What the older quarters say about each edit.

    Attributes
    ----------
    gain, se, score : ndarray of shape (n_edits,)
        Value in the older quarters, its standard error, expected value of testing it.
    n_changed : ndarray
        Labelled accounts that change.
    grade : ndarray of str
        A: labels for practically all leads gained; B: for some, picked by nobody knows whom; C: for none.
    eligible : ndarray of bool
        May be registered: grade A, enough leads, volume kept, somebody left on either side.
    """

    gain: Floats
    se: Floats
    score: Floats
    n_changed: Floats
    grade: NDArray[np.str_]
    eligible: Bits
    allowed: Bits


def rank_edits(
    found: SearchResult,
    stakes: Stakes,
    *,
    n_handed: float,
    n_leads: float,
    max_leads: float | None,
    min_change: int,
    confirm_ratio: float,
    error_rate: float,
) -> Ranking:
    """Rank all edits by gain * P(pass) on the older quarters.

    Parameters
    ----------
    found : SearchResult
    stakes : Stakes
    n_handed, n_leads : float
        Leads handed over today and all leads, in the older quarters.
    max_leads : float or None
        Most leads that may be handed over in a time as long as the older quarters.
    min_change : int
        Fewest labelled accounts that must change.
    confirm_ratio : float
        Leads in the confirmation window per lead of the older quarters.
    error_rate : float

    Returns
    -------
    Ranking

    References
    ----------
    Cho et al., "CSPI-MT: Calibrated Safe Policy Improvement with Multiple Testing for Threshold Policies",
    KDD 2025: rank by estimated gain times estimated chance to pass.
    """
    cells = found.cells
    n_gained, n_lost = cells.labelled(found.gained), cells.labelled(found.lost)
    k_gained, k_lost = cells.yes(found.gained), cells.yes(found.lost)
    gain = (k_gained * stakes.value - n_gained * stakes.cost_gained).sum(-1)
    gain -= (k_lost * stakes.value - n_lost * stakes.cost_lost).sum(-1)
    variance = _variance(k_gained, n_gained, stakes, "gained") + _variance(k_lost, n_lost, stakes, "lost")
    se = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(se > 0, gain / se, 0.0) * np.sqrt(confirm_ratio) - norm.ppf(1 - error_rate)
    score = gain * norm.cdf(z)
    n_changed = n_gained.sum(-1) + n_lost.sum(-1)
    volume = n_handed + cells.leads(found.gained) - cells.leads(found.lost)
    allowed = (volume > 0) & (volume < n_leads)
    if max_leads is not None:
        allowed &= (volume <= max_leads * (1 + 1e-9)) | (volume < n_handed)
    grade = _grades(
        n_gained.sum(-1), cells.evidence(found.gained), n_lost.sum(-1), cells.evidence(found.lost)
    )
    eligible = allowed & (grade == "A") & (n_changed >= min_change) & (gain > 0)
    return Ranking(
        gain=gain,
        se=se,
        score=score,
        n_changed=n_changed,
        grade=grade,
        eligible=eligible,
        allowed=allowed,
    )


def _variance(k: Floats, n: Floats, stakes: Stakes, side: str) -> Floats:
    r = np.minimum(stakes.break_even(side), 1.0)  # type: ignore[arg-type]
    shrunk = (k + 2 * r) / (n + 2)
    return np.asarray((stakes.value**2 * n * shrunk * (1 - shrunk)).sum(-1))


def _grades(known_gained: Floats, gained: Floats, known_lost: Floats, lost: Floats) -> NDArray[np.str_]:
    """Grade the evidence of an edit by who has a label among the leads it moves."""
    some = (known_gained >= MIN_VERDICTS) & (known_gained >= MIN_OVERLAP * gained)
    grade = np.where(known_gained >= KNOWN_SHARE * gained, "A", np.where(some, "B", "C"))
    # Leads lost that were never judged are unknown too, but they were handed over: at most a B.
    return np.where((grade == "A") & (known_lost < KNOWN_SHARE_LOST * lost), "B", grade)


def pick_candidates(
    board: Board,
    found: SearchResult,
    ranking: Ranking,
    stakes: Stakes,
    *,
    rows: Bits,
    labels: NDArray[np.int8],
    strata: NDArray[np.int16],
    evidence: Bits,
    max_candidates: int,
    writable: Callable[[Edit], bool],
) -> tuple[int, ...]:
    """Pick at most `max_candidates` edits whose sets of criteria do not contain each other.

    Each is first replaced by the simplest edit of the same criteria (or of some of them) whose paired loss
    on the older quarters is at most one standard error: fewest changes, then roundest numbers.

    Returns
    -------
    tuple of int
        Positions in `found`, best score first.
    """
    order = _by_score(found, ranking)
    touched = [frozenset(board.classes[edit.board].addresses(edit)) for edit in found.edits]
    picked: list[int] = []
    seen: set[frozenset[str]] = set()
    best_score = 0.0
    for position in order:
        if len(picked) == max_candidates or ranking.score[position] < _HOPELESS * best_score:
            break
        if touched[position] in seen:
            continue
        seen.add(touched[position])
        if any(
            touched[position] <= touched[other] or touched[other] <= touched[position] for other in picked
        ):
            continue
        rivals = [
            other
            for other in range(len(found.edits))
            if ranking.eligible[other] and touched[other] <= touched[position]
        ]
        simplest = _simplest(
            board, found, ranking, stakes, position, rivals, rows, labels, strata, evidence, writable
        )
        if simplest is None:
            continue
        if any(
            touched[simplest] <= touched[other] or touched[other] <= touched[simplest] for other in picked
        ):
            continue
        picked.append(simplest)
        best_score = max(best_score, float(ranking.score[simplest]))
    return tuple(sorted(picked, key=order.index))


def _by_score(found: SearchResult, ranking: Ranking) -> list[int]:
    eligible = np.flatnonzero(ranking.eligible & (ranking.score > 0))
    return sorted(
        (int(position) for position in eligible),
        key=lambda position: (
            -round(float(ranking.score[position]), 9),
            found.edits[position].n_changes,
            position,
        ),
    )


def _simplest(
    board: Board,
    found: SearchResult,
    ranking: Ranking,
    stakes: Stakes,
    best: int,
    rivals: Iterable[int],
    rows: Bits,
    labels: NDArray[np.int8],
    strata: NDArray[np.int16],
    evidence: Bits,
    writable: Callable[[Edit], bool],
) -> int | None:
    """Return the simplest rival within one standard error of the best (itself, if it is the only one)."""
    edits = found.edits
    class_board = board.classes[edits[best].board]
    order = sorted(
        rivals,
        key=lambda other: (
            edits[other].n_changes,
            class_board.roundness(edits[other]),
            -round(float(ranking.gain[other]), 9),
            other,
        ),
    )
    used = rows & evidence & (labels > 0)
    signed = _signed_moves(board, edits[best], used)
    squares = _squares(found, stakes)
    for other in order:
        loss = float(ranking.gain[best] - ranking.gain[other])
        if other != best:
            # Only leads that one of the two moves can differ: the far ones need no pass over the leads.
            if loss > float(np.sqrt(squares[best] + squares[other])):
                continue
            moved = np.flatnonzero(signed - _signed_moves(board, edits[other], used))
            worth = _worth(stakes, labels[moved], strata[moved], board.handed_over[moved])
            if loss > float(np.sqrt(np.sum(worth * worth))):
                continue
        if writable(edits[other]):
            return other
    return best if writable(edits[best]) else None


def _signed_moves(board: Board, edit: Edit, used: Bits) -> NDArray[np.int8]:
    gained, lost = board.moved(edit, used)
    signed = np.zeros(len(used), np.int8)
    signed[gained], signed[lost] = 1, -1
    return signed


def _worth(stakes: Stakes, labels: NDArray[np.int8], strata: NDArray[np.int16], handed_over: Bits) -> Floats:
    """Return what handing over each lead brings (its sign does not matter here)."""
    cost = np.where(handed_over, stakes.cost_lost[strata], stakes.cost_gained[strata])
    return np.asarray(stakes.value[strata] * (labels == 2) - cost)


def _squares(found: SearchResult, stakes: Stakes) -> Floats:
    total = np.zeros(len(found.edits))
    for counts, cost in ((found.gained, stakes.cost_gained), (found.lost, stakes.cost_lost)):
        n, k = found.cells.labelled(counts), found.cells.yes(counts)
        total += (k * (stakes.value - cost) ** 2 + (n - k) * cost**2).sum(-1)
    return total

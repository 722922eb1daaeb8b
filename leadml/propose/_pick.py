"""Ranking on the older quarters: expected gain times the chance to pass, few and round changes first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from leadml.propose._board import Board, Edit
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Stakes
    from leadml.propose._joint import Job, JointCounts

    Floats = NDArray[np.float64]
    Bits = NDArray[np.bool_]

__all__ = ["Ranking", "pick_candidates", "rank_edits", "sum_gains"]

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
    best_grade_of_gained: Literal["A", "B"] = "A",
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
    best_grade_of_gained : {"A", "B"}
        "B" where the leads outside the definition were all picked by people.

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
    gain = sum_gains(found, stakes)
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
    if best_grade_of_gained == "B":
        grade = np.where((grade == "A") & (cells.evidence(found.gained) > 0), "B", grade)
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


def sum_gains(found: SearchResult, stakes: Stakes) -> Floats:
    """Sum up the value of the labelled leads that each edit gains and loses."""
    cells = found.cells
    gain = (cells.yes(found.gained) * stakes.value - cells.labelled(found.gained) * stakes.cost_gained).sum(
        -1
    )
    gain -= (cells.yes(found.lost) * stakes.value - cells.labelled(found.lost) * stakes.cost_lost).sum(-1)
    return np.asarray(gain)


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
    max_candidates: int,
    writable: Callable[[Edit], bool],
    spread_on_leads: Callable[[Edit, Edit], float],
) -> tuple[int, ...]:
    """Pick at most `max_candidates` edits, first those whose sets of criteria do not contain each other.

    Each is first replaced by the simplest edit of the same criteria (or of some of them) whose paired loss
    on the older quarters is at most one standard error: fewest changes, then roundest numbers. Places that
    are then left go to the best changes of some of the criteria of those: a place is paid for whether it is
    used or not (`holm`), and a part often shows its gain where the whole does not.

    Parameters
    ----------
    board, found, ranking, stakes
    max_candidates : int
    writable : callable
        Whether an edit leaves a definition that can be written, and Sales enough time for all its leads.
    spread_on_leads : callable
        Standard error of the paired loss between two edits that no table of counts holds together.

    Returns
    -------
    tuple of int
        Positions in `found`, best score first.
    """
    order = _by_score(found, ranking)
    touched = [board.touched(edit) for edit in found.edits]

    def simplify(position: int) -> int | None:
        rivals = [other for other in order if touched[other] <= touched[position]]
        return _simplest(board, found, ranking, stakes, position, rivals, writable, spread_on_leads)

    picked: list[int] = []
    seen: set[frozenset[str]] = set()
    best_score = 0.0
    for position in order:
        if len(picked) == max_candidates or ranking.score[position] < _HOPELESS * best_score:
            break
        if touched[position] in seen or not writable(found.edits[position]):
            continue
        seen.add(touched[position])
        if _nested(touched[position], (touched[other] for other in picked)):
            continue
        simplest = simplify(position)
        if simplest is None or _nested(touched[simplest], (touched[other] for other in picked)):
            continue
        picked.append(simplest)
        best_score = max(best_score, float(ranking.score[simplest]))
    wholes = [touched[position] for position in picked]
    seen = set(wholes)
    for position in order:
        if len(picked) == max_candidates or ranking.score[position] < _HOPELESS * best_score:
            break
        if touched[position] in seen or not any(touched[position] < whole for whole in wholes):
            continue
        if not writable(found.edits[position]):
            continue
        seen.add(touched[position])
        simplest = simplify(position)
        if simplest is not None and touched[simplest] == touched[position]:
            picked.append(simplest)
    places = {position: place for place, position in enumerate(order)}
    return tuple(sorted(picked, key=places.__getitem__))


def _nested(touched: frozenset[str], others: Iterable[frozenset[str]]) -> bool:
    return any(touched <= other or other <= touched for other in others)


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
    writable: Callable[[Edit], bool],
    spread_on_leads: Callable[[Edit, Edit], float],
) -> int | None:
    """Return the simplest rival within one standard error of the best (itself, if it is the only one)."""
    edits = found.edits
    order = sorted(
        rivals,
        key=lambda other: (
            edits[other].n_changes,
            board.roundness(edits[other]),
            -round(float(ranking.gain[other]), 9),
            other,
        ),
    )
    job = next((job for job in found.tables if _covers(job, edits[best])), None)
    spread: Callable[[Edit], float] = partial(spread_on_leads, edits[best])
    if job is not None:
        spread = _paired_spread(found, stakes, job, edits[best], spread)
    for other in order:
        loss = float(ranking.gain[best] - ranking.gain[other])
        if other != best and loss > spread(edits[other]):
            continue
        if writable(edits[other]):
            return other
    return best if writable(edits[best]) else None


def _covers(job: Job, edit: Edit) -> bool:
    return job.variant == edit.variant and job.dials == tuple(dial for dial, _ in edit.turns)


def _paired_spread(
    found: SearchResult, stakes: Stakes, job: Job, best: Edit, on_leads: Callable[[Edit], float]
) -> Callable[[Edit], float]:
    """Return how to compute the standard error of the paired loss between the best edit and another.

    Only the leads on which the two differ count; they are read off the counts of the dials that the best one
    turns.
    """
    table = found.tables[job]
    squares = _squared_worth(table, found, stakes)
    chosen = table.after([number for _, number in best.turns])

    def spread(other: Edit) -> float:
        if other.variant != best.variant:
            # Another number of a group is not rounder, it has to win by itself; leaving it is simpler.
            return on_leads(other) if other.n_changes < best.n_changes else 0.0
        turned = dict(other.turns)
        if not turned.keys() <= set(job.dials):
            return on_leads(other)
        after = table.after([turned.get(dial, 0) for dial in job.dials])
        return float(np.sqrt(squares[after != chosen].sum()))

    return spread


def _squared_worth(table: JointCounts, found: SearchResult, stakes: Stakes) -> Floats:
    """Sum the squared worth of the labelled leads of each (truth table, bins)."""
    squares = np.zeros((2, found.cells.n))
    for side, cost in enumerate((stakes.cost_gained, stakes.cost_lost)):
        # A lead that is handed over today counts by the work that is saved.
        squares[side, 1:-1:3] = cost**2
        squares[side, 2:-1:3] = (stakes.value - cost) ** 2
    return np.asarray(np.einsum("ks...c,sc->k...", table.counts, squares, optimize=False))

"""After the registration: the labels of the confirmation window and of what came later, and what they count.

Where the newest parts of the leads begin follows from all leads; the labels are read part by part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd

from leadml.propose._judge import Moved, count_moved
from leadml.propose._leads import join_spans, matured_since, read_early_wins, read_labels, span_of
from leadml.propose._ranges import find_ranked
from leadml.propose._review import FEWEST_WINS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from leadml.propose._review import Review

    Bits = NDArray[np.bool_]
    Places = NDArray[np.intp]

__all__ = ["Confirmation", "count_confirmed", "count_recent", "read_confirmation"]

T = TypeVar("T")
_FEWEST_RECENT = 0.2  # of the confirmation window, for a period to be its newest part


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """Where the newest parts of the matured leads begin.

    Attributes
    ----------
    cuts : tuple of Timestamp or float
        The first start in the newest part, in its newer half and in its newest third; one, or none, where
        that is all there is.
    enough : bool
        Whether enough wins are recorded in the confirmation window at all.
    """

    cuts: tuple[Any, ...]
    enough: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confirmation:
    """The labels of the confirmation window and of what came after it; read after the registration.

    Attributes
    ----------
    bounds : Newest
    labels : ndarray of int8
        The label that decides.
    other : ndarray of int8
        The other one of accepted and won.
    accepted : ndarray of int8
        Acceptance of the confirmation window and of newer leads.
    early : ndarray of int8 or None
        Won within three months, confirmation window and newer leads.
    newest : ndarray of bool
        Leads after the confirmation window.
    recent : tuple of ndarray of bool
        The newest part: the last period of the confirmation window, and the matured leads after it; then
        the newer half of that and its newest third (of quarters: the last month).
    recent_labels : ndarray of int8
        The label that decides, of all matured leads of the confirmation window and after it.
    enough : bool
        Whether enough wins are recorded at all.
    """

    bounds: Newest
    labels: NDArray[np.int8]
    other: NDArray[np.int8]
    accepted: NDArray[np.int8]
    early: NDArray[np.int8] | None
    newest: Bits
    recent: tuple[Bits, ...]
    recent_labels: NDArray[np.int8]
    enough: bool

    def gather(self, review: Review, ask: Callable[[Review, Confirmation], T]) -> list[T]:
        """Ask every part of the leads the same."""
        return [ask(review, self)] if review.parts is None else review.gather(partial(_ask, self.bounds, ask))


def _ask(bounds: Newest, ask: Callable[[Review, Confirmation], T], review: Review) -> T:
    return ask(review, read_confirmation_part(bounds, review))


def read_confirmation(review: Review) -> Confirmation:
    """Read the labels of the confirmation window. Only ever called after the registration."""
    newest = Newest(cuts=_find_newest(review))
    wins = sum(review.gather(partial(_count_confirmed_wins, newest)))
    return read_confirmation_part(replace(newest, enough=wins >= FEWEST_WINS), review)


def _count_confirmed_wins(newest: Newest, review: Review) -> int:
    inside = review.board.handed_over & review.evidence & review.windows.confirm
    return int((inside & (read_confirmation_part(newest, review).labels == 2)).sum())


def read_confirmation_part(bounds: Newest, review: Review) -> Confirmation:
    """Read the labels of the leads at hand; where the newest parts begin follows from all of them."""
    start = review.targets["t0"]
    newest = np.zeros(len(start), bool)
    if review.times.n_confirm:
        newest = (start > review.times.confirm[1]).to_numpy()
    later = review.windows.confirm | newest

    def read(target: Literal["accepted", "won"], rows: Bits) -> NDArray[np.int8]:
        return read_labels(
            review.table,
            review.targets,
            target=target,
            rows=rows,
            handed_over=review.board.handed_over,
            require="known" if review.weights is not None and target == "won" else "mature",
        )

    matured = matured_since(review.targets, review.times, review.target)
    return Confirmation(
        bounds=bounds,
        labels=read(review.target, review.windows.confirm),
        other=read("won" if review.target == "accepted" else "accepted", review.windows.confirm),
        accepted=read("accepted", later),
        early=read_early_wins(review.table, review.targets, later & review.targets["worked"].to_numpy(bool)),
        newest=newest,
        recent=tuple(matured & (start >= cut).to_numpy() for cut in bounds.cuts)
        or (np.zeros(len(start), bool),),
        recent_labels=read_labels(
            review.table,
            review.targets,
            target=review.target,
            rows=matured,
            handed_over=review.board.handed_over,
        ),
        enough=bounds.enough,
    )


def _find_newest(review: Review) -> tuple[Any, ...]:
    """Find where the newest part begins, its newer half and its newest third.

    It is the last confirmation period and what came later; of a lone period, its newer half.
    """
    if not review.times.n_confirm:
        return ()
    first, _, n_last = join_spans(review.gather(_last_period))
    n_inside = review.times.n_confirm
    if not _FEWEST_RECENT <= n_last / n_inside <= 1 - _FEWEST_RECENT:
        (first,) = _ranked_starts(review, None, (n_inside // 2,))
    n = sum(review.gather(partial(_count_since, first)))
    if not n:
        return (first,)
    return first, *_ranked_starts(review, first, tuple(n * (share - 1) // share for share in (2, 3)))


def _last_period(review: Review) -> tuple[Any, Any, int]:
    last = review.windows.confirm
    if review.periods[1]:
        last = last & (review.targets["period"] == review.periods[1][-1]).to_numpy()
    return span_of(review.targets["t0"][last])


def _count_since(first: Any, review: Review) -> int:
    return int(_starts_since(first, review).size)


def _starts_since(first: Any, review: Review) -> NDArray[Any]:
    """Return the starts of the matured leads since a day; without one, of the confirmation window."""
    start, rows = review.targets["t0"], review.windows.confirm
    if first is not None:
        rows = matured_since(review.targets, review.times, review.target) & (start >= first).to_numpy()
    found = start[rows].to_numpy()
    return found.astype("datetime64[us]").astype(np.int64) if start.dtype.kind == "M" else found


def _ranked_starts(review: Review, first: Any, ranks: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the k-th starts of some leads."""
    found = find_ranked(review.gather, partial(_named_starts, first), {"t0": ranks})["t0"]
    dated = review.targets["t0"].dtype.kind == "M"
    return tuple(pd.Timestamp(int(start), unit="us") if dated else start for start in found)


def _named_starts(first: Any, review: Review) -> dict[str, NDArray[Any]]:
    return {"t0": _starts_since(first, review)}


def count_confirmed(review: Review, labels: NDArray[np.int8], gained: Places, lost: Places) -> Moved:
    """Count the leads that a change moves in the confirmation window."""
    return count_moved(
        gained,
        lost,
        labels=labels,
        strata=review.strata,
        evidence=review.evidence,
        n_strata=review.n_strata,
        weights=review.weights,
    )


def count_recent(
    review: Review, confirmed: Confirmation, gained: Places, lost: Places
) -> list[tuple[Moved, Moved]]:
    """Count the leads that a change moves in the earlier part of the confirmation window and in the newest.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    gained, lost : ndarray of int
        Leads of the confirmation window and later.

    Returns
    -------
    list of tuple of Moved
        For each newest part the matured leads of the time before it, and of it.
    """
    since = review.later_evidence

    def count(rows: Bits) -> Moved:
        return count_moved(
            gained[rows[gained]],
            lost[rows[lost]],
            labels=confirmed.recent_labels,
            strata=review.strata,
            evidence=since,
            n_strata=review.n_strata,
        )

    return [(count(since & ~recent), count(recent)) for recent in confirmed.recent]

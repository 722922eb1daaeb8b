"""Won deals that never reach the file: what is booked elsewhere looks like leads that never buy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import fisher_exact

from leadml._render import format_count
from leadml.propose._confirmation import count_confirmed
from leadml.propose._counted import add_moved
from leadml.propose._explain import Bands, find_bands
from leadml.propose._guard import Guardrail
from leadml.propose._judge import NO, YES, Moved, judge_moved
from leadml.propose._leads import compare_handoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.propose._confirmation import Confirmation
    from leadml.propose._review import Review

    Bits = NDArray[np.bool_]
    Counts = NDArray[np.int64]

__all__ = ["check_booked"]

_FEW = 20
_RARE = 0.001
_AS_OFTEN = 0.9  # of the acceptance of the others


def check_booked(review: Review, confirmed: Confirmation, revised: Definition) -> Guardrail | None:
    """Check that a change does not live on leads whose won deals seem not to be booked.

    Nobody can say from a file whether leads never buy or their deals are booked elsewhere. Two traces make a
    change show its gain without them. A kind of lead handed over (a level, a band of an attribute) is never
    recorded as won, though Sales accepts it as often as the others and half of their rate would all but
    surely have given some wins: such leads count for nothing. And where more of the leads taken away than of
    those that stay were left open after the window (of the accepted ones, if there are verdicts), the surplus
    counts as won.

    Parameters
    ----------
    review : Review
    confirmed : Confirmation
    revised : Definition
        The changed definition.

    Returns
    -------
    Guardrail or None
        None where there is neither trace.
    """
    if review.target != "won" or review.stakes is None or review.weights is not None:
        return None
    bands = find_bands(review)
    kinds = confirmed.gather(review, partial(_count_kinds, bands))
    silent = _find_silent(reduce(_add_kinds, kinds)) if kinds[0] else ()
    parts = confirmed.gather(review, partial(_count_open, bands, silent, revised))
    counted = reduce(_add_open, parts)
    surplus = _surplus(counted)
    if not counted.silent.any() and not surplus:
        return None
    moved = replace(counted.moved, k_lost=counted.moved.k_lost + surplus * counted.open_lost)
    low = judge_moved(moved, review.stakes, error_rate=review.error_rate).value.low if moved.n else None
    kept = low is not None and low > 0
    named = [
        bands[name].words[code] for (name, code), n in zip(silent, counted.silent.tolist(), strict=True) if n
    ]
    traces = [f"not one lead with {words} is recorded as won" for words in sorted(named)[:3]]
    if surplus:
        n_open = format_count(int(counted.open_lost.sum()))
        traces.append(f"{n_open} of the leads it takes away were left open, more than of others")
    words = "; ".join(traces)
    words += (
        ": it gains even if won deals are not booked"
        if kept
        else ": if their won deals are not booked it gains nothing. Book or close them first"
    )
    return Guardrail(name="won deals booked", kept=kept, words=words)


# -- counted on the leads ----------------------------------------------------------------------------------


def _known(review: Review, confirmed: Confirmation) -> tuple[Bits, NDArray[np.int8]]:
    """Return the leads handed over whose label is known, and the labels."""
    labels = np.where(review.windows.confirm, confirmed.labels, review.labels)
    return review.board.handed_over & review.evidence & (labels > 0), labels


def _count_kinds(bands: dict[str, Bands], review: Review, confirmed: Confirmation) -> dict[str, Counts]:
    """Count the leads handed over per band of each attribute: all, accepted, won; none without verdicts."""
    verdict = review.table.role("verdict")
    if verdict is None:
        return {}
    known, labels = _known(review, confirmed)
    rows = np.flatnonzero(known)
    groups = (rows, rows[(verdict == "accepted").to_numpy()[rows]], rows[labels[rows] == YES])
    return {
        name: np.array(
            [
                np.bincount(band.code(review.table.frame[name].iloc[group]), minlength=len(band.words))
                for group in groups
            ]
        )
        for name, band in bands.items()
    }


def _add_kinds(one: dict[str, Counts], other: dict[str, Counts]) -> dict[str, Counts]:
    return {name: counts + other[name] for name, counts in one.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Open:
    """What a change moves of the leads that are not silent, and which deals were left open.

    Attributes
    ----------
    moved : Moved
    silent : ndarray of shape (n_kinds,)
        Leads lost in the confirmation window of each silent kind.
    open_lost : ndarray of shape (n_strata,)
        Leads lost in the confirmation window that were left open.
    goes, stays : ndarray of shape (2,)
        Leads that did not win, of all matured ones: left open, closed.
    """

    moved: Moved
    silent: Counts
    open_lost: Counts
    goes: Counts
    stays: Counts


def _count_open(
    bands: dict[str, Bands],
    silent: tuple[tuple[str, int], ...],
    revised: Definition,
    review: Review,
    confirmed: Confirmation,
) -> _Open:
    known, labels = _known(review, confirmed)
    frame, outcome, verdict = (
        review.table.frame,
        review.table.role("outcome"),
        review.table.role("verdict"),
    )
    unwon = known & (labels == NO)
    if verdict is not None:
        unwon &= (verdict == "accepted").to_numpy()
    open_ = unwon & (
        np.zeros(len(unwon), bool) if outcome is None else ~outcome.isin(["won", "lost"]).to_numpy()
    )
    inside = review.windows.confirm
    gained, lost = compare_handoff(review, revised)
    unheard = np.zeros(len(lost), bool)
    n_silent = np.zeros(len(silent), np.int64)
    for place, (name, code) in enumerate(silent):
        own = bands[name].code(frame[name].iloc[lost]) == code
        n_silent[place] = (own & inside[lost]).sum()
        unheard |= own
    goes = np.zeros(len(unwon), bool)
    goes[lost[~unheard]] = True
    heard = lost[~unheard & inside[lost]]
    counts = [
        np.array([(open_ & side).sum(), (unwon & ~open_ & side).sum()], np.int64) for side in (goes, ~goes)
    ]
    return _Open(
        moved=count_confirmed(review, confirmed.labels, gained[inside[gained]], heard),
        silent=n_silent,
        open_lost=np.bincount(review.strata[heard[open_[heard]]], minlength=review.n_strata),
        goes=counts[0],
        stays=counts[1],
    )


def _add_open(one: _Open, other: _Open) -> _Open:
    return _Open(
        moved=add_moved(one.moved, other.moved),
        silent=one.silent + other.silent,
        open_lost=one.open_lost + other.open_lost,
        goes=one.goes + other.goes,
        stays=one.stays + other.stays,
    )


# -- judged by the counts ----------------------------------------------------------------------------------


def _find_silent(kinds: dict[str, Counts]) -> tuple[tuple[str, int], ...]:
    """Find the kinds of leads that Sales takes as often as others and that never win: attribute and band."""
    found = []
    for name, counts in kinds.items():
        n_all, accepted_all, won_all = counts.sum(axis=1).tolist()
        for code, (n, accepted, won) in enumerate(counts.T.tolist()):
            others = n_all - n
            if won or n < _FEW or not others:
                continue
            as_often = accepted / n >= _AS_OFTEN * (accepted_all - accepted) / others
            if as_often and (1 - won_all / others / 2) ** n <= _RARE:
                found.append((name, code))
    return tuple(found)


def _surplus(counted: _Open) -> float:
    """Return the share of the open leads taken away that are open beyond the share of those that stay."""
    goes, stays = counted.goes, counted.stays
    if min(goes.sum(), stays.sum()) < _FEW:
        return 0.0
    if float(fisher_exact(np.array([goes, stays]), alternative="greater").pvalue) > _RARE:
        return 0.0
    return float(1 - (stays[0] / stays.sum()) / (goes[0] / goes.sum()))

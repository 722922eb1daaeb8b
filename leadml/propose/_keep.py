"""Why a criterion stays: the change that would have been next, and what it would take to decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml._render import format_change, format_count
from leadml.propose._judge import judge_moved, leads_needed, range_of_labels
from leadml.propose._result import KeptCriterion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leadml.definitions import Definition
    from leadml.propose._board import Board, Edit
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Stakes
    from leadml.propose._judge import Moved
    from leadml.propose._pick import Ranking

__all__ = ["explain_kept"]

_ERROR_RATE = 0.05  # each bound of what is said about a kept criterion


def explain_kept(
    definition: Definition,
    board: Board,
    found: SearchResult,
    ranking: Ranking,
    stakes: Stakes | None,
    *,
    changed: frozenset[str],
    count: Callable[[Sequence[Edit]], Sequence[Moved]],
    months: float | None,
    min_change: int,
    notes: Mapping[str, str],
) -> tuple[KeptCriterion, ...]:
    """Explain every criterion that nothing is proposed for, in the order of the file.

    Parameters
    ----------
    definition, board, found, ranking, stakes
    changed : frozenset of str
        Addresses that a proposal changes.
    count : callable
        Counts the leads that edits move in the confirmation window.
    months : float or None
        Length of that window.
    min_change : int
    notes : mapping of address to str
        What else is to be said: tested and not confirmed, to be explored, …

    Returns
    -------
    tuple of KeptCriterion
    """
    dials = {dial.address: (number, dial) for number, dial in enumerate(board.dials)}
    staying = [each.address for each in definition.criteria() if each.address not in changed]
    reasons: dict[str, str] = {}
    asked: dict[str, Edit] = {}
    for address in staying:
        number, dial = dials[address]
        if dial.fixed or stakes is None or not board.decides[number]:
            reasons[address] = dial.fixed or _without_stakes(board, number, stakes is None)
            continue
        position = _next_best(board, found, ranking, address, min_change)
        if position is None:
            reasons[address] = "no other step moves a lead whose label is known"
        else:
            asked[address] = found.edits[position]
    moved = dict(zip(asked, count(tuple(asked.values())), strict=True))
    kept = []
    for address in staying:
        written, note = dials[address][1].written, notes.get(address, "")
        if stakes is None or address in reasons:
            kept.append(_kept(address, written, reasons[address], note))
            continue
        words, detectable = _describe(board, asked[address], moved[address], stakes, months)
        kept.append(_kept(address, written, words, note, moved[address].leads, detectable))
    return tuple(kept)


def _kept(
    address: str, written: str, reason: str, note: str, n_changed: int = 0, detectable: float | None = None
) -> KeptCriterion:
    text = f"keep `{written}`: {reason}"
    return KeptCriterion(
        criterion=address,
        written=written,
        reason=f"{text}; {note}" if note else text,
        n_changed=n_changed,
        detectable=detectable,
    )


def _without_stakes(board: Board, number: int, no_labels: bool) -> str:  # noqa: FBT001
    if no_labels:
        return "no lead has a label that the goal could be judged by"
    name = board.class_names[number]
    return f"moving it moves leads in and out of `{name}` only, which does not change who is handed over"


def _next_best(
    board: Board, found: SearchResult, ranking: Ranking, address: str, min_change: int
) -> int | None:
    """Return the single change of a criterion that looked best on the older quarters (or least bad)."""
    best: tuple[tuple[bool, float, int, int], int] | None = None
    for position, edit in enumerate(found.edits):
        if edit.n_changes != 1 or edit.variant >= 0 or board.addresses(edit)[0] != address:
            continue
        if ranking.grade[position] != "A" or ranking.n_changed[position] == 0:
            continue
        gain = round(float(ranking.gain[position]), 9)
        few = bool(ranking.n_changed[position] < min_change)
        key = (few, -gain if gain > 0 else 0.0, board.distance(edit), position)
        best = (key, position) if best is None or key < best[0] else best
    return None if best is None else best[1]


def _describe(
    board: Board, edit: Edit, moved: Moved, stakes: Stakes, months: float | None
) -> tuple[str, float | None]:
    change = board.changes(edit)[0]
    action = f"changing it to `{change.proposed}`" if change.proposed else "dropping it"
    if moved.n == 0:
        return f"{action} moves no lead with a label in the newest matured leads", None
    scale = 1 / months if months else 1.0
    per = "a month" if months else "in the confirmation period"
    verdict = judge_moved(moved, stakes, error_rate=_ERROR_RATE)
    wins = range_of_labels(moved, error_rate=_ERROR_RATE).scaled(scale)
    value = verdict.value.scaled(scale)
    word = "accepted leads" if stakes.target == "accepted" else "won deals"
    text = (
        f"{action} would change {word} by {format_change(wins.low)} to {format_change(wins.high)} {per}"
        f" and value by {format_change(value.low)} to {format_change(value.high)} {stakes.unit}"
    )
    needed = leads_needed(moved, stakes, error_rate=_ERROR_RATE)
    text += f"; {format_count(moved.leads)} leads in the band"
    if value.high is not None and value.high <= 0:
        text += ", enough to see that it would lose"
    elif value.low is not None and value.low > 0:
        text += ", but it did not look best on the older quarters"
    elif needed is not None and needed > moved.n:
        text += f", {format_count(needed)} needed to decide"
    else:
        text += ", too close to break-even to decide"
    detectable = None if verdict.detectable is None else verdict.detectable * scale
    return text, detectable

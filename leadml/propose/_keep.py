"""Why a criterion stays: the change that would have been next, and what it would take to decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml._render import format_change
from leadml.propose._judge import judge_moved, leads_needed, range_of_labels
from leadml.propose._result import KeptCriterion
from leadml.propose._words import say_amount, say_changes, say_leads, say_leads_needed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leadml.definitions import Change, Definition
    from leadml.propose._board import Board, Edit
    from leadml.propose._evidence import SearchResult
    from leadml.propose._goal import Stakes
    from leadml.propose._judge import Moved
    from leadml.propose._pick import Ranking
    from leadml.propose._result import JudgedChange

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
    hopeless: str,
    judged: Sequence[JudgedChange],
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
    hopeless : str
        Why nothing can be said of any criterion; empty where something can.
    judged : sequence of JudgedChange
        What was tested or looks promising.
    notes : mapping of address to str
        What else is to be said: to be explored, not worth exploring.

    Returns
    -------
    tuple of KeptCriterion
    """
    dials = {dial.address: (number, dial) for number, dial in enumerate(board.dials) if not dial.segment}
    staying = [each.address for each in definition.criteria() if each.address not in changed]
    reasons: dict[str, str] = {}
    asked: dict[str, Edit] = {}
    for address in staying:
        number, dial = dials[address]
        if dial.fixed or hopeless or not board.decides[number]:
            reasons[address] = dial.fixed or hopeless or _only_inside(board.class_names[number])
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
        others = [each for each in judged if any(part.address == address for part in each.changes)]
        if stakes is None or address in reasons:
            words, detectable, n = reasons[address], None, 0
        else:
            changes = board.changes(asked[address])
            tested = next((each for each in others if each.changes == changes), None)
            others = [each for each in others if each is not tested]
            ending = "" if tested is None else tested.reason
            words, detectable = _describe(changes[0], moved[address], stakes, months, ending)
            n = moved[address].leads
        told = [note, *(f"{say_changes(each.changes)}: {each.reason}" for each in others)]
        kept.append(_kept(address, written, "; ".join(filter(None, [words, *told])), n, detectable))
    return tuple(kept)


def _kept(address: str, written: str, reason: str, n_changed: int, detectable: float | None) -> KeptCriterion:
    return KeptCriterion(
        criterion=address,
        written=written,
        reason=f"keep `{written}`: {reason}",
        n_changed=n_changed,
        detectable=detectable,
    )


def _only_inside(lead_class: str) -> str:
    return (
        f"moving it moves leads in and out of `{lead_class}` only, which does not change who is handed over"
    )


def _next_best(
    board: Board, found: SearchResult, ranking: Ranking, address: str, min_change: int
) -> int | None:
    """Return the single change of a criterion that looked best on the older quarters (or least bad)."""
    best: tuple[tuple[bool, float, int, int], int] | None = None
    for position, edit in enumerate(found.edits):
        if edit.n_changes != 1 or edit.variant >= 0 or board.addresses(edit)[0] != address:
            continue
        if (
            ranking.grade[position] != "A"
            or ranking.n_changed[position] == 0
            or not ranking.allowed[position]
        ):
            continue
        gain = round(float(ranking.gain[position]), 9)
        few = bool(ranking.n_changed[position] < min_change)
        key = (few, -gain if gain > 0 else 0.0, board.distance(edit), position)
        best = (key, position) if best is None or key < best[0] else best
    return None if best is None else best[1]


def _describe(
    change: Change, moved: Moved, stakes: Stakes, months: float | None, ending: str
) -> tuple[str, float | None]:
    """Say what a change would bring, and what it would take to decide it (`ending`: what decided it)."""
    action = f"changing it to `{change.proposed}`" if change.proposed else "dropping it"
    if moved.n == 0:
        return f"{action} moves no lead with a label in the newest matured leads", None
    scale = 1 / months if months else 1.0
    per = "a month" if months else "in the confirmation period"
    verdict = judge_moved(moved, stakes, error_rate=_ERROR_RATE)
    wins = range_of_labels(moved, error_rate=_ERROR_RATE).scaled(scale)
    value = verdict.value.scaled(scale)
    word = "accepted leads" if stakes.target == "accepted" else "won deals"
    text = f"{action} would change {word} by {format_change(wins.low)} to {format_change(wins.high)} {per}"
    if stakes.signed:
        low, high = (say_amount(end, stakes) for end in (value.low, value.high))
        text += f" and value by {low} to {high} {stakes.unit}"
    text += f"; it moves {say_leads(moved.leads)}"
    needed = leads_needed(moved, stakes, error_rate=_ERROR_RATE)
    detectable = None if verdict.detectable is None else verdict.detectable * scale
    if ending:
        return f"{text}, {ending}", detectable
    if value.high is not None and value.high <= 0:
        return f"{text}, enough to see that it would lose", None
    if value.low is not None and value.low > 0:
        return f"{text}, but other changes looked better on the older quarters", None
    if needed is not None and needed > moved.n:
        return f"{text}, {say_leads_needed(needed, moved.n)}", detectable
    return f"{text}, too close to break-even to decide", detectable

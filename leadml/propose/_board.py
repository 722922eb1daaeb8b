"""The written definition on the leads: what each class's dials can do to who is handed over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import Criterion, evaluate_criteria
from leadml.propose._dials import Dial, build_added_dials, build_dials
from leadml.propose._rules import Patterns, count_changes, evaluate_rule, find_patterns

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Change, Definition, Group

    Bits = NDArray[np.bool_]

__all__ = ["Board", "ClassBoard", "Edit", "build_board"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of one class: alternatives of its dials and, perhaps, another at-least number.

    Attributes
    ----------
    board : int
        Which class board.
    turns : tuple of (dial, alternative)
        Ascending by dial; alternatives count from 1.
    variant : int
        Which other at-least number, -1 for the written one.
    """

    board: int
    turns: tuple[tuple[int, int], ...]
    variant: int = -1

    @property
    def n_changes(self) -> int:
        """How many changes a person has to agree to."""
        return len(self.turns) + (self.variant >= 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassBoard:
    """One class on the leads.

    Attributes
    ----------
    name : str
    rule : Group
    dials : tuple of Dial
    variants : tuple of (Change, Group)
        Other at-least numbers.
    patterns : Patterns
        Pass bits of the written criteria.
    effect : ndarray of int8 of shape (n_leads,)
        What entering this class does to a lead: +1 it is handed over that was not, -1 the reverse, 0
        nothing (an earlier class takes it, or the next class that would take it is treated alike).
    """

    name: str
    rule: Group
    dials: tuple[Dial, ...]
    variants: tuple[tuple[Change, Group], ...]
    patterns: Patterns
    effect: NDArray[np.int8]

    def inside(self) -> Bits:
        """Return which leads meet the written rule."""
        return self.patterns.values(self.rule)[self.patterns.index]

    def addresses(self, edit: Edit) -> tuple[str, ...]:
        """Return the addresses an edit touches."""
        turned = tuple(self.dials[dial].address for dial, _ in edit.turns)
        return turned if edit.variant < 0 else (*turned, self.variants[edit.variant][0].address)

    def changes(self, edit: Edit) -> tuple[Change, ...]:
        """Return an edit as changes of the definition."""
        turned = tuple(self.dials[dial].change(number) for dial, number in edit.turns)
        return turned if edit.variant < 0 else (*turned, self.variants[edit.variant][0])

    def leaves_enough(self, edit: Edit) -> bool:
        """Whether every group keeps enough members when an edit drops some."""
        dropped = [
            self.dials[dial].stands_in
            for dial, number in edit.turns
            if self.dials[dial].alternatives[number - 1].kind == "dropped"
        ]
        changed = "" if edit.variant < 0 else self.variants[edit.variant][0].address
        return all(dropped.count(place) <= place[1] and place[0] != changed for place in dropped)

    def roundness(self, edit: Edit) -> int:
        """Return how round the numbers of an edit are: 0 is roundest."""
        return sum(self.dials[dial].alternatives[number - 1].roundness for dial, number in edit.turns)

    def distance(self, edit: Edit) -> int:
        """Return how many steps an edit moves."""
        moved = sum(self.dials[dial].alternatives[number - 1].distance for dial, number in edit.turns)
        return moved + (edit.variant >= 0)

    def moved(self, edit: Edit, rows: Bits) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the leads among `rows` that an edit newly hands over, and those it no longer does."""
        places = np.flatnonzero(rows & (self.effect != 0))
        turned = dict(edit.turns)
        bits = {
            dial.address: dial.passes[turned.get(number, 0)][dial.codes[places]]
            for number, dial in enumerate(self.dials)
        }
        rule = self.rule if edit.variant < 0 else self.variants[edit.variant][1]
        after = evaluate_rule(rule, bits)
        before = self.patterns.values(self.rule)[self.patterns.index[places]]
        step = (after.astype(np.int8) - before.astype(np.int8)) * self.effect[places]
        return places[step > 0], places[step < 0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """Every class of a definition on the leads.

    Attributes
    ----------
    classes : tuple of ClassBoard
        Those with a rule.
    handed_over : ndarray of bool of shape (n_leads,)
        Which leads the written definition hands over.
    """

    classes: tuple[ClassBoard, ...]
    handed_over: Bits

    def moved(self, edit: Edit, rows: Bits) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the leads among `rows` gained and lost by an edit."""
        return self.classes[edit.board].moved(edit, rows)


def build_board(
    definition: Definition, leads: pd.DataFrame, *, sample: Bits, as_of: date | None = None
) -> Board:
    """Evaluate the written definition and everything it may be turned into.

    Parameters
    ----------
    definition : Definition
    leads : DataFrame of shape (n_leads, …)
    sample : ndarray of bool of shape (n_leads,)
        The leads whose quantiles bound the steps.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    Board
    """
    # Says at once everything that does not fit between the definition and the leads.
    evaluate_criteria(definition, leads, as_of=as_of)
    n = len(leads)
    found: list[ClassBoard] = []
    taken = np.zeros(n, bool)
    places: list[tuple[int | None, bool, Bits]] = []
    free: list[Bits] = []
    for lead_class in definition.classes:
        handed = definition.handed_over(lead_class.name)
        free.append(~taken)
        if lead_class.rule is None:
            places.append((None, handed, np.ones(n, bool)))
        else:
            dials = build_dials(definition, lead_class.rule, leads, sample=sample, as_of=as_of)
            added = build_added_dials(definition, lead_class.rule, leads, sample=sample)
            rule = _with_room(lead_class.rule, added)
            dials += added
            patterns = find_patterns(
                {dial.address: dial.bits() for dial in dials if not dial.group},
                n,
                always=tuple(dial.address for dial in added),
            )
            board = ClassBoard(
                name=lead_class.name,
                rule=rule,
                dials=dials,
                variants=tuple(count_changes(rule)),
                patterns=patterns,
                effect=np.zeros(n, np.int8),
            )
            places.append((len(found), handed, board.inside()))
            found.append(board)
        taken = taken | places[-1][2]
    after = np.zeros(n, bool)
    for (number, handed, inside), open_ in zip(reversed(places), reversed(free), strict=True):
        if number is not None:
            effect = np.where(open_, np.int8(handed) - after.astype(np.int8), np.int8(0))
            found[number] = replace(found[number], effect=effect.astype(np.int8))
        after = np.where(inside, handed, after)
    return Board(classes=tuple(found), handed_over=after)


def _with_room(rule: Group, added: tuple[Dial, ...]) -> Group:
    """Return an all-of rule with a place for each criterion that may be added; everybody meets them."""
    if not added:
        return rule
    room = tuple(Criterion(address=dial.address, attribute=None, operator=None, text="") for dial in added)
    return replace(rule, members=(*rule.members, *room), k=len(rule.members) + len(room))

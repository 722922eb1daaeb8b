"""The dials of a definition: each criterion and each rule of points with its alternatives.

A dial holds a table that says which bin of its attribute's values passes which alternative. A lead is then
no more than one bin number per dial.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadml.definitions import (
    Change,
    Criterion,
    criterion_mask,
    find_directions,
    find_wanted_levels,
    format_criterion,
)
from leadml.propose._bins import Bins, merge_bins, read_numbers, tabulate
from leadml.propose._moves import Alternative, find_levels, find_moves
from leadml.propose._points import find_rule_moves, find_users, say_points, tabulate_rule, tabulate_score
from leadml.propose._ranges import range_within
from leadml.propose._steps import MAX_STEPS, rate_roundness, steps_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Definition, Group, PointRule, PointScore
    from leadml.propose._ranges import Sample

__all__ = ["Dial", "build_added_dials", "build_dials", "build_point_dials"]

Operator = Literal["<", "<=", ">", ">=", "not in", "is true", "is false"]
_ASKS: dict[int, tuple[Operator, ...]] = {1: (">=",), 0: (">=", "<="), -1: ("<=",)}
_IS: dict[int, tuple[Operator, ...]] = {1: ("is true",), 0: ("is true", "is false"), -1: ("is false",)}
_MAX_USERS = 3  # criteria that ask for one score: beyond, its rules stay as they are


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dial:
    """A criterion, or a rule of points, that may be turned.

    Attributes
    ----------
    address : str
        Of the criterion or the rule.
    written : str
        The criterion or the rule in the definition's words.
    alternatives : tuple of Alternative
    passes : ndarray of uint8 of shape (1 + n_alternatives, n_bins)
        1 where a bin passes; of a rule of points one bit for each criterion that asks for the score. Row 0 is
        as written.
    codes : ndarray of shape (n_leads,)
        The bin of every lead.
    bins : Bins
        How finer bins follow from a lead's attributes.
    merge : ndarray of shape (bins.n,)
        The bin that holds each of the finer ones.
    fixed : str
        Why there is no alternative, if there is none.
    group : str
        Of a criterion that is not written yet: the group it would be added to.
    stands_in : tuple of (str, int)
        Address of the group of a written criterion, and how many members that group can do without.
    users : tuple of str
        Of a rule of points: the addresses of the criteria that ask for the score.
    segment : str
        Of a dial that moves a criterion, which has a dial of its own, in segments only: the attribute that
        tells them apart.
    """

    address: str
    written: str
    alternatives: tuple[Alternative, ...]
    passes: NDArray[np.uint8]
    codes: NDArray[np.uint16]
    bins: Bins = field(default_factory=Bins)
    merge: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(1, np.uint16))
    fixed: str = ""
    group: str = ""
    stands_in: tuple[str, int] = ("", 0)
    users: tuple[str, ...] = ()
    segment: str = ""

    @property
    def criteria(self) -> tuple[str, ...]:
        """Addresses of the criteria that other leads meet when it is turned, in the order of its bits."""
        return self.users or (self.address,)

    def change(self, number: int) -> Change:
        """Return alternative `number` (1 is the first) as a change of the definition."""
        chosen = self.alternatives[number - 1]
        if self.group:
            return Change(address=self.group, kind="added", written="", proposed=chosen.proposed)
        return Change(address=self.address, kind=chosen.kind, written=self.written, proposed=chosen.proposed)

    def drops(self, number: int) -> bool:
        """Whether alternative `number` drops the criterion."""
        return self.alternatives[number - 1].kind == "dropped"

    def bits(self, number: int = 0) -> NDArray[np.bool_]:
        """Return which leads pass the written criterion (0) or an alternative."""
        return np.asarray(self.passes[number][self.codes].astype(bool))


def build_dials(
    definition: Definition,
    rule: Group,
    leads: pd.DataFrame,
    *,
    sample: Sample,
    as_of: date | None = None,
) -> tuple[Dial, ...]:
    """Build the dials of one class.

    Parameters
    ----------
    definition : Definition
    rule : Group
        The class's rule.
    leads : DataFrame of shape (n_leads, …)
    sample : ndarray of bool of shape (n_leads,) or Summary
        The leads whose quantiles bound the steps (the older quarters).
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    tuple of Dial
        One per criterion, in the order of the file. Prose is met by nobody and has no alternative.
    """
    return tuple(
        _build_dial(definition, criterion, group, leads, sample, as_of) for criterion, group in _walk(rule)
    )


def build_added_dials(
    definition: Definition,
    rule: Group,
    leads: pd.DataFrame,
    *,
    sample: Sample,
) -> tuple[Dial, ...]:
    """Build a dial for each attribute that is declared but that the class does not use.

    Only an all-of rule can ask for one thing more: a boolean or its opposite, a number from or up to a step,
    a level of an ordinal or more, any level of a category but one. It never goes against what the definition
    says elsewhere (`find_directions`, `find_wanted_levels`). What is known only after the handoff is left
    out.

    Returns
    -------
    tuple of Dial
        Written: everybody passes.
    """
    if rule.kind != "all_of":
        return ()
    used = {criterion.attribute for criterion, _ in _walk(rule)}
    return tuple(
        dial
        for attribute in definition.attributes
        if attribute.name not in used and attribute.known_at != "after" and attribute.name in leads.columns
        for dial in (_added_dial(attribute, definition, rule, leads, sample),)
        if dial is not None
    )


def _added_dial(
    attribute: Attribute, definition: Definition, rule: Group, leads: pd.DataFrame, sample: Sample
) -> Dial | None:
    name = attribute.name
    direction = find_directions(definition).get(name, 0)
    tests: list[tuple[Operator, tuple[Decimal | str, ...]]] = []
    if attribute.is_numeric and attribute.age_of is None:
        values = read_numbers(definition, attribute, leads, None)
        steps = attribute.steps or steps_within(
            range_within(values, name, sample), integer=attribute.type == "integer"
        )
        tests = [(operator, (step,)) for operator in _ASKS[direction] for step in steps]
    elif attribute.type == "ordinal":
        tests = [("<=", (level,)) for level in attribute.levels[:-1]]
        if direction >= 0:
            tests = [(">=", (level,)) for level in attribute.levels[1:]]
    elif attribute.type == "category":
        attribute = replace(attribute, levels=find_levels(attribute, leads, sample))
        wanted = find_wanted_levels(definition).get(name, frozenset())
        tests = [("not in", (level,)) for level in attribute.levels if level not in wanted]
    elif attribute.type == "boolean":
        tests = [(operator, ()) for operator in _IS[direction]]
    if not tests:
        return None
    address = f"{rule.address}.{name}"
    criteria = [
        replace(criterion, text=format_criterion(criterion))
        for criterion in (
            Criterion(address=address, attribute=name, operator=operator, values=wanted, text="")
            for operator, wanted in tests
        )
    ]
    raw, table, cut = tabulate(criteria, attribute, definition, leads, None)
    codes, passes, merge = merge_bins(raw, np.vstack([np.ones(table.shape[1], bool), table]).astype(np.uint8))
    alternatives = tuple(
        Alternative(kind="added", proposed=criterion.text, roundness=_rate(attribute, criterion))
        for criterion in criteria
    )
    return Dial(
        address=address,
        written="",
        alternatives=alternatives,
        passes=passes,
        codes=codes,
        bins=Bins(cuts=(cut,)),
        merge=merge,
        group=rule.address,
    )


def _rate(attribute: Attribute, criterion: Criterion) -> int:
    step = criterion.values[0] if criterion.values else None  # noqa: PD011
    return 0 if attribute.steps or not isinstance(step, Decimal) else rate_roundness(step)


def _walk(group: Group) -> Iterator[tuple[Criterion, Group]]:
    """Yield each criterion with the group it stands in."""
    for member in group.members:
        if isinstance(member, Criterion):
            yield member, group
        else:
            yield from _walk(member)


def _spare(group: Group) -> int:
    """Return how many members a group can do without."""
    return len(group.members) - (1 if group.kind == "all_of" else max(group.k, 1))


def _build_dial(
    definition: Definition,
    criterion: Criterion,
    group: Group,
    leads: pd.DataFrame,
    sample: Sample,
    as_of: date | None,
) -> Dial:
    words = format_criterion(criterion)
    if not criterion.measurable or criterion.attribute is None:
        return Dial(
            address=criterion.address,
            written=words,
            alternatives=(),
            passes=np.zeros((1, 1), np.uint8),
            codes=np.zeros(len(leads), np.uint16),
            fixed="it is not measurable: nobody can say which leads meet it",
        )
    moved, attribute = find_moves(definition, criterion, leads, sample=sample, as_of=as_of)
    score = next((score for score in definition.points if score.name == attribute.name), None)
    listed = [criterion, *(item for item, _ in moved)]
    if not moved:
        raw = criterion_mask(criterion, leads, definition=definition, as_of=as_of).astype(np.uint16)
        table, bins = np.array([[False, True]]), Bins(rules=(criterion,))
    elif score is not None:
        raw, table, cut = tabulate_score(listed, score, definition, leads, as_of)
        bins = Bins(cuts=(cut,))
    else:
        raw, table, cut = tabulate(listed, attribute, definition, leads, as_of)
        bins = Bins(cuts=(cut,))
    alternatives = [alternative for _, alternative in moved]
    if _spare(group) > 0:
        # In an all-of group a dropped member is as if always met; elsewhere as if never met.
        table = np.vstack([table, np.full(table.shape[1], group.kind == "all_of")])
        alternatives.append(Alternative(kind="dropped", proposed=None, distance=MAX_STEPS))
    codes, passes, merge = merge_bins(raw, table.astype(np.uint8))
    return Dial(
        address=criterion.address,
        written=words,
        alternatives=tuple(alternatives),
        passes=passes,
        codes=codes,
        bins=bins,
        merge=merge,
        fixed="" if alternatives else "it has no other step and its group needs it",
        stands_in=(group.address, _spare(group)),
    )


# -- points ------------------------------------------------------------------------------------------------


def build_point_dials(
    definition: Definition,
    leads: pd.DataFrame,
    *,
    sample: Sample,
    as_of: date | None = None,
) -> tuple[Dial, ...]:
    """Build a dial for each rule of points that counts in who is handed over.

    Other round points, or the same points for another threshold: every criterion that asks for the score
    goes by it at once. Points that fade stay as they are, and so do scores that prices or more than three
    criteria ask for.

    Parameters
    ----------
    definition, leads, sample, as_of
        As in `build_dials`.

    Returns
    -------
    tuple of Dial
        In the order of the file.
    """
    return tuple(
        _point_dial(rule, score, users, definition, leads, sample, as_of)
        for score in definition.points
        for users in (find_users(definition, score),)
        if 0 < len(users) <= _MAX_USERS
        for rule in score.rules
        if rule.fades_over is None and rule.when.measurable
    )


def _point_dial(
    rule: PointRule,
    score: PointScore,
    users: tuple[Criterion, ...],
    definition: Definition,
    leads: pd.DataFrame,
    sample: Sample,
    as_of: date | None,
) -> Dial:
    moved, attribute = find_moves(definition, rule.when, leads, sample=sample, as_of=as_of)
    moves = find_rule_moves(rule, moved)
    raw, table, bins = tabulate_rule(rule, moves, score, users, attribute, definition, leads, as_of)
    codes, passes, merge = merge_bins(raw, table)
    return Dial(
        address=rule.when.address,
        written=say_points(rule),
        alternatives=tuple(alternative for _, _, alternative in moves),
        passes=passes,
        codes=codes,
        bins=bins,
        merge=merge,
        users=tuple(user.address for user in users),
    )

"""The written definition on the leads: what its dials and groups can do to who is handed over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import Criterion, evaluate_criteria
from leadml.propose._dials import Dial, build_added_dials, build_dials, build_point_dials
from leadml.propose._rules import (
    Handoff,
    Patterns,
    count_deciding,
    find_group_changes,
    find_patterns,
    read_handoff,
)
from leadml.propose._segments import build_segment_dials, check_segments_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Change, Definition, Group
    from leadml.propose._ranges import Sample

    Bits = NDArray[np.bool_]

__all__ = ["Board", "Edit", "Variant", "build_board"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of the definition: alternatives of its dials and, perhaps, other numbers of its groups.

    Attributes
    ----------
    turns : tuple of (dial, alternative)
        Ascending by dial; alternatives count from 1.
    variant : int
        Which variant of the groups, -1 for the written one.
    n_changes : int
        How many changes a person has to agree to.
    """

    turns: tuple[tuple[int, int], ...]
    variant: int = -1
    n_changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One group that asks for another number of its criteria, or two.

    Attributes
    ----------
    changes : tuple of Change
    handoff : Handoff
        Who is handed over then.
    """

    changes: tuple[Change, ...]
    handoff: Handoff

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses of the groups."""
        return frozenset(change.address for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """A definition on the leads.

    Attributes
    ----------
    dials : tuple of Dial
        Class by class: its criteria in the order of the file, those that may be added, those that move a
        threshold in segments only; behind them the rules of points.
    decides : tuple of bool
        Per dial, whether it can change who is handed over.
    class_names : tuple of str
        Per dial; empty for a rule of points.
    handoff : Handoff
        As written, with room for criteria that may be added.
    variants : tuple of Variant
    patterns : Patterns
        Pass bits of the written criteria that decide.
    handed_over : ndarray of bool of shape (n_leads,)
        Which leads the written definition hands over.
    """

    dials: tuple[Dial, ...]
    decides: tuple[bool, ...]
    class_names: tuple[str, ...]
    handoff: Handoff
    variants: tuple[Variant, ...]
    patterns: Patterns
    handed_over: Bits

    @property
    def turnable(self) -> tuple[int, ...]:
        """Dials that may be turned and decide."""
        return tuple(
            number
            for number, (dial, decides) in enumerate(zip(self.dials, self.decides, strict=True))
            if decides and dial.alternatives and not dial.segment
        )

    @property
    def segmented(self) -> tuple[int, ...]:
        """Dials that move a threshold in segments only, and decide; turned by themselves."""
        return tuple(number for number, dial in enumerate(self.dials) if dial.segment)

    def addresses(self, edit: Edit) -> tuple[str, ...]:
        """Return the addresses an edit touches."""
        turned = tuple(self.dials[dial].address for dial, _ in edit.turns)
        if edit.variant < 0:
            return turned
        return (*turned, *(change.address for change in self.variants[edit.variant].changes))

    def touched(self, edit: Edit) -> frozenset[str]:
        """Return what an edit changes: addresses, and a segment in which one of them would differ.

        A move in a segment so contains the move of the same criterion for all leads.
        """
        segments = (self.dials[dial].alternatives[number - 1].segment for dial, number in edit.turns)
        return frozenset(self.addresses(edit)) | {f"where {segment}" for segment in segments if segment}

    def changes(self, edit: Edit) -> tuple[Change, ...]:
        """Return an edit as changes of the definition."""
        turned = tuple(self.dials[dial].change(number) for dial, number in edit.turns)
        return turned if edit.variant < 0 else (*turned, *self.variants[edit.variant].changes)

    def leaves_enough(self, edit: Edit) -> bool:
        """Whether every group keeps enough members when an edit drops some."""
        dropped = [
            self.dials[dial].stands_in for dial, number in edit.turns if self.dials[dial].drops(number)
        ]
        return all(dropped.count(place) <= place[1] for place in dropped)

    def fits(self, variant: int, dial: int, number: int) -> bool:
        """Whether a dial may be turned in a variant: not if it adds to, or drops from, the changed group."""
        turned, changed = self.dials[dial], self.variants[variant].addresses
        return turned.group not in changed and not (turned.drops(number) and turned.stands_in[0] in changed)

    def apart(self, dials: Sequence[int]) -> bool:
        """Whether no two dials turn the same criterion: a score's threshold and one of its rules do."""
        turned = [address for number in dials for address in self.dials[number].criteria]
        return len(turned) == len(set(turned))

    def roundness(self, edit: Edit) -> int:
        """Return how round the numbers of an edit are: 0 is roundest."""
        return sum(self.dials[dial].alternatives[number - 1].roundness for dial, number in edit.turns)

    def distance(self, edit: Edit) -> int:
        """Return how many steps an edit moves."""
        moved = sum(self.dials[dial].alternatives[number - 1].distance for dial, number in edit.turns)
        return moved + (edit.variant >= 0)

    def handoff_of(self, variant: int) -> Handoff:
        """Return who is handed over under a variant, -1 for the written definition."""
        return self.handoff if variant < 0 else self.variants[variant].handoff

    def moved(self, edit: Edit, rows: Bits) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the leads among `rows` that an edit newly hands over, and those it no longer does."""
        places = np.flatnonzero(rows)
        turned = dict(edit.turns)
        bits = {}
        for number, dial in enumerate(self.dials):
            if number not in turned and (dial.users or dial.segment or not self.decides[number]):
                continue
            met = dial.passes[turned.get(number, 0)][dial.codes[places]]
            for bit, address in enumerate(dial.criteria):
                bits[address] = (met >> bit & 1).astype(bool)
        after = self.handoff_of(edit.variant).evaluate(bits, len(places))
        before = self.handed_over[places]
        return places[after & ~before], places[before & ~after]

    def moved_elsewhere(self, edit: Edit, rows: Bits) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Return the leads that the move of an edit would move outside its segment; None if it has none."""
        if not any(self.dials[dial].segment for dial, _ in edit.turns):
            return None
        ((turned, number),) = edit.turns
        dial = self.dials[turned]
        own = next(place for place, other in enumerate(self.dials) if other.address == dial.address)
        everywhere = Edit(turns=((own, dial.alternatives[number - 1].everywhere),), n_changes=1)
        gained, lost = (
            np.setdiff1d(whole, here)
            for whole, here in zip(self.moved(everywhere, rows), self.moved(edit, rows), strict=True)
        )
        return gained, lost


def build_board(
    definition: Definition,
    leads: pd.DataFrame,
    *,
    sample: Sample,
    as_of: date | None = None,
    segments: Sequence[str] = (),
) -> Board:
    """Evaluate the written definition and everything it may be turned into.

    Parameters
    ----------
    definition : Definition
    leads : DataFrame of shape (n_leads, …)
    sample : ndarray of bool of shape (n_leads,) or Summary
        The leads whose quantiles bound the steps; what is known of them where `leads` are only a part.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.
    segments : sequence of str
        Attributes by which thresholds may differ.

    Returns
    -------
    Board
    """
    # Says at once everything that does not fit between the definition and the leads.
    evaluate_criteria(definition, leads, as_of=as_of)
    check_segments_known(definition, leads, segments)
    n_deciding = count_deciding(definition)
    dials: list[Dial] = []
    names: list[str] = []
    rules: list[Group] = []
    rooms: list[tuple[Dial, ...]] = []
    decides: list[bool] = []
    for number, lead_class in enumerate(definition.classes):
        if lead_class.rule is None:
            continue
        found = build_dials(definition, lead_class.rule, leads, sample=sample, as_of=as_of)
        added: tuple[Dial, ...] = ()
        apart: tuple[Dial, ...] = ()
        if number < n_deciding:
            added = build_added_dials(definition, lead_class.rule, leads, sample=sample)
            rules.append(lead_class.rule)
            rooms.append(added)
            apart = build_segment_dials(
                definition, found, leads, sample=sample, segments=segments, as_of=as_of
            )
        own = (*found, *added, *apart)
        dials += own
        names += [lead_class.name] * len(own)
        decides += [number < n_deciding] * len(own)
    points = build_point_dials(definition, leads, sample=sample, as_of=as_of)
    dials += points
    names += [""] * len(points)
    decides += [True] * len(points)
    handoff = read_handoff(
        definition, [_with_room(rule, room) for rule, room in zip(rules, rooms, strict=True)]
    )
    deciding = [dial for dial, used in zip(dials, decides, strict=True) if used and not dial.segment]
    patterns = find_patterns(
        {dial.address: dial.bits() for dial in deciding if not dial.group and not dial.users},
        len(leads),
        always=tuple(dial.address for dial in deciding if dial.group),
    )
    return Board(
        dials=tuple(dials),
        decides=tuple(decides),
        class_names=tuple(names),
        handoff=handoff,
        variants=tuple(_find_variants(handoff, rules, rooms)),
        patterns=patterns,
        handed_over=patterns.values(handoff)[patterns.index],
    )


def _with_room(rule: Group, added: tuple[Dial, ...]) -> Group:
    """Return a rule with a place for each criterion that may be added; everybody meets them."""
    room = tuple(Criterion(address=dial.address, attribute=None, operator=None, text="") for dial in added)
    return replace(rule, members=(*rule.members, *room), k=rule.k + len(room))


def _find_variants(handoff: Handoff, rules: list[Group], rooms: list[tuple[Dial, ...]]) -> Iterator[Variant]:
    """Yield every change of one group, then of two different groups."""
    singles = [
        (number, change, changed)
        for number, rule in enumerate(rules)
        for change, changed in find_group_changes(rule)
    ]
    for number, change, rule in singles:
        yield Variant(changes=(change,), handoff=handoff.with_rule(number, _with_room(rule, rooms[number])))
    for place, (number, change, rule) in enumerate(singles):
        once = handoff.with_rule(number, _with_room(rule, rooms[number]))
        for other, later, _ in singles[place + 1 :]:
            if later.address == change.address:
                continue
            base = rule if other == number else rules[other]
            both = next(found for again, found in find_group_changes(base) if again == later)
            yield Variant(
                changes=(change, later), handoff=once.with_rule(other, _with_room(both, rooms[other]))
            )

"""Which class takes which lead when a criterion is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import Criterion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.definitions import Definition, Group

    Mask = NDArray[np.bool_]

__all__ = ["place_leads"]


def place_leads(
    definition: Definition, met: Mapping[str, Mask], *, n_leads: int, without: frozenset[str] = frozenset()
) -> NDArray[np.int64]:
    """Place each lead in the first class whose rule it meets.

    Parameters
    ----------
    definition : Definition
        The written definition.
    met : mapping of address to array of bool, shape (n_leads,)
        Which leads meet each measurable criterion; a criterion that is not in it is met by nobody.
    n_leads : int
        Number of leads.
    without : frozenset of str
        Addresses of criteria that are struck out. What is left of "at least k" asks for at most as many as
        it has; a group of which nothing is left is struck out too, and a class of which nothing is left
        takes every lead that reaches it.

    Returns
    -------
    ndarray of int, shape (n_leads,)
        Position of the class in `definition.classes`; -1 for a lead that no class takes.
    """
    placed = np.full(n_leads, -1, dtype=np.int64)
    for position, lead_class in enumerate(definition.classes):
        taken = None if lead_class.rule is None else _meets(lead_class.rule, met, n_leads, without)
        free = placed == -1
        placed[free if taken is None else free & taken] = position
    return placed


def _meets(group: Group, met: Mapping[str, Mask], n_leads: int, without: frozenset[str]) -> Mask | None:
    masks: list[Mask] = []
    for member in group.members:
        if isinstance(member, Criterion):
            if member.address not in without:
                masks.append(met.get(member.address, np.zeros(n_leads, dtype=np.bool_)))
        else:
            inner = _meets(member, met, n_leads, without)
            if inner is not None:
                masks.append(inner)
    if not masks:
        return None
    needed = {"all_of": len(masks), "any_of": 1}.get(group.kind, min(group.k, len(masks)))
    count = np.zeros(n_leads, dtype=np.int16)
    for mask in masks:
        count += mask
    return count >= needed

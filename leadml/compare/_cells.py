"""Leads by which criteria they meet: everything about criteria is a sum over these few cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadml.compare._structure import place_leads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.compare._rates import Labels
    from leadml.definitions import Definition

    Mask = NDArray[np.bool_]

__all__ = ["Cells", "build_cells"]

_WIDEST = 62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Groups of leads that meet the same criteria.

    Attributes
    ----------
    definition : Definition
        The written definition.
    addresses : tuple of str
        Its measurable criteria.
    met : ndarray of bool, shape (n_cells, n_criteria)
        Which criteria the leads of each cell meet.
    cell : ndarray of int, shape (n_leads,)
        The cell of each lead.
    """

    definition: Definition
    addresses: tuple[str, ...]
    met: Mask
    cell: NDArray[np.int64]

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return len(self.met)

    def handed_over(
        self, *, without: frozenset[str] = frozenset(), forced: Mapping[str, bool] | None = None
    ) -> Mask:
        """Say which cells go to Sales when criteria are struck out or counted as met or not."""
        met = {address: self.met[:, column] for column, address in enumerate(self.addresses)}
        for address, value in (forced or {}).items():
            met[address] = np.full(self.n_cells, value)
        placed = place_leads(self.definition, met, n_leads=self.n_cells, without=without)
        positions = [i for i, c in enumerate(self.definition.classes) if self.definition.handed_over(c.name)]
        return np.asarray(np.isin(placed, positions), dtype=np.bool_)

    def pivotal(self, address: str) -> Mask:
        """Say which cells go to Sales or not by this criterion alone."""
        return self.handed_over(forced={address: True}) ^ self.handed_over(forced={address: False})

    def count(self, mask: Mask) -> NDArray[np.int64]:
        """Count the leads of `mask` in each cell."""
        return np.bincount(self.cell[mask], minlength=self.n_cells)

    def labelled(self, labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count the labelled leads of each cell and those with a yes."""
        return self.count(labels.known), self.count(labels.positive)


def build_cells(definition: Definition, met: Mapping[str, Mask], *, n_leads: int) -> Cells:
    """Group leads by the criteria that they meet.

    Parameters
    ----------
    definition : Definition
        The written definition.
    met : mapping of address to array of bool, shape (n_leads,)
        Which leads meet each measurable criterion.
    n_leads : int
        Number of leads.

    Returns
    -------
    Cells
    """
    addresses = tuple(criterion.address for criterion in definition.criteria() if criterion.address in met)
    table = (
        np.column_stack([met[address] for address in addresses])
        if addresses
        else np.zeros((n_leads, 0), bool)
    )
    if len(addresses) <= _WIDEST:
        codes = table @ (1 << np.arange(len(addresses), dtype=np.int64))
        _, first, cell = np.unique(codes, return_index=True, return_inverse=True)
    else:
        _, first, cell = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return Cells(
        definition=definition,
        addresses=addresses,
        met=table[first],
        cell=np.asarray(cell, np.int64).reshape(-1),
    )

"""What is fixed before a confirmation label is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Registration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The record that makes the confirmation honest: written down before its labels are read.

    Attributes
    ----------
    definition, version, definition_sha256 : str
        What was searched around.
    data_sha256 : str
        Digest of the files the leads were read from.
    code_version : str
        Version of leadml.
    goal, stakes : dict
        The goal and the prices with the break-even they give.
    error_rate : float
        Chance of even one wrong proposal in this review.
    max_changes, max_candidates, min_change : int
    segments : tuple of str
        Attributes by which thresholds might differ.
    discover_periods, confirm_periods : tuple of str
    discover_from, discover_to, confirm_from, confirm_to : str or None
        Days.
    n_discover, n_confirm : int
        Matured leads in either window.
    n_searched : int
        Changes that were looked at.
    candidates : tuple of dict
        ``criterion``, ``kind``, ``written``, ``proposed`` of the candidates, best first.
    """

    definition: str
    version: str
    definition_sha256: str
    data_sha256: str
    code_version: str
    goal: dict[str, Any]
    stakes: dict[str, Any]
    error_rate: float
    max_changes: int
    max_candidates: int
    min_change: int
    segments: tuple[str, ...]
    discover_periods: tuple[str, ...]
    confirm_periods: tuple[str, ...]
    discover_from: str | None
    discover_to: str | None
    confirm_from: str | None
    confirm_to: str | None
    n_discover: int
    n_confirm: int
    n_searched: int
    candidates: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, in a fixed order."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((field, getattr(self, field)) for field in self.__slots__)
        }

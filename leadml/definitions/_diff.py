"""What changed between two definitions, in words and proved over the typed space."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from leadml.definitions._diff_proof import ClassChange, DiffEntry, Proof
from leadml.definitions._diff_words import describe_changes

if TYPE_CHECKING:
    import pandas as pd

    from leadml.definitions._definition import Definition

__all__ = ["DefinitionDiff", "diff_definitions"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DefinitionDiff:
    """Everything that differs between two definitions.

    Parameters
    ----------
    old, new : str
        Name and version of the two.
    entries : tuple of DiffEntry
        The changes, criterion by criterion.
    classes : tuple of ClassChange
        For every class of either: the leads that it gains and loses, proved over all leads that can be.
    """

    old: str
    new: str
    entries: tuple[DiffEntry, ...]
    classes: tuple[ClassChange, ...]

    @property
    def changes_leads(self) -> bool:
        """Whether any lead can change its class."""
        return any(change.effect != "same" for change in self.classes)

    def to_dict(self) -> dict[str, object]:
        """Return plain data."""
        return {
            "old": self.old,
            "new": self.new,
            "changes": [
                {field.name: getattr(entry, field.name) for field in fields(DiffEntry)}
                for entry in self.entries
            ],
            "classes": [
                {"class": item.name, "effect": item.effect, "gained": item.gained, "lost": item.lost}
                for item in self.classes
            ],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per change: kind, place, written, proposed, words, effect, line."""
        import pandas as pd

        names = [field.name for field in fields(DiffEntry)]
        return pd.DataFrame(
            [[getattr(entry, name) for name in names] for entry in self.entries], columns=names
        )

    def __repr__(self) -> str:
        head = f"{self.old} → {self.new}: {len(self.entries)} change{'' if len(self.entries) == 1 else 's'}"
        lines = [f"  {entry.words}" for entry in self.entries]
        lines += [f"  {item.words}" for item in self.classes if item.effect != "same"]
        more = [f"  … and {len(lines) - 8} more"] if len(lines) > 9 else []
        return "\n".join([head, *(lines[:8] if more else lines), *more])

    def _repr_html_(self) -> str:
        from leadml._render import render_card, render_frame

        title = f"{self.old} → {self.new}"
        notes = [item.words for item in self.classes]
        return str(render_card(title, [render_frame(self.to_frame())], notes=notes))


def diff_definitions(old: Definition, new: Definition) -> DefinitionDiff:
    """Compare two definitions, two versions of one or those of two teams.

    Parameters
    ----------
    old, new : Definition
        Criteria are matched class by class (by its name) and attribute by attribute.

    Returns
    -------
    DefinitionDiff
        The changes in words, and for every class whether it is looser, stricter or moved, proved over every
        lead that the attributes allow, with a lead that shows it.
    """
    proof = Proof.make(old, new)
    names = [item.name for item in new.classes] + [
        item.name for item in old.classes if item.name not in {other.name for other in new.classes}
    ]
    return DefinitionDiff(
        old=f"{old.name} {old.version}",
        new=f"{new.name} {new.version}",
        entries=tuple(describe_changes(old, new, proof)),
        classes=tuple(proof.compare(name) for name in names),
    )

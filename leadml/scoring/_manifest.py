"""What a scoring job did, in numbers that add up."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

__all__ = ["ScoreManifest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreManifest:
    """What a scoring job read and wrote: read = scored + quarantined + duplicates.

    Parameters
    ----------
    read, scored, quarantined, duplicates : int
        Rows of the leads file.
    classes : tuple of (str, int)
        Scored leads by class, in the order of the definition.
    definition, definition_version, definition_sha256 : str
        The definition that was applied.
    bundle : str
        SHA-256 of the model bundle.
    data_sha256 : str
        Digest of the files that were read (of no file: a database was read).
    output : str
        The score file, or the table's address without its password.
    output_sha256 : str
        Its digest; of a table, that of the CSV file with the same rows. The same leads, definition and
        bundle give the same bytes.
    as_of : date or None
        The day on which ages in the definition end.
    notices : tuple of str
        What a reader should know though every number is right.
    """

    read: int
    scored: int
    quarantined: int
    duplicates: int
    classes: tuple[tuple[str, int], ...]
    definition: str
    definition_version: str
    definition_sha256: str = field(repr=False)
    bundle: str
    data_sha256: str = field(repr=False)
    output: str
    output_sha256: str = field(repr=False)
    as_of: dt.date | None = None
    notices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-ready data; ``rows`` holds the four counts."""
        rows = {name: getattr(self, name) for name in ("read", "scored", "quarantined", "duplicates")}
        return {
            "rows": rows,
            "classes": dict(self.classes),
            "definition": self.definition,
            "version": self.definition_version,
            "definition_sha256": self.definition_sha256,
            "bundle": self.bundle,
            "data_sha256": self.data_sha256,
            "output": self.output,
            "output_sha256": self.output_sha256,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "notices": list(self.notices),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per lead class: lead_class, n, rate (share of the scored leads)."""
        import pandas as pd

        names = [name for name, _ in self.classes]
        counts = [count for _, count in self.classes]
        rates = [count / self.scored if self.scored else float("nan") for count in counts]
        return pd.DataFrame({"lead_class": names, "n": counts, "rate": rates})

    def __repr__(self) -> str:
        classes = ", ".join(f"{count:,} {name}" for name, count in self.classes)
        lines = [
            f"Scored {self.scored:,} leads with {self.definition} {self.definition_version}: {classes}",
            (
                f"  read {self.read:,} = scored {self.scored:,} + quarantined {self.quarantined:,}"
                f" + duplicates {self.duplicates:,}"
            ),
            f"  bundle {self.bundle[:12]}, written to {self.output}",
        ]
        return "\n".join([*lines, *(f"  note: {notice}" for notice in self.notices[:6])])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

"""The leads contract as a value: how one company's export becomes the closed loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leadml.leads._dates import has_zone

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = [
    "FAMILIES",
    "FORMATS",
    "KNOWN_AT",
    "ROLES",
    "TYPES",
    "Column",
    "Contract",
    "History",
    "Table",
    "extra_sources",
]

ROLES = (
    "id",
    "account",
    "created",
    "handed_over",
    "attribute",
    "verdict",
    "decided",
    "reason",
    "rep",
    "outcome",
    "closed",
    "amount",
    "personal",
    "weight",
)
TYPES = ("number", "integer", "ordinal", "category", "boolean", "date", "text", "sequence")
FORMATS = ("csv", "parquet", "excel", "duckdb", "sql")
KNOWN_AT = ("capture", "handoff", "after")
FAMILIES = (
    "procedural",
    "clerical",
    "definitional",
    "already_ours",
    "after_contact",
    "contactability",
    "opt_out",
    "other",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where a table of changes says what changed, of which lead, and when.

    `value` holds what was there before, or with `is_new` what came in its place: a log of new values.
    """

    lead: str
    field: str
    value: str
    at: str
    format: tuple[str, ...] = ()
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """Which row of a log of stages counts: the one with which the last stage of its key began.

    `at` is the column that says when, `of` the one with the stage; only rows on which the columns of
    `only_if` have one of their words tell of a stage.
    """

    at: str
    of: str
    format: tuple[str, ...] = ()
    only_if: tuple[tuple[None, str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the export.

    Parameters
    ----------
    name : str
        How the contract calls it.
    path : str or None
        Where it lies, relative to the contract's folder; None when only ``--leads`` gives it. A URL, or
        ``<database URL>#<table>``, is taken as it stands.
    format : str
        ``csv``, ``parquet``, ``excel``, ``duckdb`` or ``sql``; by default what the path's ending says.
    delimiter, quote, encoding : str
        The declared dialect of a CSV file; an empty `quote` means that quotes have no meaning.
    sheet : str or None
        Sheet of a workbook, table of a DuckDB file.
    marks : tuple of (str, str, tuple of str)
        ``deleted`` or ``merged``, the column that says so, and its words for it. A deleted record is
        quarantined, a merged one counts as a duplicate.
    merged_ids : str or None
        The column in which a lead lists the ids that were merged into it, ``id:timestamp;id:timestamp``: a
        row with one of these ids counts as a duplicate. Only of the first table.
    merged_hashes : bytes
        The hashes of all these ids, sorted, once they were read.
    join : tuple of (str, str, str) or None
        ``(left table, left column, column of this table)``.
    history : History or None
        Set for a table of changes, from which attributes are taken as they were at the handoff.
    latest : Latest or None
        Set for a log of stages: of the rows of a key one counts, the others are counted as duplicates.
    line : int
        Line of the contract.
    """

    name: str
    path: str | None
    format: str = "csv"
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    sheet: str | None = None
    marks: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    merged_ids: str | None = None
    merged_hashes: bytes = field(default=b"", repr=False)
    join: tuple[str, str, str] | None = None
    history: History | None = None
    latest: Latest | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column that is used: where it comes from and what it is.

    Parameters
    ----------
    name : str
        leadml's name.
    table, source : str
        The table and its column.
    role : str
        What it is for (`id`, `attribute`, `verdict`, …).
    type : str
        ``number``, ``integer``, ``ordinal``, ``category``, ``boolean``, ``date``, ``text`` or ``sequence``.
    format : tuple of str
        Declared alternatives of a date.
    missing : tuple of str
        Words that mean "no value"; the empty text always does.
    levels : tuple of str
        Allowed levels, in order for an ordinal.
    values : tuple of (str, tuple of str)
        For a verdict ``accepted``, ``rejected``, ``pending`` and for an outcome ``won``, ``lost``, ``open``,
        each with the export's words for it.
    only_if : tuple of (str or None, str, tuple of str)
        A value counts only where another column of the table has one of these words; with a verdict or
        outcome in front, only that one depends on it.
    queues : tuple of str
        Owners that are queues, not people (``00G*``).
    optional : bool
        Whether the export may lack the column.
    zone : str or None
        Time zone of the times that have none of their own; they are read as UTC.
    otherwise : str or None
        What an unlisted word of a verdict or outcome means: ``pending``, ``open`` or ``quarantine``.
    families : tuple of (str, tuple of str)
        Families of reasons with the export's words.
    aliases : tuple of str
        All names that the contract lists for it, once one is chosen as `source`.
    """

    name: str
    table: str
    source: str
    role: str
    type: str
    format: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    otherwise: str | None = None
    families: tuple[tuple[str, tuple[str, ...]], ...] = ()
    decimal: str = "."
    thousands: str = ""
    currency: str | None = None
    suffixes: tuple[tuple[str, Decimal], ...] = ()
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    zone: str | None = None
    only_if: tuple[tuple[str | None, str, tuple[str, ...]], ...] = ()
    queues: tuple[str, ...] = ()
    optional: bool = False
    known_at: str | None = None
    unit: str | None = None
    dimension: str | None = None
    line: int = 0
    aliases: tuple[str, ...] = ()

    @property
    def zoned(self) -> bool:
        """Whether its dates are instants (UTC), not local days."""
        return self.zone is not None or any(has_zone(form) for form in self.format)

    def meaning_of(self) -> dict[str, str]:
        """Return each declared word of a verdict or outcome with what it means."""
        return {word: value for value, words in self.values for word in words}

    def family_of(self) -> dict[str, str]:
        """Return each declared reason with its family."""
        return {word: family for family, words in self.families for word in words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A leads contract as a value; read one with `load_contract`.

    Parameters
    ----------
    name : str
        The contract's name.
    tables : tuple of Table
        The first one holds one row per lead.
    columns : tuple of Column
        In the order of the file.
    windows_verdict, windows_outcome : int or None
        Days until a verdict or an outcome is mature; None means "from data".
    quarantine_limit : float
        Largest share of a table's rows that may be quarantined.
    folder : Path
        Paths of tables are relative to it.
    source : str
        The file's name.
    sha256 : str
        Digest of the file's text.
    """

    name: str
    tables: tuple[Table, ...]
    columns: tuple[Column, ...]
    windows_verdict: int | None = None
    windows_outcome: int | None = None
    quarantine_limit: float = 0.05
    folder: Path = field(default_factory=Path)
    source: str = "<text>"
    sha256: str = ""

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def column_by_role(self, role: str) -> Column | None:
        """Return the (first) column with this role, or None."""
        return next((column for column in self.columns if column.role == role), None)

    def attributes(self) -> dict[str, str]:
        """Return the names of the attribute columns with their types."""
        return {column.name: column.type for column in self.columns if column.role == "attribute"}

    def table(self, name: str) -> Table | None:
        """Return the table called `name`, or None."""
        return next((table for table in self.tables if table.name == name), None)


def extra_sources(contract: Contract, table: Table) -> list[str]:
    """Return the columns of a table that are read only for what they say about others."""
    conditions = [
        name
        for column in contract.columns
        if column.table == table.name and column.role != "personal"
        for _, name, _ in column.only_if
    ]
    latest = table.latest
    if latest is not None:
        conditions += [latest.at, latest.of, *(name for _, name, _ in latest.only_if)]
    lists = [] if table.merged_ids is None else [table.merged_ids]
    return [*(name for _, name, _ in table.marks), *lists, *conditions]

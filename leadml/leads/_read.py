"""Read an export through its contract; nothing is guessed and nothing is lost silently."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._files import compute_sha256
from leadml.errors import LeadsError, QuarantineError
from leadml.leads._cells import TypedColumn, empty_series, level_series, text_series, type_column
from leadml.leads._clock import start_of_frame
from leadml.leads._contract import extra_sources
from leadml.leads._csv import Reject, mask
from leadml.leads._dates import has_zone, parse_microseconds
from leadml.leads._history import change_notices, read_changes, values_at_handoff
from leadml.leads._merged import hash_merged_ids, mark_merged_ids, with_merged_hashes
from leadml.leads._presets import needs_header, settle_names
from leadml.leads._sources import read_header, read_table, resolve_place, with_leads
from leadml.leads._store import open_store
from leadml.leads._table import LeadTable, Manifest, TableCount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leadml.leads._contract import Column, Contract, Table
    from leadml.leads._history import Changes
    from leadml.leads._raw import RawTable

__all__ = [
    "JoinFit",
    "TypedTable",
    "assemble",
    "change_counts",
    "conditional_texts",
    "day_of_export",
    "digest_inputs",
    "family_series",
    "find_places",
    "key_texts",
    "known_instants",
    "last_stages",
    "over_limit_error",
    "quarantine_frame",
    "read_leads",
    "refuse_over_limit",
    "set_back",
    "typed_rows",
    "unlisted_notices",
    "wanted_sources",
]

_LABEL_ROLES = frozenset(
    {"verdict", "decided", "reason", "outcome", "closed", "amount", "handed_over", "rep"}
)
_SHOWN_FROM = 3  # a word that fewer rows carry may be a person's; it is shown as a shape


def read_leads(
    contract: Contract,
    *,
    leads: Path | str | None = None,
    as_of: dt.date | None = None,
    need: Literal["loop", "attributes"] = "loop",
    pseudonym_key: str | None = None,
) -> LeadTable:
    """Read the leads that a contract describes.

    A row that breaks the contract is quarantined; every other row is kept exactly as the contract says.
    Rows reconcile: read = kept + quarantined + duplicates.

    Parameters
    ----------
    contract : Contract
        From `load_contract`.
    leads : path-like, optional
        A file in place of the first table's.
    as_of : date, optional
        The day of the export; by default the latest day on which something is known to have happened.
    need : {"loop", "attributes"}
        ``"attributes"`` lets verdicts, outcomes, their dates and joined tables be absent: for scoring.
    pseudonym_key : str, optional
        A secret of at least 16 characters. With it each personal column becomes ``<name>_pseudonym``: equal
        people (spelling apart) have equal pseudonyms, and nobody without the key can try names against them
        (HMAC-SHA-256). Without it personal columns are not read at all.

    Returns
    -------
    LeadTable

    Raises
    ------
    InputMissingError
        If a table's file is not there.
    LeadsError
        If a file as a whole is not what the contract says.
    QuarantineError
        If more rows of a table are damaged than `Contract.quarantine_limit` allows.
    """
    contract = with_leads(contract, leads)
    paths = find_places(contract, leads)
    if need == "attributes":
        paths = {
            name: path
            for name, path in paths.items()
            if name == contract.tables[0].name or not isinstance(path, Path) or path.exists()
        }
    contract, left_out = settle_names(
        contract,
        {
            table.name: read_header(table, paths[table.name])
            for table in contract.tables
            if table.name in paths
        }
        if needs_header(contract)
        else {},
    )
    reads = {
        table.name: _read_typed(
            contract, table, paths[table.name], lenient=need == "attributes", key=_checked_key(pseudonym_key)
        )
        for table in contract.tables
        if table.name in paths and table.history is None
    }
    main = reads[contract.tables[0].name]
    _drop_repeated_ids(contract, main)
    others = [reads[table.name] for table in contract.tables[1:] if table.name in reads]
    for other in others:
        _drop_repeated_keys(other)
    for read in reads.values():
        _refuse_over_limit(contract, read, reads)
    kept = np.flatnonzero(main.keep)
    fit = JoinFit()
    places = _join(contract, reads, kept, fit)
    frame = assemble(contract, reads, places, len(kept), fit)
    notices = []
    changes = []
    with closing(open_store()) as store:
        for table in _history_tables(contract, paths):
            each = read_changes(contract, table, paths[table.name], store=store)
            refuse_over_limit(contract, each.table, each.rejects, each.n_read)
            frame, counts = set_back(contract, each, frame)
            notices += change_notices(each, counts)
            changes.append(each)
    unlisted = {name: words for read in reads.values() for name, words in read.unlisted.items()}
    notices = [
        *left_out,
        *(note for read in reads.values() for note in (*read.raw.notices, *read.notices)),
        *unlisted_notices(contract, unlisted),
        *fit.notices(),
        *notices,
    ]
    day, day_notice = (as_of, None) if as_of is not None else _latest_day(contract, frame)
    manifest = Manifest(
        read=main.raw.n_read,
        kept=len(kept),
        quarantined=main.n_quarantined,
        duplicates=main.n_duplicates,
        notices=(*notices, *([day_notice] if day_notice else [])),
        data_sha256=digest_inputs(paths, reads),
        other_tables=(*table_counts(others), *change_counts(changes)),
        nameless=tuple((name, place) for name, read in reads.items() for place in read.raw.nameless),
    )
    return LeadTable(
        frame=frame,
        contract=contract,
        manifest=manifest,
        quarantine=quarantine_frame([*_rejects(reads), *((each.table, each.rejects) for each in changes)]),
        as_of=day,
        lines=main.raw.lines[kept],
    )


@dataclass(slots=True)
class TypedTable:
    """A table while it is being read."""

    table: Table
    raw: RawTable
    typed: dict[str, pd.Series[Any]]
    keep: np.ndarray[Any, np.dtype[np.bool_]]
    broken: dict[int, Reject] = field(default_factory=dict)
    n_duplicates: int = 0
    notices: list[str] = field(default_factory=list)
    unlisted: dict[str, dict[str, int]] = field(default_factory=dict)
    moments: np.ndarray[Any, np.dtype[np.int64]] | None = None

    @property
    def n_quarantined(self) -> int:
        return len(self.broken) + len(self.raw.rejects)

    def break_row(self, row: int, column: str | None, rule: str, text: object) -> None:
        shape = "" if text is None else mask(str(text))
        self.broken[row] = Reject(int(self.raw.lines[row]), column, rule, shape)
        self.keep[row] = False


def find_places(contract: Contract, leads: Path | str | None) -> dict[str, Path | str]:
    """Return where each table lies."""
    return {table.name: resolve_place(contract, table, leads) for table in contract.tables}


def _checked_key(key: str | None) -> bytes | None:
    if key is None:
        return None
    if len(key) < 16:
        raise LeadsError("pseudonym_key: expected at least 16 characters. A short key can be guessed.")
    return key.encode()


def _read_typed(
    contract: Contract, table: Table, path: Path | str, *, lenient: bool, key: bytes | None = None
) -> TypedTable:
    wanted, optional = wanted_sources(contract, table), list[str]()
    if lenient:
        optional = [
            column.source
            for column in contract.columns
            if column.table == table.name and column.role in _LABEL_ROLES
        ] + _left_keys(contract, table)
    personal = [
        column
        for column in contract.columns
        if column.table == table.name and column.role == "personal" and key is not None
    ]
    sources = [column.source for column in personal]
    raw = read_table(table, path, wanted=[*wanted, *sources], optional=[*optional, *sources])
    if table.merged_ids is not None:
        ids = raw.columns[_id_source(contract)]
        table = with_merged_hashes(table, [hash_merged_ids(ids, raw.columns[table.merged_ids])])
    read = typed_rows(contract, table, raw)
    for column in personal:
        texts = raw.columns.get(column.source)
        if texts is not None and key is not None:
            read.typed[column.name] = text_series([_pseudonym(text, key) for text in texts])
    for source in set(sources) - set(wanted):  # an e-mail may join two tables
        raw.columns.pop(source, None)
    return read


def wanted_sources(contract: Contract, table: Table) -> list[str]:
    """Return the columns of a table that are read: used ones, keys of joins and what others depend on."""
    used = [
        column.source
        for column in contract.columns
        if column.table == table.name and column.role != "personal"
    ]
    own_key = [] if table.join is None else [table.join[2]]
    names = [*used, *_left_keys(contract, table), *extra_sources(contract, table), *own_key]
    return list(dict.fromkeys(names))


def _left_keys(contract: Contract, table: Table) -> list[str]:
    return [other.join[1] for other in contract.tables if other.join and other.join[0] == table.name]


def typed_rows(contract: Contract, table: Table, raw: RawTable) -> TypedTable:
    """Read the texts of a table as the contract says; rows that break it or do not count are not kept."""
    read = TypedTable(table, raw, {}, np.ones(len(raw.lines), dtype=bool))
    mark_rows(read)
    if table.merged_ids is not None:
        mark_merged_ids(read, raw.columns[_id_source(contract)], raw.columns[table.merged_ids])
    mark_stages(read)
    for column in contract.columns:
        if column.table == table.name and column.role != "personal":
            absent = column.source in raw.absent
            read.typed[column.name] = (
                empty_series(column, len(raw.lines)) if absent else typed_values(column, read)
            )
    return read


def _id_source(contract: Contract) -> str:
    return next(column.source for column in contract.columns if column.role == "id")


def _pseudonym(text: object, key: bytes) -> str | None:
    plain = " ".join(str(text).casefold().split()) if text is not None else ""
    return hmac.new(key, plain.encode(), "sha256").hexdigest()[:20] if plain else None


def typed_values(column: Column, read: TypedTable) -> pd.Series[Any]:
    texts = conditional_texts(column, read)
    declared = column
    if column.type == "date" and column.source in read.raw.formats:
        given = read.raw.formats[column.source]
        alike = tuple(form for form in column.format if has_zone(form) == has_zone(given[0]))
        declared = dataclasses.replace(column, format=(*given, *alike))
    if column.role in {"verdict", "outcome"}:
        texts = _flag_words(column, texts)
    typed: TypedColumn = type_column(declared, texts)
    for row, rule in typed.bad.items():
        if row not in read.broken:
            read.break_row(row, column.name, rule, texts[row])
    if typed.unlisted:
        read.unlisted[column.name] = typed.unlisted
    return typed.series


def mark_rows(read: TypedTable) -> None:
    """Take out records that the system itself marks as deleted or merged into another one."""
    for rule, name, words in read.table.marks:
        if name not in read.raw.columns:
            continue
        for row in np.flatnonzero(_says(read.raw.columns[name], words) & read.keep).tolist():
            if rule == "merged":
                read.keep[row] = False
                read.n_duplicates += 1
            else:
                read.break_row(row, None, "deleted", None)


def mark_stages(read: TypedTable) -> None:
    """Take out the rows of a log of stages that tell of no stage, or not when it began."""
    latest = read.table.latest
    if latest is None:
        return
    tells = np.ones(len(read.raw.lines), dtype=bool)
    for _, name, words in latest.only_if:
        tells &= _says(read.raw.columns[name], words)
    read.n_duplicates += int((read.keep & ~tells).sum())
    read.keep &= tells
    texts = read.raw.columns[latest.at]
    formats = (*read.raw.formats.get(latest.at, ()), *latest.format)
    read.moments = np.zeros(len(tells), dtype=np.int64)
    for row in np.flatnonzero(read.keep).tolist():
        moment = parse_microseconds(str(texts[row]).strip(), formats)
        if isinstance(moment, str):
            read.break_row(row, latest.at, moment, texts[row])
        else:
            read.moments[row] = moment


def conditional_texts(column: Column, read: TypedTable) -> Any:
    """Return the texts of a column, empty where another column says that they do not count."""
    texts = read.raw.columns[column.source]
    meaning = {word.strip(): value for word, value in column.meaning_of().items()}
    for value, name, words in column.only_if:
        if name not in read.raw.columns:
            continue
        off = ~_says(read.raw.columns[name], words)
        if value is not None:
            off &= np.array([meaning.get(str(text).strip()) == value for text in texts], dtype=bool)
        texts = _emptied(texts, off)
    if column.queues:
        texts = _emptied(texts, _says(texts, column.queues))
    return texts


def _emptied(texts: Any, where: Any) -> Any:
    changed = texts.copy()
    changed[where] = None
    return changed


def _says(texts: Any, words: tuple[str, ...]) -> Any:
    """Say where a text is one of the words; ``*`` is any text, ``00G*`` any text that begins so."""
    plain = {word.strip().casefold() for word in words}
    starts = tuple(word[:-1] for word in plain if word.endswith("*") and len(word) > 1)
    return np.array(
        [
            text is not None
            and (known := str(text).strip().casefold()) != ""
            and ("*" in plain or known in plain or (bool(starts) and known.startswith(starts)))
            for text in texts
        ],
        dtype=bool,
    )


def _flag_words(column: Column, texts: np.ndarray[Any, np.dtype[np.object_]]) -> Any:
    """Let a flag mean the contract's word for it, however it is spelled: true, TRUE, True, or typed."""
    meaning = column.meaning_of()
    words = {word.strip().casefold(): word for word in meaning}
    known: dict[str, str] = {}
    for value, others in (("true", ("1", "yes", "t")), ("false", ("0", "no", "f"))):
        word = next((words[each] for each in (value, *others) if each in words), None)
        spellings = (value, value.capitalize(), value.upper())
        known |= {each: word for each in spellings if word is not None and each not in meaning}
    if not known:
        return texts
    return np.array([known.get(text, text) if text is not None else None for text in texts], dtype=object)


def _drop_repeated_ids(contract: Contract, main: TypedTable) -> None:
    """Drop identical records with the same id; quarantine later ones that say something else."""
    column = contract.column_by_role("id")
    if column is None or column.table != main.table.name:
        raise LeadsError(
            f"{contract.source}: the column with role id must come from the first table"
            f" ({main.table.name!r}): it names the leads."
        )
    texts = main.raw.columns[column.source]
    missing = main.typed[column.name].isna().to_numpy()
    for row in np.flatnonzero(missing & main.keep):
        main.break_row(int(row), column.name, "missing_id", texts[row])
    main.n_duplicates += _drop_repeats(main, texts, column.name, "conflicting_id")


def _drop_repeated_keys(read: TypedTable) -> None:
    if read.table.join is None:
        return
    key = read.table.join[2]
    texts = key_texts(read, key)
    if read.table.latest is not None and read.moments is not None:
        rows = np.flatnonzero(read.keep & np.array([text is not None for text in texts], dtype=bool))
        order = rows[np.lexsort((rows, read.moments[rows]))].tolist()
        stages = read.raw.columns[read.table.latest.of]
        chosen = last_stages((texts[row], stages[row], row) for row in order)
        read.keep[rows] = False
        read.keep[chosen] = True
        read.n_duplicates += len(rows) - len(chosen)
        return
    read.n_duplicates += _drop_repeats(read, texts, key, "conflicting_key")


def _drop_repeats(read: TypedTable, texts: Any, name: str, rule: str) -> int:
    first: dict[str, int] = {}
    duplicates = 0
    texts = np.array([None if text is None else text.strip() for text in texts], dtype=object)
    rows = np.flatnonzero(read.keep)
    repeated = pd.Series(texts[rows]).duplicated(keep=False).to_numpy()
    for row in rows[repeated].tolist():
        text = texts[row]
        if text is None or text == "":
            continue
        if text not in first:
            first[text] = row
        elif all(values[row] == values[first[text]] for values in read.raw.columns.values()):
            read.keep[row] = False
            duplicates += 1
        else:
            read.break_row(row, name, rule, text)
    return duplicates


def last_stages(changes: Iterable[tuple[Any, Any, int]]) -> list[int]:
    """Return for each key the row with which its last stage began.

    Parameters
    ----------
    changes : iterable of (key, stage, row)
        In the order of time, at least those of one key.
    """
    last: dict[Any, tuple[Any, int]] = {}
    for key, stage, row in changes:
        known = last.get(key)
        if known is None or known[0] != stage:
            last[key] = (stage, row)
    return [row for _, row in last.values()]


def key_texts(read: TypedTable, column: str) -> Any:
    values = read.raw.columns.get(column)
    if values is None:
        return np.full(len(read.raw.lines), None, dtype=object)
    return np.array([None if text is None else str(text).strip() or None for text in values], dtype=object)


def table_counts(reads: list[TypedTable]) -> tuple[TableCount, ...]:
    """Count the rows of joined tables."""
    return tuple(
        TableCount(
            table=read.table.name,
            read=read.raw.n_read,
            kept=int(read.keep.sum()),
            quarantined=read.n_quarantined,
            duplicates=read.n_duplicates,
        )
        for read in reads
    )


def _rejects(reads: dict[str, TypedTable]) -> list[tuple[str, list[Reject]]]:
    return [(read.table.name, [*read.raw.rejects, *read.broken.values()]) for read in reads.values()]


def _refuse_over_limit(contract: Contract, read: TypedTable, reads: dict[str, TypedTable]) -> None:
    total = read.raw.n_read
    if total == 0 or read.n_quarantined <= contract.quarantine_limit * total:
        return
    rejects = [*read.raw.rejects, *read.broken.values()]
    error = over_limit_error(contract, read.table.name, rejects, total)
    error.quarantine = quarantine_frame(_rejects(reads))
    raise error


def refuse_over_limit(contract: Contract, table: str, rejects: list[Reject], total: int) -> None:
    """Refuse a table of which more rows are damaged than the contract allows."""
    if total and len(rejects) > contract.quarantine_limit * total:
        error = over_limit_error(contract, table, rejects, total)
        error.quarantine = quarantine_frame([(table, rejects)])
        raise error


def over_limit_error(contract: Contract, table: str, rejects: list[Reject], total: int) -> QuarantineError:
    """Say which rules too many rows break."""
    counts: dict[tuple[str, str], int] = {}
    lines: dict[tuple[str, str], int] = {}
    for reject in sorted(rejects, key=lambda reject: reject.line):
        key = (reject.rule, reject.column or "")
        counts[key] = counts.get(key, 0) + 1
        lines.setdefault(key, reject.line)
    top = sorted(counts, key=lambda key: (-counts[key], key))[:5]
    return QuarantineError(
        f"table {table!r}: {len(rejects):,} of {total:,} rows break the contract"
        f" (limit {contract.quarantine_limit:.1%}); nothing is published.",
        *(
            f"table {table!r}: {counts[key]:,} rows break rule {key[0]}"
            f"{f' in column {key[1]}' if key[1] else ''}, first in line {lines[key]}."
            for key in top
        ),
    )


@dataclass(slots=True)
class JoinFit:
    """What does not fit between the tables, counted over all leads however many are read at once.

    Attributes
    ----------
    lost, found : dict of str to int
        For each joined table the leads that point to a row that is not there, and to one that is.
    used : dict of str to array of bool
        For each joined table which of its rows belong to a lead, or are not kept.
    reasons : dict of str to dict of str to int
        For each column of reasons the words of no declared family.
    """

    lost: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    used: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, name: str, keep: np.ndarray[Any, Any], found: np.ndarray[Any, Any], n_lost: int) -> None:
        """Count the leads of one reading: their rows in this table, and how many point to none."""
        self.lost[name] = self.lost.get(name, 0) + n_lost
        self.found[name] = self.found.get(name, 0) + int((found >= 0).sum())
        used = self.used.setdefault(name, ~keep)
        used[found[found >= 0]] = True

    def add_reasons(self, column: Column, reasons: pd.Series[Any]) -> None:
        """Count the reasons of no declared family."""
        families = {word.strip() for word in column.family_of()}
        counts = self.reasons.setdefault(column.name, {})
        for text, count in reasons.dropna().astype(str).str.strip().value_counts().items():
            if text not in families:
                counts[str(text)] = counts.get(str(text), 0) + int(count)

    def notices(self) -> list[str]:
        """Say what does not fit."""
        found = []
        for name, used in self.used.items():
            if self.lost[name]:
                found.append(
                    f"{name}: {self.lost[name]:,} leads point to a row that is not there"
                    " (or is in quarantine)."
                )
            if self.lost[name] and len(used) and not self.found[name]:
                found.append(
                    f"{name}: no lead finds its row. The two columns of the join hold different things, or"
                    " write them differently (capitals, zeros in front, ids of 15 and of 18 characters)."
                )
            unused = int((~used).sum())
            if unused:
                found.append(f"{name}: {unused:,} rows belong to no lead that was kept.")
        for name, counts in self.reasons.items():
            if counts:
                found.append(
                    f"{name}: reasons of no declared family, counted as other: {_shown_words(counts)}."
                )
        return found


def _join(
    contract: Contract, reads: dict[str, TypedTable], kept: np.ndarray[Any, Any], fit: JoinFit
) -> dict[str, np.ndarray[Any, Any]]:
    """Return for each table the row that belongs to each kept lead (-1: none); count what does not fit."""
    places: dict[str, np.ndarray[Any, Any]] = {contract.tables[0].name: kept}
    for table in contract.tables[1:]:
        if table.join is None or table.name not in reads or table.join[0] not in reads:
            places[table.name] = np.full(len(kept), -1)
            continue
        left_name, left_column, right_column = table.join
        left, right = reads[left_name], reads[table.name]
        rows = np.flatnonzero(right.keep)
        right_keys = key_texts(right, right_column)[rows]
        where = {key: int(row) for key, row in zip(right_keys, rows, strict=True) if key is not None}
        left_keys = key_texts(left, left_column)
        wanted = [left_keys[place] if place >= 0 else None for place in places[left_name]]
        found = np.array([where.get(key, -1) if key is not None else -1 for key in wanted], dtype=np.int64)
        places[table.name] = found
        lost = sum(1 for key, place in zip(wanted, found, strict=True) if key is not None and place < 0)
        fit.add(table.name, right.keep, found, lost)
    return places


def assemble(
    contract: Contract,
    reads: dict[str, TypedTable],
    places: dict[str, np.ndarray[Any, Any]],
    n: int,
    fit: JoinFit,
) -> pd.DataFrame:
    data: dict[str, Any] = {}
    whole = {
        name: name in reads and np.array_equal(place, np.arange(len(reads[name].raw.lines)))
        for name, place in places.items()
    }
    for column in contract.columns:
        read = reads.get(column.table)
        place = places[column.table]
        if column.role == "personal":
            if read is not None and column.name in read.typed:
                pseudonyms = read.typed[column.name].array.take(place, allow_fill=True)
                data[f"{column.name}_pseudonym"] = pd.Series(pseudonyms)
            continue
        if read is None:
            data[column.name] = empty_series(column, n)
            continue
        series = read.typed[column.name]
        if not whole[column.table]:
            series = pd.Series(series.array.take(place, allow_fill=True))
        if column.role in {"verdict", "outcome"}:
            series = series.fillna("pending" if column.role == "verdict" else "open")
        data[column.name] = series
        if column.families:
            data[f"{column.name}_family"] = family_series(column, series)
            fit.add_reasons(column, series)
    return pd.DataFrame(data, index=pd.RangeIndex(n))


def family_series(column: Column, reasons: pd.Series[Any]) -> pd.Series[Any]:
    """Return the declared family of each reason; ``other`` for a reason of no declared family."""
    families = {word.strip(): family for word, family in column.family_of().items()}
    levels = list(dict.fromkeys([*(family for family, _ in column.families), "other"]))
    codes, uniques = pd.factorize(reasons.to_numpy(dtype=object), use_na_sentinel=True)
    places = [levels.index(families.get(str(text).strip(), "other")) for text in uniques]
    table = np.array([*places, -1], dtype=np.int64)
    return level_series(table[codes], levels)


def _shown_words(counts: dict[str, int]) -> str:
    """List words with their counts; a rare word is shown as its shape, it may be a person's."""
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    shown = ", ".join(f"{word if count >= _SHOWN_FROM else mask(word)} ({count:,})" for word, count in top)
    more = len(counts) - 5
    return f"{shown} and {more} more" if more > 0 else shown


def unlisted_notices(contract: Contract, unlisted: dict[str, dict[str, int]]) -> list[str]:
    """Say which words of a verdict or outcome the contract does not name, and how they were read."""
    notices = []
    for name, words in unlisted.items():
        column = contract.column(name)
        rest = "pending" if column is not None and column.role == "verdict" else "open"
        notices.append(f"{name}: not declared, read as {rest}: {_shown_words(words)}.")
    return notices


def known_instants(contract: Contract, frame: pd.DataFrame) -> list[pd.Series[Any]]:
    """Return the dates on which something is known to have happened, one series per role."""
    instants = []
    for role in ("created", "handed_over", "decided", "closed"):
        column = contract.column_by_role(role)
        if column is None or column.type != "date" or column.name not in frame.columns:
            continue
        values = frame[column.name]
        outcome = contract.column_by_role("outcome") if role == "closed" else None
        if outcome is not None and outcome.name in frame.columns:
            values = values[frame[outcome.name] != "open"]
        if values.dt.tz is not None:
            values = values.dt.tz_localize(None)
        instants.append(values.dropna())
    return instants


def _latest_day(contract: Contract, frame: pd.DataFrame) -> tuple[dt.date, str | None]:
    counts: dict[int, int] = {}
    for series in known_instants(contract, frame):
        days, sizes = np.unique(series.to_numpy(dtype="datetime64[D]").astype(np.int64), return_counts=True)
        for day, size in zip(days.tolist(), sizes.tolist(), strict=True):
            counts[day] = counts.get(day, 0) + size
    return day_of_export(counts)


def day_of_export(counts: dict[int, int]) -> tuple[dt.date, str | None]:
    """Return the latest day on which something is known to have happened, from the number of dates per day.

    One lone date far after all the others (more than a year past the 99.5 % point) is a typing error, not
    the day of the export.
    """
    if not counts:
        return dt.date(1970, 1, 1), None
    days = np.array(sorted(counts))
    reached = np.cumsum([counts[day] for day in days.tolist()])
    high = int(days[int(np.searchsorted(reached, 0.995 * (reached[-1] - 1), side="right"))]) + 366
    latest = dt.date(1970, 1, 1) + dt.timedelta(days=int(days[days <= high].max()))
    n_beyond = sum(count for day, count in counts.items() if day > high)
    if not n_beyond:
        return latest, None
    return (
        latest,
        f"{n_beyond} dates lie more than a year after the others; the export is taken as of {latest}.",
    )


def _history_tables(contract: Contract, paths: dict[str, Path | str]) -> list[Table]:
    return [table for table in contract.tables if table.history is not None and table.name in paths]


def set_back(
    contract: Contract, changes: Changes, frame: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, tuple[int, int]]]:
    """Take the attributes as they were at the handoff; count what was set back and what was unreadable."""
    start = start_of_frame(contract, frame)
    if start.dtype.kind != "M":
        return frame, {}
    return values_at_handoff(contract, changes, frame=frame, start=start)


def change_counts(changes: Sequence[Changes]) -> tuple[TableCount, ...]:
    """Count the rows of tables of changes."""
    return tuple(
        TableCount(
            table=each.table,
            read=each.n_read,
            kept=each.n_read - len(each.rejects),
            quarantined=len(each.rejects),
            duplicates=0,
        )
        for each in changes
    )


def quarantine_frame(tables: list[tuple[str, list[Reject]]]) -> pd.DataFrame:
    """List the quarantined rows of each table in the order of its lines."""
    rows = [
        (table, reject.line, reject.column, reject.rule, reject.shape)
        for table, rejects in tables
        for reject in sorted(rejects, key=lambda reject: reject.line)
    ]
    frame = pd.DataFrame(rows, columns=["table", "line", "column", "rule", "shape"])
    frame["column"] = frame["column"].astype(object).where(frame["column"].notna(), None)
    return frame


def digest_inputs(paths: dict[str, Path | str], reads: dict[str, TypedTable]) -> str:
    """Return the digest of the files, and of what was read from where there is no file."""
    lines = [
        f"{name} {compute_sha256(path) if isinstance(path, Path) else _content_digest(reads[name].raw)}"
        for name, path in paths.items()
        if isinstance(path, Path) or name in reads
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content_digest(raw: RawTable) -> str:
    """Return the digest of what was read from where there is no file."""
    digest = hashlib.sha256()
    for name in sorted(raw.columns):
        digest.update(f"{name}\x1e".encode())
        digest.update("\x1f".join("\x00" if text is None else text for text in raw.columns[name]).encode())
    return digest.hexdigest()

"""The evidence keys of a lead in SQL: one whole number per table of counts, from its attributes.

Four SELECTs around each other: values and tests of the definition, their bins, the bins that matter with the
pass bits, the keys. Beyond the first they compare and add whole numbers only, so every engine agrees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadml.definitions import Criterion, compile_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from leadml.definitions import Definition, Dialect, Group
    from leadml.propose._bins import Cut
    from leadml.propose._board import Board
    from leadml.propose._dials import Dial
    from leadml.propose._joint import Job
    from leadml.propose._rules import Handoff

__all__ = ["CELL", "write_keys"]

CELL = "evidence_cell"
"""The column of what is counted of a lead; null for a lead that does not count."""


def write_keys(
    definition: Definition,
    board: Board,
    jobs: Sequence[Job],
    n_cells: int,
    *,
    dialect: Dialect,
    table: str,
    as_of: date | None,
) -> str:
    """Write a SELECT of the key of every job, null where no alternative can move the lead.

    A key is ``((2 * truth table + handed over) * n_bins + bin …) * n_cells + cell``.
    """
    used = {number: dial for number, dial in enumerate(board.dials) if board.decides[number]}
    tests = {
        f"t{number}_{place}": criterion
        for number, dial in used.items()
        for place, criterion in enumerate(dial.bins.rules)
    }
    values = {
        f"v{number}_{place}": cut.attribute
        for number, dial in used.items()
        for place, cut in enumerate(dial.bins.cuts)
    }
    parts = compile_parts(
        definition, values=values, tests=tests, columns=[CELL], dialect=dialect, table=table, as_of=as_of
    )
    raw = [f"{_raw(number, dial, definition)} AS r{number}" for number, dial in used.items()]
    binned = [f"{_ranges(f'r{number}', dial.merge)} AS c{number}" for number, dial in used.items()]
    views = sorted({(number, turn) for job in jobs for number, turn in zip(job.dials, job.only, strict=True)})
    views = sorted({*views, *((number, 0) for number in used)})
    bits = [
        f"{_ranges(f'c{number}', board.dials[number].passes[turn].astype(np.int64))} AS b{number}_{turn}"
        for number, turn in views
    ]
    names = {dial.address: f"b{number}_0" for number, dial in used.items() if not dial.users}
    handed = _case(_handed_over(board.handoff, names, {}))
    keys = [f"{_key(board, job, names, n_cells)} AS k{number}" for number, job in enumerate(jobs)]
    query = _select([CELL, *raw], parts, "parts", where=f"{CELL} IS NOT NULL")
    query = _select([CELL, *binned], query, "cut")
    query = _select([CELL, *(f"c{number}" for number in used), *bits], query, "binned")
    query = _select(["*", f"{handed} AS handed"], query, "passed")
    return _select(keys, query, "known")


def _select(columns: Sequence[str], source: str, name: str, *, where: str = "") -> str:
    condition = f"\nWHERE {where}" if where else ""
    return f"SELECT {', '.join(columns)}\nFROM (\n{source}\n) AS {name}{condition}"


# -- bins --------------------------------------------------------------------------------------------------


def _raw(number: int, dial: Dial, definition: Definition) -> str:
    """Write the bin of a dial before bins are joined."""
    bins, found = dial.bins, "0"
    for place, cut in enumerate(bins.cuts):
        own = _cut(f"v{number}_{place}", cut, definition)
        found = f"({found} * {cut.n} + {own})" if place else own
    for place in range(len(bins.rules)):
        found = f"({found} * 2 + t{number}_{place})"
    return found


def _cut(value: str, cut: Cut, definition: Definition) -> str:
    attribute = definition.typed_attributes()[cut.attribute]
    last = 2 * len(cut.edges) + 1
    if attribute.type == "boolean":
        return f"CASE WHEN {value} IS NULL THEN {last} WHEN {value} THEN 3 ELSE 1 END"
    if cut.levels:
        edges = np.array(cut.edges)
        listed = " ".join(
            f"WHEN {value} = {_text(level)} THEN {_place(edges, place)}"
            for place, level in enumerate(cut.levels)
        )
        other = last if cut.others == "missing" else _place(edges, -1)
        return f"CASE WHEN {value} IS NULL THEN {last} {listed} ELSE {other} END"
    scaled = value if cut.scale == 1 else f"ROUND({value} * {cut.scale})"
    listed = " ".join(
        f"WHEN {scaled} {sign} {_double(edge)} THEN {2 * place + at}"
        for place, edge in enumerate(cut.edges)
        for at, sign in enumerate("<=")
    )
    return f"CASE WHEN {value} IS NULL THEN {last} {listed} ELSE {last - 1} END"


def _place(edges: NDArray[np.float64], value: int) -> int:
    return int(np.searchsorted(edges, value, "left") + np.searchsorted(edges, value, "right"))


def _double(number: float) -> str:
    text = repr(number)
    return text if "e" in text else f"{text}e0"


def _text(level: str) -> str:
    return "'" + level.replace("'", "''") + "'"


def _ranges(column: str, codes: NDArray[np.integer]) -> str:
    """Write what an array gives for a column of places in it, runs of the same number joined."""
    ends = [*np.flatnonzero(np.diff(codes)).tolist(), len(codes) - 1]
    if len(ends) == 1:
        return str(int(codes[0]))
    listed = " ".join(f"WHEN {column} <= {end} THEN {int(codes[end])}" for end in ends[:-1])
    return f"CASE {listed} ELSE {int(codes[-1])} END"


# -- who is handed over ------------------------------------------------------------------------------------


def _key(board: Board, job: Job, names: Mapping[str, str], n_cells: int) -> str:
    addresses = [address for number in job.dials for address in board.dials[number].criteria]
    handoff = board.handoff_of(job.variant)
    states = [
        _handed_over(
            handoff, names, {address: bool(x >> place & 1) for place, address in enumerate(addresses)}
        )
        for x in range(1 << len(addresses))
    ]
    everybody = (1 << len(states)) - 1
    truth = " + ".join(_case(state, 1 << x) for x, state in enumerate(states))
    key = f"CAST(2 * ({truth}) + handed AS BIGINT)"
    for number, turn in zip(job.dials, job.only, strict=True):
        dial = board.dials[number]
        size = 1 << len(dial.criteria) if turn else dial.passes.shape[1]
        key = f"({key} * {size} + {f'b{number}_{turn}' if turn else f'c{number}'})"
    stays = f"({truth}) = CASE WHEN handed = 1 THEN {everybody} ELSE 0 END"
    return f"CASE WHEN {stays} THEN NULL ELSE {key} * {n_cells} + {CELL} END"


def _case(condition: str | bool, number: int = 1) -> str:  # noqa: FBT001
    if isinstance(condition, bool):
        return str(number if condition else 0)
    return f"CASE WHEN {condition} THEN {number} ELSE 0 END"


def _handed_over(handoff: Handoff, names: Mapping[str, str], forced: Mapping[str, bool]) -> str | bool:
    """Write the condition of being handed over, with what is known of it worked in."""
    found: str | bool = handoff.rest
    for rule, handed in reversed(handoff.rules):
        met = _met(rule, names, forced)
        if isinstance(met, bool):
            found = handed if met else found
        elif isinstance(found, bool):
            found = found if found == handed else (met if handed else f"(NOT {met})")
        else:
            found = f"({met} OR {found})" if handed else f"(NOT {met} AND {found})"
    return found


def _met(rule: Criterion | Group, names: Mapping[str, str], forced: Mapping[str, bool]) -> str | bool:
    if isinstance(rule, Criterion):
        return forced[rule.address] if rule.address in forced else f"({names[rule.address]} = 1)"
    met = [_met(member, names, forced) for member in rule.members]
    open_ = [part for part in met if not isinstance(part, bool)]
    k = rule.k - sum(part is True for part in met)
    if k <= 0 or k > len(open_):
        return k <= 0
    if k == len(open_):
        return f"({' AND '.join(open_)})"
    if k == 1:
        return f"({' OR '.join(open_)})"
    return f"({' + '.join(_case(part) for part in open_)} >= {k})"

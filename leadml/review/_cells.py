"""The groups of leads behind a what-if: who is handed over, counted, and never a group under five."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.definitions import Criterion, compute_won_prices
from leadml.review._dials import Choice, proposed_choices
from leadml.review._figures import SMALLEST_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Definition, Group
    from leadml.review._dials import Axis, Dial
    from leadml.review._parts import Run

    Ints = NDArray[np.int64]

__all__ = ["COUNTS", "count_cells", "describe_rules", "hand_over", "join_small"]


def describe_rules(definition: Definition, dials: Sequence[Dial]) -> tuple[dict[str, Any], ...]:
    """Describe the classes up to the last that goes to Sales, with criteria as positions of dials."""
    place = {dial.address: number for number, dial in enumerate(dials)}

    def node(group: Group) -> dict[str, Any]:
        members = [
            ({"dial": place.get(member.address, -1)} if isinstance(member, Criterion) else node(member))
            for member in group.members
        ]
        return {"kind": group.kind, "k": group.k, "members": members}

    classes: list[dict[str, Any]] = []
    for lead_class in definition.classes:
        rule = None if lead_class.rule is None else node(lead_class.rule)
        handed = definition.handed_over(lead_class.name)
        classes.append({"name": lead_class.name, "handed": handed, "rule": rule})
        if all(not definition.handed_over(c.name) for c in definition.classes[len(classes) :]):
            break
    return tuple(classes)


def hand_over(
    classes: Iterable[Mapping[str, Any]],
    cells: pd.DataFrame,
    dials: Sequence[Dial],
    choices: Sequence[Choice],
) -> NDArray[np.bool_]:
    """Say which groups of leads go to Sales with the dials as chosen."""
    n = len(cells)
    met: list[NDArray[np.bool_] | None] = []
    for dial, choice in zip(dials, choices, strict=True):
        bins = np.isin(cells[f"b{dial.axis}"].to_numpy(), choice.bins)
        met.append(bins if choice.used else None)

    def passes(node: Mapping[str, Any]) -> NDArray[np.bool_] | None:
        masks = []
        for member in node["members"]:
            if "dial" in member:
                mask = met[member["dial"]] if member["dial"] >= 0 else np.zeros(n, dtype=np.bool_)
            else:
                mask = passes(member)
            if mask is not None:
                masks.append(mask)
        if not masks:
            return None
        needed = {"all_of": len(masks), "any_of": 1}.get(node["kind"], min(node["k"], len(masks)))
        return np.asarray(np.sum(masks, axis=0) >= needed, dtype=np.bool_)

    free, handed = np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for entry in classes:
        taken = None if entry["rule"] is None else passes(entry["rule"])
        here = free if taken is None else free & taken
        if entry["handed"]:
            handed |= here
        free = free & ~here
    return handed


COUNTS = ("n", "accepted_known", "accepted", "won_known", "won", "worth")


def count_cells(
    run: Run,
    axes: Sequence[Axis],
    dials: Sequence[Dial],
    classes: Sequence[Mapping[str, Any]],
    table: pd.DataFrame,
) -> tuple[pd.DataFrame, int]:
    """Count the leads group by group, small groups joined with their neighbours."""
    table = table.assign(n=1)
    for target in ("accepted", "won"):
        value = run.targets[target].to_numpy(dtype=float, na_value=np.nan)
        known = ~np.isnan(value) & run.targets[f"{target}_mature"].to_numpy(dtype=bool)
        table[f"{target}_known"] = known.astype(np.int64)
        table[target] = (known & (value == 1)).astype(np.int64)
    table["worth"] = 0.0
    if run.definition.prices.won_default is not None:
        prices = np.asarray(compute_won_prices(run.definition, run.table.frame), dtype=np.float64)
        table["worth"] = np.where(table["won"] == 1, prices, 0.0)
    keys = [f"b{number}" for number in range(len(axes))]
    cells = table.groupby(keys, sort=True, as_index=False)[list(COUNTS)].sum()
    plain = tuple(Choice(bins=dial.bins) for dial in dials)
    later = proposed_choices(dials)
    block = 2 * hand_over(classes, cells, dials, plain) + hand_over(classes, cells, dials, later)
    return join_small(cells, block.astype(np.int64), keys)


def join_small(cells: pd.DataFrame, block: Ints, keys: list[str]) -> tuple[pd.DataFrame, int]:
    """Join cells of under five leads with their neighbours in the same block."""
    order = np.lexsort([*(cells[key].to_numpy() for key in reversed(keys)), block])
    n = cells["n"].to_numpy()
    groups: list[list[int]] = []
    sizes: list[int] = []
    for row in order:
        same = bool(groups) and block[groups[-1][0]] == block[row]
        if same and (sizes[-1] < SMALLEST_GROUP or n[row] < SMALLEST_GROUP):
            groups[-1].append(int(row))
            sizes[-1] += int(n[row])
        else:
            groups.append([int(row)])
            sizes.append(int(n[row]))
    label = np.empty(len(cells), dtype=np.int64)
    for number, rows in enumerate(groups):
        label[rows] = number
    joined = cells.groupby(label)[list(COUNTS)].sum()
    largest = [rows[int(np.argmax(n[rows]))] for rows in groups]
    places = cells.loc[largest, keys].reset_index(drop=True)
    joined = pd.concat([places, joined.reset_index(drop=True)], axis=1)
    big = joined["n"] >= SMALLEST_GROUP
    return joined[big].reset_index(drop=True), int(joined.loc[~big, "n"].sum())

"""What would have to be different for a lead to be handed over, in the definition's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.definitions import Criterion, assign_classes, describe_criterion, evaluate_criteria

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from leadml.definitions import Attribute, Definition, Group

__all__ = ["describe_nearest"]

_Change = tuple[Criterion, ...]


def describe_nearest(
    definition: Definition,
    leads: pd.DataFrame,
    *,
    lead_class: str | None = None,
    as_of: date | None = None,
) -> pd.Series:
    """Describe the fewest criteria that each lead would have to meet to be in a class.

    This says what the definition asks, not what would happen: a lead made to look different is not a
    better lead.

    Parameters
    ----------
    definition : Definition
        The written definition.
    leads : DataFrame
        With the definition's attributes.
    lead_class : str, optional
        The class; by default the first one that goes to Sales.
    as_of : date, optional
        The day at which ages in the definition end.

    Returns
    -------
    Series of str
        Indexed as `leads`: ``is hot``; ``would be hot if purchase timeframe were at most 6 months``; or why
        no change of its own makes it hot. Ties go to the criteria that stand first in the file.

    Raises
    ------
    KeyError
        If the definition has no such class.
    """
    name = lead_class or next(iter(definition.handoff), definition.classes[0].name)
    target = definition.lead_class(name)
    met = evaluate_criteria(definition, leads, as_of=as_of)
    classes = assign_classes(definition, leads, as_of=as_of).astype(object).to_numpy()
    attributes = definition.typed_attributes()
    earlier = {c.name for c in definition.classes[: definition.classes.index(target)]}
    columns = [str(column) for column in met.columns]
    patterns = pd.DataFrame(met).assign(**{"": classes})
    codes = patterns.groupby([*columns, ""], sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    words = []
    for row in first:
        here = {column: bool(met[column].iloc[row]) for column in columns}
        current = str(classes[row])
        if current == name:
            words.append(f"is {name}")
        elif current in earlier:
            words.append(f"is {current}, which comes before {name}")
        elif target.rule is None:
            words.append(f"would be {name} if no other class took it")
        else:
            change = _fewest(target.rule, here)
            words.append(_say(name, change, attributes))
    return pd.Series(np.array(words, dtype=object)[codes], index=leads.index, name="nearest", dtype=object)


def _fewest(group: Group, met: Mapping[str, bool]) -> _Change | None:
    """Return the fewest criteria that complete a group; None if nothing can."""
    ways: list[_Change | None] = []
    for member in group.members:
        if not isinstance(member, Criterion):
            ways.append(_fewest(member, met))
        elif member.address not in met:
            ways.append(None)  # prose is met by nobody
        else:
            ways.append(() if met[member.address] else (member,))
    possible = sorted((way for way in ways if way is not None), key=len)
    needed = {"all_of": len(ways), "any_of": 1}.get(group.kind, group.k)
    if len(possible) < needed:
        return None
    return tuple(criterion for way in possible[:needed] for criterion in way)


def _say(name: str, change: _Change | None, attributes: Mapping[str, Attribute]) -> str:
    if change is None:
        return f"cannot be {name}: a criterion of it cannot be measured"
    ordered = sorted(change, key=lambda criterion: (criterion.line, criterion.column))
    wishes = (describe_criterion(c, attributes.get(c.attribute or "")) for c in ordered)
    return f"would be {name} if {' and '.join(dict.fromkeys(w.replace(': ', ' were ', 1) for w in wishes))}"

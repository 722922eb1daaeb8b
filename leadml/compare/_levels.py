"""Which levels of an attribute the labels tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from leadml.compare._rates import TARGETS

if TYPE_CHECKING:
    from leadml.compare._rates import Labels, Target
    from leadml.definitions import Definition

__all__ = ["compare_levels_of"]

SMALLEST_LEVEL = 5
_COLUMNS = ["attribute", "level", "target", "n_leads", "share", "n", "rate", "ci_low", "ci_high"]


def compare_levels_of(
    definition: Definition, frame: pd.DataFrame, labels: dict[Target, Labels]
) -> pd.DataFrame:
    """Give the rate of each level of the attributes that the definition's criteria test by level.

    Parameters
    ----------
    definition : Definition
        Its criteria on categories, ordinals and booleans say which attributes.
    frame : DataFrame
        The leads.
    labels : dict of target to Labels
        Settled labels.

    Returns
    -------
    DataFrame
        One row per attribute, level and target, most leads first: ``attribute``, ``level`` (``(missing)``
        where nothing is filled in), ``target``, ``n_leads``, ``share``, ``n`` (labelled), ``rate``,
        ``ci_low``, ``ci_high``. Levels of fewer than five leads are left out.
    """
    by_level = {
        item.name for item in definition.attributes if item.type in {"category", "ordinal", "boolean"}
    }
    tested = dict.fromkeys(item.attribute for item in definition.criteria() if item.attribute in by_level)
    rows = []
    for attribute in tested:
        texts = frame[attribute].astype("str").where(frame[attribute].notna(), "(missing)")
        counts = texts.value_counts()
        for level in sorted(counts.index, key=lambda name, sizes=counts: (-int(sizes[name]), str(name))):  # type: ignore[misc]
            if counts[level] < SMALLEST_LEVEL:
                continue
            here = (texts == level).to_numpy(dtype=bool)
            for target in TARGETS:
                rate = labels[target].rate(here)
                counted = (int(here.sum()), float(here.mean()), rate.n)
                rows.append((attribute, str(level), target, *counted, rate.rate, rate.ci_low, rate.ci_high))
    return pd.DataFrame(rows, columns=_COLUMNS)

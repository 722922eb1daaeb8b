"""What is known of leads that were never handed over, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from leadml._render import format_count, format_rate, format_rate_range

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["describe_selection"]

_COLUMNS = (
    *("target", "n_handed_over", "n_rest", "n_rest_labelled", "overlap"),
    *("rate_rest", "bound_low", "bound_high", "reading"),
)
_WORDS = {"accepted": ("verdict", "accepted"), "won": ("outcome", "won")}
_FULL = 0.95


def describe_selection(handoff: pd.DataFrame) -> pd.DataFrame:
    """Say how many leads outside the handoff have a label, and within what bounds all of them must lie.

    Parameters
    ----------
    handoff : DataFrame
        The comparison's rows per period and target.

    Returns
    -------
    DataFrame
        One row per target; see `DefinitionComparison.selection`.

    References
    ----------
    C. F. Manski (1989), "Anatomy of the selection problem", Journal of Human Resources 24.
    """
    rows: list[dict[str, Any]] = []
    for row in handoff[handoff["period"] == "all"].to_dict("records"):
        rest = int(row["n_mature_rest"])
        rows.append(
            {
                "target": row["target"],
                "n_handed_over": int(row["n_handed_over"]),
                "n_rest": rest,
                "n_rest_labelled": int(row["n_rest"]),
                "overlap": row["n_rest"] / rest if rest else float("nan"),
                "rate_rest": row["rate_rest"],
                "bound_low": row["bound_low_rest"],
                "bound_high": row["bound_high_rest"],
            }
        )
        rows[-1]["reading"] = _read(rows[-1])
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _read(row: Mapping[str, Any]) -> str:
    label, word = _WORDS[row["target"]]
    rest, known = row["n_rest"], row["n_rest_labelled"]
    if not rest:
        return "Every lead that is old enough is handed over: nothing is hidden by the choice."
    told = f"Of {format_count(rest)} leads that were not handed over {format_count(known)} "
    told += f"{'has' if known == 1 else 'have'} a settled {label}"
    if not known:
        return f"{told}: what they would have done is unknown, and no model can tell."
    if known >= _FULL * rest:
        return f"{told}: {format_rate(row['rate_rest'])} of them are {word}."
    bounds = format_rate_range(row["bound_low"], row["bound_high"])
    return (
        f"{told}, {format_rate(row['rate_rest'])} of these are {word}; who has one is no random draw. Of all "
        f"of them it is {bounds}, and where in between is unknown."
    )

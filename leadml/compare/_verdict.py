"""One word per criterion, with the rule that gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._render import format_count, format_rate, format_rate_range
from leadml.compare._contribution import Pays, compute_leave_one_out
from leadml.compare._profile import compute_band
from leadml.compare._rates import TARGETS, Target, compute_difference, compute_rate
from leadml.compare._stability import compute_homogeneity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadml.compare._cells import Cells
    from leadml.compare._profile import MarginalProfile
    from leadml.compare._rates import Labels
    from leadml.definitions import Criterion, Definition

__all__ = ["Verdict", "find_through", "judge_criteria", "name_quadrant"]

Verdict = Literal["keep", "tighten", "loosen", "drop", "not enough data", "rewrite"]

MIN_LABELLED = 50
MIN_BAND = 20
ERROR_RATE = 0.05
UNSTABLE = 0.01
_COLUMNS = ("criterion", "verdict", "rule", "target", "quadrant", "through", "stable")
_THINGS = {"accepted": "accepted leads", "won": "won deals"}
_WINS = {"accepted": "are accepted", "won": "are won"}


def judge_criteria(
    definition: Definition,
    *,
    cells: Cells,
    labels: Mapping[Target, Labels],
    pays: Mapping[Target, Pays],
    criteria: pd.DataFrame,
    contributions: pd.DataFrame,
    profiles: Sequence[MarginalProfile],
    stability: pd.DataFrame,
) -> pd.DataFrame:
    """Give each criterion a verdict, the rule behind it, and what else is to be known of it.

    The verdict says where all settled leads point. It is no proposal: a change is proposed only if the
    newest leads confirm it (`leadml.propose`). Every comparison is made at the 5 % error rate over all
    criteria together.

    Parameters
    ----------
    definition : Definition
        The written definition.
    cells, labels, pays
        The leads by the criteria they meet, their labels, and the rates from which a lead pays.
    criteria, contributions, stability : DataFrame
        What was computed of each criterion.
    profiles : sequence of MarginalProfile
        The pictures of its thresholds.

    Returns
    -------
    DataFrame
        ``criterion``, ``verdict`` (keep, tighten, loosen, drop, not enough data, rewrite), ``rule``,
        ``target`` (which label decided), ``quadrant``, ``through`` (another criterion through which alone
        it matters), ``stable`` (False if it separates leads differently from period to period).
    """
    target: Target = "won" if labels["won"].known.any() else "accepted"
    confidence = 1 - ERROR_RATE / max(len(definition.criteria()), 1)
    n, k = cells.labelled(labels[target])
    rows: list[dict[str, Any]] = []
    for criterion in definition.criteria():
        part = criteria[criteria["criterion"] == criterion.address].set_index("target")
        own = contributions[
            (contributions["criterion"] == criterion.address) & (contributions["target"] == target)
        ]
        picture = next((p for p in profiles if p.criterion == criterion.address and p.target == target), None)
        if not criterion.measurable:
            verdict, rule = "rewrite", "Nobody can measure this sentence, so no lead meets it."
        elif own.empty:
            verdict, rule = "keep", "It only decides between classes that do not go to Sales."
        else:
            left_out = compute_leave_one_out(
                cells, criterion.address, n, k, rate=pays[target].gained, confidence_level=confidence
            )
            row = {str(name): value for name, value in own.iloc[0].items()}
            verdict, rule = _judge(
                row, picture, left_out, pays=pays[target], target=target, confidence=confidence
            )
        rows.append(
            {
                "criterion": criterion.address,
                "verdict": verdict,
                "rule": rule,
                "target": target,
                "quadrant": name_quadrant(part),
                "through": _through(criterion, cells, labels[target]),
                "stable": _is_stable(criterion, stability),
            }
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _judge(
    own: Mapping[str, Any],
    picture: MarginalProfile | None,
    left_out: tuple[float, float, float],
    *,
    pays: Pays,
    target: Target,
    confidence: float,
) -> tuple[Verdict, str]:
    if own["n_pivotal_inside"] < MIN_LABELLED:
        return "not enough data", (
            f"{format_count(own['n_pivotal_inside'])} leads with an answer depend on it; "
            f"{MIN_LABELLED} are needed."
        )
    value, _, high = left_out
    if high < 0 and _pays_everywhere(picture, pays):
        return (
            "drop",
            f"The leads that it alone stops are worth their work ({_worth(-value, -high, target)}).",
        )
    bands: dict[bool, tuple[str, int, float, float, float]] = {}
    if picture is not None:
        bands = {
            inside: compute_band(picture, inside=inside, confidence_level=confidence)
            for inside in (True, False)
        }
        inner, outer = bands[True], bands[False]
        if inner[1] >= MIN_BAND and inner[4] < pays.lost:
            needed = format_rate(pays.lost)
            return "tighten", f"Leads at {inner[0]} do not pay: {_figures(inner, target)}; it takes {needed}."
        if outer[1] >= MIN_BAND and outer[3] > pays.gained:
            needed = format_rate(pays.gained)
            return "loosen", f"Leads at {outer[0]} would pay: {_figures(outer, target)}; it takes {needed}."
    return _keep(own, bands, left_out, pays=pays, target=target)


def _pays_everywhere(picture: MarginalProfile | None, pays: Pays) -> bool:
    """Say whether no part of what a threshold stops lies below break-even."""
    if picture is None:
        return True
    outside = picture.bins[~picture.bins["inside"] & (picture.bins["n"] > 0)]
    return bool((outside["smooth"] >= pays.gained).all())


def _figures(band: tuple[str, int, float, float, float], target: Target) -> str:
    _, n, rate, low, high = band
    return f"{format_rate(rate)} of them {_WINS[target]} ({format_rate_range(low, high)}, n = {n:,})"


def _keep(
    own: Mapping[str, Any],
    bands: Mapping[bool, tuple[str, int, float, float, float]],
    left_out: tuple[float, float, float],
    *,
    pays: Pays,
    target: Target,
) -> tuple[Verdict, str]:
    value, low, _ = left_out
    if low > 0:
        worth = _worth(value, low, target)
        return "keep", f"It earns its place: the leads that it alone stops do not pay ({worth})."
    if own["sole_leads"] == 0:
        return "keep", "Other criteria stop the same leads; without it nothing would change."
    if own["n_pivotal_outside"] >= MIN_LABELLED:
        return "not enough data", "Its worth cannot be told from nothing with the leads there are."
    if bands and bands[True][1] >= MIN_BAND and bands[True][3] > pays.lost:
        return "keep", f"Leads just inside ({bands[True][0]}) pay; the leads it stops have no answers."
    return "not enough data", "The leads that it stops have no answers."


def _worth(value: float, low: float, target: Target) -> str:
    return f"worth {value:.1f} {_THINGS[target]} per 1,000 leads, at least {low:.1f}"


def name_quadrant(part: pd.DataFrame) -> str:
    """Say what both sides think of a criterion, from inside minus outside on both targets.

    Parameters
    ----------
    part : DataFrame
        Rows ``accepted`` and ``won`` with ``difference_low`` and ``difference_high``.

    Returns
    -------
    str
    """
    signs = []
    for target in TARGETS:
        low, high = float(part.loc[target, "difference_low"]), float(part.loc[target, "difference_high"])  # type: ignore[arg-type]
        signs.append(np.nan if np.isnan(low) else float(low > 0) - float(high < 0))
    if np.isnan(signs).all():
        return "not known: there are no answers to compare"
    return _QUADRANTS.get((signs[0], signs[1]), "only one side's answers are known")


_QUADRANTS = {
    (1.0, 1.0): "Sales likes it and it closes",
    (1.0, -1.0): "Sales likes it but it closes less",
    (1.0, 0.0): "Sales likes it; that it closes is not shown",
    (-1.0, 1.0): "it closes but Sales likes it less",
    (0.0, 1.0): "it closes; that Sales likes it is not shown",
    (-1.0, -1.0): "Sales likes the others better and they close more",
    (-1.0, 0.0): "Sales likes the others better; that they close more is not shown",
    (0.0, -1.0): "the others close more; that Sales likes them better is not shown",
    (0.0, 0.0): "no difference is shown",
}


def _through(criterion: Criterion, cells: Cells, labels: Labels) -> str:
    return find_through(cells, labels, criterion.address) if criterion.address in cells.addresses else ""


def find_through(cells: Cells, labels: Labels, address: str) -> str:
    """Find another criterion through which alone this one matters.

    Leads that meet the criterion differ from the others; among leads that meet another criterion equally
    they no longer do, and less than half of the difference is left (Mantel-Haenszel weights).

    Parameters
    ----------
    cells : Cells
        The leads by the criteria they meet.
    labels : Labels
        Settled labels.
    address : str
        The criterion.

    Returns
    -------
    str
        Address of the other criterion that leaves least, or "".

    References
    ----------
    N. Mantel and W. Haenszel (1959), J. National Cancer Institute 22; S. Greenland and J. Robins (1985),
    "Estimation of a common effect parameter from sparse follow-up data", Biometrics 41.
    """
    n, k = cells.labelled(labels)
    own = cells.addresses.index(address)
    crude, low, high = _difference(n, k, cells.met[:, own], np.zeros(cells.n_cells, dtype=np.int64))
    if not (low > 0 or high < 0):
        return ""
    best, left = "", abs(crude) / 2
    for column, other in enumerate(cells.addresses):
        if column == own or bool((cells.met[:, column] == cells.met[:, own]).all()):
            continue
        adjusted, low, high = _difference(n, k, cells.met[:, own], cells.met[:, column].astype(np.int64))
        if low <= 0 <= high and abs(adjusted) < left:
            best, left = other, abs(adjusted)
    return best


def _difference(n: Any, k: Any, inside: Any, stratum: Any) -> tuple[float, float, float]:
    """Return the difference inside minus outside, averaged over strata, with a 95 % range."""
    total, variance, weights = 0.0, 0.0, 0.0
    for level in (0, 1):
        pair = [
            compute_rate(int(k[mask].sum()), int(n[mask].sum()))
            for mask in (inside & (stratum == level), ~inside & (stratum == level))
        ]
        if min(rate.n for rate in pair) == 0:
            continue
        weight = pair[0].n * pair[1].n / (pair[0].n + pair[1].n)
        difference, low, high = compute_difference(*pair)
        total += weight * difference
        variance += (weight * (high - low) / 3.92) ** 2
        weights += weight
    if weights == 0:
        return np.nan, np.nan, np.nan
    spread = 1.96 * variance**0.5 / weights
    return total / weights, total / weights - spread, total / weights + spread


def _is_stable(criterion: Criterion, stability: pd.DataFrame) -> bool | None:
    rows = stability[(stability["criterion"] == criterion.address) & (stability["by"] == "period")]
    found = [compute_homogeneity(rows[rows["target"] == target]) for target in TARGETS]
    known = [p_value for p_value in found if not np.isnan(p_value)]
    return None if not known else min(known) >= UNSTABLE

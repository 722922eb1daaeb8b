"""How much the reps' strictness matters to acceptance, and what the attributes look like without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml._render import render_card, render_frame
from leadml.metrics import compare_segments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.metrics import Spread
    from leadml.models._candidates import Candidate

__all__ = ["RepEffects", "code_reps", "estimate_rep_effects"]

_MIN_LEADS = 10
_ERROR_RATE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RepEffects:
    """Strictness of the reps as one number and one test; never a ranking.

    Attributes
    ----------
    n_reps, n : int
        Reps with at least ten decided leads, and the training leads.
    spread : Spread
        Between the reps' offsets given the attributes: test of overdispersion, median odds ratio.
    matters : bool
        The test says that reps differ (p < 0.05); then they enter the model as fixed effects and its
        predictions are made at the average rep.
    attributes : DataFrame
        One row per attribute: attribute, unadjusted, adjusted (how far it spreads the log-odds, as a standard
        deviation, without and with the reps in the model), correlation of the two.
    """

    n_reps: int
    n: int
    spread: Spread
    matters: bool
    attributes: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per attribute: attribute, unadjusted, adjusted, correlation."""
        return self.attributes.copy()

    def __repr__(self) -> str:
        ratio, p = self.spread.median_odds_ratio, self.spread.p_value
        if not self.matters:
            return f"{self.n_reps} reps do not differ in strictness beyond chance (p = {p:.2g})"
        return (
            f"the same lead has {ratio:.1f} times the odds of acceptance with the more lenient of two random "
            f"reps (median odds ratio of {self.n_reps} reps, overdispersion p = {p:.1g}); the model is "
            "adjusted for the rep and predicts for the average one"
        )

    def _repr_html_(self) -> str:
        return str(render_card("Reps", [repr(self), render_frame(self.attributes)]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how far each attribute spreads the log-odds, without and with the reps in the model."""
        from leadml._plotting import plot_ranges

        rows = [
            self.attributes.assign(label=self.attributes["attribute"], group=words, value=values)
            for words, values in (
                ("over all leads", self.attributes["unadjusted"]),
                ("within reps", self.attributes["adjusted"]),
            )
        ]
        frame = pd.concat(rows)
        frame = frame.assign(ci_low=frame["value"], ci_high=frame["value"])
        return plot_ranges(frame, ax, xlabel="spread of the log-odds of acceptance", percent="")


def code_reps(reps: pd.Series, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Give each training lead the number of its rep; reps with few leads and no rep share number 0.

    Parameters
    ----------
    reps : Series
        Rep of every lead.
    rows : ndarray of int
        Positions of the training leads.

    Returns
    -------
    ndarray of int of shape (n_rows,) or None
        None with fewer than two reps of ten leads, or more reps than a twentieth of the leads.
    """
    names = reps.iloc[rows].astype("object").where(reps.iloc[rows].notna(), "").map(str).to_numpy()
    found, where, n = np.unique(names.astype(str), return_inverse=True, return_counts=True)
    own = (n >= _MIN_LEADS) & (found != "")
    if own.sum() < 2 or own.sum() > rows.size / 20:
        return None
    number = np.where(own, np.cumsum(own), 0)
    return np.asarray(number[where], dtype=np.int64)


def estimate_rep_effects(
    candidate: Candidate, X: pd.DataFrame, y: NDArray[np.float64], *, groups: NDArray[np.int64]
) -> RepEffects:
    """Fit acceptance with and without the reps and measure how much they differ.

    Parameters
    ----------
    candidate : Candidate
        An additive logistic regression.
    X : DataFrame
        Features of the training leads.
    y : ndarray of shape (n_leads,)
        1 accepted, 0 rejected.
    groups : ndarray of int of shape (n_leads,)
        From `code_reps`.

    Returns
    -------
    RepEffects

    References
    ----------
    .. [1] Larsen, Merlo (2005), American Journal of Epidemiology 161, 81-88.
    """
    plain, adjusted = candidate.fit(X, y), candidate.fit(X, y, groups)
    codes = plain["encode"].transform(X)
    before = plain["model"].contributions(codes)
    after = adjusted["model"].contributions(adjusted["encode"].transform(X))
    known = groups > 0
    found = compare_segments(y[known], adjusted.predict_proba(X)[known, 1], groups[known])
    rows = []
    for j, name in enumerate(X.columns):
        one, two = before[:, j], after[:, j]
        both = one.std() > 0 and two.std() > 0
        rows.append(
            {
                "attribute": name,
                "unadjusted": round(float(one.std()), 10),
                "adjusted": round(float(two.std()), 10),
                "correlation": round(float(np.corrcoef(one, two)[0, 1]), 10) if both else np.nan,
            }
        )
    return RepEffects(
        n_reps=int(np.unique(groups[known]).size),
        n=int(y.size),
        spread=found.spread,
        matters=found.spread.p_value < _ERROR_RATE,
        attributes=pd.DataFrame(rows, columns=["attribute", "unadjusted", "adjusted", "correlation"]),
    )

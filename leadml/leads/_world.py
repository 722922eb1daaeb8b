"""A market with a known truth, from which synthetic leads are drawn."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BUDGETS", "INDUSTRIES", "SOURCES", "TITLES", "SyntheticWorld", "draw_leads"]

BUDGETS = ("none", "exploring", "requested", "approved")
TITLES = ("staff", "manager", "director", "vp", "c_level")
INDUSTRIES = ("software", "manufacturing", "public")
SOURCES = ("Web", "Trade Show", "Referral", "Purchased List")
REASONS = (
    "Company too small",
    "No product fit",
    "No budget",
    "Bad timing",
    "No need",
    "Unable to reach",
    "Bad email",
)
_MONTHS = np.array([1, 2, 3, 4, 6, 9, 12, 18, 24], dtype=np.float64)
_MONTH_SHARES = np.array([0.08, 0.09, 0.14, 0.07, 0.17, 0.12, 0.16, 0.09, 0.08])


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticWorld:
    """What is true in a synthetic market, and what its written definition says.

    A lead that is handed over wins with probability `win_rate` times mild factors of its other attributes if
    it meets every *true* criterion, and with `win_rate_outside` if it misses one. The *written* definition
    hands over the leads that meet every written criterion. Where written and true differ, a threshold is too
    lax (provable from the leads) or too strict (not provable: nobody below it was ever handed over).

    Parameters
    ----------
    written_timeframe, true_timeframe : float
        Longest purchase timeframe in months.
    written_budget, true_budget : str
        Lowest budget status.
    written_employees, true_employees : int
        Smallest company.
    win_rate, win_rate_outside : float
        Chance that a worked lead becomes a won deal inside and outside the true criteria.
    attribute_effects : float
        Strength of the mild effects of title, demo request and industry on winning (0: none).
    win_value, win_value_large, cost : float
        Prices: a win, a win at a company of 500 people or more, working one lead.
    exploration_share : float
        Share of the leads outside the definition that are handed over at random.
    override_share : float
        Share of the leads outside the definition that a rep picked by hand (preferring good ones).
    n_reps, rep_spread : int, float
        Number of reps, and standard deviation of their strictness on the logit scale.
    drift : float
        Relative change of the win rate per quarter.
    close_days, open_share : float
        Mean days from handoff to a won deal; share of lost deals that nobody ever closes.
    start, n_months : date, int
        First day and length of the export.
    missing_share : float
        Share of missing values in timeframe, title and employees.

    Notes
    -----
    What is true, and where to read it:

    ==================  ================================================================================
    what                where
    ==================  ================================================================================
    true thresholds     ``true_timeframe``, ``true_budget``, ``true_employees``; ``meets_true`` of each lead
    written thresholds  ``written_timeframe``, …; ``meets_written`` of each lead
    selection           only leads that meet every written criterion are handed over, within a day, and the
                        few that were ``explored`` at random or ``picked`` by a rep: the others get no verdict
    chance of a deal    ``win_probability`` if worked; ``would_win``, also of leads never handed over
    acceptance          logistic in title, budget, the true size and the rep's strictness, and never below
                        the chance of a deal; ``would_accept``
    rep strictness      normal with deviation `rep_spread` on the logit scale; `SyntheticTruth.strictness`
    lag                 to the verdict exponential (mean 5 days, at most 45); to a won deal gamma of shape 2
                        with mean `close_days`, to a lost one 1.2 times as long; `open_share` of the lost
                        deals is never closed; nothing after the day of the export is known
    drift               the chance changes by the factor ``1 + drift`` each quarter, counted from the middle
    missing             `missing_share` of timeframe, title and employees, at random
    reasons             a rejected lead below the true size is "too small" in 60 % of the cases, else any
    traps               in the files of `write_synthetic_leads`, line and rule in `SyntheticLeads.traps`
    ==================  ================================================================================

    The columns of each lead's truth are in `SyntheticTruth.frame`.

    Examples
    --------
    >>> SyntheticWorld().true_employees
    50
    >>> SyntheticWorld.already_optimal().written_employees
    50
    """

    written_timeframe: float = 6.0
    true_timeframe: float = 9.0
    written_budget: str = "exploring"
    true_budget: str = "exploring"
    written_employees: int = 10
    true_employees: int = 50
    win_rate: float = 0.16
    win_rate_outside: float = 0.006
    attribute_effects: float = 1.0
    win_value: float = 12_000.0
    win_value_large: float = 40_000.0
    cost: float = 600.0
    exploration_share: float = 0.0
    override_share: float = 0.0
    n_reps: int = 12
    rep_spread: float = 0.6
    drift: float = -0.03
    close_days: float = 36.0
    open_share: float = 0.25
    start: dt.date = dt.date(2025, 1, 1)
    n_months: int = 15
    missing_share: float = 0.06

    @classmethod
    def already_optimal(cls) -> SyntheticWorld:
        """Return the world in which every written threshold is the true one: nothing may be proposed."""
        return cls(written_timeframe=9.0, written_employees=50, drift=0.0)

    @property
    def break_even(self) -> float:
        """Win rate at which working a lead pays: cost / value of a win."""
        return self.cost / self.win_value

    @property
    def as_of(self) -> dt.date:
        """Day of the export."""
        months = self.start.month - 1 + self.n_months
        return dt.date(self.start.year + months // 12, months % 12 + 1, 1) - dt.timedelta(days=1)


def draw_leads(world: SyntheticWorld, n_leads: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw leads, who is handed over, and what Sales and the customers do with them.

    Returns
    -------
    dict of arrays of shape (n_leads,)
        In order of creation. Attributes, days counted from `world.start` (NaN: not happened by `as_of`),
        verdict and outcome codes, and the truth: ``win_probability`` (if worked), ``would_win`` (the
        potential outcome, known even for leads never handed over), ``meets_written``, ``meets_true``.
    """
    leads = _draw_attributes(world, n_leads, rng)
    horizon = (world.as_of - world.start).days + 1
    created = np.sort(rng.integers(0, horizon, n_leads)).astype(np.float64)
    written = _meets(leads, world.written_timeframe, world.written_budget, world.written_employees)
    true = _meets(leads, world.true_timeframe, world.true_budget, world.true_employees)
    chance = _win_chance(world, leads, true, created)
    explored = ~written & (rng.random(n_leads) < world.exploration_share)
    picked = ~written & ~explored & (rng.random(n_leads) < world.override_share * (0.5 + true))
    handed = written | explored | picked
    handed_day = np.where(handed, created + rng.integers(0, 2, n_leads), np.nan)
    handed_day[handed_day >= horizon] = np.nan

    rep = rng.integers(0, world.n_reps, n_leads)
    strictness = rng.normal(0.0, world.rep_spread, world.n_reps)
    liking = (
        1.1
        + 0.7 * (leads["title_level"] >= 2)
        + 0.4 * (leads["budget_status"] >= 2)
        - 0.9 * (leads["employees"] < world.true_employees)
        - strictness[rep]
    )
    accept_chance = np.maximum(1.0 / (1.0 + np.exp(-liking)), chance)
    would_accept = rng.random(n_leads) < accept_chance
    would_win = would_accept & (rng.random(n_leads) < np.minimum(chance / accept_chance, 1.0))
    decided_day = handed_day + np.minimum(rng.exponential(5.0, n_leads), 45.0).round()
    decided_day[~(decided_day < horizon)] = np.nan
    decided = ~np.isnan(decided_day)
    lag = np.where(
        would_win,
        rng.gamma(2.0, world.close_days / 2.0, n_leads),
        rng.gamma(2.0, 1.2 * world.close_days / 2.0, n_leads),
    )
    never = ~would_win & (rng.random(n_leads) < world.open_share)
    closed_day = np.where(
        decided & would_accept & ~never, np.maximum(handed_day + lag.round(), decided_day), np.nan
    )
    closed_day[~(closed_day < horizon)] = np.nan
    large = np.nan_to_num(leads["employees"]) >= 500
    value = np.where(large, world.win_value_large, world.win_value)
    return {
        **leads,
        "created_day": created,
        "handed_day": handed_day,
        "decided_day": decided_day,
        "closed_day": closed_day,
        "verdict": np.where(decided, np.where(would_accept, 0, 1), 2),
        "outcome": np.where(np.isnan(closed_day), 2, np.where(would_win, 0, 1)),
        "has_deal": decided & would_accept,
        "amount": np.where(decided & would_accept, value * rng.lognormal(-0.08, 0.4, n_leads), np.nan).round(
            2
        ),
        "rep": rep,
        "reason": _reasons(world, leads, rng),
        "win_probability": chance,
        "would_win": would_win,
        "would_accept": would_accept,
        "meets_written": written,
        "meets_true": true,
        "explored": explored,
        "picked": picked,
        "strictness": strictness,
    }


def _draw_attributes(world: SyntheticWorld, n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    employees = np.clip(np.exp(rng.normal(4.1, 1.5, n)), 1, 60_000).round()
    timeframe = rng.choice(_MONTHS, n, p=_MONTH_SHARES)
    title = rng.choice(5, n, p=[0.28, 0.30, 0.22, 0.10, 0.10]).astype(np.float64)
    for values in (employees, timeframe, title):
        values[rng.random(n) < world.missing_share] = np.nan
    interest = rng.gamma(1.2, 1.0, n)
    return {
        "purchase_timeframe": timeframe,
        "budget_status": rng.choice(4, n, p=[0.36, 0.30, 0.21, 0.13]),
        "title_level": title,
        "industry": rng.choice(3, n, p=[0.45, 0.38, 0.17]),
        "employees": employees,
        "page_views_30d": rng.poisson(4.0 * interest),
        "asked_for_demo": rng.random(n) < 0.08 + 0.12 * np.minimum(interest, 3.0) / 3.0,
        "lead_source": rng.choice(4, n, p=[0.58, 0.20, 0.10, 0.12]),
    }


def _meets(
    leads: dict[str, NDArray[Any]], timeframe: float, budget: str, employees: int
) -> NDArray[np.bool_]:
    return np.asarray(
        (leads["purchase_timeframe"] <= timeframe)
        & (leads["budget_status"] >= BUDGETS.index(budget))
        & (leads["employees"] >= employees)
    )


def _win_chance(
    world: SyntheticWorld,
    leads: dict[str, NDArray[Any]],
    true: NDArray[np.bool_],
    created: NDArray[np.float64],
) -> NDArray[np.float64]:
    mild = (
        0.18 * (leads["title_level"] >= 2)
        + 0.30 * leads["asked_for_demo"]
        + 0.10 * (leads["industry"] == 0)
        + 0.10 * (leads["budget_status"] >= 2)
        - 0.20
    )
    factor = np.exp(world.attribute_effects * mild)
    quarters = (created - created.mean()) / 91.3125 if len(created) else created
    base = np.where(true, world.win_rate * factor, world.win_rate_outside)
    return np.asarray(np.clip(base * (1.0 + world.drift) ** quarters, 0.0, 0.9))


def _reasons(
    world: SyntheticWorld, leads: dict[str, NDArray[Any]], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw why a rep would reject the lead: small companies mostly for their size."""
    n = len(leads["employees"])
    small = leads["employees"] < world.true_employees
    return np.where(small & (rng.random(n) < 0.6), 0, rng.integers(1, len(REASONS), n))

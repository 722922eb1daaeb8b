"""What was promised when the champion was signed, and whether it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._files import read_bytes
from leadml._render import format_rate, format_rate_range, render_card, render_frame
from leadml.definitions import Definition, assign_classes
from leadml.errors import ExperimentError
from leadml.metrics import clopper_pearson
from leadml.monitor._evidence import fall_evidence, rate_range
from leadml.propose import JudgedChange

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

    from leadml.leads import LeadTable
    from leadml.monitor._plan import Plan

__all__ = [
    "PROMISE_COLUMNS",
    "KeptPromise",
    "Promise",
    "RatePromise",
    "handed_over",
    "judge_promises",
    "load_promise",
    "make_promise",
    "parse_promise",
    "promise_from_rows",
    "signed_definition",
]

Verdict = Literal["promise kept", "promise broken", "too early"]
WORDS = {"accepted": "acceptance", "won": "won deals"}
_FEWEST = 20
_LARGEST = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePromise:
    """What one rate of the leads handed over was promised to be.

    Parameters
    ----------
    target : {"accepted", "won"}
    low : float
        At least this is promised: the promise is broken if the rate lies below.
    value : float or None
        What was expected.
    n : int
        Labelled leads that it rests on; 0 if it was agreed without.
    """

    target: str
    low: float
    value: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What was promised of a definition when it was signed.

    Parameters
    ----------
    version : str
        Of the definition that was promised for.
    rates : tuple of RatePromise
        At most one per target.
    """

    version: str
    rates: tuple[RatePromise, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `parse_promise` reads them back."""
        return {
            "version": self.version,
            "rates": [
                {"target": rate.target, "low": rate.low, "value": rate.value, "n": rate.n}
                for rate in self.rates
            ],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per target: target, low, value, n."""
        return pd.DataFrame(self.to_dict()["rates"], columns=["target", "low", "value", "n"])

    def __repr__(self) -> str:
        parts = [
            f"{WORDS[rate.target]} at least {format_rate(rate.low)} ({rate.n:,} leads)" for rate in self.rates
        ]
        return f"Promise of version {self.version}: {'; '.join(parts) or 'nothing'}"

    def _repr_html_(self) -> str:
        return str(render_card(f"Promise of version {self.version}", [render_frame(self.to_frame())]))


def parse_promise(document: Mapping[str, Any], *, source: str = "promise") -> Promise:
    """Read a promise from plain values, as `Promise.to_dict` gives them.

    Parameters
    ----------
    document : mapping
        ``{"version": "2026.4", "rates": [{"target": "won", "low": 0.08}]}``; `value` and `n` may be left out.
    source : str, default "promise"
        Where it stands, for messages.

    Returns
    -------
    Promise

    Raises
    ------
    ExperimentError
        With everything that is wrong.
    """
    findings: list[str] = []
    rates: list[RatePromise] = []
    entries = document.get("rates") if isinstance(document, Mapping) else None
    if not isinstance(entries, list | tuple):
        raise ExperimentError(f"{source}: expected a list under 'rates', got {type(entries).__name__}.")
    for number, entry in enumerate(entries):
        where = f"{source}: rates[{number}]"
        if not isinstance(entry, Mapping) or entry.get("target") not in WORDS:
            findings.append(f"{where}: expected a target, accepted or won.")
            continue
        if entry["target"] in {rate.target for rate in rates}:
            findings.append(f"{where}: {entry['target']} is promised twice.")
            continue
        low, value, n = entry.get("low"), entry.get("value"), entry.get("n", 0)
        if not _is_rate(low) or not (value is None or _is_rate(value)):
            findings.append(f"{where}: expected low (and value) from 0 to 1, got {low!r} and {value!r}.")
        elif isinstance(n, bool) or not isinstance(n, int) or n < 0:
            findings.append(f"{where}: expected a number of leads as n, got {n!r}.")
        else:
            middle = None if value is None else float(value)
            rates.append(RatePromise(target=entry["target"], low=float(low or 0), value=middle, n=n))
    if findings:
        raise ExperimentError(*findings)
    return Promise(version=str(document.get("version", "")), rates=tuple(rates))


def load_promise(path: Path | str) -> Promise:
    """Read a promise from a JSON file.

    Parameters
    ----------
    path : path-like
        Written from `Promise.to_dict`, usually beside the signed proposal.

    Returns
    -------
    Promise

    Raises
    ------
    ExperimentError
        If the file is none.
    InputMissingError
        If it is not there.
    """
    raw = read_bytes(path, what="promise")
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise ExperimentError(f"{path}: not JSON. Write it from Promise.to_dict().") from error
    if not isinstance(document, dict):
        raise ExperimentError(f"{path}: expected an object, got {type(document).__name__}.")
    return parse_promise(document, source=str(path))


def _is_rate(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= 1
    )


def make_promise(
    signed: Definition | JudgedChange,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    before: date | None = None,
    error_rate: float = 0.05,
) -> Promise:
    """Say what a definition may promise, from the leads that came before it was signed.

    The rates are those of the leads that it hands over among the matured labelled leads; what is promised is
    the exact lower bound. A lead that was never worked has no label: after loosening, the promise holds for
    the leads that were worked under the earlier definition too.

    Parameters
    ----------
    signed : Definition or JudgedChange
        The definition, or the proposal that would become it (its `revised` definition).
    table : LeadTable
        The leads.
    targets : DataFrame
        From `compute_targets`.
    before : date, optional
        The day of the sign-off: only leads before it count.
    error_rate : float, default 0.05
        Chance of each lower bound to lie above the true rate.

    Returns
    -------
    Promise
        Without a rate where fewer than 20 labelled leads would have been handed over.

    Raises
    ------
    ExperimentError
        If the proposal carries no definition.
    """
    if isinstance(signed, JudgedChange):
        signed = signed_definition(signed)
    rows = handed_over(signed, assign_classes(signed, table.frame, as_of=table.as_of))
    if before is not None:
        rows = rows & (pd.Series(targets["t0"].to_numpy()) < pd.Timestamp(before)).to_numpy(dtype=bool)
    mature = {name: targets[f"{name}_mature"].to_numpy(dtype=bool) & rows for name in WORDS}
    return promise_from_rows(signed.version, targets, mature, error_rate=error_rate)


def signed_definition(proposal: JudgedChange) -> Definition:
    """Return the definition that a proposal would become."""
    if proposal.revised is None:
        raise ExperimentError(
            f"promise: the proposal for {proposal.criterion} carries no revised definition. Take it from "
            "ProposalSet.proposals."
        )
    return proposal.revised


def promise_from_rows(
    version: str, targets: pd.DataFrame, rows: Mapping[str, NDArray[np.bool_]], *, error_rate: float
) -> Promise:
    """Promise the lower bounds of the rates among given leads."""
    rates = []
    for target in WORDS:
        labels = targets[target].to_numpy(dtype=np.float64)[rows[target]]
        labels = labels[~np.isnan(labels)]
        if labels.size < _FEWEST:
            continue
        low, _ = clopper_pearson(
            labels.sum(), labels.size, confidence_level=1 - error_rate, alternative="greater"
        )
        rates.append(
            RatePromise(target=target, low=float(low), value=float(labels.mean()), n=int(labels.size))
        )
    return Promise(version=version, rates=tuple(rates))


def handed_over(definition: Definition, classes: pd.Series) -> NDArray[np.bool_]:
    """Say which leads are in a class that goes to Sales."""
    return np.array(classes.isin(list(definition.handoff)), dtype=bool)


# ---- judging ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPromise:
    """One promised rate and what came.

    Attributes
    ----------
    target : str
    verdict : {"promise kept", "promise broken", "too early"}
        Broken if at some planned look the evidence that the rate lies, or has fallen, below the promise
        reached 1 / `error_rate`; kept if the range lies above it; too early otherwise.
    promised_low, promised : float
    n, n_yes : int
        Matured labelled leads that the champion handed over.
    rate, ci_low, ci_high : float
        The range is right at all looks together: it allows peeking.
    evidence : float
        Largest e-value against the promise so far.
    broken_on_look : int or None
        First look at which it was broken.
    error_rate : float
        Chance of calling a promise broken that is kept, at any look.
    """

    target: str
    verdict: Verdict
    promised_low: float
    promised: float | None
    n: int
    n_yes: int
    rate: float
    ci_low: float
    ci_high: float
    evidence: float
    broken_on_look: int | None
    error_rate: float

    @property
    def words(self) -> str:
        """Say it in one sentence."""
        came = (
            f"{format_rate(self.rate)} of {self.n:,} matured leads "
            f"({format_rate_range(self.ci_low, self.ci_high)})"
            if self.n
            else "no matured lead yet"
        )
        return f"at least {format_rate(self.promised_low)} promised, {came}: {self.verdict}"


PROMISE_COLUMNS = tuple(KeptPromise.__dataclass_fields__)


def judge_promises(
    promise: Promise,
    targets: pd.DataFrame,
    plan: Plan,
    *,
    handed: NDArray[np.bool_],
    error_rate: float,
) -> tuple[KeptPromise, ...]:
    """Judge each promised rate on the matured leads since the sign-off, as if looked at every week.

    Parameters
    ----------
    promise : Promise
    targets : DataFrame
    plan : Plan
    handed : ndarray of bool
        Leads that the champion hands over.
    error_rate : float
        Of each promise.

    Returns
    -------
    tuple of KeptPromise
    """
    return tuple(_judge(rate, targets, plan, handed, error_rate) for rate in promise.rates)


def _judge(
    promised: RatePromise,
    targets: pd.DataFrame,
    plan: Plan,
    handed: NDArray[np.bool_],
    error_rate: float,
) -> KeptPromise:
    label = targets[promised.target].to_numpy(dtype=np.float64)
    rows = plan.once(handed & plan.fresh & plan.mature(promised.target) & ~np.isnan(label))
    yes, leads = _cumulate(label[rows], plan, rows, promised.target)
    evidence = fall_evidence(yes, leads, rate=promised.low)
    low, high = rate_range(yes[-1], leads[-1], error_rate=error_rate)
    crossed = np.flatnonzero(evidence >= 1 / error_rate)
    verdict: Verdict = "too early"
    if crossed.size:
        verdict = "promise broken"
    elif leads[-1] and low >= promised.low:
        verdict = "promise kept"
    n, k = int(leads[-1]), int(yes[-1])
    return KeptPromise(
        target=promised.target,
        verdict=verdict,
        promised_low=promised.low,
        promised=promised.value,
        n=n,
        n_yes=k,
        rate=k / n if n else float("nan"),
        ci_low=float(low),
        ci_high=float(high),
        evidence=min(float(evidence[-1]), _LARGEST),
        broken_on_look=int(crossed[0]) + 1 if crossed.size else None,
        error_rate=error_rate,
    )


def _cumulate(
    label: NDArray[np.float64], plan: Plan, rows: NDArray[np.bool_], target: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count labels and positive ones as they stood at each planned look so far."""
    if plan.since is None:
        return np.array([label.sum()]), np.array([float(label.size)])
    length = plan.schedule.days_between_looks
    # The look at which a lead is first mature: the smallest k with 7 k - 1 - (day since start) >= window.
    first_day = plan.days_since(rows).astype(np.float64)
    matured = np.ceil((first_day + (plan.windows[target] or 0) + 1) / length).astype(np.int64)
    n_looks = max(plan.look, 1)
    place = np.clip(matured, 1, n_looks) - 1
    leads = np.bincount(place, minlength=n_looks).astype(np.float64)
    yes = np.bincount(place, weights=label, minlength=n_looks)
    return np.cumsum(yes), np.cumsum(leads)

"""The result: one decision over everything that was looked at, and what stands behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._render import render_card, render_frame

if TYPE_CHECKING:
    from datetime import date

    from matplotlib.axes import Axes

    from leadml.leads import Manifest
    from leadml.monitor._promise import Promise
    from leadml.propose import AdoptionAudit

__all__ = ["MonitorReport", "Signal", "plain_rows"]

Status = Literal["alarm", "quiet", "too early"]
_COLUMNS = ("family", "signal", "status", "p_value", "level", "words")
_FRAMES = ("weeks", "classes", "promises", "calibration", "expected", "attributes", "criteria", "handling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that may raise the alarm.

    Parameters
    ----------
    family : str
        Signals of one family share its error rate.
    name : str
    status : {"alarm", "quiet", "too early"}
    p_value : float or None
        Adjusted within the family; for a promise the inverse of the largest evidence; None: not tested.
    level : float
        An alarm is raised at or below it.
    words : str
    """

    family: str
    name: str
    status: Status
    p_value: float | None
    level: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MonitorReport:
    """What happened to a champion between two reviews.

    Attributes
    ----------
    definition, version : str
        The champion.
    bundle : str or None
        Digest of its models.
    as_of, since, look_on : date or None
        Day of the run; first day of the champion; the planned look that the run belongs to (later leads wait
        for the next). None without dates.
    look, n_looks : int
        Number of that look, and how many share the error rate.
    error_rate : float
        Chance of even one false alarm in `n_looks` looks at everything together, if nothing has changed.
    n_before, n_since, n_newest : int
        Leads before the champion, since, and the newest of these that are compared with those before.
    manifest : Manifest
        How the rows of the export reconcile; what was put aside as damaged is not watched.
    signals : tuple of Signal
        Everything that may raise the alarm, tested or not.
    promise : Promise
        What was promised, or taken as promised from the leads before.
    volume : dict
        Leads a week ``before`` and ``now``, ``p_value``.
    together : dict
        The test of all attributes at once: ``auc``, ``auc_low``, ``auc_high``, ``p_value``, ``n_before``,
        ``n_now``.
    weeks, classes, promises, calibration, expected, attributes, criteria, handling : DataFrame
        Leads by week and class; shares of the classes; promised and real rates; calibration and level; rates
        expected before labels mature; shift of each attribute; share moved across each written threshold;
        reps and follow-up times.
    notices : tuple of str
    adopted : AdoptionAudit or None
        What the signed change gained on the fresh leads against its promised change in value, where that is
        known. For one planned look: it raises no alarm.
    """

    definition: str
    version: str
    bundle: str | None
    as_of: date | None
    since: date | None
    look: int
    n_looks: int
    look_on: date | None
    error_rate: float
    n_before: int
    n_since: int
    n_newest: int
    manifest: Manifest = field(repr=False)
    signals: tuple[Signal, ...]
    promise: Promise = field(repr=False)
    volume: dict[str, float] = field(repr=False)
    together: dict[str, float] = field(repr=False)
    weeks: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    promises: pd.DataFrame = field(repr=False)
    calibration: pd.DataFrame = field(repr=False)
    expected: pd.DataFrame = field(repr=False)
    attributes: pd.DataFrame = field(repr=False)
    criteria: pd.DataFrame = field(repr=False)
    handling: pd.DataFrame = field(repr=False)
    notices: tuple[str, ...] = ()
    adopted: AdoptionAudit | None = None

    @property
    def alarms(self) -> tuple[Signal, ...]:
        """The signals that raised the alarm."""
        return tuple(signal for signal in self.signals if signal.status == "alarm")

    @property
    def ranked(self) -> tuple[Signal, ...]:
        """The signals in the order in which they are read: alarms, what was promised, the others."""
        order = {"alarm": 0, "quiet": 2, "too early": 3}

        def place(signal: Signal) -> int:
            return 1 if signal.family == "promise" and signal.status != "alarm" else order[signal.status]

        return tuple(sorted(self.signals, key=place))

    @property
    def alarm(self) -> bool:
        """The one decision: call both sides to a review. Nothing is retrained or changed by itself."""
        return bool(self.alarms)

    @property
    def headline(self) -> str:
        """The decision in one sentence."""
        if self.alarm:
            families = dict.fromkeys(signal.family for signal in self.alarms)
            told = (
                f"{family}: {', '.join(signal.name for signal in self.alarms if signal.family == family)}"
                for family in families
            )
            return f"Alarm – call a review. {'; '.join(told)}."
        tested = sum(signal.status == "quiet" for signal in self.signals)
        early = sum(signal.status == "too early" for signal in self.signals)
        if not tested:
            return f"No alarm: it is too early for all {early} signals."
        return f"No alarm: {tested} signals are quiet, {early} cannot be judged yet."

    def to_frame(self) -> pd.DataFrame:
        """Return one row per signal: family, signal, status, p_value, level, words."""
        rows = [
            (signal.family, signal.name, signal.status, signal.p_value, signal.level, signal.words)
            for signal in self.signals
        ]
        frame = pd.DataFrame(rows, columns=list(_COLUMNS))
        return frame.astype({"p_value": np.float64, "level": np.float64})

    def to_metrics(self) -> dict[str, float]:
        """Return the numbers worth a curve over the weeks, without missing ones: name to value."""
        found: dict[str, float] = {
            "alarm": float(self.alarm),
            "n_alarms": float(len(self.alarms)),
            "look": float(self.look),
            "n_since": float(self.n_since),
            "leads_per_week": self.volume["now"],
            "together_auc": self.together["auc"],
        }
        for target, rate, low, high, evidence in self.promises[
            ["target", "rate", "ci_low", "ci_high", "evidence"]
        ].itertuples(index=False):
            found |= {
                f"{target}_rate": rate,
                f"{target}_rate_low": low,
                f"{target}_rate_high": high,
                f"{target}_evidence": evidence,
            }
        for target, slope, intercept, p_cox in self.calibration[
            ["target", "slope", "intercept", "p_cox"]
        ].itertuples(index=False):
            found |= {
                f"{target}_calibration_slope": slope,
                f"{target}_calibration_intercept": intercept,
                f"{target}_cox_p_value": p_cox,
            }
        for target, expected in self.expected[["target", "expected"]].itertuples(index=False):
            found[f"{target}_expected"] = expected
        for attribute, psi in self.attributes[["attribute", "psi"]].itertuples(index=False):
            found[f"psi_{attribute}"] = psi
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}

    def to_dict(self) -> dict[str, Any]:
        """Return the whole report as plain values for JSON; what is not known is None."""
        return {
            "definition": self.definition,
            "version": self.version,
            "bundle": self.bundle,
            "alarm": self.alarm,
            "headline": self.headline,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "since": None if self.since is None else self.since.isoformat(),
            "look": self.look,
            "n_looks": self.n_looks,
            "look_on": None if self.look_on is None else self.look_on.isoformat(),
            "error_rate": self.error_rate,
            "rows": {
                **self.manifest.to_dict()["rows"],
                "before": self.n_before,
                "since": self.n_since,
                "newest": self.n_newest,
            },
            "signals": plain_rows(self.to_frame()),
            "promise": self.promise.to_dict(),
            "volume": {name: _plain(value) for name, value in self.volume.items()},
            "together": {name: _plain(value) for name, value in self.together.items()},
            **{name: plain_rows(getattr(self, name)) for name in _FRAMES},
            "notices": list(self.notices),
            "adopted": None if self.adopted is None else self.adopted.to_dict(),
        }

    def __repr__(self) -> str:
        day = "" if self.as_of is None else f" as of {self.as_of}"
        span = "" if self.since is None else f", look {self.look} of {self.n_looks} since {self.since}"
        lines = [
            self.headline,
            (
                f"{self.definition} {self.version}{day}{span}: {self.n_since:,} leads, "
                f"{self.n_before:,} before"
            ),
        ]
        shown = self.ranked
        lines += [
            f"  {signal.status}: {signal.family}, {signal.name}: {signal.words}" for signal in shown[:7]
        ]
        if len(shown) > 7:
            lines.append(f"  … and {len(shown) - 7} more signals")
        if self.adopted is not None:
            lines.append(f"  change in value, {self.adopted}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [
            render_frame(self.to_frame(), caption="Signals"),
            render_frame(self.promises, caption="Promised and real rates"),
            render_frame(self.criteria, caption="Share moved across each written threshold"),
            render_frame(self.attributes, caption="Attributes"),
        ]
        return str(render_card(self.headline, parts, notes=self.notices))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of leads moved across each written threshold, with its 95 % interval."""
        from leadml._plotting import plot_bars

        frame = self.criteria[self.criteria["moved"].notna()]
        frame = frame.rename(columns={"criterion": "label", "moved": "value"})
        return plot_bars(
            frame[["label", "value", "ci_low", "ci_high"]], ax, xlabel="share of leads moved across it"
        )


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain values for JSON."""
    names = [str(name) for name in frame.columns]
    return [
        {name: _plain(value) for name, value in zip(names, row, strict=True)}
        for row in frame.itertuples(index=False)
    ]


def _plain(value: Any) -> Any:
    """Give a Python value, numbers to ten digits: the same bytes on every machine."""
    if value is None or isinstance(value, str | bool | np.bool_):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return float(f"{number:.10g}") if math.isfinite(number) else None

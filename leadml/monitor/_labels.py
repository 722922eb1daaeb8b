"""What the labels say: calibration, level, expected performance before labels, reps and follow-up times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, norm

from leadml._render import format_rate
from leadml.metrics import CalibrationLine, calibration_line, compute_logit, estimate_spread, expit
from leadml.models import Bundle, LevelShift, TrainedModel, compare_levels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from leadml.leads import LeadTable
    from leadml.models import UntrainedModel
    from leadml.monitor._plan import Plan

    Bits = NDArray[np.bool_]

__all__ = [
    "CALIBRATION_COLUMNS",
    "EXPECTED_COLUMNS",
    "HANDLING_COLUMNS",
    "Calibrated",
    "Prediction",
    "compare_follow_up",
    "compare_reps",
    "expect_rates",
    "judge_calibration",
    "predict_targets",
]

FEWEST_PER_CLASS = 30
"""Below this many labels of either kind Cox's test is not trusted at the small error rates of one look."""
_FEWEST_PER_REP = 10
_FEWEST_LAGS = 50
_Z = 1.959963984540054

CALIBRATION_COLUMNS = (
    "target",
    "n",
    "n_positive",
    "observed",
    "expected",
    "expected_as_trained",
    "slope",
    "slope_low",
    "slope_high",
    "intercept",
    "intercept_low",
    "intercept_high",
    "p_cox",
    "p_change",
    "n_newest",
    "observed_newest",
    "expected_newest",
    "p_cox_newest",
    "p_change_newest",
    "p_value",
    "offset",
    "offset_low",
    "offset_high",
    "log_loss_trained",
    "log_loss_recalibrated",
    "prevalence_unsupervised",
)
EXPECTED_COLUMNS = (
    "target",
    "n",
    "expected",
    "ci_low",
    "ci_high",
    "expected_as_trained",
    "expected_recalibrated",
    "kind",
)
HANDLING_COLUMNS = ("what", "n_before", "n_now", "before", "now", "p_value", "words")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What a model says of the leads, and what is known of its calibration.

    Attributes
    ----------
    target : str
    probability, as_trained : ndarray of shape (n_leads,)
        With the level it scores with today, and without the correction of its level; nan where not asked.
    metrics : dict of str to float
        Its judgement on the later leads of its training.
    offset : float
        What the level was corrected by.
    """

    target: str
    probability: NDArray[np.float64] = field(repr=False)
    as_trained: NDArray[np.float64] = field(repr=False)
    metrics: dict[str, float] = field(repr=False)
    offset: float


def predict_targets(
    models: Bundle | Mapping[str, TrainedModel | UntrainedModel] | None, table: LeadTable, rows: Bits
) -> dict[str, Prediction]:
    """Score the leads in `rows` with every model that was trained.

    Parameters
    ----------
    models : Bundle, mapping of str to TrainedModel or UntrainedModel, or None
    table : LeadTable
    rows : ndarray of bool

    Returns
    -------
    dict of str to Prediction
        By target.
    """
    if models is None:
        return {}
    frame = table.frame.loc[rows]
    found: dict[str, Prediction] = {}
    if isinstance(models, Bundle):
        scores = models.predict(frame)
        for target, model in models.models.items():
            now = scores[f"probability_{target}"].to_numpy(dtype=np.float64)
            trained = expit(compute_logit(now) - model.offset) if model.offset else now
            found[target] = _prediction(target, rows, now, trained, model.metrics, model.offset)
        return found
    for target, trained_model in models.items():
        if isinstance(trained_model, TrainedModel):
            now = trained_model.predict_proba(frame)
            trained = trained_model.predict_proba(frame, level="trained") if trained_model.offset else now
            metrics = trained_model.evaluation.metrics
            found[target] = _prediction(target, rows, now, trained, metrics, trained_model.offset)
    return found


def _prediction(
    target: str,
    rows: Bits,
    now: NDArray[np.float64],
    trained: NDArray[np.float64],
    metrics: dict[str, float],
    offset: float,
) -> Prediction:
    full, as_trained = np.full(rows.size, np.nan), np.full(rows.size, np.nan)
    full[rows], as_trained[rows] = now, trained
    return Prediction(
        target=target, probability=full, as_trained=as_trained, metrics=dict(metrics), offset=float(offset)
    )


# ---- calibration -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibrated:
    """How well the probabilities fit the labels that have matured since.

    Attributes
    ----------
    target : str
    line : CalibrationLine
        Slope and intercept with intervals, and Cox's test of both (is the model right?).
    newest : CalibrationLine
        The same on the newest of these labels, in which a late change is not hidden by what came before.
    p_change, p_change_newest : float
        Test that slope and intercept are those of the model's own judgement when it was trained (has it
        changed?); nan if that judgement is not known.
    p_value : float
        The larger of Cox's p-value and the test of change, on all labels or the newest (Bonferroni): an alarm
        means wrong now *and* otherwise than at training. nan with fewer than 30 labels of either kind.
    level : LevelShift or None
        What correcting the level on the matured labels would do.
    expected_as_trained : float
        Mean probability without the correction of the level that is in force.
    """

    target: str
    line: CalibrationLine
    newest: CalibrationLine
    p_change: float
    p_change_newest: float
    p_value: float
    level: LevelShift | None
    expected_as_trained: float

    @property
    def words(self) -> str:
        """Say it in one sentence."""
        line = self.line
        if not line.n:
            return "no label has matured yet"
        told = f"{format_rate(line.expected)} expected, {format_rate(line.observed)} came"
        late = f"{format_rate(self.newest.expected)} and {format_rate(self.newest.observed)}"
        return (
            f"{told} among {line.n:,} matured leads, slope {line.slope:.2f} (1 is right); {late} among the "
            f"newest {self.newest.n:,}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, one per column of the frame."""
        line, level = self.line, self.level
        return {
            "target": self.target,
            "n": line.n,
            "n_positive": line.n_positive,
            "observed": line.observed,
            "expected": line.expected,
            "expected_as_trained": self.expected_as_trained,
            "slope": line.slope,
            "slope_low": line.slope_low,
            "slope_high": line.slope_high,
            "intercept": line.intercept,
            "intercept_low": line.intercept_low,
            "intercept_high": line.intercept_high,
            "p_cox": line.p_value,
            "p_change": self.p_change,
            "n_newest": self.newest.n,
            "observed_newest": self.newest.observed,
            "expected_newest": self.newest.expected,
            "p_cox_newest": self.newest.p_value,
            "p_change_newest": self.p_change_newest,
            "p_value": self.p_value,
            "offset": np.nan if level is None else level.offset,
            "offset_low": np.nan if level is None else level.ci_low,
            "offset_high": np.nan if level is None else level.ci_high,
            "log_loss_trained": np.nan if level is None else level.log_loss_trained,
            "log_loss_recalibrated": np.nan if level is None else level.log_loss_recalibrated,
            "prevalence_unsupervised": np.nan if level is None else level.prevalence_unsupervised,
        }


def judge_calibration(prediction: Prediction, targets: pd.DataFrame, plan: Plan) -> Calibrated:
    """Test calibration on the matured labels since the sign-off.

    Parameters
    ----------
    prediction : Prediction
    targets : DataFrame
    plan : Plan

    Returns
    -------
    Calibrated

    References
    ----------
    .. [1] Cox (1958), "Two further applications of a model for binary regression", Biometrika 45, 562-565.
    """
    label = targets[prediction.target].to_numpy(dtype=np.float64)
    rows = plan.once(
        plan.fresh & plan.mature(prediction.target) & ~np.isnan(label) & ~np.isnan(prediction.probability)
    )
    places = plan.in_order(rows)
    y, p = label[places], prediction.probability[places]
    line = calibration_line(y, p)
    limit = (plan.windows[prediction.target] or 0) + plan.schedule.window_days
    newest = calibration_line(*(part[(plan.age_days[places] < limit) | (not plan.dated)] for part in (y, p)))
    change, change_newest = _change(line, prediction), _change(newest, prediction)
    tested = [
        float(np.nanmax([part.p_value, changed]))
        for part, changed in ((line, change), (newest, change_newest))
        if _rare(part) >= FEWEST_PER_CLASS
    ]
    base_rate = prediction.metrics.get("base_rate_train", np.nan)
    level = None
    if _rare(line) >= FEWEST_PER_CLASS and 0 < base_rate < 1:
        level = compare_levels(y, p, base_rate=base_rate)
    return Calibrated(
        target=prediction.target,
        line=line,
        newest=newest,
        p_change=change,
        p_change_newest=change_newest,
        p_value=min(1.0, 2 * min(tested)) if tested else float("nan"),
        level=level,
        expected_as_trained=float(prediction.as_trained[places].mean()) if places.size else float("nan"),
    )


def _rare(line: CalibrationLine) -> int:
    return min(line.n_positive, line.n - line.n_positive)


def _change(line: CalibrationLine, prediction: Prediction) -> float:
    """Test slope and intercept against the model's own judgement, both uncertain (Bonferroni over two)."""
    p_values = []
    for name, shift in (("slope", 0.0), ("intercept", prediction.offset)):
        then = prediction.metrics.get(f"calibration_{name}", np.nan) - shift
        wide = prediction.metrics.get(f"calibration_{name}_high", np.nan) - prediction.metrics.get(
            f"calibration_{name}_low", np.nan
        )
        now, width = getattr(line, name), getattr(line, f"{name}_high") - getattr(line, f"{name}_low")
        error = np.hypot(wide, width) / (2 * _Z)
        if np.isfinite([then, now, error]).all() and error > 0:
            p_values.append(float(2 * norm.sf(abs(now - then) / error)))
    return min(1.0, len(p_values) * min(p_values)) if p_values else float("nan")


# ---- before the labels -------------------------------------------------------------------------------


def expect_rates(
    predictions: Mapping[str, Prediction],
    calibrated: Mapping[str, Calibrated],
    plan: Plan,
    *,
    handed: Bits,
) -> pd.DataFrame:
    """Expect the rates of the leads whose labels have not matured, from the calibrated probabilities.

    Right only as long as leads with the same attributes are accepted and won as often as before: a change of
    exactly that cannot be seen here. The interval is the chance of the leads themselves.

    Parameters
    ----------
    predictions : mapping of str to Prediction
    calibrated : mapping of str to Calibrated
    plan : Plan
    handed : ndarray of bool

    Returns
    -------
    DataFrame
        One row per target. ``expected`` with the level in force, ``expected_as_trained`` without its
        correction, ``expected_recalibrated`` with the level learnt from the matured labels; ``kind`` is
        always "expected, not observed".
    """
    rows = []
    for target, prediction in predictions.items():
        waiting = plan.once(handed & plan.fresh & ~plan.mature(target) & ~np.isnan(prediction.probability))
        p, before = prediction.probability[waiting], prediction.as_trained[waiting]
        mean = float(p.mean()) if p.size else float("nan")
        half = _Z * float(np.sqrt((p * (1 - p)).sum())) / p.size if p.size else float("nan")
        level = calibrated[target].level
        moved = expit(compute_logit(p) + level.offset) if level is not None else np.array([])
        rows.append(
            {
                "target": target,
                "n": int(p.size),
                "expected": mean,
                "ci_low": max(0.0, mean - half),
                "ci_high": min(1.0, mean + half),
                "expected_as_trained": float(before.mean()) if p.size else float("nan"),
                "expected_recalibrated": float(moved.mean()) if moved.size else float("nan"),
                "kind": "expected, not observed",
            }
        )
    return pd.DataFrame(rows, columns=list(EXPECTED_COLUMNS))


# ---- handling ----------------------------------------------------------------------------------------


def compare_reps(table: LeadTable, targets: pd.DataFrame, plan: Plan) -> dict[str, Any] | None:
    """Test once whether the reps' acceptance has changed otherwise than all reps' together. Nobody is ranked.

    Parameters
    ----------
    table : LeadTable
    targets : DataFrame
    plan : Plan

    Returns
    -------
    dict or None
        ``before`` and ``now`` are median odds ratios: how many times the odds of acceptance are with the more
        lenient of two random reps. None without reps.
    """
    rep = table.role("rep")
    label = targets["accepted"].to_numpy(dtype=np.float64)
    if rep is None:
        return None
    codes, _ = pd.factorize(rep.astype("string"))
    usable = (codes >= 0) & ~np.isnan(label) & plan.mature("accepted")
    parts = [plan.once(rows & usable) for rows in (plan.baseline, plan.fresh)]
    counts = [_per_rep(codes[rows], label[rows], int(codes.max(initial=-1)) + 1) for rows in parts]
    both = (counts[0][0] >= _FEWEST_PER_REP) & (counts[1][0] >= _FEWEST_PER_REP)
    row = {
        "what": "reps",
        "n_before": int(parts[0].sum()),
        "n_now": int(parts[1].sum()),
        "before": np.nan,
        "now": np.nan,
        "p_value": np.nan,
        "words": f"{int(both.sum())} reps with at least {_FEWEST_PER_REP} verdicts in both parts: too few",
    }
    if both.sum() < 3:
        return row
    odds = [_log_odds(n[both], k[both]) for n, k in counts]
    spreads = [estimate_spread(effect, error) for effect, error in odds]
    change = estimate_spread(odds[1][0] - odds[0][0], np.hypot(odds[0][1], odds[1][1]))
    before, now = (spread.median_odds_ratio for spread in spreads)
    return row | {
        "before": before,
        "now": now,
        "p_value": change.p_value,
        "words": f"{int(both.sum())} reps; with the more lenient of two random reps the odds are "
        f"{now:.1f} times as high, before {before:.1f} times",
    }


def _per_rep(
    codes: NDArray[np.int64], label: NDArray[np.float64], width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        np.bincount(codes, minlength=width).astype(np.float64),
        np.bincount(codes, weights=label, minlength=width).astype(np.float64),
    )


def _log_odds(
    n: NDArray[np.float64], k: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds with half a lead added to either side (Haldane, Anscombe), and its standard error."""
    yes, no = k + 0.5, n - k + 0.5
    return np.log(yes / no), np.sqrt(1 / yes + 1 / no)


def compare_follow_up(table: LeadTable, plan: Plan, *, handed: Bits) -> dict[str, Any] | None:
    """Test whether verdicts come sooner or later than before, on leads old enough to have one.

    Parameters
    ----------
    table : LeadTable
    plan : Plan
    handed : ndarray of bool

    Returns
    -------
    dict or None
        ``before`` and ``now`` are median days, no verdict within the window counting as its end. None without
        dates of verdicts.
    """
    decided = table.role("decided")
    limit = plan.windows["accepted"]
    if decided is None or not plan.dated or limit is None:
        return None
    days = decided.dt.tz_localize(None) if decided.dt.tz is not None else decided
    lag = (days.dt.normalize().reset_index(drop=True) - plan.start.reset_index(drop=True)).dt.days
    window = float(limit)
    waited = np.minimum(lag.fillna(window + 1).to_numpy(dtype=np.float64), window + 1)
    usable = handed & plan.mature("accepted") & (waited >= 0)
    first, second = (waited[plan.once(rows & usable)] for rows in (plan.baseline, plan.window))
    row = {
        "what": "days to the verdict",
        "n_before": int(first.size),
        "n_now": int(second.size),
        "before": float(np.median(first)) if first.size else np.nan,
        "now": float(np.median(second)) if second.size else np.nan,
        "p_value": np.nan,
        "words": "too few matured leads",
    }
    if min(first.size, second.size) < _FEWEST_LAGS:
        return row
    found = ks_2samp(first, second, method="asymp")
    late = [float((part > window).mean()) for part in (first, second)]
    return row | {
        "p_value": float(found.pvalue),
        "words": f"median {row['now']:.0f} days, before {row['before']:.0f}; without a verdict after "
        f"{window:.0f} days {format_rate(late[1])}, before {format_rate(late[0])}",
    }

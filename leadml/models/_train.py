"""Train the model of one target on the earlier leads and judge it on the later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from leadml._render import format_rate
from leadml.leads import find_late_columns
from leadml.metrics import (
    average_precision,
    brier_score,
    calibration_line,
    log_loss,
    log_losses,
    mean_difference,
    reliability_curve,
    roc_auc_interval,
)
from leadml.models._baselines import (
    predict_constant,
    predict_definition,
    predict_naive_bayes,
    predict_points,
)
from leadml.models._calibration import choose_calibration
from leadml.models._candidates import choose_candidate, list_candidates, order_rows, split_origins
from leadml.models._features import choose_features, compute_features
from leadml.models._level import compare_levels
from leadml.models._model import TARGET_WORDS, ModelEvaluation, TrainedModel, UntrainedModel
from leadml.models._profile import profile_leads
from leadml.models._reps import RepEffects, code_reps, estimate_rep_effects
from leadml.models._segments import find_segments, judge_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.models._candidates import Candidate

    Progress = Callable[[str, int, int], None]

__all__ = ["evaluate_predictions", "labelled_rows", "train_model"]

_MIN_PER_CLASS = 10


def train_model(
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    target: Literal["accepted", "won"],
    definition: Definition | None,
    split: TimeSplit,
    random_state: int = 0,
    extras: Sequence[str] = (),
    progress: Progress | None = None,
) -> TrainedModel | UntrainedModel:
    """Train a model of acceptance or of won deals and judge it on later leads.

    Everything is learnt from the earlier part: the features' levels, the choice among the candidates (by
    log loss on rolling later stretches), the calibration (on the same stretches). The later part is only
    scored. What only the outcome can have written (`leadml.leads.find_late_columns`, of the earlier part) is
    no feature, whatever is declared. If reps differ in strictness they enter the model of acceptance as fixed
    effects, and predictions are made for the average rep. Leads whose verdict or outcome is still open inside
    the maturity window are left out of both.

    Parameters
    ----------
    table : LeadTable
        Leads in contract columns.
    targets : DataFrame
        From `compute_targets`: the label (1, 0, missing), ``<target>_mature`` and ``t0``.
    target : {"accepted", "won"}
        What to predict.
    definition : Definition or None
        Gives directions for the monotone candidate and is itself judged as a predictor.
    split : TimeSplit
        ``discover`` is the earlier part, ``confirm`` the later one.
    random_state : int, default 0
        Seed of everything random.
    extras : sequence of {"ebm"}, default ()
        More candidates: the explainable boosting machine (extra ``ebm``; slow).
    progress : callable, optional
        Called with (step, done, total) before each fit.

    Returns
    -------
    TrainedModel or UntrainedModel
        The latter, with the reason, if the earlier part has fewer than ten leads of a class or no
        attribute. The same leads in another order give the same model.

    References
    ----------
    .. [1] Steyerberg (2019), Clinical Prediction Models, 2nd ed. (temporal validation).
    """
    if target not in TARGET_WORDS:
        raise ValueError(f"target: expected 'accepted' or 'won', got {target!r}.")
    label = targets[target].to_numpy(dtype=np.float64, na_value=np.nan)
    early = labelled_rows(targets, target=target, part=split.discover)
    late = labelled_rows(targets, target=target, part=split.confirm) & ~early
    features, notices = choose_features(
        table.frame,
        contract=table.contract,
        definition=definition,
        rows=early,
        late=find_late_columns(table, targets, rows=early),
    )
    if "weight" in targets and np.unique(targets["weight"].to_numpy(dtype=np.float64)[early]).size > 1:
        notices += ("the weights of the leads are not used by the model: every lead counts once.",)
    reason = _why_not(label[early], target, n_features=len(features))
    if reason:
        return UntrainedModel(
            target=target, reason=reason, n_train=int(early.sum()), n_test=int(late.sum()), notices=notices
        )
    clock = tuple(
        column.name for role in ("handed_over", "created") if (column := table.contract.column_by_role(role))
    )
    time = _as_number(targets["t0"])
    everything = compute_features(table.frame, features, clock=clock)
    train = _in_order(early, everything, label, time)
    test = _in_order(late, everything, label, time)
    X, y = everything.iloc[train], label[train]

    candidates = list_candidates(features, random_state=random_state, n_leads=train.size, extras=extras)
    reps, groups = _adjust_for_reps(table, target, candidates, X, y, train)
    if groups is not None:
        candidates = tuple(candidate for candidate in candidates if candidate.takes_groups)
    report = _Report(
        total=len(split_origins(time[train], y)) * len(candidates) + 1, progress=progress, target=target
    )
    choice = choose_candidate(
        candidates, X, y, t0=np.nan_to_num(time[train], nan=-np.inf), step=report.step, groups=groups
    )
    calibrator = choose_calibration(y[choice.rows], choice.y_prob, stretches=choice.stretches)
    report.step(f"{choice.name}, all earlier leads")
    chosen = next(candidate for candidate in candidates if candidate.name == choice.name)
    if 0 < len(chosen.ignores) < len(features):
        notices += tuple(f"{name}: a long list that does not help on later leads." for name in chosen.ignores)
        features = tuple(feature for feature in features if feature.name not in chosen.ignores)
        everything = everything[[feature.name for feature in features]]
        candidates = list_candidates(features, random_state=random_state, n_leads=train.size, extras=extras)
        chosen = next(candidate for candidate in candidates if candidate.name == choice.name)
    pipeline = chosen.fit(everything.iloc[train], y, groups)

    raw = pipeline.predict_proba(everything.iloc[test])[:, 1] if test.size else np.zeros(0)
    predictors = {
        "model": np.round(calibrator.calibrate(raw), 12),
        "constant": predict_constant(y, test.size),
    }
    by_definition = np.full(test.size, np.nan)
    if definition is not None:
        rows = {"y": y, "train": train, "test": test}
        by_definition, notice = predict_definition(table.frame, definition, **rows)
        notices += (notice,) if notice else ()
        predictors["definition"] = by_definition
        predictors.update(predict_points(table.frame, definition, **rows))
    codes = pipeline["encode"].transform(everything)
    predictors["naive Bayes"] = predict_naive_bayes(codes, y, train=train, test=test)
    evaluation = evaluate_predictions(label[test], predictors, target=target, y_train=y, score=raw)
    level = compare_levels(label[test], predictors["model"], base_rate=float(y.mean()))
    holdout = pd.DataFrame(
        {"y_true": label[test], "y_prob": predictors["model"], "y_prob_definition": by_definition},
        index=table.frame.index[test],
    )
    parts = {"period": targets["period"]} if "period" in targets else {}
    parts |= {name: table.frame[name] for name in find_segments(definition, table.frame)}
    return TrainedModel(
        target=target,
        features=features,
        clock=clock,
        candidate=choice.name,
        pipeline=pipeline,
        calibrator=calibrator,
        choice=choice.table,
        evaluation=evaluation,
        holdout=holdout.sort_index(),
        level=level,
        parts=judge_parts(
            label[test],
            predictors["model"],
            {name: column.iloc[test] for name, column in parts.items()},
            target=target,
        ),
        reps=reps,
        profile=profile_leads(table.frame, table.contract),
        notices=notices,
        random_state=random_state,
    )


def labelled_rows(targets: pd.DataFrame, *, target: str, part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the leads of a part whose label is known and mature.

    Parameters
    ----------
    targets : DataFrame
        From `compute_targets`.
    target : {"accepted", "won"}
        Which label.
    part : ndarray of bool of shape (n_leads,)
        For example ``split.discover``.

    Returns
    -------
    ndarray of bool of shape (n_leads,)
    """
    label = targets[target].to_numpy(dtype=np.float64, na_value=np.nan)
    mature = targets[f"{target}_mature"].to_numpy(dtype=bool, na_value=False)
    return np.asarray(~np.isnan(label) & mature & np.asarray(part, dtype=bool))


class _Report:
    """Tells whoever watches which fit begins."""

    def __init__(self, *, total: int, progress: Progress | None, target: str) -> None:
        self.total, self.progress, self.target, self.done = total, progress, target, 0

    def step(self, name: str) -> None:
        if self.progress is not None:
            self.progress(f"{self.target}: {name}", min(self.done, self.total), self.total)
        self.done += 1


def _adjust_for_reps(
    table: LeadTable,
    target: str,
    candidates: Sequence[Candidate],
    X: pd.DataFrame,
    y: NDArray[np.float64],
    train: NDArray[np.int64],
) -> tuple[RepEffects | None, NDArray[np.int64] | None]:
    """Measure the reps' strictness; give their numbers if acceptance has to be adjusted for it."""
    column = table.contract.column_by_role("rep")
    if target != "accepted" or column is None or column.name not in table.frame.columns:
        return None, None
    groups = code_reps(table.frame[column.name], train)
    if groups is None:
        return None, None
    plain = next(candidate for candidate in candidates if candidate.name == "logistic")
    effects = estimate_rep_effects(plain, X, y, groups=groups)
    return effects, groups if effects.matters else None


def _why_not(y: NDArray[np.float64], target: str, *, n_features: int) -> str:
    wins = int(y.sum())
    yes, no = ("accepted", "rejected") if target == "accepted" else ("won", "lost")
    if not y.size:
        return (
            f"cannot train: no earlier lead has a mature {'verdict' if target == 'accepted' else 'outcome'}."
        )
    for name, n in ((yes, wins), (no, y.size - wins)):
        if n < _MIN_PER_CLASS:
            return (
                f"cannot train: {n} {name} leads among {y.size:,} earlier ones, "
                f"at least {_MIN_PER_CLASS} are needed."
            )
    return "" if n_features else "cannot train: no attribute is known at the handoff and varies."


def _as_number(t0: pd.Series) -> NDArray[np.float64]:
    if pd.api.types.is_datetime64_any_dtype(t0.dtype):
        naive = t0 if t0.dt.tz is None else t0.dt.tz_convert("UTC").dt.tz_localize(None)
        days = (naive - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
        return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(t0.to_numpy(dtype=np.float64, na_value=np.nan))


def _in_order(
    mask: NDArray[np.bool_], X: pd.DataFrame, label: NDArray[np.float64], time: NDArray[np.float64]
) -> NDArray[np.int64]:
    rows = np.flatnonzero(mask)
    return np.asarray(rows[order_rows(X.iloc[rows], label[rows], time[rows])], dtype=np.int64)


def evaluate_predictions(
    y_true: NDArray[np.float64],
    predictors: dict[str, NDArray[np.float64]],
    *,
    target: str,
    y_train: NDArray[np.float64],
    score: NDArray[np.float64] | None = None,
) -> ModelEvaluation:
    """Judge a model beside its baselines on later leads.

    Parameters
    ----------
    y_true : ndarray of shape (n_test,)
        0 or 1.
    predictors : dict of str to ndarray of shape (n_test,)
        Probabilities; "model" and "constant" must be among them.
    target : {"accepted", "won"}
        For the words.
    y_train : ndarray of shape (n_train,)
        Labels of the earlier leads.
    score : ndarray of shape (n_test,), optional
        The model's score before calibration, which may be flat: its order is judged.

    Returns
    -------
    ModelEvaluation
    """
    order = np.lexsort((y_true, predictors["model"]))  # sums that do not depend on the order of the file
    y = y_true[order]
    p = {name: values[order] for name, values in predictors.items()}
    ranked = p["model"] if score is None else score[order]
    table = pd.DataFrame([_judge(name, y, prob) for name, prob in p.items()])
    if y.size and 0 < y.sum() < y.size:
        table.loc[0, ["auc", "auc_low", "auc_high"]] = roc_auc_interval(y, ranked)
        table.loc[0, "average_precision"] = average_precision(y, ranked)
    head = table.iloc[0]
    line = calibration_line(y, p["model"])
    curve = reliability_curve(y, p["model"], n_resamples=200)
    losses = log_losses(y, p["model"])
    gain, gain_low, gain_high, _ = mean_difference(log_losses(y, p["constant"]), losses)
    squares = (p["model"] - y) ** 2
    _, loss_low, loss_high, _ = mean_difference(losses, np.zeros_like(losses))
    _, brier_low, brier_high, _ = mean_difference(squares, np.zeros_like(squares))
    other = table.set_index("predictor")
    metrics = {
        **{
            name: float(head[name])
            for name in ("auc", "auc_low", "auc_high", "average_precision", "log_loss")
        },
        "log_loss_low": max(loss_low, 0.0),
        "log_loss_high": loss_high,
        "log_loss_constant": float(other["log_loss"]["constant"]),
        "log_loss_definition": float(other["log_loss"].get("definition", np.nan)),
        "gain_on_constant": gain,
        "gain_on_constant_low": gain_low,
        "gain_on_constant_high": gain_high,
        "brier": float(head["brier"]),
        "brier_low": max(brier_low, 0.0),
        "brier_high": min(brier_high, 1.0),
        "calibration_slope": line.slope,
        "calibration_slope_low": line.slope_low,
        "calibration_slope_high": line.slope_high,
        "calibration_intercept": line.intercept,
        "calibration_intercept_low": line.intercept_low,
        "calibration_intercept_high": line.intercept_high,
        "calibration_p_value": line.p_value,
        "miscalibration": curve.miscalibration,
        "miscalibration_null": curve.miscalibration_null,
        "discrimination": curve.discrimination,
        "uncertainty": curve.uncertainty,
        "auc_definition": float(other["auc"].get("definition", np.nan)),
        "base_rate_train": float(y_train.mean()),
        "base_rate_test": float(y.mean()) if y.size else float("nan"),
        "n_train": float(y_train.size),
        "n_test": float(y.size),
        "n_positive_train": float(y_train.sum()),
        "n_positive_test": float(y.sum()),
    }
    # Ten decimals: the last bits of a sum depend on the processor and its number of threads.
    metrics = {name: round(value, 10) for name, value in metrics.items()}
    verdict, reason = _verdict(metrics, TARGET_WORDS[target])
    return ModelEvaluation(metrics=metrics, verdict=verdict, reason=reason, baselines=table.round(10))


def _judge(name: str, y: NDArray[np.float64], p: NDArray[np.float64]) -> dict[str, float | str]:
    known = not np.isnan(p).any()
    auc, low, high = roc_auc_interval(y, p) if known else (np.nan, np.nan, np.nan)
    line = calibration_line(y, p) if known else None
    return {
        "predictor": name,
        "auc": auc,
        "auc_low": low,
        "auc_high": high,
        "average_precision": average_precision(y, p) if known else np.nan,
        "log_loss": log_loss(y, p) if known else np.nan,
        "brier": brier_score(y, p) if known else np.nan,
        "calibration_slope": line.slope if line else np.nan,
        "calibration_intercept": line.intercept if line else np.nan,
    }


def _verdict(metrics: dict[str, float], what: str) -> tuple[str, str]:
    if np.isnan(metrics["auc"]):
        n, wins = metrics["n_test"], metrics["n_positive_test"]
        return "cannot be judged", f"{wins:,.0f} positive among {n:,.0f} mature later leads."
    interval = f"{metrics['auc']:.3f}, 95 % interval {metrics['auc_low']:.3f} to {metrics['auc_high']:.3f}"
    if metrics["auc_low"] <= 0.5:
        side = "covers .5" if metrics["auc_high"] >= 0.5 else "lies below .5"
        return f"nothing here predicts {what}", f"on later leads the ROC AUC is {interval}, which {side}."
    losses = f"{metrics['log_loss']:.4f} against {metrics['log_loss_constant']:.4f}"
    if metrics["log_loss"] >= metrics["log_loss_constant"]:
        moved = (
            f" It ranks leads (ROC AUC {interval}), but its level is off: "
            f"{format_rate(metrics['base_rate_train'])} were positive in training, "
            f"{format_rate(metrics['base_rate_test'])} later."
        )
        return (
            f"nothing here predicts {what}",
            f"its log loss is not better than the constant's ({losses}).{moved}",
        )
    return f"predicts {what}", f"ROC AUC {interval}; log loss {losses} of the constant."

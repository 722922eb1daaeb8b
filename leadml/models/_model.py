"""What training gives: a model with its judgement on later leads, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from leadml._render import format_count, format_rate, render_card, render_frame
from leadml.metrics import compute_logit, expit, reliability_curve
from leadml.models._features import compute_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from leadml.models._calibration import Calibration
    from leadml.models._features import Feature
    from leadml.models._level import LevelShift
    from leadml.models._profile import ColumnProfile
    from leadml.models._reps import RepEffects
    from leadml.models._segments import CalibrationParts

__all__ = ["TARGET_WORDS", "ModelEvaluation", "TrainedModel", "UntrainedModel", "predict_scores"]

TARGET_WORDS = {"accepted": "acceptance", "won": "won deals"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelEvaluation:
    """How a model did on leads later than all it was trained on.

    Attributes
    ----------
    metrics : dict of str to float
        ``auc``, ``auc_low``, ``auc_high`` (DeLong 95 %), ``average_precision``, ``log_loss`` and ``brier``
        with ``_low`` and ``_high`` (normal, over the leads), ``log_loss_constant``,
        ``log_loss_definition``, ``gain_on_constant`` (log loss of the constant minus the model's) with
        ``_low`` and ``_high``, ``calibration_slope``, ``calibration_intercept`` (each with ``_low`` and
        ``_high``), ``calibration_p_value``, the Brier score's ``miscalibration``, ``discrimination``,
        ``uncertainty`` and ``miscalibration_null`` (CORP), ``auc_definition``, ``base_rate_train``,
        ``base_rate_test``, ``n_train``, ``n_test``, ``n_positive_train``, ``n_positive_test``. Missing (nan)
        where the later leads do not determine it.
    verdict : str
        "nothing here predicts acceptance" (or "won deals") if the interval of the AUC reaches .5 or the log
        loss is not better than the constant's; "predicts acceptance"; or "cannot be judged".
    reason : str
        The sentence behind the verdict.
    baselines : DataFrame
        One row per predictor, the model first: predictor, auc, auc_low, auc_high, average_precision,
        log_loss, brier, calibration_slope, calibration_intercept.
    """

    metrics: dict[str, float]
    verdict: str
    reason: str
    baselines: pd.DataFrame = field(repr=False)

    @property
    def predictive(self) -> bool:
        """Whether the later leads show that the model predicts."""
        return self.verdict.startswith("predicts")

    def to_frame(self) -> pd.DataFrame:
        """Give one row per metric: metric, value."""
        return pd.DataFrame({"metric": list(self.metrics), "value": list(self.metrics.values())})

    def __repr__(self) -> str:
        m = self.metrics
        trained = f"trained on {m['n_train']:,.0f} leads, judged on {m['n_test']:,.0f} later ones"
        if np.isnan(m["auc"]):
            return f"{self.verdict}: {self.reason}\n{trained}"
        slope = (m["calibration_slope"], m["calibration_slope_low"], m["calibration_slope_high"])
        level = (m["calibration_intercept"], m["calibration_intercept_low"], m["calibration_intercept_high"])
        area = f"ROC AUC {m['auc']:.3f} ({m['auc_low']:.3f} to {m['auc_high']:.3f})"
        losses = f"constant {m['log_loss_constant']:.4f}, definition {m['log_loss_definition']:.4f}"
        lines = [
            f"{self.verdict}: {self.reason}",
            f"{area}, average precision {m['average_precision']:.3f}, base rate {m['base_rate_test']:.3f}",
            f"log loss {m['log_loss']:.4f} ({losses}), Brier {m['brier']:.4f}",
            (
                "calibration slope not determined"
                if np.isnan(slope[0])
                else "calibration slope {:.2f} ({:.2f} to {:.2f})".format(*slope)
            )
            + ", intercept {:+.2f} ({:+.2f} to {:+.2f})".format(*level),
            trained,
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(render_card(f"{self.verdict}: {self.reason}", [render_frame(self.baselines)]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the area under the ROC curve of the model and of each baseline, with its range."""
        from leadml._plotting import plot_ranges

        names = {"predictor": "label", "auc": "value", "auc_low": "ci_low", "auc_high": "ci_high"}
        frame = self.baselines.rename(columns=names).assign(group="later leads")
        return plot_ranges(frame, ax, xlabel="area under the ROC curve (0.5 says nothing)", percent="")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedModel:
    """A model of one target with its judgement on later leads.

    Attributes
    ----------
    target : {"accepted", "won"}
        What is predicted: accepted among leads that were handed over and decided; won within the window.
    features : tuple of Feature
        What the model sees.
    clock : tuple of str
        Columns that date a lead, for ages.
    candidate : str
        Name of the chosen pipeline.
    pipeline : Pipeline
        Encoder and scikit-learn classifier.
    calibrator : Calibration
        Applied after the pipeline.
    choice : DataFrame
        The candidates' log loss on rolling later stretches of the training part.
    evaluation : ModelEvaluation
        On the leads of `holdout`.
    holdout : DataFrame
        The later leads, by the index of the lead table: y_true, y_prob, y_prob_definition.
    level : LevelShift
        Whether the level of the later leads has moved, and what recalibrating it does.
    parts : CalibrationParts
        Whether the probabilities hold in each quarter and segment of the later leads; ``parts.to_frame()``
        is ready to be shown, ``parts.plot()`` draws the quarters.
    reps : RepEffects or None
        How much the reps' strictness matters to acceptance; None for won deals or without enough reps.
    profile : tuple of ColumnProfile
        What the attributes of all leads looked like; later leads are held against it.
    notices : tuple of str
        What was left out, and why.
    random_state : int
        Seed it was trained with.
    """

    target: str
    features: tuple[Feature, ...] = field(repr=False)
    clock: tuple[str, ...] = field(repr=False)
    candidate: str
    pipeline: Pipeline = field(repr=False)
    calibrator: Calibration = field(repr=False)
    choice: pd.DataFrame = field(repr=False)
    evaluation: ModelEvaluation
    holdout: pd.DataFrame = field(repr=False)
    level: LevelShift
    parts: CalibrationParts = field(repr=False)
    reps: RepEffects | None = None
    profile: tuple[ColumnProfile, ...] = field(default=(), repr=False)
    notices: tuple[str, ...] = field(default=(), repr=False)
    random_state: int = 0

    @property
    def offset(self) -> float:
        """What is added to the log-odds of new leads because the level has moved; 0 if it has not."""
        return self.level.offset if self.level.shifted else 0.0

    def predict_proba(
        self, frame: pd.DataFrame, *, level: Literal["current", "trained"] = "current"
    ) -> NDArray[np.float64]:
        """Give the probability of the target for leads.

        Parameters
        ----------
        frame : DataFrame
            Leads in contract columns and types. Levels the model has not seen count as "other", or as
            missing if no level was rare in training.
        level : {"current", "trained"}, default "current"
            "current" recalibrates the intercept on the matured later leads if their level has moved;
            "trained" is what was judged on them and stands in `holdout`.

        Returns
        -------
        ndarray of shape (n_leads,)

        Raises
        ------
        LeadsError
            If an attribute is missing from the frame or has another type.
        """
        return predict_scores(
            self.pipeline,
            self.calibrator,
            frame,
            features=self.features,
            clock=self.clock,
            offset=self.offset if level == "current" else 0.0,
        )

    def to_frame(self) -> pd.DataFrame:
        """Give one row per predictor judged on the later leads, the model first."""
        return self.evaluation.baselines.copy()

    def __repr__(self) -> str:
        head = (
            f"{self.target}: {self.candidate} on {len(self.features)} attributes, calibration: "
            f"{self.calibrator.method}"
        )
        lines = [head, repr(self.evaluation), repr(self.level)]
        return "\n".join(lines if self.reps is None else [*lines, repr(self.reps)])

    def _repr_html_(self) -> str:
        m = self.evaluation.metrics
        text = f"{format_count(m['n_test'])} later leads, {format_rate(m['base_rate_test'])} positive"
        if not np.isnan(m["auc"]):
            text += f"; ROC AUC {m['auc']:.3f}, 95 % interval {m['auc_low']:.3f} to {m['auc_high']:.3f}"
        title = f"{self.target}: {self.evaluation.verdict}"
        parts = [self.evaluation.reason, text, render_frame(self.evaluation.baselines), repr(self.level)]
        parts += [] if self.reps is None else [repr(self.reps)]
        return str(render_card(title, parts, notes=self.notices))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the reliability curve on the later leads."""
        return reliability_curve(self.holdout["y_true"], self.holdout["y_prob"]).plot(ax)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UntrainedModel:
    """The reason why there is no model of a target.

    Attributes
    ----------
    target : {"accepted", "won"}
        What was to be predicted.
    reason : str
        A sentence that begins with "cannot train:".
    n_train, n_test : int
        Labelled leads in the earlier and the later part.
    notices : tuple of str
        What was left out, and why.
    """

    target: str
    reason: str
    n_train: int = 0
    n_test: int = 0
    notices: tuple[str, ...] = field(default=(), repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row: target, reason, n_train, n_test."""
        return pd.DataFrame(
            [{"target": self.target, "reason": self.reason, "n_train": self.n_train, "n_test": self.n_test}]
        )

    def __repr__(self) -> str:
        return f"{self.target}: {self.reason}"

    def _repr_html_(self) -> str:
        return str(render_card(f"{self.target}: {self.reason}", [], notes=self.notices))


def predict_scores(
    pipeline: Pipeline,
    calibrator: Calibration,
    frame: pd.DataFrame,
    *,
    features: Sequence[Feature],
    clock: Sequence[str],
    offset: float = 0.0,
) -> NDArray[np.float64]:
    """Take the features from leads, score them and calibrate.

    Parameters
    ----------
    pipeline : Pipeline
        Encoder and classifier.
    calibrator : Calibration
        Applied to its probability.
    frame : DataFrame
        Leads in contract columns.
    features : sequence of Feature
        What the pipeline was trained on.
    clock : sequence of str
        Columns that date a lead.
    offset : float, default 0.0
        Added to the calibrated log-odds.

    Returns
    -------
    ndarray of shape (n_leads,)
    """
    X = compute_features(frame, features, clock=clock)
    if not len(X):
        return np.zeros(0)
    # Twelve decimals: the last bits of an exponential differ between processors.
    p = calibrator.calibrate(pipeline.predict_proba(X)[:, 1])
    return np.round(expit(compute_logit(p) + offset) if offset else p, 12)

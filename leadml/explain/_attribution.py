"""What a model uses, attribute by attribute; the only place that imports shap."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._render import render_card, render_frame
from leadml.models import EbmClassifier, SplineLogisticClassifier, compute_features, predict_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.models import BundledModel, TrainedModel

__all__ = ["Attribution", "explain_model"]

NOT_A_CAUSE = (
    "What the model uses, relative to the average of these leads; not a cause and not a threshold: making "
    "leads different in an attribute need not change what they do."
)
_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribution:
    """How much each attribute moves a model's log-odds.

    Attributes
    ----------
    target : str
        What the model predicts.
    values : ndarray of shape (n_rows, n_attributes)
        SHAP values in log-odds before calibration; a row's values and `base` add up to its log-odds.
    base : float
        The average log-odds.
    attributes : tuple of str
        Column names.
    rows : Index
        The leads that were explained, an index into the frame.
    method : str
        "tree" (path-dependent TreeExplainer) or "additive" (the model's own terms, centred).
    additivity_error : float
        Largest difference between a lead's log-odds and the sum of its values.
    probability : ndarray of shape (n_rows,)
        What the model says of each lead that was explained: calibrated, at its current level.
    """

    target: str
    values: NDArray[np.float64] = field(repr=False)
    base: float
    attributes: tuple[str, ...] = field(repr=False)
    rows: pd.Index[Any] = field(repr=False)
    method: str
    additivity_error: float
    probability: NDArray[np.float64] = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per attribute, the strongest first: attribute, mean_abs_shap, share, n."""
        size = np.abs(self.values).mean(axis=0) if len(self.values) else np.zeros(len(self.attributes))
        total = float(size.sum())
        frame = pd.DataFrame(
            {
                "attribute": list(self.attributes),
                "mean_abs_shap": size,
                "share": size / total if total > 0 else np.zeros_like(size),
                "n": len(self.values),
            }
        )
        return frame.sort_values(["mean_abs_shap", "attribute"], ascending=[False, True], ignore_index=True)

    def __repr__(self) -> str:
        top = self.to_frame().head(5)
        lines = [f"Attribution of {self.target} over {len(self.values):,} leads ({self.method})"]
        lines += [
            f"  {row.attribute}: {row.mean_abs_shap:.3f} log-odds on average" for row in top.itertuples()
        ]
        return "\n".join([*lines, NOT_A_CAUSE])

    def _repr_html_(self) -> str:
        return str(
            render_card(f"What predicts {self.target}", [render_frame(self.to_frame())], notes=[NOT_A_CAUSE])
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw one bar per attribute, the strongest ten."""
        from leadml._plotting import plot_bars

        frame = self.to_frame().head(10)
        bars = frame.rename(columns={"attribute": "label", "mean_abs_shap": "value"})
        return plot_bars(bars[["label", "value"]], ax, xlabel="mean change of the log-odds (not a cause)")


def explain_model(
    model: TrainedModel | BundledModel,
    frame: pd.DataFrame,
    *,
    random_state: int = 0,
    max_rows: int = 2_000,
) -> Attribution:
    """Attribute a model's log-odds to its attributes with SHAP values.

    The booster itself is explained on its ordinal-encoded float32 inputs, before calibration, with the
    path-dependent TreeExplainer; the additive logistic regression explains itself. Each attribute is one
    column, so nothing has to be summed back.

    Parameters
    ----------
    model : TrainedModel or BundledModel
        What to explain.
    frame : DataFrame
        Leads in contract columns.
    random_state : int, default 0
        Seed of the sample of rows.
    max_rows : int, default 2000
        Leads to explain at most.

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError
        If the values do not add up to the model's log-odds.

    References
    ----------
    .. [1] Lundberg, Lee (2017), NeurIPS 30; Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67.
    """
    part, codes = encode_leads(model, frame, random_state=random_state, max_rows=max_rows)
    booster = model.pipeline["model"]
    values, base, method = attribute_codes(booster, codes)
    log_odds = booster.decision_function(codes) if len(codes) else np.zeros(0)
    error = float(np.max(np.abs(values.sum(axis=1) + base - log_odds), initial=0.0))
    if error > _TOLERANCE:
        raise ValueError(f"SHAP values of {model.target} miss the model's log-odds by {error:.2g}.")
    return Attribution(
        target=model.target,
        values=values,
        base=base,
        attributes=tuple(feature.name for feature in model.features),
        rows=part.index,
        method=method,
        additivity_error=error,
        probability=predict_scores(
            model.pipeline,
            model.calibrator,
            part,
            features=model.features,
            clock=model.clock,
            offset=model.offset,
        ),
    )


def encode_leads(
    model: TrainedModel | BundledModel, frame: pd.DataFrame, *, random_state: int, max_rows: int
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Draw at most `max_rows` leads and encode them as the model does."""
    part = frame
    if len(frame) > max_rows:
        rows = np.sort(np.random.default_rng(random_state).choice(len(frame), max_rows, replace=False))
        part = frame.iloc[rows]
    X = compute_features(part, model.features, clock=model.clock)
    if not len(part):
        return part, np.zeros((0, len(model.features)), dtype=np.float32)
    return part, np.asarray(model.pipeline["encode"].transform(X), dtype=np.float32)


def attribute_codes(booster: Any, codes: NDArray[np.float32]) -> tuple[NDArray[np.float64], float, str]:
    """Give the SHAP values of encoded leads, their base and the method."""
    if not len(codes):
        return np.zeros(codes.shape), 0.0, "none"
    if isinstance(booster, (EbmClassifier, SplineLogisticClassifier)):
        parts = booster.contributions(codes)
        centre = parts.mean(axis=0)
        return parts - centre, float(booster.intercept_ + centre.sum()), "additive"
    explainer = import_shap().TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(codes), dtype=np.float64)
    return values, float(np.ravel(explainer.expected_value)[-1]), "tree"


def import_shap() -> Any:
    """Import shap, which is heavy and not needed for scoring."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap 0.51 uses colour map functions that matplotlib will drop
        import shap

    return shap

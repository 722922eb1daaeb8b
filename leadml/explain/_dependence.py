"""How a model's log-odds go with one attribute, with two together, and how stable that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from leadml._render import format_rate, render_card, render_frame
from leadml.explain._attribution import NOT_A_CAUSE, attribute_codes, encode_leads
from leadml.models import compute_features, labelled_rows, list_candidates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.explain._attribution import Attribution
    from leadml.leads import LeadTable, TimeSplit
    from leadml.models import TrainedModel

__all__ = [
    "AttributionStability",
    "Dependence",
    "explain_dependence",
    "explain_interactions",
    "explain_stability",
]

_MIN_LEADS = 5  # fewer leads than this never stand alone in a bin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dependence:
    """A model's attribution to one attribute against the attribute's value, with the written thresholds.

    Attributes
    ----------
    target, attribute : str
    frame : DataFrame
        One row per bin or level: label, low, high (ends of the bin, missing for a level), n, mean_shap,
        ci_low, ci_high (where eight in ten leads of the bin lie), probability (the model's average).
    thresholds : tuple of (str, float)
        Written thresholds on the attribute: the criterion's words and the number (for a level, its place
        among the rows of `frame`).
    goal : float or None
        The probability from which a lead is wanted.
    crossings : tuple of float
        Where the model's average probability passes the goal, between two bins (or two places of levels);
        empty if it lies on one side throughout. What the model says of the leads as they are, not what a
        threshold there would bring.
    """

    target: str
    attribute: str
    frame: pd.DataFrame = field(repr=False)
    thresholds: tuple[tuple[str, float], ...] = ()
    goal: float | None = None
    crossings: tuple[float, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give one row per bin or level: label, low, high, n, mean_shap, ci_low, ci_high, probability."""
        return self.frame.copy()

    def __repr__(self) -> str:
        written = "; ".join(text for text, _ in self.thresholds) or "no written threshold"
        head = f"Dependence of {self.target} on {self.attribute}: {len(self.frame)} bins; {written}"
        if self.goal is not None:
            places = ", ".join(f"{place:g}" for place in self.crossings) or "nowhere"
            head += f"; the model passes {format_rate(self.goal)} at {places}"
        return f"{head}\n{NOT_A_CAUSE}"

    def _repr_html_(self) -> str:
        return str(render_card(repr(self), [render_frame(self.frame)], notes=[NOT_A_CAUSE]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the attribution bin by bin, the written thresholds, and where the model passes the goal."""
        from leadml._plotting import plot_dependence

        passes = f"model passes {format_rate(self.goal)}"
        return plot_dependence(
            self.frame,
            ax,
            xlabel=self.attribute,
            marks=self.thresholds,
            crossings=[(passes, place) for place in self.crossings],
        )


def explain_dependence(
    attribution: Attribution,
    frame: pd.DataFrame,
    attribute: str,
    *,
    definition: Definition | None = None,
    goal: float | None = None,
    n_bins: int = 20,
) -> Dependence:
    """Group a model's attributions to one attribute by the attribute's value.

    Parameters
    ----------
    attribution : Attribution
        From `explain_model`.
    frame : DataFrame
        The leads that it explained (others may be among them).
    attribute : str
        One of the model's attributes.
    definition : Definition, optional
        Its thresholds on the attribute are marked.
    goal : float, optional
        The probability from which a lead is wanted, for example the rate from which working it pays; where
        the model's average probability passes it is marked.
    n_bins : int, default 20
        Bins of a number, with about equally many leads, never fewer than five.

    Returns
    -------
    Dependence
    """
    if attribute not in attribution.attributes:
        listed = ", ".join(attribution.attributes[:5])
        raise ValueError(f"attribute: the model does not use {attribute!r}; it uses {listed}.")
    place = attribution.attributes.index(attribute)
    shap_values = attribution.values[:, place]  # noqa: PD011 - an array of our own
    values = frame.loc[attribution.rows, attribute]
    rows = []
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    said = np.column_stack([shap_values, attribution.probability])
    if numeric:
        rows = _number_rows(values.to_numpy(dtype=np.float64, na_value=np.nan), said, n_bins)
    elif not pd.api.types.is_datetime64_any_dtype(values.dtype):
        rows = _level_rows(values, said)
    ordered = numeric or (isinstance(values.dtype, pd.CategoricalDtype) and bool(values.dtype.ordered))
    known = pd.DataFrame(rows, columns=_COLUMNS)
    missing = values.isna().to_numpy()
    if missing.sum() >= _MIN_LEADS:
        rows.append(_row("missing", np.nan, np.nan, said[missing]))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return Dependence(
        target=attribution.target,
        attribute=attribute,
        frame=table,
        thresholds=_thresholds(definition, attribute, table, numeric=numeric),
        goal=goal,
        crossings=_crossings(known, goal) if goal is not None and ordered else (),
    )


_COLUMNS = ["label", "low", "high", "n", "mean_shap", "ci_low", "ci_high", "probability"]


def _crossings(table: pd.DataFrame, goal: float) -> tuple[float, ...]:
    """Give the places, in ascending order, where the average probability passes the goal."""
    over = table["probability"].to_numpy(dtype=np.float64) >= goal
    turns = np.flatnonzero(over[1:] != over[:-1])
    low, high = (table[name].to_numpy(dtype=np.float64) for name in ("low", "high"))
    ends = (high[turns] + low[turns + 1]) / 2
    return tuple(np.where(np.isnan(ends), turns + 0.5, ends).tolist())


def _row(label: str, low: float, high: float, said: NDArray[np.float64]) -> dict[str, Any]:
    shap_values = said[:, 0]
    ends = np.quantile(shap_values, [0.1, 0.9])
    return {
        "label": label,
        "low": low,
        "high": high,
        "n": int(shap_values.size),
        "mean_shap": float(shap_values.mean()),
        "ci_low": float(ends[0]),
        "ci_high": float(ends[1]),
        "probability": float(said[:, 1].mean()),
    }


def _number_rows(x: NDArray[np.float64], said: NDArray[np.float64], n_bins: int) -> list[dict[str, Any]]:
    known = np.isfinite(x)
    order = np.argsort(x[known], kind="stable")
    xs, ss = x[known][order], said[known][order]
    rows = []
    start = 0
    step = max(_MIN_LEADS, int(np.ceil(xs.size / n_bins)))
    while start < xs.size:
        end = int(np.searchsorted(xs, xs[min(start + step, xs.size) - 1], side="right"))
        if xs.size - end < _MIN_LEADS:
            end = xs.size
        part = slice(start, end)
        if end - start >= _MIN_LEADS:
            label = f"{xs[start]:g}" if xs[start] == xs[end - 1] else f"{xs[start]:g} to {xs[end - 1]:g}"
            rows.append(_row(label, float(xs[start]), float(xs[end - 1]), ss[part]))
        start = end
    return rows


def _level_rows(values: pd.Series, said: NDArray[np.float64]) -> list[dict[str, Any]]:
    texts = values.astype("object").map(str, na_action="ignore")
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(level) for level in values.cat.categories]
    else:
        names = sorted(texts.dropna().unique())
    rows = []
    for name in names:
        inside = (texts == name).to_numpy(dtype=bool)
        if inside.sum() >= _MIN_LEADS:
            rows.append(_row(name, np.nan, np.nan, said[inside]))
    return rows


def _thresholds(
    definition: Definition | None, attribute: str, table: pd.DataFrame, *, numeric: bool
) -> tuple[tuple[str, float], ...]:
    found: list[tuple[str, float]] = []
    places = {label: float(place) for place, label in enumerate(table["label"])}
    for criterion in definition.criteria() if definition is not None else ():
        if criterion.attribute != attribute or criterion.operator in ("in", "not in", "!=", "="):
            continue
        for value in criterion.values:  # noqa: PD011 - a tuple of our own
            if numeric and not isinstance(value, (str, bool)):
                found.append((criterion.text, float(value)))
            elif str(value) in places:
                found.append((criterion.text, places[str(value)]))
    return tuple(dict.fromkeys(found))


def explain_interactions(
    model: TrainedModel, frame: pd.DataFrame, *, random_state: int = 0, max_rows: int = 500
) -> pd.DataFrame:
    """Measure how much pairs of attributes move the log-odds beyond their separate parts.

    Parameters
    ----------
    model : TrainedModel
        What to explain. An additive model has no interactions by construction.
    frame : DataFrame
        Leads in contract columns.
    random_state : int, default 0
        Seed of the sample of rows.
    max_rows : int, default 500
        Leads to explain at most.

    Returns
    -------
    DataFrame
        One row per pair, the strongest first: first, second, mean_abs_interaction, n.

    References
    ----------
    .. [1] Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67 (SHAP interaction values).
    """
    _, codes = encode_leads(model, frame, random_state=random_state, max_rows=max_rows)
    names = [feature.name for feature in model.features]
    size = np.zeros((len(names), len(names)))
    booster = model.pipeline["model"]
    if len(codes) and not hasattr(booster, "contributions"):
        from leadml.explain._attribution import import_shap

        explainer = import_shap().TreeExplainer(booster, feature_perturbation="tree_path_dependent")
        found = np.asarray(explainer.shap_interaction_values(codes), dtype=np.float64)
        size = 2 * np.abs(found).mean(axis=0)  # both halves of the pair
    rows = [
        {"first": names[i], "second": names[j], "mean_abs_interaction": float(size[i, j]), "n": len(codes)}
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    table = pd.DataFrame(rows, columns=["first", "second", "mean_abs_interaction", "n"])
    return table.sort_values(
        ["mean_abs_interaction", "first", "second"], ascending=[False, True, True], ignore_index=True
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributionStability:
    """How attributions change when the model is trained again on other draws of the same leads.

    Attributes
    ----------
    target : str
    frame : DataFrame
        One row per attribute, the strongest first: attribute, mean_abs_shap, lowest, highest (over the
        repetitions), best_rank, worst_rank.
    rank_correlation : float
        Mean Spearman correlation between the repetitions' orders of attributes; 1 is the same order.
    n_repeats : int
    """

    target: str
    frame: pd.DataFrame = field(repr=False)
    rank_correlation: float
    n_repeats: int

    def to_frame(self) -> pd.DataFrame:
        """Give one row per attribute."""
        return self.frame.copy()

    def __repr__(self) -> str:
        return (
            f"Attributions of {self.target} over {self.n_repeats} trainings: rank correlation "
            f"{self.rank_correlation:.2f}\n{self.frame.head(5).to_string(index=False)}"
        )

    def _repr_html_(self) -> str:
        title = f"Stability over {self.n_repeats} trainings: rank correlation {self.rank_correlation:.2f}"
        return str(render_card(title, [render_frame(self.frame)], notes=[NOT_A_CAUSE]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw one bar per attribute, the strongest ten, with its lowest and highest over the trainings."""
        from leadml._plotting import plot_bars

        names = {"attribute": "label", "mean_abs_shap": "value", "lowest": "ci_low", "highest": "ci_high"}
        frame = self.frame.head(10).rename(columns=names)
        return plot_bars(frame, ax, xlabel="mean change of the log-odds (not a cause)")


def explain_stability(
    model: TrainedModel,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    split: TimeSplit,
    n_repeats: int = 5,
    random_state: int = 0,
    max_rows: int = 1_000,
) -> AttributionStability:
    """Train the chosen pipeline again on bootstrap draws with other seeds and compare the attributions.

    Parameters
    ----------
    model : TrainedModel
        Its candidate and features are used.
    table : LeadTable
        The leads.
    targets : DataFrame
        From `compute_targets`.
    split : TimeSplit
        The same as in training.
    n_repeats : int, default 5
        Trainings, at least 2.
    random_state : int, default 0
        Seed of the draws and boosters.
    max_rows : int, default 1000
        Leads to explain, the same in each repetition.

    Returns
    -------
    AttributionStability
    """
    if n_repeats < 2:
        raise ValueError(f"n_repeats: expected at least 2, got {n_repeats!r}.")
    rows = np.flatnonzero(labelled_rows(targets, target=model.target, part=split.discover))
    y = targets[model.target].to_numpy(dtype=np.float64, na_value=np.nan)
    X = compute_features(table.frame, model.features, clock=model.clock)
    shown = rows[np.linspace(0, rows.size - 1, min(max_rows, rows.size)).astype(np.int64)]
    rng = np.random.default_rng(random_state)
    names = [feature.name for feature in model.features]
    sizes = np.empty((n_repeats, len(names)))
    for repeat in range(n_repeats):
        draw = np.sort(rng.choice(rows, rows.size))
        extras = ("ebm",) if model.candidate == "explainable boosting machine" else ()
        candidates = list_candidates(
            model.features, random_state=random_state + repeat, n_leads=rows.size, extras=extras
        )
        candidate = next(c for c in candidates if c.name == model.candidate)
        pipeline = candidate.fit(X.iloc[draw], y[draw])
        values, _, _ = attribute_codes(pipeline["model"], pipeline["encode"].transform(X.iloc[shown]))
        sizes[repeat] = np.abs(values).mean(axis=0)
    ranks = np.argsort(np.argsort(-sizes, axis=1, kind="stable"), axis=1) + 1
    frame = pd.DataFrame(
        {
            "attribute": names,
            "mean_abs_shap": sizes.mean(axis=0),
            "lowest": sizes.min(axis=0),
            "highest": sizes.max(axis=0),
            "best_rank": ranks.min(axis=0),
            "worst_rank": ranks.max(axis=0),
        }
    ).sort_values(["mean_abs_shap", "attribute"], ascending=[False, True], ignore_index=True)
    pairs = [
        float(spearmanr(sizes[i], sizes[j]).statistic) if len(names) > 1 else 1.0
        for i in range(n_repeats)
        for j in range(i)
    ]
    return AttributionStability(
        target=model.target,
        frame=frame,
        rank_correlation=float(np.nan_to_num(np.mean(pairs), nan=1.0)),
        n_repeats=n_repeats,
    )

"""Additive models as plain numbers, so that a warehouse can compute the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leadml.definitions import Scorecard, ScoreCurve, ScoreInput, ScoreTable
from leadml.errors import BundleError
from leadml.models._ebm import EbmClassifier
from leadml.models._logistic import SplineLogisticClassifier
from leadml.models._model import TARGET_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadml.models._bundle import Bundle, BundledModel
    from leadml.models._encoder import LeadEncoder

__all__ = ["make_scorecards"]

_INPUTS: dict[str, Literal["number", "boolean", "level"]] = {
    "number": "number",
    "boolean": "boolean",
    "ordinal": "level",
    "category": "level",
}


def make_scorecards(bundle: Bundle, *, targets: Sequence[str] = ()) -> tuple[Scorecard | str, ...]:
    """Give the additive models of a bundle as plain numbers.

    Parameters
    ----------
    bundle : Bundle
        From `load_bundle`.
    targets : sequence of {"accepted", "won"}
        Whose probabilities are wanted; by default all.

    Returns
    -------
    tuple of Scorecard or str
        One per target, named after the column of a score file; the name alone where the bundle has no model.

    Raises
    ------
    BundleError
        If a model that is wanted is not additive.
    """
    unknown = sorted(set(targets) - set(TARGET_WORDS))
    if unknown:
        raise ValueError(f"targets: expected accepted or won, got {unknown[0]!r}.")
    wanted = [target for target in TARGET_WORDS if not targets or target in targets]
    models = [bundle.models[target] for target in wanted if target in bundle.models]
    refused = [model for model in models if not _additive(model)]
    if refused:
        rest = [model.target for model in bundle.models.values() if _additive(model)]
        hint = f" Ask for {' and '.join(rest)} only." if rest else " Score this bundle with `leadml score`."
        raise BundleError(
            *(
                f"the model of {TARGET_WORDS[model.target]} is {model.candidate!r}, which is no sum of parts "
                "of single attributes and cannot be written as SQL; logistic models and the explainable "
                f"boosting machine can.{hint}"
                for model in refused
            )
        )
    return tuple(
        _scorecard(bundle.models[target]) if target in bundle.models else f"probability_{target}"
        for target in wanted
    )


def _additive(model: BundledModel) -> bool:
    return isinstance(model.pipeline["model"], SplineLogisticClassifier | EbmClassifier)


def _scorecard(model: BundledModel) -> Scorecard:
    encoder, classifier = model.pipeline["encode"], model.pipeline["model"]
    inputs = _inputs(model, encoder)
    terms = (
        _ebm_terms(classifier)
        if isinstance(classifier, EbmClassifier)
        else _logistic_terms(classifier, inputs)
    )
    calibrator = model.calibrator
    return Scorecard(
        name=f"probability_{model.target}",
        intercept=classifier.intercept_,
        inputs=inputs,
        terms=terms,
        coef=() if calibrator.method == "none" else calibrator.coef,
        grid=() if calibrator.method == "none" else calibrator.grid,
        values=() if calibrator.method == "none" else calibrator.values,
        offset=model.offset,
    )


def _inputs(model: BundledModel, encoder: LeadEncoder) -> tuple[ScoreInput, ...]:
    found = []
    for feature, kind, levels, other, empty in zip(
        model.features, encoder.kinds_, encoder.levels_, encoder.other_, encoder.empty_, strict=True
    ):
        if empty:
            found.append(ScoreInput(name=feature.name, kind="constant"))
        elif feature.kind == "age":
            found.append(ScoreInput(name=feature.name, kind="age", clock=model.clock))
        else:
            found.append(
                ScoreInput(
                    name=feature.name,
                    kind=_INPUTS[kind],
                    levels=tuple(levels) if _INPUTS[kind] == "level" else (),
                    other=float(other) if other >= 0 else None,
                )
            )
    return tuple(found)


def _logistic_terms(
    model: SplineLogisticClassifier, inputs: Sequence[ScoreInput]
) -> tuple[ScoreCurve | ScoreTable, ...]:
    """Give each column's curve, or what it gives each code and a missing value."""
    terms: list[ScoreCurve | ScoreTable] = []
    for place, entry in enumerate(inputs):
        if entry.kind in ("number", "age"):
            terms.append(
                ScoreCurve(
                    input=place,
                    grid=_plain(model.grids_[place]),
                    values=_plain(model.values_[place]),
                    spike=None if np.isnan(model.spikes_[place]) else float(model.spikes_[place]),
                    spike_value=float(model.spike_values_[place]),
                    missing=float(model.missing_[place]),
                )
            )
            continue
        size = {"boolean": 2, "constant": 1}.get(entry.kind, len(entry.levels) + (entry.other is not None))
        codes = np.full((size + 1, len(inputs)), np.nan)
        codes[1:, place] = np.arange(size)
        values = model.contributions(codes)[:, place]
        cuts = tuple(code - 0.5 for code in range(1, size))
        terms.append(ScoreTable(inputs=(place,), cuts=(cuts,), values=tuple((v,) for v in _plain(values))))
    return tuple(terms)


def _ebm_terms(model: EbmClassifier) -> tuple[ScoreTable, ...]:
    terms = []
    for columns, cuts, table in zip(model.terms_, model.cuts_, model.tables_, strict=True):
        used = table[tuple(slice(len(points) + 2) for points in cuts)]  # interpret keeps one more for unknown
        rows = used[:, None] if used.ndim == 1 else used
        terms.append(
            ScoreTable(
                inputs=tuple(columns),
                cuts=tuple(_plain(points) for points in cuts),
                values=tuple(_plain(row) for row in rows),
            )
        )
    return tuple(terms)


def _plain(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)

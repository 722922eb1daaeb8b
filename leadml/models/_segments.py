"""Whether a model's probabilities hold in each segment and quarter of the later leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml.metrics import compare_segments

if TYPE_CHECKING:
    import pandas as pd

    from leadml.metrics import SegmentCalibration
    from leadml.models._model import TrainedModel

__all__ = ["compare_calibration"]


def compare_calibration(model: TrainedModel, segments: pd.Series) -> SegmentCalibration:
    """Compare expected with observed in each segment, or quarter, of the leads a model was judged on.

    Parameters
    ----------
    model : TrainedModel
        Its later leads and their probabilities as judged.
    segments : Series
        Name of each lead's segment by the index of the lead table, for example ``targets["period"]`` or
        ``table.frame["country"]``; leads on which the model was not judged are left out.

    Returns
    -------
    SegmentCalibration

    Raises
    ------
    ValueError
        If a lead that the model was judged on has no row in `segments`.
    """
    rows = model.holdout.index
    absent = rows.difference(segments.index)
    if len(absent):
        raise ValueError(
            f"segments: expected a row for each of the {len(rows):,} later leads, "
            f"{len(absent):,} are missing."
        )
    names = segments.loc[rows].astype("object").to_numpy()
    return compare_segments(model.holdout["y_true"], model.holdout["y_prob"], names)

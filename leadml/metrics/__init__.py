"""Pure functions: rates and intervals, discrimination, calibration. Numbers in, numbers out."""

from leadml.metrics._calibration import (
    CalibrationLine,
    ReliabilityCurve,
    calibration_line,
    compute_logit,
    expit,
    fit_logistic,
    reliability_curve,
)
from leadml.metrics._discrimination import (
    average_precision,
    brier_score,
    log_loss,
    log_losses,
    mean_difference,
    roc_auc_interval,
)
from leadml.metrics._gate import compute_gate_size, holm, learn_then_test, mover_p_value, sequential_evidence
from leadml.metrics._intervals import clopper_pearson, kish_counts, mover_interval, wilson_interval
from leadml.metrics._power import compute_power, exploration_size, smallest_detectable
from leadml.metrics._segments import (
    SegmentCalibration,
    Spread,
    compare_segments,
    estimate_prevalence,
    estimate_spread,
)

__all__ = [
    "CalibrationLine",
    "ReliabilityCurve",
    "SegmentCalibration",
    "Spread",
    "average_precision",
    "brier_score",
    "calibration_line",
    "clopper_pearson",
    "compare_segments",
    "compute_gate_size",
    "compute_logit",
    "compute_power",
    "estimate_prevalence",
    "estimate_spread",
    "expit",
    "exploration_size",
    "fit_logistic",
    "holm",
    "kish_counts",
    "learn_then_test",
    "log_loss",
    "log_losses",
    "mean_difference",
    "mover_interval",
    "mover_p_value",
    "reliability_curve",
    "roc_auc_interval",
    "sequential_evidence",
    "smallest_detectable",
    "wilson_interval",
]

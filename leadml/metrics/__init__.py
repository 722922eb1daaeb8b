"""Pure functions: rates and intervals, discrimination, calibration. Numbers in, numbers out."""

from leadml.metrics._agreement import (
    Agreement,
    cohen_kappa,
    gwet_ac1,
    krippendorff_alpha,
    raw_agreement,
    rule_agreement,
)
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
    "Agreement",
    "CalibrationLine",
    "ReliabilityCurve",
    "SegmentCalibration",
    "Spread",
    "average_precision",
    "brier_score",
    "calibration_line",
    "clopper_pearson",
    "cohen_kappa",
    "compare_segments",
    "compute_gate_size",
    "compute_logit",
    "compute_power",
    "estimate_prevalence",
    "estimate_spread",
    "expit",
    "exploration_size",
    "fit_logistic",
    "gwet_ac1",
    "holm",
    "kish_counts",
    "krippendorff_alpha",
    "learn_then_test",
    "log_loss",
    "log_losses",
    "mean_difference",
    "mover_interval",
    "mover_p_value",
    "raw_agreement",
    "reliability_curve",
    "roc_auc_interval",
    "rule_agreement",
    "sequential_evidence",
    "smallest_detectable",
    "wilson_interval",
]

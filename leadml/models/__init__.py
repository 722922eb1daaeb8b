"""Models of *accepted* and *won*: features, candidates, calibration, training out of time, the bundle."""

from leadml.models._bundle import Bundle, BundledModel, load_bundle, write_bundle
from leadml.models._calibration import Calibration, choose_calibration, fit_calibration
from leadml.models._candidates import Candidate, list_candidates
from leadml.models._ebm import EbmClassifier
from leadml.models._encoder import LeadEncoder
from leadml.models._features import Feature, choose_features, compute_features
from leadml.models._level import LevelShift, compare_levels
from leadml.models._logistic import SplineLogisticClassifier
from leadml.models._model import ModelEvaluation, TrainedModel, UntrainedModel, predict_scores
from leadml.models._profile import ColumnProfile, compare_profile, count_bins, find_levels, profile_leads
from leadml.models._reps import RepEffects
from leadml.models._scorecard import make_scorecards
from leadml.models._segments import CalibrationParts, compare_calibration, find_segments
from leadml.models._train import evaluate_predictions, labelled_rows, train_model

__all__ = [
    "Bundle",
    "BundledModel",
    "Calibration",
    "CalibrationParts",
    "Candidate",
    "ColumnProfile",
    "EbmClassifier",
    "Feature",
    "LeadEncoder",
    "LevelShift",
    "ModelEvaluation",
    "RepEffects",
    "SplineLogisticClassifier",
    "TrainedModel",
    "UntrainedModel",
    "choose_calibration",
    "choose_features",
    "compare_calibration",
    "compare_levels",
    "compare_profile",
    "compute_features",
    "count_bins",
    "evaluate_predictions",
    "find_levels",
    "find_segments",
    "fit_calibration",
    "labelled_rows",
    "list_candidates",
    "load_bundle",
    "make_scorecards",
    "predict_scores",
    "profile_leads",
    "train_model",
    "write_bundle",
]

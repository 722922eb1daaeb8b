"""Read one experiment file and run the loop end to end."""

from leadml.experiment._demo import write_demo
from leadml.experiment._explore import audit_experiment, follow_experiment, sample_experiment
from leadml.experiment._file import Experiment, load_experiment, parse_experiment
from leadml.experiment._notebook import write_review_notebook
from leadml.experiment._result import ExperimentResult
from leadml.experiment._run import (
    Progress,
    Stage,
    analyse_experiment,
    ask_experiment,
    propose_on_spark,
    widen_experiment,
)
from leadml.experiment._watch import record_look, watch_definition
from leadml.experiment._write import (
    record_sign_off,
    run_experiment,
    write_models,
    write_proposals,
    write_widest,
)

__all__ = [
    "Experiment",
    "ExperimentResult",
    "Progress",
    "Stage",
    "analyse_experiment",
    "ask_experiment",
    "audit_experiment",
    "follow_experiment",
    "load_experiment",
    "parse_experiment",
    "propose_on_spark",
    "record_look",
    "record_sign_off",
    "run_experiment",
    "sample_experiment",
    "watch_definition",
    "widen_experiment",
    "write_demo",
    "write_models",
    "write_proposals",
    "write_review_notebook",
    "write_widest",
]

"""The user's own autolog must not see our training; the control shows that it would."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
import mlflow
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1] + "/mlflow.db")
mlflow.set_experiment("mine")
mlflow.autolog(log_models=False, silent=True)
import numpy as np
from sklearn.linear_model import LogisticRegression
from leadml.tracking import disable_autologging
X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
with disable_autologging():
    LogisticRegression().fit(X, y)
print(len(mlflow.search_runs(output_format="list")))
LogisticRegression().fit(X, y)
print(len(mlflow.search_runs(output_format="list")))
"""


@pytest.mark.slow
def test_autolog_that_the_user_switched_on_sees_nothing_inside_the_block(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.stdout.split() == ["0", "1"], result.stderr[-2_000:]

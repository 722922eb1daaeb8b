"""The figures of the studies in MLflow: every number of a printed table, and nothing that was not printed."""

import importlib.util
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def track(root):
    spec = importlib.util.spec_from_file_location("track", root / "experiments" / "track.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TEXT = """\
| world | leads | proposed | ranges that cover (of) |
|---|---|---|---|
| OPT | 1,000 | 0.000 | 0.989 (88) |
| OPT | 2,000 | 0.010 |  |

some words

| cut | gain |
|---|---|
| 10 | -1,234.5 USD |
"""


def test_every_number_is_named_by_what_tells_its_row_apart_and_by_its_column(track):
    assert track.read_figures(TEXT) == {
        "table 1 . OPT . 1,000 . proposed": 0.0,
        "table 1 . OPT . 1,000 . ranges that cover (of) 1": 0.989,
        "table 1 . OPT . 1,000 . ranges that cover (of) 2": 88.0,
        "table 1 . OPT . 2,000 . proposed": 0.01,
        "table 2 . 10 . gain": -1234.5,
    }


def test_text_without_a_table_has_no_figures(track):
    assert track.read_figures("| a line | that is none |\nwords\n|---|\n") == {}


def test_a_script_that_is_not_there_is_refused(track, tmp_path, capsys):
    assert track.main([str(tmp_path), str(tmp_path / "none.py")]) == 66
    assert "no such script" in capsys.readouterr().err
    assert track.main([]) == 64


def test_a_script_that_fails_is_not_tracked(track, tmp_path, capfd):
    script = tmp_path / "fails.py"
    script.write_text("import sys; print('| a |'); sys.exit(3)\n")
    assert track.main([str(tmp_path / "runs"), str(script)]) == 3
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # mlflow's SQL models
def test_figures_and_text_of_a_script_are_in_the_store(root, tmp_path):
    from mlflow import MlflowClient

    script = tmp_path / "study.py"
    script.write_text(f"print({TEXT!r})\n")
    command = [
        sys.executable,
        str(root / "experiments" / "track.py"),
        str(tmp_path / "runs"),
        str(script),
        "--reps",
        "3",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == TEXT.strip()
    client = MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("leadml/studies")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["kind"] == "study"
    assert run.data.params["arguments"] == "--reps 3"
    assert run.data.metrics["table 2 . 10 . gain"] == -1234.5
    assert len(run.data.metrics) == 5
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["study.md"]

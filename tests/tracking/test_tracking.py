import json
import os
import subprocess
import sys

import pytest

from leadml.tracking import (
    close_tracking,
    find_git_commit,
    flush_spool,
    log_items,
    metric_items,
    open_tracking,
    params_item,
    start_run,
    tracked_run,
    wait_until_stored,
)
from leadml.tracking._tracking import mask_password


@pytest.fixture
def no_server(monkeypatch):
    """No sending process: everything stays in the spool."""
    monkeypatch.setattr("leadml.tracking._tracking._start_process", lambda spool, uri: None)


def messages(tracking):
    return [json.loads(path.read_text()) for path in sorted(tracking.spool.glob("*.json"))]


def test_a_job_is_tracked_by_a_process_of_its_own(store_folder, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_RUN_ID", "of-somebody-else")
    tracking = open_tracking(folder=store_folder, experiment_name="review")
    with tracked_run(tracking, [params_item({"a": 1})], name="outer", kind="experiment") as outer:
        start_run(tracking, metric_items({"m": 1.0}), name="inner", kind="model", parent=outer)
        assert wait_until_stored(tracking)
    report = close_tracking(tracking)
    assert (report.sent, report.waiting, report.refused, report.lost) == (3, 0, 0, 0)
    assert outer in report.run_ids
    assert report.experiment_id is not None
    assert list(report.to_frame().columns) == ["run", "run_id"]
    assert "3 messages sent" in repr(report)
    assert "3 messages sent" in report._repr_html_()
    assert sorted(path.name for path in store_folder.iterdir()) == ["mlflow.db"]


def test_a_server_that_refuses_costs_little_and_nothing_is_lost(tmp_path):
    tracking = open_tracking("http://127.0.0.1:9", folder=tmp_path, patience=6.0)
    with tracked_run(tracking, name="r", kind="experiment"):
        assert not wait_until_stored(tracking)
    report = close_tracking(tracking)
    assert (report.sent, report.waiting) == (0, 2)
    assert report.seconds <= 6.5
    assert "Waiting because" in repr(report)
    assert len(messages(tracking)) == 2


def test_the_environment_names_the_store(tmp_path, monkeypatch, no_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://me:secret@127.0.0.1/x")
    tracking = open_tracking(folder=tmp_path)
    assert tracking.uri == "postgresql+psycopg://me:***@127.0.0.1/x"
    start_run(tracking, name="r", kind="score")
    assert "secret" not in json.dumps(messages(tracking))


def test_the_default_store_lies_in_the_folder_with_its_artifacts(tmp_path, monkeypatch, no_server):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    tracking = open_tracking(folder="out")
    assert tracking.uri == f"sqlite:///{tmp_path}/out/mlflow.db"
    start_run(tracking, name="r", kind="score")
    assert messages(tracking)[0]["artifacts"] == (tmp_path / "out" / "mlartifacts").as_uri()
    assert open_tracking("sqlite:///a.db", folder="out").uri == f"sqlite:///{tmp_path}/a.db"


def test_a_block_that_raises_is_a_failed_run_without_the_message(tmp_path, no_server):
    tracking = open_tracking(folder=tmp_path)
    with pytest.raises(ValueError, match="personal"), tracked_run(tracking, name="r", kind="experiment"):
        raise ValueError("personal")
    assert [message["status"] for message in messages(tracking)] == ["started", "failed"]
    assert "personal" not in json.dumps(messages(tracking))


def test_a_run_is_ended_and_reported_without_a_sender(tmp_path, no_server):
    tracking = open_tracking(folder=tmp_path)
    run = start_run(tracking, name="r", kind="experiment")
    log_items(tracking, [params_item({"a": 1})], run=run)
    assert not wait_until_stored(tracking)
    assert close_tracking(tracking).waiting == 2
    assert flush_spool(tmp_path).waiting == 2


def test_a_folder_that_cannot_be_written_never_stops_the_job(tmp_path, no_server):
    (tmp_path / "file").write_text("")
    tracking = open_tracking(folder=tmp_path / "file")
    start_run(tracking, name="r", kind="experiment")
    report = close_tracking(tracking)
    assert report.lost == 1
    assert "1 lost" in repr(report)


def test_a_sender_that_cannot_start_leaves_the_spool(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    tracking = open_tracking(folder=tmp_path)
    start_run(tracking, name="r", kind="experiment")
    assert close_tracking(tracking).waiting == 1


def test_a_sender_that_never_answers_is_left_behind(tmp_path, monkeypatch):
    original = subprocess.Popen
    monkeypatch.setattr(
        "leadml.tracking._tracking.subprocess.Popen",
        lambda command, **kwargs: original([sys.executable, "-c", "import time; time.sleep(60)"], **kwargs),
    )
    tracking = open_tracking(folder=tmp_path, patience=0.3)
    start_run(tracking, name="r", kind="experiment")
    report = close_tracking(tracking)
    assert report.waiting == 1
    assert report.reason == "the store is slow or does not answer"
    assert report.seconds < 1


def test_a_sender_that_dies_is_noticed(tmp_path, monkeypatch):
    original = subprocess.Popen
    monkeypatch.setattr(
        "leadml.tracking._tracking.subprocess.Popen",
        lambda command, **kwargs: original([sys.executable, "-c", "raise SystemExit(1)"], **kwargs),
    )
    tracking = open_tracking(folder=tmp_path, patience=5)
    start_run(tracking, name="r", kind="experiment")
    assert close_tracking(tracking).waiting == 1


def test_importing_tracking_is_light():
    code = (
        "import sys, leadml.tracking\n"
        "assert not {'mlflow', 'pandas', 'sklearn', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_git_commit_is_found_or_none(tmp_path, monkeypatch):
    assert find_git_commit(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert find_git_commit(os.curdir) is None


def test_passwords_are_masked():
    assert mask_password("https://u:p@host/x") == "https://u:***@host/x"
    assert mask_password("sqlite:////a/b.db") == "sqlite:////a/b.db"

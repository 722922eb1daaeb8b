"""Tracking against real stores that are up, down, slow, restarted or created by eight jobs at once."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from leadml.tracking import (
    Artifact,
    RegisteredDefinition,
    close_tracking,
    flush_spool,
    log_items,
    metric_items,
    open_tracking,
    params_item,
    start_run,
    tag_items,
    tracked_run,
    wait_until_stored,
)

pytestmark = [
    pytest.mark.slow,
    # MLflow 3.17 uses a loader option that SQLAlchemy 2.1 deprecates; drop this when MLflow no longer does.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]
SHA = "ab" * 32


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """An MLflow server on PostgreSQL."""

    def __init__(self, store, folder):
        self.store, self.folder, self.port = store, folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            self.store,
            "--serve-artifacts",
        ]
        command += [
            "--artifacts-destination",
            str(self.folder),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        environment = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        }
        environment.pop("MLFLOW_TRACKING_URI", None)
        self.process = subprocess.Popen(
            [*command, "--workers", "1"],
            env=environment,
            cwd=self.folder,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as found:
                if found.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.2)
        pytest.fail("the MLflow server did not start")

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            os.killpg(self.process.pid, number)
            self.process.wait(timeout=30)
            self.process = None

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri, registry_uri=self.uri)


@pytest.fixture(scope="module")
def server(postgres, tmp_path_factory):
    found = Server(postgres, tmp_path_factory.mktemp("mlflow"))
    found.start()
    yield found
    found.stop()


class Proxy:
    """Stands between a job and the server and does what broken networks do."""

    GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<html>no</html>"
    BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def __init__(self, port):
        self.upstream, self.mode = port, "pass"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, self.mode), daemon=True).start()

    def _serve(self, client, mode):
        with client:
            if mode == "refuse":
                return
            if mode in {"hang", "garbage", "busy"}:
                client.recv(65_536)
                if mode == "hang":
                    time.sleep(30)
                else:
                    client.sendall(self.GARBAGE if mode == "garbage" else self.BUSY)
                return
            with socket.create_connection(("127.0.0.1", self.upstream)) as server:
                back = threading.Thread(target=self._pump, args=(server, client, mode), daemon=True)
                back.start()
                self._pump(client, server, "slow" if mode == "slow" else "pass")
                back.join(30)

    @staticmethod
    def _pump(source, target, mode):
        try:
            while chunk := source.recv(65_536):
                if mode == "slow":
                    time.sleep(1.0)
                if mode != "deaf":  # a deaf network carries requests and loses every answer
                    target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self):
        self.listener.close()


@pytest.fixture
def proxy(server):
    found = Proxy(server.port)
    yield found
    found.close()


def track(uri, folder, name, *, middle=None):
    """Track a small loop as an experiment run does; return the report and the seconds it took in all."""
    began = time.monotonic()
    tracking = open_tracking(uri, experiment_name=name, folder=folder)
    with tracked_run(tracking, [params_item({"goal": "won"})], name="loop", kind="experiment") as run:
        with tracked_run(tracking, metric_items({"auc": 0.7}), name="won", kind="model", parent=run):
            log_items(tracking, tag_items({"data.sha256": SHA}), run=run)
        start_run(
            tracking,
            [Artifact(name="registration.json", content="{}")],
            name="r",
            kind="registration",
            parent=run,
        )
        wait_until_stored(tracking)
        if middle is not None:
            middle()
        definition = RegisteredDefinition(
            name=f"definition-{name}", version="1", sha256=SHA, text="name: x\n", alias="champion"
        )
        log_items(tracking, [definition, Artifact(name="packet.html", content="<p>é</p>" * 5_000)], run=run)
    report = close_tracking(tracking)
    return report, time.monotonic() - began


def check_exactly_once(server, name):
    client = server.client()
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    assert Counter(run.data.tags["kind"] for run in runs) == {"experiment": 1, "model": 1, "registration": 1}
    (outer,) = [run for run in runs if run.data.tags["kind"] == "experiment"]
    assert all(run.data.tags["mlflow.parentRunId"] == outer.info.run_id for run in runs if run is not outer)
    assert outer.data.tags["status"] == "completed"
    assert outer.data.tags["data.sha256"] == SHA
    assert {entry.path for entry in client.list_artifacts(outer.info.run_id)} == {"definition", "packet.html"}
    versions = client.search_model_versions(f"name = 'definition-{name}'")
    assert len(versions) == 1
    assert client.get_model_version_by_alias(f"definition-{name}", "champion").version == versions[0].version


def test_a_loop_is_tracked_on_a_server_with_postgresql(server, tmp_path):
    report, _ = track(server.uri, tmp_path, "up")
    assert (report.waiting, report.refused, report.lost) == (0, 0, 0), report
    check_exactly_once(server, "up")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["refuse", "hang", "garbage", "busy", "slow", "deaf"])
def test_a_broken_server_costs_15_seconds_at_most_and_gets_everything_once_later(
    server, proxy, tmp_path, mode
):
    proxy.mode = mode
    report, seconds = track(proxy.uri, tmp_path, mode)
    assert seconds <= 15.0
    if mode != "slow":
        assert report.waiting > 0
    proxy.mode = "pass"
    time.sleep(6 if mode in {"deaf", "slow"} else 0)  # what was still under way arrives
    later = flush_spool(tmp_path, uri=proxy.uri)
    assert later.waiting == 0, later
    check_exactly_once(server, mode)


def test_a_server_that_is_restarted_gets_everything_once(server, tmp_path):
    report, seconds = track(server.uri, tmp_path, "restarted", middle=lambda: server.stop(signal.SIGKILL))
    assert seconds <= 15.0
    assert report.waiting > 0
    server.start()
    assert flush_spool(tmp_path, uri=server.uri).waiting == 0
    check_exactly_once(server, "restarted")


def test_jobs_that_share_a_spool_send_everything_once(server, proxy, tmp_path):
    proxy.mode = "refuse"
    track(proxy.uri, tmp_path, "shared")
    proxy.mode = "pass"
    code = "import sys; from leadml.tracking import flush_spool; flush_spool(sys.argv[1], uri=sys.argv[2])"
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), proxy.uri]) for _ in range(3)]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0, 0]
    assert flush_spool(tmp_path, uri=proxy.uri).waiting == 0
    check_exactly_once(server, "shared")


@pytest.mark.parametrize("round_number", range(3))
def test_eight_jobs_on_an_empty_store_lose_no_run(tmp_path, round_number, monkeypatch):
    code = (
        "import sys; from leadml.tracking import *\n"
        "t = open_tracking(folder=sys.argv[1] + '/' + sys.argv[2], uri='sqlite:///' + sys.argv[1] + '/mlflow.db')\n"
        "with tracked_run(t, metric_items({'m': float(sys.argv[2])}), name=sys.argv[2], kind='experiment'): pass\n"
        "report = close_tracking(t)\n"
        "assert report.waiting == 0, report\n"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)], stderr=subprocess.PIPE)
        for number in range(8)
    ]
    for job in jobs:
        _, said = job.communicate(timeout=300)
        assert job.returncode == 0, said
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("leadml")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.metrics["m"] for run in runs) == list(range(8))
    assert {run.data.tags["status"] for run in runs} == {"completed"}
    shutil.rmtree(tmp_path, ignore_errors=True)

"""What several test files share: the settings of the process and the place of the real data."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the project's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the real data sets, or skip: they are never part of the project."""
    folder = Path(os.environ.get("LEADML_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real data sets are not on this machine (set LEADML_SHARED_DATA)")
    return folder


def _without(what: str, required: str = "LEADML_REQUIRE_SERVERS") -> None:
    """Skip because a program is not here; where the environment sets `required` to 1 that is a failure."""
    if os.environ.get(required) == "1":
        pytest.fail(f"{what} is required here ({required}=1)")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(scope="module")  # its event loop must not outlive the module: notebooks run one of their own
def browser():
    """Open Chromium without a window, or skip."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        _without("Chromium (Debian: apt-get install chromium)", "LEADML_REQUIRE_BROWSER")
    try:
        from playwright import sync_api
    except ImportError:
        _without("playwright", "LEADML_REQUIRE_BROWSER")
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=flags)
        yield opened
        opened.close()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen, *, seconds: float = 90) -> None:
    """Wait until a started program listens."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"a server did not listen within {seconds} s (exit {process.poll()})")


@pytest.fixture(scope="session")
def postgres():
    """Start a PostgreSQL server on the loopback and return its address; never as root."""
    programs = {name: shutil.which(name) for name in ("initdb", "postgres")}
    if None in programs.values():
        _without("PostgreSQL (initdb, postgres)")
    other: dict = {}
    if os.geteuid() == 0:
        try:
            person = pwd.getpwnam("postgres")
        except KeyError:
            person = pwd.getpwnam("nobody")
        other = {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": ()}
    folder = Path(tempfile.mkdtemp(prefix="leadml-postgres-"))
    if other:
        os.chown(folder, other["user"], other["group"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **other}
    port, data = free_port(), str(folder / "data")
    initialise = [
        programs["initdb"],
        "-D",
        data,
        "-U",
        "leadml",
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    subprocess.run(initialise, check=True, **quiet)
    settings = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off")
    options = [part for setting in settings for part in ("-c", setting)]
    process = subprocess.Popen([programs["postgres"], "-D", data, *options], **quiet)
    try:
        wait_for_port(port, process)
        yield f"postgresql+psycopg://leadml@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)

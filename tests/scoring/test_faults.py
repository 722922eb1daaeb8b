"""What a scheduler lives through: killed jobs, full disks, other locales. Never a torn or lost file."""

import contextlib
import csv
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from leadml.errors import OutputError
from leadml.scoring import score_leads

SERVER = Path(__file__).with_name("fault_server.py")
SCORE = (
    "import sys\n"
    "from leadml.errors import LeadmlError\n"
    "from leadml.scoring import score_leads\n"
    "def tell(n, total):\n"
    "    print(n, flush=True)\n"
    "try:\n"
    "    m = score_leads(sys.argv[1], definition=sys.argv[2], bundle=sys.argv[3], leads=sys.argv[4],\n"
    "                    output=sys.argv[5], progress=tell)\n"
    "    print(m.output_sha256)\n"
    "except LeadmlError as error:\n"
    "    sys.exit(error.exit_code)\n"
)


@pytest.fixture(scope="module")
def job(world, tmp_path_factory):
    """The first arguments of a scoring job over 400 sound leads."""
    path = tmp_path_factory.mktemp("leads") / "new.csv"
    with (
        (world.folder / "leads.csv").open(newline="", encoding="utf-8") as source,
        path.open("w", newline="") as to,
    ):
        rows = csv.reader(source)
        header = next(rows)
        sound = [row for row in rows if len(row) == len(header) and re.fullmatch(r"L\d+", row[0])]
        csv.writer(to).writerows([header, *{row[0]: row for row in sound[:430]}.values()])
    return [str(world.contract_path), str(world.definition_path), str(world.bundle_path), str(path)]


@pytest.fixture(scope="module")
def expected(job, tmp_path_factory):
    """The bytes that every sound run must give."""
    output = tmp_path_factory.mktemp("expected") / "scores.csv"
    score_leads(job[0], definition=job[1], bundle=job[2], leads=job[3], output=output)
    return output.read_bytes()


def run(job, output, **changes):
    return subprocess.run(
        [sys.executable, "-c", SCORE, *job, str(output)], capture_output=True, check=False, **changes
    )


# -- surroundings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"},
        pytest.param(
            {
                "LC_ALL": "tr_TR.UTF-8",
                "TZ": "America/St_Johns",
                "PYTHONHASHSEED": "2",
                "OMP_NUM_THREADS": "4",
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_locale_zone_hashes_and_a_missing_home_change_no_byte(job, expected, tmp_path, environment):
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    result = run(job, tmp_path / "s.csv", env={**kept, **environment}, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "s.csv").read_bytes() == expected


@pytest.mark.slow
def test_the_command_runs_without_an_open_stream(job, expected, tmp_path):
    options = ["--definition", job[1], "--bundle", job[2], "--leads", job[3], "--output", tmp_path / "s.csv"]
    command = [sys.executable, "-m", "leadml", "score", job[0], *map(str, options)]
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    assert subprocess.run(closed, check=False).returncode == 0
    assert (tmp_path / "s.csv").read_bytes() == expected


def test_the_size_of_batches_changes_no_byte(job, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 3_000)
    seen = []
    score_leads(
        job[0],
        definition=job[1],
        bundle=job[2],
        leads=job[3],
        output=tmp_path / "s.csv",
        batch_rows=7,
        progress=lambda read, total: seen.append((read, total)),
    )
    assert (tmp_path / "s.csv").read_bytes() == expected
    assert len(seen) > 10
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {seen[-1][0]}


def test_a_folder_that_may_not_be_written_keeps_its_file(job, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "s.csv").write_text("old")
    tmp_path.chmod(0o555)
    try:
        result = run(job, tmp_path / "s.csv")
    finally:
        tmp_path.chmod(0o755)
    assert result.returncode == 73, result.stderr
    assert (tmp_path / "s.csv").read_text() == "old"


@pytest.mark.slow
def test_a_disk_mounted_read_only_keeps_its_file(job, tmp_path):
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        (disk / "s.csv").write_text("old")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert run(job, disk / "s.csv").returncode == 73
        assert (disk / "s.csv").read_text() == "old"


def test_a_full_disk_keeps_the_old_file(job, tmp_path, monkeypatch):
    (tmp_path / "s.csv").write_text("old")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("leadml.scoring._write._CsvWriter.write", full)
    with pytest.raises(OutputError, match="no space left on device"):
        score_leads(job[0], definition=job[1], bundle=job[2], leads=job[3], output=tmp_path / "s.csv")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["s.csv"]
    assert (tmp_path / "s.csv").read_text() == "old"


@contextlib.contextmanager
def small_disk(place, options):
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk of one's own needs more rights than these tests have")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_a_tiny_disk_that_fills_up_keeps_the_old_file(job, tmp_path, name):
    with small_disk(tmp_path / "disk", "size=8k") as disk:
        (disk / name).write_text("old")
        assert run(job, disk / name).returncode == 73
        assert (disk / name).read_text() == "old"
        assert [entry.name for entry in disk.iterdir()] == [name]


# -- killed --------------------------------------------------------------------------------------------------


def test_a_terminated_job_keeps_the_old_file_and_leaves_nothing(job, tmp_path):
    output = tmp_path / "s.csv"
    output.write_text("old")
    slow = SCORE.replace("print(n, flush=True)", "print(n, flush=True); import time; time.sleep(30)")
    with subprocess.Popen(
        [sys.executable, "-c", slow, *job, str(output)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert output.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.csv"]


def test_after_a_kill_the_next_job_clears_up_and_gives_the_same_bytes(job, expected, tmp_path):
    output = tmp_path / "s.csv"
    output.write_text("old")
    slow = SCORE.replace("print(n, flush=True)", "print(n, flush=True); import time; time.sleep(30)")
    with subprocess.Popen([sys.executable, "-c", slow, *job, str(output)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.kill()
    assert output.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3  # the old file, a lock that nobody holds, a part
    score_leads(job[0], definition=job[1], bundle=job[2], leads=job[3], output=output)
    assert output.read_bytes() == expected
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.csv"]


class Server:
    """Runs a scoring job in a fresh child, stopped before it begins."""

    def __init__(self, job, output):
        self.output = output
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), *job, str(output)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline().strip() == "ready"

    def start(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def status(self):
        return int(self.process.stdout.readline())

    def score(self):
        os.kill(self.start(), signal.SIGCONT)
        return self.status()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def server(job, tmp_path):
    found = Server(job, tmp_path / "scores" / "s.csv")
    yield found
    found.close()


def check(server, expected):
    """The file is old or new, never torn; the next job gives the right bytes and leaves nothing else."""
    assert server.output.read_bytes() in {b"old", expected}
    assert server.score() == 0
    assert server.output.read_bytes() == expected
    assert [entry.name for entry in server.output.parent.iterdir()] == [server.output.name]


@pytest.mark.slow
def test_a_thousand_random_kills_tear_nothing(server, expected):
    chance = random.Random(0)
    server.output.parent.mkdir(exist_ok=True)
    began = time.perf_counter()
    assert server.score() == 0
    length = time.perf_counter() - began
    outcomes = Counter()
    for number in range(1_000):
        server.output.write_bytes(b"old")
        child = server.start()
        os.kill(child, signal.SIGCONT)
        time.sleep(chance.uniform(0, 1.2 * length))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        outcomes[server.status()] += 1
        assert server.output.read_bytes() in {b"old", expected}
        if number % 50 == 0:
            check(server, expected)
    assert outcomes[-signal.SIGKILL] > 300
    assert set(outcomes) <= {0, -signal.SIGKILL}
    check(server, expected)


CALLS = (
    "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,chmod,fchmod,fchmodat,"
    "close,flock,ftruncate,mkdir,mkdirat,lseek,ioctl"
)


def trace(server, tmp_path, *options):
    """Run one job under strace; return its status and the log."""
    log = tmp_path / "strace.log"
    child = server.start()
    command = ["strace", "-y", "-p", str(child), "-o", str(log), "-e", f"trace={CALLS}", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        said = tracer.stderr.readline()
        os.kill(child, signal.SIGCONT)
        status = server.status()
        tracer.stderr.read()
    if "attached" not in said:
        pytest.skip("strace may not attach to a process here")
    return status, log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["error=ENOSPC", "error=EIO", "error=EINTR", "signal=SIGKILL"])
def test_a_fault_at_any_system_call_of_the_output_tears_nothing(server, expected, tmp_path, fault):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    server.output.parent.mkdir(exist_ok=True)
    server.output.write_bytes(b"old")
    status, log = trace(server, tmp_path)
    assert status == 0
    calls, found = Counter(), []
    for line in log.splitlines():
        name = line.partition("(")[0]
        calls[name] += 1
        if str(server.output.parent) in line:
            found.append((name, calls[name]))
    assert len(found) >= 12
    assert {"openat", "write", "fsync", "rename"} <= {name for name, _ in found}
    for name, number in found:
        server.output.write_bytes(b"old")
        status, _ = trace(server, tmp_path, "-e", f"inject={name}:{fault}:when={number}")
        assert status in {0, 73, 75, -signal.SIGKILL}, (name, number)
        if status == 0:
            assert server.output.read_bytes() == expected, (name, number)
        check(server, expected)

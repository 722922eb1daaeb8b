"""Memory does not depend on the number of leads."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = (
    "import re, sys\n"
    "from pathlib import Path\n"
    "from leadml.scoring import score_leads\n"
    "m = score_leads(sys.argv[1], definition=sys.argv[2], bundle=sys.argv[3], leads=sys.argv[4], output=sys.argv[5])\n"
    "status = Path('/proc/self/status').read_text()\n"
    "print(m.scored, re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
)


def peak(world, leads, output):
    paths = [world.contract_path, world.definition_path, world.bundle_path, leads, output]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, paths)], capture_output=True, text=True, check=True
    )
    scored, kilobytes = map(int, result.stdout.split())
    return scored, kilobytes


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_sixteen_times_the_leads_take_at_most_15_percent_more_memory(world, tmp_path, suffix):
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    sound = frame[
        frame["Lead Id"].str.fullmatch(r"L\d+")
        & frame["Employees"].str.replace(",", "").str.fullmatch(r"\d+|-|")
        & frame["Created"].str.fullmatch(r"\d{4}-\d\d-\d\d")
        & frame["Handed Over"].str.fullmatch(r"(\d{4}-\d\d-\d\d)?")
    ]
    peaks = []
    for n in (50_000, 800_000):
        many = pd.concat([sound] * (n // len(sound) + 1), ignore_index=True)[:n]
        many["Lead Id"] = [f"N{number:08d}" for number in range(n)]
        path = tmp_path / f"leads{n}{suffix}"
        if suffix == ".csv":
            many.to_csv(path, index=False)
        else:
            many.to_parquet(path, row_group_size=50_000)
        scored, kilobytes = peak(world, path, tmp_path / f"scores{suffix}")
        assert scored == n
        peaks.append(kilobytes)
        path.unlink()
    assert peaks[1] <= 1.15 * peaks[0], peaks

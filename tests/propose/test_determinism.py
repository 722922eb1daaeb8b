"""The same leads give the same bytes: row order, hash seed, threads, size of the blocks, who counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
import numpy as np
sys.path.insert(0, {folder!r})
import conftest
import leadml.propose._evidence as evidence
from leadml.propose import count_in_duckdb, count_locally
evidence._BLOCK = {block}
rng = np.random.default_rng(3)
frame = conftest.draw_attributes(2500, rng)
frame["account"] = frame["account"].where(frame.index % 9 > 1, "A9")
hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
definition = conftest.DEFINITION.replace("default: 10000", "default: 10000, by: {{employees >= 500: 30000}}")
world = conftest.make_world(
    frame, np.where(frame.months <= 6, 0.2, 0.03), rng, worked=hot, definition=definition
)
order = np.random.default_rng({order}).permutation(2500) if {order} else np.arange(2500)
from leadml.leads import compute_targets
world.table.frame.iloc[:] = world.table.frame.iloc[order].to_numpy()
world.targets = compute_targets(world.table)
records = []
result = world.propose(register=records.append, max_changes={changes}, count={counter})
text = result.proposals[0].revised.text if result.proposals else ""
sys.stdout.write(json.dumps([result.to_dict(), records[0].to_dict(), text]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("changes", [2, 3])
def test_proposals_are_the_same_bytes_in_every_process(changes):
    folder = Path(__file__).parent
    outputs = set()
    for seed, threads, block, order, counter in (
        ("0", "1", 1 << 20, 0, "count_locally"),
        ("1", "2", 100, 1, "count_locally"),
        ("12345", "4", 777, 2, "count_in_duckdb"),
    ):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONPATH": str(folder.parent.parent),
        }
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                SCRIPT.format(folder=str(folder), block=block, order=order, counter=counter, changes=changes),
            ],
            env=environment,
            capture_output=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert b"months <= 6" in outputs.pop()

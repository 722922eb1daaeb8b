"""The same leads give the same bytes: hash seed, threads, size of the blocks."""

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
evidence._BLOCK = {block}
rng = np.random.default_rng(3)
frame = conftest.draw_attributes(2500, rng)
hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
world = conftest.make_world(frame, np.where(frame.months <= 6, 0.2, 0.03), rng, worked=hot)
records = []
result = world.propose(register=records.append)
sys.stdout.write(json.dumps([result.to_dict(), records[0].to_dict(), result.proposals[0].revised.text]))
"""


@pytest.mark.slow
def test_proposals_are_the_same_bytes_in_every_process():
    folder = Path(__file__).parent
    outputs = set()
    for seed, threads, block in (("0", "1", 1 << 20), ("1", "2", 100), ("12345", "4", 777)):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONPATH": str(folder.parent.parent),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(folder=str(folder), block=block)],
            env=environment,
            capture_output=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert b"months <= 6" in outputs.pop()

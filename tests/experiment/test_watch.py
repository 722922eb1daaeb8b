"""What a look leaves in the registry: how a version has done since, in words, no lead."""

from datetime import date
from types import SimpleNamespace

import pandas as pd

from leadml.experiment._watch import _since


def test_a_look_says_how_the_version_does():
    promises = pd.DataFrame(
        {
            "target": ["accepted", "won"],
            "verdict": ["kept", "too early"],
            "n": [200, 0],
            "rate": [0.75, float("nan")],
            "ci_low": [0.7, 0.0],
            "ci_high": [0.8, 1.0],
        }
    )
    report = SimpleNamespace(
        as_of=date(2026, 3, 31),
        n_since=1_085,
        alarms=(SimpleNamespace(name="leads a week"),),
        promises=promises,
    )
    assert _since(report) == {
        "since.as_of": "2026-03-31",
        "since.leads": "1,085",
        "since.alarms": "leads a week",
        "since.accepted": "75 % (70–80 %, n = 200): kept",
        "since.won": "not known yet",
    }
    report.alarms = ()
    assert _since(report)["since.alarms"] == "none"

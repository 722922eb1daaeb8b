"""Deals that are won after the window do not make their leads look bad."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.leads import compute_targets


@pytest.fixture(name="make", scope="module")
def make_fixture(worlds):
    """Build leads that all win with 14 %; companies below 100 people take 120 to 160 days for it."""
    contract = worlds.CONTRACT.replace(
        "windows:",
        '  closed_on: {from: leads.closed_on, role: closed, type: date, format: "%Y-%m-%d"}\nwindows:',
    )

    def make(*, slow):
        rng = np.random.default_rng(2)
        frame = worlds.draw_attributes(6000, rng)
        won = rng.random(6000) < np.where(slow | (frame.employees >= 100), 0.14, 0.01)
        days = np.where(
            (frame.employees < 100) & slow, rng.integers(120, 160, 6000), rng.integers(5, 60, 6000)
        )
        frame = frame.assign(
            handed_on=frame["created_on"],
            verdict="accepted",
            outcome=np.where(won, "won", "lost"),
            closed_on=frame["created_on"] + pd.to_timedelta(days, unit="D"),
        )
        table = worlds.make_table(frame, contract=contract, as_of=dt.date(2026, 6, 1))
        definition = parse_definition(worlds.DEFINITION)
        return worlds.World(definition=definition, table=table, targets=compute_targets(table))

    return make


def test_leads_that_win_late_are_not_taken_away(make):
    result = make(slow=True).propose()
    assert result.proposals == ()
    (held,) = {change.reason for change in result.tested if change.proposed == "employees >= 100"}
    assert "that it takes away were won after the window of won deals: with them it gains nothing" in held


def test_leads_that_do_not_win_at_all_are(make):
    assert make(slow=False).propose().proposals[0].proposed.startswith("employees >= 100")

"""A market that does not change, its leads over two and a quarter years, and models of the first."""

import dataclasses
import datetime as dt

import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.leads import (
    SyntheticWorld,
    compute_targets,
    generate_leads,
    render_demo_definition,
    split_periods,
)
from leadml.models import train_model

SINCE = dt.date(2025, 1, 6)
WORLD = SyntheticWorld(start=dt.date(2024, 1, 1), n_months=27, drift=0.0)


@pytest.fixture(scope="session")
def since():
    return SINCE


@pytest.fixture(scope="session")
def champion():
    return parse_definition(render_demo_definition(WORLD))


@pytest.fixture(scope="session")
def calm():
    table, _ = generate_leads(12_000, random_state=3, world=WORLD)
    return table


@pytest.fixture(scope="session")
def calm_targets(calm):
    return compute_targets(calm)


@pytest.fixture(scope="session")
def models(calm, calm_targets, champion):
    found = {}
    for target, window in (("accepted", 30), ("won", 90)):
        start = calm_targets["t0"]
        known = calm_targets[target].notna() & (start < pd.Timestamp(SINCE) - pd.Timedelta(days=window))
        newer = start > start[known].quantile(0.6)
        split = dataclasses.replace(
            split_periods(calm, calm_targets, target=target),
            discover=(known & ~newer).to_numpy(),
            confirm=(known & newer).to_numpy(),
        )
        found[target] = train_model(calm, calm_targets, target=target, definition=champion, split=split)
    return found

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.leads import generate_leads
from leadml.models import compare_profile, count_bins, profile_leads


@pytest.fixture(scope="module")
def table():
    return generate_leads(800, random_state=0)[0]


def profile_of(values, name="x"):
    from leadml.models._profile import _profile

    return _profile(pd.Series(values, name=name))


def test_every_attribute_has_a_profile_and_nothing_else_has(table):
    profiles = profile_leads(table.frame, table.contract)
    assert [profile.name for profile in profiles] == [
        column.name for column in table.contract.columns if column.role == "attribute"
    ]
    assert profile_leads(table.frame[:0], table.contract) == ()


def test_the_same_leads_are_no_distance_away(table):
    for profile in profile_leads(table.frame, table.contract):
        assert compare_profile(profile, count_bins(profile, table.frame[profile.name])) < 1e-5
        assert profile.kind == "other" or sum(profile.shares) == pytest.approx(1, abs=1e-4)


def test_the_order_of_leads_does_not_matter(table):
    turned = table.frame.iloc[::-1]
    assert profile_leads(table.frame, table.contract) == profile_leads(turned, table.contract)


def test_a_thousand_times_the_unit_is_far_away():
    values = np.random.default_rng(0).lognormal(4, 1, 500).round()
    profile = profile_of(values)
    assert compare_profile(profile, count_bins(profile, pd.Series(values * 1000))) > 0.9
    assert profile.low <= values.min()
    assert profile.high >= values.max()


def test_rare_levels_share_one_bin_and_are_not_named():
    profile = profile_of(["web"] * 80 + ["fair"] * 20 + ["Ann Lee"] + [None] * 9)
    assert profile.levels == ("fair", "web")
    assert profile.missing == pytest.approx(9 / 110)
    assert profile.shares == pytest.approx((20 / 101, 80 / 101, 1 / 101), abs=1e-6)
    assert compare_profile(profile, count_bins(profile, pd.Series(["new"] * 5))) == pytest.approx(
        100 / 101, abs=1e-5
    )


def test_booleans_and_dates_have_profiles_too():
    assert profile_of(pd.array([True] * 30 + [False] * 30 + [None], dtype="boolean")).levels == (
        "False",
        "True",
    )
    dates = profile_of(pd.to_datetime(["2026-01-01", None]))
    assert (dates.kind, dates.missing) == ("other", 0.5)
    assert count_bins(dates, pd.Series(dtype="datetime64[us]")).size == 0


def test_an_empty_column_has_no_bins():
    profile = profile_of([np.nan, np.nan])
    assert (profile.kind, profile.missing) == ("other", 1.0)
    assert compare_profile(profile, count_bins(profile, pd.Series([1.0]))) == 0.0


def test_a_profile_is_plain_data(table):
    for profile in profile_leads(table.frame, table.contract):
        again = json.loads(json.dumps(dataclasses.asdict(profile)))
        assert tuple(again["cuts"]) == profile.cuts


@given(st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=1, max_size=60))
def test_bins_hold_every_known_value_and_the_ends_cover_them(values):
    column = pd.Series(values, dtype="float64", name="x")
    profile = profile_of(column)
    assert count_bins(profile, column).sum() == (column.notna().sum() if profile.kind == "number" else 0)
    if profile.kind == "number":
        assert profile.low <= column.min()
        assert profile.high >= column.max()
        assert compare_profile(profile, count_bins(profile, column)) < 1e-3

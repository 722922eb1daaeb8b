"""Evidence that may be looked at every week."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from leadml.monitor import rate_evidence, rate_range
from leadml.monitor._evidence import fall_evidence

RATES = st.floats(0.02, 0.98)


@given(n=st.integers(1, 60), rate=RATES, excess=st.floats(0, 1))
def test_the_expected_evidence_never_exceeds_one_if_the_promise_is_kept(n, rate, excess):
    k = np.arange(n + 1)
    evidence = rate_evidence(k, n, rate=rate, direction="below")
    assert binom.pmf(k, n, rate) @ evidence == pytest.approx(1, abs=1e-8)
    kept = rate + (1 - rate) * excess
    assert binom.pmf(k, n, kept) @ evidence <= 1 + 1e-8


@given(n=st.integers(0, 200), data=st.data(), rate=RATES)
def test_evidence_above_is_evidence_below_of_the_opposite(n, data, rate):
    k = data.draw(st.integers(0, n))
    above = rate_evidence(k, n, rate=rate, direction="above")
    assert above == pytest.approx(rate_evidence(n - k, n, rate=1 - rate, direction="below"), rel=1e-6)


@given(n=st.integers(0, 500), data=st.data(), error_rate=st.floats(0.001, 0.3))
def test_the_range_holds_the_observed_rate_and_excludes_what_the_evidence_excludes(n, data, error_rate):
    k = data.draw(st.integers(0, n))
    low, high = rate_range(k, n, error_rate=error_rate)
    assert 0 <= low <= (k / n if n else 0) <= high <= 1
    if low > 1e-3:
        assert rate_evidence(k, n, rate=low * 0.999, direction="above") >= 1 / error_rate * 0.999
    if high < 1 - 1e-3:
        assert rate_evidence(k, n, rate=high + 0.001 * (1 - high), direction="below") >= 0.999 / error_rate


def test_without_leads_nothing_is_known():
    assert rate_evidence(0, 0, rate=0.3, direction="below") == 1
    low, high = rate_range([0, 3], [0, 3], error_rate=0.05)
    assert low[0] == 0
    assert high[0] == 1
    assert high[1] == 1


def test_ends_of_the_scale_speak_for_themselves():
    assert rate_evidence(3, 10, rate=0.0, direction="below") == 1
    assert rate_evidence(3, 10, rate=1.0, direction="above") == 1
    assert np.isinf(rate_evidence(3, 10, rate=1.0, direction="below"))


def test_a_late_fall_is_seen_though_the_mean_keeps_the_promise():
    n = np.arange(1, 41) * 25.0
    k = np.cumsum(np.where(np.arange(40) < 24, 20.0, 8.0))
    assert k[-1] / n[-1] > 0.5
    plain = rate_evidence(k, n, rate=0.5, direction="below").max()
    assert plain < 2
    assert fall_evidence(k, n, rate=0.5)[-1] > 1000


def test_the_stakes_do_not_depend_on_how_many_looks_have_come():
    rng = np.random.default_rng(0)
    n = np.arange(1, 53) * 10.0
    k = np.cumsum(rng.binomial(10, 0.3, 52)).astype(float)
    whole = fall_evidence(k, n, rate=0.4)
    for looks in (1, 4, 5, 30):
        assert fall_evidence(k[:looks], n[:looks], rate=0.4) == pytest.approx(whole[:looks])


def test_wrong_counts_rates_and_words_are_refused():
    with pytest.raises(ValueError, match="0 <= k <= n"):
        rate_evidence(3, 2, rate=0.5, direction="below")
    with pytest.raises(ValueError, match="from 0 to 1"):
        rate_evidence(1, 2, rate=1.5, direction="below")
    with pytest.raises(ValueError, match="above or below, got 'down'"):
        rate_evidence(1, 2, rate=0.5, direction="down")
    with pytest.raises(ValueError, match="error_rate"):
        rate_range(1, 2, error_rate=0)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.05, 0.8])
def test_a_year_of_looks_breaks_a_kept_promise_no_more_often_than_said(rate):
    rng = np.random.default_rng(1)
    n = np.cumsum(np.full(52, 30.0))
    broken = outside = 0
    years = 1500
    for _ in range(years):
        k = np.cumsum(rng.binomial(30, rate, 52)).astype(float)
        broken += fall_evidence(k, n, rate=rate)[-1] >= 1 / 0.05
        low, high = rate_range(k, n, error_rate=0.025)
        outside += ((low > rate) | (high < rate)).any()
    # Three standard errors above the nominal .05.
    assert broken / years <= 0.067
    assert outside / years <= 0.067

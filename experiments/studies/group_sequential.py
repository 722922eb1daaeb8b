"""Confirmation that goes on for one more quarter: does it find more than starting anew, at the same error?

METHODS.md 1.9. Usage: python experiments/studies/group_sequential.py [--reps 100] [--sizes 2000 4000]

Two reviews, a quarter apart. All ways share .05 between them, but for the one that says so:

* one review: the first, at .05, and no second one;
* anew at .05 each: what happens if nobody shares the rate (up to .0975 together);
* anew, shared: both reviews search, register and confirm, each at .025;
* continued, shared: what the first review registered and could not show is looked at again a quarter later,
  on its confirmation quarters and the new one together; .025 for each look;
* continued, spent late: the same with the boundary of O'Brien and Fleming as a spending function (Lan and
  DeMets 1983), which counts on how much of the evidence both looks have in common.

Each candidate gets a third of each level at the second look (three are registered). `gain` is the mean true
gain of what is proposed by the second review over the gain of the true rule. Before it, without simulation
error: how often one candidate that is worth nothing passes at either look, with a third of .05 to spend.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from _worlds import (
    BREAK_EVEN,
    NOTHING_TO_FIND,
    WORLDS,
    Study,
    draw_leads,
    make_study,
    new_parser,
    print_table,
    true_rate,
    upper_bound,
    write_definition,
)
from scipy.optimize import brentq
from scipy.stats import binom, multivariate_normal, norm

from leadml.leads import compute_targets, split_periods
from leadml.metrics import mover_p_value
from leadml.propose import Goal, judge_what_if, split_error_rate

RATE, PLACES, QUARTERS = 0.05, 3, 6
FIRST, SECOND = dt.date(2025, 7, 20), dt.date(2025, 10, 20)  # five, six quarters are mature
CONFIRMED_FROM = dt.date(2024, 10, 1)
WAYS = ("one review", "anew at .05 each", "anew, shared", "continued, shared", "continued, spent late")


def spend_late(rate: float, share: float) -> tuple[float, float]:
    """Return the levels of two looks, the first of which sees a share of the evidence."""
    first = float(2 * norm.sf(norm.isf(rate / 2) / np.sqrt(share)))
    both = multivariate_normal([0.0, 0.0], [[1.0, np.sqrt(share)], [np.sqrt(share), 1.0]])
    second = brentq(
        lambda level: 1 - both.cdf([norm.isf(first), norm.isf(level)]) - rate, first / 10 + 1e-9, rate
    )
    return first, float(second)


def enumerate_error(first: int, added: int, sign: int, levels: tuple[float, float]) -> float:
    """Return how often a worthless candidate passes at one of two looks, by all outcomes of both."""
    low, high = binom(first, BREAK_EVEN), binom(added, BREAK_EVEN)
    fails = np.array([p_value(k, first, sign) > levels[0] for k in range(first + 1)])
    passes = np.array([p_value(k, first + added, sign) <= levels[1] for k in range(first + added + 1)])
    error = 1 - float(low.pmf(np.arange(first + 1))[fails].sum())
    for k in np.flatnonzero(fails):
        later = passes[k : k + added + 1]
        error += float(low.pmf(k) * high.pmf(np.arange(added + 1))[later].sum())
    return error


def p_value(k: int, n: int, sign: int) -> float:
    """Return the p-value of the gate for k of n leads won."""
    return mover_p_value([k], [n], sign=[sign], scale=[1.0], break_even=[BREAK_EVEN])


def seen(study: Study, day: dt.date) -> Study:
    """Return what is known of a company on a day."""
    frame = study.table.frame
    there = (frame["created_on"] <= pd.Timestamp(day)).to_numpy()
    frame = frame[there].reset_index(drop=True)
    later = (frame["closed_on"] > pd.Timestamp(day)).to_numpy()
    frame["outcome"] = frame["outcome"].where(~later, "open")
    frame["closed_on"] = frame["closed_on"].where(~later)
    table = replace(study.table, frame=frame, as_of=day)
    return Study(study.definition, table, compute_targets(table), study.rate[there])


def go_on(study: Study, tested: Any, level: float) -> list[Any]:
    """Look again, with one quarter more, at what was registered and not shown."""
    split = split_periods(study.table, study.targets, target="won", confirm_from=CONFIRMED_FROM)
    answers = (
        judge_what_if(
            study.definition,
            study.table,
            study.targets,
            changes=change.changes,
            goal=Goal(),
            split=split,
            error_rate=level / PLACES,
        )
        for change in tested
    )
    return [answer.change for answer in answers if answer.answer == "supported"][:1]


def two_reviews(scenario: str, n: int, seed: int) -> dict[str, list[Any]]:
    """Return what each way proposes, by the second review."""
    rng = np.random.default_rng(seed)
    frame = draw_leads(n * QUARTERS // 5, rng, QUARTERS)
    whole = make_study(
        write_definition(**WORLDS[scenario]), frame, true_rate(frame, scenario), rng, as_of=SECOND
    )
    then, now = seen(whole, FIRST), whole
    shared = split_error_rate(RATE, reviews_per_year=2)
    early, late = (PLACES * level for level in spend_late(RATE / PLACES, 2 / 3))
    first = {level: then.propose(error_rate=level) for level in (RATE, shared, early)}
    again = {
        level: () if first[level].proposals else now.propose(error_rate=level).proposals
        for level in (RATE, shared)
    }
    return {
        "study": [whole],
        WAYS[0]: list(first[RATE].proposals),
        WAYS[1]: [*first[RATE].proposals, *again[RATE]],
        WAYS[2]: [*first[shared].proposals, *again[shared]],
        WAYS[3]: list(first[shared].proposals) or go_on(now, first[shared].tested, shared),
        WAYS[4]: list(first[early].proposals) or go_on(now, first[early].tested, late),
    }


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 4000])
    parser.add_argument("--scenarios", nargs="*", default=["WORTHLESS", "OPT", "STRICT", "TWO"])
    given = parser.parse_args()
    rate = RATE / PLACES
    print_table(
        ("leads a quarter", "change", "the same level twice", "shared", "spent late"),
        [
            (
                m,
                "gained" if sign > 0 else "lost",
                *(
                    f"{enumerate_error(2 * m, m, sign, levels):.4f}"
                    for levels in ((rate, rate), (rate / 2, rate / 2), spend_late(rate, 2 / 3))
                ),
            )
            for m in (50, 150, 400)
            for sign in (1, -1)
        ],
    )
    rows = []
    for scenario in given.scenarios:
        for n in given.sizes:
            proposed, gain = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0)
            harmful = dict.fromkeys(WAYS, 0)
            for seed in range(given.reps):
                found = two_reviews(scenario, n, 7919 * seed + n)
                (study,) = found["study"]
                best = study.gain(write_definition())
                for way in WAYS:
                    gains = [study.true_change(change) for change in found[way]]
                    proposed[way] += bool(gains)
                    harmful[way] += any(one <= 1e-9 for one in gains)
                    gain[way] += sum(gains) / best if best > 1e-9 else 0.0
            rows += [
                (
                    scenario,
                    f"{n:,}",
                    way,
                    f"{proposed[way] / given.reps:.3f}",
                    f"{harmful[way] / given.reps:.3f} (at most {upper_bound(harmful[way], given.reps)})",
                    f"{gain[way] / given.reps:.2f}" if scenario not in NOTHING_TO_FIND else "",
                )
                for way in WAYS
            ]
    print_table(("world", "leads", "two reviews", "proposed", "harmful", "gain"), rows)


if __name__ == "__main__":
    main()

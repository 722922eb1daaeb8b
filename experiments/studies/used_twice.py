"""All of the leads used twice: found on the older and confirmed on the newer, and the other way round.

Usage: python experiments/studies/used_twice.py [--reps 50] [--n-leads 2000 4000] [--worlds STRICT TWO …]

A review finds on the older quarters and confirms on the two newest. Each half can also play the other's part,
each way at half of the error rate: what either way proposes is still wrong in at most one review of twenty.
CHANGED is the market of changed_market.py: a good change turns into a harmful one before the confirmation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from _worlds import (
    OUTSIDE,
    Study,
    draw_leads,
    draw_study,
    make_study,
    new_parser,
    print_table,
    true_rate,
    upper_bound,
    write_definition,
)

from leadml.leads import TimeSplit, split_periods
from leadml.propose import Goal, propose_changes

if TYPE_CHECKING:
    from leadml.propose import JudgedChange

ERROR_RATE = 0.05


def draw_changed(n: int, seed: int) -> Study:
    """Draw the market in which small companies stop buying before the confirmation."""
    rng = np.random.default_rng(seed)
    frame = draw_leads(n, rng)
    newest = (frame["created_on"] >= "2024-10-01").to_numpy()
    small = (frame["employees"] < 300).to_numpy(bool)
    rate = np.where(newest & small, OUTSIDE, true_rate(frame))
    return make_study(write_definition(employees=300), frame, rate, rng)


def turn_round(split: TimeSplit) -> TimeSplit:
    """Let the two parts play each other's part."""
    return replace(
        split,
        discover=split.confirm,
        confirm=split.discover,
        discover_periods=split.confirm_periods,
        confirm_periods=split.discover_periods,
        confirm_from=None,
        confirm_to=None,
    )


def review(study: Study, split: TimeSplit, *, error_rate: float) -> JudgedChange | None:
    """Run one review and return what it proposes."""
    found = propose_changes(
        study.definition,
        study.table,
        study.targets,
        goal=Goal(),
        split=split,
        error_rate=error_rate,
        register=lambda _record: None,
    )
    return found.proposals[0] if found.proposals else None


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=50)
    parser.add_argument("--n-leads", type=int, nargs="*", default=[2000, 4000])
    parser.add_argument("--worlds", nargs="*", default=["WORTHLESS", "STRICT", "TWO", "CHANGED"])
    given = parser.parse_args()
    rows = []
    for world in given.worlds:
        for n in given.n_leads:
            answers = np.zeros((2, given.reps))
            proposed = np.zeros((2, given.reps), bool)
            for seed in range(given.reps):
                study = draw_changed(n, seed) if world == "CHANGED" else draw_study(world, n, seed)
                newest = study.confirmation()
                split = split_periods(study.table, study.targets, target="won")
                once = review(study, split, error_rate=ERROR_RATE)
                twice = review(study, split, error_rate=ERROR_RATE / 2)
                twice = twice or review(study, turn_round(split), error_rate=ERROR_RATE / 2)
                for way, change in enumerate((once, twice)):
                    if change is not None:
                        proposed[way, seed] = True
                        answers[way, seed] = study.true_change(change, newest)
            for way, name in enumerate(("once", "twice")):
                bad = int((proposed[way] if world == "WORTHLESS" else answers[way] < 0).sum())
                rows.append(
                    (
                        world,
                        f"{n:,}",
                        name,
                        f"{proposed[way].mean():.2f}",
                        f"{bad} of {given.reps} (at most {upper_bound(bad, given.reps)})",
                        f"{answers[way].mean():.2f}",
                    )
                )
    print_table(("world", "leads", "used", "proposed", "false or harmful", "true gain per 1,000 leads"), rows)


if __name__ == "__main__":
    main()

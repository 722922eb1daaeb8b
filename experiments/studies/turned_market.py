"""A market that turns inside the confirmation window, accounts that come back, verdicts that go missing.

Usage: python experiments/studies/turned_market.py [--reps 60] [--reps-accounts 200]

Turning: six quarters, the written size threshold is too strict until the turn, and dropping it loses after
it. The same reviews are counted twice: as leadml answers, and as it would without the check of the newest
part of the window (gate and every other guardrail kept). Accounts: five contacts that share an outcome, every
edit worth nothing. Missing: verdicts of a band that is worth keeping (or not) were never given.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from _worlds import (
    BREAK_EVEN,
    INSIDE,
    OUTSIDE,
    draw_leads,
    handed_over,
    make_study,
    new_parser,
    print_table,
    upper_bound,
    write_definition,
)

from leadml.propose import Goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.propose import JudgedChange, ProposalSet

N_LEADS = 6000
QUARTERS = 6
AS_OF = dt.date(2025, 10, 20)


def passes_without_newest(change: JudgedChange, error_rate: float = 0.05) -> bool:
    """Return whether only the check of the newest part (if anything) holds a change back."""
    others = all(guardrail.kept for guardrail in change.guardrails if guardrail.name != "newest")
    return change.grade == "A" and change.p_adjusted <= error_rate and others


def draw_small(rng: np.random.Generator) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Draw leads, and which of them only the size criterion keeps out."""
    frame = draw_leads(N_LEADS, rng, quarters=QUARTERS)
    without = handed_over(write_definition(employees=1), frame)
    return frame, without & (frame["employees"] < 300).to_numpy(bool)


def review_turn(turn: pd.Timestamp | None, small_rate: float, seed: int) -> tuple[bool, bool]:
    """Run one review; return whether it proposes without the check and with it."""
    rng = np.random.default_rng(seed)
    frame, small = draw_small(rng)
    before = turn is None or (frame["created_on"] < turn).to_numpy()
    rate = np.where(small, np.where(before, small_rate, 0.0), OUTSIDE)
    rate = np.where(handed_over(write_definition(employees=300), frame), INSIDE, rate)
    study = make_study(write_definition(employees=300), frame, rate, rng, as_of=AS_OF)
    result: ProposalSet = study.propose()
    return any(passes_without_newest(change) for change in result.tested), bool(result.proposals)


def study_turn(reps: int) -> None:
    """Print the reviews of markets that turn and of steady ones."""
    worlds: tuple[tuple[str, str | None, float], ...] = (
        ("turns at the start of the last quarter", "2025-04-01", 0.15),
        ("turns in its second month", "2025-05-01", 0.15),
        ("turns in its third month", "2025-06-01", 0.15),
        ("steady, threshold too strict (outside 15 %)", None, 0.15),
        ("steady, threshold too strict (outside 10 %)", None, 0.10),
    )
    rows = []
    for words, turn, small_rate in worlds:
        day = None if turn is None else pd.Timestamp(turn)
        runs = [review_turn(day, small_rate, 31 * seed + 5) for seed in range(reps)]
        without, with_check = (sum(run[place] for run in runs) for place in (0, 1))
        bound = upper_bound(with_check, reps) if turn else ""
        rows.append((words, reps, without, with_check, bound))
    print_table(("market", "reviews", "proposed without the check", "with it", "95 % upper bound"), rows)


def study_accounts(reps: int) -> None:
    """Print how often accounts that come back in every quarter get a worthless edit proposed."""
    proposed = 0
    for seed in range(reps):
        rng = np.random.default_rng(6000 + seed)
        frame = draw_leads(4000, rng)
        account = rng.integers(0, 800, len(frame))
        for column in ("employees", "months", "title", "engagement"):
            frame[column] = frame[column].array[account]
        frame["account"] = [f"A{number}" for number in account]
        won = (rng.random(len(frame)) < BREAK_EVEN)[account]
        study = make_study(write_definition(employees=300), frame, won.astype(float), rng, accounts=True)
        proposed += bool(study.propose().proposals)
    print_table(
        ("five contacts per account, every edit worth nothing", "proposed", "95 % upper bound"),
        [(f"{reps} reviews", proposed, upper_bound(proposed, reps))],
    )


def review_missing(band_rate: float, good_left: float, bad_left: float, seed: int) -> bool:
    """Run one review of accepted leads (agreed minimum 60 %) with verdicts of a late band left out."""
    rng = np.random.default_rng(seed)
    frame = draw_leads(N_LEADS, rng)
    definition = write_definition(months=18)
    hot = handed_over(definition, frame)
    band = hot & (frame["months"] > 9).to_numpy(bool)
    accepted = rng.random(N_LEADS) < np.where(band, band_rate, 0.7)
    left = band & (rng.random(N_LEADS) < np.where(accepted, good_left, bad_left))
    words = np.where(~hot | left, "pending", np.where(accepted, "accepted", "rejected"))
    frame["verdict"] = pd.Categorical(words, ["accepted", "rejected", "pending"])
    study = make_study(definition, frame, np.zeros(N_LEADS), rng, worked=hot, verdicts=True)
    return bool(study.propose(goal=Goal(maximise="accepted", minimum_acceptance=0.6)).proposals)


def study_missing(reps: int) -> None:
    """Print what missing verdicts of a band do to a stricter criterion."""
    worlds = (
        ("worth nothing (65 % are accepted), half of the accepted ones without a verdict", 0.65, 0.5, 0.0),
        ("pays (30 % are accepted), every verdict there", 0.3, 0.0, 0.0),
        ("pays, 15 % of the verdicts missing at random", 0.3, 0.15, 0.15),
        ("pays, 30 % of the verdicts missing at random", 0.3, 0.3, 0.3),
    )
    rows = []
    for words, band_rate, good_left, bad_left in worlds:
        proposed = sum(review_missing(band_rate, good_left, bad_left, 900 + seed) for seed in range(reps))
        rows.append((words, reps, proposed, upper_bound(proposed, reps) if band_rate > 0.6 else ""))
    print_table(
        (
            "a stricter criterion (accepted leads, agreed minimum 60 %)",
            "reviews",
            "proposed",
            "95 % upper bound",
        ),
        rows,
    )


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=60)
    parser.add_argument("--reps-accounts", type=int, default=200)
    given = parser.parse_args()
    study_turn(given.reps)
    study_accounts(given.reps_accounts)
    study_missing(given.reps)


if __name__ == "__main__":
    main()

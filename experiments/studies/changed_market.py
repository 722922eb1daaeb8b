"""A market that changes just before the confirmation: METHODS.md 1.5, out of time.

Usage: python experiments/studies/changed_market.py [--reps 60] [--n-leads 8000]

Stable: small companies buy as the true rule says, the written size threshold is too strict. Changed: in the
last two quarters small companies stop buying, so what was a good change has become a harmful one.
"""

from __future__ import annotations

import numpy as np
from _worlds import (
    OUTSIDE,
    draw_leads,
    make_study,
    new_parser,
    print_table,
    true_rate,
    write_definition,
)


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=60)
    parser.add_argument("--n-leads", type=int, default=8000)
    given = parser.parse_args()
    rows = []
    for market in ("stable", "changed"):
        useful = harmful = 0
        gains = []
        for seed in range(given.reps):
            rng = np.random.default_rng(seed)
            frame = draw_leads(given.n_leads, rng)
            rate = true_rate(frame)
            start = frame["created_on"]
            newest = (start >= "2024-10-01").to_numpy()
            if market == "changed":
                rate = np.where(newest & (frame["employees"] < 300).to_numpy(bool), OUTSIDE, rate)
            study = make_study(write_definition(employees=300), frame, rate, rng)
            result = study.propose()
            gain = study.true_change(result.proposals[0], newest) if result.proposals else 0.0
            useful, harmful = useful + (gain > 0), harmful + (gain < 0)
            gains.append(gain)
        rows.append(
            (market, f"{useful / given.reps:.2f}", f"{harmful / given.reps:.2f}", f"{np.mean(gains):.2f}")
        )
    print_table(("market", "useful proposals", "harmful", "mean true gain per 1,000 leads"), rows)


if __name__ == "__main__":
    main()

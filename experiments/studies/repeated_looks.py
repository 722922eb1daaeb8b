"""Looking again every quarter: METHODS.md 1.9.

Usage: python experiments/studies/repeated_looks.py [--reps 2000]

Eight quarters, break-even 5 %. The same test each quarter errs far more often than it says; the rate shared
among the planned looks, and the evidence that may be looked at any time, do not.
"""

from __future__ import annotations

import numpy as np
from _worlds import new_parser, print_table

from leadml.metrics import mover_p_value, sequential_evidence
from leadml.propose import split_error_rate

LOOKS, BREAK_EVEN = 8, 0.05


def rejects(rng: np.random.Generator, m: int, rate: float, sign: int) -> tuple[bool, bool, bool]:
    """Run eight quarters; return whether each way ever rejects."""
    won = rng.random(LOOKS * m) < rate
    counts = np.cumsum(won)[m - 1 :: m]
    p_values = [
        mover_p_value([k], [m * (look + 1)], sign=[sign], scale=[1.0], break_even=[BREAK_EVEN])
        for look, k in enumerate(counts)
    ]
    shared = split_error_rate(0.05, reviews_per_year=1, looks=LOOKS)
    evidence = sequential_evidence(won, break_even=BREAK_EVEN, direction="above" if sign > 0 else "below")
    return min(p_values) <= 0.05, min(p_values) <= shared, bool(evidence.max() >= 20)


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=2000)
    given = parser.parse_args()
    rows = []
    for m, sign, rate, name in (
        (40, 1, 0.05, "nothing there, gained"),
        (150, 1, 0.05, "nothing there, gained"),
        (40, -1, 0.05, "nothing there, lost"),
        (150, -1, 0.05, "nothing there, lost"),
        (40, 1, 0.10, "twice break-even"),
        (150, 1, 0.075, "1.5 times break-even"),
    ):
        found = np.array([rejects(np.random.default_rng(seed), m, rate, sign) for seed in range(given.reps)])
        rows.append((name, m, *(f"{share:.3f}" for share in found.mean(0))))
    print_table(("world", "leads a quarter", "same test every quarter", "rate shared", "betting"), rows)


if __name__ == "__main__":
    main()

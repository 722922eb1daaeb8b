"""Open is not lost: METHODS.md 3, the flip case and the error rate of the weighted gate.

Usage: python experiments/studies/young_leads.py [--reps 400]

Flip case: twelve months of history, a win counts within ten months; large companies truly win more often but
close slowly. Which label says so? Then: how often the gate with Kish counts on weighted young leads opens
when every lead is worth exactly its work.
"""

from __future__ import annotations

import numpy as np
from _worlds import new_parser, print_table

from leadml.metrics import kish_counts, mover_interval
from leadml.propose import censoring_weights

MONTH = 30.44


def draw(
    n: int, rng: np.random.Generator, rate: float, close_months: float, history: float, quiet: float = 0.3
):  # type: ignore[no-untyped-def]
    """Draw ages, closing times (NaN: not closed yet) and wins so far of n leads."""
    age = rng.uniform(0, history, n) * MONTH
    wins = rng.random(n) < rate
    lag = rng.exponential(close_months, n) * MONTH
    closes = wins | (rng.random(n) >= quiet)
    closed = np.where(closes & (lag <= age), lag, np.nan)
    return age, closed, wins & ~np.isnan(closed)


def flip(reps: int, n: int) -> list[tuple[str, str]]:
    """Count how often each label says that the slow, better segment is better."""
    horizon = 10 * MONTH
    says = dict.fromkeys(("open = lost", "closed deals only", "matured only", "weighted (IPCW)"), 0)
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        rates = []
        for rate, close in ((0.080, 2.0), (0.110, 6.0)):
            age, closed, won = draw(n // 2, rng, rate, close, 12)
            won &= closed <= horizon
            known = ~np.isnan(closed)
            mature = age >= horizon
            weights = censoring_weights(age, closed, horizon=horizon)
            rates.append(
                (
                    won.mean(),
                    won[known].mean(),
                    won[mature].mean() if mature.any() else 0.0,
                    (weights * won).sum() / weights.sum(),
                )
            )
        for name, small, large in zip(says, *rates, strict=True):
            says[name] += large > small
    return [(name, f"{count / reps:.2f}") for name, count in says.items()]


def kish_size(reps: int, m: int, rate: float, sign: int, close: float, quiet: float) -> float:
    """Count how often the weighted gate opens although every lead just pays."""
    horizon, opened = 6 * MONTH, 0
    total = rate / (1 - np.exp(-6 / close))
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        age, closed, won = draw(m, rng, total, close, 12, quiet)
        weights = censoring_weights(age, closed, horizon=horizon)
        k, n = kish_counts(weights, won & (closed <= horizon))
        _, low, _ = mover_interval(
            [k],
            [n],
            sign=[sign],
            scale=[weights.sum()],
            break_even=[rate],
            confidence_level=0.95,
            alternative="greater",
        )
        opened += float(low) > 0
    return opened / reps


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=400)
    given = parser.parse_args()
    columns = [flip(min(given.reps, 200), n) for n in (6000, 20000)]
    print_table(
        ("label", "says the better segment is better: 6,000 leads", "20,000"),
        [(name, first, second) for (name, first), (_, second) in zip(*columns, strict=True)],
    )
    rows = []
    for m in (150, 400, 1200):
        for rate in (0.05, 0.10):
            sizes = [
                max(
                    kish_size(given.reps, m, rate, sign, close, quiet)
                    for close in (1.0, 3.0)
                    for quiet in (0.0, 0.5)
                )
                for sign in (1, -1)
            ]
            rows.append((f"{m}", f"{rate:.2f}", f"{sizes[0]:.3f}", f"{sizes[1]:.3f}"))
    print_table(("leads", "break-even", "loosen, worst of 4", "tighten, worst of 4"), rows)


if __name__ == "__main__":
    main()

"""The gate's error rate, enumerated over every outcome: METHODS.md 1.4, 1.6 and the sizes of an exploration.

Usage: python experiments/studies/gate_error_rates.py
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from _worlds import print_table
from scipy.stats import binom, norm, t

from leadml.metrics import (
    compute_gate_size,
    compute_power,
    exploration_size,
    smallest_detectable,
    wilson_interval,
)


def one_sided(n: int, rate: float, sign: int, method: str) -> float:
    """Enumerate how often a competing lower bound of the gain is above 0 when every lead just pays."""
    k = np.arange(n + 1)
    p = k / n
    if method == "Wilson":
        low, high = wilson_interval(k, np.full(n + 1, n), confidence_level=0.9)
        gain = (low - rate) if sign > 0 else (rate - high)
    else:
        se = np.sqrt(p * (1 - p) / (n - 1 if method == "t" else n))
        quantile = t.ppf(0.95, n - 1) if method == "t" else norm.ppf(0.95)
        gain = sign * (p - rate) - quantile * se
        gain = np.where((se == 0) & (sign * (p - rate) > 0), 1.0, gain)
    return float(binom.pmf(k, n, rate)[gain > 0].sum())


def main() -> None:
    """Enumerate and print."""
    rows = []
    for name, sign, sizes in (("loosen", 1, (30, 100, 300)), ("tighten", -1, (30, 60, 100, 300))):
        cells = [
            "/".join(f"{one_sided(n, 0.05, sign, method):.3f}" for n in sizes)
            for method in ("t", "Wald", "Wilson")
        ]
        ours = "/".join(f"{compute_gate_size([n], [0.05], sign=[sign], break_even=0.05):.3f}" for n in sizes)
        rows.append((f"{name} {'/'.join(map(str, sizes))}", *cells, ours))
    swap = compute_gate_size([60, 200], [0.05, 0.05], sign=[1, -1], break_even=0.05)
    rows.append(("swap 60+200", "", "", "", f"{swap:.3f}"))
    print_table(("edit, break-even .05", "t", "Wald", "Wilson", "leadml"), rows)

    worst = 0.0
    n_cells = 0
    for rate in (0.02, 0.05, 0.10, 0.20):
        for gained, lost in itertools.product((0, 30, 60, 100, 150), repeat=2):
            used = [(n, sign) for n, sign in ((gained, 1), (lost, -1)) if n]
            if used:
                leads, signs = zip(*used, strict=True)
                size = compute_gate_size(leads, [rate] * len(leads), sign=signs, break_even=rate)
                worst, n_cells = max(worst, size), n_cells + 1
    rng = np.random.default_rng(0)
    worst_random = 0.0
    for _ in range(150):
        leads = rng.integers(10, 120, 2)
        value = rng.uniform(0.3, 4.0, 2)
        rate = 0.05 / value
        signs = [int(sign) for sign in rng.choice([1, -1], 2)]
        worst_random = max(
            worst_random, compute_gate_size(leads, rate, sign=signs, value=value, break_even=rate)
        )
    print(
        f"largest of {n_cells} null configurations: {worst:.4f}; "
        f"of 150 random ones with two prices: {worst_random:.4f}\n"
    )

    rows = []
    for rate in (0.02, 0.05, 0.10):
        cells = []
        for n in (100, 200, 400, 800, 1600):
            found = [
                smallest_detectable(n, break_even=rate, error_rate=0.05 / 3, direction=side)
                for side in ("gained", "lost")
            ]
            cells.append(" / ".join("impossible" if x is None else f"{x / rate:.2f}r" for x in found))
        rows.append((f"r = {rate:.2f}", *cells))
    print_table(("smallest detectable, 80 % power", "100", "200", "400", "800", "1600"), rows)
    print(
        "fewest leads whose loss can ever be proven (r = .05, one third of .05): "
        f"{math.ceil(math.log(0.05 / 3) / math.log(0.95))}\n"
    )

    rows = [
        (
            f"{rate:.2f}",
            *(
                " / ".join(str(exploration_size(rate, rate * times, power=power)) for power in (0.8, 0.9))
                for times in (1.5, 2, 3)
            ),
        )
        for rate in (0.02, 0.05, 0.10, 0.20)
    ]
    print_table(("exploration, r", "p = 1.5 r", "2 r", "3 r"), rows)
    print(
        "power, 100 lost leads at .01 against .05: "
        f"{compute_power(100, 0.01, break_even=0.05, direction='lost'):.2f}"
    )
    print(f"power, 300 gained leads at .10 against .05: {compute_power(300, 0.10, break_even=0.05):.2f}")


if __name__ == "__main__":
    main()

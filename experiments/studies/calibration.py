"""Excess log loss of each calibration over the truth, by the number of calibration leads.

Run from the project's root: ``python experiments/studies/calibration.py [--repeats 40]``. Scores with a base
rate of about one in ten are distorted in four ways; each calibration learns on n leads and is judged on
20,000 others against the true probabilities (excess log loss, times 1,000). The peer is scikit-learn's
isotonic regression.
"""

from __future__ import annotations

import argparse
from typing import get_args

import numpy as np
from sklearn.isotonic import IsotonicRegression

from leadml.metrics import expit
from leadml.models import fit_calibration
from leadml.models._calibration import Method

WORLDS = {
    "already right": lambda z: z,
    "over-confident": lambda z: -2.4 + 1.7 * (z + 2.4),
    "asymmetric": lambda z: np.where(z > -2.4, -2.4 + 1.5 * (z + 2.4), z),
    "kinked": lambda z: z + 0.45 * np.sin(2 * z),
}
SIZES = (200, 1_000, 5_000, 20_000)


def draw(rng: np.random.Generator, n: int, world: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels, distorted scores and true probabilities."""
    z = rng.normal(-2.4, 1.0, n)
    truth = expit(z)
    return (rng.random(n) < truth).astype(float), expit(WORLDS[world](z)), truth


def excess(truth: np.ndarray, p: np.ndarray) -> float:
    """Expected log loss above that of the truth (Kullback-Leibler divergence)."""
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return float((truth * np.log(truth / p) + (1 - truth) * np.log((1 - truth) / (1 - p))).mean())


def main() -> None:
    """Print one Markdown table per distortion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    for world in WORLDS:
        print(f"\n### {world}\n\n| calibration | " + " | ".join(f"n = {n:,}" for n in SIZES) + " |")
        print("|" + "---|" * (len(SIZES) + 1))
        for method in (*get_args(Method), "scikit-learn isotonic"):
            cells = []
            for n in SIZES:
                rng = np.random.default_rng(n)
                losses = []
                for _ in range(repeats):
                    y, p, _ = draw(rng, n, world)
                    _, q, truth = draw(rng, 20_000, world)
                    if method == "scikit-learn isotonic":
                        out = IsotonicRegression(out_of_bounds="clip").fit(p, y).predict(q)
                    else:
                        out = fit_calibration(y, p, method=method).calibrate(q)
                    losses.append(1000 * excess(truth, out))
                cells.append(f"{np.mean(losses):.2f}")
            print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

"""Thresholds that differ by segment: not let differ without need, found where they should, and the price.

Usage: python experiments/studies/segments.py [--reps 200] [--sizes 2000 4000 8000]

Leads of 20 to 49 people are kept out. They are worth handing over everywhere (EVERYWHERE), in one industry
of three (ONE), nowhere (NOWHERE), or every lead of any kind is worth exactly its work (WORTHLESS). Each
review is run without segments and with `segments: [industry]`. An exception is wrong where the industries
are alike, which they are in all worlds but ONE; harmful is what loses money.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from _worlds import COST, VALUE, Study, draw_leads, make_study, new_parser, print_table, upper_bound

from leadml.definitions import parse_definition

INDUSTRIES = ("software", "manufacturing", "public")
DEFINITION = parse_definition(
    f"""
name: study
version: 1
owners: {{marketing: A, sales: B}}
attributes:
  employees: {{type: integer, unit: people, steps: [10, 20, 50, 100, 200, 500]}}
  months: {{type: integer, unit: months, steps: [3, 6, 9, 12]}}
  industry: {{type: category, levels: [software, manufacturing, public]}}
classes:
  - name: hot
    all_of: [employees >= 50, months <= 12]
  - name: cold
    otherwise: true
handoff: [hot]
prices: {{won: {VALUE:g}, worked_lead: {COST:g}, currency: EUR}}
"""
)


def draw(n: int, world: str, rng: np.random.Generator) -> tuple[pd.DataFrame, Any]:
    """Draw leads and their chances to win."""
    frame = draw_leads(n, rng)
    frame["industry"] = pd.Categorical(rng.choice(INDUSTRIES, n), list(INDUSTRIES))
    if world == "WORTHLESS":
        return frame, np.full(n, COST / VALUE)
    hot = ((frame["employees"] >= 50) & (frame["months"] <= 12)).to_numpy(bool)
    small = (frame["employees"].between(20, 49) & (frame["months"] <= 12)).to_numpy(bool)
    software = (frame["industry"] == "software").to_numpy()
    good = {"EVERYWHERE": small, "ONE": small & software, "NOWHERE": np.zeros(n, bool)}[world]
    return frame, np.where(hot | good, 0.12, 0.02)


def review(study: Study, segments: tuple[str, ...]) -> dict[str, float]:
    """Run one review."""
    result = study.propose(segments=segments)
    gains = [study.true_change(change) for change in result.proposals]
    return {
        "proposed": float(bool(gains)),
        "apart": float(any(change.kind == "segment" for change in result.proposals)),
        "harmful": float(any(gain <= 1e-9 for gain in gains)),
        "gain": sum(gains),
        "software": float(
            any("20 where industry in [software]" in change.proposed for change in result.proposals)
        ),
    }


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 4000, 8000])
    given = parser.parse_args()
    rows = []
    for world in ("WORTHLESS", "NOWHERE", "EVERYWHERE", "ONE"):
        for n in given.sizes:
            sums: dict[str, dict[str, float]] = {"without": {}, "with": {}}
            for seed in range(given.reps):
                rng = np.random.default_rng(7919 * seed + n)
                frame, rate = draw(n, world, rng)
                study = make_study(DEFINITION, frame, rate, rng, segments=True)
                for name, segments in (("without", ()), ("with", ("industry",))):
                    for key, value in review(study, segments).items():
                        sums[name][key] = sums[name].get(key, 0.0) + value
            apart = int(sums["with"]["apart"])
            rows.append(
                (
                    world,
                    f"{n:,}",
                    *(f"{sums[name]['proposed'] / given.reps:.3f}" for name in sums),
                    f"{apart / given.reps:.3f}"
                    + ("" if world == "ONE" else f" (at most {upper_bound(apart, given.reps)})"),
                    f"{sums['with']['software'] / given.reps:.3f}" if world == "ONE" else "",
                    *(f"{sums[name]['harmful'] / given.reps:.3f}" for name in sums),
                    *(f"{sums[name]['gain'] / given.reps:.2f}" for name in sums),
                )
            )
    print_table(
        (
            "world",
            "leads",
            "proposed without",
            "with",
            "with an exception",
            "the right one",
            "harmful without",
            "with",
            "gain per 1,000 leads without",
            "with",
        ),
        rows,
    )


if __name__ == "__main__":
    main()

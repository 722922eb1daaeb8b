"""How often a review proposes: nothing to find, something to find, and whether its range covers the truth.

METHODS.md 1.5 and 1.6.
Usage: python experiments/studies/proposal_power.py [--reps 100] [--sizes 1000 2000 4000 8000]

The worlds are described in `_worlds.py`. `gain` is the mean true gain of what is proposed over the gain of
the true rule.
"""

from __future__ import annotations

from typing import Any

from _worlds import NOTHING_TO_FIND, WORLDS, WORTHLESS, draw_study, new_parser, print_table, write_definition

MONTHS_A_DAY = 12 / 365.25


def review(scenario: str, n: int, seed: int, settings: dict[str, Any]) -> dict[str, float]:
    """Run one review and hold it against the truth."""
    study = draw_study(scenario, n, seed)
    result = study.propose(**settings)
    rows = study.confirmation()
    start = study.table.frame["created_on"][rows]
    months = ((start.max() - start.min()).days + 1) * MONTHS_A_DAY
    covered, n_ranges, covered_shown, shown = 0, 0, 0, 0
    for change in result.tested:
        truth = study.true_change(change, rows) * rows.sum() / 1000 / months
        inside = change.value.low - 1e-9 <= truth <= change.value.high + 1e-9
        covered, n_ranges = covered + inside, n_ranges + 1
        if change.status == "proposed":
            covered_shown, shown = covered_shown + inside, shown + 1
    gains = [study.true_change(change) for change in result.proposals]
    total = study.gain(write_definition())
    return {
        "proposed": float(bool(gains)),
        "harmful": float(any(gain < -1e-9 or (scenario in WORTHLESS and gain <= 1e-9) for gain in gains)),
        "gain": sum(gains) / total if total > 0 else 0.0,
        "covered": covered,
        "ranges": n_ranges,
        "covered_shown": covered_shown,
        "shown": shown,
    }


def study_table(sizes: list[int], reps: int, settings: dict[str, Any], scenarios: tuple[str, ...]) -> None:
    """Print one row per scenario and number of leads."""
    rows = []
    for scenario in scenarios:
        for n in sizes:
            runs = [review(scenario, n, 7919 * seed + n, settings) for seed in range(reps)]
            sums = {name: sum(run[name] for run in runs) for name in runs[0]}
            rows.append(
                (
                    scenario,
                    f"{n:,}",
                    f"{sums['proposed'] / reps:.3f}",
                    f"{sums['harmful'] / reps:.3f}",
                    f"{sums['gain'] / reps:.2f}" if scenario not in NOTHING_TO_FIND else "",
                    f"{sums['covered'] / sums['ranges']:.3f} ({int(sums['ranges'])})"
                    if sums["ranges"]
                    else "",
                    f"{sums['covered_shown'] / sums['shown']:.3f}" if sums["shown"] else "",
                )
            )
    print_table(
        ("world", "leads", "proposed", "harmful", "gain", "ranges that cover (of)", "given proposed"), rows
    )


def main() -> None:
    """Run and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000, 4000, 8000])
    parser.add_argument(
        "--scenarios", nargs="+", default=["WORTHLESS", "OPT", "STRICT", "TWO", "LOOSE"], choices=list(WORLDS)
    )
    parser.add_argument("--candidates", type=int, default=3, help="registered at most")
    given = parser.parse_args()
    study_table(given.sizes, given.reps, {"max_candidates": given.candidates}, tuple(given.scenarios))


if __name__ == "__main__":
    main()

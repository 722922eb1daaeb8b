"""The most leads at an agreed minimum rate: METHODS.md 1.8.

Usage: python experiments/studies/precision_floor.py [--reps 60] [--sizes 1000 4000 16000]

Win rates fall smoothly with the months until a decision; the floor is 12 %."""

from __future__ import annotations

import numpy as np
from _worlds import draw_leads, handed_over, make_study, new_parser, print_table, write_definition

from leadml.leads import split_periods
from leadml.propose import Goal, compute_trade_off, find_widest_definition

FLOOR = 0.12


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4000, 16000])
    given = parser.parse_args()
    goal = Goal(maximise="won", minimum_acceptance=FLOOR)
    rows = []
    for n in given.sizes:
        violated = abstained = naive_violated = 0
        volume = []
        for seed in range(given.reps):
            rng = np.random.default_rng(seed)
            frame = draw_leads(n, rng)
            rate = np.clip(0.20 - 0.012 * frame["months"].to_numpy(float), 0.01, 1)
            definition = write_definition(employees=50, months=6, title="staff", engagement=0)
            study = make_study(definition, frame, rate, rng)
            split = split_periods(study.table, study.targets, target="won")
            found = find_widest_definition(
                definition, study.table, study.targets, goal=goal, split=split, register=lambda _record: None
            )
            curve = compute_trade_off(
                definition, study.table, study.targets, goal=Goal(maximise="won"), split=split
            )
            points = curve.to_frame()
            widest = points[points["rate"] >= FLOOR].sort_values("leads")["proposed"]
            naive_violated += bool(len(widest)) and truth_of(widest.iloc[-1], frame, rate) < FLOOR
            if not found.proven:
                abstained += 1
                continue
            inside = handed_over(found.revised, frame)
            violated += rate[inside].mean() < FLOOR
            volume.append(inside.sum() / (rate >= 0.0).sum())
        rows.append(
            (
                f"{n:,}",
                f"{naive_violated / given.reps:.2f}",
                f"{violated / given.reps:.3f}",
                f"{abstained / given.reps:.2f}",
                f"{np.mean(volume):.2f}" if volume else "",
            )
        )
    print_table(
        (
            "leads",
            "widest that looks good: violates",
            "proven: violates",
            "abstains",
            "share of leads handed over",
        ),
        rows,
    )


def truth_of(words: str, frame: object, rate: np.ndarray) -> float:  # type: ignore[type-arg]
    """Compute the true rate of a definition given by its changed criteria."""
    import re

    rule = {"employees": 50, "months": 6, "title": "staff", "engagement": 0}
    for part in words.split(" + "):
        match = re.fullmatch(r"(\w+) (?:>=|<=) (\w+)", part)
        if match:
            rule[match[1]] = match[2] if match[1] == "title" else int(match[2])
        elif part.startswith("(without"):
            name = part.removeprefix("(without ").split()[0]
            rule[name] = {"employees": 0, "months": 99, "title": "staff", "engagement": 0}[name]
    return float(rate[handed_over(write_definition(**rule), frame)].mean())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()

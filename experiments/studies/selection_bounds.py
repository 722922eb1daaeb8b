"""Leads that Sales never saw: how far each estimate is off, and what the bounds cover, METHODS.md 2.

Usage: python experiments/studies/selection_bounds.py [--reps 20] [--n-leads 12000]

Written: 300 employees; question: 100; a lead pays from 5 %. In the smooth market the companies between win
with 9.2 %, at the cliff (250 employees) with 3.4 %. Labels below the threshold: none; the leads that reps
picked for themselves (one in twenty, 2.6 times as good as the others); a logged random sample (two in five).

First the win rate that each way gives those leads, and how often it says that they pay. Then leadml's answer
to the question `hot.employees=100`: supported, not supported or cannot be said; whether its range covers the
true change of all leads that it would add, or of those that reps picked; whether the tipping point ("it
fails if the leads that nobody picked win less often than this") is on the right side of the truth; and the
bounds that need no assumption at all (all others lose, all others win).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from _worlds import (
    BREAK_EVEN,
    COST,
    VALUE,
    Study,
    draw_leads,
    handed_over,
    make_study,
    new_parser,
    print_table,
    write_definition,
)
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from leadml.leads import split_periods
from leadml.propose import Goal, judge_what_if, parse_what_if, sample_exploration

DEFINITION = write_definition(employees=300, months=18, title="staff", engagement=0)
QUESTION = parse_what_if(DEFINITION, "hot.employees=100")
MARKETS = {"smooth": 0.092, "cliff": 0.034}
DESIGNS = ("none", "picked by reps", "random sample")
INSIDE, PICKED, BETTER, SAMPLED = 0.12, 0.05, 2.6, 0.4
MONTHS_A_DAY = 12 / 365.25


def draw(market: str, design: str, n: int, seed: int) -> tuple[Study, dict[str, Any]]:
    """Draw one company; also who is in the band, who was worked there, and the logged sample."""
    rng = np.random.default_rng(seed)
    frame = draw_leads(n, rng)
    hot = handed_over(DEFINITION, frame)
    band = ((frame["employees"] >= 100) & ~hot).to_numpy(bool)
    below = np.full(n, MARKETS[market])
    if market == "cliff":
        # A quarter of the band lies above the cliff and is as good as what is handed over.
        below = np.where(frame["employees"].to_numpy(float) >= 250, 0.06, 0.027)
    rate = np.where(hot, INSIDE, np.where(band, below, 0.02))
    worked, sample = hot.copy(), None
    if design == "picked by reps":
        picked = band & (rng.random(n) < PICKED)
        rate = np.where(picked, BETTER * rate, rate)
        worked |= picked
    if design == "random sample":
        blind = make_study(DEFINITION, frame, rate, np.random.default_rng(0), worked=hot)
        sample = sample_exploration(DEFINITION, blind.table, changes=[QUESTION], share=SAMPLED, salt="study")
        worked |= frame["lead_id"].isin(sample["lead_id"][sample["picked"]]).to_numpy()
    study = make_study(DEFINITION, frame, rate, np.random.default_rng(1000 + seed), worked=worked)
    return study, {"band": band, "worked": worked, "hot": hot, "sample": sample}


def naive_rates(study: Study, facts: dict[str, Any]) -> dict[str, float]:
    """Give the band's win rate as one would guess it from the labels at hand."""
    frame, known = study.table.frame, study.targets["won"].notna().to_numpy()
    won = (frame["outcome"] == "won").to_numpy(float)
    size = np.log(frame["employees"].to_numpy(float))[:, None]
    seen = facts["hot"] & known
    near = seen & (frame["employees"] < 450).to_numpy(bool)
    own = facts["band"] & facts["worked"] & known
    found = {"just above the threshold": won[near].mean()}
    for name, model in (
        ("logistic, extrapolated", LogisticRegression()),
        ("boosting, extrapolated", HistGradientBoostingClassifier(max_iter=50, random_state=0)),
    ):
        found[name] = model.fit(size[seen], won[seen]).predict_proba(size[facts["band"]])[:, 1].mean()
    if own.any():
        found["the labels below it"] = won[own].mean()
    return found


def ask(study: Study, facts: dict[str, Any]) -> dict[str, float | str]:
    """Put the question to leadml and hold its answer against the truth of the confirmation window."""
    split = split_periods(study.table, study.targets, target="won")
    answer = judge_what_if(
        DEFINITION,
        study.table,
        study.targets,
        changes=[QUESTION],
        goal=Goal(),
        split=split,
        explored=facts["sample"],
    )
    found: dict[str, float | str] = {"answer": answer.answer}
    rows = study.confirmation()
    band = facts["band"] & rows
    own = band & facts["worked"]
    share = own.sum() / band.sum()
    rate, truth = float(study.rate[band].mean()), study.rate
    if share:
        low = share * (study.table.frame["outcome"][own] == "won").mean()
        found |= {"manski": float(low <= rate <= low + 1 - share), "manski_width": 1 - share}
    change = answer.change
    if change is None or change.value.low is None:
        return found
    if change.tipping_point is not None:
        others = truth[band & ~facts["worked"]].mean()
        # With the rate that the picked ones truly have the change pays exactly from the tipping point on.
        pays = rate > BREAK_EVEN
        found["tipping"] = float((others > change.tipping_point) == pays)
    start = study.table.frame["created_on"][rows]
    months = ((start.max() - start.min()).days + 1) * MONTHS_A_DAY
    real = study.true_change(change, rows) * rows.sum() / 1000 / months
    if facts["sample"] is None:
        seen = float((VALUE * truth[own] - COST).sum() / months)
        found["covered_seen"] = float(change.value.low - 1e-9 <= seen <= change.value.high + 1e-9)
    return found | {
        "covered": float(change.value.low - 1e-9 <= real <= change.value.high + 1e-9),
        "pays": float(change.value.low > 0),
    }


def mean(runs: pd.DataFrame, name: str) -> str:
    """Average what was said; empty where it never was."""
    return f"{runs[name].mean():.2f}" if name in runs and runs[name].notna().any() else ""


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=20)
    parser.add_argument("--n-leads", type=int, default=12000)
    given = parser.parse_args()
    estimates, answers = [], []
    for market in MARKETS:
        for design in DESIGNS:
            guesses, asked, truth = [], [], []
            for seed in range(given.reps):
                study, facts = draw(market, design, given.n_leads, seed)
                guesses.append(naive_rates(study, facts))
                asked.append(ask(study, facts))
                truth.append(study.rate[facts["band"]].mean())
            table = pd.DataFrame(guesses)
            if design != "none":
                table = table[["the labels below it"]]
            estimates += [
                (
                    market,
                    f"{np.mean(truth):.3f}",
                    name if name != "the labels below it" else design,
                    f"{table[name].mean():.3f}",
                    f"{(table[name] > BREAK_EVEN).mean():.2f}",
                )
                for name in table
            ]
            runs = pd.DataFrame(asked)
            told = runs["answer"].value_counts(normalize=True)
            answers.append(
                (
                    market,
                    design,
                    *(
                        f"{told.get(word, 0):.2f}"
                        for word in ("supported", "not supported", "cannot be said")
                    ),
                    *(
                        mean(runs, name)
                        for name in ("pays", "covered", "covered_seen", "tipping", "manski", "manski_width")
                    ),
                )
            )
    print_table(("market", "true rate", "estimate from", "says", "says it pays"), estimates)
    print_table(
        (
            "market",
            "labels below the threshold",
            "supported",
            "not supported",
            "cannot be said",
            "bound above 0",
            "range covers all that change",
            "those picked",
            "tipping point right",
            "no assumption: covers",
            "width",
        ),
        answers,
    )


if __name__ == "__main__":
    main()

"""What leads that nobody worked can say of themselves: METHODS.md 2.

Usage: python experiments/studies/no_overlap.py [--reps 40] [--n-leads 12000]

Written: 300 employees; question: 100. In the smooth market the smaller companies would win with 9 %, at the
cliff with 3 %; a lead pays from 5 %. Only leads that meet the definition were worked, unless said otherwise.
An extrapolating model gives the same number in both markets; leadml refuses in both. With a logged random
sample it tells them apart; with the leads that reps picked for themselves it never proposes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _worlds import draw_leads, handed_over, make_study, new_parser, print_table, write_definition
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from leadml.propose import parse_what_if, sample_exploration


def extrapolate(study: Any, worked: Any, band: Any) -> tuple[float, float]:
    """Let two models that saw the worked leads only predict the others."""
    frame = study.table.frame
    size = np.log(frame["employees"].to_numpy(float))[:, None]
    won = (frame["outcome"] == "won").to_numpy()
    found = []
    for model in (LogisticRegression(), HistGradientBoostingClassifier(max_iter=50, random_state=0)):
        fitted = model.fit(size[worked], won[worked])
        found.append(float(fitted.predict_proba(size[band])[:, 1].mean()))
    return found[0], found[1]


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=40)
    parser.add_argument("--n-leads", type=int, default=12000)
    given = parser.parse_args()
    definition = write_definition(employees=300, months=18, title="staff", engagement=0)
    change = parse_what_if(definition, "hot.employees=100")
    rows, predictions = [], {}
    for market, outside in (("smooth", 0.09), ("cliff", 0.034)):
        for design in ("none worked", "picked by reps", "random sample"):
            looser = promising = explored = 0
            for seed in range(given.reps):
                rng = np.random.default_rng(seed)
                frame = draw_leads(given.n_leads, rng)
                hot = handed_over(definition, frame)
                band = ((frame["employees"] >= 100) & ~hot).to_numpy(bool)
                luck = rng.random(len(frame))
                rate = np.where(hot, 0.12, np.where(band, outside, 0.02))
                worked, sample = hot.copy(), None
                if design == "picked by reps":  # reps smell the winners: picked leads win far more often
                    picked = band & (luck < 0.15)
                    rate = np.where(picked, np.minimum(2.6 * outside, 0.9), rate)
                    worked |= picked
                draws = np.random.default_rng(1000 + seed)
                if design == "random sample":
                    blind = make_study(definition, frame, rate, np.random.default_rng(0), worked=hot)
                    sample = sample_exploration(
                        definition, blind.table, changes=[change], share=0.4, salt="study"
                    )
                    worked |= frame["lead_id"].isin(sample["lead_id"][sample["picked"]]).to_numpy()
                study = make_study(definition, frame, rate, draws, worked=worked)
                if seed == 0 and design == "none worked":
                    predictions[market] = extrapolate(study, hot, band)
                result = study.propose(explored=sample)
                looser += any((found.gained_per_month or 0) > 0 for found in result.proposals)
                promising += bool(result.promising)
                explored += bool(result.explore)
            rows.append(
                (
                    market,
                    f"{outside:.3f}",
                    design,
                    f"{looser / given.reps:.2f}",
                    f"{promising / given.reps:.2f}",
                    f"{explored / given.reps:.2f}",
                )
            )
    print_table(
        (
            "market",
            "true rate",
            "labels below the threshold",
            "looser proposed",
            "promising",
            "exploration planned",
        ),
        rows,
    )
    same = predictions["smooth"] == predictions["cliff"]
    print(
        f"extrapolated rate: smooth {predictions['smooth'][0]:.4f} (logistic) "
        f"{predictions['smooth'][1]:.4f} (boosting), "
        f"cliff {predictions['cliff'][0]:.4f} and {predictions['cliff'][1]:.4f}; bit-identical: {same}"
    )


if __name__ == "__main__":
    main()

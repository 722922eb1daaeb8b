"""What is behind a subjective word: how often it is found, how often noise passes, how honest kappa is.

Usage: python experiments/studies/objectify.py [--reps 100]

People call a lead hot by a planted rule and slip on some leads. Two of them judge 120 or 300 leads, or one
column of a CRM holds the word for 1,000 or 4,000. NOISE: the word means nothing. OUTSIDE: it rests on an
attribute that nobody recorded. Covered: the interval of kappa holds the kappa of the chosen criteria on
20,000 fresh leads. Then the agreement coefficients against the figures of METHODS section 4.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from _worlds import CONTRACT, draw_leads, new_parser, print_table, write_definition

from leadml.compare import Ratings, objectify
from leadml.definitions import criterion_mask, parse_criterion
from leadml.leads import LeadTable, Manifest
from leadml.metrics import cohen_kappa, gwet_ac1, krippendorff_alpha, raw_agreement, rule_agreement

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLIP = 0.1
DEFINITION = write_definition()
ATTRIBUTES = DEFINITION.typed_attributes()
WORLDS = {
    "ONE": ("months <= 6",),
    "TWO": ("months <= 9", "employees >= 100"),
    "EITHER": ("months <= 3", "title >= director"),
}


def meaning(world: str, frame: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which leads are truly hot."""
    if world not in WORLDS:
        return rng.random(len(frame)) < 0.35
    met = [
        criterion_mask(parse_criterion(text, attributes=ATTRIBUTES), frame, definition=DEFINITION)
        for text in WORLDS[world]
    ]
    return np.asarray(np.any(met, axis=0) if world == "EITHER" else np.all(met, axis=0))


def judge(world: str, truth: NDArray[np.bool_], raters: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw what each rater says."""
    if world == "NOISE":
        return (rng.random((len(truth), raters)) < 0.35).astype(float)
    return (truth[:, np.newaxis] ^ (rng.random((len(truth), raters)) < SLIP)).astype(float)


def as_ratings(frame: pd.DataFrame, answers: NDArray[np.float64]) -> Ratings:
    """Put judgements into the form in which sheets come back."""
    sides = tuple("ab"[: answers.shape[1]])
    rows = [
        (lead, side, "class", "hot" if said else "cold")
        for place, side in enumerate(sides)
        for lead, said in zip(frame["lead_id"], answers[:, place], strict=True)
    ]
    return Ratings(
        definition="study",
        version="1",
        definition_sha256="",
        classes=("hot", "cold"),
        handoff=("hot",),
        criteria=(),
        sides=sides,
        leads=pd.DataFrame({"lead_id": frame["lead_id"], "stratum": "hot", "weight": 1.0}),
        answers=pd.DataFrame(rows, columns=["lead_id", "side", "question", "answer"]),
    )


def run(world: str, n: int, raters: int, reps: int) -> tuple[str, ...]:
    """Repeat one world and count the answers."""
    counts = {"said": 0, "said in part": 0, "cannot be said": 0}
    found = covered = with_interval = 0
    kappas, ceilings = [], []
    fresh = draw_leads(20_000, np.random.default_rng(10**6))
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        frame = draw_leads(n, rng)
        answers = judge(world, meaning(world, frame, rng), raters, rng)
        table = LeadTable(
            frame=frame,
            contract=CONTRACT,
            manifest=Manifest(read=n, kept=n, quarantined=0, duplicates=0),
            quarantine=pd.DataFrame(columns=["table", "line", "column", "rule", "shape"]),
            as_of=dt.date(2026, 1, 1),
        )
        result = objectify(ATTRIBUTES, table, as_ratings(frame, answers), word="hot", random_state=seed)
        counts[result.answer] += 1
        found += set(result.criteria) == set(WORLDS.get(world, ("",)))
        if not np.isnan(result.kappa.value):
            kappas.append(result.kappa.value)
        ceilings.append(result.ceiling.value)
        chosen = result.tried[result.tried["chosen"].astype(bool)]
        if len(chosen) and not np.isnan(result.kappa.ci_low):
            row = chosen.iloc[0]
            tests = [parse_criterion(text, attributes=ATTRIBUTES) for text in row["criteria"].split("; ")]
            met = np.sum([criterion_mask(test, fresh, definition=DEFINITION) for test in tests], axis=0)
            truth = judge(world, meaning(world, fresh, rng), raters, rng)
            value = rule_agreement(met >= row["k"], truth)[1].value
            covered += result.kappa.ci_low <= value <= result.kappa.ci_high
            with_interval += 1
    shares = tuple(f"{counts[answer] / reps:.2f}" for answer in counts)
    ceiling = f"{np.mean(ceilings):.2f}" if raters > 1 else ""
    exact = f"{found / reps:.2f}" if world in WORLDS else ""
    coverage = f"{covered / with_interval:.2f}" if with_interval else ""
    kappa = f"{np.mean(kappas):.2f}" if kappas else ""
    return (world, f"{n:,} × {raters}", *shares, exact, kappa, ceiling, coverage)


def coefficients(reps: int) -> list[tuple[str, ...]]:
    """Measure the coefficients where METHODS did: 12 % slips, prevalence one half and nine in ten."""
    rows = []
    for prevalence in (0.5, 0.9):
        for n in (50, 100, 200):
            rng = np.random.default_rng(0)
            said = [
                ((rng.random(n) < prevalence)[:, np.newaxis] ^ (rng.random((n, 2)) < 0.12)).astype(float)
                for _ in range(10 * reps)
            ]
            found = {
                function.__name__: [function(one, confidence_level=0.9) for one in said]
                for function in (raw_agreement, cohen_kappa, krippendorff_alpha, gwet_ac1)
            }
            means = tuple(f"{np.nanmean([one.value for one in each]):.2f}" for each in found.values())
            width = np.nanmedian([one.ci_high - one.ci_low for one in found["cohen_kappa"]])
            rows.append((f"{prevalence:g}", str(n), *means, f"{width:.2f}"))
    return rows


def main() -> None:
    """Run the study."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=100)
    reps = parser.parse_args().reps
    rows = [
        run(world, n, raters, reps)
        for world in (*WORLDS, "NOISE", "OUTSIDE")
        for n, raters in ((120, 2), (300, 2), (1_000, 1), (4_000, 1))
    ]
    head = (
        "world",
        "leads × people",
        "said",
        "in part",
        "cannot",
        "exactly the rule",
        "kappa",
        "people",
        "covered",
    )
    print_table(head, rows)
    head = ("prevalence", "leads", "raw", "kappa", "alpha", "AC1", "width of kappa's 90 % interval")
    print_table(head, coefficients(reps))


if __name__ == "__main__":
    main()

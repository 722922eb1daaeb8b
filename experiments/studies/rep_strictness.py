"""What is a rep and what is a lead: METHODS.md 4, through leadml's own functions.

Usage: python experiments/studies/rep_strictness.py [--reps 40]

Strict reps serve small companies (territories). What is known of a lead then says who its rep is:
the true effect on the log-odds is .50 a standard deviation. Beside it the difference of a criterion in
acceptance, over all leads and within reps; how many times the odds are with the more lenient of two random
reps (median odds ratio, truth 2.14); how often reps that do not differ at all are said to; and the error of a
rep's rate as it stands and shrunk.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from _worlds import new_parser, print_table
from scipy.stats import norm

from leadml.compare import compare_definition
from leadml.definitions import parse_definition
from leadml.leads import LeadTable, Manifest, compute_targets, parse_contract, split_periods
from leadml.metrics import compare_segments, expit, holm
from leadml.models import TrainedModel, train_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_LEADS, N_REPS = 3_000, 20
EFFECT, BASE, STRICTNESS = 0.5, 0.4, 0.8
CONTRACT = parse_contract(
    """
name: reps
tables: {leads: {path: leads.csv, format: csv}}
columns:
  lead_id: {from: leads.lead_id, role: id}
  created_on: {from: leads.created_on, role: created, type: date, format: "%Y-%m-%d"}
  size: {from: leads.size, role: attribute, type: number}
  verdict: {from: leads.verdict, role: verdict, accepted: [accepted], rejected: [rejected]}
  decided_on: {from: leads.decided_on, role: decided, type: date, format: "%Y-%m-%d"}
  rep: {from: leads.rep, role: rep}
windows: {verdict: 30 days, outcome: 90 days}
""",
    source="study",
    folder=Path(),
)
DEFINITION = parse_definition(
    """
name: reps
version: 1
owners: {marketing: A, sales: B}
attributes: {size: {type: number, unit: points}}
classes:
  - name: hot
    all_of: [size >= 0]
  - name: cold
    otherwise: true
handoff: [hot]
"""
)


def draw_table(
    rng: np.random.Generator, *, territories: float
) -> tuple[LeadTable, NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Draw judged leads; `territories` is how far a rep's companies follow its strictness."""
    lenient = STRICTNESS * rng.normal(size=N_REPS)
    lenient -= lenient.mean()
    rep = rng.integers(0, N_REPS, N_LEADS)
    pull = territories * lenient[rep] / STRICTNESS
    size = pull + np.sqrt(1 - territories**2) * rng.normal(size=N_LEADS)
    chance = expit(BASE + EFFECT * size + lenient[rep])
    said = np.where(rng.random(N_LEADS) < chance, "accepted", "rejected")
    created = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 456, N_LEADS), unit="D")
    frame = pd.DataFrame(
        {
            "lead_id": np.arange(N_LEADS).astype(str),
            "created_on": created,
            "size": size,
            "verdict": pd.Categorical(said, ["accepted", "rejected", "pending"]),
            "decided_on": created + pd.Timedelta(days=5),
            "rep": pd.Categorical([f"rep {number:02d}" for number in rep]),
        }
    )
    table = LeadTable(
        frame=frame,
        contract=CONTRACT,
        manifest=Manifest(read=N_LEADS, kept=N_LEADS, quarantined=0, duplicates=0),
        quarantine=pd.DataFrame(columns=["table", "line", "column", "rule", "shape"]),
        as_of=dt.date(2025, 7, 1),
    )
    return table, size, rep, lenient


def one_market(seed: int, territories: float) -> dict[str, float]:
    """Measure one market with leadml: the effect, the criterion, the spread of the reps."""
    table, size, rep, lenient = draw_table(np.random.default_rng(seed), territories=territories)
    targets = compute_targets(table)
    split = split_periods(table, targets, target="accepted")
    # All verdicts train but the newest tenth, which the model must be judged on.
    start = targets["t0"]
    newest = (start > start.quantile(0.9)).to_numpy()
    used = split.discover | split.confirm
    split = dataclasses.replace(split, discover=used & ~newest, confirm=used & newest)
    model = train_model(table, targets, target="accepted", definition=DEFINITION, split=split)
    if not isinstance(model, TrainedModel) or model.reps is None:
        raise SystemExit("the model of acceptance was not trained with its reps")
    effect = model.reps.to_frame().set_index("attribute").loc["size"]
    criteria = compare_definition(DEFINITION, table, targets, models={}).criteria
    row = criteria[criteria["target"] == "accepted"].iloc[0]
    chance = expit(BASE + EFFECT * size + lenient[rep])
    inside = size >= 0
    # What the criterion does among leads of one rep: the same Mantel-Haenszel weights on the true chances.
    n1, n0 = (np.bincount(rep[part], minlength=N_REPS) for part in (inside, ~inside))
    m1, m0 = (
        np.bincount(rep[part], weights=chance[part], minlength=N_REPS) / np.maximum(n, 1)
        for part, n in ((inside, n1), (~inside, n0))
    )
    weight = n1 * n0 / np.maximum(n1 + n0, 1)
    within = float((weight * (m1 - m0)).sum() / weight.sum())
    return {
        "unadjusted": effect["unadjusted"] / size.std(),
        "adjusted": effect["adjusted"] / size.std(),
        "odds_ratio": model.reps.spread.median_odds_ratio,
        "matters": float(model.reps.matters),
        "crude": row["difference"],
        "own": row["difference_adjusted"],
        "truth": within,
        "crude_covers": float(row["difference_low"] <= within <= row["difference_high"]),
        "own_covers": float(row["difference_adjusted_low"] <= within <= row["difference_adjusted_high"]),
    }


def same_reps(reps: int) -> list[tuple[str, str]]:
    """25 reps with the same 60 % of 30 leads: how often does each habit say that somebody differs."""
    said = {"differs by more than 15 points": 0, "z beyond 1.96": 0, "Holm": 0, "leadml: one test": 0}
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        n, rep = 30, np.repeat(np.arange(25), 30)
        y = (rng.random(rep.size) < 0.6).astype(float)
        rate, mean = y.reshape(25, n).mean(axis=1), y.mean()
        z = (rate - mean) / np.sqrt(mean * (1 - mean) / n)
        said["differs by more than 15 points"] += bool((np.abs(rate - mean) > 0.15).any())
        said["z beyond 1.96"] += bool((np.abs(z) > 1.96).any())
        said["Holm"] += bool((holm(2 * norm.sf(np.abs(z))) < 0.05).any())
        spread = compare_segments(y, np.full(y.size, mean), rep).spread
        said["leadml: one test"] += spread.p_value < 0.05
    return [(name, f"{count / reps:.3f}") for name, count in said.items()]


def shrinking(reps: int) -> list[tuple[str, str]]:
    """Root mean square error of a rep's rate, 25 reps with 10 to 60 leads, as it stands and shrunk."""
    errors: dict[str, list[float]] = {"as it stands": [], "shrunk": []}
    for seed in range(reps):
        rng = np.random.default_rng(10_000 + seed)
        sizes = rng.integers(10, 61, 25)
        truth = expit(BASE + 0.5 * rng.normal(size=25))
        rep = np.repeat(np.arange(25), sizes)
        y = (rng.random(rep.size) < truth[rep]).astype(float)
        own = np.bincount(rep, weights=y) / sizes
        everyone = np.full(y.size, y.mean())
        shrunk = compare_segments(y, everyone, rep).calibrate(everyone, rep)
        errors["as it stands"].append(float(((own - truth) ** 2).mean()))
        errors["shrunk"].append(float(((np.bincount(rep, weights=shrunk) / sizes - truth) ** 2).mean()))
    return [(name, f"{np.sqrt(np.mean(found)):.3f}") for name, found in errors.items()]


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=40)
    reps = parser.parse_args().reps
    rows, differences, spreads = [], [], []
    for name, territories in (("routed at random", 0.0), ("strict reps serve small companies", 0.7)):
        runs = pd.DataFrame([one_market(seed, territories) for seed in range(reps)])
        mean, sd = runs.mean(), runs.std()
        rows.append(
            (
                name,
                *(f"{mean[part]:.3f} (sd {sd[part]:.3f})" for part in ("unadjusted", "adjusted")),
            )
        )
        differences.append(
            (
                name,
                f"{100 * mean['truth']:.1f}",
                *(f"{100 * mean[part]:.1f}, {mean[f'{part}_covers']:.2f}" for part in ("crude", "own")),
            )
        )
        spreads.append(
            (name, "2.14", f"{mean['odds_ratio']:.2f} (sd {sd['odds_ratio']:.2f})", f"{mean['matters']:.2f}")
        )
    print_table(("effect, truth .50", "without the reps", "reps as fixed effects"), rows)
    print_table(
        ("points of acceptance by a criterion", "truth", "over all leads, covered", "within reps, covered"),
        differences,
    )
    print_table(("median odds ratio", "truth", "leadml", "said to differ"), spreads)
    print_table(("25 reps that do not differ", "somebody is said to"), same_reps(25 * reps))
    print_table(("rate of a rep", "root mean square error"), shrinking(5 * reps))


if __name__ == "__main__":
    main()

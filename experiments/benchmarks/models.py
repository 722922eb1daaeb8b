"""CPU seconds of training, calibration, attribution and scoring at 10 thousand to 1 million leads.

Run from the project's root: ``python experiments/benchmarks/models.py [n ...] [--repeats 3]``. Peers in the
same run: one fit of the booster on a ready float matrix, and its bare ``predict_proba`` on that matrix.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import statistics
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.base import clone

from leadml.explain import explain_model
from leadml.leads import parse_contract
from leadml.models import TrainedModel, fit_calibration, list_candidates, train_model

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("platt", "beta", "spline", "venn_abers", "isotonic")


def build_world(n: int, *, n_columns: int = 30, random_state: int = 0) -> tuple[Any, pd.DataFrame, Any]:
    """Build leads with numbers (a fifth missing), categories and booleans, and a signal in five of them."""
    rng = np.random.default_rng(random_state)
    frame: dict[str, Any] = {}
    lines = []
    eta = np.full(n, -2.2)
    for j in range(n_columns):
        name = f"c{j:02d}"
        if j % 3 == 0:
            level = rng.integers(0, 8, n)
            frame[name] = pd.Categorical.from_codes(level, [f"level {i}" for i in range(8)])
            eta += 0.25 * (level - 3.5) if j == 0 else 0
            kind = "category"
        elif j % 10 == 1:
            yes = rng.random(n) < 0.3
            frame[name] = pd.Series(yes).astype("boolean")
            eta += 0.8 * yes if j == 1 else 0
            kind = "boolean"
        else:
            x = rng.normal(size=n)
            eta += np.maximum(0, x) if j == 2 else 0.5 * x * (x > -1) if j == 4 else 0
            frame[name] = np.where(rng.random(n) < 0.2, np.nan, x)
            kind = "number"
        lines.append(f"  {name}: {{from: leads.{name}, role: attribute, type: {kind}}}")
    contract = parse_contract(
        "name: generated\ntables: {leads: {path: leads.csv}}\ncolumns:\n"
        "  lead_id: {from: leads.id, role: id}\n"
        '  created_on: {from: leads.created, role: created, type: date, format: "%Y-%m-%d"}\n'
        + "\n".join(lines)
    )
    table = pd.DataFrame(frame)
    days = np.sort(rng.integers(0, 600, n))
    table["created_on"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")
    won = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    targets = pd.DataFrame({"t0": table["created_on"], "won": won, "won_mature": True})
    early = np.arange(n) < 0.65 * n
    split = SimpleNamespace(discover=early, confirm=~early)
    return SimpleNamespace(frame=table, contract=contract), targets, split


def measure(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Give the median CPU seconds and the last result."""
    seconds = []
    result = None
    for _ in range(repeats):
        gc.collect()
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def run(n: int, repeats: int) -> dict[str, str]:
    """Measure one size."""
    table, targets, split = build_world(n)
    train, model = measure(
        lambda: train_model(table, targets, target="won", definition=None, split=split), repeats
    )
    assert isinstance(model, TrainedModel), model.reason
    features = table.frame[[feature.name for feature in model.features]]
    booster = next(c for c in list_candidates(model.features, random_state=0) if c.name == "boosting")
    y = targets["won"].to_numpy()[split.discover]
    pipeline = booster.fit(features[split.discover], y)
    codes = pipeline["encode"].transform(features)
    bare_fit, _ = measure(lambda: clone(pipeline["model"]).fit(codes[split.discover], y), repeats)
    bare, _ = measure(lambda: pipeline["model"].predict_proba(codes), repeats)
    whole, _ = measure(lambda: pipeline.predict_proba(features), repeats)
    logistic = next(c for c in list_candidates(model.features, random_state=0) if c.name == "logistic")
    additive = logistic.fit(features[split.discover], y)
    additive_bare, _ = measure(lambda: additive["model"].predict_proba(codes), repeats)
    p = pipeline.predict_proba(features)[:, 1]
    row = {
        "leads": f"{n:,}",
        "train_model": f"{train:.1f}",
        "one booster fit": f"{bare_fit:.2f}",
        "ratio": f"{train / bare_fit:.1f}",
        "chosen": model.candidate,
    }
    for method in METHODS:
        seconds, _ = measure(lambda m=method: fit_calibration(targets["won"], p, method=m), 1)
        row[method] = f"{seconds:.2f}"
    boosted = dataclasses.replace(model, pipeline=pipeline)
    seconds, _ = measure(lambda: explain_model(boosted, table.frame), 1)
    row["SHAP of 2,000"] = f"{seconds:.2f}"
    row["score frame"] = f"{whole:.2f}"
    row["bare on matrix"] = f"{bare:.2f}"
    row["score ratio"] = f"{whole / bare:.2f}"
    row["additive on matrix"] = f"{additive_bare:.2f}"
    return row


def main() -> None:
    """Measure the sizes that were asked for and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = [run(n, arguments.repeats if n < 1_000_000 else 1) for n in arguments.sizes]
    for name in rows[0]:
        print(f"| {name} | " + " | ".join(row[name] for row in rows) + " |")


if __name__ == "__main__":
    main()

"""False alarms over a year of weekly looks, and how soon planted drifts are seen.

Usage: python experiments/studies/monitoring.py [--years 300] [--years-drift 12] [--jobs 2] [--seconds S]

Synthetic leads (about 100 a week, 28 of them handed over; verdicts mature after 30 days, deals after 90).
Both models are trained on the year before the sign-off; then the monitor looks every week for a year. Without
drift a year counts as a false alarm if any of its 52 reports raises one. Drifts begin in week 14; the delay
is counted in weeks until the first alarm after that, and a year with an alarm before its drift counts as not
seen. Beside it, on the same reports, what people do without a shared error rate: the rule "PSI above 0.1 for
any attribute", "any attribute test below 0.05", and "the ordinary 95 % interval of an observed rate lies
below the rate before the sign-off".

Every year is one seeded task of its own and its line goes to `monitoring.csv` as soon as it is done: a run
that was stopped (or ended by --seconds) goes on where it was, and the table is made of all lines.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from _worlds import new_parser, print_table

from leadml.definitions import parse_definition
from leadml.leads import (
    SyntheticWorld,
    compute_targets,
    generate_leads,
    render_demo_definition,
    split_periods,
)
from leadml.metrics import clopper_pearson
from leadml.models import train_model
from leadml.monitor import monitor_definition

OUTPUT = Path(__file__).with_suffix(".csv")
SINCE = dt.date(2025, 1, 6)
DRIFT_WEEK = 13
N_LOOKS = 52
WORLD = SyntheticWorld(start=dt.date(2024, 1, 1), n_months=27, drift=0.0)
N_LEADS = 12_000
WINDOWS = {"accepted": 30, "won": 90}
COLUMNS = ("drift", "seed", "look", "too_soon", "families", "psi", "uncorrected", "interval")
HEAD = (
    "drift",
    "years",
    "alarm in a year",
    "95 % interval",
    "weeks until it, half / nine tenths of the years",
    "first to speak",
    "PSI > 0.1",
    "any test < 0.05",
    "ordinary interval",
)


def plant(frame, drift, rows, rng):
    """Change the leads in `rows` (those after the drift began) in place of a copy."""
    frame = frame.copy()
    n = int(rows.sum())
    if drift == "half the odds of winning":
        lose(frame, rows & (frame["outcome"] == "won").to_numpy() & (rng.random(len(frame)) < 0.48))
    elif drift == "a quarter of the odds of winning":
        lose(frame, rows & (frame["outcome"] == "won").to_numpy() & (rng.random(len(frame)) < 0.73))
    elif drift == "half the odds of acceptance":
        gone = rows & (frame["verdict"] == "accepted").to_numpy() & (rng.random(len(frame)) < 0.14)
        frame.loc[gone, "verdict"] = "rejected"
        lose(frame, gone & (frame["outcome"] == "won").to_numpy())
    elif drift == "companies a quarter of a sd larger":
        larger = frame["employees"].to_numpy(dtype=float, na_value=np.nan) * np.exp(0.375)
        frame["employees"] = frame["employees"].where(~rows, pd.Series(np.round(larger)).astype("Int64"))
    elif drift == "only a correlation changes":
        rank = frame["employees"].to_numpy(dtype=float, na_value=np.nan)[rows]
        order = np.argsort(np.argsort(np.nan_to_num(np.log(rank), nan=4.0) + rng.normal(0, 2.0, n)))
        views = np.sort(frame["page_views_30d"].to_numpy(dtype=float)[rows])[order]
        frame.loc[rows, "page_views_30d"] = views.astype(int)
    elif drift == "title missing 6 % to 20 %":
        frame.loc[rows & (rng.random(len(frame)) < 0.15), "title_level"] = np.nan
    elif drift == "a new source, 5 %":
        source = frame["lead_source"].cat.add_categories(["Webinar"])
        frame["lead_source"] = source.where(~(rows & (rng.random(len(frame)) < 0.05)), "Webinar")
    elif drift == "a third fewer leads":
        frame = frame[~(rows & (rng.random(len(frame)) < 1 / 3))].reset_index(drop=True)
    return frame


def lose(frame, rows):
    frame.loc[rows, "outcome"] = "lost"


DRIFTS = (
    "a quarter of the odds of winning",
    "half the odds of winning",
    "half the odds of acceptance",
    "companies a quarter of a sd larger",
    "only a correlation changes",
    "title missing 6 % to 20 %",
    "a new source, 5 %",
    "a third fewer leads",
)


def train(table, targets, definition):
    models = {}
    for target, window in WINDOWS.items():
        start = targets["t0"]
        known = targets[target].notna().to_numpy(copy=True)
        known = known & (start < pd.Timestamp(SINCE) - pd.Timedelta(days=window)).to_numpy()
        newer = (start > start[known].quantile(0.6)).to_numpy()
        split = dataclasses.replace(
            split_periods(table, targets, target=target), discover=known & ~newer, confirm=known & newer
        )
        models[target] = train_model(table, targets, target=target, definition=definition, split=split)
    return models


def watch_year(task):
    """Give one row: the first look with an alarm, what fired, and what the habits would have said."""
    drift, seed = task
    table, _ = generate_leads(N_LEADS, random_state=seed, world=WORLD)
    definition = parse_definition(render_demo_definition(WORLD))
    rng = np.random.default_rng(10_000 + seed)
    first = pd.Timestamp(SINCE) + pd.Timedelta(weeks=DRIFT_WEEK)
    rows = (table.frame["created_on"] >= first).to_numpy()
    table = dataclasses.replace(table, frame=plant(table.frame, drift, rows, rng))
    targets = compute_targets(table)
    models = train(table, targets, definition)
    found = {"drift": drift, "seed": seed, "look": 0, "too_soon": 0, "families": ""}
    habits = {"psi": 0, "uncorrected": 0, "interval": 0}
    for look in range(1, N_LOOKS + 1):
        day = SINCE + dt.timedelta(days=7 * look - 1)
        report = monitor_definition(definition, table, targets, models=models, since=SINCE, as_of=day)
        count_habits(report, habits, look)
        if not report.alarm:
            continue
        if drift != "none" and look <= DRIFT_WEEK:
            found["too_soon"] = 1
        elif not found["look"]:
            families = sorted({f"{signal.family}: {signal.name}" for signal in report.alarms})
            found |= {"look": look, "families": "; ".join(families)}
            if drift != "none":
                break
    return found | habits


def count_habits(report, habits, look):
    def note(name, fired):
        if fired and not habits[name]:
            habits[name] = look

    note("psi", bool((report.attributes["psi"] > 0.1).any()))
    note("uncorrected", bool((report.attributes[["p_value", "p_missing"]] < 0.05).any(axis=None)))
    expected = {rate.target: rate.value for rate in report.promise.rates}
    below = [
        clopper_pearson(row.n_yes, row.n)[1] < expected[row.target]
        for row in report.promises.itertuples(index=False)
        if row.n
    ]
    note("interval", any(below))


def summarise(rows):
    """One line per drift, with the exact 95 % interval of the share of years with an alarm."""
    lines = []
    for drift in ("none", *DRIFTS):
        part = rows[rows["drift"] == drift]
        if part.empty:
            continue
        fired = (part["look"] > 0) & (part["too_soon"] == 0)
        low, high = clopper_pearson(int(fired.sum()), len(part))
        delay = np.where(fired, part["look"] - DRIFT_WEEK, np.inf)
        half, most = (weeks(np.quantile(delay, level, method="higher")) for level in (0.5, 0.9))
        lines.append(
            (
                drift,
                len(part),
                share(fired),
                f"{low:.3f} to {high:.3f}",
                "" if drift == "none" else f"{half} / {most}",
                first_signals(part.loc[fired, "families"]),
                share(part["psi"] > 0),
                share(part["uncorrected"] > 0),
                share(part["interval"] > 0),
            )
        )
    return lines


def share(flags):
    return f"{np.mean(flags):.3f}"


def weeks(value):
    return "never" if np.isinf(value) else f"{value:.0f}"


def first_signals(told, shown=2):
    """Which family spoke first, and in how many years."""
    counts = told.str.split(": ").str[0].value_counts()
    return ", ".join(f"{family} {n}" for family, n in counts.head(shown).items())


def tasks_left(years, years_drift, done):
    wanted = [("none", seed) for seed in range(years)]
    wanted += [
        (drift, 1_000 * place + seed) for seed in range(years_drift) for place, drift in enumerate(DRIFTS, 1)
    ]
    known = set(zip(done["drift"], done["seed"], strict=True))
    return [task for task in wanted if task not in known]


def main(arguments=None):
    parser = new_parser(__doc__)
    parser.add_argument("--years", type=int, default=300, help="years without drift")
    parser.add_argument("--years-drift", type=int, default=12, help="years with each drift")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no year after these")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    end = time.monotonic() + options.seconds
    done = pd.read_csv(options.output) if options.output.exists() else pd.DataFrame(columns=list(COLUMNS))
    left = tasks_left(options.years, options.years_drift, done)
    rows = done.to_dict("records")
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = set()
        while waiting or (left and time.monotonic() < end):
            while left and len(waiting) < options.jobs and time.monotonic() < end:
                waiting.add(pool.submit(watch_year, left.pop(0)))
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            rows += [future.result() for future in finished]
            write_rows(rows, options.output)
            print(f"{len(rows)} years, {len(left) + len(waiting)} left", file=sys.stderr, flush=True)
    print_table(HEAD, summarise(pd.DataFrame(rows)))


def write_rows(rows, path):
    order = {name: place for place, name in enumerate(("none", *DRIFTS))}
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.sort_values(["drift", "seed"], key=lambda part: part.map(order).fillna(part))
    table.to_csv(path, index=False)


if __name__ == "__main__":
    main()

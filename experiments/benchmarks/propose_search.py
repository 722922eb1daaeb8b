"""How fast the best change of at most two criteria is found: exact counts against what else one would use.

Usage: python experiments/benchmarks/propose_search.py [--n-leads 100000 10000000] [--repeats 5]

One world: eight criteria, all of them asked for, about fifty steps each; every lead has a label. leadml
counts the evidence in one pass per pair of criteria and then reads every single change and pair off the
counts, so the second part must not depend on the number of leads. "The whole search" also counts the groups,
keeps every change as a candidate, ranks them and picks three. Peers look for the same thing on the smallest
number of leads in the same run: a loop over all pairs (timed on a sample of them), Optuna's TPE on the pairs,
and scikit-learn's TunedThresholdClassifierCV, which tunes the cut of a score instead of a written threshold
(it may use all eight attributes at once and gives no rule). CPU seconds, medians; DuckDB counts on all cores,
its CPU seconds are those of all of them.

The joint grid is the best of all combinations of fifty cuts of five criteria at once. A world with eight cuts
of three is held against a loop over all of its definitions first.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd

from leadml.definitions import parse_definition
from leadml.propose import CountRequest, Stakes, count_in_duckdb
from leadml.propose._board import Board, build_board
from leadml.propose._evidence import count_joint, search_edits
from leadml.propose._grid import find_best_cuts
from leadml.propose._joint import Cells, Job, make_cells
from leadml.propose._pick import pick_candidates, rank_edits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_CRITERIA, N_STEPS = 8, 50
VALUE, COST = 1.0, 0.06
NAMES = [f"a{number}" for number in range(N_CRITERIA)]


@dataclass(frozen=True)
class World:
    """Leads, labels and the written definition."""

    definition: Any
    frame: pd.DataFrame
    won: NDArray[np.bool_]


def make_world(n_leads: int, seed: int = 0) -> World:
    """Draw leads whose chance to win rises with three attributes."""
    rng = np.random.default_rng(seed)
    steps = ", ".join(str(number) for number in range(1, N_STEPS + 1))
    lines = [f"  {name}: {{type: integer, unit: points, steps: [{steps}]}}" for name in NAMES]
    rule = ", ".join(f"{name} >= 12" for name in NAMES)
    definition = parse_definition(
        "name: benchmark\nversion: 1\nattributes:\n"
        + "\n".join(lines)
        + f"\nclasses:\n  - name: hot\n    all_of: [{rule}]\n"
        + "  - name: cold\n    otherwise: true\nhandoff: [hot]\n"
    )
    values = {name: rng.integers(0, N_STEPS + 2, n_leads, dtype=np.int16) for name in NAMES}
    logit = -6.0 + 0.05 * values["a0"] + 0.04 * values["a1"] + 0.02 * values["a2"]
    won = rng.random(n_leads) < 1 / (1 + np.exp(-logit))
    return World(definition=definition, frame=pd.DataFrame(values), won=won)


def seconds(action: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median CPU seconds and the last result."""
    times, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = action()
        times.append(time.process_time() - start)
    return statistics.median(times), result


def pairs(n: int) -> list[tuple[int, int]]:
    """Return the pairs of criteria."""
    return list(itertools.combinations(range(n), 2))


def best_exact(tables: list[Any], cells: Cells) -> tuple[float, int]:
    """Read the best change off the counts; also the number of changes looked at."""
    best, looked = -np.inf, 0
    for table in tables:
        gained, lost = table.moved()
        gain = VALUE * (cells.yes(gained) - cells.yes(lost)) - COST * (
            cells.labelled(gained) - cells.labelled(lost)
        )
        best = max(best, float(gain.max()))
        looked += gain.size
    return best, looked


def time_leadml(world: World, repeats: int) -> dict[str, float]:
    """Time the columns to codes, the pass and the search after it."""
    n = len(world.frame)
    everyone = np.ones(n, bool)
    code_s, board = seconds(lambda: build_board(world.definition, world.frame, sample=everyone), 1)
    cells = make_cells(np.where(world.won, 2, 1).astype(np.int8), np.zeros(n, np.int16), everyone, 1)
    rows = np.arange(n)
    used = pairs(N_CRITERIA)

    def one_pass() -> list[Any]:
        return [count_joint(board, Job(dials=pair, only=(0, 0)), rows, cells) for pair in used]

    pass_s, tables = seconds(one_pass, max(1, min(repeats, 3 if n > 1_000_000 else repeats)))
    search_s, (gain, looked) = seconds(lambda: best_exact(tables, cells), repeats)
    request = CountRequest(
        definition=world.definition,
        board=board,
        leads=world.frame,
        rows=everyone,
        cells=cells,
        jobs=tuple(Job(dials=pair, only=(0, 0)) for pair in used),
    )
    duckdb_s, counted = seconds(lambda: count_in_duckdb(request), 1)
    if any((one.counts != other.counts).any() for one, other in zip(counted, tables, strict=True)):
        raise SystemExit("DuckDB counted something else")
    read_s, _ = seconds(lambda: [world.frame[name].to_numpy().sum() for name in NAMES], repeats)
    return {
        "n_leads": n,
        "read": read_s,
        "columns to codes": code_s,
        "pass": pass_s,
        "search": search_s,
        "duckdb": duckdb_s,
        "definitions": looked,
        "gain": gain,
    }


def search_whole(board: Board, cells: Cells, rows: NDArray[np.bool_]) -> Any:
    """Search, rank and pick as a review does."""
    stakes = Stakes(
        target="won",
        value=np.full(1, VALUE),
        cost_gained=np.full(1, COST),
        cost_lost=np.full(1, COST),
        unit="deals",
        signed=True,
        names=("all leads",),
        words="",
    )
    found = search_edits(board, rows, cells, max_changes=2)
    ranking = rank_edits(
        found,
        stakes,
        n_handed=float(board.handed_over.sum()),
        n_leads=float(len(rows)),
        max_leads=None,
        min_change=20,
        confirm_ratio=0.6,
        error_rate=0.05,
    )
    return pick_candidates(
        board,
        found,
        ranking,
        stakes,
        max_candidates=3,
        writable=board.leaves_enough,
        spread_on_leads=lambda _best, _other: 0.0,
    )


def time_grid(n_leads: int, repeats: int) -> tuple[float, int]:
    """Time the joint grid of five criteria, after a check against a loop over a small one."""
    rng = np.random.default_rng(2)

    def draw(n_criteria: int, n_cuts: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        ranks = [rng.integers(0, n_cuts, n_leads) for _ in range(n_criteria)]
        chance = 0.15 - 0.002 * sum(ranks[:3]) * 50 / n_cuts / n_criteria
        won = rng.random(n_leads) < chance
        return ranks, np.where(won, 94, -6)  # hundredths of a deal

    ranks, worth = draw(3, 8)
    loop = max(
        int(worth[np.logical_and.reduce([rank <= cut for rank, cut in zip(ranks, cuts, strict=True)])].sum())
        for cuts in itertools.product(range(8), repeat=3)
    )
    if find_best_cuts(ranks, [8] * 3, worth)[0] != loop:
        raise SystemExit("the grid found something else than the loop")
    ranks, worth = draw(5, N_STEPS)
    spent, _ = seconds(lambda: find_best_cuts(ranks, [N_STEPS] * 5, worth), repeats)
    return spent, N_STEPS**5


def value_of(board: Board, won: NDArray[np.bool_], turns: dict[int, int]) -> float:
    """Compute the value of a definition the plain way: evaluate it on every lead."""
    passed = np.logical_and.reduce(
        [dial.passes[turns.get(number, 0)][dial.codes] for number, dial in enumerate(board.dials)]
    )
    return float(VALUE * won[passed].sum() - COST * passed.sum())


def time_loop(world: World, board: Board, sample: int = 400) -> dict[str, Any]:
    """Time a loop over all pairs of changes, on a sample of them."""
    sizes = [len(dial.alternatives) + 1 for dial in board.dials]
    total = sum(sizes[a] * sizes[b] for a, b in pairs(N_CRITERIA))
    rng = np.random.default_rng(1)
    start = time.process_time()
    for _ in range(sample):
        a, b = pairs(N_CRITERIA)[rng.integers(len(pairs(N_CRITERIA)))]
        value_of(board, world.won, {a: int(rng.integers(sizes[a])), b: int(rng.integers(sizes[b]))})
    spent = time.process_time() - start
    return {
        "peer": f"loop over all pairs (from {sample} of {total:,})",
        "s": spent * total / sample,
        "share": 1.0,
    }


def time_optuna(world: World, board: Board, best: float, n_trials: int = 1000) -> dict[str, Any]:
    """Time Optuna's TPE on the same changes."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    now = value_of(board, world.won, {})
    sizes = [len(dial.alternatives) for dial in board.dials]

    def objective(trial: Any) -> float:
        a, b = pairs(N_CRITERIA)[trial.suggest_int("pair", 0, len(pairs(N_CRITERIA)) - 1)]
        turns = {a: trial.suggest_int(f"s{a}", 0, sizes[a]), b: trial.suggest_int(f"s{b}", 0, sizes[b])}
        return value_of(board, world.won, turns) - now

    start = time.process_time()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=n_trials)
    spent = time.process_time() - start
    return {"peer": f"Optuna TPE, {n_trials:,} trials", "s": spent, "share": study.best_value / best}


def time_tuned_threshold(world: World, board: Board, best: float) -> dict[str, Any]:
    """Time scikit-learn's tuned cut of a logistic score on the leads handed over today and all others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import TunedThresholdClassifierCV

    def net_value(y_true: Any, y_pred: Any) -> float:
        return float((VALUE * y_true - COST)[y_pred == 1].sum())

    X = world.frame.to_numpy(np.float32) / N_STEPS
    start = time.process_time()
    model = TunedThresholdClassifierCV(
        LogisticRegression(), scoring=make_scorer(net_value), thresholds=100, cv=5
    ).fit(X, world.won.astype(int))
    spent = time.process_time() - start
    found = net_value(world.won.astype(int), model.predict(X)) - value_of(board, world.won, {})
    return {"peer": "TunedThresholdClassifierCV (a score, no rule)", "s": spent, "share": found / best}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-leads", type=int, nargs="+", default=[100_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    rows = [time_leadml(make_world(n), given.repeats) for n in sorted(given.n_leads)]
    print(
        "| leads | read once | columns to codes | one pass, all pairs | the same by DuckDB "
        "| search after it | definitions |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['n_leads']:,} | {row['read']:.4f} s | {row['columns to codes']:.2f} s "
            f"| {row['pass']:.2f} s | {row['duckdb']:.1f} s | {row['search']:.3f} s "
            f"| {row['definitions']:,} |"
        )
    print(
        f"\nsearch at {rows[-1]['n_leads']:,} leads / at {rows[0]['n_leads']:,}: "
        f"{rows[-1]['search'] / rows[0]['search']:.2f}"
    )
    world = make_world(min(given.n_leads))
    everyone = np.ones(len(world.frame), bool)
    board = build_board(world.definition, world.frame, sample=everyone)
    cells = make_cells(
        np.where(world.won, 2, 1).astype(np.int8), np.zeros(len(everyone), np.int16), everyone, 1
    )
    grid_s, n_joint = time_grid(len(everyone), given.repeats)
    print(f"joint grid, {len(everyone):,} leads, {n_joint:,} definitions: {grid_s:.2f} s")
    whole_s, _ = seconds(lambda: search_whole(board, cells, everyone), given.repeats)
    peers = [{"peer": "leadml, exact", "s": rows[0]["pass"] + rows[0]["search"], "share": 1.0}]
    peers.append({"peer": "leadml, the whole search", "s": whole_s, "share": 1.0})
    peers.append(time_loop(world, board))
    for peer in (time_optuna, time_tuned_threshold):
        try:
            peers.append(peer(world, board, rows[0]["gain"]))
        except ImportError as error:
            print(f"{peer.__name__}: not installed ({error.name})")
    print(f"\n| {min(given.n_leads):,} leads | CPU s | ratio to leadml | share of the best gain |")
    print("|---|---|---|---|")
    for row in peers:
        print(f"| {row['peer']} | {row['s']:.2f} | {row['s'] / peers[0]['s']:.0f} | {row['share']:.0%} |")


if __name__ == "__main__":
    main()

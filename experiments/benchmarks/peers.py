"""What a user would pick instead of leadml, on the same leads and the same split in time.

Usage: python experiments/benchmarks/peers.py [--reps 20] [--n-leads 4000] [--worlds W ...] [--sets S ...]

Everybody learns from the same earlier leads, attributes and prices and hands over later leads. In the
generated worlds (those of the studies of the proposals) the later leads are 20,000 fresh ones whose chance to
win is known; on the real sets they are the last two matured quarters or blocks. Value is that of the leads
handed over (won deals times their worth less the cost of working them; where nothing is sold, accepted leads
above the rate so far) less that of the written definition.

The worlds are described in `studies/_worlds.py`. A score counts the numbers that one would have to read
(coefficients, bins), a rule its conditions. Peers that are not installed are left out with the reason; none
is a dependency of leadml.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))

import numpy as np
import pandas as pd
from _worlds import (
    COST,
    NOTHING_TO_FIND,
    VALUE,
    WORTHLESS,
    draw_leads,
    draw_study,
    handed_over,
    new_parser,
    print_table,
    true_rate,
    write_definition,
)
from real_data import CONTRACTS, DATA, DEFINITIONS, SETS, RealSet, prepare
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, precision_recall_curve
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from leadml.definitions import (
    Change,
    apply_changes,
    compute_won_prices,
    criterion_mask,
    load_definition,
    parse_criterion,
)
from leadml.leads import compute_targets, load_contract, read_leads, split_periods
from leadml.models import LeadEncoder, choose_features, compute_features, labelled_rows
from leadml.models._baselines import predict_naive_bayes
from leadml.propose import Goal, make_steps, propose_changes

if TYPE_CHECKING:
    from collections.abc import Callable

WORLDS = ("WORTHLESS", "OPT", "HANDED", "STRICT", "TWO", "LOOSE")
N_LATER = 20_000
REAL = {
    "marketstar-sdr": "marketstar-2022.1",
    "xeducation": "xeducation-2026.1",
    "olist": "olist-2018.1",
    "salvirt": "salvirt-2026.1",
    "bank-marketing": "bank-marketing-2010.1",
    "ibm-winloss-strict": "ibm-winloss-2026.1",
}
COMPARED = ("<", "<=", ">", ">=")


@dataclass(frozen=True)
class Market:
    """What everybody sees, and the later leads on which they are judged.

    `value` and `later_value` are the price of a win of each earlier and later lead, `cost` that of working
    one; `worth` is what handing over each later lead brings, by its true chance or by what became of it.
    """

    definition: Any
    table: Any
    targets: pd.DataFrame
    later: pd.DataFrame
    value: np.ndarray
    later_value: np.ndarray
    cost: float
    worth: np.ndarray
    goal: Goal

    @property
    def target(self) -> Literal["accepted", "won"]:
        return "accepted" if self.goal.maximise == "accepted" else "won"

    @property
    def written(self) -> np.ndarray:
        return handed_over(self.definition, self.later)

    @property
    def rows(self) -> np.ndarray:
        """Which of the earlier leads have a label."""
        return labelled_rows(self.targets, target=self.target, part=np.ones(len(self.targets), bool))


@dataclass(frozen=True)
class Sample:
    """The same leads as numbers: the earlier labelled ones with what each brought, and the later ones."""

    market: Market
    names: list[str]
    X: np.ndarray
    y: np.ndarray
    worth: np.ndarray
    X_later: np.ndarray

    def pays(self, p: np.ndarray) -> np.ndarray:
        """Which later leads are worth their work if these are their chances."""
        return np.asarray(p * self.market.later_value >= self.market.cost)


@dataclass(frozen=True)
class Answer:
    """Who is handed over, and how much there is to be read."""

    hands: np.ndarray
    size: int
    form: str


# ---- the leads ---------------------------------------------------------------------------------------


def generated(world: str, n: int, seed: int) -> Market:
    study, later = draw_study(world, n, seed), draw_leads(N_LATER, np.random.default_rng(10**6 + seed))
    return Market(
        study.definition,
        study.table,
        study.targets,
        later,
        np.full(n, VALUE),
        np.full(N_LATER, VALUE),
        COST,
        VALUE * true_rate(later, world) - COST,
        Goal(),
    )


def real(found: RealSet, folder: Path) -> Market:
    table = read_leads(load_contract(CONTRACTS / f"{found.contract}.yaml"), leads=prepare(found, folder))
    targets = compute_targets(table)
    split = split_periods(table, targets, target=found.target, n_confirm=found.n_confirm)
    start = targets["t0"]
    earlier = (start < start[split.confirm].min()).to_numpy()
    definition = load_definition(DEFINITIONS / f"{REAL[found.contract]}.yaml")
    before = replace(table, frame=table.frame[earlier].reset_index(drop=True))
    known = compute_targets(before)
    later = table.frame[split.confirm].reset_index(drop=True)
    if found.target == "accepted":
        # Nothing is sold here: a lead pays if it is accepted as often as those handed over so far.
        rate = float(known["accepted"][handed_over(definition, before.frame)].mean())
        value, later_value, cost = np.ones(len(before.frame)), np.ones(len(later)), rate
        goal = Goal(maximise="accepted", minimum_acceptance=rate)
    else:
        value, later_value = (
            compute_won_prices(definition, part).to_numpy(dtype=float) for part in (before.frame, later)
        )
        cost, goal = float(definition.prices.worked_lead), Goal()
    came = targets[found.target].to_numpy(dtype=float)[split.confirm]
    return Market(definition, before, known, later, value, later_value, cost, later_value * came - cost, goal)


def encode(market: Market) -> Sample:
    """Encode the attributes that are known at the handoff as leadml does: numbers, places, missing as nan."""
    rows, frame = market.rows, market.table.frame
    features, _ = choose_features(
        frame, contract=market.table.contract, definition=market.definition, rows=rows
    )
    clock = [name for name in ("handed_on", "created_on") if name in frame]
    encoder = LeadEncoder(
        kinds={one.name: "number" if one.kind == "age" else one.kind for one in features},
        levels={one.name: one.levels for one in features if one.kind == "ordinal"},
    )
    y = market.targets[market.target].to_numpy(dtype=float)[rows]
    X = encoder.fit_transform(compute_features(frame[rows], features, clock=clock), y)
    X_later = encoder.transform(compute_features(market.later, features, clock=clock))
    return Sample(
        market,
        [one.name for one in features],
        X.astype(float),
        y,
        market.value[rows] * y - market.cost,
        X_later.astype(float),
    )


# ---- who answers -------------------------------------------------------------------------------------


def leadml(sample: Sample, _seed: int) -> Answer:
    market = sample.market
    result = propose_changes(
        market.definition,
        market.table,
        market.targets,
        goal=market.goal,
        split=split_periods(market.table, market.targets, target=market.target),
        register=lambda _record: None,
    )
    chosen = result.proposals[0].revised if result.proposals else market.definition
    return Answer(handed_over(chosen, market.later), conditions(chosen), "rule")


def conditions(definition: Any) -> int:
    """Count the criteria of the classes that go to Sales."""
    return sum(c.address.split(".")[0] in definition.handoff for c in definition.criteria())


def logistic() -> Any:
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=2000),
    )


def scored(sample: Sample) -> tuple[np.ndarray, np.ndarray, int]:
    model = logistic().fit(sample.X, sample.y)
    p, later = (model.predict_proba(part)[:, 1] for part in (sample.X, sample.X_later))
    return p, later, model[-1].coef_.size + 1


def crm_f1(sample: Sample, _seed: int) -> Answer:
    p, later, size = scored(sample)
    precision, recall, cuts = precision_recall_curve(sample.y, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return Answer(later >= cuts[np.argmax(f1[:-1])], size, "score")


def crm_tiers(sample: Sample, _seed: int) -> Answer:
    p, later, size = scored(sample)
    return Answer(later >= np.median(p), size, "score")


def odoo(sample: Sample, _seed: int) -> Answer:
    both = np.concatenate([sample.X, sample.X_later]).astype(np.float32)
    n = len(sample.X)
    p = predict_naive_bayes(both, sample.y, train=np.arange(n), test=np.arange(n, len(both)))
    bins = sum(min(np.unique(column[~np.isnan(column)]).size, 10) for column in sample.X.T)
    return Answer(sample.pays(p), bins, "score")


def tuned_threshold(sample: Sample, seed: int) -> Answer:
    # A metric sees no weights that are not routed; the labels carry the number of their lead.
    y = pd.Series(sample.y)

    def net_value(y_true: pd.Series, y_pred: np.ndarray) -> float:
        return float(sample.worth[y_true.index[y_pred == 1]].sum())

    model = TunedThresholdClassifierCV(
        logistic(), scoring=make_scorer(net_value), thresholds=100, cv=5, random_state=seed
    ).fit(sample.X, y)
    size = model.estimator_[-1].coef_.size + 1
    return Answer(model.predict(sample.X_later) == 1, size, "score")


def optbinning(sample: Sample, _seed: int) -> Answer:
    from optbinning import BinningProcess, Scorecard

    X, later = (pd.DataFrame(part, columns=sample.names) for part in (sample.X, sample.X_later))
    model = Scorecard(
        binning_process=BinningProcess(sample.names), estimator=LogisticRegression(max_iter=2000)
    ).fit(X, sample.y.astype(int))
    card = model.table()
    bins = int((~card["Bin"].astype(str).isin(["Special", "Missing"])).sum())
    return Answer(sample.pays(model.predict_proba(later)[:, 1]), bins, "score")


def tree(sample: Sample, seed: int) -> Answer:
    model = DecisionTreeClassifier(max_depth=3, min_samples_leaf=50, random_state=seed)
    model.fit(sample.X, sample.y)
    made = np.bincount(model.apply(sample.X), weights=sample.worth, minlength=model.tree_.node_count)
    good = (made >= 0) & (model.tree_.children_left < 0)
    return Answer(good[model.apply(sample.X_later)], tests_to_good_leaves(model.tree_, good), "rule")


def tests_to_good_leaves(found: Any, good: np.ndarray) -> int:
    """Count the conditions of the rules that the good leaves are."""
    total, waiting = 0, [(0, 0)]
    while waiting:
        node, depth = waiting.pop()
        left, right = found.children_left[node], found.children_right[node]
        if left < 0:
            total += depth * bool(good[node])
        else:
            waiting += [(left, depth + 1), (right, depth + 1)]
    return total


def ripper(sample: Sample, seed: int) -> Answer:
    import wittgenstein

    X, later = (pd.DataFrame(part, columns=sample.names).fillna(-1.0) for part in (sample.X, sample.X_later))
    model = wittgenstein.RIPPER(random_state=seed)
    model.fit(X, y=sample.y.astype(int), pos_class=1)
    size = sum(len(rule.conds) for rule in model.ruleset_.rules)
    return Answer(np.asarray(model.predict(later), dtype=bool), size, "rule")


def optuna_thresholds(sample: Sample, seed: int, n_trials: int = 200) -> Answer:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    market = sample.market
    frame, worth = market.table.frame[market.rows], sample.worth
    turns = {
        criterion: (criterion.text, *alternatives(market.definition, criterion, frame))
        for criterion in market.definition.criteria()
        if criterion.address.split(".")[0] in market.definition.handoff
    }
    masks = {text: one_mask(market, text, frame) for texts in turns.values() for text in texts}

    def said(trial: Any) -> dict[Any, str]:
        return {one: texts[trial.suggest_int(one.address, 0, len(texts) - 1)] for one, texts in turns.items()}

    def objective(trial: Any) -> float:
        return float(worth[np.logical_and.reduce([masks[text] for text in said(trial).values()])].sum())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=n_trials)
    changes = [
        Change(address=one.address, kind="threshold", written=one.text, proposed=text)
        for one, text in said(optuna.trial.FixedTrial(study.best_params)).items()
        if text != one.text
    ]
    chosen = changed(market.definition, changes)
    return Answer(handed_over(chosen, market.later), conditions(chosen), "rule")


def changed(definition: Any, changes: list[Change]) -> Any:
    return apply_changes(definition, changes) if changes else definition


def one_mask(market: Market, text: str, frame: pd.DataFrame) -> np.ndarray:
    test = parse_criterion(text, attributes=market.definition.typed_attributes())
    return criterion_mask(test, frame, definition=market.definition)


def alternatives(definition: Any, criterion: Any, frame: pd.DataFrame) -> list[str]:
    """List the other thresholds of a criterion: the declared steps or levels, else round numbers."""
    if criterion.operator not in COMPARED:
        return []
    attribute = next(one for one in definition.attributes if one.name == criterion.attribute)
    steps = attribute.levels or attribute.steps
    if not steps:
        values = frame[criterion.attribute].to_numpy(dtype=float, na_value=np.nan)
        steps = make_steps(values, integer=attribute.type == "integer")
    ending = " or missing" if criterion.or_missing else ""
    texts = [f"{criterion.attribute} {criterion.operator} {step}{ending}" for step in steps]
    return [text for text in texts if text != criterion.text]


PEERS: dict[str, Callable[[Sample, int], Answer]] = {
    "**leadml**": leadml,
    "CRM: score, F1-optimal cut": crm_f1,
    "CRM: score, tiers A and B of four": crm_tiers,
    "CRM: naive Bayes (Odoo), break-even": odoo,
    "TunedThresholdClassifierCV, net value": tuned_threshold,
    "optbinning scorecard, break-even": optbinning,
    "decision tree of depth 3 as rules": tree,
    "RIPPER (wittgenstein)": ripper,
    "Optuna over the written thresholds": optuna_thresholds,
}


# ---- judging -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """One answer held against the later leads; gains are per 1,000 leads."""

    gain: float
    error: float
    changed: bool
    seconds: float
    size: int
    form: str


def judge(peer: Callable[[Sample, int], Answer], sample: Sample, seed: int) -> Judged:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = peer(sample, seed)
    spent = time.process_time() - start
    step = answer.hands.astype(float) - sample.market.written
    worth = 1000 * step * sample.market.worth
    error = float(worth.std(ddof=1) / np.sqrt(worth.size))
    return Judged(float(worth.mean()), error, bool(step.any()), spent, answer.size, answer.form)


def best_gain(market: Market) -> float:
    """Mean true gain of the true rule over the written one."""
    step = handed_over(write_definition(), market.later) - market.written.astype(float)
    return float(1000 * (step * market.worth).mean())


def try_peer(name: str, markets: list[tuple[Sample, int]]) -> list[Judged] | str:
    try:
        return [judge(PEERS[name], sample, seed) for sample, seed in markets]
    except ImportError as error:
        return f"not installed: {error.name}"


def in_worlds(worlds: list[str], n: int, reps: int) -> None:
    """One row per peer: how often it is wrong, what it gains, how long it takes, how much is to be read."""
    results: dict[str, dict[str, Any]] = {name: {} for name in PEERS}
    best = {}
    for world in worlds:
        markets = [(encode(generated(world, n, seed)), seed) for seed in range(reps)]
        best[world] = statistics.mean(best_gain(sample.market) for sample, _ in markets)
        for name in PEERS:
            results[name][world] = try_peer(name, markets)
            print(f"{world}: {name}", file=sys.stderr, flush=True)
    rows = []
    for name, found in results.items():
        missing = next((told for told in found.values() if isinstance(told, str)), None)
        if missing:
            rows.append((name, *[""] * len(worlds), "", missing))
            continue
        runs = [run for judged in found.values() for run in judged]
        cells = [world_cell(world, found[world], best[world]) for world in worlds]
        spent = statistics.median(run.seconds for run in runs)
        size = statistics.median(run.size for run in runs)
        rows.append((name, *cells, f"{spent:.2f}", f"{runs[0].form}, {size:.0f}"))
    print_table(("answer", *(world_title(world) for world in worlds), "CPU s", "to be read"), rows)


def world_title(world: str) -> str:
    return f"{world}: false" if world in NOTHING_TO_FIND else f"{world}: gain, harmful"


def world_cell(world: str, judged: list[Judged], best: float) -> str:
    if world in WORTHLESS:
        return f"{np.mean([run.changed for run in judged]):.2f}"
    harmful = np.mean([run.gain < -1e-9 for run in judged])
    gain = np.mean([run.gain for run in judged])
    if world in NOTHING_TO_FIND:
        return f"{harmful:.2f} ({gain:+.0f})"
    return f"{gain / best:.2f}, {harmful:.2f}"


def on_real_sets(sets: list[str]) -> None:
    """Print a line per set, then one table: value out of time against the written definition."""
    columns: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for contract in sets:
            found = next(one for one in SETS if one.contract == contract)
            if not (DATA / found.needs).exists():
                print(f"- {found.name}: not on this machine (set LEADML_SHARED_DATA)", flush=True)
                continue
            market = real(found, Path(folder))
            sample = encode(market)
            columns[found.name] = [real_cell(name, sample) for name in PEERS]
            written = market.written
            unit = market.definition.prices.currency if market.target == "won" else "accepted leads"
            print(
                f"- {found.name}: {len(sample.y):,} earlier leads with an answer, {len(written):,} later; "
                f"the written definition hands over {written.mean():.0%} of these and makes "
                f"{1000 * (market.worth * written).mean():,.0f} {unit} per 1,000 leads, everybody together "
                f"{1000 * market.worth.mean():,.0f}",
                flush=True,
            )
    if columns:
        print()
        print_table(("answer", *columns), list(zip(PEERS, *columns.values(), strict=True)))


def real_cell(name: str, sample: Sample) -> str:
    judged = try_peer(name, [(sample, 0)])
    if isinstance(judged, str):
        return judged
    run = judged[0]
    print(f"{name}: {run.seconds:.1f} CPU s, {run.form}, {run.size}", file=sys.stderr, flush=True)
    if not run.changed:
        return "nothing changed"
    digits = 0 if abs(run.gain) >= 100 else 1
    ends = (run.gain, run.gain - 1.96 * run.error, run.gain + 1.96 * run.error)
    value, low, high = (f"{end:+,.{digits}f}" for end in ends)
    return f"{value} ({low} to {high})"


def main() -> None:
    """Run and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=20)
    parser.add_argument("--n-leads", type=int, default=4000)
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=WORLDS)
    parser.add_argument("--sets", nargs="*", default=list(REAL), choices=list(REAL))
    given = parser.parse_args()
    if given.worlds:
        in_worlds(given.worlds, given.n_leads, given.reps)
    on_real_sets(given.sets)


if __name__ == "__main__":
    main()

"""Models out of time on the real data sets, each beside its peers on the same leads and attributes.

Run from the project's root: ``python experiments/benchmarks/real_data.py [set ...] [--output FILE]``;
``--prepare`` only writes the files that the experiments on these sets read, into ``experiments/prepared``.
The data sets are not part of the project; a set that is not there is left out with a line that says so.
Peers that are not installed (interpret, lightgbm, optbinning, xgboost) are left out too, and the explainable
boosting machine above 10,000 training leads, where it takes minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from leadml.definitions import load_definition
from leadml.leads import compute_targets, load_contract, read_leads, split_periods
from leadml.metrics import (
    average_precision,
    brier_score,
    calibration_line,
    log_loss,
    roc_auc_interval,
)
from leadml.models import TrainedModel, compute_features, labelled_rows, train_model

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("LEADML_SHARED_DATA", ROOT.parent / "shared" / "data"))
CONTRACTS = ROOT / "experiments" / "contracts"
DEFINITIONS = ROOT / "experiments" / "definitions"
PREPARED = ROOT / "experiments" / "prepared"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSet:
    """One data set: where it lies, how it is read, what is predicted, which level was quoted for it."""

    name: str
    needs: str
    contract: str
    target: str = "won"
    definition: str | None = None
    n_confirm: int = 2
    quoted: str = ""


SETS = (
    RealSet(
        name="marketstar (account manager)",
        needs="marketstar/Leads.csv",
        contract="marketstar",
        target="accepted",
        definition="marketstar-2022.1",
        quoted="AUC .44 to .52 (noise)",
    ),
    RealSet(
        name="marketstar (SDR)",
        needs="marketstar/Leads.csv",
        contract="marketstar-sdr",
        target="accepted",
        definition="marketstar-2022.1",
        quoted="AUC .53 (noise)",
    ),
    RealSet(
        name="xeducation",
        needs="xeducation/Leads.csv",
        contract="xeducation",
        definition="xeducation-2026.1",
        quoted="AUC .823, log loss .488",
    ),
    RealSet(
        name="olist",
        needs="olist_funnel",
        contract="olist",
        quoted="AUC .697, log loss .3025 (constant .3239)",
    ),
    RealSet(
        name="salvirt", needs="salvirt_b2b", contract="salvirt", quoted="AUC .810 (identical rows together)"
    ),
    RealSet(
        name="bank marketing",
        needs="bank_marketing",
        contract="bank-marketing",
        n_confirm=1,
        quoted="logistic AUC .748, log loss .571; boosting .659, .791 (constant .894), all with the month "
        "and the economy's indicators, which stand for the date; logistic without them .701, .668",
    ),
    RealSet(
        name="ibm win/loss",
        needs="ibm_winloss",
        contract="ibm-winloss",
        quoted="AUC .842 with the revenue of the past two years",
    ),
    RealSet(
        name="ibm win/loss, read strictly",
        needs="ibm_winloss",
        contract="ibm-winloss-strict",
        quoted="AUC .779 without the revenue of the past two years",
    ),
)


def prepare(real: RealSet, folder: Path) -> Path | None:
    """Write the file that the contract names where the data set needs a number per row or a join."""
    target = folder / f"{real.contract}.csv"
    if real.contract == "bank-marketing":
        frame = pd.read_csv(
            DATA / real.needs / "bank-additional-full.csv.gz", sep=";", dtype=str, keep_default_na=False
        )
    elif real.contract == "salvirt":
        frame = pd.read_csv(
            DATA / real.needs / "Salvirt_B2B_ML_dataset.csv", sep=";", dtype=str, keep_default_na=False
        )
        frame = frame.drop_duplicates(ignore_index=True)
        # The file is not in order of time: a fixed shuffle makes its order say nothing.
        frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    elif real.contract == "olist":
        leads = pd.read_csv(DATA / real.needs / "olist_marketing_qualified_leads_dataset.csv", dtype=str)
        deals = pd.read_csv(DATA / real.needs / "olist_closed_deals_dataset.csv", dtype=str)
        frame = leads.merge(deals[["mql_id", "won_date"]], on="mql_id", how="left")
        frame = frame[frame["first_contact_date"] >= "2018-01-01"]
        frame["won"] = np.where(frame["won_date"].notna(), "yes", "no")
        frame["won_on"] = frame["won_date"].str[:10]
        frame.drop(columns="won_date").to_csv(target, index=False)
        return target
    else:
        return None
    frame.insert(0, "row", [f"row-{number}" for number in range(len(frame))])
    frame.insert(1, "row_number", np.arange(len(frame)))
    frame.to_csv(target, index=False)
    return target


def peers(X: pd.DataFrame, codes: np.ndarray, n_train: int) -> dict[str, tuple[Any, Any]]:
    """List the peers with the form of the attributes that each takes."""
    text = X.copy()
    for name in text.columns:
        if not pd.api.types.is_numeric_dtype(text[name].dtype):
            text[name] = text[name].astype("object").where(text[name].notna(), "missing").map(str)
    numeric = [name for name in text.columns if pd.api.types.is_numeric_dtype(text[name].dtype)]
    plain = text.copy()
    plain[numeric] = plain[numeric].astype("float64")
    from sklearn.compose import make_column_transformer

    one_hot = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numeric),
        remainder=OneHotEncoder(handle_unknown="ignore", min_frequency=20),
    )
    found: dict[str, tuple[Any, Any]] = {
        "one-hot logistic": (make_pipeline(one_hot, LogisticRegression(max_iter=2000)), plain),
        "HistGradientBoosting, defaults": (HistGradientBoostingClassifier(random_state=0), codes),
        "the same in CalibratedClassifierCV": (
            CalibratedClassifierCV(HistGradientBoostingClassifier(random_state=0), cv=5),
            codes,
        ),
        "random forest": (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value=-999.0, keep_empty_features=True),
                RandomForestClassifier(300, min_samples_leaf=5, random_state=0),
            ),
            codes,
        ),
    }
    if importlib.util.find_spec("interpret") and n_train <= 10_000:
        from interpret.glassbox import ExplainableBoostingClassifier

        ebm = ExplainableBoostingClassifier(feature_types=["continuous"] * codes.shape[1], n_jobs=1)
        found["explainable boosting machine"] = (ebm, codes)
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMClassifier

        found["LightGBM, defaults"] = (LGBMClassifier(verbose=-1, random_state=0), codes)
    if importlib.util.find_spec("xgboost"):
        from xgboost import XGBClassifier

        found["XGBoost, defaults"] = (XGBClassifier(random_state=0), codes)
    if importlib.util.find_spec("optbinning"):
        from optbinning import BinningProcess

        texts = [name for name in plain.columns if name not in numeric]
        binned = BinningProcess(list(plain.columns), categorical_variables=texts)
        found["optbinning scorecard"] = (make_pipeline(binned, LogisticRegression(max_iter=2000)), plain)
    return found


def judge(name: str, y: np.ndarray, p: np.ndarray, seconds: float) -> dict[str, Any]:
    """Judge one predictor on the later leads."""
    auc, low, high = roc_auc_interval(y, p)
    line = calibration_line(y, p)
    return {
        "predictor": name,
        "AUC": f"{auc:.3f} ({low:.3f} to {high:.3f})",
        "average precision": f"{average_precision(y, p):.3f}",
        "log loss": f"{log_loss(y, p):.4f}",
        "Brier": f"{brier_score(y, p):.4f}",
        "slope": "–" if np.isnan(line.slope) else f"{line.slope:.2f}",
        "expected": f"{100 * line.expected:.1f} %",
        "s": f"{seconds:.1f}",
    }


def tell_level(model: TrainedModel) -> str:
    """Say whether leadml noticed that the level moved, and what it does about it, both ways."""
    level = model.level
    told = (
        f"{100 * level.expected:.1f} % expected, {100 * level.observed:.1f} % came (p = {level.p_value:.1g})."
    )
    if not level.shifted:
        return f"Level kept: {told}"
    return (
        f"Level moved: {told} Intercept recalibrated on the first {level.n_first:,} of the later leads: log "
        f"loss of the {level.n_second:,} after them {level.log_loss_recalibrated:.4f} instead of "
        f"{level.log_loss_trained:.4f} as trained. New leads are scored with {level.offset:+.2f} on the "
        f"log-odds ({level.ci_low:+.2f} to {level.ci_high:+.2f}); the table shows the model as trained. "
        f"Without labels, prior correction by EM would say {100 * level.prevalence_unsupervised:.1f} %: "
        "shown, never used."
    )


def run(real: RealSet, folder: Path) -> str:
    """Train on one data set and give its part of the table as Markdown."""
    table = read_leads(load_contract(CONTRACTS / f"{real.contract}.yaml"), leads=prepare(real, folder))
    targets = compute_targets(table)
    split = split_periods(table, targets, target=real.target, n_confirm=real.n_confirm)
    definition = load_definition(DEFINITIONS / f"{real.definition}.yaml") if real.definition else None
    start = time.process_time()
    model = train_model(table, targets, target=real.target, definition=definition, split=split)
    seconds = time.process_time() - start
    if not isinstance(model, TrainedModel):
        return f"### {real.name}\n\n{model.reason}\n"
    y, p = (model.holdout[name].to_numpy() for name in ("y_true", "y_prob"))
    rows = [judge(f"**leadml** ({model.candidate}; calibration: {model.calibrator.method})", y, p, seconds)]
    note = tell_level(model)
    baselines = model.to_frame().set_index("predictor")
    train = np.flatnonzero(labelled_rows(targets, target=real.target, part=split.discover))
    everything = compute_features(table.frame, model.features, clock=model.clock)
    codes = model.pipeline["encode"].transform(everything)
    places = table.frame.index.get_indexer(model.holdout.index)
    y_train = targets[real.target].to_numpy(dtype=float)[train]
    for name in ("constant", "definition", "naive Bayes"):
        if name in baselines.index:
            row = baselines.loc[name]
            rows.append(
                {
                    "predictor": name,
                    "AUC": f"{row['auc']:.3f} ({row['auc_low']:.3f} to {row['auc_high']:.3f})",
                    "average precision": f"{row['average_precision']:.3f}",
                    "log loss": f"{row['log_loss']:.4f}",
                    "Brier": f"{row['brier']:.4f}",
                    "slope": "–" if np.isnan(row["calibration_slope"]) else f"{row['calibration_slope']:.2f}",
                    "expected": "",
                    "s": "",
                }
            )
    for name, (peer, X) in peers(everything, codes, train.size).items():
        pick = X.iloc if isinstance(X, pd.DataFrame) else X
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = peer.fit(pick[train], y_train)
            q = fitted.predict_proba(pick[places])[:, 1]
        rows.append(judge(name, y, q, time.process_time() - start))
    m = model.evaluation.metrics
    head = (
        f"### {real.name}\n\n{model.evaluation.verdict}: {model.evaluation.reason} "
        f"{m['n_train']:,.0f} earlier leads, {m['n_test']:,.0f} later ones. {note}"
        + (f" Level quoted for honest attributes out of time: {real.quoted}." if real.quoted else "")
    )
    return f"{head}\n\n{to_markdown(rows)}\n"


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """Lay out rows as a Markdown table."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Run the sets that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", help="contract names; all without one")
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    parser.add_argument("--prepare", action="store_true", help="only write what the experiments read")
    arguments = parser.parse_args()
    if arguments.prepare:
        PREPARED.mkdir(exist_ok=True)
        for real in SETS:
            if (DATA / real.needs).exists() and (path := prepare(real, PREPARED)):
                print(path.relative_to(ROOT))
        return
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for real in SETS:
            if arguments.sets and real.contract not in arguments.sets:
                continue
            if not (DATA / real.needs).exists():
                parts.append(f"### {real.name}\n\nnot on this machine (set LEADML_SHARED_DATA)\n")
            else:
                parts.append(run(real, Path(folder)))
            print(parts[-1], flush=True)
    if arguments.output:
        arguments.output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Cost of scoring on Spark against the number of leads and of parts, beside the local path in the same run.

Run from the project's root: ``python experiments/benchmarks/scoring_spark.py [n ...] [--parts 1 --parts 4]``
(extra ``spark``, Java 17). A local Spark with two workers; wall seconds, after one small job that starts
the workers. Every line is checked: the bytes are those of the local path.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("LEADML_SPARK_MASTER", "local[2]")

from leadml.leads import compute_targets, load_contract, read_leads, split_periods, write_synthetic_leads
from leadml.models import train_model, write_bundle
from leadml.scoring import score_leads
from leadml.scoring._spark import spark_session


def prepare(folder: Path, n: int) -> dict[str, Path]:
    """Write generated leads; train on the smallest set only."""
    files = write_synthetic_leads(folder, n_leads=n, random_state=0)
    return {"contract": files.contract_path, "definition": files.definition_path}


def main() -> None:
    """Score each size locally and on Spark with each number of parts; print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[50_000, 200_000, 800_000])
    parser.add_argument("--parts", action="append", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, spark_session() as spark:
        spark.sparkContext.setLogLevel("ERROR")
        small = prepare(Path(place, "small"), 5_000)
        contract = load_contract(small["contract"])
        table = read_leads(contract)
        targets = compute_targets(table)
        model = train_model(
            table, targets, target="won", definition=None, split=split_periods(table, targets, target="won")
        )
        bundle = Path(place, "won.leadml-bundle")
        write_bundle({"won": model}, bundle, definition=None, contract=contract)

        def run(paths: dict[str, Path], **options: object) -> tuple[float, str]:
            began = time.perf_counter()
            manifest = score_leads(
                paths["contract"],
                definition=paths["definition"],
                bundle=bundle,
                output=Path(place, "scores.csv"),
                drift="flag",
                **options,
            )
            return time.perf_counter() - began, manifest.output_sha256

        run(small, engine="spark", n_parts=2)
        print("| leads | engine | parts | wall s | leads per s |")
        print("|---|---|---|---|---|")
        for n in given.sizes:
            paths = prepare(Path(place, str(n)), n)
            seconds, expected = run(paths)
            print(f"| {n:,} | local | – | {seconds:.1f} | {n / seconds:,.0f} |", flush=True)
            for parts in given.parts or [1, 2, 4, 8]:
                seconds, found = run(paths, engine="spark", n_parts=parts)
                assert found == expected
                print(f"| {n:,} | spark | {parts} | {seconds:.1f} | {n / seconds:,.0f} |", flush=True)


if __name__ == "__main__":
    main()

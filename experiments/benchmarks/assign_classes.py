"""How fast leads get their class: leadml against what an analyst would write by hand, in one run.

Usage: python experiments/benchmarks/assign_classes.py [--n-leads 10000000] [--repeats 5]

Every peer gets the same leads in memory and must give every lead the same class. The limit is the time to
read the bytes of the columns once (a sum over each). Converting a frame to arrays is counted on its own.
CPU seconds are medians; the ratio to the read limit is what compares between machines.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd

from leadml.definitions import assign_classes, compile_sql, parse_definition
from leadml.definitions._columns import Columns, open_columns
from leadml.definitions._evaluate import class_codes

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = """\
name: benchmark
version: 1
attributes:
  months: {type: number, unit: months}
  budget: {type: ordinal, levels: [none, exploring, requested, approved]}
  title: {type: ordinal, levels: [staff, manager, director, vp, c_level]}
  industry: {type: category, levels: [software, manufacturing, public]}
  employees: {type: number, unit: people}
  views: {type: number, unit: views}
  demo: {type: boolean}
classes:
  - name: hot
    all_of: [months <= 6, budget >= requested, {any_of: [title >= director, demo, views >= 20]}]
  - name: medium
    at_least: 2
    of: [months <= 12 or missing, employees between 50 and 500, 'industry in [software, manufacturing]']
  - name: cold
    otherwise: true
handoff: [hot]
"""
LEVELS = {
    "budget": ["none", "exploring", "requested", "approved"],
    "title": ["staff", "manager", "director", "vp", "c_level"],
    "industry": ["software", "manufacturing", "public"],
}


def make_leads(n_leads: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {}
    for name, high in (("months", 24), ("employees", 2000), ("views", 60)):
        values = rng.integers(0, high, n_leads).astype(np.float64)
        values[rng.random(n_leads) < 0.1] = np.nan
        columns[name] = values
    for name, levels in LEVELS.items():
        codes = rng.integers(-1, len(levels), n_leads).astype(np.int8)
        columns[name] = pd.Categorical.from_codes(codes, levels)
    columns["demo"] = rng.random(n_leads) < 0.3
    return pd.DataFrame(columns)


def read_limit(leads: pd.DataFrame) -> None:
    for name in leads:
        column = leads[name]
        (column.cat.codes if name in LEVELS else column).to_numpy().view(np.uint8).max()


def by_pandas(leads: pd.DataFrame) -> pd.Series:
    hot = (leads["months"] <= 6) & leads["budget"].isin(["requested", "approved"])
    hot &= leads["title"].isin(["director", "vp", "c_level"]) | leads["demo"] | (leads["views"] >= 20)
    met = ((leads["months"] <= 12) | leads["months"].isna()).astype(int)
    met += leads["employees"].between(50, 500).astype(int)
    met += leads["industry"].isin(["software", "manufacturing"]).astype(int)
    return pd.Series(np.select([hot, met >= 2], ["hot", "medium"], "cold"), index=leads.index)


def by_polars(leads: object) -> object:
    import polars as pl

    col = pl.col
    hot = (col("months") <= 6) & col("budget").is_in(["requested", "approved"])
    hot &= col("title").is_in(["director", "vp", "c_level"]) | col("demo") | (col("views") >= 20)
    met = ((col("months") <= 12) | col("months").is_null()).fill_null(value=False).cast(pl.Int8)
    met += col("employees").is_between(50, 500).fill_null(value=False).cast(pl.Int8)
    met += col("industry").is_in(["software", "manufacturing"]).fill_null(value=False).cast(pl.Int8)
    chosen = pl.when(hot).then(pl.lit("hot")).when(met >= 2).then(pl.lit("medium")).otherwise(pl.lit("cold"))
    return leads.select(chosen.alias("lead_class"))  # type: ignore[attr-defined]


def measure(work: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-leads", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    definition = parse_definition(TEXT)
    leads = make_leads(options.n_leads)
    expected = assign_classes(definition, leads)
    small = leads.head(20_000)
    columns = open_columns(definition, leads, criteria=definition.criteria())
    names = np.array([item.name for item in definition.classes])

    def check(name: str, found: object) -> None:
        if list(found) != expected.head(len(small)).tolist():  # type: ignore[call-overload]
            sys.exit(f"{name} gives other classes")

    rows: list[tuple[str, float]] = []

    def add(name: str, work: Callable[[], object]) -> None:
        rows.append((name, measure(work, options.repeats)))

    def opened(frame: pd.DataFrame) -> Columns:
        return open_columns(definition, frame, criteria=definition.criteria())

    add("read every byte once (the limit)", lambda: read_limit(leads))
    add("leadml: frame to arrays", lambda: opened(leads))
    check("leadml", names[class_codes(definition, opened(small))])
    add("leadml: classes", lambda: class_codes(definition, columns))
    add("leadml: assign_classes, all in", lambda: assign_classes(definition, leads))
    check("pandas", by_pandas(small))
    add("pandas, vectorised by hand", lambda: by_pandas(leads))
    try:
        import polars as pl

        frame = pl.from_pandas(leads)
        check("polars", by_polars(frame.head(20_000))["lead_class"])  # type: ignore[index]
        add("polars", lambda: by_polars(frame))
    except ImportError:
        print("polars is not installed: left out")
    try:
        import duckdb
        import pyarrow as pa

        query = compile_sql(definition)
        with duckdb.connect() as connection:
            table = pa.Table.from_pandas(leads)
            connection.register("leads", table)
            counted = f"SELECT lead_class, count(*) FROM ({query}) GROUP BY 1"
            found = dict(connection.execute(counted).fetchall())
            if found != expected.value_counts().to_dict():
                sys.exit("duckdb gives other classes")
            only = compile_sql(definition, columns=["views"])
            add("DuckDB over Arrow (compiled SQL)", lambda: connection.execute(only).fetchnumpy())
    except ImportError:
        print("duckdb is not installed: left out")
    part = leads.head(min(len(leads), 20_000))
    apply = measure(lambda: part.apply(_one_row, axis=1), 1) * len(leads) / len(part)
    rows.append((f"DataFrame.apply (from {len(part):,} rows)", apply))
    limit = rows[0][1]

    print(f"{options.n_leads:,} leads, 8 criteria, 3 classes; CPU seconds, median of {options.repeats}")
    for name, seconds in rows:
        print(f"  {name:42s} {seconds:9.3f} s   {seconds / limit:9.1f} x read")


def _one_row(row: pd.Series) -> str:
    hot = row["months"] <= 6 and row["budget"] in {"requested", "approved"}
    if hot and (row["title"] in {"director", "vp", "c_level"} or row["demo"] or row["views"] >= 20):
        return "hot"
    met = (not row["months"] > 12) + (50 <= row["employees"] <= 500)
    return "medium" if met + (row["industry"] in {"software", "manufacturing"}) >= 2 else "cold"


if __name__ == "__main__":
    main()

"""How fast leads get their class: leadml against what an analyst would write by hand, in one run.

Usage: python experiments/benchmarks/assign_classes.py [--n-leads 10000000] [--repeats 5] [--output FILE]

Every peer gets the same leads in memory and must give every lead the same class. The limit is the time to
read the bytes of the columns once (a sum over each). Converting a frame to arrays is counted on its own.
CPU seconds are medians; the ratio to the read limit is what compares between machines. Rule engines that
take one lead at a time (zen-engine, business-rules, durable-rules: installed by hand, left out where they are
not) and `DataFrame.apply` see fewer rows; their seconds are for those rows, their ratio is per row.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import logging
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


_ZEN = {
    "hot": "months != null and months <= 6 and budget in ['requested', 'approved'] and "
    "(title in ['director', 'vp', 'c_level'] or demo or (views != null and views >= 20))",
    "medium": "((months == null or months <= 12) ? 1 : 0)"
    " + ((employees != null and employees >= 50 and employees <= 500) ? 1 : 0)"
    " + (industry in ['software', 'manufacturing'] ? 1 : 0) >= 2",
}


def by_zen() -> Callable[[list[dict[str, Any]]], list[str]]:
    zen = importlib.import_module("zen")
    chosen = f"({_ZEN['hot']}) ? 'hot' : (({_ZEN['medium']}) ? 'medium' : 'cold')"
    place = {"x": 0, "y": 0}
    content = {"expressions": [{"id": "e", "key": "lead_class", "value": chosen}]}
    graph = {
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "position": place},
            {"id": "rule", "name": "rule", "type": "expressionNode", "position": place, "content": content},
            {"id": "out", "name": "out", "type": "outputNode", "position": place},
        ],
        "edges": [
            {"id": "a", "sourceId": "in", "targetId": "rule", "type": "edge"},
            {"id": "b", "sourceId": "rule", "targetId": "out", "type": "edge"},
        ],
    }
    decision = zen.ZenEngine().create_decision(json.dumps(graph))
    return lambda rows: [decision.evaluate(row)["result"]["lead_class"] for row in rows]


def by_business_rules() -> Callable[[list[dict[str, Any]]], list[str]]:
    engine = importlib.import_module("business_rules.engine")
    actions = importlib.import_module("business_rules.actions")
    fields = importlib.import_module("business_rules.fields")
    variables = importlib.import_module("business_rules.variables")

    def number(name: str) -> Any:
        def read(self: Any) -> float:
            value = self.row[name]
            return -1.0 if value is None else float(value)

        read.__name__ = name
        return variables.numeric_rule_variable(read)

    def text(name: str) -> Any:
        def read(self: Any) -> str:
            return self.row[name] or ""

        read.__name__ = name
        return variables.string_rule_variable(read)

    def remember(self: Any, row: dict[str, Any]) -> None:
        self.row = row

    def choose(self: Any, name: str) -> None:
        self.chosen = name

    members: dict[str, Any] = {name: number(name) for name in ("months", "employees", "views", "demo")}
    members |= {name: text(name) for name in LEVELS}
    lead = type("Lead", (variables.BaseVariables,), {"__init__": remember, **members})
    params = {"params": {"name": fields.FIELD_TEXT}}
    result = type("Result", (actions.BaseActions,), {"choose": actions.rule_action(**params)(choose)})

    def test(name: str, operator: str, value: object) -> dict[str, object]:
        return {"name": name, "operator": operator, "value": value}

    def one_of(name: str, *levels: str) -> dict[str, object]:
        return {"any": [test(name, "equal_to", level) for level in levels]}

    soon = {
        "all": [test("months", "greater_than_or_equal_to", 0), test("months", "less_than_or_equal_to", 6)]
    }
    senior = one_of("title", "director", "vp", "c_level")
    engaged = {"any": [senior, test("demo", "equal_to", 1), test("views", "greater_than_or_equal_to", 20)]}
    year = test("months", "less_than_or_equal_to", 12)  # a missing value is -1
    sized = {
        "all": [
            test("employees", "greater_than_or_equal_to", 50),
            test("employees", "less_than_or_equal_to", 500),
        ]
    }
    branch = one_of("industry", "software", "manufacturing")
    two = {"any": [{"all": [year, sized]}, {"all": [year, branch]}, {"all": [sized, branch]}]}
    rules = {"hot": {"all": [soon, one_of("budget", "requested", "approved"), engaged]}, "medium": two}
    written = [
        {"conditions": conditions, "actions": [{"name": "choose", "params": {"name": name}}]}
        for name, conditions in rules.items()
    ]

    def run(rows: list[dict[str, Any]]) -> list[str]:
        found = []
        for row in rows:
            chosen = result()
            engine.run_all(written, lead(row), chosen, stop_on_first_trigger=True)
            found.append(getattr(chosen, "chosen", "cold"))
        return found

    return run


def by_durable() -> Callable[[list[dict[str, Any]]], list[str]]:
    lang = importlib.import_module("durable.lang")
    logging.getLogger("durable").setLevel(logging.ERROR)
    found: list[str] = []
    m = lang.m

    def one_of(name: str, *levels: str) -> Any:
        test = getattr(m, name) == levels[0]
        for level in levels[1:]:
            test |= getattr(m, name) == level
        return test

    def say(name: str) -> Callable[[Any], None]:
        return lambda _: found.append(name)

    hot = (m.months >= 0) & (m.months <= 6) & one_of("budget", "requested", "approved")
    hot &= one_of("title", "director", "vp", "c_level") | (m.demo == 1) | (m.views >= 20)
    year, sized = m.months <= 12, (m.employees >= 50) & (m.employees <= 500)
    branch = one_of("industry", "software", "manufacturing")
    medium = (year & sized) | (year & branch) | (sized & branch)
    with lang.ruleset("leads"):
        lang.when_all(lang.pri(1), hot)(say("hot"))
        lang.when_all(lang.pri(2), medium)(say("medium"))
        lang.when_all(lang.pri(3), +m.lead)(say("cold"))

    def run(rows: list[dict[str, Any]]) -> list[str]:
        chosen = []
        for number, row in enumerate(rows):
            found.clear()
            values = {key: -1 if value is None else value for key, value in row.items()}
            lang.post("leads", {**values, "demo": int(row["demo"]), "lead": number})
            chosen.append(found[0])
        return chosen

    return run


ENGINES = {"zen-engine": by_zen, "business-rules": by_business_rules, "durable-rules": by_durable}


def as_records(leads: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in leads.astype(object).to_dict("records")
    ]


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
    parser.add_argument("--n-engine", type=int, default=5_000, help="rows for engines of single leads")
    parser.add_argument("--output", type=Path, help="write the figures there as CSV")
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

    rows: list[tuple[str, int, float]] = []

    def add(name: str, work: Callable[[], object], *, n: int = options.n_leads) -> None:
        rows.append((name, n, measure(work, options.repeats)))

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
    part = leads.head(20_000)
    add("DataFrame.apply", lambda: part.apply(_one_row, axis=1), n=len(part))
    records = as_records(leads.head(options.n_engine))
    for name, build in ENGINES.items():
        try:
            run = build()
        except ImportError:
            print(f"{name} is not installed: left out")
            continue
        if run(records) != expected.head(len(records)).tolist():
            sys.exit(f"{name} gives other classes")
        add(name, lambda run=run: run(records), n=len(records))  # type: ignore[misc]
    report(rows, options)


def report(rows: list[tuple[str, int, float]], options: argparse.Namespace) -> None:
    limit = rows[0][2] / rows[0][1]

    print(f"{options.n_leads:,} leads, 8 criteria, 3 classes; CPU seconds, median of {options.repeats}")
    table = [(name, n, seconds, seconds / n / limit) for name, n, seconds in rows]
    for name, n, seconds, ratio in table:
        print(f"  {name:36s} {n:12,} rows {seconds:9.3f} s  {ratio:12.1f} x read per row")
    if options.output is not None:
        with options.output.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["peer", "rows", "cpu_seconds", "times_read_per_row"])
            writer.writerows([name, n, f"{seconds:.4f}", f"{ratio:.1f}"] for name, n, seconds, ratio in table)


def _one_row(row: pd.Series) -> str:
    hot = row["months"] <= 6 and row["budget"] in {"requested", "approved"}
    if hot and (row["title"] in {"director", "vp", "c_level"} or row["demo"] or row["views"] >= 20):
        return "hot"
    met = (not row["months"] > 12) + (50 <= row["employees"] <= 500)
    return "medium" if met + (row["industry"] in {"software", "manufacturing"}) >= 2 else "cold"


if __name__ == "__main__":
    main()

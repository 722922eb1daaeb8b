"""How fast the what-if answers, by the number of leads behind it: a turn of a slider in Chromium.

    python experiments/benchmarks/what_if_page.py [--n-leads 12000 1000000]

For each number of generated leads: groups of leads in the page, size of the page, seconds to count them, and
the milliseconds from a slider's event to the numbers on the page (median and slowest of all positions of all
sliders). "widest" is the first page with as many groups as a page may hold.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from playwright.sync_api import sync_playwright

from leadml.definitions import parse_definition
from leadml.leads import DEMO_DEFINITION, compute_targets, generate_leads
from leadml.review import build_what_if
from leadml.review._whatif import MAX_CELLS

TURNS = """() => {
  const times = [];
  for (const slider of document.querySelectorAll('#what-if input[type=range]')) {
    for (let at = +slider.min; at <= +slider.max; at++) {
      slider.value = at;
      const begin = performance.now();
      slider.dispatchEvent(new Event('input'));
      times.push(performance.now() - begin);
    }
  }
  return times;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-leads", type=int, nargs="+", default=[12_000, 1_000_000])
    wanted = parser.parse_args()
    print("| leads | groups | page | counting | a turn, median | slowest |\n|---|---|---|---|---|---|")
    for n_leads in wanted.n_leads:
        what_if, seconds = count(n_leads)
        report(f"{n_leads:,}", what_if, f"{seconds:.1f} s")
    cells = what_if.cells
    repeats = -(-MAX_CELLS // len(cells))
    report("widest", replace(what_if, cells=pd.concat([cells] * repeats).head(MAX_CELLS)), "–")


def report(name, what_if, counting):
    times, size = turn(what_if)
    print(
        f"| {name} | {len(what_if.cells):,} | {size / 1e6:.2f} MB | {counting} "
        f"| {statistics.median(times):.0f} ms | {max(times):.0f} ms |"
    )


def count(n_leads: int):
    table, _ = generate_leads(n_leads)
    run = SimpleNamespace(
        definition=parse_definition(DEMO_DEFINITION),
        table=table,
        targets=compute_targets(table),
        comparison=SimpleNamespace(months=15.0),
        proposals=None,
        experiment=SimpleNamespace(),
    )
    begin = time.perf_counter()
    what_if = build_what_if(run)
    return what_if, time.perf_counter() - begin


def turn(what_if):
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "page.html"
        path.write_text(what_if.to_page(), "utf-8")
        quiet = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
        ]
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=quiet)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        times = page.evaluate(TURNS)
        browser.close()
        return times, path.stat().st_size


if __name__ == "__main__":
    main()

"""Run a study or a benchmark and keep its figures in MLflow.

Usage: python experiments/track.py DIR SCRIPT [ARG ...]

for example ``python experiments/track.py leadml-runs experiments/studies/rep_strictness.py --reps 40``. DIR
gets the store (SQLite and artifacts) unless MLFLOW_TRACKING_URI names another. Every number in a table that
the script prints becomes a metric, named by its row and column; the whole output is an artifact, the
arguments are parameters. The script prints and ends as it does on its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from leadml.tracking import (
    Artifact,
    Item,
    close_tracking,
    find_git_commit,
    metric_items,
    open_tracking,
    params_item,
    tracked_run,
    version_items,
)

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_LONGEST_NAME = 200


def read_tables(text: str) -> list[list[list[str]]]:
    """Find the Markdown tables of a text: the head, then the rows."""
    tables: list[list[list[str]]] = []
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if not re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+", line.strip()) or not place:
            continue
        rows = [cut_row(lines[place - 1])]
        for later in lines[place + 1 :]:
            if not later.startswith("|"):
                break
            rows.append(cut_row(later))
        tables.append(rows)
    return tables


def cut_row(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_figures(text: str) -> dict[str, float]:
    """Name every number of the tables by its row and column; a cell may hold several, in order."""
    found: dict[str, float] = {}
    for number, (head, *rows) in enumerate(read_tables(text), 1):
        keys = count_keys(rows)
        for row in rows:
            for title, cell in zip(head[keys:], row[keys:], strict=False):
                numbers = _NUMBER.findall(cell)
                for place, told in enumerate(numbers, 1):
                    ending = f" {place}" if len(numbers) > 1 else ""
                    name = " . ".join((f"table {number}", *row[:keys], title))
                    found[name[:_LONGEST_NAME] + ending] = float(told.replace(",", ""))
    return found


def count_keys(rows: list[list[str]]) -> int:
    """Count the first cells that are needed to tell the rows apart."""
    width = min(len(row) for row in rows) if rows else 1
    for keys in range(1, width):
        if len({tuple(row[:keys]) for row in rows}) == len(rows):
            return keys
    return 1


def run_script(command: list[str]) -> tuple[str, int]:
    """Run a script, pass on what it prints, and give that and its exit code."""
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as job:
        for line in job.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    return "".join(lines), job.returncode


def make_items(script: Path, arguments: list[str], text: str) -> list[Item]:
    """Turn what a script printed into items for the tracking store."""
    return [
        params_item({"script": script.name, "arguments": " ".join(arguments)}),
        *version_items(random_state=None, git_commit=find_git_commit(Path(__file__).parent)),
        *metric_items(read_figures(text)),
        Artifact(name=f"{script.stem}.md", content=text),
    ]


def main(given: list[str]) -> int:
    if len(given) < 2 or given[0].startswith("-"):
        print(__doc__)
        return 0 if given[:1] in (["-h"], ["--help"]) else 64
    folder, script, arguments = Path(given[0]), Path(given[1]), given[2:]
    if not script.is_file():
        print(f"{script}: there is no such script.", file=sys.stderr)
        return 66
    text, code = run_script([str(script), *arguments])
    if code:
        return code
    tracking = open_tracking(experiment_name="leadml/studies", folder=folder)
    with tracked_run(tracking, make_items(script, arguments, text), name=script.stem, kind="study"):
        pass
    print(close_tracking(tracking), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

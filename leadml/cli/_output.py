"""What every command shares: its options, its progress bar, its JSON."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadml.errors import LeadmlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leadml.experiment import Experiment
    from leadml.leads import Manifest
    from leadml.scoring import ScoreManifest

__all__ = [
    "AsOf",
    "ContractFile",
    "ContractOption",
    "DefinitionFile",
    "DefinitionOption",
    "Json",
    "Leads",
    "RandomState",
    "Ratings",
    "RatingsKey",
    "UsageError",
    "as_day",
    "finish",
    "load_asked",
    "print_json",
    "print_line",
    "progress_bar",
    "row_counter",
]

FOUND = 1
QUARANTINED = 3


class UsageError(LeadmlError):
    """An option has a value that it cannot have."""

    exit_code = 64


DefinitionFile = Annotated[
    Path, typer.Argument(metavar="DEFINITION", help="The written definition (YAML).", show_default=False)
]
ContractFile = Annotated[
    Path,
    typer.Argument(metavar="CONTRACT", help="The leads contract: what the export's columns are (YAML)."),
]
ContractOption = Annotated[
    Path,
    typer.Option("--contract", metavar="CONTRACT", help="The leads contract (YAML).", show_default=False),
]
DefinitionOption = Annotated[
    Path,
    typer.Option(
        "--definition", metavar="DEFINITION", help="The written definition (YAML).", show_default=False
    ),
]
Leads = Annotated[  # text: a path would make sqlite:/x of sqlite:///x
    str | None,
    typer.Option(
        "--leads", metavar="FILE", help="An export (or URL#TABLE) that replaces the contract's first table."
    ),
]
Ratings = Annotated[
    list[Path] | None,
    typer.Option("--ratings", metavar="SHEET", help="A filled rating sheet; repeat it. Needs --key."),
]
RatingsKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The key of the rating sheets.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="Day of the export (YYYY-MM-DD) [default: newest in it]."),
]
RandomState = Annotated[
    int, typer.Option("--random-state", metavar="N", min=0, help="Seed of everything random.")
]


def as_day(text: str | None, *, option: str = "--as-of") -> date | None:
    """Read a day such as 2026-07-01."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option}: expected a day such as 2026-07-01, got {text!r}.") from error


def load_asked(
    path: Path,
    *,
    leads: str | None,
    as_of: str | None,
    ratings: list[Path] | None,
    key: Path | None,
    random_state: int | None = None,
) -> Experiment:
    """Read an experiment file; what was asked for on the command line goes before what stands in it."""
    from leadml.experiment import load_experiment

    if bool(ratings) != (key is not None):
        raise UsageError("--ratings, --key: expected both or neither.")
    loaded = load_experiment(path)
    return replace(
        loaded,
        leads=leads or loaded.leads,
        as_of=as_day(as_of) or loaded.as_of,
        ratings=tuple(ratings or loaded.ratings),
        ratings_key=key or loaded.ratings_key,
        random_state=loaded.random_state if random_state is None else random_state,
    )


def print_json(value: Any) -> None:
    """Print one JSON document: keys in order, no NaN."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def print_line(value: Any) -> None:
    """Print JSON as one line of a log."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str))


def finish(*, found: int = 0, rows: Manifest | ScoreManifest | None = None) -> None:
    """Leave with the exit code of what is done: 1 found, 3 quarantined rows in any table, else 0."""
    if found:
        raise typer.Exit(FOUND)
    others = getattr(rows, "other_tables", ())
    if rows is not None and rows.quarantined + sum(table.quarantined for table in others):
        raise typer.Exit(QUARANTINED)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield `report(step, done, total)`, drawn to stderr on a terminal and silent elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _step, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total or None)

        yield report


@contextmanager
def row_counter(step: str) -> Iterator[Callable[[int], None]]:
    """Yield `report(n_rows)` for work whose end is not known: rows done so far, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _rows: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(step, total=None)

        def report(rows: int) -> None:
            bar.update(task, description=f"{step}: {rows:,} rows")

        yield report

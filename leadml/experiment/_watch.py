"""Between two reviews: read the newest leads, watch the champion, keep the look in MLflow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leadml._render import format_count, format_rate, format_rate_range
from leadml.definitions import load_definition
from leadml.errors import LeadsError
from leadml.experiment._explore import read_promised
from leadml.leads import compute_targets, load_contract, read_leads, split_periods
from leadml.models import load_bundle
from leadml.monitor import build_monitor_page, load_promise, monitor_definition
from leadml.propose import audit_adopted
from leadml.review import find_history, list_versions
from leadml.tracking import (
    Artifact,
    close_tracking,
    data_items,
    definition_items,
    metric_items,
    open_tracking,
    params_item,
    tag_items,
    tracked_run,
)

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from leadml.definitions import Definition
    from leadml.leads import LeadTable
    from leadml.monitor import MonitorReport
    from leadml.propose import AdoptionAudit
    from leadml.tracking import Item, TrackingReport

__all__ = ["record_look", "watch_definition"]


def watch_definition(
    definition: Path | str,
    contract: Path | str,
    *,
    leads: Path | str | None = None,
    bundle: Path | str | None = None,
    promise: Path | str | None = None,
    since: date | None = None,
    as_of: date | None = None,
    error_rate: float = 0.05,
    random_state: int = 0,
) -> MonitorReport:
    """Watch a definition in force on the newest leads; see `leadml.monitor.monitor_definition`.

    Parameters
    ----------
    definition, contract : path-like
        The definition in force and how its leads are read.
    leads : path-like or URL, optional
        An export that replaces the contract's first table.
    bundle : path-like, optional
        Its models; without them calibration and expected rates are left out.
    promise : path-like, optional
        What was promised when it was signed (`leadml.monitor.load_promise`). If the proposal of the same run
        lies beside it and the signed history says which version it replaced, the change in value that was
        promised is held against the fresh leads as well (`leadml.propose.audit_adopted`).
    since : date, optional
        First day of the definition; default: the day on which both sides had signed it, as its history
        beside it says (a later ``effective_from`` counts), else its ``effective_from``.
    as_of : date, optional
        The day of the export.
    error_rate : float, default 0.05
        Chance of a false alarm in a year of weekly looks.
    random_state : int, default 0
        Seed.

    Returns
    -------
    MonitorReport

    Raises
    ------
    LeadsError
        If the export holds no lead: silence is not a quiet week.
    SignatureError
        If the history was altered.
    """
    written = load_definition(definition)
    table = read_leads(load_contract(contract), leads=leads, as_of=as_of)
    if table.frame.empty:
        raise LeadsError(
            f"{leads or contract}: expected leads, got none that could be read. Nothing was watched; look at "
            "the export."
        )
    targets = compute_targets(table)
    report = monitor_definition(
        written,
        table,
        targets,
        models=None if bundle is None else load_bundle(bundle),
        promise=None if promise is None else load_promise(promise),
        since=since or _signed_on(written, definition),
        error_rate=error_rate,
        random_state=random_state,
    )
    adopted = None if promise is None else _audit(written, definition, promise, table, targets, report.since)
    return replace(report, adopted=adopted)


def _audit(
    written: Definition,
    path: Path | str,
    promise: Path | str,
    table: LeadTable,
    targets: pd.DataFrame,
    since: date | None,
) -> AdoptionAudit | None:
    """Hold the signed change against its promise; None if it is not known what it changed or promised."""
    proposals, history = Path(promise).parent / "proposals.json", find_history(path)
    if since is None or not proposals.exists() or not history.exists():
        return None
    held = [version for version in list_versions(history) if version.decision != "draft"]
    place = max((n for n, version in enumerate(held) if version.sha256 == written.sha256), default=0)
    before = held[place - 1].definition if place else None
    if before is None or held[place].decision != "adopted":
        return None
    promised, goal = read_promised(proposals)
    target: Literal["accepted", "won"] = "accepted" if goal.maximise == "accepted" else "won"
    return audit_adopted(
        before,
        written,
        table,
        targets,
        goal=goal,
        split=split_periods(table, targets, target=target),
        promised=promised,
        since=since,
    )


def _signed_on(written: Definition, path: Path | str) -> date | None:
    """Find the first day of a signed version; its text still names that of the version before it."""
    history = find_history(path)
    if not history.exists():
        return None
    held = [version.from_on for version in list_versions(history) if version.sha256 == written.sha256]
    return held[-1] if held else None


def record_look(
    report: MonitorReport,
    *,
    folder: Path | str,
    uri: str | None = None,
    definition: Path | str | None = None,
) -> TrackingReport:
    """Keep one look in MLflow: counts, the alarm, the page; no lead.

    Parameters
    ----------
    report : MonitorReport
        From `watch_definition`.
    folder : path-like
        Output folder whose store is used unless the environment names another.
    uri : str, optional
        The store, as in `leadml.tracking.open_tracking`.
    definition : path-like, optional
        The definition that was watched; its version in the registry then shows how it does.
    """
    tracking = open_tracking(uri, experiment_name=f"leadml/{report.definition}", folder=folder)
    counts = {"n_before": report.n_before, "n_since": report.n_since, "n_newest": report.n_newest}
    alarms = ", ".join(signal.name for signal in report.alarms)
    facts = {"version": report.version, "bundle": report.bundle, "as_of": report.as_of, "alarms": alarms}
    settings = {"since": report.since, "n_looks": report.n_looks, "error_rate": report.error_rate}
    items: list[Item] = [
        params_item(settings),
        *data_items(report.manifest, as_of=report.as_of),
        *metric_items({**counts, **report.to_metrics()}),
        *tag_items(facts),
        Artifact(name="monitor.html", content=build_monitor_page(report)),
        Artifact(name="monitor.json", content=json.dumps(report.to_dict(), indent=2, ensure_ascii=False)),
    ]
    if definition is not None:
        items += definition_items(load_definition(definition), alias=None, tags=_since(report))
    with tracked_run(tracking, items, name=f"look {report.look}", kind="monitor"):
        pass
    return close_tracking(tracking)


def _since(report: MonitorReport) -> dict[str, str]:
    """Say in the tags of a version how it has done since it came into force."""
    found = {
        "since.as_of": "not known" if report.as_of is None else str(report.as_of),
        "since.leads": format_count(report.n_since),
        "since.alarms": ", ".join(signal.name for signal in report.alarms) or "none",
    }
    for row in report.promises.to_dict("records"):
        ci_range = format_rate_range(row["ci_low"], row["ci_high"])
        found[f"since.{row['target']}"] = (
            f"{format_rate(row['rate'])} ({ci_range}, n = {format_count(row['n'])}): {row['verdict']}"
            if row["n"]
            else "not known yet"
        )
    return {name: value.replace("\N{NO-BREAK SPACE}", " ") for name, value in found.items()}

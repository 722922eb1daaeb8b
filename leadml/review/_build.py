"""Results of a run to the words of a review."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadml._render import format_count
from leadml.definitions import make_page
from leadml.review._changes import (
    describe_cautions,
    describe_change,
    describe_explore,
    describe_goals,
    describe_kept,
    describe_verdict,
    put_in_words,
    read_units,
)
from leadml.review._criteria import describe_criteria
from leadml.review._figures import say_few
from leadml.review._learned import (
    describe_crossings,
    describe_kept_word,
    describe_model,
    describe_predicted,
    describe_uses,
    find_dependences,
)
from leadml.review._parts import Parts
from leadml.review._sales import describe_followup, describe_recycled
from leadml.review._sides import (
    describe_disagreement,
    describe_quadrant,
    describe_raters,
    describe_reasons,
    describe_reps,
)
from leadml.review._today import (
    describe_classes,
    describe_hidden,
    describe_periods,
    describe_tiles,
    describe_today,
    describe_trend,
)
from leadml.review._words import say_plainly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from leadml.definitions import Definition
    from leadml.leads import AuditFinding
    from leadml.review._parts import Run

__all__ = ["build_parts"]

_NO_COLUMN = {"", "None", "nan", "<NA>"}
_NEWEST = 4
_REVIEW_EVERY = timedelta(days=91)


def build_parts(run: Run) -> Parts:
    """Put everything that a review says into words.

    Parameters
    ----------
    run : Run
        What one run of the loop found; stages that were not run are left out.

    Returns
    -------
    Parts
    """
    definition, comparison = run.definition, run.comparison
    found = run.proposals.to_dict() if run.proposals is not None else {}
    if found:
        found["attributes"] = definition.typed_attributes()
        found["texts"] = {criterion.address: criterion.text for criterion in definition.criteria()}
    units = read_units(definition, found)
    proposals = tuple(put_in_words(entry, units) for entry in found.get("proposals", ()))
    promising = tuple(put_in_words(entry, units) for entry in found.get("promising", ()))
    periods = describe_periods(run)
    as_of = run.table.as_of
    return Parts(
        title=definition.name,
        version=definition.version,
        question=run.experiment.question,
        meaning=definition.meaning,
        as_of=_day(as_of),
        verdict=describe_verdict(run, proposals, promising),
        cautions=describe_cautions(found),
        rules=make_page(definition).classes,
        today=describe_today(comparison),
        hidden=describe_hidden(comparison),
        tiles=describe_tiles(periods),
        periods=periods[:_NEWEST],
        trend=describe_trend(periods),
        classes=describe_classes(comparison, definition),
        disagreement=describe_disagreement(definition, comparison),
        quadrant=describe_quadrant(comparison),
        reasons=describe_reasons(run),
        reps=describe_reps(run),
        raters=describe_raters(run.ratings),
        proposals=proposals,
        promising=promising,
        kept=describe_kept(definition, found, units),
        explore=describe_explore(found, units),
        goals=describe_goals(found, units),
        criteria=describe_criteria(definition, comparison, found),
        predicted=describe_predicted(run),
        uses=describe_uses(run),
        crossings=describe_crossings(find_dependences(run)),
        kept_word=describe_kept_word(run),
        models=tuple(describe_model(target, model) for target, model in run.models.items()),
        rows=_rows(run),
        quarantine=_quarantine(run),
        audit=tuple((finding.severity, _say_finding(finding)) for finding in run.audit.findings),
        notes=tuple(
            say_plainly(note)
            for note in (
                *run.table.manifest.notices,
                *(comparison.notes if comparison is not None else ()),
                *dict.fromkeys(notice for model in run.models.values() for notice in model.notices),
            )
        ),
        followup=describe_followup(run),
        recycled=describe_recycled(run),
        owners=definition.owners,
        next_review=_next_review(definition, as_of),
        facts=_facts(run, found),
    )


# ---- data ----------------------------------------------------------------------------------------


def _rows(run: Run) -> tuple[tuple[str, str], ...]:
    manifest = run.table.manifest
    return (
        ("Rows read", format_count(manifest.read)),
        ("Leads kept", format_count(manifest.kept)),
        ("Put aside (damaged)", format_count(manifest.quarantined)),
        ("Duplicates", format_count(manifest.duplicates)),
    )


def _quarantine(run: Run) -> tuple[tuple[str, str], ...]:
    frame = run.table.quarantine
    counts = Counter(zip(map(str, frame["column"]), map(str, frame["rule"]), strict=True))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        (f"{'whole row' if column in _NO_COLUMN else column}: {rule.replace('_', ' ')}", say_few(n))
        for (column, rule), n in ordered[:8]
    )


def _say_finding(finding: AuditFinding) -> str:
    text = say_plainly(finding.message)
    named = finding.column is None or re.search(rf"\b{re.escape(finding.column)}\b", text)
    return text if named else f"{finding.column}: {text}"


def _next_review(definition: Definition, as_of: date | None) -> str:
    due = definition.review_by
    if as_of is None or _unknown(as_of):
        return due.isoformat() if due else ""
    if due is None or due <= as_of:
        text = (as_of + _REVIEW_EVERY).isoformat()
        return f"{text} (the date in the definition, {due.isoformat()}, has passed)" if due else text
    return due.isoformat()


def _facts(run: Run, found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    facts = [
        (
            "Definition",
            f"{run.definition.name} {run.definition.version}, sha256 {run.definition.sha256[:16]}",
        ),
        ("Leads", f"as of {_day(run.table.as_of)}, sha256 {run.table.manifest.data_sha256[:16]}"),
    ]
    if found.get("n_searched") is not None:
        facts.append(("Changes looked at", format_count(found["n_searched"])))
    windows = found.get("windows") or {}
    for name, key in (("Found on", "discover"), ("Confirmed on", "confirm")):
        if windows.get(key):
            facts.append((name, ", ".join(windows[key])))
    for entry in found.get("tested", ()):
        p_value = entry.get("p_adjusted")
        shown = f", adjusted p = {p_value:.2g}" if p_value is not None else ""
        facts.append(("Tested", f"{describe_change(entry)}: {entry.get('status') or ''}{shown}"))
    return tuple(facts)


def _day(day: date | None) -> str:
    return "an unknown day" if day is None or _unknown(day) else day.isoformat()


def _unknown(day: date) -> bool:
    """Leads whose order is known but not their dates carry the day on which computers began to count."""
    return day.year <= 1970

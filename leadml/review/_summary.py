"""The same words for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml._render import format_count, format_rate, text_block, text_table
from leadml.review._build import build_parts
from leadml.review._figures import SMALLEST_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadml.review._parts import Change, Parts, Run

__all__ = ["summarise_run"]

WIDTH = 100
_MAX_LEVELS = 5
_LEFT_TO_THE_PACKET = frozenset({"Wrong if", "Typical leads"})


def summarise_run(run: Run) -> str:
    """Summarise a run for a terminal of 100 columns.

    Parameters
    ----------
    run : Run
        What one run of the loop found; stages that were not run are left out.

    Returns
    -------
    str
        What the definition does today, what is proposed with its evidence, what is not and why.
    """
    parts = build_parts(run)
    blocks = [f"{parts.title} {parts.version}   ·   leads as of {parts.as_of}"]
    if parts.question:
        blocks.append(text_block(parts.question, width=WIDTH))
    blocks += list(_today(parts))
    blocks += list(_levels(run))
    blocks += list(_decisions(parts))
    blocks += list(_evidence(parts))
    return "\n\n".join(_plain(block) for block in blocks)


def _today(parts: Parts) -> Iterable[str]:
    if parts.today:
        yield _section("TODAY", [text_block(line, indent="  ", width=WIDTH) for line in parts.today])
    if parts.criteria:
        rows = []
        for line in parts.criteria:
            cells = [line.lead_class, line.written, line.passing]
            for _, inside, outside in line.rates:
                cells += [figure.text if figure.shown else "?" for figure in (inside, outside)]
            rows.append([*cells, *["–"] * (7 - len(cells)), line.verdict])
        header = ["class", "criterion", "leads", "accepted", "if not", "won", "if not", "verdict"]
        yield text_table(header, rows, align="llrrrrrl", width=WIDTH)


def _levels(run: Run) -> Iterable[str]:
    """Say which levels the labels tell apart, for attributes that criteria test by level."""
    if run.comparison is None:
        return
    lines = []
    frame = run.comparison.levels
    frame = frame[frame["n"] >= SMALLEST_GROUP]
    for (attribute, target), rows in frame.groupby(["attribute", "target"], sort=False):
        if len(rows) < 2:
            continue
        shown = [
            f"{level} {format_rate(rate)} of {format_count(n)}"
            for level, rate, n in zip(
                rows["level"].head(_MAX_LEVELS),
                rows["rate"].astype(float),
                rows["n"].astype(int),
                strict=False,
            )
        ]
        more = f", and {len(rows) - _MAX_LEVELS} more" if len(rows) > _MAX_LEVELS else ""
        words = "accepted" if target == "accepted" else "won"
        lines.append(
            text_block(f"- {attribute}, {words}: {', '.join(shown)}{more}", indent="  ", width=WIDTH)
        )
    if lines:
        yield _section("LEVEL BY LEVEL", lines)


def _decisions(parts: Parts) -> Iterable[str]:
    if parts.verdict:
        verdict = "One change is proposed:" if len(parts.proposals) == 1 else parts.verdict
        lines = [text_block(verdict, indent="  ", width=WIDTH)]
        for change in parts.proposals:
            lines += _change(change)
        if parts.proposals:
            caution = "Found on older leads, confirmed on newer ones; plan with the “at least”."
            lines.append(text_block(caution, indent="    ", width=WIDTH))
        lines += [text_block(note, indent="  ", width=WIDTH) for note in parts.cautions]
        yield _section("PROPOSED", lines)
    if parts.promising:
        yield _section("PROMISING, NOT SHOWN YET", [line for c in parts.promising for line in _change(c)])
    if parts.kept:
        lines = []
        for written, reason, detail in parts.kept:
            text = f"- {written}: {reason}" + (f" ({detail})" if detail else "")
            lines.append(text_block(text, indent="  ", width=WIDTH))
        yield _section("NOT PROPOSED, AND WHY", lines)
    if parts.explore:
        lines = [
            text_block(f"- {what}: {n} leads at random, {weeks}, {cost}", indent="  ", width=WIDTH)
            for what, n, weeks, cost in parts.explore
        ]
        yield _section("NOBODY CAN KNOW YET: TRY IT ON A FEW LEADS", lines)
    if parts.goals:
        lines = [text_block(f"- {line}", indent="  ", width=WIDTH) for line in parts.goals]
        yield _section("WHAT OTHER GOALS WOULD CHOOSE (older leads, best case, not confirmed)", lines)


def _change(change: Change) -> list[str]:
    lines = [text_block(f"- {change.sentence}", indent="  ", width=WIDTH)]
    if change.headline:
        lines.append(text_block(change.headline, indent="    ", width=WIDTH))
    lines += [
        text_block(f"{name}: {text}", indent="    ", width=WIDTH)
        for name, text in change.details
        if name not in _LEFT_TO_THE_PACKET
    ]
    return lines


def _evidence(parts: Parts) -> Iterable[str]:
    if parts.models:
        lines = [
            text_block(f"- {line}", indent="  ", width=WIDTH) for line in (*parts.predicted, *parts.models)
        ]
        yield _section("WHAT CAN BE PREDICTED", lines)
    rows = ", ".join(f"{name.lower()} {n}" for name, n in parts.rows)
    lines = [text_block(rows, indent="  ", width=WIDTH)]
    lines += [
        text_block(f"- {message}", indent="  ", width=WIDTH)
        for severity, message in parts.audit
        if severity != "note"
    ][:6]
    yield _section("DATA", lines)


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *lines])


def _plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")

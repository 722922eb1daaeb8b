"""What the definition did: this quarter, the quarter before, and in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadml._render import format_count, format_money, format_rate
from leadml.definitions import assign_classes, compute_won_prices
from leadml.review._figures import (
    ENOUGH_KNOWN,
    SMALLEST_GROUP,
    TARGET_TITLES,
    TARGET_WORDS,
    compute_value,
    count_figure,
    read_figure,
    rows_of,
    say_few,
)
from leadml.review._parts import ClassLine, PeriodLine, Tile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadml.compare import DefinitionComparison
    from leadml.definitions import Definition
    from leadml.review._parts import Figure, Run

__all__ = [
    "describe_classes",
    "describe_hidden",
    "describe_periods",
    "describe_tiles",
    "describe_today",
    "describe_trend",
]


def describe_today(comparison: DefinitionComparison | None) -> tuple[str, ...]:
    """Say in sentences what the definition hands over and what became of it, over all leads."""
    if comparison is None:
        return ()
    rows = {row.target: row for row in rows_of(comparison.handoff, period="all")}
    volume = rows["accepted"]
    if not volume.n_leads:
        return ("There are no leads.",)
    share = format_rate(volume.n_handed_over / volume.n_leads)
    per_month = (
        f", about {format_count(volume.n_handed_over / comparison.months)} a month"
        if comparison.months
        else ""
    )
    counts = f"{format_count(volume.n_handed_over)} of {format_count(volume.n_leads)} leads ({share})"
    lines = [f"The definition hands {counts} to Sales{per_month}."]
    for target, words in TARGET_WORDS.items():
        inside, rest = read_figure(rows[target]), read_figure(rows[target], "_rest")
        if inside.shown and rest.shown:
            lines.append(f"Of these {inside.line} are {words}; of all other leads {rest.line}.")
        elif inside.shown:
            lines.append(
                f"Of these {inside.line} are {words}; of the other leads nobody knows ({rest.text})."
            )
    return tuple(lines)


def describe_hidden(comparison: DefinitionComparison | None) -> tuple[str, ...]:
    """Say within what bounds the leads that were never handed over must lie."""
    if comparison is None:
        return ()
    rows = rows_of(comparison.selection)
    return tuple(
        row.reading
        for row in rows
        if row.n_rest_labelled >= SMALLEST_GROUP  # without any, it is said already that nobody knows
    )


def describe_classes(
    comparison: DefinitionComparison | None, definition: Definition
) -> tuple[ClassLine, ...]:
    """Say what each lead class did."""
    if comparison is None:
        return ()
    lines = []
    for lead_class in definition.classes:
        rows = {row.target: row for row in rows_of(comparison.classes, lead_class=lead_class.name)}
        row = rows["accepted"]
        few = 0 < row.n_leads < SMALLEST_GROUP
        lines.append(
            ClassLine(
                name=lead_class.name,
                meaning=lead_class.meaning,
                handed_over=definition.handed_over(lead_class.name),
                leads=say_few(row.n_leads),
                share="–" if few else format_rate(row.share),
                accepted=read_figure(row),
                won=read_figure(rows["won"]),
            )
        )
    return tuple(lines)


_NOT_YET = "no answer yet"

# ---- period by period ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worth:
    """What became of the leads handed over in one period."""

    known: int = 0
    won: int = 0
    worth: float = 0.0


def describe_periods(run: Run) -> tuple[PeriodLine, ...]:
    """Say what the definition did in each period, newest first."""
    if run.comparison is None:
        return ()
    frame = run.comparison.handoff
    worth = _worth_by_period(run)
    lines = []
    for name in sorted({str(name) for name in frame["period"]} - {"all"}, reverse=True):
        rows = {row.target: row for row in rows_of(frame, period=name)}
        volume = rows["accepted"]
        lines.append(
            PeriodLine(
                name=name,
                leads=say_few(volume.n_leads),
                handed_over=say_few(volume.n_handed_over),
                share=count_figure(int(volume.n_handed_over), int(volume.n_leads)),
                accepted=read_figure(rows["accepted"]),
                won=read_figure(rows["won"]),
                value=_say_value(run.definition, int(volume.n_handed_over), worth.get(name, _Worth())),
                accepted_settled=bool(rows["accepted"].n >= ENOUGH_KNOWN * volume.n_handed_over),
                won_settled=bool(rows["won"].n >= ENOUGH_KNOWN * volume.n_handed_over),
            )
        )
    return tuple(lines)


def _worth_by_period(run: Run) -> dict[str, _Worth]:
    """Count settled outcomes, wins and their prices among the leads handed over, per period."""
    definition, frame, targets = run.definition, run.table.frame, run.targets
    if definition.prices.won_default is None or not len(frame):
        return {}
    classes = assign_classes(definition, frame, as_of=run.table.as_of)
    handed = classes.isin(definition.handoff).to_numpy(dtype=bool)
    value = targets["won"].to_numpy(dtype=float, na_value=np.nan)
    known = handed & ~np.isnan(value) & targets["won_mature"].to_numpy(dtype=bool)
    won = known & (value == 1)
    prices = np.asarray(compute_won_prices(definition, frame), dtype=np.float64)
    found = targets[["period"]].assign(known=known, won=won, worth=np.where(won, prices, 0.0))
    sums = found.groupby("period")[["known", "won", "worth"]].sum()
    rows = zip(sums.index, sums["known"], sums["won"], sums["worth"], strict=True)
    return {
        str(name): _Worth(known=int(n), won=int(wins), worth=float(value)) for name, n, wins, value in rows
    }


def _say_value(definition: Definition, n: int, worth: _Worth) -> str:
    prices = definition.prices
    if prices.won_default is None or prices.worked_lead is None:
        return ""
    found = compute_value(
        n,
        worth.known,
        worth.won,
        worth=worth.worth,
        price=float(prices.won_default),
        cost=float(prices.worked_lead),
    )
    if found is None:
        return _NOT_YET
    best, low, high = (format_money(end, currency=prices.currency) for end in found)
    return f"{best} ({low} to {high}, n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{format_count(worth.known)})"


def describe_tiles(periods: Sequence[PeriodLine]) -> tuple[Tile, ...]:
    """Set the newest quarter beside the one before: volume, acceptance, won deals, value.

    What takes time to settle is told of the newest period that has settled.
    """
    if not periods:
        return ()
    first, *rest = periods
    tiles = [
        Tile(
            title=f"Leads to Sales, {first.name}",
            text=first.handed_over,
            small=f"of {first.leads} leads: {first.share.text} ({first.share.range})"
            if first.share.shown
            else f"of {first.leads} leads",
            before=f"{rest[0].name}: {rest[0].handed_over} of {rest[0].leads} ({rest[0].share.text})"
            if rest
            else "",
        ),
        _rate_tile(
            TARGET_TITLES["accepted"],
            periods,
            figure=lambda line: line.accepted,
            settled=lambda line: line.accepted_settled,
        ),
        _rate_tile(
            TARGET_TITLES["won"], periods, figure=lambda line: line.won, settled=lambda line: line.won_settled
        ),
    ]
    if first.value:
        tiles.append(_value_tile(periods))
    return tuple(tiles)


def _rate_tile(
    title: str,
    periods: Sequence[PeriodLine],
    *,
    figure: Callable[[PeriodLine], Figure],
    settled: Callable[[PeriodLine], bool],
) -> Tile:
    known = [line for line in periods if figure(line).shown]
    place = next((i for i, line in enumerate(known) if settled(line)), 0)
    if not known:
        return Tile(title=title, text=_NOT_YET, small="", before="")
    now, before = known[place], known[place + 1 : place + 2]
    shown = figure(now)
    return Tile(
        title=f"{title}, {now.name}",
        text=shown.text,
        small=f"{shown.range}, n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{shown.n}",
        before=f"{before[0].name}: {figure(before[0]).line}" if before else "",
    )


def _value_tile(periods: Sequence[PeriodLine]) -> Tile:
    known = [line for line in periods if line.value != _NOT_YET]
    if not known:
        return Tile(title="Value of the leads", text=_NOT_YET, small="", before="")
    best, _, ends = known[0].value.partition(" (")
    before = f"{known[1].name}: {known[1].value}" if len(known) > 1 else ""
    return Tile(
        title=f"Value of the leads, {known[0].name}", text=best, small=ends.removesuffix(")"), before=before
    )


def describe_trend(periods: Sequence[PeriodLine]) -> str:
    """Read the picture of the quarters in one sentence."""
    said = []
    for words in ("accepted", "won"):
        found = [(line.name, line.accepted if words == "accepted" else line.won) for line in periods]
        known = [(name, figure) for name, figure in found if figure.shown]
        if len(known) < 2:
            continue
        (new, last), (old, first) = known[0], known[-1]
        apart = last.low > first.high or last.high < first.low
        change = f"{words} went from {first.text} in {old} to {last.text} in {new}"
        said.append(f"{change}{'' if apart else ', which may be chance'}")
    return f"The share {'; the share '.join(said)}." if said else ""

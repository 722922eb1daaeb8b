"""What if a threshold moved: counts of groups of leads that a page can add up at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leadml._render import format_count, format_money, render_template
from leadml.review._cells import COUNTS, count_cells, describe_rules, hand_over
from leadml.review._dials import (
    Axis,
    Choice,
    Dial,
    bins_at,
    find_segment,
    name_edge,
    proposed_changes,
    proposed_choices,
    reduce_leads,
)
from leadml.review._figures import (
    ENOUGH_KNOWN,
    SMALLEST_GROUP,
    compute_value,
    count_figure,
    say_few,
    wilson_range,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from markupsafe import Markup
    from numpy.typing import NDArray

    from leadml.review._parts import Run

__all__ = ["Choice", "Outlook", "WhatIf", "build_what_if"]

MAX_CELLS = 20_000
MAX_CUTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a definition would do, in numbers and as the page writes them.

    Expected numbers (``accepted_count``, ``won_count``, ``value``) take the leads without an answer to be
    like those with one; they are empty where most have none. ``missed`` are won deals among the other leads.
    """

    n_handed_over: int
    n_accepted_known: int
    n_accepted: int
    n_won_known: int
    n_won: int
    n_missed: int
    leads: str
    accepted: str
    won: str
    accepted_count: str
    won_count: str
    missed: str
    missed_share: str
    value: str
    segments: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIf:
    """Counts of groups of leads by the bins of the definition's attributes.

    Attributes
    ----------
    axes : tuple of Axis
        The attributes.
    dials : tuple of Dial
        One per measurable criterion that bears on the handoff.
    classes : tuple of dict
        The rules, with criteria as positions in `dials`.
    cells : DataFrame
        One row per group of at least five leads: its bin on each axis, ``n``, and the leads with a settled
        verdict (``accepted_known``, ``accepted``) and outcome (``won_known``, ``won``, ``worth``).
    months : float or None
        Time that the leads cover.
    cost : float or None
        Of working a lead.
    price : float or None
        Worth of a win where none was won.
    currency : str or None
    capacity : float or None
        Leads a month that Sales can work.
    segment : int
        Axis shown part by part; -1 for none.
    n_left_out : int
        Leads in groups too small to be shown.
    """

    axes: tuple[Axis, ...]
    dials: tuple[Dial, ...]
    classes: tuple[dict[str, Any], ...] = field(repr=False)
    cells: pd.DataFrame = field(repr=False)
    months: float | None
    cost: float | None
    price: float | None
    currency: str | None
    capacity: float | None
    segment: int
    n_left_out: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per group of leads."""
        return self.cells.copy()

    def written(self) -> tuple[Choice, ...]:
        """Return the dials as written."""
        return tuple(Choice(bins=dial.bins) for dial in self.dials)

    def proposed(self) -> tuple[Choice, ...]:
        """Return the dials as proposed."""
        return proposed_choices(self.dials)

    def turn(self, address: str, position: int, *, upper: int | None = None) -> tuple[Choice, ...]:
        """Return the written dials with one threshold moved to a position among its places."""
        choices = list(self.written())
        for number, dial in enumerate(self.dials):
            if dial.address == address:
                choices[number] = Choice(bins=bins_at(dial, self.axes[dial.axis], position, upper))
        return tuple(choices)

    def evaluate(self, choices: Sequence[Choice]) -> Outlook:
        """Add up the groups of leads that would go to Sales.

        Parameters
        ----------
        choices : sequence of Choice
            One per dial.

        Returns
        -------
        Outlook
        """
        handed = hand_over(self.classes, self.cells, self.dials, choices)
        return _look_out(self, handed)

    def _repr_html_(self) -> str:
        return str(self.render_widget())

    def render_widget(self) -> Markup:
        """Return the what-if as a frame for a notebook: a page of its own that asks nobody for anything."""
        from markupsafe import Markup

        style = "width:100%;height:46rem;border:1px solid #8884"
        frame = Markup('<iframe title="What if" style="{}" sandbox="allow-scripts" srcdoc="{}"></iframe>')
        return frame.format(style, self.to_page())

    def to_page(self) -> str:
        """Return the what-if as a page of its own, which asks nobody for anything."""
        page = render_template(
            "leadml.review",
            "whatif_page.html",
            what_if=self.to_payload(),
            script=read_script(),
            hash=hash_script(),
        )
        return str(page)

    def to_payload(self) -> dict[str, Any]:
        """Return what the page needs, as plain values."""
        columns = [f"b{number}" for number in range(len(self.axes))]
        counts = ["n", "accepted_known", "accepted", "won_known", "won", "worth"]
        return {
            "axes": [{"name": a.name, "unit": a.unit, "labels": list(a.labels)} for a in self.axes],
            "dials": [
                {
                    "address": d.address,
                    "text": d.text,
                    "axis": d.axis,
                    "kind": d.kind,
                    "places": list(d.places),
                    "names": [name_edge(self.axes[d.axis].edges[p]) for p in d.places],
                    "upperPlaces": list(d.upper_places),
                    "upperNames": [name_edge(self.axes[d.axis].edges[p]) for p in d.upper_places],
                    "at": d.at,
                    "upperAt": d.upper_at,
                    "proposed": d.proposed,
                    "rising": d.rising,
                    "bins": list(d.bins),
                    "missing": d.missing,
                    "proposedBins": None if d.proposed_bins is None else list(d.proposed_bins),
                    "dropped": d.dropped,
                    "sign": d.sign,
                }
                for d in self.dials
            ],
            "classes": list(self.classes),
            "cells": {name: self.cells[name].tolist() for name in (*columns, *counts)},
            "months": self.months,
            "cost": self.cost,
            "price": self.price,
            "currency": self.currency,
            "capacity": self.capacity,
            "segment": self.segment,
            "turned": any(d.proposed_bins is not None or d.dropped for d in self.dials),
            "smallest": SMALLEST_GROUP,
        }


# ---- building ------------------------------------------------------------------------------------


def build_what_if(run: Run) -> WhatIf | None:
    """Count the leads of a run by the bins of its definition's attributes.

    Groups of under five leads are joined with their neighbours, never across what the written and the
    proposed definition do, so both stay exact; with other settings a joined group goes where its largest
    part goes.

    Parameters
    ----------
    run : Run
        A run that compared the definition with the leads.

    Returns
    -------
    WhatIf or None
        None if there is nothing to turn.
    """
    if run.comparison is None or not len(run.table.frame):
        return None
    definition = run.definition
    changes = proposed_changes(run)
    handing = [i for i, c in enumerate(definition.classes) if definition.handed_over(c.name)]
    before = definition.classes[: max(handing, default=-1) + 1]
    criteria = [c for lead_class in before for c in lead_class.criteria() if c.measurable]
    if not criteria:
        return None
    steps = MAX_CUTS
    while True:
        axes, dials, table = reduce_leads(run, criteria, changes, steps)
        rows = len(table.drop_duplicates())
        if rows <= MAX_CELLS or steps <= 2:
            break
        steps -= 2
    classes = describe_rules(definition, dials)
    cells, left_out = count_cells(run, axes, dials, classes, table)
    names = [axis.name for axis in axes]
    segment = next(
        (names.index(name) for name in find_segment(definition, run.table.frame) if name in names), -1
    )
    prices = definition.prices
    goal = getattr(run.experiment, "goal", None)
    return WhatIf(
        axes=axes,
        dials=dials,
        classes=classes,
        cells=cells,
        months=run.comparison.months,
        cost=None if prices.worked_lead is None else float(prices.worked_lead),
        price=None if prices.won_default is None else float(prices.won_default),
        currency=prices.currency,
        capacity=getattr(goal, "capacity", None),
        segment=segment,
        n_left_out=left_out,
    )


# ---- looking out ---------------------------------------------------------------------------------


def _say_rate(k: int, n: int) -> str:
    return "nobody knows" if n == 0 else count_figure(k, n).line


def _say_expected(k: int, known: int, n: int, months: float | None) -> str:
    """Say how many of `n` leads would be accepted or won, if those without an answer are like the rest."""
    if known < SMALLEST_GROUP or known < ENOUGH_KNOWN * n:
        return ""
    scale = months or 1.0
    best, low, high = (format_count(n * rate / scale) for rate in (k / known, *wilson_range(k, known)))
    return f"about {best} ({low} to {high}){' a month' if months else ''}"


def _look_out(what_if: WhatIf, handed: NDArray[np.bool_]) -> Outlook:
    cells = what_if.cells
    total = {name: float(cells.loc[handed, name].sum()) for name in COUNTS}
    n, known, won = int(total["n"]), int(total["won_known"]), int(total["won"])
    missed, others = int(cells["won"].sum()) - won, int(cells["won_known"].sum()) - known
    scale = what_if.months or 1.0
    return Outlook(
        n_handed_over=n,
        n_accepted_known=int(total["accepted_known"]),
        n_accepted=int(total["accepted"]),
        n_won_known=known,
        n_won=won,
        n_missed=missed,
        leads=format_count(n / scale) if n == 0 or n >= SMALLEST_GROUP else "too few",
        accepted=_say_rate(int(total["accepted"]), int(total["accepted_known"])),
        won=_say_rate(won, known),
        accepted_count=_say_expected(int(total["accepted"]), int(total["accepted_known"]), n, what_if.months),
        won_count=_say_expected(won, known, n, what_if.months),
        missed=say_few(missed) if others >= SMALLEST_GROUP else "nobody knows",
        missed_share=_say_missed(missed, others),
        value=_say_value(what_if, n, known, won, total["worth"]),
        segments=_segments(what_if, handed),
    )


def _say_missed(missed: int, others: int) -> str:
    """Say the share won of the other leads with an answer; nothing where it would tell of a small group."""
    hidden = others < SMALLEST_GROUP or 0 < missed < SMALLEST_GROUP
    return "" if hidden else _say_rate(missed, others)


def _say_value(what_if: WhatIf, n: int, known: int, won: int, worth: float) -> str:
    if what_if.cost is None or what_if.price is None:
        return "no price is signed"
    found = compute_value(n, known, won, worth=worth, price=what_if.price, cost=what_if.cost)
    if found is None:
        return "nobody knows: too few of these leads have an answer"
    scale = what_if.months or 1.0
    best, low, high = (format_money(end / scale, currency=what_if.currency) for end in found)
    return f"{best} ({low} to {high})"


def _segments(what_if: WhatIf, handed: NDArray[np.bool_]) -> tuple[tuple[str, str, str, str], ...]:
    if what_if.segment < 0:
        return ()
    cells = what_if.cells
    rows = []
    place = cells[f"b{what_if.segment}"].to_numpy()
    for number, label in enumerate(what_if.axes[what_if.segment].labels):
        part = cells[handed & (place == number)]
        n = int(part["n"].sum())
        if not (place == number).any():
            continue
        rows.append(
            (
                label,
                say_few(n),
                _say_rate(int(part["accepted"].sum()), int(part["accepted_known"].sum())),
                _say_rate(int(part["won"].sum()), int(part["won_known"].sum())),
            )
        )
    return tuple(rows)


# ---- the page ------------------------------------------------------------------------------------


def read_script() -> Markup:
    """Return the script of the page."""
    from importlib.resources import files

    from markupsafe import Markup

    # A file of this package, written by us.
    return Markup((files("leadml.review") / "templates" / "whatif.js").read_text(encoding="utf-8"))  # noqa: S704


def hash_script() -> str:
    """Return the script's hash as a content security policy names it."""
    import base64
    import hashlib

    digest = hashlib.sha256(str(read_script()).encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"

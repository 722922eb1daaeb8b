"""How far a definition may be opened at an agreed minimum rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._render import format_rate, render_card, render_frame, text_table
from leadml.errors import ExperimentError
from leadml.metrics import clopper_pearson, learn_then_test
from leadml.propose._confirm import revise
from leadml.propose._confirmation import read_confirmation
from leadml.propose._evidence import SearchResult, make_cells, search_edits
from leadml.propose._goal import Goal
from leadml.propose._pick import KNOWN_SHARE
from leadml.propose._review import Review, make_registration, open_review
from leadml.propose._words import say_changes, say_leads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from leadml.definitions import Change, Definition
    from leadml.leads import LeadTable, TimeSplit
    from leadml.propose._registration import Registration

    Floats = NDArray[np.float64]

__all__ = [
    "WidestDefinition",
    "changes_at",
    "count_totals",
    "find_front",
    "find_usable",
    "find_widest_definition",
    "say_definition",
    "search_older",
]

_STEP = 1.05
_FEWEST = 20  # labelled leads that a definition hands over


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WidestDefinition:
    """The definition that hands over most leads while the agreed rate is proven.

    Attributes
    ----------
    changes : tuple of Change
        What has to change; empty if the written definition itself is the widest proven one.
    proven : bool
        Whether any step of the walk is proven to be above the floor.
    floor : float
    target : {"accepted", "won"}
    leads_per_month : float or None
    rate, ci_low : float or None
        Rate in the confirmation window with its exact one-sided lower bound.
    steps : DataFrame
        The walk, strictest first: ``proposed``, ``n_known``, ``n_yes``, ``rate``, ``proven``.
    revised : Definition or None
    notices : tuple of str
    """

    changes: tuple[Change, ...]
    proven: bool
    floor: float
    target: Literal["accepted", "won"]
    leads_per_month: float | None
    rate: float | None
    ci_low: float | None
    steps: pd.DataFrame
    revised: Definition | None
    notices: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the walk."""
        return self.steps.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "proven": self.proven,
            "floor": self.floor,
            "target": self.target,
            "proposed": " + ".join(change.proposed or "(dropped)" for change in self.changes),
            "criterion": " + ".join(change.address for change in self.changes),
            "leads_per_month": self.leads_per_month,
            "rate": self.rate,
            "ci_low": self.ci_low,
            "steps": [
                {**step, "rate": None if step["n_known"] == 0 else float(f"{step['rate']:.10g}")}
                for step in self.steps.to_dict(orient="records")
            ],
            "notices": list(self.notices),
        }

    def __repr__(self) -> str:
        return "\n".join([self._headline(), *self._table()][:10])

    def _headline(self) -> str:
        agreed = f"{format_rate(self.floor)} {self.target}"
        if not self.proven:
            return f"No definition is proven to reach {agreed} on the newest leads: nothing is proposed."
        words = "the definition as it is" if not self.changes else say_changes(self.changes)
        volume = "" if self.leads_per_month is None else f"{say_leads(self.leads_per_month)} a month, "
        return (
            f"Most leads with {agreed}, proven on the newest leads: {words}: {volume}"
            f"{format_rate(self.rate)} {self.target}, at least {format_rate(self.ci_low)}."
        )

    def _table(self) -> list[str]:
        if self.steps.empty:
            return []
        last = int(self.steps["proven"].sum()) - 1
        near = self.steps.iloc[max(0, last - 3) : last + 3]
        columns = [near[name].tolist() for name in ("proposed", "n_known", "rate", "proven")]
        rows = [
            (str(proposed), say_leads(n), format_rate(rate), "yes" if proven else "no")
            for proposed, n, rate, proven in zip(*columns, strict=True)
        ]
        return text_table(
            ("from strict to loose", "with an answer", self.target, "proven"), rows, width=100
        ).split("\n")

    def _repr_html_(self) -> str:
        return str(render_card("Widest definition", [self._headline(), render_frame(self.steps)]))


def find_widest_definition(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    goal: Goal,
    split: TimeSplit,
    max_changes: int = 2,
    error_rate: float = 0.05,
    register: Callable[[Registration], None],
) -> WidestDefinition:
    """Find the definition with most leads whose acceptance (win rate) is proven to exceed the agreed minimum.

    A walk from strict to loose is fixed on the older quarters: the definitions that nobody beats in both
    volume and rate, from the one that is easiest to prove. On the newest quarters each step is tested at the
    whole error rate and the walk stops at the first that is not proven (Learn-then-Test, fixed sequence), so
    the definition returned violates the floor with at most that chance.

    Parameters
    ----------
    definition, table, targets, goal, split, max_changes, error_rate, register
        As in `propose_changes`; the goal must name a `minimum_acceptance`, which holds for won deals if
        `maximise` is "won".

    Returns
    -------
    WidestDefinition

    Raises
    ------
    ExperimentError
        If the goal names no minimum.

    References
    ----------
    Angelopoulos et al., "Learn then Test", Annals of Applied Statistics (2025); METHODS.md, section 1.8.
    """
    if goal.minimum_acceptance is None:
        raise ExperimentError("goal: minimum_acceptance is missing: it is the rate that is to be proven.")
    floor = goal.minimum_acceptance
    counting = Goal(maximise="won" if goal.maximise == "won" else "accepted", minimum_acceptance=floor)
    review = open_review(
        definition,
        table,
        targets,
        goal=counting,
        split=split,
        min_change=1,
        error_rate=error_rate,
        explored=None,
        confirm_with="matured",
    )
    found, chain = _walk(review, max_changes, floor)
    changes = [changes_at(review, found, position) for position in chain]
    register(_record(review, changes, found, max_changes))
    confirmed = read_confirmation(review)
    k, n, volume = _counts(review, found, chain, confirmed.labels)
    last = learn_then_test(k, n, floor=floor, error_rate=error_rate) if len(chain) else -1
    steps = pd.DataFrame(
        {
            "proposed": [say_definition(change) for change in changes],
            "n_known": n.astype(int),
            "n_yes": k.astype(int),
            "rate": np.where(n > 0, k / np.maximum(n, 1), np.nan),
            "proven": np.arange(len(chain)) <= last,
        }
    )
    if last < 0:
        return WidestDefinition(
            changes=(),
            proven=False,
            floor=floor,
            target=review.target,
            leads_per_month=None,
            rate=None,
            ci_low=None,
            steps=steps,
            revised=None,
            notices=review.notices,
        )
    low, _ = clopper_pearson(k[last], n[last], confidence_level=1 - error_rate, alternative="greater")
    months = review.windows.confirm_months
    return WidestDefinition(
        changes=changes[last],
        proven=True,
        floor=floor,
        target=review.target,
        leads_per_month=float(volume[last]) / months if months else None,
        rate=float(k[last] / n[last]),
        ci_low=float(low),
        steps=steps,
        revised=revise(definition, changes[last]) if changes[last] else definition,
        notices=review.notices,
    )


def search_older(review: Review, max_changes: int) -> SearchResult:
    """Search the older quarters."""
    cells = make_cells(review.labels, review.strata, review.evidence, review.n_strata)
    return search_edits(review.board, review.windows.discover, cells, max_changes=max_changes)


def count_totals(review: Review, found: SearchResult) -> tuple[Floats, Floats, Floats]:
    """Return leads, labelled and won accounts handed over after each edit; the last entry is as written."""
    cells = found.cells
    now = np.sum(review.gather(_count_handed), axis=0).astype(np.float64)
    after = np.vstack([now + found.gained - found.lost, now])
    return cells.leads(after), cells.labelled(after).sum(-1), cells.yes(after).sum(-1)


def _count_handed(review: Review) -> NDArray[np.int64]:
    """Count the leads that are handed over today, by cell."""
    cells = make_cells(review.labels, review.strata, review.evidence, review.n_strata)
    inside = review.board.handed_over & review.windows.discover
    return np.bincount(cells.index[inside], minlength=cells.n)


def find_usable(review: Review, found: SearchResult, n: Floats) -> NDArray[np.bool_]:
    """Return which edits gain only leads with a label and leave enough of those; the last is as written.

    Parameters
    ----------
    review : Review
    found : SearchResult
    n : ndarray of float of shape (n_edits + 1,)
        Labelled accounts handed over after each edit (`count_totals`).
    """
    gained = found.cells.evidence(found.gained)
    labelled = found.cells.labelled(found.gained).sum(-1) >= KNOWN_SHARE * gained
    usable = np.append(labelled, values=True) & (n >= _FEWEST)
    if not review.gained_trusted:
        usable &= np.append(found.cells.leads(found.gained) == 0, values=True)
    return usable


def find_front(volume: Floats, rate: Floats, usable: NDArray[np.bool_]) -> list[int]:
    """Return the definitions that no other beats in both leads and rate, strictest first."""
    front: list[int] = []
    most = 0.0
    for place in sorted(np.flatnonzero(usable).tolist(), key=lambda spot: (-rate[spot], -volume[spot], spot)):
        if volume[place] > most:
            front.append(place)
            most = float(volume[place])
    return front


def _walk(review: Review, max_changes: int, floor: float) -> tuple[SearchResult, list[int]]:
    """Fix the walk on the older quarters: the front of volume and rate, strictest first; -1 is as written."""
    found = search_older(review, max_changes)
    volume, n, k = count_totals(review, found)
    rate = np.where(n > 0, k / np.maximum(n, 1), 0.0)
    front = find_front(volume, rate, find_usable(review, found, n))
    # A walk ends at its first step that is not proven: begin where the proof is easiest, not where the rate
    # is highest on a handful of leads. Below the floor nothing can be proven; a step must add leads.
    front = [place for place in front if rate[place] >= floor]
    if not front:
        return found, []
    easiest = int(np.argmax([(rate[place] - floor) * np.sqrt(n[place]) for place in front]))
    walk = [front[easiest]]
    for place in front[easiest + 1 :]:
        if volume[place] >= _STEP * volume[walk[-1]]:
            walk.append(place)
    return found, [place if place < len(found.edits) else -1 for place in walk]


def changes_at(review: Review, found: SearchResult, position: int) -> tuple[Change, ...]:
    """Return the changes at a position of a search; none at -1, the written definition."""
    if position < 0:
        return ()
    edit = found.edits[position]
    return review.board.changes(edit)


def say_definition(changes: tuple[Change, ...]) -> str:
    """Name a definition by its changes."""
    return " + ".join(change.proposed or f"(without {change.written})" for change in changes) or "as written"


def _counts(
    review: Review, found: SearchResult, chain: list[int], labels: NDArray[np.int8]
) -> tuple[Floats, Floats, Floats]:
    rows = review.windows.confirm
    counts = np.zeros((3, len(chain)))
    for place, position in enumerate(chain):
        inside = review.board.handed_over & rows
        if position >= 0:
            gained, lost = review.board.moved(found.edits[position], rows)
            inside[gained], inside[lost] = True, False
        known = inside & review.evidence & (labels > 0)
        counts[:, place] = (labels[known] == 2).sum(), known.sum(), inside.sum()
    return counts[0], counts[1], counts[2]


def _record(
    review: Review, changes: list[tuple[Change, ...]], found: SearchResult, max_changes: int
) -> Registration:
    return make_registration(
        review,
        [
            {
                "criterion": " + ".join(change.address for change in change_set),
                "kind": " + ".join(change.kind for change in change_set),
                "written": " + ".join(change.written for change in change_set),
                "proposed": say_definition(change_set),
            }
            for change_set in changes
        ],
        max_changes=max_changes,
        max_candidates=len(changes),
        n_searched=len(found.edits),
    )

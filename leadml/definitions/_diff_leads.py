"""Two definitions on the same leads: who changes class, how well they agree, and which criteria part them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.definitions._columns import Codes, open_columns
from leadml.definitions._definition import Criterion, Definition, Group, said
from leadml.definitions._evaluate import assign_classes, evaluate_criteria
from leadml.definitions._grammar import format_criterion
from leadml.definitions._space import OTHER
from leadml.definitions._words import describe_lead
from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from numpy.typing import ArrayLike, NDArray

    from leadml.definitions._columns import Numbers
    from leadml.definitions._definition import Attribute, Value

    Interval = Callable[[int, int], tuple[float, float]]
    Mask = NDArray[np.bool_]

__all__ = ["LeadsDiff", "diff_on_leads"]

NO_CLASS = "(no class)"
_COLUMNS = [
    "segment",
    "old_class",
    "new_class",
    "n",
    "share",
    *(f"{name}_{target}" for target in ("accepted", "won") for name in ("n", "rate", "ci_low", "ci_high")),
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeadsDiff:
    """Two definitions on the same leads.

    Parameters
    ----------
    old, new : str
        Name and version of the two.
    n_leads, n_changed : int
        Leads, and leads whose class differs.
    n_gained, n_lost : int
        Leads that only the new, or only the old, definition hands to Sales.
    agreement, kappa, kappa_low, kappa_high : float
        Share of leads on which the two agree about the handoff, and Cohen's kappa with its 95 % interval.
    transitions : DataFrame
        One row per segment and pair of classes: counts, shares, acceptance and win rates.
    causes : DataFrame
        One row per criterion: on how many leads that change hands it alone parts the two definitions.
    examples : DataFrame
        Some leads that change hands, in the words of the attributes.
    """

    old: str
    new: str
    n_leads: int
    n_changed: int
    n_gained: int
    n_lost: int
    agreement: float
    kappa: float
    kappa_low: float
    kappa_high: float
    transitions: pd.DataFrame = field(repr=False)
    causes: pd.DataFrame = field(repr=False)
    examples: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the transitions: segment, old_class, new_class, n, share; per target n, rate, interval."""
        return self.transitions.copy()

    def matrix(self) -> pd.DataFrame:
        """Return the agreement matrix: leads by old class (rows) and new class (columns)."""
        whole = self.transitions[self.transitions["segment"] == "all"]
        return whole.pivot_table(index="old_class", columns="new_class", values="n", fill_value=0, sort=False)

    def to_dict(self) -> dict[str, object]:
        """Return plain data; what cannot be computed is None."""
        numbers = {
            name: None if np.isnan(value := getattr(self, name)) else float(value)
            for name in ("agreement", "kappa", "kappa_low", "kappa_high")
        }
        counts = {name: getattr(self, name) for name in ("n_leads", "n_changed", "n_gained", "n_lost")}
        tables = {
            name: [
                {key: None if pd.isna(value) else value for key, value in row.items()}
                for row in frame.astype(object).to_dict("records")
            ]
            for name, frame in (
                ("transitions", self.transitions),
                ("causes", self.causes),
                ("examples", self.examples),
            )
        }
        return {"old": self.old, "new": self.new, **counts, **numbers, **tables}

    def __repr__(self) -> str:
        kappa = (
            "kappa not defined"
            if np.isnan(self.kappa)
            else f"kappa {self.kappa:.2f} ({self.kappa_low:.2f} to {self.kappa_high:.2f})"
        )
        lines = [
            f"{self.old} → {self.new}: {self.n_changed:,} of {self.n_leads:,} leads change class",
            f"  handed to Sales: {self.n_gained:,} more, {self.n_lost:,} no longer; {kappa}",
        ]
        lines += [
            f"  {row.criterion} of {row.definition} alone parts {row.n:,} leads"
            for row in self.causes.head(5).itertuples(index=False)
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from leadml._render import render_card, render_frame

        parts = [render_frame(frame) for frame in (self.transitions, self.causes, self.examples)]
        return str(render_card(repr(self).split("\n", maxsplit=1)[0], parts))


def diff_on_leads(
    old: Definition,
    new: Definition,
    leads: pd.DataFrame,
    *,
    accepted: ArrayLike | None = None,
    won: ArrayLike | None = None,
    segment: str | None = None,
    interval: Interval | None = None,
    n_examples: int = 5,
    as_of: date | None = None,
) -> LeadsDiff:
    """Compare two definitions on the same leads.

    Parameters
    ----------
    old, new : Definition
        Two versions of one definition, or those of two teams.
    leads : DataFrame of shape (n_leads, n_columns)
        With every attribute of both.
    accepted, won : array-like of shape (n_leads,), optional
        1 yes, 0 no, NaN not known yet; for the rates of the leads that change.
    segment : str, optional
        A column by whose values the transitions are counted as well.
    interval : callable (k, n) -> (low, high), optional
        For the rates, for example `leadml.metrics.clopper_pearson`.
    n_examples : int
        At most so many example leads.
    as_of : date or None
        The day at which ages end whose anchor is ``as_of``.

    Returns
    -------
    LeadsDiff
        Transitions, agreement, causes and examples. The two agree about a lead if both or neither hand it to
        Sales; the interval of kappa is the large-sample one.

    References
    ----------
    Cohen (1960), A coefficient of agreement for nominal scales; Fleiss, Cohen & Everitt (1969), Large sample
    standard errors of kappa and weighted kappa, equation 13.
    """
    classes = [_class_names(item, leads, as_of) for item in (old, new)]
    targets = {"accepted": _target(accepted, len(leads)), "won": _target(won, len(leads))}
    handed = [
        np.isin(names, definition.handoff) for names, definition in zip(classes, (old, new), strict=True)
    ]
    gained, lost = handed[1] & ~handed[0], handed[0] & ~handed[1]
    counts = np.array(
        [[np.sum(left & right) for right in (~handed[1], handed[1])] for left in (~handed[0], handed[0])]
    )
    agreement, kappa, low, high = cohen_kappa(counts)
    return LeadsDiff(
        old=f"{old.name} {old.version}",
        new=f"{new.name} {new.version}",
        n_leads=len(leads),
        n_changed=int(np.sum(classes[0] != classes[1])),
        n_gained=int(gained.sum()),
        n_lost=int(lost.sum()),
        agreement=agreement,
        kappa=kappa,
        kappa_low=low,
        kappa_high=high,
        transitions=_transitions(old, new, classes, _segments(leads, segment), targets, interval),
        causes=_causes(old, new, leads, handed, as_of),
        examples=_examples(old, new, leads, gained, lost, classes, n_examples, as_of),
    )


def cohen_kappa(counts: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Return agreement, Cohen's kappa and its 95 % interval from a square table of counts."""
    n = counts.sum()
    if n == 0:
        return np.nan, np.nan, np.nan, np.nan
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    if expected >= 1 - 1e-12:
        return observed, np.nan, np.nan, np.nan
    kappa = (observed - expected) / (1 - expected)
    diagonal = np.diag(p) * (1 - (rows + columns) * (1 - kappa)) ** 2
    crossed = (columns[:, None] + rows[None, :]) ** 2 * p
    off = crossed.sum() - np.trace(crossed)
    spread = diagonal.sum() + (1 - kappa) ** 2 * off - (kappa - expected * (1 - kappa)) ** 2
    error = np.sqrt(max(0.0, spread) / n) / (1 - expected)
    return observed, kappa, max(-1.0, kappa - 1.959964 * error), min(1.0, kappa + 1.959964 * error)


def _class_names(definition: Definition, leads: pd.DataFrame, as_of: date | None) -> NDArray[np.object_]:
    names = assign_classes(definition, leads, as_of=as_of).astype(object)
    return names.where(names.notna(), NO_CLASS).to_numpy(dtype=object)


def _target(values: ArrayLike | None, n_leads: int) -> NDArray[np.float64]:
    if values is None:
        return np.full(n_leads, np.nan)
    found = np.asarray(pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    if len(found) != n_leads:
        raise LeadsError(f"leads: expected one label per lead ({n_leads:,}), got {len(found):,}.")
    return found


def _segments(leads: pd.DataFrame, segment: str | None) -> Iterator[tuple[str, Mask]]:
    yield "all", np.ones(len(leads), dtype=bool)
    if segment is None:
        return
    if segment not in leads.columns:
        raise LeadsError(f"leads: expected a column {segment!r} to count by, got none.")
    column = leads[segment].astype(object)
    for value in sorted(column.dropna().unique(), key=str):
        yield f"{segment} {value}", (column == value).to_numpy(dtype=bool)
    if column.isna().any():
        yield f"{segment} missing", column.isna().to_numpy(dtype=bool)


def _transitions(
    old: Definition,
    new: Definition,
    classes: Sequence[NDArray[np.object_]],
    segments: Iterator[tuple[str, Mask]],
    targets: dict[str, NDArray[np.float64]],
    interval: Interval | None,
) -> pd.DataFrame:
    names = [[*(item.name for item in definition.classes), NO_CLASS] for definition in (old, new)]
    rows = []
    for segment, inside in segments:
        for left in names[0]:
            for right in names[1]:
                chosen = inside & (classes[0] == left) & (classes[1] == right)
                n = int(chosen.sum())
                if n:
                    rates = [
                        number for known in targets.values() for number in _rate(known[chosen], interval)
                    ]
                    rows.append([segment, left, right, n, n / int(inside.sum()), *rates])
    return pd.DataFrame(rows, columns=_COLUMNS)


def _rate(labels: NDArray[np.float64], interval: Interval | None) -> tuple[int, float, float, float]:
    known = labels[~np.isnan(labels)]
    n, k = len(known), int(known.sum())
    low, high = interval(k, n) if interval is not None and n else (np.nan, np.nan)
    return n, k / n if n else np.nan, float(low), float(high)


# -- causes ------------------------------------------------------------------------------------------------


def _causes(
    old: Definition, new: Definition, leads: pd.DataFrame, handed: Sequence[Mask], as_of: date | None
) -> pd.DataFrame:
    """Count, per criterion, the leads that would not change hands if it alone had the other answer.

    A criterion that both definitions have cannot be what parts them.
    """
    both = {said(item) for item in old.criteria()} & {said(item) for item in new.criteria()}
    parted = handed[0] != handed[1]
    rows = []
    part = leads.loc[parted]
    for definition, agreed in ((old, handed[1]), (new, handed[0])):
        met = evaluate_criteria(definition, part, as_of=as_of)
        for criterion in definition.criteria():
            if not criterion.measurable or said(criterion) in both:
                continue
            flipped = met.assign(**{criterion.address: ~met[criterion.address]})
            alone = _handed(definition, flipped) == agreed[parted]
            if alone.any():
                name = f"{definition.name} {definition.version}"
                rows.append([name, criterion.address, format_criterion(criterion), int(alone.sum())])
    frame = pd.DataFrame(rows, columns=["definition", "criterion", "text", "n"])
    frame["share"] = frame["n"] / max(1, int(parted.sum()))
    return frame.sort_values("n", ascending=False, kind="stable").reset_index(drop=True)


def _handed(definition: Definition, met: pd.DataFrame) -> Mask:
    free = np.ones(len(met), dtype=bool)
    found = np.zeros(len(met), dtype=bool)
    for lead_class in definition.classes:
        inside = free if lead_class.rule is None else free & _rule_mask(lead_class.rule, met)
        if definition.handed_over(lead_class.name):
            found |= inside
        free = free & ~inside
    return found


def _rule_mask(rule: Criterion | Group, met: pd.DataFrame) -> Mask:
    if isinstance(rule, Group):
        total = np.zeros(len(met), dtype=np.int16)
        for member in rule.members:
            total += _rule_mask(member, met)
        return total >= rule.k
    if not rule.measurable:
        return np.zeros(len(met), dtype=bool)
    return met[rule.address].to_numpy(dtype=bool)


# -- examples ----------------------------------------------------------------------------------------------


def _examples(
    old: Definition,
    new: Definition,
    leads: pd.DataFrame,
    gained: Mask,
    lost: Mask,
    classes: Sequence[NDArray[np.object_]],
    n_examples: int,
    as_of: date | None,
) -> pd.DataFrame:
    """Describe some leads that change hands by the attributes that the two definitions use."""
    half = (n_examples + 1) // 2
    positions = [*np.flatnonzero(gained)[:half], *np.flatnonzero(lost)[:half]][:n_examples]
    chosen = leads.iloc[positions]
    values: dict[str, list[Value | None]] = {}
    for definition in (new, old):
        columns = open_columns(definition, chosen, criteria=definition.criteria(), as_of=as_of)
        known = {value for item in definition.criteria() for value in item.values}  # noqa: PD011
        for name in columns.read:
            values[name] = _plain_values(columns.get(name), columns.attributes[name], known)
    attributes = {**old.typed_attributes(), **new.typed_attributes()}
    rows = [
        [
            classes[0][position],
            classes[1][position],
            describe_lead({name: values[name][number] for name in attributes if name in values}, attributes),
        ]
        for number, position in enumerate(positions)
    ]
    return pd.DataFrame(rows, columns=["old_class", "new_class", "lead"])


def _plain_values(column: Numbers | Codes, attribute: Attribute, known: set[Value]) -> list[Value | None]:
    """Read a column back into values; a text that the definition does not name stays unnamed."""
    if isinstance(column, Codes):
        named = {*known, *attribute.levels, True, False}
        levels = [level if level in named else OTHER for level in column.levels]
        return [None if code < 0 else levels[code] for code in column.data]
    found: list[Value | None] = []
    for number in column.data:
        if np.isnan(number):
            found.append(None)
        elif attribute.type == "date":
            found.append(str(np.datetime64(int(number), "D")))
        else:
            found.append(Decimal(repr(float(number))) if np.isfinite(number) else str(float(number)))
    return found

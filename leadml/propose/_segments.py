"""Thresholds that differ in one segment: the dials that move them there, and whether they may differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leadml._render import format_change
from leadml.definitions import (
    Criterion,
    criterion_mask,
    format_criterion,
    other_leads,
    parse_criterion,
    say_segmented,
)
from leadml.errors import ExperimentError
from leadml.metrics import mover_interval, mover_p_value
from leadml.propose._bins import merge_bins
from leadml.propose._dials import Dial
from leadml.propose._guard import Guardrail
from leadml.propose._moves import Alternative, find_levels
from leadml.propose._pick import KNOWN_SHARE, KNOWN_SHARE_LOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import pandas as pd
    from numpy.typing import NDArray

    from leadml.definitions import Attribute, Definition
    from leadml.propose._goal import Stakes
    from leadml.propose._judge import Moved
    from leadml.propose._ranges import Sample

    Bits = NDArray[np.bool_]

__all__ = ["SEGMENTS_DIFFER", "build_segment_dials", "check_segments_known", "compare_segments"]

SEGMENTS_DIFFER = "segments differ"
_MOST_LEVELS = 6
_ORDERED = frozenset({"<", "<=", ">", ">="})


def check_segments_known(definition: Definition, leads: pd.DataFrame, segments: Sequence[str]) -> None:
    """Refuse segments that a definition could not tell apart at the handoff.

    Raises
    ------
    ExperimentError
        With everything that is wrong.
    """
    attributes = {attribute.name: attribute for attribute in definition.attributes}
    wrong = []
    for name in segments:
        attribute = attributes.get(name)
        if attribute is None or name not in leads.columns:
            wrong.append(f"segments: expected an attribute of the definition with a column, got {name!r}.")
        elif attribute.type not in {"category", "ordinal", "boolean"}:
            wrong.append(
                f"segments: {name}: expected a category, an ordinal or a boolean, got a {attribute.type}."
            )
        elif attribute.known_at == "after":
            wrong.append(f"segments: {name} is known only after the handoff.")
    if wrong:
        raise ExperimentError(*wrong)


def build_segment_dials(
    definition: Definition,
    dials: Sequence[Dial],
    leads: pd.DataFrame,
    *,
    sample: Sample,
    segments: Sequence[str],
    as_of: date | None = None,
) -> tuple[Dial, ...]:
    """Build a dial for each criterion with a threshold and each segment attribute.

    Its alternatives move the threshold for the leads of one level, or for all leads but those.

    Parameters
    ----------
    definition : Definition
    dials : sequence of Dial
        Of the written criteria of one class.
    leads : DataFrame of shape (n_leads, …)
    sample : ndarray of bool of shape (n_leads,) or Summary
        The leads among which the frequent levels are found, where none are declared; at most six are used.
    segments : sequence of str
        Names of attributes.
    as_of : date or None

    Returns
    -------
    tuple of Dial
        Each with the address of the criterion that it moves.
    """
    criteria = {criterion.address: criterion for criterion in definition.criteria()}
    found = []
    for name in segments:
        kinds = list(_kinds(definition.attribute(name), definition, leads, sample))
        masks = [criterion_mask(kind, leads, definition=definition, as_of=as_of) for kind in kinds]
        for dial in dials:
            criterion = criteria[dial.address]
            moves = [
                (number, alternative)
                for number, alternative in enumerate(dial.alternatives, 1)
                if alternative.kind == "threshold"
            ]
            if kinds and moves and criterion.operator in _ORDERED and criterion.attribute != name:
                found.append(_turn_in_segments(definition, criterion, dial, moves, kinds, masks, name))
    return tuple(found)


def _kinds(
    attribute: Attribute, definition: Definition, leads: pd.DataFrame, sample: Sample
) -> Iterator[Criterion]:
    """Yield a criterion for each segment: the declared or frequent levels, or the boolean."""
    if attribute.type == "boolean":
        yield parse_criterion(attribute.name, attributes=definition.typed_attributes())
        return
    for level in find_levels(attribute, leads, sample)[:_MOST_LEVELS]:
        yield Criterion(address="", attribute=attribute.name, operator="in", values=(level,), text="")


def _turn_in_segments(
    definition: Definition,
    criterion: Criterion,
    dial: Dial,
    moves: Sequence[tuple[int, Alternative]],
    kinds: Sequence[Criterion],
    masks: Sequence[Bits],
    name: str,
) -> Dial:
    """Return a dial whose bins also say in which segment a lead is: the last of them is of no one's."""
    n_kinds, n_bins = len(kinds), dial.passes.shape[1]
    inside = np.eye(n_kinds, n_kinds + 1, dtype=bool)
    table = [np.repeat(dial.passes[0], n_kinds + 1)]
    alternatives = []
    for place, kind in enumerate(kinds):
        for rows, segment in ((inside[place], kind), (~inside[place], other_leads(kind))):
            words = format_criterion(segment)
            for number, move in moves:
                turned = parse_criterion(move.proposed or "", attributes=definition.typed_attributes())
                passes = np.where(rows, dial.passes[number][:, None], dial.passes[0][:, None])
                table.append(passes.ravel())
                alternatives.append(
                    Alternative(
                        kind="segment",
                        proposed=say_segmented(turned, segment, criterion),
                        roundness=move.roundness,
                        distance=move.distance + 1,
                        segment=words,
                        everywhere=number,
                    )
                )
    segment_of = np.full(len(dial.codes), n_kinds, np.uint16)
    bit_of = np.full(1 << n_kinds, n_kinds, np.int64)
    for place, mask in enumerate(masks):
        segment_of[mask] = place
        bit_of[1 << (n_kinds - 1 - place)] = place
    raw = (dial.codes.astype(np.uint32) * (n_kinds + 1) + segment_of).astype(np.uint16)
    codes, passes, merge = merge_bins(raw, np.array(table).reshape(-1, n_bins * (n_kinds + 1)))
    finer = dial.merge.astype(np.int64)[:, None] * (n_kinds + 1) + bit_of
    return Dial(
        address=dial.address,
        written=dial.written,
        alternatives=tuple(alternatives),
        passes=passes,
        codes=codes,
        bins=replace(dial.bins, rules=(*dial.bins.rules, *kinds)),
        merge=merge[finer.ravel()],
        stands_in=dial.stands_in,
        segment=name,
    )


def compare_segments(
    inside: Moved, elsewhere: Moved, stakes: Stakes, *, error_rate: float
) -> tuple[Guardrail, float]:
    """Compare what the same move is worth per lead inside a segment and elsewhere.

    Thresholds that differ by segment need more than a gain there: the move must be shown to be worth more per
    lead that it moves in the segment than among the others. Both are asked for, so the larger of the two
    p-values is one of "it gains nothing, or no more there than elsewhere" (intersection-union test).

    Parameters
    ----------
    inside, elsewhere : Moved
        The leads that the move moves in the segment, and those that it would move elsewhere.
    stakes : Stakes
    error_rate : float
        One-sided, of the lower bound.

    Returns
    -------
    tuple of (Guardrail, float)
        The condition with its numbers, and the p-value.

    References
    ----------
    Berger (1982), "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24.
    """
    if not (_is_known(inside) and _is_known(elsewhere)):
        words = "who elsewhere would move by the same step is not known well enough to compare"
        return Guardrail(name=SEGMENTS_DIFFER, kept=False, words=words), 1.0
    parts = [(inside, 1.0), (elsewhere, -1.0)]
    k, n, sign, scale = [], [], [], []
    offset = 0.0
    for moved, way in parts:
        whole = float(moved.size_gained.sum() + moved.size_lost.sum())
        for side, part in (("gained", way), ("lost", -way)):
            size = getattr(moved, f"size_{side}") / whole
            k.append(getattr(moved, f"k_{side}"))
            n.append(getattr(moved, f"n_{side}"))
            sign.append(np.full(stakes.n_strata, part))
            scale.append(size * stakes.value)
            cost = stakes.cost_gained if side == "gained" else stakes.cost_lost
            offset -= part * float((cost * size)[stakes.value <= 0].sum())
    rates = np.concatenate([stakes.break_even("gained"), stakes.break_even("lost")] * 2)
    cells = {
        "k": np.concatenate(k),
        "n": np.concatenate(n),
        "sign": np.concatenate(sign),
        "scale": np.concatenate(scale),
        "break_even": np.where(np.isfinite(rates), rates, 0.0),
    }
    estimate, low, _ = mover_interval(
        **cells, offset=offset, confidence_level=1 - 2 * error_rate, alternative="two-sided"
    )
    words = (
        f"a lead that moves is worth {format_change(float(estimate))} {stakes.unit} more in the segment than "
        f"elsewhere, at least {format_change(float(low))}"
    )
    differs = Guardrail(name=SEGMENTS_DIFFER, kept=float(low) > 0, words=words)
    return differs, mover_p_value(**cells, offset=offset)


def _is_known(moved: Moved) -> bool:
    known_gained, known_lost = float(moved.size_gained.sum()), float(moved.size_lost.sum())
    return (
        moved.n > 0
        and known_gained >= KNOWN_SHARE * moved.accounts_gained
        and known_lost >= KNOWN_SHARE_LOST * moved.accounts_lost
    )

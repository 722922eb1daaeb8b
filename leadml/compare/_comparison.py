"""Hold a written definition against the leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._plotting import plot_quadrant, plot_ranges
from leadml._render import format_count, format_rate, format_rate_range, render_card, render_frame
from leadml.compare._cells import build_cells
from leadml.compare._contribution import compute_contributions, find_pays
from leadml.compare._levels import compare_levels_of
from leadml.compare._profile import MarginalProfile, compute_profiles
from leadml.compare._rates import TARGETS, Labels, Rate, Target, compute_difference, read_labels
from leadml.compare._reps import code_reps, compute_adjusted, describe_adjusted
from leadml.compare._selection import describe_selection
from leadml.compare._stability import compute_stability
from leadml.compare._structure import place_leads
from leadml.compare._unused import find_unused
from leadml.compare._verdict import judge_criteria
from leadml.compare._volume import Worth, compare_at_equal_precision, compare_at_equal_volume
from leadml.definitions import compute_points, compute_won_prices, evaluate_criteria

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.definitions import Criterion, Definition
    from leadml.leads import LeadTable
    from leadml.models import TrainedModel

    Mask = NDArray[np.bool_]

__all__ = ["DefinitionComparison", "compare_definition"]

DAYS_PER_MONTH = 365.2425 / 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DefinitionComparison:
    """What a written definition does to the leads, and what each of its criteria adds.

    Every rate is a share of *labelled* leads: leads whose verdict or outcome is settled. Leads that Sales
    never saw have no label; their number stands beside the number of labelled ones and nothing is filled in.

    Attributes
    ----------
    definition, version : str
        Which definition.
    n_leads : int
        Number of leads.
    months : float or None
        Length of the time the leads cover; None if their order is known but not their dates.
    criteria : DataFrame
        One row per criterion and target; see `to_frame`.
    classes : DataFrame
        One row per lead class and target: ``lead_class``, ``handed_over``, ``n_leads``, ``share``,
        ``target``, ``n`` (labelled), ``rate``, ``ci_low``, ``ci_high``.
    handoff : DataFrame
        One row per period (first ``all``) and target: ``period``, ``target``, ``n_leads``, ``n_handed_over``,
        ``n``, ``rate``, ``ci_low``, ``ci_high`` of the leads handed over, and ``n_rest``, ``rate_rest``,
        ``ci_low_rest``, ``ci_high_rest`` of the others; ``n_mature_rest`` of these are old enough and
        ``bound_low_rest`` and ``bound_high_rest`` hold the rate of *all* of them, whatever those
        without a label would have done (Manski 1989).
    at_equal_volume : DataFrame
        One row per target: the definition and the model choosing equally many of the newest leads, with the
        wins and the value left on the table, their ranges and a sentence (``reading``).
    at_equal_precision : DataFrame
        One row per target: how many of the newest leads each could hand over at the definition's rate, with
        the value left on the table, its range and a sentence (``reading``).
    contributions : DataFrame
        One row per criterion of a class that goes to Sales and target: Shapley credit and what would be
        missed without it, per 1,000 labelled leads, with ranges; ``sole_leads`` (decided by it alone),
        ``redundancy`` (share of the leads it stops that others stop too), ``lift`` given the rest.
    verdicts : DataFrame
        One row per criterion: ``verdict``, the ``rule`` that gave it, ``quadrant``, ``through``, ``stable``.
    stability : DataFrame
        Inside minus outside per criterion, target and period or segment.
    unused : DataFrame
        Attributes that no criterion uses, tested among the leads handed over.
    selection : DataFrame
        One row per target, ready to be shown: ``target``, ``n_handed_over``, ``n_rest`` (leads not handed
        over that are old enough), ``n_rest_labelled`` and ``overlap`` (how many and which share of these have
        a label after all), ``rate_rest`` of the labelled ones, ``bound_low`` and ``bound_high`` of all of
        them whatever the others would have done (Manski 1989), and ``reading``, a sentence that says what
        stays unknown. Nothing is filled in.
    adjusted : DataFrame
        One row per criterion, ready to be shown: acceptance inside minus outside, ``difference`` over all
        leads and ``difference_adjusted`` among leads of the same rep, each with ``_low`` and ``_high``, and
        a ``reading``. Empty without at least two reps.
    levels : DataFrame
        One row per level of each attribute that a criterion tests by level, and target: ``attribute``,
        ``level``, ``target``, ``n_leads``, ``share``, ``n`` (labelled), ``rate``, ``ci_low``, ``ci_high``.
    profiles : tuple of MarginalProfile
        The picture of each threshold of the handoff.
    notes : tuple of str
        What a reader must know before using a figure.
    """

    definition: str
    version: str
    n_leads: int
    months: float | None
    criteria: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    handoff: pd.DataFrame = field(repr=False)
    at_equal_volume: pd.DataFrame = field(repr=False)
    at_equal_precision: pd.DataFrame = field(repr=False)
    contributions: pd.DataFrame = field(repr=False)
    verdicts: pd.DataFrame = field(repr=False)
    stability: pd.DataFrame = field(repr=False)
    unused: pd.DataFrame = field(repr=False)
    selection: pd.DataFrame = field(repr=False)
    adjusted: pd.DataFrame = field(repr=False)
    levels: pd.DataFrame = field(repr=False)
    profiles: tuple[MarginalProfile, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per criterion and target.

        Returns
        -------
        DataFrame
            ``criterion``, ``lead_class``, ``attribute``, ``written``, ``measurable``, ``target``,
            ``n_leads``, ``fill_rate``, ``share_passing``; for the leads inside (that meet it) and outside:
            ``leads_*``, ``n_*`` (labelled), ``rate_*``, ``ci_low_*``, ``ci_high_*``; ``difference`` with
            ``difference_low``, ``difference_high``, for acceptance also ``difference_adjusted`` with
            its range (leads compared within the same rep); and what changes in the criterion's class when it
            is struck out: ``drop_leads`` (leads that change), ``drop_n`` (labelled), ``drop_rate`` with its
            range, ``drop_gain`` (change of the class's rate) with range.
        """
        return self.criteria.copy()

    def plot(self, ax: Axes | None = None, *, what: Literal["rates", "worth", "quadrant"] = "rates") -> Axes:
        """Plot the criteria.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure if None.
        what : {"rates", "worth", "quadrant"}, default "rates"
            Acceptance of leads that meet each criterion and of those that do not (won if unknown); what each
            criterion adds, per 1,000 leads (exact Shapley, and what would be missed without it); or what
            each side makes of it, acceptance against won deals.

        Returns
        -------
        Axes
        """
        if what == "worth":
            return plot_ranges(self._worth(), ax, xlabel="wins beyond break-even per 1,000 leads", percent="")
        if what == "quadrant":
            wide = self.criteria.pivot_table(
                index="written", columns="target", values="difference", sort=False, dropna=False
            )
            frame = pd.DataFrame({"label": wide.index, "x": wide["accepted"], "y": wide["won"]})
            return plot_quadrant(
                frame, ax, xlabel="accepted: meets it minus does not", ylabel="won: meets it minus does not"
            )
        if what != "rates":
            raise ValueError(f"what: expected 'rates', 'worth' or 'quadrant', got {what!r}.")
        target = self._target()
        part = self.criteria[(self.criteria["target"] == target) & self.criteria["measurable"]]
        sides = {"meets it": "inside", "does not": "outside"}
        rows = [
            part.assign(
                label=part["written"],
                group=group,
                value=part[f"rate_{side}"],
                ci_low=part[f"ci_low_{side}"],
                ci_high=part[f"ci_high_{side}"],
            )
            for group, side in sides.items()
        ]
        return plot_ranges(pd.concat(rows), ax, xlabel=target)

    def _target(self) -> Target:
        known = self.criteria.loc[self.criteria["target"] == "accepted", "n_inside"].any()
        return "accepted" if known else "won"

    def _worth(self) -> pd.DataFrame:
        won = self.contributions[self.contributions["target"] == "won"]
        known = won[["shapley", "leave_one_out"]].notna().any(axis=None)
        part = won if known else self.contributions[self.contributions["target"] == "accepted"]
        written = self.criteria.drop_duplicates("criterion").set_index("criterion")["written"]
        return pd.concat(
            part.assign(
                label=written.loc[part["criterion"]].to_numpy(),
                group=group,
                value=part[name],
                ci_low=part[f"{name}_low"],
                ci_high=part[f"{name}_high"],
            )
            for group, name in (("its share (Shapley)", "shapley"), ("missed without it", "leave_one_out"))
        )

    def __repr__(self) -> str:
        lines = [f"{self.definition} {self.version} on {format_count(self.n_leads)} leads"]
        total = self.handoff[(self.handoff["period"] == "all") & (self.handoff["n"] > 0)]
        rows: list[Any] = list(total.itertuples(index=False))
        lines += [
            f"  handed over {format_count(row.n_handed_over)}: {format_rate(row.rate)} {row.target} "
            f"({format_rate_range(row.ci_low, row.ci_high)}, {format_count(row.n)} labelled)"
            for row in rows
        ]
        criteria = self.criteria[self.criteria["target"] == "accepted"]
        lines.append(f"  {len(criteria)} criteria; .to_frame() has them one by one")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        columns = ["criterion", "written", "target", "share_passing", "n_inside", "rate_inside"]
        columns += ["n_outside", "rate_outside", "drop_n", "drop_gain"]
        title = f"{self.definition} {self.version} on {format_count(self.n_leads)} leads"
        parts: list[Markup | str] = [render_frame(self.criteria[columns])]
        return str(render_card(title, parts, notes=self.notes))


def compare_definition(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    models: Mapping[str, TrainedModel],
    n_resamples: int = 500,
    random_state: int = 0,
) -> DefinitionComparison:
    """Hold a written definition against the leads, criterion by criterion and on both targets.

    Parameters
    ----------
    definition : Definition
        The written definition.
    table : LeadTable
        The leads.
    targets : DataFrame of shape (n_leads, …)
        Their labels (`leadml.leads.compute_targets`).
    models : mapping of target to TrainedModel
        Models trained on the earlier leads; each is compared with the definition on its later ones only.
    n_resamples : int, default 500
        Resamples behind the ranges of Shapley credit and of the volume at equal precision.
    random_state : int, default 0
        Their seed.

    Returns
    -------
    DefinitionComparison

    Raises
    ------
    DefinitionError, LeadsError
        If the leads lack an attribute that a criterion needs.
    """
    frame = table.frame
    evaluated = evaluate_criteria(definition, frame)
    met = {str(column): evaluated[column].to_numpy(dtype=bool) for column in evaluated.columns}
    placed = place_leads(definition, met, n_leads=len(frame))
    labels = read_labels(targets)
    positions = [i for i, c in enumerate(definition.classes) if definition.handed_over(c.name)]
    handed_over = np.asarray(np.isin(placed, positions), dtype=np.bool_)
    known = _known_values(definition, frame)
    reps = code_reps(table)
    described = pd.DataFrame(
        [
            _describe_criterion(
                criterion,
                target,
                _Evidence(
                    definition, met, placed, labels[target], known, reps if target == "accepted" else None
                ),
            )
            for criterion in definition.criteria()
            for target in TARGETS
        ],
        columns=list(_CRITERIA_COLUMNS),
    )
    cells = build_cells(definition, met, n_leads=len(frame))
    pays = find_pays(definition, labels, handed_over)
    contributions = compute_contributions(
        cells, labels, pays, n_resamples=n_resamples, random_state=random_state
    )
    profiles = compute_profiles(
        definition,
        frame,
        cells=cells,
        labels=labels,
        break_even={target: pays[target].gained for target in TARGETS},
    )
    stability = compute_stability(met, _parts(definition, frame, targets), labels)
    handoff = _describe_handoff(handed_over, labels, targets)
    worth = _find_worth(definition, frame)
    return DefinitionComparison(
        definition=definition.name,
        version=definition.version,
        n_leads=len(frame),
        months=_months(targets),
        criteria=described,
        classes=_describe_classes(definition, placed, labels),
        handoff=handoff,
        at_equal_volume=compare_at_equal_volume(handed_over, models, index=frame.index, worth=worth),
        at_equal_precision=compare_at_equal_precision(
            handed_over,
            models,
            index=frame.index,
            n_resamples=n_resamples,
            random_state=random_state,
            worth=worth,
        ),
        contributions=contributions,
        verdicts=judge_criteria(
            definition,
            cells=cells,
            labels=labels,
            pays=pays,
            criteria=described,
            contributions=contributions,
            profiles=profiles,
            stability=stability,
        ),
        stability=stability,
        unused=find_unused(definition, table, targets, handed_over=handed_over, labels=labels),
        selection=describe_selection(handoff),
        adjusted=describe_adjusted(described),
        levels=compare_levels_of(definition, frame, labels),
        profiles=profiles,
        notes=(*_notes(definition, handed_over, labels), *_account_note(table)),
    )


def _find_worth(definition: Definition, frame: pd.DataFrame) -> Worth | None:
    prices = definition.prices
    if prices.won_default is None or prices.worked_lead is None:
        return None
    won = compute_won_prices(definition, frame).to_numpy(dtype=np.float64)
    return Worth(won=won, worked_lead=float(prices.worked_lead))


def _parts(
    definition: Definition, frame: pd.DataFrame, targets: pd.DataFrame
) -> dict[str, NDArray[np.object_]]:
    from leadml.models import find_segments  # scikit-learn comes with it

    columns = {"period": targets["period"]} | {name: frame[name] for name in find_segments(definition, frame)}
    return {
        name: column.astype(object).where(column.notna(), None).to_numpy() for name, column in columns.items()
    }


def _account_note(table: LeadTable) -> tuple[str, ...]:
    account = table.role("account")
    if account is None or account.nunique() == 0 or account.notna().sum() < 1.2 * account.nunique():
        return ()
    per = account.notna().sum() / account.nunique()
    return (f"{per:.1f} leads per account on average: the ranges count leads, so they are too narrow.",)


_CRITERIA_COLUMNS = {
    **dict.fromkeys(("criterion", "lead_class", "attribute", "written", "measurable", "target", "n_leads")),
    **dict.fromkeys(("fill_rate", "share_passing")),
    **dict.fromkeys(f"{name}_inside" for name in ("leads", "n", "rate", "ci_low", "ci_high")),
    **dict.fromkeys(f"{name}_outside" for name in ("leads", "n", "rate", "ci_low", "ci_high")),
    **dict.fromkeys(("difference", "difference_low", "difference_high")),
    **dict.fromkeys(("difference_adjusted", "difference_adjusted_low", "difference_adjusted_high")),
    **dict.fromkeys(("drop_leads", "drop_n", "drop_rate", "drop_ci_low", "drop_ci_high")),
    **dict.fromkeys(("drop_gain", "drop_gain_low", "drop_gain_high")),
}


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What every criterion is judged with."""

    definition: Definition
    met: Mapping[str, Mask]
    placed: NDArray[np.int64]
    labels: Labels
    known: Mapping[str, Mask]
    reps: NDArray[np.int64] | None


def _known_values(definition: Definition, frame: pd.DataFrame) -> dict[str, Mask]:
    known = {
        name: frame[name].notna().to_numpy(dtype=bool)
        for name in definition.typed_attributes()
        if name in frame.columns
    }
    if definition.points:
        points = compute_points(definition, frame)
        known |= {str(name): points[name].notna().to_numpy(dtype=bool) for name in points.columns}
    return known


def _describe_criterion(criterion: Criterion, target: Target, evidence: _Evidence) -> dict[str, Any]:
    n_leads = len(evidence.placed)
    row: dict[str, Any] = {
        "criterion": criterion.address,
        "lead_class": criterion.address.partition(".")[0],
        "attribute": criterion.attribute,
        "written": criterion.text,
        "measurable": criterion.address in evidence.met,
        "target": target,
        "n_leads": n_leads,
    }
    known = evidence.known.get(criterion.attribute or "")
    row["fill_rate"] = float(known.mean()) if known is not None and n_leads else nan
    if not row["measurable"]:
        # Prose is met by nobody, and nothing can be said of it.
        return row | {
            "share_passing": nan,
            "leads_inside": 0,
            "n_inside": 0,
            "leads_outside": 0,
            "n_outside": 0,
        }
    inside = evidence.met[criterion.address]
    row["share_passing"] = float(inside.mean()) if n_leads else nan
    rates = {"inside": evidence.labels.rate(inside), "outside": evidence.labels.rate(~inside)}
    for side, rate in rates.items():
        row[f"leads_{side}"] = int(np.count_nonzero(inside if side == "inside" else ~inside))
        row |= _columns(rate, suffix=f"_{side}")
    row |= dict(
        zip(
            ("difference", "difference_low", "difference_high"),
            compute_difference(rates["inside"], rates["outside"]),
            strict=True,
        )
    )
    row |= dict(
        zip(
            ("difference_adjusted", "difference_adjusted_low", "difference_adjusted_high"),
            compute_adjusted(inside, evidence.labels, evidence.reps),
            strict=True,
        )
    )
    return row | _strike_out(criterion, evidence)


def _strike_out(criterion: Criterion, evidence: _Evidence) -> dict[str, Any]:
    """Say what changes in the criterion's class when it is struck out."""
    definition, placed = evidence.definition, evidence.placed
    names = [lead_class.name for lead_class in definition.classes]
    position = next(i for i, c in enumerate(definition.classes) if criterion in c.criteria())
    without = place_leads(
        definition, evidence.met, n_leads=len(placed), without=frozenset({criterion.address})
    )
    before, after = placed == position, without == position
    gained, lost = after & ~before, before & ~after
    old, new, changed = (evidence.labels.rate(mask) for mask in (before, after, gained | lost))
    row: dict[str, Any] = {
        "lead_class": names[position],
        "drop_leads": int(np.count_nonzero(gained | lost)),
        "drop_n": changed.n,
        "drop_rate": changed.rate,
        "drop_ci_low": changed.ci_low,
        "drop_ci_high": changed.ci_high,
        "drop_gain": nan,
        "drop_gain_low": nan,
        "drop_gain_high": nan,
    }
    # The class's rate moves by the share of changed leads times their distance from the unchanged ones.
    kept = evidence.labels.rate(before & after)
    if changed.n and old.n and new.n and not (gained.any() and lost.any()):
        weight = changed.n / max(old.n, new.n) * (1 if gained.any() else -1)
        ends = (
            sorted(weight * value for value in compute_difference(changed, kept)[1:])
            if kept.n
            else (nan, nan)
        )
        row |= {"drop_gain": new.rate - old.rate, "drop_gain_low": ends[0], "drop_gain_high": ends[1]}
    return row


def _columns(rate: Rate, *, suffix: str = "") -> dict[str, Any]:
    return {
        f"n{suffix}": rate.n,
        f"rate{suffix}": rate.rate,
        f"ci_low{suffix}": rate.ci_low,
        f"ci_high{suffix}": rate.ci_high,
    }


def _describe_classes(
    definition: Definition, placed: NDArray[np.int64], labels: Mapping[Target, Labels]
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for position, lead_class in enumerate(definition.classes):
        inside = placed == position
        common = {
            "lead_class": lead_class.name,
            "handed_over": definition.handed_over(lead_class.name),
            "n_leads": int(np.count_nonzero(inside)),
            "share": float(inside.mean()) if len(inside) else nan,
        }
        rows += [common | {"target": target} | _columns(labels[target].rate(inside)) for target in TARGETS]
    return pd.DataFrame(rows)


def _describe_handoff(
    handed_over: Mask, labels: Mapping[Target, Labels], targets: pd.DataFrame
) -> pd.DataFrame:
    period = targets["period"].astype(object).to_numpy()
    everyone = np.ones(len(handed_over), dtype=np.bool_)
    parts = {"all": everyone} | {
        name: period == name for name in sorted(set(targets["period"].dropna().astype(str)))
    }
    rows = [
        {
            "period": name,
            "target": target,
            "n_leads": int(np.count_nonzero(part)),
            "n_handed_over": int(np.count_nonzero(part & handed_over)),
        }
        | _columns(labels[target].rate(part & handed_over))
        | _columns(labels[target].rate(part & ~handed_over), suffix="_rest")
        | _bound(labels[target], part & ~handed_over, targets[f"{target}_mature"].to_numpy(dtype=bool))
        for name, part in parts.items()
        for target in TARGETS
    ]
    return pd.DataFrame(rows)


def _bound(labels: Labels, mask: Mask, mature: Mask) -> dict[str, float]:
    """Bound the rate of all mature leads of `mask`: those without a label all lost, or all won."""
    n = int(np.count_nonzero(mask & mature))
    known, wins = (int(np.count_nonzero(mask & side)) for side in (labels.known, labels.positive))
    low, high = (wins / n, (wins + n - known) / n) if n else (nan, nan)
    return {"n_mature_rest": n, "bound_low_rest": low, "bound_high_rest": high}


def _months(targets: pd.DataFrame) -> float | None:
    begin = targets["t0"].dropna()
    if begin.empty or not pd.api.types.is_datetime64_any_dtype(begin):
        return None
    return max(int((begin.max() - begin.min()).days), 1) / DAYS_PER_MONTH


def _notes(definition: Definition, handed_over: Mask, labels: Mapping[Target, Labels]) -> tuple[str, ...]:
    notes: list[str] = []
    prose = [criterion.text for criterion in definition.criteria() if not criterion.measurable]
    if prose:
        notes.append(
            f"{len(prose)} criteria are not measurable and met by nobody: {'; '.join(sorted(prose)[:5])}."
        )
    for target in TARGETS:
        outside = ~handed_over
        n = int(np.count_nonzero(outside & labels[target].known))
        words = {"accepted": "verdict", "won": "outcome"}[target]
        if not labels[target].known.any():
            notes.append(f"No lead has a settled {words}: nothing can be said about it.")
        elif np.count_nonzero(outside) and n < 0.05 * np.count_nonzero(outside):
            notes.append(
                f"Of {np.count_nonzero(outside):,} leads that the definition does not hand over, "
                f"{n or 'none'} {'has' if n <= 1 else 'have'} a settled {words}: what loosening would bring "
                "cannot be read from these leads."
            )
    return tuple(notes)

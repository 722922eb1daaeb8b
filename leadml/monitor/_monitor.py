"""Whether the champion still does what was promised, on leads like those it was signed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._render import format_count
from leadml.definitions import Definition, assign_classes
from leadml.errors import LeadsError
from leadml.models import Bundle, TrainedModel
from leadml.monitor._labels import (
    CALIBRATION_COLUMNS,
    HANDLING_COLUMNS,
    compare_follow_up,
    compare_reps,
    expect_rates,
    judge_calibration,
    predict_targets,
)
from leadml.monitor._plan import SHARES, Plan, Schedule, make_plan
from leadml.monitor._promise import (
    PROMISE_COLUMNS,
    WORDS,
    Promise,
    handed_over,
    judge_promises,
    promise_from_rows,
    signed_definition,
)
from leadml.monitor._report import MonitorReport
from leadml.monitor._shift import (
    MIN_LEADS,
    compare_attributes,
    compare_classes,
    compare_criteria,
    compare_together,
    compare_volume,
    mix_p_value,
    watched_attributes,
)
from leadml.monitor._signals import (
    attribute_signals,
    calibration_signals,
    handling_signals,
    promise_signals,
    together_signal,
    volume_signals,
)
from leadml.propose import JudgedChange, ProposalSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import NDArray

    from leadml.leads import LeadTable
    from leadml.models import UntrainedModel

    Bits = NDArray[np.bool_]

__all__ = ["monitor_definition"]


def monitor_definition(
    definition: Definition,
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    models: Bundle | Mapping[str, TrainedModel | UntrainedModel] | None = None,
    promise: Promise | JudgedChange | ProposalSet | None = None,
    since: date | None = None,
    baseline_from: date | None = None,
    as_of: date | None = None,
    error_rate: float = 0.05,
    schedule: Schedule | None = None,
    random_state: int = 0,
) -> MonitorReport:
    """Watch a champion between two reviews: promise, calibration, shift of the leads, handling.

    The alarm is one decision. If nothing has changed, the chance of even one false alarm in a year of weekly
    looks, over everything in the report, is at most `error_rate`. It is shared among six families (promise
    35 %, calibration 25 %, attributes 15 %, all attributes together 10 %, volume and mix 10 %, handling 5 %;
    families that cannot be there give theirs to the others). Promises are judged by evidence that may be
    looked at whenever one likes (an e-process, Ville's inequality), also against a rate that falls later. The
    other families split their share evenly over the planned looks and use Holm's step-down inside one look
    (union bound, whatever the dependence). Only leads up to the last planned look are tested, so that running
    the command daily instead of weekly spends nothing more.

    Nothing is retrained, recalibrated or rewritten here: an alarm calls both sides to a review.

    Parameters
    ----------
    definition : Definition
        The champion, as signed.
    table : LeadTable
        The closed loop: leads before the sign-off and since.
    targets : DataFrame
        From `compute_targets`.
    models : Bundle or mapping of str to TrainedModel or UntrainedModel, optional
        Trained on leads before `since`; without them calibration and expected rates are left out.
    promise : Promise, JudgedChange or ProposalSet, optional
        What was promised when the champion was signed. A proposal promises the rates that its definition has
        on the matured leads before `since`. By default these rates of the champion itself.
    since : date, optional
        First day of the champion; by default the definition's `effective_from` if there are leads before it,
        else the newest `schedule.window_days` are watched.
    baseline_from : date, optional
        First day of the leads that are compared with; by default all before `since`.
    as_of : date, optional
        Day of the look, by default the table's; not later than that.
    error_rate : float, default 0.05
        Chance of a false alarm over all planned looks.
    schedule : Schedule, optional
        By default 52 weekly looks; shifts are looked for in the leads of the newest 91 days.
    random_state : int, default 0
        Halves of the test of all attributes together.

    Returns
    -------
    MonitorReport

    Raises
    ------
    LeadsError
        If the targets belong to other leads, or `as_of` or `since` do not fit the leads.
    ExperimentError
        If the proposal carries no definition.

    References
    ----------
    .. [1] Waudby-Smith, Ramdas (2023), "Estimating means of bounded random variables by betting", JRSS B 86
       (evidence that may be looked at every week).
    .. [2] Rabanser, Günnemann, Lipton (2019), "Failing loudly", NeurIPS 32 (one by one with a family-wise
       correction beside a classifier).

    Examples
    --------
    >>> import datetime as dt
    >>> from leadml.definitions import parse_definition
    >>> from leadml.leads import DEMO_DEFINITION, compute_targets, generate_leads
    >>> table, _ = generate_leads(3000, random_state=1)
    >>> champion = parse_definition(DEMO_DEFINITION)
    >>> report = monitor_definition(champion, table, compute_targets(table), since=dt.date(2025, 10, 1))
    >>> report.look, report.alarm
    (26, False)
    """
    _check(table, targets, error_rate)
    plan, notices = make_plan(
        definition,
        table,
        targets,
        since=since,
        baseline_from=baseline_from,
        as_of=as_of,
        schedule=schedule or Schedule(),
        levels=_share(error_rate, table, models),
    )
    classes = assign_classes(definition, table.frame, as_of=table.as_of)
    handed = handed_over(definition, classes) & targets["worked"].to_numpy(dtype=bool)
    promised, alpha, said = _find_promise(promise, table, targets, plan, champion=(definition, handed))
    notices += said
    kept = judge_promises(promised, targets, plan, handed=handed, error_rate=alpha)
    predictions = predict_targets(models, table, plan.fresh)
    notices += _check_models(models, plan)
    calibrated = {name: judge_calibration(item, targets, plan) for name, item in predictions.items()}
    before, now = plan.once(plan.baseline), plan.once(plan.window)
    names = watched_attributes(table.contract, table.frame)
    attributes = compare_attributes(table.frame, names, before, now)
    together = compare_together(table.frame, names, before, now, random_state=random_state)
    weeks, volume = _count_weeks(plan, classes, definition)
    mix = mix_p_value(classes, before, now)
    handling = [
        row
        for row in (
            compare_reps(table, targets, plan),
            compare_follow_up(table, plan, handed=handed_over(definition, classes)),
        )
        if row is not None
    ]
    if min(before.sum(), now.sum()) < MIN_LEADS:
        notices.append(
            f"{format_count(float(before.sum()))} leads before and {format_count(float(now.sum()))} newest: "
            f"shifts are compared from {MIN_LEADS} on."
        )
    notices += _count_damaged(table)
    mixed = compare_classes(definition, classes, before, now, weeks=_spans(plan))
    return MonitorReport(
        definition=definition.name,
        version=definition.version,
        bundle=models.digest if isinstance(models, Bundle) else None,
        as_of=plan.as_of if plan.as_of.year > 1970 else None,  # the day of leads without any date
        since=plan.since,
        look=plan.look,
        n_looks=plan.schedule.n_looks,
        look_on=plan.look_on,
        error_rate=error_rate,
        n_before=int(plan.baseline.sum()),
        n_since=int(plan.fresh.sum()),
        n_newest=int(plan.window.sum()),
        manifest=table.manifest,
        signals=(
            *promise_signals(kept, table, plan),
            *calibration_signals(calibrated, plan),
            *attribute_signals(attributes, plan),
            together_signal(together, plan),
            *volume_signals(volume, mix, mixed, plan),
            *handling_signals(handling, plan),
        ),
        promise=promised,
        volume=volume,
        together={name: float(getattr(together, name)) for name in together.__slots__},
        weeks=weeks,
        classes=mixed,
        promises=pd.DataFrame(
            [[getattr(item, name) for name in PROMISE_COLUMNS] for item in kept],
            columns=list(PROMISE_COLUMNS),
        ),
        calibration=pd.DataFrame(
            [item.to_dict() for item in calibrated.values()], columns=list(CALIBRATION_COLUMNS)
        ),
        expected=expect_rates(predictions, calibrated, plan, handed=handed_over(definition, classes)),
        attributes=attributes,
        criteria=compare_criteria(definition, table.frame, before, now, as_of=table.as_of),
        handling=pd.DataFrame(handling, columns=list(HANDLING_COLUMNS)),
        notices=tuple(notices),
    )


# ---- what is given -----------------------------------------------------------------------------------


def _check(table: LeadTable, targets: pd.DataFrame, error_rate: float) -> None:
    if not 0 < error_rate < 1:
        raise LeadsError(f"error_rate: expected a number between 0 and 1, got {error_rate!r}.")
    if len(targets) != len(table.frame):
        raise LeadsError(
            f"targets: expected one row for each of the {len(table.frame):,} leads, got {len(targets):,}. "
            "Take them from compute_targets(table)."
        )


def _share(
    error_rate: float, table: LeadTable, models: Bundle | Mapping[str, Any] | None
) -> dict[str, float]:
    """Share the error rate among the families that can be there, from what is given and never from data."""
    present = dict(SHARES)
    if table.contract.column_by_role("verdict") is None and table.contract.column_by_role("outcome") is None:
        del present["promise"]
    if models is None:
        del present["calibration"]
    if table.contract.column_by_role("rep") is None and table.contract.column_by_role("decided") is None:
        del present["handling"]
    total = sum(present.values())
    return {family: error_rate * present.get(family, 0.0) / total for family in SHARES}


def _find_promise(
    promise: Promise | JudgedChange | ProposalSet | None,
    table: LeadTable,
    targets: pd.DataFrame,
    plan: Plan,
    *,
    champion: tuple[Definition, Bits],
) -> tuple[Promise, float, list[str]]:
    """Return what was promised, the error of judging each rate, and what a reader must know."""
    definition, rows = champion
    error_rate = plan.levels["promise"] / len(WORDS)
    if isinstance(promise, Promise):
        if promise.version in {"", definition.version}:
            return promise, error_rate, []
        told = f"The promise was given for version {promise.version}, the champion is {definition.version}."
        return promise, error_rate, [told]
    if isinstance(promise, ProposalSet):
        promise = promise.proposals[0] if promise.proposals else None
    signed = definition
    if promise is not None:
        signed = signed_definition(promise)
        rows = handed_over(signed, assign_classes(signed, table.frame, as_of=table.as_of))
        rows = rows & targets["worked"].to_numpy(dtype=bool)
    # Half of the error is for the chance that the bound taken from the leads before was too high.
    found = promise_from_rows(
        signed.version,
        targets,
        {name: plan.once(plan.mature_at_start(name) & rows) for name in WORDS},
        error_rate=error_rate / 2,
    )
    notes = []
    if promise is None:
        notes.append(
            "No signed promise is given: the champion's rates on the leads before are taken as one."
            if found.rates
            else "Nothing was promised, and the leads before are too few to take their rates instead."
        )
    return found, error_rate / 2, notes


def _check_models(models: Bundle | Mapping[str, Any] | None, plan: Plan) -> list[str]:
    if models is None or isinstance(models, Bundle):
        return []
    seen = [
        target
        for target, model in models.items()
        if isinstance(model, TrainedModel) and plan.fresh[model.holdout.index.to_numpy(dtype=np.int64)].any()
    ]
    return [
        f"The model of {WORDS[target]} was trained or judged on leads that are watched here: its calibration "
        "looks better than it is. Use the models of the sign-off."
        for target in seen
    ]


def _count_damaged(table: LeadTable) -> list[str]:
    manifest = table.manifest
    damaged = manifest.quarantined + sum(other.quarantined for other in manifest.other_tables)
    if not damaged:
        return []
    return [
        f"{format_count(float(damaged))} damaged rows of the export were put aside; they are not watched."
    ]


def _spans(plan: Plan) -> tuple[float, float]:
    """Weeks covered by the leads before and by the newest; 0 without dates."""
    if not plan.dated or plan.since is None or plan.look_on is None:
        return 0.0, 0.0
    last = pd.Timestamp(plan.look_on)
    first = max(pd.Timestamp(plan.since), last - pd.Timedelta(days=plan.schedule.window_days))
    known = plan.start[plan.baseline]
    before = (pd.Timestamp(plan.since) - known.min()).days / 7 if len(known) else 0.0
    return before, (last - first).days / 7


def _count_weeks(
    plan: Plan, classes: pd.Series, definition: Definition
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Count whole weeks on either side of the sign-off, by class."""
    names = [lead_class.name for lead_class in definition.classes]
    columns = ["week", "part", "n", *(f"n_{name}" for name in names)]
    empty = {"before": float("nan"), "now": float("nan"), "p_value": float("nan")}
    if not plan.dated or plan.since is None or plan.look_on is None:
        return pd.DataFrame(columns=columns), empty
    rows = plan.baseline | plan.fresh
    number = plan.days_since(rows) // 7
    last = (plan.look_on - plan.since).days // 7
    # The oldest week may have begun before the export did.
    first = min(int(number.min()) + 1, 0) if number.size else 0
    span = np.arange(first, last)
    inside = (number >= first) & (number < last)
    totals = np.bincount(number[inside] - first, minlength=span.size)
    counts = {"n": totals}
    for name in names:
        of_class = (classes == name).to_numpy(dtype=bool)[rows] & inside
        counts[f"n_{name}"] = np.bincount(number[of_class] - first, minlength=span.size)
    monday = pd.Timestamp(plan.since) + pd.to_timedelta(span * 7, unit="D")
    weeks = pd.DataFrame(
        {
            "week": [str(day.date()) for day in monday],
            "part": np.where(span < 0, "before", "since"),
            **counts,
        },
        columns=columns,
    )
    n_newest = min(last, max(1, plan.schedule.window_days // 7))
    n_before = int((span < 0).sum())
    totals = np.concatenate([totals[:n_before], totals[totals.size - n_newest :]])
    return weeks, compare_volume(totals, n_before=n_before, n_now=n_newest)

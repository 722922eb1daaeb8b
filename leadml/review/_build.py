"""Results of a run to the words of a review."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from leadml._render import (
    format_count,
    format_money,
    format_points,
    format_rate,
    format_rate_range,
)
from leadml.definitions import parse_criterion
from leadml.errors import DefinitionError
from leadml.review._parts import Bar, Change, ClassLine, CriterionLine, Figure, Parts, PeriodLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    import pandas as pd

    from leadml.compare import DefinitionComparison
    from leadml.definitions import Attribute, Criterion, Definition
    from leadml.models import TrainedModel, UntrainedModel
    from leadml.review._parts import Run

__all__ = ["SMALLEST_GROUP", "build_parts", "describe_change"]

SMALLEST_GROUP = 5
"""Smaller groups are not shown: a figure on four leads is a figure on four people."""

_TARGETS = {"accepted": "accepted by Sales", "won": "won"}
_TITLES = {"accepted": "Accepted by Sales", "won": "Won"}
_SPACE = "\N{NO-BREAK SPACE}"
_NO_COLUMN = {"", "None", "nan", "<NA>"}
_NEWEST = 4
_MOST = 5
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
    units = _units(definition, found)
    proposals = tuple(_change(entry, units) for entry in found.get("proposals", ()))
    promising = tuple(_change(entry, units) for entry in found.get("promising", ()))
    as_of = run.table.as_of
    return Parts(
        title=definition.name,
        version=definition.version,
        question=run.experiment.question,
        meaning=definition.meaning,
        as_of=_day(as_of),
        verdict=_verdict(run, proposals, promising),
        today=_today(comparison),
        tiles=_tiles(comparison),
        periods=_periods(comparison),
        classes=_classes(comparison, definition),
        proposals=proposals,
        promising=promising,
        kept=_kept(definition, found, units),
        criteria=_criteria(definition, comparison, found),
        explore=_explore(found, units),
        disagreement=_disagreement(definition, comparison),
        reasons=_reasons(run),
        followup=_followup(run),
        predicted=_predicted(run),
        models=tuple(_model_line(target, model) for target, model in run.models.items()),
        rows=_rows(run),
        quarantine=_quarantine(run),
        audit=tuple((finding.severity, _plain(finding.message)) for finding in run.audit.findings),
        notes=(
            *run.table.manifest.notices,
            *(comparison.notes if comparison is not None else ()),
            *found.get("notices", ()),
        ),
        owners=definition.owners,
        next_review=_next_review(definition, as_of),
        facts=_facts(run, found),
    )


# ---- figures -------------------------------------------------------------------------------------


def _figure(row: Any, suffix: str = "") -> Figure:
    """Read ``n``, ``rate``, ``ci_low`` and ``ci_high`` of a row; small groups are not shown."""
    n = int(getattr(row, f"n{suffix}"))
    if n < SMALLEST_GROUP:
        text = "no answer yet" if n == 0 else "too few"
        return Figure(text=text, range="–", n=_few(n), value=nan, low=nan, high=nan, shown=False)
    rate, low, high = (float(getattr(row, f"{name}{suffix}")) for name in ("rate", "ci_low", "ci_high"))
    return Figure(
        text=format_rate(rate),
        range=format_rate_range(low, high),
        n=format_count(n),
        value=rate,
        low=low,
        high=high,
        shown=True,
    )


def _few(n: int) -> str:
    return "0" if n == 0 else f"under {SMALLEST_GROUP}" if n < SMALLEST_GROUP else format_count(n)


def _rows_of(frame: pd.DataFrame, **equal: object) -> list[Any]:
    part = frame
    for column, value in equal.items():
        part = part[part[column] == value]
    return list(part.itertuples(index=False))


# ---- today ---------------------------------------------------------------------------------------


def _today(comparison: DefinitionComparison | None) -> tuple[str, ...]:
    if comparison is None:
        return ()
    rows = {row.target: row for row in _rows_of(comparison.handoff, period="all")}
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
    for target, words in _TARGETS.items():
        inside, rest = _figure(rows[target]), _figure(rows[target], "_rest")
        if inside.shown and rest.shown:
            lines.append(f"Of these {inside.line} are {words}; of all other leads {rest.line}.")
        elif inside.shown:
            lines.append(
                f"Of these {inside.line} are {words}; of the other leads nobody knows ({rest.text})."
            )
    return tuple(lines)


def _tiles(comparison: DefinitionComparison | None) -> tuple[tuple[str, str, str], ...]:
    if comparison is None:
        return ()
    rows = {row.target: row for row in _rows_of(comparison.handoff, period="all")}
    volume = rows["accepted"]
    total = f"{format_count(volume.n_handed_over)} of {format_count(volume.n_leads)} leads"
    if comparison.months:
        first = ("Leads to Sales, per month", format_count(volume.n_handed_over / comparison.months), total)
    else:
        first = ("Leads to Sales", format_count(volume.n_handed_over), total)
    tiles = [first]
    for target, title in _TITLES.items():
        figure = _figure(rows[target])
        small = f"{figure.range}, n = {figure.n}" if figure.shown else f"{figure.n} leads with an answer"
        tiles.append((title, figure.text, small))
    return tuple(tiles)


def _periods(comparison: DefinitionComparison | None) -> tuple[PeriodLine, ...]:
    """Return the newest four periods, newest first."""
    if comparison is None:
        return ()
    names = sorted({str(name) for name in comparison.handoff["period"]} - {"all"})
    lines = []
    for name in names[: -_NEWEST - 1 : -1]:
        rows = {row.target: row for row in _rows_of(comparison.handoff, period=name)}
        lines.append(
            PeriodLine(
                name=name,
                leads=_few(rows["accepted"].n_leads),
                handed_over=_few(rows["accepted"].n_handed_over),
                accepted=_figure(rows["accepted"]),
                won=_figure(rows["won"]),
            )
        )
    return tuple(lines)


def _classes(comparison: DefinitionComparison | None, definition: Definition) -> tuple[ClassLine, ...]:
    if comparison is None:
        return ()
    lines = []
    for lead_class in definition.classes:
        rows = {row.target: row for row in _rows_of(comparison.classes, lead_class=lead_class.name)}
        row = rows["accepted"]
        few = 0 < row.n_leads < SMALLEST_GROUP
        lines.append(
            ClassLine(
                name=lead_class.name,
                meaning=lead_class.meaning,
                handed_over=definition.handed_over(lead_class.name),
                leads=_few(row.n_leads),
                share="–" if few else format_rate(row.share),
                accepted=_figure(row),
                won=_figure(rows["won"]),
            )
        )
    return tuple(lines)


# ---- proposals -----------------------------------------------------------------------------------


def _verdict(run: Run, proposals: Sequence[Change], promising: Sequence[Change]) -> str:
    if run.proposals is None:
        return ""
    if len(proposals) == 1:
        return f"One change is proposed: {proposals[0].sentence}."
    if proposals:
        return f"{len(proposals)} changes are proposed."
    if promising:
        return "No change is proposed. Something looks promising, but the leads do not show it yet."
    return "No change is proposed: keep the definition as it is."


@dataclass(frozen=True, slots=True)
class _Units:
    """What changes are counted in: money or deals, per month or per period."""

    currency: str | None
    unit: str | None
    per: str

    def value(self, amount: float | None) -> str:
        if self.unit is not None and self.unit != self.currency:
            return f"{format_count(amount)}{_SPACE}{self.unit}"
        return format_money(amount, currency=self.currency)

    def deals(self, amount: float | None) -> str:
        return f"{_number(amount)} won deals"

    def leads(self, amount: float | None) -> str:
        return f"{_number(amount)} accepted leads"


def _units(definition: Definition, found: Mapping[str, Any]) -> _Units:
    stakes = found.get("stakes") or {}
    return _Units(definition.prices.currency, stakes.get("unit"), str(found.get("per") or "month"))


def _number(value: float | None) -> str:
    if value is None or not isfinite(value):
        return format_count(None)
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if abs(value) < 1 and value else format_count(value)


def _change(entry: Mapping[str, Any], units: _Units) -> Change:
    gains = {
        "Value": _gain(entry, "value", units.value, units.per),
        "Won deals": _gain(entry, "won", units.deals, units.per),
        "Accepted leads": _gain(entry, "accepted", units.leads, units.per),
    }
    headline = next((text for text in gains.values() if text), "")
    details = [
        ("Leads that change", _few(int(entry.get("n_changed") or 0))),
        (f"More leads to Sales, per {units.per}", format_count(entry.get("gained_per_month"))),
        (f"Fewer leads to Sales, per {units.per}", format_count(entry.get("lost_per_month"))),
        *gains.items(),
        ("Why", _reword(str(entry.get("reason") or ""))),
    ]
    if _given(entry, "tipping_point"):
        rate = format_rate(entry["tipping_point"])
        details.append(("Fails if", f"the leads nobody picked win less often than {rate}"))
    return Change(
        sentence=describe_change(entry),
        headline=headline,
        grade=str(entry.get("grade") or ""),
        details=tuple((name, text) for name, text in details if text not in {"–", "", headline}),
    )


def describe_change(entry: Mapping[str, Any]) -> str:
    """Say a change in one line: the class, the new rule, the old one."""
    addresses, written, proposed, kinds = (
        str(entry.get(key) or "").split(" + ") for key in ("criterion", "written", "proposed", "kind")
    )
    said = []
    for number, address in enumerate(addresses):
        where = address.partition(".")[0]
        old, new, kind = (
            _say(parts[number]) if number < len(parts) else "" for parts in (written, proposed, kinds)
        )
        if kind == "dropped" or new in {"", "(dropped)"}:
            said.append(f"{where}: drop “{old}”")
        elif kind == "added" or not old:
            said.append(f"{where}: also ask for “{new}”")
        else:
            said.append(f"{where}: “{new}” instead of “{old}”")
    return "; ".join(said)


def _say(rule: str) -> str:
    """Write a rule as people do: one sign for at least and one for at most, and never broken after it."""
    for sign, written in ((">=", "≥"), ("<=", "≤"), ("!=", "≠")):
        rule = rule.replace(sign, written)
    return re.sub(r"([≥≤≠<>=]) ", f"\\1{_SPACE}", rule)


def _reword(reason: str) -> str:
    """Take a reason out of the place it was written for: it stands beside its rule here."""
    reason = re.sub(r"^keep `[^`]*`: ", "", reason)
    reason = re.sub(r" \(p = [^)]*\)", "", reason)
    reason = re.sub(r"\.? Estimates that just pass .*", ".", reason)
    reason = reason[:1].upper() + reason[1:]
    return re.sub(r"`([^`]*)`", lambda rule: f"“{_say(rule[1])}”", reason)


def _given(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key)
    return value is not None and isfinite(value)


def _gain(entry: Mapping[str, Any], key: str, form: Callable[[float | None], str], per: str) -> str:
    """Say a gain with its lower end first."""
    if not _given(entry, f"{key}_low"):
        return ""
    low, value, high = (entry.get(name) for name in (f"{key}_low", key, f"{key}_high"))
    ends = f"best guess {form(value)}" + (f", at most {form(high)}" if _given(entry, f"{key}_high") else "")
    if low is not None and low < 0:
        return f"Between {form(low)} and {form(high)} a {per} (best guess {form(value)})"
    return f"At least {form(low)} more a {per} ({ends})"


def _kept(
    definition: Definition, found: Mapping[str, Any], units: _Units
) -> tuple[tuple[str, str, str], ...]:
    lines = []
    for entry in found.get("kept", ()):
        details = []
        if entry.get("n_changed"):
            details.append(f"{_few(int(entry['n_changed']))} leads would change")
        if _given(entry, "detectable"):
            details.append(
                f"a gain under {units.value(entry['detectable'])} a {units.per} would not have shown"
            )
        reason = _reword(str(entry.get("reason") or ""))
        lines.append((_written(definition, entry.get("criterion")), reason, "; ".join(details)))
    # Criteria that stay for the same reason share a line.
    shared: dict[tuple[str, str], list[str]] = {}
    for written, reason, detail in lines:
        rules = shared.setdefault((reason, detail), [])
        if written not in rules:
            rules.append(written)
    return tuple((" · ".join(rules), reason, detail) for (reason, detail), rules in shared.items())


def _written(definition: Definition, address: object) -> str:
    known = {criterion.address: criterion.text for criterion in definition.criteria()}
    return _say(known.get(str(address), str(address)))


def _explore(found: Mapping[str, Any], units: _Units) -> tuple[tuple[str, str, str, str], ...]:
    lines = []
    for entry in found.get("explore", ()):
        weeks = f"{format_count(entry.get('weeks'))} weeks" if _given(entry, "weeks") else "–"
        rule = f"“{_say(str(entry.get('to') or ''))}” instead of “{_say(str(entry.get('from') or ''))}”"
        cost = format_money(entry.get("cost"), currency=units.currency)
        lines.append((rule, format_count(entry.get("n")), weeks, cost))
    return tuple(lines)


# ---- criteria ------------------------------------------------------------------------------------


def _criteria(
    definition: Definition, comparison: DefinitionComparison | None, found: Mapping[str, Any]
) -> tuple[CriterionLine, ...]:
    if comparison is None:
        return ()
    top = {
        target: max(
            (
                _figure(row, side).high
                for row in _rows_of(comparison.criteria, target=target)
                for side in _SIDES
            ),
            key=lambda high: high if isfinite(high) else 0.0,
            default=1.0,
        )
        for target in _TARGETS
    }
    return tuple(
        _criterion(
            definition,
            criterion,
            _rows_of(comparison.criteria, criterion=criterion.address),
            judged=_rows_of(comparison.verdicts, criterion=criterion.address)[0],
            top=top,
            found=found,
        )
        for criterion in definition.criteria()
    )


_SIDES = {"_inside": "meets it", "_outside": "does not"}


def _criterion(
    definition: Definition,
    criterion: Criterion,
    rows: Sequence[Any],
    *,
    judged: Any,
    top: Mapping[str, float],
    found: Mapping[str, Any],
) -> CriterionLine:
    verdict, reason = _judge(criterion, judged, found)
    rates, bars = [], []
    for row in rows if criterion.measurable else ():
        pair = [_figure(row, side) for side in _SIDES]
        rates.append((_TITLES[row.target], pair[0], pair[1]))
        scale = top[row.target] if isfinite(top[row.target]) and top[row.target] > 0 else 1.0
        drawn = tuple(
            Bar(value=100 * f.value / scale, low=100 * f.low / scale, high=100 * f.high / scale, kind=kind)
            for f, kind in zip(pair, ("in", "out"), strict=True)
            if pair[0].shown and pair[1].shown
        )
        bars.append((_TITLES[row.target], drawn))
    return CriterionLine(
        written=_say(criterion.text),
        lead_class=rows[0].lead_class,
        to_sales=definition.handed_over(rows[0].lead_class),
        verdict=verdict,
        reason=reason,
        filled=format_rate(rows[0].fill_rate),
        passing=format_rate(rows[0].share_passing),
        rates=tuple(rates),
        bars=tuple(bars),
        dropped=_dropped(rows) if criterion.measurable else "",
    )


def _judge(criterion: Criterion, judged: Any, found: Mapping[str, Any]) -> tuple[str, str]:
    """Say the verdict: what is proposed, else to keep it, with where the leads point."""
    for entry in found.get("proposals", ()):
        if criterion.address in str(entry.get("criterion")).split(" + "):
            return _direction(
                criterion, entry, found["attributes"]
            ), f"A change is proposed above. {judged.rule}"
    for entry in found.get("promising", ()):
        if criterion.address in str(entry.get("criterion")).split(" + "):
            return "watch", "A change looks promising but is not shown yet."
    remarks = []
    if judged.through:
        remarks.append(f"It matters only through “{_say(_text_of(found, judged.through))}”.")
    if judged.stable is False:
        remarks.append("It does not separate leads in the same way in every period.")
    # Where a search was made, only what it confirmed is a call for change.
    verdict = str(judged.verdict)
    if verdict in {"tighten", "loosen", "drop"} and found:
        remarks.insert(
            0, f"All settled leads together point to “{verdict}”, but the newest do not confirm it."
        )
        verdict = "keep"
    return verdict, " ".join([judged.rule, *remarks])


def _text_of(found: Mapping[str, Any], address: str) -> str:
    return str(found.get("texts", {}).get(address, address))


def _direction(criterion: Criterion, entry: Mapping[str, Any], attributes: Mapping[str, Attribute]) -> str:
    """Say which way a proposal moves one criterion: by its own rule, else by the leads that it moves."""
    addresses, proposed, kinds = (
        str(entry.get(key) or "").split(" + ") for key in ("criterion", "proposed", "kind")
    )
    own = addresses.index(criterion.address)
    if own < len(kinds) and kinds[own] == "dropped":
        return "drop"
    with suppress(DefinitionError, IndexError, TypeError, ValueError):
        later = parse_criterion(proposed[own], attributes=attributes)
        if later.operator == criterion.operator and later.operator in {">=", ">", "<=", "<"}:
            levels = attributes[str(criterion.attribute)].levels
            old, new = (
                levels.index(str(c.values[0])) if levels else float(c.values[0])  # noqa: PD011 - no frame
                for c in (criterion, later)
            )
            if old != new:
                return "loosen" if (new < old) == (later.operator in {">=", ">"}) else "tighten"
    gained, lost = (float(entry.get(key) or 0.0) for key in ("gained_per_month", "lost_per_month"))
    if gained and lost:
        return "change"
    return "loosen" if gained else "tighten"


def _dropped(rows: Sequence[Any]) -> str:
    row = rows[0]
    if row.drop_leads == 0:
        return "Without it nothing would change: other criteria stop the same leads."
    if row.drop_leads < SMALLEST_GROUP:
        return f"Without it under {SMALLEST_GROUP} leads would change class."
    changed = f"Without it {format_count(row.drop_leads)} leads would change class"
    effects = [
        f"{_TARGETS[r.target]} {format_points(r.drop_gain)}"
        for r in rows
        if r.drop_n >= SMALLEST_GROUP and isfinite(r.drop_gain)
    ]
    if effects:
        return f"{changed}; the class would change by: {', '.join(effects)}."
    return f"{changed}; nobody knows what these would bring."


def _at_equal_volume(comparison: DefinitionComparison | None) -> tuple[str, ...]:
    if comparison is None:
        return ()
    lines = []
    for row in _rows_of(comparison.at_equal_volume):
        if row.volume < SMALLEST_GROUP or not isfinite(row.difference):
            continue
        if row.volume == row.n:
            lines.append(
                "Only leads that the definition hands over have an answer, so nobody can say whether "
                "the model would choose better ones."
            )
            continue
        lines.append(
            f"Choosing {format_count(row.volume)} of the {format_count(row.n)} newest leads with an answer: "
            f"the definition's are {format_rate(row.rate_definition)} {_TARGETS[str(row.target)]} "
            f"({format_rate_range(row.ci_low_definition, row.ci_high_definition)}), the model's "
            f"{format_rate(row.rate_model)} ({format_rate_range(row.ci_low_model, row.ci_high_model)})."
        )
    return tuple(lines)


def _model_line(target: str, model: TrainedModel | UntrainedModel) -> str:
    """Say how well a model does, for those who ask."""
    evaluation = getattr(model, "evaluation", None)
    if evaluation is None:
        return f"{_TARGETS[target]}: no model; {getattr(model, 'reason', '')}"
    metrics = evaluation.metrics
    if not metrics["n_test"] or metrics["auc"] != metrics["auc"]:  # nan: the later leads do not tell
        return f"{_TARGETS[target]}: a model, but too few later leads to judge it by"
    area = f"{metrics['auc']:.2f} ({metrics['auc_low']:.2f}–{metrics['auc_high']:.2f})"
    counts = (
        f"trained on {format_count(metrics['n_train'])} earlier leads, "
        f"judged on {format_count(metrics['n_test'])} later ones"
    )
    return f"{_TARGETS[target]}: area under the curve {area}, {counts}. {evaluation.verdict}"


def _predicted(run: Run) -> tuple[str, ...]:
    """Say what can be predicted, without a figure that needs explaining."""
    words = {"accepted": "what Sales accepts", "won": "which deals are won"}
    lines = []
    for target, model in run.models.items():
        evaluation = getattr(model, "evaluation", None)
        if evaluation is None:
            lines.append(f"There are too few answers to learn {words[target]}.")
        elif evaluation.predictive:
            lines.append(f"What is known about a lead helps to predict {words[target]}.")
        else:
            lines.append(f"Nothing that is known about a lead predicts {words[target]}.")
    lines += _at_equal_volume(run.comparison)
    if run.comparison is not None:
        matter = run.comparison.unused
        for row in _rows_of(matter[matter["matters"].astype(bool)])[:_MOST]:
            lines.append(
                f"No criterion uses “{row.attribute}”, but among the leads handed over it separates those "
                f"{_TARGETS[row.target]} ({row.reading})."
            )
    return tuple(dict.fromkeys(lines))


def _disagreement(
    definition: Definition, comparison: DefinitionComparison | None
) -> tuple[tuple[str, str], ...]:
    """Name the criteria that one side likes and the deals do not bear out, or the reverse."""
    if comparison is None:
        return ()
    split = comparison.verdicts[comparison.verdicts["quadrant"].isin(_DISAGREE)]
    lines = {(_written(definition, row.criterion), str(row.quadrant)) for row in _rows_of(split)}
    return tuple(sorted(lines))


_DISAGREE = frozenset(
    {
        "Sales likes it but it closes less",
        "it closes but Sales likes it less",
        "Sales likes it; that it closes is not shown",
        "it closes; that Sales likes it is not shown",
    }
)


def _reasons(run: Run) -> tuple[tuple[str, str], ...]:
    """Count the reasons that Sales gave for rejecting leads."""
    reason, verdict = run.table.role("reason"), run.table.role("verdict")
    if reason is None or verdict is None:
        return ()
    rejected = reason[(verdict == "rejected") & reason.notna()].map(str)
    counts = rejected.value_counts()
    counts = counts[counts >= SMALLEST_GROUP].head(_MOST)
    return tuple(
        (str(name), f"{format_count(n)} ({format_rate(n / len(rejected))})") for name, n in counts.items()
    )


def _followup(run: Run) -> tuple[str, ...]:
    """Say what happened to the leads that Sales could have worked."""
    verdict, decided = run.table.role("verdict"), run.table.role("decided")
    if verdict is None:
        return ()
    mature = run.targets["accepted_mature"].to_numpy(dtype=bool)
    worked = run.targets["worked"].to_numpy(dtype=bool)
    waiting = int((mature & worked & (verdict == "pending").to_numpy()).sum())
    lines = []
    if waiting >= SMALLEST_GROUP:
        lines.append(
            f"{format_count(waiting)} leads that went to Sales have no verdict, although there was time."
        )
    begin = run.targets["t0"]
    if decided is not None and begin.dtype.kind == "M" and decided.dtype.kind == "M":
        naive = decided.dt.tz_localize(None) if decided.dt.tz is not None else decided
        days = (naive - begin).dt.days.dropna()
        if len(days) >= SMALLEST_GROUP:
            half, most = (format_count(max(float(days.quantile(share)), 0.0)) for share in (0.5, 0.9))
            lines.append(f"Half of the verdicts came within {half} days, nine of ten within {most} days.")
    return tuple(lines)


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
        (f"{'whole row' if column in _NO_COLUMN else column}: {rule.replace('_', ' ')}", _few(n))
        for (column, rule), n in ordered[:8]
    )


def _plain(message: str) -> str:
    """Leave out what only a statistician reads; it stands in the audit itself."""
    return re.sub(r" \([^()]*(?:\bp [0-9=<]|AUC|Cram|PSI|chi)[^()]*\)", "", message)


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

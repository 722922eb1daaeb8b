"""The linter's look at the leads: what a definition meets in the data."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadml.definitions._columns import Codes, open_columns
from leadml.definitions._definition import Criterion
from leadml.definitions._evaluate import assign_classes, criterion_mask
from leadml.definitions._grammar import format_criterion
from leadml.definitions._report import Finding
from leadml.definitions._rules import RULES
from leadml.definitions._words import join_words
from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import ArrayLike, NDArray

    from leadml.definitions._columns import Numbers
    from leadml.definitions._definition import Attribute, Definition

    Mask = NDArray[np.bool_]

__all__ = ["lint_on_leads"]

LOW_FILL = 0.5
DEFAULT_SHARE = 0.8
PLACEHOLDER_SHARE = 0.01
MIN_LEADS = 50
MIN_SHOWN = 5
"""A level that fewer leads have is counted, not shown: it may be about one person."""
MIN_GAP, MIN_Z = 0.25, 5.0
_PLACEHOLDERS = frozenset(
    {"select", "select...", "please select", "-- select --", "choose", "choose one", "choose...", "default"}
    | {
        "--none--",
        "- none -",
        "-none-",
        "n/a",
        "na",
        "null",
        "tbd",
        "to be determined",
        "?",
        "-",
        "--",
        "...",
    }
    | {"not specified", "not provided", "unspecified", "unknown", "undefined", "other/unknown"}
)


@dataclass(slots=True)
class _Look:
    """One definition on one table of leads."""

    definition: Definition
    leads: pd.DataFrame
    as_of: date
    attributes: Mapping[str, Attribute]
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, message: str, fix: str, *, line: int = 0, criterion: str | None = None) -> None:
        """Note a finding."""
        severity = RULES[code].severity
        self.findings.append(
            Finding(code=code, severity=severity, line=line, criterion=criterion, message=message, fix=fix)
        )


def lint_on_leads(
    definition: Definition,
    leads: pd.DataFrame,
    *,
    as_of: date,
    accepted: ArrayLike | None = None,
    won: ArrayLike | None = None,
) -> list[Finding]:
    """Look at what the criteria of a definition meet in a table of leads; see `lint_definition`."""
    look = _Look(definition, leads, as_of, definition.typed_attributes())
    scores = {score.name for score in definition.points}
    used = {item.attribute for item in definition.criteria() if item.measurable}
    for score in definition.points:
        used |= {rule.when.attribute for rule in score.rules if rule.when.measurable}
        used |= {rule.age for rule in score.rules if rule.age is not None}
    columns: dict[str, Numbers | Codes] = {}
    for attribute in definition.attributes:
        if attribute.name in used - scores:
            column = _open(look, attribute)
            if column is not None:
                columns[attribute.name] = column
    if not len(leads):
        return look.findings
    labels = {"accepted": _labels(accepted, leads), "won": _labels(won, leads)}
    for name, column in columns.items():
        _look_at_fill(look, look.attributes[name], column, labels)
        if isinstance(column, Codes) and look.attributes[name].type != "boolean":
            _look_at_levels(look, look.attributes[name])
    if all(name in columns for name in used - scores if name is not None):
        _look_at_criteria(look, columns)
        _look_at_classes(look)
    return look.findings


def _open(look: _Look, attribute: Attribute) -> Numbers | Codes | None:
    test = Criterion(
        address="", attribute=attribute.name, operator="is known", text=f"{attribute.name} is known"
    )
    try:
        opened = open_columns(look.definition, look.leads, criteria=[test], as_of=look.as_of)
    except LeadsError as error:
        base = attribute.age_of or attribute.name
        code = "LD602" if base in look.leads.columns else "LD601"
        for finding in error.findings:
            fix = "Make the contract and the definition agree."
            look.add(
                code, finding.removeprefix("leads: "), fix, line=attribute.line, criterion=attribute.name
            )
        return None
    return opened.get(attribute.name)


def _labels(values: ArrayLike | None, leads: pd.DataFrame) -> NDArray[np.float64] | None:
    if values is None:
        return None
    found = np.asarray(pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    if len(found) != len(leads):
        raise LeadsError(f"leads: expected one label per lead ({len(leads):,}), got {len(found):,}.")
    return found


def _known(column: Numbers | Codes) -> Mask:
    return column.data >= 0 if isinstance(column, Codes) else ~np.isnan(column.data)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


# -- columns -----------------------------------------------------------------------------------------------


def _look_at_fill(
    look: _Look,
    attribute: Attribute,
    column: Numbers | Codes,
    labels: Mapping[str, NDArray[np.float64] | None],
) -> None:
    known = _known(column)
    if known.mean() < LOW_FILL:
        look.add(
            "LD611",
            f"{attribute.name!r} is known for {_percent(float(known.mean()))} of {len(known):,} leads.",
            "Ask for it where the lead comes in, say `or missing`, or do without it.",
            line=attribute.line,
            criterion=attribute.name,
        )
    for target, label in labels.items():
        if label is None:
            continue
        yes, no = known[label == 1], known[label == 0]
        if min(len(yes), len(no)) < MIN_LEADS:
            continue
        gap = float(yes.mean() - no.mean())
        pooled = float(np.concatenate([yes, no]).mean())
        error = np.sqrt(pooled * (1 - pooled) * (1 / len(yes) + 1 / len(no)))
        if abs(gap) >= MIN_GAP and abs(gap) >= MIN_Z * error:
            look.add(
                "LD617",
                f"{attribute.name!r} is known for {_percent(float(yes.mean()))} of the {target} leads and "
                f"{_percent(float(no.mean()))} of the others.",
                "Find out when it is filled in; if after the handoff, say `known_at: after` and drop it.",
                line=attribute.line,
                criterion=attribute.name,
            )


def _look_at_levels(look: _Look, attribute: Attribute) -> None:
    raw = look.leads[attribute.name].dropna().astype(str)
    counts = raw.value_counts()
    if attribute.levels:
        strange = counts[~counts.index.isin(attribute.levels)]
        if len(strange):
            shown = [_level(str(level), int(n), attribute) for level, n in strange.items() if n >= MIN_SHOWN]
            rest = len(strange) - min(len(shown), 5)
            names = shown[:5] + ([f"{rest} more level{'s' * (rest != 1)}"] if rest else [])
            what = (
                "counts as missing" if attribute.type == "ordinal" else "matches no level of the definition"
            )
            look.add(
                "LD613",
                f"{attribute.name!r}: {int(strange.sum()):,} leads have a level that is not in the list and "
                f"{what}: {join_words(names)}.",
                "Add the levels to the definition, or map them in the contract.",
                line=attribute.line,
                criterion=attribute.name,
            )
    for level, n in counts.items():
        text = str(level)
        if text.strip().lower() in _PLACEHOLDERS and n / len(look.leads) >= PLACEHOLDER_SHARE:
            look.add(
                "LD614",
                f"{attribute.name!r}: {int(n):,} leads ({_percent(n / len(look.leads))}) have {text!r}, "
                "which nobody chose.",
                f"Read it as missing: `missing: [{text}]` in the contract.",
                line=attribute.line,
                criterion=attribute.name,
            )
            return
    if len(counts) > 1 and len(raw) >= MIN_LEADS and counts.iloc[0] / len(raw) >= DEFAULT_SHARE:
        share = _percent(float(counts.iloc[0] / len(raw)))
        look.add(
            "LD614",
            f"{attribute.name!r}: {share} of the leads that have a value have {str(counts.index[0])[:40]!r}; "
            "perhaps it is only the default of the list.",
            "Make the field empty by default, or ask for it.",
            line=attribute.line,
            criterion=attribute.name,
        )


def _level(level: str, n: int, attribute: Attribute) -> str:
    folded = {known.casefold().strip(): known for known in attribute.levels}
    close = folded.get(level.casefold().strip())
    if close is None:
        found = difflib.get_close_matches(level, attribute.levels, n=1, cutoff=0.8)
        close = found[0] if found else None
    hint = f", perhaps {close!r}" if close else ""
    return f"{level[:40]!r} ({n:,}{hint})"


# -- criteria and classes ----------------------------------------------------------------------------------


def _look_at_criteria(look: _Look, columns: Mapping[str, Numbers | Codes]) -> None:
    for criterion in look.definition.criteria():
        if not criterion.measurable:
            continue
        met = criterion_mask(criterion, look.leads, definition=look.definition, as_of=look.as_of)
        if met.all() or not met.any():
            who = "every lead meets it" if met.all() else "no lead meets it"
            look.add(
                "LD612",
                f"`{format_criterion(criterion)}` separates nobody: {who}.",
                "Move the threshold to where there are leads on both sides, or drop it.",
                line=criterion.line,
                criterion=criterion.address,
            )
        column = columns.get(criterion.attribute or "")
        if isinstance(column, Codes) and look.attributes[criterion.attribute or ""].type != "boolean":
            _look_for_levels(look, criterion)


def _look_for_levels(look: _Look, criterion: Criterion) -> None:
    found = set(look.leads[criterion.attribute].dropna().astype(str).unique())
    absent = [str(level) for level in criterion.values if str(level) not in found]  # noqa: PD011
    if absent and criterion.operator in {"=", "!=", "in", "not in"}:
        close = {level: difflib.get_close_matches(level, sorted(found), n=1, cutoff=0.85) for level in absent}
        hints = [f"{level!r}{f' (perhaps {near[0]!r})' if near else ''}" for level, near in close.items()]
        look.add(
            "LD618",
            f"`{format_criterion(criterion)}`: no lead has {join_words(hints, last='or')}.",
            "Check the spelling; levels are compared letter by letter.",
            line=criterion.line,
            criterion=criterion.address,
        )


def _look_at_classes(look: _Look) -> None:
    classes = assign_classes(look.definition, look.leads, as_of=look.as_of)
    n_leads = len(classes)
    counts = classes.value_counts()
    names = [item.name for item in look.definition.classes]
    parts = [f"{name} {_percent(counts[name] / n_leads)} ({counts[name]:,})" for name in names]
    none = int(classes.isna().sum())
    parts += [f"no class {_percent(none / n_leads)} ({none:,})"] if none else []
    line = min((item.line for item in look.definition.classes), default=0)
    look.add("LD615", f"Of {n_leads:,} leads: {', '.join(parts)}.", "Compare with what was meant.", line=line)
    for item in look.definition.classes:
        if counts[item.name] in {0, n_leads}:
            who = "No lead is" if counts[item.name] == 0 else "Every lead is"
            look.add(
                "LD616",
                f"{who} {item.name!r}.",
                "Move its thresholds to where there are leads.",
                line=item.line,
                criterion=item.name,
            )

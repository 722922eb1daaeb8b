"""Past versions of a definition on the same leads, and what moved the volume between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from itertools import combinations, pairwise
from math import factorial, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._plotting import plot_bars
from leadml._render import (
    format_count,
    format_rate,
    format_rate_range,
    render_card,
    render_frame,
    text_block,
    text_table,
)
from leadml.definitions import assign_classes
from leadml.errors import LeadmlError, LeadsError
from leadml.metrics import wilson_interval
from leadml.review._versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import LeadTable

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

__all__ = ["Replay", "replay_versions"]

DAYS_PER_MONTH = 365.25 / 12
PARTS = ("arrivals", "mix", "data_quality", "definition")
MIN_LEADS = 20
MIN_SHOWN = 5
_TARGETS = ("accepted", "won")
_RATES = ("n", "rate", "ci_low", "ci_high")
_VERSION_COLUMNS = (
    *("version", "from_on", "until_on", "in_force", "sentence", "signed", "problem"),
    *("n_leads", "n_replayed", "share_replayed", "per_month_replayed"),
    *(f"{name}_{target}_replayed" for target in _TARGETS for name in _RATES),
    *("n_arrived", "n_since", "per_month_since"),
    *(f"{name}_{target}_since" for target in _TARGETS for name in _RATES),
)
_SPLIT_COLUMNS = (
    *("version_before", "version_after", "n_before", "n_after", "per_month_before", "per_month_after"),
    *(
        name
        for part in ("change", *PARTS)
        for name in (f"{part}_per_month", f"{part}_ci_low", f"{part}_ci_high")
    ),
    "problem",
)

_ALL_DAYS = Version(name="", version="", sha256="")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """What each version of a definition hands over of the same leads, and how it did in its own days.

    Attributes
    ----------
    name : str
        The definition.
    as_of : date
        The day of the leads.
    versions : DataFrame
        One row per version in force, oldest first. ``…_replayed``: of all leads at hand, whenever they came;
        ``…_since``: of the leads of its own days. Rates are among leads whose label is settled, with their
        95 % range; leads that were never handed over have none, so a replayed rate describes only those
        that Sales saw.
    splits : DataFrame
        One row per pair of neighbours: leads a month handed over before and after, the ``change``, and its
        parts, which add up to it: ``arrivals`` (more or fewer leads), ``mix`` (other leads), ``data_quality``
        (values that are missing or not in the list), ``definition`` (other rules), each with a 95 % range.
    """

    name: str
    as_of: date
    versions: pd.DataFrame = field(repr=False)
    splits: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return `versions`, a copy."""
        return self.versions.copy()

    def __repr__(self) -> str:
        lines = [f"{self.name}: {len(self.versions)} versions on the same leads, as of {self.as_of}"]
        lines += [f"  {row['version']}: {_replayed(row)}" for row in _rows(self.versions)]
        lines += [f"  {line}" for line in self.sentences()]
        return "\n".join(lines[:10])

    def report(self) -> tuple[str, ...]:
        """Return the whole of it as lines for a terminal."""
        rows = [
            [row["version"], "—", "", "", row["problem"]]
            if row["problem"]
            else [
                str(row["version"]),
                format_count(row["n_replayed"]),
                _per_month(row["per_month_replayed"]),
                _rate_words(row, "accepted", "replayed"),
                _rate_words(row, "won", "replayed"),
            ]
            for row in _rows(self.versions)
        ]
        since = [
            [
                str(row["version"]),
                format_count(row["n_since"]),
                _per_month(row["per_month_since"]),
                _rate_words(row, "accepted", "since"),
                _rate_words(row, "won", "since"),
            ]
            for row in _rows(self.versions)
            if not row["problem"]
        ]
        header = ["version", "to Sales", "a month", "accepted", "won"]
        n_leads = format_count(int(self.versions["n_leads"].iloc[0]))
        return (
            f"EVERY VERSION ON THE SAME {n_leads} LEADS (as of {self.as_of})",
            text_table(header, rows, align="lrrrr"),
            "  Rates are among leads that Sales saw; what was never handed over has no answer.",
            "",
            "HOW EACH DID IN ITS OWN DAYS",
            text_table(header, since, align="lrrrr"),
            *(("", "WHAT MOVED THE VOLUME") if len(self.splits) else ()),
            *(text_block(f"- {line}", indent="  ") for line in self.sentences()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: ``as_of``, ``replayed`` (one row per version), ``splits``."""
        return {
            "as_of": self.as_of.isoformat(),
            "replayed": _records(self.versions),
            "splits": _records(self.splits),
        }

    def sentences(self) -> tuple[str, ...]:
        """Say each change of volume and its parts in one sentence."""
        return tuple(_sentence(row) for row in _rows(self.splits))

    def _repr_html_(self) -> str:
        shown = self.versions[["version", "from_on", "until_on", "n_replayed", "per_month_replayed"]]
        shown = shown.assign(
            **{
                f"{target} %": [_rate_words(row, target, "replayed") for row in _rows(self.versions)]
                for target in _TARGETS
            }
        )
        shown = shown.rename(columns=lambda name: str(name).replace("_", " "))
        title = f"{self.name}: every version on the same leads, as of {self.as_of}"
        return str(render_card(title, [render_frame(shown)], notes=self.sentences()))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the parts of the last change of volume that could be split, with their ranges."""
        known = self.splits[self.splits["problem"] == ""]
        if known.empty:
            raise LeadsError("no change of volume could be split; `splits` says why.")
        last = known.iloc[-1]
        rows = [
            {
                "label": part.replace("_", " "),
                "value": last[f"{part}_per_month"],
                "ci_low": last[f"{part}_ci_low"],
                "ci_high": last[f"{part}_ci_high"],
            }
            for part in ("change", *PARTS)
        ]
        return plot_bars(
            pd.DataFrame(rows),
            ax,
            xlabel=f"leads a month to Sales, {last['version_before']} → {last['version_after']}",
        )


def replay_versions(
    versions: Sequence[Version],
    table: LeadTable,
    targets: pd.DataFrame,
    *,
    n_resamples: int = 1_000,
    random_state: int = 0,
) -> Replay:
    """Apply every version to the same leads and split each change of volume.

    Between two neighbours four things may differ: how many leads arrived, which leads, how many of the
    values that the rules ask for are missing or unreadable, and the rules. Volume is computed for all sixteen
    mixtures of before and after; each part is its average effect over all orders (its Shapley value), so that
    the parts add up to the change and none depends on an order.

    Parameters
    ----------
    versions : sequence of Version
        From `list_versions`.
    table : LeadTable
        The leads.
    targets : DataFrame
        From `leadml.leads.compute_targets`.
    n_resamples : int, default 1000
        Resamples of the counted leads (Poisson) for the ranges of a split; leads are taken to arrive
        independently.
    random_state : int, default 0
        Seed of the resamples.

    Returns
    -------
    Replay

    Raises
    ------
    LeadsError
        If there are no leads.

    References
    ----------
    P. Das Gupta (1993), "Standardization and decomposition of rates", U.S. Bureau of the Census;
    A. F. Shorrocks (2013), "Decomposition procedures for distributional analysis", J. Economic Inequality 11.
    """
    if not versions or not len(table.frame):
        raise LeadsError("replay: there are no versions or no leads.")
    spells = [_Spell.of(version, table, targets) for version in versions]
    rows = [_describe(spell, table, targets) for spell in spells]
    splits = [
        _split(before, after, table, n_resamples=n_resamples, random_state=random_state)
        for before, after in pairwise(spell for spell in spells if spell.version.decision != "draft")
    ]
    return Replay(
        name=versions[-1].name,
        as_of=table.as_of,
        versions=pd.DataFrame(rows, columns=list(_VERSION_COLUMNS)),
        splits=pd.DataFrame(splits, columns=list(_SPLIT_COLUMNS)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spell:
    """A version, what it hands over of all leads, and the leads of its own days."""

    version: Version
    definition: Definition | None
    handed: Mask | None
    arrived: Mask
    months: float
    problem: str

    @classmethod
    def of(cls, version: Version, table: LeadTable, targets: pd.DataFrame) -> _Spell:
        definition, problem, handed = version.definition, "", None
        if definition is None:
            problem = "its file is missing or altered"
        else:
            try:
                classes = assign_classes(definition, table.frame, as_of=table.as_of)
            except LeadmlError as error:
                problem = f"it cannot be applied to these leads: {error.findings[0]}"
            else:
                handed = np.asarray(classes.isin(list(definition.handoff)), dtype=np.bool_)
        arrived, months = _days_of(version, targets)
        return cls(
            version=version,
            definition=definition,
            handed=handed,
            arrived=arrived,
            months=months,
            problem=problem,
        )


def _days_of(version: Version, targets: pd.DataFrame) -> tuple[Mask, float]:
    """Return the leads that arrived while a version held, and for how many months of the export it did."""
    t0 = targets["t0"]
    if t0.dtype.kind != "M" or not t0.notna().any():
        return np.zeros(len(t0), dtype=np.bool_), nan
    first, last = t0.min().normalize(), t0.max().normalize() + pd.Timedelta(days=1)
    start = first if version.from_on is None else max(first, pd.Timestamp(version.from_on))
    end = last if version.until_on is None else min(last, pd.Timestamp(version.until_on))
    arrived = ((t0 >= start) & (t0 < end)).to_numpy(dtype=np.bool_)
    return arrived, max((end - start).days, 0) / DAYS_PER_MONTH


# ---- one version ---------------------------------------------------------------------------------


def _describe(spell: _Spell, table: LeadTable, targets: pd.DataFrame) -> dict[str, Any]:
    version = spell.version
    everyone = np.ones(len(table.frame), dtype=np.bool_)
    row: dict[str, Any] = {
        "version": version.version,
        "from_on": version.from_on,
        "until_on": version.until_on,
        "in_force": version.in_force,
        "sentence": version.sentence,
        "signed": version.signed_by(),
        "problem": spell.problem,
        "n_leads": len(everyone),
        "n_arrived": int(spell.arrived.sum()),
    }
    if spell.handed is None:
        return row
    _, months = _days_of(_ALL_DAYS, targets)
    for suffix, rows, span in (("replayed", everyone, months), ("since", spell.arrived, spell.months)):
        chosen = spell.handed & rows
        row[f"n_{suffix}"] = n = int(chosen.sum())
        row[f"per_month_{suffix}"] = n / span if span > 0 else nan
        for target in _TARGETS:
            found = _rate(targets, target, chosen)
            row |= {f"{name}_{target}_{suffix}": value for name, value in zip(_RATES, found, strict=True)}
    return row | {"share_replayed": row["n_replayed"] / len(everyone)}


def _rate(targets: pd.DataFrame, target: str, chosen: Mask) -> tuple[int, float, float, float]:
    """Return n, rate and its 95 % range among settled labels; open and young leads have none."""
    label = targets[target].to_numpy(dtype=np.float64, na_value=nan)
    known = chosen & ~np.isnan(label) & targets[f"{target}_mature"].to_numpy(dtype=np.bool_)
    n, k = int(known.sum()), int((label[known] == 1.0).sum())
    if n < MIN_SHOWN:  # a group this small would describe people
        return n, nan, nan, nan
    low, high = wilson_interval(k, n)
    return n, k / n, float(low), float(high)


# ---- between two versions ------------------------------------------------------------------------


def _split(
    before: _Spell, after: _Spell, table: LeadTable, *, n_resamples: int, random_state: int
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "version_before": before.version.version,
        "version_after": after.version.version,
        "n_before": int(before.arrived.sum()),
        "n_after": int(after.arrived.sum()),
        "problem": _why_not(before, after),
    }
    if row["problem"]:
        return row
    counts = _count(before, after, table)
    months = np.array([before.months, after.months])
    drawn = np.random.default_rng(random_state).poisson(counts, size=(n_resamples, *counts.shape))
    parts = _decompose(counts[None], months)
    low, high = np.quantile(_decompose(drawn, months), [0.025, 0.975], axis=0)
    volume = _volume(counts[None], months)
    row |= {"per_month_before": float(volume[0, 0, 0, 0, 0]), "per_month_after": float(volume[0, 1, 1, 1, 1])}
    for number, name in enumerate(("change", *PARTS)):
        row[f"{name}_per_month"] = float(parts[0, number])
        row[f"{name}_ci_low"], row[f"{name}_ci_high"] = float(low[number]), float(high[number])
    return row


def _why_not(before: _Spell, after: _Spell) -> str:
    for spell in (before, after):
        if spell.handed is None:
            return f"{spell.version.version}: {spell.problem}"
        if not spell.months > 0 or spell.arrived.sum() < MIN_LEADS:
            return f"fewer than {MIN_LEADS} leads with a date arrived while {spell.version.version} held"
    return ""


def _count(before: _Spell, after: _Spell, table: LeadTable) -> NDArray[np.int64]:
    """Count leads by period, pattern of unusable values, and by whom of the two versions hands them over.

    Returns
    -------
    ndarray of int, shape (2, n_patterns, 2, 2)
    """
    pattern = _patterns([d for d in (before.definition, after.definition) if d is not None], table.frame)
    handed = [mask.astype(np.int64) for mask in (before.handed, after.handed) if mask is not None]
    n_patterns = int(pattern.max()) + 1
    counts = np.zeros((2, n_patterns, 2, 2), dtype=np.int64)
    for period, arrived in enumerate((before.arrived, after.arrived)):
        cell = (pattern[arrived] * 2 + handed[0][arrived]) * 2 + handed[1][arrived]
        counts[period] = np.bincount(cell, minlength=4 * n_patterns).reshape(n_patterns, 2, 2)
    return counts


def _patterns(definitions: Sequence[Definition], frame: pd.DataFrame) -> NDArray[np.int64]:
    """Number the patterns of values that the rules ask for and that are missing or not in the list."""
    bad: dict[str, Mask] = {}
    for definition in definitions:
        asked = set(_asked(definition))
        for attribute in definition.attributes:
            if attribute.name not in asked or attribute.name not in frame.columns:
                continue
            values = frame[attribute.name]
            unusable = values.isna().to_numpy(dtype=np.bool_)
            if attribute.levels:
                unusable = unusable | ~values.astype("str").isin(list(attribute.levels)).to_numpy()
            known = bad.get(attribute.name, np.zeros(len(frame), dtype=np.bool_))
            bad[attribute.name] = known | unusable
    code = np.zeros(len(frame), dtype=np.int64)
    for mask in bad.values():  # renumbered at each step, so that the numbers stay as few as the patterns
        _, code = np.unique(code * 2 + mask, return_inverse=True)
    return code


def _asked(definition: Definition) -> Iterator[str]:
    """Yield the attributes whose values decide who is handed over."""
    for criterion in definition.criteria():
        if criterion.attribute is not None:
            yield criterion.attribute
    for score in definition.points:
        for rule in score.rules:
            if rule.when.attribute is not None:
                yield rule.when.attribute


def _volume(counts: NDArray[Any], months: Floats) -> Floats:
    """Compute leads a month for each mixture of before (0) and after (1).

    Parameters
    ----------
    counts : ndarray, shape (n_draws, 2, n_patterns, 2, 2)
        Leads by period, pattern, and whether the version before and the one after hand them over.
    months : ndarray, shape (2,)
        Length of the periods.

    Returns
    -------
    ndarray, shape (n_draws, 2, 2, 2, 2)
        By whose arrivals, mix, data quality and definition.
    """
    leads = counts.sum(axis=(3, 4)).astype(np.float64)
    total = leads.sum(axis=2)
    share = leads / np.maximum(total, 1.0)[:, :, None]
    handed = np.stack([counts[..., 1, :].sum(axis=3), counts[..., :, 1].sum(axis=3)], axis=3)
    rate = handed / np.maximum(leads, 1.0)[..., None]
    # A pattern that one period does not have is handed over as in the other; its effect is data quality.
    rate = np.where(leads[..., None] > 0, rate, rate[:, ::-1])
    volume: Floats = np.einsum("ra,rqp,rmpd->ramqd", total / months, share, rate)
    return volume


def _decompose(counts: NDArray[Any], months: Floats) -> Floats:
    """Compute the change and the Shapley value of each part, shape (n_draws, 5)."""
    volume = _volume(counts, months)
    size = len(PARTS)
    found = [volume[:, 1, 1, 1, 1] - volume[:, 0, 0, 0, 0]]
    for part in range(size):
        others = [other for other in range(size) if other != part]
        effect = np.zeros(len(volume))
        for taken in range(size):
            weight = factorial(taken) * factorial(size - taken - 1) / factorial(size)
            for chosen in combinations(others, taken):
                without: tuple[Any, ...] = tuple(int(other in chosen) for other in range(size))
                with_it: tuple[Any, ...] = tuple(int(other in (*chosen, part)) for other in range(size))
                effect += weight * (volume[(slice(None), *with_it)] - volume[(slice(None), *without)])
        found.append(effect)
    return np.stack(found, axis=1)


# ---- words ---------------------------------------------------------------------------------------


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them: days as text, what is missing as null."""
    return [
        {
            name: None if value is None or value != value else _plain(value)  # noqa: PLR0124 - NaN
            for name, value in row.items()
        }
        for row in _rows(frame)
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _per_month(value: float) -> str:
    return "—" if np.isnan(value) else f"{value:,.1f}"


def _replayed(row: dict[str, Any]) -> str:
    if row["problem"]:
        return str(row["problem"])
    return (
        f"hands over {format_count(row['n_replayed'])} of {format_count(row['n_leads'])} leads "
        f"({format_rate(row['share_replayed'])}), accepted {_rate_words(row, 'accepted', 'replayed')}, "
        f"won {_rate_words(row, 'won', 'replayed')}"
    )


def _rate_words(row: dict[str, Any], target: str, suffix: str) -> str:
    rate, low, high, n = (row[f"{name}_{target}_{suffix}"] for name in ("rate", "ci_low", "ci_high", "n"))
    if not n >= MIN_SHOWN:
        return f"hidden (under {MIN_SHOWN} leads)" if n > 0 else "not known yet"
    return f"{format_rate(rate)} ({format_rate_range(low, high)}, n = {format_count(n)})"


def _sentence(row: dict[str, Any]) -> str:
    head = f"{row['version_before']} → {row['version_after']}"
    if row["problem"]:
        return f"{head}: the change of volume cannot be split: {row['problem']}."
    parts = ", ".join(f"{_PART_WORDS[part]} {_signed(row, part)}" for part in PARTS)
    return (
        f"{head}: from {row['per_month_before']:,.1f} to {row['per_month_after']:,.1f} leads a month "
        f"({_signed(row, 'change')}): {parts}."
    )


def _signed(row: dict[str, Any], part: str) -> str:
    value, low, high = (row[f"{part}_{name}"] for name in ("per_month", "ci_low", "ci_high"))
    return f"{value:+,.1f} ({low:+,.1f} to {high:+,.1f})".replace("-", "\N{MINUS SIGN}")


_PART_WORDS = {
    "arrivals": "more or fewer leads",
    "mix": "other leads",
    "data_quality": "data quality",
    "definition": "the definition",
}

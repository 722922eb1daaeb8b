"""The report as one self-contained page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from leadml._files import write_text
from leadml._plotting import draw_svg
from leadml._render import (
    format_count,
    format_points,
    format_rate,
    format_rate_range,
    format_value,
    render_template,
)
from leadml.monitor._promise import WORDS

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from leadml.monitor._report import MonitorReport

__all__ = ["build_monitor_page", "write_monitor_page"]

_MAX_WEEKS = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, what a reader must know, and a table."""

    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    picture: Markup | None = None


def build_monitor_page(report: MonitorReport) -> str:
    """Build the report as one HTML page.

    The page needs no network and runs no script, follows the reader's light or dark setting and prints. It
    holds counts and rates, never a lead.

    Parameters
    ----------
    report : MonitorReport

    Returns
    -------
    str
        The page; the same report gives the same bytes.
    """
    return str(
        render_template(
            "leadml.monitor",
            "monitor.html",
            report=report,
            tag={"alarm": "alarm", "quiet": "keep", "too early": "early"},
            signals=_signals(report),
            sections=(
                _promises(report),
                _calibration(report),
                _level(report),
                _expected(report),
                _classes(report),
                _criteria(report),
                _attributes(report),
                _handling(report),
                _weeks(report),
            ),
            error=format_rate(report.error_rate),
        )
    )


def write_monitor_page(report: MonitorReport, path: Path | str) -> None:
    """Write the report as one HTML page, whole or not at all.

    Parameters
    ----------
    report : MonitorReport
    path : path-like
        The file, usually ending in ``.html``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, build_monitor_page(report))


def _p(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    if value < 0.00001:
        return "< 0.00001"
    return f"{value:.5f}" if value < 0.001 else f"{value:.3f}"


def _plain(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False)]


def _signals(report: MonitorReport) -> tuple[dict[str, str], ...]:
    return tuple(
        {
            "status": signal.status,
            "family": signal.family,
            "name": signal.name,
            "words": signal.words,
            "p_value": _p(signal.p_value),
            "level": _p(signal.level),
        }
        for signal in report.ranked
    )


def _promises(report: MonitorReport) -> Section:
    return Section(
        title="What was promised, and what came",
        notes=(
            (
                "Matured leads that the champion handed over. The range is right at every look "
                "together: look as "
                "often as you like. Too early means that it still holds the promised bound."
            ),
            *(
                ()
                if report.adopted is None
                else (f"Change in value, for one planned look and no alarm: {report.adopted}.",)
            ),
        ),
        header=("Rate", "At least promised", "Expected", "Leads", "Came", "Range", "Verdict"),
        rows=tuple(
            (
                WORDS[row["target"]],
                format_rate(row["promised_low"]),
                format_rate(row["promised"]),
                format_count(row["n"]),
                format_rate(row["rate"]),
                format_rate_range(row["ci_low"], row["ci_high"]),
                row["verdict"],
            )
            for row in _records(report.promises)
        ),
    )


def _calibration(report: MonitorReport) -> Section:
    return Section(
        title="Are the probabilities still right?",
        notes=(
            (
                "On labels that matured since. Slope 1, intercept 0 are right. An alarm needs both: "
                "Cox's test says that they are wrong, and they are otherwise than when the model was trained."
            ),
        ),
        header=("Model", "Leads", "Came", "Expected", "Slope", "Intercept", "Cox p", "Change p"),
        rows=tuple(
            (
                WORDS[row["target"]],
                format_count(row["n"]),
                format_rate(row["observed"]),
                format_rate(row["expected"]),
                _with_range(row, "slope"),
                _with_range(row, "intercept"),
                _p(row["p_cox"]),
                _p(row["p_change"]),
            )
            for row in _records(report.calibration)
        ),
    )


def _level(report: MonitorReport) -> Section:
    return Section(
        title="Has the level moved?",
        notes=(
            (
                "Corrected by: what the log-odds would need to be right on average. It is shown, not applied "
                "by itself; the log loss is that of the newer half of these leads, as it is and with the "
                "correction that the older half asks for."
            ),
            (
                "Share without labels is what an unsupervised estimate believes; badly wrong if the leads "
                "themselves have become better or worse."
            ),
        ),
        header=(
            "Model",
            "Came",
            "Expected",
            "As trained",
            "Corrected by",
            "Log loss as it is",
            "Corrected",
            "Share without labels",
        ),
        rows=tuple(
            (
                WORDS[row["target"]],
                format_rate(row["observed"]),
                format_rate(row["expected"]),
                format_rate(row["expected_as_trained"]),
                _with_range(row, "offset"),
                _plain(row["log_loss_trained"], 4),
                _plain(row["log_loss_recalibrated"], 4),
                format_rate(row["prevalence_unsupervised"]),
            )
            for row in _records(report.calibration)
        ),
    )


def _with_range(row: dict[str, Any], name: str) -> str:
    low, high = _plain(row[f"{name}_low"]), _plain(row[f"{name}_high"])
    return f"{_plain(row[name])} ({low} to {high})"


def _expected(report: MonitorReport) -> Section:
    return Section(
        title="Before the labels mature: expected, not observed",
        notes=(
            (
                "Mean calibrated probability of the leads handed over whose labels are not mature. "
                "Right only if "
                "leads with the same attributes are accepted and won as often as before; a change of that "
                "cannot be seen here."
            ),
        ),
        header=("Rate", "Leads", "Expected", "Range", "As trained", "With the level of the matured labels"),
        rows=tuple(
            (
                WORDS[row["target"]],
                format_count(row["n"]),
                format_rate(row["expected"]),
                format_rate_range(row["ci_low"], row["ci_high"]),
                format_rate(row["expected_as_trained"]),
                format_rate(row["expected_recalibrated"]),
            )
            for row in _records(report.expected)
        ),
    )


def _classes(report: MonitorReport) -> Section:
    return Section(
        title="Volume and mix",
        notes=(
            (
                f"{format_count(report.volume['now'])} leads a week, before "
                f"{format_count(report.volume['before'])}"
                " "
                f"(p {_p(report.volume['p_value'])}). A season looks the same as a change."
            ),
        ),
        header=(
            "Class",
            "To Sales",
            "A week before",
            "A week now",
            "Share before",
            "Share now",
            "Moved",
            "Range",
        ),
        rows=tuple(
            (
                row["lead_class"],
                format_value(row["handed_over"]),
                format_count(row["per_week_before"]),
                format_count(row["per_week_now"]),
                format_rate(row["share_before"]),
                format_rate(row["share_now"]),
                format_points(row["moved"]),
                _points_range(row),
            )
            for row in _records(report.classes)
        ),
    )


def _points_range(row: dict[str, Any]) -> str:
    if not math.isfinite(row["ci_low"]):
        return "–"
    return f"{format_points(row['ci_low'])} to {format_points(row['ci_high'])}"


def _criteria(report: MonitorReport) -> Section:
    rows = _records(report.criteria)
    picture = None
    if any(math.isfinite(row["moved"]) for row in rows):
        label = "Share of leads moved across each written threshold, with its range."
        # Drawn from numbers of the report; every text in it is escaped by the writer of the picture.
        picture = Markup(  # noqa: S704
            draw_svg(report.plot, name="moved", label=label, size=(5.6, 0.9 + 0.32 * len(rows)))
        )
    return Section(
        title="Share moved across each written threshold",
        notes=(
            "All leads, handed over or not; each range is right nineteen times out of twenty, at one look.",
        ),
        header=("Criterion", "As written", "Pass before", "Pass now", "Moved", "Range"),
        rows=tuple(
            (
                row["criterion"],
                row["written"],
                format_rate(row["share_before"]),
                format_rate(row["share_now"]),
                format_points(row["moved"]),
                _points_range(row),
            )
            for row in rows
        ),
        picture=picture,
    )


def _attributes(report: MonitorReport) -> Section:
    auc = report.together
    return Section(
        title="Attributes",
        notes=(
            (
                "Distance is the largest difference of the cumulative shares (numbers) or half the "
                "sum of the "
                "differences (levels). p is adjusted over everything in the table. The stability index (PSI) "
                "stands "
                "beside what it is on average without any drift at this number of leads."
            ),
            (
                f"All attributes at once: AUC {_plain(auc['auc'])} ({_plain(auc['auc_low'])} to "
                f"{_plain(auc['auc_high'])}), p {_p(auc['p_value'])}; 0.5: nobody could tell the newest "
                "leads from those before."
            ),
        ),
        header=(
            "Attribute",
            "Distance",
            "p",
            "Missing before",
            "Missing now",
            "New levels",
            "PSI",
            "PSI without drift",
        ),
        rows=tuple(
            (
                row["attribute"],
                _plain(row["distance"]),
                _p(row["p_adjusted"]),
                format_rate(row["missing_before"]),
                format_rate(row["missing_now"]),
                f"{row['n_new_levels']} on {row['leads_in_new_levels']:,} leads"
                + (f" ({row['new_levels']})" if row["new_levels"] else "")
                if row["n_new_levels"]
                else "none",
                _plain(row["psi"], 3),
                _plain(row["psi_no_drift"], 3),
            )
            for row in _records(report.attributes)
        ),
    )


def _handling(report: MonitorReport) -> Section:
    return Section(
        title="How the leads are handled",
        notes=("One test over all reps; nobody is ranked.",),
        header=("What", "Leads before", "Leads now", "p", "In words"),
        rows=tuple(
            (
                row["what"],
                format_count(row["n_before"]),
                format_count(row["n_now"]),
                _p(row["p_value"]),
                row["words"],
            )
            for row in _records(report.handling)
        ),
    )


def _weeks(report: MonitorReport) -> Section:
    names = [str(name) for name in report.weeks.columns][3:]
    return Section(
        title="Week by week",
        notes=(f"The newest {_MAX_WEEKS} whole weeks.",),
        header=("Week from", "Part", "Leads", *(name.removeprefix("n_") for name in names)),
        rows=tuple(
            (row["week"], row["part"], format_count(row["n"]), *(format_count(row[name]) for name in names))
            for row in _records(report.weeks.tail(_MAX_WEEKS))
        ),
    )

"""The packet: one self-contained page that a sales leader reads in five minutes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from leadml._files import write_text
from leadml._plotting import draw_svg, plot_bars, plot_series
from leadml._render import render_template
from leadml.review._build import SMALLEST_GROUP, build_parts

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from leadml.review._parts import Run

__all__ = ["build_packet", "write_packet"]

_MAX_PERIODS = 8
_MAX_ATTRIBUTES = 10


def build_packet(run: Run) -> str:
    """Build the packet of a review as one HTML page.

    The page needs no network and no script, follows the reader's light or dark setting and prints. It
    holds counts and rates of groups of at least five leads, never a lead.

    Parameters
    ----------
    run : Run
        What one run of the loop found.

    Returns
    -------
    str
        The page; the same run gives the same bytes.
    """
    return render_template(
        "leadml.review",
        "packet.html",
        parts=build_parts(run),
        smallest=SMALLEST_GROUP,
        quarters=_draw_quarters(run),
        attributions=_draw_attributions(run),
    )


def write_packet(run: Run, path: Path | str) -> None:
    """Write the packet of a review, whole or not at all.

    Parameters
    ----------
    run : Run
        What one run of the loop found.
    path : path-like
        The file, usually ending in ``.html``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, build_packet(run))


def _draw_quarters(run: Run) -> Markup | None:
    """Draw acceptance and won rate of the leads handed over, quarter by quarter."""
    if run.comparison is None:
        return None
    frame = run.comparison.handoff
    frame = frame[(frame["period"] != "all") & (frame["n"] >= SMALLEST_GROUP)]
    periods = sorted(set(frame["period"]))[-_MAX_PERIODS:]
    frame = frame[frame["period"].isin(periods)].rename(columns={"target": "group", "rate": "value"})
    if len(periods) < 2:
        return None
    label = "Share of the leads handed over that Sales accepted and that were won, period by period."
    return Markup(draw_svg(lambda ax: plot_series(frame, ax), name="quarters", label=label, size=(5.6, 2.6)))  # noqa: S704


def _draw_attributions(run: Run) -> tuple[tuple[str, Markup], ...]:
    """Draw what each model uses most."""
    figures = []
    words = {"accepted": "acceptance", "won": "won deals"}
    for target, attribution in run.attributions.items():
        frame = attribution.to_frame().sort_values(["mean_abs_shap", "attribute"], ascending=[False, True])
        frame = frame.head(_MAX_ATTRIBUTES).rename(columns={"attribute": "label", "mean_abs_shap": "value"})
        if frame.empty:
            continue
        svg = draw_svg(
            partial(_draw_bars, frame),
            name=f"uses-{target}",
            label=f"What the model of {words[target]} uses most.",
            size=(5.6, 0.8 + 0.28 * len(frame)),
        )
        figures.append((words[target], Markup(svg)))  # noqa: S704 - made and escaped by draw_svg
    return tuple(figures)


def _draw_bars(frame: pd.DataFrame, ax: Axes) -> None:
    plot_bars(frame, ax, xlabel="average weight in the model")

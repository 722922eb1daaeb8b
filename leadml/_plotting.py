"""Frames in, matplotlib Axes out; a figure to an inline SVG that is the same bytes every time.

The colours differ in lightness as well as in hue, and every series has its own marker, so that plots are
readable in grey and by colour-blind readers. In a page the same colours become style variables
(``--chart-blue`` …) that the page sets for light and dark.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from leadml._render import clean_text, format_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "draw_svg",
    "plot_bars",
    "plot_curve",
    "plot_dependence",
    "plot_profile",
    "plot_quadrant",
    "plot_ranges",
    "plot_reliability",
    "plot_series",
]

INK = "#1f2430"
MUTED = "#66707f"
GRID = "#d5d9e0"
BLUE = "#0b5cad"
ORANGE = "#c9660a"
GREEN = "#2f8f5b"
PAPER = "#fefefe"
MAX_LABEL = 44
_SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (MUTED, "D"))
_VARIABLES = {
    INK: "--chart-ink",
    MUTED: "--chart-muted",
    GRID: "--chart-grid",
    BLUE: "--chart-blue",
    ORANGE: "--chart-orange",
    GREEN: "--chart-green",
    PAPER: "--chart-paper",
}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


# ---- plots ---------------------------------------------------------------------------------------


def plot_ranges(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "", percent: str = "x") -> Axes:
    """Plot one row per label with a point and a range for each group.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label``, ``group``, ``value``, ``ci_low``, ``ci_high`` (missing rows are left out). Labels
        are drawn from the top in order of appearance.
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel : str, default ""
        What the values are.
    percent : str, default "x"
        ``"x"`` if the values are shares of one, ``""`` if not.

    Returns
    -------
    Axes
    """
    labels = list(dict.fromkeys(frame["label"]))
    groups = list(dict.fromkeys(frame["group"]))
    ax = _axes(ax)
    for number, group in enumerate(groups):
        part = frame[(frame["group"] == group) & frame["value"].notna()]
        shift = (number - (len(groups) - 1) / 2) * 0.24
        rows = [labels.index(label) + shift for label in part["label"]]
        colour, marker = _SERIES[number % len(_SERIES)]
        ax.hlines(rows, part["ci_low"], part["ci_high"], color=colour, linewidth=1.6)
        ax.plot(part["value"], rows, marker, color=colour, markersize=5, label=_label(group))
    ax.set_yticks(range(len(labels)), [_label(label) for label in labels])
    ax.set_ylim(len(labels) - 0.5, -0.5)
    _finish(ax, xlabel=xlabel, percent=percent, grid="x")
    if len(groups) > 1:
        _legend(ax, columns=len(groups))
    return ax


def plot_bars(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "") -> Axes:
    """Plot one bar per row, longest first as given, with ``ci_low`` and ``ci_high`` where the frame has them.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label``, ``value``, optionally ``ci_low`` and ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel : str, default ""
        What the bars measure.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    rows = range(len(frame))
    ax.barh(rows, frame["value"], height=0.62, color=BLUE)
    if {"ci_low", "ci_high"} <= set(frame.columns):
        ax.hlines(rows, frame["ci_low"], frame["ci_high"], color=INK, linewidth=1.2)
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.set_yticks(rows, [_label(label) for label in frame["label"]])
    ax.set_ylim(len(frame) - 0.4, -0.6)
    _finish(ax, xlabel=xlabel, grid="x")
    return ax


def plot_reliability(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "predicted") -> Axes:
    """Plot what came against what was predicted; a believable model lies on the diagonal.

    Parameters
    ----------
    frame : DataFrame
        Columns ``predicted``, ``observed`` and optionally ``ci_low``, ``ci_high``: shares of one, in order of
        ``predicted``.
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel : str, default "predicted"
        Label of the horizontal axis.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    top = float(max(frame["predicted"].max(), frame["observed"].max(), 0.01)) * 1.05 if len(frame) else 1.0
    ax.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle="--")
    if {"ci_low", "ci_high"} <= set(frame.columns):
        ax.fill_between(frame["predicted"], frame["ci_low"], frame["ci_high"], color=GRID, step=None)
    ax.plot(frame["predicted"], frame["observed"], "-o", color=BLUE, markersize=3.5, linewidth=1.4)
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    _finish(ax, xlabel=xlabel, ylabel="observed", percent="xy", grid="both")
    return ax


def plot_profile(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    xlabel: str = "",
    break_even: float | None = None,
    marks: Sequence[tuple[str, float]] = (),
) -> Axes:
    """Plot the win rate of leads that pass everything else, against one attribute.

    Parameters
    ----------
    frame : DataFrame
        Columns ``low``, ``high`` (ends of each bin of the attribute), ``rate``, ``ci_low``, ``ci_high``,
        ``smooth`` (the isotonic rate) and ``n``.
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel : str, default ""
        The attribute and its unit.
    break_even : float, optional
        Rate at which a worked lead pays; drawn as a level line.
    marks : sequence of (str, float)
        Thresholds to draw as upright lines with their names (at most three).

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    middle = (frame["low"] + frame["high"]) / 2
    ax.vlines(middle, frame["ci_low"], frame["ci_high"], color=MUTED, linewidth=1.2)
    ax.plot(middle, frame["rate"], "o", color=BLUE, markersize=4.5, label="observed")
    if len(frame):
        edges = [*frame["low"], float(frame["high"].iloc[-1])]
        ax.stairs(frame["smooth"].to_numpy(), edges, color=BLUE, linewidth=1.4, baseline=None)
    if break_even is not None:
        ax.axhline(
            break_even, color=INK, linewidth=1, linestyle=":", label=f"pays from {format_rate(break_even)}"
        )
    for (name, at), style in zip(marks, ("-", "--", "-."), strict=False):
        ax.axvline(at, color=ORANGE, linewidth=1.4, linestyle=style, label=_label(name))
    ax.set_ylim(bottom=0)
    _finish(ax, xlabel=xlabel, percent="y", grid="y")
    _legend(ax, columns=2)
    return ax


def plot_quadrant(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str, ylabel: str) -> Axes:
    """Plot one named point per row around zero: what each side says of each criterion.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label``, ``x``, ``y``: differences of shares, inside minus outside.
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel, ylabel : str
        What the differences are.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    part = frame[frame["x"].notna() & frame["y"].notna()]
    ax.axhline(0, color=MUTED, linewidth=1)
    ax.axvline(0, color=MUTED, linewidth=1)
    ax.plot(part["x"], part["y"], "o", color=BLUE, markersize=6)
    middle = float(part["x"].min() + part["x"].max()) / 2 if len(part) else 0.0
    for row in part.itertuples(index=False):
        left = float(row.x) > middle  # type: ignore[arg-type]
        note = ax.annotate(
            _label(row.label),
            (float(row.x), float(row.y)),  # type: ignore[arg-type]
            xytext=(-5 if left else 5, 5),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=8,
            color=INK,
            parse_math=False,
        )
        note.set_in_layout(False)  # a long name does not make the picture small
    ax.margins(0.25)
    _finish(ax, xlabel=xlabel, ylabel=ylabel, percent="xy", grid="both")
    return ax


def plot_series(frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str = "", percent: str = "y") -> Axes:
    """Plot values over named periods, one line per group, with ranges where the frame has them.

    Parameters
    ----------
    frame : DataFrame
        Columns ``period``, ``group``, ``value``, optionally ``ci_low``, ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure if None.
    ylabel : str, default ""
        What the values are.
    percent : str, default "y"
        ``"y"`` if the values are shares of one, ``""`` if not.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    periods = list(dict.fromkeys(frame["period"]))
    groups = list(dict.fromkeys(frame["group"]))
    for number, group in enumerate(groups):
        part = frame[(frame["group"] == group) & frame["value"].notna()]
        places = [periods.index(period) + 0.06 * number for period in part["period"]]
        colour, marker = _SERIES[number % len(_SERIES)]
        if {"ci_low", "ci_high"} <= set(frame.columns):
            ax.vlines(places, part["ci_low"], part["ci_high"], color=colour, linewidth=1.2)
        ax.plot(places, part["value"], f"-{marker}", color=colour, markersize=4.5, label=_label(group))
    ax.set_xticks(range(len(periods)), [_label(period) for period in periods])
    ax.set_ylim(bottom=0)
    _finish(ax, ylabel=ylabel, percent=percent, grid="y")
    if len(groups) > 1:
        _legend(ax, columns=len(groups))
    return ax


_SKEWED = 10  # the largest value over the middle one from which on the axis is logarithmic


def plot_curve(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str, ylabel: str) -> Axes:
    """Plot a rate against a number, both to scale.

    Parameters
    ----------
    frame : DataFrame
        Columns ``x`` (ascending, from 0 on) and ``y`` (a share of one).
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel, ylabel : str
        What they are, and in which unit.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    ax.plot(frame["x"], frame["y"], "o-", color=BLUE, markersize=4, linewidth=1.4)
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    _finish(ax, xlabel=xlabel, ylabel=ylabel, percent="y", grid="y")
    return ax


def plot_dependence(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    xlabel: str = "",
    marks: Sequence[tuple[str, float]] = (),
    crossings: Sequence[tuple[str, float]] = (),
) -> Axes:
    """Plot what a model makes of one attribute: the change of the log-odds by its value.

    Parameters
    ----------
    frame : DataFrame
        Columns ``label``, ``low``, ``high`` (ends of a bin; missing for a level), ``mean_shap``, ``ci_low``,
        ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure if None.
    xlabel : str, default ""
        The attribute and its unit.
    marks : sequence of (str, float)
        Written thresholds to draw as upright lines (at most three); for levels their places.
    crossings : sequence of (str, float)
        Where the model passes a goal, drawn dotted in another colour; one name for all of them.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    bins = frame[frame["low"].notna()]
    levels = bins.empty
    part = frame if levels else bins
    places = [float(place) for place in range(len(part))] if levels else (part["low"] + part["high"]) / 2
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.vlines(places, part["ci_low"], part["ci_high"], color=MUTED, linewidth=1.2)
    ax.plot(places, part["mean_shap"], "o" if levels else "-o", color=BLUE, markersize=4.5)
    if levels:
        ax.set_xticks(places, [_label(label) for label in part["label"]])
    elif min(places) >= 0 and max(places) > _SKEWED * sorted(places)[len(places) // 2]:
        ax.set_xscale("symlog", linthresh=min([place for place in places if place > 0], default=1.0))
        ax.xaxis.set_major_formatter("{x:,g}")
    for (name, at), style in zip(marks, ("-", "--", "-."), strict=False):
        ax.axvline(at, color=ORANGE, linewidth=1.4, linestyle=style, label=_label(name))
    for number, (name, at) in enumerate(crossings):
        ax.axvline(at, color=GREEN, linewidth=1.4, linestyle=":", label="" if number else _label(name))
    _finish(ax, xlabel=xlabel, ylabel="change of the log-odds (not a cause)", grid="y")
    if marks or crossings:
        _legend(ax, columns=2)
    return ax


def _label(text: object) -> str:
    """Return a text short enough for the side of a plot."""
    words = clean_text(str(text))
    return words if len(words) <= MAX_LABEL else words[: MAX_LABEL - 1] + "…"


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, new = plt.subplots(layout="constrained")
    return new


def _finish(ax: Axes, *, xlabel: str = "", ylabel: str = "", percent: str = "", grid: Any = "y") -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "linear" and not isinstance(axis.get_major_locator(), FixedLocator):
            # Four steps whatever the size, so that a long label beside it changes nothing.
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        if axis.axis_name in percent:
            axis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    ax.set_xlabel(_label(xlabel), color=INK, parse_math=False)
    ax.set_ylabel(_label(ylabel), color=INK, parse_math=False)
    ax.grid(visible=True, axis=grid, color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK)
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        label.set_parse_math(False)


def _legend(ax: Axes, *, columns: int) -> None:
    legend = ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize="small", borderpad=0
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(INK)


# ---- inline SVG ----------------------------------------------------------------------------------


def draw_svg(
    draw: Callable[[Axes], object], *, name: str, label: str, size: tuple[float, float] = (5.2, 3.2)
) -> str:
    """Draw a figure and return it as an `svg` element for a page.

    The element carries no date, no library version, no style sheet and no font; its texts stay texts and
    its colours are style variables with the printed colour as fall-back. The same figure gives the same
    bytes on every run.

    Parameters
    ----------
    draw : callable
        Draws on the Axes it is given.
    name : str
        Letters, digits and hyphens, different for each figure of a page: the prefix of its ids.
    label : str
        One sentence that says what the picture shows, for readers who do not see it.
    size : (float, float), default (5.2, 3.2)
        Width and height in inches.

    Returns
    -------
    str
        The element, safe to put into HTML unescaped.

    Raises
    ------
    ValueError
        If `name` cannot be a prefix of ids.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError(f"draw_svg: name must be letters, digits and hyphens, got {name!r}.")
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        with _quiet_glyphs():
            figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    return _inline(buffer.getvalue(), name, label)


_METADATA = ("Date", "Creator", "Format", "Type")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "leadml",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.unicode_minus": True,
}


def _quiet_glyphs() -> Any:
    import warnings

    class _Quiet(warnings.catch_warnings):
        def __enter__(self) -> None:
            super().__enter__()
            # The reader's fonts draw the text; matplotlib only measures it.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)

    return _Quiet()


def _inline(document: bytes, name: str, label: str) -> str:
    root = ET.fromstring(document)  # noqa: S314 - written by matplotlib a moment ago
    used: dict[str, str] = {}
    for element in root.iter():
        for value in element.attrib.values():
            for target in _REFERENCE.findall(value):
                used.setdefault(target, f"{name}-{len(used) + 1}")
        if _XLINK in element.attrib:
            used.setdefault(element.attrib[_XLINK].removeprefix("#"), f"{name}-{len(used) + 1}")
    kept = _rebuild(root, used)
    width, height = (float(root.attrib[side].removesuffix("pt")) for side in ("width", "height"))
    kept.attrib = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width:g}",
        "height": f"{height:g}",
        "role": "img",
        "class": "chart",
        "aria-label": clean_text(label),
    }
    return ET.tostring(kept, encoding="unicode")


def _rebuild(element: ET.Element, used: dict[str, str]) -> ET.Element:
    copy = ET.Element(element.tag.removeprefix(_SVG))
    copy.text = element.text if element.text and element.text.strip() else None
    for key, value in element.attrib.items():
        if key == "id":
            if value in used:
                copy.set("id", used[value])
        elif key == _XLINK:
            copy.set("href", "#" + used[value.removeprefix("#")])
        else:
            copy.set(key, _REFERENCE.sub(lambda found: f"url(#{used[found[1]]})", _restyle(value)))
    for child in element:
        tag = child.tag.removeprefix(_SVG)
        if tag in {"metadata", "title"} or (
            tag == "defs" and any(part.tag == f"{_SVG}style" for part in child)
        ):
            continue
        made = _rebuild(child, used)
        if tag == "g" and not len(made) and not made.text:
            continue
        copy.append(made)
    return copy


def _restyle(value: str) -> str:
    value = re.sub(r"font: ([0-9.]+)px [^;]*", r"font-size: \1px", value)
    value = re.sub(r"font-family: [^;]*;? ?", "", value)
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, f"var({variable},{colour})")
    return value

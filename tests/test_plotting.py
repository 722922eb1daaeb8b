"""Plots draw what the frame says; an inline SVG is the same bytes every time and fetches nothing."""

import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from leadml import _plotting
from leadml._plotting import (
    draw_svg,
    plot_bars,
    plot_curve,
    plot_dependence,
    plot_profile,
    plot_quadrant,
    plot_ranges,
    plot_reliability,
    plot_series,
)

RANGES = pd.DataFrame(
    {
        "label": ["employees >= 50", "budget >= requested"] * 2,
        "group": ["meets"] * 2 + ["does not"] * 2,
        "value": [0.12, 0.2, 0.05, None],
        "ci_low": [0.10, 0.18, 0.03, None],
        "ci_high": [0.15, 0.25, 0.08, None],
    }
)
PROFILE = pd.DataFrame(
    {
        "low": [0.0, 10.0, 50.0],
        "high": [10.0, 50.0, 200.0],
        "rate": [0.02, 0.05, 0.11],
        "ci_low": [0.01, 0.03, 0.08],
        "ci_high": [0.04, 0.08, 0.15],
        "smooth": [0.02, 0.05, 0.11],
        "n": [200, 150, 90],
    }
)


def axes():
    return Figure(figsize=(4, 3)).add_subplot()


def test_ranges_draw_one_row_per_label_and_leave_missing_points_out():
    ax = plot_ranges(RANGES, axes(), xlabel="accepted")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["employees >= 50", "budget >= requested"]
    meets, does_not = ax.get_lines()
    assert list(meets.get_xdata()) == [0.12, 0.2]
    assert list(does_not.get_xdata()) == [0.05]
    assert ax.get_legend() is not None


def test_bars_draw_ranges_only_where_the_frame_has_them():
    bars = pd.DataFrame({"label": ["a", "b"], "value": [3.0, -1.0]})
    assert not plot_bars(bars, axes()).collections
    ranges = bars.assign(ci_low=bars["value"] - 1, ci_high=bars["value"] + 1)
    assert len(plot_bars(ranges, axes()).collections) == 1


@pytest.mark.parametrize("with_band", ["band", "no band"])
def test_reliability_draws_the_diagonal_and_the_curve(with_band):
    frame = pd.DataFrame({"predicted": [0.1, 0.4], "observed": [0.2, 0.3]})
    if with_band == "band":
        frame = frame.assign(ci_low=frame["observed"] - 0.1, ci_high=frame["observed"] + 0.1)
    ax = plot_reliability(frame, axes())
    diagonal, curve = ax.get_lines()
    assert diagonal.get_xdata()[1] == diagonal.get_ydata()[1] == pytest.approx(0.42)
    assert list(curve.get_ydata()) == [0.2, 0.3]
    assert len(ax.collections) == (with_band == "band")


def test_reliability_of_nothing_is_an_empty_diagonal():
    ax = plot_reliability(pd.DataFrame({"predicted": [], "observed": []}), axes())
    assert ax.get_xlim() == (0, 1)


def test_profile_draws_break_even_and_named_thresholds():
    ax = plot_profile(
        PROFILE, axes(), xlabel="employees", break_even=0.04, marks=[("written", 50), ("proposed", 20)]
    )
    names = [text.get_text().replace("\xa0", " ") for text in ax.get_legend().get_texts()]
    assert names == ["observed", "pays from 4.0 %", "written", "proposed"]


def test_profile_of_nothing_is_empty():
    assert plot_profile(PROFILE.iloc[:0], axes()).get_lines()[0].get_xdata().size == 0


def test_quadrant_names_its_points():
    frame = pd.DataFrame({"label": ["a", "b"], "x": [0.1, None], "y": [-0.1, 0.2]})
    ax = plot_quadrant(frame, axes(), xlabel="accepted", ylabel="won")
    assert [text.get_text() for text in ax.texts] == ["a"]


@pytest.mark.parametrize("groups", [["accepted"], ["accepted", "won"]])
def test_series_has_a_legend_only_when_there_is_a_choice(groups):
    frame = pd.DataFrame(
        [{"period": f"2026Q{q}", "group": g, "value": 0.1 * q} for g in groups for q in (1, 2)]
    )
    ax = plot_series(frame, axes())
    assert (ax.get_legend() is not None) == (len(groups) == 2)
    ax = plot_series(frame.assign(ci_low=0.0, ci_high=0.5), axes(), percent="")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2026Q1", "2026Q2"]


def test_without_axes_a_new_figure_is_made():
    import matplotlib.pyplot as plt

    ax = plot_bars(pd.DataFrame({"label": ["a"], "value": [1.0]}))
    assert ax.figure.number in plt.get_fignums()
    plt.close(ax.figure)


def test_svg_is_the_same_bytes_every_time_and_says_nothing_of_its_making():
    def draw(ax):
        return plot_ranges(RANGES, ax, xlabel="accepted")

    first = draw_svg(draw, name="rates", label="Acceptance per criterion.")
    assert first == draw_svg(draw, name="rates", label="Acceptance per criterion.")
    for word in ("http", "matplotlib", "metadata", "<style", "DejaVu", "date", "xmlns"):
        assert word not in first, word
    assert 'aria-label="Acceptance per criterion."' in first
    assert "var(--chart-blue,#0b5cad)" in first
    assert re.search(r">employees &gt;= 50</text>", first)


def test_svg_ids_carry_the_figure_name_and_every_reference_has_its_target():
    page = draw_svg(lambda ax: plot_profile(PROFILE, ax, marks=[("w", 50)]), name="p7", label="x")
    targets = set(re.findall(r' id="([^"]*)"', page))
    references = set(re.findall(r"url\(#([^)]*)\)", page)) | set(re.findall(r'href="#([^"]*)"', page))
    assert references == targets
    assert all(target.startswith("p7-") for target in targets)


def test_svg_does_not_depend_on_the_readers_style():
    import matplotlib as mpl

    def draw(ax):
        return plot_ranges(RANGES, ax)

    plain = draw_svg(draw, name="a", label="x")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert draw_svg(draw, name="a", label="x") == plain
        assert mpl.rcParams["font.size"] == 30


def test_long_labels_are_cut_so_that_the_plot_keeps_its_place():
    bars = pd.DataFrame({"label": ["x" * 500], "value": [1.0]})
    page = draw_svg(lambda ax: plot_bars(bars, ax, xlabel="y" * 500), name="a", label="x")
    assert "x" * 43 + "…" in page
    assert "x" * 44 not in page
    assert "y" * 44 not in page


def test_name_that_could_break_out_of_an_id_is_refused():
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        draw_svg(lambda ax: ax, name='a"><script>', label="x")


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=20))
def test_hostile_labels_never_change_the_skeleton_of_the_svg(text):
    def tags(label):
        frame = pd.DataFrame({"label": [label], "value": [1.0]})
        page = draw_svg(lambda ax: plot_bars(frame, ax, xlabel=label), name="a", label=label)
        return re.findall(r"<(/?[a-z]+)[ >]", page, flags=re.IGNORECASE)

    assert [t for t in tags(text) if t not in {"text", "/text", "g", "/g"}] == [
        t for t in tags("x") if t not in {"text", "/text", "g", "/g"}
    ]


def test_every_colour_has_a_style_variable():
    colours = {
        value for name, value in vars(_plotting).items() if name.isupper() and str(value).startswith("#")
    }
    assert colours == set(_plotting._VARIABLES)


def dependence(ends):
    rows = [(f"{low:g}", low, high, i - 1.0) for i, (low, high) in enumerate(ends)]
    frame = pd.DataFrame(rows, columns=["label", "low", "high", "mean_shap"])
    return frame.assign(ci_low=frame["mean_shap"] - 0.1, ci_high=frame["mean_shap"] + 0.1)


def test_dependence_marks_at_most_three_written_thresholds():
    marks = [(f"size >= {at}", at) for at in (1.0, 2.0, 3.0, 4.0)]
    ax = plot_dependence(dependence([(0, 1), (2, 3), (4, 5)]), xlabel="size", marks=marks)
    assert ax.get_xscale() == "linear"
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["size >= 1.0", "size >= 2.0", "size >= 3.0"]
    assert "not a cause" in ax.get_ylabel()
    assert plot_dependence(dependence([(0, 1), (2, 3)])).get_legend() is None


def test_dependence_on_levels_names_them():
    frame = pd.DataFrame({"label": ["low", "high", "missing"], "low": float("nan"), "high": float("nan")})
    frame = frame.assign(mean_shap=[-0.3, 0.3, 0.0], ci_low=-0.4, ci_high=0.4)
    ax = plot_dependence(frame, Figure().subplots(), marks=[("size >= high", 1.0)])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["low", "high", "missing"]


def test_dependence_on_a_skewed_attribute_has_a_logarithmic_axis():
    assert plot_dependence(dependence([(0, 0), (1, 9), (10, 40), (900, 9_000)])).get_xscale() == "symlog"
    assert plot_dependence(dependence([(0, 0), (0, 0), (0, 8)])).get_xscale() == "symlog"
    assert plot_dependence(dependence([(-9, -1), (0, 0), (900, 9_000)])).get_xscale() == "linear"


def test_a_logarithmic_axis_has_a_label_at_each_power_of_ten():
    ax = plot_dependence(dependence([(1, 1), (5, 9), (10, 40), (900, 9_000)]))
    ax.figure.canvas.draw()
    left, right = ax.get_xlim()
    shown = [float(place) for place in ax.get_xticks() if left <= place <= right]
    assert {1.0, 10.0, 100.0, 1000.0} <= set(shown)
    assert len(shown) <= 6


def test_dependence_of_nothing_is_an_empty_plot():
    assert plot_dependence(dependence([])).get_legend() is None


def test_a_curve_is_drawn_to_scale():
    frame = pd.DataFrame({"x": [4.4, 90.0, 207.0], "y": [0.4, 0.2, 0.1]})
    ax = plot_curve(frame, xlabel="leads a month", ylabel="share won")
    (line,) = ax.get_lines()
    assert line.get_xdata().tolist() == [4.4, 90.0, 207.0]
    assert (ax.get_xlim()[0], ax.get_ylim()[0]) == (0, 0)
    assert ax.get_xlabel() == "leads a month"

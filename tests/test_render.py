"""Numbers are short and honest; whatever the text, the HTML keeps its skeleton."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateNotFound
from markupsafe import Markup

from leadml._render import (
    clean_text,
    format_change,
    format_count,
    format_money,
    format_points,
    format_range,
    format_rate,
    format_rate_range,
    format_value,
    render_card,
    render_frame,
    render_template,
    text_block,
    text_table,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.048, "4.8 %"),
        (0.0068, "0.7 %"),
        (0.0004, "0.04 %"),
        (0.384, "38 %"),
        (0.0999, "10 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_rate_is_a_percentage_with_useful_digits(value, text):
    assert format_rate(value).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.041, 0.056, "4.1–5.6 %"),
        (0.351, 0.412, "35–41 %"),
        (0.0, 0.0368, "0.0–3.7 %"),
        (0.963, 1.0, "96–100 %"),
        (float("nan"), 0.5, "–"),
        (0.5, None, "–"),
    ],
)
def test_range_of_rates_has_the_digits_of_its_finer_end(low, high, text):
    assert format_rate_range(low, high).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234, "1,234"), (-1234.4, "−1,234"), (0.84, "0.8"), (7.02, "7"), (12.6, "13"), (None, "–"), (0, "0")],
)
def test_count_has_separators_and_a_decimal_only_when_small(value, text):
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12, "+12"), (-3.4, "−3.4"), (0, "0"), (0.01, "0"), (None, "–"), (2500, "+2,500")]
)
def test_change_carries_its_sign(value, text):
    assert format_change(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.021, "+2.1 points"), (-0.0004, "0.0 points"), (-0.5, "−50.0 points"), (None, "–")]
)
def test_difference_of_shares_is_said_in_points(value, text):
    assert format_points(value).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345, "EUR 12,300"),
        (999_400, "EUR 999,000"),
        (999_600, "EUR 1 million"),
        (1_234_567, "EUR 1.23 million"),
        (-123.4, "−EUR 123"),
        (12.5, "EUR 12.50"),
        (99, "EUR 99"),
        (0.001, "EUR 0"),
        (1.5e9, "EUR 1,500 million"),
        (None, "–"),
    ],
)
def test_money_has_three_significant_digits(value, text):
    assert format_money(value, currency="EUR").replace("\xa0", " ") == text


def test_money_without_a_currency_is_a_number():
    assert format_money(-1500) == "−1,500"
    assert format_range("1", "3") == "1 to 3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (pd.NA, "–"),
        (pd.NaT, "–"),
        (float("nan"), "–"),
        (True, "yes"),
        (False, "no"),
        (-12345, "−12,345"),
        (0.123456, "0.1235"),
        (pd.Timestamp("2026-03-01"), "2026-03-01"),
        ("a\x00b\u202e", "a\ufffdb\ufffd"),
    ],
)
def test_cell_is_formatted_by_its_type(value, text):
    assert format_value(value) == text


@given(st.text())
def test_cleaned_text_keeps_its_length_and_can_be_written(text):
    cleaned = clean_text(text)
    assert len(cleaned) == len(text)
    cleaned.encode("utf-8")
    assert clean_text(cleaned) == cleaned


def test_words_with_joiners_are_left_alone():
    assert clean_text("caf\u00e9 \u200d\n\t") == "caf\u00e9 \u200d\n\t"


@given(st.lists(st.text(), min_size=1, max_size=3), st.text(), st.text())
def test_hostile_text_never_becomes_markup(cells, caption, title):
    frame = pd.DataFrame([cells], columns=[f"c{i}" for i in range(len(cells))])
    page = render_card(title, [render_frame(frame, caption=caption), caption], notes=[title])
    assert isinstance(page, Markup)
    plain = render_card(
        "x", [render_frame(frame.map(lambda _: "x"), caption="x" if caption else ""), "x"], notes=["x"]
    )
    assert page.count("<") == plain.count("<")
    assert page.count('"') == plain.count('"')


def test_long_frame_counts_what_it_hides():
    page = render_frame(pd.DataFrame({"n": range(100)}), max_rows=10)
    assert "… 90 more rows" in page
    assert page.count("<tr>") == 12


def test_text_table_fits_its_width():
    text = text_table(["name", "n"], [["x" * 200, "1,000"], ["short", "7"]], align="lr", width=60)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[2].endswith("1,000")
    assert "…" in lines[2]
    assert lines[3].endswith("    7")


def test_paragraph_hangs_under_its_bullet():
    text = text_block("- " + "word " * 40, indent="  ", width=60)
    first, second, *_ = text.splitlines()
    assert first.startswith("  - word")
    assert second.startswith("    word")


def test_all_pages_share_one_style_sheet():
    sheets = [str(render_template(package, "page.css")) for package in ("leadml.review", "leadml.monitor")]
    assert sheets[0] == sheets[1]
    assert "prefers-color-scheme: dark" in sheets[0]


def test_a_template_that_is_not_there_is_named():
    with pytest.raises(TemplateNotFound, match=r"nothing\.html"):
        render_template("leadml.review", "nothing.html")

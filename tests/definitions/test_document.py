"""The page on the wall, and how a definition shows itself."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leadml.definitions import document_definition, load_definition, parse_definition
from leadml.errors import DefinitionError

EXAMPLES = sorted((Path(__file__).parents[2] / "experiments" / "definitions").glob("*.yaml"))

TEXT = """\
name: inbound-lead
version: 2026.3
effective_from: 2026-07-01
review_by: 2026-12-31
owners: {marketing: Demand Generation, sales: VP Sales}
meaning: Which leads Marketing hands to Sales.
attributes:
  months: {type: number, unit: months, known_at: capture, asked: When will you decide?}
  title_level: {type: ordinal, levels: [staff, manager, director], known_at: handoff}
  industry: {type: category}
  employees: {type: integer, unit: people, asked: How many?}
  views: {type: integer, unit: views, window: 30 days, anchor: capture}
  demo: {type: boolean}
  visited_on: {type: date}
  idle: {type: integer, unit: days, age_of: visited_on, anchor: as_of}
  unused: {type: boolean, asked: Why?}
points:
  engagement:
    - {when: views >= 5, points: 10}
    - {when: demo, points: -40, fades_over: 90, age: idle}
classes:
  - name: hot
    meaning: Soon.
    all_of:
      - months <= 6.5 or missing
      - title_level >= manager
      - "industry not in [public, Retail & Food]"
      - at_least: 1
        of: [employees between 1000 and 50000, engagement >= 50, visited_on >= 2026-01-01, not demo]
      - any_of: [industry is known, strong interest]
  - name: cold
    otherwise: true
handoff: [hot]
prices: {won: {default: 12000, by: {employees >= 500: 40000.50}}, worked_lead: 150, currency: EUR}
"""


class Skeleton(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def read(html):
    skeleton = Skeleton()
    skeleton.feed(html)
    return skeleton


def test_the_page_says_every_class_in_plain_words():
    text = " ".join(read(document_definition(parse_definition(TEXT))).texts)
    for words in (
        "months: at most 6.5 months, or not known",
        "title level: manager or higher",
        "industry: anything but public or Retail & Food",
        "at least 1 of these:",
        "employees: from 1,000 to 50,000 people",
        "visited on: 2026-01-01 or later",
        "demo: no",
        "industry: known",
        "strong interest (not measurable: met by nobody)",
        "Everybody else.",
        "goes to Sales",
        "Next review",
        "2026-12-31",
        "VP Sales",
        "When will you decide?",
        "a number of months",
        "a whole number of views within 30 days before capture",
        "days from visited on to the day of the question",
        "demo: yes; fades to nothing over 90 days of idle",
        "-40",
        "A win with employees: at least 500 people",
        "40,000.50 EUR",
    ):
        assert words in text, words
    assert "Why?" not in text


def test_the_markdown_says_the_same_with_the_criteria_as_written():
    text = document_definition(parse_definition(TEXT), format="markdown")
    assert "  - months: at most 6.5 months, or not known (`months <= 6.5 or missing`)" in text
    assert "| months | When will you decide? | a number of months | when the lead comes in | hot |" in text
    assert text.endswith("\n")


def test_the_page_says_what_changed_since_the_last_version():
    new = parse_definition(TEXT.replace("6.5", "9").replace("2026.3", "2026.4"))
    text = document_definition(new, previous=parse_definition(TEXT), format="markdown")
    assert "## What changed since inbound-lead 2026.3" in text
    assert "hot now asks for months \\<= 9 instead of 6.5 months (looser)." in text
    same = document_definition(new, previous=new, format="markdown")
    assert "- Nothing." in same


def test_nothing_leaves_the_page():
    html = document_definition(parse_definition(TEXT))
    assert "default-src 'none'" in html
    assert not re.search(r"(?:src|href|url)\s*[=(]", html)
    assert "<script" not in html


HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onload=x",
    "{{ 7*7 }}",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "*bold* | pipe",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_no_text_of_a_definition_changes_the_skeleton_of_the_page(words):
    quoted = "'" + words.replace("'", "''") + "'"
    plain = read(document_definition(parse_definition(TEXT))).tags
    text = TEXT.replace("Soon.", quoted).replace("VP Sales", quoted).replace("When will you decide?", quoted)
    text = text.replace("meaning: Which leads Marketing hands to Sales.", f"meaning: {quoted}")
    definition = parse_definition(text.replace("strong interest", quoted))
    page = read(document_definition(definition))
    assert page.tags == plain
    assert words in " ".join(page.texts)
    card = definition._repr_html_()
    assert "<script" not in card
    markdown = document_definition(definition, format="markdown")
    assert markdown.count("\n") == document_definition(parse_definition(TEXT), format="markdown").count("\n")


def test_another_format_is_refused():
    with pytest.raises(
        DefinitionError, match=r"expected one of html, markdown; got 'htm'. Did you mean 'html'"
    ):
        document_definition(parse_definition(TEXT), format="htm")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_a_page(path):
    definition = load_definition(path)
    assert definition.version in document_definition(definition)
    assert definition.version in document_definition(definition, format="markdown")


def test_a_definition_shows_itself_as_a_short_text_and_a_card():
    definition = parse_definition(TEXT)
    assert repr(definition).splitlines()[0] == "inbound-lead 2026.3: Which leads Marketing hands to Sales."
    assert len(repr(definition).splitlines()) <= 10
    assert "hot → Sales: months: at most 6.5 months" in repr(definition)
    card = definition._repr_html_()
    assert "months: at most 6.5 months" in card
    assert not re.search(r"<script|\sid=", card)
    many = "".join(f"  - {{name: k{number}, all_of: [demo]}}\n" for number in range(12))
    assert len(repr(parse_definition(TEXT.replace("classes:\n", f"classes:\n{many}"))).splitlines()) <= 10


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_fits_a_phone_and_a_desk_and_asks_nobody(browser, tmp_path, width):
    long = (
        TEXT.replace("Soon.", "A" * 300).replace("VP Sales", "B" * 200).replace("public, Retail", "C" * 150)
    )
    path = tmp_path / "page.html"
    path.write_text(
        document_definition(parse_definition(long), previous=parse_definition(TEXT)), encoding="utf-8"
    )
    page = browser.new_page(viewport={"width": width, "height": 844})
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, p, li, td, dd')].every(e => e.getBoundingClientRect().right <= innerWidth + 1)"
    )
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('.classes')).gridTemplateColumns"
    ).split()
    assert sum(column != "0px" for column in columns) == (1 if width < 600 else 2)
    assert page.locator(".class.sales").count() == 1
    assert requests == [path.as_uri()]
    assert complaints == []
    page.close()

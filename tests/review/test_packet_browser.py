"""The packet in a real browser: it fits, it prints, it asks nobody for anything."""

import itertools
import os
import shutil

import pytest

from leadml.review import write_packet

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        if os.environ.get("LEADML_REQUIRE_BROWSER") == "1":
            pytest.fail("LEADML_REQUIRE_BROWSER=1, but no Chromium was found on the path.")
        pytest.skip("no Chromium on the path (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("packet") / "packet.html"
    write_packet(run, path)
    return path.as_uri()


@pytest.fixture
def open_page(browser, address):
    pages = []

    def open_(width, **options):
        page = browser.new_page(viewport={"width": width, "height": 844}, **options)
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(address)
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_page_never_scrolls_sideways(open_page, width):
    page = open_page(width)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_page_loads_itself_and_nothing_else(open_page, address):
    page = open_page(1280)
    assert page.requests == [address]
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(open_page, scheme):
    page = open_page(1280, color_scheme=scheme)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert min(contrasts) >= 4.5


def test_fold_opens_with_the_keyboard(open_page):
    page = open_page(1280)
    fold = page.locator("details", has_text="How we know").last
    assert fold.get_attribute("open") is None
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None


def test_pictures_have_words_and_headings_do_not_skip_a_level(open_page):
    page = open_page(1280)
    assert page.locator("svg:not([aria-label])").count() == 0
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_page_prints_on_a_few_sheets(open_page):
    pdf = open_page(800).pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert 1 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 9


CONTRASTS = """() => {
  const light = c => { const v = c.map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4 });
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
  const parse = s => (s.match(/[\\d.]+/g) || []).map(Number);
  const found = [];
  for (const e of document.querySelectorAll('p, li, td, th, h1, h2, h3, dt, dd, .tag, .small')) {
    if (!e.offsetParent || !e.textContent.trim()) continue;
    let back = e, colour = [0, 0, 0, 0];
    while (back) { colour = parse(getComputedStyle(back).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) break; back = back.parentElement }
    const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(colour.slice(0, 3))];
    found.push((Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return found;
}"""

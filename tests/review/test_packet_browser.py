"""The packet in a real browser: it fits, it prints, it asks nobody for anything."""

import itertools
import os
import shutil

import pytest

from leadml.review import Choice, build_what_if, write_packet

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
    assert 1 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 7


def read_outputs(page):
    names = ("leads", "accepted", "won", "missed", "value")
    return {name: page.locator(f"#wi-{name}").text_content() for name in names}


def say(outlook):
    return {name: getattr(outlook, name) for name in ("leads", "accepted", "won", "missed", "value")}


def test_numbers_after_a_drag_equal_the_python_result(open_page, run):
    what_if = build_what_if(run)
    page = open_page(1280)
    assert read_outputs(page) == say(what_if.evaluate(what_if.written()))
    page.locator("#wi-proposed").click()
    assert read_outputs(page) == say(what_if.evaluate(what_if.proposed()))
    tried = 0
    for number, dial in enumerate(what_if.dials):
        if dial.kind != "threshold":
            continue
        slider = page.locator(f"#wi-at-{number}")
        for position in range(len(dial.places)):
            page.locator("#wi-written").click()
            slider.fill(str(position))
            assert read_outputs(page) == say(what_if.evaluate(what_if.turn(dial.address, position)))
            tried += 1
    assert tried >= 20
    assert page.complaints == []


def test_a_slider_dragged_with_the_mouse_and_the_keyboard_answers(open_page, run):
    what_if = build_what_if(run)
    number, dial = next((i, d) for i, d in enumerate(what_if.dials) if d.address == "warm.employees")
    page = open_page(1280)
    slider = page.locator(f"#wi-at-{number}")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] * dial.at / (len(dial.places) - 1), box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    last = len(dial.places) - 1
    assert slider.input_value() == str(last)
    assert read_outputs(page) == say(what_if.evaluate(what_if.turn(dial.address, last)))
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert read_outputs(page) == say(what_if.evaluate(what_if.turn(dial.address, last - 1)))
    assert slider.get_attribute("aria-valuetext").startswith("warm: employees ≥ ")
    assert "employees" in page.locator("#wi-curve").get_attribute("aria-label")


def test_check_boxes_answer_like_python(open_page, run):
    what_if = build_what_if(run)
    page = open_page(1280)
    number, dial = next((i, d) for i, d in enumerate(what_if.dials) if d.address == "warm.budget_status")
    exploring = what_if.axes[dial.axis].labels.index("exploring")
    page.locator(f"#wi-bin-{number}-{exploring}").check()
    choices = list(what_if.written())
    choices[number] = Choice(bins=(*dial.bins, exploring))
    assert read_outputs(page) == say(what_if.evaluate(choices))
    page.locator(f"#wi-use-{number}").uncheck()
    choices[number] = Choice(bins=dial.bins, used=False)
    assert read_outputs(page) == say(what_if.evaluate(choices))


def test_parts_add_up_like_python(open_page, run):
    what_if = build_what_if(run)
    page = open_page(1280)
    rows = page.locator("#wi-parts tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.children].map(c => c.textContent))"
    )
    assert [tuple(row) for row in rows] == list(what_if.evaluate(what_if.written()).segments)


def test_every_control_has_a_name(open_page):
    page = open_page(390)
    nameless = page.evaluate(
        """[...document.querySelectorAll('#what-if input, #what-if button')]
           .filter(e => !e.getAttribute('aria-label') && !e.textContent.trim() && !(e.labels && e.labels.length)).length"""
    )
    assert nameless == 0


def test_a_script_that_is_not_ours_does_not_run(open_page):
    page = open_page(1280)
    ran = page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.stranger = 1';
           document.body.append(s); return window.stranger === 1 }"""
    )
    assert ran is False


def test_widget_works_in_a_frame(browser, run, tmp_path):
    path = tmp_path / "widget.html"
    path.write_text(f"<!doctype html><body>{build_what_if(run).render_widget()}</body>", encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    what_if = build_what_if(run)
    assert frame.locator("#wi-leads").text_content() == what_if.evaluate(what_if.written()).leads
    page.close()


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

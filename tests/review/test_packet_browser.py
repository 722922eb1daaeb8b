"""The packet in a real browser: it fits, it prints, it asks nobody for anything."""

import dataclasses
import itertools

import pandas as pd
import pytest

from leadml.review import Choice, build_what_if, write_packet
from leadml.review._whatif import MAX_CELLS

pytestmark = pytest.mark.slow


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
    assert 1 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 8


OUTPUTS = ("leads", "accepted", "accepted_count", "won", "won_count", "missed", "missed_share", "value")


def read_outputs(page):
    return {name: page.locator(f"#wi-{name.replace('_', '-')}").text_content() for name in OUTPUTS}


def say(outlook):
    return {name: getattr(outlook, name) for name in OUTPUTS}


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


RULES = """\
  - name: hot
    all_of:
      - purchase_timeframe between 2 and 9
      - "industry in [software, public]"
      - title_level is known
      - any_of: [employees >= 50 or missing, budget_status >= requested]
  - {name: cold, otherwise: true}
"""


@pytest.fixture(scope="module")
def all_kinds(browser, make_run, tmp_path_factory):
    """A page whose definition has a control of every kind."""
    text = make_run().definition.text
    head, tail = text.split("classes:\n")[0], text[text.index("prices:") :]
    run = make_run(definition=f"{head}classes:\n{RULES}handoff: [hot]\n{tail}")
    path = tmp_path_factory.mktemp("kinds") / "packet.html"
    write_packet(run, path)
    page = browser.new_page()
    page.goto(path.as_uri())
    yield page, build_what_if(run)
    page.close()


def test_every_kind_of_control_answers_like_python(all_kinds):
    page, what_if = all_kinds
    assert {dial.kind for dial in what_if.dials} == {"range", "levels", "fixed", "threshold"}
    tried = 0
    for number, dial in enumerate(what_if.dials):
        for key, places in (("at", dial.places), ("upper", dial.upper_places)):
            for position in range(len(places)):
                page.locator("#wi-written").click()
                page.locator(f"#wi-{key}-{number}").fill(str(position))
                lower, upper = (position, None) if key == "at" else (dial.at, position)
                assert read_outputs(page) == say(
                    what_if.evaluate(what_if.turn(dial.address, lower, upper=upper))
                )
                ends = {"at": "lower end" if dial.kind == "range" else "", "upper": "upper end"}
                assert ends[key] in page.locator("#wi-curve-words").text_content()
                tried += 1
        for bin_ in range(what_if.axes[dial.axis].size):
            box = page.locator(f"#wi-bin-{number}-{bin_}")
            if not box.count():
                continue
            page.locator("#wi-written").click()
            box.click()
            choices = list(what_if.written())
            choices[number] = Choice(bins=tuple(sorted({*dial.bins} ^ {bin_})))
            assert read_outputs(page) == say(what_if.evaluate(choices))
            tried += 1
        page.locator("#wi-written").click()
        page.locator(f"#wi-use-{number}").click()
        choices = list(what_if.written())
        choices[number] = Choice(bins=dial.bins, used=False)
        assert read_outputs(page) == say(what_if.evaluate(choices))
    assert tried > 30


def test_parts_add_up_like_python(open_page, run):
    what_if = build_what_if(run)
    page = open_page(1280)
    rows = page.locator("#wi-parts tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.children].map(c => c.textContent))"
    )
    assert [tuple(row) for row in rows] == list(what_if.evaluate(what_if.written()).segments)


def test_every_control_has_a_name_of_its_own(open_page):
    page = open_page(390)
    names = page.evaluate(
        """[...document.querySelectorAll('#what-if input, #what-if button')].map(e =>
           (e.getAttribute('aria-label') || e.textContent || [...(e.labels || [])].map(l => l.textContent).join(' ')).trim()
           + '|' + e.closest('.dial, .buttons')?.querySelector('legend')?.textContent)"""
    )
    assert len(names) > 10
    assert all(name.split("|")[0] for name in names)
    assert len(set(names)) == len(names)


def test_what_is_heard_is_said_once_the_hand_rests(open_page):
    page = open_page(1280)
    status = page.locator("#wi-said")
    assert status.get_attribute("role") == "status"
    assert status.text_content() == ""
    assert page.locator("#what-if output:not([aria-live=off])").count() == 0
    page.locator("#what-if input[type=range]").first.fill("1")
    page.wait_for_timeout(600)
    heard = status.text_content()
    assert heard.startswith(f"{page.locator('#wi-leads').text_content()} leads a month; accepted ")
    assert page.locator("#wi-value").text_content() in heard


def test_focus_is_seen_and_every_control_is_reached_with_the_keyboard(open_page):
    page = open_page(1280)
    page.locator("#wi-written").focus()
    count = page.locator("#what-if input:not([disabled]), #what-if button").count()
    reached = set()
    for _ in range(count):
        seen = page.evaluate(
            """[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle,
                parseFloat(getComputedStyle(document.activeElement).outlineWidth)]"""
        )
        reached.add(seen[0])
        assert (seen[1], seen[2]) == ("solid", 3), seen[0]
        page.keyboard.press("Tab")
    assert len(reached) == count


@pytest.mark.parametrize("width", [390, 1280])
def test_letters_of_the_curve_keep_their_size(open_page, width):
    page = open_page(width)
    heights = page.evaluate(
        "[...document.querySelectorAll('#wi-curve text')].map(t => t.getBoundingClientRect().height)"
    )
    assert len(heights) > 5
    assert min(heights) >= 11


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_and_lines_of_the_curve_stand_out(open_page, scheme):
    page = open_page(1280, color_scheme=scheme)
    assert min(page.evaluate(CURVE_CONTRASTS, "text")) >= 4.5
    assert min(page.evaluate(CURVE_CONTRASTS, ".curve, .mark")) >= 3


def test_a_script_that_is_not_ours_does_not_run(open_page):
    page = open_page(1280)
    ran = page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.stranger = 1';
           document.body.append(s); return window.stranger === 1 }"""
    )
    assert ran is False


def test_the_widest_page_answers_at_once(browser, run, tmp_path):
    what_if = build_what_if(run)
    cells = pd.concat([what_if.cells] * (-(-MAX_CELLS // len(what_if.cells)))).head(MAX_CELLS)
    path = tmp_path / "wide.html"
    path.write_text(dataclasses.replace(what_if, cells=cells).to_page(), encoding="utf-8")
    assert path.stat().st_size < 2_000_000
    page = browser.new_page()
    page.goto(path.as_uri())
    times = page.evaluate(
        """() => [...document.querySelectorAll('#what-if input[type=range]')].flatMap(slider => [0, 1, 2].map(at => {
          slider.value = at;
          const begin = performance.now();
          slider.dispatchEvent(new Event('input'));
          return performance.now() - begin;
        }))"""
    )
    page.close()
    assert sorted(times)[len(times) // 2] < 200, "milliseconds; people notice from about 200 on"


def test_widget_works_in_a_frame(browser, run, tmp_path):
    path = tmp_path / "widget.html"
    path.write_text(f"<!doctype html><body>{build_what_if(run).render_widget()}</body>", encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    what_if = build_what_if(run)
    assert frame.locator("#wi-leads").text_content() == what_if.evaluate(what_if.written()).leads
    page.close()


CURVE_CONTRASTS = """which => {
  const light = c => { const v = c.map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4 });
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
  const parse = s => (s.match(/[\\d.]+/g) || []).map(Number);
  const back = light(parse(getComputedStyle(document.body).backgroundColor).slice(0, 3));
  return [...document.querySelectorAll('#wi-curve ' + which.split(', ').join(', #wi-curve '))].map(e => {
    const style = getComputedStyle(e), a = light(parse(e.tagName === 'text' ? style.fill : style.stroke).slice(0, 3));
    return (Math.max(a, back) + .05) / (Math.min(a, back) + .05);
  });
}"""

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

# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: complete, offline, readable at two widths in light and dark, deaf to evil strings."""

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from any2seg_ros.replay.show import finish

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

V = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("replay_show_verdicts.py"))))
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (375, 1280)
LEAST_CONTRAST = 4.5
"""WCAG 2.2, level AA, for text."""

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const paint = (under, colour) => {
    canvas.fillStyle = `rgb(${under})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(getComputedStyle(e).backgroundColor);
    return chain.reduce((under, colour) => paint(under, colour), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest("svg, script")) continue;
    const under = ground(element), over = paint(under, getComputedStyle(element).color);
    const [high, low] = [light(under), light(over)].sort((a, b) => b - a);
    found.push([(high + 0.05) / (low + 0.05), element.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"found none of {', '.join(PROGRAMS)}; install one to test the page in it")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports of every kind, by name."""
    made = {}
    for name in ("realistic", "without_truth", "damaged", "evil"):
        folder = tmp_path_factory.mktemp(name)
        verdict = V.damaged() if name == "damaged" else getattr(V, name)(folder)
        film = name == "realistic"
        if film:
            V.picture_file(folder / "film" / "000001.jpg")
            (folder / "old.json").write_text(V.realistic().model_dump_json(), encoding="utf-8")
        against = folder / "old.json" if film else None
        finish(verdict, folder, against=against, fail_under="", video=film)
        made[name] = (folder / "report.html").as_uri()
    return made


@pytest.fixture(scope="module")
def screen(browser):
    """One page for all tests; what it asks for and what it complains of is kept."""
    page = browser.new_page()
    page.set_default_timeout(10_000)
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
    return page


@pytest.fixture
def opened(screen, pages):
    """Open a report afresh."""

    def open_(name, width=1280):
        screen.set_viewport_size({"width": width, "height": 800})
        screen.emulate_media(color_scheme="light")
        screen.goto("about:blank")
        screen.asked.clear()
        screen.complaints.clear()
        screen.goto(pages[name])
        return screen

    return open_


def test_plots_tables_gallery_and_film_are_there(opened):
    page = opened("realistic")
    assert page.locator("h1").inner_text() == "33.6\N{NO-BREAK SPACE}% mIoU on 2 recordings."
    assert page.locator(".answers dt").all_inner_texts() == [
        "How good is it?", "What if a sensor dies?", "What was missing?"
    ]  # fmt: skip
    lanes = page.locator("#time svg.lane")
    assert lanes.count() == 18  # outputs, four sensors, two faults and two conditions, in two recordings
    assert all(box["width"] > 300 and box["height"] > 10 for box in (lane.bounding_box() for lane in lanes.all()))
    assert page.locator("#time svg.lane .dead").count() >= 4
    assert page.locator("#time svg.curves path").count() == 2 * (1 + 2 * 3)
    assert page.locator("#classes tbody tr").count() == 22
    assert page.locator("#subsets .reference").count() == 1
    assert page.locator("#subsets tbody tr").count() == 4 + 15
    assert page.locator(".matrix tbody tr").count() == 22
    assert page.locator(".shot img").count() == 9
    loaded = page.evaluate("Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth, () => 0)))")
    assert loaded.count(320) == 9
    assert page.locator("video").evaluate("v => v.src.startsWith('data:video/mp4')")
    assert "The same: mIoU per frame" in page.locator("#compare").inner_text()
    assert "unused" in page.locator("#topics").text_content()


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("name", ["realistic", "without_truth", "damaged", "evil"])
def test_it_is_offline_and_never_wider_than_the_screen(opened, name):
    page = opened(name)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    open_all(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert [url for url in page.asked if url.startswith("file:")] == [page.url]


@pytest.mark.parametrize("name", ["realistic", "without_truth"])
def test_every_word_stands_out_from_its_ground_in_light_and_dark(opened, name):
    page = opened(name, 375)
    open_all(page)
    grounds = {"light": "rgb(246, 247, 249)", "dark": "rgb(14, 17, 22)"}
    for scheme, ground in grounds.items():
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        found = page.evaluate(CONTRAST)
        assert len(found) > 200
        assert [(round(ratio, 2), text) for ratio, text in found if ratio < LEAST_CONTRAST] == []


def focused(page):
    return page.evaluate("[...document.querySelectorAll('.shot')].indexOf(document.activeElement)")


def test_the_keyboard_moves_through_the_gallery(opened):
    page = opened("realistic")
    page.locator(".shot").first.focus()
    keys = ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "End", "ArrowRight", "Home", "ArrowLeft"]
    seen = []
    for key in keys:
        page.keyboard.press(key)
        seen.append(focused(page))
    assert seen == [1, 2, 1, 5, 8, 8, 0, 0]  # four to a row; the ends hold
    page.keyboard.press("Tab")
    assert focused(page) == -1  # one stop of the Tab key for all of it
    page.keyboard.press("Shift+Tab")
    assert focused(page) == 0


def test_a_picture_opens_and_its_pages_turn_and_focus_comes_back(opened):
    page = opened("realistic")
    page.locator(".shot").nth(2).focus()
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    assert viewer.evaluate("d => d.open")
    assert viewer.locator("p").inner_text().startswith("3 of 9:")
    page.keyboard.press("ArrowRight")
    assert viewer.locator("p").inner_text().startswith("4 of 9:")
    fourth = page.locator(".shot img").nth(3).get_attribute("src")
    assert viewer.locator("img").evaluate("i => i.src") == fourth
    page.keyboard.press("Escape")
    assert not viewer.evaluate("d => d.open")
    sync_api.expect(page.locator(".shot").nth(3)).to_be_focused()


def test_the_first_stop_of_the_keyboard_skips_to_the_results(opened):
    page = opened("realistic")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_screen_readers_find_names_for_everything(opened):
    page = opened("realistic")
    nameless = """() => [
        ...document.querySelectorAll("img, svg[role=img], section, table, [role=region], dialog, video")]
        .filter(e => !(e.alt || e.ariaLabel || e.caption || e.getAttribute("aria-labelledby") || e.closest("dialog")))
        .map(e => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("[...document.querySelectorAll('thead th')].every(h => h.scope === 'col')")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = (
        "[...document.querySelectorAll('nav a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"
    )
    assert page.evaluate(targets) == 0


def test_without_truth_no_number_is_called_a_score(opened):
    page = opened("without_truth")
    text = page.locator("body").inner_text()
    assert page.locator("#t-scores").inner_text() == "Indicators, not accuracy"
    assert "Accuracy is unknown" in text
    assert "It is not accuracy" in page.locator("#subsets").inner_text()
    assert page.locator("#confusion, #classes").count() == 0
    assert "Pass --truth" in text


def test_a_recording_that_gave_nothing_says_so(opened):
    page = opened("damaged")
    assert page.locator("h1").inner_text() == "No output on 1 recording."
    text = page.locator("main").inner_text()
    assert "The file ends within its header: found 12 bytes. Copy the recording again." in text
    assert "Not measured" in text
    assert page.locator(".shot, .matrix").count() == 0


def test_evil_strings_are_only_read(opened):
    page = opened("evil")
    assert page.evaluate("document.scripts.length") == 1
    assert (
        page.evaluate(
            "document.querySelectorAll('img:not(.shot img, dialog img), style:not(head style), body b b').length"
        )
        == 0
    )
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => a.name.startsWith('on')))"
        )
        is False
    )
    assert page.title().startswith("any2seg replay: ")
    assert page.complaints == []
    text = page.locator("body").inner_text()
    assert V.EVIL_TOPIC in text
    assert V.EVIL_CLASS in text
    assert "{{ 7 * 7 }}" in text
    assert "\\u202e" in text
    assert not set("\u202e\x1b\x07") & set(page.content())


def test_a_script_that_got_in_would_not_run(opened):
    """The page's own policy is a second wall: even markup that is planted stays dead and asks for nothing."""
    page = opened("evil")
    planted = """() => new Promise(done => {
        const image = `<img src="https://example.org/x.png" onerror="document.title='pwned'">`;
        document.body.insertAdjacentHTML("beforeend", image);
        const script = document.createElement("script");
        script.textContent = "document.title = 'pwned'";
        document.body.append(script);
        setTimeout(() => done(document.title), 300);
    })"""
    assert page.evaluate(planted) != "pwned"
    assert any("Content Security Policy" in text for text in page.complaints)

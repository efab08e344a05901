"""Every page that a reader can reach, in each of its states: no barrier, no scroll sideways, nothing from elsewhere."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from sandbox.story import Story
from tests.browser.visitor import PageWatcher, Visitor
from tests.crawler import Answer, Found, crawl, faults, faults_between, normalised, shape_of
from tests.profiles import portion, some_of

AXE = Axe()
DESK, PHONE = {"width": 820, "height": 900}, {"width": 320, "height": 640}
FOUND_ONLY = {"resultTypes": ["violations"]}
CONTRAST = {**FOUND_ONLY, "runOnly": ["color-contrast"]}
# Whose pages, and from which unit: staff, completed, asks, may apply, left at lunch, waits for an answer.
EVERYONE = {
    "ida": "dashboard",
    "maya": "module1",
    "wendell": "module2",
    "greta": "retreats",
    "priya": "module2",
    "hiro": "module2",
}
READERS = some_of(EVERYONE, 3)
MAX_OF_A_VIEW = portion(2)
# They register at Zoom, or are files.
SKIPPED = ("/join", ".csv", ".ics", "/jwks.json", "/modules/F1/materials/")
# One page of each kind, for what is the same on all of them.
SAMPLES = {
    "maya": ("/", "/modules/F2", "/sessions/1", "/record", "/retreats/RT_EXP"),
    "priya": ("/modules/F2", "/equivalency/F1"),
    "ida": ("/desk", "/desk/people", "/desk/sessions/1", "/desk/people/1", "/desk/sessions?month=2026-12"),
}


def barriers(page: Page, options: Mapping[str, Any] = FOUND_ONLY) -> list[str]:
    """What axe finds, whatever its impact: the rule, and the elements it is about."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.axe_script)
    violations: list[dict[str, Any]] = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in violations]


def is_wider_than_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def reached(after_the_day: Story) -> dict[str, list[Found]]:
    """Reader → every page that links lead to, read over HTTP."""
    return {username: walk(after_the_day, username, unit) for username, unit in READERS.items()}


def walk(story: Story, username: str, unit: str) -> list[Found]:
    story.visit(username, unit)
    tool = story.stage.tool_url

    def fetch(path: str) -> Answer:
        got = story.browsers[username].open(tool + path)
        ended = normalised(got.url.removeprefix(tool))
        if ended != path:
            return Answer(303, "text/html", leads_to=ended)
        return Answer(got.status, got.headers["Content-Type"].partition(";")[0], got.html)

    return crawl(fetch, "/desk" if username == "ida" else "/", skips=SKIPPED)


def view_of(path: str) -> str:
    return shape_of(path).partition("?")[0]


def states(pages: list[Found], seen: set[object]) -> Iterator[str]:
    """One page of each state that was not seen yet, and some of a view at most: filters of a list change no form."""
    views: Counter[str] = Counter()
    for page in pages:
        view = view_of(page.path)
        if page.answer.status == 200 and page.state not in seen and views[view] < MAX_OF_A_VIEW:
            seen.add(page.state)
            views[view] += 1
            yield page.path


def test_every_page_that_is_reached_is_whole(reached: dict[str, list[Found]]) -> None:
    said = [f"{who} {page.path}: {fault}" for who, pages in reached.items() for page in pages for fault in faults(page)]
    said += [fault for pages in reached.values() for fault in faults_between(pages)]
    assert "\n".join(said) == ""


@pytest.mark.parametrize("username", READERS)
def test_no_page_has_a_barrier_or_is_wider_than_a_phone(
    visit: Callable[..., Visitor], after_the_day: Story, reached: dict[str, list[Found]], username: str
) -> None:
    seen: set[object] = set()
    for other in READERS:
        if other == username:
            break
        list(states(reached[other], seen))
    page = visit(username).enter(EVERYONE[username])
    found: list[str] = []
    dark: set[str] = set()
    for path in states(reached[username], seen):
        page.goto(f"{after_the_day.stage.tool_url}{path}")
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            if is_wider_than_its_window(page):
                found.append(f"{path} is wider than {size['width']} px")
        found += [f"{path}: {each}" for each in barriers(page)]
        if view_of(path) not in dark:
            dark.add(view_of(path))
            page.emulate_media(color_scheme="dark")
            found += [f"{path}, dark: {each}" for each in barriers(page, CONTRAST)]
            page.emulate_media(color_scheme="light")
    assert "\n".join(found) == ""


# What a reader who sees no colours of ours still has to see, and what does not belong on paper.
UNSEEN = """() => [...document.querySelectorAll("main .btn, main input:not([type=hidden]), main select, main textarea")]
    .filter((each) => each.checkVisibility() && !["checkbox", "radio"].includes(each.type))
    .filter((each) => /^(none|0px)/.test(getComputedStyle(each).borderTop.replace(/^0px.*/, "none")))
    .map((each) => each.outerHTML)"""
ON_PAPER = """() => [...document.querySelectorAll("header.bar, form.find, .skip")]
    .filter((each) => each.checkVisibility()).map((each) => each.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("username", SAMPLES)
def test_pages_stand_without_colours_on_paper_and_at_four_times_the_size(
    visit: Callable[..., Visitor], after_the_day: Story, username: str
) -> None:
    page = visit(username, device_scale_factor=4).enter(EVERYONE[username])
    found = []
    for path in SAMPLES[username]:
        page.goto(f"{after_the_day.stage.tool_url}{path}")
        page.emulate_media(forced_colors="active")
        found += [f"{path}: no edge in forced colours: {each}" for each in page.evaluate(UNSEEN)]
        page.emulate_media(forced_colors="none", media="print")
        page.set_viewport_size({"width": 720, "height": 1000})
        found += [f"{path}: on paper: {each}" for each in page.evaluate(ON_PAPER)]
        found += [f"{path} is wider than paper"] if is_wider_than_its_window(page) else []
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 320, "height": 256})
        found += [f"{path} is wider than 320 px at 400 %"] if is_wider_than_its_window(page) else []
    assert "\n".join(found) == ""


def test_a_barrier_a_wide_page_a_forbidden_script_and_a_foreign_picture_would_be_noticed(
    visit: Callable[..., Visitor], after_the_day: Story, watcher: PageWatcher
) -> None:
    page = visit("wendell").enter("module2")
    page.set_viewport_size(PHONE)
    page.evaluate("""() => {
        const button = document.createElement("button");
        button.style.width = "900px";
        const script = document.createElement("script");
        script.textContent = "document.title = 'run'";
        document.querySelector("main").append(button, script);
    }""")
    assert any(each.startswith("button-name") for each in barriers(page))
    assert is_wider_than_its_window(page)
    assert "script-src" in "".join(watcher.found())
    page.goto(after_the_day.stage.lms_url)
    page.evaluate("new Image().src = 'https://elsewhere.example.org/picture.png'")
    page.wait_for_load_state("networkidle")
    assert "https://elsewhere.example.org/picture.png" in watcher.found()

"""Every main page, for every reader: no serious barrier, nothing wider than a phone, nothing from anywhere else."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from sandbox.story import Story
from tests.browser.visitor import PageWatcher, Visitor

DESK, PHONE = {"width": 820, "height": 900}, {"width": 320, "height": 640}
BARRIERS = ("serious", "critical")

# Who reads, from which unit, and what: locked and open modules, the own day, requests, retreats, the desk.
READERS = {
    "a trainee who has completed": (
        "maya",
        "module1",
        ("/", "/modules/F1", "/modules/F2", "/record", "/sessions/1", "/equivalency", "/calendar", "/help", "/mail"),
    ),
    "a trainee who may apply": (
        "greta",
        "retreats",
        ("/retreats", "/retreats/RT_EXP", "/retreats/RT_EXP/apply", "/presence"),
    ),
    "a trainee who left at lunch": ("priya", "module2", ("/modules/F2", "/sessions/1", "/retreats/RT_EXP")),
    "a trainee who asks": ("wendell", "module2", ("/modules/F2", "/equivalency/F1", "/retreats/RT_DIA")),
    "a trainee who waits for an answer": ("hiro", "module2", ("/modules/F2", "/equivalency/F1", "/")),
    "staff": (
        "ida",
        "dashboard",
        (
            "",
            "/programme",
            "/programme/F1",
            "/programme/RT_EXP",
            "/equivalencies",
            "/equivalencies/1",
            "/people",
            "/sessions",
            "/sessions/1",
            "/sessions?month=2026-12",
            "/sessions/1?only=review",
            "/sessions/1/live",
            "/sessions/1/zoom",
            "/sessions/1/checks",
            "/sessions/1/settings",
            "/sessions/2/edit",
            "/sessions/2/move",
            "/sessions/2/cancel",
            "/sessions/1/corrections/2",
            "/sessions/add?module=F1",
            "/rosters/missing/1",
            "/settings",
            "/settings/zoom",
            "/settings/jobs",
            "/unmatched",
            "/mail",
            "/accommodations",
            "/people/imports",
            "/links",
            "/joins",
            "/joins/1/2",
            "/reviews",
            "/corrections",
            "/attendance-requests",
            "/scores",
            "/people/1",
            "/setup",
            "/courses",
            "/platforms",
            "/rosters",
        ),
    ),
}


def barriers(page: Page) -> list[str]:
    """What axe finds and counts as serious: the rule, and the elements it is about."""
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in violations if each["impact"] in BARRIERS
    ]


def is_wider_than_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize(("username", "unit", "paths"), READERS.values(), ids=READERS)
def test_no_page_has_a_serious_barrier_or_is_wider_than_a_phone(
    visit: Callable[..., Visitor], after_the_day: Story, username: str, unit: str, paths: tuple[str, ...]
) -> None:
    page = visit(username).enter(unit)
    start = f"{after_the_day.stage.tool_url}{'/desk' if username == 'ida' else ''}"
    for path in paths:
        answer = page.goto(f"{start}{path}")
        assert answer is not None
        assert answer.status == 200, path
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            assert barriers(page) == [], f"{path} at {size['width']} px"
            assert not is_wider_than_its_window(page), f"{path} at {size['width']} px"


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

"""Every main page, for every reader: no serious barrier, nothing wider than a phone, nothing from anywhere else."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from sandbox.story import Story
from tests.browser.visitor import Visitor, Witness

DESK, PHONE = {"width": 820, "height": 900}, {"width": 320, "height": 640}
BARRIERS = ("serious", "critical")

# Who reads, from which unit, and what: locked and open modules, the own day, requests, retreats, the desk.
READERS = {
    "a trainee who has completed": (
        "maya",
        "module1",
        ("/", "/modules/F1", "/modules/F2", "/sessions", "/sessions/1", "/equivalency", "/calendar", "/contact"),
    ),
    "a trainee who may apply": ("greta", "retreats", ("/retreats", "/retreats/RT_EXP", "/retreats/RT_EXP/apply")),
    "a trainee who left at lunch": ("priya", "module2", ("/modules/F2", "/sessions/1", "/retreats/RT_EXP")),
    "a trainee who asks": ("wendell", "module2", ("/modules/F2", "/equivalency/F1", "/retreats/RT_DIA")),
    "a trainee who waits for an answer": ("hiro", "module2", ("/modules/F2", "/equivalency/F1", "/")),
    "staff": (
        "ida",
        "dashboard",
        ("", "/modules", "/equivalencies", "/sessions", "/sessions/1", "/unmatched", "/scores", "/people/1"),
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


def test_the_tests_of_this_folder_would_notice(
    visit: Callable[..., Visitor], after_the_day: Story, witness: Witness
) -> None:
    """A page with a barrier, too wide, with an inline script, and with a picture from elsewhere."""
    page = visit("wendell").enter("module2")
    page.evaluate("""() => {
        document.querySelector("main").innerHTML += "<button></button><p style='width: 900px'>wide</p>";
        const script = document.createElement("script");
        script.textContent = "window.foreign = true";
        document.head.append(script);
        const picture = new Image();
        picture.src = "https://elsewhere.example.org/picture.png";
        document.querySelector("main").append(picture);
    }""")
    page.locator("main p").last.evaluate("each => each.style.width = '900px'")
    page.set_viewport_size(PHONE)
    assert any("button-name" in each for each in barriers(page))
    assert is_wider_than_its_window(page)
    expect(page.locator("main img")).to_have_count(1)
    found = "\n".join(witness.found())
    assert "Content Security Policy" in found
    assert "script-src" in found
    assert "elsewhere.example.org" in found

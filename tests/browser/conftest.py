"""Real chromium before a stage: the genuine Open edX consumer at `localhost`, the tool in its frame at `127.0.0.1`.

To the browser these are two sites, so the tool's cookies are third-party cookies. Each file has a stage of its own:
whoever needs the day played finds it played, or plays it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from sandbox.stage import Stage
from sandbox.story import Story
from tests.browser.storage_platform import CourseSite, course_site
from tests.browser.visitor import ARGUMENTS, CHROMIUM, PageWatcher, Visitor, write_profile
from tests.stages import opened_stage

MISSING = "NO CHROMIUM: the browser tests were SKIPPED. Install the package chromium to run them."
PATIENCE_MS = 60_000


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CHROMIUM is None:
        terminalreporter.write_line(MISSING, red=True, bold=True)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if CHROMIUM is None:
        pytest.skip(MISSING)
    with opened_stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="module")
def site(opened: Stage) -> Iterator[CourseSite]:
    """A second platform, which keeps values for tools. It is registered before any page is asked for: who may frame the
    tool is remembered for some seconds."""
    with course_site(opened) as site:
        yield site


@pytest.fixture(scope="module")
def story(opened: Stage, site: CourseSite) -> Story:
    """The stage, with everybody of the story enrolled and their licences on record; nothing has been played yet."""
    story = Story(opened)
    story.gather_the_cast()
    return story


@pytest.fixture
def stage(story: Story) -> Stage:
    return story.stage


@pytest.fixture(scope="module")
def after_the_day(story: Story) -> Story:
    """The stage after the training day: settled, graded, and Hiro's request waits for the staff."""
    if story.stage.zoom_json("status.json")["state"] == "idle":
        story.visit("maya", "module1")
        story.play_the_day()
    story.stage.wait_for_all_work()
    story.full_grade("maya", "module1")
    story.ask_for_equivalency("hiro", "prati", "Foundations of ketamine-assisted work")
    return story


@pytest.fixture(scope="package")
def player() -> Iterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as player:
        yield player


@pytest.fixture(scope="package")
def browser(player: Playwright) -> Iterator[Browser]:
    browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def watcher(stage: Stage, site: CourseSite) -> Iterator[PageWatcher]:
    """Watches every window of the test; what it found and the test did not ask for fails the test."""
    watcher = PageWatcher(stage.tool_url, (stage.lms_url, stage.zoom_url, site.origin, site.stranger))
    yield watcher
    assert watcher.found() == []


@pytest.fixture
def visit(browser: Browser, stage: Stage, watcher: PageWatcher) -> Iterator[Callable[..., Visitor]]:
    """`visit(username, **options of the context)`: this person at a browser of their own."""
    contexts = []

    def enter(username: str, **options: Any) -> Visitor:
        context = browser.new_context(**options)
        contexts.append(context)
        watcher.watch(context)
        return Visitor(context.new_page(), stage).pick(username)

    yield enter
    for context in contexts:
        context.close()


@pytest.fixture
def visit_with(
    player: Playwright, stage: Stage, watcher: PageWatcher, tmp_path: Path
) -> Iterator[Callable[[str, dict[str, Any]], Visitor]]:
    """`visit_with(username, settings)`: at a chromium whose settings this person has changed."""
    contexts = []

    def enter(username: str, settings: dict[str, Any]) -> Visitor:
        profile = write_profile(tmp_path / f"profile-{len(contexts)}", settings)
        context = player.chromium.launch_persistent_context(str(profile), executable_path=CHROMIUM, args=ARGUMENTS)
        contexts.append(context)
        watcher.watch(context)
        return Visitor(context.pages[0], stage).pick(username)

    yield enter
    for context in contexts:
        context.close()

"""The sheet of a session and the live board at a real browser: the board renews itself, can be paused, and needs no
script."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from sandbox.story import Story
from sandbox.zoom.behaviours import Visit
from tests.browser.test_pages import DESK, PHONE, barriers, is_wider_than_its_window
from tests.browser.visitor import Visitor
from tests.running_class import WHOLE, RunningClass, attendee

# Pages that renew themselves do so every ten seconds; the clock of a page is put forward by a little more. What they
# read is up to two seconds old, so now and then it takes another ten.
RENEWED_MS = 11_000
HERE = "#live .stats > div:first-child dd"
TO_MATCH = "#live .stats > div:has-text('more to match') dd"
MAYA = attendee("maya", WHOLE)
STRANGER = attendee("stranger", WHOLE, name="Somebody Unknown")
STRANGER_LEFT = attendee("stranger", Visit(0, 3600), name="Somebody Unknown")


@pytest.fixture(scope="module")
def running(story: Story) -> Iterator[RunningClass]:
    """A class with Maya in it, and a stranger whom nobody knows."""
    running = RunningClass(story.stage)
    running.tell(MAYA, STRANGER)
    yield running
    running.call_off()


def assert_good(page: Page) -> None:
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        assert barriers(page) == []
        assert not is_wider_than_its_window(page)


def test_one_persons_day_opens_from_the_sheet_without_a_barrier(
    visit: Callable[..., Visitor], after_the_day: Story
) -> None:
    page = visit("ida").enter("dashboard")
    page.goto(f"{after_the_day.stage.tool_url}/desk/sessions/{after_the_day.stage.played_session}")
    page.get_by_role("link", name="Noor Haddad").click()
    expect(page.get_by_role("heading", name="Attendance of Noor Haddad")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Presence of Noor Haddad"))).to_be_visible()
    assert_good(page)


def test_the_board_renews_itself_and_can_be_paused(
    visit: Callable[..., Visitor], running: RunningClass, story: Story
) -> None:
    page = visit("ida").enter("dashboard")
    page.clock.install()
    page.goto(f"{story.stage.tool_url}/desk/sessions/{running.session}/live")
    expect(page.locator(HERE)).to_have_text(re.compile(r"^1\b"))
    expect(page.locator(TO_MATCH)).to_have_text("1")
    assert_good(page)
    page.locator("#here-list summary").focus()
    running.tell(MAYA, STRANGER_LEFT)
    page.clock.fast_forward(RENEWED_MS)
    expect(page.locator(HERE)).to_have_text(re.compile(r"^1\b"))
    expect(page.locator("#here-list summary")).to_be_focused()

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-manner")).to_have_text("Paused: this page stands still.")
    running.tell(MAYA, STRANGER_LEFT, attendee("priya", WHOLE))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(RENEWED_MS)
    expect(page.locator(HERE)).to_have_text(re.compile(r"^1\b"))
    assert asked == []
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(HERE)).to_have_text(re.compile(r"^2\b"))


def test_without_script_the_board_is_complete_and_has_a_link_to_look_again(
    visit: Callable[..., Visitor], running: RunningClass, story: Story
) -> None:
    page = visit("ida").enter("dashboard")
    without = page.context.browser.new_context(java_script_enabled=False)
    without.add_cookies(page.context.cookies())
    plain = without.new_page()
    plain.goto(f"{story.stage.tool_url}/desk/sessions/{running.session}/live")
    expect(plain.get_by_role("heading", name="Here now")).to_be_visible()
    expect(plain.get_by_role("button", name="Pause")).to_be_hidden()
    plain.get_by_role("link", name="Reload now").click()
    expect(plain.get_by_role("heading", name="The class now")).to_be_visible()
    without.close()


def test_a_question_appears_by_itself_and_is_answered_by_one_tap(
    visit: Callable[..., Visitor], running: RunningClass, story: Story
) -> None:
    trainee, staff = visit("maya").enter("module1"), visit("ida").enter("dashboard")
    trainee.clock.install()
    staff.clock.install()
    trainee.goto(f"{story.stage.tool_url}/modules/F1")
    trainee.get_by_role("link", name="Are you there?").first.click()
    expect(trainee.get_by_text("No question right now")).to_be_visible()
    expect(trainee.locator("#live-manner")).to_have_text("This page renews itself.")
    assert_good(trainee)

    staff.goto(f"{story.stage.tool_url}/desk/sessions/{running.session}/live")
    staff.get_by_role("link", name="Start a presence check").click()
    assert_good(staff)
    staff.get_by_role("button", name="Ask now").click()
    answers = staff.locator("tbody td.num")
    expect(answers).to_have_text("0")
    assert_good(staff)

    tap = trainee.get_by_role("button", name="Yes, I am here")
    trainee.clock.fast_forward(RENEWED_MS)
    expect(tap).to_be_visible()
    assert_good(trainee)
    tap.click()
    expect(trainee.get_by_text("Answered at")).to_be_visible()
    assert_good(trainee)
    staff.clock.fast_forward(RENEWED_MS)
    expect(answers).to_have_text("1")

"""A trainee's whole day in the frame of the course: by keyboard, on a desktop and on a phone, without third-party
cookies. On every page that says what to do there is one primary button, within the first 600 px."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, expect

from sandbox.story import Story
from tests.browser.keyboard import Keyboard
from tests.browser.test_cookies import BLOCK_THIRD_PARTIES
from tests.browser.visitor import Visitor
from tests.profiles import some_of
from tests.running_class import WHOLE, RunningClass, attendee

A_MINUTE = 60_000
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# Who lives the day, and the meetings of two classes of their own: one that runs, one that has just ended.
DAYS = {
    "desktop": ("bodhi", "Bodhi Ramesh", DESKTOP, "86400009101", "86400009102"),
    "phone": ("jomo", "Jomo Baraka", PHONE, "86400009201", "86400009202"),
}
LICENCE = ("--type", "psychologist", "--jurisdiction", "CA", "--number", "PSY-90001", "--verified",
           "--issued", "2019-03-01", "--expires", "2044-02-29")  # fmt: skip


def decline(story: Story, username: str) -> None:
    """Staff answer that the training does not stand for the module."""
    (asked,) = story.stage.gatehouse_json("equivalency", "list", "--trainee", f"{username}@example.org")
    story.stage.gatehouse("equivalency", "decline", str(asked["id"]), "--text", "Please take Module 1.")


def ask_presence(story: Story, session: int) -> None:
    story.visit("ida", "dashboard")
    checks = f"/desk/sessions/{session}/checks"
    page = story._own("ida", checks)
    story.browsers["ida"].submit(page, page.form(checks), seconds="300")


def check_state(person: Keyboard) -> FrameLocator:
    person.assert_pressing()
    person.assert_fits()
    return person.tool


@pytest.mark.parametrize(("username", "name", "size", "runs", "ended"), some_of(DAYS).values(), ids=some_of(DAYS))
def test_a_whole_day_of_a_trainee(
    visit_with: Callable[[str, dict[str, Any]], Visitor],
    story: Story,
    username: str,
    name: str,
    size: Any,
    runs: str,
    ended: str,
) -> None:
    stage = story.stage
    person = Keyboard(visit_with("maya", BLOCK_THIRD_PARTIES).page, stage)
    person.page.set_viewport_size(size)
    person.sign_in(username)

    # Before: a locked module says why, and training elsewhere may stand for it.
    tool = person.open_unit("module2")
    expect(tool.locator("main")).to_contain_text("Complete Module 1 first.")
    check_state(person)
    person.use(tool.get_by_text("All requirements"))
    expect(tool.locator("#requirements")).to_have_attribute("open", "")
    person.follow("Request equivalency", "Training taken elsewhere")
    person.choose(tool.get_by_role("radio", name="PRATI"))
    person.write(tool.get_by_label("Title of the course"), "Foundations of ketamine-assisted work")
    person.write(tool.get_by_label("Last day of the course"), "05042025")
    person.write(tool.get_by_label("What shows that you took it?"), "A certificate of completion, dated 4 May 2025.")
    person.use(tool.get_by_role("checkbox"), "Space")
    person.use(tool.get_by_role("button", name="Send the request"))
    expect(tool.get_by_role("status").first).to_contain_text("Your request was sent.")
    person.follow("Home", "Your training elsewhere is being reviewed")
    check_state(person)
    decline(story, username)

    # The class is ahead: it goes into the calendar.
    person.follow("Home", "Module 1 starts")
    expect(check_state(person).locator(".btn.pri")).to_contain_text("Add to calendar")
    person.use(tool.locator("main .btn.pri"))
    expect(tool.locator("h1")).to_have_text("Your calendar")
    check_state(person)
    person.use(tool.get_by_role("button", name="Make my address"))
    expect(tool.get_by_role("link", name="Subscribe in a calendar program")).to_be_visible()
    check_state(person)
    stage.gatehouse("licence", "add", "--trainee", f"{username}@example.org", "--name", name, *LICENCE)

    # During class: the way in, the minutes so far, and the question in place.
    running = RunningClass(stage, meeting=runs)
    person.follow("Home", "Module 1: Introduction")
    expect(check_state(person).locator("main")).to_contain_text("Zoom hasn’t shown you in this class yet.")
    with person.page.context.expect_page() as opened:
        person.use(tool.locator("main .btn.pri"))
    opened.value.wait_for_url(f"{stage.zoom_url}/join/**")
    opened.value.close()
    running.tell(attendee(username, WHOLE, name=name, meeting=runs))
    ask_presence(story, running.session)
    person.follow("Home", "Module 1: Introduction")
    expect(tool.locator("main")).to_contain_text("of 312 minutes needed")
    expect(check_state(person).locator("main")).to_contain_text("Are you there?")
    person.use(tool.get_by_role("button", name="I’m here"))
    expect(tool.get_by_role("status").first).to_contain_text("your answer is recorded")
    expect(tool.locator("main")).to_contain_text("You answered at")
    running.call_off()

    # After class: the day, its credit, a question about it, and what is open now.
    over = RunningClass(stage, meeting=ended, begun=timedelta(hours=8, minutes=5))
    over.tell(attendee(username, WHOLE, name=name, meeting=ended))
    person.follow("Home", "Module 2")
    check_state(person)
    expect(tool.locator('[data-module="F1"]')).to_contain_text("Completed")
    expect(tool.locator('[data-module="F2"]')).not_to_contain_text("Locked")
    person.follow("My record", "My record")
    person.assert_fits()
    person.use(tool.get_by_role("table").get_by_role("link", name="Module 1").first)
    expect(tool.locator("h1")).to_contain_text("Your day in")
    expect(tool.locator("main")).to_contain_text("390 of 390 teaching minutes")
    expect(tool.locator("main")).to_contain_text("Awarded: 6.5 credits")
    person.assert_fits()
    person.write(tool.get_by_label("What is wrong"), "Was my second device counted twice?")
    person.use(tool.get_by_role("button", name="Ask the training team"))
    expect(tool.get_by_role("status").first).to_contain_text("Sent.")

    tool = person.open_unit("module2")
    expect(tool.get_by_role("heading", name="Agenda")).to_be_visible()
    check_state(person)
    tool = person.open_unit("retreats")
    person.use(tool.get_by_role("link", name="Experiential KAP Training Retreat").first)
    expect(tool.locator("main")).to_contain_text("You may apply")
    check_state(person)
    person.use(tool.locator("main .btn.pri"))
    expect(tool.locator("h1")).to_contain_text("Apply")
    person.assert_fits()
    person.follow("Help", "Help")
    expect(tool.get_by_role("heading", name="Contact")).to_be_visible()

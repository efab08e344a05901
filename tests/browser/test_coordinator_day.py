"""A coordinator's whole day in the frame of the course: by keyboard, on a desktop and on a phone, without third-party
cookies."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from sandbox.story import Story
from sandbox.zoom.behaviours import Visit
from tests.browser.keyboard import Keyboard
from tests.browser.test_cookies import BLOCK_THIRD_PARTIES
from tests.browser.test_trainee_day import A_MINUTE, DESKTOP, PHONE
from tests.browser.visitor import Visitor
from tests.profiles import some_of
from tests.running_class import WHOLE, RunningClass, attendee

# Meetings of a class that runs, of one that is over without Zoom having said so, and of one to come.
DAYS = {
    "desktop": (DESKTOP, ("86400009301", "86400009302", "86400009303")),
    "phone": (PHONE, ("86400009401", "86400009402", "86400009403")),
}
ASKS = {"wendell": "Wendell Ito", "tomas": "Tomas Lindqvist", "hiro": "Hiro Tanabe"}
NOON = Visit(0, 3 * 3600)
STAYS_ON = Visit(0, 9 * 3600)


def ask_for_equivalency(story: Story) -> str:
    """Whoever has not asked yet asks; the name."""
    asked = {
        each: story.stage.gatehouse_json("equivalency", "list", "--trainee", f"{each}@example.org") for each in ASKS
    }
    username = next(each for each, requests in asked.items() if not requests)
    story.ask_for_equivalency(username, "prati", "Foundations of ketamine-assisted work")
    return ASKS[username]


def ask_about(story: Story, username: str, session: int, text: str) -> None:
    day = f"/sessions/{session}"
    story.visit(username, "module1")
    page = story._own(username, day)
    story.browsers[username].submit(page, page.form(f"{day}/requests"), text=text)


class Coordinator(Keyboard):
    """Somebody of the staff, who works through Today."""

    def item(self, *words: str) -> Locator:
        """A row of what needs attention."""
        rows = self.tool.get_by_role("listitem")
        for each in words:
            rows = rows.filter(has_text=each)
        return rows.last

    def act(self, row: Locator, name: str, **answers: str) -> None:
        """Open the form in a row, fill it in, and send it."""
        self.use(row.locator("summary").filter(has_text=name))
        for label, text in answers.items():
            self.write(row.get_by_label(label), text)
        self.use(row.locator("form button").last)

    def open_session(self, session: int) -> None:
        """From the list of sessions, which leads to the tab that matters now."""
        self.follow("Sessions", "Sessions")
        address = f"/desk/sessions/{session}"
        tabs = (f'main a[href="{address}{tab}"]' for tab in ("", "/live", "/settings"))
        self.use(self.tool.locator(", ".join(tabs)).first)
        expect(self.tool.get_by_role("navigation", name="Pages of this session")).to_be_visible()

    def assert_said(self, text: str) -> None:
        expect(self.tool.get_by_role("status").first).to_contain_text(text)


@pytest.mark.parametrize(("size", "meetings"), some_of(DAYS).values(), ids=some_of(DAYS))
def test_a_whole_day_of_a_coordinator(
    visit_with: Callable[[str, dict[str, Any]], Visitor], story: Story, size: Any, meetings: tuple[str, str, str]
) -> None:
    stage = story.stage
    runs, ended, ahead = meetings
    guest = f"A guest {runs[-3:]}"
    applicant = ask_for_equivalency(story)
    story.visit("saoirse", "module1")
    running = RunningClass(stage, meeting=runs)
    running.tell(attendee("saoirse", WHOLE, name="Saoirse Quinlan", meeting=runs))

    ida = Coordinator(visit_with("ida", BLOCK_THIRD_PARTIES).page, stage)
    ida.page.set_viewport_size(size)
    ida.sign_in("ida")
    tool = ida.open_unit("dashboard")
    expect(tool.locator("h1")).to_have_text("Today")
    ida.assert_pressing()
    ida.assert_fits()

    # What came in overnight: a request.
    ida.use(ida.item(applicant).get_by_role("button", name="Approve"))
    ida.assert_said("Approved.")
    # The class: the live board, and a question whether people are there.
    ida.use(tool.locator("main .btn.pri"))
    expect(tool.get_by_role("heading", name="Here now")).to_be_visible()
    ida.assert_fits()
    ida.use(tool.get_by_role("link", name="Start a presence check"))
    ida.use(tool.get_by_role("button", name="Ask now"))
    expect(tool.locator("main")).to_contain_text("open until")
    ida.assert_fits()
    running.call_off()

    # A class is over, and Zoom has not said so: staff record the end, say who a
    # participant was whom Zoom's data match to no one, and look at what is only estimated.
    over = RunningClass(stage, meeting=ended, begun=timedelta(hours=8, minutes=20), lasts=timedelta(hours=9))
    over.tell(
        attendee("saoirse", STAYS_ON, name="Saoirse Quinlan", meeting=ended),
        attendee("jomo", NOON, name="Jomo Baraka", meeting=ended),
        attendee("unknown", NOON, name=guest, meeting=ended),
    )
    ida.open_session(over.session)
    ida.use(tool.get_by_role("navigation", name="Pages of this session").get_by_role("link", name="Settings"))
    ida.write(tool.get_by_label("How do you know?"), "I was in the room.")
    ida.use(tool.get_by_role("button", name="Record the end"))
    ida.assert_said("Recorded.")
    stage.wait_for_all_work()
    ida.follow("Today", "Today")
    ida.act(
        ida.item("Saoirse Quinlan", "Attendance to review"), "Accept", **{"Why is it right as it is?": "I saw her."}
    )
    ida.assert_said("Accepted.")

    # A correction needs a second person.
    ida.open_session(over.session)
    ida.use(tool.get_by_role("link", name="Jomo Baraka").first)
    ida.use(tool.get_by_role("link", name="Correct").first)
    expect(tool.locator("h1")).to_contain_text("Correct the day of Jomo Baraka")
    ida.write(tool.get_by_label("Reason"), "The line of his house was down.")
    ida.write(tool.get_by_label("Evidence"), "The signed roster.")
    ida.use(tool.get_by_role("button", name="Propose"))
    ida.assert_said("Proposed.")
    stellan = Coordinator(visit_with("ida", BLOCK_THIRD_PARTIES).page, stage)
    stellan.page.set_viewport_size(size)
    stellan.sign_in("stellan").open_unit("dashboard")
    stellan.use(stellan.item("Jomo Baraka", "Correction").get_by_role("button", name="Confirm"))
    stellan.assert_said("Confirmed.")
    stage.wait_for_all_work()

    # A question of a trainee, and the grade in the LMS.
    question = f"Does my day {runs[-3:]} count?"
    ask_about(story, "saoirse", over.session, question)
    ida.follow("Today", "Today")
    ida.act(ida.item("Saoirse Quinlan", question), "Answer", **{"Your answer": "Yes, all of it."})
    ida.assert_said("Sent.")
    gradebook = ida.page.context.new_page()
    gradebook.goto(f"{stage.lms_url}/gradebook")
    grade = gradebook.get_by_role("table").first.get_by_role("row", name="Saoirse Quinlan").get_by_role("cell").first
    expect(grade).to_contain_text("100 %", timeout=A_MINUTE)
    gradebook.close()

    # Next week: a class is held a day later, and a locked trainee is let in.
    starts = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT09:00")
    words = ("--module", "ST_MUS", "--starts", starts, "--zoom-meeting", ahead)
    session = int(stage.gatehouse_json("session", "add", *words)["id"])
    ida.open_session(session)
    ida.use(tool.get_by_role("link", name="Move", exact=True))
    when = tool.get_by_label("New start")
    before = when.input_value()
    ida.reach(when)
    ida.page.keyboard.press("ArrowRight")
    ida.page.keyboard.press("ArrowUp")
    assert when.input_value() != before
    ida.write(tool.get_by_label("Reason"), "The room is taken.")
    ida.use(tool.get_by_role("button", name="Move the session"))
    ida.assert_said("Moved.")
    ida.assert_fits()
    stage.gatehouse("session", "cancel", str(session), "--reason", "The test is over.")

    ida.write(tool.get_by_label("Search people and sessions"), "Lucia\n")
    expect(tool.locator("h1")).to_have_text("Lucia Ferrante")
    ida.assert_fits()
    cause = tool.locator('section[aria-labelledby="why"] li').filter(has_text="Make an exception").first
    ida.act(cause, "Make an exception", Why="She showed me her certificate today.")
    ida.assert_said("Open for this person")

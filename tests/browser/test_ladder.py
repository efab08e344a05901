"""The cookie ladder in a real browser that blocks third-party cookies: each rung, and down from each that breaks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Frame, FrameLocator, Page, Playwright, Response, expect

from sandbox.stage import Stage
from tests.browser.storage_platform import CourseSite
from tests.browser.test_cookies import BLOCK, BLOCK_THIRD_PARTIES, KEEPS
from tests.browser.test_pages import barriers, is_wider_than_its_window
from tests.browser.visitor import ARGUMENTS, CHROMIUM, PageWatcher, write_profile
from tests.running_class import WHOLE, RunningClass, attendee

Open = Callable[..., "Window"]

LAUNCH = "/lti/launch"
# A frame that changes process with every step of a launch makes the driver lose it now and then. Cookies do not mind.
ONE_PROCESS = "--disable-site-isolation-trials"


class Window:
    """One window on the second platform's course page, and the tool in its frame."""

    def __init__(self, context: BrowserContext, tool_url: str) -> None:
        self.page: Page = context.pages[0] if context.pages else context.new_page()
        self.tool_url = tool_url
        self.launches: list[Response] = []
        self.page.on("response", lambda answer: answer.url.endswith(LAUNCH) and self.launches.append(answer))

    def open(self, address: str) -> FrameLocator:
        self.page.goto(address)
        return self.tool

    @property
    def tool(self) -> FrameLocator:
        return self.page.frame_locator('iframe[name="unit"]')

    @property
    def frame(self) -> Frame:
        frame = self.page.frame(name="unit")
        assert frame
        return frame

    def heard(self, frame: str = "") -> list[str]:
        """What the platform's storage was asked."""
        asked = self.page.frame(name=frame) if frame else self.page.main_frame
        assert asked
        heard: list[str] = asked.evaluate("heard")
        return heard

    @property
    def visits(self) -> list[str]:
        """The tokens of sessions that were handed to the script."""
        return [each.json()["visit"] for each in self.launches if each.headers["content-type"] == "application/json"]


@pytest.fixture
def open_course(
    player: Playwright, stage: Stage, site: CourseSite, watcher: PageWatcher, tmp_path: Path
) -> Iterator[Open]:
    """`open_course(manner, settings, **how)`: the course page, in a chromium whose settings this person has changed."""
    contexts: list[BrowserContext] = []

    def enter(
        manner: str, settings: dict[str, Any], *, script: bool = True, target: str = "_parent", **how: str
    ) -> Window:
        profile = write_profile(tmp_path / f"profile-{len(contexts)}", settings)
        context = player.chromium.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, args=[*ARGUMENTS, ONE_PROCESS], java_script_enabled=script
        )
        contexts.append(context)
        watcher.watch(context)
        window = Window(context, stage.tool_url)
        window.open(site.course(manner, target=target, **how))
        return window

    yield enter
    for context in contexts:
        context.close()


@pytest.fixture
def no_cookies(stage: Stage, site: CourseSite) -> dict[str, Any]:
    """The settings of somebody who lets the tool keep no cookie inside the course page, not even a partitioned one."""
    return {"content_settings": {"exceptions": {"cookies": {f"{stage.tool_url},{site.origin}": {"setting": BLOCK}}}}}


def expect_heading(window: Window, text: str) -> None:
    expect(window.tool.locator("h1")).to_have_text(text)


def test_first_rung_a_partitioned_cookie_is_kept_and_the_storage_is_never_asked(open_course: Open) -> None:
    window = open_course("good", BLOCK_THIRD_PARTIES, page="retreats")
    expect_heading(window, "Retreats")
    assert window.heard() == ["lti.put_data"]
    assert window.visits == []
    assert not window.frame.evaluate(KEEPS.format("SameSite=None; Secure")), "this browser blocks third-party cookies"
    window.tool.get_by_role("link", name="Help").click()
    expect_heading(window, "Help")


def test_first_rung_a_full_storage_does_not_matter_where_cookies_are_kept(open_course: Open) -> None:
    window = open_course("full", BLOCK_THIRD_PARTIES, page="retreats")
    expect_heading(window, "Retreats")


@pytest.mark.parametrize("target", ["_parent", "beside"])
def test_second_rung_the_platforms_storage_opens_the_unit(
    open_course: Open, no_cookies: dict[str, Any], target: str
) -> None:
    window = open_course("good", no_cookies, target=target, page="retreats")
    expect_heading(window, "Retreats")
    assert window.heard("" if target == "_parent" else target) == ["lti.put_data", "lti.get_data"]
    assert window.page.context.cookies() == []
    assert len(window.visits) == 1


def fill_in_a_request(tool: FrameLocator) -> None:
    tool.get_by_role("radio", name="PRATI").check()
    tool.get_by_label("Last day of the course").fill("2025-05-04")
    tool.get_by_label("What shows that you took it?").fill("A certificate of completion, dated 4 May 2025.")
    tool.get_by_role("checkbox").check()


def test_second_rung_pages_forms_and_the_way_back_work_as_ever(
    open_course: Open, no_cookies: dict[str, Any], stage: Stage, watcher: PageWatcher
) -> None:
    window = open_course("good", no_cookies, page="retreats", user="user-walks")
    tool, frame = window.tool, window.frame
    expect_heading(window, "Retreats")
    tool.get_by_role("link", name="Help").click()
    tool.get_by_role("link", name="Request equivalency").click()
    expect_heading(window, "Training elsewhere")
    expect(tool.locator("h1")).to_be_focused()
    assert frame.url == f"{stage.tool_url}/equivalency"

    tool.get_by_role("link", name="Request equivalency in place of Module 1").click()
    fill_in_a_request(tool)
    tool.get_by_role("button", name="Send the request").click()
    expect(tool.locator("main")).to_contain_text("Nothing has been saved yet")
    assert watcher.refused("/equivalency/F1", 422) == 1
    tool.locator("main .note a").first.click()
    assert frame.url == f"{stage.tool_url}/equivalency/F1#course_title"
    tool.get_by_label("Title of the course").fill("Foundations of ketamine-assisted work")
    tool.get_by_role("button", name="Send the request").click()
    expect(tool.locator("main").get_by_role("status")).to_have_text(
        "Your request was sent. You will see the answer here."
    )
    assert frame.url == f"{stage.tool_url}/equivalency/F1?done=request_sent"

    for path in ("/equivalency/F1#course_title", "/equivalency/F1", "/equivalency", "/help", "/retreats"):
        frame.evaluate("history.back()")
        frame.wait_for_url(f"{stage.tool_url}{path}")
    expect_heading(window, "Retreats")
    for path in ("/help", "/equivalency"):
        frame.evaluate("history.forward()")
        frame.wait_for_url(f"{stage.tool_url}{path}")
    expect_heading(window, "Training elsewhere")
    expect(tool.locator("main")).to_contain_text("PRATI")


def test_second_rung_files_and_new_tabs_open_as_ever(
    open_course: Open, no_cookies: dict[str, Any], stage: Stage
) -> None:
    window = open_course("good", no_cookies, module_id="F1")
    expect(window.tool.get_by_role("heading", name="Agenda")).to_be_visible()
    with window.page.context.expect_page() as opened:
        window.tool.get_by_role("link", name="Join on Zoom").last.click()
    # This platform tells no address, so nobody of it can be registered: what is weaker is said before the general link.
    expect(opened.value.get_by_text("Please note:")).to_be_visible()
    opened.value.get_by_role("link", name="Join on Zoom").click()
    opened.value.wait_for_url(f"{stage.zoom_url}/join/**")
    window.tool.get_by_role("link", name="Add to calendar").first.click()
    window.tool.get_by_role("button", name="Make").click()
    with window.page.expect_download() as download:
        window.tool.get_by_role("link", name="Download the file once").click()
    assert Path(download.value.path()).read_text().startswith("BEGIN:VCALENDAR")
    expect_heading(window, "Your calendar")


def test_second_rung_staff_pick_what_a_link_opens(open_course: Open, no_cookies: dict[str, Any]) -> None:
    window = open_course("good", no_cookies, user="teacher-1")
    window.tool.get_by_role("radio").or_(window.tool.get_by_role("checkbox")).first.check()
    window.tool.locator("form button").first.click()
    expect(window.tool.locator("body")).to_have_text("Picked: True")


@pytest.fixture
def running(stage: Stage) -> Iterator[RunningClass]:
    running = RunningClass(stage, meeting="86400009002")
    yield running
    running.call_off()


def test_second_rung_the_live_board_renews_itself(
    open_course: Open, no_cookies: dict[str, Any], running: RunningClass
) -> None:
    """A script of the page shown asks for a part of it; the token stays with the script of the visit."""
    window = open_course("good", no_cookies, user="teacher-2", page="desk")
    window.tool.get_by_role("link", name="Sessions", exact=True).click()
    expect(window.tool.locator("h1")).to_have_text("Sessions")
    window.tool.locator(f'a[href="/desk/sessions/{running.session}/live"]').click()
    here = window.tool.locator("#live")
    expect(here).to_contain_text("in Zoom now")
    expect(here).not_to_contain_text("Maya Okafor")
    running.tell(attendee("maya", WHOLE))
    expect(here).to_contain_text("Maya Okafor")

    window.tool.get_by_role("link", name="Start a presence check").click()
    window.tool.get_by_role("button", name="Ask now").click()
    expect(window.tool.locator("main").get_by_role("status")).to_have_text("Asked. Answers are counted below.")
    expect(window.tool.locator("#live-manner")).to_have_text("This page renews itself.")


def test_second_rung_no_page_has_a_serious_barrier_or_is_wider_than_a_phone(
    open_course: Open, no_cookies: dict[str, Any]
) -> None:
    window = open_course("good", no_cookies, page="retreats")
    expect(window.tool.locator("footer")).to_contain_text(
        "If you reload this page, open the unit from your course again"
    )
    for name in ("My record", "Home"):
        window.tool.get_by_role("link", name=name, exact=True).click()
        expect(window.tool.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
        assert barriers(window.frame) == []
    window.page.evaluate("document.getElementsByName('unit')[0].width = 320")
    assert not is_wider_than_its_window(window.frame)


def test_second_rung_the_token_is_in_no_address_no_storage_and_no_document(
    open_course: Open, no_cookies: dict[str, Any], watcher: PageWatcher
) -> None:
    window = open_course("good", no_cookies, page="retreats")
    seen: list[str] = []
    window.page.context.on("request", lambda request: seen.append(request.url))
    expect_heading(window, "Retreats")
    window.tool.get_by_role("link", name="My record").click()
    expect_heading(window, "My record")
    (token,) = window.visits
    document = window.frame.evaluate("document.documentElement.outerHTML + JSON.stringify(history.state) + location")
    assert token not in document + "".join(seen)
    assert window.page.context.cookies() == []
    assert window.frame.evaluate("try { localStorage; sessionStorage; 'open' } catch { 'shut' }") == "shut"


def test_second_rung_what_is_refused_shows_the_tools_own_page(
    open_course: Open, no_cookies: dict[str, Any], stage: Stage, watcher: PageWatcher
) -> None:
    window = open_course("good", no_cookies, page="retreats")
    expect_heading(window, "Retreats")
    window.frame.evaluate("document.querySelector('nav a').href = '/desk'")
    window.tool.get_by_role("link", name="Home").click()
    expect(window.tool.locator("main")).to_contain_text("role_not_allowed")
    assert watcher.refused("/desk", 403) == 1
    window.frame.evaluate("history.back()")
    expect_heading(window, "Retreats")

    window.page.route("**/help", lambda route: route.abort())
    window.tool.get_by_role("link", name="Help").click()
    expect(window.tool.get_by_role("alert")).to_contain_text("could not be loaded")
    assert len(watcher.found()) == 1
    window.page.route("**/record", lambda route: route.continue_(headers={}))
    window.tool.get_by_role("link", name="My record").click()
    expect(window.tool.locator("main")).to_contain_text("session_missing")
    assert watcher.refused("/record", 403) == 1


def test_second_rung_a_reloaded_frame_says_how_to_come_back(
    open_course: Open, no_cookies: dict[str, Any], watcher: PageWatcher
) -> None:
    window = open_course("good", no_cookies, page="retreats")
    expect_heading(window, "Retreats")
    window.frame.evaluate("location.reload()")
    expect(window.tool.locator("main")).to_contain_text("Go back to your course and open this unit again.")
    assert watcher.refused("/retreats", 403) == 1
    window.page.reload()
    expect_heading(window, "Retreats")


# What a storage does with a question, and the code of what follows.
BROKEN = {
    "silent": "storage_silent",
    "full": "storage_silent",
    "another question": "storage_silent",
    "another subject": "storage_silent",
    "through a stranger": "storage_silent",
    "tampering": "storage_wrong",
}


@pytest.mark.parametrize("manner", BROKEN)
def test_a_storage_that_does_not_give_back_our_value_opens_nothing(
    open_course: Open, no_cookies: dict[str, Any], watcher: PageWatcher, manner: str
) -> None:
    window = open_course(manner, no_cookies, page="retreats")
    expect_heading(window, "One more step")
    expect(window.tool.locator("code")).to_have_text(BROKEN[manner])
    expect(window.tool.get_by_role("link", name="Continue in a new tab")).to_be_visible()
    assert window.heard() == ["lti.put_data", "lti.get_data"]
    assert window.visits == []
    assert watcher.refused(LAUNCH, 401 if manner == "tampering" else 403) == 1


@pytest.mark.parametrize("target", ["", "nowhere", "no frame's name"])
def test_where_no_storage_is_to_be_had_the_new_tab_is_offered(
    open_course: Open, no_cookies: dict[str, Any], watcher: PageWatcher, target: str
) -> None:
    window = open_course("good", no_cookies, target=target, page="retreats")
    expect_heading(window, "One more step")
    expect(window.tool.locator("code")).to_have_text("storage_silent" if target == "nowhere" else "cookie_missing")
    assert window.heard() == []
    assert watcher.refused(LAUNCH, 403) == 1


def test_third_rung_the_new_tab_opens_the_unit_with_a_cookie_of_its_own(
    open_course: Open, no_cookies: dict[str, Any], stage: Stage, watcher: PageWatcher
) -> None:
    window = open_course("tampering", no_cookies, page="retreats")
    with window.page.context.expect_page() as opened:
        window.tool.get_by_role("link", name="Continue in a new tab").click()
    opened.value.wait_for_url(f"{stage.tool_url}/retreats")
    opened.value.get_by_role("link", name="Help").click()
    expect(opened.value.locator("h1")).to_have_text("Help")
    assert [each["name"] for each in window.page.context.cookies()] == ["__Host-gatehouse"]
    assert watcher.refused(LAUNCH, 401) == 1


def test_without_script_plain_links_and_buttons_lead_the_same_ways(
    open_course: Open, no_cookies: dict[str, Any], stage: Stage, watcher: PageWatcher
) -> None:
    kept = open_course("good", {}, script=False, page="retreats")
    kept.tool.get_by_role("link", name="continue to your unit").click()
    kept.tool.get_by_role("button", name="Continue").click()
    expect_heading(kept, "Retreats")

    blocked = open_course("good", no_cookies, script=False, page="retreats")
    blocked.tool.get_by_role("link", name="continue to your unit").click()
    blocked.tool.get_by_role("button", name="Continue").click()
    blocked.tool.get_by_role("button", name="continue without it").click()
    expect_heading(blocked, "One more step")
    assert watcher.refused(LAUNCH, 403) == 1

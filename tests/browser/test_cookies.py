"""Cookies in a frame of another site: kept apart for each course site, or not kept at all."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from sandbox.stage import Stage
from tests.browser.visitor import PageWatcher, Visitor

VisitWith = Callable[[str, dict[str, Any]], Visitor]

BLOCK_THIRD_PARTIES = {"cookie_controls_mode": 1}
BLOCK = 2
KEEPS = "document.cookie = 'probe=1; {}'; document.cookie.includes('probe=1')"


def block_cookies(stage: Stage, inside: str) -> dict[str, Any]:
    """The settings of somebody who lets the tool keep no cookie inside these pages."""
    return {"content_settings": {"exceptions": {"cookies": {f"{stage.tool_url},{inside}": {"setting": BLOCK}}}}}


def expect_one_step_more(shown: FrameLocator | Page) -> None:
    expect(shown.locator("h1")).to_have_text("One more step")
    expect(shown.locator("main a, main button")).to_have_count(1)
    expect(shown.get_by_role("link", name="Continue in a new tab")).to_be_visible()


def continue_in_a_new_tab(visitor: Visitor, shown: FrameLocator | Page) -> Page:
    with visitor.page.context.expect_page() as opened:
        shown.get_by_role("link", name="Continue in a new tab").click()
    opened.value.wait_for_url(f"{visitor.stage.tool_url}/**")
    return opened.value


def test_a_launch_in_a_frame_works_while_third_party_cookies_are_blocked(visit_with: VisitWith) -> None:
    visitor = visit_with("maya", BLOCK_THIRD_PARTIES)
    tool = visitor.open_unit("module1")
    expect(tool.locator("h1")).to_contain_text("Module 1")
    tool.get_by_role("link", name="Retreats").click()
    expect(tool.locator("h1")).to_have_text("Retreats")
    tool.get_by_role("link", name="Help").click()
    expect(tool.locator("h1")).to_have_text("Help")
    frame = visitor.tool_frame("module1")
    assert frame.evaluate(KEEPS.format("SameSite=None; Secure; Partitioned"))
    frame.evaluate("document.cookie = 'probe=; max-age=0; SameSite=None; Secure; Partitioned'")
    assert not frame.evaluate(KEEPS.format("SameSite=None; Secure")), "this browser blocks third-party cookies"


@pytest.mark.parametrize("settings", [{}, BLOCK_THIRD_PARTIES], ids=["as installed", "third parties blocked"])
def test_every_cookie_of_the_tool_is_partitioned_secure_and_unreadable(
    visit_with: VisitWith, stage: Stage, settings: dict[str, Any]
) -> None:
    visitor = visit_with("maya", settings)
    visitor.open_unit("module1")
    cookies = [each for each in visitor.page.context.cookies() if each["domain"] == "127.0.0.1"]
    assert [each["name"] for each in cookies] == ["__Host-gatehouse"], "the login's cookie went with the launch"
    for each in cookies:
        assert (each["sameSite"], each["secure"], each["httpOnly"], each["path"]) == ("None", True, True, "/")
        assert each["partitionKey"] == "http://localhost"


def test_where_no_cookie_is_kept_in_the_frame_one_click_opens_the_unit_in_a_tab(
    visit_with: VisitWith, stage: Stage, watcher: PageWatcher
) -> None:
    visitor = visit_with("wendell", block_cookies(stage, inside=stage.lms_url))
    tool = visitor.open_unit("module2")
    expect_one_step_more(tool)
    tab = continue_in_a_new_tab(visitor, tool)
    expect(tab.locator("h1")).to_contain_text("Module 2")
    assert tab.url == f"{stage.tool_url}/modules/F2"
    tab.get_by_role("link", name="Retreats").click()
    expect(tab.locator("h1")).to_have_text("Retreats")
    assert watcher.refused("/lti/launch", 403) == 1


def test_where_no_cookie_is_kept_at_all_the_new_tab_says_so_and_goes_nowhere(
    visit_with: VisitWith, stage: Stage, watcher: PageWatcher
) -> None:
    visitor = visit_with("wendell", block_cookies(stage, inside="*"))
    tab = continue_in_a_new_tab(visitor, visitor.open_unit("module2"))
    expect_one_step_more(tab)
    expect(tab.locator("main")).to_contain_text("allow cookies for this site")
    assert watcher.refused("/lti/launch", 403) == 2

"""The page that most trainees meet first: a locked module, as a browser shows it."""

from collections.abc import Callable

from playwright.sync_api import Browser, expect

from tests.browser.visitor import PageWatcher, Visitor

Visit = Callable[..., Visitor]

NEW_YORK = {"timezone_id": "America/New_York"}


def test_the_heading_has_the_focus_when_the_page_opens(visit: Visit) -> None:
    page = visit("wendell").enter("module2")
    expect(page.locator("h1")).to_contain_text("Module 2")
    expect(page.locator("h1")).to_be_focused()


def test_in_the_frame_the_focus_follows_the_reader_and_is_never_taken_from_the_course(visit: Visit) -> None:
    visitor = visit("wendell")
    tool = visitor.open_unit("module2")
    frame = visitor.tool_frame("module2")
    assert not frame.evaluate("document.hasFocus()"), "the person has clicked in the course page, not in ours"
    tool.get_by_role("link", name="Check again").click()
    expect(tool.locator("h1")).to_be_focused()


def test_dates_stand_in_pacific_time_and_in_the_zone_of_the_reader(visit: Visit) -> None:
    tool = visit("wendell", **NEW_YORK).open_unit("module2")
    next_date = tool.get_by_role("region", name="Take Module 1").locator("time")
    expect(next_date.locator("[data-own]")).to_have_text("12:00–8:00 pm your time ")
    expect(next_date.locator("[data-kept]")).to_have_text("(9:00 am–5:00 pm Pacific)")


def test_a_reader_in_pacific_time_reads_each_date_once(visit: Visit) -> None:
    tool = visit("wendell", timezone_id="America/Los_Angeles").open_unit("module2")
    expect(tool.locator("main time").first).to_be_visible()
    expect(tool.locator("[data-own]:visible")).to_have_count(0)


def test_without_script_the_page_is_whole(visit: Visit, browser: Browser, watcher: PageWatcher) -> None:
    visitor = visit("wendell")
    address = visitor.enter("module2").url
    context = browser.new_context(java_script_enabled=False, **NEW_YORK)
    watcher.watch(context)
    context.add_cookies(visitor.page.context.cookies())
    page = context.new_page()
    page.goto(address)
    expect(page.locator("main")).to_contain_text("Complete Module 1 first.")
    expect(page.locator("main")).to_contain_text("9:00 am–5:00 pm Pacific")
    expect(page.locator("[data-own]:visible")).to_have_count(0)
    page.get_by_role("link", name="Request equivalency").click()
    expect(page.locator("h1")).to_contain_text("Training taken elsewhere")
    page.get_by_label("Title of the course").fill("Nothing else")
    page.get_by_role("button", name="Send the request").click()
    expect(page.locator("main")).to_contain_text("Nothing has been saved yet")
    assert watcher.refused("/equivalency/F1", 422) == 1
    context.close()

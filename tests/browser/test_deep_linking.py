"""Picking content as a teacher does it: from Studio into the picker, and back to the LMS by itself."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, FrameLocator, Page, expect

from tests.browser.visitor import PageWatcher, Visitor

Visit = Callable[..., Visitor]

UNIT = "deeplink"
SIZES = ({"width": 1280, "height": 900}, {"width": 320, "height": 640})


def studio(visitor: Visitor) -> FrameLocator:
    """What Studio shows of the unit."""
    visitor.page.goto(f"{visitor.stage.lms_url}/studio/{UNIT}")
    return visitor.unit


def start(visitor: Visitor) -> Page:
    """The picker in the window that Studio opens for it."""
    with visitor.page.expect_popup() as opened:
        studio(visitor).get_by_role("link", name="Deep Linking Launch").click()
    expect(opened.value.locator("h1")).to_have_text("Choose what the link opens")
    return opened.value


def start_in_frame(visitor: Visitor) -> FrameLocator:
    """The picker in a frame of the LMS, as platforms do that open it beside their own form."""
    link = studio(visitor).get_by_role("link", name="Deep Linking Launch")
    link.evaluate("link => link.removeAttribute('target')")
    link.click()
    expect(visitor.unit.locator("h1")).to_have_text("Choose what the link opens")
    return visitor.unit


def saved(shown: Page | FrameLocator) -> None:
    expect(shown.locator("body")).to_contain_text("successfully saved in the LMS")


def opened_by(visitor: Visitor) -> Frame:
    """Where the unit leads a learner."""
    tool = visitor.open_unit(UNIT)
    expect(tool.locator("h1")).to_be_visible()
    return visitor.tool_frame(UNIT)


def test_a_pick_goes_home_by_itself_and_is_what_the_unit_opens(visit: Visit) -> None:
    ida = visit("ida")
    picker = start(ida)
    picker.get_by_label("Module 2: Intermediate Workshop I on Ketamine-Assisted Psychotherapy").check()
    picker.get_by_label("CE credit: what the learner was awarded").check()
    picker.get_by_role("button", name="Replace what was picked before").click()
    saved(picker)
    expect(studio(ida).locator("pre")).to_contain_text('"score": "ce"')
    assert opened_by(visit("wendell")).url.endswith("/modules/F2")


def test_in_a_frame_it_works_as_well(visit: Visit) -> None:
    ida = visit("ida")
    picker = start_in_frame(ida)
    picker.get_by_label("Experiential KAP Training Retreat", exact=True).check()
    picker.get_by_role("button", name="Replace what was picked before").click()
    saved(ida.unit)
    assert opened_by(visit("wendell")).url.endswith("/retreats/RT_EXP")


def test_without_script_the_button_sends_it(visit: Visit, browser: Browser, watcher: PageWatcher) -> None:
    picker = start(visit("ida"))
    cookies = picker.context.cookies()
    context = browser.new_context(java_script_enabled=False, storage_state={"cookies": cookies, "origins": []})
    watcher.watch(context)
    page = context.new_page()
    page.goto(picker.url)
    page.get_by_label("Calendar").check()
    page.get_by_role("button", name="Replace what was picked before").click()
    page.get_by_role("button", name="Back to the learning platform").click()
    saved(page)
    context.close()


@pytest.mark.parametrize("size", SIZES, ids=["wide", "phone"])
def test_the_picker_and_the_list_of_courses_have_no_barrier_and_fit(visit: Visit, size: dict[str, int]) -> None:
    page = start(visit("ida"))
    page.set_viewport_size(size)
    for address in (page.url, f"{page.url.partition('/deep-linking/')[0]}/desk/courses"):
        page.goto(address)
        assert barriers(page) == [], address
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), address


def barriers(page: Page) -> list[str]:
    """What axe calls serious or critical."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]


def test_whoever_picks_nothing_stays_on_the_page_with_the_reason(visit: Visit, watcher: PageWatcher) -> None:
    picker = start(visit("ida"))
    picker.get_by_role("button", name="Replace what was picked before").click()
    expect(picker.get_by_text("Choose what the link opens.")).to_be_visible()
    assert watcher.refused(f"/deep-linking/{picker.url.rpartition('/')[2]}", 422) == 1

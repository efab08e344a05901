"""The main job clicked through by people in their own browsers, all within the frames of the course."""

from collections.abc import Callable

from playwright.sync_api import FrameLocator, Locator, Page, expect

from tests.browser.visitor import PageWatcher, Visitor

Visit = Callable[..., Visitor]

A_MINUTE = 60_000
NOT_SPECIFIC = "not specific to ketamine in terms of history, dosing, protocol"


def join_on_zoom(visitor: Visitor, tool: FrameLocator) -> None:
    with visitor.page.context.expect_page() as opened:
        tool.get_by_role("link", name="Join on Zoom").last.click()
    opened.value.wait_for_url(f"{visitor.stage.zoom_url}/join/**")
    opened.value.close()


def play_the_day(visitor: Visitor) -> None:
    """On the player's page, which the LMS links to."""
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("link", name="Play the day").click()
    player: Page = opened.value
    player.get_by_label("Seconds it takes").fill("2")
    player.get_by_role("button", name="Play the day").click()
    expect(player.locator("#says")).to_contain_text("The day has ended.", timeout=A_MINUTE)
    expect(player.locator("#says")).to_contain_text(" 0 refused.")
    player.close()
    visitor.stage.wait_for_all_work()


def ask_for_equivalency(tool: FrameLocator, provider: str) -> None:
    tool.get_by_role("link", name="Request equivalency").click()
    tool.get_by_role("radio", name=provider).check()
    tool.get_by_label("Title of the course").fill("Foundations of ketamine-assisted work")
    tool.get_by_label("Last day of the course").fill("2025-05-04")
    tool.get_by_label("What shows that you took it?").fill("A certificate of completion, dated 4 May 2025.")
    tool.get_by_role("checkbox").check()
    tool.get_by_role("button", name="Send the request").click()


def approve(tool: FrameLocator, person: str) -> None:
    """On Today, with the act in the row."""
    request = tool.get_by_role("listitem").filter(has_text=f"{person}: ")
    expect(request).to_contain_text("PRATI")
    request.get_by_role("button", name="Approve").click()
    expect(tool.get_by_role("status").first).to_contain_text("Approved")
    expect(tool.get_by_role("listitem").filter(has_text=f"{person}: ")).to_have_count(0)


def grade_in_module_1(gradebook: Page, person: str) -> Locator:
    """This person's cell; Module 1 is the first graded unit of the first course."""
    return gradebook.get_by_role("table").first.get_by_role("row", name=person).get_by_role("cell").first


def test_the_main_job_from_a_locked_module_to_the_grade_and_the_next_module(visit: Visit, watcher: PageWatcher) -> None:
    maya = visit("maya")
    tool = maya.open_unit("module2")
    expect(tool.locator("h1")).to_contain_text("Module 2")
    expect(tool.locator("main")).to_contain_text("Complete Module 1 first.")

    tool = maya.open_unit("module1")
    expect(tool.get_by_role("heading", name="Agenda")).to_be_visible()
    expect(tool.locator("main")).to_contain_text("Live, not recorded.")
    join_on_zoom(maya, tool)

    play_the_day(maya)
    maya.page.get_by_role("link", name="Gradebook").click()
    grade = grade_in_module_1(maya.page, "Maya Okafor")
    expect(grade).to_contain_text("100 %", timeout=A_MINUTE)
    expect(grade).to_contain_text("390 of 390 instructional minutes. CE: 6.5 credits (APA).")

    tool = maya.open_unit("module2")
    expect(tool.locator("main")).not_to_contain_text("Locked")
    expect(tool.get_by_role("heading", name="Agenda")).to_be_visible()
    tool.get_by_role("link", name="My record").click()
    expect(tool.locator("h1")).to_have_text("My record")
    tool.get_by_role("link", name="Module 1").last.click()
    expect(tool.locator("main")).to_contain_text("390 of 390 teaching minutes")
    expect(tool.get_by_role("img", name="Your class day. You were present for 390 of 390")).to_be_visible()
    expect(tool.locator("main")).to_contain_text("Awarded: 6.5 credits")

    tomas = visit("tomas")
    ask_for_equivalency(tomas.open_unit("module2"), "PRATI")
    approve(visit("ida").open_unit("dashboard"), "Tomas Lindqvist")
    expect(tomas.open_unit("module2").get_by_role("heading", name="Agenda")).to_be_visible()
    expect(tomas.open_unit("module1").get_by_role("heading", name="Attendance")).to_have_count(0)

    wendell = visit("wendell").open_unit("module2")
    ask_for_equivalency(wendell, "MAPS")
    expect(wendell.locator("main")).to_contain_text(NOT_SPECIFIC)
    expect(wendell.locator("main")).to_contain_text("Nothing has been sent.")
    assert watcher.refused("/equivalency/F1", 409) == 1

    priya = visit("priya")
    expect(priya.open_unit("module1").locator("main")).to_contain_text("147 min are missing")
    expect(priya.open_unit("module2").locator("main")).to_contain_text("Complete Module 1 first.")

    tool = maya.open_unit("retreats")
    tool.get_by_role("link", name="Experiential KAP Training Retreat").first.click()
    expect(tool.locator("main")).to_contain_text("You may apply")
    tool.get_by_role("link", name="Retreats", exact=True).first.click()
    tool.get_by_role("link", name="Open Sky").click()
    expect(tool.locator("main")).to_contain_text("Applications are closed")

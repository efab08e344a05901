"""The tool's frame in the page of the LMS: it says how tall it is, needs no scrolling inside, and nothing jumps."""

from collections.abc import Callable

from playwright.sync_api import expect

from benchmarks.vitals import WATCHED
from sandbox.story import Story
from tests.browser.visitor import Visitor

LISTENS = """window.heard = [];
addEventListener("message", (event) => heard.push([event.origin, event.data]));"""
HEIGHT = "Math.ceil(document.body.getBoundingClientRect().height)"
SCROLLS = "document.documentElement.scrollHeight > innerHeight || document.documentElement.scrollWidth > innerWidth"
OF_A_TRAINEE = ("/", "/modules/F1", "/modules/F2", "/record", "/sessions/1", "/calendar", "/retreats", "/help")
OF_STAFF = ("/desk", "/desk/people", "/desk/sessions", "/desk/sessions/1", "/desk/people/1")
PHONE = {"width": 390, "height": 844}


def test_the_frame_tells_its_height_and_needs_no_scrolling_inside(visit: Callable[..., Visitor], story: Story) -> None:
    visitor = visit("maya")
    visitor.open_unit("module1")
    frame = visitor.tool_frame("module1")
    around = frame.parent_frame
    assert around
    around.evaluate(LISTENS)
    frame.goto(f"{story.stage.tool_url}/help")
    around.wait_for_function("heard.length")
    said = around.evaluate("heard.at(-1)")
    assert said == [story.stage.tool_url, {"subject": "lti.frameResize", "height": frame.evaluate(HEIGHT)}]
    around.evaluate("document.querySelector('#lti-iframe-container').style.height = heard.at(-1)[1].height + 'px'")
    frame.wait_for_function(f"innerHeight >= {HEIGHT}")
    assert not frame.evaluate(SCROLLS)

    frame.goto(f"{story.stage.tool_url}/modules/F2")
    is_told = "(height) => heard.at(-1)[1].height === height"
    around.wait_for_function(is_told, arg=frame.evaluate(HEIGHT))
    fold = frame.locator("main details:not([open])").first
    fold.locator("summary").click()
    expect(frame.locator("main details[open]").first).to_be_visible()
    around.wait_for_function(is_told, arg=frame.evaluate(HEIGHT))


def test_nothing_jumps_while_a_page_is_drawn(visit: Callable[..., Visitor], after_the_day: Story) -> None:
    for username, unit, paths in (("maya", "module1", OF_A_TRAINEE), ("ida", "dashboard", OF_STAFF)):
        visitor = visit(username, viewport=PHONE)
        visitor.open_unit(unit)
        frame = visitor.tool_frame(unit)
        for path in paths:
            frame.goto(f"{after_the_day.stage.tool_url}{path}")
            expect(frame.locator("h1")).to_be_visible()
            frame.evaluate(WATCHED)
            frame.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            assert round(frame.evaluate("window.shifts"), 2) == 0, path

"""The vitals row: what a reader's browser measures in the frame of a genuine Open edX, at a quarter of its speed.

Largest contentful paint, layout shift, and the slowest interaction (INP) of each page: Chromium's own entries, read in
the tool's frame after the page has settled. Needs Debian's chromium and the sandbox LMS.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Frame, Page, sync_playwright

from benchmarks.figures import Figure, Spread, at_most, percentile, progress, spread
from benchmarks.installation import Bench
from sandbox.stage import Stage
from sandbox.story import Story
from tests.browser.visitor import ARGUMENTS, CHROMIUM, Visitor
from tests.stages import SANDBOX_PYTHON, opened_stage

ROW = "vitals"
SLOWDOWN = 4
ROUNDS = 3
TABS = 4
PHONE = {"width": 390, "height": 844}

# Who reads, from which unit, and what. The session that was played has number 1.
READERS = {
    "trainee": ("maya", "module1", ("/", "/modules/F1", "/modules/F2", "/record", "/sessions/1", "/retreats", "/help")),
    "trainee, locked": ("priya", "module2", ("/", "/modules/F2", "/equivalency/F1")),
    "staff": ("ida", "dashboard", ("/desk", "/desk/people", "/desk/sessions/1")),
}
PAINTED = """() => new Promise((found) => {
    let last = 0;
    new PerformanceObserver((list) => {
        if (!last) setTimeout(() => found(last), 500);
        last = list.getEntries().at(-1).startTime;
    }).observe({ type: "largest-contentful-paint", buffered: true });
})"""
WATCHED = """() => {
    window.shifts = 0;
    window.slowest = 0;
    new PerformanceObserver((list) => {
        for (const { hadRecentInput, value } of list.getEntries()) if (!hadRecentInput) window.shifts += value;
    }).observe({ type: "layout-shift", buffered: true });
    new PerformanceObserver((list) => {
        for (const { interactionId, duration } of list.getEntries())
            if (interactionId) window.slowest = Math.max(window.slowest, duration);
    }).observe({ type: "event", buffered: true, durationThreshold: 16 });
}"""
FOLDS = "main summary"


@dataclass
class Vitals:
    """Of each visit: milliseconds, and the sum of shifts."""

    painted: list[float] = field(default_factory=list)
    shifted: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)


def measure(bench: Bench) -> Iterator[Figure]:
    if CHROMIUM is None or not SANDBOX_PYTHON.exists():
        lacks = "no chromium" if CHROMIUM is None else "no sandbox LMS (make environments)"
        yield Figure(ROW, "LCP, p75", "trainee", note=f"not measured: {lacks}")
        return
    with opened_stage(bench.folder / ROW) as stage, sync_playwright() as player:
        story = Story(stage)
        story.gather_the_cast()
        story.play_the_day()
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for reader, (username, unit, paths) in READERS.items():
            progress(f"vitals: {reader}")
            yield from figures(reader, visits(browser, stage, username, unit, paths))
        browser.close()


def figures(reader: str, vitals: Vitals) -> Iterator[Figure]:
    """The table's column of one reader."""
    yield Figure(ROW, "LCP, p75", reader, _p75(vitals.painted), "ms", at_most(1000))
    yield Figure(ROW, "CLS, worst page", reader, spread([max(vitals.shifted)]), "", at_most(0))
    yield Figure(ROW, "INP, p75", reader, _p75(vitals.answered), "ms", at_most(100))


def _p75(values: list[float]) -> Spread:
    return Spread(percentile(values, 0.75), min(values), max(values))


def visits(browser: Browser, stage: Stage, username: str, unit: str, paths: tuple[str, ...]) -> Vitals:
    """Every page some times, on a phone. The unit is opened before at full speed: what is slowed down is the process of
    the tool's frame."""
    context = browser.new_context(viewport=PHONE)
    visitor = Visitor(context.new_page(), stage).pick(username)
    visitor.open_unit(unit)
    frame, vitals = visitor.tool_frame(unit), Vitals()
    context.new_cdp_session(frame).send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    for path in paths * ROUNDS:
        frame.goto(f"{stage.tool_url}{path}")
        vitals.painted.append(frame.evaluate(PAINTED))
        frame.evaluate(WATCHED)
        _use(visitor.page, frame)
        vitals.shifted.append(round(frame.evaluate("window.shifts"), 4))
        vitals.answered.append(frame.evaluate("window.slowest"))
    context.close()
    return vitals


def _use(page: Page, frame: Frame) -> None:
    """A few steps by keyboard, and the first fold opened and closed."""
    frame.locator("h1").focus()
    for _ in range(TABS):
        page.keyboard.press("Tab")
    folds = frame.locator(FOLDS)
    if folds.count():
        folds.first.click()
        folds.first.click()
    frame.wait_for_timeout(200)

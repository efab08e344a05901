"""A person who uses the keyboard only: Tab to where something is, Enter or Space to use it. Nothing is clicked."""

from dataclasses import dataclass

from playwright.sync_api import FrameLocator, Locator, Page, expect

from sandbox.stage import Stage

# From one thing on a page to any other, around the whole window once.
MOST_TABS, TRIES = 110, 2
IS_FOCUSED = "each => document.activeElement === each && document.hasFocus()"
# An outline or a ring of shadow; what is hidden or has no size cannot show one.
SHOWS_FOCUS = """each => {
    const style = getComputedStyle(each), box = each.getBoundingClientRect();
    const ring = style.outlineStyle !== "none" && style.outlineWidth !== "0px" || style.boxShadow !== "none";
    return ring && box.width > 0 && box.height > 0;
}"""
# What is pressing on a page: its primary buttons, and where the last of them ends.
PRIMARIES = """() => [...document.querySelectorAll("main .btn.pri")].filter((each) => each.checkVisibility())
    .map((each) => each.getBoundingClientRect().bottom + scrollY)"""
SCROLLS = """() => [document.documentElement.scrollWidth > document.documentElement.clientWidth,
    document.documentElement.scrollHeight > innerHeight + 1]"""
PRESSING_ABOVE = 600


@dataclass
class Keyboard:
    """One person in one window of the LMS, with the tool in its frame."""

    page: Page
    stage: Stage
    block: str = ""

    def sign_in(self, username: str) -> "Keyboard":
        self.page.goto(self.stage.lms_url)
        self.use(self.page.locator(f'form:has(input[name="username"][value="{username}"]) button'))
        expect(self.page.get_by_role("heading", name="Your courses")).to_be_visible()
        return self

    def open_unit(self, block: str) -> FrameLocator:
        """Open a course unit and agree to share name and e-mail; the page of the tool, with the focus before it."""
        self.block = block
        self.page.goto(f"{self.stage.lms_url}/unit/{block}")
        self.use(self.page.frame_locator("#unit-frame").get_by_role("button", name="OK", exact=True))
        expect(self.tool.locator("h1")).to_be_visible()
        return self.tool

    @property
    def tool(self) -> FrameLocator:
        return self.page.frame_locator("#unit-frame").frame_locator("iframe.ltiLaunchFrame")

    def reach(self, target: Locator) -> None:
        """Tab on until the target has the focus, and can be seen to have it."""
        expect(target).to_be_visible()
        for _ in range(TRIES):  # a page that renews itself meanwhile has another element in its place
            element = target.element_handle()
            for _ in range(MOST_TABS):
                if element.evaluate(IS_FOCUSED):
                    assert element.evaluate(SHOWS_FOCUS), f"the focus cannot be seen on {target}"
                    return
                self.page.keyboard.press("Tab")
        raise AssertionError(f"{target} cannot be reached by keyboard")

    def use(self, target: Locator, key: str = "Enter") -> None:
        self.reach(target)
        self.page.keyboard.press(key)

    def write(self, target: Locator, text: str) -> None:
        self.reach(target)
        self.page.keyboard.type(text)

    def choose(self, target: Locator) -> None:
        """One of a group of radio buttons: the group is one stop, arrows move in it."""
        group = self.tool.locator(f'input[type="radio"][name="{target.get_attribute("name")}"]')
        self.reach(group.first)
        while not target.is_checked():
            self.page.keyboard.press("ArrowDown")

    def follow(self, name: str, heading: str) -> FrameLocator:
        """Use the link of this name in the tool; the page that it leads to has this heading."""
        self.use(self.tool.get_by_role("link", name=name, exact=True).first)
        expect(self.tool.locator("h1")).to_contain_text(heading)
        return self.tool

    def assert_pressing(self) -> None:
        """The page says what to do: one primary button, and that within the first 600 px."""
        ends = self._frame().evaluate(PRIMARIES)
        assert len(ends) == 1, f"{self.words()} has {len(ends)} primary buttons"
        assert ends[0] <= PRESSING_ABOVE, f"{self.words()}: the primary button ends at {ends[0]} px"

    def assert_fits(self) -> None:
        assert not self._frame().evaluate(SCROLLS)[0], f"{self.words()} scrolls sideways"

    def words(self) -> str:
        return self.tool.locator("h1").inner_text()

    def _frame(self):  # type: ignore[no-untyped-def]
        frame = self.page.frame(name=f"ltiFrame-{self.block}")
        assert frame
        return frame

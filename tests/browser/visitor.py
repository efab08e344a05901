"""A person at a real chromium: picks a name in the sandbox LMS, opens units, agrees, and uses the tool in its frame."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Frame, FrameLocator, Page, Request, expect

from sandbox.stage import Stage

# What starts it, where it is installed.
CHROMIUM = str(Path(__file__).with_name("chromium.sh")) if shutil.which("chromium") else None
# No sandbox, because it refuses to run as root. Whatever chromium itself would like to reach is not there.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


@dataclass
class PageWatcher:
    """Notes what the pages of a browser ask for elsewhere, and what the browser complains about."""

    tool_url: str
    other_urls: tuple[str, ...]
    strayed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((*(f"{ours}/" for ours in (self.tool_url, *self.other_urls)), "data:")):
            self.strayed.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        """Violations of a content security policy are errors of the console too."""
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.location['url']}: {message.text}")

    def refused(self, path: str, status: int) -> int:
        """How often the tool refused this page with this status since last asked; chromium calls each an error."""
        start, reason = f"{self.tool_url}{path}: Failed to load resource", f"status of {status} "
        refusals = [each for each in self.complaints if each.startswith(start) and reason in each]
        self.complaints = [each for each in self.complaints if each not in refusals]
        return len(refusals)

    def found(self) -> list[str]:
        """What there is to complain about since it was last asked."""
        found = [*self.strayed, *self.complaints]
        self.strayed.clear()
        self.complaints.clear()
        return found


@dataclass
class Visitor:
    """One person in one window."""

    page: Page
    stage: Stage

    def pick(self, username: str) -> "Visitor":
        """Become somebody, on the LMS's first page."""
        self.page.goto(self.stage.lms_url)
        cards = self.page.locator("details")  # the demo's first page folds the people below its table
        if cards.count():
            cards.evaluate("folded => folded.open = true")
        self.page.locator(f'form:has(input[name="username"][value="{username}"]) button.card').click()
        expect(self.page.get_by_role("heading", name="Your courses")).to_be_visible()
        return self

    def open_unit(self, block: str) -> FrameLocator:
        """Open a course unit and agree to share name and e-mail; the tool's page inside both frames."""
        self.page.goto(f"{self.stage.lms_url}/unit/{block}")
        self.unit.get_by_role("button", name="OK", exact=True).click()
        tool = self.unit.frame_locator("iframe.ltiLaunchFrame")
        expect(tool.locator("h1")).to_be_visible()
        return tool

    def enter(self, block: str) -> Page:
        """Launch the unit in the whole window instead of its frame, as after "Continue in a new tab"."""
        self.page.goto(f"{self.stage.lms_url}/unit/{block}")
        launch = self.unit.locator("#lti-iframe-container").get_attribute("data-target")
        assert launch
        self.page.goto(launch)
        self.page.wait_for_url(f"{self.stage.tool_url}/**")
        return self.page

    def tool_frame(self, block: str) -> Frame:
        """The frame of the tool itself, to look behind its page."""
        frame = self.page.frame(name=f"ltiFrame-{block}")
        assert frame
        assert frame.url.startswith(self.stage.tool_url)
        return frame

    @property
    def unit(self) -> FrameLocator:
        """The genuine student view of the open unit."""
        return self.page.frame_locator("#unit-frame")


def write_profile(folder: Path, settings: dict[str, Any]) -> Path:
    """A chromium profile with these settings of the person, such as which cookies are kept."""
    (folder / "Default").mkdir(parents=True)
    (folder / "Default" / "Preferences").write_text(json.dumps({"profile": settings}), encoding="utf-8")
    return folder

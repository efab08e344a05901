"""The pictures of README and guides, taken anew from the state in which the demo opens: `make pictures`."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.opening import Opening, demo_stage
from sandbox.stage import PACIFIC, Stage
from tests.browser.test_deep_linking import start
from tests.browser.test_registration import registrar
from tests.browser.visitor import ARGUMENTS, CHROMIUM, Visitor
from tests.source import DOCS
from tests.stages import SANDBOX_PYTHON

IMAGES, PLATFORM_IMAGES = DOCS / "images", DOCS / "platforms" / "images"
MAX_BYTES = 150_000
# The class of the pictures began about two hours ago. It is taught where that was in the morning.
ZONES = (
    *(PACIFIC.key, "America/Denver", "America/Chicago", "America/New_York", "America/Sao_Paulo", "Europe/London"),
    *("Europe/Paris", "Europe/Helsinki", "Europe/Moscow", "Asia/Dubai", "Asia/Karachi", "Asia/Dhaka", "Asia/Bangkok"),
    *("Asia/Singapore", "Asia/Tokyo", "Australia/Brisbane", "Pacific/Noumea", "Pacific/Auckland"),
)


class Picture(NamedTuple):
    """The top of one page, as one person sees it: which unit is launched, and then which path is opened."""

    name: str
    username: str
    unit: str
    path: str
    width: int = 1280
    height: int = 800


def pictures(opening: Opening) -> list[Picture]:
    """Those that show what people use; the pictures of setting up are taken one by one."""
    live = f"/desk/sessions/{opening.session_now}/live"
    played = opening.stage.played_session
    priya = opening.attendance()["priya@example.org"]["trainee"]
    return [
        Picture("today", "ida", "dashboard", "/desk", height=1000),
        Picture("live-board", "ida", "dashboard", live, height=900),
        Picture("person", "ida", "dashboard", f"/desk/people/{priya}", height=900),
        Picture("attendance", "ida", "dashboard", f"/desk/sessions/{played}", height=1000),
        Picture("home", "maya", "dashboard", "/", height=760),
        Picture("home-phone", "maya", "dashboard", "/", width=390, height=780),
        Picture("day", "maya", "module1", f"/sessions/{played}"),
        Picture("locked", "bodhi", "module2", "/modules/F2", height=700),
    ]


def take_pictures(folder: Path) -> None:
    """Open the demo, and picture what staff and learners see. What no picture replaces is removed."""
    for each in (*IMAGES.glob("*.png"), *PLATFORM_IMAGES.glob("*.png")):
        each.unlink()
    with demo_stage(folder, SANDBOX_PYTHON, zone=_zone()) as stage, sync_playwright() as player:
        opening = Opening(stage)
        for _, step in [*opening.steps(), *opening.scenes()]:
            step()
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for each in pictures(opening):
            page = _visitor(browser, stage, each.username, each.width, each.height).enter(each.unit)
            page.goto(f"{stage.tool_url}{each.path}")
            _take(page, IMAGES / f"{each.name}.png")
        _of_settings(browser, stage)
        _take(start(_visitor(browser, stage, "ida")), PLATFORM_IMAGES / "picker.png")
        _of_registration(browser, stage)
        _of_evidence(browser, stage, folder)
        browser.close()


def _zone() -> str:
    """Where it is about eleven o'clock; Pacific time if nowhere."""
    return next((each for each in ZONES if _hour(each) == 11), PACIFIC.key)


def _hour(zone: str) -> int:
    return datetime.now(ZoneInfo(zone)).hour


def _of_settings(browser: Browser, stage: Stage) -> None:
    for username, unit in (("jomo", "bare"), ("jomo", "module1"), ("wendell", "advanced1")):
        _visitor(browser, stage, username).enter(unit)
    page = _visitor(browser, stage, "ida").enter("dashboard")
    for name in ("setup", "platforms"):
        page.goto(f"{stage.tool_url}/desk/{name}")
        _take(page, PLATFORM_IMAGES / f"{name}.png")


def _of_registration(browser: Browser, stage: Stage) -> None:
    link = stage.gatehouse_json("platform", "invite")["link"]
    with registrar("1") as administration:
        page = _page(browser, stage)
        origin = administration.removesuffix("/administration")
        page.goto(f"{link}&openid_configuration={origin}/configuration&registration_token=token")
        expect(page.get_by_role("button", name="Register")).to_be_visible()
        _take(page, PLATFORM_IMAGES / "register.png")


def _of_evidence(browser: Browser, stage: Stage, folder: Path) -> None:
    pack = folder / "evidence"
    stage.gatehouse("certify", "--out", str(pack))
    page = _page(browser, stage)
    page.goto((pack / "index.html").as_uri())
    _take(page, PLATFORM_IMAGES / "certify.png")


def _visitor(browser: Browser, stage: Stage, username: str, width: int = 900, height: int = 720) -> Visitor:
    return Visitor(_page(browser, stage, width, height), stage).pick(username)


def _page(browser: Browser, stage: Stage, width: int = 900, height: int = 720) -> Page:
    """A light page, of a reader whose clock is the programme's."""
    size = {"width": width, "height": height}
    window = browser.new_context(viewport=size, timezone_id=stage.zone, color_scheme="light", reduced_motion="reduce")
    return window.new_page()


def _take(page: Page, file: Path) -> None:
    """The top of a page: what somebody sees first."""
    page.screenshot(path=file)
    assert file.stat().st_size <= MAX_BYTES, f"{file.name} is too large"


if __name__ == "__main__":
    with TemporaryDirectory() as somewhere:
        take_pictures(Path(somewhere))

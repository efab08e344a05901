"""The pictures of docs/platforms, taken anew from the running tool: `python -m tests.browser.pictures`."""

from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.stage import Stage
from sandbox.story import Story
from tests.browser.test_deep_linking import start
from tests.browser.test_registration import registrar
from tests.browser.visitor import ARGUMENTS, CHROMIUM, Visitor
from tests.source import ROOT
from tests.stages import opened_stage

IMAGES = ROOT / "docs" / "platforms" / "images"
WIDE = {"width": 900, "height": 720}


def take_pictures(folder: Path) -> None:
    """Open a stage, let a few people launch, and picture what staff and learners see."""
    IMAGES.mkdir(exist_ok=True)
    with opened_stage(folder) as stage, sync_playwright() as player:
        Story(stage).gather_the_cast()
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        _of_learner(browser, stage)
        _of_staff(browser, stage)
        _of_picker(browser, stage)
        _of_registration(browser, stage)
        _of_evidence(browser, stage, folder)
        browser.close()


def _of_learner(browser: Browser, stage: Stage) -> None:
    page = _visitor(browser, stage, "hiro").enter("module2")
    _take(page, "locked")


def _of_staff(browser: Browser, stage: Stage) -> None:
    for username, unit in (("jomo", "bare"), ("jomo", "module1"), ("wendell", "advanced1")):
        _visitor(browser, stage, username).enter(unit)
    page = _visitor(browser, stage, "ida").enter("dashboard")
    for name in ("setup", "platforms"):
        page.goto(f"{stage.tool_url}/desk/{name}")
        _take(page, name)


def _of_picker(browser: Browser, stage: Stage) -> None:
    _take(start(_visitor(browser, stage, "ida")), "picker")


def _of_registration(browser: Browser, stage: Stage) -> None:
    link = stage.gatehouse_json("platform", "invite")["link"]
    with registrar("1") as administration:
        page = browser.new_context(viewport=WIDE).new_page()
        origin = administration.removesuffix("/administration")
        page.goto(f"{link}&openid_configuration={origin}/configuration&registration_token=token")
        expect(page.get_by_role("button", name="Register")).to_be_visible()
        _take(page, "register")


def _of_evidence(browser: Browser, stage: Stage, folder: Path) -> None:
    pack = folder / "evidence"
    stage.gatehouse("certify", "--out", str(pack))
    page = browser.new_context(viewport=WIDE).new_page()
    page.goto((pack / "index.html").as_uri())
    _take(page, "certify")


def _visitor(browser: Browser, stage: Stage, username: str) -> Visitor:
    return Visitor(browser.new_context(viewport=WIDE).new_page(), stage).pick(username)


def _take(page: Page, name: str) -> None:
    """The top of a page: what somebody sees first."""
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    with TemporaryDirectory() as somewhere:
        take_pictures(Path(somewhere))

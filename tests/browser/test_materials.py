"""A presentation: staff add it inside the course page, and a trainee saves and plays it there."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.sample_files import MP3, PDF

Visit = Callable[..., Visitor]


def test_staff_add_files_in_the_frame_and_a_trainee_saves_and_plays_them(visit: Visit) -> None:
    slides = {"name": "Set and setting.pdf", "mimeType": "application/pdf", "buffer": PDF}
    talk = {"name": "A talk.mp3", "mimeType": "audio/mpeg", "buffer": MP3}
    desk = visit("ida").open_unit("dashboard")
    desk.get_by_role("link", name="Programme", exact=True).click()
    desk.get_by_role("link", name="Materials of Module 1").first.click()
    desk.get_by_label("Files").set_input_files([slides, talk])
    desk.get_by_role("button", name="Add", exact=True).click()
    expect(desk.get_by_role("status").first).to_contain_text("Added.")
    expect(desk.get_by_role("link", name="Set and setting", exact=True)).to_be_visible()

    trainee = visit("maya")
    tool = trainee.open_unit("module1")
    card = tool.get_by_role("region", name="Materials")
    expect(card).to_contain_text("MP3 audio, 4 KB")
    link = card.get_by_role("link", name="Download Set and setting").get_attribute("href")
    file = trainee.page.context.request.get(f"{trainee.stage.tool_url}{link}")
    assert "Set%20and%20setting.pdf" in file.headers["content-disposition"].replace(" ", "%20")
    assert file.body() == PDF
    player = card.locator("audio")
    player.evaluate("""player => new Promise((done) => {
        player.onloadedmetadata = player.onerror = () => done();
        player.preload = "metadata";
        player.load();
    })""")
    assert player.evaluate("player => player.networkState") != 3, "the player found no source"

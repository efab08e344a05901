"""A class is under way, and staff watch it: over HTTP, from Zoom's deliveries to the board."""

from sandbox.browser import Page
from sandbox.story import Story, expect_silence, expect_words, until
from sandbox.zoom.behaviours import Visit
from tests.running_class import WHOLE, RunningClass, attendee


def test_staff_see_who_is_here_and_the_board_follows_what_zoom_tells(story: Story) -> None:
    story.gather_the_cast()
    running = RunningClass(story.stage)
    watched = f"/desk/sessions/{running.session}/live"
    story.visit("ida", "dashboard")

    def board() -> Page:
        return story._own("ida", watched)

    def until_it_shows(*words: str) -> None:
        """What it shows may be two seconds old."""
        until(f"{words} on the board", lambda: all(each in board().words for each in words))

    expect_words(board(), "The class now", "Zoom has sent nothing about this session yet")

    in_group, left, waits = Visit(0, 8 * 3600, (600, 5 * 3600)), Visit(0, 3600), Visit(9000, 8 * 3600, waits=4000)
    here = (attendee("maya", in_group), attendee("priya", left), attendee("greta", waits))
    running.tell(*here, attendee("stranger", WHOLE, name="Somebody Unknown"))
    until_it_shows("Here now 2", "Maya Okafor", "In the waiting room", "Greta Halvorsen", "Left", "Priya Raman")
    expect_words(board(), "Somebody Unknown")
    expect_words(board(), "Breakout rooms", "The same in numbers", "Reload now")
    expect_silence(board(), "stranger@example.org")

    running.tell(*here, attendee("stranger", Visit(0, 3700), name="Somebody Unknown"))
    until_it_shows("Here now 1")

    part = story._own("ida", f"{watched}/now")
    expect_silence(part, "<html", "<body")
    assert story._own("maya", watched).status == 403

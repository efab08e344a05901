"""Staff ask in the middle of a class who is there; trainees answer by one tap in the course, over HTTP."""

from sandbox.browser import Page
from sandbox.story import Story, expect_silence, expect_words
from tests.running_class import WHOLE, RunningClass, attendee


def test_staff_ask_a_trainee_taps_and_the_day_shows_it(story: Story) -> None:
    story.gather_the_cast()
    running = RunningClass(story.stage)
    running.tell(attendee("maya", WHOLE), attendee("noor", WHOLE))
    checks, day = f"/desk/sessions/{running.session}/checks", f"/sessions/{running.session}"
    for username, unit in (("ida", "dashboard"), ("maya", "module1"), ("noor", "module1")):
        story.visit(username, unit)

    def own(username: str, path: str) -> Page:
        return story._own(username, path)

    assert "/presence" in own("maya", "/modules/F1").document.links
    expect_words(own("maya", "/presence"), "Are you there?", "No question right now")
    assert own("maya", checks).status == 403

    page = own("ida", checks)
    expect_words(page, "Nothing has been asked in this session")
    asked = story.browsers["ida"].submit(page, page.form("/checks"), seconds="300")
    expect_words(asked, "Asked. Answers are counted below.", "open now")
    again = story.browsers["ida"].submit(page, page.form("/checks"), seconds="300")
    assert again.status == 409

    question = own("maya", "/presence")
    forged = story.browsers["maya"].post(f"{story.stage.tool_url}{question.form('/presence/').action}", {})
    assert forged.status == 403
    thanks = story.browsers["maya"].submit(question, question.form("/presence/"))
    expect_words(thanks, "Thank you, your answer is recorded.", "Answered at")
    part = own("maya", "/presence/now")
    expect_words(part, "Answered at")
    expect_silence(part, "<html", "Yes, I am here")
    expect_words(own("noor", "/presence/now"), "Yes, I am here")
    answers = own("ida", checks).document.words
    assert answers[answers.index("open now") + 1] == "1"

    story.stage.gatehouse("session", "settle", str(running.session))
    expect_words(own("maya", day), "Presence checks and polls", "Presence check Answered at")
    expect_words(own("noor", day), "Presence check No answer so far")

"""Deep linking with genuine Open edX code: an instructor picks in the tool, the LMS stores it, learners open it.

The choice starts in Studio and ends in the LMS, so each step is what a browser would do between the three.
"""

import re
from html import unescape

import pytest

from sandbox.browser import Browser, Page
from sandbox.story import Story, expect_words

CONTENT_PAGE = re.compile(r'data-target="([^"]+/lti-dl/content[^"]*)"')
UNIT = "deeplink"


@pytest.fixture
def ida(story: Story) -> Browser:
    """The instructor, signed in to the LMS."""
    story.browsers.setdefault("ida", Browser(story.stage.lms_url)).sign_in("ida")
    return story.browsers["ida"]


def in_studio(story: Story, browser: Browser) -> Page:
    return browser.open(f"{story.stage.lms_url}/studio/{UNIT}/xblock")


def login_links(page: Page) -> list[str]:
    """Where a page of the LMS starts a launch."""
    return [link for link in page.document.links if "/lti/login" in link]


def picker(story: Story, browser: Browser) -> Page:
    """From Studio to the tool's picker."""
    (start,) = login_links(in_studio(story, browser))
    page = browser.settle(browser.open(start))
    expect_words(page, "Choose what the link opens", "replaces everything picked for this unit before")
    return page


def signed_answer(story: Story, browser: Browser, *choices: str) -> Page:
    """The page that holds the signed answer, not sent yet."""
    page = picker(story, browser)
    form = page.form("/deep-linking/")
    form.fields["choice"] = list(choices)  # type: ignore[assignment]
    return browser.submit(page, form)


def pick(story: Story, browser: Browser, *choices: str) -> Page:
    """Pick, and send the answer to the LMS; what the LMS says."""
    answer = signed_answer(story, browser, *choices)
    return browser.submit(answer, answer.form("/lti-dl/response"))


def content_page(story: Story, username: str) -> Page:
    """The list of links that a learner sees in a unit with several contents."""
    story.visit(username, "bare")
    page = story.browsers[username].open(f"{story.stage.lms_url}/xblock/{UNIT}")
    found = CONTENT_PAGE.search(page.html)
    assert found, "the unit frames its list of contents"
    return story.browsers[username].open(unescape(found[1]))


def test_what_an_instructor_picks_is_what_learners_open(story: Story, ida: Browser) -> None:
    saved = pick(story, ida, "module:F2")
    assert saved.status == 200
    expect_words(saved, "successfully saved in the LMS")
    expect_words(in_studio(story, ida), '"module_id": "F2"', '"score": "completion"', '"resourceId": "F2:completion"')
    page = story.visit("maya", UNIT)
    assert page.url == f"{story.stage.tool_url}/modules/F2"
    expect_words(page, "Module 2", "locked", "Module 1")


def test_the_unit_stands_on_the_page_of_courses_until_staff_confirm_it(story: Story, ida: Browser) -> None:
    pick(story, ida, "module:F2")
    story.visit("maya", UNIT)
    story.visit("ida", "dashboard")
    page = ida.open(f"{story.stage.tool_url}/desk/courses")
    expect_words(page, UNIT, "Module 2", "to confirm")
    expect_words(page, "Ketamine-Assisted Psychotherapy: Foundational Series")


def test_two_picks_become_a_page_of_links_and_each_opens_its_own(story: Story, ida: Browser) -> None:
    expect_words(pick(story, ida, "module:F1", "page:calendar"), "successfully saved")
    page = content_page(story, "jomo")
    expect_words(page, "Module 1: Introduction", "Calendar")
    jomo = story.browsers["jomo"]
    opened = [jomo.settle(jomo.open(link)) for link in login_links(page)]
    assert [each.url.removeprefix(story.stage.tool_url) for each in opened] == ["/modules/F1", "/calendar"]
    expect_words(opened[0], "Agenda")


def test_a_new_choice_replaces_the_one_before_and_an_empty_one_erases_it(story: Story, ida: Browser) -> None:
    pick(story, ida, "module:F1", "module:F2")
    pick(story, ida, "retreat:RT_EXP")
    assert story.visit("greta", UNIT).url == f"{story.stage.tool_url}/retreats/RT_EXP"
    page = picker(story, ida)
    erase = next(form for form in page.document.forms if "nothing" in form.fields)
    answer = ida.submit(page, erase)
    expect_words(ida.submit(answer, answer.form("/lti-dl/response")), "successfully saved")
    assert login_links(in_studio(story, ida))
    assert "Deep Linking is configured" not in in_studio(story, ida).words
    assert story.visit("greta", UNIT).url == f"{story.stage.tool_url}/"


def test_an_answer_is_signed_once(story: Story, ida: Browser) -> None:
    page = picker(story, ida)
    form = page.form("/deep-linking/")
    first = ida.submit(page, form, choice="module:F1")
    assert first.status == 200
    again = ida.submit(page, form, choice="module:F2")
    assert again.status == 409
    expect_words(again, "sent already", "deep_link_answered")


def test_learners_neither_start_a_choice_nor_bring_one_home(story: Story, ida: Browser) -> None:
    story.visit("noor", "bare")
    noor = story.browsers["noor"]
    assert in_studio(story, noor).status == 403
    answer = signed_answer(story, ida, "module:F1")
    expect_words(answer, "not signed in to the LMS", "You don't have access to save LTI Content Items")
    refused = noor.submit(answer, answer.form("/lti-dl/response"))
    assert refused.status == 403
    expect_words(refused, "You don't have access to save LTI Content Items")
    assert noor.open(answer.url).status == 403

"""`make demo` opens with what its first page promises: the opening is set up once, and every promise is looked up on
the pages of the people whom it is about."""

from collections.abc import Iterator

import pytest

from sandbox.browser import Browser
from sandbox.opening import Opening, demo_stage
from sandbox.story import expect_words
from tests.stages import SANDBOX_PYTHON


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opening]:
    with demo_stage(tmp_path_factory.mktemp("demo"), SANDBOX_PYTHON) as stage:
        opening = Opening(stage)
        for _, step in [*opening.steps(), *opening.scenes()]:
            step()
        yield opening


def test_every_promise_of_the_demo_holds(opening: Opening, subtests: pytest.Subtests) -> None:
    for title, promise in opening.promises():
        with subtests.test(title):
            promise()


def test_the_first_page_leads_each_person_to_what_it_says(opening: Opening) -> None:
    visitor = Browser(opening.stage.lms_url)
    first = visitor.open(opening.stage.lms_url)
    expect_words(first, "Who do you want to be?", "What you will see", "Mailbox", "Zoom")
    rows = [form for form in first.document.forms if form.fields.get("next")]
    assert [form.fields["username"] for form in rows[:2]] == ["ida", "stellan"], "staff come first"
    for form in rows:
        assert visitor.settle(visitor.submit(first, form)).url.startswith(opening.stage.tool_url)


def test_the_class_goes_on_at_the_pace_that_is_chosen_at_zoom(opening: Opening) -> None:
    visitor = Browser(opening.stage.zoom_url)
    page = visitor.open(opening.stage.zoom_url)
    expect_words(page, "Module 2 is running", "at its real pace")
    faster = visitor.submit(page, page.form("/class/pace"), pace="20")
    expect_words(faster, "20 times as fast as in reality", "Real pace")
    assert visitor.post(f"{opening.stage.zoom_url}/class/pace", {"pace": "7"}).status == 400

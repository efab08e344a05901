"""The picker: what a teacher sees, what goes back to the platform, and what does not."""

import pytest
from sqlalchemy import select, update

from lti_tool.db import Database
from lti_tool.lti.claims import DL, LTI
from lti_tool.tables.browser_sessions import deep_link_requests
from lti_tool.tables.operations import audit_log
from lti_tool.tables.platforms import registrations
from tests.clock import TestClock
from tests.platform import ABSENT, code_of
from tests.unit.web.deep_linking.conftest import Sender

OWN = "https://gatehouse.example.org"


class TestWhatATeacherSees:
    def test_modules_with_their_gate_and_next_date_in_words(self, sender: Sender) -> None:
        page = sender.teacher().open()
        assert page.status == 200
        assert page.heading == "Choose what the link opens"
        assert "Gate: Module 1, or an accepted equivalency" in page.text
        assert "No session announced" in page.text
        assert "module_id=F2" in page.text
        assert "Completion: how much of the teaching" in page.text

    def test_one_can_be_picked_unless_the_platform_takes_more(self, sender: Sender) -> None:
        one = sender.teacher(settings_accept_multiple=False).open().html
        many = sender.teacher(settings_accept_multiple=True).open().html
        assert 'type="radio" name="choice"' in one
        assert 'type="checkbox" name="choice"' not in one
        assert 'type="checkbox" name="choice"' in many

    def test_open_edx_is_told_that_sending_replaces_and_how_to_leave_it(self, openedx: Sender) -> None:
        text = openedx.teacher().open().text
        assert "replaces everything picked for this unit before" in text
        assert "To keep what is there, close this window" in text
        assert "not signed in to the LMS" in text
        assert "Go back without a choice" not in text
        assert "Only one module of the list can have the unit's grade" in text
        assert "Each becomes a link of your course" not in text

    def test_moodle_is_told_to_save(self, moodle: Sender) -> None:
        teacher = moodle.teacher()
        assert "press Save in Moodle" in teacher.open().text
        assert "press Save in Moodle" in teacher.pick("module:F1").text

    def test_where_no_link_of_ours_is_taken_the_page_says_so_kindly(self, sender: Sender) -> None:
        teacher = sender.teacher(settings_accept_types=["file", "image"])
        page = teacher.open()
        assert (page.status, page.heading) == (200, "Gatehouse has nothing for this place")
        assert "file, image" in page.text
        assert teacher.pick("module:F1").status == 422
        assert sender.items(teacher.pick(nothing="yes")) == []

    def test_where_plain_links_only_are_taken_their_limits_are_told(self, sender: Sender) -> None:
        teacher = sender.teacher(settings_accept_types=["link"])
        assert "takes plain links only" in teacher.open().text
        (item,) = sender.items(teacher.pick("module:F1"))
        assert (item["type"], item["url"]) == ("link", f"{OWN}/modules/F1")
        assert set(item) <= {"type", "url", "title", "text"}


class TestWhatGoesBack:
    def test_a_module_with_its_mapping_and_its_line_item(self, sender: Sender) -> None:
        answer = sender.teacher().pick("module:F1", score="completion")
        assert answer.status == 200
        (item,) = sender.items(answer)
        assert (item["type"], item["url"]) == ("ltiResourceLink", f"{OWN}/modules/F1")
        assert item["custom"] == {"module_id": "F1", "score": "completion"}
        assert item["lineItem"]["scoreMaximum"] == 100
        assert item["lineItem"]["resourceId"] == "F1:completion", "by this name the ledger finds it"
        assert item["lineItem"]["tag"] == "gatehouse-completion"
        assert item["lineItem"]["label"].endswith(" – attendance")

    def test_credit_instead_of_completion(self, sender: Sender) -> None:
        (item,) = sender.items(sender.teacher().pick("module:F1", score="ce"))
        assert item["custom"]["score"] == "ce"
        assert (item["lineItem"]["resourceId"], item["lineItem"]["tag"]) == ("F1:ce", "gatehouse-ce")
        assert item["lineItem"]["label"].endswith(" – CE credit")
        assert item["lineItem"]["scoreMaximum"] == 7.8

    def test_without_a_choice_of_meaning_the_programme_decides(self, sender: Sender) -> None:
        (item,) = sender.items(sender.teacher().pick("module:F1"))
        assert item["custom"]["score"] == "completion"

    def test_pages_and_retreats_have_no_grade(self, sender: Sender) -> None:
        items = sender.items(sender.teacher().pick("page:dashboard", "retreat:RT_EXP", "page:calendar"))
        assert [each["custom"] for each in items] == [
            {"retreat_id": "RT_EXP"},
            {"page": "dashboard"},
            {"page": "calendar"},
        ]
        assert all("lineItem" not in each for each in items)

    def test_no_line_item_where_the_platform_takes_none(self, sender: Sender) -> None:
        (item,) = sender.items(sender.teacher(settings_accept_lineitem=False).pick("module:F1"))
        assert "lineItem" not in item

    def test_the_claims_of_the_platform_that_asked(self, sender: Sender) -> None:
        claims = sender.read(sender.teacher(settings_data="as+it/came= é").pick("module:F1"))
        assert (claims["iss"], claims["aud"]) == (sender.platform.client_id, sender.platform.issuer)
        assert claims[LTI + "deployment_id"] == sender.platform.deployment_id
        assert claims[DL + "data"] == "as+it/came= é"
        assert claims[DL + "msg"] == "The link is ready."

    def test_without_data_there_is_no_data(self, sender: Sender) -> None:
        assert DL + "data" not in sender.read(sender.teacher(settings_data=ABSENT).pick("module:F1"))

    def test_who_cancels_sends_nothing_and_says_so(self, sender: Sender) -> None:
        claims = sender.read(sender.teacher().pick(nothing="yes"))
        assert claims[DL + "content_items"] == []
        assert claims[DL + "msg"] == "Nothing was picked."

    def test_it_is_noted_who_picked_what(self, sender: Sender, database: Database) -> None:
        sender.teacher().pick("module:F1", "page:calendar")
        with database.read() as connection:
            row = connection.execute(select(audit_log).where(audit_log.c.act == "deep_link_answered")).one()
        assert row.actor.startswith("staff:")
        assert row.details == {"contents": ["module:F1", "page:calendar"]}


class TestHowItGoesBack:
    def test_by_a_form_with_one_field_a_visible_button_and_no_inline_script(self, sender: Sender) -> None:
        answer = sender.teacher().pick("module:F1")
        form = answer.html.partition("<main")[2].partition("<form")[2].partition("</form>")[0]
        assert 'method="post" action="https://lms.example.org/deep-linking/return"' in form
        assert form.count("<input") == 1
        assert "<button" in form
        assert "post-form.js" in answer.html
        assert all("src=" in each for each in answer.html.split("<script")[1:])

    def test_the_page_may_send_its_form_to_the_platform_and_no_other_page_may(self, sender: Sender) -> None:
        teacher = sender.teacher()
        picker = teacher.open()
        answer = teacher.send(picker, "module:F1")
        policy = answer.response.headers["Content-Security-Policy"]
        assert "form-action 'self' https://lms.example.org;" in policy
        for other in (picker, teacher.open()):
            assert "form-action 'self';" in other.response.headers["Content-Security-Policy"]

    def test_an_address_is_text_whatever_stands_in_it(self, sender: Sender, database: Database) -> None:
        """A launch refuses such an address already; what is written into the page does not rely on that."""
        teacher = sender.teacher()
        nasty = "https://lms.example.org/return?\"><script>alert(1)</script>&b='2'"
        with database.write() as connection:
            connection.execute(update(deep_link_requests).values(return_url=nasty.replace(" ", "%20")))
        answer = teacher.pick("module:F1")
        assert answer.status == 200
        assert "<script>alert" not in answer.html
        assert "return?&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;b=&#39;2&#39;" in answer.html


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://10.0.0.7/return", "return_url_refused"),
        ("https://evil.example/return", "return_url_foreign"),
        ("https://lms.example.org.evil.example/return", "return_url_foreign"),
    ],
)
def test_an_answer_that_would_go_elsewhere_is_not_begun(address: str, code: str, sender: Sender) -> None:
    page = sender.teacher(settings_deep_link_return_url=address).open()
    assert page.status == 400
    assert f"<code>{code}</code>" in page.html


@pytest.mark.parametrize(
    "address", ["http://lms.example.org/return", "javascript:alert(1)", 'https://lms.example.org/"><script>alert(1)']
)
def test_a_message_with_such_an_address_begins_nothing(address: str, sender: Sender) -> None:
    message = sender.platform.deep_linking_claims
    client = sender.app.test_client()
    refused = sender.platform.launch(client, sender.clock(), message=message, settings_deep_link_return_url=address)
    assert code_of(refused) == "return_url_wrong"


def test_an_address_that_turned_foreign_meanwhile_gets_nothing(sender: Sender, database: Database) -> None:
    teacher = sender.teacher()
    page = teacher.open()
    with database.write() as connection:
        moved = dict.fromkeys(("auth_login_url", "token_url", "key_set_url"), "https://new.example.org/x")
        connection.execute(update(registrations).values(moved))
    refused = teacher.send(page, "module:F1")
    assert (refused.status, "return_url_foreign" in refused.html, "JWT" in refused.html) == (400, True, False)


class TestOnce:
    def test_the_answer_is_given_once(self, sender: Sender) -> None:
        teacher = sender.teacher()
        page = teacher.open()
        assert teacher.send(page, "module:F1").status == 200
        again = teacher.send(page, "module:F2")
        assert again.status == 409
        assert "deep_link_answered" in again.html
        assert "JWT" not in again.html
        assert teacher.open().status == 409

    def test_a_form_that_was_refused_can_be_sent_again(self, sender: Sender) -> None:
        teacher = sender.teacher()
        assert teacher.pick().status == 422
        assert teacher.pick("module:F1").status == 200

    def test_an_hour_later_it_is_too_late(self, sender: Sender, clock: TestClock) -> None:
        teacher = sender.teacher()
        page = teacher.open()
        clock.advance(minutes=61)
        late = teacher.send(page, "module:F1")
        assert late.status == 409
        assert "deep_link_expired" in late.html


class TestWhoMayAnswer:
    def test_not_another_teacher_of_the_same_course(self, sender: Sender) -> None:
        first, second = sender.teacher(), sender.teacher(user="teacher-2")
        page = second.open()
        second.path = first.path
        assert second.open().status == 404
        refused = second.send(page, "module:F1")
        assert (refused.status, "deep_link_missing" in refused.html) == (404, True)
        assert first.pick("module:F1").status == 200

    def test_not_the_same_teacher_from_another_course(self, sender: Sender) -> None:
        first = sender.teacher()
        other = sender.teacher(context={"id": "course-2", "title": "Another course"})
        other.path = first.path
        assert other.open().status == 403

    def test_not_a_learner(self, sender: Sender) -> None:
        teacher = sender.teacher()
        learner = sender.app.test_client()
        sender.platform.launch(learner, sender.clock(), user="learner-1")
        teacher.client = learner
        assert teacher.open().status == 403

    def test_not_a_form_from_elsewhere(self, sender: Sender) -> None:
        teacher = sender.teacher()
        refused = teacher.client.post(teacher.path, base_url="https://localhost", data={"choice": "module:F1"})
        assert refused.status_code == 403
        assert "form_not_ours" in refused.get_data(as_text=True)
        assert teacher.open().status == 200

    def test_nobody_without_a_session(self, sender: Sender) -> None:
        path = sender.teacher().path
        assert sender.app.test_client().get(path, base_url="https://localhost").status_code == 403


class TestForms:
    @pytest.mark.parametrize(
        "forged", ["module:none", "page:desk", "retreat:RT_DIA", "'; drop table x --", "module:" + "F" * 5000]
    )
    def test_a_forged_choice_is_refused_and_nothing_is_sent(self, forged: str, sender: Sender) -> None:
        teacher = sender.teacher()
        page = teacher.pick("module:F1", forged)
        assert page.status == 422
        assert "This is not offered any more" in page.text
        assert "JWT" not in page.html

    def test_two_where_one_is_taken(self, sender: Sender) -> None:
        page = sender.teacher(settings_accept_multiple=False).pick("module:F1", "module:F2")
        assert page.status == 422
        assert "takes one link here" in page.text

    def test_nothing_picked_keeps_the_page(self, sender: Sender) -> None:
        page = sender.teacher().pick()
        assert page.status == 422
        assert "Choose what the link opens." in page.text

    def test_a_forged_meaning_keeps_what_was_picked(self, sender: Sender) -> None:
        page = sender.teacher().pick("module:F2", score="both")
        assert page.status == 422
        assert 'value="module:F2" aria-describedby' in page.html
        assert page.html.count("checked") == 2, "the module, and the usual meaning"

    def test_more_than_there_can_be(self, sender: Sender) -> None:
        assert sender.teacher().pick(*(["module:F1"] * 101)).status == 422

"""Asking for training elsewhere to be accepted, and deciding it at the desk."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from lti_tool.gates import equivalency
from lti_tool.tables.operations import audit_log

GIVEN = {
    "provider": "prati",
    "course_title": "Introduction to KAP",
    "completed_on": "2025-05-03",
    "evidence_note": "A certificate of May 2025",
    "statement": "yes",
}
FORM = "/equivalency/F1"


def latest(database, trainee_id: int):
    with database.read() as connection:
        requests = equivalency.of_trainee(connection, trainee_id)
    return requests[0] if requests else None


def test_a_complete_form_is_sent_and_its_state_shown(browse, happened, database) -> None:
    reader = browse(happened.new)
    answer = reader.send(reader.open(FORM), FORM, **GIVEN)
    assert (answer.status, answer.sent_to) == (303, f"{FORM}?done=request_sent")
    assert "Your request was sent." in reader.open(answer.sent_to).text
    assert latest(database, happened.new).state == "submitted"


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("provider", "Choose where you trained."),
        ("course_title", "Give the title of the course."),
        ("completed_on", "Give the day on which it ended."),
        ("evidence_note", "Say what shows that you took it"),
        ("statement", "Confirm that what you say is true."),
    ],
)
def test_what_is_missing_is_named_and_the_rest_is_kept(browse, happened, database, field: str, says: str) -> None:
    reader = browse(happened.new)
    page = reader.send(reader.open(FORM), FORM, **(GIVEN | {field: "  "}))
    assert page.status == 422
    assert says in page.text
    assert ("Introduction to KAP" in page.html) == (field != "course_title")
    assert latest(database, happened.new) is None


@pytest.mark.parametrize("day", ["2027-01-01", "yesterday", "2025-13-40"])
def test_a_day_that_cannot_be_is_refused(browse, happened, day: str) -> None:
    reader = browse(happened.new)
    assert reader.send(reader.open(FORM), FORM, **(GIVEN | {"completed_on": day})).status == 422


def test_a_provider_that_is_not_accepted_is_listed_with_its_reason(browse, happened) -> None:
    text = browse(happened.new).open(FORM).text
    assert "MAPS is not accepted in place of Module 1: not specific to ketamine in terms of history" in text


def test_choosing_it_shows_reason_and_dates_before_anything_is_sent(browse, happened, database) -> None:
    reader = browse(happened.new)
    page = reader.send(reader.open(FORM), FORM, **(GIVEN | {"provider": "maps"}))
    assert page.status == 409
    assert "Nothing has been sent. The next dates of Module 1: Tue 15 Dec ·" in page.text
    assert latest(database, happened.new) is None
    assert reader.send(page, FORM, **(GIVEN | {"provider": "maps", "full_review": "yes"})).status == 303


def test_a_request_can_be_withdrawn_by_its_own_person_only(browse, happened, database) -> None:
    owner, other = browse(happened.elsewhere), browse(happened.new)
    path = f"/equivalency/requests/{latest(database, happened.elsewhere).id}/withdraw"
    assert other.send(other.open(FORM), path).status == 404
    assert owner.send(owner.open(FORM), path).status == 303
    assert latest(database, happened.elsewhere).state == "withdrawn"


def test_a_form_from_elsewhere_changes_nothing(browse, happened, database) -> None:
    answer = browse(happened.new).client.post(FORM, base_url="https://localhost", data=GIVEN)
    assert answer.status_code == 403
    assert latest(database, happened.new) is None


def test_an_approval_opens_the_module_and_is_no_attendance(browse, happened, database) -> None:
    desk = browse(happened.staff)
    page = desk.open("/desk/equivalencies")
    assert "Trainee 3: Introduction to KAP at PRATI" in page.text.replace(" :", ":")
    request_id = latest(database, happened.elsewhere).id
    assert desk.send(page, f"/desk/equivalencies/{request_id}/approve", reason_code="equivalent_outside").status == 303
    learner = browse(happened.elsewhere)
    assert learner.open("/modules/F2").heading.startswith("Module 2")
    assert "Completed" not in learner.open("/").text


def test_a_refusal_needs_words_and_the_person_reads_them(browse, happened, database) -> None:
    desk = browse(happened.staff)
    page = desk.open("/desk/equivalencies")
    path = f"/desk/equivalencies/{latest(database, happened.elsewhere).id}/decline"
    assert desk.send(page, path, text=" ").status == 422
    assert desk.send(page, path, text="Please take Module 1 in December.").status == 303
    assert "Please take Module 1 in December." in browse(happened.elsewhere).open(FORM).text


def test_a_question_goes_to_the_person_and_the_answer_comes_back(browse, happened, database) -> None:
    desk, learner = browse(happened.staff), browse(happened.elsewhere)
    request_id = latest(database, happened.elsewhere).id
    page = desk.open("/desk/equivalencies")
    assert desk.send(page, f"/desk/equivalencies/{request_id}/ask", question="How many hours?").status == 303
    form = learner.open(FORM)
    assert "How many hours?" in form.text
    assert "The training team has a question" in learner.open("/").text
    assert learner.send(form, f"/equivalency/requests/{request_id}/answer", answer="Forty.").status == 303
    assert "Forty." in desk.open(f"/desk/equivalencies/{request_id}").text


def test_an_approval_is_revoked_by_two_people_who_see_what_it_locks(browse, happened, database, now) -> None:
    desk, learner, taught = browse(happened.staff), browse(happened.elsewhere), browse(happened.whole)
    request_id = latest(database, happened.elsewhere).id
    path = f"/desk/equivalencies/{request_id}/revoke"
    desk.send(desk.open("/desk/equivalencies"), f"/desk/equivalencies/{request_id}/approve")
    page = desk.open(path)
    assert "would be locked: Module 2" in page.text
    assert desk.send(page, path, reason=" ").status == 422
    assert desk.send(page, path, reason="The certificate is not hers.").status == 303
    assert latest(database, happened.elsewhere).state == "approved"
    assert "Revocations waiting for a second person" in desk.open("/desk/equivalencies").text
    assert "Another member of staff has to confirm it." in desk.open(path).text
    seen_at = latest(database, happened.elsewhere).revocation_at
    assert desk.send(desk.open(path), f"{path}/confirm", proposed_at=seen_at.isoformat()).status == 403
    with database.write() as connection:
        equivalency.confirm_revocation(connection, request_id, proposed_at=seen_at, actor="cli", now=now)
    assert latest(database, happened.elsewhere).state == "revoked"
    assert "Complete Module 1 first" in learner.open("/modules/F2").text
    assert "The certificate is not hers." in learner.open(FORM).text
    assert taught.open("/modules/F2").heading.startswith("Module 2")
    with database.read() as connection:
        acts = connection.execute(select(audit_log).where(audit_log.c.act.contains("revo"))).all()
    assert [(row.act, row.reason) for row in acts] == [
        ("equivalency_revocation_proposed", "The certificate is not hers."),
        ("equivalency_revoked", "The certificate is not hers."),
    ]


def test_an_approval_whose_revocation_is_dropped_stands_and_can_be_revoked_later(browse, happened, database) -> None:
    desk = browse(happened.staff)
    request_id = latest(database, happened.elsewhere).id
    path = f"/desk/equivalencies/{request_id}/revoke"
    page = desk.open("/desk/equivalencies")
    assert desk.send(page, path, reason="Too early.").status == 409
    desk.send(page, f"/desk/equivalencies/{request_id}/approve")
    assert desk.send(page, f"{path}/confirm").status == 409
    assert [desk.send(page, path, reason="A mistake.").status for _ in range(2)] == [303, 409]
    assert [desk.send(page, f"{path}/drop").status for _ in range(2)] == [303, 409]
    assert latest(database, happened.elsewhere).state == "approved"
    assert desk.send(page, path, reason="It was none.").status == 303


def test_the_page_confirms_the_proposal_that_it_shows_and_no_later_one(browse, happened, database, now) -> None:
    desk = browse(happened.staff)
    request_id = latest(database, happened.elsewhere).id
    path = f"/desk/equivalencies/{request_id}/revoke"
    with database.write() as connection:
        equivalency.approve(connection, request_id, actor="cli", now=now)
        equivalency.propose_revocation(connection, request_id, reason="A mistake.", actor="cli", now=now)
    page = desk.open(path)
    assert f'name="proposed_at" value="{now.isoformat()}"' in page.response.text
    earlier = (now - timedelta(hours=1)).isoformat()
    sent = [desk.send(page, f"{path}/confirm", proposed_at=each).status for each in ("soon", earlier, now.isoformat())]
    assert sent == [422, 409, 303]
    assert latest(database, happened.elsewhere).state == "revoked"


def test_learners_do_not_decide(browse, happened, database) -> None:
    reader = browse(happened.new)
    request_id = latest(database, happened.elsewhere).id
    assert reader.send(reader.open(FORM), f"/desk/equivalencies/{request_id}/approve").status == 403
    assert latest(database, happened.elsewhere).state == "submitted"


def test_pasted_text_is_cleaned_before_it_is_kept(browse, happened, database) -> None:
    reader = browse(happened.new)
    pasted = "Intro\u00a0to\u3000K\u00adA\u200bP 👩\u200d⚕️ می\u200cخواهم"
    assert reader.send(reader.open(FORM), FORM, **(GIVEN | {"course_title": pasted})).status == 303
    assert latest(database, happened.new).course_title == "Intro to KAP 👩\u200d⚕️ می\u200cخواهم"


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("provider_name", "Name of the provider"),
        ("course_title", "Title of the course"),
        ("evidence_note", "What shows that you took it"),
    ],
)
def test_a_text_that_is_too_long_is_named_by_its_label(browse, happened, field: str, label: str) -> None:
    reader = browse(happened.new)
    page = reader.send(reader.open(FORM), FORM, **(GIVEN | {field: "x" * 4001}))
    assert page.status == 422
    assert f"{label}: please use at most" in page.text
    assert f'href="#{field}"' in page.html

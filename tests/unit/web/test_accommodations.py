"""Accommodations: asked for on Help, answered on the desk, and their texts deleted some time after the end."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from lti_tool.attendance import accommodations, live_sessions
from lti_tool.errors import GatehouseError
from lti_tool.mail.messages import total_of
from lti_tool.tables.operations import audit_log
from lti_tool.tables.presence import accommodation_requests
from lti_tool.web.staff import attention

NEEDED = "Captions,\nand a break each hour."
ASK = "/help/accommodations"


@pytest.fixture
def trainee(browse, happened):
    return browse(happened.new)


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


def ask(trainee, needed: str = NEEDED, about: str = ""):
    return trainee.send(trainee.open("/help"), ASK, needed=needed, about=about)


def row(database):
    with database.read() as connection:
        return connection.execute(select(accommodation_requests)).one()


def test_a_request_reaches_staff_and_its_answer_reaches_the_trainee(trainee, staff, happened) -> None:
    page = trainee.open("/help")
    assert "Please do not name a diagnosis or a health condition." in page.text
    assert ask(trainee, about=f"session:{happened.next_day}").sent_to == "/help?done=accommodation_asked"
    assert (
        "Module 1 on Tue 15 Dec Sent, waiting for an answer Captions, and a break each hour."
        in trainee.open("/help").text
    )
    assert "Accommodation Module 1 on Tue 15 Dec. Asked Tue 1 Dec" in trainee.open("/").text
    today = staff.open("/desk")
    assert "Trainee 4: “Captions, and a break each hour.” Accommodation · Module 1 on Tue 15 Dec" in today.text
    assert (
        "Module 1 on Tue 15 Dec: “Captions, and a break each hour.”" in staff.open(f"/desk/people/{happened.new}").text
    )
    assert "Trainee 4" in staff.open("/desk/people?show=request").text
    sent = staff.send(today, "/desk/accommodations/1/answer", answer="Captions are on.", back="/desk")
    assert sent.sent_to == "/desk?done=accommodation_answered"
    assert "break each hour" not in staff.open("/desk").text
    assert "In place Trainee 4 : Module 1 on Tue 15 Dec" in staff.open("/desk/accommodations").text
    for path in ("/", "/help"):
        assert "Captions are on." in trainee.open(path).text


def test_staff_close_a_request_and_a_trainee_withdraws_one(trainee, staff, database) -> None:
    ask(trainee)
    page = staff.open("/desk/accommodations")
    early = staff.send(page, "/desk/accommodations/1/close")
    assert (early.status, "request_state" in early.text) == (409, True)
    staff.send(page, "/desk/accommodations/1/answer", answer="Yes.")
    assert staff.send(page, "/desk/accommodations/1/close").sent_to.endswith("?done=accommodation_closed")
    assert "No request" in staff.open("/desk/accommodations").text
    assert "Closed" in trainee.open("/help").text
    ask(trainee, about="module:F1")
    gone = trainee.send(trainee.open("/help"), f"{ASK}/2/withdraw")
    assert gone.sent_to == "/help?done=accommodation_withdrawn"
    assert trainee.send(trainee.open("/help"), f"{ASK}/2/withdraw").status == 409


def test_a_second_request_waits_for_the_first(trainee) -> None:
    page = trainee.open("/help")
    ask(trainee)
    second = trainee.send(page, ASK, needed="A seat near the door.")
    assert (second.status, "You have asked already" in second.text) == (409, True)


def test_one_person_sends_five_requests_a_day(trainee, browse, happened, database, now) -> None:
    for number in range(1, 6):
        assert ask(trainee).status == 303
        trainee.send(trainee.open("/help"), f"{ASK}/{number}/withdraw")
    sixth = ask(trainee)
    assert (sixth.status, "You have sent 5 requests of this kind within 24 hours." in sixth.text) == (429, True)
    assert "Captions," in sixth.text, "what was written is kept in the form"
    assert ask(browse(happened.half)).status == 303, "another person may"
    with database.write() as connection:
        connection.execute(update(accommodation_requests).values(created_at=now - timedelta(days=1)))
    assert ask(trainee).status == 303


@pytest.mark.parametrize("where", ["/desk", "/desk/accommodations", "person"])
def test_the_audit_log_says_which_staff_read_a_request(trainee, staff, database, happened, where: str) -> None:
    assert "The staff of your training read your request." in trainee.open("/help").text
    ask(trainee)
    trainee.open("/help")
    staff.open(f"/desk/people/{happened.new}" if where == "person" else where)
    with database.read() as connection:
        query = select(audit_log.c.actor, audit_log.c.subject)
        read = connection.execute(query.where(audit_log.c.act == "accommodation_request_viewed")).all()
    assert read == [(f"staff:{happened.staff}", "accommodation_request:1")]
    assert "read a request for an accommodation" in staff.open(f"/desk/people/{happened.new}").text


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ({"needed": ""}, 422, "The text is missing."),
        ({"needed": "x" * 1001}, 422, "longer than 1000 characters"),
        ({"needed": NEEDED, "about": "module:nothing"}, 404, "no such module"),
        ({"needed": NEEDED, "about": "session:999"}, 404, "no such live session"),
        ({"needed": NEEDED, "about": "session:x"}, 422, "Choose a module or a session from the list."),
        ({"needed": NEEDED, "about": "session:1"}, 422, "This session is over."),
    ],
)
def test_what_cannot_be_asked_is_refused_at_its_field(trainee, given, status: int, says: str) -> None:
    refused = trainee.send(trainee.open("/help"), ASK, **given)
    assert refused.status == status
    assert says in refused.text


def test_one_trainee_cannot_touch_the_request_of_another_nor_answer_any(trainee, browse, happened) -> None:
    ask(trainee)
    other = browse(happened.whole)
    page = other.open("/help")
    assert "break each hour" not in page.text
    assert other.send(page, f"{ASK}/1/withdraw").status == 404
    assert other.send(page, "/desk/accommodations/1/answer", answer="Yes.").status == 403


def test_no_one_answers_or_closes_their_own_request(staff, database, published, happened, now) -> None:
    with database.write() as connection:
        made = accommodations.ask(connection, published.programme, trainee_id=happened.staff, text=NEEDED, now=now)
    page = staff.open("/desk/accommodations")
    assert "This is your own request." in page.text
    assert staff.send(staff.open("/help"), f"/desk/accommodations/{made}/answer", answer="Yes.").status == 403


def test_the_text_is_encrypted_and_in_no_log_audit_entry_or_digest(trainee, staff, database, now, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    ask(trainee, needed="Subtitles please")
    staff.send(staff.open("/desk"), "/desk/accommodations/1/answer", answer="Subtitles are on")
    assert "ubtitles" not in caplog.text
    with database.read() as connection:
        assert "ubtitles" not in str(connection.execute(select(audit_log)).all())
        stored = connection.execute(text("SELECT text, answer FROM accommodation_requests")).one()
        digest = attention.summary(connection, now)
    assert all(b"ubtitles" not in bytes(each) for each in stored)
    assert total_of(digest)
    assert "ubtitles" not in str(digest)


def test_the_text_goes_some_days_after_the_end_and_not_before(trainee, database, now) -> None:
    ask(trainee)
    with database.write() as connection:
        accommodations.purge(connection, now + timedelta(days=400), 30)
    assert row(database).text == NEEDED, "it has not ended"
    trainee.send(trainee.open("/help"), f"{ASK}/1/withdraw")
    for days, kept in ((29, NEEDED), (30, None)):
        with database.write() as connection:
            accommodations.purge(connection, now + timedelta(days=days), 30)
        assert row(database).text == kept
    assert row(database).state == "withdrawn"
    assert "Withdrawn" not in trainee.open("/help").text


@pytest.mark.parametrize("about", ["", "session"])
def test_an_answered_request_is_closed_some_days_after_its_session_or_after_the_answer(
    trainee, staff, database, happened, now, about: str
) -> None:
    ask(trainee, **({"about": f"session:{happened.next_day}"} if about else {}))
    with database.write() as connection:
        accommodations.close_due(connection, now + timedelta(days=400), 30)
    assert row(database).state == "open", "no one has answered"
    staff.send(staff.open("/desk"), "/desk/accommodations/1/answer", answer="Captions are on.")
    with database.read() as connection:
        since = live_sessions.show(connection, happened.next_day).ends_at if about else now
    for early, state in ((timedelta(seconds=1), "answered"), (timedelta(), "closed")):
        with database.write() as connection:
            accommodations.close_due(connection, since + timedelta(days=30) - early, 30)
        assert row(database).state == state


def test_a_withdrawn_request_cannot_be_answered(database, published, happened, now) -> None:
    with database.write() as connection:
        made = accommodations.ask(connection, published.programme, trainee_id=happened.new, text=NEEDED, now=now)
        accommodations.withdraw(connection, made, trainee_id=happened.new, now=now)
    with pytest.raises(GatehouseError) as refusal, database.write() as connection:
        accommodations.answer(connection, made, text="Yes.", actor="staff:99", now=now)
    assert refusal.value.code == "request_state"

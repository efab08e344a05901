"""Messages reach a real mail server once each; what it refuses or misses is on record and stops no one else."""

import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from lti_tool import people
from lti_tool.attendance import accommodations, live_sessions, person_joins
from lti_tool.context import build_context
from lti_tool.gates import completions, equivalency
from lti_tool.mail import delivery
from lti_tool.outbox import occasions, preferences
from lti_tool.outbox.preferences import Preferences
from lti_tool.rights import COORDINATOR
from lti_tool.settings import SmtpServer
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.tables.mail import outbox
from lti_tool.tables.people import trainees
from lti_tool.times import machine
from lti_tool.worker import build_worker
from tests.browser_session import grant
from tests.mail_server import HOST, certificate, listening, takes
from tests.training_day import add_licence
from tests.unit.mail.conftest import FROM, ONE, STAFF, STRANGER, TWO

JOIN_URL = "https://zoom.example.org/j/85300000002?pwd=secret-passcode"


def states(database) -> dict[str, tuple[str, str | None]]:
    """Kind and person → state and last answer."""
    query = select(outbox.c.kind, outbox.c.trainee_id, outbox.c.state, outbox.c.last_answer).order_by(outbox.c.id)
    with database.read() as connection:
        return {f"{row.kind}:{row.trainee_id}": (row.state, row.last_answer) for row in connection.execute(query)}


def subjects(messages) -> list[str]:
    return [message["Subject"] for message in messages]


def text(message) -> str:
    return message.get_body(("plain",)).get_content()


def html(message) -> str:
    return message.get_body(("html",)).get_content()


def submit(connection, published, trainee_id: int, now) -> int:
    return equivalency.submit(
        connection,
        published.programme,
        trainee_id=trainee_id,
        target="F1",
        provider_id="prati",
        course_title="Introduction to KAP",
        evidence_note="A certificate, and my treatment history",
        as_full_review=True,
        actor=f"trainee:{trainee_id}",
        now=now,
    )


def move(database, session_id: int, starts_at: datetime, now) -> None:
    """What moving a session comes to: another time, a raised sequence number, and the occasion."""
    values = {
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=8),
        "calendar_sequence": sessions.c.calendar_sequence + 1,
        "updated_at": now,
    }
    with database.write() as connection:
        connection.execute(update(sessions).where(sessions.c.id == session_id).values(values))
        occasions.session_moved(connection, session_id, now)


def test_a_request_is_answered_by_a_message_at_each_step(database, published, course, server, work, clock) -> None:
    with database.write() as connection:
        request = submit(connection, published, course.one, clock())
    work()
    clock.advance(minutes=1)
    with database.write() as connection:
        equivalency.ask_more(connection, request, question="Which hours?", actor="cli", now=clock())
    work()
    clock.advance(minutes=1)
    with database.write() as connection:
        equivalency.answer(connection, request, text="All", actor=f"trainee:{course.one}", now=clock())
        equivalency.decline(connection, request, text="Too short", actor="cli", now=clock())
    work()
    clock.advance(minutes=1)
    with database.write() as connection:
        again = submit(connection, published, course.one, clock())
        equivalency.approve(connection, again, actor="cli", now=clock())
    work()
    assert subjects(server.to(ONE)) == [
        "We received your request about Module 1",
        "A question about your request for Module 1",
        "Your request for Module 1 is declined",
        "Your request for Module 1 is approved",
    ]
    # The second request was approved before its receipt was sent, and then the receipt is of no use.
    assert states(database)[f"equivalency_received:{course.one}"] == ("dropped", None)
    assert not [message for message in server.to(ONE) if message["List-Unsubscribe"]]


def test_an_answer_about_an_accommodation_is_told_without_its_words(
    database, published, course, server, work, clock
) -> None:
    with database.write() as connection:
        request = accommodations.ask(
            connection, published.programme, trainee_id=course.one, text="Captions", now=clock()
        )
        accommodations.answer(connection, request, text="They are on", actor="cli", now=clock())
    work()
    (message,) = server.to(ONE)
    assert message["Subject"] == "The training team answered your request"
    assert not [each for each in ("Captions", "They are on") if each in message.as_string()]


def test_each_person_is_written_to_in_their_own_language(database, course, server, work, schedule) -> None:
    with database.write() as connection:
        people.choose_language(connection, course.one, "es")
    schedule()
    work()
    [spanish], [english] = server.to(ONE), server.to(TWO)
    assert spanish["Subject"].startswith("Nueva sesión en vivo: Módulo 1: ")
    assert "mar 15 dic 2026 · 9:00 a. m.–" in text(spanish)
    assert "Abra su curso «Foundations» para ver la agenda" in text(spanish)
    assert '<html lang="es">' in html(spanish)
    assert "Dejar de recibir estos mensajes" in html(spanish)
    assert b"Esta sesi" in spanish.get_payload()[-1].get_payload(decode=True).replace(b"\r\n ", b"")
    assert english["Subject"].startswith("New live session: Module 1: ")
    assert '<html lang="en">' in html(english)


def test_a_new_session_is_told_to_those_in_its_course_and_to_no_one_else(
    database, course, server, work, schedule
) -> None:
    schedule()
    work()
    assert {address for address, _ in server.taken} == {ONE, TWO}
    [message] = server.to(ONE)
    assert message["Subject"] == "New live session: Module 1: " + message["Subject"].partition("Module 1: ")[2]
    assert message["From"].addresses[0].addr_spec == FROM
    assert message["Reply-To"] == "training@larkspur-hill.example"
    assert "Tue 15 Dec 2026 · 9:00 am–" in text(message)
    assert "Pacific" in text(message)
    assert "your course “Foundations”" in text(message)
    assert "https://lms.example.org" in html(message)


def test_those_whose_gate_is_closed_get_no_message(database, published, course, server, work, schedule, now) -> None:
    schedule(module_id="F2", zoom_meeting_id="85300000009")
    with database.write() as connection:
        from_registration = select(sessions.c.id).where(sessions.c.module_id == "F2")
        session_id = connection.execute(from_registration).scalar_one()
        starts = machine(connection.scalar(select(sessions.c.starts_at).where(sessions.c.id == session_id)))
        occasions.enqueue(connection, "session_scheduled", course.one, session_id, starts, now=now)
    work()
    assert server.taken == []
    assert states(database) == {f"session_scheduled:{course.one}": ("dropped", None)}


def test_an_occasion_that_is_recorded_twice_sends_once(database, course, server, work, schedule, now) -> None:
    session_id = schedule()
    for _ in range(2):
        with database.write() as connection:
            occasions.session_scheduled(connection, session_id, now)
        work()
    assert len(server.to(ONE)) == 1


def test_one_connection_takes_many_messages(course, server, work, schedule) -> None:
    schedule()
    work()
    assert (len(server.taken), server.connections) == (2, 1)


def test_messages_wait_while_the_server_is_down_and_go_when_it_is_back(
    database, course, mailbox, port, work, schedule, clock
) -> None:
    schedule()
    work()
    assert set(states(database).values()) == {("waiting", "smtp_no_answer")}
    with listening(mailbox, port):
        work()
        assert mailbox.taken == []  # it pauses first
        clock.advance(seconds=2)
        work()
    assert {address for address, _ in mailbox.taken} == {ONE, TWO}
    assert set(states(database).values()) == {("sent", "250")}


def test_a_message_that_is_of_no_use_any_more_is_given_up(database, course, work, schedule, clock) -> None:
    schedule()
    work()
    clock.advance(days=15)
    work()
    assert set(states(database).values()) == {("gave_up", "smtp_no_answer")}


def test_a_refused_address_is_recorded_and_stops_no_one(database, course, server, work, schedule, clock) -> None:
    server.refusals[ONE] = "550 No such mailbox"
    schedule()
    work()
    assert len(server.to(TWO)) == 1
    assert states(database)[f"session_scheduled:{course.one}"] == ("refused", "550")
    clock.advance(hours=2)
    server.refusals.clear()
    work()
    assert server.to(ONE) == []


def test_a_mailbox_that_is_full_for_now_is_tried_again(database, course, server, work, schedule, clock) -> None:
    server.refusals[ONE] = "452 Full"
    schedule()
    work()
    assert states(database)[f"session_scheduled:{course.one}"] == ("waiting", "452")
    server.refusals.clear()
    clock.advance(seconds=2)
    work()
    assert len(server.to(ONE)) == 1


@pytest.mark.parametrize("address", [None, "a..b@example.org", "é@example.org"], ids=["none", "malformed", "not-ascii"])
def test_a_person_without_a_usable_address_stops_no_one(database, course, server, work, schedule, address) -> None:
    with database.write() as connection:
        connection.execute(update(trainees).where(trainees.c.id == course.one).values(email=address))
    schedule()
    work()
    assert states(database)[f"session_scheduled:{course.one}"] == ("refused", "no_address")
    assert len(server.to(TWO)) == 1


def test_staff_can_try_a_refused_message_again(database, course, server, work, schedule, clock) -> None:
    server.refusals[ONE] = "550 No such mailbox"
    schedule()
    work()
    server.refusals.clear()
    with database.write() as connection:
        [refused] = delivery.undelivered(connection, 10, 1)
        delivery.try_again(connection, refused.id, clock())
    work()
    assert len(server.to(ONE)) == 1


def with_login(settings, port: int, *, is_smtps: bool = False):
    server = SmtpServer(HOST, port, "gatehouse", "the mail password", is_smtps)
    return replace(settings, smtp_url=server, mail_from=FROM)


def test_a_login_is_never_sent_without_encryption(database, settings, course, mailbox, port, schedule, clock) -> None:
    schedule()
    worker = build_worker(build_context(with_login(settings, port), clock, database=database))
    login = {"authenticator": takes("gatehouse", "the mail password"), "auth_require_tls": False}
    with listening(mailbox, port, **login):
        worker.run_once()
    assert mailbox.taken == []
    assert set(states(database).values()) == {("waiting", "smtp_not_supported")}


def test_a_server_with_starttls_and_a_login_takes_messages(
    database, settings, course, mailbox, port, schedule, clock, tmp_path, monkeypatch
) -> None:
    trusted, tls = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    schedule()
    worker = build_worker(build_context(with_login(settings, port), clock, database=database))
    login = {"authenticator": takes("gatehouse", "the mail password"), "auth_required": True}
    with listening(mailbox, port, tls_context=tls, require_starttls=True, **login):
        worker.run_once()
    assert {address for address, _ in mailbox.taken} == {ONE, TWO}


def test_a_server_whose_certificate_no_one_vouches_for_gets_nothing(
    database, settings, course, mailbox, port, schedule, clock, tmp_path
) -> None:
    _, tls = certificate(tmp_path)
    schedule()
    worker = build_worker(build_context(with_login(settings, port), clock, database=database))
    with listening(mailbox, port, tls_context=tls, require_starttls=True):
        worker.run_once()
    assert mailbox.taken == []
    assert set(states(database).values()) == {("waiting", "smtp_tls_failed")}


def test_a_cancellation_is_told_and_the_message_about_the_new_date_is_not_sent_any_more(
    database, course, server, work, schedule, now
) -> None:
    session_id = schedule()
    with database.write() as connection:
        live_sessions.cancel(connection, session_id, reason="The trainer is ill", actor="cli", now=now)
    work()
    [message] = server.to(ONE)
    assert message["Subject"].startswith("Cancelled: Module 1")
    assert "The trainer is ill" not in text(message)
    [event] = message.iter_attachments()
    assert "STATUS:CANCELLED" in event.get_content()


def test_a_session_that_is_moved_twice_is_told_once_with_its_present_time(
    database, course, server, work, schedule, clock
) -> None:
    session_id = schedule()
    work()
    move(database, session_id, datetime(2026, 12, 16, 17, tzinfo=UTC), clock())
    move(database, session_id, datetime(2026, 12, 17, 17, tzinfo=UTC), clock())
    work()
    assert [each.split(":")[0] for each in subjects(server.to(ONE))] == ["New live session", "New time"]
    assert "Thu 17 Dec 2026" in text(server.to(ONE)[1])


def edit(database, session_id: int, sequence: int, now) -> None:
    given = {"zoom_meeting_id": "85300000002", "zoom_kind": "meeting", "join_url": None, "note": "Bring a pen"}
    with database.write() as connection:
        live_sessions.edit(connection, session_id, sequence=sequence, **given, actor="cli", now=now)


def test_an_edit_loses_no_message_that_is_not_sent_yet(database, course, server, work, schedule, clock) -> None:
    session_id = schedule()
    edit(database, session_id, 0, clock())
    work()
    assert [each.split(":")[0] for each in subjects(server.to(ONE))] == ["New live session"]


def test_a_session_that_is_moved_there_and_back_is_told_after_each_move(
    database, course, server, work, schedule, clock
) -> None:
    session_id = schedule()
    work()
    for day in (16, 15, 16):
        move(database, session_id, datetime(2026, 12, day, 17, tzinfo=UTC), clock())
        work()
    assert [each.split(":")[0] for each in subjects(server.to(ONE))] == ["New live session"] + 3 * ["New time"]


def complete(database, trainee_id: int, now) -> None:
    given = {"evidence": "Letter", "actor": "cli", "now": now}
    with database.write() as connection:
        completions.complete(connection, trainee_id, "F1", date(2026, 11, 1), "staff", **given)


def accept(database, published, trainee_id: int, now) -> None:
    with database.write() as connection:
        equivalency.approve(connection, submit(connection, published, trainee_id, now), actor="cli", now=now)


def test_who_need_not_take_a_module_learns_nothing_of_its_new_sessions(
    database, published, course, server, work, schedule, clock
) -> None:
    complete(database, course.one, clock())
    accept(database, published, course.two, clock())
    schedule(date(2026, 12, 3))
    clock.advance(days=1)
    work()
    assert {each.split(":")[0] for each in states(database)} == {"equivalency_received", "equivalency_approved"}


def test_who_was_told_of_a_session_learns_of_its_change_after_completing_the_module(
    database, course, server, work, schedule, clock
) -> None:
    session_id = schedule()
    work()
    complete(database, course.one, clock())
    move(database, session_id, datetime(2026, 12, 16, 17, tzinfo=UTC), clock())
    work()
    assert [each.split(":")[0] for each in subjects(server.to(ONE))] == ["New live session", "New time"]


def test_an_account_that_was_joined_into_another_gets_no_message(
    database, course, server, work, schedule, clock
) -> None:
    with database.write() as connection:
        pair = {"kept_id": course.one, "joined_id": course.two}
        person_joins.join(connection, **pair, reason="The same person", actor="cli", now=clock())
    schedule()
    work()
    assert {address for address, _ in server.taken} == {ONE}


def reminders(server, address: str = ONE):
    return [message for message in server.to(address) if message["Subject"].startswith("Reminder")]


def test_a_reminder_comes_the_day_before_with_the_session_for_a_calendar(course, server, work, schedule, clock) -> None:
    schedule(date(2026, 12, 3), join_url=JOIN_URL)
    work()
    assert reminders(server) == []
    clock.advance(days=1)
    work()
    clock.advance(hours=3)
    work()
    [message] = reminders(server)
    [event] = message.iter_attachments()
    calendar = event.get_content().replace("\r\n ", "")
    calendar = calendar if isinstance(calendar, str) else calendar.decode()
    assert event.get_content_type() == "text/calendar"
    assert "DTSTART:20261203T170000Z" in calendar
    assert "URL:https://gatehouse.example.org/modules/F1/join?session=1" in calendar.replace("\n ", "")
    assert "zoom.example.org" not in str(message)


def test_a_reminder_honours_a_cancellation(database, course, server, work, schedule, clock) -> None:
    session_id = schedule(date(2026, 12, 2))
    clock.advance(hours=12)
    with database.write() as connection:
        occasions.remind(connection, clock())
        live_sessions.cancel(connection, session_id, reason="The trainer is ill", actor="cli", now=clock())
    work()
    assert reminders(server) == []
    assert states(database)[f"session_reminder:{course.one}"] == ("dropped", None)


def test_a_reminder_honours_a_move(database, course, server, work, schedule, clock) -> None:
    session_id = schedule(date(2026, 12, 2))
    clock.advance(hours=12)
    with database.write() as connection:
        occasions.remind(connection, clock())
    move(database, session_id, datetime(2026, 12, 4, 17, tzinfo=UTC), clock())
    work()
    assert reminders(server) == []
    clock.advance(days=2)
    work()
    [message] = reminders(server)
    assert "Fri 4 Dec 2026" in text(message)


def test_who_turned_reminders_off_gets_none(database, course, server, work, schedule, clock) -> None:
    with database.write() as connection:
        preferences.choose(connection, course.one, Preferences(reminders=False), clock())
    schedule(date(2026, 12, 2))
    work()
    assert (reminders(server, ONE), reminders(server, TWO)) == ([], [])  # they have just been told of the date
    clock.advance(hours=12)
    work()
    assert len(server.to(ONE)) == 1  # the new date
    assert (len(reminders(server)), len(reminders(server, TWO))) == (0, 1)


def in_the_morning(clock) -> None:
    """7:30 am of 2 December in Los Angeles."""
    clock.at = datetime(2026, 12, 2, 15, 30, tzinfo=UTC)


def test_the_digest_comes_once_each_morning_to_staff_who_asked_if_something_needs_attention(
    database, published, course, server, work, clock
) -> None:
    with database.write() as connection:
        for each in (course.staff, course.one):  # who asks and holds no role gets none
            preferences.choose(connection, each, Preferences(digest=True), clock())
        grant(connection, course.staff, [COORDINATOR], clock())
        submit(connection, published, course.stranger, clock())
    clock.at = datetime(2026, 12, 2, 14, 30, tzinfo=UTC)  # half past six in Los Angeles
    work()
    assert server.to(STAFF) == []
    in_the_morning(clock)
    work()
    clock.advance(minutes=30)
    work()
    [message] = server.to(STAFF)
    assert message["Subject"] == "Needs your attention: 1 item"
    assert "Requests and attendance to decide: 1 (oldest since 1 Dec 2026)" in text(message)
    assert {address for address, _ in server.taken} == {STAFF, STRANGER}


def test_there_is_no_digest_when_nothing_needs_attention(database, course, server, work, clock) -> None:
    with database.write() as connection:
        preferences.choose(connection, course.staff, Preferences(digest=True), clock())
        grant(connection, course.staff, [COORDINATOR], clock())
    in_the_morning(clock)
    work()
    assert server.taken == []
    assert states(database) == {f"digest:{course.staff}": ("dropped", None)}


def test_no_message_and_no_log_line_holds_what_it_must_not(
    database, published, course, server, work, schedule, clock, caplog
) -> None:
    with caplog.at_level(logging.DEBUG), database.write() as connection:
        add_licence(connection, course.one, clock())
        request = submit(connection, published, course.one, clock())
        equivalency.ask_more(connection, request, question="About your depression?", actor="cli", now=clock())
    schedule(date(2026, 12, 2), join_url=JOIN_URL)
    clock.advance(hours=12)
    server.refusals[TWO] = f"550 <{TWO}> is unknown"
    with caplog.at_level(logging.DEBUG, logger="lti_tool"):
        work()
    assert len(server.to(ONE)) == 3
    for message in server.to(ONE):
        whole = "".join(part.get_content() for part in message.walk() if not part.is_multipart())
        for secret in ("zoom.example.org", "passcode", "ticket=", "12345", "depression", "treatment", "health"):
            assert secret not in whole.lower()
    lines = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records if "lti_tool" in record.name)
    assert "example.org" not in lines
    assert "Trainee 1" not in lines


def test_without_a_mail_server_nothing_is_sent_and_old_messages_are_not_sent_later(
    database, settings, course, server, work, schedule, clock
) -> None:
    schedule()
    build_worker(build_context(settings, clock, database=database)).run_once()
    assert {state for state, _ in states(database).values()} == {"waiting"}
    clock.advance(days=20)
    work()
    assert server.taken == []
    assert {state for state, _ in states(database).values()} == {"dropped"}


def test_messages_do_not_pile_up_while_there_is_no_mail_server(database, course, schedule, clock) -> None:
    schedule()
    clock.advance(days=20)
    with database.write() as connection:
        delivery.forget_old(connection, clock())
    assert {state for state, _ in states(database).values()} == {"dropped"}
    clock.advance(days=180)
    with database.write() as connection:
        delivery.forget_old(connection, clock())
    assert states(database) == {}


def test_messages_of_a_worker_that_died_are_sent_by_another_one(
    database, mail_settings, course, server, work, schedule, clock
) -> None:
    schedule()
    context = build_context(mail_settings, clock, database=database)
    dead = delivery.MailSender(context, lambda _connection, _now: [])
    assert len(dead.claim(1)) == 1
    work()
    assert server.taken == []
    clock.advance(seconds=61)
    work()
    assert {address for address, _ in server.taken} == {ONE, TWO}

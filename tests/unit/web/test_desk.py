"""The desk of the people who run the course."""

import pytest
from sqlalchemy import insert, select, update

from lti_tool.grades.wording import in_words
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.tables.scores import scores
from tests.training_day import FIVE

PLACES = ("", "/programme", "/equivalencies", "/sessions", "/sessions/1", "/unmatched", "/scores", "/people/1")


@pytest.mark.parametrize("place", PLACES)
def test_the_desk_is_closed_to_learners(browse, happened, place: str) -> None:
    page = browse(happened.new).open(f"/desk{place}")
    assert (page.status, "role_not_allowed" in page.text) == (403, True)


def test_what_needs_attention_is_listed_with_its_age_the_oldest_first(browse, happened) -> None:
    text = browse(happened.staff).open("/desk").text
    assert "Needs your attention 3" in text
    assert "Trainee 3: Introduction to KAP at PRATI" in text
    assert "Equivalency of Module 1 · Provider accepted · sent Sun 29 Nov, 2 days ago" in text
    assert "“A guest” was in Module 1 on Tue 10 Nov" in text
    assert text.index("Trainee 3: Introduction") < text.index("“A guest”")


def test_a_class_of_the_past_without_an_end_waits_for_staff(browse, happened, database) -> None:
    staff = browse(happened.staff)
    assert "Sessions still marked as running" not in staff.open("/desk").text
    with database.write() as connection:
        connection.execute(update(live_sessions).where(live_sessions.c.id == happened.day).values(ended_at=None))
    assert "Sessions still marked as running: 1" in staff.open("/desk").text
    with database.write() as connection:
        by_staff = update(live_sessions).where(live_sessions.c.id == happened.day).values(ended_by_staff_at=FIVE)
        connection.execute(by_staff)
    assert "Sessions still marked as running" not in staff.open("/desk").text
    assert (
        "Staff reported the end Tue 10 Nov · 5:00 pm Pacific"
        in staff.open(f"/desk/sessions/{happened.day}/settings").text
    )


def test_presence_by_phone_is_told_in_words(browse, happened, database) -> None:
    with database.write() as connection:
        connection.execute(update(attendances).values(flags=["phone", "phone_only"]))
    assert "by phone, by phone only" in browse(happened.staff).open(f"/desk/sessions/{happened.day}").text


def test_a_task_that_failed_too_often_is_shown(browse, happened, database, now) -> None:
    with database.write() as connection:
        row = {"kind": "settle", "key": "session:1", "payload": {}, "state": "parked", "attempts": 8}
        connection.execute(insert(tasks).values(**row, run_at=now, created_at=now, last_error="no_answer"))
    assert "Background jobs that failed: 1" in browse(happened.staff).open("/desk").text
    assert "settle session:1: no_answer" in browse(happened.staff).open("/desk/settings/jobs").text


def test_gates_are_told_in_words(browse, happened) -> None:
    text = browse(happened.staff).open("/desk/programme").text
    assert "Module 1, or an accepted equivalency" in text
    assert "Open to everyone" in text
    assert "Not decided, so the gate is shut" in text


def test_sessions_are_listed_with_how_many_completed(browse, happened) -> None:
    assert "Provisional 4 2 1" in browse(happened.staff).open("/desk/sessions").text


def test_people_nobody_matched_are_listed_by_session(browse, happened) -> None:
    text = browse(happened.staff).open("/desk/unmatched").text
    assert "A guest guest@example.org" in text


def test_scores_say_in_plain_words_what_is_in_the_way(browse, happened, database) -> None:
    with database.write() as connection:
        refused = scores.c.trainee_id == happened.half
        connection.execute(update(scores).where(refused).values(status="parked", attempts=1, last_answer="404 gone"))
    desk = browse(happened.staff)
    page = desk.open("/desk/scores")
    assert "Refused The place of this grade no longer exists on the platform." in page.text
    assert desk.send(page, "/desk/scores/again").sent_to == "/desk/scores?done=score_again"
    with database.read() as connection:
        assert set(connection.scalars(select(scores.c.status))) == {"waiting"}


@pytest.mark.parametrize("answer", [None, "no_answer", "200 accepted", "403 x", "418 x", "500 x", "409"])
def test_every_answer_of_a_platform_has_plain_words(answer: str | None) -> None:
    assert in_words(answer).endswith(".")


def test_why_somebody_is_locked_is_shown_and_the_look_is_noted(browse, happened, database) -> None:
    text = browse(happened.staff).open(f"/desk/people/{happened.half}").text
    assert "Module 2: Intermediate Workshop I on Ketamine-Assisted Psychotherapy Locked" in text
    assert "No completion of Module 1 is recorded." in text
    with database.read() as connection:
        noted = select(audit_log.c.actor, audit_log.c.subject).where(audit_log.c.act == "decisions_viewed")
        assert connection.execute(noted).all() == [(f"staff:{happened.staff}", f"trainee:{happened.half}")]


def test_what_there_is_none_of_is_not_shown(browse, happened) -> None:
    text = browse(happened.staff).open("/desk").text
    assert "Background jobs that failed" not in text
    assert "Scores a platform refused" not in text

"""Today: what is on, what needs attention with its act, the week, the last class."""

import gzip
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, update

from lti_tool import people
from lti_tool.attendance import corrections, evidence_gaps, reviews
from lti_tool.attendance.live_board import LivePerson, latest_return
from lti_tool.attendance.live_sessions import show
from lti_tool.attendance.minutes import attend
from lti_tool.attendance.settlement import settle
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables.courses import enrolments
from lti_tool.tables.gates import equivalency_requests
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.presence import person_links
from lti_tool.tables.scores import scores
from lti_tool.web.session import COOKIE
from lti_tool.web.staff import session_numbers
from sandbox.zoom.behaviours import Visit
from tests.browser_session import start
from tests.statements import listening
from tests.training_day import FIVE, WHOLE_DAY, add_session, at, present, stay
from tests.unit.web.browser import Browser
from tests.unit.web.test_live_pages import HOURS, STARTS, THERE, attendee, list_learners, tell
from tests.unit.web.test_live_pages import MEETING as OTHER_MEETING


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


@pytest.fixture
def running(database, published, now, happened) -> int:
    with database.write() as connection:
        return add_session(connection, published, now, starts=STARTS, zoom_meeting_id=OTHER_MEETING)


def guest(database) -> int:
    with database.read() as connection:
        return connection.scalar(select(attendances.c.id).where(attendances.c.trainee_id.is_(None)))


def test_the_session_that_is_on_has_the_numbers_of_its_live_board(staff, happened, running, database, now) -> None:
    list_learners(database, happened, now, happened.whole, happened.half, happened.elsewhere, happened.new)
    tell(
        database,
        attendee("trainee1@example.org", THERE),
        attendee("trainee2@example.org", Visit(0, HOURS // 2)),
        attendee("guest@example.org", THERE, name="A guest from elsewhere"),
        until=now,
    )
    page = staff.open("/desk")
    assert "Live 9:00 am–5:00 pm Pacific" in page.text
    assert "enrolled, in Zoom now 1 of 4 left 1 not joined 2 more to match 1" in page.text
    assert ">2 in Zoom</text>" in page.html
    assert "Trainee 2 left at 9:30 am. Can still complete if back by" in page.text
    assert "Trainee 3 has not joined." in page.text
    assert f"/desk/sessions/{running}/live" in page.links
    assert 'aria-label="People in the class over the day: at most 3, at 9:' in page.html
    assert "People in the class over the day; the most were 3" in page.text
    assert 'data-renew="/desk/now"' in page.html
    part = staff.open("/desk/now")
    assert "<html" not in part.html
    assert "in Zoom now" in part.html
    board = staff.open(f"/desk/sessions/{running}/live")
    assert 'data-says="1 here of 4 enrolled, 0 waiting, 1 not matched' in board.html


@pytest.mark.parametrize("left_after", [0, 30, 75])
def test_whoever_is_back_at_the_latest_return_completes_and_a_second_later_does_not(
    happened, database, published, left_after: int
) -> None:
    with database.read() as connection:
        segments = show(connection, happened.day).segments
    share = published.programme.completion.share
    was = ((at(0), at(left_after)),) if left_after else ()
    person = LivePerson("trainee:1", 1, "", "gone", at(left_after), "", False, False, was)
    back_by = latest_return(person, segments, share, at(75))
    later = (back_by - at(0)).total_seconds() / 60
    first = [stay(0, left_after)] if left_after else []
    assert attend([*first, stay(later, 480)], segments, share).completed
    assert not attend([*first, stay(later + 1 / 60, 480)], segments, share).completed


def test_whoever_comes_too_late_can_no_longer_complete(happened, database, published) -> None:
    with database.read() as connection:
        segments = show(connection, happened.day).segments
    assert latest_return(None, segments, published.programme.completion.share, at(400)) is None


def test_a_session_that_is_not_on_is_not_read_anew(staff) -> None:
    assert "data-renew" not in staff.open("/desk").html
    assert staff.open("/desk/now").status == 200


def test_a_session_to_come_and_an_empty_week_are_said_plainly(staff) -> None:
    text = staff.open("/desk").text
    assert "Next session Tue 15 Dec · 9:00 am–5:00 pm Pacific Open session" in text
    assert "Who is in Zoom appears here from half an hour before the start." in text
    assert "No session this week." in text


def test_the_week_shows_its_sessions_with_the_enrolled(staff, running) -> None:
    assert "Tue 1 Dec Module 1 4 enrolled 9:00 am–5:00 pm Pacific" in staff.open("/desk").text


def test_an_approval_from_today_leads_back_and_is_refused_the_second_time(staff, database) -> None:
    page = staff.open("/desk")
    sent = staff.send(page, "/desk/equivalencies/1/approve", back="/desk")
    assert sent.sent_to == "/desk?done=request_approved"
    assert "Approved. Whatever depends on it is now open for this person." in staff.open(sent.sent_to).text
    again = staff.send(page, "/desk/equivalencies/1/approve", back="/desk")
    assert (again.status, "equivalency_state" in again.text) == (409, True)


def test_the_line_of_health_covers_all_scores_and_turns_red(staff, happened, database) -> None:
    with database.write() as connection:
        connection.execute(update(scores).values(status="delivered"))
        count = connection.scalar(select(func.count()).select_from(scores))
    assert (
        f'<span class="ok"><span class="dot"></span>Scores: {count} of {count} delivered<' in staff.open("/desk").html
    )
    with database.write() as connection:
        refused = update(scores).where(scores.c.trainee_id == happened.half)
        gone = connection.execute(refused.values(status="parked", last_answer="404 gone")).rowcount
    said = f"Scores: {count - gone} of {count} delivered · {gone} refused"
    assert f'<span class="stop"><span class="dot"></span>{said}<' in staff.open("/desk").html


def test_the_graded_are_among_the_completed(staff, happened, database) -> None:
    with database.write() as connection:
        connection.execute(update(scores).values(status="delivered"))
    assert "Completed 1 Credited 1 Completed and graded 1" in staff.open("/desk").text


def test_no_one_is_offered_to_settle_their_own_request(staff, happened, database) -> None:
    assert "/desk/equivalencies/1/approve" in staff.open("/desk").html
    with database.write() as connection:
        connection.execute(update(equivalency_requests).values(trainee_id=happened.staff))
    page = staff.open("/desk")
    assert "/desk/equivalencies/1/approve" not in page.html
    assert "/desk/equivalencies/1" in page.links


def test_the_number_of_what_needs_attention_is_that_of_its_rows(staff, database) -> None:
    with database.write() as connection:
        refused = connection.execute(update(scores).values(status="parked", last_answer="404 gone")).rowcount
    page = staff.open("/desk")
    listed = page.html.partition('<ul class="rows hov">')[2].partition("</ul>")[0]
    assert refused > 1
    assert f"Scores a platform refused: {refused}" in page.text
    assert f"Needs your attention {listed.count('<li>')} " in page.text


def test_a_count_stands_in_the_part_to_which_its_age_belongs(staff, happened, database, now) -> None:
    ask_about_the_day(database, happened, now, range(60))
    old, new = (
        evidence_gaps.of_session("people_differ", happened.day, now - timedelta(days=9)),
        evidence_gaps.of_session("people_differ", happened.day, now + timedelta(seconds=1)),
    )
    for gap, first, last in ((old, True, False), (new, False, True)):
        with database.write() as connection:
            evidence_gaps.record(connection, [gap], now)
        parts = [staff.open(f"/desk?page={number}").text for number in range(1, 5)]
        assert ["Possible gaps" in each for each in parts] == [first, False, False, last]


@pytest.mark.parametrize("back", ["https://elsewhere.example.org", "//elsewhere.example.org", "/desk/scores", ""])
def test_a_form_leads_back_to_pages_of_the_desk_only(staff, back: str) -> None:
    sent = staff.send(staff.open("/desk"), "/desk/equivalencies/1/approve", back=back)
    assert sent.sent_to == "/desk/equivalencies?done=request_approved"


def test_only_a_provider_that_the_programme_accepts_can_be_approved_at_one_press(staff, database) -> None:
    with database.write() as connection:
        connection.execute(update(equivalency_requests).values(provider_id="maps"))
    page = staff.open("/desk")
    assert "Provider not accepted" in page.text
    assert "/approve" not in page.html
    assert "/desk/equivalencies/1" in page.links


def test_a_participant_is_matched_where_they_are_listed(staff, happened, database) -> None:
    page = staff.open("/desk")
    assert '<span class="when-open">Cancel</span>' in page.html
    assert "Trainee 4, not in this session" in page.text
    assert "Trainee 1, not in this session" not in page.text
    given = {"back": "/desk", "trainee": str(happened.new), "reason": "She rang and said so."}
    where = f"/desk/unmatched/{guest(database)}/match"
    assert staff.send(page, where, **given).sent_to == "/desk?done=person_matched"
    with database.read() as connection:
        assert connection.scalar(select(person_links.c.trainee_id)) == happened.new
    unreasoned = staff.send(page, where, **{**given, "reason": ""})
    assert (unreasoned.status, "reason_missing" in unreasoned.text) == (422, True)


def test_a_doubtful_day_is_accepted_and_a_question_answered_where_they_are_listed(
    staff, browse, happened, database, now
) -> None:
    doubtful = [present(happened.whole, *WHOLE_DAY), present(happened.half, stay(0, 400, "estimated"))]
    settle(database, happened.day, doubtful, FIVE, now, partial(follow_attendance, now=now))
    with database.write() as connection:
        reviews.open_request(connection, session_id=happened.day, trainee_id=happened.whole, text="And lunch?", now=now)
        day = connection.execute(
            select(attendances).where(attendances.c.is_current, attendances.c.trainee_id == happened.half)
        ).one()
    page = staff.open("/desk")
    assert "Trainee 2: Module 1 on Tue 10 Nov" in page.text
    about = {"person_key": day.person_key, "digest": day.input_digest, "reason": "Seen.", "back": "/desk"}
    accepted = staff.send(page, f"/desk/reviews/{happened.day}", **about)
    assert accepted.sent_to == "/desk?done=day_let_stand"
    again = staff.send(page, f"/desk/reviews/{happened.day}", **about)
    assert (again.status, "This day has been reviewed already." in again.text) == (409, True)
    assert "Trainee 1: “And lunch?”" in page.text
    answered = staff.send(page, "/desk/attendance-requests/1/answer", answer="It counts for no one.", back="/desk")
    assert answered.sent_to == "/desk?done=question_answered"
    assert "And lunch?" not in staff.open("/desk").text


def test_a_correction_is_confirmed_by_another_person_who_sees_its_effect(staff, app, happened, database, now) -> None:
    with database.write() as connection:
        corrections.propose(
            connection, session_id=happened.day, trainee_id=happened.half, from_at=at(0), to_at=at(480), counts=True,
            reason="The line was down.", evidence="The signed roster.", actor=f"staff:{happened.staff}", now=now,
        )  # fmt: skip
        token = start(
            connection, trainee_id=happened.elsewhere, registration_id=happened.platform, context_id="course-1",
            placement_id=happened.place, role="staff", now=now,
        )  # fmt: skip
    own = staff.open("/desk")
    assert "Needs a second person" in own.text
    assert "/confirm" not in own.html
    client = app.test_client()
    client.set_cookie(COOKIE, token, domain="localhost", secure=True)
    other = Browser(client)
    page = other.open("/desk")
    assert "138 → 390 of 390 min Correction · Would complete (312 needed) · proposed by Trainee 5" in page.text
    confirmed = other.send(page, "/desk/corrections/1/confirm", back="/desk")
    assert confirmed.sent_to == "/desk?done=correction_confirmed"


def ask_about_the_day(database, happened, now, some: range) -> None:
    with database.write() as connection:
        for each in some:
            name = f"Asker {each}"
            asker = people.find_or_add(connection, "https://a.example.org", f"a{each}", name=name, email=None, now=now)
            text = "Is this right? " * 5
            reviews.open_request(connection, session_id=happened.day, trainee_id=asker, text=text, now=now)


def test_many_items_are_paged_by_the_database_with_as_many_statements_as_few(staff, happened, database, now) -> None:
    ask_about_the_day(database, happened, now, range(1))
    staff.open("/desk")
    with listening(database) as few:
        staff.open("/desk")
    ask_about_the_day(database, happened, now, range(1, 60))
    with listening(database) as many:
        page = staff.open("/desk")
    assert len(many) == len(few)
    assert "Needs your attention 63" in page.text
    assert page.html.count("/attendance-requests/") == 18
    assert "1–20 of 62 Next" in page.text
    assert len(gzip.compress(page.html.encode())) <= 12 * 1024
    assert "Asker 59" in staff.open("/desk?page=4").text
    assert staff.open("/desk?page=99").status == 200


def test_staff_of_the_course_are_no_attendees_in_any_number(staff, happened, database, now) -> None:
    assert "Attended 2 Completed 1 Credited 1" in staff.open("/desk").text
    with database.write() as connection:
        connection.execute(update(enrolments).where(enrolments.c.trainee_id == happened.half).values(role="staff"))
    page = staff.open("/desk")
    assert "Attended 1 Completed 1 Credited 1" in page.text
    with database.read() as connection:
        counted = session_numbers.of_sessions(connection, [show(connection, happened.day)])[happened.day]
    assert (counted.attended, counted.completed) == (1, 1)


@pytest.mark.parametrize(
    "path", ["/desk", "/desk/people", "/desk/people/2", "/desk/equivalencies", "/desk/equivalencies/1"]
)
def test_a_page_has_one_primary_button_at_most(staff, path: str) -> None:
    html = staff.open(path).html
    assert html.count("btn pri") <= 1
    assert staff.open(path).status == 200

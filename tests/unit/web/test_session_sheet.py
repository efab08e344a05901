"""Attendance of one session, as staff read it: sorted, filtered, opened, exported; and what staff do to it."""

import csv
import gzip
import io
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import sha256

import pytest
from sqlalchemy import select, update

from lti_tool.attendance import evidence_gaps, live_sessions, reviews
from lti_tool.attendance import live_sessions as rooms
from lti_tool.attendance.evidence import STAFF_ROLE, ReportComparison, RoomInterval
from lti_tool.attendance.settlement import settle
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.web.staff import session_numbers
from tests.statements import listening
from tests.training_day import FIVE, WHOLE_DAY, add_trainee, at, enrol, present, stay
from zoom_adapter import reconcile

ROOM = "Zm9vYmFy/8Q=="


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


def sheet_of(staff, happened, query: str = ""):
    return staff.open(f"/desk/sessions/{happened.day}{query}")


def order(page) -> list[str]:
    """The names of the people, from top to bottom."""
    rows = re.findall(r'<th scope="row"><a href="/desk/sessions/\d+/people/\d+">([^<]+)</a>', page.html)
    return [each.strip() for each in rows]


def settle_again(database, happened, now, *people, after=timedelta(hours=1)) -> None:
    settle(database, happened.day, people, FIVE, now + after, partial(follow_attendance, now=now + after))


def acts(database, act: str) -> list:
    with database.read() as connection:
        return list(connection.execute(select(audit_log).where(audit_log.c.act == act).order_by(audit_log.c.id)))


def state_is(database, session_id: int, state: str, **values) -> None:
    with database.write() as connection:
        this = sessions_table.c.id == session_id
        connection.execute(update(sessions_table).where(this).values(state=state, **values))


def test_everybody_stands_on_the_sheet_with_minutes_credit_and_evidence(staff, happened) -> None:
    page = sheet_of(staff, happened)
    assert "312 min of 390 min are needed" in page.text
    assert "Trainee 1 in Zoom: Trainee in Zoom 390 min Yes" in page.text
    assert "Evidence: Zoom, live, unless a row says otherwise." in page.text
    assert "once matched" in page.text
    assert page.html.count('data-l="Report differs"') == 0
    assert "Trainee 2 in Zoom: Trainee in Zoom 138 min 30 s No, 173 min 30 s missing" in page.text
    assert "A guest Not matched 85 min" in page.text or "A guest Not matched 90 min" in page.text
    assert page.html.count('class="timeline slim"') == 3


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["A guest", "Trainee 1", "Trainee 2"]),
        ("?sort=name&down=1", ["Trainee 2", "Trainee 1", "A guest"]),
        ("?sort=minutes", ["A guest", "Trainee 2", "Trainee 1"]),
        ("?sort=minutes&down=1", ["Trainee 1", "Trainee 2", "A guest"]),
        ("?only=review", []),
        ("?only=unmatched", ["A guest"]),
        ("?only=incomplete", ["Trainee 2"]),
        ("?sort=nonsense&page=99&only=x", ["A guest", "Trainee 1", "Trainee 2"]),
    ],
)
def test_the_sheet_is_sorted_and_filtered_by_plain_links(staff, happened, query: str, names: list[str]) -> None:
    assert order(sheet_of(staff, happened, query)) == names


def test_who_only_ran_the_session_is_listed_and_not_counted_as_an_attendee(staff, happened, database, now) -> None:
    def numbers():
        with database.read() as connection:
            return session_numbers.funnel(connection, live_sessions.show(connection, happened.day))

    counted = numbers()
    assert (counted.enrolled, counted.attended, counted.completed) == (4, 2, 1)
    guest = {"key": "email:guest@example.org", "display_name": "A guest", "email": "guest@example.org"}
    half = present(happened.half, stay(14, 60), stay(72.5, 200))
    before = (present(happened.whole, *WHOLE_DAY), half, present(None, stay(0, 100), **guest))
    ran = present(happened.staff, replace(stay(0, 480), role="host"), flags=(STAFF_ROLE,))
    settle_again(database, happened, now, *before, ran)
    shown = sheet_of(staff, happened).text
    assert "Enrolled 4 Attended 2 Completed 1" in shown
    assert "1 who ran or teaches the class is listed and not counted" in shown
    assert numbers() == counted


def test_who_teaches_the_course_is_no_attendee_even_as_an_ordinary_participant(staff, happened, database, now) -> None:
    with database.write() as connection:
        enrol(connection, happened.platform, happened.staff, now, role="staff")
    people = (present(each, *WHOLE_DAY) for each in (happened.whole, happened.half, happened.staff))
    settle_again(database, happened, now, *people)
    page = sheet_of(staff, happened)
    assert "Attended 2 Completed 2" in page.text
    assert "1 who ran or teaches the class is listed and not counted" in page.text


def test_a_doubtful_day_is_to_review_and_an_unmatched_one_to_match(staff, happened, database, now) -> None:
    guest = {"key": "email:guest@example.org", "display_name": "A guest", "email": "guest@example.org"}
    doubtful = present(happened.half, stay(0, 200), flags=("estimated",))
    whole = present(happened.whole, *WHOLE_DAY)
    settle_again(database, happened, now, whole, doubtful, present(None, stay(0, 100), **guest))
    page = sheet_of(staff, happened, "?only=review")
    assert order(page) == ["Trainee 2"]
    assert "To review 1 Not matched 1" in page.text


def test_the_sorted_column_says_so_and_turns_round(staff, happened) -> None:
    page = sheet_of(staff, happened, "?sort=minutes")
    assert 'aria-sort="ascending"><a href="/desk/sessions/1?sort=minutes&amp;down=1#people">Present' in page.html


def test_provisional_is_said_with_what_comes_next_and_when(staff, happened) -> None:
    text = sheet_of(staff, happened).text
    assert "Provisional. These numbers rest on Zoom's live messages." in text


def test_one_persons_day_opens_with_its_picture_and_the_look_is_noted(staff, happened, database) -> None:
    link = next(each for each in sheet_of(staff, happened).links if "/people/" in each and each.startswith("/desk/s"))
    page = staff.open(link)
    assert page.heading == "Attendance of A guest"
    assert "This person is not matched to a trainee." in page.text
    assert '<svg class="timeline"' in page.html
    (noted,) = acts(database, "attendance_reviewed")
    assert noted.subject.startswith("attendance:")


def test_every_version_of_a_day_stays_readable(staff, happened, database, now) -> None:
    settle_again(database, happened, now, present(happened.whole, *WHOLE_DAY), present(happened.half, stay(0, 90)))
    with database.read() as connection:
        query = (
            select(attendances.c.id).where(attendances.c.trainee_id == happened.half).order_by(attendances.c.version)
        )
        first, second = connection.scalars(query)
    now_page = staff.open(f"/desk/sessions/{happened.day}/people/{second}")
    assert "−48 min 30 s" in now_page.text
    old = staff.open(f"/desk/sessions/{happened.day}/people/{first}")
    assert "This is version 1 of" in old.text
    assert f"/desk/sessions/{happened.day}/people/{second}" in old.links
    assert "138 min 30 s of 390 min" in old.text


@pytest.mark.parametrize("place", ["/desk/sessions/1/people/999", "/desk/sessions/2/people/1", "/desk/sessions/99"])
def test_a_day_that_is_not_there_is_not_found(staff, happened, place: str) -> None:
    assert staff.open(place).status == 404


def test_the_two_records_are_told_side_by_side(staff, browse, happened, database, now) -> None:
    report = ReportComparison(23_400, 23_460, 60, ("completed_by_report",))
    changed = present(happened.whole, stay(0, 480), report=report, rooms=(RoomInterval(at(30), at(60), ROOM),))
    settle_again(database, happened, now, changed)
    page = sheet_of(staff, happened)
    assert "+1 min" in page.text
    own = browse(happened.whole).open(f"/sessions/{happened.day}")
    assert "Zoom's report shows 1 min more time in the meeting than its live data: 391 min and 390 min" in own.text
    assert "the report fills a gap in the live messages" in own.text


def test_rooms_get_their_names_from_staff_on_everybodys_day(staff, browse, happened, database, now) -> None:
    settle_again(
        database, happened, now, present(happened.whole, *WHOLE_DAY, rooms=(RoomInterval(at(30), at(60), ROOM),))
    )
    assert "Room ZM9V" in browse(happened.whole).open(f"/sessions/{happened.day}").text
    page = staff.open(f"/desk/sessions/{happened.day}/settings")
    sent = staff.send(page, f"/desk/sessions/{happened.day}/rooms", room=ROOM, label=" Group  A ")
    assert sent.status == 303
    assert "Group A" in browse(happened.whole).open(f"/sessions/{happened.day}").text
    (noted,) = acts(database, "rooms_named")
    assert (noted.actor, noted.details) == (f"staff:{happened.staff}", {"rooms": 1})
    refused = staff.send(page, f"/desk/sessions/{happened.day}/rooms", room="elsewhere", label="B")
    assert (refused.status, "room_unknown" in refused.text) == (422, True)


def test_the_export_has_one_row_a_person_and_says_provisional_in_each(staff, happened, database) -> None:
    answer = staff.open(f"/desk/sessions/{happened.day}/attendance.csv").response
    name = f"attendance-session-{happened.day}-2026-11-10.csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.data.startswith("\ufeffsession,".encode())
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [row["name"] for row in rows] == ["A guest", "Trainee 1", "Trainee 2"]
    assert {row["state"] for row in rows} == {"provisional"}
    assert [row["minutes_present"] for row in rows][1:] == ["390.00", "138.50"]
    assert rows[1]["credit"] == "apa: 6.5; scrc_brn: refused" or rows[1]["credit"].startswith("apa: 6.5")
    (noted,) = acts(database, "attendance_exported")
    assert noted.details["rows"] == 3
    assert noted.details["digest"] == sha256(answer.data).hexdigest()


@pytest.mark.parametrize(
    ("name", "email", "beside"),
    [("iPhone", None, "in Zoom: iPhone"), ("+1 555 0100", "", "in Zoom: +1 555 0100"), (None, None, "")],
    ids=["a device", "a telephone", "nothing"],
)
def test_a_matched_person_has_the_own_name_and_address_whatever_zoom_shows(
    staff, happened, database, now, name: str | None, email: str | None, beside: str
) -> None:
    hidden = present(happened.whole, *WHOLE_DAY, display_name=name, email=email, flags=("estimated",))
    settle_again(database, happened, now, hidden)
    sheet = sheet_of(staff, happened)
    assert "Trainee 1 " + f"{beside} 390 min".strip() in sheet.text
    link = re.search(r'href="(/desk/sessions/\d+/people/\d+)">Trainee 1<', sheet.html)
    for page in (staff.open(link[1]), staff.open("/desk/reviews")):
        assert "trainee1@example.org " + beside in page.text
    answer = staff.open(f"/desk/sessions/{happened.day}/attendance.csv").response
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig")))}
    own = rows["Trainee 1"]
    assert own["email"] == "trainee1@example.org"
    assert own["name_in_zoom"].removeprefix("'") == (name or "")
    assert own["email_in_zoom"] == ""


def test_a_trainee_who_was_panelist_for_a_while_is_reviewed_with_both_readings(staff, happened, database, now) -> None:
    """312 of 390 minutes are needed."""
    on_stage = replace(stay(10, 110), role="panelist")
    settle_again(
        database, happened, now, present(happened.half, stay(-5, 10), on_stage, stay(110, 420), flags=("staff_role",))
    )
    page = staff.open("/desk/reviews")
    link = re.search(r'href="(/desk/sessions/\d+/people/\d+)">All versions', page.html)
    for each in (page, staff.open(link[1])):
        assert "Ran the session 85 min as host, co-host or panelist." in each.text
        assert "Without them 245 min: Not completed With them 330 min: Completed" in each.text


def test_what_others_wrote_is_no_formula_in_the_export(staff, happened, database, now) -> None:
    evil = present(None, stay(0, 100), key="email:x@example.org", display_name="=HYPERLINK(1)", email="@x@example.org")
    settle_again(database, happened, now, evil)
    answer = staff.open(f"/desk/sessions/{happened.day}/attendance.csv").response
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert ("'=HYPERLINK(1)", "'@x@example.org") in {(row["name"], row["email"]) for row in rows}


def test_staff_record_the_end_that_zoom_did_not_tell(staff, happened, database) -> None:
    with database.write() as connection:
        this = sessions_table.c.id == happened.day
        connection.execute(update(sessions_table).where(this).values(ended_at=None, state="scheduled"))
    page = staff.open(f"/desk/sessions/{happened.day}/settings")
    assert 'value="2026-11-10T17:00"' in page.html
    given = {"at": "2026-11-10T16:30", "reason": "I closed the meeting myself."}
    assert staff.send(page, f"/desk/sessions/{happened.day}/end", **given).status == 303
    with database.read() as connection:
        ended_at = live_sessions.show(connection, happened.day).ended_by_staff_at
    assert ended_at == FIVE - timedelta(minutes=30)
    (noted,) = acts(database, "session_ended")
    assert noted.reason == "I closed the meeting myself."


def test_a_session_is_locked_and_opened_again_with_a_reason(staff, happened, database, now) -> None:
    settle_again(database, happened, now, present(happened.whole, *WHOLE_DAY), present(happened.half, stay(0, 90)))
    state_is(database, happened.day, "reconciled", reconciled_at=now)
    place = f"/desk/sessions/{happened.day}"
    page = staff.open(f"{place}/settings")
    assert "Confirmed." in page.text
    without = staff.send(page, f"{place}/lock", reason=" ")
    assert (without.status, "reason_missing" in without.text) == (422, True)
    assert staff.send(page, f"{place}/lock", reason="Everything is looked at.").status == 303
    locked = staff.open(f"{place}/settings")
    assert "Locked. These numbers are final." in locked.text
    assert staff.send(locked, f"{place}/reopen", reason="A board asks.").status == 303
    assert "Confirmed." in sheet_of(staff, happened).text


@pytest.mark.parametrize(
    "odd", ["", "tomorrow", "2026-11-10", "2026-11-10T16:30Z", "9999-12-31T23:59", "0001-01-01T00:00"]
)
def test_an_odd_end_is_refused_with_words(staff, happened, odd: str) -> None:
    page = staff.open("/desk/sessions/add?module=F1")
    ended = staff.send(page, f"/desk/sessions/{happened.next_day}/end", at=odd, reason="I was there.")
    assert ended.status == 422


def test_only_rooms_that_were_used_can_be_named(happened, database, now) -> None:
    with database.write() as connection:
        assert rooms.labels(connection, happened.day) == {}
        assert rooms.rooms_entered(connection, happened.day) == ()


@pytest.mark.parametrize(
    "page", ["", "/settings", "/live", "/checks", "/zoom", "/cancel"], ids=lambda each: each or "attendance"
)
def test_a_page_of_a_session_runs_as_many_statements_for_many_people_as_for_few(
    staff, happened, database, now, page: str
) -> None:
    place = f"/desk/sessions/{happened.day}{page}"
    staff.open(place)
    with listening(database) as few:
        staff.open(place)
    with database.write() as connection:
        many_people = [add_trainee(connection, number, now) for number in range(100, 160)]
        for each in many_people:
            enrol(connection, happened.platform, each, now)
    settle_again(database, happened, now, *(present(each, *WHOLE_DAY) for each in many_people))
    with listening(database) as many:
        shown = staff.open(place)
    assert len(many) <= len(few)
    assert len(gzip.compress(shown.response.get_data())) < 12_000


def test_staff_let_zoom_be_asked_again_or_decide_without_a_report(staff, happened, database, now) -> None:
    with database.write() as connection:
        evidence_gaps.record(connection, [evidence_gaps.of_session("reports_unsettled", happened.day)], now)
    settings = f"/desk/sessions/{happened.day}/settings"
    assert f"{settings}#reports" in staff.open("/desk/settings/zoom").links
    page = staff.open(settings)
    waived = f"/desk/sessions/{happened.day}/reports/waive"
    unreasoned = staff.send(page, waived, reason="")
    assert (unreasoned.status, "reason_missing" in unreasoned.text) == (422, True)
    sent = staff.send(page, waived, reason="The meeting was deleted at Zoom.")
    assert sent.sent_to == f"{settings}?done=reports_waived"
    noted = [(each.actor, each.reason) for each in acts(database, "reports_waived")]
    assert noted == [(f"staff:{happened.staff}", "The meeting was deleted at Zoom.")]


def test_zoom_is_asked_again_by_the_worker(staff, app, happened, database, now) -> None:
    with database.write() as connection:
        reconcile.ask_again(connection, happened.day, has_api=True, actor="cli", now=now)
        row = connection.execute(select(tasks).where(tasks.c.kind == "reconcile")).one()
    assert (row.key, row.payload) == (f"session:{happened.day}", {"session_id": happened.day, "every": True})
    assert len(acts(database, "reports_asked")) == 1
    refused = staff.send(
        staff.open(f"/desk/sessions/{happened.day}/settings"), f"/desk/sessions/{happened.day}/reports"
    )
    assert "zoom_api_unset" in refused.text


def test_an_open_case_stands_where_the_lock_would_be_and_leads_to_its_page(staff, happened, database, now) -> None:
    state_is(database, happened.day, "reconciled", reconciled_at=now)
    settings = f"/desk/sessions/{happened.day}/settings"
    assert f"{settings}#state" in sheet_of(staff, happened).links
    assert "Lock this session" in staff.open(settings).text
    with database.write() as connection:
        reviews.open_request(connection, session_id=happened.day, trainee_id=happened.whole, text="Lunch?", now=now)
    page = staff.open(settings)
    assert "The session can be locked when nothing is open: requests of trainees." in page.text
    assert "/desk/attendance-requests" in page.links
    assert "Lock this session" not in page.text


def test_the_list_tells_confirmed_from_locked(staff, happened, database, now) -> None:
    state_is(database, happened.day, "locked", locked_at=now)
    day = f"/desk/sessions/{happened.day}"
    assert day in staff.open("/desk/sessions?state=locked").links
    assert day not in staff.open("/desk/sessions?state=confirmed").links

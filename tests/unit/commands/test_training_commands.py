"""`gatehouse session`, `attendance`, `grades` and `credit`: what a stranger types, and what scripts lean on."""

import json
from functools import partial

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from lti_tool.attendance.settlement import settle
from lti_tool.commands.attendance import attendance
from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.credit import credit
from lti_tool.commands.grades import grades
from lti_tool.commands.session import session
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.operations import audit_log
from lti_tool.tables.scores import scores
from tests.training_day import (
    FIVE,
    WHOLE_DAY,
    add_licence,
    add_place,
    add_platform,
    add_session,
    add_trainee,
    enrol,
    present,
    stay,
)

COMMANDS = {"session": session, "attendance": attendance, "grades": grades, "credit": credit}
GATEHOUSE = RefusingGroup("gatehouse", commands=COMMANDS)
ADD = ("session", "add", "--module", "F1", "--starts", "2026-12-01T09:00", "--zoom-meeting", "853 0000 1234")


@pytest.fixture
def run(settings, published):
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }
    return lambda *words: CliRunner().invoke(GATEHOUSE, words, env=environment)


@pytest.fixture
def taught(database, published, now):
    """A session that one licensed trainee attended in full and a stranger by half."""
    with database.write() as connection:
        session_id, trainee_id = add_session(connection, published, now), add_trainee(connection, 1, now)
        add_licence(connection, trainee_id, now)
        registration_id = add_platform(connection, now)
        add_place(connection, registration_id, now)
        enrol(connection, registration_id, trainee_id, now)
    people = [
        present(trainee_id, *WHOLE_DAY, email="trainee1@example.org", registrant_id="r1"),
        present(None, stay(0, 100 / 60), key="connection:b"),
    ]
    settle(database, session_id, people, FIVE, now, partial(follow_attendance, now=now))
    return session_id, trainee_id


def json_of(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_session_is_added_shown_and_listed(run):
    added = json_of(run(*ADD, "--join-url", "https://zoom.example.org/j/1", "--json"))
    assert added["starts_at"] == "2026-12-01T17:00:00Z"
    assert (added["zoom_meeting"], added["kind"], added["minutes_instructional"]) == ("85300001234", "meeting", 390)
    assert json_of(run("session", "show", str(added["id"]), "--json")) == added
    assert [each["id"] for each in json_of(run("session", "list", "--json"))] == [added["id"]]
    assert json_of(run("session", "list", "--module", "F2", "--json")) == []


def test_a_day_without_a_time_and_a_past_date_are_taken(run):
    words = ("session", "add", "--module", "F1", "--starts", "2024-03-05", "--zoom-meeting", "1", "--json")
    assert json_of(run(*words))["starts_at"] == "2024-03-05T17:00:00Z"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((*ADD[:5], "tomorrow", *ADD[6:]), "wall_time_wrong"),
        ((*ADD[:5], "2026-13-01", *ADD[6:]), "wall_time_wrong"),
        ((*ADD, "--zone", "Nowhere"), "zone_unknown"),
        (("session", "show", "99"), "session_unknown"),
        (("session", "settle", "99"), "session_unknown"),
        (("session", "cancel", "99", "--reason", "Ill."), "session_unknown"),
        (("attendance", "show", "99"), "session_unknown"),
        (("credit", "show", "--trainee", "nobody@example.org"), "trainee_unknown"),
    ],
)
def test_a_refusal_says_what_happened_and_ends_with_1(run, words, code):
    result = run(*words)
    assert result.exit_code == 1
    assert f"({code})" in result.stderr
    assert "Traceback" not in result.output


def test_wrong_usage_ends_with_2(run):
    assert run("session", "add").exit_code == 2
    assert run("session", "show", "one").exit_code == 2


def test_a_cancelled_session_is_not_settled(run):
    session_id = str(json_of(run(*ADD, "--json"))["id"])
    assert run("session", "cancel", session_id, "--reason", "The teacher is ill.").exit_code == 0
    assert "(session_cancelled)" in run("session", "settle", session_id).stderr


def test_a_session_that_has_begun_is_not_moved_and_one_to_come_is(run):
    def added(starts: str) -> str:
        asked = [starts if each == "2026-12-01T09:00" else each for each in ADD]
        return str(json_of(run(*asked, "--json"))["id"])

    moved = ("--starts", "2097-01-13T13:00", "--reason", "The teacher is away.")
    assert "(session_begun)" in run("session", "move", added("2020-06-01T09:00"), *moved).stderr
    result = run("session", "move", added("2097-01-12T09:00"), *moved, "--json")
    assert json_of(result)["starts_at"].startswith("2097-01-13T21:00")


def test_an_end_that_zoom_never_told_is_recorded_by_staff(run, database):
    session_id = str(
        json_of(run("session", "add", "--module", "F1", "--starts", "2024-03-05", "--zoom-meeting", "1", "--json"))[
            "id"
        ]
    )
    words = ("session", "end", session_id, "--at", "2024-03-06T01:00:00Z", "--reason")
    assert "(reason_missing)" in run(*words, " ").stderr
    assert (
        run(*words, "Zoom's message was lost.").stdout
        == f"live session {session_id} is over; its attendance is settled next\n"
    )
    shown = json_of(run("session", "show", session_id, "--json"))
    assert (shown["ended_by_staff_at"], shown["ended_at"]) == ("2024-03-06T01:00:00Z", None)
    assert "provisional" in run("session", "settle", session_id).stdout
    assert json_of(run("session", "show", session_id, "--json"))["ended_at"] == "2024-03-06T01:00:00Z"


def test_settling_a_session_without_evidence_leaves_it_scheduled(run, database):
    session_id = json_of(run(*ADD, "--json"))["id"]
    assert "scheduled" in run("session", "settle", str(session_id)).stdout
    with database.read() as connection:
        assert connection.scalar(select(sessions_table.c.state)) == "scheduled"


def test_attendance_has_the_shape_that_scripts_lean_on(run, taught):
    session_id, trainee_id = taught
    shown = json_of(run("attendance", "show", str(session_id), "--json"))
    assert shown["session"] == {"id": session_id, "module": "F1", "state": "provisional"}
    (person,) = shown["people"]
    assert person == {
        "trainee": trainee_id,
        "name": "Trainee 1",
        "email": "trainee1@example.org",
        "name_in_zoom": "Trainee in Zoom",
        "email_in_zoom": "trainee1@example.org",
        "registrant_id": "r1",
        "minutes_present": 390.0,
        "minutes_instructional": 390.0,
        "minutes_required": 312.0,
        "completed": True,
        "intervals": [
            {
                "from": "2026-11-10T16:55:00Z",
                "to": "2026-11-11T01:05:00Z",
                "evidence": "webhook",
                "counted_minutes": 390.0,
            }
        ],
        "flags": [],
    }
    (stranger,) = shown["unmatched"]
    assert (stranger["trainee"], stranger["minutes_present"], stranger["completed"]) == (None, 1.66, False)


def test_attendance_is_a_table_for_people(run, taught):
    shown = run("attendance", "show", str(taught[0])).stdout
    assert "provisional" in shown
    assert "390.0" in shown
    assert "not matched to a trainee" in shown


def test_a_scheduled_session_has_provisional_numbers_of_nobody(run):
    session_id = json_of(run(*ADD, "--json"))["id"]
    shown = json_of(run("attendance", "show", str(session_id), "--json"))
    assert (shown["session"]["state"], shown["people"], shown["unmatched"]) == ("provisional", [], [])


def test_the_ledger_shows_desired_and_delivered(run, taught):
    (row,) = json_of(run("grades", "ledger", "--json"))
    assert row["line_item"] == "https://lms.example.org/lineitems/1"
    assert (row["trainee"], row["desired"], row["delivered"], row["status"]) == (taught[1], 100.0, None, "waiting")
    assert (row["attempts"], row["last_answer"]) == (0, None)
    assert json_of(run("grades", "ledger", "--status", "parked", "--json")) == []


def test_what_cannot_be_delivered_is_counted_and_kept(run, taught, database):
    with database.write() as connection:
        connection.execute(update(scores).values(desired_given=-1.0, next_attempt_at=FIVE))
    assert json_of(run("grades", "deliver", "--json")) == {"delivered": 0, "waiting": 0, "parked": 1}
    assert json_of(run("grades", "deliver", "--parked", "--json")) == {"delivered": 0, "waiting": 0, "parked": 1}


def test_what_gradebooks_show_is_counted_and_nothing_is_sent(run, taught, database):
    nothing = {"same": 0, "differs": 0, "missing": 0, "unreadable": 0, "unread": 1}
    assert json_of(run("grades", "reconcile", "--json")) == nothing
    with database.write() as connection:
        seen = {"status": "kept", "delivered_version": 1, "seen": "differs", "seen_given": 55.0}
        connection.execute(update(scores).values(seen))
    assert json_of(run("grades", "reconcile", "--all", "--json")) == nothing | {"differs": 1, "unread": 0}
    (row,) = json_of(run("grades", "ledger", "--status", "kept", "--json"))
    assert (row["seen"], row["seen_given"], row["status"]) == ("differs", 55.0, "kept")


def test_credit_shows_every_line_of_the_checklist(run, taught):
    shown = json_of(run("credit", "show", "--trainee", "trainee1@example.org", "--json"))
    apa = next(each for each in shown if each["body"] == "apa")
    assert (apa["session"], apa["state"], apa["credits"]) == (taught[0], "awarded", "6.5")
    assert {line["name"]: line["satisfied"] for line in apa["checklist"]}["attendance"] is True
    text = run("credit", "show", "--trainee", str(taught[1]), "--session", str(taught[0])).stdout
    assert "apa: awarded, 6.5 credits" in text
    assert "MFT 12345" not in text


def test_a_fact_is_recorded_once_for_a_body_of_the_programme(run, taught):
    words = ("credit", "fact", "--trainee", str(taught[1]), "--session", str(taught[0]), "--fact", "fee")
    words += ("--reason", "Paid by card.")
    assert "(body_unknown)" in run(*words, "--body", "nobody").stderr
    assert run(*words, "--body", "apa").stdout == "recorded: fee\n"
    assert "(fact_recorded)" in run(*words, "--body", "apa").stderr


def test_nobody_has_no_claims(run, database, now):
    with database.write() as connection:
        trainee_id = add_trainee(connection, 9, now)
    assert run("credit", "show", "--trainee", str(trainee_id)).stdout == "(none)\n"


def test_attendance_is_exported_for_a_spreadsheet_and_the_export_is_noted(run, taught, database, tmp_path):
    session_id, _ = taught
    printed = run("attendance", "export", str(session_id))
    assert printed.stdout.startswith("\ufeffsession,module,date,state")
    assert printed.stdout.count("provisional") == 2
    written = run("attendance", "export", str(session_id), "--out", str(tmp_path), "--purpose", "board of 2026")
    file = tmp_path / f"attendance-session-{session_id}-2026-11-10.csv"
    assert str(file) in written.stdout
    assert file.read_bytes() == printed.stdout_bytes
    with database.read() as connection:
        acts = select(audit_log.c.details).where(audit_log.c.act == "attendance_exported").order_by(audit_log.c.id)
        noted = list(connection.scalars(acts))
    assert [each["purpose"] for each in noted] == ["command line", "board of 2026"]
    assert {each["rows"] for each in noted} == {2}


def test_an_export_into_nowhere_is_refused(run, taught, tmp_path):
    refused = run("attendance", "export", str(taught[0]), "--out", str(tmp_path / "nowhere" / "file.csv"))
    assert (refused.exit_code, "export_unwritable" in refused.stderr) == (1, True)

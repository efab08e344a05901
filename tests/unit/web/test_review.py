"""The page that staff open from the gradebook: one person's attendance of one module."""

from sqlalchemy import select, update

from lti_tool.tables.operations import audit_log
from lti_tool.tables.scores import scores
from tests.training_day import add_trainee, enrol


def test_attendance_credit_and_scores_are_shown(browse, happened) -> None:
    page = browse(happened.staff).open(f"/desk/review/F1/{happened.whole}")
    assert page.heading == "Attendance of Trainee 1"
    assert "Completed. 390 min of 390 min of teaching; 312 min are needed." in page.text
    assert "APA" in page.text
    assert "Awarded: 6.5" in page.text
    assert "Foundations (completion) 100 of 100 nothing not read On its way" in page.text


def test_it_speaks_of_the_person_and_not_to_them(browse, happened) -> None:
    text = browse(happened.staff).open(f"/desk/review/F1/{happened.half}").text
    assert "Not completed: 173 min 30 s are missing" in text
    assert "Before arriving." in text
    text = text.replace("Your visit is logged.", "")
    assert not {"You", "you", "your", "Your"} & set(text.replace(".", " ").replace(",", " ").split())


def test_looking_is_noted_without_a_name(browse, happened, database) -> None:
    browse(happened.staff).open(f"/desk/review/F1/{happened.half}")
    with database.read() as connection:
        noted = connection.execute(select(audit_log).where(audit_log.c.act == "attendance_reviewed")).one()
    assert (noted.actor, noted.subject, noted.details) == (
        f"staff:{happened.staff}",
        f"trainee:{happened.half}",
        {"module": "F1"},
    )


def test_a_refused_score_says_why(browse, happened, database) -> None:
    with database.write() as connection:
        connection.execute(update(scores).values(status="parked", last_answer="404 gone"))
    text = browse(happened.staff).open(f"/desk/review/F1/{happened.whole}").text
    assert "Refused The place of this grade no longer exists on the platform." in text


def test_not_attending_not_coming_and_being_unknown_are_told_apart(browse, happened, database, now) -> None:
    staff = browse(happened.staff)
    text = staff.open(f"/desk/review/F1/{happened.new}").text
    assert "No attendance is recorded for this module. The person has opened the course" in text
    assert "No score is due" in text
    with database.write() as connection:
        listed = add_trainee(connection, 9, now)
        enrol(connection, happened.platform, listed, now, last_launch_at=None, listed_at=now)
    text = staff.open(f"/desk/review/F1/{listed}").text
    assert "The person is on the course's roster but has never opened a unit of it." in text
    assert "This person has never opened Gatehouse from a course." in staff.open("/desk/review/F1").text


def test_attendance_of_another_module_is_not_shown(browse, happened) -> None:
    text = browse(happened.staff).open(f"/desk/review/F2/{happened.whole}").text
    assert "No attendance is recorded for this module." in text


def test_nobody_else_looks(browse, happened) -> None:
    for path in ("/desk/review/F1", f"/desk/review/F1/{happened.new}"):
        page = browse(happened.new).open(path)
        assert (page.status, "role_not_allowed" in page.text) == (403, True)
    assert browse(happened.staff).open("/desk/review/F1/999").status == 404

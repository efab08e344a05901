"""Past completions from a file: previewed, imported exactly as previewed, and undone by two people."""

import re
from datetime import timedelta
from io import BytesIO

import pytest
from sqlalchemy import select, update

from lti_tool.gates import completion_batches
from lti_tool.gates.completions import end_completion
from lti_tool.tables.gates import completion_imports, completions
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import trainees
from lti_tool.web.session import COOKIE
from tests.browser_session import start
from tests.statements import listening
from tests.unit.web.browser import BASE, Browser, Page

IMPORTS = "/desk/people/imports"
HEADINGS = "person_key_type,person_key,given_name,family_name,module,completed_on"
FILE = "\n".join((
    HEADINGS,
    "email,trainee4@example.org,Some,Body,F1,2024-07-13",
    "email,trainee1@example.org,,,F1,2024-07-13",
    "email,unknown@example.org,Not,Here,F1,2024-07-13",
    "email,trainee2@example.org,,,F77,2024-07-13",
    "email,trainee2@example.org,,,F2,2024-07-14",
))  # fmt: skip


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


@pytest.fixture
def other(app, database, happened, now) -> Browser:
    """Another member of staff: the one who trained elsewhere."""
    with database.write() as connection:
        token = start(
            connection, trainee_id=happened.elsewhere, registration_id=happened.platform, context_id="course-1",
            placement_id=happened.place, role="staff", now=now,
        )  # fmt: skip
    client = app.test_client()
    client.set_cookie(COOKIE, token, domain="localhost", secure=True)
    return Browser(client)


def upload(browser: Browser, content: str = FILE) -> Page:
    page = browser.open(IMPORTS)
    data = {"csrf": page.csrf, "file": (BytesIO(content.encode()), "people.csv")}
    return Page(browser.client.post(IMPORTS, base_url=BASE, data=data))


def confirm(browser: Browser, content: str = FILE) -> Page:
    where = upload(browser, content).sent_to
    return send_preview(browser, browser.open(where), where)


def send_preview(browser: Browser, page: Page, where: str) -> Page:
    """Import what this page shows."""
    (judged,) = re.findall(r'name="judged" value="(\w+)"', page.html) or [""]
    return browser.send(page, f"{where}/confirm", judged=judged)


def imported(database) -> list:
    with database.read() as connection:
        query = select(completions).where(completions.c.origin == "imported").order_by(completions.c.id)
        return list(connection.execute(query))


def test_the_preview_names_people_and_says_of_each_row_what_happens(staff, database) -> None:
    sent = upload(staff)
    assert (sent.status, sent.sent_to) == (303, f"{IMPORTS}/1")
    page = staff.open(sent.sent_to)
    assert "All 5 Will be recorded 2 Held 1 Refused 2" in page.text
    assert "2 Trainee 4 Module 1" in page.text
    assert "Will be recorded 3 Trainee 1" in page.text
    assert "The date differs from the record." in page.text
    assert "4 Not Here F1 2024-07-13 Held No trainee with this key has launched yet." in page.text
    assert "This catalogue has no module with this id." in page.text
    assert "/desk/people/4" in page.links
    held = staff.open(f"{sent.sent_to}?show=held").text
    assert "Not Here" in held
    assert "Trainee 4" not in held
    assert imported(database) == [], "a preview writes nothing"


def test_what_was_previewed_is_recorded_once(staff, database, happened) -> None:
    sent = confirm(staff)
    assert sent.sent_to == f"{IMPORTS}/1?done=completions_imported"
    assert [(row.trainee_id, row.module_id) for row in imported(database)] == [
        (happened.new, "F1"),
        (happened.half, "F2"),
    ]
    result = staff.open(sent.sent_to)
    assert "Recorded 2 Held 1 Refused 2" in result.text
    assert "Locks Module 2" in result.text
    assert "2 completions Tue 1 Dec" in staff.open(IMPORTS).text
    again = staff.send(result, f"{IMPORTS}/1/confirm")
    assert (again.status, "import_made" in again.text) == (409, True)
    with database.read() as connection:
        kept = connection.execute(select(completion_imports)).one()
        assert kept.content is None
        assert "completions_imported" in connection.scalars(select(audit_log.c.act)).all()


def test_an_import_is_refused_once_it_would_do_anything_but_what_was_previewed(staff, database, happened, now) -> None:
    where = upload(staff).sent_to
    seen = staff.open(where)
    with database.write() as connection:
        connection.execute(trainees.insert().values(name="New Here", email="unknown@example.org", created_at=now))
    refused = send_preview(staff, seen, where)
    assert refused.status == 409
    assert "Something changed since the preview. Look again." in refused.text
    assert "All 5 Will be recorded 3 Refused 2" in refused.text
    assert "4 New Here Module 1: " in refused.text
    assert imported(database) == [], "no one has seen what this import would do"
    with database.write() as connection:
        moved = update(trainees).where(trainees.c.id == happened.new).values(email="moved@example.org")
        connection.execute(moved)
        connection.execute(update(trainees).where(trainees.c.name == "New Here").values(email="trainee4@example.org"))
    again = send_preview(staff, refused, where)
    assert again.status == 409, "the address belongs to another person now"
    assert send_preview(staff, again, where).sent_to == f"{where}?done=completions_imported"


def test_an_upload_is_encrypted_and_kept_for_an_hour(staff, database, now) -> None:
    where = upload(staff).sent_to
    with database.read() as connection:
        stored = connection.exec_driver_sql("SELECT content FROM completion_imports").scalar_one()
    assert b"trainee4" not in bytes(stored)
    with database.write() as connection:
        completion_batches.forget_uploads(connection, now + timedelta(minutes=59))
        assert connection.scalar(select(completion_imports.c.id)) == 1
        connection.execute(update(completion_imports).values(uploaded_at=now - timedelta(hours=1)))
    gone = staff.open(where)
    assert (gone.status, "Upload the file again." in gone.text) == (404, True)
    with database.write() as connection:
        completion_batches.forget_uploads(connection, now)
        assert connection.scalar(select(completion_imports.c.id)) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "The file is empty."),
        ("name,module\nA,F1", "is not known"),
        ('person_key_type,person_key,module,completed_on\n"open', "a quotation mark is not closed"),
        (f"{HEADINGS}\n" + "email,a@example.org,,,F1,2024-07-13\n" * 1001, "at most 1,000 rows"),
    ],
)
def test_an_unusable_file_is_refused_at_its_field(staff, database, content: str, says: str) -> None:
    refused = upload(staff, content)
    assert refused.status == 422
    assert says in refused.text
    assert 'href="#file"' in refused.html
    with database.read() as connection:
        assert connection.scalar(select(completion_imports.c.id)) is None


def test_a_missing_file_and_one_that_is_too_large_are_refused(staff) -> None:
    page = staff.open(IMPORTS)
    assert staff.send(page, IMPORTS).status == 422
    assert upload(staff, f"{HEADINGS}\n" + "x" * 510_500).status == 413


def test_no_one_imports_a_completion_of_their_own(staff, database, happened) -> None:
    own = f"{HEADINGS}\nemail,trainee5@example.org,,,F1,2024-07-13"
    where = upload(staff, own).sent_to
    assert "This row is about you." in staff.open(where).text
    assert "btn pri" not in staff.open(where).html
    send_preview(staff, staff.open(where), where)
    assert imported(database) == []


def test_a_trainee_imports_nothing(browse, happened) -> None:
    trainee = browse(happened.new)
    page = trainee.open("/help")
    assert trainee.open(IMPORTS).status == 403
    assert trainee.send(page, f"{IMPORTS}/1/confirm").status == 403


def test_an_import_is_undone_by_two_people_and_can_be_made_again(staff, other, database, happened) -> None:
    page = staff.open(confirm(staff).sent_to)
    unreasoned = staff.send(page, f"{IMPORTS}/1/undo", reason=" ")
    assert (unreasoned.status, "reason_missing" in unreasoned.text) == (422, True)
    staff.send(page, f"{IMPORTS}/1/undo", reason="The wrong year.")
    assert "Imports to be undone by a second person: 1" in staff.open("/desk").text
    assert "Another member of staff has to confirm it." in staff.open(f"{IMPORTS}/1").text
    alone = staff.send(page, f"{IMPORTS}/1/undo/confirm")
    assert (alone.status, "second_person_needed" in alone.text) == (403, True)
    undone = other.send(other.open(f"{IMPORTS}/1"), f"{IMPORTS}/1/undo/confirm")
    assert undone.sent_to == f"{IMPORTS}/1?done=import_undone"
    assert all(row.ended_at and row.ended_reason == "The wrong year." for row in imported(database))
    text = staff.open(f"{IMPORTS}/1").text
    assert "by Trainee 5 and Trainee 3: “The wrong year.”" in text
    assert "Ended" in text
    assert other.send(other.open("/help"), f"{IMPORTS}/1/undo/confirm").status == 409
    corrected = FILE.replace("trainee4@example.org,Some,Body,F1,2024-07-13", "trainee4@example.org,,,F1,2023-07-13")
    assert confirm(staff, corrected).sent_to == f"{IMPORTS}/2?done=completions_imported"
    assert [(row.trainee_id, row.module_id, row.completed_on.year) for row in imported(database)[2:]] == [
        (happened.new, "F1", 2023),
        (happened.half, "F2", 2024),
    ], "the row that was right is recorded again"


def test_what_staff_ended_before_the_import_was_undone_stays_a_conflict(staff, other, database, now) -> None:
    page = staff.open(confirm(staff).sent_to)
    first = imported(database)[0].id
    with database.write() as connection:
        end_completion(connection, first, reason="A mistake.", actor="cli", now=now - timedelta(minutes=1))
    staff.send(page, f"{IMPORTS}/1/undo", reason="The wrong year.")
    other.send(other.open(f"{IMPORTS}/1"), f"{IMPORTS}/1/undo/confirm")
    again = staff.open(upload(staff).sent_to).text
    assert "Will be recorded 1 Held 1 Refused 3" in again
    assert "Staff ended this completion." in again


def test_an_account_that_is_newer_than_the_proposal_does_not_confirm_an_undoing(
    staff, other, database, happened, now
) -> None:
    staff.send(staff.open(confirm(staff).sent_to), f"{IMPORTS}/1/undo", reason="The wrong year.")
    with database.write() as connection:
        later = update(trainees).where(trainees.c.id == happened.elsewhere)
        connection.execute(later.values(created_at=now + timedelta(seconds=1)))
    refused = other.send(other.open(f"{IMPORTS}/1"), f"{IMPORTS}/1/undo/confirm")
    assert (refused.status, "second_person_needed" in refused.text) == (403, True)
    assert not any(row.ended_at for row in imported(database))


def test_no_one_undoes_a_completion_of_their_own(staff, other, database) -> None:
    page = staff.open(confirm(staff, f"{FILE}\nemail,trainee3@example.org,,,F2,2024-07-13").sent_to)
    staff.send(page, f"{IMPORTS}/1/undo", reason="The wrong year.")
    refused = other.send(other.open(f"{IMPORTS}/1"), f"{IMPORTS}/1/undo/confirm")
    assert (refused.status, "second_person_needed" in refused.text) == (403, True)
    assert not any(row.ended_at for row in imported(database))


def test_an_import_whose_undoing_is_dropped_stays(staff, other, database) -> None:
    page = staff.open(confirm(staff).sent_to)
    staff.send(page, f"{IMPORTS}/1/undo", reason="The wrong year.")
    assert other.send(other.open(f"{IMPORTS}/1"), f"{IMPORTS}/1/undo/drop").sent_to.endswith("?done=undo_dropped")
    assert other.send(other.open("/help"), f"{IMPORTS}/1/undo/confirm").status == 409
    assert not any(row.ended_at for row in imported(database))


def test_a_long_preview_is_paged(staff, database) -> None:
    many = "\n".join([HEADINGS, *(f"email,a{each}@example.org,,,F1,2024-07-13" for each in range(120))])
    where = upload(staff, many).sent_to
    first, last = staff.open(where), staff.open(f"{where}?page=3&show=held")
    assert "1–50 of 120" in first.text
    assert "101–120 of 120" in last.text
    assert "a119@example.org" in last.text


@pytest.fixture
def few_and_many(database, now) -> tuple[str, str]:
    """Two files about people of their own: 2 rows and 40."""
    with database.write() as connection:
        rows = [{"name": f"P {each}", "email": f"p{each}@example.org", "created_at": now} for each in range(40)]
        connection.execute(trainees.insert(), rows)
    few, many = (
        "\n".join([HEADINGS, *(f"email,p{each}@example.org,,,{module},2024-07-13" for each in range(count))])
        for module, count in (("F2", 2), ("F1", 40))
    )
    return few, many


def test_an_import_and_its_undoing_take_as_many_statements_for_many_people_as_for_few(
    staff, other, database, few_and_many
) -> None:
    counted = []
    for number, content in enumerate(few_and_many, 1):
        where = upload(staff, content).sent_to
        preview = staff.open(where)
        with listening(database) as importing:
            assert send_preview(staff, preview, where).status == 303
        staff.send(staff.open(where), f"{where}/undo", reason="The wrong year.")
        page = other.open(where)
        with listening(database) as undoing:
            assert other.send(page, f"{where}/undo/confirm").sent_to == f"{IMPORTS}/{number}?done=import_undone"
        counted.append((len(importing), len(undoing)))
    assert counted[0] == counted[1]
    assert all(row.ended_at for row in imported(database))
    with database.read() as connection:
        acts = connection.scalars(select(audit_log.c.act)).all()
    assert acts.count("completion_ended") == 42
    assert acts.count("completion_recorded") == 42 + 1, "one by attendance"


def test_a_result_reads_as_many_statements_for_many_people_as_for_few(staff, database, few_and_many) -> None:
    for content in few_and_many:
        confirm(staff, content)
    staff.open(f"{IMPORTS}/1")
    with listening(database) as of_few:
        staff.open(f"{IMPORTS}/1")
    with listening(database) as of_many:
        staff.open(f"{IMPORTS}/2")
    assert len(of_many) == len(of_few)

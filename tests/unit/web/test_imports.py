"""Past completions from a file: previewed, imported exactly as previewed, and undone by two people."""

from datetime import timedelta
from io import BytesIO

import pytest
from sqlalchemy import select, update

from lti_tool.gates import completion_batches
from lti_tool.gates.completion_import import digest_of
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
    return browser.send(browser.open(where), f"{where}/confirm", digest=digest_of(content.encode()))


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
    again = staff.send(result, f"{IMPORTS}/1/confirm", digest=digest_of(FILE.encode()))
    assert (again.status, "import_made" in again.text) == (409, True)
    with database.read() as connection:
        kept = connection.execute(select(completion_imports)).one()
        assert kept.content is None
        assert "completions_imported" in connection.scalars(select(audit_log.c.act)).all()


def test_only_the_previewed_file_is_imported(staff, database) -> None:
    where = upload(staff).sent_to
    other_file = staff.send(staff.open(where), f"{where}/confirm", digest=digest_of(b"another file"))
    assert (other_file.status, "import_file_differs" in other_file.text) == (409, True)
    assert imported(database) == []


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
    staff.send(staff.open(where), f"{where}/confirm", digest=digest_of(own.encode()))
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
    right = FILE.replace("2024-07-13", "2023-07-13")
    assert confirm(staff, right).sent_to == f"{IMPORTS}/2?done=completions_imported"


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


def test_a_result_reads_as_many_statements_for_many_people_as_for_few(staff, database, now) -> None:
    with database.write() as connection:
        rows = [{"name": f"P {each}", "email": f"p{each}@example.org", "created_at": now} for each in range(40)]
        connection.execute(trainees.insert(), rows)
    few, many = (
        "\n".join([HEADINGS, *(f"email,p{each}@example.org,,,{module},2024-07-13" for each in range(count))])
        for module, count in (("F2", 2), ("F1", 40))
    )
    confirm(staff, few)
    confirm(staff, many)
    staff.open(f"{IMPORTS}/1")
    with listening(database) as of_few:
        staff.open(f"{IMPORTS}/1")
    with listening(database) as of_many:
        staff.open(f"{IMPORTS}/2")
    assert len(of_many) == len(of_few)

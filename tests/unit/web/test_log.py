"""The log on the desk: read, filtered and exported by those who may; the database changes none of it."""

import csv
import io

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from lti_tool import audit, rights
from lti_tool.tables.operations import audit_log

LOG = "/desk/settings/log"


@pytest.fixture
def admin(browse, happened):
    """Who granted a role with a reason and looked at a person."""
    reader = browse(happened.staff)
    form = reader.open("/desk/settings/roles")
    given = {
        "person": str(happened.new),
        "confirmed": str(happened.new),
        "role": "registrar",
        "reason": "Keeps the licences.",
    }
    assert reader.send(form, "/desk/settings/roles", **given).status == 303
    assert reader.open(f"/desk/people/{happened.whole}").status == 200
    return reader


def test_acts_stand_with_who_whom_and_why(admin, happened) -> None:
    page = admin.open(LOG)
    assert "Trainee 5 granted the role registrar “Keeps the licences.” Trainee 4" in page.text
    assert f"/desk/people/{happened.new}" in page.links
    assert "looked at a person's page" not in page.text


def test_who_looked_at_whom_is_a_list_of_its_own(admin) -> None:
    page = admin.open(f"{LOG}?show=looks")
    assert "Trainee 5 looked at a person's page Trainee 1" in page.text
    assert "granted" not in page.text


def test_it_is_filtered_by_act_person_and_day(admin, happened, now) -> None:
    def said(query: str) -> str:
        return admin.open(f"{LOG}?{query}").text

    assert "granted the role registrar" in said("act=role_granted")
    assert "granted the role registrar" in said(f"who=staff:{happened.staff}&from=2026-12-01&to=2026-12-01")
    for query in (f"about=trainee:{happened.whole}", "who=staff:77", "to=2026-11-30", "from=2026-12-02"):
        assert "granted the role registrar" not in said(query), query
    for odd in ("act=x&from=soon&to=0001-01-01&show=y&page=-1", "page=99", "who=" + "x" * 500):
        assert admin.open(f"{LOG}?{odd}").status == 200


def test_an_export_holds_what_is_shown_and_is_logged(admin, database, happened) -> None:
    with database.write() as connection:
        act = {"act": "session_moved", "subject": "session:1", "reason": "=1+1"}
        audit.record(connection, actor="cli", at=connection.scalar(select(audit_log.c.at).limit(1)), **act)
    (link,) = [each for each in admin.open(f"{LOG}?show=all").links if "log.csv" in each]
    answer = admin.open(link).response
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert {(row["name"], row["act"], row["subject"]) for row in rows} >= {
        ("Trainee 5", "role_granted", f"trainee:{happened.new}"),
        ("Trainee 5", "decisions_viewed", f"trainee:{happened.whole}"),
    }
    assert next(row for row in rows if row["act"] == "session_moved")["reason"] == "'=1+1"
    assert "took the log as a file" in admin.open(f"{LOG}?show=looks").text


def test_only_programme_admins_and_auditors_read_it(browse, happened) -> None:
    assert browse(happened.new, granted=[rights.AUDITOR]).open(LOG).status == 200
    assert browse(happened.half, granted=[rights.COORDINATOR]).open(LOG).status == 403


@pytest.mark.parametrize(
    "change", [delete(audit_log), update(audit_log).values(actor="staff:1"), update(audit_log).values(reason=None)]
)
def test_the_database_changes_and_removes_nothing_of_it(database, now, change) -> None:
    with database.write() as connection:
        audit.record(connection, actor="cli", act="session_added", subject="session:1", at=now)
    with pytest.raises(DBAPIError, match="audit_log only grows"), database.write() as connection:
        connection.execute(change)

"""Publishing: numbered, never changed, the same meaning once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from lti_tool.db import Database
from lti_tool.errors import NotFound, ProgrammeError
from lti_tool.gates.publication import check_document, publish
from lti_tool.programme.versions import current, document_of, version
from lti_tool.tables.operations import audit_log
from lti_tool.tables.programme import programme_versions
from tests.unit.programme.documents import SMALL, changed

SECOND = changed("capacity: 12", "capacity: 13")


def publish_now(database: Database, now: datetime, document: str | bytes) -> int:
    with database.write() as connection:
        return publish(connection, document, "small.yaml", actor="cli", now=now)


def test_versions_count_from_one_and_the_newest_is_in_force(database: Database, now: datetime) -> None:
    assert [publish_now(database, now, SMALL), publish_now(database, now, SECOND)] == [1, 2]
    with database.read() as connection:
        published = current(connection)
    assert (published.version, published.programme.retreats["R"].capacity) == (2, 13)


def test_an_older_version_stays_as_it_was(database: Database, now: datetime) -> None:
    publish_now(database, now, SMALL)
    publish_now(database, now, SECOND)
    with database.read() as connection:
        assert version(connection, 1).programme.retreats["R"].capacity == 12
        assert document_of(connection, 1) == SMALL


def test_the_same_meaning_again_is_the_same_version(database: Database, now: datetime) -> None:
    assert publish_now(database, now, SMALL) == 1
    assert publish_now(database, now, f"# only a remark\n{SMALL}") == 1
    assert publish_now(database, now, SMALL.encode()) == 1


def test_going_back_to_an_older_document_is_a_new_version(database: Database, now: datetime) -> None:
    assert [publish_now(database, now, each) for each in (SMALL, SECOND, SMALL)] == [1, 2, 3]
    with database.read() as connection:
        assert current(connection).programme.retreats["R"].capacity == 12


PAST = changed("- completed: {module: A}\n", '- completed: {module: A}\n        - date_window: {to: "2026-12-05"}\n')


def test_a_window_that_is_past_is_refused_but_a_version_published_before_stays(
    database: Database, now: datetime
) -> None:
    """2026-12-06 07:00 UTC is still the 5th in the programme's zone."""
    sixth = datetime(2026, 12, 6, 7, tzinfo=UTC)
    assert publish_now(database, sixth, PAST) == 1
    with pytest.raises(ProgrammeError, match="already closed"):
        publish_now(database, sixth + timedelta(hours=1), PAST)
    assert check_document(PAST, "small.yaml").errors == ()
    with database.read() as connection:
        assert version(connection, 1).programme.gates["B"]


def test_publishing_is_in_the_audit_log(database: Database, now: datetime) -> None:
    publish_now(database, now, SMALL)
    publish_now(database, now, SMALL)
    with database.read() as connection:
        (row,) = connection.execute(select(audit_log)).all()
    assert (row.actor, row.act, row.subject, row.at) == ("cli", "programme_published", "programme:1", now)


def test_a_document_with_an_error_is_refused_and_names_its_place(database: Database, now: datetime) -> None:
    with pytest.raises(ProgrammeError, match=r"small\.yaml:14") as refused:
        publish_now(database, now, changed("award_evidence: reconciled", "award_evidence: hearsay"))
    assert refused.value.code == "programme_refused"
    with database.read() as connection:
        assert connection.execute(select(programme_versions)).all() == []


def test_a_gate_that_leads_to_itself_is_refused(database: Database, now: datetime) -> None:
    with pytest.raises(ProgrammeError, match="gate_cycle"):
        publish_now(database, now, changed("completed: {module: A}", "completed: {module: B}"))


@pytest.mark.parametrize(
    ("old", "new"), [("credits: {apa: 6}", "credits: {apa: 8}"), ("ends_on: 2026-10-07", "ends_on: 2026-10-08")]
)
def test_what_needs_a_reason_is_refused_without_one(database: Database, now: datetime, old: str, new: str) -> None:
    with pytest.raises(ProgrammeError) as refused:
        publish_now(database, now, changed(old, new))
    assert refused.value.code == "programme_needs_reason"


def test_a_reason_lets_it_be_published(database: Database, now: datetime) -> None:
    reason = "{warning: retreat_days_differ, path: 'retreats.R.dates[0]', reason: the evening before counts, by: staff}"
    document = changed("ends_on: 2026-10-07", "ends_on: 2026-10-08") + f"acknowledged: [{reason}]\n"
    assert publish_now(database, now, document) == 1


def test_a_retreat_without_applications_needs_no_reason(database: Database, now: datetime) -> None:
    document = changed("ends_on: 2026-10-07", "ends_on: 2026-10-08", changed("publish: true", "publish: false"))
    assert publish_now(database, now, document) == 1


def test_before_the_first_version_there_is_none(database: Database) -> None:
    with database.read() as connection, pytest.raises(NotFound) as missing:
        current(connection)
    assert missing.value.code == "programme_not_published"


def test_an_unknown_version_is_not_found(database: Database, now: datetime) -> None:
    publish_now(database, now, SMALL)
    with database.read() as connection, pytest.raises(NotFound) as missing:
        version(connection, 2)
    assert missing.value.code == "programme_version_unknown"


def test_a_version_is_read_once(database: Database, now: datetime) -> None:
    publish_now(database, now, SMALL)
    with database.read() as connection:
        assert current(connection).programme is version(connection, 1).programme


def test_a_version_that_can_no_longer_be_read_opens_nothing(database: Database, now: datetime) -> None:
    publish_now(database, now, changed("capacity: 12", "capacity: 14"))
    with database.write() as connection:
        connection.execute(update(programme_versions).values(document="format: 99\n", digest="0" * 64))
    with database.read() as connection, pytest.raises(ProgrammeError) as refused:
        current(connection)
    assert refused.value.code == "programme_version_unreadable"

"""The database on which the benchmarks measure pages."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Table, func, select

from benchmarks import full_database
from lti_tool.attendance import matching
from lti_tool.db import Database
from lti_tool.tables.courses import enrolments
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import identities, trainees
from lti_tool.tables.scores import scores
from tests.training_day import add_platform

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.usefixtures("published")
def test_a_database_that_grows_twice_holds_everything_of_everyone_once(database: Database) -> None:
    with database.write() as connection:
        add_platform(connection, NOW)
    full_database.lay_out(database, NOW)
    full_database.add_people(database, 0, 50, NOW)
    full_database.add_people(database, 50, 200, NOW)
    with database.read() as connection:

        def rows(table: Table) -> int:
            return int(connection.scalar(select(func.count()).select_from(table)) or 0)

        assert [rows(each) for each in (trainees, identities, enrolments)] == [200, 200, 200]
        assert rows(scores) == 200 * len(full_database.SCORED_MODULES)
        assert rows(live_sessions) == full_database.SESSIONS
        unmatched = len(matching.unmatched_people(connection))
        assert unmatched == 200 // full_database.ONE_IN
        assert rows(attendances) == 200 * full_database.DAYS_EACH + unmatched

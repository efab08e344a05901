"""A course with a roster, at the wire."""

import pytest
import responses

from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.rosters.reading import RosterReader
from tests.clock import TestClock
from tests.platform import Platform
from tests.roster import RosterCourse


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Platform:
    return Platform().register(database, clock())


@pytest.fixture
def course(
    database: Database, platform: Platform, context: AppContext, clock: TestClock, wire: responses.RequestsMock
) -> RosterCourse:
    """A course one of whose units offers its roster, at a platform that hands out tokens."""
    reader = RosterReader(database, context.platform_api, clock, context.settings.roster_every)
    course = RosterCourse(database, platform, clock, reader, wire)
    course.offer()
    course.serve_token()
    return course

"""A course with a roster, at the wire."""

import pytest
import responses

from lti_tool.context import House
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
    database: Database, platform: Platform, house: House, clock: TestClock, wire: responses.RequestsMock
) -> RosterCourse:
    """A course one of whose units offers its roster, at a platform that hands out tokens."""
    reader = RosterReader(database, house.platform_api, clock, house.settings.roster_every)
    course = RosterCourse(database, platform, clock, reader, wire)
    course.offer()
    course.serve_token()
    return course

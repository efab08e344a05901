"""What logins and launches remember of the registrations, and for how long."""

import pytest

from lti_tool.db import Database
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import registration
from lti_tool.lti.registration import Registrations
from tests.clock import TestClock
from tests.platform import Platform


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Platform:
    return Platform().register(database, clock())


def test_a_disabled_registration_is_let_go_after_two_seconds(
    database: Database, platform: Platform, clock: TestClock
) -> None:
    remembered = Registrations(database)
    assert remembered.find(platform.issuer, platform.client_id, clock()).is_active
    assert remembered.load_active(platform.registration_id, clock()).is_active
    with database.write() as connection:
        registration.set_status(connection, platform.registration_id, "disabled", actor="cli", now=clock())
    later = clock.advance(seconds=3)
    with pytest.raises(RefusedLaunch, match="switched off"):
        remembered.find(platform.issuer, platform.client_id, later)
    with pytest.raises(RefusedLaunch, match="switched off"):
        remembered.load_active(platform.registration_id, later)


def test_a_new_registration_counts_at_once(database: Database, clock: TestClock) -> None:
    remembered = Registrations(database)
    with pytest.raises(RefusedLaunch):
        remembered.find(Platform().issuer, "client-1", clock())
    platform = Platform().register(database, clock())
    assert remembered.find(platform.issuer, platform.client_id, clock()).id == platform.registration_id


def test_a_new_deployment_counts_after_two_seconds(database: Database, platform: Platform, clock: TestClock) -> None:
    remembered = Registrations(database)
    assert remembered.load_active(platform.registration_id, clock()).deployment_ids == {"1"}
    with database.write() as connection:
        registration.change(connection, platform.registration_id, {}, ["2"], actor="cli", now=clock())
    later = clock.advance(seconds=3)
    assert remembered.load_active(platform.registration_id, later).deployment_ids == {"1", "2"}


def test_within_two_seconds_the_database_is_asked_once(
    database: Database, platform: Platform, clock: TestClock
) -> None:
    remembered = Registrations(database)
    first = remembered.load_active(platform.registration_id, clock())
    assert remembered.load_active(platform.registration_id, clock.advance(seconds=2)) is first
    assert remembered.load_active(platform.registration_id, clock.advance(seconds=1)) is not first

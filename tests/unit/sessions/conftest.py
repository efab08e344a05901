"""One session of the published programme."""

import pytest

from tests.training_day import add_session


@pytest.fixture
def session_id(database, published, now):
    with database.write() as connection:
        return add_session(connection, published, now)

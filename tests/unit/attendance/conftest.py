"""One session of the published programme, and one trainee."""

import pytest

from tests.training_day import add_session, add_trainee


@pytest.fixture
def session_id(database, published, now):
    with database.write() as connection:
        return add_session(connection, published, now)


@pytest.fixture
def trainee_id(database, now):
    with database.write() as connection:
        return add_trainee(connection, 1, now)

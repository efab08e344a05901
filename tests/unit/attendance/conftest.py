"""One person and one day, of which people say something."""

import pytest

from tests.training_day import add_trainee


@pytest.fixture
def trainee_id(database, now):
    with database.write() as connection:
        return add_trainee(connection, 1, now)

"""The tool's own keys: made once, encrypted, rotated with overlap."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.lti.keys import (
    MAX_AGE,
    PUBLISHED_AFTER_SIGNING,
    PUBLISHED_BEFORE_SIGNING,
    ToolKeys,
    load_keys,
    rotate,
    state_of,
)
from lti_tool.tables.housekeeping import audit_log
from tests.clock import TestClock


@pytest.fixture
def keys(database: Database, clock: TestClock) -> ToolKeys:
    return ToolKeys(database, clock)


def published(keys: ToolKeys) -> set[str]:
    return {key["kid"] for key in keys.key_set()["keys"]}


def turn(database: Database, clock: TestClock, *, at_once: bool = False) -> str:
    with database.write() as connection:
        return rotate(connection, at_once=at_once, actor="cli", now=clock())


def test_the_first_key_is_made_once_and_kept(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    kid = keys.signing_key().kid
    assert published(keys) == {kid}
    assert ToolKeys(database, clock).signing_key().kid == kid
    assert keys.signing_key().private_key.key_size == 2048


def test_of_several_processes_that_start_at_once_one_makes_the_first_key(database: Database, clock: TestClock) -> None:
    with ThreadPoolExecutor(4) as pool:
        kids = list(pool.map(lambda _: ToolKeys(database, clock).signing_key().kid, range(4)))
    assert len(set(kids)) == 1
    with database.read() as connection:
        assert len(load_keys(connection)) == 1


def test_the_private_half_is_nowhere_readable(database: Database, keys: ToolKeys) -> None:
    keys.signing_key()
    with database.read() as connection:
        stored = bytes(connection.execute(text("SELECT private_pem FROM tool_keys")).scalar_one())
    assert b"PRIVATE KEY" not in stored
    assert "d" not in keys.key_set()["keys"][0]


def test_a_key_object_is_parsed_once(keys: ToolKeys, clock: TestClock) -> None:
    before = keys.signing_key().private_key
    clock.advance(minutes=5)
    assert keys.signing_key().private_key is before


def test_a_new_key_is_published_first_and_signs_a_day_later(
    database: Database, clock: TestClock, keys: ToolKeys
) -> None:
    old = keys.signing_key().kid
    new = turn(database, clock)
    clock.advance(minutes=2)
    assert (published(keys), keys.signing_key().kid) == ({old, new}, old)
    clock.advance(hours=24)
    assert (published(keys), keys.signing_key().kid) == ({old, new}, new)
    clock.advance(days=7)
    assert (published(keys), keys.signing_key().kid) == ({new}, new)


def test_an_old_key_outlives_every_cache_of_our_key_set() -> None:
    assert MAX_AGE < PUBLISHED_BEFORE_SIGNING
    assert MAX_AGE < PUBLISHED_AFTER_SIGNING


def test_two_rotations_do_not_overlap(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    keys.signing_key()
    turn(database, clock)
    with pytest.raises(Conflict) as refused:
        turn(database, clock)
    assert refused.value.code == "rotation_under_way"
    clock.advance(days=1)
    turn(database, clock)


def test_a_stolen_key_is_withdrawn_at_once(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    keys.signing_key()
    turn(database, clock)
    new = turn(database, clock, at_once=True)
    clock.advance(minutes=2)
    assert (published(keys), keys.signing_key().kid) == ({new}, new)


def test_a_rotation_before_the_first_start_gives_a_key_that_signs(
    database: Database, clock: TestClock, keys: ToolKeys
) -> None:
    assert turn(database, clock) == keys.signing_key().kid


def test_each_state_of_a_key_has_a_name(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    keys.signing_key()

    def states() -> list[str]:
        with database.read() as connection:
            found = load_keys(connection)
        return [state_of(key, found, clock()) for key in found]

    assert states() == ["signing"]
    turn(database, clock)
    assert states() == ["waiting", "signing"]
    clock.advance(days=1)
    assert states() == ["signing", "leaving"]
    clock.advance(days=7)
    assert states() == ["signing", "retired"]


def test_a_rotation_is_in_the_audit_log(database: Database, clock: TestClock) -> None:
    kid = turn(database, clock)
    with database.read() as connection:
        entry = connection.execute(select(audit_log)).one()
    assert (entry.act, entry.subject, entry.actor) == ("tool_key_rotated", f"key:{kid}", "cli")

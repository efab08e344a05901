"""The tool's own keys: made once, encrypted, rotated with overlap."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import responses
from flask.testing import FlaskClient
from sqlalchemy import select, text

from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.lti.keys import (
    LONGEST_PLATFORM_CACHE,
    MAX_AGE,
    PUBLISHED_BEFORE_SIGNING,
    REMEMBERED,
    ToolKeys,
    load_keys,
    make_private_key,
    rotate,
    rotate_when_due,
    state_of,
)
from lti_tool.tables.operations import audit_log
from lti_tool.worker import build_worker
from tests.clock import START, TestClock
from tests.platform import SCOPE, Platform


@pytest.fixture
def keys(database: Database, clock: TestClock) -> ToolKeys:
    return ToolKeys(database, clock)


def published(keys: ToolKeys) -> set[str]:
    return {key["kid"] for key in keys.key_set()["keys"]}


def turn(database: Database, clock: TestClock, *, at_once: bool = False) -> str:
    with database.write() as connection:
        return rotate(connection, make_private_key(), at_once=at_once, actor="cli", now=clock())


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


def test_a_process_whose_clock_is_behind_signs_with_the_first_key_all_the_same(database: Database) -> None:
    first = ToolKeys(database, TestClock(START)).signing_key()
    behind = ToolKeys(database, TestClock(START - timedelta(seconds=1)))
    assert behind.signing_key().kid == first.kid
    assert published(behind) == {first.kid}


def test_a_clock_that_was_set_back_far_signs_with_the_oldest_key(
    database: Database, clock: TestClock, keys: ToolKeys
) -> None:
    old = keys.signing_key().kid
    turn(database, clock)
    with database.read() as connection:
        found = load_keys(connection)
    before = START - timedelta(days=30)
    assert [(key.kid == old, state_of(key, found, before)) for key in found] == [(False, "waiting"), (True, "signing")]


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


def test_a_new_key_is_published_first_and_signs_three_days_later(
    database: Database, clock: TestClock, keys: ToolKeys
) -> None:
    old = keys.signing_key().kid
    new = turn(database, clock)
    clock.advance(minutes=2)
    assert (published(keys), keys.signing_key().kid) == ({old, new}, old)
    clock.advance(days=3)
    assert (published(keys), keys.signing_key().kid) == ({old, new}, new)
    clock.advance(days=7)
    assert (published(keys), keys.signing_key().kid) == ({new}, new)


def test_a_new_key_waits_until_every_cache_of_our_key_set_holds_it() -> None:
    assert PUBLISHED_BEFORE_SIGNING > LONGEST_PLATFORM_CACHE + MAX_AGE + REMEMBERED


def test_two_rotations_do_not_overlap(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    keys.signing_key()
    turn(database, clock)
    with pytest.raises(Conflict) as refused:
        turn(database, clock)
    assert refused.value.code == "rotation_under_way"
    clock.advance(days=3)
    turn(database, clock)


def test_a_stolen_key_is_withdrawn_at_once(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    keys.signing_key()
    turn(database, clock)
    new = turn(database, clock, at_once=True)
    clock.advance(minutes=2)
    assert (published(keys), keys.signing_key().kid) == ({new}, new)


def test_a_rotation_may_follow_a_withdrawal_at_once(database: Database, clock: TestClock, keys: ToolKeys) -> None:
    keys.signing_key()
    turn(database, clock)
    turn(database, clock, at_once=True)
    turn(database, clock)


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
    clock.advance(days=3)
    assert states() == ["signing", "leaving"]
    clock.advance(days=7)
    assert states() == ["signing", "retired"]


def test_a_rotation_is_in_the_audit_log(database: Database, clock: TestClock) -> None:
    kid = turn(database, clock)
    with database.read() as connection:
        entry = connection.execute(select(audit_log)).one()
    assert (entry.act, entry.subject, entry.actor) == ("tool_key_rotated", f"key:{kid}", "cli")


class TestOnSchedule:
    def test_a_key_that_is_old_enough_is_replaced_once(
        self, database: Database, clock: TestClock, keys: ToolKeys
    ) -> None:
        keys.signing_key()
        for _ in range(100):
            rotate_when_due(database, clock.advance(days=1), 90)
        assert number_of_keys(database) == 2

    def test_the_next_one_follows_the_newest(self, database: Database, clock: TestClock, keys: ToolKeys) -> None:
        keys.signing_key()
        clock.advance(days=60)
        turn(database, clock)
        rotate_when_due(database, clock.advance(days=89), 90)
        assert number_of_keys(database) == 2
        rotate_when_due(database, clock.advance(days=1), 90)
        assert number_of_keys(database) == 3

    def test_no_days_mean_never(self, database: Database, clock: TestClock, keys: ToolKeys) -> None:
        keys.signing_key()
        rotate_when_due(database, clock.advance(days=5000), 0)
        assert number_of_keys(database) == 1

    def test_one_day_does_not_outrun_the_overlap(self, database: Database, clock: TestClock, keys: ToolKeys) -> None:
        keys.signing_key()
        for _ in range(7):
            rotate_when_due(database, clock.advance(days=1), 1)
        assert number_of_keys(database) == 4  # on days 1, 4 and 7

    def test_nothing_is_rotated_before_the_first_key(self, database: Database, clock: TestClock) -> None:
        rotate_when_due(database, clock(), 90)
        assert number_of_keys(database) == 0

    def test_of_several_workers_one_rotates(self, database: Database, clock: TestClock, keys: ToolKeys) -> None:
        keys.signing_key()
        now = clock.advance(days=90)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: rotate_when_due(database, now, 90), range(4)))
        assert number_of_keys(database) == 2

    def test_the_audit_log_says_that_nobody_did_it(self, database: Database, clock: TestClock, keys: ToolKeys) -> None:
        keys.signing_key()
        rotate_when_due(database, clock.advance(days=90), 90)
        with database.read() as connection:
            assert connection.execute(select(audit_log.c.actor)).scalar_one() == "system"

    def test_the_worker_does_it_as_the_setting_says(
        self, context: AppContext, database: Database, clock: TestClock
    ) -> None:
        context.keys.signing_key()
        worker = build_worker(context)
        for days in (0, 89, 1):
            clock.advance(days=days)
            worker.run_once()
        assert number_of_keys(database) == 2


def number_of_keys(database: Database) -> int:
    with database.read() as connection:
        return len(load_keys(connection))


@dataclass
class ForgetfulPlatform:
    """A platform that reads our key set over the web, and then again only when its copy is a day old."""

    client: FlaskClient
    clock: TestClock
    copy: dict[str, Any] = field(default_factory=dict)
    read_at: datetime | None = None
    verified: list[str] = field(default_factory=list)

    def give_token(self, request: Any) -> tuple[int, dict[str, str], str]:
        """Verify the assertion against the copy, as a token endpoint does."""
        if self.read_at is None or self.clock() - self.read_at >= LONGEST_PLATFORM_CACHE:
            self.copy = {key["kid"]: key for key in self.client.get("/lti/jwks.json").json["keys"]}
            self.read_at = self.clock()
        assertion = parse_qs(request.body)["client_assertion"][0]
        kid = jwt.get_unverified_header(assertion)["kid"]
        if kid not in self.copy:
            return 400, {}, '{"error": "invalid_client"}'
        no_time = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        jwt.PyJWT().decode(assertion, jwt.PyJWK(self.copy[kid]).key, ["RS256"], options=no_time)
        self.verified.append(kid)
        return 200, {}, f'{{"access_token": "t", "token_type": "bearer", "expires_in": 60, "scope": "{SCOPE}score"}}'


@pytest.mark.parametrize("minutes", [1, 59], ids=["after a read", "before a read"])
def test_a_platform_that_keeps_our_key_set_for_a_day_verifies_every_assertion_of_a_month(
    minutes: int, context: AppContext, client: FlaskClient, database: Database, clock: TestClock
) -> None:
    """Hour by hour, with the worker's two scheduled rotations `minutes` past an hour."""
    registered = Platform().register(database, clock())
    platform = ForgetfulPlatform(client, clock)
    context.keys.signing_key()
    with responses.RequestsMock() as wire:
        wire.add_callback("POST", registered.token_url, platform.give_token)
        for _ in range(30 * 24):
            context.platform_api.token(registered.registration_id, [f"{SCOPE}score"])
            rotate_when_due(database, clock.advance(minutes=minutes), 10)
            clock.advance(minutes=60 - minutes)
    assert len(platform.verified) == 30 * 24
    assert len(set(platform.verified)) == 3


def test_a_process_that_has_not_noticed_the_rotation_does_not_shorten_the_overlap(
    database: Database, clock: TestClock, keys: ToolKeys
) -> None:
    keys.key_set()
    turn(database, clock)
    clock.advance(seconds=59)
    copy = published(keys)
    signer = ToolKeys(database, clock)
    for _ in range(25):  # a day in the platform, an hour in a cache on the way
        assert signer.signing_key().kid in copy
        clock.advance(hours=1)

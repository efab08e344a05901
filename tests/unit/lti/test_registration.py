"""Registering platforms."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Connection, select

from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict, NotFound, RefusedLaunch
from lti_tool.lti.registration import (
    NewRegistration,
    add,
    approve,
    change,
    find,
    list_registrations,
    load,
    load_active,
    origin,
    set_status,
)
from lti_tool.tables.operations import audit_log

NEW = NewRegistration(
    issuer="https://lms.example.org",
    client_id="client-1",
    auth_login_url="https://lms.example.org/auth",
    token_url="https://api.example.org/token",
    key_set_url="https://lms.example.org/keys",
    profile="openedx",
)


def put(database: Database, now: datetime, new: NewRegistration = NEW, deployments: tuple[str, ...] = ("1",)) -> int:
    with database.write() as connection:
        return add(connection, new, deployments, actor="cli", now=now)


def test_saying_the_same_again_only_adds_deployments(database: Database, now: datetime) -> None:
    first = put(database, now)
    assert put(database, now, deployments=("1", "2")) == first
    with database.read() as connection:
        (registered,) = list_registrations(connection)
        acts = list(connection.scalars(select(audit_log.c.act)))
    assert registered.deployment_ids == {"1", "2"}
    assert acts == ["platform_added"]


def test_other_values_for_the_same_client_are_refused(database: Database, now: datetime) -> None:
    put(database, now)
    with pytest.raises(Conflict) as refused:
        put(database, now, replace(NEW, token_url="https://api.example.org/other"))
    assert refused.value.code == "platform_exists"


def test_one_issuer_may_have_many_clients(database: Database, now: datetime) -> None:
    assert put(database, now) != put(database, now, replace(NEW, client_id="client-2"))


WRONG: list[dict[str, str]] = [
    {"issuer": ""},
    {"issuer": "x" * 256},
    {"client_id": "  "},
    {"profile": "blackboard"},
    {"auth_login_url": "lms.example.org/auth"},
    {"token_url": ""},
    {"key_set_url": "javascript:alert(1)"},
    {"client_id": "a\x00b"},
    {"issuer": "\ud800"},
    {"token_audience": ""},
    {"token_url": "https://api.example.org/" + "x" * 2048},
    {"token_url": "https://api.example.org/\x00"},
]


def test_what_cannot_be_a_registration_is_refused(database: Database, now: datetime, subtests: pytest.Subtests) -> None:
    for changed in WRONG:
        with subtests.test(changed=str(changed)[:60]), pytest.raises(BadInput) as refused:
            put(database, now, replace(NEW, **changed))
        assert refused.value.code == "platform_wrong"


@pytest.mark.parametrize("deployments", [(), ("",), ("x" * 256,), ("1", "")])
def test_each_deployment_id_is_checked(deployments: tuple[str, ...], database: Database, now: datetime) -> None:
    with pytest.raises(BadInput):
        put(database, now, deployments=deployments)


def test_addresses_may_be_corrected(database: Database, now: datetime) -> None:
    platform_id = put(database, now)
    with database.write() as connection:
        change(connection, platform_id, {"token_url": "https://new.example.org/t"}, ["2"], actor="cli", now=now)
        registered = load(connection, platform_id)
    assert registered.token_url == "https://new.example.org/t"
    assert registered.auth_login_url == NEW.auth_login_url
    assert registered.deployment_ids == {"1", "2"}


def test_a_registration_that_does_not_exist_is_told(database: Database, now: datetime) -> None:
    with database.write() as connection, pytest.raises(NotFound) as refused:
        set_status(connection, 99, "disabled", actor="cli", now=now)
    assert refused.value.code == "platform_missing"


def test_a_platforms_hosts_are_those_of_its_addresses(database: Database, now: datetime) -> None:
    platform_id = put(database, now)
    with database.read() as connection:
        assert load(connection, platform_id).hosts == {"https://lms.example.org", "https://api.example.org"}


def test_more_origins_of_its_services_belong_to_a_platform(database: Database, now: datetime) -> None:
    more = ["https://api2.example.org/v1/", "https://api2.example.org", "https://API3.example.org:443"]
    with database.write() as connection:
        platform_id = add(connection, NEW, ["1"], actor="cli", now=now, service_origins=more)
        hosts = load(connection, platform_id).hosts
        same = add(connection, NEW, ["1"], actor="cli", now=now, service_origins=more[1:])
        change(connection, platform_id, {"service_origins": ["https://new.example.org/x"]}, [], actor="cli", now=now)
        changed = load(connection, platform_id)
    own = {"https://lms.example.org", "https://api.example.org"}
    assert hosts == own | {"https://api2.example.org", "https://api3.example.org"}
    assert same == platform_id
    assert changed.hosts == own | {"https://new.example.org"}


@pytest.mark.parametrize("address", ["api.example.org", "javascript:alert(1)", "", "https://a\nb"])
def test_a_further_origin_must_be_a_web_address(address: str, database: Database, now: datetime) -> None:
    with database.write() as connection, pytest.raises(BadInput) as refused:
        add(connection, NEW, ["1"], actor="cli", now=now, service_origins=[address])
    assert refused.value.code == "platform_wrong"


def pend(database: Database, now: datetime, deployments: tuple[str, ...] = ("1",), **changed: str) -> int:
    with database.write() as connection:
        return add(
            connection,
            replace(NEW, **changed),
            deployments,
            actor="invitation:1",
            now=now,
            came_by="dynamic",
            status="pending",
        )


def test_a_pending_platform_launches_nothing(database: Database, now: datetime) -> None:
    platform_id = pend(database, now)
    with database.read() as connection:
        for ask in (
            lambda: find(connection, NEW.issuer, NEW.client_id),
            lambda: find(connection, NEW.issuer, None),
            lambda: load_active(connection, platform_id),
        ):
            with pytest.raises(RefusedLaunch) as refused:
                ask()
            assert (refused.value.code, refused.value.status) == ("platform_pending", 403)
            assert "approve" in refused.value.next_step


def test_a_pending_platform_does_not_stand_in_the_way_of_an_active_one(database: Database, now: datetime) -> None:
    active = put(database, now)
    pend(database, now, client_id="client-2")
    with database.read() as connection:
        assert find(connection, NEW.issuer, None).id == active


def test_an_approval_is_audited_with_who_gave_it(database: Database, now: datetime) -> None:
    platform_id = pend(database, now)
    with database.write() as connection:
        approve(connection, platform_id, [], actor="staff:7", now=now)
        assert find(connection, NEW.issuer, NEW.client_id).came_by == "dynamic"
        rows = connection.execute(select(audit_log.c.act, audit_log.c.actor).order_by(audit_log.c.id))
        assert [tuple(row) for row in rows] == [("platform_added", "invitation:1"), ("platform_approved", "staff:7")]


def test_without_a_deployment_id_nothing_is_approved(database: Database, now: datetime) -> None:
    platform_id = pend(database, now, ())
    with database.write() as connection:
        with pytest.raises(Conflict) as refused:
            approve(connection, platform_id, [], actor="staff:7", now=now)
        assert refused.value.code == "deployment_missing"
        with pytest.raises(BadInput):
            approve(connection, platform_id, ["x" * 256], actor="staff:7", now=now)
        approve(connection, platform_id, ["3"], actor="staff:7", now=now)
        assert load(connection, platform_id).deployment_ids == {"3"}


def test_a_declined_platform_may_be_let_in_later(database: Database, now: datetime) -> None:
    platform_id = pend(database, now)
    with database.write() as connection:
        set_status(connection, platform_id, "disabled", actor="staff:7", now=now)
        with pytest.raises(Conflict) as refused:
            approve(connection, platform_id, [], actor="staff:7", now=now)
        assert refused.value.code == "platform_not_pending"
        set_status(connection, platform_id, "active", actor="staff:7", now=now)
        assert load(connection, platform_id).is_active


def test_what_registers_itself_never_adds_to_a_platform_that_is_there(database: Database, now: datetime) -> None:
    platform_id = put(database, now)
    with pytest.raises(Conflict) as refused:
        pend(database, now, ("2",))
    assert refused.value.code == "platform_exists"
    with database.read() as connection:
        assert load(connection, platform_id).deployment_ids == {"1"}


OTHER_KEYS = {"client_id": "client-2", "key_set_url": "https://lms.example.org/~somebody/keys"}


def test_other_keys_for_a_known_issuer_need_an_explicit_word(database: Database, now: datetime) -> None:
    put(database, now)
    platform_id = pend(database, now, **OTHER_KEYS)
    with database.write() as connection:
        for decide in (
            lambda: approve(connection, platform_id, [], actor="staff:7", now=now),
            lambda: set_status(connection, platform_id, "active", actor="staff:7", now=now),
        ):
            with pytest.raises(Conflict) as refused:
                decide()
            assert refused.value.code == "platform_doubtful"
            assert f"`gatehouse platform approve {platform_id} --confirm`" in refused.value.next_step
        assert load(connection, platform_id).status == "pending"
        approve(connection, platform_id, [], actor="cli", now=now, confirmed=True)
        assert load(connection, platform_id).is_active


def test_a_declined_platform_is_doubted_as_well(database: Database, now: datetime) -> None:
    put(database, now)
    platform_id = pend(database, now, **OTHER_KEYS)
    with database.write() as connection:
        set_status(connection, platform_id, "disabled", actor="staff:7", now=now)
        with pytest.raises(Conflict) as refused:
            set_status(connection, platform_id, "active", actor="staff:7", now=now)
        assert refused.value.code == "platform_doubtful"
        assert f"`gatehouse platform enable {platform_id} --confirm`" in refused.value.next_step
        set_status(connection, platform_id, "active", actor="cli", now=now, confirmed=True)


def test_units_that_were_added_by_command_are_not_doubted(database: Database, now: datetime) -> None:
    put(database, now)
    unit = put(database, now, replace(NEW, **OTHER_KEYS))
    with database.write() as connection:
        set_status(connection, unit, "disabled", actor="staff:7", now=now)
        set_status(connection, unit, "active", actor="staff:7", now=now)
        assert load(connection, unit).is_active


def meanwhile(
    database: Database, first: Callable[[Connection], Any], second: Callable[[Connection], Any]
) -> Future[Any]:
    """The second begins while the first has done its work and not committed it."""

    def late() -> Any:
        with database.write() as connection:
            return second(connection)

    with ThreadPoolExecutor() as threads:
        with database.write() as connection:
            first(connection)
            begun = threads.submit(late)
            sleep(0.3)
        return begun


def test_of_two_who_add_the_same_at_once_both_get_one_registration(database: Database, now: datetime) -> None:
    first = meanwhile(
        database,
        lambda connection: add(connection, NEW, ["1"], actor="cli", now=now),
        lambda connection: add(connection, NEW, ["2"], actor="cli", now=now),
    )
    with database.read() as connection:
        (registered,) = list_registrations(connection)
    assert (first.result(), registered.deployment_ids) == (registered.id, {"1", "2"})


def test_of_two_that_claim_one_issuer_and_are_approved_at_once_one_is_let_in(database: Database, now: datetime) -> None:
    one, other = pend(database, now), pend(database, now, **OTHER_KEYS)
    second = meanwhile(
        database,
        lambda connection: approve(connection, one, [], actor="staff:7", now=now),
        lambda connection: approve(connection, other, [], actor="staff:8", now=now),
    )
    refused = second.exception()
    assert isinstance(refused, Conflict)
    assert refused.code == "platform_doubtful"


def test_an_approval_does_not_undo_what_somebody_declined_meanwhile(database: Database, now: datetime) -> None:
    platform_id = pend(database, now)
    second = meanwhile(
        database,
        lambda connection: set_status(connection, platform_id, "disabled", actor="staff:7", now=now),
        lambda connection: approve(connection, platform_id, [], actor="staff:8", now=now),
    )
    refused = second.exception()
    assert isinstance(refused, Conflict)
    assert refused.code in ("platform_not_pending", "platform_changed_meanwhile")
    with database.read() as connection:
        assert load(connection, platform_id).status == "disabled"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://LMS.example.org/a", "https://lms.example.org"),
        ("https://lms.example.org:443", "https://lms.example.org"),
        ("http://lms.example.org:80/", "http://lms.example.org"),
        ("https://lms.example.org:80/", "https://lms.example.org:80"),
        ("http://127.0.0.1:8001/x?y#z", "http://127.0.0.1:8001"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert origin(url) == expected

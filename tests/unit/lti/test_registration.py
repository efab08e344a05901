"""Registering platforms."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import select

from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.lti.registration import NewRegistration, add, change, list_registrations, load, origin, set_status
from lti_tool.tables.housekeeping import audit_log

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

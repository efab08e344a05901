"""A file of registrations: what each row does, and that hostile files do nothing."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from lti_tool.db import Database
from lti_tool.errors import BadInput
from lti_tool.http import Http
from lti_tool.lti.registration import Registration, list_registrations
from lti_tool.platforms.registration_file import MOST_ROWS, Planned, carry_out, plan, read_platform_file

ROW: Mapping[str, Any] = {
    "issuer": "https://lms.example.org",
    "client_id": "client-1",
    "deployment_ids": ["1"],
    "auth_login_url": "https://lms.example.org/auth",
    "token_url": "https://lms.example.org/token",
    "key_set_url": "https://lms.example.org/keys",
}
YAML = b"""
- issuer: https://lms.example.org
  client_id: client-1
  deployment_ids: ["1"]
  auth_login_url: https://lms.example.org/auth
  token_url: https://lms.example.org/token
  key_set_url: https://lms.example.org/keys
  profile: openedx
  service_origins: [https://studio.example.org]
- {issuer: https://canvas.example.org, client_id: "10000000000042", deployment_ids: ["7:ab"], audience: canvas,
   auth_login_url: https://canvas.example.org/a, token_url: https://canvas.example.org/t,
   key_set_url: https://canvas.example.org/k, profile: canvas, old_roles: false}
"""


def content(*rows: Any) -> bytes:
    return json.dumps(rows).encode()


def imported(database: Database, now: datetime, document: bytes) -> list[Planned]:
    with database.write() as connection:
        planned = plan(connection, Http(), read_platform_file(document))
        carry_out(connection, planned, actor="cli", now=now)
        return planned


def every(database: Database) -> list[Registration]:
    with database.read() as connection:
        return list_registrations(connection)


def test_a_yaml_file_registers_its_platforms(database: Database, now: datetime) -> None:
    planned = imported(database, now, YAML)
    assert [(each.outcome, each.entry.line) for each in planned] == [("new", 2), ("new", 10)]
    first, second = every(database)
    assert (first.profile.name, first.status, first.came_by) == ("openedx", "active", "file")
    assert first.hosts == {"https://lms.example.org", "https://studio.example.org"}
    assert (second.client_id, second.token_audience, second.deployment_ids) == ("10000000000042", "canvas", {"7:ab"})


def test_a_file_imported_twice_changes_nothing(database: Database, now: datetime) -> None:
    imported(database, now, YAML)
    before = every(database)
    assert {each.outcome for each in imported(database, now, YAML)} == {"same"}
    assert every(database) == before


def test_a_registered_platform_becomes_what_its_row_says(database: Database, now: datetime) -> None:
    imported(database, now, content(ROW))
    row = ROW | {
        "token_url": "https://api.example.org/t",
        "deployment_ids": ["2"],
        "service_origins": ["https://b.example.org"],
    }
    (planned,) = imported(database, now, content(row))
    assert (planned.outcome, planned.detail) == ("changed", "token_url, service_origins, deployment_ids")
    (changed,) = every(database)
    assert changed.token_url == "https://api.example.org/t"
    assert changed.deployment_ids == {"1", "2"}
    assert changed.service_origins == {"https://b.example.org"}
    assert changed.came_by == "file"


REFUSED: list[tuple[Any, str]] = [
    ("text", "group of names"),
    ([], "group of names"),
    (ROW | {"clientid": "x"}, "no value called 'clientid'"),
    ({name: ROW[name] for name in ROW if name != "token_url"}, "token_url is missing"),
    (ROW | {"client_id": 10000000000042}, "put it in quotes"),
    (ROW | {"deployment_ids": [1]}, "put it in quotes"),
    (ROW | {"deployment_ids": "1"}, "deployment_ids is a list"),
    (ROW | {"deployment_ids": []}, "At least one deployment id"),
    (ROW | {"old_roles": "yes"}, "true or false"),
    (ROW | {"profile": "blackboard"}, "profile must be one of"),
    (ROW | {"issuer": "a\x00b"}, "issuer must have"),
    (ROW | {"token_url": "javascript:alert(1)"}, "absolute web address"),
    (ROW | {"token_url": "http://lms.example.org/t"}, "https://"),
    (ROW | {"key_set_url": "https://10.0.0.8/keys"}, "private network"),
    (ROW | {"service_origins": ["https://192.168.0.1"]}, "private network"),
    (ROW | {"service_origins": ["lms"]}, "services must be"),
    (ROW | {"service_origins": [f"https://s{n}.example.org" for n in range(21)]}, "at most 20"),
]


@pytest.mark.parametrize(("row", "detail"), REFUSED)
def test_one_row_that_cannot_be_taken_stops_the_whole_file(
    row: Any, detail: str, database: Database, now: datetime
) -> None:
    document = content(ROW | {"client_id": "good"}, row)
    with database.read() as connection:
        good, bad = plan(connection, Http(), read_platform_file(document))
    assert (good.outcome, bad.outcome) == ("new", "refused")
    assert detail in bad.detail
    with pytest.raises(BadInput) as refused:
        imported(database, now, document)
    assert refused.value.code == "platform_rows_refused"
    assert every(database) == []


def test_the_same_platform_twice_in_a_file_is_refused(database: Database, now: datetime) -> None:
    with database.read() as connection:
        first, second = plan(connection, Http(), read_platform_file(content(ROW, ROW | {"profile": "openedx"})))
    assert (first.outcome, second.outcome) == ("new", "refused")
    assert "same issuer and client id" in second.detail


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(8)
)
HOSTILE = {
    "nothing": b"",
    "no list": b"issuer: https://lms.example.org",
    "an empty list": b"[]",
    "no YAML": b"- {a: [",
    "an object to build": b"- !!python/object/apply:os.system ['true']",
    "no UTF-8": b"\xff\xfe\x00",
    "too large": b"- " + b"x" * 1_100_000,
    "too deep": b"[" * 500 + b"]" * 500,
    "growing aliases": BOMB,
    "a key twice": b"- {issuer: a, issuer: b}",
    "too many rows": b"[" + b",".join([b"x"] * (MOST_ROWS + 1)) + b"]",
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_list_of_registrations_is_refused(document: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        read_platform_file(document)
    assert refused.value.code == "platform_file_unreadable"

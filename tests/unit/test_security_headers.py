"""Who may frame the tool: origins only, and those last read while the database is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from lti_tool.db import Database
from lti_tool.security_headers import FrameAncestors, origin_of
from tests.platform import Platform


class Leaving(Database):
    """A database that answers until `away` is set."""

    away = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self.away:
            raise OperationalError("BEGIN", {}, Exception())
        with super().read() as connection:
            yield connection


@pytest.fixture
def leaving(database_url: str, database: Database) -> Iterator[Leaving]:
    leaving = Leaving(database_url, database.engine.dialect.field_cipher)  # type: ignore[attr-defined]
    yield leaving
    leaving.close()


@pytest.mark.databases("sqlite")
def test_origins_last_read_stay_while_the_database_is_away(leaving: Leaving, now: datetime) -> None:
    Platform().register(leaving, now)
    ancestors = FrameAncestors(leaving, (), remembered_seconds=0)
    assert ancestors.value() == "https://lms.example.org"
    leaving.away = True
    assert ancestors.value() == "https://lms.example.org"


@pytest.mark.databases("sqlite")
def test_a_database_that_was_never_there_lets_nobody_frame(leaving: Leaving) -> None:
    leaving.away = True
    assert FrameAncestors(leaving, ()).value() == "'none'"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://lms.example.org/auth", "https://lms.example.org"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000"),
        ("https://user@[::1]:8443/", "https://[::1]:8443"),
    ],
)
def test_the_origin_of_an_address(address: str, origin: str) -> None:
    assert origin_of(address) == origin


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "lms",
        "urn:lms",
        "https://",
        "https://[::1",
        "https://[x]/",
        "https://a;script-src *",
        "https://a,b",
        "https://*",
    ],
)
def test_an_odd_issuer_is_no_origin(issuer: str) -> None:
    assert origin_of(issuer) is None

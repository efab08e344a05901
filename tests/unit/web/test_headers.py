"""Who may frame the tool: origins only, and those last read while the database is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from lti_tool.db import Database
from lti_tool.web.headers import FrameAncestors, allow, origin_of, register
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


def policy_of(leaving: Leaving, *, of: str = "/", **allowed: list[str | None]) -> str:
    """The policy of a page whose view allows something, or (`of`) of another page that is asked for right after it."""
    app = Flask("pages")
    register(app, FrameAncestors(leaving, ()), https=True)

    @app.get("/")
    def page() -> str:
        allow(**allowed)
        return "<p>page"

    @app.get("/other")
    def other() -> str:
        return "<p>other"

    client = app.test_client()
    with client.application.app_context():
        first = client.get("/")
        return (first if of == "/" else client.get(of)).headers["Content-Security-Policy"]


@pytest.mark.databases("sqlite")
class TestWhatOnePageAllowsBesides:
    def test_a_form_may_go_to_more_origins(self, leaving: Leaving) -> None:
        policy = policy_of(
            leaving, form_to=["https://lms.example.org/return?a=b", "https://b.example.org", "https://lms.example.org"]
        )
        assert "form-action 'self' https://b.example.org https://lms.example.org; frame-ancestors 'none'" in policy

    def test_one_more_origin_may_frame_it(self, leaving: Leaving, now: datetime) -> None:
        assert policy_of(leaving, framed_by=["https://new.example.org"]).endswith(
            "frame-ancestors https://new.example.org"
        )
        Platform().register(leaving, now)
        assert policy_of(leaving, framed_by=["https://new.example.org"]).endswith(
            "frame-ancestors https://lms.example.org https://new.example.org"
        )

    def test_an_origin_that_may_already_is_not_named_twice(self, leaving: Leaving, now: datetime) -> None:
        Platform().register(leaving, now)
        policy = policy_of(leaving, framed_by=["https://lms.example.org"])
        assert policy.count("https://lms.example.org") == 1

    @pytest.mark.parametrize("address", ["", None, "javascript:alert(1)", "*", "https://a;script-src *", "https://*"])
    def test_what_has_no_origin_allows_nothing(self, address: str | None, leaving: Leaving) -> None:
        policy = policy_of(leaving, form_to=[address], framed_by=[address])
        assert policy.endswith("form-action 'self'; frame-ancestors 'none'")

    def test_the_next_page_allows_no_more_than_before(self, leaving: Leaving) -> None:
        given = "https://new.example.org"
        assert given in policy_of(leaving, form_to=[given], framed_by=[given])
        assert given not in policy_of(leaving, of="/other", form_to=[given], framed_by=[given])

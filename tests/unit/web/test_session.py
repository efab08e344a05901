"""The session in the frame: who gets in, with which role, and what a form must carry."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask import request as http_request
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select

from lti_tool.attendance import person_joins
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.lti import registration
from lti_tool.rights import USE_DESK
from lti_tool.tables.browser_sessions import used_nonces, web_sessions
from lti_tool.web import session
from lti_tool.web.request import abandon, connection, now, writes
from lti_tool.web.session import access, forget_sessions, viewer
from tests.clock import TestClock
from tests.platform import INSTRUCTOR, Platform, code_of

pytestmark = pytest.mark.usefixtures("published")


def leave_a_mark(mark: str) -> None:
    expires_at = datetime(2100, 1, 1, tzinfo=UTC)
    connection().execute(insert(used_nonces).values(nonce=mark, expires_at=expires_at))


def marks(database: Database) -> list[str]:
    with database.read() as reading:
        return list(reading.scalars(select(used_nonces.c.nonce).where(func.length(used_nonces.c.nonce) < 10)))


@pytest.fixture
def app(app: Flask) -> Flask:
    """The tool, with a few views more."""

    @app.get("/t/who")
    @access("trainee")
    def who() -> str:
        return f"{viewer().actor} in {viewer().context_id}"

    @app.get("/t/staff")
    @access(USE_DESK)
    def staff() -> str:
        return viewer().actor

    @app.get("/t/form")
    @access("trainee")
    def form() -> str:
        return render_template_string("{{ csrf_token() }}")

    @app.post("/t/write/<outcome>")
    @access("trainee")
    def write(outcome: str) -> tuple[str, int]:
        leave_a_mark(outcome)
        if outcome == "refuse":
            raise Conflict("refused_here", "No.")
        if outcome == "break":
            raise ZeroDivisionError
        return outcome, int(outcome) if outcome.isdigit() else 200

    @app.get("/t/read")
    @access("public")
    def read() -> str:
        return str(connection().execute(select(func.count()).select_from(used_nonces)).scalar_one())

    @app.get("/t/writing-get")
    @access("public")
    @writes
    def writing_get() -> str:
        leave_a_mark("get")
        return "written"

    @app.post("/t/abandoned")
    @access("public")
    def abandoned() -> str:
        leave_a_mark("first")
        abandon()
        leave_a_mark("second")
        return "written"

    @app.post("/t/fields")
    @access("public")
    def fields() -> str:
        return str(len(http_request.form.getlist("a")))

    @app.get("/t/now")
    @access("public")
    def instants() -> str:
        return str(now() == now())

    return app


def test_without_a_session_the_page_says_how_to_get_one(client: FlaskClient) -> None:
    response = client.get("/t/who")
    assert response.status_code == 403
    assert code_of(response) == "session_missing"
    assert "open this unit again" in response.get_data(as_text=True)


@pytest.mark.parametrize("value", ["", "guessed", "x" * 4000, "é"])
def test_a_made_up_cookie_opens_nothing(value: str, client: FlaskClient) -> None:
    client.set_cookie(session.COOKIE, value)
    assert code_of(client.get("/t/who")) == "session_missing"


def test_a_launch_opens_the_pages_of_its_role(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    platform.launch(client, clock())
    assert client.get("/t/who").text == "trainee:1 in course-1"
    refused = client.get("/t/staff")
    assert (refused.status_code, code_of(refused)) == (403, "role_not_allowed")


def test_staff_see_both(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    platform.launch(client, clock(), roles=[INSTRUCTOR])
    assert client.get("/t/who").text == "staff:1 in course-1"
    assert client.get("/t/staff").text == "staff:1"


def test_a_launch_elsewhere_ends_what_the_first_one_showed(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    platform.launch(client, clock(), roles=[INSTRUCTOR])
    platform.launch(client, clock(), user="user-2", context={"id": "course-2"}, resource_link={"id": "unit-2"})
    assert client.get("/t/who").text == "trainee:2 in course-2"
    assert code_of(client.get("/t/staff")) == "role_not_allowed"


def test_a_session_ends_after_twelve_hours(
    client: FlaskClient, platform: Platform, clock: TestClock, database: Database
) -> None:
    platform.launch(client, clock())
    clock.advance(hours=11, minutes=59)
    assert client.get("/t/who").status_code == 200
    forget_sessions(database, clock())
    assert client.get("/t/who").status_code == 200
    clock.advance(minutes=1)
    assert code_of(client.get("/t/who")) == "session_missing"
    forget_sessions(database, clock.advance(seconds=1))
    with database.read() as reading:
        assert reading.execute(select(func.count()).select_from(web_sessions)).scalar_one() == 0


def test_disabling_a_platform_ends_its_sessions(
    client: FlaskClient, platform: Platform, clock: TestClock, database: Database
) -> None:
    platform.launch(client, clock())
    with database.write() as writing:
        registration.set_status(writing, platform.registration_id, "disabled", actor="cli", now=clock())
    assert code_of(client.get("/t/who")) == "session_missing"


class TestForms:
    def test_a_form_of_this_session_is_taken(
        self, client: FlaskClient, platform: Platform, clock: TestClock, database: Database
    ) -> None:
        platform.launch(client, clock())
        token = client.get("/t/form").text
        assert client.post("/t/write/ok", data={"csrf": token}).text == "ok"
        assert marks(database) == ["ok"]

    @pytest.mark.parametrize("data", [{}, {"csrf": ""}, {"csrf": "guessed"}, {"csrf": "é"}])
    def test_a_form_without_this_sessions_token_is_refused(
        self, data: dict[str, str], client: FlaskClient, platform: Platform, clock: TestClock, database: Database
    ) -> None:
        platform.launch(client, clock())
        refused = client.post("/t/write/ok", data=data)
        assert (refused.status_code, code_of(refused)) == (403, "form_not_ours")
        assert marks(database) == []

    def test_the_token_of_another_session_does_not_fit(
        self, app: Flask, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        platform.launch(client, clock())
        other = app.test_client()
        platform.launch(other, clock())
        refused = client.post("/t/write/ok", data={"csrf": other.get("/t/form").text})
        assert code_of(refused) == "form_not_ours"

    @pytest.mark.parametrize("path", ["/t/write/ok", "/t/abandoned"])
    def test_a_form_is_read_before_anything_asks_for_a_connection(
        self, path: str, client: FlaskClient, platform: Platform, clock: TestClock, database: Database
    ) -> None:
        """A form may arrive slowly; on SQLite whoever may write keeps everybody else from writing."""
        platform.launch(client, clock())
        held: list[int] = []

        class Arriving(BytesIO):
            def readinto(self, buffer: Any) -> int:
                held.append(database.engine.pool.checkedout())  # type: ignore[attr-defined]
                return super().readinto(buffer)

        form = f"csrf={client.get('/t/form').text}".encode()
        kind = "application/x-www-form-urlencoded"
        sent = client.post(path, input_stream=Arriving(form), content_length=len(form), content_type=kind)
        assert sent.status_code == 200
        assert set(held) == {0}

    def test_a_character_that_no_database_stores_is_refused(
        self, client: FlaskClient, platform: Platform, clock: TestClock, database: Database
    ) -> None:
        platform.launch(client, clock())
        refused = client.post("/t/write/ok", data={"csrf": client.get("/t/form").text, "text": "a\0b"})
        assert (refused.status_code, code_of(refused)) == (422, "form_unreadable")
        assert marks(database) == []


class TestLimits:
    """Before a body is parsed, its size and the number of its fields are checked."""

    KIND = "application/x-www-form-urlencoded"

    @pytest.mark.parametrize("path", ["/t/write/ok", "/t/abandoned", "/lti/login", "/lti/launch", "/equivalency/F1"])
    @pytest.mark.parametrize("pairs", [b"a&" * 240_000, b"a&" * 30_000, b"a&" * 200])
    def test_a_form_of_many_fields_is_refused(self, client: FlaskClient, path: str, pairs: bytes) -> None:
        refused = client.post(path, data=pairs, content_type=self.KIND)
        assert refused.status_code == 413
        assert code_of(refused) in ("form_too_many_fields", "form_too_large")

    def test_the_page_says_how_much_a_form_may_hold(self, client: FlaskClient) -> None:
        large = client.post("/t/abandoned", data=b"a=" + b"x" * 64 * 1024, content_type=self.KIND)
        assert (large.status_code, code_of(large)) == (413, "form_too_large")
        assert "larger than 64 KB" in large.text
        many = client.post("/t/abandoned", data=b"a&" * 200, content_type=self.KIND)
        assert (many.status_code, code_of(many)) == (413, "form_too_many_fields")
        assert "more than 200 fields" in many.text

    def test_a_form_within_the_limits_is_taken(self, client: FlaskClient) -> None:
        body = b"&".join(b"a=1" for _ in range(200))
        assert client.post("/t/fields", data=body, content_type=self.KIND).text == "200"
        assert client.post("/t/fields", data=b"a=" + b"x" * 65_000, content_type=self.KIND).text == "1"

    def test_a_form_in_parts_has_the_same_limits(self, client: FlaskClient) -> None:
        parts = {f"field-{number}": "1" for number in range(201)}
        refused = client.post("/t/fields", data=parts, content_type="multipart/form-data")
        assert (refused.status_code, code_of(refused)) == (413, "form_too_large")

    def test_a_body_without_a_length_is_not_read_past_the_limit(self, client: FlaskClient) -> None:
        endless = BytesIO(b"a=" + b"x" * 10_000_000)
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        refused = client.post("/t/fields", input_stream=endless, content_type=self.KIND, environ_overrides=chunked)
        assert refused.status_code == 413
        assert endless.tell() < 1_000_000

    def test_a_view_may_declare_limits_of_its_own(self, app: Flask, client: FlaskClient) -> None:
        @app.post("/t/large")
        @access("public", session.Limits(max_bytes=1_000_000, max_fields=1000))
        def large() -> str:
            return "taken"

        assert client.post("/t/large", data=b"a=" + b"x" * 500_000, content_type=self.KIND).status_code == 200
        assert client.post("/t/large", data=b"a&" * 999, content_type=self.KIND).status_code == 200
        assert client.post("/t/large", data=b"a&" * 1000, content_type=self.KIND).status_code == 413


class TestOneTransactionForEachRequest:
    @pytest.fixture
    def token(self, client: FlaskClient, platform: Platform, clock: TestClock) -> str:
        platform.launch(client, clock())
        return client.get("/t/form").text

    @pytest.mark.parametrize("outcome", ["refuse", "break", "500", "503"])
    def test_a_refusal_or_an_error_leaves_nothing(
        self, outcome: str, client: FlaskClient, token: str, database: Database, app: Flask
    ) -> None:
        app.testing = False
        assert client.post(f"/t/write/{outcome}", data={"csrf": token}).status_code >= 400
        assert marks(database) == []
        assert client.post("/t/write/after", data={"csrf": token}).text == "after"

    @pytest.mark.parametrize("outcome", ["201", "404", "422"])
    def test_an_answer_that_a_view_gives_itself_is_committed(
        self, outcome: str, client: FlaskClient, token: str, database: Database
    ) -> None:
        assert client.post(f"/t/write/{outcome}", data={"csrf": token}).status_code == int(outcome)
        assert marks(database) == [outcome]

    def test_a_marked_view_writes_though_it_answers_get(self, client: FlaskClient, database: Database) -> None:
        assert client.get("/t/writing-get").text == "written"
        assert marks(database) == ["get"]

    def test_what_comes_after_an_abandoned_start_is_kept(self, client: FlaskClient, database: Database) -> None:
        assert client.post("/t/abandoned").text == "written"
        assert marks(database) == ["second"]

    def test_no_connection_is_left_behind(
        self, client: FlaskClient, token: str, database: Database, app: Flask
    ) -> None:
        app.testing = False
        for outcome in ("ok", "refuse", "break", "500"):
            client.post(f"/t/write/{outcome}", data={"csrf": token})
            client.get("/t/read")
            client.get("/t/nowhere")
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    def test_a_request_has_one_instant(self, client: FlaskClient) -> None:
        assert client.get("/t/now").text == "True"


@pytest.mark.parametrize("act", ["join", "undo"])
def test_a_join_and_its_undoing_end_the_sessions_of_both_people(
    client: FlaskClient, platform: Platform, clock: TestClock, database: Database, app: Flask, act: str
) -> None:
    other = app.test_client()
    given = {"reason": "One person.", "actor": "cli"}

    def join() -> int:
        with database.write() as writing:
            return person_joins.join(writing, kept_id=1, joined_id=2, now=clock(), **given)

    for each, user in ((client, "user-1"), (other, "user-2")):
        platform.launch(each, clock(), user=user)
        clock.advance(seconds=1)
    made = join()
    if act == "undo":
        platform.launch(client, clock(), user="user-1")
        platform.launch(other, clock(), user="user-2")
        assert other.get("/t/who").text == "trainee:1 in course-1"
        with database.write() as writing:
            person_joins.undo(writing, made, now=clock.advance(seconds=1), **given)
    assert [code_of(each.get("/t/who")) for each in (client, other)] == ["session_missing"] * 2
    forget_sessions(database, clock.advance(minutes=1))
    with database.read() as reading:
        assert reading.scalar(select(func.count()).select_from(web_sessions)) == (4 if act == "undo" else 2)

"""The cookie ladder over HTTP: what each rung hands out, and to whom it hands out nothing."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from lti_tool.db import Database
from lti_tool.signing import fingerprint
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.web.session import GO_ON
from tests.clock import TestClock
from tests.platform import INSTRUCTOR, Platform, code_of, parameters_of

OWN = "https://gatehouse.example.org"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def blocked(app: Flask) -> FlaskClient:
    """A browser that keeps no cookie of ours."""
    return app.test_client(use_cookies=False)


class Begun:
    """A login at a platform that offered its storage, as the page that came of it tells."""

    def __init__(self, client: FlaskClient, platform: Platform, clock: TestClock, **changed: str) -> None:
        self.page = platform.login(client, **({"lti_storage_target": "_parent"} | changed))
        given = dict(re.findall(r'(href|data-\w+)="([^"]*)"', self.page.text.partition('id="go-on"')[2]))
        self.target, self.key, self.value = given["data-target"], given["data-key"], given["data-value"]
        query = parameters_of(TestResponse([], "302", {"Location": unescape(given["href"])}, None))  # type: ignore[arg-type]
        self.state, self.nonce = query["state"], query["nonce"]
        self.id_token = platform.sign(platform.claims(self.nonce, clock()))

    def launch(self, client: FlaskClient, stored: str | None = None, origin: str | None = OWN) -> TestResponse:
        """What the platform sends, or with `stored` what the page of ours at `origin` sends after it."""
        sent = {"id_token": self.id_token, "state": self.state} | ({} if stored is None else {"stored": stored})
        headers = {} if stored is None or origin is None else {"Origin": origin}
        return client.post("/lti/launch", data=sent, headers=headers)


@pytest.fixture
def begun(blocked: FlaskClient, platform: Platform, clock: TestClock) -> Begun:
    return Begun(blocked, platform, clock)


def counted(database: Database) -> int:
    """Browser sessions; each has consumed a nonce."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(web_sessions)).scalar_one()


class TestTheLogin:
    def test_where_storage_is_offered_a_page_leaves_a_value_there_and_sets_the_cookie_as_well(
        self, begun: Begun
    ) -> None:
        cookie = begun.page.headers["Set-Cookie"].partition(";")[0].partition("=")
        assert begun.page.status_code == 200
        assert (begun.target, begun.key) == ("_parent", f"gatehouse-{begun.nonce[:16]}")
        assert cookie[0] == f"__Host-gatehouse-state-{begun.nonce[:16]}"
        assert len(begun.value) == 43
        assert begun.value != cookie[2], "what scripts may read stands for no cookie"
        assert begun.page.headers["Cache-Control"] == "no-store"
        assert begun.page.headers["Referrer-Policy"] == "no-referrer"

    def test_the_page_holds_no_script_of_its_own(self, begun: Begun) -> None:
        assert re.findall(r"<script(?![^>]* src=)", begun.page.text) == []
        assert "script-src 'self'" in begun.page.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("target", ["_parent", "storage", "post_message-forwarding", "A" * 64])
    def test_frames_have_plain_names(
        self, target: str, blocked: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        assert Begun(blocked, platform, clock, lti_storage_target=target).target == target

    @pytest.mark.parametrize("target", ["", "A" * 65, "a b", "a.b", "a'b", '"><script>', "é", "_parent\n", "\0"])
    def test_a_name_that_is_no_frames_counts_as_none(
        self, target: str, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        response = platform.login(client, lti_storage_target=target)
        assert response.status_code == 302
        token = platform.sign(platform.claims(parameters_of(response)["nonce"], clock()))
        sent = {"id_token": token, "state": parameters_of(response)["state"]}
        assert client.post("/lti/launch", data=sent).status_code == 303


class TestTheFirstRung:
    def test_a_cookie_that_comes_back_is_enough(
        self, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        assert Begun(client, platform, clock).launch(client).headers["Location"] == "/modules/F1"

    @pytest.mark.parametrize("stored", ["", "wrong"])
    def test_with_the_cookie_no_storage_counts(
        self, stored: str, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        assert Begun(client, platform, clock).launch(client, stored).status_code == 303

    def test_a_browser_that_keeps_other_cookies_of_ours_is_another_browser(
        self, client: FlaskClient, platform: Platform, begun: Begun
    ) -> None:
        platform.login(client)
        for stored in (None, "", "wrong", begun.value):
            assert code_of(begun.launch(client, stored)) == "state_foreign"


class TestTheSecondRung:
    def test_without_a_cookie_a_page_asks_the_platform(self, begun: Begun, blocked: FlaskClient) -> None:
        response = begun.launch(blocked)
        assert response.status_code == 200
        assert f'data-target="_parent" data-key="{begun.key}"' in response.text
        assert 'data-platform="https://lms.example.org/auth"' in response.text
        assert f'name="state" value="{begun.state}"' in response.text
        assert begun.value not in response.text, "only the storage knows it"
        assert re.findall(r"<script(?![^>]* src=)", response.text) == []
        assert "Set-Cookie" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"

    def test_what_the_platform_sends_is_escaped(self, begun: Begun, blocked: FlaskClient) -> None:
        begun.id_token = '"><script>alert(1)</script>'
        assert "<script>alert" not in begun.launch(blocked).text

    def test_an_answer_without_a_token_is_refused_before_anybody_is_asked(
        self, begun: Begun, blocked: FlaskClient
    ) -> None:
        begun.id_token = ""
        assert code_of(begun.launch(blocked)) == "launch_incomplete"

    def test_the_value_of_the_login_opens_a_visit_without_cookies(
        self, begun: Begun, blocked: FlaskClient, database: Database
    ) -> None:
        response = begun.launch(blocked, begun.value)
        assert response.status_code == 200
        assert set(response.get_json()) == {"visit", "path"}
        assert response.get_json()["path"] == "/modules/F1"
        assert "Set-Cookie" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"
        with database.read() as connection:
            kept = connection.execute(select(web_sessions.c.token_digest)).scalar_one()
        assert kept == fingerprint(response.get_json()["visit"])

    def test_a_launch_counts_once(self, begun: Begun, blocked: FlaskClient, database: Database) -> None:
        assert begun.launch(blocked, begun.value).status_code == 200
        assert code_of(begun.launch(blocked, begun.value)) == "nonce_used"
        assert counted(database) == 1

    @pytest.mark.parametrize(
        "origin", [None, "null", "", "https://lms.example.org", "https://gatehouse.example.org.evil"]
    )
    def test_the_right_value_from_a_page_that_is_not_ours_opens_nothing(
        self, origin: str | None, begun: Begun, blocked: FlaskClient, database: Database
    ) -> None:
        assert code_of(begun.launch(blocked, begun.value, origin)) == "storage_wrong"
        assert counted(database) == 0

    def test_another_value_opens_nothing_and_the_new_tab_is_offered(
        self, begun: Begun, platform: Platform, clock: TestClock, blocked: FlaskClient, database: Database
    ) -> None:
        cookie_value = begun.page.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
        other_login = Begun(blocked, platform, clock)
        for value in ("x", "é", begun.value[:-1], begun.value + "A", cookie_value, other_login.value):
            response = begun.launch(blocked, value)
            assert (response.status_code, code_of(response)) == (401, "storage_wrong")
            assert 'href="/lti/login?' in response.text
            assert "lti_storage_target" not in response.text
        assert counted(database) == 0

    def test_the_token_is_verified_as_ever(
        self, begun: Begun, platform: Platform, clock: TestClock, blocked: FlaskClient
    ) -> None:
        begun.id_token = platform.sign(platform.claims("another nonce", clock()))
        assert code_of(begun.launch(blocked, begun.value)) == "nonce_wrong"

    def test_the_state_expires_as_ever(self, begun: Begun, clock: TestClock, blocked: FlaskClient) -> None:
        clock.advance(minutes=10)
        assert code_of(begun.launch(blocked, begun.value)) == "state_expired"

    def test_a_value_of_a_storage_that_nobody_offered_counts_for_nothing(
        self, platform: Platform, begun: Begun, clock: TestClock, blocked: FlaskClient
    ) -> None:
        plain = parameters_of(platform.login(blocked))
        begun.state, begun.id_token = plain["state"], platform.sign(platform.claims(plain["nonce"], clock()))
        for stored in (None, "", begun.value):
            assert code_of(begun.launch(blocked, stored)) == "cookie_missing"


class TestTheThirdRung:
    def test_a_silent_storage_leads_to_a_new_tab(self, begun: Begun, blocked: FlaskClient) -> None:
        response = begun.launch(blocked, "", origin="null")
        assert (response.status_code, code_of(response)) == (403, "storage_silent")
        assert 'href="/lti/login?' in response.text
        assert 'target="_blank"' in response.text

    def test_the_log_says_which_rung_it_came_to_and_holds_no_secret(
        self, begun: Begun, blocked: FlaskClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", logger="lti_tool")
        begun.launch(blocked, "")
        visit = begun.launch(blocked, begun.value).get_json()["visit"]
        messages = {record.message for record in caplog.records}
        assert {"a new tab is offered", "launched by the platform's storage"} <= messages
        said = " ".join(str(vars(record)) for record in caplog.records)
        assert not [each for each in (visit, begun.value, begun.state, begun.id_token) if each in said]


class TestAVisitWithoutCookies:
    @pytest.fixture
    def visit(self, begun: Begun, blocked: FlaskClient) -> dict[str, str]:
        return {"Authorization": f"Bearer {begun.launch(blocked, begun.value).get_json()['visit']}"}

    def test_it_opens_the_pages_of_its_role(self, visit: dict[str, str], blocked: FlaskClient) -> None:
        page = blocked.get("/", headers=visit)
        assert page.status_code == 200
        assert 'aria-current="page"' in page.text
        assert code_of(blocked.get("/desk", headers=visit)) == "role_not_allowed"
        assert code_of(blocked.get("/")) == "session_missing"

    def test_it_sends_forms(self, visit: dict[str, str], blocked: FlaskClient) -> None:
        form = blocked.get("/equivalency/F1", headers=visit).text
        token = CSRF.search(form)
        assert token
        sent = {
            "provider": "prati",
            "course_title": "Foundations",
            "completed_on": "2025-05-04",
            "evidence_note": "A certificate",
            "statement": "yes",
        }
        refused = blocked.post("/equivalency/F1", data=sent, headers=visit)
        assert code_of(refused) == "form_not_ours"
        taken = blocked.post("/equivalency/F1", data={**sent, "csrf": token[1]}, headers=visit)
        assert (taken.status_code, taken.headers[GO_ON]) == (204, "/equivalency/F1?done=request_sent")
        assert "Location" not in taken.headers
        assert "Your request was sent" in blocked.get(taken.headers[GO_ON], headers=visit).text

    def test_a_redirect_with_a_cookie_stays_a_redirect(
        self, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        platform.launch(client, clock(), roles=[INSTRUCTOR])
        response = client.get("/")
        assert (response.status_code, response.headers["Location"]) == (303, "/desk")
        assert GO_ON not in response.headers

    @pytest.mark.parametrize("sent", ["Bearer", "Bearer ", "Bearer guessed", "Basic {}", "{}", "bearer é"])
    def test_any_other_header_opens_nothing(self, sent: str, visit: dict[str, str], blocked: FlaskClient) -> None:
        token = visit["Authorization"].partition(" ")[2]
        page = blocked.get("/", headers={"Authorization": sent.format(token)})
        assert code_of(page) == "session_missing"

    def test_it_is_the_visit_that_counts_where_a_cookie_of_another_comes_along(
        self, visit: dict[str, str], client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        platform.launch(client, clock(), user="user-2", roles=[INSTRUCTOR])
        assert client.get("/desk").status_code == 200
        assert code_of(client.get("/desk", headers=visit)) == "role_not_allowed"

    def test_it_ends_like_any_session(self, visit: dict[str, str], blocked: FlaskClient, clock: TestClock) -> None:
        clock.advance(hours=12)
        assert code_of(blocked.get("/", headers=visit)) == "session_missing"

"""The login, and the state that comes back from it."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.tables.types import metadata
from tests.clock import TestClock
from tests.platform import ABSENT, TARGET, Platform, code_of, parameters_of

pytestmark = [pytest.mark.usefixtures("published"), pytest.mark.databases("sqlite")]


def row_counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_login_is_sent_on_with_everything_the_standard_asks_for(
    method: str, client: FlaskClient, platform: Platform
) -> None:
    response = platform.login(client, method=method)
    sent = parameters_of(response)
    state, nonce = sent.pop("state"), sent.pop("nonce")
    assert response.headers["Location"].startswith(platform.auth_url + "?")
    assert len(nonce) >= 32
    assert nonce not in state
    assert sent == {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": "client-1",
        "redirect_uri": TARGET,
        "login_hint": "user-1",
        "lti_message_hint": "hint+/= 1",
    }


def test_a_login_writes_nothing(client: FlaskClient, platform: Platform, database: Database) -> None:
    before = row_counts(database)
    platform.login(client)
    platform.login(client, method="POST")
    assert row_counts(database) == before


def test_the_state_cookie_works_in_a_frame_and_nowhere_else(client: FlaskClient, platform: Platform) -> None:
    response = platform.login(client)
    cookie = response.headers["Set-Cookie"]
    name, *flags = cookie.split("; ")
    assert name.startswith("__Host-gatehouse-state-")
    assert {"Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/", "Max-Age=600"} <= set(flags)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_two_tabs_may_log_in_side_by_side(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    first, second = (parameters_of(platform.login(client)) for _ in range(2))
    for begun in (first, second):
        token = platform.sign(platform.claims(begun["nonce"], clock()))
        assert client.post("/lti/launch", data={"id_token": token, "state": begun["state"]}).status_code == 303


def test_a_query_in_the_auth_url_is_kept(client: FlaskClient, platform: Platform, database: Database, now) -> None:
    with database.write() as connection:
        new_url = {"auth_login_url": "https://lms.example.org/auth?site=1"}
        registration.change(connection, platform.registration_id, new_url, [], actor="cli", now=now)
    location = platform.login(client).headers["Location"]
    assert location.startswith("https://lms.example.org/auth?site=1&scope=openid")


WRONG_LOGINS = [
    ({"iss": ABSENT}, "login_incomplete"),
    ({"iss": ""}, "login_incomplete"),
    ({"login_hint": ABSENT}, "login_incomplete"),
    ({"target_link_uri": ABSENT}, "login_incomplete"),
    ({"iss": "x" * 300}, "login_wrong"),
    ({"iss": "\x00"}, "login_wrong"),
    ({"login_hint": "x" * 3000}, "login_wrong"),
    ({"lti_message_hint": "x" * 5000}, "login_wrong"),
    ({"iss": "https://unknown.example.org"}, "platform_unknown"),
    ({"iss": "https://lms.example.org/"}, "platform_unknown"),
    ({"client_id": "client-2"}, "platform_unknown"),
    ({"client_id": ""}, "platform_unknown"),
    ({"target_link_uri": "https://evil.example/lti/launch"}, "target_foreign"),
    ({"target_link_uri": "http://gatehouse.example.org/lti/launch"}, "target_foreign"),
    ({"target_link_uri": "https://gatehouse.example.org:8443/"}, "target_foreign"),
    ({"target_link_uri": "https://gatehouse.example.org.evil.example/"}, "target_foreign"),
    ({"target_link_uri": "https://gatehouse.example.org@evil.example/"}, "target_foreign"),
    ({"target_link_uri": "https://evil@gatehouse.example.org/"}, "target_foreign"),
    ({"target_link_uri": "https://gatehouse.example.org\\@evil.example/"}, "target_foreign"),
    ({"target_link_uri": "javascript:alert(1)"}, "target_foreign"),
    ({"target_link_uri": "//evil.example/"}, "target_foreign"),
    ({"target_link_uri": "/lti/launch"}, "target_foreign"),
    ({"target_link_uri": "https://[::1"}, "target_foreign"),
    ({"target_link_uri": "https://gatehouse.example.org:port/"}, "target_foreign"),
]


def test_a_login_that_does_not_stand_is_refused(
    client: FlaskClient, platform: Platform, subtests: pytest.Subtests
) -> None:
    for changed, code in WRONG_LOGINS:
        with subtests.test(changed=str(changed)[:60]):
            response = platform.login(client, **changed)
            assert code_of(response) == code
            assert 400 <= response.status_code < 500
            assert "Set-Cookie" not in response.headers


def test_an_issuer_alone_is_enough_while_it_has_one_registration(
    client: FlaskClient, platform: Platform, database: Database, clock: TestClock
) -> None:
    assert parameters_of(platform.login(client, client_id=ABSENT))["client_id"] == "client-1"
    Platform(client_id="client-2").register(database, clock())
    clock.advance(seconds=3)
    assert code_of(platform.login(client, client_id=ABSENT)) == "client_id_missing"
    assert parameters_of(platform.login(client, client_id="client-2"))["client_id"] == "client-2"


def test_a_platform_disabled_two_seconds_ago_neither_logs_in_nor_launches(
    client: FlaskClient, platform: Platform, database: Database, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client))
    with database.write() as connection:
        registration.set_status(connection, platform.registration_id, "disabled", actor="cli", now=clock())
    clock.advance(seconds=3)
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    launched = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(platform.login(client)) == "platform_disabled"
    assert code_of(launched) == "platform_disabled"


def test_reflected_values_are_escaped(client: FlaskClient, platform: Platform) -> None:
    markup = "<script>alert(1)</script>"
    for changed in ({"iss": markup}, {"client_id": markup}, {"target_link_uri": markup}):
        assert markup not in platform.login(client, **changed).get_data(as_text=True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda state: "", "launch_incomplete"),
        (lambda state: "forged", "state_wrong"),
        (lambda state: state[:-2] + ("AA" if not state.endswith("AA") else "BB"), "state_wrong"),
        (lambda state: "x" + state, "state_wrong"),
        (lambda state: "é" + state, "state_wrong"),
        (lambda state: state + "é", "state_wrong"),
        (lambda state: state.partition(".")[0], "state_wrong"),
    ],
)
def test_a_state_that_was_not_made_here_is_refused(
    change, code: str, client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    response = client.post("/lti/launch", data={"id_token": token, "state": change(begun["state"])})
    assert code_of(response) == code
    assert 400 <= response.status_code < 500


def test_a_state_expires_after_ten_minutes(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    begun = parameters_of(platform.login(client))
    clock.advance(minutes=10)
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    response = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(response) == "state_expired"


def test_the_state_of_another_login_does_not_fit(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    first, second = (parameters_of(platform.login(client)) for _ in range(2))
    token = platform.sign(platform.claims(first["nonce"], clock()))
    response = client.post("/lti/launch", data={"id_token": token, "state": second["state"]})
    assert code_of(response) == "nonce_wrong"


def test_the_state_of_another_registration_does_not_fit(
    client: FlaskClient, platform: Platform, database: Database, clock: TestClock
) -> None:
    other = Platform(client_id="client-2").register(database, clock())
    begun = parameters_of(other.login(client))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    # Both have the same issuer and key set; only the audience tells them apart.
    other_keys = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(other_keys) == "audience_wrong"


def test_a_browser_without_cookies_is_offered_a_new_tab_in_which_the_login_starts_again(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    cookieless = client.application.test_client(use_cookies=False)
    response = cookieless.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    page = response.get_data(as_text=True)
    assert response.status_code == 403
    assert code_of(response) == "cookie_missing"
    assert "Set-Cookie" not in response.headers
    again = page.partition('href="/lti/login?')[2].partition('"')[0].replace("&amp;", "&")
    assert 'target="_blank"' in page
    assert {name: values[0] for name, values in parse_qs(again).items()} == {
        "iss": platform.issuer,
        "client_id": "client-1",
        "login_hint": "user-1",
        "lti_message_hint": "hint+/= 1",
        "target_link_uri": TARGET,
    }
    restarted = parameters_of(client.get("/lti/login?" + again))
    assert restarted["nonce"] != begun["nonce"]
    token = platform.sign(platform.claims(restarted["nonce"], clock()))
    assert client.post("/lti/launch", data={"id_token": token, "state": restarted["state"]}).status_code == 303


def test_a_state_from_another_browser_is_refused(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    begun = parameters_of(platform.login(client))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    victim = client.application.test_client()
    platform.login(victim)
    response = victim.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(response) == "state_foreign"
    assert victim.get_cookie("__Host-gatehouse") is None


def test_a_cookie_of_the_right_name_and_a_wrong_value_is_refused(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    victim = client.application.test_client()
    victim.set_cookie("__Host-gatehouse-state-" + begun["nonce"][:16], "guessed")
    response = victim.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(response) == "state_foreign"


@pytest.mark.parametrize("error", ["access_denied", "<b>bold</b>", ""])
def test_an_error_from_the_platform_becomes_a_friendly_page(
    error: str, client: FlaskClient, platform: Platform
) -> None:
    begun = parameters_of(platform.login(client))
    said = {"error": error, "error_description": "<script>x</script>", "state": begun["state"]}
    response = client.post("/lti/launch", data=said)
    page = response.get_data(as_text=True)
    assert code_of(response) == "platform_error"
    assert response.status_code == 400
    assert "<script>x" not in page
    assert "<b>" not in page


def test_an_error_from_the_platform_uses_up_its_state(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client))
    client.post("/lti/launch", data={"error": "access_denied", "state": begun["state"]})
    assert client.get_cookie("__Host-gatehouse-state-" + begun["nonce"][:16]) is None
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    late = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(late) == "cookie_missing"


def test_an_error_comes_before_the_question_of_cookies(client: FlaskClient, platform: Platform) -> None:
    begun = parameters_of(platform.login(client))
    cookieless = client.application.test_client(use_cookies=False)
    said = {"error": "login_required", "state": begun["state"]}
    assert code_of(cookieless.post("/lti/launch", data=said)) == "platform_error"


def test_an_error_without_a_state_is_told_as_well(client: FlaskClient, platform: Platform) -> None:
    assert code_of(client.post("/lti/launch", data={"error": "invalid_request"})) == "platform_error"


def test_an_answer_without_a_token_is_refused(client: FlaskClient, platform: Platform) -> None:
    begun = parameters_of(platform.login(client))
    assert code_of(client.post("/lti/launch", data={"state": begun["state"]})) == "launch_incomplete"


def test_the_redirect_address_never_carries_more_than_the_platform_knows(
    client: FlaskClient, platform: Platform
) -> None:
    location = urlsplit(platform.login(client).headers["Location"])
    assert location.fragment == ""
    cookie_value = client._cookies[next(iter(client._cookies))].value  # type: ignore[attr-defined]
    assert cookie_value not in location.query


@pytest.mark.parametrize("length", [1000, 2500, 3900, 4096])
def test_a_long_message_hint_makes_no_redirect_that_a_web_server_refuses(
    length: int, client: FlaskClient, platform: Platform
) -> None:
    response = platform.login(client, lti_message_hint="h" * length)
    assert parameters_of(response)["lti_message_hint"] == "h" * length
    assert len(response.headers["Location"]) < 8190


@pytest.mark.usefixtures("published")
def test_a_launch_with_a_long_message_hint_is_entered(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client, lti_message_hint="h" * 3900))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    assert client.post("/lti/launch", data={"id_token": token, "state": begun["state"]}).status_code == 303


def test_a_login_that_cannot_begin_again_offers_no_tab_and_says_what_to_do(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    begun = parameters_of(platform.login(client, lti_message_hint="h" * 3900))
    token = platform.sign(platform.claims(begun["nonce"], clock()))
    cookieless = client.application.test_client(use_cookies=False)
    response = cookieless.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    page = response.get_data(as_text=True)
    assert (response.status_code, code_of(response)) == (403, "cookie_missing")
    assert "Allow cookies for this site" in page
    assert "/lti/login" not in page

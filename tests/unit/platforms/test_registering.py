"""A platform registers itself: by invitation only, once, and launching nothing before staff have approved it."""

import json
import re
from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient
from requests.exceptions import ConnectTimeout
from sqlalchemy import select
from werkzeug.test import TestResponse

from lti_tool.app import create_app
from lti_tool.context import AppContext, build_context
from lti_tool.db import Database
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.dynamic_registration import TOOL
from lti_tool.lti.registration import Registration, list_registrations
from lti_tool.platforms import self_registration
from lti_tool.settings import Settings
from lti_tool.tables.operations import audit_log
from lti_tool.tables.platforms import registration_invitations
from tests.clock import TestClock
from tests.platform import Platform, code_of
from tests.unit.platforms import moodle
from tests.unit.platforms.moodle import CONFIGURATION_URL, REGISTRATION_URL, SITE, TOKEN, answer, configuration

OURS = "https://gatehouse.example.org"


@pytest.fixture
def token(database: Database, now: datetime) -> str:
    """The token of a fresh invitation."""
    with database.write() as connection:
        link = self_registration.invite(connection, OURS, actor="staff:1", now=now)
    return parse_qs(urlsplit(link).query)["invitation"][0]


def opened(client: FlaskClient, token: str, url: str = CONFIGURATION_URL) -> TestResponse:
    asked = {"invitation": token, "openid_configuration": url, "registration_token": TOKEN}
    return client.get("/lti/register", query_string=asked)


def sent(client: FlaskClient, token: str, url: str = CONFIGURATION_URL) -> TestResponse:
    asked = {"invitation": token, "openid_configuration": url, "registration_token": TOKEN}
    return client.post("/lti/register", data=asked)


def every(database: Database) -> list[Registration]:
    with database.read() as connection:
        return list_registrations(connection)


def ancestors(response: TestResponse) -> str:
    return response.headers["Content-Security-Policy"].partition("frame-ancestors ")[2]


def test_opening_the_invitation_says_who_asks_and_changes_nothing(
    client: FlaskClient, database: Database, token: str, wire: responses.RequestsMock
) -> None:
    page = opened(client, token)
    assert page.status_code == 200
    assert "Connect https://moodle.example.org with Gatehouse" in page.text
    assert not wire.calls
    assert every(database) == []
    assert opened(client, token).status_code == 200


def test_the_button_of_the_page_registers_the_platform(
    client: FlaskClient, database: Database, token: str, wire: responses.RequestsMock
) -> None:
    registering = moodle.serve(wire)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', opened(client, token).text))
    done = client.post("/lti/register", data=fields)
    assert done.status_code == 200
    (registered,) = every(database)
    assert (registered.issuer, registered.client_id) == (SITE, "moodle-client")
    assert registered.deployment_ids == {"3"}
    assert (registered.status, registered.came_by, registered.profile.name) == ("pending", "dynamic", "moodle")
    (posted,) = registering.calls
    assert posted.request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert posted.request.headers["Content-Type"] == "application/json"
    assert json.loads(posted.request.body)["redirect_uris"] == ["https://gatehouse.example.org/lti/launch"]


def test_the_last_page_tells_the_platform_that_it_is_done(
    client: FlaskClient, token: str, wire: responses.RequestsMock
) -> None:
    moodle.serve(wire)
    page = sent(client, token).text
    assert 'id="close"' in page
    assert "data-at-once" in page
    assert "close-registration.js" in page
    assert "approve <strong>platform 1</strong>" in page


def test_without_a_deployment_id_the_last_page_waits_to_be_read(
    client: FlaskClient, database: Database, token: str, wire: responses.RequestsMock
) -> None:
    moodle.serve(wire, answered=answer(**{TOOL: {}}))
    page = sent(client, token).text
    assert "named no deployment id" in page
    assert "data-at-once" not in page
    assert every(database)[0].deployment_ids == frozenset()


def test_a_platform_may_give_no_registration_token(
    client: FlaskClient, token: str, wire: responses.RequestsMock
) -> None:
    registering = moodle.serve(wire)
    client.post("/lti/register", data={"invitation": token, "openid_configuration": CONFIGURATION_URL})
    assert "Authorization" not in registering.calls[0].request.headers


def test_parameters_added_with_a_second_question_mark_are_understood(client: FlaskClient, token: str) -> None:
    query = f"invitation={token}?openid_configuration={quote(CONFIGURATION_URL, safe='')}&registration_token={TOKEN}"
    page = client.get(f"/lti/register?{query}")
    assert page.status_code == 200
    assert f'name="invitation" value="{token}"' in page.text


def test_an_invitation_opened_by_a_person_says_what_to_do_with_it(client: FlaskClient, token: str) -> None:
    page = client.get("/lti/register", query_string={"invitation": token})
    assert page.status_code == 200
    assert f"https://gatehouse.example.org/lti/register?invitation={token}" in page.text
    refused = client.post("/lti/register", data={"invitation": token})
    assert (refused.status_code, code_of(refused)) == (422, "registration_address_missing")


def test_only_the_platform_that_was_invited_may_frame_these_pages(
    client: FlaskClient, token: str, wire: responses.RequestsMock
) -> None:
    moodle.serve(wire)
    assert ancestors(opened(client, token)) == "https://moodle.example.org"
    assert ancestors(sent(client, token)) == "https://moodle.example.org"
    assert ancestors(sent(client, token)) == "https://moodle.example.org", "the explanation that it is used"
    assert ancestors(opened(client, "invented")) == "'none'"
    assert ancestors(client.get("/")) == "'none'"


@pytest.mark.parametrize("trick", ["https://a;script-src *", "https://a,b", "https://a'b", "https://é.example.org/c"])
def test_an_address_cannot_write_into_the_policy(client: FlaskClient, token: str, trick: str) -> None:
    policy = opened(client, token, trick).headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors 'none'")
    assert policy.count("script-src") == 1


@pytest.mark.parametrize("given", ["", "invented", "x\x00y", "a" * 5000])
def test_without_an_invitation_of_ours_nothing_is_asked(
    given: str, client: FlaskClient, token: str, wire: responses.RequestsMock
) -> None:
    for response in (opened(client, given), sent(client, given)):
        assert response.status_code in (403, 422)
        assert code_of(response) in ("invitation_unknown", "form_unreadable")
    assert not wire.calls


def test_an_invitation_ends(client: FlaskClient, token: str, clock: TestClock, wire: responses.RequestsMock) -> None:
    clock.advance(hours=23, minutes=59)
    assert opened(client, token).status_code == 200
    clock.advance(minutes=1)
    for response in (opened(client, token), sent(client, token)):
        assert (response.status_code, code_of(response)) == (403, "invitation_expired")
    assert not wire.calls


def test_an_invitation_is_good_for_one_registration(
    client: FlaskClient, database: Database, token: str, wire: responses.RequestsMock
) -> None:
    registering = moodle.serve(wire)
    assert sent(client, token).status_code == 200
    for again in (sent(client, token), opened(client, token)):
        assert (again.status_code, code_of(again)) == (403, "invitation_used")
    assert len(registering.calls) == 1
    assert len(every(database)) == 1


def test_of_two_who_press_the_button_at_once_one_registers(
    app: Flask, database: Database, token: str, wire: responses.RequestsMock
) -> None:
    registering = moodle.serve(wire)
    together, statuses = Barrier(2), []

    def press() -> None:
        client = app.test_client()
        together.wait()
        statuses.append(sent(client, token).status_code)

    threads = [Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 403]
    assert len(registering.calls) == 1
    assert len(every(database)) == 1


FAILURES: dict[str, tuple[int, str, Any]] = {
    "a configuration that is not there": (502, "configuration_refused", {"get": {"status": 404}}),
    "a configuration that is a page": (422, "configuration_unreadable", {"get": {"body": "<html>"}}),
    "a huge configuration": (502, "answer_too_large", {"get": {"body": b" " * 1_100_000}}),
    "a configuration elsewhere": (502, "redirect_refused", {"get": {"status": 302, "headers": {"Location": "/x"}}}),
    "no answer": (502, "no_answer", {"get": {"body": ConnectTimeout()}}),
    "the issuer of another host": (422, "issuer_foreign", {"said": {"issuer": "https://elsewhere.example.org"}}),
    "an http endpoint": (502, "address_refused", {"said": {"token_endpoint": "http://moodle.example.org/token"}}),
    "a private endpoint": (502, "address_refused", {"said": {"jwks_uri": "https://10.0.0.8/keys"}}),
    "a loopback endpoint": (502, "address_refused", {"said": {"registration_endpoint": "https://127.0.0.1/r"}}),
    "an endpoint with a password": (502, "address_refused", {"said": {"token_endpoint": "https://a:b@m.example.org/"}}),
    "a script for an endpoint": (422, "configuration_incomplete", {"said": {"token_endpoint": "javascript:alert(1)"}}),
    "no private_key_jwt": (422, "configuration_unfit", {"said": {"token_endpoint_auth_methods_supported": []}}),
    "a refused registration": (502, "registration_refused", {"post": {"status": 401}}),
    "a registration elsewhere": (502, "redirect_refused", {"post": {"status": 307, "headers": {"Location": "/x"}}}),
    "a registration without an answer": (502, "no_answer", {"post": {"body": ConnectTimeout()}}),
}


@pytest.mark.parametrize(("status", "code", "failure"), FAILURES.values(), ids=FAILURES)
def test_what_fails_registers_nothing_and_leaves_the_invitation_good(
    client: FlaskClient,
    database: Database,
    token: str,
    wire: responses.RequestsMock,
    status: int,
    code: str,
    failure: dict[str, Any],
) -> None:
    described = {"json": configuration(**failure.get("said", {}))}
    failed = [
        wire.get(CONFIGURATION_URL, **failure.get("get", described)),
        wire.post(REGISTRATION_URL, **failure.get("post", {"json": answer()})),
    ]
    refused = sent(client, token)
    assert (refused.status_code, code_of(refused)) == (status, code)
    assert "The registration did not work" in refused.text
    assert TOKEN not in refused.text
    assert every(database) == []
    for each in failed:
        wire.remove(each)
    moodle.serve(wire)
    assert sent(client, token).status_code == 200
    assert len(every(database)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://moodle.example.org/c",
        "https://10.0.0.8/c",
        "https://127.0.0.1/c",
        "https://[::1]/c",
        "https://169.254.169.254/latest/meta-data",
        "https://user:password@moodle.example.org/c",
        "https://0x7f.1\\@moodle.example.org/",
    ],
)
def test_a_configuration_at_an_address_we_may_not_call_is_refused(
    url: str, client: FlaskClient, token: str, wire: responses.RequestsMock
) -> None:
    for response in (opened(client, token, url), sent(client, token, url)):
        assert (response.status_code, code_of(response)) == (502, "address_refused")
    assert not wire.calls


def test_a_name_that_leads_into_a_private_network_is_refused(
    settings: Settings, database: Database, clock: TestClock, token: str
) -> None:
    http = Http(resolve=lambda _name, _port: ["10.0.0.8"])
    app = create_app(settings, context=build_context(settings, clock, database=database, http=http))
    refused = sent(app.test_client(), token)
    assert (refused.status_code, code_of(refused)) == (502, "address_refused")
    assert every(database) == []


def test_an_answer_that_cannot_be_read_uses_the_invitation_up(
    client: FlaskClient, database: Database, token: str, wire: responses.RequestsMock
) -> None:
    moodle.serve(wire, answered={"client_id": ["odd"]})
    refused = sent(client, token)
    assert (refused.status_code, code_of(refused)) == (422, "registration_answer_unreadable")
    assert code_of(sent(client, token)) == "invitation_used"
    assert every(database) == []


def test_a_client_id_that_is_known_already_is_told_and_nothing_changes(
    client: FlaskClient, database: Database, token: str, now: datetime, wire: responses.RequestsMock
) -> None:
    Platform(origin=SITE, client_id="moodle-client", deployment_id="1").register(database, now)
    before = every(database)
    moodle.serve(wire)
    refused = sent(client, token)
    assert (refused.status_code, code_of(refused)) == (409, "platform_exists")
    assert every(database) == before


def test_nothing_is_launched_until_staff_approve(
    client: FlaskClient,
    database: Database,
    token: str,
    context: AppContext,
    now: datetime,
    wire: responses.RequestsMock,
) -> None:
    moodle.serve(wire)
    sent(client, token)
    itself = Platform(origin=SITE, client_id="moodle-client", deployment_id="3", profile="moodle")
    refused = itself.login(client)
    assert (refused.status_code, code_of(refused)) == (403, "platform_pending")
    assert "approve it" in refused.text
    assert ancestors(refused) == "'none'"
    (pending,) = every(database)
    with database.write() as connection:
        registration.approve(connection, pending.id, [], actor="staff:1", now=now)
    assert itself.login(client).status_code == 302


def test_everything_is_audited_and_no_token_is_kept(
    client: FlaskClient,
    database: Database,
    token: str,
    now: datetime,
    wire: responses.RequestsMock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    moodle.serve(wire)
    with caplog.at_level("DEBUG"):
        sent(client, token)
    with database.read() as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id)).all()
        kept = connection.execute(select(registration_invitations)).one()
    assert [(each.act, each.actor) for each in rows] == [
        ("platform_invited", "staff:1"),
        ("platform_added", f"invitation:{kept.token_digest[:12]}"),
    ]
    assert (kept.invited_by, kept.used_at, kept.registration_id) == ("staff:1", now, 1)
    assert kept.expires_at - kept.created_at == timedelta(hours=24)
    written = f"{rows}{kept}{[vars(each) for each in caplog.records if each.name.startswith('lti_tool')]}"
    assert token not in written
    assert TOKEN not in written

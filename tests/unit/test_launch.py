"""What a good launch leaves behind, and that each launch counts once."""

import threading
from datetime import timedelta

import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.datastructures import MultiDict

from lti_tool.db import Database
from lti_tool.diagnostics.units import examine_units
from lti_tool.lti import login as oidc
from lti_tool.lti.claims import AGS, GROUPS, LTI, NOTICES, NRPS
from lti_tool.platforms.launch_records import record_latest_launches
from lti_tool.signing import fingerprint
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.people import trainees
from lti_tool.web import session
from lti_tool.web.session import forget_sessions
from tests.clock import TestClock
from tests.platform import ABSENT, INSTRUCTOR, LEARNER, SCOPE, Platform, code_of, parameters_of
from tests.profiles import portion
from tests.statements import listening

OWN = "https://gatehouse.example.org"

# What is changed in an ordinary launch, and where it leads.
WAYS: list[tuple[dict[str, object], str]] = [
    ({}, "/modules/F1"),
    ({"roles": [INSTRUCTOR]}, "/modules/F1"),
    ({"custom": {}}, "/"),
    ({"custom": {}, "roles": [INSTRUCTOR]}, "/desk"),
    ({"custom": {"module_id": "$Unresolved"}}, "/"),
    ({"custom": {"page": "retreats"}}, "/retreats"),
    ({"custom": {"page": "calendar"}}, "/calendar"),
    ({"custom": {"page": "//evil.example"}}, "/"),
    ({"custom": {}, "target_link_uri": f"{OWN}/modules/F2"}, "/modules/F2"),
    ({"custom": {}, "target_link_uri": f"{OWN}/retreats"}, "/retreats"),
    ({"custom": {}, "target_link_uri": f"{OWN}/lti/login?next=//evil.example"}, "/"),
    ({"custom": {}, "target_link_uri": f"{OWN}//evil.example/"}, "/"),
]


def counted(database: Database) -> list[int]:
    with database.read() as connection:
        tables = (trainees, placements, enrolments, web_sessions)
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


@pytest.mark.usefixtures("published")
class TestWhatALaunchRecords:
    def test_person_place_enrolment_and_session(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        response = platform.launch(client, clock())
        assert response.status_code == 303
        with database.read() as connection:
            place = connection.execute(select(placements)).one()
            person = connection.execute(select(trainees)).one()
            seen = connection.execute(select(enrolments)).one()
            begun = connection.execute(select(web_sessions)).one()
        assert (person.name, person.email) == ("Maya Example", "maya@example.org")
        assert (place.registration_id, place.deployment_id, place.resource_link_id) == (1, "1", "unit-1")
        assert (place.context_id, place.context_title, place.module_id) == ("course-1", "A course", "F1")
        assert (place.line_item_url, place.ags_scopes) == (platform.line_item_url, [f"{SCOPE}score"])
        assert place.memberships_url == "https://lms.example.org/members"
        assert (seen.trainee_id, seen.user_id, seen.role) == (person.id, "user-1", "trainee")
        assert (begun.trainee_id, begun.placement_id, begun.role) == (person.id, place.id, "trainee")

    def test_the_cookie_holds_what_the_database_does_not(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        response = platform.launch(client, clock())
        cookie = client.get_cookie("__Host-gatehouse")
        flags = set(response.headers["Set-Cookie"].split("; ")[1:])
        with database.read() as connection:
            kept = connection.execute(select(web_sessions.c.token_digest)).scalar_one()
        assert cookie is not None
        assert kept == fingerprint(cookie.value) != cookie.value
        assert {"Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/"} <= flags
        assert cookie.value not in response.headers["Location"]

    def test_a_second_launch_brings_the_same_records_up_to_date(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock())
        later = clock.advance(hours=1)
        platform.launch(client, later, roles=[INSTRUCTOR], custom={"module_id": "F2"}, **{AGS: ABSENT, NRPS: ABSENT})
        assert counted(database) == [1, 2, 1, 2]
        with database.read() as connection:
            place = connection.execute(select(placements).where(placements.c.module_id == "F2")).one()
            seen = connection.execute(select(enrolments)).one()
        assert (place.module_id, place.line_item_url, place.ags_scopes, place.memberships_url) == ("F2", None, [], None)
        assert (seen.role, seen.last_launch_at) == ("staff", later)

    def test_a_launch_without_a_course_is_recorded_under_no_course(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock(), context=ABSENT)
        with database.read() as connection:
            assert connection.execute(select(enrolments.c.context_id)).scalar_one() == ""
            assert connection.execute(select(placements.c.context_id)).scalar_one() is None

    def test_a_refused_launch_leaves_nothing(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        assert platform.launch(client, clock(), target_link_uri="https://evil.example/").status_code == 400
        unstorable = "https://gatehouse.example.org/modules/%00"
        assert platform.launch(client, clock(), target_link_uri=unstorable, custom={}).status_code == 404
        assert counted(database) == [0, 0, 0, 0]

    def test_a_launch_of_a_module_that_nobody_offers_is_refused_and_its_unit_is_listed_with_who_met_it(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        response = platform.launch(client, clock(), custom={"module_id": "f1"})
        assert (response.status_code, code_of(response)) == (404, "module_unknown")
        assert counted(database) == [1, 1, 1, 0]
        with database.read() as connection:
            (listed,) = examine_units(connection, clock())
        (found,) = [each for each in listed.findings if each.code == "offering_unknown"]
        assert found.state == "wrong"
        assert "names f1, which the published programme does not have" in found.says
        assert "Opened last by: Maya Example." in found.says
        assert "Custom Parameters: module_id=F1." in found.next_step

    def test_a_unit_whose_module_is_corrected_is_listed_no_more(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock(), custom={"module_id": "f1"})
        later = clock.advance(minutes=1)
        assert platform.launch(client, later, custom={"module_id": "F1"}).status_code == 303
        with database.read() as connection:
            codes = [finding.code for unit in examine_units(connection, clock()) for finding in unit.findings]
        assert "offering_unknown" not in codes

    def test_an_offer_of_grades_that_cannot_be_read_is_found_by_the_doctor(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        odd = {AGS: {"scope": f"{SCOPE}score", "lineitem": platform.line_item_url}}
        assert platform.launch(client, clock(), context={"id": "course-1", "title": 7}, **odd).status_code == 303
        with database.read() as connection:
            (listed,) = examine_units(connection, clock())
        assert [each.code for each in listed.findings if each.state == "wrong"] == ["grades_unreadable"]

    @pytest.mark.parametrize(
        ("roles", "kept"),
        [
            (["Mentor"], "other"),
            (["ContentDeveloper"], "other"),
            ([LEARNER, "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"], "other"),
            ([LEARNER], "trainee"),
        ],
    )
    def test_who_is_no_learner_enters_as_a_trainee_does_and_is_enrolled_as_no_learner(
        self,
        client: FlaskClient,
        platform: Platform,
        database: Database,
        clock: TestClock,
        roles: list[str],
        kept: str,
    ) -> None:
        assert platform.launch(client, clock(), roles=roles).status_code == 303
        with database.read() as connection:
            assert connection.scalar(select(enrolments.c.role)) == kept
            assert connection.scalar(select(web_sessions.c.role)) == "trainee"

    def test_names_and_addresses_stay_out_of_the_log(
        self, client: FlaskClient, platform: Platform, clock: TestClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", logger="lti_tool")
        platform.launch(client, clock())
        platform.launch(client, clock(), sub="user-2")
        assert "Maya" not in caplog.text
        assert "maya@" not in caplog.text


@pytest.mark.usefixtures("published")
class TestWhereALaunchLeads:
    def test_only_what_the_platform_signed_decides(
        self, client: FlaskClient, platform: Platform, clock: TestClock, subtests: pytest.Subtests
    ) -> None:
        for changed, path in WAYS:
            with subtests.test(changed=str(changed)):
                response = platform.launch(client, clock(), **changed)
                assert (response.status_code, response.headers["Location"]) == (303, path)
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["Referrer-Policy"] == "no-referrer"

    def test_the_signed_target_may_differ_from_the_login_one(
        self, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        begun = parameters_of(platform.login(client, target_link_uri=f"{OWN}/retreats"))
        token = platform.sign(platform.claims(begun["nonce"], clock(), target_link_uri=f"{OWN}/modules/F2", custom={}))
        response = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
        assert response.headers["Location"] == "/modules/F2"

    @pytest.mark.parametrize("target", [f"{OWN}/modules/none", f"{OWN}/modules/%2e%2e"])
    def test_a_target_that_names_no_module_is_told(
        self, target: str, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        response = platform.launch(client, clock(), custom={}, target_link_uri=target)
        assert code_of(response) == "module_unknown"


def test_without_a_published_programme_a_module_cannot_open(
    client: FlaskClient, platform: Platform, clock: TestClock
) -> None:
    assert code_of(platform.launch(client, clock())) == "programme_not_published"
    assert platform.launch(client, clock(), custom={}, roles=[INSTRUCTOR]).headers["Location"] == "/desk"


@pytest.mark.usefixtures("published")
class TestALaunchCountsOnce:
    def test_a_launch_sent_again_is_refused(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        begun = parameters_of(platform.login(client))
        sent = {"id_token": platform.sign(platform.claims(begun["nonce"], clock())), "state": begun["state"]}
        cookie = client.get_cookie("__Host-gatehouse-state-" + begun["nonce"][:16])
        assert cookie is not None
        assert client.post("/lti/launch", data=sent).status_code == 303
        assert code_of(client.post("/lti/launch", data=sent)) == "state_foreign"
        client.set_cookie(cookie.key, cookie.value)
        assert code_of(client.post("/lti/launch", data=sent)) == "nonce_used"
        assert counted(database)[3] == 1

    def test_a_good_launch_drops_the_cookie_of_its_login_and_of_no_other(
        self, client: FlaskClient, platform: Platform, clock: TestClock
    ) -> None:
        other_tab = parameters_of(platform.login(client))
        platform.launch(client, clock())
        names = {cookie.key for cookie in client._cookies.values()}
        assert names == {"__Host-gatehouse", "__Host-gatehouse-state-" + other_tab["nonce"][:16]}

    def test_of_the_same_launch_many_times_at_once_one_wins(
        self, app: Flask, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock())
        begun = parameters_of(platform.login(client))
        cookie = client.get_cookie("__Host-gatehouse-state-" + begun["nonce"][:16])
        token = platform.sign(platform.claims(begun["nonce"], clock()))
        assert cookie is not None
        answers: list[int] = []

        def send() -> None:
            browser = app.test_client()
            browser.set_cookie(cookie.key, cookie.value)
            answers.append(browser.post("/lti/launch", data={"id_token": token, "state": begun["state"]}).status_code)

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [303] + [401] * 7

    def test_a_nonce_is_forgotten_only_when_its_launch_cannot_come_back(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        """It is kept with the browser session, for longer than the login's state is accepted."""
        platform.launch(client, clock())
        forget_sessions(database, clock.advance(minutes=11))
        assert counted(database)[3] == 1
        assert oidc.LIFETIME < timedelta(minutes=11) < session.LIFETIME


@pytest.mark.usefixtures("published")
class TestALaunchThatChangesNothing:
    """It is answered after a commit that it shares with others; nothing of it is lost or doubled."""

    def test_it_writes_the_session_alone(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock())
        with listening(database) as statements:
            assert platform.launch(client, clock.advance(minutes=1)).status_code == 303
        (written,) = [each for each, _ in statements if not each.startswith(("SELECT", "BEGIN"))]
        assert written.startswith("INSERT INTO web_sessions ")
        assert counted(database) == [1, 1, 1, 2]

    @pytest.mark.parametrize(
        "changed",
        [
            {"name": "Maya Another"},
            {"email": "another@example.org"},
            {"roles": [INSTRUCTOR]},
            {"resource_link": {"id": "unit-1", "title": "Another title"}},
            {"context": {"id": "course-1", "title": "Another title"}},
            {NRPS: ABSENT},
            {AGS: ABSENT},
        ],
        ids=("name", "email", "role", "unit title", "course title", "no roster", "no grades"),
    )
    def test_whatever_has_changed_is_recorded(
        self, changed: dict[str, object], client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        def rows() -> list[object]:
            with database.read() as connection:
                tables = (trainees, placements, enrolments)
                return [connection.execute(select(table)).all() for table in tables]

        platform.launch(client, clock())
        before = rows()
        platform.launch(client, clock.advance(minutes=1), **changed)
        after = rows()
        platform.launch(client, clock.advance(minutes=1), **changed)
        assert before != after == rows()

    def test_its_time_is_recorded_a_little_later(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock())
        later = clock.advance(hours=1)
        platform.launch(client, later)
        assert record_latest_launches(database) is False
        with database.read() as connection:
            assert connection.execute(select(enrolments.c.last_launch_at)).scalar_one() == later
            assert connection.execute(select(placements.c.launched_at)).scalar_one() == later


def test_the_key_set_is_public_and_may_be_cached_shorter_than_keys_overlap(client: FlaskClient) -> None:
    response = client.get("/lti/jwks.json")
    (key,) = response.get_json()["keys"]
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert set(key) == {"kty", "n", "e", "kid", "alg", "use"}
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")


@pytest.mark.parametrize("away", [{"status": 502}, {"json": None, "body": ConnectionError()}])
def test_a_launch_whose_keys_cannot_be_read_is_to_be_tried_again_and_is_counted(
    app: Flask, wire: responses.RequestsMock, database: Database, clock: TestClock, away: dict[str, object]
) -> None:
    platform, client = Platform().register(database, clock()), app.test_client()
    platform.serve_keys(wire, **away)
    for _ in range(2):
        response = platform.launch(client, clock())
        assert (response.status_code, code_of(response)) == (503, "key_set_unreachable")
        assert response.headers["Retry-After"] == "5"
        assert "Try again in a few minutes" in response.text
    told = client.get("/metrics").text
    assert 'gatehouse_launches_unchecked_today{code="key_set_unreachable"} 2.0' in told


def test_a_launch_address_in_a_bookmark_is_told_without_a_trace(client: FlaskClient) -> None:
    response = client.get("/lti/launch")
    assert response.status_code == 405
    assert "Traceback" not in response.get_data(as_text=True)


PARAMETERS = ("iss", "client_id", "login_hint", "lti_message_hint", "target_link_uri", "state", "id_token", "error")
ANYTHING = st.lists(
    st.tuples(st.sampled_from(PARAMETERS), st.text(st.characters(exclude_categories=["Cs"]), max_size=40)), max_size=10
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FEW = settings(max_examples=portion(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CLAIMS = ["iss", "aud", "azp", "sub", "nonce", "iat", "exp", "nbf", "name", "given_name", "family_name", "email"]
SERVICES = [AGS, NRPS, GROUPS, NOTICES]
SETTINGS = ["deep_link_return_url", "accept_types", "accept_multiple", "accept_lineitem", "data", "title", "text"]
LTI_CLAIMS = ["message_type", "version", "deployment_id", "target_link_uri", "roles", "resource_link"]


@FEW
@given(parameters=ANYTHING, method=st.sampled_from(["GET", "POST"]))
def test_whatever_is_sent_to_the_login_is_answered_calmly(
    parameters: list[tuple[str, str]], method: str, client: FlaskClient
) -> None:
    sent = {"query_string": MultiDict(parameters)} if method == "GET" else {"data": MultiDict(parameters)}
    assert client.open("/lti/login", method=method, **sent).status_code < 500


@FEW
@given(parameters=ANYTHING, body=st.binary(max_size=200))
def test_whatever_is_sent_to_the_launch_is_answered_calmly(
    parameters: list[tuple[str, str]], body: bytes, client: FlaskClient
) -> None:
    assert client.post("/lti/launch", data=MultiDict(parameters)).status_code < 500
    raw = client.post("/lti/launch", data=body, content_type="application/x-www-form-urlencoded")
    assert raw.status_code < 500


@FEW
@given(
    kind=st.sampled_from(["claims", "deep_linking_claims", "review_claims"]),
    changed=st.dictionaries(
        st.sampled_from([*CLAIMS, *LTI_CLAIMS, *SERVICES, "context", "custom", LTI + "for_user"]),
        JSON,
        min_size=1,
        max_size=4,
    ),
    settings=st.dictionaries(st.sampled_from(SETTINGS), JSON, max_size=3),
)
@pytest.mark.usefixtures("published")
def test_whatever_a_platform_signs_is_answered_calmly(
    kind: str,
    changed: dict[str, object],
    settings: dict[str, object],
    client: FlaskClient,
    platform: Platform,
    clock: TestClock,
) -> None:
    more = {f"settings_{name}": value for name, value in settings.items()} if kind == "deep_linking_claims" else {}
    assert platform.launch(client, clock(), message=getattr(platform, kind), **changed, **more).status_code < 500

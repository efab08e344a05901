"""The real client against the sandbox's Zoom, both over HTTP: what one of them misunderstands, the other refuses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lti_tool.errors import NoAnswer
from lti_tool.http import Http
from lti_tool.settings import Settings
from sandbox.zoom.training_day import TrainingDay
from tests.waiting import until
from tests.zoom_day import MEETING, people_of, whole_day
from tests.zoom_rest import ServedZoom, zoom_on_loopback
from zoom_adapter.api import NewRegistrant, Registered, ZoomApi
from zoom_adapter.api_errors import ZoomRefused
from zoom_adapter.events import read_event

pytestmark = pytest.mark.databases("sqlite")

PEOPLE = [
    {"email": f"{name}@example.org", "name": f"{name.title()} Example", "behaviour": behaviour}
    for name, behaviour in (("ada", "breakouts"), ("bo", "reconnects"), ("cleo", "leaves_at_lunch"))
]
PLAN = {"meeting_id": MEETING, "date": "2026-12-01", "people": PEOPLE, "speed_seconds": 0}
ADA, BO = NewRegistrant("ada@example.org", "Ada", "Example"), NewRegistrant("bo@example.org", "Bo", "Example")


@pytest.fixture(scope="module")
def served() -> Iterator[ServedZoom]:
    with zoom_on_loopback() as zoom:
        yield zoom


@pytest.fixture
def zoom(served: ServedZoom) -> ServedZoom:
    """A Zoom that remembers nothing of the test before."""
    served.rest.board.__init__()
    served.rest.account.__init__("https://zoom.example.org")
    for each in (served.rest.tokens, served.rest.asks, served.rest.calls, served.rest.pages, served.delivered):
        each.clear()
    return served


@pytest.fixture
def api(zoom: ServedZoom, settings: Settings) -> ZoomApi:
    return api_of(zoom, settings)


def api_of(zoom: ServedZoom, settings: Settings, **changed) -> ZoomApi:
    return ZoomApi(Http(allow_private_addresses=True), zoom.settings(settings, **changed), lambda: datetime.now(UTC))


class TestReports:
    def test_a_report_of_many_pages_comes_whole(self, zoom: ServedZoom, api: ZoomApi) -> None:
        uuid = zoom.play(PLAN)
        whole = api.participants("meeting", uuid)
        zoom.switch(most_rows=3)
        assert api.participants("meeting", uuid) == whole
        assert len(whole) > 9
        assert {row["user_email"] for row in whole} == {each["email"] for each in PEOPLE}
        assert all(row["registrant_id"] for row in whole)

    def test_a_failing_third_page_fails_the_whole(self, zoom: ServedZoom, api: ZoomApi) -> None:
        uuid = zoom.play(PLAN)
        zoom.switch(most_rows=3, refusals=[{"path": "/participants", "page": 3}])
        with pytest.raises(NoAnswer) as silence:
            api.participants("meeting", uuid)
        assert silence.value.code == "zoom_unavailable"
        assert sum("/participants 200" in each for each in zoom.asked()) == 2
        assert len(api.participants("meeting", uuid)) > 9, "the next time it is there"

    def test_a_report_that_is_not_ready_is_refused_then_grows_then_stays(self, zoom: ServedZoom, api: ZoomApi) -> None:
        uuid = zoom.play(PLAN)
        zoom.switch(not_ready=1, growing=2)
        with pytest.raises(ZoomRefused) as refused:
            api.participants("meeting", uuid)
        assert refused.value.code == "zoom_not_found"
        lengths = [len(api.participants("meeting", uuid)) for _ in range(4)]
        assert lengths[0] < lengths[1] < lengths[2] == lengths[3]

    def test_missing_extra_and_waiting_rows_come_as_they_are(self, zoom: ServedZoom, api: ZoomApi) -> None:
        uuid = zoom.play(PLAN)
        zoom.switch(missing=["bo@example.org"], extra=2, waiting=1, wrong_duration=True)
        rows = api.participants("meeting", uuid)
        assert "bo@example.org" not in {row["user_email"] for row in rows}
        assert sum(row["name"] == "Somebody" and row["status"] == "in_meeting" for row in rows) == 2
        assert sum(row["status"] == "in_waiting_room" for row in rows) == 1
        assert all(row["duration"] < 1000 for row in rows)

    @pytest.mark.parametrize(
        "uuid", ["/begins+with/one==", "two//inside+==", "one/inside==", "plus+and==", "//both//=="]
    )
    def test_every_uuid_is_found_however_it_is_spelt(self, zoom: ServedZoom, api: ZoomApi, uuid: str) -> None:
        zoom.rest.account.hold(day_with(uuid))
        assert len(api.participants("meeting", uuid)) == 7
        assert len(api.past_participants(uuid)) == 7
        assert {each["email"] for each in api.polls("meeting", uuid)} == {"breakouts@example.org"}

    def test_the_instances_of_a_meeting_have_uuid_and_start(self, zoom: ServedZoom, api: ZoomApi) -> None:
        uuid = zoom.play(PLAN)
        assert api.instances("meeting", MEETING) == [(uuid, datetime(2026, 12, 1, 16, 48, tzinfo=UTC))]
        assert api.instances("meeting", "85000000000") == []


def day_with(uuid: str) -> TrainingDay:
    day = whole_day(*people_of("breakouts"))
    object.__setattr__(day, "instances", (day.instances[0]._replace(uuid=uuid),))
    return day


class TestRegistration:
    def test_one_person_is_registered_and_zoom_says_so_by_webhook(self, zoom: ServedZoom, api: ZoomApi) -> None:
        made = api.register("meeting", MEETING, ADA)
        assert made.email == "ada@example.org"
        assert made.join_url.startswith(f"https://zoom.example.org/join/{MEETING}?tk=")
        (body,) = until(lambda: zoom.delivered)
        event = read_event(body)
        assert (event.event_type, event.registrant_id) == ("meeting.registration_created", made.registrant_id)

    def test_registering_again_gives_the_same_place_and_no_news(self, zoom: ServedZoom, api: ZoomApi) -> None:
        zoom.switch(announce=False)
        assert api.register("meeting", MEETING, ADA) == api.register("meeting", MEETING, ADA)
        assert zoom.delivered == []

    def test_a_batch_registers_thirty_and_no_more(self, zoom: ServedZoom, api: ZoomApi) -> None:
        zoom.switch(announce=False)
        people = [NewRegistrant(f"person{number}@example.org", "Person", str(number)) for number in range(31)]
        made = api.register_many("webinar", MEETING, people[:30])
        assert [each.email for each in made] == [each.email for each in people[:30]]
        with pytest.raises(ValueError, match="30"):
            api.register_many("meeting", MEETING, people)

    def test_a_status_is_changed_and_listed(self, zoom: ServedZoom, api: ZoomApi) -> None:
        zoom.switch(announce=False, most_rows=1)
        ada, bo = api.register_many("meeting", MEETING, [ADA, BO])
        api.change_status("meeting", MEETING, "deny", [(bo.registrant_id, bo.email)])
        assert [each["id"] for each in api.registrants("meeting", MEETING, "approved")] == [ada.registrant_id]
        assert [each["id"] for each in api.registrants("meeting", MEETING, "denied")] == [bo.registrant_id]

    def test_the_played_day_has_the_people_whom_the_tool_registered(self, zoom: ServedZoom, api: ZoomApi) -> None:
        zoom.switch(announce=False)
        made = api.register("meeting", MEETING, ADA)
        uuid = zoom.play(PLAN)
        assert made.registrant_id in {row["registrant_id"] for row in api.participants("meeting", uuid)}
        announced = {read_event(body).email for body in zoom.delivered if b"registration_created" in body}
        assert announced == {"bo@example.org", "cleo@example.org"}

    def test_a_webinar_on_the_path_of_meetings_is_asked_for_on_its_own(self, zoom: ServedZoom, api: ZoomApi) -> None:
        zoom.switch(announce=False, webinars=[MEETING])
        assert isinstance(api.register("meeting", MEETING, ADA), Registered)
        assert zoom.asked() == [
            f"POST /v2/meetings/{MEETING}/registrants 400",
            f"POST /v2/webinars/{MEETING}/registrants 201",
        ]


class TestTheDoor:
    def test_a_token_that_zoom_forgot_is_replaced_once(self, zoom: ServedZoom, api: ZoomApi) -> None:
        api.meeting_settings("meeting", MEETING)
        zoom.post("/rest/expire-tokens")
        assert api.meeting_settings("meeting", MEETING)["waiting_room"] is True
        assert [each.rpartition(" ")[2] for each in zoom.asked()] == ["200", "401", "200"]

    def test_wrong_credentials_are_named(self, zoom: ServedZoom, settings: Settings) -> None:
        with pytest.raises(ZoomRefused) as refused:
            api_of(zoom, settings, zoom_client_secret="old").instances("meeting", MEETING)
        assert refused.value.code == "zoom_token_refused"
        assert "GATEHOUSE_ZOOM_ACCOUNT_ID" in refused.value.next_step

    def test_a_missing_scope_is_named(self, zoom: ServedZoom, api: ZoomApi) -> None:
        zoom.switch(missing_scopes=["meeting:read:list_registrants:admin"])
        with pytest.raises(ZoomRefused) as refused:
            api.registrants("meeting", MEETING)
        assert refused.value.code == "zoom_scope_missing"
        assert "meeting:read:list_registrants:admin" in refused.value.message
        assert len(zoom.asked()) == 1

    def test_a_short_429_is_waited_for(self, zoom: ServedZoom, api: ZoomApi) -> None:
        shown = {"path": "/instances", "status": 429, "headers": {"Retry-After": "1", "X-RateLimit-Type": "QPS"}}
        zoom.switch(refusals=[shown])
        assert api.instances("meeting", MEETING) == []
        assert len(zoom.asked()) == 2

    def test_the_limit_of_a_day_says_until_when(self, zoom: ServedZoom, api: ZoomApi) -> None:
        until = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
        headers = {"Retry-After": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "X-RateLimit-Type": "Daily-limit"}
        zoom.switch(refusals=[{"path": "/instances", "status": 429, "headers": headers}])
        for _ in range(2):
            with pytest.raises(ZoomRefused) as refused:
                api.instances("meeting", MEETING)
            assert (refused.value.code, refused.value.retry_at) == ("zoom_daily_limit", until)
        assert len(zoom.asked()) == 1, "the second time Zoom is not even asked"


class TestTheLog:
    def test_the_log_has_what_was_delivered_and_what_was_lost(self, zoom: ServedZoom, api: ZoomApi) -> None:
        yesterday = datetime.now(UTC).date() - timedelta(days=2)
        zoom.play({**PLAN, "date": yesterday.isoformat(), "lose": 4})
        since = datetime.now(UTC) - timedelta(days=4)
        everything = api.webhook_log(since, datetime.now(UTC), failed_only=False)
        failed = api.webhook_log(since, datetime.now(UTC), failed_only=True)
        assert failed
        assert len(everything) > len(failed)
        assert {row["status"] for row in failed} == {-1}
        lost = {row["request_body"].encode() for row in failed}
        assert lost.isdisjoint(zoom.delivered)

    def test_without_the_apps_id_nothing_is_asked(self, zoom: ServedZoom, settings: Settings) -> None:
        now = datetime.now(UTC)
        with pytest.raises(ZoomRefused) as refused:
            api_of(zoom, settings, zoom_app_id=None).webhook_log(now, now, failed_only=True)
        assert refused.value.code == "zoom_app_unknown"
        assert zoom.asked() == []


def test_a_switch_that_does_not_exist_is_refused_in_words(zoom: ServedZoom) -> None:
    for wrong in ({"sunshine": True}, [1], {"not_ready": "soon"}, {"refusals": [{"colour": "red"}]}):
        answer = zoom.post("/rest/switches", wrong)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])

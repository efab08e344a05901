"""Rosters over the wire: as Open edX and Moodle send them, in pages, and as nobody should."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused
from lti_tool.http import MOST_BYTES
from lti_tool.lti.nrps import Member, RosterPage, fetch_differences, fetch_roster
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.service_log import of_registration
from tests.platform import INSTRUCTOR, LEARNER, Platform

pytestmark = pytest.mark.databases("sqlite")

URL = "https://lms.example.org/api/memberships"
TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
MEMBER = {"user_id": "user-1", "roles": [LEARNER]}


def roster(*members: Any) -> dict[str, Any]:
    return {"id": URL, "context": {"id": "course-1"}, "members": list(members)}


def read(api: PlatformApi, platform: Platform, url: str = URL, **wanted: Any) -> list[RosterPage]:
    return list(fetch_roster(api, platform.registration_id, url, **wanted))


def members(api: PlatformApi, platform: Platform) -> list[Member]:
    return [member for page in read(api, platform) for member in page.members]


def refused_code(api: PlatformApi, platform: Platform) -> str:
    with pytest.raises(PlatformRefused) as refused:
        read(api, platform)
    return refused.value.code


class TestAsking:
    def test_the_roster_is_asked_for_as_the_standard_says(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, json=roster(), content_type=TYPE)
        assert read(api, platform) == [RosterPage((), None)]
        token, asked = (call.request for call in generous.calls)
        assert parse_qs(str(token.body))["scope"] == [
            "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
        ]
        assert (asked.url, asked.headers["Accept"]) == (f"{URL}?limit=100", TYPE)

    def test_one_links_roster_with_groups_may_be_asked_for(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, json=roster())
        read(api, platform, f"{URL}?course=A%2Bb", resource_link_id="block@1+2", limit=5, groups=True)
        query = urlsplit(str(generous.calls[-1].request.url)).query
        assert query == "course=A%2Bb&limit=5&rlid=block%401%2B2&groups=true"

    def test_the_next_page_is_asked_for_as_the_platform_says(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        following = f"{URL}?Page=2&Cursor=%2Bx"
        generous.get(f"{URL}?limit=100", json=roster(MEMBER), headers={"Link": f'<{following}>; rel="next"'})
        generous.get(following, json=roster({**MEMBER, "user_id": "user-2"}))
        assert [each.user_id for each in members(api, platform)] == ["user-1", "user-2"]
        assert generous.calls[-1].request.url == following

    def test_pages_come_one_by_one(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(f"{URL}?limit=100", json=roster(MEMBER), headers={"Link": f'<{URL}?p=2>; rel="next"'})
        generous.get(f"{URL}?p=2", status=500)
        pages = fetch_roster(api, platform.registration_id, URL)
        assert len(generous.calls) == 0
        assert len(next(pages).members) == 1
        with pytest.raises(PlatformRefused):
            next(pages)

    def test_many_pages_are_all_read(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        def answer(request: Any) -> tuple[int, dict[str, str], str]:
            page = int(parse_qs(urlsplit(request.url).query).get("page", ["1"])[0])
            link = {"Link": f'<{URL}?limit=100&page={page + 1}>; rel="next"'} if page < 120 else {}
            everyone = [{"user_id": f"user-{page}-{number}", "roles": []} for number in range(100)]
            return 200, link, json.dumps(roster(*everyone))

        generous.add_callback("GET", URL, answer)
        assert len({each.user_id for each in members(api, platform)}) == 12_000


class TestDifferences:
    def test_their_address_is_opaque_and_kept_as_it_is(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        since = f"{URL}?Since=672%2B&x=Y"
        generous.get(URL, json=roster(), headers={"Link": f'<{since}>; rel="differences"'})
        assert read(api, platform)[0].differences_url == since
        generous.get(since, json=roster({**MEMBER, "status": "Deleted"}))
        (page,) = fetch_differences(api, platform.registration_id, since)
        assert (page.members[0].status, generous.calls[-1].request.url) == ("Deleted", since)

    def test_those_of_another_host_are_none(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, json=roster(), headers={"Link": '<https://evil.example/d>; rel="differences"'})
        assert read(api, platform)[0].differences_url is None

    def test_an_address_that_was_kept_too_long_leads_nowhere_else(self, api: PlatformApi, platform: Platform) -> None:
        with pytest.raises(AddressRefused):
            next(fetch_differences(api, platform.registration_id, "https://evil.example/d"))


class TestMembers:
    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            (
                {"status": "Active", "user_id": "a540d748", "roles": [INSTRUCTOR, LEARNER], "name": "Lea Rner"},
                Member("a540d748", (INSTRUCTOR, LEARNER), "Active", "Lea Rner"),
            ),
            (
                {
                    "status": "Active",
                    "roles": ["Instructor"],
                    "user_id": "3",
                    "lis_person_sourcedid": "EMP-1",
                    "given_name": "Tea",
                    "family_name": "Cher",
                    "email": "teacher1@example.org",
                },
                Member("3", ("Instructor",), "Active", "Tea Cher", "teacher1@example.org"),
            ),
            ({"user_id": "1", "roles": []}, Member("1", (), "Active")),
            ({"user_id": 1, "roles": None, "status": None}, Member("1", (), "Active")),
            ({"user_id": "1", "roles": [5, ["Learner"], "x" * 256, "Learner"]}, Member("1", ("Learner",), "Active")),
            ({"user_id": "1", "roles": [""], "status": "inactive"}, Member("1", ("",), "Inactive")),
            ({"user_id": "1", "roles": [], "status": "Suspended"}, Member("1", (), "Inactive")),
            ({"user_id": "1", "roles": [], "status": 5}, Member("1", (), "Inactive")),
            (
                {"user_id": "1", "roles": [], "group_enrollments": [{"group_id": "g1"}, {"group_id": 2}, {}, "x"]},
                Member("1", (), "Active", group_ids=("g1", "2")),
            ),
            ({"user_id": "1", "roles": [], "group_enrollments": "all"}, Member("1", (), "Active")),
            (
                {"user_id": "1", "roles": [], "name": {"a": 1}, "email": ["b"], "given_name": 5},
                Member("1", (), "Active"),
            ),
            (
                {"user_id": "1", "roles": [], "name": "x" * 300, "email": "y" * 300},
                Member("1", (), "Active", "x" * 255),
            ),
            ({"user_id": "1", "roles": [], "name": " ", "email": " "}, Member("1", (), "Active")),
            (
                {"user_id": "1", "roles": [], "name": "a\x00b", "email": "a\x00@b"},
                Member("1", (), "Active", "ab", "a@b"),
            ),
            (
                {"user_id": "1", "roles": [], "name": "Marie\u00a0Lefevre", "email": "Jose\u0301@example.org\u200b"},
                Member("1", (), "Active", "Marie Lefevre", "josé@example.org"),
            ),
            ({"user_id": "1", "roles": [], "email": "a@example.org, b@example.org"}, Member("1", (), "Active")),
        ],
    )
    def test_a_member_is_read(
        self,
        entry: dict[str, Any],
        expected: Member,
        api: PlatformApi,
        platform: Platform,
        generous: responses.RequestsMock,
    ) -> None:
        generous.get(URL, json=roster(entry))
        assert members(api, platform) == [expected]

    @pytest.mark.parametrize(
        "entry",
        [
            {"roles": []},
            {"user_id": None, "roles": []},
            {"user_id": "", "roles": []},
            {"user_id": True, "roles": []},
            {"user_id": 1.5, "roles": []},
            {"user_id": ["1"], "roles": []},
            {"user_id": "x" * 256, "roles": []},
            {"user_id": "a\x00", "roles": []},
            {"user_id": "1", "roles": "Learner"},
            "user-1",
            None,
        ],
    )
    def test_a_member_that_cannot_be_told_apart_is_skipped_and_counted(
        self, entry: Any, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, json=roster(MEMBER, entry))
        (page,) = fetch_roster(api, platform.registration_id, URL)
        assert ([each.user_id for each in page.members], page.skipped) == ([MEMBER["user_id"]], 1)

    @pytest.mark.parametrize(
        "body",
        ["", "<html>Please log in</html>", "[]", "null", "{}", '{"members": {}}', '{"members": null}', "[" * 99_999],
    )
    def test_what_is_no_roster_is_unreadable(
        self, body: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, body=body)
        assert refused_code(api, platform) == "roster_unreadable"

    def test_a_page_without_an_end_is_given_up(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, body=b" " * (MOST_BYTES + 1))
        with pytest.raises(NoAnswer):
            read(api, platform)


class TestWhatIsNoted:
    def test_differences_whose_address_is_another_each_time_leave_one_note(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock, database: Database
    ) -> None:
        generous.get(URL, json=roster())
        for number in range(5):
            list(fetch_differences(api, platform.registration_id, f"{URL}?since={number}"))
        with database.read() as connection:
            noted = [each for each in of_registration(connection, platform.registration_id) if each.service == "roster"]
        assert len(noted) == 1


class TestRefusals:
    def test_a_course_above_the_limit_is_told_from_an_expired_token(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        asked = generous.get(URL, status=403, json={"error": "above_response_limit"})
        assert refused_code(api, platform) == "above_response_limit"
        assert (asked.call_count, len(generous.calls)) == (1, 2)

    def test_an_expired_token_is_replaced(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(URL, status=403)
        generous.get(URL, json=roster(MEMBER))
        assert len(members(api, platform)) == 1

    @pytest.mark.parametrize(("status", "times"), [(401, 2), (403, 2), (404, 1), (406, 1), (500, 1)])
    def test_a_refusal_is_told(
        self, status: int, times: int, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        asked = generous.get(URL, status=status)
        assert (refused_code(api, platform), asked.call_count) == ("roster_refused", times)

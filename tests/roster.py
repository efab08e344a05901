"""A course's roster at the wire for tests: what a platform answers when it is asked who belongs to a course."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import responses

from lti_tool.db import Database
from lti_tool.lti.nrps import ROSTER_SCOPE
from lti_tool.rosters.queries import CourseRoster, ListedMember, course, members
from lti_tool.rosters.reading import RosterReader
from lti_tool.rosters.schedule import CourseKey, plan
from tests.clock import TestClock
from tests.platform import INSTRUCTOR, LEARNER, Platform
from tests.training_day import add_place

MEMBERS_URL = "https://lms.example.org/members"
GROUPS_SCOPE = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"


def person(number: int, *roles: str, **given: Any) -> dict[str, Any]:
    """One member as Open edX tells it: the invented person of this number."""
    usual = {
        "status": "Active",
        "user_id": f"user-{number}",
        "roles": list(roles) or [LEARNER],
        "name": f"Trainee {number}",
        "email": f"trainee{number}@example.org",
    }
    return {name: value for name, value in {**usual, **given}.items() if value is not None}


TEACHER = person(9, INSTRUCTOR, LEARNER)


@dataclass
class RosterCourse:
    """The course "course-1" of one platform, whose unit offers a roster, and a reader for it."""

    database: Database
    platform: Platform
    clock: TestClock
    reader: RosterReader
    wire: responses.RequestsMock

    @property
    def key(self) -> CourseKey:
        return CourseKey(self.platform.registration_id, "course-1")

    def offer(self, **given: Any) -> int:
        """A unit of the course that was offered the roster at its latest launch."""
        values = {"memberships_url": MEMBERS_URL, **given}
        with self.database.write() as connection:
            return add_place(connection, self.platform.registration_id, self.clock(), **values)

    def serve_token(self) -> responses.BaseResponse:
        scopes = f"{ROSTER_SCOPE} {GROUPS_SCOPE}"
        return self.platform.serve_token(self.wire, scope=scopes)

    def answer(
        self, *listed: dict[str, Any], url: str = MEMBERS_URL, link: str | None = None, **answer: Any
    ) -> responses.BaseResponse:
        """What the platform answers from now on at this address, whatever is asked for beside it."""
        headers = {"Link": link} if link else {}
        body = json.dumps({"id": url, "context": {"id": "course-1"}, "members": list(listed)})
        given = {"body": body, "headers": headers, **answer}
        self.wire.remove("GET", url)
        return self.wire.get(url, **given)

    def read(self) -> CourseRoster:
        """Let the reader read whatever is due; how the course stands afterwards."""
        plan(self.database, self.clock())
        self.reader.read_all()
        return self.stands()

    def read_later(self, **span: float) -> CourseRoster:
        self.clock.advance(**(span or {"hours": 6}))
        return self.read()

    def stands(self) -> CourseRoster:
        with self.database.read() as connection:
            return course(connection, self.key, self.clock())

    def people(self) -> Sequence[ListedMember]:
        with self.database.read() as connection:
            return members(connection, self.key)

    def present(self) -> list[str]:
        return [each.user_id for each in self.people() if each.left_at is None]

    def left(self) -> list[str]:
        return [each.user_id for each in self.people() if each.left_at is not None]

"""What each role may do, right by right, as the table says it (lti.roles.COURSE_RIGHTS; docs/roles.md)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import responses
from sqlalchemy import delete, func, insert, select

from lti_tool.attendance import live_sessions
from lti_tool.attendance.settlement import settle
from lti_tool.db import Database
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.lti.roles import COURSE_RIGHTS, CourseRight
from lti_tool.rosters import queries
from lti_tool.tables.courses import enrolments, roster_members, rosters
from lti_tool.tables.scores import scores
from tests.platform import INSTRUCTOR, LEARNER, Platform
from tests.training_day import FIVE, WHOLE_DAY, enrol, present
from tests.unit.web.browser import Browser
from tests.unit.web.test_equivalency import GIVEN


@dataclass(frozen=True)
class Somebody:
    """A person in one role, who has done nothing yet, and the world they act in."""

    role: str
    trainee_id: int
    browser: Browser
    happened: Any
    database: Database
    now: Any

    def opens(self, path: str) -> bool:
        return self.browser.open(path).status == 200


def enters_shut_module(who: Somebody) -> bool:
    return "All requirements" not in who.browser.open("/modules/F2").text


def may_ask(who: Somebody) -> bool:
    form = who.browser.open("/equivalency/F1")
    return who.browser.send(form, "/equivalency/F1", **GIVEN).status == 303


def settled(who: Somebody) -> None:
    """The person attends the whole day of module 1, enrolled in this role."""
    with who.database.write() as connection:
        connection.execute(delete(enrolments).where(enrolments.c.trainee_id == who.trainee_id))
        enrol(connection, who.happened.platform, who.trainee_id, who.now, role=who.role)
    follow = partial(follow_attendance, now=who.now)
    settle(who.database, who.happened.day, [present(who.trainee_id, *WHOLE_DAY)], FIVE, who.now, follow)


def is_scored(who: Somebody) -> bool:
    settled(who)
    with who.database.read() as connection:
        return bool(connection.scalar(select(func.count()).where(scores.c.trainee_id == who.trainee_id)))


def is_listed_as_missing(who: Somebody) -> bool:
    course = {"registration_id": who.happened.platform, "context_id": "course-1"}
    with who.database.write() as connection:
        address = "https://lms.example.org/members"
        connection.execute(insert(rosters).values(**course, memberships_url=address, code="", next_at=who.now))
        seen = {"first_seen_at": who.now, "last_seen_at": who.now, "groups": [], "user_id": f"user-{who.trainee_id}"}
        connection.execute(insert(roster_members).values(**course, **seen, trainee_id=who.trainee_id, role=who.role))
        session = live_sessions.show(connection, who.happened.day)
        found = queries.of_session(connection, session, (), who.now)
        return who.trainee_id in {row.trainee_id for course in found for row in connection.execute(course.missing)}


def is_let_in(who: Somebody, kind: str, **claims: Any) -> bool:
    """Whether a message that a platform sends for somebody in this role is let in."""
    platform = Platform(origin="https://elsewhere.example.org").register(who.database, who.now)
    with responses.RequestsMock() as wire:
        platform.serve_keys(wire)
        roles = [INSTRUCTOR if who.role == "staff" else LEARNER]
        message = getattr(platform, f"{kind}_claims")
        return platform.launch(who.browser.client, who.now, message=message, roles=roles, **claims).status_code == 303


def may_question_own_day(who: Somebody) -> bool:
    settled(who)
    where = f"/sessions/{who.happened.day}"
    return who.browser.send(who.browser.open(where), f"{where}/requests", text="Not all of it.").status == 303


PROBES: Mapping[str, Callable[[Somebody], bool]] = {
    "open_module": lambda who: who.opens("/modules/F1"),
    "enter_shut_module": enters_shut_module,
    "see_own_day": lambda who: who.opens(f"/sessions/{who.happened.day}"),
    "question_own_day": may_question_own_day,
    "ask_for_equivalency": may_ask,
    "see_retreats": lambda who: who.opens("/retreats"),
    "be_scored": is_scored,
    "be_missed": is_listed_as_missing,
    "use_desk": lambda who: who.opens("/desk"),
    "pick_content": lambda who: is_let_in(who, "deep_linking"),
    "review_submission": lambda who: is_let_in(who, "review", custom={"module_id": "F1"}),
}


@pytest.mark.parametrize("right", COURSE_RIGHTS, ids=lambda right: right.name)
@pytest.mark.parametrize("role", ["trainee", "staff"])
def test_a_role_may_do_what_the_table_says_and_nothing_else(
    right: CourseRight, role: str, browse, happened, database, now
) -> None:
    trainee_id = happened.staff if role == "staff" else happened.new
    who = Somebody(role, trainee_id, browse(trainee_id), happened, database, now)
    assert PROBES[right.name](who) == (role in right.roles)


def test_every_right_is_tried() -> None:
    assert set(PROBES) == {each.name for each in COURSE_RIGHTS}

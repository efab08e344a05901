"""`gatehouse roster`: who belongs to which course, as the learning platforms list it."""

from collections.abc import Iterable
from typing import Any

import click

from lti_tool.commands.console import json_option, open_house, print_fields, print_json, print_rows
from lti_tool.context import House
from lti_tool.rosters import queries, schedule
from lti_tool.rosters.queries import CourseRoster, ListedMember
from lti_tool.rosters.reading import RosterReader
from lti_tool.rosters.schedule import CourseKey

platform_id = click.argument("platform_id", type=int)
context_id = click.argument("course", metavar="COURSE")


@click.group()
def roster() -> None:
    """Rosters of courses (Names and Role Provisioning Services).

    The worker reads them every GATEHOUSE_ROSTER_HOURS, and oftener around a live session. A course has a roster once
    somebody has opened a unit of it that offers one.
    """


@roster.command("list")
@json_option
def list_rosters(as_json: bool) -> None:
    """List the courses with a roster: how many people, how fresh, what is in the way."""
    with open_house() as house, house.database.read() as connection:
        found = queries.courses(connection, house.clock())
    print_rows([_course(each) for each in found], as_json)


@roster.command()
@platform_id
@context_id
@json_option
def show(platform_id: int, course: str, as_json: bool) -> None:
    """Show the people of one course; `gatehouse roster list` says its PLATFORM_ID and COURSE."""
    key = CourseKey(platform_id, course)
    with open_house() as house, house.database.read() as connection:
        found = queries.course(connection, key, house.clock())
        people = [_member(each) for each in queries.members(connection, key)]
    if as_json:
        print_json({"course": _course(found), "members": people})
        return
    print_fields(_course(found), as_json=False)
    print_rows(people, as_json=False)


@roster.command()
@click.argument("platform_id", type=int, required=False)
@click.argument("course", metavar="COURSE", required=False)
@json_option
def read(platform_id: int | None, course: str | None, as_json: bool) -> None:
    """Read one roster now, or all of them, instead of waiting for the worker."""
    if platform_id is not None and course is None:
        raise click.UsageError("Give both, PLATFORM_ID and COURSE, or neither.")
    with open_house() as house:
        schedule.plan(house.database, house.clock())
        _ask(house, None if platform_id is None or course is None else CourseKey(platform_id, course))
        RosterReader(house.database, house.platform_api, house.clock, house.settings.roster_every).read_all()
        with house.database.read() as connection:
            found = queries.courses(connection, house.clock())
    keys = [each.key for each in found] if platform_id is None else [CourseKey(platform_id, course or "")]
    print_rows([_course(each) for each in found if each.key in keys], as_json)


def _ask(house: House, key: CourseKey | None) -> None:
    with house.database.write() as connection:
        keys: Iterable[CourseKey] = [key] if key else [each.key for each in queries.courses(connection, house.clock())]
        for each in keys:
            schedule.ask_now(connection, each, house.clock())


def _course(each: CourseRoster) -> dict[str, Any]:
    return {
        "platform": each.key.registration_id,
        "course": each.key.context_id,
        "title": each.title,
        "members": each.members,
        "read_at": each.read_at,
        "code": each.code,
        "offered": each.is_offered,
    }


def _member(each: ListedMember) -> dict[str, Any]:
    return {
        "trainee": each.trainee_id,
        "user_id": each.user_id,
        "name": each.name,
        "email": each.email,
        "role": each.role,
        "groups": list(each.groups),
        "last_launch_at": each.last_launch_at,
        "first_seen_at": each.first_seen_at,
        "left_at": each.left_at,
    }

"""`gatehouse roster`: who belongs to which course, as the learning platforms list it."""

import click

from lti_tool.commands.console import Columns, json_option, listed, open_context, print_fields, print_json, print_rows
from lti_tool.rosters import queries, schedule
from lti_tool.rosters.reading import RosterReader
from lti_tool.rosters.schedule import CourseKey

platform_id = click.argument("platform_id", type=int)
context_id = click.argument("course", metavar="COURSE")
COURSE: Columns = {
    "platform": lambda each: each.key.registration_id,
    "course": lambda each: each.key.context_id,
    "title": "title",
    "members": "members",
    "skipped": "skipped",
    "read_at": "read_at",
    "code": "code",
    "offered": "is_offered",
}
MEMBER: Columns = {
    "trainee": "trainee_id",
    "user_id": "user_id",
    "name": "name",
    "email": "email",
    "role": "role",
    "groups": lambda each: list(each.groups),
    "last_launch_at": "last_launch_at",
    "first_seen_at": "first_seen_at",
    "left_at": "left_at",
}


@click.group()
def roster() -> None:
    """Rosters of courses (Names and Role Provisioning Services).

    The worker reads them every GATEHOUSE_ROSTER_HOURS, and more often around a live session. A course has a roster
    after the first launch from one of its units that offers one.
    """


@roster.command("list")
@json_option
def list_rosters(as_json: bool) -> None:
    """List the courses with a roster: how many people, how fresh, what is in the way."""
    with open_context() as context, context.database.read() as connection:
        found = queries.courses(connection, context.clock())
    print_rows(found, as_json, COURSE)


@roster.command()
@platform_id
@context_id
@json_option
def show(platform_id: int, course: str, as_json: bool) -> None:
    """Show the people of one course; `gatehouse roster list` says its PLATFORM_ID and COURSE."""
    key = CourseKey(platform_id, course)
    with open_context() as context, context.database.read() as connection:
        found = queries.course(connection, key, context.clock())
        people = queries.members(connection, key)
    if as_json:
        members = [listed(each, MEMBER) for each in people]
        print_json({"course": listed(found, COURSE), "members": members})
        return
    print_fields(found, as_json, COURSE)
    print_rows(people, as_json, MEMBER)


@roster.command()
@click.argument("platform_id", type=int, required=False)
@click.argument("course", metavar="COURSE", required=False)
@json_option
def read(platform_id: int | None, course: str | None, as_json: bool) -> None:
    """Read one roster now, or all of them, and show what was read. A running server may do the reading."""
    if platform_id is not None and course is None:
        raise click.UsageError("Give both, PLATFORM_ID and COURSE, or neither.")
    asked = None if platform_id is None or course is None else CourseKey(platform_id, course)
    with open_context() as context:
        schedule.plan(context.database, context.clock())
        with context.database.read() as connection:
            keys = [asked] if asked else [each.key for each in queries.courses(connection, context.clock())]
        every = context.settings.roster_every
        RosterReader(context.database, context.platform_api, context.clock, every).read_now(keys)
        with context.database.read() as connection:
            found = queries.courses(connection, context.clock())
    print_rows([each for each in found if asked in (None, each.key)], as_json, COURSE)

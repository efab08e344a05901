"""`gatehouse role`: who may do what on the desk, by roles that are granted by name."""

from datetime import date

import click

from lti_tool import people, rights
from lti_tool.commands.console import DAY, json_option, listed, open_context, print_fields, print_rows
from lti_tool.context import AppContext
from lti_tool.errors import BadInput, NotFound
from lti_tool.programme import versions

SHOWN = ("id", "trainee_id", "name", "role", "reason", "granted_by", "granted_at", "ends_at", "ended_at", "end_reason")
CANDIDATE = ("trainee_id", "name", "email", "acts", "last_at")


@click.group()
def role() -> None:
    """Grant and end the roles of staff.

    Teachers see the classes of their own course without a role. Everything else on the desk needs one. The first
    programme admin is granted here; after that, programme admins grant roles on the desk under Settings, Roles.
    """


@role.command("list")
@json_option
def list_grants(as_json: bool) -> None:
    """List every grant, the newest first; those that ended too."""
    with open_context() as context, context.database.read() as connection:
        print_rows(rights.grants(connection), as_json, SHOWN)


@role.command()
@json_option
def candidates(as_json: bool) -> None:
    """List the staff who used the desk within 90 days and hold no role."""
    with open_context() as context, context.database.read() as connection:
        print_rows(rights.candidates(connection, context.clock()), as_json, CANDIDATE)


@role.command()
@click.argument("name", metavar="ROLE", type=click.Choice(list(rights.ROLES)))
@click.argument("persons", metavar="PERSON...", nargs=-1)
@click.option("--issuer", default="", help="With --sub: the platform of a person who has not opened the course yet.")
@click.option("--sub", default="", help="Their user id on that platform.")
@click.option("--reason", required=True, help="Why they hold it.")
@click.option("--until", "last_day", type=DAY, help="The last day.  [default: it does not end]")
@json_option
def grant(
    name: str, persons: tuple[str, ...], issuer: str, sub: str, reason: str, last_day: date | None, as_json: bool
) -> None:
    """Grant a role to people, each by id or e-mail address; to all of them or to none."""
    if bool(issuer) != bool(sub) or not (persons or sub):
        raise BadInput(
            "role_person_missing", "Name at least one person.", "Give ids, addresses, or --issuer and --sub."
        )
    with open_context() as context, context.database.write() as connection:
        now = context.clock()
        ids = [people.find(connection, each) for each in persons]
        if sub:
            ids.append(people.find_or_add(connection, issuer, sub, name=None, email=None, now=now))
        zone = _zone(context)
        made = [
            rights.grant(connection, each, name, reason=reason, last_day=last_day, zone=zone, actor="cli", now=now)
            for each in ids
        ]
        rows = [row for row in rights.grants(connection) if row.id in made]
    print_rows(rows, as_json, SHOWN)


@role.command()
@click.argument("grant_id", type=int)
@click.option("--reason", required=True, help="Why it ends.")
@json_option
def end(grant_id: int, reason: str, as_json: bool) -> None:
    """End a grant. The last programme admin and the last platform admin stay."""
    with open_context() as context, context.database.write() as connection:
        rights.end(connection, grant_id, reason=reason, actor="cli", now=context.clock())
        row = next(listed(each, SHOWN) for each in rights.grants(connection) if each.id == grant_id)
    print_fields(row, as_json)


def _zone(context: AppContext) -> str:
    """The zone of the programme; UTC before one is published."""
    with context.database.read() as connection:
        try:
            return versions.current(connection).programme.zone
        except NotFound:
            return "UTC"

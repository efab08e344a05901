"""`gatehouse match`: who people in Zoom are, as staff say."""

import click

from lti_tool import people
from lti_tool.attendance import matching
from lti_tool.commands.console import Columns, json_option, listed, open_context, print_fields, print_rows
from lti_tool.errors import BadInput

SHOWN = (
    "id", "kind", "value", "meeting_id", "trainee_id", "reason", "made_by", "made_at", "undone_by", "undone_reason",
    "undone_at",
)  # fmt: skip
UNMATCHED: Columns = {
    "session": lambda each: each.day.session_id,
    "name": lambda each: each.day.display_name,
    "email": lambda each: each.day.email,
    "registrant_id": lambda each: each.day.registrant_id,
    "first_at": "first_at",
    "last_at": "last_at",
    "minutes_present": lambda each: round(each.day.seconds_present / 60, 2),
    "flags": lambda each: list(each.day.flags),
}


@click.group()
def match() -> None:
    """Say who people in Zoom are, and take it back.

    A link makes an e-mail address (everywhere), a registration (in its meeting) or one connection a trainee's. Names
    are never used to guess.
    """


@match.command("list")
@click.option("--waiting", is_flag=True, help="The people who are not matched yet, instead of the links.")
@click.option("--trainee", help="Only the links of this trainee (id or e-mail).")
@json_option
def list_links(waiting: bool, trainee: str | None, as_json: bool) -> None:
    """List the links, those in force first; or the people who wait for one."""
    with open_context() as context, context.database.read() as connection:
        if waiting:
            unmatched = [
                listed(each, UNMATCHED)
                | {"known_by": [f"{claim.kind}:{claim.value}" for claim in matching.claims_of(connection, each.day)]}
                for each in matching.unmatched_people(connection)
            ]
            print_rows(unmatched, as_json)
        else:
            trainee_id = None if trainee is None else people.find(connection, trainee)
            print_rows(matching.listed(connection, trainee_id=trainee_id), as_json, SHOWN)


@match.command("link")
@click.option("--trainee", required=True, help="Who it is: the trainee's id or e-mail address.")
@click.option("--address", help="The e-mail address that Zoom shows.")
@click.option("--registrant", help="The registrant id; with --meeting.")
@click.option("--connection", "connection_id", help="The id of one connection; with --meeting.")
@click.option("--meeting", default="", help="The number of the Zoom meeting or webinar.")
@click.option("--reason", required=True, help="How you know.")
@json_option
def make_link(
    trainee: str,
    address: str | None,
    registrant: str | None,
    connection_id: str | None,
    meeting: str,
    reason: str,
    as_json: bool,
) -> None:
    """Link an address, a registration or one connection to a trainee. The sessions it touches are settled again."""
    given = {"email": address, "registrant": registrant, "connection": connection_id}
    named = [(kind, value) for kind, value in given.items() if value is not None]
    if len(named) != 1:
        raise BadInput(
            "link_wrong",
            "A link names one thing.",
            "Give one of --address, --registrant and --connection; the latter two with --meeting.",
        )
    claim = matching.read_claim(*named[0], meeting)
    with open_context() as context, context.database.write() as connection:
        trainee_id, touched = people.find(connection, trainee), matching.touched(connection, claim)
        made = matching.link(
            connection, **claim._asdict(), trainee_id=trainee_id, reason=reason, actor="cli", now=context.clock()
        )
        row = listed(matching.show(connection, made), SHOWN) | _sessions(touched)
    print_fields(row, as_json)


@match.command("undo")
@click.argument("link_id", type=int)
@click.option("--reason", required=True, help="Why it is wrong.")
@json_option
def undo_link(link_id: int, reason: str, as_json: bool) -> None:
    """Take a link back. The sessions it touches are settled again without it."""
    with open_context() as context, context.database.write() as connection:
        matching.undo(connection, link_id, reason=reason, actor="cli", now=context.clock())
        row = matching.show(connection, link_id)
        touched = matching.touched(connection, matching.claim_of(row), row.trainee_id)
    print_fields(listed(row, SHOWN) | _sessions(touched), as_json)


def _sessions(touched: list[matching.Touched]) -> dict[str, list[int]]:
    return {
        "settled_again": [each.session_id for each in touched if not each.is_locked],
        "locked": [each.session_id for each in touched if each.is_locked],
    }

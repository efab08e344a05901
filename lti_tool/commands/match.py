"""`gatehouse match`: who people in Zoom are, as staff say."""

from collections.abc import Iterator
from typing import Any

import click
from sqlalchemy import Connection

from lti_tool import people
from lti_tool.attendance import matching
from lti_tool.attendance.matching import Claim
from lti_tool.commands.console import json_option, open_house, print_fields, print_rows
from lti_tool.errors import BadInput

SHOWN = (
    "id", "kind", "value", "meeting_id", "trainee_id", "reason", "made_by", "made_at", "undone_by", "undone_reason",
    "undone_at",
)  # fmt: skip


@click.group()
def match() -> None:
    """Say who people in Zoom are, and take it back.

    A link makes an e-mail address (everywhere), a registration (in its meeting) or one connection a trainee's. Names
    are never used to guess.
    """


@match.command("list")
@click.option("--waiting", is_flag=True, help="The people nobody has matched, instead of the links.")
@click.option("--trainee", help="Only the links of this trainee (id or e-mail).")
@json_option
def list_links(waiting: bool, trainee: str | None, as_json: bool) -> None:
    """List the links, those in force first; or the people who wait for one."""
    with open_house() as house, house.database.read() as connection:
        if waiting:
            rows = list(_waiting(connection))
        else:
            whose = None if trainee is None else people.find(connection, trainee)
            rows = [_shown(row) for row in matching.listed(connection, trainee_id=whose)]
    print_rows(rows, as_json)


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
    claim = _claim({"email": address, "registrant": registrant, "connection": connection_id}, meeting)
    with open_house() as house, house.database.write() as connection:
        trainee_id, touched = people.find(connection, trainee), matching.touched(connection, claim)
        made = matching.link(
            connection, **claim._asdict(), trainee_id=trainee_id, reason=reason, actor="cli", now=house.clock()
        )
        row = _shown(matching.show(connection, made)) | _sessions(touched)
    print_fields(row, as_json)


@match.command("undo")
@click.argument("link_id", type=int)
@click.option("--reason", required=True, help="Why it is wrong.")
@json_option
def undo_link(link_id: int, reason: str, as_json: bool) -> None:
    """Take a link back. The sessions it touches are settled again without it."""
    with open_house() as house, house.database.write() as connection:
        matching.undo(connection, link_id, reason=reason, actor="cli", now=house.clock())
        row = matching.show(connection, link_id)
        touched = matching.touched(connection, matching.claim_of(row), row.trainee_id)
    print_fields(_shown(row) | _sessions(touched), as_json)


def _claim(given: dict[str, str | None], meeting: str) -> Claim:
    named = [(kind, value) for kind, value in given.items() if value is not None]
    if len(named) != 1:
        raise BadInput(
            "link_wrong",
            "A link names one thing.",
            "Give one of --address, --registrant and --connection; the latter two with --meeting.",
        )
    return matching.read_claim(*named[0], meeting.replace(" ", "").replace("-", ""))


def _waiting(connection: Connection) -> Iterator[dict[str, Any]]:
    for each in matching.everybody(connection):
        day = each.day
        yield {
            "session": day.session_id,
            "name": day.display_name,
            "email": day.email,
            "registrant_id": day.registrant_id,
            "first_at": each.first_at,
            "last_at": each.last_at,
            "minutes_present": round(day.seconds_present / 60, 2),
            "flags": list(day.flags),
            "known_by": [f"{claim.kind}:{claim.value}" for claim in matching.claims_of(connection, day)],
        }


def _shown(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SHOWN}


def _sessions(touched: list[matching.Touched]) -> dict[str, list[int]]:
    return {
        "settled_again": [each.session_id for each in touched if not each.is_locked],
        "locked": [each.session_id for each in touched if each.is_locked],
    }

"""Unmatched people in Zoom: who they are, what a link to a trainee would change, and the links made so far.

A search is sent as a form, so that no name stands in an address.
"""

from typing import Any

from flask import Blueprint
from flask import request as http_request
from marshmallow import fields, validate
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.attendance import live_sessions, matching, preview, reviews
from lti_tool.attendance.matching import Claim, UnmatchedPerson
from lti_tool.attendance.preview import Effect
from lti_tool.errors import BadInput
from lti_tool.programme import versions
from lti_tool.rights import CORRECT_ATTENDANCE
from lti_tool.web.forms import MAX_ID, Form, field, read
from lti_tool.web.page import asked_part, back, go, part, show
from lti_tool.web.request import connection, now, read_id
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview
from lti_tool.web.staff.corrections import Change, with_credit

QUEUE = "/desk/unmatched"
MAX_FOUND = 20
LINKS_ON_A_PAGE = 25


class MatchForm(Form):
    """A link to a trainee. `kind` says by what the person is known; if it is missing, the narrowest is taken."""

    trainee = fields.Integer(
        required=True,
        validate=validate.Range(1, MAX_ID, error="Choose a trainee."),
        error_messages={"required": "Choose a trainee.", "invalid": "Choose a trainee."},
    )
    kind = fields.String(load_default="")
    reason = fields.String(load_default="")


MATCH = MatchForm()

blueprint = Blueprint("matching", __name__, url_prefix="/desk")


@blueprint.get("/unmatched")
@access(CORRECT_ATTENDANCE)
def queue() -> str:
    """Every unmatched person, session by session."""
    programme = versions.current(connection()).programme
    return show("staff/unmatched.html", programme, people=matching.unmatched_people(connection()))


@blueprint.get("/unmatched/<int:attendance_id>")
@access(CORRECT_ATTENDANCE)
def person(attendance_id: int) -> str:
    """What Zoom shows of one person, a search for trainees, and what a link to the chosen one would change."""
    unmatched = matching.unmatched_person(connection(), attendance_id)
    chosen = http_request.args.get("trainee", None, read_id)
    return _page(unmatched, chosen=people.trainee(connection(), chosen) if chosen else None)


@blueprint.post("/unmatched/<int:attendance_id>/search")
@access(CORRECT_ATTENDANCE)
def search(attendance_id: int) -> str:
    """Known people whose name or address contains the text."""
    unmatched = matching.unmatched_person(connection(), attendance_id)
    wanted = field("wanted")
    return _page(unmatched, wanted=wanted, found=people.search(connection(), wanted, MAX_FOUND + 1))


@blueprint.post("/unmatched/<int:attendance_id>/match")
@access(CORRECT_ATTENDANCE)
def match(attendance_id: int) -> Response:
    """Link the person to the chosen trainee."""
    given = read(MATCH)
    claims = matching.claims_of(connection(), matching.unmatched_person(connection(), attendance_id).day)
    by_key = {"": next(iter(claims), None)} | {f"{each.kind}:{each.value}": each for each in claims}
    claim = by_key.get(given["kind"])
    if claim is None:
        raise BadInput(
            "link_wrong",
            "This person cannot be linked: Zoom gave nothing by which they could be recognised again.",
            "Choose how the person is known, or record the attendance by hand.",
        )
    matching.link(
        connection(),
        **claim._asdict(),
        trainee_id=given["trainee"],
        reason=given["reason"],
        actor=viewer().actor,
        now=now(),
    )
    return go(back(QUEUE), "person_matched")


@blueprint.post("/unmatched/<int:attendance_id>/leave")
@access(CORRECT_ATTENDANCE)
def leave(attendance_id: int) -> Response:
    """Say that the person is not a trainee. They leave the list until the evidence changes."""
    day = matching.unmatched_person(connection(), attendance_id).day
    reviews.let_stand(
        connection(),
        session_id=day.session_id,
        person_key=day.person_key,
        digest=day.input_digest,
        reason=field("reason"),
        actor=viewer().actor,
        now=now(),
    )
    return go(back(QUEUE), "person_left_alone")


@blueprint.get("/links")
@access(CORRECT_ATTENDANCE)
def made() -> str:
    """The links in force, the latest first, and those taken back."""
    rows = matching.listed(connection())
    in_force = part([each for each in rows if each.undone_at is None], LINKS_ON_A_PAGE, asked_part())
    sessions = [matching.touched(connection(), matching.claim_of(each), each.trainee_id) for each in in_force.rows]
    return show(
        "staff/links.html",
        versions.current(connection()).programme,
        in_force=list(zip(in_force.rows, sessions, strict=True)),
        links=in_force,
        undone=[each for each in rows if each.undone_at is not None],
        acting=overview.acting(connection(), {actor for each in rows for actor in (each.made_by, each.undone_by)}),
    )


@blueprint.post("/links/<int:link_id>/undo")
@access(CORRECT_ATTENDANCE)
def undo(link_id: int) -> Response:
    """Take a link back."""
    matching.undo(connection(), link_id, reason=field("reason"), actor=viewer().actor, now=now())
    return go("/desk/links", "person_unlinked")


def _page(
    unmatched: UnmatchedPerson, *, chosen: Row[Any] | None = None, wanted: str = "", found: list[Row[Any]] | None = None
) -> str:
    claims = matching.claims_of(connection(), unmatched.day)
    session = live_sessions.show(connection(), unmatched.day.session_id)
    return show(
        "staff/match.html",
        versions.version(connection(), session.programme_version).programme,
        someone=unmatched,
        day=unmatched.day,
        session=session,
        claims=claims,
        chosen=chosen,
        changes=_changes_by_claim(claims, chosen.id) if chosen else [],
        wanted=wanted,
        found=found,
        most_found=MAX_FOUND,
    )


def _changes_by_claim(claims: list[Claim], trainee_id: int) -> list[tuple[list[Claim], list[Change]]]:
    """What a link by each claim would change, session by session. Claims with the same effect stand together."""
    found: dict[tuple[tuple[int, int], ...], tuple[list[Claim], list[Effect]]] = {}
    for claim in claims:
        effects = preview.of_match(connection(), claim, trainee_id)
        key = tuple((effect.session.id, effect.seconds_after) for effect in effects)
        found.setdefault(key, ([], effects))[0].append(claim)
    return [(same, [with_credit(connection(), effect) for effect in effects]) for same, effects in found.values()]

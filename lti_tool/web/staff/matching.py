"""Who somebody in Zoom was: the unmatched people, the choice of a person of the staff, and the links made so far.

A search is for the reader's eyes. It is sent as a form, so that no name stands in an address.
"""

from typing import Any

from flask import Blueprint
from flask import request as http_request
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.attendance import live_sessions, matching, preview, reviews
from lti_tool.attendance.matching import Claim, Seen
from lti_tool.attendance.preview import Effect
from lti_tool.errors import BadInput
from lti_tool.programme import versions
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now, read_id
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview
from lti_tool.web.staff.corrections import MATCH, REASON, SEARCH, Change, read, with_credit

blueprint = Blueprint("matching", __name__, url_prefix="/desk")

MOST_FOUND = 20
# Links on one page; the latest come first.
MOST_LINKS = 25
QUEUE = "/desk/unmatched"


@blueprint.get("/unmatched")
@access("staff")
def queue() -> str:
    """Everybody whom nobody has matched, session by session."""
    return show(
        "staff/unmatched.html", versions.current(connection()).programme, people=matching.everybody(connection())
    )


@blueprint.get("/unmatched/<int:attendance_id>")
@access("staff")
def person(attendance_id: int) -> str:
    """Who was seen, a search among known people, and what a link to the chosen one would change."""
    someone = matching.seen(connection(), attendance_id)
    chosen = http_request.args.get("trainee", None, read_id)
    return _page(someone, chosen=people.trainee(connection(), chosen) if chosen else None)


@blueprint.post("/unmatched/<int:attendance_id>/search")
@access("staff")
def search(attendance_id: int) -> str:
    """Known people whose name or address contains what was typed."""
    someone = matching.seen(connection(), attendance_id)
    wanted = read(SEARCH, http_request.form.to_dict())["wanted"]
    found = people.search(connection(), wanted, MOST_FOUND + 1)
    return _page(someone, wanted=wanted, found=found)


@blueprint.post("/unmatched/<int:attendance_id>/match")
@access("staff")
def match(attendance_id: int) -> Response:
    """Link the person to the chosen trainee."""
    given = read(MATCH, http_request.form.to_dict())
    someone = matching.seen(connection(), attendance_id)
    claim = _chosen(matching.claims_of(connection(), someone.day), given["kind"])
    matching.link(
        connection(),
        **claim._asdict(),
        trainee_id=given["trainee"],
        reason=given["reason"],
        actor=viewer().actor,
        now=now(),
    )
    return go(QUEUE, "person_matched")


@blueprint.post("/unmatched/<int:attendance_id>/leave")
@access("staff")
def leave(attendance_id: int) -> Response:
    """Say that this is nobody of the training: off the list, as long as the evidence stays the same."""
    reason = read(REASON, http_request.form.to_dict())["reason"]
    day = matching.seen(connection(), attendance_id).day
    reviews.let_stand(
        connection(),
        session_id=day.session_id,
        person_key=day.person_key,
        digest=day.input_digest,
        reason=reason,
        actor=viewer().actor,
        now=now(),
    )
    return go(QUEUE, "person_left_alone")


@blueprint.get("/links")
@access("staff")
def made() -> str:
    """The links and how to take them back, page by page; `before` is the id of the last one on the page before."""
    rows = matching.listed(connection())
    before = http_request.args.get("before", None, read_id)
    in_force = [each for each in rows if each.undone_at is None and (before is None or each.id < before)]
    shown = in_force[:MOST_LINKS]
    return show(
        "staff/links.html",
        versions.current(connection()).programme,
        in_force=[_with_sessions(each) for each in shown],
        before=shown[-1].id if len(in_force) > len(shown) else None,
        undone=[each for each in rows if each.undone_at is not None],
        acting=overview.acting(connection(), {actor for each in rows for actor in (each.made_by, each.undone_by)}),
    )


@blueprint.post("/links/<int:link_id>/undo")
@access("staff")
def undo(link_id: int) -> Response:
    """Take a link back."""
    reason = read(REASON, http_request.form.to_dict())["reason"]
    matching.undo(connection(), link_id, reason=reason, actor=viewer().actor, now=now())
    return go("/desk/links", "person_unlinked")


def _page(
    someone: Seen, *, chosen: Row[Any] | None = None, wanted: str = "", found: list[Row[Any]] | None = None
) -> str:
    claims = matching.claims_of(connection(), someone.day)
    session = live_sessions.show(connection(), someone.day.session_id)
    return show(
        "staff/match.html",
        versions.version(connection(), session.programme_version).programme,
        someone=someone,
        day=someone.day,
        session=session,
        claims=claims,
        chosen=chosen,
        changes=_changes(claims, chosen) if chosen else [],
        wanted=wanted,
        found=found,
        most_found=MOST_FOUND,
    )


def _changes(claims: list[Claim], chosen: Row[Any]) -> list[tuple[list[Claim], list[Change]]]:
    """What linking by each of these would change, session by session; those that would change the same together."""
    found: dict[tuple[tuple[int, int], ...], tuple[list[Claim], list[Effect]]] = {}
    for claim in claims:
        each = preview.of_match(connection(), claim, chosen.id)
        same = tuple((effect.session.id, effect.seconds_after) for effect in each)
        found.setdefault(same, ([], each))[0].append(claim)
    return [(meant, [with_credit(connection(), effect) for effect in each]) for meant, each in found.values()]


def _chosen(claims: list[Claim], key: str) -> Claim:
    """The claim that the form names; the narrowest where it names none."""
    by_key = {f"{each.kind}:{each.value}": each for each in claims}
    found = by_key.get(key) if key else next(iter(claims), None)
    if found is None:
        raise BadInput(
            "link_wrong",
            "This person cannot be linked by that: Zoom gave nothing that would know them again.",
            "Choose how the person is known, or record the presence by hand.",
        )
    return found


def _with_sessions(link: Row[Any]) -> tuple[Row[Any], list[matching.Touched]]:
    return link, matching.touched(connection(), matching.claim_of(link), link.trainee_id)

"""Roles: who may do what on the desk, granted by name and ended with a reason (roles.md)."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import people, rights
from lti_tool.attendance import person_joins
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.programme import versions
from lti_tool.rights import GRANT_ROLES
from lti_tool.web.forms import Problems, field, problems, sent
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview

Page = str | Response | tuple[str, int]

ROLES = "/desk/settings/roles"
ENDED_SHOWN = 20
# What each role is for, in one line.
DUTIES = {
    rights.PROGRAMME_ADMIN: "Everything but platforms: publishes the programme, grants roles, reads the log.",
    rights.COORDINATOR: "Sessions, attendance, equivalencies, exceptions and completions.",
    rights.REGISTRAR: "Licences and credit; may correct attendance.",
    rights.RETREAT_COORDINATOR: "Applications to retreats. The desk has no page for them yet.",
    rights.SCREENER: "Screens applications to retreats. The desk has no page for them yet.",
    rights.PLATFORM_ADMIN: "Learning platforms, course units, scores, background jobs.",
    rights.AUDITOR: "Sees everything but requests for accommodations, and changes nothing.",
}
REFUSED = (BadInput, Conflict, NotFound)
FIELD_OF = {
    "trainee_unknown": "person",
    "trainee_ambiguous": "person",
    "address_wrong": "person",
    "role_unknown": "role",
    "role_held": "role",
    "role_needs_holder": "until",
    "role_end_past": "until",
    "day_wrong": "until",
    "reason_missing": "reason",
}

blueprint = Blueprint("roles", __name__, url_prefix=ROLES)


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with the grants that are in force."""

    trainee_id: int
    name: str
    email: str | None
    grants: list[Any]


@blueprint.get("")
@access(GRANT_ROLES)
def roles() -> Page:
    """Who holds which role, whom to give one, and the form that grants one; `?person=` fills it in."""
    return _page({"person": http_request.args.get("person", "")}, {})


@blueprint.post("")
@access(GRANT_ROLES)
def grant() -> Page:
    """Give somebody a role. Whoever is named by an address is shown first: an address proves no one."""
    given = sent()
    try:
        trainee_id = people.find(connection(), given.get("person", ""))
        if given.get("confirmed") != str(trainee_id):
            return _page(given | {"confirmed": str(trainee_id)}, {})
        rights.grant(
            connection(),
            trainee_id,
            given.get("role", ""),
            reason=given.get("reason", ""),
            last_day=_day(given.get("until", "")),
            zone=versions.current(connection()).programme.zone,
            actor=viewer().actor,
            now=now(),
        )
    except REFUSED as refusal:
        return _page(given, problems(refusal, FIELD_OF)), refusal.status
    return go(ROLES, "role_granted")


@blueprint.post("/<int:grant_id>/end")
@access(GRANT_ROLES)
def end(grant_id: int) -> Page:
    """End a grant."""
    try:
        rights.end(connection(), grant_id, reason=field("reason"), actor=viewer().actor, now=now())
    except Conflict as refusal:
        return _page({}, problems(refusal, {})), refusal.status
    return go(ROLES, "role_ended")


def _page(given: dict[str, str], found: Problems) -> str:
    every = rights.grants(connection())
    holders: dict[int, Holder] = {}
    for each in every:
        if rights.is_in_force(each, now()):
            name = each.name or f"Person {each.trainee_id}"
            holders.setdefault(each.trainee_id, Holder(each.trainee_id, name, each.email, [])).grants.append(each)
    ended = [each for each in every if not rights.is_in_force(each, now())][:ENDED_SHOWN]
    acting = {each.granted_by for each in every} | {each.ended_by for each in ended}
    return show(
        "staff/roles.html",
        versions.current(connection()).programme,
        holders=sorted(holders.values(), key=lambda each: each.name.casefold()),
        ended=ended,
        candidates=rights.candidates(connection(), now()),
        acting=overview.acting(connection(), acting),
        roles=rights.ROLES,
        duties=DUTIES,
        given=given,
        named=person_joins.known(connection(), int(given["confirmed"])) if given.get("confirmed") else None,
        problems=found,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput("day_wrong", "This is not a day.", "Choose a day, or none.") from None

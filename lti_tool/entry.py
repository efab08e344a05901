"""What a verified message leaves behind: who, where, and a session that opens one page.

The message's type decides what is opened, never the address it was sent to (lti.md DL-1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, bindparam, select, update

from lti_tool import people
from lti_tool.db import upsert
from lti_tool.deep_linking import requests
from lti_tool.desk import review
from lti_tool.errors import RefusedLaunch
from lti_tool.link_content import Content, content_of
from lti_tool.lti import nonces, oidc
from lti_tool.lti.claims import DEEP_LINKING_REQUEST, RESOURCE_LINK_REQUEST, SUBMISSION_REVIEW_REQUEST, Ags, Launch
from lti_tool.lti.oidc import Site, State
from lti_tool.session import Role, start
from lti_tool.tables.courses import enrolments, placements

SCORE_MEANINGS = ("completion", "ce")
LAUNCH_NOTED_AGAIN = timedelta(hours=1)

# Messages that only a teacher of the course may send, and how others are told.
FOR_STAFF = {
    DEEP_LINKING_REQUEST: (
        "deep_linking_for_staff",
        "What a link opens is picked by the people who run the course.",
        "If you teach this course, open it with your teaching role.",
    ),
    SUBMISSION_REVIEW_REQUEST: (
        "review_for_staff",
        "Somebody's attendance is reviewed by the people who run the course.",
        "Your own attendance is on the page of the module in your course.",
    ),
}

_statements: dict[tuple[str, ...], Any] = {}


@dataclass(frozen=True, slots=True)
class Entered:
    """The end of a launch: the token of the session that began, and the page to open."""

    token: str
    path: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The page a message opens, and the placement that led there, if any."""

    path: str
    placement_id: int | None = None


def enter(connection: Connection, site: Site, launched: Launch, state: State, now: datetime) -> Entered:
    """Let a verified message in: consume its nonce, record the person, open what it asks for, begin a session.

    Everything happens in the caller's transaction. Raises RefusedLaunch `nonce_used`, `target_foreign`,
    `deep_linking_for_staff`, `review_for_staff`, and what the message's own opening raises.
    """
    nonces.use(connection, state.nonce, state.expires_at)
    if launched.target_link_uri is not None and not site.is_own(launched.target_link_uri):
        raise oidc.target_foreign()
    _verify_role(launched)
    role: Role = "staff" if launched.is_staff else "trainee"
    trainee_id = people.find_or_add(
        connection, launched.issuer, launched.sub, name=launched.name, email=launched.email, now=now
    )
    enrol(connection, launched, trainee_id, role, now)
    opened = OPENINGS[launched.message_type](connection, launched, trainee_id, now)
    token = start(
        connection,
        trainee_id=trainee_id,
        registration_id=launched.registration_id,
        context_id=launched.context_id,
        placement_id=opened.placement_id,
        role=role,
        now=now,
    )
    return Entered(token, opened.path)


def enrol(connection: Connection, launched: Launch, trainee_id: int, role: Role, now: datetime) -> None:
    """Record that this person was seen in this course, under the platform's own user id."""
    key = {
        "registration_id": launched.registration_id,
        "context_id": launched.context_id or "",
        "trainee_id": trainee_id,
    }
    _write(connection, enrolments, key, {"user_id": launched.sub, "role": role, "last_launch_at": now})


def open_unit(connection: Connection, launched: Launch, _trainee_id: int, now: datetime) -> Opened:
    """A launch of a unit opens what its claims name, else the module that staff assigned to it, else the dashboard or
    the desk. Raises RefusedLaunch `module_unknown`, `retreat_of_link_unknown`."""
    content = content_of(connection, launched)
    placement_id, assigned = place(connection, launched, content, now)
    if not content.key and assigned is not None:
        content = Content(module_id=assigned)
    return Opened(content.address or ("/desk" if launched.is_staff else "/"), placement_id)


def pick_content(connection: Connection, launched: Launch, trainee_id: int, now: datetime) -> Opened:
    """A deep linking request waits for the teacher's choice."""
    return Opened(f"/deep-linking/{requests.begin(connection, launched, trainee_id, now)}")


def review_submission(connection: Connection, launched: Launch, _trainee_id: int, _now: datetime) -> Opened:
    """A submission review opens the learner's attendance. Raises RefusedLaunch `review_module_unknown`."""
    module_id = content_of(connection, launched).module_id or review.module_of(connection, launched)
    address = f"/desk/review/{quote(module_id, safe='')}"
    found = people.of_identities(connection, launched.issuer, [launched.for_user or ""])
    return Opened("/".join([address, *(str(each.id) for each in found.values())]))


OPENINGS: Mapping[str, Callable[[Connection, Launch, int, datetime], Opened]] = {
    RESOURCE_LINK_REQUEST: open_unit,
    DEEP_LINKING_REQUEST: pick_content,
    SUBMISSION_REVIEW_REQUEST: review_submission,
}


def place(connection: Connection, launched: Launch, content: Content, now: datetime) -> tuple[int, str | None]:
    """Record what the resource link opens and which services it was offered at this launch; the placement's id and the
    module it opens, which for a link whose claims name nothing is the one that staff assigned.

    Most launches change nothing: then nothing is written but once an hour that there was one, so launches of one unit
    do not wait for each other's commit.
    """
    key = {
        "registration_id": launched.registration_id,
        "deployment_id": launched.deployment_id,
        "resource_link_id": launched.resource_link_id,
        "content": content.key,
    }
    values = _offered(launched) | ({"module_id": content.module_id} if content.key else {}) | _shared(launched)
    known = connection.execute(_place_of_link, key).first()
    assigned = None if known is None else known.module_id
    if known is not None and all(known._mapping[name] == value for name, value in values.items()):
        if now - known.launched_at >= LAUNCH_NOTED_AGAIN:
            connection.execute(_note_launch, {"place": known.id, "now": now})
        return int(known.id), assigned
    seen = {"updated_at": now, "launched_at": now}
    placement_id = int(_write(connection, placements, key, values | seen).scalar_one())
    return placement_id, content.module_id or assigned


def _offered(launched: Launch) -> dict[str, Any]:
    """What any launch says of its course, its link and the services there."""
    ags = launched.ags or Ags(None, None, ())
    score = launched.custom_value("score")
    return {
        "resource_link_title": launched.resource_link_title,
        "context_id": launched.context_id,
        "context_title": launched.context_title,
        "score_meaning": score if score in SCORE_MEANINGS else None,
        "line_item_url": ags.line_item_url,
        "line_items_url": ags.line_items_url,
        "ags_scopes": list(ags.scopes),
        "memberships_url": launched.memberships_url,
        "groups_url": launched.groups_url,
        "notices_url": launched.notices.url if launched.notices else None,
    }


def _shared(launched: Launch) -> dict[str, Any]:
    """Whether a learner's launch carried name and address: a teacher's says nothing about the learners'."""
    if launched.is_staff:
        return {}
    return {"shares_name": launched.name is not None, "shares_email": launched.email is not None}


def _verify_role(launched: Launch) -> None:
    refusal = None if launched.is_staff else FOR_STAFF.get(launched.message_type)
    if refusal is not None:
        raise RefusedLaunch(*refusal, status=403)


def _write(connection: Connection, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Insert the row of this key or bring it up to date; each statement is built once."""
    known = (connection.dialect.name, table.name, *values)
    if known not in _statements:
        statement = upsert(connection, table)
        new = {name: statement.excluded[name] for name in values}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=new)
        _statements[known] = statement.returning(*table.primary_key.columns)
    return connection.execute(_statements[known], {**key, **values})


_place_of_link = select(placements).where(
    placements.c.registration_id == bindparam("registration_id"),
    placements.c.deployment_id == bindparam("deployment_id"),
    placements.c.resource_link_id == bindparam("resource_link_id"),
    placements.c.content == bindparam("content"),
)
_note_launch = update(placements).where(placements.c.id == bindparam("place")).values(launched_at=bindparam("now"))

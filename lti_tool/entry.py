"""What a verified launch leaves behind: who, where, and a session that opens one page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import Connection, bindparam, select

from lti_tool import people, publication
from lti_tool.db import upsert
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import nonces, oidc
from lti_tool.lti.claims import Ags, Launch
from lti_tool.lti.oidc import Site, State
from lti_tool.session import Role, start
from lti_tool.tables.courses import enrolments, placements

# Custom parameter `page` → the page it opens.
PAGES = {"retreats": "/retreats", "calendar": "/calendar", "desk": "/desk"}
MODULE_PAGE = re.compile(r"/modules/([^/]+)")

_statements: dict[tuple[str, str], Any] = {}


@dataclass(frozen=True, slots=True)
class Entered:
    """The end of a launch: the token of the session that began, and the page to open."""

    token: str
    path: str


def enter(connection: Connection, site: Site, launched: Launch, state: State, now: datetime) -> Entered:
    """Let a verified launch in: consume its nonce, record person, place and enrolment, begin a session.

    Everything happens in the caller's transaction. Raises RefusedLaunch `nonce_used`, `target_foreign` or
    `module_unknown`.
    """
    nonces.use(connection, state.nonce, state.expires_at)
    if not site.is_own(launched.target_link_uri):
        raise oidc.target_foreign()
    module_id = _module(connection, launched)
    role: Role = "staff" if launched.is_staff else "trainee"
    trainee_id = people.find_or_add(
        connection, launched.issuer, launched.sub, name=launched.name, email=launched.email, now=now
    )
    placement_id = place(connection, launched, module_id, now)
    enrol(connection, launched, trainee_id, role, now)
    token = start(
        connection,
        trainee_id=trainee_id,
        registration_id=launched.registration_id,
        context_id=launched.context_id,
        placement_id=placement_id,
        role=role,
        now=now,
    )
    return Entered(token, _page(launched, module_id))


def place(connection: Connection, launched: Launch, module_id: str | None, now: datetime) -> int:
    """Record what the resource link opens and which services it was offered at this launch; the placement's id.

    Most launches change nothing: then nothing is written, so launches of one unit do not wait for each other's commit.
    """
    ags = launched.ags or Ags(None, None, ())
    key = {
        "registration_id": launched.registration_id,
        "deployment_id": launched.deployment_id,
        "resource_link_id": launched.resource_link_id,
        "content": _content(launched, module_id),
    }
    values = {
        "context_id": launched.context_id,
        "context_title": launched.context_title,
        "module_id": module_id,
        "line_item_url": ags.line_item_url,
        "line_items_url": ags.line_items_url,
        "ags_scopes": list(ags.scopes),
        "memberships_url": launched.memberships_url,
    }
    known = connection.execute(_place_of_link, key).first()
    if known is not None and all(known._mapping[name] == value for name, value in values.items()):
        return int(known.id)
    return int(_write(connection, placements, key, {**values, "updated_at": now}).scalar_one())


def enrol(connection: Connection, launched: Launch, trainee_id: int, role: Role, now: datetime) -> None:
    """Record that this person was seen in this course, under the platform's own user id."""
    key = {
        "registration_id": launched.registration_id,
        "context_id": launched.context_id or "",
        "trainee_id": trainee_id,
    }
    _write(connection, enrolments, key, {"user_id": launched.sub, "role": role, "last_launch_at": now})


def _write(connection: Connection, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Insert the row of this key or bring it up to date; the statement of each table is built once."""
    known = (connection.dialect.name, table.name)
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


def _module(connection: Connection, launched: Launch) -> str | None:
    """The module that the signed claims name, by custom parameter or target link. Raises RefusedLaunch
    `module_unknown` when the published programme has no such module."""
    in_target = MODULE_PAGE.fullmatch(urlsplit(launched.target_link_uri).path)
    module_id = launched.custom_value("module_id") or (unquote(in_target[1]) if in_target else None)
    if module_id is not None and module_id not in publication.current(connection).programme.modules:
        raise RefusedLaunch(
            "module_unknown",
            "This unit is connected to a module that the programme does not have.",
            "Tell the people who run the course: the unit's custom parameter module_id names no module of the "
            "published programme.",
            status=404,
        )
    return module_id


def _content(launched: Launch, module_id: str | None) -> str:
    """What the signed claims say that this link opens: "module:F1", "page:retreats", or "" when they name nothing."""
    if module_id is not None:
        return f"module:{module_id}"
    page = launched.custom_value("page")
    return f"page:{page}" if page in PAGES else ""


def _page(launched: Launch, module_id: str | None) -> str:
    """The page a launch opens; only what the platform signed decides."""
    if module_id is not None:
        return f"/modules/{quote(module_id, safe='')}"
    target = urlsplit(launched.target_link_uri).path
    asked = PAGES.get(launched.custom_value("page") or "") or (target if target in PAGES.values() else None)
    return asked or ("/desk" if launched.is_staff else "/")

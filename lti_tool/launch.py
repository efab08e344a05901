"""The three LTI endpoints, and what a good launch leaves behind: who, where, and a session that opens one page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template
from flask import request as http_request
from sqlalchemy import Connection, bindparam, select

from lti_tool import people, publication
from lti_tool.db import upsert
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import id_token, keys, nonces, oidc
from lti_tool.lti.claims import Ags, Launch, load_launch
from lti_tool.lti.oidc import Site, State
from lti_tool.request import connection, house, now
from lti_tool.session import COOKIE, LIFETIME, Role, access, drop_cookie, set_cookie, start
from lti_tool.tables.platforms import enrolments, placements

blueprint = Blueprint("lti", __name__)

# Custom parameter `page` → the page it opens.
PAGES = {"retreats": "/retreats", "calendar": "/calendar", "desk": "/desk"}
MODULE_PAGE = re.compile(r"/modules/([^/]+)")
ERROR_CODE = re.compile(r"[a-z_]{1,40}")

_statements: dict[tuple[str, str], Any] = {}


@dataclass(frozen=True, slots=True)
class Entered:
    """The end of a launch: the token of the session that began, and the page to open."""

    token: str
    path: str


@blueprint.route(oidc.LOGIN_PATH, methods=["GET", "POST"])
@access("public")
def login() -> Response:
    """Third-party initiated login: send the browser on to the platform. Writes nothing."""
    begun = oidc.begin_login(house().registrations, _site(), http_request.values, now())
    response = _redirect(begun.auth_url, 302)
    set_cookie(response, begun.cookie, begun.cookie_value, oidc.LIFETIME)
    return response


@blueprint.post(oidc.LAUNCH_PATH)
@access("public")
def launch() -> Response:
    """Authentication response: verify it outside of any transaction, then enter in one."""
    state = oidc.load_state(_site(), _field("state"), now())
    platform = house().registrations.load_active(state.registration_id, now())
    try:
        oidc.verify_browser(_site(), state, platform, http_request.cookies)
    except oidc.CookieMissing as missing:
        return _offer_new_tab(missing)
    _verify_no_error(http_request.form)
    claims = id_token.verify(_field("id_token"), platform, state, house().key_sets, now())
    entered = enter(connection(), _site(), load_launch(claims, platform), state, now())
    response = _redirect(entered.path, 303)
    set_cookie(response, COOKIE, entered.token, LIFETIME)
    drop_cookie(response, state.cookie)
    return response


@blueprint.get("/lti/jwks.json")
@access("public")
def key_set() -> Response:
    """The tool's public key set."""
    response = jsonify(house().keys.key_set())
    response.headers["Cache-Control"] = f"public, max-age={int(keys.MAX_AGE.total_seconds())}"
    return response


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
    token = start(connection, trainee_id=trainee_id, placement_id=placement_id, role=role, now=now)
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
)


def _site() -> Site:
    settings = house().settings
    return Site(settings.public_url, settings.secret_key)


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


def _page(launched: Launch, module_id: str | None) -> str:
    """The page a launch opens; only what the platform signed decides."""
    if module_id is not None:
        return f"/modules/{quote(module_id, safe='')}"
    target = urlsplit(launched.target_link_uri).path
    asked = PAGES.get(launched.custom_value("page") or "") or (target if target in PAGES.values() else None)
    return asked or ("/desk" if launched.is_staff else "/")


def _field(name: str) -> str:
    value = http_request.form.get(name)
    if value is None and "error" in http_request.form:
        _verify_no_error(http_request.form)
    if not value:
        raise RefusedLaunch(
            "launch_incomplete",
            f"The learning platform's answer lacks {name}.",
            "Open the unit from your course. This address is meant for the platform, not for a bookmark.",
        )
    return value


def _verify_no_error(form: Mapping[str, str]) -> None:
    """The platform may answer a login with an error of its own (OIDC-8)."""
    if "error" not in form:
        return
    named = form["error"] if ERROR_CODE.fullmatch(form["error"]) else "an error"
    raise RefusedLaunch(
        "platform_error",
        f"The learning platform did not let this launch through ({named}).",
        "Go back to your course, make sure that you are signed in there, and open this unit again.",
    )


def _offer_new_tab(missing: oidc.CookieMissing) -> Response:
    page = render_template(
        "launch/new_tab.html", message=missing.message, again_url=missing.again_url, code=missing.code
    )
    return make_response(page, missing.status)


def _redirect(address: str, status: int) -> Response:
    response = make_response(redirect(address, status))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response

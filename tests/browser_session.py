"""A browser session without a launch, for tests of pages."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from lti_tool import rights
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.web.session import new_session

# They may do everything together.
ADMINS = (rights.PROGRAMME_ADMIN, rights.PLATFORM_ADMIN)


def start(
    connection: Connection,
    *,
    trainee_id: int,
    placement_id: int | None,
    granted: Collection[str] | None = None,
    **whose: Any,
) -> str:
    """Begin a session; returns its token. Staff hold every right, or the roles `granted`."""
    token, row = new_session(nonce=secrets.token_urlsafe(), **whose)
    connection.execute(insert(web_sessions), {**row, "trainee_id": trainee_id, "placement_id": placement_id})
    if granted is None:
        granted = ADMINS if whose["role"] == "staff" else ()
    grant(connection, trainee_id, granted, whose["now"])
    return token


def grant(connection: Connection, trainee_id: int, roles: Collection[str], now: datetime) -> None:
    """Give a person these roles, for good."""
    for role in set(roles) - rights.roles_of(connection, trainee_id, now):
        rights.grant(connection, trainee_id, role, reason="For the test.", actor="cli", now=now)

"""A browser session without a launch, for tests of pages."""

import secrets
from typing import Any

from sqlalchemy import Connection, insert

from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.web.session import new_session


def start(connection: Connection, *, trainee_id: int, placement_id: int | None, **whose: Any) -> str:
    """Begin a session; returns its token."""
    token, row = new_session(nonce=secrets.token_urlsafe(), **whose)
    connection.execute(insert(web_sessions), {**row, "trainee_id": trainee_id, "placement_id": placement_id})
    return token

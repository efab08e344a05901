"""A browser session without a launch, for tests of pages."""

import secrets
from typing import Any

from sqlalchemy import Connection, insert

from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.web.session import new_session


def start(connection: Connection, **whose: Any) -> str:
    """Begin a session; returns its token."""
    begun = new_session(nonce=secrets.token_urlsafe(), **whose)
    connection.execute(insert(web_sessions), begun.row)
    return begun.token

"""Registrations as logins and launches see them: read from the database at most once in two seconds each.

Only what stands is remembered. So a new registration counts at once, and a change of a known one (its addresses, its
deployments, `platform disable`) within two seconds. The sessions of a disabled one end at once: they ask the database.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from lti_tool.db import Database
from lti_tool.lti.registration import Registration, find, load_active

REMEMBERED = timedelta(seconds=2)

Key = int | tuple[str, str | None]


class Registrations:
    """The active registrations. Safe to use from several threads; `now` is the instant of the request that asks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Key, tuple[datetime, Registration]] = {}

    def find(self, issuer: str, client_id: str | None, now: datetime) -> Registration:
        """The registration that a login names; raises what `registration.find` does."""
        return self._recall((issuer, client_id), lambda connection: find(connection, issuer, client_id), now)

    def load_active(self, registration_id: int, now: datetime) -> Registration:
        """The registration that a state names; raises what `registration.load_active` does."""
        return self._recall(registration_id, lambda connection: load_active(connection, registration_id), now)

    def _recall(self, key: Key, read: Callable[[Connection], Registration], now: datetime) -> Registration:
        read_at, registration = self._known.get(key, (None, None))
        if read_at is None or registration is None or abs(now - read_at) > REMEMBERED:
            with self._database.read() as connection:
                registration = read(connection)
            self._known[key] = now, registration
        return registration

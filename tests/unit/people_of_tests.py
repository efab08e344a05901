"""Invented people in a test's database."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from lti_tool import people
from lti_tool.credit import licences

ISSUER = "https://lms.example.org"


def launched(connection: Connection, now: datetime, name: str = "Ada Example", **changes: Any) -> int:
    """Somebody who launched once; name, address and `sub` come from the name."""
    word = name.partition(" ")[0].lower()
    values = {"name": name, "email": f"{word}@example.org"} | changes
    return people.find_or_add(connection, ISSUER, values.pop("sub", f"user-{word}"), **values, now=now)


def licensed(connection: Connection, trainee_id: int, now: datetime, **changes: Any) -> int:
    """A licence of that person: LMFT in California, 2020 to 2030, unless told otherwise."""
    values: dict[str, Any] = {
        "type": "LMFT",
        "jurisdiction": "CA",
        "number": "LMFT-12345",
        "name_on_licence": "Ada Example",
        "issued_on": date(2020, 1, 1),
        "expires_on": date(2030, 12, 31),
        "actor": "cli",
        "now": now,
    }
    return licences.record_licence(connection, trainee_id, **(values | changes))

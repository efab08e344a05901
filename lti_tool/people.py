"""The people known from launches. An e-mail address finds somebody, it never proves who somebody is."""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound
from lti_tool.tables.people import identities, trainees

TOKEN_BYTES = 32
MAX_TEXT = 255
MAX_ID_DIGITS = 18


def find_or_add(
    connection: Connection, issuer: str, sub: str, *, name: str | None, email: str | None, now: datetime
) -> int:
    """The trainee of a platform identity, made at the first launch.

    `sub` is unique within `issuer` (OpenID Connect Core §2). Name and address follow the latest launch that sends them.
    Of two first launches at once, one makes the person and both get the same id.
    """
    known = _of_identity(connection, issuer, sub)
    if known is None:
        return _add(connection, issuer, sub, _shown(name), _address(email), now)
    _refresh(connection, known, _shown(name), _address(email))
    return int(known.id)


def find(connection: Connection, id_or_email: str) -> int:
    """The trainee with this id or this exact e-mail address (upper and lower case are the same).

    Raises NotFound "trainee_unknown", Conflict "trainee_ambiguous" where several people launched with the address.
    """
    wanted = id_or_email.strip()
    if wanted.isascii() and wanted.isdigit():
        if len(wanted) > MAX_ID_DIGITS:
            raise _unknown()
        return int(trainee(connection, int(wanted)).id)
    found = with_email(connection, wanted)
    if not found:
        raise _unknown()
    if len(found) > 1:
        ids = ", ".join(map(str, found))
        raise Conflict("trainee_ambiguous", f"Several trainees have this address: {ids}.", "Use the id instead.")
    return found[0]


def with_email(connection: Connection, email: str) -> list[int]:
    """The ids of everybody who launched with this address, lowest first; none for an empty one."""
    address = _address(email)
    if address is None:
        return []
    return list(connection.scalars(select(trainees.c.id).where(trainees.c.email == address).order_by(trainees.c.id)))


def trainee(connection: Connection, trainee_id: int) -> Row[Any]:
    """The whole row. Raises NotFound "trainee_unknown"."""
    row = connection.execute(select(trainees).where(trainees.c.id == trainee_id)).first()
    if row is None:
        raise _unknown()
    return row


def _of_identity(connection: Connection, issuer: str, sub: str) -> Row[Any, Any, Any] | None:
    """Id, name and e-mail address."""
    return connection.execute(_person_of_identity, {"issuer": issuer, "sub": sub}).first()


def _add(connection: Connection, issuer: str, sub: str, name: str | None, email: str | None, now: datetime) -> int:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    person = {"name": name, "email": email, "calendar_token": token, "created_at": now}
    trainee_id: int = connection.execute(_insert_person, person).scalar_one()
    identity = {"issuer": issuer, "sub": sub, "trainee_id": trainee_id}
    if connection.execute(insert_ignoring(connection, identities), identity).rowcount:
        return trainee_id
    # Another launch of the same person was quicker.
    connection.execute(delete(trainees).where(trainees.c.id == trainee_id))
    known = _of_identity(connection, issuer, sub)
    assert known is not None
    return int(known.id)


def _refresh(connection: Connection, known: Row[Any, Any, Any], name: str | None, email: str | None) -> None:
    """Write only what has changed: most launches change nothing."""
    sent = {key: value for key, value in (("name", name), ("email", email)) if value is not None}
    changed = {key: value for key, value in sent.items() if getattr(known, key) != value}
    if changed:
        connection.execute(update(trainees).where(trainees.c.id == known.id).values(changed))


def _shown(name: str | None) -> str | None:
    return _plain(name)[:MAX_TEXT] or None if name else None


def _address(email: str | None) -> str | None:
    """Lower-cased; an address too long to be one is none."""
    address = _plain(email).lower() if email else ""
    return address if address and len(address) <= MAX_TEXT else None


def _plain(text: str) -> str:
    """Without control characters, which PostgreSQL refuses or a page cannot show."""
    return "".join(letter for letter in text if letter.isprintable()).strip()


def _unknown() -> NotFound:
    return NotFound(
        "trainee_unknown", "There is no such trainee.", "People are known from their first launch; check id or address."
    )


_person_of_identity = (
    select(trainees.c.id, trainees.c.name, trainees.c.email)
    .join_from(identities, trainees)
    .where(identities.c.issuer == bindparam("issuer"), identities.c.sub == bindparam("sub"))
)
_insert_person = insert(trainees).returning(trainees.c.id)

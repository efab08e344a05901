"""The people known from launches and rosters. An e-mail address finds somebody, it never proves who somebody is."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, String, bindparam, delete, func, insert, or_, select, update

from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.tables.people import identities, trainees
from lti_tool.text import clean, email_address

SALT_BYTES = 32
MAX_TEXT = 255
MAX_ID_DIGITS = 18
IDS_IN_ONE_QUERY = 500


class Profile(NamedTuple):
    """What a platform says of a person, as it is kept: plain and short; None for what it does not say."""

    name: str | None
    email: str | None


def profile(name: str | None, email: str | None) -> Profile:
    return Profile(clean(name or "")[:MAX_TEXT] or None, email_address(email or ""))


def find_or_add(
    connection: Connection, issuer: str, sub: str, *, name: str | None, email: str | None, now: datetime
) -> int:
    """The trainee of a platform identity, made when a launch or a roster names it first.

    `sub` is unique within `issuer` (OpenID Connect Core §2). A name or address that is given replaces the former one.
    Of two first launches at once, one makes the person and both get the same id.
    """
    given = profile(name, email)
    known = _of_identity(connection, issuer, sub)
    if known is None:
        return _add(connection, issuer, sub, given, now)
    # Most launches change nothing, so only what has changed is written.
    changed = {
        key: value for key, value in given._asdict().items() if value is not None and getattr(known, key) != value
    }
    if changed:
        connection.execute(update(trainees).where(trainees.c.id == known.id).values(changed))
    return int(known.id)


def add_missing(
    connection: Connection, issuer: str, profiles: Mapping[str, Profile], now: datetime
) -> dict[str, Row[Any]]:
    """Make known whoever of these is not known yet; what `of_identities` says of all of them then.

    In one order, so that of two rosters with the same people one waits for the other. Who launches meanwhile is the
    launch's person.
    """
    known = of_identities(connection, issuer, list(profiles))
    missing = sorted(profiles.keys() - known.keys())
    if not missing:
        return known
    people = [_person(*profiles[sub], now) for sub in missing]
    added = connection.scalars(insert(trainees).returning(trainees.c.id, sort_by_parameter_order=True), people).all()
    rows = [{"issuer": issuer, "sub": sub, "trainee_id": each} for sub, each in zip(missing, added, strict=True)]
    connection.execute(insert_ignoring(connection, identities), rows)
    found = of_identities(connection, issuer, missing)
    for spare in set(added) - {row.id for row in found.values()}:
        connection.execute(delete(trainees).where(trainees.c.id == spare))
    return known | found


def hold(connection: Connection, trainee_ids: Sequence[int]) -> None:
    """Keep others from changing these people until the transaction ends (SQLite has one writer anyway)."""
    for some in _portions(sorted(trainee_ids)):
        locked = select(trainees.c.id).where(trainees.c.id.in_(some)).order_by(trainees.c.id)
        connection.execute(locked.with_for_update(key_share=True))


def change(connection: Connection, news: Mapping[int, Profile]) -> None:
    """Replace name and address of these people by what is told; None leaves what is kept."""
    rows = [{"person": each, **news[each]._asdict()} for each in sorted(news)]
    if rows:
        connection.execute(_change_person, rows)


def of_identities(connection: Connection, issuer: str, subs: Sequence[str]) -> dict[str, Row[Any]]:
    """By `sub`: id, name and e-mail address of those of these platform identities that are known."""
    found: dict[str, Row[Any]] = {}
    query = select(identities.c.sub, trainees.c.id, trainees.c.name, trainees.c.email)
    query = query.join_from(identities, trainees).where(identities.c.issuer == issuer)
    for some in _portions(subs):
        found |= {row.sub: row for row in connection.execute(query.where(identities.c.sub.in_(some)))}
    return found


def find(connection: Connection, id_or_email: str) -> int:
    """The trainee with this id or this e-mail address (compared as `text.email_address` says).

    Raises NotFound "trainee_unknown", Conflict "trainee_ambiguous" where several people launched with the address, and
    BadInput "address_wrong" for several addresses in one text.
    """
    wanted = clean(id_or_email)
    if wanted.isascii() and wanted.isdigit():
        if len(wanted) > MAX_ID_DIGITS:
            raise _unknown()
        return int(trainee(connection, int(wanted)).id)
    if "@" in wanted and email_address(wanted) is None:
        raise BadInput("address_wrong", "This is not one e-mail address.", "Give one address, or the trainee's id.")
    found = with_email(connection, wanted)
    if not found:
        raise _unknown()
    if len(found) > 1:
        ids = ", ".join(map(str, found))
        raise Conflict("trainee_ambiguous", f"Several trainees have this address: {ids}.", "Use the id instead.")
    return found[0]


def with_email(connection: Connection, email: str) -> list[int]:
    """The ids of everybody who launched with this address, lowest first; none for an empty one."""
    address = email_address(email)
    if address is None:
        return []
    return list(connection.scalars(select(trainees.c.id).where(trainees.c.email == address).order_by(trainees.c.id)))


def search(connection: Connection, text: str, limit: int = 20) -> list[Row[Any]]:
    """Id, name and e-mail address of those whose name or address contains this text, by name. A look-up for a person's
    eyes: it proves nothing about who somebody is. None for a text of fewer than two letters."""
    wanted = clean(text)[:MAX_TEXT]
    if len(wanted) < 2:
        return []
    # SQLite lowers ASCII letters only, so a name is tried as it is usually written too.
    by_name = [trainees.c.name.contains(each, autoescape=True) for each in {wanted, wanted.title()}]
    columns = (trainees.c.name, trainees.c.email)
    lowered = [func.lower(each).contains(wanted.lower(), autoescape=True) for each in columns]
    query = select(trainees.c.id, trainees.c.name, trainees.c.email).where(or_(*by_name, *lowered))
    return list(connection.execute(query.order_by(func.lower(trainees.c.name), trainees.c.id).limit(limit)))


def trainee(connection: Connection, trainee_id: int) -> Row[Any]:
    """The whole row. Raises NotFound "trainee_unknown"."""
    row = connection.execute(select(trainees).where(trainees.c.id == trainee_id)).first()
    if row is None:
        raise _unknown()
    return row


def renew_calendar_salt(connection: Connection, trainee_id: int) -> None:
    """Make every calendar link of this person so far stop working."""
    salt = secrets.token_urlsafe(SALT_BYTES)
    connection.execute(update(trainees).where(trainees.c.id == trainee_id).values(calendar_salt=salt))


def _of_identity(connection: Connection, issuer: str, sub: str) -> Row[Any, Any, Any] | None:
    """Id, name and e-mail address."""
    return connection.execute(_person_of_identity, {"issuer": issuer, "sub": sub}).first()


def _add(connection: Connection, issuer: str, sub: str, given: Profile, now: datetime) -> int:
    trainee_id: int = connection.execute(_insert_person, _person(*given, now)).scalar_one()
    identity = {"issuer": issuer, "sub": sub, "trainee_id": trainee_id}
    if connection.execute(insert_ignoring(connection, identities), identity).rowcount:
        return trainee_id
    # Another launch of the same person was quicker.
    connection.execute(delete(trainees).where(trainees.c.id == trainee_id))
    known = _of_identity(connection, issuer, sub)
    assert known is not None
    return int(known.id)


def _person(name: str | None, email: str | None, now: datetime) -> dict[str, Any]:
    return {"name": name, "email": email, "calendar_salt": secrets.token_urlsafe(SALT_BYTES), "created_at": now}


def _portions(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + IDS_IN_ONE_QUERY] for start in range(0, len(values), IDS_IN_ONE_QUERY))


def _unknown() -> NotFound:
    return NotFound(
        "trainee_unknown",
        "There is no such trainee.",
        "People are known from launches and rosters; check id or address.",
    )


_person_of_identity = (
    select(trainees.c.id, trainees.c.name, trainees.c.email)
    .join_from(identities, trainees)
    .where(identities.c.issuer == bindparam("issuer"), identities.c.sub == bindparam("sub"))
)
_insert_person = insert(trainees).returning(trainees.c.id)
_change_person = (
    update(trainees)
    .where(trainees.c.id == bindparam("person"))
    .values(
        name=func.coalesce(bindparam("name", type_=String), trainees.c.name),
        email=func.coalesce(bindparam("email", type_=String), trainees.c.email),
    )
)

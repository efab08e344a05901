"""Licences as recorded: a correction is a new row that ends the old one; the number is encrypted in its column."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from lti_tool import audit, people
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.programme.model import Programme
from lti_tool.tables.people import licences
from lti_tool.text import clean, read_line, reason_given

STATUSES = ("active", "probation", "inactive")
LENGTHS = {"type": 32, "jurisdiction": 16, "number": 64, "name_on_licence": 255}


def record_licence(
    connection: Connection,
    trainee_id: int,
    *,
    type: str,
    jurisdiction: str,
    number: str,
    name_on_licence: str,
    issued_on: date,
    expires_on: date,
    status: str = "active",
    verified: bool = False,
    replaces: int | None = None,
    actor: str,
    now: datetime,
) -> int:
    """Record one licence and return its id. `replaces` names the row that this one corrects, which ends now.

    Raises NotFound for an unknown trainee or licence, BadInput "licence_incomplete", "licence_dates_wrong" or
    "licence_status_unknown", Conflict "licence_ended" for a row that was corrected or ended before.
    """
    people.trainee(connection, trainee_id)
    given = {"type": type, "jurisdiction": jurisdiction.upper(), "number": number, "name_on_licence": name_on_licence}
    texts = {
        name: read_line(text, "licence_incomplete", f"The {name.replace('_', ' ')}", LENGTHS[name])
        for name, text in given.items()
    }
    if issued_on > expires_on:
        raise BadInput("licence_dates_wrong", "The licence ends before it begins.", "Check both dates.")
    if status not in STATUSES:
        raise BadInput(
            "licence_status_unknown", "The status must be active, probation or inactive.", "Use one of these."
        )
    if replaces is not None:
        _end(connection, replaces, trainee_id=trainee_id, now=now)
    row = {
        **texts,
        "number_digest": people.number_digest(connection, texts["number"]),
        "trainee_id": trainee_id,
        "issued_on": issued_on,
        "expires_on": expires_on,
        "status": status,
        "verified": verified,
        "recorded_by": actor,
        "recorded_at": now,
    }
    licence_id: int = connection.execute(insert(licences).values(row).returning(licences.c.id)).scalar_one()
    subject = f"licence:{licence_id}"
    audit.record(
        connection, actor=actor, act="licence_recorded", subject=subject, at=now, trainee=trainee_id, replaces=replaces
    )
    return licence_id


def end_licence(connection: Connection, licence_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """End a licence.

    Raises BadInput "reason_missing", NotFound "licence_unknown", Conflict "licence_ended".
    """
    why = reason_given(reason, "Say why the licence ends.")
    _end(connection, licence_id, now=now)
    audit.record(connection, actor=actor, act="licence_ended", subject=f"licence:{licence_id}", at=now, reason=why)


def of_trainee(connection: Connection, trainee_id: int, *, ended: bool = False) -> list[Row[Any]]:
    """The licences of one person, newest first; ended ones only on request."""
    wanted = select(licences).where(licences.c.trainee_id == trainee_id).order_by(licences.c.id.desc())
    return list(connection.execute(wanted if ended else wanted.where(licences.c.ended_at.is_(None))))


def known_types(programme: Programme) -> Mapping[str, str]:
    """The licence types that the programme names, by their lower-cased form."""
    listed = [each for row in programme.document_matrix for each in row.licences]
    retreats = [each for retreat in programme.retreats.values() for each in retreat.licence_types or ()]
    return {each.lower(): each for each in (*listed, *retreats)}


def known_type(programme: Programme, text: str) -> str:
    """The licence type that is meant, as the programme writes it; a misspelt one would silently earn and open nothing.
    Raises BadInput "licence_type_unknown"."""
    known = known_types(programme)
    kind = known.get(clean(text).lower())
    if kind is None:
        names = ", ".join(sorted(known.values(), key=str.lower))
        raise BadInput("licence_type_unknown", "The programme knows no such licence.", f"It knows: {names}.")
    return kind


def masked(number: str) -> str:
    """A licence number as it may be shown to others: its last two characters."""
    return "•" * max(len(number) - 2, 3) + number[-2:] if len(number) > 4 else "•" * len(number)


def _end(connection: Connection, licence_id: int, *, now: datetime, trainee_id: int | None = None) -> None:
    """End a licence that is in force; of two callers at once, one succeeds."""
    in_force = update(licences).where(licences.c.id == licence_id, licences.c.ended_at.is_(None))
    if trainee_id is not None:
        in_force = in_force.where(licences.c.trainee_id == trainee_id)
    if connection.execute(in_force.values(ended_at=now)).rowcount:
        return
    owner = connection.scalar(select(licences.c.trainee_id).where(licences.c.id == licence_id))
    if owner is None or (trainee_id is not None and owner != trainee_id):
        raise NotFound("licence_unknown", "This person has no such licence.")
    raise Conflict("licence_ended", "This licence was already ended or corrected.", "Use the newest one.")

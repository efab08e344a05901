"""What a person chose to receive, and the link in a message that ends it without a login (RFC 8058).

Decisions about a person's own requests are always sent. The link holds the person's id, signed for this purpose only:
it opens no page and joins no session.
"""

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, bindparam, select

from lti_tool.db import upsert
from lti_tool.errors import NotFound
from lti_tool.signing import SignatureExpired, SignatureWrong, sign
from lti_tool.signing import load as load_signed
from lti_tool.tables.mail import mail_preferences
from lti_tool.tables.people import person_joins

PURPOSE = "unsubscribe"
# As long as a message may lie in a mailbox before someone looks for the link.
LINK_LIFETIME = timedelta(days=365)

Choice = Literal["reminders", "schedule_changes", "digest"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """Which messages a person receives; the defaults are those of a person who chose nothing yet."""

    reminders: bool = True
    schedule_changes: bool = True
    digest: bool = False


def of(connection: Connection, trainee_id: int) -> Preferences:
    """What this person receives."""
    columns = [mail_preferences.c[each.name] for each in fields(Preferences)]
    row = connection.execute(select(*columns).where(mail_preferences.c.trainee_id == trainee_id)).first()
    return Preferences(**row._mapping) if row else Preferences()


def choose(connection: Connection, trainee_id: int, preferences: Preferences, now: datetime) -> None:
    """Keep what a person chose."""
    values = {**asdict(preferences), "updated_at": now}
    row = upsert(connection, mail_preferences).values(trainee_id=trainee_id, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["trainee_id"], set_=values))


def unsubscribe_path(secret: str, trainee_id: int, choice: Choice, now: datetime) -> str:
    """The path of the link that ends one kind of message for this person."""
    payload = {"trainee": trainee_id, "choice": choice}
    return f"/mail/unsubscribe/{sign(secret, PURPOSE, payload, expires_at=now + LINK_LIFETIME)}"


def read_link(secret: str, token: str, now: datetime) -> tuple[int, Choice]:
    """Whose messages of which kind a link ends. Raises NotFound "unsubscribe_link_wrong"."""
    try:
        payload = load_signed(secret, PURPOSE, token, now=now)
    except (SignatureWrong, SignatureExpired) as error:
        raise NotFound(
            "unsubscribe_link_wrong",
            "This link is not complete, or it is more than a year old.",
            "Use the link in a newer message, or choose your messages under Help in your course.",
        ) from error
    return payload["trainee"], payload["choice"]


def unsubscribe(connection: Connection, trainee_id: int, choice: Choice, now: datetime) -> None:
    """End one kind of message for this person, or for the person with whom staff joined this one since."""
    joined = select(person_joins.c.kept_id).where(
        person_joins.c.joined_id == bindparam("joined"), person_joins.c.undone_at.is_(None)
    )
    while (kept := connection.scalar(joined, {"joined": trainee_id})) is not None:
        trainee_id = kept
    choose(connection, trainee_id, replace(of(connection, trainee_id), **{choice: False}), now)

"""The hash chain over the inbox: each seal covers the seal before it and everything of its row that is evidence.

Rows are sealed when they are read for the first time, in the transaction that marks them as read; the webhook's own
transaction doesn't wait for its turn in a chain (docs/decisions/0012). A seal is the SHA-256 (hex) of canonical JSON: a
list of the previous seal and the values of SEALED, instants in ISO 8601 UTC, the body by its own SHA-256.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, text

from lti_tool.db import Database
from lti_tool.tables.zoom import UNTAKEN, zoom_inbox, zoom_seals
from zoom_adapter.signature import matching_secret, secret_mark

log = logging.getLogger(__name__)

# Never change these or their order: every seal before the change would be wrong. A new column stays outside.
SEALED = (
    "id",
    "dedupe_key",
    "event",
    "meeting_id",
    "meeting_uuid",
    "happened_at",
    "body",
    "headers",
    "secret_position",
    "secret_mark",
    "stale",
    "received_at",
)
MOST_BREAKS = 20

WORDS = {
    "position_missing": "A seal is missing from the chain at this position.",
    "row_missing": "The delivery under this seal is gone.",
    "row_changed": "This delivery, or its seal, is not what was sealed.",
    "row_unsealed": "This delivery was read but has no seal.",
    "signature_wrong": "The stored signature does not match this delivery's bytes, though the secret is known.",
    "noted_seal_differs": "The seal at this position is not the one that was noted.",
}

_sealed_values = attrgetter(*SEALED)
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Head(NamedTuple):
    """The last seal of the chain and its position (from 1; 0 for an empty chain)."""

    position: int
    seal: str

    def __str__(self) -> str:
        return f"{self.position}:{self.seal}"


class Break(NamedTuple):
    """Where chain and inbox disagree; `code` is one of WORDS."""

    position: int | None
    inbox_id: int | None
    code: str


@dataclass(slots=True)
class Verdict:
    """What `verify` found: the head, how many rows wait to be sealed, how many breaks there are, and the first of them.

    `signatures` counts "valid", "secret_gone" (the secret is no longer configured) and "unsigned" (stored before
    signatures were, or read from Zoom's own log).
    """

    head: Head
    waiting: int
    signatures: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    breaks: list[Break] = field(default_factory=list)


def seal(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """Seal these rows of `zoom_inbox` (whole rows, not sealed before) in their order, in the caller's transaction.

    On PostgreSQL a second caller waits at the chain's first seal until the other has committed, and only then reads the
    head. (SQLite has one writer anyway.) The position is the primary key, so the chain can never fork.
    """
    if not rows:
        return
    connection.execute(select(zoom_seals.c.position).where(zoom_seals.c.position == 1).with_for_update())
    last = head(connection)
    new = []
    for row in rows:
        last = Head(last.position + 1, digest(last.seal, row))
        new.append({"position": last.position, "inbox_id": row.id, "seal": last.seal, "sealed_at": now})
    connection.execute(insert(zoom_seals), new)


def head(connection: Connection) -> Head:
    """The last seal of the chain."""
    query = select(zoom_seals.c.position, zoom_seals.c.seal).order_by(zoom_seals.c.position.desc()).limit(1)
    last = connection.execute(query).first()
    return Head(0, "") if last is None else Head(last.position, last.seal)


def digest(previous: str, row: Row[Any]) -> str:
    """The seal of this row after the previous seal."""
    values = [
        value.isoformat()
        if isinstance(value, datetime)
        else sha256(value).hexdigest()
        if isinstance(value, bytes)
        else value
        for value in _sealed_values(row)
    ]
    return sha256(_canonical([previous, *values]).encode()).hexdigest()


def verify(
    connection: Connection,
    secrets: Sequence[str] = (),
    noted: Head | None = None,
    progress: Callable[[int], object] = lambda _more: None,
) -> Verdict:
    """Recompute every seal, and every signature whose secret is among `secrets`.

    `noted` is a seal that was written down elsewhere; `progress` gets the number of rows checked since its last call.
    After a break the check goes on from the seal in the table, so one break doesn't hide the next.
    """
    waiting = connection.scalar(select(func.count()).select_from(zoom_inbox).where(text(UNTAKEN))) or 0
    verdict = Verdict(head(connection), waiting)
    in_chain = _breaks_in_chain(connection, verdict.signatures, secrets, progress)
    for found in chain(in_chain, _breaks_beside_chain(connection, noted)):
        verdict.broken += 1
        if len(verdict.breaks) < MOST_BREAKS:
            verdict.breaks.append(found)
    return verdict


def _breaks_in_chain(
    connection: Connection, signatures: Counter[str], secrets: Sequence[str], progress: Callable[[int], object]
) -> Iterator[Break]:
    known = {secret_mark(secret): secret for secret in secrets}
    sealed = (zoom_inbox.c[each] for each in SEALED)
    columns = (zoom_seals.c.position, zoom_seals.c.inbox_id, zoom_seals.c.seal, *sealed)
    query = select(*columns).select_from(zoom_seals.outerjoin(zoom_inbox)).order_by(zoom_seals.c.position)
    previous = Head(0, "")
    for row in connection.execution_options(yield_per=1000).execute(query):
        if row.position != previous.position + 1:
            yield Break(previous.position + 1, None, "position_missing")
        elif row.id is None:
            yield Break(row.position, row.inbox_id, "row_missing")
        elif digest(previous.seal, row) != row.seal:
            yield Break(row.position, row.inbox_id, "row_changed")
        elif (signature := _check_signature(row, known)) == "wrong":
            yield Break(row.position, row.inbox_id, "signature_wrong")
        else:
            signatures[signature] += 1
        previous = Head(row.position, row.seal)
        progress(1)


def _check_signature(row: Row[Any], known: dict[str, str]) -> str:
    signature = row.headers.get("x-zm-signature")
    if signature is None or row.secret_mark is None:
        return "unsigned"
    secret = known.get(row.secret_mark)
    if secret is None:
        return "secret_gone"
    timestamp = row.headers.get("x-zm-request-timestamp", "")
    return "wrong" if matching_secret([secret], timestamp, row.body, signature) is None else "valid"


def _breaks_beside_chain(connection: Connection, noted: Head | None) -> Iterator[Break]:
    """The noted seal where it differs; and rows that were read, and so should have been sealed, but have no seal."""
    if noted is not None:
        query = select(zoom_seals.c.inbox_id, zoom_seals.c.seal).where(zoom_seals.c.position == noted.position)
        found = connection.execute(query).first()
        if found is None or found.seal != noted.seal:
            yield Break(noted.position, None if found is None else found.inbox_id, "noted_seal_differs")
    sealed = select(zoom_seals.c.inbox_id).where(zoom_seals.c.inbox_id == zoom_inbox.c.id).exists()
    unsealed = select(zoom_inbox.c.id).where(zoom_inbox.c.taken_at.is_not(None), ~sealed).order_by(zoom_inbox.c.id)
    for inbox_id in connection.execute(unsealed).scalars():
        yield Break(None, inbox_id, "row_unsealed")


@dataclass
class HeadLogger:
    """Writes the head of the chain to the log whenever the chain has grown. The log leaves the machine, so a seal in it
    proves later that nothing before it was changed, not even by someone who could rewrite the whole chain."""

    database: Database
    position: int = 0

    def log_head(self) -> bool:
        """A periodic job; never asks to be run again at once."""
        with self.database.read() as connection:
            last = head(connection)
        if last.position > self.position:
            log.info("the inbox is sealed up to here", extra={"position": last.position, "seal": last.seal})
            self.position = last.position
        return False

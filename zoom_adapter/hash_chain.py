"""The chain over the inbox: each seal covers the seal before it and everything of its row that proves something.

Rows are sealed when they are read for the first time, in the transaction that marks them as read: the webhook's own
transaction does not wait for its turn in a chain (docs/decisions/0012). A seal is the SHA-256 (hex) of canonical JSON:
a list of the former seal and the values of SEALED, instants in ISO 8601 UTC, the body by its own SHA-256.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
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

# Fixed for ever, in this order: a column added later stays outside, or every seal before it would be wrong.
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
    "row_unsealed": "This delivery was read, and has no seal.",
    "signature_wrong": "The signature kept with this delivery does not fit its bytes, though the secret is known.",
    "noted_seal_differs": "The seal at this position is not the one that was noted.",
}


_sealed = attrgetter(*SEALED)
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Head(NamedTuple):
    """The last seal of the chain: its position (from 1; 0 while there is none) and the seal."""

    position: int
    seal: str

    def __str__(self) -> str:
        return f"{self.position}:{self.seal}"


class Break(NamedTuple):
    """Where chain and inbox do not fit together; `code` is one of WORDS."""

    position: int | None
    inbox_id: int | None
    code: str


@dataclass(slots=True)
class Verdict:
    """What `verify` found: how many rows are sealed and how many wait for their first reading; `signatures` counts
    "valid", "secret_gone" (signed with a secret that is not configured any more) and "unsigned" (kept before signatures
    were, or read from Zoom's own log); how many breaks there are, and the first of them."""

    head: Head
    waiting: int
    signatures: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    breaks: list[Break] = field(default_factory=list)

    def note(self, found: Break) -> None:
        self.broken += 1
        if len(self.breaks) < MOST_BREAKS:
            self.breaks.append(found)


def seal(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """Seal these rows of `zoom_inbox` (whole rows, not sealed before) in their order, in the caller's transaction.

    Two that seal at once take turns on PostgreSQL: the second waits at the chain's first seal until the other has
    committed, and only then sees the end of the chain. (SQLite has one writer anyway.) The position is the primary key,
    so that the chain can never fork.
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
    """The end of the chain."""
    query = select(zoom_seals.c.position, zoom_seals.c.seal).order_by(zoom_seals.c.position.desc()).limit(1)
    last = connection.execute(query).first()
    return Head(0, "") if last is None else Head(last.position, last.seal)


def digest(former: str, row: Row[Any]) -> str:
    """The seal of this row after that former seal."""
    values = [_plain(value) for value in _sealed(row)]
    return sha256(_canonical([former, *values]).encode()).hexdigest()


def verify(
    connection: Connection,
    secrets: Sequence[str] = (),
    noted: Head | None = None,
    progress: Callable[[int], object] = lambda _more: None,
) -> Verdict:
    """Compute every seal, and every signature whose secret is among `secrets`, again. `noted` is a seal that somebody
    wrote down elsewhere; `progress` is told how many more rows were looked at. A break does not hide what comes after
    it: the chain is followed on from the seal that is there."""
    verdict = Verdict(head(connection), _count_waiting(connection))
    along = _broken(connection, verdict.signatures, secrets, progress)
    for found in chain(_noted(connection, noted), along, _unsealed(connection)):
        verdict.note(found)
    return verdict


def _broken(
    connection: Connection, signatures: Counter[str], secrets: Sequence[str], progress: Callable[[int], object]
) -> Iterator[Break]:
    """Along the chain, in its order."""
    known = {secret_mark(secret): secret for secret in secrets}
    former = Head(0, "")
    for row in _chain(connection):
        if row.position != former.position + 1:
            yield Break(former.position + 1, None, "position_missing")
        elif row.id is None:
            yield Break(row.position, row.inbox_id, "row_missing")
        elif digest(former.seal, row) != row.seal:
            yield Break(row.position, row.inbox_id, "row_changed")
        elif (signature := _signature(row, known)) == "wrong":
            yield Break(row.position, row.inbox_id, "signature_wrong")
        else:
            signatures[signature] += 1
        former = Head(row.position, row.seal)
        progress(1)


def _chain(connection: Connection) -> Iterable[Row[Any]]:
    columns = (
        zoom_seals.c.position,
        zoom_seals.c.inbox_id,
        zoom_seals.c.seal,
        *(zoom_inbox.c[each] for each in SEALED),
    )
    query = select(*columns).select_from(zoom_seals.outerjoin(zoom_inbox)).order_by(zoom_seals.c.position)
    return connection.execution_options(yield_per=1000).execute(query)


def _signature(row: Row[Any], known: dict[str, str]) -> str:
    signature = row.headers.get("x-zm-signature")
    if signature is None or row.secret_mark is None:
        return "unsigned"
    secret = known.get(row.secret_mark)
    if secret is None:
        return "secret_gone"
    timestamp = row.headers.get("x-zm-request-timestamp", "")
    return "wrong" if matching_secret([secret], timestamp, row.body, signature) is None else "valid"


def _unsealed(connection: Connection) -> Iterator[Break]:
    """Rows that were read, and by that sealed, without a seal."""
    sealed = select(zoom_seals.c.inbox_id).where(zoom_seals.c.inbox_id == zoom_inbox.c.id).exists()
    query = select(zoom_inbox.c.id).where(zoom_inbox.c.taken_at.is_not(None), ~sealed)
    for inbox_id in connection.execute(query.order_by(zoom_inbox.c.id)).scalars():
        yield Break(None, inbox_id, "row_unsealed")


def _noted(connection: Connection, noted: Head | None) -> Iterator[Break]:
    if noted is None:
        return
    query = select(zoom_seals.c.inbox_id, zoom_seals.c.seal).where(zoom_seals.c.position == noted.position)
    there = connection.execute(query).first()
    if there is None or there.seal != noted.seal:
        yield Break(noted.position, None if there is None else there.inbox_id, "noted_seal_differs")


def _count_waiting(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(zoom_inbox).where(text(UNTAKEN))) or 0


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return sha256(value).hexdigest() if isinstance(value, bytes) else value


@dataclass
class Witness:
    """Tells the log the end of the chain whenever it has grown. The log leaves the machine, so a seal in it proves
    later that nothing before it was made up anew, not even by somebody who could write the whole chain again."""

    database: Database
    told: int = 0

    def tell(self) -> bool:
        """A periodic job; never asks to be run again at once."""
        with self.database.read() as connection:
            last = head(connection)
        if last.position > self.told:
            log.info("the inbox is sealed up to here", extra={"position": last.position, "seal": last.seal})
            self.told = last.position
        return False

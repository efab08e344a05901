"""The truth of a day, cut as Zoom cuts it: one stay for each room of each connection of each instance."""

import base64
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from sandbox.zoom.behaviours import Visit

Span = tuple[datetime, datetime]

FOREVER = 10**6
PEOPLE_IN_A_ROOM = 6
# After a restart everybody is back within this many seconds.
BACK_WITHIN = 90


class RoomInterval(NamedTuple):
    """One person (their number) in one room ("" is the main one) from `starts` to `ends`.

    `joins` and `leaves` say whether Zoom tells of the start and the end; `put_waiting`, whether it ends in the waiting
    room. `visit` is the number of the person's visit.
    """

    person: int
    visit: int
    uuid: str
    connection: str
    user_id: str
    room: str
    starts: datetime
    ends: datetime
    joins: bool = True
    leaves: bool = True
    put_waiting: bool = False

    @property
    def span(self) -> Span:
        return self.starts, self.ends


class Opening(NamedTuple):
    """One instance: its uuid, and the seconds after the beginning of the day between which it can be joined."""

    uuid: str
    opens: int
    closes: int


def openings(seed: str, restarts: Sequence[tuple[int, int]]) -> list[Opening]:
    """The instances of a day that is broken off at the first and begun again at the second of each pair of seconds."""
    borders = [-FOREVER, *(each for restart in restarts for each in restart), FOREVER]
    return [
        Opening(_uuid(seed if not number else f"{seed}|{number}"), borders[2 * number], borders[2 * number + 1])
        for number in range(len(restarts) + 1)
    ]


def _uuid(seed: str) -> str:
    return base64.b64encode(sha256(seed.encode()).digest()[:16]).decode()


def cut(
    person: int, visits: Sequence[Visit], instances: Sequence[Opening], zero: datetime, *, shared: int = 0
) -> Iterator[RoomInterval]:
    """The stays of one person. `zero` is the beginning of the day; with `shared` the `user_id`s of people whose numbers
    differ by a multiple of it are the same, for they are nobody's own."""
    first_user = 16_778_240 + (person % shared if shared else person) * 65_536
    for number, visit in enumerate(visits):
        count = 0
        for instance in instances:
            connection = connection_of(instance.uuid, person, number)
            for piece in _pieces(visit, instance, person):
                yield RoomInterval(
                    person=person,
                    visit=number,
                    uuid=instance.uuid,
                    connection=connection,
                    user_id=str(first_user + number * 1024 + count),
                    room=_room(instance.uuid, piece.entered, person) if piece.in_breakout else "",
                    starts=zero + timedelta(seconds=piece.starts),
                    ends=zero + timedelta(seconds=piece.ends),
                    joins=piece.joins,
                    leaves=piece.leaves,
                    put_waiting=piece.put_waiting,
                )
                count += 1


def connection_of(instance: str, person: int, visit: int) -> str:
    """Zoom's `participant_uuid`."""
    octets = sha256(f"{instance}|{person}|{visit}".encode()).digest()[:16]
    return str(uuid.UUID(bytes=octets, version=4)).upper()


class _Piece(NamedTuple):
    """A stretch without a change of room; `entered` is the second of the last change before it."""

    starts: int
    ends: int
    in_breakout: bool
    entered: int
    joins: bool
    leaves: bool
    put_waiting: bool


def _pieces(visit: Visit, instance: Opening, person: int) -> Iterator[_Piece]:
    opens = instance.opens + (person * 37) % BACK_WITHIN if instance.opens > -FOREVER else instance.opens
    changes = sorted({*visit.moves, *visit.unseen})
    unseen = set(visit.unseen).difference(visit.moves)
    silent = {pause.starts for pause in visit.pauses if not pause.tells}
    waiting = {pause.starts for pause in visit.pauses if pause.waits}
    for start, end in _within(visit, opens, instance.closes):
        borders = [start, *(each for each in changes if start < each < end), end]
        for starts, ends in pairwise(borders):
            passed = [each for each in changes if each <= starts]
            yield _Piece(
                starts,
                ends,
                in_breakout=bool(len(passed) % 2),
                entered=passed[-1] if passed else 0,
                joins=starts == start or starts not in unseen,
                leaves=ends not in silent if ends == end else ends not in unseen,
                put_waiting=ends == end and ends in waiting,
            )


def _within(visit: Visit, opens: int, closes: int) -> Iterator[tuple[int, int]]:
    """The visit without its pauses, as far as the instance runs."""
    at = visit.starts
    for pause in sorted(visit.pauses, key=lambda each: each.starts):
        yield from _clipped(at, min(pause.starts, visit.ends), opens, closes)
        at = pause.ends
    yield from _clipped(at, visit.ends, opens, closes)


def _clipped(start: int, end: int, opens: int, closes: int) -> Iterator[tuple[int, int]]:
    start, end = max(start, opens), min(end, closes)
    if start < end:
        yield start, end


def _room(instance: str, entered: int, person: int) -> str:
    """Whoever moves in the same second shares a room with the neighbours."""
    octets = sha256(f"{instance}|{entered}|{person // PEOPLE_IN_A_ROOM}".encode()).digest()[:16]
    return base64.b64encode(octets).decode()


def union(spans: Iterable[Span]) -> list[Span]:
    """Disjoint spans in order; touching ones become one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined

"""What the evidence that is left of a day allows to say of each person: an oracle that knows the truth and what was
lost, and nothing of how a listener computes.

A stay is proven by its two edges, or by its row in a settled report. Where a report is settled, what is proven counts
and nothing else does; where none is, half a stay can only be estimated. Nobody can know of what left no trace.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from sandbox.zoom.faults import Played
from sandbox.zoom.report import Row
from sandbox.zoom.stays import RoomInterval, Span, union

# A report may tell a moment with so much difference.
ROUNDING = timedelta(seconds=2)
NAMING = ("joined", "left", "waiting", "put_waiting", "admitted", "breakout")


class Subject(NamedTuple):
    """Somebody as Zoom can tell people apart: by registrant id, by address, or not at all and then each connection for
    itself. `person` is the number of the attendee."""

    person: int
    registrant_id: str
    email: str
    connections: tuple[str, ...]
    stays: tuple[RoomInterval, ...]

    @property
    def has_name(self) -> bool:
        return bool(self.registrant_id or self.email)


class Finding(NamedTuple):
    """What may be said of one subject. `truth`, `proven` and `half_known` are spans in the meeting.

    `is_exact`: the evidence proves all of the truth, and nothing speaks against it. `is_doubtful`: a trace is left that
    something is missing or contradicts itself, so that somebody must look. So they must at what is `half_known`: a
    settled report has no row there that can be told to be this subject's, but who finds one by its times may be
    content with it. `is_clean`: every edge came, and no report says anything else, so that nobody needs to look.
    """

    subject: Subject
    truth: list[Span]
    proven: list[Span]
    half_known: list[Span]
    is_exact: bool
    is_doubtful: bool
    is_clean: bool


class _Left(NamedTuple):
    """The edges that are left: (connection, user_id, instant). `bound` are the telephones of which it is told to which
    connection they belong; `known` the connections of which any edge came, `named` those of which anything came that
    names a registrant."""

    joins: set[tuple[str, str, datetime]]
    lefts: set[tuple[str, str, datetime]]
    stale: set[tuple[str, str, datetime]]
    put_waiting: set[tuple[str, datetime]]
    bound: set[str]
    known: set[str]
    named: set[str]

    @property
    def edges(self) -> set[tuple[str, str, datetime]]:
        return self.joins | self.lefts | self.stale


def findings(played: Played) -> list[Finding]:
    """One for each subject of the day that was there at all."""
    left = _left(played)
    rows = _rows(played)
    return [_finding(subject, left, rows) for subject in _subjects(played, left)]


def _left(played: Played) -> _Left:
    edges: dict[str, set[tuple[str, str, datetime]]] = {"joined": set(), "left": set()}
    put_waiting, bound = set(), set()
    for told in played.fresh:
        if told.stay and told.kind in edges:
            edges[told.kind].add((told.stay.connection, told.stay.user_id, told.at))
        elif told.stay and told.kind == "put_waiting":
            put_waiting.add((told.stay.connection, told.at))
        elif told.stay and told.kind == "bind":
            bound.add(told.stay.connection)
    ends = [told for told in played.stale if told.kind != "admitted"]
    stale = {(told.stay.connection, told.stay.user_id, told.at) for told in ends if told.stay}
    known = {connection for connection, _, _ in edges["joined"] | edges["left"] | stale}
    everything = (*played.fresh, *played.stale)
    named = {told.stay.connection for told in everything if told.stay and told.kind in NAMING}
    return _Left(edges["joined"], edges["left"], stale, put_waiting, bound, known, named)


def _subjects(played: Played, left: _Left) -> Iterator[Subject]:
    named: dict[int, list[RoomInterval]] = defaultdict(list)
    alone: dict[str, list[RoomInterval]] = defaultdict(list)
    first = {(stay.uuid, stay.person, stay.visit): stay.connection for stay in reversed(played.day.stays())}
    for stay in played.day.stays():
        attendee = played.day.attendees[stay.person]
        visit = played.day.visits_of(attendee)[stay.visit]
        computer = first.get((stay.uuid, stay.person, -1 if visit.bound_to is None else visit.bound_to))
        is_known = computer in left.known or (attendee.registers and computer in left.named)
        is_bound = stay.connection in left.bound and is_known
        has_name = any(attendee.shown(visit)[1:]) or (is_bound and (attendee.registers or bool(attendee.shown_email)))
        if has_name:
            named[stay.person].append(stay)
        else:
            alone[computer if is_bound and computer else stay.connection].append(stay)
    for person, stays in named.items():
        attendee = played.day.attendees[person]
        registrant_id = attendee.registrant_id if attendee.registers else ""
        yield _subject(registrant_id, attendee.shown_email, stays)
    for stays in alone.values():
        yield _subject("", "", stays)


def _subject(registrant_id: str, email: str, stays: list[RoomInterval]) -> Subject:
    connections = tuple(sorted({stay.connection for stay in stays}))
    return Subject(stays[0].person, registrant_id, email, connections, tuple(stays))


def _rows(played: Played) -> dict[str, list[tuple[Row, Span]]]:
    """The rows of the settled reports by instance, each with the span it speaks of."""
    return {
        uuid: [(row, (_instant(row["join_time"]), _instant(row["leave_time"]))) for row in rows if _counts(row)]
        for uuid, rows in played.settled.items()
    }


def _counts(row: Row) -> bool:
    return bool(row["status"] == "in_meeting")


def _finding(subject: Subject, left: _Left, rows: dict[str, list[tuple[Row, Span]]]) -> Finding:
    proven: list[Span] = []
    half_known: list[Span] = []
    is_exact, is_doubtful, is_clean = True, False, True
    for uuid in {stay.uuid for stay in subject.stays}:
        stays = [stay for stay in subject.stays if stay.uuid == uuid]
        whole = union(stay.span for stay in stays if _is_whole(stay, left))
        halves = [stay.span for stay in stays if not _is_whole(stay, left) and _has_trace(stay, left)]
        told = union(_own(subject, left, rows[uuid])) if uuid in rows else None
        here = union([*whole, *(told or ())])
        proven += here
        is_true = here == union(stay.span for stay in stays)
        is_exact &= is_true and not (halves and told is None)
        contradicts = told is not None and not _covers(told, whole)
        is_doubtful |= contradicts or (told is None and (bool(halves) or _has_hole(stays, left)))
        half_known += [half for half in halves if not _covers(here, [half])]
        is_even = whole == told or (told is None and not _has_hole(stays, left))
        is_clean &= is_even and all(_is_whole(stay, left) and stay.leaves for stay in stays)
    truth = union(stay.span for stay in subject.stays)
    return Finding(subject, truth, union(proven), half_known, is_exact, is_doubtful, is_clean)


def _covers(spans: list[Span], others: list[Span]) -> bool:
    return union([*spans, *others]) == spans


def _has_hole(stays: list[RoomInterval], left: _Left) -> bool:
    """Whether a connection was seen before and after some time of which nothing is told, not even the waiting room."""
    traced = [stay for stay in stays if _has_trace(stay, left)]
    return any(
        before.connection == after.connection
        and before.ends < after.starts
        and (before.connection, before.ends) not in left.put_waiting
        for before, after in pairwise(traced)
    )


def _own(subject: Subject, left: _Left, rows: list[tuple[Row, Span]]) -> list[Span]:
    """The rows of a report that can be told to be this subject's: by its own id or address, or, where a row names
    nobody, by an edge that came of this stay at that time, if nobody else used its number. In a breakout room an
    address may be somebody else's."""
    own = []
    for row, span in rows:
        named = row["registrant_id"] or ("" if row["bo_mtg_id"] else row["user_email"])
        if named:
            is_own = named in (subject.registrant_id, subject.email)
        else:
            users = {(connection, at) for connection, user_id, at in left.edges if user_id == row["user_id"]}
            is_own = {connection for connection, _ in users} <= set(subject.connections)
            is_own &= any(_near(at, span) for _, at in users)
        if is_own:
            own.append(span)
    return own


def _near(at: datetime, span: Span) -> bool:
    return any(abs(at - edge) <= ROUNDING for edge in span)


def _is_whole(stay: RoomInterval, left: _Left) -> bool:
    key = (stay.connection, stay.user_id)
    ends = (*key, stay.ends) in left.lefts or (stay.connection, stay.ends) in left.put_waiting
    return (*key, stay.starts) in left.joins and ends


def _has_trace(stay: RoomInterval, left: _Left) -> bool:
    starts, ends = ((stay.connection, stay.user_id, at) for at in stay.span)
    return starts in left.joins or ends in left.lefts or bool({starts, ends} & left.stale)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""In which breakout room somebody was.

PURE. Breakout events only say where: presence never rests on them (zoom.md §4). Where a move went unseen the room is
unknown, and where one side of a room stay is missing, the stay in the meeting that it belongs to is taken instead.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from lti_tool.sessions.evidence import RoomStay
from zoom_adapter.connections import Connection
from zoom_adapter.report_rows import ReportRow
from zoom_adapter.segments import Stay
from zoom_adapter.spans import common, union, without

UNKNOWN = ""


def rooms_of(connection: Connection, stays: Sequence[Stay]) -> list[RoomStay]:
    """The breakout rooms of one connection with these stays, in order of time."""
    known = [stay for stay in _known(connection, stays) if stay.from_at < stay.to_at]
    labelled = union((stay.from_at, stay.to_at) for stay in known)
    bridged = union((stay.start, stay.end) for stay in stays if _is_bridge(stay))
    known += [RoomStay(start, end, UNKNOWN) for start, end in without(bridged, labelled)]
    return sorted(known, key=_order)


def with_rows(rooms: Iterable[RoomStay], rows: Iterable[ReportRow]) -> tuple[RoomStay, ...]:
    """These rooms, and those of the report where no event named one. Zoom calls a room otherwise in its report."""
    found = set(rooms)
    for row in rows:
        named = union((each.from_at, each.to_at) for each in found if each.room)
        if row.room and not common([(row.join_at, row.leave_at)], named):
            found = {each for each in found if each.room or not _overlaps(each, row)}
            found.add(RoomStay(row.join_at, row.leave_at, row.room))
    return tuple(sorted(found, key=_order))


def _known(connection: Connection, stays: Sequence[Stay]) -> Iterator[RoomStay]:
    lefts = sorted(connection.room_lefts)
    for join in sorted(connection.room_joins):
        left = next((each for each in lefts if each.room == join.room and each.at >= join.at), None)
        following = min((each.at for each in connection.room_joins if each.at > join.at), default=None)
        if left and (following is None or left.at <= following):
            lefts.remove(left)
            yield RoomStay(join.at, left.at, join.room)
        else:
            yield RoomStay(join.at, _end_of_stay(join.at, stays), join.room)
    for left in lefts:
        yield RoomStay(_start_of_stay(left.at, stays), left.at, left.room)


def _end_of_stay(at: datetime, stays: Iterable[Stay]) -> datetime:
    """Whoever entered a room left it with the stay in the meeting at the latest."""
    around = (stay for stay in stays if stay.start <= at < stay.end and not stay.waiting)
    return max(((stay.start, stay.end) for stay in around), default=(at, at))[1]


def _start_of_stay(at: datetime, stays: Iterable[Stay]) -> datetime:
    around = (stay.start for stay in stays if stay.start < at <= stay.end and not stay.waiting)
    return max(around, default=at)


def _is_bridge(stay: Stay) -> bool:
    """Zoom told both ends, and not what was between them."""
    return stay.estimated and stay.counts and stay.start_by == stay.end_by == "webhook"


def _overlaps(stay: RoomStay, row: ReportRow) -> bool:
    return stay.from_at < row.leave_at and row.join_at < stay.to_at


def _order(stay: RoomStay) -> tuple[datetime, datetime, str]:
    return stay.from_at, stay.to_at, stay.room

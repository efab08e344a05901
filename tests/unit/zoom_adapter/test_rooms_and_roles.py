"""Breakout rooms and roles: rooms are labels that never prove presence, and staff do not attend."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice, permutations

import pytest

from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.evidence import PersonPresence, RoomInterval, needs_review
from lti_tool.attendance.minutes import attend
from zoom_adapter.connections import gather
from zoom_adapter.events import ZoomEvent
from zoom_adapter.participants import people
from zoom_adapter.report_matching import ReportRow

DAY = datetime(2027, 2, 6, tzinfo=UTC)
UUID = "Qm9yZWFsaXMwMDAwMDAwMQ=="
ROOM, OTHER = "FkQbpP2UR028mDrwzEahqw==", "Um9vbTI="


def at(text: str) -> datetime:
    hours, minutes = (int(part) for part in text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes)


def event(kind: str, time: str, user: str = "1", **more: object) -> ZoomEvent:
    given = {"participant_uuid": "P1", "registrant_id": "rgQuill-0001", "meeting_uuid": UUID, **more}
    return ZoomEvent(kind=kind, at=at(time), user_id=user, **given)


def in_room(kind: str, time: str, user: str, room: str = ROOM) -> ZoomEvent:
    return event(f"room_{kind}", time, f"{user}1796400000", parent_user_id=user, room=room, email="stray@example.org")


def one(*events: ZoomEvent, rows: list[ReportRow] | None = None) -> PersonPresence:
    reports = {} if rows is None else {UUID: rows}
    (person,) = people(gather(events), lambda _identity: None, reports)
    for order in islice(permutations(events), 50):
        assert people(gather(order), lambda _identity: None, reports) == (person,)
    return person


def rooms(person: PersonPresence) -> list[tuple[str, str, str]]:
    return [(f"{each.from_at:%H:%M}", f"{each.to_at:%H:%M}", each.room) for each in person.rooms]


MOVES = (
    event("joined", "09:00"),
    event("left", "10:00"),
    event("joined", "10:00", "2"),
    event("left", "11:00", "2"),
    event("joined", "11:00", "3"),
    event("left", "12:00", "3"),
)


def test_breakout_events_say_where_and_change_no_second() -> None:
    plain, labelled = one(*MOVES), one(*MOVES, in_room("joined", "10:00", "2"), in_room("left", "11:00", "2"))
    assert (rooms(plain), rooms(labelled)) == ([], [("10:00", "11:00", ROOM)])
    assert labelled.intervals == plain.intervals
    assert (labelled.flags, labelled.email) == ((), None)


def test_a_room_without_its_end_was_left_with_the_stay_in_the_meeting() -> None:
    assert rooms(one(*MOVES, in_room("joined", "10:00", "2"))) == [("10:00", "11:00", ROOM)]
    assert rooms(one(*MOVES, in_room("left", "11:00", "2"))) == [("10:00", "11:00", ROOM)]


def test_from_room_to_room() -> None:
    moves = (in_room("joined", "10:00", "2"), in_room("left", "11:00", "2"), in_room("joined", "11:00", "3", OTHER))
    assert rooms(one(*MOVES, *moves)) == [("10:00", "11:00", ROOM), ("11:00", "12:00", OTHER)]


def test_where_a_move_went_unseen_the_room_is_unknown() -> None:
    person = one(event("joined", "09:00"), event("left", "12:00", "3"))
    assert rooms(person) == [("09:00", "12:00", "")]


def test_breakout_events_alone_are_no_presence() -> None:
    person = one(in_room("joined", "10:00", "2"), in_room("left", "11:00", "2"))
    assert (person.intervals, rooms(person)) == ((), [("10:00", "11:00", ROOM)])


def test_the_report_names_a_room_where_no_event_did() -> None:
    row = ReportRow("2", "rgQuill-0001", "", "", at("10:00"), at("11:00"), OTHER)
    plain = [row._replace(user_id=user, room="", join_at=at(start), leave_at=at(end)) for user, start, end in STAYS]
    assert rooms(one(*MOVES, rows=sorted([*plain, row]))) == [("10:00", "11:00", OTHER)]
    further = (in_room("joined", "10:00", "2"), in_room("left", "11:00", "2"))
    assert one(*MOVES, *further, rows=sorted([*plain, row])).rooms == (RoomInterval(at("10:00"), at("11:00"), ROOM),)


STAYS = (("1", "09:00", "10:00"), ("3", "11:00", "12:00"))
TAUGHT = (Segment(at("09:00"), at("12:00"), "Teaching", True),)
THERE = (event("joined", "09:00"), event("left", "12:00"))


def hours(person: PersonPresence, *, staff_earn: bool = False) -> float:
    return attend(person.intervals, TAUGHT, Decimal("0.80"), staff_earn=staff_earn).seconds_present / 3600


def role(time: str, old: str, new: str) -> ZoomEvent:
    return event("role", time, old_role=old, new_role=new, registrant_id="")


def test_whoever_scheduled_the_meeting_runs_it() -> None:
    host = one(*(each._replace(is_host=True) for each in THERE))
    assert (host.flags, {each.role for each in host.intervals}) == (("staff_role",), {"host"})
    assert (hours(host), hours(host, staff_earn=True)) == (0, 3)


@pytest.mark.parametrize(
    "further",
    [
        (THERE[0],),
        (THERE[1],),
        (THERE[0], ZoomEvent(kind="ended", at=at("12:00"), meeting_uuid=UUID)),
        (*THERE[:1], event("left", "11:00")),
    ],
)
def test_whoever_runs_the_meeting_attends_no_second_that_only_the_report_shows(further: tuple[ZoomEvent, ...]) -> None:
    row = ReportRow("1", "rgQuill-0001", "", "", at("09:00"), at("12:00"), "")
    host = one(*(each._replace(is_host=each.kind != "ended") for each in further), rows=[row])
    assert hours(host) <= 1, "only after the last thing known of the host"
    assert "staff_role" in host.flags


def test_only_the_time_in_the_role_is_lost() -> None:
    helper = one(*THERE, role("10:00", "attendee", "co-host"), role("10:30", "Co-Host", "attendee"))
    assert hours(helper) == 2.5
    assert [(f"{each.from_at:%H:%M}", each.role) for each in helper.intervals] == [
        ("09:00", ""),
        ("10:00", "co-host"),
        ("10:30", ""),
    ]
    attendance = attend(helper.intervals, TAUGHT, Decimal("0.80"))
    assert [(gap.seconds, gap.why) for gap in attendance.missed] == [(1800, "staff_role")]


def test_a_change_of_role_is_an_end_that_zoom_reported() -> None:
    end = ZoomEvent(kind="ended", at=at("12:00"), meeting_uuid=UUID)
    helper = one(event("joined", "09:00"), role("10:00", "attendee", "co-host"), end)
    assert [(each.from_evidence, each.to_evidence, each.role) for each in helper.intervals] == [
        ("webhook", "webhook", ""),
        ("webhook", "estimated", "co-host"),
    ]
    left_only = one(event("left", "12:00", instance_start=at("08:00")), role("10:00", "co-host", "attendee"))
    assert [(each.from_evidence, each.to_evidence) for each in left_only.intervals] == [
        ("estimated", "webhook"),
        ("webhook", "webhook"),
    ]


def test_a_trainee_on_stage_in_a_webinar_is_flagged_and_both_readings_are_known() -> None:
    trainee = one(*THERE, role("10:00", "attendee", "panelist"), role("10:30", "panelist", "attendee"))
    assert needs_review(trainee.flags)
    attendance = attend(trainee.intervals, TAUGHT, Decimal("0.80"))
    assert (attendance.seconds_present, attendance.seconds_in_role) == (2.5 * 3600, 1800)


def test_a_role_from_before_the_first_change_and_one_that_never_ends() -> None:
    assert hours(one(*THERE, role("10:00", "host", "attendee"))) == 2
    assert hours(one(*THERE, role("11:00", "attendee", "cohost"))) == 2


def test_a_change_between_roles_that_only_attend_is_nothing() -> None:
    person = one(*THERE, role("10:00", "attendee", "attendee"), role("11:00", "attendee", "interpreter"))
    assert (hours(person), person.flags) == (3, ())


def test_staff_can_vouch_for_somebody_who_ran_the_meeting() -> None:
    host = one(*(each._replace(is_host=True) for each in THERE))
    vouched = host.intervals[0].__class__(at("09:00"), at("10:00"), "manual", True, "correction:1")
    attendance = attend([*host.intervals, vouched], TAUGHT, Decimal("0.80"))
    assert attendance.seconds_present == 3600

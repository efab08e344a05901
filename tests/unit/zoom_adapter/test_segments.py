"""The cases of Zoom's presence semantics, one by one, and the worked example."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice, permutations

import pytest

from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.evidence import WAITING_ROOM, PersonPresence
from lti_tool.attendance.minutes import attend
from lti_tool.intervals import union
from zoom_adapter.connections import gather
from zoom_adapter.events import ZoomEvent
from zoom_adapter.participants import people

DAY = datetime(2027, 2, 6, tzinfo=UTC)
UUID = "Qm9yZWFsaXMwMDAwMDAwMQ=="


def at(text: str) -> datetime:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)


def event(kind: str, time: str, connection: str = "P1", user: str = "1", **more: object) -> ZoomEvent:
    given = {"registrant_id": "rgQuill-0001", "meeting_uuid": UUID, **more}
    return ZoomEvent(kind=kind, at=at(time), participant_uuid=connection, user_id=user, **given)


def join(time: str, connection: str = "P1", user: str = "1", **more: object) -> ZoomEvent:
    return event("joined", time, connection, user, **more)


def left(time: str, connection: str = "P1", user: str = "1", **more: object) -> ZoomEvent:
    return event("left", time, connection, user, **more)


def ended(time: str, **more: object) -> ZoomEvent:
    return ZoomEvent(kind="ended", at=at(time), meeting_uuid=UUID, **more)


def seen(*events: ZoomEvent) -> tuple[PersonPresence, ...]:
    found = people(gather(events), lambda _identity: None)
    for order in islice(permutations(reversed(events)), 24):
        assert people(gather(order + events[:1]), lambda _identity: None) == found, "the order changed the result"
    return found


def one(*events: ZoomEvent) -> PersonPresence:
    (person,) = seen(*events)
    return person


def spans(person: PersonPresence) -> list[tuple[str, str]]:
    counted = union((each.from_at, each.to_at) for each in person.intervals if each.counts)
    return [(start.strftime("%H:%M:%S"), end.strftime("%H:%M:%S")) for start, end in counted]


WORKED_EXAMPLE = (
    join("16:56:12", "P1", "50331701"),
    join("17:32:40", "P1", "50331702"),
    left("17:32:40", "P1", "50331701"),
    left("17:58:05", "P1", "50331702"),
    join("17:58:05", "P1", "50331703"),
    join("18:20:33", "P2", "50331704"),
    left("18:21:47", "P1", "50331703"),
    join("18:40:18", "P2", "50331705"),
    left("18:40:18", "P2", "50331704"),
    left("19:05:02", "P2", "50331705"),
    join("19:06:27", "P3", "50331706"),
    left("19:30:00", "P3", "50331706"),
)


def test_the_worked_example_gives_8015_of_8100_seconds() -> None:
    person = one(*WORKED_EXAMPLE)
    segments = [
        Segment(at("17:00"), at("18:00"), "first", True),
        Segment(at("18:00"), at("18:15"), "break", False),
        Segment(at("18:15"), at("19:30"), "second", True),
    ]
    attendance = attend(person.intervals, segments, Decimal("0.80"))
    assert (attendance.seconds_present, attendance.seconds_instructional) == (8015, 8100)
    assert [(gap.seconds, gap.why) for gap in attendance.missed] == [(85, "away")]
    assert spans(person) == [("16:56:12", "19:05:02"), ("19:06:27", "19:30:00")]
    assert person.flags == (), "an old LEFT 74 seconds after the new JOIN is a reconnect, not a second device"


@pytest.mark.parametrize("move", [(join, left), (left, join)])
def test_a_breakout_move_leaves_no_gap_in_either_order(move) -> None:
    first, second = (each("10:00", user="1" if each is left else "2") for each in move)
    person = one(join("09:00"), first, second, left("11:00", user="2"))
    assert spans(person) == [("09:00:00", "11:00:00")]
    assert person.flags == ()


def test_a_half_edge_on_each_side_is_bridged_within_one_connection() -> None:
    person = one(join("09:00", user="1"), left("11:00", user="2"))
    assert spans(person) == [("09:00:00", "11:00:00")]
    assert person.flags == ("estimated",)


def test_two_lost_moves_in_a_row_are_bridged_too() -> None:
    person = one(join("09:00", user="1"), left("10:00", user="2"), left("10:04", user="3"))
    assert spans(person) == [("09:00:00", "10:04:00")]


def test_nothing_is_bridged_across_a_left() -> None:
    person = one(
        join("08:00", user="1"),
        join("09:00", user="2"),
        left("09:10", user="1"),
        left("17:00", user="3"),
        ended("17:00"),
    )
    assert spans(person) == [("08:00:00", "09:10:00")]
    assert "unconfirmed" in person.flags


def test_a_reconnect_shows_its_gap() -> None:
    person = one(join("09:00"), left("10:00"), join("10:05", "P2"), left("11:00", "P2"))
    assert spans(person) == [("09:00:00", "10:00:00"), ("10:05:00", "11:00:00")]


def test_two_devices_count_once_and_are_flagged() -> None:
    person = one(join("09:00"), left("11:00"), join("09:30", "P2"), left("10:30", "P2"))
    assert spans(person) == [("09:00:00", "11:00:00")]
    assert person.flags == ("concurrent",)


def test_the_waiting_room_earns_nothing() -> None:
    person = one(event("waiting", "09:00"), event("waited", "09:30"), join("09:30"), left("10:00"))
    assert spans(person) == [("09:30:00", "10:00:00")]
    assert [each.source for each in person.intervals if not each.counts] == [WAITING_ROOM]


def test_a_few_seconds_from_the_waiting_room_to_the_meeting_are_no_interruption() -> None:
    person = one(
        join("09:00", user="1"),
        left("09:40", user="1"),
        event("put_waiting", "09:40", user="1"),
        event("waited", "09:50"),
        join("09:50:02", user="2"),
        left("11:00", user="2"),
    )
    assert person.flags == ()


def test_a_connection_that_was_away_for_a_while_is_looked_at() -> None:
    person = one(join("09:00", user="1"), left("09:40", user="1"), join("09:50", user="2"), left("11:00", user="2"))
    assert (spans(person), person.flags) == ([("09:00:00", "09:40:00"), ("09:50:00", "11:00:00")], ("interrupted",))


@pytest.mark.parametrize("also_left", [True, False])
def test_put_back_in_the_waiting_room_is_out_until_the_next_join(also_left: bool) -> None:
    edges = [
        join("09:00", user="1"),
        event("put_waiting", "09:40", user="1"),
        join("10:00", user="2"),
        left("11:00", user="2"),
    ]
    if also_left:
        edges.append(left("09:40", user="1"))
    assert spans(one(*edges)) == [("09:00:00", "09:40:00"), ("10:00:00", "11:00:00")]


def test_the_waiting_room_ends_the_stay_that_it_names_and_another_one_only_as_an_estimate() -> None:
    assert one(join("09:00", user="1"), event("put_waiting", "09:40", user="1")).flags == ()
    after_an_unseen_move = one(join("09:00", user="1"), event("put_waiting", "09:40", user="2"))
    assert (spans(after_an_unseen_move), after_an_unseen_move.flags) == ([("09:00:00", "09:40:00")], ("estimated",))


@pytest.mark.parametrize(("put", "counted"), [("10:03", "10:03"), ("10:30", "10:00")])
def test_the_waiting_room_alone_tells_of_a_stay_as_a_left_alone_does(put: str, counted: str) -> None:
    waiting = event("put_waiting", put, user="2")
    person = one(join("09:00"), left("10:00"), waiting, join("11:00", user="3"), left("12:00", user="3"))
    assert spans(person) == [("09:00:00", f"{counted}:00"), ("11:00:00", "12:00:00")]
    assert "estimated" in person.flags
    assert ("unconfirmed" in person.flags) == (put != counted)


def test_a_move_to_the_waiting_room_confirms_a_left_outside_the_trusted_time() -> None:
    stay = (join("09:00"), left("09:40", stale=True), event("put_waiting", "09:40"))
    assert spans(one(*stay[:2])) == []
    assert spans(one(*stay)) == [("09:00:00", "09:40:00")]


def put(time: str, user: str = "1", **more: object) -> ZoomEvent:
    return event("put_waiting", time, "P1", user, **more)


def admitted(time: str, user: str = "1") -> ZoomEvent:
    return event("waited", time, "P1", user)


def test_two_deliveries_outside_the_trusted_time_do_not_confirm_each_other() -> None:
    person = one(join("09:00"), left("09:40", stale=True), put("09:40", stale=True))
    assert (spans(person), "stale" in person.flags) == ([], True)
    alone = one(join("09:00"), put("09:40", stale=True))
    assert (spans(alone), "stale" in alone.flags) == ([], True)


def test_a_move_to_the_waiting_room_says_nothing_of_a_stay_before_or_after_it() -> None:
    earlier = one(join("08:20"), left("08:50", stale=True), admitted("08:54"), put("09:24"), admitted("09:39"))
    assert spans(earlier) != [("08:20:00", "09:24:00")]
    assert "stale" in earlier.flags
    later = one(join("09:00"), put("09:40"), admitted("10:00"), left("10:30", stale=True))
    assert (spans(later), "unconfirmed" in later.flags) == ([("09:00:00", "09:40:00")], True)


def test_two_moves_to_the_waiting_room_each_say_of_their_own_whether_they_end_a_stay() -> None:
    person = one(join("09:00"), left("09:40", stale=True), put("09:40"), put("09:50"))
    assert (spans(person), "unconfirmed" in person.flags) == ([("09:00:00", "09:40:00")], True)


def test_whoever_came_back_before_the_waiting_room_had_left_before_it() -> None:
    person = one(join("09:00"), left("09:30", stale=True), join("09:35"), put("09:40"))
    assert (spans(person), "stale" in person.flags) == ([("09:35:00", "09:40:00")], True)


@pytest.mark.parametrize("user", ["", "9"])
def test_a_move_to_the_waiting_room_that_names_no_known_stay_is_the_left_of_that_moment(user: str) -> None:
    further = (admitted("10:00", user), join("10:00", user="2"), left("11:00", user="2"))
    person = one(join("09:00"), left("09:40"), put("09:40", user), *further)
    assert (spans(person), person.flags) == ([("09:00:00", "09:40:00"), ("10:00:00", "11:00:00")], ())


def test_a_late_left_after_the_waiting_room_is_cut_to_the_earlier_time() -> None:
    assert spans(one(join("09:00"), event("put_waiting", "09:40"), left("10:30"))) == [("09:00:00", "09:40:00")]


def test_a_left_alone_has_an_unknown_start_and_no_credit() -> None:
    person = one(left("10:00", instance_start=at("08:45")))
    assert spans(person) == []
    assert [(each.from_at, each.counts) for each in person.intervals] == [(at("08:45"), False)]
    assert person.flags == ("estimated", "unconfirmed")


def test_a_left_without_join_begins_at_the_left_just_before_it() -> None:
    person = one(join("09:00", user="1"), left("09:30", user="1"), left("09:34", user="2"))
    assert spans(person) == [("09:00:00", "09:34:00")]
    assert [(each.from_evidence, each.to_evidence) for each in person.intervals] == [
        ("webhook", "webhook"),
        ("estimated", "webhook"),
    ]
    assert person.flags == ("estimated",)


@pytest.mark.parametrize(("second", "counted"), [("09:35", True), ("09:35:01", False)])
def test_just_before_is_five_minutes(second: str, counted: bool) -> None:
    person = one(join("09:00", user="1"), left("09:30", user="1"), left(second, user="2"))
    assert spans(person) == [("09:00:00", "09:35:00" if counted else "09:30:00")]
    assert ("unconfirmed" in person.flags) is not counted


def test_a_left_alone_hours_after_another_left_is_not_presence() -> None:
    person = one(join("09:00", user="1"), left("09:05", user="1"), left("16:59", user="2"), ended("17:00"))
    assert spans(person) == [("09:00:00", "09:05:00")]
    assert person.flags == ("estimated", "unconfirmed")


def test_a_left_without_join_after_the_waiting_room_is_not_guessed() -> None:
    for later in ("09:34", "10:00"):
        person = one(join("09:00"), left("09:30"), event("put_waiting", "09:30"), left(later, user="2"))
        assert spans(person) == [("09:00:00", "09:30:00")]
        assert "unconfirmed" in person.flags


def test_a_join_without_left_ends_at_the_next_join_of_its_connection() -> None:
    person = one(join("09:00", user="1"), join("09:45", user="2"), left("10:00", user="2"), ended("11:00"))
    assert spans(person) == [("09:00:00", "10:00:00")]
    assert person.flags == ("estimated",)


def test_a_join_without_left_ends_with_the_meeting() -> None:
    person = one(join("09:00"), ended("11:00"))
    assert spans(person) == [("09:00:00", "11:00:00")]
    assert person.flags == ("estimated",)


def test_a_later_left_replaces_the_estimate() -> None:
    person = one(join("09:00"), ended("11:00"), left("11:00:02"))
    assert spans(person) == [("09:00:00", "11:00:02")]
    assert person.flags == ()


def test_nothing_is_ever_closed_by_our_own_clock() -> None:
    person = one(join("09:00"))
    assert person.intervals == ()
    assert person.flags == ("open",)


def test_left_before_join_has_no_length_and_is_flagged() -> None:
    person = one(join("10:00"), left("09:59:58"), ended("11:00"))
    assert spans(person) == []
    assert person.flags == ("reversed",)


def test_a_repeated_stay_key_pairs_in_order() -> None:
    person = one(join("09:00"), left("09:30"), join("10:00"), left("10:30"))
    assert spans(person) == [("09:00:00", "09:30:00"), ("10:00:00", "10:30:00")]
    assert person.flags == ("interrupted", "repeated")


def test_two_instances_of_one_class_are_one_union() -> None:
    other = {"meeting_uuid": "another-uuid=="}
    person = one(join("09:00"), left("10:00"), join("10:03", "P9", **other), left("11:00", "P9", **other))
    assert spans(person) == [("09:00:00", "10:00:00"), ("10:03:00", "11:00:00")]


def test_the_same_person_in_two_instances_at_once_counts_once_and_is_flagged() -> None:
    other = {"meeting_uuid": "another-uuid=="}
    person = one(join("09:00"), left("11:00"), join("09:30", "P9", **other), left("11:30", "P9", **other))
    assert spans(person) == [("09:00:00", "11:30:00")]
    assert person.flags == ("concurrent",)


def test_a_registrant_id_on_any_edge_holds_for_the_whole_connection() -> None:
    nameless = {"registrant_id": ""}
    person = one(
        join("09:00", **nameless), left("10:00", user="1", **nameless), join("10:00", user="2"), left("11:00", user="2")
    )
    assert person.person_key == "registrant:rgQuill-0001"
    assert spans(person) == [("09:00:00", "11:00:00")]


def test_the_address_of_a_breakout_event_is_not_read() -> None:
    nameless = {"registrant_id": ""}
    stray = event("room_joined", "09:30", email="stray@example.org", **nameless)
    person = one(join("09:00", **nameless), stray, left("10:00", **nameless))
    assert (person.person_key, person.email) == ("connection:P1", None)


def test_two_registrants_on_one_connection_are_nobody() -> None:
    person = one(join("09:00"), left("10:00", registrant_id="rgOther"))
    assert person.person_key == "connection:P1"
    assert person.flags == ("conflict",)


def test_equal_names_do_not_make_one_person() -> None:
    same = {"registrant_id": "", "name": "Ada Lindholm"}
    found = seen(join("09:00", **same), left("10:00", **same), join("09:00", "P2", **same), left("10:00", "P2", **same))
    assert [person.person_key for person in found] == ["connection:P1", "connection:P2"]


def test_a_rename_keeps_the_last_name_for_display() -> None:
    assert one(join("09:00", name="Ada"), left("10:00", name="Ada L.")).display_name == "Ada L."


def test_a_phone_leg_belongs_to_the_computer_it_is_bound_to() -> None:
    phone = {"registrant_id": "", "phone": "15550100142"}
    bind = event("bind", "09:06", "T1", "7", bind_user_id="1", bind_participant_uuid="P1", **phone)
    person = one(
        join("09:00"), left("10:00"), join("09:05", "T1", "7", **phone), left("10:30", "T1", "7", **phone), bind
    )
    assert spans(person) == [("09:00:00", "10:30:00")]
    assert person.flags == ("phone",)


def test_a_phone_is_bound_by_a_stay_where_connections_have_no_id() -> None:
    phone = {"registrant_id": "", "phone": "15550100142"}
    bind = event("bind", "09:06", "", "7", bind_user_id="1", **phone)
    further = (left("10:00", ""), join("09:05", "", "7", **phone), left("10:30", "", "7", **phone), bind)
    assert spans(one(join("09:00", ""), *further)) == [("09:00:00", "10:30:00")]


@pytest.mark.parametrize("named", ["P1", ""])
def test_a_phone_is_never_bound_to_another_connection_with_the_same_stay_number(named: str) -> None:
    """The events of the computer that the telephone was bound to are lost."""
    phone = {"registrant_id": "", "phone": "15550100142"}
    found = seen(
        join("09:30", "P1", "4", registrant_id=""),
        join("09:00", "P2", "1", registrant_id="rgOther"),
        left("10:00", "P2", "1", registrant_id="rgOther"),
        join("09:05", "T1", "7", **phone),
        left("12:00", "T1", "7", **phone),
        event("bind", "09:06", "T1", "7", bind_user_id="1", bind_participant_uuid=named, **phone),
    )
    other = next(person for person in found if person.registrant_id == "rgOther")
    assert spans(other) == [("09:00:00", "10:00:00")]


def test_a_bind_that_names_nobody_binds_nothing() -> None:
    phone = {"registrant_id": "", "phone": "15550100142"}
    found = seen(
        join("09:00", "", ""),
        left("10:00", "", ""),
        join("09:05", "T1", "7", **phone),
        left("12:00", "T1", "7", **phone),
        event("bind", "09:06", "T1", "7", **phone),
    )
    quill = next(person for person in found if person.registrant_id)
    assert spans(quill) == [("09:00:00", "10:00:00")]


def test_a_registrant_of_whom_two_addresses_were_told_has_none() -> None:
    further = (
        join("09:00", email="a@x"),
        left("10:00", email="b@x"),
        join("11:00", "P2", email="a@x"),
        left("12:00", "P2"),
    )
    found = people(gather(further), lambda identity: {"a@x": 7, "b@x": 8}.get(identity.email))
    assert {person.trainee_id: spans(person) for person in found} == {
        7: [("11:00:00", "12:00:00")],
        None: [("09:00:00", "10:00:00")],
    }


def test_a_phone_that_was_bound_to_two_registrants_takes_neither_ones_own_connection() -> None:
    phone = {"registrant_id": "", "phone": "15550100142"}
    other = {"registrant_id": "rgOther"}
    found = seen(
        join("09:00"),
        left("10:00"),
        join("09:00", "P2", "2", **other),
        left("11:00", "P2", "2", **other),
        join("09:05", "T1", "7", **phone),
        left("10:30", "T1", "7", **phone),
        event("bind", "09:06", "T1", "7", bind_participant_uuid="P1", **phone),
        event("bind", "09:10", "T1", "7", bind_participant_uuid="P2", **phone),
    )
    assert {person.person_key: spans(person) for person in found} == {
        "registrant:rgQuill-0001": [("09:00:00", "10:00:00")],
        "registrant:rgOther": [("09:00:00", "11:00:00")],
        "connection:T1": [("09:05:00", "10:30:00")],
    }
    assert all("conflict" in person.flags for person in found)


def test_a_dial_in_alone_is_unmatched() -> None:
    phone = {"registrant_id": "", "phone": "15550100142"}
    person = one(join("09:00", **phone), left("10:00", **phone))
    assert (person.person_key, person.flags) == ("connection:P1", ("phone", "phone_only"))


def test_only_who_counts_by_no_other_connection_is_there_by_phone_only() -> None:
    phone = {"phone": "15550100142"}
    on_both = one(join("09:00", **phone), left("10:00", **phone), join("10:00", "P2"), left("10:01", "P2"))
    assert on_both.flags == ("phone",)
    waited = one(join("09:00", **phone), left("10:00", **phone), event("waiting", "10:05", "P2"), left("10:09", "P2"))
    assert "phone_only" in waited.flags
    assert one(join("09:00"), left("10:00")).flags == ()


def test_a_stay_with_a_stale_edge_does_not_count() -> None:
    person = one(join("09:00"), left("10:00", stale=True))
    assert spans(person) == []
    assert person.flags == ("stale",)


def test_a_fresh_copy_of_a_stale_edge_counts() -> None:
    person = one(join("09:00"), left("10:00", stale=True), left("10:00"))
    assert spans(person) == [("09:00:00", "10:00:00")]


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        pytest.param((join("09:00"), left("11:00", user="2", stale=True)), [], id="the LEFT of a bridge"),
        pytest.param((join("09:00", stale=True), left("11:00", user="2")), [], id="the JOIN of a bridge"),
        pytest.param((join("09:00"), ended("11:00", stale=True)), [], id="the end of the meeting"),
        pytest.param((join("09:00", stale=True), ended("11:00")), [], id="the JOIN before the end of the meeting"),
        pytest.param(
            (join("09:00", stale=True), join("09:45", user="2"), left("10:00", user="2")),
            [("09:45:00", "10:00:00")],
            id="the JOIN before the next JOIN",
        ),
        pytest.param(
            (join("09:00"), left("09:30"), left("09:34", user="2", stale=True)),
            [("09:00:00", "09:30:00")],
            id="a LEFT just after another one",
        ),
    ],
)
def test_nothing_is_inferred_from_an_event_outside_the_trusted_time(events, counted) -> None:
    person = one(*events)
    assert (spans(person), "stale" in person.flags) == (counted, True)
    trusted = one(*events, *(each._replace(stale=False) for each in events))
    assert sum(each.counts for each in trusted.intervals) > len(counted), "a trusted copy makes it count"
    assert "stale" not in trusted.flags


def test_the_last_end_decides_whether_the_end_of_the_meeting_is_trusted() -> None:
    assert spans(one(join("09:00"), ended("10:00", stale=True), ended("11:00"))) == [("09:00:00", "11:00:00")]
    assert spans(one(join("09:00"), ended("10:00"), ended("11:00", stale=True))) == []


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        ("10:00", [("09:00", "09:30", "estimated"), ("09:30", "10:00", "webhook")]),
        ("09:20", [("09:00", "09:20", "webhook"), ("09:30", "11:00", "estimated")]),
    ],
)
def test_of_two_joins_with_one_number_a_left_takes_the_last_one_before_it(leave, expected) -> None:
    person = one(join("09:00"), join("09:30"), left(leave), ended("11:00"))
    assert [(f"{each.from_at:%H:%M}", f"{each.to_at:%H:%M}", each.evidence) for each in person.intervals] == expected
    assert {"estimated", "repeated"} <= set(person.flags)


def test_each_left_takes_another_one_of_the_joins_that_are_free() -> None:
    person = one(join("09:00"), join("09:10"), join("09:20"), left("09:30"), left("10:00"), ended("11:00"))
    further = [(f"{each.from_at:%H:%M}", f"{each.to_at:%H:%M}", each.evidence) for each in person.intervals]
    assert further == [("09:00", "09:10", "estimated"), ("09:10", "10:00", "webhook"), ("09:20", "09:30", "webhook")]


def test_a_connection_without_its_id_is_paired_by_its_stay() -> None:
    person = one(join("09:00", "", "5"), left("10:00", "", "5"))
    assert spans(person) == [("09:00:00", "10:00:00")]
    assert person.flags == ("no_connection_id",)


def test_two_identities_of_one_trainee_are_one_person() -> None:
    by_mail = {"registrant_id": "", "email": "ada@example.org"}
    events = (join("09:00"), left("10:00"), join("10:00", "P2", **by_mail), left("11:00", "P2", **by_mail))
    known = {("rgQuill-0001", ""): 7, ("", "ada@example.org"): 7}
    (person,) = people(gather(events), lambda who: known[who.registrant_id, who.email])
    assert (person.person_key, person.trainee_id, person.email) == ("trainee:7", 7, "ada@example.org")
    assert person.former_keys == ("connection:P1", "connection:P2", "email:ada@example.org", "registrant:rgQuill-0001")
    assert spans(person) == [("09:00:00", "11:00:00")]


def test_edges_without_a_time_or_a_meeting_are_left_out() -> None:
    assert (
        gather(
            [
                ZoomEvent(kind="joined"),
                ZoomEvent(kind="joined", at=at("09:00")),
                ZoomEvent(meeting_uuid=UUID, at=at("09:00")),
            ]
        )
        == {}
    )

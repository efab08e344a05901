"""Webhooks and report side by side: what counts, by which evidence, and what staff must review."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.evidence import PersonPresence, needs_review
from lti_tool.intervals import union
from zoom_adapter.connections import gather
from zoom_adapter.events import ZoomEvent
from zoom_adapter.participants import people
from zoom_adapter.report_matching import ReportRow

DAY = datetime(2027, 2, 6, tzinfo=UTC)
UUID = "Qm9yZWFsaXMwMDAwMDAwMQ=="
QUILL = "rgQuill-0001"
ADA = "ada@example.org"
Event = tuple[str, str, str]


def at(text: str) -> datetime:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)


def event(kind: str, time: str, user: str = "1", connection: str = "P1", **more: object) -> ZoomEvent:
    given = {"registrant_id": QUILL, "meeting_uuid": UUID, **more}
    return ZoomEvent(kind=kind, at=at(time), participant_uuid=connection, user_id=user, **given)


def join(time: str, user: str = "1", connection: str = "P1", **more: object) -> ZoomEvent:
    return event("joined", time, user, connection, **more)


def left(time: str, user: str = "1", connection: str = "P1", **more: object) -> ZoomEvent:
    return event("left", time, user, connection, **more)


def ended(time: str) -> ZoomEvent:
    return ZoomEvent(kind="ended", at=at(time), meeting_uuid=UUID)


def row(start: str, end: str, user: str = "1", registrant: str = QUILL, email: str = "", room: str = "") -> ReportRow:
    return ReportRow(user, registrant, email, "Somebody", at(start), at(end), room)


def seen(events: Iterable[ZoomEvent], rows: Iterable[ReportRow] | None) -> tuple[PersonPresence, ...]:
    reports = {} if rows is None else {UUID: sorted(rows)}
    return people(gather(events), lambda _identity: None, reports)


def one(events: Iterable[ZoomEvent], rows: Iterable[ReportRow] | None) -> PersonPresence:
    (person,) = seen(events, rows)
    return person


def intervals_of(person: PersonPresence, *, counts: bool = True) -> list[tuple[str, str, str]]:
    """What counts, by evidence."""
    return [
        (f"{each.from_at:%H:%M:%S}", f"{each.to_at:%H:%M:%S}", each.evidence)
        for each in person.intervals
        if each.counts is counts
    ]


def differs(person: PersonPresence) -> tuple[int, tuple[str, ...]]:
    assert person.report is not None
    return person.report.difference_seconds, person.report.reasons


WHOLE = (join("09:00"), left("12:00"))


def test_where_both_agree_the_evidence_is_both() -> None:
    person = one(WHOLE, [row("09:00", "12:00")])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "both")]
    assert (person.flags, differs(person)) == ((), (0, ()))
    assert [(each.from_evidence, each.to_evidence) for each in person.intervals] == [("both", "both")]


def test_without_a_settled_report_there_is_nothing_to_compare() -> None:
    person = one(WHOLE, None)
    assert (intervals_of(person), person.report) == ([("09:00:00", "12:00:00", "webhook")], None)


@pytest.mark.parametrize(("start", "end"), [("09:00:02", "11:59:58"), ("08:59:58", "12:00:02")])
def test_two_seconds_are_rounding(start: str, end: str) -> None:
    person = one(WHOLE, [row(start, end)])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "both")]
    assert person.flags == ()
    assert differs(person)[1] == ("rounding",)


def test_what_webhooks_prove_counts_though_the_report_lacks_it() -> None:
    person = one(WHOLE, [row("09:00", "11:00")])
    assert intervals_of(person) == [("09:00:00", "11:00:00", "both"), ("11:00:00", "12:00:00", "webhook")]
    assert (person.flags, differs(person)) == (("report_differs",), (-3600, ("report_lacks",)))


def test_what_only_the_report_shows_counts_as_report_and_is_looked_at() -> None:
    person = one(WHOLE, [row("09:00", "12:00"), row("13:00", "14:00", user="2")])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "both"), ("13:00:00", "14:00:00", "report")]
    assert (person.flags, differs(person)) == (("report_differs",), (3600, ("webhooks_lack",)))


def test_rows_may_be_merged_or_split() -> None:
    moves = (
        join("09:00"),
        left("10:00"),
        join("10:00", "2"),
        left("11:00", "2"),
        join("11:00", "3"),
        left("12:00", "3"),
    )
    merged = one(moves, [row("09:00", "12:00")])
    split = one(WHOLE, [row("09:00", "10:00"), row("10:00", "12:00", user="2")])
    for person in (merged, split):
        assert union((each.from_at, each.to_at) for each in person.intervals) == [(at("09:00"), at("12:00"))]
        assert ({each.evidence for each in person.intervals}, person.flags) == ({"both"}, ())


def test_an_estimate_that_the_report_confirms_is_of_the_report() -> None:
    person = one([join("09:00", "1"), left("12:00", "2")], [row("09:00", "10:30"), row("10:30", "12:00", user="2")])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "report")]
    assert (person.flags, differs(person)) == ((), (0, ("completed_by_report",)))


def test_an_estimate_that_the_report_does_not_confirm_counts_nothing() -> None:
    person = one([join("09:00"), ended("17:00")], [row("09:00", "12:00")])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "report")]
    assert intervals_of(person, counts=False) == [("12:00:00", "17:00:00", "estimated")]
    assert person.flags == ("estimated", "unconfirmed")
    assert differs(person) == (-5 * 3600, ("completed_by_report", "estimate_unconfirmed"))


def test_a_start_that_nobody_knew_is_known_by_the_report() -> None:
    person = one([left("12:00", instance_start=at("08:00"))], [row("09:00", "12:00")])
    assert (intervals_of(person), intervals_of(person, counts=False)) == ([("09:00:00", "12:00:00", "report")], [])
    assert person.flags == ()


def test_an_open_end_is_closed_by_the_report() -> None:
    person = one([join("09:00")], [row("09:00", "12:00")])
    assert (intervals_of(person), person.flags) == ([("09:00:00", "12:00:00", "report")], ())
    assert one([join("09:00")], []).flags == ("open",)


def test_a_stale_edge_counts_where_the_report_agrees() -> None:
    late = (join("09:00"), left("12:00", stale=True))
    assert (intervals_of(one(late, None)), one(late, None).flags) == ([], ("stale",))
    person = one(late, [row("09:00", "12:00")])
    assert (intervals_of(person), person.flags) == ([("09:00:00", "12:00:00", "report")], ())
    assert "stale" in one(late, [row("09:00", "10:00")]).flags


def test_time_in_the_waiting_room_is_none_in_the_meeting_whatever_the_report_says() -> None:
    waited = (event("waiting", "08:30"), event("waited", "09:00"), *WHOLE)
    person = one(waited, [row("08:30", "12:00")])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "both")]
    assert (person.flags, differs(person)[1]) == (("report_differs",), ("waiting_room_in_report",))


def test_of_whom_the_report_knows_nothing_somebody_is_asked_to_look() -> None:
    person = one(WHOLE, [])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "webhook")]
    assert (person.flags, differs(person)) == (("report_missing",), (-3 * 3600, ("report_lacks",)))


def test_whom_only_the_report_knows_becomes_a_person() -> None:
    found = seen(WHOLE, [row("09:00", "12:00"), row("10:00", "11:00", "9", "rgOther"), row("10:00", "11:00", "8", "")])
    assert [each.person_key for each in found] == [
        "registrant:rgOther",
        f"registrant:{QUILL}",
        f"report:{UUID}:8",
    ]
    assert [(intervals_of(each), each.flags) for each in found if each.person_key != f"registrant:{QUILL}"] == [
        ([("10:00:00", "11:00:00", "report")], ("report_only",))
    ] * 2


def test_the_report_names_an_appearance_that_names_nobody() -> None:
    nameless = (join("09:00", registrant_id=""), left("12:00", registrant_id=""))
    person = one(nameless, [row("09:00:01", "12:00")])
    assert (person.person_key, person.flags) == (f"registrant:{QUILL}", ())
    assert "connection:P1" in person.former_keys


def test_half_a_match_names_nobody() -> None:
    nameless = (join("09:00", registrant_id=""), left("12:00", registrant_id=""))
    found = seen(nameless, [row("09:30", "12:00")])
    assert [each.person_key for each in found] == ["connection:P1", f"registrant:{QUILL}"]
    assert {flag for each in found for flag in each.flags} == {"report_missing", "report_only"}


def test_half_a_match_names_nobody_by_an_address_either() -> None:
    nameless = {"registrant_id": ""}
    found = seen((join("09:00", **nameless), left("12:00", **nameless)), [row("09:00", "10:00", "1", "", ADA)])
    assert [(each.person_key, intervals_of(each)) for each in found] == [
        ("connection:P1", [("09:00:00", "12:00:00", "webhook")]),
        (f"email:{ADA}", [("09:00:00", "10:00:00", "report")]),
    ]
    assert all(needs_review(each.flags) for each in found)


def test_whoever_comes_when_somebody_leaves_is_somebody_else_though_the_stay_has_the_same_id() -> None:
    nameless = {"registrant_id": ""}
    found = seen((join("09:00", **nameless), left("10:00", **nameless)), [row("10:00:01", "12:00", "1", "")])
    assert [each.person_key for each in found] == ["connection:P1", f"report:{UUID}:1"]


def test_two_addresses_for_one_stay_are_two_people_and_looked_at() -> None:
    by_mail = {"registrant_id": "", "email": ADA}
    found = seen(
        (join("09:00", **by_mail), left("12:00", **by_mail)), [row("09:00", "12:00", "1", "", "bo@example.org")]
    )
    assert {each.person_key: each.flags for each in found} == {
        f"email:{ADA}": ("report_missing",),
        "email:bo@example.org": ("report_only",),
    }


def test_a_row_that_fits_two_appearances_is_of_neither() -> None:
    nameless = {"registrant_id": ""}
    guests = [
        each
        for connection in ("P1", "P2")
        for each in (join("09:00", "5", connection, **nameless), left("12:00", "5", connection, **nameless))
    ]
    found = seen(guests, [row("09:00", "12:00", "5", "")])
    assert [each.person_key for each in found] == ["connection:P1", "connection:P2", f"report:{UUID}:5"]
    assert all(needs_review(each.flags) for each in found)


def test_two_rows_that_exclude_each_other_are_of_no_appearance() -> None:
    guest = [left("12:00", "5", registrant_id="", instance_start=at("08:00"))]
    found = seen(guest, [row("09:00", "12:00", "5", ""), row("09:40", "12:00", "5", "")])
    assert [intervals_of(each) for each in found if each.person_key == "connection:P1"] == [[]]


def test_another_registrants_row_is_never_taken_for_the_own() -> None:
    found = seen(WHOLE, [row("09:00", "12:00", "1", "rgOther")])
    assert {each.person_key: each.flags for each in found} == {
        "registrant:rgOther": ("report_only",),
        f"registrant:{QUILL}": ("report_missing",),
    }


def test_the_address_of_a_row_in_a_breakout_room_is_not_read() -> None:
    (person,) = seen([], [row("09:00", "12:00", "7", "", "stray@example.org", room="Um9vbQ==")])
    assert (person.person_key, person.email) == (f"report:{UUID}:7", None)
    (named,) = seen([], [row("09:00", "12:00", "7", "", "ada@example.org")])
    assert named.person_key == "email:ada@example.org"


def test_only_instances_with_a_settled_report_are_compared() -> None:
    other = {"meeting_uuid": "another-uuid=="}
    second = (join("13:00", "9", "P9", **other), left("14:00", "9", "P9", **other))
    person = one([*WHOLE, *second], [row("09:00", "12:00")])
    assert intervals_of(person) == [("09:00:00", "12:00:00", "both"), ("13:00:00", "14:00:00", "webhook")]
    assert (person.report.webhook_seconds, person.flags) == (3 * 3600, ())


MINUTES = st.integers(0, 479)
SPANS = st.lists(st.tuples(MINUTES, st.integers(1, 120)), max_size=5)


def of_minutes(minutes: int) -> str:
    return f"{9 + minutes // 60:02}:{minutes % 60:02}"


@st.composite
def records(draw: st.DrawFn) -> tuple[list[ZoomEvent], list[ReportRow]]:
    """Any intervals and any rows of one person, with any events lost."""
    events, rows = [ended("23:00")], []
    for number, (start, length) in enumerate(draw(SPANS)):
        edges = [
            join(of_minutes(start), str(number), f"P{number % 2}"),
            left(of_minutes(start + length), str(number), f"P{number % 2}"),
        ]
        events += draw(st.lists(st.sampled_from(edges), unique=True, max_size=2))
    for number, (start, length) in enumerate(draw(SPANS)):
        rows.append(row(of_minutes(start), of_minutes(start + length), str(number)))
    return events, rows


@given(records(), st.randoms(use_true_random=False))
def test_any_order_and_any_copies_give_one_result(record: tuple[list[ZoomEvent], list[ReportRow]], random) -> None:
    events, rows = record
    found = seen(events, set(rows))
    again = [*events, *events[:2]]
    random.shuffle(again)
    assert seen(again, set(rows)) == found


@given(records())
def test_nothing_counts_that_neither_record_proves(record: tuple[list[ZoomEvent], list[ReportRow]]) -> None:
    events, rows = record
    proven = [(each.from_at, each.to_at) for person in seen(events, None) for each in _proven(person)]
    allowed = union([*proven, *((each.join_at, each.leave_at) for each in rows)])
    for person in seen(events, set(rows)):
        counted = union((each.from_at, each.to_at) for each in person.intervals if each.counts)
        assert all(any(start <= span[0] and span[1] <= end for start, end in allowed) for span in counted)
        assert {each.evidence for each in person.intervals if each.counts} <= {"webhook", "report", "both"}


@given(records())
def test_a_difference_is_explained_and_a_contradiction_is_looked_at(
    record: tuple[list[ZoomEvent], list[ReportRow]],
) -> None:
    events, rows = record
    for person in seen(events, set(rows)):
        assert person.report is not None
        assert person.report.difference_seconds == person.report.report_seconds - person.report.webhook_seconds
        assert person.report.reasons or not person.report.difference_seconds
        if {"report_lacks", "webhooks_lack"} & set(person.report.reasons):
            assert needs_review(person.flags)


def _proven(person: PersonPresence) -> list:
    return [each for each in person.intervals if each.counts and each.evidence == "webhook"]


def test_waiting_that_zoom_itself_ended_earns_nothing_whatever_the_report_says() -> None:
    admitted = event("waited", "10:00", "2")
    events = [join("09:00"), left("09:40"), event("put_waiting", "09:40"), admitted, join("10:00", "2")]
    person = one([*events, left("11:00", "2")], [row("09:00", "09:40"), row("09:43", "11:00", "2")])
    assert intervals_of(person) == [("09:00:00", "09:40:00", "both"), ("10:00:00", "11:00:00", "both")]
    assert needs_review(person.flags)


@pytest.mark.parametrize(("first", "second"), [("P1", "P2"), ("P2", "P1")])
def test_a_row_of_another_device_that_left_no_edge_does_not_close_the_one_that_is_open(first: str, second: str) -> None:
    events = [join("09:00", "1", first), join("08:00", "5", second), left("09:00", "5", second)]
    person = one(events, [row("08:00", "09:00", "5"), row("09:00", "10:00", "6")])
    assert needs_review(person.flags)


def test_a_move_to_the_waiting_room_before_anything_else_calls_for_a_look() -> None:
    events = [event("put_waiting", "09:40"), event("waited", "10:00"), join("10:00", "2"), left("11:00", "2")]
    assert needs_review(one(events, [row("10:00", "11:00", "2")]).flags)

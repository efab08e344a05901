"""From connections and rows of the report to people: everything that is said of a person, and what is odd about it."""

from datetime import UTC, datetime, timedelta

import pytest

from lti_tool.attendance.evidence import (
    IDENTITY_DIFFERS,
    KnownAs,
    PersonPresence,
    PresenceInterval,
    ReportComparison,
    RoomInterval,
)
from zoom_adapter.bound_connections import Identity, Recognition
from zoom_adapter.connections import gather
from zoom_adapter.events import ZoomEvent
from zoom_adapter.participants import Everybody, people
from zoom_adapter.report_matching import ReportRow

DAY = datetime(2027, 2, 6, tzinfo=UTC)
UUID, OTHER_UUID = "Qm9yZWFsaXMwMDAwMDAwMQ==", "QW5vdGhlcg=="
QUILL = "rgQuill-0001"
ADA = "ada@example.org"


def at(text: str) -> datetime:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)


def event(kind: str, time: str, connection: str = "P1", user: str = "1", **more: object) -> ZoomEvent:
    given = {"registrant_id": QUILL, "meeting_uuid": UUID, **more}
    return ZoomEvent(kind=kind, at=at(time), participant_uuid=connection, user_id=user, **given)


def there(start: str, end: str, connection: str = "P1", user: str = "1", **more: object) -> tuple[ZoomEvent, ZoomEvent]:
    return event("joined", start, connection, user, **more), event("left", end, connection, user, **more)


def row(start: str, end: str, user: str = "1", **more: str) -> ReportRow:
    given = {"registrant_id": QUILL, "email": "", "name": "", "room": "", **more}
    return ReportRow(user_id=user, join_at=at(start), leave_at=at(end), **given)


def found(
    events: tuple[ZoomEvent, ...], recognised: Recognition, rows: list[ReportRow] | None = None
) -> tuple[PersonPresence, ...]:
    reports = {} if rows is None else {UUID: rows}
    return Everybody(gather(events), reports).people(lambda _identity: recognised)


def test_everything_that_is_known_of_a_person_in_one_place() -> None:
    events = (
        *there("09:00", "10:00", name="Ada", email=ADA),
        *there("10:00", "11:00", "P2", "2", name="Ada L."),
        event("room_joined", "10:10", "P2", "21796400000", parent_user_id="2", room="Um9vbTE="),
        event("room_left", "10:20", "P2", "21796400000", parent_user_id="2", room="Um9vbTE="),
    )
    rows = [row("09:00", "10:00", name="Quill"), row("10:00", "10:30", "2", name="Quill")]
    [person] = found(events, Recognition(7, "address"), rows)
    assert person == PersonPresence(
        person_key="trainee:7",
        trainee_id=7,
        display_name="Ada L.",
        email=ADA,
        registrant_id=QUILL,
        intervals=(
            PresenceInterval(at("09:00"), at("10:00"), "both", True, "connection:P1", "both", "both"),
            PresenceInterval(at("10:00"), at("10:30"), "both", True, "connection:P2", "both", "both"),
            PresenceInterval(at("10:30"), at("11:00"), "webhook", True, "connection:P2", "webhook", "webhook"),
        ),
        flags=("report_differs",),
        former_keys=("connection:P1", "connection:P2", f"email:{ADA}", f"registrant:{QUILL}"),
        rooms=(RoomInterval(at("10:10"), at("10:20"), "Um9vbTE="),),
        report=ReportComparison(7200, 5400, -1800, ("report_lacks",)),
        known_as=(
            KnownAs("connection", "P1", "address"),
            KnownAs("connection", "P2", "address"),
            KnownAs("registrant", QUILL, "address"),
        ),
    )


def test_somebody_of_whom_only_a_report_tells_has_the_name_in_it() -> None:
    [person] = found(
        (), Recognition(None), [row("09:00", "10:00", name="Quill"), row("10:00", "11:00", name="Q. Able")]
    )
    assert (person.person_key, person.trainee_id, person.display_name) == (f"registrant:{QUILL}", None, "Q. Able")
    assert person.intervals == (PresenceInterval(at("09:00"), at("11:00"), "report", True, "report"),)
    assert (person.flags, person.rooms, person.known_as) == (("report_only",), (), ())
    assert person.former_keys == (f"registrant:{QUILL}", f"report:{UUID}:1")
    [nameless] = found((), Recognition(None), [row("09:00", "10:00", registrant_id="", user="")])
    assert (nameless.display_name, nameless.email, nameless.registrant_id) == (None, None, None)
    assert nameless.person_key == f"report:{UUID}:2027-02-06T09:00:00+00:00"


@pytest.mark.parametrize(
    ("recognised", "events", "expected"),
    [
        pytest.param(
            Recognition(7, "place"),
            there("09:00", "10:00", email=ADA),
            [KnownAs("connection", "P1", "place"), KnownAs("registrant", QUILL, "place")],
            id="by the registrant before the address",
        ),
        pytest.param(
            Recognition(7, "address"),
            there("09:00", "10:00", email=ADA, registrant_id=""),
            [KnownAs("connection", "P1", "address"), KnownAs("email", ADA, "address")],
            id="by the address where there is no registrant",
        ),
        pytest.param(
            Recognition(7, "settled"),
            there("09:00", "10:00", "", "50331701"),
            [KnownAs("registrant", QUILL, "settled")],
            id="never by a connection that has only a number",
        ),
        pytest.param(Recognition(7, "link"), there("09:00", "10:00"), [], id="a link of staff is not remembered"),
        pytest.param(Recognition(None, "address"), there("09:00", "10:00"), [], id="nobody is remembered"),
        pytest.param(Recognition(7, "settled", differs=True), there("09:00", "10:00"), [], id="a contradiction is not"),
    ],
)
def test_a_settlement_remembers_what_identified_a_trainee(
    recognised: Recognition, events: tuple[ZoomEvent, ...], expected: list[KnownAs]
) -> None:
    [person] = found(events, recognised)
    assert list(person.known_as) == expected


def test_an_identity_that_was_settled_otherwise_is_put_before_staff_for_the_whole_person() -> None:
    events = (*there("09:00", "10:00"), *there("10:00", "11:00", "P2", registrant_id="rgOther"))
    people_found = Everybody(gather(events)).people(
        lambda identity: Recognition(7, "settled", differs=identity.registrant_id == QUILL)
    )
    assert [(each.trainee_id, each.flags) for each in people_found] == [(7, (IDENTITY_DIFFERS,))]


def test_every_identity_that_is_asked_for_has_the_one_address_of_its_registrant() -> None:
    events = (*there("09:00", "10:00", email=ADA), *there("10:00", "11:00", "P2"))
    everybody = Everybody(
        gather(events), {UUID: [row("12:00", "13:00", "9", registrant_id="", email="bo@example.org")]}
    )
    assert everybody.identities() == {
        Identity(QUILL, ADA, ("P1",)),
        Identity(QUILL, ADA, ("P2",)),
        Identity("", "bo@example.org"),
    }


@pytest.mark.parametrize(
    ("second", "flags"),
    [
        pytest.param(("09:58", "11:00"), (), id="a reconnect that Zoom noticed two minutes later"),
        pytest.param(("09:57:59", "11:00"), ("concurrent",), id="a second longer"),
        pytest.param(("09:10", "09:12"), (), id="a second device for two minutes"),
        pytest.param(("09:10", "09:13"), ("concurrent",), id="a second device for three minutes"),
    ],
)
def test_only_an_overlap_longer_than_a_reconnect_is_a_second_device(
    second: tuple[str, str], flags: tuple[str, ...]
) -> None:
    [person] = found((*there("09:00", "10:00"), *there(*second, "P2", "2")), Recognition(7))
    assert person.flags == flags


def test_a_long_connection_overlaps_with_each_later_one() -> None:
    events = (*there("09:00", "12:00"), *there("09:30", "09:31", "P2", "2"), *there("10:00", "10:30", "P3", "3"))
    [person] = found(events, Recognition(7))
    assert person.flags == ("concurrent",)


def test_two_instances_are_compared_each_with_its_own_report() -> None:
    events = (*there("09:00", "10:00"), *there("09:30", "10:30", "P9", meeting_uuid=OTHER_UUID))
    reports = {UUID: [row("09:00", "10:00")], OTHER_UUID: [row("09:30", "10:30")]}
    [person] = people(gather(events), lambda _identity: 7, reports)
    assert person.report == ReportComparison(5400, 5400, 0, ()), "what overlaps counts once in either record"
    [half] = people(gather(events), lambda _identity: 7, {OTHER_UUID: []})
    assert half.report == ReportComparison(3600, 0, -3600, ("report_lacks",))
    assert half.flags == ("concurrent", "report_missing")
    assert [(each.source, each.evidence) for each in half.intervals] == [
        ("connection:P1", "webhook"),
        ("connection:P9", "webhook"),
    ]


def test_an_instance_of_which_only_the_report_tells_is_one_more_time_of_the_same_person() -> None:
    reports = {OTHER_UUID: [row("11:00", "12:00", "4")]}
    [person] = people(gather(there("09:00", "10:00")), lambda _identity: 7, reports)
    assert [(each.source, each.evidence) for each in person.intervals] == [
        ("connection:P1", "webhook"),
        ("report", "report"),
    ]
    assert person.report == ReportComparison(0, 3600, 3600, ("webhooks_lack",))
    assert person.flags == ("report_differs",)


def test_rows_on_a_connection_that_left_no_event_are_of_their_registrant() -> None:
    [person] = found(there("09:00", "10:00"), Recognition(7), [row("09:00", "10:00"), row("11:00", "12:00", "8")])
    assert person.report == ReportComparison(3600, 7200, 3600, ("webhooks_lack",))
    assert person.former_keys == ("connection:P1", f"registrant:{QUILL}")


def test_seconds_of_rounding_are_named_and_are_no_contradiction() -> None:
    [person] = found(there("09:00", "10:00"), Recognition(7), [row("09:00:01", "10:00")])
    assert person.report == ReportComparison(3600, 3599, -1, ("rounding",))
    assert person.flags == ()


def test_an_address_seen_in_a_breakout_room_makes_its_owner_unclear_and_nobody_else() -> None:
    events = (
        *there("09:00", "12:00", email=ADA, registrant_id=""),
        *there("09:00", "12:00", "P2", "2", email="bo@example.org", registrant_id=""),
    )
    rows = [
        row("09:00", "12:00", registrant_id="", email=ADA),
        row("09:00", "12:00", "2", registrant_id="", email="bo@example.org"),
        row("10:00", "11:00", "3", registrant_id="", email=ADA, room="Um9vbTE="),
    ]
    by_key = {each.person_key: each for each in people(gather(events), lambda _identity: None, {UUID: rows})}
    ada, bo = by_key[f"email:{ADA}"], by_key["email:bo@example.org"]
    assert ada.report is not None
    assert bo.report is not None
    assert (ada.flags, ada.report.reasons) == (("report_differs",), ("room_unclear_in_report",))
    assert (bo.flags, bo.report.reasons) == ((), ())


def test_an_end_has_the_grade_of_both_records_only_where_both_have_it() -> None:
    [person] = found(there("09:00", "12:00"), Recognition(7), [row("08:00", "13:00")])
    assert [
        (f"{each.from_at:%H:%M}", each.evidence, each.from_evidence, each.to_evidence) for each in person.intervals
    ] == [
        ("08:00", "report", None, None),
        ("09:00", "both", "webhook", "webhook"),
        ("12:00", "report", None, None),
    ]


@pytest.mark.parametrize(
    "shared",
    [
        pytest.param(row("10:00", "12:00", registrant_id=""), id="the leave event, and names nobody"),
        pytest.param(row("09:00", "11:00", registrant_id=""), id="the join event, and names nobody"),
        pytest.param(
            row("09:00", "11:00", registrant_id="", email="q@example.org"), id="the join event, by an address"
        ),
    ],
)
def test_a_row_that_shares_one_end_with_a_registrant_and_names_no_other_is_of_that_registrant(
    shared: ReportRow,
) -> None:
    [person] = found(there("09:00", "12:00"), Recognition(7), [shared])
    assert person.report is not None
    assert person.report.report_seconds == 2 * 3600


def test_of_two_rows_with_the_times_of_one_connection_it_has_the_one_with_its_address() -> None:
    """Two people have one `user_id`; of the one without an address no event came."""
    rows = [row("09:00", "12:00", registrant_id=""), row("09:00", "12:00", registrant_id="", email=ADA, name="Ada")]
    events = there("09:00", "12:00", registrant_id="", email=ADA)
    everybody = people(gather(events), lambda _identity: None, {UUID: rows})
    assert [(each.person_key, each.report and each.report.report_seconds) for each in everybody] == [
        (f"email:{ADA}", 3 * 3600),
        (f"report:{UUID}:1", 3 * 3600),
    ]


def test_what_no_report_confirms_is_kept_with_its_source_and_counts_nothing() -> None:
    end = ZoomEvent(kind="ended", at=at("17:00"), meeting_uuid=UUID)
    events = (event("waiting", "08:30"), event("waited", "09:00"), event("joined", "09:00"), end)
    [person] = found(events, Recognition(7), [row("08:30", "12:00")])
    assert person.intervals == (
        PresenceInterval(at("08:30"), at("09:00"), "webhook", False, "waiting_room", "webhook", "webhook"),
        PresenceInterval(at("09:00"), at("12:00"), "report", True, "report"),
        PresenceInterval(at("12:00"), at("17:00"), "estimated", False, "connection:P1", "estimated", "estimated"),
    )
    assert person.flags == ("estimated", "report_differs", "unconfirmed")
    assert person.report == ReportComparison(
        28800, 12600, -16200, ("completed_by_report", "estimate_unconfirmed", "waiting_room_in_report")
    )


def test_a_role_lasts_as_long_as_the_connection_that_had_it() -> None:
    [host] = found(there("09:00", "10:00", is_host=True), Recognition(7), [row("08:30", "11:00")])
    assert host.intervals == (
        PresenceInterval(at("08:30"), at("09:00"), "report", True, "report", role="host"),
        PresenceInterval(at("09:00"), at("10:00"), "both", True, "connection:P1", "webhook", "webhook", "host"),
        PresenceInterval(at("10:00"), at("11:00"), "report", True, "report"),
    )


def test_a_second_of_rounding_hides_nothing_that_only_the_report_has() -> None:
    rows = [row("08:59:59", "10:00"), row("11:00", "12:00", "2")]
    [person] = found(there("09:00", "10:00"), Recognition(7), rows)
    assert [(each.from_at, each.evidence) for each in person.intervals] == [
        (at("09:00"), "both"),
        (at("11:00"), "report"),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(("09:00", "12:00"), ("09:00:01", "12:00"), id="joined a second apart"),
        pytest.param(("09:00", "12:00"), ("09:00", "12:00:01"), id="left a second apart"),
    ],
)
def test_a_row_is_of_whoever_has_exactly_its_times(first: tuple[str, str], second: tuple[str, str]) -> None:
    """Two people have one `user_id`."""
    guest = {"registrant_id": ""}
    events = (*there(*first, **guest), *there(*second, "P2", **guest))
    everybody = people(gather(events), lambda _identity: None, {UUID: [row(*first, **guest), row(*second, **guest)]})
    assert [(each.person_key, each.flags) for each in everybody] == [("connection:P1", ()), ("connection:P2", ())]


def test_a_connection_of_two_registrants_has_no_row() -> None:
    events = (event("joined", "09:00"), event("left", "12:00", registrant_id="rgOther"))
    everybody = people(gather(events), lambda _identity: None, {UUID: [row("09:00", "12:00")]})
    assert [(each.person_key, each.flags) for each in everybody] == [
        ("connection:P1", ("conflict", "report_missing")),
        (f"registrant:{QUILL}", ("report_only",)),
    ]


@pytest.mark.parametrize(("address", "is_theirs"), [("second@example.org", True), ("bo@example.org", False)])
def test_a_registrant_may_have_a_second_address_but_not_that_of_another(address: str, is_theirs: bool) -> None:
    bo = there("13:00", "14:00", "P2", "2", registrant_id="", email="bo@example.org")
    rows = [row("09:00", "12:00", registrant_id="", email=address)]
    everybody = people(gather((*there("09:00", "12:00", email=ADA), *bo)), lambda _identity: None, {UUID: rows})
    quill = next(each for each in everybody if each.registrant_id == QUILL)
    assert ("report_missing" not in quill.flags) is is_theirs

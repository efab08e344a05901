"""Who somebody in Zoom is, as staff said: remembered, taken back, and never two people made one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, insert, select, update

from lti_tool import people
from lti_tool.attendance import matching, queries
from lti_tool.attendance.evidence import KnownAs
from lti_tool.attendance.matching import Claim, Touched
from lti_tool.attendance.settlement import settle
from lti_tool.errors import AccessDenied, BadInput, Conflict, GatehouseError, NotFound
from lti_tool.gates import completions
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.tables.presence import person_links, zoom_places
from lti_tool.tables.zoom import registrants
from tests.training_day import FIVE, MEETING, WHOLE_DAY, add_session, add_trainee, present

GUEST = "guest@elsewhere.example.org"
ADDRESS = Claim("email", GUEST, "")
REGISTRATION = Claim("registrant", "rg-1", MEETING)
CONNECTION = Claim("connection", "A1F0-0001", MEETING)


@pytest.fixture
def two(database, now):
    with database.write() as connection:
        return add_trainee(connection, 1, now), add_trainee(connection, 2, now)


def link(connection, trainee_id, now, claim=ADDRESS, **given):
    values = {**claim._asdict(), "reason": "She rang and spelled her address.", "actor": "staff:99", **given}
    return matching.link(connection, trainee_id=trainee_id, now=now, **values)


def refused(database, *given, **named):
    with database.write() as connection, pytest.raises(GatehouseError) as refusal:
        link(connection, *given, **named)
    return refusal.value.code


def see(database, session_id, now, **given):
    """Somebody unmatched was there all day."""
    values = {"key": f"email:{GUEST}", "email": GUEST, **given}
    settle(database, session_id, [present(None, *WHOLE_DAY, **values)], FIVE, now, lambda *_: None)
    with database.write() as connection:
        connection.execute(delete(tasks))


def asked_for(database):
    with database.read() as connection:
        return set(connection.scalars(select(tasks.c.key)))


@pytest.mark.parametrize(
    ("claim", "seen"),
    [
        (ADDRESS, {}),
        (REGISTRATION, {"key": "registrant:rg-1", "registrant_id": "rg-1", "email": None}),
        (CONNECTION, {"key": "connection:A1F0-0001", "email": None}),
    ],
    ids=lambda each: each.kind if isinstance(each, Claim) else "",
)
def test_a_link_is_in_force_at_once_audited_and_settles_what_it_touches(database, session_id, two, now, claim, seen):
    see(database, session_id, now, **seen)
    with database.write() as connection:
        made = link(connection, two[0], now, claim)
        in_force = matching.in_force(connection, MEETING)
        (entry,) = connection.execute(select(audit_log).where(audit_log.c.act == "person_linked")).all()
    assert getattr(in_force, claim.kind) == {claim.value: two[0]}
    assert (entry.actor, entry.subject, entry.reason) == (
        "staff:99",
        f"link:{made}",
        "She rang and spelled her address.",
    )
    assert claim.value not in str(entry.details)
    assert asked_for(database) == {f"session:{session_id}"}


def test_an_address_is_the_same_person_in_every_meeting_a_registration_only_in_its_own(database, two, now):
    with database.write() as connection:
        link(connection, two[0], now)
        link(connection, two[0], now, REGISTRATION)
        elsewhere = matching.in_force(connection, "85300000009")
    assert (dict(elsewhere.email), dict(elsewhere.registrant)) == ({GUEST: two[0]}, {})


def test_an_address_is_the_same_however_it_is_written(database, two, now):
    with database.write() as connection:
        link(connection, two[0], now, Claim("email", f"  {GUEST.upper()} ", "ignored"))
        assert dict(matching.in_force(connection, MEETING).email) == {GUEST: two[0]}


def test_saying_the_same_twice_changes_nothing(database, two, now):
    with database.write() as connection:
        first = link(connection, two[0], now)
        assert link(connection, two[0], now, reason="Once more.") == first
        assert len(matching.listed(connection)) == 1


def test_what_is_linked_to_one_cannot_be_linked_to_another(database, two, now):
    with database.write() as connection:
        link(connection, two[0], now)
    assert refused(database, two[1], now) == "link_taken"


def test_a_link_taken_back_leaves_room_for_the_right_one(database, session_id, two, now):
    see(database, session_id, now)
    with database.write() as connection:
        made = link(connection, two[0], now)
        matching.undo(connection, made, reason="It was the sister.", actor="staff:98", now=now)
        assert not matching.in_force(connection, MEETING).email
        link(connection, two[1], now)
        right, wrong = matching.listed(connection)
    assert (right.trainee_id, right.undone_at) == (two[1], None)
    assert (wrong.trainee_id, wrong.undone_by, wrong.undone_reason) == (two[0], "staff:98", "It was the sister.")


def test_taking_back_settles_every_session_in_which_the_trainee_may_have_been_recognised(
    database, published, session_id, two, now
):
    with database.write() as connection:
        made = link(connection, two[0], now)
        other = add_session(connection, published, now, zoom_meeting_id="85300000009")
    for each in (session_id, other):
        settle(database, each, [present(two[0], *WHOLE_DAY, email=GUEST)], FIVE, now, lambda *_: None)
    with database.write() as connection:
        connection.execute(delete(tasks))
        matching.undo(connection, made, reason="Wrong person.", actor="staff:99", now=now)
    assert asked_for(database) == {f"session:{session_id}", f"session:{other}"}


def test_a_locked_session_is_told_and_left_alone(database, session_id, two, now):
    see(database, session_id, now)
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state="locked"))
        assert matching.touched(connection, ADDRESS) == [Touched(session_id, is_locked=True)]
        link(connection, two[0], now)
    assert asked_for(database) == set()


def test_an_address_touches_the_sessions_of_its_registrations_too(database, session_id, two, now):
    with database.write() as connection:
        row = {"meeting_id": MEETING, "registrant_id": "rg-1", "email": GUEST, "recorded_at": now}
        connection.execute(insert(registrants).values(row))
    see(database, session_id, now, key="registrant:rg-1", registrant_id="rg-1", email=None)
    with database.write() as connection:
        link(connection, two[0], now)
    assert asked_for(database) == {f"session:{session_id}"}


def test_an_address_that_another_trainee_launched_with_is_refused(database, two, now):
    claim = Claim("email", "trainee2@example.org", "")
    assert refused(database, two[0], now, claim) == "link_known"


def test_an_address_of_several_trainees_is_nobodys_in_particular(database, two, now):
    with database.write() as connection:
        for sub in ("a", "b"):
            people.find_or_add(connection, "https://lms.example.org", sub, name="Shared", email=GUEST, now=now)
    assert refused(database, two[0], now) == "link_known"


@pytest.mark.parametrize("known_by", ["record", "address", "place"])
def test_a_registration_that_is_another_trainees_already_is_refused(database, two, now, known_by):
    row = {"meeting_id": MEETING, "registrant_id": "rg-1", "recorded_at": now}
    with database.write() as connection:
        if known_by == "place":
            place = {"zoom_kind": "meeting", "wanted": True, "state": "registered", "wanted_at": now, "updated_at": now}
            here = {"meeting_id": MEETING, "registrant_id": "rg-1", "trainee_id": two[1]}
            connection.execute(insert(zoom_places).values(**here, **place))
        else:
            owner = {"trainee_id": two[1]} if known_by == "record" else {"email": "trainee2@example.org"}
            connection.execute(insert(registrants).values(**row, **owner))
    assert refused(database, two[0], now, REGISTRATION) == "link_known"
    with database.write() as connection:
        assert link(connection, two[1], now, REGISTRATION)


def test_the_address_of_a_registration_that_is_another_trainees_is_refused(database, two, now):
    row = {"meeting_id": MEETING, "registrant_id": "rg-1", "trainee_id": two[1], "email": GUEST, "recorded_at": now}
    with database.write() as connection:
        connection.execute(insert(registrants).values(row))
    assert refused(database, two[0], now) == "link_known"


@pytest.mark.parametrize(("first", "second"), [(ADDRESS, REGISTRATION), (REGISTRATION, ADDRESS)])
def test_two_links_never_name_two_people_for_one_registration(database, two, now, first, second):
    row = {"meeting_id": MEETING, "registrant_id": "rg-1", "email": GUEST, "recorded_at": now}
    with database.write() as connection:
        connection.execute(insert(registrants).values(row))
        link(connection, two[0], now, first)
    assert refused(database, two[1], now, second) == "link_contradicts"


@pytest.mark.parametrize(
    ("kind", "value", "meeting_id"),
    [
        ("name", "A guest", MEETING),
        ("email", "no address", ""),
        ("email", "", ""),
        ("email", "a@" + "b" * 300, ""),
        ("registrant", "rg-1", ""),
        ("registrant", "rg\x00", MEETING),
        ("connection", "A1", "no number"),
    ],
)
def test_what_cannot_be_a_link_is_refused(database, two, now, kind, value, meeting_id):
    assert refused(database, two[0], now, Claim(kind, value, meeting_id)) == "link_wrong"


def test_a_connection_without_an_id_of_its_own_is_refused(database, two, now):
    assert refused(database, two[0], now, Claim("connection", "user:16778240", MEETING)) == "link_numbered"


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 2001, "\a\u200b"])
def test_a_link_and_its_undoing_need_a_reason(database, two, now, reason):
    assert refused(database, two[0], now, reason=reason) == "reason_missing"
    with database.write() as connection:
        made = link(connection, two[0], now)
        with pytest.raises(BadInput, match="reason_missing"):
            matching.undo(connection, made, reason=reason, actor="staff:99", now=now)


def test_nobody_matches_or_unmatches_themselves(database, two, now):
    assert refused(database, two[0], now, actor=f"staff:{two[0]}") == "own_case"
    with database.write() as connection:
        made = link(connection, two[0], now)
        with pytest.raises(AccessDenied, match="own_case"):
            matching.undo(connection, made, reason="Not me.", actor=f"staff:{two[0]}", now=now)


def test_somebody_unknown_and_links_that_are_none_are_refused(database, two, now):
    assert refused(database, 999, now) == "trainee_unknown"
    with database.write() as connection:
        with pytest.raises(NotFound, match="link_unknown"):
            matching.undo(connection, 999, reason="Wrong.", actor="cli", now=now)
        made = link(connection, two[0], now)
        matching.undo(connection, made, reason="Wrong.", actor="cli", now=now)
        with pytest.raises(Conflict, match="link_undone"):
            matching.undo(connection, made, reason="Again.", actor="cli", now=now)


def test_of_two_people_of_the_staff_at_once_one_links(database, two, now):
    def say(trainee_id):
        try:
            with database.write() as connection:
                link(connection, trainee_id, now, actor=f"staff:{90 + trainee_id}")
        except Conflict as refusal:
            return refusal.code
        return "linked"

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(say, two * 4))
    assert sorted(set(said)) == ["link_taken", "linked"]
    with database.read() as connection:
        assert len(set(connection.scalars(select(person_links.c.trainee_id)))) == 1
        assert len(connection.execute(select(audit_log).where(audit_log.c.act == "person_linked")).all()) == 1


def test_people_of_other_addresses_are_not_meant(database, session_id, now):
    see(database, session_id, now, key="email:other@example.org", email="other@example.org")
    with database.read() as connection:
        assert matching.touched(connection, ADDRESS) == []
        assert connection.scalar(select(attendances.c.email)) == "other@example.org"


@pytest.mark.parametrize(
    ("linked", "earned"), [(["A"], 1), (["A", "B"], 0)], ids=["one of two connections", "both connections"]
)
def test_a_completion_ends_only_when_all_that_a_trainee_was_known_by_is_linked_to_others(
    database, session_id, two, now, linked, earned
):
    ada, bo = two
    later = now + timedelta(minutes=2)
    follow = partial(follow_attendance, now=later)
    known_as = tuple(KnownAs("connection", each, "address") for each in "AB")
    settle(database, session_id, [replace(present(ada, *WHOLE_DAY), known_as=known_as)], FIVE, now, follow)
    with database.write() as connection:
        for each in linked:
            link(connection, bo, later, Claim("connection", each, MEETING))
    settle(database, session_id, [], FIVE, later, follow)
    with database.read() as connection:
        day = queries.of_trainee_in(connection, ada, session_id)
        assert len(completions.of_trainee(connection, ada)) == earned
    assert ("identity_differs" in day.flags) == bool(earned)

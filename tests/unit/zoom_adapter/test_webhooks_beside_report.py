"""Days of one or two people with lost events, beside the settled report of the same day."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lti_tool.attendance.evidence import PersonPresence, needs_review
from lti_tool.intervals import union
from sandbox.zoom.behaviours import Pause, Visit
from sandbox.zoom.notices import Told, text
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.zoom_day import seconds, whole_day
from zoom_adapter.connections import gather
from zoom_adapter.events import read_event
from zoom_adapter.participants import people
from zoom_adapter.report_matching import read_rows

HOUR = 3600


def attendee(*visits: Visit, name: str = "ada", registered: bool = True) -> Attendee:
    return Attendee(name, f"{name}@example.org", f"rg-{name}" if registered else "", visits=visits)


def day_of(*attendees: Attendee, **given: Any) -> TrainingDay:
    day = whole_day(*attendees)
    return TrainingDay(day.meeting_id, day.opens_at, day.closes_at, attendees, **given)


def found(
    day: TrainingDay, is_lost: Callable[[Told], bool], rows: Iterable[dict] | None = None
) -> dict[str | None, PersonPresence]:
    """Everybody by registrant id or address, when some deliveries are lost and the report is settled (None: it is
    not)."""
    return {each.registrant_id or each.email: each for each in all_found(day, is_lost, rows)}


def all_found(
    day: TrainingDay, is_lost: Callable[[Told], bool], rows: Iterable[dict] | None = None
) -> tuple[PersonPresence, ...]:
    left = [read_event(encode(sent.event)) for sent in day.told() if not is_lost(sent)]
    reports = {} if rows is None else {day.uuid: read_rows(rows)[0]}
    return people(gather(left), lambda _identity: None, reports)


def counted(person: PersonPresence) -> int:
    return seconds(union((each.from_at, each.to_at) for each in person.intervals if each.counts))


def edge(kind: str, person: int, stay: int) -> Callable[[Told], bool]:
    """The notice of this event of the person's interval with this number."""

    def is_it(sent: Told) -> bool:
        return sent.kind == kind and sent.person == person and sent.stay is not None and _number(sent) == stay

    return is_it


def _number(sent: Told) -> int:
    assert sent.stay is not None
    return int(sent.stay.user_id) % 1024 + 10 * sent.stay.visit


def either(*tests: Callable[[Told], bool]) -> Callable[[Told], bool]:
    return lambda sent: any(test(sent) for test in tests)


def nothing(_sent: Told) -> bool:
    return False


def test_waiting_with_one_device_takes_nothing_from_the_report_of_another() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR, unseen=(2 * HOUR,)), Visit(3 * HOUR, 5 * HOUR, waits=900)))
    ada = found(day, nothing, day.report_rows())["rg-ada"]
    assert counted(ada) == 5 * HOUR
    assert not needs_review(ada.flags)


def test_a_stay_of_which_nothing_came_is_not_cut_by_the_waiting_room_of_another() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR), Visit(3 * HOUR, 5 * HOUR, waits=900)))
    ada = found(day, either(edge("joined", 0, 0), edge("left", 0, 0)), day.report_rows())["rg-ada"]
    assert counted(ada) == 5 * HOUR


def test_a_left_at_which_the_report_only_begins_leaves_the_time_before_it_in_doubt() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR, (HOUR,))))
    rows = [row for row in day.report_rows() if row["bo_mtg_id"]]
    ada = found(day, edge("joined", 0, 0), rows)["rg-ada"]
    assert counted(ada) == 3 * HOUR
    assert "unconfirmed" in ada.flags
    whole = found(day, edge("joined", 0, 0), day.report_rows())["rg-ada"]
    assert (counted(whole), needs_review(whole.flags)) == (4 * HOUR, False)


def test_of_two_with_one_user_id_the_row_is_of_the_one_whose_edge_came_then() -> None:
    first, second = Visit(0, 4 * HOUR), Visit(HOUR, 5 * HOUR)
    day = day_of(attendee(first, registered=False), attendee(second, name="bo", registered=False), shared_user_ids=1)
    rows = [{**row, "user_email": ""} for row in day.report_rows()]
    people_found = found(day, edge("left", 0, 0), rows)
    assert counted(people_found["ada@example.org"]) == 4 * HOUR
    assert counted(people_found["bo@example.org"]) == 4 * HOUR


def test_of_two_stays_that_fit_within_rounding_the_one_that_fits_exactly_has_the_row() -> None:
    first, second = Visit(0, 4 * HOUR), Visit(1, 4 * HOUR + 1)
    day = day_of(attendee(first, registered=False), attendee(second, name="bo", registered=False), shared_user_ids=1)
    rows = [{**row, "user_email": ""} for row in day.report_rows()]
    assert {each.flags for each in found(day, nothing, rows).values()} == {()}


def test_of_two_rows_that_fit_one_stay_exactly_it_has_that_of_its_own_registrant() -> None:
    """Two people with one user_id move at once; the join event of the unknown one was lost."""
    ada = attendee(Visit(0, 4 * HOUR, (2 * HOUR,)))
    guest = replace(attendee(Visit(0, 4 * HOUR, (2 * HOUR,)), name="guest", registered=False), email="")
    day = day_of(ada, guest, shared_user_ids=True)
    for rows in (day.report_rows(), day.report_rows()[::-1]):
        reported = {"rg-ada": 0, None: 0}
        for each in all_found(day, edge("joined", 1, 1), rows):
            assert each.report is not None
            reported[each.registrant_id] += each.report.report_seconds
        assert reported == {"rg-ada": 4 * HOUR, None: 4 * HOUR}


@pytest.mark.parametrize("later", [0, 1])
def test_a_stay_that_has_its_own_row_is_not_named_by_that_of_another_person(later: int) -> None:
    """Two people with one user_id move at once, or within a second; of the registered one's JOIN nothing came."""
    ada = attendee(Visit(0, 4 * HOUR, (2 * HOUR,)))
    guest = replace(attendee(Visit(0, 4 * HOUR, (2 * HOUR + later,)), name="guest", registered=False), email="")
    day = day_of(ada, guest, shared_user_ids=True)
    lost = either(edge("joined", 0, 1), edge("left", 0, 0))
    people_found = found(day, lost, day.report_rows())
    assert {key: each.registrant_id for key, each in people_found.items()} == {"rg-ada": "rg-ada", None: None}
    assert counted(people_found["rg-ada"]) == counted(people_found[None]) == 4 * HOUR


def test_a_row_with_an_address_that_is_known_of_one_person_is_of_no_other() -> None:
    """Two people with one user_id move at once; no event of this interval came for the one known by address. The report
    names no rooms."""
    ada = attendee(Visit(0, 4 * HOUR, (HOUR, 2 * HOUR)))
    bo = attendee(Visit(0, 4 * HOUR, (HOUR + 1, 2 * HOUR + 9)), name="bo", registered=False)
    day = day_of(ada, bo, shared_user_ids=True)
    rows = [{**row, "bo_mtg_id": ""} for row in day.report_rows()]
    people_found = found(day, either(edge("joined", 1, 1), edge("left", 1, 1)), rows)
    assert {key: each.email for key, each in people_found.items()} == {
        "rg-ada": "ada@example.org",
        "bo@example.org": "bo@example.org",
    }
    assert counted(people_found["rg-ada"]) == counted(people_found["bo@example.org"]) == 4 * HOUR


def test_a_row_that_begins_with_the_stay_of_another_person_is_not_of_that_person() -> None:
    """Two people with one user_id join at once; no event of the unknown one came."""
    ada = attendee(Visit(0, HOUR), Visit(2 * HOUR, 3 * HOUR))
    guest = replace(attendee(Visit(0, 4 * HOUR), name="guest", registered=False), email="")
    day = day_of(ada, guest, shared_user_ids=1)
    people_found = found(day, either(edge("joined", 1, 0), edge("left", 1, 0)), day.report_rows())
    assert {key: counted(each) for key, each in people_found.items()} == {"rg-ada": 2 * HOUR, None: 4 * HOUR}


def test_somebody_known_by_the_report_alone_is_one_person_in_every_room() -> None:
    """In a breakout room the report's address is not read (zoom.md §3.3); the registrant has it in the main room."""
    day = day_of(attendee(Visit(0, 4 * HOUR, (HOUR, 2 * HOUR))))
    reports = {day.uuid: read_rows(day.report_rows())[0]}
    (ada,) = people({}, lambda identity: 7 if identity.email == "ada@example.org" else None, reports)
    assert (ada.trainee_id, counted(ada)) == (7, 4 * HOUR)


def test_a_row_that_begins_in_the_waiting_room_tells_of_an_admission_that_got_lost() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR, (HOUR, 2 * HOUR), waits=900)))
    lost = either(edge("joined", 0, 0), edge("joined", 0, 1), lambda sent: sent.kind == "admitted")
    for is_merged in (False, True):
        ada = found(day, lost, day.report_rows(day.uuid, merged=is_merged))["rg-ada"]
        assert counted(ada) == 4 * HOUR


def test_a_row_that_begins_before_an_admission_that_was_told_counts_from_then() -> None:
    day = day_of(attendee(Visit(HOUR, 4 * HOUR, waits=900)))
    rows = [{**row, "join_time": text(day.opens_at + timedelta(minutes=50))} for row in day.report_rows()]
    assert counted(found(day, lambda sent: sent.kind == "admitted", rows)["rg-ada"]) == 3 * HOUR + 600
    ada = found(day, nothing, rows)["rg-ada"]
    assert (counted(ada), needs_review(ada.flags)) == (3 * HOUR, True)


@pytest.mark.parametrize("bound_to", [None, 0])
@pytest.mark.parametrize("lost", ["joined", "left"])
def test_the_report_of_one_device_does_not_say_when_somebody_came_or_went_with_another(
    bound_to: int | None, lost: str
) -> None:
    """Neither that of a telephone bound to it."""
    first, second = Visit(HOUR, 4 * HOUR), Visit(0, 2 * HOUR, phone=bound_to is not None, bound_to=bound_to)
    if lost == "joined":
        first, second = Visit(0, 3 * HOUR), replace(second, starts=2 * HOUR, ends=4 * HOUR)
    day = day_of(attendee(first, second))
    is_lost = either(edge(lost, 0, 0), lambda sent: sent.kind == "ended")
    rows = [row for row in day.report_rows() if row["user_id"] == day.stays()[1].user_id]
    ada = found(day, is_lost, rows)["rg-ada"]
    assert (counted(ada), needs_review(ada.flags)) == (2 * HOUR, True)
    sent = found(day, is_lost, day.report_rows())["rg-ada"]
    assert (counted(sent), needs_review(sent.flags)) == (4 * HOUR, False)


def test_a_telephone_and_the_computer_it_is_bound_to_may_both_lack_an_edge() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR), Visit(HOUR, 5 * HOUR, phone=True, bound_to=0), registered=False))
    lost = either(edge("left", 0, 0), edge("left", 0, 10))
    rows = [{**row, "user_email": ""} for row in day.report_rows()]
    assert counted(found(day, lost, rows)["ada@example.org"]) == 5 * HOUR


def test_an_address_in_a_breakout_room_credits_nobody_and_calls_for_a_look() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR, (HOUR,)), registered=False))
    lost = either(edge("joined", 0, 1), edge("left", 0, 1))
    ada = found(day, lost, day.report_rows())["ada@example.org"]
    assert counted(ada) == HOUR
    assert needs_review(ada.flags)
    assert ada.report is not None
    assert "room_unclear_in_report" in ada.report.reasons


def test_a_left_after_the_waiting_room_does_not_end_the_stay_before_it() -> None:
    pause = Pause(2 * HOUR, 2 * HOUR + 300, waits=True, tells=False)
    day = day_of(attendee(Visit(0, 4 * HOUR, pauses=(pause,))))
    ada = found(day, edge("joined", 0, 1))["rg-ada"]
    assert counted(ada) == 2 * HOUR
    assert "unconfirmed" in ada.flags


def test_a_connection_with_a_hole_is_looked_at_until_a_report_knows_of_it_too() -> None:
    day = day_of(attendee(Visit(0, 4 * HOUR, (HOUR, 2 * HOUR))))
    lost = either(edge("joined", 0, 1), edge("left", 0, 1))
    assert found(day, lost)["rg-ada"].flags == ("interrupted",)
    sent = found(day, lost, day.report_rows())["rg-ada"]
    assert (counted(sent), "interrupted" in sent.flags) == (4 * HOUR, False)
    dropped = day_of(attendee(Visit(0, 4 * HOUR, pauses=(Pause(HOUR, HOUR + 60),))))
    assert found(dropped, nothing)["rg-ada"].flags == ("interrupted",)
    assert found(dropped, nothing, dropped.report_rows())["rg-ada"].flags == ()

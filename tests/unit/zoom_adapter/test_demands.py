"""What a credit class asks of the settings of its Zoom meeting."""

import pytest

from zoom_adapter.meetings import demands

GOOD = {
    "approval_type": 0,
    "registration_type": 1,
    "allow_multiple_devices": False,
    "join_before_host": False,
    "waiting_room": True,
    "audio": "voip",
}


def unmet(kind="meeting", *, is_series=False, phone_counts=False, **changed):
    found = demands(kind, {**GOOD, **changed}, is_series=is_series, phone_counts=phone_counts)
    return [each.asks for each in found if each.met is False]


def test_a_well_set_meeting_meets_every_demand() -> None:
    assert unmet() == []
    assert unmet(is_series=True) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"approval_type": 2}, "Registration with automatic approval"),
        ({"approval_type": 1}, "Registration with automatic approval"),
        ({"approval_type": None}, "Registration with automatic approval"),
        ({"allow_multiple_devices": True}, "One device per person"),
        ({"allow_multiple_devices": None}, "One device per person"),
        ({"join_before_host": True}, "Joining before the host is off"),
        ({"audio": "both"}, "Computer audio only"),
    ],
)
def test_each_setting_that_is_not_so_is_named(changed, named) -> None:
    assert unmet(**changed) == [named]


def test_a_series_needs_one_registration_for_all_its_classes() -> None:
    assert unmet(registration_type=2) == []
    assert unmet(registration_type=2, is_series=True) == ["One registration for the whole series"]


def test_telephones_are_no_matter_where_a_body_takes_them() -> None:
    assert unmet(audio="both", phone_counts=True) == []


def test_the_waiting_room_is_free() -> None:
    assert unmet(waiting_room=False) == []


def test_a_webinar_is_left_to_the_people_who_know_of_breakout_rooms() -> None:
    found = {each.asks: each.met for each in demands("webinar", GOOD, is_series=False, phone_counts=True)}
    assert found["A meeting, not a webinar"] is None

"""Who a registrant is: by link, by place, by registration, by address; where these contradict, nobody."""

import pytest

from lti_tool.attendance.matching import Links
from lti_tool.people import AddressOwners
from zoom_adapter.bound_connections import Identity, Recognition
from zoom_adapter.registrants import Directory, Registrant

ADA, BO, CLEO = 1, 2, 3
REGISTERED = {
    "rg-place": Registrant(ADA, "ada@example.org", is_sure=True),
    "rg-email": Registrant(BO, "bo@example.org"),
    "rg-unknown": Registrant(None, "alias@example.org"),
    "rg-bare": Registrant(None, ""),
}
BY_EMAIL = {
    "ada@example.org": AddressOwners(frozenset({ADA})),
    "bo@example.org": AddressOwners(frozenset({BO})),
    "shared@example.org": AddressOwners(frozenset({BO, CLEO})),
}


@pytest.mark.parametrize(
    ("registrant", "email", "who"),
    [
        ("rg-place", "", ADA),
        ("rg-place", "bo@example.org", ADA),
        ("rg-email", "", BO),
        ("rg-unknown", "", None),
        ("rg-unknown", "bo@example.org", BO),
        ("rg-bare", "ada@example.org", ADA),
        ("rg-never-seen", "", None),
        ("", "bo@example.org", BO),
        ("", "guest@example.org", None),
        ("", "shared@example.org", None),
        ("", "", None),
    ],
)
def test_without_links_the_registration_speaks_before_the_address(registrant, email, who) -> None:
    assert Directory(REGISTERED, BY_EMAIL).identify(Identity(registrant, email)) == who


def test_a_linked_address_is_as_good_as_a_known_one() -> None:
    directory = Directory(REGISTERED, BY_EMAIL, Links({}, {"alias@example.org": CLEO}, {}))
    assert directory.identify(Identity("rg-unknown", "")) == CLEO
    assert directory.identify(Identity("", "alias@example.org")) == CLEO


def test_an_address_that_is_two_peoples_is_nobodys() -> None:
    taken = Links({}, {"bo@example.org": CLEO}, {})
    directory = Directory(REGISTERED, BY_EMAIL, taken)
    assert directory.identify(Identity("", "bo@example.org")) is None
    assert directory.identify(Identity("rg-email", "")) is None
    assert directory.identify(Identity("rg-email", "ada@example.org")) is None


def test_a_place_is_not_shaken_by_the_link_of_an_address() -> None:
    directory = Directory(REGISTERED, BY_EMAIL, Links({}, {"ada@example.org": CLEO}, {}))
    assert directory.identify(Identity("rg-place", "")) == ADA


def test_an_address_that_several_have_is_not_the_linked_ones() -> None:
    directory = Directory(REGISTERED, BY_EMAIL, Links({}, {"shared@example.org": ADA}, {}))
    assert directory.identify(Identity("", "shared@example.org")) is None


def test_who_comes_by_an_address_after_the_session_does_not_shake_its_link() -> None:
    came_later = {"ada@example.org": AddressOwners(frozenset({ADA}), came_later=True)}
    directory = Directory({}, came_later, Links({}, {"ada@example.org": CLEO}, {}))
    assert directory.identify(Identity("", "ada@example.org")) == CLEO


def test_whoever_was_settled_stays_but_for_a_link_of_staff() -> None:
    settled = Links({"rg-email": ADA}, {"bo@example.org": ADA}, {"P1": CLEO})
    directory = Directory(REGISTERED, BY_EMAIL, settled=settled)
    assert directory.recognise(Identity("rg-email", "")) == Recognition(ADA, "settled", differs=True)
    assert directory.recognise(Identity("", "bo@example.org")) == Recognition(ADA, "settled", differs=True)
    assert directory.recognise(Identity("rg-email", "", ("P1",))) == Recognition(CLEO, "settled", differs=True)
    assert directory.recognise(Identity("", "", ("P1",))) == Recognition(CLEO, "settled")
    linked = Directory(REGISTERED, BY_EMAIL, Links({"rg-email": BO}, {}, {}), settled)
    assert linked.recognise(Identity("rg-email", "", ("P1",))) == Recognition(BO, "link")


def test_what_staff_said_of_a_registration_comes_first_what_they_said_of_a_connection_last() -> None:
    directory = Directory(REGISTERED, BY_EMAIL, Links({"rg-email": CLEO}, {}, {"P1": ADA, "P2": BO}))
    assert directory.identify(Identity("rg-email", "", ("P1",))) == CLEO
    assert directory.identify(Identity("rg-place", "", ("P2",))) == ADA
    assert directory.identify(Identity("", "bo@example.org", ("P1",))) == BO
    assert directory.identify(Identity("", "shared@example.org", ("P2",))) == BO
    assert directory.identify(Identity("", "", ("P1",))) == ADA
    assert directory.identify(Identity("", "", ("P1", "P2"))) is None

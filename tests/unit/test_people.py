"""People known from launches."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from lti_tool import people
from lti_tool.db import Database
from lti_tool.errors import AccessDenied, BadInput, Conflict, NotFound
from lti_tool.intervals import Interval
from lti_tool.tables.people import trainee_addresses, trainees
from tests.unit.people_of_tests import ISSUER, launched, licensed


def test_a_person_stays_the_same_through_launches_from_many_units(database: Database, now: datetime) -> None:
    with database.write() as connection:
        first = launched(connection, now)
        assert launched(connection, now + timedelta(days=1)) == first
        assert connection.scalar(select(func.count()).select_from(trainees)) == 1


def test_the_same_sub_at_another_platform_is_another_person(database: Database, now: datetime) -> None:
    with database.write() as connection:
        first = launched(connection, now)
        other = people.find_or_add(
            connection, "https://other.example.org", "user-ada", name=None, email="ada@example.org", now=now
        )
        assert other != first, "an address is no proof of identity"
        assert people.with_email(connection, "ADA@Example.org ") == [first, other]


def test_name_and_address_follow_the_latest_launch_that_sends_them(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now, email="Old@Example.org")
        launched(connection, now, name="Ada Newname", sub="user-ada", email=None)
        row = people.trainee(connection, person)
        assert (row.name, row.email) == ("Ada Newname", "old@example.org")
        launched(connection, now, email="new@example.org")
        assert people.with_email(connection, "old@example.org") == []


def test_what_a_platform_sends_is_kept_plain_and_short(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now, name="Ada\x00 Example\n" + "x" * 300, sub="1", email="a@" + "x" * 300)
        row = people.trainee(connection, person)
        assert (len(row.name), row.email) == (255, None)
        assert row.name.startswith("Ada Example")
        nameless = launched(connection, now, sub="2", name=" ", email="")
        assert people.trainee(connection, nameless)[1:3] == (None, None)


def test_two_first_launches_at_once_make_one_person(database: Database, now: datetime) -> None:
    def launch(_: int) -> int:
        with database.write() as connection:
            return launched(connection, now)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(launch, range(16)))) == 1
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(trainees)) == 1


def test_a_person_is_found_by_id_or_address(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        assert people.find(connection, str(person)) == person
        assert people.find(connection, " Ada@EXAMPLE.org") == person


@pytest.mark.parametrize("wanted", ["999", "nobody@example.org", "", "9" * 400, "²", "-1", "Ada Example"])
def test_somebody_unknown_is_not_found(database: Database, now: datetime, wanted: str) -> None:
    with database.write() as connection:
        launched(connection, now)
        with pytest.raises(NotFound) as caught:
            people.find(connection, wanted)
    assert caught.value.code == "trainee_unknown"


def test_an_address_of_several_people_is_ambiguous_and_tells_their_ids(database: Database, now: datetime) -> None:
    with database.write() as connection:
        ids = [launched(connection, now, sub=sub) for sub in ("1", "2")]
        with pytest.raises(Conflict) as caught:
            people.find(connection, "ada@example.org")
    assert caught.value.code == "trainee_ambiguous"
    assert all(str(each) in caught.value.message for each in ids)
    assert "example.org" not in caught.value.message


def test_the_issuer_and_sub_are_taken_exactly(database: Database, now: datetime) -> None:
    with database.write() as connection:
        first = launched(connection, now)
        again = people.find_or_add(connection, ISSUER, "USER-ADA", name=None, email=None, now=now)
        assert again != first


def test_many_identities_are_looked_up_at_once(database: Database, now: datetime) -> None:
    with database.write() as connection:
        ada = launched(connection, now)
        people.find_or_add(connection, "https://other.example.org", "user-bo", name=None, email=None, now=now)
        subs = ["user-bo", *(f"user-{number}" for number in range(1200)), "user-ada"]
        found = people.of_identities(connection, ISSUER, subs)
    assert {sub: (row.id, row.email) for sub, row in found.items()} == {"user-ada": (ada, "ada@example.org")}


def test_a_name_keeps_its_blanks_and_joiners(database: Database, now: datetime) -> None:
    sent = {"1": "Marie\u00a0Lefevre", "2": "佐藤\u3000花子", "3": "می\u200cخواهم", "4": "ශ්\u200dරී", "5": "Ann\tBo"}
    with database.write() as connection:
        kept = {
            sub: people.trainee(connection, launched(connection, now, name, sub=sub)).name for sub, name in sent.items()
        }
    assert kept == {"1": "Marie Lefevre", "2": "佐藤 花子", "3": "می\u200cخواهم", "4": "ශ්\u200dරී", "5": "Ann Bo"}


def test_one_person_is_found_by_an_address_in_any_of_its_forms(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now, email="Jose\u0301@example.org\u200b")
        for written in ("josé@example.org", "JOSÉ@example.org\u00a0", "jose\u0301@exam\u00adple.org"):
            assert people.find(connection, written) == person
        with pytest.raises(BadInput, match="address_wrong"):
            people.find(connection, "josé@example.org, ada@example.org")


def test_two_addresses_in_one_claim_are_no_address(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now, email="a@example.org, b@example.org")
        assert people.trainee(connection, person).email is None


def test_an_address_is_recorded_and_compared_in_one_form(database: Database, now: datetime) -> None:
    with database.write() as connection:
        trainee = launched(connection, now, email="Jose\u0301@example.org\u200b")
        launched(connection, now + timedelta(days=1), email="JOSÉ@exam\u00adple.org\u00a0")
        assert list(connection.scalars(select(trainee_addresses.c.email))) == ["josé@example.org"]
        staff = launched(connection, now, name="Other Account", email="josé@EXAMPLE.org")
        with pytest.raises(AccessDenied, match="own_case"):
            people.refuse_own(connection, f"staff:{staff}", trainee)
        found = people.owners(connection, ["josé@example.org"], Interval(now, now + timedelta(hours=8)))
    assert found["josé@example.org"].trainee_ids == {trainee, staff}


@pytest.mark.parametrize("shared", ["address", "former address", "licence number"])
def test_no_one_decides_about_themselves_with_a_second_account(database: Database, now: datetime, shared: str) -> None:
    with database.write() as connection:
        trainee = launched(connection, now)
        address = "other@example.org" if shared == "licence number" else "ada@example.org"
        staff = launched(connection, now, name="Other Account", email=address)
        if shared == "former address":
            launched(connection, now + timedelta(days=1), name="Other Account", email="moved@example.org")
        if shared == "licence number":
            licensed(connection, trainee, now, number="LMFT 12345")
            licensed(connection, staff, now, number="lmft-12345")
        with pytest.raises(AccessDenied) as refused:
            people.refuse_own(connection, f"staff:{staff}", trainee)
        assert refused.value.code == "own_case"


def test_a_second_account_of_the_first_person_is_no_second_person(database: Database, now: datetime) -> None:
    with database.write() as connection:
        trainee, first = launched(connection, now), launched(connection, now, name="First Staff")
        again = launched(connection, now, name="Again Staff", email="first@example.org")
        newer = launched(connection, now + timedelta(days=2), name="Newer Staff")
        other = launched(connection, now, name="Other Staff")
        opened_at = now + timedelta(days=1)
        people.refuse_alone(connection, f"staff:{first}", f"staff:{other}", trainee, opened_at)
        people.refuse_alone(connection, f"staff:{first}", "cli", trainee, opened_at)
        for second in (first, again, newer, trainee):
            with pytest.raises(AccessDenied) as refused:
                people.refuse_alone(connection, f"staff:{first}", f"staff:{second}", trainee, opened_at)
            assert refused.value.code == "second_person_needed"


@pytest.mark.parametrize(
    ("times", "who"),
    [
        ([(1, -10, None)], {1}),  # had it all the time
        ([(1, -10, -5)], set()),  # gave it up before
        ([(1, -10, 5)], {1}),  # gave it up afterwards
        ([(1, 5, None)], {1}),  # the first owner came later
        ([(1, -10, -5), (2, 5, None)], set()),  # another had it before
        ([(1, -10, -5), (1, 5, None)], {1}),
        ([(1, -10, 5), (2, 5, None)], {1}),  # it changed hands afterwards
        ([(1, -10, None), (2, 5, None)], {1}),  # a second account afterwards
        ([(1, -10, None), (2, -3, None)], {1, 2}),  # two people at the time
        ([(1, 5, None), (2, 6, None)], {1, 2}),  # two people later
        ([(1, 5, 6), (2, 6, None)], {1}),
    ],
)
def test_an_address_is_whose_it_was_at_the_time(database: Database, now: datetime, times, who) -> None:
    with database.write() as connection:
        ids = {number: launched(connection, now, sub=str(number), email=None) for number in (1, 2)}
        for number, since, until in times:
            ended = until if until is None else now + timedelta(days=until)
            row = {"trainee_id": ids[number], "email": "a@example.org", "since_at": now + timedelta(days=since)}
            connection.execute(insert(trainee_addresses).values(**row, until_at=ended))
        found = people.owners(connection, ["a@example.org"], Interval(now, now + timedelta(hours=8)))
    assert found["a@example.org"].trainee_ids == {ids[each] for each in who}

"""Retreats: eligibility told like a locked module, one statement, and a way out that leaves no trace."""

from datetime import date

import pytest
from sqlalchemy import func, select

from lti_tool.gates.publication import publish
from lti_tool.programme.versions import current
from lti_tool.tables.retreats import retreat_applications
from lti_tool.tables.types import metadata
from tests.conftest import DEMO_PROGRAMME

RETREAT = "/retreats/RT_EXP"
TO_COME = date(2027, 9, 4)


@pytest.fixture
def published(database, now):
    """The demonstration's programme with its first retreat still to come."""
    document = DEMO_PROGRAMME.read_text(encoding="utf-8")
    document = document.replace("2024-09-04", "2027-09-04").replace("2024-09-08", "2027-09-08")
    with database.write() as connection:
        publish(connection, document, "demo.yaml", actor="cli", now=now)
        return current(connection)


def applications(database) -> list:
    with database.read() as connection:
        return connection.execute(select(retreat_applications)).all()


def test_what_is_missing_is_told_as_on_a_locked_module(browse, happened) -> None:
    page = browse(happened.new).open(RETREAT)
    assert "Locked until your clinical licence is on record and you have taken Module 1." in page.text
    assert "We have no licence on record for you." in page.text
    assert "You have not taken Module 1 yet." in page.text
    assert f"{RETREAT}/apply" not in page.links


def test_the_list_is_plain_text_before_anything_is_asked(browse, happened) -> None:
    page = browse(happened.whole).open(f"{RETREAT}/apply")
    items = ("sleep apnea", "untreated blood pressure issues", "recent TBI", "untreated seizure disorders")
    assert sorted(items, key=page.text.index) == list(items)
    assert page.text.index("seizure") < page.text.index("Which date?")
    assert page.html.count('type="checkbox"') == 1
    assert "<textarea" not in page.html


def test_licence_and_module_1_lead_to_an_application(browse, happened, database) -> None:
    reader = browse(happened.whole)
    page = reader.open(f"{RETREAT}/apply")
    answer = reader.send(page, f"{RETREAT}/apply", starts_on=str(TO_COME), statement="S2-2024")
    assert (answer.status, answer.sent_to) == (303, f"{RETREAT}?done=application_sent")
    (row,) = applications(database)
    assert (row.trainee_id, row.starts_on, row.statement_version) == (happened.whole, TO_COME, "S2-2024")


@pytest.mark.parametrize("given", [{}, {"statement": "S2-2024"}, {"starts_on": str(TO_COME)}, {"starts_on": "soon"}])
def test_without_date_or_statement_nothing_is_sent(browse, happened, database, given: dict[str, str]) -> None:
    reader = browse(happened.whole)
    page = reader.send(reader.open(f"{RETREAT}/apply"), f"{RETREAT}/apply", **given)
    assert page.status == 422
    assert "Nothing has been saved yet." in page.text
    assert applications(database) == []


def test_the_gate_is_asked_again_when_the_form_is_sent(browse, happened, database) -> None:
    reader = browse(happened.new)
    page = reader.open("/equivalency/F1")
    answer = reader.send(page, f"{RETREAT}/apply", starts_on=str(TO_COME), statement="S2-2024")
    assert (answer.status, "retreat_gate_closed" in answer.text) == (409, True)
    assert applications(database) == []


def test_nobody_applies_for_a_retreat_without_a_rule(browse, happened) -> None:
    reader = browse(happened.whole)
    page = reader.open("/retreats/RT_DIA")
    assert "Applications are closed. The requirements for this retreat have not been set yet" in page.text
    assert "/retreats/RT_DIA/apply" not in page.links
    assert reader.open("/retreats/RT_DIA/apply").sent_to == "/retreats/RT_DIA"


def test_being_unsure_is_a_plain_link_that_stores_nothing(browse, happened, database) -> None:
    reader = browse(happened.whole)
    page = reader.open(f"{RETREAT}/apply")
    before = rows(database)
    assert page.links.count("/help") == 2
    assert "/help" in reader.open("/record").links, "a visit there says nothing about health"
    answer = reader.open("/help")
    assert "The clinic decides whether a retreat is right for you" in answer.text
    assert rows(database) == before


def rows(database) -> dict[str, int]:
    with database.read() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(table)) for name, table in metadata.tables.items()
        }


def test_the_pages_before_screening_promise_nothing(browse, happened) -> None:
    reader = browse(happened.whole)
    for path in ("/retreats", RETREAT, f"{RETREAT}/apply"):
        words = set(reader.open(path).text.lower().split())
        assert not words & {"cleared", "fit", "approved"}


def test_an_application_is_withdrawn_by_its_own_person(browse, happened, database) -> None:
    reader, other = browse(happened.whole), browse(happened.half)
    reader.send(reader.open(f"{RETREAT}/apply"), f"{RETREAT}/apply", starts_on=str(TO_COME), statement="S2-2024")
    path = f"/retreats/applications/{applications(database)[0].id}/withdraw"
    assert other.send(other.open("/equivalency/F1"), path).status == 404
    assert reader.send(reader.open(RETREAT), path).status == 303
    assert applications(database)[0].state == "withdrawn"


def test_the_list_shows_every_retreat_with_its_state(browse, happened) -> None:
    text = browse(happened.whole).open("/retreats").text
    assert "Experiential KAP Training Retreat 4–8 Sep 2027, Portland, OR You may apply" in text
    assert "Applications are closed" in text

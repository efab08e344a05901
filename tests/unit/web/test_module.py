"""The page of a module: open, locked, for staff; and the way into its live session."""

import re
from datetime import timedelta

from sqlalchemy import select, update

from lti_tool.gates.publication import publish
from lti_tool.grades import scores
from lti_tool.lti import registration
from lti_tool.tables.courses import placements
from lti_tool.tables.gates import decisions
from lti_tool.tables.operations import audit_log
from tests.conftest import DEMO_PROGRAMME
from tests.unit.web.browser import calendar_address
from tests.unit.web.conftest import NEXT_JOIN_URL, SECOND_JOIN_URL


def test_an_open_module_shows_agenda_dates_and_that_nothing_is_recorded(browse, happened) -> None:
    page = browse(happened.new).open("/modules/F1")
    assert page.status == 200
    assert page.heading == "Module 1: Introduction to Ketamine-Assisted Psychotherapy"
    assert "Live, not recorded." in page.text
    assert "Tue 15 Dec · 9:00 am–5:00 pm Pacific" in page.text
    assert "9:00 am – 10:30 am" in page.text
    assert "Attend 312 of 390 teaching minutes to complete." in page.text


def test_a_locked_module_says_what_is_missing_and_how_to_get_it(browse, happened) -> None:
    page = browse(happened.new).open("/modules/F2")
    assert page.status == 200
    assert page.heading == "Module 2: Intermediate Workshop I on Ketamine-Assisted Psychotherapy"
    assert "Complete Module 1 first. Module 2 then opens by itself." in page.text
    assert page.html.count("btn pri") == 1
    assert "You have not taken Module 1 yet." in page.text
    assert "Tue 15 Dec · 9:00 am–5:00 pm Pacific" in page.text
    assert {"/equivalency/F1", "#dates-F1", "mailto:training@larkspur-hill.example"} <= set(page.links)
    assert "Checked Tue 1 Dec · 10:00 am Pacific" in page.text


def test_the_parts_of_a_locked_page_come_in_their_order(browse, happened) -> None:
    text = browse(happened.new).open("/modules/F2").text
    parts = (
        "Complete Module 1 first",
        "Take Module 1",
        "Trained elsewhere?",
        "All requirements",
        "Checked",
        "Questions?",
    )
    assert sorted(parts, key=text.index) == list(parts)


def test_nothing_of_a_locked_module_but_its_title_is_on_the_page(browse, happened) -> None:
    page = browse(happened.new).open("/modules/F2")
    for secret in ("Use of Touch", "Transference", SECOND_JOIN_URL, "16 Dec 2026", "/join"):
        assert secret not in page.html


def test_a_pending_request_is_shown_with_its_day_instead_of_the_button(browse, happened) -> None:
    page = browse(happened.elsewhere).open("/modules/F2")
    assert "Sent, waiting for an answer since 29 Nov 2026" in page.text
    assert "Request equivalency" not in page.text
    assert page.html.count("btn pri") == 1


def test_attendance_opens_the_next_module_without_a_new_login(browse, happened) -> None:
    assert browse(happened.whole).open("/modules/F2").heading.startswith("Module 2")


def test_half_a_day_leaves_it_shut_and_names_the_missing_minutes(browse, happened) -> None:
    reader = browse(happened.half)
    assert "Not completed: 173 min 30 s are missing" in reader.open("/modules/F2").text
    assert "Not completed 173 min 30 s are missing." in reader.open("/modules/F1").text


def test_the_credit_decision_is_on_the_page_as_a_checklist(browse, happened) -> None:
    page = browse(happened.whole).open("/modules/F1")
    assert "APA credit Awarded: 6.5 credits" in page.text
    assert "Met: Licence valid on the day." in page.text


def test_every_entry_is_kept_as_a_decision(browse, happened, database) -> None:
    browse(happened.new).open("/modules/F2")
    with database.read() as connection:
        (row,) = connection.execute(select(decisions).where(decisions.c.trainee_id == happened.new)).all()
    assert (row.offering_id, row.route, row.open) == ("F2", "module", False)


def test_staff_see_the_page_the_banner_and_leave_a_log_row(browse, happened, database) -> None:
    page = browse(happened.staff).open("/modules/F2")
    assert "Staff view: the gate was not applied." in page.text
    assert "A learner with your records would see that it is locked" in page.text
    with database.read() as connection:
        acts = connection.execute(
            select(audit_log.c.actor, audit_log.c.subject).where(audit_log.c.act == "gate_bypassed")
        )
        assert acts.all() == [(f"staff:{happened.staff}", "offering:F2")]
        assert connection.execute(select(decisions).where(decisions.c.trainee_id == happened.staff)).all() == []


def test_an_unknown_module_is_a_page_that_says_so(browse, happened) -> None:
    page = browse(happened.new).open("/modules/F99")
    assert page.status == 404
    assert "module_unknown" in page.text


def join_link(page) -> str:
    (found,) = [each for each in page.links if "/join?" in each]
    return found


def test_the_join_link_leads_to_zoom_without_a_cookie_since_a_new_tab_has_none(browse, happened, client) -> None:
    page = browse(happened.new).open("/modules/F1")
    assert NEXT_JOIN_URL not in page.html
    answer = client.get(join_link(page), base_url="https://localhost")
    assert (answer.status_code, answer.headers["Location"]) == (303, NEXT_JOIN_URL)


def test_the_gate_is_asked_again_behind_the_join_link(browse, happened, client, database) -> None:
    link = join_link(browse(happened.new).open("/modules/F1"))
    client.get(link, base_url="https://localhost")
    with database.read() as connection:
        routes = connection.scalars(select(decisions.c.route).where(decisions.c.trainee_id == happened.new)).all()
    assert sorted(routes) == ["join", "module"]


def test_a_ticket_opens_no_session_of_a_locked_module(browse, happened, client) -> None:
    link = join_link(browse(happened.new).open("/modules/F1")).replace("F1", "F2")
    assert client.get(link, base_url="https://localhost").status_code == 404


def test_whoever_is_locked_out_is_told_so_at_the_join_link_too(browse, happened) -> None:
    page = browse(happened.new).open(f"/modules/F2/join?session={happened.second_module}")
    assert (page.status, SECOND_JOIN_URL in page.html) == (200, False)
    assert "Complete Module 1 first." in page.text


def test_an_old_or_broken_join_link_is_refused(browse, happened, client, clock) -> None:
    link = join_link(browse(happened.new).open("/modules/F1"))
    broken = client.get(re.sub("ticket=.{10}", "ticket=", link), base_url="https://localhost")
    clock.at += timedelta(hours=12)
    old = client.get(link, base_url="https://localhost")
    assert "join_link_wrong" in broken.get_data(as_text=True)
    assert "join_link_expired" in old.get_data(as_text=True)


def disable_the_platform(database, now) -> None:
    with database.write() as connection:
        (only,) = registration.list_registrations(connection)
        registration.set_status(connection, only.id, "disabled", actor="cli", now=now)


def test_a_join_link_ends_with_the_visit_it_was_made_in(browse, happened, client, database, now) -> None:
    link = join_link(browse(happened.new).open("/modules/F1"))
    disable_the_platform(database, now)
    answer = client.get(link, base_url="https://localhost")
    assert answer.status_code == 403
    assert "join_link_expired" in answer.get_data(as_text=True)


def test_the_calendar_of_a_disabled_platforms_person_has_no_join_link(browse, happened, client, database, now) -> None:
    address = calendar_address(browse(happened.new))
    with_link = client.get(address).get_data(as_text=True)
    disable_the_platform(database, now)
    without = client.get(address).get_data(as_text=True)
    assert ("/join?" in with_link.replace("\r\n ", ""), "/join?" in without.replace("\r\n ", "")) == (True, False)
    assert with_link.count("BEGIN:VEVENT") == without.count("BEGIN:VEVENT") > 0


def take_back_module_2(database, now) -> None:
    title = "    title: Intermediate Workshop I on Ketamine-Assisted Psychotherapy\n"
    document = DEMO_PROGRAMME.read_text(encoding="utf-8").replace(title, title + "    publish: false\n", 1)
    with database.write() as connection:
        assert publish(connection, document, "demo.yaml", actor="cli", now=now) == 2


def test_a_module_that_is_not_published_exists_for_staff_only(browse, happened, client, database, now) -> None:
    learner, teacher = browse(happened.whole), browse(happened.staff)
    address = calendar_address(learner)
    before = client.get(address).get_data(as_text=True)
    take_back_module_2(database, now)
    for path in ("/modules/F2", f"/modules/F2/join?session={happened.second_module}"):
        assert "module_unknown" in learner.open(path).text
    assert "session_unknown" in learner.open(f"/sessions/{happened.second_module}").text
    uid = f"session-{happened.second_module}@"
    assert (uid in before, uid in client.get(address).get_data(as_text=True)) == (True, False)
    assert teacher.open("/modules/F2").status == 200


def test_a_session_that_no_database_could_number_cannot_be_joined(browse, happened) -> None:
    for number in ("9" * 20, "9" * 5000, "-1", "x", ""):
        assert browse(happened.new).open(f"/modules/F1/join?session={number}").status == 404


def test_nobody_without_ticket_or_session_joins(client, happened) -> None:
    answer = client.get(f"/modules/F1/join?session={happened.next_day}", base_url="https://localhost")
    assert answer.status_code == 403


def test_a_recommendation_is_named_on_the_open_page_and_keeps_nobody_out(browse, happened) -> None:
    page = browse(happened.new).open("/modules/ST_MUS")
    assert page.heading == "Music for Ketamine-Assisted Psychotherapy"
    assert "Module 1 first is recommended, not required." in page.text


def test_the_number_of_the_gradebook_is_explained_where_it_shows_credit(browse, happened, database, now) -> None:
    with database.write() as connection:
        connection.execute(update(placements).values(score_meaning="ce"))
        scores.desire(connection, [happened.whole, happened.half], "F1", now)
    page = browse(happened.whole).open("/modules/F1")
    assert "In your course’s gradebook, 65 of 78 (83%) means 6.5 of 7.8 credits" in page.text
    assert "gradebook" not in browse(happened.half).open("/modules/F1").text


def test_a_gradebook_that_shows_no_credit_needs_no_explanation(browse, happened) -> None:
    assert "gradebook" not in browse(happened.whole).open("/modules/F1").text


def test_a_completed_module_leads_to_the_next_one(browse, happened) -> None:
    page = browse(happened.whole).open("/modules/F1")
    assert "Next: Module 2" in page.text
    assert page.html.count("btn pri") == 1
    assert "Confirmed" in page.text or "Provisional" in page.text

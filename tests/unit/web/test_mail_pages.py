"""What a person chooses to receive, the link that needs no login, and what staff see of messages."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from lti_tool.attendance import person_joins
from lti_tool.outbox import occasions, preferences
from lti_tool.outbox.preferences import Preferences
from lti_tool.tables.mail import outbox
from tests.statements import listening
from tests.unit.web.browser import BASE, Page


def chosen_by(database, trainee_id: int) -> Preferences:
    with database.read() as connection:
        return preferences.of(connection, trainee_id)


def link(settings, trainee_id: int, now, choice: preferences.Choice = "reminders") -> str:
    return preferences.unsubscribe_path(settings.secret_key, trainee_id, choice, now)


def test_a_person_turns_reminders_off_and_keeps_the_rest(browse, happened, database) -> None:
    reader = browse(happened.whole)
    page = reader.open("/mail")
    assert page.html.count(" checked") == 2
    assert "Morning digest" not in page.text
    assert reader.send(page, "/mail", schedule_changes="yes", digest="yes").sent_to == "/mail?done=messages_chosen"
    assert chosen_by(database, happened.whole) == Preferences(reminders=False, schedule_changes=True, digest=False)
    assert reader.open("/mail").html.count(" checked") == 1


def test_staff_turn_the_digest_on(browse, happened, database) -> None:
    staff = browse(happened.staff)
    staff.send(staff.open("/mail"), "/mail", digest="yes")
    assert chosen_by(database, happened.staff) == Preferences(reminders=False, schedule_changes=False, digest=True)


def test_help_and_the_record_lead_to_the_choice(browse, happened) -> None:
    reader = browse(happened.whole)
    assert "/mail" in reader.open("/help").links
    assert "/mail" in reader.open("/record").links


def test_settings_lead_to_the_messages(browse, happened) -> None:
    assert "/desk/mail" in browse(happened.staff).open("/desk/settings").links


def test_opening_the_link_changes_nothing_and_its_button_ends_reminders(client, settings, database, happened, now):
    path = link(settings, happened.whole, now)
    page = Page(client.get(path, base_url=BASE))
    assert (page.status, page.heading) == (200, "Unsubscribe")
    assert chosen_by(database, happened.whole).reminders
    done = Page(client.post(path, base_url=BASE))
    assert done.heading == "You are unsubscribed"
    assert "go to Help, then Choose messages" in done.text
    assert chosen_by(database, happened.whole) == Preferences(reminders=False)


def test_staff_who_unsubscribe_learn_where_the_digest_is_turned_on(client, settings, happened, now) -> None:
    done = Page(client.post(link(settings, happened.staff, now, "digest"), base_url=BASE))
    assert "go to Settings, then Mail" in done.text


def test_a_mail_program_unsubscribes_with_one_request(client, settings, database, happened, now) -> None:
    path = link(settings, happened.whole, now)
    for _ in range(2):
        assert client.post(path, base_url=BASE, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert not chosen_by(database, happened.whole).reminders


@pytest.mark.parametrize("wrong", ["changed", "other-purpose", "old"])
def test_a_link_that_was_not_made_for_this_ends_nothing(client, settings, database, happened, clock, wrong) -> None:
    path = link(settings, happened.whole, clock())
    if wrong == "changed":
        path = path[:-1] + ("A" if path[-1] != "A" else "B")
    elif wrong == "other-purpose":
        path = path.replace("/mail/unsubscribe/", "/calendar/") + ".ics"
    else:
        clock.advance(days=366)
    assert client.post(path, base_url=BASE).status_code in (404, 405)
    assert client.get(path, base_url=BASE).status_code == 404
    assert chosen_by(database, happened.whole).reminders


def test_the_link_names_no_one_and_is_told_to_no_other_site(client, settings, happened, now) -> None:
    path = link(settings, happened.whole, now)
    assert not re.search("(?i)trainee|example|@", path)
    assert "referrer" in client.get(path, base_url=BASE).headers["Referrer-Policy"]


def test_the_link_of_an_account_that_was_joined_ends_the_messages_of_the_person(
    client, settings, database, happened, now
) -> None:
    path = link(settings, happened.half, now)
    with database.write() as connection:
        join(connection, happened, now)
    client.post(path, base_url=BASE)
    assert not chosen_by(database, happened.whole).reminders


def join(connection, happened, now) -> None:
    of_both = {"kept_id": happened.whole, "joined_id": happened.half}
    person_joins.join(connection, **of_both, reason="One person", actor="cli", now=now)


def refuse(connection, trainee_ids, now) -> None:
    for each in trainee_ids:
        row = {
            "kind": "session_reminder",
            "subject_id": 2,
            "occasion": f"occasion {each}",
            "trainee_id": 1 + each % 4,
            "state": "refused",
            "attempts": 1,
            "last_answer": "550",
            "next_at": now,
            "send_before": now + timedelta(days=1),
            "created_at": now,
            "ended_at": now,
        }
        connection.execute(insert(outbox).values(row))


def test_staff_see_what_was_refused_and_try_it_again(browse, happened, database, now) -> None:
    with database.write() as connection:
        refuse(connection, [4], now)
    staff = browse(happened.staff)
    page = staff.open("/desk/mail")
    assert "Trainee 1 Reminder Refused The mail server answered 550. Try again" in page.text
    assert f"/desk/people/{happened.whole}" in page.links
    [again] = re.findall(r'action="(/desk/mail/\d+/again)"', page.html)
    assert staff.send(page, again).sent_to == "/desk/mail?done=message_again"
    with database.read() as connection:
        waiting = select(func.count()).select_from(outbox).where(outbox.c.state == "waiting")
        assert connection.execute(waiting.where(outbox.c.kind == "session_reminder")).scalar_one() == 1
    assert staff.send(page, again).status == 404


def test_the_page_says_that_mail_is_off(browse, happened) -> None:
    assert "E-mail is switched off." in browse(happened.staff).open("/desk/mail").text


def test_a_long_list_is_paged_and_costs_no_more_statements_than_a_short_one(browse, happened, database, now) -> None:
    staff = browse(happened.staff)
    with database.write() as connection:
        refuse(connection, range(1), now)
    with listening(database) as few:
        staff.open("/desk/mail")
    with database.write() as connection:
        refuse(connection, range(1, 130), now)
    with listening(database) as many:
        page = staff.open("/desk/mail")
    assert len(many) <= len(few)
    assert page.html.count("Try again") == 50
    assert "Part 1 of 3" in page.text
    assert staff.open("/desk/mail?page=3").html.count("Try again") == 30


def test_occasions_of_a_joined_person_reach_the_kept_one(database, happened, now) -> None:
    with database.write() as connection:
        occasions.enqueue(connection, "equivalency_received", happened.half, 1, "submitted", now=now)
        join(connection, happened, now)
        query = select(outbox.c.trainee_id).where(outbox.c.subject_id == 1, outbox.c.trainee_id == happened.whole)
        assert connection.execute(query).first() is not None

"""The pages on which staff say who somebody was, judge days, correct with two people, and answer trainees."""

import re
from functools import partial

import pytest
from sqlalchemy import func, insert, select, update

from lti_tool import people
from lti_tool.attendance import corrections, matching, queries, reviews
from lti_tool.attendance.settlement import settle
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import audit_log
from lti_tool.tables.presence import (
    attendance_corrections,
    attendance_requests,
    attendance_reviews,
    person_links,
    settled_identities,
)
from lti_tool.web.session import COOKIE
from tests.browser_session import start
from tests.training_day import FIVE, NINE, WHOLE_DAY, add_licence, add_trainee, present, stay
from tests.unit.web.browser import Browser

WHY = "He rang and spelled his address."
TEXT = "I was there all day, under my partner's name."


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


@pytest.fixture
def browse_staff(app, database, happened, now):
    """A browser with a staff session for anybody."""

    def browser(trainee_id):
        with database.write() as connection:
            token = start(
                connection,
                trainee_id=trainee_id,
                registration_id=happened.platform,
                context_id="course-1",
                placement_id=happened.place,
                role="staff",
                now=now,
            )
        client = app.test_client()
        client.set_cookie(COOKIE, token, domain="localhost", secure=True)
        return Browser(client)

    return browser


def guest_page(staff):
    (link,) = (each for each in staff.open("/desk/unmatched").links if re.fullmatch(r"/desk/unmatched/\d+", each))
    return link


def count(database, table, *where):
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(*where))


class TestMatching:
    def test_somebody_unmatched_is_shown_with_all_that_zoom_gave(self, staff):
        page = staff.open(guest_page(staff))
        assert page.heading == "Who is this?"
        for shown in ("A guest", "guest@example.org", "9:00 am – 10:40 am", "By phone no", "Gatehouse suggests no one"):
            assert shown in page.text

    def test_nobody_is_suggested_before_a_search(self, staff):
        assert "Trainee 4" not in staff.open(guest_page(staff)).text

    @pytest.mark.parametrize("wanted", ["Trainee 4", "trainee 4", "RAINEE4@EXAMPLE"])
    def test_a_search_finds_by_a_part_of_name_or_address(self, staff, happened, wanted):
        page = staff.open(guest_page(staff))
        found = staff.send(page, f"{guest_page(staff)}/search", wanted=wanted)
        assert "1 found Trainee 4 trainee4@example.org" in found.text
        assert f"{guest_page(staff)}?trainee={happened.new}" in found.links

    @pytest.mark.parametrize("wanted", ["A guest", "%", "__", "x", "Trainee 44", "' or 1=1 --"])
    def test_a_search_for_nobody_finds_nobody(self, staff, wanted):
        page = staff.open(guest_page(staff))
        assert "No one found" in staff.send(page, f"{guest_page(staff)}/search", wanted=wanted).text

    def test_the_choice_shows_what_would_change(self, staff, happened):
        page = staff.open(f"{guest_page(staff)}?trainee={happened.half}")
        assert "Is it Trainee 2?" in page.text
        assert "138 min 30 s Not completed" in page.text
        assert "165 min Not completed" in page.text
        assert "This person is on record too" in page.text

    def test_the_choice_shows_the_credit_that_hangs_on_it(self, staff, happened, database, now):
        people = [present(None, *WHOLE_DAY, key="email:guest@example.org", email="guest@example.org")]
        settle(database, happened.day, people, FIVE, now, lambda *_: None)
        assert "stays open" in staff.open(f"{guest_page(staff)}?trainee={happened.new}").text
        with database.write() as connection:
            add_licence(connection, happened.new, now)
        page = staff.open(f"{guest_page(staff)}?trainee={happened.new}")
        assert "not on record 390 min Completed" in page.text
        assert "APA: 6.5 credits would be awarded" in page.text

    def test_a_locked_session_is_told_before_the_match(self, staff, happened, database):
        where = guest_page(staff)
        with database.write() as connection:
            connection.execute(update(live_sessions).values(state="locked"))
        assert "Locked: stays as it is" in staff.open(f"{where}?trainee={happened.new}").text

    def test_a_match_is_made_with_a_reason_and_leaves_the_list(self, staff, happened, database):
        page = staff.open(f"{guest_page(staff)}?trainee={happened.new}")
        where = f"{guest_page(staff)}/match"
        sent = staff.send(page, where, trainee=str(happened.new), kind="email:guest@example.org", reason=WHY)
        assert sent.sent_to == "/desk/unmatched?done=person_matched"
        with database.read() as connection:
            (link,) = connection.execute(select(person_links)).all()
        assert (link.kind, link.value, link.trainee_id, link.reason, link.made_by) == (
            "email",
            "guest@example.org",
            happened.new,
            WHY,
            f"staff:{happened.staff}",
        )
        listed = staff.open("/desk/links")
        assert "the address guest@example.org, in every session" in listed.text
        assert WHY in listed.text

    @pytest.mark.parametrize(
        ("given", "status", "code"),
        [
            ({"reason": ""}, 422, "reason_missing"),
            ({"trainee": "nobody"}, 422, "form_incomplete"),
            ({"trainee": "9" * 30}, 422, "form_incomplete"),
            ({"trainee": "-1"}, 422, "form_incomplete"),
            ({"trainee": "999"}, 404, "trainee_unknown"),
            ({"kind": "email:somebody@example.org"}, 422, "link_wrong"),
            ({"kind": "registrant:"}, 422, "link_wrong"),
            ({"reason": "<script>" * 300}, 422, "reason_missing"),
        ],
    )
    def test_a_match_that_does_not_stand_links_nobody(self, staff, happened, database, given, status, code):
        page = staff.open(f"{guest_page(staff)}?trainee={happened.new}")
        fields = {"trainee": str(happened.new), "kind": "email:guest@example.org", "reason": WHY, **given}
        answer = staff.send(page, f"{guest_page(staff)}/match", **fields)
        assert (answer.status, code in answer.text) == (status, True)
        assert count(database, person_links) == 0

    def test_without_the_sessions_token_nothing_is_linked(self, staff, happened, database):
        where = f"{guest_page(staff)}/match"
        answer = staff.client.post(where, base_url="https://localhost", data={"trainee": happened.new, "reason": WHY})
        assert answer.status_code == 403
        assert count(database, person_links) == 0

    def test_a_link_is_taken_back_with_a_reason(self, staff, happened, database):
        page = staff.open(f"{guest_page(staff)}?trainee={happened.new}")
        staff.send(page, f"{guest_page(staff)}/match", trainee=str(happened.new), reason=WHY)
        listed = staff.open("/desk/links")
        with database.read() as connection:
            made = connection.scalar(select(person_links.c.id))
        sent = staff.send(listed, f"/desk/links/{made}/undo", reason="It was his brother.")
        assert sent.sent_to == "/desk/links?done=person_unlinked"
        assert "It was his brother." in staff.open("/desk/links").text
        assert count(database, person_links, person_links.c.undone_at.is_not(None)) == 1

    def test_somebody_of_no_concern_is_left_alone(self, staff, database):
        page = staff.open(guest_page(staff))
        sent = staff.send(page, f"{guest_page(staff)}/leave", reason="The interpreter.")
        assert sent.sent_to == "/desk/unmatched?done=person_left_alone"
        assert "Everyone is matched" in staff.open("/desk/unmatched").text
        assert "“A guest”" not in staff.open("/desk").text

    def test_somebody_matched_meanwhile_is_not_matched_again(self, staff, happened, database):
        where = guest_page(staff)
        page = staff.open(f"{where}?trainee={happened.new}")
        with database.write() as connection:
            unmatched = attendances.c.trainee_id.is_(None)
            connection.execute(update(attendances).where(unmatched).values(trainee_id=happened.new))
        answer = staff.send(page, f"{where}/match", trainee=str(happened.new), reason=WHY)
        assert (answer.status, "match_settled" in answer.text) == (409, True)

    def test_a_name_of_markup_stays_text(self, staff, database):
        with database.write() as connection:
            name = "<img src=x onerror=alert(1)>"
            connection.execute(update(attendances).where(attendances.c.trainee_id.is_(None)).values(display_name=name))
        for page in (staff.open("/desk/unmatched"), staff.open(guest_page(staff))):
            assert "<img" not in page.html
            assert "onerror=alert(1)" in page.text

    @pytest.mark.parametrize("where", ["/desk/unmatched/999", "/desk/unmatched/1?trainee=999"])
    def test_what_is_not_there_is_not_found(self, staff, where):
        assert staff.open(where).status in (404, 409)


@pytest.fixture
def doubtful(database, happened, now):
    """The day of `half` rests on an estimate."""
    people = [present(happened.whole, *WHOLE_DAY), present(happened.half, stay(0, 400, "estimated"))]
    settle(database, happened.day, people, FIVE, now, partial(follow_attendance, now=now))
    with database.read() as connection:
        return queries.of_trainee_in(connection, happened.half, happened.day)


class TestReviews:
    def test_a_doubtful_day_is_counted_and_told_in_words(self, staff, doubtful):
        assert "Attendance to review · Partly estimated" in staff.open("/desk").text
        page = staff.open("/desk/reviews")
        assert "Trainee 2" in page.text
        assert "partly estimated" in page.text
        assert "Trainee 1" not in page.text

    def test_letting_it_stand_takes_it_off_the_list(self, staff, happened, doubtful, database):
        page = staff.open("/desk/reviews")
        about = {"person_key": doubtful.person_key, "digest": doubtful.input_digest}
        sent = staff.send(page, f"/desk/reviews/{happened.day}", **about, reason="A colleague saw her.")
        assert sent.sent_to == "/desk/reviews?done=day_let_stand"
        assert "No attendance waits for review" in staff.open("/desk/reviews").text
        assert count(database, attendance_reviews) == 1

    @pytest.mark.parametrize(
        ("given", "status", "code"),
        [
            ({"reason": ""}, 422, "Nothing has been saved yet."),
            ({"digest": "0" * 64}, 409, "Nothing has been saved yet."),
            ({"person_key": "trainee:0"}, 404, "attendance_unknown"),
            ({"person_key": "x" * 5000}, 404, "attendance_unknown"),
        ],
    )
    def test_a_review_that_does_not_stand_changes_nothing(
        self, staff, happened, doubtful, database, given, status, code
    ):
        page = staff.open("/desk/reviews")
        about = {"person_key": doubtful.person_key, "digest": doubtful.input_digest, "reason": "Seen.", **given}
        answer = staff.send(page, f"/desk/reviews/{happened.day}", **about)
        assert (answer.status, code in answer.text) == (status, True)
        assert count(database, attendance_reviews) == 0


CORRECTION = {
    "what": "present",
    "starts": "2026-11-10T13:00:00",
    "ends": "2026-11-10T17:00",
    "reason": "The house's line was down.",
    "evidence": "The signed roster.",
}


class TestCorrections:
    def propose(self, staff, happened, **given):
        where = f"/desk/sessions/{happened.day}/corrections/{happened.half}"
        return staff.send(staff.open(where), where, **{**CORRECTION, **given})

    def test_the_form_shows_the_day_and_the_times_of_the_place(self, staff, happened):
        page = staff.open(f"/desk/sessions/{happened.day}/corrections/{happened.half}")
        assert page.heading == "Correct the day of Trainee 2"
        assert 'value="2026-11-10T09:00:00"' in page.html
        assert "138 min 30 s of 390 min" in page.text

    def test_whoever_proposed_sees_the_effect_but_no_button(self, staff, happened):
        assert self.propose(staff, happened).sent_to == "/desk/corrections?done=correction_proposed"
        page = staff.open("/desk/corrections")
        assert "You proposed this Another member of staff has to confirm it." in page.text
        assert "138 min 30 s Not completed" in page.text
        assert "/confirm" not in page.html
        assert "Needs a second person" in staff.open("/desk").text

    def test_a_forged_confirmation_by_the_same_person_is_refused(self, staff, happened, database):
        self.propose(staff, happened)
        answer = staff.send(staff.open("/desk/corrections"), "/desk/corrections/1/confirm")
        assert (answer.status, "second_person_needed" in answer.text) == (403, True)
        assert count(database, attendance_corrections, attendance_corrections.c.confirmed_at.is_not(None)) == 0

    def test_turning_down_without_a_reason_comes_back_with_the_words_at_its_field(self, staff, happened):
        self.propose(staff, happened)
        page = staff.send(staff.open("/desk/corrections"), "/desk/corrections/1/undo", reason=" ", field="undo-1")
        assert page.status == 422
        assert 'href="#undo-1"' in page.html
        assert 'id="undo-1-problem"' in page.html

    def test_a_second_person_confirms_and_anybody_takes_back(self, staff, happened, browse_staff, database):
        self.propose(staff, happened)
        other = browse_staff(happened.elsewhere)
        page = other.open("/desk/corrections")
        sent = other.send(page, "/desk/corrections/1/confirm")
        assert sent.sent_to == "/desk/corrections?done=correction_confirmed"
        page = staff.open("/desk/corrections")
        assert "In force" in page.text
        assert staff.send(page, "/desk/corrections/1/undo", reason="Wrong day.").status == 303
        assert "Undone" in staff.open("/desk/corrections").text

    @pytest.mark.parametrize(
        ("given", "place"),
        [
            ({"what": "perhaps"}, "what"),
            ({"starts": "lunch"}, "starts"),
            ({"starts": "2026-11-10T13:00+01:00"}, "starts"),
            ({"ends": "2026-11-11T17:00"}, "starts"),
            ({"reason": ""}, "reason"),
            ({"evidence": ""}, "evidence"),
        ],
        ids=["neither there nor not", "no time", "an offset", "another day", "no reason", "no evidence"],
    )
    def test_a_refused_proposal_comes_back_with_all_that_was_entered(self, staff, happened, database, given, place):
        answer = self.propose(staff, happened, **given)
        assert (answer.status, f'href="#{place}"' in answer.html) == (422, True)
        kept = {**CORRECTION, **given}
        assert f">{kept['evidence']}</textarea>" in answer.html
        assert count(database, attendance_corrections) == 0

    def test_a_locked_session_offers_no_form(self, staff, happened, database):
        with database.write() as connection:
            connection.execute(update(live_sessions).values(state="locked"))
        page = staff.open(f"/desk/sessions/{happened.day}/corrections/{happened.half}")
        assert "This session is locked." in page.text
        assert "<form" not in page.html.partition("<main")[2]


class TestRequests:
    def ask(self, browser, day, text=TEXT):
        return browser.send(browser.open(f"/sessions/{day}"), f"/sessions/{day}/requests", text=text)

    @pytest.mark.parametrize("who", ["half", "new"])
    def test_a_trainee_asks_and_reads_the_answer(self, browse, happened, staff, who):
        """With a record of the day, and without any."""
        trainee = browse(getattr(happened, who))
        page = trainee.open(f"/sessions/{happened.day}")
        assert "Please do not write anything about your health" in page.text
        assert self.ask(trainee, happened.day).sent_to == f"/sessions/{happened.day}?done=question_about_day"
        assert "The training team has your request" in trainee.open(f"/sessions/{happened.day}").text
        assert "Question · Module 1 on Tue 10 Nov" in staff.open("/desk").text
        queue = staff.open("/desk/attendance-requests")
        assert TEXT in queue.text
        sent = staff.send(queue, "/desk/attendance-requests/1/answer", answer="We have found you: it counts now.")
        assert sent.sent_to == "/desk/attendance-requests?done=question_answered"
        assert "We have found you: it counts now." in trainee.open(f"/sessions/{happened.day}").text
        assert "No request waits for an answer" in staff.open("/desk/attendance-requests").text

    def test_it_may_be_withdrawn_by_its_own_trainee_alone(self, browse, happened, database):
        own, other = browse(happened.half), browse(happened.whole)
        self.ask(own, happened.day)
        answer = other.send(other.open(f"/sessions/{happened.day}"), "/sessions/requests/1/withdraw")
        assert (answer.status, "request_unknown" in answer.text) == (404, True)
        sent = own.send(own.open(f"/sessions/{happened.day}"), "/sessions/requests/1/withdraw")
        assert sent.sent_to == f"/sessions/{happened.day}?done=question_withdrawn"
        assert count(database, attendance_requests, attendance_requests.c.state == "withdrawn") == 1

    def test_a_second_one_is_refused_while_the_first_waits(self, browse, happened, database):
        trainee = browse(happened.half)
        page = trainee.open(f"/sessions/{happened.day}")
        self.ask(trainee, happened.day)
        answer = trainee.send(page, f"/sessions/{happened.day}/requests", text="And again.")
        assert (answer.status, "request_open" in answer.text) == (409, True)

    @pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
    def test_a_text_that_cannot_be_taken_is_refused(self, browse, happened, database, text):
        answer = self.ask(browse(happened.half), happened.day, text)
        assert (answer.status, "request_text_missing" in answer.text) == (422, True)
        assert count(database, attendance_requests) == 0

    def test_a_session_to_come_offers_no_form(self, browse, happened):
        page = browse(happened.new).open(f"/sessions/{happened.next_day}")
        assert "After the session you can ask" in page.text
        assert f"/sessions/{happened.next_day}/requests" not in page.html

    def test_markup_in_a_request_stays_text(self, browse, happened, staff):
        self.ask(browse(happened.half), happened.day, "<script>alert(1)</script>")
        for page in (staff.open("/desk/attendance-requests"), browse(happened.half).open(f"/sessions/{happened.day}")):
            assert "<script>alert" not in page.html

    def test_nobody_elses_request_is_shown(self, browse, happened):
        self.ask(browse(happened.half), happened.day)
        assert TEXT not in browse(happened.whole).open(f"/sessions/{happened.day}").text


STAFF_ONLY = (
    "/desk/unmatched/1/search", "/desk/unmatched/1/match", "/desk/unmatched/1/leave", "/desk/links/1/undo",
    "/desk/reviews/1", "/desk/sessions/1/corrections/2", "/desk/corrections/1/confirm", "/desk/corrections/1/undo",
    "/desk/attendance-requests/1/answer",
)  # fmt: skip


@pytest.mark.parametrize("where", STAFF_ONLY)
def test_nothing_of_this_is_for_learners(browse, happened, database, where):
    trainee = browse(happened.half)
    page = trainee.open(f"/sessions/{happened.day}")
    before = count(database, audit_log)
    answer = trainee.send(page, where, reason=WHY, answer="Yes.", trainee="2")
    assert (answer.status, "role_not_allowed" in answer.text) == (403, True)
    assert count(database, audit_log) == before


@pytest.mark.parametrize("where", ["/desk/links", "/desk/reviews", "/desk/corrections", "/desk/attendance-requests"])
def test_an_empty_page_says_so_helpfully(staff, where):
    page = staff.open(where)
    assert page.status == 200
    assert "Nothing" in page.text or "No " in page.text


@pytest.fixture
def thirty(database, happened, now):
    """People who are linked, ask about the day, and of whom a correction waits."""
    with database.write() as connection:
        people = [add_trainee(connection, number, now) for number in range(100, 130)]
        for each in people:
            about = {"trainee_id": each, "now": now}
            alias = f"alias{each}@example.org"
            matching.link(connection, kind="email", value=alias, meeting_id="", reason=WHY, actor="cli", **about)
            reviews.open_request(connection, session_id=happened.day, text=TEXT, **about)
            propose(connection, happened.day, by=happened.elsewhere, **about)


def propose(connection, session_id, *, by, **about):
    values = {"from_at": NINE, "to_at": FIVE, "counts": True, "reason": WHY, "evidence": "The signed roster."}
    return corrections.propose(connection, session_id=session_id, actor=f"staff:{by}", **values, **about)


@pytest.mark.parametrize(
    ("where", "each", "rest"),
    [
        ("/desk/links", 'id="link-', "Part 2"),
        ("/desk/attendance-requests", 'id="request-', "5 more requests"),
        ("/desk/corrections", 'id="correction-', "5 more corrections"),
    ],
)
def test_a_long_list_is_read_in_parts(staff, thirty, where, each, rest):
    page = staff.open(where)
    assert (page.html.count(each), rest in page.text) == (25, True)


def test_the_earlier_links_are_on_the_pages_that_follow(staff, thirty):
    assert "/desk/links?page=2" in staff.open("/desk/links").links
    assert staff.open("/desk/links?page=2").html.count('id="link-') == 5


def test_what_the_reader_may_confirm_comes_before_the_readers_own(staff, thirty, happened, browse_staff, database, now):
    with database.write() as connection:
        last = propose(connection, happened.day, by=happened.staff, trainee_id=happened.whole, now=now)
    assert f"/desk/corrections/{last}/confirm" in browse_staff(happened.elsewhere).open("/desk/corrections").html


def test_requests_are_read_in_the_order_in_which_they_came(database, happened, now):
    with database.write() as connection:
        first, then = (
            reviews.open_request(connection, session_id=happened.day, trainee_id=each, text=TEXT, now=now)
            for each in (happened.half, happened.whole)
        )
        assert [row.id for row in reviews.queue(connection)] == [first, then]


def test_a_day_of_doubtful_identity_is_linked_from_the_list_of_days_to_review(staff, happened, database, now):
    with database.write() as connection:
        this = (attendances.c.trainee_id == happened.whole) & attendances.c.is_current
        connection.execute(update(attendances).where(this).values(flags=["identity_differs"]))
        number = connection.scalar(select(attendances.c.id).where(this))
        known = {"live_session_id": happened.day, "kind": "connection", "value": "A1F0-0001", "known_by": "place"}
        connection.execute(insert(settled_identities).values(**known, trainee_id=happened.whole, settled_at=now))
    page = staff.open("/desk/reviews")
    assert f"/desk/unmatched/{number}" in page.links
    page = staff.open(f"/desk/unmatched/{number}?trainee={happened.new}")
    assert "This day is settled for Trainee 1." in page.text
    assert "Not a trainee?" not in page.text
    sent = staff.send(page, f"/desk/unmatched/{number}/match", trainee=str(happened.new), reason="She showed it.")
    assert sent.status == 303
    with database.read() as connection:
        (link,) = matching.listed(connection)
    assert (link.kind, link.value, link.trainee_id) == ("connection", "A1F0-0001", happened.new)


def test_two_accounts_with_one_address_are_compared_joined_and_separated(staff, happened, database, now):
    with database.write() as connection:
        address = people.trainee(connection, happened.whole).email
        second = people.find_or_add(
            connection, "https://moved.example.org", "again", name="Again", email=address, now=now
        )
    assert "E-mail addresses that two people share: 1" in staff.open("/desk").text
    page = staff.open("/desk/joins")
    assert address in page.html
    compared = staff.open(f"/desk/joins/{happened.whole}/{second}")
    assert "https://moved.example.org" in compared.html
    both = {"kept": str(happened.whole), "joined": str(second)}
    sent = staff.send(compared, "/desk/joins/apart", **both, reason="Mother and son.")
    assert sent.sent_to == "/desk/joins?done=people_kept_apart"
    page = staff.open("/desk/joins")
    assert "Mother and son." in page.text
    assert "No address is shared" in page.text
    sent = staff.send(compared, "/desk/joins", kept=str(happened.whole), joined=str(second), reason="She told us.")
    assert sent.status == 303
    page = staff.open("/desk/joins")
    assert "She told us." in page.html
    sent = staff.send(page, "/desk/joins/1/undo", reason="Two sisters.")
    assert sent.status == 303
    assert "Two sisters." in staff.open("/desk/joins").html

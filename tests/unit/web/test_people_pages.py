"""The people of the training as a list with the state of every module, the search in the bar, and one person's page."""

import gzip
import re
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from lti_tool.gates import decide, exceptions
from lti_tool.tables.courses import enrolments
from lti_tool.tables.gates import completions, equivalency_requests
from lti_tool.tables.gates import exceptions as exceptions_table
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import licences, trainees
from lti_tool.web.staff import matrix, overview
from lti_tool.web.staff.people import read_day
from tests.statements import listening
from tests.training_day import add_trainee, enrol


@pytest.fixture
def staff(browse, happened, database, now):
    with database.write() as connection:
        enrol(connection, happened.platform, happened.staff, now, role="staff")
    return browse(happened.staff)


def names_on(page) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/desk/people/\d+">(.*?)</a>', page.html)


def pill(page, words: str) -> int:
    return int(re.search(rf"{words} <b>(\d+)</b>", page.html)[1])


def crowd(database, happened, now, number: int) -> None:
    with database.write() as connection:
        for each in range(100, 100 + number):
            enrol(connection, happened.platform, add_trainee(connection, each, now), now)


class TestTheList:
    @pytest.mark.parametrize(
        ("show", "words", "people"),
        [
            ("", "Everyone", ["Trainee 1", "Trainee 2", "Trainee 3", "Trainee 4"]),
            ("one", "Locked by one thing", ["Trainee 2", "Trainee 4"]),
            ("licence", "No licence", ["Trainee 2", "Trainee 3", "Trainee 4"]),
            ("request", "Request open", ["Trainee 3"]),
            ("staff", "Staff", ["Trainee 5"]),
        ],
        ids=["everyone", "one thing", "no licence", "request open", "staff"],
    )
    def test_each_filter_shows_as_many_people_as_it_says(self, staff, show, words, people) -> None:
        page = staff.open(f"/desk/people?show={show}")
        assert names_on(page) == people
        assert pill(page, words) == len(people)

    def test_an_expired_licence_is_none(self, staff, happened, database, now) -> None:
        with database.write() as connection:
            connection.execute(update(licences).values(expires_on=now.date() - timedelta(days=1)))
        page = staff.open("/desk/people?show=licence")
        assert "Trainee 1" in names_on(page)
        assert page.html.count("<small>No licence</small>") == 4
        assert "Expired" in staff.open(f"/desk/people/{happened.whole}").text

    @pytest.mark.parametrize("status", ["inactive", "probation"])
    def test_the_state_of_a_licence_is_told(self, staff, happened, database, status) -> None:
        with database.write() as connection:
            connection.execute(update(licences).values(status=status))
        assert status.capitalize() in staff.open(f"/desk/people/{happened.whole}").text

    def test_who_has_not_opened_a_unit_for_a_month_is_found(self, staff, happened, database, now) -> None:
        with database.write() as connection:
            never = update(enrolments).where(enrolments.c.trainee_id.in_((happened.new, happened.whole)))
            connection.execute(never.values(last_launch_at=None, listed_at=now))
            listed = update(trainees).where(trainees.c.id == happened.whole)
            connection.execute(listed.values(created_at=now - timedelta(days=31)))
            gone = enrolments.c.trainee_id == happened.half
            connection.execute(update(enrolments).where(gone).values(last_launch_at=now - timedelta(days=31)))
        assert names_on(staff.open("/desk/people?show=away")) == ["Trainee 1", "Trainee 2"]

    def test_who_never_opened_a_unit_is_found(self, staff, happened, database, now) -> None:
        with database.write() as connection:
            gone = enrolments.c.trainee_id == happened.half
            connection.execute(update(enrolments).where(gone).values(last_launch_at=None, listed_at=now))
        page = staff.open("/desk/people?show=never")
        assert "Trainee 2" in names_on(page)
        assert "Trainee 1" not in names_on(page)

    def test_a_completion_that_was_ended_is_not_taken(self, staff, happened, database, now) -> None:
        with database.write() as connection:
            connection.execute(update(completions).values(ended_at=now, ended_reason="Wrong person"))
        page = staff.open("/desk/people?show=one")
        text = staff.open(f"/desk/people/{happened.whole}").text
        assert ("Trainee 1" in names_on(page)) == ("Modules 1 cause " in text)

    @pytest.mark.parametrize("number", [1, 2, 3, 4])
    def test_the_filter_of_one_thing_agrees_with_the_page_of_a_person(self, staff, number: int) -> None:
        listed = names_on(staff.open("/desk/people?show=one"))
        text = staff.open(f"/desk/people/{number}").text
        assert (f"Trainee {number}" in listed) == ("Modules 1 cause " in text)

    def test_the_order_stands_in_the_address_and_goes_both_ways(self, staff) -> None:
        page = staff.open("/desk/people")
        assert "/desk/people?down=1" in page.links
        turned = staff.open("/desk/people?down=1")
        assert names_on(turned) == names_on(page)[::-1]
        assert 'aria-sort="descending"' in turned.html
        assert staff.open("/desk/people?sort=nonsense&show=nobody&page=x").status == 200

    def test_every_cell_says_what_the_gate_decides(self, staff, happened, database, published, now) -> None:
        with database.write() as connection:
            exceptions.grant(
                connection, published.programme, trainee_id=happened.half, offering_id="F2",
                reason="The line was down.", actor="cli", now=now,
            )  # fmt: skip
        with database.read() as connection:
            _, columns = matrix.columns(published.programme)
            starts = overview.starts(connection, published.programme, now)
            ids = list(connection.scalars(select(trainees.c.id)))
            cells = matrix.cells(connection, published, ids, columns, starts, now)
            for trainee_id in ids:
                for column, cell in zip(columns, cells[trainee_id], strict=True):
                    start = starts.get(column.module_id)
                    decided = decide.ask(connection, published, trainee_id, column.module_id, now, offering_start=start)
                    is_open = cell.kind in ("done", "class", "open", "equivalency", "exception")
                    assert is_open == decided.open, (trainee_id, column.module_id)
        assert {each.kind for row in cells.values() for each in row} == {
            "done", "open", "exception", "pending", "locked"
        }  # fmt: skip

    def test_only_cells_with_something_to_do_are_links(self, staff) -> None:
        html = staff.open("/desk/people").html
        linked = set(re.findall(r'<a class="cell (h-\w+)"', html))
        assert linked <= {"h-lock", "h-wait", "h-exc"}
        assert set(re.findall(r'<td[^>]*><span class="cell (h-\w+)"', html)) == {"h-done", "h-open"}

    def test_the_totals_count_everyone_in_the_list(self, staff) -> None:
        totals = staff.open("/desk/people").html.partition("<tfoot>")[2]
        assert re.findall(r"<td[^>]*>(\d+)</td>", totals)[:2] == ["1", "0"]

    def test_a_column_has_letters_of_its_own(self, published) -> None:
        _, columns = matrix.columns(published.programme)
        letters = [each.letters for each in columns]
        assert len(set(letters)) == len(letters)
        assert letters[:5] == ["1", "2", "3", "4", "5"]

    def test_many_people_cost_as_many_statements_as_few_and_fit_on_a_small_page(
        self, staff, happened, database, now
    ) -> None:
        staff.open("/desk/people")
        with listening(database) as few:
            staff.open("/desk/people")
        crowd(database, happened, now, 70)
        with listening(database) as many:
            page = staff.open("/desk/people")
        assert len(many) == len(few)
        assert len(names_on(page)) == 50
        assert "1–50 of 74" in page.text
        assert len(gzip.compress(page.html.encode())) <= 12 * 1024


class TestTheSearch:
    def search(self, staff, wanted: str):
        return staff.send(staff.open("/desk"), "/desk/search", q=wanted)

    @pytest.mark.parametrize(
        ("wanted", "leads_to"),
        [
            ("trainee 4", "/desk/people/4"),
            ("RAINEE4@example", "/desk/people/4"),
            ("MFT 12345", "/desk/people/1"),
            ("mft-12345", "/desk/people/1"),
            ("15 Dec", "/desk/sessions/2"),
            ("2026-12-16", "/desk/sessions/3"),
            ("Dec 16, 2026", "/desk/sessions/3"),
            ("Intermediate Workshop I on", "/desk/sessions/3"),
        ],
    )
    def test_a_single_hit_is_opened_at_once(self, staff, wanted: str, leads_to: str) -> None:
        answer = self.search(staff, wanted)
        assert (answer.status, answer.sent_to) == (303, leads_to)

    def test_several_hits_are_grouped(self, staff) -> None:
        page = self.search(staff, "Module 1")
        assert "Sessions Module 1" in page.text
        assert "People" not in page.text
        page = self.search(staff, "trainee")
        assert "People Trainee 1 trainee1@example.org" in page.text

    @pytest.mark.parametrize("wanted", ["MFT 1234", "MFT", "", "x", "%", "31 Feb", "nobody at all"])
    def test_what_cannot_be_found_is_said(self, staff, wanted: str) -> None:
        page = self.search(staff, wanted)
        assert "Nothing found" in page.text
        assert "a whole licence number" in page.text

    def test_an_ended_licence_finds_no_one(self, staff, database, now) -> None:
        with database.write() as connection:
            connection.execute(update(licences).values(ended_at=now))
        assert "Nothing found" in self.search(staff, "MFT 12345").text

    @pytest.mark.parametrize(
        "wanted", ["12", "Dec", "15 16 Dec", "99 Dec", "2026-13-01", "1/2/2026", "31 Dec 9999", "0001-01-01"]
    )
    def test_what_is_no_day_is_no_day(self, wanted: str, now) -> None:
        assert read_day(wanted, now.date()) is None


UNTIL = {"until": "2026-12-31", "reason": "Her papers are on their way."}
LICENCE = {
    "type": "lmft", "jurisdiction": "CA", "number": "MFT 99", "name": "T. Two", "issued_on": "2020-01-01",
    "expires_on": "2028-01-01",
}  # fmt: skip
ACTS = {
    "exception": ("exceptions", {"offering": "F2", **UNTIL}, exceptions_table, "exception_made"),
    "completion": (
        "completions", {"module": "F1", "completed_on": "2026-05-01", "evidence": "Letter"}, completions,
        "completion_added",
    ),
    "equivalency": (
        "equivalencies", {"target": "F1", "provider": "prati", "title": "KAP", "evidence": "Letter"},
        equivalency_requests, "equivalency_recorded",
    ),
    "licence": ("licences", LICENCE, licences, "licence_added"),
}  # fmt: skip


def rows_of(database, table, trainee_id: int) -> int:
    with database.read() as connection:
        return len(connection.execute(select(table.c.id).where(table.c.trainee_id == trainee_id)).all())


class TestOnePerson:
    def test_what_is_locked_is_grouped_by_its_cause(self, staff, happened) -> None:
        text = staff.open(f"/desk/people/{happened.half}").text
        cause = text.partition("Why locked ")[2]
        assert re.match(r"Modules 1 cause No completion of Module 1 is recorded\. Locks \d+ Module 2, Module 3", cause)
        assert text.partition("All modules and retreats")[0].count("Module 1 is recorded. Locks ") == 1
        assert "Retreats" in text.partition("Why locked")[2]

    def test_of_several_visits_the_log_shows_the_latest(self, staff, happened) -> None:
        pages = [staff.open(f"/desk/people/{happened.half}") for _ in range(3)]
        assert [page.text.count("looked at a person's page") for page in pages] == [0, 1, 1]

    def test_licence_numbers_are_masked(self, staff, happened) -> None:
        page = staff.open(f"/desk/people/{happened.whole}")
        assert "•45, until 31 Dec 2027" in page.text
        assert "MFT 12345" not in page.html

    @pytest.mark.parametrize(("path", "given", "table", "done"), ACTS.values(), ids=ACTS)
    def test_each_act_is_done_from_the_page_and_stands_in_its_log(
        self, staff, happened, database, path, given, table, done
    ) -> None:
        where = f"/desk/people/{happened.new}"
        sent = staff.send(staff.open(where), f"{where}/{path}", **given)
        assert sent.sent_to == f"{where}?done={done}"
        assert rows_of(database, table, happened.new) == 1
        log = staff.open(where).text.rpartition(" Log ")[2]
        assert "Trainee 5" in log

    @pytest.mark.parametrize(("path", "given", "table", "done"), ACTS.values(), ids=ACTS)
    def test_no_one_acts_on_their_own_record(self, staff, happened, database, path, given, table, done) -> None:
        where = f"/desk/people/{happened.staff}"
        page = staff.open(where)
        assert f"{where}/{path}" not in page.html
        answer = staff.send(page, f"{where}/{path}", **given)
        assert (answer.status, "own_case" in answer.text) == (403, True)
        assert rows_of(database, table, happened.staff) == 0

    @pytest.mark.parametrize(
        ("path", "given", "code"),
        [
            ("exceptions", {"offering": "F2", "until": "2026-12-31", "reason": "short"}, "exception_reason_short"),
            ("exceptions", {"offering": "F2", "until": "2026-01-01", "reason": "long enough"}, "exception_date_wrong"),
            ("exceptions", {"offering": "F2", "until": "soon", "reason": "long enough"}, "form_incomplete"),
            ("exceptions", {"offering": "F99", **UNTIL}, "offering_unknown"),
            ("completions", {"module": "F1", "completed_on": "2027-01-01", "evidence": "x"}, "completion_date_wrong"),
            ("completions", {"module": "F1", "completed_on": "2026-01-01", "evidence": ""}, "evidence_missing"),
            ("completions", {"module": "F99", "completed_on": "2026-01-01", "evidence": "x"}, "module_unknown"),
            ("equivalencies", {"target": "F1", "provider": "prati", "title": "", "evidence": "x"}, "incomplete"),
            ("licences", {**LICENCE, "type": "wizard"}, "licence_type_unknown"),
            ("licences", {**LICENCE, "issued_on": "2029-01-01"}, "licence_dates_wrong"),
        ],
    )
    def test_what_does_not_stand_is_refused_with_its_reason(self, staff, happened, path, given, code) -> None:
        where = f"/desk/people/{happened.new}"
        answer = staff.send(staff.open(where), f"{where}/{path}", **given)
        assert answer.status in (404, 422)
        assert code in answer.text

    def test_a_module_is_recorded_as_taken_once(self, staff, happened, database) -> None:
        where, (path, given, table, _) = f"/desk/people/{happened.new}", ACTS["completion"]
        page = staff.open(where)
        staff.send(page, f"{where}/{path}", **given)
        again = staff.send(page, f"{where}/{path}", **given)
        assert (again.status, "completion_in_force" in again.text) == (409, True)
        assert rows_of(database, table, happened.new) == 1
        assert "F2" not in staff.open(where).text.partition("All modules")[0]

    def test_an_exception_is_ended_on_the_page_of_its_person_only(self, staff, happened, database) -> None:
        where = f"/desk/people/{happened.new}"
        page = staff.open(where)
        staff.send(page, f"{where}/exceptions", offering="F2", **UNTIL)
        assert "Exception for Module 2" in staff.open(where).text
        other = staff.send(page, f"/desk/people/{happened.half}/exceptions/1/end", reason="Papers came.")
        assert (other.status, "exception_unknown" in other.text) == (404, True)
        ended = staff.send(page, f"{where}/exceptions/1/end", reason="Papers came.")
        assert ended.sent_to == f"{where}?done=exception_ended"
        log = staff.open(where).text.rpartition(" Log ")[2]
        assert "made an exception for Module 2 until Thu 31 Dec 2026" in log
        assert "ended an exception “Papers came.”" in log

    def test_the_log_is_paged_and_costs_as_many_statements_as_a_short_one(self, staff, happened, database, now) -> None:
        where = f"/desk/people/{happened.whole}"
        staff.open(where)
        with listening(database) as few:
            staff.open(where)
        subject = f"trainee:{happened.whole}"
        row = {"at": now, "actor": "cli", "act": "calendar_renewed", "subject": subject, "details": {}}
        with database.write() as connection:
            connection.execute(insert(audit_log), [row] * 60)
        with listening(database) as many:
            page = staff.open(where)
        assert len(many) == len(few)
        assert "1–20 of 64 Next" in page.text
        assert len(gzip.compress(page.html.encode())) <= 12 * 1024
        assert "awarded 6.5 credits for Module 1" in staff.open(f"{where}?page=99").text

    def test_a_day_of_the_past_is_shown_by_its_own_records_and_offers_no_act(self, staff, happened) -> None:
        where = f"/desk/people/{happened.new}"
        staff.send(staff.open(where), f"{where}/exceptions", offering="F2", **UNTIL)
        assert "Exception for Module 2" in staff.open(where).text
        before = staff.open(f"{where}?at=2026-11-30")
        assert "What was open at the end of Mon 30 Nov 2026" in before.text
        assert re.search(r"No completion of Module 1 is recorded\. Locks \d+ Module 2", before.text)
        assert f"{where}/exceptions" not in before.html
        for odd in ("2030-01-01", "soon", ""):
            assert "What was open at the end" not in staff.open(f"{where}?at={odd}").text

    def test_another_persons_entries_are_not_in_the_log(self, staff, happened) -> None:
        assert "awarded" not in staff.open(f"/desk/people/{happened.half}").text.rpartition(" Log ")[2]

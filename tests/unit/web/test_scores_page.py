"""The scores as staff see them: on the way, accepted, seen, regraded, refused; and what they decide there."""

import gzip

import pytest
from sqlalchemy import insert, select, update

from lti_tool.grades.ags import state_of
from lti_tool.grades.wording import COLUMNS, column_in_words, in_words, unseen_in_words
from lti_tool.tables.courses import placements
from lti_tool.tables.operations import audit_log
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_item_searches, scores
from tests.statements import listening
from tests.training_day import add_trainee

PAGE = "/desk/scores"

DELIVERED = {"status": "delivered", "delivered_version": 1, "last_answer": "201 accepted", "attempts": 1}


@pytest.fixture
def change(database, happened, now):
    """`change(trainee id, …)`: what the ledger says of this person's score; gives its id."""

    def change(trainee_id, **values):
        if values.get("delivered_version"):
            values = {"delivered_given": scores.c.desired_given, "delivered_maximum": 100.0} | values
            values |= {"delivered_at": now}
        if "seen" in values:
            values |= {"seen_at": now}
        theirs = update(scores).where(scores.c.trainee_id == trainee_id)
        with database.write() as connection:
            return connection.execute(theirs.values(values).returning(scores.c.id)).scalar_one()

    return change


@pytest.fixture
def moodle(database, happened):
    """The platform of the course is a Moodle."""
    with database.write() as connection:
        connection.execute(update(registrations).values(profile="moodle"))


def statuses(database):
    with database.read() as connection:
        rows = connection.execute(select(scores.c.trainee_id, scores.c.status)).all()
    return {row.trainee_id: row.status for row in rows}


def test_accepted_and_seen_are_two_things(browse, happened, change, moodle) -> None:
    change(happened.whole, **DELIVERED, seen="same", seen_given=100.0)
    change(happened.half, **DELIVERED)
    text = browse(happened.staff).open("/desk/scores").text
    assert "In the gradebook 1" in text
    assert "Accepted 1" in text
    assert "100 of 100" in text


def test_a_gradebook_that_nobody_lets_us_see_is_said_so(browse, happened, change) -> None:
    change(happened.whole, **DELIVERED)
    text = browse(happened.staff).open("/desk/scores").text
    assert "Accepted The platform accepted it. This platform does not let us see its gradebook." in text


def test_one_state_can_be_looked_at_alone(browse, happened, change, moodle) -> None:
    change(happened.whole, **DELIVERED, seen="same", seen_given=100.0)
    desk = browse(happened.staff)
    assert "Trainee 2" not in desk.open("/desk/scores?state=seen").text
    assert "Trainee 1" in desk.open("/desk/scores?state=seen").text
    assert "No score is in this state." in desk.open("/desk/scores?state=kept").text
    assert "Trainee 2" in desk.open("/desk/scores?state=nonsense").text


def test_a_re_grade_is_shown_with_both_values_and_staff_keep_theirs(browse, happened, change, moodle, database) -> None:
    score_id = change(happened.whole, **DELIVERED, seen="differs", seen_given=55.0)
    desk = browse(happened.staff)
    page = desk.open("/desk/scores")
    assert "Grades were changed on the platform." in page.text
    assert "55 of 100" in page.text
    assert "Nothing is sent before you decide." in page.text
    assert desk.send(page, f"/desk/scores/{score_id}/keep").sent_to == "/desk/scores?done=regrade_kept"
    assert statuses(database)[happened.whole] == "kept"
    assert "Send ours" in desk.open("/desk/scores?state=kept").text


def test_staff_send_ours_and_the_audit_log_says_who(browse, happened, change, moodle, database) -> None:
    score_id = change(happened.whole, **DELIVERED, seen="differs", seen_given=55.0)
    desk = browse(happened.staff)
    page = desk.open("/desk/scores?state=regraded")
    assert desk.send(page, f"/desk/scores/{score_id}/send").sent_to == "/desk/scores?done=regrade_sent"
    assert statuses(database)[happened.whole] == "waiting"
    with database.read() as connection:
        noted = select(audit_log.c.actor, audit_log.c.subject).where(audit_log.c.act == "regrade_overruled")
        assert connection.execute(noted).all() == [(f"staff:{happened.staff}", f"trainee:{happened.whole}")]


@pytest.mark.parametrize("what", ["send", "keep", "again"])
def test_what_needs_no_decision_takes_none(browse, happened, change, what: str) -> None:
    score_id = change(happened.whole, **DELIVERED)
    desk = browse(happened.staff)
    page = desk.open("/desk/equivalencies")
    assert desk.send(page, f"/desk/scores/{score_id}/{what}").status == 409
    assert desk.send(page, f"/desk/scores/999/{what}").status == 404


@pytest.mark.parametrize("what", ["1/send", "1/keep", "1/again", "again", "columns/1/again"])
def test_a_form_that_is_not_ours_decides_nothing(browse, happened, what: str) -> None:
    assert browse(happened.staff).client.post(f"/desk/scores/{what}", base_url="https://localhost").status_code == 403


@pytest.mark.parametrize("what", ["1/send", "1/keep", "1/again", "again", "columns/1/again"])
def test_learners_decide_nothing(browse, happened, what: str) -> None:
    learner = browse(happened.new)
    page = learner.open("/equivalency/F1")
    assert learner.send(page, f"/desk/scores/{what}").status == 403


def test_one_refused_score_is_tried_again_alone(browse, happened, change, database) -> None:
    refused = {"status": "parked", "attempts": 3, "last_answer": "404 gone"}
    change(happened.whole, **refused)
    score_id = change(happened.half, **refused)
    desk = browse(happened.staff)
    page = desk.open("/desk/scores?state=refused")
    assert "Tried 3 times; last answer: 404 gone" in page.text
    assert desk.send(page, f"/desk/scores/{score_id}/again").sent_to == "/desk/scores?done=score_again"
    assert statuses(database) == {happened.whole: "parked", happened.half: "waiting"}


def test_a_score_whose_column_went_to_something_else_is_not_tried_again(browse, happened, change) -> None:
    change(happened.whole, status="parked", attempts=0, last_answer="column_taken_over")
    page = browse(happened.staff).open("/desk/scores?state=refused")
    assert "the one grade column belongs to that module" in page.text
    assert "Try again" not in page.text.replace("Try all refused ones again", "")


def test_columns_that_cannot_be_made_are_told_and_looked_for_again(browse, happened, database, now) -> None:
    with database.write() as connection:
        row = {"placement_id": happened.place, "attempts": 1, "code": "line_items_refused"}
        connection.execute(insert(line_item_searches).values(**row, next_at=None, tried_at=now))
        connection.execute(update(placements).values(updated_at=now))
    desk = browse(happened.staff)
    page = desk.open("/desk/scores")
    assert "Foundations: The platform does not let the tool read or make grade columns here." in page.text
    assert desk.send(page, f"/desk/scores/columns/{happened.place}/again").sent_to.endswith("done=columns_again")
    with database.read() as connection:
        assert connection.scalar(select(line_item_searches.c.next_at)) == now


def test_a_long_ledger_is_read_in_parts_and_counted_as_a_whole(browse, happened, database, now) -> None:
    fill(database, happened, now, 120)
    staff = browse(happened.staff)
    first = staff.open(PAGE)
    assert "1–50 of 122" in first.text
    assert "On its way 122" in first.text
    assert f"{PAGE}?page=2" in first.links
    last = staff.open(f"{PAGE}?state=waiting&page=99")
    assert "101–122 of 122" in last.text
    assert f"{PAGE}?state=waiting&page=2" in last.links


@pytest.mark.parametrize(
    ("answer", "profile", "is_parked", "words"),
    [
        ("400 []", "moodle", True, "no graded participants there"),
        ("400 token_refused", "moodle", False, "gave no access"),
        ("400 already there", "openedx", False, "The platform accepted it."),
        ("500 oops", "openedx", True, "It gives the same answer for a person whom it does not know"),
        ("503 x", "generic", False, "It is tried again by itself."),
        ("503 x", "generic", True, "It was tried for days without success"),
        ("regraded", "moodle", True, "A person changed this grade"),
        ("seen in the results", "moodle", False, "its gradebook shows it"),
        ("302 redirect_refused", "generic", True, "never followed"),
        ("no_answer", "generic", False, "could not be reached"),
    ],
)
def test_answers_are_told_by_platform(answer: str, profile: str, is_parked: bool, words: str) -> None:
    assert words in in_words(answer, profile, is_parked=is_parked)


def test_columns_and_unseen_gradebooks_have_words() -> None:
    assert column_in_words("no_answer").startswith("The platform could not be reached")
    assert all(column_in_words(code).endswith(".") for code in COLUMNS)
    assert unseen_in_words("moodle", "delivered") == ""
    assert unseen_in_words("openedx", "waiting") == ""


@pytest.mark.parametrize(
    ("status", "seen", "last_answer", "state"),
    [
        ("waiting", "differs", None, "waiting"),
        ("kept", "differs", "column_taken_over", "kept"),
        ("delivered", "unread", None, "accepted"),
        ("delivered", "unreadable", "201 accepted", "accepted"),
        ("delivered", "same", "201 accepted", "seen"),
        ("delivered", "missing", "201 accepted", "missing"),
        ("delivered", "differs", "201 accepted", "regraded"),
        ("parked", "differs", "409", "regraded"),
        ("parked", "same", "404 gone", "refused"),
        # Nobody is asked to decide about what stands in a column that is not used any more.
        ("delivered", "differs", "column_taken_over", "accepted"),
        ("parked", "differs", "column_taken_over", "refused"),
    ],
    ids=lambda each: str(each),
)
def test_the_database_knows_the_state_of_each_score(
    happened, change, database, status: str, seen: str, last_answer: str | None, state: str
) -> None:
    score_id = change(happened.whole, status=status, seen=seen, last_answer=last_answer)
    with database.read() as connection:
        row = connection.execute(select(scores).where(scores.c.id == score_id)).one()
    assert state_of(row).id == state


def test_the_page_runs_as_many_statements_for_many_scores_as_for_few(browse, happened, database, now) -> None:
    staff = browse(happened.staff)
    staff.open(PAGE)
    with listening(database) as few:
        staff.open(PAGE)
    fill(database, happened, now, 250)
    with listening(database) as many:
        page = staff.open(PAGE)
    assert len(many) == len(few)
    assert len(gzip.compress(page.response.get_data())) < 12_000


def fill(database, happened, now, count: int) -> None:
    """The score of so many more people, each like that of the first."""
    with database.write() as connection:
        (score,) = connection.execute(select(scores).where(scores.c.trainee_id == happened.whole)).mappings()
        row = {name: value for name, value in score.items() if name not in ("id", "state")}
        people = [add_trainee(connection, number, now) for number in range(100, 100 + count)]
        connection.execute(insert(scores), [row | {"trainee_id": each} for each in people])

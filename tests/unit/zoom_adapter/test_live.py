"""The live board over the inbox: read once, then only what is new."""

from datetime import timedelta

import pytest

from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from sandbox.zoom.training_day import TrainingDay
from tests.statements import listening
from tests.training_day import add_session
from tests.zoom_day import CLOSES, MEETING, OPENS, people_of, whole_day
from tests.zoom_inbox import keep, keep_rows, rows_between
from zoom_adapter.live import FRESH, KNOWN_FOR, Boards

LUNCH = OPENS + timedelta(hours=3, minutes=15)


@pytest.fixture
def session(database: Database, published: Published, now):
    with database.write() as connection:
        starts = now.replace(hour=9, minute=0, second=0, microsecond=0, tzinfo=None)
        session_id = add_session(connection, published, now, starts=starts, zoom_meeting_id=MEETING)
        return live_sessions.show(connection, session_id)


def look(database: Database, boards: Boards, session, at):
    with database.read() as connection:
        return boards.board_of(connection, session, at)


BEGINNING = OPENS - timedelta(days=1)


def test_the_board_follows_the_day(database: Database, session) -> None:
    day, boards = whole_day(*people_of("all_day", "leaves_at_lunch", "late", "guest")), Boards()
    assert look(database, boards, session, OPENS).people == ()
    keep(database, day, BEGINNING, OPENS + timedelta(minutes=30))
    early = look(database, boards, session, OPENS + timedelta(minutes=31))
    assert len(early.here) == 3
    keep(database, day, OPENS + timedelta(minutes=30), LUNCH)
    lunch = look(database, boards, session, LUNCH)
    assert (len(lunch.here), len(lunch.those("gone")), lunch.ended_at) == (3, 1, None)
    keep(database, day, LUNCH, CLOSES + timedelta(hours=1))
    over = look(database, boards, session, CLOSES + timedelta(hours=1))
    assert over.here == []
    assert over.ended_at is not None
    assert over.people == look(database, Boards(), session, over.at).people


def test_only_what_is_new_is_read(database: Database, session) -> None:
    day, boards = whole_day(*people_of("breakouts", "reconnects")), Boards()
    keep(database, day, BEGINNING, LUNCH)
    look(database, boards, session, LUNCH)
    with listening(database) as asked:
        look(database, boards, session, LUNCH + FRESH / 2)
        look(database, boards, session, LUNCH + FRESH)
    assert ["zoom_inbox.id >" in each for each, _ in asked if "SELECT" in each] == [True]


def test_how_old_the_last_message_is_is_told_by_its_receipt(database: Database, session) -> None:
    keep(database, whole_day(*people_of("all_day")), BEGINNING, OPENS + timedelta(hours=2))
    board = look(database, Boards(), session, OPENS + timedelta(hours=3))
    assert board.last_event_at is not None
    assert board.quiet_for == board.at - board.last_event_at


def test_somebody_known_later_is_matched_on_the_board_within_seconds(database: Database, session, now) -> None:
    boards = Boards()
    keep(database, whole_day(*people_of("all_day")), BEGINNING, LUNCH)
    assert [each.trainee_id for each in look(database, boards, session, LUNCH).here] == [None]
    with database.write() as connection:
        known = people.find_or_add(
            connection, "https://lms.example.org", "user-9", name="Nine", email="all_day@example.org", now=now
        )
    assert [each.trainee_id for each in look(database, boards, session, LUNCH + KNOWN_FOR).here] == [known]


def test_another_meeting_and_another_day_are_not_on_the_board(database: Database, session) -> None:
    keep(database, whole_day(*people_of("all_day", meeting="999"), meeting="999"), BEGINNING, LUNCH)
    assert look(database, Boards(), session, LUNCH).people == ()
    earlier = TrainingDay(MEETING, OPENS - timedelta(days=7), CLOSES - timedelta(days=7), people_of("all_day"))
    keep(database, earlier, BEGINNING - timedelta(days=9), LUNCH)
    assert look(database, Boards(), session, LUNCH).people == ()


def test_a_row_that_becomes_visible_late_is_still_read(database: Database, session) -> None:
    """On PostgreSQL two writers may commit in another order than their ids."""
    rows, boards = rows_between(whole_day(*people_of("all_day", "guest")), BEGINNING, LUNCH), Boards()
    numbered = [{**row, "id": number} for number, row in enumerate(rows, 1)]
    late = [row for row in numbered if "guest" in row["body"].decode() and "joined" in row["event"]]
    keep_rows(database, [row for row in numbered if row not in late])
    assert len(look(database, boards, session, LUNCH).here) == 1
    keep_rows(database, late)
    assert len(look(database, boards, session, LUNCH + FRESH).here) == 2

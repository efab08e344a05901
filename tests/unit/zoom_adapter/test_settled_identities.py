"""What a person has earned stays theirs, whatever becomes of addresses and accounts afterwards."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from lti_tool import people
from lti_tool.attendance import live_sessions, matching, person_joins, preview, queries, reviews
from lti_tool.credit import claims
from lti_tool.db import upsert
from lti_tool.errors import Conflict
from lti_tool.grades.outcomes import follow_attendance, separate
from lti_tool.tables.courses import enrolments
from lti_tool.tables.gates import completions
from lti_tool.tables.people import trainee_addresses
from lti_tool.tables.platforms import registrations
from lti_tool.tables.presence import settled_identities
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import registrants
from lti_tool.worker import build_worker
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.training_day import FIVE, MEETING, NINE, add_licence, add_place, add_platform, add_session, enrol
from zoom_adapter import reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import settle_presence

ISSUER = "https://lms.example.org"
ADA, BO = "ada@example.org", "bo@example.org"
WEEK = timedelta(days=7)


class Classroom:
    """A session with Ada and Bo in it, a course with a grade column, and the tool's own worker."""

    def __init__(self, context, published, clock):
        self.database, self.clock, self.worker = context.database, clock, build_worker(context)
        clock.at = NINE - WEEK
        with self.database.write() as connection:
            self.session_id = add_session(connection, published, clock())
            self.platform = add_platform(connection, clock())
            add_place(connection, self.platform, clock())
        self.day = TrainingDay(
            MEETING, NINE, FIVE, (Attendee("Ada", ADA, "", "all_day"), Attendee("Bo", BO, "", "all_day"))
        )

    def launch(self, sub, email, issuer=ISSUER):
        """A launch of this account; enrolled in the course, with a licence, once it is new."""
        with self.database.write() as connection:
            is_new = not people.of_identities(connection, issuer, [sub])
            trainee_id = people.find_or_add(connection, issuer, sub, name=sub, email=email, now=self.clock())
            if is_new:
                enrol(connection, self.platform, trainee_id, self.clock())
                add_licence(connection, trainee_id, self.clock(), type="psychologist")
        return trainee_id

    def list_in_roster(self, sub, email):
        with self.database.write() as connection:
            known = people.add_missing(connection, ISSUER, {sub: people.profile(sub, email)}, self.clock())
        return known[sub].id

    def deliver(self, events):
        inbox = Inbox(self.database)
        for event in events:
            inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, self.clock()))
        inbox.close()
        self.work()

    def hold(self):
        self.clock.at = FIVE + timedelta(minutes=5)
        self.deliver(self.day.events())

    def work(self):
        for _ in range(3):
            self.worker.run_once()
            self.clock.advance(seconds=20)

    def settle_again(self):
        """As a late delivery about anyone, a replay or a reconciliation does."""
        with self.database.write() as connection:
            live_sessions.request_settlement(connection, self.session_id, self.clock())
        self.work()

    def report(self):
        for _ in range(2):
            self.clock.advance(hours=2)
            with self.database.write() as connection:
                rows = self.day.report_rows()
                reports.keep(connection, self.session_id, self.day.uuid, "report", rows, self.clock())
        self.settle_again()

    def earned(self, trainee_id):
        """Minutes, whether a completion is in force, credits, and the desired score."""
        with self.database.read() as connection:
            day = queries.of_trainee_in(connection, trainee_id, self.session_id)
            mine = (completions.c.trainee_id == trainee_id) & completions.c.ended_at.is_(None)
            return (
                day.seconds_present // 60 if day else None,
                connection.scalar(select(completions.c.id).where(mine)) is not None,
                len(claims.awards_in_force(connection, trainee_id, "F1")),
                connection.scalar(select(scores.c.desired_given).where(scores.c.trainee_id == trainee_id)),
            )

    def flags(self, trainee_id):
        with self.database.read() as connection:
            day = queries.of_trainee_in(connection, trainee_id, self.session_id)
        return [] if day is None else list(day.flags)

    def unmatched(self):
        with self.database.read() as connection:
            return [day.email for day in queries.unmatched(connection)]

    def told(self, name):
        """What Zoom says of this person when they leave."""
        left = (each for each in self.day.events() if each["event"] == "meeting.participant_left")
        return next(
            each["payload"]["object"]["participant"]
            for each in left
            if each["payload"]["object"]["participant"]["user_name"] == name
        )

    def bind(self, name, **said):
        """A late delivery about this person's connection."""
        left = next(each for each in self.day.events() if each["event"] == "meeting.participant_left")
        about = {
            **left["payload"]["object"],
            "participant": {**self.told(name), "date_time": "2026-11-10T20:00:00Z", **said},
        }
        payload = {**left["payload"], "object": about}
        return {**left, "event": "meeting.participant_bind", "payload": payload}


ALL = (390, True, 1, 100.0)
NOTHING = (None, False, 0, None)


@pytest.fixture
def room(context, published, clock):
    return Classroom(context, published, clock)


@pytest.fixture
def ada(room):
    """Ada completed the module."""
    trainee_id = room.launch("ada", ADA)
    room.hold()
    assert room.earned(trainee_id)[:2] == (390, True)
    return trainee_id


def test_a_launch_with_another_address_after_class_takes_nothing_away(room, ada):
    before = room.earned(ada)
    room.clock.advance(days=1)
    room.launch("ada", "ada.new@example.org")
    room.launch("bo", BO)  # Bo is matched late: the session is settled again
    room.settle_again()
    assert room.earned(ada) == before
    assert room.flags(ada) == []


@pytest.mark.parametrize("by", ["launch", "roster", "other platform"])
def test_a_second_account_with_the_same_address_after_class_takes_nothing_and_gets_nothing(room, ada, by):
    before = room.earned(ada)
    room.clock.advance(days=1)
    if by == "roster":
        second = room.list_in_roster("ada-2", ADA)
    else:
        second = room.launch("ada-2", ADA, ISSUER if by == "launch" else "https://other.example.org")
    room.settle_again()
    assert (room.earned(ada), room.earned(second)) == (before, NOTHING)


@pytest.mark.parametrize("again", ["settlement", "report"])
def test_years_later_when_the_address_has_changed_hands_the_day_is_still_hers(room, ada, again):
    before = room.earned(ada)
    room.clock.advance(days=1)
    room.launch("ada", "ada.new@example.org")
    newcomer = room.launch("newcomer", ADA)
    room.clock.advance(days=700)
    room.report() if again == "report" else room.settle_again()
    assert room.earned(ada)[:2] == before[:2]
    assert room.earned(ada)[3] == before[3]
    assert room.earned(newcomer) == NOTHING


def test_an_address_means_whoever_had_it_at_the_time_even_if_nothing_was_settled_yet(room):
    first = room.launch("ada", ADA)
    room.clock.at = FIVE + timedelta(minutes=1)
    room.launch("ada", "ada.new@example.org")
    newcomer = room.launch("newcomer", ADA)
    room.hold()
    assert room.earned(first)[:2] == (390, True)
    assert room.earned(newcomer) == NOTHING


def test_an_address_that_another_gave_up_before_class_gives_a_later_owner_nothing(room):
    former = room.launch("ada", ADA)
    room.clock.advance(days=1)
    room.launch("ada", "ada.new@example.org")
    room.hold()
    later = room.launch("newcomer", ADA)
    room.settle_again()
    assert (room.earned(former), room.earned(later)) == (NOTHING, NOTHING)
    assert ADA in room.unmatched()


def test_the_first_owner_who_launches_after_class_is_matched_late(room):
    room.hold()
    assert room.unmatched() == [ADA, BO]
    room.clock.advance(days=1)
    late = room.launch("bo", BO)
    room.work()
    assert room.earned(late)[:2] == (390, True)
    room.launch("bo-2", BO)
    room.settle_again()
    assert room.earned(late)[:2] == (390, True)


def test_two_people_with_one_address_at_the_time_are_matched_to_neither(room):
    one, two = room.launch("one", ADA), room.launch("two", ADA)
    room.hold()
    assert (room.earned(one), room.earned(two)) == (NOTHING, NOTHING)
    assert ADA in room.unmatched()


def test_what_names_another_trainee_later_changes_nothing_and_is_put_before_staff(room, ada):
    before = room.earned(ada)
    other = room.launch("other", "other@example.org")
    with room.database.write() as connection:
        place = {"meeting_id": MEETING, "registrant_id": "rg-other", "trainee_id": other, "matched_by": "gate"}
        connection.execute(registrants.insert().values(**place, recorded_at=room.clock()))
    room.deliver([room.bind("Ada", registrant_id="rg-other")])
    room.settle_again()
    assert room.earned(ada) == before
    assert "identity_differs" in room.flags(ada)
    with room.database.read() as connection:
        assert f"trainee:{ada}" in [row.person_key for row in reviews.due(connection)]


def test_a_link_of_staff_decides_otherwise_and_its_undoing_restores(room):
    room.hold()
    ada, other = room.launch("ada", ADA), room.launch("other", "other@example.org")
    room.work()
    before = room.earned(ada)
    room.launch("ada", "ada.new@example.org")
    with room.database.write() as connection:
        given = {"kind": "email", "value": ADA, "meeting_id": "", "trainee_id": other, "reason": "She rang."}
        made = matching.link(connection, **given, actor="cli", now=room.clock())
    room.work()
    assert room.earned(other)[:2] == (390, True)
    assert room.earned(ada) == (0, True, 1, 0.0)  # the completion stays while credit rests on it: staff void that
    assert "identity_differs" not in room.flags(ada)
    with room.database.write() as connection:
        matching.undo(connection, made, reason="It was Ada.", actor="cli", now=room.clock())
    room.work()
    assert room.earned(ada)[:2] == before[:2]
    assert room.earned(other)[0] == 0


def test_evidence_that_vanishes_without_a_decision_of_staff_lowers_nothing(room, ada):
    """Nothing known makes this happen; if it does, the score and the completion stay until staff decide."""
    before = room.earned(ada)
    with room.database.write() as connection:
        connection.execute(settled_identities.delete())
        connection.execute(trainee_addresses.delete())
    room.settle_again()
    assert room.earned(ada) == (0, *before[1:])
    assert {"evidence_withdrawn", "identity_differs"} <= set(room.flags(ada))


def test_connections_that_zoom_binds_after_they_were_settled_for_two_people_stay_with_both(room, ada):
    bo = room.launch("bo", BO)
    room.work()
    assert room.earned(bo)[:2] == (390, True)
    room.deliver([room.bind("Ada", bind_participant_uuid=room.told("Bo")["participant_uuid"])])
    room.settle_again()
    assert (room.earned(ada)[:2], room.earned(bo)[:2]) == ((390, True), (390, True))


@pytest.mark.parametrize("act", ["join", "undo"])
def test_a_settlement_that_read_its_evidence_before_a_join_or_its_undoing_writes_nothing(room, ada, act):
    before = room.earned(ada)
    other = room.launch("ada-2", ADA, "https://other.example.org")
    given = {"reason": "One person.", "actor": "cli", "now": room.clock()}

    def join(connection):
        return person_joins.join(connection, kept_id=other, joined_id=ada, **given)

    if act == "undo":
        with room.database.write() as connection:
            made = join(connection)
        room.work()

    def clock():
        """Is asked once the evidence is read and nothing is written yet."""
        with room.database.write() as connection:
            join(connection) if act == "join" else person_joins.undo(connection, made, **given)
        return room.clock()

    follow = partial(follow_attendance, now=room.clock())
    with pytest.raises(Conflict, match="identities_changed"):
        settle_presence(room.database, room.session_id, follow, clock)
    room.work()
    assert room.earned(other if act == "join" else ada) == before


@pytest.mark.parametrize("kept", ["ada", "bo"])
def test_a_join_of_two_people_of_one_course_lowers_no_score_and_its_undoing_none_either(room, ada, kept):
    """Both were there all day, on two devices."""
    bo = room.launch("bo", BO)
    room.work()
    before = [room.earned(each) for each in (ada, bo)]
    assert before == [ALL, ALL]
    pair = {"kept_id": ada, "joined_id": bo} if kept == "ada" else {"kept_id": bo, "joined_id": ada}
    given = {"reason": "One person.", "actor": "cli", "now": room.clock()}
    with room.database.write() as connection:
        made = person_joins.join(connection, **pair, **given)
    room.work()
    room.report()
    assert [room.earned(each)[3] for each in (ada, bo)] == [100.0, 100.0]
    assert room.earned(pair["kept_id"])[:2] == (390, True)
    with room.database.write() as connection:
        person_joins.undo(connection, made, **given)
    room.work()
    assert [room.earned(each) for each in (ada, bo)] == before


def joined_in_class(room):
    """Ada and Bo, who were one person while the class was held with both in it, and are two again."""
    ada, bo = room.launch("ada", ADA), room.launch("bo", BO)
    given = {"reason": "One person.", "actor": "cli"}
    with room.database.write() as connection:
        made = person_joins.join(connection, kept_id=ada, joined_id=bo, **given, now=room.clock())
    room.hold()
    with room.database.write() as connection:
        separate(connection, made, **given, now=room.clock())
    room.work()
    return ada, bo


@pytest.mark.parametrize("kind", ["email", "connection"])
def test_a_day_taught_while_joined_is_reviewed_after_the_separation_and_moved_by_a_link(room, kind):
    ada, bo = joined_in_class(room)
    assert (room.earned(ada)[:2], room.earned(bo)[0]) == ((390, True), None)
    with room.database.read() as connection:
        (due,) = reviews.due(connection)
        day = matching.unmatched_person(connection, due.id).day
        claims = matching.claims_of(connection, day)
    assert day.trainee_id == ada
    assert "taught_while_joined" in day.flags
    wanted = {"email": BO, "connection": room.told("Bo")["participant_uuid"]}[kind]
    (claim,) = [each for each in claims if (each.kind, each.value) == (kind, wanted)]
    with room.database.write() as connection:
        (effect,) = preview.of_match(connection, claim, bo)
        matching.link(connection, **claim._asdict(), trainee_id=bo, reason="Hers.", actor="cli", now=room.clock())
    assert effect.seconds_after == 390 * 60
    room.work()
    assert [room.earned(each)[:2] for each in (ada, bo)] == [(390, True), (390, True)]
    assert room.flags(bo) == []


def test_a_day_that_was_anothers_alone_goes_with_its_link(room):
    room.day = TrainingDay(MEETING, NINE, FIVE, (Attendee("Bo", BO, "", "all_day"),))
    ada, bo = joined_in_class(room)
    assert room.earned(ada)[:2] == (390, True)
    given = {"kind": "connection", "value": room.told("Bo")["participant_uuid"], "meeting_id": MEETING}
    with room.database.write() as connection:
        matching.link(connection, **given, trainee_id=bo, reason="Hers.", actor="cli", now=room.clock())
    room.work()
    assert room.earned(bo)[:2] == (390, True)
    assert (room.earned(ada)[0], room.flags(ada)) == (0, ["evidence_withdrawn"])


def test_a_kept_account_without_a_day_lifts_the_score_of_both(room, ada):
    """The column of a person with two accounts in one course shows the person's day in both rows."""
    half = room.launch("half", "half@example.org")
    assert room.earned(half)[3] is None
    with room.database.write() as connection:
        given = {"reason": "One person.", "actor": "cli", "now": room.clock()}
        person_joins.join(connection, kept_id=half, joined_id=ada, **given)
    room.work()
    room.settle_again()
    with room.database.read() as connection:
        shown = connection.execute(select(scores.c.user_id, scores.c.desired_given)).all()
    assert sorted(map(tuple, shown)) == sorted([(f"user-{ada}", 100.0), (f"user-{half}", 100.0)])


def launch_in(room, platform, context_id, sub):
    """A launch of this account in a course, as the launch endpoint records it."""
    with room.database.write() as connection:
        issuer = connection.scalar(select(registrations.c.issuer).where(registrations.c.id == platform))
        who = people.find_or_add(connection, issuer, sub, name=sub, email=f"{sub}@example.org", now=room.clock())
        key = {"registration_id": platform, "context_id": context_id, "trainee_id": who}
        given = {"user_id": sub, "role": "trainee", "last_launch_at": room.clock()}
        row = upsert(connection, enrolments).values(key | given)
        connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=given))
    return who


def shown(room, trainee_id):
    """The user ids and values of this person's desired scores."""
    query = select(scores.c.user_id, scores.c.desired_given).where(scores.c.trainee_id == trainee_id)
    with room.database.read() as connection:
        return sorted(map(tuple, connection.execute(query)))


def courses(room, trainee_id):
    query = select(enrolments.c.context_id, enrolments.c.user_id).where(enrolments.c.trainee_id == trainee_id)
    with room.database.read() as connection:
        return sorted(map(tuple, connection.execute(query)))


@pytest.fixture
def pair(room):
    """Ada was there all day, and has an account in the course. Another account has a day of its own in none."""
    ada, other = launch_in(room, room.platform, "course-1", "ada"), launch_in(room, room.platform, "course-9", "sis")
    room.hold()
    with room.database.write() as connection:
        given = {"reason": "One person.", "actor": "cli", "now": room.clock()}
        made = person_joins.join(connection, kept_id=ada, joined_id=other, **given)
    room.work()
    return ada, other, made


def separate_again(room, made):
    with room.database.write() as connection:
        separate(connection, made, reason="Two sisters.", actor="cli", now=room.clock())
    room.work()
    room.settle_again()


def test_a_course_that_an_account_entered_during_a_join_goes_back_with_it(room, pair):
    ada, other, made = pair
    with room.database.write() as connection:
        add_place(
            connection,
            room.platform,
            room.clock(),
            context_id="course-2",
            resource_link_id="unit-2",
            line_item_url="https://lms.example.org/lineitems/2",
        )
    assert launch_in(room, room.platform, "course-2", "sis") == ada
    room.work()
    assert shown(room, ada) == [("ada", 100.0), ("sis", 100.0)]
    separate_again(room, made)
    assert courses(room, ada) == [("course-1", "ada")]
    assert courses(room, other) == [("course-2", "sis"), ("course-9", "sis")]
    assert shown(room, ada) == [("ada", 100.0)]
    assert shown(room, other) in ([], [("sis", 0.0)])  # zero, if the 100 was sent meanwhile


def test_in_a_course_of_both_each_has_their_own_user_id_after_a_join(room, pair):
    """The joined account launches in a course of the kept one, and the other way round."""
    ada, other, made = pair
    launch_in(room, room.platform, "course-1", "sis")
    launch_in(room, room.platform, "course-9", "ada")
    room.work()
    separate_again(room, made)
    assert courses(room, ada) == [("course-1", "ada"), ("course-9", "ada")]
    assert courses(room, other) == [("course-1", "sis"), ("course-9", "sis")]
    assert shown(room, ada) == [("ada", 100.0)]
    assert shown(room, other) in ([], [("sis", 0.0)])

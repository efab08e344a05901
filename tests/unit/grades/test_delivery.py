"""Delivery: at least once, newest wins, one score in flight per person and line item, whatever the platform does."""

import threading
from datetime import datetime, timedelta
from time import sleep

import pytest
from sqlalchemy import insert, select, update

from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused
from lti_tool.grades.ags import Verdict
from lti_tool.grades.delivery import MOST_ATTEMPTS, MOST_TIMESTAMPS, SENDERS, Deliverer, claim_due, record
from lti_tool.http import CONNECT_SECONDS, READ_SECONDS, WHOLE_ANSWER_SECONDS
from lti_tool.lti.platform_api import LONGEST_CALL, Answer
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from tests.training_day import add_place, add_platform, add_trainee

LINE_ITEM = "https://lms.example.org/lineitems/1"
EXISTS = '{"timestamp":["Score already exists for the provided timestamp"]}'
OLDER = '{"timestamp":["Score timestamp can only be updated to a later point in time"]}'


class Gradebook:
    """A platform with Open edX's rules for timestamps, which can be told to fail."""

    def __init__(self, seconds=0.0, barrier=None):
        """`seconds`: how long a request takes; `barrier`: where requests wait for each other."""
        self.held, self.posts, self.trouble, self.seconds, self.barrier = {}, [], [], seconds, barrier
        self._lock, self._inside, self.overlaps = threading.Lock(), set(), 0

    def post_score(self, registration_id, line_item_url, score):
        pair = (line_item_url, score["userId"])
        with self._lock:
            self.overlaps += pair in self._inside
            self._inside.add(pair)
            self.posts.append(score)
            trouble = self.trouble.pop(0) if self.trouble else None
        sleep(self.seconds)
        if self.barrier is not None:
            self.barrier.wait(60)
        with self._lock:
            self._inside.discard(pair)
            return self._answer(pair, score, trouble)

    def _answer(self, pair, score, trouble):
        if isinstance(trouble, Answer):
            return trouble
        if isinstance(trouble, Exception) and not isinstance(trouble, LostAnswer):
            raise trouble
        answer = self._keep(pair, score)
        if isinstance(trouble, LostAnswer):
            raise NoAnswer("no_answer", "No answer came.")
        return answer

    def _keep(self, pair, score):
        held = self.held.get(pair)
        at = datetime.fromisoformat(score["timestamp"])
        if held is not None and at == held[0]:
            return Answer(400, EXISTS)
        if held is not None and at < held[0]:
            return Answer(400, OLDER)
        self.held[pair] = (at, score["scoreGiven"])
        return Answer(201, "{}")


class LostAnswer(Exception):
    """The platform takes the score, and nobody hears of it."""


@pytest.fixture
def places(database, now):
    with database.write() as connection:
        registration_id = add_platform(connection, now)
        return [add_place(connection, registration_id, now, resource_link_id=f"unit-{number}") for number in range(2)]


def put(database, place_id, trainee_id, now, given=100.0, url=LINE_ITEM):
    row = {
        "placement_id": place_id,
        "trainee_id": trainee_id,
        "line_item_url": url,
        "user_id": f"user-{trainee_id}",
        "meaning": "completion",
        "desired_version": 1,
        "desired_given": given,
        "desired_maximum": 100.0,
        "desired_comment": "390 of 390 instructional minutes.",
        "desired_at": now,
        "delivered_version": 0,
        "status": "waiting",
        "attempts": 0,
        "next_attempt_at": now,
    }
    with database.write() as connection:
        return connection.execute(insert(scores).values(row).returning(scores.c.id)).scalar_one()


@pytest.fixture
def trainee_id(database, now):
    with database.write() as connection:
        return add_trainee(connection, 1, now)


@pytest.fixture
def score_id(database, places, trainee_id, now):
    return put(database, places[0], trainee_id, now)


@pytest.fixture
def gradebook():
    return Gradebook()


@pytest.fixture
def deliverer(database, gradebook, clock):
    return Deliverer(database, gradebook, clock)


def row(database, score_id):
    with database.read() as connection:
        return connection.execute(select(scores).where(scores.c.id == score_id)).one()


def desire(database, score_id, given, now):
    values = {"desired_given": given, "desired_version": scores.c.desired_version + 1, "status": "waiting"}
    with database.write() as connection:
        connection.execute(
            update(scores).where(scores.c.id == score_id).values(**values, attempts=0, next_attempt_at=now)
        )


def test_a_due_score_is_delivered_and_recorded(database, deliverer, gradebook, score_id, now):
    deliverer.deliver_all()
    after = row(database, score_id)
    assert (after.status, after.delivered_given, after.delivered_version) == ("delivered", 100.0, 1)
    assert (after.last_answer, after.lease_owner, after.last_timestamp) == ("201 accepted", None, now)
    assert [each["scoreGiven"] for each in gradebook.posts] == [100]


def test_what_is_delivered_is_not_sent_again(deliverer, gradebook, score_id, clock):
    deliverer.deliver_all()
    clock.advance(days=1)
    deliverer.deliver_all()
    assert len(gradebook.posts) == 1


def test_a_lost_answer_is_asked_again_with_the_same_timestamp_and_means_delivered(
    database, deliverer, gradebook, score_id, clock
):
    gradebook.trouble = [LostAnswer()]
    deliverer.deliver_all()
    assert row(database, score_id).status == "waiting"
    clock.advance(minutes=1)
    deliverer.deliver_all()
    assert len({each["timestamp"] for each in gradebook.posts}) == 1
    assert (row(database, score_id).status, row(database, score_id).last_answer) == ("delivered", "400 already there")


def test_a_newer_value_after_a_lost_answer_goes_out_with_a_newer_timestamp(
    database, deliverer, gradebook, score_id, clock
):
    gradebook.trouble = [LostAnswer()]
    deliverer.deliver_all()
    desire(database, score_id, 50.0, clock())
    deliverer.deliver_all()
    first, second = (each["timestamp"] for each in gradebook.posts)
    assert first < second
    assert [given for _, given in gradebook.held.values()] == [50]


def test_a_worker_killed_while_sending_leaves_a_lease_that_runs_out(database, deliverer, gradebook, score_id, clock):
    assert len(claim_due(database, clock(), 8)) == 1
    deliverer.deliver_all()
    assert gradebook.posts == []
    clock.at += LONGEST_CALL + timedelta(seconds=1)
    deliverer.deliver_all()
    assert row(database, score_id).status == "delivered"


def test_who_lost_the_lease_records_nothing(database, score_id, clock):
    (slow,) = claim_due(database, clock(), 8)
    clock.at += LONGEST_CALL + timedelta(seconds=1)
    (fast,) = claim_due(database, clock(), 8)
    with database.write() as connection:
        assert record(connection, fast, Verdict("delivered", "201 accepted"), clock())
        assert not record(connection, slow, Verdict("parked", "404"), clock())
    assert row(database, score_id).status == "delivered"


def test_an_older_timestamp_is_replaced_by_a_new_one(database, deliverer, gradebook, trainee_id, score_id, clock):
    gradebook.held[(LINE_ITEM, f"user-{trainee_id}")] = (clock() + timedelta(seconds=2), 1)
    deliverer.deliver_all()
    assert row(database, score_id).status == "waiting"
    clock.advance(seconds=5)
    deliverer.deliver_all()
    assert row(database, score_id).status == "delivered"
    assert len({each["timestamp"] for each in gradebook.posts}) == 2


def test_a_platform_that_always_holds_something_newer_is_left_to_staff(
    database, deliverer, gradebook, trainee_id, score_id, clock
):
    gradebook.held[(LINE_ITEM, f"user-{trainee_id}")] = (clock() + timedelta(days=1), 1)
    for _ in range(MOST_TIMESTAMPS + 3):
        deliverer.deliver_all()
        clock.advance(seconds=2)
    assert (row(database, score_id).status, len(gradebook.posts)) == ("parked", MOST_TIMESTAMPS)


def test_an_older_timestamp_after_a_long_outage_is_tried_with_a_new_one_all_the_same(
    database, deliverer, gradebook, score_id, clock
):
    gradebook.trouble = [Answer(503, "")] * (MOST_TIMESTAMPS + 2) + [Answer(400, OLDER)]
    for _ in range(MOST_TIMESTAMPS + 4):
        deliverer.deliver_all()
        clock.advance(hours=1)
    assert (row(database, score_id).status, len(gradebook.posts)) == ("delivered", MOST_TIMESTAMPS + 4)


def test_a_fault_of_our_own_backs_off_and_is_left_to_staff_in_the_end(database, deliverer, gradebook, score_id, clock):
    gradebook.trouble = [ZeroDivisionError("Someone's name")] * (MOST_ATTEMPTS + 5)
    deliverer.deliver_all()
    assert row(database, score_id).next_attempt_at - clock() == timedelta(seconds=2)
    for _ in range(MOST_ATTEMPTS + 5):
        clock.advance(hours=1)
        deliverer.deliver_all()
    assert (row(database, score_id).status, row(database, score_id).last_answer) == ("parked", "ZeroDivisionError")
    assert len(gradebook.posts) == MOST_ATTEMPTS


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (Answer(404, "gone"), "404 gone"),
        (Answer(400, "bad"), "400 bad"),
        (AddressRefused("line_item_foreign", "Not theirs."), "line_item_foreign"),
        (PlatformRefused("redirect_refused", "Elsewhere.", answered=302), "302 redirect_refused"),
    ],
)
def test_what_will_never_work_is_parked_with_the_reason(database, deliverer, gradebook, score_id, clock, trouble, says):
    gradebook.trouble = [trouble]
    deliverer.deliver_all()
    clock.advance(days=1)
    deliverer.deliver_all()
    assert (row(database, score_id).status, row(database, score_id).last_answer) == ("parked", says)
    assert len(gradebook.posts) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(500, ""),
        Answer(503, ""),
        Answer(429, ""),
        Answer(403, ""),
        NoAnswer("no_answer", "Nothing."),
        PlatformRefused("token_refused", "No token.", answered=400),
    ],
)
def test_what_may_pass_is_tried_again_after_a_growing_pause(database, deliverer, gradebook, score_id, clock, trouble):
    gradebook.trouble = [trouble] * 3
    pauses = []
    for _ in range(3):
        deliverer.deliver_all()
        pauses.append((row(database, score_id).next_attempt_at - clock()).total_seconds())
        clock.at = row(database, score_id).next_attempt_at
    assert pauses == [2, 4, 8]
    deliverer.deliver_all()
    assert row(database, score_id).status == "delivered"


def test_a_platform_that_stays_away_for_days_is_left_to_staff(database, deliverer, gradebook, score_id, clock):
    gradebook.trouble = [Answer(503, "")] * (MOST_ATTEMPTS + 5)
    started = clock()
    while row(database, score_id).status == "waiting":
        deliverer.deliver_all()
        clock.at = max(clock.at, row(database, score_id).next_attempt_at)
    assert row(database, score_id).status == "parked"
    assert clock() - started > timedelta(days=1)


def test_a_value_desired_while_one_is_under_way_is_sent_next(database, gradebook, score_id, clock):
    (due,) = claim_due(database, clock(), 8)
    desire(database, score_id, 50.0, clock())
    with database.write() as connection:
        record(connection, due, Verdict("delivered", "201 accepted"), clock())
    after = row(database, score_id)
    assert (after.status, after.delivered_version, after.desired_version) == ("waiting", 1, 2)
    clock.advance(seconds=2)
    (newer,) = claim_due(database, clock(), 8)
    assert (newer.value.given, newer.timestamp > due.timestamp) == (50.0, True)


def test_two_units_with_one_line_item_are_sent_one_after_the_other(database, places, trainee_id, now, clock):
    for place_id in places:
        put(database, place_id, trainee_id, now)
    (first,) = claim_due(database, clock(), 8)
    assert claim_due(database, clock(), 8) == []
    with database.write() as connection:
        record(connection, first, Verdict("delivered", "201 accepted"), clock())
    (second,) = claim_due(database, clock(), 8)
    assert (second.id != first.id, second.timestamp > first.timestamp) == (True, True)


def test_a_disabled_registration_is_sent_nothing(database, deliverer, gradebook, score_id):
    with database.write() as connection:
        connection.execute(update(registrations).values(status="disabled"))
    deliverer.deliver_all()
    assert gradebook.posts == []


def test_a_score_that_no_platform_could_take_is_parked_unsent(database, deliverer, gradebook, score_id, now):
    with database.write() as connection:
        connection.execute(update(scores).values(desired_given=-1.0))
    deliverer.deliver_all()
    assert (row(database, score_id).status, row(database, score_id).last_answer) == ("parked", "score_wrong")
    assert gradebook.posts == []


def many(database, places, now, count):
    with database.write() as connection:
        people = [add_trainee(connection, 100 + number, now) for number in range(count)]
    return [put(database, places[0], each, now) for each in people]


def test_scores_are_sent_side_by_side(database, places, now, clock):
    """Each request waits at the platform until as many are there as one platform gets senders."""
    many(database, places, now, 5 * (SENDERS // 2))
    gradebook = Gradebook(barrier=threading.Barrier(SENDERS // 2))
    Deliverer(database, gradebook, clock).deliver_all()
    assert len(gradebook.held) == 5 * (SENDERS // 2)


def test_two_workers_send_every_score_once_and_never_two_of_one_person_at_a_time(database, places, now, clock):
    ids = many(database, places, now, 40)
    gradebook = Gradebook(seconds=0.005)
    workers = [Deliverer(database, gradebook, clock) for _ in range(2)]
    threads = [threading.Thread(target=each.deliver_all) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(gradebook.posts), gradebook.overlaps) == (40, 0)
    assert {row(database, each).status for each in ids} == {"delivered"}


def test_a_platform_that_hangs_holds_up_neither_the_caller_nor_other_scores(database, places, now, clock):
    many(database, places, now, 3)
    gradebook, go_on = Gradebook(), threading.Event()

    class Hanging:
        def post_score(self, registration_id, line_item_url, score):
            go_on.wait(60)
            return gradebook.post_score(registration_id, line_item_url, score)

    deliverer = Deliverer(database, Hanging(), clock)
    assert deliverer.deliver_due()
    held_before = dict(gradebook.held)
    go_on.set()
    deliverer.deliver_all()
    assert (len(held_before), len(gradebook.held)) == (0, 3)


def test_a_platform_that_hangs_leaves_half_of_the_senders_to_the_others(database, places, now, clock):
    many(database, places, now, 20)
    with database.write() as connection:
        healthy = add_platform(connection, now, "moodle")
        place_id = add_place(connection, healthy, now)
        trainee_id = add_trainee(connection, 1, now)
    put(database, place_id, trainee_id, now, url="https://moodle.example.org/lineitems/1")
    hanging, arrived = threading.Event(), threading.Event()

    class Doors:
        def post_score(self, registration_id, line_item_url, score):
            if registration_id == healthy:
                arrived.set()
            else:
                hanging.wait(60)
            return Answer(201, "")

    deliverer = Deliverer(database, Doors(), clock, senders=4)
    deliverer.deliver_due()
    reached = arrived.wait(60)
    hanging.set()
    deliverer.deliver_all()
    assert reached


def test_a_score_is_leased_for_longer_than_it_can_be_under_way():
    one_request = CONNECT_SECONDS + READ_SECONDS + WHOLE_ANSWER_SECONDS
    assert timedelta(seconds=4 * one_request) <= LONGEST_CALL

"""The ledger against platforms that lose answers, fall over and are graded by hand, with two workers and a clock that
jumps back: whatever happens, in the end each platform shows the last desired value or what a person chose to keep, no
timestamp is used for two values, and nothing newer or foreign is overwritten."""

import random
from collections import defaultdict
from datetime import timedelta

import pytest
from sqlalchemy import update

from lti_tool.errors import Conflict
from lti_tool.grades import reconcile
from lti_tool.grades import scores as ledger
from lti_tool.grades.delivery import Sender, claim_due
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.scores import scores
from tests.clock import TestClock
from tests.profiles import portion
from tests.training_day import MODULE, stay

STEPS = 300
TROUBLES = ("lost", "lost", "vanished", 500, 503, 429, 403)
# What no attendance gives, so a teacher's grade is never taken for ours.
BY_HAND = (0.1234, 0.5678, 0.9012, 0.3456)


class World:
    """One course, two workers, and a chance that decides what happens next."""

    def __init__(self, course, seed):
        self.course, self.platform, self.chance = (
            course,
            course.platform,
            random.Random(f"{course.platform.kind} {seed}"),
        )
        self.clock: TestClock = course.clock
        _, self.url = course.add_given_unit()
        self.sender = Sender(course.database, course.context.platform_api, self.clock)
        self.claimed = []
        self.desired = defaultdict(list)  # user → every (value, comment) that was desired, in order
        self.overruled = set()  # teachers' grades that staff chose to replace
        self.sent = {}  # (user, timestamp) → what went out with it
        self.behind = timedelta()
        self.platform.on_take = self.take
        for person in course.people:
            course.settle(stay(0, 60), person=person)
        self.note_desired()

    def take(self, url, user, score, before):
        """The invariants, at the moment when the platform takes a score."""
        what = (score["scoreGiven"], score["comment"])
        assert self.sent.setdefault((user, score["timestamp"]), what) == what, "one timestamp, two values"
        if before is not None and before.by != "tool":
            assert before.share in self.overruled, "a grade that a person entered was overwritten"
        later = self.desired[user][self.last_taken(user) :]
        assert what in later, "something older overwrote something newer"

    def last_taken(self, user):
        """The index of the desired value that the platform took last, as late as it may be."""
        index = 0
        for _, who, score, _ in self.platform.taken[:-1]:
            if who == user:
                index = self.desired[user].index((score["scoreGiven"], score["comment"]), index)
        return index

    def rows(self):
        return self.course.scores()

    # What may happen.

    def attend(self):
        """The evidence about somebody is corrected, and their score follows."""
        person = self.chance.choice(self.course.people)
        minutes = 60 * self.chance.randrange(30, 300)
        with self.course.database.write() as connection:
            theirs = update(attendances).where(attendances.c.trainee_id == person)
            connection.execute(theirs.values(seconds_present=minutes))
            ledger.desire(connection, [person], MODULE, self.clock())
        self.note_desired()

    def note_desired(self):
        for row in self.rows():
            now = (row.desired_given, row.desired_comment)
            known = self.desired[row.user_id]
            if not known or known[-1] != now:
                known.append(now)

    def pass_time(self):
        span = timedelta(seconds=self.chance.choice((0.3, 1, 7, 60, 400, 4000, 90_000)))
        self.clock.at += span
        self.platform.now += span

    def jump_back(self):
        """Our clock alone goes back; it is put right again later."""
        if not self.behind:
            self.behind = timedelta(seconds=self.chance.choice((2, 90, 1800)))
            self.clock.at -= self.behind

    def put_clock_right(self):
        self.clock.at, self.behind = self.clock.at + self.behind, timedelta()

    def disturb(self):
        self.platform.trouble = [self.chance.choice((*TROUBLES, None)) for _ in range(self.chance.randrange(1, 4))]

    def fall_over(self):
        self.platform.down_until = self.platform.now + timedelta(hours=1)

    def grade_by_hand(self):
        users = [user for (_, user), _ in self.platform.kept.items()]
        if users and self.platform.kind != "openedx":
            self.platform.enter(self.url, self.chance.choice(users), self.chance.choice(BY_HAND))

    def claim(self):
        self.claimed += claim_due(self.course.database, self.clock(), self.chance.randrange(1, 3))

    def send(self):
        """A worker sends what it claimed, maybe long ago."""
        if self.claimed:
            self.sender.deliver(self.claimed.pop(self.chance.randrange(len(self.claimed))))

    def die(self):
        """A worker dies with what it had in hand."""
        self.claimed = []

    def work(self):
        for due in claim_due(self.course.database, self.clock(), 8):
            self.sender.deliver(due)

    def look(self):
        for each in reconcile.claim(self.course.database, self.clock(), 8):
            self.course.reconciler.read(each)

    def decide(self):
        regraded = [row for row in self.rows() if row.seen == "differs" and row.status != "waiting"]
        if regraded:
            self.decide_on(self.chance.choice(regraded), self.chance.choice(("send", "send", "send", "keep")))

    def decide_on(self, row, verdict):
        if verdict == "keep":
            self.course.write(ledger.keep_theirs, row.id, actor="staff:1")
            return
        self.overruled.add(round(row.seen_given / (row.delivered_maximum or row.desired_maximum), 6))
        self.course.write(ledger.send_ours, row.id, actor="staff:1")

    def run(self, steps):
        happenings = (
            *(self.attend,) * 6, *(self.pass_time,) * 12, *(self.work,) * 10, *(self.disturb,) * 4, *(self.claim,) * 4,
            *(self.send,) * 5, self.die, self.jump_back, *(self.put_clock_right,) * 2, self.fall_over,
            *(self.grade_by_hand,) * 2, *(self.look,) * 3, *(self.decide,) * 3,
        )  # fmt: skip
        for _ in range(steps):
            self.chance.choice(happenings)()

    def calm_down(self):
        """Nothing happens any more, but for people who decide and try again."""
        self.put_clock_right()
        self.platform.trouble, self.platform.down_until, self.claimed = [], None, []
        for round_ in range(14):
            self.clock.at += timedelta(hours=2)
            self.platform.now = self.clock.at
            self.work()
            self.look()
            with self.course.database.write() as connection:
                ledger.try_parked_again(connection, self.clock())
            if round_ < 8 and self.chance.random() < 0.5:
                self.decide()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("seed", range(portion(6)))
@pytest.mark.parametrize("kind", ["openedx", "moodle", "generic", "silent"])
def test_the_ledger_survives(course_on, kind, seed):
    world = World(course_on(kind, people=2), seed)
    world.run(STEPS)
    world.calm_down()
    for row in world.rows():
        share = world.platform.share(world.url, row.user_id)
        grade = world.platform.grades.get((world.url, row.user_id))
        if row.status == "kept" or row.seen == "differs":
            assert grade.by == "teacher", row
        else:
            assert row.status == "delivered", row
            assert share == pytest.approx(row.desired_given / row.desired_maximum, abs=0.0001), row


def test_a_model_that_ignores_teachers_would_be_noticed(course_on):
    """The invariant bites: a score sent without a look is found out."""
    world = World(course_on("generic"), 1)
    world.attend()
    world.work()
    world.platform.enter(world.url, world.rows()[0].user_id, 0.1234)
    world.pass_time()
    with world.course.database.write() as connection:
        connection.execute(update(scores).values(delivered_version=0, sent_maximum=None))
    world.attend()
    world.clock.at += timedelta(seconds=5)
    with pytest.raises(AssertionError, match="a person entered"):
        world.sender.send(claim_due(world.course.database, world.clock(), 1)[0])


def test_a_decision_on_nothing_is_refused(course_on):
    world = World(course_on("generic"), 1)
    world.attend()
    with pytest.raises(Conflict) as refused:
        world.course.write(ledger.keep_theirs, world.rows()[0].id, actor="staff:1")
    assert refused.value.code == "regrade_missing"

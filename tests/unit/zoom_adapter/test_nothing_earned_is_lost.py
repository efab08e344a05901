"""Whatever launches, rosters, address changes, second accounts, reports and replays come in any order: no completion,
award or score of anyone falls without a decision of staff.

Many independent groups, each of two people in class and three accounts, go through their own sequence in one session,
so a sequence costs little.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from lti_tool import people
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables.credit import awards
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import registrants
from sandbox.zoom.behaviours import Visit
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.profiles import portion
from tests.training_day import FIVE, NINE, add_licence, add_place, add_platform, add_session, enrol
from zoom_adapter import presence, reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import match_late, settle_presence, take_inbox

# On each database: 10,000 sequences where both are tried.
SEQUENCES, IN_ONE_SESSION, STEPS = 5_000, portion(100), 4
ISSUERS = ("https://lms.example.org", "https://other.example.org")
WHOLE = (Visit(-60, 28_860),)


class Act(NamedTuple):
    """One step of one group. `who` is an account or a person in class, `what` an address or the other person."""

    kind: str
    who: int
    what: int


GROUP = st.tuples(
    st.booleans(),  # whether the first person in class has a registration
    st.lists(
        st.builds(
            Act,
            st.sampled_from(["launch", "launch", "roster", "register", "bind", "contradict"]),
            st.integers(0, 2),
            st.integers(0, 1),
        ),
        min_size=STEPS,
        max_size=STEPS,
    ),
)
numbers = itertools.count(1)


class World:
    """One session with all its groups."""

    def __init__(self, database: Any, published: Any, clock: Any, groups: Any) -> None:
        self.database, self.clock, self.number = database, clock, next(numbers)
        clock.at = NINE - timedelta(days=self.number)
        self.meeting_id = f"853{self.number:08}"
        cast = []
        for group, (is_registered, _) in enumerate(groups):
            for who in (0, 1):
                registrant = self.registrant(group, who) if is_registered and who == 0 else ""
                cast.append(Attendee(f"{group}/{who}", self.address(group, who), registrant, "all_day", WHOLE))
        self.day = TrainingDay(self.meeting_id, NINE, FIVE, tuple(cast))
        with database.write() as connection:
            self.session_id = add_session(connection, published, clock(), zoom_meeting_id=self.meeting_id)
            self.platform = connection.scalar(select(registrations.c.id))
            if self.platform is None:
                self.platform = add_platform(connection, clock())
                add_place(connection, self.platform, clock())
            self.former = connection.scalar(select(func.max(trainees.c.id))) or 0
        self.told = {
            each["payload"]["object"]["participant"]["user_name"]: each
            for each in self.day.events()
            if each["event"] == "meeting.participant_left"
        }
        self.inbox = Inbox(database)

    def address(self, group: int, which: int) -> str:
        return f"{self.number}.{group}.{which}@example.org"

    def registrant(self, group: int, who: int) -> str:
        return f"rg-{self.number}-{group}-{who}"

    def act(self, connection: Any, group: int, act: Act) -> Iterator[dict[str, Any]]:
        """Do what platforms do; yield what Zoom tells."""
        issuer, sub = ISSUERS[act.who == 2], f"{self.number}.{group}.{act.who}"
        address, now = self.address(group, act.what), self.clock()
        if act.kind in ("launch", "roster"):
            is_new = not people.of_identities(connection, issuer, [sub])
            if act.kind == "launch":
                people.find_or_add(connection, issuer, sub, name=sub, email=address, now=now)
            else:
                people.add_missing(connection, issuer, {sub: people.profile(sub, address)}, now)
            if is_new:
                trainee_id = people.of_identities(connection, issuer, [sub])[sub].id
                enrol(connection, self.platform, trainee_id, now)
                add_licence(connection, trainee_id, now, type="psychologist")
            return
        who = act.who % 2
        if act.kind == "register":
            one = Attendee(f"{group}/{who}", address, self.registrant(group, who), "all_day", WHOLE)
            (registration,) = TrainingDay(self.meeting_id, NINE, FIVE, (one,)).registrations()
            yield registration | {"event_ts": int(now.timestamp() * 1000)}
            return
        told = copy.deepcopy(self.told[f"{group}/{who}"])
        about = told["payload"]["object"]["participant"]
        about["date_time"] = (NINE + timedelta(minutes=60 + act.what)).isoformat()
        other = self.told[f"{group}/{1 - who}"]["payload"]["object"]["participant"]
        about |= (
            {"bind_participant_uuid": other["participant_uuid"]}
            if act.kind == "bind"
            else {"registrant_id": self.registrant(group, act.what)}
        )
        yield told | {"event": "meeting.participant_bind"}

    def deliver(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self.inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, self.clock()))
        while take_inbox(self.database, self.clock()):
            pass

    def step(self, groups: Any, number: int, then: str) -> None:
        self.clock.advance(hours=3)
        with self.database.write() as connection:
            told = [
                event for group, (_, acts) in enumerate(groups) for event in self.act(connection, group, acts[number])
            ]
        self.deliver(told)
        if then == "report":
            for _ in range(2):
                self.clock.advance(hours=2)
                with self.database.write() as connection:
                    rows = self.day.report_rows()
                    reports.keep(connection, self.session_id, self.day.uuid, "report", rows, self.clock())
        elif then == "replay":
            with self.database.write() as connection:
                connection.execute(delete(registrants).where(registrants.c.meeting_id == self.meeting_id))
                ids = presence.registration_deliveries(connection)
            presence.rebuild_registrants(self.database, ids, self.clock())

    def settle(self) -> None:
        match_late(self.database, self.clock())
        follow = partial(follow_attendance, now=self.clock())
        settle_presence(self.database, self.session_id, follow, self.clock)

    def earned(self) -> Mapping[tuple[str, int], float]:
        """Everything that people have of this session, by kind and person."""
        found: dict[tuple[str, int], float] = {}
        with self.database.read() as connection:
            for kind, table, which, what in (
                ("completed", attendances, attendances.c.is_current & attendances.c.completed, attendances.c.completed),
                ("completion", completions, completions.c.ended_at.is_(None), completions.c.id > 0),
                ("award", awards, awards.c.state == "awarded", awards.c.credits),
                ("score", scores, scores.c.id > 0, scores.c.desired_given),
            ):
                query = select(table.c.trainee_id, what).where(which, table.c.trainee_id > self.former)
                for trainee_id, value in connection.execute(query):
                    found[kind, trainee_id] = float(value)
        return found


@settings(
    max_examples=portion(SEQUENCES // IN_ONE_SESSION),
    suppress_health_check=[*HealthCheck],
    # To shrink an example would play a session a hundred times over; its groups are independent of each other.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    groups=st.lists(GROUP, min_size=IN_ONE_SESSION, max_size=IN_ONE_SESSION),
    rounds=st.lists(st.sampled_from(["settle", "report", "replay"]), min_size=STEPS, max_size=STEPS),
)
def test_no_sequence_of_events_takes_away_what_was_earned(database, published, clock, groups, rounds) -> None:
    world = World(database, published, clock, groups)
    world.step(groups, 0, "settle")
    clock.at = FIVE + timedelta(minutes=5)
    world.deliver(world.day.events())
    world.settle()
    before = world.earned()
    assert before
    for number in range(1, STEPS):
        world.step(groups, number, rounds[number])
        world.settle()
        after = world.earned()
        fallen = {key: (value, after.get(key, 0.0)) for key, value in before.items() if after.get(key, 0.0) < value}
        assert fallen == {}
        before = after
    world.inbox.close()

"""A course with a simulated platform behind it, for the tests of the ledger's road."""

from functools import partial

from sqlalchemy import select, update

from lti_tool.attendance.settlement import settle
from lti_tool.context import build_context
from lti_tool.grades import line_items
from lti_tool.grades import scores as ledger
from lti_tool.grades.delivery import Deliverer
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.grades.reconcile import Reconciler
from lti_tool.tables import scores as tables
from lti_tool.tables.courses import placements
from lti_tool.tables.live_sessions import attendances
from tests.simulated_platform import DECLARATIVE_SCOPES, EVERY_SCOPE, SimulatedPlatform
from tests.training_day import (
    FIVE,
    HALF_A_DAY,
    MODULE,
    add_place,
    add_platform,
    add_session,
    add_trainee,
    enrol,
    present,
)


class GradedCourse:
    """A module in a course of one platform, its units, and enrolled people."""

    def __init__(self, database, settings, published, clock, kind="openedx", people=1):
        self.database, self.clock = database, clock
        self.profile = {"silent": "generic"}.get(kind, kind)
        self.platform = SimulatedPlatform(kind, clock())
        self.context = build_context(settings, clock, database=database, http=self.platform)
        with database.write() as connection:
            self.session_id = add_session(connection, published, clock())
            self.registration_id = add_platform(connection, clock(), self.profile)
            self.people = [add_trainee(connection, number, clock()) for number in range(1, people + 1)]
            for each in self.people:
                enrol(connection, self.registration_id, each, clock())
        api = self.context.platform_api
        self.search = LineItemSearch(database, api, clock)
        self.deliverer = Deliverer(database, api, clock)
        self.reconciler = Reconciler(database, api, clock)

    def add_unit(self, **given):
        """A unit as its launch leaves it: by default one given column, which the tool may read."""
        with self.database.write() as connection:
            values = {"line_item_url": None, "ags_scopes": DECLARATIVE_SCOPES, **given}
            registration_id = values.pop("registration_id", self.registration_id)
            return add_place(connection, registration_id, self.clock(), **values)

    def add_given_unit(self, **given):
        """A unit with the column that its launch names; (placement id, address)."""
        url = self.platform.add_item()
        return self.add_unit(line_item_url=url, **given), url

    def add_free_unit(self, **given):
        """A unit in whose course the tool may make columns."""
        url = self.platform.line_items_url
        return self.add_unit(**{"line_items_url": url, "ags_scopes": EVERY_SCOPE, **given})

    def launch(self, placement_id, **values):
        """The launch says something else now."""
        with self.database.write() as connection:
            here = update(placements).where(placements.c.id == placement_id)
            connection.execute(here.values(updated_at=self.clock(), **values))

    def connect(self):
        with self.database.write() as connection:
            return line_items.connect(connection, self.clock())

    def settle(self, *stays, person=None):
        people = [present(person or self.people[0], *stays)] if stays else []
        after = partial(follow_attendance, now=self.clock())
        settle(self.database, self.session_id, people, FIVE, self.clock(), after)

    def desire(self):
        with self.database.write() as connection:
            return ledger.desire(connection, self.people, MODULE, self.clock())

    def scores(self):
        with self.database.read() as connection:
            return ledger.rows(connection)

    def columns(self, *, every=False):
        """(placement id, meaning, address, origin) of the columns in use."""
        table = tables.line_items
        query = select(table).order_by(table.c.id)
        with self.database.read() as connection:
            rows = connection.execute(query if every else query.where(table.c.retired_at.is_(None))).all()
        return [(each.placement_id, each.meaning, each.url, each.origin) for each in rows]

    def retired(self):
        table = tables.line_items
        with self.database.read() as connection:
            return list(connection.scalars(select(table.c.retired_because).where(table.c.retired_at.is_not(None))))

    def trouble(self):
        """The codes that the searches for columns left."""
        with self.database.read() as connection:
            codes = select(tables.line_item_searches.c.code).order_by(tables.line_item_searches.c.placement_id)
            return list(connection.scalars(codes))

    def write(self, job, *about, **named):
        with self.database.write() as connection:
            return job(connection, *about, now=self.clock(), **named)


class Taught:
    """A course on a platform that took a first score, 42.3 of 100."""

    def __init__(self, course, **given):
        self.course, self.platform, self.clock = course, course.platform, course.clock
        self.place, self.url = course.add_given_unit(**given)
        course.settle(*HALF_A_DAY)
        self.deliver()

    @property
    def row(self):
        (row,) = self.course.scores()
        return row

    @property
    def user(self):
        return self.row.user_id

    def deliver(self):
        self.platform.now = self.clock()
        self.course.deliverer.deliver_all()

    def look(self, **after):
        """Read what is due when so much time has passed."""
        self.platform.now = self.clock.advance(**after)
        self.course.reconciler.read_all()

    def enter(self, share):
        self.platform.now = self.clock.advance(minutes=1)
        self.platform.enter(self.url, self.user, share)

    def attend(self, minutes):
        """The evidence is corrected, and another score is desired."""
        self.platform.now = self.clock.advance(minutes=1)
        with self.course.database.write() as connection:
            connection.execute(update(attendances).values(seconds_present=60 * minutes))
        self.course.desire()

    def decide(self, decision):
        self.course.write(decision, self.row.id, actor="staff:9")

    def states(self):
        return self.row.status, self.row.seen

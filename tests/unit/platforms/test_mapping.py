"""What the units of a course open: listed, confirmed once, chosen by staff where a unit names nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, select, update

from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict, GatehouseError, NotFound
from lti_tool.platforms import course_units
from lti_tool.platforms.course_units import Course, Unit
from lti_tool.programme.versions import Published
from lti_tool.tables.courses import course_copies, placements
from lti_tool.tables.operations import audit_log
from lti_tool.tables.scores import line_items
from tests.training_day import add_place, add_platform

STAFF = "staff:3"
LATER = datetime(2099, 1, 1, tzinfo=UTC)


def unit_of(connection: Connection, unit_id: int) -> Unit:
    return next(
        unit for course in course_units.courses(connection, LATER) for unit in course.units if unit.id == unit_id
    )


def only_course(connection: Connection) -> Course:
    (course,) = course_units.courses(connection, LATER)
    return course


def acts(connection: Connection) -> list[tuple[str, str]]:
    return [(row.actor, row.act) for row in connection.execute(select(audit_log).order_by(audit_log.c.id))]


class TestCourses:
    def test_each_course_of_each_platform_stands_by_itself(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            first, second = (add_platform(connection, now, profile) for profile in ("openedx", "moodle"))
            add_place(connection, first, now)
            add_place(connection, first, now, resource_link_id="unit-2", content="module:F2", module_id="F2")
            add_place(connection, first, now, context_id="course-2", resource_link_id="unit-3")
            add_place(connection, second, now)
            add_place(connection, second, now, resource_link_id="unit-4", context_id=None, context_title=None)
            found = course_units.courses(connection, now)
        assert sorted((each.registration_id, each.context_id or "", len(each.units)) for each in found) == [
            (first, "course-1", 2),
            (first, "course-2", 1),
            (second, "", 1),
            (second, "course-1", 1),
        ]

    def test_those_with_unconfirmed_units_come_first(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            add_place(connection, platform, now, context_title="A", confirmed_at=now, confirmed_by=STAFF)
            add_place(connection, platform, now, context_id="b", context_title="B", resource_link_id="unit-2")
            found = course_units.courses(connection, now)
        assert [(each.title, each.unconfirmed) for each in found] == [("B", 1), ("A", 0)]

    def test_a_course_is_called_by_its_latest_title(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            add_place(connection, platform, now, context_title="Spring")
            later = now + timedelta(days=1)
            add_place(connection, platform, later, resource_link_id="unit-2", context_title="Spring, moved")
            assert only_course(connection).title == "Spring, moved"

    def test_a_copy_says_what_it_was_copied_from(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            add_place(connection, platform, now, context_id="old", context_title="Autumn")
            add_place(connection, platform, now, context_id="new", context_title="Spring", resource_link_id="unit-2")
            for origin in ("old", "never-launched"):
                row = {"registration_id": platform, "context_id": "new", "origin_context_id": origin}
                connection.execute(insert(course_copies).values(**row, noticed_at=now))
            found = {each.title: each.copied_from for each in course_units.courses(connection, now)}
        assert found["Autumn"] == ()
        assert set(found["Spring"]) == {"Autumn", "never-launched"}

    def test_several_modules_behind_one_link_and_which_of_them_has_its_grade(
        self, database: Database, now: datetime
    ) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            first = add_place(connection, platform, now)
            second = add_place(connection, platform, now, content="module:F2", module_id="F2")
            alone = add_place(connection, platform, now, resource_link_id="unit-2")
            row = {"registration_id": platform, "placement_id": second, "meaning": "completion", "made_at": now}
            url = "https://lms.example.org/lineitems/1"
            connection.execute(insert(line_items).values(**row, url=url, origin="given"))
            units = {unit.id: unit for unit in only_course(connection).units}
        assert [units[each].shares_link for each in (first, second, alone)] == [True, True, False]
        assert [units[each].has_grade for each in (first, second, alone)] == [False, True, False]


class TestConfirming:
    def test_staff_confirm_a_course_once(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            first = add_place(connection, platform, now)
            second = add_place(connection, platform, now, resource_link_id="unit-2")
            ids = [first, second]
            assert course_units.confirm(connection, platform, "course-1", ids, actor=STAFF, now=now) == 2
            assert course_units.confirm(connection, platform, "course-1", ids, actor="staff:4", now=now) == 0
            course = only_course(connection)
            assert acts(connection) == [(STAFF, "units_confirmed")]
        assert course.unconfirmed == 0
        assert {(each.confirmed_at, each.confirmed_by) for each in course.units} == {(now, STAFF)}

    def test_a_unit_that_comes_to_a_confirmed_course_waits(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            first = add_place(connection, platform, now)
            course_units.confirm(connection, platform, "course-1", [first], actor=STAFF, now=now)
            add_place(connection, platform, now, content="module:F2", module_id="F2")
            assert only_course(connection).unconfirmed == 1

    def test_only_what_the_page_showed_and_only_of_that_course(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform, other = (add_platform(connection, now, profile) for profile in ("openedx", "moodle"))
            here = add_place(connection, platform, now)
            unseen = add_place(connection, platform, now, resource_link_id="unit-2")
            elsewhere = add_place(connection, other, now)
            nowhere = add_place(connection, platform, now, resource_link_id="unit-3", context_id=None)
            shown = [here, elsewhere, nowhere, 999]
            assert course_units.confirm(connection, platform, "course-1", shown, actor=STAFF, now=now) == 1
            waiting = {each for each in (unseen, elsewhere, nowhere) if not unit_of(connection, each).confirmed_at}
            assert waiting == {unseen, elsewhere, nowhere}
            assert course_units.confirm(connection, platform, None, [nowhere], actor=STAFF, now=now) == 1

    def test_the_desk_counts_courses_that_wait_and_since_when(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            platform = add_platform(connection, now)
            early = now - timedelta(days=2)
            add_place(connection, platform, early)
            add_place(connection, platform, now, resource_link_id="unit-2")
            add_place(connection, platform, now, resource_link_id="unit-3", context_id="course-2")
            waiting = course_units.unconfirmed(now)
            assert sorted(connection.execute(select(waiting.c.since)).scalars()) == [early, now]
            connection.execute(update(placements).values(confirmed_at=now))
            assert connection.execute(select(waiting.c.since)).all() == []

    def test_a_platform_that_is_switched_off_has_nothing_to_confirm(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            add_place(connection, add_platform(connection, now, status="disabled"), now)
            assert course_units.courses(connection, now) == []
            assert connection.execute(select(course_units.unconfirmed(now).c.since)).all() == []


class TestAUnitThatWasChanged:
    """From Module 1 to Module 2: two contents of one link, of which one is never opened again."""

    @pytest.fixture
    def old(self, database: Database, now: datetime) -> int:
        with database.write() as connection:
            platform = add_platform(connection, now)
            add_place(connection, platform, now + timedelta(days=1), content="module:F2", module_id="F2")
            add_place(connection, platform, now, resource_link_id="unit-2")
            return add_place(connection, platform, now)

    def waiting(self, connection: Connection, now: datetime) -> int:
        (course,) = course_units.courses(connection, now)
        return course.unconfirmed

    def test_what_nobody_opened_for_two_weeks_waits_no_longer(
        self, old: int, database: Database, now: datetime
    ) -> None:
        with database.write() as connection:
            assert self.waiting(connection, now + timedelta(days=14)) == 3
            assert self.waiting(connection, now + timedelta(days=15)) == 2, "nothing replaced the other old unit"
            assert unit_of(connection, old).is_replaced
            connection.execute(update(placements).where(placements.c.id != old).values(confirmed_at=now))
            for day, rows in ((14, 1), (15, 0)):
                waiting = course_units.unconfirmed(now + timedelta(days=day))
                assert len(connection.execute(select(waiting.c.since)).all()) == rows

    def test_what_is_opened_again_is_back(self, old: int, database: Database, now: datetime) -> None:
        with database.write() as connection:
            again = now + timedelta(days=20)
            connection.execute(update(placements).where(placements.c.id == old).values(launched_at=again))
            assert not unit_of(connection, old).is_replaced
            assert self.waiting(connection, again + timedelta(days=20)) == 2


class TestChoosing:
    def test_staff_choose_what_a_unit_opens_that_names_nothing(
        self, database: Database, published: Published, now: datetime
    ) -> None:
        with database.write() as connection:
            unit = add_place(connection, add_platform(connection, now), now, content="", module_id=None)
            course_units.assign(connection, published.programme, unit, "F2", actor=STAFF, now=now)
            chosen = unit_of(connection, unit)
            assert (chosen.module_id, chosen.confirmed_by, chosen.confirmed_at) == ("F2", STAFF, now)
            course_units.unassign(connection, unit, actor=STAFF, now=now)
            undone = unit_of(connection, unit)
            assert (undone.module_id, undone.confirmed_at) == (None, None)
            assert acts(connection)[-2:] == [(STAFF, "unit_assigned"), (STAFF, "unit_unassigned")]

    @pytest.mark.parametrize("module_id", ["none", "", "RT_EXP"])
    def test_only_a_module_that_is_offered(
        self, module_id: str, database: Database, published: Published, now: datetime
    ) -> None:
        with database.write() as connection:
            unit = add_place(connection, add_platform(connection, now), now, content="", module_id=None)
            with pytest.raises(BadInput) as refused:
                course_units.assign(connection, published.programme, unit, module_id, actor=STAFF, now=now)
            assert unit_of(connection, unit).module_id is None
        assert refused.value.code == "module_not_offered"

    def test_a_unit_that_says_what_it_opens_keeps_its_word(
        self, database: Database, published: Published, now: datetime
    ) -> None:
        with database.write() as connection:
            unit = add_place(connection, add_platform(connection, now), now)
            refused: list[GatehouseError] = []
            for change in (
                lambda: course_units.assign(connection, published.programme, unit, "F2", actor=STAFF, now=now),
                lambda: course_units.unassign(connection, unit, actor=STAFF, now=now),
            ):
                with pytest.raises(Conflict) as conflict:
                    change()
                refused.append(conflict.value)
            assert unit_of(connection, unit).module_id == "F1"
        assert {each.code for each in refused} == {"unit_names_content"}

    def test_an_unknown_unit(self, database: Database, published: Published, now: datetime) -> None:
        with database.write() as connection, pytest.raises(NotFound) as missing:
            course_units.unassign(connection, 999, actor=STAFF, now=now)
        assert missing.value.code == "unit_unknown"

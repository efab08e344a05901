"""A course on a simulated platform."""

import pytest

from tests.unit.grades.course import GradedCourse


@pytest.fixture
def course_on(database, settings, published, clock):
    """`course_on(kind)`: a course on a platform of this kind."""

    def make(kind="openedx", **given):
        return GradedCourse(database, settings, published, clock, kind, **given)

    return make

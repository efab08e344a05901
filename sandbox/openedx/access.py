"""Who may do what: stand-ins for edx-platform's course access, roles, members and waffle flags."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from opaque_keys.edx.keys import CourseKey

from sandbox.openedx.models import Course, CourseRole, Enrolment, ForumRole

MEMBER_LIMIT = 1000  # edx-platform's COURSE_MEMBER_API_ENROLLMENT_LIMIT

Anybody = User | AnonymousUser


class OverEnrollmentLimitException(Exception):
    """edx-platform's refusal to list the members of a very large course."""


class CourseWaffleFlag:
    """A feature flag that is off, as the LTI consumer's flags are unless a site switches them on."""

    def __init__(self, name: str, _module: str) -> None:
        self.name = name

    def is_enabled(self, _course_key: CourseKey | None = None) -> bool:
        return False


def course_role(user: Anybody, course_key: CourseKey | str) -> str:
    """edx-platform's `get_user_role`: instructor, staff or student; global staff count as instructors."""
    if user.is_staff:
        return "instructor"
    roles = set(CourseRole.objects.filter(user_id=user.id, course__key=str(course_key)).values_list("role", flat=True))
    return next((role for role in ("instructor", "staff") if role in roles), "student")


def is_course_staff(user: Anybody, course_key: CourseKey | str) -> bool:
    """Staff access to the course, which in edx-platform global staff and instructors have too."""
    return course_role(user, course_key) != "student"


def has_studio_write_access(user: Anybody, course_key: CourseKey | str) -> bool:
    """common.djangoapps.student.auth: may this person edit the course in Studio?"""
    return bool(user.is_authenticated) and is_course_staff(user, course_key)


def has_access(_user: Anybody, _action: str, _block: object, _course_key: CourseKey | None = None) -> bool:
    """lms.djangoapps.courseware.access: no unit is hidden from anybody here."""
    return True


def check_course_access(course: Course, user: Anybody, _action: str, **_: Any) -> bool:
    """lms.djangoapps.courseware.courses: signed in, and enrolled or on the course's staff."""
    return bool(user.is_authenticated) and (is_enrolled(user, course.key) or is_course_staff(user, course.key))


def is_enrolled(user: Anybody, course_key: CourseKey | str) -> bool:
    return Enrolment.objects.filter(user_id=user.id, course__key=str(course_key)).exists()


def get_user_role_names(user: User, course_key: CourseKey | str) -> set[str]:
    """lms.djangoapps.discussion: the person's forum roles in the course."""
    return set(ForumRole.objects.filter(user=user, course__key=str(course_key)).values_list("name", flat=True))


def get_course_members(course_key: CourseKey | str) -> dict[int, dict[str, Any]]:
    """lms.djangoapps.course_api: everybody enrolled or holding a course role; global staff as such are not listed."""
    enrolments = Enrolment.objects.filter(course__key=str(course_key)).select_related("user__profile")
    if enrolments.count() > MEMBER_LIMIT:
        raise OverEnrollmentLimitException(str(course_key))
    members: dict[int, dict[str, Any]] = {}
    for enrolment in enrolments:
        _member(members, enrolment.user, enrolled=True)["roles"].append("student")
    for holder in CourseRole.objects.filter(course__key=str(course_key)).select_related("user__profile"):
        _member(members, holder.user, enrolled=False)["roles"].append(holder.role)
    return members


def _member(members: dict[int, dict[str, Any]], user: User, *, enrolled: bool) -> dict[str, Any]:
    return members.setdefault(
        user.id,
        {
            "id": user.id,
            "username": user.username,
            "email": user.email,
            "name": user.profile.name,
            "enrollment_mode": "audit" if enrolled else None,
            "roles": [],
        },
    )

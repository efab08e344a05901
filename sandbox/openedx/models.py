"""Tables that stand in for edx-platform's: courses, enrolments, roles, external ids, units, state and grades."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import models


class Installation(models.Model):
    """The two addresses this database was made for; there is one row."""

    public_url = models.TextField()
    tool_url = models.TextField()


class Course(models.Model):
    """A course run, with the names the package reads from edx-platform's course block."""

    key = models.CharField(max_length=255, unique=True)
    title = models.CharField(max_length=255)
    organisation = models.CharField(max_length=255)
    position = models.IntegerField()

    lti_passports: tuple[str, ...] = ()  # LTI 1.1 only

    @property
    def display_name_with_default(self) -> str:
        return str(self.title)

    @property
    def display_org_with_default(self) -> str:
        return str(self.organisation)


class Profile(models.Model):
    """edx-platform's user profile (the package prefetches it under this name), plus a line for the people page."""

    user = models.OneToOneField(User, models.CASCADE, related_name="profile")
    name = models.CharField(max_length=255)
    note = models.TextField()
    role = models.CharField(max_length=40)


class Enrolment(models.Model):
    """A person follows a course."""

    user = models.ForeignKey(User, models.CASCADE, related_name="enrolments")
    course = models.ForeignKey(Course, models.CASCADE, related_name="enrolments")

    class Meta:
        unique_together = (("user", "course"),)


class CourseRole(models.Model):
    """A course access role: `instructor` (in Open edX the course's admin) or `staff`."""

    user = models.ForeignKey(User, models.CASCADE, related_name="course_roles")
    course = models.ForeignKey(Course, models.CASCADE, related_name="roles")
    role = models.CharField(max_length=40)


class ForumRole(models.Model):
    """A discussion role such as `Community TA`."""

    user = models.ForeignKey(User, models.CASCADE, related_name="forum_roles")
    course = models.ForeignKey(Course, models.CASCADE, related_name="forum_roles")
    name = models.CharField(max_length=60)


class ExternalIdType(models.Model):
    """What an external id is for; here only `lti`."""

    name = models.CharField(max_length=32, unique=True)


class ExternalId(models.Model):
    """The site-wide opaque id under which a tool knows a person: the `sub` of a launch."""

    external_user_id = models.UUIDField(unique=True, default=uuid.uuid4)
    external_id_type = models.ForeignKey(ExternalIdType, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE, related_name="external_ids")

    class Meta:
        unique_together = (("user", "external_id_type"),)

    @classmethod
    def of(cls, user: User, type_name: str) -> ExternalId:
        """This person's id of that type, made when missing."""
        id_type, _ = ExternalIdType.objects.get_or_create(name=type_name)
        return cls.objects.get_or_create(user=user, external_id_type=id_type)[0]

    @classmethod
    def batch_get_or_create_user_ids(cls, users: Iterable[User], type_name: str) -> dict[int, ExternalId]:
        """edx-platform's name for doing that for many people: user id → row."""
        return {user.id: cls.of(user, type_name) for user in users}


class Unit(models.Model):
    """One LTI component: where it stands in a course and what staff chose for it in Studio."""

    block_id = models.CharField(max_length=100, unique=True)
    usage_key = models.CharField(max_length=255, unique=True)
    course = models.ForeignKey(Course, models.CASCADE, related_name="units")
    section = models.CharField(max_length=255)
    position = models.IntegerField()
    settings: Any = models.JSONField(default=dict)

    class Meta:
        ordering = ("course__position", "position")

    @property
    def title(self) -> str:
        return str(self.settings.get("display_name", self.block_id))

    @property
    def is_scored(self) -> bool:
        return bool(self.settings.get("has_score"))


class UserState(models.Model):
    """One field that a block remembers for one person."""

    user = models.ForeignKey(User, models.CASCADE)
    usage_key = models.CharField(max_length=255)
    field = models.CharField(max_length=100)
    value: Any = models.JSONField(null=True)

    class Meta:
        unique_together = (("user", "usage_key", "field"),)


class PublishedGrade(models.Model):
    """One grade a block published to the gradebook; the newest of a person and unit is the one that counts."""

    user = models.ForeignKey(User, models.CASCADE)
    unit = models.ForeignKey(Unit, models.CASCADE)
    value = models.FloatField(null=True)
    max_value = models.FloatField(null=True)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

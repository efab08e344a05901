"""Fills an empty database from `seed.yaml`: the courses, people and units a first visitor finds."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from django.contrib.auth.models import User
from django.db import transaction
from lti_consumer.api import config_id_for_block
from lti_consumer.models import CourseAllowPIISharingInLTIFlag
from opaque_keys.edx.keys import CourseKey

from sandbox.openedx.courseware import load_block
from sandbox.openedx.models import Course, CourseRole, Enrolment, ExternalId, ForumRole, Installation, Profile, Unit

SEED = Path(__file__).with_name("seed.yaml")


@transaction.atomic
def plant(public_url: str, tool_url: str, more_people: Sequence[dict[str, Any]] = ()) -> tuple[str, str]:
    """Seed the database if it is empty; answer for which platform and tool address it was made."""
    made = Installation.objects.first()
    if made is None:
        seed = yaml.safe_load(SEED.read_text(encoding="utf-8").replace("{tool}", tool_url))
        courses = {
            entry["key"].split("+")[1]: _plant_course(entry, position) for position, entry in enumerate(seed["courses"])
        }
        for entry in (*seed["people"], *more_people):
            _plant_person(entry, courses)
        _plant_units(seed, courses)
        made = Installation.objects.create(public_url=public_url, tool_url=tool_url)
    return made.public_url, made.tool_url


def _plant_course(entry: dict[str, Any], position: int) -> Course:
    CourseAllowPIISharingInLTIFlag.objects.create(
        course_id=CourseKey.from_string(entry["key"]), enabled=entry["share_personal_data"]
    )
    return Course.objects.create(
        key=entry["key"], title=entry["title"], organisation=entry["organisation"], position=position
    )


def _plant_person(entry: dict[str, Any], courses: dict[str, Course]) -> None:
    role = entry["role"]
    address = entry.get("email", f"{entry['username']}@example.org")
    user = User.objects.create_user(entry["username"], email=address, is_staff=role == "global_staff")
    Profile.objects.create(user=user, name=entry["name"], note=entry["note"], role=role)
    ExternalId.of(user, "lti")
    for course in (courses[short] for short in entry["courses"]):
        Enrolment.objects.create(user=user, course=course)
        if role in ("instructor", "staff"):
            CourseRole.objects.create(user=user, course=course, role=role)
        elif role == "community_ta":
            ForumRole.objects.create(user=user, course=course, name="Community TA")


def _plant_units(seed: dict[str, Any], courses: dict[str, Course]) -> None:
    """Write the units, then let the package make each one's configuration and passport."""
    passports = {entry["passport"]: str(uuid.uuid4()) for entry in seed["units"]}
    for position, entry in enumerate(seed["units"]):
        course = courses[entry["course"]]
        unit = Unit.objects.create(
            block_id=entry["block"],
            course=course,
            section=entry["section"],
            position=position,
            usage_key=str(CourseKey.from_string(course.key).make_usage_key("lti_consumer", entry["block"])),
            settings=_unit_settings(seed["unit_defaults"], entry, passports[entry["passport"]]),
        )
        config_id_for_block(load_block(unit))


def _unit_settings(defaults: dict[str, Any], entry: dict[str, Any], passport_id: str) -> dict[str, Any]:
    return defaults | entry["settings"] | {"lti_1p3_passport_id": passport_id}

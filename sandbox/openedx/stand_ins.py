"""The modules of edx-platform that the LTI consumer imports, each name answered by something of ours.

The package imports them lazily (its `plugin/compat.py`), but some while it is itself imported, and what is absent at
that moment it takes for absent for good, without a word. So `install` runs before Django starts, while the
implementations, which need Django's tables, are looked up only when somebody asks for the name.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

# edx-platform's module → {its name: where ours is}
STAND_INS: dict[str, dict[str, str]] = {
    "openedx.core.djangoapps.waffle_utils": {
        "CourseWaffleFlag": "sandbox.openedx.access:CourseWaffleFlag",
    },
    "openedx.core.djangoapps.xblock.api": {},  # only asked for library blocks, of which there are none
    "openedx.core.djangoapps.external_user_ids.models": {
        "ExternalId": "sandbox.openedx.models:ExternalId",
    },
    "openedx.core.lib.courses": {
        "get_course_by_id": "sandbox.openedx.courseware:get_course_by_id",
    },
    "xmodule.modulestore.django": {  # no SignalHandler: the package copes
        "modulestore": "sandbox.openedx.courseware:modulestore",
    },
    "lms.djangoapps.courseware.block_render": {
        "get_block_for_descriptor": "sandbox.openedx.courseware:get_block_for_descriptor",
    },
    "lms.djangoapps.courseware.access": {
        "has_access": "sandbox.openedx.access:has_access",
    },
    "lms.djangoapps.courseware.courses": {
        "check_course_access": "sandbox.openedx.access:check_course_access",
    },
    "lms.djangoapps.course_api.api": {
        "get_course_members": "sandbox.openedx.access:get_course_members",
    },
    "lms.djangoapps.course_api.exceptions": {
        "OverEnrollmentLimitException": "sandbox.openedx.access:OverEnrollmentLimitException",
    },
    "lms.djangoapps.discussion.django_comment_client.utils": {
        "get_user_role_names": "sandbox.openedx.access:get_user_role_names",
    },
    "common.djangoapps.student.auth": {
        "has_studio_write_access": "sandbox.openedx.access:has_studio_write_access",
    },
}


class StandIn(ModuleType):
    """A module whose names are fetched from our own modules when they are first wanted."""

    def __init__(self, name: str, places: dict[str, str]) -> None:
        super().__init__(name, doc=f"Stands in for edx-platform's {name}.")
        self.__path__: list[str] = []
        self._places = places

    def __getattr__(self, name: str) -> object:
        place = self.__dict__.get("_places", {}).get(name)
        if place is None:
            raise AttributeError(f"{self.__name__} has no stand-in for {name}")
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)


def install() -> None:
    """Make every stand-in importable, its parent packages included."""
    for name, places in STAND_INS.items():
        for parent in _parents(name):
            sys.modules.setdefault(parent, StandIn(parent, {}))
        sys.modules[name] = StandIn(name, places)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]

"""Stand-ins for the modulestore and for the LMS code that binds a block to a person."""

from __future__ import annotations

from typing import Any

from opaque_keys.edx.keys import CourseKey, UsageKey
from web_fragments.fragment import Fragment
from xblock.core import XBlock
from xblock.fields import ScopeIds

from sandbox.openedx.access import Anybody
from sandbox.openedx.models import Course, Unit
from sandbox.openedx.runtime import SandboxRuntime, field_data_of


class ItemNotFoundError(LookupError):
    """No unit has this usage key."""


class ModuleStore:
    """xmodule.modulestore: finds the block of a unit, not yet bound to anybody."""

    def get_item(self, usage_key: UsageKey, **_: Any) -> XBlock:
        unit = Unit.objects.select_related("course").filter(usage_key=str(usage_key)).first()
        if unit is None:
            raise ItemNotFoundError(str(usage_key))
        return load_block(unit)


def modulestore() -> ModuleStore:
    """xmodule.modulestore.django.modulestore."""
    return ModuleStore()


def load_block(unit: Unit) -> XBlock:
    """The genuine block (found by the package's own entry point), filled with the unit's settings."""
    key = UsageKey.from_string(unit.usage_key)
    scope_ids = ScopeIds(user_id=None, block_type=key.block_type, def_id=key, usage_id=key)
    return SandboxRuntime(unit).construct_xblock(key.block_type, scope_ids, field_data_of(unit))


def get_block_for_descriptor(user: Anybody, block: XBlock, **_: Any) -> XBlock:
    """lms.djangoapps.courseware.block_render: bind the block to the person who looks at it."""
    block.runtime.bind(block, user)
    return block


def get_course_by_id(course_key: CourseKey) -> Course:
    """openedx.core.lib.courses.get_course_by_id."""
    return Course.objects.get(key=str(course_key))


def render_unit(unit: Unit, user: Anybody, view: str) -> Fragment:
    """One of the block's own views, such as `student_view` in the LMS or `author_view` in Studio."""
    block = load_block(unit)
    block.runtime.bind(block, user, in_studio=view == "author_view")
    return block.runtime.render(block, view, {})

"""An XBlock runtime: edx-platform's one reduced to what the LTI consumer's block asks of it."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from opaque_keys.edx.keys import CourseKey
from xblock.core import Scope, XBlock, XBlockMixin
from xblock.field_data import DictFieldData, FieldData, ReadOnlyFieldData, SplitFieldData
from xblock.fields import Boolean, DateTime, Timedelta
from xblock.reference.plugins import Service
from xblock.reference.user_service import UserService, XBlockUser
from xblock.runtime import KeyValueStore, KvsFieldData, MemoryIdManager, Runtime

from sandbox.openedx.access import Anybody, course_role, is_course_staff
from sandbox.openedx.models import ExternalId, PublishedGrade, Unit, UserState


class EdxFields(XBlockMixin):
    """The fields and the property every block of edx-platform inherits and this package reads."""

    start = DateTime(scope=Scope.settings, default=None)
    due = DateTime(scope=Scope.settings, default=None)
    graceperiod = Timedelta(scope=Scope.settings, default=None)
    graded = Boolean(scope=Scope.settings, default=False)

    @property
    def location(self) -> Any:
        return self.scope_ids.usage_id


class UserStateStore(KeyValueStore):
    """What blocks remember of people (edx-platform's StudentModule state), one row a field."""

    def get(self, key: Any) -> Any:
        row = self._rows(key).first()
        if row is None:
            raise KeyError(key.field_name)
        return row.value

    def has(self, key: Any) -> bool:
        return bool(self._rows(key).exists())

    def set(self, key: Any, value: Any) -> None:
        if key.user_id is None:
            raise ValueError(f"nobody is looking at the block, so nobody's {key.field_name} can be kept")
        UserState.objects.update_or_create(
            user_id=key.user_id, usage_key=str(key.block_scope_id), field=key.field_name, defaults={"value": value}
        )

    def delete(self, key: Any) -> None:
        self._rows(key).delete()

    def _rows(self, key: Any) -> Any:
        return UserState.objects.filter(user_id=key.user_id, usage_key=str(key.block_scope_id), field=key.field_name)


class PlatformUserService(UserService):
    """The `user` service: who looks at the block, with the attributes edx-platform adds.

    `user_is_staff` is what tells an LMS page from a Studio preview: in the LMS it is true for course staff.
    """

    def __init__(self, user: Anybody, course_key: CourseKey, *, in_studio: bool) -> None:
        super().__init__()
        self._user = user
        self._course_key = course_key
        self._in_studio = in_studio

    def get_current_user(self) -> XBlockUser:
        user = self._user
        if not user.is_authenticated:
            nobody = XBlockUser(is_current_user=True)
            nobody.opt_attrs["edx-platform.is_authenticated"] = False
            return nobody
        somebody = XBlockUser(is_current_user=True, emails=[user.email], full_name=user.profile.name)
        somebody.opt_attrs.update(self._attributes(user))
        return somebody

    def get_external_user_id(self, type_name: str) -> str:
        return str(ExternalId.of(self._user, type_name).external_user_id)

    def get_user_by_anonymous_id(self, anonymous_id: str) -> User | None:
        return next((user for user in User.objects.all() if self._anonymous_id(user) == anonymous_id), None)

    def _attributes(self, user: User) -> dict[str, Any]:
        return {
            "edx-platform.is_authenticated": True,
            "edx-platform.user_id": user.id,
            "edx-platform.username": user.username,
            "edx-platform.anonymous_user_id": self._anonymous_id(user),
            "edx-platform.user_role": course_role(user, self._course_key),
            "edx-platform.user_is_staff": not self._in_studio and is_course_staff(user, self._course_key),
            "edx-platform.user_preferences": {},
        }

    def _anonymous_id(self, user: User) -> str:
        return hashlib.sha256(f"{user.id} {self._course_key}".encode()).hexdigest()[:32]


class RebindUserService(Service):
    """The `rebind_user` service: give a block that nobody is looking at to the person a score is for."""

    def __init__(self, bound_to: Anybody) -> None:
        super().__init__()
        self._bound_to = bound_to

    def rebind_noauth_module_to_user(self, block: XBlock, user: User) -> None:
        if self._bound_to.is_authenticated:
            raise RuntimeError("only a block bound to an anonymous user can be given to somebody else")
        block.runtime.bind(block, user)


class SandboxRuntime(Runtime):
    """Runs one block of one unit, for one person at a time."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(id_reader=MemoryIdManager(), id_generator=MemoryIdManager(), mixins=(EdxFields,))
        self.unit = unit

    def bind(self, block: XBlock, user: Anybody, *, in_studio: bool = False) -> None:
        """Show the block to this person from now on."""
        course_key = block.scope_ids.usage_id.course_key
        block.scope_ids = block.scope_ids._replace(user_id=None if isinstance(user, AnonymousUser) else user.id)
        self._services["user"] = PlatformUserService(user, course_key, in_studio=in_studio)
        self._services["rebind_user"] = RebindUserService(user)

    def publish(self, _block: XBlock, event_type: str, event: dict[str, Any]) -> None:
        """edx-platform's road to the gradebook; other events have no reader here."""
        if event_type == "grade":
            PublishedGrade.objects.create(
                user_id=event["user_id"], unit=self.unit, value=event["value"], max_value=event["max_value"]
            )

    def handler_url(
        self, _block: XBlock, handler_name: str, suffix: str = "", query: str = "", thirdparty: bool = False
    ) -> str:
        """Addresses of block handlers; LTI 1.3 uses none, so nothing answers there."""
        host = settings.LMS_ROOT_URL if thirdparty else ""
        return f"{host}/xblock/{self.unit.block_id}/handler/{handler_name}/{suffix}?{query}"

    def resource_url(self, resource: str) -> str:
        return f"/static/xblock/{resource}"

    def local_resource_url(self, _block: XBlock, uri: str) -> str:
        return self.resource_url(uri)

    def _css_classes_for(self, block: XBlock, view: str) -> list[str]:
        """The class names edx-platform wraps a block in; the package's own style sheet selects by them."""
        return ["xblock", f"xblock-{view}", f"xblock-{view}-{block.scope_ids.block_type}"]


def field_data_of(unit: Unit) -> FieldData:
    """Settings come read-only from the unit, as in the LMS; what a block remembers of people can be written."""
    authored = ReadOnlyFieldData(DictFieldData(dict(unit.settings)))
    remembered = KvsFieldData(UserStateStore())
    return SplitFieldData(
        {
            Scope.content: authored,
            Scope.settings: authored,
            Scope.parent: authored,
            Scope.children: authored,
            Scope.user_state: remembered,
        }
    )

"""The claims of a launch as one value, and what its roles allow (facts: lti.md §4 and §5)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from lti_tool.errors import RefusedLaunch
from lti_tool.lti.registration import Registration

LTI = "https://purl.imsglobal.org/spec/lti/claim/"
AGS = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
RESOURCE_LINK_REQUEST = "LtiResourceLinkRequest"

LONGEST_ID = 255
LONGEST_URL = 2048
LONGEST_SHOWN = 255
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
SYSTEM = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"
# RO-1, RO-2, RO-5: whole values only; short context names mean the same.
TEACHERS = frozenset({MEMBERSHIP + "Instructor", MEMBERSHIP + "Administrator", "Instructor", "Administrator"})
# RO-3: what Open edX before 11.1.0 sent instead, for registrations whose switch `old_roles` is on.
TEACHERS_IN_OLD_ROLES = frozenset(
    {INSTITUTION + "Instructor", INSTITUTION + "Faculty", INSTITUTION + "Administrator", SYSTEM + "Administrator"}
)


@dataclass(frozen=True, slots=True)
class Ags:
    """Where the scores of this placement go (AGS 2.0 endpoint claim). URLs are absolute; scopes are whole URIs."""

    line_item_url: str | None
    line_items_url: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """A verified launch. Only `sub` identifies a person; `name` and `email` are for display and may be missing."""

    registration_id: int
    issuer: str
    client_id: str
    profile: str
    deployment_id: str
    message_type: str
    sub: str
    name: str | None
    email: str | None
    roles: tuple[str, ...]
    is_staff: bool
    context_id: str | None
    context_title: str | None
    resource_link_id: str
    target_link_uri: str
    custom: Mapping[str, str]
    ags: Ags | None
    memberships_url: str | None

    def custom_value(self, name: str) -> str | None:
        """A custom parameter; None when it is missing, empty, or an unresolved `$Some.Variable`."""
        value = self.custom.get(name, "").strip()
        return None if not value or value.startswith("$") else value


def is_plain_text(value: object, longest: int) -> bool:
    """Whether a value is text of this length that every database takes: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and len(value) <= longest and UNSTORABLE.search(value) is None


def is_teacher(roles: Iterable[str], *, old_roles: bool) -> bool:
    """RO-1 to RO-5: an unknown, empty or missing role is a learner's. A teaching assistant is no teacher."""
    teachers = TEACHERS | TEACHERS_IN_OLD_ROLES if old_roles else TEACHERS
    return not teachers.isdisjoint(roles)


def load_launch(claims: Mapping[str, Any], registration: Registration) -> Launch:
    """The launch that verified claims describe. Raises RefusedLaunch `claims_wrong` naming the claim."""
    try:
        known: dict[str, Any] = _schema.load(claims)
    except ValidationError as error:
        raise _wrong(error) from error
    context = known.get("context") or {}
    return Launch(
        registration_id=registration.id,
        issuer=registration.issuer,
        client_id=registration.client_id,
        profile=registration.profile.name,
        deployment_id=known["deployment_id"],
        message_type=known["message_type"],
        sub=known["sub"],
        name=_name(known),
        email=known.get("email"),
        roles=tuple(known["roles"]),
        is_staff=is_teacher(known["roles"], old_roles=registration.old_roles),
        context_id=context.get("id"),
        context_title=context.get("title") or context.get("label"),
        resource_link_id=known["resource_link"]["id"],
        target_link_uri=known["target_link_uri"],
        custom=_texts(known.get("custom")),
        ags=_ags(known.get("ags")),
        memberships_url=(known.get("nrps") or {}).get("context_memberships_url"),
    )


def _name(known: Mapping[str, Any]) -> str | None:
    parts = (known.get("given_name"), known.get("family_name"))
    name = known.get("name") or " ".join(part for part in parts if part)
    return name.strip()[:LONGEST_SHOWN] or None


def _texts(custom: Any) -> dict[str, str]:
    """The custom parameters that are text; a platform may send its own of any kind, or an empty list for none."""
    return {key: value for key, value in custom.items() if isinstance(value, str)} if isinstance(custom, dict) else {}


def _ags(claim: Mapping[str, Any] | None) -> Ags | None:
    if claim is None:
        return None
    return Ags(claim.get("lineitem"), claim.get("lineitems"), tuple(claim.get("scope") or ()))


def _wrong(error: ValidationError) -> RefusedLaunch:
    names = sorted(error.messages_dict)
    return RefusedLaunch(
        "claims_wrong",
        f"The learning platform's message is not as LTI 1.3 describes it: {', '.join(map(_short, names))}.",
        "Tell the people who run the course: the platform sends something this tool cannot read.",
    )


def _short(claim: str) -> str:
    return claim.removeprefix(LTI)


def _text(longest: int = LONGEST_ID, *, claim: str | None = None, required: bool = False) -> fields.String:
    """Text of a bounded length; null where the claim may be missing."""

    def verify(value: str) -> None:
        if not is_plain_text(value, longest):
            raise ValidationError("not text of this length")

    return fields.String(required=required, allow_none=not required, validate=verify, data_key=claim)


def _shown() -> fields.Function:
    """Text that is only shown: cut at a length instead of refused."""

    def cut(value: Any) -> str:
        if not isinstance(value, str) or not is_plain_text(value[:LONGEST_SHOWN], LONGEST_SHOWN):
            raise ValidationError("not text")
        return value[:LONGEST_SHOWN]

    return fields.Function(deserialize=cut, allow_none=True)


class _Claims(Schema):
    class Meta:
        unknown = EXCLUDE


class _ResourceLink(_Claims):
    id = _text(required=True)


class _Context(_Claims):
    id = _text()
    label = _shown()
    title = _shown()


class _Endpoint(_Claims):
    lineitem = _text(LONGEST_URL)
    lineitems = _text(LONGEST_URL)
    scope = fields.List(_text(), allow_none=True)


class _NamesAndRoles(_Claims):
    context_memberships_url = _text(LONGEST_URL)


class _LaunchClaims(_Claims):
    sub = _text(required=True)
    name = _shown()
    given_name = _shown()
    family_name = _shown()
    email = _text(LONGEST_SHOWN)
    message_type = _text(required=True, claim=LTI + "message_type")
    deployment_id = _text(required=True, claim=LTI + "deployment_id")
    target_link_uri = _text(LONGEST_URL, required=True, claim=LTI + "target_link_uri")
    roles = fields.List(_text(required=True), required=True, data_key=LTI + "roles")
    resource_link = fields.Nested(_ResourceLink, required=True, data_key=LTI + "resource_link")
    context = fields.Nested(_Context, allow_none=True, data_key=LTI + "context")
    custom = fields.Raw(allow_none=True, data_key=LTI + "custom")
    ags = fields.Nested(_Endpoint, allow_none=True, data_key=AGS)
    nrps = fields.Nested(_NamesAndRoles, allow_none=True, data_key=NRPS)


_schema = _LaunchClaims()

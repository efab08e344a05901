"""The claims of a launch as one value (facts: lti.md §4).

What platforms may leave out or leave empty is None here. What only people read is cut at a length, and absent where it
is no text; a service that cannot be read is not offered (lti.md FR-3). What identifies or leads somewhere is refused.

How a claim is read: text of a bounded length, text that is only shown, a claim that holds claims.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from lti_tool.errors import RefusedLaunch
from lti_tool.languages import gettext, known_language
from lti_tool.lti.registration import Registration
from lti_tool.lti.roles import CourseRole, course_role_of
from lti_tool.text import clean

LONGEST_ID = 255
LONGEST_URL = 2048
# Canvas puts a token of its own into the address that picked content goes back to.
LONGEST_RETURN_URL = 8192
LONGEST_SHOWN = 255
# Longer than any `data` that fits into a token we read (id_token.LONGEST_TOKEN).
LONGEST_DATA = 64 * 1024
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_plain_text(value: object, longest: int) -> bool:
    """Whether a value is text of this length that every database takes: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and len(value) <= longest and UNSTORABLE.search(value) is None


def plain_text(longest: int = LONGEST_ID, *, claim: str | None = None, required: bool = False) -> fields.String:
    """Text of a bounded length; null where the claim may be missing."""

    def verify(value: str) -> None:
        if not is_plain_text(value, longest):
            raise ValidationError("not text of this length")

    return fields.String(required=required, allow_none=not required, validate=verify, data_key=claim)


def shown(*, whole: bool = False) -> fields.Function:
    """Text that is only shown: cut at a length, and absent if it is no such text (lti.md FR-3). `whole`: a part of it
    means nothing, so it is absent if it is too long."""

    def read(value: Any) -> str | None:
        if not isinstance(value, str) or (whole and len(value) > LONGEST_SHOWN):
            return None
        return clean(value[:LONGEST_SHOWN])[:LONGEST_SHOWN] or None

    return fields.Function(deserialize=read, allow_none=True)


class Section(fields.Nested):
    """A claim that holds claims and may be missing; platforms written in PHP send an empty one as an empty list."""

    def __init__(self, schema: type[Schema], claim: str) -> None:
        super().__init__(schema, allow_none=True, data_key=claim)

    def deserialize(self, value: Any, *args: Any, **named: Any) -> Any:
        return super().deserialize(None if value in ([], "") else value, *args, **named)


class Offer(Section):
    """A claim without which a launch stands: one that cannot be read offers nothing, and says so (`is_unreadable`)."""

    def deserialize(self, value: Any, *args: Any, **named: Any) -> Any:
        try:
            return super().deserialize(value, *args, **named)
        except ValidationError:
            return {"is_unreadable": True}


class Claims(Schema):
    """Unknown claims are ignored."""

    class Meta:
        unknown = EXCLUDE


LTI = "https://purl.imsglobal.org/spec/lti/claim/"
AGS = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
DL = "https://purl.imsglobal.org/spec/lti-dl/claim/"
GROUPS = "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice"
NOTICES = LTI + "platformnotificationservice"
RESOURCE_LINK_REQUEST = "LtiResourceLinkRequest"
DEEP_LINKING_REQUEST = "LtiDeepLinkingRequest"
SUBMISSION_REVIEW_REQUEST = "LtiSubmissionReviewRequest"


@dataclass(frozen=True, slots=True)
class Ags:
    """Where the scores of this placement go (AGS 2.0 endpoint claim). URLs are absolute; scopes are whole URIs. A claim
    that is not as AGS 2.0 describes it offers nothing (`is_unreadable`)."""

    line_item_url: str | None
    line_items_url: str | None
    scopes: tuple[str, ...]
    is_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class DeepLinkingSettings:
    """What a platform takes back from a deep linking request (DL 2.0). `data` goes back byte for byte, None: not given;
    `accept_line_item` None: not said."""

    return_url: str
    accept_types: tuple[str, ...]
    accept_multiple: bool
    accept_line_item: bool | None
    data: str | None
    title: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class NoticeService:
    """Where a platform takes addresses for its notices, and which kinds it sends (Platform Notification Service)."""

    url: str
    notice_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """A verified launch. Only `sub` identifies a person; `name` and `email` are for display and may be missing.

    `deep_linking` is there in a deep linking request, `for_user` (the learner's user id) in a submission review.
    `language` is that of the platform's page around us, None if it is not said or has no catalogue here.
    """

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
    course_role: CourseRole
    context_id: str | None
    context_title: str | None
    resource_link_id: str | None
    resource_link_title: str | None
    target_link_uri: str | None
    custom: Mapping[str, str]
    ags: Ags | None
    memberships_url: str | None
    groups_url: str | None = None
    notices: NoticeService | None = None
    deep_linking: DeepLinkingSettings | None = None
    for_user: str | None = None
    language: str | None = None

    @property
    def is_staff(self) -> bool:
        return self.course_role == "staff"

    def custom_value(self, name: str) -> str | None:
        """A custom parameter; None when it is missing, empty, or an unresolved `$Some.Variable`."""
        value = clean(self.custom.get(name, ""))
        return None if not value or value.startswith("$") else value


def load_launch(claims: Mapping[str, Any], registration: Registration) -> Launch:
    """The launch that verified claims describe. Raises RefusedLaunch `claims_wrong` naming the claim."""
    try:
        known: dict[str, Any] = _schema.load(claims)
    except ValidationError as error:
        names = ", ".join(claim.removeprefix(LTI) for claim in sorted(error.messages_dict))
        raise RefusedLaunch(
            "claims_wrong",
            gettext("The learning platform's message is not as LTI 1.3 describes it: %(names)s.", names=names),
            "Tell the people who run the course: the platform sends something this tool cannot read.",
        ) from error
    context, link = known.get("context") or {}, known.get("resource_link") or {}
    custom, notices = known.get("custom"), known.get("notices") or {}
    notices_url = notices.get("platform_notification_service_url")
    name = known.get("name") or " ".join(filter(None, (known.get("given_name"), known.get("family_name"))))
    return Launch(
        registration_id=registration.id,
        issuer=registration.issuer,
        client_id=registration.client_id,
        profile=registration.profile.name,
        deployment_id=known["deployment_id"],
        message_type=known["message_type"],
        sub=known["sub"],
        name=name.strip()[:LONGEST_SHOWN] or None,
        email=known.get("email") or None,
        roles=tuple(known["roles"]),
        course_role=course_role_of(known["roles"], old_roles=registration.old_roles),
        context_id=context.get("id") or None,
        context_title=context.get("title") or context.get("label") or None,
        resource_link_id=link.get("id") or None,
        resource_link_title=link.get("title") or None,
        target_link_uri=known.get("target_link_uri") or None,
        # A platform may send parameters of any kind, or an empty list for none (Moodle).
        custom={key: str(value) for key, value in custom.items() if type(value) in (str, int)}
        if isinstance(custom, dict)
        else {},
        ags=_ags(known.get("ags")),
        memberships_url=(known.get("nrps") or {}).get("context_memberships_url") or None,
        groups_url=(known.get("groups") or {}).get("context_groups_url") or None,
        notices=NoticeService(notices_url, tuple(notices.get("notice_types_supported") or ())) if notices_url else None,
        deep_linking=_deep_linking(known.get("deep_linking")),
        for_user=(known.get("for_user") or {}).get("user_id"),
        language=(known.get("presentation") or {}).get("locale"),
    )


def _ags(claim: Mapping[str, Any] | None) -> Ags | None:
    if claim is None:
        return None
    return Ags(
        line_item_url=claim.get("lineitem") or None,
        line_items_url=claim.get("lineitems") or None,
        scopes=tuple(each for each in claim.get("scope") or () if each),
        is_unreadable=claim.get("is_unreadable", False),
    )


def _deep_linking(claim: Mapping[str, Any] | None) -> DeepLinkingSettings | None:
    if claim is None:
        return None
    return DeepLinkingSettings(
        return_url=claim["deep_link_return_url"],
        accept_types=tuple(claim["accept_types"]),
        accept_multiple=claim.get("accept_multiple") or False,
        accept_line_item=claim.get("accept_lineitem"),
        data=claim.get("data"),
        title=claim.get("title") or None,
        text=claim.get("text") or None,
    )


class _ResourceLink(Claims):
    id = plain_text()
    title = shown()


class _Context(Claims):
    """`type` is not read: it may be a URI (Open edX) or a short name (Moodle)."""

    id = plain_text()
    label = shown()
    title = shown()


class _Endpoint(Claims):
    lineitem = plain_text(LONGEST_URL)
    lineitems = plain_text(LONGEST_URL)
    scope = fields.List(plain_text(), allow_none=True)


class _NamesAndRoles(Claims):
    context_memberships_url = plain_text(LONGEST_URL)


class _Groups(Claims):
    context_groups_url = plain_text(LONGEST_URL)


class _Notices(Claims):
    platform_notification_service_url = plain_text(LONGEST_URL)
    notice_types_supported = fields.List(plain_text(required=True), allow_none=True)


class _DeepLinking(Claims):
    deep_link_return_url = plain_text(LONGEST_RETURN_URL, required=True)
    accept_types = fields.List(plain_text(required=True), required=True)
    accept_multiple = fields.Boolean(allow_none=True)
    accept_lineitem = fields.Boolean(allow_none=True)
    data = plain_text(LONGEST_DATA)
    title = shown()
    text = shown()


class _ForUser(Claims):
    user_id = plain_text(required=True)


class _Presentation(Claims):
    locale = fields.Function(deserialize=known_language, allow_none=True)


class _LaunchClaims(Claims):
    """What any message may hold; what one kind of message must hold stands in id_token.MESSAGES."""

    sub = plain_text(required=True)
    name = shown()
    given_name = shown()
    family_name = shown()
    email = shown(whole=True)
    message_type = plain_text(required=True, claim=LTI + "message_type")
    deployment_id = plain_text(required=True, claim=LTI + "deployment_id")
    target_link_uri = plain_text(LONGEST_URL, claim=LTI + "target_link_uri")
    roles = fields.List(plain_text(required=True), required=True, data_key=LTI + "roles")
    resource_link = Section(_ResourceLink, LTI + "resource_link")
    context = Section(_Context, LTI + "context")
    custom = fields.Raw(allow_none=True, data_key=LTI + "custom")
    ags = Offer(_Endpoint, AGS)
    nrps = Offer(_NamesAndRoles, NRPS)
    groups = Offer(_Groups, GROUPS)
    notices = Offer(_Notices, NOTICES)
    deep_linking = Section(_DeepLinking, DL + "deep_linking_settings")
    for_user = Offer(_ForUser, LTI + "for_user")
    presentation = Offer(_Presentation, LTI + "launch_presentation")


_schema = _LaunchClaims()

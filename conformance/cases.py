"""The 43 tests of 1EdTech's conformance guide for LTI Advantage tools, as data (facts: lti.md §15).

A launch test is a message that a good platform would send, changed in one way. What the platform is does not matter:
`altered` makes the change to its claims, and the platform signs what comes out with its own key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lti_tool.lti.claims import LTI

Kind = Literal["launch", "deep linking", "names and roles", "assignment and grades"]
Role = Literal["teacher", "learner"]

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
UNKNOWN_ROLE = "http://purl.imsglobal.org/vocab/lis/v2/unknown/unknown#Helper"
ROLE_URIS: Mapping[Role, str] = {"teacher": MEMBERSHIP + "Instructor", "learner": MEMBERSHIP + "Learner"}

NAMES = ("name", "given_name", "middle_name", "family_name", "preferred_username")
REGISTERED = ("iss", "aud", "azp", "sub", "nonce", "iat", "exp")
PERSONAL = (*NAMES, "email", "locale", "picture")
CONTEXT, ROLES = LTI + "context", LTI + "roles"


@dataclass(frozen=True, slots=True)
class Change:
    """How a message differs from the one a good platform sends. Claims are named in full; None in `header` leaves the
    header out; where `only` names claims, no others are kept of the good message."""

    claims: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    header: Mapping[str, str | None] = field(default_factory=dict)
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `code` is the stable code that a refusal must name; None: the message must be taken, and the person
    must be let in as `opens_as`. `messages` are sent one after the other: the test passes when all of them do."""

    number: int
    name: str
    kind: Kind
    role: Role
    differs: str
    expects: str
    opens_as: Role = "learner"
    code: str | None = None
    messages: tuple[Change, ...] = (Change(),)


def altered(claims: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The claims with the change made."""
    kept = {name: value for name, value in claims.items() if change.only is None or name in change.only}
    return {**{name: value for name, value in kept.items() if name not in change.without}, **change.claims}


def altered_header(header: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The JWT's header with the change made."""
    return {name: value for name, value in {**header, **change.header}.items() if value is not None}


def _refused(number: int, name: str, told: str, differs: str, *messages: Change) -> Case:
    return Case(number, name, "launch", "teacher", differs, "refused", code=told, messages=messages)


def _opened(number: int, name: str, role: Role, opens_as: Role, differs: str, *messages: Change) -> Case:
    expects = f"opened as a {opens_as}"
    return Case(number, name, "launch", role, differs, expects, opens_as, messages=messages or (Change(),))


def _without(*names: str) -> Change:
    return Change(without=names)


def _roles(*roles: str) -> Change:
    return Change({ROLES: list(roles)})


NOTHING = "nothing: a complete message"

REFUSALS = (
    _refused(
        1,
        "No KID sent in JWT header",
        "key_id_missing",
        "the JWT's header names no key",
        Change(header={"kid": None}),
    ),
    _refused(
        2,
        "Incorrect KID in JWT header",
        "key_unknown",
        "the JWT's header names a key that is not in the platform's key set",
        Change(header={"kid": "no-such-key"}),
    ),
    _refused(
        3,
        "Wrong LTI version",
        "version_wrong",
        "the version is 11.3, then not-1.3, then 2.3",
        *(Change({LTI + "version": version}) for version in ("11.3", "not-1.3", "2.3")),
    ),
    _refused(4, "No LTI version", "version_wrong", "there is no version", _without(LTI + "version")),
    _refused(
        5,
        "Invalid LTI message",
        "issuer_wrong",
        "the signed body holds a name and nothing else",
        Change({"name": "no launch"}, only=()),
    ),
    _refused(
        6,
        "Missing LTI claims",
        "version_wrong",
        "there is not one LTI claim",
        Change(only=(*REGISTERED, *PERSONAL)),
    ),
    _refused(
        7,
        "Timestamps incorrect",
        "token_expired",
        "it was issued at second 11111 and is valid until second 22222 of 1970",
        Change({"iat": 11111, "exp": 22222}),
    ),
    _refused(
        8,
        "message_type claim missing",
        "message_type_missing",
        "there is no message_type",
        _without(LTI + "message_type"),
    ),
    _refused(9, "role claim missing", "roles_wrong", "there are no roles", _without(ROLES)),
    _refused(
        10,
        "deployment_id claim missing",
        "deployment_unknown",
        "there is no deployment_id",
        _without(LTI + "deployment_id"),
    ),
    _refused(
        11,
        "resource_link_id claim missing",
        "resource_link_missing",
        "there is no resource link",
        _without(LTI + "resource_link"),
    ),
    _refused(12, "user (sub) claim missing", "subject_wrong", "there is no sub", _without("sub")),
)

TEACHER_LAUNCHES = (
    _opened(13, "Valid instructor launch", "teacher", "teacher", NOTHING),
    _opened(
        14,
        "Instructor with several roles",
        "teacher",
        "teacher",
        "the roles are the course's Instructor, the institution's Staff and Other",
        _roles(MEMBERSHIP + "Instructor", INSTITUTION + "Staff", INSTITUTION + "Other"),
    ),
    _opened(15, "Instructor, short role", "teacher", "teacher", "the role is Instructor", _roles("Instructor")),
    _opened(
        16,
        "Instructor, unknown role",
        "teacher",
        "learner",
        "the only role is one nobody knows",
        _roles(UNKNOWN_ROLE),
    ),
    _opened(17, "Instructor, no role", "teacher", "learner", 'the roles are [""]', _roles("")),
    _opened(18, "Instructor, e-mail only", "teacher", "teacher", "no names", _without(*NAMES)),
    _opened(19, "Instructor, names only", "teacher", "teacher", "no e-mail", _without("email")),
    _opened(20, "Instructor, no personal data", "teacher", "teacher", "no names, no e-mail", _without(*PERSONAL)),
    _opened(
        21,
        "Instructor, e-mail, no context",
        "teacher",
        "teacher",
        "no names, and no course is named",
        _without(*NAMES, CONTEXT),
    ),
)

LEARNER_LAUNCHES = (
    _opened(22, "Valid student launch", "learner", "learner", NOTHING),
    _opened(
        23,
        "Student with several roles",
        "learner",
        "learner",
        "the roles are the course's Learner and Mentor, and the institution's Student",
        _roles(MEMBERSHIP + "Learner", MEMBERSHIP + "Mentor", INSTITUTION + "Student"),
    ),
    _opened(24, "Student, short role", "learner", "learner", "the role is Learner", _roles("Learner")),
    _opened(
        25,
        "Student, unknown role",
        "learner",
        "learner",
        "the only role is one nobody knows",
        _roles(UNKNOWN_ROLE),
    ),
    _opened(26, "Student, no role", "learner", "learner", 'the roles are [""]', _roles("")),
    _opened(27, "Student, e-mail only", "learner", "learner", "no names", _without(*NAMES)),
    _opened(28, "Student, names only", "learner", "learner", "no e-mail", _without("email")),
    _opened(29, "Student, no personal data", "learner", "learner", "no names, no e-mail", _without(*PERSONAL)),
    _opened(
        30,
        "Student, e-mail, no context",
        "learner",
        "learner",
        "no names, and no course is named",
        _without(*NAMES, CONTEXT),
    ),
)


def _deep_linking(number: int, name: str, expects: str) -> Case:
    return Case(number, name, "deep linking", "teacher", "a deep linking request", expects, "teacher")


DEEP_LINKING = (
    Case(
        31,
        "Deep linking: request sent",
        "deep linking",
        "teacher",
        "a deep linking request without target_link_uri and without a resource link",
        "taken, and the picker opens",
        "teacher",
        messages=(_without(LTI + "target_link_uri", LTI + "resource_link"),),
    ),
    _deep_linking(32, "Deep linking: response received", "one form, posted to the return URL, with one field JWT"),
    _deep_linking(33, "Deep linking: response format", "message_type LtiDeepLinkingResponse, version 1.3.0"),
    _deep_linking(34, "Deep linking: response timestamps", "issued now, valid for minutes"),
    _deep_linking(35, "Deep linking: signature", "RS256, by a key of the tool's key set"),
    _deep_linking(36, "Deep linking: required claims", "iss, aud, nonce, deployment_id, content_items, data as sent"),
    _deep_linking(37, "Deep linking: affirm response", "the item that was picked, as the platform accepts it"),
)


def _roster(number: int, name: str, expects: str) -> Case:
    differs = "it names the platform's roster service"
    return Case(number, name, "names and roles", "teacher", differs, expects, "teacher")


NAMES_AND_ROLES = (
    _roster(38, "Names and roles: valid instructor launch", "opened as a teacher, the roster's address read"),
    _roster(39, "Names and roles: request received", "the tool asks for the roster, every page of it"),
    _roster(40, "Names and roles: JSON header", "the roster's own media type is asked for"),
    _roster(41, "Names and roles: bearer token", "the platform's own access token"),
    _roster(42, "Names and roles: bearer scope", "contextmembership.readonly"),
)

ASSIGNMENT_AND_GRADES = (
    Case(
        43,
        "Assignment and grades: line item and score",
        "assignment and grades",
        "learner",
        "it names the platform's line items, and no line item",
        "the tool makes a line item of its own and posts a score to it",
    ),
)

CASES: tuple[Case, ...] = (
    *REFUSALS,
    *TEACHER_LAUNCHES,
    *LEARNER_LAUNCHES,
    *DEEP_LINKING,
    *NAMES_AND_ROLES,
    *ASSIGNMENT_AND_GRADES,
)


def case_of(number: int) -> Case:
    """The test of this number, from 1."""
    return CASES[number - 1]

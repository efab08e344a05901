"""The messages of the generic platform: what a good platform says, complete, before a test changes anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.cases import ROLE_URIS, Case, Role
from lti_tool.lti.claims import AGS, LTI, NRPS

# The specifications' own names, written again: what the tool calls them is what is under test.
DL_SETTINGS = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
AGS_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/"
LINE_ITEM_SCOPE, RESULT_SCOPE, SCORE_SCOPE = (AGS_SCOPE + each for each in ("lineitem", "result.readonly", "score"))
ROSTER_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"

# Opaque to the tool, and easily damaged on the way: it must come back byte for byte.
DATA = "csrf=a1+b2/c3==&for=the unit \u201eÜbung\u201c;<&>"
LIFE_SECONDS = 3600

PEOPLE: Mapping[Role, Mapping[str, str]] = {
    "teacher": {
        "sub": "certification-teacher",
        "name": "Ida Certified",
        "given_name": "Ida",
        "family_name": "Certified",
        "email": "ida@example.org",
        "locale": "en",
    },
    "learner": {
        "sub": "certification-learner",
        "name": "Maya Certified",
        "given_name": "Maya",
        "family_name": "Certified",
        "email": "maya@example.org",
        "locale": "en",
    },
}


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit that is launched: where the platform is, what it calls itself and the tool, what the unit opens."""

    platform_url: str
    client_id: str
    deployment_id: str
    target_link_uri: str
    module_id: str


def claims_for(case: Case, unit: Unit, nonce: str, now: int) -> dict[str, Any]:
    """The claims of this test's message before its change. `now` is Unix seconds."""
    return {
        "iss": unit.platform_url,
        "aud": unit.client_id,
        "azp": unit.client_id,
        "nonce": nonce,
        "iat": now,
        "exp": now + LIFE_SECONDS,
        **PEOPLE[case.role],
        **_prefixed(_common(case, unit)),
        **_of_kind(case, unit),
    }


def _common(case: Case, unit: Unit) -> dict[str, Any]:
    return {
        "version": "1.3.0",
        "deployment_id": unit.deployment_id,
        "roles": [ROLE_URIS[case.role]],
        "context": {
            "id": "certification-course",
            "label": "CERT",
            "title": "Certification course",
            "type": ["http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"],
        },
        "launch_presentation": {"document_target": "iframe", "locale": "en"},
        "tool_platform": {"guid": "certification", "name": "Generic platform", "product_family_code": "generic"},
    }


def _of_kind(case: Case, unit: Unit) -> dict[str, Any]:
    """What only messages of this kind carry."""
    if case.kind == "deep linking":
        return {LTI + "message_type": "LtiDeepLinkingRequest", DL_SETTINGS: _settings(unit)}
    link = {
        "message_type": "LtiResourceLinkRequest",
        "target_link_uri": unit.target_link_uri,
        "resource_link": {"id": f"unit for {case.kind}", "title": "Certification", "description": "A unit of a course"},
    }
    return _prefixed(link) | _services(case, unit)


def _services(case: Case, unit: Unit) -> dict[str, Any]:
    if case.kind == "names and roles":
        url = f"{unit.platform_url}/memberships"
        return {NRPS: {"context_memberships_url": url, "service_versions": ["2.0"]}}
    if case.kind == "assignment and grades":
        scopes = [LINE_ITEM_SCOPE, RESULT_SCOPE, SCORE_SCOPE]
        endpoint = {"scope": scopes, "lineitems": f"{unit.platform_url}/lineitems"}
        return {AGS: endpoint, LTI + "custom": {"module_id": unit.module_id}}
    return {}


def _settings(unit: Unit) -> dict[str, Any]:
    return {
        "deep_link_return_url": f"{unit.platform_url}/deep-linking/return",
        "accept_types": ["ltiResourceLink", "link"],
        "accept_presentation_document_targets": ["iframe", "window"],
        "accept_multiple": False,
        "accept_lineitem": True,
        "auto_create": False,
        "data": DATA,
    }


def _prefixed(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {LTI + name: value for name, value in claims.items()}

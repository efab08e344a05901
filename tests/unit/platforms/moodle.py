"""A Moodle that registers tools dynamically, at the wire: what it says of itself and answers (moodle.md §9)."""

from typing import Any

import responses

from lti_tool.lti.dynamic_registration import PLATFORM, TOOL

SITE = "https://moodle.example.org"
CONFIGURATION_URL = f"{SITE}/mod/lti/openid-configuration.php"
REGISTRATION_URL = f"{SITE}/mod/lti/openid-registration.php"
TOKEN = "the-registration-token-of-moodle"


def configuration(**changed: Any) -> dict[str, Any]:
    """What stands at the configuration's address."""
    return {
        "issuer": SITE,
        "token_endpoint": f"{SITE}/mod/lti/token.php",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
        "jwks_uri": f"{SITE}/mod/lti/certs.php",
        "authorization_endpoint": f"{SITE}/mod/lti/auth.php",
        "registration_endpoint": REGISTRATION_URL,
        "scopes_supported": ["openid", "https://purl.imsglobal.org/spec/lti-ags/scope/score"],
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["sub", "iss", "name", "given_name", "family_name", "email"],
        PLATFORM: {
            "product_family_code": "moodle",
            "version": "4.5.6",
            "messages_supported": [
                {"type": "LtiResourceLinkRequest"},
                {"type": "LtiDeepLinkingRequest", "placements": ["ContentArea"]},
            ],
            "variables": ["Context.id"],
        },
    } | changed


def answer(**changed: Any) -> dict[str, Any]:
    """The registration as Moodle has taken it."""
    return {"client_id": "moodle-client", TOOL: {"version": "0.0.1", "deployment_id": "3"}} | changed


def serve(
    wire: responses.RequestsMock, described: dict[str, Any] | None = None, answered: dict[str, Any] | None = None
) -> responses.BaseResponse:
    """Answer for both addresses; what the tool posts can be seen in the returned one's calls."""
    wire.get(CONFIGURATION_URL, json=described or configuration())
    return wire.post(REGISTRATION_URL, json=answered or answer())

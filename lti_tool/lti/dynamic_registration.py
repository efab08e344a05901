"""The documents of LTI Dynamic Registration 1.0: the platform's configuration, our registration, and the answer to it.

Reading and building only: nothing is asked for here (facts: lti.md §13, moodle.md §9).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lti_tool.errors import BadInput
from lti_tool.lti.login import LAUNCH_PATH, LOGIN_PATH
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import LONGEST_ADDRESS, LONGEST_TEXT, NewRegistration, origin

PLATFORM = "https://purl.imsglobal.org/spec/lti-platform-configuration"
TOOL = "https://purl.imsglobal.org/spec/lti-tool-configuration"
SCOPES = (
    "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem",
    "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem.readonly",
    "https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly",
    "https://purl.imsglobal.org/spec/lti-ags/scope/score",
    "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly",
)
# Asked for only where the platform says that it has them.
RARE_SCOPES = (
    "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly",
    "https://purl.imsglobal.org/spec/lti/scope/noticehandlers",
)
# What the tool uses of a person; platforms decide by this list what they share (moodle.md §9).
CLAIMS = ("iss", "sub", "name", "email")
RESOURCE_LINK, DEEP_LINKING, SUBMISSION_REVIEW = (
    "LtiResourceLinkRequest",
    "LtiDeepLinkingRequest",
    "LtiSubmissionReviewRequest",
)
# Where a teacher picks content: the specification's placement, and Canvas' own two.
PICKING = ("ContentArea", "assignment_selection", "link_selection")

ADDRESSES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
ENDPOINTS = (*ADDRESSES, "registration_endpoint")
# Member of the configuration → what it must list.
NEEDED = {
    "token_endpoint_auth_methods_supported": "private_key_jwt",
    "token_endpoint_auth_signing_alg_values_supported": "RS256",
    "id_token_signing_alg_values_supported": "RS256",
    "response_types_supported": "id_token",
}
# What may stand in a header of ours.
TOKEN = re.compile(r"[\x21-\x7e]{0,4096}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a platform's administrator opened the link with: the invitation, the address of the platform's
    configuration, and the token that is good for one registration ("" if the platform gave none)."""

    invitation: str
    configuration_url: str
    token: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """A platform as it describes itself. `messages` gives the placements of each message type it supports."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    registration_endpoint: str
    token_audience: str | None
    product_family: str
    scopes: frozenset[str]
    messages: Mapping[str, frozenset[str]]

    @property
    def profile(self) -> str:
        """The profile of this product (quirks.PROFILES); "generic" for one without a profile here."""
        return self.product_family if self.product_family in PROFILES else "generic"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform made of our registration; the deployment id where it has made a deployment (lti.md DR-4)."""

    client_id: str
    deployment_id: str | None


def read_asked(given: Mapping[str, str]) -> Asked:
    """The parameters of an invitation link as a platform opens it.

    A platform that does not look adds its first parameter with a second "?" instead of "&"; then it hangs on the
    invitation. Raises BadInput `registration_token_wrong` or `registration_address_wrong`.
    """
    invitation, _, hanging = given.get("invitation", "").partition("?")
    name, _, value = hanging.partition("=")
    values = {name: value, **given}
    asked = Asked(invitation, values.get("openid_configuration", ""), values.get("registration_token", ""))
    if not TOKEN.fullmatch(asked.token):
        message = "The learning platform's registration token cannot be sent back: it holds other than plain signs."
        raise BadInput("registration_token_wrong", message, "Begin the registration in the platform again.")
    if asked.configuration_url and not _is_address(asked.configuration_url):
        message = "The learning platform did not say where it describes itself: that is no web address."
        raise BadInput("registration_address_wrong", message, "Begin the registration in the platform again.")
    return asked


def read_configuration(body: bytes, url: str) -> Configuration:
    """The configuration that was found at `url`.

    Raises BadInput: `configuration_unreadable`, `configuration_incomplete`, `configuration_unfit`, `issuer_foreign`
    (lti.md DR-2: a site may speak only for itself), `audience_foreign`.
    """
    try:
        document = _parsed(body)
    except ValueError as error:
        message = "The learning platform's description of itself cannot be read."
        next_step = "Open its address in a browser: it must show JSON."
        raise BadInput("configuration_unreadable", message, next_step) from error
    for name in ("issuer", *ENDPOINTS):
        if not _is_address(document.get(name), LONGEST_TEXT if name == "issuer" else LONGEST_ADDRESS):
            raise _incomplete(name)
    for name, value in NEEDED.items():
        if value not in _texts(document.get(name)):
            raise BadInput(
                "configuration_unfit",
                f"The learning platform does not offer what LTI 1.3 needs: {name} lacks {value}.",
                "Tell the people who run the platform, or register it by its values (`gatehouse platform add`).",
            )
    described = document.get(PLATFORM)
    if not isinstance(described, dict):
        raise _incomplete(PLATFORM)
    if origin(document["issuer"]) != origin(url):
        message = "The learning platform's description names an issuer that is not at the address it came from."
        raise BadInput("issuer_foreign", message, "Register the platform at its own address, or by its values.")
    family, listed = described.get("product_family_code"), described.get("messages_supported")
    # Message type → its placements; what is not in the specification's form is passed over.
    messages = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return Configuration(
        issuer=document["issuer"],
        **{name: document[name] for name in ENDPOINTS},
        token_audience=_audience(document),
        product_family=family.lower() if isinstance(family, str) else "",
        scopes=_texts(document.get("scopes_supported")),
        messages={
            each["type"]: _texts(each.get("placements")) for each in messages if isinstance(each.get("type"), str)
        },
    )


def registration_document(public_url: str, platform: Configuration) -> dict[str, Any]:
    """What we ask the platform to register (lti.md DR-3). `public_url` is the tool's own origin."""
    launch_url = public_url + LAUNCH_PATH
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["client_credentials", "implicit"],
        "initiate_login_uri": public_url + LOGIN_PATH,
        "redirect_uris": [launch_url],
        "client_name": "Gatehouse",
        "jwks_uri": f"{public_url}/lti/jwks.json",
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": " ".join([*SCOPES, *(each for each in RARE_SCOPES if each in platform.scopes)]),
        TOOL: {
            "domain": urlsplit(public_url).netloc,
            "description": "Gated training modules, live sessions, credit and retreats",
            "target_link_uri": launch_url,
            "custom_parameters": {},
            "claims": list(CLAIMS),
            "messages": _messages(launch_url, platform),
        },
    }


def read_answer(body: bytes) -> Answer:
    """The platform's answer to our registration. Raises BadInput `registration_answer_unreadable`."""
    try:
        document = _parsed(body)
        tool = document.get(TOOL)
        deployment = tool.get("deployment_id") if isinstance(tool, dict) else None
        return Answer(_id(document.get("client_id")), None if deployment in (None, "") else _id(deployment))
    except ValueError as error:
        raise BadInput(
            "registration_answer_unreadable",
            "The learning platform took the registration, but its answer cannot be read.",
            "Read the client id in the platform's settings and register it by its values (`gatehouse platform add`).",
        ) from error


def new_registration(platform: Configuration, client_id: str) -> NewRegistration:
    """What is kept of a platform that has registered."""
    return NewRegistration(
        issuer=platform.issuer,
        client_id=client_id,
        auth_login_url=platform.authorization_endpoint,
        token_url=platform.token_endpoint,
        key_set_url=platform.jwks_uri,
        token_audience=platform.token_audience,
        profile=platform.profile,
    )


def _audience(document: Mapping[str, Any]) -> str | None:
    """The audience of token requests, where it is not the token endpoint (Canvas): an address, or only a host. What we
    sign for one platform must not be good at another."""
    audience = document.get("authorization_server")
    if not isinstance(audience, str) or not _is_id(audience):
        return None
    own = {origin(document[name]) for name in ("issuer", *ADDRESSES)}
    if not own.intersection({origin(audience), origin(f"https://{audience}")} - {None}):
        message = "The learning platform's description names an authorization server that is not at its own addresses."
        raise BadInput("audience_foreign", message, "Register the platform by its values (`gatehouse platform add`).")
    return audience


def _messages(launch_url: str, platform: Configuration) -> list[dict[str, Any]]:
    """The messages we take; a review only where the platform has it, a placement only where it is listed."""
    picking: dict[str, Any] = {
        "type": DEEP_LINKING,
        "target_link_uri": launch_url,
        "label": "Pick what this link opens",
    }
    placements = [each for each in PICKING if each in platform.messages.get(DEEP_LINKING, ())]
    if placements:
        picking["placements"] = placements
    messages = [{"type": RESOURCE_LINK, "target_link_uri": launch_url, "label": "Training"}, picking]
    if SUBMISSION_REVIEW in platform.messages:
        messages.append({"type": SUBMISSION_REVIEW, "target_link_uri": launch_url, "label": "Attendance"})
    return messages


def _parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises ValueError for anything else, however deep."""
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


def _id(value: Any) -> str:
    """An id as text; some platforms send a number. Raises ValueError."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not _is_id(text):
        raise ValueError("no id")
    return str(text)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= LONGEST_TEXT and value.isprintable()


def _texts(value: Any) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()


def _is_address(value: Any, longest: int = LONGEST_ADDRESS) -> bool:
    return isinstance(value, str) and len(value) <= longest and value.isprintable() and origin(value) is not None


def _incomplete(name: str) -> BadInput:
    return BadInput(
        "configuration_incomplete",
        f"The learning platform's description of itself lacks a usable {name}.",
        "Tell the people who run the platform, or register it by its values (`gatehouse platform add`).",
    )

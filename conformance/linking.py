"""The tests of deep linking: a teacher picks in the tool, and the platform gets the answer."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.launching import Launched, opened
from conformance.messages import DL_SETTINGS
from conformance.parties import Platform, Returned
from conformance.results import Finding
from conformance.tool import Tool
from conformance.trust import ToolTrust
from conformance.visitor import Form, Page
from lti_tool.http import Http
from lti_tool.lti.claims import DL, LTI

LONGEST_LIFE_SECONDS = 600
SKEW_SECONDS = 60
# What every platform keeps of an item.
KEPT = ("type", "url", "title", "custom")


@dataclass(frozen=True, slots=True)
class Picked:
    """One choice: the settings the platform sent, the page with the answer, what its JWT says, and what the platform
    made of it. `claims` are verified by the tool's key set."""

    settings: Mapping[str, Any]
    page: Page
    form: Form
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    returned: Returned
    answered_at: float
    expected: Mapping[str, str]


def find(number: int, tool: Tool, platform: Platform, launched: Launched) -> Iterator[Finding]:
    """What must hold in the deep linking test of this number."""
    yield from opened("teacher", launched)
    path = launched.opened.path
    yield Finding("The picker opens", path.startswith("/deep-linking/"), path)
    if number in LOOKS:
        yield from LOOKS[number](pick(tool, platform, launched))


def pick(tool: Tool, platform: Platform, launched: Launched) -> Picked:
    """Choose the first thing that the picker offers, and send the answer where it goes."""
    picker = next(form for form in launched.opened.forms if "choice" in form.offered)
    fields = {**picker.fields, "choice": picker.offered["choice"][0]}
    page = launched.visitor.post(tool.public_url + picker.action, fields)
    answered_at = time.time()
    form = next((each for each in page.forms if "JWT" in each.fields), Form("", ""))
    trust = ToolTrust(Http(allow_private_addresses=True), tool.key_set_url, platform.expected_return()["iss"])
    header, claims = trust.verify(form.fields.get("JWT", ""), options={"verify_aud": False})
    returned = platform.take_return(form.action, form.fields)
    settings = launched.answer.claims[DL_SETTINGS]
    return Picked(settings, page, form, header, claims, returned, answered_at, platform.expected_return())


def _form(picked: Picked) -> Iterator[Finding]:
    form, url = picked.form, picked.settings["deep_link_return_url"]
    yield Finding("A form is posted", form.method == "post", form.method or "no form")
    yield Finding("It goes to the platform's return URL", form.action == url, form.action)
    yield Finding("Its one field is JWT", list(form.fields) == ["JWT"], ", ".join(form.fields))


def _format(picked: Picked) -> Iterator[Finding]:
    for name, value in (("message_type", "LtiDeepLinkingResponse"), ("version", "1.3.0")):
        yield _says(picked, LTI + name, value, name)


def _times(picked: Picked) -> Iterator[Finding]:
    issued, expires = picked.claims["iat"], picked.claims["exp"]
    age, life = round(picked.answered_at - issued), expires - issued
    yield Finding("It was issued just now", abs(age) <= SKEW_SECONDS, f"{age} s before it was sent")
    yield Finding("It is valid for minutes", 0 < life <= LONGEST_LIFE_SECONDS, f"{life} s")


def _signature(picked: Picked) -> Iterator[Finding]:
    header, status = picked.header, picked.returned.status
    yield Finding("It is signed with RS256", header["alg"] == "RS256", header["alg"])
    yield Finding("A key of the tool's key set verifies it", bool(picked.claims), f"kid {header['kid']}")
    yield Finding("The platform takes it", status == 200, f"status {status}")


def _claims(picked: Picked) -> Iterator[Finding]:
    expected = picked.expected
    yield _says(picked, "iss", expected["iss"], "iss is our client id")
    yield _says(picked, "aud", expected["aud"], "aud is the platform's issuer")
    yield _says(picked, LTI + "deployment_id", expected["deployment_id"], "deployment_id")
    yield Finding(
        "There is a nonce", bool(picked.claims.get("nonce")), f"{len(str(picked.claims['nonce']))} characters"
    )
    items = picked.claims.get(DL + "content_items")
    yield Finding("There is a list of content items", isinstance(items, list), type(items).__name__)
    sent, echoed = picked.settings.get("data"), picked.claims.get(DL + "data")
    yield Finding("data comes back as it was sent", echoed == sent, "the same text" if sent else "none was sent")


def _affirmed(picked: Picked) -> Iterator[Finding]:
    items, kept = picked.claims[DL + "content_items"], picked.returned.kept
    yield Finding("One item was picked", len(items) == 1, f"{len(items)} items")
    accepted = picked.settings["accept_types"]
    yield Finding("It is of a type the platform accepts", items[0]["type"] in accepted, items[0]["type"])
    custom = items[0].get("custom", {})
    texts = bool(custom) and all(isinstance(value, str) and value for value in custom.values())
    yield Finding(
        "Its custom parameters are text, and there are some", texts, ", ".join(f"{k}={v}" for k, v in custom.items())
    )
    same = len(kept) == 1 and all(kept[0].get(name) == items[0].get(name) for name in KEPT)
    yield Finding(
        "The platform keeps it as it was picked", same, str(kept[0].get("url")) if kept else "nothing is kept"
    )


def _says(picked: Picked, claim: str, value: str, says: str) -> Finding:
    return Finding(f"It says so: {says}", picked.claims.get(claim) == value, str(picked.claims.get(claim)))


LOOKS: Mapping[int, Callable[[Picked], Iterator[Finding]]] = {
    32: _form,
    33: _format,
    34: _times,
    35: _signature,
    36: _claims,
    37: _affirmed,
}

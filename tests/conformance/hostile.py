"""Hostile messages: good ones with anything in them exchanged, and bytes that are no message at all."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from conformance.messages import DL_SETTINGS
from lti_tool.lti.claims import AGS, GROUPS, LTI, NOTICES, NRPS

HUGE = 70_000
# Texts that have broken software before: halves of surrogate pairs, NUL, direction marks, markup, templates, paths.
KNOWN_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "\r\n Set-Cookie: a=b", "<b>x</b>",
    "{{7*7}}", "%00", "%s%n", "../../etc/passwd", "javascript:alert(1)", "//evil.example", "http://[::1", "https://a:99999999/",
    "https://gatehouse.example.org\\@evil.example/", "https://gatehouse.example.org/modules/%ff", "null", "true", "-1",
    "1e999", "x" * 256, "ü" * 3000, "9" * 400, "İ", "ﬀ", "🧑" * 100, "module_id", "$Context.id", "F1",
)  # fmt: skip
texts = (
    st.sampled_from(KNOWN_TEXTS)
    | st.text(max_size=40)
    | st.text(st.characters(categories=["Cs", "Cc", "Co"]), max_size=8)
)
numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**70), 10**400, 1e308, 0.1, -0.0])
plain = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)


def nested(depth: int) -> list[Any]:
    """A list in a list in a list: deep enough that a careless reader runs out of stack."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


anything = values | st.sampled_from([nested(200), "x" * HUGE, ["x"] * 5000, {str(n): n for n in range(3000)}])

CLAIMS = (
    "iss", "aud", "azp", "sub", "nonce", "iat", "exp", "nbf", "name", "given_name", "family_name", "email", "locale",
    *(LTI + name for name in ("message_type", "version", "deployment_id", "target_link_uri", "roles", "resource_link",
                              "context", "custom", "launch_presentation", "tool_platform", "for_user", "lis", "ext")),
    AGS, NRPS, GROUPS, NOTICES, DL_SETTINGS,
)  # fmt: skip
INNER = (
    "id", "title", "label", "type", "description", "scope", "lineitem", "lineitems", "context_memberships_url",
    "service_versions", "module_id", "page", "retreat_id", "score", "user_id", "deep_link_return_url", "accept_types",
    "accept_multiple", "accept_lineitem", "data", "text", "context_groups_url", "platform_notification_service_url",
)  # fmt: skip
MESSAGES = ("LtiResourceLinkRequest", "LtiDeepLinkingRequest", "LtiSubmissionReviewRequest")
HEADERS = ("alg", "kid", "typ", "jku", "x5u", "jwk", "x5c", "crit", "b64", "cty", "zip")
CONTENT_TYPES = (
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "application/json", "text/plain", "",
    "a/b; c=\x80", "application/x-www-form-urlencoded; charset=no-such-charset", "\x7f",
)  # fmt: skip

# One change inside a JSON object: a whole claim, or one entry of what a claim holds.
claim_change = st.tuples(st.sampled_from(CLAIMS) | texts, st.none() | st.sampled_from(INNER) | texts, anything)


@dataclass(frozen=True)
class Launch:
    """What is wrong with one launch message. `token` replaces the whole signed token, `form` and `body` what is
    posted."""

    message: str
    claims: list[tuple[str, str | None, Any]] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)
    token: "tuple[str, Any] | None" = None
    form: list[tuple[str, str]] = field(default_factory=list)
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    with_cookies: bool = True


token_damage = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 900)),
    st.tuples(st.just("part"), st.tuples(st.integers(0, 2), st.binary(max_size=60))),
    st.tuples(st.just("json"), st.tuples(st.integers(0, 1), anything)),
    st.tuples(st.just("whole"), texts | st.just("." * HUGE) | st.just("a.b.c") | st.just("A" * HUGE)),
    st.tuples(st.just("flip"), st.integers(0, 900)),
)
latin = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
http_headers = st.dictionaries(
    st.sampled_from(
        ["Origin", "Referer", "Accept", "Accept-Language", "X-Forwarded-For", "Host", "Cookie", "Authorization"]
    ),
    latin,
    max_size=3,
)
form_fields = st.lists(
    st.tuples(
        st.sampled_from(["id_token", "state", "error", "error_description", "stored", "lti_storage_target"]) | texts,
        texts,
    ),
    max_size=4,
)
launches = st.builds(
    Launch,
    message=st.sampled_from(MESSAGES),
    claims=st.lists(claim_change, max_size=3),
    without=st.lists(st.sampled_from(CLAIMS), max_size=2),
    header=st.just({}) | st.dictionaries(st.sampled_from(HEADERS), anything, max_size=2),
    token=st.none() | st.none() | token_damage,
    form=st.just([]) | st.just([]) | form_fields,
    content_type=st.none() | st.none() | st.sampled_from(CONTENT_TYPES),
    headers=st.just({}) | http_headers,
    with_cookies=st.sampled_from([True, True, True, False]),
)

LOGIN_FIELDS = (
    "iss", "client_id", "login_hint", "lti_message_hint", "target_link_uri", "lti_deployment_id", "lti_storage_target",
)  # fmt: skip


@dataclass(frozen=True)
class Login:
    """What is wrong with one login request; `raw` replaces everything that is sent."""

    method: str
    changed: dict[str, str] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    repeated: list[tuple[str, str]] = field(default_factory=list)
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


logins = st.builds(
    Login,
    method=st.sampled_from(["GET", "POST"]),
    changed=st.dictionaries(st.sampled_from(LOGIN_FIELDS), texts | st.just("h" * HUGE), max_size=3),
    without=st.lists(st.sampled_from(LOGIN_FIELDS), max_size=2),
    repeated=st.lists(st.tuples(st.sampled_from(LOGIN_FIELDS) | texts, texts), max_size=3),
    content_type=st.none() | st.none() | st.sampled_from(CONTENT_TYPES),
    headers=st.just({}) | http_headers,
    raw=st.none() | st.none() | st.binary(max_size=300),
)


def changed_claims(claims: Mapping[str, Any], attack: Launch) -> dict[str, Any]:
    """The claims of a good message with what the attack exchanges."""
    found = {name: value for name, value in claims.items() if name not in attack.without}
    for claim, inner, value in attack.claims:
        if inner is None:
            found[claim] = value
        else:
            holds = found.get(claim)
            found[claim] = {**(holds if isinstance(holds, dict) else {}), inner: value}
    return found


def damaged(token: str, attack: Launch) -> str:
    """A signed token with the attack's damage; what is exchanged in it is no longer signed."""
    how, what = attack.token or ("none", None)
    parts = token.split(".")
    if how == "cut":
        return token[:what]
    if how == "whole":
        return str(what)
    if how == "flip":
        place = what % len(token)
        return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    if how in ("part", "json"):
        place, value = what
        raw = value if how == "part" else json.dumps(value).encode()
        parts[place] = urlsafe_b64encode(raw).rstrip(b"=").decode()
    return ".".join(parts)


def encoded(fields: list[tuple[str, str]]) -> bytes:
    """A form body or query; halves of surrogate pairs go out as the bytes that a careless program would send."""
    pairs = (f"{_quoted(name)}={_quoted(value)}" for name, value in fields)
    return "&".join(pairs).encode()


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


# Over a socket: requests that are nearly right, and bytes.
LINES = (
    b"POST /lti/launch HTTP/1.1", b"GET /lti/login HTTP/1.1", b"POST /lti/login HTTP/1.0", b"POST /lti/launch HTTP/9.9",
    b"GET /lti/login?" + b"a=%ff&" * 3000 + b" HTTP/1.1", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0", b"GET  HTTP/1.1",
    b"POST http://evil.example/lti/launch HTTP/1.1", b"OPTIONS * HTTP/1.1", b"get /lti/login http/1.1",
)  # fmt: skip
HEADER_LINES = (
    b"Host: 127.0.0.1", b"Host: a\x00b", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: " + b"9" * 20,
    b"Content-Length: 5, 6", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, gzip", b"Upgrade: h2c",
    b"Expect: 100-continue", b"Content-Type: application/x-www-form-urlencoded", b": nameless", b" folded",
    b"Content-Type: multipart/form-data; boundary=\xff", b"Cookie: __Host-gatehouse=\xff\xfe", b"X: " + b"y" * 20_000,
    b"Connection: close",
)  # fmt: skip
BODIES = (b"", b"state=a&id_token=b", b"5\r\nstate\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"zz\r\n", b"\x00" * 64)
nearly_http = st.builds(
    lambda line, headers, body: b"\r\n".join([line, *headers, b"", body]),
    st.sampled_from(LINES),
    st.lists(st.sampled_from(HEADER_LINES), max_size=6),
    st.sampled_from(BODIES) | st.binary(max_size=80),
)
raw_requests = nearly_http | st.binary(min_size=1, max_size=400)

"""The addresses of the generic platform, and what it answers there."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, Unauthorized
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from conformance.messages import LINE_ITEM_SCOPE, RESULT_SCOPE, ROSTER_SCOPE, SCORE_SCOPE
from conformance.parties import Heard, Service, digest
from conformance.services import Services
from conformance.trust import NotTrusted, ToolTrust
from lti_tool.lti.claims import DL

TOKEN_SECONDS = 3600
# What lti.md OIDC-3 asks of an authentication request.
FIXED = {"scope": "openid", "response_type": "id_token", "response_mode": "form_post", "prompt": "none"}
SCOPES = (LINE_ITEM_SCOPE, f"{LINE_ITEM_SCOPE}.readonly", RESULT_SCOPE, SCORE_SCOPE, ROSTER_SCOPE)
NEEDED = ("client_id", "redirect_uri", "login_hint", "lti_message_hint", "state", "nonce")

RULES = (
    Rule("/auth", endpoint="auth", methods=["GET"]),
    Rule("/keys", endpoint="keys", methods=["GET"]),
    Rule("/token", endpoint="token", methods=["POST"]),
    Rule("/deep-linking/return", endpoint="take_return", methods=["POST"]),
    Rule("/memberships", endpoint="memberships", methods=["GET"]),
    Rule("/lineitems", endpoint="list_items", methods=["GET"]),
    Rule("/lineitems", endpoint="create_item", methods=["POST"]),
    Rule("/lineitems/<int:number>", endpoint="show_item", methods=["GET"]),
    Rule("/lineitems/<int:number>", endpoint="change_item", methods=["PUT"]),
    Rule("/lineitems/<int:number>/scores", endpoint="take_score", methods=["POST"]),
    Rule("/lineitems/<int:number>/results", endpoint="results", methods=["GET"]),
)
SERVICE_OF: Mapping[str, Service] = {
    "token": "token",
    "memberships": "roster",
    "list_items": "line_items",
    "create_item": "line_items",
    "show_item": "line_item",
    "change_item": "line_item",
    "take_score": "scores",
    "results": "results",
}

Sign = Callable[[Mapping[str, str]], str]


@dataclass
class Endpoints:
    """The platform as a WSGI application. `sign` makes the id_token for the parameters of an authentication request;
    `heard` grows as the tool speaks, `items` are those of the last deep linking response."""

    url: str
    key_set: Mapping[str, Any]
    redirect_uri: str
    trust: ToolTrust
    services: Services
    sign: Sign
    heard: list[Heard] = field(default_factory=list)
    items: list[Mapping[str, Any]] = field(default_factory=list)
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _routes: Map = field(default_factory=lambda: Map([rule.empty() for rule in RULES]))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            name, places = self._routes.bind_to_environ(environ).match()
            response = self._answer(request, name, places)
        except HTTPException as refusal:
            response = Response(refusal.description, refusal.code)
        return response(environ, start_response)

    def _answer(self, request: Request, name: str, places: Mapping[str, Any]) -> Response:
        if name not in SERVICE_OF:
            own: Callable[[Request], Response] = getattr(self, name)
            return own(request)
        try:
            response = self.token(request) if name == "token" else self._service(request, name, places)
        except HTTPException as refusal:
            response = Response(refusal.description, refusal.code)
        self.heard.append(self._heard(request, SERVICE_OF[name], response))
        return response

    def _service(self, request: Request, name: str, places: Mapping[str, Any]) -> Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            raise Unauthorized("no access token of this platform")
        serve: Callable[..., Response] = getattr(self.services, name)
        return serve(request, self.tokens[token], **places)

    def auth(self, request: Request) -> Response:
        """The authentication request, answered with a form that posts itself (lti.md OIDC-3)."""
        given = request.args.to_dict()
        wrong = [name for name, value in FIXED.items() if given.get(name) != value]
        wrong += [name for name in NEEDED if not given.get(name)]
        if wrong or given["redirect_uri"] != self.redirect_uri or given["client_id"] != self.trust.client_id:
            raise BadRequest("not an authentication request: " + ", ".join(wrong or ["redirect_uri or client_id"]))
        fields = {"state": given["state"], "id_token": self.sign(given)}
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items()
        )
        form = f'<form method="post" action="{escape(self.redirect_uri)}">{inputs}<button>Continue</button></form>'
        return Response(f"<!doctype html><title>Continue</title>{form}", mimetype="text/html")

    def keys(self, _request: Request) -> Response:
        return _json(self.key_set)

    def token(self, request: Request) -> Response:
        """The client credentials grant with a JWT assertion (lti.md TK-1, TK-2). Unknown scopes are left out."""
        form = request.form.to_dict()
        try:
            self.trust.verify_assertion(form, f"{self.url}/token")
        except NotTrusted as error:
            return _json({"error": "invalid_client", "error_description": str(error)}, 400)
        token = secrets.token_urlsafe(32)
        self.tokens[token] = granted = _granted(form)
        scope = " ".join(granted)
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": scope})

    def take_return(self, request: Request) -> Response:
        """The deep linking response, kept when it verifies."""
        try:
            _, claims = self.trust.verify(request.form.get("JWT", ""), audience=self.url, issuer=self.trust.client_id)
        except NotTrusted as error:
            raise BadRequest(str(error)) from error
        self.items = list(claims.get(DL + "content_items", []))
        return Response("<!doctype html><title>Taken</title>", mimetype="text/html")

    def _heard(self, request: Request, service: Service, response: Response) -> Heard:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        scopes = self.tokens.get(token, ())
        body = _read_json(request) if service != "token" else None
        if service == "token":
            scopes = _granted(request.form) if response.status_code == 200 else ()
        return Heard(
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            service=service,
            method=request.method,
            path=request.full_path.rstrip("?"),
            status=response.status_code,
            accept=request.headers.get("Accept", ""),
            content_type=request.headers.get("Content-Type", ""),
            scheme=scheme,
            token=digest(token) if token else "",
            scopes=scopes,
            authorized=response.status_code < 400,
            body=body,
        )


def _granted(form: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(each for each in form.get("scope", "").split() if each in SCOPES)


def _read_json(request: Request) -> Any:
    try:
        return json.loads(request.get_data() or b"null")
    except ValueError:
        return None


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")

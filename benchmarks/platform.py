"""A platform that launches: one registration, one key, and ID tokens by the hundred."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from benchmarks.load import Answer, get, post

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
INSTRUCTOR = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Platform:
    """One platform, one client, one deployment. `key_set` is what it publishes."""

    issuer = "https://lms.example.org"
    client_id = "bench"
    deployment_id = "1"
    kid = "bench-key"

    def __init__(self) -> None:
        self.key = generate_private_key(public_exponent=65537, key_size=2048)
        jwk = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        self.key_set = {"keys": [{**jwk, "kid": self.kid, "alg": "RS256", "use": "sig"}]}

    def login(self, public_url: str, trainee: int) -> bytes:
        """The browser's login request, as a platform makes it."""
        parameters = {
            "iss": self.issuer,
            "client_id": self.client_id,
            "login_hint": f"user-{trainee}",
            "lti_message_hint": "m",
            "target_link_uri": f"{public_url}/lti/launch",
            "lti_deployment_id": self.deployment_id,
        }
        return post("/lti/login", urlencode(parameters).encode(), FORM)

    def launch(self, public_url: str, module: str, trainee: int, login: Answer, role: str = LEARNER) -> bytes:
        """The browser's launch request that answers this login, with the login's cookies."""
        asked = parse_qs(urlsplit(next(login.header("location"))).query)
        token = self._token(public_url, module, trainee, role, asked["nonce"][0])
        body = urlencode({"state": asked["state"][0], "id_token": token}).encode()
        return post("/lti/launch", body, {**FORM, "Cookie": cookies(login)})

    def _token(self, public_url: str, module: str, trainee: int, role: str, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": f"user-{trainee}",
            "iat": now,
            "exp": now + 600,
            "nonce": nonce,
            "name": f"Trainee {trainee}",
            "email": f"trainee-{trainee}@example.org",
            CLAIM + "message_type": "LtiResourceLinkRequest",
            CLAIM + "version": "1.3.0",
            CLAIM + "deployment_id": self.deployment_id,
            CLAIM + "target_link_uri": f"{public_url}/lti/launch",
            CLAIM + "roles": [role],
            CLAIM + "context": {"id": "course-1", "label": "C1", "title": "The course"},
            CLAIM + "resource_link": {"id": f"unit-{module}"},
            CLAIM + "custom": {"module_id": module},
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid})


def cookies(answer: Answer) -> str:
    """The Cookie header a browser would send back."""
    return "; ".join(value.partition(";")[0] for value in answer.header("set-cookie"))


def page(launch: Answer) -> bytes:
    """The request for the page a launch leads to."""
    return get(next(launch.header("location")), {"Cookie": cookies(launch)})


def pems(key: RSAPrivateKey) -> tuple[str, str]:
    """Private and public key as PEM."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@contextmanager
def published(key_set: dict[str, Any]) -> Iterator[str]:
    """Serve a key set on this machine; its address."""

    class KeySet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(key_set).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), KeySet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()

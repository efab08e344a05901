"""The sandbox's Zoom for tests, served on loopback with the webhook of a tool that takes everything."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import requests
from flask import Flask, request
from werkzeug.serving import make_server

from lti_tool.settings import Settings
from sandbox.zoom.account import Account
from sandbox.zoom.app import Stage, create_player
from sandbox.zoom.player import Player
from sandbox.zoom.rest_answers import Credentials, Rest
from tests.waiting import until

SECRET = "the secret of the player"
CREDENTIALS = Credentials()


@dataclass
class ServedZoom:
    """A Zoom on loopback; `delivered` is what its webhooks brought to the tool."""

    url: str
    rest: Rest
    stage: Stage
    delivered: list[bytes]

    def settings(self, settings: Settings, **changed: Any) -> Settings:
        """Settings of a tool that has this Zoom's credentials."""
        own = {
            "zoom_account_id": CREDENTIALS.account_id,
            "zoom_client_id": CREDENTIALS.client_id,
            "zoom_client_secret": CREDENTIALS.client_secret,
            "zoom_app_id": CREDENTIALS.app_id,
            "zoom_api_url": f"{self.url}/v2",
            "zoom_token_url": f"{self.url}/oauth/token",
            "zoom_plan": "business",
            "allow_private_addresses": True,
        }
        return replace(settings, **{**own, **changed})

    def switch(self, **changed: Any) -> None:
        assert self.post("/rest/switches", changed).status_code == 200

    def play(self, plan: Mapping[str, Any]) -> str:
        """Play a day to its end; the uuid of its first instance."""
        assert self.post("/play", plan).status_code == 202
        until(lambda: self.stage.player.report()["state"] == "ended")
        (instance,) = self.rest.account.instances_of(str(plan["meeting_id"]))[-1:]
        return instance["uuid"]

    def post(self, path: str, body: object = None) -> requests.Response:
        with requests.Session() as plain:
            plain.trust_env = False
            return plain.post(f"{self.url}{path}", json=body, timeout=(3, 20))

    def asked(self) -> list[str]:
        """Every call so far, as "METHOD path status"."""
        return [f"{each['method']} {each['path']} {each['status']}" for each in self.rest.calls]


@contextmanager
def zoom_on_loopback() -> Iterator[ServedZoom]:
    """Serve a Zoom and the webhook it plays to; both end with the block."""
    delivered: list[bytes] = []
    with _served(_sink(delivered)) as tool:
        player = Player(f"{tool}/zoom/webhook", SECRET)
        rest = Rest(player, Account("https://zoom.example.org"), CREDENTIALS)
        stage = Stage(player, rest=rest)
        with _served(create_player(stage)) as url:
            yield ServedZoom(url, rest, stage, delivered)


def _sink(delivered: list[bytes]) -> Flask:
    app = Flask("a-tool-that-takes-everything")

    @app.post("/zoom/webhook")
    def take() -> tuple[str, int]:
        delivered.append(request.get_data())
        return "", 204

    return app


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""`python -m sandbox.zoom`: the Zoom player, on loopback only."""

import argparse
import logging
import signal
import sys

from werkzeug.serving import make_server

from sandbox.zoom.account import Account
from sandbox.zoom.app import Stage, create_player
from sandbox.zoom.player import Player
from sandbox.zoom.rest_answers import Credentials, Rest


def main() -> None:
    given = _options().parse_args()
    meetings = dict(each.partition("=")[::2] for each in given.meeting)
    player = Player(f"{given.tool_url.rstrip('/')}/zoom/webhook", given.secret_token)
    credentials = Credentials(given.account_id, given.client_id, given.client_secret, given.app_id)
    rest = Rest(player, Account(f"http://localhost:{given.port}"), credentials)
    stage = Stage(player, meetings, given.state_url, given.lms, rest)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = make_server("127.0.0.1", given.port, create_player(stage), threaded=True)
    print(f"The Zoom player listens at http://localhost:{server.server_port}", flush=True)
    server.serve_forever()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.zoom", description="A Zoom that plays a training day.")
    parser.add_argument("--port", type=int, default=8082)
    parser.add_argument("--tool-url", required=True, help="where Gatehouse is, for example http://127.0.0.1:8080")
    parser.add_argument("--secret-token", required=True, help="the webhook's secret token, as Gatehouse has it")
    parser.add_argument("--state-url", default="", help="JSON with the people of the sandbox LMS")
    parser.add_argument("--lms", default="", help="the sandbox LMS, for the way back")
    parser.add_argument("--meeting", action="append", default=[], metavar="ID=LABEL", help="a class that can be played")
    usual = Credentials()
    for name in ("account_id", "client_id", "client_secret", "app_id"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=getattr(usual, name), help="what the tool signs in to the REST side with")
    return parser


if __name__ == "__main__":
    main()

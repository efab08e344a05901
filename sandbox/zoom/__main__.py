"""`python -m sandbox.zoom`: the Zoom player, on loopback only."""

import argparse
import logging
import signal
import sys

from werkzeug.serving import make_server

from sandbox.zoom.app import Stage, create_player
from sandbox.zoom.player import Player


def main() -> None:
    given = _options().parse_args()
    meetings = dict(each.partition("=")[::2] for each in given.meeting)
    player = Player(f"{given.tool_url.rstrip('/')}/zoom/webhook", given.secret_token)
    stage = Stage(player, meetings, given.state_url, given.lms)
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
    return parser


if __name__ == "__main__":
    main()

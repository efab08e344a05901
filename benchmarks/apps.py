"""The tool as it is measured: the whole application, and beside its webhook the same one without a database."""

from datetime import UTC, datetime

from flask import Response

from benchmarks.servers import TOOL_THREADS
from lti_tool.commands.serve import WebProcess
from lti_tool.log import configure
from lti_tool.settings import load_settings
from lti_tool.web.rsgi import RsgiApplication
from zoom_adapter import webhook


class Forgetful:
    """An inbox that keeps nothing: what remains is the web server, Flask, the signature and the reading."""

    def append(self, _delivery: object, timeout: float) -> str:  # noqa: ARG002
        return "stored"

    def count(self, *_refused: object) -> None:
        pass


def tool() -> RsgiApplication:
    """What `gatehouse serve --no-worker` runs, for the environment's settings."""
    settings = load_settings()
    configure(settings.log_level)
    process = WebProcess(settings, TOOL_THREADS, with_worker=False)
    server = process()
    app = process.app
    assert app is not None
    nothing = Forgetful()
    without = webhook.blueprint(settings.zoom_secret_tokens, nothing, lambda: datetime.now(UTC), nothing)  # type: ignore[arg-type]
    app.register_blueprint(without, name="without_database", url_prefix="/without-database")
    app.add_url_rule("/bare", "bare", lambda: Response(status=204), methods=["POST"])
    for path in ("/without-database/zoom/webhook", "/bare"):
        server.pools[path] = server.pools["/zoom/webhook"]
    return server

"""The tool as it is measured: the whole application, and beside its webhook the same one without a database."""

from datetime import UTC, datetime

from flask import Flask, Response

from lti_tool.commands.serve import WebProcess
from lti_tool.log import configure
from lti_tool.settings import load_settings
from zoom_adapter import webhook


class Forgetful:
    """An inbox that keeps nothing: what remains is the web server, Flask, the signature and the reading."""

    def append(self, _delivery: object) -> str:
        return "stored"

    def count(self, *_refused: object) -> None:
        pass


def tool() -> Flask:
    """What `gatehouse serve --no-worker` runs, for the environment's settings."""
    settings = load_settings()
    configure(settings.log_level)
    app = WebProcess(settings, with_worker=False)()
    nothing = Forgetful()
    without = webhook.blueprint(settings.zoom_secret_tokens, nothing, lambda: datetime.now(UTC), nothing)  # type: ignore[arg-type]
    app.register_blueprint(without, name="without_database", url_prefix="/without-database")
    app.add_url_rule("/bare", "bare", lambda: Response(status=204), methods=["POST"])
    return app

"""PyLTI1p3's Flask adapter, set up as its own example does, in an environment of its own (requirements/bench.txt).

Its key set is given in the configuration, so it never fetches one; launch data are kept in an in-process cache. It
checks state and nonce against that cache and the browser's cookies and writes nothing durable.
"""

import json
import os
from pathlib import Path

from flask import Flask, Response, redirect
from flask_caching import Cache
from pylti1p3.contrib.flask import FlaskCacheDataStorage, FlaskMessageLaunch, FlaskOIDCLogin, FlaskRequest
from pylti1p3.tool_config import ToolConfDict


def peer() -> Flask:
    """An application with /lti/login and /lti/launch for the one platform in the file named by PEER_CONFIG."""
    app = Flask(__name__)
    app.secret_key = os.urandom(32)
    app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="None")
    storage = FlaskCacheDataStorage(Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 1_000_000}))
    given = json.loads(Path(os.environ["PEER_CONFIG"]).read_text())
    tool = ToolConfDict({given["issuer"]: [{**given["client"], "default": True}]})
    tool.set_private_key(given["issuer"], given["private_key"], client_id=given["client"]["client_id"])
    tool.set_public_key(given["issuer"], given["public_key"], client_id=given["client"]["client_id"])

    @app.post("/lti/login")
    def login() -> Response:
        request = FlaskRequest()
        oidc = FlaskOIDCLogin(request, tool, launch_data_storage=storage)
        return oidc.redirect(request.get_param("target_link_uri"))

    @app.post("/lti/launch")
    def launch() -> Response:
        message = FlaskMessageLaunch(FlaskRequest(), tool, launch_data_storage=storage)
        data = message.get_launch_data()
        return redirect(f"/modules/{data['https://purl.imsglobal.org/spec/lti/claim/custom']['module_id']}", 303)

    return app

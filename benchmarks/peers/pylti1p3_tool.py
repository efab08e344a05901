"""PyLTI1p3's Flask adapter, set up as its own example does, in an environment of its own (requirements/bench.txt).

Its key set is given in the configuration, so it never fetches one. Its launch data, states and nonces are kept in an
in-process cache, or in a table when PEER_DATABASE_URL names a database: then the values of each request are on disk
before its answer, in one transaction.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, redirect
from flask_caching import Cache
from pylti1p3.contrib.flask import FlaskCacheDataStorage, FlaskMessageLaunch, FlaskOIDCLogin, FlaskRequest
from pylti1p3.launch_data_storage.cache import CacheDataStorage
from pylti1p3.tool_config import ToolConfDict
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine

UPSERT = """insert into launch_values (key, value) values (:key, :value)
on conflict (key) do update set value = excluded.value"""
POOL_SIZE = 16


class _Table:
    """What the adapter's storage asks of a cache, kept in one table. `commit` writes what the request has set."""

    def __init__(self, database_url: str) -> None:
        self._engine = _engine(database_url)
        # SQLite has one writer at a time: threads that wait in turn lose less time than threads that try again.
        self._writing = threading.Lock()
        with self._engine.begin() as connection:
            connection.execute(text("create table launch_values (key varchar(255) primary key, value text not null)"))

    def get(self, key: str) -> Any:
        pending = g.setdefault("pending", {})
        if key in pending:
            return json.loads(pending[key])
        with self._engine.connect() as connection:
            found = connection.execute(text("select value from launch_values where key = :key"), {"key": key}).scalar()
        return None if found is None else json.loads(found)

    def set(self, key: str, value: object, _seconds: int | None) -> None:
        g.setdefault("pending", {})[key] = json.dumps(value)

    def commit(self, response: Response) -> Response:
        rows = [{"key": key, "value": value} for key, value in g.pop("pending", {}).items()]
        if rows and self._engine.dialect.name == "sqlite":
            with self._writing:
                self._write(rows)
        elif rows:
            self._write(rows)
        return response

    def _write(self, rows: list[dict[str, str]]) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(UPSERT), rows)


class _TableStorage(CacheDataStorage[Any]):
    def __init__(self, table: _Table) -> None:
        self._cache = table


def _engine(database_url: str) -> Engine:
    engine = create_engine(database_url, pool_size=POOL_SIZE)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _set_durable(connection: Any, _record: object) -> None:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")

    return engine


def tool() -> Flask:
    """An application with /lti/login and /lti/launch for the one platform in the file named by PEER_CONFIG."""
    app = Flask(__name__)
    app.secret_key = os.urandom(32)
    app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="None")
    if database_url := os.environ.get("PEER_DATABASE_URL"):
        table = _Table(database_url)
        app.after_request(table.commit)
        storage: CacheDataStorage[Any] = _TableStorage(table)
    else:
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

"""Starts the peers, each with the same platform or the same webhook secret as the tool."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.installation import SECRET, Bench
from benchmarks.platform import pems
from benchmarks.servers import ROOT, Server, running, serving
from benchmarks.stores import NOTHING, Store
from sandbox.ports import free_port

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
NODE_MODULES = ROOT / ".node-bench" / "node_modules"
FOLDER = Path(__file__).parent

PYLTI1P3, LTIJS, EXPRESS = "PyLTI1p3 2.0.0", "ltijs 5.9.9", "Express 4.22.3"


def why_without_node() -> str:
    """Why the peers on Node cannot run here; empty if they can."""
    if shutil.which("node") is None:
        return "skipped: there is no `node`"
    if not (NODE_MODULES / ".package-lock.json").exists():
        return "skipped: `npm ci` has not run"
    return ""


@contextmanager
def running_pylti1p3(bench: Bench, store: Store | None) -> Iterator[Server]:
    port, name = free_port(), f"pylti1p3-{store.name if store else NOTHING}"
    environment = {"PEER_CONFIG": str(_config(bench))}
    environment |= {"PEER_DATABASE_URL": store.new(name)} if store else {}
    log = bench.folder / f"{name}.log"
    with serving(PYTHON, "benchmarks.peers.pylti1p3_tool:tool", environment, log, port) as server:
        yield server


@contextmanager
def running_ltijs(bench: Bench, store: Store) -> Iterator[Server]:
    with _on_node(bench, "ltijs_tool.js", {"PEER_CONFIG": str(_config(bench))}, store) as server:
        yield server


@contextmanager
def running_express(bench: Bench, store: Store | None) -> Iterator[Server]:
    with _on_node(bench, "webhook_receiver.js", {"PEER_SECRET": SECRET}, store) as server:
        yield server


@contextmanager
def _on_node(bench: Bench, script: str, environment: dict[str, str], store: Store | None) -> Iterator[Server]:
    port, name = free_port(), f"{script}-{store.name if store else NOTHING}"
    environment = environment | {"PEER_PORT": str(port), "NODE_ENV": "production", "NODE_PATH": str(NODE_MODULES)}
    if store and store.postgres:
        store.new(name)
        environment |= {"PGHOST": str(store.postgres.folder), "PGUSER": "gatehouse", "PGDATABASE": name}
    elif store:
        environment |= {"SQLITE_FILE": store.new(name).removeprefix("sqlite:///")}
    with running(["node", str(FOLDER / script)], environment, bench.folder / f"{name}.log", port) as server:
        yield server


def _config(bench: Bench) -> Path:
    """A file with the platform's registration and the keys."""
    platform, path = bench.platform, bench.folder / "peer.json"
    private, public = pems(platform.key)
    client = {
        "client_id": platform.client_id,
        "auth_login_url": f"{platform.issuer}/auth",
        "auth_token_url": f"{platform.issuer}/token",
        "key_set_url": None,
        "key_set": platform.key_set,
        "deployment_ids": [platform.deployment_id],
    }
    config = {"issuer": platform.issuer, "client": client, "private_key": private, "public_key": public}
    path.write_text(json.dumps(config | {"platform_key": public}))
    return path

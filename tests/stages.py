"""Stages for tests: where the sandbox LMS's own environment is, and what is wrong when it is missing."""

import os
from pathlib import Path

from sandbox.stage import ROOT, Stage

SANDBOX_PYTHON = Path(os.environ.get("GATEHOUSE_SANDBOX_PYTHON", ROOT / ".venv-sandbox" / "bin" / "python"))


def opened_stage(folder: Path, database_url: str = "") -> Stage:
    """A stage on SQLite, or on PostgreSQL with the worker as a process of its own; open it with `with`."""
    assert SANDBOX_PYTHON.exists(), "the sandbox LMS is not installed: run `make environments`"
    return Stage(folder, SANDBOX_PYTHON, database_url=database_url, split_worker=bool(database_url))

"""The command line as an operator starts it, in a process of its own; all other tests run it within theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lti_tool.migrations import head
from tests.conftest import FIELD_KEY
from tests.source import ROOT

MODULE = [sys.executable, "-m", "lti_tool"]
SCRIPT = [str(Path(sys.executable).with_name("gatehouse"))]


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_what_is_asked_for_and_what_is_refused_go_to_streams_of_their_own(command: list[str], tmp_path: Path) -> None:
    settings = {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}

    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run([*command, *words], cwd=ROOT, env=kept | settings, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    code, said, complaint = run("migrate", "--json")
    assert (code, json.loads(said), complaint) == (0, {"before": None, "revision": head()}, "")
    code, said, complaint = run("gate", "explain", "--trainee", "nobody@example.org", "--module", "F1")
    assert (code, said) == (1, "")
    assert complaint.startswith("error: ")

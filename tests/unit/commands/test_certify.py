"""`gatehouse certify` finds its suite in a checkout, and says so where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FIELD_KEY
from tests.source import ROOT

COMMAND = "from lti_tool.commands import main; main()"


def certify(folder: Path, packages: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own. Once the suite is found it refuses the folder, which holds something."""
    environment = {
        **os.environ,
        "PYTHONPATH": packages,
        "GATEHOUSE_PUBLIC_URL": "https://tool.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(folder),
    }
    (folder / "pack").mkdir()
    (folder / "pack" / "evidence.json").write_text("{}", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-P", "-c", COMMAND, "certify", "--out", str(folder / "pack")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that holds the packages of the product and nothing else."""
    packages = tmp_path / "installed"
    packages.mkdir()
    for name in ("lti_tool", "zoom_adapter"):
        (packages / name).symlink_to(ROOT / name)
    return packages


def test_a_checkout_holds_the_suite_wherever_the_command_runs(tmp_path: Path) -> None:
    assert "folder_not_empty" in certify(tmp_path).stderr


def test_the_current_folder_may_be_the_checkout(tmp_path: Path, installed: Path) -> None:
    (tmp_path / "conformance").symlink_to(ROOT / "conformance")
    assert "folder_not_empty" in certify(tmp_path, str(installed)).stderr


def test_an_installation_without_a_checkout_says_where_the_suite_is(tmp_path: Path, installed: Path) -> None:
    done = certify(tmp_path, str(installed))
    assert done.returncode == 1
    assert "conformance_missing" in done.stderr
    assert "Run this command in a checkout" in done.stderr

"""`gatehouse materials`: a file is added under the same rules as on the desk, and listed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lti_tool.commands import main
from lti_tool.settings import Settings
from tests.conftest import FIELD_KEY
from tests.sample_files import PDF, PNG


@pytest.fixture
def run(settings: Settings, published, tmp_path: Path):
    def gatehouse(*words: object) -> Result:
        environment = {
            "GATEHOUSE_PUBLIC_URL": settings.public_url,
            "GATEHOUSE_SECRET_KEY": settings.secret_key,
            "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
            "GATEHOUSE_DATABASE_URL": settings.database_url,
            "GATEHOUSE_DATA": str(tmp_path),
        }
        return CliRunner().invoke(main, ["materials", *map(str, words)], env=environment)

    return gatehouse


def test_a_file_is_added_and_listed(run, tmp_path: Path) -> None:
    file = tmp_path / "Set and setting.pdf"
    file.write_bytes(PDF)
    added = run("add", "--module", "F1", "--shown-from", "session_end", file, "--json")
    assert added.exit_code == 0, added.stderr
    (row,) = json.loads(run("list", "--module", "F1", "--json").stdout)
    assert json.loads(added.stdout) == row
    assert (row["title"], row["kind"], row["bytes"]) == ("Set and setting", "pdf", len(PDF))
    assert (row["shown_from"], row["recorded_by"]) == ("session_end", "cli")


@pytest.mark.parametrize(
    ("module", "content", "code"), [("F1", PNG, "file_kind_wrong"), ("NONE", PDF, "module_unknown")]
)
def test_what_the_desk_refuses_the_command_refuses(module: str, content: bytes, code: str, run, tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(content)
    refused = run("add", "--module", module, file)
    assert refused.exit_code == 1
    assert f"({code})" in refused.stderr

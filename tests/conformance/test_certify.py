"""`gatehouse certify`: what its evidence pack holds, what it leaves alone, and that it can fail."""

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from conformance.cases import CASES, Case, case_of
from conformance.certify import run_tests
from conformance.pack import as_page
from conformance.platform import open_platform
from conformance.run import Certification
from conformance.scored_module import completed
from conformance.tool import served
from lti_tool.commands import main
from lti_tool.db import Database
from lti_tool.gates.publication import check_document
from lti_tool.lti import registration
from lti_tool.programme.versions import Published
from lti_tool.programme.yaml_source import load_yaml
from lti_tool.tables.types import metadata
from lti_tool.tasks import now_utc
from tests.conformance.conftest import site
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY, PUBLIC_URL

SECRET_KEY = "the secret key of the tests, which is long enough"
TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}")
POLARIS = DEMO_PROGRAMME.with_name("polaris-2024.yaml")


def certify(folder: Path, *words: str, **changed: str) -> Result:
    environment = {
        "GATEHOUSE_PUBLIC_URL": PUBLIC_URL,
        "GATEHOUSE_SECRET_KEY": SECRET_KEY,
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(folder / "site"),
        "GATEHOUSE_DATABASE_URL": "",
        "GATEHOUSE_PROGRAMME": "",
        **changed,
    }
    return CliRunner().invoke(main, ["certify", "--out", str(folder / "pack"), *words], env=environment)


def evidence(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "pack" / "evidence.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """One run from GATEHOUSE_PROGRAMME, at a site that has no database yet."""
    folder = tmp_path_factory.mktemp("certify")
    return certify(folder, GATEHOUSE_PROGRAMME=str(DEMO_PROGRAMME)), folder


def test_the_command_tells_every_test_and_ends_well(packed: tuple[Result, Path]) -> None:
    result, _ = packed
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line for line in lines if " pass  " in line] == lines[:-1]
    assert lines[-1].startswith("43 of 43 tests passed.")


def test_the_evidence_has_for_each_test_the_message_the_answer_and_a_log_line_of_that_time(
    packed: tuple[Result, Path],
) -> None:
    data = evidence(packed[1])
    assert [each["number"] for each in data["results"]] == list(range(1, 44))
    for each in data["results"]:
        assert each["verdict"] == "pass"
        assert each["messages"]
        assert all(set(message["answer"]) == {"status", "code", "led_to"} for message in each["messages"])
        assert each["started_at"] <= each["proof"]["time"] <= data["finished_at"]
        refusals = [message["answer"]["code"] for message in each["messages"] if message["answer"]["status"] >= 400]
        assert refusals == [each["expected_code"]] * len(refusals)
        assert bool(refusals) == (each["expected_code"] is not None)


def test_the_evidence_of_services_shows_what_the_tool_asked(packed: tuple[Result, Path]) -> None:
    roster, scores = (evidence(packed[1])["results"][number - 1]["requests_to_the_platform"] for number in (39, 43))
    assert [each["path"] for each in roster if "after=" in each["path"]], "the second page"
    asked = [(each["method"], each["service"], each["status"]) for each in scores]
    assert ("POST", "line_items", 201) in asked
    assert ("POST", "scores", 204) in asked


def test_no_token_and_no_secret_is_in_the_pack(packed: tuple[Result, Path]) -> None:
    for file in (packed[1] / "pack").iterdir():
        text = file.read_text(encoding="utf-8")
        assert not TOKEN.search(text)
        assert not any(secret in text for secret in (SECRET_KEY, FIELD_KEY, "PRIVATE KEY", "__Host-gatehouse"))


class Page(HTMLParser):
    """The ids of a page, its links, and whatever it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.loads += [tag] if tag in ("script", "link", "img", "iframe") or "src" in found else []


def test_the_page_needs_nothing_else_and_has_one_section_for_each_test(packed: tuple[Result, Path]) -> None:
    html = (packed[1] / "pack" / "index.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.loads == []
    assert "url(" not in html
    assert "@import" not in html
    assert set(page.links) == {"#summary", *(f"#test-{case.number}" for case in CASES)}
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(case.name in html for case in CASES)


def test_the_sites_own_folder_is_not_even_made(packed: tuple[Result, Path]) -> None:
    assert not (packed[1] / "site").exists()


def test_a_folder_with_something_in_it_is_not_written_to_unless_told_so(packed: tuple[Result, Path]) -> None:
    _, folder = packed
    kept = folder / "pack" / "notes.txt"
    kept.write_text("mine")
    refused = certify(folder, GATEHOUSE_PROGRAMME=str(DEMO_PROGRAMME))
    assert refused.exit_code == 1
    assert "folder_not_empty" in refused.output
    before = evidence(folder)["started_at"]
    again = certify(folder, "--force", "--json", GATEHOUSE_PROGRAMME=str(DEMO_PROGRAMME))
    assert again.exit_code == 0
    assert evidence(folder)["started_at"] > before
    assert json.loads(again.stdout) == evidence(folder)
    assert kept.read_text() == "mine"


def test_the_programme_of_the_site_is_taken_and_its_data_is_left_as_it_is(
    published: Published, database: Database, database_url: str, tmp_path: Path
) -> None:
    def rows() -> list[int]:
        with database.read() as connection:
            tables = metadata.sorted_tables
            return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    before = rows()
    result = certify(tmp_path, GATEHOUSE_DATABASE_URL=database_url)
    assert result.exit_code == 0, result.output
    assert evidence(tmp_path)["tool"]["programme_version"] == published.version
    assert rows() == before


def test_a_sqlite_file_of_the_site_keeps_its_every_byte(tmp_path: Path, sqlite_template: Path) -> None:
    file = tmp_path / "site.db"
    file.write_bytes(sqlite_template.read_bytes())
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    url = f"sqlite:///{file}"
    assert "programme_not_published" in certify(tmp_path, GATEHOUSE_DATABASE_URL=url).output
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_without_any_programme_it_is_refused_with_the_way_out(tmp_path: Path) -> None:
    result = certify(tmp_path)
    assert result.exit_code == 1
    assert "programme_not_published" in result.output
    assert "gatehouse programme publish" in result.output


def test_a_programme_that_leaves_its_days_open_is_certified_with_a_day_of_its_own_and_says_so(tmp_path: Path) -> None:
    result = certify(tmp_path, GATEHOUSE_PROGRAMME=str(POLARIS))
    assert result.exit_code == 0, result.output
    assert evidence(tmp_path)["tool"]["module_completed_for_the_run"] == "F1"
    assert "for the test of scores a day was filled in" in (tmp_path / "pack" / "index.html").read_text("utf-8")


def test_the_day_that_is_filled_in_is_the_only_change(tmp_path: Path) -> None:
    text = POLARIS.read_text(encoding="utf-8")
    document = completed(text, "F2")
    assert check_document(document, "completed", now_utc()).errors == ()
    before, after = load_yaml(text).value, load_yaml(document).value
    assert {name for name in after if after[name] != before[name]} == {"agendas", "completion", "modules"}
    assert {id for id in after["modules"] if after["modules"][id] != before["modules"][id]} == {"F2"}


def test_a_configuration_with_nothing_to_open_fails_and_says_what(tmp_path: Path) -> None:
    programme = load_yaml(DEMO_PROGRAMME.read_text(encoding="utf-8")).value
    for module in programme["modules"].values():
        module["publish"] = False
    file = tmp_path / "closed.yaml"
    file.write_text(json.dumps(programme, default=float), encoding="utf-8")
    result = certify(tmp_path, GATEHOUSE_PROGRAMME=str(file))
    assert result.exit_code == 1
    failed = [each["number"] for each in evidence(tmp_path)["results"] if each["verdict"] == "fail"]
    assert failed == [43]
    assert "43  FAIL" in result.output
    assert "not so: " in result.output


WRONG: list[tuple[Case, str]] = [
    (replace(case_of(1), code="key_unknown"), "The page names the code key_unknown"),
    (replace(case_of(13), code="version_wrong"), "The tool refuses the message"),
    (replace(case_of(12), code=None), "The tool takes the message"),
    (replace(case_of(22), opens_as="teacher"), "The person is let in as a teacher"),
    (replace(case_of(16), opens_as="teacher"), "The person is let in as a teacher"),
]


@pytest.mark.parametrize(("case", "finding"), WRONG)
def test_a_wrong_expectation_fails(certification: Certification, case: Case, finding: str) -> None:
    result = certification.run(case)
    assert result.verdict == "fail"
    assert finding in {each.says for each in result.findings if not each.holds}


def test_a_tool_that_takes_no_launches_fails_every_test_that_should_open_something(tmp_path: Path) -> None:
    with served(site(tmp_path)) as tool, open_platform(tool, "F1") as platform:
        certification = Certification(tool, platform)
        certification.introduce()
        with tool.context.database.write() as connection:
            registration.set_status(connection, 1, "disabled", actor="cli", now=now_utc())
        result = certification.run(case_of(13))
    assert result.verdict == "fail"
    assert any("platform_disabled" in each.seen for each in result.findings)
    assert not result.messages


def test_the_page_of_a_failed_run_names_what_does_not_hold(tmp_path: Path) -> None:
    verdicts: list[str] = []
    shown = run_tests(site(tmp_path), lambda result: verdicts.append(result.verdict), [WRONG[0][0], case_of(2)])
    assert verdicts == ["fail", "pass"]
    assert not shown.is_green
    page = as_page(shown)
    assert "1 of 2" in page
    assert "✗ no" in page

"""`make audit` fails on a known vulnerability, and never calls what it could not ask about sound."""

import json

import pytest

from requirements.audit import judge

SOUND = {"name": "invented", "version": "1.0", "vulns": []}
SKIPPED = {"name": "unheard-of", "skip_reason": "Dependency not found on PyPI and could not be audited"}
VULNERABLE = {
    "name": "leaky",
    "version": "2.1",
    "vulns": [{"id": "GHSA-0000-0000-0000", "fix_versions": ["2.2"], "aliases": [], "description": "…"}],
}


def told(*packages: dict) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_vulnerability_fails_and_names_the_release_that_fixes_it() -> None:
    code, lines = judge("app.txt", told(SOUND, VULNERABLE, SKIPPED), "")
    assert code == 1
    assert lines[0] == "VULNERABLE: app.txt: leaky 2.1: GHSA-0000-0000-0000, fixed in 2.2"


def test_packages_without_a_known_vulnerability_pass() -> None:
    assert judge("app.txt", told(SOUND), "") == (0, ["app.txt: no vulnerability is known in 1 packages."])


def test_what_the_database_lacks_is_said_and_not_called_sound() -> None:
    code, lines = judge("app.txt", told(SOUND, SKIPPED), "No known vulnerabilities found")
    assert code == 0
    assert lines == ["NOT AUDITED: app.txt: 1 of 2 packages, which the advisory database lacks."]


@pytest.mark.parametrize(
    "error",
    [
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='…', port=443): Max retries exceeded",
        "requests.exceptions.ReadTimeout: read timed out",
    ],
)
def test_without_a_network_nothing_is_audited_and_nothing_fails(error: str) -> None:
    assert judge("app.txt", "", f"Traceback …\n{error}\n") == (
        0,
        ["NOT AUDITED: app.txt: the advisory database does not answer."],
    )


def test_any_other_failure_of_the_audit_is_one() -> None:
    code, lines = judge("app.txt", "", "ERROR: the lock file cannot be read\n")
    assert (code, lines) == (1, ["app.txt: pip-audit failed: ERROR: the lock file cannot be read"])

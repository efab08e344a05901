from decimal import Decimal

import pytest

from lti_tool.programme.loader import read_programme, read_trial_policy
from tests.conftest import DEMO_PROGRAMME

DEMO = DEMO_PROGRAMME.read_text(encoding="utf-8")
PROGRAMME = read_programme(DEMO, "demo.yaml").programme
STRICTER = """
completion: {share: 0.95, participation_share: 0.75}
credit_bodies:
  apa:
    policy:
      minutes_per_credit: 60
      credit_step: 0.25
      late_arrival_minutes: 5
      max_missed_total_minutes: 5
      max_missed_consecutive_minutes: 5
  nobody:
    policy: UNSET
"""


def test_the_sections_of_a_policy_take_the_place_of_the_programmes_own() -> None:
    trial, problems = read_trial_policy(STRICTER, "stricter.yaml")
    assert problems == ()
    tried = trial.applied_to(PROGRAMME)
    assert tried.completion.share == Decimal("0.95")
    assert tried.completion.participation_share == Decimal("0.75")
    assert tried.bodies["apa"].policy.max_missed_total_minutes == 5
    assert tried.bodies["scrc_brn"] == PROGRAMME.bodies["scrc_brn"]
    assert set(tried.bodies) == set(PROGRAMME.bodies)


def test_a_whole_programme_document_is_a_policy_too() -> None:
    trial, problems = read_trial_policy(DEMO, "demo.yaml")
    assert problems == ()
    assert trial.applied_to(PROGRAMME) == PROGRAMME


@pytest.mark.parametrize(
    ("document", "code", "line"),
    [
        ("completion: {share: 1.5}", "wrong_value", 1),
        ("completion: {share: 0.8, participation_share: 0}", "wrong_value", 1),
        ("completion: {share: 0.8}\nsurprise: 1", "unknown_key", 2),
        ("completion: {share: 0.8, surprise: 1}", "unknown_key", 1),
        ("credit_bodies:\n  apa: 5", "wrong_value", 2),
        ("credit_bodies:\n  apa:\n    policy: {minutes_per_credit: 60}", "not_set", 3),
        ("credit_bodies: {}", "missing", 1),
        ("[1, 2]", "missing", 1),
        ("completion: !!python/object:os.system {}", "yaml_tag", 1),
        ("completion: [", "yaml_syntax", 2),
        (b"\xff\xfe", "yaml_not_utf8", 1),
        ("", "yaml_empty", 1),
    ],
)
def test_what_is_wrong_is_said_with_its_line(document, code: str, line: int) -> None:
    _, problems = read_trial_policy(document, "policy.yaml")
    assert (problems[0].code, problems[0].file) == (code, "policy.yaml")
    assert problems[0].line == line

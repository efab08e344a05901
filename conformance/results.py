"""What a test leaves behind: the messages that were sent, what was found, the log lines meanwhile, and a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from conformance.cases import Case
from conformance.parties import Answer, Heard, digest

SECRETS = ("nonce", "jti", "at_hash")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold for the test to pass, and what was seen."""

    says: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Message:
    """One launch message and how the tool answered it. Tokens are there as digests; nothing here opens anything."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    digests: Mapping[str, str]
    as_sent: bool
    status: int
    code: str | None
    led_to: str


@dataclass(frozen=True, slots=True)
class Result:
    """One test, run once against one platform."""

    case: Case
    platform: str
    started_at: datetime
    milliseconds: float
    messages: Sequence[Message]
    findings: Sequence[Finding]
    heard: Sequence[Heard]
    log: Sequence[Mapping[str, Any]]

    @property
    def passed(self) -> bool:
        """Every finding holds, and there is at least one."""
        return bool(self.findings) and all(each.holds for each in self.findings)

    @property
    def verdict(self) -> str:
        return "pass" if self.passed else "fail"

    @property
    def proof(self) -> Mapping[str, Any] | None:
        """The log line that says that the message arrived: the launch endpoint's own."""
        return next((line for line in self.log if is_launch(line)), None)


def is_launch(line: Mapping[str, Any]) -> bool:
    """Whether a log line tells of a launch message that was answered."""
    return bool(line.get("message") == "request" and line.get("endpoint") == "lti.launch")


def shown(answer: Answer) -> tuple[dict[str, Any], dict[str, str]]:
    """The claims as evidence shows them, and the digests of what was sent with them."""
    claims = {name: digest(str(value)) if name in SECRETS else value for name, value in answer.claims.items()}
    return claims, {name: digest(value) for name, value in answer.fields.items()}


def as_data(result: Result) -> dict[str, Any]:
    """A result as plain JSON values."""
    case = result.case
    return {
        "number": case.number,
        "name": case.name,
        "kind": case.kind,
        "role": case.role,
        "message_differs_by": case.differs,
        "expected": case.expects,
        "expected_code": case.code,
        "platform": result.platform,
        "verdict": result.verdict,
        "started_at": result.started_at.isoformat(timespec="milliseconds"),
        "milliseconds": result.milliseconds,
        "messages": [_message(each) for each in result.messages],
        "findings": [{"says": each.says, "holds": each.holds, "seen": each.seen} for each in result.findings],
        "requests_to_the_platform": [asdict(each) for each in result.heard],
        "log": list(result.log),
        "proof": result.proof,
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "header": message.header,
        "claims": message.claims,
        "digests": message.digests,
        "as_the_platform_made_it": message.as_sent,
        "answer": {"status": message.status, "code": message.code, "led_to": message.led_to},
    }

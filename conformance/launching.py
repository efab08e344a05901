"""The tests of launches: one browser goes the whole way from the platform to the page, and what it met is judged."""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.cases import Case, Change, Role
from conformance.parties import Answer, Platform
from conformance.results import Finding, Message, shown
from conformance.tool import Tool
from conformance.visitor import Page, Visitor
from lti_tool.web.session import COOKIE

# A page of the tool that only a teacher's session opens.
TEACHERS_PAGE = "/desk"


@dataclass(frozen=True, slots=True)
class Launched:
    """One launch: the platform's answer, the tool's first answer to it, and where the browser came to stand."""

    visitor: Visitor
    answer: Answer
    first: Page
    opened: Page

    @property
    def message(self) -> Message:
        claims, digests = shown(self.answer)
        header = dict(self.answer.header)
        code = self.first.code if self.first.status >= 400 else None
        led_to = self.opened.path if self.first.status < 400 else ""
        return Message(header, claims, digests, self.answer.as_sent, self.first.status, code, led_to)


def launch(tool: Tool, platform: Platform, case: Case, change: Change) -> Launched:
    """Login, authentication request, launch and redirect, with one fresh browser."""
    visitor = tool.visitor()
    login = visitor.get(platform.login(case, change))
    if login.status != 302:
        raise LookupError(f"the login was answered with {login.status} {login.code or ''}")
    answer = platform.answer(case, change, login.headers["Location"])
    first = visitor.post(answer.url, answer.fields)
    return Launched(visitor, answer, first, visitor.follow(first))


def judge(case: Case, launched: Launched) -> Iterator[Finding]:
    """What must hold of the launch of this case."""
    if case.code is not None:
        yield from _refused(case.code, launched)
    else:
        yield from opened(case.opens_as, launched)


def _refused(told: str, launched: Launched) -> Iterator[Finding]:
    status = launched.first.status
    yield Finding("The tool refuses the message", 400 <= status < 500, f"status {status}")
    seen = launched.first.code or "no code"
    yield Finding(f"The page names the code {told}", seen == told, seen)
    yield Finding("Nobody is signed in", COOKIE not in launched.visitor.cookies, _session(launched))


def opened(role: Role, launched: Launched) -> Iterator[Finding]:
    """The message is taken, a page opens, and the person is let in as this role: the desk opens to teachers alone."""
    first, page = launched.first, launched.opened
    yield Finding(
        "The tool takes the message", first.status == 303, f"status {first.status} {first.code or ''}".strip()
    )
    yield Finding("A page opens", page.status == 200, f"{page.path}: status {page.status}")
    desk = launched.visitor.open(TEACHERS_PAGE).status
    expected = 200 if role == "teacher" else 403
    yield Finding(f"The person is let in as a {role}", desk == expected, f"the teachers' page answers {desk}")


def _session(launched: Launched) -> str:
    return "a session began" if COOKIE in launched.visitor.cookies else "no session"

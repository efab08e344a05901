"""Plays days into the tool as Zoom does, and holds what it computes against what the evidence allows."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

from flask import Flask
from sqlalchemy import select

from lti_tool import people
from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import AttendedDay
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import attendances
from sandbox.zoom.evidence import Finding, findings
from sandbox.zoom.faults import Arrival, Played, play, random_faults
from sandbox.zoom.random_days import Occasion, random_day
from sandbox.zoom.stays import Span, union
from sandbox.zoom.training_day import signed
from tests.clock import TestClock
from zoom_adapter import reports, webhook
from zoom_adapter.inbox import Inbox, Refusals
from zoom_adapter.presence import settle_presence, take_inbox

SECRET = "the secret of the played days"
SENDERS = 8
FULL, HALF = "F1", "ST_MUS"
LONG_AGO = timedelta(hours=3)
PROOF = ("webhook", "report", "both")


class Listener:
    """The tool's side: its webhook, its reader and its settlement, on one database."""

    def __init__(self, database: Database, published: Published, clock: TestClock) -> None:
        self.database, self.clock, self._published = database, clock, published
        self._inbox = Inbox(database)
        self._app = Flask("listener")
        self._refusals = Refusals(database)
        self._app.register_blueprint(webhook.blueprint([SECRET], self._inbox, clock, self._refusals))
        self._trainees: dict[str, int] = {}

    def close(self) -> None:
        self._inbox.close()
        self._refusals.close()

    def schedule(self, occasion: Occasion) -> int:
        """The live session of a day; everybody with an address is known."""
        with self.database.write() as connection:
            for each in occasion.day.attendees:
                if each.email and each.email not in self._trainees:
                    self._trainees[each.email] = people.find_or_add(
                        connection,
                        "https://lms.example.org",
                        each.email,
                        name=each.name,
                        email=each.email,
                        now=self.clock(),
                    )
            return live_sessions.add(
                connection,
                self._published,
                module_id=HALF if occasion.is_half else FULL,
                starts=occasion.starts,
                zone=occasion.zone,
                zoom_kind=occasion.day.kind,
                zoom_meeting_id=occasion.day.meeting_id,
                actor="cli",
                now=self.clock(),
            )

    def trainee(self, email: str) -> int | None:
        return self._trainees.get(email)

    def receive(self, arrivals: Sequence[Arrival]) -> None:
        """Every delivery, signed, over the webhook; then what is new is read."""
        with ThreadPoolExecutor(SENDERS) as senders:
            statuses = set(senders.map(self._post, arrivals))
        assert statuses <= {204}, statuses
        while take_inbox(self.database, self.clock()):
            pass

    def _post(self, arrival: Arrival) -> int:
        at = self.clock() - LONG_AGO if arrival.stale else self.clock()
        environ = _environ(arrival.body, signed(arrival.body, SECRET, at))
        statuses: list[str] = []
        self._app(environ, lambda status, _headers, _error=None: statuses.append(status))
        return int(statuses[0].split()[0])

    def ask_for_reports(self, session_id: int, played: Played) -> None:
        """What Zoom answers, one asking after the other."""
        for uuid, answers in played.answers.items():
            for answer in answers:
                now = self.clock.advance(minutes=5)
                with self.database.write() as connection:
                    if answer is None:
                        reports.keep_failure(connection, session_id, uuid, "report", "zoom_not_found", now)
                    else:
                        reports.keep(connection, session_id, uuid, "report", answer, now)

    def settle(self, session_id: int) -> list[AttendedDay]:
        settle_presence(self.database, session_id, lambda _connection, _settled: None, self.clock)
        with self.database.read() as connection:
            return queries.of_session(connection, session_id)

    def session(self, session_id: int) -> LiveSession:
        with self.database.read() as connection:
            return live_sessions.show(connection, session_id)

    def versions(self, session_id: int) -> int:
        with self.database.read() as connection:
            query = select(attendances.c.id).where(attendances.c.live_session_id == session_id)
            return len(connection.execute(query).all())


def _environ(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """A POST as a web server hands it on. A test client costs more than the tool's own work."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/zoom/webhook",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers["Content-Type"],
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        **{
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items() if name != "Content-Type"
        },
    }


def played(seed: int, number: int | None = None) -> tuple[Occasion, Played]:
    """The day and its faults of one seed, in a meeting of its own; `number` tells meetings of one seed apart."""
    meeting_id = str(86_500_000_000 + (seed if number is None else number))
    occasion = random_day(seed, meeting_id=meeting_id)
    return occasion, play(occasion.day, random_faults(seed, len(occasion.day.uuids)), seed)


def play_through(listener: Listener, occasion: Occasion, account: Played) -> Iterator[str]:
    """Play one day to its end; everything in which the tool says something else than the evidence allows."""
    over_at = max(account.day.closes_at, account.day.told()[-1].at)
    listener.clock.at = over_at + timedelta(minutes=15)
    session_id = listener.schedule(occasion)
    listener.receive(account.first)
    early = listener.settle(session_id)
    if not all(each.is_provisional for each in early):
        yield "a day is final before there is any report"
    listener.clock.advance(minutes=85)
    listener.receive(account.late)
    listener.ask_for_reports(session_id, account)
    settled = listener.settle(session_id)
    written = listener.versions(session_id)
    if listener.settle(session_id) != settled or listener.versions(session_id) != written:
        yield "settling once more changes something"
    session = listener.session(session_id)
    yield from _of_session(account, session)
    yield from _of_people(listener, account, session, settled)


def _of_session(account: Played, session: LiveSession) -> Iterator[str]:
    """Reconciled once Zoom has said that all is over and every report is settled, and not before."""
    ended = {sent.uuid for sent in (*account.fresh, *account.stale) if sent.kind == "ended"}
    every_report = set(account.settled) == set(account.day.uuids)
    if ended == set(account.day.uuids) and every_report and session.state != "reconciled":
        yield f"the session is {session.state}, though it ended and its reports are settled"
    if session.state == "reconciled" and not every_report:
        yield "the session is reconciled without all of its reports"


def _of_people(
    listener: Listener, account: Played, session: LiveSession, settled: Sequence[AttendedDay]
) -> Iterator[str]:
    explained = set()
    for finding in findings(account):
        own = [each for each in settled if _is_of(listener, account, finding, each)]
        explained.update(each.person_key for each in own)
        for problem in _of_one(finding, own, session, _allowed(account, finding)):
            yield f"person {finding.subject.person}: {problem}"
    for each in settled:
        if each.trainee_id is not None and each.person_key not in explained:
            yield f"{each.person_key} has a day and was not there"


def _is_of(listener: Listener, account: Played, finding: Finding, day: AttendedDay) -> bool:
    subject = finding.subject
    if not subject.has_name:
        return day.person_key.removeprefix("connection:") in subject.connections
    trainee_id = listener.trainee(account.day.attendees[subject.person].email)
    if day.trainee_id is not None:
        return day.trainee_id == trainee_id
    return bool(day.registrant_id) and day.registrant_id == subject.registrant_id


def _allowed(account: Played, finding: Finding) -> list[Span]:
    """What may be credited as proven: what is. Where `user_id`s are shared or nobody is named, the tool may find more
    by comparing times than the oracle does, as long as it is true."""
    is_plain = finding.subject.has_name and not account.day.shared_user_ids
    return finding.proven if is_plain else finding.truth


def _of_one(
    finding: Finding, own: Sequence[AttendedDay], session: LiveSession, allowed: Sequence[Span]
) -> Iterator[str]:
    there, proven = (seconds_of_instruction(session, spans) for spans in (finding.truth, finding.proven))
    if len(own) != 1:
        if own or proven or finding.is_doubtful or finding.half_known:
            yield f"{len(own)} days instead of one; {there} s were attended, {proven} s are proven"
        return
    day = own[0]
    present = day.seconds_present
    beyond = [span for span in _spans(day, PROOF) if not _lies_in(span, allowed)]
    if beyond:
        yield f"credited as proven though it is not: {beyond}"
    if finding.is_exact and present != there:
        yield f"{present} s instead of {there} s, which the evidence proves; {day.flags}"
    if not finding.is_exact and present < proven:
        yield f"{present} s, though {proven} s are proven; {day.flags}"
    yield from _of_doubt(finding, day, session, there)


def _of_doubt(finding: Finding, day: AttendedDay, session: LiveSession, there: int) -> Iterator[str]:
    is_wrong = day.seconds_present != there
    estimated = sum(each.counted_seconds for each in day.day.intervals if each.evidence == "estimated")
    if estimated and "estimated" not in day.flags:
        yield "an estimate is credited without a flag"
    is_in_a_queue = day.trainee_id is None or (day.is_provisional and day.needs_review)
    credited = _spans(day, PROOF)
    is_doubtful = finding.is_doubtful or not all(_lies_in(span, credited) for span in finding.half_known)
    if is_wrong and is_doubtful and not is_in_a_queue:
        yield f"silently wrong: {day.seconds_present} s instead of {there} s; {day.flags}"
    if is_wrong and not is_doubtful and day.seconds_present > there:
        yield f"{day.seconds_present} s instead of {there} s without any trace of more; {day.flags}"
    if session.state not in ("reconciled", "locked") and not day.is_provisional:
        yield "final in a session that is not"
    if finding.is_clean and day.needs_review:
        yield f"to be looked at without need: {day.flags}"
    if finding.is_clean and session.state == "reconciled" and day.is_provisional:
        yield "provisional without need"


def seconds_of_instruction(session: LiveSession, spans: Iterable[Span]) -> int:
    return sum(
        max(0, int((min(end, each.ends_at) - max(start, each.starts_at)).total_seconds()))
        for start, end in spans
        for each in session.segments
        if each.instructional
    )


def _spans(day: AttendedDay, grades: Iterable[str]) -> list[Span]:
    return union((each.from_at, each.to_at) for each in day.day.intervals if each.evidence in grades)


def _lies_in(span: Span, spans: Sequence[Span]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in spans)

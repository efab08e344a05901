"""The test of Assignment and Grade Services: a learner who was there all day gets a score, in a line item that the tool
makes, by the road that every score takes: settlement, ledger, delivery.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import bindparam, select

from conformance.launching import Launched, opened
from conformance.parties import Heard, Platform
from conformance.results import Finding
from conformance.services import LINE_ITEM_TYPE, SCORE_FIELDS, SCORE_TYPE
from conformance.tool import Tool
from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.attendance.evidence import PersonPresence, PresenceInterval
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.settlement import settle
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.lti.claims import AGS, LTI
from lti_tool.lti.line_items import fetch_result
from lti_tool.tables.courses import placements
from lti_tool.tables.scores import scores

MEETING = "80000000043"
DAYS_AGO = timedelta(days=7)
NEEDED = (*SCORE_FIELDS, "scoreGiven", "scoreMaximum")


def find(tool: Tool, platform: Platform, launched: Launched) -> Iterator[Finding]:
    """What must hold when a learner's attendance becomes a score."""
    yield from opened("learner", launched)
    endpoint = launched.answer.claims[AGS]
    yield Finding("The message names line items and no line item", "lineitem" not in endpoint, endpoint["lineitems"])
    before = len(platform.heard())
    learner = attend(tool, launched)
    tool.work()
    heard = platform.heard()[before:]
    yield from _items(heard)
    yield from _scores(heard, str(launched.answer.claims["sub"]))
    yield from _results(tool, learner)


def attend(tool: Tool, launched: Launched) -> int:
    """A day of the launched module, a week ago, on which the learner was present from the first minute to the last; the
    learner's id in the tool."""
    context, claims = tool.context, launched.answer.claims
    with context.database.write() as connection:
        now = context.clock()
        session_id = live_sessions.add(
            connection,
            tool.published,
            module_id=claims[LTI + "custom"]["module_id"],
            starts=(now - DAYS_AGO).date(),
            zoom_meeting_id=MEETING,
            actor="certify",
            now=now,
        )
        session = live_sessions.show(connection, session_id)
        learner = int(people.of_identities(connection, claims["iss"], [claims["sub"]])[claims["sub"]].id)
    after = partial(follow_attendance, now=now)
    settle(context.database, session_id, [_present(learner, session)], session.ends_at, now, after)
    return learner


def _present(trainee_id: int, session: LiveSession) -> PersonPresence:
    stay = PresenceInterval(session.starts_at, session.ends_at, "webhook", True, "connection:certification")
    return PersonPresence(
        person_key=f"trainee:{trainee_id}",
        trainee_id=trainee_id,
        display_name="Present all day",
        email=None,
        registrant_id=None,
        flags=(),
        intervals=(stay,),
    )


def _items(heard: Sequence[Heard]) -> Iterator[Finding]:
    made = [each for each in heard if each.service == "line_items" and each.method == "POST"]
    yield Finding("The tool makes a line item", {each.status for each in made} == {201}, _statuses(made))
    types = {each.content_type for each in made}
    yield Finding("In the line item's own media type", types == {LINE_ITEM_TYPE}, ", ".join(types) or "none")
    bodies = [each.body for each in made]
    named = all(body["label"].strip() and body["scoreMaximum"] > 0 for body in bodies)
    seen = "; ".join(f"{body['label']}, maximum {body['scoreMaximum']}" for body in bodies) or "none"
    yield Finding("It has a label and a positive maximum", named and bool(bodies), seen)
    texts = all(isinstance(body.get(name), str) and body[name] for body in bodies for name in ("resourceId", "tag"))
    seen = "; ".join(f"{body.get('resourceId')}, {body.get('tag')}" for body in bodies) or "none"
    yield Finding("resourceId and tag are text", texts and bool(bodies), seen)


def _scores(heard: Sequence[Heard], user_id: str) -> Iterator[Finding]:
    posted = [each for each in heard if each.service == "scores"]
    taken = [each for each in posted if each.authorized]
    yield Finding("A score is posted, and the platform takes it", len(taken) == len(posted) > 0, _statuses(posted))
    types = {each.content_type for each in posted}
    yield Finding("In the score's own media type", types == {SCORE_TYPE}, ", ".join(types) or "none")
    bodies = [each.body for each in posted]
    whole = all(body.get(name) is not None for body in bodies for name in NEEDED)
    seen = "; ".join(
        f"{body.get('scoreGiven')} of {body.get('scoreMaximum')}, {body.get('gradingProgress')}" for body in bodies
    )
    yield Finding("It is complete", whole and bool(bodies), seen or "none")
    yield Finding("It is the learner's", {body["userId"] for body in bodies} == {user_id}, user_id)
    stamps = [body["timestamp"] for body in bodies]
    precise = all("." in each and each[-1] in "Z0" for each in stamps)
    yield Finding(
        "Its timestamp has a zone and parts of a second", precise and bool(stamps), ", ".join(stamps) or "none"
    )


def _results(tool: Tool, learner: int) -> Iterator[Finding]:
    """What the platform's results say of each score that was delivered, read with the tool's own reader."""
    context = tool.context
    with context.database.read() as connection:
        rows = connection.execute(_delivered, {"trainee": learner}).all()
    yield Finding("The ledger has it as delivered", bool(rows), f"{len(rows)} scores")
    for row in rows:
        result = fetch_result(context.platform_api, row.registration_id, row.line_item_url, row.user_id)
        same = result is not None and result.given == row.delivered_given
        seen = f"{result.given} of {result.maximum}" if result else "no result"
        yield Finding(f"The platform's results say the same: {row.delivered_given}", same, seen)


def _statuses(requests: Sequence[Heard]) -> str:
    return ", ".join(f"{each.method} {each.path}: {each.status}" for each in requests) or "nothing was sent"


_delivered = (
    select(scores, placements.c.registration_id)
    .join(placements, placements.c.id == scores.c.placement_id)
    .where(scores.c.trainee_id == bindparam("trainee"), scores.c.status == "delivered")
)

"""What launches record: people, enrolments, placements, and the browser sessions that they begin.

Many launches are recorded in one transaction (group_commit.py), table by table and each table in the order of its keys:
two processes that record the same people or units never wait for each other in a circle. Most launches change nothing
that is known; of those only the session is written.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, bindparam, func, select, update
from sqlalchemy.exc import DBAPIError, OperationalError

from lti_tool import people
from lti_tool.db import Database, insert_ignoring, upsert
from lti_tool.errors import GatehouseError, RefusedLaunch
from lti_tool.group_commit import GroupWriter
from lti_tool.lti.claims import Ags, Launch, is_plain_text
from lti_tool.lti.login import nonce_used
from lti_tool.people import Profile
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.courses import enrolments, placements

# The name of the writer of launches.
WRITER = "launches"
# The columns of an enrolment that a launch writes; the first three are its key.
ENROLMENT = ("registration_id", "context_id", "trainee_id", "user_id", "role", "last_launch_at")
# PostgreSQL's lock_not_available and deadlock_detected: what one launch of a group waited for need not stop the others.
WAITED_IN_VAIN = ("55P03", "40P01")
# The key of a placement.
LINK = ("registration_id", "deployment_id", "resource_link_id", "content")
SCORE_MEANINGS = ("completion", "ce", "both")
# As long as `placements.content` is.
LONGEST_CONTENT = 96
# Kind of offering → the refusal of a link whose offering is not in the published programme.
UNKNOWN_OFFERING = {
    "module": (
        "module_unknown",
        "This unit is connected to a module that the programme does not have.",
        "Tell the people who run the course: the unit's custom parameter module_id names no module of the published "
        "programme.",
    ),
    "retreat": (
        "retreat_of_link_unknown",
        "This unit is connected to a retreat that the programme does not have.",
        "Tell the people who run the course: the unit's custom parameter retreat_id names no retreat of the published "
        "programme.",
    ),
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a link opens: a module, a retreat or a page, by its id. Empty if the link names nothing."""

    kind: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """The value of `placements.content`: "module:F1", "retreat:R1", "page:retreats"; "" if nothing is named."""
        return f"{self.kind}:{self.name}" if self.kind else ""


class UnknownOffering(RefusedLaunch):
    """The unit names a module or retreat that the published programme does not have."""

    def __init__(self, content: Content) -> None:
        super().__init__(*UNKNOWN_OFFERING[content.kind], status=404)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A verified launch of a resource link that is to be recorded: the content that its claims name, and the row of
    the browser session that it begins, still without person and placement."""

    launched: Launch
    content: Content
    session: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The person and the placement of a recorded launch, and the module that its link opens: the one that its claims
    name or, if they name nothing, the one that staff assigned to it."""

    trainee_id: int
    placement_id: int
    module_id: str | None


Outcome = Recorded | GatehouseError


def launch_writer(database: Database) -> GroupWriter[Entry, Outcome]:
    """Records launches of resource links, many in one commit."""

    def write(entries: Sequence[Entry]) -> list[Outcome]:
        with database.write() as connection:
            return record(connection, entries)

    def is_fault_of_launch(error: Exception) -> bool:
        if isinstance(error, OperationalError):
            return getattr(error.orig, "sqlstate", None) in WAITED_IN_VAIN
        return isinstance(error, DBAPIError)

    return GroupWriter(WRITER, write, is_fault_of_launch)


def record(connection: Connection, entries: Sequence[Entry]) -> list[Outcome]:
    """Record these launches; returns for each what was recorded, or why it is refused: `nonce_used`, `module_unknown`,
    `retreat_of_link_unknown` or `programme_not_published`.

    A unit whose offering the programme does not have is recorded too, with the person to whom it was refused, for the
    set-up doctor. Its launch begins no session and consumes no nonce: opened again, the unit explains itself again.
    """
    now: datetime = max(each.session["created_at"] for each in entries)
    refused = _refusals(connection, entries)
    listed = [each for each in entries if each not in refused or _is_listable(refused[each], each)]
    trainee_ids = dict(zip(listed, enrol(connection, [each.launched for each in listed], now), strict=True))
    placed = _place(connection, trainee_ids, refused, now)
    sessions = {
        each: {**each.session, "trainee_id": trainee_ids[each], "placement_id": placed[each].placement_id}
        for each in listed
        if each not in refused
    }
    begun = begin_sessions(connection, list(sessions.values()))
    return [
        refused.get(each) or (placed[each] if each.session["token_digest"] in begun else nonce_used())
        for each in entries
    ]


def enrol(connection: Connection, launches: Sequence[Launch], now: datetime) -> list[int]:
    """Record these people, each in their course under the platform's own user id; returns their ids in this order."""
    ids: dict[tuple[str, str], int] = {}
    for issuer in sorted({each.issuer for each in launches}):
        profiles: dict[str, Profile] = {}
        for each in launches:
            if each.issuer == issuer:
                said = people.profile(each.name, each.email, each.language)
                before = profiles.get(each.sub, Profile(None, None))
                profiles[each.sub] = Profile(*(new or old for new, old in zip(said, before, strict=True)))
        found = people.find_or_add_all(connection, issuer, profiles, now)
        ids |= {(issuer, sub): trainee_id for sub, trainee_id in found.items()}
    trainee_ids = [ids[each.issuer, each.sub] for each in launches]
    wanted = {
        (each.registration_id, each.context_id or "", trainee_id): (each.sub, each.course_role)
        for each, trainee_id in zip(launches, trainee_ids, strict=True)
    }
    known = {
        (row.registration_id, row.context_id, row.trainee_id): (row.user_id, row.role)
        for row in connection.execute(_launched_enrolments, {"trainees": trainee_ids})
    }
    changed = [
        dict(zip(ENROLMENT, (*key, *wanted[key], now), strict=True))
        for key in sorted(wanted)
        if known.get(key) != wanted[key]
    ]
    if changed:
        connection.execute(_upsert(connection, enrolments, ENROLMENT[:3], ENROLMENT[3:]), changed)
    return trainee_ids


def begin_sessions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Collection[str]:
    """Insert these browser sessions, each of which consumes its nonce; returns the digests of those whose nonce was not
    consumed before."""
    ordered = sorted(rows, key=lambda row: str(row["nonce"]))
    digests = [row["token_digest"] for row in ordered]
    if not rows or connection.execute(insert_ignoring(connection, web_sessions), ordered).rowcount == len(rows):
        return digests
    return connection.scalars(_begun, {"digests": digests}).all()


def verify_offered(connection: Connection, content: Content) -> None:
    """Raises RefusedLaunch `module_unknown` or `retreat_of_link_unknown` if the published programme has no such module
    or retreat, NotFound `programme_not_published`."""
    if content.kind in UNKNOWN_OFFERING and not _is_offered(content, versions.current(connection).programme):
        raise UnknownOffering(content)


def _refusals(connection: Connection, entries: Sequence[Entry]) -> dict[Entry, GatehouseError]:
    """Why launches that name an offering are refused, if they are."""
    naming = [each for each in entries if each.content.kind in UNKNOWN_OFFERING]
    if not naming:
        return {}
    try:
        programme = versions.current(connection).programme
    except GatehouseError as unreadable:
        return dict.fromkeys(naming, unreadable)
    return {each: UnknownOffering(each.content) for each in naming if not _is_offered(each.content, programme)}


def _is_offered(content: Content, programme: Programme) -> bool:
    return content.name in (programme.modules if content.kind == "module" else programme.retreats)


def _is_listable(refusal: GatehouseError, entry: Entry) -> bool:
    return isinstance(refusal, UnknownOffering) and is_plain_text(entry.content.key, LONGEST_CONTENT)


def _place(
    connection: Connection, trainee_ids: Mapping[Entry, int], refused: Collection[Entry], now: datetime
) -> dict[Entry, Recorded]:
    """Record what the links of these launches open, and the services that they offer. Writes only what is new, so that
    launches of one unit do not wait for each other's commit."""
    placed: dict[Entry, Recorded] = {}
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in sorted(trainee_ids, key=lambda each: tuple(_link_of(each).values())):
        key, values = _link_of(entry), _offered(entry)
        if entry in refused:
            values |= {"module_id": None, "refused_trainee_id": trainee_ids[entry], "launched_at": now}
        link = tuple(key.values())
        if link not in known:
            row = connection.execute(_placement_of_link, key).first()
            known[link] = dict(row._mapping) if row else {}
        if not known[link] or any(known[link][name] != value for name, value in values.items()):
            changed = {**values, "launched_at": now, "updated_at": now}
            # If the claims name nothing, the module is left alone: staff may assign one at this moment.
            statement = _upsert(connection, placements, tuple(key), tuple(changed))
            written = connection.execute(statement.returning(placements), {**key, **changed}).one()
            known[link] = dict(written._mapping)
        placed[entry] = Recorded(trainee_ids[entry], known[link]["id"], known[link]["module_id"])
    return placed


def _link_of(entry: Entry) -> dict[str, Any]:
    """The key of a placement."""
    launched = entry.launched
    link = launched.registration_id, launched.deployment_id, launched.resource_link_id, entry.content.key
    return dict(zip(LINK, link, strict=True))


def _offered(entry: Entry) -> dict[str, Any]:
    """The course, the link, its services and, if its claims name any content, its module, as this launch names them.
    Only a learner's launch says whether learners' names and addresses are shared."""
    launched, content = entry.launched, entry.content
    ags = launched.ags or Ags(None, None, ())
    score = launched.custom_value("score")
    shared = {"shares_name": launched.name is not None, "shares_email": launched.email is not None}
    named = {"module_id": content.name if content.kind == "module" else None}
    return {
        "resource_link_title": launched.resource_link_title,
        "context_id": launched.context_id,
        "context_title": launched.context_title,
        "score_meaning": score if score in SCORE_MEANINGS else None,
        "line_item_url": ags.line_item_url,
        "line_items_url": ags.line_items_url,
        "ags_scopes": list(ags.scopes),
        "is_ags_unreadable": ags.is_unreadable,
        "memberships_url": launched.memberships_url,
        "groups_url": launched.groups_url,
        "notices_url": launched.notices.url if launched.notices else None,
        "refused_trainee_id": None,
        **({} if launched.is_staff else shared),
        **(named if content.key else {}),
    }


def record_latest_launches(database: Database) -> bool:
    """Periodic job: record when each person last launched in a course, and each unit was last launched; the browser
    sessions tell. Returns False: there is never more to do at once."""
    course = func.coalesce(web_sessions.c.context_id, "").label("course")
    enrolled = (web_sessions.c.registration_id, course, web_sessions.c.trainee_id)
    at = func.max(web_sessions.c.created_at).label("at")
    by_person = select(*enrolled, at).group_by(*enrolled).subquery()
    by_unit = select(web_sessions.c.placement_id, at).group_by(web_sessions.c.placement_id).subquery()
    launched = select(enrolments, by_person.c.at).where(
        enrolments.c.registration_id == by_person.c.registration_id,
        enrolments.c.context_id == by_person.c.course,
        enrolments.c.trainee_id == by_person.c.trainee_id,
        enrolments.c.last_launch_at < by_person.c.at,
    )
    opened = select(placements, by_unit.c.at).where(
        placements.c.id == by_unit.c.placement_id, placements.c.launched_at < by_unit.c.at
    )
    _advance(database, launched, enrolments.c.last_launch_at, ENROLMENT[:3])
    _advance(database, opened, placements.c.launched_at, LINK)
    return False


def _advance(database: Database, later: Select[Any], column: Column[Any], key: tuple[str, ...]) -> None:
    """Write these later times to a column, row by row in the order in which launches write them: in another order each
    would wait for a row of the other's on PostgreSQL."""
    table = column.table
    this = [table.c[name] == bindparam(f"key_{name}") for name in key]
    at = bindparam("at", type_=column.type)
    with database.write() as connection:
        rows = [
            {"at": row.at, **{f"key_{name}": getattr(row, name) for name in key}} for row in connection.execute(later)
        ]
        if rows:
            rows.sort(key=lambda row: [row[f"key_{name}"] for name in key])
            connection.execute(update(table).where(*this, column < at).values({column: at}), rows)


_statements: dict[tuple[Any, ...], Any] = {}


def _upsert(connection: Connection, table: Table, key: tuple[str, ...], values: tuple[str, ...]) -> Any:
    """Inserts the row of this key or updates it. Each statement is built once."""
    known = (connection.dialect.name, table, values)
    if known not in _statements:
        statement = upsert(connection, table)
        new = {name: statement.excluded[name] for name in values}
        _statements[known] = statement.on_conflict_do_update(index_elements=key, set_=new)
    return _statements[known]


_launched_enrolments = select(enrolments).where(
    enrolments.c.trainee_id.in_(bindparam("trainees", expanding=True)), enrolments.c.last_launch_at.is_not(None)
)
_placement_of_link = select(placements).where(
    placements.c.registration_id == bindparam("registration_id"),
    placements.c.deployment_id == bindparam("deployment_id"),
    placements.c.resource_link_id == bindparam("resource_link_id"),
    placements.c.content == bindparam("content"),
)
_begun = select(web_sessions.c.token_digest).where(
    web_sessions.c.token_digest.in_(bindparam("digests", expanding=True))
)

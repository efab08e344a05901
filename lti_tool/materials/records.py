"""Materials of a module: added, changed, put in order, hidden and deleted. Every change is a new version.

A form names the version that the person saw, so that two people cannot overwrite each other's change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, insert, select, text, update

from lti_tool import audit
from lti_tool.attendance.queries import WAS_IN_CLASS
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.languages import translated
from lti_tool.materials.kinds import KINDS, Kind, size_in_words
from lti_tool.materials.storage import UNDO
from lti_tool.tables.gates import completions, decisions
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.materials import material_files, material_versions, materials
from lti_tool.text import clean, clean_lines, read_line

ShownFrom = Literal["gate", "session_start", "session_end"]
# Value → when trainees see a material.
SHOWN_FROM: dict[str, str] = {
    "gate": "As long as the module is open to them",
    "session_start": "Once their session has begun",
    "session_end": "After their session has ended",
}
MAX_TITLE = 255
MAX_DESCRIPTION = 1000
MAX_URL = 2000
MAX_PER_MODULE = 50
# The second number is the module's.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(1303, hashtext(:module))")
# Who joins this long before a session joins that session.
_EARLY = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Content:
    """What a version holds: a file with its name, or a link."""

    file_id: int | None = None
    file_name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """One version of a material with the material's own state. `version` counts now; `number` is this one's."""

    id: int
    module_id: str
    version: int
    number: int
    title: str
    description: str
    shown_from: str
    file_id: int | None
    file_name: str | None
    url: str | None
    recorded_by: str
    recorded_at: datetime
    shown_at: datetime
    hidden_at: datetime | None
    deleted_at: datetime | None
    version_deleted_at: datetime | None
    digest: str | None
    bytes: int | None
    kind_id: str | None
    cleaned_at: datetime | None

    @property
    def is_visible(self) -> bool:
        """Whether trainees see it at all."""
        return self.hidden_at is None and self.deleted_at is None

    @property
    def kind(self) -> Kind | None:
        """The kind of its file; None for a link."""
        return KINDS[self.kind_id] if self.kind_id else None

    @property
    def host(self) -> str:
        """Where a link leads."""
        return host_of(self.url) if self.url else ""

    @property
    def about(self) -> str:
        """'PDF, 1.2 MB', or the host of a link."""
        return f"{translated(self.kind.words)}, {size_in_words(self.bytes or 0)}" if self.kind else self.host

    @property
    def content(self) -> Content:
        return Content(self.file_id, self.file_name, self.url)

    @property
    def is_there(self) -> bool:
        """Whether its file can be sent."""
        return self.version_deleted_at is None and self.cleaned_at is None


@dataclass(frozen=True, slots=True)
class Reach:
    """Since when a person's own session of a module has begun, and has ended; None: not yet."""

    began_at: datetime | None
    ended_at: datetime | None

    def since(self, material: Material) -> datetime | None:
        """When this material appeared for the person; None while it is not shown."""
        waited = {"gate": material.shown_at, "session_start": self.began_at, "session_end": self.ended_at}
        at = waited[material.shown_from]
        return None if at is None else max(at, material.recorded_at, material.shown_at)


def of_module(module_id: str, *, deleted: bool = False, now: datetime | None = None) -> Select[Any]:
    """The query for the materials of a module in their order; or for those deleted that can still be brought back."""
    chosen: ColumnElement[bool] = materials.c.deleted_at.is_(None)
    if deleted and now is not None:
        chosen = materials.c.deleted_at > now - UNDO
    query = _query.where(materials.c.module_id == module_id, chosen, _IS_CURRENT)
    return query.order_by(materials.c.position, materials.c.id)


def load_all(connection: Connection, query: Select[Any]) -> list[Material]:
    return [Material(**row._mapping) for row in connection.execute(query)]


def load(connection: Connection, module_id: str, material_id: int, number: int | None = None) -> Material:
    """One material of this module: the version that counts, or an earlier one. Raises NotFound "material_unknown"."""
    wanted: ColumnElement[bool] = _IS_CURRENT if number is None else material_versions.c.number == number
    query = _query.where(materials.c.id == material_id, materials.c.module_id == module_id, wanted)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("material_unknown", "There is no such material.", "Open the page of the module again.")
    return Material(**row._mapping)


def versions_of(connection: Connection, material: Material) -> list[Material]:
    """Every version, the latest first."""
    query = _query.where(materials.c.id == material.id).order_by(material_versions.c.number.desc())
    return load_all(connection, query)


def counts(connection: Connection) -> dict[str, int]:
    """Module id → how many materials trainees can see."""
    visible = and_(materials.c.deleted_at.is_(None), materials.c.hidden_at.is_(None))
    query = select(materials.c.module_id, func.count()).where(visible).group_by(materials.c.module_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def reach_of(connection: Connection, trainee_id: int, module_id: str, now: datetime) -> Reach:
    """The sessions of this module in which the person was, by Zoom or by their join link, and their completion of it by
    another way."""
    session, person, joined = live_sessions.c, attendances.c, decisions.c
    was_there = exists().where(person.live_session_id == session.id, person.trainee_id == trainee_id, WAS_IN_CLASS)
    ended = func.coalesce(session.ended_at, session.ends_at).label("ended_at")
    query = select(session.starts_at, session.ends_at, ended, was_there.label("was_there"))
    held = connection.execute(query.where(session.module_id == module_id, session.state != "cancelled")).all()
    joins = connection.scalars(
        select(joined.decided_at).where(
            joined.trainee_id == trainee_id,
            joined.offering_id == module_id,
            joined.route == "join",
            joined.open.is_(True),
        )
    ).all()
    own = [row for row in held if row.was_there or any(row.starts_at - _EARLY < at < row.ends_at for at in joins)]
    otherwise = connection.scalar(
        select(func.min(completions.c.recorded_at)).where(
            completions.c.trainee_id == trainee_id,
            completions.c.module_id == module_id,
            completions.c.live_session_id.is_(None),
            completions.c.ended_at.is_(None),
        )
    )
    began = [row.starts_at for row in own if row.starts_at <= now] + ([otherwise] if otherwise else [])
    over = [row.ended_at for row in own if row.ended_at <= now] + ([otherwise] if otherwise else [])
    return Reach(min(began, default=None), min(over, default=None))


def add(
    connection: Connection,
    module_id: str,
    content: Content,
    *,
    title: str,
    description: str = "",
    shown_from: str = "gate",
    actor: str,
    now: datetime,
) -> int:
    """Add a material at the end of the module's list; its id.

    Raises BadInput "material_title_wrong", "material_description_long", "material_shown_from_wrong"; Conflict
    "materials_too_many", "material_there_already".
    """
    given = _given(title, description, shown_from)
    last = _hold_list(connection, module_id)
    own = select(material_files.c.digest).where(material_files.c.id == content.file_id).scalar_subquery()
    same = material_versions.c.url == content.url if content.url else material_files.c.digest == own
    _refuse_again(connection, module_id, same)
    row = {
        "module_id": module_id,
        "position": last + 1,
        "version": 1,
        "created_at": now,
        "shown_at": now,
    }
    material_id: int = connection.execute(insert(materials).values(row).returning(materials.c.id)).scalar_one()
    _add_version(connection, material_id, 1, content, given, actor, now)
    _log(connection, "material_added", material_id, module_id, actor, now, version=1)
    return material_id


def verify_addable(
    connection: Connection, module_id: str, digests: Sequence[str], *, title: str, description: str, shown_from: str
) -> None:
    """Raise what `add` would raise for files with these SHA-256, before they are kept."""
    _given(title, description, shown_from)
    _hold_list(connection, module_id, more=len(digests))
    if len(set(digests)) < len(digests):
        raise _there_already()
    _refuse_again(connection, module_id, material_files.c.digest.in_(digests))


def verify_changeable(material: Material, *, seen: int, title: str, description: str, shown_from: str) -> None:
    """Raise what `change` would raise, before a file is kept."""
    _given(title, description, shown_from)
    _refuse_changed(material, seen)


def change(
    connection: Connection,
    material: Material,
    *,
    seen: int,
    content: Content | None = None,
    title: str,
    description: str,
    shown_from: str,
    actor: str,
    now: datetime,
) -> None:
    """Record a new version. `seen` is the version that the person saw; `content` None keeps the file or link.

    Raises as `add` does, and Conflict "material_changed", "material_deleted".
    """
    verify_changeable(material, seen=seen, title=title, description=description, shown_from=shown_from)
    given = _given(title, description, shown_from)
    number = material.version + 1
    mine = and_(materials.c.id == material.id, materials.c.version == seen)
    if connection.execute(update(materials).where(mine).values(version=number)).rowcount != 1:
        raise _changed()
    _add_version(connection, material.id, number, content or material.content, given, actor, now)
    act = "material_replaced" if content else "material_edited"
    _log(connection, act, material.id, material.module_id, actor, now, version=number)


def set_hidden(connection: Connection, material: Material, *, hidden: bool, actor: str, now: datetime) -> None:
    """Hide a material from trainees, or show it again. What is so already stays as it is."""
    if material.deleted_at is not None:
        raise _deleted()
    if (material.hidden_at is not None) == hidden:
        return
    changed = {"hidden_at": now} if hidden else {"hidden_at": None, "shown_at": now}
    connection.execute(update(materials).where(materials.c.id == material.id).values(changed))
    act = "material_hidden" if hidden else "material_shown"
    _log(connection, act, material.id, material.module_id, actor, now)


def set_deleted(connection: Connection, material: Material, *, deleted: bool, actor: str, now: datetime) -> None:
    """Delete a material, or bring it back while that is possible. Raises Conflict "material_gone",
    "materials_too_many"."""
    if (material.deleted_at is not None) == deleted:
        return
    _refuse_gone(material.deleted_at, now)
    if not deleted:
        _hold_list(connection, material.module_id)
    changed = {"deleted_at": now} if deleted else {"deleted_at": None, "shown_at": now}
    connection.execute(update(materials).where(materials.c.id == material.id).values(changed))
    act = "material_deleted" if deleted else "material_restored"
    _log(connection, act, material.id, material.module_id, actor, now)


def set_version_deleted(connection: Connection, version: Material, *, deleted: bool, actor: str, now: datetime) -> None:
    """Delete the file of an earlier version, or bring it back while that is possible.

    Every version with this file is meant. Raises Conflict "material_in_use", "material_gone"; NotFound
    "material_unknown" for a link.
    """
    if version.file_id is None:
        raise NotFound("material_unknown", "There is no such file.", "Open the page of the material again.")
    current = load(connection, version.module_id, version.id)
    if current.file_id == version.file_id:
        raise Conflict(
            "material_in_use", "This is the file that trainees get now.", "Replace it first, or delete the material."
        )
    if (version.version_deleted_at is not None) == deleted:
        return
    _refuse_gone(version.version_deleted_at, now)
    same = and_(material_versions.c.material_id == version.id, material_versions.c.file_id == version.file_id)
    connection.execute(update(material_versions).where(same).values(deleted_at=now if deleted else None))
    act = "material_version_deleted" if deleted else "material_version_restored"
    _log(connection, act, version.id, version.module_id, actor, now, version=version.number)


def move(connection: Connection, material: Material, *, up: bool, actor: str, now: datetime) -> None:
    """Let a material and its neighbour change places; the first one stays first, the last one last."""
    ordered = [each.id for each in load_all(connection, of_module(material.module_id))]
    if material.id not in ordered:
        raise _deleted()
    here = ordered.index(material.id)
    there = here - 1 if up else here + 1
    if not 0 <= there < len(ordered):
        return
    ordered[here], ordered[there] = ordered[there], ordered[here]
    for position, each in enumerate(ordered, 1):
        moved = and_(materials.c.id == each, materials.c.position != position)
        connection.execute(update(materials).where(moved).values(position=position))
    _log(connection, "material_moved", material.id, material.module_id, actor, now)


def read_link(given: str) -> str:
    """A link that staff entered. Raises BadInput "material_link_wrong" unless it is an https address with a host of
    ASCII letters."""
    url = clean(given)
    wrong = BadInput(
        "material_link_wrong",
        "This is not an https address.",
        "Copy the whole address from the browser. It begins with https:// and holds no user name.",
    )
    try:
        parts = urlsplit(url)
        if not (parts.hostname or "").isascii():  # Python and browsers may spell such a host in different ways
            raise BadInput(
                "material_link_wrong",
                "The host of this address has letters other than a to z.",
                "Write the host in its form that begins with xn--.",
            )
        is_right = parts.scheme == "https" and not parts.username and not parts.password and bool(host_of(url))
    except ValueError as error:
        raise wrong from error
    if not is_right or len(url) > MAX_URL or " " in url or "\\" in url or not url.isprintable():
        raise wrong
    return url


def host_of(url: str) -> str:
    """The host of an address, with a port that is not the usual one. Raises ValueError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if "." not in host or not host.isascii() or not all(letter.isalnum() or letter in "-._" for letter in host):
        raise ValueError("no host")
    return host if parts.port in (None, 443) else f"{host}:{parts.port}"


def _given(title: str, description: str, shown_from: str) -> dict[str, Any]:
    words = clean_lines(description)
    if len(words) > MAX_DESCRIPTION:
        raise BadInput(
            "material_description_long",
            f"The description is longer than {MAX_DESCRIPTION} characters.",
            "Please shorten it.",
        )
    if shown_from not in SHOWN_FROM:
        raise BadInput("material_shown_from_wrong", "Choose when trainees see this.")
    title = read_line(title, "material_title_wrong", "The title", MAX_TITLE)
    return {"title": title, "description": words, "shown_from": shown_from}


def _add_version(
    connection: Connection,
    material_id: int,
    number: int,
    content: Content,
    given: dict[str, Any],
    actor: str,
    now: datetime,
) -> None:
    row = {
        **given,
        "material_id": material_id,
        "number": number,
        "file_id": content.file_id,
        "file_name": content.file_name,
        "url": content.url,
        "recorded_by": actor,
        "recorded_at": now,
    }
    connection.execute(insert(material_versions).values(row))


def _hold_list(connection: Connection, module_id: str, more: int = 1) -> int:
    """The last position in the module's list, which others cannot add to until the transaction ends (SQLite has one
    writer anyway). Raises Conflict "materials_too_many" if it takes no more."""
    if connection.dialect.name == "postgresql":
        connection.execute(_ONE_AT_A_TIME, {"module": module_id})
    count, last = connection.execute(
        select(func.count(), func.max(materials.c.position)).where(_listed(module_id))
    ).one()
    if count + more > MAX_PER_MODULE:
        raise Conflict(
            "materials_too_many",
            f"A module can have at most {MAX_PER_MODULE} materials; this one has {count}.",
            "Delete some that are no longer needed.",
        )
    return last or 0


def _listed(module_id: str) -> ColumnElement[bool]:
    return and_(materials.c.module_id == module_id, materials.c.deleted_at.is_(None))


def _refuse_again(connection: Connection, module_id: str, same: ColumnElement[bool]) -> None:
    """A form that was sent twice adds nothing twice."""
    version, file = material_versions.c, material_files.c
    query = (
        select(materials.c.id)
        .join_from(materials, material_versions, and_(version.material_id == materials.c.id, _IS_CURRENT))
        .outerjoin(material_files, file.id == version.file_id)
        .where(_listed(module_id), same)
    )
    if connection.execute(query).first() is not None:
        raise _there_already()


def _refuse_changed(material: Material, seen: int) -> None:
    if material.deleted_at is not None:
        raise _deleted()
    if material.version != seen:
        raise _changed()


def _refuse_gone(deleted_at: datetime | None, now: datetime) -> None:
    if deleted_at is not None and deleted_at <= now - UNDO:
        raise Conflict(
            "material_gone",
            f"This was deleted more than {UNDO.days} days ago, so it can no longer be brought back.",
            "Add it again.",
        )


def _log(
    connection: Connection, act: str, material_id: int, module_id: str, actor: str, now: datetime, **details: Any
) -> None:
    subject = f"material:{material_id}"
    audit.record(connection, actor=actor, act=act, subject=subject, at=now, module=module_id, **details)


def _there_already() -> Conflict:
    return Conflict(
        "material_there_already",
        "This module has exactly this material already.",
        "Look for it in the list; it may be hidden.",
    )


def _changed() -> Conflict:
    return Conflict(
        "material_changed",
        "This material has been changed since you opened the page. Your change was not saved.",
        "Open the page again, look at the change, and enter yours again.",
    )


def _deleted() -> Conflict:
    return Conflict("material_deleted", "This material is deleted.", "Bring it back first.")


_IS_CURRENT = material_versions.c.number == materials.c.version
_query = (
    select(
        materials.c.id,
        materials.c.module_id,
        materials.c.version,
        material_versions.c.number,
        material_versions.c.title,
        material_versions.c.description,
        material_versions.c.shown_from,
        material_versions.c.file_id,
        material_versions.c.file_name,
        material_versions.c.url,
        material_versions.c.recorded_by,
        material_versions.c.recorded_at,
        materials.c.shown_at,
        materials.c.hidden_at,
        materials.c.deleted_at,
        material_versions.c.deleted_at.label("version_deleted_at"),
        material_files.c.digest,
        material_files.c.bytes,
        material_files.c.kind.label("kind_id"),
        material_files.c.cleaned_at,
    )
    .join_from(materials, material_versions, material_versions.c.material_id == materials.c.id)
    .outerjoin(material_files, material_files.c.id == material_versions.c.file_id)
)

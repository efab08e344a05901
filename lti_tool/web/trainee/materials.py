"""Materials on the page of a module, and the file behind each, with the gate evaluated again before it is sent.

A file opens in a new tab or is saved, and neither gets the frame's cookie (it is partitioned). So the link carries a
signed ticket that names the browser session and the module, as a join link does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from flask import current_app, send_file
from flask import request as http_request
from sqlalchemy import Connection, func, select
from werkzeug.wrappers import Response

from lti_tool import signing
from lti_tool.context import AppContext
from lti_tool.errors import AccessDenied, NotFound
from lti_tool.languages import N_, translated
from lti_tool.materials import records, storage
from lti_tool.materials.records import Material
from lti_tool.signing import SignatureExpired, SignatureWrong, sign
from lti_tool.tables.gates import decisions
from lti_tool.web.request import FILE, abandon, read_id
from lti_tool.web.session import LIFETIME, Viewer, passes_gate, viewer, viewer_of

PURPOSE = "material"
# Visits that lie closer together are one visit.
ONE_VISIT = timedelta(minutes=30)
# How many openings a process remembers.
MAX_OPENINGS = 20_000
# No script, no plug-in and no form of a file acts in our name, wherever it is opened.
FILE_POLICY = "default-src 'none'; sandbox"
# Value of `shown_from` → what a trainee reads of materials that are still to come.
COMING = {
    "session_start": N_("More will appear here once your session has begun."),
    "session_end": N_("More will appear here after your session has ended."),
}
# … and what a member of staff reads beside a material that trainees do not see yet.
FOR_TRAINEES = {
    "session_start": "Trainees see this once their session has begun.",
    "session_end": "Trainees see this after their session has ended.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One material on the page. `says` tells staff when trainees see it."""

    material: Material
    address: str
    is_new: bool
    says: str


@dataclass(frozen=True, slots=True)
class Card:
    """The materials that are shown, and sentences about those to come."""

    shown: Sequence[Shown]
    coming: Sequence[str]


def card(connection: Connection, secret: str, who: Viewer, module_id: str, now: datetime) -> Card:
    """The materials of a module whose gate is open. Staff see all that are not hidden."""
    found = [each for each in records.load_all(connection, records.of_module(module_id)) if each.is_visible]
    if not found:
        return Card((), ())
    passes = passes_gate(who, module_id)
    reach = records.reach_of(connection, who.trainee_id, module_id, now)
    last_visit = _last_visit(connection, who.trainee_id, module_id, now)
    ticket = address_maker(secret, who, module_id, now)
    shown = []
    for each in found:
        since = reach.since(each)
        if since is not None or passes:
            is_new = last_visit is not None and since is not None and since > last_visit
            says = FOR_TRAINEES.get(each.shown_from, "") if passes else ""
            shown.append(Shown(each, ticket(each), is_new, says))
    left_out = {each.shown_from for each in found if reach.since(each) is None} if not passes else set()
    return Card(shown, [translated(says) for value, says in COMING.items() if value in left_out])


def address_maker(secret: str, who: Viewer, module_id: str, now: datetime) -> "Addresses":
    """Gives the address of each material of this module, valid as long as a browser session."""
    payload = {"visit": who.visit, "module": module_id}
    return Addresses(module_id, sign(secret, PURPOSE, payload, expires_at=now + LIFETIME))


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the materials of one module for one browser session."""

    module_id: str
    ticket: str

    def __call__(self, material: Material) -> str:
        """The address of the version that counts, or of this earlier one."""
        more = {} if material.number == material.version else {"version": material.number}
        query = urlencode({**more, "ticket": self.ticket})
        return f"/modules/{quote(self.module_id, safe='')}/materials/{material.id}?{query}"


def reader(connection: Connection, secret: str, module_id: str, now: datetime) -> Viewer:
    """Who asks for a material of this module: by the ticket in the address, else by the browser session.

    Raises AccessDenied "material_link_wrong", "material_link_expired", or as `viewer` does.
    """
    ticket = http_request.args.get("ticket")
    if not ticket:
        return viewer()
    again = "Open the page of the module in your course again and open the material from there."
    expired = AccessDenied("material_link_expired", "This link to a material has expired.", again)
    wrong = AccessDenied("material_link_wrong", "This link to a material is not complete.", again)
    try:
        payload = signing.load(secret, PURPOSE, ticket, now=now)
    except SignatureExpired as error:
        raise expired from error
    except SignatureWrong as error:
        raise wrong from error
    if payload["module"] != module_id:
        raise wrong
    found = viewer_of(connection, payload["visit"], now)
    if found is None:
        raise expired
    return found


def load(connection: Connection, who: Viewer, module_id: str, material_id: int, now: datetime) -> Material:
    """The material as this person may have it now; for staff also one that is hidden, and the version that the address
    names.

    Raises NotFound "material_unknown", "material_file_deleted"; AccessDenied "material_not_yet".
    """
    number, passes = None, passes_gate(who, module_id)
    if passes and "version" in http_request.args:
        number = http_request.args.get("version", 0, read_id)
    found = records.load(connection, module_id, material_id, number)
    if not (passes or found.is_visible):
        raise NotFound("material_unknown", "There is no such material.", "Open the page of the module again.")
    if not passes and records.reach_of(connection, who.trainee_id, module_id, now).since(found) is None:
        raise AccessDenied(
            "material_not_yet",
            "This material is not shown to you yet.",
            "It will appear on the page of the module; the page says when.",
        )
    if not found.is_there:
        raise NotFound("material_file_deleted", "This file was deleted.", "Open the page of the module again.")
    return found


class Openings:
    """Which browser session has lately been recorded as opening which material; only of this process."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, int], datetime] = {}

    def note(self, who: Viewer, material_id: int, now: datetime) -> None:
        if len(self._at) >= MAX_OPENINGS:
            self._at.clear()  # each is recorded once more
        self._at[who.visit, material_id] = now

    def has(self, who: Viewer, material_id: int, now: datetime) -> bool:
        at = self._at.get((who.visit, material_id))
        return at is not None and now - at < ONE_VISIT


def openings() -> Openings:
    """Those of this app."""
    found: Openings = current_app.extensions.setdefault("gatehouse_openings", Openings())
    return found


def send(context: AppContext, material: Material) -> Response:
    """The file, or the part of it that was asked for; the server itself sends it (`web.rsgi`)."""
    assert material.kind is not None
    abandon()  # it has only read: no connection is held while a large file is copied
    path = storage.copy_of(context.database, context.settings.data, material)
    http_request.environ[FILE] = str(path)
    response = send_file(
        path,
        mimetype=material.kind.mimetype,
        as_attachment=True,
        download_name=material.file_name,
        etag=material.digest or "",
        conditional=True,
    )
    del response.headers["Last-Modified"]
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Security-Policy"] = FILE_POLICY
    return response


def _last_visit(connection: Connection, trainee_id: int, module_id: str, now: datetime) -> datetime | None:
    """When the person looked at the page of the module before this visit; None: never."""
    seen = decisions.c
    at: datetime | None = connection.scalar(
        select(func.max(seen.decided_at)).where(
            seen.trainee_id == trainee_id,
            seen.offering_id == module_id,
            seen.route.in_(("module", "launch")),
            seen.decided_at < now - ONE_VISIT,
        )
    )
    return at

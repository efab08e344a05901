"""Materials of a module, for staff: add files and links, edit, replace, put in order, hide, delete and bring back.

A file is kept before the request's own transaction begins to write (`materials.storage`): a large one would else keep
every other writer waiting. What is refused leaves nothing in the list.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flask import Blueprint
from flask import request as http_request
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from lti_tool.errors import BadInput, Conflict, GatehouseError, NotFound
from lti_tool.materials import kinds, records, storage
from lti_tool.materials.kinds import MAX_FILE_BYTES
from lti_tool.materials.records import Content, Material
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import EDIT_PROGRAMME
from lti_tool.web.forms import Problems, sent
from lti_tool.web.page import go, show
from lti_tool.web.request import abandon, connection, context, now, read_id
from lti_tool.web.session import Limits, access, viewer
from lti_tool.web.staff import overview
from lti_tool.web.trainee.materials import Card, Shown, address_maker

Page = str | Response | tuple[str, int]

# Four files of the largest size, with the fields around them.
UPLOAD = Limits(max_bytes=4 * MAX_FILE_BYTES + 2**20)
MAX_FILES = 20
REFUSED = (BadInput, Conflict)
# Which field of a form a refusal is about.
FIELD_OF = {
    "file_missing": "files",
    "files_too_many": "files",
    "title_for_several": "title",
    "material_description_long": "description",
    "material_link_wrong": "url",
    "material_shown_from_wrong": "shown_from",
    "material_there_already": "form",
    "material_title_wrong": "title",
}

blueprint = Blueprint("desk_materials", __name__, url_prefix="/desk/programme/<module_id>/materials")


@blueprint.get("")
@access(EDIT_PROGRAMME)
def listing(module_id: str) -> Page:
    """The materials in their order, those that can be brought back, and the form for files."""
    return _list_page(module_id, {}, {})


@blueprint.post("")
@access(EDIT_PROGRAMME, UPLOAD)
def add_files(module_id: str) -> Page:
    """Add one or several files: all of them, or none."""
    _module(module_id)
    given, files = sent(), _files("files")
    problems, codes = _problems_of_files(files, given)
    if problems:
        return _list_page(module_id, given, problems, codes), 422
    try:
        digests = _digests(files)
        title = given.get("title") or kinds.title_of(kinds.name_of(files[0].filename))
        records.verify_addable(connection(), module_id, digests, **_details({**given, "title": title}))
        contents = _keep(files)
        for content in contents:
            title = given.get("title") or kinds.title_of(content.file_name or "")
            _add(module_id, content, {**given, "title": title})
    except REFUSED as refusal:
        abandon()
        return _list_page(module_id, given, _problems(refusal), {refusal.code}), refusal.status
    return go(_place(module_id), "materials_added")


@blueprint.get("/link")
@access(EDIT_PROGRAMME)
def link_form(module_id: str) -> Page:
    """The form for a link."""
    return _link_page(module_id, {}, {})


@blueprint.post("/link")
@access(EDIT_PROGRAMME)
def add_link(module_id: str) -> Page:
    """Show where the link leads; once that is confirmed, add it (roles.md RL11)."""
    _module(module_id)
    given = sent()
    try:
        url = records.read_link(given.get("url", ""))
        if given.get("confirmed") != url:
            return _link_page(module_id, {**given, "url": url}, {}, host=records.host_of(url))
        _add(module_id, Content(url=url), given)
    except REFUSED as refusal:
        return _link_page(module_id, given, _problems(refusal)), refusal.status
    return go(_place(module_id), "materials_added")


@blueprint.get("/preview")
@access(EDIT_PROGRAMME)
def preview(module_id: str) -> Page:
    """The card as trainees see it: on the day they enter, and after their session."""
    programme = _module(module_id)
    ticket = address_maker(context().settings.secret_key, viewer(), module_id, now())
    visible = [each for each in _load_all(module_id) if each.is_visible]

    def as_seen(*shown_from: str) -> Card:
        return Card([Shown(each, ticket(each), False, "") for each in visible if each.shown_from in shown_from], ())

    cards = [
        ("Before their session", as_seen("gate")),
        ("During their session", as_seen("gate", "session_start")),
        ("After their session", as_seen(*records.SHOWN_FROM)),
    ]
    return show("staff/materials_preview.html", programme, module=programme.modules[module_id], cards=cards)


@blueprint.get("/<int:material_id>")
@access(EDIT_PROGRAMME)
def material(module_id: str, material_id: int) -> Page:
    """One material: its details, its versions, and what can be done with it."""
    _module(module_id)
    return _material_page(records.load(connection(), module_id, material_id), {}, {})


@blueprint.post("/<int:material_id>")
@access(EDIT_PROGRAMME)
def edit(module_id: str, material_id: int) -> Page:
    """Save title, description and when it is shown; of a link also its address, once its host is confirmed."""
    _module(module_id)
    given, found = sent(), records.load(connection(), module_id, material_id)
    try:
        content = None
        if found.url and given.get("url") != found.url:
            url = records.read_link(given.get("url", ""))
            if given.get("confirmed") != url:
                return _material_page(found, {**given, "url": url}, {}, host=records.host_of(url))
            content = Content(url=url)
        _change(found, given, content)
    except REFUSED as refusal:
        return _material_page(found, given, _problems(refusal)), refusal.status
    return go(f"{_place(module_id)}/{material_id}", "material_saved")


@blueprint.post("/<int:material_id>/file")
@access(EDIT_PROGRAMME, UPLOAD)
def replace(module_id: str, material_id: int) -> Page:
    """Replace the file; the one before stays as an earlier version."""
    _module(module_id)
    found, files = records.load(connection(), module_id, material_id), _files("files")
    problems, codes = _problems_of_files(files[:1], {})
    if problems:
        return _material_page(found, {}, problems, codes=codes), 422
    try:
        given = {"title": found.title, "description": found.description, "shown_from": found.shown_from, **sent()}
        current = records.load(connection(), module_id, material_id)
        records.verify_changeable(current, seen=_seen(given), **_details(given))
        (content,) = _keep(files[:1])
        _change(records.load(connection(), module_id, material_id), given, content)
    except REFUSED as refusal:
        abandon()
        return _material_page(found, {}, _problems(refusal)), refusal.status
    return go(f"{_place(module_id)}/{material_id}", "material_saved")


@blueprint.post("/<int:material_id>/move")
@access(EDIT_PROGRAMME)
def move(module_id: str, material_id: int) -> Page:
    """Let it change places with the one above or below."""
    _module(module_id)
    found = records.load(connection(), module_id, material_id)
    records.move(connection(), found, up=sent().get("to") == "up", actor=viewer().actor, now=now())
    return go(_place(module_id), "material_moved")


@blueprint.post("/<int:material_id>/state")
@access(EDIT_PROGRAMME)
def set_state(module_id: str, material_id: int) -> Page:
    """Hide it, show it again, delete it, or bring it back."""
    _module(module_id)
    found = records.load(connection(), module_id, material_id)
    to, actor = sent().get("to", ""), viewer().actor
    if to in ("hidden", "shown"):
        records.set_hidden(connection(), found, hidden=to == "hidden", actor=actor, now=now())
    elif to in ("deleted", "restored"):
        records.set_deleted(connection(), found, deleted=to == "deleted", actor=actor, now=now())
    else:
        raise BadInput("form_incomplete", "This form is not complete.", "Go back and send it again.")
    return go(_place(module_id), f"material_{to}")


@blueprint.post("/<int:material_id>/versions/<int:number>")
@access(EDIT_PROGRAMME)
def set_version_state(module_id: str, material_id: int, number: int) -> Page:
    """Delete the file of an earlier version, or bring it back."""
    _module(module_id)
    found = records.load(connection(), module_id, material_id, number)
    deleted = sent().get("to") == "deleted"
    records.set_version_deleted(connection(), found, deleted=deleted, actor=viewer().actor, now=now())
    done = "material_version_deleted" if deleted else "material_version_restored"
    return go(f"{_place(module_id)}/{material_id}", done)


def _place(module_id: str) -> str:
    return f"/desk/programme/{module_id}/materials"


def _module(module_id: str) -> Programme:
    """The programme, which has this module. Raises NotFound "module_unknown"."""
    programme = versions.current(connection()).programme
    if module_id not in programme.modules:
        raise NotFound("module_unknown", "The programme has no such module.", "Choose one on the page Programme.")
    return programme


def _files(field: str) -> list[FileStorage]:
    """The files that were sent; a browser sends one without a name where none was chosen."""
    return [each for each in http_request.files.getlist(field) if each.filename or each.content_length]


def _problems_of_files(files: Sequence[FileStorage], given: Mapping[str, str]) -> tuple[Problems, set[str]]:
    """What is wrong with each file, by its name, and the codes of the refusals; nothing is kept yet.

    The request's transaction, which has written nothing, is given back first: no one waits while large files are read.
    """
    abandon()
    try:
        _verify_number(files, given)
    except BadInput as refusal:
        return _problems(refusal), {refusal.code}
    problems, codes = [], set()
    for each in files:
        name = kinds.name_of(each.filename)
        try:
            kinds.verify_file(each.stream, name)
        except BadInput as refusal:
            problems.append(f"{name}: {refusal.message} {refusal.next_step}")
            codes.add(refusal.code)
    return ({"files": problems} if problems else {}), codes


def _verify_number(files: Sequence[FileStorage], given: Mapping[str, str]) -> None:
    """Raises BadInput "file_missing", "files_too_many" or "title_for_several"."""
    if not files:
        raise BadInput("file_missing", "No file was chosen.", "Choose a file.")
    if len(files) > MAX_FILES:
        raise BadInput("files_too_many", "These are too many files.", f"Choose at most {MAX_FILES} files at a time.")
    if given.get("title") and len(files) > 1:
        raise BadInput(
            "title_for_several",
            "One title cannot name several files.",
            "Leave the title empty when you add several files. You can edit each one afterwards.",
        )


def _digests(files: Sequence[FileStorage]) -> list[str]:
    """The SHA-256 of each file, read while no transaction is open."""
    found = []
    for each in files:
        each.stream.seek(0)
        digest = hashlib.sha256()
        while chunk := each.stream.read(storage.CHUNK_BYTES):
            digest.update(chunk)
        found.append(digest.hexdigest())
    return found


def _keep(files: Sequence[FileStorage]) -> list[Content]:
    """Keep these files, which have been verified. Raises GatehouseError "storage_full"."""
    abandon()
    kept = []
    for each in files:
        name = kinds.name_of(each.filename)
        kind = kinds.verify_file(each.stream, name)
        least_free = context().settings.least_free_megabytes
        file_id = storage.keep(context().database, each.stream, kind, now(), least_free)
        kept.append(Content(file_id=file_id, file_name=kinds.download_name(name, kind)))
    return kept


def _add(module_id: str, content: Content, given: Mapping[str, str]) -> None:
    records.add(connection(), module_id, content, **_details(given), actor=viewer().actor, now=now())


def _change(found: Material, given: Mapping[str, str], content: Content | None) -> None:
    details, actor = _details(given), viewer().actor
    records.change(connection(), found, seen=_seen(given), content=content, **details, actor=actor, now=now())


def _seen(given: Mapping[str, str]) -> int:
    """The version that the person saw."""
    try:
        return read_id(given.get("version", ""))
    except ValueError:
        return 0  # no version has this number


def _details(given: Mapping[str, str]) -> dict[str, str]:
    return {
        "title": given.get("title", ""),
        "description": given.get("description", ""),
        "shown_from": given.get("shown_from", "gate"),
    }


def _load_all(module_id: str) -> list[Material]:
    return records.load_all(connection(), records.of_module(module_id))


def _list_page(module_id: str, given: Mapping[str, str], problems: Problems, codes: Collection[str] = ()) -> str:
    programme = _module(module_id)
    ticket = address_maker(context().settings.secret_key, viewer(), module_id, now())
    return show(
        "staff/materials.html",
        programme,
        module=programme.modules[module_id],
        place=_place(module_id),
        rows=_load_all(module_id),
        deleted=records.load_all(connection(), records.of_module(module_id, deleted=True, now=now())),
        address=ticket,
        given=given,
        problems=problems,
        codes=sorted(codes),
        **_choices(),
    )


def _link_page(module_id: str, given: Mapping[str, str], problems: Problems, host: str = "") -> str:
    programme = _module(module_id)
    values: dict[str, Any] = {"module": programme.modules[module_id], "place": _place(module_id)}
    values |= {"given": given, "problems": problems, "host": host}
    return show("staff/material_link.html", programme, **values, **_choices())


def _material_page(
    found: Material, given: Mapping[str, str], problems: Problems, *, host: str = "", codes: Collection[str] = ()
) -> str:
    programme = _module(found.module_id)
    ticket = address_maker(context().settings.secret_key, viewer(), found.module_id, now())
    history = records.versions_of(connection(), found)
    saved = {"title": found.title, "description": found.description, "shown_from": found.shown_from, "url": found.url}
    return show(
        "staff/material.html",
        programme,
        module=programme.modules[found.module_id],
        place=_place(found.module_id),
        material=found,
        versions=history,
        acting=overview.acting(connection(), {each.recorded_by for each in history}),
        address=ticket,
        given={**saved, **given},
        problems=problems,
        codes=sorted(codes),
        host=host,
        **_choices(),
    )


def _choices() -> dict[str, Any]:
    return {
        "shown_from": records.SHOWN_FROM,
        "accept": ",".join(kinds.ENDINGS),
        "max_megabytes": MAX_FILE_BYTES // 2**20,
        "undo": storage.UNDO,
    }


def _problems(refusal: GatehouseError) -> Problems:
    return {FIELD_OF.get(refusal.code, "form"): [f"{refusal.message} {refusal.next_step}".strip()]}
